//! Which room wants to be woken when.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::Now;
use crate::wire::RoomId;

/// At most one moment per room.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    /// In the order they come.
    order: BTreeSet<(u64, RoomId)>,
    /// Each room's.
    of: BTreeMap<RoomId, u64>,
}

impl Alarms {
    /// Sets, moves or clears a room's alarm, in milliseconds on the monotonic clock.
    pub(super) fn set(&mut self, room: RoomId, at: Option<u64>) {
        let old = match at {
            Some(at) => self.of.insert(room, at),
            None => self.of.remove(&room),
        };
        if let Some(old) = old {
            self.order.remove(&(old, room));
        }
        if let Some(at) = at {
            self.order.insert((at, room));
        }
    }

    /// The next moment.
    pub(super) fn next(&self) -> Option<u64> {
        self.order.first().map(|&(at, _)| at)
    }

    /// A room whose moment has come. It stays until it is set anew.
    pub(super) fn due(&self, now: Now) -> Option<RoomId> {
        self.order.first().filter(|&&(at, _)| at <= now.mono_ms).map(|&(_, room)| room)
    }
}
