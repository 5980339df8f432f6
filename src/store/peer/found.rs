//! What can still be read of a damaged history: each row whose seal fits, from both ends of its table to where it is broken.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

use super::index::{self, row_of};
use super::people::{self, LetterRow};
use super::rows;
use super::runs::kept_run;
use super::salvage::{PAGE_BYTES, beside};
use super::{PeerStore, outbox, rows_of};
use crate::core::acquaintances::Acquaintance;
use crate::core::event::Rule;
use crate::core::io::KeptRoom;
use crate::core::log::KeptEntry;
use crate::identity::PeerId;
use crate::store::sqlite::StoreError;
use crate::wire::{Body, RoomId, Roster};

/// An entry, when it was kept, and whether it is on another branch.
pub(super) type FoundEntry = (i64, bool, KeptEntry);

/// All that could be read, each row with a seal that fits.
#[derive(Default)]
pub(super) struct Found {
    pub rooms: BTreeMap<RoomId, (bool, KeptRoom)>,
    /// Whether nothing of the rooms can be missing.
    pub rooms_whole: bool,
    pub known: Vec<(RoomId, crate::identity::RoomName)>,
    pub people: Vec<(RoomId, PeerId, crate::identity::Name)>,
    pub tips: Vec<KeptEntry>,
    pub past: Vec<Roster>,
    pub rules: Vec<(RoomId, PeerId, Rule)>,
    pub acquaintances: Vec<(PeerId, Acquaintance)>,
    pub letters: Vec<LetterRow>,
    pub addresses: Vec<(RoomId, PeerId, Vec<SocketAddr>)>,
    pub outbox: Vec<(RoomId, Option<Body>)>,
    /// By where they stand.
    pub entries: BTreeMap<i64, FoundEntry>,
    /// The number of the last row of entries that there was.
    pub newest: i64,
    /// First and last numbers of what was lost before, and has perhaps not come back.
    pub lost: Vec<((RoomId, PeerId), (u64, u64))>,
    /// Up to which number each log was removed because it is old.
    pub passed: BTreeMap<(RoomId, PeerId), u64>,
}

/// `None` when not even the tables are found.
pub(super) fn read_all(file: &Path) -> Option<Found> {
    let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    source.pragma_update(None, "temp_store", "MEMORY").ok()?;
    source.prepare("SELECT * FROM run").ok()?;
    let mut found = Found { rooms_whole: true, ..Found::default() };
    let (rooms, whole) = both_ways(&source, "room", "id", rows::room);
    found.rooms_whole &= whole;
    found.rooms = rooms.into_iter().collect();
    let (steps, whole) = both_ways(&source, "step", "room, epoch", rows::step);
    found.rooms_whole &= whole;
    let mut steps: Vec<_> = steps.into_iter().map(|(room, epoch, step, note)| ((room, epoch), (step, note))).collect();
    steps.sort_by_key(|(at, _)| *at);
    for ((room, _), step) in steps {
        found.rooms.entry(room).and_modify(|(_, kept)| kept.steps.push(step));
    }
    let (consents, whole) = both_ways(&source, "consent", "number", rows::consent);
    found.rooms_whole &= whole;
    for (room, proposal, consent) in consents {
        found.rooms.entry(room).and_modify(|(_, kept)| kept.consents.push((proposal, consent)));
    }
    found.known = both_ways(&source, "known", "number", rows::known).0;
    found.people = both_ways(&source, "person", "room, key", rows::person).0;
    found.tips = both_ways(&source, "tip", "room, author", rows::tip).0;
    found.past = both_ways(&source, "past", "room, epoch, hash", rows::past).0;
    found.rules = both_ways(&source, "rule", "room, key", rows::rule).0;
    found.acquaintances = both_ways(&source, "acquaintance", "key", people::acquaintance).0;
    found.letters = both_ways(&source, "letter", "number", people::letter).0;
    found.addresses = both_ways(&source, "address", "room, key", rows::address).0.into_iter().flatten().collect();
    found.outbox = both_ways(&source, "outbox", "number", outbox::row).0;
    found.entries = entries_of(&source);
    let counted = source.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'run'", [], |row| row.get(0));
    let last = found.entries.last_key_value().map_or(0, |(at, _)| row_of(*at).0);
    found.newest = last.max(counted.unwrap_or(0));
    let lost = both_ways(&source, "lost", "room, author, last", |row| {
        let whose = (RoomId(row.get("room")?), PeerId(row.get("author")?));
        Ok((whose, (rows::number(row, "first")?, rows::number(row, "last")?)))
    });
    found.lost = lost.0;
    let passed = both_ways(&source, "passed", "room, author", |row| {
        Ok(((RoomId(row.get("room")?), PeerId(row.get("author")?)), rows::number(row, "last")?))
    });
    found.passed = passed.0.into_iter().collect();
    Some(found)
}

/// As [`read_all`], when the pages are broken that tell which tables there are and where they begin. A new database has its
/// tables in the same places, so its own pages do for a copy.
pub(super) fn read_all_by_a_new_schema(aside: &Path, file: &Path, new: &PeerStore) -> Option<Found> {
    new.all.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok()?;
    let pages = rows_of(&new.all, "SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'", [], |row| {
        Ok(u64::from(row.get::<_, u32>(0)?))
    });
    let copy = beside(file, ".salvage");
    let found = (|| {
        let patched = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&copy).ok()?;
        let bytes = io::copy(&mut File::open(aside).ok()?, &mut &patched).ok()?;
        let new = File::open(file).ok()?;
        for number in pages.ok()? {
            let mut page = [0; PAGE_BYTES];
            let at = (number - 1) * PAGE_BYTES as u64;
            new.read_exact_at(&mut page, at).ok()?;
            if number == 1 {
                // How many pages there are; the list of free ones is lost, which only a writer would miss.
                page[28..32].copy_from_slice(&u32::try_from(bytes / PAGE_BYTES as u64).ok()?.to_be_bytes());
                page[32..40].fill(0);
            }
            patched.write_all_at(&page, at).ok()?;
        }
        if beside(aside, "-wal").exists() {
            fs::copy(beside(aside, "-wal"), beside(&copy, "-wal")).ok()?;
        }
        read_all(&copy)
    })();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(&copy, end));
    }
    found
}

/// The rows of a small table from both ends to where it is broken, in its order, and whether none can be missing.
fn both_ways<T>(
    source: &Connection,
    table: &str,
    order: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError> + Copy,
) -> (Vec<T>, bool) {
    let descending = order.split(", ").map(|column| format!("{column} DESC")).collect::<Vec<_>>().join(", ");
    let (mut rows, whole) = until_broken(source, &format!("SELECT * FROM {table} ORDER BY {order}"), read);
    let sound = rows.iter().all(Option::is_some);
    if !whole {
        let (mut rest, _) = until_broken(source, &format!("SELECT * FROM {table} ORDER BY {descending}"), read);
        rest.reverse();
        rows.append(&mut rest);
    }
    (rows.into_iter().flatten().collect(), whole && sound)
}

/// Rows up to the first place that can't be read, `None` for one that its seal doesn't fit; and whether that was the end.
fn until_broken<T>(
    source: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> (Vec<Option<T>>, bool) {
    let mut all = Vec::new();
    let Ok(mut query) = source.prepare(query) else { return (all, false) };
    let Ok(mut rows) = query.query([]) else { return (all, false) };
    loop {
        match rows.next() {
            Ok(Some(row)) => all.push(read(row).ok()),
            Ok(None) => return (all, true),
            Err(_) => return (all, false),
        }
    }
}

/// Every entry that can be reached: from both ends, and what lies between where these stop, row by row.
fn entries_of(source: &Connection) -> BTreeMap<i64, FoundEntry> {
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>("number")?, kept_run(row).ok()));
    let (up, whole) = until_broken(source, "SELECT * FROM run ORDER BY number", read);
    let mut found: Vec<_> = up.into_iter().flatten().collect();
    if !whole {
        let (down, _) = until_broken(source, "SELECT * FROM run ORDER BY number DESC", read);
        let down: Vec<_> = down.into_iter().flatten().collect();
        let newest = source.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'run'", [], |row| row.get(0));
        let after = found.last().map_or(1, |(number, _)| number.saturating_add(1));
        let before = down.last().map_or(newest.unwrap_or(0_i64).saturating_add(1), |(number, _)| *number);
        found.extend(down);
        for number in after..before.min(after.saturating_add(BETWEEN_MAX)) {
            found.extend(rows_of(source, "SELECT * FROM run WHERE number = ?", [number], read).unwrap_or_default());
        }
    }
    let runs = found.into_iter().filter_map(|(_, run)| run);
    runs.flat_map(|run| {
        let (kept_ms, forked) = (run.kept_ms, run.forked);
        (index::at(run.number)..).zip(run.entries.into_iter().map(move |kept| (kept_ms, forked, kept)))
    })
    .collect()
}

/// Rows that are looked for one by one: a second's work, and far more than a broken page holds.
const BETWEEN_MAX: i64 = 200_000;
