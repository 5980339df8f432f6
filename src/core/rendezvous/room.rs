//! One room: its roster, who of its members is connected, and who is told what.
//!
//! Being *attached* is being a member of the current roster with a connection that asked for the room's traffic. A member
//! that signed its leaving is *gone*: its seat stands until the others have signed the drop, but it is told nothing more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ballots::Ballots;
use super::elsewhere::Ways;
use super::history::History;
use super::introduce::Addresses;
use super::kept::KeptRoom;
use super::knocks::Line;
use super::pace::Pace;
use super::refusal::{Refusal, bad_signature, no, not_member};
use super::sessions::Sessions;
use super::{Change, Output};
use crate::core::Now;
use crate::core::consent::roster::{first_roster, is_member, room_id, settings_are_sound};
use crate::identity::{PeerId, RoomName, Scheme, Signed, Verified};
use crate::wire::{Admission, FromServer, Genesis, RefusalCode, RoomId, RoomLine, RoomShown, Roster, RosterHash, Step};

/// What is at hand while one input is handled.
pub(super) struct Turn<'a> {
    /// The moment.
    pub(super) now: Now,
    /// How signatures are checked.
    pub(super) scheme: &'a dyn Scheme,
    /// Seconds an empty room is kept.
    pub(super) empty_ttl_s: u64,
    /// Who is connected.
    pub(super) sessions: &'a Sessions,
    /// Who knocked how often.
    pub(super) pace: &'a mut Pace,
    /// What is to be done.
    pub(super) out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    /// Tells somebody, if connected.
    pub(super) fn send(&mut self, to: &PeerId, message: FromServer) {
        self.out.extend(self.sessions.of_key(to).map(|session| Output::Send { session, message }));
    }

    /// Refuses somebody, if connected.
    pub(super) fn refuse(&mut self, to: &PeerId, room: &RoomName, refusal: Refusal) {
        self.out.extend(self.sessions.of_key(to).map(|session| refusal.to(session, Some(room.clone()))));
    }

    /// Has a change kept.
    pub(super) fn persist(&mut self, change: Change) {
        self.out.push(Output::Persist(change));
    }
}

/// A connected member.
#[derive(Debug, Default)]
pub(super) struct Attachment {
    /// Where it can be reached, once it told, for members of the roster it told it at.
    pub(super) addresses: Option<Addresses>,
    /// When it last told.
    pub(super) told_at: Option<u64>,
    /// Whether it said since then that it is on a roster that this server doesn't know.
    pub(super) elsewhere: bool,
    /// Whether it has said so twice, without bringing a step from here in between: it is not about to.
    pub(super) astray: bool,
    /// Members it reported unreachable since it, or they, attached.
    reported: BTreeSet<PeerId>,
}

/// A room.
#[derive(Debug)]
pub(super) struct Room {
    /// What it is, for good.
    genesis: Verified<Genesis>,
    /// Who is in it.
    pub(super) roster: Roster,
    /// That roster's hash.
    hash: RosterHash,
    /// How it came there of late.
    pub(super) history: History,
    /// The last rosters at which it parted with members who could not be reached, and how. A server that is started again
    /// has forgotten them; members meet without it then.
    pub(super) partings: VecDeque<(Roster, Step)>,
    /// The ways of those who are on rosters unknown here.
    pub(super) ways: Ways,
    /// Members connected now.
    pub(super) attached: BTreeMap<PeerId, Attachment>,
    /// Members of the roster that have signed their leaving.
    pub(super) gone: BTreeSet<PeerId>,
    /// Members that said that they leave, and have yet to sign it.
    pub(super) leaving: BTreeSet<PeerId>,
    /// The admission behind the roster, if that is one: its newcomer may have missed it.
    pub(super) admission: Option<Admission>,
    /// Its newcomer, who has yet to say where it is.
    pub(super) expected: Option<PeerId>,
    /// Newcomers.
    pub(super) line: Line,
    /// Proposals over the roster, with the answers.
    pub(super) ballots: Ballots,
    /// When it is forgotten, while nobody is attached.
    empty_until: Option<u64>,
}

impl Room {
    /// The room that a genesis founds.
    pub(super) fn create(genesis: Signed<Genesis>, scheme: &dyn Scheme) -> Result<Self, Refusal> {
        let genesis = genesis.verify(scheme).map_err(|_| bad_signature())?;
        if !settings_are_sound(genesis.size, &genesis.settings) {
            let why = "a room's size, consent timeout or grace is out of bounds; see `p2pchat help create`";
            return Err(no(RefusalCode::Invalid, why));
        }
        let roster = first_roster(&genesis);
        Ok(Room::at(genesis, roster, History::default()))
    }

    /// The room as one of its members holds it.
    pub(super) fn restore(
        genesis: Signed<Genesis>,
        roster: Roster,
        by: &PeerId,
        scheme: &dyn Scheme,
    ) -> Result<Self, Refusal> {
        let mut room = Room::create(genesis, scheme)?;
        let keys: BTreeSet<_> = roster.members.iter().map(|member| member.key).collect();
        let fits = roster.room == room.id()
            && keys.len() == roster.members.len()
            && keys.len() <= usize::from(room.genesis.size)
            && (roster.epoch > 0 || roster == room.roster);
        if !fits {
            return Err(no(RefusalCode::Invalid, "this roster is none of this room; leave the room and join it again"));
        }
        if !keys.contains(by) {
            return Err(not_member());
        }
        room.hash = roster.hash();
        room.roster = roster;
        Ok(room)
    }

    /// The room as it was kept; `None` if what was kept is damaged.
    pub(super) fn from_kept(kept: KeptRoom, scheme: &dyn Scheme) -> Option<Self> {
        let genesis = kept.genesis.verify(scheme).ok()?;
        Some(Room::at(genesis, kept.roster, History::new(kept.steps)))
    }

    fn at(genesis: Verified<Genesis>, roster: Roster, history: History) -> Self {
        Room {
            genesis,
            hash: roster.hash(),
            roster,
            history,
            partings: VecDeque::new(),
            ways: Ways::default(),
            attached: BTreeMap::new(),
            gone: BTreeSet::new(),
            leaving: BTreeSet::new(),
            admission: None,
            expected: None,
            line: Line::default(),
            ballots: Ballots::default(),
            empty_until: None,
        }
    }

    /// As it is to be kept.
    pub(super) fn to_kept(&self) -> KeptRoom {
        let (genesis, roster) = (self.genesis.as_signed().clone(), self.roster.clone());
        KeptRoom { genesis, roster, steps: self.history.to_kept() }
    }

    /// Its id.
    pub(super) fn id(&self) -> RoomId {
        room_id(&self.genesis)
    }

    /// What it is called.
    pub(super) fn name(&self) -> &RoomName {
        &self.genesis.name
    }

    /// Who founded it.
    pub(super) fn creator(&self) -> PeerId {
        self.genesis.creator
    }

    /// What it is.
    pub(super) fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What it is, as its creator signed it.
    pub(super) fn signed_genesis(&self) -> &Signed<Genesis> {
        self.genesis.as_signed()
    }

    /// The roster it is on.
    pub(super) fn hash(&self) -> RosterHash {
        self.hash
    }

    /// Puts the room on another roster; returns the one before.
    pub(super) fn put_on(&mut self, next: Roster) -> Roster {
        self.hash = next.hash();
        std::mem::replace(&mut self.roster, next)
    }

    /// Its line in `list`.
    pub(super) fn line(&self) -> RoomLine {
        RoomLine {
            name: self.name().clone(),
            members: self.members(),
            size: self.genesis.size,
            knocking: self.line.is_open(),
        }
    }

    /// What somebody outside may know of it.
    pub(super) fn shown(&self) -> RoomShown {
        RoomShown {
            name: self.name().clone(),
            room: self.id(),
            roster: self.hash,
            members: self.members(),
            online: count(self.attached.len()),
            size: self.genesis.size,
            consent_timeout_s: self.genesis.settings.consent_timeout_s,
        }
    }

    /// How many members it has.
    pub(super) fn members(&self) -> u16 {
        count(self.roster.members.len())
    }

    /// Whether somebody is a member that hasn't left.
    pub(super) fn is_staying(&self, key: &PeerId) -> bool {
        is_member(&self.roster, key) && !self.gone.contains(key)
    }

    /// Whether somebody is a member, and the only one that hasn't left or said so.
    pub(super) fn is_last(&self, key: &PeerId) -> bool {
        let others = self.roster.members.iter().map(|member| &member.key).filter(|other| *other != key);
        self.is_staying(key)
            && others.into_iter().all(|other| self.gone.contains(other) || self.leaving.contains(other))
    }

    /// A member said that it leaves, which changes nothing before it, or those who stay, have signed it.
    pub(super) fn note_leaving(&mut self, turn: &mut Turn<'_>, key: PeerId) {
        if is_member(&self.roster, &key) {
            self.leaving.insert(key);
            self.weigh_departures(turn);
            self.note_if_empty(turn);
        }
    }

    /// Whether there is anything here of this client's connection.
    pub(super) fn holds(&self, key: &PeerId) -> bool {
        self.attached.contains_key(key) || self.line.has(key)
    }

    /// The members connected now, in the order of their keys.
    pub(super) fn attached(&self) -> impl Iterator<Item = &PeerId> {
        self.attached.keys()
    }

    /// A connected member's attachment.
    pub(super) fn attachment(&mut self, key: &PeerId) -> Option<&mut Attachment> {
        self.attached.get_mut(key)
    }

    /// The addresses of all connected members that told any.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&PeerId, &Addresses)> {
        self.attached.iter().filter_map(|(key, attachment)| Some((key, attachment.addresses.as_ref()?)))
    }

    /// Tells every connected member but one.
    pub(super) fn tell_others(&self, turn: &mut Turn<'_>, but: &PeerId, message: &FromServer) {
        self.attached.keys().filter(|key| *key != but).for_each(|key| turn.send(key, message.clone()));
    }

    /// Tells every connected member.
    pub(super) fn tell_all(&self, turn: &mut Turn<'_>, message: &FromServer) {
        self.attached.keys().for_each(|key| turn.send(key, message.clone()));
    }

    /// Attaches the creator of a new room, who is there and needs to be told nothing.
    pub(super) fn seat(&mut self, creator: PeerId) {
        self.attached.insert(creator, Attachment::default());
        self.empty_until = None;
    }

    /// Nobody is attached, and the room is forgotten at this moment unless somebody comes.
    pub(super) fn empty_until(&mut self, at: u64) {
        self.empty_until = Some(at);
    }

    /// A member came, at the roster it names. It is told what it missed: the steps from there, who else is here, and what
    /// is open.
    ///
    /// Somebody who is no member is told the roster's hash, as `LookUp` tells anybody, and the steps only if it was a member
    /// at the roster it names: whoever was dropped needs them to see that it was. Whoever is at a roster that this server
    /// doesn't know can bring the steps to it, or names older ones, which doesn't mean that it is there.
    pub(super) fn attach(&mut self, turn: &mut Turn<'_>, key: PeerId, at: RosterHash) {
        let id = self.id();
        for step in self.history.since(at, &key, is_member(&self.roster, &key)) {
            turn.send(&key, FromServer::Step((id, step.clone())));
        }
        turn.send(&key, FromServer::RosterIs((id, self.hash)));
        if !self.is_staying(&key) {
            return;
        }
        self.leaving.remove(&key);
        self.empty_until = None;
        self.line.let_go(&key);
        if !self.attached.contains_key(&key) {
            self.forget_reports(&key);
            self.attached.insert(key, Attachment::default());
            self.tell_others(turn, &key, &FromServer::Presence((id, key, true)));
        }
        let known = at == self.hash || self.history.knows(&at);
        if let Some(attachment) = self.attached.get_mut(&key)
            && (!known || at == self.hash || !attachment.elsewhere)
        {
            attachment.astray = attachment.elsewhere && !known;
            attachment.elsewhere = !known;
        }
        for other in self.attached.keys().filter(|other| **other != key) {
            turn.send(&key, FromServer::Presence((id, *other, true)));
        }
        // A newcomer is about to tell where it is, and both then dial at the same moment, which is what routers need.
        if self.expected != Some(key) {
            self.introduce_others(turn, &key);
        }
        self.tell_open_knock(turn, &key);
        for message in self.ballots.replay() {
            turn.send(&key, message);
        }
        if self.attached.get(&key).is_some_and(|attachment| attachment.astray) {
            self.weigh_departures(turn);
        }
    }

    /// A connection is gone: its seat stays, its knock ends.
    pub(super) fn gone_offline(&mut self, turn: &mut Turn<'_>, key: &PeerId) {
        self.detach(turn, key);
        self.leave_line(turn, key);
        self.weigh_departures(turn);
    }

    /// Tells a member nothing more, and the others that it isn't here.
    pub(super) fn detach(&mut self, turn: &mut Turn<'_>, key: &PeerId) {
        if self.attached.remove(key).is_none() {
            return;
        }
        self.forget_reports(key);
        self.tell_all(turn, &FromServer::Presence((self.id(), *key, false)));
        self.note_if_empty(turn);
    }

    /// If nobody is attached, but for those who said that they leave, lets the time run until the room is forgotten: they may wait
    /// for the signatures of somebody who never comes.
    pub(super) fn note_if_empty(&mut self, turn: &Turn<'_>) {
        let empty = self.attached.keys().all(|key| self.leaving.contains(key));
        if empty && self.empty_until.is_none() {
            self.empty_until = Some(turn.now.after_s(turn.empty_ttl_s));
        }
    }

    /// A member lost its link to another: told once, until either comes anew. Reports by or about others than members are
    /// passed over: somebody may have been dropped a moment ago.
    pub(super) fn report(&mut self, turn: &mut Turn<'_>, by: PeerId, about: PeerId) {
        let known = is_member(&self.roster, &about) && about != by;
        if known && self.attached.get_mut(&by).is_some_and(|attachment| attachment.reported.insert(about)) {
            self.tell_others(turn, &by, &FromServer::Reported((self.id(), about, by)));
        }
    }

    fn forget_reports(&mut self, about: &PeerId) {
        self.attached.values_mut().for_each(|attachment| {
            attachment.reported.remove(about);
        });
    }

    /// When this room wants to be woken.
    pub(super) fn alarm(&self) -> Option<u64> {
        self.empty_until.into_iter().chain(self.line.overdue_at()).min()
    }

    /// The moment of [`Self::alarm`] may have come; whether the room is to be forgotten.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.empty_until.is_some_and(|at| at <= turn.now.mono_ms) {
            return true;
        }
        self.expire_knock(turn);
        false
    }
}

/// A number of members, who are at most 256.
pub(super) fn count(members: usize) -> u16 {
    u16::try_from(members).unwrap_or(u16::MAX)
}
