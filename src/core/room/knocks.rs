//! Knocks at this room: when the user is asked, what their answer is, and what silence means (DESIGN.md §4 rules 3 and 4;
//! THREATS.md row 9).

use super::{Ctx, Room};
use crate::core::consent::ballots::{Ballot, Blocked};
use crate::core::consent::roster::seat;
use crate::core::event::{Event, Failure};
use crate::core::time::left_s;
use crate::identity::{Name, PeerId, Signed};
use crate::limits::{CLOCK_SLACK_S, DENIALS_BEFORE_MUTE, KNOCKS_WAITING_MAX, MUTE_S, PROMPTS_PER_MINUTE_MAX};
use crate::planted::{self, Bug};
use crate::wire::{Consent, Decision, Knock, PeerMessage, Proposal, ProposalHash, Step};

/// Milliseconds that it takes to read a question and to answer it, in rooms that leave time for it.
const ANSWERABLE_MS: u64 = 2_000;

/// Milliseconds after which a yes of ours is repeated to members who did not answer in time.
const REPEAT_YES_MS: u64 = 30_000;

impl Room {
    /// Somebody knocks, with `left_ms` to answer by the teller's clock.
    pub fn on_knock(&mut self, ctx: &mut Ctx<'_>, knock: Signed<Knock>, left_ms: u32, from: Option<PeerId>) {
        let deadline = ctx.now.after_ms(u64::from(left_ms).min(self.consent_timeout_ms()));
        let lapsed = knock.unverified().expires_unix_s.saturating_add(CLOCK_SLACK_S) < ctx.now.wall_ms / 1000;
        let proposal = Proposal::Admit(knock.clone());
        let hash = proposal.hash();
        if !self.open(ctx, proposal, Some(deadline), from) {
            return;
        }
        self.pass_proposal(ctx, &PeerMessage::Knock(knock.clone()), from);
        let muted = self.denials.get(&knock.unverified().key).is_some_and(|(_, until)| ctx.now.mono_ms < *until);
        if muted {
            self.answer(ctx, hash, Decision::No);
        } else if lapsed {
            self.answer(ctx, hash, Decision::Silent);
        }
    }

    /// The user's answer to a knock.
    ///
    /// # Errors
    /// [`Failure`] says why it can't be given.
    pub fn decide(&mut self, ctx: &mut Ctx<'_>, hash: ProposalHash, yes: bool) -> Result<(), Failure> {
        let ballot =
            self.seat.ballots().get(&hash).filter(|ballot| ballot.knock().is_some()).ok_or(Failure::NoSuchKnock)?;
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
        match self.seat.ballots().may_say_yes(&hash) {
            Ok(()) => {
                self.answer(ctx, hash, Decision::Yes);
                Ok(())
            }
            Err(Blocked::Unknown | Blocked::Refused) => Err(Failure::NoSuchKnock),
            Err(Blocked::Answered) => Err(Failure::AlreadyAnswered),
            Err(Blocked::Live(live)) => Err(self.another_open(ctx, &live)),
        }
    }

    /// The open knocks of newcomers of a name.
    pub fn knocks_of(&self, name: &Name) -> Vec<ProposalHash> {
        let of_name = |ballot: &Ballot| ballot.knock().is_some_and(|knock| knock.name == *name);
        let live = self.seat.ballots().iter().filter(|(_, ballot)| of_name(ballot) && ballot.refused().is_none());
        live.map(|(hash, _)| *hash).collect()
    }

    /// Whether this room has a knock of this id.
    pub fn has_knock(&self, hash: &ProposalHash) -> bool {
        self.seat.ballots().get(hash).is_some_and(|ballot| ballot.knock().is_some())
    }

    /// Asks the user about knocks, one at a time, and only while a yes could be signed.
    pub(super) fn prompt(&mut self, ctx: &mut Ctx<'_>) {
        if self.answer_by_rule(ctx) {
            // The answer settled the room, and asked what is left to ask.
            return;
        }
        let me = ctx.me();
        // Before anything that may return: [`Room::membership_due`] wakes us for the oldest of them, again and again.
        while self.prompts.front().is_some_and(|(at, _)| at + 60_000 <= ctx.now.mono_ms) {
            self.prompts.pop_front();
        }
        let waiting = |ballot: &Ballot| ballot.prompted && ballot.answer(&me).is_none() && ballot.refused().is_none();
        let decided = self.seat.ballots().live().is_some() && !planted::is(Bug::TwoAdmissions);
        if decided || self.seat.ballots().iter().any(|(_, ballot)| waiting(ballot)) {
            return;
        }
        if self.prompts.len() >= PROMPTS_PER_MINUTE_MAX {
            return;
        }
        // A removal is signed by nobody but those who agree: before one of them does, nobody has proposed it.
        // The last question of a minute is kept for what another member has agreed to: otherwise members whose questions
        // are few would each spend them on knocks that the others can't be asked about.
        let last = self.prompts.len() + 1 >= PROMPTS_PER_MINUTE_MAX;
        // Nobody could answer what is over in a moment: such questions would take the place of those that can be answered.
        let answerable_ms = ANSWERABLE_MS.min(self.consent_timeout_ms() / 4);
        let askable = |ballot: &Ballot| {
            ballot.waits_for(&me)
                && (!last || ballot.signers.len() == 1 || ballot.is_stood_for())
                && !ballot.prompted
                && ballot.refused().is_none()
                && ballot.deadline.is_some_and(|deadline| deadline > ctx.now.mono_ms + answerable_ms)
                && (ballot.knock().is_some() || ballot.is_stood_for())
        };
        let next = self.seat.ballots().iter().find(|(_, ballot)| askable(ballot)).map(|(hash, _)| *hash);
        let Some(hash) = next else { return };
        self.prompts.push_back((ctx.now.mono_ms, hash));
        if let Some(ballot) = self.seat.ballots_mut().get_mut(&hash) {
            ballot.prompted = true;
        }
        let event = self.knock_event(ctx, &hash).or_else(|| self.removal_event(ctx, hash));
        event.into_iter().for_each(|event| ctx.tell(event));
    }

    pub(super) fn knock_event(&self, ctx: &Ctx<'_>, hash: &ProposalHash) -> Option<Event> {
        let ballot = self.seat.ballots().get(hash)?;
        let knock = ballot.knock()?;
        let named = |answer: Option<Decision>| -> Vec<Name> {
            let keys = ballot.signers.iter().filter(|key| ballot.answer(key) == answer);
            keys.filter_map(|key| Some(seat(self.seat.chain().current(), key)?.name.clone())).collect()
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
            seen_before: self.seat.chain().was_member(&knock.key),
            removed_before: self.seat.chain().parted_by(&knock.key).is_some_and(Step::is_removal),
            trust: ctx.known.trust(&knock.key),
            other_key: ctx.known.other_key(&knock.name, &knock.key),
        })
    }

    /// Silence is refusal: signs a no to every question whose time is up.
    pub fn lapse(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        let due = |ballot: &Ballot| ballot.lapses_at(&me).is_some_and(|deadline| deadline <= ctx.now.mono_ms);
        let due: Vec<ProposalHash> =
            self.seat.ballots().iter().filter(|(_, ballot)| due(ballot)).map(|(hash, _)| *hash).collect();
        for hash in due {
            self.answer(ctx, hash, Decision::Silent);
        }
        self.repeat_yes(ctx);
    }

    /// Whether a knock finds room: no more are open here than a well-behaved server passes on. What a member who tells it has said yes to finds
    /// room anyway, since their yes stands until everybody has answered; honest ones say yes to one at a time.
    pub fn has_room_for(&self, knock: &Signed<Knock>, from: Option<&PeerId>) -> bool {
        let open = |ballot: &&Ballot| ballot.knock().is_some() && ballot.refused().is_none();
        let knocks = || self.seat.ballots().iter().map(|(_, ballot)| ballot).filter(open);
        // What is for another roster takes none.
        let elsewhere = knock.unverified().roster != self.seat.chain().head();
        if elsewhere || knocks().count() <= KNOCKS_WAITING_MAX {
            return true;
        }
        let hash = Proposal::Admit(knock.clone()).hash();
        let stands_for = |by: &PeerId| {
            let said =
                |orphan: &Consent| orphan.by == *by && orphan.proposal == hash && orphan.decision == Decision::Yes;
            self.orphans.iter().any(|orphan| said(orphan))
                && !knocks().any(|ballot| ballot.answer(by) == Some(Decision::Yes))
        };
        from.is_some_and(stands_for)
    }

    /// Our yes to a knock is alive, and somebody has not answered in time: they may never have heard of it, flooded as they were.
    fn repeat_yes(&mut self, ctx: &mut Ctx<'_>) {
        let due = self.repeat_due().is_some_and(|due| due <= ctx.now.mono_ms);
        let Some(live) = self.seat.ballots().live().filter(|_| due) else { return };
        self.yes_repeated = Some((live, ctx.now.mono_ms));
        let Some(ballot) = self.seat.ballots().get(&live) else { return };
        let Proposal::Admit(knock) = &ballot.proposal else { return };
        let Some(own) = ballot.answers().find(|answer| answer.by == ctx.me()) else { return };
        for peer in ballot.signers.iter().filter(|key| ballot.answer(key).is_none() && self.readers.contains_key(key)) {
            ctx.tell_peer(peer, PeerMessage::Consent(own.as_signed().clone()));
            ctx.tell_peer(peer, PeerMessage::Knock(knock.clone()));
        }
    }

    /// When our yes that others have not answered in time is to be repeated.
    fn repeat_due(&self) -> Option<u64> {
        let live = self.seat.ballots().live()?;
        let ballot = self.seat.ballots().get(&live).filter(|ballot| ballot.knock().is_some())?;
        let repeated = self.yes_repeated.filter(|(yes, _)| *yes == live).map(|(_, at)| at);
        // After a start nobody knows the deadline any more.
        let last = repeated.or(ballot.deadline);
        Some(last.map_or(0, |last| last.saturating_add(REPEAT_YES_MS)))
    }

    /// The earliest moment at which [`Room::lapse`] or a prompt is due.
    pub(super) fn membership_due(&self) -> Option<u64> {
        let next_prompt = self.prompts.front().filter(|_| self.prompts.len() + 1 >= PROMPTS_PER_MINUTE_MAX);
        let next_prompt = next_prompt.map(|(at, _)| at + 60_000);
        self.seat.ballots().next_deadline().into_iter().chain(next_prompt).chain(self.repeat_due()).min()
    }
}
