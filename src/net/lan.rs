//! Finding a room on the local network by multicast DNS: only where its host announces it, and only when asked to look.
//!
//! What is announced is the room's name, the host's fingerprint, and the address that the network knows anyway. Anybody on the cable
//! can announce anything, so what is found is an address to try, and the key that answers there is for people to compare.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mdns_sd::{ServiceDaemon, ServiceEvent, ServiceInfo};

use crate::identity::{Fingerprint, RoomName};
use crate::limits::{CANDIDATES_MAX, LAN_FOUND_MAX};

/// What rooms are announced as.
const SERVICE: &str = "_p2pchat._udp.local.";

/// A room is announced for as long as this is held.
pub struct Announcement(ServiceDaemon);

impl Announcement {
    /// Announces a room that is hosted on this port.
    ///
    /// # Errors
    /// In the system's words.
    pub fn of(room: &RoomName, key: Fingerprint, port: u16) -> Result<Self, String> {
        let words = |error: mdns_sd::Error| error.to_string();
        let daemon = ServiceDaemon::new().map_err(words)?;
        // Names of services have 63 bytes; four words and a port tell any two hosts of one network apart.
        let four: Vec<&str> = key.words().take(4).collect();
        let name = format!("{}-{port}", four.join("-"));
        let key = key.to_string();
        let said = [("room", room.as_str()), ("key", key.as_str())];
        let info = ServiceInfo::new(SERVICE, &name, &format!("{name}.local."), "", port, &said[..]).map_err(words)?;
        daemon.register(info.enable_addr_auto()).map_err(words)?;
        Ok(Announcement(daemon))
    }
}

impl std::fmt::Debug for Announcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Announcement")
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Says goodbye to the network; whoever misses it forgets us by itself.
        let _ = self.0.shutdown();
    }
}

/// Somebody who announces a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The fingerprint that they announce, which proves nothing.
    pub key: Fingerprint,
    /// Where they are.
    pub addresses: Vec<SocketAddr>,
}

/// Looks for those who announce a room; ends with the first, and a moment for others. Blocks.
///
/// # Errors
/// In the system's words.
pub fn find(room: &RoomName, within: Duration) -> Result<Vec<Announced>, String> {
    let words = |error: mdns_sd::Error| error.to_string();
    let daemon = ServiceDaemon::new().map_err(words)?;
    let events = daemon.browse(SERVICE).map_err(words)?;
    let mut until = Instant::now() + within;
    let mut found: Vec<Announced> = Vec::new();
    while let Ok(event) = events.recv_timeout(until.saturating_duration_since(Instant::now())) {
        let ServiceEvent::ServiceResolved(service) = event else { continue };
        let said = |what| service.get_property_val_str(what);
        let (Some(name), Some(Ok(key))) = (said("room"), said("key").map(str::parse)) else { continue };
        if name != room.as_str() {
            continue;
        }
        let at = service.get_addresses().iter().map(|ip| SocketAddr::new(ip.to_ip_addr(), service.get_port()));
        let mut addresses: Vec<SocketAddr> = at.filter(|at| at.port() != 0 && !is_link_local_v6(at.ip())).collect();
        addresses.sort_by_key(|at| (at.is_ipv6(), *at));
        addresses.truncate(CANDIDATES_MAX);
        if addresses.is_empty() {
            continue;
        }
        found.retain(|one| one.key != key);
        if found.len() < LAN_FOUND_MAX {
            found.push(Announced { key, addresses });
        }
        // Addresses of one host come one after the other.
        until = until.min(Instant::now() + Duration::from_millis(500));
    }
    let _ = daemon.shutdown();
    Ok(found)
}

/// Without its interface such an address leads nowhere.
fn is_link_local_v6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
