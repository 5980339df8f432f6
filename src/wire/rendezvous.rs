//! What clients and a rendezvous say to each other. The server's word is only ever a claim: what must hold is signed by
//! the members, and the members check it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::codec::messages;
use super::kind::{FromServerKind, ToServerKind};
use super::{
    Consent, Deletion, Drop, Few, Genesis, Hello, Knock, Pass, Proposal, ProposalHash, RoomId, RoomTag, Roster,
    RosterHash, Step, Text,
};
use crate::identity::{Name, PeerId, RoomName, Signature, Signed};
use crate::limits::{
    CANDIDATES_MAX, PASSWORD_BYTES_MAX, PEOPLE_LISTED_MAX, REASON_BYTES_MAX, ROOM_SIZE_MAX, ROOMS_LISTED_MAX,
};

messages! {
    /// From a client to a rendezvous.
    ToServer by ToServerKind {
        /// First of all: who I am, and the password where one is asked for.
        Hello((Signed<Hello>, Option<Text<PASSWORD_BYTES_MAX>>)),
        /// Which rooms are there? Answered with [`FromServer::Rooms`].
        List(()),
        /// Keep this room. Answered with [`FromServer::Shown`] or a refusal.
        Create(Signed<Genesis>),
        /// Which roster is the room of this name on? Answered with [`FromServer::Shown`] or a refusal.
        LookUp(RoomName),
        /// Pass this on to every member of the roster it names.
        Knock(Signed<Knock>),
        /// I no longer want in.
        Withdraw((RoomId, ProposalHash)),
        /// I am a member of this room, at this roster.
        Attach((RoomId, RosterHash)),
        /// The answer to [`FromServer::Unknown`]: the room as I hold it.
        Restore((Signed<Genesis>, Roster)),
        /// How the room moved while you did not see it.
        Step((RoomId, Step)),
        /// Pass this proposal on to the members.
        Drop(Drop),
        /// Pass this answer on to the members.
        Consent(Signed<Consent>),
        /// Where I can be reached, for the members of this roster only.
        Candidates((RoomId, RosterHash, Few<SocketAddr, CANDIDATES_MAX>)),
        /// My link to this member broke.
        Report((RoomId, PeerId)),
        /// Forget the room.
        Delete(Signed<Deletion>),
        /// I leave: if I was the last one, forget the room; if not, my drop of all others is my leaving.
        Close(RoomId),
        /// Instead of a hello: I only look, as nobody, and may list, look up, and delete what I sign. With the password
        /// where one is asked for. A key stays free for the client that chats under it.
        Visit(Option<Text<PASSWORD_BYTES_MAX>>),
        /// To a member: which roster is the room of this name and tag on? With the pass of its ticket, unless I had a seat.
        /// Answered as [`ToServer::LookUp`].
        Ask((RoomName, RoomTag, Option<Pass>)),
        /// What should I know about you, to examine the network between us? Answered with [`FromServer::Surveyed`].
        Survey(()),
    }
}

messages! {
    /// From a rendezvous to a client.
    FromServer by FromServerKind {
        /// You are logged in; this is where I see you.
        Welcome(SocketAddr),
        /// No, and why; about this room, if about one.
        Refused((Option<RoomName>, RefusalCode, Text<REASON_BYTES_MAX>)),
        /// The rooms, and the people who chose to be listed.
        Rooms((Few<RoomLine, ROOMS_LISTED_MAX>, Few<Name, PEOPLE_LISTED_MAX>)),
        /// The room, as much as somebody outside may know.
        Shown(RoomShown),
        /// How your knock stands.
        KnockState((ProposalHash, KnockPhase)),
        /// Your knock is over, without an admission.
        KnockOver((ProposalHash, KnockEnd)),
        /// You are in, and here is the proof.
        Admitted(Admission),
        /// Somebody knocks at your room; the milliseconds left to answer.
        Knock((Signed<Knock>, u32)),
        /// Somebody proposes a drop.
        Drop(Drop),
        /// Somebody answered.
        Consent(Signed<Consent>),
        /// How the room moved while you were away.
        Step((RoomId, Step)),
        /// The roster I know the room to be on, in answer to an attach or after a change.
        RosterIs((RoomId, RosterHash)),
        /// I don't know this room: restore it.
        Unknown(RoomId),
        /// Where another member can be reached; the first address is where I see them.
        Introduce((RoomId, PeerId, Few<SocketAddr, CANDIDATES_MAX>)),
        /// Whether another member is connected to me.
        Presence((RoomId, PeerId, bool)),
        /// A member reports that their link to another broke: about whom, by whom.
        Reported((RoomId, PeerId, PeerId)),
        /// The creator deleted the room.
        Deleted(Signed<Deletion>),
        /// The port of mine where I answer too, if there is one; and my clock, in milliseconds since 1970. From where two of
        /// a client's connections come, to both ports from one socket, tells what kind of router it is behind (RFC 4787 §4.1).
        Surveyed((Option<u16>, u64)),
        /// I see you somewhere else now than where I told you last: you have moved, or your router has.
        Observed(SocketAddr),
    }
}

/// A line of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomLine {
    /// What it is called.
    pub name: RoomName,
    /// Members now.
    pub members: u16,
    /// Most members.
    pub size: u16,
    /// Whether somebody is knocking right now.
    pub knocking: bool,
}

/// What somebody outside may know of a room: hashes and counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomShown {
    /// What it is called.
    pub name: RoomName,
    /// Its id, which the genesis must hash to when it is shown later.
    pub room: RoomId,
    /// The roster to knock at.
    pub roster: RosterHash,
    /// Members now.
    pub members: u16,
    /// Members connected to this server now.
    pub online: u16,
    /// Most members.
    pub size: u16,
    /// Seconds that members have to answer.
    pub consent_timeout_s: u16,
}

/// How a knock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnockPhase {
    /// Others are before it.
    Waiting {
        /// How many.
        ahead: u16,
    },
    /// The members were asked.
    Open {
        /// Members who said yes.
        yes: u16,
        /// Members who must.
        of: u16,
        /// Milliseconds until silence is a no.
        left_ms: u32,
    },
}

/// How a knock ended other than in an admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnockEnd {
    /// A member said no.
    Denied,
    /// A member did not answer in time.
    Expired,
    /// The room is on another roster now: look it up and knock anew.
    Stale,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// The password is missing or wrong.
    Password,
    /// Another key has this name here, or one that looks like it.
    NameTaken,
    /// No room of this name.
    NoSuchRoom,
    /// A room of this name, or one that looks like it, is here already.
    RoomExists,
    /// As many members as the room's size allows.
    RoomFull,
    /// No member is connected, so nobody could answer.
    NobodyThere,
    /// Only the creator may do that.
    NotCreator,
    /// Only a member may do that.
    NotMember,
    /// Too many of them, or too fast: later.
    TooMany,
    /// The request makes no sense to this server.
    Invalid,
}

/// Everything a newcomer needs to see for itself that it is in.
///
/// The roster before must hash to what the knock names, the genesis to the room id, and every member of that roster must
/// have signed a yes to that knock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// What the room is.
    pub genesis: Signed<Genesis>,
    /// The roster that was knocked at.
    pub roster: Roster,
    /// The newcomer's own knock.
    pub knock: Signed<Knock>,
    /// The yes-signatures of all members of that roster, in its order.
    pub signatures: Few<Signature, { ROOM_SIZE_MAX as usize }>,
}

impl Admission {
    /// As a step from the roster that was knocked at.
    pub fn step(&self) -> Step {
        Step { proposal: Proposal::Admit(self.knock.clone()), signatures: self.signatures.clone() }
    }
}
