//! How a room moves from one roster to the next, and when a complete drop means that its signers left.
//!
//! A drop binds only its signers (DESIGN.md §4 rule 6): the same signatures read "we go on without them" on one side and
//! "they left" on the other. The server keeps one roster per room and follows those that are more: a drop that fewer sign
//! than it names is taken as its signers' leaving. The room then stays on its roster until the others have signed the drop
//! of those who left, and the signed leaving is passed on to them as evidence.
//!
//! When both sides are equally many, a named member that is connected here is evidently not lost, so the signers left;
//! if none of the named is connected, the signers are those who are here, and the room moves. Of two halves of a room the
//! first complete drop to arrive is thus read as a leaving, or as the room's way on, once; the other half is told the steps
//! and a hash that it doesn't have, and goes by DESIGN.md §4 rule 10.

use super::Change;
use super::kept::PastStep;
use super::refusal::{Refusal, no};
use super::room::{Room, Turn};
use crate::core::consent::roster::{is_member, signers, verify_step, yes};
use crate::identity::{PeerId, Signed};
use crate::wire::{Admission, Drop, Few, FromServer, Proposal, ProposalHash, RefusalCode, Roster, Step};

/// How the members came to know of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Every answer was passed on to those who are attached.
    ByAnswers,
    /// This one brought it as a whole.
    AsStep(PeerId),
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
            turn.send(&from, FromServer::RosterIs((id, self.hash())));
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
            // Those attached were told with the others.
            turn.send(&from, FromServer::RosterIs((id, at)));
        }
        Ok(())
    }

    fn follow(&mut self, turn: &mut Turn<'_>, step: Step, next: Roster, known: Known) {
        match &step.proposal {
            Proposal::Drop(drop) if self.is_leaving(drop) => {
                let drop = drop.clone();
                self.take_leave(turn, &drop, &step, known);
            }
            _ => self.advance(turn, step, next, known),
        }
    }

    /// Whether a complete drop is to be read as the leaving of those who signed it.
    fn is_leaving(&self, drop: &Drop) -> bool {
        let staying = || self.roster.members.iter().map(|member| member.key).filter(|key| !self.gone.contains(key));
        let (lost, signed): (Vec<_>, Vec<_>) = staying().partition(|key| drop.dropped.contains(key));
        match signed.len().cmp(&lost.len()) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => lost.is_empty() || lost.iter().any(|key| self.attached.contains_key(key)),
            std::cmp::Ordering::Greater => false,
        }
    }

    /// The signers left: the others get the evidence, the room stays where it is.
    fn take_leave(&mut self, turn: &mut Turn<'_>, drop: &Drop, step: &Step, known: Known) {
        let signers = signers(&self.roster, &step.proposal);
        let hash = drop.hash();
        self.ballots.open(hash, step.proposal.clone(), signers[0], self.line.asked()).evidence = true;
        self.gone.extend(&signers);
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
        signers.iter().for_each(|by| self.detach(turn, by));
    }

    /// The room is on another roster.
    fn advance(&mut self, turn: &mut Turn<'_>, step: Step, next: Roster, known: Known) {
        let (id, from) = (self.id(), self.hash());
        let base = self.put_on(next);
        let past = PastStep { from, epoch: base.epoch, step: step.clone() };
        self.history.push(past.clone());
        let oldest = self.history.oldest();
        turn.persist(Change::RoomMoved { room: id, step: past, roster: self.roster.clone(), oldest });

        let admitted = self.admit(turn, &step, base);
        let dropped: Vec<_> = self.attached.keys().filter(|key| !is_member(&self.roster, key)).copied().collect();
        for key in &dropped {
            turn.send(key, FromServer::Step((id, step.clone())));
            self.attached.remove(key);
        }
        if let Known::AsStep(by) = known {
            self.tell_others(turn, &by, &FromServer::Step((id, step)));
        }
        self.tell_all(turn, &FromServer::RosterIs((id, self.hash())));
        self.clear_line(turn, admitted);
        self.ballots = Default::default();
        self.gone.clear();
        self.note_if_empty(turn);
    }

    /// Hands the newcomer of a step its admission. Addresses that were given before it came are not for it.
    fn admit(&mut self, turn: &mut Turn<'_>, step: &Step, roster: Roster) -> Option<PeerId> {
        self.admission = None;
        let Proposal::Admit(knock) = &step.proposal else { return None };
        let admission = Admission {
            genesis: self.signed_genesis().clone(),
            roster,
            knock: knock.clone(),
            signatures: step.signatures.clone(),
        };
        let newcomer = knock.unverified().key;
        turn.send(&newcomer, FromServer::Admitted(admission.clone()));
        self.admission = Some(admission);
        self.attached.values_mut().for_each(|attachment| attachment.addresses = None);
        Some(newcomer)
    }
}
