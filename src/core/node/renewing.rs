//! Links that may have lost their path: a network changed under us, or under the peer, or nothing is heard any more.
//!
//! Such a link is kept, since it may well go on, and is dialled anew beside it, by both sides where both know: the
//! newer connection takes over (`links`). That one rule serves every kind of change. QUIC moves a connection only
//! with its dialler, and only where the other side's router lets the new address in; two dials that cross get through
//! whatever they got through at first, and cost one round trip.

use std::net::SocketAddr;

use super::Node;
use super::links::candidates;
use crate::core::io::{LinkId, Output};
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::limits::{CANDIDATES_MAX, HURRIES_PER_MINUTE_MAX};
use crate::wire::RoomId;

/// Milliseconds from one attempt to the next, doubled each time: as long as a lost first packet takes to be sent again
/// thrice.
const AGAIN_MS: u64 = 1_000;

/// Attempts before a link is left to its idle timeout.
const ATTEMPTS_MAX: u32 = 4;

/// Milliseconds within which our addresses are not told again, however many links fall silent.
const TELL_AGAIN_MS: u64 = 3_000;

/// A link that is dialled anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renewal {
    /// When to dial next; `None` once all attempts were made.
    next_at: Option<u64>,
    /// Attempts made.
    attempts: u32,
}

impl Node {
    /// Our network changed under us: every link is dialled anew. The server, which was just told our addresses, sees by
    /// that where we are.
    pub(super) fn network_changed(&mut self, now: Now) {
        let linked: Vec<PeerId> = self.links.keys().copied().collect();
        linked.into_iter().for_each(|peer| self.renew(now, peer));
        let unlinked: Vec<PeerId> = self.dialling.keys().copied().collect();
        unlinked.into_iter().for_each(|peer| self.dial_at_once(now, peer));
    }

    /// The server sees us elsewhere than before: our router has moved, or we have and did not notice.
    pub(super) fn moved(&mut self, now: Now) {
        if self.may_hurry(now, self.id()) {
            self.network_changed(now);
        }
    }

    /// What was sent on a link is not acknowledged by the other side's QUIC.
    pub(super) fn link_silent(&mut self, now: Now, id: LinkId, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get(&id).copied() else { return };
        // If it is we who have moved, the server sees it by this and tells everybody.
        self.tell_addresses(now, out);
        self.renew(now, peer);
    }

    /// Where a peer is, by the server.
    pub(super) fn introduced(&mut self, now: Now, id: RoomId, peer: PeerId, addresses: Vec<SocketAddr>) {
        let Some(room) = self.rooms.get_mut(&id).filter(|room| room.has(&peer)) else { return };
        let seen_elsewhere = room.addresses.get(&peer).is_some_and(|before| before.first() != addresses.first());
        room.learn_addresses(now, peer, addresses);
        if !self.may_hurry(now, peer) {
            return;
        }
        match (self.links.contains_key(&peer), seen_elsewhere) {
            (false, false) => self.dial_soon(now, peer),
            (false, true) => self.dial_at_once(now, peer),
            (true, false) => {}
            (true, true) => self.renew(now, peer),
        }
    }

    /// Somebody's link with a peer broke, by the server's word: ours may be the next, or be there to be had.
    pub(super) fn dial_on_report(&mut self, now: Now, peer: PeerId) {
        if self.may_hurry(now, peer) {
            self.dial_soon(now, peer);
        }
    }

    /// Whether news of somebody is a reason to dial before it is time. Nobody, and no server that lies, makes us dial for
    /// ever by ever new addresses (THREATS.md rows 16 and 32).
    pub(super) fn may_hurry(&mut self, now: Now, peer: PeerId) -> bool {
        let hurried = self.hurried.entry(peer).or_default();
        while hurried.front().is_some_and(|at| at + 60_000 <= now.mono_ms) {
            hurried.pop_front();
        }
        let may = hurried.len() < HURRIES_PER_MINUTE_MAX;
        if may {
            hurried.push_back(now.mono_ms);
        }
        may
    }

    fn tell_addresses(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.told_addresses_at.is_some_and(|at| now.mono_ms < at.saturating_add(TELL_AGAIN_MS)) {
            return;
        }
        self.own_addresses(now, self.addresses.clone(), out);
    }

    /// Dials a linked peer anew, unless that is being done.
    fn renew(&mut self, now: Now, peer: PeerId) {
        let fresh = Renewal { next_at: Some(now.mono_ms), attempts: 0 };
        let renewal = self.renewals.entry(peer).or_insert(fresh);
        // What was tried in vain from another network, or towards one, says nothing about this one.
        if renewal.next_at.is_none() {
            *renewal = fresh;
        }
    }

    /// Whether a link is in doubt, so that any newer connection is the better one.
    pub(super) fn in_doubt(&self, peer: &PeerId) -> bool {
        self.renewals.contains_key(peer)
    }

    /// Something was heard on a link that all attempts have left in doubt: it does go on.
    pub(super) fn heard_after_all(&mut self, peer: &PeerId) {
        if self.renewals.get(peer).is_some_and(|renewal| renewal.next_at.is_none()) {
            self.renewals.remove(peer);
        }
    }

    /// Dials the links in doubt whose moment has come.
    pub(super) fn renewals_due(&mut self, now: Now, out: &mut Vec<Output>) {
        let links = &self.links;
        self.renewals.retain(|peer, _| links.contains_key(peer));
        for (peer, renewal) in &mut self.renewals {
            if renewal.next_at.is_none_or(|at| at > now.mono_ms) {
                continue;
            }
            renewal.attempts += 1;
            renewal.next_at =
                (renewal.attempts < ATTEMPTS_MAX).then(|| now.after_ms(AGAIN_MS << (renewal.attempts - 1)));
            let mut addresses = candidates(self.rooms.values(), peer, renewal.attempts - 1);
            // Where it was reached last is worth a try, if it is known by nothing else.
            let last = self.links.get(peer).map(|link| link.remote);
            if let Some(last) = last.filter(|last| !addresses.contains(last) && addresses.len() < CANDIDATES_MAX) {
                addresses.push(last);
            }
            out.push(Output::Dial { peer: *peer, candidates: addresses });
        }
    }

    /// The earliest moment at which a link in doubt is to be dialled.
    pub(super) fn renewals_next(&self) -> Option<u64> {
        let quitting = self.quitting.is_some();
        self.renewals.values().filter(|_| !quitting).filter_map(|renewal| renewal.next_at).min()
    }
}
