//! What nobody has any more keeps nobody waiting, and what somebody has is waited for.

use p2pchat::core::event::{Command, Event, Misdeed};
use p2pchat::wire::{Body, Entry, EntryId, Few, PeerMessage, RosterHash};

use crate::transcript::{entry_after, last_entry_of, run_of};
use crate::world::{World, lobby};

/// p0 said two things that p1 never got; p2 came after, and p0 said one more.
fn with_a_gap() -> World {
    let mut world = World::with_members(3, 2);
    world.say(0, "first");
    world.apart.insert((0, 1));
    world.cut(0);
    for text in ["lost", "lost too"] {
        world.command(0, Command::Say { room: lobby(), text: text.to_owned() });
    }
    world.let_in(2);
    assert!(world.is_in(2));
    world.say(0, "after");
    world.say(2, "what p0 says");
    world
}

#[test]
fn whoever_can_have_what_is_missing_from_nobody_goes_on_without_and_gets_it_from_whoever_comes() {
    let mut world = with_a_gap();
    world.pass(20);
    assert_eq!(world.texts(1), ["first"], "p0 may come yet");
    world.pass(120);
    assert_eq!(world.texts(1), ["first", "after", "what p0 says"]);
    world.apart.clear();
    world.pass(60);
    assert_eq!(world.texts(1)[3..], ["lost", "lost too"], "p0 has come, and has it");
    world.say(0, "back");
    assert_eq!(world.texts(1).last().unwrap(), "back");
    assert!(!world.was_told(1, |event| matches!(event, Event::Misbehaviour { .. })));
}

/// p0 said something that neither p1 nor p2 got; p3, who came after, links p0 with them.
fn lost_to_two() -> World {
    let mut world = World::with_members(4, 3);
    world.say(0, "first");
    world.apart.extend([(0, 1), (0, 2)]);
    world.cut(0);
    world.command(0, Command::Say { room: lobby(), text: "lost".to_owned() });
    world.let_in(3);
    assert!(world.is_in(3));
    world
}

#[test]
fn what_comes_late_to_one_who_went_on_without_is_given_on_to_the_others_who_did() {
    let mut world = lost_to_two();
    world.say(0, "after");
    world.pass(150);
    for who in [1, 2] {
        assert_eq!(world.texts(who), ["first", "after"], "p{who}");
    }
    world.apart.remove(&(0, 1));
    world.pass(60);
    for who in [1, 2] {
        assert_eq!(world.texts(who), ["first", "after", "lost"], "p{who}");
    }
    assert_eq!(world.texts(3), ["after"], "it was not said to p3");
}

#[test]
fn what_comes_late_to_one_who_went_on_without_comes_before_what_is_behind_it_to_whoever_still_waits() {
    let mut world = lost_to_two();
    // p2 hears of what comes after it, and p1 not before most of p2's patience is over.
    world.split(&[0, 2, 3], &[1]);
    world.apart.insert((0, 2));
    world.say(0, "after");
    world.pass(40);
    world.heal();
    world.apart.extend([(0, 1), (0, 2)]);
    world.pass_until(|world| world.texts(2).contains(&"after".to_owned()));
    assert_eq!(
        (world.texts(1), world.texts(2)),
        (vec!["first".to_owned()], vec!["first".to_owned(), "after".to_owned()])
    );
    world.apart.remove(&(0, 2));
    world.pass_until(|world| world.texts(2).len() == 3);
    world.run();
    assert_eq!(world.texts(1), ["first", "lost"], "at once");
    world.pass(90);
    assert_eq!(world.texts(1), ["first", "lost", "after"]);
    assert_eq!(world.texts(2), ["first", "after", "lost"]);
}

#[test]
fn nothing_is_given_up_while_somebody_has_it() {
    let mut world = with_a_gap();
    world.pass(20);
    world.apart.clear();
    world.pass(60);
    assert_eq!(world.texts(1), ["first", "lost", "lost too", "after", "what p0 says"]);
}

#[test]
fn what_somebody_has_comes_from_them_whoever_else_should_give_it() {
    // Whose turn it is depends on keys: with these it is a newcomer's for some authors, and an old member's for others.
    for author in [0, 3] {
        let mut world = World::with_members(6, 4);
        world.say(author, "first");
        world.apart.extend([(author.min(1), author.max(1)), (1, 2), (author.min(1), 3.min(author.max(1)))]);
        let other = 3 - author;
        world.apart.insert((other.min(1), other.max(1)));
        world.cut(1);
        world.command(author, Command::Say { room: lobby(), text: "not lost".to_owned() });
        world.run();
        world.let_in(4);
        world.let_in(5);
        world.say(author, "after");
        world.pass(30);
        assert_eq!(world.texts(1), ["first"]);
        world.apart.remove(&(1, 2));
        world.pass(150);
        assert_eq!(world.texts(1), ["first", "not lost", "after"], "p{author}");
    }
}

#[test]
fn what_comes_late_for_a_number_in_a_hole_accuses_nobody() {
    let mut world = with_a_gap();
    world.pass(140);
    let room = world.kept(1).rooms[0].base.room;
    let (author, store) = (world.people[0].id, world.fetch(0, room, 0, 2, 1));
    assert_eq!(store.first().author, author);
    world.forge_peer(2, 1, PeerMessage::Run(store));
    world.pass(10);
    assert!(!world.was_told(1, |event| matches!(event, Event::Misbehaviour { what: Misdeed::TwoEntries, .. })));
    assert!(world.texts(1).contains(&"lost".to_owned()), "late is better than never");
}

/// What p1 says after `before`: "for all", something for others, and "later".
fn over_what_is_for_others(before: &Entry) -> (Entry, Entry) {
    let mut for_all = entry_after(before, "for all");
    for_all.seen = Few::default();
    let mut later = for_all.clone();
    (later.seq, later.previous) = (before.seq + 3, EntryId([9; 32]));
    (later.previous_audience, later.body) = (RosterHash([9; 32]), Body::text("later").unwrap());
    (for_all, later)
}

#[test]
fn a_giver_cannot_leave_out_what_was_said_where_they_had_no_seat() {
    let mut world = World::with_members(3, 2);
    world.say(1, "first");
    let before = last_entry_of(&world, world.people[1].id);
    world.let_in(2);
    world.say(0, "welcome");
    let now = last_entry_of(&world, world.people[0].id).audience;
    let (for_all, mut later) = over_what_is_for_others(&before);
    later.audience = now;
    let (for_all, later) = (run_of(for_all, 1), PeerMessage::Run(run_of(later, 1)));
    world.forge_peer(2, 0, later.clone());
    world.pass(20);
    world.forge_peer(2, 0, later.clone());
    assert_eq!(world.texts(0), ["first", "welcome"], "p1 is here, and may have said something before");
    world.forge_peer(1, 0, PeerMessage::Run(for_all));
    world.forge_peer(1, 0, later);
    assert_eq!(world.texts(0), ["first", "welcome", "for all", "later"]);
}

#[test]
fn what_somebody_with_a_seat_leaves_out_is_asked_for_to_its_end() {
    let mut world = World::with_members(4, 3);
    world.say(1, "first");
    let author = world.people[1].id;
    let before = last_entry_of(&world, author);
    world.let_in(3);
    world.say(0, "welcome");
    let (for_all, mut later) = over_what_is_for_others(&before);
    later.audience = last_entry_of(&world, world.people[0].id).audience;
    world.forge_peer(2, 0, PeerMessage::Run(run_of(later, 1)));
    assert_eq!(world.texts(0), ["first", "welcome", "later"]);
    let asked = |world: &World, from, to| {
        let about = |holes: &[(_, u64, u64)]| holes.contains(&(author, from, to));
        let heard = |message: &PeerMessage| matches!(message, PeerMessage::Holes((_, holes)) if about(holes));
        world.people[1].heard.iter().any(heard)
    };
    assert!(asked(&world, 2, 3), "the author has it");
    assert!(!asked(&world, 3, 3));
    world.forge_peer(1, 0, PeerMessage::Run(run_of(for_all, 1)));
    world.pass(1);
    assert_eq!(world.texts(0), ["first", "welcome", "later", "for all"]);
    assert!(asked(&world, 3, 3), "the rest of it may be for us too");
}
