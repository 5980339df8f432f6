//! Saying: texts into our own log, on disk first, then on screen, then on the links; and who has them (DESIGN.md §5).

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::event::Event;
use crate::core::io::Change;
use crate::core::log::KeptEntry;
use crate::identity::PeerId;
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
            self.tell_entry(ctx, kept, false);
        }
        while self.pending.len() > PENDING_MAX {
            self.pending.pop_first();
        }
        self.feed_all(ctx);
    }

    /// Shows an entry.
    pub(super) fn tell_entry(&self, ctx: &mut Ctx<'_>, kept: &KeptEntry, forked: bool) {
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
            place: kept.place,
            forked,
        });
    }

    /// Tells of our own texts numbered `after + 1` to `up_to` how many have them.
    pub(super) fn tell_delivered(&mut self, ctx: &mut Ctx<'_>, after: u64, up_to: u64) {
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
}
