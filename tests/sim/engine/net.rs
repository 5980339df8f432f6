//! The network between clients and their server, as QUIC leaves it: within one connection nothing is lost and order is
//! kept; what is lost on the wire makes a connection stall, and a connection that is silent for too long is gone for both,
//! with all that was on its way.

use std::collections::{BTreeMap, VecDeque};

use p2pchat::core::io::LinkId;
use p2pchat::limits::{HOST_IDLE_S, PEER_IDLE_S, SERVER_IDLE_S};
use p2pchat::wire::{FromServer, PeerMessage, ToServer};

/// A client by its number, or the server, whose number is that of the clients.
pub type Place = usize;

/// One connection; never used again.
pub type ConnId = u64;

/// What travels.
#[derive(Debug, Clone)]
pub enum Frame {
    /// The one that dialled hears that the connection stands.
    Up,
    Peer(PeerMessage),
    ToServer(ToServer),
    FromServer(FromServer),
    /// The other side closes.
    Fin,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Pipe {
    /// Nothing arrives before this.
    not_before: u64,
    /// What waits for the way to be free again.
    held: VecDeque<Frame>,
}

/// A connection. Side 0 dialled it.
#[derive(Debug)]
pub struct Conn {
    pub ends: [Place; 2],
    /// Whether side 0 knocks through side 1, which is a member in the place of a server.
    pub guest: bool,
    /// Which run of each client it belongs to.
    pub runs: [u32; 2],
    pub links: [LinkId; 2],
    pub pipes: [Pipe; 2],
    /// Whether each side still holds it.
    pub open: [bool; 2],
    /// Since when it is there.
    since: u64,
    /// Since when a direction has been blocked.
    blocked_since: Option<u64>,
}

impl Conn {
    /// Milliseconds of silence after which it is gone.
    pub fn idle_ms(&self, server: Place) -> u64 {
        1000 * match self.guest {
            true => HOST_IDLE_S,
            false if self.ends.contains(&server) => SERVER_IDLE_S,
            false => PEER_IDLE_S,
        }
    }
}

/// All connections, and who can't be heard by whom.
#[derive(Debug, Default)]
pub struct Net {
    pub conns: BTreeMap<ConnId, Conn>,
    by_link: BTreeMap<LinkId, (ConnId, usize)>,
    /// How many reasons there are for one not to be heard by another.
    blocked: BTreeMap<(Place, Place), u32>,
    /// Pairs that never connect.
    pub apart: std::collections::BTreeSet<(Place, Place)>,
    next: u64,
}

/// What a frame's way looks like.
pub enum Way {
    /// It arrives then.
    Arrives(u64),
    /// It waits.
    Waits,
}

impl Net {
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A newcomer's connection to a member that it knocks through.
    pub fn open_guest(&mut self, ends: [Place; 2], runs: [u32; 2], now: u64) -> ConnId {
        let id = self.open(ends, runs, now);
        self.conns.entry(id).and_modify(|conn| conn.guest = true);
        id
    }

    pub fn open(&mut self, ends: [Place; 2], runs: [u32; 2], now: u64) -> ConnId {
        let id = self.number();
        let links = [LinkId(self.number()), LinkId(self.number())];
        for (side, link) in links.into_iter().enumerate() {
            self.by_link.insert(link, (id, side));
        }
        let pipes = [Pipe::default(), Pipe::default()];
        let (guest, open, since, blocked_since) = (false, [true; 2], now, None);
        self.conns.insert(id, Conn { ends, guest, runs, links, pipes, open, since, blocked_since });
        id
    }

    /// The connection behind a client's link, if that client still holds it.
    pub fn of_link(&self, link: LinkId) -> Option<(ConnId, usize)> {
        let (id, side) = *self.by_link.get(&link)?;
        self.conns.get(&id).filter(|conn| conn.open[side])?;
        Some((id, side))
    }

    pub fn is_blocked(&self, from: Place, to: Place) -> bool {
        self.blocked.get(&(from, to)).is_some_and(|reasons| *reasons > 0)
    }

    /// Whether two hear each other over a connection that both hold.
    pub fn hear(&self, one: Place, other: Place) -> bool {
        self.have_heard_since(one, other, u64::MAX)
    }

    /// The same, over one that was there by then.
    pub fn have_heard_since(&self, one: Place, other: Place, then: u64) -> bool {
        let ends = |conn: &Conn| !conn.guest && (conn.ends == [one, other] || conn.ends == [other, one]);
        let free = |conn: &Conn| conn.pipes.iter().all(|pipe| pipe.held.is_empty()) && conn.blocked_since.is_none();
        self.conns.values().any(|conn| ends(conn) && conn.open == [true; 2] && conn.since <= then && free(conn))
    }

    /// Sends from one side: when it arrives, `delay` from now at the earliest and after all before it.
    pub fn send(&mut self, id: ConnId, side: usize, frame: &Frame, now: u64, delay: u64) -> Option<Way> {
        let blocked = {
            let conn = self.conns.get(&id)?;
            self.is_blocked(conn.ends[side], conn.ends[1 - side])
        };
        let conn = self.conns.get_mut(&id).filter(|conn| conn.open[side])?;
        let pipe = &mut conn.pipes[side];
        if blocked || !pipe.held.is_empty() {
            pipe.held.push_back(frame.clone());
            return Some(Way::Waits);
        }
        pipe.not_before = pipe.not_before.max(now + delay);
        Some(Way::Arrives(pipe.not_before))
    }

    /// Nothing more arrives on a direction for a while.
    pub fn stall(&mut self, id: ConnId, side: usize, until: u64) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.pipes[side].not_before = conn.pipes[side].not_before.max(until);
        }
    }

    /// One can't be heard by another any more; the connections that this concerns.
    pub fn block(&mut self, from: Place, to: Place, now: u64) -> Vec<ConnId> {
        *self.blocked.entry((from, to)).or_default() += 1;
        let mut concerned = Vec::new();
        for (id, conn) in &mut self.conns {
            if conn.ends == [from, to] || conn.ends == [to, from] {
                conn.blocked_since.get_or_insert(now);
                concerned.push(*id);
            }
        }
        concerned
    }

    /// A reason less; what waited goes on its way.
    pub fn unblock(&mut self, from: Place, to: Place) -> Vec<(ConnId, usize, Frame)> {
        if let Some(reasons) = self.blocked.get_mut(&(from, to)) {
            *reasons = reasons.saturating_sub(1);
        }
        let free = [!self.is_blocked(from, to), !self.is_blocked(to, from)];
        let mut freed = Vec::new();
        for (id, conn) in &mut self.conns {
            for side in [0, 1] {
                if free[0] && conn.ends[side] == from && conn.ends[1 - side] == to {
                    freed.extend(conn.pipes[side].held.drain(..).map(|frame| (*id, side, frame)));
                }
            }
            if free == [true; 2] && (conn.ends == [from, to] || conn.ends == [to, from]) {
                conn.blocked_since = None;
            }
        }
        freed
    }

    /// Every way that is blocked, as often as it is.
    pub fn blocked_ways(&self) -> Vec<(Place, Place)> {
        self.blocked.iter().flat_map(|(way, reasons)| std::iter::repeat_n(*way, *reasons as usize)).collect()
    }

    /// Whether a connection has been silent for too long.
    pub fn is_dead(&self, id: ConnId, server: Place, now: u64) -> bool {
        let conn = self.conns.get(&id);
        conn.is_some_and(|conn| conn.blocked_since.is_some_and(|since| since + conn.idle_ms(server) <= now))
    }

    /// One side gives a connection up; `true` if it held it.
    pub fn close(&mut self, id: ConnId, side: usize) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        let held = std::mem::replace(&mut conn.open[side], false);
        if conn.open == [false; 2] {
            conn.links.iter().for_each(|link| _ = self.by_link.remove(link));
            self.conns.remove(&id);
        }
        held
    }

    /// The connections that a client holds, and on which side.
    pub fn held_by(&self, place: Place) -> Vec<(ConnId, usize)> {
        let sides = self.conns.iter().flat_map(|(id, conn)| [(*id, 0, conn), (*id, 1, conn)]);
        let held = sides.filter(|(_, side, conn)| conn.ends[*side] == place && conn.open[*side]);
        held.map(|(id, side, _)| (id, side)).collect()
    }
}
