//! A real server on loopback, and clients made of the same parts that a peer uses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Server;
use super::config::Config;
use crate::identity::{Identity, Name, Signer as _, Verified};
use crate::limits::{CLIENT_MESSAGES_PER_S, HELLO_WITHIN_S};
use crate::net::{PeerEndpoint, Reader, ServerConnection, ServerKey, Writer};
use crate::wire::{FromServer, Hello, RefusalCode, ToServer};

fn start(config: Config, data_dir: Option<&std::path::Path>) -> Server {
    let (certificate, key) = ServerKey::new_pem();
    let key = ServerKey::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..config };
    Server::start(&config, data_dir, key).unwrap()
}

struct Client {
    name: Name,
    identity: Identity,
    endpoint: PeerEndpoint,
}

impl Client {
    fn new(seed: u8) -> Self {
        let identity = Identity::from_seed(&[seed; 32]);
        let endpoint = PeerEndpoint::bind("127.0.0.1:0".parse().unwrap(), &identity).unwrap();
        let letter = |number: u8| char::from(b'a' + number);
        let name = format!("guest-{}{}", letter(seed / 26), letter(seed % 26)).parse().unwrap();
        Client { name, identity, endpoint }
    }

    async fn connect(&self, server: &Server) -> ServerConnection {
        self.endpoint.dial_server(&server.local_addr().to_string()).await.unwrap()
    }

    fn hello(&self, exporter: [u8; 32], password: Option<&str>) -> ToServer {
        let hello = Hello { exporter, key: self.identity.id(), name: self.name.clone(), listed: false };
        let password = password.map(|password| password.to_owned().try_into().unwrap());
        ToServer::Hello((Verified::sign(hello, &self.identity).into_signed(), password))
    }

    async fn log_in(&self, server: &Server, password: Option<&str>) -> (Reader<FromServer>, Writer<ToServer>) {
        let connection = self.connect(server).await;
        let exporter = connection.exporter;
        let (_link, reader, writer) = connection.open(|_| {}).await.unwrap();
        writer.send(&self.hello(exporter, password)).unwrap();
        (reader, writer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_logs_in_and_is_told_where_it_is_seen() {
    let server = start(Config::default(), None);
    let client = Client::new(1);
    let (mut reader, writer) = client.log_in(&server, None).await;
    assert_eq!(reader.next().await, Ok(Some(FromServer::Welcome(client.endpoint.local_addr()))));
    writer.send(&ToServer::List(())).unwrap();
    assert!(matches!(reader.next().await, Ok(Some(FromServer::Rooms(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_lists_without_a_hello_and_is_closed_to_when_done() {
    let server = start(Config::default(), None);
    let client = Client::new(1);
    let (link, mut reader, writer) = client.connect(&server).await.open(|_| {}).await.unwrap();
    writer.send(&ToServer::Visit(None)).unwrap();
    assert!(matches!(reader.next().await, Ok(Some(FromServer::Welcome(_)))));
    writer.send(&ToServer::List(())).unwrap();
    assert!(matches!(reader.next().await, Ok(Some(FromServer::Rooms(_)))));
    writer.finish().await;
    // The server has read all, so it closes; the client need not wait for its own patience to end.
    tokio::time::timeout(std::time::Duration::from_secs(1), link.closed()).await.expect("the server closes at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_for_another_connection_is_refused() {
    let server = start(Config::default(), None);
    let client = Client::new(1);
    let (_link, mut reader, writer) = client.connect(&server).await.open(|_| {}).await.unwrap();
    writer.send(&client.hello([7; 32], None)).unwrap();
    match reader.next().await {
        Ok(Some(FromServer::Refused(_)) | None) | Err(_) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_in_words_before_the_connection_ends() {
    let server = start(Config { password: Some("right".to_owned()), ..Config::default() }, None);
    let client = Client::new(1);
    for wrong in [None, Some("wrong")] {
        let (mut reader, _writer) = client.log_in(&server, wrong).await;
        let answer = reader.next().await;
        assert!(matches!(answer, Ok(Some(FromServer::Refused((None, RefusalCode::Password, _))))), "{answer:?}");
        assert_eq!(reader.next().await, Ok(None));
    }
    let (mut reader, _writer) = client.log_in(&server, Some("right")).await;
    assert!(matches!(reader.next().await, Ok(Some(FromServer::Welcome(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_anything_before_the_hello_is_let_go() {
    let server = start(Config::default(), None);
    let client = Client::new(1);
    let (link, _reader, writer) = client.connect(&server).await.open(|_| {}).await.unwrap();
    writer.send(&ToServer::List(())).unwrap();
    assert!(link.closed().await.contains("no hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_let_go_in_time() {
    let server = start(Config::default(), None);
    let client = Client::new(1);
    let connection = client.connect(&server).await;
    let started = Instant::now();
    assert!(connection.link.closed().await.contains("no hello"));
    assert!(started.elapsed() < Duration::from_secs(HELLO_WITHIN_S * 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_messages_is_slowed_down_and_hinders_nobody() {
    let server = start(Config::default(), None);
    let (flooder, other) = (Client::new(1), Client::new(2));
    let (mut reader, writer) = flooder.log_in(&server, None).await;
    assert!(matches!(reader.next().await, Ok(Some(FromServer::Welcome(_)))));
    let flood = CLIENT_MESSAGES_PER_S * 12;
    for _ in 0..flood {
        writer.send(&ToServer::List(())).unwrap();
    }
    let started = Instant::now();
    let (mut others, _writer) = other.log_in(&server, None).await;
    assert!(matches!(others.next().await, Ok(Some(FromServer::Welcome(_)))));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    for _ in 0..flood {
        assert!(reader.next().await.unwrap().is_some());
    }
    // The burst is ten seconds' worth; the rest comes at its pace.
    assert!(started.elapsed() > Duration::from_millis(1500), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_tells_the_clients_and_a_name_survives_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(Config::default(), Some(dir.path()));
    let client = Client::new(1);
    let connection = client.connect(&server).await;
    let exporter = connection.exporter;
    let (link, mut reader, writer) = connection.open(|_| {}).await.unwrap();
    writer.send(&client.hello(exporter, None)).unwrap();
    assert!(matches!(reader.next().await, Ok(Some(FromServer::Welcome(_)))));
    server.stop().await;
    assert_eq!(link.closed().await, "closed by the other side: the server is shutting down");

    let server = start(Config::default(), Some(dir.path()));
    // Another key under the first one's name.
    let thief = Identity::from_seed(&[9; 32]);
    let connection = client.connect(&server).await;
    let hello = Hello { exporter: connection.exporter, key: thief.id(), name: client.name.clone(), listed: false };
    let (_link, mut reader, writer) = connection.open(|_| {}).await.unwrap();
    writer.send(&ToServer::Hello((Verified::sign(hello, &thief).into_signed(), None))).unwrap();
    let answer = reader.next().await;
    assert!(matches!(answer, Ok(Some(FromServer::Refused((_, RefusalCode::NameTaken, _))))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_an_error_with_a_hint() {
    let server = start(Config::default(), None);
    let (certificate, key) = ServerKey::new_pem();
    let key = ServerKey::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let config = Config { listen: server.local_addr(), ..Config::default() };
    let error = Server::start(&config, None, key).unwrap_err();
    assert!(error.hint().contains("--listen"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_come_and_go() {
    let config = Config { handshakes_per_s: 1000.try_into().unwrap(), ..Config::default() };
    let server = Arc::new(start(config, None));
    let mut clients = tokio::task::JoinSet::new();
    for seed in 0..40 {
        let server = Arc::clone(&server);
        clients.spawn(async move {
            let client = Client::new(seed);
            let (mut reader, writer) = client.log_in(&server, None).await;
            assert!(matches!(reader.next().await, Ok(Some(FromServer::Welcome(_)))));
            writer.finish().await;
            assert_eq!(reader.next().await.unwrap_or(None), None);
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
}
