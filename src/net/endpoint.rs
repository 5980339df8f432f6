//! A peer's one socket: it accepts links, dials members, and dials the server, all from the same port, so that the
//! address the server sees is the one that members can reach.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quinn::{
    AsyncUdpSocket, ClientConfig, ConnectError, Connecting, Endpoint, Incoming, RecvStream, SendStream, VarInt,
};
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::gate::{Gate, Seats};
use super::link::in_words;
use super::listener::ClientConnection;
use super::punch::{self, Puncher};
use super::socket::OwnSocket;
use super::tls::{self, PEER_NAME, PeerTls, ServerCertificate};
use super::{CloseCode, Link, Reader, Writer, candidates, transport};
use crate::identity::{Identity, PeerId, Signer as _};
use crate::limits::*;
use crate::wire::{ALPN_HOST, FromServer, PeerMessage, ToServer};

/// What the dialler of a peer link writes first, before any frame.
///
/// A QUIC stream is invisible to the other side until bytes are on it, and only the winner of several dials gets these:
/// so a link that is accepted is one that its dialler uses. In the protocol: *the dialler opens one bidirectional stream
/// and writes these four bytes; both sides then write frames on it.*
const PREAMBLE: [u8; 4] = *b"p2p1";

/// The port of a server that is named without one.
const SERVER_PORT: u16 = 4433;

/// A peer's socket. Dropping it closes every connection.
pub struct PeerEndpoint {
    endpoint: Endpoint,
    bound: SocketAddr,
    me: PeerId,
    tls: Arc<PeerTls>,
    socket: Arc<OwnSocket>,
    puncher: Puncher,
    accepted: Mutex<mpsc::Receiver<PeerConnection>>,
    guests: Mutex<mpsc::Receiver<ClientConnection>>,
    accepting: JoinHandle<()>,
}

impl PeerEndpoint {
    /// Listens on `listen`, port 0 for any, and answers handshakes from now on. `[::]` takes IPv4 too. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    pub fn bind(listen: SocketAddr, identity: &Identity) -> Result<PeerEndpoint, std::io::Error> {
        let socket = transport::bind(listen)?;
        let raw = socket.try_clone()?;
        PeerEndpoint::on(transport::for_quic(socket)?, Some(raw), identity)
    }

    /// On a socket that only tests have.
    #[cfg(test)]
    pub(crate) fn over(socket: Arc<dyn AsyncUdpSocket>, identity: &Identity) -> Result<PeerEndpoint, std::io::Error> {
        PeerEndpoint::on(socket, None, identity)
    }

    /// On a real socket, in some weather.
    #[cfg(test)]
    pub(crate) fn bind_under(
        listen: SocketAddr,
        identity: &Identity,
        weather: super::shim::Weather,
    ) -> Result<PeerEndpoint, std::io::Error> {
        let socket = transport::for_quic(transport::bind(listen)?)?;
        PeerEndpoint::on(super::shim::under(weather, socket), None, identity)
    }

    fn on(socket: Arc<dyn AsyncUdpSocket>, raw: Option<UdpSocket>, identity: &Identity) -> std::io::Result<Self> {
        let tls = Arc::new(PeerTls::new(identity));
        let config = transport::accepting(tls.accepting(), transport::between_peers(), PEER_HANDSHAKES_AT_ONCE_MAX);
        let socket = OwnSocket::new(socket);
        let puncher = Puncher::new(Arc::clone(&socket), raw);
        let endpoint = transport::endpoint(Arc::clone(&socket) as _, config, &identity.pkcs8())?;
        let bound = endpoint.local_addr()?;
        let (waiting, accepted) = mpsc::channel(LINKS_WAITING_MAX);
        let (waiting_guests, guests) = mpsc::channel(GUESTS_MAX);
        let accepting = tokio::spawn(accept_all(endpoint.clone(), Waiting { links: waiting, guests: waiting_guests }));
        let (me, accepted, guests) = (identity.id(), Mutex::new(accepted), Mutex::new(guests));
        Ok(PeerEndpoint { endpoint, bound, me, tls, socket, puncher, accepted, guests, accepting })
    }

    /// The address of the socket, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.bound
    }

    /// The addresses under which members may reach this socket, 8 at most: all of this machine's when listening on all,
    /// loopback only when there is no other. Asks the system each time, since they change.
    pub fn local_candidates(&self) -> Vec<SocketAddr> {
        let (local, present) = candidates::local(self.bound);
        if !present.is_empty() {
            self.socket.in_use(present);
        }
        local
    }

    /// The next link that somebody dialled, its key proved and its stream open; `None` when the endpoint is closed.
    /// A slow handshake holds up nobody else's.
    pub async fn accept(&self) -> Option<PeerConnection> {
        self.accepted.lock().await.recv().await
    }

    /// The next newcomer that wants to knock through us, with its stream open; `None` when the endpoint is closed.
    pub async fn accept_guest(&self) -> Option<ClientConnection> {
        self.guests.lock().await.recv().await
    }

    /// Dials a member at all candidates at once; the first where exactly this key answers wins, and the others never see
    /// more than a handshake. 5 seconds at most.
    ///
    /// # Errors
    /// [`DialError`], the most telling of all candidates.
    pub async fn dial(&self, peer: PeerId, candidates: &[SocketAddr]) -> Result<PeerConnection, DialError> {
        let ours = self.local_candidates();
        let addresses = candidates::dialable(candidates, self.bound, &ours);
        if addresses.is_empty() || peer == self.me {
            return Err(DialError::NoCandidate);
        }
        let (tls, wrong_key) = self.tls.dialling(peer);
        let mut config = ClientConfig::new(tls);
        config.transport_config(Arc::new(transport::between_peers()));
        let behind = punch::behind_routers(&addresses);
        let far = punch::across_routers(&addresses, &ours);
        self.socket.dial(&addresses);
        let mut dials = JoinSet::new();
        let mut why = None;
        for address in addresses {
            let hold = if behind.contains(&address) { PUNCH_HOLD_MS } else { 0 };
            let (endpoint, config) = (self.endpoint.clone(), config.clone());
            dials.spawn(async move {
                tokio::time::sleep(Duration::from_millis(hold)).await;
                let connecting = endpoint.connect_with(config, address, PEER_NAME);
                handshake(connecting.map_err(|error| connect_error_in_words(&error))?).await
            });
        }
        // Ends with this dial.
        let mut punching = JoinSet::new();
        punching.spawn(self.puncher.clone().open(far));
        let winner = async {
            while let Some(done) = dials.join_next().await {
                match done.unwrap_or_else(|panic| Err(panic.to_string())) {
                    Ok(connection) => return Some(connection),
                    Err(error) => why = Some(error),
                }
            }
            None
        };
        let connection = timeout(Duration::from_secs(HANDSHAKE_WITHIN_S), winner).await;
        let refused = || if wrong_key.load(Ordering::Relaxed) { DialError::WrongKey } else { DialError::TimedOut };
        match connection {
            Ok(Some(connection)) => {
                retire(dials);
                open_dialled(connection, peer).await
            }
            Err(_) => Err(refused()),
            Ok(None) => Err(match (refused(), why) {
                (DialError::TimedOut, Some(why)) => DialError::Failed(why),
                (error, _) => error,
            }),
        }
    }

    /// Connects to a rendezvous named `HOST` or `HOST:PORT` (port 4433 unless given; IPv6 addresses bare, or in brackets
    /// with a port). Nothing is said on the connection until [`ServerConnection::open`]. 10 seconds at most.
    ///
    /// # Errors
    /// [`ServerDialError`], with words for people.
    pub async fn dial_server(&self, server: &str) -> Result<ServerConnection, ServerDialError> {
        let (host, port) = split_host(server).ok_or(ServerDialError::BadAddress)?;
        timeout(Duration::from_secs(SERVER_DIAL_WITHIN_S), self.dial_host(host, port))
            .await
            .map_err(|_| ServerDialError::TimedOut)?
    }

    /// Connects to a member at this address, to knock there; whose key answered, its certificate tells. 5 seconds at most.
    ///
    /// # Errors
    /// [`ServerDialError`], with words for people.
    pub async fn dial_host_at(&self, address: SocketAddr) -> Result<ServerConnection, ServerDialError> {
        if candidates::dialable(&[address], self.bound, &self.local_candidates()).is_empty() {
            return Err(ServerDialError::BadAddress);
        }
        let (tls, note) = tls::dialling_server();
        let mut config = ClientConfig::new(tls);
        config.transport_config(Arc::new(transport::towards_host()));
        let connecting = self.endpoint.connect_with(config, address, PEER_NAME);
        let connecting = connecting.map_err(|error| ServerDialError::Failed(connect_error_in_words(&error)))?;
        let connection = timeout(Duration::from_secs(HANDSHAKE_WITHIN_S), handshake(connecting)).await;
        let connection = connection.map_err(|_| ServerDialError::TimedOut)?.map_err(ServerDialError::Failed)?;
        ServerConnection::new(connection, &note)
    }

    /// The addresses that a server's name leads to and this socket can dial, 8 at most, in the order of the system.
    ///
    /// # Errors
    /// [`ServerDialError::BadAddress`] or [`ServerDialError::NotFound`].
    pub async fn resolve(&self, server: &str) -> Result<Vec<SocketAddr>, ServerDialError> {
        let (host, port) = split_host(server).ok_or(ServerDialError::BadAddress)?;
        self.resolve_host(host, port).await
    }

    async fn resolve_host(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ServerDialError> {
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|error| ServerDialError::NotFound(error.to_string()))?;
        let ipv6 = self.bound.is_ipv6();
        let mut addresses: Vec<_> = found.map(candidates::canonical).filter(|to| ipv6 || to.is_ipv4()).collect();
        addresses.truncate(CANDIDATES_MAX);
        Ok(addresses)
    }

    async fn dial_host(&self, host: &str, port: u16) -> Result<ServerConnection, ServerDialError> {
        let addresses = self.resolve_host(host, port).await?;
        if addresses.is_empty() {
            return Err(ServerDialError::OtherFamily);
        }
        // One after the other, without waiting for one that never answers: "localhost" may well name ::1 first while the
        // server listens on 127.0.0.1 only.
        let mut dials = JoinSet::new();
        let mut why = String::new();
        for (turn, address) in (0..).zip(addresses) {
            let (tls, note) = tls::dialling_server();
            let mut config = ClientConfig::new(tls);
            config.transport_config(Arc::new(transport::towards_server()));
            let (endpoint, host) = (self.endpoint.clone(), host.to_owned());
            dials.spawn(async move {
                tokio::time::sleep(Duration::from_millis(SERVER_DIAL_STAGGER_MS * turn)).await;
                let connecting = endpoint.connect_with(config, address, &host);
                let connection = handshake(connecting.map_err(|error| connect_error_in_words(&error))?).await?;
                Ok((connection, note))
            });
        }
        while let Some(done) = dials.join_next().await {
            match done.unwrap_or_else(|panic| Err(panic.to_string())) {
                Ok((connection, note)) => {
                    retire(dials);
                    return ServerConnection::new(connection, &note);
                }
                Err(error) => why = error,
            }
        }
        Err(ServerDialError::Failed(why))
    }

    /// Closes every connection and waits until the others were told, 2 seconds at most.
    pub async fn close(&self, code: CloseCode, reason: &str) {
        self.endpoint.close(code.as_varint(), reason.as_bytes());
        self.accepting.abort();
        let _ = timeout(Duration::from_secs(FINISH_WITHIN_S), self.endpoint.wait_idle()).await;
    }
}

impl std::fmt::Debug for PeerEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerEndpoint").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Drop for PeerEndpoint {
    fn drop(&mut self) {
        self.endpoint.close(CloseCode::GoingAway.as_varint(), b"");
        self.accepting.abort();
    }
}

/// A link to a peer whose key is proved. That it is a member is for the caller to find out.
#[derive(Debug)]
pub struct PeerConnection {
    /// Whose key the TLS handshake proved.
    pub peer: PeerId,
    /// Which start of its program answered: the same for all connections of one, another one after the next start.
    pub life: [u8; 32],
    /// Whether this side dialled.
    pub dialled: bool,
    /// The connection.
    pub link: Link,
    streams: (SendStream, RecvStream),
}

impl PeerConnection {
    /// Where the other side is.
    pub fn remote(&self) -> SocketAddr {
        self.link.remote()
    }

    /// Starts to write and read. `on_drained` is told, from the writing task, how many of the bytes that
    /// [`Writer::send`] counted have left its queue; it must not block.
    pub fn open(
        self,
        on_drained: impl FnMut(usize) + Send + 'static,
    ) -> (Link, Reader<PeerMessage>, Writer<PeerMessage>) {
        let (send, recv) = self.streams;
        (self.link, Reader::new(recv, FRAME_BYTES_MAX), Writer::start(send, on_drained))
    }

    /// The bare streams, for tests that lie.
    #[cfg(test)]
    pub(super) fn into_raw(self) -> (SendStream, RecvStream) {
        self.streams
    }
}

/// Why a member could not be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// None of the addresses can be dialled from here.
    #[error("there is no address to dial")]
    NoCandidate,
    /// Somebody else answered.
    #[error("another key answered")]
    WrongKey,
    /// Nobody answered in time.
    #[error("no answer within {HANDSHAKE_WITHIN_S} seconds")]
    TimedOut,
    /// Refused, or not to be reached; the words are safe to show.
    #[error("{0}")]
    Failed(String),
}

/// A connection to a server on which nothing has been said yet.
#[derive(Debug)]
pub struct ServerConnection {
    /// What the server showed. Whether to believe it is decided before [`ServerConnection::open`]; a server waits 5
    /// seconds for the hello, so a decision that takes a person longer is followed by a new dial.
    pub certificate: ServerCertificate,
    /// Binds a signature to this very connection: TLS exporter, label `EXPORTER-p2pchat-hello`, empty context.
    pub exporter: [u8; 32],
    /// Where the server is.
    pub remote: SocketAddr,
    /// The connection.
    pub link: Link,
}

impl ServerConnection {
    fn new(connection: quinn::Connection, note: &OnceLock<ServerCertificate>) -> Result<Self, ServerDialError> {
        let noted = *note.get().expect("a handshake completes only after the verifier wrote its note");
        let certificate = ServerCertificate::of(&connection, noted)
            .ok_or_else(|| ServerDialError::Failed("a member answered without an identity key".to_owned()))?;
        let exporter = exporter(&connection).ok_or_else(|| ServerDialError::Failed("no TLS exporter".to_owned()))?;
        let link = Link::new(connection, None);
        Ok(ServerConnection { certificate, exporter, remote: link.remote(), link })
    }

    /// Opens the stream. The server sees it once the hello is written, which must be the first message.
    ///
    /// # Errors
    /// When the connection is gone; the words are safe to show.
    pub async fn open(
        self,
        on_drained: impl FnMut(usize) + Send + 'static,
    ) -> Result<(Link, Reader<FromServer>, Writer<ToServer>), ServerDialError> {
        let (send, recv) = self.link.connection().open_bi().await.map_err(|e| ServerDialError::Failed(in_words(&e)))?;
        Ok((self.link, Reader::new(recv, FRAME_BYTES_MAX), Writer::start(send, on_drained)))
    }
}

/// Why a server could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerDialError {
    /// Not `HOST` or `HOST:PORT`.
    #[error("that is not HOST or HOST:PORT")]
    BadAddress,
    /// The name leads nowhere.
    #[error("the name can't be resolved: {0}")]
    NotFound(String),
    /// The server has IPv6 addresses only, and this side listens on IPv4 only.
    #[error("the server has IPv6 addresses only, and this side listens on IPv4 only")]
    OtherFamily,
    /// No answer from any of its addresses.
    #[error("no answer within {SERVER_DIAL_WITHIN_S} seconds")]
    TimedOut,
    /// Refused, or not to be reached; the words are safe to show.
    #[error("{0}")]
    Failed(String),
}

/// 32 bytes that only the two ends of this TLS session know, for signing.
pub(super) fn exporter(connection: &quinn::Connection) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    connection.export_keying_material(&mut bytes, b"EXPORTER-p2pchat-hello", b"").ok()?;
    Some(bytes)
}

async fn handshake(connecting: Connecting) -> Result<quinn::Connection, String> {
    connecting.await.map_err(|error| in_words(&error))
}

/// Closes the losers of a race, those that completed meanwhile too, so that the other side knows why.
fn retire<T: Retired>(mut dials: JoinSet<Result<T, String>>) {
    while let Some(done) = dials.try_join_next() {
        if let Ok(Ok(loser)) = done {
            loser.connection().close(CloseCode::Duplicate.as_varint(), b"another address was faster");
        }
    }
    // What is still shaking hands is dropped with the set, which abandons it.
}

/// What a finished dial holds.
trait Retired: 'static {
    fn connection(&self) -> &quinn::Connection;
}

impl Retired for quinn::Connection {
    fn connection(&self) -> &quinn::Connection {
        self
    }
}

impl Retired for (quinn::Connection, Arc<OnceLock<ServerCertificate>>) {
    fn connection(&self) -> &quinn::Connection {
        &self.0
    }
}

async fn open_dialled(connection: quinn::Connection, peer: PeerId) -> Result<PeerConnection, DialError> {
    let failed = |error: &quinn::ConnectionError| DialError::Failed(in_words(error));
    let (mut send, recv) = connection.open_bi().await.map_err(|error| failed(&error))?;
    // Four bytes fit the window of any peer of this version, so this waits for nobody.
    send.write_all(&PREAMBLE).await.map_err(|error| DialError::Failed(error.to_string()))?;
    let life = tls::life(&connection);
    Ok(PeerConnection { peer, life, dialled: true, link: Link::new(connection, None), streams: (send, recv) })
}

/// Answers handshakes, each in a task of its own, until the endpoint is closed.
async fn accept_all(endpoint: Endpoint, waiting: Waiting) {
    let per_place = NonZeroU32::new(HANDSHAKES_PER_S).expect("the limit is not zero");
    let gate = Gate::new(PEER_HANDSHAKES_AT_ONCE_MAX, per_place);
    let seats = Seats::new(GUESTS_PER_ADDRESS_MAX, GUESTS_MAX);
    // Tasks of a set end with it, so nothing outlives the endpoint.
    let mut handshakes = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while handshakes.try_join_next().is_some() {}
        if let Some((incoming, slot)) = gate.admit(incoming) {
            handshakes.spawn(accept_one(incoming, slot, Arc::clone(&seats), waiting.clone()));
        }
    }
}

/// Where accepted connections wait for the driver.
#[derive(Clone)]
struct Waiting {
    links: mpsc::Sender<PeerConnection>,
    guests: mpsc::Sender<ClientConnection>,
}

/// What was accepted.
#[allow(clippy::large_enum_variant, reason = "each is handed on at once")]
enum Accepted {
    Link(PeerConnection),
    Guest(ClientConnection),
}

async fn accept_one(incoming: Incoming, slot: OwnedSemaphorePermit, seats: Arc<Seats>, waiting: Waiting) {
    let opened = timeout(Duration::from_secs(HANDSHAKE_WITHIN_S), accept_opened(incoming, &seats)).await;
    drop(slot);
    let refused = match opened {
        Ok(Some(Accepted::Link(connection))) => {
            waiting.links.try_send(connection).err().map(|error| error.into_inner().link)
        }
        Ok(Some(Accepted::Guest(guest))) => waiting.guests.try_send(guest).err().map(|error| error.into_inner().link),
        _ => None,
    };
    if let Some(link) = refused {
        link.close(CloseCode::Overloaded, "too many links at once");
    }
}

async fn accept_opened(incoming: Incoming, seats: &Arc<Seats>) -> Option<Accepted> {
    let connection = incoming.accept().ok()?.await.ok()?;
    if tls::speaks(&connection, ALPN_HOST) {
        return accept_guest(connection, seats).await.map(Accepted::Guest);
    }
    let Some(peer) = tls::proved_key(&connection) else {
        connection.close(CloseCode::ProtocolError.as_varint(), b"a link between members needs a certificate of both");
        return None;
    };
    let (send, mut recv) = connection.accept_bi().await.ok()?;
    let mut preamble = [0; PREAMBLE.len()];
    recv.read_exact(&mut preamble).await.ok()?;
    if preamble != PREAMBLE {
        connection.close(VarInt::from(CloseCode::ProtocolError as u32), b"not the preamble of this protocol");
        return None;
    }
    let life = tls::life(&connection);
    let link = Link::new(connection, None);
    Some(Accepted::Link(PeerConnection { peer, life, dialled: false, link, streams: (send, recv) }))
}

/// A newcomer, who gets little: what is on the way unread is bounded from here on as a server bounds it.
async fn accept_guest(connection: quinn::Connection, seats: &Arc<Seats>) -> Option<ClientConnection> {
    let Some(seat) = seats.take(connection.remote_address().ip()) else {
        connection.close(CloseCode::Overloaded.as_varint(), b"too many are knocking here; try again in a minute");
        return None;
    };
    connection.set_receive_window(VarInt::from_u32(SERVER_WINDOW_BYTES));
    let exporter = exporter(&connection)?;
    let link = Link::new(connection, Some(seat));
    let (send, recv) = link.connection().accept_bi().await.ok()?;
    Some(ClientConnection::new(exporter, link, recv, send))
}

fn connect_error_in_words(error: &ConnectError) -> String {
    match error {
        ConnectError::InvalidServerName(_) => "that host name can't be used with TLS".to_owned(),
        other => other.to_string(),
    }
}

/// `HOST`, `HOST:PORT`, `1.2.3.4:PORT`, `::1`, `[::1]`, `[::1]:PORT`.
fn split_host(server: &str) -> Option<(&str, u16)> {
    let (host, port) = if let Some(rest) = server.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
    } else if server.parse::<std::net::Ipv6Addr>().is_ok() {
        (server, None)
    } else {
        match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        }
    };
    let port = port.map_or(Ok(SERVER_PORT), str::parse).ok()?;
    let plausible =
        !host.is_empty() && host.len() <= 253 && !host.contains(|c: char| c.is_control() || c.is_whitespace());
    (plausible && port != 0).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_or_without_a_port() {
        assert_eq!(split_host("localhost"), Some(("localhost", 4433)));
        assert_eq!(split_host("chat.example:1"), Some(("chat.example", 1)));
        assert_eq!(split_host("192.0.2.1:99"), Some(("192.0.2.1", 99)));
        assert_eq!(split_host("::1"), Some(("::1", 4433)));
        assert_eq!(split_host("[2001:db8::1]:5"), Some(("2001:db8::1", 5)));
        assert_eq!(split_host("[::1]"), Some(("::1", 4433)));
        for bad in ["", ":1", "a:", "a:b", "a:0", "a:65536", "[::1", "[::1]5", "[x]:5", "a b", "a\u{1b}b"] {
            assert_eq!(split_host(bad), None, "{bad:?}");
        }
    }
}
