//! Going on without somebody by decision: all others sign, and nobody has to reach or hear those who are removed
//! (DESIGN.md §4 rule 6).

use super::{Ctx, Room};
use crate::core::consent::ballots::{Ballot, Blocked};
use crate::core::event::{Answer, Event, Failure, Refusal};
use crate::core::time::left_s;
use crate::identity::{Name, PeerId};
use crate::wire::{Decision, DropReason, Proposal, ProposalHash};

impl Room {
    /// Proposes to remove these members, or agrees with whoever did.
    ///
    /// # Errors
    /// [`Failure`] says why it can't be signed now.
    pub fn remove(&mut self, ctx: &mut Ctx<'_>, who: &[Name]) -> Result<(), Failure> {
        let keys = self.keys_of(ctx, who)?;
        let hash = self.open_removal(ctx, &keys)?;
        if let Some(ballot) = self.seat.ballots_mut().get_mut(&hash) {
            ballot.prompted = true;
        }
        match self.seat.ballots().may_say_yes(&hash) {
            Ok(()) => {
                self.answer(ctx, hash, Decision::Yes);
                Ok(())
            }
            Err(Blocked::Live(live)) => Err(self.another_open(ctx, &live)),
            Err(Blocked::Answered) => Err(Failure::AlreadyAnswered),
            Err(Blocked::Unknown | Blocked::Refused) => Err(Failure::NothingProposed),
        }
    }

    /// The removal of these that is open, or a new one: not one that somebody is heard to have refused before it was proposed here.
    fn open_removal(&mut self, ctx: &mut Ctx<'_>, keys: &[PeerId]) -> Result<ProposalHash, Failure> {
        let deadline = ctx.now.after_ms(self.consent_timeout_ms());
        loop {
            let drop = self.seat.drop_of(keys.to_vec(), DropReason::Removal).ok_or(Failure::NothingProposed)?;
            let proposal = Proposal::Drop(drop);
            let hash = proposal.hash();
            self.seat.open(proposal, Some(deadline), ctx.scheme).map_err(|_| Failure::NothingProposed)?;
            self.note_opened(ctx, hash);
            let heard = self.orphans.len();
            self.replay_orphans(ctx, Some(hash));
            let was_refused = self.seat.ballots().may_say_yes(&hash) == Err(Blocked::Refused);
            // Each turn takes an answer from among those that came too early.
            if !was_refused || self.orphans.len() >= heard {
                return Ok(hash);
            }
        }
    }

    /// Refuses to go on without these members.
    ///
    /// # Errors
    /// [`Failure`] when nobody proposed it, or our answer is given.
    pub fn keep(&mut self, ctx: &mut Ctx<'_>, who: &[Name]) -> Result<(), Failure> {
        let keys = self.keys_of(ctx, who)?;
        let asked = |ballot: &Ballot| {
            let removal = ballot.drop().filter(|drop| drop.why == DropReason::Removal);
            removal.is_some_and(|drop| drop.dropped[..] == keys[..]) && ballot.refused().is_none()
        };
        let open = self.seat.ballots().iter().find(|(_, ballot)| asked(ballot));
        let (hash, ballot) = open.ok_or(Failure::NothingProposed)?;
        if ballot.answer(&ctx.me()).is_some() {
            return Err(Failure::AlreadyAnswered);
        }
        let hash = *hash;
        self.answer(ctx, hash, Decision::No);
        Ok(())
    }

    /// The members of these names but ourselves, in ascending order of key.
    pub(super) fn keys_of(&self, ctx: &Ctx<'_>, who: &[Name]) -> Result<Vec<PeerId>, Failure> {
        let me = ctx.me();
        let members = || self.chain().current().members.iter().filter(|member| member.key != me);
        let key = |name: &Name| {
            let found = members().find(|member| member.name == *name).map(|member| member.key);
            found.ok_or_else(|| Failure::NoSuchMember(name.clone()))
        };
        let keys: std::collections::BTreeSet<PeerId> = who.iter().map(key).collect::<Result<_, _>>()?;
        Ok(keys.into_iter().collect())
    }

    /// What our living signature is on, as a reason why another can't be given.
    pub(super) fn another_open(&self, ctx: &Ctx<'_>, live: &ProposalHash) -> Failure {
        let ballot = self.seat.ballots().get(live);
        let newcomer = ballot.and_then(Ballot::knock).map(|knock| knock.name.clone());
        let dropped = ballot.and_then(Ballot::drop).and_then(|drop| self.name_of(drop.dropped.first()?));
        let name = newcomer.or(dropped).or_else(|| self.name_of(&ctx.me()));
        name.map_or(Failure::NoSuchKnock, |name| Failure::AnotherDecisionOpen { name })
    }

    /// The names of those whom a removal names; `None` for anything else.
    pub(super) fn removal_names(&self, ballot: &Ballot) -> Option<Vec<Name>> {
        let drop = ballot.drop().filter(|drop| drop.why == DropReason::Removal)?;
        Some(drop.dropped.iter().filter_map(|key| self.name_of(key)).collect())
    }

    /// The prompt for a removal.
    pub(super) fn removal_event(&self, ctx: &Ctx<'_>, proposal: ProposalHash) -> Option<Event> {
        let ballot = self.seat.ballots().get(&proposal)?;
        let names = self.removal_names(ballot)?;
        let named = |answer: Option<Decision>| {
            let keys = ballot.signers.iter().filter(move |key| ballot.answer(key) == answer);
            keys.filter_map(|key| self.name_of(key)).collect()
        };
        let expires_in_s = ballot.deadline.map_or(0, |deadline| left_s(ctx.now, deadline));
        let (yes, waiting) = (named(Some(Decision::Yes)), named(None));
        Some(Event::Removal { room: self.name.clone(), proposal, names, yes, waiting, expires_in_s })
    }

    /// Tells of an answer to a removal.
    pub(super) fn tell_removal_answer(
        &self,
        ctx: &mut Ctx<'_>,
        proposal: ProposalHash,
        by: &PeerId,
        decision: Decision,
        refused_before: bool,
    ) {
        let decision = match decision {
            Decision::Yes => Answer::Yes,
            Decision::No => Answer::No,
            Decision::Silent => Answer::Silent,
            Decision::Late => return,
        };
        let names = self.seat.ballots().get(&proposal).and_then(|ballot| self.removal_names(ballot));
        let (Some(names), Some(by)) = (names, self.name_of(by)) else { return };
        let room = self.name.clone();
        ctx.tell(Event::RemovalAnswer { room: room.clone(), proposal, names: names.clone(), by, decision });
        if decision != Answer::Yes && !refused_before {
            let how = if decision == Answer::No { Refusal::Denied } else { Refusal::Expired };
            ctx.tell(Event::RemovalOver { room, proposal, names, how });
        }
    }
}
