//! Links to peers: whom to dial, which of two connections to keep, whom to let go (DESIGN.md §4 rule 1, §6).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Node, ctx};
use crate::core::event::Misdeed;
use crate::core::io::{CloseReason, LinkId, Output};
use crate::core::room::{Ctx, Link, Room};
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::limits::{CANDIDATES_MAX, HANDSHAKE_WITHIN_S, STRANGER_WAIT_S, STRANGERS_MAX};
use crate::wire::{PeerMessage, RoomId};

/// First and longest wait between two attempts to reach a peer, in milliseconds; doubled each time.
const REDIAL_MS: (u64, u64) = (500, 30_000);

/// Milliseconds after a member was dropped as unreachable before they are looked for.
const LOOK_AFTER_MS: u64 = 5_000;

/// Milliseconds that a connection must have lasted to be more than an attempt: whoever holds ours as a stranger's, or has
/// too many of those, closes it sooner, and would close the next one too.
const SHORT_LIVED_MS: u64 = 2 * STRANGER_WAIT_S * 1000;

/// Milliseconds within which two connections come of the same attempt: a dial takes no longer, and the two sides see its
/// end at about the same time.
const RIVALS_MS: u64 = (HANDSHAKE_WITHIN_S + 1) * 1000;

/// A connection of somebody we do not know, or not yet: nothing is sent on it, and nothing read from it counts.
#[derive(Debug, Clone)]
pub(super) struct Stranger {
    /// Who, by their TLS key.
    peer: PeerId,
    /// The connection.
    link: Link,
    /// When it is closed unless an admission names them.
    until: u64,
    /// What they said meanwhile, since whoever adopts first speaks first.
    said: Vec<PeerMessage>,
    /// Whether they were told how we parted.
    told: bool,
}

/// Messages kept of a stranger who may be about to be known: a greeting has four and the open decisions.
const STRANGER_MESSAGES_MAX: usize = 16;

/// A peer we are trying to reach.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dialling {
    /// Since when we want a link.
    pub(super) since: u64,
    /// When to dial next.
    next_at: u64,
    /// Attempts in a row that failed.
    pub(super) failed: u32,
    /// Whether an attempt is under way.
    busy: bool,
}

impl Node {
    /// A connection stands. Both sides may have dialled: of two that come of the same attempt the one that the lower key
    /// dialled is kept, and both sides see that alike without a word; the other is read for a while yet, since either side spoke
    /// on the first that it had; what is lost on it is sent again from the frontiers, and what arrives twice is known by its id. A connection that comes later was dialled because
    /// the old one is in doubt, at one side at least, and takes over. A peer whose program was started anew has nothing
    /// at its end of the old one: then the new one is the only one.
    pub(super) fn link_up(&mut self, now: Now, peer: PeerId, id: LinkId, link: Link, out: &mut Vec<Output>) {
        if !self.is_known(&peer) {
            return self.hold_stranger(now, peer, id, link, out);
        }
        let failed = self.dialling.remove(&peer).map_or(0, |dialling| dialling.failed);
        let link = Link { since: now.mono_ms, failed, ..link };
        let by_lower = |link: &Link| link.dialled == (self.signer.id() < peer);
        if let Some(old) = self.links.get(&peer) {
            let old_id = old.id;
            let young = now.mono_ms < old.since.saturating_add(RIVALS_MS);
            let rivals = old.life == link.life && young && !self.in_doubt(&peer);
            if rivals && by_lower(old) && !by_lower(&link) {
                return self.retire(now, peer, id, out);
            }
            self.peers.remove(&old_id);
            if rivals {
                self.retire(now, peer, old_id, out);
            } else {
                out.push(Output::Close { link: old_id, why: CloseReason::Duplicate });
            }
        }
        self.renewals.remove(&peer);
        let remote = link.remote;
        self.peers.insert(id, peer);
        self.links.insert(peer, link);
        let mut ctx = ctx!(self, now, out);
        for room in self.rooms.values_mut().filter(|room| room.has(&peer)) {
            room.learn_address(now, peer, remote);
            room.link_up(&mut ctx, peer);
        }
        self.exchange_addresses(now, &peer, out);
    }

    fn is_known(&self, peer: &PeerId) -> bool {
        self.rooms.values().any(|room| room.has(peer))
    }

    fn hold_stranger(&mut self, now: Now, peer: PeerId, id: LinkId, link: Link, out: &mut Vec<Output>) {
        if self.strangers.len() >= STRANGERS_MAX {
            return out.push(Output::Close { link: id, why: CloseReason::NotMember });
        }
        let until = now.after_s(STRANGER_WAIT_S);
        let dialled = link.dialled;
        self.strangers.insert(id, Stranger { peer, link, until, said: Vec::new(), told: false });
        // Whom we looked for ourselves speaks only when spoken to: to them we are a stranger too.
        if dialled {
            let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
            rooms.into_iter().for_each(|room| self.tell_farewell(now, id, room, out));
        }
    }

    /// Tells somebody without a seat in a room, once on a connection, how we parted, if we ever met.
    fn tell_farewell(&mut self, now: Now, id: LinkId, room: RoomId, out: &mut Vec<Output>) {
        let Some(stranger) = self.strangers.get_mut(&id) else { return };
        let (peer, told) = (stranger.peer, stranger.told);
        let mut ctx = ctx!(self, now, out);
        let Some(room) = self.rooms.get_mut(&room).filter(|_| !told) else { return };
        for message in room.farewell(&mut ctx, &peer) {
            stranger.told = true;
            ctx.out.push(Output::ToPeer { link: id, message });
        }
    }

    /// Somebody without a seat says something: it waits, in case they are about to have one. What they say about who went
    /// on without whom counts for the signatures in it.
    fn on_stranger_message(&mut self, now: Now, id: LinkId, message: PeerMessage, out: &mut Vec<Output>) {
        let Some(stranger) = self.strangers.get_mut(&id) else { return };
        let peer = stranger.peer;
        if stranger.said.len() < STRANGER_MESSAGES_MAX {
            stranger.said.push(message.clone());
        }
        let Some(room) = room_of(&message) else { return };
        if let Some(room) = self.rooms.get_mut(&room).filter(|room| room.is_acquainted(&peer)) {
            let mut ctx = ctx!(self, now, out);
            match message {
                PeerMessage::Step((_, step)) => room.on_step(&mut ctx, step, None),
                PeerMessage::Past((_, roster)) => room.on_branch(roster),
                PeerMessage::Head(head) => room.on_strangers_head(&ctx, peer, head),
                _ => {}
            }
        }
        self.tell_farewell(now, id, room, out);
    }

    /// Somebody may have become a member: their waiting connections are links now.
    pub(super) fn welcome_strangers(&mut self, now: Now, out: &mut Vec<Output>) {
        let strangers = std::mem::take(&mut self.strangers);
        let (known, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            strangers.into_iter().partition(|(_, stranger)| self.is_known(&stranger.peer));
        self.strangers = rest;
        for (id, stranger) in known {
            self.link_up(now, stranger.peer, id, stranger.link, out);
            let said = stranger.said.into_iter().filter(|message| !self.is_void(message));
            let said: Vec<PeerMessage> = said.collect();
            for message in said {
                self.on_peer_message(now, id, message, out);
            }
        }
    }

    /// Whether this is a head that somebody stated before they were let in, about the seat that they had until then.
    fn is_void(&self, said_as_stranger: &PeerMessage) -> bool {
        let PeerMessage::Head(head) = said_as_stranger else { return false };
        let head = head.unverified();
        self.rooms.get(&head.room).is_some_and(|room| room.chain().roster(&head.roster).is_none())
    }

    pub(super) fn link_down(&mut self, now: Now, id: LinkId, out: &mut Vec<Output>) {
        if let Some(stranger) = self.strangers.remove(&id) {
            self.dial_failed(now, stranger.peer);
        }
        self.retiring.remove(&id);
        // A connection that was replaced is not in use any more.
        let Some(peer) = self.peers.remove(&id) else { return };
        let Some(link) = self.links.remove(&peer) else { return };
        let mut ctx = ctx!(self, now, out);
        for room in self.rooms.values_mut().filter(|room| room.has(&peer)) {
            room.learn_address(now, peer, link.remote);
            room.link_down(&mut ctx, peer);
        }
        self.observed.remove(&peer);
        self.dial_soon(now, peer);
        if link.since.saturating_add(SHORT_LIVED_MS) > now.mono_ms
            && let Some(dialling) = self.dialling.get_mut(&peer)
        {
            dialling.failed = link.failed;
            self.dial_failed(now, peer);
        }
    }

    pub(super) fn peer_malformed(&mut self, now: Now, id: LinkId, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get(&id).copied() else { return };
        let mut ctx = ctx!(self, now, out);
        for room in self.rooms.values_mut().filter(|room| room.has(&peer)) {
            room.blame(&mut ctx, Some(peer), Misdeed::Malformed);
        }
    }

    pub(super) fn on_peer_message(&mut self, now: Now, id: LinkId, message: PeerMessage, out: &mut Vec<Output>) {
        if self.strangers.contains_key(&id) {
            return self.on_stranger_message(now, id, message, out);
        }
        let Some(peer) = self.peers.get(&id).copied().or_else(|| self.retiring_peer(&id)) else { return };
        self.heard_after_all(&peer);
        if self.is_about_addresses(now, peer, &message, out) {
            return;
        }
        let Some(room) = room_of(&message) else { return };
        let mut ctx = ctx!(self, now, out);
        // A room that the peer has no seat in is none of their business, whatever they say about it.
        let Some(room) = self.rooms.get_mut(&room).filter(|room| room.has(&peer)) else { return };
        match message {
            PeerMessage::Head(head) => room.on_head(&mut ctx, peer, head),
            PeerMessage::Step((_, step)) => room.on_step(&mut ctx, step, Some(peer)),
            PeerMessage::Knock(knock) => {
                if !room.knocked_as_member(&mut ctx, &knock, Some(peer)) && room.has_room_for(&knock, Some(&peer)) {
                    room.on_knock(&mut ctx, knock, u32::MAX, Some(peer));
                    room.settle(&mut ctx);
                }
            }
            PeerMessage::Drop(drop) => room.on_drop(&mut ctx, drop, Some(peer)),
            PeerMessage::Consent(consent) => room.on_consent(&mut ctx, consent, Some(peer)),
            PeerMessage::Frontier((_, frontier)) => room.on_frontier(&mut ctx, peer, &frontier),
            PeerMessage::Run(run) => room.on_run(&mut ctx, peer, run),
            PeerMessage::LinkState(state) => room.on_link_state(&mut ctx, peer, state),
            PeerMessage::Arrived((_, author, readers)) => room.on_arrived(&mut ctx, peer, author, &readers),
            PeerMessage::Pull((_, logs)) => room.on_pull(&mut ctx, peer, &logs),
            PeerMessage::Holes((_, holes)) => room.on_holes(&mut ctx, peer, &holes),
            PeerMessage::Floor((_, floors)) => room.on_floor(&mut ctx, peer, &floors),
            PeerMessage::Trace((_, hash)) => room.on_trace(&mut ctx, peer, hash),
            PeerMessage::Past((_, roster)) => room.on_past(&mut ctx, peer, roster),
            PeerMessage::Want((_, ids)) => room.on_want(&mut ctx, peer, &ids),
            PeerMessage::Lacks((_, ids)) => room.on_lacks(&mut ctx, peer, &ids),
            PeerMessage::Reform(reform) => room.on_reform(&mut ctx, peer, reform),
            PeerMessage::Private((_, private)) => room.on_private(&mut ctx, peer, private),
            PeerMessage::Carry(carry) => room.on_carry(&mut ctx, peer, carry),
            PeerMessage::Seen(_) | PeerMessage::Candidates(_) | PeerMessage::Introduce(_) | PeerMessage::Bye(_) => {}
        }
    }

    pub(super) fn own_addresses(&mut self, now: Now, addresses: Vec<SocketAddr>, out: &mut Vec<Output>) {
        self.addresses = addresses;
        self.tell_own_addresses(out);
        self.told_addresses_at = Some(now.mono_ms);
        let mut ctx = ctx!(self, now, out);
        for room in self.rooms.values() {
            room.offer_addresses(&mut ctx);
        }
    }

    /// There is news about where a peer is: no waiting.
    pub(super) fn dial_soon(&mut self, now: Now, peer: PeerId) {
        let dialling = self.dialling.entry(peer).or_default();
        dialling.failed = 0;
        dialling.next_at = now.mono_ms;
    }

    /// A peer we have no link with has moved, or we have: what is being tried goes nowhere, and is not waited for.
    pub(super) fn dial_at_once(&mut self, now: Now, peer: PeerId) {
        self.dial_soon(now, peer);
        if let Some(dialling) = self.dialling.get_mut(&peer) {
            dialling.busy = false;
        }
    }

    pub(super) fn dial_failed(&mut self, now: Now, peer: PeerId) {
        let Some(dialling) = self.dialling.get_mut(&peer) else { return };
        dialling.busy = false;
        dialling.failed = dialling.failed.saturating_add(1);
        let wait = (REDIAL_MS.0 << dialling.failed.min(8)).min(REDIAL_MS.1);
        dialling.next_at = now.after_ms(wait + rand::RngExt::random_range(&mut self.rng, 0..=wait / 4));
    }

    /// Dials whom we should have a link with and have not; lets go of links and strangers we have no room with.
    pub(super) fn tend_links(&mut self, now: Now, out: &mut Vec<Output>) {
        self.welcome_strangers(now, out);
        self.retired_due(now, out);
        let overdue = |stranger: &Stranger| stranger.until <= now.mono_ms;
        let gone: Vec<(LinkId, Stranger)> = self.strangers.extract_if(.., |_, stranger| overdue(stranger)).collect();
        for (id, stranger) in gone {
            out.push(Output::Close { link: id, why: CloseReason::NotMember });
            // Whom we looked for may not have heard us, or have moved since: they are looked for again.
            self.dial_failed(now, stranger.peer);
        }
        let known: BTreeSet<PeerId> = self.everybody().map(|member| member.key).collect();
        for (_, link) in self.links.extract_if(.., |peer, _| !known.contains(peer)) {
            self.peers.remove(&link.id);
            out.push(Output::Close { link: link.id, why: CloseReason::NotMember });
        }
        for room in self.rooms.values_mut() {
            room.lost.retain(|_, lost| now.mono_ms < lost.until);
        }
        let wanted = self.wanted_links(now);
        self.let_go_of_surplus(now, &wanted, out);
        let lost = |peer: &PeerId| self.rooms.values().any(|room| room.lost.contains_key(peer));
        let me = self.id();
        self.hurried.retain(|peer, _| known.contains(peer) || *peer == me);
        self.dialling.retain(|peer, _| (wanted.contains(peer) || lost(peer)) && !self.links.contains_key(peer));
        if self.quitting.is_some() {
            return;
        }
        self.renewals_due(now, out);
        self.look_for_lost(now, &known, out);
        for peer in wanted.iter().filter(|peer| !self.links.contains_key(peer)) {
            let first = Dialling { since: now.mono_ms, ..Dialling::default() };
            let dialling = self.dialling.entry(*peer).or_insert(first);
            let candidates = candidates(self.rooms.values(), peer, dialling.failed);
            if !dialling.busy && dialling.next_at <= now.mono_ms && !candidates.is_empty() {
                dialling.busy = true;
                out.push(Output::Dial { peer: *peer, candidates });
            }
        }
        self.note_unknown(now);
    }

    /// Tries to reach those we parted with because nobody reached them: what parted us may be over.
    fn look_for_lost(&mut self, now: Now, wanted: &BTreeSet<PeerId>, out: &mut Vec<Output>) {
        let lost = self.rooms.values().flat_map(|room| &room.lost).filter(|(peer, _)| !wanted.contains(*peer));
        let lost: BTreeMap<PeerId, Vec<SocketAddr>> =
            lost.map(|(peer, lost)| (*peer, lost.addresses.clone())).collect();
        for (peer, candidates) in lost {
            let first = Dialling { since: now.mono_ms, next_at: now.after_ms(LOOK_AFTER_MS), failed: 3, busy: false };
            let dialling = self.dialling.entry(peer).or_insert(first);
            if !dialling.busy && dialling.next_at <= now.mono_ms {
                dialling.busy = true;
                out.push(Output::Dial { peer, candidates });
            }
        }
    }

    /// The earliest moment at which a peer is to be dialled or a stranger let go.
    pub(super) fn links_due(&self) -> Option<u64> {
        // Whoever is leaving dials nobody.
        let lost = |peer: &PeerId| self.rooms.values().any(|room| room.lost.contains_key(peer));
        let known = |peer: &PeerId| !candidates(self.rooms.values(), peer, 0).is_empty() || lost(peer);
        let reachable = |peer: &PeerId| self.quitting.is_none() && known(peer);
        let dials = self.dialling.iter().filter(|(peer, dialling)| !dialling.busy && reachable(peer));
        let strangers = self.strangers.values().map(|stranger| stranger.until);
        dials
            .map(|(_, dialling)| dialling.next_at)
            .chain(strangers)
            .chain(self.overlay_due())
            .chain(self.retired_next())
            .min()
    }
}

/// Where a peer may be reached, by what any common room knows.
pub(super) fn candidates<'r>(rooms: impl Iterator<Item = &'r Room>, peer: &PeerId, turn: u32) -> Vec<SocketAddr> {
    // Whoever has left need not be called back.
    let rooms = rooms.filter(|room| room.has(peer) && !room.has_left(peer));
    let ways: Vec<Vec<SocketAddr>> = rooms.map(|room| room.ways_to(peer, turn)).collect();
    // The first of each room before the second of any: what is told in one room keeps nothing out that is known in another.
    let longest = ways.iter().map(Vec::len).max().unwrap_or(0);
    let mut all = Vec::new();
    for way in (0..longest).flat_map(|at| ways.iter().filter_map(move |way| way.get(at))) {
        if !all.contains(way) {
            all.push(*way);
        }
    }
    all.truncate(CANDIDATES_MAX);
    all
}

/// The room that a message is about.
fn room_of(message: &PeerMessage) -> Option<RoomId> {
    match message {
        PeerMessage::Head(head) => Some(head.unverified().room),
        PeerMessage::Knock(knock) => Some(knock.unverified().room),
        PeerMessage::Drop(drop) => Some(drop.room),
        PeerMessage::Consent(consent) => Some(consent.unverified().room),
        PeerMessage::Reform(reform) => Some(reform.unverified().room),
        PeerMessage::LinkState(state) => Some(state.unverified().room),
        PeerMessage::Run(run) => Some(run.first().room),
        PeerMessage::Step((room, _))
        | PeerMessage::Frontier((room, _))
        | PeerMessage::Pull((room, _))
        | PeerMessage::Arrived((room, _, _))
        | PeerMessage::Private((room, _))
        | PeerMessage::Holes((room, _))
        | PeerMessage::Floor((room, _))
        | PeerMessage::Trace((room, _))
        | PeerMessage::Past((room, _))
        | PeerMessage::Want((room, _))
        | PeerMessage::Introduce((room, ..))
        | PeerMessage::Lacks((room, _))
        | PeerMessage::Candidates((room, _)) => Some(*room),
        PeerMessage::Carry(carry) => Some(carry.room),
        PeerMessage::Seen(_) | PeerMessage::Bye(_) => None,
    }
}
