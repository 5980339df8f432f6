//! Remembered approvals: which knocks are answered without asking, because the user said so (DESIGN.md §4 rule 10).
//!
//! A rule is the user's own word, given in advance for one key in one room. It is signed like any answer, one at a time, and
//! bound to the knock it answers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ctx, Room};
use crate::core::consent::ballots::Ballot;
use crate::core::consent::roster::is_member;
use crate::core::consent::seat::Adopted;
use crate::core::event::{Event, Failure, Rule};
use crate::core::io::Change;
use crate::identity::{Fingerprint, Name, PeerId};
use crate::limits::RULES_MAX;
use crate::planted::{self, Bug};
use crate::wire::{Decision, ProposalHash};

/// The rules of one room, by key: that of the newcomer, or of the member who is followed.
pub(in crate::core) type Rules = BTreeMap<PeerId, Rule>;

impl Room {
    /// Sets how somebody's knocks are answered from now on.
    ///
    /// # Errors
    /// [`Failure`] when nobody of that name is known here, or several are, or too many rules are.
    pub fn remember(
        &mut self,
        ctx: &mut Ctx<'_>,
        name: &Name,
        fingerprint: Option<Fingerprint>,
        rule: Rule,
    ) -> Result<(), Failure> {
        let key = self.known_by(ctx, name, fingerprint)?;
        if rule == Rule::Follow && !self.has(&key) {
            return Err(Failure::NoSuchMember(name.clone()));
        }
        if !self.rules.contains_key(&key) && self.rules.len() >= RULES_MAX {
            return Err(Failure::TooManyRules);
        }
        match rule {
            Rule::Ask => drop(self.rules.remove(&key)),
            _ => drop(self.rules.insert(key, rule)),
        }
        // What holds until the program ends is not kept.
        let kept = if rule == Rule::Session { Rule::Ask } else { rule };
        ctx.persist(Change::Rule { room: self.id(), key, rule: kept });
        self.tell_rules(ctx);
        self.settle(ctx);
        Ok(())
    }

    /// Everybody has gone on without somebody: no yes that was given in advance, to them or to whoever they say yes to, outlives that.
    pub(super) fn forget_rules(&mut self, ctx: &mut Ctx<'_>, adopted: &Adopted) {
        let removed = adopted.before.members.iter().map(|member| member.key);
        let mut any = false;
        for key in removed.filter(|key| !is_member(&adopted.after, key)) {
            if self.rules.get(&key).is_some_and(|rule| *rule != Rule::Never) {
                self.rules.remove(&key);
                ctx.persist(Change::Rule { room: self.id(), key, rule: Rule::Ask });
                any = true;
            }
        }
        if any {
            self.tell_rules(ctx);
        }
    }

    /// The newcomer that knocks, or member, present or past, of this name. A rule lets in unasked whoever holds the key, so
    /// where several keys have borne the name, it takes the fingerprint to choose.
    fn known_by(&self, ctx: &Ctx<'_>, name: &Name, fingerprint: Option<Fingerprint>) -> Result<PeerId, Failure> {
        let knocking = self.seat.ballots().iter().filter_map(|(_, ballot)| ballot.knock());
        let knocking = knocking.map(|knock| (&knock.name, knock.key));
        let members = self.chain().rosters().flat_map(|roster| roster.members.iter());
        let members = members.map(|member| (&member.name, member.key));
        let fits = |(known, key): &(&Name, PeerId)| {
            *known == name && *key != ctx.me() && fingerprint.is_none_or(|shown| shown == key.fingerprint())
        };
        let found: BTreeSet<PeerId> = knocking.chain(members).filter(fits).map(|(_, key)| key).collect();
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(Failure::NoSuchMember(name.clone())),
            (Some(_), Some(_)) => Err(Failure::AmbiguousName(name.clone())),
        }
    }

    /// Tells the user which rules there are.
    pub fn tell_rules(&self, ctx: &mut Ctx<'_>) {
        let named = |(key, rule): (&PeerId, &Rule)| Some((self.name_of_any(key)?, *key, *rule));
        let rules = self.rules.iter().filter_map(named).collect();
        ctx.tell(Event::Rules { room: self.name.clone(), rules });
    }

    fn name_of_any(&self, key: &PeerId) -> Option<Name> {
        let mut knocks = self.seat.ballots().iter().filter_map(|(_, ballot)| ballot.knock());
        self.name_of(key).or_else(|| knocks.find(|knock| knock.key == *key).map(|knock| knock.name.clone()))
    }

    /// Answers, by the rules, one knock that waits for us; `false` when none does.
    pub(super) fn answer_by_rule(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let me = ctx.me();
        let waiting = |ballot: &Ballot| ballot.waits_for(&me) && ballot.refused().is_none();
        let open = self.seat.ballots().iter().filter(|(_, ballot)| waiting(ballot));
        let ruled = open.filter_map(|(hash, ballot)| Some((*hash, self.rule_for(ballot)?)));
        let may = |(hash, (_, rule)): &(ProposalHash, (PeerId, Rule))| {
            *rule == Rule::Never || self.seat.ballots().may_say_yes(hash).is_ok()
        };
        let Some((hash, (of, rule))) = ruled.into_iter().find(may) else { return false };
        let Some(knock) = self.seat.ballots().get(&hash).and_then(Ballot::knock).cloned() else { return false };
        let by = self.name_of(&of).unwrap_or_else(|| knock.name.clone());
        let (room, name, key) = (self.name.clone(), knock.name, knock.key);
        ctx.tell(Event::AnsweredByRule { room, knock: hash, name, key, by, rule });
        self.answer(ctx, hash, if rule == Rule::Never { Decision::No } else { Decision::Yes });
        true
    }

    /// The rule that answers a knock, and whose it is. A rule for the newcomer goes before following anybody.
    fn rule_for(&self, ballot: &Ballot) -> Option<(PeerId, Rule)> {
        let newcomer = ballot.knock()?.key;
        if planted::is(Bug::ConsentForAnyKnock) && self.strangers.approved.contains(&newcomer) {
            return Some((newcomer, Rule::Session));
        }
        if let Some(rule) = self.rules.get(&newcomer).filter(|rule| **rule != Rule::Follow) {
            return Some((newcomer, *rule));
        }
        let followed = self.rules.iter().filter(|(_, rule)| **rule == Rule::Follow);
        let mut agreed = followed.filter(|(key, _)| ballot.answer(key) == Some(Decision::Yes));
        agreed.next().map(|(key, rule)| (*key, *rule))
    }
}
