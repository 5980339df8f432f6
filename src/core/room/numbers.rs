//! Our own numbers: whoever lost their database must not use a number of their log again, and others remember it.
//!
//! In a room entered with an empty own log nothing is written before the linked members have said how far they have it,
//! and have given it back; a member that claims more than it gives delays this by ten seconds. The same goes for a log that is known to
//! have been longer, or of which a member has more: what is on our disk may be an older copy.
//!
//! What is said meanwhile waits on disk, and so does the fact that the own log is not whole: after a restart in the middle of it the first
//! numbers are here, and the next ones are used all the same.

use super::{Ctx, Room};
use crate::core::event::{Event, Failure};
use crate::core::io::Change;
use crate::core::log::Taken;
use crate::identity::PeerId;
use crate::limits::{SEQ_MAX, TEXT_BYTES_MAX, TEXTS_WAITING_MAX};
use crate::wire::Body;

/// Milliseconds after which we write, whatever others said: most newcomers never had a log here.
const LEVEL_WITHIN_MS: u64 = 10_000;

/// And after the first link, where there was more of our log than is here: the others link within moments of each other.
const ALL_LINK_WITHIN_MS: u64 = 5_000;

/// And where somebody has just linked, to say what they have.
const ASKS_WITHIN_MS: u64 = 1_000;

/// Milliseconds for which what has come of our own log may wait for what it names.
const HELD_WITHIN_MS: u64 = 300_000;

/// What waits until the own log is as long as anybody remembers it.
#[derive(Debug, Clone, Default)]
pub(super) struct Unlevel {
    /// When the waiting ends in any case.
    until: u64,
    /// What was said meanwhile.
    texts: Vec<Body>,
    /// Whether the store knows that something waits.
    kept: bool,
    /// Whether there was more of it than is here, for all we know, so that one member's word is not enough.
    suspected: bool,
    /// Whether anybody is linked, whom the others are waited for with.
    met: bool,
    /// When what has come of it is not waited for any more that waits for what it names.
    held_until: Option<u64>,
    /// When those are not waited for any more who are linked and have not said what they have.
    asks_until: Option<u64>,
    /// Whether it is only a member's word that there is more.
    by_word: bool,
}

impl Room {
    /// We are in, and have no log of our own: others may remember one.
    pub(super) fn await_own_log(&mut self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        if self.unlevel.is_none() && self.log.head_seq(&me) > 0 && !self.log.was_longer(&me) {
            return;
        }
        let was_longer = self.log.was_longer(&me);
        let unlevel = self.unlevel.get_or_insert_default();
        unlevel.suspected |= was_longer;
        unlevel.until = ctx.now.after_ms(LEVEL_WITHIN_MS);
        let texts = unlevel.texts.clone();
        self.tell_waiting(ctx, &texts);
        if self.others(&ctx.me()).is_empty() {
            self.unlevel_over(ctx);
        }
    }

    /// A member says that they have our log up to this number, and it is the `first` that they say on this link. Whoever has more of it than we
    /// remembers what we forgot: this may be an older copy of what was on our disk. Each is believed once, so that nobody keeps us from writing.
    pub(super) fn doubt_own_log(&mut self, ctx: &mut Ctx<'_>, by: &PeerId, has: u64, first: bool) {
        let me = ctx.me();
        let is_more = has > self.log.head_seq(&me) && has <= SEQ_MAX && !self.log.is_accused(&me);
        if !is_more || !(first || self.unlevel.is_some()) || !self.remembered_more.insert(*by) {
            return;
        }
        let until = ctx.now.after_ms(LEVEL_WITHIN_MS);
        if let Some(unlevel) = &mut self.unlevel {
            unlevel.until = unlevel.until.max(until);
        } else {
            self.unlevel = Some(Unlevel { until, kept: true, met: true, by_word: true, ..Unlevel::default() });
            ctx.persist(Change::Outbox { room: self.id(), texts: Vec::new() });
        }
    }

    /// Puts back what waited when this client stopped, or lost its seat, before its own log was whole.
    pub fn recall_outbox(&mut self, texts: Vec<Body>) {
        self.unlevel = Some(Unlevel { until: u64::MAX, texts, kept: true, suspected: true, ..Unlevel::default() });
    }

    /// What still waits, if the store knows that something does.
    pub(super) fn take_outbox(&mut self) -> Option<Vec<Body>> {
        self.unlevel.take().filter(|unlevel| unlevel.kept).map(|unlevel| unlevel.texts)
    }

    /// Nobody can remember a log of ours: our key was made a moment ago.
    pub fn own_log_is_known(&mut self) {
        self.unlevel = None;
    }

    /// Says texts, and what else is said, as soon as their numbers are sure.
    pub fn say(&mut self, ctx: &mut Ctx<'_>, texts: Vec<Body>) {
        match &mut self.unlevel {
            None => self.write(ctx, texts),
            Some(unlevel) if unlevel.texts.len() + texts.len() <= TEXTS_WAITING_MAX => {
                unlevel.texts.extend(texts.iter().cloned());
                unlevel.kept = true;
                self.tell_waiting(ctx, &texts);
                ctx.persist(Change::Outbox { room: self.id(), texts });
            }
            Some(_) => {
                let why = format!("{TEXTS_WAITING_MAX} texts wait for the members already");
                ctx.tell(Event::Failed(Failure::NotKept { why }));
            }
        }
    }

    /// Shows texts as waiting.
    fn tell_waiting(&self, ctx: &mut Ctx<'_>, texts: &[Body]) {
        let texts: Vec<String> = texts.iter().filter_map(Body::as_text).map(str::to_owned).collect();
        if !texts.is_empty() {
            ctx.tell(Event::Waits { room: self.name.clone(), texts });
        }
    }

    /// The beginning of our own log has come back: the store has to know that it is not all, before it has it.
    pub(super) fn note_own_log(&mut self, ctx: &mut Ctx<'_>, taken: &[Taken]) {
        let (me, room) = (ctx.me(), self.id());
        let Some(unlevel) = self.unlevel.as_mut() else { return };
        if taken.iter().any(|taken| taken.kept.entry.author == me) {
            // Nobody but us can have signed it: as long as more of it comes, it is waited for.
            unlevel.until = unlevel.until.max(ctx.now.after_ms(LEVEL_WITHIN_MS));
            if !std::mem::replace(&mut unlevel.kept, true) {
                ctx.persist(Change::Outbox { room, texts: Vec::new() });
            }
        }
    }

    /// Something that says how long our log is has come, or the time is over: what waited is written.
    pub fn level_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.unlevel.is_none() {
            return;
        }
        let me = ctx.me();
        let (own, others) = (self.log.head_seq(&me), self.others(&me));
        // Whoever has got the beginning of a log back knows that there was one, and waits for somebody to ask for the rest.
        let (nobody, is_held) = (self.readers.is_empty(), self.log.has_waiting(&me));
        let all_asked = self.readers.values().all(|reader| reader.asked);
        let Some(unlevel) = self.unlevel.as_mut() else { return };
        let had_one = own > 0 || unlevel.suspected;
        if unlevel.suspected && !nobody && !std::mem::replace(&mut unlevel.met, true) {
            // The others may be about to link, and know more than the first.
            unlevel.until = ctx.now.after_ms(ALL_LINK_WITHIN_MS);
        }
        if unlevel.until <= ctx.now.mono_ms {
            if nobody && had_one && !others.is_empty() {
                // Whoever links next is heard, and those who link with them.
                (unlevel.until, unlevel.suspected, unlevel.met) = (ctx.now.after_ms(LEVEL_WITHIN_MS), true, false);
                unlevel.asks_until = None;
                return;
            }
            let held_until = *unlevel.held_until.get_or_insert(ctx.now.after_ms(HELD_WITHIN_MS));
            if is_held && !nobody && ctx.now.mono_ms < held_until {
                unlevel.until = ctx.now.after_ms(LEVEL_WITHIN_MS);
                return;
            }
            let asks_until = *unlevel.asks_until.get_or_insert(ctx.now.after_ms(LEVEL_WITHIN_MS));
            if unlevel.suspected && !all_asked && ctx.now.mono_ms < asks_until {
                // Whoever has linked just now is about to say what they have.
                unlevel.until = ctx.now.after_ms(ASKS_WITHIN_MS);
                return;
            }
            if !unlevel.by_word {
                // Nobody has said whom they were for; the numbers are used all the same.
                self.log.take_own_anyway();
            }
            return self.unlevel_over(ctx);
        }
        let level = !nobody
            && all_asked
            && self.readers.values().all(|reader| reader.has(&me) <= own)
            && (!unlevel.suspected || others.iter().all(|peer| self.readers.contains_key(peer)));
        if level {
            self.unlevel_over(ctx);
        }
    }

    fn unlevel_over(&mut self, ctx: &mut Ctx<'_>) {
        let Some(unlevel) = self.unlevel.take() else { return };
        self.replay_early(ctx);
        if unlevel.kept {
            // In one transaction with the entries that they become.
            ctx.persist(Change::OutboxEmpty { room: self.id() });
        }
        if !unlevel.texts.is_empty() {
            self.write(ctx, unlevel.texts);
        }
    }

    /// Whether our own log may be longer than it is here.
    pub(super) fn is_unlevel(&self) -> bool {
        self.unlevel.is_some()
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
