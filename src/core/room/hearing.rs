//! Hearing: runs in, verified by the log, on disk before they are shown, shown before they are acknowledged; what they
//! name and we lack is asked for; two entries under one number are passed on as a proof (DESIGN.md §5).

use std::collections::{BTreeMap, BTreeSet};

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::event::Misdeed;
use crate::core::io::{Change, Output};
use crate::core::log::{Heard, KeptEntry, Known, Missing, Rejected};
use crate::identity::PeerId;
use crate::limits::{SOUGHT_MAX, WANTED_MAX};
use crate::wire::{EntryId, Few, PeerMessage, Run};

/// Runs kept for a roster that is not adopted yet: those of the seconds between two members' adoptions.
const EARLY_RUNS_MAX: usize = 64;

/// Milliseconds before a missing entry is asked for: most often it is on its way, over another link.
const WANT_AFTER_MS: u64 = 100;

/// First and longest time to wait for an answer, in milliseconds; doubled each time, each time with another member.
const WANT_AGAIN_MS: (u64, u64) = (5_000, 60_000);

/// An entry that is missing here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Who told us something that names it, or was asked last.
    of: PeerId,
    /// When to ask.
    pub(super) at: u64,
    /// How long to wait for the answer.
    wait_ms: u64,
}

impl Room {
    /// A member passes on a run, their own or another's.
    pub fn on_run(&mut self, ctx: &mut Ctx<'_>, from: PeerId, run: Run) {
        let Some((author, last)) = run.entries.last().map(|entry| (entry.author, entry.seq)) else { return };
        if self.waits_for_past(ctx, &run) {
            return self.hold_early(ctx, from, run);
        }
        if self.skips_too_far(&from, &run) && !self.takes_hole(ctx, &author) {
            self.ask_past_gap(ctx, &run);
            return self.frontier_soon(ctx);
        }
        match self.log.receive(run.clone(), self.seat.chain(), &ctx.me(), ctx.scheme) {
            Ok(heard) => {
                // Whoever passes an entry on has it; an author's own need not be offered back to them.
                if let Some(reader) = self.readers.get_mut(&from).filter(|_| from == author) {
                    reader.acknowledge(author, last, false, ctx.now);
                }
                if self.log.is_accused(&author) {
                    self.say_where_we_are(&from, &author);
                }
                self.on_heard(ctx, Some(from), heard);
                self.frontier_soon(ctx);
                self.seek(ctx, from);
            }
            // Our frontier says what we have; whoever sent too little or too much will see.
            Err(Rejected::Known) => {
                self.say_where_we_are(&from, &author);
                self.frontier_soon(ctx);
            }
            Err(Rejected::Gap) if self.takes_hole(ctx, &author) => self.on_run(ctx, from, run),
            Err(Rejected::Gap) => {
                self.ask_past_gap(ctx, &run);
                self.frontier_soon(ctx);
            }
            Err(Rejected::Full) => self.frontier_soon(ctx),
            Err(Rejected::UnknownAudience) => {
                self.hold_early(ctx, from, run);
                self.trace(ctx, from);
            }
            Err(Rejected::Misdeed(misdeed)) => self.blame(ctx, Some(from), misdeed),
        }
    }

    fn hold_early(&mut self, ctx: &Ctx<'_>, from: PeerId, run: Run) {
        let Some(author) = run.entries.first().map(|entry| entry.author) else { return };
        // Our own must not be crowded out: they say which numbers are used.
        if self.early.len() >= EARLY_RUNS_MAX
            && author == ctx.me()
            && let Some(others) = self.early.iter().rposition(|(_, run)| run.entries[0].author != author)
        {
            self.early.remove(others);
        }
        self.early.push_back((from, run));
        self.early.truncate(EARLY_RUNS_MAX);
    }

    /// Runs that came before the step they were written under.
    pub(super) fn replay_early(&mut self, ctx: &mut Ctx<'_>) {
        for (from, run) in std::mem::take(&mut self.early) {
            self.on_run(ctx, from, run);
        }
    }

    fn say_where_we_are(&mut self, to: &PeerId, author: &PeerId) {
        if let Some(reader) = self.readers.get_mut(to) {
            reader.told.remove(author);
            self.told_wrong.insert(*to);
        }
    }

    /// Keeps, shows and passes on what is new.
    pub(super) fn on_heard(&mut self, ctx: &mut Ctx<'_>, from: Option<PeerId>, heard: Heard) {
        if !heard.taken.is_empty() {
            self.keep_taken(ctx, &heard);
        }
        for (author, misdeed) in &heard.blamed {
            self.blame(ctx, Some(*author), *misdeed);
        }
        let authors: BTreeSet<PeerId> = heard.taken.iter().map(|taken| taken.kept.entry.author).collect();
        for author in authors {
            self.pass_on(ctx, author);
        }
        self.pass_proofs_on(ctx, from, &heard);
        self.level_due(ctx);
    }

    /// Puts on disk all that was taken, then shows it in the order in which it was taken.
    fn keep_taken(&mut self, ctx: &mut Ctx<'_>, heard: &Heard) {
        let room = self.id();
        let mut row: Vec<KeptEntry> = Vec::new();
        for taken in &heard.taken {
            if taken.forked {
                ctx.persist(Change::Forked { room, entry: taken.kept.clone() });
                continue;
            }
            if row.last().is_some_and(|last| last.entry.author != taken.kept.entry.author) {
                ctx.persist(Change::Entries { room, entries: std::mem::take(&mut row) });
            }
            row.push(taken.kept.clone());
        }
        if !row.is_empty() {
            ctx.persist(Change::Entries { room, entries: row });
        }
        for taken in &heard.taken {
            self.tell_entry(ctx, &taken.kept, taken.forked);
        }
    }

    /// What was found on another branch goes to everybody it is for; the first time with our own branch beside it, so
    /// that whoever was told either has both.
    fn pass_proofs_on(&mut self, ctx: &mut Ctx<'_>, from: Option<PeerId>, heard: &Heard) {
        let mut newest: BTreeMap<PeerId, EntryId> = BTreeMap::new();
        for taken in heard.taken.iter().filter(|taken| taken.forked) {
            newest.insert(taken.kept.entry.author, taken.kept.id);
        }
        for (author, id) in newest {
            let Some(log) = self.log.author(&author) else { continue };
            let Some(fork) = log.forks().run_with(&id) else { continue };
            let first_known = heard.blamed.contains(&(author, Misdeed::TwoEntries));
            let ours = fork.entries.iter().find_map(|entry| log.run_from(entry.seq)).filter(|_| first_known);
            for peer in self.readers.keys().filter(|peer| **peer != author) {
                for run in ours.iter().chain(Some(&fork).filter(|_| Some(*peer) != from)) {
                    self.show(ctx, peer, run);
                }
            }
        }
    }

    /// Gives a run to a member who may have it, outside of what they are fed.
    pub(super) fn show(&self, ctx: &mut Ctx<'_>, peer: &PeerId, run: &Run) {
        let audience = run.entries.first().and_then(|entry| self.audience(&entry.audience));
        if audience.is_some_and(|roster| is_member(roster, peer)) {
            ctx.tell_peer(peer, PeerMessage::Run(run.clone()));
        }
    }

    /// A member is new on a link: they get the ends of every branch that is not a log here.
    pub(super) fn show_forks(&self, ctx: &mut Ctx<'_>, peer: &PeerId) {
        for author in self.log.accused().filter(|author| *author != peer) {
            let Some(log) = self.log.author(author) else { continue };
            for run in log.forks().ends().iter().filter_map(|end| log.forks().run_with(end)) {
                self.show(ctx, peer, &run);
            }
        }
    }

    /// Finds out where missing entries are to be had: in the store, at whoever told us of them.
    pub(super) fn seek(&mut self, ctx: &mut Ctx<'_>, from: PeerId) {
        let Missing { look_up, numbers, ask } = self.log.missing();
        if !look_up.is_empty() {
            ctx.out.push(Output::LookUp { room: self.id(), ids: look_up, numbers });
        }
        self.wanted.retain(|id, _| ask.contains(id));
        self.asked_all.retain(|id| ask.contains(id));
        let at = ctx.now.after_ms(WANT_AFTER_MS);
        for id in ask {
            self.wanted.entry(id).or_insert(Wanted { of: from, at, wait_ms: WANT_AGAIN_MS.0 });
        }
        self.wanted_from = from;
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
        self.readers.values_mut().for_each(|reader| reader.sought.retain(|id| !asked.contains(id)));
    }

    /// Time passed: entries that did not come by themselves are asked for, each time of another member.
    pub fn wants_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.holed {
            return self.wants_due_past_holes(ctx);
        }
        let mut questions: BTreeMap<PeerId, Vec<EntryId>> = BTreeMap::new();
        for (id, wanted) in self.wanted.iter_mut().filter(|(_, wanted)| wanted.at <= ctx.now.mono_ms) {
            let first_time = wanted.wait_ms == WANT_AGAIN_MS.0;
            let mut after = self.readers.range((std::ops::Bound::Excluded(wanted.of), std::ops::Bound::Unbounded));
            let mut next = || after.next().or_else(|| self.readers.first_key_value()).map(|(peer, _)| *peer);
            let whom = if first_time && self.readers.contains_key(&wanted.of) { Some(wanted.of) } else { next() };
            wanted.at = ctx.now.after_ms(wanted.wait_ms);
            if let Some(whom) = whom {
                wanted.wait_ms = (2 * wanted.wait_ms).min(WANT_AGAIN_MS.1);
                wanted.of = whom;
                questions.entry(whom).or_default().push(*id);
            }
        }
        for (peer, ids) in questions {
            for ids in ids.chunks(WANTED_MAX) {
                ctx.tell_peer(&peer, PeerMessage::Want((self.seat.chain().room(), Few::first_of(ids.iter().copied()))));
            }
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
        let Some(reader) = self.readers.get_mut(&peer) else { return };
        if known.seq > reader.has(&known.author) && !self.log.is_accused(&known.author) {
            reader.ask_up_to(known.author, known.seq);
            return self.feed(ctx, peer);
        }
        if let Some(run) = log.run_from(known.seq) {
            return self.show(ctx, &peer, &run);
        }
        if reader.looking.len() < SOUGHT_MAX && reader.looking.insert((known.author, known.seq)) {
            let (room, author, from) = (self.seat.chain().room(), known.author, known.seq);
            ctx.out.push(Output::Fetch { room, reader: peer, author, from });
        }
    }
}
