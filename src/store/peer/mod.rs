//! A peer's rooms and history.
//!
//! One [`PeerStore::apply`] is one transaction: all of its changes are on disk when it returns, or none is. What comes out was
//! compared with its seal, and an entry with its id; what doesn't fit is an error, never a text.

mod copies;
mod damage;
mod found;
mod index;
mod lost;
mod marked;
mod outbox;
mod people;
mod put_back;
mod query;
mod retention;
mod rows;
mod runs;
mod salvage;
mod schema;
mod transcript;

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Params, params};

use self::index::Behind;
use self::rows::as_stored;
use self::runs::{KeptRun, NewRow, kept_run};
use self::schema::{ADDED, SCHEMA};
use super::sqlite::{self, StoreError};
use crate::core::io::{Change, Kept, KeptRoom};
use crate::core::log::{AuthorLog, KeptEntry, Known};
use crate::identity::PeerId;
use crate::limits::{FORKED_ENTRIES_MAX, RECENT_ENTRIES_MAX, RUN_ENTRIES_MAX, SPANS_MAX};
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
    /// Entries that the indexes don't have yet.
    behind: Behind,
    /// Bytes of disk that each author takes in each room, about.
    taken: BTreeMap<(RoomId, PeerId), u64>,
}

impl PeerStore {
    /// Opens the database in `file`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be opened, or is of another version.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let mut store = PeerStore::of(sqlite::open(Some(file), &SCHEMA)?);
        store.all.execute_batch(ADDED)?;
        index::check_newest(&store.all)?;
        // What a crash, or a quick quit, left behind.
        store.index_all()?;
        store.weigh()?;
        Ok(store)
    }

    /// Opens the database in `file` for reading, beside a chat that may be writing it.
    ///
    /// # Errors
    /// [`StoreError`] when it isn't there, can't be read, or is of another version.
    pub fn open_to_read(file: &Path) -> Result<Self, StoreError> {
        Ok(PeerStore::of(sqlite::open_to_read(file, &SCHEMA)?))
    }

    /// Has the first lines of a run flushed as fast as later ones: for the database in `file`, which a chat is about to use.
    pub fn lengthen_journal(&self, file: &Path) {
        if let Err(error) = sqlite::lengthen_journal(file) {
            tracing::debug!(%error, "the journal grows as it is written");
        }
    }

    /// A database that is gone with the process.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let store = PeerStore::of(sqlite::open(None, &SCHEMA)?);
        store.all.execute_batch(ADDED)?;
        Ok(store)
    }

    fn of(all: Connection) -> Self {
        PeerStore { all, own: None, tips: None, behind: Behind::default(), taken: BTreeMap::new() }
    }

    /// A database in memory that remembers in this one only the ends of `me`'s own logs, as a number and two hashes each: a
    /// number that is used again for another text is what a forger does.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory for it.
    pub fn passing(self, me: PeerId) -> Result<Self, StoreError> {
        let passing = PeerStore::in_memory()?;
        // Where our own log may be longer than we know, members are heard first in this run too.
        for room in rows_of(&self.all, "SELECT DISTINCT room FROM outbox", [], |row| Ok(RoomId(row.get(0)?)))? {
            outbox::keep(&passing.all, &room, &[])?;
        }
        Ok(PeerStore { own: Some(me), tips: Some(self.all), ..passing })
    }

    /// Keeps all of `changes`, in order, or none.
    ///
    /// # Errors
    /// [`StoreError`] when the disk or the database refuses; nothing was kept, then.
    pub fn apply<'c>(&mut self, changes: impl IntoIterator<Item = &'c Change>) -> Result<(), StoreError> {
        let transaction = self.all.transaction()?;
        let mut ends: BTreeMap<RoomId, &KeptEntry> = BTreeMap::new();
        let (mut new, mut taken, mut level) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            apply(&transaction, change, |NewRow { number, bytes }, row| {
                new.push((number, row.iter().map(|kept| index::short(&kept.id.0)).collect::<Vec<i64>>()));
                taken
                    .extend(row.first().map(|kept| {
                        ((kept.entry.room, kept.entry.author), retention::bytes_on_disk(bytes, row.len()))
                    }));
            })?;
            if let Change::PrivateHeard { room, from, letter, .. } = change {
                taken.push(((*room, *from), retention::letter_bytes_on_disk(letter)));
            }
            if let Change::OutboxEmpty { room } = change {
                level.push(*room);
            }
            if let Change::Entries { room, entries } = change {
                // What comes late is not the newest.
                let own = entries.iter().filter(|kept| Some(kept.entry.author) == self.own);
                if let Some(kept) = own
                    .max_by_key(|kept| kept.entry.seq)
                    .filter(|own| ends.get(room).is_none_or(|end| end.entry.seq < own.entry.seq))
                {
                    ends.insert(*room, kept);
                }
            }
        }
        match &mut self.tips {
            Some(on_disk) if !ends.is_empty() || !level.is_empty() => {
                let numbers = on_disk.transaction()?;
                ends.iter().try_for_each(|(room, kept)| rows::keep_tip(&numbers, room, kept))?;
                level.iter().try_for_each(|room| outbox::forget_mark(&numbers, room))?;
                numbers.commit()?;
            }
            _ => ends.iter().try_for_each(|(room, kept)| rows::keep_tip(&transaction, room, kept))?,
        }
        transaction.commit()?;
        new.into_iter().for_each(|(row, ids)| self.behind.note(row, ids.into_iter()));
        for (whose, bytes) in taken {
            *self.taken.entry(whose).or_default() += bytes;
        }
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
        let addresses = self.rows("SELECT * FROM address", [], rows::address)?.into_iter().flatten().collect();
        let (rooms, logs) = (self.rooms_that_are(false)?, self.logs()?);
        let (acquaintances, standing, privates) = (self.acquaintances()?, self.standing()?, self.conversations()?);
        let outbox = outbox::by_room(self.rows("SELECT * FROM outbox ORDER BY number", [], outbox::row)?);
        Ok(Kept { rooms, logs, past, rules, acquaintances, standing, privates, addresses, outbox, newborn: false })
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
                let newest =
                    "SELECT * FROM run WHERE author = ?1 AND forked = 0 AND first = (SELECT MAX(first) FROM run newest
                    WHERE newest.room = run.room AND newest.author = run.author AND newest.forked = 0)";
                for kept in rows_of(on_disk, newest, [me.0], kept_run)?.iter().filter_map(|run| run.entries.last()) {
                    ends.insert((kept.entry.room, kept.entry.author), Some(kept.clone()));
                }
                on_disk
            }
            _ => &self.all,
        };
        for tip in rows_of(disk, "SELECT * FROM tip", [], rows::tip)? {
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
            let end = end.filter(|end| newest.last().is_none_or(|last| last.entry.seq < end.entry.seq));
            let mut lost_end = None;
            if let Some(end) = end {
                if lost::has_taken_end(&self.all, &end)? {
                    lost_end = Some(end);
                } else {
                    // What it was is not to be here, so that nobody can be given it, nor what it follows.
                    (newest, audiences) = (vec![end], Vec::new());
                }
            }
            let mut log = AuthorLog::reopen(audiences, newest, forks);
            log.note_lost(lost::of(&self.all, &room, &author)?, lost_end);
            logs.push((room, author, log));
        }
        Ok(logs)
    }

    fn audiences(&self, room: &RoomId, author: &PeerId) -> Result<Vec<(u64, RosterHash)>, StoreError> {
        self.rows(
            &format!(
                "SELECT first, audience FROM (SELECT first, audience, LAG(audience) OVER (ORDER BY first) AS before FROM run
                 WHERE room = ? AND author = ? AND forked = 0 AND entries IS NOT NULL AND {WHOLE})
                 WHERE before IS NOT audience ORDER BY first DESC LIMIT {SPANS_MAX}"
            ),
            [room.0, author.0],
            |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), RosterHash(row.get(1)?))),
        )
    }

    fn newest(&self, room: &RoomId, author: &PeerId) -> Result<Vec<KeptEntry>, StoreError> {
        let query =
            format!("SELECT * FROM run WHERE room = ? AND author = ? AND forked = 0 AND {WHOLE} ORDER BY first DESC");
        let mut query = self.all.prepare_cached(&query)?;
        let mut found = query.query([room.0, author.0])?;
        let mut newest = Vec::new();
        while newest.len() < RECENT_ENTRIES_MAX
            && let Some(row) = found.next()?
        {
            newest.extend(kept_run(row)?.entries.into_iter().rev());
        }
        newest.truncate(RECENT_ENTRIES_MAX);
        newest.reverse();
        // The way to the rows is an index, which has no seals of its own.
        let in_order = newest.windows(2).all(|pair| pair[0].entry.seq < pair[1].entry.seq);
        let theirs = newest.iter().all(|kept| kept.entry.room == *room && kept.entry.author == *author);
        if in_order && theirs { Ok(newest) } else { Err(StoreError::Damaged { what: "an index" }) }
    }

    fn forks(&self, room: &RoomId, author: &PeerId) -> Result<Vec<KeptEntry>, StoreError> {
        let query = format!(
            "SELECT * FROM run WHERE room = ? AND author = ? AND forked = 1 AND entries IS NOT NULL
             ORDER BY first, id LIMIT {FORKED_ENTRIES_MAX}"
        );
        let runs = self.rows(&query, [room.0, author.0], kept_run)?;
        Ok(runs.into_iter().flat_map(|run| run.entries).collect())
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
        let mut found = Vec::new();
        for at in self.places_of(ids)? {
            let (number, within) = index::row_of(at);
            let run = self.rows("SELECT * FROM run WHERE number = ?", [number], kept_run)?.pop();
            let in_log = run
                .filter(|run| !run.forked)
                .and_then(|mut run| (within < run.entries.len()).then(|| run.entries.swap_remove(within)));
            found.extend(in_log.filter(|kept| kept.entry.room == *room && ids.contains(&kept.id)));
        }
        for (author, seq) in numbers {
            let holds = "SELECT * FROM run WHERE room = ? AND author = ? AND forked = 0 AND first <= ? ORDER BY first DESC LIMIT 1";
            let runs = self.rows(holds, params![room.0, author.0, as_stored(*seq)], kept_run)?;
            found.extend(runs.into_iter().flat_map(|run| run.entries).find(|kept| kept.entry.seq == *seq));
        }
        let known = |kept: KeptEntry| {
            let Entry { author, seq, audience, .. } = *kept.entry;
            (kept.id, Known { author, seq, audience, place: kept.place })
        };
        Ok(found.into_iter().map(known).collect())
    }

    /// Entries of one author in a row, from number `from` on, oldest first: as many as one run may have.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn fetch(&self, room: &RoomId, author: &PeerId, from: u64) -> Result<Vec<KeptEntry>, StoreError> {
        let query = "SELECT * FROM run WHERE room = ?1 AND author = ?2 AND forked = 0 AND last >= ?3 AND entries IS NOT NULL
             AND first >= IFNULL((SELECT MAX(first) FROM run WHERE room = ?1 AND author = ?2 AND forked = 0 AND first <= ?3), 0)
             ORDER BY first";
        let mut query = self.all.prepare_cached(query)?;
        let mut found = query.query(params![room.0, author.0, as_stored(from)])?;
        let mut fetched = Vec::new();
        while fetched.len() < RUN_ENTRIES_MAX
            && let Some(row) = found.next()?
        {
            let KeptRun { entries, .. } = kept_run(row)?;
            fetched.extend(entries.into_iter().filter(|kept| kept.entry.seq >= from));
        }
        fetched.truncate(RUN_ENTRIES_MAX);
        Ok(fetched)
    }

    fn connection(&self) -> &Connection {
        &self.all
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
const AUTHORS: &str = "SELECT room, author FROM run WHERE forked = 0
     UNION SELECT room, author FROM run WHERE forked = 1";

/// Leaves out, in a query of `run`, what stands behind a hole. No row reaches across one.
const WHOLE: &str = "last <= IFNULL(
    (SELECT after FROM hole WHERE hole.room = run.room AND hole.author = run.author), 9223372036854775807)";

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

/// Carries out a change, and hands each row of entries to `each`, with its number.
fn apply(to: &Connection, change: &Change, mut each: impl FnMut(NewRow, &[KeptEntry])) -> Result<(), StoreError> {
    match change {
        Change::Entered { genesis, base } => rows::keep_room(to, genesis, base),
        Change::Moved { room, epoch, step, note } => {
            rows::pass_consents(to, room, *epoch)?;
            rows::keep_step(to, room, *epoch, step, note)
        }
        Change::Consented { room, proposal, consent } => rows::keep_consent(to, room, proposal, consent),
        Change::HeadCounter { room, counter } => rows::keep_counter(to, room, *counter),
        Change::Entries { room, entries } => runs::keep_entries(to, room, entries, each),
        Change::Addresses { room, addresses } => rows::keep_addresses(to, room, addresses),
        Change::Rule { room, key, rule } => rows::keep_rule(to, room, key, *rule),
        Change::Forked { room, entry } => {
            let row = std::slice::from_ref(entry);
            each(runs::keep_run(to, room, row, true)?, row);
            Ok(())
        }
        Change::Past { rosters, .. } => rosters.iter().try_for_each(|roster| rows::keep_past(to, roster)),
        Change::Acquaintance { key, known, .. } => people::keep_acquaintance(to, key, known),
        Change::PrivateSaid { room, to: with, me, series, letter } => {
            people::keep_letter(to, &people::new_letter(*room, (*with, *me), true, *series, letter))
        }
        Change::PrivateHeard { room, from, me, series, letter } => {
            people::keep_letter(to, &people::new_letter(*room, (*from, *me), false, *series, letter))
        }
        Change::PrivateReceived { room, by, series, up_to } => people::keep_received(to, room, by, series, *up_to),
        Change::Outbox { room, texts } => outbox::keep(to, room, texts),
        Change::OutboxEmpty { room } => outbox::clear(to, room),
        Change::Gone { room } => rows::end_seat(to, room),
    }
}

#[cfg(test)]
mod tests;
