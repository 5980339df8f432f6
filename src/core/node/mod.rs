//! One client: its rooms, its links, its server, and what its user wants.
//!
//! [`Node::handle`] is the only door in. It finds out whom an input concerns and hands it on: to a room, to the line of
//! knocks of our own (`joining`), to the links. It never does any IO.

mod attending;
mod commands;
mod hosting;
mod joining;
mod links;
mod overlay;
mod reforming;
mod renewing;
mod rivals;
mod seeking;
mod server;
mod whereabouts;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::acquaintances::Acquaintances;
use super::consent::chain::Chain;
use super::event::{Ending, Event, Failure, Leaving, Misdeed};
use super::io::{Change, Input, Kept, LinkId, Output};
use super::log::{Log, Memory};
use super::private::Privates;
use super::room::{Ctx, Fate, Link, Room, Rules};
use super::time::Now;
use crate::identity::{Name, PeerId, RoomName, Scheme, Signer};
use crate::limits::BLAMES_PER_MINUTE_MAX;
use crate::planted::{self, Bug};
use crate::wire::{Body, PeerMessage, RoomId};

use hosting::Hosting;
use joining::Joining;
use links::{Dialling, Stranger};
use renewing::Renewal;
use rivals::Retiring;
use seeking::Seeking;

/// Milliseconds without any progress after which a quitting client stops waiting for acknowledgements.
const QUIT_PATIENCE_MS: u64 = 10_000;

/// What a node is made with.
#[derive(Debug)]
pub struct Config {
    /// What the user is called.
    pub name: Name,
    /// Whether others may see that name in the server's list.
    pub listed: bool,
    /// The server's password, where it wants one.
    pub password: Option<String>,
    /// Whether to only look at the server, as nobody: list, and delete rooms of one's own.
    pub visiting: bool,
    /// For salts, nonces and waiting times: 32 bytes nobody else knows.
    pub seed: [u8; 32],
}

/// One client.
#[derive(Debug)]
pub struct Node {
    /// The user's name.
    name: Name,
    /// Whether the server may list it.
    listed: bool,
    /// For the server.
    password: Option<String>,
    /// Whether we only look at the server.
    visiting: bool,
    /// Rooms to be deleted that we are not in, and their ids once the server has shown them.
    deleting: BTreeMap<RoomName, Option<RoomId>>,
    /// The user's key.
    signer: Arc<dyn Signer>,
    /// How signatures are checked.
    scheme: Arc<dyn Scheme>,
    /// For salts, nonces and waiting times.
    rng: StdRng,
    /// Rooms we are in.
    rooms: BTreeMap<RoomId, Room>,
    /// Rooms we have a seat in by what the store says, and have not asked to come back to.
    dormant: BTreeMap<RoomId, Room>,
    /// Logs of rooms we are not in any more.
    logs: BTreeMap<RoomId, Memory>,
    /// How knocks are answered without asking, at rooms we are not in.
    rules: BTreeMap<RoomId, Rules>,
    /// Private messages of rooms we are not in.
    privates: BTreeMap<RoomId, Privates>,
    /// What waited in rooms that we lost our seat in until the own log is whole.
    outbox: BTreeMap<RoomId, Vec<Body>>,
    /// Whom we have met.
    known: Acquaintances,
    /// Rooms founded anew that we are to enter, and which we leave for each.
    reformed: BTreeMap<RoomId, RoomId>,
    /// Rooms we want to be in.
    joining: BTreeMap<RoomName, Joining>,
    /// The connection in use with each peer.
    links: BTreeMap<PeerId, Link>,
    /// Whose each connection is.
    peers: BTreeMap<LinkId, PeerId>,
    /// Connections of peers we do not know, or not yet.
    strangers: BTreeMap<LinkId, Stranger>,
    /// Whom we are trying to reach.
    dialling: BTreeMap<PeerId, Dialling>,
    /// Links in doubt, which are dialled anew while they stand.
    renewals: BTreeMap<PeerId, Renewal>,
    /// Links that we need no more, and since when.
    surplus: BTreeMap<PeerId, u64>,
    /// When the address of somebody we should have a link with has been unknown for too long.
    unknown_until: Option<u64>,
    /// When news of each peer, or of ourselves, last made us dial before it was time.
    hurried: BTreeMap<PeerId, VecDeque<u64>>,
    /// Connections that lost to a rival, until all that was on its way on them has been read.
    retiring: BTreeMap<LinkId, Retiring>,
    /// Our own addresses.
    addresses: Vec<SocketAddr>,
    /// Where members see us, by whom.
    observed: BTreeMap<PeerId, SocketAddr>,
    /// Newcomers who knock through us.
    hosting: Hosting,
    /// Whom we knock through.
    seeking: Seeking,
    /// When the server was last told of them because something changed.
    told_addresses_at: Option<u64>,
    /// News about addresses that waits to be told on.
    telling_on: whereabouts::TellingOn,
    /// Whether the server has welcomed us.
    server_up: bool,
    /// Since when we want to end, as of the last progress.
    quitting: Option<u64>,
    /// When the user was last told of broken rules.
    blamed: VecDeque<u64>,
    /// Whether nobody can have a log of ours that we don't know, our key being new.
    newborn: bool,
    /// Whether [`Output::End`] was given.
    ended: bool,
}

/// The context of a room, borrowed from the fields of a node that rooms do not touch.
macro_rules! ctx {
    ($node:ident, $now:expr, $out:expr) => {
        Ctx {
            now: $now,
            signer: &*$node.signer,
            scheme: &*$node.scheme,
            rng: &mut $node.rng,
            out: $out,
            links: &$node.links,
            server_up: $node.server_up,
            addresses: &$node.addresses,
            known: &mut $node.known,
        }
    };
}
use ctx;

impl Node {
    /// A client with what it had kept. Rooms it was in wait until the user asks for them.
    pub fn new(config: Config, signer: Arc<dyn Signer>, scheme: Arc<dyn Scheme>, kept: Kept) -> Self {
        let mut logs: BTreeMap<RoomId, Memory> = BTreeMap::new();
        for (room, author, log) in kept.logs {
            if planted::is(Bug::DedupeForgotten) && author != signer.id() {
                continue;
            }
            logs.entry(room).or_default().authors.insert(author, log);
        }
        for roster in kept.past {
            logs.entry(roster.room).or_default().past.keep(roster);
        }
        let me = signer.id();
        let mut rules: BTreeMap<RoomId, Rules> = BTreeMap::new();
        for (room, key, rule) in kept.rules {
            rules.entry(room).or_default().insert(key, rule);
        }
        let mut conversations: BTreeMap<RoomId, Vec<_>> = BTreeMap::new();
        for (room, with, kept) in kept.privates {
            conversations.entry(room).or_default().push((with, kept));
        }
        let mut privates: BTreeMap<RoomId, Privates> =
            conversations.into_iter().map(|(room, kept)| (room, Privates::recall(kept))).collect();
        let mut outbox: BTreeMap<RoomId, Vec<Body>> = kept.outbox.into_iter().collect();
        let mut dormant: BTreeMap<RoomId, Room> = BTreeMap::new();
        for room in kept.rooms {
            let Ok(genesis) = room.genesis.verify(&*scheme) else { continue };
            let (steps, notes): (Vec<_>, Vec<_>) = room.steps.into_iter().unzip();
            let Ok(chain) = Chain::reopen(genesis, room.base, steps, &*scheme) else { continue };
            let log = Log::reopen(logs.remove(&chain.room()).unwrap_or_default(), &chain, &me);
            let mut reopened = Room::new(chain, log, me);
            reopened.recall_notes(notes);
            reopened.rules = rules.remove(&reopened.id()).unwrap_or_default();
            let id = reopened.id();
            reopened.recall_standing(kept.standing.iter().filter(|kept| kept.entry.room == id));
            reopened.recall_privates(privates.remove(&reopened.id()).unwrap_or_default());
            if let Some(texts) = outbox.remove(&id) {
                reopened.recall_outbox(texts);
            }
            reopened.recall(room.consents, room.head_counter, &*scheme);
            dormant.insert(reopened.id(), reopened);
        }
        for (room, peer, addresses) in kept.addresses {
            dormant.entry(room).and_modify(|room| room.recall_address(peer, addresses));
        }
        Node {
            name: config.name,
            listed: config.listed,
            password: config.password,
            visiting: config.visiting,
            deleting: BTreeMap::new(),
            signer,
            scheme,
            rng: StdRng::from_seed(config.seed),
            rooms: BTreeMap::new(),
            dormant,
            logs,
            rules,
            privates,
            outbox,
            known: Acquaintances::recall(kept.acquaintances),
            reformed: BTreeMap::new(),
            joining: BTreeMap::new(),
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            strangers: BTreeMap::new(),
            dialling: BTreeMap::new(),
            renewals: BTreeMap::new(),
            surplus: BTreeMap::new(),
            unknown_until: None,
            hurried: BTreeMap::new(),
            retiring: BTreeMap::new(),
            addresses: Vec::new(),
            observed: BTreeMap::new(),
            hosting: Hosting::default(),
            seeking: Seeking::default(),
            told_addresses_at: None,
            telling_on: whereabouts::TellingOn::default(),
            server_up: false,
            quitting: None,
            blamed: VecDeque::new(),
            newborn: kept.newborn,
            ended: false,
        }
    }

    /// Whether what somebody says is hidden.
    pub fn ignores(&self, key: &PeerId) -> bool {
        self.known.ignores(key)
    }

    /// Our own key.
    pub fn id(&self) -> PeerId {
        self.signer.id()
    }

    /// Takes one input, and appends what is to be done about it.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        if self.ended {
            return;
        }
        let begun = out.len();
        let is_talk = is_talk(&input) || self.is_gossip(&input);
        match input {
            Input::Command(command) => self.command(now, command, out),
            Input::Say { room, texts } => self.say(now, &room, texts, out),
            Input::ServerConnected { exporter } => self.greet_server(exporter, out),
            Input::FromServer(message) => self.on_server_message(now, message, out),
            Input::ServerLost => self.server_lost(),
            Input::LinkUp { peer, life, link, dialled, remote, rtt_ms } => {
                self.link_up(
                    now,
                    peer,
                    link,
                    Link { id: link, life, dialled, remote, rtt_ms, since: now.mono_ms, failed: 0 },
                    out,
                );
            }
            Input::FromPeer { link, message } => self.on_peer_message(now, link, message, out),
            Input::PeerMalformed { link } => self.peer_malformed(now, link, out),
            Input::LinkDown { link } => self.link_down(now, link, out),
            Input::DialFailed { peer } => self.dial_failed(now, peer),
            Input::Addresses(addresses) => self.own_addresses(now, addresses, out),
            Input::NetworkChanged => self.network_changed(now),
            Input::LinkSilent { link } => self.link_silent(now, link, out),
            Input::Fetched { room, reader, author, from, entries } => {
                let mut ctx = ctx!(self, now, out);
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.on_fetched(&mut ctx, reader, (author, from), &entries);
                }
            }
            Input::LookedUp { room, asked, found } => {
                let mut ctx = ctx!(self, now, out);
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.on_looked_up(&mut ctx, &asked, &found);
                }
            }
            Input::GuestCame { guest, observed, exporter } => self.guest_came(now, guest, observed, exporter, out),
            Input::FromGuest { guest, message } => self.guest_says(now, guest, message, out),
            Input::GuestGone { guest } => self.guest_gone(guest),
            Input::HostConnected { host, exporter } => self.host_connected(host, exporter, out),
            Input::NotKept { why } => self.not_kept(why, out),
            Input::Wake => {}
        }
        // What is said moves nobody from roster to roster, and there is a lot of it.
        if self.pass_time(now, out) || !is_talk {
            self.leave_abandoned(now, out);
            self.go_over(now, out);
            self.tend_links(now, out);
            self.seek_hosts(out);
        }
        self.attend_guests(now, out);
        self.try_to_end(now, out);
        self.blame_in_moderation(now, out, begun);
    }

    /// Whether an input says who has links with whom in a large room, which is weighed later, together with what else is said of it.
    fn is_gossip(&self, input: &Input) -> bool {
        let Input::FromPeer { message: PeerMessage::LinkState(state), .. } = input else { return false };
        self.rooms.get(&state.unverified().room).is_some_and(Room::is_large)
    }

    /// Somebody who breaks a rule a thousand times is told of a few times a minute: a screen full of blame hides the chat.
    fn blame_in_moderation(&mut self, now: Now, out: &mut Vec<Output>, begun: usize) {
        while self.blamed.front().is_some_and(|at| at + 60_000 <= now.mono_ms) {
            self.blamed.pop_front();
        }
        let blames = |output: &Output| matches!(output, Output::Tell(Event::Misbehaviour { .. }));
        if !out[begun..].iter().any(blames) {
            return;
        }
        let new = out.split_off(begun);
        out.extend(new.into_iter().filter(|output| {
            if !blames(output) {
                return true;
            }
            let told = self.blamed.len() < BLAMES_PER_MINUTE_MAX;
            if told {
                self.blamed.push_back(now.mono_ms);
            }
            told
        }));
    }

    /// When [`Input::Wake`] is wanted next, on the monotonic clock in milliseconds.
    pub fn next_wake(&self) -> Option<u64> {
        let rooms = self.rooms.values().filter_map(Room::due);
        let joining = self.joining.values().flat_map(|joining| [joining.gives_up_at, joining.retry_at]).flatten();
        let quitting = self.quitting.map(|since| since + QUIT_PATIENCE_MS);
        let hosts = self.hosting_due().into_iter().chain(self.hosting.idle_due()).chain(self.seeking.due());
        let links = self.links_due().into_iter().chain(self.renewals_next());
        rooms.chain(joining).chain(links).chain(hosts).chain(quitting).chain(self.telling_on.due()).min()
    }

    /// Does what is due in the rooms; whether anything was.
    fn pass_time(&mut self, now: Now, out: &mut Vec<Output>) -> bool {
        let mut any = false;
        self.give_up_knocking(now, out);
        self.retry_joining(now, out);
        self.settle_alone(now, out);
        self.tell_on(now, out);
        self.send_idle_guests_away(now, out);
        let mut ctx = ctx!(self, now, out);
        for room in self.rooms.values_mut() {
            if room.due().is_some_and(|due| due <= now.mono_ms) {
                any = true;
                room.lapse(&mut ctx);
                room.absences_due(&mut ctx);
                room.settle(&mut ctx);
                room.frontier_flush(&mut ctx);
                room.resend_due(&mut ctx);
                room.past_due(&mut ctx);
                room.wants_due(&mut ctx);
                room.holes_due(&mut ctx);
                room.link_states_due(&mut ctx);
                room.pulls_due(&mut ctx);
                room.arrivals_due(&mut ctx);
                room.privates_due(&mut ctx);
                room.level_due(&mut ctx);
                room.keep_addresses_due(&mut ctx);
                room.ask_server_due(&mut ctx);
                room.tell_apart_due(&mut ctx);
            }
        }
        any
    }

    /// Rooms whose others all went on without us, or whose other half hosts: out, and knock again. Rooms that we were
    /// removed from: out.
    fn leave_abandoned(&mut self, now: Now, out: &mut Vec<Output>) {
        let fates: Vec<(RoomId, Fate)> = self.rooms.iter().map(|(id, room)| (*id, room.fate())).collect();
        for (id, fate) in fates {
            match fate {
                Fate::On => self.see_who_is_elsewhere(now, id, out),
                Fate::Doubtful => self.look_before_leaving(now, id, out),
                Fate::Abandoned => self.abandon(now, id, out),
                Fate::Removed => self.leave_room(now, id, Leaving::Removed, out),
            }
        }
    }

    fn abandon(&mut self, now: Now, id: RoomId, out: &mut Vec<Output>) {
        self.remember_ways(id);
        // Whoever still counts on our seat must not wait for us: we are about to knock at them.
        let mut ctx = ctx!(self, now, out);
        if let Some(room) = self.rooms.get_mut(&id) {
            room.leave(&mut ctx);
        }
        if let Some(name) = self.forget(id, Leaving::DroppedByOthers, out)
            && self.quitting.is_none()
        {
            self.knock_anew(name.clone(), out);
            // A server that has just lost everything is told of the room by its other members, who may come later.
            self.be_patient(now, &name);
        }
    }

    /// Takes a room off the list; its logs stay, since our own must go on where it ended.
    fn forget(&mut self, id: RoomId, why: Leaving, out: &mut Vec<Output>) -> Option<RoomName> {
        let room = self.rooms.remove(&id)?;
        // What we may still be given, and still have to give, of the time of this seat needs its rosters.
        let rosters = room.chain().rosters().cloned().collect();
        out.push(Output::Persist(Change::Past { room: id, rosters }));
        out.push(Output::Persist(Change::Gone { room: id }));
        out.push(Output::Tell(Event::Left { room: room.name.clone(), why }));
        let name = room.name.clone();
        let (memory, rules, privates, outbox) = room.into_memory();
        self.outbox.extend(outbox.map(|texts| (id, texts)));
        self.rules.insert(id, rules);
        self.privates.insert(id, privates);
        self.logs.insert(id, memory);
        Some(name)
    }

    /// The seat in a room of this name that nobody has gone back to since the start.
    fn dormant_named(&self, name: &RoomName) -> Option<RoomId> {
        self.dormant.iter().find(|(_, room)| room.name == *name).map(|(id, _)| *id)
    }

    /// The room of a name that we are in.
    pub fn room_named(&self, name: &RoomName) -> Option<RoomId> {
        self.rooms.iter().find(|(_, room)| room.name == *name).map(|(id, _)| *id)
    }

    /// What a room that we are in is called.
    pub fn name_of_room(&self, room: &RoomId) -> Option<RoomName> {
        self.rooms.get(room).map(|room| room.name.clone())
    }

    /// The store refused: nothing that was to follow has happened, and nothing more can be promised.
    fn not_kept(&mut self, why: String, out: &mut Vec<Output>) {
        out.push(Output::Tell(Event::Failed(Failure::NotKept { why })));
    }

    fn blame_server(out: &mut Vec<Output>, room: Option<RoomName>, what: Misdeed) {
        out.push(Output::Tell(Event::Misbehaviour { room, by: None, what }));
    }

    /// Ends once all that was said has arrived where it can, or nothing moves any more.
    fn try_to_end(&mut self, now: Now, out: &mut Vec<Output>) {
        let Some(since) = self.quitting else { return };
        let me = self.id();
        let (mut all, mut lost) = (true, false);
        for room in self.rooms.values() {
            let (room_all, room_lost) = room.delivered_to_all_linked(&me);
            all &= room_all && room.privates_delivered();
            lost |= room_lost;
        }
        let hopeless = now.mono_ms >= since + QUIT_PATIENCE_MS;
        if !((all && !lost) || hopeless) {
            return;
        }
        let ids: Vec<RoomId> = self.rooms.keys().copied().collect();
        for id in ids {
            self.leave_room(now, id, Leaving::Asked, out);
        }
        self.ended = true;
        let ending = if all && !lost { Ending::Done } else { Ending::Undelivered };
        out.push(Output::Tell(Event::Ended(ending)));
        out.push(Output::End);
    }
}

/// Whether an input is about what is said, and about nobody's seat.
fn is_talk(input: &Input) -> bool {
    match input {
        Input::Say { .. } | Input::Fetched { .. } | Input::LookedUp { .. } => true,
        Input::FromPeer { message, .. } => {
            matches!(
                message,
                PeerMessage::Run(_)
                    | PeerMessage::Frontier(_)
                    | PeerMessage::Want(_)
                    | PeerMessage::Floor(_)
                    | PeerMessage::Arrived(_)
                    | PeerMessage::Pull(_)
                    | PeerMessage::Holes(_)
            )
        }
        _ => false,
    }
}
