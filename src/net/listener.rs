//! A server's socket: it accepts clients, as many as its limits allow, and tells what TLS proved about them: where they
//! are, and a value to sign. Who they are is in the hello that they sign.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use quinn::{AsyncUdpSocket, Endpoint, Incoming};
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::endpoint::exporter;
use super::gate::{Gate, Seats};
use super::{CloseCode, Link, Reader, ServerKey, Writer, transport};
use crate::identity::Fingerprint;
use crate::limits::*;
use crate::wire::{FromServer, ToServer};

/// What a server spends on connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Handshakes answered per second and place (an IPv4 address, an IPv6 /64).
    pub handshakes_per_s: NonZeroU32,
    /// Connections kept per place.
    pub connections_per_address: usize,
    /// Connections kept in all.
    pub connections: usize,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        ListenerLimits {
            handshakes_per_s: NonZeroU32::new(HANDSHAKES_PER_S).expect("the limit is not zero"),
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
            connections: CONNECTIONS_MAX,
        }
    }
}

/// A server's socket. Dropping it closes every connection.
pub struct RendezvousListener {
    /// The socket, and the second one where there is one.
    endpoints: Vec<Endpoint>,
    bound: SocketAddr,
    fingerprint: Fingerprint,
    key: ServerKey,
    admission: Arc<Admission>,
    /// Weak, so that the line of clients ends with the last socket.
    waiting: mpsc::WeakSender<ClientConnection>,
    accepted: Mutex<mpsc::Receiver<ClientConnection>>,
    accepting: JoinSet<()>,
}

/// What all sockets of a server spend together.
struct Admission {
    gate: Gate,
    seats: Arc<Seats>,
}

impl RendezvousListener {
    /// Listens on `listen`, port 0 for any; `[::]` takes IPv4 too. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    pub fn bind(listen: SocketAddr, key: ServerKey, limits: ListenerLimits) -> std::io::Result<RendezvousListener> {
        let (mut listener, waiting) = RendezvousListener::unbound(listen, key, limits);
        listener.bound = listener.open(listen, waiting)?;
        Ok(listener)
    }

    /// On a socket that only tests have.
    #[cfg(test)]
    pub(crate) fn over(
        socket: super::shim::Plug,
        key: ServerKey,
        limits: ListenerLimits,
    ) -> std::io::Result<RendezvousListener> {
        let (mut listener, waiting) = RendezvousListener::unbound(socket.local_addr()?, key, limits);
        listener.bound = listener.open_on(socket, waiting)?;
        Ok(listener)
    }

    fn unbound(listen: SocketAddr, key: ServerKey, limits: ListenerLimits) -> (Self, mpsc::Sender<ClientConnection>) {
        let (waiting, accepted) = mpsc::channel(LINKS_WAITING_MAX);
        let admission = Arc::new(Admission {
            gate: Gate::new(SERVER_HANDSHAKES_AT_ONCE_MAX, limits.handshakes_per_s),
            seats: Seats::new(limits.connections_per_address, limits.connections),
        });
        let listener = RendezvousListener {
            endpoints: Vec::new(),
            bound: listen,
            fingerprint: key.fingerprint(),
            key,
            admission,
            waiting: waiting.downgrade(),
            accepted: Mutex::new(accepted),
            accepting: JoinSet::new(),
        };
        (listener, waiting)
    }

    /// Listens at another address too, with the same key and within the same limits; returns it with its real port.
    ///
    /// # Errors
    /// When the address is in use or not ours; the listener goes on without it.
    pub fn listen_at(&mut self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let waiting = self.waiting.upgrade().ok_or(std::io::ErrorKind::NotConnected)?;
        self.open(address, waiting)
    }

    fn open(&mut self, address: SocketAddr, waiting: mpsc::Sender<ClientConnection>) -> std::io::Result<SocketAddr> {
        self.open_on(transport::for_quic(transport::bind(address)?)?, waiting)
    }

    fn open_on(
        &mut self,
        socket: Arc<dyn AsyncUdpSocket>,
        waiting: mpsc::Sender<ClientConnection>,
    ) -> std::io::Result<SocketAddr> {
        let tls = self.key.tls.clone();
        let config = transport::accepting(tls, transport::towards_client(), SERVER_HANDSHAKES_AT_ONCE_MAX);
        let endpoint = transport::endpoint(socket, config, &self.key.secret)?;
        let bound = endpoint.local_addr()?;
        self.accepting.spawn(accept_all(endpoint.clone(), Arc::clone(&self.admission), waiting));
        self.endpoints.push(endpoint);
        Ok(bound)
    }

    /// The address of the socket, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.bound
    }

    /// The words of the certificate's public key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The next client whose stream is open; `None` when the listener is closed. A slow one holds up nobody else.
    pub async fn accept(&self) -> Option<ClientConnection> {
        self.accepted.lock().await.recv().await
    }

    /// Closes every connection and waits until the clients were told, 2 seconds at most.
    pub async fn close(&self, code: CloseCode, reason: &str) {
        self.endpoints.iter().for_each(|endpoint| endpoint.close(code.as_varint(), reason.as_bytes()));
        let idle = async {
            for endpoint in &self.endpoints {
                endpoint.wait_idle().await;
            }
        };
        let _ = timeout(Duration::from_secs(FINISH_WITHIN_S), idle).await;
    }
}

impl std::fmt::Debug for RendezvousListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RendezvousListener").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Drop for RendezvousListener {
    fn drop(&mut self) {
        self.endpoints.iter().for_each(|endpoint| endpoint.close(CloseCode::GoingAway.as_varint(), b""));
    }
}

/// A client that opened its stream and has said nothing that was read yet.
#[derive(Debug)]
pub struct ClientConnection {
    /// Where it is seen; never a v4-mapped IPv6 address.
    pub observed: SocketAddr,
    /// What its hello must have signed: TLS exporter, label `EXPORTER-p2pchat-hello`, empty context.
    pub exporter: [u8; 32],
    /// The connection.
    pub link: Link,
    /// What it says; frames up to 1 KiB until [`Reader::set_limit`] allows more.
    pub reader: Reader<ToServer>,
    /// What it is told.
    pub writer: Writer<FromServer>,
}

impl ClientConnection {
    /// A client on a stream that it opened.
    pub(super) fn new(exporter: [u8; 32], link: Link, recv: quinn::RecvStream, send: quinn::SendStream) -> Self {
        let reader = Reader::new(recv, GREETING_BYTES_MAX);
        ClientConnection { observed: link.remote(), exporter, link, reader, writer: Writer::start(send, |_| {}) }
    }
}

/// Answers handshakes, each in a task of its own, until the endpoint is closed.
async fn accept_all(endpoint: Endpoint, admission: Arc<Admission>, waiting: mpsc::Sender<ClientConnection>) {
    let mut handshakes = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        // A task that panicked has hurt its own client only; the runtime has printed it.
        while handshakes.try_join_next().is_some() {}
        if let Some((incoming, slot)) = admission.gate.admit(incoming) {
            handshakes.spawn(accept_one(incoming, slot, Arc::clone(&admission.seats), waiting.clone()));
        }
    }
}

async fn accept_one(
    incoming: Incoming,
    slot: OwnedSemaphorePermit,
    seats: Arc<Seats>,
    waiting: mpsc::Sender<ClientConnection>,
) {
    let Ok(connecting) = incoming.accept() else { return };
    let Ok(Ok(connection)) = timeout(Duration::from_secs(HANDSHAKE_WITHIN_S), connecting).await else { return };
    drop(slot);
    // Counted after the handshake, when the address is proved: else anybody could use up somebody else's seats.
    let Some(seat) = seats.take(connection.remote_address().ip()) else {
        connection.close(CloseCode::Overloaded.as_varint(), b"too many connections from your address");
        return;
    };
    let Some(exporter) = exporter(&connection) else { return };
    let link = Link::new(connection, Some(seat));
    let stream = timeout(Duration::from_secs(HELLO_WITHIN_S), link.connection().accept_bi()).await;
    let Ok(Ok((send, recv))) = stream else {
        link.close(CloseCode::ProtocolError, "no hello in time");
        return;
    };
    let client = ClientConnection::new(exporter, link.clone(), recv, send);
    if timeout(Duration::from_secs(HANDSHAKE_WITHIN_S), waiting.send(client)).await.is_err() {
        link.close(CloseCode::Overloaded, "the server is overloaded");
    }
}
