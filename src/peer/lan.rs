//! Rooms that are announced to the local network, as faces see them.

use std::net::SocketAddr;
use std::time::Duration;

use crate::identity::{Fingerprint, RoomName};
use crate::limits::LAN_SEARCH_MS;
use crate::net::lan;

/// Somebody who announces a room to the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnLan {
    /// The fingerprint that they announce; the one that counts is shown on connecting.
    pub key: Fingerprint,
    /// Where they are, the best first; never empty.
    pub addresses: Vec<SocketAddr>,
}

/// Looks for those who announce a room; some seconds at most. Blocks.
///
/// # Errors
/// In the system's words.
pub fn find_on_lan(room: &RoomName) -> Result<Vec<OnLan>, String> {
    let found = lan::find(room, Duration::from_millis(LAN_SEARCH_MS))?;
    Ok(found.into_iter().map(|one| OnLan { key: one.key, addresses: one.addresses }).collect())
}
