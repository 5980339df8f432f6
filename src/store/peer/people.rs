//! Whom we have met, and what was said between two: rows of `acquaintance` and `letter`. Sealed as all others are.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::rows::{as_stored, number, seal};
use super::{PeerStore, rows_of};
use crate::core::acquaintances::Acquaintance;
use crate::core::private::KeptConversation;
use crate::identity::{Name, PeerId};
use crate::limits::{NAMES_PER_KEY_MAX, SERIES_PER_AUTHOR_MAX};
use crate::store::sqlite::{StoreError, read};
use crate::wire::{Few, Letter, PrivateId, RoomId, Series, decode, encode};

/// A private message as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLetter {
    /// Its id.
    pub id: PrivateId,
    /// Whether it is ours.
    pub mine: bool,
    /// Whether it is known to have reached its reader.
    pub received: bool,
    /// What.
    pub letter: Letter,
}

/// Keeps what we know of a key.
pub(super) fn keep_acquaintance(to: &Connection, key: &PeerId, known: &Acquaintance) -> Result<(), StoreError> {
    let names: Few<Name, NAMES_PER_KEY_MAX> = Few::first_of(known.names.iter().cloned());
    let (first, names, verified) = (as_stored(known.first_seen_ms), encode(&names), known.verified_ms.map(as_stored));
    let sealed = acquaintance_seal(&key.0, first, &names, verified, known.ignored);
    to.execute(
        "INSERT OR REPLACE INTO acquaintance (key, first_seen_ms, names, verified_ms, ignored, seal) VALUES (?, ?, ?, ?, ?, ?)",
        params![key.0, first, names, verified, known.ignored, sealed],
    )?;
    Ok(())
}

fn acquaintance_seal(key: &[u8; 32], first: i64, names: &[u8], verified: Option<i64>, ignored: bool) -> [u8; 8] {
    let verified = verified.map_or(Vec::new(), |at| at.to_le_bytes().to_vec());
    seal(&[key, &first.to_le_bytes(), names, &verified, &[u8::from(ignored)]])
}

/// A row of `acquaintance`. One that was changed could make a stranger somebody verified.
pub(super) fn acquaintance(row: &Row<'_>) -> Result<(PeerId, Acquaintance), StoreError> {
    let (key, names): ([u8; 32], Vec<u8>) = (row.get("key")?, row.get("names")?);
    let (first, verified): (i64, Option<i64>) = (row.get("first_seen_ms")?, row.get("verified_ms")?);
    let ignored: bool = row.get("ignored")?;
    if row.get::<_, [u8; 8]>("seal")? != acquaintance_seal(&key, first, &names, verified, ignored) {
        return Err(StoreError::Damaged { what: "somebody we met" });
    }
    let names: Few<Name, NAMES_PER_KEY_MAX> = read(decode(&names), "a name")?;
    let known = Acquaintance {
        first_seen_ms: first.unsigned_abs(),
        names: names.into_vec(),
        verified_ms: verified.map(i64::unsigned_abs),
        ignored,
    };
    Ok((PeerId(key), known))
}

/// One row of `letter`.
#[derive(Debug, Clone)]
pub(super) struct LetterRow {
    pub room: RoomId,
    pub key: PeerId,
    pub mine: bool,
    pub series: Series,
    pub id: PrivateId,
    pub letter: Letter,
    pub received: bool,
    pub kept_ms: i64,
}

impl LetterRow {
    fn seal(&self, encoded: &[u8]) -> [u8; 8] {
        let flags = [u8::from(self.mine), u8::from(self.received)];
        seal(&[&self.room.0, &self.key.0, &self.series.0, &self.id.0, encoded, &flags])
    }
}

/// Keeps a private message; one that is there already stays as it is.
pub(super) fn keep_letter(to: &Connection, row: &LetterRow) -> Result<(), StoreError> {
    let encoded = encode(&row.letter);
    to.prepare_cached(
        "INSERT OR IGNORE INTO letter (room, key, mine, series, place, id, letter, received, kept_ms, seal)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        row.room.0,
        row.key.0,
        row.mine,
        row.series.0,
        as_stored(row.letter.number),
        row.id.0,
        encoded,
        row.received,
        row.kept_ms,
        row.seal(&encoded),
    ])?;
    Ok(())
}

/// A private message of ours to `with`, or theirs to us, as it is kept first.
pub(super) fn new_letter(
    room: RoomId,
    (with, me): (PeerId, PeerId),
    mine: bool,
    series: Series,
    letter: &Letter,
) -> LetterRow {
    let (from, to) = if mine { (me, with) } else { (with, me) };
    let id = letter.id(&room, &from, &to, &series);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let kept_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    LetterRow { room, key: with, mine, series, id, letter: letter.clone(), received: !mine, kept_ms }
}

/// Notes that our private messages of a series have arrived up to this number.
pub(super) fn keep_received(
    to: &Connection,
    room: &RoomId,
    by: &PeerId,
    series: &Series,
    up_to: u64,
) -> Result<(), StoreError> {
    let which =
        "SELECT * FROM letter WHERE room = ? AND key = ? AND mine = 1 AND received = 0 AND series = ? AND place <= ?";
    for mut arrived in rows_of(to, which, params![room.0, by.0, series.0, as_stored(up_to)], letter)? {
        arrived.received = true;
        let sealed = arrived.seal(&encode(&arrived.letter));
        to.prepare_cached("UPDATE letter SET received = 1, seal = ? WHERE id = ? AND mine = 1")?
            .execute(params![sealed, arrived.id.0])?;
    }
    Ok(())
}

/// A row of `letter`.
pub(super) fn letter(row: &Row<'_>) -> Result<LetterRow, StoreError> {
    let encoded: Vec<u8> = row.get("letter")?;
    let kept = LetterRow {
        room: RoomId(row.get("room")?),
        key: PeerId(row.get("key")?),
        mine: row.get("mine")?,
        series: Series(row.get("series")?),
        id: PrivateId(row.get("id")?),
        letter: read(decode(&encoded), "a private message")?,
        received: row.get("received")?,
        kept_ms: row.get("kept_ms")?,
    };
    let told = number(row, "place")? == kept.letter.number;
    if told && row.get::<_, [u8; 8]>("seal")? == kept.seal(&encoded) {
        Ok(kept)
    } else {
        Err(StoreError::Damaged { what: "a private message" })
    }
}

impl PeerStore {
    /// Whom we have met. Also in a run of which nothing stays: whose words were compared before is known in it.
    pub(super) fn acquaintances(&self) -> Result<Vec<(PeerId, Acquaintance)>, StoreError> {
        let disk = self.tips.as_ref().unwrap_or(&self.all);
        rows_of(disk, "SELECT * FROM acquaintance ORDER BY key", [], acquaintance)
    }

    /// All private conversations, as far as it takes to go on with them.
    pub(super) fn conversations(&self) -> Result<Vec<(RoomId, PeerId, KeptConversation)>, StoreError> {
        let mut all: BTreeMap<(RoomId, PeerId), KeptConversation> = BTreeMap::new();
        // Of one that begins series without end only the newest are read, as many as are remembered.
        let ends = format!(
            "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY room, key, mine ORDER BY newest DESC) AS back FROM
                 (SELECT room, key, mine, series, MAX(place) AS place, MAX(number) AS newest
                  FROM letter GROUP BY room, key, mine, series))
             WHERE back <= {SERIES_PER_AUTHOR_MAX} ORDER BY newest"
        );
        let ends = self.rows(&ends, [], |row| {
            let at = (RoomId(row.get("room")?), PeerId(row.get("key")?));
            Ok((at, row.get::<_, bool>("mine")?, Series(row.get("series")?), number(row, "place")?))
        })?;
        for (at, mine, series, up_to) in ends {
            let kept = all.entry(at).or_default();
            if mine {
                kept.series = Some((series, up_to));
            } else {
                kept.heard.push((series, up_to));
            }
        }
        let waiting = "SELECT * FROM letter WHERE mine = 1 AND received = 0 ORDER BY number";
        for row in self.rows(waiting, [], letter)? {
            let kept = all.entry((row.room, row.key)).or_default();
            // Of a series that was given up nothing is sent any more.
            if kept.series.is_some_and(|(series, _)| series == row.series) {
                kept.waiting.push(row.letter);
            }
        }
        Ok(all.into_iter().map(|((room, key), kept)| (room, key, kept)).collect())
    }

    /// The newest `count` private messages with one member, the oldest first, and how many there are before them.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn letters(&self, room: &RoomId, with: &PeerId, count: usize) -> Result<(Vec<KeptLetter>, u64), StoreError> {
        let newest = "SELECT * FROM letter WHERE room = ? AND key = ? ORDER BY number DESC LIMIT ?";
        let mut found = self.rows(newest, params![room.0, with.0, as_stored(count as u64)], |row| {
            let LetterRow { id, mine, received, letter, .. } = letter(row)?;
            Ok(KeptLetter { id, mine, received, letter })
        })?;
        found.reverse();
        let all: i64 = self.all.query_row(
            "SELECT COUNT(*) FROM letter WHERE room = ? AND key = ?",
            params![room.0, with.0],
            |row| row.get(0),
        )?;
        let more = all.unsigned_abs().saturating_sub(found.len() as u64);
        Ok((found, more))
    }
}

/// Forgets private messages kept before `older_than_ms`, but none that waits, nor the last of each of the newest series, which
/// says how far it is; whether there were any.
pub(super) fn forget_letters(on: &Connection, older_than_ms: i64) -> Result<bool, StoreError> {
    if older_than_ms == i64::MIN {
        return Ok(false);
    }
    let last_of_series = format!(
        "SELECT last FROM (SELECT MAX(number) AS last,
             ROW_NUMBER() OVER (PARTITION BY room, key, mine ORDER BY MAX(number) DESC) AS back
         FROM letter GROUP BY room, key, mine, series) WHERE back <= {SERIES_PER_AUTHOR_MAX}"
    );
    let forget = format!("DELETE FROM letter WHERE kept_ms < ? AND received = 1 AND number NOT IN ({last_of_series})");
    Ok(on.execute(&forget, [older_than_ms])? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::io::Change;
    use crate::wire::Bytes;

    const ROOM: RoomId = RoomId([5; 32]);
    const ME: PeerId = PeerId([1; 32]);
    const FROM: PeerId = PeerId([2; 32]);

    fn heard(series: u8, number: u64, text: &str) -> Change {
        let text: Bytes<_> = text.as_bytes().to_vec().try_into().unwrap();
        let letter = Letter { number, wall_ms: 0, salt: [0; 16], text };
        Change::PrivateHeard { room: ROOM, from: FROM, me: ME, series: Series([series; 16]), letter }
    }

    #[test]
    fn letters_count_as_their_author_s_part_of_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("peer.db");
        let mut store = PeerStore::open(&file).unwrap();
        let text = "x".repeat(1_000);
        store.apply(&[heard(1, 1, &text), heard(1, 2, &text)]).unwrap();
        let (of_room, of_author) = store.taken(&ROOM, &FROM);
        assert!(of_author >= 2_000 && of_room == of_author, "{of_author}");
        drop(store);
        let store = PeerStore::open(&file).unwrap();
        assert_eq!(store.taken(&ROOM, &FROM), (of_room, of_author), "weighed alike after a start");
    }

    #[test]
    fn of_series_without_end_the_newest_are_recalled_and_the_others_forgotten_with_age() {
        let mut store = PeerStore::in_memory().unwrap();
        let many: Vec<Change> = (0..40).map(|series| heard(series, 1, "hello")).collect();
        store.apply(&many).unwrap();
        let heard_of = |store: &PeerStore| store.conversations().unwrap().pop().unwrap().2.heard;
        let newest: Vec<_> = (36..40).map(|series| (Series([series; 16]), 1)).collect();
        assert_eq!(heard_of(&store), newest);
        assert!(forget_letters(&store.all, i64::MAX).unwrap());
        assert_eq!(store.letters(&ROOM, &FROM, 100).unwrap().0.len(), SERIES_PER_AUTHOR_MAX);
        assert_eq!(heard_of(&store), newest, "how far they are stays");
    }
}
