//! What one member says to one other: it arrives once, in order, and nobody else can read it.

use p2pchat::core::event::{Command, Event, Failure};
use p2pchat::identity::{Name, Verified};
use p2pchat::wire::{Carry, Letter, Parcel, PeerMessage, Private, SealingKey, Series};

use crate::world::{World, identity, lobby};

/// p1 and p2 have no link with each other, and p0 with both.
fn apart() -> World {
    let mut world = World::of(3);
    world.apart.insert((1, 2));
    world.create(0, 4, 60, 600);
    world.let_in(1);
    world.let_in(2);
    world.pass(2);
    world
}

fn theirs(text: &str, from: &str) -> (String, bool, String) {
    (from.to_owned(), false, text.to_owned())
}

#[test]
fn what_is_said_over_a_link_reaches_its_reader_and_nobody_else() {
    let mut world = World::in_one_room(3);
    world.whisper(1, 2, "between us");
    assert_eq!(world.whispers(2), [theirs("between us", "p1")]);
    assert_eq!(world.whispers(1), [("p2".to_owned(), true, "between us".to_owned())]);
    assert_eq!(world.whispers_delivered(1), 1);
    let concerned = |message: &PeerMessage| matches!(message, PeerMessage::Private(_) | PeerMessage::Carry(_));
    assert!(!world.people[0].heard.iter().any(concerned));
    assert!((0..3).all(|who| world.texts(who).is_empty()), "the room's log knows nothing of it");
    assert!(world.told_server.iter().all(|message| !format!("{message:?}").contains("between us")));
}

#[test]
fn a_carrier_brings_it_and_can_not_read_it() {
    let mut world = apart();
    world.whisper(1, 2, "not for p0's eyes");
    world.whisper(2, 1, "understood");
    assert_eq!(world.whispers(2)[0], theirs("not for p0's eyes", "p1"));
    assert_eq!(world.whispers(1)[1], theirs("understood", "p2"));
    assert_eq!((world.whispers_delivered(1), world.whispers_delivered(2)), (1, 1));
    assert!(world.whispers(0).is_empty());
    let mut carried = 0;
    for message in &world.people[0].heard {
        let mut bytes = Vec::new();
        p2pchat::wire::Message::encode_into(message, &mut bytes);
        assert!(!bytes.windows(5).any(|window| window == b"eyes" || window == b"under"), "{message:?}");
        carried += usize::from(matches!(message, PeerMessage::Carry(_)));
    }
    assert!(carried > 0);
    assert!(!world.people[0].heard.iter().any(|message| matches!(message, PeerMessage::Private(_))));
}

#[test]
fn what_waits_is_delivered_when_there_is_a_way_also_after_a_restart() {
    let mut world = World::in_one_room(2);
    world.unplug(1);
    for n in 0..40 {
        world.whisper(0, 1, &n.to_string());
    }
    assert_eq!(world.whispers_delivered(0), 0);
    world.kill(0);
    world.start(0);
    world.join(0);
    world.plug_in(1);
    world.pass(60);
    let expected: Vec<_> = (0..40).map(|n| theirs(&n.to_string(), "p0")).collect();
    assert_eq!(world.whispers(1), expected, "all of it, once, in order");
    assert_eq!(world.whispers_delivered(0), 40);
    let room = world.kept(0).rooms[0].base.room;
    let p1 = world.people[1].id;
    let (letters, more) = world.store(0).letters(&room, &p1, 30).unwrap();
    assert_eq!((letters.len(), more), (30, 10));
    assert!(letters.iter().all(|letter| letter.mine && letter.received));
}

#[test]
fn a_reader_that_was_started_anew_is_sealed_for_anew() {
    let mut world = apart();
    world.whisper(1, 2, "one");
    world.kill(2);
    world.start(2);
    world.join(2);
    world.pass(10);
    // p1 still has the key of the former run.
    world.whisper(1, 2, "two");
    world.pass(10);
    world.kill(1);
    world.start(1);
    world.join(1);
    world.pass(10);
    world.whisper(1, 2, "three");
    world.pass(10);
    let texts: Vec<String> = world.whispers(2).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn a_replayed_message_is_taken_once() {
    let mut world = apart();
    world.whisper(1, 2, "once");
    let carried: Vec<PeerMessage> =
        world.people[2].heard.iter().filter(|message| matches!(message, PeerMessage::Carry(_))).cloned().collect();
    for message in carried {
        world.forge_peer(0, 2, message.clone());
        world.forge_peer(0, 2, message);
    }
    world.whisper(0, 2, "direct");
    let direct: Vec<PeerMessage> =
        world.people[2].heard.iter().filter(|message| matches!(message, PeerMessage::Private(_))).cloned().collect();
    direct.into_iter().for_each(|message| world.forge_peer(0, 2, message));
    world.pass(5);
    assert_eq!(world.whispers(2), [theirs("once", "p1"), theirs("direct", "p0")]);
}

#[test]
fn a_message_that_the_carrier_changed_is_none() {
    let mut world = apart();
    world.whisper(1, 2, "first");
    let sealed =
        |message: &&PeerMessage| matches!(message, PeerMessage::Carry(Carry { parcel: Parcel::Sealed(_), .. }));
    let Some(PeerMessage::Carry(carry)) = world.people[2].heard.iter().find(sealed).cloned() else { panic!("carried") };
    let Parcel::Sealed(good) = carry.parcel.clone() else { panic!("sealed") };
    for at in [0, 10, good.bytes.len() - 1] {
        let mut bytes = good.bytes.to_vec();
        bytes[at] ^= 1;
        let mut bad = good.clone();
        bad.bytes = bytes.try_into().unwrap();
        world.forge_peer(0, 2, PeerMessage::Carry(Carry { parcel: Parcel::Sealed(bad), ..carry.clone() }));
    }
    // As if another had sealed it, or for another.
    for (from, to) in [(0, 2), (1, 0), (2, 2)] {
        let (from, to) = (world.people[from].id, world.people[to].id);
        world.forge_peer(0, 2, PeerMessage::Carry(Carry { from, to, ..carry.clone() }));
    }
    world.pass(5);
    assert_eq!(world.whispers(2), [theirs("first", "p1")]);
}

#[test]
fn a_key_that_its_owner_did_not_sign_is_none() {
    let mut world = apart();
    let room = world.kept(0).rooms[0].base.room;
    let (p0, p1, p2) = (world.people[0].id, world.people[1].id, world.people[2].id);
    let key = SealingKey { room, by: p0, epoch: 99, counter: 99, public: [9; 32] };
    let own = Verified::sign(key.clone(), &identity(0)).into_signed();
    let forged = p2pchat::identity::Signed::from_parts(SealingKey { by: p2, ..key }, own.signature());
    for key in [own, forged] {
        world.forge_peer(0, 1, PeerMessage::Carry(Carry { room, from: p2, to: p1, parcel: Parcel::Key(key, false) }));
    }
    world.whisper(1, 2, "sealed for p2 alone");
    assert_eq!(world.whispers(2), [theirs("sealed for p2 alone", "p1")]);
}

#[test]
fn a_carrier_that_drops_everything_is_passed_by() {
    let mut world = World::of(4);
    world.apart.insert((1, 2));
    world.create(0, 4, 60, 600);
    (1..4).for_each(|newcomer| world.let_in(newcomer));
    world.pass(2);
    // p0 comes first among the carriers or last; it carries nothing in either case.
    world.mute_carrier = Some(0);
    world.whisper(1, 2, "by whom I can");
    world.pass(30);
    assert_eq!(world.whispers(2), [theirs("by whom I can", "p1")]);
}

#[test]
fn outsiders_and_those_of_no_common_roster_say_nothing() {
    let mut world = World::with_members(3, 2);
    let room = world.kept(0).rooms[0].base.room;
    let letter = Letter { number: 1, wall_ms: 0, salt: [0; 16], text: b"psst".to_vec().try_into().unwrap() };
    let roster = p2pchat::wire::RosterHash([7; 32]);
    let private = Private::Letter { roster, series: Series([1; 16]), first: 1, letter };
    world.forge_peer(0, 1, PeerMessage::Private((room, private)));
    assert!(world.whispers(1).is_empty(), "of a roster that nobody knows");
    let kept = world.kept(1);
    let roster = kept.rooms[0].base.hash();
    for (number, first, text) in [(u64::MAX, u64::MAX, &b"psst"[..]), (1 << 60, 1 << 60, b"psst"), (1, 1, b"\xff")] {
        let letter = Letter { number, wall_ms: 0, salt: [0; 16], text: text.to_vec().try_into().unwrap() };
        let private = Private::Letter { roster, series: Series([1; 16]), first, letter };
        world.forge_peer(0, 1, PeerMessage::Private((room, private)));
    }
    assert!(world.whispers(1).is_empty(), "beyond all counting, or no text");
    let to: Name = "p2".parse().unwrap();
    world.command(0, Command::Private { room: lobby(), to: to.clone(), fingerprint: None, text: "psst".into() });
    assert_eq!(world.people[0].events.last(), Some(&Event::Failed(Failure::NoSuchMember(to))));
    let to: Name = "p1".parse().unwrap();
    let wrong = Some(world.people[2].id.fingerprint());
    world.command(0, Command::Private { room: lobby(), to: to.clone(), fingerprint: wrong, text: "psst".into() });
    assert_eq!(world.people[0].events.last(), Some(&Event::Failed(Failure::OtherWords(to))));
}

#[test]
fn nobody_acknowledges_for_another() {
    let mut world = World::in_one_room(3);
    world.unplug(2);
    world.whisper(1, 2, "waits");
    let room = world.kept(0).rooms[0].base.room;
    for up_to in [1, u64::MAX] {
        let received = Private::Received { series: Series([0; 16]), up_to };
        world.forge_peer(0, 1, PeerMessage::Private((room, received)));
    }
    assert_eq!(world.whispers_delivered(1), 0);
    world.plug_in(2);
    world.pass(30);
    assert_eq!((world.whispers_delivered(1), world.whispers(2).len()), (1, 1));
}

#[test]
fn a_flood_to_be_carried_is_cut_and_the_room_goes_on() {
    let mut world = apart();
    world.whisper(1, 2, "hello");
    let is_sealed =
        |message: &PeerMessage| matches!(message, PeerMessage::Carry(Carry { parcel: Parcel::Sealed(_), .. }));
    let sealed = world.people[0].heard.iter().rfind(|message| is_sealed(message)).cloned().unwrap();
    let PeerMessage::Carry(mut carry) = sealed else { panic!("carried") };
    (carry.from, carry.to) = (world.people[1].id, world.people[2].id);
    if let Parcel::Sealed(sealed) = &mut carry.parcel {
        sealed.bytes = vec![0; 4_000].try_into().unwrap();
    }
    let before = world.people[2].heard.len();
    for _ in 0..1_000 {
        world.forge_peer(1, 0, PeerMessage::Carry(carry.clone()));
    }
    let carried = world.people[2].heard[before..].iter().filter(|message| is_sealed(message)).count();
    assert!(carried < 40, "{carried} of a thousand in no time");
    world.say(1, "the room goes on");
    assert_eq!(world.texts(2), ["the room goes on"]);
}

#[test]
fn what_waits_for_somebody_is_bounded_and_refused_aloud() {
    let mut world = World::in_one_room(2);
    world.unplug(1);
    for n in 0..300 {
        let to = "p1".parse().unwrap();
        world.command(0, Command::Private { room: lobby(), to, fingerprint: None, text: n.to_string() });
    }
    let refused = |event: &&Event| matches!(event, Event::Failed(Failure::TooManyWaiting(_)));
    assert_eq!(world.people[0].events.iter().filter(refused).count(), 300 - 256);
    world.plug_in(1);
    world.pass(60);
    assert_eq!(world.whispers(1).len(), 256);
}

#[test]
fn an_author_who_lost_everything_begins_anew_and_is_heard() {
    let mut world = World::in_one_room(2);
    world.whisper(1, 0, "before");
    world.lose_everything(1);
    world.start(1);
    world.pass(700);
    world.let_in(1);
    world.pass(12);
    world.whisper(1, 0, "after");
    assert_eq!(world.whispers(0), [theirs("before", "p1"), theirs("after", "p1")]);
    world.whisper(0, 1, "welcome back");
    assert_eq!(world.whispers(1).last(), Some(&theirs("welcome back", "p0")));
}

#[test]
fn what_an_ignored_author_says_is_acknowledged_and_not_kept() {
    let mut world = World::in_one_room(2);
    let (room, p1) = (world.kept(0).rooms[0].base.room, world.people[1].id);
    let ignore = |on| Command::Ignore { room: lobby(), name: "p1".parse().unwrap(), on };
    world.command(0, ignore(true));
    (0..3).for_each(|n| world.whisper(1, 0, &n.to_string()));
    assert_eq!(world.whispers_delivered(1), 3, "they need not know");
    assert_eq!(world.store(0).letters(&room, &p1, 10).unwrap().0, []);
    assert_eq!(world.store(0).taken(&room, &p1).1, 0);
    // Whoever lost count of it goes on with what comes next.
    world.kill(0);
    world.start(0);
    world.join(0);
    world.pass(10);
    world.command(0, ignore(false));
    world.whisper(1, 0, "heard again");
    assert_eq!(world.whispers(0), [theirs("heard again", "p1")]);
}

#[test]
fn an_idle_conversation_is_silent() {
    let mut world = apart();
    world.whisper(1, 2, "goodbye");
    world.pass(60);
    world.people.iter_mut().for_each(|person| person.heard.clear());
    world.pass(3_600);
    assert!(world.people.iter().all(|person| person.heard.is_empty()));
}

#[test]
fn keys_without_end_do_not_fill_memory() {
    let mut world = apart();
    let room = world.kept(0).rooms[0].base.room;
    let (p1, p2) = (world.people[1].id, world.people[2].id);
    let before = world.weight(1);
    for counter in 0..500 {
        let key = SealingKey { room, by: p2, epoch: 50, counter, public: [9; 32] };
        let key = Verified::sign(key, &identity(2)).into_signed();
        world.forge_peer(0, 1, PeerMessage::Carry(Carry { room, from: p2, to: p1, parcel: Parcel::Key(key, true) }));
    }
    assert!(world.weight(1) < before + 4_000, "{} after {before}", world.weight(1));
}
