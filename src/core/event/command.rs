//! What a person can ask for.

use crate::core::log::Place;
use crate::identity::{Fingerprint, Name, RoomName};
use crate::wire::{Content, EntryId, ProposalHash, Settings, Ticket};

/// What a face asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Say a text in a room, which need not be reachable: it is kept and delivered when somebody is.
    Say {
        /// Where.
        room: RoomName,
        /// What; at most 4 KiB, possibly empty.
        text: String,
    },
    /// Say something else than a plain text in a room: an action, a reply, an edit or taking back of an own entry, a topic, that
    /// we are away or back. Kept and delivered like a text.
    Write {
        /// Where.
        room: RoomName,
        /// What.
        what: Content,
    },
    /// Put a sign under an entry, or take it back if it stands there.
    React {
        /// Where.
        room: RoomName,
        /// Under which.
        to: EntryId,
        /// An emoji or a short word.
        sign: String,
    },
    /// Say a text to one member alone. Nobody else can read it, also where another member has to carry it.
    Private {
        /// In which room we know each other.
        room: RoomName,
        /// To whom.
        to: Name,
        /// Their key, as it was shown: nobody else of that name is meant, then.
        fingerprint: Option<Fingerprint>,
        /// What; at most 4 KiB.
        text: String,
    },
    /// Show the newest private messages with one member once more.
    Conversation {
        /// Which room.
        room: RoomName,
        /// With whom.
        with: Name,
        /// Their key, as it was shown.
        fingerprint: Option<Fingerprint>,
        /// How many at most.
        count: usize,
    },
    /// Hide what somebody says from now on, or show it again. Their knocks and decisions are shown all the same.
    Ignore {
        /// Where they are known by this name.
        room: RoomName,
        /// Whom.
        name: Name,
        /// Whether to hide it.
        on: bool,
    },
    /// Tell all that is known of a member.
    Whois {
        /// Where.
        room: RoomName,
        /// Who.
        name: Name,
    },
    /// Show a member's words and ours, to be read aloud, or note how they compared.
    Verify {
        /// Where.
        room: RoomName,
        /// Who.
        name: Name,
        /// Their words as they were compared; needed to mark the key, so that exactly that key is meant.
        fingerprint: Option<Fingerprint>,
        /// Whether they are the same, for good; `None` only shows them.
        same: Option<bool>,
    },
    /// Tell what a newcomer needs to knock at a room.
    Invite(RoomName),
    /// Let a newcomer in, as far as it is up to us.
    Approve(KnockRef),
    /// Refuse a newcomer, which is final for this knock.
    Deny(KnockRef),
    /// Go on without members, if all others agree: proposes it, or agrees with whoever did.
    Remove {
        /// Where.
        room: RoomName,
        /// Whom.
        who: Vec<Name>,
    },
    /// Refuse to go on without members whom somebody wants to remove.
    Keep {
        /// Where.
        room: RoomName,
        /// Whom.
        who: Vec<Name>,
    },
    /// Found a room anew without some of its members, if all others agree: proposes it, or agrees with whoever did. The way
    /// out when somebody blocks every step of the old one.
    Reform {
        /// Which room.
        room: RoomName,
        /// What the new one is called; another name, since those left behind keep the old one.
        new: RoomName,
        /// Without whom; nobody to agree with a proposal of that new name.
        without: Vec<Name>,
    },
    /// Refuse to found the room anew.
    RefuseReform(RoomName),
    /// How somebody's knocks are answered from now on.
    Remember {
        /// Where.
        room: RoomName,
        /// Who: a newcomer that knocks, or a member, present or past.
        name: Name,
        /// Their key, as it was shown to whoever decides: nobody else of that name is meant, then.
        fingerprint: Option<Fingerprint>,
        /// How.
        rule: Rule,
    },
    /// Tell how knocks are answered without asking.
    Rules(RoomName),
    /// Tell what is being decided, who is awaited, and since when.
    Pending(RoomName),
    /// Tell how the room came to its members: every admission, leave, drop and removal, and who signed it.
    Membership(RoomName),
    /// Found a room and enter it.
    Create {
        /// What it is called.
        room: RoomName,
        /// Most members.
        size: u16,
        /// How it is run.
        settings: Settings,
    },
    /// Knock at a room, or come back to it within the grace.
    Join(RoomName),
    /// Found a room without any server and open it to whoever knocks through us; or come back to it.
    Host {
        /// What it is called.
        room: RoomName,
        /// Most members.
        size: u16,
        /// How it is run.
        settings: Settings,
    },
    /// Knock by a ticket, or come back to the own seat with its help.
    Enter(Ticket),
    /// Show a ticket for a room: whoever has it can knock through us.
    Ticket {
        /// Which room.
        room: RoomName,
        /// Seconds that it holds; for ever if nothing is said.
        expires_in_s: Option<u64>,
    },
    /// Keep our rooms at a server from now on.
    Publish {
        /// As `HOST` or `HOST:PORT`.
        server: String,
    },
    /// Stop knocking, or leave for good.
    Leave(RoomName),
    /// Leave our half of a room that has split, and knock at the other one, which the server keeps.
    Rejoin(RoomName),
    /// Ask the rendezvous for its rooms.
    List,
    /// Tell who is in a room.
    Members(RoomName),
    /// Tell how every member of a room is reached.
    Paths(RoomName),
    /// Ask the rendezvous to forget a room of one's own.
    Delete(RoomName),
    /// Show the newest texts of a room once more.
    Last {
        /// Which room.
        room: RoomName,
        /// How many at most.
        count: usize,
    },
    /// Show the texts of a room that stand right before this place.
    Earlier {
        /// Which room.
        room: RoomName,
        /// Before which text.
        before: (Place, EntryId),
        /// How many at most.
        count: usize,
    },
    /// Show the newest texts of a room in which all these words stand.
    Search {
        /// Which room.
        room: RoomName,
        /// Words; `"some words"` stand together, and `word*` begins one.
        words: String,
        /// How many at most.
        count: usize,
    },
    /// Answer a question that [`super::Event::PinWanted`] asked.
    Pin {
        /// Whether the person accepts the server's fingerprint.
        accept: bool,
    },
    /// Leave every room, see that what was said is delivered, and end.
    Quit,
}

/// Which knock an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnockRef {
    /// By its id, as programs do.
    Id(ProposalHash),
    /// By the newcomer's name in a room, as people do.
    Name {
        /// Which room.
        room: RoomName,
        /// Who.
        name: Name,
    },
}

/// How a key's knocks at one room are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// By asking, each time.
    Ask,
    /// With a yes, until the program ends.
    Session,
    /// With a yes.
    Always,
    /// With a no.
    Never,
    /// Everybody's knocks with a yes, once this member said yes to them.
    Follow,
}
