//! Addresses go to members of the current roster, and to nobody else.

use std::net::SocketAddr;

use super::rig::*;
use crate::core::consent::roster::{first_roster, verify_step};
use crate::core::consent::testing::step_signed_by;
use crate::core::rendezvous::{Input, Output, SessionId};
use crate::identity::Ed25519;
use crate::limits::MOVES_PER_MINUTE_MAX;
use crate::wire::{Decision, FromServer, Proposal, Roster, RosterHash, ToServer};

fn lan(who: u8) -> SocketAddr {
    SocketAddr::from(([192, 168, 1, who], 9))
}

fn candidates(roster: &Roster, who: u8) -> ToServer {
    ToServer::Candidates((roster.room, roster.hash(), vec![lan(who)].try_into().unwrap()))
}

fn introduce(roster: &Roster, who: u8) -> FromServer {
    let addresses = vec![observed(who), lan(who)].try_into().unwrap();
    FromServer::Introduce((roster.room, key(who), addresses))
}

#[test]
fn members_are_introduced_to_each_other_with_the_observed_address_first() {
    let (mut rig, roster) = Rig::room_of(2);
    assert_eq!(rig.say(1, candidates(&roster, 1)), [(2, introduce(&roster, 1))]);
    assert_eq!(rig.say(2, candidates(&roster, 2)), [(1, introduce(&roster, 2)), (2, introduce(&roster, 1))]);
    let mut other = roster.clone();
    other.previous = RosterHash([9; 32]);
    assert_eq!(rig.say(1, candidates(&other, 1)), [], "addresses for a roster the room isn't on reach nobody");
    rig.hang_up(2);
    rig.log_in(2);
    let told = rig.say(2, attach(roster.room, roster.hash()));
    assert_eq!(told.last(), Some(&(2, introduce(&roster, 1))), "who comes back is told of those who are here");
}

#[test]
fn no_address_reaches_a_newcomer_nor_a_newcomers_a_member_before_the_admission() {
    let (mut rig, roster) = Rig::room_of(2);
    for who in [1, 2] {
        rig.say(who, candidates(&roster, who));
    }
    let knock = knock(&roster, 9);
    rig.log_in(9);
    rig.say(9, ToServer::LookUp("lobby".parse().unwrap()));
    rig.say(9, ToServer::List(()));
    rig.say(9, attach(roster.room, roster.hash()));
    rig.say(9, candidates(&roster, 9));
    rig.say(9, ToServer::Knock(knock.as_signed().clone()));
    rig.say(9, attach(roster.room, roster.hash()));
    rig.say(1, answer(&admit(&knock), 1, Decision::Yes));
    rig.say(9, candidates(&roster, 9));
    rig.say(2, answer(&admit(&knock), 2, Decision::Yes));
    let step = step_signed_by(&admit(&knock), &[1, 2].map(identity));
    let next = verify_step(&roster, &step, 8, &Ed25519).unwrap();
    rig.say(9, attach(next.room, next.hash()));
    assert_no_address_but_its_own(&rig, 9);
    assert!(!addresses_told(&rig).iter().any(|(_, address)| *address == lan(9)));

    // The members' clients adopt the admission and give their addresses for it.
    assert!(rig.say(1, candidates(&next, 1)).contains(&(9, introduce(&next, 1))));
    let told = rig.say(9, candidates(&next, 9));
    assert_eq!(told.last(), Some(&(9, introduce(&next, 1))));
    assert!(!told.contains(&(9, introduce(&next, 2))), "whoever said nothing for this roster isn't introduced");
}

#[test]
fn a_newcomer_hears_at_once_of_whoever_has_no_router_and_of_others_when_these_hear_of_it() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.log_in(9);
    let knock = knock(&roster, 9);
    rig.say(9, ToServer::Knock(knock.as_signed().clone()));
    let in_the_open = |roster: &Roster| {
        ToServer::Candidates((roster.room, roster.hash(), vec![lan(1), observed(1)].try_into().unwrap()))
    };
    let next = verify_step(&roster, &step_signed_by(&admit(&knock), &[1, 2].map(identity)), 8, &Ed25519).unwrap();
    rig.say(1, answer(&admit(&knock), 1, Decision::Yes));
    assert_eq!(rig.say(1, in_the_open(&next)), [], "the admission is not complete");
    rig.say(2, answer(&admit(&knock), 2, Decision::Yes));
    let told = rig.say(1, in_the_open(&next));
    assert!(told.iter().any(|(to, message)| *to == 9 && matches!(message, FromServer::Introduce(_))), "{told:?}");
    assert_eq!(rig.say(1, in_the_open(&next)), [], "told already");
    let told = rig.say(2, candidates(&next, 2));
    assert!(told.iter().all(|(to, _)| *to != 9), "both must dial at the same moment: {told:?}");
    rig.say(9, attach(next.room, next.hash()));
    let told = rig.say(9, candidates(&next, 9));
    assert!(told.contains(&(9, introduce(&next, 2))) && told.contains(&(2, introduce(&next, 9))), "{told:?}");
}

#[test]
fn somebody_dropped_is_told_no_address_any_more() {
    let (mut rig, roster) = Rig::room_of(3);
    let drop = drop_of(&roster, &[3], 0);
    rig.say(1, ToServer::Drop(drop.clone()));
    let proposal = Proposal::Drop(drop);
    rig.say(1, answer(&proposal, 1, Decision::Yes));
    rig.say(2, answer(&proposal, 2, Decision::Yes));
    let next = verify_step(&roster, &step_signed_by(&proposal, &[1, 2].map(identity)), 8, &Ed25519).unwrap();
    for old in [roster.hash(), next.hash(), first_roster(&genesis(1, "lobby")).hash()] {
        rig.say(3, attach(roster.room, old));
    }
    for who in [1, 2] {
        rig.say(who, candidates(&next, who));
    }
    assert_no_address_but_its_own(&rig, 3);
}

/// Where a client is seen after its `nth` move.
fn elsewhere(nth: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, nth], 9))
}

#[test]
fn a_mover_and_its_members_hear_of_the_move_at_once() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.say(1, candidates(&roster, 1));
    rig.say(2, candidates(&roster, 2));
    let session = rig.sessions[&1];
    let told = rig.input(Input::Moved { session, observed: elsewhere(1) });
    let addresses = vec![elsewhere(1), lan(1)].try_into().unwrap();
    let introduce = FromServer::Introduce((roster.room, key(1), addresses));
    assert_eq!(told, [(1, FromServer::Observed(elsewhere(1))), (2, introduce)]);
    let told = rig.input(Input::Moved { session, observed: elsewhere(1) });
    assert_eq!(told, [], "nothing has changed");
    let told = rig.say(1, candidates(&roster, 1));
    let addresses = vec![elsewhere(1), lan(1)].try_into().unwrap();
    assert_eq!(told[0], (2, FromServer::Introduce((roster.room, key(1), addresses))), "it stays so");
}

#[test]
fn whoever_seems_to_move_all_the_time_is_followed_a_few_times_a_minute() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.say(1, candidates(&roster, 1));
    let session = rig.sessions[&1];
    let followed = (0..100).filter(|nth| !rig.input(Input::Moved { session, observed: elsewhere(*nth) }).is_empty());
    assert_eq!(followed.count(), MOVES_PER_MINUTE_MAX);
    rig.pass(60_000);
    assert!(!rig.input(Input::Moved { session, observed: elsewhere(200) }).is_empty());
}

#[test]
fn a_move_tells_nobody_an_address_that_was_not_given_to_them() {
    let (mut rig, _) = Rig::room_of(2);
    let session = rig.sessions[&1];
    let told = rig.input(Input::Moved { session, observed: elsewhere(1) });
    assert_eq!(told, [(1, FromServer::Observed(elsewhere(1)))], "it has told no addresses for this roster");
    let session = rig.connect(9);
    assert_eq!(rig.input(Input::Moved { session, observed: elsewhere(1) }), [], "nor is a stranger told anything");
}

/// Every address in anything that was ever sent, and to which session.
fn addresses_told(rig: &Rig) -> Vec<(SessionId, SocketAddr)> {
    let mut told = Vec::new();
    for output in &rig.log {
        if let Output::Send { session, message } = output {
            match message {
                FromServer::Welcome(own) | FromServer::Observed(own) => told.push((*session, *own)),
                FromServer::Introduce((_, _, addresses)) => told.extend(addresses.iter().map(|it| (*session, *it))),
                // No other message has a place for an address; this list is checked by the compiler.
                FromServer::Refused(_)
                | FromServer::Rooms(_)
                | FromServer::Shown(_)
                | FromServer::KnockState(_)
                | FromServer::KnockOver(_)
                | FromServer::Admitted(_)
                | FromServer::Knock(_)
                | FromServer::Drop(_)
                | FromServer::Consent(_)
                | FromServer::Step(_)
                | FromServer::RosterIs(_)
                | FromServer::Unknown(_)
                | FromServer::Presence(_)
                | FromServer::Reported(_)
                | FromServer::Deleted(_)
                | FromServer::Surveyed(_) => {}
            }
        }
    }
    told
}

fn assert_no_address_but_its_own(rig: &Rig, who: u8) {
    let session = rig.sessions[&who];
    let told = addresses_told(rig);
    assert!(told.iter().filter(|(to, _)| *to == session).all(|(_, address)| *address == observed(who)), "{told:?}");
}
