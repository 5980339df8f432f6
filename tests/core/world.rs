//! The real core of nodes and rendezvous in one place, on virtual time: no sockets, no threads, no waiting.
//!
//! Messages arrive in the order they were sent, at once. Time stands still until [`World::pass`] moves it from one due
//! moment to the next. Every output of a node is carried out as the driver would: what is to be kept goes to a real store
//! before anything behind it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use p2pchat::core::consent::chain::Chain;
use p2pchat::core::event::{Command, Event, KnockRef};
use p2pchat::core::io::{GuestId, Input, LinkId, Output, Seek};
use p2pchat::core::node::{Config, Node};
use p2pchat::core::rendezvous::{self, Rendezvous, SessionId};
use p2pchat::core::time::Now;
use p2pchat::identity::{Ed25519, Identity, Name, PeerId, RoomName, Signed, Signer as _, Verified};
use p2pchat::store::peer::PeerStore;
use p2pchat::wire::{
    Consent, EntryId, FromServer, KeyTag, PeerMessage, ProposalHash, RoomId, RosterHash, Settings, Ticket, ToServer,
};

/// What is on its way.
#[allow(clippy::large_enum_variant, reason = "a test's queue is short")]
enum Mail {
    ToNode(usize, Input),
    ToServer(SessionId, ToServer),
}

/// Changes what the server says to somebody: a lying one.
pub type Lie = Box<dyn FnMut(PeerId, FromServer) -> Vec<FromServer>>;

/// One person's client.
pub struct Person {
    pub id: PeerId,
    pub name: String,
    seed: u8,
    node: Option<Node>,
    /// Which start of their program it is.
    pub life: [u8; 32],
    pub store: PeerStore,
    session: Option<SessionId>,
    pub links: BTreeMap<LinkId, (usize, LinkId)>,
    /// Whom they look for to knock at.
    seeking: Vec<Seek>,
    /// Whom they knock at.
    host: Option<(usize, GuestId)>,
    /// Who knocks at them.
    guests: BTreeMap<GuestId, usize>,
    /// Everything they were told, oldest first.
    pub events: Vec<Event>,
    /// Everything said to them over links.
    pub heard: Vec<PeerMessage>,
    /// Everything the server said to them.
    pub served: Vec<FromServer>,
}

pub struct World {
    pub people: Vec<Person>,
    server: Option<Rendezvous>,
    server_config: rendezvous::Config,
    sessions: BTreeMap<SessionId, usize>,
    mail: VecDeque<Mail>,
    now: Now,
    next_number: u64,
    /// Pairs that can't connect.
    pub apart: BTreeSet<(usize, usize)>,
    /// What the server does to its own words.
    pub lie: Option<Lie>,
    /// Everything that was ever said to the server.
    pub told_server: Vec<ToServer>,
    /// How often time had to stop because something was due.
    pub wakes: u32,
    /// How often anybody dialled anybody.
    pub dials: u32,
    /// Whom somebody dialled last, and where.
    pub dialled: Vec<(usize, PeerId, Vec<SocketAddr>)>,
    /// Everything that was ever said to members who host, by whom.
    pub told_hosts: Vec<(usize, ToServer)>,
    /// Guests whom a member has sent away.
    pub sent_away: Vec<GuestId>,
    /// Everything that was ever said over links: by whom, and what.
    pub told_peers: Vec<(usize, PeerMessage)>,
    /// Who drops what they are to carry between two others.
    pub mute_carrier: Option<usize>,
    /// Who has no room for any knock that a member tells.
    pub deaf_to_knocks: Option<usize>,
    /// Delivers what is on its way in any order that keeps each connection's own, by this state; in order when absent.
    pub disorder: Option<u64>,
}

/// What everybody's config has for the server.
pub const PASSWORD: &str = "open sesame";

pub fn lobby() -> RoomName {
    "lobby".parse().unwrap()
}

impl World {
    /// A server, and people called p0, p1 and so on, all logged in.
    pub fn of(people: u8) -> Self {
        let mut world = World::empty();
        world.start_server();
        for seed in 0..people {
            world.people.push(bystander(seed));
            world.start(usize::from(seed));
        }
        world
    }

    /// The same without any server.
    pub fn serverless(people: u8) -> Self {
        let mut world = World::empty();
        for seed in 0..people {
            world.people.push(bystander(seed));
            world.start(usize::from(seed));
        }
        world
    }

    /// A serverless room "lobby" of the first `members` of `people`, hosted by p0, each let in by p0's ticket.
    pub fn hosted(people: u8, members: u8, grace_s: u32) -> Self {
        let mut world = World::serverless(people);
        let settings = Settings { consent_timeout_s: 60, grace_s };
        world.command(0, Command::Host { room: lobby(), size: 16, settings });
        for newcomer in 1..usize::from(members) {
            world.enter(newcomer, 0);
            for member in 0..newcomer {
                world.approve(member, newcomer);
            }
            world.pass(1);
            assert!(world.is_in(newcomer), "{:?}", world.people[newcomer].events);
        }
        world
    }

    /// A member's ticket for the lobby.
    pub fn ticket(&mut self, of: usize) -> Ticket {
        self.command(of, Command::Ticket { room: lobby(), expires_in_s: None });
        match self.people[of].events.last() {
            Some(Event::Ticket { ticket, .. }) => ticket.clone(),
            other => panic!("no ticket: {other:?}"),
        }
    }

    /// Somebody knocks by a member's ticket.
    pub fn enter(&mut self, newcomer: usize, through: usize) {
        let ticket = self.ticket(through);
        self.command(newcomer, Command::Enter(ticket));
    }

    fn empty() -> Self {
        World {
            people: Vec::new(),
            server: None,
            server_config: rendezvous::Config::default(),
            sessions: BTreeMap::new(),
            mail: VecDeque::new(),
            now: Now { mono_ms: 1_000, wall_ms: 1_800_000_000_000 },
            next_number: 0,
            apart: BTreeSet::new(),
            lie: None,
            told_server: Vec::new(),
            wakes: 0,
            dials: 0,
            dialled: Vec::new(),
            told_hosts: Vec::new(),
            sent_away: Vec::new(),
            told_peers: Vec::new(),
            mute_carrier: None,
            deaf_to_knocks: None,
            disorder: None,
        }
    }

    /// A room "lobby" of everybody, founded by p0.
    pub fn in_one_room(people: u8) -> Self {
        World::with_members(people, people)
    }

    /// A room "lobby" of the first `members` of `people`, founded by p0: 60 seconds to answer, 120 of grace.
    pub fn with_members(people: u8, members: u8) -> Self {
        let mut world = World::of(people);
        world.create(0, 16, 60, 120);
        for newcomer in 1..usize::from(members) {
            world.let_in(newcomer);
            assert!(world.is_in(newcomer), "{:?}", world.people[newcomer].events);
        }
        world
    }

    /// Somebody knocks, and everybody numbered below says yes.
    pub fn let_in(&mut self, newcomer: usize) {
        self.join(newcomer);
        for member in 0..newcomer {
            self.approve(member, newcomer);
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Starts a server that has lost everything, if there was one before.
    pub fn start_server(&mut self) {
        let kept = rendezvous::Kept::default();
        self.server = Some(Rendezvous::new(self.server_config.clone(), Arc::new(Ed25519), kept));
        for who in 0..self.people.len() {
            if self.people[who].node.is_some() {
                self.connect(who);
            }
        }
        self.run();
    }

    pub fn stop_server(&mut self) {
        self.server = None;
        self.sessions.clear();
        for who in 0..self.people.len() {
            if self.people[who].session.take().is_some() {
                self.mail.push_back(Mail::ToNode(who, Input::ServerLost));
            }
        }
        self.run();
    }

    /// Starts a client with what its store kept.
    pub fn start(&mut self, who: usize) {
        // Nobody draws the same numbers twice, not even after a restart.
        let starts = self.number().to_le_bytes();
        let person = &mut self.people[who];
        let mut seed = [person.seed.wrapping_add(100).wrapping_mul(3); 32];
        seed[..8].copy_from_slice(&starts);
        person.life = seed;
        let config = Config {
            name: person.name.parse().unwrap(),
            listed: false,
            password: Some(PASSWORD.to_owned()),
            visiting: false,
            seed,
        };
        let kept = person.store.load().unwrap();
        person.node = Some(Node::new(config, Arc::new(identity(person.seed)), Arc::new(Ed25519), kept));
        let address = address(who);
        self.give(who, Input::Addresses(vec![address]));
        if self.server.is_some() {
            self.connect(who);
        }
        self.run();
    }

    fn connect(&mut self, who: usize) {
        let session = SessionId(self.number());
        self.sessions.insert(session, who);
        self.people[who].session = Some(session);
        let exporter = [session.0 as u8; 32];
        self.serve(rendezvous::Input::Connected { session, observed: address(who), exporter });
        self.give(who, Input::ServerConnected { exporter });
    }

    /// Kills a client: whatever it had not kept is gone.
    pub fn kill(&mut self, who: usize) {
        self.people[who].node = None;
        if let Some(session) = self.people[who].session.take() {
            self.sessions.remove(&session);
            self.serve(rendezvous::Input::Disconnected { session });
        }
        self.cut(who);
        self.run();
    }

    /// Kills a client, and nobody at the other ends of its links learns of it.
    pub fn kill_unnoticed(&mut self, who: usize) {
        for (other, others) in std::mem::take(&mut self.people[who].links).into_values() {
            self.people[other].links.remove(&others);
        }
        self.kill(who);
    }

    /// Kills a client whose disk is lost too; the identity was kept elsewhere.
    pub fn lose_everything(&mut self, who: usize) {
        self.kill(who);
        self.people[who].store = PeerStore::in_memory().unwrap();
    }

    /// Cuts all links of a client.
    pub fn cut(&mut self, who: usize) {
        self.part_from_all(who);
        for (link, (other, others)) in std::mem::take(&mut self.people[who].links) {
            self.people[other].links.remove(&others);
            self.mail.push_back(Mail::ToNode(other, Input::LinkDown { link: others }));
            self.mail.push_back(Mail::ToNode(who, Input::LinkDown { link }));
        }
    }

    /// Two clients can't reach each other any more, and lose their link.
    pub fn cut_quietly(&mut self, one: usize, other: usize) {
        self.apart.insert((one.min(other), one.max(other)));
        for who in [one, other] {
            let gone: Vec<LinkId> = self.people[who]
                .links
                .iter()
                .filter(|(_, (at, _))| *at == one || *at == other)
                .map(|(link, _)| *link)
                .collect();
            for link in gone {
                self.people[who].links.remove(&link);
                self.mail.push_back(Mail::ToNode(who, Input::LinkDown { link }));
            }
        }
        self.run();
    }

    /// They can again.
    pub fn mend(&mut self, one: usize, other: usize) {
        self.apart.remove(&(one.min(other), one.max(other)));
    }

    /// Two groups lose each other.
    pub fn split(&mut self, one: &[usize], other: &[usize]) {
        for a in one {
            for b in other {
                self.cut_quietly(*a, *b);
            }
        }
    }

    /// Everybody can reach everybody.
    pub fn heal(&mut self) {
        self.apart.clear();
    }

    /// Says something to the member that somebody knocks at, past their own client.
    pub fn say_to_host(&mut self, who: usize, message: ToServer) {
        let (host, guest) = self.people[who].host.unwrap();
        self.give(host, Input::FromGuest { guest, message });
        self.run();
    }

    /// Cuts a client off from everything, its program running on.
    pub fn unplug(&mut self, who: usize) {
        for other in 0..self.people.len() {
            self.apart.insert((who.min(other), who.max(other)));
        }
        if let Some(session) = self.people[who].session.take() {
            self.sessions.remove(&session);
            self.serve(rendezvous::Input::Disconnected { session });
            self.mail.push_back(Mail::ToNode(who, Input::ServerLost));
        }
        self.cut(who);
        self.run();
    }

    pub fn plug_in(&mut self, who: usize) {
        self.apart.retain(|(a, b)| *a != who && *b != who);
        if self.server.is_some() {
            self.connect(who);
        }
        self.run();
    }

    /// The connection that somebody has with somebody.
    pub fn link_of(&self, who: usize, other: usize) -> LinkId {
        *self.people[who].links.iter().find(|(_, (to, _))| *to == other).unwrap().0
    }

    fn give(&mut self, who: usize, input: Input) {
        self.mail.push_back(Mail::ToNode(who, input));
    }

    pub fn command(&mut self, who: usize, command: Command) {
        self.ask(who, command);
        self.run();
    }

    /// Hands a command to a client, and carries nothing yet.
    pub fn ask(&mut self, who: usize, command: Command) {
        self.give(who, Input::Command(command));
    }

    /// Says something to somebody over the link with `from`, in their name.
    pub fn forge_peer(&mut self, from: usize, to: usize, message: PeerMessage) {
        let link = self.people[to].links.iter().find(|(_, (other, _))| *other == from).map(|(link, _)| *link);
        self.give(to, Input::FromPeer { link: link.unwrap(), message });
        self.run();
    }

    /// Writes an entry of these bytes into somebody's log and says it to everybody, as a client would that asks nobody.
    pub fn forge_entry(&mut self, who: usize, body: p2pchat::wire::Body) {
        let kept = self.kept(who);
        let room = kept.rooms[0].base.room;
        let (me, signer) = (self.people[who].id, identity(self.people[who].seed));
        let log = kept.logs.iter().find(|(_, author, _)| *author == me).and_then(|(_, _, log)| log.head().cloned());
        let step = kept.rooms[0].steps.iter().map(|(step, _)| step);
        let genesis = kept.rooms[0].genesis.clone().verify(&Ed25519).unwrap();
        let chain =
            p2pchat::core::consent::chain::Chain::reopen(genesis, kept.rooms[0].base.clone(), step.cloned(), &Ed25519);
        let audience = chain.unwrap().head();
        let entry = p2pchat::wire::Entry {
            room,
            author: me,
            seq: log.as_ref().map_or(1, |log| log.entry.seq + 1),
            previous: log.as_ref().map_or(EntryId([0; 32]), |log| log.id),
            audience,
            previous_audience: log.as_ref().map_or(p2pchat::wire::RosterHash([0; 32]), |log| log.entry.audience),
            seen: Default::default(),
            depth: 1,
            wall_ms: 0,
            salt: [1; 16],
            body,
        };
        let tip = p2pchat::wire::Tip { room, author: me, id: entry.id() };
        let signature = p2pchat::identity::Verified::sign(tip, &signer).as_signed().signature();
        let run = p2pchat::wire::Run::of_one(entry, signature);
        let others: Vec<usize> = self.linked(who).into_iter().collect();
        for other in others {
            self.forge_peer(who, other, PeerMessage::Run(run.clone()));
        }
        self.pass(1);
    }

    /// A run as a client has it on disk.
    pub fn fetch(&self, who: usize, room: RoomId, author: usize, from: u64, most: usize) -> p2pchat::wire::Run {
        let entries = self.people[who].store.fetch(&room, &self.people[author].id, from).unwrap();
        p2pchat::core::log::run_of(entries.iter().take(most)).unwrap()
    }

    /// Lets the first frontier that `from` ever says to `to` be this one.
    pub fn forge_first(&mut self, from: usize, to: usize, claims: Vec<(PeerId, u64)>, room: RoomId) {
        let link = self.people[to].links.iter().find(|(_, (other, _))| *other == from).map(|(link, _)| *link);
        let message = PeerMessage::Frontier((room, claims.try_into().unwrap()));
        let after_link_up = 1 + self
            .mail
            .iter()
            .rposition(|mail| matches!(mail, Mail::ToNode(who, Input::LinkUp { .. }) if *who == to))
            .unwrap();
        self.mail.insert(after_link_up, Mail::ToNode(to, Input::FromPeer { link: link.unwrap(), message }));
        self.run();
    }

    /// Whether a client is running, and whether it is connected to the server.
    pub fn is_up(&self, who: usize) -> (bool, bool) {
        (self.people[who].node.is_some(), self.people[who].session.is_some())
    }

    /// How much a client holds in memory, by the length of everything it could print.
    pub fn weight(&self, who: usize) -> usize {
        self.people[who].node.as_ref().map_or(0, |node| format!("{node:?}").len())
    }

    /// A room that somebody is in, by its name.
    pub fn room_of(&self, who: usize, name: &str) -> RoomId {
        let node = self.people[who].node.as_ref().unwrap();
        node.room_named(&name.parse().unwrap()).unwrap()
    }

    /// The lobby, and the roster that somebody is on there.
    pub fn roster(&self, who: usize) -> (RoomId, RosterHash) {
        let kept = self.people[who].store.load().unwrap();
        let room = kept.rooms.iter().find(|room| room.base.room == self.room_of(who, "lobby")).unwrap();
        let genesis = room.genesis.clone().verify(&Ed25519).unwrap();
        let steps = room.steps.iter().map(|(step, _)| step.clone());
        let chain = Chain::reopen(genesis, room.base.clone(), steps, &Ed25519).unwrap();
        (chain.room(), chain.head())
    }

    /// What somebody's key signs, past their client.
    pub fn signed(&self, who: usize, consent: Consent) -> Signed<Consent> {
        Verified::sign(consent, &identity(self.people[who].seed)).into_signed()
    }

    /// Whether a server is running.
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// The moment, on the monotonic clock.
    pub fn now(&self) -> Now {
        self.now
    }

    /// What a client has on disk.
    pub fn kept(&self, who: usize) -> p2pchat::core::io::Kept {
        self.people[who].store.load().unwrap()
    }

    pub fn create(&mut self, who: usize, size: u16, consent_timeout_s: u16, grace_s: u32) {
        let settings = Settings { consent_timeout_s, grace_s };
        self.command(who, Command::Create { room: lobby(), size, settings });
    }

    pub fn join(&mut self, who: usize) {
        self.command(who, Command::Join(lobby()));
    }

    pub fn approve(&mut self, member: usize, newcomer: usize) {
        let name: Name = self.people[newcomer].name.parse().unwrap();
        self.command(member, Command::Approve(KnockRef::Name { room: lobby(), name }));
    }

    pub fn deny(&mut self, member: usize, newcomer: usize) {
        let name: Name = self.people[newcomer].name.parse().unwrap();
        self.command(member, Command::Deny(KnockRef::Name { room: lobby(), name }));
    }

    pub fn say(&mut self, who: usize, text: &str) {
        self.command(who, Command::Say { room: lobby(), text: text.to_owned() });
        self.pass(1);
    }

    /// Says something to one member alone.
    pub fn whisper(&mut self, who: usize, to: usize, text: &str) {
        let to = self.people[to].name.parse().unwrap();
        self.command(who, Command::Private { room: lobby(), to, fingerprint: None, text: text.to_owned() });
        self.pass(1);
    }

    /// The private messages this client has shown: with whom, whether they are its own, and the text.
    pub fn whispers(&self, who: usize) -> Vec<(String, bool, String)> {
        let private = self.people[who].events.iter().filter_map(|event| match event {
            Event::Private(message) => Some((message.with.to_string(), message.mine, message.text.clone())),
            _ => None,
        });
        private.collect()
    }

    /// How many of a client's private messages it was told to have reached their readers.
    pub fn whispers_delivered(&self, who: usize) -> usize {
        let delivered = self.people[who].events.iter().map(|event| match event {
            Event::PrivateDelivered { ids, .. } => ids.len(),
            _ => 0,
        });
        delivered.sum()
    }

    /// The newest text this client has shown, by its id.
    pub fn newest(&self, who: usize) -> EntryId {
        let newest = |event: &Event| match event {
            Event::Message { id, .. } => Some(*id),
            _ => None,
        };
        self.people[who].events.iter().rev().find_map(newest).unwrap()
    }

    /// A client's store, as it is on disk.
    pub fn store(&mut self, who: usize) -> &mut PeerStore {
        &mut self.people[who].store
    }

    pub fn leave(&mut self, who: usize) {
        self.command(who, Command::Leave(lobby()));
    }

    /// Says something to somebody's client in the server's name.
    pub fn forge(&mut self, to: usize, message: FromServer) {
        self.give(to, Input::FromServer(message));
        self.run();
    }

    /// Whether they said so much that the next text should wait.
    pub fn is_ahead(&self, who: usize) -> bool {
        self.people[who].node.as_ref().is_some_and(Node::is_ahead)
    }

    /// Carries everything to where it is going.
    pub fn run(&mut self) {
        assert!(!self.deliver(200_000), "the talking never ends");
    }

    /// Carries at most `most` messages; whether more are on their way.
    pub fn deliver(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some(mail) = self.next_mail() else { return false };
            match mail {
                Mail::ToNode(who, input) => self.handle(who, input),
                Mail::ToServer(session, message) => {
                    self.told_server.push(message.clone());
                    self.serve(rendezvous::Input::Message { session, message });
                }
            }
        }
        !self.mail.is_empty()
    }

    fn next_mail(&mut self) -> Option<Mail> {
        let Some(state) = &mut self.disorder else { return self.mail.pop_front() };
        if self.mail.is_empty() {
            return None;
        }
        let any = (random(state) % self.mail.len() as u64) as usize;
        let connection = connection(&self.mail[any]);
        let first = self.mail.iter().position(|mail| self::connection(mail) == connection)?;
        self.mail.remove(first)
    }

    pub fn handle(&mut self, who: usize, input: Input) {
        match &input {
            Input::FromServer(message) => self.people[who].served.push(message.clone()),
            Input::FromPeer { message, .. } => self.people[who].heard.push(message.clone()),
            _ => {}
        }
        let Some(node) = &mut self.people[who].node else { return };
        let mut outputs = Vec::new();
        node.handle(self.now, input, &mut outputs);
        for output in outputs {
            self.carry_out(who, output);
        }
    }

    fn carry_out(&mut self, who: usize, output: Output) {
        match output {
            Output::Persist(change) => self.people[who].store.apply([&change]).unwrap(),
            Output::ToServer(message) => {
                if let Some((host, guest)) = self.people[who].host {
                    self.told_hosts.push((who, message.clone()));
                    self.give(host, Input::FromGuest { guest, message });
                } else if let Some(session) = self.people[who].session {
                    self.mail.push_back(Mail::ToServer(session, message));
                }
            }
            Output::ToPeer { link, message } => {
                self.told_peers.push((who, message.clone()));
                let me = self.people[who].id;
                if self.mute_carrier == Some(who) && matches!(&message, PeerMessage::Carry(carry) if carry.from != me) {
                    return;
                }
                let heard = |other: &(usize, LinkId)| {
                    self.deaf_to_knocks != Some(other.0) || !matches!(message, PeerMessage::Knock(_))
                };
                if let Some((other, link)) = self.people[who].links.get(&link).copied().filter(heard) {
                    self.give(other, Input::FromPeer { link, message });
                }
            }
            Output::Dial { peer, candidates } => {
                self.dialled.push((who, peer, candidates));
                self.dial(who, peer);
            }
            Output::Close { link, .. } => {
                if let Some((other, others)) = self.people[who].links.remove(&link) {
                    self.people[other].links.remove(&others);
                    self.give(other, Input::LinkDown { link: others });
                }
            }
            Output::Fetch { room, reader, author, from } => {
                let entries = self.people[who].store.fetch(&room, &author, from).unwrap();
                self.give(who, Input::Fetched { room, reader, author, from, entries });
            }
            Output::LookUp { room, ids, numbers } => {
                let found = self.people[who].store.look_up(&room, &ids, &numbers).unwrap();
                self.give(who, Input::LookedUp { room, asked: ids, found });
            }
            Output::Tell(event) => self.people[who].events.push(event),
            Output::ToGuest { guest, message } => {
                if let Some(newcomer) = self.people[who].guests.get(&guest).copied() {
                    self.give(newcomer, Input::FromServer(message));
                }
            }
            Output::SendAway { guest, .. } => {
                self.sent_away.push(guest);
                self.part_from_guest(who, guest);
            }
            Output::SeekHosts(hosts) => {
                self.people[who].seeking = hosts;
                self.seek(who);
            }
            Output::Recall { .. } | Output::Conversation { .. } | Output::Invite { .. } | Output::GiveUpServer => {}
            Output::End => self.people[who].node = None,
        }
    }

    fn dial(&mut self, who: usize, peer: PeerId) {
        self.dials += 1;
        let other = self.people.iter().position(|person| person.id == peer);
        let other = other.filter(|other| self.people[*other].node.is_some());
        let other = other.filter(|other| !self.apart.contains(&(who.min(*other), who.max(*other))));
        let Some(other) = other else { return self.give(who, Input::DialFailed { peer }) };
        let (mine, theirs) = (LinkId(self.number()), LinkId(self.number()));
        self.people[who].links.insert(mine, (other, theirs));
        self.people[other].links.insert(theirs, (who, mine));
        let up = |peer, life, link, dialled, remote| Input::LinkUp { peer, life, link, dialled, remote, rtt_ms: 1 };
        let (my_id, my_life, their_life) = (self.people[who].id, self.people[who].life, self.people[other].life);
        self.give(who, up(peer, their_life, mine, true, address(other)));
        self.give(other, up(my_id, my_life, theirs, false, address(who)));
    }

    /// Connects somebody to the first of those they look for who is there, and ends a connection that is not wanted any more.
    fn seek(&mut self, who: usize) {
        let wanted = self.people[who].seeking.clone();
        let is_wanted =
            |world: &World, host: usize| wanted.iter().any(|seek| seek.key == KeyTag::of(&world.people[host].id));
        if let Some((host, guest)) = self.people[who].host {
            if !is_wanted(self, host) {
                self.part_from_guest(host, guest);
            }
            return;
        }
        let there = |host: &usize| {
            self.people[*host].node.is_some() && *host != who && !self.apart.contains(&(who.min(*host), who.max(*host)))
        };
        let found = wanted.iter().find_map(|seek| {
            (0..self.people.len()).find(|host| KeyTag::of(&self.people[*host].id) == seek.key).filter(&there)
        });
        let Some(host) = found else { return };
        let guest = GuestId(self.number());
        let exporter = [guest.0 as u8; 32];
        self.people[who].host = Some((host, guest));
        self.people[host].guests.insert(guest, who);
        self.give(host, Input::GuestCame { guest, observed: address(who), exporter });
        self.give(who, Input::HostConnected { host: self.people[host].id, exporter });
    }

    /// A newcomer's connection to a member ends.
    fn part_from_guest(&mut self, host: usize, guest: GuestId) {
        if let Some(newcomer) = self.people[host].guests.remove(&guest) {
            self.people[newcomer].host = None;
            self.give(newcomer, Input::ServerLost);
            self.give(host, Input::GuestGone { guest });
        }
    }

    fn part_from_all(&mut self, who: usize) {
        if let Some((host, guest)) = self.people[who].host {
            self.part_from_guest(host, guest);
        }
        for guest in self.people[who].guests.keys().copied().collect::<Vec<_>>() {
            self.part_from_guest(who, guest);
        }
    }

    fn serve(&mut self, input: rendezvous::Input) {
        let Some(server) = &mut self.server else { return };
        let mut outputs = Vec::new();
        server.handle(self.now, input, &mut outputs);
        for output in outputs {
            match output {
                rendezvous::Output::Send { session, message } => {
                    let Some(who) = self.sessions.get(&session).copied() else { continue };
                    let id = self.people[who].id;
                    let said = match &mut self.lie {
                        Some(lie) => lie(id, message),
                        None => vec![message],
                    };
                    for message in said {
                        self.give(who, Input::FromServer(message));
                    }
                }
                rendezvous::Output::Close { session, .. } => {
                    if let Some(who) = self.sessions.remove(&session) {
                        self.people[who].session = None;
                        self.give(who, Input::ServerLost);
                    }
                }
                rendezvous::Output::Persist(_) => {}
            }
        }
    }

    /// Lets `seconds` go by, stopping at every moment at which something is due.
    pub fn pass(&mut self, seconds: u64) {
        self.run();
        let end = self.now.mono_ms + seconds * 1000;
        // Whoever wants to be woken for a moment that is past, and is no better off for it, would keep a processor busy.
        let mut restless = 0;
        for who in 0..self.people.len() {
            if self.people[who].node.is_some() {
                self.seek(who);
            }
        }
        self.run();
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.wakes += 1;
            restless = if due <= self.now.mono_ms { restless + 1 } else { 0 };
            assert!(restless < 20, "somebody never comes to rest: {due} is past, it is {}", self.now.mono_ms);
            self.advance_to(due.max(self.now.mono_ms + 1));
            for who in 0..self.people.len() {
                if self.people[who].node.is_some() {
                    self.seek(who);
                }
                self.give(who, Input::Wake);
            }
            self.serve(rendezvous::Input::Wake);
            self.run();
        }
        self.advance_to(end);
    }

    /// Lets time go by and carries one message after the other, until something has just come true.
    pub fn pass_until(&mut self, fits: impl Fn(&World) -> bool) {
        let end = self.now.mono_ms + 60_000;
        while !fits(self) {
            if self.mail.is_empty() {
                let due = self.next_due().filter(|due| *due <= end).expect("it comes true within a minute");
                self.advance_to(due.max(self.now.mono_ms + 1));
                for who in 0..self.people.len() {
                    self.give(who, Input::Wake);
                }
            }
            self.deliver(1);
        }
    }

    fn next_due(&self) -> Option<u64> {
        let nodes = self.people.iter().filter_map(|person| person.node.as_ref()?.next_wake());
        nodes.chain(self.server.as_ref().and_then(Rendezvous::next_wake)).min()
    }

    fn advance_to(&mut self, mono_ms: u64) {
        let passed = mono_ms.saturating_sub(self.now.mono_ms);
        self.now = Now { mono_ms: self.now.mono_ms + passed, wall_ms: self.now.wall_ms + passed };
    }

    /// Whether this client believes to be in the room.
    pub fn is_in(&self, who: usize) -> bool {
        let ins = |event: &&Event| matches!(event, Event::Joined { .. } | Event::Left { .. });
        matches!(self.people[who].events.iter().rfind(ins), Some(Event::Joined { .. }))
    }

    /// The texts this client has shown, its own included.
    pub fn texts(&self, who: usize) -> Vec<String> {
        let texts = self.people[who].events.iter().filter_map(|event| match event {
            Event::Message { text, .. } => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }

    /// The names in the room, as this client lists them.
    pub fn members(&mut self, who: usize) -> Vec<String> {
        self.command(who, Command::Members(lobby()));
        match self.people[who].events.last() {
            Some(Event::Members { members, .. }) => members.iter().map(|person| person.name.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// The knock this client was last asked about.
    pub fn last_knock(&self, who: usize) -> Option<ProposalHash> {
        self.people[who].events.iter().rev().find_map(|event| match event {
            Event::Knock { knock, .. } => Some(*knock),
            _ => None,
        })
    }

    /// Whether this client was told something that fits.
    pub fn was_told(&self, who: usize, fits: impl Fn(&Event) -> bool) -> bool {
        self.people[who].events.iter().any(fits)
    }

    /// Whom this client has links with.
    pub fn linked(&self, who: usize) -> BTreeSet<usize> {
        self.people[who].links.values().map(|(other, _)| *other).collect()
    }
}

/// The next number of a state that is never 0 (xorshift64).
pub fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// What a piece of mail travels on: within one, order is kept.
fn connection(mail: &Mail) -> (u8, u64) {
    match mail {
        Mail::ToServer(session, _) => (0, session.0),
        Mail::ToNode(_, Input::FromPeer { link, .. } | Input::LinkUp { link, .. } | Input::LinkDown { link }) => {
            (1, link.0)
        }
        Mail::ToNode(
            who,
            Input::FromServer(_) | Input::ServerConnected { .. } | Input::HostConnected { .. } | Input::ServerLost,
        ) => (2, *who as u64),
        Mail::ToNode(
            _,
            Input::GuestCame { guest, .. } | Input::FromGuest { guest, .. } | Input::GuestGone { guest },
        ) => (4, guest.0),
        Mail::ToNode(who, _) => (3, *who as u64),
    }
}

pub fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed + 1; 32])
}

pub fn address(who: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, who as u8 + 1], 4000))
}

/// Somebody who has nothing running: an address and a key.
pub fn bystander(seed: u8) -> Person {
    Person {
        id: identity(seed).id(),
        name: format!("p{seed}"),
        seed,
        node: None,
        life: [0; 32],
        store: PeerStore::in_memory().unwrap(),
        session: None,
        links: BTreeMap::new(),
        seeking: Vec::new(),
        host: None,
        guests: BTreeMap::new(),
        events: Vec::new(),
        heard: Vec::new(),
        served: Vec::new(),
    }
}
