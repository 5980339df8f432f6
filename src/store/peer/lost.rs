//! What damage took out of the logs, as far as it is not known to have come back: members are asked for it, which they are not for what
//! was removed because it was old.

use rusqlite::{Connection, params};

use super::rows::as_stored;
use super::runs::{KeptRun, kept_run};
use super::{WHOLE, rows_of};
use crate::core::log::{KeptEntry, Lost};
use crate::identity::PeerId;
use crate::limits::HOLES_PER_AUTHOR_MAX;
use crate::store::sqlite::StoreError;
use crate::wire::RoomId;

/// Damage may have taken anything that is missing in an author's log.
pub(super) fn keep(to: &Connection, room: &RoomId, author: &PeerId) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO lost (room, author, after) VALUES (?, ?, 0)")?;
    insert.execute([room.0, author.0])?;
    Ok(())
}

/// A row of a log goes because it is old, and so would what damage took from before it.
pub(super) fn pass(to: &Connection, room: &RoomId, run: &KeptRun) -> Result<(), StoreError> {
    let Some(KeptEntry { entry, .. }) = run.entries.last().filter(|_| !run.forked) else { return Ok(()) };
    to.prepare_cached("UPDATE lost SET after = MAX(after, ?) WHERE room = ? AND author = ?")?.execute(params![
        as_stored(entry.seq),
        room.0,
        entry.author.0
    ])?;
    Ok(())
}

/// Whether damage may have taken something of an author's log.
pub(super) fn may_be(from: &Connection, room: &RoomId, author: &PeerId) -> Result<bool, StoreError> {
    let mut query = from.prepare_cached("SELECT 1 FROM lost WHERE room = ? AND author = ?")?;
    Ok(query.exists([room.0, author.0])?)
}

/// Logs that are whole again are not looked through at every start.
pub(super) fn forget_found(from: &Connection) -> Result<(), StoreError> {
    let logs =
        rows_of(from, "SELECT room, author FROM lost", [], |row| Ok((RoomId(row.get(0)?), PeerId(row.get(1)?))))?;
    for (room, author) in logs {
        let longer = "SELECT 1 FROM tip WHERE room = ?1 AND author = ?2
             AND seq > IFNULL((SELECT MAX(last) FROM run WHERE room = ?1 AND author = ?2 AND forked = 0), 0)";
        if of(from, &room, &author)?.is_empty() && !from.prepare_cached(longer)?.exists([room.0, author.0])? {
            from.execute("DELETE FROM lost WHERE room = ? AND author = ?", [room.0, author.0])?;
        }
    }
    Ok(())
}

/// What is missing in an author's log and was not removed, the newest of it first.
pub(super) fn of(from: &Connection, room: &RoomId, author: &PeerId) -> Result<Vec<Lost>, StoreError> {
    let mut query = from.prepare_cached(&format!(
        "SELECT run.*, jump.before FROM lost
         JOIN (SELECT number, first, LAG(last, 1, 0) OVER (ORDER BY first) AS before FROM run
               WHERE room = ?1 AND author = ?2 AND forked = 0 AND {WHOLE}) AS jump
         JOIN run ON run.number = jump.number
         WHERE lost.room = ?1 AND lost.author = ?2 AND jump.first > jump.before + 1 AND jump.before >= lost.after
               AND run.entries IS NOT NULL
         ORDER BY jump.first DESC LIMIT {HOLES_PER_AUTHOR_MAX}"
    ))?;
    let mut found = query.query([room.0, author.0])?;
    let mut lost = Vec::new();
    while let Some(row) = found.next()? {
        let before = row.get::<_, i64>("before")?.unsigned_abs();
        if let Some(first) = kept_run(row)?.entries.first() {
            lost.push(Lost { first: before.saturating_add(1), behind: first.entry.clone() });
        }
    }
    Ok(lost)
}
