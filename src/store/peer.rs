//! A peer's rooms and history.
//!
//! One [`PeerStore::apply`] is one transaction: all of its changes are on disk when it returns, or none is.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::sqlite::{self, StoreError, read};
use crate::core::event::Rule;
use crate::core::io::{Change, Kept, KeptRoom, StepNote};
use crate::core::log::{AuthorLog, KeptEntry, Place};
use crate::identity::{PeerId, Signature, Signed};
use crate::limits::{RECENT_ENTRIES_MAX, RUN_ENTRIES_MAX};
use crate::wire::{Consent, EntryId, Proposal, RoomId, RosterHash, Step, decode, encode};

/// What is written here is read by later versions: columns are added, never changed. Blobs are postcard, as on the wire.
const SCHEMA: &str = "
    CREATE TABLE room (
        id BLOB PRIMARY KEY,
        genesis BLOB NOT NULL,
        base BLOB NOT NULL,
        head_counter INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE step (
        room BLOB NOT NULL REFERENCES room (id) ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        step BLOB NOT NULL,
        note BLOB NOT NULL,
        PRIMARY KEY (room, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE rule (
        room BLOB NOT NULL,
        key BLOB NOT NULL,
        rule INTEGER NOT NULL,
        PRIMARY KEY (room, key)
    ) WITHOUT ROWID;
    CREATE TABLE consent (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        room BLOB NOT NULL REFERENCES room (id) ON DELETE CASCADE,
        proposal BLOB NOT NULL,
        consent BLOB NOT NULL
    );
    CREATE INDEX consent_by_room ON consent (room);
    CREATE TABLE entry (
        room BLOB NOT NULL,
        author BLOB NOT NULL,
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        audience BLOB NOT NULL,
        entry BLOB NOT NULL,
        signature BLOB,
        epoch INTEGER NOT NULL,
        depth INTEGER NOT NULL,
        PRIMARY KEY (room, author, seq)
    ) WITHOUT ROWID;
";

/// The database of one peer.
#[derive(Debug)]
pub struct PeerStore(Connection);

impl PeerStore {
    /// Opens the database in `file`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be opened, or is of a later version.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        sqlite::open(Some(file), SCHEMA).map(PeerStore)
    }

    /// A database that is gone with the process.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        sqlite::open(None, SCHEMA).map(PeerStore)
    }

    /// Keeps all of `changes`, in order, or none.
    ///
    /// # Errors
    /// [`StoreError`] when the disk or the database refuses; nothing was kept, then.
    pub fn apply<'c>(&mut self, changes: impl IntoIterator<Item = &'c Change>) -> Result<(), StoreError> {
        let transaction = self.0.transaction()?;
        for change in changes {
            apply(&transaction, change)?;
        }
        Ok(transaction.commit()?)
    }

    /// Everything that a peer needs to go on where it stopped.
    ///
    /// # Errors
    /// [`StoreError`] when a row is damaged.
    pub fn load(&self) -> Result<Kept, StoreError> {
        Ok(Kept { rooms: self.rooms()?, logs: self.logs()?, rules: self.rules()? })
    }

    fn rules(&self) -> Result<Vec<(RoomId, PeerId, Rule)>, StoreError> {
        let mut query = self.0.prepare("SELECT room, key, rule FROM rule ORDER BY room, key")?;
        let rows =
            query.query_map([], |row| Ok((RoomId(row.get(0)?), PeerId(row.get(1)?), rule_of_stored(row.get(2)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn rooms(&self) -> Result<Vec<KeptRoom>, StoreError> {
        let mut query = self.0.prepare("SELECT id, genesis, base, head_counter FROM room ORDER BY id")?;
        let mut rows = query.query([])?;
        let mut rooms = Vec::new();
        while let Some(row) = rows.next()? {
            let id: [u8; 32] = row.get(0)?;
            let (genesis, base): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
            let counter: i64 = row.get(3)?;
            rooms.push(KeptRoom {
                genesis: read(decode(&genesis), "a genesis")?,
                base: read(decode(&base), "a roster")?,
                steps: self.steps(&id)?,
                consents: self.consents(&id)?,
                head_counter: counter.unsigned_abs(),
            });
        }
        Ok(rooms)
    }

    fn steps(&self, room: &[u8; 32]) -> Result<Vec<(Step, StepNote)>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT step, note FROM step WHERE room = ? ORDER BY epoch")?;
        let mut rows = query.query([room])?;
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            let step = read(decode(&row.get::<_, Vec<u8>>(0)?), "a step")?;
            // What was noted beside it is only shown.
            let note = postcard::from_bytes(&row.get::<_, Vec<u8>>(1)?).unwrap_or_default();
            steps.push((step, note));
        }
        Ok(steps)
    }

    fn consents(&self, room: &[u8; 32]) -> Result<Vec<(Proposal, Signed<Consent>)>, StoreError> {
        let mut query =
            self.0.prepare_cached("SELECT proposal, consent FROM consent WHERE room = ? ORDER BY number")?;
        let mut rows = query.query([room])?;
        let mut consents = Vec::new();
        while let Some(row) = rows.next()? {
            let (proposal, consent): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            consents.push((read(decode(&proposal), "a proposal")?, read(decode(&consent), "a consent")?));
        }
        Ok(consents)
    }

    fn logs(&self) -> Result<Vec<(RoomId, PeerId, AuthorLog)>, StoreError> {
        let mut query = self.0.prepare("SELECT DISTINCT room, author FROM entry")?;
        let authors = query.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, [u8; 32]>(1)?)))?;
        let mut logs = Vec::new();
        for author in authors {
            let (room, author) = author?;
            let log = AuthorLog::reopen(self.audiences(&room, &author)?, self.newest(&room, &author)?);
            logs.push((RoomId(room), PeerId(author), log));
        }
        Ok(logs)
    }

    fn audiences(&self, room: &[u8; 32], author: &[u8; 32]) -> Result<Vec<(u64, RosterHash)>, StoreError> {
        let mut query = self.0.prepare_cached(
            "SELECT MIN(seq), audience FROM entry WHERE room = ? AND author = ? GROUP BY audience ORDER BY MIN(seq)",
        )?;
        let rows = query.query_map([room, author], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), RosterHash(row.get::<_, [u8; 32]>(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn newest(&self, room: &[u8; 32], author: &[u8; 32]) -> Result<Vec<KeptEntry>, StoreError> {
        let mut newest = self.entries(
            "SELECT id, entry, signature, epoch, depth FROM entry WHERE room = ?1 AND author = ?2 AND seq >= ?3
             ORDER BY seq DESC LIMIT ?4",
            (room, author, 0, RECENT_ENTRIES_MAX),
        )?;
        newest.reverse();
        Ok(newest)
    }

    /// Entries of one author in a row, from number `from` on, oldest first: as many as one run may have.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn fetch(&self, room: &RoomId, author: &PeerId, from: u64) -> Result<Vec<KeptEntry>, StoreError> {
        self.entries(
            "SELECT id, entry, signature, epoch, depth FROM entry WHERE room = ?1 AND author = ?2 AND seq >= ?3
             ORDER BY seq LIMIT ?4",
            (&room.0, &author.0, from, RUN_ENTRIES_MAX),
        )
    }

    fn entries(
        &self,
        query: &str,
        (room, author, from, limit): (&[u8; 32], &[u8; 32], u64, usize),
    ) -> Result<Vec<KeptEntry>, StoreError> {
        let mut query = self.0.prepare_cached(query)?;
        let mut rows = query.query(params![room, author, as_stored(from), as_stored(limit as u64)])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(KeptEntry {
                id: EntryId(row.get(0)?),
                entry: read(decode(&row.get::<_, Vec<u8>>(1)?), "an entry")?,
                signature: row.get::<_, Option<[u8; 64]>>(2)?.map(|bytes| Signature::from_bytes(&bytes)),
                place: Place {
                    epoch: row.get::<_, i64>(3)?.unsigned_abs(),
                    depth: row.get::<_, i64>(4)?.unsigned_abs(),
                },
            });
        }
        Ok(entries)
    }
}

fn apply(transaction: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Entered { genesis, base } => {
            // Whoever comes back to a room they had left begins a new chain.
            transaction.execute("DELETE FROM room WHERE id = ?", [&base.room.0])?;
            transaction.execute(
                "INSERT INTO room (id, genesis, base) VALUES (?, ?, ?)",
                params![base.room.0, encode(genesis), encode(base)],
            )?;
        }
        Change::Moved { room, epoch, step, note } => {
            transaction.execute("DELETE FROM consent WHERE room = ?", [&room.0])?;
            transaction.execute(
                "INSERT INTO step (room, epoch, step, note) VALUES (?, ?, ?, ?)",
                params![room.0, as_stored(*epoch), encode(step), postcard::to_stdvec(note).unwrap_or_default()],
            )?;
        }
        Change::Consented { room, proposal, consent } => {
            transaction.execute(
                "INSERT INTO consent (room, proposal, consent) SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM room WHERE id = ?1)",
                params![room.0, encode(proposal), encode(consent)],
            )?;
        }
        Change::HeadCounter { room, counter } => {
            transaction
                .execute("UPDATE room SET head_counter = ? WHERE id = ?", params![as_stored(*counter), room.0])?;
        }
        Change::Rule { room, key, rule: Rule::Ask } => {
            transaction.execute("DELETE FROM rule WHERE room = ? AND key = ?", [&room.0, &key.0])?;
        }
        Change::Rule { room, key, rule } => {
            transaction.execute(
                "INSERT OR REPLACE INTO rule (room, key, rule) VALUES (?, ?, ?)",
                params![room.0, key.0, stored_rule(*rule)],
            )?;
        }
        Change::Entries { room, entries } => keep_entries(transaction, room, entries)?,
        Change::Gone { room } => {
            transaction.execute("DELETE FROM room WHERE id = ?", [&room.0])?;
        }
    }
    Ok(())
}

fn keep_entries(transaction: &Transaction<'_>, room: &RoomId, entries: &[KeptEntry]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO entry (room, author, seq, id, audience, entry, signature, epoch, depth)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for KeptEntry { entry, id, signature, place } in entries {
        insert.execute(params![
            room.0,
            entry.author.0,
            as_stored(entry.seq),
            id.0,
            entry.audience.0,
            encode(entry),
            signature.map(|signature| signature.to_bytes()),
            as_stored(place.epoch),
            as_stored(place.depth),
        ])?;
    }
    Ok(())
}

fn stored_rule(rule: Rule) -> i64 {
    match rule {
        Rule::Ask | Rule::Session => 0,
        Rule::Always => 1,
        Rule::Never => 2,
        Rule::Follow => 3,
    }
}

fn rule_of_stored(stored: i64) -> Rule {
    match stored {
        1 => Rule::Always,
        2 => Rule::Never,
        3 => Rule::Follow,
        _ => Rule::Ask,
    }
}

/// SQLite's integers are signed. Numbers beyond them are out of reach of anything that counts; a liar's is cut.
fn as_stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::testing::*;
    use crate::identity::{Ed25519, Signer as _, Verified};
    use crate::wire::Decision;

    #[test]
    fn a_room_comes_back_as_it_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("peer.db");
        let (people, genesis, base) = room_of(2);
        let step = step_signed_by(&knock_at(&base, &person(9), "nina"), &people);
        let consent = Consent {
            room: base.room,
            roster: base.hash(),
            proposal: step.proposal.hash(),
            by: people[0].id(),
            decision: Decision::No,
        };
        let consent = Verified::sign(consent, &people[0]).into_signed();
        let room = base.room;
        let mut store = PeerStore::open(&file).unwrap();
        let consented = Change::Consented { room, proposal: step.proposal.clone(), consent: consent.clone() };
        store
            .apply(&[
                Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() },
                consented.clone(),
                Change::Moved {
                    room,
                    epoch: base.epoch + 1,
                    step: step.clone(),
                    note: StepNote { at_ms: 5, ..StepNote::default() },
                },
                consented,
                Change::HeadCounter { room, counter: 7 },
            ])
            .unwrap();
        drop(store);

        let kept = PeerStore::open(&file).unwrap().load().unwrap();
        let [kept] = &kept.rooms[..] else { panic!("one room") };
        assert!(kept.genesis.clone().verify(&Ed25519).is_ok());
        assert_eq!(
            (&kept.base, &kept.steps),
            (&base, &vec![(step.clone(), StepNote { at_ms: 5, ..StepNote::default() })])
        );
        assert_eq!(kept.consents, vec![(step.proposal, consent)], "the one before the step is over");
        assert_eq!(kept.head_counter, 7);
    }

    #[test]
    fn a_failed_change_leaves_nothing_of_its_batch() {
        let (_, genesis, base) = room_of(1);
        let mut store = PeerStore::in_memory().unwrap();
        let entered = Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() };
        let step = step_signed_by(&knock_at(&base, &person(9), "nina"), &[person(1)]);
        let moved = Change::Moved { room: base.room, epoch: 1, step, note: StepNote::default() };
        assert!(store.apply(&[entered, moved.clone(), moved]).is_err());
        assert!(store.load().unwrap().rooms.is_empty());
    }

    #[test]
    fn leaving_forgets_the_room_but_not_what_was_said() {
        use crate::core::consent::chain::Chain;
        use crate::core::log::Log;
        let (people, genesis, base) = room_of(1);
        let mut store = PeerStore::in_memory().unwrap();
        let chain = Chain::found(genesis.clone());
        let texts = (0..700).map(|n| crate::wire::Body::text(&n.to_string()).unwrap());
        let entries = Log::default().write(texts, &chain, &people[0], 0, || [0; 16]);
        store
            .apply(&[
                Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() },
                Change::Entries { room: base.room, entries: entries.clone() },
                Change::Gone { room: base.room },
            ])
            .unwrap();
        let kept = store.load().unwrap();
        assert!(kept.rooms.is_empty());
        let [(_, _, log)] = &kept.logs[..] else { panic!("one log") };
        assert_eq!(log.head(), entries.last());
        let fetched = store.fetch(&base.room, &people[0].id(), 65).unwrap();
        assert_eq!(fetched, entries[64..128]);
    }
}
