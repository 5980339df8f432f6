//! Two halves of a room that meet again: which of them hosts it (DESIGN.md §4 rule 10).
//!
//! Both halves parted from one roster, each by a step that all who stayed in it had signed, so each can verify the other's
//! step against its own copy of that roster. It is a convention for progress only: nobody is let in by it, those who give
//! way knock.

use crate::core::consent::roster::is_member;
use crate::wire::Roster;

/// Whether a half that went on from `base` to `theirs` hosts rather than the one that is on `ours` now: more members host,
/// then the most senior one.
///
/// Of theirs only members of `base` count: anybody can make up newcomers, and nobody is to be pushed out of a room by them.
/// Two halves that have both grown may thus both stay; then people have to decide.
pub fn hosts_over(base: &Roster, theirs: &Roster, ours: &Roster) -> bool {
    let stayed = base.members.iter().filter(|member| is_member(theirs, &member.key)).count();
    match stayed.cmp(&ours.members.len()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => {
            let first = |half: &Roster| base.members.iter().position(|member| is_member(half, &member.key));
            first(theirs).is_some_and(|theirs| first(ours).is_none_or(|ours| theirs < ours))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::roster::verify_step;
    use crate::core::consent::testing::*;
    use crate::identity::{Ed25519, Identity, Signer as _};
    use crate::wire::{Drop, DropReason, Proposal};

    fn half(base: &Roster, people: &[Identity], stay: &[usize]) -> Roster {
        let (stay, go): (Vec<_>, Vec<_>) = (0..people.len()).partition(|at| stay.contains(at));
        let mut dropped: Vec<_> = go.iter().map(|at| people[*at].id()).collect();
        dropped.sort();
        let dropped = dropped.try_into().unwrap();
        let drop = Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Gone, nonce: 0 };
        let stay: Vec<_> = stay.iter().map(|at| clone(&people[*at])).collect();
        verify_step(base, &step_signed_by(&Proposal::Drop(drop), &stay), 8, &Ed25519).unwrap()
    }

    #[test]
    fn the_larger_half_hosts_then_the_one_with_the_most_senior_member() {
        let (people, _, base) = room_of(5);
        let (two, three) = (half(&base, &people, &[0, 1]), half(&base, &people, &[2, 3, 4]));
        assert!(hosts_over(&base, &three, &two) && !hosts_over(&base, &two, &three));
        let (old, young) = (half(&base, &people, &[0, 4]), half(&base, &people, &[1, 2]));
        assert!(hosts_over(&base, &old, &young) && !hosts_over(&base, &young, &old));
    }
}
