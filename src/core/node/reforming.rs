//! Going over to a room founded anew: its creator founds it, the others knock, and everybody lets in exactly those that all
//! agreed on (`core::room`, `reforming`).

use super::{Node, ctx};
use crate::core::consent::roster::room_id;
use crate::core::event::{Leaving, Rule};
use crate::core::io::Output;
use crate::core::room::Ctx;
use crate::core::time::Now;
use crate::wire::{RoomId, ToServer};

impl Node {
    /// Goes over to every room that was agreed on.
    pub(super) fn go_over(&mut self, now: Now, out: &mut Vec<Output>) {
        let agreed: Vec<_> =
            self.rooms.iter_mut().filter_map(|(id, room)| Some((*id, room.take_agreed_reform()?))).collect();
        for (old, agreed) in agreed {
            let new = room_id(&agreed.genesis);
            let name = agreed.genesis.name.clone();
            let rules = self.rules.entry(new).or_default();
            rules.extend(agreed.reform.kept.iter().map(|key| (*key, Rule::Session)));
            self.reformed.insert(new, old);
            if self.room_named(&name).is_some() || self.joining.contains_key(&name) {
                continue;
            }
            if agreed.reform.by == self.id() {
                let _ = self.ask_server(ToServer::Create(agreed.genesis.as_signed().clone()), out);
                self.found_anew(name, agreed.genesis);
            } else {
                self.follow_to(now, name, new, out);
            }
        }
    }

    /// We are in a room: if it is one founded anew, the old one is left behind.
    pub(super) fn leave_reformed(&mut self, now: Now, new: RoomId, out: &mut Vec<Output>) {
        if let Some(old) = self.reformed.remove(&new)
            && self.rooms.contains_key(&old)
        {
            let mut ctx = ctx!(self, now, out);
            if let Some(room) = self.rooms.get_mut(&old) {
                room.leave(&mut ctx);
            }
            self.forget(old, Leaving::Reformed, out);
        }
    }
}
