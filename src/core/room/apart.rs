//! Two halves of a room that no rule brings together: both have company, and each counts of the other only whom it knows
//! (DESIGN.md §4 rule 10). A server keeps the room's name for one of them. The people in the other one are told, and decide.

use super::{Ctx, Room};
use crate::core::event::Event;
use crate::core::time::Now;

/// Milliseconds for which the server has to be with others before people are told: by then those halves have met that meet by
/// themselves.
const TOLD_AFTER_MS: u64 = 180_000;

/// What a room knows of where its server is.
#[derive(Debug, Default)]
pub(in crate::core) struct Apart {
    /// Whether the server is on a roster that we don't know, or keeps another room of this name.
    pub elsewhere: bool,
    /// Since when it has been on such a roster, as far as we heard; losing the server is no news of it.
    since: Option<u64>,
    /// Whether people were told.
    told: bool,
}

impl Room {
    /// The server is on a roster that we don't know.
    pub fn server_is_elsewhere(&mut self, now: Now) {
        self.apart.elsewhere = true;
        self.apart.since.get_or_insert(now.mono_ms);
    }

    /// The server is on our roster; whether it was on another one that we don't know.
    pub fn server_is_here(&mut self) -> bool {
        std::mem::take(&mut self.apart).elsewhere
    }

    /// The server keeps another room of this name; whether that is news.
    pub fn name_is_anothers(&mut self) -> bool {
        !std::mem::replace(&mut self.apart, Apart { elsewhere: true, ..Apart::default() }).elsewhere
    }

    /// The server is on a roster of our own way.
    pub fn server_follows(&mut self) {
        (self.apart.since, self.apart.told) = (None, false);
    }

    /// Whether people were told that the server keeps the room for others, and may go there.
    pub fn is_apart(&self) -> bool {
        self.apart.elsewhere && self.apart.told
    }

    /// When people are to be told.
    pub(super) fn apart_due(&self) -> Option<u64> {
        let since = self.apart.since.filter(|_| self.apart.elsewhere && !self.apart.told);
        since.map(|since| since.saturating_add(TOLD_AFTER_MS))
    }

    /// Time passed: tells people that the server has kept the room for others all along.
    pub fn tell_apart_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.apart_due().is_some_and(|due| due <= ctx.now.mono_ms) {
            self.apart.told = true;
            ctx.tell(Event::Apart { room: self.name.clone() });
        }
    }
}
