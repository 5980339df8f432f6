//! The history without a chat: searched and handed out, beside a chat that may be running, and without any server.
//!
//! Never writes. What it hands out was compared with its id; whether its author signed it, a reader can check for themselves.

use std::path::{Path, PathBuf};

use super::{HISTORY_FILE_NAME, identity_file};
use crate::core::event::{BadSearch, Recalled};
use crate::core::log::KeptEntry;
use crate::identity::{Name, PeerId, RoomName, Signer as _};
use crate::store::StoreError;
use crate::store::peer::PeerStore;
use crate::wire::{Content, EntryId, RoomId, encode};

pub use crate::store::peer::{KnownRoom, Part};

/// The history of one data folder, to be read.
#[derive(Debug)]
pub struct History {
    store: PeerStore,
    me: PeerId,
}

/// An entry with all that it takes to check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Which room.
    pub room: RoomId,
    /// Its id.
    pub id: EntryId,
    /// Who wrote it.
    pub author: PeerId,
    /// What they were called, if that is known.
    pub name: Option<Name>,
    /// Its number in its author's log.
    pub seq: u64,
    /// The number of the roster it was written under.
    pub epoch: u64,
    /// How deep below the first under that roster it stands: by `epoch`, `depth` and `id` the transcript is ordered.
    pub depth: u64,
    /// The author's clock, in milliseconds since 1970.
    pub sent_at_ms: u64,
    /// What is said; `None` for a kind that this version can't show.
    pub content: Option<Content>,
    /// How it is shown, with all that was said about it later; only if it is a text.
    pub shown: Option<Recalled>,
    /// The author's entry before.
    pub previous: EntryId,
    /// The author's signature over the id; `None` where that of a later entry vouches for it.
    pub signature: Option<[u8; 64]>,
    /// The bytes that the id is made of.
    pub entry: Vec<u8>,
}

/// Why the history can't be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// There is none.
    #[error("there is no history in {data_dir}")]
    Nothing {
        /// Which folder.
        data_dir: PathBuf,
    },
    /// None of this room.
    #[error("the history has no room {room}")]
    NoSuchRoom {
        /// Which.
        room: RoomName,
    },
    /// None of a room of this name and id.
    #[error("the history has no room {room} of that id")]
    NoSuchRoomId {
        /// Which.
        room: RoomName,
    },
    /// Nothing could be looked for.
    #[error("nothing could be looked for")]
    BadSearch(BadSearch),
    /// It is there and can't be read.
    #[error("{0}")]
    Unreadable(#[from] StoreError),
}

impl History {
    /// Opens the history in `data_dir`.
    ///
    /// # Errors
    /// [`HistoryError`] when there is none, or none that can be read.
    pub fn open(data_dir: &Path) -> Result<History, HistoryError> {
        let file = data_dir.join(HISTORY_FILE_NAME);
        let nothing = || HistoryError::Nothing { data_dir: data_dir.to_owned() };
        if !file.exists() {
            return Err(nothing());
        }
        let (identity, _) = identity_file::load_or_create(data_dir).map_err(|_| nothing())?;
        Ok(History { store: PeerStore::open_to_read(&file)?, me: identity.id() })
    }

    /// The room of a name, and how many of that name there are: the one entered last, or the one of this id.
    ///
    /// # Errors
    /// [`HistoryError`] when there is none.
    pub fn room(&self, name: &RoomName, id: Option<RoomId>) -> Result<(RoomId, usize), HistoryError> {
        let known = self.store.known_rooms()?;
        let of_name = |known: &&KnownRoom| known.name.as_ref().is_none_or(|known| known == name);
        if let Some(id) = id {
            let found = known.iter().filter(of_name).find(|known| known.room == id);
            return found.map(|known| (known.room, 1)).ok_or_else(|| HistoryError::NoSuchRoomId { room: name.clone() });
        }
        let found: Vec<_> = known.iter().filter(|known| known.name.as_ref() == Some(name)).collect();
        match found[..] {
            [] => Err(HistoryError::NoSuchRoom { room: name.clone() }),
            [newest, ..] => Ok((newest.room, found.len())),
        }
    }

    /// Every room of a name, the one entered last first.
    ///
    /// # Errors
    /// [`HistoryError`] when it can't be read.
    pub fn rooms_named(&self, name: &RoomName) -> Result<Vec<RoomId>, HistoryError> {
        let known = self.store.known_rooms()?;
        Ok(known.into_iter().filter(|known| known.name.as_ref() == Some(name)).map(|known| known.room).collect())
    }

    /// The newest `count` texts in which all of `words` stand.
    ///
    /// # Errors
    /// [`HistoryError`] when the words are none, or the history can't be read.
    pub fn search(&mut self, room: &RoomId, words: &str, count: usize) -> Result<Part, HistoryError> {
        self.store.search(room, &self.me, words, count)?.map_err(HistoryError::BadSearch)
    }

    /// Hands every entry of a room to `each`, oldest first, until one is not taken.
    ///
    /// # Errors
    /// [`HistoryError`] when the history can't be read; within, why one was not taken.
    pub fn export<E>(
        &mut self,
        room: &RoomId,
        mut each: impl FnMut(Exported) -> Result<(), E>,
    ) -> Result<Result<(), E>, HistoryError> {
        Ok(self.store.export(room, &self.me, |kept, name, shown| each(exported(kept, name, shown)))?)
    }
}

fn exported(kept: &KeptEntry, name: Option<&Name>, shown: Option<Recalled>) -> Exported {
    let KeptEntry { entry, id, signature, place } = kept;
    Exported {
        room: entry.room,
        id: *id,
        author: entry.author,
        name: name.cloned(),
        seq: entry.seq,
        epoch: place.epoch,
        depth: place.depth,
        sent_at_ms: entry.wall_ms,
        content: entry.body.content(),
        shown,
        previous: entry.previous,
        signature: signature.map(|signature| signature.to_bytes()),
        entry: encode(entry),
    }
}
