//! What was said is delivered for good: when nobody was there, across restarts, without its author, after a loss.

use p2pchat::core::event::{Command, Event};
use p2pchat::wire::PeerMessage;

use crate::world::{World, lobby};

fn delivered(world: &World, who: usize) -> Vec<(u16, u16)> {
    let told = world.people[who].events.iter().filter_map(|event| match event {
        Event::Delivered { to, of, .. } => Some((*to, *of)),
        _ => None,
    });
    told.collect()
}

fn say_unheard(world: &mut World, who: usize, texts: usize) -> Vec<String> {
    let texts: Vec<String> = (0..texts).map(|number| format!("text {number}")).collect();
    for text in &texts {
        world.command(who, Command::Say { room: lobby(), text: text.clone() });
    }
    texts
}

fn restart(world: &mut World, who: usize) {
    world.kill(who);
    world.start(who);
    world.join(who);
}

#[test]
fn what_nobody_heard_before_a_restart_is_delivered_after_it_and_counted() {
    let mut world = World::in_one_room(3);
    world.unplug(0);
    let texts = say_unheard(&mut world, 0, 3);
    world.kill(0);
    world.apart.clear();
    world.start(0);
    world.join(0);
    world.pass(40);
    assert_eq!(world.texts(1), texts);
    assert_eq!(world.texts(2), texts);
    assert_eq!(
        delivered(&world, 0),
        [(1, 2), (2, 2)],
        "once for all that was said before the restart, and each reader"
    );
}

#[test]
fn thousands_of_texts_that_nobody_heard_are_all_counted_after_a_restart() {
    let mut world = World::in_one_room(2);
    world.unplug(0);
    let texts = say_unheard(&mut world, 0, 1_500);
    world.kill(0);
    world.apart.clear();
    world.start(0);
    world.join(0);
    world.pass(40);
    assert_eq!(world.texts(1), texts);
    assert_eq!(delivered(&world, 0).last(), Some(&(1, 1)));
    // All of them were followed: whoever quits now has nothing undelivered.
    world.command(0, Command::Quit);
    world.pass(1);
    assert!(!world.is_up(0).0, "nothing is left to wait for");
}

#[test]
fn a_restart_tells_of_old_deliveries_at_most_once() {
    let mut world = World::in_one_room(2);
    for text in ["one", "two", "three"] {
        world.say(0, text);
    }
    let before = delivered(&world, 0).len();
    restart(&mut world, 0);
    world.pass(10);
    assert!(delivered(&world, 0).len() <= before + 1);
    world.say(0, "four");
    assert_eq!(world.texts(1), ["one", "two", "three", "four"]);
}

#[test]
fn whoever_was_away_catches_up_without_the_author() {
    let mut world = World::in_one_room(3);
    world.kill(2);
    world.say(0, "while p2 is away");
    world.say(1, "so it is");
    world.kill(0);
    world.start(2);
    world.join(2);
    world.pass(20);
    assert_eq!(world.texts(2), ["while p2 is away", "so it is"]);
}

#[test]
fn a_newcomer_that_lies_about_what_it_has_gets_nothing_older() {
    let mut world = World::with_members(3, 2);
    world.say(0, "old");
    world.say(1, "old too");
    world.let_in(2);
    world.say(0, "new");
    let room = world.kept(2).rooms[0].base.room;
    world.people[2].heard.clear();
    for seq in [0, 1, u64::MAX] {
        let claims = [0, 1].map(|who| (world.people[who].id, seq));
        for victim in 0..2 {
            let frontier = PeerMessage::Frontier((room, claims.to_vec().try_into().unwrap()));
            world.forge_peer(2, victim, frontier);
        }
        world.pass(70);
    }
    for message in &world.people[2].heard {
        if let PeerMessage::Run(run) = message {
            assert!(run.entries().iter().all(|entry| entry.body.as_text() == Some("new")));
        }
    }
    assert_eq!(world.texts(2), ["new"]);
}
