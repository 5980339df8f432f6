//! A chain, told: what each step changed, and who signed it.

use super::chain::Chain;
use super::roster::{is_member, signers};
use crate::core::event::{Record, RecordKind};
use crate::core::io::StepNote;
use crate::identity::{Name, PeerId};
use crate::wire::{DropReason, Member, Proposal, Roster, Step};

/// Every roster of `chain`, oldest first, with what its client noted about the steps.
pub fn records(chain: &Chain, notes: &[StepNote]) -> Vec<Record> {
    let rosters: Vec<&Roster> = chain.rosters().collect();
    let unnoted = StepNote::default();
    let steps = chain.steps_after(&chain.base().hash()).unwrap_or_default().iter().zip(rosters.windows(2));
    let told = steps.enumerate().map(|(at, (step, pair))| {
        let note = notes.get(at).unwrap_or(&unnoted);
        record(pair[0], pair[1], step, note)
    });
    std::iter::once(begin(chain.base())).chain(told).collect()
}

fn begin(base: &Roster) -> Record {
    let who = base.members.iter().map(named).collect();
    Record { epoch: base.epoch, at_ms: None, what: RecordKind::Begin, who, signed: Vec::new() }
}

fn named(member: &Member) -> (Name, PeerId) {
    (member.name.clone(), member.key)
}

fn record(before: &Roster, after: &Roster, step: &Step, note: &StepNote) -> Record {
    let new = after.members.iter().filter(|member| !is_member(before, &member.key));
    let gone = before.members.iter().filter(|member| !is_member(after, &member.key));
    let what = match &step.proposal {
        Proposal::Admit(_) => RecordKind::Admitted,
        Proposal::Drop(drop) if drop.why == DropReason::Removal => RecordKind::Removed,
        Proposal::Drop(drop) if drop.dropped.iter().all(|key| note.left.contains(key)) => RecordKind::Left,
        Proposal::Drop(_) => RecordKind::Dropped,
    };
    let heard = note.heard_ms.iter().map(|at| Some(*at).filter(|at| *at > 0)).chain(std::iter::repeat(None));
    let by = signers(before, &step.proposal);
    let by = before.members.iter().filter(|member| by.contains(&member.key));
    let signed = by.zip(heard).map(|(member, at)| (member.name.clone(), member.key, at)).collect();
    let at_ms = Some(note.at_ms).filter(|at| *at > 0);
    Record { epoch: after.epoch, at_ms, what, who: new.chain(gone).map(named).collect(), signed }
}
