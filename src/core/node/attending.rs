//! Attending to those who knock through us: whose turn it is, what is put to the members, and what each newcomer is told.

use std::collections::BTreeMap;

use super::{Node, ctx};
use crate::core::io::{GuestId, Output};
use crate::core::room::{Ctx, Standing};
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::wire::{FromServer, KnockEnd, KnockPhase, RoomId};

impl Node {
    /// Goes through all knocks: puts the next one to the members where none is open, and tells each newcomer what has changed.
    pub(super) fn attend_guests(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.hosting.is_idle() {
            return;
        }
        self.hosting.looked_at = now.mono_ms;
        let asking =
            self.hosting.guests.iter().flat_map(|(guest, one)| {
                one.knocks.iter().map(|(room, asking)| (asking.place, *guest, *room, one.key()))
            });
        let mut asking: Vec<_> = asking.collect();
        asking.sort_unstable_by_key(|(place, ..)| *place);
        let mut ahead: BTreeMap<RoomId, u16> = BTreeMap::new();
        for (_, guest, id, key) in asking {
            let Some(key) = key else { continue };
            let before = ahead.entry(id).or_default();
            if let Some(over) = self.attend(now, guest, id, &key, *before, out) {
                if over == KnockEnd::Stale {
                    self.hosting.pace.refund(&key);
                }
            } else {
                *before += 1;
            }
        }
    }

    /// One knock; how it ended, if it did. An admission is no end that gives anybody another try, and counts as an answer.
    fn attend(
        &mut self,
        now: Now,
        guest: GuestId,
        id: RoomId,
        key: &PeerId,
        ahead: u16,
        out: &mut Vec<Output>,
    ) -> Option<KnockEnd> {
        let asking = self.hosting.guests.get_mut(&guest)?.knocks.get_mut(&id)?;
        let (hash, mut end, mut phase) = (asking.hash, None, None);
        let mut ctx = ctx!(self, now, out);
        match self.rooms.get_mut(&id) {
            None => end = Some(KnockEnd::Stale),
            Some(room) if room.chain().took(&hash) => return self.let_in(now, guest, id, key, out),
            Some(room) if room.chain().head() != asking.knock.unverified().roster => end = Some(KnockEnd::Stale),
            Some(_) if asking.held => phase = Some(KnockPhase::Waiting { ahead }),
            Some(room) => {
                if !asking.put && room.deciding_until(now.mono_ms).is_none() {
                    asking.put = true;
                    if !room.host_knock(&mut ctx, asking.knock.clone()) {
                        end = Some(KnockEnd::Expired);
                    }
                }
                // Putting it may have been all that it took, where rules answer: the next round tells.
                match room.standing(&ctx, &hash).filter(|_| asking.put) {
                    Some(Standing::Over(how)) => end = Some(how),
                    Some(Standing::Open(open)) => phase = Some(open),
                    None if room.chain().took(&hash) => return self.let_in(now, guest, id, key, out),
                    None => phase = Some(KnockPhase::Waiting { ahead: ahead.max(u16::from(!asking.put)) }),
                }
            }
        }
        if let Some(end) = end {
            out.push(Output::ToGuest { guest, message: FromServer::KnockOver((hash, end)) });
            self.hosting.guests.get_mut(&guest)?.knocks.remove(&id);
            return Some(end);
        }
        if let Some(phase) = phase.filter(|phase| asking.told.is_none_or(|told| is_news(told, *phase))) {
            asking.told = Some(phase);
            out.push(Output::ToGuest { guest, message: FromServer::KnockState((hash, phase)) });
        }
        None
    }

    /// Everybody has agreed to a knock: its newcomer is given the proof, and is a member whose address we have seen.
    fn let_in(
        &mut self,
        now: Now,
        guest: GuestId,
        id: RoomId,
        key: &PeerId,
        out: &mut Vec<Output>,
    ) -> Option<KnockEnd> {
        let known = self.hosting.guests.get_mut(&guest)?;
        known.knocks.remove(&id);
        let room = self.rooms.get_mut(&id)?;
        if let Some(admission) = room.admission_of(key) {
            room.learn_address(now, *key, known.observed);
            out.push(Output::ToGuest { guest, message: FromServer::Admitted(admission) });
        }
        Some(KnockEnd::Denied)
    }

    /// When a knock that is open is given up, so that the next one's turn comes.
    pub(super) fn hosting_due(&self) -> Option<u64> {
        if self.hosting.is_idle() {
            return None;
        }
        let rooms = self.hosting.guests.values().flat_map(|guest| guest.knocks.keys());
        rooms.filter_map(|id| self.rooms.get(id)?.deciding_until(self.hosting.looked_at)).min()
    }
}

/// Whether a newcomer is told how its knock stands: not of every second that passes.
fn is_news(told: KnockPhase, now: KnockPhase) -> bool {
    match (told, now) {
        (KnockPhase::Open { yes, of, .. }, KnockPhase::Open { yes: now, of: of_now, .. }) => (yes, of) != (now, of_now),
        (told, now) => told != now,
    }
}
