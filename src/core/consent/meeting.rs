//! Two halves of a room that meet again: where the others went, and which half hosts (DESIGN.md §4 rule 10).
//!
//! Both halves went on from one roster, each by steps that all who stayed in it had signed, so each can verify the other's
//! steps from its own copy of that roster on. It is a convention for progress only: nobody is let in by it, those who give
//! way knock.

use std::collections::BTreeMap;

use super::roster::{is_member, verify_step};
use super::seat::{Heard, Seat};
use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme};
use crate::limits::BRANCH_ROSTERS_MAX;
use crate::wire::{Roster, RosterHash, Step};

/// Rosters that others went on to from one of ours, each by a step that was verified, and from which one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Branches(BTreeMap<RosterHash, (RosterHash, Roster)>);

impl Branches {
    /// Takes note of where others went, from `root`. Beyond the bound those of the lowest number go: their steps are told
    /// again at the next meeting.
    pub(super) fn keep(&mut self, root: RosterHash, roster: Roster) {
        self.0.insert(roster.hash(), (root, roster));
        if self.0.len() > BRANCH_ROSTERS_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (_, roster))| roster.epoch).map(|(hash, _)| *hash)
        {
            self.0.remove(&oldest);
        }
    }

    /// One of them, and the roster of ours that its makers went on from.
    pub(super) fn get(&self, hash: &RosterHash) -> Option<(RosterHash, &Roster)> {
        self.0.get(hash).map(|(root, roster)| (*root, roster))
    }
}

/// Whether a half that went on from `base` and is on `theirs` hosts rather than the one that is on `ours` now: more members
/// host, then the most senior one.
///
/// Of theirs only those count whom we know: anybody can make up newcomers, and nobody is to be pushed out of a room by them.
/// Whoever is alone has no company to lose, and counts all. Two halves that have both grown may thus both stay; then people
/// have to decide.
pub fn hosts_over(base: &Roster, theirs: &Roster, ours: &Roster, is_known: impl Fn(&PeerId) -> bool) -> bool {
    let alone = ours.members.len() == 1;
    let there = theirs.members.iter().filter(|member| alone || is_known(&member.key)).count();
    match there.cmp(&ours.members.len()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => {
            let first = |half: &Roster| base.members.iter().position(|member| is_member(half, &member.key));
            first(theirs).is_some_and(|theirs| first(ours).is_none_or(|ours| theirs < ours))
        }
    }
}

impl Seat {
    /// Takes note of a roster of an earlier stay: our user let its members in once, or we knocked at them.
    pub fn recall_earlier(&mut self, roster: &Roster) {
        if is_member(roster, &self.me) && self.chain.roster(&roster.hash()).is_none() {
            self.earlier.insert(roster.hash(), roster.clone());
        }
    }

    /// Whether we had a seat with somebody, in any stay.
    pub fn ever_met(&self, key: &PeerId) -> bool {
        let of_earlier = || self.earlier.values().any(|roster| is_member(roster, key));
        is_member(self.chain.current(), key) || self.chain.was_member(key) || of_earlier()
    }

    /// Somebody says that others went on from a roster of ours to this one, by a step that they don't have. It proves nothing
    /// before a step from there shows its members' signatures; until then it is only what that step is verified by.
    pub fn hear_branch(&mut self, roster: Roster) {
        let root = roster.previous;
        let follows = self.root(&root).is_some_and(|base| base.epoch.checked_add(1) == Some(roster.epoch));
        let known = || self.chain.roster(&roster.hash()).is_some() || self.earlier.contains_key(&roster.hash());
        if follows && roster.room == self.chain.room() && !is_member(&roster, &self.me) && !known() {
            self.branches.keep(root, roster);
        }
    }

    /// Whether a step goes on from a roster of an earlier stay, and not of this one.
    pub fn is_of_earlier_stay(&self, step: &Step) -> bool {
        let root = self.root_of(step);
        self.chain.roster(&root).is_none() && self.earlier.contains_key(&root)
    }

    /// The roster of ours from which those who took this step went another way, as far as we know.
    pub fn root_of(&self, step: &Step) -> RosterHash {
        let at = step.proposal.roster();
        self.branches.get(&at).map_or(at, |(root, _)| root)
    }

    /// The rosters of earlier stays, the newest first.
    pub fn earlier_by_age(&self) -> impl Iterator<Item = RosterHash> {
        let mut earlier: Vec<(u64, RosterHash)> = self.earlier.iter().map(|(hash, one)| (one.epoch, *hash)).collect();
        earlier.sort_unstable_by(|left, right| right.cmp(left));
        earlier.into_iter().map(|(_, hash)| hash)
    }

    /// A roster of ours, of this stay or an earlier one.
    fn root(&self, hash: &RosterHash) -> Option<&Roster> {
        self.chain.roster(hash).or_else(|| self.earlier.get(hash))
    }

    /// A step from a roster that others went on to from one of ours, or from one of an earlier stay.
    pub(super) fn hear_step_of_others(&mut self, step: &Step, scheme: &dyn Scheme) -> Result<Heard, Misdeed> {
        let at = step.proposal.roster();
        let of_earlier = || self.earlier.get(&at).map(|roster| (at, roster));
        let Some((root, base)) = self.branches.get(&at).or_else(of_earlier) else { return Ok(Heard::Nothing) };
        let next = verify_step(base, step, self.chain.genesis().size, scheme)?;
        let hash = next.hash();
        if self.chain.roster(&hash).is_some() {
            // It is our own way after all.
            self.forget_half(&at);
            return Ok(Heard::Nothing);
        }
        // Whoever took us out by decision, or went alone, is no half of the room.
        let apart = !is_member(&next, &self.me);
        if is_member(base, &self.me) && apart && !step.is_parting() || self.earlier.contains_key(&hash) {
            return Ok(Heard::Nothing);
        }
        self.branches.keep(root, next.clone());
        let split = if apart { self.weigh_half(root, at, next) } else { None };
        Ok(split.unwrap_or(Heard::Nothing))
    }

    /// Whether those on this roster are known to be the other half of a split, and are to give way to ours.
    pub fn hosts_against(&self, at: &RosterHash) -> bool {
        let Some((root, theirs)) = self.branches.get(at) else { return false };
        let base = self.root(&root).filter(|base| self.is_split_from(base, theirs));
        base.is_some_and(|base| !hosts_over(base, theirs, self.chain.current(), |key| self.ever_met(key)))
    }

    /// Those on this roster are no better half, or no longer.
    fn forget_half(&mut self, at: &RosterHash) {
        if self.better_half.as_ref().is_some_and(|half| half.hash() == *at) {
            (self.better_half, self.is_there) = (None, false);
        }
    }

    /// Others went on from `root`, a roster of ours, and are on `theirs`, coming from `before`: if that makes them the other
    /// half of a split, tells which half hosts.
    pub(super) fn weigh_half(&mut self, root: RosterHash, before: RosterHash, theirs: Roster) -> Option<Heard> {
        let base = self.root(&root).filter(|base| self.is_split_from(base, &theirs))?;
        let theirs_hosts = hosts_over(base, &theirs, self.chain.current(), |key| self.ever_met(key));
        if theirs_hosts {
            if self.better_half.as_ref() != Some(&theirs) {
                self.is_there = false;
            }
            self.better_half = Some(theirs);
        } else {
            // They may have lost members since.
            self.forget_half(&before);
        }
        Some(Heard::Split { theirs_hosts })
    }

    /// Whether those on `theirs`, who went on from a roster that we have passed, are the other half of a split: we have gone on
    /// without them since, though not at once perhaps, and have let none of them in. Whoever our users went on without by
    /// decision is nobody to come back to.
    fn is_split_from(&self, base: &Roster, theirs: &Roster) -> bool {
        let apart = |key: &PeerId| !is_member(self.chain.current(), key);
        let parted = |key: &PeerId| match self.chain.seat_lost_after(&base.hash(), key) {
            Some(lost) => lost.is_parting(),
            None => self.chain.parted_by(key).is_none_or(Step::is_parting),
        };
        theirs.members.iter().any(|member| is_member(base, &member.key))
            && theirs.members.iter().all(|member| apart(&member.key) && parted(&member.key))
    }

    /// Somebody says over their own link on which roster they are, who has no seat here: of a better half that we know of,
    /// this shows that it is there.
    pub fn hear_head_of_other_half(&mut self, by: PeerId, at: RosterHash) {
        let Some(half) = &self.better_half else { return };
        if is_member(half, &by) && (at == half.hash() || self.chain.roster(&at).is_none()) {
            self.is_there = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::roster::verify_step;
    use crate::core::consent::testing::*;
    use crate::identity::{Ed25519, Identity, Signer as _};
    use crate::wire::{Drop, DropReason, Proposal};

    fn half(base: &Roster, people: &[Identity], stay: &[usize]) -> Roster {
        let (stay, go): (Vec<_>, Vec<_>) = (0..people.len()).partition(|at| stay.contains(at));
        let mut dropped: Vec<_> = go.iter().map(|at| people[*at].id()).collect();
        dropped.sort();
        let dropped = dropped.try_into().unwrap();
        let drop = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Gone, nonce: 0 };
        let stay: Vec<_> = stay.iter().map(|at| clone(&people[*at])).collect();
        verify_step(base, &step_signed_by(&Proposal::Drop(drop), &stay), 8, &Ed25519).unwrap()
    }

    #[test]
    fn the_larger_half_hosts_then_the_one_with_the_most_senior_member() {
        let (people, _, base) = room_of(5);
        let (two, three) = (half(&base, &people, &[0, 1]), half(&base, &people, &[2, 3, 4]));
        let hosts_over = |theirs: &Roster, ours: &Roster| hosts_over(&base, theirs, ours, |key| is_member(&base, key));
        assert!(hosts_over(&three, &two) && !hosts_over(&two, &three));
        let (old, young) = (half(&base, &people, &[0, 4]), half(&base, &people, &[1, 2]));
        assert!(hosts_over(&old, &young) && !hosts_over(&young, &old));
    }
}
