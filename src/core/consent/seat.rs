//! One member's seat in a room: the rosters it has been on, what is being decided over the current one, and what it may
//! sign (DESIGN.md §4 rules 2 to 8 and 10).
//!
//! Everything a client signs about membership is decided here. A seat never asks a clock, a user or a network: it is told
//! what was heard, who can be reached, and what the user wants, and says what follows. The chat, the simulator and the
//! model check (`tests/model`) run this same code.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ballots::Ballots;
use super::chain::Chain;
use super::departures::Departed;
use super::meeting::Branches;
use super::roster::{is_member, successor, verify_step};
use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme, Signer, Verified};
use crate::planted::{self, Bug};
use crate::wire::{Consent, Decision, DropReason, Proposal, ProposalHash, Roster, RosterHash, Step};

/// What became of a proposal that somebody told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It is new, and open for answers.
    New,
    /// It was known.
    Known,
    /// It is over another roster than the current one.
    Elsewhere,
}

/// What a step means that somebody told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: known, or about rosters that we have no part in.
    Nothing,
    /// It is ours to adopt.
    Adopt,
    /// These members have gone on without us, as [`Seat::left`] now says.
    Departed(Vec<PeerId>),
    /// It is the other half of a split: it hosts, or we do.
    Split {
        /// Whether we are to leave ours and knock at theirs (rule 10).
        theirs_hosts: bool,
    },
}

/// What a member's head means, told over their own link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadMeans {
    /// They are where we are.
    Level,
    /// They are on a roster that we have moved on from.
    Behind,
    /// They are one step ahead, by a step that we have signed.
    Ahead,
    /// They are on a roster without us.
    GoneOn,
}

/// What the rules make of who can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Sign a no to this drop: we reach somebody it names.
    Refuse(ProposalHash),
    /// Sign this drop, proposing it if nobody has.
    Sign(crate::wire::Drop),
}

impl Due {
    /// The drop it is about.
    pub fn proposal(&self) -> ProposalHash {
        match self {
            Due::Refuse(hash) => *hash,
            Due::Sign(drop) => drop.hash(),
        }
    }
}

/// What is to become of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It stands.
    On,
    /// The others seem to have gone on without us, or a better half of a split to be somewhere; but their signatures may be
    /// old, and they may be giving way to us. Before anything is given up somebody has to be seen there: see [`Seat::stay`].
    Doubtful,
    /// A better half of a split was met, and is there: leave, and knock.
    Abandoned,
    /// The others decided to go on without us: leave.
    Removed,
}

/// What adopting a step changed.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The roster before.
    pub before: Roster,
    /// The roster now.
    pub after: Roster,
    /// What was being decided over the roster before.
    pub overtaken: Ballots,
    /// How those who are gone had gone, as far as they had.
    pub departed: BTreeMap<PeerId, Departed>,
    /// What we left unanswered over the roster before, each of which is to get its signed no.
    pub unanswered: Vec<ProposalHash>,
}

/// One member's seat. Two that are equal behave alike, which is what the model check counts states by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seat {
    pub(super) me: PeerId,
    /// How we came to the current roster.
    pub(super) chain: Chain,
    /// What is being decided over it.
    ballots: Ballots,
    /// Members of it who went on without us.
    pub(super) left: BTreeMap<PeerId, Departed>,
    /// Members who said yes to some of us and no to others, in this stay of theirs.
    pub(super) liars: BTreeSet<PeerId>,
    /// Rosters we have moved on from, the last ones, and what we had answered over each.
    pub(super) passed: VecDeque<(RosterHash, BTreeMap<ProposalHash, Decision>)>,
    /// A valid step over the current roster that a later signature of ours stands against, in case that one dies: somebody
    /// who had told us no may have told the others yes.
    superseded: Option<Step>,
    /// A better half of the room that we know of: the roster it went on to. Also while we stay: its members may yet show that
    /// they are there.
    pub(super) better_half: Option<Roster>,
    /// Whether that half was seen to be there.
    pub(super) is_there: bool,
    /// Whether we stay although others seem to have gone on: nobody is where they went.
    stays: bool,
    /// Where others went from rosters of ours without us, as far as their steps prove it.
    pub(super) branches: Branches,
    /// The rosters of earlier stays in the room in which we had a seat.
    pub(super) earlier: BTreeMap<RosterHash, Roster>,
}

impl Seat {
    /// The seat at the end of a chain.
    pub fn new(chain: Chain, me: PeerId) -> Self {
        let ballots = Ballots::new(me);
        Seat {
            me,
            chain,
            ballots,
            left: BTreeMap::new(),
            liars: BTreeSet::new(),
            passed: VecDeque::new(),
            superseded: None,
            better_half: None,
            is_there: false,
            stays: false,
            branches: Branches::default(),
            earlier: BTreeMap::new(),
        }
    }

    /// Whose seat it is.
    pub fn me(&self) -> PeerId {
        self.me
    }

    /// The rosters so far.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What is being decided.
    pub fn ballots(&self) -> &Ballots {
        &self.ballots
    }

    /// What is being decided, for notes that decide nothing.
    pub fn ballots_mut(&mut self) -> &mut Ballots {
        &mut self.ballots
    }

    /// Takes a proposal over the current roster; `deadline` is when our silence becomes a no, for those that a user
    /// answers.
    ///
    /// # Errors
    /// [`Misdeed`] when it could never be valid.
    pub fn open(&mut self, proposal: Proposal, deadline: Option<u64>, scheme: &dyn Scheme) -> Result<Opened, Misdeed> {
        let unbound = planted::is(Bug::UnboundKnock) && matches!(proposal, Proposal::Admit(_));
        if proposal.roster() != self.chain.head() && !unbound {
            return Ok(Opened::Elsewhere);
        }
        let size = self.chain.genesis().size;
        let new = self.ballots.open(self.chain.current(), proposal, size, deadline, scheme)?;
        Ok(if new { Opened::New } else { Opened::Known })
    }

    /// Signs an answer, if the rules allow it. It counts once it is noted, and is to be kept before anybody sees it.
    pub fn sign(&self, hash: ProposalHash, decision: Decision, signer: &dyn Signer) -> Option<Verified<Consent>> {
        let ballot = self.ballots.get(&hash)?;
        let allowed = match decision {
            Decision::Yes => self.ballots.may_say_yes(&hash).is_ok(),
            _ => ballot.waits_for(&self.me),
        };
        let (room, roster) = (self.chain.room(), ballot.proposal.roster());
        let consent = Consent { room, roster, proposal: hash, by: self.me, decision };
        allowed.then(|| Verified::sign(consent, signer))
    }

    /// The step to adopt now, if there is one (rule 5).
    pub fn adoptable(&self) -> Option<Step> {
        let in_time = |step: &&Step| self.ballots.live().is_none_or(|live| live == step.proposal.hash());
        self.ballots.adoptable().or_else(|| self.superseded.as_ref().filter(in_time).cloned())
    }

    /// Makes the step's roster our own.
    ///
    /// # Errors
    /// [`Misdeed`] when the step is not valid from the current roster; nothing has changed, then.
    pub fn adopt(&mut self, step: &Step, scheme: &dyn Scheme) -> Result<Adopted, Misdeed> {
        let (from, before) = (self.chain.head(), self.chain.current().clone());
        let after = self.chain.adopt(step, scheme)?.clone();
        let overtaken = std::mem::replace(&mut self.ballots, Ballots::new(self.me));
        let unanswered = overtaken.unanswered();
        let mut answered = overtaken.answered();
        answered.extend(unanswered.iter().map(|hash| (*hash, Decision::Late)));
        self.pass(from, answered);
        self.stays = false;
        self.superseded = None;
        let departed = std::mem::take(&mut self.left);
        // Whoever is let in begins anew; of whoever went, what they signed here may still be told.
        self.liars.retain(|key| is_member(&before, key) || !is_member(&after, key));
        let seated = departed.iter().filter(|(key, _)| is_member(&after, key));
        self.left = seated.filter_map(|(key, how)| Some((*key, how.after_our_step()?))).collect();
        Ok(Adopted { before, after, overtaken, departed, unanswered })
    }

    /// A step as somebody tells it.
    ///
    /// # Errors
    /// [`Misdeed`] when it starts from a roster of ours and is not valid.
    pub fn hear_step(&mut self, step: &Step, scheme: &dyn Scheme) -> Result<Heard, Misdeed> {
        let at = step.proposal.roster();
        let Some(base) = self.chain.roster(&at) else { return self.hear_step_of_others(step, scheme) };
        if self.chain.took(&step.proposal.hash()) {
            return Ok(Heard::Nothing);
        }
        let next = verify_step(base, step, self.chain.genesis().size, scheme)?;
        if is_member(&next, &self.me) {
            // A valid step that keeps us has our own signature in it. It is adopted unless a later one is alive.
            let later = self.ballots.live().is_some_and(|live| live != step.proposal.hash());
            let superseded = later && !planted::is(Bug::AdoptedAgainstLater);
            let ours = at == self.chain.head() && !superseded;
            if at == self.chain.head() && superseded {
                self.superseded = Some(step.clone());
            }
            if !ours {
                // The others may have taken it, and gone on from there.
                self.branches.keep(at, next);
            }
            return Ok(if ours { Heard::Adopt } else { Heard::Nothing });
        }
        let how = match &step.proposal {
            Proposal::Drop(drop) if drop.why == DropReason::Leave => Departed::Left,
            _ if at != self.chain.head() => Departed::SignedBefore,
            _ if step.is_removal() => Departed::RemovedUs,
            _ => Departed::WentOn,
        };
        let base = base.clone();
        if at == self.chain.head() {
            self.note_answers_of(step, scheme);
        }
        // What was said of a member before it was let in again is void (rule 7).
        let seated_before = |key: &PeerId| self.chain.seated_since(key).is_some_and(|epoch| epoch <= base.epoch);
        // So is what they signed before they signed something over a later one.
        let signed_later =
            |key: &PeerId| self.is_long_passed(&at) || how == Departed::SignedBefore && self.has_answered(key);
        let went = |key: &PeerId| seated_before(key) && !self.is_doubtful(&base, step, key) && !signed_later(key);
        let departed: Vec<PeerId> = next.members.iter().map(|member| member.key).filter(went).collect();
        if matches!(how, Departed::WentOn | Departed::SignedBefore) && !step.is_removal() {
            self.branches.keep(at, next.clone());
            if let Some(heard) = self.weigh_half(at, at, next) {
                return Ok(heard);
            }
        }
        Ok(self.departed(departed, how))
    }

    /// Steps that others completed over our roster, in what we noted ourselves, and that take us no further.
    pub fn completed_without(&self) -> Vec<Step> {
        self.ballots.completed_without(&self.me)
    }

    /// A member says over their own link on which roster they are (rule 7). Whoever calls has seen to it that it is newer
    /// than what they said before, and that they have a seat.
    pub fn hear_head(&mut self, by: PeerId, at: RosterHash, scheme: &dyn Scheme) -> HeadMeans {
        if at == self.chain.head() {
            // Whoever seemed to have gone on is here: what we heard was old.
            if self.left.get(&by).is_some_and(|how| how.is_taken_back_by_word()) {
                self.left.remove(&by);
            }
            return HeadMeans::Level;
        }
        if self.chain.roster(&at).is_some() || planted::is(Bug::NoHeads) {
            return HeadMeans::Behind;
        }
        let size = self.chain.genesis().size;
        let current = self.chain.current();
        let signed = self.ballots.iter().filter(|(_, ballot)| ballot.answer(&self.me) == Some(Decision::Yes));
        let next = signed.filter_map(|(_, ballot)| successor(current, &ballot.proposal, size, scheme).ok());
        if next.map(|next| next.hash()).any(|next| next == at) {
            return HeadMeans::Ahead;
        }
        // Any roster with us in it that follows one of ours has our signature, and was looked for above.
        self.note_word(by, Departed::SaidSo);
        HeadMeans::GoneOn
    }

    /// Nobody is where the others seem to have gone: they are gone, or about to give way to us. We stay, and go on without
    /// those who left.
    pub fn stay(&mut self) {
        self.better_half = None;
        self.is_there = false;
        self.stays = true;
    }

    /// What becomes of this seat, by all that was heard.
    pub fn fate(&self) -> Fate {
        let mut others = self.chain.current().members.iter().map(|member| member.key).filter(|key| *key != self.me);
        let all_left = self.chain.current().members.len() > 1 && others.all(|key| self.left.contains_key(&key));
        let removed_us = |how: &Departed| *how == Departed::RemovedUs || *how == Departed::SaidRemoved && !self.stays;
        let elsewhere = |how: &Departed| matches!(how, Departed::WentOn | Departed::SignedBefore | Departed::SaidSo);
        let went_on = all_left && self.left.values().any(elsewhere);
        if self.better_half.is_some() && self.is_there {
            Fate::Abandoned
        } else if (self.better_half.is_some() || went_on) && !self.stays {
            Fate::Doubtful
        } else if all_left && self.left.values().any(removed_us) {
            Fate::Removed
        } else {
            Fate::On
        }
    }
}

#[cfg(test)]
mod tests;
