//! Rooms without a server: members are knocked at in its place. Drivers that dial whom a ticket names
//! (`src/peer/server_task.rs`), and people who show each other tickets, also such as lead to somebody who is gone.

use std::collections::{BTreeMap, BTreeSet};

use p2pchat::core::event::{Command, Event};
use p2pchat::core::io::{GuestId, Input, Seek};
use p2pchat::wire::{FromServer, KeyTag, RoomId, RoomTag, Settings, Ticket};

use super::net::{ConnId, Frame, Place};
use super::people::lobby;
use super::server::exporter;
use super::shell::address;
use super::world::{What, World};

/// Tickets of one member that are still about.
const TICKETS_ABOUT: usize = 3;

/// Of a thousand tickets, how many expire, and after how many seconds at most.
const EXPIRING: (u64, u64) = (250, 120);

/// Milliseconds of fine weather after which people bring halves together by hand.
const LEFT_TO_PEOPLE_AFTER_MS: u64 = 450_000;

/// Of a thousand looks at the screen, how many lead somebody who waits to try another ticket.
const TRIES_ANOTHER: u64 = 300;

impl World {
    /// The server ends for good; there may never have been one.
    pub fn server_gone(&mut self) {
        if self.server.is_up() {
            self.stop_server();
            self.server.forget();
        }
    }

    /// A client looks for somebody to knock at.
    pub fn seek_hosts(&mut self, who: Place, hosts: Vec<Seek>) {
        self.people[who].seeking = hosts;
        let person = &self.people[who];
        let host = person.server.filter(|conn| self.net.conns.get(conn).is_some_and(|conn| conn.guest));
        let wanted = |conn: ConnId| {
            let tag = KeyTag::of(&self.people[self.net.conns[&conn].ends[1]].id);
            person.seeking.iter().any(|seek| seek.key == tag)
        };
        if let Some(conn) = host.filter(|conn| !wanted(*conn)) {
            self.hang_up(conn, 0);
            self.people[who].server = None;
            self.people[who].inbox.push_back(Input::ServerLost);
        }
        let person = &mut self.people[who];
        if person.server.is_none() && !person.dials && !person.seeking.is_empty() {
            person.dials = true;
            let (run, after) = (person.run, self.rng.net.from_to(10, 300));
            self.after(after, What::ServerDial(who, run));
        }
    }

    /// Tries everybody who is looked for, and stays with one who answers.
    pub fn host_dial(&mut self, who: Place, run: u32) {
        if self.people[who].seeking.is_empty() {
            self.people[who].dials = false;
            return;
        }
        let answers = |world: &World, host: &Place| {
            let person = &world.people[*host];
            let tag = KeyTag::of(&person.id);
            let sought = world.people[who].seeking.iter();
            *host != who
                && person.is_up()
                && sought.into_iter().any(|seek| seek.key == tag && seek.addresses.contains(&address(*host)))
                && !world.net.is_blocked(who, *host)
                && !world.net.is_blocked(*host, who)
                && !world.net.apart.contains(&(who.min(*host), who.max(*host)))
        };
        let mut there: Vec<Place> = (0..self.people.len()).filter(|host| answers(self, host)).collect();
        if !self.healing {
            let lost = self.plan.dial_loss;
            there.retain(|_| !self.rng.net.chance(lost));
        }
        let Some(host) = self.rng.net.one_of(&there).copied() else {
            let after = self.rng.net.from_to(500, 4_000);
            return self.after(after, What::ServerDial(who, run));
        };
        let id = self.net.open_guest([who, host], [run, self.people[host].run], self.now);
        (self.people[who].server, self.people[who].dials) = (Some(id), false);
        self.note(|| format!("p{who} is at p{host}'s door"));
        self.give(host, Input::GuestCame { guest: GuestId(id), observed: address(who), exporter: exporter(id) });
        self.send(id, 1, Frame::Up);
    }

    /// Something arrives over a connection of a newcomer and the member it knocks through.
    pub fn arrive_at_door(&mut self, id: ConnId, side: usize, frame: Frame) {
        let [newcomer, host] = self.net.conns[&id].ends;
        let current = self.people[newcomer].server == Some(id);
        match frame {
            Frame::Up if current => {
                self.give(newcomer, Input::HostConnected { host: self.people[host].id, exporter: exporter(id) });
            }
            Frame::FromServer(message) if side == 0 && current => self.give(newcomer, Input::FromServer(message)),
            Frame::ToServer(message) if side == 1 => {
                if self.people[host].liar {
                    self.server_liar.hear(&message);
                }
                self.give(host, Input::FromGuest { guest: GuestId(id), message });
            }
            Frame::Fin => self.side_down(id, side),
            _ => {}
        }
    }

    /// A member says something to a newcomer.
    pub fn to_guest(&mut self, host: Place, guest: GuestId, message: FromServer) {
        let Some(conn) = self.net.conns.get(&guest.0) else { return };
        let newcomer = self.people[conn.ends[0]].id;
        for message in self.lie_to_guest(host, message) {
            self.checks.from_host(host, newcomer, &message);
            self.send(guest.0, 1, Frame::FromServer(message));
        }
    }

    /// Somebody shows a ticket.
    pub fn ticket_shown(&mut self, who: Place, ticket: &Ticket) {
        let about = self.tickets.entry(who).or_default();
        about.push(ticket.clone());
        if about.len() > TICKETS_ABOUT {
            about.remove(0);
        }
    }

    /// Somebody in the room shows their ticket again, which may be one that expires.
    pub fn show_ticket(&mut self, who: Place) {
        if !self.people[who].user.in_room {
            return;
        }
        let expires = !self.healing && self.rng.people.chance(EXPIRING.0);
        let expires_in_s = expires.then(|| self.rng.people.from_to(5, EXPIRING.1));
        self.command(who, Command::Ticket { room: lobby(), expires_in_s });
    }

    /// Gets somebody in where no server does: back on their own seat, or by tickets; whoever comes first founds the room.
    pub fn get_in_by_ticket(&mut self, who: Place) {
        let settings = Settings { consent_timeout_s: self.plan.consent_s as u16, grace_s: self.plan.grace_s as u32 };
        let host = Command::Host { room: lobby(), size: 16, settings };
        let seated = |one: Place| !self.checks.rooms_of(one).is_empty();
        let honest: Vec<Place> = (0..self.people.len()).filter(|one| !self.people[*one].liar).collect();
        let nobody = !honest.iter().any(|one| seated(*one));
        let founder = honest.iter().find(|one| self.people[**one].is_up()).copied();
        let own = seated(who);
        if self.people[who].user.joining && nobody && self.healing {
            // They wait for a server that is gone, or for somebody who is.
            self.command(who, Command::Leave(lobby()));
        }
        if own || (nobody && founder == Some(who)) {
            self.people[who].user.joining = true;
            return self.command(who, host);
        }
        if let Some(ticket) = self.some_tickets(who) {
            self.people[who].user.joining = true;
            self.command(who, Command::Enter(ticket));
        }
    }

    /// Somebody who waits to be let in may try another ticket meanwhile.
    pub fn try_another_ticket(&mut self, who: Place) {
        if self.rng.people.chance(TRIES_ANOTHER)
            && let Some(ticket) = self.some_tickets(who)
        {
            self.command(who, Command::Enter(ticket));
        }
    }

    /// One to three tickets that somebody came across, for one room, as one.
    fn some_tickets(&mut self, who: Place) -> Option<Ticket> {
        let main = self.main_room().map(|room| RoomTag::of(&room));
        let halves = if self.halves_are_left_to_people() { self.main_half() } else { BTreeSet::new() };
        let of = |place: &Place, about: &Vec<Ticket>| -> Vec<Ticket> {
            if !self.healing {
                return about.clone();
            }
            // In fine weather one asks those who are in.
            let in_half = halves.is_empty() || halves.contains(place);
            let in_room = self.people[*place].user.in_room && in_half;
            let newest = about.last().filter(|ticket| in_room && Some(ticket.room) == main);
            newest.cloned().into_iter().collect()
        };
        let about = self.tickets.iter().filter(|(place, _)| **place != who);
        let mut about: Vec<Ticket> = about.flat_map(|(place, about)| of(place, about)).collect();
        let first = self.rng.people.one_of(&about).cloned()?;
        about.retain(|ticket| ticket.room == first.room && *ticket != first);
        let mut chosen = vec![first];
        let more = if self.healing { 3 } else { self.rng.people.below(3) };
        for _ in 0..more.min(about.len() as u64) {
            let at = self.rng.people.below(about.len() as u64) as usize;
            chosen.push(about.swap_remove(at));
        }
        Ticket::merge(chosen).unwrap()
    }

    /// The room that most honest people have a seat in: those who founded another one meanwhile come to this one in the end.
    pub fn main_room(&self) -> Option<RoomId> {
        let mut seats: BTreeMap<RoomId, BTreeSet<Place>> = BTreeMap::new();
        for who in (0..self.people.len()).filter(|who| !self.people[*who].liar) {
            for room in self.checks.rooms_of(who) {
                seats.entry(room).or_default().insert(who);
            }
        }
        seats.into_iter().max_by_key(|(_, seats)| seats.len()).map(|(room, _)| room)
    }

    /// Whether somebody founded a room of this name anew, when a server had forgotten the one that the others are in, and sits there
    /// alone, or with others for so long that they will have heard of it. Two rooms of one name are no halves of one: that is for
    /// people to see.
    pub fn is_in_another_room(&self, who: Place) -> bool {
        let rooms = self.checks.rooms_of(who);
        let alone = |room: &RoomId| self.checks.roster_of(who, room).is_some_and(|roster| roster.members.len() == 1);
        self.people[who].user.in_room
            && self.main_room().is_some_and(|main| !rooms.contains(&main))
            && (self.halves_are_left_to_people() || rooms.iter().all(alone))
    }

    /// Whether halves have had all the time they need to meet by themselves: those that both grew stay apart, by rule, and so do
    /// such as have no address in common.
    pub fn halves_are_left_to_people(&self) -> bool {
        self.healing && self.now >= self.cleared_at + LEFT_TO_PEOPLE_AFTER_MS
    }

    /// The people of the larger half of the room.
    fn main_half(&self) -> BTreeSet<Place> {
        let mut halves: BTreeMap<_, BTreeSet<Place>> = BTreeMap::new();
        for who in (0..self.people.len()).filter(|who| !self.people[*who].liar && self.people[*who].user.in_room) {
            let roster = self.main_room().and_then(|room| self.checks.roster_of(who, &room));
            if let Some(roster) = roster {
                halves.entry(roster.hash()).or_default().insert(who);
            }
        }
        halves.into_values().max_by_key(BTreeSet::len).unwrap_or_default()
    }

    /// Whether somebody is in another half than most, and nobody of those is on their roster.
    fn is_of_another_half(&self, who: Place) -> bool {
        let roster = self.main_room().and_then(|room| self.checks.roster_of(who, &room));
        self.halves_are_left_to_people()
            && roster.is_some_and(|roster| {
                let main = self.main_half();
                !roster.members.iter().any(|member| main.iter().any(|one| self.people[*one].id == member.key))
            })
    }

    /// What people do in fine weather that only rooms without a server need.
    pub fn act_at_door(&mut self, who: Place) {
        let in_room = self.people[who].user.in_room;
        let elsewhere = self.main_room().is_some_and(|main| !self.checks.rooms_of(who).contains(&main));
        let elsewhere = elsewhere && !self.checks.rooms_of(who).is_empty();
        let of_another_half = !elsewhere && self.is_of_another_half(who);
        self.people_decided |= in_room && of_another_half;
        if in_room && (elsewhere || of_another_half) {
            self.command(who, Command::Leave(lobby()));
        } else if in_room && self.people.iter().any(|person| !person.liar && !person.user.in_room) {
            self.show_ticket(who);
        }
    }

    /// What somebody hears that only rooms without a server need.
    pub fn hears_at_door(&mut self, who: Place, event: &Event) {
        match event {
            Event::Ticket { ticket, .. } => self.ticket_shown(who, ticket),
            Event::Joined { .. } if self.plan.serverless == 1 => self.after(200, What::ShowTicket(who)),
            _ => {}
        }
    }
}
