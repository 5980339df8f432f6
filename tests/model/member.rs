//! One member of the model: a real [`Seat`], and around it no more than what the room does with what a seat says
//! (`src/core/room`): it notes what it hears, adopts what is complete, signs what is due, and leaves when it was left.

use std::collections::BTreeSet;

use p2pchat::core::consent::seat::{Due, Fate, Heard as StepMeans, Seat};
use p2pchat::identity::PeerId;
use p2pchat::wire::{Decision, DropReason, Proposal, RosterHash, Step};

use crate::alike::as_the_pool_shows;
use crate::book::{Book, KeptNo, People, ProposalNo, RosterNo, SeatNo, each, only};
use crate::keyed::{Hands, Who, hand, key_of, who_is};

/// An answer, as it is heard or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heard {
    pub proposal: ProposalNo,
    pub by: Who,
    pub decision: Decision,
}

/// What a member is told, or does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The user, or the clock for them, answers a knock.
    Answer(ProposalNo, Decision),
    /// A proposal, and the answers of these: of those who said yes, and no.
    Hear(ProposalNo, People, People),
    /// A step, with everybody's signature.
    Step(ProposalNo, RosterNo),
    /// A head, over the teller's own link; of roster 0 when it is a lie.
    Head(Who, RosterNo),
    /// A head of somebody without a seat here, over their own link.
    OtherHead(Who, RosterNo),
    /// Asked because others seem to have gone on, the rendezvous says whether anybody is there.
    Shown(bool),
    /// A proposal over a roster that this member has passed, and whether the pool shows a yes of theirs to it.
    Passed(ProposalNo, bool),
    /// Time to weigh drops: who is out of reach for the whole grace, and who is reached.
    Weigh { lapsed: People, reachable: People },
    /// The user leaves.
    Leave,
    /// The program stops and starts again, with this on its disk.
    Restart(KeptNo),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The seat now; none when it was given up.
    pub seat: Option<SeatNo>,
    /// What was signed, in this order.
    pub signed: Vec<(ProposalNo, Decision)>,
    /// Rosters adopted, in this order.
    pub adopted: Vec<RosterNo>,
    /// What went to the disk.
    pub kept: Vec<Heard>,
    /// Whether the others had gone on without us, so that we left to knock again.
    pub abandoned: bool,
}

/// Hands the input to a copy of the seat.
pub fn respond(book: &Book, seat: &Seat, input: &Input) -> Outcome {
    let mut member = Member { book, who: who_is(&seat.me()), seat: seat.clone(), out: Outcome::default() };
    match input {
        Input::Answer(number, decision) => member.open(*number, |member, proposal| {
            member.answer(proposal, *decision);
        }),
        Input::Hear(number, yes, no) => member.open(*number, |member, proposal| {
            let noes = each(*no).map(|who| (who, refusal(proposal)));
            for (who, decision) in each(*yes).map(|who| (who, Decision::Yes)).chain(noes) {
                member.note(proposal, who, decision);
            }
        }),
        Input::Step(number, at) => {
            let facts = book.proposal_facts(*number);
            let signers = book.signers(*number, *at);
            let step = book.step(&facts.proposal, signers, &book.roster_facts(*at).roster);
            member.on_step(&step);
        }
        Input::Head(by, at) => {
            // A liar may name a roster that nobody has ever heard of.
            let at = if *at == 0 { RosterHash([0xee; 32]) } else { book.roster_facts(*at).roster.hash() };
            member.seat.hear_head(key_of(*by), at, &Hands);
        }
        Input::Passed(number, said_yes) => {
            let proposal = book.proposal_facts(*number).proposal.clone();
            let shown = book.passed_by_pool.then(|| as_the_pool_shows(book, seat, *number, *said_yes));
            if let Some(decision) = shown.as_ref().unwrap_or(seat).passed_no(&proposal, &Hands) {
                member.send(&proposal, decision);
            }
        }
        Input::OtherHead(by, at) => {
            let at = book.roster_facts(*at).roster.hash();
            member.seat.hear_head_of_other_half(key_of(*by), at);
        }
        // As `Node::looked_up`.
        Input::Shown(there) => match (member.seat.fate(), there) {
            (Fate::Doubtful, true) => {
                member.leave();
                member.out.abandoned = true;
            }
            (Fate::Doubtful, false) => member.seat.stay(),
            _ => {}
        },
        Input::Weigh { lapsed, reachable } => member.weigh(*lapsed, *reachable),
        Input::Leave => member.leave(),
        Input::Restart(kept) => {
            member.seat = book.restarted(&member.seat, book.kept_facts(*kept));
        }
    }
    if member.out.seat.is_none() && !matches!(input, Input::Leave) {
        member.follow_fate();
    }
    let gone = member.out.abandoned || matches!(input, Input::Leave);
    if !gone {
        member.out.seat = Some(book.seat(member.seat));
    }
    member.out
}

/// How a member says no.
pub fn refusal(proposal: &Proposal) -> Decision {
    match proposal {
        Proposal::Admit(_) => Decision::Silent,
        Proposal::Drop(_) => Decision::No,
    }
}

struct Member<'b> {
    book: &'b Book,
    who: Who,
    seat: Seat,
    out: Outcome,
}

impl Member<'_> {
    fn open(&mut self, number: ProposalNo, then: impl FnOnce(&mut Self, &Proposal)) {
        let proposal = self.book.proposal_facts(number).proposal.clone();
        // One that could never be valid is dropped with blame.
        if self.seat.open(proposal.clone(), None, &Hands).is_ok() {
            then(self, &proposal);
        }
    }

    /// As `Room::answer`: signs, keeps, sends, notes.
    fn answer(&mut self, proposal: &Proposal, decision: Decision) {
        if self.seat.sign(proposal.hash(), decision, &hand(self.who)).is_none() {
            return;
        }
        self.send(proposal, decision);
        self.keep(proposal, self.who, decision);
        self.note(proposal, self.who, decision);
    }

    /// As `Room::note`.
    fn note(&mut self, proposal: &Proposal, by: Who, decision: Decision) {
        let known = self.seat.ballots().get(&proposal.hash()).and_then(|ballot| ballot.answer(&key_of(by)));
        let Ok(_) = self.seat.note(self.book.consent(proposal, by, decision)) else { return };
        if by != self.who && decision != Decision::Yes && known != Some(decision) {
            self.keep(proposal, by, decision);
        }
        self.settle();
    }

    /// As `Room::settle`.
    fn settle(&mut self) {
        while let Some(step) = self.seat.adoptable() {
            if !self.adopt(&step) {
                break;
            }
        }
        for step in self.seat.completed_without() {
            self.on_step(&step);
        }
    }

    /// As `Room::on_step`; drops that become due are weighed when the environment says so.
    fn on_step(&mut self, step: &Step) {
        match self.seat.hear_step(step, &Hands) {
            Ok(StepMeans::Adopt) => {
                if self.adopt(step) {
                    self.settle();
                }
            }
            Ok(StepMeans::Nothing | StepMeans::Departed(_) | StepMeans::Split { .. }) | Err(_) => {}
        }
    }

    /// As `Room::adopt`.
    fn adopt(&mut self, step: &Step) -> bool {
        let Ok(adopted) = self.seat.adopt(step, &Hands) else { return false };
        for hash in &adopted.unanswered {
            if let Some(ballot) = adopted.overtaken.get(hash) {
                self.sign_late(&ballot.proposal.clone());
            }
        }
        let after = self.book.roster(&adopted.after);
        self.out.adopted.push(after);
        // The noes of others freed us there, and are of no use any more.
        self.out.kept.retain(|heard| heard.by == self.who);
        true
    }

    /// As `Room::weigh_drops`.
    fn weigh(&mut self, lapsed: People, reachable: People) {
        if self.seat.fate() != Fate::On {
            return;
        }
        let keys = |people: People| -> BTreeSet<PeerId> { each(people).map(key_of).collect() };
        let ours = self.seat.drop_due(&keys(lapsed), &Hands);
        for due in self.seat.drops_to_refuse(&key_of(self.who), &keys(reachable)) {
            let ours = ours.as_ref().is_some_and(|ours| ours.proposal() == due.proposal());
            if !ours && let Some(ballot) = self.seat.ballots().get(&due.proposal()) {
                self.answer(&ballot.proposal.clone(), Decision::No);
            }
        }
        if let Some(Due::Sign(drop)) = ours {
            let proposal = Proposal::Drop(drop);
            if self.seat.open(proposal.clone(), None, &Hands).is_ok() {
                self.answer(&proposal, Decision::Yes);
            }
        }
    }

    /// As `Node::leave_abandoned`.
    fn follow_fate(&mut self) {
        match self.seat.fate() {
            // Somebody looks first.
            Fate::On | Fate::Doubtful => {}
            Fate::Abandoned | Fate::Removed => {
                self.leave();
                self.out.abandoned = true;
            }
        }
    }

    /// As `Room::leave`.
    fn leave(&mut self) {
        let others = self.seat.others();
        let drop = self.seat.drop_of(others, DropReason::Leave).filter(|drop| !drop.dropped.is_empty());
        if let Some(drop) = drop {
            self.send(&Proposal::Drop(drop), Decision::Yes);
        }
    }

    fn sign_late(&mut self, proposal: &Proposal) {
        let late = self.seat.sign_late(proposal.roster(), proposal.hash(), &hand(self.who));
        debug_assert_eq!(late.unverified().proposal, proposal.hash());
        self.send(proposal, Decision::Late);
    }

    fn send(&mut self, proposal: &Proposal, decision: Decision) {
        self.out.signed.push((self.book.proposal(proposal), decision));
    }

    fn keep(&mut self, proposal: &Proposal, by: Who, decision: Decision) {
        self.out.kept.push(Heard { proposal: self.book.proposal(proposal), by, decision });
    }
}

/// Whether somebody is in a set.
pub fn has(people: People, who: Who) -> bool {
    people & only(who) != 0
}
