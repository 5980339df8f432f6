//! Wanting: entries that something here names and that are missing, asked for until they come, or until it is clear that
//! nobody has them any more (DESIGN.md §5).
//!
//! What names an entry that is given up is shown without it, so it takes proof: every linked member says that they lack it,
//! and one of them has taken what names it, which they can't have done before they had it or knew it to be lost. Members who are away
//! are waited for a while, longest those who gave us what names it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::io::Output;
use crate::core::log::{Known, Missing};
use crate::identity::PeerId;
use crate::limits::{SOUGHT_MAX, WANTED_MAX};
use crate::wire::{EntryId, Few, PeerMessage, Run};

/// Milliseconds before a missing entry is asked for: most often it is on its way, over another link.
const WANT_AFTER_MS: u64 = 100;

/// And in a large room, where it is some members farther.
const WANT_AFTER_LARGE_MS: u64 = 600;

/// First and longest time to wait for an answer, in milliseconds; doubled each time, each time with another member.
const WANT_AGAIN_MS: (u64, u64) = (5_000, 60_000);

/// Milliseconds that members who have a seat and no link with us have to come with what is missing.
const COMES_WITHIN_MS: u64 = 60_000;

/// And for what is missing after something else was given up: they have had their time, but may be gone for a moment only.
const COMES_BACK_WITHIN_MS: u64 = 10_000;

/// Milliseconds after which a member that never answers is taken to lack what is wanted: honest ones may have it and be
/// kept from giving it by what comes before, which takes minutes at most.
const SILENT_MS: u64 = 300_000;

/// An entry that is missing here.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Who told us something that names it, or was asked last.
    of: PeerId,
    /// When to ask.
    pub(super) at: u64,
    /// How long to wait for the answer.
    wait_ms: u64,
    /// Since when.
    since: u64,
    /// Since when what names it has waited, also for what was given up before: nobody has the same time to come for each of many that are
    /// missing one after the other.
    waits_since: u64,
    /// Who says that they lack it, and whether they had something by then that names it.
    lack: BTreeMap<PeerId, bool>,
    /// Who gave us something that names it, and so has taken that.
    given_by: BTreeSet<PeerId>,
    /// Who gave us something that waits for what names it, and so has what came later. It may have been for them when what came before was
    /// not.
    followed_by: BTreeSet<PeerId>,
}

impl Wanted {
    fn new(of: PeerId, at: u64, since: u64, waits_since: u64) -> Self {
        let (lack, given_by, followed_by) = Default::default();
        Wanted { of, at, wait_ms: WANT_AGAIN_MS.0, since, waits_since, lack, given_by, followed_by }
    }

    /// Whether those who say nothing of it are not waited for any more.
    fn is_unanswered(&self, now_ms: u64) -> bool {
        now_ms >= self.since.saturating_add(SILENT_MS)
    }

    /// Whether those who are away have had their time to come with it.
    fn has_waited(&self, now_ms: u64) -> bool {
        now_ms >= self.since.saturating_add(COMES_BACK_WITHIN_MS)
            && now_ms >= self.waits_since.saturating_add(COMES_WITHIN_MS)
    }

    /// Whether it has been waited for for so long that less is proof, and nobody who is away is waited for any more.
    fn is_old(&self, now_ms: u64) -> bool {
        self.has_waited(now_ms) && now_ms >= self.waits_since.saturating_add(SILENT_MS)
    }
}

impl Room {
    /// Finds out where missing entries are to be had: in the store, at whoever told us of them.
    pub(super) fn seek(&mut self, ctx: &mut Ctx<'_>, from: PeerId) {
        let Missing { look_up, numbers, ask } = self.log.missing();
        let mut named_by = std::mem::take(&mut self.named_by);
        self.named_by = look_up.iter().map(|id| (*id, named_by.remove(id).unwrap_or_default())).collect();
        if !look_up.is_empty() {
            ctx.out.push(Output::LookUp { room: self.id(), ids: look_up, numbers });
        }
        self.wanted.retain(|id, _| ask.contains(id));
        self.going_on.retain(|author, _| self.log.has_waiting(author));
        let wait = if self.is_large() { WANT_AFTER_LARGE_MS } else { WANT_AFTER_MS };
        let (at, since) = (ctx.now.after_ms(wait), ctx.now.mono_ms);
        for id in ask {
            if !self.wanted.contains_key(&id) {
                let waits_since = self.waits_since(&id).unwrap_or(since);
                let given_by = named_by.remove(&id).unwrap_or_default();
                self.wanted.insert(id, Wanted { given_by, ..Wanted::new(from, at, since, waits_since) });
            }
        }
        self.wanted_from = from;
    }

    /// Since when all have waited who wait for this, if something was given up for each of them before: one of them may have waited for
    /// ever, by a liar's hand.
    fn waits_since(&self, id: &EntryId) -> Option<u64> {
        if self.going_on.is_empty() {
            return None;
        }
        let since = self.log.waiting_for(id)?.into_iter().map(|author| self.going_on.get(&author).copied());
        since.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }

    /// A member gave us this run, and so has all that it names, or has given it up. Their frontier does not tell as much of an author
    /// with branches.
    pub(super) fn note_giver(&mut self, from: PeerId, run: &Run) {
        let nothing_missing = self.wanted.is_empty() && self.named_by.is_empty();
        if !nothing_missing && self.readers.contains_key(&from) {
            for id in run.entries().iter().flat_map(|entry| entry.seen.iter().chain([&entry.previous])) {
                let given_by = self.wanted.get_mut(id).map(|wanted| &mut wanted.given_by);
                given_by.or(self.named_by.get_mut(id)).map(|given_by| given_by.insert(from));
            }
            let first = self.log.kept_by(&run.ids()[0]);
            if let Some(wanted) = first.and_then(|id| self.wanted.get_mut(&id)) {
                wanted.followed_by.insert(from);
            }
        }
    }

    /// The store says which entries it has.
    pub fn on_looked_up(&mut self, ctx: &mut Ctx<'_>, asked: &[EntryId], found: &[(EntryId, Known)]) {
        let heard = self.log.looked_up(asked, found, self.seat.chain(), &ctx.me());
        self.on_heard(ctx, None, heard);
        self.frontier_soon(ctx);
        self.seek(ctx, self.wanted_from);
        for (id, known) in found {
            let seekers =
                self.readers.iter_mut().filter_map(|(peer, reader)| reader.sought.remove(id).then_some(*peer));
            let seekers: Vec<PeerId> = seekers.collect();
            for peer in seekers {
                self.give_wanted(ctx, peer, id, *known);
            }
        }
        let room = self.id();
        for (peer, reader) in &mut self.readers {
            let sought: Vec<EntryId> = reader.sought.extract_if(.., |id| asked.contains(id)).collect();
            for lacking in sought.chunks(WANTED_MAX) {
                ctx.tell_peer(peer, PeerMessage::Lacks((room, Few::first_of(lacking.iter().copied()))));
            }
        }
    }

    /// Time passed: entries that did not come by themselves are asked for, each time of another member.
    pub fn wants_due(&mut self, ctx: &mut Ctx<'_>) {
        let due = self.wanted.iter().filter(|(_, wanted)| wanted.at <= ctx.now.mono_ms);
        let (lost, open): (Vec<EntryId>, Vec<EntryId>) =
            due.map(|(id, _)| *id).partition(|id| self.is_lost(id, ctx.now.mono_ms));
        let mut questions: BTreeMap<PeerId, Vec<EntryId>> = BTreeMap::new();
        for id in open {
            let Some(wanted) = self.wanted.get_mut(&id) else { continue };
            wanted.at = ctx.now.after_ms(wanted.wait_ms);
            let may_have = |peer: &&PeerId| !wanted.lack.contains_key(*peer);
            let first = (wanted.of, wanted.wait_ms == WANT_AGAIN_MS.0 && wanted.lack.is_empty());
            let after = self.readers.range((Bound::Excluded(wanted.of), Bound::Unbounded)).map(|(peer, _)| peer);
            let mut next = after.chain(self.readers.keys()).filter(may_have);
            let whom = match first {
                (of, true) if self.readers.contains_key(&of) => Some(of),
                _ => next.next().copied(),
            };
            wanted.wait_ms = (2 * wanted.wait_ms).min(WANT_AGAIN_MS.1);
            match whom {
                Some(whom) => {
                    wanted.of = whom;
                    questions.entry(whom).or_default().push(id);
                }
                // Somebody may have it by then.
                None => wanted.lack.clear(),
            }
        }
        for (peer, ids) in questions {
            for ids in ids.chunks(WANTED_MAX) {
                ctx.tell_peer(&peer, PeerMessage::Want((self.seat.chain().room(), Few::first_of(ids.iter().copied()))));
            }
        }
        self.give_up_on(ctx, &lost);
    }

    /// A member says that they lack what we asked them for: the next one is asked.
    pub fn on_lacks(&mut self, ctx: &mut Ctx<'_>, from: PeerId, ids: &[EntryId]) {
        let Some(reader) = self.readers.get(&from) else { return };
        for id in ids {
            // Whoever what names it is not for may be past its number without having taken it; that is no proof, and yet they are not
            // waited for for ever who talk on about what came after it.
            let old = self.wanted.get(id).is_some_and(|wanted| wanted.is_old(ctx.now.mono_ms));
            let is_for = |hash| old || self.audience(hash).is_some_and(|roster| is_member(roster, &from));
            let mut naming = self.log.naming(id);
            let past_it = naming.any(|entry| reader.has(&entry.author) >= entry.seq && is_for(&entry.audience));
            drop(naming);
            if let Some(wanted) = self.wanted.get_mut(id).filter(|wanted| wanted.of == from) {
                let past_it = past_it || wanted.given_by.contains(&from) || old && wanted.followed_by.contains(&from);
                wanted.lack.insert(from, past_it);
                // The last to answer need not be the one whose word is proof.
                let proven = wanted.lack.values().any(|past_it| *past_it);
                if self.readers.keys().any(|peer| !wanted.lack.contains_key(peer)) || proven {
                    wanted.at = ctx.now.mono_ms;
                }
            }
        }
        self.wants_due(ctx);
    }

    /// Whether no linked member has an entry, although one of them has taken what names it.
    fn is_lost(&self, id: &EntryId, now_ms: u64) -> bool {
        let Some(wanted) = self.wanted.get(id) else { return false };
        let old = wanted.is_old(now_ms);
        // Whoever has a seat and no link just now may come back with it; they did have it, if they gave us what names it. The word of those
        // who are here, that it is lost, may be a liar's.
        let waited = wanted.has_waited(now_ms);
        let others = self.others(&self.seat.me());
        let mut away = others.iter().filter(|peer| !self.readers.contains_key(peer));
        if away.any(|peer| !waited || !old && wanted.given_by.contains(peer)) {
            return false;
        }
        // What comes right after it would be taken, and leave out what is offered to us from before it.
        let mut after = self.log.naming(id).filter(|entry| entry.previous == *id);
        if !old && after.any(|entry| self.is_offered_before(entry, now_ms)) {
            return false;
        }
        let lacks = |peer: &PeerId| wanted.is_unanswered(now_ms) || wanted.lack.contains_key(peer);
        if !self.readers.keys().all(lacks) {
            return false;
        }
        // What was given up before is lost once nobody has it, whoever may have taken what names it.
        self.log.is_hoped_for(id)
            || wanted.lack.iter().any(|(peer, past_it)| *past_it && self.readers.contains_key(peer))
    }

    fn give_up_on(&mut self, ctx: &mut Ctx<'_>, lost: &[EntryId]) {
        for id in lost {
            let Some(wanted) = self.wanted.remove(id) else { continue };
            for author in self.log.waiting_for(id).into_iter().flatten() {
                let since = self.going_on.entry(author).or_insert(wanted.waits_since);
                *since = wanted.waits_since.min(*since);
            }
            let heard = self.log.give_up_on(*id, self.seat.chain(), &ctx.me());
            self.on_heard(ctx, None, heard);
        }
        if !lost.is_empty() {
            self.frontier_soon(ctx);
            self.seek(ctx, self.wanted_from);
        }
    }

    /// When the next missing entry is to be asked for.
    pub(super) fn wanted_due(&self) -> Option<u64> {
        self.wanted.values().map(|wanted| wanted.at).min()
    }

    /// A member asks for entries by their ids.
    pub fn on_want(&mut self, ctx: &mut Ctx<'_>, from: PeerId, ids: &[EntryId]) {
        let mut unknown = Vec::new();
        for id in ids {
            if let Some(known) = self.log.known(id).copied() {
                self.give_wanted(ctx, from, id, known);
            } else if let Some(reader) = self.readers.get_mut(&from)
                && reader.sought.len() < SOUGHT_MAX
                && reader.sought.insert(*id)
            {
                unknown.push(*id);
            }
        }
        if !unknown.is_empty() {
            ctx.out.push(Output::LookUp { room: self.id(), ids: unknown, numbers: Vec::new() });
        }
    }

    /// Gives a member an entry they asked for, if they may have it: by feeding them its author's log up to there, or, if
    /// they say that they have it that far, by itself.
    fn give_wanted(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, id: &EntryId, known: Known) {
        let Some(log) = self.log.author(&known.author) else { return };
        if !self.audience(&known.audience).is_some_and(|roster| is_member(roster, &peer)) {
            return;
        }
        if let Some(run) = log.forks().run_with(id) {
            return self.show(ctx, &peer, &run);
        }
        if log.forks().get(id).is_some() {
            // What its author signed after it on that branch waited here at the end of an earlier run: nobody would take it unsigned.
            return ctx.tell_peer(&peer, PeerMessage::Lacks((self.id(), Few::first_of([*id]))));
        }
        let Some(reader) = self.readers.get_mut(&peer) else { return };
        if known.seq > reader.has(&known.author) && !self.log.is_accused(&known.author) {
            reader.ask_up_to(known.author, known.seq);
            return self.feed(ctx, peer);
        }
        if let Some(run) = log.run_from(known.seq) {
            return self.show(ctx, &peer, &run);
        }
        self.look_for(ctx, peer, known.author, known.seq);
    }

    /// Asks the store for what a member asked for, from this number of an author's log on.
    pub(super) fn look_for(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, author: PeerId, from: u64) {
        let Some(reader) = self.readers.get_mut(&peer) else { return };
        if reader.looking.len() < SOUGHT_MAX && reader.looking.insert((author, from)) {
            ctx.out.push(Output::Fetch { room: self.seat.chain().room(), reader: peer, author, from });
        }
    }
}
