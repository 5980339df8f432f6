//! Forgetting: what is older, or more, than the user wants to keep goes, the oldest first, a little at a time.
//!
//! Of each author's log it is always the beginning that goes. The end stays: our own newest entry whole, another's at least as
//! its number and id, so that the log goes on where it was and nothing forgotten is asked for again.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::PeerStore;
use super::index;
use super::lost;
use super::people;
use super::rows;
use super::runs::{self, KeptRun, kept_run};
use crate::identity::PeerId;
use crate::limits::FORGOTTEN_AT_ONCE_MAX;
use crate::store::sqlite::StoreError;
use crate::wire::{Letter, RoomId, encoded_len};

/// Bytes that an entry takes on disk besides its part of its row: its place, its id, where its words stand. Measured: 6,001 short
/// texts make a file of 2.3 MB, of which 0.6 are their rows.
pub(super) const OVERHEAD_BYTES: i64 = 280;

/// The same for a private message, whose row and index hold two keys, a series, an id and a seal.
const LETTER_OVERHEAD_BYTES: i64 = 300;

/// How much of each room's history is kept; everything, unless something is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Days since this client got it.
    pub days: Option<u32>,
    /// Megabytes on disk.
    pub mb: Option<u32>,
}

/// What is still to be forgotten.
#[derive(Debug, Clone, Default)]
pub struct Forgetting {
    /// What this client got before this moment goes, in milliseconds since 1970.
    older_than_ms: i64,
    /// Rooms still to be looked at, and by how many bytes each is over.
    rooms: BTreeMap<RoomId, i64>,
}

impl PeerStore {
    /// Finds out what is to be forgotten at the moment `now_ms`.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read.
    pub fn begin_forgetting(&self, keep: &Keep, now_ms: u64) -> Result<Forgetting, StoreError> {
        let day_ms = 24 * 60 * 60 * 1000;
        let older_than_ms = keep.days.map_or(i64::MIN, |days| rows::as_stored(now_ms) - i64::from(days) * day_ms);
        let rooms = match (keep.days, keep.mb) {
            (None, None) => Vec::new(),
            (Some(_), None) => self.rows("SELECT DISTINCT room FROM run", [], |row| Ok((RoomId(row.get(0)?), 0)))?,
            (_, Some(mb)) => self.rows(
                "SELECT room, SUM(LENGTH(entries) + (last - first + 1) * ?) FROM run WHERE entries IS NOT NULL GROUP BY room",
                [OVERHEAD_BYTES],
                |row| Ok((RoomId(row.get(0)?), row.get::<_, i64>(1)? - i64::from(mb) * 1_000_000)),
            )?,
        };
        Ok(Forgetting { older_than_ms, rooms: rooms.into_iter().collect() })
    }

    /// Bytes of disk that a room takes, about, and an author in it.
    pub fn taken(&self, room: &RoomId, author: &PeerId) -> (u64, u64) {
        let of_room = self.taken.range((*room, PeerId([0; 32]))..=(*room, PeerId([0xff; 32])));
        (of_room.map(|(_, bytes)| bytes).sum(), self.taken.get(&(*room, *author)).copied().unwrap_or(0))
    }

    /// Finds out how much everybody takes.
    pub(super) fn weigh(&mut self) -> Result<(), StoreError> {
        let weighed = self.rows(
            "SELECT room, author, SUM(LENGTH(entries) + (last - first + 1) * ?) FROM run WHERE entries IS NOT NULL GROUP BY room, author",
            [OVERHEAD_BYTES],
            |row| Ok(((RoomId(row.get(0)?), PeerId(row.get(1)?)), row.get::<_, i64>(2)?.unsigned_abs())),
        )?;
        let letters = self.rows(
            "SELECT room, key, SUM(LENGTH(letter) + ?) FROM letter WHERE mine = 0 GROUP BY room, key",
            [LETTER_OVERHEAD_BYTES],
            |row| Ok(((RoomId(row.get(0)?), PeerId(row.get(1)?)), row.get::<_, i64>(2)?.unsigned_abs())),
        )?;
        self.taken = weighed.into_iter().collect();
        for (whose, bytes) in letters {
            *self.taken.entry(whose).or_default() += bytes;
        }
        Ok(())
    }

    /// Forgets a little of it, in one transaction; whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses or a row is damaged; nothing was forgotten, then.
    pub fn forget_some(&mut self, forgetting: &mut Forgetting, me: &PeerId) -> Result<bool, StoreError> {
        let Some((room, over)) = forgetting.rooms.first_key_value() else { return Ok(false) };
        let (room, mut over) = (*room, *over);
        let letters_forgotten = people::forget_letters(&self.all, forgetting.older_than_ms)?;
        // What is taken out of the indexes has to be in them.
        self.index_all()?;
        let transaction = self.all.transaction()?;
        let mut forgotten = 0;
        let mut done = true;
        let mut gone = BTreeSet::new();
        for (mut run, newest) in oldest_of(&transaction, &room, me)? {
            if gone.contains(&run.number) {
                continue;
            }
            if run.kept_ms >= forgetting.older_than_ms && over <= 0 {
                done = true;
                break;
            }
            // What came late into a log stands in a later row than what follows it. Were it left, what goes now would be a hole, and asked for.
            let late = before(&transaction, &room, &run)?;
            let more_late = late.len() >= FORGOTTEN_AT_ONCE_MAX;
            for earlier in late {
                forgotten += earlier.entries.len();
                over -= size_of(&earlier);
                delete(&transaction, &room, &earlier)?;
                gone.insert(earlier.number);
            }
            if more_late {
                done = false;
                break;
            }
            forgotten += run.entries.len();
            done = forgotten < FORGOTTEN_AT_ONCE_MAX;
            over -= size_of(&run);
            if newest {
                index::forget_run(&transaction, &run)?;
                lost::pass(&transaction, &room, &run)?;
                let ours = run.entries.last().is_some_and(|kept| kept.entry.author == *me);
                runs::keep_only_last(&transaction, &mut run, ours)?;
                index::index_run(&transaction, &run)?;
            } else {
                delete(&transaction, &room, &run)?;
            }
        }
        forget_passed(&transaction, &room)?;
        transaction.commit()?;
        if done {
            forgetting.rooms.remove(&room);
        } else {
            forgetting.rooms.insert(room, over);
        }
        let more = !forgetting.rooms.is_empty();
        if forgotten > 0 || letters_forgotten {
            self.weigh()?;
        }
        if forgotten > 0 && !more {
            give_back(&self.all)?;
        }
        Ok(more)
    }
}

/// Bytes that a row takes on disk, about.
pub(super) fn bytes_on_disk(bytes: usize, entries: usize) -> u64 {
    (bytes as u64).saturating_add((entries as u64).saturating_mul(OVERHEAD_BYTES.unsigned_abs()))
}

/// Bytes that a private message takes on disk, about.
pub(super) fn letter_bytes_on_disk(letter: &Letter) -> u64 {
    (encoded_len(letter) as u64).saturating_add(LETTER_OVERHEAD_BYTES.unsigned_abs())
}

fn size_of(run: &KeptRun) -> i64 {
    rows::as_stored(bytes_on_disk(run.bytes, run.entries.len()))
}

/// The oldest rows of a room that may go, as many as are forgotten at once; and whether each is the end of a log.
fn oldest_of(from: &Connection, room: &RoomId, me: &PeerId) -> Result<Vec<(KeptRun, bool)>, StoreError> {
    let query = format!(
        "SELECT *, forked = 0 AND last = {NEWEST} AS newest FROM run
         WHERE room = ?1 AND entries IS NOT NULL AND NOT (author = ?2 AND forked = 0 AND first = last AND last = {NEWEST})
         ORDER BY number"
    );
    let mut query = from.prepare_cached(&query)?;
    let mut found = query.query(params![room.0, me.0])?;
    let mut oldest: Vec<(KeptRun, bool)> = Vec::new();
    let mut entries = 0;
    while entries < FORGOTTEN_AT_ONCE_MAX
        && let Some(row) = found.next()?
    {
        let run = kept_run(row)?;
        entries += run.entries.len();
        oldest.push((run, row.get("newest")?));
    }
    Ok(oldest)
}

/// The first rows of what is before a row in its author's log, as many as are forgotten at once.
fn before(from: &Connection, room: &RoomId, run: &KeptRun) -> Result<Vec<KeptRun>, StoreError> {
    let Some(first) = run.entries.first().filter(|_| !run.forked) else { return Ok(Vec::new()) };
    let query = format!(
        "SELECT * FROM run WHERE room = ? AND author = ? AND forked = 0 AND first < ? AND entries IS NOT NULL
         ORDER BY first LIMIT {FORGOTTEN_AT_ONCE_MAX}"
    );
    super::rows_of(from, &query, params![room.0, first.entry.author.0, rows::as_stored(first.entry.seq)], kept_run)
}

/// A row goes, and what the indexes say of it.
fn delete(from: &Connection, room: &RoomId, run: &KeptRun) -> Result<(), StoreError> {
    index::forget_run(from, run)?;
    lost::pass(from, room, run)?;
    from.prepare_cached("DELETE FROM run WHERE number = ?")?.execute([run.number])?;
    Ok(())
}

/// A place that is no longer the end of its log goes too.
fn forget_passed(to: &Connection, room: &RoomId) -> Result<(), StoreError> {
    let passed = format!("FROM run WHERE room = ? AND entries IS NULL AND last < {NEWEST}");
    let mut places = to.prepare_cached("DELETE FROM place WHERE at = ?")?;
    for number in super::rows_of(to, &format!("SELECT number {passed}"), [room.0], |row| Ok(row.get(0)?))? {
        places.execute([index::at(number)])?;
    }
    to.execute(&format!("DELETE {passed}"), [room.0])?;
    // Of a log that ended before a hole nothing may be left in front of it: what is behind it goes on.
    let nothing_before = "DELETE FROM hole WHERE room = ?1 AND NOT EXISTS
         (SELECT 1 FROM run WHERE run.room = ?1 AND run.author = hole.author AND run.forked = 0 AND run.last <= hole.after)";
    to.execute(nothing_before, [room.0])?;
    Ok(())
}

/// The number of the author's newest entry, in a query of `run`.
const NEWEST: &str = "(SELECT newest.last FROM run newest
     WHERE newest.room = run.room AND newest.author = run.author AND newest.forked = 0 ORDER BY newest.first DESC LIMIT 1)";

/// Gives the freed pages back to the disk, and lets nothing of what was in them stand in the journal. A reader beside us may
/// keep both from happening; then it happens the next time.
fn give_back(connection: &Connection) -> Result<(), StoreError> {
    // Each step gives back one page.
    let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{found, say};
    use super::*;
    use crate::core::consent::testing::room_of;
    use crate::core::io::Change;
    use crate::core::log::{KeptEntry, Next};
    use crate::identity::{Identity, Signer as _};
    use crate::wire::Roster;

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

    /// A history on disk of two people, in which `old` entries of each are 40 days old and one of the first is not.
    fn history(file: &std::path::Path, old: usize) -> (PeerStore, Roster, Vec<Identity>) {
        let (people, genesis, base) = room_of(2);
        let mut store = PeerStore::open(file).unwrap();
        store.apply([&Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
        let texts: Vec<String> = (1..=old).map(|n| format!("xylophone {n}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        say(&mut store, &base, &people[0], 1, &texts);
        say(&mut store, &base, &people[1], 1, &texts);
        store.all.execute("UPDATE run SET kept_ms = kept_ms - 40 * 24 * 60 * 60 * 1000", []).unwrap();
        say(&mut store, &base, &people[0], 1000, &["of today"]);
        (store, base, people)
    }

    fn forget(store: &mut PeerStore, keep: Keep, me: &PeerId) -> usize {
        let now_ms: i64 =
            store.all.query_row("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)", [], |row| row.get(0)).unwrap();
        let mut forgetting = store.begin_forgetting(&keep, now_ms.unsigned_abs()).unwrap();
        let mut turns = 1;
        while store.forget_some(&mut forgetting, me).unwrap() {
            turns += 1;
        }
        turns
    }

    fn entries(store: &PeerStore) -> i64 {
        store
            .all
            .query_row("SELECT IFNULL(SUM(last - first + 1), 0) FROM run WHERE entries IS NOT NULL", [], |row| {
                row.get(0)
            })
            .unwrap()
    }

    #[test]
    fn what_came_late_into_a_log_goes_with_what_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, base, people) = history(&dir.path().join("history.db"), 1);
        let mut elsewhere = PeerStore::in_memory().unwrap();
        let all = say(&mut elsewhere, &base, &people[0], 1, &["a", "b", "c", "d", "e"]);
        let keep = |store: &mut PeerStore, which: &[KeptEntry]| {
            store.apply(&[Change::Entries { room: base.room, entries: which.to_vec() }]).unwrap();
        };
        store.all.execute("DELETE FROM run", []).unwrap();
        keep(&mut store, &all[..1]);
        keep(&mut store, &all[2..3]);
        keep(&mut store, &all[3..4]);
        store.all.execute("UPDATE run SET kept_ms = 0", []).unwrap();
        keep(&mut store, &all[1..2]);
        keep(&mut store, &all[4..]);
        forget(&mut store, Keep { days: Some(30), mb: None }, &people[1].id());
        let left = store.fetch(&base.room, &people[0].id(), 1).unwrap();
        assert_eq!(
            left.iter().map(|kept| kept.entry.seq).collect::<Vec<_>>(),
            [5],
            "no hole is left that would be asked about"
        );
    }

    #[test]
    fn what_is_old_goes_and_every_log_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history.db");
        let old = FORGOTTEN_AT_ONCE_MAX + 3;
        let (mut store, base, people) = history(&file, old);
        let heads = |store: &PeerStore| -> Vec<_> {
            store
                .load()
                .unwrap()
                .logs
                .iter()
                .map(|(_, author, log)| (*author, log.head_seq(), log.head().unwrap().id))
                .collect()
        };
        let before = heads(&store);
        assert_eq!(forget(&mut store, Keep { days: Some(41), mb: None }, &people[1].id()), 1);
        assert_eq!(entries(&store), 2 * old as i64 + 1);

        let turns = forget(&mut store, Keep { days: Some(30), mb: None }, &people[1].id());
        assert!(turns > 2, "in small transactions, not {turns}");
        assert_eq!(heads(&store), before);
        // Ours: the newest entry whole. The other's: the one that is young.
        assert_eq!(found(&mut store, &base.room, "xylophone"), [format!("xylophone {old}")]);
        assert_eq!(found(&mut store, &base.room, "today"), ["of today"]);
        let kept = store.load().unwrap();
        for (_, _, log) in &kept.logs {
            let chain = crate::core::consent::chain::Chain::found(room_of(1).1);
            assert_eq!(log.next_for(&people[0].id(), 0, &chain), Next::Nothing);
        }

        // When the other's newest is old too, only its number and id are left, and it goes when the log goes on.
        store.all.execute("UPDATE run SET kept_ms = 0", []).unwrap();
        forget(&mut store, Keep { days: Some(30), mb: None }, &people[1].id());
        assert_eq!((entries(&store), heads(&store)), (1, before));
        let next = say(&mut store, &base, &people[0], 2000, &["and on"]);
        assert_eq!(next[0].entry.seq, old as u64 + 2);
        forget(&mut store, Keep { days: Some(30), mb: None }, &people[1].id());
        let rows: i64 = store.all.query_row("SELECT COUNT(*) FROM run", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 2);
    }

    #[test]
    fn what_is_too_much_goes_and_so_does_its_place_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history.db");
        let (mut store, base, people) = history(&file, 3000);
        store.index_all().unwrap();
        store.all.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let before = std::fs::metadata(&file).unwrap().len();
        forget(&mut store, Keep { days: None, mb: Some(1) }, &people[1].id());
        let left = entries(&store);
        let after = std::fs::metadata(&file).unwrap().len();
        assert!((1000..3000).contains(&left), "{left}");
        assert!(
            after < before * left.unsigned_abs() / 6000 * 14 / 10 + 128 * 1024,
            "{before} bytes became {after} for {left} entries"
        );
        assert_eq!(found(&mut store, &base.room, "today"), ["of today"], "the newest stay");
    }

    #[test]
    fn no_word_of_what_was_forgotten_is_left_in_any_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history.db");
        let (mut store, _, people) = history(&file, 40);
        let traces = || {
            let files =
                std::fs::read_dir(dir.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
            files.filter(|bytes| bytes.windows(9).any(|part| part == b"xylophone")).count()
        };
        assert!(traces() > 0);
        forget(&mut store, Keep { days: Some(30), mb: None }, &people[0].id());
        assert_eq!(traces(), 0);
        assert_eq!(
            store.begin_forgetting(&Keep::default(), 90 * DAY_MS).unwrap().rooms.len(),
            0,
            "everything is kept by default"
        );
    }
}
