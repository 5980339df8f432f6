//! Newcomers who knock through us: every member is a rendezvous for its own rooms (DESIGN.md §3, serverless).
//!
//! There is no second copy of a room here. What a newcomer is shown, how its knock stands and when it is let in is read off our
//! own seat, and a knock is put to the others over links, as members pass knocks on anyway. A newcomer is told hashes and
//! counts; where we are, and where others are, only once its key has a seat. How knocks go on is in `attending`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Node, ctx};
use crate::core::consent::roster::is_member;
use crate::core::io::{GuestId, Output};
use crate::core::rendezvous::introduce::usable;
use crate::core::rendezvous::pace::Pace;
use crate::core::room::{Ctx, Room};
use crate::core::time::Now;
use crate::identity::{Name, PeerId, RoomName, Signed};
use crate::limits::{GUEST_IDLE_MS, GUEST_KNOCKS_MAX, GUESTS_MAX, KNOCKS_WAITING_MAX};
use crate::planted::{self, Bug};
use crate::wire::{
    Few, FromServer, Hello, Knock, KnockEnd, KnockPhase, Pass, Proposal, ProposalHash, RefusalCode, RoomId, RoomTag,
    RosterHash, Text, ToServer,
};

/// Everybody who is connected to knock through us.
#[derive(Debug, Default)]
pub(super) struct Hosting {
    /// By connection.
    pub(super) guests: BTreeMap<GuestId, Guest>,
    /// Rooms that anybody is shown who knows their name.
    open: BTreeSet<RoomId>,
    /// Who knocked how often of late.
    pub(super) pace: Pace,
    /// How many knocks have come, for their order.
    came: u64,
    /// When they were last gone through.
    pub(super) looked_at: u64,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Guest {
    /// Where it is seen.
    pub(super) observed: SocketAddr,
    /// What its hello must name.
    exporter: [u8; 32],
    /// When it came, or was last seen to have a knock waiting.
    busy_at: u64,
    /// Who, once proven; `None` for somebody who only looks.
    who: Option<Who>,
    /// Their knocks, by room.
    pub(super) knocks: BTreeMap<RoomId, Asking>,
}

/// Whether somebody has proven who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// They only look.
    Visitor,
    /// They have.
    Known(PeerId, Name),
}

/// One knock.
#[derive(Debug)]
pub(super) struct Asking {
    /// What was signed.
    pub(super) knock: Signed<Knock>,
    /// Its hash.
    pub(super) hash: ProposalHash,
    /// Its place among all.
    pub(super) place: u64,
    /// Whether the members were asked.
    pub(super) put: bool,
    /// Whether it is a member's, who has to have left before anybody can be asked.
    pub(super) held: bool,
    /// What its newcomer was told last.
    pub(super) told: Option<KnockPhase>,
}

/// Why something a guest asked for is refused.
type Refused = (Option<RoomName>, RefusalCode, &'static str);

impl Hosting {
    /// Opens a room to whoever knows its name.
    pub(super) fn open(&mut self, room: RoomId) {
        self.open.insert(room);
    }

    /// When somebody will have been idle for too long.
    pub(super) fn idle_due(&self) -> Option<u64> {
        self.guests.values().map(|guest| guest.busy_at.saturating_add(GUEST_IDLE_MS)).min()
    }

    /// Whether anybody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.guests.values().all(|guest| guest.knocks.is_empty())
    }
}

impl Node {
    /// Somebody connected.
    pub(super) fn guest_came(
        &mut self,
        now: Now,
        guest: GuestId,
        observed: SocketAddr,
        exporter: [u8; 32],
        out: &mut Vec<Output>,
    ) {
        if self.hosting.guests.len() >= GUESTS_MAX || self.quitting.is_some() {
            return out.push(Output::SendAway { guest, why: RefusalCode::TooMany });
        }
        self.hosting
            .guests
            .insert(guest, Guest { observed, exporter, busy_at: now.mono_ms, who: None, knocks: BTreeMap::new() });
    }

    /// Whoever only sits there makes room for those who knock.
    pub(super) fn send_idle_guests_away(&mut self, now: Now, out: &mut Vec<Output>) {
        for guest in self.hosting.guests.values_mut().filter(|guest| !guest.knocks.is_empty()) {
            guest.busy_at = now.mono_ms;
        }
        let over = |guest: &Guest| guest.busy_at.saturating_add(GUEST_IDLE_MS) <= now.mono_ms;
        for (guest, _) in self.hosting.guests.extract_if(.., |_, guest| over(guest)) {
            out.push(Output::SendAway { guest, why: RefusalCode::TooMany });
        }
    }

    /// A connection is gone. What was put to the members stays with them: its newcomer may come back by another of us.
    pub(super) fn guest_gone(&mut self, guest: GuestId) {
        self.hosting.guests.remove(&guest);
    }

    /// A guest says something.
    pub(super) fn guest_says(&mut self, now: Now, guest: GuestId, message: ToServer, out: &mut Vec<Output>) {
        let Some(known) = self.hosting.guests.get(&guest) else { return };
        let who = known.who.clone();
        let refused = match (who, message) {
            (None, ToServer::Hello((hello, _))) => match self.guest_hello(guest, hello, out) {
                Ok(()) => return,
                Err(refused) => refused,
            },
            (None, ToServer::Visit(_)) => return self.welcome_guest(guest, Who::Visitor, out),
            (None, _) => {
                (None, RefusalCode::Invalid, "say hello first: the first message of a connection proves your key")
            }
            (Some(who), message) => {
                if let Err((room, code, why)) = self.guest_asks(now, guest, &who, message, out) {
                    out.push(Output::ToGuest { guest, message: FromServer::Refused((room, code, Text::cut(why))) });
                }
                return;
            }
        };
        let (room, code, why) = refused;
        out.push(Output::ToGuest { guest, message: FromServer::Refused((room, code, Text::cut(why))) });
        self.hosting.guests.remove(&guest);
        out.push(Output::SendAway { guest, why: code });
    }

    fn guest_hello(&mut self, guest: GuestId, hello: Signed<Hello>, out: &mut Vec<Output>) -> Result<(), Refused> {
        let bad = (
            None,
            RefusalCode::Invalid,
            "the proof of your key is wrong; connect anew, and suspect what is in between",
        );
        let hello = hello.verify(&*self.scheme).map_err(|_| bad.clone())?;
        if self.hosting.guests.get(&guest).is_none_or(|guest| guest.exporter != hello.exporter) {
            return Err(bad);
        }
        let of_key = |one: &Guest| matches!(&one.who, Some(Who::Known(key, _)) if *key == hello.key);
        let older: Vec<GuestId> =
            self.hosting.guests.iter().filter(|(_, one)| of_key(one)).map(|(id, _)| *id).collect();
        for guest in older {
            self.hosting.guests.remove(&guest);
            out.push(Output::SendAway { guest, why: RefusalCode::TooMany });
        }
        self.welcome_guest(guest, Who::Known(hello.key, hello.name.clone()), out);
        Ok(())
    }

    fn welcome_guest(&mut self, guest: GuestId, who: Who, out: &mut Vec<Output>) {
        let Some(known) = self.hosting.guests.get_mut(&guest) else { return };
        known.who = Some(who);
        out.push(Output::ToGuest { guest, message: FromServer::Welcome(known.observed) });
    }

    fn guest_asks(
        &mut self,
        now: Now,
        guest: GuestId,
        who: &Who,
        message: ToServer,
        out: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        match (message, who) {
            (ToServer::List(()), _) => {
                let open = self.rooms.iter().filter(|(id, _)| self.hosting.open.contains(*id));
                let rooms = Few::first_of(open.map(|(_, room)| room.line(now.mono_ms)));
                out.push(Output::ToGuest { guest, message: FromServer::Rooms((rooms, Few::default())) });
            }
            (ToServer::LookUp(name), _) => {
                let room = self.rooms.values().find(|room| room.name == name);
                let room = room.filter(|room| self.hosting.open.contains(&room.id())).ok_or_else(|| no_such(&name))?;
                self.show_room(guest, room, out);
            }
            (ToServer::Ask((name, tag, pass)), who) => {
                let room = self.rooms.values().find(|room| room.name == name && RoomTag::of(&room.id()) == tag);
                let room = room.filter(|room| self.may_see(now, room, who, pass)).ok_or_else(|| no_such(&name))?;
                self.show_room(guest, room, out);
            }
            (ToServer::Knock(knock), Who::Known(key, name)) => self.guest_knocks(now, guest, *key, name, knock, out)?,
            (ToServer::Withdraw((id, hash)), Who::Known(key, _)) => {
                self.guest_withdraws(now, guest, id, hash, key, out)
            }
            (message, Who::Known(key, _)) => self.seated_guest_says(now, guest, *key, message, out),
            (_, Who::Visitor) => return Err((None, RefusalCode::Invalid, "a visitor may only list and look up")),
        }
        Ok(())
    }

    /// Whether somebody is shown a room: with a ticket of one of us, or because they had a seat in it, or because anybody is.
    fn may_see(&self, now: Now, room: &Room, who: &Who, shown: Option<Pass>) -> bool {
        let id = room.id();
        let seated = |key: &PeerId| is_member(room.chain().current(), key) || room.is_acquainted(key);
        // A ticket of anybody who is in the room holds, also of one who was: the member that it names first may be gone.
        let by_pass = |shown: Pass| {
            let holds = shown.expires_unix_s == 0 || now.wall_ms / 1000 <= shown.expires_unix_s;
            let invitation = || shown.invitation(id, room.who_was_ever_in(&shown.by)?);
            holds && invitation().is_some_and(|invitation| invitation.verify(&*self.scheme).is_ok())
        };
        self.hosting.open.contains(&id)
            || matches!(who, Who::Known(key, _) if seated(key))
            || shown.is_some_and(by_pass)
    }

    fn show_room(&self, guest: GuestId, room: &Room, out: &mut Vec<Output>) {
        let linked = room.others(&self.id()).iter().filter(|key| self.links.contains_key(*key)).count();
        out.push(Output::ToGuest { guest, message: FromServer::Shown(room.shown(linked)) });
    }

    /// Puts a knock in line. Whoever names a roster has been shown the room.
    fn guest_knocks(
        &mut self,
        now: Now,
        guest: GuestId,
        key: PeerId,
        name: &Name,
        knock: Signed<Knock>,
        out: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        let asked = knock.unverified().clone();
        let hash = Proposal::Admit(knock.clone()).hash();
        if asked.key != key || asked.name != *name || knock.clone().verify(&*self.scheme).is_err() {
            return Err((None, RefusalCode::Invalid, "you knock under the key and the name you said hello with"));
        }
        let over = |end| Output::ToGuest { guest, message: FromServer::KnockOver((hash, end)) };
        let Some(room) = self.rooms.get_mut(&asked.room) else {
            out.push(over(KnockEnd::Stale));
            return Ok(());
        };
        let titled = Some(room.name.clone());
        let current = room.chain().current();
        let mut held = false;
        if is_member(current, &key) {
            // Let in and missed it, perhaps; entering by an older knock it leaves again (DESIGN.md §4 rule 9).
            held = asked.roster == room.chain().head();
            if let Some(admission) =
                room.admission_of(&key).filter(|one| asked.roster != room.chain().head() || one.knock == knock)
            {
                let by_another = admission.knock != knock;
                out.push(Output::ToGuest { guest, message: FromServer::Admitted(admission) });
                // Whoever enters by their newest knock only leaves this seat again, and has to be told to knock anew.
                out.extend(by_another.then(|| over(KnockEnd::Stale)));
                return Ok(());
            }
        }
        if asked.roster != room.chain().head() {
            out.push(over(KnockEnd::Stale));
            return Ok(());
        }
        if !held && current.members.iter().any(|member| member.name == *name) {
            let why = "a member of this room has that name; take another one, and knock again";
            return Err((titled, RefusalCode::NameTaken, why));
        }
        if !held && current.members.len() >= usize::from(room.chain().genesis().size) {
            return Err((titled, RefusalCode::RoomFull, "the room is full; try again when somebody has left"));
        }
        if self.hosting.pace.knock(now, key).is_err() {
            return Err((titled, RefusalCode::TooMany, "you knocked too often; wait a minute before you knock again"));
        }
        let waiting = self.hosting.guests.values().filter(|guest| guest.knocks.contains_key(&asked.room)).count();
        let Some(known) = self.hosting.guests.get_mut(&guest) else { return Ok(()) };
        let newer = known.knocks.contains_key(&asked.room);
        if !newer && (waiting > KNOCKS_WAITING_MAX || known.knocks.len() >= GUEST_KNOCKS_MAX) {
            return Err((titled, RefusalCode::TooMany, "too many are waiting at this room; try again in a minute"));
        }
        self.hosting.came += 1;
        let place = self.hosting.came;
        // What the members were asked already by somebody else goes on being asked.
        let put = room.has_knock(&hash);
        known.knocks.insert(asked.room, Asking { knock: knock.clone(), hash, place, put, held, told: None });
        if held {
            let mut ctx = ctx!(self, now, out);
            if let Some(room) = self.rooms.get_mut(&asked.room) {
                room.knocked_as_member(&mut ctx, &knock, None);
            }
        }
        Ok(())
    }

    fn guest_withdraws(
        &mut self,
        now: Now,
        guest: GuestId,
        id: RoomId,
        hash: ProposalHash,
        key: &PeerId,
        out: &mut Vec<Output>,
    ) {
        let Some(known) = self.hosting.guests.get_mut(&guest) else { return };
        known.knocks.retain(|_, asking| asking.hash != hash);
        let mut ctx = ctx!(self, now, out);
        if let Some(room) = self.rooms.get_mut(&id) {
            room.withdraw_knock(&mut ctx, hash, key);
        }
    }

    /// Somebody who has, or had, a seat says what it would say to a server, until its links stand.
    fn seated_guest_says(&mut self, now: Now, guest: GuestId, key: PeerId, message: ToServer, out: &mut Vec<Output>) {
        let id = match &message {
            ToServer::Attach((room, _)) | ToServer::Step((room, _)) | ToServer::Candidates((room, ..)) => *room,
            ToServer::Drop(drop) => drop.room,
            ToServer::Consent(consent) => consent.unverified().room,
            _ => return,
        };
        let observed = self.hosting.guests.get(&guest).map(|guest| guest.observed);
        let own = Few::first_of(self.own_candidates());
        let me = self.id();
        let mut ctx = ctx!(self, now, out);
        let anybody = planted::is(Bug::AddressesAtTheDoor);
        let known = |room: &&mut Room| anybody || room.has(&key) || room.is_acquainted(&key);
        let Some(room) = self.rooms.get_mut(&id).filter(known) else { return };
        let seated = anybody || room.has(&key);
        match message {
            ToServer::Attach((_, at)) => {
                attach(room, guest, &key, at, ctx.out);
                if seated {
                    ctx.out.push(Output::ToGuest { guest, message: FromServer::Introduce((id, me, own)) });
                }
            }
            ToServer::Candidates((_, at, offered)) if seated && at == room.chain().head() => {
                let known = observed.map(|observed| usable(observed, &offered).into_vec()).unwrap_or_default();
                room.learn_addresses(now, key, known);
                self.dial_soon(now, key);
            }
            ToServer::Step((_, step)) => room.on_step(&mut ctx, step, Some(key)),
            ToServer::Drop(drop) if seated => room.on_drop(&mut ctx, drop, Some(key)),
            ToServer::Consent(consent) if seated && consent.unverified().by == key => {
                room.on_consent(&mut ctx, consent, Some(key));
            }
            _ => {}
        }
    }
}

impl Guest {
    /// Whose key it proved.
    pub(super) fn key(&self) -> Option<PeerId> {
        match &self.who {
            Some(Who::Known(key, _)) => Some(*key),
            _ => None,
        }
    }
}

/// What somebody is told who comes with a roster: how the room went on from there, and where it is.
///
/// The steps name people: whoever was in that roster has a right to know what became of it, and nobody else has.
fn attach(room: &Room, guest: GuestId, key: &PeerId, at: RosterHash, out: &mut Vec<Output>) {
    let id = room.id();
    let was_in = room.chain().roster(&at).is_some_and(|roster| is_member(roster, key));
    for step in room.chain().steps_after(&at).filter(|_| was_in).unwrap_or_default() {
        out.push(Output::ToGuest { guest, message: FromServer::Step((id, step.clone())) });
    }
    out.push(Output::ToGuest { guest, message: FromServer::RosterIs((id, room.chain().head())) });
}

fn no_such(name: &RoomName) -> Refused {
    let why = "no room of that name is open here; ask a member for a new ticket";
    (Some(name.clone()), RefusalCode::NoSuchRoom, why)
}
