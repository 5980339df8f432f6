//! Looking back and around: how the room came to its members, what is being decided, who is awaited and since when.

use std::collections::BTreeMap;

use super::{Ctx, Room};
use crate::core::consent::ballots::Ballot;
use crate::core::consent::past::records;
use crate::core::consent::roster::signers;
use crate::core::event::{Event, Path, Question, Undecided};
use crate::core::io::StepNote;
use crate::identity::{Name, PeerId};
use crate::wire::{Decision, DropReason, Proposal, ProposalHash, Roster, Step};

/// What was noted of a proposal, for the eye.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// When it was opened here, on the monotonic clock.
    since: u64,
    /// When each answer came, in milliseconds since 1970.
    answers: BTreeMap<PeerId, u64>,
}

impl Room {
    /// A proposal was opened.
    pub(super) fn note_opened(&mut self, ctx: &Ctx<'_>, proposal: ProposalHash) {
        let since = ctx.now.mono_ms;
        self.heard.entry(proposal).or_insert(Heard { since, answers: BTreeMap::new() });
        // Ballots forget what is over, and so does this.
        self.heard.retain(|hash, _| self.seat.ballots().get(hash).is_some());
    }

    /// An answer came.
    pub(super) fn note_heard(&mut self, ctx: &Ctx<'_>, proposal: ProposalHash, by: PeerId) {
        if let Some(heard) = self.heard.get_mut(&proposal) {
            heard.answers.entry(by).or_insert(ctx.now.wall_ms);
        }
    }

    /// What is to be noted beside a step, taken from this roster.
    pub(super) fn step_note(&self, ctx: &Ctx<'_>, before: &Roster, step: &Step, left: Vec<PeerId>) -> StepNote {
        let heard = self.heard.get(&step.proposal.hash());
        let at = |by: &PeerId| heard.and_then(|heard| heard.answers.get(by)).copied().unwrap_or(0);
        let heard_ms = signers(before, &step.proposal).iter().map(at).collect();
        StepNote { at_ms: ctx.now.wall_ms, heard_ms, left }
    }

    /// Tells what is being decided.
    pub fn tell_pending(&self, ctx: &mut Ctx<'_>) {
        let live = self.seat.ballots().iter().filter(|(_, ballot)| ballot.refused().is_none());
        let mut open: Vec<Undecided> = live.map(|(hash, ballot)| self.undecided(ctx, *hash, ballot)).collect();
        open.extend(self.undecided_reform(ctx));
        ctx.tell(Event::Pending { room: self.name.clone(), open });
    }

    fn undecided(&self, ctx: &Ctx<'_>, proposal: ProposalHash, ballot: &Ballot) -> Undecided {
        let dropped = |drop: &crate::wire::Drop| drop.dropped.iter().filter_map(|key| self.name_of(key)).collect();
        let (what, names): (Question, Vec<Name>) = match &ballot.proposal {
            Proposal::Admit(knock) => (Question::Admit, vec![knock.unverified().name.clone()]),
            Proposal::Drop(drop) if drop.why == DropReason::Removal => (Question::Remove, dropped(drop)),
            Proposal::Drop(drop) => (Question::Drop, dropped(drop)),
        };
        let by = |wanted: Option<Decision>| ballot.signers.iter().filter(move |key| ballot.answer(key) == wanted);
        let yes = by(Some(Decision::Yes)).filter_map(|key| self.name_of(key)).collect();
        let waiting = by(None).filter_map(|key| self.awaited(ctx, key)).collect();
        let since = self.heard.get(&proposal).map_or(ctx.now.mono_ms, |heard| heard.since);
        let since_s = ctx.now.mono_ms.saturating_sub(since) / 1000;
        Undecided { proposal, what, names, new: None, yes, waiting, since_s }
    }

    /// Somebody who is awaited, and whether they can be reached.
    pub(super) fn awaited(&self, ctx: &Ctx<'_>, key: &PeerId) -> Option<(Name, bool)> {
        let reached = *key == ctx.me() || self.path(ctx, key) != Path::None;
        Some((self.name_of(key)?, reached))
    }

    /// Tells how the room came to its members, as far as we were there.
    pub fn tell_membership(&self, ctx: &mut Ctx<'_>) {
        let records = records(self.chain(), &self.step_notes);
        ctx.tell(Event::Membership { room: self.name.clone(), records });
    }
}
