//! The one table of message numbers, a column for each direction.
//!
//! A number, once released, is never used for anything else; a retired one stays here with the version that retired it.

/// From a client to a rendezvous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is explained at the variant of `ToServer` it numbers")]
pub enum ToServerKind {
    Hello = 1,
    List = 2,
    Create = 3,
    LookUp = 4,
    Knock = 5,
    Withdraw = 6,
    Attach = 7,
    Restore = 8,
    Step = 9,
    Drop = 10,
    Consent = 11,
    Candidates = 12,
    Report = 13,
    Delete = 14,
    Close = 15,
    Visit = 16,
    Survey = 17,
    Ask = 30,
}

/// From a rendezvous to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is explained at the variant of `FromServer` it numbers")]
pub enum FromServerKind {
    Welcome = 1,
    Refused = 2,
    Rooms = 3,
    Shown = 4,
    KnockState = 5,
    KnockOver = 6,
    Admitted = 7,
    Knock = 8,
    Drop = 9,
    Consent = 10,
    Step = 11,
    RosterIs = 12,
    Unknown = 13,
    Introduce = 14,
    Presence = 15,
    Reported = 16,
    Deleted = 17,
    Observed = 18,
    Surveyed = 19,
}

/// Between peers, both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is explained at the variant of `PeerMessage` it numbers")]
pub enum PeerKind {
    Head = 1,
    Step = 2,
    Knock = 3,
    Drop = 4,
    Consent = 5,
    Frontier = 6,
    Run = 7,
    Candidates = 9,
    Bye = 10,
    Want = 11,
    Floor = 12,
    Trace = 13,
    Past = 14,
    Lacks = 19,
    Reform = 20,
    LinkState = 21,
    Pull = 22,
    Arrived = 23,
    Private = 24,
    Carry = 25,
    Holes = 26,
    Seen = 30,
    Introduce = 31,
}
