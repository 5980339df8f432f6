//! Names in one room: who a key is to its people, and who might be taken for whom.

use super::Room;
use crate::core::consent::roster::seat;
use crate::identity::{Name, PeerId};

impl Room {
    /// What a member is called, or was when they were one.
    pub fn name_of(&self, key: &PeerId) -> Option<Name> {
        self.seat.chain().rosters().rev().find_map(|roster| seat(roster, key)).map(|member| member.name.clone())
    }

    /// A member, present or past, for whom a newcomer of this name and another key could be taken.
    pub fn looks_like(&self, name: &Name, key: &PeerId) -> Option<Name> {
        let others = self.seat.chain().rosters().rev().flat_map(|roster| roster.members.iter());
        others
            .filter(|member| member.key != *key)
            .find(|member| member.name.looks_like(name))
            .map(|member| member.name.clone())
    }
}
