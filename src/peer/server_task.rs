//! Keeping in touch with the rendezvous: dial, decide about its certificate, carry messages, dial again.
//!
//! Nothing is said to a server before its certificate is accepted: valid under the public roots, remembered, or accepted
//! now. The chat never depends on this task; without a server it goes on.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::{Notify, mpsc};

use super::driver::Arrival;
use super::pins::Pins;
use crate::core::event::{Event, Failure};
use crate::identity::Fingerprint;
use crate::net::{CloseCode, PeerEndpoint, ServerConnection, ServerDialError};

/// First and longest wait between two attempts, doubled each time.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// What the task needs.
pub(super) struct ServerTask {
    /// The socket.
    pub endpoint: Arc<PeerEndpoint>,
    /// The server, as the user named it.
    pub server: String,
    /// The remembered certificates.
    pub pins: Pins,
    /// Whether the user is asked about an unknown one.
    pub ask: bool,
    /// The user's answers.
    pub answers: mpsc::Receiver<bool>,
    /// To the driver.
    pub arrivals: mpsc::Sender<Arrival>,
    /// Told when the network has changed: what is being waited for goes nowhere.
    pub roused: Arc<Notify>,
}

/// Why there is no going on.
struct GivenUp;

impl ServerTask {
    /// Runs until the server can't be trusted, or the driver is gone.
    pub async fn run(mut self) {
        let mut wait = RETRY.0;
        let mut told = false;
        loop {
            let roused = Arc::clone(&self.roused);
            let dialled = tokio::select! {
                dialled = self.endpoint.dial_server(&self.server) => dialled,
                () = roused.notified() => {
                    wait = RETRY.0;
                    continue;
                }
            };
            match dialled {
                Ok(connection) => match self.session(connection).await {
                    Ok(()) => (wait, told) = (RETRY.0, false),
                    Err(GivenUp) => return,
                },
                Err(error) => {
                    // Told once until it was reached again; a name that can't be right never will be.
                    if !std::mem::replace(&mut told, true) {
                        self.tell_unreachable(&error).await;
                    }
                    if error == ServerDialError::BadAddress {
                        return;
                    }
                }
            }
            // Spread, so that a server that comes back is not met by everybody at once.
            let spread = rand::rng().random_range(0.75..1.25);
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(spread)) => wait = (wait * 2).min(RETRY.1),
                () = roused.notified() => wait = RETRY.0,
            }
            if self.arrivals.is_closed() {
                return;
            }
        }
    }

    async fn tell_unreachable(&self, error: &ServerDialError) {
        let failure = Failure::ServerUnreachable { server: self.server.clone(), why: error.to_string() };
        self.tell(Event::Failed(failure)).await;
    }

    async fn tell(&self, event: Event) {
        let _ = self.arrivals.send(Arrival::Tell(event)).await;
    }

    /// One connection, from its certificate to its end.
    async fn session(&mut self, connection: ServerConnection) -> Result<(), GivenUp> {
        let shown = connection.certificate.fingerprint;
        if !connection.certificate.publicly_valid && !self.accept(shown, &connection).await? {
            // The user took longer than a server waits, and said yes: dial anew, by a pin this time.
            return Ok(());
        }
        let exporter = connection.exporter;
        let Ok((link, mut reader, writer)) = connection.open(|_| {}).await else { return Ok(()) };
        if self.arrivals.send(Arrival::ServerConnected { exporter, writer, link }).await.is_err() {
            return Err(GivenUp);
        }
        loop {
            match reader.next().await {
                Ok(Some(message)) => {
                    if self.arrivals.send(Arrival::FromServer(message)).await.is_err() {
                        return Err(GivenUp);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::info!(%error, "the server's connection ended");
                    break;
                }
            }
        }
        self.arrivals.send(Arrival::ServerLost).await.map_err(|_| GivenUp)
    }

    /// Whether to go on with this very connection.
    async fn accept(&mut self, shown: Fingerprint, connection: &ServerConnection) -> Result<bool, GivenUp> {
        let server = self.server.clone();
        let remembered = match self.pins.get(&server) {
            Ok(remembered) => remembered,
            Err(error) => {
                let why = format!("the remembered servers in {} can't be read: {error}", self.pins.file().display());
                self.tell(Event::Failed(Failure::ServerUnreachable { server, why })).await;
                return Err(GivenUp);
            }
        };
        match remembered {
            Some(pinned) if pinned == shown => return Ok(true),
            Some(pinned) => {
                connection.link.close(CloseCode::Normal, "another certificate than remembered");
                let file = self.pins.file().to_owned();
                self.tell(Event::Failed(Failure::ServerChanged { server, pinned, shown, file })).await;
                return Err(GivenUp);
            }
            None => {}
        }
        if self.ask {
            connection.link.close(CloseCode::Normal, "asking the user");
            self.tell(Event::PinWanted { server: server.clone(), fingerprint: shown }).await;
            if self.answers.recv().await != Some(true) {
                self.tell(Event::Failed(Failure::ServerNotTrusted { server })).await;
                return Err(GivenUp);
            }
        }
        if let Err(error) = self.pins.add(&server, shown) {
            let why = format!("its certificate can't be remembered in {}: {error}", self.pins.file().display());
            self.tell(Event::Failed(Failure::ServerUnreachable { server, why })).await;
            return Err(GivenUp);
        }
        self.tell(Event::Pinned { server, fingerprint: shown }).await;
        Ok(!self.ask)
    }
}
