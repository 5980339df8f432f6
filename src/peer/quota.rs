//! How much disk the history may take: a quota for each room and for each author in it, and a reserve that is left free.
//!
//! Only decides: what is refused of others is not handed to the core, so that it is not acknowledged and comes again by itself; what is
//! our own is refused aloud, and later than theirs (THREATS.md row 21).

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::core::event::Shortage;
use crate::identity::RoomName;
use crate::limits::{OWN_RESERVE_BYTES, QUOTA_AUTHOR_MB_DEFAULT, QUOTA_ROOM_MB_DEFAULT, RESERVE_BYTES};

/// Time between two looks at how much of the disk is free: what a minute of the busiest room takes fits the reserve many times.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Time between two occasions of telling the user that something of others is not taken.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What the user has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Megabytes of disk for each room.
    pub room_mb: u32,
    /// Megabytes of them for each author.
    pub author_mb: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Quota { room_mb: QUOTA_ROOM_MB_DEFAULT, author_mb: QUOTA_AUTHOR_MB_DEFAULT }
    }
}

/// Bytes that the history takes already.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// By the room.
    pub room: u64,
    /// By the author in it.
    pub author: u64,
}

/// How much there is, as it was seen last.
pub(super) struct Space {
    quota: Quota,
    /// Bytes that are free where the history is; `None` where that is unknown, or nothing is kept.
    probe: Box<dyn Fn() -> Option<u64> + Send>,
    free: Option<u64>,
    looked_at: Option<Instant>,
    told_at: Option<Instant>,
}

impl Space {
    pub(super) fn new(quota: Quota, probe: Box<dyn Fn() -> Option<u64> + Send>) -> Self {
        Space { quota, probe, free: None, looked_at: None, told_at: None }
    }

    /// Of the disk that a folder is on; without one nothing is kept.
    #[allow(clippy::useless_conversion, reason = "these numbers are narrower on other systems")]
    pub(super) fn of_folder(quota: Quota, folder: Option<&Path>) -> Self {
        let folder = folder.map(Path::to_owned);
        let probe = move || {
            let disk = nix::sys::statvfs::statvfs(folder.as_deref()?).ok()?;
            Some(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
        };
        Space::new(quota, Box::new(probe))
    }

    /// Why nothing more of somebody else is taken, if so; and whether the user is to be told now.
    pub(super) fn refuses_others(&mut self, now: Instant, room: &RoomName, taken: Taken) -> Option<(Shortage, bool)> {
        let shortage = self.shortage(now, room, taken, RESERVE_BYTES)?;
        let tell = self.told_at.is_none_or(|told| now.duration_since(told) >= TELL_EVERY);
        if tell {
            self.told_at = Some(now);
        }
        Some((shortage, tell))
    }

    /// Why nothing more of our own is taken, if so. A room that others have filled does not silence us.
    pub(super) fn refuses_own(&mut self, now: Instant, room: &RoomName, taken: Taken) -> Option<Shortage> {
        self.shortage(now, room, Taken { room: 0, ..taken }, OWN_RESERVE_BYTES)
    }

    fn shortage(&mut self, now: Instant, room: &RoomName, taken: Taken, reserve: u64) -> Option<Shortage> {
        if self.looked_at.is_none_or(|at| now.duration_since(at) >= LOOK_EVERY) {
            self.looked_at = Some(now);
            self.free = (self.probe)();
        }
        let is_full = |bytes: u64, mb: u32| bytes >= u64::from(mb).saturating_mul(1_000_000);
        let Quota { room_mb, author_mb } = self.quota;
        match self.free {
            Some(free) if free < reserve => Some(Shortage::Disk { free_mb: free / 1_000_000 }),
            _ if is_full(taken.room, room_mb) => Some(Shortage::Room { room: room.clone(), mb: room_mb }),
            _ if is_full(taken.author, author_mb) => Some(Shortage::Author { room: room.clone(), mb: author_mb }),
            _ => None,
        }
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("quota", &self.quota).field("free", &self.free).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const MB: u64 = 1_000_000;

    /// A disk of which the test says how much is free.
    fn space() -> (Space, Arc<AtomicU64>, RoomName) {
        let free = Arc::new(AtomicU64::new(10_000 * MB));
        let seen = Arc::clone(&free);
        let space =
            Space::new(Quota { room_mb: 10, author_mb: 5 }, Box::new(move || Some(seen.load(Ordering::Relaxed))));
        (space, free, "lobby".parse().unwrap())
    }

    #[test]
    fn what_others_say_is_refused_first_and_taken_again_once_there_is_space() {
        let (mut space, free, room) = space();
        let begun = Instant::now();
        let later = |seconds| begun + Duration::from_secs(seconds);
        let none = Taken::default();
        assert_eq!(space.refuses_others(later(0), &room, none), None);
        free.store(RESERVE_BYTES - 1, Ordering::Relaxed);
        assert_eq!(space.refuses_others(later(0), &room, none), None, "looked at once a second");
        let full = Shortage::Disk { free_mb: RESERVE_BYTES / MB };
        assert_eq!(space.refuses_others(later(1), &room, none), Some((full.clone(), true)));
        assert_eq!(space.refuses_others(later(2), &room, none), Some((full.clone(), false)), "told once a minute");
        assert_eq!(space.refuses_own(later(2), &room, none), None);
        assert_eq!(space.refuses_others(later(61), &room, none), Some((full, true)));
        free.store(OWN_RESERVE_BYTES - 1, Ordering::Relaxed);
        assert!(matches!(space.refuses_own(later(63), &room, none), Some(Shortage::Disk { .. })));
        free.store(10_000 * MB, Ordering::Relaxed);
        assert_eq!(space.refuses_others(later(65), &room, none), None);
        assert_eq!(space.refuses_own(later(65), &room, none), None);
    }

    #[test]
    fn a_room_or_an_author_at_the_quota_gets_no_more() {
        let (mut space, _, room) = space();
        let now = Instant::now();
        let taken = |room, author| Taken { room: room * MB, author: author * MB };
        assert_eq!(space.refuses_others(now, &room, taken(9, 4)), None);
        let of_author = Shortage::Author { room: room.clone(), mb: 5 };
        assert_eq!(space.refuses_others(now, &room, taken(9, 5)), Some((of_author.clone(), true)));
        let of_room = Shortage::Room { room: room.clone(), mb: 10 };
        assert_eq!(space.refuses_others(now, &room, taken(10, 1)), Some((of_room, false)));
        assert_eq!(space.refuses_own(now, &room, taken(10, 4)), None, "others don't silence us");
        assert_eq!(space.refuses_own(now, &room, taken(10, 5)), Some(of_author));
    }

    #[test]
    fn a_disk_that_says_nothing_is_no_reason_to_refuse() {
        let mut space = Space::of_folder(Quota::default(), None);
        let room = "lobby".parse().unwrap();
        assert_eq!(space.refuses_others(Instant::now(), &room, Taken::default()), None);
        let mut here = Space::of_folder(Quota::default(), Some(Path::new("/")));
        here.shortage(Instant::now(), &room, Taken::default(), 0);
        assert!(here.free.is_some_and(|free| free > 0), "the disk of this machine says how much is free");
    }
}
