//! Where entries stand in the transcript: the newest by id, in memory; older ones the store is asked for.
//!
//! Also the ends of what was said: entries of the current audience that no other entry has named, which are what the next
//! own entry names as seen.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use super::author::{KeptEntry, Place};
use crate::identity::PeerId;
use crate::limits::{FORK_ENDS_MAX, HOLES_PER_AUTHOR_MAX, IDS_REMEMBERED_MAX, PLACES_KEPT_MAX, SEEN_HEADS_MAX};
use crate::wire::{EntryId, RosterHash};

/// What is known of an entry without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Who wrote it.
    pub author: PeerId,
    /// Its number in its author's log.
    pub seq: u64,
    /// Whom it is for.
    pub audience: RosterHash,
    /// Where it stands.
    pub place: Place,
}

impl Known {
    /// What is known of a kept entry.
    pub fn of(kept: &KeptEntry) -> Self {
        let entry = &kept.entry;
        Known { author: entry.author, seq: entry.seq, audience: entry.audience, place: kept.place }
    }
}

/// What is missing before, and with, the last entry of it.
#[derive(Debug, Clone, Copy)]
struct Hole {
    author: PeerId,
    /// The last entry's number.
    end: u64,
    /// Whether the last entry is given up. If not, it was for others, for all that is known, and something before it may be missing.
    gone_over: bool,
}

/// The newest entries by id, and what was found out about others.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// Where each is in `order`, counted from the first that ever came. By the whole id: two that begin alike can be made, and an entry that
    /// names both would be looked up in turn for ever.
    by_id: Parts,
    /// In the order they came; the oldest goes first.
    order: VecDeque<(EntryId, Known)>,
    /// How many have gone from the front of it.
    gone: u64,
    /// Entries that the store does not have.
    absent: BTreeSet<EntryId>,
    /// Entries on branches beyond what is kept: nobody waits for them, and they are not taken.
    waived: BTreeSet<EntryId>,
    /// The last entry of each hole that is known. Of a hole that was gone over nobody waits for it, but it is taken if it comes.
    hole_ends: BTreeMap<EntryId, Hole>,
    /// The same, by author and number.
    holes: BTreeMap<(PeerId, u64), EntryId>,
    /// Entries that nobody who could be asked had: the same, until somebody comes.
    lost: BTreeSet<EntryId>,
    /// Entries that were given up, and are waited for once more since somebody may have them.
    hoped_for: BTreeSet<EntryId>,
    /// Entries of which the store says that nothing stands at their number.
    in_holes: BTreeSet<EntryId>,
}

impl Places {
    pub(super) fn get(&self, id: &EntryId) -> Option<&Known> {
        let at = self.by_id.part(id)?.get(id)?.checked_sub(self.gone)?;
        self.order.get(usize::try_from(at).ok()?).map(|(_, known)| known)
    }

    /// Whether another entry of this author and number is known.
    pub(super) fn has_another(&self, author: &PeerId, seq: u64, id: &EntryId) -> bool {
        let same = |known: &Known| known.author == *author && known.seq == seq;
        self.order.iter().any(|(other, known)| other != id && same(known))
    }

    pub(super) fn insert(&mut self, id: EntryId, known: Known) {
        self.absent.remove(&id);
        self.come(&id);
        // One walk down the tree for each entry, and one for the entry that goes: there are many.
        let at = self.gone + self.order.len() as u64;
        let Slot::Vacant(slot) = self.by_id.part_mut(&id).entry(id) else { return };
        slot.insert(at);
        self.order.push_back((id, known));
        if self.order.len() > PLACES_KEPT_MAX
            && let Some((oldest, _)) = self.order.pop_front()
        {
            self.by_id.part_mut(&oldest).remove(&oldest);
            self.gone += 1;
        }
    }

    pub(super) fn is_absent(&self, id: &EntryId) -> bool {
        self.absent.contains(id)
    }

    pub(super) fn note_absent(&mut self, id: EntryId) {
        remember(&mut self.absent, id);
    }

    pub(super) fn is_waived(&self, id: &EntryId) -> bool {
        self.waived.contains(id)
    }

    /// Whether an entry that is not here is not waited for.
    pub(super) fn is_excused(&self, id: &EntryId) -> bool {
        self.waived.contains(id) || self.is_given_up(id) || self.lost.contains(id)
    }

    /// Goes on without what stands before a hole, whose last entry this is. Of each author the newest holes are remembered, so that nobody
    /// makes us forget another's.
    pub(super) fn give_up(&mut self, id: EntryId, author: PeerId, seq: u64) {
        self.remember_hole(id, Hole { author, end: seq, gone_over: true });
    }

    /// Something may be missing before this entry, which is not here, and which itself nobody here waits for or goes without.
    pub(super) fn note_left_out(&mut self, id: EntryId, author: PeerId, seq: u64) {
        if !self.hole_ends.contains_key(&id) {
            self.remember_hole(id, Hole { author, end: seq, gone_over: false });
        }
    }

    fn remember_hole(&mut self, id: EntryId, hole: Hole) {
        // It may be named as what comes before several entries, by a liar.
        self.come(&id);
        let Hole { author, end, .. } = hole;
        self.hole_ends.insert(id, hole);
        if let Some(other) = self.holes.insert((author, end), id) {
            self.hole_ends.remove(&other);
        }
        if self.holes_of(&author, (0, u64::MAX)).count() > HOLES_PER_AUTHOR_MAX {
            let oldest = self.holes_of(&author, (0, u64::MAX)).next().map(|(_, id)| *id);
            oldest.iter().for_each(|id| self.come(id));
        }
    }

    /// The last entries of holes in an author's log, of the numbers above `after` and up to `up_to`.
    pub(super) fn holes_of(
        &self,
        author: &PeerId,
        (after, up_to): (u64, u64),
    ) -> impl DoubleEndedIterator<Item = (u64, &EntryId)> {
        let numbers = (Bound::Excluded((*author, after)), Bound::Included((*author, up_to.max(after))));
        self.holes.range(numbers).map(|((_, seq), id)| (*seq, id))
    }

    /// Whether this is the last entry of a hole.
    pub(super) fn is_given_up(&self, id: &EntryId) -> bool {
        self.hole_ends.get(id).is_some_and(|hole| hole.gone_over)
    }

    /// It has come, or is too old to be hoped for.
    fn come(&mut self, id: &EntryId) {
        if let Some(hole) = self.hole_ends.remove(id) {
            self.holes.remove(&(hole.author, hole.end));
        }
    }

    /// Waits again for what is before holes in an author's log that end with a number above `after` and up to `up_to`, for each once; whether
    /// there are any.
    pub(super) fn hope_up_to(&mut self, author: &PeerId, (after, up_to): (u64, u64)) -> bool {
        let ends = self.holes_of(author, (after, up_to)).map(|(_, id)| *id);
        let ends: Vec<EntryId> = ends.filter(|id| self.is_given_up(id) && !self.hoped_for.contains(id)).collect();
        for id in &ends {
            self.come(id);
            remember(&mut self.hoped_for, *id);
        }
        !ends.is_empty()
    }

    pub(super) fn is_hoped_for(&self, id: &EntryId) -> bool {
        self.hoped_for.contains(id)
    }

    /// Nobody who can be asked has this entry.
    pub(super) fn lose(&mut self, id: EntryId) {
        remember(&mut self.lost, id);
    }

    /// Somebody came who may have what was lost: whatever names it from now on waits for it again.
    pub(super) fn hope_again(&mut self) {
        self.lost.clear();
    }

    pub(super) fn is_in_hole(&self, id: &EntryId) -> bool {
        self.in_holes.contains(id)
    }

    pub(super) fn note_in_hole(&mut self, id: EntryId) {
        remember(&mut self.in_holes, id);
    }

    pub(super) fn waive(&mut self, id: EntryId) {
        remember(&mut self.waived, id);
    }
}

/// A map from ids, in as many parts as their first byte has values: one with some sixty entries is gone through in half the time that one
/// with all of them takes. Whoever makes ids that all begin alike gets the one map that this would be otherwise.
#[derive(Debug, Clone, Default)]
struct Parts(Vec<BTreeMap<EntryId, u64>>);

impl Parts {
    /// The part in which an id is, if it is in any.
    fn part(&self, id: &EntryId) -> Option<&BTreeMap<EntryId, u64>> {
        self.0.get(usize::from(id.0[0]))
    }

    /// The part in which an id is to be.
    fn part_mut(&mut self, id: &EntryId) -> &mut BTreeMap<EntryId, u64> {
        if self.0.is_empty() {
            self.0.resize_with(usize::from(u8::MAX) + 1, BTreeMap::new);
        }
        &mut self.0[usize::from(id.0[0])]
    }
}

fn remember(ids: &mut BTreeSet<EntryId>, id: EntryId) {
    if ids.len() >= IDS_REMEMBERED_MAX {
        ids.clear();
    }
    ids.insert(id);
}

/// Entries of others that no entry known here has named, by the chain or as seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends(BTreeMap<EntryId, Known>);

impl Ends {
    /// What nobody has named among the newest entries of others.
    pub(super) fn among<'k>(recent: impl Iterator<Item = &'k KeptEntry> + Clone, me: &PeerId) -> Self {
        let named: BTreeSet<EntryId> =
            recent.clone().flat_map(|kept| kept.entry.seen.iter().copied().chain([kept.entry.previous])).collect();
        let unnamed = recent.filter(|kept| kept.entry.author != *me && !named.contains(&kept.id));
        Ends(unnamed.map(|kept| (kept.id, Known::of(kept))).collect())
    }

    /// An entry of somebody else came.
    pub(super) fn note(&mut self, kept: &KeptEntry) {
        let entry = &kept.entry;
        self.0.remove(&entry.previous);
        self.0.retain(|id, _| !entry.seen.contains(id));
        let of_this_author = self.0.values().filter(|known| known.author == entry.author).count();
        if of_this_author < FORK_ENDS_MAX {
            self.0.insert(kept.id, Known::of(kept));
        }
    }

    /// The entries that an own entry for `audience` names, in ascending order, and the depth of the deepest: at most as
    /// many as an entry may name, those first that stand first. The rest waits for the next entry. Entries for older
    /// audiences come before all of this one's anyway, and newcomers could not look them up.
    pub(super) fn take(&mut self, audience: &RosterHash) -> (Vec<EntryId>, u64) {
        self.0.retain(|_, known| known.audience == *audience);
        let mut ends: Vec<(Place, EntryId)> = self.0.iter().map(|(id, known)| (known.place, *id)).collect();
        ends.sort();
        ends.truncate(SEEN_HEADS_MAX);
        let depth = ends.last().map_or(0, |(place, _)| place.depth);
        let mut seen: Vec<EntryId> = ends.into_iter().map(|(_, id)| id).collect();
        seen.sort();
        self.0.retain(|id, _| !seen.contains(id));
        (seen, depth)
    }
}
