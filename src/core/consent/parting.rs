//! Going on without those who can't be reached, or who left: which drop is due, and the last resort when one's own
//! signature stands in its way (DESIGN.md §4 rules 6 and 8).

use std::collections::BTreeSet;

use super::ballots::Blocked;
use super::seat::{Due, Seat};
use crate::identity::{PeerId, Scheme};
use crate::planted::{self, Bug};
use crate::wire::{Decision, Drop, DropReason, Proposal, ProposalHash};

impl Seat {
    /// The drops that wait for our no, because we reach somebody they name. A removal is its users' to answer. One that nobody
    /// has signed waits for nobody: anybody can make up as many as they like.
    pub fn drops_to_refuse(&self, me: &PeerId, reachable: &BTreeSet<PeerId>) -> Vec<Due> {
        let wrong = |drop: &Drop| {
            let there = |key: &PeerId| reachable.contains(key) && !self.left().contains_key(key);
            drop.why == DropReason::Gone && drop.dropped.iter().any(there)
        };
        let open = self.ballots().iter().filter(|(_, ballot)| ballot.waits_for(me) && ballot.is_stood_for());
        open.filter(|(_, ballot)| ballot.drop().is_some_and(wrong)).map(|(hash, _)| Due::Refuse(*hash)).collect()
    }

    /// The drop to sign now, given who was out of reach for the whole grace: of exactly those and of whoever left. When our
    /// own living signature forbids it, and everybody that it waits for and that could be reached has signed it, we are all in
    /// the same place: those go on together without everybody else. Where even that can't be had, the last resort is to go on
    /// alone.
    pub fn drop_due(&mut self, lapsed: &BTreeSet<PeerId>, scheme: &dyn Scheme) -> Option<Due> {
        let members = &self.chain().current().members;
        let is_gone = |key: &PeerId| lapsed.contains(key) || self.left().contains_key(key);
        let gone: BTreeSet<PeerId> = members.iter().map(|member| member.key).filter(is_gone).collect();
        if gone.is_empty() || self.adoptable().is_some() {
            return None;
        }
        let drop = self.drop_of(gone.iter().copied().collect(), DropReason::Gone)?;
        match self.may_sign(&drop, scheme) {
            Ok(()) => Some(Due::Sign(drop)),
            Err(Blocked::Live(live)) if self.is_locked(&live, &gone) && !planted::is(Bug::NoDeparting) => {
                let locked: BTreeSet<PeerId> = self.ballots().get(&live)?.signers.iter().copied().collect();
                let others = self.others();
                let rest = others.iter().copied().filter(|key| gone.contains(key) || !locked.contains(key)).collect();
                for dropped in [rest, others] {
                    let drop = self.drop_of(dropped, DropReason::Gone)?;
                    if self.may_sign(&drop, scheme).is_ok() {
                        return Some(Due::Sign(drop));
                    }
                }
                None
            }
            Err(_) => None,
        }
    }

    /// Everybody but ourselves, in ascending order of key.
    pub fn others(&self) -> Vec<PeerId> {
        let keys = self.chain().current().members.iter().map(|member| member.key);
        let others: BTreeSet<PeerId> = keys.filter(|key| *key != self.me()).collect();
        others.into_iter().collect()
    }

    /// The drop of exactly these, in ascending order of key, to sign next.
    pub fn drop_of(&self, dropped: Vec<PeerId>, why: DropReason) -> Option<Drop> {
        Some(self.ballots().drop_of(self.chain().current(), dropped.try_into().ok()?, why))
    }

    fn may_sign(&mut self, drop: &Drop, scheme: &dyn Scheme) -> Result<(), Blocked> {
        let proposal = Proposal::Drop(drop.clone());
        let hash = proposal.hash();
        self.open(proposal, None, scheme).map_err(|_| Blocked::Unknown)?;
        self.ballots().may_say_yes(&hash)
    }

    /// Whether our living signature can only wait for those who are gone.
    fn is_locked(&self, live: &ProposalHash, gone: &BTreeSet<PeerId>) -> bool {
        let Some(ballot) = self.ballots().get(live) else { return false };
        ballot.signers.iter().all(|by| gone.contains(by) || ballot.answer(by) == Some(Decision::Yes))
    }
}
