//! Who is connected: one session per connection, one connection per key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::SessionId;
use super::refusal::{Refusal, no};
use crate::core::Now;
use crate::identity::{Name, PeerId};
use crate::limits::{MOVES_PER_MINUTE_MAX, PEOPLE_LISTED_MAX, ROOMS_PER_CLIENT_MAX};
use crate::wire::{Few, RefusalCode, RoomId};

/// A client that has proven its key.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// By which connection.
    pub(super) session: SessionId,
    /// Who.
    pub(super) key: PeerId,
    /// Under which name at this server.
    pub(super) name: Name,
    /// Where it is seen from.
    pub(super) observed: SocketAddr,
    /// Whether it may be shown in `list`.
    pub(super) listed: bool,
}

/// One connection.
#[derive(Debug)]
struct Session {
    /// Where it comes from.
    observed: SocketAddr,
    /// What its hello must name.
    exporter: [u8; 32],
    /// Who it is, once proven.
    client: Option<Client>,
    /// Whether it only looks.
    visiting: bool,
    /// Rooms that may hold something of it.
    rooms: BTreeSet<RoomId>,
    /// When it moved in the last minute.
    moves: VecDeque<u64>,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// By number.
    open: BTreeMap<SessionId, Session>,
    /// Each key's connection.
    by_key: BTreeMap<PeerId, SessionId>,
}

impl Sessions {
    /// A client connected. An IPv4 client at an IPv6 socket is noted as what it is.
    pub(super) fn connect(&mut self, session: SessionId, observed: SocketAddr, exporter: [u8; 32]) {
        let observed = SocketAddr::new(observed.ip().to_canonical(), observed.port());
        self.open.insert(
            session,
            Session {
                observed,
                exporter,
                client: None,
                visiting: false,
                rooms: BTreeSet::new(),
                moves: VecDeque::new(),
            },
        );
    }

    /// Where a connection is seen.
    pub(super) fn observed(&self, session: SessionId) -> Option<SocketAddr> {
        self.open.get(&session).map(|open| open.observed)
    }

    /// A connection is seen elsewhere: whose it is and which rooms are concerned, if that is to be followed (THREATS.md
    /// row 32).
    pub(super) fn moved(
        &mut self,
        now: Now,
        session: SessionId,
        observed: SocketAddr,
    ) -> Option<(Client, BTreeSet<RoomId>)> {
        let open = self.open.get_mut(&session)?;
        while open.moves.front().is_some_and(|at| at + 60_000 <= now.mono_ms) {
            open.moves.pop_front();
        }
        if open.observed == observed || open.moves.len() >= MOVES_PER_MINUTE_MAX {
            return None;
        }
        open.moves.push_back(now.mono_ms);
        open.observed = observed;
        let client = open.client.as_mut()?;
        client.observed = observed;
        Some((client.clone(), open.rooms.clone()))
    }

    /// A connection is gone: whose it was, and the rooms to clear of it, if it had logged in.
    pub(super) fn disconnect(&mut self, session: SessionId) -> Option<(PeerId, BTreeSet<RoomId>)> {
        let ended = self.open.remove(&session)?;
        let key = ended.client?.key;
        self.by_key.remove(&key);
        Some((key, ended.rooms))
    }

    /// Whether the connection stands.
    pub(super) fn is_open(&self, session: SessionId) -> bool {
        self.open.contains_key(&session)
    }

    /// A connection only looks: where it is seen from, if it stands.
    pub(super) fn visit(&mut self, session: SessionId) -> Option<SocketAddr> {
        let open = self.open.get_mut(&session)?;
        open.visiting = true;
        Some(open.observed)
    }

    /// Whether a connection only looks.
    pub(super) fn is_visiting(&self, session: SessionId) -> bool {
        self.open.get(&session).is_some_and(|open| open.visiting)
    }

    /// Who a connection is, once proven.
    pub(super) fn client(&self, session: SessionId) -> Option<&Client> {
        self.open.get(&session)?.client.as_ref()
    }

    /// Where a connection is seen from, for somebody who knows its exporter.
    pub(super) fn observed_by_proof(&self, session: SessionId, exporter: &[u8; 32]) -> Option<SocketAddr> {
        self.open.get(&session).filter(|open| open.exporter == *exporter).map(|open| open.observed)
    }

    /// The connection of a key.
    pub(super) fn of_key(&self, key: &PeerId) -> Option<SessionId> {
        self.by_key.get(key).copied()
    }

    /// A connection has proven who it is. Whatever older connection the key had must be gone.
    pub(super) fn log_in(&mut self, client: Client) {
        self.by_key.insert(client.key, client.session);
        if let Some(open) = self.open.get_mut(&client.session) {
            open.client = Some(client);
        }
    }

    /// Notes a room that may hold something of this client; `holds` tells which of those noted before still do.
    pub(super) fn touch(
        &mut self,
        session: SessionId,
        room: RoomId,
        holds: impl Fn(&RoomId) -> bool,
    ) -> Result<(), Refusal> {
        let Some(open) = self.open.get_mut(&session) else { return Ok(()) };
        if open.rooms.len() >= ROOMS_PER_CLIENT_MAX && !open.rooms.contains(&room) {
            open.rooms.retain(holds);
            if open.rooms.len() >= ROOMS_PER_CLIENT_MAX {
                return Err(no(RefusalCode::TooMany, "you are in as many rooms as a client may be; leave one first"));
            }
        }
        open.rooms.insert(room);
        Ok(())
    }

    /// The people online who chose to be listed, in the order of their names.
    pub(super) fn people(&self) -> Few<Name, PEOPLE_LISTED_MAX> {
        let listed = self.open.values().filter_map(|open| open.client.as_ref()).filter(|client| client.listed);
        Few::first_of(listed.map(|client| client.name.clone()).collect::<BTreeSet<_>>())
    }
}
