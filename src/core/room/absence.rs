//! Who can be reached, for how long they could not, and when to go on without them (DESIGN.md §4 rules 6 and 7).

use std::collections::BTreeSet;

use super::{Ctx, Fate, Room};
use crate::core::consent::roster::is_member;
use crate::core::consent::seat::Due;
use crate::core::event::{Event, Path};
use crate::core::time::left_s;
use crate::identity::PeerId;
use crate::limits::REFUSALS_PER_SIGNER_MAX;
use crate::wire::{Decision, PeerMessage, ProposalHash, Roster, Step};

/// Milliseconds a lost link has to come back before people are told: a link that is replaced by a better one flickers.
pub(super) const QUIET_MS: u64 = 2_000;

/// Milliseconds after a drop before it is weighed again, doubled at random, and doubled with each refusal up to the second:
/// views need time to agree, and two that never will should not argue for ever.
const DROP_RETRY_MS: (u64, u64) = (1_000, 64_000);

/// Milliseconds that a drop waits for another member whose grace is about to end too.
const GATHER_MS: u64 = 5_000;

/// A member who can be reached by no path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    /// Since when.
    since: u64,
    /// Whether people were told.
    told: bool,
}

impl Room {
    /// Time to answer knocks and removals, in milliseconds.
    pub(super) fn consent_timeout_ms(&self) -> u64 {
        u64::from(self.seat.chain().genesis().settings.consent_timeout_s) * 1000
    }

    /// Grace of this room, in milliseconds.
    fn grace_ms(&self) -> u64 {
        u64::from(self.seat.chain().genesis().settings.grace_s) * 1000
    }

    /// The members we reach: over our own links, or over any number of others' that both their ends state.
    fn reachable(&self, ctx: &Ctx<'_>) -> BTreeSet<PeerId> {
        let direct = self.linked().filter(|peer| ctx.links.contains_key(*peer));
        let mut reached: BTreeSet<PeerId> = direct.copied().collect();
        if self.seat.left().is_empty() {
            reached.extend(self.web.ways(&ctx.me()).keys().copied());
        } else {
            // Whoever left carries nothing on for us, and what they stated of their links stands for ever.
            reached.extend(self.web.graph().ways_over(&ctx.me(), |key| !self.has_left(key)).into_keys());
        }
        reached.retain(|key| self.has(key));
        reached
    }

    /// The members who have told us over a link of ours which roster they are on. A bare connection is no member: whoever
    /// has left, or has yet to come back, holds it for a moment as a stranger's.
    pub(super) fn linked(&self) -> impl Iterator<Item = &PeerId> {
        self.readers.iter().filter(|(_, reader)| reader.greeted).map(|(peer, _)| peer)
    }

    /// Something about links or seats changed: starts and ends absences, and tells the others about our own links.
    pub(super) fn reach_changed(&mut self, ctx: &mut Ctx<'_>) {
        let stated = self.web.graph().stated_by(&ctx.me());
        if !self.linked().eq(stated.into_iter().flatten()) {
            self.links_changed(ctx);
        }
        self.note_absences(ctx);
        self.weigh_drops(ctx);
    }

    /// Starts and ends absences.
    fn note_absences(&mut self, ctx: &mut Ctx<'_>) {
        let reachable = self.reachable(ctx);
        self.note_detours(ctx, &reachable);
        for key in self.others(&ctx.me()) {
            if reachable.contains(&key) {
                if self.absent.remove(&key).is_some_and(|absence| absence.told) {
                    self.detour_told(ctx, &key);
                    self.tell_path(ctx, &key, None);
                }
            } else {
                let since = ctx.now.mono_ms;
                self.absent.entry(key).or_insert(Absence { since, told: false });
            }
        }
    }

    fn tell_path(&self, ctx: &mut Ctx<'_>, key: &PeerId, grace_s: Option<u64>) {
        // A direct link has told its own story when it came up. Who is lost is reached by no path, even while a connection
        // on which they never said where they are has yet to time out.
        let path = if grace_s.is_some() { Path::None } else { self.path(ctx, key) };
        if let (Some(name), false) = (self.name_of(key), matches!(path, Path::Direct { .. })) {
            let tried = self.tried(key);
            ctx.tell(Event::Link { room: self.name.clone(), name, path, grace_s, tried });
        }
    }

    /// Seats were given or taken: those who came have the grace to link, those who went are forgotten.
    pub(super) fn seats_changed(&mut self, ctx: &mut Ctx<'_>, after: &Roster) {
        self.absent.retain(|key, _| is_member(after, key));
        self.readers.retain(|key, _| is_member(after, key));
        self.online.retain(|key| is_member(after, key));
        self.addresses.retain(|key, _| is_member(after, key));
        self.hearsay.retain(|key, _| is_member(after, key));
        self.fresh.retain(|key| is_member(after, key));
        self.delivered.retain(|key, _| is_member(after, key));
        // Whoever comes back begins to count anew (rule 7).
        self.heads.retain(|key, _| is_member(after, key));
        self.web_follows(ctx);
        for key in self.others(&ctx.me()) {
            if ctx.links.contains_key(&key) && !self.readers.contains_key(&key) {
                self.link_up(ctx, key);
            }
        }
        self.reach_changed(ctx);
    }

    /// Others took a step from a roster of ours that leaves us behind: by that they have left us.
    pub(super) fn went_without_me(&mut self, ctx: &mut Ctx<'_>, step: Step) {
        let ballot = self.seat.ballots().get(&step.proposal.hash());
        let answers: Vec<_> =
            ballot.iter().flat_map(|ballot| ballot.all_answers()).map(|one| one.as_signed().clone()).collect();
        let message = PeerMessage::Step((self.id(), step));
        for peer in self.readers.keys() {
            if self.has_left(peer) {
                // Whoever is still here may lack one of these, or have another one from a liar.
                answers.iter().for_each(|answer| ctx.tell_peer(peer, PeerMessage::Consent(answer.clone())));
            } else {
                // Somebody else may not have heard it from them.
                ctx.tell_peer(peer, message.clone());
            }
        }
        self.weigh_drops(ctx);
    }

    /// Signs the drop of exactly those who are gone, and a no to drops of anybody we reach.
    pub(super) fn weigh_drops(&mut self, ctx: &mut Ctx<'_>) {
        if self.fate() != Fate::On {
            return;
        }
        let grace = self.grace_ms();
        let lapses = |absence: &Absence| absence.since + grace;
        if !self.seat.left().is_empty() || self.absent.values().any(|one| lapses(one) <= ctx.now.mono_ms) {
            // Those who left, or seemed to, may have been the way to others.
            self.note_absences(ctx);
        }
        let lapsed: BTreeSet<PeerId> =
            self.absent.iter().filter(|(_, one)| lapses(one) <= ctx.now.mono_ms).map(|(key, _)| *key).collect();
        let due = self.seat.drop_due(&lapsed, ctx.scheme);
        // Nearly always nothing is open, and whom we reach takes a while to find out in a large room.
        let open = self.seat.ballots().iter().next().is_some();
        let refused = if open { self.seat.drops_to_refuse(&ctx.me(), &self.reachable(ctx)) } else { Vec::new() };
        for wrong in refused {
            // Those who are locked together may part with somebody they reach.
            let ours = due.as_ref().is_some_and(|due| due.proposal() == wrong.proposal());
            if !ours && self.may_refuse(&wrong.proposal()) {
                self.answer(ctx, wrong.proposal(), Decision::No);
                self.drop_not_before = ctx.now.after_ms(DROP_RETRY_MS.0);
            }
        }
        if ctx.now.mono_ms < self.drop_not_before {
            return;
        }
        // Two who were lost together are dropped together: a signature on the first drop would stand in the way of the
        // second, should the first come back meanwhile.
        let soon = self.absent.values().map(lapses).filter(|at| *at > ctx.now.mono_ms).min();
        if let Some(soon) = soon.filter(|at| !lapsed.is_empty() && *at <= ctx.now.after_ms(GATHER_MS)) {
            self.drop_not_before = soon;
            return;
        }
        if let Some(Due::Sign(drop)) = due {
            let wait = (DROP_RETRY_MS.0 << drop.nonce.min(16)).min(DROP_RETRY_MS.1);
            self.drop_not_before = ctx.now.after_ms(wait + rand::RngExt::random_range(ctx.rng, 0..wait));
            self.sign_drop(ctx, drop);
        } else if !lapsed.is_empty() || !self.seat.left().is_empty() {
            // Something of ours stands in the way, until somebody's answer or the last resort.
            self.drop_not_before = ctx.now.after_ms(DROP_RETRY_MS.0);
        }
    }

    /// Whether somebody who signed a drop gets one more refusal of theirs over this roster.
    fn may_refuse(&mut self, hash: &ProposalHash) -> bool {
        let Some(ballot) = self.seat.ballots().get(hash) else { return false };
        let spent = |by: &PeerId| self.refusals.get(by).is_some_and(|count| *count >= REFUSALS_PER_SIGNER_MAX);
        let Some(by) = ballot.yeses().find(|by| !spent(by)) else { return false };
        *self.refusals.entry(by).or_default() += 1;
        true
    }

    /// Time passed: tells of absences that lasted, and drops whose grace is over.
    pub fn absences_due(&mut self, ctx: &mut Ctx<'_>) {
        self.detours_due(ctx);
        let grace = self.grace_ms();
        let lasting: Vec<PeerId> = self
            .absent
            .iter()
            .filter(|(_, absence)| !absence.told && absence.since + QUIET_MS <= ctx.now.mono_ms)
            .map(|(key, _)| *key)
            .collect();
        for key in lasting {
            let Some(absence) = self.absent.get_mut(&key) else { continue };
            absence.told = true;
            let left = left_s(ctx.now, absence.since.saturating_add(grace));
            self.tell_path(ctx, &key, Some(left));
        }
        self.weigh_drops(ctx);
    }

    /// The earliest moment at which [`Room::absences_due`] has something to do.
    pub(super) fn absence_due(&self) -> Option<u64> {
        let untold = self.absent.values().filter(|absence| !absence.told).map(|absence| absence.since + QUIET_MS).min();
        // Nothing is signed about anybody before it is clear whether our seat stands.
        let untold = untold.into_iter().chain(self.detour_due()).min();
        if self.fate() != Fate::On {
            return untold;
        }
        let grace = self.grace_ms();
        let told = self.absent.values().filter(|absence| absence.told).map(|absence| absence.since + grace);
        let drop = told.chain(self.seat.left().keys().map(|_| 0)).min().map(|due| due.max(self.drop_not_before));
        untold.into_iter().chain(drop).min()
    }
}
