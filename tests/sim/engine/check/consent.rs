//! What must hold of consent: who said yes, to what, and which roster follows.

use p2pchat::core::consent::roster::{is_member, signers, successor};
use p2pchat::identity::PeerId;
use p2pchat::wire::{Consent, Decision, DropReason, Proposal, RoomId};

use super::Checks;

impl Checks {
    pub(super) fn answered(&mut self, consent: &Consent) {
        if consent.decision != Decision::Yes {
            self.noes.entry(consent.proposal).or_default().insert(consent.by);
        }
        let said_yes = self.yes.get(&(consent.by, consent.roster)).is_some_and(|all| all.contains(&consent.proposal));
        let said_no = self.noes.get(&consent.proposal).is_some_and(|noes| noes.contains(&consent.by));
        let yes = consent.decision == Decision::Yes;
        if self.is_honest(&consent.by) && ((yes && said_no) || (!yes && said_yes)) {
            self.fail("nobody says yes and no", format!("{:?} to {:?}", consent.by, consent.proposal));
        }
    }

    /// Whether somebody whose yes a proposal needs has refused it.
    fn is_refused(&self, proposal: &Proposal) -> bool {
        let Some(base) = self.rosters.get(&proposal.roster()) else { return true };
        let needed = signers(base, proposal);
        self.noes.get(&proposal.hash()).is_some_and(|noes| noes.iter().any(|by| needed.contains(by)))
    }

    /// Whether a proposal keeps fewer of those whom an earlier one keeps.
    fn narrows(&self, later: &Proposal, earlier: &Proposal) -> bool {
        let Some(base) = self.rosters.get(&later.roster()) else { return true };
        // Whoever leaves keeps nobody but itself, and may always do so.
        if matches!(later, Proposal::Drop(drop) if drop.why == DropReason::Leave) {
            return true;
        }
        let (keeps, kept) = (signers(base, later), signers(base, earlier));
        let newcomer = usize::from(matches!(earlier, Proposal::Admit(_)));
        matches!(later, Proposal::Drop(_))
            && keeps.len() < kept.len() + newcomer
            && keeps.iter().all(|key| kept.contains(key))
    }

    pub(super) fn said_yes(&mut self, who: usize, me: PeerId, proposal: &Proposal, consent: &Consent) {
        let hash = proposal.hash();
        if let Proposal::Admit(knock) = proposal
            && !self.seen[who].let_in.contains(&hash)
        {
            let newcomer = knock.unverified().key;
            self.fail("a yes is the user's", format!("p{who} signed {newcomer:?} in by {hash:?} unasked"));
        }
        let earlier = self.yes.get(&(me, consent.roster)).cloned().unwrap_or_default();
        let known: Vec<&Proposal> = earlier.iter().filter_map(|one| self.proposals.get(one)).collect();
        let alive = |at: usize| {
            // It dies by a no of somebody it needs, or by a later signature of one's own that keeps fewer.
            let died = known[at + 1..].iter().any(|later| self.narrows(later, known[at]));
            !died && !self.is_refused(known[at]) && !self.narrows(proposal, known[at])
        };
        if let Some(live) = (0..known.len()).find(|at| known[*at].hash() != hash && alive(*at)) {
            let what = format!("p{who} said yes to {hash:?} while {:?} was alive", known[live].hash());
            return self.fail("one live signature over a roster", what);
        }
        self.yes.entry((me, consent.roster)).or_default().push(hash);
    }

    pub(super) fn moved(&mut self, who: usize, me: PeerId, room: &RoomId, proposal: &Proposal) {
        let base = self.roster_of(who, room).cloned();
        let Some(base) = base else { return self.fail("a step starts from a roster", format!("p{who}")) };
        let hash = proposal.hash();
        let next = match successor(&base, proposal, u16::MAX, &*self.scheme) {
            Ok(next) if is_member(&next, &me) => next,
            other => return self.fail("a step starts from a roster", format!("p{who} took {hash:?}: {other:?}")),
        };
        for by in signers(&base, proposal) {
            let signed = self.yes.get(&(by, base.hash())).is_some_and(|all| all.contains(&hash));
            if self.is_honest(&by) && !signed {
                let by = self.keys[&by];
                self.fail("everybody who stays has signed", format!("p{who} took {hash:?}, which p{by} never signed"));
            }
        }
        let mine = self.yes.get(&(me, base.hash())).cloned().unwrap_or_default();
        let later: Vec<&Proposal> =
            mine.iter().skip_while(|one| **one != hash).skip(1).filter_map(|one| self.proposals.get(one)).collect();
        for (at, later_one) in later.iter().enumerate() {
            // It died by a no, or by an even later one that keeps fewer.
            let died = later[at + 1..].iter().any(|last| self.narrows(last, later_one));
            if !died && !self.is_refused(later_one) {
                let later = later_one;
                let what = format!("p{who} took {hash:?}, and had signed {:?} after it", later.hash());
                return self.fail("a later signature of one's own is not adopted against", what);
            }
        }
        let at = next.hash();
        self.rosters.insert(at, next);
        self.seen[who].chains.entry(*room).or_default().push(at);
    }
}
