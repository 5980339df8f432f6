//! Bugs that are put in on purpose, so that the simulator and the model check can be seen to catch each of them.
//!
//! Nothing of this is in a build without the feature `planted`, which no release has: [`is`] is `false` then, known when
//! compiling. With it, one bug at a time is switched on, for one thread.

/// A bug that was left out, and can be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A yes to one knock is taken for a yes to any knock of the same newcomer.
    ConsentForAnyKnock,
    /// A second yes over one roster is signed while the first is alive.
    TwoAdmissions,
    /// A complete step is adopted although a later signature of one's own is alive.
    AdoptedAgainstLater,
    /// What a head says has no effect.
    NoHeads,
    /// An entry is given to whoever has a link.
    AudienceIgnored,
    /// What is to be kept is sent first.
    SentBeforeSynced,
    /// A client forgets at its restart what it had received.
    DedupeForgotten,
    /// What an entry had seen is not waited for.
    SeenNotAwaited,
    /// How deep an entry stands is believed, whatever it names.
    DepthBelieved,
    /// Whoever signed a step was who had to.
    VotersFromMessage,
    /// The signature under a consent is not looked at.
    ConsentUnchecked,
    /// A knock counts at any roster, not only at the one it names.
    UnboundKnock,
    /// Nobody departs alone.
    NoDeparting,
    /// What a client has signed is forgotten at its restart.
    Forgetful,
    /// Whoever knocks through a member is told where it is before anybody has agreed.
    AddressesAtTheDoor,
}

impl Bug {
    /// Those that the simulator has to catch; the model check has its own.
    pub const ALL: [Bug; 11] = [
        Bug::ConsentForAnyKnock,
        Bug::TwoAdmissions,
        Bug::AdoptedAgainstLater,
        Bug::NoHeads,
        Bug::AudienceIgnored,
        Bug::SentBeforeSynced,
        Bug::DedupeForgotten,
        Bug::SeenNotAwaited,
        Bug::DepthBelieved,
        Bug::VotersFromMessage,
        Bug::ConsentUnchecked,
    ];

    /// Those that the simulator has to catch in rooms without a server.
    pub const SERVERLESS: [Bug; 5] =
        [Bug::AddressesAtTheDoor, Bug::TwoAdmissions, Bug::NoHeads, Bug::AudienceIgnored, Bug::ConsentUnchecked];
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether this bug is switched on in this thread.
#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is switched on: never in this build.
#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}

/// Switches a bug on in this thread, or all of them off.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}
