//! Small packets that open the own router for a member's answer, before and beside the handshake.
//!
//! Routers that translate addresses let in whom somebody inside has spoken to. Both sides speak at the same moment, so
//! that each finds the other's router open. Two things can go wrong, and each has its packet:
//!
//! - Ours arrives first, at a router whose own side has not spoken yet. Most drop it. A Linux router without a firewall
//!   on its outer side keeps it as a conversation of its own, and must give the coming one another port, where we never
//!   look (holepunch.md §3). So the first packet is made to die on the way, behind our router and before theirs, and the
//!   handshake follows when the other side has had time to do the same. Whoever has no router of their own needs none for that, and
//!   waits all the same: such a router gives all that comes later from the same host the other port too, and is then found by nobody.
//! - A packet is lost. The handshake comes back to it after 0.3 s; two more small ones keep the own router open meanwhile.
//!
//! A probe has 16 bytes, of which the first keeps every QUIC stack from reading on; nobody answers one. At most
//! [`PROBES_MAX`] go to an address per dial (THREATS.md row 16).

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::AsyncUdpSocket as _;
use quinn::udp::Transmit;
use tokio::time::sleep;

use super::socket::OwnSocket;
use crate::limits::{PROBE_HOPS, PROBES_MAX, PUNCH_HOLD_MS};

/// No QUIC packet begins so: the bit that every one has set is not.
const PROBE: [u8; 16] = [0x3f; 16];

/// Milliseconds between the probes that go all the way.
const PROBE_EVERY_MS: u64 = 60;

/// The socket that all else goes through too, for packets that are no QUIC.
#[derive(Debug, Clone)]
pub(super) struct Puncher {
    socket: Arc<OwnSocket>,
    /// The same socket as the system has it, for packets that go a few hops only.
    raw: Option<Arc<UdpSocket>>,
    ipv6: bool,
}

impl Puncher {
    pub(super) fn new(socket: Arc<OwnSocket>, raw: Option<UdpSocket>) -> Self {
        let ipv6 = socket.local_addr().is_ok_and(|bound| bound.is_ipv6());
        Puncher { socket, raw: raw.map(Arc::new), ipv6 }
    }

    /// Opens the way for these addresses, and keeps it open while a dial lasts; ends by itself.
    pub(super) async fn open(self, far: Vec<SocketAddr>) {
        // A packet that can't be sent opens nothing, and the handshake will say so louder.
        far.iter().for_each(|to| drop(self.send(*to, Some(PROBE_HOPS))));
        sleep(Duration::from_millis(PUNCH_HOLD_MS)).await;
        for _ in 1..PROBES_MAX {
            sleep(Duration::from_millis(PROBE_EVERY_MS)).await;
            far.iter().for_each(|to| drop(self.send(*to, None)));
        }
    }

    fn send(&self, to: SocketAddr, hops: Option<i32>) -> io::Result<()> {
        let to = match to.ip() {
            IpAddr::V4(v4) if self.ipv6 => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        let packet = Transmit { destination: to, ecn: None, contents: &PROBE, segment_size: None, src_ip: None };
        match (hops, &self.raw) {
            (None, _) => self.socket.send_once(&packet),
            (Some(hops), Some(raw)) => send_so_far(raw, to, hops),
            (Some(_), None) => Ok(()),
        }
    }
}

/// The number of hops goes with this one packet: the socket's own is everybody's.
#[cfg(target_os = "linux")]
fn send_so_far(socket: &UdpSocket, to: SocketAddr, hops: i32) -> io::Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use std::os::fd::AsRawFd as _;
    let ttl = match to.ip().to_canonical() {
        IpAddr::V4(_) => ControlMessage::Ipv4Ttl(&hops),
        IpAddr::V6(_) => ControlMessage::Ipv6HopLimit(&hops),
    };
    let to = SockaddrStorage::from(to);
    sendmsg(socket.as_raw_fd(), &[io::IoSlice::new(&PROBE)], &[ttl], MsgFlags::empty(), Some(&to))?;
    Ok(())
}

/// Elsewhere there is no way to do that without unsafe code; the rare router that needs it may then need a relay.
#[cfg(not(target_os = "linux"))]
fn send_so_far(_socket: &UdpSocket, _to: SocketAddr, _hops: i32) -> io::Result<()> {
    Ok(())
}

/// Of the addresses that are about to be dialled, those behind somebody else's router, seen from behind our own: where
/// packets have to cross.
pub(super) fn across_routers(addresses: &[SocketAddr], ours: &[SocketAddr]) -> Vec<SocketAddr> {
    if ours.iter().any(|own| is_far(own.ip())) { Vec::new() } else { behind_routers(addresses) }
}

/// Of the addresses that are about to be dialled, those behind somebody else's router, which they are to open before we knock at it.
pub(super) fn behind_routers(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    // Whoever has addresses of the Internet only is behind no router.
    if addresses.iter().all(|theirs| is_far(theirs.ip())) {
        return Vec::new();
    }
    addresses.iter().copied().filter(|to| is_far(to.ip())).collect()
}

/// Whether this is an IPv4 address of the Internet. IPv6 has no routers that translate, as a rule.
pub(super) fn is_far(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !v4.is_private() && !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified() && !shared
        }
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::transport;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_is_across_two_routers_is_probed() {
        let theirs = [at("198.51.100.1:9"), at("10.0.0.7:9"), at("100.64.0.1:9"), at("[2001:db8::1]:9")];
        assert_eq!(across_routers(&theirs, &[at("192.168.1.2:9")]), [at("198.51.100.1:9")]);
        assert_eq!(across_routers(&theirs, &[at("192.168.1.2:9"), at("203.0.113.5:9")]), []);
        assert_eq!(behind_routers(&theirs), [at("198.51.100.1:9")], "whoever is in the open lets them go first");
        assert_eq!(across_routers(&theirs[..1], &[at("192.168.1.2:9")]), []);
    }

    #[tokio::test]
    async fn no_more_probes_than_the_limit_go_to_an_address() {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        target.set_nonblocking(true).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let raw = socket.try_clone().unwrap();
        let puncher = Puncher::new(OwnSocket::new(transport::for_quic(socket).unwrap()), Some(raw));
        puncher.open(vec![target.local_addr().unwrap()]).await;
        let mut heard = 0;
        let mut bytes = [0; 64];
        while let Ok(length) = target.recv(&mut bytes) {
            assert_eq!(bytes[..length], PROBE);
            heard += 1;
        }
        // On one machine nothing dies on the way.
        assert_eq!(heard, PROBES_MAX);
    }
}
