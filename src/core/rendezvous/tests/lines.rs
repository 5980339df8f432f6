//! Knocks: passed on, put in order, answered, given up.

use super::rig::*;
use crate::core::consent::roster::verify_step;
use crate::core::consent::testing::step_signed_by;
use crate::core::rendezvous::Change;
use crate::identity::{Ed25519, Verified};
use crate::limits::{KNOCKS_PER_MINUTE_MAX, KNOCKS_WAITING_MAX};
use crate::wire::{Admission, Decision, FromServer, Knock, KnockEnd, KnockPhase, RefusalCode, ToServer};

fn state(knock: &Verified<Knock>, phase: KnockPhase) -> FromServer {
    FromServer::KnockState((hash_of(knock), phase))
}

fn open(yes: u16, of: u16, left_ms: u32) -> KnockPhase {
    KnockPhase::Open { yes, of, left_ms }
}

fn over(knock: &Verified<Knock>, end: KnockEnd) -> FromServer {
    FromServer::KnockOver((hash_of(knock), end))
}

#[test]
fn a_newcomer_is_admitted_by_the_last_members_yes() {
    let (mut rig, roster) = Rig::room_of(2);
    let (knock, [first, second]) = (knock(&roster, 9), [1, 2]);
    rig.log_in(9);
    let told = rig.say(9, ToServer::Knock(knock.as_signed().clone()));
    let asked = FromServer::Knock((knock.as_signed().clone(), 60_000));
    let [low, high] = [by_key(vec![1, 2])[0], by_key(vec![1, 2])[1]];
    assert_eq!(told, [(low, asked.clone()), (high, asked), (9, state(&knock, open(0, 2, 60_000)))]);

    rig.now.mono_ms += 1_000;
    let told = rig.say(first, answer(&admit(&knock), first, Decision::Yes));
    assert_eq!(
        told,
        [(second, passed_on(&admit(&knock), first, Decision::Yes)), (9, state(&knock, open(1, 2, 59_000)))]
    );

    let told = rig.say(second, answer(&admit(&knock), second, Decision::Yes));
    let step = step_signed_by(&admit(&knock), &[identity(1), identity(2)]);
    let next = verify_step(&roster, &step, 8, &Ed25519).unwrap();
    let admission = Admission {
        genesis: genesis(1, "lobby").into_signed(),
        roster: roster.clone(),
        knock: knock.as_signed().clone(),
        signatures: step.signatures.clone(),
    };
    assert_eq!(
        told,
        [
            (first, passed_on(&admit(&knock), second, Decision::Yes)),
            (9, FromServer::Admitted(admission)),
            (low, roster_is(&next)),
            (high, roster_is(&next)),
        ]
    );
    assert!(matches!(&rig.kept[..], [Change::RoomMoved { roster, .. }] if *roster == next));
    let told = rig.say(9, attach(next.room, next.hash()));
    let expected = [
        (9, roster_is(&next)),
        (low, presence(next.room, 9, true)),
        (high, presence(next.room, 9, true)),
        (9, presence(next.room, low, true)),
        (9, presence(next.room, high, true)),
    ];
    assert_eq!(told, expected);
}

#[test]
fn one_no_refuses_and_silence_refuses_and_the_newcomer_learns_which() {
    for (decision, end) in
        [(Decision::No, KnockEnd::Denied), (Decision::Silent, KnockEnd::Expired), (Decision::Late, KnockEnd::Expired)]
    {
        let (mut rig, roster) = Rig::room_of(2);
        let knock = knock(&roster, 9);
        rig.log_in(9);
        rig.say(9, ToServer::Knock(knock.as_signed().clone()));
        rig.say(1, answer(&admit(&knock), 1, Decision::Yes));
        let told = rig.say(2, answer(&admit(&knock), 2, decision));
        assert_eq!(told, [(1, passed_on(&admit(&knock), 2, decision)), (9, over(&knock, end))]);
        let told = rig.say(9, ToServer::Knock(knock.as_signed().clone()));
        assert_eq!(told, [(9, over(&knock, end))], "the same knock again asks nobody");
    }
}

#[test]
fn a_knock_nobody_answers_is_given_up_after_its_deadline_and_its_slack() {
    let (mut rig, roster) = Rig::room_of(1);
    let (first, second) = (knock(&roster, 8), knock(&roster, 9));
    rig.log_in_all(&[8, 9]);
    rig.say(8, ToServer::Knock(first.as_signed().clone()));
    let told = rig.say(9, ToServer::Knock(second.as_signed().clone()));
    assert_eq!(told, [(9, state(&second, KnockPhase::Waiting { ahead: 1 }))]);
    assert_eq!(rig.pass(64_999), []);
    let told = rig.pass(1);
    assert_eq!(
        told,
        [
            (8, over(&first, KnockEnd::Expired)),
            (1, FromServer::Knock((second.as_signed().clone(), 60_000))),
            (9, state(&second, open(0, 1, 60_000))),
        ]
    );
    // The late yes still admits: no object's validity depends on a clock.
    let told = rig.say(1, answer(&admit(&first), 1, Decision::Yes));
    assert!(matches!(told[0], (8, FromServer::Admitted(_))), "{told:?}");
    assert_eq!(told[2], (9, over(&second, KnockEnd::Stale)));
}

#[test]
fn the_line_is_bounded_and_moves_up_when_somebody_gives_up() {
    let (mut rig, roster) = Rig::room_of(1);
    let people: Vec<u8> = (10..).take(KNOCKS_WAITING_MAX + 2).collect();
    let mut last = Vec::new();
    for who in &people {
        rig.log_in(*who);
        last = rig.say(*who, ToServer::Knock(knock(&roster, *who).into_signed()));
    }
    assert_eq!(refusals(&last), [(*people.last().unwrap(), RefusalCode::TooMany)]);
    let told = rig.say(11, ToServer::Withdraw((roster.room, hash_of(&knock(&roster, 11)))));
    let moved: Vec<_> = (12..10 + people.len() as u8 - 1)
        .zip(1..)
        .map(|(who, ahead)| (who, state(&knock(&roster, who), KnockPhase::Waiting { ahead })))
        .collect();
    assert_eq!(told, moved);
    let told = rig.hang_up(10);
    assert_eq!(told[0], (1, FromServer::Knock((knock(&roster, 12).into_signed(), 60_000))));
    assert_eq!(told[1], (12, state(&knock(&roster, 12), open(0, 1, 60_000))));
}

#[test]
fn knocks_that_cannot_succeed_are_refused_at_once() {
    let (mut rig, roster) = Rig::room_of(8);
    rig.log_in(9);
    let told = rig.say(9, ToServer::Knock(knock(&roster, 9).into_signed()));
    assert_eq!(refusals(&told), [(9, RefusalCode::RoomFull)]);
    let told = rig.say(8, ToServer::Knock(knock(&roster, 8).into_signed()));
    assert!(
        matches!(told[..], [(8, FromServer::Admitted(_)), (8, FromServer::KnockState(_))]),
        "the newest member may have missed its admission"
    );
    let told = rig.say(7, ToServer::Knock(knock(&roster, 7).into_signed()));
    assert_eq!(refusals(&told), [(7, RefusalCode::Invalid)]);

    let (mut rig, roster) = Rig::room_of(1);
    rig.log_in(9);
    let mut old = roster.clone();
    old.epoch = 7;
    let told = rig.say(9, ToServer::Knock(knock(&old, 9).into_signed()));
    assert_eq!(told, [(9, over(&knock(&old, 9), KnockEnd::Stale))]);
    rig.hang_up(1);
    let told = rig.say(9, ToServer::Knock(knock(&roster, 9).into_signed()));
    assert_eq!(refusals(&told), [(9, RefusalCode::NobodyThere)]);
}

#[test]
fn a_key_that_keeps_knocking_is_slowed_down_and_never_keeps_the_door() {
    let (mut rig, roster) = Rig::room_of(1);
    rig.log_in_all(&[8, 9]);
    rig.say(9, ToServer::Knock(knock(&roster, 9).into_signed()));
    rig.say(8, ToServer::Knock(knock(&roster, 8).into_signed()));
    let told = rig.say(9, ToServer::Knock(knock_again(&roster, 9, 1).into_signed()));
    assert_eq!(
        told,
        [
            (1, FromServer::Knock((knock(&roster, 8).into_signed(), 60_000))),
            (8, state(&knock(&roster, 8), open(0, 1, 60_000))),
            (9, state(&knock_again(&roster, 9, 1), KnockPhase::Waiting { ahead: 1 })),
        ]
    );
    for nonce in 2..KNOCKS_PER_MINUTE_MAX {
        rig.say(9, ToServer::Knock(knock_again(&roster, 9, nonce as u8).into_signed()));
    }
    let told = rig.say(9, ToServer::Knock(knock_again(&roster, 9, 99).into_signed()));
    assert_eq!(refusals(&told), [(9, RefusalCode::TooMany)]);
    rig.pass(60_000);
    let told = rig.say(9, ToServer::Knock(knock_again(&roster, 9, 100).into_signed()));
    assert!(matches!(told[..], [(9, FromServer::KnockState(_))]), "{told:?}");
}

#[test]
fn a_member_that_comes_while_a_knock_is_open_is_told_all_of_it() {
    let (mut rig, roster) = Rig::room_of(3);
    let knock = knock(&roster, 9);
    rig.log_in(9);
    rig.hang_up(3);
    rig.say(9, ToServer::Knock(knock.as_signed().clone()));
    rig.say(1, answer(&admit(&knock), 1, Decision::Yes));
    rig.now.mono_ms += 10_000;
    rig.log_in(3);
    let told = rig.say(3, attach(roster.room, roster.hash()));
    let news: Vec<_> = told.into_iter().filter(|(who, _)| *who == 3).map(|(_, message)| message).collect();
    let present = by_key(vec![1, 2]).into_iter().map(|who| presence(roster.room, who, true));
    let asked = FromServer::Knock((knock.as_signed().clone(), 50_000));
    let answered = passed_on(&admit(&knock), 1, Decision::Yes);
    assert_eq!(news, [roster_is(&roster)].into_iter().chain(present).chain([asked, answered]).collect::<Vec<_>>());
}

#[test]
fn a_newcomer_admitted_by_an_older_knock_is_told_that_the_newer_one_is_over() {
    let (mut rig, roster) = Rig::room_of(1);
    rig.log_in_all(&[8, 9]);
    let (older, newer) = (knock(&roster, 9), knock_again(&roster, 9, 1));
    rig.say(9, ToServer::Knock(older.as_signed().clone()));
    rig.say(8, ToServer::Knock(knock(&roster, 8).into_signed()));
    rig.say(9, ToServer::Knock(newer.as_signed().clone()));
    let told = rig.say(1, answer(&admit(&older), 1, Decision::Yes));
    assert!(told.iter().any(|(who, message)| *who == 9 && matches!(message, FromServer::Admitted(_))));
    assert!(told.contains(&(9, over(&newer, KnockEnd::Stale))), "{told:?}");
}
