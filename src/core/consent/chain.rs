//! The rosters a member has been on, each made from the one before by a step it has verified.
//!
//! The only ways in are [`Chain::found`], [`Chain::enter`] and [`Chain::adopt`]; each checks every signature, so that
//! whatever asks a chain who is a member needs no further proof. A chain only grows.

use std::collections::BTreeMap;

use super::roster::{first_roster, is_member, room_id, settings_are_sound, verify_step};
use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme, Verified};
use crate::planted::{self, Bug};
use crate::wire::{Admission, Genesis, ProposalHash, RoomId, Roster, RosterHash, Step};

/// The verified history of one room, as far as this member was in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chain {
    /// What the room is.
    genesis: Verified<Genesis>,
    /// Every roster so far, oldest first; never empty. The first is the room's first, or the one knocked at.
    rosters: Vec<(RosterHash, Roster)>,
    /// The step that made `rosters[i + 1]` from `rosters[i]`.
    steps: Vec<Step>,
    /// Where each roster stands.
    index: BTreeMap<RosterHash, usize>,
}

impl Chain {
    /// The chain of a room just founded.
    pub fn found(genesis: Verified<Genesis>) -> Self {
        let first = first_roster(&genesis);
        Self::start(genesis, first)
    }

    /// The chain of a newcomer let in, who trusts nothing but the signatures: the genesis is that of the room, the roster
    /// is the one the newcomer knocked at, and all its members have signed a yes to exactly this knock.
    ///
    /// # Errors
    /// [`Misdeed`] names what does not hold.
    pub fn enter(
        admission: &Admission,
        knocked_at: (RoomId, RosterHash),
        scheme: &dyn Scheme,
    ) -> Result<Self, Misdeed> {
        let genesis = admission.genesis.clone().verify(scheme).map_err(|_| Misdeed::BadSignature)?;
        let base = admission.roster.clone();
        if !settings_are_sound(genesis.size, &genesis.settings) {
            return Err(Misdeed::Malformed);
        }
        let elsewhere = base.hash() != knocked_at.1 && !planted::is(Bug::UnboundKnock);
        if room_id(&genesis) != knocked_at.0 || base.room != knocked_at.0 || elsewhere {
            return Err(Misdeed::WrongRoster);
        }
        let mut chain = Self::start(genesis, base);
        chain.adopt(&admission.step(), scheme)?;
        Ok(chain)
    }

    /// The chain as this client kept it itself: checked anew step by step, since a disk is outside too.
    ///
    /// # Errors
    /// [`Misdeed`] names what does not hold.
    pub fn reopen(
        genesis: Verified<Genesis>,
        base: Roster,
        steps: impl IntoIterator<Item = Step>,
        scheme: &dyn Scheme,
    ) -> Result<Self, Misdeed> {
        if base.room != room_id(&genesis) {
            return Err(Misdeed::WrongRoster);
        }
        let mut chain = Self::start(genesis, base);
        for step in steps {
            chain.adopt(&step, scheme)?;
        }
        Ok(chain)
    }

    pub(super) fn start(genesis: Verified<Genesis>, base: Roster) -> Self {
        let hash = base.hash();
        Chain { genesis, rosters: vec![(hash, base)], steps: Vec::new(), index: BTreeMap::from([(hash, 0)]) }
    }

    /// Moves on by a step from the current roster.
    ///
    /// # Errors
    /// [`Misdeed`] when a signature is missing or the step starts from another roster; the chain stays as it was.
    pub fn adopt(&mut self, step: &Step, scheme: &dyn Scheme) -> Result<&Roster, Misdeed> {
        let next = verify_step(self.current(), step, self.genesis.size, scheme)?;
        let hash = next.hash();
        self.index.insert(hash, self.rosters.len());
        self.rosters.push((hash, next));
        self.steps.push(step.clone());
        Ok(self.current())
    }

    /// What the room is.
    pub fn genesis(&self) -> &Verified<Genesis> {
        &self.genesis
    }

    /// Which room this is.
    pub fn room(&self) -> RoomId {
        room_id(&self.genesis)
    }

    /// Who is in, now.
    pub fn current(&self) -> &Roster {
        &self.rosters[self.rosters.len() - 1].1
    }

    /// The hash of the current roster.
    pub fn head(&self) -> RosterHash {
        self.rosters[self.rosters.len() - 1].0
    }

    /// The first roster this client knows, as [`Chain::reopen`] wants it.
    pub fn base(&self) -> &Roster {
        &self.rosters[0].1
    }

    /// A roster of the chain.
    pub fn roster(&self, hash: &RosterHash) -> Option<&Roster> {
        self.index.get(hash).map(|&at| &self.rosters[at].1)
    }

    /// Every roster, oldest first.
    pub fn rosters(&self) -> impl DoubleEndedIterator<Item = &Roster> {
        self.rosters.iter().map(|(_, roster)| roster)
    }

    /// How the chain went on from `hash`, oldest first; `None` for a roster that isn't in it.
    pub fn steps_after(&self, hash: &RosterHash) -> Option<&[Step]> {
        self.index.get(hash).map(|&at| &self.steps[at..])
    }

    /// The roster that this chain went on to from `hash`, and by which step.
    fn after(&self, hash: &RosterHash) -> Option<(&Roster, &Step)> {
        let at = *self.index.get(hash)?;
        Some((&self.rosters.get(at + 1)?.1, self.steps.get(at)?))
    }

    /// The roster that this chain went on to from `hash`.
    pub fn roster_after(&self, hash: &RosterHash) -> Option<&Roster> {
        self.after(hash).map(|(roster, _)| roster)
    }

    /// The step by which this chain went on from `hash`.
    pub fn step_after(&self, hash: &RosterHash) -> Option<&Step> {
        self.after(hash).map(|(_, step)| step)
    }

    /// Whether a roster of this chain was made by this proposal.
    pub fn took(&self, cause: &ProposalHash) -> bool {
        self.rosters().any(|roster| roster.cause == *cause)
    }

    /// Every step, oldest first.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.iter()
    }

    /// The step by which `key` lost its last seat in this chain; `None` for a current member and for a stranger.
    pub fn parted_by(&self, key: &PeerId) -> Option<&Step> {
        self.steps_since_parted_by(key).first()
    }

    /// The steps from the one on by which `key` lost its last seat in this chain, oldest first; none for a current member and
    /// for a stranger.
    pub fn steps_since_parted_by(&self, key: &PeerId) -> &[Step] {
        let at = self.rosters.iter().rposition(|(_, roster)| is_member(roster, key));
        at.map_or(&[], |at| &self.steps[at..])
    }

    /// The step by which `key` lost the seat that it had at `hash`; `None` if it had none, or has it still.
    pub fn seat_lost_after(&self, hash: &RosterHash, key: &PeerId) -> Option<&Step> {
        let at = *self.index.get(hash)?;
        let kept = self.rosters[at..].iter().take_while(|(_, roster)| is_member(roster, key)).count();
        self.steps.get(at + kept.checked_sub(1)?)
    }

    /// The epoch at which `key` took the seat it has now.
    pub fn seated_since(&self, key: &PeerId) -> Option<u64> {
        let seated = self.rosters().rev().take_while(|roster| is_member(roster, key));
        seated.last().map(|roster| roster.epoch)
    }

    /// Whether `key` has had a seat in any roster this client knows, other than the current one.
    pub fn was_member(&self, key: &PeerId) -> bool {
        self.rosters[..self.rosters.len() - 1].iter().any(|(_, roster)| is_member(roster, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::testing::*;
    use crate::identity::Ed25519;
    use crate::wire::Proposal;

    fn admission(people: &[crate::identity::Identity], genesis: &Verified<Genesis>, base: &Roster) -> Admission {
        let proposal = knock_at(base, &person(9), "nina");
        let Proposal::Admit(knock) = proposal.clone() else { unreachable!() };
        Admission {
            genesis: genesis.as_signed().clone(),
            roster: base.clone(),
            knock,
            signatures: step_signed_by(&proposal, people).signatures,
        }
    }

    #[test]
    fn a_newcomer_enters_only_the_room_and_roster_it_knocked_at() {
        let (people, genesis, base) = room_of(3);
        let good = admission(&people, &genesis, &base);
        let at = (base.room, base.hash());
        assert_eq!(Chain::enter(&good, at, &Ed25519).unwrap().current().members.len(), 4);

        let elsewhere = (base.room, RosterHash([3; 32]));
        assert_eq!(Chain::enter(&good, elsewhere, &Ed25519).unwrap_err(), Misdeed::WrongRoster);

        let mut one_short = good.clone();
        one_short.signatures = good.signatures[..2].to_vec().try_into().unwrap();
        assert_eq!(Chain::enter(&one_short, at, &Ed25519).unwrap_err(), Misdeed::MissingConsent);

        // A server that leaves a member out of the roster it shows changes its hash.
        let mut shrunk = good.clone();
        shrunk.roster.members = good.roster.members[..2].to_vec().try_into().unwrap();
        assert_eq!(Chain::enter(&shrunk, at, &Ed25519).unwrap_err(), Misdeed::WrongRoster);
    }
}
