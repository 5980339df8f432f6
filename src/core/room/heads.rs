//! Heads: on which roster each member says to be, over its own link, and what that takes back or confirms (DESIGN.md §4 rule 7).

use super::{Ctx, Room};
use crate::core::consent::seat::{HeadMeans, Seat};
use crate::core::event::Misdeed;
use crate::core::io::Change;
use crate::identity::{PeerId, Signed, Verified};
use crate::planted::{self, Bug};
use crate::wire::{Head, PeerMessage, RosterHash};

impl Room {
    /// Our newest head.
    pub(super) fn sign_head(&mut self, ctx: &mut Ctx<'_>) -> Signed<Head> {
        self.head_counter = self.head_counter.saturating_add(1);
        let room = self.id();
        ctx.persist(Change::HeadCounter { room, counter: self.head_counter });
        let head = Head { room, roster: self.seat.chain().head(), counter: self.head_counter, by: ctx.me() };
        Verified::sign(head, ctx.signer).into_signed()
    }

    /// A member says which roster they are on.
    pub fn on_head(&mut self, ctx: &mut Ctx<'_>, from: PeerId, head: Signed<Head>) {
        let Ok(head) = head.verify(ctx.scheme) else { return self.blame(ctx, Some(from), Misdeed::BadSignature) };
        let newest = self.heads.get(&from).map_or(0, |(counter, _)| *counter);
        // Counters begin anew with each admission: one of an earlier seat, which came late, voids none that is level with us.
        let level = head.roster == self.seat.chain().head();
        if head.by != from || head.counter <= newest && !level {
            return;
        }
        self.heads.insert(from, (head.counter, head.roster));
        let seemed_gone = self.has_left(&from);
        let means = match planted::is(Bug::NoHeads) {
            false => self.seat.hear_head(from, head.roster, ctx.scheme),
            true => HeadMeans::Ahead,
        };
        match means {
            HeadMeans::Level => {
                self.confirm_seat(ctx);
                self.caught_up(ctx, from);
            }
            HeadMeans::Behind => {
                self.readers.entry(from).and_modify(|reader| reader.behind = true);
                let (room, steps) = (self.id(), self.seat.chain().steps_after(&head.roster).unwrap_or_default());
                for step in steps {
                    ctx.tell_peer(&from, PeerMessage::Step((room, step.clone())));
                }
            }
            // The rest of the signatures may never come this way: who sees where we are sends the step.
            HeadMeans::Ahead => {
                let head = self.sign_head(ctx);
                ctx.tell_peer(&from, PeerMessage::Head(head));
            }
            HeadMeans::GoneOn => self.weigh_drops(ctx),
        }
        // Whoever opens a room while the link already stands has missed our greeting.
        let greeted = self.readers.get_mut(&from).map(|reader| std::mem::replace(&mut reader.greeted, true));
        if greeted == Some(false) {
            self.greet(ctx, from);
            self.catch_up_soon(ctx.now, &from);
        }
        // Only now do we reach them: whoever we reach nobody but by them is not to be dropped for it in between.
        if greeted == Some(false) || seemed_gone && !self.has_left(&from) {
            self.reach_changed(ctx);
        }
    }

    /// Whoever said last that they are on our roster, or answered what is not known here yet over it, is here, whatever they signed over
    /// those before: nobody goes back.
    pub(super) fn words_stand(&mut self, ctx: &Ctx<'_>) {
        self.hear_heads_again(ctx, |seat, by, at| at == seat.chain().head() && seat.left().contains_key(by));
        let at = self.seat.chain().head();
        for orphan in self.orphans.iter().filter(|orphan| orphan.roster == at) {
            self.seat.hear_signature(&orphan.by);
        }
    }

    /// Whoever said last that they are on a roster without us is gone, whatever their signatures don't prove any more.
    pub(super) fn stand_by_words(&mut self, ctx: &Ctx<'_>) {
        self.hear_heads_again(ctx, |seat, by, at| seat.chain().roster(&at).is_none() && !seat.left().contains_key(by));
    }

    fn hear_heads_again(&mut self, ctx: &Ctx<'_>, counts: impl Fn(&Seat, &PeerId, RosterHash) -> bool) {
        for (by, (_, at)) in &self.heads {
            if counts(&self.seat, by, *at) {
                self.seat.hear_head(*by, *at, ctx.scheme);
            }
        }
    }

    /// A member that was behind is on our roster: what it heard before of what is being decided here meant nothing to it.
    fn caught_up(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        let Some(reader) = self.readers.get_mut(&peer) else { return };
        if std::mem::take(&mut reader.behind) {
            self.open_decisions().into_iter().for_each(|message| ctx.tell_peer(&peer, message));
        }
    }
}
