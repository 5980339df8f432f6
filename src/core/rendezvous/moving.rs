//! How a room moves from one roster to the next, and when a complete drop means that its signers left.
//!
//! A drop binds only its signers (DESIGN.md §4 rule 6): the same signatures read "we go on without them" on one side and
//! "they left" on the other. The server keeps one roster per room, and tells the two apart by what it sees itself:
//!
//! - Whoever leaves says `Close` first. A drop whose every signer said so is their leaving: the room stays on its roster
//!   until the others have signed the drop of those who left, and the signed leaving is passed on to them as evidence.
//! - A drop is the room's way on if more sign it than it names, or if everybody it names has said that they leave, has
//!   signed a drop of the signers, isn't connected, or is on a roster of its own, unknown here, and brings no step to it.
//! - Anything else can't be told yet: who signs the drop of somebody that left may be heard before the one that left, and
//!   two halves that have lost each other may both be here. The drop is passed on like a leaving, nothing moves, and it is
//!   weighed again when one of those it names says that they leave, is gone, or signs.
//!
//! Of two halves of a room one is thus the room's way on, once; the other half is told the steps and a hash that it doesn't
//! have, and goes by DESIGN.md §4 rule 10.

use super::Change;
use super::kept::PastStep;
use super::refusal::{Refusal, no};
use super::room::{Room, Turn};
use crate::core::consent::meeting::hosts_over;
use crate::core::consent::roster::{is_member, signers, verify_step, yes};
use crate::identity::{PeerId, Signed};
use crate::limits::{PARTINGS_KEPT_MAX, STEPS_TOLD_APART_BYTES_MAX, STEPS_TOLD_APART_MAX};
use crate::wire::{Admission, Drop, Few, FromServer, Proposal, ProposalHash, RefusalCode, Roster, Step, encoded_len};

/// How the members came to know of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Every answer was passed on to those who are attached.
    ByAnswers,
    /// This one brought it as a whole.
    AsStep(PeerId),
}

/// What a complete drop means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Its signers left.
    Leaving,
    /// The room goes on without those it names.
    WayOn,
    /// Either: both sides are here.
    Open,
}

impl Room {
    /// Moves on if a proposal has all its signatures; whether it had.
    pub(super) fn complete(&mut self, turn: &mut Turn<'_>, hash: ProposalHash) -> bool {
        let Some((proposal, signatures)) = self.ballots.complete(&hash, &self.roster) else { return false };
        let Ok(signatures) = Few::try_from(signatures) else { return false };
        let step = Step { proposal, signatures };
        // Every part was verified when it came; this is the members' own check, so that the server follows what they do.
        let Ok(next) = verify_step(&self.roster, &step, self.genesis().size, turn.scheme) else { return false };
        self.follow(turn, step, next, Known::ByAnswers);
        true
    }

    /// A member, or somebody who was admitted meanwhile, brings a step that this server didn't see.
    pub(super) fn step(&mut self, turn: &mut Turn<'_>, from: PeerId, step: Step) -> Result<(), Refusal> {
        let id = self.id();
        if step.proposal.roster() != self.hash() {
            // Steps that were taken already come again whenever a member brings many: only one from elsewhere is news.
            self.recall_way(&step.proposal.roster());
            if !self.history.has_taken(&step.proposal) && !self.other_half(turn, from, &step) {
                self.show_other_way(turn, from, &step);
                self.step_elsewhere(turn, from, &step);
                // Whoever is with us tells how the room came here, and knows where it is.
                if !self.is_with_us(&from) {
                    turn.send(&from, FromServer::RosterIs((id, self.hash())));
                }
            }
            return Ok(());
        }
        if self.ballots.is_evidence(&step.proposal.hash()) {
            // Known already, and there is nothing to answer: whoever brought it would only bring it again.
            return Ok(());
        }
        let next = verify_step(&self.roster, &step, self.genesis().size, turn.scheme)
            .map_err(|_| no(RefusalCode::Invalid, "a consent is missing or wrong in what should move the room on"))?;
        let before = self.hash();
        self.follow(turn, step, next, Known::AsStep(from));
        let at = self.hash();
        if self.is_staying(&from) && !self.attached.contains_key(&from) {
            self.attach(turn, from, at);
        } else if !self.attached.contains_key(&from) || at == before {
            // Whoever is attached and moved the room knows what it brought.
            turn.send(&from, FromServer::RosterIs((id, at)));
        }
        Ok(())
    }

    /// Somebody shows a roster. If the room went on from it by a parting, it is known again after a restart, by its hash, and the
    /// halves can be compared.
    pub(super) fn recall_parting(&mut self, base: &Roster) {
        let at = base.hash();
        let known = self.partings.iter().any(|(parted, _)| parted.hash() == at);
        if let Some(step) = self.history.step_from(&at).filter(|step| step.is_parting() && !known).cloned() {
            self.note_parting(base.clone(), step);
        }
    }

    fn note_parting(&mut self, base: Roster, step: Step) {
        self.partings.push_back((base, step));
        if self.partings.len() > PARTINGS_KEPT_MAX {
            self.partings.pop_front();
        }
    }

    /// Somebody was with us up to a roster that we know, and went another way from there: shows them ours, as far as it goes. It
    /// proves itself, and they can see which half hosts.
    fn show_other_way(&self, turn: &mut Turn<'_>, from: PeerId, theirs: &Step) {
        let mut bytes = 0;
        let fits = |step: &&Step| {
            bytes += encoded_len(*step);
            bytes <= STEPS_TOLD_APART_BYTES_MAX
        };
        let ours = self.history.since(theirs.proposal.roster(), &from, is_member(&self.roster, &from));
        for step in ours.take(STEPS_TOLD_APART_MAX).take_while(fits) {
            turn.send(&from, FromServer::Step((self.id(), step.clone())));
        }
    }

    /// Somebody brings the step by which another half of the room parted from a roster that the room moved on from.
    /// Whichever half hosts by DESIGN.md §4 rule 10 has the room; whoever doesn't is shown the other's step, and can see for
    /// itself. `true` if the room is theirs now.
    fn other_half(&mut self, turn: &mut Turn<'_>, from: PeerId, step: &Step) -> bool {
        let at = step.proposal.roster();
        let parted = self.partings.iter().rev().find(|(base, _)| base.hash() == at).cloned();
        let admitted = || self.admission.as_ref().map(|admission| &admission.roster).filter(|base| base.hash() == at);
        let Some(base) = parted.as_ref().map(|(base, _)| base).or_else(admitted).cloned() else { return false };
        let Ok(next) = verify_step(&base, step, self.genesis().size, turn.scheme) else { return false };
        if !step.is_parting() {
            return false;
        }
        let apart = !next.members.iter().any(|member| is_member(&self.roster, &member.key));
        if apart && !hosts_over(&base, &next, &self.roster, |key| is_member(&base, key)) {
            return false;
        }
        if !apart && !self.was_narrowed(&base, &next) {
            return false;
        }
        self.partings.retain(|(parted, _)| parted.epoch < base.epoch);
        self.history.forget_from(base.epoch);
        self.put_on(base);
        self.advance(turn, step.clone(), next, Known::AsStep(from));
        turn.persist(Change::RoomKept(self.to_kept()));
        let at = self.hash();
        self.attach(turn, from, at);
        true
    }

    /// Whether a parting that keeps some of those on our roster, and nobody else, came after the step by which we got here,
    /// so that they never were on it: whoever signs two things over one roster signs the drop that keeps fewer later
    /// (DESIGN.md §4 rule 4). They have the room if they host over those who may be on ours, or if none of these is.
    fn was_narrowed(&self, base: &Roster, next: &Roster) -> bool {
        let inside = next.members.iter().all(|member| is_member(&self.roster, &member.key));
        if self.roster.previous != base.hash() || !inside || next.members.len() >= self.roster.members.len() {
            return false;
        }
        let mut rest = base.members.to_vec();
        rest.retain(|member| is_member(&self.roster, &member.key) && !is_member(next, &member.key));
        let here = |key: &PeerId| self.attached.get(key).is_some_and(|attachment| !attachment.elsewhere);
        if !rest.iter().any(|member| here(&member.key)) {
            return true;
        }
        let Ok(members) = rest.try_into() else { return false };
        let rest = Roster { members, ..self.roster.clone() };
        hosts_over(base, next, &rest, |key| is_member(base, key))
    }

    fn follow(&mut self, turn: &mut Turn<'_>, step: Step, next: Roster, known: Known) {
        let Proposal::Drop(drop) = &step.proposal else { return self.advance(turn, step, next, known) };
        if self.reading(drop) == Reading::WayOn {
            return self.advance(turn, step, next, known);
        }
        let drop = drop.clone();
        self.pass_evidence(turn, &drop, &step, known);
        self.weigh_departures(turn);
    }

    fn reading(&self, drop: &Drop) -> Reading {
        let staying = || self.roster.members.iter().map(|member| member.key).filter(|key| !self.gone.contains(key));
        let (lost, signed): (Vec<_>, Vec<_>) = staying().partition(|key| drop.dropped.contains(key));
        if signed.iter().all(|key| self.leaving.contains(key)) && (signed.is_empty() || !lost.is_empty()) {
            return Reading::Leaving;
        }
        let is_here = |key: &PeerId| {
            let here = self.attached.get(key).is_some_and(|attachment| !attachment.astray);
            here && !self.leaving.contains(key) && !self.ballots.has_dropped(key, &signed)
        };
        if signed.len() > lost.len() || !lost.iter().any(is_here) { Reading::WayOn } else { Reading::Open }
    }

    /// Reads the complete drops again that could not be told from leaving, now that more is known.
    pub(super) fn weigh_departures(&mut self, turn: &mut Turn<'_>) {
        for (proposal, signatures) in self.ballots.evidence(&self.roster) {
            let Proposal::Drop(drop) = &proposal else { continue };
            match self.reading(drop) {
                Reading::Open => {}
                Reading::Leaving => {
                    let signers = signers(&self.roster, &proposal);
                    self.gone.extend(&signers);
                    signers.iter().for_each(|by| self.detach(turn, by));
                }
                Reading::WayOn => {
                    let Ok(signatures) = Few::try_from(signatures) else { continue };
                    let step = Step { proposal, signatures };
                    let Ok(next) = verify_step(&self.roster, &step, self.genesis().size, turn.scheme) else { continue };
                    // Its parts were passed on when it was not clear what they meant.
                    return self.advance(turn, step, next, Known::ByAnswers);
                }
            }
        }
    }

    /// Keeps a complete drop that doesn't move the room, or not yet, and shows it to those whom it names.
    fn pass_evidence(&mut self, turn: &mut Turn<'_>, drop: &Drop, step: &Step, known: Known) {
        let signers = signers(&self.roster, &step.proposal);
        let hash = drop.hash();
        self.ballots.open(hash, step.proposal.clone(), signers[0], self.line.asked()).evidence = true;
        let new_to_others = known != Known::ByAnswers;
        let others: Vec<_> = self.attached.keys().filter(|key| !signers.contains(key)).copied().collect();
        if new_to_others {
            others.iter().for_each(|other| turn.send(other, FromServer::Drop(drop.clone())));
        }
        for (by, signature) in signers.iter().zip(&step.signatures) {
            let consent = Signed::from_parts(yes(&step.proposal, *by), *signature);
            self.ballots.note(&consent);
            if new_to_others {
                others.iter().for_each(|other| turn.send(other, FromServer::Consent(consent.clone())));
            }
        }
    }

    /// The room is on another roster.
    fn advance(&mut self, turn: &mut Turn<'_>, step: Step, next: Roster, known: Known) {
        let (id, from) = (self.id(), self.hash());
        let newcomer = match &step.proposal {
            Proposal::Admit(knock) => Some(knock.unverified().key),
            Proposal::Drop(_) => None,
        };
        let base = self.put_on(next);
        if step.is_parting() {
            self.note_parting(base.clone(), step.clone());
        }
        let past = PastStep { from, epoch: base.epoch, step: step.clone() };
        self.history.push(past.clone());
        let oldest = self.history.oldest();
        turn.persist(Change::RoomMoved { room: id, step: past, roster: self.roster.clone(), oldest });

        let admitted = self.admit(turn, &step, base);
        let dropped: Vec<_> = self.attached.keys().filter(|key| !is_member(&self.roster, key)).copied().collect();
        let roster_is = FromServer::RosterIs((id, self.hash()));
        for key in &dropped {
            turn.send(key, FromServer::Step((id, step.clone())));
            // One that had dropped the others as well learns nothing from the step, but that the room is theirs.
            turn.send(key, roster_is.clone());
            self.attached.remove(key);
        }
        match known {
            Known::ByAnswers => self.tell_all(turn, &roster_is),
            Known::AsStep(by) => {
                self.tell_others(turn, &by, &FromServer::Step((id, step)));
                self.tell_others(turn, &by, &roster_is);
            }
        }
        self.clear_line(turn, admitted);
        self.ballots = Default::default();
        self.attached.values_mut().for_each(|one| (one.elsewhere, one.astray) = (false, false));
        self.gone.clear();
        // Who said that they leave, and signed it over a roster that the room has left behind by now, still leaves.
        let staying = |key: &PeerId| is_member(&self.roster, key) && newcomer.is_none_or(|newcomer| newcomer != *key);
        self.leaving.retain(staying);
        self.note_if_empty(turn);
    }

    /// Hands the newcomer of a step its admission. Addresses that were given before it came are not for it.
    fn admit(&mut self, turn: &mut Turn<'_>, step: &Step, roster: Roster) -> Option<ProposalHash> {
        self.admission = None;
        self.expected = None;
        let Proposal::Admit(knock) = &step.proposal else { return None };
        let admission = Admission {
            genesis: self.signed_genesis().clone(),
            roster,
            knock: knock.clone(),
            signatures: step.signatures.clone(),
        };
        turn.send(&knock.unverified().key, FromServer::Admitted(admission.clone()));
        self.admission = Some(admission);
        self.expected = Some(knock.unverified().key);
        self.attached.values_mut().for_each(|attachment| attachment.addresses = None);
        Some(step.proposal.hash())
    }
}
