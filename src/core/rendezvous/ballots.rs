//! Proposals over a room's roster, with the answers seen so far.
//!
//! An answer is never taken back here: whoever said yes and then anything else blocks the proposal like a no, and both
//! answers are passed on, so that members see it. Proposals of newcomers and members share one bound; whoever has the most
//! of them loses the oldest first, so that nobody crowds out the others.

use std::collections::BTreeMap;

use super::refusal::{Refusal, bad_signature, no, not_member};
use super::room::{Room, Turn};
use crate::core::consent::roster::{is_member, signers, successor};
use crate::identity::{PeerId, Signature, Signed};
use crate::limits::{ANSWERS_KEPT_MAX, PROPOSALS_OPEN_MAX};
use crate::wire::{Consent, Decision, Drop, FromServer, KnockEnd, Proposal, ProposalHash, RefusalCode, Roster};

/// One proposal.
#[derive(Debug)]
pub(super) struct Ballot {
    /// What is proposed.
    pub(super) proposal: Proposal,
    /// Who proposed it: the newcomer, or a member.
    by: PeerId,
    /// Grows with each proposal.
    number: u64,
    /// Each member's different answers, in the order they came.
    answers: BTreeMap<PeerId, Vec<Signed<Consent>>>,
    /// Whether it is a complete drop that didn't move the room: the evidence, perhaps, that its signers left. It is kept
    /// as long as the roster, and what one of them said otherwise after it changes nothing any more.
    pub(super) evidence: bool,
}

impl Ballot {
    /// A member's yes, if it stands: nothing else was said, or members have taken the step by it.
    fn yes_of(&self, by: &PeerId) -> Option<&Signed<Consent>> {
        let is_yes = |one: &&Signed<Consent>| one.unverified().decision == Decision::Yes;
        let all = self.answers.get(by)?;
        all.iter().find(is_yes).filter(|_| self.evidence || all.iter().all(|one| is_yes(&one)))
    }

    /// The signatures of all who must sign, in their order; `None` while one is missing.
    fn signatures(&self, base: &Roster) -> Option<Vec<Signature>> {
        signers(base, &self.proposal).iter().map(|by| self.yes_of(by).map(Signed::signature)).collect()
    }

    /// How it ended, if somebody who must sign it did otherwise.
    fn end(&self, base: &Roster) -> Option<KnockEnd> {
        let needed = signers(base, &self.proposal);
        let decisions = self.answers.iter().filter(|(by, _)| needed.contains(by)).flat_map(|(_, all)| all);
        let worst = decisions.map(|one| one.unverified().decision).filter(|one| *one != Decision::Yes).min()?;
        Some(if worst == Decision::No { KnockEnd::Denied } else { KnockEnd::Expired })
    }
}

/// All proposals over one roster.
#[derive(Debug, Default)]
pub(super) struct Ballots {
    /// By hash.
    ballots: BTreeMap<ProposalHash, Ballot>,
    /// How many there ever were.
    count: u64,
}

impl Ballots {
    /// Whether a proposal is known.
    pub(super) fn knows(&self, hash: &ProposalHash) -> bool {
        self.ballots.contains_key(hash)
    }

    /// Takes a proposal in; one that is known already keeps its answers. The knock in `asked`, which the members are being
    /// asked about, never makes space for it.
    pub(super) fn open(
        &mut self,
        hash: ProposalHash,
        proposal: Proposal,
        by: PeerId,
        asked: Option<ProposalHash>,
    ) -> &mut Ballot {
        if !self.knows(&hash) {
            self.make_space(asked);
        }
        self.count += 1;
        let number = self.count;
        let fresh = || Ballot { proposal, by, number, answers: BTreeMap::new(), evidence: false };
        self.ballots.entry(hash).or_insert_with(fresh)
    }

    fn make_space(&mut self, asked: Option<ProposalHash>) {
        let live = || self.ballots.iter().filter(|(_, ballot)| !ballot.evidence);
        if live().count() < PROPOSALS_OPEN_MAX {
            return;
        }
        let mut per_proposer = BTreeMap::<PeerId, usize>::new();
        live().for_each(|(_, ballot)| *per_proposer.entry(ballot.by).or_default() += 1);
        let victim = live()
            .filter(|(hash, _)| Some(**hash) != asked)
            .max_by_key(|(_, ballot)| (per_proposer[&ballot.by], std::cmp::Reverse(ballot.number)));
        if let Some(hash) = victim.map(|(hash, _)| *hash) {
            self.ballots.remove(&hash);
        }
    }

    /// How a proposal ended, if it did.
    pub(super) fn end(&self, hash: &ProposalHash, base: &Roster) -> Option<KnockEnd> {
        self.ballots.get(hash)?.end(base)
    }

    /// How many members said yes to a proposal.
    pub(super) fn yes(&self, hash: &ProposalHash) -> usize {
        self.ballots
            .get(hash)
            .map_or(0, |ballot| ballot.answers.keys().filter(|by| ballot.yes_of(by).is_some()).count())
    }

    /// A proposal with all its signatures, if it has them.
    pub(super) fn complete(&self, hash: &ProposalHash, base: &Roster) -> Option<(Proposal, Vec<Signature>)> {
        let ballot = self.ballots.get(hash).filter(|ballot| !ballot.evidence && ballot.end(base).is_none())?;
        Some((ballot.proposal.clone(), ballot.signatures(base)?))
    }

    /// Whether a proposal is a complete drop that didn't move the room.
    pub(super) fn is_evidence(&self, hash: &ProposalHash) -> bool {
        self.ballots.get(hash).is_some_and(|ballot| ballot.evidence)
    }

    /// The complete drops that didn't move the room, with their signatures.
    pub(super) fn evidence(&self, base: &Roster) -> Vec<(Proposal, Vec<Signature>)> {
        let evidence = self.ballots.values().filter(|ballot| ballot.evidence);
        evidence.filter_map(|ballot| Some((ballot.proposal.clone(), ballot.signatures(base)?))).collect()
    }

    /// Whether `key` has signed a complete drop of any of `others`.
    pub(super) fn has_dropped(&self, key: &PeerId, others: &[PeerId]) -> bool {
        self.ballots.values().filter(|ballot| ballot.evidence && ballot.yes_of(key).is_some()).any(|ballot| {
            matches!(&ballot.proposal, Proposal::Drop(drop) if others.iter().any(|other| drop.dropped.contains(other)))
        })
    }

    /// Notes an answer to a known proposal; whether it says something new.
    pub(super) fn note(&mut self, consent: &Signed<Consent>) -> Option<bool> {
        let said = consent.unverified();
        let answers = self.ballots.get_mut(&said.proposal)?.answers.entry(said.by).or_default();
        let known = answers.iter().any(|one| one.unverified().decision == said.decision);
        // A step that members have taken may need it.
        let yes = said.decision == Decision::Yes;
        let new = !known && (yes || answers.len() < ANSWERS_KEPT_MAX);
        if new {
            answers.push(consent.clone());
        }
        Some(new)
    }

    /// All drops, and all answers, as a member that comes is told them. Knocks are told by the line: one that is over needs
    /// no attention, though a no to it sets free whoever had signed it.
    pub(super) fn replay(&self) -> Vec<FromServer> {
        let drops = self.ballots.values().filter_map(|ballot| match &ballot.proposal {
            Proposal::Drop(drop) => Some(FromServer::Drop(drop.clone())),
            Proposal::Admit(_) => None,
        });
        let answers = self.ballots.values().flat_map(|ballot| ballot.answers.values().flatten());
        drops.chain(answers.map(|consent| FromServer::Consent(consent.clone()))).collect()
    }
}

impl Room {
    /// A member proposes a drop.
    pub(super) fn propose_drop(&mut self, turn: &mut Turn<'_>, by: PeerId, drop: Drop) -> Result<(), Refusal> {
        let hash = drop.hash();
        if drop.roster != self.hash() || self.ballots.knows(&hash) {
            // The room moved on meanwhile, or somebody else proposed the same: nothing to do.
            return Ok(());
        }
        if !self.is_staying(&by) {
            return Err(not_member());
        }
        let proposal = Proposal::Drop(drop.clone());
        successor(&self.roster, &proposal, self.genesis().size, turn.scheme).map_err(|_| {
            no(RefusalCode::Invalid, "this drop names others than members, or everybody; propose another")
        })?;
        self.ballots.open(hash, proposal, by, self.line.asked());
        self.tell_others(turn, &by, &FromServer::Drop(drop));
        Ok(())
    }

    /// A member answers a proposal. Answers for another roster than the room's have no effect and are passed over; answers
    /// to a proposal that isn't known here, of which the members may know, are passed on.
    pub(super) fn consent(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        consent: Signed<Consent>,
    ) -> Result<(), Refusal> {
        let said = consent.unverified();
        if said.roster != self.hash() {
            return Ok(());
        }
        if !is_member(&self.roster, &from) {
            return Err(not_member());
        }
        if said.by != from {
            return Err(no(RefusalCode::Invalid, "an answer is sent by the member that signed it"));
        }
        let consent = consent.verify(turn.scheme).map_err(|_| bad_signature())?;
        let hash = consent.proposal;
        let consent = consent.into_signed();
        if self.ballots.note(&consent) == Some(false) {
            return Ok(());
        }
        self.tell_others(turn, &from, &FromServer::Consent(consent));
        if !self.complete(turn, hash) {
            self.knock_answered(turn, hash);
        }
        Ok(())
    }
}
