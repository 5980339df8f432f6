//! What each message of a client leads to. Decides who may ask, and leaves the rest to the room that is asked about.

use super::refusal::{self, Refusal, no};
use super::room::{Room, Turn};
use super::sessions::Client;
use super::{Change, Output, Rendezvous, SessionId};
use crate::core::Now;
use crate::identity::{PeerId, RoomName, Signed};
use crate::wire::{
    Deletion, Few, FromServer, Genesis, Hello, KnockEnd, Proposal, RefusalCode, RoomId, Roster, Text, ToServer,
};

/// A refusal, and the room it is about.
type Refused = (Option<RoomName>, Refusal);

impl Rendezvous {
    /// Takes one message of one connection in.
    pub(super) fn message(&mut self, now: Now, session: SessionId, message: ToServer, out: &mut Vec<Output>) {
        if !self.sessions.is_open(session) {
            // Still on its way when the connection was closed.
            return;
        }
        let closing = match (self.sessions.client(session).cloned(), message) {
            (None, ToServer::Hello((hello, password))) => {
                match self.log_in(session, hello, password.as_ref().map(Text::as_str)) {
                    Ok((client, changes)) => return self.welcome(now, client, changes, out),
                    Err(refusal) => refusal,
                }
            }
            (None, ToServer::Visit(password)) => match self.check_password(password.as_ref().map(Text::as_str)) {
                Ok(()) => {
                    return out.extend(
                        self.sessions
                            .visit(session)
                            .map(|observed| Output::Send { session, message: FromServer::Welcome(observed) }),
                    );
                }
                Err(refusal) => refusal,
            },
            (None, message) if self.sessions.is_visiting(session) => {
                if let Err((room, refusal)) = self.visitor_request(now, session, message, out) {
                    out.push(refusal.to(session, room));
                }
                return;
            }
            (None, _) => no(RefusalCode::Invalid, "say hello first: the first message of a connection proves your key"),
            (Some(_), ToServer::Hello(_) | ToServer::Visit(_)) => {
                no(RefusalCode::Invalid, "this connection is logged in already; open another one to log in anew")
            }
            (Some(client), message) => {
                if let Err((room, refusal)) = self.request(now, &client, message, out) {
                    out.push(refusal.to(session, room));
                }
                return;
            }
        };
        self.close(now, session, closing, out);
    }

    /// Whether this hello may log in, and what is to be kept for it.
    fn log_in(
        &mut self,
        session: SessionId,
        hello: Signed<Hello>,
        password: Option<&str>,
    ) -> Result<(Client, Vec<Change>), Refusal> {
        let hello = hello.verify(self.scheme.as_ref()).map_err(|_| refusal::bad_signature())?;
        let Some(observed) = self.sessions.observed_by_proof(session, &hello.exporter) else {
            let why = "the proof of your key is for another connection; connect anew, and suspect what is in between";
            return Err(no(RefusalCode::Invalid, why));
        };
        self.check_password(password)?;
        let changes = self.accounts.claim(hello.key, &hello.name)?;
        Ok((Client { session, key: hello.key, name: hello.name.clone(), observed, listed: hello.listed }, changes))
    }

    fn check_password(&self, password: Option<&str>) -> Result<(), Refusal> {
        match &self.config.password {
            Some(wanted) if !refusal::same_secret(wanted, password.unwrap_or_default()) => {
                let why = "this server asks for a password; give the one you got from its operator";
                Err(no(RefusalCode::Password, why))
            }
            _ => Ok(()),
        }
    }

    /// What somebody who only looks may ask for.
    fn visitor_request(
        &mut self,
        now: Now,
        session: SessionId,
        message: ToServer,
        out: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        match message {
            ToServer::List(()) => self.list(session, out),
            ToServer::Survey(()) => self.survey(now, session, out),
            ToServer::LookUp(name) => self.look_up(session, name, out)?,
            ToServer::Delete(deletion) => self.delete(session, deletion, out)?,
            _ => {
                return Err((
                    None,
                    no(RefusalCode::Invalid, "a visitor may only list, look up, survey and delete; say hello for more"),
                ));
            }
        }
        Ok(())
    }

    fn list(&self, session: SessionId, out: &mut Vec<Output>) {
        let people = if self.config.list_people { self.sessions.people() } else { Few::default() };
        let rooms = Few::first_of(self.rooms.in_order_of_name().map(Room::line));
        out.push(Output::Send { session, message: FromServer::Rooms((rooms, people)) });
    }

    fn survey(&self, now: Now, session: SessionId, out: &mut Vec<Output>) {
        let message = FromServer::Surveyed((self.config.second_port, now.wall_ms));
        out.push(Output::Send { session, message });
    }

    fn look_up(&self, session: SessionId, name: RoomName, out: &mut Vec<Output>) -> Result<(), Refused> {
        let Some(room) = self.rooms.named(&name) else { return Err((Some(name), refusal::no_such_room())) };
        out.push(Output::Send { session, message: FromServer::Shown(room.shown()) });
        Ok(())
    }

    fn welcome(&mut self, now: Now, client: Client, changes: Vec<Change>, out: &mut Vec<Output>) {
        if let Some(older) = self.sessions.of_key(&client.key) {
            let why = "a newer connection of your key took over; run one client per key and server";
            self.close(now, older, no(RefusalCode::TooMany, why), out);
        }
        out.extend(changes.into_iter().map(Output::Persist));
        out.push(Output::Send { session: client.session, message: FromServer::Welcome(client.observed) });
        self.sessions.log_in(client);
    }

    /// Refuses for good: says why, closes, and forgets the session.
    fn close(&mut self, now: Now, session: SessionId, refusal: Refusal, out: &mut Vec<Output>) {
        let reason = refusal.code;
        out.push(refusal.to(session, None));
        out.push(Output::Close { session, reason });
        self.disconnected(now, session, out);
    }

    /// What a client that has logged in asks for.
    fn request(&mut self, now: Now, client: &Client, message: ToServer, out: &mut Vec<Output>) -> Result<(), Refused> {
        let Client { session, key, .. } = *client;
        match message {
            // `message` has dealt with it.
            ToServer::Hello(_) | ToServer::Visit(_) => Ok(()),
            ToServer::List(()) => {
                self.list(session, out);
                Ok(())
            }
            ToServer::Survey(()) => {
                self.survey(now, session, out);
                Ok(())
            }
            ToServer::LookUp(name) => self.look_up(session, name, out),
            // A server shows its rooms to everybody: whoever asks by ticket is asking a member.
            ToServer::Ask((name, ..)) => self.look_up(session, name, out),
            ToServer::Create(genesis) => {
                let name = genesis.unverified().name.clone();
                self.create(client, genesis, out).map_err(|refusal| (Some(name), refusal))
            }
            ToServer::Restore((genesis, roster)) => {
                let name = genesis.unverified().name.clone();
                self.restore(now, client, genesis, roster, out).map_err(|refusal| (Some(name), refusal))
            }
            ToServer::Delete(deletion) => self.delete(session, deletion, out),
            ToServer::Close(room) => {
                self.close_room(now, client, room, out);
                Ok(())
            }
            ToServer::Knock(knock) => {
                let room = knock.unverified().room;
                let known = self.rooms.get(&room);
                let left = known.is_some_and(|room| room.is_knock_of_member(&key, &knock, self.scheme.as_ref()));
                // Whoever knocks sits nowhere in the room any more, whether or not anybody heard them leave. If that, or
                // something else, was the room's end, the newcomer looks it up again, and is told so by its name.
                if known.is_none() || (left && self.close_room(now, client, room, out)) {
                    let over = FromServer::KnockOver((Proposal::Admit(knock).hash(), KnockEnd::Stale));
                    out.push(Output::Send { session, message: over });
                    return Ok(());
                }
                self.touch(client, room)?;
                self.in_room(now, client, room, out, |room, turn| room.knock(turn, client, knock))
            }
            ToServer::Withdraw((room, hash)) => {
                // There is nothing to say to this, be the room here or not.
                self.with_room(now, &room, out, |room, turn| room.withdraw(turn, &key, hash));
                Ok(())
            }
            ToServer::Attach((room, at)) => {
                self.touch(client, room)?;
                self.in_room(now, client, room, out, |room, turn| {
                    room.attach(turn, key, at);
                    Ok(())
                })
            }
            ToServer::Step((room, step)) => {
                self.touch(client, room)?;
                self.in_room(now, client, room, out, |room, turn| room.step(turn, key, step))
            }
            ToServer::Drop(drop) => {
                self.in_room(now, client, drop.room, out, |room, turn| room.propose_drop(turn, key, drop))
            }
            ToServer::Consent(consent) => {
                let room = consent.unverified().room;
                self.in_room(now, client, room, out, |room, turn| room.consent(turn, key, consent))
            }
            ToServer::Candidates((room, at, addresses)) => {
                self.in_room(now, client, room, out, |room, turn| room.candidates(turn, client, at, &addresses))
            }
            ToServer::Report((room, about)) => self.in_room(now, client, room, out, |room, turn| {
                room.report(turn, key, about);
                Ok(())
            }),
        }
    }

    /// Runs `act` in a room. A client that speaks of a room that isn't here is told so: if it is a member, it restores it.
    fn in_room(
        &mut self,
        now: Now,
        client: &Client,
        id: RoomId,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Room, &mut Turn<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refused> {
        let Some(done) = self.with_room(now, &id, out, act) else {
            out.push(Output::Send { session: client.session, message: FromServer::Unknown(id) });
            return Ok(());
        };
        done.map_err(|refusal| (self.rooms.get(&id).map(|room| room.name().clone()), refusal))
    }

    /// Notes that a room may hold something of this client from now on, so that it is cleared when the client is gone.
    fn touch(&mut self, client: &Client, id: RoomId) -> Result<(), Refused> {
        let Some(room) = self.rooms.get(&id) else { return Ok(()) };
        let holds = |id: &RoomId| self.rooms.get(id).is_some_and(|room| room.holds(&client.key));
        let noted = self.sessions.touch(client.session, id, holds);
        noted.map_err(|refusal| (Some(room.name().clone()), refusal))
    }

    fn create(&mut self, client: &Client, genesis: Signed<Genesis>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let asked = genesis.unverified();
        if asked.creator != client.key || asked.creator_name != client.name {
            return Err(no(RefusalCode::Invalid, "a room is created under the key and the name you logged in with"));
        }
        let room = Room::create(genesis, self.scheme.as_ref())?;
        self.rooms.check_free(&room, self.config.max_rooms)?;
        let id = room.id();
        let holds = |id: &RoomId| self.rooms.get(id).is_some_and(|room| room.holds(&client.key));
        self.sessions.touch(client.session, id, holds)?;
        out.push(Output::Persist(Change::RoomKept(room.to_kept())));
        let room = self.rooms.insert(room);
        room.seat(client.key);
        out.push(Output::Send { session: client.session, message: FromServer::Shown(room.shown()) });
        Ok(())
    }

    /// Takes a room back that this server doesn't know, or knows no more. Its genesis is verified; its history can't be,
    /// so the roster is the member's claim, and a member that knows of later steps brings them from there.
    fn restore(
        &mut self,
        now: Now,
        client: &Client,
        genesis: Signed<Genesis>,
        roster: Roster,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let at = roster.hash();
        let room = Room::restore(genesis, roster.clone(), &client.key, self.scheme.as_ref())?;
        let id = room.id();
        if self.rooms.get(&id).is_none() {
            self.rooms.check_free(&room, self.config.max_rooms)?;
            out.push(Output::Persist(Change::RoomKept(room.to_kept())));
            let empty_at = now.after_s(self.config.empty_room_ttl_s);
            self.rooms.insert(room).empty_until(empty_at);
            self.rooms.set_alarm(&id);
        }
        // Somebody may have restored it a moment ago: then this is an attach.
        self.touch(client, id).map_err(|(_, refusal)| refusal)?;
        self.with_room(now, &id, out, |room, turn| {
            room.show_roster(turn, client.key, roster);
            // Whoever is with us shows what was before.
            if !room.is_with_us(&client.key) {
                room.attach(turn, client.key, at);
            }
        });
        Ok(())
    }

    /// Forgets a room by its creator's signature, whoever brings it.
    fn delete(&mut self, session: SessionId, deletion: Signed<Deletion>, out: &mut Vec<Output>) -> Result<(), Refused> {
        let id = deletion.unverified().room;
        let Some(room) = self.rooms.get(&id) else { return Err((None, refusal::no_such_room())) };
        let refused = |refusal| (Some(room.name().clone()), refusal);
        let creator = room.creator();
        if deletion.unverified().by != creator {
            let why = "only the creator of a room may delete it; you can leave it instead";
            return Err(refused(no(RefusalCode::NotCreator, why)));
        }
        let deletion = deletion.verify(self.scheme.as_ref()).map_err(|_| refused(refusal::bad_signature()))?;
        let deletion = deletion.into_signed();
        if self.sessions.of_key(&creator) != Some(session) {
            out.push(Output::Send { session, message: FromServer::Deleted(deletion.clone()) });
        }
        self.forget(id, Some(deletion), out);
        Ok(())
    }

    /// A member leaves. The last one takes the room along; of another, the drop that follows is read as its leaving even
    /// if nobody else is here. What somebody else says is passed over, and so is what is done already.
    /// `true` if the room is gone.
    fn close_room(&mut self, now: Now, client: &Client, id: RoomId, out: &mut Vec<Output>) -> bool {
        let last = self.with_room(now, &id, out, |room, turn| {
            room.note_leaving(turn, client.key);
            room.is_last(&client.key)
        });
        if last == Some(true) {
            self.forget(id, None, out);
        }
        last == Some(true)
    }

    /// Removes a room, and tells whom it concerns: of a deletion the members and the creator, of the end the newcomers.
    pub(super) fn forget(&mut self, id: RoomId, deletion: Option<Signed<Deletion>>, out: &mut Vec<Output>) {
        let Some(room) = self.rooms.remove(&id) else { return };
        out.push(Output::Persist(Change::RoomGone(id)));
        let mut send = |key: &PeerId, message: FromServer| {
            out.extend(self.sessions.of_key(key).map(|session| Output::Send { session, message }));
        };
        if let Some(deletion) = deletion {
            let creator = room.creator();
            let others = room.attached().filter(|&key| *key != creator);
            for key in std::iter::once(&creator).chain(others) {
                send(key, FromServer::Deleted(deletion.clone()));
            }
        }
        for (key, message) in room.line_over() {
            send(&key, message);
        }
    }
}
