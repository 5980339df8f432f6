//! How members reach each other when networks change: what is dialled, what is told, what is never lost.

use std::net::SocketAddr;

use p2pchat::core::event::{Command, Event, Path};
use p2pchat::core::io::{Input, LinkId};
use p2pchat::limits::HURRIES_PER_MINUTE_MAX;
use p2pchat::wire::{FromServer, RoomId, ToServer};

use crate::world::{World, address, lobby};

fn room_of(world: &World) -> RoomId {
    let told = world.told_server.iter().find_map(|message| match message {
        ToServer::Candidates((room, ..)) => Some(*room),
        _ => None,
    });
    told.unwrap()
}

/// What somebody was told of the path to somebody.
fn told(world: &World, who: usize, about: &str) -> Vec<Path> {
    let link = |event: &Event| match event {
        Event::Link { name, path, .. } if name.as_str() == about => Some(path.clone()),
        _ => None,
    };
    world.people[who].events.iter().filter_map(link).collect()
}

#[test]
fn a_link_in_doubt_is_replaced_and_nothing_is_lost_or_said_twice() {
    for mover in [0, 1] {
        let mut world = World::in_one_room(2);
        world.say(0, "before");
        for person in &mut world.people {
            person.events.retain(|event| !matches!(event, Event::Link { .. }));
        }
        // Later than two rivals of one attempt could come.
        world.pass(60);
        let before = world.dials;
        world.ask(0, Command::Say { room: lobby(), text: "on its way".to_owned() });
        world.handle(mover, Input::NetworkChanged);
        world.ask(1, Command::Say { room: lobby(), text: "and back".to_owned() });
        world.run();
        world.pass(30);
        assert_eq!(world.dials - before, 1, "the new link is one, and holds");
        world.say(1, "after");
        let expected = ["before", "on its way", "and back", "after"];
        for who in [0, 1] {
            let mut texts = world.texts(who);
            // What two say at the same moment has its place by their keys.
            texts[1..3].sort();
            texts[1..3].reverse();
            assert_eq!(texts, expected, "p{who}");
            assert_eq!(world.linked(who).len(), 1);
            assert_eq!(told(&world, who, &world.people[1 - who].name.clone()), [], "a better link is no news");
        }
    }
}

#[test]
fn a_link_that_goes_on_in_silence_is_dialled_anew_beside_it_and_not_for_ever() {
    let mut world = World::in_one_room(2);
    world.pass(60);
    world.apart.insert((0, 1));
    let before = world.dials;
    let link = world.link_of(0, 1);
    world.handle(0, Input::LinkSilent { link });
    world.run();
    world.pass(60);
    assert!((2..=4).contains(&(world.dials - before)), "{} dials", world.dials - before);
    assert_eq!(world.linked(0).len(), 1, "the link is kept, it may go on");
    world.say(0, "it does");
    assert_eq!(world.texts(1), ["it does"]);
}

#[test]
fn a_detour_is_told_once_when_it_lasts_and_its_end_once() {
    let mut world = World::in_one_room(3);
    for person in &mut world.people {
        person.events.clear();
    }
    world.apart.insert((0, 1));
    world.cut(0);
    world.run();
    world.pass(1);
    assert_eq!(told(&world, 0, "p1"), [], "most are over before anybody could read of them");
    world.say(0, "carried");
    assert_eq!(world.texts(1), ["carried"], "but nothing waits for that");
    world.pass(30);
    assert_eq!(told(&world, 0, "p1"), [Path::Relayed { via: "p2".parse().unwrap() }]);
    assert_eq!(told(&world, 1, "p0"), [Path::Relayed { via: "p2".parse().unwrap() }]);
    world.apart.clear();
    world.pass(60);
    let told = told(&world, 0, "p1");
    assert!(matches!(told[..], [Path::Relayed { .. }, Path::Direct { .. }]), "{told:?}");
}

#[test]
fn whoever_asks_is_told_every_path() {
    let mut world = World::in_one_room(3);
    world.apart.insert((0, 1));
    world.cut(0);
    world.pass(30);
    world.command(0, Command::Paths(lobby()));
    let Some(Event::Paths { routes, .. }) = world.people[0].events.last() else { panic!("no answer") };
    let [one, two] = &routes[..] else { panic!("{routes:?}") };
    assert_eq!((one.path.clone(), one.direct), (Path::Relayed { via: "p2".parse().unwrap() }, None));
    assert!(!one.addresses.is_empty());
    assert_eq!(one.online, Some(true));
    assert!(two.direct.is_some());
}

#[test]
fn two_who_have_no_path_are_told_so_while_the_server_sees_both() {
    let mut world = World::with_members(2, 1);
    world.apart.insert((0, 1));
    world.let_in(1);
    world.say(0, "kept");
    world.pass(10);
    let no_path =
        |event: &Event| matches!(event, Event::Link { path: Path::None, tried: Some(1), grace_s: Some(_), .. });
    assert!(world.was_told(0, no_path) && world.was_told(1, no_path), "{:?}", world.people[0].events);
    world.apart.clear();
    world.pass(60);
    assert_eq!(world.texts(1), ["kept"], "it arrives when there is a path");
}

/// THREATS.md rows 16 and 32: ever new addresses of a member, by a server that lies.
#[test]
fn a_server_that_lies_about_moves_does_not_make_us_dial_for_ever() {
    let mut world = World::in_one_room(2);
    world.pass(60);
    world.apart.insert((0, 1));
    let (room, peer, before) = (room_of(&world), world.people[1].id, world.dials);
    for nth in 0..1_000_u32 {
        let address = SocketAddr::from(([203, 0, 113, (nth % 250) as u8], 9));
        world.forge(0, FromServer::Introduce((room, peer, vec![address].try_into().unwrap())));
        world.forge(0, FromServer::Observed(address));
    }
    world.pass(60);
    assert!(world.dials - before <= 2 * HURRIES_PER_MINUTE_MAX as u32 + 8, "{} dials", world.dials - before);
    world.cut(0);
    world.run();
    let before = world.dials;
    for nth in 0..1_000_u32 {
        let address = SocketAddr::from(([203, 0, 113, (nth % 250) as u8], 9));
        world.forge(0, FromServer::Introduce((room, peer, vec![address].try_into().unwrap())));
    }
    assert!(world.dials - before <= 2 * HURRIES_PER_MINUTE_MAX as u32, "{} dials", world.dials - before);
}

#[test]
fn what_is_said_on_a_connection_that_lost_to_a_rival_is_heard_and_it_is_closed_afterwards() {
    let mut world = World::with_members(2, 2);
    let (old, (_, theirs)) = world.people[0].links.iter().next().map(|(link, end)| (*link, *end)).unwrap();
    let (peer, lower) = (world.people[1].id, world.people[0].id < world.people[1].id);
    let life = world.people[1].life;
    // Of two of one attempt the one that the lower key dialled stays.
    let (link, remote) = (LinkId(9_000), address(1));
    world.handle(0, Input::LinkUp { peer, life, link, dialled: lower, remote, rtt_ms: 1 });
    world.say(1, "on the old one");
    assert!(world.texts(0).contains(&"on the old one".to_owned()));
    assert!(world.people[1].links.contains_key(&theirs));
    world.pass(3);
    assert!(!world.people[0].links.contains_key(&old), "it is closed when all that was on its way has come");
}
