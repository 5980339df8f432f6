//! The tables of a peer's history, and how those of an earlier version become them.
//!
//! What is written here is read by later versions. Blobs are postcard, as on the wire.

use rusqlite::{Row, Transaction};

use super::{people, rows};
use crate::core::io::StepNote;
use crate::core::log::{KeptEntry, Place};
use crate::identity::{PeerId, Signature};
use crate::store::sqlite::{Schema, StoreError, read};
use crate::wire::{EntryId, RoomId, Roster, Step, decode};

/// Format 4; 3 had no private messages, no acquaintances and no marks; 2 had entries without search, and knew nothing of rooms
/// that were left.
pub(super) const SCHEMA: Schema = Schema { format: 4, create, oldest: 2, migrate };

fn create(to: &Transaction<'_>) -> Result<(), StoreError> {
    to.execute_batch(TABLES)?;
    Ok(to.execute_batch(people::TABLES)?)
}

fn migrate(to: &Transaction<'_>, found: i64) -> Result<(), StoreError> {
    if found < 3 {
        return from_format_2(to);
    }
    to.execute_batch(people::TABLES)?;
    people::mark_all(to)
}

/// A `seal` is a checksum of its row ([`rows::seal`]). `words` holds no text, only where each word stands; what is deleted
/// from it leaves no trace. A `hole` is where damage took entries out of an author's log: what stands behind it is shown, but the
/// log ends before it, so that the members are asked for the rest, until it has come. A `forked` entry is on another branch than
/// its author's log here.
const TABLES: &str = "
    CREATE TABLE room (
        id BLOB PRIMARY KEY,
        genesis BLOB NOT NULL,
        base BLOB NOT NULL,
        seal BLOB NOT NULL,
        head_counter INTEGER NOT NULL,
        gone INTEGER NOT NULL DEFAULT 0,
        counter_seal BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE past (
        room BLOB NOT NULL,
        epoch INTEGER NOT NULL,
        hash BLOB NOT NULL,
        roster BLOB NOT NULL,
        PRIMARY KEY (room, epoch, hash)
    ) WITHOUT ROWID;
    CREATE TABLE step (
        room BLOB NOT NULL REFERENCES room (id) ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        step BLOB NOT NULL,
        note BLOB NOT NULL,
        seal BLOB NOT NULL,
        PRIMARY KEY (room, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE rule (
        room BLOB NOT NULL,
        key BLOB NOT NULL,
        rule INTEGER NOT NULL,
        seal BLOB NOT NULL,
        PRIMARY KEY (room, key)
    ) WITHOUT ROWID;
    CREATE TABLE consent (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL REFERENCES room (id) ON DELETE CASCADE,
        proposal BLOB NOT NULL,
        consent BLOB NOT NULL,
        seal BLOB NOT NULL
    );
    CREATE INDEX consent_by_room ON consent (room);
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        audience BLOB NOT NULL,
        entry BLOB,
        signature BLOB,
        epoch INTEGER NOT NULL,
        depth INTEGER NOT NULL,
        forked INTEGER NOT NULL DEFAULT 0,
        kept_ms INTEGER NOT NULL,
        seal BLOB NOT NULL
    );
    CREATE UNIQUE INDEX entry_by_author ON entry (room, author, seq) WHERE forked = 0;
    CREATE INDEX entry_forked ON entry (room, author, seq) WHERE forked = 1;
    CREATE INDEX entry_by_id ON entry (id);
    CREATE INDEX entry_by_place ON entry (room, epoch, depth, id);
    CREATE INDEX entry_forgotten ON entry (room) WHERE entry IS NULL;
    CREATE VIRTUAL TABLE words USING fts5 (text, content = '', tokenize = 'unicode61 remove_diacritics 2');
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
    CREATE TABLE known (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        seal BLOB NOT NULL
    );
    CREATE TABLE person (
        room BLOB NOT NULL,
        key BLOB NOT NULL,
        name TEXT NOT NULL,
        seal BLOB NOT NULL,
        PRIMARY KEY (room, key)
    ) WITHOUT ROWID;
    CREATE TABLE tip (
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        audience BLOB NOT NULL,
        entry BLOB,
        signature BLOB,
        epoch INTEGER NOT NULL,
        depth INTEGER NOT NULL,
        forked INTEGER NOT NULL DEFAULT 0,
        seal BLOB NOT NULL,
        PRIMARY KEY (room, author)
    ) WITHOUT ROWID;
    CREATE TABLE hole (
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        after INTEGER NOT NULL,
        up_to INTEGER NOT NULL,
        PRIMARY KEY (room, author)
    ) WITHOUT ROWID;
";

/// Reads all that format 2 held, makes the tables anew, and puts it back.
fn from_format_2(to: &Transaction<'_>) -> Result<(), StoreError> {
    to.execute_batch(
        "ALTER TABLE room RENAME TO old_room;
         ALTER TABLE step RENAME TO old_step;
         ALTER TABLE consent RENAME TO old_consent;
         ALTER TABLE entry RENAME TO old_entry;
         DROP INDEX consent_by_room;
         DROP INDEX IF EXISTS entry_by_id;",
    )?;
    // Only the later ones of that format have these.
    for table in ["fork", "rule"] {
        if to.prepare(&format!("SELECT * FROM {table}")).is_ok() {
            to.execute_batch(&format!("ALTER TABLE {table} RENAME TO old_{table}"))?;
        }
    }
    create(to)?;
    each(to, "SELECT genesis, base, head_counter FROM old_room", |row| {
        let (genesis, base): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let base: Roster = read(decode(&base), "a roster")?;
        rows::keep_room(to, &read(decode(&genesis), "a genesis")?, &base)?;
        rows::keep_counter(to, &base.room, row.get::<_, i64>(2)?.unsigned_abs())
    })?;
    // The first of that format noted only when a step was taken.
    let noted = to.prepare("SELECT note FROM old_step").is_ok();
    let columns = if noted { "note, 0" } else { "x'', at_ms" };
    each(to, &format!("SELECT room, epoch, step, {columns} FROM old_step ORDER BY room, epoch"), |row| {
        let step: Step = read(decode(&row.get::<_, Vec<u8>>(2)?), "a step")?;
        let (epoch, at_ms) = (row.get::<_, i64>(1)?.unsigned_abs(), row.get::<_, i64>(4)?.unsigned_abs());
        let note = postcard::from_bytes(&row.get::<_, Vec<u8>>(3)?);
        let note = note.unwrap_or(StepNote { at_ms, ..StepNote::default() });
        rows::keep_step(to, &RoomId(row.get(0)?), epoch, &step, &note)
    })?;
    each(to, "SELECT room, proposal, consent FROM old_consent ORDER BY number", |row| {
        let (proposal, consent): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
        let (proposal, consent) = (read(decode(&proposal), "a proposal")?, read(decode(&consent), "a consent")?);
        rows::keep_consent(to, &RoomId(row.get(0)?), &proposal, &consent)
    })?;
    let entries =
        "SELECT room, id, entry, signature, epoch, depth FROM old_entry ORDER BY room, epoch, depth, author, seq";
    each(to, entries, |row| rows::keep_entry(to, &RoomId(row.get(0)?), &old_entry(row)?, false).map(drop))?;
    if to.prepare("SELECT * FROM old_fork").is_ok() {
        each(to, "SELECT room, id, entry, signature, epoch, depth FROM old_fork ORDER BY room, author, seq", |row| {
            rows::keep_entry(to, &RoomId(row.get(0)?), &old_entry(row)?, true).map(drop)
        })?;
        to.execute_batch("DROP TABLE old_fork")?;
    }
    if to.prepare("SELECT * FROM old_rule").is_ok() {
        each(to, "SELECT room, key, rule FROM old_rule", |row| {
            rows::keep_rule(to, &RoomId(row.get(0)?), &PeerId(row.get(1)?), rows::rule_of_stored(row.get(2)?))
        })?;
        to.execute_batch("DROP TABLE old_rule")?;
    }
    Ok(to.execute_batch("DROP TABLE old_step; DROP TABLE old_consent; DROP TABLE old_entry; DROP TABLE old_room;")?)
}

fn old_entry(row: &Row<'_>) -> Result<KeptEntry, StoreError> {
    let signature: Option<[u8; 64]> = row.get(3)?;
    Ok(KeptEntry {
        id: EntryId(row.get(1)?),
        entry: read(decode(&row.get::<_, Vec<u8>>(2)?), "an entry")?,
        signature: signature.map(|bytes| Signature::from_bytes(&bytes)),
        place: Place { epoch: row.get::<_, i64>(4)?.unsigned_abs(), depth: row.get::<_, i64>(5)?.unsigned_abs() },
    })
}

fn each(
    from: &Transaction<'_>,
    query: &str,
    mut put_back: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut query = from.prepare(query)?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        put_back(row)?;
    }
    Ok(())
}

/// The tables of format 2, as its version made them.
#[cfg(test)]
pub(super) fn create_format_2(connection: &rusqlite::Connection) {
    connection
        .execute_batch(
            "CREATE TABLE room (id BLOB PRIMARY KEY, genesis BLOB NOT NULL, base BLOB NOT NULL,
                 head_counter INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
             CREATE TABLE step (room BLOB NOT NULL REFERENCES room (id) ON DELETE CASCADE, epoch INTEGER NOT NULL,
                 step BLOB NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (room, epoch)) WITHOUT ROWID;
             CREATE TABLE consent (number INTEGER PRIMARY KEY AUTOINCREMENT,
                 room BLOB NOT NULL REFERENCES room (id) ON DELETE CASCADE, proposal BLOB NOT NULL, consent BLOB NOT NULL);
             CREATE INDEX consent_by_room ON consent (room);
             CREATE TABLE entry (room BLOB NOT NULL, author BLOB NOT NULL, seq INTEGER NOT NULL, id BLOB NOT NULL,
                 audience BLOB NOT NULL, entry BLOB NOT NULL, signature BLOB, epoch INTEGER NOT NULL,
                 depth INTEGER NOT NULL, PRIMARY KEY (room, author, seq)) WITHOUT ROWID;
             PRAGMA user_version = 2;",
        )
        .unwrap();
}
