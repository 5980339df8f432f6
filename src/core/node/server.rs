//! What the server says. It is only ever believed about where people are and what comes next; who is a member, and what
//! was said, is for signatures alone.

use super::{Node, ctx};
use crate::core::event::{Event, Failure, Leaving, Misdeed, RoomSummary};
use crate::core::io::Output;
use crate::core::room::{Ctx, Fate};
use crate::core::time::Now;
use crate::identity::{RoomName, Signed, Verified};
use crate::wire::{Deletion, FromServer, Hello, Member, RefusalCode, RoomId, RoomShown, RosterHash, Text, ToServer};

/// Milliseconds between two occasions of telling a server how we came from its roster to ours.
const BRING_AGAIN_MS: u64 = 1_000;

/// Milliseconds after which a server that is on a roster unknown to us is asked again.
const ASK_AGAIN_MS: u64 = 30_000;

/// Milliseconds until a server that has another room of our name is asked whether it still has.
const NAME_AGAIN_MS: u64 = 60_000;

impl Node {
    /// Proves our key to a server whose certificate was accepted.
    pub(super) fn greet_server(&mut self, exporter: [u8; 32], out: &mut Vec<Output>) {
        // It is for the server that the user named: a member who hosts is not to have it.
        let password = self.password.as_deref().filter(|_| !self.seeking.has_host()).map(Text::cut);
        if self.visiting {
            return out.push(Output::ToServer(ToServer::Visit(password)));
        }
        let hello = Hello { exporter, key: self.id(), name: self.name.clone(), listed: self.listed };
        let hello = Verified::sign(hello, &*self.signer).into_signed();
        out.push(Output::ToServer(ToServer::Hello((hello, password))));
    }

    pub(super) fn server_lost(&mut self) {
        self.host_lost();
        self.server_up = false;
        for room in self.rooms.values_mut() {
            room.online.clear();
            room.ask_server_at = None;
            room.apart.elsewhere = false;
            room.looking = false;
            room.look_at = 0;
        }
    }

    pub(super) fn on_server_message(&mut self, now: Now, message: FromServer, out: &mut Vec<Output>) {
        if !self.may_say(&message) {
            return;
        }
        match message {
            FromServer::Welcome(_) => self.welcomed(now, out),
            FromServer::Refused((room, code, why)) => self.refused(now, room, code, why.as_str(), out),
            FromServer::Rooms((rooms, people)) => {
                let summary = |line: crate::wire::RoomLine| RoomSummary {
                    room: line.name,
                    members: line.members,
                    size: line.size,
                    knocking: line.knocking,
                };
                let rooms = rooms.into_vec().into_iter().map(summary).collect();
                out.push(Output::Tell(Event::Rooms { rooms, people: people.into_vec() }));
            }
            FromServer::Shown(shown) => self.on_shown(now, shown, out),
            FromServer::KnockState((knock, phase)) => self.on_knock_state(now, knock, phase, out),
            FromServer::KnockOver((knock, end)) => self.on_knock_over(now, knock, end, out),
            FromServer::Admitted(admission) => self.on_admitted(now, admission, out),
            FromServer::RosterIs((room, roster)) => self.on_roster_is(now, room, roster, out),
            FromServer::Unknown(room) => self.restore(now, room, out),
            FromServer::Deleted(deletion) => self.deleted(deletion, out),
            FromServer::Introduce((room, peer, addresses)) => self.introduced(now, room, peer, addresses.into_vec()),
            FromServer::Observed(_) => self.moved(now),
            other => self.about_room(now, other, out),
        }
    }

    fn about_room(&mut self, now: Now, message: FromServer, out: &mut Vec<Output>) {
        let id = match &message {
            FromServer::Knock((knock, _)) => knock.unverified().room,
            FromServer::Drop(drop) => drop.room,
            FromServer::Consent(consent) => consent.unverified().room,
            FromServer::Step((room, _)) | FromServer::Presence((room, _, _)) | FromServer::Reported((room, _, _)) => {
                *room
            }
            _ => return,
        };
        let mut ctx = ctx!(self, now, out);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        match message {
            FromServer::Knock((knock, left_ms)) if room.has_room_for(&knock, None) => {
                room.on_knock(&mut ctx, knock, left_ms, None);
                room.settle(&mut ctx);
            }
            FromServer::Drop(drop) => room.on_drop(&mut ctx, drop, None),
            FromServer::Consent(consent) => room.on_consent(&mut ctx, consent, None),
            FromServer::Step((_, step)) => room.on_step(&mut ctx, step, None),
            FromServer::Presence((_, key, true)) if room.has(&key) => drop(room.online.insert(key)),
            FromServer::Presence((_, key, _)) => drop(room.online.remove(&key)),
            // A report tells when to try again, nothing more: reachability is what we see ourselves.
            FromServer::Reported((_, key, _)) if room.has(&key) => self.dial_on_report(now, key),
            _ => {}
        }
    }

    fn welcomed(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.seeking.has_host() {
            for joining in self.joining.values_mut() {
                joining.ask_anew();
            }
            return self.host_welcomed(out);
        }
        self.server_up = true;
        let mut ctx = ctx!(self, now, out);
        for room in self.rooms.values_mut() {
            room.brought = None;
            ctx.tell_server(ToServer::Attach((room.id(), room.chain().head())));
        }
        self.resume_joining(out);
    }

    fn refused(&mut self, now: Now, room: Option<RoomName>, code: RefusalCode, why: &str, out: &mut Vec<Output>) {
        if self.seeking.has_host() && !self.seeking.is_welcomed() {
            // One host that will not have us: the next one may.
            return;
        }
        if !self.server_up && !self.seeking.has_host() {
            let failure = match code {
                RefusalCode::Password => Failure::PasswordRefused,
                RefusalCode::NameTaken => Failure::NameTaken(self.name.clone()),
                _ => Failure::ServerRefused { why: why.escape_debug().to_string() },
            };
            out.push(Output::Tell(Event::Failed(failure)));
            // Trying again would only be refused again, except when it was too much at once.
            if code != RefusalCode::TooMany {
                out.push(Output::GiveUpServer);
            }
            return;
        }
        if let Some(room) = room.as_ref().filter(|room| self.joining.contains_key(room)) {
            if code == RefusalCode::NoSuchRoom && self.ask_another_host(room) {
                return;
            }
            return self.on_join_refused(now, room, code, out);
        }
        if let Some(room) = &room {
            if code == RefusalCode::NoSuchRoom && self.nobody_is_there(now, room, out) {
                return;
            }
            self.deleting.remove(room);
        }
        let seated = room.as_ref().and_then(|room| self.room_named(room));
        match (code, seated) {
            // We came back to a room whose name belongs to others by now, or are alone in it: theirs is the one to knock at.
            (RefusalCode::RoomExists, Some(id))
                if !self.seeking.has_host() && (!self.rooms[&id].settled || self.is_alone(id)) =>
            {
                self.abandon(now, id, out);
            }
            // Another room has our name. Ours goes on without a server, and asks for its name again now and then.
            (RefusalCode::RoomExists, Some(id)) if !self.seeking.has_host() => {
                let Some(room) = self.rooms.get_mut(&id) else { return };
                room.ask_server_at = Some(now.after_ms(NAME_AGAIN_MS));
                if room.name_is_anothers() {
                    let why = why.escape_debug().to_string();
                    out.push(Output::Tell(Event::Failed(Failure::ServerRefused { why })));
                }
            }
            (RefusalCode::NotCreator, _) if room.is_some() => {
                let failure = room.map(Failure::NotCreator);
                out.extend(failure.map(|failure| Output::Tell(Event::Failed(failure))));
            }
            (RefusalCode::NoSuchRoom, _) if room.is_some() => {
                let failure = room.map(Failure::NoSuchRoom);
                out.extend(failure.map(|failure| Output::Tell(Event::Failed(failure))));
            }
            _ => {
                let why = why.escape_debug().to_string();
                out.push(Output::Tell(Event::Failed(Failure::ServerRefused { why })));
            }
        }
    }

    fn is_alone(&self, id: RoomId) -> bool {
        self.rooms.get(&id).is_some_and(|room| room.others(&self.id()).is_empty())
    }

    /// Others seem to have gone on without us: before our seat is given up, the server is asked whether anybody is
    /// where they went. Who was only just coming back has nothing to lose.
    pub(super) fn look_before_leaving(&mut self, now: Now, id: RoomId, out: &mut Vec<Output>) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        // But for what somebody signed over a roster that we have passed: anybody may tell that, of long ago.
        if !room.settled && room.is_sure_of_departures() {
            return self.abandon(now, id, out);
        }
        if room.look_at > now.mono_ms {
            return;
        }
        let name = room.name.clone();
        let by_host = self.rooms.get(&id).is_some_and(|room| !self.server_up && self.host_tells_of(room));
        let can_ask = self.server_up || by_host;
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if !can_ask {
            if room.fate() == Fate::Doubtful && room.has_doubted_for_long(now) {
                room.is_in_no_doubt();
                room.stay();
                self.settle_soon(now);
            }
            return;
        }
        room.is_in_no_doubt();
        room.look_at = now.after_ms(ASK_AGAIN_MS);
        room.looking = true;
        if by_host {
            self.ask_host(&name, out);
        } else {
            out.push(Output::ToServer(ToServer::LookUp(name)));
        }
    }

    /// Our seat stands. If we are alone in the room, somebody whom we know may be with others. Where a server is, it would have
    /// told them of us, had they been alone; without one whoever is found is asked.
    pub(super) fn see_who_is_elsewhere(&mut self, now: Now, id: RoomId, out: &mut Vec<Output>) {
        let (server_up, Some(room)) = (self.server_up, self.rooms.get_mut(&id)) else { return };
        room.is_in_no_doubt();
        if !room.is_alone() {
            return;
        }
        let called = room.is_called_away(now);
        let asks = self.rooms.get(&id).is_some_and(|room| room.settled && !server_up && self.host_tells_of(room));
        if called && server_up {
            self.abandon(now, id, out);
        } else if asks {
            self.look_before_leaving(now, id, out);
        } else if let Some(room) = self.rooms.get_mut(&id) {
            room.look_at = 0;
        }
    }

    /// The server shows a room that we are in, since we asked who is there; `false` if we didn't.
    pub(super) fn looked_up(&mut self, now: Now, shown: &RoomShown, out: &mut Vec<Output>) -> bool {
        let (me, host) = (self.id(), self.seeking.host());
        let Some(room) = self.rooms.get_mut(&shown.room).filter(|room| room.looking) else { return false };
        room.looking = false;
        let ours = room.chain().roster(&shown.roster).is_some();
        // Of two who are each alone the one of the lower key stays: both find that alike, whatever they know of each other.
        let both_alone = room.is_alone() && shown.members <= 1;
        let stays = both_alone && host.is_some_and(|host| me < host);
        match (ours || stays, shown.online) {
            (true, _) if room.fate() == Fate::Doubtful => {
                room.stay();
                self.settle_soon(now);
            }
            (true, _) => room.not_called_away(),
            // They may all be away for a moment.
            (false, 0) => {}
            (false, _) => self.abandon(now, shown.room, out),
        }
        true
    }

    /// The server knows no room of this name: if we asked because others seemed to be there, nobody is, and we keep it.
    fn nobody_is_there(&mut self, now: Now, name: &RoomName, out: &mut Vec<Output>) -> bool {
        let Some(room) = self.rooms.values_mut().find(|room| room.name == *name && room.looking) else { return false };
        room.looking = false;
        room.stay();
        out.push(Output::ToServer(ToServer::Attach((room.id(), room.chain().head()))));
        self.settle_soon(now);
        true
    }

    /// The roster that the server knows the room to be on.
    fn on_roster_is(&mut self, now: Now, id: RoomId, roster: RosterHash, out: &mut Vec<Output>) {
        let mut ctx = ctx!(self, now, out);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let head = room.chain().head();
        let already = room.brought.is_some_and(|(at, to, _)| (at, to) == (roster, head));
        let lately = room.brought.is_some_and(|(.., when)| ctx.now.mono_ms < when.saturating_add(BRING_AGAIN_MS));
        if !already && lately && roster != head {
            // A server that says this now and that then is asked again later, and not told everything each time.
            room.ask_server_at = Some(ctx.now.after_ms(BRING_AGAIN_MS));
            return;
        }
        let long_ago = room.brought.is_some_and(|(.., when)| ctx.now.mono_ms >= when.saturating_add(ASK_AGAIN_MS));
        if !already || long_ago {
            room.brought = Some((roster, head, ctx.now.mono_ms));
        }
        let Some(missed) = room.chain().steps_after(&roster).map(<[_]>::to_vec) else {
            // It is on a roster that we know nothing of, although it has told us all the steps it has from ours: those
            // who keep the name have gone another way. It is told of ours first, and may find that we host.
            room.ask_server_at = Some(ctx.now.after_ms(ASK_AGAIN_MS));
            room.server_is_elsewhere(now);
            if !already && room.tell_partings(&mut ctx) {
                return;
            }
            // What decides may have changed meanwhile: who is there, and on which roster.
            if already && long_ago {
                room.tell_way_again(&mut ctx);
            }
            let answered = !already || room.owed == 1;
            room.owed = room.owed.saturating_sub(1);
            // Who was just coming back knocks, and so does who is alone. Who has company stays until the others' own
            // signatures show that they host: that is not for a server to say.
            let alone = room.others(&ctx.me()).is_empty();
            // What it says may be older than what we told it last, and those whom it is with may be giving way to us: both would leave.
            let waits = !long_ago && room.hosts_against(&roster);
            if room.owed == 0 && (!room.settled || alone && !waits) {
                self.abandon(now, id, out);
            } else if answered {
                room.tell_way(&mut ctx);
            }
            return;
        };
        room.server_follows();
        if roster == head {
            room.ask_server_at = None;
            // It was on another half's, and tells us nothing before it knows that we are here.
            if room.server_is_here() {
                ctx.tell_server(ToServer::Attach((id, head)));
            }
        }
        for step in missed.iter().filter(|_| !already) {
            ctx.out.push(Output::ToServer(ToServer::Step((id, step.clone()))));
        }
        room.confirm_seat(&mut ctx);
        room.offer_addresses(&mut ctx);
        room.repeat_to_server(&mut ctx);
    }

    /// The server has lost the room: the members have not.
    fn restore(&mut self, now: Now, id: RoomId, out: &mut Vec<Output>) {
        let mut ctx = ctx!(self, now, out);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let restored = (room.chain().genesis().as_signed().clone(), room.chain().current().clone());
        ctx.tell_server(ToServer::Restore(restored));
        room.show_way_at_times(&mut ctx);
    }

    fn deleted(&mut self, deletion: Signed<Deletion>, out: &mut Vec<Output>) {
        let id = deletion.unverified().room;
        let Some(room) = self.rooms.get(&id) else {
            let ours = self.deleting.iter().find(|(_, deleting)| **deleting == Some(id)).map(|(name, _)| name.clone());
            if let Some(room) = ours {
                self.deleting.remove(&room);
                out.push(Output::Tell(Event::Left { room, why: Leaving::Deleted }));
            }
            return;
        };
        let (name, creator) = (room.name.clone(), room.chain().genesis().creator);
        match deletion.verify(&*self.scheme) {
            Ok(deletion) if deletion.by == creator => drop(self.forget(id, Leaving::Deleted, out)),
            _ => Self::blame_server(out, Some(name), Misdeed::BadSignature),
        }
    }

    /// Every current member of every room but ourselves.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Member> {
        let me = self.id();
        let members = self.rooms.values().flat_map(|room| room.chain().current().members.iter());
        members.filter(move |member| member.key != me)
    }
}
