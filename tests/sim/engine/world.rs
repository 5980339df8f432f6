//! Virtual time: what is due, in the order of (time, number), and whom it is for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use p2pchat::core::io::{GuestId, Input, LinkId};
use p2pchat::identity::Scheme;
use p2pchat::wire::{ProposalHash, Ticket};

use super::check::Checks;
use super::keys;
use super::liars::{MemberLiar, ServerLiar};
use super::net::{ConnId, Frame, Net, Place, Way};
use super::plan::Plan;
use super::rng::Rng;
use super::server::Server;
use super::shell::Person;

/// Events of a run, a hundred times what one has.
const EVENTS_MAX: u64 = 1_000_000;

/// Something that is due.
#[derive(Debug)]
pub enum What {
    /// A frame arrives; from which side.
    Arrive(ConnId, usize, Frame),
    /// One side of a connection notices that it is gone.
    Down(ConnId, usize),
    /// A connection may have been silent for too long.
    IsDead(ConnId),
    /// A dial arrives: by whom, in which run, at whom (nobody, if the addresses are wrong), and who was meant.
    Dial(Place, u32, Option<Place>, p2pchat::identity::PeerId),
    /// A dial ends without a connection.
    DialFailed(Place, u32, p2pchat::identity::PeerId),
    /// A client tries to reach the server.
    ServerDial(Place, u32),
    /// A client is woken, if it still wants to be at this time.
    Wake(Place, u32),
    /// The server is woken.
    ServerWake,
    /// A disk has synced, or refused.
    Synced(Place, u32),
    /// A client that stood still goes on.
    GoOn(Place),
    /// A person acts.
    Act(Place),
    /// A person answers a knock.
    Answer(Place, ProposalHash, bool),
    /// Somebody starts their client again.
    Start(Place),
    /// The server starts again.
    ServerStart,
    /// A person shows a ticket.
    ShowTicket(Place),
    /// The server ends for good.
    ServerGone,
    /// The weather changes.
    Weather,
    /// These ways are free again.
    Unblock(Vec<(Place, Place)>),
    /// The lying server says something by itself.
    Mischief,
    /// The lying member says something by itself.
    MemberMischief,
}

struct Due {
    at: u64,
    number: u64,
    what: Box<What>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Chance, a stream for each purpose.
pub struct Streams {
    pub net: Rng,
    pub disk: Rng,
    pub people: Rng,
    pub weather: Rng,
    pub lies: Rng,
    pub nodes: Rng,
}

/// Everything.
pub struct World {
    pub plan: Plan,
    /// Milliseconds since the beginning.
    pub now: u64,
    due: BinaryHeap<Reverse<Due>>,
    numbers: u64,
    pub people: Vec<Person>,
    pub server: Server,
    pub net: Net,
    pub checks: Checks,
    pub scheme: Arc<dyn Scheme>,
    pub rng: Streams,
    pub server_liar: ServerLiar,
    pub member_liar: MemberLiar,
    /// Tickets that members have shown to everybody, by member, the newest last.
    pub tickets: BTreeMap<Place, Vec<Ticket>>,
    /// Whether the weather has cleared.
    pub healing: bool,
    /// When.
    pub cleared_at: u64,
    /// Whether people had to bring halves together by hand.
    pub people_decided: bool,
    /// Denials so far: whoever is denied twice by one client is not heard for a day.
    pub denied: BTreeSet<(usize, usize)>,
    /// What happened, for people, if wanted.
    pub trace: Option<Vec<String>>,
    /// Whether every frame belongs to that.
    pub trace_frames: bool,
    /// A hash of all outputs, if wanted.
    pub digest: Option<u64>,
    /// Frames that were sent.
    pub frames: u64,
    pub events: u64,
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> Self {
        let stream = |purpose: &str| Rng::of(seed, purpose);
        let scheme = keys::scheme(plan.ed25519 == 1);
        let mut keys_rng = stream("keys");
        let count = plan.people as usize;
        // The founder stays honest, so that there is always somebody to check; the last one lies.
        let liar = (plan.member_lies > 0 && count > 2).then(|| count - 1);
        let people: Vec<Person> = (0..count)
            .map(|who| Person::new(who, keys::signer(plan.ed25519 == 1, &mut keys_rng), Some(who) == liar))
            .collect();
        let ids: Vec<_> = people.iter().map(|person| person.id).collect();
        let honest = people.iter().map(|person| !person.liar).collect();
        let checks = Checks::new(Arc::clone(&scheme), &ids, honest, plan.server_lies == 0);
        let stranger = keys::signer(plan.ed25519 == 1, &mut keys_rng);
        let mut world = World {
            now: 0,
            due: BinaryHeap::new(),
            numbers: 0,
            server: Server::new(Arc::clone(&scheme)),
            net: Net::default(),
            checks,
            scheme,
            rng: Streams {
                net: stream("net"),
                disk: stream("disk"),
                people: stream("people"),
                weather: stream("weather"),
                lies: stream("lies"),
                nodes: stream("nodes"),
            },
            server_liar: ServerLiar::new(stranger),
            member_liar: MemberLiar::new(liar),
            tickets: BTreeMap::new(),
            healing: false,
            cleared_at: 0,
            people_decided: false,
            denied: BTreeSet::new(),
            trace: None,
            trace_frames: false,
            digest: None,
            frames: 0,
            events: 0,
            people,
            plan,
        };
        world.set_the_scene();
        world
    }

    fn set_the_scene(&mut self) {
        let count = self.people.len();
        // The founder can connect with everybody, so that some path leads from each to each while it is there.
        let hub = 0;
        for one in 0..count {
            for other in one + 1..count {
                if one != hub && other != hub && self.rng.net.chance(self.plan.apart) {
                    self.net.apart.insert((one, other));
                }
            }
        }
        if self.plan.has_server() {
            self.server.start(false, self.now);
        }
        if self.plan.serverless == 1 && self.plan.server_until_s > 0 {
            self.after(self.plan.server_until_s * 1000, What::ServerGone);
        }
        for who in 0..count {
            self.start_client(who);
            let after = self.rng.people.below(if who == 0 { 1 } else { 20_000 });
            self.after(500 + after, What::Act(who));
        }
        let every = self.plan.fault_every_s * 1000;
        let first = self.rng.weather.below(every);
        self.after(10_000 + first, What::Weather);
        if self.plan.server_lies > 0 && self.plan.has_server() {
            self.after(12_000, What::Mischief);
        }
        if self.member_liar.who.is_some() {
            self.after(12_000, What::MemberMischief);
        }
    }

    /// The server's place in the network.
    pub fn server_place(&self) -> Place {
        self.people.len()
    }

    pub fn at(&mut self, at: u64, what: What) {
        self.numbers += 1;
        self.due.push(Reverse(Due { at: at.max(self.now), number: self.numbers, what: Box::new(what) }));
    }

    pub fn after(&mut self, ms: u64, what: What) {
        self.at(self.now + ms, what);
    }

    /// Notes something for people.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8.3} {}", self.now as f64 / 1000.0, what()));
        }
    }

    /// Runs until this time; stops early when something is broken.
    pub fn run_until(&mut self, end: u64) {
        while let Some(Reverse(next)) = self.due.peek() {
            if self.events > EVENTS_MAX {
                return self.checks.fail("a run comes to its end", format!("{} events", self.events));
            }
            if next.at > end || self.checks.broken.is_some() {
                break;
            }
            let Some(Reverse(due)) = self.due.pop() else { break };
            self.now = due.at;
            self.events += 1;
            self.happen(*due.what);
        }
        if self.checks.broken.is_none() {
            self.now = self.now.max(end);
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Arrive(conn, side, frame) => self.arrive(conn, 1 - side, frame),
            What::Down(conn, side) => self.side_down(conn, side),
            What::IsDead(conn) => {
                if self.net.is_dead(conn, self.server_place(), self.now) {
                    // The one that hears nothing gives up first, the other when it hears nothing either.
                    let first = usize::from(self.rng.net.chance(500));
                    let later = self.rng.net.below(self.net.conns[&conn].idle_ms(self.server_place()));
                    self.side_down(conn, first);
                    self.after(later, What::Down(conn, 1 - first));
                }
            }
            What::Dial(from, run, to, meant) => self.dial_arrives(from, run, to, meant),
            What::DialFailed(who, run, peer) => {
                if self.people[who].run == run {
                    self.give(who, Input::DialFailed { peer });
                }
            }
            What::ServerDial(who, run) => self.server_dial(who, run),
            What::Wake(who, run) => self.wake(who, run),
            What::ServerWake => self.server_wake(),
            What::Synced(who, run) => self.synced(who, run),
            What::GoOn(who) => self.process(who),
            What::Act(who) => self.act(who),
            What::Answer(who, knock, yes) => self.answer(who, knock, yes),
            What::Start(who) => self.start_client(who),
            What::ServerStart => self.server_start(),
            What::ShowTicket(who) => self.show_ticket(who),
            What::ServerGone => self.server_gone(),
            What::Weather => self.weather(),
            What::Unblock(ways) => self.unblock(&ways),
            What::Mischief => self.mischief(),
            What::MemberMischief => self.member_mischief(),
        }
    }

    fn delay(&mut self) -> u64 {
        let most = if self.healing { self.plan.delay_ms.min(200) } else { self.plan.delay_ms };
        1 + self.rng.net.below(most)
    }

    /// Sends a frame from one side of a connection.
    pub fn send(&mut self, conn: ConnId, side: usize, frame: Frame) {
        let delay = self.delay();
        if !matches!(frame, Frame::Up | Frame::Fin) {
            self.frames += 1;
            if self.trace_frames {
                let ends = self.net.conns.get(&conn).map(|conn| (conn.ends[side], conn.ends[1 - side]));
                self.note(|| format!("{ends:?} {frame:?}"));
            }
        }
        if let Some(Way::Arrives(at)) = self.net.send(conn, side, &frame, self.now, delay) {
            self.at(at, What::Arrive(conn, side, frame));
        }
    }

    fn arrive(&mut self, id: ConnId, side: usize, frame: Frame) {
        let Some(conn) = self.net.conns.get(&id).filter(|conn| conn.open[side]) else { return };
        let (place, link, dialled, other) = (conn.ends[side], conn.links[side], side == 0, conn.ends[1 - side]);
        if place == self.server_place() {
            match frame {
                Frame::ToServer(message) => self.serve_message(id, message),
                Frame::Fin => self.side_down(id, side),
                _ => {}
            }
            return;
        }
        if conn.guest {
            return self.arrive_at_door(id, side, frame);
        }
        match frame {
            Frame::Up if other == self.server_place() => self.server_connected(place, id),
            Frame::Up => self.link_up(place, link, dialled, other),
            Frame::Peer(message) => self.give(place, Input::FromPeer { link, message }),
            Frame::FromServer(message) => self.give(place, Input::FromServer(message)),
            Frame::Fin => self.side_down(id, side),
            Frame::ToServer(_) => {}
        }
    }

    /// One side ends a connection. Where its word of that can't come through, the other side hears nothing any more, and
    /// gives up in its own time.
    pub fn hang_up(&mut self, id: ConnId, side: usize) {
        self.send(id, side, Frame::Fin);
        let Some(idle) = self.net.conns.get(&id).map(|conn| conn.idle_ms(self.server_place())) else { return };
        self.net.close(id, side);
        self.after(idle, What::Down(id, 1 - side));
    }

    /// One side of a connection notices that it is gone.
    pub fn side_down(&mut self, id: ConnId, side: usize) {
        let Some(conn) = self.net.conns.get(&id).filter(|conn| conn.open[side]) else { return };
        let (place, run, link, other) = (conn.ends[side], conn.runs[side], conn.links[side], conn.ends[1 - side]);
        let guest = conn.guest;
        self.net.close(id, side);
        if place == self.server_place() {
            self.session_lost(id);
        } else if self.people[place].run == run {
            if guest && side == 1 {
                self.give(place, Input::GuestGone { guest: GuestId(id) });
            } else if guest || other == self.server_place() {
                self.server_lost(place, id);
            } else {
                self.give(place, Input::LinkDown { link });
            }
        }
    }

    fn link_up(&mut self, who: Place, link: LinkId, dialled: bool, other: Place) {
        let peer = self.people[other].id;
        let remote = super::shell::address(other);
        let mut life = peer.0;
        life[..4].copy_from_slice(&self.people[other].run.to_le_bytes());
        self.give(who, Input::LinkUp { peer, life, link, dialled, remote, rtt_ms: 1 });
    }

    fn dial_arrives(&mut self, from: Place, run: u32, to: Option<Place>, meant: p2pchat::identity::PeerId) {
        let lost = !self.healing && self.rng.net.chance(self.plan.dial_loss);
        let to = to.filter(|to| {
            self.people[*to].is_up()
                && !lost
                && !self.net.is_blocked(from, *to)
                && !self.net.is_blocked(*to, from)
                && !self.net.apart.contains(&(from.min(*to), from.max(*to)))
        });
        let Some(to) = to else { return self.after(4_900, What::DialFailed(from, run, meant)) };
        if self.people[from].run != run {
            return;
        }
        let id = self.net.open([from, to], [run, self.people[to].run], self.now);
        let link = self.net.conns[&id].links[1];
        self.send(id, 1, Frame::Up);
        self.link_up(to, link, false, from);
    }

    /// Blocks ways for a while.
    pub fn block(&mut self, ways: Vec<(Place, Place)>, ms: u64) {
        for (from, to) in &ways {
            for conn in self.net.block(*from, *to, self.now) {
                let idle = self.net.conns[&conn].idle_ms(self.server_place());
                self.after(idle, What::IsDead(conn));
            }
        }
        self.after(ms, What::Unblock(ways));
    }

    /// Nothing is in anybody's way any more.
    pub fn unblock_all(&mut self) {
        for (from, to) in self.net.blocked_ways() {
            self.unblock(&[(from, to)]);
        }
    }

    fn unblock(&mut self, ways: &[(Place, Place)]) {
        for (from, to) in ways {
            for (conn, side, frame) in self.net.unblock(*from, *to) {
                self.send(conn, side, frame);
            }
        }
    }
}
