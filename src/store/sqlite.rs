//! How both stores use SQLite: durable on return, readable by their owner only, a schema that knows its version.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::wire::DecodeError;

/// How long a reader waits for a writer that is just closing the file or recovering its journal.
const READER_WAITS: Duration = Duration::from_secs(5);

/// What a database is made of.
pub(super) struct Schema {
    /// The format that this version reads and writes.
    pub format: i64,
    /// Makes it in an empty database.
    pub create: &'static str,
}

/// Kibibytes of pages in memory, negative as SQLite wants it: with its default of 2 MiB a busy minute wrote pages out within
/// a transaction, only to read them back.
const CACHE_KIB: i64 = -8 * 1024;

/// Pages in the journal, 16 MiB of them, before they go to their place: a page that changed often goes once. Four times
/// SQLite's default.
const WAL_PAGES: i64 = 4096;

/// Bytes of journal that are there before anything is written to it: some hundred lines of a chat.
const JOURNAL_BYTES: u64 = 4 * 1024 * 1024;

/// Lengthens the journal of a database that was just opened, by nothing that SQLite would read. A flush of bytes that were there before
/// takes half the time, and a tenth at its worst, of one that makes the file longer.
pub(super) fn lengthen_journal(file: &Path) -> std::io::Result<()> {
    let mut journal = file.as_os_str().to_owned();
    journal.push("-wal");
    // Only ever behind its end, whatever is written to it meanwhile.
    let mut journal = OpenOptions::new().append(true).open(Path::new(&journal))?;
    let missing = JOURNAL_BYTES.saturating_sub(journal.metadata()?.len());
    // In small pieces: once a large one was given back, the C library keeps as much for good.
    std::io::copy(&mut std::io::repeat(0).take(missing), &mut journal)?;
    Ok(())
}

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite, or the disk below it, refused.
    #[error("the database refused: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file can't be made.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// What is in the file was not written by this program.
    #[error("the database holds {what} that can't be read")]
    Damaged {
        /// Which part.
        what: &'static str,
    },
    /// There is nothing in the file, which no program of this kind leaves.
    #[error("the database is empty")]
    Empty,
    /// The file is of another version of this program.
    #[error("the database is of format {found}, and this version reads format {known}; {}", if found > known { "a later version wrote it" } else { "it is older than the first release" })]
    OtherFormat {
        /// Its format.
        found: i64,
        /// The one that is read and written.
        known: i64,
    },
    /// An entry was to be kept under a number of its author's log that is taken. Nothing does that but a bug.
    #[error("an entry was to be kept under a number that another one has")]
    NumberTaken,
}

impl StoreError {
    /// Whether the file is of a version before the first that was released, so that nobody misses what is in it.
    pub fn is_too_old(&self) -> bool {
        matches!(self, StoreError::OtherFormat { found, known } if found < known)
    }

    /// Whether the file itself is to blame: what stands in it is not what was written. A full disk, a folder that is somebody
    /// else's or a later version are none of that.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        match self {
            StoreError::Damaged { .. } | StoreError::Empty => true,
            StoreError::File(_) | StoreError::OtherFormat { .. } | StoreError::NumberTaken => false,
            StoreError::Database(rusqlite::Error::SqliteFailure(failure, _)) => matches!(
                failure.code,
                // A schema of which a letter has changed fails as an unknown error: a table is not found by its name.
                Code::DatabaseCorrupt | Code::NotADatabase | Code::Unknown
            ),
            // The rest is what a row holds, and how often it is there.
            StoreError::Database(_) => true,
        }
    }
}

/// Opens a database file of the format of `schema`, made if absent; without a file, one in memory.
///
/// WAL with `synchronous=FULL`: a commit that has returned survives a power cut. (The default for WAL, NORMAL, may lose
/// the last commits.) The journals beside the file take its permissions. What is deleted is overwritten, and nothing is
/// ever sorted in a file elsewhere.
pub(super) fn open(file: Option<&Path>, schema: &Schema) -> Result<Connection, StoreError> {
    let mut connection = match file {
        Some(file) => {
            OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
            Connection::open(file)?
        }
        None => Connection::open_in_memory()?,
    };
    plan_once(&connection)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "secure_delete", true)?;
    if connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? == 0 {
        // Only a database that is still empty takes this up: what was deleted gives its pages back.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    let all_at_once = connection.transaction()?;
    match all_at_once.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        found if found == schema.format => {
            drop(all_at_once);
            return Ok(connection);
        }
        0 => all_at_once.execute_batch(schema.create)?,
        found => return Err(schema.other(found)),
    }
    all_at_once.pragma_update(None, "user_version", schema.format)?;
    all_at_once.commit()?;
    Ok(connection)
}

/// Has a statement planned when it is prepared, and not again for each value that it is given: SQLite looks whether its statistics,
/// of which we have none, say anything about the value. That was a sixteenth of what a lone line cost.
fn plan_once(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Opens a database file only to read it, beside a program that may be writing it.
pub(super) fn open_to_read(file: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    plan_once(&connection)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.busy_timeout(READER_WAITS)?;
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        found if found == schema.format => Ok(connection),
        found => Err(schema.other(found)),
    }
}

impl Schema {
    fn other(&self, found: i64) -> StoreError {
        StoreError::OtherFormat { found, known: self.format }
    }
}

/// What was decoded from a row, or which part of the file is damaged.
pub(super) fn read<T>(decoded: Result<T, DecodeError>, what: &'static str) -> Result<T, StoreError> {
    decoded.map_err(|_| StoreError::Damaged { what })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn schema(create: &'static str) -> Schema {
        Schema { format: 5, create }
    }

    #[test]
    fn the_file_and_its_journals_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some.db");
        let connection = open(Some(&file), &schema("CREATE TABLE t (x);")).unwrap();
        connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.path());
        }
        assert!(std::fs::read_dir(dir.path()).unwrap().count() >= 2, "a journal is there too");
    }

    #[test]
    fn a_database_of_another_version_is_refused_in_true_words() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some.db");
        for (format, words) in [(9, "a later version wrote it"), (3, "older than the first release")] {
            open(Some(&file), &schema("")).unwrap().pragma_update(None, "user_version", format).unwrap();
            let refused = open(Some(&file), &schema("")).unwrap_err();
            assert!(matches!(refused, StoreError::OtherFormat { found, .. } if found == format));
            assert!(refused.to_string().contains(words) && !refused.is_damage(), "{refused}");
            open_to_read(&file, &schema("")).unwrap_err();
            std::fs::remove_file(&file).unwrap();
        }
    }
}
