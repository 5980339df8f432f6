//! Knocking through a member, where no server does it: whom to look for, what to say there, and how a ticket is made.
//!
//! A host takes the server's place in this client's one connection of that kind, and is told less: nothing about rooms in
//! which it has no seat, and nothing that a link says better. Once a link stands it is let go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::{Node, ctx};
use crate::core::event::{Event, Failure};
use crate::core::io::{Output, Seek};
use crate::core::rendezvous::introduce::is_unicast;
use crate::core::room::{Ctx, Fate, Room};
use crate::core::time::Now;
use crate::identity::{PeerId, RoomName};
use crate::limits::{TICKET_ADDRESSES_MAX, TICKET_OTHERS_ADDRESSES_MAX, TICKET_WRITTEN_HOSTS_MAX};
use crate::wire::{Few, FromServer, KeyTag, Pass, RoomId, RoomTag, Settings, Ticket, TicketHost, ToServer};

/// Milliseconds after which somebody who takes their seat again without any server, and whom nobody has contradicted, is told to
/// be in: alone, for now.
const SETTLED_AFTER_MS: u64 = 5_000;

/// Members that can be knocked at for one room, at most.
const HOSTS_MAX: usize = 16;

/// Somebody to knock at.
#[derive(Debug, Clone)]
struct Way {
    /// Who, and where.
    seek: Seek,
    /// What a ticket says to show them.
    pass: Option<Pass>,
    /// Whether they know nothing of the room any more: the others are asked first.
    said_no: bool,
}

/// Whom we knock through.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    /// For each room by name: its tag, and who may answer.
    ways: BTreeMap<RoomName, (RoomTag, Vec<Way>)>,
    /// What the driver was told to look for.
    told: Vec<Seek>,
    /// Who is connected.
    host: Option<PeerId>,
    /// Whether they have welcomed us.
    welcomed: bool,
    /// Whether there is no server to wait for.
    serverless: bool,
    /// When rooms that nobody has confirmed are ours all the same.
    settle_at: Option<u64>,
}

impl Seeking {
    /// Whether a host is connected, rather than a server.
    pub(super) fn has_host(&self) -> bool {
        self.host.is_some()
    }

    /// Who is connected, if it is a host.
    pub(super) fn host(&self) -> Option<PeerId> {
        self.host
    }

    /// Whether it has welcomed us.
    pub(super) fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// When the next thing is due.
    pub(super) fn due(&self) -> Option<u64> {
        self.settle_at
    }
}

impl Node {
    /// Founds a room without a server, or takes our seat in it again, and opens it.
    pub(super) fn host(
        &mut self,
        now: Now,
        name: RoomName,
        size: u16,
        settings: Settings,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        self.seeking.serverless = true;
        let ours = self.dormant.iter().chain(&self.rooms).find(|(_, room)| room.name == name).map(|(id, _)| *id);
        match ours {
            Some(id) => {
                self.hosting.open(id);
                if !self.rooms.contains_key(&id) {
                    return self.join(now, name, out);
                }
                // Whoever has waited for a server's word until now does without.
                self.settle_soon(now);
                Ok(())
            }
            None => {
                let id = self.found_alone(now, name, size, settings, out)?;
                self.hosting.open(id);
                Ok(())
            }
        }
    }

    /// Tells all that a newcomer needs: the command for the server, where there is one, and a ticket, which names no name that
    /// somebody else could have taken meanwhile.
    pub(super) fn invite(&mut self, now: Now, name: RoomName, out: &mut Vec<Output>) -> Result<(), Failure> {
        if !self.seeking.serverless {
            self.look_at(now, name.clone(), out, |room, ctx| {
                ctx.out.push(Output::Invite { name: room.name.clone() });
            })?;
        }
        self.show_ticket(now, name, None, out)
    }

    /// Knocks by a ticket.
    pub(super) fn enter_by(&mut self, now: Now, ticket: Ticket, out: &mut Vec<Output>) -> Result<(), Failure> {
        let name = ticket.name.clone();
        if ticket.expires_unix_s().is_some_and(|expires| expires < now.wall_ms / 1000) {
            return Err(Failure::TicketExpired(name));
        }
        if ticket.server.is_none() {
            self.seeking.serverless = true;
        }
        let ways = ticket.hosts.iter().map(|host| {
            let addresses = host.addresses.iter().copied().collect();
            Way { seek: Seek { key: host.key, addresses }, pass: ticket.pass_of(host), said_no: false }
        });
        let ways = ways.collect();
        // People could not tell two rooms of one name apart, and a seat is given up by nobody but its owner.
        let another = |room: &RoomId| RoomTag::of(room) != ticket.room;
        if self.dormant_named(&name).is_some_and(|id| another(&id)) {
            return Err(Failure::SeatThere(name));
        }
        self.seeking.ways.insert(name.clone(), (ticket.room, ways));
        self.join(now, name, out)
    }

    /// Whether this isn't the room that a wish must lead to: the one of its ticket; and that of a host that was looked for
    /// because it had a seat there. A server's room of that name may have become another one.
    pub(super) fn is_another_room(&self, name: &RoomName, room: &RoomId) -> bool {
        let Some((tag, ways)) = self.seeking.ways.get(name) else { return false };
        let by_ticket = ways.is_empty() || ways.iter().any(|way| way.pass.is_some());
        RoomTag::of(room) != *tag && (by_ticket || self.seeking.has_host())
    }

    /// Takes note of how to knock at a room that we are about to lose: at anybody in it.
    pub(super) fn remember_ways(&mut self, id: RoomId) {
        let me = self.id();
        let Some(room) = self.rooms.get(&id) else { return };
        let lost = room.lost.iter().map(|(key, lost)| (*key, lost.addresses.clone()));
        let known = room.addresses.iter().map(|(key, addresses)| (*key, addresses.clone())).chain(lost);
        let known: BTreeMap<PeerId, _> = known.filter(|(key, at)| *key != me && !at.is_empty()).collect();
        let way = |(key, addresses)| {
            let seek = Seek { key: KeyTag::of(&key), addresses };
            Way { seek, pass: None, said_no: false }
        };
        let mut ways: Vec<Way> = known.into_iter().map(way).collect();
        let (tag, name) = (RoomTag::of(&id), room.name.clone());
        if let Some((_, by_ticket)) = self.seeking.ways.remove(&name) {
            ways.extend(
                by_ticket
                    .into_iter()
                    .filter(|one| !ways.iter().any(|known| known.seek.key == one.seek.key))
                    .collect::<Vec<_>>(),
            );
        }
        ways.truncate(HOSTS_MAX);
        if !ways.is_empty() {
            self.seeking.ways.insert(name, (tag, ways));
        }
    }

    /// Our seat is taken up without a server: if nobody says otherwise, it is ours.
    pub(super) fn settle_soon(&mut self, now: Now) {
        if self.seeking.serverless {
            self.seeking.settle_at = Some(now.after_ms(SETTLED_AFTER_MS));
        }
    }

    /// The time has come.
    pub(super) fn settle_alone(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.seeking.settle_at.take_if(|at| *at <= now.mono_ms).is_some() {
            let mut ctx = ctx!(self, now, out);
            self.rooms.values_mut().filter(|room| room.fate() == Fate::On).for_each(|room| room.confirm_seat(&mut ctx));
        }
    }

    /// A host answered: proves our key to it.
    pub(super) fn host_connected(&mut self, host: PeerId, exporter: [u8; 32], out: &mut Vec<Output>) {
        self.server_lost();
        self.seeking.host = Some(host);
        self.greet_server(exporter, out);
    }

    /// Whether what was said is for whoever said it to say: a server speaks of all rooms, a member who hosts of those that it
    /// is in with us, and of none it says what only a server knows.
    pub(super) fn may_say(&self, message: &FromServer) -> bool {
        let Some(host) = self.seeking.host else { return true };
        let id = match message {
            FromServer::Unknown(_)
            | FromServer::Deleted(_)
            | FromServer::Presence(_)
            | FromServer::Reported(_)
            | FromServer::Observed(_) => return false,
            FromServer::RosterIs((room, _)) | FromServer::Step((room, _)) | FromServer::Introduce((room, ..)) => *room,
            FromServer::Knock((knock, _)) => knock.unverified().room,
            FromServer::Drop(drop) => drop.room,
            FromServer::Consent(consent) => consent.unverified().room,
            _ => return true,
        };
        self.rooms.get(&id).is_none_or(|room| room.has(&host))
    }

    /// The host is gone, if it was one.
    pub(super) fn host_lost(&mut self) {
        self.seeking.host = None;
        self.seeking.welcomed = false;
        for room in self.rooms.values_mut() {
            room.looking = false;
            room.look_at = 0;
        }
    }

    /// The host knows who we are: it is told of the rooms that it has a seat in, and asked about those we want to be in.
    pub(super) fn host_welcomed(&mut self, out: &mut Vec<Output>) {
        self.seeking.welcomed = true;
        let wished: Vec<RoomName> = self.joining.keys().cloned().collect();
        for name in wished {
            self.ask_host(&name, out);
        }
        let common: Vec<RoomId> = self.rooms.keys().copied().collect();
        for id in common {
            self.attach_at_host(id, out);
        }
    }

    /// Tells the host that we are a member, and where we are, if it is one too.
    pub(super) fn attach_at_host(&self, id: RoomId, out: &mut Vec<Output>) {
        let own = Few::first_of(self.own_candidates());
        let Some(host) = self.seeking.host.filter(|_| self.seeking.welcomed) else { return };
        let Some(room) = self.rooms.get(&id).filter(|room| room.has(&host)) else { return };
        out.push(Output::ToServer(ToServer::Attach((id, room.chain().head()))));
        out.push(Output::ToServer(ToServer::Candidates((id, room.chain().head(), own))));
    }

    /// Asks the host to show a room, if it may know it; `false` if there is no host to ask.
    pub(super) fn ask_host(&mut self, name: &RoomName, out: &mut Vec<Output>) -> bool {
        let Some(host) = self.seeking.host.filter(|_| self.seeking.welcomed) else { return false };
        let tag = KeyTag::of(&host);
        out.push(Output::ToServer(match self.seeking.ways.get(name) {
            Some((room, ways)) => {
                let way = ways.iter().find(|way| way.seek.key == tag);
                ToServer::Ask((name.clone(), *room, way.and_then(|way| way.pass)))
            }
            // Somebody that was named by address only shows what is open to all.
            None => ToServer::LookUp(name.clone()),
        }));
        true
    }

    /// The host knows no room of this name: the others that the wish may lead to are asked before it is given up. `false` if
    /// all have been.
    pub(super) fn ask_another_host(&mut self, name: &RoomName) -> bool {
        let Some(host) = self.seeking.host else { return false };
        let Some((_, ways)) = self.seeking.ways.get_mut(name) else { return false };
        let tag = KeyTag::of(&host);
        ways.iter_mut().filter(|way| way.seek.key == tag).for_each(|way| way.said_no = true);
        let any_left = ways.iter().any(|way| !way.said_no);
        if !any_left {
            ways.iter_mut().for_each(|way| way.said_no = false);
        }
        any_left
    }

    /// Where a ticket, or whoever we knocked through, says that members of a room are that we come into.
    pub(super) fn addresses_by_ticket(&self, room: &Room) -> BTreeMap<PeerId, Vec<SocketAddr>> {
        let ways = self.seeking.ways.get(&room.name).filter(|(tag, _)| *tag == RoomTag::of(&room.id()));
        let of = |key: &PeerId| {
            let (tag, (_, ways)) = (KeyTag::of(key), ways?);
            let way = ways.iter().find(|way| way.seek.key == tag)?;
            Some(way.seek.addresses.clone()).filter(|addresses| !addresses.is_empty())
        };
        room.others(&self.id()).into_iter().filter_map(|key| Some((key, of(&key)?))).collect()
    }

    /// Whether the host can tell where the others of a room are that seem to have gone on: one who is not with us.
    pub(super) fn host_tells_of(&self, room: &Room) -> bool {
        let host = self.seeking.host.filter(|_| self.seeking.welcomed);
        host.is_some_and(|host| room.is_acquainted(&host) || room.has_left(&host))
    }

    /// Tells the driver whom to look for, when that has changed: somebody for each wish, and for each room in which nobody is
    /// linked with us, or in which the others seem to have gone on.
    pub(super) fn seek_hosts(&mut self, out: &mut Vec<Output>) {
        let wanted = if self.server_up || self.quitting.is_some() { Vec::new() } else { self.hosts_wanted() };
        if wanted != self.seeking.told {
            self.seeking.told.clone_from(&wanted);
            out.push(Output::SeekHosts(wanted));
        }
    }

    /// Whether somebody to knock at is needed: something is wished for, or nobody is linked with us who should be.
    pub fn needs_rendezvous(&self) -> bool {
        let me = self.id();
        let alone = |others: &[PeerId]| !others.is_empty() && !others.iter().any(|key| self.links.contains_key(key));
        // Between an admission and its room there is nothing to be seen of either.
        self.rooms.is_empty() || !self.joining.is_empty() || self.rooms.values().any(|room| alone(&room.others(&me)))
    }

    /// Whether we are in every room that we want to be in: that nobody answers whom we could knock at is no news for the user
    /// then, who hears of each member that can't be reached.
    pub fn is_where_it_wants_to_be(&self) -> bool {
        !self.rooms.is_empty() && self.joining.is_empty()
    }

    fn hosts_wanted(&mut self) -> Vec<Seek> {
        let wished: Vec<RoomName> = self.joining.keys().cloned().collect();
        let me = self.id();
        let doubtful = |room: &&Room| room.fate() == Fate::Doubtful;
        let doubtful: Vec<RoomId> = self.rooms.values().filter(doubtful).map(|room| room.id()).collect();
        // Those who are still with us know no better than we do whether anybody is where the others have gone.
        let mut with_us: BTreeSet<(RoomName, KeyTag)> = BTreeSet::new();
        let alone: Vec<RoomId> = self.rooms.values().filter(|room| room.is_alone()).map(|room| room.id()).collect();
        for id in doubtful.iter().chain(&alone) {
            self.remember_ways(*id);
            let Some(room) = self.rooms.get(id) else { continue };
            let staying = room.others(&me).into_iter().filter(|key| !room.has_left(key));
            with_us.extend(staying.map(|key| (room.name.clone(), KeyTag::of(&key))));
        }
        let alone = self.rooms.values().filter(|room| {
            let others = room.others(&me);
            // Who is alone may find somebody whom they know, and who is with others.
            doubtful.contains(&room.id()) || !others.iter().any(|key| self.links.contains_key(key))
        });
        let names = wished.iter().chain(alone.map(|room| &room.name));
        let ways = names.filter_map(|name| Some((name, self.seeking.ways.get(name)?)));
        let ways = ways.flat_map(|(name, (_, ways))| ways.iter().map(move |way| (name, way)));
        let mut wanted: Vec<Seek> = Vec::new();
        for (name, Way { seek, said_no, .. }) in ways {
            let of_use = !said_no && !with_us.contains(&(name.clone(), seek.key));
            if of_use && !wanted.iter().any(|known| known.key == seek.key) && wanted.len() < HOSTS_MAX {
                wanted.push(seek.clone());
            }
        }
        wanted
    }

    /// Shows a ticket for a room, to be knocked at through us.
    pub(super) fn show_ticket(
        &mut self,
        now: Now,
        name: RoomName,
        expires_in_s: Option<u64>,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let id = self.room_named(&name).ok_or_else(|| Failure::NotInRoom(name.clone()))?;
        let expires_unix_s = expires_in_s.map_or(0, |left| (now.wall_ms / 1000).saturating_add(left).max(1));
        let mut addresses = self.own_candidates();
        // Those that others see us under say most to somebody far away, the first of our own to somebody near.
        if addresses.len() > TICKET_ADDRESSES_MAX {
            let seen = addresses.split_off(self.addresses.len().min(addresses.len()));
            addresses.truncate(TICKET_ADDRESSES_MAX.saturating_sub(seen.len()));
            addresses.extend(seen);
        }
        let own = TicketHost { key: KeyTag::of(&self.id()), pass: 0, addresses: Few::first_of(addresses) };
        let hosts = Few::first_of([own].into_iter().chain(self.others_for_ticket(&id)));
        let passes = Few::first_of([Pass::sign(id, expires_unix_s, &*self.signer)]);
        let ticket = Ticket { room: RoomTag::of(&id), name: name.clone(), passes, hosts, server: None };
        out.push(Output::Tell(Event::Ticket { room: name, ticket }));
        Ok(())
    }

    /// Members for a ticket besides ourselves: of those that we have a link with, such first as can be reached from far away.
    fn others_for_ticket(&self, id: &RoomId) -> Vec<TicketHost> {
        let Some(room) = self.rooms.get(id) else { return Vec::new() };
        let others = room.others(&self.id()).into_iter().filter_map(|key| {
            let link = self.links.get(&key)?;
            let known = room.addresses.get(&key).into_iter().flatten().copied();
            // Where the link leads comes first of its kind: there somebody has answered.
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in [link.remote].into_iter().chain(known) {
                if is_unicast(address) && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            addresses.sort_by_key(|address| !is_from_afar(address));
            // One of each kind, where there are both.
            if let Some(near) = addresses.iter().position(|address| !is_from_afar(address)).filter(|at| *at > 1) {
                addresses.swap(1, near);
            }
            let afar = addresses.first().is_some_and(is_from_afar);
            let addresses = Few::first_of(addresses.into_iter().take(TICKET_OTHERS_ADDRESSES_MAX));
            Some((afar, TicketHost { key: KeyTag::of(&key), pass: 0, addresses }))
        });
        let mut others: Vec<(bool, TicketHost)> = others.collect();
        others.sort_by_key(|(afar, _)| !afar);
        others.into_iter().map(|(_, host)| host).take(TICKET_WRITTEN_HOSTS_MAX - 1).collect()
    }
}

/// Whether an address says something to somebody far away.
fn is_from_afar(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared)
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}
