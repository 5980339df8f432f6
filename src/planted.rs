//! Faults planted on purpose, so that a checker can show that it would find them: the cargo feature `planted` compiles the
//! switch in, and without it every question here is answered `false` at compile time.
//!
//! Never part of a program that is given to people: nothing turns the feature on but tests.

/// A rule of DESIGN.md §4, left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// A knock counts at any roster, not only at the one it names (rule 2).
    UnboundKnock,
    /// Any number of yeses over one roster are alive at once (rule 4).
    TwoLive,
    /// A complete step is adopted although a later signature of one's own is alive (rule 5).
    AgainstLater,
    /// What members say about the roster they are on is not heeded (rule 7).
    NoHeads,
    /// Nobody departs alone (rule 8).
    NoDeparting,
    /// What was signed is forgotten when a program starts again (rule 4).
    Forgetful,
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault in whatever this thread does from now on, or takes it out.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this fault is planted.
#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this fault is planted: never, in this build.
#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}
