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
use crate::limits::CANDIDATES_MAX;

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
