//! Many real nodes in one room, without a server and without disks: whoever dials gets through unless the pair is apart, and
//! every message takes [`HOP_MS`]. Signatures are keyed hashes, so that a hundred nodes run in seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use p2pchat::core::event::{Command, Event, Path};
use p2pchat::core::io::{Input, Kept, KeptRoom, LinkId, Output};
use p2pchat::core::node::{Config, Node};
use p2pchat::core::time::Now;
use p2pchat::identity::{PeerId, RoomName, Verified};
use p2pchat::wire::{Few, Genesis, Member, PeerMessage, ProposalHash, RoomId, Roster, RosterHash, Settings, frame};
use sha2::{Digest as _, Sha256};

use crate::keyed::{Hand, Hands};

/// Milliseconds from one member to the next.
pub const HOP_MS: u64 = 50;

/// One member.
struct One {
    id: PeerId,
    node: Node,
    links: BTreeMap<LinkId, (usize, LinkId)>,
    /// Texts shown, and when.
    shown: Vec<(String, u64)>,
    /// How often each entry came over a link.
    copies: BTreeMap<(PeerId, u64), usize>,
    /// How many members it had passed by then.
    hops: BTreeMap<(PeerId, u64), usize>,
    /// Bytes that came over links.
    bytes: usize,
    /// Who the last list of members says is out of reach.
    unreached: usize,
}

/// A room of many.
pub struct Crowd {
    people: Vec<One>,
    mail: BTreeMap<(u64, u64), (usize, Input)>,
    wakes: BTreeSet<(u64, usize)>,
    due: Vec<Option<u64>>,
    now: u64,
    number: u64,
    /// Pairs that can't link.
    pub apart: BTreeSet<(usize, usize)>,
}

fn lobby() -> RoomName {
    "lobby".parse().unwrap()
}

fn address(who: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (who >> 8) as u8, who as u8], 4000))
}

impl Crowd {
    /// A room of so many, all of whom have just started their programs and know each other's addresses.
    pub fn of(count: usize) -> Self {
        let keys: Vec<PeerId> = (0..count as u32).map(|n| PeerId(Sha256::digest(n.to_be_bytes()).into())).collect();
        let name = |who: usize| format!("p{who}").parse().unwrap();
        let creator = Hand(keys[0]);
        let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
        let (size, nonce) = (p2pchat::limits::ROOM_SIZE_MAX, [7; 16]);
        let genesis = Genesis { name: lobby(), size, creator: keys[0], creator_name: name(0), nonce, settings };
        let genesis = Verified::sign(genesis, &creator);
        let room = RoomId(genesis.digest());
        let members = keys.iter().enumerate().map(|(who, key)| Member { key: *key, name: name(who) });
        let base = Roster {
            room,
            epoch: count as u64,
            previous: RosterHash([1; 32]),
            members: Few::first_of(members),
            cause: ProposalHash([2; 32]),
        };
        let kept_room =
            KeptRoom { genesis: genesis.into_signed(), base, steps: Vec::new(), consents: Vec::new(), head_counter: 0 };
        let addresses: Vec<_> = keys.iter().enumerate().map(|(who, key)| (room, *key, vec![address(who)])).collect();
        let one = |(who, key): (usize, &PeerId)| {
            let seed = Sha256::digest(key.0).into();
            let config = Config { name: name(who), listed: false, password: None, visiting: false, seed };
            let kept = Kept { rooms: vec![kept_room.clone()], addresses: addresses.clone(), ..Kept::default() };
            One {
                id: *key,
                node: Node::new(config, Arc::new(Hand(*key)), Arc::new(Hands), kept),
                links: BTreeMap::new(),
                shown: Vec::new(),
                copies: BTreeMap::new(),
                hops: BTreeMap::new(),
                bytes: 0,
                unreached: 0,
            }
        };
        let people: Vec<One> = keys.iter().enumerate().map(one).collect();
        let mut crowd = Crowd {
            people,
            mail: BTreeMap::new(),
            wakes: BTreeSet::new(),
            due: vec![None; count],
            now: 1_000,
            number: 0,
            apart: BTreeSet::new(),
        };
        (0..count).for_each(|who| crowd.give(who, 0, Input::Command(Command::Join(lobby()))));
        crowd
    }

    fn give(&mut self, who: usize, after_ms: u64, input: Input) {
        self.number += 1;
        self.mail.insert((self.now + after_ms, self.number), (who, input));
    }

    pub fn say(&mut self, who: usize, text: &str) {
        self.give(who, 0, Input::Command(Command::Say { room: lobby(), text: text.to_owned() }));
    }

    /// Ends the link between two for good; whether there was one.
    pub fn part(&mut self, one: usize, other: usize) -> bool {
        self.apart.insert((one.min(other), one.max(other)));
        let link = self.people[one].links.iter().find(|(_, (to, _))| *to == other).map(|(link, end)| (*link, end.1));
        let Some((mine, theirs)) = link else { return false };
        self.people[one].links.remove(&mine);
        self.people[other].links.remove(&theirs);
        self.give(one, 0, Input::LinkDown { link: mine });
        self.give(other, 0, Input::LinkDown { link: theirs });
        true
    }

    /// Lets milliseconds go by.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let mail = self.mail.first_key_value().map(|((at, _), _)| *at);
            let wake = self.wakes.first().map(|(at, _)| (*at).max(self.now));
            let Some(next) = mail.into_iter().chain(wake).min().filter(|next| *next <= end) else { break };
            self.now = next;
            if mail == Some(next) {
                let (_, (who, input)) = self.mail.pop_first().unwrap();
                self.handle(who, input);
            } else {
                let (_, who) = self.wakes.pop_first().unwrap();
                self.due[who] = None;
                self.handle(who, Input::Wake);
            }
        }
        self.now = end.max(self.now);
    }

    fn handle(&mut self, who: usize, input: Input) {
        if let Input::FromPeer { link, message } = &input {
            let Some((from, _)) = self.people[who].links.get(link).copied() else { return };
            self.count(who, from, message);
        }
        let now = Now { mono_ms: self.now, wall_ms: 1_800_000_000_000 + self.now };
        // Nobody is woken twice for one moment.
        let earliest = if matches!(input, Input::Wake) { self.now + 1 } else { self.now };
        let mut outputs = Vec::new();
        self.people[who].node.handle(now, input, &mut outputs);
        outputs.into_iter().for_each(|output| self.carry_out(who, output));
        if let Some(due) = self.due[who].take() {
            self.wakes.remove(&(due, who));
        }
        if let Some(due) = self.people[who].node.next_wake() {
            let due = due.max(earliest);
            self.due[who] = Some(due);
            self.wakes.insert((due, who));
        }
    }

    fn count(&mut self, who: usize, from: usize, message: &PeerMessage) {
        self.people[who].bytes += frame(message).len();
        let PeerMessage::Run(run) = message else { return };
        for entry in run.entries().iter() {
            let id = (entry.author, entry.seq);
            let hops = 1 + self.people[from].hops.get(&id).copied().unwrap_or(0);
            self.people[who].hops.entry(id).or_insert(hops);
            *self.people[who].copies.entry(id).or_default() += 1;
        }
    }

    fn carry_out(&mut self, who: usize, output: Output) {
        match output {
            Output::ToPeer { link, message } => {
                if let Some((other, theirs)) = self.people[who].links.get(&link).copied() {
                    self.give(other, HOP_MS, Input::FromPeer { link: theirs, message });
                }
            }
            Output::Dial { peer, .. } => {
                let other = self.people.iter().position(|one| one.id == peer).unwrap();
                if self.apart.contains(&(who.min(other), who.max(other))) {
                    return self.give(who, HOP_MS, Input::DialFailed { peer });
                }
                self.number += 2;
                let (mine, theirs) = (LinkId(self.number), LinkId(self.number - 1));
                self.people[who].links.insert(mine, (other, theirs));
                self.people[other].links.insert(theirs, (who, mine));
                let up = |peer, link, dialled, remote| Input::LinkUp {
                    peer,
                    life: [1; 32],
                    link,
                    dialled,
                    remote,
                    rtt_ms: 2 * HOP_MS as u32,
                };
                let me = self.people[who].id;
                self.give(who, 2 * HOP_MS, up(peer, mine, true, address(other)));
                self.give(other, 2 * HOP_MS, up(me, theirs, false, address(who)));
            }
            Output::Close { link, .. } => {
                if let Some((other, theirs)) = self.people[who].links.remove(&link) {
                    self.people[other].links.remove(&theirs);
                    self.give(other, HOP_MS, Input::LinkDown { link: theirs });
                }
            }
            Output::Fetch { room, reader, author, from } => {
                self.give(who, 0, Input::Fetched { room, reader, author, from, entries: Vec::new() });
            }
            Output::LookUp { room, ids, .. } => {
                self.give(who, 0, Input::LookedUp { room, asked: ids, found: Vec::new() });
            }
            Output::Tell(Event::Message { text, .. }) => {
                let now = self.now;
                self.people[who].shown.push((text, now));
            }
            Output::Tell(Event::Members { members, .. }) => {
                self.people[who].unreached = members.iter().filter(|one| !one.me && one.path == Path::None).count();
            }
            _ => {}
        }
    }

    /// The moment.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many links everybody has.
    pub fn links(&self) -> Vec<usize> {
        let others = |one: &One| one.links.values().map(|(other, _)| *other).collect::<BTreeSet<_>>().len();
        self.people.iter().map(others).collect()
    }

    /// The links there are.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let of =
            |(who, one): (usize, &One)| one.links.values().map(move |(other, _)| (who, *other)).collect::<Vec<_>>();
        let pairs: BTreeSet<(usize, usize)> = self.people.iter().enumerate().flat_map(of).collect();
        pairs.into_iter().filter(|(one, other)| one < other).collect()
    }

    /// How many members the others say they can't reach, all counted.
    pub fn unreached(&mut self) -> usize {
        (0..self.people.len()).for_each(|who| self.give(who, 0, Input::Command(Command::Members(lobby()))));
        self.pass(1);
        self.people.iter().map(|one| one.unreached).sum()
    }

    /// When everybody had been shown a text exactly once.
    pub fn shown_to_all_at(&self, text: &str) -> Option<u64> {
        let mut last = 0;
        for one in &self.people {
            let mut times = one.shown.iter().filter(|(shown, _)| shown == text).map(|(_, at)| *at);
            let first = times.next()?;
            assert_eq!(times.next(), None, "{text:?} was shown twice");
            last = last.max(first);
        }
        Some(last)
    }

    /// Begins to count anew.
    pub fn forget_counts(&mut self) {
        for one in &mut self.people {
            one.copies.clear();
            one.hops.clear();
            one.bytes = 0;
        }
    }

    /// Since then: copies per member and entry, the most hops, bytes per member.
    pub fn counts(&self) -> (f64, usize, f64) {
        let copies: usize = self.people.iter().flat_map(|one| one.copies.values()).sum();
        let received: usize = self.people.iter().map(|one| one.copies.len()).sum();
        let hops = self.people.iter().flat_map(|one| one.hops.values()).copied().max().unwrap_or(0);
        let bytes: usize = self.people.iter().map(|one| one.bytes).sum();
        (copies as f64 / received.max(1) as f64, hops, bytes as f64 / self.people.len() as f64)
    }
}
