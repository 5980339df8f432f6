//! What damage took out of the logs, as far as it has not come back: members are asked for it, which they are not for what was for others,
//! or was removed because it was old.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::as_stored;
use super::runs::{KeptRun, kept_run};
use super::{WHOLE, rows_of};
use crate::core::log::{KeptEntry, Lost};
use crate::identity::PeerId;
use crate::limits::HOLES_PER_AUTHOR_MAX;
use crate::store::sqlite::StoreError;
use crate::wire::RoomId;

/// Damage may have taken these numbers of an author's log, both included.
pub(super) fn keep(
    to: &Connection,
    room: &RoomId,
    author: &PeerId,
    (first, last): (u64, u64),
) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached(
        "INSERT INTO lost (room, author, last, first) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET first = MIN(first, excluded.first)",
    )?;
    insert.execute(params![room.0, author.0, as_stored(last), as_stored(first)])?;
    Ok(())
}

/// All of an author's log up to this number was removed because it is old.
pub(super) fn keep_passed(to: &Connection, room: &RoomId, author: &PeerId, last: u64) -> Result<(), StoreError> {
    to.prepare_cached(
        "INSERT INTO passed (room, author, last) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET last = MAX(last, excluded.last)",
    )?
    .execute(params![room.0, author.0, as_stored(last)])?;
    Ok(())
}

/// A row of a log goes because it is old, and so would what damage took from before it.
pub(super) fn pass(to: &Connection, room: &RoomId, run: &KeptRun) -> Result<(), StoreError> {
    let Some(KeptEntry { entry, .. }) = run.entries.last().filter(|_| !run.forked) else { return Ok(()) };
    keep_passed(to, room, &entry.author, entry.seq)?;
    let values = params![room.0, entry.author.0, as_stored(entry.seq)];
    to.prepare_cached("DELETE FROM lost WHERE room = ? AND author = ? AND last <= ?")?.execute(values)?;
    to.prepare_cached("UPDATE lost SET first = MAX(first, ?3 + 1) WHERE room = ?1 AND author = ?2")?.execute(values)?;
    Ok(())
}

/// Whether damage took this number from the end of an author's log: what is known of it now is its place.
pub(super) fn has_taken_end(from: &Connection, end: &KeptEntry) -> Result<bool, StoreError> {
    let mut query = from.prepare_cached("SELECT 1 FROM lost WHERE room = ? AND author = ? AND last >= ?")?;
    Ok(query.exists(params![end.entry.room.0, end.entry.author.0, as_stored(end.entry.seq)])?)
}

/// What has come back is not looked for at every start.
pub(super) fn forget_found(from: &Connection) -> Result<(), StoreError> {
    let logs = rows_of(from, "SELECT DISTINCT room, author FROM lost", [], |row| {
        Ok((RoomId(row.get(0)?), PeerId(row.get(1)?)))
    })?;
    for (room, author) in logs {
        let newest = "SELECT last FROM run WHERE room = ? AND author = ? AND forked = 0 ORDER BY first DESC LIMIT 1";
        let newest = from.prepare_cached(newest)?.query_row([room.0, author.0], |row| row.get::<_, i64>(0));
        let newest = newest.optional()?.unwrap_or(0);
        for (first, last) in ranges(from, &room, &author)? {
            if as_stored(last) <= newest && holes(from, &room, &author, (first, last))?.is_empty() {
                let values = params![room.0, author.0, as_stored(last)];
                from.execute("DELETE FROM lost WHERE room = ? AND author = ? AND last = ?", values)?;
            }
        }
    }
    Ok(())
}

/// What is missing in an author's log because of damage, the newest first.
pub(super) fn of(from: &Connection, room: &RoomId, author: &PeerId) -> Result<Vec<Lost>, StoreError> {
    let mut lost = Vec::new();
    for range in ranges(from, room, author)? {
        lost.extend(holes(from, room, author, range)?.into_iter().rev());
    }
    lost.truncate(HOLES_PER_AUTHOR_MAX);
    Ok(lost)
}

/// First and last numbers of what damage may have taken, the newest first.
fn ranges(from: &Connection, room: &RoomId, author: &PeerId) -> Result<Vec<(u64, u64)>, StoreError> {
    let query = "SELECT first, last FROM lost WHERE room = ? AND author = ? ORDER BY last DESC";
    rows_of(from, query, [room.0, author.0], |row| {
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
    })
}

/// What of these numbers is not here, the oldest first.
fn holes(
    from: &Connection,
    room: &RoomId,
    author: &PeerId,
    (first, last): (u64, u64),
) -> Result<Vec<Lost>, StoreError> {
    // From the row on in which the first number is, or would be, to the one in which what comes after the last is.
    let mut query = from.prepare_cached(&format!(
        "SELECT * FROM run WHERE room = ?1 AND author = ?2 AND forked = 0 AND {WHOLE} AND first <= ?4 + 1
             AND first >= IFNULL((SELECT MAX(first) FROM run WHERE room = ?1 AND author = ?2 AND forked = 0 AND first <= ?3), 0)
         ORDER BY first"
    ))?;
    let mut found = query.query(params![room.0, author.0, as_stored(first), as_stored(last)])?;
    let (mut next, mut lost) = (first, Vec::new());
    while let Some(row) = found.next()? {
        let (begins, ends) = (row.get::<_, i64>("first")?.unsigned_abs(), row.get::<_, i64>("last")?.unsigned_abs());
        if begins > next
            && let Some(behind) = kept_run(row)?.entries.first().filter(|kept| kept.entry.seq == begins)
        {
            lost.push(Lost { first: next, behind: behind.entry.clone() });
        }
        next = next.max(ends.saturating_add(1));
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::super::PeerStore;
    use super::super::tests::say;
    use super::*;
    use crate::core::consent::testing::room_of;
    use crate::core::io::Change;
    use crate::identity::Signer as _;

    #[test]
    fn what_has_come_back_or_was_removed_is_not_looked_for() {
        let (people, genesis, base) = room_of(2);
        let author = people[1].id();
        let mut elsewhere = PeerStore::in_memory().unwrap();
        let texts: Vec<String> = (1..=9).map(|n| n.to_string()).collect();
        let all = say(&mut elsewhere, &base, &people[1], 1, &texts.iter().map(String::as_str).collect::<Vec<_>>());
        let mut store = PeerStore::in_memory().unwrap();
        store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
        let put = |store: &mut PeerStore, which: &[KeptEntry]| {
            store.apply(&[Change::Entries { room: base.room, entries: which.to_vec() }]).unwrap();
        };
        put(&mut store, &all[3..5]);
        put(&mut store, &all[7..]);
        for range in [(1, 3), (6, 7)] {
            keep(&store.all, &base.room, &author, range).unwrap();
        }
        let missing = |store: &PeerStore| -> Vec<(u64, u64)> {
            let lost = of(&store.all, &base.room, &author).unwrap();
            lost.into_iter().map(|lost| (lost.first, lost.behind.seq)).collect()
        };
        assert_eq!(missing(&store), [(6, 8), (1, 4)], "the newest first");
        put(&mut store, &all[..2]);
        assert_eq!(missing(&store), [(6, 8), (3, 4)]);
        let beginning = rows_of(&store.all, "SELECT * FROM run WHERE last = 2", [], kept_run).unwrap().remove(0);
        pass(&store.all, &base.room, &beginning).unwrap();
        assert_eq!(ranges(&store.all, &base.room, &author).unwrap(), [(6, 7), (3, 3)]);
        put(&mut store, &all[5..7]);
        forget_found(&store.all).unwrap();
        assert_eq!((missing(&store), ranges(&store.all, &base.room, &author).unwrap()), (vec![(3, 4)], vec![(3, 3)]));
        let next = rows_of(&store.all, "SELECT * FROM run WHERE first = 4", [], kept_run).unwrap().remove(0);
        pass(&store.all, &base.room, &next).unwrap();
        assert_eq!(missing(&store), []);
        let passed: i64 = store.all.query_row("SELECT last FROM passed", [], |row| row.get(0)).unwrap();
        assert_eq!(passed, 5, "a later damage does not bring it back");
    }
}
