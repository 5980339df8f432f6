//! Saying and hearing: entries out to the members they are for, entries in, and who has what (DESIGN.md §5).

use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest as _, Sha256};

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::event::{Event, Misdeed};
use crate::core::io::{Change, Output};
use crate::core::log::{KeptEntry, Next, Rejected, run_of};
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::limits::{LINK_QUEUE_BYTES_MAX, ROOM_SIZE_MAX};
use crate::wire::{Body, EntryId, Few, PeerMessage, RosterHash, Run, encode};

/// Milliseconds for which acknowledgements are gathered into one frontier.
const FRONTIER_WAIT_MS: u64 = 20;

/// Milliseconds without an acknowledgement after which what was sent is taken for lost and sent again.
const RESEND_AFTER_MS: u64 = 5_000;

/// Runs kept for a roster that is not adopted yet: those of the seconds between two members' adoptions.
const EARLY_RUNS_MAX: usize = 64;

/// Own texts whose delivery is followed; older ones are still delivered, but no longer counted.
const PENDING_MAX: usize = 8_192;

/// How far one linked member is.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    /// How far they have each author's log, by their own word.
    acked: BTreeMap<PeerId, u64>,
    /// How far we have sent each author's log.
    sent: BTreeMap<PeerId, u64>,
    /// What is on its way: author, last number, bytes.
    in_flight: VecDeque<(PeerId, u64, usize)>,
    /// The sum of the bytes on their way.
    in_flight_bytes: usize,
    /// When something was last acknowledged, or began to wait for it.
    progress_at: u64,
    /// Whether they have told us what they have, without which nothing is sent.
    asked: bool,
    /// Whether they have greeted us on this link.
    pub greeted: bool,
    /// Whose log is being fetched for them.
    fetching: bool,
    /// What we last told them of each author's log.
    told: BTreeMap<PeerId, u64>,
}

impl Reader {
    pub(super) fn new(now: Now) -> Self {
        Reader {
            acked: BTreeMap::new(),
            sent: BTreeMap::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            progress_at: now.mono_ms,
            asked: false,
            greeted: false,
            fetching: false,
            told: BTreeMap::new(),
        }
    }

    fn has(&self, author: &PeerId) -> u64 {
        self.acked.get(author).copied().unwrap_or(0)
    }

    fn given(&self, author: &PeerId) -> u64 {
        self.has(author).max(self.sent.get(author).copied().unwrap_or(0))
    }

    fn sent(&mut self, author: PeerId, up_to: u64, bytes: usize, now: Now) {
        if self.in_flight.is_empty() {
            self.progress_at = now.mono_ms;
        }
        self.sent.insert(author, up_to);
        self.in_flight.push_back((author, up_to, bytes));
        self.in_flight_bytes += bytes;
    }

    fn acknowledge(&mut self, author: PeerId, seq: u64, now: Now) {
        let acked = self.acked.entry(author).or_default();
        *acked = seq.max(*acked);
        self.progress_at = now.mono_ms;
        let acked = &self.acked;
        self.in_flight.retain(|(author, up_to, _)| acked.get(author).is_none_or(|seq| seq < up_to));
        self.in_flight_bytes = self.in_flight.iter().map(|(_, _, bytes)| bytes).sum();
    }

    fn forget_what_was_sent(&mut self, now: Now) {
        self.sent.clear();
        self.in_flight.clear();
        self.in_flight_bytes = 0;
        self.fetching = false;
        self.progress_at = now.mono_ms;
    }
}

/// A text of our own that somebody may not have yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    /// Its id.
    id: EntryId,
    /// Who may have it.
    audience: RosterHash,
}

impl Room {
    /// Says texts, each within the bounds: on disk first, then on screen, then on the links.
    pub fn say(&mut self, ctx: &mut Ctx<'_>, texts: Vec<String>) {
        let bodies = texts.iter().filter_map(|text| Body::text(text));
        let (rng, signer, wall_ms) = (&mut *ctx.rng, ctx.signer, ctx.now.wall_ms);
        let salt = || {
            let mut salt = [0; 16];
            rand::Rng::fill_bytes(rng, &mut salt);
            salt
        };
        let written = self.log.write(bodies, self.seat.chain(), signer, wall_ms, salt);
        ctx.persist(Change::Entries { room: self.id(), entries: written.clone() });
        for kept in &written {
            let pending = Pending { id: kept.id, audience: kept.entry.audience };
            self.pending.insert(kept.entry.seq, pending);
            self.tell_entry(ctx, kept);
        }
        while self.pending.len() > PENDING_MAX {
            self.pending.pop_first();
        }
        self.feed_all(ctx);
    }

    fn tell_entry(&self, ctx: &mut Ctx<'_>, kept: &KeptEntry) {
        let entry = &kept.entry;
        let (Some(text), Some(from)) = (entry.body.as_text(), self.name_of(&entry.author)) else { return };
        ctx.tell(Event::Message {
            room: self.name.clone(),
            id: kept.id,
            from,
            key: entry.author,
            mine: entry.author == ctx.me(),
            seq: entry.seq,
            text: text.to_owned(),
            sent_at_ms: entry.wall_ms,
        });
    }

    /// A member passes on a run, their own or another's.
    pub fn on_run(&mut self, ctx: &mut Ctx<'_>, from: PeerId, run: Run) {
        let Some(author) = run.entries.first().map(|entry| entry.author) else { return };
        match self.log.receive(run.clone(), self.seat.chain(), &ctx.me(), ctx.scheme) {
            Ok(entries) => {
                ctx.persist(Change::Entries { room: self.id(), entries: entries.clone() });
                for kept in &entries {
                    self.tell_entry(ctx, kept);
                }
                self.frontier_soon(ctx);
                self.pass_on(ctx, author);
            }
            // Our frontier says what we have; whoever sent too little or too much will see.
            Err(Rejected::Known) => {
                if let Some(reader) = self.readers.get_mut(&from) {
                    reader.told.remove(&author);
                }
                self.frontier_soon(ctx);
            }
            Err(Rejected::Gap) => self.frontier_soon(ctx),
            Err(Rejected::UnknownAudience) => {
                self.early.push_back((from, run));
                self.early.truncate(EARLY_RUNS_MAX);
            }
            // The author signed both, whoever passes the second one on; it is told once, since it can come for ever.
            Err(Rejected::Misdeed(Misdeed::TwoEntries)) => {
                if self.forked.insert(author) {
                    self.blame(ctx, Some(author), Misdeed::TwoEntries);
                }
            }
            Err(Rejected::Misdeed(misdeed)) => self.blame(ctx, Some(from), misdeed),
        }
    }

    /// Runs that came before the step they were written under.
    pub(super) fn replay_early(&mut self, ctx: &mut Ctx<'_>) {
        for (from, run) in std::mem::take(&mut self.early) {
            self.on_run(ctx, from, run);
        }
    }

    fn frontier_soon(&mut self, ctx: &Ctx<'_>) {
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

    /// Tells every linked member what is new in our logs since we last told them.
    pub fn frontier_flush(&mut self, ctx: &mut Ctx<'_>) {
        if self.frontier_due.is_none_or(|due| due > ctx.now.mono_ms) {
            return;
        }
        self.frontier_due = None;
        let room = self.seat.chain().room();
        for (peer, reader) in &mut self.readers {
            let news = self.log.frontier().filter(|(author, seq)| reader.told.get(author) != Some(seq));
            let news: Vec<(PeerId, u64)> = news.take(usize::from(ROOM_SIZE_MAX)).collect();
            if !news.is_empty() {
                reader.told.extend(news.iter().copied());
                ctx.tell_peer(peer, PeerMessage::Frontier((room, Few::first_of(news))));
            }
        }
    }

    /// A member says what they have.
    pub fn on_frontier(&mut self, ctx: &mut Ctx<'_>, from: PeerId, frontier: &[(PeerId, u64)]) {
        let Some(reader) = self.readers.get_mut(&from) else { return };
        reader.asked = true;
        let before = self.delivered.get(&from).copied().unwrap_or(0);
        let mut delivered = before;
        for (author, seq) in frontier {
            // What is no log of this room is nothing to keep account of, and could be anything in any number.
            if self.log.author(author).is_none() && !self.has(author) {
                continue;
            }
            let Some(reader) = self.readers.get_mut(&from) else { return };
            // Nobody can have more of a log than was written; of others' logs we may simply know less.
            reader.acknowledge(*author, *seq, ctx.now);
            if *author == ctx.signer.id() {
                delivered = delivered.max(*seq);
            }
        }
        if delivered > before {
            self.delivered.insert(from, delivered);
            self.tell_delivered(ctx, before, delivered);
        }
        self.feed(ctx, from);
    }

    /// Tells of our own texts numbered `after + 1` to `up_to` how many have them.
    fn tell_delivered(&mut self, ctx: &mut Ctx<'_>, after: u64, up_to: u64) {
        let me = ctx.me();
        let mut done = Vec::new();
        let reached: Vec<(u64, Pending)> =
            self.pending.range(after.saturating_add(1)..=up_to).map(|(seq, pending)| (*seq, *pending)).collect();
        for (seq, pending) in reached {
            let (to, of) = self.delivery(&me, seq, &pending);
            ctx.tell(Event::Delivered { room: self.name.clone(), id: pending.id, to, of });
            if to >= of {
                done.push(seq);
            }
        }
        for seq in done {
            self.pending.remove(&seq);
        }
    }

    /// Who of the members that may have a text of ours has it.
    fn delivery(&self, me: &PeerId, seq: u64, pending: &Pending) -> (u16, u16) {
        let audience = self.seat.chain().roster(&pending.audience);
        let others = self.others(me).into_iter().filter(|key| audience.is_some_and(|roster| is_member(roster, key)));
        let (mut to, mut of) = (0, 0);
        for key in others {
            of += 1;
            to += u16::from(self.delivered.get(&key).is_some_and(|has| *has >= seq));
        }
        (to, of)
    }

    /// Whether every linked member has all of our texts, and whether any text reached nobody although somebody may have
    /// it.
    pub fn delivered_to_all_linked(&self, me: &PeerId) -> (bool, bool) {
        let mut all = true;
        let mut lost = false;
        for (seq, pending) in &self.pending {
            let audience = self.seat.chain().roster(&pending.audience);
            let may = |key: &&PeerId| audience.is_some_and(|roster| is_member(roster, key));
            all &= self.readers.keys().filter(may).all(|key| self.delivered.get(key).is_some_and(|has| has >= seq));
            let (to, of) = self.delivery(me, *seq, pending);
            lost |= to == 0 && of > 0;
        }
        (all, lost)
    }

    /// Gives every linked member what they lack and we are to give.
    pub(super) fn feed_all(&mut self, ctx: &mut Ctx<'_>) {
        let peers: Vec<PeerId> = self.readers.keys().copied().collect();
        for peer in peers {
            self.feed(ctx, peer);
        }
    }

    /// Passes on what is new of one author to those who have no link with them.
    fn pass_on(&mut self, ctx: &mut Ctx<'_>, author: PeerId) {
        let apart =
            |peer: &&PeerId| **peer != author && self.adverts.get(peer).is_some_and(|links| !links.contains(&author));
        let peers: Vec<PeerId> = self.readers.keys().filter(apart).copied().collect();
        for peer in peers {
            self.feed(ctx, peer);
        }
    }

    /// Gives one linked member what they lack and we are to give, as far as the window goes.
    pub(super) fn feed(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        let authors: Vec<PeerId> = self.log.frontier().map(|(author, _)| author).collect();
        for author in authors {
            if author != peer {
                self.feed_log(ctx, peer, author);
            }
        }
    }

    fn feed_log(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, author: PeerId) {
        loop {
            let Some(reader) = self.readers.get(&peer) else { return };
            let given = reader.given(&author);
            let idle = reader.asked && !reader.fetching && reader.in_flight_bytes < LINK_QUEUE_BYTES_MAX;
            if !idle || given >= self.log.head_seq(&author) || !self.is_mine_to_give(ctx, &peer, &author) {
                return;
            }
            let Some(log) = self.log.author(&author) else { return };
            match log.next_for(&peer, given, self.seat.chain()) {
                Next::Run(run) => self.give(ctx, peer, run),
                Next::Nothing => return,
                Next::Fetch(from) => {
                    if let Some(reader) = self.readers.get_mut(&peer) {
                        reader.fetching = true;
                    }
                    ctx.out.push(Output::Fetch { room: self.id(), reader: peer, author, from });
                    return;
                }
            }
        }
    }

    fn give(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, run: Run) {
        let Some(last) = run.entries.last() else { return };
        let (author, up_to) = (last.author, last.seq);
        let bytes = run.entries.iter().map(|entry| encode(entry).len()).sum();
        if let Some(reader) = self.readers.get_mut(&peer) {
            reader.sent(author, up_to, bytes, ctx.now);
            ctx.tell_peer(&peer, PeerMessage::Run(run));
        }
    }

    /// Entries that the store was asked for.
    pub fn on_fetched(&mut self, ctx: &mut Ctx<'_>, reader: PeerId, entries: &[KeptEntry]) {
        let Some(state) = self.readers.get_mut(&reader) else { return };
        // The answer to a question of an earlier link, which this one did not ask.
        if !std::mem::replace(&mut state.fetching, false) {
            return;
        }
        let may_read = entries.first().and_then(|kept| self.seat.chain().roster(&kept.entry.audience));
        if may_read.is_some_and(|roster| is_member(roster, &reader))
            && let Some(run) = run_of(entries)
        {
            self.give(ctx, reader, run);
            self.feed(ctx, reader);
        }
    }

    /// Whether a member is to get an author's entries from us: our own always; another's when the two have no link and,
    /// of all who have the entries and a link to the reader, we have the highest hash. Everybody computes the same.
    fn is_mine_to_give(&self, ctx: &Ctx<'_>, reader: &PeerId, author: &PeerId) -> bool {
        let me = ctx.me();
        if *author == me {
            return true;
        }
        let Some(readers_links) = self.adverts.get(reader) else { return false };
        if readers_links.contains(author) {
            return false;
        }
        let wanted = self.log.head_seq(author);
        let rank =
            |key: &PeerId| Sha256::new().chain_update(author.0).chain_update(reader.0).chain_update(key.0).finalize();
        let mine = rank(&me);
        let rivals = self.readers.iter().filter(|(key, state)| {
            *key != reader && readers_links.contains(key) && (*key == author || state.has(author) >= wanted)
        });
        rivals.map(|(key, _)| rank(key)).all(|rival| rival < mine)
    }

    /// Time passed: what was sent and never acknowledged is sent again.
    pub fn resend_due(&mut self, ctx: &mut Ctx<'_>) {
        let mut late = Vec::new();
        for (peer, reader) in &mut self.readers {
            if !reader.in_flight.is_empty() && reader.progress_at + RESEND_AFTER_MS <= ctx.now.mono_ms {
                reader.forget_what_was_sent(ctx.now);
                late.push(*peer);
            }
        }
        for peer in late {
            self.feed(ctx, peer);
        }
    }

    /// The earliest moment at which a frontier or a resend is due.
    pub(super) fn talk_due(&self) -> Option<u64> {
        let waiting = self.readers.values().filter(|reader| !reader.in_flight.is_empty());
        waiting.map(|reader| reader.progress_at + RESEND_AFTER_MS).chain(self.frontier_due).min()
    }

    /// The earliest moment at which anything in this room is due.
    pub fn due(&self) -> Option<u64> {
        [self.talk_due(), self.absence_due(), self.membership_due(), self.reform_wake(), self.ask_server_at]
            .into_iter()
            .flatten()
            .min()
    }
}
