//! Entries as they are kept: a row is a run of one author, so that what came together costs one row and not one each.
//!
//! Of a run each entry names the one before it, and all have one author and one audience: these stand once in the row, the rest of
//! each entry in its blob. Ids are computed when it is read: the last one's is in the row, and vouches for all before it.

use std::slice;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::rows::{as_stored, is_only_place, number, only_place, seal};
use crate::core::log::{KeptEntry, Place};
use crate::identity::{PeerId, Signature, encode_into};
use crate::limits::{RUN_ENTRIES_MAX, SEEN_HEADS_MAX};
use crate::store::sqlite::StoreError;
use crate::wire::{Body, Entry, EntryId, Few, RoomId, RosterHash, Run};

/// A row of `run`.
#[derive(Debug, Clone)]
pub(super) struct KeptRun {
    /// Its number, in the order in which they were kept.
    pub number: i64,
    /// When it was kept, in milliseconds since 1970.
    pub kept_ms: i64,
    /// Whether it is on another branch than its author's log here.
    pub forked: bool,
    /// Bytes of its blob.
    pub bytes: usize,
    /// Oldest first; a single [`only_place`] where the texts are gone.
    pub entries: Vec<KeptEntry>,
}

/// A row that was just kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRow {
    /// Its number.
    pub number: i64,
    /// Bytes of its blob.
    pub bytes: usize,
}

/// What the blob of a row holds.
#[derive(Serialize, Deserialize)]
struct Blob<Lines> {
    /// Of the first entry; the others follow.
    previous: EntryId,
    /// Of the first entry.
    previous_audience: RosterHash,
    /// What each entry has for itself.
    lines: Lines,
}

/// What an entry has for itself, to be written.
#[derive(Serialize)]
struct LineRef<'k> {
    seen: &'k Few<EntryId, SEEN_HEADS_MAX>,
    depth: u64,
    wall_ms: u64,
    salt: &'k [u8; 16],
    body: &'k Body,
    signature: Option<Signature>,
    /// Where it stands, which its author may have stated otherwise.
    placed: u64,
}

/// The same, read.
#[derive(Deserialize)]
struct Line {
    seen: Few<EntryId, SEEN_HEADS_MAX>,
    depth: u64,
    wall_ms: u64,
    salt: [u8; 16],
    body: Body,
    signature: Option<Signature>,
    /// Where it stands, which its author may have stated otherwise.
    placed: u64,
}

/// Keeps entries of one author that were just written or heard, and hands each row's number to `each`. Behind a hole they may be
/// here already; the last of those closes it.
pub(super) fn keep_entries(
    to: &Connection,
    room: &RoomId,
    entries: &[KeptEntry],
    mut each: impl FnMut(NewRow, &[KeptEntry]),
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
    let author = first.entry.author;
    let mut hole = to.prepare_cached("SELECT up_to FROM hole WHERE room = ? AND author = ?")?;
    let hole = hole.query_row([room.0, author.0], |row| row.get::<_, i64>(0)).optional()?;
    let Some(up_to) = hole else {
        return in_rows(entries).try_for_each(|row| {
            each(keep_run(to, room, row, false)?, row);
            Ok(())
        });
    };
    for kept in entries {
        if !is_here(to, room, &author, kept.entry.seq, kept.entry.seq)? {
            let row = slice::from_ref(kept);
            each(keep_run(to, room, row, false)?, row);
        }
    }
    if as_stored(last.entry.seq) >= up_to {
        to.execute("DELETE FROM hole WHERE room = ? AND author = ?", [room.0, author.0])?;
    }
    Ok(())
}

/// The rows that entries of one author make.
pub(super) fn in_rows(entries: &[KeptEntry]) -> impl Iterator<Item = &[KeptEntry]> {
    entries.chunk_by(follows).flat_map(|chain| chain.chunks(RUN_ENTRIES_MAX))
}

/// Whether an entry can stand behind another one in a row.
fn follows(before: &KeptEntry, after: &KeptEntry) -> bool {
    Run::goes_on(&before.entry, &before.id, &after.entry)
        && before.place.epoch == after.place.epoch
        && !is_only_place(before)
        && !is_only_place(after)
}

/// Keeps one row, of an author's log or of another branch; its number. Nothing stands twice in a log.
pub(super) fn keep_run(to: &Connection, room: &RoomId, row: &[KeptEntry], forked: bool) -> Result<NewRow, StoreError> {
    let [first, .., last] = row else {
        let [only] = row else { return Ok(NewRow { number: 0, bytes: 0 }) };
        return insert(to, room, (only, only), row, forked);
    };
    insert(to, room, (first, last), row, forked)
}

fn insert(
    to: &Connection,
    room: &RoomId,
    (first, last): (&KeptEntry, &KeptEntry),
    row: &[KeptEntry],
    forked: bool,
) -> Result<NewRow, StoreError> {
    if !forked && is_here(to, room, &first.entry.author, first.entry.seq, last.entry.seq)? {
        return Err(StoreError::NumberTaken);
    }
    let blob = blob(row);
    let bytes = blob.as_ref().map_or(0, Vec::len);
    to.prepare_cached(
        "INSERT INTO run (room, author, first, last, id, audience, epoch, depth, forked, kept_ms, seal, entries)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?, ?)",
    )?
    .execute(params![
        room.0,
        first.entry.author.0,
        as_stored(first.entry.seq),
        as_stored(last.entry.seq),
        last.id.0,
        last.entry.audience.0,
        as_stored(last.place.epoch),
        as_stored(last.place.depth),
        forked,
        run_seal(room, row, forked),
        blob,
    ])?;
    Ok(NewRow { number: to.last_insert_rowid(), bytes })
}

/// Whether anything of a log between two of its numbers, both included, is here.
fn is_here(to: &Connection, room: &RoomId, author: &PeerId, first: u64, last: u64) -> Result<bool, StoreError> {
    // Rows of a log never overlap, so that it is in the last that begins before the end, or in none.
    let mut before = to.prepare_cached(
        "SELECT last FROM run WHERE room = ? AND author = ? AND forked = 0 AND first <= ? ORDER BY first DESC LIMIT 1",
    )?;
    let before = before.query_row(params![room.0, author.0, as_stored(last)], |row| row.get::<_, i64>(0)).optional()?;
    Ok(before.is_some_and(|before| before >= as_stored(first)))
}

/// Leaves of a row only its last entry: whole, or, without its text, as a place.
pub(super) fn keep_only_last(to: &Connection, run: &mut KeptRun, whole: bool) -> Result<(), StoreError> {
    let Some(mut last) = run.entries.pop() else { return Ok(()) };
    let KeptEntry { ref entry, id, place, .. } = last;
    let Entry { room, author, seq, audience, .. } = **entry;
    if !whole {
        last = only_place(room, author, seq, audience, id, place);
    }
    run.entries = vec![last];
    to.prepare_cached("UPDATE run SET first = last, seal = ?, entries = ? WHERE number = ?")?.execute(params![
        run_seal(&room, &run.entries, run.forked),
        blob(&run.entries),
        run.number
    ])?;
    Ok(())
}

/// Nothing for the place of an entry whose text is gone.
fn blob(row: &[KeptEntry]) -> Option<Vec<u8>> {
    let first = row.first().filter(|kept| !is_only_place(kept))?;
    let lines: Vec<LineRef<'_>> = row
        .iter()
        .map(|kept| LineRef {
            seen: &kept.entry.seen,
            depth: kept.entry.depth,
            wall_ms: kept.entry.wall_ms,
            salt: &kept.entry.salt,
            body: &kept.entry.body,
            signature: kept.signature,
            placed: kept.place.depth,
        })
        .collect();
    let Entry { previous, previous_audience, .. } = *first.entry;
    // More than it will be: what the entries share stands in it once.
    let mut blob = Vec::with_capacity(row.iter().map(|kept| kept.entry.encoded_bytes()).sum());
    encode_into(&Blob { previous, previous_audience, lines }, &mut blob);
    Some(blob)
}

/// The seal of a row. What the entries themselves say is sealed by the id of the last.
fn run_seal(room: &RoomId, row: &[KeptEntry], forked: bool) -> [u8; 8] {
    let (Some(first), Some(last)) = (row.first(), row.last()) else { return [0; 8] };
    let mut beside = Vec::with_capacity(row.len() * 16);
    for kept in row {
        beside.extend_from_slice(&kept.place.depth.to_le_bytes());
        if let Some(signature) = kept.signature {
            beside.extend_from_slice(&kept.entry.seq.to_le_bytes());
            beside.extend_from_slice(&signature.to_bytes());
        }
    }
    seal(&[
        &room.0,
        &first.entry.author.0,
        &as_stored(first.entry.seq).to_le_bytes(),
        &as_stored(last.entry.seq).to_le_bytes(),
        &last.id.0,
        &last.entry.audience.0,
        &as_stored(last.place.epoch).to_le_bytes(),
        &beside,
        &[u8::from(forked), u8::from(is_only_place(last))],
    ])
}

/// A row of `run`, compared with its seal and with the id of its last entry.
pub(super) fn kept_run(row: &Row<'_>) -> Result<KeptRun, StoreError> {
    let damaged = || StoreError::Damaged { what: "an entry" };
    let (room, author) = (RoomId(row.get("room")?), PeerId(row.get("author")?));
    let (first, last, audience) = (number(row, "first")?, number(row, "last")?, RosterHash(row.get("audience")?));
    let (epoch, depth, id) = (number(row, "epoch")?, number(row, "depth")?, EntryId(row.get("id")?));
    let forked: bool = row.get("forked")?;
    let blob: Option<Vec<u8>> = row.get("entries")?;
    let mut entries = Vec::new();
    if let Some(blob) = &blob {
        let (found, rest): (Blob<Few<Line, RUN_ENTRIES_MAX>>, _) =
            postcard::take_from_bytes(blob).map_err(|_| damaged())?;
        let lines = found.lines.into_vec();
        if !rest.is_empty() || last.checked_sub(first) != (lines.len() as u64).checked_sub(1) {
            return Err(damaged());
        }
        let (mut previous, mut previous_audience) = (found.previous, found.previous_audience);
        for (line, seq) in lines.into_iter().zip(first..) {
            let Line { seen, depth, wall_ms, salt, body, signature, placed } = line;
            let entry =
                Entry { room, author, seq, previous, audience, previous_audience, seen, depth, wall_ms, salt, body };
            let id = entry.id();
            (previous, previous_audience) = (id, audience);
            entries.push(KeptEntry { entry: Arc::new(entry), id, signature, place: Place { epoch, depth: placed } });
        }
    } else {
        entries.push(only_place(room, author, last, audience, id, Place { epoch, depth }));
    }
    let told = entries.last().map(|kept| (kept.id, kept.place.depth));
    if told != Some((id, depth)) || row.get::<_, [u8; 8]>("seal")? != run_seal(&room, &entries, forked) {
        return Err(damaged());
    }
    let bytes = blob.map_or(0, |blob| blob.len());
    Ok(KeptRun { number: row.get("number")?, kept_ms: row.get("kept_ms")?, forked, bytes, entries })
}
