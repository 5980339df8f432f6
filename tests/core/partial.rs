//! Rooms in which many links can't exist: everybody gets everything once, and hardly anything twice.

use std::collections::BTreeMap;

use p2pchat::core::event::{Event, Misdeed};
use p2pchat::identity::{PeerId, Signed, Signer as _, Verified};
use p2pchat::wire::{LinkState, PeerMessage};

use crate::world::{World, identity, random};

/// A room of which a third of the links can't exist.
fn room_with_holes(people: u8, seed: u64) -> World {
    let mut state = seed;
    let mut world = World::of(people);
    for one in 0..usize::from(people) {
        for other in one + 1..usize::from(people) {
            if random(&mut state).is_multiple_of(3) {
                world.apart.insert((one, other));
            }
        }
    }
    world.create(0, 64, 60, 120);
    for newcomer in 1..usize::from(people) {
        world.let_in(newcomer);
        world.pass(1);
        assert!(world.is_in(newcomer));
    }
    world.pass(5);
    world
}

/// Copies per member and entry of all that was said since the start of the count.
struct Copies {
    entries: usize,
    copies: f64,
    worst: usize,
    frontiers: usize,
}

fn count(world: &World, since: &[usize]) -> Copies {
    let mut received: BTreeMap<(usize, PeerId, u64), usize> = BTreeMap::new();
    let mut frontiers = 0;
    for (who, person) in world.people.iter().enumerate() {
        for message in &person.heard[since[who]..] {
            match message {
                PeerMessage::Run(run) => {
                    for entry in run.entries().iter() {
                        *received.entry((who, entry.author, entry.seq)).or_default() += 1;
                    }
                }
                PeerMessage::Frontier(_) => frontiers += 1,
                _ => {}
            }
        }
    }
    let total: usize = received.values().sum();
    let worst = received.values().copied().max().unwrap_or(0);
    Copies { entries: received.len(), copies: total as f64 / received.len() as f64, worst, frontiers }
}

fn everybody_gets_everything_once(people: u8, seed: u64) {
    let mut world = room_with_holes(people, seed);
    let since: Vec<usize> = world.people.iter().map(|person| person.heard.len()).collect();
    let mut lines = Vec::new();
    for round in 0..3 {
        for who in 0..usize::from(people) {
            lines.push(format!("{round} of p{who}"));
            world.say(who, &lines[lines.len() - 1]);
        }
    }
    world.pass(5);
    for who in 0..usize::from(people) {
        let mut texts = world.texts(who);
        texts.sort();
        let mut expected = lines.clone();
        expected.sort();
        assert_eq!(texts, expected, "p{who}, seed {seed}");
    }
    let Copies { entries, copies, worst, frontiers } = count(&world, &since);
    let apart = world.apart.len() as f64 / (f64::from(people) * f64::from(people - 1) / 2.0);
    println!(
        "room of {people}, {:.0} % of the links missing: {copies:.3} copies per member and entry, {worst} at most; \
         {:.1} frontiers",
        apart * 100.0,
        frontiers as f64 / entries as f64,
    );
    assert!(copies <= 1.1, "{copies:.3} copies, seed {seed}");
}

#[test]
fn in_a_room_of_eight_without_a_third_of_its_links_everything_comes_once() {
    for seed in 1..=5 {
        everybody_gets_everything_once(8, seed * 7919);
    }
}

#[test]
fn in_a_room_of_thirty_two_without_a_third_of_its_links_everything_comes_once() {
    everybody_gets_everything_once(32, 4711);
}

/// Four people, each with links only to those before and behind them.
fn chain() -> World {
    let mut world = World::of(4);
    for pair in [(0, 2), (0, 3), (1, 3)] {
        world.apart.insert(pair);
    }
    world.create(0, 16, 60, 120);
    for newcomer in 1..4 {
        world.let_in(newcomer);
        world.pass(1);
    }
    world
}

#[test]
fn along_a_chain_everybody_keeps_their_seat_and_gets_everything_once() {
    let mut world = chain();
    world.pass(300);
    for who in 0..4 {
        assert_eq!(world.members(who).len(), 4, "p{who} dropped somebody");
        world.say(who, &format!("of p{who}"));
    }
    world.pass(5);
    for who in 0..4 {
        assert_eq!(world.texts(who), ["of p0", "of p1", "of p2", "of p3"]);
        assert!(world.was_told(who, |event| matches!(event, Event::Delivered { to: 3, of: 3, .. })), "p{who}");
    }
}

#[test]
fn who_is_at_the_end_of_a_chain_hears_the_rest_without_a_server() {
    let mut world = chain();
    world.stop_server();
    world.say(0, "far away");
    assert_eq!(world.texts(3), ["far away"]);
    world.leave(0);
    world.pass(1);
    assert!(world.was_told(3, |event| matches!(event, Event::MemberLeft { .. })), "the step came over two others");
}

/// What somebody states about their links, signed by `signed_by`.
fn statement(world: &World, by: usize, signed_by: u8, links: &[usize]) -> PeerMessage {
    let (room, roster) = world.roster(0);
    let start = |who: &usize| world.people[*who].id.0[..8].try_into().unwrap();
    let links: Vec<[u8; 8]> = links.iter().map(start).collect();
    let by = world.people[by].id;
    let state = LinkState { room, roster, counter: 1 << 40, turn: 0, links: links.try_into().unwrap(), by };
    let signature = Verified::sign(LinkState { by: identity(signed_by).id(), ..state.clone() }, &identity(signed_by));
    if identity(signed_by).id() == by {
        return PeerMessage::LinkState(signature.into_signed());
    }
    PeerMessage::LinkState(Signed::from_parts(state, signature.as_signed().signature()))
}

#[test]
fn nobody_states_another_ones_links() {
    let mut world = World::in_one_room(3);
    let forged = statement(&world, 2, 1, &[]);
    world.forge_peer(1, 0, forged);
    assert!(world.was_told(0, |event| matches!(event, Event::Misbehaviour { what: Misdeed::BadSignature, .. })));
}

#[test]
fn a_link_that_only_its_one_end_states_keeps_no_seat() {
    let mut world = World::in_one_room(3);
    world.kill(2);
    let liars = statement(&world, 1, 1, &[0, 2]);
    world.forge_peer(1, 0, liars);
    let last = statement(&world, 2, 2, &[]);
    world.forge_peer(1, 0, last);
    world.pass(300);
    assert_eq!(world.members(0), ["p0", "p1"]);
}

#[test]
fn what_nobody_gives_is_pulled() {
    let mut world = World::in_one_room(3);
    world.cut_quietly(0, 2);
    // By this p1 has no link with p2, and leaves the giving to others; there are none.
    let last = statement(&world, 2, 2, &[]);
    world.forge_peer(2, 1, last);
    world.say(0, "who gives it?");
    world.pass(3);
    assert_eq!(world.texts(2), ["who gives it?"]);
    let pulled = world.told_peers.iter().any(|(who, message)| *who == 2 && matches!(message, PeerMessage::Pull(_)));
    assert!(pulled);
}
