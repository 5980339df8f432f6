//! Rooms without any server: everybody can be knocked at, nobody is special, and nobody gets in by anything less than with one.

use p2pchat::core::event::{Command, Event, Failure, Refusal};
use p2pchat::wire::{FromServer, PeerMessage, Ticket, ToServer};

use crate::world::{World, address, lobby};

#[test]
fn a_room_grows_through_any_member_and_everybody_is_linked() {
    let mut world = World::hosted(5, 3, 120);
    world.enter(3, 2);
    for member in 0..3 {
        world.approve(member, 3);
    }
    world.pass(1);
    assert!(world.is_in(3), "{:?}", world.people[3].events);
    world.kill(0);
    for who in [1, 2, 3] {
        world.say(who, &format!("from p{who}"));
    }
    for who in [1, 2, 3] {
        assert_eq!(world.texts(who).len(), 3, "p{who}: {:?}", world.texts(who));
        assert_eq!(world.linked(who).len(), 2, "p{who}");
    }
}

#[test]
fn nobody_is_told_an_address_before_everybody_agreed() {
    let mut world = World::hosted(3, 2, 120);
    world.enter(2, 0);
    world.approve(0, 2);
    world.pass(10);
    let told = |it: &FromServer| matches!(it, FromServer::Introduce(_) | FromServer::Admitted(_) | FromServer::Step(_));
    assert!(!world.people[2].served.iter().any(told), "{:?}", world.people[2].served);
    let about_newcomer =
        |it: &PeerMessage| matches!(it, PeerMessage::Introduce((_, who, _)) if *who == world.people[2].id);
    assert!(!world.told_peers.iter().any(|(_, it)| about_newcomer(it)));
    world.deny(1, 2);
    world.pass(1);
    assert!(world.was_told(2, |it| matches!(it, Event::Refused { reason: Refusal::Denied, .. })));
    assert!(!world.people[2].served.iter().any(told));
    assert!(world.linked(2).is_empty());
}

#[test]
fn silence_refuses_without_a_server_too() {
    let mut world = World::hosted(3, 2, 120);
    world.enter(2, 1);
    world.approve(1, 2);
    world.pass(61);
    assert!(world.was_told(2, |it| matches!(it, Event::Refused { reason: Refusal::Expired, .. })));
    assert!(!world.is_in(2));
}

#[test]
fn a_knock_is_carried_on_when_the_member_who_was_knocked_at_is_gone() {
    let mut world = World::hosted(4, 3, 120);
    let tickets = [world.ticket(1), world.ticket(2)];
    let both = Ticket::merge(tickets).unwrap().unwrap();
    world.command(3, Command::Enter(both));
    world.approve(0, 3);
    world.approve(1, 3);
    let knock = world.last_knock(2).unwrap();
    world.kill(1);
    world.pass(1);
    world.approve(2, 3);
    world.pass(5);
    assert!(world.is_in(3), "{:?}", world.people[3].events);
    assert_eq!(world.last_knock(2), Some(knock), "nobody was asked twice");
}

#[test]
fn simultaneous_knocks_through_different_members_both_come_in() {
    for turn in 0..2 {
        let mut world = World::hosted(4, 2, 120);
        let (first, second) = if turn == 0 { (2, 3) } else { (3, 2) };
        let tickets = [world.ticket(0), world.ticket(1)];
        for (newcomer, ticket) in [first, second].into_iter().zip(tickets) {
            world.ask(newcomer, Command::Enter(ticket));
        }
        world.run();
        // Each member was asked about one first, and whoever was asked about both answers the one that is still open.
        for _ in 0..8 {
            for member in 0..world.people.len() {
                for newcomer in [2, 3] {
                    if world.is_in(member) && !world.is_in(newcomer) {
                        world.approve(member, newcomer);
                    }
                }
            }
            world.pass(20);
        }
        assert!(world.is_in(2) && world.is_in(3), "{:?}\n{:?}", world.people[2].events, world.people[3].events);
        assert_eq!(world.members(2), world.members(3));
    }
}

#[test]
fn two_yeses_to_two_newcomers_end_in_one_admission_and_no_deadlock() {
    let mut world = World::hosted(4, 2, 120);
    // Each member hears of one newcomer only, and says yes before hearing of the other.
    let tickets = [world.ticket(0), world.ticket(1)];
    world.cut_quietly(0, 1);
    world.command(2, Command::Enter(tickets[0].clone()));
    world.command(3, Command::Enter(tickets[1].clone()));
    world.approve(0, 2);
    world.approve(1, 3);
    world.mend(0, 1);
    world.pass(3);
    for _ in 0..4 {
        for (member, newcomer) in [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 2)] {
            if world.is_in(member) && !world.is_in(newcomer) {
                world.approve(member, newcomer);
            }
        }
        world.pass(5);
    }
    assert!(world.is_in(2) && world.is_in(3), "{:?}\n{:?}", world.people[2].events, world.people[3].events);
}

#[test]
fn a_member_comes_back_to_its_seat_without_anybodys_help() {
    let mut world = World::hosted(3, 3, 120);
    world.pass(5);
    world.kill(1);
    world.pass(5);
    world.start(1);
    world.command(1, Command::Host { room: lobby(), size: 16, settings: settings() });
    world.pass(5);
    assert!(world.is_in(1), "{:?}", world.people[1].events);
    assert_eq!(world.linked(1).len(), 2);
    world.say(1, "back");
    assert_eq!(world.texts(0), ["back"]);
}

#[test]
fn two_halves_go_on_and_become_one_room_again() {
    let mut world = World::hosted(5, 5, 20);
    world.split(&[0, 1, 2], &[3, 4]);
    world.pass(60);
    assert_eq!(world.members(0).len(), 3);
    assert_eq!(world.members(3).len(), 2);
    world.heal();
    for _ in 0..40 {
        world.pass(10);
        for member in 0..5 {
            for newcomer in [3, 4] {
                if world.is_in(member) && member != newcomer && !world.is_in(newcomer) {
                    world.approve(member, newcomer);
                }
            }
        }
    }
    for who in 0..5 {
        assert_eq!(world.members(who).len(), 5, "p{who}: {:?}", world.people[who].events);
    }
}

#[test]
fn a_room_is_shown_to_nobody_without_a_ticket_that_a_member_signed() {
    let mut world = World::hosted(4, 2, 120);
    let mine = world.ticket(1);
    // p1 has not opened the room, so its name says nothing there; and p0 never signed that.
    let mut forged = mine.clone();
    forged.hosts = vec![forged.hosts[0].clone()].try_into().unwrap();
    let mut passes = forged.passes.clone().into_vec();
    passes[0].by = world.ticket(0).passes[0].by;
    forged.passes = passes.try_into().unwrap();
    world.command(2, Command::Enter(forged));
    world.pass(1);
    assert!(world.was_told(2, |it| matches!(it, Event::Refused { reason: Refusal::NoSuchRoom, .. })));
    assert!(!world.people[2].served.iter().any(|it| matches!(it, FromServer::Shown(_))));
    world.command(3, Command::Enter(mine));
    world.pass(1);
    assert!(world.people[3].served.iter().any(|it| matches!(it, FromServer::Shown(_))));
}

#[test]
fn a_ticket_expires_by_the_members_clock() {
    let mut world = World::hosted(4, 2, 120);
    world.command(1, Command::Ticket { room: lobby(), expires_in_s: Some(60) });
    let Some(Event::Ticket { ticket, .. }) = world.people[1].events.last().cloned() else { panic!("no ticket") };
    world.command(2, Command::Enter(ticket.clone()));
    assert!(world.last_knock(1).is_some());
    world.pass(61);
    world.command(3, Command::Enter(ticket.clone()));
    assert!(world.was_told(3, |it| matches!(it, Event::Failed(Failure::TicketExpired(_)))));
    // Somebody who sets the time anew has another token to find.
    let mut longer = ticket;
    longer.hosts = vec![longer.hosts[0].clone()].try_into().unwrap();
    let mut passes = longer.passes.clone().into_vec();
    passes[0].expires_unix_s += 600;
    longer.passes = passes.try_into().unwrap();
    world.command(3, Command::Enter(longer));
    world.pass(1);
    assert!(world.was_told(3, |it| matches!(it, Event::Refused { reason: Refusal::NoSuchRoom, .. })));
}

#[test]
fn a_liar_at_the_door_learns_nothing_and_breaks_nothing() {
    let mut world = World::hosted(4, 2, 120);
    world.enter(2, 0);
    let served = world.people[2].served.len();
    let Some(FromServer::Shown(shown)) = world.people[2].served.iter().find(|it| matches!(it, FromServer::Shown(_)))
    else {
        panic!("shown")
    };
    let (room, roster) = (shown.room, shown.roster);
    let someone = world.people[3].id;
    for lie in [
        ToServer::Attach((room, roster)),
        ToServer::Candidates((room, roster, vec![address(3)].try_into().unwrap())),
        ToServer::Report((room, someone)),
        ToServer::Close(room),
        ToServer::List(()),
    ] {
        world.say_to_host(2, lie);
    }
    world.run();
    let told = &world.people[2].served[served..];
    let harmless = |it: &FromServer| matches!(it, FromServer::Rooms(_) | FromServer::KnockState(_));
    assert!(told.iter().all(harmless), "{told:?}");
    assert!(
        !world.told_peers.iter().any(|(_, it)| matches!(it, PeerMessage::Introduce((_, who, _)) if *who == someone))
    );
    world.approve(0, 2);
    world.approve(1, 2);
    world.pass(1);
    assert!(world.is_in(2));
}

#[test]
fn observed_addresses_are_told_from_member_to_member() {
    let mut world = World::hosted(2, 2, 120);
    let seen: Vec<_> = world.told_peers.iter().filter(|(_, it)| matches!(it, PeerMessage::Seen(_))).collect();
    let by: std::collections::BTreeSet<_> = seen.iter().map(|(by, _)| *by).collect();
    assert_eq!(by.len(), 2, "{seen:?}");
    let elsewhere = "203.0.113.9:7".parse().unwrap();
    world.forge_peer(0, 1, PeerMessage::Seen(elsewhere));
    let ticket = world.ticket(1);
    assert!(ticket.hosts[0].addresses.contains(&elsewhere));
    world.forge_peer(0, 1, PeerMessage::Seen("127.0.0.1:0".parse().unwrap()));
    assert_eq!(world.ticket(1).hosts[0].addresses.len(), ticket.hosts[0].addresses.len());
}

#[test]
fn a_room_of_a_server_goes_on_without_it_and_takes_newcomers_by_ticket() {
    let mut world = World::in_one_room(3);
    world.people.push(crate::world::bystander(3));
    world.stop_server();
    world.start(3);
    world.pass(5);
    world.enter(3, 2);
    for member in 0..3 {
        world.approve(member, 3);
    }
    world.pass(2);
    assert!(world.is_in(3), "{:?}", world.people[3].events);
    assert_eq!(world.linked(3).len(), 3);
}

#[test]
fn a_room_without_a_server_is_published_by_whoever_connects_to_one() {
    let mut world = World::hosted(3, 2, 120);
    world.start_server();
    world.pass(5);
    world.join(2);
    world.approve(0, 2);
    world.approve(1, 2);
    world.pass(5);
    assert!(world.is_in(2), "{:?}", world.people[2].events);
    assert_eq!(world.linked(2).len(), 2);
}

#[test]
fn a_ticket_leads_in_when_whoever_wrote_it_is_gone() {
    let mut world = World::hosted(5, 4, 20);
    let ticket = world.ticket(0);
    assert_eq!(ticket.hosts.len(), 3, "whoever writes it, and two more");
    // The writer is killed, one of the others leaves the room and stays at the program: the third is enough.
    world.kill(0);
    world.command(1, Command::Leave(lobby()));
    world.pass(60);
    world.command(4, Command::Enter(ticket));
    world.pass(5);
    for member in [2, 3] {
        world.approve(member, 4);
    }
    world.pass(2);
    assert!(world.is_in(4), "{:?}", world.people[4].events);
    assert_eq!(world.members(4).len(), 3);
}

#[test]
fn a_wish_ends_when_nobody_that_the_ticket_names_knows_the_room() {
    let mut world = World::hosted(3, 2, 20);
    let ticket = world.ticket(0);
    world.command(0, Command::Leave(lobby()));
    world.command(1, Command::Leave(lobby()));
    world.command(2, Command::Enter(ticket));
    world.pass(5);
    assert!(world.was_told(2, |it| matches!(it, Event::Refused { reason: Refusal::NoSuchRoom, .. })));
}

fn settings() -> p2pchat::wire::Settings {
    p2pchat::wire::Settings { consent_timeout_s: 60, grace_s: 120 }
}

#[test]
fn whoever_waits_for_a_server_that_is_gone_takes_up_their_seat_by_hosting_the_room() {
    let mut world = World::with_members(2, 1);
    world.stop_server();
    world.kill(0);
    world.people[0].events.clear();
    world.start(0);
    world.join(0);
    world.pass(10);
    assert!(!world.is_in(0), "the server may come back, and know better");
    world.command(0, Command::Host { room: lobby(), size: 16, settings: settings() });
    world.pass(10);
    assert!(world.is_in(0));
    world.enter(1, 0);
    world.approve(0, 1);
    world.pass(1);
    assert_eq!(world.members(1), ["p0", "p1"]);
}
