//! What a member who is knocked through knows of its own room: what it shows, how a knock stands, and how a newcomer is
//! let in. It is all this member's own view; nothing is decided here.

use std::collections::BTreeSet;

use super::{Ctx, Room};
use crate::core::consent::ballots::Ballot;
use crate::core::consent::roster::is_member;
use crate::core::event::{Event, Misdeed, Refusal};
use crate::core::time::left_ms;
use crate::identity::{PeerId, Signed};
use crate::limits::KNOCK_SLACK_MS;
use crate::wire::{
    Admission, Decision, KeyTag, Knock, KnockEnd, KnockPhase, PeerMessage, Proposal, ProposalHash, RoomLine, RoomShown,
    Roster, Step,
};

/// How a knock stands that was put to the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core) enum Standing {
    /// It waits for answers.
    Open(KnockPhase),
    /// It is over.
    Over(KnockEnd),
}

impl Room {
    /// What somebody outside may know.
    pub fn shown(&self, links: usize) -> RoomShown {
        let genesis = self.seat.chain().genesis();
        RoomShown {
            name: self.name.clone(),
            room: self.id(),
            roster: self.seat.chain().head(),
            members: self.member_count(),
            online: u16::try_from(links + 1).unwrap_or(u16::MAX),
            size: genesis.size,
            consent_timeout_s: genesis.settings.consent_timeout_s,
        }
    }

    /// The same as a line of a list.
    pub fn line(&self, now_ms: u64) -> RoomLine {
        let (members, size) = (self.member_count(), self.seat.chain().genesis().size);
        RoomLine { name: self.name.clone(), members, size, knocking: self.deciding_until(now_ms).is_some() }
    }

    fn member_count(&self) -> u16 {
        u16::try_from(self.seat.chain().current().members.len()).unwrap_or(u16::MAX)
    }

    /// Whether two members say to have a link with each other. What was said under a roster that isn't ours may be from an earlier seat
    /// of theirs, and whoever is taken to have a link is introduced by nobody.
    pub fn are_linked(&self, one: &PeerId, other: &PeerId) -> bool {
        let says = |who: &PeerId, whom| {
            self.states_here(who) && self.web.graph().stated_by(who).is_some_and(|links| links.contains(whom))
        };
        says(one, other) || says(other, one)
    }

    /// Until when some knock waits for answers, at most; `None` while none does.
    pub fn deciding_until(&self, now_ms: u64) -> Option<u64> {
        let open = |ballot: &Ballot| {
            let until = ballot.deadline.filter(|_| ballot.knock().is_some() && ballot.refused().is_none())?;
            Some(until.saturating_add(KNOCK_SLACK_MS)).filter(|until| *until > now_ms)
        };
        self.seat.ballots().iter().filter_map(|(_, ballot)| open(ballot)).max()
    }

    /// Whose tag this is, of all who had a seat in a roster of ours.
    pub fn who_was_ever_in(&self, tag: &KeyTag) -> Option<PeerId> {
        let of_tag = |roster: &Roster| roster.members.iter().map(|one| one.key).find(|key| KeyTag::of(key) == *tag);
        of_tag(self.seat.chain().current()).or_else(|| {
            let ever: BTreeSet<PeerId> =
                self.seat.chain().rosters().flat_map(|roster| roster.members.iter().map(|one| one.key)).collect();
            ever.into_iter().find(|key| KeyTag::of(key) == *tag)
        })
    }

    /// Puts a newcomer's knock to the members, all of them over links; `false` if it is no valid one.
    pub fn host_knock(&mut self, ctx: &mut Ctx<'_>, knock: Signed<Knock>) -> bool {
        let hash = Proposal::Admit(knock.clone()).hash();
        if !self.has_knock(&hash) {
            self.on_knock(ctx, knock.clone(), u32::MAX, None);
        }
        let taken = self.has_knock(&hash);
        if taken {
            self.tell_all(ctx, &PeerMessage::Knock(knock));
            self.settle(ctx);
        }
        taken
    }

    /// How a knock over the current roster stands; `None` if it isn't known.
    pub fn standing(&self, ctx: &Ctx<'_>, hash: &ProposalHash) -> Option<Standing> {
        let ballot = self.seat.ballots().get(hash).filter(|ballot| ballot.knock().is_some())?;
        let deadline = ballot.deadline.unwrap_or(ctx.now.mono_ms);
        Some(match ballot.refused() {
            Some(Decision::No) => Standing::Over(KnockEnd::Denied),
            Some(Decision::Late) => Standing::Over(KnockEnd::Stale),
            Some(_) => Standing::Over(KnockEnd::Expired),
            None if deadline.saturating_add(KNOCK_SLACK_MS) <= ctx.now.mono_ms => Standing::Over(KnockEnd::Expired),
            None => {
                let yes = ballot.signers.iter().filter(|by| ballot.answer(by) == Some(Decision::Yes)).count();
                let yes = u16::try_from(yes).unwrap_or(u16::MAX);
                let left_ms = u32::try_from(left_ms(ctx.now, deadline)).unwrap_or(u32::MAX);
                Standing::Open(KnockPhase::Open { yes, of: self.member_count(), left_ms })
            }
        })
    }

    /// The proof that a current member was let in, as that member needs it to enter.
    pub fn admission_of(&self, key: &PeerId) -> Option<Admission> {
        let chain = self.seat.chain();
        if !is_member(chain.current(), key) {
            return None;
        }
        let seated = chain.seated_since(key)?;
        let before = chain.rosters().find(|roster| roster.epoch + 1 == seated)?;
        let Step { proposal: Proposal::Admit(knock), signatures } = chain.step_after(&before.hash())?.clone() else {
            return None;
        };
        (knock.unverified().key == *key).then(|| Admission {
            genesis: chain.genesis().as_signed().clone(),
            roster: before.clone(),
            knock,
            signatures,
        })
    }

    /// A newcomer no longer wants in: if we have not answered, our silence ends it for everybody.
    pub fn withdraw_knock(&mut self, ctx: &mut Ctx<'_>, hash: ProposalHash, key: &PeerId) {
        let me = ctx.me();
        let theirs = |ballot: &&Ballot| ballot.knock().is_some_and(|knock| knock.key == *key);
        if self.seat.ballots().get(&hash).filter(theirs).is_some_and(|ballot| ballot.waits_for(&me)) {
            self.answer(ctx, hash, Decision::Silent);
        }
    }

    /// A member knocks at the very roster it is in: by its own signature it sits nowhere in the room any more. All others have to hear
    /// that, since each may take the member for one that comes and goes. `false` if it is another's knock, or at another roster.
    pub fn knocked_as_member(&mut self, ctx: &mut Ctx<'_>, knock: &Signed<Knock>, from: Option<PeerId>) -> bool {
        let (key, at) = (knock.unverified().key, knock.unverified().roster);
        if at != self.seat.chain().head() || !self.has(&key) || key == ctx.me() {
            return false;
        }
        if knock.clone().verify(ctx.scheme).is_err() {
            self.blame(ctx, from, Misdeed::BadSignature);
        } else if self.seat.hear_knock_of_member(key) {
            self.pass_proposal(ctx, &PeerMessage::Knock(knock.clone()), from);
            self.weigh_drops(ctx);
        }
        true
    }

    /// Two newcomers have knocked at two of us, and both have a yes: nobody may say yes to both, so one of them has to wait.
    /// Everybody gives way to the knock of the lower hash. A server would have kept them in line.
    pub(super) fn order_knocks(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.server_up {
            return;
        }
        let wanted = |ballot: &Ballot| ballot.knock().is_some() && ballot.refused().is_none() && ballot.is_stood_for();
        let wanted = self.seat.ballots().iter().filter(|(_, ballot)| wanted(ballot));
        let later: Vec<ProposalHash> = wanted.skip(1).map(|(hash, _)| *hash).collect();
        let me = ctx.me();
        for hash in later {
            let Some(ballot) = self.seat.ballots().get(&hash).filter(|ballot| ballot.waits_for(&me)) else { continue };
            if let Some(knock) = ballot.knock().filter(|_| ballot.prompted) {
                let (room, name) = (self.name.clone(), knock.name.clone());
                ctx.tell(Event::KnockOver { room, knock: hash, name, how: Refusal::Withdrawn });
            }
            self.answer(ctx, hash, Decision::Late);
        }
    }
}
