//! A peer's rooms and history.
//!
//! One [`PeerStore::apply`] is one transaction: all of its changes are on disk when it returns, or none is. What comes out was
//! compared with its seal, and an entry with its id; what doesn't fit is an error, never a text.

mod marked;
mod people;
mod query;
mod retention;
mod rows;
mod salvage;
mod schema;
mod transcript;

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Params, params};

use self::rows::{ENTRY_COLUMNS, as_stored};
use self::schema::SCHEMA;
use super::sqlite::{self, StoreError};
use crate::core::io::{Change, Kept, KeptRoom};
use crate::core::log::{AuthorLog, KeptEntry, Known};
use crate::identity::PeerId;
use crate::limits::{FORKED_ENTRIES_MAX, RECENT_ENTRIES_MAX, RUN_ENTRIES_MAX};
use crate::wire::{Entry, EntryId, RoomId, RosterHash};

pub use self::people::KeptLetter;
pub use self::retention::{Forgetting, Keep};
pub use self::salvage::Salvaged;
pub use self::transcript::{KnownRoom, Part};

/// The database of one peer.
#[derive(Debug)]
pub struct PeerStore {
    /// All that is kept; in memory where nothing is to stay.
    all: Connection,
    /// Whose history it is. The ends of this author's logs are kept twice, in two places of the file: losing them would mean
    /// using a number twice.
    own: Option<PeerId>,
    /// In a run of which nothing is to stay: where the ends of our own logs stay all the same.
    tips: Option<Connection>,
}

impl PeerStore {
    /// Opens the database in `file`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be opened, or is of another version.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        Ok(PeerStore { all: sqlite::open(Some(file), &SCHEMA)?, own: None, tips: None })
    }

    /// Opens the database in `file` for reading, beside a chat that may be writing it.
    ///
    /// # Errors
    /// [`StoreError`] when it isn't there, can't be read, or is of another version.
    pub fn open_to_read(file: &Path) -> Result<Self, StoreError> {
        Ok(PeerStore { all: sqlite::open_to_read(file, &SCHEMA)?, own: None, tips: None })
    }

    /// A database that is gone with the process.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(PeerStore { all: sqlite::open(None, &SCHEMA)?, own: None, tips: None })
    }

    /// A database in memory that remembers in this one only the ends of `me`'s own logs, as a number and two hashes each: a
    /// number that is used again for another text is what a forger does.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory for it.
    pub fn passing(self, me: PeerId) -> Result<Self, StoreError> {
        Ok(PeerStore { own: Some(me), tips: Some(self.all), ..PeerStore::in_memory()? })
    }

    /// Keeps all of `changes`, in order, or none.
    ///
    /// # Errors
    /// [`StoreError`] when the disk or the database refuses; nothing was kept, then.
    pub fn apply<'c>(&mut self, changes: impl IntoIterator<Item = &'c Change>) -> Result<(), StoreError> {
        let transaction = self.all.transaction()?;
        let mut ends: BTreeMap<RoomId, &KeptEntry> = BTreeMap::new();
        for change in changes {
            apply(&transaction, change)?;
            if let Change::Entries { room, entries } = change {
                let own = entries.iter().filter(|kept| Some(kept.entry.author) == self.own);
                ends.extend(own.map(|kept| (*room, kept)));
            }
        }
        match &mut self.tips {
            Some(on_disk) if !ends.is_empty() => {
                let numbers = on_disk.transaction()?;
                ends.iter().try_for_each(|(room, kept)| rows::keep_tip(&numbers, room, kept))?;
                numbers.commit()?;
            }
            _ => ends.iter().try_for_each(|(room, kept)| rows::keep_tip(&transaction, room, kept))?,
        }
        transaction.commit()?;
        // Benches count these: each is a flush of the disk.
        tracing::trace!("committed");
        Ok(())
    }

    /// Everything that a peer needs to go on where it stopped.
    ///
    /// # Errors
    /// [`StoreError`] when a row is damaged.
    pub fn load(&self) -> Result<Kept, StoreError> {
        let rules = self.rows("SELECT * FROM rule ORDER BY room, key", [], rows::rule)?;
        let past = self.rows("SELECT * FROM past ORDER BY room, epoch", [], rows::past)?;
        let (acquaintances, privates) = (self.acquaintances()?, self.conversations()?);
        Ok(Kept { rooms: self.rooms_that_are(false)?, logs: self.logs()?, past, rules, acquaintances, privates })
    }

    /// Rooms that we left: how they came to their members, as far as we were there, outlives our seat.
    ///
    /// # Errors
    /// [`StoreError`] when a row is damaged.
    pub fn left_rooms(&self) -> Result<Vec<KeptRoom>, StoreError> {
        self.rooms_that_are(true)
    }

    /// Rooms that we are in.
    ///
    /// # Errors
    /// [`StoreError`] when a row is damaged.
    pub fn rooms(&self) -> Result<Vec<KeptRoom>, StoreError> {
        self.rooms_that_are(false)
    }

    fn rooms_that_are(&self, gone: bool) -> Result<Vec<KeptRoom>, StoreError> {
        let rows = self.rows("SELECT * FROM room", [], rows::room)?.into_iter();
        let mut rooms: BTreeMap<RoomId, KeptRoom> =
            rows.filter(|(_, (left, _))| *left == gone).map(|(id, (_, room))| (id, room)).collect();
        for (room, _, step, note) in self.rows("SELECT * FROM step ORDER BY room, epoch", [], rows::step)? {
            rooms.entry(room).and_modify(|kept| kept.steps.push((step, note)));
        }
        for (room, proposal, consent) in self.rows("SELECT * FROM consent ORDER BY number", [], rows::consent)? {
            rooms.entry(room).and_modify(|kept| kept.consents.push((proposal, consent)));
        }
        Ok(rooms.into_values().collect())
    }

    fn logs(&self) -> Result<Vec<(RoomId, PeerId, AuthorLog)>, StoreError> {
        let mut authors = self.rows(AUTHORS, [], |row| Ok(((RoomId(row.get(0)?), PeerId(row.get(1)?)), None)))?;
        let mut ends: BTreeMap<(RoomId, PeerId), Option<KeptEntry>> = authors.drain(..).collect();
        // In a run of which nothing stays, all that is known of our own logs is where they end.
        let disk = match (&self.tips, &self.own) {
            (Some(on_disk), Some(me)) => {
                let newest = "WHERE author = ?1 AND forked = 0 AND seq = (SELECT MAX(seq) FROM entry newest
                    WHERE newest.room = entry.room AND newest.author = entry.author AND newest.forked = 0)";
                for kept in
                    rows_of(on_disk, &format!("SELECT {ENTRY_COLUMNS} FROM entry {newest}"), [me.0], rows::kept_entry)?
                {
                    ends.insert((kept.entry.room, kept.entry.author), Some(kept));
                }
                on_disk
            }
            _ => &self.all,
        };
        for tip in rows_of(disk, &format!("SELECT {ENTRY_COLUMNS} FROM tip"), [], rows::kept_entry)? {
            let end = ends.entry((tip.entry.room, tip.entry.author)).or_default();
            if end.as_ref().is_none_or(|end| end.entry.seq < tip.entry.seq) {
                *end = Some(tip);
            }
        }
        let mut logs = Vec::new();
        for ((room, author), end) in ends {
            let mut newest = self.newest(&room, &author)?;
            let forks = self.forks(&room, &author)?;
            if newest.is_empty() && end.is_none() && forks.is_empty() {
                return Err(StoreError::Damaged { what: "an index" });
            }
            let mut audiences = self.audiences(&room, &author)?;
            if let Some(end) = end.filter(|end| newest.last().is_none_or(|last| last.entry.seq < end.entry.seq)) {
                // What it was is not here, so that nobody can be given it, nor what it follows.
                (newest, audiences) = (vec![end], Vec::new());
            }
            logs.push((room, author, AuthorLog::reopen(audiences, newest, forks)));
        }
        Ok(logs)
    }

    fn audiences(&self, room: &RoomId, author: &PeerId) -> Result<Vec<(u64, RosterHash)>, StoreError> {
        self.rows(
            &format!(
                "SELECT MIN(seq), audience FROM entry WHERE room = ? AND author = ? AND forked = 0 AND entry IS NOT NULL AND {WHOLE}
                 GROUP BY audience ORDER BY MIN(seq)"
            ),
            [room.0, author.0],
            |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), RosterHash(row.get(1)?))),
        )
    }

    fn newest(&self, room: &RoomId, author: &PeerId) -> Result<Vec<KeptEntry>, StoreError> {
        let query = format!(
            "SELECT {ENTRY_COLUMNS} FROM entry WHERE room = ? AND author = ? AND forked = 0 AND {WHOLE}
             ORDER BY seq DESC LIMIT {RECENT_ENTRIES_MAX}"
        );
        let mut newest = self.rows(&query, [room.0, author.0], rows::kept_entry)?;
        newest.reverse();
        // The way to the rows is an index, which has no seals of its own.
        let in_order = newest.windows(2).all(|pair| pair[0].entry.seq < pair[1].entry.seq);
        let theirs = newest.iter().all(|kept| kept.entry.room == *room && kept.entry.author == *author);
        if in_order && theirs { Ok(newest) } else { Err(StoreError::Damaged { what: "an index" }) }
    }

    fn forks(&self, room: &RoomId, author: &PeerId) -> Result<Vec<KeptEntry>, StoreError> {
        let query = format!(
            "SELECT {ENTRY_COLUMNS} FROM entry WHERE room = ? AND author = ? AND forked = 1 AND entry IS NOT NULL
             ORDER BY seq, id LIMIT {FORKED_ENTRIES_MAX}"
        );
        self.rows(&query, [room.0, author.0], rows::kept_entry)
    }

    /// Which of these entries, by id or by author and number, are in the logs of this room, and where they stand.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn look_up(
        &self,
        room: &RoomId,
        ids: &[EntryId],
        numbers: &[(PeerId, u64)],
    ) -> Result<Vec<(EntryId, Known)>, StoreError> {
        let of =
            |condition: &str| format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE {condition} AND forked = 0 LIMIT 1");
        let (by_id, by_number) = (of("id = ? AND room = ?"), of("room = ? AND author = ? AND seq = ?"));
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.rows(&by_id, [id.0, room.0], rows::kept_entry)?);
        }
        for (author, seq) in numbers {
            found.extend(self.rows(&by_number, params![room.0, author.0, as_stored(*seq)], rows::kept_entry)?);
        }
        let known = |kept: KeptEntry| {
            let Entry { author, seq, audience, .. } = kept.entry;
            (kept.id, Known { author, seq, audience, place: kept.place })
        };
        Ok(found.into_iter().map(known).collect())
    }

    /// Entries of one author in a row, from number `from` on, oldest first: as many as one run may have.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn fetch(&self, room: &RoomId, author: &PeerId, from: u64) -> Result<Vec<KeptEntry>, StoreError> {
        let query = format!(
            "SELECT {ENTRY_COLUMNS} FROM entry
             WHERE room = ? AND author = ? AND forked = 0 AND seq >= ? AND entry IS NOT NULL ORDER BY seq LIMIT {RUN_ENTRIES_MAX}"
        );
        self.rows(&query, params![room.0, author.0, as_stored(from)], rows::kept_entry)
    }

    fn rows<T>(
        &self,
        query: &str,
        params: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        rows_of(&self.all, query, params, read)
    }
}

/// Everybody of whom there is an entry.
const AUTHORS: &str = "SELECT room, author FROM entry WHERE forked = 0
     UNION SELECT room, author FROM entry WHERE forked = 1";

/// Leaves out, in a query of `entry`, what stands behind a hole.
const WHOLE: &str = "seq <= IFNULL(
    (SELECT after FROM hole WHERE hole.room = entry.room AND hole.author = entry.author), 9223372036854775807)";

fn rows_of<T>(
    from: &Connection,
    query: &str,
    params: impl Params,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut query = from.prepare_cached(query)?;
    let mut found = query.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn apply(to: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Entered { genesis, base } => rows::keep_room(to, genesis, base),
        Change::Moved { room, epoch, step, note } => {
            to.execute("DELETE FROM consent WHERE room = ?", [&room.0])?;
            rows::keep_step(to, room, *epoch, step, note)
        }
        Change::Consented { room, proposal, consent } => rows::keep_consent(to, room, proposal, consent),
        Change::HeadCounter { room, counter } => rows::keep_counter(to, room, *counter),
        Change::Entries { room, entries } => entries.iter().try_for_each(|kept| rows::keep_new_entry(to, room, kept)),
        Change::Rule { room, key, rule } => rows::keep_rule(to, room, key, *rule),
        Change::Forked { room, entry } => rows::keep_entry(to, room, entry, true).map(drop),
        Change::Past { rosters, .. } => rosters.iter().try_for_each(|roster| rows::keep_past(to, roster)),
        Change::Acquaintance { key, known, .. } => people::keep_acquaintance(to, key, known),
        Change::PrivateSaid { room, to: with, me, series, letter } => {
            people::keep_letter(to, &people::new_letter(*room, (*with, *me), true, *series, letter))
        }
        Change::PrivateHeard { room, from, me, series, letter } => {
            people::keep_letter(to, &people::new_letter(*room, (*from, *me), false, *series, letter))
        }
        Change::PrivateReceived { room, by, series, up_to } => people::keep_received(to, room, by, series, *up_to),
        Change::Gone { room } => rows::end_seat(to, room),
    }
}

#[cfg(test)]
mod tests;
