//! What may be signed over one roster, and what becomes of it: answers, noes, lies and full places.

use super::*;
use crate::core::consent::roster::yes;
use crate::core::consent::testing::*;
use crate::identity::{Ed25519, Identity, Signer};

struct Room {
    people: Vec<Identity>,
    roster: Roster,
    ballots: Ballots,
}

fn room() -> Room {
    let (people, _, roster) = room_of(3);
    let ballots = Ballots::new(people[0].id());
    Room { people, roster, ballots }
}

impl Room {
    fn open(&mut self, proposal: &Proposal) -> ProposalHash {
        self.ballots.open(&self.roster, proposal.clone(), 8, Some(60_000), &Ed25519).unwrap();
        proposal.hash()
    }

    fn answer(&mut self, who: usize, proposal: &Proposal, decision: Decision) -> Noted {
        let consent = Consent { decision, ..yes(proposal, self.people[who].id()) };
        self.ballots.note(Verified::sign(consent, &self.people[who])).unwrap()
    }

    fn drop_of(&self, who: &[usize]) -> Proposal {
        let mut keys: Vec<_> = who.iter().map(|&at| self.people[at].id()).collect();
        keys.sort();
        Proposal::Drop(self.ballots.drop_of(&self.roster, keys.try_into().unwrap(), DropReason::Gone))
    }
}

#[test]
fn a_step_is_adoptable_once_everybody_said_yes() {
    let mut room = room();
    let knock = knock_at(&room.roster, &person(9), "nina");
    room.open(&knock);
    for who in 0..3 {
        assert_eq!(room.ballots.adoptable(), None);
        room.answer(who, &knock, Decision::Yes);
    }
    assert_eq!(room.ballots.adoptable(), Some(step_signed_by(&knock, &room.people)));
}

#[test]
fn a_second_yes_waits_until_the_first_is_dead() {
    let mut room = room();
    let (first, second) = (knock_at(&room.roster, &person(8), "eight"), knock_at(&room.roster, &person(9), "nine"));
    let (first_hash, second_hash) = (room.open(&first), room.open(&second));
    room.answer(0, &first, Decision::Yes);
    assert_eq!(room.ballots.may_say_yes(&second_hash), Err(Blocked::Live(first_hash)));
    room.answer(1, &first, Decision::Silent);
    assert_eq!(room.ballots.may_say_yes(&second_hash), Ok(()));
    assert_eq!(room.ballots.may_say_yes(&first_hash), Err(Blocked::Answered));
}

#[test]
fn only_a_drop_that_keeps_fewer_overrides_a_living_yes() {
    let mut room = room();
    let knock = knock_at(&room.roster, &person(9), "nina");
    room.open(&knock);
    room.answer(0, &knock, Decision::Yes);
    let small = room.drop_of(&[2]);
    let small_hash = room.open(&small);
    assert_eq!(room.ballots.may_say_yes(&small_hash), Ok(()));
    room.answer(0, &small, Decision::Yes);
    let other = room.drop_of(&[1]);
    let other_hash = room.open(&other);
    assert_eq!(room.ballots.may_say_yes(&other_hash), Err(Blocked::Live(small_hash)));
    let both = room.drop_of(&[1, 2]);
    let both_hash = room.open(&both);
    assert_eq!(room.ballots.may_say_yes(&both_hash), Ok(()));
}

#[test]
fn nothing_is_adopted_against_a_later_signature_of_ones_own() {
    let mut room = room();
    let knock = knock_at(&room.roster, &person(9), "nina");
    room.open(&knock);
    room.answer(0, &knock, Decision::Yes);
    let drop = room.drop_of(&[2]);
    room.open(&drop);
    room.answer(0, &drop, Decision::Yes);
    room.answer(1, &knock, Decision::Yes);
    room.answer(2, &knock, Decision::Yes);
    assert_eq!(room.ballots.adoptable(), None);
    room.answer(1, &drop, Decision::No);
    assert!(room.ballots.adoptable().is_some(), "the later signature is dead, so the earlier step may be adopted");
}

#[test]
fn a_yes_and_a_no_contradict_and_the_no_frees_me() {
    let mut room = room();
    let knock = knock_at(&room.roster, &person(9), "nina");
    room.open(&knock);
    room.answer(0, &knock, Decision::Yes);
    assert_eq!(room.answer(1, &knock, Decision::Yes), Noted::New);
    assert_eq!(room.answer(1, &knock, Decision::No), Noted::Contradicts);
    assert_eq!(room.ballots.live(), None);
    assert_eq!(room.answer(1, &knock, Decision::No), Noted::Known, "it is told once");
    assert_eq!(room.answer(1, &knock, Decision::Late), Noted::Known, "and no third answer");
    let ballot = room.ballots.get(&knock.hash()).unwrap();
    assert_eq!((ballot.all_answers().count(), ballot.refused()), (3, Some(Decision::No)));
}

#[test]
fn a_refused_drop_can_be_proposed_again() {
    let mut room = room();
    let drop = room.drop_of(&[2]);
    room.open(&drop);
    assert_eq!(room.drop_of(&[2]), drop, "an open one is joined, not doubled");
    room.answer(1, &drop, Decision::No);
    let again = room.drop_of(&[2]);
    assert_ne!(again, drop);
    assert_eq!(again.drop_nonce(), 1);
}

#[test]
fn what_was_refused_once_is_never_asked_again_however_many_came_since() {
    let mut room = room();
    let first = knock_at(&room.roster, &person(100), "first");
    room.open(&first);
    room.answer(0, &first, Decision::No);
    for number in 101..=180 {
        let knock = knock_at(&room.roster, &person(number), &format!("n{number}"));
        room.open(&knock);
        room.answer(0, &knock, Decision::No);
    }
    let again = room.ballots.open(&room.roster, first.clone(), 8, None, &Ed25519);
    assert_eq!(again, Ok(false));
    assert_eq!(room.ballots.may_say_yes(&first.hash()), Err(Blocked::Unknown));
}

#[test]
fn drops_that_another_refused_keep_no_place_however_many_a_member_makes() {
    let mut room = room();
    // The second signs drops of the third, who refuses each; nobody else has anything to say to it.
    let third = Few::try_from(vec![room.people[2].id()]).unwrap();
    for nonce in 0..2 * PROPOSALS_OPEN_MAX as u32 {
        let why = DropReason::Gone;
        let (room_id, roster) = (room.roster.room, room.roster.hash());
        let dropped = Few::try_from(vec![room.people[1].id()]).unwrap();
        let drop = Proposal::Drop(Drop { room: room_id, roster, dropped, why, nonce });
        room.open(&drop);
        assert!(room.ballots.get(&drop.hash()).is_some(), "number {nonce} finds a place");
        room.answer(2, &drop, Decision::No);
    }
    // What made room does not come back without the no that decided it.
    let (dropped, why) = (Few::try_from(vec![room.people[1].id()]).unwrap(), DropReason::Gone);
    let again = Drop { room: room.roster.room, roster: room.roster.hash(), dropped, why, nonce: 0 };
    let again = Proposal::Drop(again);
    let open = room.ballots.open(&room.roster, again.clone(), 8, None, &Ed25519).unwrap();
    assert!(!open && (room.ballots.get(&again.hash()).is_none_or(|ballot| ballot.refused().is_some())));
    let due = room.ballots.drop_of(&room.roster, third, DropReason::Gone);
    assert!(room.ballots.open(&room.roster, Proposal::Drop(due), 8, None, &Ed25519).unwrap());
}

#[test]
fn there_is_always_a_drop_to_propose_whatever_nonces_others_used_up() {
    let mut room = room();
    let third = Few::try_from(vec![room.people[2].id()]).unwrap();
    let drop = |room: &Room, nonce| {
        let (of, roster) = (room.roster.room, room.roster.hash());
        Proposal::Drop(Drop { room: of, roster, dropped: third.clone(), why: DropReason::Gone, nonce })
    };
    // Those with the highest nonces were refused; so many came since that one of them is forgotten.
    let last = drop(&room, u32::MAX);
    room.open(&last);
    room.answer(1, &last, Decision::No);
    for nonce in 0.. {
        if room.ballots.is_past(&last.hash()) {
            break;
        }
        let other = drop(&room, nonce);
        room.open(&other);
        room.answer(1, &other, Decision::No);
    }
    let before_last = drop(&room, u32::MAX - 1);
    room.open(&before_last);
    room.answer(1, &before_last, Decision::No);
    let due = room.ballots.drop_of(&room.roster, third.clone(), DropReason::Gone);
    let due = Proposal::Drop(due);
    assert!(room.ballots.open(&room.roster, due.clone(), 8, None, &Ed25519).unwrap());
    assert_eq!(room.ballots.may_say_yes(&due.hash()), Ok(()));
}

#[test]
fn strangers_have_no_say() {
    let mut room = room();
    let knock = knock_at(&room.roster, &person(9), "nina");
    room.open(&knock);
    let stranger = Verified::sign(yes(&knock, person(9).id()), &person(9));
    assert_eq!(room.ballots.note(stranger), Err(Misdeed::WrongRoster));
}

impl Proposal {
    fn drop_nonce(&self) -> u32 {
        match self {
            Proposal::Drop(drop) => drop.nonce,
            Proposal::Admit(_) => unreachable!("the test asks for drops only"),
        }
    }
}
