//! From one roster to the next: adopting what is complete, answering what was left behind, seeing who went without us
//! (DESIGN.md §4 rules 3, 5 and 6).

use super::{Ctx, Room};
use crate::core::consent::ballots::Ballots;
use crate::core::consent::roster::{is_member, signers, successor};
use crate::core::event::{Departure, Event, Misdeed, Refusal};
use crate::core::io::Change;
use crate::identity::{PeerId, Verified};
use crate::limits::{PASSED_ROSTERS_MAX, PROPOSALS_FORGOTTEN_MAX};
use crate::wire::{Consent, Decision, PeerMessage, Proposal, ProposalHash, Roster, RosterHash, Step, ToServer};

/// Milliseconds that a server has to follow a step of ours before it is asked where it is.
const SERVER_FOLLOWS_MS: u64 = 3_000;

impl Room {
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
            Ok(departed) if !departed.is_empty() => self.went_without_me(ctx, departed, step),
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
        let (left, before) = (self.chain.head(), self.chain.current().clone());
        let after = self.chain.adopt(step, ctx.scheme)?.clone();
        // What was left unsigned over the old roster gets its signed no before we turn our back on it.
        let unanswered = self.ballots.unanswered();
        let mut answered = self.ballots.answered();
        answered.extend(&unanswered);
        self.passed.push_back((left, answered));
        if self.passed.len() > PASSED_ROSTERS_MAX {
            self.passed.pop_front();
        }
        for hash in unanswered {
            self.answer_late(ctx, left, hash);
        }
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
    pub(super) fn answer_passed(&mut self, ctx: &mut Ctx<'_>, proposal: &Proposal) {
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
    pub(super) fn answer_late(&mut self, ctx: &mut Ctx<'_>, roster: RosterHash, hash: ProposalHash) {
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

    /// Steps that others completed over our roster without us.
    pub(super) fn note_departures(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        for step in self.ballots.completed_without(&me) {
            if let Ok(departed) = self.chain.departed_by(&step, &me, ctx.scheme) {
                self.went_without_me(ctx, departed, step);
            }
        }
    }
}
