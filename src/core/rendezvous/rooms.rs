//! The rooms of this server, by id and by name, each with its alarm.

use std::collections::BTreeMap;

use super::alarms::Alarms;
use super::refusal::{Refusal, no};
use super::room::Room;
use crate::core::Now;
use crate::identity::{PeerId, RoomName};
use crate::limits::ROOMS_PER_CREATOR_MAX;
use crate::wire::{RefusalCode, RoomId};

/// All rooms.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    /// By id.
    rooms: BTreeMap<RoomId, Room>,
    /// By the skeleton of their name.
    names: BTreeMap<String, RoomId>,
    /// How many each key created.
    creators: BTreeMap<PeerId, usize>,
    /// When each wants to be woken.
    alarms: Alarms,
}

impl Rooms {
    /// From those that were kept.
    pub(super) fn new(kept: impl Iterator<Item = Room>) -> Self {
        let mut rooms = Rooms::default();
        for room in kept {
            rooms.insert(room);
        }
        rooms
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// A room.
    pub(super) fn get(&self, id: &RoomId) -> Option<&Room> {
        self.rooms.get(id)
    }

    /// A room, to be changed; [`Self::set_alarm`] is due after that.
    pub(super) fn get_mut(&mut self, id: &RoomId) -> Option<&mut Room> {
        self.rooms.get_mut(id)
    }

    /// The room of a name, or of one that looks like it.
    pub(super) fn named(&self, name: &RoomName) -> Option<&Room> {
        self.rooms.get(self.names.get(&name.skeleton())?)
    }

    /// All rooms in the order of their names.
    pub(super) fn in_order_of_name(&self) -> impl Iterator<Item = &Room> {
        self.names.values().filter_map(|id| self.rooms.get(id))
    }

    /// Whether a room that isn't here yet may come.
    pub(super) fn check_free(&self, room: &Room, max_rooms: usize) -> Result<(), Refusal> {
        if self.names.contains_key(&room.name().skeleton()) || self.rooms.contains_key(&room.id()) {
            let why =
                "a room of that name, or of one that looks like it, is here already; join it, or choose another name";
            return Err(no(RefusalCode::RoomExists, why));
        }
        if self.rooms.len() >= max_rooms {
            return Err(no(RefusalCode::TooMany, "this server keeps no more rooms; try later, or use another server"));
        }
        if self.creators.get(&room.creator()).is_some_and(|&count| count >= ROOMS_PER_CREATOR_MAX) {
            let why = "you created as many rooms here as one person may; delete one that you need no longer";
            return Err(no(RefusalCode::TooMany, why));
        }
        Ok(())
    }

    /// Takes a room in; [`Self::check_free`] has said that it may come.
    pub(super) fn insert(&mut self, room: Room) -> &mut Room {
        let id = room.id();
        self.names.insert(room.name().skeleton(), id);
        *self.creators.entry(room.creator()).or_default() += 1;
        self.rooms.entry(id).or_insert(room)
    }

    /// Gives a room up.
    pub(super) fn remove(&mut self, id: &RoomId) -> Option<Room> {
        let room = self.rooms.remove(id)?;
        self.alarms.set(*id, None);
        self.names.remove(&room.name().skeleton());
        if let Some(count) = self.creators.get_mut(&room.creator()) {
            *count -= 1;
            if *count == 0 {
                self.creators.remove(&room.creator());
            }
        }
        Some(room)
    }

    /// Counts every room as empty from now on.
    pub(super) fn all_empty_from(&mut self, now: Now, ttl_s: u64) {
        for (id, room) in &mut self.rooms {
            room.empty_until(now.after_s(ttl_s));
            self.alarms.set(*id, room.alarm());
        }
    }

    /// Sets a room's alarm to what it wants now.
    pub(super) fn set_alarm(&mut self, id: &RoomId) {
        self.alarms.set(*id, self.rooms.get(id).and_then(Room::alarm));
    }

    /// When the next room wants to be woken.
    pub(super) fn next_alarm(&self) -> Option<u64> {
        self.alarms.next()
    }

    /// A room that wants to be woken now.
    pub(super) fn due(&self, now: Now) -> Option<RoomId> {
        self.alarms.due(now)
    }
}
