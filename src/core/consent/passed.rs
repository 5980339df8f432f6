//! Rosters that we have moved on from: what we had answered over each, and the no that frees whoever still waits for us there (DESIGN.md §4
//! rule 5), also after a restart.

use std::collections::BTreeMap;

use super::roster::{signers, successor};
use super::seat::Seat;
use crate::identity::{Scheme, Signed, Signer, Verified};
use crate::limits::PASSED_ROSTERS_MAX;
use crate::planted::{self, Bug};
use crate::wire::{Consent, Decision, Proposal, ProposalHash, RosterHash};

impl Seat {
    /// Puts back what this client had signed, and what freed it, over the current roster and those it passed lately, oldest
    /// first: it must never sign against itself. What is known of a passed roster is known whole, or not at all.
    pub fn recall(&mut self, consents: Vec<(Proposal, Signed<Consent>)>, scheme: &dyn Scheme) {
        if planted::is(Bug::Forgetful) {
            return;
        }
        for (proposal, consent) in consents {
            let Ok(consent) = consent.verify(scheme) else { continue };
            if consent.roster != self.chain.head() {
                self.recall_passed(&consent);
            } else if self.open(proposal, None, scheme).is_ok() {
                let _ = self.note(consent);
            }
        }
    }

    /// Whoever waits for us on a roster that we have passed is told so after a restart too: only that needs no reminder
    /// that we answered.
    fn recall_passed(&mut self, consent: &Consent) {
        if consent.by != self.me || self.chain.roster(&consent.roster).is_none() {
            return;
        }
        match self.passed.iter_mut().find(|(passed, _)| *passed == consent.roster) {
            Some((_, answered)) => drop(answered.entry(consent.proposal).or_insert(consent.decision)),
            None => self.pass(consent.roster, BTreeMap::from([(consent.proposal, consent.decision)])),
        }
    }

    /// We move on from a roster over which we had answered these.
    pub(super) fn pass(&mut self, roster: RosterHash, answered: BTreeMap<ProposalHash, Decision>) {
        self.passed.push_back((roster, answered));
        if self.passed.len() > PASSED_ROSTERS_MAX {
            self.passed.pop_front();
        }
    }

    /// The no that somebody gets who still waits for our answer to this over a roster that we have moved on from: the one that
    /// they may not have heard, or that the room has moved on. None when we may have said yes.
    pub fn passed_no(&self, proposal: &Proposal, scheme: &dyn Scheme) -> Option<Decision> {
        let (hash, roster) = (proposal.hash(), proposal.roster());
        // Only over the rosters passed last: of earlier ones we can't tell any more what we have signed.
        let (_, answered) = self.passed.iter().find(|(passed, _)| *passed == roster)?;
        if let Some(answer) = answered.get(&hash) {
            return Some(*answer).filter(|answer| *answer != Decision::Yes);
        }
        let base = self.chain.roster(&roster)?;
        let sound = || successor(base, proposal, self.chain.genesis().size, scheme).is_ok();
        (signers(base, proposal).contains(&self.me) && sound()).then_some(Decision::Late)
    }

    /// A no because the room has moved on.
    pub fn sign_late(&self, roster: RosterHash, hash: ProposalHash, signer: &dyn Signer) -> Signed<Consent> {
        self.sign_no(roster, hash, Decision::Late, signer)
    }

    /// A no to something over a roster that we have moved on from, as [`Seat::passed_no`] has it.
    pub fn sign_no(
        &self,
        roster: RosterHash,
        proposal: ProposalHash,
        decision: Decision,
        signer: &dyn Signer,
    ) -> Signed<Consent> {
        let (room, by) = (self.chain.room(), self.me);
        Verified::sign(Consent { room, roster, proposal, by, decision }, signer).into_signed()
    }
}
