//! A server that lies: the honest rendezvous with its listener, in this process, and a filter over what it says. It hears
//! everything that any server hears, so that it can say whatever a server could.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Instant, SystemTime};

use p2pchat::core::Now;
use p2pchat::core::rendezvous::{Config, Input, Kept, Output, Rendezvous, SessionId};
use p2pchat::identity::{Ed25519, PeerId};
use p2pchat::net::{ClientConnection, Link, ListenerLimits, RendezvousListener, ServerKey, Writer};
use p2pchat::wire::{FromServer, ToServer};
use tokio::runtime::Runtime;

use crate::harness::DEADLINE;

/// What of an honest server's words reaches a client: its name, the message.
type Filter = Box<dyn FnMut(&str, &FromServer) -> bool + Send>;

struct Client {
    name: String,
    key: Option<PeerId>,
    writer: Writer<FromServer>,
    link: Link,
}

/// All that the server knows.
pub struct Mind {
    rendezvous: Rendezvous,
    clients: BTreeMap<SessionId, Client>,
    passes: Filter,
    started: Instant,
    /// What clients said, by name.
    pub heard: Vec<(String, ToServer)>,
    /// What clients were told, honestly or not, by name.
    pub told: Vec<(String, FromServer)>,
}

impl Mind {
    fn handle(&mut self, input: Input) {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = Now {
            mono_ms: self.started.elapsed().as_millis().try_into().unwrap(),
            wall_ms: wall.as_millis().try_into().unwrap(),
        };
        let mut out = Vec::new();
        self.rendezvous.handle(now, input, &mut out);
        for output in out {
            match output {
                Output::Send { session, message } => {
                    let name = self.clients.get(&session).map(|it| it.name.clone()).unwrap_or_default();
                    if (self.passes)(&name, &message) {
                        self.send(session, message);
                    }
                }
                Output::Close { session, .. } => drop(self.clients.remove(&session)),
                Output::Persist(_) => {}
            }
        }
    }

    fn send(&mut self, session: SessionId, message: FromServer) {
        if let Some(client) = self.clients.get(&session) {
            let _ = client.writer.send(&message);
            self.told.push((client.name.clone(), message));
        }
    }

    /// Says something to a client that no honest server would.
    pub fn tell(&mut self, name: &str, message: FromServer) {
        let session = self.clients.iter().find(|(_, client)| client.name == name).map(|(session, _)| *session);
        self.send(session.unwrap_or_else(|| panic!("{name} is not connected")), message);
    }

    /// Where a client is.
    pub fn observed(&self, name: &str) -> std::net::SocketAddr {
        self.clients.values().find(|client| client.name == name).unwrap().link.remote()
    }

    /// A client's key.
    pub fn key(&self, name: &str) -> PeerId {
        self.clients.values().find(|client| client.name == name).and_then(|client| client.key).unwrap()
    }
}

/// The server, while it runs.
pub struct Liar {
    shared: Arc<(Mutex<Mind>, Condvar)>,
    runtime: Option<Runtime>,
    pub address: String,
}

impl Liar {
    /// Starts honestly.
    pub fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let (chain, key) = ServerKey::new_pem();
        let key = ServerKey::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let limits = ListenerLimits::default();
        let listener =
            runtime.block_on(async { RendezvousListener::bind("127.0.0.1:0".parse().unwrap(), key, limits) });
        let listener = listener.unwrap();
        let address = listener.local_addr().to_string();
        let mind = Mind {
            rendezvous: Rendezvous::new(Config::default(), Arc::new(Ed25519), Kept::default()),
            clients: BTreeMap::new(),
            passes: Box::new(|_, _| true),
            started: Instant::now(),
            heard: Vec::new(),
            told: Vec::new(),
        };
        let shared = Arc::new((Mutex::new(mind), Condvar::new()));
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Liar { shared, runtime: Some(runtime), address }
    }

    /// Its mind, to look into and to speak from.
    pub fn mind(&self) -> MutexGuard<'_, Mind> {
        self.shared.0.lock().unwrap()
    }

    /// From now on only those honest messages pass that `passes` lets through.
    pub fn filter(&self, passes: impl FnMut(&str, &FromServer) -> bool + Send + 'static) {
        self.mind().passes = Box::new(passes);
    }

    /// Waits until a client said something that `look` finds.
    #[track_caller]
    pub fn hears<T>(&self, mut look: impl FnMut(&str, &ToServer) -> Option<T>) -> T {
        let mut mind = self.mind();
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = mind.heard.iter().find_map(|(name, message)| look(name, message)) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no client said that; they said {:?}", mind.heard);
            mind = self.shared.1.wait_timeout(mind, left).unwrap().0;
        }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.runtime.take().expect("it is taken only here").shutdown_background();
    }
}

async fn accept(listener: RendezvousListener, shared: Arc<(Mutex<Mind>, Condvar)>) {
    let mut sessions = 0;
    while let Some(client) = listener.accept().await {
        sessions += 1;
        tokio::spawn(serve(client, SessionId(sessions), Arc::clone(&shared)));
    }
}

async fn serve(client: ClientConnection, session: SessionId, shared: Arc<(Mutex<Mind>, Condvar)>) {
    let ClientConnection { observed, exporter, link, mut reader, writer } = client;
    reader.set_limit(usize::MAX);
    {
        let mut mind = shared.0.lock().unwrap();
        mind.clients.insert(session, Client { name: String::new(), key: None, writer, link });
        mind.handle(Input::Connected { session, observed, exporter });
    }
    while let Ok(Some(message)) = reader.next().await {
        let mut mind = shared.0.lock().unwrap();
        if let (ToServer::Hello((hello, _)), Some(client)) = (&message, mind.clients.get_mut(&session)) {
            client.name = hello.unverified().name.to_string();
            client.key = Some(hello.unverified().key);
        }
        let name = mind.clients.get(&session).map(|client| client.name.clone()).unwrap_or_default();
        mind.heard.push((name, message.clone()));
        mind.handle(Input::Message { session, message });
        shared.1.notify_all();
    }
    let mut mind = shared.0.lock().unwrap();
    mind.handle(Input::Disconnected { session });
    mind.clients.remove(&session);
}
