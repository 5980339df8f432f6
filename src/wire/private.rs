//! What one member says to one other: over their link, or sealed and carried by a member who has links with both.

use serde::{Deserialize, Serialize};

use super::record::{hash_type, sha256};
use super::{Bytes, RoomId, RosterHash};
use crate::identity::{PeerId, Record, Signed, signing_bytes};
use crate::limits::TEXT_BYTES_MAX;

hash_type!(
    /// SHA-256 of a private message, its salt included.
    PrivateId
);

/// One conversation in one direction, as its author began it: 16 random bytes. An author that lost its history begins
/// another, so that its numbers may begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series(pub [u8; 16]);

/// One private message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// 1 for the first of its series, then one more each.
    pub number: u64,
    /// The author's clock, in milliseconds since 1970. Only shown.
    pub wall_ms: u64,
    /// Keeps two equal texts apart.
    pub salt: [u8; 16],
    /// UTF-8.
    pub text: Bytes<TEXT_BYTES_MAX>,
}

impl Letter {
    /// The name of the message, between these two in this room.
    pub fn id(&self, room: &RoomId, from: &PeerId, to: &PeerId, series: &Series) -> PrivateId {
        PrivateId(sha256(&signing_bytes("private", &(room, from, to, series, self))))
    }
}

/// What one member says to one other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "they are handled one by one, never kept in numbers")]
pub enum Private {
    /// A message.
    Letter {
        /// A roster that both are members of.
        roster: RosterHash,
        /// Of which series.
        series: Series,
        /// The first number that its author doesn't know to have arrived.
        first: u64,
        /// The message.
        letter: Letter,
    },
    /// All of this series up to this number have arrived, and are kept.
    Received {
        /// Of which series.
        series: Series,
        /// The newest number.
        up_to: u64,
    },
}

/// The key under which a member takes sealed messages in one room. Made anew at each start, never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingKey {
    /// Which room.
    pub room: RoomId,
    /// Whose.
    pub by: PeerId,
    /// The number of the roster that they were on when they made it.
    pub epoch: u64,
    /// Of several made on one roster the one with the highest counter counts.
    pub counter: u64,
    /// X25519 (RFC 7748).
    pub public: [u8; 32],
}

impl Record for SealingKey {
    const PURPOSE: &'static str = "sealing key";
    fn signer(&self) -> PeerId {
        self.by
    }
}

/// What is carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "they are handled one by one, never kept in numbers")]
pub enum Parcel {
    /// The sender's key; and whether the reader's is wanted.
    Key(Signed<SealingKey>, bool),
    /// For the reader's eyes only.
    Sealed(Sealed),
}

/// A [`Private`], sealed by HPKE (RFC 9180): mode Auth, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The encapsulated key.
    pub enc: [u8; 32],
    /// The ciphertext with its tag.
    pub bytes: Bytes<SEALED_BYTES_MAX>,
}

/// A sealed message of the longest text, and all that stands beside it.
pub const SEALED_BYTES_MAX: usize = TEXT_BYTES_MAX + 256;

/// From one member to another, by way of a third who has links with both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carry {
    /// Which room.
    pub room: RoomId,
    /// Who sends it.
    pub from: PeerId,
    /// Whom it is for.
    pub to: PeerId,
    /// What.
    pub parcel: Parcel,
}
