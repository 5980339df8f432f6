//! How much and how long: windows, timers, and the codes by which a connection is closed.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{AsyncUdpSocket, Endpoint, IdleTimeout, Runtime as _, TokioRuntime, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};

use super::reset::surviving_restarts;
use crate::limits::*;

/// Why a connection is closed, as a QUIC application error code. The gaps are taken by later versions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// Nothing is left to say.
    Normal = 0,
    /// Another connection between the same two is used.
    Duplicate = 1,
    /// The other side is in no room with this one.
    NotMember = 3,
    /// Neither side needs a link with the other, in a room where not everybody has one with everybody.
    Surplus = 4,
    /// The other side broke a rule of the protocol.
    ProtocolError = 5,
    /// Too much at once, or too slow in taking what it asked for.
    Overloaded = 7,
    /// This side is shutting down.
    GoingAway = 9,
}

impl CloseCode {
    pub(super) fn as_varint(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }
}

/// A socket; `[::]` takes IPv4 too.
///
/// # Errors
/// When the address is in use or not ours.
pub(super) fn bind(listen: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.is_ipv6() {
        // A system that has no such sockets leaves us with IPv6 alone.
        let _ = socket.set_only_v6(false);
    }
    socket.bind(&listen.into())?;
    Ok(socket.into())
}

/// The socket as QUIC uses it.
pub(super) fn for_quic(socket: UdpSocket) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
    TokioRuntime.wrap_udp_socket(socket)
}

/// An endpoint on a socket. `secret` is the program's private key.
pub(super) fn endpoint(
    socket: Arc<dyn AsyncUdpSocket>,
    accepting: quinn::ServerConfig,
    secret: &[u8],
) -> std::io::Result<Endpoint> {
    let config = surviving_restarts(secret);
    Endpoint::new_with_abstract_socket(config, Some(accepting), socket, Arc::new(TokioRuntime))
}

/// What both kinds of accepting have in common: little is held for those who have not been answered yet, and a token from
/// an earlier visit proves nothing.
pub(super) fn accepting(tls: Arc<QuicServerConfig>, transport: TransportConfig, at_once: usize) -> quinn::ServerConfig {
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    let mut config = quinn::ServerConfig::with_crypto(tls);
    config
        .transport_config(Arc::new(transport))
        .validation_token_config(tokens)
        .max_incoming(at_once * 2)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX * at_once as u64);
    config
}

/// Between two members, either role.
pub(super) fn between_peers() -> TransportConfig {
    let mut transport = bounded(PEER_IDLE_S, PEER_STREAM_WINDOW_BYTES, PEER_WINDOW_BYTES);
    transport
        .keep_alive_interval(Some(Duration::from_secs(PEER_KEEP_ALIVE_S)))
        .initial_rtt(Duration::from_millis(PEER_INITIAL_RTT_MS))
        .send_window(PEER_SEND_WINDOW_BYTES);
    transport
}

/// A client's side towards its server. The client keeps the connection alive, since it is the one behind a NAT.
pub(super) fn towards_server() -> TransportConfig {
    let mut transport = bounded(SERVER_IDLE_S, SERVER_STREAM_WINDOW_BYTES, SERVER_WINDOW_BYTES);
    transport
        .keep_alive_interval(Some(Duration::from_secs(SERVER_KEEP_ALIVE_S)))
        .send_window(u64::from(SERVER_WINDOW_BYTES));
    transport
}

/// A newcomer's side towards the member that it knocks at.
pub(super) fn towards_host() -> TransportConfig {
    let mut transport = bounded(HOST_IDLE_S, SERVER_STREAM_WINDOW_BYTES, SERVER_WINDOW_BYTES);
    transport
        .keep_alive_interval(Some(Duration::from_secs(HOST_KEEP_ALIVE_S)))
        .initial_rtt(Duration::from_millis(PEER_INITIAL_RTT_MS))
        .send_window(u64::from(SERVER_WINDOW_BYTES));
    transport
}

/// A server's side towards a client. No search for larger packets: with many idle clients it costs more than it brings.
pub(super) fn towards_client() -> TransportConfig {
    let mut transport = bounded(SERVER_IDLE_S, SERVER_STREAM_WINDOW_BYTES, SERVER_WINDOW_BYTES);
    transport.mtu_discovery_config(None).send_window(u64::from(SERVER_WINDOW_BYTES));
    transport
}

fn bounded(idle_s: u64, stream_window: u32, window: u32) -> TransportConfig {
    let idle = IdleTimeout::try_from(Duration::from_secs(idle_s)).expect("seconds in limits.rs fit a QUIC varint");
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle))
        .stream_receive_window(stream_window.into())
        .receive_window(window.into())
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(STREAMS_MAX.into())
        .datagram_receive_buffer_size(None);
    transport
}
