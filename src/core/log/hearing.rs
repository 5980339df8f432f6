//! Taking in what others wrote: a run is verified as a whole, its entries are taken one by one, each after all that it
//! names.
//!
//! An entry is shown behind all that it names, so it can be taken only when those are here. What waits is
//! held, within bounds, and counts for nothing until it is taken: it is not acknowledged, so it comes again if dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Log;
use super::audiences::Audiences;
use super::author::{AuthorLog, KeptEntry, Place};
use super::places::Known;
use crate::core::consent::chain::Chain;
use crate::core::consent::roster::is_member;
use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme};
use crate::limits::{DEPTH_STATED_MAX, SEQ_MAX};
use crate::planted::{self, Bug};
use crate::wire::{Entry, EntryId, RosterHash, Run};

/// Why a run was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It breaks a rule.
    Misdeed(Misdeed),
    /// Its audience is a roster this member does not know yet: try again after the next step.
    UnknownAudience,
    /// Something before it is missing: it will come, since the frontier asks for it.
    Gap,
    /// All of it is here.
    Known,
    /// Too much of this author waits already: it will come again.
    Full,
}

impl From<Misdeed> for Rejected {
    fn from(misdeed: Misdeed) -> Self {
        Rejected::Misdeed(misdeed)
    }
}

/// What came of something heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// What is new, each after all that it names.
    pub taken: Vec<Taken>,
    /// Authors now known to have broken a rule, and which.
    pub blamed: Vec<(PeerId, Misdeed)>,
    /// What was gone on without just now: whose log, from which number to which one.
    pub hole: Option<(PeerId, u64, u64)>,
}

/// Entries that are missing here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// By id, to be looked up in the store.
    pub look_up: Vec<EntryId>,
    /// By author and number, to be looked up in the store: whether something else stands there.
    pub numbers: Vec<(PeerId, u64)>,
    /// By id, to be asked for.
    pub ask: Vec<EntryId>,
}

/// A new entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The entry.
    pub kept: KeptEntry,
    /// Whether it is on another branch than the author's log here.
    pub forked: bool,
    /// Whether it came into a hole of its author's log: others may have gone on without it, too.
    pub late: bool,
}

/// How an entry that was verified stands to what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It is here.
    Known,
    /// It continues the author's log, at this depth.
    Next(u64),
    /// It belongs into a hole of the author's log, at this depth.
    Fills(u64),
    /// It is on another branch, at this depth.
    Forked(u64),
    /// This is not here, which it names; or the store has not said yet whether this, itself, is here.
    Waits(EntryId),
    /// This waits here, which comes before it in the author's log, over what is for others: nothing that it names.
    Behind(EntryId),
    /// It names an entry that can't be the one before it.
    Broken,
}

/// The chain and ourselves, by which it is told who may have what.
#[derive(Clone, Copy)]
struct Eyes<'c> {
    chain: &'c Chain,
    me: &'c PeerId,
}

impl Log {
    /// Takes a run from whoever sent it, as far as what it names is here; the rest waits.
    ///
    /// Duplicates are removed before the signature is looked at. A hole is allowed only where the author says that the
    /// entry before was for an audience this member is not in.
    ///
    /// # Errors
    /// [`Rejected`]; the log stays as it was.
    pub fn receive(&mut self, run: &Run, chain: &Chain, me: &PeerId, scheme: &dyn Scheme) -> Result<Heard, Rejected> {
        let eyes = Eyes { chain, me };
        let (tip, first, last) = (run.tip(), run.first(), run.last());
        let author = first.author;
        if first.room != chain.room() || last.seq > SEQ_MAX {
            return Err(Misdeed::Malformed.into());
        }
        let newest = tip.unverified().id;
        // What came into a hole, or is asked for by name, has behind it what is known.
        let named = |id: &EntryId| self.held.is_awaited(id) || self.places.is_given_up(id);
        let filling = run.ids().iter().any(named);
        if self.has(&author, last.seq, &newest) && !filling {
            return Err(Rejected::Known);
        }
        let epoch = self.epoch_of(first, eyes)?;
        let known = match (filling, self.goes_on_with(first)) {
            (false, false) => self.known_of(run),
            (false, true) => 0,
            (true, _) => {
                let here = |(entry, id): (&Arc<Entry>, &EntryId)| self.has(&author, entry.seq, id);
                run.entries().iter().zip(run.ids()).take_while(|one| here(*one)).count()
            }
        };
        // The same end may wait already while what came before it is new.
        if run.ids()[known..].iter().all(|id| self.held.get(id).is_some()) {
            return Err(Rejected::Known);
        }
        let first_new = &run.entries()[known];
        let skips = first_new.seq > self.head_seq(&author).saturating_add(1);
        let in_hole = skips && self.authors.get(&author).is_some_and(|log| log.has_hole_before(first_new.seq));
        if !in_hole {
            match self.check_gap(first_new, eyes) {
                // Something here names it and waits for it: what comes before it is asked for by name as well, since of an author with
                // branches no frontier brings it.
                Err(Rejected::Gap) if filling => {}
                checked => checked?,
            }
        }
        // Nobody is accused of two entries by anything but their own signature.
        tip.verify(scheme).map_err(|_| Misdeed::BadSignature)?;

        let mut heard = Heard::default();
        if in_hole {
            let last = first_new.seq.saturating_sub(1);
            self.places.give_up(first_new.previous, author, last);
            heard.hole = Some((author, self.head_seq(&author).saturating_add(1), last));
        }
        if self.contradicts(first_new) && self.accused.insert(author) {
            heard.blamed.push((author, Misdeed::TwoEntries));
        }
        let others = run.entries().iter().zip(run.ids()).skip(known);
        let new = others.filter(|(entry, id)| !filling || !self.has(&author, entry.seq, id)).map(|(entry, id)| {
            let signature = (*id == newest).then_some(run.signature());
            KeptEntry { entry: Arc::clone(entry), id: *id, signature, place: Place { epoch, depth: 0 } }
        });
        let mut new: VecDeque<KeptEntry> = new.collect();
        let released = self.take_at_once(&mut new, eyes, &mut heard);
        let mut open: VecDeque<EntryId> = new.iter().map(|kept| kept.id).collect();
        // Of an author of whom something waits nothing was taken at once; what is left of this run finds room otherwise.
        if !self.held.hold(author, new) {
            if !self.accused.contains(&author) {
                return Err(Rejected::Full);
            }
            // A liar's branch that does not fit must not keep those waiting who were told it and named it.
            let released = open.iter().flat_map(|id| {
                self.places.waive(*id);
                self.held.released_by(id)
            });
            open = released.collect();
        }
        open.extend(released);
        self.settle(open, eyes, &mut heard);
        Ok(heard)
    }

    /// What the store says about entries that were looked up: those found, of all that were asked for.
    pub fn looked_up(&mut self, asked: &[EntryId], found: &[(EntryId, Known)], chain: &Chain, me: &PeerId) -> Heard {
        for (id, known) in found {
            self.places.insert(*id, *known);
        }
        for id in asked.iter().filter(|id| !found.iter().any(|(found, _)| found == *id)) {
            self.places.note_absent(*id);
            let old = self.held.get(id).filter(|kept| self.is_old(&kept.entry)).map(|kept| &kept.entry);
            let same = |known: &Known| old.is_some_and(|old| (known.author, known.seq) == (old.author, old.seq));
            if old.is_some() && !found.iter().any(|(_, known)| same(known)) {
                self.places.note_in_hole(*id);
            }
        }
        let open = asked.iter().flat_map(|id| self.held.released_by(id)).collect();
        let mut heard = Heard::default();
        self.settle(open, Eyes { chain, me }, &mut heard);
        heard
    }

    /// Nobody who can be asked has this entry: it is not waited for, until somebody comes ([`Log::hope_again`]).
    pub fn give_up_on(&mut self, id: EntryId, chain: &Chain, me: &PeerId) -> Heard {
        // What comes right after it in its log begins behind a hole, which others may be asked about later.
        let after = self.held.waiting_for(&id).find(|kept| kept.entry.previous == id);
        let hole = after.map(|kept| (kept.entry.author, kept.entry.seq.saturating_sub(1)));
        if let Some((author, last)) = hole {
            self.places.give_up(id, author, last);
        }
        self.places.lose(id);
        let mut heard = Heard::default();
        let open = self.held.released_by(&id).into_iter().collect();
        self.settle(open, Eyes { chain, me }, &mut heard);
        heard
    }

    /// What is missing so that what waits can be taken.
    pub fn missing(&self) -> Missing {
        let (look_up, ask): (Vec<EntryId>, Vec<EntryId>) =
            self.held.missing().partition(|id| !self.places.is_absent(id));
        let numbers = look_up.iter().filter_map(|id| self.held.get(id)).map(|kept| (kept.entry.author, kept.entry.seq));
        Missing { numbers: numbers.collect(), look_up, ask }
    }

    fn may_have(&self, eyes: Eyes<'_>, audience: &RosterHash) -> bool {
        let audiences = Audiences { chain: eyes.chain, past: &self.past };
        audiences.find(audience).is_some_and(|roster| is_member(roster, eyes.me))
    }

    /// Whether this very entry is here.
    fn has(&self, author: &PeerId, seq: u64, id: &EntryId) -> bool {
        let in_log = || self.authors.get(author).and_then(|log| log.recent(seq)).is_some_and(|kept| kept.id == *id);
        self.places.get(id).is_some() || self.places.is_waived(id) || in_log()
    }

    /// Whether an entry comes right after the newest of a log without branches, so that nothing from it on can be here.
    fn goes_on_with(&self, first: &Entry) -> bool {
        let head = self.authors.get(&first.author).and_then(AuthorLog::head);
        head.is_some_and(|head| head.id == first.previous) && !self.accused.contains(&first.author)
    }

    /// How many of a run's entries need not be looked at: what is known vouches, by the chain, for all before it.
    fn known_of(&self, run: &Run) -> usize {
        let author = run.first().author;
        let entries = run.entries().iter().zip(run.ids());
        let known = entries.rev().position(|(entry, id)| self.has(&author, entry.seq, id));
        known.map_or(0, |from_end| run.ids().len() - from_end)
    }

    /// The number of the roster a run was written under, if this member may have it.
    fn epoch_of(&self, first: &Entry, eyes: Eyes<'_>) -> Result<u64, Rejected> {
        match (Audiences { chain: eyes.chain, past: &self.past }).find(&first.audience) {
            Some(roster) if is_member(roster, eyes.me) && is_member(roster, &first.author) => Ok(roster.epoch),
            Some(_) => Err(Misdeed::WrongAudience.into()),
            // What we wrote ourselves, in a seat that we have no record of any more: older than everything else.
            None if first.author == *eyes.me && self.own_anyway => Ok(0),
            None => Err(Rejected::UnknownAudience),
        }
    }

    /// Whether something is missing before a run's first new entry that the frontier will bring in order.
    fn check_gap(&self, first: &Entry, eyes: Eyes<'_>) -> Result<(), Rejected> {
        let head = self.authors.get(&first.author).and_then(AuthorLog::head);
        let next = head.map_or(1, |kept| kept.entry.seq.saturating_add(1));
        if first.seq == next {
            let follows = head.is_none_or(|kept| kept.id == first.previous);
            let audience = head.map_or(RosterHash([0; 32]), |kept| kept.entry.audience);
            return if follows && audience != first.previous_audience {
                Err(Misdeed::BrokenChain.into())
            } else {
                Ok(())
            };
        }
        let attached = self.places.get(&first.previous).is_some()
            || self.held.get(&first.previous).is_some()
            || !self.may_have(eyes, &first.previous_audience);
        let comes_in_order = first.seq > next && !attached && !self.accused.contains(&first.author);
        if comes_in_order { Err(Rejected::Gap) } else { Ok(()) }
    }

    /// Whether a verified entry proves that its author signed two under one number: this one, or the one before it.
    fn contradicts(&self, entry: &Entry) -> bool {
        let Some(log) = self.authors.get(&entry.author) else { return false };
        let other_before = log.head_seq().checked_add(1) == Some(entry.seq)
            && log.head().is_some_and(|kept| kept.id != entry.previous);
        other_before || log.recent(entry.seq).is_some()
    }

    /// Takes what can be taken of these entries that wait, and of those that waited for them.
    fn settle(&mut self, mut open: VecDeque<EntryId>, eyes: Eyes<'_>, heard: &mut Heard) {
        while let Some(id) = open.pop_front() {
            let Some(kept) = self.held.get(&id) else { continue };
            let author = kept.entry.author;
            let stand = self.stand(kept, eyes);
            match stand {
                Stand::Waits(on) => {
                    open.extend(self.held.wait(id, on));
                    continue;
                }
                Stand::Behind(on) => {
                    open.extend(self.held.wait_behind(id, on));
                    continue;
                }
                Stand::Known => drop(self.held.remove(&id)),
                Stand::Broken => {
                    self.held.remove(&id);
                    heard.blamed.push((author, Misdeed::BrokenChain));
                }
                Stand::Next(_) | Stand::Fills(_) | Stand::Forked(_) => {
                    if matches!(stand, Stand::Forked(_)) && self.accused.insert(author) {
                        heard.blamed.push((author, Misdeed::TwoEntries));
                    }
                    if let Some(kept) = self.held.remove(&id) {
                        self.take(kept, stand, eyes, heard);
                    }
                }
            }
            open.extend(self.held.released_by(&id));
        }
    }

    /// Takes of new entries, oldest first, those that go on with their author's log and wait for nothing: nearly always all of
    /// them. What waited for these.
    fn take_at_once(&mut self, new: &mut VecDeque<KeptEntry>, eyes: Eyes<'_>, heard: &mut Heard) -> Vec<EntryId> {
        let mut released = Vec::new();
        while let Some(kept) = new.pop_front() {
            let alone = !self.held.has_any_of(&kept.entry.author) && !self.accused.contains(&kept.entry.author);
            let stand = if alone { self.stand(&kept, eyes) } else { Stand::Known };
            let Stand::Next(_) = stand else {
                new.push_front(kept);
                break;
            };
            let id = kept.id;
            self.take(kept, stand, eyes, heard);
            released.extend(self.held.released_by(&id));
        }
        released
    }

    fn take(&mut self, mut kept: KeptEntry, stand: Stand, eyes: Eyes<'_>, heard: &mut Heard) {
        let (Stand::Next(depth) | Stand::Fills(depth) | Stand::Forked(depth)) = stand else { return };
        kept.place.depth = depth;
        let log = self.authors.entry(kept.entry.author).or_default();
        let forked = matches!(stand, Stand::Forked(_));
        match stand {
            Stand::Fills(_) => log.fill(kept.clone()),
            Stand::Forked(_) => {
                if !log.append_fork(kept.clone()) {
                    return self.places.waive(kept.id);
                }
            }
            _ if kept.entry.author == *eyes.me => log.append(kept.clone()),
            _ => log.append_heard(kept.clone()),
        }
        self.places.insert(kept.id, Known::of(&kept));
        if kept.entry.author != *eyes.me && kept.entry.audience == eyes.chain.head() {
            self.ends.note(&kept);
        }
        heard.taken.push(Taken { kept, forked, late: matches!(stand, Stand::Fills(_)) });
    }

    /// How an entry stands to what is here.
    fn stand(&self, kept: &KeptEntry, eyes: Eyes<'_>) -> Stand {
        let entry = &kept.entry;
        if self.has(&entry.author, entry.seq, &kept.id) {
            return Stand::Known;
        }
        let log = self.authors.get(&entry.author);
        if self.is_old(entry) && !self.places.is_absent(&kept.id) {
            return Stand::Waits(kept.id);
        }
        if self.before(entry).is_some_and(|before| !is_before(&before, entry)) || !first_is_first(entry) {
            return Stand::Broken;
        }
        if let Some(missing) = self.not_here(entry, eyes) {
            return Stand::Waits(missing);
        }
        let head = log.and_then(AuthorLog::head);
        let next = head.is_none_or(|head| {
            head.id == entry.previous || (entry.seq > head.entry.seq + 1 && self.before(entry).is_none())
        });
        // A jump over what is for others leaves out nothing that is for us and waits for something else.
        if next && !self.accused.contains(&entry.author) && !self.held.is_freed(&kept.id) {
            let here = head.map_or(0, |head| head.entry.seq);
            if let Some(skipped) = self.held.between(&entry.author, here, entry.seq) {
                return Stand::Behind(skipped);
            }
        }
        let depth = self.depth(entry);
        if next {
            return Stand::Next(depth);
        }
        // Whoever came in later, or came back, has a log that begins later: what comes from before that is no second entry.
        // Of two that would fill the same hole the second is one, too.
        let late = head.is_some_and(|head| entry.seq < head.entry.seq);
        if (late || self.places.is_in_hole(&kept.id)) && !self.is_second(entry, &kept.id) {
            Stand::Fills(depth)
        } else {
            Stand::Forked(depth)
        }
    }

    /// Whether another entry of this author and number is here.
    fn is_second(&self, entry: &Entry, id: &EntryId) -> bool {
        let recent = self.authors.get(&entry.author).and_then(|log| log.recent(entry.seq));
        recent.is_some() || self.places.has_another(&entry.author, entry.seq, id)
    }

    /// Whether an entry bears a number that the log here has passed longer ago than memory reaches.
    fn is_old(&self, entry: &Entry) -> bool {
        let Some(log) = self.authors.get(&entry.author) else { return false };
        entry.seq <= log.head_seq() && log.recent(entry.seq).is_none()
    }

    /// The author's entry before this one, if it is here.
    fn before(&self, entry: &Entry) -> Option<Known> {
        let head = self.authors.get(&entry.author).and_then(AuthorLog::head);
        let head = head.filter(|kept| kept.id == entry.previous).map(Known::of);
        head.or_else(|| self.places.get(&entry.previous).copied())
    }

    /// The first that an entry names, is not here, and may be had: the one before it, so that of a branch only the
    /// beginning is asked for.
    fn not_here(&self, entry: &Entry, eyes: Eyes<'_>) -> Option<EntryId> {
        let has_before = self.before(entry).is_some() || self.places.is_excused(&entry.previous);
        if !has_before && self.may_have(eyes, &entry.previous_audience) {
            return Some(entry.previous);
        }
        // What waits here itself is waited for, also if it was given up before it came.
        let comes = |id: &EntryId| self.held.get(id).is_some() && !self.places.is_waived(id);
        let unknown = |id: &&EntryId| self.places.get(id).is_none() && (comes(id) || !self.places.is_excused(id));
        // Of an audience that we have no record of, we know nothing that was said.
        let awaited = |_: &&EntryId| self.may_have(eyes, &entry.audience) && !planted::is(Bug::SeenNotAwaited);
        entry.seen.iter().find(unknown).filter(awaited).copied()
    }

    /// How deep an entry stands: as its author says, but below all of the same audience that it names and that is here.
    fn depth(&self, entry: &Entry) -> u64 {
        let seen = entry.seen.iter().filter_map(|id| self.places.get(id).copied());
        let named = seen.chain(self.before(entry)).filter(|known| known.audience == entry.audience);
        let deepest = named.map(|known| known.place.depth).max().unwrap_or(0);
        let stated = if entry.depth <= DEPTH_STATED_MAX { entry.depth } else { 0 };
        if planted::is(Bug::DepthBelieved) {
            return stated;
        }
        stated.max(deepest.saturating_add(1))
    }
}

/// Whether a known entry can be the one before.
fn is_before(before: &Known, entry: &Entry) -> bool {
    before.author == entry.author
        && before.seq.checked_add(1) == Some(entry.seq)
        && before.audience == entry.previous_audience
}

/// Whether an entry that says to be the first says so everywhere.
fn first_is_first(entry: &Entry) -> bool {
    let nothing_before = entry.previous == EntryId([0; 32]) && entry.previous_audience == RosterHash([0; 32]);
    (entry.seq == 1) == nothing_before && entry.seq > 0
}
