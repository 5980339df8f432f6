//! Coming in, being refused, leaving, being lost, coming back.

use p2pchat::core::event::{Departure, Entrance, Event, Failure, Leaving, Refusal};

use crate::world::{World, lobby};

fn refused(world: &World, who: usize) -> Option<Refusal> {
    world.people[who].events.iter().rev().find_map(|event| match event {
        Event::Refused { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_newcomer_enters_when_every_member_has_agreed_and_not_before() {
    let mut four = World::of(4);
    four.create(0, 8, 60, 120);
    for newcomer in 1..4 {
        four.join(newcomer);
        for member in 0..newcomer {
            assert!(!four.is_in(newcomer));
            assert!(four.linked(newcomer).is_empty(), "nobody links before the admission");
            four.approve(member, newcomer);
        }
        assert!(four.is_in(newcomer));
        assert_eq!(four.linked(newcomer), (0..newcomer).collect());
    }
    for who in 0..4 {
        assert_eq!(four.members(who), ["p0", "p1", "p2", "p3"]);
    }
}

#[test]
fn one_no_is_enough_and_is_final_for_that_knock() {
    let mut world = World::in_one_room(3);
    world.leave(2);
    world.join(2);
    world.approve(0, 2);
    world.deny(1, 2);
    assert_eq!(refused(&world, 2), Some(Refusal::Denied));
    assert!(world.linked(2).is_empty());
    // Saying yes afterwards changes nothing.
    let knock = world.last_knock(1).unwrap();
    world.command(1, p2pchat::core::event::Command::Approve(p2pchat::core::event::KnockRef::Id(knock)));
    assert!(world.was_told(1, |event| matches!(event, Event::Failed(Failure::AlreadyAnswered))));
    // But the newcomer may knock again, and be let in.
    world.join(2);
    world.approve(0, 2);
    world.approve(1, 2);
    assert!(world.is_in(2));
}

#[test]
fn silence_refuses_at_the_deadline() {
    let mut world = World::of(3);
    world.create(0, 4, 30, 120);
    world.join(1);
    world.approve(0, 1);
    world.join(2);
    world.approve(0, 2);
    world.pass(29);
    assert_eq!(refused(&world, 2), None);
    world.pass(2);
    assert_eq!(refused(&world, 2), Some(Refusal::Expired));
    assert_eq!(world.members(0), ["p0", "p1"]);
}

#[test]
fn the_newcomer_sees_counts_and_the_clock_only() {
    let mut three = World::with_members(3, 2);
    three.join(2);
    three.approve(1, 2);
    let progress = three.people[2].events.iter().rev().find_map(|event| match event {
        Event::Knocking { yes, of, expires_in_s, .. } => Some((*yes, *of, *expires_in_s)),
        _ => None,
    });
    assert_eq!(progress, Some((1, 2, Some(60))));
    let said = format!("{:?}", three.people[2].served);
    assert!(!said.contains("\"p0\"") && !said.contains("\"p1\""), "{said}");
    assert!(!said.contains("10.0.0.1") && !said.contains("10.0.0.2"), "{said}");
}

#[test]
fn a_full_room_says_so() {
    let mut world = World::of(3);
    world.create(0, 2, 60, 120);
    world.join(1);
    world.approve(0, 1);
    world.join(2);
    assert_eq!(refused(&world, 2), Some(Refusal::Full));
}

#[test]
fn a_room_that_is_not_there_says_so() {
    let mut world = World::of(1);
    world.join(0);
    assert_eq!(refused(&world, 0), Some(Refusal::NoSuchRoom));
}

#[test]
fn two_knocks_at_once_are_both_decided_without_anybody_asking_again() {
    let mut world = World::of(3);
    world.create(0, 4, 60, 120);
    world.join(1);
    world.join(2);
    world.approve(0, 1);
    assert!(world.is_in(1));
    // The second knock was bound to the old roster; its client has knocked anew by itself.
    world.approve(0, 2);
    world.approve(1, 2);
    assert!(world.is_in(2));
}

#[test]
fn leaving_is_seen_by_all_at_once_and_the_room_goes_on() {
    let mut world = World::in_one_room(3);
    world.leave(1);
    assert!(world.was_told(1, |event| matches!(event, Event::Left { why: Leaving::Asked, .. })));
    for who in [0, 2] {
        let left = |event: &Event| matches!(event, Event::MemberLeft { reason: Departure::Left, .. });
        assert!(world.was_told(who, left), "{:?}", world.people[who].events);
        assert_eq!(world.members(who), ["p0", "p2"]);
        assert!(!world.linked(who).contains(&1));
    }
    world.say(0, "still here");
    assert_eq!(world.texts(2), ["still here"]);
}

#[test]
fn whoever_is_left_alone_keeps_the_room() {
    let mut world = World::in_one_room(2);
    world.leave(1);
    assert_eq!(world.members(0), ["p0"]);
    world.join(1);
    world.approve(0, 1);
    assert!(world.is_in(1));
    // And the other way round: the founder leaves.
    world.leave(0);
    assert_eq!(world.members(1), ["p1"]);
    world.join(0);
    world.approve(1, 0);
    assert!(world.is_in(0), "{:?}", world.people[0].events);
}

#[test]
fn the_last_to_leave_takes_the_room_along() {
    let mut world = World::of(2);
    world.create(0, 4, 60, 120);
    world.leave(0);
    world.join(1);
    assert_eq!(refused(&world, 1), Some(Refusal::NoSuchRoom));
}

#[test]
fn a_room_that_is_given_up_before_it_is_made_leaves_nothing_behind() {
    use p2pchat::core::event::Command;
    let mut world = World::of(2);
    let settings = p2pchat::wire::Settings { consent_timeout_s: 60, grace_s: 120 };
    world.ask(0, Command::Create { room: lobby(), size: 8, settings });
    world.ask(0, Command::Leave(lobby()));
    world.run();
    world.join(1);
    assert_eq!(refused(&world, 1), Some(Refusal::NoSuchRoom));
}

#[test]
fn a_room_of_one_who_left_and_one_who_crashed_is_gone_after_a_while() {
    let mut world = World::with_members(3, 2);
    world.kill(1);
    world.leave(0);
    world.pass(121);
    world.join(2);
    assert_eq!(refused(&world, 2), Some(Refusal::NoSuchRoom));
}

#[test]
fn a_lost_member_keeps_the_seat_for_the_grace_and_is_then_dropped() {
    let mut world = World::in_one_room(3);
    world.kill(2);
    world.pass(110);
    let lost = |event: &Event| matches!(event, Event::Link { grace_s: Some(_), .. });
    assert!(world.was_told(0, lost));
    assert_eq!(world.members(0), ["p0", "p1", "p2"]);
    world.pass(15);
    for who in [0, 1] {
        assert_eq!(world.members(who), ["p0", "p1"]);
        assert!(world.was_told(who, |event| matches!(event, Event::MemberLeft { reason: Departure::Dropped, .. })));
    }
}

#[test]
fn coming_back_within_the_grace_asks_nobody() {
    let mut world = World::in_one_room(3);
    world.kill(2);
    world.pass(60);
    world.say(0, "while you were away");
    let asked =
        |world: &World| world.people[0].events.iter().filter(|event| matches!(event, Event::Knock { .. })).count();
    let before = asked(&world);
    world.people[2].events.clear();
    world.start(2);
    world.join(2);
    world.pass(5);
    assert!(world.was_told(2, |event| matches!(event, Event::Joined { how: Entrance::Returned, .. })));
    assert_eq!(asked(&world), before);
    assert_eq!(world.linked(2), [0, 1].into());
    assert_eq!(world.texts(2), ["while you were away"]);
    world.pass(200);
    assert_eq!(world.members(0), ["p0", "p1", "p2"]);
}

#[test]
fn whoever_comes_back_too_late_knocks_by_itself() {
    let mut world = World::in_one_room(3);
    world.kill(2);
    world.pass(200);
    world.start(2);
    world.join(2);
    world.pass(1);
    assert!(world.was_told(2, |event| matches!(event, Event::Left { why: Leaving::DroppedByOthers, .. })));
    world.approve(0, 2);
    world.approve(1, 2);
    assert!(world.is_in(2), "{:?}", world.people[2].events);
}

#[test]
fn a_cut_off_client_that_runs_on_finds_back_by_itself() {
    let mut world = World::in_one_room(3);
    world.unplug(2);
    world.pass(200);
    assert_eq!(world.members(0), ["p0", "p1"]);
    world.plug_in(2);
    world.pass(5);
    world.approve(0, 2);
    world.approve(1, 2);
    world.pass(5);
    assert!(world.is_in(2), "{:?}", world.people[2].events);
    world.say(2, "back");
    assert_eq!(world.texts(0), ["back"]);
}

#[test]
fn a_crashed_member_blocks_a_knock_only_until_it_is_dropped() {
    let mut four = World::with_members(4, 3);
    four.kill(2);
    four.join(3);
    four.approve(0, 3);
    four.approve(1, 3);
    four.pass(70);
    assert_eq!(refused(&four, 3), Some(Refusal::Expired));
    four.pass(70);
    assert_eq!(four.members(0), ["p0", "p1"], "a later drop overrides the living yes");
    four.join(3);
    four.approve(0, 3);
    four.approve(1, 3);
    assert!(four.is_in(3));
}

#[test]
fn only_the_creator_deletes_and_everybody_is_told() {
    let mut world = World::in_one_room(2);
    world.command(1, p2pchat::core::event::Command::Delete(lobby()));
    assert!(world.was_told(1, |event| matches!(event, Event::Failed(Failure::NotCreator(_)))));
    world.command(0, p2pchat::core::event::Command::Delete(lobby()));
    for who in [0, 1] {
        assert!(world.was_told(who, |event| matches!(event, Event::Left { why: Leaving::Deleted, .. })));
    }
    world.join(1);
    assert_eq!(refused(&world, 1), Some(Refusal::NoSuchRoom));
}

#[test]
fn the_chat_goes_on_without_the_server_and_the_room_with_a_server_that_lost_everything() {
    let mut world = World::in_one_room(3);
    world.stop_server();
    world.say(0, "nobody listens but you");
    assert_eq!(world.texts(2), ["nobody listens but you"]);
    // Even leaving works: the members see to it among themselves.
    world.leave(1);
    assert_eq!(world.members(0), ["p0", "p2"]);
    world.pass(300);
    assert_eq!(world.members(0), ["p0", "p2"]);
    world.start_server();
    world.join(1);
    world.approve(0, 1);
    world.approve(2, 1);
    assert!(world.is_in(1), "{:?}", world.people[1].events);
}

#[test]
fn nothing_wakes_a_client_again_and_again_once_it_is_done() {
    let mut world = World::in_one_room(3);
    world.kill(2);
    world.join(2);
    world.unplug(1);
    world.pass(10);
    world.plug_in(1);
    world.wakes = 0;
    world.pass(600);
    assert!(world.wakes < 600, "{} wakes in ten minutes", world.wakes);
}

#[test]
fn a_client_that_crashed_after_its_yes_remembers_what_it_signed() {
    let mut world = World::with_members(4, 3);
    world.join(3);
    world.approve(0, 3);
    world.kill(0);
    world.start(0);
    world.join(0);
    world.pass(2);
    // Its yes counts, although the client that gave it is gone; and nobody asks it again.
    let asked = world.people[0]
        .events
        .iter()
        .filter(|event| matches!(event, Event::Knock { name, .. } if name.as_str() == "p3"));
    assert_eq!(asked.count(), 1);
    world.approve(1, 3);
    world.approve(2, 3);
    assert!(world.is_in(3));
    for who in 0..4 {
        assert_eq!(world.members(who), ["p0", "p1", "p2", "p3"]);
    }
}

#[test]
fn a_server_restarted_in_the_middle_of_a_knock_costs_a_new_knock_and_nothing_else() {
    let mut world = World::with_members(4, 3);
    world.join(3);
    world.approve(0, 3);
    world.stop_server();
    world.pass(5);
    world.start_server();
    world.pass(5);
    // The old knock lapses at the members; the newcomer's client has knocked anew.
    world.pass(60);
    if !world.is_in(3) {
        world.join(3);
    }
    (0..3).for_each(|member| world.approve(member, 3));
    assert!(world.is_in(3), "{:?}", world.people[3].events);
    for who in 0..4 {
        assert_eq!(world.members(who), ["p0", "p1", "p2", "p3"]);
    }
}
