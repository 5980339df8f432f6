//! What a rendezvous keeps, in one SQLite file: names and rooms.
//!
//! A change that [`RendezvousStore::apply`] has returned from survives the machine: the journal is written ahead and synced
//! on every commit. Signed and hashed things are kept as the bytes that travel, so what is on disk is a wire format and
//! stays readable as long as the wire is.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::sqlite::{self, Schema, StoreError, read};
use crate::core::rendezvous::{Change, Kept, KeptName, KeptRoom, PastStep};
use crate::identity::PeerId;
use crate::wire::{RoomId, RosterHash, decode, encode};

/// Epochs are kept as SQLite's signed integers, in whose order small ones stay.
const TABLES: &str = "
    CREATE TABLE names (skeleton TEXT PRIMARY KEY, key BLOB NOT NULL, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE rooms (room BLOB PRIMARY KEY, genesis BLOB NOT NULL, roster BLOB NOT NULL) STRICT;
    CREATE TABLE steps (
        room BLOB NOT NULL REFERENCES rooms (room) ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        from_roster BLOB NOT NULL,
        step BLOB NOT NULL,
        PRIMARY KEY (room, epoch)
    ) STRICT;
";

const SCHEMA: Schema = Schema { format: 2, create: TABLES };

/// The file.
#[derive(Debug)]
pub struct RendezvousStore(Connection);

impl RendezvousStore {
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be opened, or is of a later version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        sqlite::open(Some(path), &SCHEMA).map(RendezvousStore)
    }

    /// A store that ends with the process, for tests and for servers that keep nothing.
    ///
    /// # Errors
    /// [`StoreError::Database`] when SQLite has no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        sqlite::open(None, &SCHEMA).map(RendezvousStore)
    }

    /// All that is kept.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read, or isn't what this program writes.
    pub fn load(&self) -> Result<Kept, StoreError> {
        let mut kept = Kept { names: self.names()?, rooms: BTreeMap::new() };
        let mut rooms = self.0.prepare("SELECT room, genesis, roster FROM rooms")?;
        let mut rows = rooms.query([])?;
        while let Some(row) = rows.next()? {
            let room = RoomId(row.get(0)?);
            let genesis = read(decode(row.get_ref(1)?.as_blob().unwrap_or_default()), "a genesis")?;
            let roster = read(decode(row.get_ref(2)?.as_blob().unwrap_or_default()), "a roster")?;
            kept.rooms.insert(room, KeptRoom { genesis, roster, steps: Vec::new() });
        }
        let mut steps = self.0.prepare("SELECT room, epoch, from_roster, step FROM steps ORDER BY room, epoch")?;
        let mut rows = steps.query([])?;
        while let Some(row) = rows.next()? {
            let epoch = row.get::<_, i64>(1)?.cast_unsigned();
            let step = read(decode(row.get_ref(3)?.as_blob().unwrap_or_default()), "a step")?;
            let step = PastStep { from: RosterHash(row.get(2)?), epoch, step };
            if let Some(room) = kept.rooms.get_mut(&RoomId(row.get(0)?)) {
                room.steps.push(step);
            }
        }
        Ok(kept)
    }

    fn names(&self) -> Result<BTreeMap<String, KeptName>, StoreError> {
        let mut names = self.0.prepare("SELECT skeleton, key, name FROM names")?;
        let mut rows = names.query([])?;
        let mut kept = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let name = row.get::<_, String>(2)?.parse().map_err(|_| StoreError::Damaged { what: "a name" })?;
            kept.insert(row.get(0)?, KeptName { key: PeerId(row.get(1)?), name });
        }
        Ok(kept)
    }

    /// Keeps changes, all or none of them, in their order. When this returns they are on disk.
    ///
    /// # Errors
    /// [`StoreError::Database`] when they could not be kept; then none is.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let all_at_once = self.0.transaction()?;
        changes.iter().try_for_each(|change| apply(&all_at_once, change))?;
        Ok(all_at_once.commit()?)
    }
}

fn apply(to: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::NameTaken { skeleton, holder } => {
            let values = params![skeleton, holder.key.0, holder.name.as_str()];
            to.prepare_cached("INSERT OR REPLACE INTO names VALUES (?1, ?2, ?3)")?.execute(values)?;
        }
        Change::NameFreed { skeleton } => {
            to.prepare_cached("DELETE FROM names WHERE skeleton = ?1")?.execute([skeleton])?;
        }
        Change::RoomKept(room) => {
            let id = room.roster.room;
            forget(to, id)?;
            let values = params![id.0, encode(&room.genesis), encode(&room.roster)];
            to.prepare_cached("INSERT INTO rooms VALUES (?1, ?2, ?3)")?.execute(values)?;
            room.steps.iter().try_for_each(|step| add_step(to, id, step))?;
        }
        Change::RoomMoved { room, step, roster, oldest } => {
            let values = params![room.0, encode(roster)];
            to.prepare_cached("UPDATE rooms SET roster = ?2 WHERE room = ?1")?.execute(values)?;
            add_step(to, *room, step)?;
            let values = params![room.0, oldest.cast_signed()];
            to.prepare_cached("DELETE FROM steps WHERE room = ?1 AND epoch < ?2")?.execute(values)?;
        }
        Change::RoomGone(room) => forget(to, *room)?,
    }
    Ok(())
}

fn add_step(to: &Transaction<'_>, room: RoomId, past: &PastStep) -> Result<(), StoreError> {
    let values = params![room.0, past.epoch.cast_signed(), past.from.0, encode(&past.step)];
    to.prepare_cached("INSERT OR REPLACE INTO steps VALUES (?1, ?2, ?3, ?4)")?.execute(values)?;
    Ok(())
}

fn forget(to: &Transaction<'_>, room: RoomId) -> Result<(), StoreError> {
    to.prepare_cached("DELETE FROM rooms WHERE room = ?1")?.execute([room.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::roster::verify_step;
    use crate::core::consent::testing::{knock_at, person, room_of, step_signed_by};
    use crate::identity::{Ed25519, Name, Signer};

    #[test]
    fn what_was_applied_is_there_after_a_restart_and_what_was_given_up_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.db");
        let (people, genesis, base) = room_of(2);
        let room = base.room;
        let step = step_signed_by(&knock_at(&base, &person(9), "nina"), &people);
        let next = verify_step(&base, &step, genesis.size, &Ed25519).unwrap();
        let kept = KeptRoom { genesis: genesis.into_signed(), roster: base.clone(), steps: Vec::new() };
        let past = PastStep { from: base.hash(), epoch: base.epoch, step };

        let mut store = RendezvousStore::open(&path).unwrap();
        let moved = |oldest| Change::RoomMoved { room, step: past.clone(), roster: next.clone(), oldest };
        store.apply(&[taken("ann", 1), taken("bob", 2), Change::RoomKept(kept.clone()), moved(0)]).unwrap();
        drop(store);

        let mut store = RendezvousStore::open(&path).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.names.keys().collect::<Vec<_>>(), ["ann", "bob"]);
        assert_eq!(loaded.names["bob"].key, person(2).id());
        let expected = KeptRoom { roster: next.clone(), steps: vec![past.clone()], ..kept };
        assert_eq!(loaded.rooms, BTreeMap::from([(room, expected)]));

        store.apply(&[Change::NameFreed { skeleton: "ann".into() }, moved(base.epoch + 1)]).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.names.len(), 1);
        assert!(loaded.rooms[&room].steps.is_empty(), "steps before the oldest one are given up");

        store.apply(&[moved(0), Change::RoomGone(room)]).unwrap();
        assert!(store.load().unwrap().rooms.is_empty());
        assert_eq!(count(&store, "steps"), 0, "a room takes its steps along");
    }

    #[test]
    fn changes_that_fail_leave_nothing_behind() {
        let mut store = RendezvousStore::in_memory().unwrap();
        store
            .0
            .execute_batch("CREATE TRIGGER full BEFORE DELETE ON names BEGIN SELECT RAISE(ABORT, 'full'); END")
            .unwrap();
        store.apply(&[taken("ann", 1)]).unwrap();
        let failing = [taken("bob", 2), Change::NameFreed { skeleton: "ann".into() }];
        assert!(matches!(store.apply(&failing), Err(StoreError::Database(_))));
        assert_eq!(store.load().unwrap().names.into_keys().collect::<Vec<_>>(), ["ann"]);
    }

    #[test]
    fn a_file_of_a_later_version_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
        assert!(matches!(RendezvousStore::open(&path), Err(StoreError::OtherFormat { found: 9, .. })));
    }

    #[test]
    fn damage_is_told_and_never_a_panic() {
        let store = RendezvousStore::in_memory().unwrap();
        store.0.execute("INSERT INTO rooms VALUES (zeroblob(32), x'00', x'00')", []).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Damaged { what: "a genesis" })));
        let store = RendezvousStore::in_memory().unwrap();
        store.0.execute("INSERT INTO names VALUES ('x', zeroblob(32), 'no name')", []).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Damaged { what: "a name" })));
        let store = RendezvousStore::in_memory().unwrap();
        store.0.execute("INSERT INTO names VALUES ('x', x'00', 'x')", []).unwrap();
        assert!(store.load().is_err());
    }

    fn taken(name: &str, number: u8) -> Change {
        let holder = KeptName { key: person(number).id(), name: name.parse::<Name>().unwrap() };
        Change::NameTaken { skeleton: name.into(), holder }
    }

    fn count(store: &RendezvousStore, table: &str) -> i64 {
        store.0.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}
