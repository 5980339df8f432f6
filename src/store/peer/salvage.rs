//! A damaged history: noticed, set aside with all that is in it, and what can still be read put into a new one.
//!
//! Of what was said that is every entry that fits its id and its author's signature. What is missing then is asked for again:
//! another's log ends at the first hole, and what is missing before its beginning, and anywhere in our own, is remembered as lost
//! ([`super::lost`]). Of our own the newest counts most, because no number may be used twice, and members are heard before the next. Our
//! seats are saved only if nothing of them can be missing: who forgets a signature of their own could sign against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row, params};

use super::copies::changed_ms;
use super::index::{self, row_of};
use super::people::{self, LetterRow};
use super::rows;
use super::runs::{self, kept_run};
use super::{PeerStore, damage, lost, outbox, rows_of};
use crate::core::acquaintances::Acquaintance;
use crate::core::consent::chain::Chain;
use crate::core::event::Rule;
use crate::core::io::{Kept, KeptRoom};
use crate::core::log::KeptEntry;
use crate::identity::{PeerId, Scheme, Signed};
use crate::store::sqlite::StoreError;
use crate::wire::{Body, RoomId, Roster, Tip};

/// Bytes of a page, as SQLite makes them unless told otherwise.
const PAGE_BYTES: usize = 4096;

/// What became of a damaged history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// What was wrong with it.
    pub why: String,
    /// Where it is now.
    pub aside: PathBuf,
    /// Texts and other entries that were saved.
    pub entries: u64,
    /// Whether our seats in rooms, and all that we had signed in them, were saved too.
    pub seats: bool,
}

impl PeerStore {
    /// Opens the database in `file`, or makes it, and reads what a peer goes on from. One that is damaged is set aside, with
    /// the day in its name, and replaced by what could be saved of it.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses, or the file is of another version.
    pub fn open_or_salvage(
        file: &Path,
        me: PeerId,
        day: &str,
        scheme: &dyn Scheme,
    ) -> Result<(PeerStore, Kept, Option<Salvaged>), StoreError> {
        match open_checked(file, me) {
            Ok((store, kept)) => Ok((store, kept, None)),
            Err(why) if why.is_damage() || why.is_too_old() => {
                let (store, salvaged) = PeerStore::salvage(file, me, day, scheme, &why)?;
                let kept = store.load()?;
                Ok((store, kept, Some(salvaged)))
            }
            Err(why) => Err(why),
        }
    }

    /// Sets the database in `file` aside, which nobody has open any more, and saves what can be read of it into a new one.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses.
    pub fn salvage(
        file: &Path,
        me: PeerId,
        day: &str,
        scheme: &dyn Scheme,
        why: &StoreError,
    ) -> Result<(PeerStore, Salvaged), StoreError> {
        let aside = set_aside(file, day)?;
        let mut store = PeerStore { own: Some(me), ..PeerStore::open(file)? };
        let found = match read_all(&aside) {
            // What was in its tables meant something else.
            _ if why.is_too_old() => Found::default(),
            Some(found) => found,
            None => read_all_by_a_new_schema(&aside, file, &store).unwrap_or_default(),
        };
        let (entries, seats) = put_back(&mut store, found, me, scheme)?;
        store.look_for_copy(file, me, 0)?;
        store.index_all()?;
        store.weigh()?;
        Ok((store, Salvaged { why: why.to_string(), aside, entries, seats }))
    }
}

fn open_checked(file: &Path, me: PeerId) -> Result<(PeerStore, Kept), StoreError> {
    let wal = beside(file, "-wal");
    let size = |file: &Path| fs::metadata(file).map(|metadata| metadata.len()).ok();
    // No program of this kind leaves it empty, or leaves a journal of nothing.
    if size(file) == Some(0) || (size(file).is_none() && size(&wal).is_some_and(|size| size > 0)) {
        return Err(StoreError::Empty);
    }
    if size(file).is_some() {
        // Which versions of SQLite may read and write it: with another number there it can be opened, and never written.
        let mut versions = [0; 2];
        let read = File::open(file)?.read_exact_at(&mut versions, 18);
        if read.is_err() || versions.iter().any(|version| !(1..=2).contains(version)) {
            return Err(StoreError::Damaged { what: "a header" });
        }
    }
    // Whoever closes it well leaves no journal.
    let unclean = size(&wal).is_some_and(|size| size > 0);
    let changed_ms = changed_ms(file);
    let mut store = PeerStore { own: Some(me), ..PeerStore::open(file)? };
    if unclean {
        let verdict: String = store.all.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Damaged { what: "a page" });
        }
    }
    store.look_for_copy(file, me, changed_ms)?;
    lost::forget_found(&store.all)?;
    let kept = store.load()?;
    Ok((store, kept))
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Renames the file and its journal; neither is ever written again.
fn set_aside(file: &Path, day: &str) -> io::Result<PathBuf> {
    let names = (1..).map(|n| if n == 1 { format!(".damaged-{day}") } else { format!(".damaged-{day}-{n}") });
    let mut names = names.map(|end| beside(file, &end));
    let taken = |aside: &PathBuf| aside.exists() || beside(aside, "-wal").exists();
    let aside = names.find(|aside| !taken(aside)).unwrap_or_else(|| beside(file, ".damaged"));
    for end in ["", "-wal"] {
        match fs::rename(beside(file, end), beside(&aside, end)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
    }
    // What is in it is about a file of that name, and is made anew.
    let _ = fs::remove_file(beside(file, "-shm"));
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
    Ok(aside)
}

/// An entry, when it was kept, and whether it is on another branch.
type FoundEntry = (i64, bool, KeptEntry);

/// All that could be read, each row with a seal that fits.
#[derive(Default)]
struct Found {
    rooms: BTreeMap<RoomId, (bool, KeptRoom)>,
    /// Whether nothing of the rooms can be missing.
    rooms_whole: bool,
    known: Vec<(RoomId, crate::identity::RoomName)>,
    people: Vec<(RoomId, PeerId, crate::identity::Name)>,
    tips: Vec<KeptEntry>,
    past: Vec<Roster>,
    rules: Vec<(RoomId, PeerId, Rule)>,
    acquaintances: Vec<(PeerId, Acquaintance)>,
    letters: Vec<LetterRow>,
    addresses: Vec<(RoomId, PeerId, Vec<SocketAddr>)>,
    outbox: Vec<(RoomId, Option<Body>)>,
    /// By where they stand.
    entries: BTreeMap<i64, FoundEntry>,
    /// The number of the last row of entries that there was.
    newest: i64,
    /// Up to which number each log was removed because it is old.
    passed: BTreeMap<(RoomId, PeerId), u64>,
}

/// `None` when not even the tables are found.
fn read_all(file: &Path) -> Option<Found> {
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
    let passed = both_ways(&source, "passed", "room, author", |row| {
        Ok(((RoomId(row.get("room")?), PeerId(row.get("author")?)), rows::number(row, "last")?))
    });
    found.passed = passed.0.into_iter().collect();
    Some(found)
}

/// As [`read_all`], when the pages are broken that tell which tables there are and where they begin. A new database has its
/// tables in the same places, so its own pages do for a copy.
fn read_all_by_a_new_schema(aside: &Path, file: &Path, new: &PeerStore) -> Option<Found> {
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

/// Puts what was found into a new database: how many entries it took, and whether the seats.
fn put_back(store: &mut PeerStore, found: Found, me: PeerId, scheme: &dyn Scheme) -> Result<(u64, bool), StoreError> {
    let Found { rooms, rooms_whole, known, people: named, tips, past, rules, .. } = found;
    let Found { acquaintances, letters, addresses, outbox: texts, entries, passed, newest, .. } = found;
    let seats = rooms_whole && rooms.values().all(|(_, room)| is_sound(room, scheme));
    let transaction = store.all.transaction()?;
    let to = &*transaction;
    if seats {
        for (id, (gone, room)) in rooms {
            rows::keep_room(to, &room.genesis, &room.base)?;
            rows::keep_counter(to, &id, room.head_counter)?;
            for ((step, note), epoch) in room.steps.iter().zip(room.base.epoch + 1..) {
                rows::keep_step(to, &id, epoch, step, note)?;
            }
            for (proposal, consent) in &room.consents {
                rows::keep_consent(to, &id, proposal, consent)?;
            }
            if gone {
                rows::end_seat(to, &id)?;
            }
        }
    }
    // In their order, in which the rooms stand again afterwards.
    known.iter().try_for_each(|(room, name)| rows::keep_known(to, room, name))?;
    named.iter().try_for_each(|(room, key, name)| rows::keep_person(to, room, key, name))?;
    past.iter().try_for_each(|roster| rows::keep_past(to, roster))?;
    rules.iter().try_for_each(|(room, key, rule)| rows::keep_rule(to, room, key, *rule))?;
    acquaintances.iter().try_for_each(|(key, known)| people::keep_acquaintance(to, key, known))?;
    letters.iter().try_for_each(|letter| people::keep_letter(to, letter))?;
    let texts = outbox::by_room(texts);
    for (room, texts) in &texts {
        outbox::keep(to, room, texts)?;
    }
    // The ends of our own logs may be lost, too: members are heard before anything is written.
    let ours = known.iter().map(|(room, _)| *room).chain(entries.values().map(|(_, _, kept)| kept.entry.room));
    let ours: BTreeSet<RoomId> = ours.chain(tips.iter().map(|tip| tip.entry.room)).collect();
    for room in ours.iter().filter(|own| !texts.iter().any(|(room, _)| room == *own)) {
        outbox::keep(to, room, &[])?;
    }
    for of_one_room in addresses.chunk_by(|before, after| before.0 == after.0) {
        let Some((room, ..)) = of_one_room.first() else { continue };
        let addresses: Vec<_> = of_one_room.iter().map(|(_, key, addresses)| (*key, addresses.clone())).collect();
        rows::keep_addresses(to, room, &addresses)?;
    }
    tips.iter().try_for_each(|tip| rows::keep_tip(to, &tip.entry.room, tip))?;
    for ((room, author), last) in &passed {
        lost::keep_passed(to, room, author, *last)?;
    }

    let mut logs: BTreeMap<(RoomId, PeerId), Vec<(i64, &KeptEntry)>> = BTreeMap::new();
    // Our own may have lost everything but the place of its end.
    logs.extend(tips.iter().map(|tip| ((tip.entry.room, tip.entry.author), Vec::new())));
    let (mut sound, mut gone) = (Vec::new(), damage::Rows { newest, ..damage::Rows::default() });
    let mut in_order: Vec<((RoomId, PeerId), Vec<i64>)> = Vec::new();
    for (number, (_, forked, kept)) in &entries {
        if *forked {
            // Each stands for itself, and only proves something if it is signed.
            sound.extend(is_signed(kept, scheme).then_some(*number));
            continue;
        }
        logs.entry((kept.entry.room, kept.entry.author)).or_default().push((*number, kept));
    }
    for ((room, author), log) in logs {
        let SoundLog { numbers, hole } = verified(log, scheme);
        // Our own goes on behind it, since its newest counts.
        if let Some((after, up_to)) = hole.filter(|_| author != me) {
            let values = params![room.0, author.0, rows::as_stored(after), rows::as_stored(up_to)];
            to.execute("INSERT INTO hole (room, author, after, up_to) VALUES (?, ?, ?, ?)", values)?;
        }
        sound.extend(&numbers);
        in_order.push(((room, author), numbers));
    }
    sound.sort_unstable();
    for row in entries.keys().collect::<Vec<_>>().chunk_by(|before, after| row_of(**before).0 == row_of(**after).0) {
        let number = row.first().map_or(0, |at| row_of(**at).0);
        let saved = row.iter().filter(|at| sound.binary_search(at).is_ok()).count();
        gone.kept.extend((saved > 0).then_some(number));
        gone.broken.extend((saved > 0 && saved < row.len()).then_some(number));
    }
    for ((room, author), numbers) in in_order {
        let log = numbers.iter().filter_map(|at| Some((row_of(*at).0, &*entries.get(at)?.2.entry)));
        let end = tips.iter().find(|tip| (tip.entry.room, tip.entry.author) == (room, author));
        let around = damage::Around {
            passed: passed.get(&(room, author)).copied().unwrap_or(0),
            end: end.map_or(0, |tip| tip.entry.seq),
            own: author == me,
        };
        // It is asked for beside what comes.
        gone.lost(&log.collect::<Vec<_>>(), around)
            .into_iter()
            .try_for_each(|lost| lost::keep(to, &room, &author, lost))?;
    }
    let count = sound.len() as u64;
    // What was one row, and is whole, is one row again.
    for row in sound.chunk_by(|before, after| row_of(*before).0 == row_of(*after).0) {
        let found: Vec<&FoundEntry> = row.iter().filter_map(|at| entries.get(at)).collect();
        let Some((kept_ms, forked, _)) = found.first() else { continue };
        let kept: Vec<KeptEntry> = found.iter().map(|(_, _, kept)| kept.clone()).collect();
        for row in runs::in_rows(&kept) {
            let Some(room) = row.first().map(|kept| kept.entry.room) else { continue };
            let new = runs::keep_run(to, &room, row, *forked)?;
            to.prepare_cached("UPDATE run SET kept_ms = ? WHERE number = ?")?.execute([*kept_ms, new.number])?;
        }
    }
    transaction.commit()?;
    Ok((count, seats))
}

/// Whether a room is what its members signed, from its first roster to its last.
fn is_sound(room: &KeptRoom, scheme: &dyn Scheme) -> bool {
    let Ok(genesis) = room.genesis.clone().verify(scheme) else { return false };
    Chain::reopen(genesis, room.base.clone(), room.steps.iter().map(|(step, _)| step.clone()), scheme).is_ok()
}

/// What is sound of one author's log.
#[derive(Debug, PartialEq, Eq)]
struct SoundLog {
    /// Where its entries stand.
    numbers: Vec<i64>,
    /// Where entries are missing: after this number in the log, with more up to that one.
    hole: Option<(u64, u64)>,
}

/// The entries of one author that their signatures vouch for.
fn verified(mut log: Vec<(i64, &KeptEntry)>, scheme: &dyn Scheme) -> SoundLog {
    log.sort_by_key(|(_, kept)| kept.entry.seq);
    let mut numbers = Vec::new();
    let mut hole = None;
    let mut newest: Option<&KeptEntry> = None;
    let mut run: Vec<(i64, &KeptEntry)> = Vec::new();
    for (number, kept) in log {
        if run.last().is_some_and(|(_, before)| !follows(before, kept)) {
            // Nobody's signature is left for these.
            run.clear();
        }
        run.push((number, kept));
        match kept.signature {
            Some(_) if is_signed(kept, scheme) => {}
            // The place of one that was forgotten stands for itself, at the beginning.
            None if rows::is_only_place(kept) && numbers.is_empty() => {}
            Some(_) => {
                run.clear();
                continue;
            }
            None => continue,
        }
        let (_, first) = run[0];
        if let (Some(newest), None) = (newest, hole)
            && !follows(newest, first)
        {
            hole = Some(newest.entry.seq);
        }
        newest = Some(kept);
        numbers.extend(run.drain(..).map(|(number, _)| number));
    }
    SoundLog { numbers, hole: hole.zip(newest.map(|newest| newest.entry.seq)) }
}

fn is_signed(kept: &KeptEntry, scheme: &dyn Scheme) -> bool {
    let tip = Tip { room: kept.entry.room, author: kept.entry.author, id: kept.id };
    kept.signature.is_some_and(|signature| Signed::from_parts(tip, signature).verify(scheme).is_ok())
}

/// Whether nothing that this client may have lies between two entries of one author.
fn follows(before: &KeptEntry, after: &KeptEntry) -> bool {
    if before.entry.seq + 1 == after.entry.seq {
        return after.entry.previous == before.id;
    }
    // What lies between was for others only.
    before.entry.seq < after.entry.seq && before.entry.audience != after.entry.previous_audience
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
