//! One member's view of what is being decided over the current roster: who has answered what, and what this member may
//! still sign (DESIGN.md §4 rules 3 to 6).
//!
//! Never signs anything itself: it says what may be signed, takes note of what was, and tells when a step is complete.

use std::collections::{BTreeMap, BTreeSet};

use super::roster::{signers, successor};
use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme, Signature, Verified};
use crate::limits::{PROPOSALS_FORGOTTEN_MAX, PROPOSALS_OPEN_MAX};
use crate::planted::{self, Bug};
use crate::wire::{Consent, Decision, Drop, DropReason, Few, Knock, Proposal, ProposalHash, Roster, Step};

/// One proposal over the current roster, with the answers so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ballot {
    /// What is proposed; its successor was computed, so a knock in it is verified.
    pub proposal: Proposal,
    /// Who must sign, in roster order.
    pub signers: Vec<PeerId>,
    /// The first answer of each member.
    answers: BTreeMap<PeerId, Verified<Consent>>,
    /// The no to a yes, or the other way round, of each who gave both: a liar tells some of us one, and others the other.
    second: BTreeMap<PeerId, Verified<Consent>>,
    /// The monotonic moment at which silence becomes a no; only knocks have one.
    pub deadline: Option<u64>,
    /// Whether the user was asked.
    pub prompted: bool,
}

impl Ballot {
    /// Whether somebody must sign this and has not answered.
    pub fn waits_for(&self, key: &PeerId) -> bool {
        self.signers.contains(key) && self.answer(key).is_none()
    }

    /// When the silence of somebody becomes a no, if they are asked at all. What was refused before a start has no deadline any more: it is
    /// over, and would keep its place for ever.
    pub fn lapses_at(&self, who: &PeerId) -> Option<u64> {
        let asked = self.knock().is_some() || self.drop().is_some_and(|drop| drop.why == DropReason::Removal);
        (asked && self.waits_for(who)).then(|| self.deadline.unwrap_or(0))
    }

    /// The knock, if this is about one.
    pub fn knock(&self) -> Option<&Knock> {
        match &self.proposal {
            Proposal::Admit(knock) => Some(knock.unverified()),
            Proposal::Drop(_) => None,
        }
    }

    /// The drop, if this is about one.
    pub fn drop(&self) -> Option<&Drop> {
        match &self.proposal {
            Proposal::Admit(_) => None,
            Proposal::Drop(drop) => Some(drop),
        }
    }

    /// What a member answered first.
    pub fn answer(&self, by: &PeerId) -> Option<Decision> {
        self.answers.get(by).map(|consent| consent.decision)
    }

    /// Every member's first answer so far.
    pub fn answers(&self) -> impl Iterator<Item = &Verified<Consent>> {
        self.answers.values()
    }

    /// The same, and both answers of those who gave two.
    pub fn all_answers(&self) -> impl Iterator<Item = &Verified<Consent>> {
        self.answers.values().chain(self.second.values())
    }

    /// Whether it is known that a member gave this answer.
    pub fn knows(&self, by: &PeerId, decision: Decision) -> bool {
        [&self.answers, &self.second].iter().any(|given| given.get(by).is_some_and(|given| given.decision == decision))
    }

    /// Who said yes and no, as both prove.
    pub fn liars(&self) -> impl Iterator<Item = &PeerId> {
        self.second.keys()
    }

    /// Whether somebody has said yes to it.
    pub fn is_stood_for(&self) -> bool {
        self.yeses().next().is_some()
    }

    /// Who has said yes to it.
    pub fn yeses(&self) -> impl Iterator<Item = PeerId> {
        self.answers().filter(|answer| answer.decision == Decision::Yes).map(|answer| answer.by)
    }

    /// How it was refused, if it was: by a no of somebody it needs, who may have said yes to some of us as well.
    pub fn refused(&self) -> Option<Decision> {
        let noes = self.all_answers().map(|answer| answer.decision).filter(|answer| *answer != Decision::Yes);
        // A person's no says more than a clock's.
        noes.min_by_key(|answer| *answer != Decision::No)
    }

    fn is_complete(&self) -> bool {
        self.signers.iter().all(|by| self.answer(by) == Some(Decision::Yes))
    }

    fn step(&self) -> Step {
        let signature = |by: &PeerId| -> Option<Signature> { Some(self.answers.get(by)?.as_signed().signature()) };
        let signatures = Few::first_of(self.signers.iter().filter_map(signature));
        Step { proposal: self.proposal.clone(), signatures }
    }
}

/// Why a yes may not be signed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// No such proposal over the current roster.
    Unknown,
    /// This member has answered it, for good.
    Answered,
    /// Somebody whose yes it needs has refused it.
    Refused,
    /// This member's yes to another proposal is still alive.
    Live(ProposalHash),
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It is new.
    New,
    /// It was known, or says no more than what was.
    Known,
    /// It is new that this member said yes to some of us and no to others.
    Contradicts,
}

/// All that is being decided over one roster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ballots {
    me: PeerId,
    /// By proposal.
    open: BTreeMap<ProposalHash, Ballot>,
    /// The one proposal that this member's yes is alive for.
    live: Option<ProposalHash>,
    /// The proposals this member said yes to, oldest first.
    signed: Vec<ProposalHash>,
    /// Refused proposals that made room for others, and what this member answered: what was answered once is never asked again.
    forgotten: BTreeMap<ProposalHash, Decision>,
    /// Drops that made room for others, which another member refused and this one never answered: they would come back without that no.
    decided: BTreeSet<ProposalHash>,
}

impl Ballots {
    /// Nothing is being decided yet.
    pub fn new(me: PeerId) -> Self {
        let (forgotten, decided) = Default::default();
        Ballots { me, open: BTreeMap::new(), live: None, signed: Vec::new(), forgotten, decided }
    }

    /// Takes a proposal over `roster`, unless it is known. `true` when it is new.
    ///
    /// # Errors
    /// [`Misdeed`] when it could never be valid. One for which there is no room is not taken, and nobody's fault: whoever passes it on
    /// can't know how many others there are.
    pub fn open(
        &mut self,
        roster: &Roster,
        proposal: Proposal,
        size: u16,
        deadline: Option<u64>,
        scheme: &dyn Scheme,
    ) -> Result<bool, Misdeed> {
        let hash = proposal.hash();
        if self.open.contains_key(&hash) || self.is_past(&hash) {
            return Ok(false);
        }
        successor(roster, &proposal, size, scheme)?;
        if self.open.len() >= PROPOSALS_OPEN_MAX && self.forget_one().is_none() {
            return Ok(false);
        }
        let signers = signers(roster, &proposal);
        let (answers, second) = Default::default();
        self.open.insert(hash, Ballot { proposal, signers, answers, second, deadline, prompted: false });
        Ok(true)
    }

    /// Makes room by forgetting what needs no attention: a proposal that was refused and waits for nothing from this
    /// member, or a drop that nobody has signed, which anybody can make up, or one that another member refused. Whatever this member answered
    /// stays answered.
    fn forget_one(&mut self) -> Option<()> {
        let over = |ballot: &Ballot| {
            ballot.refused().is_some() && (ballot.answer(&self.me).is_some() || !ballot.signers.contains(&self.me))
        };
        let made_up = |ballot: &Ballot| ballot.drop().is_some() && ballot.answers.is_empty();
        // Somebody's no has decided it already; unlike with what people are asked, hearing of it again would bother nobody.
        let decided = |ballot: &Ballot| {
            ballot.drop().is_some_and(|drop| drop.why == DropReason::Gone) && ballot.refused().is_some()
        };
        let open = || self.open.iter();
        let of_others = open().find(|(hash, ballot)| over(ballot) && !self.signed.contains(hash));
        let found =
            of_others.or(open().find(|(_, ballot)| made_up(ballot))).or(open().find(|(_, ballot)| over(ballot)));
        // Whoever completed it without this member has gone, as far as that shows, which was seen when they did. Alone, somebody may do
        // so many times; what several signed may yet turn out to be a lie of one of them.
        let gone_by = |ballot: &Ballot| !ballot.signers.contains(&self.me) && ballot.is_complete();
        let alone_first =
            || open().filter(|(_, ballot)| gone_by(ballot)).min_by_key(|(_, ballot)| ballot.signers.len());
        // What this member answered was found by then.
        let found = found.or(open().find(|(_, ballot)| decided(ballot)));
        let (hash, ballot) = found.or_else(alone_first)?;
        let (hash, answer, refused) = (*hash, ballot.answer(&self.me), ballot.refused().is_some());
        if refused && self.forgotten.len() + self.decided.len() >= PROPOSALS_FORGOTTEN_MAX {
            return None;
        }
        self.open.remove(&hash)?;
        if let Some(answer) = answer {
            self.forgotten.insert(hash, answer);
        } else if refused {
            self.decided.insert(hash);
        }
        Some(())
    }

    /// Whether a proposal was decided, and made room for others.
    pub fn is_past(&self, hash: &ProposalHash) -> bool {
        self.forgotten.contains_key(hash) || self.decided.contains(hash)
    }

    /// One proposal.
    pub fn get(&self, hash: &ProposalHash) -> Option<&Ballot> {
        self.open.get(hash)
    }

    /// One proposal, to note that the user was asked.
    pub fn get_mut(&mut self, hash: &ProposalHash) -> Option<&mut Ballot> {
        self.open.get_mut(hash)
    }

    /// Every proposal.
    pub fn iter(&self) -> impl Iterator<Item = (&ProposalHash, &Ballot)> {
        self.open.iter()
    }

    /// As if this member had never heard of some proposals: the model check takes two states for one that differ only in what
    /// can't be asked any more. No client does so.
    #[cfg(feature = "planted")]
    pub fn retain(&mut self, keep: impl Fn(&Ballot) -> bool) {
        self.open.retain(|_, ballot| keep(ballot));
        self.signed.retain(|hash| self.open.contains_key(hash));
        self.live = self.live.filter(|hash| self.open.contains_key(hash));
    }

    /// The proposal that this member's yes is alive for.
    pub fn live(&self) -> Option<ProposalHash> {
        self.live
    }

    /// Whether this member may say yes to a proposal now (rule 4): it has not answered, and its earlier yes is dead, or
    /// the proposal is a drop that keeps a strict subset of those whom the earlier one keeps.
    ///
    /// # Errors
    /// [`Blocked`] says why not.
    pub fn may_say_yes(&self, hash: &ProposalHash) -> Result<(), Blocked> {
        let ballot = self.open.get(hash).ok_or(Blocked::Unknown)?;
        if ballot.answer(&self.me).is_some() || !ballot.signers.contains(&self.me) {
            return Err(Blocked::Answered);
        }
        if ballot.refused().is_some() {
            return Err(Blocked::Refused);
        }
        let Some((live, earlier)) = self.live.and_then(|live| Some((live, self.open.get(&live)?))) else {
            return Ok(());
        };
        let keeps_fewer =
            ballot.signers.len() < kept(earlier) && ballot.signers.iter().all(|key| earlier.signers.contains(key));
        let doubled = planted::is(Bug::TwoAdmissions);
        if (ballot.drop().is_some() && keeps_fewer) || doubled { Ok(()) } else { Err(Blocked::Live(live)) }
    }

    /// Takes note of an answer, this member's own included.
    ///
    /// # Errors
    /// [`Misdeed::WrongRoster`] when it is for no proposal known here, or by somebody without a say in it.
    pub fn note(&mut self, consent: Verified<Consent>) -> Result<Noted, Misdeed> {
        let ballot = self.open.get_mut(&consent.proposal).ok_or(Misdeed::WrongRoster)?;
        if ballot.proposal.roster() != consent.roster || ballot.proposal.room() != consent.room {
            return Err(Misdeed::WrongRoster);
        }
        if !ballot.signers.contains(&consent.by) {
            return Err(Misdeed::WrongRoster);
        }
        if ballot.knows(&consent.by, consent.decision) {
            return Ok(Noted::Known);
        }
        // The first answer stands; but a no kills this member's own yes whenever it comes (below). One no is like another.
        let is_yes = consent.decision == Decision::Yes;
        let contradicts = ballot.answer(&consent.by).map(|first| (first == Decision::Yes) != is_yes);
        let news = contradicts == Some(true) && !ballot.second.contains_key(&consent.by);
        match contradicts {
            None => drop(ballot.answers.insert(consent.by, consent.clone())),
            Some(true) if news => drop(ballot.second.insert(consent.by, consent.clone())),
            Some(_) => {}
        }
        if !is_yes && self.live == Some(consent.proposal) {
            self.live = None;
        }
        if consent.by == self.me && is_yes && contradicts.is_none() {
            self.live = Some(consent.proposal);
            self.signed.push(consent.proposal);
        }
        Ok(match contradicts {
            None => Noted::New,
            Some(_) if news => Noted::Contradicts,
            Some(_) => Noted::Known,
        })
    }

    /// The step that is to be adopted, if one is complete, this member signed it, and no later yes of this member is alive
    /// (rule 5).
    pub fn adoptable(&self) -> Option<Step> {
        let complete = |hash: &&ProposalHash| self.open.get(hash).is_some_and(Ballot::is_complete);
        let hash = self.signed.iter().rev().find(complete)?;
        match self.live {
            Some(live)
                if live != *hash && !planted::is(Bug::AdoptedAgainstLater) && !planted::is(Bug::TwoAdmissions) =>
            {
                None
            }
            _ => self.open.get(hash).map(Ballot::step),
        }
    }

    /// Whether everybody whom a proposal needs has said yes to it.
    pub fn has_completed(&self, hash: &ProposalHash) -> bool {
        self.open.get(hash).is_some_and(Ballot::is_complete)
    }

    /// Steps that others completed and that take this member no further.
    pub fn completed_without(&self, me: &PeerId) -> Vec<Step> {
        let without_me = |ballot: &&Ballot| !ballot.signers.contains(me) && ballot.is_complete();
        self.open.values().filter(without_me).map(Ballot::step).collect()
    }

    /// Everything this member has answered over this roster, and how.
    pub fn answered(&self) -> BTreeMap<ProposalHash, Decision> {
        let answered = self.open.iter().filter_map(|(hash, ballot)| Some((*hash, ballot.answer(&self.me)?)));
        answered.chain(self.forgotten.iter().map(|(hash, answer)| (*hash, *answer))).collect()
    }

    /// The no of this member to a proposal that made room for others: whoever never heard it hears it again.
    pub fn forgotten_no(&self, hash: &ProposalHash) -> Option<Decision> {
        self.forgotten.get(hash).filter(|answer| **answer != Decision::Yes).copied()
    }

    /// Proposals this member never answered, which get a signed no once it has moved on.
    pub fn unanswered(&self) -> Vec<ProposalHash> {
        let mine = |(hash, ballot): (&ProposalHash, &Ballot)| (ballot.waits_for(&self.me)).then_some(*hash);
        self.open.iter().filter_map(mine).collect()
    }

    /// The drop of exactly `dropped` to sign: one that others signed and nobody refused, else the next one to propose. What
    /// nobody signed doesn't count: anybody can make that up, for each member another, and all would sign different ones.
    pub fn drop_of(
        &self,
        roster: &Roster,
        dropped: Few<PeerId, { crate::limits::ROOM_SIZE_MAX as usize }>,
        why: DropReason,
    ) -> Drop {
        let same = |drop: &&Drop| drop.dropped == dropped && drop.why == why;
        let answered = || self.open.values().filter(|ballot| !ballot.answers.is_empty());
        let open = answered().filter(|ballot| ballot.refused().is_none());
        if let Some(open) = open.filter_map(Ballot::drop).filter(same).min_by_key(|drop| drop.nonce) {
            return open.clone();
        }
        // Anybody may have used up any of them, the last one too.
        let tried: BTreeSet<u32> = answered().filter_map(Ballot::drop).filter(same).map(|drop| drop.nonce).collect();
        let nonce = tried.last().map_or(0, |nonce| nonce.wrapping_add(1));
        let mut drop = Drop { room: roster.room, roster: roster.hash(), dropped, why, nonce };
        while tried.contains(&drop.nonce) || self.is_past(&drop.hash()) {
            drop.nonce = drop.nonce.wrapping_add(1);
        }
        drop
    }

    /// The earliest deadline of what this member is asked and has not answered.
    pub fn next_deadline(&self) -> Option<u64> {
        self.open.values().filter_map(|ballot| ballot.lapses_at(&self.me)).min()
    }
}

/// How many a proposal keeps: those who must sign, and the newcomer.
fn kept(ballot: &Ballot) -> usize {
    ballot.signers.len() + usize::from(ballot.knock().is_some())
}

#[cfg(test)]
mod tests;
