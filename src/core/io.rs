//! The doors of the core: everything that can come in, everything that can come out.

use std::net::SocketAddr;

use super::acquaintances::Acquaintance;
use super::event::{Command, Event, Rule};
use super::log::{AuthorLog, KeptEntry, Known, Place};
use super::private::KeptConversation;
use crate::identity::{Name, PeerId, RoomName, Signed};
use crate::wire::{
    Body, Consent, EntryId, FromServer, Genesis, KeyTag, Letter, PeerMessage, Proposal, RefusalCode, RoomId, Roster,
    Series, Step, ToServer,
};

/// One connection to a peer; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// One connection of a newcomer who knocks through us; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestId(pub u64);

/// Somebody to knock through: whose key has to answer, and where to look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seek {
    /// Whose key.
    pub key: KeyTag,
    /// Where.
    pub addresses: Vec<SocketAddr>,
}

/// What comes in.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "inputs are handed in one by one, never kept in numbers")]
pub enum Input {
    /// The user wants something. Consecutive texts for one room may come as one [`Input::Say`] instead.
    Command(Command),
    /// The user says these texts, in order, each within the bounds.
    Say {
        /// Where.
        room: crate::identity::RoomName,
        /// What.
        texts: Vec<String>,
    },
    /// The connection to the server stands, and its certificate was accepted; nothing has been said on it yet.
    ServerConnected {
        /// The connection's TLS exporter.
        exporter: [u8; 32],
    },
    /// The server said something.
    FromServer(FromServer),
    /// The connection to the server is gone.
    ServerLost,
    /// A connection to a peer stands; its key was proved by TLS.
    LinkUp {
        /// Who.
        peer: PeerId,
        /// Which life of the peer's program is at the other end; each start begins another one.
        life: [u8; 32],
        /// The connection.
        link: LinkId,
        /// Whether this side dialled.
        dialled: bool,
        /// Where the peer is.
        remote: SocketAddr,
        /// Its round trip, in milliseconds.
        rtt_ms: u32,
    },
    /// A peer said something.
    FromPeer {
        /// Over which connection.
        link: LinkId,
        /// What.
        message: PeerMessage,
    },
    /// A peer sent bytes that are no message; the connection is being closed.
    PeerMalformed {
        /// Over which connection.
        link: LinkId,
    },
    /// A connection to a peer is gone.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// No candidate of a peer answered.
    DialFailed {
        /// Who.
        peer: PeerId,
    },
    /// This client's own addresses.
    Addresses(Vec<SocketAddr>),
    /// The network is another one than before, or this machine slept: links may lead nowhere.
    NetworkChanged,
    /// For a while nothing at all came back on a connection for what was sent.
    LinkSilent {
        /// Which.
        link: LinkId,
    },
    /// The answer to [`Output::Fetch`]: empty when the store has nothing, or could not read.
    Fetched {
        /// Which room.
        room: RoomId,
        /// For whom.
        reader: PeerId,
        /// Whose log.
        author: PeerId,
        /// From which number on they were asked for.
        from: u64,
        /// Entries in a row, oldest first.
        entries: Vec<KeptEntry>,
    },
    /// The answer to [`Output::LookUp`]: nothing is found where the store could not read.
    LookedUp {
        /// Which room.
        room: RoomId,
        /// All that were asked for by id.
        asked: Vec<EntryId>,
        /// Those that the store has.
        found: Vec<(EntryId, Known)>,
    },
    /// A [`Output::Persist`] failed: neither it nor anything behind it was carried out.
    NotKept {
        /// What the disk said.
        why: String,
    },
    /// Somebody connected who may want to knock through us.
    GuestCame {
        /// The connection.
        guest: GuestId,
        /// Where it is seen.
        observed: SocketAddr,
        /// Its TLS exporter, which the hello must name.
        exporter: [u8; 32],
    },
    /// They said something.
    FromGuest {
        /// Over which connection.
        guest: GuestId,
        /// What.
        message: ToServer,
    },
    /// Their connection is gone.
    GuestGone {
        /// Which.
        guest: GuestId,
    },
    /// One of [`Output::SeekHosts`] answered; it takes the server's place as far as knocking goes, until [`Input::ServerLost`].
    HostConnected {
        /// Whose key was proved by TLS.
        host: PeerId,
        /// The connection's TLS exporter.
        exporter: [u8; 32],
    },
    /// The moment asked for by [`super::node::Node::next_wake`] has come.
    Wake,
}

/// What comes out, to be carried out in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Put this on disk before anything behind it.
    Persist(Change),
    /// Say this to the server, if it is connected.
    ToServer(ToServer),
    /// Say this to a peer.
    ToPeer {
        /// Over which connection.
        link: LinkId,
        /// What.
        message: PeerMessage,
    },
    /// Try to connect to a peer at any of these addresses; answered by [`Input::LinkUp`] or [`Input::DialFailed`].
    Dial {
        /// Who.
        peer: PeerId,
        /// Where.
        candidates: Vec<SocketAddr>,
    },
    /// Send what waits, then close a connection.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        why: CloseReason,
    },
    /// Read entries that are no longer in memory: up to 64 of one author in this room, from this number on, of one
    /// audience, ending at a signature.
    Fetch {
        /// Which room.
        room: RoomId,
        /// For whom; comes back with the answer.
        reader: PeerId,
        /// Whose log.
        author: PeerId,
        /// The first number.
        from: u64,
    },
    /// Show texts of this room's history: those with these words in them, or simply the newest.
    Recall {
        /// Which room.
        room: RoomId,
        /// What it is called.
        name: RoomName,
        /// How many at most.
        count: usize,
        /// The words, as they were typed.
        words: Option<String>,
        /// Only those before this text.
        before: Option<(Place, EntryId)>,
    },
    /// Show private messages of this room's history.
    Conversation {
        /// Which room.
        room: RoomId,
        /// What it is called.
        name: RoomName,
        /// The other member.
        with: Name,
        /// Their key.
        key: PeerId,
        /// How many at most.
        count: usize,
    },
    /// Tell what it takes to knock at this room: the server is not the core's to know.
    Invite {
        /// What the room is called.
        name: RoomName,
    },
    /// Say which of these entries are in the store, and where they stand.
    LookUp {
        /// Which room.
        room: RoomId,
        /// Which entries, by id.
        ids: Vec<EntryId>,
        /// Which entries, by author and number.
        numbers: Vec<(PeerId, u64)>,
    },
    /// Something happened.
    Tell(Event),
    /// Say this to a newcomer who knocks through us.
    ToGuest {
        /// Over which connection.
        guest: GuestId,
        /// What.
        message: FromServer,
    },
    /// Send what waits, then end a newcomer's connection.
    SendAway {
        /// Which.
        guest: GuestId,
        /// Why.
        why: RefusalCode,
    },
    /// Be connected to one of these, in the order in which they are to be tried; with none, end such a connection. Replaces what
    /// was said before.
    SeekHosts(Vec<Seek>),
    /// The server will not have us: stop trying.
    GiveUpServer,
    /// All is done: close everything and end.
    End,
}

/// Why this side closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// There is a better one to the same peer.
    Duplicate,
    /// The peer shares no room with us.
    NotMember,
    /// We have other neighbours, in a room where not everybody has a link with everybody.
    Surplus,
    /// We are leaving.
    GoingAway,
}

/// What is kept, for good.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A room was entered: its genesis, and the roster this client's chain begins with.
    Entered {
        /// What it is.
        genesis: Signed<Genesis>,
        /// Where the chain begins.
        base: Roster,
    },
    /// A room moved on. Consents over the last [`PASSED_ROSTERS_MAX`](crate::limits::PASSED_ROSTERS_MAX) rosters stay, earlier
    /// ones go.
    Moved {
        /// Which room.
        room: RoomId,
        /// The new roster's number.
        epoch: u64,
        /// How.
        step: Step,
        /// What else this client noted about it.
        note: StepNote,
    },
    /// A consent over the current roster: our own before it is sent (rule 4 hangs on it), and noes of others.
    Consented {
        /// Which room.
        room: RoomId,
        /// To what.
        proposal: Proposal,
        /// The answer.
        consent: Signed<Consent>,
    },
    /// The counter of our newest head.
    HeadCounter {
        /// Which room.
        room: RoomId,
        /// The counter.
        counter: u64,
    },
    /// Entries, in a row, of one author.
    Entries {
        /// Which room.
        room: RoomId,
        /// What.
        entries: Vec<KeptEntry>,
    },
    /// An entry on another branch than its author's log here.
    Forked {
        /// Which room.
        room: RoomId,
        /// What.
        entry: KeptEntry,
    },
    /// How somebody's knocks at a room are answered; it outlives our seat.
    Rule {
        /// Which room.
        room: RoomId,
        /// Whose knocks, or whom we follow.
        key: PeerId,
        /// How; [`Rule::Ask`] is the same as nothing.
        rule: Rule,
    },
    /// Rosters from before the chain, for the audiences of old entries; they outlive our seat.
    Past {
        /// Which room.
        room: RoomId,
        /// Which.
        rosters: Vec<Roster>,
    },
    /// What we know of a key; it outlives every seat.
    Acquaintance {
        /// The room in which it changed.
        room: RoomId,
        /// Whose key.
        key: PeerId,
        /// What we know.
        known: Acquaintance,
    },
    /// A private message of ours, before it is sent.
    PrivateSaid {
        /// Which room.
        room: RoomId,
        /// To whom.
        to: PeerId,
        /// Our own key.
        me: PeerId,
        /// Of which series.
        series: Series,
        /// What.
        letter: Letter,
    },
    /// A private message to us, before it is acknowledged.
    PrivateHeard {
        /// Which room.
        room: RoomId,
        /// From whom.
        from: PeerId,
        /// Our own key.
        me: PeerId,
        /// Of which series.
        series: Series,
        /// What.
        letter: Letter,
    },
    /// Our private messages to a member have arrived.
    PrivateReceived {
        /// Which room.
        room: RoomId,
        /// Whose acknowledgement.
        by: PeerId,
        /// Of which series.
        series: Series,
        /// Up to which number.
        up_to: u64,
    },
    /// Where the other members of a room can be reached, in the place of what was kept before: only a hint, for coming back while
    /// there is no server.
    Addresses {
        /// Which room.
        room: RoomId,
        /// Who, and where.
        addresses: Vec<(PeerId, Vec<SocketAddr>)>,
    },
    /// Our own log of this room is being got back from the members, and these were said meanwhile: they wait until it is whole. With none,
    /// only that it is not whole yet.
    Outbox {
        /// Which room.
        room: RoomId,
        /// What was said, after all that waits already.
        texts: Vec<Body>,
    },
    /// Our own log of this room is whole, as far as anybody remembers, and what waited is in it.
    OutboxEmpty {
        /// Which room.
        room: RoomId,
    },
    /// We are out of a room. Its logs stay: our own must go on where it ended, should we ever come back. So does how it came
    /// to its members, to be looked at.
    Gone {
        /// Which room.
        room: RoomId,
    },
}

/// What the store hands back at the start.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Rooms we are in.
    pub rooms: Vec<KeptRoom>,
    /// Every log, of rooms we were in too.
    pub logs: Vec<(RoomId, PeerId, AuthorLog)>,
    /// Rosters from before each room's chain.
    pub past: Vec<Roster>,
    /// How knocks are answered without asking, by room and key.
    pub rules: Vec<(RoomId, PeerId, Rule)>,
    /// Whom we have met.
    pub acquaintances: Vec<(PeerId, Acquaintance)>,
    /// The newest entries about rooms themselves: topics, who is away.
    pub standing: Vec<KeptEntry>,
    /// Private conversations, by room and the other member.
    pub privates: Vec<(RoomId, PeerId, KeptConversation)>,
    /// Where the members of rooms we are in were reached last.
    pub addresses: Vec<(RoomId, PeerId, Vec<SocketAddr>)>,
    /// What waits until our own log is whole again, by room.
    pub outbox: Vec<(RoomId, Vec<Body>)>,
    /// Whether our key was made at this very start, so that nobody can remember anything that it signed.
    pub newborn: bool,
}

/// What a client noted about a step, by its own clock and for its own eye; nothing follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StepNote {
    /// When it took the step, in milliseconds since 1970.
    pub at_ms: u64,
    /// When it heard each signature, in the step's order; 0 for one that came with the whole step.
    pub heard_ms: Vec<u64>,
    /// Who of those dropped had said that they leave.
    pub left: Vec<PeerId>,
}

/// A room as it was kept.
#[derive(Debug, Clone)]
pub struct KeptRoom {
    /// What it is.
    pub genesis: Signed<Genesis>,
    /// Where the chain begins.
    pub base: Roster,
    /// How it went on.
    pub steps: Vec<(Step, StepNote)>,
    /// Consents over the last roster, and those over the ones before it, oldest first.
    pub consents: Vec<(Proposal, Signed<Consent>)>,
    /// Of our newest head.
    pub head_counter: u64,
}

impl Change {
    /// The room it is about.
    pub fn room(&self) -> RoomId {
        match self {
            Change::Entered { base, .. } => base.room,
            Change::Moved { room, .. }
            | Change::Consented { room, .. }
            | Change::HeadCounter { room, .. }
            | Change::Entries { room, .. }
            | Change::Forked { room, .. }
            | Change::Acquaintance { room, .. }
            | Change::PrivateSaid { room, .. }
            | Change::PrivateHeard { room, .. }
            | Change::PrivateReceived { room, .. }
            | Change::Past { room, .. }
            | Change::Rule { room, .. }
            | Change::Addresses { room, .. }
            | Change::Outbox { room, .. }
            | Change::OutboxEmpty { room }
            | Change::Gone { room } => *room,
        }
    }
}
