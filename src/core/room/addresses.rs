//! Where members were reached: remembered across restarts, so that whoever comes back while there is no server finds the others.
//!
//! Only a hint: what answers there has to prove its key, and nobody but members of the roster is dialled.

use std::net::SocketAddr;

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
        if self.has(&peer) {
            self.addresses_kept.insert(peer, addresses.clone());
            self.addresses.insert(peer, addresses);
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

    fn addresses_changed(&mut self, now: Now) {
        self.addresses_due.get_or_insert(now.after_ms(KEEP_AFTER_MS));
    }

    /// Time passed: puts on disk where the members are, if that is news.
    pub fn keep_addresses_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.addresses_due.take_if(|due| *due <= ctx.now.mono_ms).is_none() || self.addresses == self.addresses_kept
        {
            return;
        }
        self.addresses_kept = self.addresses.clone();
        let addresses = self.addresses.iter().map(|(peer, addresses)| (*peer, addresses.clone())).collect();
        ctx.persist(Change::Addresses { room: self.id(), addresses });
    }
}
