//! A disk that loses what was not synced. It folds changes into what is kept exactly as `src/store/peer.rs` does; a
//! property test holds the two against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use p2pchat::core::event::Rule;
use p2pchat::core::io::{Change, Kept, KeptRoom, StepNote};
use p2pchat::core::log::{AuthorLog, KeptEntry, Known};
use p2pchat::identity::{PeerId, Signed};
use p2pchat::limits::{FORKED_ENTRIES_MAX, PASSED_ROSTERS_MAX, RECENT_ENTRIES_MAX, RUN_ENTRIES_MAX};
use p2pchat::wire::{Body, Consent, EntryId, Genesis, Proposal, RoomId, Roster, RosterHash, Step};

/// Why a change can never be kept, however often it is tried.
pub type Refused = &'static str;

#[derive(Debug, Clone)]
struct Room {
    genesis: Signed<Genesis>,
    base: Roster,
    steps: BTreeMap<u64, (Step, StepNote)>,
    /// Each with the number of the roster that made it a thing of the past.
    consents: Vec<(Option<u64>, Proposal, Signed<Consent>)>,
    head_counter: u64,
}

/// What is on one client's disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    rooms: BTreeMap<RoomId, Room>,
    logs: BTreeMap<(RoomId, PeerId), BTreeMap<u64, KeptEntry>>,
    /// Where each entry of those logs is.
    by_id: BTreeMap<(RoomId, EntryId), (PeerId, u64)>,
    forks: BTreeMap<(RoomId, PeerId), BTreeMap<(u64, EntryId), KeptEntry>>,
    rules: BTreeMap<(RoomId, PeerId), Rule>,
    addresses: BTreeMap<(RoomId, PeerId), Vec<SocketAddr>>,
    past: BTreeMap<(RoomId, u64, RosterHash), Roster>,
    outbox: BTreeMap<RoomId, Vec<Body>>,
    /// Changes that were written and not synced: a crash keeps all of them or none, as a transaction does.
    pending: Vec<Change>,
}

impl Disk {
    /// Writes changes, which are not safe yet.
    pub fn write(&mut self, changes: Vec<Change>) {
        self.pending.extend(changes);
    }

    /// What was written and is not safe yet.
    pub fn pending(&self) -> &[Change] {
        &self.pending
    }

    /// Makes what was written safe.
    pub fn sync(&mut self) -> Result<(), Refused> {
        std::mem::take(&mut self.pending).into_iter().try_for_each(|change| self.apply(change))
    }

    /// The machine stops: what was written and not synced is gone.
    pub fn lose(&mut self) {
        self.pending.clear();
    }

    fn apply(&mut self, change: Change) -> Result<(), Refused> {
        match change {
            Change::Entered { genesis, base } => {
                let (steps, consents) = (BTreeMap::new(), Vec::new());
                self.rooms.insert(base.room, Room { genesis, base, steps, consents, head_counter: 0 });
            }
            Change::Moved { room, epoch, step, note } => {
                let room = self.rooms.get_mut(&room).ok_or("a step of a room that is not kept")?;
                if room.steps.contains_key(&epoch) {
                    return Err("two steps to one epoch");
                }
                room.consents.iter_mut().for_each(|(passed, ..)| *passed = passed.or(Some(epoch)));
                let recent =
                    |passed: &Option<u64>| passed.is_some_and(|passed| passed + PASSED_ROSTERS_MAX as u64 > epoch);
                room.consents.retain(|(passed, ..)| recent(passed));
                room.steps.insert(epoch, (step, note));
            }
            Change::Consented { room, proposal, consent } => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.consents.push((None, proposal, consent));
                }
            }
            Change::HeadCounter { room, counter } => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.head_counter = counter;
                }
            }
            Change::Entries { room, entries } => {
                for kept in entries {
                    self.by_id.insert((room, kept.id), (kept.entry.author, kept.entry.seq));
                    let log = self.logs.entry((room, kept.entry.author)).or_default();
                    if log.insert(kept.entry.seq, kept).is_some() {
                        return Err("two entries under one number");
                    }
                }
            }
            Change::Forked { room, entry } => {
                let forks = self.forks.entry((room, entry.entry.author)).or_default();
                if forks.insert((entry.entry.seq, entry.id), entry).is_some() {
                    return Err("a branch twice");
                }
            }
            Change::Past { room, rosters } => {
                for roster in rosters {
                    self.past.entry((room, roster.epoch, roster.hash())).or_insert(roster);
                }
            }
            // Nobody here speaks in private, and whom one has met changes nothing but what is shown.
            Change::Acquaintance { .. }
            | Change::PrivateSaid { .. }
            | Change::PrivateHeard { .. }
            | Change::PrivateReceived { .. } => {}
            Change::Addresses { room, addresses } => {
                self.addresses.retain(|(of, _), _| *of != room);
                self.addresses.extend(addresses.into_iter().map(|(key, addresses)| ((room, key), addresses)));
            }
            Change::Outbox { room, texts } => self.outbox.entry(room).or_default().extend(texts),
            Change::OutboxEmpty { room } => drop(self.outbox.remove(&room)),
            Change::Gone { room } => {
                self.rooms.remove(&room);
                self.addresses.retain(|(of, _), _| *of != room);
            }
            Change::Rule { room, key, rule: Rule::Ask } => drop(self.rules.remove(&(room, key))),
            Change::Rule { room, key, rule } => {
                // A rule for the session is for no restart.
                let rule = if rule == Rule::Session { Rule::Ask } else { rule };
                self.rules.insert((room, key), rule);
            }
        }
        Ok(())
    }

    /// What a client starts with.
    pub fn load(&self) -> Kept {
        let rooms = self.rooms.values().cloned().map(|room| KeptRoom {
            genesis: room.genesis,
            base: room.base,
            steps: room.steps.into_values().collect(),
            consents: room.consents.into_iter().map(|(_, proposal, consent)| (proposal, consent)).collect(),
            head_counter: room.head_counter,
        });
        let authors: BTreeSet<_> = self.logs.keys().chain(self.forks.keys()).copied().collect();
        let logs = authors.into_iter().map(|(room, author)| {
            let none = BTreeMap::new();
            let log = self.logs.get(&(room, author)).unwrap_or(&none);
            let mut audiences: Vec<(u64, RosterHash)> = Vec::new();
            for kept in log.values() {
                let audience = kept.entry.audience;
                if audiences.last().is_none_or(|(_, last)| *last != audience) {
                    audiences.push((kept.entry.seq, audience));
                }
            }
            let skip = log.len().saturating_sub(RECENT_ENTRIES_MAX);
            let forks = self.forks.get(&(room, author)).into_iter().flat_map(BTreeMap::values);
            let forks = forks.take(FORKED_ENTRIES_MAX).cloned().collect();
            (room, author, AuthorLog::reopen(audiences, log.values().skip(skip).cloned().collect(), forks))
        });
        let rules = self.rules.iter().map(|((room, key), rule)| (*room, *key, *rule));
        let past = self.past.values().cloned().collect();
        let addresses =
            self.addresses.iter().map(|((room, key), addresses)| (*room, *key, addresses.clone())).collect();
        let (rooms, logs) = (rooms.collect(), logs.collect());
        let outbox = self.outbox.clone().into_iter().collect();
        Kept { rooms, logs, past, rules: rules.collect(), addresses, outbox, ..Kept::default() }
    }

    /// Up to 64 entries of one author, from a number on.
    pub fn fetch(&self, room: &RoomId, author: &PeerId, from: u64) -> Vec<KeptEntry> {
        let log = self.logs.get(&(*room, *author)).into_iter();
        log.flat_map(|log| log.range(from..)).take(RUN_ENTRIES_MAX).map(|(_, kept)| kept.clone()).collect()
    }

    /// Which of these entries are in the logs of a room, and where they stand.
    pub fn look_up(&self, room: &RoomId, ids: &[EntryId], numbers: &[(PeerId, u64)]) -> Vec<(EntryId, Known)> {
        let known = |(author, seq): (PeerId, u64)| {
            let kept = self.logs.get(&(*room, author))?.get(&seq)?;
            Some((kept.id, Known { author, seq, audience: kept.entry.audience, place: kept.place }))
        };
        let by_id = ids.iter().filter_map(|id| self.by_id.get(&(*room, *id)));
        by_id.chain(numbers).copied().filter_map(known).collect()
    }

    /// Whether an entry is safe.
    pub fn has(&self, room: &RoomId, author: &PeerId, seq: u64, id: &EntryId) -> bool {
        let of_log = self.by_id.get(&(*room, *id)).is_some_and(|at| *at == (*author, seq));
        of_log || self.forks.get(&(*room, *author)).is_some_and(|forks| forks.contains_key(&(seq, *id)))
    }

    /// All entries of a room that are safe.
    pub fn entries(&self, room: RoomId) -> impl Iterator<Item = &KeptEntry> {
        let logs = self.logs.iter().filter(move |((of, _), _)| *of == room);
        logs.flat_map(|(_, log)| log.values())
    }
}
