//! Seats that talk to each other by hand: what each rule of DESIGN.md §4 makes of what is heard.

use std::collections::BTreeSet;

use super::*;
use crate::core::consent::testing::*;
use crate::identity::{Ed25519, Identity};
use crate::wire::{Drop, Genesis};

/// The seats of a room of people 1 to `size`.
struct Table {
    people: Vec<Identity>,
    seats: Vec<Seat>,
}

fn table(size: u8) -> Table {
    let (people, genesis, base) = room_of(size);
    let seats = people.iter().map(|person| seat_at(&genesis, &base, person)).collect();
    Table { people, seats }
}

fn seat_at(genesis: &Verified<Genesis>, base: &Roster, person: &Identity) -> Seat {
    Seat::new(Chain::start(genesis.clone(), base.clone()), person.id())
}

impl Table {
    fn keys(&self, who: &[usize]) -> BTreeSet<PeerId> {
        who.iter().map(|at| self.people[*at].id()).collect()
    }

    /// Somebody signs an answer, and is the only one to know.
    fn sign(&mut self, who: usize, proposal: &Proposal, decision: Decision) -> Verified<Consent> {
        let seat = &mut self.seats[who];
        seat.open(proposal.clone(), None, &Ed25519).unwrap();
        let consent = seat.sign(proposal.hash(), decision, &self.people[who]).expect("the rules allow it");
        seat.note(consent.clone()).unwrap();
        consent
    }

    fn hear(&mut self, who: usize, proposal: &Proposal, consent: &Verified<Consent>) {
        self.seats[who].open(proposal.clone(), None, &Ed25519).unwrap();
        self.seats[who].note(consent.clone()).unwrap();
    }

    /// Somebody signs what the rules make of whom they can't reach, and is the only one to know.
    fn part(&mut self, who: usize, lapsed: &[usize]) -> Option<(Proposal, Verified<Consent>)> {
        let lapsed = self.keys(lapsed);
        let Some(Due::Sign(drop)) = self.seats[who].drop_due(&lapsed, &Ed25519) else { return None };
        let proposal = Proposal::Drop(drop);
        let consent = self.sign(who, &proposal, Decision::Yes);
        Some((proposal, consent))
    }

    fn move_on(&mut self, who: usize) -> Option<Step> {
        let step = self.seats[who].adoptable()?;
        self.seats[who].adopt(&step, &Ed25519).unwrap();
        Some(step)
    }

    fn members(&self, who: usize) -> BTreeSet<PeerId> {
        self.seats[who].chain().current().members.iter().map(|member| member.key).collect()
    }
}

#[test]
fn whoever_is_gone_is_dropped_by_exactly_those_who_stay() {
    let mut table = table(3);
    let (drop, yes) = table.part(0, &[2]).unwrap();
    assert!(table.move_on(0).is_none(), "one signature of two");
    let (same, theirs) = table.part(1, &[2]).unwrap();
    assert_eq!(same, drop, "who sees the same absence names the same bytes");
    table.hear(0, &drop, &theirs);
    table.hear(1, &drop, &yes);
    assert!(table.move_on(0).is_some() && table.move_on(1).is_some());
    assert_eq!(table.members(0), table.keys(&[0, 1]));
}

#[test]
fn somebody_we_reach_is_not_dropped_whoever_wants_it() {
    let mut table = table(3);
    let (drop, signed) = table.part(0, &[2]).unwrap();
    table.seats[1].open(drop.clone(), None, &Ed25519).unwrap();
    let (me, reachable) = (table.people[1].id(), table.keys(&[0, 2]));
    assert_eq!(
        table.seats[1].drops_to_refuse(&me, &reachable),
        [],
        "nobody has signed it: anybody could have made it up"
    );
    table.hear(1, &drop, &signed);
    assert_eq!(table.seats[1].drops_to_refuse(&table.people[1].id(), &reachable), [Due::Refuse(drop.hash())]);
}

#[test]
fn locked_by_ones_own_signature_on_the_drop_of_somebody_who_is_back_one_departs_alone() {
    let mut table = table(3);
    table.part(0, &[2]).unwrap();
    // The third is back, and the second is gone before it has signed.
    let (alone, _) = table.part(0, &[1]).expect("nothing else can ever happen");
    assert!(matches!(&alone, Proposal::Drop(drop) if drop.dropped.len() == 2));
    table.move_on(0).unwrap();
    assert_eq!(table.members(0), table.keys(&[0]));
}

#[test]
fn nobody_departs_alone_while_somebody_may_still_answer() {
    let mut table = table(4);
    table.part(0, &[2]).unwrap();
    // The second and the fourth have yet to sign; only the second is gone.
    assert_eq!(table.part(0, &[1]), None);
}

#[test]
fn those_who_went_on_without_me_have_left_until_they_are_let_in_again() {
    let mut table = table(3);
    let base = table.seats[0].chain().current().clone();
    let dropped = table.seats[2].others().try_into().unwrap();
    let leave = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Leave, nonce: 0 };
    let leave = step_signed_by(&Proposal::Drop(leave), &[clone(&table.people[2])]);
    let leaver = table.people[2].id();
    assert_eq!(table.seats[0].hear_step(&leave, &Ed25519), Ok(Heard::Departed(vec![leaver])));
    assert_eq!(table.seats[0].left().get(&leaver), Some(&Departed::Left));

    let (drop, _) = table.part(0, &[]).unwrap();
    let theirs = table.sign(1, &drop, Decision::Yes);
    table.hear(0, &drop, &theirs);
    table.move_on(0).unwrap();
    let back = knock_at(table.seats[0].chain().current(), &table.people[2], "p3");
    let back = step_signed_by(&back, &table.people[..2]);
    table.seats[0].adopt(&back, &Ed25519).unwrap();
    assert_eq!(table.seats[0].hear_step(&leave, &Ed25519), Ok(Heard::Nothing), "it was said before");
    assert!(table.seats[0].left().is_empty());
}

#[test]
fn a_head_on_a_roster_that_can_not_have_me_in_it_says_that_its_signer_went_on() {
    let mut table = table(2);
    let (before, other) = (table.seats[0].chain().head(), table.people[1].id());
    let knock = knock_at(table.seats[0].chain().current(), &person(9), "nina");
    table.sign(0, &knock, Decision::Yes);
    let theirs = table.sign(1, &knock, Decision::Yes);
    table.hear(1, &knock, &theirs);
    let step = step_signed_by(&knock, &table.people);
    table.seats[1].adopt(&step, &Ed25519).unwrap();
    let ahead = table.seats[1].chain().head();
    assert_eq!(table.seats[0].hear_head(other, ahead, &Ed25519), HeadMeans::Ahead, "we have signed that step");
    table.seats[0].adopt(&step, &Ed25519).unwrap();
    assert_eq!(table.seats[0].hear_head(other, before, &Ed25519), HeadMeans::Behind);
    assert_eq!(table.seats[0].fate(), Fate::On);
    assert_eq!(table.seats[0].hear_head(other, RosterHash([9; 32]), &Ed25519), HeadMeans::GoneOn);
    assert_eq!(table.seats[0].left().get(&other), Some(&Departed::SaidSo));
    let here = table.seats[0].chain().head();
    table.seats[0].hear_head(other, here, &Ed25519);
    assert!(table.seats[0].left().is_empty(), "a newer word takes it back");
}

#[test]
fn of_two_halves_that_parted_the_junior_one_gives_way_and_the_senior_one_stays() {
    let mut table = table(4);
    let mut half = |who: [usize; 2], gone: [usize; 2]| {
        let (drop, first) = table.part(who[0], &gone).unwrap();
        let (_, second) = table.part(who[1], &gone).unwrap();
        table.hear(who[0], &drop, &second);
        table.hear(who[1], &drop, &first);
        table.move_on(who[1]).unwrap();
        table.move_on(who[0]).unwrap()
    };
    let (senior, junior) = (half([0, 1], [2, 3]), half([2, 3], [0, 1]));
    assert_eq!(table.seats[0].hear_step(&junior, &Ed25519), Ok(Heard::Split { theirs_hosts: false }));
    assert_eq!(table.seats[2].hear_step(&senior, &Ed25519), Ok(Heard::Split { theirs_hosts: true }));
    assert_eq!((table.seats[0].fate(), table.seats[2].fate()), (Fate::On, Fate::Doubtful));
    let (who, at) = (table.people[0].id(), table.seats[0].chain().head());
    table.seats[2].hear_head_of_other_half(who, at);
    assert_eq!(table.seats[2].fate(), Fate::Abandoned, "they are there");
    table.seats[3].hear_step(&senior, &Ed25519).unwrap();
    table.seats[3].stay();
    assert_eq!(table.seats[3].fate(), Fate::On, "nobody is there to give way to");
}

#[test]
fn removed_by_all_others_is_no_reason_to_knock() {
    let mut table = table(3);
    let base = table.seats[0].chain().current().clone();
    let dropped = vec![table.people[2].id()].try_into().unwrap();
    let removal = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Removal, nonce: 0 };
    let step = step_signed_by(&Proposal::Drop(removal), &table.people[..2]);
    assert!(matches!(table.seats[2].hear_step(&step, &Ed25519), Ok(Heard::Departed(_))));
    assert_eq!(table.seats[2].fate(), Fate::Removed);
}

#[test]
fn a_refused_proposal_gets_no_yes() {
    let mut table = table(2);
    let knock = knock_at(table.seats[0].chain().current(), &person(9), "nina");
    let no = table.sign(1, &knock, Decision::No);
    table.hear(0, &knock, &no);
    assert!(table.seats[0].sign(knock.hash(), Decision::Yes, &table.people[0]).is_none());
}

#[test]
fn after_a_restart_whoever_waits_on_a_passed_roster_still_gets_a_no_but_none_against_a_yes() {
    let mut table = table(2);
    let base = table.seats[1].chain().current().clone();
    let (nina, omar) = (knock_at(&base, &person(8), "nina"), knock_at(&base, &person(9), "omar"));
    let step = step_signed_by(&nina, &table.people);
    table.seats[1].open(nina.clone(), None, &Ed25519).unwrap();
    let yes = table.seats[1].sign(nina.hash(), Decision::Yes, &table.people[1]).unwrap();
    let genesis = table.seats[1].chain().genesis().clone();
    let chain = Chain::reopen(genesis, base, [step], &Ed25519).unwrap();
    let restarted = |kept: Vec<_>| {
        let mut seat = Seat::new(chain.clone(), table.people[1].id());
        seat.recall(kept, &Ed25519);
        seat
    };
    let seat = restarted(vec![(nina.clone(), yes.into_signed())]);
    assert_eq!(seat.passed_no(&omar, &Ed25519), Some(Decision::Late), "it waits for us, and we have moved on");
    assert_eq!(seat.passed_no(&nina, &Ed25519), None, "we said yes to that");
    let nothing_known = restarted(Vec::new());
    assert_eq!(nothing_known.passed_no(&omar, &Ed25519), None, "we can't tell what we have said");
}
