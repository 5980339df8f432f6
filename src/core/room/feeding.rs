//! Feeding: each linked member gets what they lack and we are to give, as far as the window goes; frontiers say what that
//! is, and acknowledge (DESIGN.md §5).

use std::collections::BTreeSet;

use super::reader::InFlight;
use super::{Ctx, Fate, Room};
use crate::core::consent::roster::is_member;
use crate::core::io::Output;
use crate::core::log::{KeptEntry, Next, run_of};
use crate::identity::PeerId;
use crate::limits::{FEEDS_BYTES_MAX, LINK_QUEUE_BYTES_MAX, ROOM_SIZE_MAX, RUN_BYTES_MAX};
use crate::wire::{Few, PeerMessage, Run};

/// Milliseconds for which acknowledgements are gathered into one frontier.
const FRONTIER_WAIT_MS: u64 = 20;

/// Milliseconds after which members are told of what they need not know at once.
const GOSSIP_WAIT_MS: u64 = 10_000;

/// And of authors with whom somebody has no link: whoever was passed over on the way of an entry finds out by this.
const GOSSIP_APART_MS: u64 = 1_000;

/// Runs that somebody who has only just come in, or hears us come in, is given unasked: they keep few messages of a link that they
/// don't know yet.
const UNASKED_RUNS_MAX: usize = 4;

impl Room {
    pub(super) fn frontier_soon(&mut self, ctx: &Ctx<'_>) {
        let due = ctx.now.after_ms(FRONTIER_WAIT_MS);
        self.frontier_due.get_or_insert(due);
    }

    /// Tells one member, on a new link, all we have.
    pub(super) fn send_frontier(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        let frontier: Vec<(PeerId, u64)> = self.log.frontier().collect();
        if let Some(reader) = self.readers.get_mut(&peer) {
            reader.told = frontier.iter().copied().collect();
            let frontier = Few::first_of(frontier);
            ctx.tell_peer(&peer, PeerMessage::Frontier((self.seat.chain().room(), frontier)));
        }
    }

    /// Tells linked members what is new in our logs since we last told them: an author and whoever gave it to us at once,
    /// who are waiting for it; the others in their own time, sooner if the author has no link with everybody: in a room of
    /// 32, each line would be followed by a thousand frontiers.
    pub fn frontier_flush(&mut self, ctx: &mut Ctx<'_>) {
        let passed = |due: Option<u64>| due.is_some_and(|due| due <= ctx.now.mono_ms);
        let all = passed(self.gossip_due);
        if !all && !passed(self.frontier_due) {
            return;
        }
        self.frontier_due = None;
        for peer in std::mem::take(&mut self.floors_due) {
            self.tell_floors(ctx, peer);
        }
        let me = ctx.me();
        let grown = self.log.frontier().filter(|(author, seq)| self.told_soon.get(author) != Some(seq));
        let grown: Vec<(PeerId, u64)> = grown.collect();
        let mut whom = std::mem::take(&mut self.told_wrong);
        whom.extend(grown.iter().map(|(author, _)| *author));
        whom.append(&mut self.givers);
        if all {
            whom.extend(self.readers.keys());
        }
        let all_hear = grown.iter().all(|(author, _)| *author == me || self.all_hear(author));
        self.told_soon.extend(grown.iter().copied());
        let room = self.seat.chain().room();
        // More than one frontier may name is left for the next.
        let mut later = !all && !grown.is_empty();
        for peer in whom {
            let Some(reader) = self.readers.get_mut(&peer) else { continue };
            let news = self.log.frontier().filter(|(author, seq)| reader.told.get(author) != Some(seq));
            let news: Vec<(PeerId, u64)> = news.take(usize::from(ROOM_SIZE_MAX)).collect();
            later |= news.len() == usize::from(ROOM_SIZE_MAX);
            if !news.is_empty() {
                reader.told.extend(news.iter().copied());
                ctx.tell_peer(&peer, PeerMessage::Frontier((room, Few::first_of(news))));
            }
        }
        let due = self.gossip_due.filter(|_| !all);
        let wait = ctx.now.after_ms(if all_hear { GOSSIP_WAIT_MS } else { GOSSIP_APART_MS });
        self.gossip_due = due.into_iter().chain(later.then_some(wait)).min();
    }

    /// Whether all members that we are linked with have a link with this author, as we do.
    fn all_hear(&self, author: &PeerId) -> bool {
        let linked = |links: &BTreeSet<PeerId>| links.contains(author);
        self.readers.contains_key(author)
            && self
                .readers
                .keys()
                .filter(|key| *key != author)
                .all(|key| self.web.graph().stated_by(key).is_some_and(linked))
    }

    /// A member says what they have.
    pub fn on_frontier(&mut self, ctx: &mut Ctx<'_>, from: PeerId, frontier: &[(PeerId, u64)]) {
        let authors = self.authors_among(frontier.iter().map(|(author, _)| author));
        let Some(reader) = self.readers.get_mut(&from) else { return };
        let first = !std::mem::replace(&mut reader.asked, true);
        self.fresh.remove(&from);
        let before = self.delivered.get(&from).copied().unwrap_or(0);
        let mut delivered = before;
        for (author, seq) in frontier.iter().filter(|(author, _)| !authors.contains(author)) {
            reader.note_stranger(*author, *seq, 1);
        }
        for (author, seq) in frontier.iter().filter(|(author, _)| authors.contains(author)) {
            let forked = self.log.is_accused(author);
            let Some(reader) = self.readers.get_mut(&from) else { return };
            // Nobody can have more of a log than was written; of others' logs we may simply know less.
            let had = reader.has(author);
            reader.acknowledge(*author, *seq, forked, ctx.now);
            if *seq > had {
                self.hope_for(&from, author, *seq);
                self.ask_for_late(ctx, &from, author, (had, *seq));
            }
            if *author == ctx.signer.id() {
                delivered = delivered.max(*seq);
                self.doubt_own_log(ctx, &from, *seq, first);
                // Nobody gives us our own log unasked.
                if self.is_unlevel() && *seq > self.log.head_seq(author) {
                    self.note_lacking(ctx, *author);
                }
            } else if *seq > self.log.head_seq(author) && !forked {
                self.note_lacking(ctx, *author);
            }
        }
        if first {
            self.show_forks(ctx, &from);
        }
        self.level_due(ctx);
        if delivered > before {
            self.delivered.insert(from, delivered);
            self.tell_delivered(ctx, before, delivered);
        }
        self.feed(ctx, from);
    }

    /// Gives every linked member what they lack and we are to give.
    pub(super) fn feed_all(&mut self, ctx: &mut Ctx<'_>) {
        let peers: Vec<PeerId> = self.readers.keys().copied().collect();
        let mut made = None;
        for peer in peers {
            self.feed_with(ctx, peer, &mut made);
        }
    }

    /// Passes on what is new of one author to those who have no link with them.
    pub(super) fn pass_on(&mut self, ctx: &mut Ctx<'_>, author: PeerId) {
        self.note_arrival(ctx, author);
        let peers: Vec<PeerId> = self.web.children(&author, &ctx.me()).iter().copied().collect();
        let mut made = None;
        for peer in peers {
            self.feed_with(ctx, peer, &mut made);
        }
    }

    /// Gives one linked member what they lack and we are to give, as far as the window goes.
    pub(super) fn feed(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        self.feed_with(ctx, peer, &mut None);
    }

    /// The same; `made` is the run that was made last, out of the logs as they are now.
    fn feed_with(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, made: &mut Option<Run>) {
        self.feed_unasked(ctx, peer);
        self.tell_floors(ctx, peer);
        let authors: Vec<PeerId> = self.log.frontier().map(|(author, _)| author).collect();
        for author in authors {
            self.feed_log(ctx, peer, author, made);
        }
    }

    /// Gives somebody what we said for them before they have told us what they have: the answer is known, since either they or we
    /// have only just come in. It saves the first line half a round trip. What they were given in an earlier time here, if any,
    /// is a matter for their own word.
    pub(super) fn feed_unasked(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        let (me, head) = (ctx.me(), self.seat.chain().head());
        let Some(reader) = self.readers.get(&peer).filter(|reader| !reader.asked && self.fresh.contains(&peer)) else {
            return;
        };
        if reader.unacknowledged(&me) >= UNASKED_RUNS_MAX {
            return;
        }
        let next = self.log.author(&me).map(|log| log.next_for(&peer, reader.given(&me), &self.audiences()));
        if let Some(Next::Run(run)) = next
            && run.first().audience == head
        {
            self.give(ctx, peer, run);
        }
    }

    fn feed_log(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, author: PeerId, made: &mut Option<Run>) {
        loop {
            let Some(reader) = self.readers.get(&peer) else { return };
            let given = reader.given(&author);
            if given >= self.log.head_seq(&author) || !reader.takes(&author, self.window()) {
                return;
            }
            if !reader.asks_for_more(&author) && !self.is_mine_to_give(&ctx.me(), &peer, &author) {
                return;
            }
            let Some(log) = self.log.author(&author) else { return };
            match log.next_or_same(&peer, given, &self.audiences(), made.as_ref()) {
                Next::Run(run) => {
                    *made = Some(run.clone());
                    self.give(ctx, peer, run);
                }
                Next::Nothing => return,
                Next::Fetch(from) => {
                    if let Some(reader) = self.readers.get_mut(&peer) {
                        reader.fetching = Some((author, from));
                    }
                    ctx.out.push(Output::Fetch { room: self.id(), reader: peer, author, from });
                    return;
                }
            }
        }
    }

    /// Bytes that may be on their way to one member, so that all together stay within their bound.
    fn window(&self) -> usize {
        (FEEDS_BYTES_MAX / self.readers.len().max(1)).clamp(RUN_BYTES_MAX, LINK_QUEUE_BYTES_MAX)
    }

    fn give(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, run: Run) {
        if let Some(reader) = self.readers.get_mut(&peer) {
            reader.sent(run.last().author, InFlight::of(&run), ctx.now);
            ctx.tell_peer(&peer, PeerMessage::Run(run));
        }
    }

    /// Entries that the store was asked for, of a log from a number on.
    pub fn on_fetched(&mut self, ctx: &mut Ctx<'_>, reader: PeerId, asked: (PeerId, u64), entries: &[KeptEntry]) {
        if reader == ctx.me() {
            return self.on_recalled(ctx, entries);
        }
        let Some(state) = self.readers.get_mut(&reader) else { return };
        let (author, from) = asked;
        if state.looking.remove(&asked) {
            if let Some(run) = run_of(entries) {
                self.show(ctx, &reader, &run);
            }
            return;
        }
        // The answer to a question of an earlier link, which this one did not ask.
        if state.fetching.take_if(|fetching| *fetching == asked).is_none() {
            return;
        }
        if let Some(begins) = entries.first().map(|kept| kept.entry.seq).filter(|seq| *seq > from) {
            // What was asked for has been removed from the store, or never came; what is before it may well be there.
            self.log.note_missing(&author, from, begins);
            self.tell_floors(ctx, reader);
        }
        let Some(first) = entries.first().map(|kept| &kept.entry) else { return };
        if !self.audience(&first.audience).is_some_and(|roster| is_member(roster, &reader)) {
            // Behind a hole there may be something that is not for them.
            if let Some(state) = self.readers.get_mut(&reader) {
                state.skip(author, first.seq);
            }
        } else if let Some(run) = run_of(entries) {
            self.give(ctx, reader, run);
        } else {
            return;
        }
        self.feed(ctx, reader);
    }

    /// Whether a member is to get an author's entries from us without asking: our own always; another's when the way of that
    /// author's entries leads over us to them. Everybody computes the same.
    fn is_mine_to_give(&mut self, me: &PeerId, reader: &PeerId, author: &PeerId) -> bool {
        author == me || self.web.children(author, me).contains(reader)
    }

    /// Time passed: what was sent and never acknowledged is sent again.
    pub fn resend_due(&mut self, ctx: &mut Ctx<'_>) {
        let late = self.readers.iter_mut().filter_map(|(peer, reader)| reader.forget_late(ctx.now).then_some(*peer));
        let late: Vec<PeerId> = late.collect();
        for peer in late {
            self.feed(ctx, peer);
        }
    }

    /// The earliest moment at which a frontier, a resend or a question is due.
    pub(super) fn talk_due(&self) -> Option<u64> {
        let resends = self.readers.values().filter_map(super::reader::Reader::resend_due);
        let catching_up = self.readers.values().filter_map(|reader| reader.catch_up_at);
        let later = self
            .wanted_due()
            .into_iter()
            .chain(self.answers_due())
            .chain(self.unlevel_due())
            .chain(self.gossip_due)
            .chain(self.private_due());
        let overlay = self.web.due().into_iter().chain(self.arrivals_at).chain(self.pulls_next()).chain(catching_up);
        resends.chain(self.frontier_due).chain(self.early_until).chain(later).chain(overlay).min()
    }

    /// The earliest moment at which anything in this room is due.
    pub fn due(&self) -> Option<u64> {
        let look_again =
            (self.look_at > 0 && (self.fate() == Fate::Doubtful || self.is_alone())).then_some(self.look_at);
        let own = [self.talk_due(), self.absence_due(), self.membership_due(), self.reform_wake(), self.addresses_due];
        own.into_iter().chain([self.ask_server_at, look_again, self.doubt_due(), self.apart_due()]).flatten().min()
    }
}
