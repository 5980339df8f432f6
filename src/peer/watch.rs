//! Watching the network under the chat: addresses that come and go, a machine that slept, links on which nothing comes
//! back.
//!
//! Looked at twice a second, since there is no one way to be told on every system, and a look costs some microseconds.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::driver::Driver;
use crate::core::event::{Path, Route};
use crate::core::io::{Input, LinkId};
use crate::limits::CANDIDATES_MAX;
use crate::net::{Link, Traffic};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A look that comes so late finds a machine that slept, or a process that was stopped: others have given our links up.
const SLEPT: Duration = Duration::from_secs(5);

/// So long, and four round trips, nothing comes back for what was sent before a link is in doubt: short enough that a
/// chat goes on within three seconds, long enough that a few lost packets in a row are not taken for it.
const SILENT: Duration = Duration::from_millis(1_000);

/// What was seen so far.
pub(super) struct Watch {
    /// Our addresses, as offered last.
    addresses: Vec<SocketAddr>,
    /// Where a router lets others in, by its own word.
    pub(super) mapped: Option<SocketAddr>,
    /// When it was looked last, on both clocks: the monotonic one stands still while some systems sleep.
    looked: (Instant, SystemTime),
    /// What went over each link.
    links: BTreeMap<LinkId, Silence>,
    /// When to look next.
    pub(super) look_at: Instant,
}

/// How long a link has been silent.
#[derive(Debug)]
struct Silence {
    /// As of the last look at which something new had come.
    traffic: Traffic,
    /// Since when something was sent that nothing came back for.
    since: Option<Instant>,
    /// Whether the core was told.
    told: bool,
}

impl Silence {
    /// Whether the link has just fallen silent.
    fn look(&mut self, now: Instant, traffic: Traffic, rtt: Duration) -> bool {
        if traffic.heard != self.traffic.heard {
            *self = Silence { traffic, since: None, told: false };
        } else if traffic.asked != self.traffic.asked {
            let since = *self.since.get_or_insert(now);
            let silent = now.saturating_duration_since(since) >= SILENT.max(rtt * 4);
            return silent && !std::mem::replace(&mut self.told, true);
        }
        false
    }
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Watch {
            addresses: Vec::new(),
            mapped: None,
            looked: (now, SystemTime::now()),
            links: BTreeMap::new(),
            look_at: now + LOOK_EVERY,
        }
    }

    /// Whether so much time has passed since the last look that this machine must have slept.
    fn slept(&mut self, now: Instant, wall: SystemTime) -> bool {
        let (before, before_wall) = std::mem::replace(&mut self.looked, (now, wall));
        let gone_by = now.saturating_duration_since(before);
        // A clock that somebody sets looks the same, and costs a few handshakes.
        gone_by > SLEPT || wall.duration_since(before_wall).is_ok_and(|by_wall| by_wall > gone_by + SLEPT)
    }
}

impl Driver {
    /// Where others may reach us: where a router lets them in, then all of this machine's addresses.
    pub(super) fn own_addresses(&mut self) -> Vec<SocketAddr> {
        let local = self.endpoint.local_candidates();
        let mut addresses: Vec<SocketAddr> = self.watch.mapped.into_iter().chain(local).collect();
        addresses.truncate(CANDIDATES_MAX);
        self.watch.addresses.clone_from(&addresses);
        addresses
    }

    /// A router lets others in at another address than before, or no longer.
    pub(super) fn mapped(&mut self, mapped: Option<SocketAddr>) -> Input {
        self.watch.mapped = mapped;
        Input::Addresses(self.own_addresses())
    }

    /// Puts the round trips as they are now into an answer about paths.
    pub(super) fn measure(&self, routes: &mut [Route]) {
        for route in routes {
            let Some(remote) = route.direct.map(|direct| direct.remote) else { continue };
            let wire = self.wires.values().find(|wire| wire.link.remote() == remote);
            if let Some(wire) = wire {
                let rtt_ms = u32::try_from(wire.link.rtt().as_millis()).ok();
                route.path = Path::Direct { rtt_ms };
            }
        }
    }

    /// Looks whether the network has changed, and which links have fallen silent.
    pub(super) fn look_around(&mut self, inputs: &mut VecDeque<Input>) {
        let now = Instant::now();
        self.watch.look_at = now + LOOK_EVERY;
        let slept = self.watch.slept(now, SystemTime::now());
        let before = std::mem::take(&mut self.watch.addresses);
        let addresses = self.own_addresses();
        if slept || addresses != before {
            tracing::info!(slept, "the network has changed");
            inputs.push_back(Input::Addresses(addresses));
            inputs.push_back(Input::NetworkChanged);
            self.roused.notify_waiters();
        }
        let links = self.wires.iter().map(|(id, wire)| (*id, &wire.link));
        let silent = silent_links(&mut self.watch.links, now, links);
        inputs.extend(silent.into_iter().map(|link| Input::LinkSilent { link }));
    }
}

fn silent_links<'l>(
    known: &mut BTreeMap<LinkId, Silence>,
    now: Instant,
    links: impl Iterator<Item = (LinkId, &'l Link)>,
) -> Vec<LinkId> {
    let mut before = std::mem::take(known);
    let mut silent = Vec::new();
    for (id, link) in links {
        let traffic = link.traffic();
        let mut silence = before.remove(&id).unwrap_or(Silence { traffic, since: None, told: false });
        if silence.look(now, traffic, link.rtt()) {
            silent.push(id);
        }
        known.insert(id, silence);
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(20);

    fn traffic(asked: u64, heard: u64) -> Traffic {
        Traffic { asked, heard }
    }

    #[test]
    fn a_link_is_silent_when_nothing_comes_back_for_what_was_sent_and_that_is_told_once() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let mut silence = Silence { traffic: traffic(1, 1), since: None, told: false };
        assert!(!silence.look(at(60_000), traffic(1, 1), RTT), "nobody said anything");
        assert!(!silence.look(at(60_500), traffic(2, 1), RTT));
        assert!(!silence.look(at(61_400), traffic(3, 1), RTT));
        assert!(silence.look(at(61_500), traffic(4, 1), RTT));
        assert!(!silence.look(at(62_000), traffic(5, 1), RTT), "told once");
        assert!(!silence.look(at(62_500), traffic(5, 2), RTT));
        assert!(!silence.look(at(63_000), traffic(6, 2), Duration::from_millis(400)));
        assert!(!silence.look(at(64_500), traffic(6, 2), Duration::from_millis(400)), "a long way takes its time");
        assert!(silence.look(at(64_600), traffic(6, 2), Duration::from_millis(400)));
    }

    #[test]
    fn a_sleep_shows_on_either_clock() {
        let mut watch = Watch::new();
        let (now, wall) = watch.looked;
        let later = |mono, by_wall| (now + Duration::from_secs(mono), wall + Duration::from_secs(by_wall));
        let mut slept = |(now, wall)| watch.slept(now, wall);
        assert!(!slept(later(1, 1)));
        assert!(slept(later(600, 600)), "stopped");
        assert!(slept(later(601, 1200)), "slept, and the monotonic clock with it");
        assert!(!slept(later(602, 1201)));
    }
}
