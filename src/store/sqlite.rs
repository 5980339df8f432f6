//! How both stores use SQLite: durable on return, one writer, a schema that knows its version.

use std::path::Path;

use rusqlite::Connection;

use crate::wire::DecodeError;

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database or the disk below it refused.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row isn't what was written.
    #[error("a record in the database is damaged: {0}")]
    Damaged(#[from] DecodeError),
    /// The database was written by a later version of this program.
    #[error("the database has format {found}; this version knows formats up to {known}")]
    TooNew {
        /// Its format.
        found: i64,
        /// The newest known here.
        known: i64,
    },
}

/// Opens a database file, made if absent, and brings it to format 1 by `schema`.
///
/// WAL with `synchronous=FULL`: a commit that has returned survives a power cut. (The default for WAL, NORMAL, may lose
/// the last commits.)
pub(super) fn open(file: Option<&Path>, schema: &str) -> Result<Connection, StoreError> {
    const KNOWN: i64 = 1;
    let connection = match file {
        Some(file) => Connection::open(file)?,
        None => Connection::open_in_memory()?,
    };
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Compiled once: the statements of every message are among them.
    connection.set_prepared_statement_cache_capacity(64);
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        0 => {
            let script = format!("BEGIN; {schema} PRAGMA user_version = {KNOWN}; COMMIT;");
            connection.execute_batch(&script)?;
        }
        KNOWN => {}
        found => return Err(StoreError::TooNew { found, known: KNOWN }),
    }
    Ok(connection)
}
