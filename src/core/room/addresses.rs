//! Where members were reached: remembered across restarts, so that whoever comes back while there is no server finds the others,
//! also those of another half.
//!
//! Only a hint: what answers there has to prove its key, and nobody but members of the roster is dialled.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::meeting::{LOOK_FOR_MS, Lost};
use super::{Ctx, Room};
use crate::core::io::Change;
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::limits::{CANDIDATES_MAX, HEARSAY_ADDRESSES_MAX};

/// Milliseconds for which news about addresses is gathered before it is written: when a room comes together each member brings
/// some.
const KEEP_AFTER_MS: u64 = 2_000;

impl Room {
    /// What the store kept.
    pub fn recall_address(&mut self, peer: PeerId, addresses: Vec<SocketAddr>) {
        self.addresses_kept.insert(peer, addresses.clone());
        if self.has(&peer) {
            self.addresses.insert(peer, addresses);
        } else {
            // Whoever we parted with because nobody reached them is looked for again; the clock begins anew with each start.
            self.lost.insert(peer, Lost { addresses, until: LOOK_FOR_MS });
        }
    }

    /// Coming in by a ticket: where it led is on disk together with the seat, so that whoever is killed in the next moment finds
    /// somebody again.
    pub fn keep_addresses(&mut self, ctx: &mut Ctx<'_>, known: BTreeMap<PeerId, Vec<SocketAddr>>) {
        if !known.is_empty() {
            self.addresses.extend(known);
            self.addresses_due = Some(ctx.now.mono_ms);
            self.keep_addresses_due(ctx);
        }
    }

    /// A member offers addresses, or somebody says that they do.
    pub fn learn_addresses(&mut self, now: Now, peer: PeerId, addresses: Vec<SocketAddr>) {
        self.addresses.insert(peer, addresses);
        self.addresses_changed(now);
    }

    /// A connection to a member stood there: that proves more than any introduction.
    pub fn learn_address(&mut self, now: Now, peer: PeerId, remote: SocketAddr) {
        let addresses = self.addresses.entry(peer).or_default();
        if !addresses.contains(&remote) {
            addresses.insert(0, remote);
            addresses.truncate(CANDIDATES_MAX);
            self.addresses_changed(now);
        }
    }

    /// Somebody tells where a member is. It stands beside what the member says itself and what was seen, and never in its
    /// place: a lie costs some dials. `false` if it is no news.
    pub fn hear_addresses(&mut self, peer: PeerId, addresses: &[SocketAddr]) -> bool {
        let known = self.addresses.get(&peer).map_or(&[][..], Vec::as_slice);
        let heard = self.hearsay.entry(peer).or_default();
        let news = |address: &&SocketAddr| !known.contains(address) && !heard.contains(address);
        let mut new: Vec<SocketAddr> = addresses.iter().filter(news).copied().collect();
        let any = !new.is_empty();
        // The newest first: of somebody whose address has changed, the old ones are worth least.
        new.append(heard);
        new.truncate(HEARSAY_ADDRESSES_MAX);
        *heard = new;
        any
    }

    /// Where a member may be: by what it says itself and what was seen, and by what others say. Each goes first in turn, since
    /// there is room for some only.
    pub fn ways_to(&self, peer: &PeerId, turn: u32) -> Vec<SocketAddr> {
        let known = self.addresses.get(peer).into_iter().flatten();
        let heard = self.hearsay.get(peer).into_iter().flatten();
        if turn.is_multiple_of(2) {
            known.chain(heard).copied().collect()
        } else {
            heard.chain(known).copied().collect()
        }
    }

    pub(super) fn addresses_changed(&mut self, now: Now) {
        self.addresses_due.get_or_insert(now.after_ms(KEEP_AFTER_MS));
    }

    /// Time passed: puts on disk where the members are, if that is news.
    pub fn keep_addresses_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.addresses_due.take_if(|due| *due <= ctx.now.mono_ms).is_none() {
            return;
        }
        let lost = self.lost.iter().map(|(peer, lost)| (*peer, lost.addresses.clone()));
        let known: BTreeMap<_, _> = lost.chain(self.addresses.clone()).collect();
        if known != self.addresses_kept {
            self.addresses_kept = known.clone();
            ctx.persist(Change::Addresses { room: self.id(), addresses: known.into_iter().collect() });
        }
    }
}
