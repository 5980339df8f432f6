//! Two ends on loopback, each what it is in real use; the liars are made of quinn itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quinn::Endpoint;
use quinn::crypto::rustls::QuicClientConfig;
use tokio::join;

use super::*;
use crate::identity::{Identity, PeerId, Signer as _};
use crate::limits::{FRAME_BYTES_MAX, GREETING_BYTES_MAX};
use crate::wire::{DecodeError, FromServer, PeerMessage, RefusalCode, Text, ToServer};

const LOOPBACK: &str = "127.0.0.1:0";

fn peer(seed: u8) -> (PeerEndpoint, PeerId) {
    let identity = Identity::from_seed(&[seed; 32]);
    (PeerEndpoint::bind(LOOPBACK.parse().unwrap(), &identity).unwrap(), identity.id())
}

fn server(limits: ListenerLimits) -> (RendezvousListener, String) {
    let (certificate, key) = ServerKey::new_pem();
    let key = ServerKey::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let listener = RendezvousListener::bind(LOOPBACK.parse().unwrap(), key, limits).unwrap();
    let address = listener.local_addr().to_string();
    (listener, address)
}

fn bye(text: &str) -> PeerMessage {
    PeerMessage::Bye(Text::cut(text))
}

async fn linked() -> ((PeerEndpoint, PeerConnection), (PeerEndpoint, PeerConnection)) {
    let ((a, _), (b, b_id)) = (peer(1), peer(2));
    let candidates = [b.local_addr()];
    let (dialled, accepted) = join!(a.dial(b_id, &candidates), b.accept());
    ((a, dialled.unwrap()), (b, accepted.unwrap()))
}

/// A dialler that says whatever a test wants, from an endpoint of its own.
async fn raw_dial(to: SocketAddr, alpn: &[u8]) -> (Endpoint, Result<quinn::Connection, quinn::ConnectionError>) {
    let (tls, _) = tls::dialling_server_with_alpn(alpn);
    raw_dial_with(to, tls).await
}

async fn raw_dial_with(
    to: SocketAddr,
    tls: Arc<QuicClientConfig>,
) -> (Endpoint, Result<quinn::Connection, quinn::ConnectionError>) {
    let endpoint = Endpoint::client(LOOPBACK.parse().unwrap()).unwrap();
    let connection = endpoint.connect_with(quinn::ClientConfig::new(tls), to, "peer.invalid").unwrap().await;
    (endpoint, connection)
}

#[tokio::test]
async fn both_ends_of_a_link_learn_the_other_key() {
    let ((a, dialled), (b, accepted)) = linked().await;
    assert_eq!(dialled.peer, Identity::from_seed(&[2; 32]).id());
    assert_eq!(accepted.peer, Identity::from_seed(&[1; 32]).id());
    assert!(dialled.dialled && !accepted.dialled);
    assert_eq!((dialled.remote(), accepted.remote()), (b.local_addr(), a.local_addr()));
}

#[tokio::test]
async fn messages_travel_both_ways_and_the_writer_tells_what_has_drained() {
    let ((_a, dialled), (_b, accepted)) = linked().await;
    let drained = Arc::new(AtomicUsize::new(0));
    let (_, mut from_b, to_b) = dialled.open({
        let drained = Arc::clone(&drained);
        move |bytes| {
            drained.fetch_add(bytes, Ordering::SeqCst);
        }
    });
    let (_, mut from_a, to_a) = accepted.open(|_| {});
    let mut queued = 0;
    for number in 0..1000 {
        queued += to_b.send(&bye(&number.to_string())).unwrap();
    }
    to_a.send(&bye("hi")).unwrap();
    for number in 0..1000 {
        assert_eq!(from_a.next().await, Ok(Some(bye(&number.to_string()))));
    }
    assert_eq!(from_b.next().await, Ok(Some(bye("hi"))));
    assert_eq!(drained.load(Ordering::SeqCst), queued);
    to_b.finish().await;
    assert_eq!(from_a.next().await, Ok(None), "an orderly end is no error");
    assert_eq!(to_b.send(&bye("late")), Err(SendError::Gone));
}

#[tokio::test]
async fn a_dial_ends_when_another_key_answers() {
    let ((a, _), (b, _)) = (peer(1), peer(2));
    let stranger = Identity::from_seed(&[9; 32]).id();
    let started = Instant::now();
    assert_eq!(a.dial(stranger, &[b.local_addr()]).await.unwrap_err(), DialError::WrongKey);
    assert!(started.elapsed() < Duration::from_secs(4), "a refusal does not wait for the timeout");
}

#[tokio::test]
async fn a_dead_and_a_wrong_candidate_do_not_hinder_the_right_one() {
    let ((a, _), (b, b_id), (wrong, _)) = (peer(1), peer(2), peer(3));
    let dead = std::net::UdpSocket::bind(LOOPBACK).unwrap();
    let candidates = [dead.local_addr().unwrap(), wrong.local_addr(), b.local_addr()];
    let (dialled, accepted) = join!(a.dial(b_id, &candidates), b.accept());
    assert_eq!(dialled.unwrap().remote(), b.local_addr());
    accepted.unwrap();
}

#[tokio::test]
async fn several_addresses_of_one_peer_make_one_link() {
    let any = "0.0.0.0:0".parse().unwrap();
    let identity = Identity::from_seed(&[2; 32]);
    let ((a, a_id), b) = (peer(1), PeerEndpoint::bind(any, &identity).unwrap());
    let port = b.local_addr().port();
    let candidates = [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]].map(|ip| SocketAddr::new(ip.into(), port));
    let (dialled, accepted) = join!(a.dial(identity.id(), &candidates), b.accept());
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    let (_, _, writer) = dialled.open(|_| {});
    writer.send(&bye("this one")).unwrap();
    let (_, mut reader, _keep) = accepted.open(|_| {});
    assert_eq!(reader.next().await, Ok(Some(bye("this one"))));
    // The losers of the race would be here before the link of another dial is.
    let (again, next) = join!(a.dial(identity.id(), &candidates[..1]), b.accept());
    let (again, next) = (again.unwrap(), next.unwrap());
    assert_eq!(next.peer, a_id);
    let (_, _, writer) = again.open(|_| {});
    writer.send(&bye("the second")).unwrap();
    assert_eq!(next.open(|_| {}).1.next().await, Ok(Some(bye("the second"))));
}

#[tokio::test]
async fn a_dialler_without_a_certificate_is_refused_by_a_peer() {
    let (b, _) = peer(2);
    let (_endpoint, connection) = raw_dial(b.local_addr(), crate::wire::ALPN_PEER).await;
    // TLS 1.3 lets a dialler believe it is connected until the other side has looked at its certificate.
    let error = match connection {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    assert!(format!("{error:?}").contains("certificate"), "{error:?}");
}

#[tokio::test]
async fn another_protocol_is_refused_by_peers_and_servers() {
    let (b, _) = peer(2);
    let (listener, _) = server(ListenerLimits::default());
    for (to, alpn) in [(b.local_addr(), crate::wire::ALPN_RENDEZVOUS), (listener.local_addr(), b"p2pchat-rdv/9")] {
        let (_endpoint, connection) = raw_dial(to, alpn).await;
        let error = connection.unwrap_err().to_string();
        assert!(error.contains("120") || error.to_lowercase().contains("application"), "{error}");
    }
}

#[tokio::test]
async fn a_link_that_begins_with_other_bytes_is_closed() {
    let (b, b_id) = peer(2);
    let (tls, _) = tls::PeerTls::new(&Identity::from_seed(&[1; 32])).dialling(b_id);
    let (_endpoint, connection) = raw_dial_with(b.local_addr(), tls).await;
    let connection = connection.unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(b"GET ").await.unwrap();
    let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else { panic!("not closed") };
    assert_eq!(close.error_code, CloseCode::ProtocolError.as_varint());
}

/// Writes raw bytes on a link to a reader, and gives what the reader makes of them.
async fn read_raw(bytes: &[u8], then_end: bool) -> Result<Option<PeerMessage>, FrameError> {
    let (b, b_id) = peer(2);
    let (tls, _) = tls::PeerTls::new(&Identity::from_seed(&[1; 32])).dialling(b_id);
    let (_endpoint, connection) = raw_dial_with(b.local_addr(), tls).await;
    let (mut send, _recv) = connection.unwrap().open_bi().await.unwrap();
    send.write_all(b"p2p1").await.unwrap();
    send.write_all(bytes).await.unwrap();
    if then_end {
        send.finish().unwrap();
    }
    let (_link, mut reader, _writer) = b.accept().await.unwrap().open(|_| {});
    reader.next().await
}

#[tokio::test]
async fn a_frame_over_the_limit_is_an_error_before_its_bytes_arrive() {
    let claimed = FRAME_BYTES_MAX + 1;
    let header = u32::try_from(claimed).unwrap().to_be_bytes();
    let too_long = DecodeError::TooLong { claimed, limit: FRAME_BYTES_MAX };
    assert_eq!(read_raw(&header, false).await, Err(FrameError::Malformed(too_long)));
    assert_eq!(read_raw(&[0; 4], false).await, Err(FrameError::Malformed(DecodeError::Empty)));
}

#[tokio::test]
async fn unknown_kinds_are_passed_over_and_cut_frames_are_errors() {
    let mut bytes = Vec::new();
    for _ in 0..5000 {
        bytes.extend_from_slice(&[0, 0, 0, 2, 0xee, 7]);
    }
    bytes.extend_from_slice(&crate::wire::frame(&bye("known")));
    assert_eq!(read_raw(&bytes, false).await, Ok(Some(bye("known"))));
    assert_eq!(read_raw(&[0, 0, 0, 9, 10, 1], true).await, Err(FrameError::Cut));
    assert_eq!(read_raw(&[], true).await, Ok(None));
}

#[tokio::test]
async fn a_frame_that_is_never_completed_ends_the_link() {
    let ((_a, dialled), (_b, accepted)) = linked().await;
    let (_link, mut reader, _writer) = accepted.open(|_| {});
    reader.within = Duration::from_millis(50);
    let (mut send, _recv) = dialled.into_raw();
    send.write_all(&[0, 0, 0, 9, 10]).await.unwrap();
    assert_eq!(reader.next().await, Err(FrameError::TooSlow));
}

#[tokio::test]
async fn a_full_queue_is_an_error_and_the_rest_still_arrives() {
    let ((_a, dialled), (_b, accepted)) = linked().await;
    let (_, _reader, writer) = dialled.open(|_| {});
    let mut sent = 0_usize;
    let error = loop {
        match writer.send(&bye(&"x".repeat(256))) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SendError::Full);
    let (_, mut reader, _keep) = accepted.open(|_| {});
    for _ in 0..sent {
        assert!(reader.next().await.unwrap().is_some());
    }
    drop(writer);
    assert_eq!(reader.next().await, Ok(None), "a dropped writer ends its stream");
}

#[tokio::test]
async fn a_close_carries_its_reason_to_the_other_side() {
    let ((_a, dialled), (_b, accepted)) = linked().await;
    let (link, mut reader, _writer) = dialled.open(|_| {});
    accepted.link.close(CloseCode::NotMember, "no room\u{1b}[2J in common");
    assert_eq!(link.closed().await, "closed by the other side: no room\\u{1b}[2J in common");
    assert!(matches!(reader.next().await, Err(FrameError::Lost(_))));
}

#[tokio::test]
async fn both_ends_of_a_server_link_have_the_same_exporter_and_it_differs_each_time() {
    let (listener, address) = server(ListenerLimits::default());
    let (a, _) = peer(1);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let connection = a.dial_server(&address).await.unwrap();
        assert_eq!(connection.certificate.fingerprint, listener.fingerprint());
        assert!(!connection.certificate.publicly_valid);
        assert_eq!(connection.remote, listener.local_addr());
        let exporter = connection.exporter;
        let (_link, mut from_server, to_server) = connection.open(|_| {}).await.unwrap();
        to_server.send(&ToServer::List(())).unwrap();
        let mut client = listener.accept().await.unwrap();
        assert_eq!((client.exporter, client.observed), (exporter, a.local_addr()));
        assert_eq!(client.reader.next().await, Ok(Some(ToServer::List(()))));
        let answer = FromServer::Refused((None, RefusalCode::Invalid, Text::cut("no")));
        client.writer.send(&answer).unwrap();
        assert_eq!(from_server.next().await, Ok(Some(answer)));
        seen.push(exporter);
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_greeting_is_short_until_the_server_allows_more() {
    let (listener, address) = server(ListenerLimits::default());
    let (a, _) = peer(1);
    let (_link, _reader, writer) = a.dial_server(&address).await.unwrap().open(|_| {}).await.unwrap();
    let room = crate::wire::RoomId([0; 32]);
    let candidates = vec!["[2001:db8::1]:9".parse().unwrap(); 8].try_into().unwrap();
    let step = ToServer::Candidates((room, crate::wire::RosterHash([0; 32]), candidates));
    writer.send(&step).unwrap();
    let mut client = listener.accept().await.unwrap();
    client.reader.set_limit(8);
    assert!(matches!(client.reader.next().await, Err(FrameError::Malformed(DecodeError::TooLong { limit: 8, .. }))));
    const { assert!(GREETING_BYTES_MAX < FRAME_BYTES_MAX) };
}

#[tokio::test]
async fn localhost_reaches_a_server_on_ipv4_only_at_once() {
    let (listener, _) = server(ListenerLimits::default());
    let identity = Identity::from_seed(&[1; 32]);
    // Bound to both families, the client also tries ::1, where nobody is. Machines without IPv6 skip that half.
    let a = PeerEndpoint::bind("[::]:0".parse().unwrap(), &identity)
        .or_else(|_| PeerEndpoint::bind("0.0.0.0:0".parse().unwrap(), &identity))
        .unwrap();
    let started = Instant::now();
    let server = format!("localhost:{}", listener.local_addr().port());
    let connection = a.dial_server(&server).await.unwrap();
    assert_eq!(connection.remote, listener.local_addr(), "never a v4-mapped address");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_place_that_is_full_is_told_so() {
    let limits = ListenerLimits { connections_per_address: 1, ..ListenerLimits::default() };
    let (listener, address) = server(limits);
    let (a, _) = peer(1);
    let first = a.dial_server(&address).await.unwrap();
    let (_link, _reader, writer) = first.open(|_| {}).await.unwrap();
    writer.send(&ToServer::List(())).unwrap();
    let kept = listener.accept().await.unwrap();
    let second = a.dial_server(&address).await.unwrap();
    assert!(second.link.closed().await.contains("too many connections"));
    kept.link.close(CloseCode::Normal, "");
    drop(kept);
}

#[tokio::test]
async fn a_place_that_asks_too_often_is_not_answered() {
    let limits = ListenerLimits { handshakes_per_s: 1.try_into().unwrap(), ..ListenerLimits::default() };
    let (_listener, address) = server(limits);
    let (a, _) = peer(1);
    let _first = a.dial_server(&address).await.unwrap();
    let started = Instant::now();
    // Its first packet is dropped without a word; a later one is let in, when the second is over.
    a.dial_server(&address).await.unwrap();
    assert!(started.elapsed() > Duration::from_millis(500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn closing_tells_the_clients() {
    let (listener, address) = server(ListenerLimits::default());
    let (a, _) = peer(1);
    let (link, _reader, writer) = a.dial_server(&address).await.unwrap().open(|_| {}).await.unwrap();
    writer.send(&ToServer::List(())).unwrap();
    let _client = listener.accept().await.unwrap();
    listener.close(CloseCode::GoingAway, "the server is shutting down").await;
    assert_eq!(link.closed().await, "closed by the other side: the server is shutting down");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let (b, _) = peer(2);
    let error = PeerEndpoint::bind(b.local_addr(), &Identity::from_seed(&[1; 32])).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

/// Ends a runtime as a kill ends a process: nothing more is sent.
fn kill(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(5));
}

#[test]
fn a_killed_server_that_is_started_again_resets_the_connections_to_its_former_self() {
    let (certificate, key) = ServerKey::new_pem();
    let key = || ServerKey::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, client) = (runtime(), runtime());
    let listener = server.block_on(async {
        RendezvousListener::bind(LOOPBACK.parse().unwrap(), key(), ListenerLimits::default()).unwrap()
    });
    let address = listener.local_addr();
    let (endpoint, link, _reader, writer) = client.block_on(async {
        let (endpoint, _) = peer(1);
        let connection = endpoint.dial_server(&address.to_string()).await.unwrap();
        let (link, reader, writer) = connection.open(|_| {}).await.unwrap();
        (endpoint, link, reader, writer)
    });
    kill(server);
    drop(listener);
    let server = runtime();
    let _listener =
        server.block_on(async { RendezvousListener::bind(address, key(), ListenerLimits::default()).unwrap() });
    client.block_on(async {
        writer.send(&ToServer::List(())).unwrap();
        let why = tokio::time::timeout(Duration::from_secs(5), link.closed()).await;
        assert_eq!(why.as_deref(), Ok("reset by peer"));
    });
    drop(endpoint);
}
