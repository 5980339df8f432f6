//! Where members can be reached, told to members only.
//!
//! Addresses are kept in memory, with the attachment they belong to, and are forgotten with it. Those given for one roster
//! are not told to somebody who came in later: a member gives them anew when it has adopted the admission, which is its own
//! client's word that the newcomer may have them (DESIGN.md §4 rule 1).

use std::net::{IpAddr, SocketAddr};

use super::refusal::{Refusal, not_member};
use super::room::{Room, Turn};
use super::sessions::Client;
use crate::identity::PeerId;
use crate::limits::CANDIDATES_MAX;
use crate::wire::{Few, FromServer, RosterHash};

/// Milliseconds within which the same addresses are told once: a member gives them when it takes a step, and again when it hears
/// that this server has taken it too.
const TOLD_TWICE_MS: u64 = 3_000;

/// Addresses of one member.
pub(in crate::core) type Addresses = Few<SocketAddr, CANDIDATES_MAX>;

impl Room {
    /// A member tells where it can be reached. Addresses for another roster than the room's are passed over: its client
    /// sends them anew as soon as it knows the roster.
    pub(super) fn candidates(
        &mut self,
        turn: &mut Turn<'_>,
        client: &Client,
        at: RosterHash,
        offered: &[SocketAddr],
    ) -> Result<(), Refusal> {
        if at != self.hash() {
            return Ok(());
        }
        let addresses = usable(client.observed, offered);
        let now_ms = turn.now.mono_ms;
        let attachment = self.attachment(&client.key).ok_or_else(not_member)?;
        let lately = attachment.told_at.is_some_and(|at| now_ms < at.saturating_add(TOLD_TWICE_MS));
        if lately && attachment.addresses.as_ref() == Some(&addresses) {
            return Ok(());
        }
        attachment.told_at = Some(now_ms);
        attachment.addresses = Some(addresses.clone());
        self.expected.take_if(|key| *key == client.key);
        self.tell_newcomer(turn, client, offered, &addresses);
        self.tell_others(turn, &client.key, &FromServer::Introduce((self.id(), client.key, addresses)));
        // A newcomer hears of it when it has told its own: both then dial at the same moment, which is what routers need.
        self.introduce_others(turn, &client.key);
        Ok(())
    }

    /// Somebody who was admitted a moment ago and has yet to say where they are is told of a member that no router stands before:
    /// there is nothing to open from the inside, so they need not wait until that member can dial them too. Of all others they
    /// hear when these hear of them.
    fn tell_newcomer(&self, turn: &mut Turn<'_>, client: &Client, offered: &[SocketAddr], addresses: &Addresses) {
        let Some(newcomer) = self.expected.filter(|key| *key != client.key) else { return };
        let is_observed = |address: &SocketAddr| {
            (address.ip().to_canonical(), address.port()) == (client.observed.ip(), client.observed.port())
        };
        if offered.iter().any(is_observed) {
            turn.send(&newcomer, FromServer::Introduce((self.id(), client.key, addresses.clone())));
        }
    }

    /// A member is seen elsewhere now: the others are told, if they may know where it is at all.
    pub(super) fn moved(&mut self, turn: &mut Turn<'_>, client: &Client) {
        let Some(attachment) = self.attachment(&client.key) else { return };
        let Some(before) = attachment.addresses.take() else { return };
        // The first is where it was seen before.
        let addresses = usable(client.observed, before.get(1..).unwrap_or_default());
        attachment.addresses = Some(addresses.clone());
        attachment.told_at = None;
        self.tell_others(turn, &client.key, &FromServer::Introduce((self.id(), client.key, addresses)));
    }

    /// Tells a member where all others are that have told.
    pub(super) fn introduce_others(&self, turn: &mut Turn<'_>, to: &PeerId) {
        for (key, addresses) in self.addresses().filter(|(key, _)| *key != to) {
            turn.send(to, FromServer::Introduce((self.id(), *key, addresses.clone())));
        }
    }
}

/// The address a client is seen from, then those it offers that another host could use.
pub(in crate::core) fn usable(observed: SocketAddr, offered: &[SocketAddr]) -> Addresses {
    let at_home = observed.ip().is_loopback();
    let mut usable = vec![observed];
    for address in offered.iter().map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())) {
        if is_unicast(address) && (at_home || !address.ip().is_loopback()) && !usable.contains(&address) {
            usable.push(address);
        }
    }
    Few::first_of(usable)
}

/// Whether an address can stand for one host that isn't only reachable on one cable (THREATS.md row 16).
pub(in crate::core) fn is_unicast(address: SocketAddr) -> bool {
    let local = match address.ip() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    address.port() != 0 && !local && !address.ip().is_unspecified() && !address.ip().is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_another_host_could_use_are_passed_on() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let offered: Vec<_> = [
            "192.168.1.7:9",
            "[::ffff:192.168.1.7]:9",
            "127.0.0.1:9",
            "0.0.0.0:9",
            "[::]:9",
            "224.0.0.1:9",
            "255.255.255.255:9",
            "169.254.1.1:9",
            "[fe80::1]:9",
            "10.0.0.1:0",
            "[2001:db8::1]:9",
            "198.51.100.1:5",
        ]
        .map(at)
        .into();
        let observed = at("198.51.100.1:5");
        assert_eq!(*usable(observed, &offered), [observed, at("192.168.1.7:9"), at("[2001:db8::1]:9")]);
        let home = at("127.0.0.1:5");
        assert_eq!(*usable(home, &[at("127.0.0.1:9")]), [home, at("127.0.0.1:9")]);
    }

    #[test]
    fn the_observed_address_is_first_and_never_crowded_out() {
        let observed: SocketAddr = "198.51.100.1:5".parse().unwrap();
        let offered: Vec<_> = (1..=8).map(|port| SocketAddr::new([10, 0, 0, 1].into(), port)).collect();
        let usable = usable(observed, &offered);
        assert_eq!((usable.len(), usable[0]), (CANDIDATES_MAX, observed));
    }
}
