//! Time as the core sees it: handed in, never asked for.

/// One moment, as read by whoever drives the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Milliseconds on a clock that never goes back; its zero means nothing.
    pub mono_ms: u64,
    /// Milliseconds since 1970 by the machine's clock, which may jump. Only shown, never decided by.
    pub wall_ms: u64,
}

impl Now {
    /// The monotonic moment `ms` milliseconds later, at the end of time at the latest.
    pub fn after_ms(&self, ms: u64) -> u64 {
        self.mono_ms.saturating_add(ms)
    }

    /// The monotonic moment `s` seconds later.
    pub fn after_s(&self, s: u64) -> u64 {
        self.after_ms(s.saturating_mul(1000))
    }
}

/// Milliseconds from now until a monotonic moment; 0 if it is past.
pub fn left_ms(now: Now, at: u64) -> u64 {
    at.saturating_sub(now.mono_ms)
}

/// Whole seconds left, rounded up, as people count.
pub fn left_s(now: Now, at: u64) -> u64 {
    left_ms(now, at).div_ceil(1000)
}

/// How much of something was spent since when, where so much is allowed in each span of time.
#[derive(Debug, Clone, Default)]
pub struct Allowance {
    /// Since when, in milliseconds.
    since: u64,
    /// How much.
    spent: usize,
}

impl Allowance {
    /// Whether so much more may be spent, of `most` in each `span_ms`. What may not is spent all the same: nothing smaller slips through after it.
    pub fn takes(&mut self, now: Now, amount: usize, most: usize, span_ms: u64) -> bool {
        if now.mono_ms >= self.since.saturating_add(span_ms) {
            *self = Allowance { since: now.mono_ms, spent: 0 };
        }
        self.spent += amount;
        self.spent <= most
    }
}
