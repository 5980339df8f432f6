//! Keeping in touch with the rendezvous: dial, decide about its certificate, carry messages, dial again.
//!
//! Nothing is said to a server before its certificate is accepted: valid under the public roots, remembered, or accepted
//! now. A member that is knocked at in its place shows its own key, which is the one that is looked for or nobody. The chat
//! never depends on this task; without a server it goes on.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::driver::Arrival;
use super::pins::Pins;
use crate::core::event::{Event, Failure};
use crate::core::io::Seek;
use crate::identity::{Fingerprint, PeerId};
use crate::limits::{HOST_DIALS_MAX, HOSTS_SILENT_S, SERVER_DIAL_WITHIN_S, TICKET_SERVER_WITHIN_S};
use crate::net::{CloseCode, PeerEndpoint, ServerConnection, ServerDialError};
use crate::wire::KeyTag;

/// First and longest wait between two attempts, doubled each time.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// Whom to be connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Aim {
    /// The server, as the user named it.
    pub server: Option<String>,
    /// Members to knock at while no server answers.
    pub hosts: Vec<Seek>,
}

/// What the task needs.
pub(super) struct ServerTask {
    /// The socket.
    pub endpoint: Arc<PeerEndpoint>,
    /// Whom to be connected to, as of now.
    pub aim: watch::Receiver<Aim>,
    /// The remembered certificates.
    pub pins: Pins,
    /// The certificate that a ticket names.
    pub certificate: Option<Fingerprint>,
    /// Whether the user is asked about an unknown one.
    pub ask: bool,
    /// The user's answers.
    pub answers: mpsc::Receiver<bool>,
    /// To the driver.
    pub arrivals: mpsc::Sender<Arrival>,
    /// Told when the network has changed: what is being waited for goes nowhere.
    pub roused: Arc<Notify>,
}

/// Why there is no going on with this server.
struct GivenUp;

impl ServerTask {
    /// Runs until the driver is gone.
    pub async fn run(mut self) {
        let mut wait = RETRY.0;
        let mut told = false;
        let mut given_up = None;
        let mut silent_since = None;
        while !self.arrivals.is_closed() {
            let roused = Arc::clone(&self.roused);
            let aim = self.aim.borrow_and_update().clone();
            let server = aim.server.filter(|server| given_up.as_ref() != Some(server));
            if let Some(server) = &server {
                // Where members are another way in, the server is not waited for.
                let within = if aim.hosts.is_empty() { SERVER_DIAL_WITHIN_S * 2 } else { TICKET_SERVER_WITHIN_S };
                let dial = timeout(Duration::from_secs(within), self.endpoint.dial_server(server));
                let dialled = tokio::select! {
                    dialled = dial => dialled.unwrap_or(Err(ServerDialError::TimedOut)),
                    () = roused.notified() => {
                        wait = RETRY.0;
                        continue;
                    }
                    changed = self.aim.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                };
                match dialled {
                    Ok(connection) => match self.session(server.clone(), connection).await {
                        Ok(()) => (wait, told) = (RETRY.0, false),
                        Err(GivenUp) => given_up = Some(server.clone()),
                    },
                    Err(error) => {
                        // Told once until it was reached again; a name that can't be right never will be.
                        let only = self.aim.borrow().hosts.is_empty();
                        if only && !std::mem::replace(&mut told, true) {
                            self.tell_unreachable(server.clone(), &error).await;
                        }
                        if error == ServerDialError::BadAddress {
                            given_up = Some(server.clone());
                        }
                    }
                }
            }
            let hosts = self.aim.borrow().hosts.clone();
            if hosts.is_empty() {
                silent_since = None;
            } else if self.visit(&hosts).await {
                (wait, silent_since) = (RETRY.0, None);
            } else {
                let since = *silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_secs(HOSTS_SILENT_S) {
                    silent_since = Some(Instant::now());
                    self.tell(Event::Failed(Failure::NoHost)).await;
                }
            }
            // Spread, so that a server that comes back is not met by everybody at once.
            let spread = rand::rng().random_range(0.75..1.25);
            let idle = hosts.is_empty() && server.is_none();
            tokio::select! {
                changed = self.aim.changed() => if changed.is_err() { return },
                () = roused.notified() => wait = RETRY.0,
                () = tokio::time::sleep(wait.mul_f64(spread)), if !idle => wait = (wait * 2).min(RETRY.1),
            }
        }
    }

    /// Tries all members that can be knocked at, all at once, and stays with the first that shows the right key for as long as
    /// it is wanted; `false` if nobody does.
    async fn visit(&mut self, hosts: &[Seek]) -> bool {
        let mut dials = JoinSet::new();
        for (seek, address) in hosts.iter().flat_map(|seek| seek.addresses.iter().map(move |at| (seek.key, *at))) {
            if dials.len() < HOST_DIALS_MAX {
                let endpoint = Arc::clone(&self.endpoint);
                dials.spawn(async move {
                    let connection = endpoint.dial_host_at(address).await.ok()?;
                    let host = connection.certificate.member?;
                    (KeyTag::of(&host) == seek).then_some((host, connection))
                });
            }
        }
        let found = loop {
            match dials.join_next().await {
                Some(Ok(Some(found))) => break found,
                Some(_) => {}
                None => return false,
            }
        };
        drop(dials);
        let (host, connection) = found;
        let link = connection.link.clone();
        let wanted = |aim: &Aim| aim.hosts.iter().any(|seek| seek.key == KeyTag::of(&host));
        let _ = self.converse(Some(host), connection, wanted).await;
        link.close(CloseCode::Normal, "");
        true
    }

    async fn tell_unreachable(&self, server: String, error: &ServerDialError) {
        let (why, no_such_name) = match error {
            ServerDialError::NotFound(reason) => (reason.clone(), true),
            _ => (error.to_string(), false),
        };
        let failure = Failure::ServerUnreachable { server, why, no_such_name };
        self.tell(Event::Failed(failure)).await;
    }

    async fn tell(&self, event: Event) {
        let _ = self.arrivals.send(Arrival::Tell(event)).await;
    }

    /// One connection, from its certificate to its end.
    async fn session(&mut self, server: String, connection: ServerConnection) -> Result<(), GivenUp> {
        let shown = connection.certificate.fingerprint;
        if !connection.certificate.publicly_valid && !self.accept(&server, shown, &connection).await? {
            // The user took longer than a server waits, and said yes: dial anew, by a pin this time.
            return Ok(());
        }
        let host = connection.certificate.member;
        let link = connection.link.clone();
        let ended = self.converse(host, connection, |aim| aim.server.as_ref() == Some(&server)).await;
        link.close(CloseCode::Normal, "");
        ended
    }

    /// Carries messages until the connection ends or is not `wanted` any more.
    async fn converse(
        &mut self,
        host: Option<PeerId>,
        connection: ServerConnection,
        wanted: impl Fn(&Aim) -> bool,
    ) -> Result<(), GivenUp> {
        let (exporter, certificate) = (connection.exporter, connection.certificate.fingerprint);
        let Ok((link, mut reader, writer)) = connection.open(|_| {}).await else { return Ok(()) };
        if self.arrivals.send(Arrival::ServerConnected { exporter, writer, link, host, certificate }).await.is_err() {
            return Err(GivenUp);
        }
        loop {
            let message = tokio::select! {
                message = reader.next() => message,
                changed = self.aim.changed() => {
                    if changed.is_err() || !wanted(&self.aim.borrow_and_update()) {
                        break;
                    }
                    continue;
                }
            };
            match message {
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
    async fn accept(
        &mut self,
        server: &str,
        shown: Fingerprint,
        connection: &ServerConnection,
    ) -> Result<bool, GivenUp> {
        let server = server.to_owned();
        let member = connection.certificate.member.is_some();
        // What a ticket says was said by whoever knows; no first use has to be trusted.
        let by_ticket = self.certificate.filter(|_| !member);
        let remembered = match self.pins.get(&server) {
            Ok(remembered) => remembered,
            Err(error) => {
                let why = format!("the remembered servers in {} can't be read: {error}", self.pins.file().display());
                self.tell(Event::Failed(Failure::ServerUnreachable { server, why, no_such_name: false })).await;
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
        match by_ticket {
            Some(named) if named == shown => return Ok(self.pins.add(&server, shown).is_ok() || !self.ask),
            Some(pinned) => {
                connection.link.close(CloseCode::Normal, "another certificate than the ticket names");
                let file = self.pins.file().to_owned();
                self.tell(Event::Failed(Failure::ServerChanged { server, pinned, shown, file })).await;
                return Err(GivenUp);
            }
            None => {}
        }
        if self.ask {
            connection.link.close(CloseCode::Normal, "asking the user");
            self.tell(Event::PinWanted { server: server.clone(), fingerprint: shown, member }).await;
            if self.answers.recv().await != Some(true) {
                self.tell(Event::Failed(Failure::ServerNotTrusted { server })).await;
                return Err(GivenUp);
            }
        }
        if let Err(error) = self.pins.add(&server, shown) {
            let why = format!("its certificate can't be remembered in {}: {error}", self.pins.file().display());
            self.tell(Event::Failed(Failure::ServerUnreachable { server, why, no_such_name: false })).await;
            return Err(GivenUp);
        }
        self.tell(Event::Pinned { server, fingerprint: shown, member }).await;
        Ok(!self.ask)
    }
}
