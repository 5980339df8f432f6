//! Which addresses to offer to others, and which of theirs to dial.
//!
//! Nobody can make us send packets to where no peer can be: only to ordinary addresses, [`CANDIDATES_MAX`] at most, and
//! to our own machine or cable only if that is where we are ourselves (THREATS.md row 16).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::limits::CANDIDATES_MAX;

/// An address as everybody writes it: IPv4 that a dual-stack socket shows as IPv6 becomes IPv4 again.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The addresses under which others may reach a socket bound to `bound`, most useful first; and all that this machine has
/// on interfaces that are up.
pub(super) fn local(bound: SocketAddr) -> (Vec<SocketAddr>, Vec<IpAddr>) {
    let bound = canonical(bound);
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    // A cable that was pulled out keeps its address for a while.
    let up = interfaces.into_iter().filter(if_addrs::Interface::is_oper_up);
    let present: Vec<IpAddr> = up.map(|interface| interface.ip()).collect();
    let local = if bound.ip().is_unspecified() { among(bound, present.clone()) } else { vec![bound] };
    (local, present)
}

fn among(bound: SocketAddr, mut addresses: Vec<IpAddr>) -> Vec<SocketAddr> {
    addresses.retain(|&ip| (bound.is_ipv6() || ip.is_ipv4()) && !is_v6_link_local(ip));
    if addresses.iter().any(|ip| !ip.is_loopback()) {
        addresses.retain(|ip| !ip.is_loopback());
    }
    // Ordinary addresses before link-local ones, IPv4 first: it is what two peers most often share.
    addresses.sort_by_key(|&ip| (is_link_local(ip), ip.is_ipv6(), ip));
    addresses.dedup();
    addresses.truncate(CANDIDATES_MAX);
    addresses.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// Those of `offered` that a socket bound to `bound`, with the addresses `ours`, may dial; each once, in order.
pub(super) fn dialable(offered: &[SocketAddr], bound: SocketAddr, ours: &[SocketAddr]) -> Vec<SocketAddr> {
    let bound = canonical(bound);
    let mut chosen = Vec::new();
    for address in offered.iter().copied().map(canonical) {
        let ip = address.ip();
        let ordinary = match ip {
            IpAddr::V4(v4) => !v4.is_broadcast() && v4.octets()[0] != 0 && v4.octets()[0] < 240,
            // Without its interface a link-local IPv6 address leads nowhere, and the wire doesn't carry interfaces.
            IpAddr::V6(_) => !is_v6_link_local(ip),
        };
        let fit = ordinary
            && address.port() != 0
            && !ip.is_multicast()
            && !ip.is_unspecified()
            && (bound.is_ipv6() || ip.is_ipv4())
            && (!ip.is_loopback() || ours.iter().any(|own| own.ip().is_loopback()))
            && (!is_link_local(ip) || ours.iter().any(|own| is_link_local(own.ip())))
            // A socket bound to loopback can't reach anything else.
            && (!bound.ip().is_loopback() || ip.is_loopback());
        if fit && !chosen.contains(&address) && chosen.len() < CANDIDATES_MAX {
            chosen.push(address);
        }
    }
    chosen
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_link_local()) || is_v6_link_local(ip)
}

fn is_v6_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if Ipv6Addr::is_unicast_link_local(&v6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_ordinary_addresses_are_dialled() {
        let offered = addresses(&[
            "0.0.0.0:9",
            "255.255.255.255:9",
            "224.0.0.1:9",
            "240.0.0.1:9",
            "127.0.0.1:9",
            "169.254.0.7:9",
            "192.0.2.1:0",
            "[::]:9",
            "[ff02::1]:9",
            "[fe80::1]:9",
            "[::1]:9",
            "[::ffff:127.0.0.1]:9",
            "192.0.2.1:9",
            "[::ffff:192.0.2.1]:9",
            "[2001:db8::1]:9",
        ]);
        let ours = addresses(&["192.0.2.7:1"]);
        let any = "[::]:1".parse().unwrap();
        assert_eq!(dialable(&offered, any, &ours), addresses(&["192.0.2.1:9", "[2001:db8::1]:9"]));
        let v4 = "0.0.0.0:1".parse().unwrap();
        assert_eq!(dialable(&offered, v4, &ours), addresses(&["192.0.2.1:9"]));
    }

    #[test]
    fn loopback_is_dialled_from_loopback_and_nothing_else_is() {
        let offered = addresses(&["127.0.0.1:9", "192.0.2.1:9"]);
        let bound = "127.0.0.1:1".parse().unwrap();
        assert_eq!(dialable(&offered, bound, &[bound]), addresses(&["127.0.0.1:9"]));
    }

    #[test]
    fn no_more_than_the_limit_is_dialled() {
        let offered: Vec<_> = (1..100).map(|port| SocketAddr::new([192, 0, 2, 1].into(), port)).collect();
        assert_eq!(dialable(&offered, "0.0.0.0:1".parse().unwrap(), &[]).len(), CANDIDATES_MAX);
    }

    #[test]
    fn loopback_is_offered_only_when_there_is_nothing_else() {
        let bound = "0.0.0.0:7".parse().unwrap();
        let loopback: IpAddr = [127, 0, 0, 1].into();
        assert_eq!(among(bound, vec![loopback]), addresses(&["127.0.0.1:7"]));
        assert_eq!(among(bound, vec![loopback, [192, 0, 2, 1].into()]), addresses(&["192.0.2.1:7"]));
        assert_eq!(local("127.0.0.1:7".parse().unwrap()).0, addresses(&["127.0.0.1:7"]));
    }
}
