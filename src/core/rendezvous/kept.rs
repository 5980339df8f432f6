//! What of a rendezvous outlives its process, and the changes that bring it about.

use std::collections::BTreeMap;

use crate::identity::{Name, PeerId, Signed};
use crate::wire::{Genesis, RoomId, Roster, RosterHash, Step};

/// All that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Who has which name, by the name's skeleton.
    pub names: BTreeMap<String, KeptName>,
    /// The rooms.
    pub rooms: BTreeMap<RoomId, KeptRoom>,
}

/// A name that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptName {
    /// By which key.
    pub key: PeerId,
    /// As its holder writes it.
    pub name: Name,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRoom {
    /// What it is, as its creator signed it.
    pub genesis: Signed<Genesis>,
    /// Who is in it.
    pub roster: Roster,
    /// How it came there of late, oldest first, the last step leading to `roster`; at most
    /// [`crate::limits::STEPS_KEPT_MAX`].
    pub steps: Vec<PastStep>,
}

/// One step that a room has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastStep {
    /// The roster it was taken from.
    pub from: RosterHash,
    /// That roster's epoch.
    pub epoch: u64,
    /// The step.
    pub step: Step,
}

/// One change to what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A name is taken, or written otherwise by its holder.
    NameTaken {
        /// The name's skeleton, by which names clash.
        skeleton: String,
        /// Who has it, as they write it.
        holder: KeptName,
    },
    /// A name is free again.
    NameFreed {
        /// The name's skeleton.
        skeleton: String,
    },
    /// A room is here that was not.
    RoomKept(KeptRoom),
    /// A room is on another roster.
    RoomMoved {
        /// Which room.
        room: RoomId,
        /// By which step.
        step: PastStep,
        /// The roster it is on now.
        roster: Roster,
        /// Steps from rosters of an epoch before this one are kept no longer.
        oldest: u64,
    },
    /// A room is no more.
    RoomGone(RoomId),
}
