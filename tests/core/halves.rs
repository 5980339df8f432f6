//! Rooms that fall into halves, and halves that meet again (DESIGN.md §4 rules 8 and 10).

use p2pchat::core::event::{Command, Event, Failure, Leaving};

use p2pchat::wire::Settings;

use crate::world::{World, lobby};

/// Parts the first two of four from the other two for longer than the grace.
fn part(world: &mut World) {
    for (one, other) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        world.apart.insert((one, other));
    }
    (0..4).for_each(|who| world.cut(who));
    world.pass(200);
    assert_eq!(world.members(0), names(&[0, 1]));
}

fn names(who: &[usize]) -> Vec<String> {
    who.iter().map(|who| format!("p{who}")).collect()
}

fn was_dropped(world: &World, who: usize) -> bool {
    world.was_told(who, |event| matches!(event, Event::Left { why: Leaving::DroppedByOthers, .. }))
}

/// Everybody who knocks is let in by whoever is asked.
fn let_all_in(world: &mut World) {
    for _ in 0..4 {
        (0..4).for_each(|who| world.join(who));
        world.pass(10);
        for member in 0..4 {
            (0..4).filter(|newcomer| *newcomer != member).for_each(|newcomer| world.approve(member, newcomer));
        }
    }
    world.pass(10);
}

#[test]
fn two_halves_meet_over_their_own_links_and_the_junior_one_gives_way() {
    let mut world = World::in_one_room(4);
    world.stop_server();
    part(&mut world);
    assert_eq!(world.members(3), names(&[2, 3]));
    world.say(0, "on this side");
    world.apart.clear();
    world.pass(120);
    assert!(was_dropped(&world, 2) && was_dropped(&world, 3), "they saw by which step the others had parted");
    assert!(!was_dropped(&world, 0) && !was_dropped(&world, 1));
    assert!(!world.texts(2).contains(&"on this side".to_owned()), "nothing but that was said over the bare link");
    world.start_server();
    let_all_in(&mut world);
    assert_eq!(world.members(0).len(), 4);
    assert!((1..4).all(|who| world.members(who) == world.members(0)));
}

#[test]
fn two_halves_that_only_a_server_sees_meet_by_its_help() {
    let mut world = World::in_one_room(4);
    part(&mut world);
    let_all_in(&mut world);
    assert!(was_dropped(&world, 2) && was_dropped(&world, 3) && !was_dropped(&world, 0));
    // Nobody reaches the other half still, but by the server's word they have knocked at the half that hosts.
    world.apart.clear();
    let_all_in(&mut world);
    assert_eq!(world.members(0).len(), 4);
}

#[test]
fn a_lying_server_can_not_send_members_away_who_have_company() {
    use p2pchat::wire::{FromServer, RosterHash};
    let mut world = World::in_one_room(3);
    let room = world.kept(0).rooms[0].base.room;
    for who in 0..3 {
        world.forge(who, FromServer::RosterIs((room, RosterHash([9; 32]))));
    }
    world.pass(300);
    assert!((0..3).all(|who| !was_dropped(&world, who)));
    world.say(1, "still here");
    assert!(world.texts(2).contains(&"still here".to_owned()));
}

#[test]
fn nobody_goes_over_to_another_half_where_none_is_known() {
    let mut world = World::in_one_room(2);
    world.command(1, Command::Rejoin(lobby()));
    assert!(world.was_told(1, |event| *event == Event::Failed(Failure::NotApart(lobby()))));
    assert_eq!(world.members(0), names(&[0, 1]));
}

#[test]
fn nobody_founds_a_room_of_a_name_under_which_they_have_a_seat() {
    let mut world = World::in_one_room(2);
    world.kill(1);
    world.start(1);
    world.create(1, 8, 60, 120);
    assert!(world.was_told(1, |event| *event == Event::Failed(Failure::SeatThere(lobby()))));
    world.join(1);
    world.pass(5);
    assert_eq!(world.members(1), names(&[0, 1]));
}

#[test]
fn a_ticket_of_another_room_of_a_name_takes_nobodys_seat_away() {
    let mut world = World::hosted(2, 1, 120);
    let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
    world.command(1, Command::Host { room: lobby(), size: 8, settings });
    let ticket = world.ticket(0);
    let seat = world.kept(1).rooms[0].base.room;
    world.kill(1);
    world.start(1);
    world.command(1, Command::Enter(ticket.clone()));
    assert!(world.was_told(1, |event| *event == Event::Failed(Failure::SeatThere(lobby()))));
    assert_eq!(world.kept(1).rooms[0].base.room, seat);
    // Whoever wants to be in the other one leaves the first.
    world.command(1, Command::Host { room: lobby(), size: 8, settings });
    world.pass(5);
    world.leave(1);
    world.command(1, Command::Enter(ticket));
    world.pass(5);
    world.approve(0, 1);
    world.pass(5);
    assert_eq!(world.members(0), names(&[0, 1]));
}

#[test]
fn two_who_are_lost_seconds_apart_are_dropped_together_and_one_who_comes_back_then_finds_the_room_whole() {
    let mut world = World::in_one_room(4);
    world.kill(2);
    world.pass(2);
    world.kill(3);
    // The third is back in the very second in which the others would have signed that it is gone.
    world.pass(119);
    world.start(2);
    world.join(2);
    world.pass(300);
    let left: Vec<_> = (0..3).map(|who| world.members(who)).collect();
    assert!(left.iter().all(|members| *members == names(&[0, 1, 2])), "{left:?}");
}
