//! What the user wants.

use super::{Node, ctx};
use crate::core::consent::roster::settings_are_sound;
use crate::core::event::{Command, Event, Failure, KnockRef, Leaving};
use crate::core::io::Output;
use crate::core::log::{Known, Place};
use crate::core::room::{Ctx, Room};
use crate::core::time::Now;
use crate::identity::{RoomName, Verified};
use crate::limits::{HISTORY_SHOWN_MAX, TEXT_BYTES_MAX};
use crate::wire::{Body, Deletion, EntryId, ProposalHash, RoomId, ToServer};

impl Node {
    pub(super) fn command(&mut self, now: Now, command: Command, out: &mut Vec<Output>) {
        let done = match command {
            Command::Say { room, text } => {
                self.say(now, &room, vec![text], out);
                Ok(())
            }
            Command::Write { room, what } => self.in_room(now, room, out, |room, ctx| room.put(ctx, &what)),
            Command::React { room, to, sign } => self.in_room(now, room, out, |room, ctx| room.react(ctx, to, sign)),
            Command::Private { room, to, fingerprint, text } => {
                self.in_room(now, room, out, |room, ctx| room.say_privately(ctx, &to, fingerprint, text))
            }
            Command::Conversation { room, with, fingerprint, count } => self.in_room(now, room, out, |room, ctx| {
                room.tell_conversation(ctx, with, fingerprint, count.min(HISTORY_SHOWN_MAX))
            }),
            Command::Ignore { room, name, on } => self.in_room(now, room, out, |room, ctx| room.ignore(ctx, &name, on)),
            Command::Whois { room, name } => self.in_room(now, room, out, |room, ctx| room.whois(ctx, &name)),
            Command::Verify { room, name, fingerprint, same } => {
                self.in_room(now, room, out, |room, ctx| room.verify(ctx, &name, fingerprint, same))
            }
            Command::Invite(room) => self.invite(now, room, out),
            Command::Approve(knock) => self.decide(now, knock, true, out),
            Command::Deny(knock) => self.decide(now, knock, false, out),
            Command::Remove { room, who } => self.in_room(now, room, out, |room, ctx| room.remove(ctx, &who)),
            Command::Keep { room, who } => self.in_room(now, room, out, |room, ctx| room.keep(ctx, &who)),
            Command::Reform { room, new, without } => {
                self.in_room(now, room, out, |room, ctx| room.reform(ctx, new, &without))
            }
            Command::RefuseReform(room) => self.in_room(now, room, out, Room::refuse_reform),
            Command::Remember { room, name, fingerprint, rule } => {
                self.in_room(now, room, out, |room, ctx| room.remember(ctx, &name, fingerprint, rule))
            }
            Command::Rules(room) => self.look_at(now, room, out, Room::tell_rules),
            Command::Pending(room) => self.look_at(now, room, out, Room::tell_pending),
            Command::Membership(room) => self.look_at(now, room, out, Room::tell_membership),
            Command::Create { room, size, settings } => {
                if settings_are_sound(size, &settings) {
                    self.create(room, size, settings, out)
                } else {
                    Err(Failure::BadSettings)
                }
            }
            Command::Join(room) => self.join(now, room, out),
            Command::Host { room, size, settings } => {
                if settings_are_sound(size, &settings) {
                    self.host(now, room, size, settings, out)
                } else {
                    Err(Failure::BadSettings)
                }
            }
            Command::Enter(ticket) => self.enter_by(now, ticket, out),
            Command::Ticket { room, expires_in_s } => self.show_ticket(now, room, expires_in_s, out),
            Command::Leave(room) => self.leave(now, room, out),
            Command::Rejoin(room) => self.rejoin(now, room, out),
            Command::List => self.ask_server(ToServer::List(()), out),
            Command::Members(room) => self.members(now, room, out),
            Command::Paths(room) => self.look_at(now, room, out, Room::tell_paths),
            Command::Delete(room) => self.delete(room, out),
            Command::Last { room, count } => self.recall(room, count, None, None, out),
            Command::Earlier { room, before, count } => self.recall(room, count, None, Some(before), out),
            Command::Search { room, words, count } => self.recall(room, count, Some(words), None, out),
            // Answered by the driver, before the node ever sees the server.
            Command::Pin { .. } | Command::Publish { .. } => Ok(()),
            Command::Quit => {
                self.quit(now, out);
                Ok(())
            }
        };
        if let Err(failure) = done {
            out.push(Output::Tell(Event::Failed(failure)));
        }
    }

    pub(super) fn say(&mut self, now: Now, room: &RoomName, texts: Vec<String>, out: &mut Vec<Output>) {
        if let Some(long) = texts.iter().find(|text| text.len() > TEXT_BYTES_MAX) {
            let failure = Failure::TextTooLong { bytes: long.len() };
            return out.push(Output::Tell(Event::Failed(failure)));
        }
        let Some(id) = self.room_named(room) else {
            return out.push(Output::Tell(Event::Failed(Failure::NotInRoom(room.clone()))));
        };
        let mut ctx = ctx!(self, now, out);
        if let Some(room) = self.rooms.get_mut(&id) {
            room.say(&mut ctx, texts.into_iter().filter_map(Body::text).collect());
        }
    }

    /// Whether we said so much that the next text should wait until it has gone out.
    pub fn is_ahead(&self) -> bool {
        let me = self.id();
        self.rooms.values().any(|room| room.is_ahead(&me))
    }

    /// What is known of an entry in a room, if it is one of the newest.
    pub fn known(&self, room: &RoomId, id: &EntryId) -> Option<Known> {
        self.rooms.get(room)?.known(id)
    }

    fn decide(&mut self, now: Now, knock: KnockRef, yes: bool, out: &mut Vec<Output>) -> Result<(), Failure> {
        let (id, hash) = self.find_knock(knock)?;
        let mut ctx = ctx!(self, now, out);
        self.rooms.get_mut(&id).ok_or(Failure::NoSuchKnock)?.decide(&mut ctx, hash, yes)
    }

    fn in_room(
        &mut self,
        now: Now,
        name: RoomName,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Room, &mut Ctx<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let id = self.room_named(&name).ok_or(Failure::NotInRoom(name))?;
        let mut ctx = ctx!(self, now, out);
        self.rooms.get_mut(&id).map_or(Ok(()), |room| act(room, &mut ctx))
    }

    pub(super) fn look_at(
        &mut self,
        now: Now,
        name: RoomName,
        out: &mut Vec<Output>,
        tell: impl FnOnce(&Room, &mut Ctx<'_>),
    ) -> Result<(), Failure> {
        self.in_room(now, name, out, |room, ctx| {
            tell(room, ctx);
            Ok(())
        })
    }

    fn find_knock(&self, knock: KnockRef) -> Result<(RoomId, ProposalHash), Failure> {
        match knock {
            KnockRef::Id(hash) => {
                let mut rooms = self.rooms.iter().filter(|(_, room)| room.has_knock(&hash));
                rooms.next().map(|(id, _)| (*id, hash)).ok_or(Failure::NoSuchKnock)
            }
            KnockRef::Name { room, name } => {
                let id = self.room_named(&room).ok_or(Failure::NotInRoom(room))?;
                match self.rooms[&id].knocks_of(&name)[..] {
                    [] => Err(Failure::NoSuchKnock),
                    [hash] => Ok((id, hash)),
                    _ => Err(Failure::AmbiguousName(name)),
                }
            }
        }
    }

    pub(super) fn ask_server(&self, message: ToServer, out: &mut Vec<Output>) -> Result<(), Failure> {
        if !self.server_up && !self.seeking.is_welcomed() {
            return Err(Failure::NoServer);
        }
        out.push(Output::ToServer(message));
        Ok(())
    }

    fn leave(&mut self, now: Now, room: RoomName, out: &mut Vec<Output>) -> Result<(), Failure> {
        if self.stop_knocking(&room, out) {
            return Ok(());
        }
        let id = self.room_named(&room).ok_or(Failure::NotInRoom(room))?;
        self.leave_room(now, id, Leaving::Asked, out);
        Ok(())
    }

    /// Goes over to those for whom the server keeps the room.
    fn rejoin(&mut self, now: Now, name: RoomName, out: &mut Vec<Output>) -> Result<(), Failure> {
        let id = self.room_named(&name).ok_or_else(|| Failure::NotInRoom(name.clone()))?;
        if !self.rooms.get(&id).is_some_and(Room::is_apart) {
            return Err(Failure::NotApart(name));
        }
        self.abandon(now, id, out);
        Ok(())
    }

    /// Signs that we leave, and forgets the room.
    pub(super) fn leave_room(&mut self, now: Now, id: RoomId, why: Leaving, out: &mut Vec<Output>) {
        let mut ctx = ctx!(self, now, out);
        if let Some(room) = self.rooms.get_mut(&id) {
            room.leave(&mut ctx);
        }
        self.forget(id, why, out);
    }

    fn members(&mut self, now: Now, room: RoomName, out: &mut Vec<Output>) -> Result<(), Failure> {
        let id = self.room_named(&room).ok_or(Failure::NotInRoom(room))?;
        let mut ctx = ctx!(self, now, out);
        let room = &self.rooms[&id];
        let (epoch, size) = (room.chain().current().epoch, room.chain().genesis().size);
        let members = room.people(&ctx);
        ctx.tell(Event::Members { room: room.name.clone(), epoch, size, members });
        Ok(())
    }

    fn recall(
        &self,
        name: RoomName,
        count: usize,
        words: Option<String>,
        before: Option<(Place, EntryId)>,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let room = self.room_named(&name).ok_or_else(|| Failure::NotInRoom(name.clone()))?;
        out.push(Output::Recall { room, name, count: count.min(HISTORY_SHOWN_MAX), words, before });
        Ok(())
    }

    fn delete(&mut self, room: RoomName, out: &mut Vec<Output>) -> Result<(), Failure> {
        let known = self.rooms.values().find(|known| known.name == room);
        match known.map(|known| (known.chain().genesis().creator, known.id())) {
            Some((creator, _)) if creator != self.id() => Err(Failure::NotCreator(room)),
            Some((_, id)) => self.send_deletion(id, out),
            // A room we are not in: the server shows its id, and knows who created it.
            None => {
                self.deleting.insert(room.clone(), None);
                self.ask_server(ToServer::LookUp(room), out)
            }
        }
    }

    fn send_deletion(&mut self, room: RoomId, out: &mut Vec<Output>) -> Result<(), Failure> {
        let deletion = Verified::sign(Deletion { room, by: self.id() }, &*self.signer).into_signed();
        self.ask_server(ToServer::Delete(deletion), out)
    }

    /// The server shows a room that is to be deleted; `false` if it is not.
    pub(super) fn delete_shown(&mut self, room: &RoomName, id: RoomId, out: &mut Vec<Output>) -> bool {
        match self.deleting.get_mut(room) {
            Some(deleting @ None) => {
                *deleting = Some(id);
                self.send_deletion(id, out).is_ok()
            }
            _ => false,
        }
    }

    fn quit(&mut self, now: Now, out: &mut Vec<Output>) {
        let knocking: Vec<RoomName> = self.joining.keys().cloned().collect();
        for room in knocking {
            self.stop_knocking(&room, out);
        }
        // Asked twice, it ends now.
        let since = if self.quitting.is_some() { 0 } else { now.mono_ms };
        self.quitting = Some(since);
    }
}
