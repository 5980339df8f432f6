//! Damaged and older histories: what damage took comes back from the members, and no number is used twice.

use std::fs;
use std::path::{Path, PathBuf};

use p2pchat::core::event::{Command, Event, Misdeed};
use p2pchat::identity::Ed25519;
use p2pchat::store::peer::PeerStore;

use crate::forks::named;
use crate::transcript::last_entry_of;
use crate::world::{World, lobby};

/// Bytes of a page of a database.
const PAGE_BYTES: usize = 4096;

/// A room of p0, p1 and p2, of whom p1 has its history in a file.
struct OnDisk {
    world: World,
    folder: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::of(3);
        world.kill(1);
        let mut room = OnDisk { world, folder };
        room.open();
        room.world.start(1);
        room.world.create(0, 16, 60, 120);
        room.world.let_in(1);
        room.world.let_in(2);
        room
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    /// p1's program ends, and its file is closed.
    fn close(&mut self) {
        self.world.kill(1);
        self.world.people[1].store = PeerStore::in_memory().unwrap();
    }

    /// Opens p1's file, as a program does when it starts; whether something had to be saved.
    fn open(&mut self) -> bool {
        let (store, _, salvaged) =
            PeerStore::open_or_salvage(&self.file(), self.world.people[1].id, "today", &Ed25519).unwrap();
        self.world.people[1].store = store;
        salvaged.is_some()
    }

    fn back(&mut self) {
        self.world.people[1].events.clear();
        self.world.start(1);
        self.world.join(1);
    }

    /// Everybody says as many things, so many words each.
    fn talk(&mut self, lines: usize, words: usize) {
        for who in 0..3 {
            for text in named(format!("of p{who} ").repeat(words).trim_end(), lines) {
                self.world.command(who, Command::Say { room: lobby(), text });
            }
        }
        self.world.pass(5);
    }

    /// All texts that somebody has on disk, in the order of their names.
    fn kept(&mut self, who: usize) -> Vec<String> {
        let room = self.world.kept(who).rooms[0].base.room;
        let (me, store) = (self.world.people[who].id, &mut self.world.people[who].store);
        let all = store.last(&room, &me, usize::MAX, None).unwrap().messages;
        let mut texts: Vec<String> = all.into_iter().map(|message| message.text).collect();
        texts.sort();
        texts
    }

    fn nobody_is_accused(&self) {
        for who in 0..3 {
            let twice = |event: &Event| matches!(event, Event::Misbehaviour { what: Misdeed::TwoEntries, .. });
            assert!(!self.world.was_told(who, twice), "p{who}");
        }
    }
}

/// Breaks every page on which one of these words stands; how many.
fn break_pages(file: &Path, words: &[&str]) -> usize {
    let mut bytes = fs::read(file).unwrap();
    let mut broken = 0;
    for page in bytes.chunks_mut(PAGE_BYTES).skip(1) {
        if words.iter().any(|word| page.windows(word.len()).any(|part| part == word.as_bytes())) {
            page.fill(0x5a);
            broken += 1;
        }
    }
    fs::write(file, bytes).unwrap();
    broken
}

#[test]
fn what_damage_took_from_anywhere_in_the_logs_comes_back_from_the_members() {
    let places: [&[&str]; 4] = [
        &["of p0 0", "of p1 0"],
        &["of p0 150", "of p1 150"],
        &["of p0 299", "of p1 299"],
        &["of p0 7", "of p1 1", "of p1 29", "of p2 1"],
    ];
    for words in places {
        let mut room = OnDisk::new();
        room.talk(300, 1);
        assert_eq!(room.kept(1).len(), 900);
        room.close();
        assert!(break_pages(&room.file(), words) > 0);
        assert!(room.open());
        let left = room.kept(1).len();
        assert!((1..900).contains(&left), "{left} were left without {words:?}");
        room.back();
        room.world.pass(60);
        assert_eq!(room.kept(1), room.kept(0), "without {words:?}");
        room.world.command(1, Command::Say { room: lobby(), text: "all is here".to_owned() });
        room.world.pass(5);
        assert_eq!(last_entry_of(&room.world, room.world.people[1].id).seq, 301, "without {words:?}");
        assert_eq!(room.kept(1), room.kept(2));
        room.nobody_is_accused();
        // What is whole again is not asked for again.
        room.close();
        room.open();
        room.world.told_peers.clear();
        room.back();
        room.world.pass(5);
        let asks = |message: &p2pchat::wire::PeerMessage| matches!(message, p2pchat::wire::PeerMessage::Holes(_));
        assert!(!room.world.told_peers.iter().any(|(who, message)| *who == 1 && asks(message)));
    }
}

#[test]
fn what_damage_took_is_asked_for_also_by_a_program_that_was_ended_while_it_came() {
    let mut room = OnDisk::new();
    // More than comes at a time.
    room.talk(300, 100);
    room.close();
    break_pages(&room.file(), &["of p0 1", "of p1 1", "of p1 2"]);
    room.open();
    let in_order = |world: &World| {
        let logs = world.kept(1).logs;
        logs.iter().map(|(_, _, log)| log.newest().count()).sum::<usize>()
    };
    let left = in_order(&room.world);
    room.back();
    room.world.pass_until(|world| in_order(world) > left);
    assert!(room.kept(1).len() < 900, "the rest is on its way");
    room.close();
    assert!(!room.open());
    room.back();
    room.world.pass(60);
    assert_eq!(room.kept(1), room.kept(0));
    room.nobody_is_accused();
}

/// p1 said something, and then an older copy of its history was put back: as `open` opens it.
fn put_back_an_older_copy(open: impl FnOnce(&mut OnDisk)) -> OnDisk {
    let mut room = OnDisk::new();
    room.talk(3, 1);
    room.close();
    let copy = room.folder.path().join("backup");
    fs::copy(room.file(), &copy).unwrap();
    room.open();
    room.back();
    for text in ["newer 1", "newer 2"] {
        room.world.say(1, text);
    }
    room.close();
    fs::remove_file(room.file()).unwrap();
    fs::copy(copy, room.file()).unwrap();
    open(&mut room);
    room
}

fn goes_on_behind_what_is_newer(room: &mut OnDisk) {
    room.world.pass(15);
    assert_eq!(room.world.texts(0).last().unwrap(), "from here on");
    assert_eq!(last_entry_of(&room.world, room.world.people[1].id).seq, 6);
    assert_eq!(room.kept(1), room.kept(0), "what is newer came back");
    room.nobody_is_accused();
}

#[test]
fn an_older_copy_of_the_history_uses_no_number_twice_though_nobody_is_linked_yet() {
    let mut room = put_back_an_older_copy(|room| assert!(!room.open()));
    room.world.unplug(1);
    room.back();
    room.world.command(1, Command::Say { room: lobby(), text: "from here on".to_owned() });
    room.world.pass(15);
    assert!(!room.world.texts(1).contains(&"from here on".to_owned()), "nobody was there to ask");
    room.world.plug_in(1);
    room.world.apart.clear();
    room.world.pass(30);
    goes_on_behind_what_is_newer(&mut room);
}

/// p1 said something newer to p2 only, and then put an older copy of its history back: p0 and p2 are there, apart from each other, and p2 from p1.
fn put_back_what_one_of_two_knows() -> OnDisk {
    let mut room = OnDisk::new();
    room.talk(3, 1);
    room.close();
    let copy = room.folder.path().join("backup");
    fs::copy(room.file(), &copy).unwrap();
    room.open();
    room.world.kill(0);
    room.back();
    for text in ["newer 1", "newer 2"] {
        room.world.say(1, text);
    }
    room.close();
    fs::remove_file(room.file()).unwrap();
    fs::copy(copy, room.file()).unwrap();
    room.open();
    room.world.apart.extend([(0, 2), (1, 2)]);
    room.world.start(0);
    room.world.join(0);
    room.back();
    room.world.command(1, Command::Say { room: lobby(), text: "from here on".to_owned() });
    room
}

#[test]
fn one_member_who_knows_as_little_is_not_enough_for_an_older_copy() {
    let mut room = put_back_what_one_of_two_knows();
    room.world.pass(3);
    assert!(room.world.linked(1).contains(&0) && !room.world.texts(0).contains(&"from here on".to_owned()));
    room.world.heal();
    room.world.pass(30);
    goes_on_behind_what_is_newer(&mut room);
}

#[test]
fn whoever_comes_after_a_member_who_knew_as_little_is_heard_whenever_they_come() {
    for alone_s in [1, 12, 15] {
        let mut room = put_back_what_one_of_two_knows();
        room.world.pass(3);
        assert!(room.world.linked(1).contains(&0));
        room.world.cut_quietly(0, 1);
        room.world.pass(alone_s);
        assert!(!room.world.texts(1).contains(&"from here on".to_owned()), "nobody is there to ask");
        room.world.mend(1, 2);
        room.world.pass(15);
        room.world.heal();
        room.world.pass(30);
        goes_on_behind_what_is_newer(&mut room);
    }
}

#[test]
fn whoever_does_not_know_their_history_for_an_older_copy_believes_the_members() {
    let mut room = put_back_an_older_copy(|room| {
        // As if the whole disk had been put back.
        room.world.people[1].store = PeerStore::open(&room.file()).unwrap();
    });
    room.back();
    room.world.pass(1);
    room.world.command(1, Command::Say { room: lobby(), text: "from here on".to_owned() });
    goes_on_behind_what_is_newer(&mut room);
}
