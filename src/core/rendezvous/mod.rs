//! The rendezvous, as a pure state machine: it keeps names and rooms, passes signed objects between those they are for,
//! puts knocks in order and observes addresses.
//!
//! It is trusted for nothing else (DESIGN.md §2): it never decides who is in a room, it only follows rosters whose every
//! step it has verified like any member would ([`crate::core::consent`]), and what it claims is checked by those it tells.
//! It never does IO, and no address of a client ever goes to anybody who isn't a member of a room's current roster together
//! with that client.
//!
//! Whoever drives it carries out the outputs of an input in order, a [`Output::Persist`] before any [`Output::Send`]
//! behind it. A test that needs a lying server puts a filter between these outputs and the clients.
//!
//! Where what stands: what each message leads to, `requests`; who may log in under which name, `accounts`; which rooms
//! there are, `rooms`; what one room knows and whom it tells, `room`; the line of knocks, `knocks`; proposals and answers,
//! `ballots`; how a room moves on, `moving`; what is kept for members that were away, `history`; addresses, `introduce`.

mod accounts;
mod alarms;
mod ballots;
mod elsewhere;
mod history;
pub(in crate::core) mod introduce;
mod kept;
mod knocks;
mod moving;
pub(in crate::core) mod pace;
mod refusal;
mod requests;
mod room;
mod rooms;
mod sessions;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use self::accounts::Accounts;
use self::pace::Pace;
use self::room::{Room, Turn};
use self::rooms::Rooms;
use self::sessions::Sessions;
use super::Now;
use crate::identity::Scheme;
use crate::limits::{EMPTY_ROOM_TTL_S_DEFAULT, ROOMS_PER_SERVER_MAX};
use crate::wire::{FromServer, RefusalCode, RoomId, ToServer};

pub use self::kept::{Change, Kept, KeptName, KeptRoom, PastStep};

/// One connection of a client. The driver never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What happened to the rendezvous.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "inputs are handed in one by one, never kept in numbers")]
pub enum Input {
    /// A client connected.
    Connected {
        /// Its number from now on.
        session: SessionId,
        /// Where it is seen from.
        observed: SocketAddr,
        /// The TLS exporter of the connection, which its hello must name.
        exporter: [u8; 32],
    },
    /// A client said something.
    Message {
        /// Which client.
        session: SessionId,
        /// What.
        message: ToServer,
    },
    /// A connection goes on from another address. Unknown sessions are passed over.
    Moved {
        /// Which.
        session: SessionId,
        /// Where it is seen now; never a v4-mapped IPv6 address.
        observed: SocketAddr,
    },
    /// A connection ended, whoever ended it. Unknown sessions are passed over.
    Disconnected {
        /// Which.
        session: SessionId,
    },
    /// The moment of [`Rendezvous::next_wake`] has come.
    Wake,
}

/// What the driver is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell a client.
    Send {
        /// Which.
        session: SessionId,
        /// What.
        message: FromServer,
    },
    /// End a connection, after what was sent to it before.
    Close {
        /// Which.
        session: SessionId,
        /// Why; the [`FromServer::Refused`] sent before it says it in words.
        reason: RefusalCode,
    },
    /// Keep a change for good, before anything behind it is sent.
    Persist(Change),
}

/// How one rendezvous is run.
#[derive(Clone)]
pub struct Config {
    /// What clients must know to log in; `None` lets everybody in.
    pub password: Option<String>,
    /// Most rooms.
    pub max_rooms: usize,
    /// Seconds without any connected member after which a room is forgotten.
    pub empty_room_ttl_s: u64,
    /// Whether `list` shows the people online who chose to be listed.
    pub list_people: bool,
    /// The port where it answers too, for clients that examine the network.
    pub second_port: Option<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            password: None,
            max_rooms: ROOMS_PER_SERVER_MAX,
            empty_room_ttl_s: EMPTY_ROOM_TTL_S_DEFAULT,
            list_people: true,
            second_port: None,
        }
    }
}

/// Tells that there is a password, never which.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("password", &self.password.is_some())
            .field("max_rooms", &self.max_rooms)
            .field("empty_room_ttl_s", &self.empty_room_ttl_s)
            .field("list_people", &self.list_people)
            .field("second_port", &self.second_port)
            .finish()
    }
}

/// The state of one rendezvous.
#[derive(Debug)]
pub struct Rendezvous {
    /// How it is run.
    config: Config,
    /// How signatures are checked.
    scheme: Arc<dyn Scheme>,
    /// Which key has which name.
    accounts: Accounts,
    /// Who is connected.
    sessions: Sessions,
    /// The rooms and their alarms.
    rooms: Rooms,
    /// Who knocked how often of late.
    pace: Pace,
    /// Whether the clock was never seen yet: rooms that were kept count as empty from the first input on.
    fresh: bool,
}

impl Rendezvous {
    /// A rendezvous that goes on from what was kept. Rooms whose genesis doesn't verify are left out, since only a damaged
    /// store can hold one.
    pub fn new(config: Config, scheme: Arc<dyn Scheme>, kept: Kept) -> Self {
        let accounts = Accounts::new(kept.names);
        let rooms = Rooms::new(kept.rooms.into_values().filter_map(|room| Room::from_kept(room, scheme.as_ref())));
        let (sessions, pace) = (Sessions::default(), Pace::default());
        Rendezvous { config, scheme, accounts, sessions, rooms, pace, fresh: true }
    }

    /// Takes one input in and appends what is to be done.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.fresh) {
            self.rooms.all_empty_from(now, self.config.empty_room_ttl_s);
        }
        self.ring(now, out);
        match input {
            Input::Connected { session, observed, exporter } => self.sessions.connect(session, observed, exporter),
            Input::Message { session, message } => self.message(now, session, message, out),
            Input::Moved { session, observed } => self.moved(now, session, observed, out),
            Input::Disconnected { session } => self.disconnected(now, session, out),
            Input::Wake => {}
        }
    }

    /// When to put [`Input::Wake`] in next, on the monotonic clock in milliseconds; `None` when nothing is due by itself.
    pub fn next_wake(&self) -> Option<u64> {
        // Before the first input nobody has told the time yet: any moment will do.
        if self.fresh && !self.rooms.is_empty() { Some(0) } else { self.rooms.next_alarm() }
    }

    /// Lets every room whose moment has come act on it.
    fn ring(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(id) = self.rooms.due(now) {
            let expired = self.with_room(now, &id, out, |room, turn| room.expire(turn));
            if expired == Some(true) {
                self.forget(id, None, out);
            }
        }
    }

    /// Where a connection was seen last, for whoever watches whether it has moved.
    pub fn observed(&self, session: SessionId) -> Option<SocketAddr> {
        self.sessions.observed(session)
    }

    /// The mover and its members hear of it at the same moment, so that their dials cross.
    fn moved(&mut self, now: Now, session: SessionId, observed: SocketAddr, out: &mut Vec<Output>) {
        let Some((client, rooms)) = self.sessions.moved(now, session, observed) else { return };
        out.push(Output::Send { session, message: FromServer::Observed(observed) });
        for id in rooms {
            self.with_room(now, &id, out, |room, turn| room.moved(turn, &client));
        }
    }

    fn disconnected(&mut self, now: Now, session: SessionId, out: &mut Vec<Output>) {
        let Some((key, rooms)) = self.sessions.disconnect(session) else { return };
        for id in rooms {
            self.with_room(now, &id, out, |room, turn| room.gone_offline(turn, &key));
        }
    }

    /// Runs `act` in a room, if there is such a room, and sets the room's alarm anew.
    fn with_room<R>(
        &mut self,
        now: Now,
        id: &RoomId,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Room, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let room = self.rooms.get_mut(id)?;
        let (scheme, empty_ttl_s) = (self.scheme.as_ref(), self.config.empty_room_ttl_s);
        let mut turn = Turn { now, scheme, empty_ttl_s, sessions: &self.sessions, pace: &mut self.pace, out };
        let done = act(room, &mut turn);
        self.rooms.set_alarm(id);
        Some(done)
    }
}
