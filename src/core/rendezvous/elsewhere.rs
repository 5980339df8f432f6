//! The ways of those who are on rosters unknown here: from which roster they come, and by which steps.
//!
//! A server that was restarted with nothing knows a room from the roster on that somebody brought back, and not where its
//! halves went apart: they could not be compared. Whoever finds the server elsewhere shows a roster that they were in and
//! their steps from there. Each step is verified, and passed on to those here who were in the roster before it: whoever knows
//! that roster brings their own steps from it, and if those lead to what is known here, the room's history reaches back to it.
//! Nothing is decided by any of it.

use std::collections::VecDeque;

use super::kept::{Change, PastStep};
use super::room::{Room, Turn};
use crate::core::consent::roster::verify_step;
use crate::core::time::{Allowance, Now};
use crate::identity::PeerId;
use crate::limits::{STEPS_TOLD_APART_MAX, WAY_BYTES_MAX, WAY_STEPS_PASSED_MAX, WAYS_SHOWN_MAX};
use crate::wire::{FromServer, Roster, RosterHash, Step, encoded_len};

/// Milliseconds after which somebody may show another way, or the same again: clients do so every half minute.
const SHOWN_AGAIN_MS: u64 = 25_000;

/// Milliseconds after which a way that was shown is forgotten.
const KEPT_MS: u64 = 600_000;

/// The ways that were shown lately.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// The newest last.
    ways: VecDeque<Way>,
    /// How many steps of them were passed on.
    passed: Allowance,
}

/// One client's.
#[derive(Debug)]
struct Way {
    /// Who showed it.
    by: PeerId,
    /// When it was begun.
    since: u64,
    /// The rosters, oldest first, each with the step by which it came about, if that was shown.
    rosters: Vec<(RosterHash, Roster, Option<PastStep>)>,
    /// What all that comes to, encoded.
    bytes: usize,
}

impl Ways {
    /// Somebody shows a roster: their way begins there. Nobody keeps others busy with one way after the other, so for a while it only
    /// adds to the last.
    fn begin(&mut self, now: u64, by: PeerId, roster: Roster) {
        let lately = |way: &Way| now < way.since.saturating_add(SHOWN_AGAIN_MS);
        if let Some(way) = self.ways.iter_mut().find(|way| way.by == by && lately(way)) {
            way.keep(roster, None);
            return;
        }
        self.ways.retain(|way| way.by != by && now < way.since.saturating_add(KEPT_MS));
        let mut way = Way { by, since: now, rosters: Vec::new(), bytes: 0 };
        way.keep(roster, None);
        self.ways.push_back(way);
        if self.ways.len() > WAYS_SHOWN_MAX {
            self.ways.pop_front();
        }
    }

    /// A roster that somebody showed, or that a verified step led to, and that step.
    fn find(&self, hash: &RosterHash) -> Option<(&Roster, Option<&PastStep>)> {
        let mut all = self.ways.iter().flat_map(|way| &way.rosters);
        all.find(|(known, ..)| known == hash).map(|(_, roster, came_by)| (roster, came_by.as_ref()))
    }

    /// Whether another step may be passed on: anybody can invent rosters with others in them, and as many keys as they like to sign what
    /// follows.
    fn may_pass(&mut self, now: Now) -> bool {
        self.passed.takes(now, 1, WAY_STEPS_PASSED_MAX, SHOWN_AGAIN_MS)
    }

    /// A way goes on by a step that was verified; whether that is news, and within the bounds.
    fn go_on(&mut self, by: &PeerId, past: PastStep, next: Roster) -> bool {
        self.ways.iter_mut().find(|way| way.by == *by).is_some_and(|way| way.keep(next, Some(past)))
    }
}

impl Way {
    fn keep(&mut self, roster: Roster, came_by: Option<PastStep>) -> bool {
        let hash = roster.hash();
        let bytes = self.bytes + encoded_len(&roster) + came_by.as_ref().map_or(0, |past| encoded_len(&past.step));
        let fits = self.rosters.len() <= STEPS_TOLD_APART_MAX && bytes <= WAY_BYTES_MAX;
        if !fits || self.rosters.iter().any(|(known, ..)| *known == hash) {
            return false;
        }
        self.bytes = bytes;
        self.rosters.push((hash, roster, came_by));
        true
    }
}

impl Room {
    /// A member of this roster shows it. If the room went on from it by a parting, halves can be compared by it; if it isn't known
    /// here, somebody may know how the room came from there.
    pub(super) fn show_roster(&mut self, turn: &Turn<'_>, by: PeerId, roster: Roster) {
        self.recall_parting(&roster);
        self.ways.begin(turn.now.mono_ms, by, roster);
    }

    /// Whether a roster is known by somebody's way only: if the room parted with others there, it is known again.
    pub(super) fn recall_way(&mut self, at: &RosterHash) {
        if let Some((base, _)) = self.ways.find(at) {
            let base = base.clone();
            self.recall_parting(&base);
        }
    }

    /// Whether somebody is attached, and is where the room is.
    pub(super) fn is_with_us(&self, key: &PeerId) -> bool {
        self.attached.get(key).is_some_and(|one| !one.elsewhere)
    }

    /// Somebody brings a step from a roster that isn't known to be one of the room's.
    pub(super) fn step_elsewhere(&mut self, turn: &mut Turn<'_>, from: PeerId, step: &Step) {
        let at = step.proposal.roster();
        let Some((base, _)) = self.ways.find(&at) else { return };
        let (base, past) = (base.clone(), PastStep { from: at, epoch: base.epoch, step: step.clone() });
        let Ok(next) = verify_step(&base, step, self.genesis().size, turn.scheme) else { return };
        if next.hash() == self.oldest_known() {
            return self.reach_back(turn, past);
        }
        if self.is_with_us(&from) {
            // It tells how the room came here, and begins where ways parted.
            self.ways.begin(turn.now.mono_ms, from, base);
            self.ways.go_on(&from, past, next);
            return;
        }
        if self.ways.go_on(&from, past, next) && self.ways.may_pass(turn.now) {
            let concerned = base.members.iter().map(|member| member.key).filter(|key| self.is_with_us(key));
            let message = FromServer::Step((self.id(), step.clone()));
            concerned.for_each(|key| turn.send(&key, message.clone()));
        }
    }

    /// The roster from which on the room's way is known here.
    fn oldest_known(&self) -> RosterHash {
        self.history.oldest_from().unwrap_or(self.hash())
    }

    /// The step that led to the oldest roster known, and those before it, as far as they were shown. The rosters name them by their
    /// hashes, so there is no other way by which the room can have come there.
    fn reach_back(&mut self, turn: &mut Turn<'_>, step: PastStep) {
        let mut next = Some(step);
        while let Some(past) = next {
            let before = past.from;
            if !self.history.push_before(past) {
                break;
            }
            next = self.ways.find(&before).and_then(|(_, came_by)| came_by.cloned());
        }
        turn.persist(Change::RoomKept(self.to_kept()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_ways_are_passed_on_so_often_and_no_more() {
        let mut ways = Ways::default();
        let at = |mono_ms| Now { mono_ms, wall_ms: 0 };
        let passed = (0..1_000).filter(|now| ways.may_pass(at(*now))).count();
        assert_eq!(passed, WAY_STEPS_PASSED_MAX);
        assert!(ways.may_pass(at(SHOWN_AGAIN_MS)));
    }
}
