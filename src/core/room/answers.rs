//! Proposals and answers: taking note of what others signed, and signing ourselves, on disk first (DESIGN.md §4 rules 2
//! to 4).

use std::collections::{BTreeMap, VecDeque};

use super::{Ctx, Room};
use crate::core::consent::ballots::{Ballot, Noted};
use crate::core::consent::roster::is_member;
use crate::core::consent::seat::Opened;
use crate::core::event::{Answer, Event, Misdeed, Refusal};
use crate::core::io::{Change, Output};
use crate::identity::{PeerId, Signed, Verified};
use crate::limits::PROPOSALS_OPEN_MAX;
use crate::wire::{Consent, Decision, Drop, DropReason, Knock, PeerMessage, Proposal, ProposalHash, ToServer};

impl Room {
    /// Somebody proposes a drop. It is answered when our own view of those members is ripe.
    pub fn on_drop(&mut self, ctx: &mut Ctx<'_>, drop: Drop, from: Option<PeerId>) {
        let removal = drop.why == DropReason::Removal;
        let deadline = removal.then(|| ctx.now.after_ms(self.consent_timeout_ms()));
        if self.open(ctx, Proposal::Drop(drop.clone()), deadline, from) {
            self.pass_proposal(ctx, &PeerMessage::Drop(drop), from);
            self.weigh_drops(ctx);
            self.settle(ctx);
        }
    }

    /// Tells a proposal to linked members who may not hear it otherwise: the server reaches most, a link most others.
    pub(super) fn pass_proposal(&mut self, ctx: &mut Ctx<'_>, proposal: &PeerMessage, from: Option<PeerId>) {
        let misses = |peer: &&PeerId| match from {
            None => !self.online.contains(*peer),
            Some(from) => **peer != from && self.are_apart(peer, &from),
        };
        self.readers.keys().filter(misses).for_each(|peer| ctx.tell_peer(peer, proposal.clone()));
    }

    /// Whether two members say to have no link with each other.
    fn are_apart(&self, one: &PeerId, other: &PeerId) -> bool {
        self.web.lacks_link(one, other)
    }

    /// Takes a proposal; `true` when it is new and sound. One over another roster is ignored: who proposed it is behind
    /// or ahead, and heads will show.
    pub(super) fn open(
        &mut self,
        ctx: &mut Ctx<'_>,
        proposal: Proposal,
        deadline: Option<u64>,
        from: Option<PeerId>,
    ) -> bool {
        if proposal.roster() != self.seat.chain().head() {
            self.answer_passed(ctx, &proposal, from);
            return false;
        }
        let hash = proposal.hash();
        match self.seat.open(proposal, deadline, ctx.scheme) {
            Ok(Opened::New) => {
                self.note_opened(ctx, hash);
                self.replay_orphans(ctx, Some(hash));
                true
            }
            Ok(_) => {
                self.answer_again(ctx, hash, from);
                false
            }
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
        let ballot = self.seat.ballots().get(&consent.unverified().proposal);
        if ballot.is_some_and(|ballot| ballot.knows(&by, consent.unverified().decision)) {
            return;
        }
        match consent.verify(ctx.scheme) {
            Ok(consent) => self.note(ctx, consent),
            Err(_) => self.blame(ctx, from, Misdeed::BadSignature),
        }
    }

    pub(super) fn note(&mut self, ctx: &mut Ctx<'_>, consent: Verified<Consent>) {
        if self.is_reform_answer(ctx, &consent) {
            return;
        }
        if consent.roster == self.seat.chain().head() && self.seat.hear_signature(&consent.by) {
            self.reach_changed(ctx);
        }
        let Some(ballot) = self.seat.ballots().get(&consent.proposal) else {
            self.note_lie_about_unknown(ctx, &consent);
            let ahead = self.seat.chain().roster(&consent.roster).is_none();
            let may_matter = self.has(&consent.by) && (ahead || consent.roster == self.seat.chain().head());
            if may_matter && !self.seat.ballots().is_past(&consent.proposal) {
                self.keep_orphan(consent);
            } else {
                self.pass_back(ctx, &consent);
            }
            return;
        };
        let (proposal, knock) = (ballot.proposal.clone(), ballot.knock().cloned());
        let refused_before = ballot.refused().is_some();
        // Whoever was not asked, because it was over when they came back, is not bothered with how it went.
        let asked = ballot.prompted || consent.by == ctx.me();
        match self.seat.note(consent.clone()) {
            Ok(Noted::Known) => return,
            Ok(Noted::New) => {
                self.note_heard(ctx, consent.proposal, consent.by);
                // Whoever has no link with the signer hears it from us; each passes it on once, since it is known then.
                let message = PeerMessage::Consent(consent.as_signed().clone());
                let apart = |peer: &&PeerId| **peer != consent.by && self.are_apart(peer, &consent.by);
                self.readers.keys().filter(apart).for_each(|peer| ctx.tell_peer(peer, message.clone()));
            }
            Ok(Noted::Contradicts) => self.tell_of_liars(ctx),
            Err(_) => return,
        }
        if consent.by != ctx.me() && consent.decision != Decision::Yes {
            // A no that frees us must free us after a restart too.
            let (room, consent) = (self.id(), consent.as_signed().clone());
            ctx.persist(Change::Consented { room, proposal, consent });
        }
        let contradicts =
            self.seat.ballots().get(&consent.proposal).is_some_and(|ballot| ballot.liars().next().is_some());
        let signs_drop = knock.is_none() && consent.decision == Decision::Yes && consent.by != ctx.me();
        match knock.filter(|_| asked) {
            Some(knock) => self.tell_consent(ctx, &consent, &knock, refused_before),
            None if asked => {
                let (by, decision) = (consent.by, consent.decision);
                self.tell_removal_answer(ctx, consent.proposal, &by, decision, refused_before);
            }
            None => {}
        }
        self.settle(ctx);
        if signs_drop || contradicts {
            // Only now does it wait for an answer, or is it clear that somebody is still here.
            self.weigh_drops(ctx);
        }
    }

    /// An answer over a roster that we have moved on from: whoever is still there, by their last word, and has no link with its signer, may
    /// have no other way to hear it.
    fn pass_back(&self, ctx: &mut Ctx<'_>, consent: &Verified<Consent>) {
        let message = PeerMessage::Consent(consent.as_signed().clone());
        let still_there = |peer: &&PeerId| {
            let at = self.heads.get(*peer).map(|(_, roster)| *roster);
            **peer != consent.by && at == Some(consent.roster) && self.are_apart(peer, &consent.by)
        };
        let passed = self.seat.chain().roster(&consent.roster).filter(|_| consent.roster != self.seat.chain().head());
        if passed.is_some_and(|roster| is_member(roster, &consent.by)) {
            self.readers.keys().filter(still_there).for_each(|peer| ctx.tell_peer(peer, message.clone()));
        }
    }

    /// Yes and no to one proposal prove a lie also where the proposal is not known.
    fn note_lie_about_unknown(&mut self, ctx: &Ctx<'_>, consent: &Verified<Consent>) {
        let contradicts = |other: &Verified<Consent>| {
            let same = (other.by, other.proposal, other.roster) == (consent.by, consent.proposal, consent.roster);
            same && (other.decision == Decision::Yes) != (consent.decision == Decision::Yes)
        };
        if self.orphans.iter().any(contradicts) {
            self.seat.note_liar(consent.by);
            self.stand_by_words(ctx);
        }
    }

    /// Tells everybody of who says yes to some and no to others, with both answers, once over each roster: who has but one of them takes for
    /// decided what is not, or the other way round.
    pub(super) fn tell_of_liars(&mut self, ctx: &mut Ctx<'_>) {
        let ballots = self.seat.ballots().iter();
        let lies = ballots.flat_map(|(hash, ballot)| ballot.liars().map(|by| (*by, *hash)));
        let found: BTreeMap<PeerId, ProposalHash> = lies.filter(|(by, _)| !self.liars_told.contains(by)).collect();
        for (by, proposal) in &found {
            self.liars_told.insert(*by);
            self.blame(ctx, Some(*by), Misdeed::TwoAnswers);
            let Some(ballot) = self.seat.ballots().get(proposal) else { continue };
            let both = ballot.all_answers().filter(|answer| answer.by == *by);
            let both = both.map(|answer| PeerMessage::Consent(answer.as_signed().clone()));
            let drop = ballot.drop().map(|drop| PeerMessage::Drop(drop.clone()));
            let proof: Vec<PeerMessage> = drop.into_iter().chain(both).collect();
            proof.iter().for_each(|message| self.tell_all(ctx, message));
        }
        if !found.is_empty() {
            self.stand_by_words(ctx);
        }
    }

    /// Keeps an answer to what is not known here yet: so many of each member, so that none of them crowds out the others. Their noes, which a
    /// liar can draw from them by knocks of its own, make room for what comes later, their yes the last.
    fn keep_orphan(&mut self, consent: Verified<Consent>) {
        if self.orphans.contains(&consent) {
            return;
        }
        let of_theirs = || self.orphans.iter().enumerate().filter(|(_, orphan)| orphan.by == consent.by);
        if of_theirs().count() >= PROPOSALS_OPEN_MAX {
            let no = of_theirs().find(|(_, orphan)| orphan.decision != Decision::Yes);
            let oldest = no.or_else(|| of_theirs().next()).map(|(at, _)| at);
            oldest.and_then(|at| self.orphans.remove(at));
        }
        self.orphans.push_back(consent);
    }

    pub(super) fn tell_consent(
        &mut self,
        ctx: &mut Ctx<'_>,
        consent: &Verified<Consent>,
        knock: &Knock,
        refused_before: bool,
    ) {
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
    pub(super) fn answer(&mut self, ctx: &mut Ctx<'_>, hash: ProposalHash, decision: Decision) {
        let Some(consent) = self.seat.sign(hash, decision, ctx.signer) else { return };
        let Some(proposal) = self.seat.ballots().get(&hash).map(|ballot| ballot.proposal.clone()) else { return };
        if let (Proposal::Admit(knock), Decision::Yes) = (&proposal, decision) {
            self.note_approved(knock.unverified().key);
        }
        let (room, signed) = (self.id(), consent.as_signed().clone());
        ctx.persist(Change::Consented { room, proposal: proposal.clone(), consent: signed.clone() });
        if let Proposal::Drop(drop) = &proposal {
            ctx.tell_server(ToServer::Drop(drop.clone()));
            self.tell_all(ctx, &PeerMessage::Drop(drop.clone()));
        }
        ctx.tell_server(ToServer::Consent(signed.clone()));
        self.tell_all(ctx, &PeerMessage::Consent(signed));
        // Whoever never heard of it could not refuse it either, and our yes would stand for ever. After our yes: that finds it room.
        if let (Proposal::Admit(knock), Decision::Yes) = (proposal, decision) {
            self.tell_all(ctx, &PeerMessage::Knock(knock));
        }
        self.note(ctx, consent);
    }

    /// Whoever asks again what we have answered, once its time is over, may never have heard it, and waits for us, or holds to a yes of theirs.
    fn answer_again(&self, ctx: &mut Ctx<'_>, hash: ProposalHash, from: Option<PeerId>) {
        if let Some(decision) = self.seat.ballots().forgotten_no(&hash) {
            return self.tell_no(ctx, self.seat.chain().head(), hash, decision, from);
        }
        let is_over = |ballot: &&Ballot| {
            ballot.knock().is_some() && ballot.deadline.is_none_or(|deadline| deadline <= ctx.now.mono_ms)
        };
        let ballot = self.seat.ballots().get(&hash).filter(is_over);
        let own = ballot.and_then(|ballot| ballot.answers().find(|answer| answer.by == ctx.me()));
        if let (Some(peer), Some(own)) = (from, own) {
            ctx.tell_peer(&peer, PeerMessage::Consent(own.as_signed().clone()));
        }
    }

    /// Says something to every linked member.
    pub fn tell_all(&self, ctx: &mut Ctx<'_>, message: &PeerMessage) {
        for peer in self.readers.keys() {
            ctx.tell_peer(peer, message.clone());
        }
    }

    /// Answers that came before what they are about.
    pub(super) fn replay_orphans(&mut self, ctx: &mut Ctx<'_>, only: Option<ProposalHash>) {
        let orphans = std::mem::take(&mut self.orphans);
        let (ready, rest): (VecDeque<_>, VecDeque<_>) =
            orphans.into_iter().partition(|consent| only.is_none_or(|hash| consent.proposal == hash));
        self.orphans = rest;
        for consent in ready {
            self.note(ctx, consent);
        }
    }

    /// Signs a yes to a drop, proposing it first if nobody has.
    pub(super) fn sign_drop(&mut self, ctx: &mut Ctx<'_>, drop: Drop) {
        let proposal = Proposal::Drop(drop);
        let hash = proposal.hash();
        if self.seat.open(proposal, None, ctx.scheme).is_ok() {
            // Somebody may have refused it, of which we heard before it was proposed here: our yes would wait for them for ever.
            self.replay_orphans(ctx, Some(hash));
            self.answer(ctx, hash, Decision::Yes);
        }
    }

    /// What is being decided, for a member or a server that may have missed some of it.
    pub fn open_decisions(&self) -> Vec<PeerMessage> {
        let mut messages = Vec::new();
        for (_, ballot) in self.seat.ballots().iter() {
            match &ballot.proposal {
                Proposal::Admit(knock) => messages.push(PeerMessage::Knock(knock.clone())),
                Proposal::Drop(drop) => messages.push(PeerMessage::Drop(drop.clone())),
            }
            messages.extend(ballot.all_answers().map(|answer| PeerMessage::Consent(answer.as_signed().clone())));
        }
        messages
    }

    /// Says to a server that has just taken us back what we had signed meanwhile.
    pub fn repeat_to_server(&self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        for (_, ballot) in self.seat.ballots().iter() {
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
        let others = self.seat.others();
        if let Some(drop) = self.seat.drop_of(others, DropReason::Leave).filter(|drop| !drop.dropped.is_empty()) {
            let hash = drop.hash();
            let (room, roster, by) = (self.id(), self.seat.chain().head(), ctx.me());
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
}
