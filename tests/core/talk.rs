//! What is said arrives: once, in order, at those it is for, and at nobody else.

use std::collections::BTreeSet;

use p2pchat::core::event::Event;
use p2pchat::core::io::Input;
use p2pchat::wire::PeerMessage;

use crate::world::{World, lobby};

#[test]
fn everybody_gets_every_line_once_and_in_order() {
    let mut world = World::in_one_room(4);
    let lines: Vec<String> = (0..300).map(|n| format!("line {n}")).collect();
    for line in &lines {
        world.command(1, p2pchat::core::event::Command::Say { room: lobby(), text: line.clone() });
    }
    world.pass(2);
    for who in 0..4 {
        assert_eq!(world.texts(who), lines);
    }
}

#[test]
fn whoever_says_more_than_goes_out_is_ahead_until_it_has_gone() {
    let mut world = World::in_one_room(3);
    let said = say_until_ahead(&mut world);
    world.pass(1);
    assert!(!world.is_ahead(0));
    assert_eq!((world.texts(1).len(), world.texts(2).len()), (said, said));
}

#[test]
fn a_member_who_takes_nothing_does_not_make_others_wait() {
    let mut world = World::in_one_room(3);
    world.kill_unnoticed(2);
    say_until_ahead(&mut world);
    world.pass(6);
    assert!(!world.is_ahead(0), "what was sent in vain is not waited for");
    world.say(0, "on it goes");
    assert_eq!(world.texts(1).last().unwrap(), "on it goes");
}

/// How many texts that took.
fn say_until_ahead(world: &mut World) -> usize {
    let texts = vec!["x".repeat(4_000); 16];
    for said in 0..32 {
        if world.is_ahead(0) {
            return said * texts.len();
        }
        world.handle(0, Input::Say { room: lobby(), texts: texts.clone() });
    }
    panic!("two megabytes make nobody wait");
}

#[test]
fn a_newcomer_gets_only_what_came_after() {
    let mut world = World::with_members(3, 2);
    world.say(0, "before");
    world.join(2);
    world.say(0, "while knocking");
    world.approve(0, 2);
    world.say(1, "nearly");
    world.approve(1, 2);
    world.say(0, "after");
    world.say(1, "after too");
    assert_eq!(world.texts(2), ["after", "after too"]);
    assert_eq!(world.texts(1), ["before", "while knocking", "nearly", "after", "after too"]);
    let heard = format!("{:?}", world.people[2].heard);
    let runs = world.people[2].heard.iter().filter(|message| matches!(message, PeerMessage::Run(_))).count();
    assert_eq!(runs, 2, "{heard}");
}

#[test]
fn the_author_learns_who_has_it() {
    let mut world = World::in_one_room(3);
    world.say(0, "hello");
    let delivered: Vec<(u16, u16)> = world.people[0]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Delivered { to, of, .. } => Some((*to, *of)),
            _ => None,
        })
        .collect();
    assert_eq!(delivered, [(1, 2), (2, 2)]);
}

#[test]
fn many_texts_are_told_as_delivered_by_the_newest_of_them() {
    let mut world = World::in_one_room(3);
    let texts = (0..50).map(|n| n.to_string()).collect();
    world.handle(0, Input::Say { room: lobby(), texts });
    world.pass(1);
    let newest = |event: &Event| match event {
        Event::Message { id, mine: true, .. } => Some(*id),
        _ => None,
    };
    let newest = world.people[0].events.iter().rev().find_map(newest);
    let delivered = world.people[0].events.iter().filter_map(|event| match event {
        Event::Delivered { id, to, of, .. } => Some((Some(*id), *to, *of)),
        _ => None,
    });
    assert_eq!(delivered.collect::<Vec<_>>(), [(newest, 1, 2), (newest, 2, 2)]);
}

#[test]
fn a_line_is_acknowledged_to_its_author_at_once_and_told_to_others_in_their_own_time() {
    let mut world = World::in_one_room(6);
    world.say(0, "first");
    world.pass(15);
    let frontiers = |world: &World, who: usize| {
        world.people[who].heard.iter().filter(|message| matches!(message, PeerMessage::Frontier(_))).count()
    };
    let before: Vec<usize> = (0..6).map(|who| frontiers(&world, who)).collect();
    for n in 0..10 {
        world.say(0, &n.to_string());
    }
    assert_eq!(frontiers(&world, 0) - before[0], 10 * 5, "the author hears of each line from everybody");
    let others = frontiers(&world, 1) - before[1];
    assert!(others <= 5 * 2, "{others} frontiers in ten seconds from five, every ten seconds at most");
    world.pass(15);
    assert!(frontiers(&world, 1) > before[1], "but they are told in the end");
}

#[test]
fn a_pair_that_cannot_connect_is_served_by_a_common_member() {
    let mut world = World::of(3);
    world.apart.insert((1, 2));
    world.create(0, 4, 60, 120);
    for newcomer in 1..3 {
        world.join(newcomer);
        (0..newcomer).for_each(|member| world.approve(member, newcomer));
    }
    world.pass(1);
    assert!(!world.linked(1).contains(&2));
    world.say(1, "through p0");
    assert_eq!(world.texts(2), ["through p0"]);
    world.pass(300);
    assert_eq!(world.members(1), ["p0", "p1", "p2"], "whoever is reached by some path is not dropped");
}

#[test]
fn what_was_said_while_nobody_was_linked_arrives_later() {
    let mut world = World::in_one_room(2);
    world.unplug(1);
    world.say(0, "one");
    world.say(1, "two");
    world.plug_in(1);
    world.pass(40);
    assert_eq!(world.texts(0), ["one", "two"]);
    assert_eq!(world.texts(1), ["two", "one"]);
}

#[test]
fn a_restarted_author_goes_on_where_the_log_ended() {
    let mut world = World::in_one_room(2);
    world.say(1, "one");
    world.kill(1);
    world.start(1);
    world.join(1);
    world.pass(5);
    world.say(1, "two");
    assert_eq!(world.texts(0), ["one", "two"]);
    assert!(!world.was_told(0, |event| matches!(event, Event::Misbehaviour { .. })));
}

#[test]
fn whoever_left_and_came_back_goes_on_in_the_same_log() {
    let mut world = World::in_one_room(2);
    world.say(1, "one");
    world.leave(1);
    world.say(0, "not for p1");
    world.join(1);
    world.approve(0, 1);
    world.say(1, "two");
    world.say(0, "for p1");
    assert_eq!(world.texts(0), ["one", "not for p1", "two", "for p1"]);
    assert_eq!(world.texts(1), ["one", "two", "for p1"]);
}

#[test]
fn a_long_absence_is_caught_up_from_the_store() {
    let mut world = World::in_one_room(2);
    world.kill(1);
    let lines: Vec<String> = (0..1500).map(|n| n.to_string()).collect();
    for line in &lines {
        world.command(0, p2pchat::core::event::Command::Say { room: lobby(), text: line.clone() });
    }
    world.start(1);
    world.join(1);
    world.pass(20);
    assert_eq!(world.texts(1), lines);
}

#[test]
fn an_idle_room_is_silent() {
    let mut world = World::in_one_room(4);
    world.say(2, "last word");
    world.pass(10);
    world.people.iter_mut().for_each(|person| person.heard.clear());
    world.told_server.clear();
    world.pass(3_600);
    for person in &world.people {
        assert!(person.heard.is_empty(), "{:?}", person.heard);
    }
    assert!(world.told_server.is_empty());
}

#[test]
fn a_member_that_is_killed_and_started_again_is_linked_at_once_although_nobody_has_noticed() {
    let mut world = World::in_one_room(4);
    for who in 0..4 {
        world.kill_unnoticed(who);
        world.start(who);
        world.join(who);
        let others: BTreeSet<usize> = (0..4).filter(|other| *other != who).collect();
        assert_eq!(world.linked(who), others, "p{who}");
        world.say(who, &format!("p{who} is back"));
        world.say((who + 1) % 4, &format!("welcome back p{who}"));
        for other in 0..4 {
            let last = world.texts(other).split_off(world.texts(other).len() - 2);
            assert_eq!(last, [format!("p{who} is back"), format!("welcome back p{who}")], "at p{other}");
        }
    }
}
