//! One client's driver: what waits is handled together, kept in one transaction, and only then carried out, in order
//! (`src/peer/driver.rs`). A disk takes its time, refuses, and loses what was not synced when the client ends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use p2pchat::core::event::Event;
use p2pchat::core::io::{Change, Input, Output, Seek};
use p2pchat::core::node::{Config, Node};
use p2pchat::core::time::Now;
use p2pchat::identity::{PeerId, Signer};
use p2pchat::planted::{Bug, is};

use super::disk::Disk;
use super::net::{ConnId, Frame, Place};
use super::people::User;
use super::world::{What, World};

/// Inputs handled together at most.
const BATCH_MAX: usize = 256;

/// Milliseconds between two attempts to write to a disk that refused.
const DISK_RETRY_MS: u64 = 1_000;

/// Milliseconds within which members have told each other what they have: lines, disks, and the tenth of a second for which news are
/// gathered.
const TOLD_WITHIN_MS: u64 = 2_000;

/// Times in a row that a client may want to be woken for a moment that is past.
const RESTLESS_MAX: u32 = 50;

/// One person's machine.
pub struct Person {
    pub id: PeerId,
    pub name: String,
    pub signer: Arc<dyn Signer>,
    pub liar: bool,
    pub node: Option<Node>,
    /// Which run of the client this is; what belongs to an earlier one is void.
    pub run: u32,
    pub disk: Disk,
    pub user: User,
    pub inbox: VecDeque<Input>,
    /// What waits for the disk.
    syncing: Option<Vec<Output>>,
    /// The disk refuses until then.
    pub full_until: u64,
    /// The client stands still until then.
    pub still_until: u64,
    /// The client stood still, or its disk refused, until then: what came meanwhile it takes only after it.
    pub busy_until: u64,
    /// When this run began.
    started_at: u64,
    /// By how much the machine's clock is off.
    pub wall_off_ms: i64,
    wake_at: Option<u64>,
    restless: u32,
    /// The connection to the server, or to the member in its place.
    pub server: Option<ConnId>,
    /// Whether it is being dialled.
    pub dials: bool,
    /// Members that can be knocked at.
    pub seeking: Vec<Seek>,
    /// The server refused it for good.
    pub gave_up: bool,
}

/// Where somebody is.
pub fn address(place: Place) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, place as u8 + 1], 4000))
}

impl Person {
    pub fn new(who: usize, signer: Arc<dyn Signer>, liar: bool) -> Self {
        Person {
            id: signer.id(),
            name: format!("p{who}"),
            signer,
            liar,
            node: None,
            run: 0,
            disk: Disk::default(),
            user: User::default(),
            inbox: VecDeque::new(),
            syncing: None,
            full_until: 0,
            still_until: 0,
            busy_until: 0,
            started_at: 0,
            wall_off_ms: 0,
            wake_at: None,
            restless: 0,
            server: None,
            dials: false,
            seeking: Vec::new(),
            gave_up: false,
        }
    }

    pub fn is_up(&self) -> bool {
        self.node.is_some()
    }

    fn time(&self, now: u64) -> Now {
        let wall_ms = 1_800_000_000_000_u64.saturating_add(now).saturating_add_signed(self.wall_off_ms);
        Now { mono_ms: 1 + now - self.started_at, wall_ms }
    }
}

impl World {
    pub fn start_client(&mut self, who: usize) {
        // Whoever lied is not seen again once the weather has cleared.
        if self.people[who].is_up() || (self.healing && self.people[who].liar) {
            return;
        }
        self.note(|| format!("p{who} starts"));
        let seed = self.rng.nodes.bytes();
        let now = self.now;
        let person = &mut self.people[who];
        let config =
            Config { name: person.name.parse().unwrap(), listed: false, password: None, visiting: false, seed };
        let (signer, scheme) = (Arc::clone(&person.signer), Arc::clone(&self.scheme));
        person.node = Some(Node::new(config, signer, scheme, person.disk.load()));
        person.run += 1;
        person.started_at = now;
        person.inbox.clear();
        (person.syncing, person.wake_at, person.restless, person.gave_up) = (None, None, 0, false);
        let run = person.run;
        self.checks.started(who);
        self.give(who, Input::Addresses(vec![address(who)]));
        let after = self.rng.net.from_to(10, 1_500);
        self.after(after, What::ServerDial(who, run));
    }

    /// A client ends without a word: what was not synced is gone.
    pub fn crash(&mut self, who: usize) {
        if !self.people[who].is_up() {
            return;
        }
        self.note(|| format!("p{who} crashes"));
        // A transaction that was under way is there as a whole or not at all.
        if self.people[who].syncing.take().is_some() && self.rng.disk.chance(500) {
            self.sync(who);
        }
        self.people[who].disk.lose();
        self.stop(who);
        for (conn, side) in self.net.held_by(who) {
            let idle = self.net.conns[&conn].idle_ms(self.server_place());
            self.net.close(conn, side);
            let later = self.rng.net.below(idle);
            self.after(later, What::Down(conn, 1 - side));
        }
    }

    fn stop(&mut self, who: usize) {
        let person = &mut self.people[who];
        person.node = None;
        person.run += 1;
        person.inbox.clear();
        (person.syncing, person.server, person.still_until) = (None, None, 0);
        (person.dials, person.seeking) = (false, Vec::new());
        person.user.client_ended();
    }

    /// A client ended by itself: what it had said last still arrives.
    fn ended(&mut self, who: usize) {
        self.note(|| format!("p{who} ends"));
        for (conn, side) in self.net.held_by(who) {
            self.hang_up(conn, side);
        }
        self.stop(who);
    }

    /// Hands something to a client.
    pub fn give(&mut self, who: usize, input: Input) {
        if self.people[who].is_up() {
            self.people[who].inbox.push_back(input);
            self.process(who);
        }
    }

    /// Handles what waits, unless the client stands still or waits for its disk.
    pub fn process(&mut self, who: usize) {
        while self.checks.broken.is_none() {
            let person = &mut self.people[who];
            if person.syncing.is_some() || person.still_until > self.now || person.inbox.is_empty() {
                break;
            }
            let time = person.time(self.now);
            let Some(node) = &mut person.node else { return };
            let mut outputs = Vec::new();
            for _ in 0..BATCH_MAX {
                let Some(input) = person.inbox.pop_front() else { break };
                node.handle(time, input, &mut outputs);
            }
            self.digest(&outputs);
            let changes: Vec<Change> = outputs
                .iter()
                .filter_map(|output| match output {
                    Output::Persist(change) => Some(change.clone()),
                    _ => None,
                })
                .collect();
            if changes.is_empty() {
                self.carry_out(who, outputs);
                continue;
            }
            self.people[who].disk.write(changes);
            if is(Bug::SentBeforeSynced) {
                let (kept, said) = outputs.into_iter().partition(|output| matches!(output, Output::Persist(_)));
                self.people[who].syncing = Some(kept);
                self.carry_out(who, said);
            } else {
                self.people[who].syncing = Some(outputs);
            }
            let most = if self.healing { 0 } else { self.plan.sync_ms };
            let takes = self.rng.disk.below(most + 1);
            let run = self.people[who].run;
            if takes > 0 {
                self.after(takes, What::Synced(who, run));
            } else {
                self.synced(who, run);
            }
        }
        self.schedule_wake(who);
    }

    fn digest(&mut self, outputs: &[Output]) {
        if let Some(digest) = &mut self.digest {
            for byte in format!("{outputs:?}").bytes() {
                *digest = (*digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }

    /// The disk is done, or refuses and is asked again: until then nothing is sent, shown or handled.
    pub fn synced(&mut self, who: usize, run: u32) {
        if self.people[who].run != run || self.people[who].syncing.is_none() {
            return;
        }
        if self.people[who].full_until > self.now {
            return self.after(DISK_RETRY_MS, What::Synced(who, run));
        }
        self.sync(who);
        let outputs = self.people[who].syncing.take().unwrap_or_default();
        self.carry_out(who, outputs);
        self.process(who);
    }

    fn sync(&mut self, who: usize) {
        let changes = self.people[who].disk.pending().to_vec();
        let me = self.people[who].id;
        if let Err(why) = self.people[who].disk.sync() {
            self.checks.fail("a disk takes what it is given", format!("p{who}: {why}"));
        }
        for change in &changes {
            self.checks.kept(self.now, who, me, change);
            let (net, people, then) = (&self.net, &self.people, self.now.saturating_sub(TOLD_WITHIN_MS));
            // Whose disk refuses says nothing, nor who is not back in the room.
            let takes = |who: usize| people[who].busy_until <= then;
            let here = |user: &User| user.in_room && user.in_since <= then;
            let speaks = |who: usize| takes(who) && here(&people[who].user);
            let hears = |one, other| takes(one) && speaks(other) && net.have_heard_since(one, other, then);
            self.checks.judge_skipped(then, hears);
            if let Change::Moved { epoch, .. } = change {
                let roster = self.checks.roster_of(who, &change.room()).map(|roster| {
                    roster.members.iter().map(|member| member.name.to_string()).collect::<Vec<_>>().join(" ")
                });
                self.note(|| {
                    format!("p{who} is on roster {epoch} of {:?}: {}", change.room(), roster.unwrap_or_default())
                });
            }
        }
    }

    fn carry_out(&mut self, who: usize, outputs: Vec<Output>) {
        for output in outputs {
            self.carry_out_one(who, output);
            if !self.people[who].is_up() {
                return;
            }
        }
    }

    fn carry_out_one(&mut self, who: usize, output: Output) {
        let me = self.people[who].id;
        match output {
            Output::Persist(_) => {}
            Output::ToServer(message) => {
                for message in self.lie_to_server(who, message) {
                    self.checks.to_server(who, me, &message);
                    if let Some(conn) = self.people[who].server {
                        self.send(conn, 0, Frame::ToServer(message));
                    }
                }
            }
            Output::ToPeer { link, message } => {
                let Some((conn, side)) = self.net.of_link(link) else { return };
                let peer = self.people[self.net.conns[&conn].ends[1 - side]].id;
                for message in self.lie_to_peer(who, peer, message) {
                    self.checks.to_peer(who, me, peer, &message);
                    self.send(conn, side, Frame::Peer(message));
                }
            }
            Output::Dial { peer, candidates } => {
                self.checks.dials(who, peer);
                let reached = |at: &usize| self.people[*at].id == peer && candidates.contains(&address(*at));
                let to = (0..self.people.len()).find(reached);
                let (run, after) = (self.people[who].run, self.rng.net.from_to(1, 100));
                self.after(after, What::Dial(who, run, to, peer));
            }
            Output::Close { link, .. } => {
                if let Some((conn, side)) = self.net.of_link(link) {
                    self.hang_up(conn, side);
                }
            }
            Output::Fetch { room, reader, author, from } => {
                let entries = self.people[who].disk.fetch(&room, &author, from);
                self.people[who].inbox.push_back(Input::Fetched { room, reader, author, from, entries });
            }
            Output::LookUp { room, ids, numbers } => {
                let found = self.people[who].disk.look_up(&room, &ids, &numbers);
                self.people[who].inbox.push_back(Input::LookedUp { room, asked: ids, found });
            }
            // Nobody here looks back.
            Output::Recall { .. } | Output::Conversation { .. } | Output::Invite { .. } => {}
            Output::ToGuest { guest, message } => self.to_guest(who, guest, message),
            Output::SendAway { guest, .. } => self.hang_up(guest.0, 1),
            Output::SeekHosts(hosts) => self.seek_hosts(who, hosts),
            Output::Tell(event) => self.tell(who, me, event),
            Output::GiveUpServer => {
                self.note(|| format!("p{who} gives the server up"));
                self.people[who].gave_up = true;
                if let Some(conn) = self.people[who].server.take() {
                    self.hang_up(conn, 0);
                }
            }
            Output::End => self.ended(who),
        }
    }

    fn tell(&mut self, who: usize, me: PeerId, event: Event) {
        if !matches!(event, Event::Failed(_) | Event::Link { .. } | Event::Delivered { .. }) {
            self.note(|| format!("p{who} is told {event:?}"));
        }
        let now = self.now;
        if (1..=now).contains(&self.people[who].full_until) && self.people[who].full_until + 60_000 > now {
            // What waited for its disk is told at once, however long ago it was asked.
            self.checks.prompts_are_late(who);
        }
        self.checks.told(who, me, &self.people[who].disk, &event, now);
        self.user_hears(who, &event);
    }

    fn schedule_wake(&mut self, who: usize) {
        let now = self.now;
        let person = &mut self.people[who];
        if person.syncing.is_some() || person.still_until > now {
            return;
        }
        let Some(due) = person.node.as_ref().and_then(Node::next_wake) else { return };
        let at = (due.saturating_add(person.started_at).saturating_sub(1)).max(now + u64::from(person.restless > 0));
        if person.wake_at.is_none_or(|earlier| at < earlier || earlier < now) {
            person.wake_at = Some(at);
            let run = person.run;
            self.at(at, What::Wake(who, run));
        }
    }

    pub fn wake(&mut self, who: usize, run: u32) {
        let now = self.now;
        let person = &mut self.people[who];
        if person.run != run || person.wake_at != Some(now) {
            return;
        }
        person.wake_at = None;
        if person.syncing.is_some() || person.still_until > now {
            return;
        }
        let time = person.time(now).mono_ms;
        let is_late = |person: &Person| person.node.as_ref().and_then(Node::next_wake).is_some_and(|due| due <= time);
        if !is_late(person) {
            return self.schedule_wake(who);
        }
        person.inbox.push_back(Input::Wake);
        person.restless += 1;
        self.process(who);
        let person = &mut self.people[who];
        if person.syncing.is_some() || !is_late(person) {
            person.restless = 0;
        }
        if person.restless > RESTLESS_MAX {
            self.checks.fail("nobody is woken for ever", format!("p{who}"));
        }
    }
}
