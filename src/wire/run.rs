//! Runs: consecutive entries of one author under one signature, and what they share said once.
//!
//! Each entry names the one before by its hash, so a run's bytes need that hash for the first only: whoever reads them computes
//! the others, and what was changed, left out or reordered on the way ends in an id that the author did not sign.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::{Body, Entry, EntryId, varint_bytes};
use super::{Few, RoomId, RosterHash};
use crate::identity::{PeerId, Record, Signature, Signed};
use crate::limits::{RUN_ENTRIES_MAX, SEEN_HEADS_MAX};

/// Entries of one author and one audience in a row, each after the one before, with the author's signature over the newest, which by
/// the chain vouches for all.
///
/// Copies share it all: one goes to every link.
#[derive(Clone, PartialEq, Eq)]
pub struct Run(Arc<Parts>);

/// What a run is made of.
#[derive(PartialEq, Eq)]
struct Parts {
    /// Oldest first, 1 to 64.
    entries: Vec<Arc<Entry>>,
    /// Their ids.
    ids: Vec<EntryId>,
    /// Over the last entry's [`Tip`].
    signature: Signature,
}

/// What an author signs: the id of the newest entry of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// Which room.
    pub room: RoomId,
    /// Who signs.
    pub author: PeerId,
    /// The newest entry.
    pub id: EntryId,
}

impl Record for Tip {
    const PURPOSE: &'static str = "tip";
    fn signer(&self) -> PeerId {
        self.author
    }
}

impl Run {
    /// Entries with their ids; `None` when there is none, when there are more than 64, or when one does not follow the one
    /// before ([`Run::goes_on`]).
    pub fn new(entries: impl IntoIterator<Item = (Arc<Entry>, EntryId)>, signature: Signature) -> Option<Self> {
        let (entries, ids): (Vec<Arc<Entry>>, Vec<EntryId>) = entries.into_iter().unzip();
        let chained = entries.windows(2).zip(&ids).all(|(pair, id)| Run::goes_on(&pair[0], id, &pair[1]));
        let made = (1..=RUN_ENTRIES_MAX).contains(&entries.len()) && chained;
        made.then(|| Run(Arc::new(Parts { entries, ids, signature })))
    }

    /// One entry alone.
    pub fn of_one(entry: Entry, signature: Signature) -> Self {
        Run(Arc::new(Parts { ids: vec![entry.id()], entries: vec![Arc::new(entry)], signature }))
    }

    /// Whether an entry follows another one, whose id this is, so that one run can hold both.
    pub fn goes_on(before: &Entry, id: &EntryId, after: &Entry) -> bool {
        after.previous == *id
            && before.seq.checked_add(1) == Some(after.seq)
            && before.room == after.room
            && before.author == after.author
            && before.audience == after.audience
            && after.previous_audience == before.audience
    }

    /// The entries, oldest first: 1 to 64.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.0.entries
    }

    /// Their ids, in the same order.
    pub fn ids(&self) -> &[EntryId] {
        &self.0.ids
    }

    /// The oldest entry.
    pub fn first(&self) -> &Entry {
        &self.0.entries[0]
    }

    /// The newest entry.
    pub fn last(&self) -> &Entry {
        &self.0.entries[self.0.entries.len() - 1]
    }

    /// The author's signature over the newest.
    pub fn signature(&self) -> Signature {
        self.0.signature
    }

    /// The signed statement behind [`Run::signature`].
    pub fn tip(&self) -> Signed<Tip> {
        let Entry { room, author, .. } = *self.last();
        let Parts { ids, signature, .. } = &*self.0;
        Signed::from_parts(Tip { room, author, id: ids[ids.len() - 1] }, *signature)
    }

    /// How many bytes its encoding has: reckoned, for each link that it goes to.
    pub fn encoded_bytes(&self) -> usize {
        const SHARED: usize = 5 * 32 + 64;
        let Parts { entries, .. } = &*self.0;
        // What an entry has in common with the run stands in the run once, but for its number.
        let lines = entries.iter().map(|entry| entry.encoded_bytes() - 5 * 32 - varint_bytes(entry.seq)).sum::<usize>();
        SHARED + varint_bytes(self.first().seq) + varint_bytes(entries.len() as u64) + lines
    }

    /// How many bytes its entries take where they wait, each by itself.
    pub fn entries_bytes(&self) -> usize {
        self.0.entries.iter().map(|entry| entry.encoded_bytes()).sum()
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("entries", &self.0.entries).field("signature", &self.0.signature).finish()
    }
}

/// A run as it travels.
#[derive(Serialize, Deserialize)]
struct Form<Lines> {
    room: RoomId,
    author: PeerId,
    /// The number of the first entry; the others count up.
    first: u64,
    /// Of the first entry.
    previous: EntryId,
    audience: RosterHash,
    /// Of the first entry; that of the others is `audience`.
    previous_audience: RosterHash,
    lines: Lines,
    signature: Signature,
}

/// What an entry of a run has for itself.
#[derive(Deserialize)]
struct Line {
    seen: Few<EntryId, SEEN_HEADS_MAX>,
    depth: u64,
    wall_ms: u64,
    salt: [u8; 16],
    body: Body,
}

/// The same, to be written.
#[derive(Serialize)]
struct LineRef<'e> {
    seen: &'e Few<EntryId, SEEN_HEADS_MAX>,
    depth: u64,
    wall_ms: u64,
    salt: &'e [u8; 16],
    body: &'e Body,
}

/// All of them, to be written.
struct Lines<'e>(&'e [Arc<Entry>]);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|entry| {
            let Entry { seen, depth, wall_ms, salt, body, .. } = &**entry;
            LineRef { seen, depth: *depth, wall_ms: *wall_ms, salt, body }
        }))
    }
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Entry { room, author, seq, previous, audience, previous_audience, .. } = *self.first();
        let (lines, signature) = (Lines(&self.0.entries), self.0.signature);
        Form { room, author, first: seq, previous, audience, previous_audience, lines, signature }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form: Form<Few<Line, RUN_ENTRIES_MAX>> = Form::deserialize(deserializer)?;
        form.unfold().ok_or_else(|| serde::de::Error::custom("no run"))
    }
}

impl Form<Few<Line, RUN_ENTRIES_MAX>> {
    /// `None` for a run without entries, or beyond all numbers.
    fn unfold(self) -> Option<Run> {
        let Form { room, author, first, mut previous, audience, mut previous_audience, lines, signature } = self;
        let lines = lines.into_vec();
        first.checked_add(lines.len() as u64)?;
        let (mut entries, mut ids) = (Vec::with_capacity(lines.len()), Vec::with_capacity(lines.len()));
        for (Line { seen, depth, wall_ms, salt, body }, seq) in lines.into_iter().zip(first..) {
            let entry =
                Entry { room, author, seq, previous, audience, previous_audience, seen, depth, wall_ms, salt, body };
            (previous, previous_audience) = (entry.id(), audience);
            entries.push(Arc::new(entry));
            ids.push(previous);
        }
        (!entries.is_empty()).then(|| Run(Arc::new(Parts { entries, ids, signature })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    fn entry(seq: u64, previous: EntryId, previous_audience: RosterHash) -> Entry {
        Entry {
            room: RoomId([1; 32]),
            author: PeerId([2; 32]),
            seq,
            previous,
            audience: RosterHash([3; 32]),
            previous_audience,
            seen: Few::first_of([EntryId([4; 32])]),
            depth: seq + 100,
            wall_ms: seq * 1000,
            salt: [5; 16],
            body: Body::text("words").unwrap(),
        }
    }

    fn signature() -> Signature {
        Signature::from_bytes(&[7; 64])
    }

    /// Three entries, the first of another audience than the one before it.
    fn three() -> Vec<(Arc<Entry>, EntryId)> {
        let mut chain: Vec<(Arc<Entry>, EntryId)> = Vec::new();
        for seq in 9..12 {
            let before = chain.last().map_or((EntryId([8; 32]), RosterHash([6; 32])), |(e, id)| (*id, e.audience));
            let entry = entry(seq, before.0, before.1);
            let id = entry.id();
            chain.push((Arc::new(entry), id));
        }
        chain
    }

    #[test]
    fn what_the_entries_share_travels_once_and_comes_back() {
        let run = Run::new(three(), signature()).unwrap();
        let bytes = encode(&run);
        assert_eq!(run.encoded_bytes(), bytes.len());
        let apart: usize = run.entries().iter().map(|entry| encode(&**entry).len()).sum();
        assert_eq!(run.entries_bytes(), apart);
        assert!(bytes.len() < apart - 2 * 160 + 64, "{} bytes for entries of {apart}", bytes.len());
        let back: Run = decode(&bytes).unwrap();
        assert_eq!(back, run);
        assert_eq!(back.ids()[2], back.last().id(), "computed anew");
    }

    #[test]
    fn a_run_of_nothing_or_beyond_all_numbers_is_none() {
        let shape = |first: u64, lines: usize| {
            let entry = entry(1, EntryId([8; 32]), RosterHash([6; 32]));
            let shared = Arc::new(entry.clone());
            let entries = vec![shared; lines];
            let Entry { room, author, previous, audience, previous_audience, .. } = entry;
            let (lines, signature) = (Lines(&entries), signature());
            encode(&Form { room, author, first, previous, audience, previous_audience, lines, signature })
        };
        decode::<Run>(&shape(1, 1)).unwrap();
        decode::<Run>(&shape(1, RUN_ENTRIES_MAX)).unwrap();
        for (first, lines) in [(1, 0), (u64::MAX, 1), (u64::MAX - 1, 2), (1, RUN_ENTRIES_MAX + 1)] {
            assert!(decode::<Run>(&shape(first, lines)).is_err(), "{lines} from {first} on");
        }
    }

    #[test]
    fn what_is_no_chain_is_no_run() {
        assert!(Run::new([], signature()).is_none());
        let mut swapped = three();
        swapped.swap(0, 1);
        assert!(Run::new(swapped, signature()).is_none());
        let mut changed_inside = three();
        let other = Entry { wall_ms: 0, ..(*changed_inside[1].0).clone() };
        changed_inside[1] = (Arc::new(other.clone()), other.id());
        assert!(Run::new(changed_inside, signature()).is_none());
        let mut left_out = three();
        left_out.remove(1);
        assert!(Run::new(left_out, signature()).is_none());
    }
}
