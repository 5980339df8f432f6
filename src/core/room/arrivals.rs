//! Who has what is told to its author also by members without a link to them: each hands it to the next on the way, gathered.
//!
//! It is hearsay, for the eye alone: nothing is kept or sent because of it, and it says nothing about members that the
//! author has a link with, whose own word counts.

use super::{Ctx, Room};
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::wire::{Few, PeerMessage};

/// Milliseconds for which news is gathered before it is handed on: some lines of a lively room, and no longer than people
/// wait before they wonder.
const GATHER_MS: u64 = 500;

impl Room {
    /// We have something new of an author.
    pub(super) fn note_arrival(&mut self, ctx: &Ctx<'_>, author: PeerId) {
        if author != ctx.me() && !self.readers.contains_key(&author) {
            self.hand_on(ctx.now, author, ctx.me(), self.log.head_seq(&author));
        }
    }

    fn hand_on(&mut self, now: Now, author: PeerId, reader: PeerId, seq: u64) {
        let known = self.arrivals.entry(author).or_default().entry(reader).or_default();
        *known = seq.max(*known);
        self.arrivals_at.get_or_insert(now.after_ms(GATHER_MS));
    }

    /// A member tells how far others have an author's log.
    pub fn on_arrived(&mut self, ctx: &mut Ctx<'_>, from: PeerId, author: PeerId, readers: &[(PeerId, u64)]) {
        let me = ctx.me();
        let others = readers.iter().filter(|(reader, _)| *reader != me && *reader != author);
        let others: Vec<(PeerId, u64)> = others.filter(|(reader, _)| self.has(reader)).copied().collect();
        if author != me {
            // Back where it came from it would go to and fro until both know the same links.
            if self.has(&author) && self.web.way(&me, &author).is_some_and(|way| way != from) {
                others.into_iter().for_each(|(reader, seq)| self.hand_on(ctx.now, author, reader, seq));
            }
            return;
        }
        let head = self.log.head_seq(&me);
        let mut news: Option<(u64, u64)> = None;
        for (reader, seq) in others.into_iter().filter(|(reader, _)| !self.readers.contains_key(reader)) {
            let (before, now) = (self.delivered.get(&reader).copied().unwrap_or(0), seq.min(head));
            if now > before {
                self.delivered.insert(reader, now);
                news = Some(news.map_or((before, now), |(low, high)| (low.min(before), high.max(now))));
            }
        }
        if let Some((after, up_to)) = news {
            self.tell_delivered(ctx, after, up_to);
        }
    }

    /// Time passed: hands on what was gathered.
    pub fn arrivals_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.arrivals_at.take_if(|at| *at <= ctx.now.mono_ms).is_none() {
            return;
        }
        let room = self.id();
        for (author, readers) in std::mem::take(&mut self.arrivals) {
            if let Some(way) = self.web.way(&ctx.me(), &author) {
                ctx.tell_peer(&way, PeerMessage::Arrived((room, author, Few::first_of(readers))));
            }
        }
    }
}
