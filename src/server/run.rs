//! A running server: started from settings, stopped by whoever started it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinHandle, JoinSet};

use super::config::Config;
use super::hub::{Hub, ToHub};
use super::session;
use crate::core::rendezvous::{self, Input, Rendezvous, SessionId};
use crate::identity::{Ed25519, Fingerprint};
use crate::limits::HUB_INPUTS_WAITING_MAX;
use crate::net::{CloseCode, RendezvousListener, ServerKey};
use crate::store::rendezvous::RendezvousStore;

/// The database's file in the data folder.
const DATABASE_FILE: &str = "rendezvous.sqlite3";

/// A server that listens. Dropping it ends it at once; [`Server::stop`] does so in an orderly way.
#[derive(Debug)]
pub struct Server {
    listener: Arc<RendezvousListener>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    hub: JoinHandle<()>,
}

impl Server {
    /// Opens the database in `data_dir` (in memory if `None`), listens, and serves from now on. Needs a tokio runtime of
    /// several threads.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: &Config, data_dir: Option<&Path>, key: ServerKey) -> Result<Server, StartError> {
        let file = data_dir.map(|dir| dir.join(DATABASE_FILE));
        let store = match &file {
            Some(file) => RendezvousStore::open(file),
            None => RendezvousStore::in_memory(),
        };
        let unusable = |why: String| StartError::Store { file: file.clone().unwrap_or_default(), why };
        let store = store.map_err(|why| unusable(why.to_string()))?;
        let kept = store.load().map_err(|why| unusable(why.to_string()))?;
        let (listen, limits) = (config.listen, config.listener_limits());
        let listener =
            RendezvousListener::bind(listen, key, limits).map_err(|why| StartError::Listen { listen, why })?;
        let (listener, second_port) = listen_twice(listener, config)?;
        Server::run(config, store, kept, listener, second_port)
    }

    /// On a socket that only tests have, with nothing on disk.
    #[cfg(test)]
    pub(crate) fn start_over(
        config: &Config,
        socket: crate::net::shim::Plug,
        key: ServerKey,
    ) -> Result<Server, StartError> {
        let unusable = |why: String| StartError::Store { file: PathBuf::new(), why };
        let store = RendezvousStore::in_memory().map_err(|why| unusable(why.to_string()))?;
        let kept = store.load().map_err(|why| unusable(why.to_string()))?;
        let listen = config.listen;
        let listener = RendezvousListener::over(socket, key, config.listener_limits());
        Server::run(config, store, kept, listener.map_err(|why| StartError::Listen { listen, why })?, None)
    }

    fn run(
        config: &Config,
        store: RendezvousStore,
        kept: rendezvous::Kept,
        listener: RendezvousListener,
        second_port: Option<u16>,
    ) -> Result<Server, StartError> {
        let rules = rendezvous::Config {
            password: config.password.clone(),
            max_rooms: config.max_rooms,
            empty_room_ttl_s: config.empty_room_ttl_s,
            list_people: config.list_people,
            second_port,
        };
        let rendezvous = Rendezvous::new(rules, Arc::new(Ed25519), kept);
        let listener = Arc::new(listener);
        let (stop, stopped) = watch::channel(false);
        let (to_hub, inputs) = mpsc::channel(HUB_INPUTS_WAITING_MAX);
        let hub = Hub::new(rendezvous, store, inputs, stopped);
        let hub = spawn_hub(hub);
        let accepting = tokio::spawn(accept_all(Arc::clone(&listener), to_hub));
        Ok(Server { listener, stop, accepting, hub })
    }

    /// The address of the socket, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The words of the certificate's public key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.listener.fingerprint()
    }

    /// Keeps what was decided, tells the clients, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.hub).await;
        self.listener.close(CloseCode::GoingAway, "the server is shutting down").await;
        self.accepting.abort();
    }

    /// Waits until the server ends by itself, which it does only by a bug.
    pub async fn failed(&mut self) {
        tokio::select! {
            _ = &mut self.hub => {}
            _ = &mut self.accepting => {}
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.accepting.abort();
    }
}

/// A thread of its own, since it waits for the disk.
fn spawn_hub(hub: Hub) -> JoinHandle<()> {
    let runtime = tokio::runtime::Handle::current();
    // Where a test has one thread for all, the hub runs in its local set: a thread of its own would keep a stopped clock from
    // going on.
    #[cfg(test)]
    if runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::CurrentThread {
        return task::spawn_local(hub.run());
    }
    task::spawn_blocking(move || runtime.block_on(hub.run()))
}

/// Opens the second port. One that the operator has named must be free; the usual one need not.
fn listen_twice(
    mut listener: RendezvousListener,
    config: &Config,
) -> Result<(RendezvousListener, Option<u16>), StartError> {
    let first = listener.local_addr();
    let port = match config.second_port {
        Some(0) => return Ok((listener, None)),
        Some(port) => port,
        None if config.listen.port() == 0 => 0,
        None => first.port().saturating_add(1),
    };
    let listen = SocketAddr::new(first.ip(), port);
    match listener.listen_at(listen) {
        Ok(second) => Ok((listener, Some(second.port()))),
        Err(why) if config.second_port.is_some() => Err(StartError::Listen { listen, why }),
        Err(why) => {
            tracing::warn!(%listen, %why, "there is no second port: `p2pchat doctor` can tell less of its users' routers");
            Ok((listener, None))
        }
    }
}

/// One task for each client. Their ends are seen here, not in the tasks, so that a panic is an end like any other.
async fn accept_all(listener: Arc<RendezvousListener>, hub: mpsc::Sender<ToHub>) {
    let mut sessions = JoinSet::new();
    let mut numbers: HashMap<task::Id, SessionId> = HashMap::new();
    let mut next = 0;
    loop {
        tokio::select! {
            client = listener.accept() => {
                // Closed: the clients are being told why, which ends their sessions. Dropped before, these would end without a reason.
                let Some(client) = client else { break };
                let session = SessionId(next);
                next += 1;
                let running = sessions.spawn(session::serve(client, session, hub.clone()));
                numbers.insert(running.id(), session);
            }
            Some(ended) = sessions.join_next_with_id() => {
                let id = match &ended {
                    Ok((id, ())) => *id,
                    Err(error) => error.id(),
                };
                let Some(session) = numbers.remove(&id) else { continue };
                if ended.is_err_and(|error| error.is_panic()) {
                    tracing::error!(session = session.0, "a session failed by a bug of this program");
                }
                if hub.send(ToHub::Input(Input::Disconnected { session })).await.is_err() {
                    return;
                }
            }
        }
    }
    while sessions.join_next().await.is_some() {}
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be used.
    #[error("the database {file} can't be used: {why}")]
    Store {
        /// Which file.
        file: PathBuf,
        /// What the disk or the database said.
        why: String,
    },
    /// The address is in use or not ours.
    #[error("can't listen on {listen}: {why}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
}

impl StartError {
    /// What to try.
    pub fn hint(&self) -> String {
        match self {
            StartError::Store { .. } => {
                "is the disk full, or another server running on the same --data-dir? A damaged database can be moved away: \
                 its rooms come back with their members"
                    .to_owned()
            }
            StartError::Listen { why, .. } if why.kind() == io::ErrorKind::AddrInUse => {
                "another program uses the port: stop it, or choose another with --listen (port 0 takes any free one)"
                    .to_owned()
            }
            StartError::Listen { .. } => {
                "--listen takes an address of this machine and a port above 1023, such as 0.0.0.0:4433".to_owned()
            }
        }
    }
}
