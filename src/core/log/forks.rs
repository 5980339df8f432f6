//! What an author signed beside its log: two entries under one number, and what follows on the other branch.
//!
//! Both branches are shown and passed on, so that everybody sees the same, but only one is the log that frontiers count:
//! whichever came first.

use std::collections::{BTreeMap, BTreeSet};

use super::author::{KeptEntry, run_of};
use crate::limits::{FORK_ENDS_MAX, FORKED_BYTES_MAX, FORKED_ENTRIES_MAX, RUN_ENTRIES_MAX};
use crate::wire::{EntryId, Run, encoded_len};

/// The other branches of one author's log.
#[derive(Debug, Clone, Default)]
pub struct Forks {
    /// By id.
    entries: BTreeMap<EntryId, KeptEntry>,
    /// The sum of their bytes.
    bytes: usize,
}

impl Forks {
    /// From what the store kept.
    pub(super) fn reopen(entries: Vec<KeptEntry>) -> Self {
        let mut forks = Forks::default();
        for kept in entries {
            forks.append(kept);
        }
        forks
    }

    /// Whether the author never signed two entries under one number, as far as we know.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry of the other branches.
    pub fn iter(&self) -> impl Iterator<Item = &KeptEntry> + Clone {
        self.entries.values()
    }

    /// The entry of this id.
    pub fn get(&self, id: &EntryId) -> Option<&KeptEntry> {
        self.entries.get(id)
    }

    pub(super) fn append(&mut self, kept: KeptEntry) -> bool {
        let bytes = encoded_len(&kept.entry);
        if self.entries.len() >= FORKED_ENTRIES_MAX || self.bytes + bytes > FORKED_BYTES_MAX {
            return false;
        }
        self.bytes += bytes;
        self.entries.insert(kept.id, kept);
        true
    }

    /// A run that has this entry in it, with as much of what came before it on its branch as fits: whoever lacks one entry
    /// of a branch most often lacks those before it too.
    pub fn run_with(&self, id: &EntryId) -> Option<Run> {
        let wanted = self.entries.get(id)?;
        // Several may follow it, of which one is signed.
        let signed = self.entries.values().filter(|kept| kept.signature.is_some());
        let after = signed.filter_map(|end| self.way_back(end, id)).min_by_key(Vec::len)?;
        let mut before = Vec::new();
        let mut first = wanted;
        while before.len() + after.len() < RUN_ENTRIES_MAX
            && let Some(kept) = self.entries.get(&first.entry.previous)
        {
            before.push(kept);
            first = kept;
        }
        // The longest that reaches the wanted entry within the bounds.
        (0..=before.len()).rev().find_map(|length| {
            let entries = before[..length].iter().rev().chain(&after);
            run_of(entries.copied()).filter(|run| run.entries().iter().any(|entry| entry.seq == wanted.entry.seq))
        })
    }

    /// What leads from one entry to a later one on its branch, both included, in that order.
    fn way_back<'k>(&'k self, end: &'k KeptEntry, to: &EntryId) -> Option<Vec<&'k KeptEntry>> {
        let mut way = vec![end];
        while way[way.len() - 1].id != *to {
            let after = way[way.len() - 1];
            let before = self.entries.get(&after.entry.previous).filter(|_| way.len() < RUN_ENTRIES_MAX)?;
            // One run holds both.
            way.push(Some(before).filter(|before| Run::goes_on(&before.entry, &before.id, &after.entry))?);
        }
        way.reverse();
        Some(way)
    }

    /// The entries that no other one follows: one for each branch.
    pub fn ends(&self) -> Vec<EntryId> {
        let followed: BTreeSet<EntryId> = self.entries.values().map(|kept| kept.entry.previous).collect();
        self.entries.keys().filter(|id| !followed.contains(*id)).take(FORK_ENDS_MAX).copied().collect()
    }
}
