//! With whom a member of a large room keeps links, computed by everybody alike from the roster.
//!
//! All members stand on each of [`RINGS`] rings, on each in another order, which hashes of the room and their keys decide. A
//! member's neighbours are those before and behind it on each ring. So links are mutual, a member has at most eight, and
//! whoever comes or goes changes only the neighbourhoods it is in. A union of so many random rings is as well connected
//! as a random graph: the farthest member is some five links away among a thousand.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::identity::PeerId;
use crate::wire::RoomId;

/// Rings that everybody stands on: two neighbours each make eight links, with which a room of a thousand stays whole
/// when a tenth of them can't be made.
pub const RINGS: u8 = 4;

/// The rings of one roster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rings(Vec<Vec<PeerId>>);

impl Rings {
    /// The rings on which these members of a room stand.
    pub fn of(room: &RoomId, members: impl IntoIterator<Item = PeerId>) -> Self {
        let members: Vec<PeerId> = members.into_iter().collect();
        let ring = |number: u8| {
            let place = |key: &PeerId| {
                let place: [u8; 32] =
                    Sha256::new().chain_update(room.0).chain_update([number]).chain_update(key.0).finalize().into();
                place
            };
            let mut ring: Vec<([u8; 32], PeerId)> = members.iter().map(|key| (place(key), *key)).collect();
            ring.sort_unstable();
            ring.into_iter().map(|(_, key)| key).collect()
        };
        Rings((0..RINGS).map(ring).collect())
    }

    /// With whom `key` should have links. In place of somebody whom it has no hope to link with stands, beside them, whoever
    /// comes next on that ring.
    pub fn neighbours(&self, key: &PeerId, hopeless: impl Fn(&PeerId) -> bool) -> BTreeSet<PeerId> {
        let mut neighbours = BTreeSet::new();
        for ring in &self.0 {
            let Some(at) = ring.iter().position(|one| one == key) else { continue };
            let forward = (1..ring.len()).map(|step| ring[(at + step) % ring.len()]);
            let backward = (1..ring.len()).map(|step| ring[(at + ring.len() - step) % ring.len()]);
            take_until_hope(forward, &hopeless, &mut neighbours);
            take_until_hope(backward, &hopeless, &mut neighbours);
        }
        neighbours
    }
}

/// Members on one side of a ring that are tried in vain before the rest is left alone: when so many are out of reach it is
/// we who have no network.
const HOPELESS_MAX: usize = 4;

fn take_until_hope(
    side: impl Iterator<Item = PeerId>,
    hopeless: &impl Fn(&PeerId) -> bool,
    neighbours: &mut BTreeSet<PeerId>,
) {
    for next in side.take(HOPELESS_MAX + 1) {
        neighbours.insert(next);
        if !hopeless(&next) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u16) -> Vec<PeerId> {
        (0..count).map(|n| PeerId(Sha256::digest(n.to_be_bytes()).into())).collect()
    }

    const ROOM: RoomId = RoomId([7; 32]);

    #[test]
    fn links_are_mutual_and_at_most_eight() {
        let members = members(300);
        let rings = Rings::of(&ROOM, members.iter().copied());
        for key in &members {
            let neighbours = rings.neighbours(key, |_| false);
            assert!((5..=8).contains(&neighbours.len()), "{}", neighbours.len());
            assert!(neighbours.iter().all(|other| rings.neighbours(other, |_| false).contains(key)));
        }
    }

    #[test]
    fn who_comes_changes_only_the_neighbourhoods_it_is_in() {
        let members = members(300);
        let before = Rings::of(&ROOM, members[1..].iter().copied());
        let after = Rings::of(&ROOM, members.iter().copied());
        let changed =
            members[1..].iter().filter(|key| before.neighbours(key, |_| false) != after.neighbours(key, |_| false));
        assert!(changed.count() <= 8);
    }

    #[test]
    fn the_order_in_which_a_roster_is_told_makes_no_difference() {
        let mut members = members(80);
        let one = Rings::of(&ROOM, members.iter().copied());
        members.reverse();
        assert_eq!(one, Rings::of(&ROOM, members.iter().copied()));
    }

    #[test]
    fn two_who_lose_the_one_between_them_find_each_other() {
        let members = members(100);
        let rings = Rings::of(&ROOM, members.iter().copied());
        let ring = &rings.0[2];
        let (before, gone, behind) = (ring[10], ring[11], ring[12]);
        assert!(rings.neighbours(&before, |key| *key == gone).contains(&behind));
        assert!(rings.neighbours(&behind, |key| *key == gone).contains(&before));
    }

    #[test]
    fn whoever_reaches_nobody_dials_a_few_and_not_everybody() {
        let members = members(200);
        let rings = Rings::of(&ROOM, members.iter().copied());
        let most = 2 * usize::from(RINGS) * (HOPELESS_MAX + 1);
        assert!(rings.neighbours(&members[0], |_| true).len() <= most);
    }
}
