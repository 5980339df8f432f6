//! Meeting those again whom this room parted with: telling them how, hearing how they did, and looking for them
//! (DESIGN.md §4 rules 7 and 10). No server is needed for it.
//!
//! To somebody without a seat nothing is ever said but this: our head, the step by which they lost their seat, which is over a
//! roster that they were in, and, to whom we parted with because nobody reached them, the steps after it, which show who is
//! here. No content, and no address.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::consent::seat::Adopted;
use crate::core::event::Departure;
use crate::core::time::Now;
use crate::identity::{PeerId, Signed};
use crate::limits::{CANDIDATES_MAX, STEPS_TOLD_APART_BYTES_MAX, STEPS_TOLD_APART_MAX};
use crate::wire::{Head, PeerMessage, Roster, RosterHash, Step, ToServer, encoded_len};

/// Milliseconds for which we look for somebody we parted with: an afternoon's train ride.
pub(super) const LOOK_FOR_MS: u64 = 4 * 3_600_000;

/// Newcomers whose knock we said yes to that are remembered.
const APPROVED_MAX: usize = 64;

/// Ways in which we parted that a server is told when it is on a roster unknown to us.
const PARTINGS_TOLD_MAX: usize = 4;

/// Steps, the newest, that it is told then: by one of them we went another way than those it
/// is with.
const STEPS_TOLD_MAX: usize = 8;

/// Rosters of earlier stays that it is asked about: those of the last stay mostly, and of the one before.
const EARLIER_ASKED_MAX: usize = 16;

/// And how many of them each half minute, since each may be answered with many steps.
const EARLIER_ASKED_AT_ONCE: usize = 4;

/// Milliseconds before a server that has lost the room again is shown our way again.
const WAY_AGAIN_MS: u64 = 5_000;

/// Milliseconds for which somebody whom we know has to be elsewhere before we go there, if we are alone: by then those who are
/// alone themselves have come to us, where a server told them.
const CALLED_AFTER_MS: u64 = 60_000;

/// Milliseconds after which what they said is old: they are dialled every half minute.
const CALLED_FOR_MS: u64 = 90_000;

/// Milliseconds for which we look for somebody to ask where the others have gone, before we go on without them.
const DOUBT_MS: u64 = 120_000;

/// What a room knows of those who have no seat in it.
#[derive(Debug, Default)]
pub(in crate::core) struct Strangers {
    /// Newcomers whose knock we said yes to, the newest last: they may have come in by a roster that isn't ours.
    pub approved: VecDeque<PeerId>,
    /// When the other half may be told again how we parted, at the earliest.
    pub met_again_at: u64,
    /// When a server that had lost the room was last shown our way.
    way_shown_at: Option<u64>,
    /// How many rosters of earlier stays a server that is elsewhere was asked about in this turn.
    earlier_asked: usize,
    /// Since when somebody whom we know says that they are on a roster unknown to us, and when they last said it.
    elsewhere: Option<(u64, u64)>,
    /// Since when the others seem to have gone on, and nobody can be asked whether they are there.
    doubtful_since: Option<u64>,
}

/// Somebody we parted with because nobody reached them.
#[derive(Debug, Clone)]
pub(in crate::core) struct Lost {
    /// Where they were last.
    pub addresses: Vec<SocketAddr>,
    /// Until when we look for them.
    pub until: u64,
}

impl Room {
    /// Somebody was dropped: unless they said that they leave, they may be going on elsewhere.
    pub(super) fn look_for_lost(&mut self, ctx: &Ctx<'_>, adopted: &Adopted, reason: impl Fn(&PeerId) -> Departure) {
        for member in adopted.after.members.iter() {
            self.lost.remove(&member.key);
        }
        let until = ctx.now.after_ms(LOOK_FOR_MS);
        let gone = adopted.before.members.iter().filter(|member| !is_member(&adopted.after, &member.key));
        for member in gone {
            let addresses = self.addresses.get(&member.key).cloned().unwrap_or_default();
            if reason(&member.key) == Departure::Dropped && !addresses.is_empty() {
                let addresses = addresses.into_iter().take(CANDIDATES_MAX).collect();
                self.lost.insert(member.key, Lost { addresses, until });
            }
        }
        self.addresses_changed(ctx.now);
    }

    /// We said yes to a newcomer, who may talk to us about membership from now on.
    pub(super) fn note_approved(&mut self, newcomer: PeerId) {
        let approved = &mut self.strangers.approved;
        approved.retain(|key| *key != newcomer);
        approved.push_back(newcomer);
        if approved.len() > APPROVED_MAX {
            approved.pop_front();
        }
    }

    /// Whether somebody without a seat may hear on which roster we are: who had one, or whom our user let in.
    pub fn is_acquainted(&self, key: &PeerId) -> bool {
        self.strangers.approved.contains(key) || !self.has(key) && self.seat.ever_met(key)
    }

    /// Somebody without a seat says, over their own link, on which roster they are.
    pub fn on_strangers_head(&mut self, ctx: &Ctx<'_>, by: PeerId, head: Signed<Head>) {
        if let Ok(head) = head.verify(ctx.scheme)
            && head.by == by
        {
            self.seat.hear_head_of_other_half(by, head.roster);
            self.note_elsewhere(ctx.now, &by, &head.roster);
        }
    }

    fn note_elsewhere(&mut self, now: Now, by: &PeerId, at: &RosterHash) {
        let removed = self.chain().parted_by(by).is_some_and(|step| !step.is_parting());
        if removed || self.audience(at).is_some() {
            return;
        }
        let since = self.strangers.elsewhere.map(|(since, _)| since).filter(|_| self.elsewhere_lately(now));
        self.strangers.elsewhere = Some((since.unwrap_or(now.mono_ms), now.mono_ms));
    }

    fn elsewhere_lately(&self, now: Now) -> bool {
        self.strangers.elsewhere.is_some_and(|(_, last)| now.mono_ms <= last.saturating_add(CALLED_FOR_MS))
    }

    /// Whether we are alone while somebody whom we know has been elsewhere for long enough to have come to us: who is alone
    /// loses nothing by going there. What they said last stays until it is said otherwise, or old.
    pub fn is_called_away(&self, now: Now) -> bool {
        let long = |(since, last): (u64, u64)| last >= since.saturating_add(CALLED_AFTER_MS);
        self.is_alone() && self.elsewhere_lately(now) && self.strangers.elsewhere.is_some_and(long)
    }

    /// We looked, and stay: it takes as long again before we look again.
    pub fn not_called_away(&mut self) {
        self.strangers.elsewhere = None;
    }

    /// What somebody without a seat is told on a connection: where we are, by which step they were parted with, and, if nobody
    /// reached them, how we went on since: from that they see which half hosts (rule 10). Whoever had a seat with us right before
    /// we came in is told our way from there, so that it doesn't end with those of us who left and came back.
    pub fn farewell(&mut self, ctx: &mut Ctx<'_>, key: &PeerId) -> Vec<PeerMessage> {
        if self.has(key) || !self.is_acquainted(key) {
            return Vec::new();
        }
        let since = self.chain().steps_since_parted_by(key);
        let base = self.chain().base();
        let followed = self.log.past().iter().find(|before| before.hash() == base.previous);
        let (way, from) = match since.first() {
            Some(step) if !step.is_parting() || self.is_known_to_have_left(key, since.len()) => (&since[..1], None),
            Some(_) => (since, None),
            None if followed.is_some_and(|before| is_member(before, key)) => {
                (self.chain().steps_after(&base.hash()).unwrap_or_default(), Some(base.clone()))
            }
            None => (since, None),
        };
        let mut bytes = 0;
        let fits = |step: &&Step| {
            bytes += encoded_len(*step);
            bytes <= STEPS_TOLD_APART_BYTES_MAX
        };
        let room = self.id();
        let steps = way.iter().take(STEPS_TOLD_APART_MAX).take_while(fits).cloned();
        let steps: Vec<PeerMessage> = steps.map(|step| PeerMessage::Step((room, step))).collect();
        let from = from.map(|base| PeerMessage::Past((room, base)));
        let head = PeerMessage::Head(self.sign_head(ctx));
        from.into_iter().chain(steps).chain([head]).collect()
    }

    /// Somebody without a seat says from where their steps go on, which follows a roster of ours.
    pub fn on_branch(&mut self, roster: Roster) {
        self.seat.hear_branch(roster);
    }

    /// Nobody can be asked whether anybody is where the others went. `true` once that has lasted: then we go on without them, or
    /// our seat would keep everybody out for good.
    pub fn has_doubted_for_long(&mut self, now: Now) -> bool {
        let since = *self.strangers.doubtful_since.get_or_insert(now.mono_ms);
        now.mono_ms >= since.saturating_add(DOUBT_MS)
    }

    /// Somebody can be asked, or there is no doubt.
    pub fn is_in_no_doubt(&mut self) {
        self.strangers.doubtful_since = None;
    }

    /// When doubt has lasted for too long.
    pub(super) fn doubt_due(&self) -> Option<u64> {
        self.strangers.doubtful_since.map(|since| since.saturating_add(DOUBT_MS))
    }

    /// Whether those on this roster are known to be the half that is to give way to ours.
    pub fn hosts_against(&self, at: &RosterHash) -> bool {
        self.seat.hosts_against(at)
    }

    /// Whether nobody but us has a seat.
    pub fn is_alone(&self) -> bool {
        self.chain().current().members.len() == 1
    }

    /// Whether somebody whom the step so many before the end of our chain parted with had said that they leave: they have no
    /// half of the room.
    fn is_known_to_have_left(&self, key: &PeerId, before_end: usize) -> bool {
        let at = self.step_notes.len().checked_sub(before_end);
        at.and_then(|at| self.step_notes.get(at)).is_some_and(|note| note.left.contains(key))
    }

    /// The server is on a roster that we don't know: tells it how we parted with others, newest first. `false` when there
    /// is nothing to tell.
    pub fn tell_partings(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let partings = self.chain().steps().rev().filter(|step| step.is_parting());
        let partings: Vec<Step> = partings.take(PARTINGS_TOLD_MAX).cloned().collect();
        self.owed = partings.len();
        for step in partings {
            ctx.tell_server(ToServer::Step((self.id(), step)));
        }
        self.owed > 0
    }

    /// That moved nothing: tells it how we went on, newest first, so that it finds where those it is with went another way.
    pub fn tell_way(&self, ctx: &mut Ctx<'_>) {
        for step in self.chain().steps().rev().take(STEPS_TOLD_MAX) {
            ctx.tell_server(ToServer::Step((self.id(), step.clone())));
        }
    }

    /// It still is. It is shown our way, and since we may know a roster of its own way from an earlier stay, it is asked how the
    /// room went on from there.
    pub fn tell_way_again(&mut self, ctx: &mut Ctx<'_>) {
        self.show_way(ctx);
        self.ask_since_earlier(ctx);
        // Nobody answers a step that they took themselves: whoever has heard nothing new by now will not.
        self.owed = 0;
    }

    /// The server has lost the room, and is shown our way with it. Not each time: while somebody else's room has the name it goes on not
    /// knowing ours, and says so to each thing that it is told.
    pub fn show_way_at_times(&mut self, ctx: &mut Ctx<'_>) {
        let lately = |shown: u64| ctx.now.mono_ms < shown.saturating_add(WAY_AGAIN_MS);
        if !self.strangers.way_shown_at.is_some_and(lately) {
            self.strangers.way_shown_at = Some(ctx.now.mono_ms);
            self.show_way(ctx);
        }
    }

    /// A server that was restarted knows less than we do of how the room came to its roster: it is shown the one at which we parted
    /// with others last, and the first of our way of late, then that way, oldest first, so that it can verify each step.
    pub fn show_way(&self, ctx: &mut Ctx<'_>) {
        let chain = self.chain();
        let steps = chain.steps_after(&chain.base().hash()).unwrap_or_default();
        let way = &steps[steps.len().saturating_sub(STEPS_TOLD_MAX)..];
        let me = ctx.me();
        let base = |step: &Step| chain.roster(&step.proposal.roster()).filter(|base| is_member(base, &me));
        let parted = steps.iter().rev().find(|step| step.is_parting()).and_then(base);
        let begin = way.iter().find_map(base);
        let earlier = parted.filter(|parted| begin.is_none_or(|begin| parted.epoch < begin.epoch));
        for roster in earlier.into_iter().chain(begin) {
            ctx.tell_server(ToServer::Restore((chain.genesis().as_signed().clone(), roster.clone())));
        }
        for step in way {
            ctx.tell_server(ToServer::Step((self.id(), step.clone())));
        }
    }

    /// Names the server rosters of earlier stays, a few at a time, the newest first: if the room went on from one of them to where
    /// the server is, it tells the steps.
    fn ask_since_earlier(&mut self, ctx: &mut Ctx<'_>) {
        let earlier: Vec<RosterHash> = self.seat.earlier_by_age().take(EARLIER_ASKED_MAX).collect();
        let from = std::mem::take(&mut self.strangers.earlier_asked);
        let asked = &earlier[from.min(earlier.len())..];
        if asked.len() > EARLIER_ASKED_AT_ONCE {
            self.strangers.earlier_asked = from + EARLIER_ASKED_AT_ONCE;
        }
        for hash in asked.iter().take(EARLIER_ASKED_AT_ONCE) {
            ctx.tell_server(ToServer::Attach((self.id(), *hash)));
        }
    }
}
