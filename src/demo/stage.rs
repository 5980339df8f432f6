//! The stage: a rendezvous on loopback with a key of its own and nothing on disk, and a folder for everybody's things.
//! All of it is gone when the stage is dropped.

use std::net::{Ipv4Addr, SocketAddr};

use tempfile::TempDir;

use super::Fault;
use crate::net::ServerKey;
use crate::peer::api::{Fingerprint, Keep, Options, Quota};
use crate::server::{Server, config};
use crate::ui::words::shown;

/// Any free port of this machine, which nobody else can reach.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running server, and where peers keep their things.
pub(super) struct Stage {
    server: Option<Server>,
    /// Where the server is.
    pub address: SocketAddr,
    /// The words of the server's key.
    pub fingerprint: Fingerprint,
    folder: TempDir,
}

impl Stage {
    /// Starts the server.
    pub(super) fn set() -> Result<Stage, Fault> {
        let folder = tempfile::Builder::new().prefix("p2pchat-demo-").tempdir();
        let folder = folder.map_err(|why| Fault::new(format!("no temporary folder can be made: {}", shown(why))))?;
        let (chain, key) = ServerKey::new_pem();
        let key = ServerKey::from_pem(chain.as_bytes(), key.as_bytes()).map_err(|why| Fault::new(shown(why)))?;
        let config = config::Config { listen: LOOPBACK, ..config::Config::default() };
        let server = Server::start(&config, None, key).map_err(|why| Fault::new(shown(why)))?;
        let (address, fingerprint) = (server.local_addr(), server.fingerprint());
        Ok(Stage { server: Some(server), address, fingerprint, folder })
    }

    /// The server on a socket that only tests have.
    #[cfg(test)]
    pub(super) fn set_over(socket: crate::net::shim::Plug) -> Stage {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (chain, key) = ServerKey::new_pem();
        let key = ServerKey::from_pem(chain.as_bytes(), key.as_bytes()).expect("a new key is a key");
        let config = config::Config { listen: LOOPBACK, ..config::Config::default() };
        let server = Server::start_over(&config, socket, key).expect("nothing is in the way");
        let (address, fingerprint) = (server.local_addr(), server.fingerprint());
        Stage { server: Some(server), address, fingerprint, folder }
    }

    /// What somebody called `name` starts a chat with: their own folder, their own socket.
    pub(super) fn options(&self, name: &str) -> Options {
        Options {
            name: name.parse().expect("the play's names are names"),
            data_dir: self.folder.path().join(name),
            server: self.address.to_string(),
            password: None,
            listen: LOOPBACK,
            map_port: false,
            listed: false,
            visiting: false,
            scrollback: 0,
            keep: Keep::default(),
            quota: Quota::default(),
            ephemeral: false,
            serverless: false,
            certificate: None,
            announce: false,
            ask_before_pinning: false,
        }
    }

    /// Stops the server for good.
    pub(super) async fn stop_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }
}
