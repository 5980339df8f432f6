//! Founding a room anew without some of its members: the way out when a hostile or lost member blocks every step of the old
//! one.
//!
//! It is a proposal that each of the rest answers by a signed consent, and changes nothing in the old room. Once all of them
//! agreed, whoever proposed it founds the new room, the others knock there, and each lets in exactly those whom they agreed
//! on. So the new room has the signatures of all its members like any other. Nothing of it needs those who are left behind.

use std::collections::BTreeSet;

use super::{Ctx, Room};
use crate::core::consent::roster::settings_are_sound;
use crate::core::event::{Event, Failure, Misdeed, Question, ReformState, Undecided};
use crate::core::time::left_s;
use crate::identity::{Name, PeerId, RoomName, Signed, Verified};
use crate::wire::{Consent, Decision, Few, Genesis, PeerMessage, ProposalHash, Reform};

/// Founding anew, as it stands.
#[derive(Debug, Clone)]
pub(in crate::core) struct Reforming {
    /// What is proposed.
    pub reform: Verified<Reform>,
    /// The new room.
    pub genesis: Verified<Genesis>,
    /// Who agreed.
    yes: BTreeSet<PeerId>,
    /// When it was proposed, or came here, on the monotonic clock.
    since: u64,
    /// When our silence becomes a no, and theirs the end of it.
    deadline: u64,
}

impl Reforming {
    fn is_agreed(&self) -> bool {
        self.reform.kept.iter().all(|key| self.yes.contains(key))
    }
}

impl Room {
    /// Proposes to found the room anew without these, or agrees with whoever did.
    ///
    /// # Errors
    /// [`Failure`] says why not.
    pub fn reform(&mut self, ctx: &mut Ctx<'_>, new: RoomName, without: &[Name]) -> Result<(), Failure> {
        let me = ctx.me();
        if without.is_empty() {
            let asked = self.reforming.as_ref().filter(|asked| asked.genesis.name == new);
            let asked = asked.ok_or(Failure::NothingProposed)?;
            if asked.yes.contains(&me) {
                return Err(Failure::AlreadyAnswered);
            }
            self.answer_reform(ctx, Decision::Yes);
            return Ok(());
        }
        if let Some(open) = &self.reforming {
            let name = self.name_of(&open.reform.by).ok_or(Failure::NothingProposed)?;
            return Err(Failure::AnotherDecisionOpen { name });
        }
        if new.skeleton() == self.name.skeleton() {
            return Err(Failure::AlreadyThere(new));
        }
        let gone = self.keys_of(ctx, without)?;
        let members = self.chain().current().members.iter().map(|member| member.key);
        let kept: BTreeSet<PeerId> = members.filter(|key| !gone.contains(key)).collect();
        let creator_name = self.name_of(&me).ok_or(Failure::NothingProposed)?;
        let mut nonce = [0; 16];
        rand::Rng::fill_bytes(ctx.rng, &mut nonce);
        let old = self.chain().genesis();
        let (size, settings) = (old.size, old.settings);
        let genesis = Genesis { name: new, size, creator: me, creator_name, nonce, settings };
        let genesis = Verified::sign(genesis, ctx.signer);
        let (room, roster) = (self.id(), self.chain().head());
        let kept = Few::first_of(kept);
        let reform = Reform { room, roster, genesis: genesis.as_signed().clone(), kept, by: me };
        let reform = Verified::sign(reform, ctx.signer);
        self.begin_reform(ctx, reform, genesis);
        self.answer_reform(ctx, Decision::Yes);
        Ok(())
    }

    /// Refuses to found the room anew.
    ///
    /// # Errors
    /// [`Failure`] when nobody proposes it, or we have agreed.
    pub fn refuse_reform(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Failure> {
        let me = ctx.me();
        let open = self.reforming.as_ref().ok_or(Failure::NothingProposed)?;
        if open.yes.contains(&me) {
            return Err(Failure::AlreadyAnswered);
        }
        self.answer_reform(ctx, Decision::No);
        Ok(())
    }

    /// A member proposes it.
    pub fn on_reform(&mut self, ctx: &mut Ctx<'_>, from: PeerId, reform: Signed<Reform>) {
        let known = self.reforming.as_ref().is_some_and(|known| *known.reform.as_signed() == reform);
        if known || reform.unverified().roster != self.chain().head() {
            return;
        }
        let Ok(reform) = reform.verify(ctx.scheme) else {
            return self.blame(ctx, Some(from), Misdeed::BadSignature);
        };
        let Ok(genesis) = reform.genesis.clone().verify(ctx.scheme) else {
            return self.blame(ctx, Some(reform.by), Misdeed::BadSignature);
        };
        let ascending = reform.kept.windows(2).all(|pair| pair[0] < pair[1]);
        let sound = ascending
            && reform.room == self.id()
            && reform.kept.iter().all(|key| self.has(key))
            && reform.kept.contains(&reform.by)
            && genesis.creator == reform.by
            && genesis.name.skeleton() != self.name.skeleton()
            && settings_are_sound(genesis.size, &genesis.settings)
            && usize::from(genesis.size) >= reform.kept.len();
        if !sound {
            return self.blame(ctx, Some(reform.by), Misdeed::Malformed);
        }
        // Of two proposals the first is answered first; whoever is not to come along has no say.
        if self.reforming.is_some() || !reform.kept.contains(&ctx.me()) {
            return;
        }
        let left = self.begin_reform(ctx, reform, genesis);
        self.tell_reform(ctx, ReformState::Asked { expires_in_s: left });
    }

    fn begin_reform(&mut self, ctx: &mut Ctx<'_>, reform: Verified<Reform>, genesis: Verified<Genesis>) -> u64 {
        let deadline = ctx.now.after_ms(self.consent_timeout_ms());
        let message = PeerMessage::Reform(reform.as_signed().clone());
        self.reforming = Some(Reforming { reform, genesis, yes: BTreeSet::new(), since: ctx.now.mono_ms, deadline });
        // Each passes it on once: not everybody has a link with everybody.
        self.tell_kept(ctx, &message);
        left_s(ctx.now, deadline)
    }

    fn tell_kept(&self, ctx: &mut Ctx<'_>, message: &PeerMessage) {
        let Some(open) = &self.reforming else { return };
        let kept = self.readers.keys().filter(|key| open.reform.kept.contains(key));
        kept.for_each(|key| ctx.tell_peer(key, message.clone()));
    }

    fn answer_reform(&mut self, ctx: &mut Ctx<'_>, decision: Decision) {
        let Some(open) = &self.reforming else { return };
        let proposal = ProposalHash(open.reform.digest());
        let (room, roster, by) = (self.id(), open.reform.roster, ctx.me());
        let consent = Verified::sign(Consent { room, roster, proposal, by, decision }, ctx.signer);
        self.note_reform(ctx, &consent);
    }

    /// Whether an answer is to a proposal to found the room anew; it is noted, then.
    pub(super) fn is_reform_answer(&mut self, ctx: &mut Ctx<'_>, consent: &Verified<Consent>) -> bool {
        let asked = self.reforming.as_ref().filter(|open| ProposalHash(open.reform.digest()) == consent.proposal);
        let Some(open) = asked else { return false };
        if open.reform.kept.contains(&consent.by) && !open.yes.contains(&consent.by) {
            self.note_reform(ctx, consent);
        }
        true
    }

    fn note_reform(&mut self, ctx: &mut Ctx<'_>, consent: &Verified<Consent>) {
        self.tell_kept(ctx, &PeerMessage::Consent(consent.as_signed().clone()));
        if consent.decision != Decision::Yes {
            return self.end_reform(ctx, Some(consent.by));
        }
        let Some(open) = &mut self.reforming else { return };
        open.yes.insert(consent.by);
        if open.is_agreed() {
            self.tell_reform(ctx, ReformState::Agreed);
        } else if open.yes.contains(&ctx.me()) {
            let waiting = open.reform.kept.iter().filter(|key| !open.yes.contains(key));
            let waiting = waiting.copied().collect::<Vec<_>>();
            let names = waiting.iter().filter_map(|key| self.name_of(key)).collect();
            self.tell_reform(ctx, ReformState::Waiting(names));
        }
    }

    fn end_reform(&mut self, ctx: &mut Ctx<'_>, by: Option<PeerId>) {
        let by = by.and_then(|key| self.name_of(&key));
        self.tell_reform(ctx, ReformState::Refused(by));
        self.reforming = None;
    }

    /// Who would be left behind.
    fn left_behind(&self, open: &Reforming) -> Vec<Name> {
        let members = self.chain().current().members.iter();
        let without = members.filter(|member| !open.reform.kept.contains(&member.key));
        without.map(|member| member.name.clone()).collect()
    }

    /// The proposal to found the room anew, as one of the things that are being decided.
    pub(super) fn undecided_reform(&self, ctx: &Ctx<'_>) -> Option<Undecided> {
        let open = self.reforming.as_ref()?;
        let named = |answered: bool| open.reform.kept.iter().filter(move |key| open.yes.contains(key) == answered);
        Some(Undecided {
            proposal: ProposalHash(open.reform.digest()),
            what: Question::Reform,
            names: self.left_behind(open),
            new: Some(open.genesis.name.clone()),
            yes: named(true).filter_map(|key| self.name_of(key)).collect(),
            waiting: named(false).filter_map(|key| self.awaited(ctx, key)).collect(),
            since_s: ctx.now.mono_ms.saturating_sub(open.since) / 1000,
        })
    }

    fn tell_reform(&self, ctx: &mut Ctx<'_>, state: ReformState) {
        let Some(open) = &self.reforming else { return };
        let Some(by) = self.name_of(&open.reform.by) else { return };
        let without = self.left_behind(open);
        let (room, new) = (self.name.clone(), open.genesis.name.clone());
        ctx.tell(Event::Reform { room, new, by, without, state });
    }

    /// Time passed, or the room moved on: a proposal that was not agreed on is over.
    pub(super) fn reform_due(&mut self, ctx: &mut Ctx<'_>) {
        let Some(open) = &self.reforming else { return };
        if open.is_agreed() {
            return;
        }
        let silent = !open.yes.contains(&ctx.me());
        if open.deadline <= ctx.now.mono_ms && silent {
            self.answer_reform(ctx, Decision::Silent);
        } else if open.deadline <= ctx.now.mono_ms || open.reform.roster != self.chain().head() {
            self.end_reform(ctx, None);
        }
    }

    /// When [`Room::reform_due`] has something to do.
    pub(super) fn reform_wake(&self) -> Option<u64> {
        self.reforming.as_ref().filter(|open| !open.is_agreed()).map(|open| open.deadline)
    }

    /// What all have agreed on, once.
    pub fn take_agreed_reform(&mut self) -> Option<Reforming> {
        self.reforming.take_if(|open| open.is_agreed())
    }
}
