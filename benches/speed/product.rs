//! The product, with everything on: chats as `p2pchat` starts them, each with a history on disk, at a server in this
//! process. They knock and answer as people do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use p2pchat::net::ServerKey;
use p2pchat::peer;
use p2pchat::peer::api::{
    Command, EntryId, Event, Events, Keep, KnockRef, Options, Path, Person, Quota, RoomName, Settings,
};
use p2pchat::server::{Server, config};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::cases::{Ledger, Mesh};

/// How long a room may take to fill up.
const SETUP_WITHIN: Duration = Duration::from_secs(120);

pub struct Product {
    room: RoomName,
    members: Vec<(mpsc::Sender<Command>, Arc<Face>)>,
    commits: Arc<AtomicU64>,
    _server: Server,
    _folder: TempDir,
}

/// What a member's user has seen.
#[derive(Default)]
struct Face {
    said: AtomicU64,
    /// How many of our own lines came back as kept, the newest of them, and the newest that all others have.
    own: Mutex<(u64, Option<EntryId>, Option<EntryId>)>,
    seats: Mutex<Vec<Person>>,
}

impl Mesh for Product {
    fn size(&self) -> usize {
        self.members.len()
    }

    async fn say(&self, member: usize, line: String) {
        let (commands, face) = &self.members[member];
        face.said.fetch_add(1, Ordering::Relaxed);
        let say = Command::Say { room: self.room.clone(), text: line };
        commands.send(say).await.expect("chats live as long as the room");
    }

    fn confirmed(&self) -> bool {
        self.members.iter().all(|(_, face)| {
            let (kept, newest, confirmed) = *face.own.lock().expect("nobody panics with the lock");
            kept == face.said.load(Ordering::Relaxed) && newest == confirmed
        })
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Product {
    pub async fn new(size: usize, ledger: Arc<Ledger>, commits: Arc<AtomicU64>) -> Self {
        // Beside the build, which is on a disk; /tmp may be memory.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let (chain, key) = ServerKey::new_pem();
        let key = ServerKey::from_pem(chain.as_bytes(), key.as_bytes()).expect("its own key");
        let config = config::Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            handshakes_per_s: 1000.try_into().expect("not zero"),
            ..config::Config::default()
        };
        let server = Server::start(&config, None, key).expect("a server");
        let room: RoomName = "lobby".parse().expect("a name");
        let mut members: Vec<(mpsc::Sender<Command>, Arc<Face>)> = Vec::new();
        for number in 0..size {
            let options = Options {
                name: format!("member{number}").parse().expect("a name"),
                data_dir: folder.path().join(number.to_string()),
                server: server.local_addr().to_string(),
                password: None,
                listen: config.listen,
                listed: false,
                visiting: false,
                scrollback: 0,
                keep: Keep::default(),
                quota: Quota::default(),
                ephemeral: false,
                serverless: false,
                certificate: None,
                announce: false,
                map_port: false,
                ask_before_pinning: false,
            };
            let chat = peer::start(options).await.expect("a chat");
            let face = Arc::new(Face::default());
            tokio::spawn(watch(chat.events, chat.commands.clone(), face.clone(), ledger.clone()));
            let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
            let first = if number == 0 {
                Command::Create { room: room.clone(), size: size as u16, settings }
            } else {
                Command::Join(room.clone())
            };
            // The server is dialled in the background; a face asks when it is there.
            let up = Instant::now();
            while face.seats.lock().expect("nobody panics with the lock").is_empty() {
                assert!(up.elapsed() < SETUP_WITHIN, "member {number} does not get in");
                let _ = chat.commands.send(first.clone()).await;
                for _ in 0..100 {
                    if !face.seats.lock().expect("nobody panics with the lock").is_empty() {
                        break;
                    }
                    let _ = chat.commands.send(Command::Members(room.clone())).await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            members.push((chat.commands, face));
            linked(&members, &room).await;
        }
        Product { room, members, commits, _server: server, _folder: folder }
    }
}

/// Waits until every member has a link with every other.
async fn linked(members: &[(mpsc::Sender<Command>, Arc<Face>)], room: &RoomName) {
    let begun = Instant::now();
    for (commands, face) in members {
        loop {
            let direct =
                |seats: &[Person]| seats.iter().filter(|seat| matches!(seat.path, Path::Direct { .. })).count();
            if direct(&face.seats.lock().expect("nobody panics with the lock")) + 1 >= members.len() {
                break;
            }
            assert!(begun.elapsed() < SETUP_WITHIN, "the members don't find each other");
            let _ = commands.send(Command::Members(room.clone())).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A user who lets everybody in and reads as fast as they can.
async fn watch(mut events: Events, commands: mpsc::Sender<Command>, face: Arc<Face>, ledger: Arc<Ledger>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Message { mine: false, text, .. } => ledger.note(&text),
            Event::Message { mine: true, id, .. } => {
                let mut own = face.own.lock().expect("nobody panics with the lock");
                own.0 += 1;
                own.1 = Some(id);
            }
            Event::Delivered { id, to, of, .. } if to == of => {
                face.own.lock().expect("nobody panics with the lock").2 = Some(id);
            }
            Event::Knock { knock, .. } => {
                let _ = commands.send(Command::Approve(KnockRef::Id(knock))).await;
            }
            Event::Members { members, .. } => {
                *face.seats.lock().expect("nobody panics with the lock") = members;
            }
            Event::Misbehaviour { .. } | Event::MemberLeft { .. } | Event::Left { .. } => eprintln!("{event:?}"),
            _ => {}
        }
    }
}
