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

/// The third, who can't reach the first two for a while, signs a drop of them, and so does the fourth, who lies.
fn signed_by_a_liar() -> (Table, Step, [Verified<Consent>; 2]) {
    let mut table = table(4);
    let (two, _) = table.part(2, &[0, 1]).unwrap();
    let step = step_signed_by(&two, &table.people[2..].iter().map(clone).collect::<Vec<_>>());
    let yes = crate::core::consent::roster::yes(&two, table.people[3].id());
    let no = Consent { decision: Decision::No, ..yes.clone() };
    let lies = [yes, no].map(|lie| Verified::sign(lie, &table.people[3]));
    (table, step, lies)
}

#[test]
fn a_step_of_which_a_signer_told_others_no_says_of_nobody_else_that_they_have_gone_on() {
    for no_first in [false, true] {
        let (mut table, step, [_, no]) = signed_by_a_liar();
        let (honest, liar) = (table.people[2].id(), table.people[3].id());
        let gone = |table: &Table| table.seats[0].left().keys().copied().collect::<Vec<_>>();
        if no_first {
            table.hear(0, &step.proposal, &no);
        } else {
            assert!(matches!(table.seats[0].hear_step(&step, &Ed25519), Ok(Heard::Departed(_))));
            assert_eq!(gone(&table).len(), 2, "as far as the first can know");
            assert_eq!(table.seats[0].note(no), Ok(crate::core::consent::ballots::Noted::Contradicts));
            assert_eq!(gone(&table), [liar]);
        }
        let again = table.seats[0].hear_step(&step, &Ed25519);
        assert_eq!(again, Ok(if no_first { Heard::Departed(vec![liar]) } else { Heard::Nothing }));
        assert_eq!(gone(&table), [liar]);
        // Whoever has gone on by it after all says so.
        table.seats[0].hear_head(honest, RosterHash([9; 32]), &Ed25519);
        assert_eq!(gone(&table).len(), 2);
    }
}

#[test]
fn a_liar_stays_one_when_its_answers_made_room_for_others() {
    for told_before in [false, true] {
        let (mut table, step, [yes, no]) = signed_by_a_liar();
        let honest = table.people[2].id();
        table.hear(0, &step.proposal, &no);
        if told_before {
            table.seats[0].note(yes).unwrap();
        }
        let base = table.seats[0].chain().current().clone();
        for nonce in 1..100 {
            let (dropped, why) = (vec![honest].try_into().unwrap(), DropReason::Gone);
            let made_up = Drop { room: base.room, roster: base.hash(), dropped, why, nonce };
            table.seats[0].open(Proposal::Drop(made_up), None, &Ed25519).unwrap();
        }
        assert!(table.seats[0].ballots().get(&step.proposal.hash()).is_none(), "it has made room");
        table.seats[0].hear_step(&step, &Ed25519).unwrap();
        assert!(!table.seats[0].left().contains_key(&honest));
    }
}

#[test]
fn whoever_goes_alone_again_and_again_leaves_room_for_others() {
    let mut table = table(3);
    let liar = table.people[2].id();
    let base = table.seats[0].chain().current().clone();
    let dropped = table.seats[2].others().try_into().unwrap();
    let alone = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Gone, nonce: 0 };
    for nonce in 0..100 {
        let step = step_signed_by(
            &Proposal::Drop(Drop { nonce, ..alone.clone() }),
            &table.people[2..].iter().map(clone).collect::<Vec<_>>(),
        );
        table.seats[0].hear_step(&step, &Ed25519).unwrap();
    }
    assert_eq!(table.seats[0].left().keys().collect::<Vec<_>>(), [&liar]);
    assert!(table.part(0, &[]).is_some(), "the others can go on without them");
}

#[test]
fn what_a_liar_completes_by_itself_makes_no_room_before_what_others_signed_too() {
    let (mut table, step, [_, no]) = signed_by_a_liar();
    let honest = table.people[2].id();
    table.seats[0].hear_step(&step, &Ed25519).unwrap();
    assert!(table.seats[0].left().contains_key(&honest));
    let base = table.seats[0].chain().current().clone();
    let dropped = table.seats[3].others().try_into().unwrap();
    let alone = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Gone, nonce: 0 };
    for nonce in 0..100 {
        let alone = Proposal::Drop(Drop { nonce, ..alone.clone() });
        table.seats[0].hear_step(&step_signed_by(&alone, &[clone(&table.people[3])]), &Ed25519).unwrap();
    }
    table.seats[0].note(no).unwrap();
    assert!(!table.seats[0].left().contains_key(&honest));
}

#[test]
fn a_removal_over_a_roster_that_was_passed_is_one_once_those_who_signed_it_tell_it_themselves() {
    let mut table = table(4);
    let base = table.seats[0].chain().current().clone();
    let keys: BTreeSet<PeerId> = table.keys(&[0, 3]);
    let dropped = keys.into_iter().collect::<Vec<_>>().try_into().unwrap();
    let removal = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Removal, nonce: 0 };
    let removal = step_signed_by(&Proposal::Drop(removal), &table.people[1..3].iter().map(clone).collect::<Vec<_>>());
    let gone = vec![table.people[3].id()].try_into().unwrap();
    let drop = Drop { room: base.room, roster: base.hash(), dropped: gone, why: DropReason::Gone, nonce: 0 };
    let three = step_signed_by(&Proposal::Drop(drop), &table.people[..3]);
    table.seats[0].adopt(&three, &Ed25519).unwrap();
    table.seats[0].hear_step(&removal, &Ed25519).unwrap();
    assert_eq!(
        table.seats[0].fate(),
        Fate::Doubtful,
        "anybody may tell it, and one of its signers have lied to the other"
    );
    let here = table.seats[0].chain().head();
    let [second, third] = [1, 2].map(|at| table.people[at].id());
    table.seats[0].hear_head(second, here, &Ed25519);
    assert_eq!((table.seats[0].fate(), table.seats[0].left().len()), (Fate::On, 1));
    // Both tell it themselves.
    for by in [second, third] {
        table.seats[0].hear_own_step(&by, &removal, &Ed25519).unwrap();
        table.seats[0].hear_step(&removal, &Ed25519).unwrap();
    }
    assert_eq!(table.seats[0].fate(), Fate::Removed);
    table.seats[0].stay();
    assert_eq!(table.seats[0].fate(), Fate::On, "somebody was seen to be here");
}

#[test]
fn a_member_who_tells_that_they_took_a_step_has_taken_it_whoever_lied_about_it() {
    let (mut table, step, [_, no]) = signed_by_a_liar();
    let honest = table.people[2].id();
    table.seats[0].hear_step(&step, &Ed25519).unwrap();
    table.seats[0].note(no).unwrap();
    assert!(!table.seats[0].left().contains_key(&honest));
    assert!(table.seats[0].hear_own_step(&honest, &step, &Ed25519).is_some());
    assert_eq!(table.seats[0].left().get(&honest), Some(&Departed::SaidSo));
    let second = table.people[1].id();
    assert_eq!(
        table.seats[0].hear_own_step(&second, &step, &Ed25519),
        None,
        "the second is not in it, and passes it on"
    );
}

#[test]
fn whoever_also_signed_a_step_that_nobody_doubts_has_gone_on() {
    let (mut table, step, [_, no]) = signed_by_a_liar();
    let honest = table.people[2].id();
    // The third gives up on the fourth as well, and is alone.
    table.hear(2, &step.proposal, &no);
    let (alone, yes) = table.part(2, &[0, 1, 3]).unwrap();
    table.hear(0, &alone, &yes);
    let alone = table.seats[0].completed_without().remove(0);
    for step in [&step, &alone] {
        table.seats[0].hear_step(step, &Ed25519).unwrap();
    }
    table.seats[0].note(no).unwrap();
    assert_eq!(table.seats[0].left().get(&honest), Some(&Departed::WentOn));
}

#[test]
fn what_members_signed_over_a_roster_that_was_passed_is_taken_back_by_their_word_from_the_next() {
    let (mut table, step, _) = signed_by_a_liar();
    let (honest, liar) = (table.people[2].id(), table.people[3].id());
    table.seats[0].hear_step(&step, &Ed25519).unwrap();
    let word = |table: &mut Table| {
        let here = table.seats[0].chain().head();
        table.seats[0].hear_head(honest, here, &Ed25519);
        table.seats[0].left().keys().copied().collect::<BTreeSet<_>>()
    };
    assert_eq!(word(&mut table), [honest, liar].into(), "they may not have taken it yet");
    let knock = knock_at(table.seats[0].chain().current(), &person(9), "nina");
    table.seats[0].adopt(&step_signed_by(&knock, &table.people), &Ed25519).unwrap();
    assert_eq!(table.seats[0].left().len(), 2);
    assert_eq!(word(&mut table), [liar].into());
    // Nor does it help to tell the old step again.
    table.seats[0].hear_step(&step, &Ed25519).unwrap();
    assert_eq!(word(&mut table), [liar].into());
}

#[test]
fn what_members_signed_over_a_roster_that_was_passed_is_taken_back_by_what_they_sign_over_a_later_one() {
    let (mut table, step, _) = signed_by_a_liar();
    let seat = &mut table.seats[0];
    seat.hear_step(&step, &Ed25519).unwrap();
    let both = [2, 3].map(|at| table.people[at].id());
    let came = knock_at(seat.chain().current(), &person(9), "nina");
    seat.adopt(&step_signed_by(&came, &table.people), &Ed25519).unwrap();
    let before = |key| (key, Departed::SignedBefore);
    assert_eq!(*seat.left(), both.map(before).into(), "they signed both steps, one of them in time");

    // One answers something over the next roster.
    let knock = knock_at(seat.chain().current(), &person(8), "omar");
    seat.open(knock.clone(), None, &Ed25519).unwrap();
    let no = Consent { decision: Decision::No, ..crate::core::consent::roster::yes(&knock, both[0]) };
    seat.note(Verified::sign(no, &table.people[2])).unwrap();
    assert_eq!(*seat.left(), [before(both[1])].into());
    seat.hear_step(&step, &Ed25519).unwrap();
    assert_eq!(*seat.left(), [before(both[1])].into(), "told again it is no news");

    // The other signs the step from it.
    table.people.push(person(9));
    seat.adopt(&step_signed_by(&knock, &table.people), &Ed25519).unwrap();
    seat.hear_step(&step, &Ed25519).unwrap();
    assert_eq!(*seat.left(), BTreeMap::new());
    // Unlike their word that they are elsewhere.
    seat.hear_head(both[1], RosterHash([9; 32]), &Ed25519);
    let knock = knock_at(seat.chain().current(), &person(7), "pia");
    table.people.push(person(8));
    seat.adopt(&step_signed_by(&knock, &table.people), &Ed25519).unwrap();
    assert_eq!(*seat.left(), [(both[1], Departed::SaidSo)].into());
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

/// What is proposed over a roster, and who signs it.
type Proposed<'a> = &'a dyn Fn(&Roster) -> (Proposal, Vec<Identity>);

/// How others went on from `base`, one step after the other, with what each of them proposes from the roster before.
fn went_on(base: &Roster, steps: &[Proposed<'_>]) -> Vec<Step> {
    let mut at = base.clone();
    let next = |make: &Proposed<'_>| {
        let (proposal, signers) = make(&at);
        let step = step_signed_by(&proposal, &signers);
        at = verify_step(&at, &step, 8, &Ed25519).unwrap();
        step
    };
    steps.iter().map(next).collect()
}

fn drop_all_but(at: &Roster, stay: &[Identity]) -> (Proposal, Vec<Identity>) {
    let gone = at.members.iter().map(|member| member.key).filter(|key| !stay.iter().any(|one| one.id() == *key));
    let dropped: BTreeSet<PeerId> = gone.collect();
    let dropped = dropped.into_iter().collect::<Vec<_>>().try_into().unwrap();
    let drop = Drop { room: at.room, roster: at.hash(), dropped, why: DropReason::Gone, nonce: 0 };
    (Proposal::Drop(drop), stay.iter().map(clone).collect())
}

#[test]
fn strangers_push_nobody_out_who_has_company_and_are_company_for_who_is_alone() {
    let mut table = table(3);
    let base = table.seats[0].chain().current().clone();
    let third = clone(&table.people[2]);
    let alone = |at: &Roster| drop_all_but(at, &[clone(&third)]);
    let nina = |at: &Roster| (knock_at(at, &person(8), "nina"), vec![clone(&third)]);
    let omar = |at: &Roster| (knock_at(at, &person(9), "omar"), vec![clone(&third), person(8)]);
    let theirs = went_on(&base, &[&alone, &nina, &omar]);

    let (drop, yes) = table.part(0, &[2]).unwrap();
    let (_, other) = table.part(1, &[2]).unwrap();
    table.hear(0, &drop, &other);
    table.hear(1, &drop, &yes);
    table.move_on(0).unwrap();
    for step in &theirs {
        assert_eq!(table.seats[0].hear_step(step, &Ed25519), Ok(Heard::Split { theirs_hosts: false }));
    }
    let (alone, _) = table.part(0, &[1]).unwrap();
    table.move_on(0).unwrap();
    assert_eq!(table.members(0), table.keys(&[0]), "{alone:?}");
    let heard = |seat: &mut Seat, step| seat.hear_step(step, &Ed25519);
    assert_eq!(heard(&mut table.seats[0], &theirs[0]), Ok(Heard::Split { theirs_hosts: false }), "the senior of two");
    assert_eq!(heard(&mut table.seats[0], &theirs[2]), Ok(Heard::Split { theirs_hosts: true }), "they have company");
}

#[test]
fn halves_of_which_one_took_what_the_other_had_narrowed_are_told_apart_by_the_steps_after_it() {
    let mut table = table(4);
    let base = table.seats[1].chain().current().clone();
    let nina = knock_at(&base, &person(9), "nina");
    // The second and the fourth sign the admission, then lose the others, and sign what keeps fewer.
    table.sign(1, &nina, Decision::Yes);
    let (drop, _) = table.part(1, &[0, 2]).unwrap();
    let theirs = Verified::sign(crate::core::consent::roster::yes(&drop, table.people[3].id()), &table.people[3]);
    table.hear(1, &drop, &theirs);
    table.move_on(1).unwrap();
    let people: Vec<Identity> = table.people.iter().map(clone).collect();
    let admit = |_: &Roster| (nina.clone(), people.iter().map(clone).collect());
    let part = |at: &Roster| drop_all_but(at, &[clone(&people[0]), clone(&people[2]), person(9)]);
    let leave_nina = |at: &Roster| drop_all_but(at, &[clone(&people[0])]);
    let steps = went_on(&base, &[&admit, &part, &leave_nina]);
    let seat = &mut table.seats[1];
    assert_eq!(seat.hear_step(&steps[1], &Ed25519), Ok(Heard::Nothing), "from a roster that is not known yet");
    assert_eq!(seat.hear_step(&steps[0], &Ed25519), Ok(Heard::Nothing));
    assert_eq!(
        seat.hear_step(&steps[1], &Ed25519),
        Ok(Heard::Split { theirs_hosts: true }),
        "two each, one more senior"
    );
    assert_eq!(seat.fate(), Fate::Doubtful);
    assert_eq!(
        seat.hear_step(&steps[2], &Ed25519),
        Ok(Heard::Split { theirs_hosts: false }),
        "they have lost two since"
    );
    assert_eq!(seat.fate(), Fate::On);
}

#[test]
fn a_parting_from_a_roster_of_an_earlier_stay_is_weighed_by_who_came_back() {
    let table = table(4);
    let base = table.seats[0].chain().current().clone();
    let people = |who: &[usize]| -> Vec<Identity> { who.iter().map(|at| clone(&table.people[*at])).collect() };
    let (third, fourth) = (people(&[2]), people(&[3]));
    // The fourth left, and knocked at the third, who was alone by then.
    let alone = |at: &Roster| drop_all_but(at, &third);
    let back = |at: &Roster| (knock_at(at, &fourth[0], "p4"), third.iter().map(clone).collect());
    let way = went_on(&base, &[&alone, &back]);
    let small = verify_step(&base, &way[0], 8, &Ed25519).unwrap();
    let both = verify_step(&small, &way[1], 8, &Ed25519).unwrap();
    let mut seat = seat_at(table.seats[0].chain().genesis(), &both, &fourth[0]);
    let theirs = went_on(&base, &[&|at: &Roster| drop_all_but(at, &people(&[0, 1]))]);
    assert_eq!(seat.hear_step(&theirs[0], &Ed25519), Ok(Heard::Nothing), "over a roster that it never was in");
    seat.recall_earlier(&base);
    assert_eq!(
        seat.hear_step(&theirs[0], &Ed25519),
        Ok(Heard::Split { theirs_hosts: true }),
        "two each, one more senior"
    );
    assert_eq!(seat.hear_step(&way[0], &Ed25519), Ok(Heard::Nothing), "our own way is nobody's half");
}

#[test]
fn a_roster_that_somebody_claims_counts_once_its_members_have_signed_what_follows() {
    let mut table = table(4);
    let base = table.seats[2].chain().current().clone();
    let (drop, _) = table.part(2, &[0, 1]).unwrap();
    let (_, other) = table.part(3, &[0, 1]).unwrap();
    table.hear(2, &drop, &other);
    table.move_on(2).unwrap();
    let seniors: Vec<Identity> = table.people[..2].iter().map(clone).collect();
    let part = |at: &Roster| drop_all_but(at, &seniors);
    let nina = |at: &Roster| (knock_at(at, &person(9), "nina"), seniors.iter().map(clone).collect());
    let steps = went_on(&base, &[&part, &nina]);
    let claimed = verify_step(&base, &steps[0], 8, &Ed25519).unwrap();
    let seat = &mut table.seats[2];
    assert_eq!(seat.hear_step(&steps[1], &Ed25519), Ok(Heard::Nothing));
    seat.hear_branch(claimed);
    assert_eq!(seat.fate(), Fate::On, "anybody can claim anything");
    let one_short = Step { signatures: steps[1].signatures[..1].to_vec().try_into().unwrap(), ..steps[1].clone() };
    assert_eq!(seat.hear_step(&one_short, &Ed25519), Err(Misdeed::MissingConsent));
    assert_eq!(seat.hear_step(&steps[1], &Ed25519), Ok(Heard::Split { theirs_hosts: true }));
}

#[test]
fn whom_we_went_on_without_by_decision_is_no_half_to_come_back_to() {
    let mut table = table(3);
    let base = table.seats[0].chain().current().clone();
    let third = clone(&table.people[2]);
    let dropped = vec![third.id()].try_into().unwrap();
    let removal = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Removal, nonce: 0 };
    let removal = step_signed_by(&Proposal::Drop(removal), &table.people[..2]);
    let yes = |who: usize| crate::core::consent::roster::yes(&removal.proposal, table.people[who].id());
    let (first, second) = (Verified::sign(yes(0), &table.people[0]), Verified::sign(yes(1), &table.people[1]));
    table.hear(0, &removal.proposal, &first);
    table.hear(0, &removal.proposal, &second);
    table.move_on(0).unwrap();
    let alone = |at: &Roster| drop_all_but(at, &[clone(&third)]);
    let nina = |at: &Roster| (knock_at(at, &person(9), "nina"), vec![clone(&third)]);
    table.part(0, &[1]).unwrap();
    table.move_on(0).unwrap();
    for step in went_on(&base, &[&alone, &nina]) {
        let heard = table.seats[0].hear_step(&step, &Ed25519);
        assert!(!matches!(heard, Ok(Heard::Split { .. })), "{heard:?}");
    }
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
