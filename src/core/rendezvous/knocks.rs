//! The line of newcomers: one knock is open at a time, the others wait in the order they came.
//!
//! The server's clock ends a knock here, for the newcomer's convenience and to let the next one in line; it decides
//! nothing. Members refuse by their own clocks, and a knock that turns out complete after its time admits all the same.

use std::collections::{BTreeMap, VecDeque};

use super::refusal::{Refusal, no};
use super::room::{Room, Turn, count};
use super::sessions::Client;
use crate::core::consent::roster::{is_member, successor};
use crate::core::time::left_ms;
use crate::identity::{PeerId, Signed};
use crate::limits::{KNOCK_SLACK_MS, KNOCKS_WAITING_MAX};
use crate::wire::{FromServer, Knock, KnockEnd, KnockPhase, Proposal, ProposalHash, RefusalCode};

/// A knock in line. Its signature was checked.
#[derive(Debug)]
struct InLine {
    /// What was signed.
    knock: Signed<Knock>,
    /// Whose it is.
    key: PeerId,
    /// Its hash.
    hash: ProposalHash,
}

impl InLine {
    fn over(&self) -> (PeerId, FromServer) {
        (self.key, FromServer::KnockOver((self.hash, KnockEnd::Stale)))
    }
}

/// All knocks at one room.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The one that members were asked about, and until when they have to answer.
    open: Option<(InLine, u64)>,
    /// Those behind it.
    waiting: VecDeque<InLine>,
    /// Those of members of the roster that left it, or were let in by an older knock and are about to leave: nobody can be
    /// asked about them before the others have signed the leaving, and then they are made anew.
    held: BTreeMap<PeerId, InLine>,
}

impl Line {
    /// Whether a knock is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The knock that members were asked about.
    pub(super) fn asked(&self) -> Option<ProposalHash> {
        self.open.as_ref().map(|(knock, _)| knock.hash)
    }

    /// Whether somebody is in line.
    pub(super) fn has(&self, key: &PeerId) -> bool {
        self.even_held().any(|knock| knock.key == *key)
    }

    /// Forgets the knock of somebody who is back on their seat.
    pub(super) fn let_go(&mut self, key: &PeerId) {
        self.held.remove(key);
    }

    /// When the open knock is given up: members have till the deadline by their own clocks, and the last answers take
    /// their time to come.
    pub(super) fn overdue_at(&self) -> Option<u64> {
        self.open.as_ref().map(|(_, deadline)| deadline.saturating_add(KNOCK_SLACK_MS))
    }

    fn all(&self) -> impl Iterator<Item = &InLine> {
        self.open.iter().map(|(knock, _)| knock).chain(&self.waiting)
    }

    fn even_held(&self) -> impl Iterator<Item = &InLine> {
        self.all().chain(self.held.values())
    }

    fn has_open(&self, key: &PeerId) -> bool {
        self.open.as_ref().is_some_and(|(knock, _)| knock.key == *key)
    }
}

impl Room {
    /// Somebody knocks.
    pub(super) fn knock(&mut self, turn: &mut Turn<'_>, client: &Client, knock: Signed<Knock>) -> Result<(), Refusal> {
        let asked = knock.unverified();
        if asked.key != client.key || asked.name != client.name {
            return Err(no(RefusalCode::Invalid, "you knock under the key and the name you logged in with"));
        }
        let proposal = Proposal::Admit(knock.clone());
        let hash = proposal.hash();
        if let Some(admission) = self.admission.as_ref().filter(|it| it.knock.unverified().key == client.key) {
            // Let in, and it may have missed that. Entering by an older knock it leaves again (DESIGN.md §4 rule 9).
            turn.send(&client.key, FromServer::Admitted(admission.clone()));
            if admission.knock == knock {
                return Ok(());
            }
            return self.hold(turn, InLine { knock, key: client.key, hash });
        }
        if asked.roster != self.hash() {
            turn.send(&client.key, FromServer::KnockOver((hash, KnockEnd::Stale)));
            return Ok(());
        }
        if self.gone.contains(&client.key) {
            return self.hold(turn, InLine { knock, key: client.key, hash });
        }
        self.check_room_for(client)?;
        turn.pace.knock(turn.now, client.key)?;
        successor(&self.roster, &proposal, self.genesis().size, turn.scheme)
            .map_err(|_| super::refusal::bad_signature())?;
        if let Some(end) = self.ballots.end(&hash, &self.roster) {
            // This very knock was answered before: asking again changes nothing.
            turn.send(&client.key, FromServer::KnockOver((hash, end)));
            return Ok(());
        }
        self.put_in_line(InLine { knock, key: client.key, hash })?;
        if self.line.is_open() {
            self.tell_phase(turn, &client.key)
        } else {
            self.open_next(turn)
        }
        Ok(())
    }

    /// Keeps a knock that nobody can be asked about until the room is on another roster. One per member, so no more than
    /// the roster has.
    fn hold(&mut self, turn: &mut Turn<'_>, held: InLine) -> Result<(), Refusal> {
        turn.pace.knock(turn.now, held.key)?;
        held.knock.clone().verify(turn.scheme).map_err(|_| super::refusal::bad_signature())?;
        let ahead = count(self.line.all().count());
        turn.send(&held.key, FromServer::KnockState((held.hash, KnockPhase::Waiting { ahead })));
        self.line.held.insert(held.key, held);
        Ok(())
    }

    /// Whether this client may knock as far as the room is concerned.
    fn check_room_for(&self, client: &Client) -> Result<(), Refusal> {
        if is_member(&self.roster, &client.key) {
            return Err(no(RefusalCode::Invalid, "you are a member of this room: come back to your seat instead"));
        }
        if self.roster.members.iter().any(|member| member.name == client.name) {
            let why = "a member of this room has that name; log in under another one, and knock again";
            return Err(no(RefusalCode::NameTaken, why));
        }
        if self.members() >= self.genesis().size {
            return Err(no(RefusalCode::RoomFull, "the room is full; try again when somebody has left"));
        }
        if self.attached.is_empty() {
            let why = "no member is connected, so nobody can answer; try again later";
            return Err(no(RefusalCode::NobodyThere, why));
        }
        Ok(())
    }

    /// A newer knock of somebody in line takes the older one's place, unless the members were asked about that already:
    /// then it goes to the end, so that nobody keeps the door by asking anew.
    fn put_in_line(&mut self, knock: InLine) -> Result<(), Refusal> {
        let line = &mut self.line;
        if let Some(older) = line.waiting.iter_mut().find(|older| older.key == knock.key) {
            *older = knock;
            return Ok(());
        }
        if line.open.as_ref().is_some_and(|(open, _)| open.hash == knock.hash) {
            return Ok(());
        }
        if line.has_open(&knock.key) {
            line.open = None;
        } else if line.waiting.len() >= KNOCKS_WAITING_MAX {
            return Err(no(RefusalCode::TooMany, "too many are waiting at this room; try again in a minute"));
        }
        line.waiting.push_back(knock);
        Ok(())
    }

    /// Opens the next knock, if none is open: the members are asked.
    fn open_next(&mut self, turn: &mut Turn<'_>) {
        while !self.line.is_open() {
            let Some(next) = self.line.waiting.pop_front() else { return };
            if let Err(refusal) = self.anybody_there() {
                turn.refuse(&next.key, self.name(), refusal);
                continue;
            }
            let deadline = turn.now.after_s(u64::from(self.genesis().settings.consent_timeout_s));
            self.ballots.open(next.hash, Proposal::Admit(next.knock.clone()), next.key, None);
            self.line.open = Some((next, deadline));
            for member in self.attached.keys() {
                self.tell_open_knock(turn, member);
            }
        }
        let keys: Vec<_> = self.line.all().map(|knock| knock.key).collect();
        keys.iter().for_each(|key| self.tell_phase(turn, key));
    }

    fn anybody_there(&self) -> Result<(), Refusal> {
        if self.attached.is_empty() {
            let why = "no member is connected, so nobody can answer; try again later";
            return Err(no(RefusalCode::NobodyThere, why));
        }
        Ok(())
    }

    /// Tells a member of the open knock.
    pub(super) fn tell_open_knock(&self, turn: &mut Turn<'_>, member: &PeerId) {
        if let Some((open, deadline)) = &self.line.open {
            let left = milliseconds(left_ms(turn.now, *deadline));
            turn.send(member, FromServer::Knock((open.knock.clone(), left)));
        }
    }

    /// Tells a newcomer how its knock stands.
    fn tell_phase(&self, turn: &mut Turn<'_>, newcomer: &PeerId) {
        let Some(at) = self.line.all().position(|knock| knock.key == *newcomer) else { return };
        let (hash, phase) = match &self.line.open {
            Some((open, deadline)) if at == 0 => {
                let left_ms = milliseconds(left_ms(turn.now, *deadline));
                let yes = count(self.ballots.yes(&open.hash));
                (open.hash, KnockPhase::Open { yes, of: self.members(), left_ms })
            }
            open => {
                let waiting = &self.line.waiting[at - usize::from(open.is_some())];
                (waiting.hash, KnockPhase::Waiting { ahead: count(at) })
            }
        };
        turn.send(newcomer, FromServer::KnockState((hash, phase)));
    }

    /// A member answered a knock that isn't complete: its newcomer is told, and the next one's turn comes if it is over.
    pub(super) fn knock_answered(&mut self, turn: &mut Turn<'_>, hash: ProposalHash) {
        let Some((open, _)) = self.line.open.as_ref().filter(|(open, _)| open.hash == hash) else { return };
        let key = open.key;
        match self.ballots.end(&hash, &self.roster) {
            Some(end) => self.end_open(turn, end),
            None => self.tell_phase(turn, &key),
        }
    }

    /// Gives the open knock up if its time is over.
    pub(super) fn expire_knock(&mut self, turn: &mut Turn<'_>) {
        if self.line.overdue_at().is_some_and(|at| at <= turn.now.mono_ms) {
            self.end_open(turn, KnockEnd::Expired);
        }
    }

    fn end_open(&mut self, turn: &mut Turn<'_>, end: KnockEnd) {
        if let Some((open, _)) = self.line.open.take() {
            turn.send(&open.key, FromServer::KnockOver((open.hash, end)));
        }
        self.open_next(turn);
    }

    /// A newcomer no longer wants in.
    pub(super) fn withdraw(&mut self, turn: &mut Turn<'_>, key: &PeerId, hash: ProposalHash) {
        if self.line.even_held().any(|knock| knock.key == *key && knock.hash == hash) {
            self.leave_line(turn, key);
        }
    }

    /// Takes somebody out of the line, who is told nothing of it; those behind move up.
    pub(super) fn leave_line(&mut self, turn: &mut Turn<'_>, key: &PeerId) {
        self.line.let_go(key);
        let Some(at) = self.line.all().position(|knock| knock.key == *key) else { return };
        if self.line.has_open(key) {
            self.line.open = None;
            return self.open_next(turn);
        }
        self.line.waiting.retain(|knock| knock.key != *key);
        let behind: Vec<_> = self.line.all().skip(at).map(|knock| knock.key).collect();
        behind.iter().for_each(|key| self.tell_phase(turn, key));
    }

    /// What everybody in line is told when the room, or its roster, is no longer the one they knocked at.
    pub(super) fn line_over(&self) -> impl Iterator<Item = (PeerId, FromServer)> {
        self.line.even_held().map(InLine::over)
    }

    /// The room is on another roster: everybody in line knocks anew, which isn't counted against them. Not by the knock
    /// that was admitted; but by a newer one of the same newcomer, who leaves again and is still waiting (rule 9).
    pub(super) fn clear_line(&mut self, turn: &mut Turn<'_>, admitted: Option<ProposalHash>) {
        let knocks = self.line.even_held().filter(|knock| Some(knock.hash) != admitted);
        let over: Vec<_> = knocks.map(InLine::over).collect();
        self.line = Line::default();
        for (key, message) in over {
            turn.pace.refund(&key);
            turn.send(&key, message);
        }
    }
}

/// Milliseconds as they travel; a consent timeout is an hour at most.
fn milliseconds(left: u64) -> u32 {
    u32::try_from(left).unwrap_or(u32::MAX)
}
