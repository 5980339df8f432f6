//! What was said: one hash chain per author, checked on the way in, never reordered, shown only after what it follows,
//! never given to anybody outside an entry's audience (DESIGN.md §5).
//!
//! Never keeps anything itself: what is new comes back as [`KeptEntry`]s, for the store first and for the eye after.

mod audiences;
mod author;
mod forks;
mod hearing;
mod held;
#[cfg(test)]
mod holes_tests;
mod places;
mod spans;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use audiences::{Audiences, Past, Rosters};
pub use author::{AuthorLog, KeptEntry, Lost, Next, Place, run_of};
pub use forks::Forks;
pub use hearing::{Heard, Missing, Rejected, Taken};
pub use places::Known;

use held::Held;
use places::{Ends, Places};

use crate::core::consent::chain::Chain;
use crate::core::consent::roster::is_member;
use crate::identity::{PeerId, Signer, Verified};
use crate::limits::{RUN_BYTES_MAX, RUN_ENTRIES_MAX};
use crate::wire::{Body, Entry, EntryId, Few, Roster, RosterHash, Tip};

/// The logs of one room.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// By author.
    authors: BTreeMap<PeerId, AuthorLog>,
    /// Authors who signed two entries under one number.
    accused: BTreeSet<PeerId>,
    /// What waits for entries that it names.
    held: Held,
    /// Where the newest entries stand.
    places: Places,
    /// What this member's next entry will name as seen.
    ends: Ends,
    /// Rosters from before the chain.
    past: Past,
    /// Whether own entries are taken though their audience is unknown.
    own_anyway: bool,
}

/// What outlives a seat: the logs, and for whom their entries are.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// By author.
    pub authors: BTreeMap<PeerId, AuthorLog>,
    /// The rosters so far.
    pub past: Past,
}

impl Log {
    /// From what the store kept.
    pub fn reopen(memory: Memory, chain: &Chain, me: &PeerId) -> Self {
        let Memory { authors, past } = memory;
        let all = authors.values().flat_map(|log| log.newest().chain(log.forks().iter()));
        let ends = Ends::among(all.clone(), me);
        let mut places = Places::default();
        all.for_each(|kept| places.insert(kept.id, Known::of(kept)));
        // Holes that were taken before the start: what was left out because it is for others is none.
        let audiences = Audiences { chain, past: &past };
        let is_ours = |hash: &RosterHash| audiences.find(hash).is_some_and(|roster| is_member(roster, me));
        for (author, log) in &authors {
            for after in log.after_jumps().filter(|after| is_ours(&after.entry.previous_audience)) {
                places.give_up(after.entry.previous, *author, after.entry.seq - 1);
            }
            for behind in log.behind_lost() {
                let last = behind.seq.saturating_sub(1);
                if is_ours(&behind.previous_audience) {
                    places.give_up(behind.previous, *author, last);
                } else {
                    // What is missing may have been for us farther back.
                    places.note_left_out(behind.previous, *author, last);
                }
            }
        }
        let forked = authors.iter().filter(|(_, log)| !log.forks().is_empty());
        let accused = forked.map(|(author, _)| *author).collect();
        Log { authors, accused, held: Held::default(), places, ends, past, own_anyway: false }
    }

    /// How far the log of `author` is here; 0 for nothing.
    pub fn head_seq(&self, author: &PeerId) -> u64 {
        self.authors.get(author).map_or(0, AuthorLog::head_seq)
    }

    /// What outlives the seat on `chain`.
    pub fn into_memory(mut self, chain: &Chain) -> Memory {
        chain.rosters().for_each(|roster| self.past.keep(roster.clone()));
        Memory { authors: self.authors, past: self.past }
    }

    /// Rosters from before the chain.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Keeps a roster from before the chain, which the caller has found to be one.
    pub fn keep_past(&mut self, roster: Roster) {
        self.past.keep(roster);
    }

    /// Own entries are taken from now on even if nobody says whom they are for: their numbers are used, at least.
    pub fn take_own_anyway(&mut self) {
        self.own_anyway = true;
    }

    /// Whether an author's log is known to have been longer than it is here.
    pub fn was_longer(&self, author: &PeerId) -> bool {
        self.authors.get(author).is_some_and(AuthorLog::was_longer)
    }

    /// One author's log.
    pub fn author(&self, author: &PeerId) -> Option<&AuthorLog> {
        self.authors.get(author)
    }

    /// Whether an author signed two entries under one number.
    pub fn is_accused(&self, author: &PeerId) -> bool {
        self.accused.contains(author)
    }

    /// Somebody came who may have what was given up.
    pub fn hope_again(&mut self) {
        self.places.hope_again();
    }

    /// Somebody has an author's log up to this number: the holes in it that end before that and were not gone over yet, since what comes
    /// behind them waits for something else, are waited for again, each once.
    pub fn hope_up_to(&mut self, author: &PeerId, up_to: u64) {
        let Some(log) = self.authors.get_mut(author) else { return };
        if self.places.hope_up_to(author, (log.head_seq(), up_to)) {
            log.take_hole(0);
        }
    }

    /// Whether an entry was given up before, and is waited for once more.
    pub fn is_hoped_for(&self, id: &EntryId) -> bool {
        self.places.is_hoped_for(id)
    }

    /// Something that comes before this entry was left out, by the word of whoever gave it, and may be asked for.
    pub fn note_left_out(&mut self, entry: &Entry) {
        self.places.note_left_out(entry.previous, entry.author, entry.seq.saturating_sub(1));
    }

    /// The holes that were taken in an author's log and end with a number above `after` and up to `up_to`, the newest first: from which
    /// number to which one. Something in them may be for others.
    pub fn holes(&self, author: &PeerId, (after, up_to): (u64, u64)) -> impl Iterator<Item = (u64, u64)> {
        let log = self.authors.get(author);
        let head = self.head_seq(author);
        let ends = self.places.holes_of(author, (after, up_to));
        // What comes behind a hole may still wait for something else.
        let open = move |end: u64| (end > head).then(|| (head.saturating_add(1), end));
        ends.rev().filter_map(move |(end, _)| open(end).or_else(|| log?.missing_around(end)))
    }

    /// Everybody who signed two entries under one number.
    pub fn accused(&self) -> impl Iterator<Item = &PeerId> {
        self.accused.iter()
    }

    /// What is known of an entry, if it is one of the newest.
    pub fn known(&self, id: &EntryId) -> Option<&Known> {
        self.places.get(id)
    }

    /// Whether an entry waits here.
    pub fn holds(&self, id: &EntryId) -> bool {
        self.held.get(id).is_some()
    }

    /// What waits for this entry. Of authors with branches nothing, since a number does not tell which is meant.
    pub fn naming(&self, id: &EntryId) -> impl Iterator<Item = &Entry> {
        let waiting = self.held.waiting_for(id).map(|kept| &*kept.entry);
        waiting.filter(|entry| !self.accused.contains(&entry.author))
    }

    /// What keeps an entry that waits from being taken, in the end.
    pub fn kept_by(&self, id: &EntryId) -> Option<EntryId> {
        self.held.kept_by(id).filter(|root| root != id)
    }

    /// Whose entries wait for this one, or for what waits for it; `None` if they are too many to go through.
    pub fn waiting_for(&self, id: &EntryId) -> Option<BTreeSet<PeerId>> {
        self.held.waiting_in_the_end_for(id)
    }

    /// Whether anything of an author waits.
    pub fn has_waiting(&self, author: &PeerId) -> bool {
        self.held.has_any_of(author)
    }

    /// How far each author's log is here, in ascending order of author.
    pub fn frontier(&self) -> impl Iterator<Item = (PeerId, u64)> + '_ {
        // Of whom there are other branches only, there is no log to count.
        self.authors.iter().map(|(author, log)| (*author, log.head_seq())).filter(|(_, seq)| *seq > 0)
    }

    /// The store has nothing of an author from number `first` to before number `end`.
    pub fn note_missing(&mut self, author: &PeerId, first: u64, end: u64) {
        if let Some(log) = self.authors.get_mut(author) {
            log.note_missing(first, end);
        }
    }

    /// Nobody has anything of an author before this number that is not here: it is not waited for.
    pub fn take_hole(&mut self, author: PeerId, up_to: u64) {
        self.authors.entry(author).or_default().take_hole(up_to);
    }

    /// Writes texts of one's own under the chain's current roster, in runs of one signature each.
    ///
    /// Each text must fit [`Body::text`]; the caller has said so to whoever wrote a longer one.
    pub fn write(
        &mut self,
        texts: impl IntoIterator<Item = Body>,
        chain: &Chain,
        signer: &dyn Signer,
        wall_ms: u64,
        mut salt: impl FnMut() -> [u8; 16],
    ) -> Vec<KeptEntry> {
        let mut written: Vec<KeptEntry> = Vec::new();
        if let Some(end) = self.authors.get(&signer.id()).filter(|log| log.was_longer()).and_then(AuthorLog::end) {
            // Goes on behind what is lost, which somebody may bring yet.
            self.places.give_up(end.id, signer.id(), end.entry.seq);
        }
        // Where the open run began, and how many bytes are in it.
        let (mut run_start, mut run_bytes) = (0, 0);
        for body in texts {
            let kept = self.follow_on(chain, signer.id(), wall_ms, salt(), body);
            let bytes = kept.entry.encoded_bytes();
            if written.len() - run_start == RUN_ENTRIES_MAX || run_bytes + bytes > RUN_BYTES_MAX {
                self.sign_last(&mut written, signer);
                (run_start, run_bytes) = (written.len(), 0);
            }
            run_bytes += bytes;
            self.places.insert(kept.id, Known::of(&kept));
            self.authors.entry(signer.id()).or_default().append(kept.clone());
            written.push(kept);
        }
        self.sign_last(&mut written, signer);
        written
    }

    fn follow_on(&mut self, chain: &Chain, me: PeerId, wall_ms: u64, salt: [u8; 16], body: Body) -> KeptEntry {
        let head = self.authors.get(&me).and_then(AuthorLog::end);
        let audience = chain.head();
        let (seen, deepest) = self.ends.take(&audience);
        let before = head.filter(|kept| kept.entry.audience == audience).map_or(0, |kept| kept.place.depth);
        let depth = deepest.max(before).saturating_add(1);
        let entry = Entry {
            room: chain.room(),
            author: me,
            // A log of 2^64 entries is out of reach of any disk.
            seq: head.map_or(1, |kept| kept.entry.seq + 1),
            previous: head.map_or(EntryId([0; 32]), |kept| kept.id),
            audience,
            previous_audience: head.map_or(RosterHash([0; 32]), |kept| kept.entry.audience),
            seen: Few::first_of(seen),
            depth,
            wall_ms,
            salt,
            body,
        };
        let place = Place { epoch: chain.current().epoch, depth };
        KeptEntry { id: entry.id(), entry: Arc::new(entry), signature: None, place }
    }

    fn sign_last(&mut self, written: &mut [KeptEntry], signer: &dyn Signer) {
        let Some(last) = written.last_mut() else { return };
        let tip = Tip { room: last.entry.room, author: signer.id(), id: last.id };
        let signature = Verified::sign(tip, signer).as_signed().signature();
        last.signature = Some(signature);
        if let Some(log) = self.authors.get_mut(&signer.id()) {
            log.sign_head(signature);
        }
    }
}
