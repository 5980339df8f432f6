//! Rosters from before our chain, in which we had a seat before: learned backwards, each by the hash that the one after it
//! names, so that what was said to us then can be taken when members give it back.

use std::collections::BTreeSet;

use super::{Ctx, Room, Rules};
use crate::core::consent::roster::is_member;
use crate::core::io::Change;
use crate::core::log::{Audiences, Memory};
use crate::core::private::Privates;
use crate::identity::PeerId;
use crate::wire::{Body, PeerMessage, Roster, RosterHash, Run};

/// Milliseconds to wait for an answer before the same is asked again.
const ASK_AGAIN_MS: u64 = 5_000;

/// A question about a roster from before our chain.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    /// Which.
    hash: RosterHash,
    /// When it was asked first.
    since: u64,
    /// When it was asked last.
    last: u64,
}

impl Room {
    /// What outlives our seat.
    pub fn into_memory(mut self) -> (Memory, Rules, Privates, Option<Vec<Body>>) {
        let outbox = self.take_outbox();
        (self.log.into_memory(self.seat.chain()), self.rules, self.privates.without_keys(), outbox)
    }

    /// Takes note of whom we had a seat with before: they are no strangers when halves of the room meet.
    pub(super) fn recall_company(&mut self) {
        let Room { log, seat, .. } = self;
        log.past().iter().for_each(|roster| seat.recall_earlier(roster));
    }

    /// Everybody an entry may be for.
    pub(super) fn audiences(&self) -> Audiences<'_> {
        Audiences { chain: self.seat.chain(), past: self.log.past() }
    }

    /// The roster of an audience.
    pub(super) fn audience(&self, hash: &RosterHash) -> Option<&Roster> {
        self.audiences().find(hash)
    }

    /// Of these, whose logs may be given to us: members, those whose logs are here, and those who had a seat in any roster that we
    /// know. Others are nothing to keep account of, and could be anything in any number.
    pub(super) fn authors_among<'k>(&self, keys: impl Iterator<Item = &'k PeerId>) -> BTreeSet<PeerId> {
        let known = |key: &PeerId| self.log.author(key).is_some() || self.has(key);
        let (mut authors, mut strange): (BTreeSet<PeerId>, BTreeSet<PeerId>) = keys.copied().partition(known);
        // The rosters are gone through once for all of them, and mostly not at all.
        for roster in self.chain().rosters().chain(self.log.past().iter()) {
            if strange.is_empty() {
                break;
            }
            authors.extend(roster.members.iter().filter_map(|member| strange.take(&member.key)));
        }
        authors
    }

    /// A member gave us something of an audience that we don't know: it may be one of ours from before.
    pub(super) fn trace(&mut self, ctx: &mut Ctx<'_>, from: PeerId) {
        let Some((hash, _)) = self.log.past().unknown_before(self.seat.chain()) else { return };
        let (now, question) = (ctx.now.mono_ms, PeerMessage::Trace((self.id(), hash)));
        match &mut self.traced {
            Some(traced) if traced.hash == hash && now < traced.last.saturating_add(ASK_AGAIN_MS) => {}
            // When it was asked for first stays: what comes after it does not wait for ever.
            Some(traced) if traced.hash == hash => {
                traced.last = now;
                // Whoever gave what it is needed for may know as little of what was before their own chain as we do.
                self.readers.keys().for_each(|peer| ctx.tell_peer(peer, question.clone()));
            }
            _ => {
                self.traced = Some(Traced { hash, since: now, last: now });
                ctx.tell_peer(&from, question);
            }
        }
    }

    /// Whether a member offers us something of a log, this number of it if one is named, whose audience is nobody's that we know. Only
    /// their own offers count: nobody has checked whose the runs that wait are.
    pub(super) fn offers_strange(&self, from: &PeerId, author: &PeerId, number: Option<u64>) -> bool {
        let of_it = |run: &Run| {
            let mut entries = run.entries().iter().filter(|entry| entry.author == *author);
            entries.any(|entry| number.is_none_or(|number| entry.seq == number))
        };
        self.early.iter().any(|(giver, run)| giver == from && of_it(run))
    }

    /// Whether a run comes after another one of its author whose audience is being found out: taken first, it would leave a
    /// hole.
    pub(super) fn waits_for_past(&mut self, ctx: &Ctx<'_>, run: &Run) -> bool {
        let first = run.first();
        let earlier = |(_, early): &(PeerId, Run)| early.last().author == first.author && early.last().seq < first.seq;
        let until = self.traced.as_ref().map(|traced| traced.since.saturating_add(ASK_AGAIN_MS));
        let until = until.filter(|until| ctx.now.mono_ms < *until && self.early.iter().any(earlier));
        self.early_until = until.or(self.early_until);
        until.is_some()
    }

    /// Time passed: nobody knows the roster, and what comes after that run goes on without it.
    pub fn past_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.early_until.take_if(|at| *at <= ctx.now.mono_ms).is_some() {
            self.replay_early(ctx);
        }
    }

    /// A member asks for a roster from before their chain: whoever had a seat in it, or before it, may know.
    pub fn on_trace(&mut self, ctx: &mut Ctx<'_>, from: PeerId, hash: RosterHash) {
        let Some(roster) = self.audience(&hash) else { return };
        let mut known = self.seat.chain().rosters().chain(self.log.past().iter());
        if known.any(|earlier| earlier.epoch <= roster.epoch && is_member(earlier, &from)) {
            ctx.tell_peer(&from, PeerMessage::Past((self.id(), roster.clone())));
        }
    }

    /// A roster from before our chain, if it is the one that we know the hash of.
    pub fn on_past(&mut self, ctx: &mut Ctx<'_>, from: PeerId, roster: Roster) {
        let Some((hash, epoch)) = self.log.past().unknown_before(self.seat.chain()) else { return };
        if (roster.room, roster.epoch, roster.hash()) != (self.id(), epoch, hash) {
            return;
        }
        self.log.keep_past(roster.clone());
        self.seat.recall_earlier(&roster);
        self.meet_strangers(ctx, &roster);
        ctx.persist(Change::Past { room: self.id(), rosters: vec![roster] });
        // What it was needed for comes from the buffer; if that is not all, on we go.
        self.replay_early(ctx);
        if !self.early.is_empty() {
            self.trace(ctx, from);
        }
    }

    /// Whom we had forgotten we know now: what linked members said of their logs counts.
    fn meet_strangers(&mut self, ctx: &mut Ctx<'_>, roster: &Roster) {
        let met = |author: &PeerId| is_member(roster, author);
        for peer in self.readers.keys().copied().collect::<Vec<_>>() {
            let Some(reader) = self.readers.get_mut(&peer) else { continue };
            let said: Vec<(PeerId, (u64, u64))> = reader.strangers.extract_if(.., |author, _| met(author)).collect();
            let frontier: Vec<(PeerId, u64)> =
                said.iter().map(|(author, (has, _))| (*author, *has)).filter(|(_, has)| *has > 0).collect();
            let floors: Vec<(PeerId, u64)> =
                said.iter().map(|(author, (_, floor))| (*author, *floor)).filter(|(_, floor)| *floor > 1).collect();
            if !frontier.is_empty() {
                self.on_frontier(ctx, peer, &frontier);
            }
            if !floors.is_empty() {
                self.on_floor(ctx, peer, &floors);
            }
        }
    }
}
