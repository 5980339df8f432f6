//! Where members are, told from member to member where no server does it: each says where it sees the other, where it is itself,
//! and where those are that it has links with.
//!
//! Addresses go to members of a current roster only. Everybody in it has signed for everybody else in it, so what a member was told
//! for that roster may be passed on within it (DESIGN.md §4 rule 1). Whatever is told is only ever dialled, by a key that
//! has to answer; a lie costs a few handshakes with somebody who isn't there (THREATS.md row 16).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Node;
use crate::core::io::Output;
use crate::core::rendezvous::introduce::is_unicast;
use crate::core::room::Room;
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::limits::{CANDIDATES_MAX, OBSERVED_ADDRESSES_MAX};
use crate::wire::{Few, PeerMessage, RoomId};

/// Milliseconds within which news about addresses is gathered before it is told on: whatever a member says that it sees, or
/// where it says that it is, costs the others one message each in that time.
const TELL_ON_MS: u64 = 3_000;

/// News about addresses that is to be told on.
#[derive(Debug, Default)]
pub(super) struct TellingOn {
    /// Whether we are seen elsewhere.
    own: bool,
    /// Who says to be elsewhere, in which room.
    of: BTreeSet<(RoomId, PeerId)>,
    /// When something was told last.
    told_at: Option<u64>,
}

impl TellingOn {
    /// When there is something to be told next.
    pub(super) fn due(&self) -> Option<u64> {
        (self.own || !self.of.is_empty()).then(|| self.told_at.map_or(0, |at| at.saturating_add(TELL_ON_MS)))
    }
}

impl Node {
    /// Tells on what is news about addresses, if it is time.
    pub(super) fn tell_on(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.telling_on.due().is_none_or(|due| due > now.mono_ms) {
            return;
        }
        self.telling_on.told_at = Some(now.mono_ms);
        if std::mem::take(&mut self.telling_on.own) {
            self.tell_own_addresses(out);
        }
        for (room, peer) in std::mem::take(&mut self.telling_on.of) {
            self.introduce(room, &peer, false, out);
        }
    }

    /// A link stands: both sides tell what they know of addresses, for each common room in which no server does.
    pub(super) fn exchange_addresses(&mut self, now: Now, peer: &PeerId, out: &mut Vec<Output>) {
        let Some(link) = self.links.get(peer) else { return };
        let (id, remote) = (link.id, link.remote);
        let rooms: Vec<RoomId> = self.rooms_without_server(peer).map(Room::id).collect();
        if rooms.is_empty() {
            return;
        }
        out.push(Output::ToPeer { link: id, message: PeerMessage::Seen(remote) });
        for room in rooms {
            let own = Few::first_of(self.own_candidates());
            out.push(Output::ToPeer { link: id, message: PeerMessage::Candidates((room, own)) });
            if let Some(room) = self.rooms.get_mut(&room) {
                room.learn_address(now, *peer, remote);
            }
            self.introduce(room, peer, true, out);
        }
    }

    /// The common rooms with a member in which one of us two is not known to the server.
    fn rooms_without_server(&self, peer: &PeerId) -> impl Iterator<Item = &Room> {
        let alone = |room: &&Room| !self.server_up || !room.online.contains(peer);
        self.rooms.values().filter(|room| room.has(peer)).filter(alone)
    }

    /// Tells those we have links with where a member is, and, if `both`, that member where they are; those left out who have a
    /// link already.
    fn introduce(&self, room: RoomId, peer: &PeerId, both: bool, out: &mut Vec<Output>) {
        let Some(room) = self.rooms.get(&room) else { return };
        let told = |of: &PeerId, to: &PeerId, out: &mut Vec<Output>| {
            let (Some(link), Some(addresses)) = (self.links.get(to), room.addresses.get(of)) else { return };
            let addresses = Few::first_of(addresses.iter().copied());
            out.push(Output::ToPeer { link: link.id, message: PeerMessage::Introduce((room.id(), *of, addresses)) });
        };
        for other in room.others(&self.id()) {
            if other == *peer || !self.links.contains_key(&other) || room.are_linked(peer, &other) {
                continue;
            }
            told(peer, &other, out);
            if both {
                told(&other, peer, out);
            }
        }
    }

    /// What a member says about addresses; `false` if it says something else.
    pub(super) fn is_about_addresses(
        &mut self,
        now: Now,
        from: PeerId,
        message: &PeerMessage,
        out: &mut Vec<Output>,
    ) -> bool {
        match message {
            PeerMessage::Seen(address) => self.seen_at(now, from, *address, out),
            PeerMessage::Candidates((id, addresses)) => {
                let remote = self.links.get(&from).map(|link| link.remote);
                let Some(room) = self.rooms.get_mut(id).filter(|room| room.has(&from)) else { return true };
                let before = room.addresses.get(&from).cloned();
                room.learn_addresses(now, from, addresses.iter().copied().collect());
                remote.into_iter().for_each(|remote| room.learn_address(now, from, remote));
                if room.addresses.get(&from) != before.as_ref() {
                    self.telling_on.of.insert((*id, from));
                    self.tell_on(now, out);
                }
            }
            PeerMessage::Introduce((id, who, addresses)) => self.introduced_by(now, *id, from, *who, addresses),
            _ => return false,
        }
        true
    }

    /// A member tells where another one is: kept beside what is known of them, since their own word says more.
    fn introduced_by(&mut self, now: Now, id: RoomId, from: PeerId, who: PeerId, addresses: &[SocketAddr]) {
        let me = self.id();
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if who == me || !room.has(&who) || !room.has(&from) || self.links.contains_key(&who) {
            return;
        }
        if !room.hear_addresses(who, addresses) {
            return;
        }
        self.dial_soon(now, who);
    }

    fn seen_at(&mut self, now: Now, by: PeerId, address: SocketAddr, out: &mut Vec<Output>) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if !is_unicast(address) || self.addresses.contains(&address) {
            return;
        }
        let before = self.own_candidates();
        self.observed.insert(by, address);
        if self.own_candidates() != before {
            self.telling_on.own = true;
            self.tell_on(now, out);
        }
    }

    /// Where we are: our own addresses, and those under which most members see us.
    pub(super) fn own_candidates(&self) -> Vec<SocketAddr> {
        let mut seen: Vec<(usize, SocketAddr)> = Vec::new();
        for address in self.observed.values() {
            match seen.iter_mut().find(|(_, known)| known == address) {
                Some((votes, _)) => *votes += 1,
                None => seen.push((1, *address)),
            }
        }
        seen.sort_by_key(|(votes, address)| (std::cmp::Reverse(*votes), *address));
        let seen = seen.into_iter().map(|(_, address)| address).take(OBSERVED_ADDRESSES_MAX);
        let own = self.addresses.iter().copied().take(CANDIDATES_MAX - OBSERVED_ADDRESSES_MAX);
        own.chain(seen).collect()
    }

    /// Our own addresses have changed: those are told that hear of them over links.
    pub(super) fn tell_own_addresses(&self, out: &mut Vec<Output>) {
        let own = Few::first_of(self.own_candidates());
        for (peer, link) in &self.links {
            for room in self.rooms_without_server(peer) {
                let message = PeerMessage::Candidates((room.id(), own.clone()));
                out.push(Output::ToPeer { link: link.id, message });
            }
        }
    }
}
