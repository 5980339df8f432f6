//! The membership history of a room without a chat: read from the data folder, or checked from nothing but bytes.
//!
//! Never writes, and asks nobody.

use std::path::{Path, PathBuf};

use super::HISTORY_FILE_NAME;
use crate::core::io::KeptRoom;
use crate::identity::{Ed25519, RoomName};
use crate::store::StoreError;
use crate::store::peer::PeerStore;

pub use crate::core::consent::audit::{Audited, Evidence, Flaw, FlawKind};

/// Why there is nothing to hand out.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// No chat has ever run on this folder.
    #[error("there is no history in {data_dir}")]
    Nothing {
        /// Which folder.
        data_dir: PathBuf,
    },
    /// None of this room.
    #[error("you were never in a room {room}")]
    NoSuchRoom {
        /// Which.
        room: RoomName,
    },
    /// It is there and can't be read.
    #[error("{0}")]
    Unreadable(#[from] StoreError),
}

/// What this client holds of how a room came to its members: of several of that name, the one it is in, else the one that it
/// was in last.
///
/// # Errors
/// [`MembershipError`] when it holds nothing, or the disk refuses.
pub fn held(data_dir: &Path, room: &RoomName) -> Result<Evidence, MembershipError> {
    let file = data_dir.join(HISTORY_FILE_NAME);
    if !file.exists() {
        return Err(MembershipError::Nothing { data_dir: data_dir.to_owned() });
    }
    let store = PeerStore::open_to_read(&file)?;
    let (inside, left) = (store.rooms()?, store.left_rooms()?);
    let named = |kept: &&KeptRoom| kept.genesis.unverified().name == *room;
    let newest = |kept: &&KeptRoom| kept.steps.last().map(|(_, note)| note.at_ms);
    let found = inside.iter().find(named).or_else(|| left.iter().filter(named).max_by_key(newest));
    found.map(Evidence::of).ok_or_else(|| MembershipError::NoSuchRoom { room: room.clone() })
}

/// Checks a membership history from nothing but its bytes.
///
/// # Errors
/// The first [`Flaw`].
pub fn audit(evidence: &Evidence) -> Result<Audited, Flaw> {
    evidence.audit(&Ed25519)
}
