//! One author's log: a hash chain, of which the newest part is in memory and all of it in the store.

use std::collections::VecDeque;
use std::sync::Arc;

use super::audiences::Rosters;
use super::forks::Forks;
use super::spans::{NOBODY, Spans};
use crate::core::consent::roster::is_member;
use crate::identity::{PeerId, Signature};
use crate::limits::{RECENT_BYTES_MAX, RECENT_ENTRIES_MAX, RECENT_OTHERS_BYTES_MAX, RUN_BYTES_MAX, RUN_ENTRIES_MAX};
use crate::planted::{self, Bug};
use crate::wire::{Entry, EntryId, RosterHash, Run};

/// Bytes that an entry takes in memory beside its text.
const ENTRY_BYTES: usize = size_of::<KeptEntry>() + size_of::<Entry>();

/// An entry that was verified, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEntry {
    /// The entry: the log, the store, the screen and every link share it.
    pub entry: Arc<Entry>,
    /// Its id.
    pub id: EntryId,
    /// The author's signature, on the last entry of each run.
    pub signature: Option<Signature>,
    /// Where it stands in the transcript.
    pub place: Place,
}

/// Where an entry stands in the transcript, the same at everyone: by epoch, then depth, then id (DESIGN.md §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the roster it was written under.
    pub epoch: u64,
    /// One more than the deepest entry of the same audience that it follows or had seen, which its author states. Who states less is not
    /// believed as far as what it names is here, and of who states more than any room has entries
    /// ([`crate::limits::DEPTH_STATED_MAX`]) only what is here counts. Anything between stands behind what it names, and before what
    /// names it. A liar who states just that much takes what all the others state out of the reckoning until there is another roster: those
    /// who lack something may have another order then.
    pub depth: u64,
}

/// What damage took out of an author's log on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The first number that is missing.
    pub first: u64,
    /// The entry with which the log goes on.
    pub behind: Arc<Entry>,
}

/// What is to be sent next of an author's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This.
    Run(Run),
    /// Entries that are only in the store, from this number on.
    Fetch(u64),
    /// Nothing that the reader may have.
    Nothing,
}

/// One author's log, as far as this member has it.
#[derive(Debug, Clone, Default)]
pub struct AuthorLog {
    /// The newest entries, oldest first.
    recent: VecDeque<KeptEntry>,
    /// Bytes that they take in memory, about.
    recent_bytes: usize,
    /// Which numbers are here, and for whom.
    spans: Spans,
    /// Up to where a hole is taken, since nobody has what is missing.
    hole_to: u64,
    /// Entries on other branches than this one, which the author signed too.
    forks: Forks,
    /// What the disk has lost of it.
    lost: Vec<Lost>,
    /// The place of the newest entry ever, if it is lost too: its number is used.
    end: Option<KeptEntry>,
}

impl AuthorLog {
    /// From what the store kept: where each audience begins, the newest entries, oldest first, and those of other branches.
    pub fn reopen(audiences: Vec<(u64, RosterHash)>, recent: Vec<KeptEntry>, forks: Vec<KeptEntry>) -> Self {
        let recent_bytes = recent.iter().map(bytes_of).sum();
        let forks = Forks::reopen(forks);
        let mut spans = Spans::new(audiences);
        for (before, after) in jumps(recent.iter()) {
            spans.put(before.entry.seq.saturating_add(1), after.entry.seq, NOBODY);
        }
        let mut log =
            AuthorLog { recent: recent.into(), recent_bytes, spans, hole_to: 0, forks, ..AuthorLog::default() };
        log.keep_recent(RECENT_BYTES_MAX);
        log
    }

    /// What the disk has lost of it; and the place of the newest entry ever, if that is lost too.
    pub fn note_lost(&mut self, lost: Vec<Lost>, end: Option<KeptEntry>) {
        for Lost { first, behind } in &lost {
            self.spans.put(*first, behind.seq, NOBODY);
        }
        (self.lost, self.end) = (lost, end);
    }

    /// The entries behind what the disk has lost and has not come back.
    pub(super) fn behind_lost(&self) -> impl Iterator<Item = &Entry> {
        let lost = self.lost.iter().map(|lost| &*lost.behind);
        lost.filter(|behind| self.spans.missing_around(behind.seq.saturating_sub(1)).is_some())
    }

    /// Whether it is known to have been longer than it is here.
    pub fn was_longer(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.entry.seq > self.head_seq())
    }

    /// What the author's next entry follows, if it is ours: the newest ever, though it may not be here.
    pub fn end(&self) -> Option<&KeptEntry> {
        if self.was_longer() { self.end.as_ref() } else { self.head() }
    }

    /// The newest entries, oldest first.
    pub fn newest(&self) -> impl DoubleEndedIterator<Item = &KeptEntry> + Clone {
        self.recent.iter()
    }

    /// Those of the newest entries that leave out numbers before them.
    pub(super) fn after_jumps(&self) -> impl Iterator<Item = &KeptEntry> {
        jumps(self.recent.iter()).map(|(_, after)| after)
    }

    /// The number of the oldest entry; 1 for none.
    pub fn first_seq(&self) -> u64 {
        self.spans.first().unwrap_or(1)
    }

    /// The store has nothing from number `first` to before number `end`: it was removed, or never came.
    pub(super) fn note_missing(&mut self, first: u64, end: u64) {
        self.spans.put(first, end, NOBODY);
    }

    /// Nobody has anything before this number that is not here; 0 if somebody may, after all.
    pub(super) fn take_hole(&mut self, up_to: u64) {
        self.hole_to = up_to;
    }

    /// The first number after `has` that is here and `reader` may have, if something is missing before it, as far as memory tells;
    /// `has + 1` if nothing is, or nothing is for them.
    pub fn begins_after(&self, has: u64, reader: &PeerId, rosters: &impl Rosters) -> u64 {
        let next = has.saturating_add(1);
        let Some(readable) = self.first_readable(reader, has, rosters) else { return next };
        if self.recent.front().is_none_or(|oldest| oldest.entry.seq > next) {
            return if self.spans.is_whole(next, readable) { next } else { readable };
        }
        let (mut expected, mut missing) = (next, false);
        for kept in self.recent.range(self.recent.partition_point(|kept| kept.entry.seq <= has)..) {
            let seq = kept.entry.seq;
            // What is here and for others is nothing that is missing.
            missing |= seq > expected;
            if seq >= readable && may_read(rosters, &kept.entry.audience, reader) {
                return if missing { seq } else { next };
            }
            expected = seq.saturating_add(1);
        }
        next
    }

    /// The first and the last number of what is missing around this one, if it is.
    pub(super) fn missing_around(&self, seq: u64) -> Option<(u64, u64)> {
        self.spans.missing_around(seq)
    }

    /// Whether a hole up to this number is taken already.
    pub fn takes_hole_to(&self, up_to: u64) -> bool {
        self.hole_to == up_to
    }

    /// Whether a hole before this number is taken.
    pub fn has_hole_before(&self, seq: u64) -> bool {
        self.head_seq() < seq && seq <= self.hole_to
    }

    /// From which number on something is waited for: nobody has what is missing before it.
    pub fn waits_from(&self) -> u64 {
        self.hole_to.max(self.head_seq().saturating_add(1))
    }

    /// Entries on other branches.
    pub fn forks(&self) -> &Forks {
        &self.forks
    }

    /// Keeps an entry of another branch; `false` when there is no room for it.
    pub(super) fn append_fork(&mut self, kept: KeptEntry) -> bool {
        self.forks.append(kept)
    }

    /// The newest entry.
    pub fn head(&self) -> Option<&KeptEntry> {
        self.recent.back()
    }

    /// The newest entry's number; 0 for none.
    pub fn head_seq(&self) -> u64 {
        self.head().map_or(0, |kept| kept.entry.seq)
    }

    /// The entry of this number, if it is still in memory.
    pub fn recent(&self, seq: u64) -> Option<&KeptEntry> {
        if seq > self.head_seq() {
            return None;
        }
        let at = self.recent.partition_point(|kept| kept.entry.seq < seq);
        self.recent.get(at).filter(|kept| kept.entry.seq == seq)
    }

    /// Appends an entry of our own that was checked against [`AuthorLog::head`].
    pub fn append(&mut self, kept: KeptEntry) {
        self.push(kept);
        self.keep_recent(RECENT_BYTES_MAX);
    }

    /// The same with an entry of somebody else, of which less stays in memory.
    pub fn append_heard(&mut self, kept: KeptEntry) {
        self.push(kept);
        self.keep_recent(RECENT_OTHERS_BYTES_MAX);
    }

    fn push(&mut self, kept: KeptEntry) {
        self.spans.append(self.head_seq(), kept.entry.seq, kept.entry.audience);
        self.recent_bytes += bytes_of(&kept);
        self.recent.push_back(kept);
    }

    /// Leaves older entries to the store; the newest always stays.
    fn keep_recent(&mut self, bytes_max: usize) {
        while (self.recent.len() > RECENT_ENTRIES_MAX || self.recent_bytes > bytes_max)
            && self.recent.len() > 1
            && let Some(oldest) = self.recent.pop_front()
        {
            self.recent_bytes -= bytes_of(&oldest);
        }
    }

    /// Puts an entry into a hole.
    pub(super) fn fill(&mut self, kept: KeptEntry) {
        let seq = kept.entry.seq;
        self.spans.put(seq, seq.saturating_add(1), kept.entry.audience);
        let at = self.recent.partition_point(|recent| recent.entry.seq < seq);
        // What is older than all in memory is in the store, like all that is older.
        if at > 0 {
            self.recent_bytes += bytes_of(&kept);
            self.recent.insert(at, kept);
        }
        self.keep_recent(RECENT_BYTES_MAX);
    }

    /// Bytes that what is in memory takes, about.
    pub fn bytes(&self) -> usize {
        self.recent_bytes
    }

    /// Bytes that the entries after this number take of it, about.
    pub fn bytes_after(&self, seq: u64) -> usize {
        let after = self.recent.len() - self.recent.partition_point(|kept| kept.entry.seq <= seq);
        self.recent_bytes / self.recent.len().max(1) * after
    }

    /// Puts the author's signature on the newest entry, which ends a run.
    pub fn sign_head(&mut self, signature: Signature) {
        if let Some(head) = self.recent.back_mut() {
            head.signature = Some(signature);
        }
    }

    /// The first entries after number `after` that `reader` may have, as one run.
    pub fn next_for(&self, reader: &PeerId, after: u64, rosters: &impl Rosters) -> Next {
        self.next_or_same(reader, after, rosters, None)
    }

    /// The same, where `made` was just made for somebody else, out of this log as it is now: nearly always it is what comes next for
    /// this reader too.
    pub fn next_or_same(&self, reader: &PeerId, after: u64, rosters: &impl Rosters, made: Option<&Run>) -> Next {
        let mut after = after;
        while let Some(from) = self.first_readable(reader, after, rosters) {
            if self.recent.front().is_none_or(|oldest| oldest.entry.seq > from) {
                return Next::Fetch(from);
            }
            let start = self.recent.partition_point(|kept| kept.entry.seq < from);
            let Some(first) = self.recent.get(start) else { return Next::Nothing };
            // The rest of what the reader may have may be missing here: what follows the hole is for others.
            if may_read(rosters, &first.entry.audience, reader) {
                let same = made.filter(|run| run.ids()[0] == first.id).cloned();
                return same.or_else(|| run_of(self.recent.range(start..))).map_or(Next::Nothing, Next::Run);
            }
            after = first.entry.seq;
        }
        Next::Nothing
    }

    /// A run with the entry of this number in it, and as much as fits from there on; from memory.
    pub fn run_from(&self, seq: u64) -> Option<Run> {
        self.recent(seq)?;
        let start = self.recent.partition_point(|kept| kept.entry.seq < seq);
        run_of(self.recent.range(start..))
    }

    /// Whether anything after number `after` is here that `reader` may have.
    pub fn has_for(&self, reader: &PeerId, after: u64, rosters: &impl Rosters) -> bool {
        self.first_readable(reader, after, rosters).is_some()
    }

    /// The number of the first entry after `after` whose audience has `reader` in it.
    fn first_readable(&self, reader: &PeerId, after: u64, rosters: &impl Rosters) -> Option<u64> {
        self.spans.iter(self.head_seq()).find_map(|(first, last, audience)| {
            (last > after && may_read(rosters, audience, reader)).then_some(first.max(after.saturating_add(1)))
        })
    }
}

/// Neighbours of one log, oldest first, between which numbers are left out.
fn jumps<'k>(
    entries: impl Iterator<Item = &'k KeptEntry> + Clone,
) -> impl Iterator<Item = (&'k KeptEntry, &'k KeptEntry)> {
    let pairs = entries.clone().zip(entries.skip(1));
    pairs.filter(|(before, after)| before.entry.seq.saturating_add(1) < after.entry.seq)
}

/// Bytes that an entry takes in memory, about: its text, and what stands around it.
fn bytes_of(kept: &KeptEntry) -> usize {
    kept.entry.body.bytes.len() + ENTRY_BYTES
}

/// Whether a reader is in an audience.
fn may_read(rosters: &impl Rosters, audience: &RosterHash, reader: &PeerId) -> bool {
    let anybody = planted::is(Bug::AudienceIgnored) && *audience != NOBODY;
    anybody || rosters.roster(audience).is_some_and(|roster| is_member(roster, reader))
}

/// The longest run that begins with the first of `entries`: consecutive, of one audience, within the bounds, and ending
/// where the author signed.
pub fn run_of<'k>(entries: impl IntoIterator<Item = &'k KeptEntry>) -> Option<Run> {
    let mut run: Vec<&KeptEntry> = Vec::new();
    let mut bytes = 0;
    let mut signed = None;
    for kept in entries {
        bytes += kept.entry.encoded_bytes();
        let fits = run.len() < RUN_ENTRIES_MAX && bytes <= RUN_BYTES_MAX;
        let follows = run.last().is_none_or(|last| Run::goes_on(&last.entry, &last.id, &kept.entry));
        if !fits || !follows {
            break;
        }
        run.push(kept);
        if let Some(signature) = kept.signature {
            signed = Some((run.len(), signature));
        }
    }
    let (length, signature) = signed?;
    run.truncate(length);
    Run::new(run.into_iter().map(|kept| (Arc::clone(&kept.entry), kept.id)), signature)
}
