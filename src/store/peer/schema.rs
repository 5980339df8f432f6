//! The tables of a peer's history.
//!
//! What is written here is read by later versions. Blobs are postcard, as on the wire.

use crate::store::sqlite::Schema;

/// Format 7: indexes by short ids, texts that wait, depths that authors state. None before it was released.
pub(super) const SCHEMA: Schema = Schema { format: 7, create: TABLES };

/// A `seal` is a checksum of its row ([`super::rows::seal`]). A `run` is entries of one author in a row; its `id` and `depth` are those of the
/// last, and one whose `entries` are gone stands for the place of its last. A `forked` one is on another branch than its author's log
/// here. `passed` is the number of the roster that made a consent a thing of the past. `letter` has both directions of private conversations. `mark` tells which entries are no texts, and which they are about.
/// `place`, `words` and `mark` are the indexes ([`super::index`]): they hold no text, only where each entry and each word stands, by the
/// beginnings of ids ([`super::index::short`]), and what is deleted from `words` leaves no trace. A `hole` is where damage took entries out of an author's log: what stands behind it
/// is shown, but the log ends before it, so that the members are asked for the rest, until it has come. An `outbox` row is a text that waits until
/// the own log of a room is whole, and one with an empty body says only that it is not.
///
/// [`ADDED`] came later, and is made wherever it is missing.
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
    CREATE TABLE address (
        room BLOB NOT NULL,
        key BLOB NOT NULL,
        addresses BLOB NOT NULL,
        seal BLOB NOT NULL,
        PRIMARY KEY (room, key)
    ) WITHOUT ROWID;
    CREATE TABLE consent (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL REFERENCES room (id) ON DELETE CASCADE,
        proposal BLOB NOT NULL,
        consent BLOB NOT NULL,
        passed INTEGER,
        seal BLOB NOT NULL
    );
    CREATE INDEX consent_by_room ON consent (room);
    CREATE TABLE run (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        id BLOB NOT NULL,
        audience BLOB NOT NULL,
        epoch INTEGER NOT NULL,
        depth INTEGER NOT NULL,
        forked INTEGER NOT NULL,
        kept_ms INTEGER NOT NULL,
        seal BLOB NOT NULL,
        entries BLOB
    );
    CREATE UNIQUE INDEX run_by_author ON run (room, author, first) WHERE forked = 0;
    CREATE INDEX run_forked ON run (room, author, first) WHERE forked = 1;
    CREATE INDEX run_forgotten ON run (room) WHERE entries IS NULL;
    CREATE TABLE place (
        at INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        depth INTEGER NOT NULL,
        id INTEGER NOT NULL
    );
    CREATE INDEX place_in_order ON place (room, epoch, depth, id);
    CREATE INDEX place_by_id ON place (id);
    CREATE VIRTUAL TABLE words USING fts5 (text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
    CREATE TABLE mark (
        at INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        about INTEGER
    );
    CREATE INDEX mark_about ON mark (about);
    CREATE INDEX mark_by_room ON mark (room) WHERE about IS NULL;
    CREATE TABLE acquaintance (
        key BLOB PRIMARY KEY,
        first_seen_ms INTEGER NOT NULL,
        names BLOB NOT NULL,
        verified_ms INTEGER,
        ignored INTEGER NOT NULL,
        seal BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE letter (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL,
        key BLOB NOT NULL,
        mine INTEGER NOT NULL,
        series BLOB NOT NULL,
        place INTEGER NOT NULL,
        id BLOB NOT NULL,
        letter BLOB NOT NULL,
        received INTEGER NOT NULL,
        kept_ms INTEGER NOT NULL,
        seal BLOB NOT NULL,
        UNIQUE (room, key, mine, series, place)
    );
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
        epoch INTEGER NOT NULL,
        depth INTEGER NOT NULL,
        seal BLOB NOT NULL,
        PRIMARY KEY (room, author)
    ) WITHOUT ROWID;
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL,
        body BLOB NOT NULL,
        seal BLOB NOT NULL
    );
    CREATE INDEX outbox_by_room ON outbox (room);
    CREATE TABLE hole (
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        after INTEGER NOT NULL,
        up_to INTEGER NOT NULL,
        PRIMARY KEY (room, author)
    ) WITHOUT ROWID;
";

/// Damage may have taken the numbers of a log that stand in `lost`, so that members are asked for them; what is missing elsewhere was for others,
/// or, up to the number in `passed`, was removed because it was old. `disk` tells in which file this is, and when it was closed well, so that a copy
/// of it is known for one.
pub(super) const ADDED: &str = "
    CREATE TABLE IF NOT EXISTS lost (
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        last INTEGER NOT NULL,
        first INTEGER NOT NULL,
        PRIMARY KEY (room, author, last)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS passed (
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (room, author)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS disk (
        file BLOB NOT NULL,
        closed_ms INTEGER
    );
";
