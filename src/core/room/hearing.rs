//! Hearing: runs in, verified by the log, on disk before they are shown, shown before they are acknowledged; what they
//! name and we lack is asked for; two entries under one number are passed on as a proof (DESIGN.md §5).

use std::collections::{BTreeMap, BTreeSet};

use super::{Ctx, Reader, Room};
use crate::core::consent::roster::is_member;
use crate::core::event::Misdeed;
use crate::core::io::Change;
use crate::core::log::{Heard, KeptEntry, Known, Rejected};
use crate::identity::PeerId;
use crate::wire::{EntryId, PeerMessage, Run};

/// Runs kept for a roster that is not adopted yet: those of the seconds between two members' adoptions.
const EARLY_RUNS_MAX: usize = 64;

impl Room {
    /// A member passes on a run, their own or another's.
    pub fn on_run(&mut self, ctx: &mut Ctx<'_>, from: PeerId, run: Run) {
        let (author, last) = (run.last().author, run.last().seq);
        if self.waits_for_past(ctx, &run) {
            return self.hold_early(ctx, from, run);
        }
        // The hole may go less far than this: then what is offered behind it comes first.
        let me = ctx.me();
        // What is asked for by name comes in any order, if it waits then for what is before it, or nobody came with that for minutes.
        let waits = !self.follows_others(&me, run.first());
        let named =
            run.ids().iter().any(|id| self.wanted.contains_key(id)) && (waits || self.has_old_gap(ctx.now, &author));
        let jumps = |room: &Self| room.jumps_over_ours(ctx.now, &run) || room.skips_too_far(&me, &from, &run);
        let skips = !named && jumps(self);
        if skips && run.tip().verify(ctx.scheme).is_err() {
            return self.blame(ctx, Some(from), Misdeed::BadSignature);
        }
        let too_far = skips && (!self.takes_hole(ctx, &from, &run) || jumps(self));
        if too_far {
            // What of it waits here already may wait for something that is lost.
            self.note_giver(from, &run);
            self.ask_past_gap(ctx, &from, &run);
            return self.frontier_soon(ctx);
        }
        let left_out = self.left_out(&me, &from, &run);
        match self.log.receive(&run, self.seat.chain(), &ctx.me(), ctx.scheme) {
            Ok(heard) => {
                // Whoever passes an entry on has it; an author's own need not be offered back to them.
                if let Some(reader) = self.readers.get_mut(&from).filter(|_| from == author) {
                    reader.acknowledge(author, last, false, ctx.now);
                }
                self.givers.insert(from);
                self.note_late_giver(from, &run);
                if let Some(hole) = heard.hole {
                    self.ask_about_hole(ctx, hole);
                } else if let Some(left_out) = left_out {
                    self.ask_for_left_out(ctx, &from, &run, left_out);
                }
                if self.log.is_accused(&author) {
                    self.say_where_we_are(&from, &author);
                }
                self.on_heard(ctx, Some(from), heard);
                self.frontier_soon(ctx);
                self.seek(ctx, from);
                self.note_giver(from, &run);
            }
            // Our frontier says what we have; whoever sent too little or too much will see.
            Err(Rejected::Known) => {
                self.note_giver(from, &run);
                self.say_where_we_are(&from, &author);
                self.frontier_soon(ctx);
            }
            Err(Rejected::Gap) if self.takes_hole(ctx, &from, &run) => self.on_run(ctx, from, run),
            Err(Rejected::Gap) => {
                self.ask_past_gap(ctx, &from, &run);
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

    /// What is known of an entry, if it is one of the newest.
    pub fn known(&self, id: &EntryId) -> Option<Known> {
        self.log.known(id).copied()
    }

    fn hold_early(&mut self, ctx: &mut Ctx<'_>, from: PeerId, run: Run) {
        // Whom it is for may never be found out, and is not waited for where it was the answer to a question about a hole.
        let (author, last) = (run.last().author, run.last().seq);
        let asked = |reader: &Reader| reader.unread.get(&author).is_some_and(|seq| *seq >= last);
        if !self.readers.get(&from).is_some_and(asked)
            && self.ask_behind(ctx, &from, author, last)
            && let Some(reader) = self.readers.get_mut(&from)
        {
            reader.unread.insert(author, last);
        }
        let newest = run.tip().unverified().id;
        if self.early.iter().any(|(giver, other)| *giver == from && other.tip().unverified().id == newest) {
            return;
        }
        // Our own must not be crowded out: they say which numbers are used.
        if self.early.len() >= EARLY_RUNS_MAX
            && run.first().author == ctx.me()
            && let Some(others) = self.early.iter().rposition(|(_, run)| run.first().author != ctx.me())
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
        self.pass_late_on(ctx, from, &heard);
        self.level_due(ctx);
    }

    /// Puts on disk all that was taken, then shows it in the order in which it was taken.
    fn keep_taken(&mut self, ctx: &mut Ctx<'_>, heard: &Heard) {
        self.note_own_log(ctx, &heard.taken);
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
            let ours = fork.entries().iter().find_map(|entry| log.run_from(entry.seq)).filter(|_| first_known);
            for peer in self.readers.keys().filter(|peer| **peer != author) {
                for run in ours.iter().chain(Some(&fork).filter(|_| Some(*peer) != from)) {
                    self.show(ctx, peer, run);
                }
            }
        }
    }

    /// Gives a run to a member who may have it, outside of what they are fed.
    pub(super) fn show(&self, ctx: &mut Ctx<'_>, peer: &PeerId, run: &Run) {
        let audience = self.audience(&run.first().audience);
        if audience.is_some_and(|roster| is_member(roster, peer)) {
            ctx.tell_peer(peer, PeerMessage::Run(run.clone()));
        }
    }

    /// A member is new on a link: they get the ends of every branch that is not a log here, and ours beside them.
    pub(super) fn show_forks(&self, ctx: &mut Ctx<'_>, peer: &PeerId) {
        for author in self.log.accused().filter(|author| *author != peer) {
            let Some(log) = self.log.author(author) else { continue };
            for run in log.forks().ends().iter().filter_map(|end| log.forks().run_with(end)) {
                // Our own branch beside it: nobody else may be there to give it to them.
                let ours = run.entries().iter().find_map(|entry| log.run_from(entry.seq));
                ours.iter().chain([&run]).for_each(|run| self.show(ctx, peer, run));
            }
        }
    }
}
