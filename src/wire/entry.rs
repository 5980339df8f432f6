//! Messages: entries chained into their author's log (DESIGN.md §5).

use serde::{Deserialize, Serialize};

use super::record::{hash_type, sha256};
use super::{Bytes, Few, RoomId, RosterHash};
use crate::identity::{PeerId, signing_bytes};
use crate::limits::{SEEN_HEADS_MAX, TEXT_BYTES_MAX};

hash_type!(
    /// SHA-256 of an entry, its salt included.
    EntryId
);

/// One message in its author's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which room.
    pub room: RoomId,
    /// Who wrote it.
    pub author: PeerId,
    /// 1 for the author's first in this room, then one more each.
    pub seq: u64,
    /// The author's entry before; all zeros for the first.
    pub previous: EntryId,
    /// The roster it was written under: only its members may ever be given it.
    pub audience: RosterHash,
    /// The audience of the author's entry before; all zeros for the first. It lets somebody who may not have that entry
    /// tell a hole from the beginning of what is theirs.
    pub previous_audience: RosterHash,
    /// The newest entries of other authors that the author had and no other entry named here had seen, in ascending
    /// order.
    pub seen: Few<EntryId, SEEN_HEADS_MAX>,
    /// The author's clock, in milliseconds since 1970. Only shown.
    pub wall_ms: u64,
    /// Keeps two equal texts apart.
    pub salt: [u8; 16],
    /// What is said.
    pub body: Body,
}

impl Entry {
    /// The name of the entry, by which duplicates fold.
    pub fn id(&self) -> EntryId {
        EntryId(sha256(&signing_bytes("entry", self)))
    }
}

/// What an entry says. The kind stands apart from the bytes so that a client passes on, and counts, kinds of a later
/// version that it can't show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// How to read the bytes; see [`BodyKind`].
    pub kind: u8,
    /// For text: UTF-8.
    pub bytes: Bytes<TEXT_BYTES_MAX>,
}

/// The kinds of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyKind {
    /// Plain text, UTF-8, possibly empty.
    Text = 1,
    /// What the author does: UTF-8.
    Action = 2,
    /// An answer: the id of the entry answered, then UTF-8.
    Reply = 3,
    /// A sign under an entry: its id, 1 to put it there or 0 to take it back, then UTF-8.
    Reaction = 4,
    /// Another text for an own entry: its id, then UTF-8.
    Edit = 5,
    /// An own entry is taken back: its id.
    Unsaid = 6,
    /// What the room is about: UTF-8.
    Topic = 7,
    /// The author is away: UTF-8, possibly empty.
    Away = 8,
    /// The author is back: nothing.
    Back = 9,
}

impl BodyKind {
    /// All that this version can show.
    pub const KNOWN: [BodyKind; 9] = [
        BodyKind::Text,
        BodyKind::Action,
        BodyKind::Reply,
        BodyKind::Reaction,
        BodyKind::Edit,
        BodyKind::Unsaid,
        BodyKind::Topic,
        BodyKind::Away,
        BodyKind::Back,
    ];
}

impl Body {
    /// A text; `None` when it is longer than [`TEXT_BYTES_MAX`].
    pub fn text(text: &str) -> Option<Self> {
        let bytes = Bytes::try_from(text.as_bytes().to_vec()).ok()?;
        Some(Body { kind: BodyKind::Text as u8, bytes })
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        (self.kind == BodyKind::Text as u8).then(|| std::str::from_utf8(&self.bytes).ok()).flatten()
    }
}
