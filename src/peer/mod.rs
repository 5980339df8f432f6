//! The chat program without a face: the driver that carries out what the core decides.
//!
//! [`start`] is the only door; behind it run one loop (`driver`), one task for the server, and one per link.

pub mod api;
pub mod config;
pub mod doctor;
mod driver;
mod guests;
pub mod history;
pub mod identity_file;
mod keeping;
pub mod lan;
pub mod membership;
pub mod pins;
mod port;
pub mod quota;
pub mod read_marks;
mod server_task;
mod told;
mod watch;
mod wires;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use self::api::{Chat, Event, Events, Options, StartError};
use self::driver::{Arrival, Driver, Parts};
use self::pins::Pins;
use self::server_task::{Aim, ServerTask};
use crate::core::io::Kept;
use crate::core::node::{Config, Node};
use crate::identity::{Ed25519, Identity, PeerId, Signer as _};
use crate::net::{Mapping, PeerEndpoint};
use crate::store::peer::{PeerStore, Salvaged};

/// The name of the history in the data folder.
const HISTORY_FILE_NAME: &str = "history.db";

/// Commands and arrivals that wait; beyond that whoever brings more waits too.
const WAITING_MAX: usize = 1024;

/// Starts a chat: its identity, its history, its socket. The server is dialled in the background, for as long as the chat
/// runs; nothing waits for it.
///
/// # Errors
/// [`StartError`] when one of the three can't be had.
pub async fn start(options: Options) -> Result<Chat, StartError> {
    start_on(options, PeerEndpoint::bind).await
}

/// As [`start`], on a socket that only tests have.
#[cfg(test)]
pub(crate) async fn start_under(options: Options, weather: crate::net::shim::Weather) -> Result<Chat, StartError> {
    start_on(options, |listen, identity| PeerEndpoint::bind_under(listen, identity, weather)).await
}

/// As [`start`], on any socket. On a runtime with one thread all runs on that one, in a local set: so a test may stop the clock.
#[cfg(test)]
pub(crate) async fn start_over(options: Options, socket: crate::net::shim::Plug) -> Result<Chat, StartError> {
    start_on(options, |_, identity| PeerEndpoint::over(Arc::clone(&socket), identity)).await
}

/// Whether there is one thread for everything, which only tests do.
fn is_alone() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}

/// Work that takes a while, with what else runs on this thread moved away.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    if is_alone() { work() } else { tokio::task::block_in_place(work) }
}

async fn start_on(
    options: Options,
    bind: impl Fn(SocketAddr, &Identity) -> Result<PeerEndpoint, std::io::Error>,
) -> Result<Chat, StartError> {
    let (identity, newborn) = identity_file::load_or_create(&options.data_dir)?;
    let (lock, Opened { store, kept, damaged }) =
        if options.visiting { visit()? } else { settle(&options, identity.id())? };
    let listen = options.listen;
    let wanted = if options.visiting { listen } else { port::last(&options.data_dir, listen) };
    // Somebody else may have taken the port that we had.
    let endpoint = bind(wanted, &identity)
        .or_else(|_| bind(listen, &identity))
        .map_err(|why| StartError::Listen { listen, why })?;
    if !options.visiting {
        port::remember(&options.data_dir, endpoint.local_addr());
    }
    let endpoint = Arc::new(endpoint);

    let config = Config {
        name: options.name.clone(),
        listed: options.listed,
        password: options.password.clone(),
        visiting: options.visiting,
        seed: rand::random(),
    };
    let fingerprint = identity.id().fingerprint();
    let node = Node::new(config, Arc::new(identity), Arc::new(Ed25519), Kept { newborn, ..kept });

    let (commands_in, commands) = mpsc::channel(WAITING_MAX);
    let (events, events_out) = Events::channel();
    let chat = Chat::new(commands_in, events_out);
    let leaving = Arc::clone(&chat.leaving);
    let (to_self, arrivals) = mpsc::channel(WAITING_MAX);
    let (pin_answers, answers) = mpsc::channel(1);
    let roused = Arc::new(Notify::new());

    let (name, ephemeral, data_dir) = (options.name.clone(), options.ephemeral, options.data_dir.clone());
    let ready = Event::Ready { name, fingerprint, ephemeral, data_dir };
    events.tell(ready).await;
    if let Some(salvaged) = damaged {
        events.tell(keeping::damaged(salvaged)).await;
    }
    let server = (!options.serverless).then(|| options.server.clone());
    let (aim, aims) = tokio::sync::watch::channel(Aim { server, hosts: Vec::new() });
    let server = ServerTask {
        endpoint: Arc::clone(&endpoint),
        aim: aims,
        certificate: options.certificate,
        pins: Pins::in_dir(&options.data_dir),
        ask: options.ask_before_pinning,
        answers,
        arrivals: to_self.clone(),
        roused: Arc::clone(&roused),
    };
    let server = tokio::spawn(server.run());
    tokio::spawn(accept(Arc::clone(&endpoint), to_self.clone()));
    tokio::spawn(guests::accept(Arc::clone(&endpoint), to_self.clone()));
    let mapping = (options.map_port && !options.visiting).then(|| {
        let (told, mut hears) = mpsc::channel(1);
        let to_driver = to_self.clone();
        tokio::spawn(async move {
            while let Some(outer) = hears.recv().await {
                if to_driver.send(Arrival::Mapped(outer)).await.is_err() {
                    return;
                }
            }
        });
        Mapping::keep(endpoint.local_addr(), Arc::clone(&roused), told)
    });
    let parts = Parts { node, store, endpoint, commands, leaving, events, arrivals, to_self, pin_answers, roused, aim };
    let driver = Driver::new(&options, parts);
    #[cfg(test)]
    if is_alone() {
        tokio::task::spawn_local(async move {
            driver.run(mapping).await;
            server.abort();
            drop(lock);
        });
        return Ok(chat);
    }
    // A thread of its own, since the loop waits for the disk: moving a worker's tasks away for each flush costs more than
    // the flush.
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        runtime.block_on(driver.run(mapping));
        server.abort();
        drop(lock);
    });
    Ok(chat)
}

/// The history, and what a peer goes on from.
struct Opened {
    store: PeerStore,
    kept: Kept,
    damaged: Option<Salvaged>,
}

/// The history, and the lock that keeps it ours.
fn settle(options: &Options, me: PeerId) -> Result<(Option<File>, Opened), StartError> {
    let lock = lock(&options.data_dir)?;
    let file = options.data_dir.join(HISTORY_FILE_NAME);
    let failed = |why| cant_open(&file, &why);
    let (store, kept, damaged) = PeerStore::open_or_salvage(&file, me, &keeping::today(), &Ed25519).map_err(failed)?;
    if !options.ephemeral {
        store.lengthen_journal(&file);
        return Ok((Some(lock), Opened { store, kept, damaged }));
    }
    let store = store.passing(me).map_err(failed)?;
    let kept = store.load().map_err(failed)?;
    Ok((Some(lock), Opened { store, kept, damaged }))
}

/// Whoever only looks has no history.
fn visit() -> Result<(Option<File>, Opened), StartError> {
    let store = PeerStore::in_memory().map_err(|why| cant_open(Path::new("memory"), &why))?;
    Ok((None, Opened { store, kept: Kept::default(), damaged: None }))
}

fn cant_open(file: &Path, why: &crate::store::StoreError) -> StartError {
    StartError::Store { file: file.to_owned(), why: why.to_string() }
}

/// Two chats on one identity would both write its log, which others must take for a forgery.
fn lock(data_dir: &Path) -> Result<File, StartError> {
    let file = data_dir.join("lock");
    let failed = |why: String| StartError::Store { file: data_dir.to_owned(), why };
    let lock = File::create(&file).map_err(|error| failed(error.to_string()))?;
    lock.try_lock().map_err(|_| StartError::Busy { data_dir: data_dir.to_owned() })?;
    Ok(lock)
}

async fn accept(endpoint: Arc<PeerEndpoint>, arrivals: mpsc::Sender<Arrival>) {
    while let Some(connection) = endpoint.accept().await {
        if arrivals.send(Arrival::Accepted(connection)).await.is_err() {
            return;
        }
    }
}
