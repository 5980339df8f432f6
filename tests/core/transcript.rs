//! The transcript: everything after what its author had seen, in one order for everybody.

use std::collections::{BTreeMap, BTreeSet};

use p2pchat::core::event::{Command, Event};
use p2pchat::core::log::Place;
use p2pchat::identity::{PeerId, Verified};
use p2pchat::wire::{Entry, EntryId, Few, PeerMessage, Run, Tip};

use crate::world::{World, identity, lobby, random};

/// What somebody was shown: where each text stands, and the text.
pub fn transcript(world: &World, who: usize) -> Vec<(Place, EntryId, String)> {
    let shown = world.people[who].events.iter().filter_map(|event| match event {
        Event::Message { place, id, text, .. } => Some((*place, *id, text.clone())),
        _ => None,
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}

/// Every entry that ever travelled.
fn entries(world: &World) -> BTreeMap<EntryId, Entry> {
    let runs = world.told_peers.iter().filter_map(|(_, message)| match message {
        PeerMessage::Run(run) => Some(run.entries().to_vec()),
        _ => None,
    });
    runs.flatten().map(|entry| (entry.id(), Entry::clone(&entry))).collect()
}

/// Nobody was shown an entry before one that it names and that they were shown too.
pub fn check_causes(world: &World) {
    let entries = entries(world);
    for person in &world.people {
        let mut shown = BTreeSet::new();
        let ids: Vec<EntryId> = person
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Message { id, .. } => Some(*id),
                _ => None,
            })
            .collect();
        for id in &ids {
            assert!(shown.insert(*id), "{} was shown {id:?} twice", person.name);
            let Some(entry) = entries.get(id) else { continue };
            for named in entry.seen.iter().chain([&entry.previous]) {
                assert!(!ids.contains(named) || shown.contains(named), "{} was shown {id:?} too early", person.name);
            }
        }
    }
}

pub fn run_of(entry: Entry, author: u8) -> Run {
    let tip = Tip { room: entry.room, author: entry.author, id: entry.id() };
    let signature = Verified::sign(tip, &identity(author)).as_signed().signature();
    Run::of_one(entry, signature)
}

/// What an author may say after `before`, under the same roster.
pub fn entry_after(before: &Entry, text: &str) -> Entry {
    let mut next = before.clone();
    (next.seq, next.previous, next.previous_audience) = (before.seq + 1, before.id(), before.audience);
    next.body = p2pchat::wire::Body::text(text).unwrap();
    next
}

pub fn last_entry_of(world: &World, author: PeerId) -> Entry {
    entries(world).into_values().filter(|entry| entry.author == author).max_by_key(|entry| entry.seq).unwrap()
}

#[test]
fn everybody_has_the_same_transcript_whatever_came_first() {
    for seed in 1..=12u64 {
        let mut world = World::in_one_room(4);
        world.disorder = Some(seed);
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        for number in 0..60 {
            let who = (random(&mut state) % 4) as usize;
            world.ask(who, Command::Say { room: lobby(), text: format!("{number} of p{who}") });
            world.deliver((random(&mut state) % 12) as usize);
            if number % 20 == 19 {
                let lost = (random(&mut state) % 4) as usize;
                world.cut(lost);
            }
        }
        world.pass(90);
        let first = transcript(&world, 0);
        assert_eq!(first.len(), 60, "seed {seed}");
        for who in 1..4 {
            assert_eq!(transcript(&world, who), first, "seed {seed}, p{who}");
        }
        check_causes(&world);
    }
}

#[test]
fn a_newcomer_counts_as_everybody_else_does() {
    let mut world = World::with_members(3, 2);
    for number in 0..5 {
        world.say(number % 2, "before");
    }
    world.let_in(2);
    for number in 0..6 {
        world.say(number % 3, "after");
    }
    let of_newcomer = transcript(&world, 2);
    assert_eq!(of_newcomer.len(), 6);
    let depths: Vec<u64> = of_newcomer.iter().map(|(place, _, _)| place.depth).collect();
    assert_eq!(depths, [1, 2, 3, 4, 5, 6]);
    assert!(transcript(&world, 0).ends_with(&of_newcomer));
}

#[test]
fn depth_goes_on_after_a_restart() {
    let mut world = World::in_one_room(2);
    world.say(0, "one");
    world.say(1, "two");
    world.kill(1);
    world.start(1);
    world.join(1);
    world.pass(5);
    world.say(1, "three");
    world.say(0, "four");
    let depths: Vec<u64> = transcript(&world, 0).iter().map(|(place, _, _)| place.depth).collect();
    assert_eq!(depths, [1, 2, 3, 4]);
    assert_eq!(transcript(&world, 1), transcript(&world, 0));
}

#[test]
fn an_answer_to_something_long_ago_finds_its_place() {
    let mut world = World::in_one_room(2);
    world.say(0, "root");
    world.unplug(1);
    world.command(1, Command::Say { room: lobby(), text: "answer".to_owned() });
    // More than memory holds, of which p1 has seen nothing.
    for _ in 0..2_000 {
        world.command(0, Command::Say { room: lobby(), text: "x".to_owned() });
    }
    world.kill(0);
    world.start(0);
    world.join(0);
    world.plug_in(1);
    world.pass(60);
    assert_eq!(transcript(&world, 0).iter().find(|(_, _, text)| text == "answer").unwrap().0.depth, 2);
    check_causes(&world);
}

#[test]
fn whoever_names_what_does_not_exist_keeps_nobody_else_waiting_and_divides_nobody() {
    let mut world = World::in_one_room(3);
    world.say(1, "first");
    let liar = world.people[1].id;
    let mut lie = entry_after(&last_entry_of(&world, liar), "after something");
    lie.seen = Few::first_of([EntryId([9; 32])]);
    for victim in [0, 2] {
        world.forge_peer(1, victim, PeerMessage::Run(run_of(lie.clone(), 1)));
    }
    world.pass(10);
    world.say(0, "we go on");
    world.say(2, "so we do");
    for who in [0, 2] {
        let texts = world.texts(who).into_iter().filter(|text| text != "after something");
        assert_eq!(texts.collect::<Vec<_>>(), ["first", "we go on", "so we do"]);
    }
    // The author says that they lack it themselves, so it counts as lost; for everybody alike.
    assert_eq!(transcript(&world, 0), transcript(&world, 2));
    let wants =
        |world: &World| world.told_peers.iter().filter(|(_, said)| matches!(said, PeerMessage::Want(_))).count();
    assert!(wants(&world) > 0);
    let before = wants(&world);
    world.pass(3_600);
    assert!(wants(&world) - before < 150, "it is asked for ever more seldom: {}", wants(&world) - before);
}

#[test]
fn what_an_author_withholds_from_one_comes_from_whoever_names_it() {
    let mut world = World::in_one_room(3);
    world.say(1, "for all");
    let liar = world.people[1].id;
    let next = entry_after(&last_entry_of(&world, liar), "for p0 only");
    world.forge_peer(1, 0, PeerMessage::Run(run_of(next, 1)));
    world.say(0, "what do you mean?");
    world.pass(5);
    assert_eq!(world.texts(2), ["for all", "for p0 only", "what do you mean?"]);
}
