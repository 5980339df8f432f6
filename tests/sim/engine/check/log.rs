//! What must hold of the logs: whose entries are whose, where they stand, and what nobody goes on without.

use p2pchat::core::consent::roster::is_member;
use p2pchat::core::log::KeptEntry;
use p2pchat::identity::PeerId;
use p2pchat::wire::{EntryId, RoomId};

use super::Checks;

/// An entry that somebody went on without.
#[derive(Debug)]
pub(super) struct Skipped {
    /// The rule that this breaks, if it could have been had.
    rule: &'static str,
    who: usize,
    room: RoomId,
    id: EntryId,
    /// Who wrote what names it, and so had it before.
    named_by: Option<PeerId>,
}

impl Checks {
    /// An entry on another branch, which nobody honest has.
    pub(super) fn branch(&mut self, who: usize, me: PeerId, room: RoomId, kept: &KeptEntry) {
        let entry = &kept.entry;
        let first = self.entries.get(&(room, entry.author, entry.seq));
        if self.is_honest(&entry.author) && first.is_some_and(|(id, _)| *id != kept.id) {
            self.fail("an author has one entry under a number", format!("p{who} keeps a branch of {:?}", entry.author));
        }
        if !self.rosters.get(&entry.audience).is_some_and(|roster| is_member(roster, &me)) {
            self.fail("an entry is kept by its audience only", format!("p{who} keeps a branch of {:?}", entry.author));
        }
        self.places.entry(kept.id).or_insert((kept.place, room));
        self.keep(who, kept);
    }

    /// An entry is kept. It can be given from when on something that its author signed comes after it.
    fn keep(&mut self, who: usize, kept: &KeptEntry) {
        let seen = &mut self.seen[who];
        seen.kept.insert(kept.id, self.now);
        if kept.signature.is_none() {
            seen.unproven.insert(kept.id, kept.entry.previous);
            return;
        }
        let mut before = kept.entry.previous;
        while let Some(earlier) = seen.unproven.remove(&before) {
            seen.kept.insert(before, self.now);
            before = earlier;
        }
    }

    /// What an entry names as seen is there before it, as far as it is for this client.
    fn parents(&mut self, who: usize, me: PeerId, room: RoomId, kept: &KeptEntry) {
        self.audiences.insert(kept.id, (kept.entry.audience, (room, kept.entry.author, kept.entry.seq)));
        let seen = &self.seen[who];
        let chain = seen.chains.get(&room);
        let missing = kept.entry.seen.iter().find(|id| {
            !seen.kept.contains_key(id)
                && self.audiences.get(id).is_some_and(|(audience, at)| {
                    chain.is_some_and(|chain| chain.contains(audience))
                        && self.rosters.get(audience).is_some_and(|roster| is_member(roster, &me))
                        // Whoever went on without it, when nobody they heard had it, goes on without it here too.
                        && !seen.holes.contains(at)
                })
        });
        if let (Some(missing), true) = (missing, self.is_honest(&kept.entry.author)) {
            // Those who have it may be gone, as may those with what is in a hole.
            let (rule, id) = ("parents come before their children", *missing);
            let named_by = Some(kept.entry.author);
            self.skipped.push(Skipped { rule, who, room, id, named_by });
        }
        let behind = |id: &&EntryId| self.places.get(id).is_some_and(|(place, at)| *at == room && *place >= kept.place);
        if let Some(parent) = kept.entry.seen.iter().find(|id| seen.kept.contains_key(id) && behind(id)) {
            let what = format!("p{who} has {:?} at {:?}, before {parent:?}", kept.id, kept.place);
            self.fail("parents come before their children", what);
        }
        self.keep(who, kept);
    }

    pub(super) fn entry(&mut self, who: usize, me: PeerId, room: RoomId, kept: &KeptEntry) {
        let entry = &kept.entry;
        let at = (room, entry.author, entry.seq);
        let first = *self.entries.entry(at).or_insert((kept.id, entry.audience));
        if self.is_honest(&entry.author) && (first.0 != kept.id || (entry.author != me && entry.id() != kept.id)) {
            self.fail("an author has one entry under a number", format!("p{who} keeps another {at:?}"));
        }
        let readable = self.rosters.get(&entry.audience).is_some_and(|roster| is_member(roster, &me));
        if !readable {
            self.fail("an entry is kept by its audience only", format!("p{who} keeps {at:?}"));
        }
        let (place, _) = *self.places.entry(kept.id).or_insert((kept.place, room));
        if place != kept.place {
            self.fail("an entry has one place", format!("p{who}: {at:?} at {:?}, elsewhere {place:?}", kept.place));
        }
        self.parents(who, me, room, kept);
        let head = self.seen[who].heads.get(&(room, entry.author)).copied().unwrap_or(0);
        if head >= entry.seq {
            if !self.seen[who].holes.remove(&at) {
                self.fail("a log grows by one", format!("p{who}: {at:?} after {head}"));
            }
            self.seen[who].filled.insert(kept.id);
            return;
        }
        self.seen[who].heads.insert((room, entry.author), entry.seq);
        self.seen[who].holes.extend((head + 1..entry.seq).map(|seq| (room, entry.author, seq)));
        let chain = self.seen[who].chains.get(&room);
        for skipped in head + 1..entry.seq {
            let Some((id, audience)) = self.entries.get(&(room, entry.author, skipped)) else { continue };
            let mine = chain.is_some_and(|chain| chain.contains(audience))
                && self.rosters.get(audience).is_some_and(|roster| is_member(roster, &me));
            if self.is_honest(&entry.author) && mine {
                let rule = "an author's log has no holes";
                self.skipped.push(Skipped { rule, who, room, id: *id, named_by: None });
            }
        }
    }

    /// Entries that somebody went on without just now, which is wrong if anybody they hear, and who could speak, has had one for long enough, since `then`, to
    /// have said so.
    pub fn judge_skipped(&mut self, then: u64, hears: impl Fn(usize, usize) -> bool) {
        for Skipped { rule, who, room, id, named_by } in std::mem::take(&mut self.skipped) {
            let roster = self.roster_of(who, &room);
            let could_give = |(key, other): (&PeerId, &usize)| {
                self.honest[*other]
                    && self.seen[*other].kept.get(&id).is_some_and(|since| *since <= then || named_by == Some(*key))
                    && !self.seen[*other].unproven.contains_key(&id)
                    && roster.is_some_and(|roster| is_member(roster, key))
                    && hears(who, *other)
            };
            let giver = self.keys.iter().find(|giver| could_give(*giver)).map(|(_, other)| *other);
            if let Some(giver) = giver {
                self.fail(rule, format!("p{who} goes on without {id:?}, which p{giver} has"));
            }
        }
    }
}
