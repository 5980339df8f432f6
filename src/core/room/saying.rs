//! Saying: texts into our own log, on disk first, then on screen, then on the links; and who has them (DESIGN.md §5).

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::event::Event;
use crate::core::io::{Change, Output};
use crate::core::log::KeptEntry;
use crate::identity::PeerId;
use crate::limits::AHEAD_BYTES_MAX;
use crate::wire::{Body, EntryId, RosterHash};

/// Own texts whose delivery is followed; older ones are still delivered, but no longer counted.
const PENDING_MAX: usize = 8_192;

/// A text of our own that somebody may not have yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    /// Its id.
    id: EntryId,
    /// Who may have it.
    audience: RosterHash,
    /// Whether it was said before this client was started, so that others may have had it long since.
    recalled: bool,
}

impl Room {
    /// Says texts, and what else is said: on disk first, then on screen, then on the links.
    pub(super) fn write(&mut self, ctx: &mut Ctx<'_>, bodies: Vec<Body>) {
        let (rng, signer, wall_ms) = (&mut *ctx.rng, ctx.signer, ctx.now.wall_ms);
        let salt = || {
            let mut salt = [0; 16];
            rand::Rng::fill_bytes(rng, &mut salt);
            salt
        };
        let written = self.log.write(bodies, self.seat.chain(), signer, wall_ms, salt);
        ctx.persist(Change::Entries { room: self.id(), entries: written.clone() });
        for kept in &written {
            let pending = Pending { id: kept.id, audience: kept.entry.audience, recalled: false };
            self.pending.insert(kept.entry.seq, pending);
            self.tell_entry(ctx, kept, false);
        }
        while self.pending.len() > PENDING_MAX {
            self.pending.pop_first();
        }
        self.feed_all(ctx);
    }

    /// Whether more was said than those who are being given it have taken, so much that the next text should wait for them.
    pub fn is_ahead(&self, me: &PeerId) -> bool {
        let Some(log) = self.log.author(me).filter(|log| log.bytes() > AHEAD_BYTES_MAX) else { return false };
        let given = self.readers.values().filter_map(|reader| reader.keeps_up_from(me)).min();
        given.is_some_and(|given| log.bytes_after(given) > AHEAD_BYTES_MAX)
    }

    /// We are back on our seat: whatever we said before may still have to be delivered to somebody.
    pub(super) fn recall_pending(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        let Some(log) = self.log.author(&me) else { return };
        let recent: Vec<KeptEntry> = log.newest().cloned().collect();
        let first = (log.head_seq() + 1).saturating_sub(PENDING_MAX as u64).max(log.first_seq());
        let in_memory = recent.first().map_or(u64::MAX, |kept| kept.entry.seq);
        self.note_recalled(&recent);
        if first < in_memory {
            ctx.out.push(Output::Fetch { room: self.id(), reader: me, author: me, from: first });
        }
    }

    /// Own texts that the store was asked for; the next ones are asked for until memory goes on.
    pub(super) fn on_recalled(&mut self, ctx: &mut Ctx<'_>, entries: &[KeptEntry]) {
        let me = ctx.me();
        self.note_recalled(entries);
        let Some(last) = entries.last().map(|kept| kept.entry.seq) else { return };
        let in_memory = self.log.author(&me).and_then(|log| log.newest().next()).map_or(0, |kept| kept.entry.seq);
        if last + 1 < in_memory {
            ctx.out.push(Output::Fetch { room: self.id(), reader: me, author: me, from: last + 1 });
        }
    }

    fn note_recalled(&mut self, entries: &[KeptEntry]) {
        let known: Vec<&KeptEntry> =
            entries.iter().filter(|kept| self.audience(&kept.entry.audience).is_some()).collect();
        for kept in known {
            let pending = Pending { id: kept.id, audience: kept.entry.audience, recalled: true };
            self.pending.entry(kept.entry.seq).or_insert(pending);
        }
    }

    /// Tells of our own texts numbered `after + 1` to `up_to` how many have them: of each number of members the newest text
    /// only, which speaks for those before it. With one event for each text and member, a busy room spent more on telling
    /// of deliveries than on delivering.
    pub(super) fn tell_delivered(&mut self, ctx: &mut Ctx<'_>, after: u64, up_to: u64) {
        let me = ctx.me();
        let mut done = Vec::new();
        let mut told: Vec<(EntryId, usize, usize)> = Vec::new();
        let mut readers: Option<(RosterHash, Vec<u64>)> = None;
        let reached = self.pending.range(after.saturating_add(1)..=up_to);
        // Whoever has the newest has all before it, which may be old news.
        let newest_recalled = reached.clone().rfind(|(_, pending)| pending.recalled).map(|(seq, _)| *seq);
        for (seq, pending) in reached {
            if readers.as_ref().is_none_or(|(audience, _)| *audience != pending.audience) {
                let mut reached = self.reached(&me, &pending.audience);
                reached.sort_unstable();
                readers = Some((pending.audience, reached));
            }
            let reached = readers.as_ref().map_or(&[][..], |(_, reached)| reached);
            let (to, of) = (reached.len() - reached.partition_point(|has| has < seq), reached.len());
            if to >= of {
                done.push(*seq);
            }
            match told.last_mut() {
                _ if pending.recalled && newest_recalled != Some(*seq) => {}
                Some(last) if (last.1, last.2) == (to, of) => last.0 = pending.id,
                _ => told.push((pending.id, to, of)),
            }
        }
        for (id, to, of) in told {
            let (to, of) = (u16::try_from(to).unwrap_or(u16::MAX), u16::try_from(of).unwrap_or(u16::MAX));
            ctx.tell(Event::Delivered { room: self.name.clone(), id, to, of });
        }
        for seq in done {
            self.pending.remove(&seq);
        }
    }

    /// How far the members that may have texts of this audience have our log, each.
    fn reached(&self, me: &PeerId, audience: &RosterHash) -> Vec<u64> {
        let audience = self.audience(audience);
        let others = self.others(me).into_iter().filter(|key| audience.is_some_and(|roster| is_member(roster, key)));
        others.map(|key| self.delivered.get(&key).copied().unwrap_or(0)).collect()
    }

    /// Who of the members that may have a text of ours has it.
    fn delivery(&self, me: &PeerId, seq: u64, pending: &Pending) -> (usize, usize) {
        let reached = self.reached(me, &pending.audience);
        (reached.iter().filter(|has| **has >= seq).count(), reached.len())
    }

    /// Whether every linked member has all of our texts, and whether any text reached nobody although somebody may have
    /// it.
    pub fn delivered_to_all_linked(&self, me: &PeerId) -> (bool, bool) {
        let mut all = !self.has_unwritten();
        let mut lost = false;
        for (seq, pending) in &self.pending {
            let audience = self.audience(&pending.audience);
            let may = |key: &&PeerId| audience.is_some_and(|roster| is_member(roster, key));
            all &= self.readers.keys().filter(may).all(|key| self.delivered.get(key).is_some_and(|has| has >= seq));
            let (to, of) = self.delivery(me, *seq, pending);
            // What was said before the start may have reached everybody then.
            lost |= to == 0 && of > 0 && !pending.recalled;
        }
        (all, lost)
    }
}
