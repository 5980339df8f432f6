//! Members who say yes to some and no to others, and what a step that they signed no longer says of those who signed it beside them.
//!
//! A liar's yes may complete a step for some of us, and never come to an honest member who signed it too and was told a no. For
//! those who have the yes that member has gone on, and for itself it is here; the two would never agree on anything again.

use std::collections::BTreeSet;

use super::ballots::Noted;
use super::departures::Departed;
use super::roster::{is_member, signers, successor, yes};
use super::seat::Seat;
use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme, Signed, Verified};
use crate::wire::{Consent, Roster, RosterHash, Step};

impl Seat {
    /// Takes note of an answer, our own included.
    ///
    /// # Errors
    /// [`Misdeed::WrongRoster`] when it is for no proposal known here, or by somebody without a say in it.
    pub fn note(&mut self, consent: Verified<Consent>) -> Result<Noted, Misdeed> {
        let by = consent.by;
        let noted = self.ballots_mut().note(consent)?;
        self.hear_signature(&by);
        if noted == Noted::Contradicts {
            self.note_liar(by);
        }
        Ok(noted)
    }

    /// Somebody said yes and no to one proposal, as both their signatures prove.
    pub fn note_liar(&mut self, by: PeerId) {
        if self.liars.insert(by) {
            let still_here = self.doubtfully_gone();
            self.left.retain(|key, _| !still_here.contains(key));
        }
    }

    /// Takes note of the answers of which a step without us over our roster consists: one of those who gave them may have told us another.
    pub(super) fn note_answers_of(&mut self, step: &Step, scheme: &dyn Scheme) {
        let hash = step.proposal.hash();
        if self.ballots().has_completed(&hash) || self.open(step.proposal.clone(), None, scheme).is_err() {
            return;
        }
        let signers = signers(self.chain().current(), &step.proposal);
        for (by, signature) in signers.into_iter().zip(&step.signatures) {
            if let Ok(consent) = Signed::from_parts(yes(&step.proposal, by), *signature).verify(scheme) {
                _ = self.note(consent);
            }
        }
    }

    /// Whether somebody may not have taken a step over `base` that they signed and that is complete for us: another of its signers has
    /// told some of us yes and others no before, and it may be these who have a no. For whoever lies, their own yes stands.
    pub(super) fn is_doubtful(&self, base: &Roster, step: &Step, key: &PeerId) -> bool {
        let lies = |by: &PeerId| by != key && self.liars.contains(by);
        // Complete, and yet refused before it made room for others: somebody lied of whom it is not known any more.
        let was_refused = || self.ballots().is_past(&step.proposal.hash());
        !self.liars.contains(key) && (signers(base, &step.proposal).iter().any(lies) || was_refused())
    }

    /// Those whom only such steps say to have gone on without us. If they have, they will say so, or be out of reach.
    fn doubtfully_gone(&self) -> BTreeSet<PeerId> {
        let current = self.chain().current();
        let steps = self.completed_without();
        let signed =
            steps.iter().flat_map(|step| signers(current, &step.proposal).into_iter().map(move |key| (step, key)));
        let (doubtful, sure): (Vec<_>, Vec<_>) = signed.partition(|(step, key)| self.is_doubtful(current, step, key));
        let sure: BTreeSet<PeerId> = sure.into_iter().map(|(_, key)| key).collect();
        let by_step = |key: &PeerId| matches!(self.left().get(key), Some(Departed::WentOn | Departed::RemovedUs));
        doubtful.into_iter().map(|(_, key)| key).filter(|key| by_step(key) && !sure.contains(key)).collect()
    }

    /// A member tells over their own link a step, found valid by [`Seat::hear_step`], that keeps them and not us: they tell only of those
    /// that they have taken, or that leave them out too. On which roster they are by it, or have been.
    pub fn hear_own_step(&mut self, by: &PeerId, step: &Step, scheme: &dyn Scheme) -> Option<RosterHash> {
        let base =
            self.chain().roster(&step.proposal.roster()).filter(|_| !self.chain().took(&step.proposal.hash()))?;
        let next = successor(base, &step.proposal, self.chain().genesis().size, scheme).ok()?;
        let seated = self.chain().seated_since(by).is_some_and(|epoch| epoch <= base.epoch);
        if !seated || !is_member(&next, by) || is_member(&next, &self.me()) {
            return None;
        }
        self.note_word(*by, if step.is_removal() { Departed::SaidRemoved } else { Departed::SaidSo });
        Some(next.hash())
    }
}
