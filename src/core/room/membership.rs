//! Deciding who is in: prompts, answers, and moving from one roster to the next (DESIGN.md §4 rules 2 to 6).

use std::collections::VecDeque;

use super::{Ctx, Fate, Room};
use crate::core::consent::ballots::{Ballot, Ballots, Blocked, Noted};
use crate::core::consent::roster::{is_member, seat, signers, successor, verify_step};
use crate::core::event::{Answer, Departure, Event, Failure, Misdeed, Refusal};
use crate::core::io::{Change, Output};
use crate::core::time::left_s;
use crate::identity::{Name, PeerId, Signed, Verified};
use crate::limits::{
    CLOCK_SLACK_S, DENIALS_BEFORE_MUTE, KNOCKS_WAITING_MAX, MUTE_S, PASSED_ROSTERS_MAX, PROMPTS_PER_MINUTE_MAX,
    PROPOSALS_FORGOTTEN_MAX, PROPOSALS_OPEN_MAX,
};
use crate::wire::{
    Consent, Decision, Drop, Knock, PeerMessage, Proposal, ProposalHash, Roster, RosterHash, Step, ToServer,
};

/// Milliseconds that a server has to follow a step of ours before it is asked where it is.
const SERVER_FOLLOWS_MS: u64 = 3_000;

impl Room {
    /// Somebody knocks, with `left_ms` to answer by the teller's clock.
    pub fn on_knock(&mut self, ctx: &mut Ctx<'_>, knock: Signed<Knock>, left_ms: u32, from: Option<PeerId>) {
        let timeout_ms = u64::from(self.chain.genesis().settings.consent_timeout_s) * 1000;
        let deadline = ctx.now.after_ms(u64::from(left_ms).min(timeout_ms));
        let lapsed = knock.unverified().expires_unix_s.saturating_add(CLOCK_SLACK_S) < ctx.now.wall_ms / 1000;
        let proposal = Proposal::Admit(knock.clone());
        let hash = proposal.hash();
        if !self.open(ctx, proposal, Some(deadline), from) {
            return;
        }
        // The server reaches most members; those it does not are reached through us.
        for peer in self.others(&ctx.me()) {
            if from.is_none() && !self.online.contains(&peer) {
                ctx.tell_peer(&peer, PeerMessage::Knock(knock.clone()));
            }
        }
        let muted = self.denials.get(&knock.unverified().key).is_some_and(|(_, until)| ctx.now.mono_ms < *until);
        if muted {
            self.answer(ctx, hash, Decision::No);
        } else if lapsed {
            self.answer(ctx, hash, Decision::Silent);
        }
    }

    /// Somebody proposes a drop. It is answered when our own view of those members is ripe.
    pub fn on_drop(&mut self, ctx: &mut Ctx<'_>, drop: Drop, from: Option<PeerId>) {
        if self.open(ctx, Proposal::Drop(drop), None, from) {
            self.weigh_drops(ctx);
        }
    }

    /// Takes a proposal; `true` when it is new and sound. One over another roster is ignored: who proposed it is behind
    /// or ahead, and heads will show.
    fn open(&mut self, ctx: &mut Ctx<'_>, proposal: Proposal, deadline: Option<u64>, from: Option<PeerId>) -> bool {
        if proposal.roster() != self.chain.head() {
            self.answer_passed(ctx, &proposal);
            return false;
        }
        let hash = proposal.hash();
        let size = self.chain.genesis().size;
        match self.ballots.open(self.chain.current(), proposal, size, deadline, ctx.scheme) {
            Ok(true) => {
                self.replay_orphans(ctx, Some(hash));
                true
            }
            Ok(false) => false,
            Err(misdeed) => {
                self.blame(ctx, from, misdeed);
                false
            }
        }
    }

    /// A member answered something.
    pub fn on_consent(&mut self, ctx: &mut Ctx<'_>, consent: Signed<Consent>, from: Option<PeerId>) {
        let by = consent.unverified().by;
        // Removing duplicates costs less than verifying them.
        let known = self.ballots.get(&consent.unverified().proposal).and_then(|ballot| ballot.answer(&by));
        if known == Some(consent.unverified().decision) {
            return;
        }
        match consent.verify(ctx.scheme) {
            Ok(consent) => self.note(ctx, consent),
            Err(_) => self.blame(ctx, from, Misdeed::BadSignature),
        }
    }

    fn note(&mut self, ctx: &mut Ctx<'_>, consent: Verified<Consent>) {
        let Some(ballot) = self.ballots.get(&consent.proposal) else {
            let may_matter = self.has(&consent.by) && self.chain.roster(&consent.roster).is_none()
                || consent.roster == self.chain.head();
            // So many of each member, so that none of them crowds out the others.
            let of_theirs = self.orphans.iter().filter(|orphan| orphan.by == consent.by).count();
            if may_matter && of_theirs < PROPOSALS_OPEN_MAX {
                self.orphans.push_back(consent);
            }
            return;
        };
        let (proposal, knock) = (ballot.proposal.clone(), ballot.knock().cloned());
        let refused_before = ballot.refused().is_some();
        match self.ballots.note(consent.clone()) {
            Ok(Noted::Known) => return,
            Ok(Noted::New) => {}
            Ok(Noted::Contradicts) => self.blame(ctx, Some(consent.by), Misdeed::TwoAnswers),
            Err(_) => return,
        }
        if consent.by != ctx.me() && consent.decision != Decision::Yes {
            // A no that frees us must free us after a restart too.
            let (room, consent) = (self.id(), consent.as_signed().clone());
            ctx.persist(Change::Consented { room, proposal, consent });
        }
        if let Some(knock) = knock {
            self.tell_consent(ctx, &consent, &knock, refused_before);
        }
        self.settle(ctx);
    }

    fn tell_consent(&mut self, ctx: &mut Ctx<'_>, consent: &Verified<Consent>, knock: &Knock, refused_before: bool) {
        let decision = match consent.decision {
            Decision::Yes => Answer::Yes,
            Decision::No => Answer::No,
            Decision::Silent => Answer::Silent,
            Decision::Late => return,
        };
        let (room, name) = (self.name.clone(), knock.name.clone());
        if let Some(by) = self.name_of(&consent.by) {
            ctx.tell(Event::Consent { room: room.clone(), knock: consent.proposal, name: name.clone(), by, decision });
        }
        if decision != Answer::Yes && !refused_before {
            let how = if decision == Answer::No { Refusal::Denied } else { Refusal::Expired };
            ctx.tell(Event::KnockOver { room, knock: consent.proposal, name, how });
        }
    }

    /// Signs our answer, keeps it, and sends it to everybody, in this order.
    fn answer(&mut self, ctx: &mut Ctx<'_>, hash: ProposalHash, decision: Decision) {
        let Some(ballot) = self.ballots.get(&hash) else { return };
        let proposal = ballot.proposal.clone();
        let (room, roster, by) = (self.id(), proposal.roster(), ctx.me());
        let consent = Verified::sign(Consent { room, roster, proposal: hash, by, decision }, ctx.signer);
        let signed = consent.as_signed().clone();
        ctx.persist(Change::Consented { room, proposal: proposal.clone(), consent: signed.clone() });
        if let Proposal::Drop(drop) = proposal {
            ctx.tell_server(ToServer::Drop(drop.clone()));
            self.tell_all(ctx, &PeerMessage::Drop(drop));
        }
        ctx.tell_server(ToServer::Consent(signed.clone()));
        self.tell_all(ctx, &PeerMessage::Consent(signed));
        self.note(ctx, consent);
    }

    /// Says something to every linked member.
    pub fn tell_all(&self, ctx: &mut Ctx<'_>, message: &PeerMessage) {
        for peer in self.readers.keys() {
            ctx.tell_peer(peer, message.clone());
        }
    }

    /// The user's answer to a knock.
    ///
    /// # Errors
    /// [`Failure`] says why it can't be given.
    pub fn decide(&mut self, ctx: &mut Ctx<'_>, hash: ProposalHash, yes: bool) -> Result<(), Failure> {
        let ballot = self.ballots.get(&hash).filter(|ballot| ballot.knock().is_some()).ok_or(Failure::NoSuchKnock)?;
        if ballot.answer(&ctx.me()).is_some() {
            return Err(Failure::AlreadyAnswered);
        }
        if !yes {
            let key = ballot.knock().map(|knock| knock.key);
            self.answer(ctx, hash, Decision::No);
            if let Some(key) = key {
                let (denials, until) = self.denials.entry(key).or_default();
                *denials += 1;
                if *denials >= DENIALS_BEFORE_MUTE {
                    *until = ctx.now.after_s(MUTE_S);
                }
            }
            return Ok(());
        }
        match self.ballots.may_say_yes(&hash) {
            Ok(()) => {
                self.answer(ctx, hash, Decision::Yes);
                Ok(())
            }
            Err(Blocked::Unknown) => Err(Failure::NoSuchKnock),
            Err(Blocked::Answered) => Err(Failure::AlreadyAnswered),
            Err(Blocked::Live(live)) => {
                let name = self.ballots.get(&live).and_then(Ballot::knock).map(|knock| knock.name.clone());
                let name = name.or_else(|| self.name_of(&ctx.me()));
                name.map_or(Err(Failure::NoSuchKnock), |name| Err(Failure::AnotherDecisionOpen { name }))
            }
        }
    }

    /// The open knocks of newcomers of a name.
    pub fn knocks_of(&self, name: &Name) -> Vec<ProposalHash> {
        let of_name = |ballot: &Ballot| ballot.knock().is_some_and(|knock| knock.name == *name);
        let live = self.ballots.iter().filter(|(_, ballot)| of_name(ballot) && ballot.refused().is_none());
        live.map(|(hash, _)| *hash).collect()
    }

    /// Whether this room has a knock of this id.
    pub fn has_knock(&self, hash: &ProposalHash) -> bool {
        self.ballots.get(hash).is_some_and(|ballot| ballot.knock().is_some())
    }

    /// Moves on as far as can be, then asks the user what is left to ask.
    pub fn settle(&mut self, ctx: &mut Ctx<'_>) {
        while let Some(step) = self.ballots.adoptable() {
            if self.adopt(ctx, &step).is_err() {
                break;
            }
        }
        self.note_departures(ctx);
        self.prompt(ctx);
    }

    /// A step as somebody else tells it, over a roster of ours.
    pub fn on_step(&mut self, ctx: &mut Ctx<'_>, step: Step, from: Option<PeerId>) {
        let base = step.proposal.roster();
        if self.chain.roster(&base).is_none() || self.already_took(&step) {
            return;
        }
        let me = ctx.me();
        match self.chain.departed_by(&step, &me, ctx.scheme) {
            Err(misdeed) => self.blame(ctx, from, misdeed),
            Ok(departed) if !departed.is_empty() => self.went_without_me(ctx, departed, Some(step)),
            Ok(_) if base == self.chain.head() => self.on_step_with_me(ctx, step),
            Ok(_) => {}
        }
    }

    fn already_took(&self, step: &Step) -> bool {
        let cause = step.proposal.hash();
        self.chain.rosters().any(|roster| roster.cause == cause)
    }

    /// A valid step that keeps me has my own signature in it. It is adopted unless a later one of mine is alive.
    fn on_step_with_me(&mut self, ctx: &mut Ctx<'_>, step: Step) {
        let hash = step.proposal.hash();
        let superseded = self.ballots.live().is_some_and(|live| live != hash);
        if !superseded && self.adopt(ctx, &step).is_ok() {
            self.settle(ctx);
        }
    }

    /// Makes the step's roster our own.
    fn adopt(&mut self, ctx: &mut Ctx<'_>, step: &Step) -> Result<(), Misdeed> {
        let before = self.chain.current().clone();
        verify_step(&before, step, self.chain.genesis().size, ctx.scheme)?;
        // What was left unsigned over the old roster gets its signed no before we turn our back on it.
        let unanswered = self.ballots.unanswered();
        let mut answered = self.ballots.answered();
        answered.extend(&unanswered);
        self.passed.push_back((self.chain.head(), answered));
        if self.passed.len() > PASSED_ROSTERS_MAX {
            self.passed.pop_front();
        }
        for hash in unanswered {
            self.answer_late(ctx, step.proposal.roster(), hash);
        }
        let after = self.chain.adopt(step, ctx.scheme)?.clone();
        let at_ms = ctx.now.wall_ms;
        ctx.persist(Change::Moved { room: self.id(), epoch: after.epoch, step: step.clone(), at_ms });
        let overtaken = std::mem::replace(&mut self.ballots, Ballots::new(ctx.me()));
        // Somebody whom everybody let in was no nuisance: friends who come one after the other are all asked about.
        if overtaken.get(&step.proposal.hash()).is_some_and(|ballot| ballot.prompted) {
            self.prompts.pop_back();
        }
        self.tell_moved(ctx, &before, &after, &overtaken, step);
        self.seats_changed(ctx, &after);

        self.ask_server_at = ctx.server_up.then(|| ctx.now.after_ms(SERVER_FOLLOWS_MS));
        let head = self.sign_head(ctx);
        self.tell_all(ctx, &PeerMessage::Head(head));
        self.advertise(ctx);
        self.replay_orphans(ctx, None);
        self.replay_early(ctx);
        self.feed_all(ctx);
        Ok(())
    }

    /// A proposal over a roster that we have moved on from: a signed no frees whoever is still waiting for us there.
    fn answer_passed(&mut self, ctx: &mut Ctx<'_>, proposal: &Proposal) {
        let (hash, roster, me) = (proposal.hash(), proposal.roster(), ctx.me());
        let size = self.chain.genesis().size;
        let Some(base) = self.chain.roster(&roster) else { return };
        let mine = signers(base, proposal).contains(&me) && successor(base, proposal, size, ctx.scheme).is_ok();
        // Only over rosters passed since the start: of earlier ones we can't tell any more what we have signed.
        let Some((_, answered)) = self.passed.iter_mut().find(|(passed, _)| *passed == roster) else { return };
        if mine && answered.len() < PROPOSALS_FORGOTTEN_MAX && answered.insert(hash) {
            self.answer_late(ctx, roster, hash);
        }
    }

    /// A no without asking anybody: the room has moved on. It is not noted, since its ballots are gone or about to go.
    fn answer_late(&mut self, ctx: &mut Ctx<'_>, roster: RosterHash, hash: ProposalHash) {
        let late = Consent { room: self.id(), roster, proposal: hash, by: ctx.me(), decision: Decision::Late };
        let late = Verified::sign(late, ctx.signer).into_signed();
        ctx.tell_server(ToServer::Consent(late.clone()));
        self.tell_all(ctx, &PeerMessage::Consent(late));
    }

    fn tell_moved(&self, ctx: &mut Ctx<'_>, before: &Roster, after: &Roster, overtaken: &Ballots, step: &Step) {
        let room = &self.name;
        let adopted = step.proposal.hash();
        for (hash, ballot) in overtaken.iter().filter(|(hash, ballot)| **hash != adopted && ballot.prompted) {
            if let (Some(knock), None) = (ballot.knock(), ballot.refused()) {
                let (room, name) = (room.clone(), knock.name.clone());
                ctx.tell(Event::KnockOver { room, knock: *hash, name, how: Refusal::Withdrawn });
            }
        }
        for new in after.members.iter().filter(|member| !is_member(before, &member.key)) {
            let (room, name, key, epoch) = (room.clone(), new.name.clone(), new.key, after.epoch);
            ctx.tell(Event::MemberJoined { room, name, key, epoch });
        }
        for old in before.members.iter().filter(|member| !is_member(after, &member.key)) {
            let reason = if self.left.contains(&old.key) { Departure::Left } else { Departure::Dropped };
            let (room, name, key, epoch) = (room.clone(), old.name.clone(), old.key, after.epoch);
            ctx.tell(Event::MemberLeft { room, name, key, reason, epoch });
        }
    }

    /// Answers that came before what they are about.
    fn replay_orphans(&mut self, ctx: &mut Ctx<'_>, only: Option<ProposalHash>) {
        let orphans = std::mem::take(&mut self.orphans);
        let (ready, rest): (VecDeque<_>, VecDeque<_>) =
            orphans.into_iter().partition(|consent| only.is_none_or(|hash| consent.proposal == hash));
        self.orphans = rest;
        for consent in ready {
            self.note(ctx, consent);
        }
    }

    /// Asks the user about knocks, one at a time, and only while a yes could be signed.
    fn prompt(&mut self, ctx: &mut Ctx<'_>) {
        while self.prompts.front().is_some_and(|at| at + 60_000 <= ctx.now.mono_ms) {
            self.prompts.pop_front();
        }
        let me = ctx.me();
        // Before anything that may return: [`Room::membership_due`] wakes us for the oldest of them, again and again.
        while self.prompts.front().is_some_and(|at| at + 60_000 <= ctx.now.mono_ms) {
            self.prompts.pop_front();
        }
        let waiting = |ballot: &Ballot| ballot.prompted && ballot.answer(&me).is_none() && ballot.refused().is_none();
        if self.ballots.live().is_some() || self.ballots.iter().any(|(_, ballot)| waiting(ballot)) {
            return;
        }
        if self.prompts.len() >= PROMPTS_PER_MINUTE_MAX {
            return;
        }
        let askable = |ballot: &Ballot| {
            ballot.knock().is_some()
                && !ballot.prompted
                && ballot.answer(&me).is_none()
                && ballot.refused().is_none()
                && ballot.deadline.is_some_and(|deadline| deadline > ctx.now.mono_ms)
        };
        let next = self.ballots.iter().find(|(_, ballot)| askable(ballot)).map(|(hash, _)| *hash);
        let Some(hash) = next else { return };
        self.prompts.push_back(ctx.now.mono_ms);
        if let Some(ballot) = self.ballots.get_mut(&hash) {
            ballot.prompted = true;
        }
        if let Some(event) = self.knock_event(ctx, &hash) {
            ctx.tell(event);
        }
    }

    fn knock_event(&self, ctx: &Ctx<'_>, hash: &ProposalHash) -> Option<Event> {
        let ballot = self.ballots.get(hash)?;
        let knock = ballot.knock()?;
        let named = |answer: Option<Decision>| -> Vec<Name> {
            let keys = ballot.signers.iter().filter(|key| ballot.answer(key) == answer);
            keys.filter_map(|key| Some(seat(self.chain.current(), key)?.name.clone())).collect()
        };
        Some(Event::Knock {
            room: self.name.clone(),
            knock: *hash,
            name: knock.name.clone(),
            key: knock.key,
            expires_in_s: ballot.deadline.map_or(0, |deadline| left_s(ctx.now, deadline)),
            yes: named(Some(Decision::Yes)),
            waiting: named(None),
            looks_like: self.looks_like(&knock.name, &knock.key),
            seen_before: self.chain.was_member(&knock.key),
        })
    }

    /// Silence is refusal: signs a no to every knock whose time is up.
    pub fn lapse(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        let due = |ballot: &Ballot| {
            ballot.answer(&me).is_none() && ballot.deadline.is_some_and(|deadline| deadline <= ctx.now.mono_ms)
        };
        let due: Vec<ProposalHash> =
            self.ballots.iter().filter(|(_, ballot)| due(ballot)).map(|(hash, _)| *hash).collect();
        for hash in due {
            self.answer(ctx, hash, Decision::Silent);
        }
    }

    /// Signs a yes to a drop, proposing it first if nobody has.
    pub(super) fn sign_drop(&mut self, ctx: &mut Ctx<'_>, drop: Drop) {
        let hash = drop.hash();
        let size = self.chain.genesis().size;
        let opened = self.ballots.open(self.chain.current(), Proposal::Drop(drop), size, None, ctx.scheme);
        if opened.is_ok() && self.ballots.may_say_yes(&hash).is_ok() {
            self.answer(ctx, hash, Decision::Yes);
        }
    }

    /// Signs a no to a drop of somebody we can reach.
    pub(super) fn refuse_drop(&mut self, ctx: &mut Ctx<'_>, hash: ProposalHash) {
        self.answer(ctx, hash, Decision::No);
    }

    /// The drops over the current roster that wait for our answer.
    pub(super) fn drops_to_answer(&self, me: &PeerId) -> Vec<(ProposalHash, Drop)> {
        let mine = |ballot: &Ballot| ballot.signers.contains(me) && ballot.answer(me).is_none();
        let drops = self.ballots.iter().filter(|(_, ballot)| mine(ballot));
        drops.filter_map(|(hash, ballot)| Some((*hash, ballot.drop()?.clone()))).collect()
    }

    /// The drop of exactly these to sign next.
    pub(super) fn drop_of(&self, dropped: Vec<PeerId>) -> Option<Drop> {
        Some(self.ballots.drop_of(self.chain.current(), dropped.try_into().ok()?))
    }

    /// Steps that others completed over our roster without us.
    fn note_departures(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        for step in self.ballots.completed_without(&me) {
            if let Ok(departed) = self.chain.departed_by(&step, &me, ctx.scheme) {
                self.went_without_me(ctx, departed, Some(step));
            }
        }
    }

    /// What is being decided, for a member or a server that may have missed some of it.
    pub fn open_decisions(&self) -> Vec<PeerMessage> {
        let mut messages = Vec::new();
        for (_, ballot) in self.ballots.iter() {
            match &ballot.proposal {
                Proposal::Admit(knock) => messages.push(PeerMessage::Knock(knock.clone())),
                Proposal::Drop(drop) => messages.push(PeerMessage::Drop(drop.clone())),
            }
            messages.extend(ballot.answers().map(|answer| PeerMessage::Consent(answer.as_signed().clone())));
        }
        messages
    }

    /// Says to a server that has just taken us back what we had signed meanwhile.
    pub fn repeat_to_server(&self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        for (_, ballot) in self.ballots.iter() {
            let own = ballot.answers().find(|answer| answer.by == me).map(|answer| answer.as_signed().clone());
            let Some(own) = own else { continue };
            if let Some(drop) = ballot.drop() {
                ctx.tell_server(ToServer::Drop(drop.clone()));
            }
            ctx.tell_server(ToServer::Consent(own));
        }
    }

    /// Signs that we leave, tells everybody, and says what became of us.
    pub fn leave(&mut self, ctx: &mut Ctx<'_>) {
        ctx.tell_server(ToServer::Close(self.id()));
        let mut others = self.others(&ctx.me());
        others.sort();
        if let Some(drop) = self.drop_of(others).filter(|drop| !drop.dropped.is_empty()) {
            let hash = drop.hash();
            let (room, roster, by) = (self.id(), self.chain.head(), ctx.me());
            let consent = Consent { room, roster, proposal: hash, by, decision: Decision::Yes };
            let consent = Verified::sign(consent, ctx.signer).into_signed();
            let proposal = Proposal::Drop(drop.clone());
            ctx.persist(Change::Consented { room, proposal, consent: consent.clone() });
            ctx.tell_server(ToServer::Drop(drop.clone()));
            ctx.tell_server(ToServer::Consent(consent.clone()));
            self.tell_all(ctx, &PeerMessage::Drop(drop));
            self.tell_all(ctx, &PeerMessage::Consent(consent));
        }
        ctx.out.push(Output::Persist(Change::Gone { room: self.id() }));
    }

    /// Whether more knocks are open here than a well-behaved server passes on.
    pub fn is_flooded(&self) -> bool {
        let open = |ballot: &Ballot| ballot.knock().is_some() && ballot.refused().is_none();
        self.ballots.iter().filter(|(_, ballot)| open(ballot)).count() > KNOCKS_WAITING_MAX
    }

    /// The earliest moment at which [`Room::lapse`] or a prompt is due.
    pub(super) fn membership_due(&self) -> Option<u64> {
        let next_prompt = self.prompts.front().filter(|_| self.prompts.len() >= PROMPTS_PER_MINUTE_MAX);
        let next_prompt = next_prompt.map(|at| at + 60_000);
        self.ballots.next_deadline().into_iter().chain(next_prompt).min()
    }

    /// What a step or a departure made of us.
    pub fn fate(&self, ctx: &Ctx<'_>) -> Fate {
        self.fate_after_departures(ctx)
    }
}
