//! Getting into a room: looking it up, founding it, knocking, and checking the admission ourselves (DESIGN.md §4 rules 1,
//! 3 and 9).

use super::{Node, ctx};
use crate::core::consent::chain::Chain;
use crate::core::consent::roster::room_id;
use crate::core::event::{Entrance, Event, Failure, Misdeed, Refusal};
use crate::core::io::{Change, Output, StepNote};
use crate::core::log::Log;
use crate::core::room::{Ctx, Room};
use crate::core::time::{Now, left_s};
use crate::identity::{RoomName, Verified};
use crate::wire::{
    Admission, Genesis, Knock, KnockEnd, KnockPhase, ProposalHash, RefusalCode, RoomId, RoomShown, Settings, ToServer,
};

/// Milliseconds beyond the room's own timeout after which a silent server is taken for a refusal.
const SERVER_SLACK_MS: u64 = 15_000;

/// Milliseconds between two attempts to get into a room that must be there, or is about to be.
const RETRY_MS: u64 = 2_000;

/// Milliseconds after which they end.
const PATIENCE_MS: u64 = 180_000;

/// Times a knock is renewed within one request because the roster has changed meanwhile.
const RENEWALS_MAX: u32 = 64;

/// A room we want to be in.
#[derive(Debug, Default)]
pub(super) struct Joining {
    /// The room, once it was shown.
    room: Option<RoomId>,
    /// Our newest knock; the only one we enter by.
    knock: Option<Verified<Knock>>,
    /// What we want to found.
    founding: Option<Verified<Genesis>>,
    /// Members who must agree, for the eye.
    of: u16,
    /// Whether the server was asked to show the room, and has not done so yet.
    asked: bool,
    /// How often we knocked anew.
    renewals: u32,
    /// Seconds that members have.
    timeout_s: u16,
    /// When we stop waiting, on the monotonic clock.
    pub gives_up_at: Option<u64>,
    /// A room that is being founded anew: which it must be.
    must_be: Option<RoomId>,
    /// A room that must be there, or is about to be: until when it is tried again.
    patient_until: Option<u64>,
    /// When it is looked up again.
    pub retry_at: Option<u64>,
}

impl Joining {
    /// Somebody new is asked to show the room; a knock that was made already may hold there too.
    pub(super) fn ask_anew(&mut self) {
        self.asked = true;
        self.gives_up_at = None;
    }
}

impl Node {
    /// The user wants to be in a room: back on the own seat if there is one, by a knock otherwise.
    pub(super) fn join(&mut self, now: Now, name: RoomName, out: &mut Vec<Output>) -> Result<(), Failure> {
        if self.room_named(&name).is_some() || self.joining.contains_key(&name) {
            return Err(Failure::AlreadyThere(name));
        }
        let dormant = self.dormant_named(&name);
        if let Some(room) = dormant.and_then(|id| self.dormant.remove(&id)) {
            self.wake_room(now, room, out);
        } else {
            self.knock_anew(name, out);
        }
        Ok(())
    }

    fn wake_room(&mut self, now: Now, mut room: Room, out: &mut Vec<Output>) {
        let id = room.id();
        let mut ctx = ctx!(self, now, out);
        room.seats_taken_up(&mut ctx);
        ctx.tell_server(ToServer::Attach((id, room.chain().head())));
        self.rooms.insert(id, room);
        self.attach_at_host(id, out);
        self.settle_soon(now);
    }

    /// Starts from the beginning: which roster is the room on?
    pub(super) fn knock_anew(&mut self, name: RoomName, out: &mut Vec<Output>) {
        self.joining.insert(name.clone(), Joining { asked: true, ..Joining::default() });
        // Without a server the wish stays; it is carried out when the server is there.
        self.look_up(name, out);
    }

    /// Asks the server, or the host in its place, to show a room; if neither is there, it is asked when it comes.
    fn look_up(&mut self, name: RoomName, out: &mut Vec<Output>) {
        if !self.ask_host(&name, out) {
            let _ = self.ask_server(ToServer::LookUp(name), out);
        }
    }

    /// The server is back: every wish is told anew.
    pub(super) fn resume_joining(&mut self, out: &mut Vec<Output>) {
        for (name, joining) in &mut self.joining {
            joining.knock = None;
            joining.asked = true;
            joining.gives_up_at = None;
            out.push(Output::ToServer(match &joining.founding {
                Some(genesis) => ToServer::Create(genesis.as_signed().clone()),
                None => ToServer::LookUp(name.clone()),
            }));
        }
    }

    /// The user wants to found a room.
    pub(super) fn create(
        &mut self,
        name: RoomName,
        size: u16,
        settings: Settings,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        if self.room_named(&name).is_some() || self.joining.contains_key(&name) {
            return Err(Failure::AlreadyThere(name));
        }
        if self.dormant_named(&name).is_some() {
            return Err(Failure::SeatThere(name));
        }
        let (creator, creator_name) = (self.id(), self.name.clone());
        let genesis = Genesis { name: name.clone(), size, creator, creator_name, nonce: self.nonce(), settings };
        let genesis = Verified::sign(genesis, &*self.signer);
        let joining = Joining { founding: Some(genesis.clone()), asked: true, ..Joining::default() };
        self.joining.insert(name, joining);
        let _ = self.ask_server(ToServer::Create(genesis.into_signed()), out);
        Ok(())
    }

    /// Founds a room that no server keeps.
    pub(super) fn found_alone(
        &mut self,
        now: Now,
        name: RoomName,
        size: u16,
        settings: Settings,
        out: &mut Vec<Output>,
    ) -> Result<RoomId, Failure> {
        if self.room_named(&name).is_some() || self.joining.contains_key(&name) {
            return Err(Failure::AlreadyThere(name));
        }
        let (creator, creator_name) = (self.id(), self.name.clone());
        let genesis = Genesis { name, size, creator, creator_name, nonce: self.nonce(), settings };
        let genesis = Verified::sign(genesis, &*self.signer);
        let id = room_id(&genesis);
        self.found(now, genesis, out);
        Ok(id)
    }

    fn nonce(&mut self) -> [u8; 16] {
        let mut nonce = [0; 16];
        rand::Rng::fill_bytes(&mut self.rng, &mut nonce);
        nonce
    }

    /// The server shows a room: ours, just founded, or one to knock at.
    pub(super) fn on_shown(&mut self, now: Now, shown: RoomShown, out: &mut Vec<Output>) {
        if self.delete_shown(&shown.name, shown.room, out) || self.looked_up(now, &shown, out) {
            return;
        }
        let Some(joining) = self.joining.get_mut(&shown.name) else { return self.shown_another(&shown.name, out) };
        // One knock for each question, so that a server can't have us sign any number of them.
        if !std::mem::take(&mut joining.asked) {
            return;
        }
        if let Some(genesis) = joining.founding.take_if(|genesis| room_id(genesis) == shown.room) {
            self.joining.remove(&shown.name);
            return self.found(now, genesis, out);
        }
        // A name may have been taken by somebody else meanwhile.
        let must_be = joining.must_be;
        if must_be.is_some_and(|room| room != shown.room) || self.is_another_room(&shown.name, &shown.room) {
            return self.refuse(&shown.name, Refusal::RoomExists, out);
        }
        if shown.members >= shown.size {
            return self.refuse(&shown.name, Refusal::Full, out);
        }
        let (room, roster) = (shown.room, shown.roster);
        // The host we knocked through is gone, and another one answers: what was said to our knock counts, and it may have
        // been let in meanwhile.
        let same = |knock: &&Verified<Knock>| knock.room == room;
        let pending = self.joining.get(&shown.name).and_then(|joining| joining.knock.as_ref()).filter(same).cloned();
        if let Some(knock) = pending.filter(|_| self.seeking.has_host()) {
            return out.push(Output::ToServer(ToServer::Knock(knock.into_signed())));
        }
        let expires_unix_s = now.wall_ms / 1000 + u64::from(shown.consent_timeout_s);
        let (key, name, nonce) = (self.signer.id(), self.name.clone(), self.nonce());
        let knock = Knock { room, roster, key, name, nonce, expires_unix_s };
        let knock = Verified::sign(knock, &*self.signer);
        if let Some(joining) = self.joining.get_mut(&shown.name) {
            joining.room = Some(room);
            joining.knock = Some(knock.clone());
            joining.of = shown.members;
            joining.timeout_s = shown.consent_timeout_s;
            joining.gives_up_at = None;
            out.push(Output::ToServer(ToServer::Knock(knock.into_signed())));
        }
    }

    /// The server shows a room whose name only looks like the one we asked for. Who goes in there should know its name.
    fn shown_another(&mut self, shown: &RoomName, out: &mut Vec<Output>) {
        let skeleton = shown.skeleton();
        let mut asked = self.joining.iter().filter(|(name, joining)| joining.asked && name.skeleton() == skeleton);
        if let Some(name) = asked.next().map(|(name, _)| name.clone()) {
            self.refuse(&name, Refusal::NoSuchRoom, out);
        }
    }

    fn found(&mut self, now: Now, genesis: Verified<Genesis>, out: &mut Vec<Output>) {
        let signed = genesis.as_signed().clone();
        let chain = Chain::found(genesis);
        out.push(Output::Persist(Change::Entered { genesis: signed, base: chain.base().clone() }));
        self.enter(now, chain, Entrance::Founded, Vec::new(), out);
    }

    /// Takes our seat.
    fn enter(&mut self, now: Now, chain: Chain, how: Entrance, notes: Vec<StepNote>, out: &mut Vec<Output>) {
        let (id, me) = (chain.room(), self.id());
        // A room we were in before goes on with the log we had: no number of ours may ever be used twice.
        let log = Log::reopen(self.logs.remove(&id).unwrap_or_default(), &chain, &me);
        let mut room = Room::new(chain, log, me);
        room.recall_notes(notes);
        room.rules = self.rules.remove(&id).unwrap_or_default();
        room.recall_privates(self.privates.remove(&id).unwrap_or_default());
        if let Some(texts) = self.outbox.remove(&id) {
            room.recall_outbox(texts);
        }
        let by_ticket = self.addresses_by_ticket(&room);
        room.just_entered(&me);
        let mut ctx = ctx!(self, now, out);
        room.keep_addresses(&mut ctx, by_ticket);
        room.tell_joined(&mut ctx, how);
        ctx.tell_server(ToServer::Attach((id, room.chain().head())));
        room.offer_addresses(&mut ctx);
        room.seats_taken_up(&mut ctx);
        if self.newborn {
            room.own_log_is_known();
        }
        self.rooms.insert(id, room);
        self.attach_at_host(id, out);
        self.leave_reformed(now, id, out);
        self.welcome_strangers(now, out);
    }

    fn joining_by(&mut self, hash: &ProposalHash) -> Option<(RoomName, &mut Joining)> {
        let newest = |joining: &Joining| joining.knock.as_ref().is_some_and(|knock| knock.digest() == hash.0);
        let (name, joining) = self.joining.iter_mut().find(|(_, joining)| newest(joining))?;
        Some((name.clone(), joining))
    }

    /// How our knock stands, by the server's word.
    pub(super) fn on_knock_state(&mut self, now: Now, hash: ProposalHash, phase: KnockPhase, out: &mut Vec<Output>) {
        let Some((room, joining)) = self.joining_by(&hash) else { return };
        let event = match phase {
            KnockPhase::Waiting { ahead } => {
                Event::Knocking { room, yes: 0, of: joining.of, expires_in_s: None, ahead }
            }
            KnockPhase::Open { yes, of, left_ms } => {
                // The server's clock can't keep us waiting longer than the room's own timeout.
                let left_ms = u64::from(left_ms).min(u64::from(joining.timeout_s) * 1000);
                let closes_at = now.after_ms(left_ms);
                joining.gives_up_at.get_or_insert(closes_at.saturating_add(SERVER_SLACK_MS));
                Event::Knocking { room, yes, of, expires_in_s: Some(left_s(now, closes_at)), ahead: 0 }
            }
        };
        out.push(Output::Tell(event));
    }

    /// Our knock ended without an admission.
    pub(super) fn on_knock_over(&mut self, now: Now, hash: ProposalHash, end: KnockEnd, out: &mut Vec<Output>) {
        let Some((room, joining)) = self.joining_by(&hash) else { return };
        let renewals = joining.renewals + 1;
        match end {
            KnockEnd::Denied => self.refuse(&room, Refusal::Denied, out),
            KnockEnd::Expired if self.put_off(now, &room, Refusal::Expired) => {}
            KnockEnd::Expired => self.refuse(&room, Refusal::Expired, out),
            KnockEnd::Stale if renewals <= RENEWALS_MAX => {
                self.knock_anew(room.clone(), out);
                if let Some(joining) = self.joining.get_mut(&room) {
                    joining.renewals = renewals;
                }
            }
            KnockEnd::Stale => self.refuse(&room, Refusal::Other, out),
        }
    }

    /// The server refused something about a room we want to be in.
    pub(super) fn on_join_refused(&mut self, now: Now, room: &RoomName, code: RefusalCode, out: &mut Vec<Output>) {
        let reason = match code {
            RefusalCode::NoSuchRoom => Refusal::NoSuchRoom,
            RefusalCode::RoomExists => Refusal::RoomExists,
            RefusalCode::RoomFull => Refusal::Full,
            RefusalCode::NobodyThere => Refusal::NobodyThere,
            RefusalCode::NameTaken => Refusal::NameTaken,
            RefusalCode::TooMany => Refusal::TooMany,
            RefusalCode::Password | RefusalCode::NotCreator | RefusalCode::NotMember | RefusalCode::Invalid => {
                Refusal::Other
            }
        };
        if !self.put_off(now, room, reason) {
            self.refuse(room, reason, out);
        }
    }

    /// Founds a room anew; the server has been asked.
    pub(super) fn found_anew(&mut self, name: RoomName, genesis: Verified<Genesis>) {
        self.joining.insert(name, Joining { founding: Some(genesis), asked: true, ..Joining::default() });
    }

    /// Knocks at a room that somebody else is about to found anew.
    pub(super) fn follow_to(&mut self, now: Now, name: RoomName, room: RoomId, out: &mut Vec<Output>) {
        let (must_be, patient_until) = (Some(room), Some(now.after_ms(PATIENCE_MS)));
        self.joining.insert(name.clone(), Joining { asked: true, must_be, patient_until, ..Joining::default() });
        self.look_up(name, out);
    }

    /// Tries again to get into rooms that are being founded anew.
    pub(super) fn retry_joining(&mut self, now: Now, out: &mut Vec<Output>) {
        let mut again = Vec::new();
        for (name, joining) in &mut self.joining {
            if joining.retry_at.take_if(|at| *at <= now.mono_ms).is_some() {
                joining.asked = true;
                again.push(name.clone());
            }
        }
        for name in again {
            self.look_up(name, out);
        }
    }

    /// Does not take a first no for an answer: the room must be there, or is about to be.
    pub(super) fn be_patient(&mut self, now: Now, name: &RoomName) {
        if let Some(joining) = self.joining.get_mut(name) {
            joining.patient_until = Some(now.after_ms(PATIENCE_MS));
        }
    }

    /// Puts a refusal off if the room must be there, or is about to be; `false` if it is final.
    fn put_off(&mut self, now: Now, room: &RoomName, reason: Refusal) -> bool {
        let passing = matches!(reason, Refusal::NoSuchRoom | Refusal::TooMany | Refusal::NobodyThere)
            || reason == Refusal::Expired && self.joining.get(room).is_some_and(|joining| joining.must_be.is_some());
        let Some(joining) = self.joining.get_mut(room) else { return false };
        let patient = joining.patient_until.is_some_and(|until| now.mono_ms < until);
        if !passing || !patient {
            return false;
        }
        joining.knock = None;
        joining.gives_up_at = None;
        let wait = RETRY_MS + rand::RngExt::random_range(&mut self.rng, 0..RETRY_MS);
        joining.retry_at = Some(now.after_ms(wait));
        true
    }

    fn refuse(&mut self, room: &RoomName, reason: Refusal, out: &mut Vec<Output>) {
        if self.joining.remove(room).is_some() {
            out.push(Output::Tell(Event::Refused { room: room.clone(), reason }));
        }
    }

    /// What the server presents as our admission. It counts for nothing but the signatures in it.
    pub(super) fn on_admitted(&mut self, now: Now, admission: Admission, out: &mut Vec<Output>) {
        let knock = admission.knock.unverified().clone();
        let hash = crate::wire::Proposal::Admit(admission.knock.clone()).hash();
        let Some((name, joining)) = self.joining_by(&hash) else {
            return self.leave_at_once(now, &admission, out);
        };
        let room = joining.room;
        let entered = Chain::enter(&admission, (knock.room, knock.roster), &*self.scheme);
        // A room of another name than the one asked for could pass for one that we are in.
        match entered.and_then(|chain| if chain.genesis().name == name { Ok(chain) } else { Err(Misdeed::WrongRoster) })
        {
            Ok(chain) if room == Some(chain.room()) && !self.rooms.contains_key(&chain.room()) => {
                self.joining.remove(&name);
                out.push(Output::Persist(Change::Entered {
                    genesis: admission.genesis.clone(),
                    base: admission.roster.clone(),
                }));
                let (room, epoch) = (chain.room(), chain.current().epoch);
                let note = StepNote { at_ms: now.wall_ms, ..StepNote::default() };
                out.push(Output::Persist(Change::Moved { room, epoch, step: admission.step(), note: note.clone() }));
                self.enter(now, chain, Entrance::Admitted, vec![note], out);
            }
            Ok(_) => self.refuse(&name, Refusal::Other, out),
            Err(misdeed) => {
                Self::blame_server(out, Some(name.clone()), misdeed);
                self.refuse(&name, Refusal::Forged, out);
            }
        }
    }

    /// Admitted by a knock that is not our newest, or that we gave up: nobody must wait for us, so we sign that we leave.
    fn leave_at_once(&mut self, now: Now, admission: &Admission, out: &mut Vec<Output>) {
        let knock = admission.knock.unverified();
        let me = self.id();
        let seated = self.rooms.contains_key(&knock.room) || self.dormant.contains_key(&knock.room);
        if knock.key != me || seated {
            return;
        }
        let Ok(chain) = Chain::enter(admission, (knock.room, knock.roster), &*self.scheme) else { return };
        // Whoever handed us the admission, server or host, is the one to tell.
        let told = self.server_up || self.seeking.is_welcomed();
        let mut ctx = ctx!(self, now, out);
        ctx.server_up = told;
        Room::new(chain, Log::default(), me).leave(&mut ctx);
    }

    /// Takes back our wish to be in a room; `false` if there was none.
    pub(super) fn stop_knocking(&mut self, room: &RoomName, out: &mut Vec<Output>) -> bool {
        let Some(joining) = self.joining.get(room) else { return false };
        if let Some(genesis) = &joining.founding {
            // The server may have made the room already: what was asked for before is undone, in this order.
            let _ = self.ask_server(ToServer::Close(room_id(genesis)), out);
        }
        if let Some(knock) = &joining.knock {
            let withdrawal = ToServer::Withdraw((knock.room, ProposalHash(knock.digest())));
            self.withdraw(withdrawal, out);
        }
        self.refuse(room, Refusal::Withdrawn, out);
        true
    }

    fn withdraw(&self, withdrawal: ToServer, out: &mut Vec<Output>) {
        if self.server_up || self.seeking.is_welcomed() {
            out.push(Output::ToServer(withdrawal));
        }
    }

    /// A server that never answers is a refusal too.
    pub(super) fn give_up_knocking(&mut self, now: Now, out: &mut Vec<Output>) {
        let late = |joining: &Joining| joining.gives_up_at.is_some_and(|at| at <= now.mono_ms);
        let late: Vec<RoomName> =
            self.joining.iter().filter(|(_, joining)| late(joining)).map(|(name, _)| name.clone()).collect();
        for room in late {
            if let Some(knock) = self.joining.get(&room).and_then(|joining| joining.knock.as_ref()) {
                let withdrawal = ToServer::Withdraw((knock.room, ProposalHash(knock.digest())));
                self.withdraw(withdrawal, out);
            }
            self.refuse(&room, Refusal::Expired, out);
        }
    }
}
