//! Texts that wait until the own log of a room has come back from the members, and the fact that it has not.

use rusqlite::{Connection, Row, params};

use super::rows::{check, seal};
use crate::store::sqlite::{StoreError, read};
use crate::wire::{Body, RoomId, decode, encode};

/// Keeps texts behind all that wait already; with none, only that the own log is not whole.
pub(super) fn keep(to: &Connection, room: &RoomId, texts: &[Body]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT INTO outbox (room, body, seal) VALUES (?, ?, ?)")?;
    let bodies: Vec<Vec<u8>> = if texts.is_empty() { vec![Vec::new()] } else { texts.iter().map(encode).collect() };
    for body in bodies {
        insert.execute(params![room.0, body, seal(&[&room.0, &body])])?;
    }
    Ok(())
}

/// Nothing waits any more.
pub(super) fn clear(to: &Connection, room: &RoomId) -> Result<(), StoreError> {
    to.execute("DELETE FROM outbox WHERE room = ?", [&room.0])?;
    Ok(())
}

/// The own log is whole; texts wait for another run.
pub(super) fn forget_mark(to: &Connection, room: &RoomId) -> Result<(), StoreError> {
    to.execute("DELETE FROM outbox WHERE room = ? AND LENGTH(body) = 0", [&room.0])?;
    Ok(())
}

/// A row of `outbox`.
pub(super) fn row(row: &Row<'_>) -> Result<(RoomId, Option<Body>), StoreError> {
    let (room, body): ([u8; 32], Vec<u8>) = (row.get("room")?, row.get("body")?);
    check(row, "seal", &[&room, &body], "a text that waits")?;
    let text = if body.is_empty() { None } else { Some(read(decode(&body), "a text that waits")?) };
    Ok((RoomId(room), text))
}

/// Rows in their order, brought together by room.
pub(super) fn by_room(rows: Vec<(RoomId, Option<Body>)>) -> Vec<(RoomId, Vec<Body>)> {
    let mut rooms: std::collections::BTreeMap<RoomId, Vec<Body>> = std::collections::BTreeMap::new();
    for (room, text) in rows {
        rooms.entry(room).or_default().extend(text);
    }
    rooms.into_iter().collect()
}
