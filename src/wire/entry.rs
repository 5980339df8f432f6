//! Messages: entries chained into their author's log (DESIGN.md §5).

use serde::{Deserialize, Serialize};

use super::record::{hash_type, sha256};
use super::{Bytes, Few, RoomId, RosterHash};
use crate::identity::PeerId;
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
    /// How deep below the first entry of its audience it stands: one more than the deepest of this audience among those that it names.
    /// Stated, since not everybody who reads it has all of those. What a liar may make of it, see [`crate::core::log::Place`].
    pub depth: u64,
    /// The author's clock, in milliseconds since 1970. Only shown.
    pub wall_ms: u64,
    /// Keeps two equal texts apart.
    pub salt: [u8; 16],
    /// What is said.
    pub body: Body,
}

impl Entry {
    /// How many bytes its encoding has: reckoned, since it is asked for at each step of an entry's way. To have it counted by the encoder
    /// takes 4 of 100 parts more of all processor time in a busy room.
    pub fn encoded_bytes(&self) -> usize {
        const HASHES: usize = 5 * 32;
        const SALT_AND_KIND: usize = 16 + 1;
        let (seen, text) = (self.seen.len(), self.body.bytes.len());
        let numbers =
            [self.seq, self.depth, self.wall_ms, seen as u64, text as u64].into_iter().map(varint_bytes).sum::<usize>();
        HASHES + SALT_AND_KIND + seen * 32 + text + numbers
    }

    /// The name of the entry, by which duplicates fold.
    pub fn id(&self) -> EntryId {
        EntryId(sha256(&self.signing_bytes()))
    }

    /// [`signing_bytes`] of it, written by hand: they are made for every entry at everybody, and most of them are hashes, which the
    /// encoder takes byte by byte. That takes 3 of 100 parts more of all processor time in a busy room of two, and 5 in one of eight.
    fn signing_bytes(&self) -> Vec<u8> {
        const PREFIX: &[u8] = b"p2pchat/1 entry\0";
        let Entry { room, author, seq, previous, audience, previous_audience, seen, depth, wall_ms, salt, body } = self;
        let mut bytes = Vec::with_capacity(PREFIX.len() + self.encoded_bytes());
        [PREFIX, &room.0, &author.0].into_iter().for_each(|part| bytes.extend_from_slice(part));
        put_varint(&mut bytes, *seq);
        [previous.0, audience.0, previous_audience.0].iter().for_each(|hash| bytes.extend_from_slice(hash));
        put_varint(&mut bytes, seen.len() as u64);
        seen.iter().for_each(|id| bytes.extend_from_slice(&id.0));
        put_varint(&mut bytes, *depth);
        put_varint(&mut bytes, *wall_ms);
        bytes.extend_from_slice(salt);
        bytes.push(body.kind);
        put_varint(&mut bytes, body.bytes.len() as u64);
        bytes.extend_from_slice(&body.bytes);
        bytes
    }
}

/// Bytes that a number takes: seven bits each.
pub(super) fn varint_bytes(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a number, seven bits a byte, lowest first.
fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
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
    pub fn text(text: impl Into<String>) -> Option<Self> {
        let bytes = Bytes::try_from(text.into().into_bytes()).ok()?;
        Some(Body { kind: BodyKind::Text as u8, bytes })
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        (self.kind == BodyKind::Text as u8).then(|| std::str::from_utf8(&self.bytes).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::signing_bytes;
    use crate::wire::encoded_len;

    #[test]
    fn what_is_written_by_hand_is_the_encoding() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, (1 << 35) - 1, 1 << 35, u64::MAX];
        for (seen, text) in [(0, 0), (1, 1), (8, 127), (3, 128), (0, TEXT_BYTES_MAX)] {
            for (seq, wall_ms) in numbers.iter().zip(numbers.iter().rev()) {
                let entry = Entry {
                    room: RoomId([1; 32]),
                    author: PeerId([2; 32]),
                    seq: *seq,
                    previous: EntryId([3; 32]),
                    audience: RosterHash([4; 32]),
                    previous_audience: RosterHash([5; 32]),
                    seen: Few::first_of((0..seen).map(|id| EntryId([id; 32]))),
                    depth: *seq,
                    wall_ms: *wall_ms,
                    salt: [6; 16],
                    body: Body::text("x".repeat(text)).unwrap(),
                };
                assert_eq!(entry.signing_bytes(), signing_bytes("entry", &entry), "{seq}, {wall_ms}, {seen}, {text}");
                assert_eq!(entry.encoded_bytes(), encoded_len(&entry), "{seq}, {wall_ms}, {seen}, {text}");
            }
        }
    }
}
