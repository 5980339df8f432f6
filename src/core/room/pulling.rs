//! Pulling: what others have by their frontiers, and whoever was to give it has not, is asked for, of one of them at a time
//! (DESIGN.md §5). It repairs whatever the way of the entries missed: links that were lost, members who were away.

use std::collections::BTreeMap;

use super::{Ctx, Room};
use crate::core::overlay::graph::rank;
use crate::identity::PeerId;
use crate::wire::{Few, PeerMessage};

/// Milliseconds without progress before somebody is asked for a log whose author we have no link with: most often it is on its
/// way.
const PULL_AFTER_MS: u64 = 500;

/// And for one of an author we have a link with, who sends anew by then what was lost.
const PULL_AFTER_AUTHOR_MS: u64 = 6_000;

/// Times that this is doubled while nobody's answer helps.
const DOUBLED_MAX: u32 = 6;

/// A log of which others have more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lacking {
    /// How far we had it when last looked.
    head: u64,
    /// Since when.
    since: u64,
    /// How often somebody was asked since then.
    asked: u32,
}

impl Room {
    /// A member says what they have, more of this author than we do.
    pub(super) fn note_lacking(&mut self, ctx: &Ctx<'_>, author: PeerId) {
        let (head, since) = (self.log.head_seq(&author), ctx.now.mono_ms);
        self.lacking.entry(author).or_insert(Lacking { head, since, asked: 0 });
    }

    fn pull_at(&self, author: &PeerId, lacking: &Lacking) -> u64 {
        let wait = if self.readers.contains_key(author) { PULL_AFTER_AUTHOR_MS } else { PULL_AFTER_MS };
        lacking.since.saturating_add(wait << lacking.asked.min(DOUBLED_MAX))
    }

    /// When somebody is to be asked next.
    pub(super) fn pulls_next(&self) -> Option<u64> {
        self.lacking.iter().map(|(author, lacking)| self.pull_at(author, lacking)).min()
    }

    /// Time passed: asks for logs that make no progress. Each member is asked once for all that they say to have; if none of
    /// them gives it, it is not for us.
    pub fn pulls_due(&mut self, ctx: &mut Ctx<'_>) {
        let mut questions: BTreeMap<PeerId, Vec<(PeerId, u64)>> = BTreeMap::new();
        for (author, mut lacking) in std::mem::take(&mut self.lacking) {
            let head = self.log.head_seq(&author);
            let more = self.readers.iter().map(|(peer, reader)| (peer, reader, reader.has(&author)));
            let more = more.filter(|(_, _, has)| *has > head);
            let unasked = more.filter(|(_, reader, has)| reader.pulled.get(&author).is_none_or(|pulled| pulled < has));
            let best = unasked.max_by_key(|(peer, _, has)| (*has, rank(&author, &ctx.me(), peer)));
            let Some((peer, up_to)) = best.map(|(peer, _, has)| (*peer, has)) else { continue };
            if head != lacking.head {
                lacking = Lacking { head, since: ctx.now.mono_ms, asked: 0 };
            } else if self.pull_at(&author, &lacking) <= ctx.now.mono_ms {
                lacking = Lacking { head, since: ctx.now.mono_ms, asked: lacking.asked + 1 };
                questions.entry(peer).or_default().push((author, up_to));
                if let Some(reader) = self.readers.get_mut(&peer) {
                    reader.pulled.insert(author, up_to);
                }
            }
            self.lacking.insert(author, lacking);
        }
        let room = self.id();
        for (peer, logs) in questions {
            ctx.tell_peer(&peer, PeerMessage::Pull((room, Few::first_of(logs))));
        }
    }

    /// A member asks for logs that nobody gives them.
    pub fn on_pull(&mut self, ctx: &mut Ctx<'_>, from: PeerId, logs: &[(PeerId, u64)]) {
        for (author, up_to) in logs.iter().filter(|(author, _)| self.log.author(author).is_some()) {
            if let Some(reader) = self.readers.get_mut(&from) {
                reader.ask_up_to(*author, *up_to.min(&self.log.head_seq(author)));
            }
        }
        self.feed(ctx, from);
        self.tell_nothing(ctx, from, logs);
    }
}
