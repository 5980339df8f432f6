//! Why something could not be done. The sentences about it are the faces' own.

use std::path::PathBuf;

use super::BadSearch;
use crate::identity::{Fingerprint, Name, RoomName};

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Not in this room.
    NotInRoom(RoomName),
    /// Already in it, or knocking at it.
    AlreadyThere(RoomName),
    /// We have a seat in a room of that name already, and have not gone back to it.
    SeatThere(RoomName),
    /// No such knock, or it is over.
    NoSuchKnock,
    /// Several newcomers of one name: answer by id.
    AmbiguousName(Name),
    /// We said yes to somebody else, and that has not been decided yet.
    AnotherDecisionOpen {
        /// Whose knock must end first.
        name: Name,
    },
    /// Our answer to this knock is given already.
    AlreadyAnswered,
    /// Nobody of that name is a member, other than ourselves.
    NoSuchMember(Name),
    /// As many rules as a room may have.
    TooManyRules,
    /// The ticket's time is over.
    TicketExpired(RoomName),
    /// None of the members that could be knocked at answers, so far.
    NoHost,
    /// No such message among those that were shown, or more than one.
    NoSuchMessage,
    /// Only its author may change a message or take it back.
    NotYours,
    /// A reaction must be an emoji or a short word.
    NoSign,
    /// The words to be marked are not those of that member's key.
    OtherWords(Name),
    /// As many private messages wait for this member as may.
    TooManyWaiting(Name),
    /// No such removal, or founding anew, is proposed.
    NothingProposed,
    /// Longer than a message may be.
    TextTooLong {
        /// How long it is, in bytes.
        bytes: usize,
    },
    /// The size limit is not between 2 and 256, or a time limit is out of bounds.
    BadSettings,
    /// The server is not connected, and this needs it.
    NoServer,
    /// The server could not be reached.
    ServerUnreachable {
        /// The server as the user named it.
        server: String,
        /// What the network said.
        why: String,
        /// Whether there is no address of that name to try.
        no_such_name: bool,
    },
    /// The server's certificate is not the remembered one.
    ServerChanged {
        /// The server as the user named it.
        server: String,
        /// The remembered one.
        pinned: Fingerprint,
        /// The one it shows now.
        shown: Fingerprint,
        /// Where the remembered one is kept.
        file: PathBuf,
    },
    /// The person did not accept the server's fingerprint.
    ServerNotTrusted {
        /// The server as the user named it.
        server: String,
    },
    /// The server wants a password, or another one.
    PasswordRefused,
    /// The server refused for a reason of its own.
    ServerRefused {
        /// In the server's words; control characters are escaped already.
        why: String,
    },
    /// The name belongs to another key at this server.
    NameTaken(Name),
    /// Only the creator may delete a room.
    NotCreator(RoomName),
    /// The room has not split, as far as we know: there is no other half to go to.
    NotApart(RoomName),
    /// No room of that name at the server.
    NoSuchRoom(RoomName),
    /// What was said could not be kept, so it was not sent.
    NotKept {
        /// What the disk said.
        why: String,
    },
    /// There is no space for more: what we said was not sent, or what others say is not taken for now.
    NoSpace {
        /// Whether it is about a text of our own.
        own: bool,
        /// Of what there is too little.
        what: Shortage,
    },
    /// What was to be looked for can't be.
    BadSearch(BadSearch),
    /// The history can't be read.
    HistoryUnreadable {
        /// What the disk said.
        why: String,
    },
}

/// What there is too little of for more history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortage {
    /// The disk.
    Disk {
        /// Megabytes that are free.
        free_mb: u64,
    },
    /// What the user lets a room take.
    Room {
        /// Which.
        room: RoomName,
        /// Megabytes.
        mb: u32,
    },
    /// What the user lets one author take in a room.
    Author {
        /// Which room.
        room: RoomName,
        /// Megabytes.
        mb: u32,
    },
}
