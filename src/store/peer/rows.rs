//! Rows, in and out. Each carries a seal, so that a byte that a disk has changed is noticed when the row is read: SQLite itself
//! finds a broken page, but not a broken letter.
//!
//! A seal guards against accidents, not against people: who can write this file can read the identity beside it.

use std::net::SocketAddr;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use sha2::{Digest as _, Sha256};

use crate::core::event::Rule;
use crate::core::io::{KeptRoom, StepNote};
use crate::core::log::{KeptEntry, Place};
use crate::identity::{Name, PeerId, RoomName, Signed};
use crate::limits::{CANDIDATES_MAX, PASSED_ROSTERS_MAX};
use crate::store::sqlite::{StoreError, read};
use crate::wire::{
    Body, Bytes, Consent, Entry, EntryId, Few, Genesis, Proposal, RoomId, Roster, RosterHash, Step, decode, encode,
};

/// The checksum of a row: what of SHA-256 is more than enough against accidents.
pub(super) fn seal(parts: &[&[u8]]) -> [u8; 8] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut seal = [0; 8];
    seal.copy_from_slice(&hash.finalize()[..8]);
    seal
}

pub(super) fn check(row: &Row<'_>, column: &str, parts: &[&[u8]], what: &'static str) -> Result<(), StoreError> {
    let kept: [u8; 8] = row.get(column)?;
    if kept == seal(parts) { Ok(()) } else { Err(StoreError::Damaged { what }) }
}

/// SQLite's integers are signed. Numbers beyond them are out of reach of anything that counts; a liar's is cut.
pub(super) fn as_stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn number(row: &Row<'_>, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| StoreError::Damaged { what: "a number" })
}

/// Keeps a room that was entered, and what everybody in it is called. Whoever comes back to a room they had left begins a
/// new chain.
pub(super) fn keep_room(to: &Connection, genesis: &Signed<Genesis>, base: &Roster) -> Result<(), StoreError> {
    let (room, name) = (base.room, genesis.unverified().name.clone());
    let (genesis, encoded) = (encode(genesis), encode(base));
    to.execute("DELETE FROM room WHERE id = ?", [&room.0])?;
    to.execute(
        "INSERT INTO room (id, genesis, base, seal, head_counter, counter_seal) VALUES (?, ?, ?, ?, 0, x'')",
        params![room.0, genesis, encoded, seal(&[&room.0, &genesis, &encoded])],
    )?;
    keep_counter(to, &room, 0)?;
    keep_known(to, &room, &name)?;
    base.members.iter().try_for_each(|member| keep_person(to, &room, &member.key, &member.name))
}

/// Keeps what a room is called; it is the newest of its name from now on.
pub(super) fn keep_known(to: &Connection, room: &RoomId, name: &RoomName) -> Result<(), StoreError> {
    to.execute("DELETE FROM known WHERE room = ?", [&room.0])?;
    let values = params![room.0, name.as_str(), seal(&[&room.0, name.as_str().as_bytes()])];
    to.execute("INSERT INTO known (room, name, seal) VALUES (?, ?, ?)", values)?;
    Ok(())
}

/// A row of `known`: which room, and what it is called.
pub(super) fn known(row: &Row<'_>) -> Result<(RoomId, RoomName), StoreError> {
    let (room, name): ([u8; 32], String) = (row.get("room")?, row.get("name")?);
    check(row, "seal", &[&room, name.as_bytes()], "a room's name")?;
    Ok((RoomId(room), name.parse().map_err(|_| StoreError::Damaged { what: "a room's name" })?))
}

/// Keeps what somebody is called in a room, for good: what they said outlives their seat.
pub(super) fn keep_person(to: &Connection, room: &RoomId, key: &PeerId, name: &Name) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO person (room, key, name, seal) VALUES (?, ?, ?, ?)")?;
    insert.execute(params![room.0, key.0, name.as_str(), seal(&[&room.0, &key.0, name.as_str().as_bytes()])])?;
    Ok(())
}

/// A row of `person`.
pub(super) fn person(row: &Row<'_>) -> Result<(RoomId, PeerId, Name), StoreError> {
    let (room, key, name): ([u8; 32], [u8; 32], String) = (row.get("room")?, row.get("key")?, row.get("name")?);
    check(row, "seal", &[&room, &key, name.as_bytes()], "a name")?;
    Ok((RoomId(room), PeerId(key), name.parse().map_err(|_| StoreError::Damaged { what: "a name" })?))
}

/// Keeps the counter of our newest head.
pub(super) fn keep_counter(to: &Connection, room: &RoomId, counter: u64) -> Result<(), StoreError> {
    let sealed = counter_seal(&room.0, as_stored(counter), false);
    to.prepare_cached("UPDATE room SET head_counter = ?, counter_seal = ? WHERE id = ? AND gone = 0")?
        .execute(params![as_stored(counter), sealed, room.0])?;
    Ok(())
}

fn counter_seal(room: &[u8; 32], counter: i64, gone: bool) -> [u8; 8] {
    seal(&[room, &counter.to_le_bytes(), &[u8::from(gone)]])
}

/// Our seat is no more; how the room came to its members, as far as we were there, outlives it.
pub(super) fn end_seat(to: &Connection, room: &RoomId) -> Result<(), StoreError> {
    to.execute("DELETE FROM consent WHERE room = ?", [&room.0])?;
    to.execute("DELETE FROM address WHERE room = ?", [&room.0])?;
    let sealed = counter_seal(&room.0, 0, true);
    to.execute("UPDATE room SET gone = 1, head_counter = 0, counter_seal = ? WHERE id = ?", params![sealed, room.0])?;
    Ok(())
}

/// A room as it was kept, and whether we have left it.
pub(super) type RoomRow = (RoomId, (bool, KeptRoom));

/// A row of `room`, still without its steps and consents.
pub(super) fn room(row: &Row<'_>) -> Result<RoomRow, StoreError> {
    let id: [u8; 32] = row.get("id")?;
    let (genesis, base): (Vec<u8>, Vec<u8>) = (row.get("genesis")?, row.get("base")?);
    check(row, "seal", &[&id, &genesis, &base], "a room")?;
    let head_counter = number(row, "head_counter")?;
    let gone: bool = row.get("gone")?;
    if row.get::<_, [u8; 8]>("counter_seal")? != counter_seal(&id, as_stored(head_counter), gone) {
        return Err(StoreError::Damaged { what: "a counter" });
    }
    let (genesis, base) = (read(decode(&genesis), "a genesis")?, read(decode(&base), "a roster")?);
    let kept = KeptRoom { genesis, base, steps: Vec::new(), consents: Vec::new(), head_counter };
    Ok((RoomId(id), (gone, kept)))
}

/// Keeps a step, and what whoever came in by it is called.
pub(super) fn keep_step(
    to: &Connection,
    room: &RoomId,
    epoch: u64,
    step: &Step,
    note: &StepNote,
) -> Result<(), StoreError> {
    let (epoch, encoded) = (as_stored(epoch), encode(step));
    let note = postcard::to_stdvec(note).unwrap_or_default();
    let sealed = seal(&[&room.0, &epoch.to_le_bytes(), &encoded, &note]);
    to.execute(
        "INSERT INTO step (room, epoch, step, note, seal) VALUES (?, ?, ?, ?, ?)",
        params![room.0, epoch, encoded, note, sealed],
    )?;
    match &step.proposal {
        Proposal::Admit(knock) => keep_person(to, room, &knock.unverified().key, &knock.unverified().name),
        Proposal::Drop(_) => Ok(()),
    }
}

/// A row of `step`.
pub(super) fn step(row: &Row<'_>) -> Result<(RoomId, u64, Step, StepNote), StoreError> {
    let (room, encoded): ([u8; 32], Vec<u8>) = (row.get("room")?, row.get("step")?);
    let (epoch, note) = (number(row, "epoch")?, row.get::<_, Vec<u8>>("note")?);
    check(row, "seal", &[&room, &as_stored(epoch).to_le_bytes(), &encoded, &note], "a step")?;
    // What was noted beside it is only shown.
    let note = postcard::from_bytes(&note).unwrap_or_default();
    Ok((RoomId(room), epoch, read(decode(&encoded), "a step")?, note))
}

/// Keeps how somebody's knocks are answered; to ask is the same as nothing.
pub(super) fn keep_rule(to: &Connection, room: &RoomId, key: &PeerId, rule: Rule) -> Result<(), StoreError> {
    to.execute("DELETE FROM rule WHERE room = ? AND key = ?", [&room.0, &key.0])?;
    if rule != Rule::Ask {
        let stored = stored_rule(rule);
        let sealed = seal(&[&room.0, &key.0, &stored.to_le_bytes()]);
        let values = params![room.0, key.0, stored, sealed];
        to.execute("INSERT INTO rule (room, key, rule, seal) VALUES (?, ?, ?, ?)", values)?;
    }
    Ok(())
}

/// A row of `rule`. One that was changed could let somebody in.
pub(super) fn rule(row: &Row<'_>) -> Result<(RoomId, PeerId, Rule), StoreError> {
    let (room, key, stored): ([u8; 32], [u8; 32], i64) = (row.get("room")?, row.get("key")?, row.get("rule")?);
    check(row, "seal", &[&room, &key, &stored.to_le_bytes()], "a rule")?;
    Ok((RoomId(room), PeerId(key), rule_of_stored(stored)))
}

/// Keeps where the members of a room were reached, in the place of what was kept before.
pub(super) fn keep_addresses(
    to: &Connection,
    room: &RoomId,
    addresses: &[(PeerId, Vec<SocketAddr>)],
) -> Result<(), StoreError> {
    to.execute("DELETE FROM address WHERE room = ?", [&room.0])?;
    let mut insert = to.prepare_cached("INSERT INTO address (room, key, addresses, seal) VALUES (?, ?, ?, ?)")?;
    for (key, addresses) in addresses {
        let encoded = encode(&Few::<_, CANDIDATES_MAX>::first_of(addresses.iter().copied()));
        insert.execute(params![room.0, key.0, encoded, seal(&[&room.0, &key.0, &encoded])])?;
    }
    Ok(())
}

/// A row of `address`; `None` for one that is damaged, since it is only a hint.
pub(super) fn address(row: &Row<'_>) -> Result<Option<(RoomId, PeerId, Vec<SocketAddr>)>, StoreError> {
    let (room, key): ([u8; 32], [u8; 32]) = (row.get("room")?, row.get("key")?);
    let encoded: Vec<u8> = row.get("addresses")?;
    if check(row, "seal", &[&room, &key, &encoded], "an address").is_err() {
        return Ok(None);
    }
    let addresses: Option<Few<SocketAddr, CANDIDATES_MAX>> = decode(&encoded).ok();
    Ok(addresses.map(|addresses| (RoomId(room), PeerId(key), addresses.into_vec())))
}

/// Keeps a roster from before our chain, for the audiences of old entries.
pub(super) fn keep_past(to: &Connection, roster: &Roster) -> Result<(), StoreError> {
    let (hash, encoded) = (roster.hash(), encode(roster));
    let values = params![roster.room.0, as_stored(roster.epoch), hash.0, encoded];
    to.prepare_cached("INSERT OR IGNORE INTO past (room, epoch, hash, roster) VALUES (?, ?, ?, ?)")?.execute(values)?;
    Ok(())
}

/// A row of `past`, which is sealed by its own hash.
pub(super) fn past(row: &Row<'_>) -> Result<Roster, StoreError> {
    let roster: Roster = read(decode(&row.get::<_, Vec<u8>>("roster")?), "a roster")?;
    let hash: [u8; 32] = row.get("hash")?;
    if roster.hash().0 == hash { Ok(roster) } else { Err(StoreError::Damaged { what: "a roster" }) }
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

/// Keeps a consent over the current roster.
pub(super) fn keep_consent(
    to: &Connection,
    room: &RoomId,
    proposal: &Proposal,
    consent: &Signed<Consent>,
) -> Result<(), StoreError> {
    let (proposal, consent) = (encode(proposal), encode(consent));
    let sealed = seal(&[&room.0, &proposal, &consent]);
    to.execute(
        "INSERT INTO consent (room, proposal, consent, seal)
         SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM room WHERE id = ?1 AND gone = 0)",
        params![room.0, proposal, consent, sealed],
    )?;
    Ok(())
}

/// The room has moved on to roster `epoch`: its consents are of the past, and those from long ago go.
pub(super) fn pass_consents(to: &Connection, room: &RoomId, epoch: u64) -> Result<(), StoreError> {
    let epoch = as_stored(epoch);
    to.execute("UPDATE consent SET passed = ? WHERE room = ? AND passed IS NULL", params![epoch, room.0])?;
    let kept = PASSED_ROSTERS_MAX as i64;
    to.execute("DELETE FROM consent WHERE room = ? AND passed <= ?", params![room.0, epoch - kept])?;
    Ok(())
}

/// A row of `consent`.
pub(super) fn consent(row: &Row<'_>) -> Result<(RoomId, Proposal, Signed<Consent>), StoreError> {
    let room: [u8; 32] = row.get("room")?;
    let (proposal, consent): (Vec<u8>, Vec<u8>) = (row.get("proposal")?, row.get("consent")?);
    check(row, "seal", &[&room, &proposal, &consent], "a consent")?;
    let (proposal, consent) = (read(decode(&proposal), "a proposal")?, read(decode(&consent), "a consent")?);
    Ok((RoomId(room), proposal, consent))
}

/// Keeps of an entry only its number and id, from which its author's log goes on, in the place of an earlier one; never of a later one.
pub(super) fn keep_tip(to: &Connection, room: &RoomId, kept: &KeptEntry) -> Result<(), StoreError> {
    to.prepare_cached(
        "INSERT INTO tip (room, author, seq, id, audience, epoch, depth, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET seq = excluded.seq, id = excluded.id, audience = excluded.audience,
             epoch = excluded.epoch, depth = excluded.depth, seal = excluded.seal
         WHERE excluded.seq > seq",
    )?
    .execute(params![
        room.0,
        kept.entry.author.0,
        as_stored(kept.entry.seq),
        kept.id.0,
        kept.entry.audience.0,
        as_stored(kept.place.epoch),
        as_stored(kept.place.depth),
        tip_seal(room, kept),
    ])?;
    Ok(())
}

fn tip_seal(room: &RoomId, kept: &KeptEntry) -> [u8; 8] {
    let KeptEntry { entry, id, place, .. } = kept;
    seal(&[
        &room.0,
        &entry.author.0,
        &as_stored(entry.seq).to_le_bytes(),
        &id.0,
        &entry.audience.0,
        &as_stored(place.epoch).to_le_bytes(),
        &as_stored(place.depth).to_le_bytes(),
    ])
}

/// A row of `tip`.
pub(super) fn tip(row: &Row<'_>) -> Result<KeptEntry, StoreError> {
    let room = RoomId(row.get("room")?);
    let place = Place { epoch: number(row, "epoch")?, depth: number(row, "depth")? };
    let (author, audience) = (PeerId(row.get("author")?), RosterHash(row.get("audience")?));
    let kept = only_place(room, author, number(row, "seq")?, audience, EntryId(row.get("id")?), place);
    let sealed: [u8; 8] = row.get("seal")?;
    if sealed == tip_seal(&room, &kept) { Ok(kept) } else { Err(StoreError::Damaged { what: "the end of a log" }) }
}

/// An entry whose text is gone: only author, number, audience, id and place are true. Enough to go on from, and nothing that
/// could be given to anybody, since it is unsigned.
pub(super) fn only_place(
    room: RoomId,
    author: PeerId,
    seq: u64,
    audience: RosterHash,
    id: EntryId,
    place: Place,
) -> KeptEntry {
    let entry = Entry {
        room,
        author,
        seq,
        previous: EntryId([0; 32]),
        audience,
        previous_audience: RosterHash([0; 32]),
        seen: Few::default(),
        depth: 0,
        wall_ms: 0,
        salt: [0; 16],
        body: Body { kind: 0, bytes: Bytes::default() },
    };
    KeptEntry { entry: Arc::new(entry), id, signature: None, place }
}

/// Whether this is what [`only_place`] makes of an entry whose text is gone.
pub(super) fn is_only_place(kept: &KeptEntry) -> bool {
    kept.entry.body.kind == 0 && kept.entry.previous == EntryId([0; 32]) && kept.signature.is_none()
}
