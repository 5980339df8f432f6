//! How both stores use SQLite: durable on return, readable by their owner only, a schema that knows its version.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::wire::DecodeError;

/// The format that this version writes. A file of another one is refused; earlier ones were never released.
const FORMAT: i64 = 2;

/// Kibibytes of pages in memory, negative as SQLite wants it: with its default of 2 MiB a busy minute wrote pages out within
/// a transaction, only to read them back.
const CACHE_KIB: i64 = -8 * 1024;

/// Pages in the journal, 16 MiB of them, before they go to their place: a page that changed often goes once. Four times
/// SQLite's default.
const WAL_PAGES: i64 = 4096;

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
    /// The file is of a later version of this program.
    #[error("the database is of format {found}, and this version knows formats up to {FORMAT}")]
    TooNew {
        /// Its format.
        found: i64,
    },
}

/// Opens a database file, made if absent, and brings it to the format of `schema`; without a file, one in memory.
///
/// WAL with `synchronous=FULL`: a commit that has returned survives a power cut. (The default for WAL, NORMAL, may lose
/// the last commits.) The journals beside the file take its permissions.
pub(super) fn open(file: Option<&Path>, schema: &str) -> Result<Connection, StoreError> {
    let mut connection = match file {
        Some(file) => {
            OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
            Connection::open(file)?
        }
        None => Connection::open_in_memory()?,
    };
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    let all_at_once = connection.transaction()?;
    match all_at_once.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        0 => {
            all_at_once.execute_batch(schema)?;
            all_at_once.pragma_update(None, "user_version", FORMAT)?;
        }
        FORMAT => {}
        found => return Err(StoreError::TooNew { found }),
    }
    all_at_once.commit()?;
    Ok(connection)
}

/// What was decoded from a row, or which part of the file is damaged.
pub(super) fn read<T>(decoded: Result<T, DecodeError>, what: &'static str) -> Result<T, StoreError> {
    decoded.map_err(|_| StoreError::Damaged { what })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_and_its_journals_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some.db");
        let connection = open(Some(&file), "CREATE TABLE t (x);").unwrap();
        connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.path());
        }
        assert!(std::fs::read_dir(dir.path()).unwrap().count() >= 2, "a journal is there too");
    }

    #[test]
    fn a_database_of_a_later_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some.db");
        open(Some(&file), "").unwrap().pragma_update(None, "user_version", 9).unwrap();
        assert!(matches!(open(Some(&file), ""), Err(StoreError::TooNew { found: 9 })));
    }
}
