//! Entries that were verified and wait for entries they name: bounded per author, so that nobody fills another's share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::author::KeptEntry;
use crate::identity::PeerId;
use crate::limits::HELD_BYTES_MAX;
use crate::wire::EntryId;

/// Entries that are gone through to find out what one of them waits for in the end: more than honest members have waiting, and no time at
/// all to go through.
const CHAIN_WALKED_MAX: usize = 4_096;

/// What waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// By author.
    authors: BTreeMap<PeerId, Waiting>,
    /// Where each entry is.
    by_id: BTreeMap<EntryId, (PeerId, u64)>,
    /// What each entry waits for: one thing at a time.
    waits_on: BTreeMap<EntryId, EntryId>,
    /// The same, the other way round.
    waits_for: BTreeMap<EntryId, BTreeSet<EntryId>>,
    /// Those of them that do not wait here themselves, or wait for what the store says of themselves: few, where a busy room has
    /// thousands that wait each for the one before.
    missing: BTreeSet<EntryId>,
    /// Those that wait for what they don't name, since it comes before them in their author's log: few, and none in most rooms.
    behind: BTreeSet<EntryId>,
    /// Those of them that would have waited for themselves in the end: they don't wait for such any more.
    freed: BTreeSet<EntryId>,
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
    /// Holds entries of one author, all or none; whether there was room. What comes later in that log makes room for them: it waits for
    /// them in any case, and comes again.
    pub(super) fn hold(&mut self, author: PeerId, entries: VecDeque<KeptEntry>) -> bool {
        if entries.is_empty() {
            return true;
        }
        let bytes: usize = entries.iter().map(|kept| kept.entry.encoded_bytes()).sum();
        let last = entries.back().map_or(0, |kept| kept.entry.seq);
        let waits = |held: &Held| held.authors.get(&author).map_or(0, |waiting| waiting.bytes);
        while waits(self) + bytes > HELD_BYTES_MAX {
            let highest = self.authors.get(&author).and_then(|waiting| waiting.entries.last_key_value());
            let Some(id) = highest.filter(|((seq, _), _)| *seq > last).map(|((_, id), _)| *id) else { return false };
            self.let_go(&id);
        }
        let waiting = self.authors.entry(author).or_default();
        for kept in entries {
            let (id, seq, bytes) = (kept.id, kept.entry.seq, kept.entry.encoded_bytes());
            if waiting.entries.insert((seq, id), kept).is_none() {
                waiting.bytes += bytes;
                self.by_id.insert(id, (author, seq));
                note_missing(&mut self.missing, &self.by_id, &self.waits_for, id);
            }
        }
        true
    }

    /// An entry waits for another one, or for what the store says of itself. What an entry names never names it in turn, but what it waits
    /// behind may, by a liar's hand, and then each would wait for the other for ever: whatever waits behind something on that way does so no
    /// longer, and is to be looked at again.
    #[must_use]
    pub(super) fn wait(&mut self, id: EntryId, on: EntryId) -> Option<EntryId> {
        let freed = self.on_the_way(&on, &id).and_then(|way| way.into_iter().find(|one| self.behind.contains(one)));
        if let Some(freed) = &freed {
            self.stop_waiting(freed);
            self.freed.insert(*freed);
        }
        self.waits_for.entry(on).or_default().insert(id);
        self.waits_on.insert(id, on);
        note_missing(&mut self.missing, &self.by_id, &self.waits_for, on);
        freed
    }

    /// An entry waits for another one that comes before it in their author's log, and that it doesn't name; unless that would wait for
    /// it: then it is to be looked at again, and doesn't wait for such any more.
    #[must_use]
    pub(super) fn wait_behind(&mut self, id: EntryId, on: EntryId) -> Option<EntryId> {
        self.behind.insert(id);
        if self.on_the_way(&on, &id).is_some() {
            self.behind.remove(&id);
            self.freed.insert(id);
            return Some(id);
        }
        self.wait(id, on)
    }

    /// Whether an entry doesn't wait behind others any more.
    pub(super) fn is_freed(&self, id: &EntryId) -> bool {
        self.freed.contains(id)
    }

    /// What waits for what, from one entry to another, if the one waits for the other in the end. Nothing where all wait for what they name only.
    fn on_the_way(&self, from: &EntryId, to: &EntryId) -> Option<Vec<EntryId>> {
        if self.behind.is_empty() {
            return None;
        }
        let mut way = vec![*from];
        while way.len() <= self.by_id.len() {
            match self.waits_on.get(&way[way.len() - 1]) {
                Some(on) if on == to => return Some(way),
                Some(on) => way.push(*on),
                None => break,
            }
        }
        None
    }

    /// An entry waits for nothing any more.
    fn stop_waiting(&mut self, id: &EntryId) {
        self.behind.remove(id);
        let Some(on) = self.waits_on.remove(id) else { return };
        if let Some(waiting) = self.waits_for.get_mut(&on) {
            waiting.remove(id);
            if waiting.is_empty() {
                self.waits_for.remove(&on);
            }
        }
        note_missing(&mut self.missing, &self.by_id, &self.waits_for, on);
    }

    /// What keeps this from being taken, in the end: what it waits for, or what that waits for, and so on. `None` if that is too far away.
    pub(super) fn kept_by(&self, id: &EntryId) -> Option<EntryId> {
        let mut last = *id;
        for _ in 0..CHAIN_WALKED_MAX {
            match self.waits_on.get(&last).filter(|_| self.by_id.contains_key(&last)) {
                Some(on) if *on == last => return Some(last),
                Some(on) => last = *on,
                None => return Some(last),
            }
        }
        None
    }

    /// What waited for this: it may go on, or wait for something else.
    pub(super) fn released_by(&mut self, id: &EntryId) -> BTreeSet<EntryId> {
        let released = self.waits_for.remove(id).unwrap_or_default();
        self.missing.remove(id);
        for id in &released {
            self.waits_on.remove(id);
            self.behind.remove(id);
        }
        released
    }

    /// Whether anything waits for this.
    pub(super) fn is_awaited(&self, id: &EntryId) -> bool {
        self.waits_for.contains_key(id)
    }

    /// What waits for this.
    pub(super) fn waiting_for(&self, id: &EntryId) -> impl Iterator<Item = &KeptEntry> {
        self.waits_for.get(id).into_iter().flatten().filter_map(|waiting| self.get(waiting))
    }

    /// The authors of what waits for this, or for what waits for it; `None` if that is more than can be gone through in no time.
    pub(super) fn waiting_in_the_end_for(&self, id: &EntryId) -> Option<BTreeSet<PeerId>> {
        let (mut authors, mut open) = (BTreeSet::new(), vec![*id]);
        let mut walked = 0;
        while let Some(id) = open.pop() {
            for waiting in self.waits_for.get(&id).into_iter().flatten().filter(|waiting| **waiting != id) {
                authors.extend(self.by_id.get(waiting).map(|(author, _)| *author));
                open.push(*waiting);
                walked += 1;
            }
            if walked > CHAIN_WALKED_MAX {
                return None;
            }
        }
        Some(authors)
    }

    /// The last entry of an author that waits and has a number between these two.
    pub(super) fn between(&self, author: &PeerId, after: u64, before: u64) -> Option<EntryId> {
        let from = (after.saturating_add(1), EntryId([0; 32]));
        let waiting = self.authors.get(author).filter(|_| from.0 < before)?;
        waiting.entries.range(from..(before, EntryId([0; 32]))).next_back().map(|((_, id), _)| *id)
    }

    /// What is waited for and does not wait here itself, but for the store.
    pub(super) fn missing(&self) -> impl Iterator<Item = &EntryId> {
        self.missing.iter()
    }

    /// Whether anything of an author waits.
    pub(super) fn has_any_of(&self, author: &PeerId) -> bool {
        self.authors.contains_key(author)
    }

    /// The entry of this id, if it waits.
    pub(super) fn get(&self, id: &EntryId) -> Option<&KeptEntry> {
        let (author, seq) = self.by_id.get(id)?;
        self.authors.get(author)?.entries.get(&(*seq, *id))
    }

    /// Holds an entry no longer: nothing is to be asked for on its account.
    fn let_go(&mut self, id: &EntryId) {
        self.stop_waiting(id);
        self.remove(id);
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, id: &EntryId) -> Option<KeptEntry> {
        self.waits_on.remove(id);
        self.behind.remove(id);
        self.freed.remove(id);
        let (author, seq) = self.by_id.remove(id)?;
        note_missing(&mut self.missing, &self.by_id, &self.waits_for, *id);
        let waiting = self.authors.get_mut(&author)?;
        let kept = waiting.entries.remove(&(seq, *id))?;
        waiting.bytes -= kept.entry.encoded_bytes();
        if waiting.entries.is_empty() {
            self.authors.remove(&author);
        }
        Some(kept)
    }
}

/// Notes whether this is waited for and missing, after anything about it has changed.
fn note_missing(
    missing: &mut BTreeSet<EntryId>,
    by_id: &BTreeMap<EntryId, (PeerId, u64)>,
    waits_for: &BTreeMap<EntryId, BTreeSet<EntryId>>,
    id: EntryId,
) {
    if waits_for.get(&id).is_some_and(|waiting| waiting.contains(&id) || !by_id.contains_key(&id)) {
        missing.insert(id);
    } else {
        missing.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::log::Place;
    use crate::wire::{Body, Entry, Few, RoomId, RosterHash};

    const ANN: PeerId = PeerId([1; 32]);

    fn id(number: u8) -> EntryId {
        EntryId([number; 32])
    }

    fn kept(number: u8) -> KeptEntry {
        let (room, none, text) = (RoomId([9; 32]), RosterHash([0; 32]), vec![b'x'; crate::limits::TEXT_BYTES_MAX]);
        let entry = Entry {
            room,
            author: ANN,
            seq: u64::from(number),
            previous: id(number - 1),
            audience: none,
            previous_audience: none,
            seen: Few::default(),
            depth: 0,
            wall_ms: 0,
            salt: [0; 16],
            body: Body { kind: 1, bytes: text.try_into().unwrap() },
        };
        KeptEntry { entry: Arc::new(entry), id: id(number), signature: None, place: Place { epoch: 0, depth: 0 } }
    }

    /// What is missing, found out from nothing but what waits for what.
    fn missing(held: &Held) -> Vec<EntryId> {
        let all = held.waits_for.iter();
        let missing = all.filter(|(on, waiting)| !held.by_id.contains_key(*on) || waiting.contains(*on));
        missing.map(|(on, _)| *on).collect()
    }

    #[test]
    fn nothing_waits_for_itself_in_the_end() {
        // A liar's fifth entry names another author's, which names the liar's eighth, which comes behind the fifth.
        let (fifth, other, eighth) = (5, 100, 8);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut held = Held::default();
            for number in [fifth, other, eighth] {
                assert!(held.hold(ANN, VecDeque::from([kept(number)])));
            }
            let mut freed = Vec::new();
            for step in order {
                freed.extend(match step {
                    0 => held.wait(id(fifth), id(other)),
                    1 => held.wait(id(other), id(eighth)),
                    _ => held.wait_behind(id(eighth), id(fifth)),
                });
            }
            assert_eq!(freed, [id(eighth)], "{order:?}");
            assert!(held.is_freed(&id(eighth)));
            assert_eq!(held.kept_by(&id(fifth)), Some(id(eighth)));
            assert_eq!(held.released_by(&id(eighth)), [id(other)].into(), "it can be taken, and lets go the others");
        }
    }

    #[test]
    fn what_is_missing_is_what_is_waited_for_and_does_not_wait_itself() {
        let mut held = Held::default();
        // Every order of a few steps, told by a number: hold, wait for another or for the store, come, go.
        let mut steps = 1_u32;
        let mut seen = BTreeSet::new();
        for _ in 0..20_000 {
            steps = steps.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (what, one, other) = (steps >> 30, (steps >> 20) as u8 % 200 + 1, (steps >> 10) as u8 % 200 + 1);
            match what {
                0 => _ = held.hold(ANN, VecDeque::from([kept(one)])),
                // Each waits for one thing at a time.
                1 if held.get(&id(one)).is_some() && !held.waits_on.contains_key(&id(one)) => {
                    let _ = held.wait(id(one), if other % 8 == 0 { id(one) } else { id(other) });
                }
                2 => _ = held.released_by(&id(other)),
                3 if steps & 64 == 0 => held.let_go(&id(one)),
                _ => {}
            }
            let found: Vec<EntryId> = held.missing().copied().collect();
            assert_eq!(found, missing(&held));
            seen.insert(found.len());
        }
        assert!(seen.len() > 5, "{seen:?}");
    }
}
