//! What is said: the shapes of every message, signed or not, and how they become bytes.
//!
//! Never does any IO and decides nothing. Shapes have no behaviour beyond being built, encoded and decoded; what follows
//! from them stands in [`crate::core`]. The whole protocol in words, for a second implementation:
#![doc = include_str!("PROTOCOL.md")]

mod bounded;
mod codec;
mod content;
mod entry;
mod kind;
mod peer;
#[cfg(test)]
mod pinned;
mod private;
mod record;
mod rendezvous;
mod run;
mod ticket;

pub use bounded::{Bytes, Few, Text, TooMany};
pub use codec::{DecodeError, FRAME_HEADER_BYTES, Message, decode, encode, encoded_len, frame, frame_body_bytes};
pub use content::{Content, NoSign, check_sign};
pub use entry::{Body, BodyKind, Entry, EntryId};
pub use kind::{FromServerKind, PeerKind, ToServerKind};
pub use peer::PeerMessage;
pub use private::{Carry, Letter, Parcel, Private, PrivateId, Sealed, SealingKey, Series};
pub use record::{
    Consent, Decision, Deletion, Drop, DropReason, Genesis, Head, Hello, KEY_START_BYTES, Knock, LinkState, Member,
    Proposal, ProposalHash, Reform, RoomId, Roster, RosterHash, Settings, Step,
};
pub use rendezvous::{Admission, FromServer, KnockEnd, KnockPhase, RefusalCode, RoomLine, RoomShown, ToServer};
pub use run::{Run, Tip};
pub use ticket::{Invitation, KeyTag, Pass, RoomTag, Ticket, TicketError, TicketHost, TicketServer};

/// The ALPN protocol name (RFC 7301) between a client and a rendezvous; another version is another name.
pub const ALPN_RENDEZVOUS: &[u8] = b"p2pchat-rdv/1";

/// The ALPN protocol name between two peers.
pub const ALPN_PEER: &[u8] = b"p2pchat-peer/1";

/// The ALPN protocol name between a newcomer and a member that it knocks at: the same messages as with a rendezvous, and the
/// member's own certificate.
pub const ALPN_HOST: &[u8] = b"p2pchat-host/1";
