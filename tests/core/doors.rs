//! What a member who hosts, a guest, or a member with a loose tongue can do to the others: nothing that costs them more than a
//! message.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use p2pchat::core::event::Command;
use p2pchat::core::io::{GuestId, Input};
use p2pchat::wire::{
    Consent, Decision, Drop, DropReason, FromServer, PeerMessage, Proposal, RosterHash, Settings, ToServer,
};

use crate::world::{PASSWORD, World, address, lobby};

#[test]
fn the_servers_password_goes_to_the_server_and_to_no_member_who_hosts() {
    let mut world = World::hosted(2, 1, 120);
    world.enter(1, 0);
    let hello = world.told_hosts.iter().find_map(|(_, said)| match said {
        ToServer::Hello((_, password)) => Some(password.clone()),
        _ => None,
    });
    assert_eq!(hello, Some(None));
    let mut world = World::of(1);
    world.create(0, 8, 60, 120);
    let with_it = |said: &ToServer| matches!(said, ToServer::Hello((_, Some(it))) if it.as_str() == PASSWORD);
    assert!(world.told_server.iter().any(with_it));
}

#[test]
fn a_host_is_told_nothing_of_rooms_that_it_is_not_in() {
    let mut world = World::hosted(2, 1, 120);
    let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
    world.command(1, Command::Host { room: "attic".parse().unwrap(), size: 8, settings });
    let attic = world.room_of(1, "attic");
    world.enter(1, 0);
    let before = world.told_hosts.len();
    for lie in [
        FromServer::Unknown(attic),
        FromServer::RosterIs((attic, RosterHash([7; 32]))),
        FromServer::Introduce((attic, world.people[0].id, vec![address(0)].try_into().unwrap())),
    ] {
        world.forge(1, lie);
    }
    assert_eq!(world.told_hosts[before..], [], "neither its members nor how it came to them");
    assert_eq!(world.room_of(1, "attic"), attic, "and its only member stays");
}

#[test]
fn drops_that_nobody_signed_cost_nobody_a_message() {
    let mut world = World::in_one_room(3);
    let (room, roster) = world.roster(0);
    let dropped = world.people[1].id;
    let said = |world: &World| {
        let consents = world.told_peers.iter().filter(|(who, it)| *who != 2 && matches!(it, PeerMessage::Consent(_)));
        consents.count() + world.told_server.len()
    };
    let (before, weight) = (said(&world), world.weight(0));
    for nonce in 0..2_000 {
        let dropped = vec![dropped].try_into().unwrap();
        let made_up = Drop { room, roster, dropped, why: DropReason::Gone, nonce };
        world.forge_peer(2, 0, PeerMessage::Drop(made_up));
    }
    assert_eq!(said(&world), before);
    assert!(world.weight(0) < weight + 200_000, "{} and {weight}", world.weight(0));
    // One that somebody signed is refused, as ever.
    let made_up =
        Drop { room, roster, dropped: vec![dropped].try_into().unwrap(), why: DropReason::Gone, nonce: 9_000 };
    let proposal = Proposal::Drop(made_up.clone()).hash();
    world.forge_peer(2, 0, PeerMessage::Drop(made_up));
    let yes = world.signed(2, Consent { room, roster, proposal, by: world.people[2].id, decision: Decision::Yes });
    world.forge_peer(2, 0, PeerMessage::Consent(yes));
    assert!(said(&world) > before);
}

#[test]
fn answers_of_strangers_are_not_kept() {
    let mut world = World::in_one_room(2);
    let (room, roster) = world.roster(0);
    let weight = world.weight(0);
    for stranger in 10..200 {
        let stranger = crate::world::identity(stranger);
        let proposal = p2pchat::wire::ProposalHash([9; 32]);
        let by = p2pchat::identity::Signer::id(&stranger);
        let consent = Consent { room, roster, proposal, by, decision: Decision::Yes };
        let consent = p2pchat::identity::Verified::sign(consent, &stranger).into_signed();
        world.forge_peer(1, 0, PeerMessage::Consent(consent));
    }
    assert!(world.weight(0) < weight + 2_000, "{} and {weight}", world.weight(0));
}

#[test]
fn somebody_who_sees_us_here_and_there_costs_the_others_a_message_in_three_seconds() {
    let mut world = World::hosted(4, 4, 120);
    let told = |world: &World| {
        let own = world.told_peers.iter().filter(|(who, it)| *who == 0 && matches!(it, PeerMessage::Candidates(_)));
        own.count()
    };
    let before = told(&world);
    for turn in 0..100u16 {
        world.forge_peer(1, 0, PeerMessage::Seen(SocketAddr::from(([203, 0, 113, 1], 1000 + turn))));
    }
    world.pass(5);
    assert!((1..=6).contains(&(told(&world) - before)), "{}", told(&world) - before);
}

#[test]
fn lies_about_where_somebody_is_keep_nobody_from_finding_them() {
    let mut world = World::hosted(3, 3, 600);
    let (room, _) = world.roster(0);
    world.cut_quietly(0, 2);
    world.apart.insert((0, 2));
    world.pass(1);
    let lies: Vec<SocketAddr> = (0..8).map(|n| SocketAddr::from(([203, 0, 113, 7], 2000 + n))).collect();
    world.forge_peer(1, 0, PeerMessage::Introduce((room, world.people[2].id, lies.try_into().unwrap())));
    world.dialled.clear();
    world.pass(120);
    let third = world.people[2].id;
    let dials: Vec<_> = world.dialled.iter().filter(|(who, whom, _)| *who == 0 && *whom == third).collect();
    assert!(!dials.is_empty());
    assert!(dials.iter().all(|(.., addresses)| addresses.contains(&address(2))), "{dials:?}");
}

#[test]
fn a_guest_who_only_sits_there_makes_room() {
    let mut world = World::hosted(1, 1, 120);
    let guest = GuestId(77);
    world.handle(0, Input::GuestCame { guest, observed: address(1), exporter: [1; 32] });
    world.handle(0, Input::FromGuest { guest, message: ToServer::Visit(None) });
    world.pass(60);
    assert_eq!(world.sent_away, []);
    world.pass(61);
    assert_eq!(world.sent_away.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&guest]));
    assert!(world.was_told(0, |_| true) && world.is_in(0), "{}", lobby());
}
