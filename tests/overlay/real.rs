//! The real thing: seventy-two chats as `p2pchat` starts them, each with its own socket and its history on disk, in one room,
//! on this machine, without a server.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use p2pchat::core::io::Change;
use p2pchat::identity::{Identity, Signer as _, Verified};
use p2pchat::peer::api::{
    Chat, Command, Event, Events, Keep, Options, Path, Person, Quota, RoomId, RoomName, Settings,
};
use p2pchat::peer::{self, identity_file};
use p2pchat::store::peer::PeerStore;
use p2pchat::wire::{Few, Genesis, Member, ProposalHash, Roster, RosterHash};
use tempfile::TempDir;
use tokio::sync::mpsc;

const PEOPLE: usize = 72;

/// How long anything may take on a machine that has other things to do.
const WITHIN: Duration = Duration::from_secs(240);

/// What a member's user has seen.
#[derive(Default)]
struct Face {
    texts: BTreeMap<String, usize>,
    members: Vec<Person>,
    /// Own lines that everybody has.
    delivered: usize,
}

struct Seat {
    commands: mpsc::Sender<Command>,
    face: Arc<Mutex<Face>>,
}

fn lobby() -> RoomName {
    "lobby".parse().unwrap()
}

/// The room as each of its members had it on disk when they last went.
fn room_of(identities: &[Identity]) -> (Change, RoomId) {
    let name = |who: usize| format!("p{who}").parse().unwrap();
    let settings = Settings { consent_timeout_s: 60, grace_s: 3_600 };
    let creator = &identities[0];
    let genesis =
        Genesis { name: lobby(), size: 256, creator: creator.id(), creator_name: name(0), nonce: [7; 16], settings };
    let genesis = Verified::sign(genesis, creator);
    let room = RoomId(genesis.digest());
    let members = identities.iter().enumerate().map(|(who, one)| Member { key: one.id(), name: name(who) });
    let (previous, cause) = (RosterHash([1; 32]), ProposalHash([2; 32]));
    let base = Roster { room, epoch: 71, previous, members: Few::first_of(members), cause };
    (Change::Entered { genesis: genesis.into_signed(), base }, room)
}

async fn watch(mut chat: Events, face: Arc<Mutex<Face>>) {
    while let Some(event) = chat.recv().await {
        let mut face = face.lock().unwrap();
        match event {
            Event::Message { text, .. } => *face.texts.entry(text).or_default() += 1,
            Event::Members { members, .. } => face.members = members,
            Event::Delivered { to, of, .. } if to == of => face.delivered += 1,
            _ => {}
        }
    }
}

async fn everybody_in(folder: &TempDir) -> Vec<Seat> {
    let folders: Vec<_> = (0..PEOPLE).map(|who| folder.path().join(who.to_string())).collect();
    let identities: Vec<Identity> = folders.iter().map(|dir| identity_file::load_or_create(dir).unwrap().0).collect();
    let sockets: Vec<UdpSocket> = folders.iter().map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    drop(sockets);
    let (entered, room) = room_of(&identities);
    let known = identities.iter().zip(&addresses).map(|(one, address)| (one.id(), vec![*address])).collect();
    let known = Change::Addresses { room, addresses: known };
    let mut seats = Vec::new();
    for (who, data_dir) in folders.into_iter().enumerate() {
        PeerStore::open(&data_dir.join("history.db")).unwrap().apply([&entered, &known]).unwrap();
        let options = Options {
            name: format!("p{who}").parse().unwrap(),
            data_dir,
            server: "127.0.0.1:1".to_owned(),
            password: None,
            listen: addresses[who],
            listed: false,
            visiting: false,
            scrollback: 0,
            keep: Keep::default(),
            quota: Quota::default(),
            ephemeral: false,
            serverless: true,
            certificate: None,
            announce: false,
            map_port: false,
            ask_before_pinning: false,
        };
        let Chat { commands, events, .. } = peer::start(options).await.unwrap();
        let face = Arc::default();
        tokio::spawn(watch(events, Arc::clone(&face)));
        commands.send(Command::Join(lobby())).await.unwrap();
        seats.push(Seat { commands, face });
    }
    seats
}

/// Asks for what is so, until it is.
async fn until(seats: &[Seat], what: &str, is: impl Fn(&Face) -> bool) {
    let begun = Instant::now();
    for (who, seat) in seats.iter().enumerate() {
        while !is(&seat.face.lock().unwrap()) {
            assert!(begun.elapsed() < WITHIN, "p{who}: not {what}");
            seat.commands.send(Command::Members(lobby())).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn direct(face: &Face) -> usize {
    face.members.iter().filter(|one| matches!(one.path, Path::Direct { .. })).count()
}

#[test]
#[ignore = "takes a minute or two: cargo test --release --test overlay -- --include-ignored"]
fn seventy_two_chats_on_one_machine_get_every_line_once_over_few_links() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(chat_in_a_large_room());
    // Seventy-two who leave one after the other would take longer than all that is shown here.
    std::mem::forget(runtime);
}

async fn chat_in_a_large_room() {
    let folder = TempDir::new().unwrap();
    let begun = Instant::now();
    let seats = everybody_in(&folder).await;
    let reached = |face: &Face| face.members.iter().filter(|one| one.me || one.path != Path::None).count() == PEOPLE;
    until(&seats, "everybody within reach", reached).await;
    println!("{PEOPLE} chats are one room after {:.1} s", begun.elapsed().as_secs_f64());

    let authors: Vec<usize> = (0..PEOPLE).step_by(6).collect();
    for who in &authors {
        let text = format!("line of {who}");
        seats[*who].commands.send(Command::Say { room: lobby(), text }).await.unwrap();
    }
    let said = Instant::now();
    until(&seats, "given every line", |face| face.texts.len() == authors.len()).await;
    println!("{} lines are with all after {:.1} s at most", authors.len(), said.elapsed().as_secs_f64());
    let writers: Vec<Seat> = authors
        .iter()
        .map(|who| Seat { commands: seats[*who].commands.clone(), face: Arc::clone(&seats[*who].face) })
        .collect();
    until(&writers, "told that all have it", |face| face.delivered >= 1).await;

    // Whatever would come twice has come before a second line of everybody's.
    for who in &authors {
        let text = format!("another of {who}");
        seats[*who].commands.send(Command::Say { room: lobby(), text }).await.unwrap();
    }
    until(&seats, "given every line", |face| face.texts.len() == 2 * authors.len()).await;
    for (who, seat) in seats.iter().enumerate() {
        let face = seat.face.lock().unwrap();
        assert!(face.texts.values().all(|count| *count == 1), "p{who} was shown something twice");
    }
    let links: Vec<usize> = seats.iter().map(|seat| direct(&seat.face.lock().unwrap())).collect();
    println!("{} links at most, {} at least", links.iter().max().unwrap(), links.iter().min().unwrap());
    assert!(links.iter().all(|count| *count <= 16), "{links:?}");
}
