//! Our own numbers: whoever lost their database must not use a number of their log again, and others remember it.
//!
//! In a room entered with an empty own log nothing is written before the linked members have said how far they have it,
//! and have given it back; a member that claims more than it gives delays this by ten seconds.

use super::{Ctx, Room};
use crate::core::event::{Event, Failure};
use crate::limits::{TEXT_BYTES_MAX, TEXTS_WAITING_MAX};
use crate::wire::Body;

/// Milliseconds after which we write, whatever others said: most newcomers never had a log here.
const LEVEL_WITHIN_MS: u64 = 10_000;

/// What waits until the own log is as long as anybody remembers it.
#[derive(Debug, Clone)]
pub(super) struct Unlevel {
    /// When the waiting ends in any case.
    until: u64,
    /// What was said meanwhile.
    texts: Vec<Body>,
}

impl Room {
    /// We are in, and have no log of our own: others may remember one.
    pub(super) fn await_own_log(&mut self, ctx: &Ctx<'_>) {
        if self.log.head_seq(&ctx.me()) == 0 && !self.others(&ctx.me()).is_empty() {
            self.unlevel = Some(Unlevel { until: ctx.now.after_ms(LEVEL_WITHIN_MS), texts: Vec::new() });
        }
    }

    /// Nobody can remember a log of ours: our key was made a moment ago.
    pub fn own_log_is_known(&mut self) {
        self.unlevel = None;
    }

    /// Says texts, and what else is said, as soon as their numbers are sure.
    pub fn say(&mut self, ctx: &mut Ctx<'_>, texts: Vec<Body>) {
        match &mut self.unlevel {
            None => self.write(ctx, texts),
            Some(unlevel) if unlevel.texts.len() + texts.len() <= TEXTS_WAITING_MAX => unlevel.texts.extend(texts),
            Some(_) => {
                let why = format!("{TEXTS_WAITING_MAX} texts wait for the members already");
                ctx.tell(Event::Failed(Failure::NotKept { why }));
            }
        }
    }

    /// Something that says how long our log is has come, or the time is over: what waited is written.
    pub fn level_due(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        if self.unlevel.as_ref().is_some_and(|unlevel| unlevel.until <= ctx.now.mono_ms) {
            // Nobody has said whom they were for; the numbers are used all the same.
            self.log.take_own_anyway();
            return self.unlevel_over(ctx);
        }
        let own = self.log.head_seq(&me);
        let level =
            !self.readers.is_empty() && self.readers.values().all(|reader| reader.asked && reader.has(&me) <= own);
        if level {
            self.unlevel_over(ctx);
        }
    }

    fn unlevel_over(&mut self, ctx: &mut Ctx<'_>) {
        let Some(unlevel) = self.unlevel.take() else { return };
        self.replay_early(ctx);
        if !unlevel.texts.is_empty() {
            self.write(ctx, unlevel.texts);
        }
    }

    /// Whether something was said that is not written yet.
    pub(super) fn has_unwritten(&self) -> bool {
        self.unlevel.as_ref().is_some_and(|unlevel| !unlevel.texts.is_empty())
    }

    /// When the waiting for the own log ends.
    pub(super) fn unlevel_due(&self) -> Option<u64> {
        self.unlevel.as_ref().map(|unlevel| unlevel.until)
    }
}

// All that may wait fits in some megabytes.
const _: () = assert!(TEXTS_WAITING_MAX * TEXT_BYTES_MAX <= 8 * 1024 * 1024);
