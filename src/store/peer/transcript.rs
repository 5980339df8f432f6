//! The transcript as people read it: the newest part, what a search finds, the whole.
//!
//! The order is everybody's: by epoch, depth and id. Who wrote what is told by the name they had in the room, also when they
//! have left it long ago.

use std::collections::BTreeMap;

use rusqlite::{Params, params};

use super::query::expression;
use super::rows::{self, ENTRY_COLUMNS};
use super::{PeerStore, rows_of};
use crate::core::event::{BadSearch, Recalled};
use crate::core::log::{KeptEntry, Place};
use crate::identity::{Name, PeerId, RoomName};
use crate::store::sqlite::StoreError;
use crate::wire::{EntryId, RoomId};

/// Newest last: everybody's order, backwards, since the newest are what is asked for.
const NEWEST_FIRST: &str = "ORDER BY entry.epoch DESC, entry.depth DESC, entry.id DESC";

/// A part of a room's transcript, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// What was said.
    pub messages: Vec<Recalled>,
    /// How many more there are, all of them earlier.
    pub more: u64,
}

/// A room that this peer is or was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRoom {
    /// Which.
    pub room: RoomId,
    /// What it is or was called; unknown where an early version had kept only what was said.
    pub name: Option<RoomName>,
}

impl PeerStore {
    /// The number of the entry kept last; 0 for none. Those up to it were kept before now.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read.
    pub fn newest_number(&self) -> Result<i64, StoreError> {
        Ok(self.all.query_row("SELECT IFNULL(MAX(number), 0) FROM entry", [], |row| row.get(0))?)
    }

    /// The newest `count` texts of a room; only of those that were kept up to `number`, if one is given.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn last(&self, room: &RoomId, me: &PeerId, count: usize, number: Option<i64>) -> Result<Part, StoreError> {
        let number = number.unwrap_or(i64::MAX);
        let which = "FROM entry WHERE entry.room = ?1 AND entry.number <= ?2 AND entry.entry IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM mark WHERE mark.id = entry.id)";
        self.part(room, me, count, which, false, params![room.0, number])
    }

    /// The `count` texts of a room that stand right before this place.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn before(
        &self,
        room: &RoomId,
        me: &PeerId,
        count: usize,
        place: Place,
        id: &EntryId,
    ) -> Result<Part, StoreError> {
        let which = "FROM entry WHERE entry.room = ?1 AND entry.entry IS NOT NULL
             AND (entry.epoch, entry.depth, entry.id) < (?2, ?3, ?4)
             AND NOT EXISTS (SELECT 1 FROM mark WHERE mark.id = entry.id)";
        // What a peer says may be larger than SQLite counts; nothing stands behind that.
        let [epoch, depth] = [place.epoch, place.depth].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.part(room, me, count, which, false, params![room.0, epoch, depth, id.0])
    }

    /// The newest `count` texts of a room in which all the words that were `typed` stand.
    ///
    /// # Errors
    /// [`BadSearch`] when nothing could be looked for, [`StoreError`] as above.
    pub fn search(
        &self,
        room: &RoomId,
        me: &PeerId,
        typed: &str,
        count: usize,
    ) -> Result<Result<Part, BadSearch>, StoreError> {
        let expression = match expression(typed) {
            Ok(expression) => expression,
            Err(why) => return Ok(Err(why)),
        };
        // Crossed, so that the index is asked first and not once for each text.
        let which = "FROM words CROSS JOIN entry ON entry.number = words.rowid
             WHERE words MATCH ?2 AND entry.room = ?1 AND entry.entry IS NOT NULL";
        self.part(room, me, count, which, true, params![room.0, expression]).map(Ok)
    }

    fn part(
        &self,
        room: &RoomId,
        me: &PeerId,
        count: usize,
        which: &str,
        by_words: bool,
        params: impl Params + Copy,
    ) -> Result<Part, StoreError> {
        let names = self.names(room)?;
        let query = format!("SELECT {} {which} {NEWEST_FIRST}", qualified());
        let mut query = self.all.prepare_cached(&query)?;
        let mut found = query.query(params)?;
        let mut messages = Vec::new();
        while messages.len() < count
            && let Some(row) = found.next()?
        {
            let forked = row.get("forked")?;
            let found = rows::kept_entry(row)?;
            let shown = if by_words { self.shown_for(found)? } else { Some(found) };
            // Two wordings of one text may have led here.
            let known = |shown: &KeptEntry| messages.iter().any(|known: &Recalled| known.id == shown.id);
            let Some(shown) = shown.filter(|shown| !by_words || !known(shown)) else { continue };
            messages.extend(self.recalled(&shown, forked, &names, me)?);
        }
        messages.sort_by_key(|message| (message.place, message.id));
        let all: i64 =
            self.all.prepare_cached(&format!("SELECT COUNT(*) {which}"))?.query_row(params, |row| row.get(0))?;
        let mut more = all.unsigned_abs().saturating_sub(messages.len() as u64);
        if by_words {
            more = more.saturating_sub(self.outdated(which, params)?);
        }
        Ok(Part { messages, more })
    }

    /// How many of the entries that words led to are wordings that are not shown any more.
    fn outdated(&self, which: &str, params: impl Params) -> Result<u64, StoreError> {
        let marked = format!(
            "SELECT {} {which} AND (EXISTS (SELECT 1 FROM mark WHERE mark.id = entry.id)
                 OR EXISTS (SELECT 1 FROM mark WHERE mark.about = entry.id))",
            qualified()
        );
        let mut outdated = 0;
        for kept in self.rows(&marked, params, rows::kept_entry)? {
            outdated += u64::from(self.shown_for(kept)?.is_none());
        }
        Ok(outdated)
    }

    /// Hands every entry of a room to `each`, oldest first, with the name of its author, and as it is shown if it is a text,
    /// until one is not taken. What is said meanwhile is not among them.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn export<E>(
        &self,
        room: &RoomId,
        me: &PeerId,
        mut each: impl FnMut(&KeptEntry, Option<&Name>, Option<Recalled>) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        let names = self.names(room)?;
        let query =
            format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE room = ? AND entry IS NOT NULL ORDER BY epoch, depth, id");
        let mut query = self.all.prepare(&query)?;
        let mut found = query.query([room.0])?;
        while let Some(row) = found.next()? {
            let kept = rows::kept_entry(row)?;
            let shown = self.recalled(&kept, false, &names, me)?;
            if let Err(why) = each(&kept, names.get(&kept.entry.author), shown) {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    /// Every room that this peer is or was in, the one entered last first.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn known_rooms(&self) -> Result<Vec<KnownRoom>, StoreError> {
        let named = self.rows("SELECT room, name, seal FROM known ORDER BY number DESC", [], rows::known)?;
        let mut rooms: Vec<KnownRoom> =
            named.into_iter().map(|(room, name)| KnownRoom { room, name: Some(name) }).collect();
        let nameless = "SELECT DISTINCT room FROM entry WHERE room NOT IN (SELECT room FROM known) ORDER BY room";
        rooms.extend(self.rows(nameless, [], |row| Ok(KnownRoom { room: RoomId(row.get(0)?), name: None }))?);
        Ok(rooms)
    }

    fn names(&self, room: &RoomId) -> Result<BTreeMap<PeerId, Name>, StoreError> {
        let people = rows_of(&self.all, "SELECT * FROM person WHERE room = ?", [room.0], rows::person)?;
        Ok(people.into_iter().map(|(_, key, name)| (key, name)).collect())
    }
}

/// The columns of an entry where other tables have some of the same name.
pub(super) fn qualified() -> String {
    ENTRY_COLUMNS.split(", ").map(|column| format!("entry.{column}")).collect::<Vec<_>>().join(", ")
}
