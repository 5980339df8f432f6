//! What an examination means for a chat. Pure, so that every kind of network has its test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Findings, Known, PortMapping, Reached, Second, Told};
use crate::limits::CLOCK_OFF_SHOWN_MS;

/// How well this user's chats will connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Directly with nearly everybody.
    Good,
    /// With some only through a common member, or it can't be told.
    Limited,
    /// Not at all, or not safely.
    Bad,
}

/// What the router in between does with this machine's addresses (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// There is none: the server sees an address of this machine.
    None,
    /// One outer address, whoever is talked to: others can be told where to knock.
    Same,
    /// Another one for each destination ("symmetric"): nobody can be told.
    ByDestination,
    /// The server's second port didn't answer, so nobody knows.
    Unknown,
}

/// What a user may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// Name the right server, or ask its operator.
    CheckServer,
    /// Another network, or one where UDP isn't blocked.
    AllowUdp,
    /// Compare the certificate's words with the operator's.
    CompareWords,
    /// Give the password, or what else the server said.
    AnswerServer,
    /// Turn on port mapping (PCP, NAT-PMP, UPnP) in the router, or forward a port by hand.
    MapPort,
    /// Get IPv6.
    UseIpv6,
    /// Have a member in the room whom everybody reaches.
    AddCarrier,
    /// Set the clock.
    SetClock,
    /// Ask the operator for the second port.
    OpenSecondPort,
}

/// The whole picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// How well it will go.
    pub verdict: Verdict,
    /// What the router does; `None` when no server told where it sees us.
    pub mapping: Option<Mapping>,
    /// Whether this machine has an IPv6 address that the whole Internet can talk to.
    pub public_ipv6: bool,
    /// What to try, most useful first.
    pub remedies: Vec<Remedy>,
}

/// Draws the conclusions.
pub fn diagnose(findings: &Findings) -> Diagnosis {
    let public_ipv6 = findings.local.iter().any(is_public_ipv6);
    let diagnosis = |verdict, mapping, remedies| Diagnosis { verdict, mapping, public_ipv6, remedies };
    let reached = match &findings.server {
        Ok(reached) => reached,
        // Nothing was sent, so nothing was blocked.
        Err(super::ServerDialError::NotFound(_)) => return diagnosis(Verdict::Bad, None, vec![Remedy::CheckServer]),
        Err(_) => return diagnosis(Verdict::Bad, None, vec![Remedy::CheckServer, Remedy::AllowUdp]),
    };
    if let Known::Changed { .. } | Known::Unreadable(_) = reached.certificate {
        return diagnosis(Verdict::Bad, None, vec![Remedy::CompareWords]);
    }
    let Ok(told) = &reached.told else {
        return diagnosis(Verdict::Bad, None, vec![Remedy::AnswerServer]);
    };
    let mapping = mapping(told, &findings.local);
    let mapped = matches!(findings.port_mapping, PortMapping::At(_));
    let (verdict, mut remedies) = match mapping {
        _ if mapped => (Verdict::Good, Vec::new()),
        Mapping::None | Mapping::Same => (Verdict::Good, Vec::new()),
        Mapping::Unknown => (Verdict::Limited, vec![Remedy::OpenSecondPort]),
        Mapping::ByDestination if public_ipv6 => (Verdict::Limited, vec![Remedy::MapPort, Remedy::AddCarrier]),
        Mapping::ByDestination => (Verdict::Limited, vec![Remedy::MapPort, Remedy::UseIpv6, Remedy::AddCarrier]),
    };
    remedies.extend(small_things(reached, told));
    diagnosis(verdict, Some(mapping), remedies)
}

fn small_things(reached: &Reached, told: &Told) -> impl Iterator<Item = Remedy> {
    let new = matches!(reached.certificate, Known::New(_)).then_some(Remedy::CompareWords);
    let clock = (told.clock_ahead_ms.unsigned_abs() > CLOCK_OFF_SHOWN_MS).then_some(Remedy::SetClock);
    new.into_iter().chain(clock)
}

fn mapping(told: &Told, local: &[IpAddr]) -> Mapping {
    if local.contains(&told.observed.ip()) || told.observed.ip().is_loopback() {
        return Mapping::None;
    }
    match told.second {
        Second::Observed(second) if second == told.observed => Mapping::Same,
        Second::Observed(_) => Mapping::ByDestination,
        Second::NotThere | Second::Silent(_) => Mapping::Unknown,
    }
}

/// An address in 2000::/3, where all that is routed worldwide lies (RFC 4291 §2.4).
fn is_public_ipv6(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.segments()[0] & 0xe000 == 0x2000)
}

/// Whether an address can only be one of a network behind a router (RFC 1918, RFC 6598).
pub fn is_private(address: &SocketAddr) -> bool {
    let shared = |v4: Ipv4Addr| v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
    matches!(address.ip(), IpAddr::V4(v4) if v4.is_private() || shared(v4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Fingerprint;
    use crate::net::ServerDialError;

    fn told(observed: &str, second: Second) -> Told {
        Told { observed: observed.parse().unwrap(), second, clock_ahead_ms: 12 }
    }

    fn findings(told: Result<Told, String>) -> Findings {
        let remote = "198.51.100.1:4433".parse().unwrap();
        let reached = Reached { remote, rtt_ms: 20, mtu: 1452, certificate: Known::Remembered, withheld: false, told };
        Findings {
            local: vec!["192.168.1.7".parse().unwrap()],
            resolved: vec![remote],
            server: Ok(reached),
            other_version: None,
            port_mapping: PortMapping::None,
        }
    }

    fn seen(address: &str) -> Second {
        Second::Observed(address.parse().unwrap())
    }

    #[test]
    fn a_router_with_one_mapping_is_good() {
        let diagnosis = diagnose(&findings(Ok(told("203.0.113.9:7000", seen("203.0.113.9:7000")))));
        assert_eq!((diagnosis.verdict, diagnosis.mapping), (Verdict::Good, Some(Mapping::Same)));
        assert_eq!(diagnosis.remedies, []);
    }

    #[test]
    fn no_router_is_good_whatever_the_second_port_says() {
        let diagnosis = diagnose(&findings(Ok(told("192.168.1.7:7000", Second::Silent(4434)))));
        assert_eq!((diagnosis.verdict, diagnosis.mapping), (Verdict::Good, Some(Mapping::None)));
    }

    #[test]
    fn a_mapping_by_destination_is_limited_and_names_what_helps() {
        let symmetric = findings(Ok(told("203.0.113.9:7000", seen("203.0.113.9:7001"))));
        let diagnosis = diagnose(&symmetric);
        assert_eq!((diagnosis.verdict, diagnosis.mapping), (Verdict::Limited, Some(Mapping::ByDestination)));
        assert_eq!(diagnosis.remedies, [Remedy::MapPort, Remedy::UseIpv6, Remedy::AddCarrier]);
        let mut with_ipv6 = symmetric;
        with_ipv6.local.push("2001:db8::7".parse().unwrap());
        assert!(!diagnose(&with_ipv6).remedies.contains(&Remedy::UseIpv6));
    }

    #[test]
    fn a_granted_port_makes_up_for_any_router() {
        let mut mapped = findings(Ok(told("203.0.113.9:7000", seen("203.0.113.9:7001"))));
        mapped.port_mapping = PortMapping::At("203.0.113.9:7777".parse().unwrap());
        assert_eq!((diagnose(&mapped).verdict, diagnose(&mapped).remedies), (Verdict::Good, vec![]));
    }

    #[test]
    fn an_unknown_mapping_is_not_called_good() {
        for second in [Second::NotThere, Second::Silent(4434)] {
            let diagnosis = diagnose(&findings(Ok(told("203.0.113.9:7000", second))));
            assert_eq!((diagnosis.verdict, diagnosis.remedies), (Verdict::Limited, vec![Remedy::OpenSecondPort]));
        }
    }

    #[test]
    fn a_silent_changed_or_refusing_server_is_bad() {
        let mut silent = findings(Err("a password is wanted".to_owned()));
        assert_eq!(diagnose(&silent).remedies, [Remedy::AnswerServer]);
        silent.server = Err(ServerDialError::TimedOut);
        assert_eq!(diagnose(&silent).verdict, Verdict::Bad);
        let mut changed = findings(Ok(told("203.0.113.9:7000", seen("203.0.113.9:7000"))));
        let (pinned, shown) = (Fingerprint::of_spki(b"one"), Fingerprint::of_spki(b"two"));
        if let Ok(reached) = &mut changed.server {
            reached.certificate = Known::Changed { pinned, shown };
        }
        let diagnosis = diagnose(&changed);
        assert_eq!((diagnosis.verdict, diagnosis.remedies), (Verdict::Bad, vec![Remedy::CompareWords]));
    }

    #[test]
    fn a_clock_ten_minutes_off_is_mentioned_and_harms_nothing() {
        let mut late = told("203.0.113.9:7000", seen("203.0.113.9:7000"));
        late.clock_ahead_ms = -600_000;
        let diagnosis = diagnose(&findings(Ok(late)));
        assert_eq!((diagnosis.verdict, diagnosis.remedies), (Verdict::Good, vec![Remedy::SetClock]));
    }

    #[test]
    fn addresses_behind_routers_are_told_from_public_ones() {
        for private in ["10.0.0.1:1", "192.168.1.1:1", "172.20.0.1:1", "100.64.0.1:1"] {
            assert!(is_private(&private.parse().unwrap()), "{private}");
        }
        assert!(!is_private(&"203.0.113.9:1".parse().unwrap()));
        assert!(is_public_ipv6(&"2001:db8::1".parse().unwrap()) && !is_public_ipv6(&"fd00::1".parse().unwrap()));
    }
}
