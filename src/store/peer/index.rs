//! Where each entry and each word stands: what searches, the transcript's order and look-ups by id go by.
//!
//! Keeping an entry costs its run's row and nothing else; the indexes follow, a part at a time when there is nothing else to do, and
//! all that is left right before something is read by them. They say nothing that the rows don't say: what they lead to is
//! compared with what they said, and a crash loses nothing, since what is behind them is indexed when the file is opened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rusqlite::{Connection, params};

use super::runs::{KeptRun, kept_run};
use super::{PeerStore, marked, rows_of};
use crate::core::log::KeptEntry;
use crate::limits::{INDEXED_AT_ONCE_MAX, RUN_ENTRIES_MAX};
use crate::store::sqlite::StoreError;
use crate::wire::EntryId;

/// Where the first entry of a row stands; the others follow. No row has more than [`RUN_ENTRIES_MAX`].
pub(super) const fn at(number: i64) -> i64 {
    number.saturating_mul(RUN_ENTRIES_MAX as i64)
}

/// The row of what stands there, and which of its entries it is.
pub(super) fn row_of(at: i64) -> (i64, usize) {
    let within = at.rem_euclid(RUN_ENTRIES_MAX as i64);
    (at.div_euclid(RUN_ENTRIES_MAX as i64), usize::try_from(within).unwrap_or_default())
}

/// The beginning of an id, as the indexes have it, in the order of whole ids: a quarter of the bytes, and as good for finding,
/// since what is found is compared with the whole. Whoever makes two entries with one beginning (four billion tries) gets them
/// shown, if both have one depth, in the order in which they came.
pub(super) fn short(id: &[u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *id;
    i64::from_be_bytes([a ^ 0x80, b, c, d, e, f, g, h])
}

/// Entries that the indexes don't have yet: the beginning of each id, and where it stands, in that order. Nothing is cheaper to
/// keep, and look-ups go through all of it.
#[derive(Debug, Default)]
pub(super) struct Behind(VecDeque<(i64, i64)>);

impl Behind {
    /// Notes what was just kept in a row.
    pub(super) fn note(&mut self, row: i64, ids: impl Iterator<Item = i64>) {
        self.0.extend(ids.zip(at(row)..));
    }

    /// All up to there is indexed.
    fn indexed_to(&mut self, last: i64) {
        let done = self.0.partition_point(|(_, at)| *at <= last);
        self.0.drain(..done);
    }

    /// Adds to `places` where any of these stand.
    fn find(&self, places: &mut BTreeMap<i64, Vec<i64>>) {
        // Nearly all are others, as their last bits tell: there may be a hundred thousand to go through.
        let bit = |short: i64| 1_u64 << (short & 63);
        let sought = places.keys().fold(0, |bits, short| bits | bit(*short));
        for (short, at) in self.0.iter().filter(|(short, _)| sought & bit(*short) != 0) {
            if let Some(found) = places.get_mut(short) {
                found.push(*at);
            }
        }
    }
}

impl PeerStore {
    /// How many entries the indexes don't have yet.
    pub fn unindexed(&self) -> usize {
        self.behind.0.len()
    }

    /// Brings a little more into the indexes; whether there is more.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses or a row is damaged; nothing was indexed, then.
    pub fn index_some(&mut self) -> Result<bool, StoreError> {
        // Should the lights go out now, the rows are there to be indexed again: no flush is worth waiting for.
        self.all.pragma_update(None, "synchronous", "NORMAL")?;
        let indexed = index_next(&mut self.all);
        self.all.pragma_update(None, "synchronous", "FULL")?;
        let (last, more) = indexed?;
        if more {
            self.behind.indexed_to(last);
        } else {
            self.behind = Behind::default();
        }
        Ok(more)
    }

    /// Brings all that is left into the indexes.
    ///
    /// # Errors
    /// [`StoreError`] as above.
    pub(super) fn index_all(&mut self) -> Result<(), StoreError> {
        while self.index_some()? {}
        Ok(())
    }

    /// Where entries of these ids may stand.
    pub(super) fn places_of(&self, ids: &[EntryId]) -> Result<Vec<i64>, StoreError> {
        let mut places: BTreeMap<i64, Vec<i64>> = ids.iter().map(|id| (short(&id.0), Vec::new())).collect();
        if !places.is_empty() {
            self.behind.find(&mut places);
        }
        for (short, found) in &mut places {
            found.extend(
                self.rows("SELECT at FROM place WHERE id = ?", [*short], |row| {
                    row.get::<_, i64>(0).map_err(Into::into)
                })?,
            );
        }
        Ok(places.into_values().flatten().collect())
    }

    /// Rows that the indexes don't have yet: of a file that is only read, beside a chat that will index them.
    pub(super) fn behind_the_indexes(&self) -> Result<Vec<KeptRun>, StoreError> {
        rows_of(&self.all, BEHIND, [newest_indexed(&self.all)?, i64::MAX], kept_run)
    }
}

/// Rows after one, in the order in which they were kept.
const BEHIND: &str = "SELECT * FROM run WHERE number > ? ORDER BY number LIMIT ?";

/// The number of the last row that is indexed. Each leaves something there, so that the indexes themselves tell.
fn newest_indexed(from: &Connection) -> Result<i64, StoreError> {
    let newest = from.prepare_cached("SELECT MAX(at) FROM place")?.query_row([], |row| row.get::<_, Option<i64>>(0))?;
    Ok(newest.map_or(0, |at| row_of(at).0))
}

/// Whether the indexes lead behind the last row that ever was.
pub(super) fn check_newest(from: &Connection) -> Result<(), StoreError> {
    let kept: Option<i64> = from.query_row("SELECT MAX(number) FROM run", [], |row| row.get(0))?;
    let counted: Option<i64> =
        from.query_row("SELECT MAX(seq) FROM sqlite_sequence WHERE name = 'run'", [], |row| row.get(0))?;
    if newest_indexed(from)? > kept.max(counted).unwrap_or(0) {
        return Err(StoreError::Damaged { what: "an index" });
    }
    Ok(())
}

/// Indexes some rows: up to where, and whether there are more.
fn index_next(to: &mut Connection) -> Result<(i64, bool), StoreError> {
    let transaction = to.transaction()?;
    let mut after = newest_indexed(&transaction)?;
    let (mut indexed, mut marked) = (0, BTreeSet::new());
    while indexed < INDEXED_AT_ONCE_MAX {
        let next = rows_of(&transaction, BEHIND, [after, (INDEXED_AT_ONCE_MAX / RUN_ENTRIES_MAX) as i64], kept_run)?;
        let Some(last) = next.last() else { break };
        after = last.number;
        for run in &next {
            index_run(&transaction, run)?;
            indexed += run.entries.len();
            marked.extend(
                run.entries.iter().filter_map(|kept| Some((kept.entry.room, kept.entry.body.content()?.about()?))),
            );
        }
    }
    marked.iter().try_for_each(|(room, about)| marked::pass_over(&transaction, room, about))?;
    transaction.commit()?;
    Ok((at(after.saturating_add(1)) - 1, indexed >= INDEXED_AT_ONCE_MAX))
}

/// Brings a row into the indexes.
pub(super) fn index_run(to: &Connection, run: &KeptRun) -> Result<(), StoreError> {
    let mut place =
        to.prepare_cached("INSERT OR IGNORE INTO place (at, room, epoch, depth, id) VALUES (?, ?, ?, ?, ?)")?;
    for (kept, at) in run.entries.iter().zip(at(run.number)..) {
        let KeptEntry { entry, id, place: stands, .. } = kept;
        let (epoch, depth) = (super::as_stored(stands.epoch), super::as_stored(stands.depth));
        if place.execute(params![at, short(&entry.room.0), epoch, depth, short(&id.0)])? == 0 {
            return Err(StoreError::Damaged { what: "an index" });
        }
        keep_words(to, at, kept)?;
        marked::keep_mark(to, at, kept)?;
    }
    Ok(())
}

/// Keeps where the words of a text stand.
pub(super) fn keep_words(to: &Connection, at: i64, kept: &KeptEntry) -> Result<(), StoreError> {
    if let Some(text) = marked::words_of(kept) {
        to.prepare_cached("INSERT INTO words (rowid, text) VALUES (?, ?)")?.execute(params![at, text])?;
    }
    Ok(())
}

/// Takes a row out of the indexes, in which it is.
pub(super) fn forget_run(to: &Connection, run: &KeptRun) -> Result<(), StoreError> {
    let mut words = to.prepare_cached("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)")?;
    let mut place = to.prepare_cached("DELETE FROM place WHERE at = ?")?;
    let mut mark = to.prepare_cached("DELETE FROM mark WHERE at = ?")?;
    for (kept, at) in run.entries.iter().zip(at(run.number)..) {
        mark.execute([at])?;
        if let Some(text) = marked::words_of(kept) {
            words.execute(params![at, text])?;
        }
        place.execute([at])?;
    }
    Ok(())
}
