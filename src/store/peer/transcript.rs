//! The transcript as people read it: the newest part, what a search finds, the whole.
//!
//! The order is everybody's: by epoch, depth and id. Who wrote what is told by the name they had in the room, also when they
//! have left it long ago.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use rusqlite::{Connection, Params, Row, Statement, params};

use super::index::{self, row_of, short};
use super::marked::{self, Reading};
use super::query::expression;
use super::rows;
use super::runs::{KeptRun, kept_run};
use super::{PeerStore, as_stored, rows_of};
use crate::core::event::{BadSearch, Recalled};
use crate::core::log::{KeptEntry, Place};
use crate::identity::{Name, PeerId, RoomName};
use crate::store::sqlite::StoreError;
use crate::wire::{EntryId, RoomId};

/// Newest last: everybody's order, backwards, since the newest are what is asked for.
const NEWEST_FIRST: &str = "ORDER BY place.epoch DESC, place.depth DESC, place.id DESC";

/// Rows that are kept while a part is read: neighbours in the transcript are neighbours in their authors' logs.
const ROWS_AT_HAND_MAX: usize = 128;

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
    /// The number of the row kept last; 0 for none. What is in those up to it was kept before now.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read.
    pub fn newest_number(&self) -> Result<i64, StoreError> {
        Ok(self.all.query_row("SELECT IFNULL(MAX(number), 0) FROM run", [], |row| row.get(0))?)
    }

    /// The newest `count` texts of a room; only of those that were kept up to the row of `number`, if one is given.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn last(&mut self, room: &RoomId, me: &PeerId, count: usize, number: Option<i64>) -> Result<Part, StoreError> {
        let before = number.map_or(i64::MAX, |number| index::at(number.saturating_add(1)));
        let which = "FROM place WHERE place.room = ?1 AND place.at < ?2
             AND NOT EXISTS (SELECT 1 FROM mark WHERE mark.at = place.at)";
        self.snapshot(|store, late| {
            let stands = late.iter().filter(|run| index::at(run.number) < before).flat_map(stands_of);
            let stands = stands.filter(|stand| !stand.mark);
            // Of some only the place is left, which nobody sees.
            let forgotten = store.count(
                "FROM run WHERE room = ? AND entries IS NULL AND number <= ?",
                params![room.0, number.unwrap_or(i64::MAX)],
            )?;
            let reading = Reading::of(store, late, room, me)?;
            let mut part = store.part(room, count, (which, params![short(&room.0), before]), stands, reading, false)?;
            part.more = part.more.saturating_sub(forgotten);
            Ok(part)
        })
    }

    /// The `count` texts of a room that stand right before this place.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn before(
        &mut self,
        room: &RoomId,
        me: &PeerId,
        count: usize,
        place: Place,
        id: &EntryId,
    ) -> Result<Part, StoreError> {
        let which = "FROM place WHERE place.room = ?1 AND (place.epoch, place.depth, place.id) < (?2, ?3, ?4)
             AND NOT EXISTS (SELECT 1 FROM mark WHERE mark.at = place.at)";
        // What a peer says may be larger than SQLite counts; nothing stands behind that.
        let [epoch, depth] = [place.epoch, place.depth].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.snapshot(|store, late| {
            let stands =
                late.iter().flat_map(stands_of).filter(|stand| !stand.mark && stand.order() < (place, short(&id.0)));
            let reading = Reading::of(store, late, room, me)?;
            store.part(
                room,
                count,
                (which, params![short(&room.0), epoch, depth, short(&id.0)]),
                stands,
                reading,
                false,
            )
        })
    }

    /// The newest `count` texts of a room in which all the words that were `typed` stand.
    ///
    /// # Errors
    /// [`BadSearch`] when nothing could be looked for, [`StoreError`] as above.
    pub fn search(
        &mut self,
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
        let which = "FROM words CROSS JOIN place ON place.at = words.rowid WHERE words MATCH ?2 AND place.room = ?1";
        self.snapshot(|store, late| {
            let found = if late.is_empty() { Vec::new() } else { matching(late, &expression)? };
            let stands = late.iter().flat_map(stands_of).filter(|stand| found.contains(&stand.at));
            let reading = Reading::of(store, late, room, me)?;
            store.part(room, count, (which, params![short(&room.0), expression]), stands, reading, true).map(Ok)
        })
    }

    /// Looks at one state of the database, all of it indexed. What the indexes of a file that we only read don't have yet is handed
    /// over as it is.
    pub(super) fn snapshot<T>(
        &mut self,
        look: impl FnOnce(&Self, &[KeptRun]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let read_only = self.all.is_readonly(rusqlite::MAIN_DB)?;
        if !read_only {
            self.index_all()?;
            return look(self, &[]);
        }
        let snapshot = self.all.unchecked_transaction()?;
        let late = self.behind_the_indexes()?;
        let seen = look(self, &late)?;
        snapshot.finish()?;
        Ok(seen)
    }

    fn part(
        &self,
        room: &RoomId,
        count: usize,
        (which, params): (&str, impl Params + Copy),
        late: impl Iterator<Item = Stand>,
        mut reading: Reading<'_>,
        by_words: bool,
    ) -> Result<Part, StoreError> {
        let mut late: Vec<Stand> = late.filter(|stand| stand.room == short(&room.0) && !stand.only_place).collect();
        late.sort_by_key(|stand| Reverse(stand.order()));
        let mut all = self.count(which, params)?.saturating_add(late.len() as u64);
        if by_words {
            all = all.saturating_sub(self.outdated(which, params, &late, &mut reading)?);
        }
        let mut query = self.all.prepare_cached(&format!("SELECT place.* {which} {NEWEST_FIRST}"))?;
        let mut stands = Merged::of(&mut query, params, late, |a, b| a.order() > b.order())?;
        let mut messages: Vec<Recalled> = Vec::new();
        while messages.len() < count
            && let Some(stand) = stands.next()?
        {
            let (kept, forked) = reading.entry(&stand)?;
            let shown = if by_words { reading.shown_for(kept, forked)? } else { Some((kept, forked)) };
            // Two wordings of one text may have led here.
            let known = |kept: &KeptEntry| by_words && messages.iter().any(|known| known.id == kept.id);
            if let Some((kept, forked)) = shown.filter(|(kept, _)| !known(kept)) {
                messages.extend(reading.recalled(&kept, forked)?);
            }
        }
        messages.sort_by_key(|message| (message.place, message.id));
        let more = all.saturating_sub(messages.len() as u64);
        Ok(Part { messages, more })
    }

    /// How many of the entries that words led to are wordings that are not shown any more.
    fn outdated(
        &self,
        which: &str,
        params: impl Params,
        late: &[Stand],
        reading: &mut Reading<'_>,
    ) -> Result<u64, StoreError> {
        let marked = format!(
            "SELECT place.* {which} AND (EXISTS (SELECT 1 FROM mark WHERE mark.at = place.at)
                 OR EXISTS (SELECT 1 FROM mark WHERE mark.about = place.id))"
        );
        let stands = self.rows(&marked, params, Stand::read)?;
        let mut outdated = 0;
        for stand in stands.iter().chain(late) {
            let (kept, forked) = reading.entry(stand)?;
            outdated += u64::from(reading.shown_for(kept, forked)?.is_none());
        }
        Ok(outdated)
    }

    fn count(&self, which: &str, params: impl Params) -> Result<u64, StoreError> {
        let mut query = self.all.prepare_cached(&format!("SELECT COUNT(*) {which}"))?;
        Ok(query.query_row(params, |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// Hands every entry of a room to `each`, oldest first, with the name of its author, and as it is shown if it is a text,
    /// until one is not taken. What is said meanwhile is not among them.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn export<E>(
        &mut self,
        room: &RoomId,
        me: &PeerId,
        mut each: impl FnMut(&KeptEntry, Option<&Name>, Option<Recalled>) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        self.snapshot(|store, late| {
            let mut reading = Reading::of(store, late, room, me)?;
            let mut late: Vec<Stand> =
                late.iter().flat_map(stands_of).filter(|stand| stand.room == short(&room.0)).collect();
            late.sort_by_key(Stand::order);
            let mut query = store.all.prepare("SELECT * FROM place WHERE room = ? ORDER BY epoch, depth, id")?;
            let mut stands = Merged::of(&mut query, [short(&room.0)], late, |a, b| a.order() < b.order())?;
            while let Some(stand) = stands.next()? {
                let (kept, forked) = reading.entry(&stand)?;
                if rows::is_only_place(&kept) {
                    continue;
                }
                let shown = reading.recalled(&kept, forked)?;
                if let Err(why) = each(&kept, reading.name(&kept.entry.author), shown) {
                    return Ok(Err(why));
                }
            }
            Ok(Ok(()))
        })
    }

    /// Every room that this peer is or was in, the one entered last first.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn known_rooms(&self) -> Result<Vec<KnownRoom>, StoreError> {
        let named = self.rows("SELECT room, name, seal FROM known ORDER BY number DESC", [], rows::known)?;
        let mut rooms: Vec<KnownRoom> =
            named.into_iter().map(|(room, name)| KnownRoom { room, name: Some(name) }).collect();
        let nameless = "SELECT DISTINCT room FROM run WHERE room NOT IN (SELECT room FROM known) ORDER BY room";
        rooms.extend(self.rows(nameless, [], |row| Ok(KnownRoom { room: RoomId(row.get(0)?), name: None }))?);
        Ok(rooms)
    }

    pub(super) fn names(&self, room: &RoomId) -> Result<BTreeMap<PeerId, Name>, StoreError> {
        let people = rows_of(&self.all, "SELECT * FROM person WHERE room = ?", [room.0], rows::person)?;
        Ok(people.into_iter().map(|(_, key, name)| (key, name)).collect())
    }
}

/// Where an entry stands, by an index.
pub(super) struct Stand {
    pub(super) at: i64,
    room: i64,
    place: Place,
    id: i64,
    /// Whether that is all that is left of it, as far as we know yet.
    only_place: bool,
    /// Whether it is no text, as far as we know yet.
    mark: bool,
}

impl Stand {
    fn order(&self) -> (Place, i64) {
        (self.place, self.id)
    }

    /// A row of `place`.
    pub(super) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let place = Place { epoch: rows::number(row, "epoch")?, depth: rows::number(row, "depth")? };
        Ok(Stand {
            at: row.get("at")?,
            room: row.get("room")?,
            place,
            id: row.get("id")?,
            only_place: false,
            mark: false,
        })
    }
}

/// Where the entries of a row stand.
fn stands_of(run: &KeptRun) -> impl Iterator<Item = Stand> {
    run.entries.iter().zip(index::at(run.number)..).map(|(kept, at)| Stand {
        at,
        room: short(&kept.entry.room.0),
        place: kept.place,
        id: short(&kept.id.0),
        only_place: rows::is_only_place(kept),
        mark: marked::is_mark(kept),
    })
}

/// Which of the texts in rows that no index has yet have all the words in them: an index of their own tells.
fn matching(late: &[KeptRun], expression: &str) -> Result<Vec<i64>, StoreError> {
    let small = PeerStore::in_memory()?.all;
    late.iter().try_for_each(|run| index::index_run(&small, run))?;
    rows_of(&small, "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid", [expression], |row| Ok(row.get(0)?))
}

/// What an index has, and what it does not have yet, in one order.
struct Merged<'q> {
    indexed: rusqlite::Rows<'q>,
    next: Option<Stand>,
    late: VecDeque<Stand>,
    is_before: fn(&Stand, &Stand) -> bool,
}

impl<'q> Merged<'q> {
    fn of(
        query: &'q mut Statement<'_>,
        params: impl Params,
        late: Vec<Stand>,
        is_before: fn(&Stand, &Stand) -> bool,
    ) -> Result<Self, StoreError> {
        let mut indexed = query.query(params)?;
        let next = indexed.next()?.map(Stand::read).transpose()?;
        Ok(Merged { indexed, next, late: late.into(), is_before })
    }

    fn next(&mut self) -> Result<Option<Stand>, StoreError> {
        let late_first = match (&self.next, self.late.front()) {
            (Some(next), Some(late)) => (self.is_before)(late, next),
            (None, _) => true,
            (_, None) => false,
        };
        if late_first {
            return Ok(self.late.pop_front());
        }
        let after = self.indexed.next()?.map(Stand::read).transpose()?;
        Ok(std::mem::replace(&mut self.next, after))
    }
}

/// Rows that were read lately.
pub(super) struct RowsAtHand<'c> {
    from: &'c Connection,
    rows: BTreeMap<i64, KeptRun>,
    order: VecDeque<i64>,
}

impl<'c> RowsAtHand<'c> {
    pub(super) fn of(from: &'c Connection) -> Self {
        RowsAtHand { from, rows: BTreeMap::new(), order: VecDeque::new() }
    }

    /// The entry that stands there, and whether it is on another branch. An index has no seal, but what it leads to tells.
    pub(super) fn entry(&mut self, stand: &Stand) -> Result<(KeptEntry, bool), StoreError> {
        let damaged = || StoreError::Damaged { what: "an index" };
        let (number, within) = row_of(stand.at);
        if !self.rows.contains_key(&number) {
            let run = rows_of(self.from, "SELECT * FROM run WHERE number = ?", [number], kept_run)?.pop();
            self.rows.insert(number, run.ok_or_else(damaged)?);
            self.order.push_back(number);
            if self.order.len() > ROWS_AT_HAND_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.rows.remove(&oldest);
            }
        }
        let run = self.rows.get(&number).ok_or_else(damaged)?;
        let kept = run.entries.get(within).ok_or_else(damaged)?;
        let (id, room) = (short(&kept.id.0), short(&kept.entry.room.0));
        let stands = (as_stored(kept.place.epoch), as_stored(kept.place.depth), id, room);
        let told = (as_stored(stand.place.epoch), as_stored(stand.place.depth), stand.id, stand.room);
        if stands == told { Ok((kept.clone(), run.forked)) } else { Err(damaged()) }
    }
}
