//! How rooms move on, how members leave, and how they are found again after a restart.

use super::rig::*;
use crate::core::consent::roster::verify_step;
use crate::core::consent::testing::step_signed_by;
use crate::core::rendezvous::{Change, Config, Kept, KeptRoom, PastStep};
use crate::identity::Ed25519;
use crate::wire::{
    Decision, FromServer, KnockEnd, KnockPhase, Proposal, RefusalCode, Roster, RosterHash, Step, ToServer,
};

fn drop_step(roster: &Roster, dropped: &[u8], by: &[u8]) -> (Proposal, Step, Roster) {
    let proposal = Proposal::Drop(drop_of(roster, dropped, 0));
    let signers: Vec<_> = by.iter().map(|who| identity(*who)).collect();
    let step = step_signed_by(&proposal, &signers);
    let next = verify_step(roster, &step, 8, &Ed25519).unwrap();
    (proposal, step, next)
}

fn propose(rig: &mut Rig, by: u8, proposal: &Proposal) -> Told {
    let Proposal::Drop(drop) = proposal else { unreachable!() };
    rig.say(by, ToServer::Drop(drop.clone()))
}

#[test]
fn a_drop_signed_by_all_who_stay_moves_the_room_and_the_dropped_are_shown_it() {
    let (mut rig, roster) = Rig::room_of(3);
    let (proposal, step, next) = drop_step(&roster, &[3], &[1, 2]);
    propose(&mut rig, 1, &proposal);
    rig.say(1, answer(&proposal, 1, Decision::Yes));
    let told = rig.say(2, answer(&proposal, 2, Decision::Yes));
    let dropped = [(3, FromServer::Step((roster.room, step.clone()))), (3, roster_is(&next))];
    assert!(told.windows(2).any(|pair| *pair == dropped), "and where the room is now");
    let members: Vec<_> = by_key(vec![1, 2]).into_iter().map(|who| (who, roster_is(&next))).collect();
    assert_eq!(told[told.len() - 2..], members);
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));

    rig.hang_up(3);
    rig.log_in(3);
    let told = rig.say(3, attach(roster.room, roster.hash()));
    assert_eq!(told, [(3, FromServer::Step((roster.room, step))), (3, roster_is(&next))], "later, too");
}

#[test]
fn a_leave_never_takes_the_room_along_in_rooms_of_two_and_more() {
    for size in [2, 3, 5] {
        let (mut rig, roster) = Rig::room_of(size);
        let others: Vec<u8> = (2..=size).collect();
        let (leave, _, _) = drop_step(&roster, &others, &[1]);
        assert_eq!(rig.say(1, ToServer::Close(roster.room)), []);
        propose(&mut rig, 1, &leave);
        let told = rig.say(1, answer(&leave, 1, Decision::Yes));
        let others = by_key(others);
        let expected: Vec<_> = others
            .iter()
            .map(|who| (*who, passed_on(&leave, 1, Decision::Yes)))
            .chain(others.iter().map(|who| (*who, presence(roster.room, 1, false))))
            .collect();
        assert_eq!(told, expected);
        assert!(rig.kept.is_empty(), "the room stays where it is");
        assert_eq!(rig.say(1, attach(roster.room, roster.hash())), [(1, roster_is(&roster))], "gone is gone");
        // Its next knock waits until the others have signed, and is then made anew.
        let told = rig.say(1, ToServer::Knock(knock(&roster, 1).into_signed()));
        let waiting = FromServer::KnockState((hash_of(&knock(&roster, 1)), KnockPhase::Waiting { ahead: 0 }));
        assert_eq!(told, [(1, waiting)]);

        // Whoever comes later is shown that they left; then the others sign it, and the room moves on.
        rig.hang_up(2);
        rig.log_in(2);
        let told = rig.say(2, attach(roster.room, roster.hash()));
        assert!(told.contains(&(2, passed_on(&leave, 1, Decision::Yes))));
        let signers: Vec<u8> = (2..=size).collect();
        let (without, _, next) = drop_step(&roster, &[1], &signers);
        propose(&mut rig, 2, &without);
        let mut told = Vec::new();
        for who in signers {
            told = rig.say(who, answer(&without, who, Decision::Yes));
        }
        assert!(told.contains(&(1, FromServer::KnockOver((hash_of(&knock(&roster, 1)), KnockEnd::Stale)))));
        assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next), "{size}");
    }
}

#[test]
fn half_a_room_moves_it_on_when_the_other_half_is_not_here() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.hang_up(2);
    let (proposal, step, next) = drop_step(&roster, &[2], &[1]);
    propose(&mut rig, 1, &proposal);
    assert_eq!(rig.say(1, answer(&proposal, 1, Decision::Yes)), [(1, roster_is(&next))]);
    rig.log_in(2);
    let told = rig.say(2, attach(roster.room, roster.hash()));
    let way_on = FromServer::Step((roster.room, step));
    assert_eq!(told, [(2, way_on.clone()), (2, roster_is(&next))]);
    // What the other half signed meanwhile is for a roster the room is no longer on: it is shown who hosts.
    let (_, other, _) = drop_step(&roster, &[1], &[2]);
    assert_eq!(rig.say(2, ToServer::Step((roster.room, other))), [(2, way_on), (2, roster_is(&next))]);
}

#[test]
fn whoever_went_another_way_from_a_roster_they_were_in_is_shown_every_step_from_there() {
    let (mut rig, roster) = Rig::room_of(3);
    rig.hang_up(3);
    let (_, first, second) = drop_step(&roster, &[3], &[1, 2]);
    rig.say(1, ToServer::Step((roster.room, first.clone())));
    rig.hang_up(2);
    let (_, last, here) = drop_step(&second, &[2], &[1]);
    rig.say(1, ToServer::Step((roster.room, last.clone())));
    rig.log_in(3);
    let (_, theirs, _) = drop_step(&roster, &[1, 2], &[3]);
    let told = rig.say(3, ToServer::Step((roster.room, theirs.clone())));
    let way = [first, last].map(|step| (3, FromServer::Step((roster.room, step))));
    assert_eq!(told, [way.to_vec(), vec![(3, roster_is(&here))]].concat());
    rig.log_in(9);
    let told = rig.say(9, ToServer::Step((roster.room, theirs)));
    assert_eq!(told, [(9, roster_is(&here))], "who was never in is shown nothing");
}

#[test]
fn somebody_who_stays_on_a_roster_of_their_own_keeps_no_drop_from_moving_the_room() {
    let (mut rig, roster) = Rig::room_of(3);
    let (_, alone, next) = drop_step(&roster, &[2, 3], &[1]);
    rig.say(1, ToServer::Step((roster.room, alone)));
    rig.say(3, ToServer::Close(roster.room));
    rig.say(2, attach(roster.room, RosterHash([7; 32])));
    assert!(rig.kept.is_empty(), "they may be about to bring the step that led them there");
    rig.say(2, attach(roster.room, RosterHash([7; 32])));
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));
}

#[test]
fn the_half_that_hosts_gets_the_room_although_the_other_came_first() {
    let (mut rig, roster) = Rig::room_of(4);
    rig.hang_up(1);
    rig.hang_up(2);
    let (proposal, _, younger) = drop_step(&roster, &[1, 2], &[3, 4]);
    propose(&mut rig, 3, &proposal);
    rig.say(3, answer(&proposal, 3, Decision::Yes));
    let told = rig.say(4, answer(&proposal, 4, Decision::Yes));
    assert!(told.contains(&(4, roster_is(&younger))), "the half that is here goes on");
    rig.log_in(1);
    let (_, parting, older) = drop_step(&roster, &[3, 4], &[1, 2]);
    assert_eq!(rig.say(1, attach(roster.room, older.hash())).last(), Some(&(1, roster_is(&younger))));
    let told = rig.say(1, ToServer::Step((roster.room, parting.clone())));
    for who in [3, 4] {
        assert!(told.contains(&(who, FromServer::Step((roster.room, parting.clone())))), "who gives way can check why");
        assert!(told.contains(&(who, roster_is(&older))));
    }
    assert_eq!(told.last(), Some(&(1, roster_is(&older))));
}

#[test]
fn of_two_halves_that_are_both_here_one_goes_on_and_the_room_stays_whole_till_then() {
    let (mut rig, roster) = Rig::room_of(4);
    let (_, left, _) = drop_step(&roster, &[3, 4], &[1, 2]);
    let (_, right, next) = drop_step(&roster, &[1, 2], &[3, 4]);
    let told = rig.say(1, ToServer::Step((roster.room, left)));
    assert!(told.contains(&(3, FromServer::Drop(drop_of(&roster, &[3, 4], 0)))), "the evidence is passed on");
    assert_eq!(told.last(), Some(&(1, roster_is(&roster))));
    assert!(rig.kept.is_empty());
    let told = rig.say(3, ToServer::Step((roster.room, right.clone())));
    assert!(told.contains(&(4, FromServer::Step((roster.room, right)))));
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));
}

#[test]
fn a_step_that_was_taken_moves_the_room_although_one_of_its_signers_says_no_by_now() {
    let (mut rig, roster) = Rig::room_of(4);
    let (without, step, next) = drop_step(&roster, &[3, 4], &[1, 2]);
    rig.say(1, ToServer::Step((roster.room, step)));
    assert!(rig.kept.is_empty(), "both sides are here");
    rig.say(2, answer(&without, 2, Decision::No));
    rig.hang_up(3);
    rig.hang_up(4);
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));
}

#[test]
fn those_who_stay_may_be_heard_before_the_one_that_left() {
    let (mut rig, roster) = Rig::room_of(2);
    let (without, _, next) = drop_step(&roster, &[2], &[1]);
    propose(&mut rig, 1, &without);
    let told = rig.say(1, answer(&without, 1, Decision::Yes));
    assert_eq!(told, [(2, passed_on(&without, 1, Decision::Yes))], "who left whom isn't clear yet");
    let told = rig.say(2, ToServer::Close(roster.room));
    assert_eq!(told.last(), Some(&(1, roster_is(&next))));
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));
    // And when it was the connection that broke, that is as good.
    let (mut rig, roster) = Rig::room_of(2);
    let (without, _, next) = drop_step(&roster, &[2], &[1]);
    propose(&mut rig, 1, &without);
    rig.say(1, answer(&without, 1, Decision::Yes));
    rig.hang_up(2);
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));
}

#[test]
fn one_who_is_here_goes_on_without_many_who_are_not() {
    let (mut rig, roster) = Rig::room_of(4);
    [2, 3, 4].into_iter().for_each(|who| drop(rig.hang_up(who)));
    let (_, step, next) = drop_step(&roster, &[2, 3, 4], &[1]);
    rig.say(1, ToServer::Step((roster.room, step)));
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));
}

#[test]
fn a_drop_that_moves_nothing_is_answered_once() {
    let (mut rig, roster) = Rig::room_of(3);
    let (_, step, _) = drop_step(&roster, &[2, 3], &[1]);
    let told = rig.say(1, ToServer::Step((roster.room, step.clone())));
    assert_eq!(told.last(), Some(&(1, roster_is(&roster))));
    assert_eq!(rig.say(1, ToServer::Step((roster.room, step))), []);
}

#[test]
fn whoever_said_that_they_leave_does_not_take_the_room_along_although_nobody_else_is_here() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.hang_up(2);
    let (leave, _, _) = drop_step(&roster, &[2], &[1]);
    assert_eq!(rig.say(1, ToServer::Close(roster.room)), []);
    propose(&mut rig, 1, &leave);
    rig.say(1, answer(&leave, 1, Decision::Yes));
    assert!(rig.kept.is_empty());
    rig.log_in(2);
    let told = rig.say(2, attach(roster.room, roster.hash()));
    assert_eq!(told[0], (2, roster_is(&roster)));
    assert_eq!(told.last(), Some(&(2, passed_on(&leave, 1, Decision::Yes))));
    rig.say(2, ToServer::Close(roster.room));
    assert_eq!(rig.kept, [Change::RoomGone(roster.room)], "and the one who stayed is the last");
}

#[test]
fn a_newcomer_that_missed_its_admission_gets_it_and_its_newer_knock_waits_for_its_leaving() {
    let (mut rig, roster) = Rig::room_of(1);
    let (first, newer) = (knock(&roster, 2), knock_again(&roster, 2, 1));
    rig.log_in(2);
    rig.say(2, ToServer::Knock(first.as_signed().clone()));
    rig.say(1, answer(&admit(&first), 1, Decision::Yes));
    let told = rig.say(2, ToServer::Knock(first.as_signed().clone()));
    assert!(matches!(told[..], [(2, FromServer::Admitted(_))]), "{told:?}");
    let told = rig.say(2, ToServer::Knock(newer.as_signed().clone()));
    assert!(matches!(told[..], [(2, FromServer::Admitted(_)), (2, FromServer::KnockState(_))]), "{told:?}");
}

#[test]
fn the_last_member_closes_the_room() {
    let (mut rig, roster) = Rig::room_of(1);
    assert_eq!(rig.say(1, ToServer::Close(roster.room)), []);
    assert_eq!(rig.kept, [Change::RoomGone(roster.room)]);
    assert_eq!(rig.say(1, ToServer::Close(roster.room)), []);

    let (mut rig, roster) = Rig::room_of(2);
    rig.say(1, ToServer::Close(roster.room));
    assert!(rig.kept.is_empty());
    rig.say(2, ToServer::Close(roster.room));
    assert_eq!(rig.kept, [Change::RoomGone(roster.room)], "all have said that they leave");
}

#[test]
fn the_last_member_knocking_has_left_unheard_and_closes_the_room_by_that() {
    let (mut rig, roster) = Rig::room_of(1);
    rig.hang_up(1);
    rig.log_in(1);
    let own = knock(&roster, 1);
    let over = FromServer::KnockOver((hash_of(&own), KnockEnd::Stale));
    assert_eq!(rig.say(1, ToServer::Knock(own.as_signed().clone())), [(1, over.clone())]);
    assert_eq!(rig.kept, [Change::RoomGone(roster.room)]);
    assert_eq!(rig.say(1, ToServer::Knock(own.into_signed())), [(1, over)], "a room that is gone is looked up again");
}

#[test]
fn whoever_said_that_they_leave_still_leaves_when_the_room_moved_meanwhile() {
    let (mut rig, roster) = Rig::room_of(2);
    rig.log_in(9);
    rig.say(1, ToServer::Close(roster.room));
    let admit9 = admit(&knock(&roster, 9));
    let step = step_signed_by(&admit9, &[1, 2].map(identity));
    let next = verify_step(&roster, &step, 8, &Ed25519).unwrap();
    rig.say(2, ToServer::Step((roster.room, step)));
    // One of three goes on without one that said so, and one that was never here.
    let (without, _, last) = drop_step(&next, &[1, 9], &[2]);
    rig.hang_up(9);
    propose(&mut rig, 2, &without);
    rig.say(2, answer(&without, 2, Decision::Yes));
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == last));
}

#[test]
fn a_server_that_lost_everything_is_rebuilt_by_its_members() {
    let (_, roster) = Rig::room_of(3);
    let mut rig = Rig::with(Config::default(), Kept::default());
    rig.log_in_all(&[1, 2, 9]);
    assert_eq!(rig.say(1, attach(roster.room, roster.hash())), [(1, FromServer::Unknown(roster.room))]);
    let restore = || ToServer::Restore((genesis(1, "lobby").into_signed(), roster.clone()));
    assert_eq!(refusals(&rig.say(9, restore())), [(9, RefusalCode::NotMember)]);
    assert_eq!(rig.say(1, restore()), [(1, roster_is(&roster))]);
    assert!(matches!(&rig.kept[..], [Change::RoomKept(kept)] if kept.roster == roster));
    // Two members that restore at once don't get in each other's way.
    let told = rig.say(2, restore());
    assert_eq!(told[0], (2, roster_is(&roster)));
    assert_eq!(told[1..], [(1, presence(roster.room, 2, true)), (2, presence(roster.room, 1, true))]);

    let (_, another) = Rig::room_of(2);
    let mut wrong = another.clone();
    wrong.room = crate::wire::RoomId([0; 32]);
    let told = rig.say(1, ToServer::Restore((genesis(1, "cellar").into_signed(), wrong)));
    assert_eq!(refusals(&told), [(1, RefusalCode::Invalid)]);
}

#[test]
fn a_server_that_was_restarted_gives_the_room_to_who_hosts_once_shown_where_the_halves_parted() {
    let (_, roster) = Rig::room_of(3);
    let (_, small, younger) = drop_step(&roster, &[1, 2], &[3]);
    let (_, large, older) = drop_step(&roster, &[3], &[1, 2]);
    let genesis = genesis(1, "lobby").into_signed();
    let steps = vec![PastStep { from: roster.hash(), epoch: roster.epoch, step: small }];
    let room = KeptRoom { genesis: genesis.clone(), roster: younger.clone(), steps };
    let kept = Kept { rooms: [(roster.room, room)].into(), ..Kept::default() };
    let mut rig = Rig::with(Config::default(), kept);
    rig.log_in_all(&[1, 3]);
    rig.say(3, attach(roster.room, younger.hash()));
    let bring = || ToServer::Step((roster.room, large.clone()));
    assert_eq!(rig.say(1, bring()).last(), Some(&(1, roster_is(&younger))), "nothing to verify it by");
    let mut wrong = roster.clone();
    wrong.members = crate::wire::Few::first_of(roster.members.iter().rev().cloned());
    rig.say(1, ToServer::Restore((genesis.clone(), wrong)));
    assert_eq!(rig.say(1, bring()).last(), Some(&(1, roster_is(&younger))), "its hash is another one");
    rig.say(1, ToServer::Restore((genesis, roster.clone())));
    assert_eq!(rig.say(1, bring()).last(), Some(&(1, roster_is(&older))));
}

#[test]
fn a_server_that_lost_everything_hears_from_its_members_where_another_half_parted_with_them() {
    let (_, roster) = Rig::room_of(3);
    let (_, ours, here) = drop_step(&roster, &[3], &[1, 2]);
    let (_, theirs, _) = drop_step(&roster, &[1, 2], &[3]);
    let genesis = genesis(1, "lobby").into_signed();
    let mut rig = Rig::with(Config::default(), Kept::default());
    rig.log_in_all(&[1, 2, 3, 9]);
    rig.say(1, ToServer::Restore((genesis.clone(), here.clone())));
    let step = |step: &Step| ToServer::Step((roster.room, step.clone()));
    assert_eq!(rig.say(9, step(&theirs)), [(9, roster_is(&here))], "nobody is told of a step from nobody knows where");
    let show = || ToServer::Restore((genesis.clone(), roster.clone()));
    assert_eq!(rig.say(3, show()), [(3, roster_is(&here))]);
    let passed_on = (1, FromServer::Step((roster.room, theirs.clone())));
    let mut forged = theirs.clone();
    forged.signatures = ours.signatures.to_vec()[..1].to_vec().try_into().unwrap();
    assert_eq!(rig.say(3, step(&forged)), [(3, roster_is(&here))], "a step is passed on if it is valid");
    assert_eq!(rig.say(3, step(&theirs)), [passed_on, (3, roster_is(&here))], "to those who were there, and are here");
    assert_eq!(rig.say(3, step(&theirs)), [(3, roster_is(&here))], "once for a while");
    assert_eq!(rig.say(1, step(&ours)), [], "who is with us knows where that is");
    assert!(matches!(&rig.kept[..], [Change::RoomKept(kept)] if kept.steps.len() == 1 && kept.roster == here));
    let shown = (3, FromServer::Step((roster.room, ours)));
    assert_eq!(rig.say(3, step(&theirs)), [shown, (3, roster_is(&here))]);
}

#[test]
fn a_server_that_lost_everything_is_told_the_way_that_led_to_what_it_was_given() {
    let (_, roster) = Rig::room_of(3);
    let (_, first, second) = drop_step(&roster, &[3], &[1, 2]);
    let (_, last, here) = drop_step(&second, &[2], &[1]);
    let genesis = genesis(1, "lobby").into_signed();
    let mut rig = Rig::with(Config::default(), Kept::default());
    rig.log_in_all(&[1, 3]);
    rig.say(1, ToServer::Restore((genesis.clone(), here.clone())));
    assert_eq!(rig.say(1, ToServer::Restore((genesis, roster.clone()))), []);
    rig.say(1, ToServer::Step((roster.room, first.clone())));
    rig.say(1, ToServer::Step((roster.room, last.clone())));
    let way = [first, last].map(|step| (3, FromServer::Step((roster.room, step))));
    let told = rig.say(3, attach(roster.room, roster.hash()));
    assert_eq!(told, [way.to_vec(), vec![(3, roster_is(&here))]].concat());
}

#[test]
fn a_room_in_which_only_somebody_is_left_who_said_that_they_leave_is_forgotten_unless_they_come_back() {
    let gone = |back: bool| {
        let (mut rig, roster) = Rig::room_of(2);
        rig.hang_up(2);
        rig.say(1, ToServer::Close(roster.room));
        if back {
            rig.say(1, attach(roster.room, roster.hash()));
        }
        rig.pass(1_000 * Config::default().empty_room_ttl_s + 1_000);
        rig.kept.iter().any(|change| matches!(change, Change::RoomGone(_)))
    };
    assert!(gone(false) && !gone(true));
}

#[test]
fn a_server_that_was_away_is_brought_forward_step_by_step() {
    let (mut rig, roster) = Rig::room_of(3);
    rig.log_in(9);
    let admit9 = admit(&knock(&roster, 9));
    let step = step_signed_by(&admit9, &[1, 2, 3].map(identity));
    let next = verify_step(&roster, &step, 8, &Ed25519).unwrap();
    let (_, second, last) = drop_step(&next, &[3], &[1, 2, 9]);
    // The newest member comes first: its roster isn't known here, so it brings the steps from the one that is.
    assert_eq!(rig.say(9, attach(roster.room, last.hash())), [(9, roster_is(&roster))]);
    let told = rig.say(9, ToServer::Step((roster.room, step.clone())));
    assert!(matches!(told[0], (9, FromServer::Admitted(_))));
    assert!(told.contains(&(1, FromServer::Step((roster.room, step)))) && told.contains(&(1, roster_is(&next))));
    assert!(told.contains(&(9, roster_is(&next))) && told.contains(&(2, presence(roster.room, 9, true))));
    rig.say(9, ToServer::Step((roster.room, second.clone())));
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, oldest: 0, .. }] if *roster == last));
    assert_eq!(rig.say(1, ToServer::Step((roster.room, second))), [], "what was taken already is no news");
}

#[test]
fn a_refused_drop_can_be_proposed_again_and_never_completes() {
    let (mut rig, roster) = Rig::room_of(3);
    let (first, _, _) = drop_step(&roster, &[3], &[1, 2]);
    propose(&mut rig, 1, &first);
    assert_eq!(propose(&mut rig, 2, &first), [], "the same drop again is no news");
    rig.say(1, answer(&first, 1, Decision::Yes));
    rig.say(2, answer(&first, 2, Decision::No));
    rig.say(2, answer(&first, 2, Decision::Yes));
    assert!(rig.kept.is_empty());
    let again = Proposal::Drop(drop_of(&roster, &[3], 1));
    assert!(propose(&mut rig, 1, &again).iter().any(|(who, _)| *who == 2));
    rig.say(1, answer(&again, 1, Decision::Yes));
    rig.say(2, answer(&again, 2, Decision::Yes));
    assert_eq!(rig.kept.len(), 1);
}
