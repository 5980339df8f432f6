//! What was found in a damaged history, put into a new one: entries that their author's signature vouches for, seats that are whole, and
//! what is missing.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::found::{Found, FoundEntry};
use super::index::row_of;
use super::people;
use super::rows;
use super::runs;
use super::{PeerStore, damage, lost, outbox};
use crate::core::consent::chain::Chain;
use crate::core::io::KeptRoom;
use crate::core::log::KeptEntry;
use crate::identity::{PeerId, Scheme, Signed};
use crate::store::sqlite::StoreError;
use crate::wire::{RoomId, Tip};

/// Puts what was found into a new database: how many entries it took, and whether the seats.
pub(super) fn put_back(
    store: &mut PeerStore,
    found: Found,
    me: PeerId,
    scheme: &dyn Scheme,
) -> Result<(u64, bool), StoreError> {
    let seats = found.rooms_whole && found.rooms.values().all(|(_, room)| is_sound(room, scheme));
    let transaction = store.all.transaction()?;
    if seats {
        put_seats(&transaction, &found.rooms)?;
    }
    put_people(&transaction, &found)?;
    put_waiting(&transaction, &found)?;
    let logs = sound_logs(&found, scheme);
    let count = put_entries(&transaction, &found.entries, &logs.sound)?;
    put_missing(&transaction, &found, &logs, me)?;
    transaction.commit()?;
    Ok((count, seats))
}

fn put_seats(to: &Connection, rooms: &BTreeMap<RoomId, (bool, KeptRoom)>) -> Result<(), StoreError> {
    for (id, (gone, room)) in rooms {
        rows::keep_room(to, &room.genesis, &room.base)?;
        rows::keep_counter(to, id, room.head_counter)?;
        for ((step, note), epoch) in room.steps.iter().zip(room.base.epoch + 1..) {
            rows::keep_step(to, id, epoch, step, note)?;
        }
        for (proposal, consent) in &room.consents {
            rows::keep_consent(to, id, proposal, consent)?;
        }
        if *gone {
            rows::end_seat(to, id)?;
        }
    }
    Ok(())
}

/// Whom we met, how they are called and answered, what was said in private, and where they were.
fn put_people(to: &Connection, found: &Found) -> Result<(), StoreError> {
    // In their order, in which the rooms stand again afterwards.
    found.known.iter().try_for_each(|(room, name)| rows::keep_known(to, room, name))?;
    found.people.iter().try_for_each(|(room, key, name)| rows::keep_person(to, room, key, name))?;
    found.past.iter().try_for_each(|roster| rows::keep_past(to, roster))?;
    found.rules.iter().try_for_each(|(room, key, rule)| rows::keep_rule(to, room, key, *rule))?;
    found.acquaintances.iter().try_for_each(|(key, known)| people::keep_acquaintance(to, key, known))?;
    found.letters.iter().try_for_each(|letter| people::keep_letter(to, letter))?;
    for of_one_room in found.addresses.chunk_by(|before, after| before.0 == after.0) {
        let Some((room, ..)) = of_one_room.first() else { continue };
        let addresses: Vec<_> = of_one_room.iter().map(|(_, key, addresses)| (*key, addresses.clone())).collect();
        rows::keep_addresses(to, room, &addresses)?;
    }
    Ok(())
}

/// Texts that wait, and where our own logs end, as far as we know: members are heard before anything is written.
fn put_waiting(to: &Connection, found: &Found) -> Result<(), StoreError> {
    let waiting = outbox::by_room(found.outbox.clone());
    waiting.iter().try_for_each(|(room, texts)| outbox::keep(to, room, texts))?;
    let rooms = found.known.iter().map(|(room, _)| *room);
    let rooms = rooms.chain(found.entries.values().map(|(_, _, kept)| kept.entry.room));
    let rooms: BTreeSet<RoomId> = rooms.chain(found.tips.iter().map(|tip| tip.entry.room)).collect();
    for room in rooms.iter().filter(|room| !waiting.iter().any(|(with_texts, _)| with_texts == *room)) {
        outbox::keep(to, room, &[])?;
    }
    found.tips.iter().try_for_each(|tip| rows::keep_tip(to, &tip.entry.room, tip))
}

/// All logs, and what is sound of them.
struct SoundLogs {
    /// By room and author.
    logs: BTreeMap<(RoomId, PeerId), SoundLog>,
    /// Where all their entries stand, and those of other branches, in ascending order.
    sound: Vec<i64>,
}

fn sound_logs(found: &Found, scheme: &dyn Scheme) -> SoundLogs {
    let mut logs: BTreeMap<(RoomId, PeerId), Vec<(i64, &KeptEntry)>> = BTreeMap::new();
    // Our own may have lost everything but the place of its end.
    logs.extend(found.tips.iter().map(|tip| ((tip.entry.room, tip.entry.author), Vec::new())));
    let mut sound = Vec::new();
    for (number, (_, forked, kept)) in &found.entries {
        if *forked {
            // Each stands for itself, and only proves something if it is signed.
            sound.extend(is_signed(kept, scheme).then_some(*number));
        } else {
            logs.entry((kept.entry.room, kept.entry.author)).or_default().push((*number, kept));
        }
    }
    let logs: BTreeMap<_, _> = logs.into_iter().map(|(whose, log)| (whose, verified(log, scheme))).collect();
    sound.extend(logs.values().flat_map(|log| &log.numbers));
    sound.sort_unstable();
    SoundLogs { logs, sound }
}

/// Puts back these entries; how many.
fn put_entries(to: &Connection, entries: &BTreeMap<i64, FoundEntry>, sound: &[i64]) -> Result<u64, StoreError> {
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
    Ok(sound.len() as u64)
}

/// Notes what is missing: another's log ends at its first hole, and the rest is asked for beside what comes.
fn put_missing(to: &Connection, found: &Found, logs: &SoundLogs, me: PeerId) -> Result<(), StoreError> {
    for ((room, author), last) in &found.passed {
        lost::keep_passed(to, room, author, *last)?;
    }
    for ((room, author), range) in &found.lost {
        lost::keep(to, room, author, *range)?;
    }
    let mut rows = damage::Rows { newest: found.newest, ..damage::Rows::default() };
    let places: Vec<i64> = found.entries.keys().copied().collect();
    for row in places.chunk_by(|before, after| row_of(*before).0 == row_of(*after).0) {
        let number = row.first().map_or(0, |at| row_of(*at).0);
        let saved = row.iter().filter(|at| logs.sound.binary_search(at).is_ok()).count();
        rows.kept.extend((saved > 0).then_some(number));
        rows.broken.extend((saved > 0 && saved < row.len()).then_some(number));
    }
    for (whose, SoundLog { numbers, hole }) in &logs.logs {
        let (room, author) = whose;
        // Our own goes on behind it, since its newest counts.
        if let Some((after, up_to)) = hole.filter(|_| *author != me) {
            let values = params![room.0, author.0, rows::as_stored(after), rows::as_stored(up_to)];
            to.execute("INSERT INTO hole (room, author, after, up_to) VALUES (?, ?, ?, ?)", values)?;
        }
        let log = numbers.iter().filter_map(|at| Some((row_of(*at).0, &*found.entries.get(at)?.2.entry)));
        let end = found.tips.iter().find(|tip| (tip.entry.room, tip.entry.author) == *whose);
        let around = damage::Around {
            passed: found.passed.get(whose).copied().unwrap_or(0),
            end: end.map_or(0, |tip| tip.entry.seq),
            own: *author == me,
        };
        for lost in rows.lost(&log.collect::<Vec<_>>(), around) {
            lost::keep(to, room, author, lost)?;
        }
    }
    Ok(())
}

/// Whether a room is what its members signed, from its first roster to its last.
fn is_sound(room: &KeptRoom, scheme: &dyn Scheme) -> bool {
    let Ok(genesis) = room.genesis.clone().verify(scheme) else { return false };
    Chain::reopen(genesis, room.base.clone(), room.steps.iter().map(|(step, _)| step.clone()), scheme).is_ok()
}

/// What is sound of one author's log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SoundLog {
    /// Where its entries stand.
    pub numbers: Vec<i64>,
    /// Where entries are missing: after this number in the log, with more up to that one.
    pub hole: Option<(u64, u64)>,
}

/// The entries of one author that their signatures vouch for.
pub(super) fn verified(mut log: Vec<(i64, &KeptEntry)>, scheme: &dyn Scheme) -> SoundLog {
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
