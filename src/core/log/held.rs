//! Entries that were verified and wait for entries they name: bounded per author, so that nobody fills another's share.

use std::collections::BTreeMap;

use super::author::KeptEntry;
use crate::identity::PeerId;
use crate::limits::HELD_BYTES_MAX;
use crate::wire::{EntryId, encode};

/// What waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// By author.
    authors: BTreeMap<PeerId, Waiting>,
    /// Where each entry is.
    by_id: BTreeMap<EntryId, (PeerId, u64)>,
}

/// What waits of one author.
#[derive(Debug, Clone, Default)]
struct Waiting {
    /// By number, then by id: of a liar there may be several under one number.
    entries: BTreeMap<(u64, EntryId), KeptEntry>,
    /// The sum of their bytes.
    bytes: usize,
}

impl Held {
    /// Holds entries of one author, all or none.
    pub(super) fn hold(&mut self, author: PeerId, entries: Vec<KeptEntry>) -> Result<(), Vec<KeptEntry>> {
        let bytes: usize = entries.iter().map(|kept| encode(&kept.entry).len()).sum();
        let waits = self.authors.get(&author).map_or(0, |waiting| waiting.bytes);
        if waits + bytes > HELD_BYTES_MAX {
            return Err(entries);
        }
        let waiting = self.authors.entry(author).or_default();
        for kept in entries {
            let (id, seq, bytes) = (kept.id, kept.entry.seq, encode(&kept.entry).len());
            if waiting.entries.insert((seq, id), kept).is_none() {
                waiting.bytes += bytes;
                self.by_id.insert(id, (author, seq));
            }
        }
        Ok(())
    }

    /// Whose entries wait.
    pub(super) fn authors(&self) -> Vec<PeerId> {
        self.authors.keys().copied().collect()
    }

    /// The first entry of an author after this one.
    pub(super) fn next(&self, author: &PeerId, after: Option<(u64, EntryId)>) -> Option<&KeptEntry> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.authors.get(author)?.entries.range((from, Unbounded)).next().map(|(_, kept)| kept)
    }

    /// The entry of this id, if it waits.
    pub(super) fn get(&self, id: &EntryId) -> Option<&KeptEntry> {
        let (author, seq) = self.by_id.get(id)?;
        self.authors.get(author)?.entries.get(&(*seq, *id))
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, author: &PeerId, key: (u64, EntryId)) -> Option<KeptEntry> {
        let waiting = self.authors.get_mut(author)?;
        let kept = waiting.entries.remove(&key)?;
        waiting.bytes -= encode(&kept.entry).len();
        self.by_id.remove(&kept.id);
        if waiting.entries.is_empty() {
            self.authors.remove(author);
        }
        Some(kept)
    }
}
