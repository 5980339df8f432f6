//! The recent steps of a room, for members that come back and were not there.

use std::collections::VecDeque;

use super::kept::PastStep;
use crate::identity::PeerId;
use crate::limits::{STEPS_BYTES_KEPT_MAX, STEPS_KEPT_MAX};
use crate::wire::{Proposal, RosterHash, Step, encoded_len};

/// Steps in a row, the last one leading to the room's roster.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// Oldest first.
    steps: VecDeque<PastStep>,
    /// What they come to, encoded.
    bytes: usize,
}

impl History {
    /// From what was kept.
    pub(super) fn new(kept: Vec<PastStep>) -> Self {
        let mut history = History::default();
        kept.into_iter().for_each(|step| history.push(step));
        history
    }

    /// The next step was taken; the oldest are given up beyond the limits, never this one.
    pub(super) fn push(&mut self, step: PastStep) {
        self.bytes += encoded_len(&step.step);
        self.steps.push_back(step);
        while self.steps.len() > 1 && (self.steps.len() > STEPS_KEPT_MAX || self.bytes > STEPS_BYTES_KEPT_MAX) {
            self.bytes -= self.steps.pop_front().map_or(0, |oldest| encoded_len(&oldest.step));
        }
    }

    /// How the room came to the oldest roster that a step is known from; whether there is room for it.
    pub(super) fn push_before(&mut self, step: PastStep) -> bool {
        let bytes = self.bytes + encoded_len(&step.step);
        let fits = self.steps.len() < STEPS_KEPT_MAX && bytes <= STEPS_BYTES_KEPT_MAX;
        if fits {
            self.bytes = bytes;
            self.steps.push_front(step);
        }
        fits
    }

    /// The oldest roster that a step is known from.
    pub(super) fn oldest_from(&self) -> Option<RosterHash> {
        self.steps.front().map(|step| step.from)
    }

    /// Takes back the steps from this epoch on.
    pub(super) fn forget_from(&mut self, epoch: u64) {
        while self.steps.back().is_some_and(|last| last.epoch >= epoch) {
            self.bytes -= self.steps.pop_back().map_or(0, |last| encoded_len(&last.step));
        }
    }

    /// Whether the room has taken this proposal's step already.
    pub(super) fn has_taken(&self, proposal: &Proposal) -> bool {
        self.steps.iter().any(|past| past.step.proposal == *proposal)
    }

    /// Whether a step from this roster was taken, and is still kept.
    pub(super) fn knows(&self, roster: &RosterHash) -> bool {
        self.steps.iter().any(|past| past.from == *roster)
    }

    /// The step that was taken from this roster, if it is still kept.
    pub(super) fn step_from(&self, roster: &RosterHash) -> Option<&Step> {
        self.steps.iter().find(|past| past.from == *roster).map(|past| &past.step)
    }

    /// The epoch of the oldest roster that a step is known from.
    pub(super) fn oldest(&self) -> u64 {
        self.steps.front().map_or(0, |step| step.epoch)
    }

    /// The steps from an older roster on, for somebody who was in it; none if it isn't known, or if they were not.
    ///
    /// Anybody can name a roster's hash, since newcomers are shown it; who came and went is the members' to know.
    pub(super) fn since(&self, roster: RosterHash, key: &PeerId, is_member: bool) -> impl Iterator<Item = &Step> {
        let since = || self.steps.iter().skip_while(move |step| step.from != roster).map(|step| &step.step);
        let was_member = since().find_map(|step| match &step.proposal {
            Proposal::Admit(knock) => (knock.unverified().key == *key).then_some(false),
            Proposal::Drop(drop) => drop.dropped.contains(key).then_some(true),
        });
        since().filter(move |_| was_member.unwrap_or(is_member))
    }

    /// All that is kept, oldest first.
    pub(super) fn to_kept(&self) -> Vec<PastStep> {
        self.steps.iter().cloned().collect()
    }
}
