//! The rendezvous and its driver: it keeps before it sends, and may end and start with what it kept, or with nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use p2pchat::core::io::Input;
use p2pchat::core::rendezvous::{self, Change, Config, Kept, Rendezvous, SessionId};
use p2pchat::core::time::Now;
use p2pchat::identity::Scheme;
use p2pchat::wire::{FromServer, ToServer};

use super::net::{ConnId, Frame, Place};
use super::shell::address;
use super::world::{What, World};

/// The server's machine.
pub struct Server {
    scheme: Arc<dyn Scheme>,
    core: Option<Rendezvous>,
    kept: Kept,
    /// Whose session each connection is.
    sessions: BTreeMap<ConnId, Place>,
    started_at: u64,
    wake_at: Option<u64>,
}

impl Server {
    pub fn new(scheme: Arc<dyn Scheme>) -> Self {
        let (core, kept, sessions) = (None, Kept::default(), BTreeMap::new());
        Server { scheme, core, kept, sessions, started_at: 0, wake_at: None }
    }

    pub fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// Loses what it kept.
    pub fn forget(&mut self) {
        self.kept = Kept::default();
    }

    /// Starts with what was kept, or with nothing.
    pub fn start(&mut self, lost: bool, now: u64) {
        if lost {
            self.kept = Kept::default();
        }
        self.core = Some(Rendezvous::new(Config::default(), Arc::clone(&self.scheme), self.kept.clone()));
        (self.started_at, self.wake_at) = (now, None);
    }

    /// The connections of everybody who is connected.
    pub fn sessions(&self) -> Vec<(ConnId, Place)> {
        self.sessions.iter().map(|(conn, who)| (*conn, *who)).collect()
    }

    /// Mirrors `src/store/rendezvous.rs`.
    fn keep(&mut self, change: Change) {
        match change {
            Change::NameTaken { skeleton, holder } => drop(self.kept.names.insert(skeleton, holder)),
            Change::NameFreed { skeleton } => drop(self.kept.names.remove(&skeleton)),
            Change::RoomKept(room) => drop(self.kept.rooms.insert(room.roster.room, room)),
            Change::RoomMoved { room, step, roster, oldest } => {
                if let Some(room) = self.kept.rooms.get_mut(&room) {
                    room.roster = roster;
                    room.steps.retain(|past| past.epoch >= oldest && past.epoch != step.epoch);
                    room.steps.push(step);
                }
            }
            Change::RoomGone(room) => drop(self.kept.rooms.remove(&room)),
        }
    }
}

impl World {
    pub fn stop_server(&mut self) {
        self.note(|| "the server ends".into());
        self.server.core = None;
        self.server.sessions.clear();
        let place = self.server_place();
        for (conn, side) in self.net.held_by(place) {
            self.net.close(conn, side);
            let later = self.rng.net.below(3_000);
            self.after(later, What::Down(conn, 1 - side));
        }
    }

    pub fn server_start(&mut self) {
        if !self.server.is_up() {
            self.note(|| "the server starts".into());
            self.server.start(false, self.now);
            self.schedule_server_wake();
        }
    }

    /// A client tries to reach the server; it tries again until it does.
    pub fn server_dial(&mut self, who: Place, run: u32) {
        let person = &self.people[who];
        if person.run != run || !person.is_up() || person.server.is_some() || person.gave_up {
            return;
        }
        self.people[who].dials = true;
        let place = self.server_place();
        if self.plan.serverless == 1 && !self.server.is_up() {
            return self.host_dial(who, run);
        }
        if !self.server.is_up() || self.net.is_blocked(who, place) || self.net.is_blocked(place, who) {
            let after = self.rng.net.from_to(500, 4_000);
            return self.after(after, What::ServerDial(who, run));
        }
        let id = self.net.open([who, place], [run, 0], self.now);
        (self.people[who].server, self.people[who].dials) = (Some(id), false);
        self.server.sessions.insert(id, who);
        let observed = address(who);
        self.serve(rendezvous::Input::Connected { session: SessionId(id), observed, exporter: exporter(id) });
        self.send(id, 1, Frame::Up);
    }

    pub fn server_connected(&mut self, who: Place, id: ConnId) {
        self.give(who, Input::ServerConnected { exporter: exporter(id) });
    }

    pub fn server_lost(&mut self, who: Place, id: ConnId) {
        if self.people[who].server != Some(id) {
            return;
        }
        self.people[who].server = None;
        self.give(who, Input::ServerLost);
        self.people[who].dials = true;
        let (run, after) = (self.people[who].run, self.rng.net.from_to(200, 2_000));
        self.after(after, What::ServerDial(who, run));
    }

    pub fn session_lost(&mut self, id: ConnId) {
        if self.server.sessions.remove(&id).is_some() {
            self.serve(rendezvous::Input::Disconnected { session: SessionId(id) });
        }
    }

    pub fn serve_message(&mut self, id: ConnId, message: ToServer) {
        self.server_liar.hear(&message);
        self.serve(rendezvous::Input::Message { session: SessionId(id), message });
    }

    pub fn server_wake(&mut self) {
        if self.server.wake_at == Some(self.now) {
            self.server.wake_at = None;
            self.serve(rendezvous::Input::Wake);
        }
    }

    fn schedule_server_wake(&mut self) {
        let Some(due) = self.server.core.as_ref().and_then(Rendezvous::next_wake) else { return };
        let at = due.saturating_add(self.server.started_at).saturating_sub(1).max(self.now + 1);
        if self.server.wake_at.is_none_or(|earlier| at < earlier || earlier < self.now) {
            self.server.wake_at = Some(at);
            self.at(at, What::ServerWake);
        }
    }

    fn serve(&mut self, input: rendezvous::Input) {
        let now = self.now;
        let mono_ms = 1 + now - self.server.started_at;
        let Some(core) = &mut self.server.core else { return };
        let mut outputs = Vec::new();
        core.handle(Now { mono_ms, wall_ms: 1_800_000_000_000 + now }, input, &mut outputs);
        for output in outputs {
            match output {
                rendezvous::Output::Persist(change) => self.server.keep(change),
                rendezvous::Output::Send { session, message } => {
                    let Some(who) = self.server.sessions.get(&session.0).copied() else { continue };
                    for message in self.lie_from_server(message) {
                        self.server_says(session.0, who, message);
                    }
                }
                rendezvous::Output::Close { session, .. } => {
                    if self.server.sessions.remove(&session.0).is_some() {
                        self.hang_up(session.0, 1);
                    }
                }
            }
        }
        self.schedule_server_wake();
    }

    pub fn server_says(&mut self, conn: ConnId, who: Place, message: FromServer) {
        let to = self.people[who].id;
        self.checks.from_server(to, &message);
        self.send(conn, 1, Frame::FromServer(message));
    }
}

pub fn exporter(id: ConnId) -> [u8; 32] {
    let mut exporter = [7; 32];
    exporter[..8].copy_from_slice(&id.to_le_bytes());
    exporter
}
