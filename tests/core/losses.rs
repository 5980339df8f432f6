//! A lost database: the numbers of the own log go on where others remember it, and what others kept comes back.

use p2pchat::core::event::{Command, Event, KnockRef, Misdeed};

use p2pchat::wire::PeerMessage;

use crate::forks::named;
use crate::transcript::{check_causes, last_entry_of, transcript};
use crate::world::{World, lobby};

/// p1 has said some things, lost its database, and was let in again by p0 and p2.
fn back_without_a_database() -> World {
    let mut world = World::in_one_room(3);
    for text in named("before", 70) {
        world.command(1, Command::Say { room: lobby(), text });
    }
    world.say(0, "good");
    world.lose_everything(1);
    world.people[1].events.clear();
    // Longer than the grace, so that the others have gone on without.
    world.pass(125);
    world.start(1);
    world.join(1);
    for member in [0, 2] {
        world.approve(member, 1);
    }
    world
}

fn nobody_is_accused(world: &World) {
    for who in 0..3 {
        let accused =
            world.was_told(who, |event| matches!(event, Event::Misbehaviour { what: Misdeed::TwoEntries, .. }));
        assert!(!accused, "p{who}");
    }
}

#[test]
fn whoever_lost_their_database_goes_on_with_the_next_number() {
    let mut world = back_without_a_database();
    world.command(1, Command::Say { room: lobby(), text: "here again".to_owned() });
    world.pass(5);
    assert!(world.is_in(1), "{:?}", world.people[1].events);
    for who in [0, 2] {
        assert_eq!(world.texts(who).last().unwrap(), "here again");
    }
    assert_eq!(last_entry_of(&world, world.people[1].id).seq, 71);
    nobody_is_accused(&world);
    world.say(0, "welcome back");
    assert!(world.texts(1).contains(&"welcome back".to_owned()));
    assert!(world.texts(1).contains(&"good".to_owned()), "what was said to an earlier seat comes back");
    assert_eq!(transcript(&world, 1), transcript(&world, 0));
    assert!(world.texts(1).contains(&"before 69".to_owned()), "the own texts are back");
    check_causes(&world);
}

#[test]
fn a_newcomer_says_something_at_once_in_a_room_that_never_heard_of_it() {
    let mut world = World::with_members(2, 2);
    world.command(1, Command::Say { room: lobby(), text: "hello".to_owned() });
    assert_eq!(world.texts(0), ["hello"], "no time passed");
}

#[test]
fn whoever_claims_more_than_there_is_delays_by_seconds_only() {
    let mut world = World::with_members(3, 2);
    let room = world.kept(0).rooms[0].base.room;
    let me = world.people[2].id;
    world.join(2);
    world.approve(0, 2);
    world.ask(1, Command::Approve(KnockRef::Name { room: lobby(), name: "p2".parse().unwrap() }));
    // As soon as there is a link, before anything honest came over it.
    while world.linked(2).is_empty() {
        assert!(world.deliver(1));
    }
    world.forge_first(*world.linked(2).first().unwrap(), 2, vec![(me, 1 << 40)], room);
    world.command(2, Command::Say { room: lobby(), text: "late".to_owned() });
    assert!(world.texts(2).is_empty());
    world.pass(11);
    assert_eq!(world.texts(0), ["late"]);
}

#[test]
fn what_is_said_before_the_numbers_are_sure_is_said_in_the_end() {
    let mut world = World::with_members(3, 2);
    world.apart.extend([(0, 2), (1, 2)]);
    world.let_in(2);
    world.command(2, Command::Say { room: lobby(), text: "is anybody there?".to_owned() });
    assert!(world.texts(2).is_empty(), "nobody has said yet which number it may have");
    world.pass(11);
    assert_eq!(world.texts(2), ["is anybody there?"]);
    world.apart.clear();
    world.pass(60);
    assert_eq!(world.texts(0), ["is anybody there?"]);
}

fn waits(world: &World, who: usize) -> Vec<String> {
    let waiting = world.people[who].events.iter().filter_map(|event| match event {
        Event::Waits { texts, .. } => Some(texts.clone()),
        _ => None,
    });
    waiting.flatten().collect()
}

#[test]
fn the_own_log_comes_back_though_nobody_has_said_anything_since() {
    let mut world = World::in_one_room(3);
    world.say(1, "before");
    world.lose_everything(1);
    world.pass(125);
    world.start(1);
    world.join(1);
    for member in [0, 2] {
        world.approve(member, 1);
    }
    world.command(1, Command::Say { room: lobby(), text: "here again".to_owned() });
    world.pass(15);
    assert_eq!(world.texts(0), ["before", "here again"]);
    assert_eq!(last_entry_of(&world, world.people[1].id).seq, 2);
    nobody_is_accused(&world);
}

#[test]
fn what_waits_for_the_own_log_outlives_restarts_and_is_said_once() {
    let mut world = World::with_members(3, 2);
    world.apart.extend([(0, 2), (1, 2)]);
    world.let_in(2);
    let texts = ["is anybody there?", "hello?"];
    for text in texts {
        world.command(2, Command::Say { room: lobby(), text: text.to_owned() });
    }
    assert_eq!((world.texts(2).len(), waits(&world, 2)), (0, texts.map(str::to_owned).to_vec()));
    for _ in 0..2 {
        world.kill(2);
        world.people[2].events.clear();
        world.start(2);
        world.join(2);
        assert_eq!((world.texts(2).len(), waits(&world, 2)), (0, texts.map(str::to_owned).to_vec()), "shown again");
    }
    world.apart.clear();
    world.pass(60);
    assert_eq!(world.texts(0), texts);
    world.kill(2);
    world.start(2);
    world.join(2);
    world.pass(30);
    assert_eq!((world.texts(0).len(), world.texts(1).len()), (2, 2), "once");
}

#[test]
fn a_restart_while_the_own_log_comes_back_uses_no_number_twice() {
    let mut world = World::in_one_room(3);
    // More than is on its way at a time.
    for text in named(&"before".repeat(500), 300) {
        world.command(1, Command::Say { room: lobby(), text });
    }
    world.pass(5);
    world.lose_everything(1);
    world.pass(125);
    world.start(1);
    world.join(1);
    world.approve(0, 1);
    let knock = world.last_knock(2).unwrap();
    world.ask(2, Command::Approve(KnockRef::Id(knock)));
    let own = |world: &World| {
        let me = world.people[1].id;
        let log = world.kept(1).logs.into_iter().find(|(_, author, _)| *author == me);
        log.map_or(0, |(_, _, log)| log.head_seq())
    };
    world.pass_until(|world| own(world) > 0);
    assert!(own(&world) < 300, "the rest is on its way");
    world.kill(1);
    world.unplug(1);
    world.start(1);
    world.join(1);
    world.command(1, Command::Say { room: lobby(), text: "here again".to_owned() });
    world.pass(25);
    assert!(!world.texts(1).contains(&"here again".to_owned()), "nobody was there to ask for the rest");
    world.plug_in(1);
    world.apart.clear();
    world.pass(60);
    assert_eq!(world.texts(0).last().unwrap(), "here again");
    assert_eq!(last_entry_of(&world, world.people[1].id).seq, 301);
    nobody_is_accused(&world);
}

/// p1 was out of reach for longer than the grace, said something, and was let in again.
fn back_after_a_long_absence(restart: bool) -> World {
    let mut world = World::in_one_room(3);
    world.say(1, "hello");
    world.unplug(1);
    world.command(1, Command::Say { room: lobby(), text: "alone".to_owned() });
    world.command(0, Command::Say { room: lobby(), text: "in the grace".to_owned() });
    world.pass(100);
    if restart {
        world.kill(1);
    }
    world.pass(60);
    world.say(0, "without p1");
    world.apart.clear();
    if restart {
        world.start(1);
        world.join(1);
    } else {
        world.plug_in(1);
    }
    world.pass(5);
    for member in [0, 2] {
        world.approve(member, 1);
    }
    world.pass(5);
    assert!(world.is_in(1), "{:?}", world.people[1].events);
    world.say(1, "back");
    world.say(0, "welcome");
    world
}

#[test]
fn what_was_said_to_and_from_a_lost_seat_arrives_with_the_next_one() {
    for restart in [false, true] {
        let mut world = back_after_a_long_absence(restart);
        world.pass(30);
        for who in [0, 2] {
            let texts = world.texts(who);
            assert!(
                texts.contains(&"alone".to_owned()) && texts.contains(&"back".to_owned()),
                "{restart}: p{who} {texts:?}"
            );
        }
        let texts = world.texts(1);
        assert!(
            texts.contains(&"in the grace".to_owned()) && texts.contains(&"welcome".to_owned()),
            "{restart}: {texts:?}"
        );
        assert!(!texts.contains(&"without p1".to_owned()));
        nobody_is_accused(&world);
        check_causes(&world);
    }
}

#[test]
fn a_newcomer_is_told_of_no_roster_from_before_it_came() {
    let mut world = World::with_members(4, 3);
    world.let_in(3);
    let chain = world.kept(0).rooms[0].clone();
    let first =
        p2pchat::core::consent::roster::first_roster(&chain.genesis.verify(&p2pchat::identity::Ed25519).unwrap());
    let base = world.kept(3).rooms[0].base.clone();
    world.people[3].heard.clear();
    for hash in [first.hash(), base.previous] {
        (0..3).for_each(|victim| world.forge_peer(3, victim, PeerMessage::Trace((base.room, hash))));
    }
    assert!(!world.people[3].heard.iter().any(|message| matches!(message, PeerMessage::Past(_))));
}
