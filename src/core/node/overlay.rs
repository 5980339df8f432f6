//! Which links a client keeps where not everybody has one with everybody: those with its neighbours on the rings of each large
//! room (`core::overlay`), and with everybody in small ones. Whoever dialled a link that is needed no more ends it.

use std::collections::BTreeSet;

use super::links::candidates;
use super::{Node, ctx};
use crate::core::io::{CloseReason, Output};
use crate::core::room::Ctx;
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::limits::GUEST_LINKS_MAX;

/// Attempts that fail before another stands in for a neighbour.
const HOPELESS_AFTER: u32 = 3;

/// Milliseconds that a neighbour whose address nobody knows has before another stands in.
const UNKNOWN_AFTER_MS: u64 = 5_000;

/// Milliseconds for which a link stays that is needed no more: those that take its place have yet to come up, and rosters that
/// change in a row may want it back.
const LINGER_MS: u64 = 30_000;

impl Node {
    /// With whom we should have links.
    pub(super) fn wanted_links(&self, now: Now) -> BTreeSet<PeerId> {
        let me = self.id();
        let unknown = |peer: &PeerId| candidates(self.rooms.values(), peer, 0).is_empty();
        let hopeless = |peer: &PeerId| {
            let Some(dialling) = self.dialling.get(peer) else { return false };
            dialling.failed >= HOPELESS_AFTER
                || dialling.since.saturating_add(UNKNOWN_AFTER_MS) <= now.mono_ms && unknown(peer)
        };
        let hopeless = |peer: &PeerId| !self.links.contains_key(peer) && hopeless(peer);
        self.rooms.values().flat_map(|room| room.wanted_links(&me, hopeless)).collect()
    }

    /// Lets go of links that we dialled and need no more, and of those that others dialled beyond what we keep as a favour to
    /// whoever can't link with its own neighbours.
    pub(super) fn let_go_of_surplus(&mut self, now: Now, wanted: &BTreeSet<PeerId>, out: &mut Vec<Output>) {
        let links = &self.links;
        self.surplus.retain(|peer, _| links.contains_key(peer) && !wanted.contains(peer));
        for peer in links.keys().filter(|peer| !wanted.contains(*peer)) {
            self.surplus.entry(*peer).or_insert(now.mono_ms);
        }
        let ours = |peer: &PeerId| links.get(peer).is_some_and(|link| link.dialled);
        let lapsed = |since: u64| since.saturating_add(LINGER_MS) <= now.mono_ms;
        let mut gone: Vec<PeerId> =
            self.surplus.iter().filter(|(peer, since)| ours(peer) && lapsed(**since)).map(|(peer, _)| *peer).collect();
        let mut guests: Vec<(u64, PeerId)> = self
            .surplus
            .keys()
            .filter(|peer| !ours(peer))
            .filter_map(|peer| Some((links.get(peer)?.since, *peer)))
            .collect();
        guests.sort_unstable();
        gone.extend(guests.into_iter().skip(GUEST_LINKS_MAX).map(|(_, peer)| peer));
        for peer in gone {
            self.surplus.remove(&peer);
            let Some(link) = self.links.remove(&peer) else { continue };
            self.peers.remove(&link.id);
            out.push(Output::Close { link: link.id, why: CloseReason::Surplus });
            let mut ctx = ctx!(self, now, out);
            for room in self.rooms.values_mut().filter(|room| room.has(&peer)) {
                room.let_go(&mut ctx, peer);
            }
        }
    }

    /// When a link is to be let go, or somebody is to stand in for a neighbour whose address nobody knows.
    pub(super) fn overlay_due(&self) -> Option<u64> {
        let ours = |peer: &PeerId| self.links.get(peer).is_some_and(|link| link.dialled);
        let surplus = self.surplus.iter().filter(|(peer, _)| ours(peer)).map(|(_, since)| since + LINGER_MS);
        let large = self.rooms.values().any(|room| room.is_large());
        surplus.chain(self.unknown_until.filter(|_| large)).min()
    }

    /// Looks for the next moment at which a neighbour's address has been unknown for too long.
    pub(super) fn note_unknown(&mut self, now: Now) {
        let until = |dialling: &super::links::Dialling| dialling.since.saturating_add(UNKNOWN_AFTER_MS);
        let soon = self.dialling.values().map(until).filter(|at| *at > now.mono_ms).min();
        self.unknown_until = soon;
    }
}
