//! A history that was copied here, or put back from a backup: it may be older than what others remember of our logs, so that they are
//! heard before a number is used.
//!
//! The file system gives every file a number and a birth, which a copy does not take along, and notes when somebody last changed it, which is long after
//! it was closed well if another was copied over it. What shows none of this, as a whole file system that was put back, or a copy that was made
//! of a running program over its file, is found out by what members say of our logs: too late for what is written before anybody is linked.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rusqlite::{OptionalExtension as _, params};

use super::{PeerStore, outbox, rows_of};
use crate::store::sqlite::StoreError;
use crate::wire::RoomId;

/// Milliseconds that closing a file may take, its journal included.
const SETTLES_MS: i64 = 30_000;

impl PeerStore {
    /// Looks whether this database is still in the file in which it was last. If not, our own logs count as not whole.
    ///
    /// `changed_ms`: when somebody last changed it, before it was opened.
    pub(super) fn look_for_copy(&mut self, file: &Path, changed_ms: i64) -> Result<(), StoreError> {
        let here = mark_of(file)?;
        let transaction = self.all.transaction()?;
        let mark = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?));
        let known = transaction.query_row("SELECT file, closed_ms FROM disk", [], mark).optional()?;
        let touched =
            known.as_ref().and_then(|(_, closed)| *closed).is_some_and(|closed| changed_ms > closed + SETTLES_MS);
        let other = known.as_ref().is_some_and(|(file, _)| *file != here);
        if touched || other {
            tracing::info!("the history is a copy: our own logs may be longer than it knows");
            // Also where we had said nothing by then.
            let rooms = "SELECT room FROM known UNION SELECT room FROM tip EXCEPT SELECT room FROM outbox";
            for room in rows_of(&transaction, rooms, [], |row| Ok(RoomId(row.get(0)?)))? {
                outbox::keep(&transaction, &room, &[])?;
            }
        }
        transaction.execute("DELETE FROM disk", [])?;
        transaction.execute("INSERT INTO disk (file) VALUES (?)", params![here])?;
        transaction.commit()?;
        Ok(())
    }

    /// The program ends well, and nothing is written any more: whoever changes the file from now on is somebody else.
    pub fn note_closed(&self) {
        let on_disk = self.tips.as_ref().unwrap_or(&self.all);
        if let Err(error) =
            on_disk.execute("UPDATE disk SET closed_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER)", [])
        {
            tracing::debug!(%error, "a copy over this file will not be known for one");
        }
    }
}

/// When somebody last changed a file or what is noted about it, in milliseconds since 1970; 0 for none.
pub(super) fn changed_ms(file: &Path) -> i64 {
    fs::metadata(file).map_or(0, |metadata| metadata.ctime() * 1000 + metadata.ctime_nsec() / 1_000_000)
}

/// What tells a file from every other one on its disk.
fn mark_of(file: &Path) -> Result<Vec<u8>, StoreError> {
    let metadata = fs::metadata(file)?;
    let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |born| born.as_nanos());
    Ok([&metadata.ino().to_le_bytes()[..], &born.to_le_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::super::tests::say;
    use super::*;
    use crate::core::consent::testing::room_of;
    use crate::core::io::Change;
    use crate::identity::{Ed25519, Signer as _};

    #[test]
    fn in_a_copy_members_are_heard_before_anything_is_written_and_in_the_file_itself_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, copy) = (dir.path().join("history.db"), dir.path().join("copy.db"));
        let (people, genesis, base) = room_of(2);
        let me = people[0].id();
        let outbox = |file: &Path| {
            let (store, kept, _) = PeerStore::open_or_salvage(file, me, "today", &Ed25519).unwrap();
            store.note_closed();
            kept.outbox
        };
        let (mut store, ..) = PeerStore::open_or_salvage(&file, me, "today", &Ed25519).unwrap();
        store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
        say(&mut store, &base, &people[0], 1, &["ours"]);
        drop(store);
        assert_eq!(outbox(&file), []);
        fs::copy(&file, &copy).unwrap();
        assert_eq!(outbox(&copy), [(base.room, Vec::new())], "a copy may be old");
        assert_eq!(outbox(&copy), [(base.room, Vec::new())], "until somebody was heard");
        let (mut store, ..) = PeerStore::open_or_salvage(&copy, me, "today", &Ed25519).unwrap();
        store.apply(&[Change::OutboxEmpty { room: base.room }]).unwrap();
        drop(store);
        assert_eq!(outbox(&copy), []);
        assert_eq!(outbox(&file), []);
        // Put back over the file that there was, as it is from a backup.
        fs::remove_file(&file).unwrap();
        fs::rename(&copy, dir.path().join("elsewhere")).unwrap();
        fs::copy(dir.path().join("elsewhere"), &file).unwrap();
        assert_eq!(outbox(&file).len(), 1);
    }

    #[test]
    fn a_file_that_was_changed_long_after_it_was_closed_is_taken_for_a_copy_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history.db");
        let (people, genesis, base) = room_of(2);
        let me = people[0].id();
        let open = || PeerStore::open_or_salvage(&file, me, "today", &Ed25519).unwrap();
        let (mut store, ..) = open();
        store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
        say(&mut store, &base, &people[0], 1, &["ours"]);
        store.note_closed();
        let (store, kept, _) = open();
        assert_eq!(kept.outbox, []);
        // A backup from an hour ago, in the same place of the disk.
        store.all.execute("UPDATE disk SET closed_ms = unixepoch('subsec') * 1000 - 3600000", []).unwrap();
        drop(store);
        assert_eq!(open().1.outbox.len(), 1);
        assert_eq!(open().1.outbox.len(), 1);
    }
}
