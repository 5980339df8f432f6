//! The whole surface between the chat and its faces: what a person can ask for, and what can happen.
//!
//! Rooms are named by [`RoomName`] here, since that is what people and other programs say; ids stay below.

mod command;
mod failure;

use std::path::PathBuf;

use super::log::Place;
pub use super::route::{DirectLink, Route};
use crate::identity::{Fingerprint, Name, PeerId, RoomName};
use crate::wire::{EntryId, PrivateId, ProposalHash, Ticket};

pub use super::acquaintances::{OtherKey, Trust};
pub use command::{Command, KnockRef, Rule};
pub use failure::{Failure, Shortage};

/// A member, as shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What they are called in this room.
    pub name: Name,
    /// Who they are.
    pub key: PeerId,
    /// Whether this is the user's own seat.
    pub me: bool,
    /// How they are reached.
    pub path: Path,
    /// How well we know their key; our own is verified.
    pub trust: Trust,
    /// Why they are away, if they say so; possibly empty.
    pub away: Option<String>,
    /// Whether their texts are hidden.
    pub ignored: bool,
}

/// How a member is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Over a link of our own.
    Direct {
        /// Round trip of the link, in milliseconds, once measured.
        rtt_ms: Option<u32>,
    },
    /// Through another member.
    Relayed {
        /// Through whom.
        via: Name,
    },
    /// Not at all, for now.
    None,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The chat is up, whether or not the server was reached.
    Ready {
        /// The user's name.
        name: Name,
        /// The user's key, as words.
        fingerprint: Fingerprint,
        /// Whether nothing that is said or heard stays on disk.
        ephemeral: bool,
        /// The folder of the history.
        data_dir: PathBuf,
    },
    /// The history was damaged. It is set aside, and what could be saved of it is in a new one; what is missing comes again from
    /// the members, as far as they have it.
    HistoryDamaged {
        /// What was wrong.
        why: String,
        /// Where the damaged one is now.
        aside: PathBuf,
        /// How many messages were saved.
        saved: u64,
        /// Whether we still have our seats in rooms.
        seats: bool,
    },
    /// First contact with a server whose certificate nobody vouches for: is this its fingerprint? Nothing is sent before
    /// [`Command::Pin`] answers. Only with faces that can ask.
    PinWanted {
        /// The server as the user named it.
        server: String,
        /// Its certificate's.
        fingerprint: Fingerprint,
        /// Whether it is no server, but a member who hosts.
        member: bool,
    },
    /// The server's certificate is remembered from now on.
    Pinned {
        /// The server as the user named it.
        server: String,
        /// Its certificate's.
        fingerprint: Fingerprint,
        /// Whether it is no server, but a member who hosts.
        member: bool,
    },
    /// Logged in at the server.
    ServerUp {
        /// The server as the user named it.
        server: String,
        /// Whether it is no server, but a member who hosts.
        member: bool,
    },
    /// The server is gone; chats go on, and the client keeps trying.
    ServerDown {
        /// The server as the user named it.
        server: String,
    },
    /// The answer to [`Command::Ticket`].
    Ticket {
        /// For which room.
        room: RoomName,
        /// What to give to whoever is to knock.
        ticket: Ticket,
    },
    /// The answer to [`Command::List`].
    Rooms {
        /// The rooms.
        rooms: Vec<RoomSummary>,
        /// The people online who chose to be listed.
        people: Vec<Name>,
    },
    /// Texts of earlier, out of this client's own history, oldest first. They are no news.
    History {
        /// Where.
        room: RoomName,
        /// Why they are shown.
        why: Recall,
        /// The texts.
        messages: Vec<Recalled>,
        /// How many more there are, all of them earlier.
        more: u64,
    },
    /// Our own knock: again at each change.
    Knocking {
        /// Where.
        room: RoomName,
        /// Members who said yes.
        yes: u16,
        /// Members who must.
        of: u16,
        /// Seconds until silence refuses; `None` while waiting in line.
        expires_in_s: Option<u64>,
        /// Knocks before ours.
        ahead: u16,
    },
    /// Somebody knocks at our room, and is waiting for our answer.
    Knock {
        /// Where.
        room: RoomName,
        /// By which to answer.
        knock: ProposalHash,
        /// What they want to be called: unverified, anybody can choose any name.
        name: Name,
        /// Who they are.
        key: PeerId,
        /// Seconds until our silence is a no.
        expires_in_s: u64,
        /// Members who said yes.
        yes: Vec<Name>,
        /// Members who have not answered, ourselves among them.
        waiting: Vec<Name>,
        /// A member, present or past, of a name that looks like this one but of another key.
        looks_like: Option<Name>,
        /// Whether this key has been in this room before.
        seen_before: bool,
        /// Whether all others went on without them, by decision, when they were in this room last.
        removed_before: bool,
        /// How well we know this key, from any room.
        trust: Trust,
        /// Somebody of another key whom we know by this name: whoever knocks is not them.
        other_key: Option<OtherKey>,
    },
    /// A member has a name by which we know somebody of another key: they are somebody new.
    OtherKey {
        /// Where.
        room: RoomName,
        /// The name here.
        name: Name,
        /// The key here.
        key: PeerId,
        /// Whom we know.
        known: OtherKey,
    },
    /// A member answered a knock; ourselves included.
    Consent {
        /// Where.
        room: RoomName,
        /// Which knock.
        knock: ProposalHash,
        /// Who wanted in.
        name: Name,
        /// Who answered.
        by: Name,
        /// What.
        decision: Answer,
    },
    /// A knock at our room is over, without an admission.
    KnockOver {
        /// Where.
        room: RoomName,
        /// Which knock.
        knock: ProposalHash,
        /// Who wanted in.
        name: Name,
        /// How it ended.
        how: Refusal,
    },
    /// A knock was answered by a rule, without asking.
    AnsweredByRule {
        /// Where.
        room: RoomName,
        /// Which knock.
        knock: ProposalHash,
        /// Who wants in.
        name: Name,
        /// Their key.
        key: PeerId,
        /// Whose rule it was: the newcomer's own, or the member's whom we follow.
        by: Name,
        /// What it said.
        rule: Rule,
    },
    /// Somebody wants to go on without members, and waits for our answer.
    Removal {
        /// Where.
        room: RoomName,
        /// The proposal.
        proposal: ProposalHash,
        /// Without whom.
        names: Vec<Name>,
        /// Who agrees already; the first proposed it.
        yes: Vec<Name>,
        /// Who has not answered, ourselves among them.
        waiting: Vec<Name>,
        /// Seconds until our silence is a no.
        expires_in_s: u64,
    },
    /// A member answered a proposed removal; ourselves included.
    RemovalAnswer {
        /// Where.
        room: RoomName,
        /// The proposal.
        proposal: ProposalHash,
        /// Without whom.
        names: Vec<Name>,
        /// Who answered.
        by: Name,
        /// What.
        decision: Answer,
    },
    /// A proposed removal is over, and nobody was removed.
    RemovalOver {
        /// Where.
        room: RoomName,
        /// The proposal.
        proposal: ProposalHash,
        /// Without whom.
        names: Vec<Name>,
        /// How it ended.
        how: Refusal,
    },
    /// Founding the room anew is proposed, or was answered, or is over: again at each change.
    Reform {
        /// The room.
        room: RoomName,
        /// What the new one would be called.
        new: RoomName,
        /// Who proposed it.
        by: Name,
        /// Who would not be in it.
        without: Vec<Name>,
        /// How it stands.
        state: ReformState,
    },
    /// The answer to [`Command::Rules`].
    Rules {
        /// Where.
        room: RoomName,
        /// Whose knocks are answered how; for [`Rule::Follow`], which member is followed.
        rules: Vec<(Name, PeerId, Rule)>,
    },
    /// Texts of ours wait until our own log has come back from the members; they are shown as messages once they are said.
    Waits {
        /// Where.
        room: RoomName,
        /// What.
        texts: Vec<String>,
    },
    /// The answer to [`Command::Pending`].
    Pending {
        /// Where.
        room: RoomName,
        /// What is being decided.
        open: Vec<Undecided>,
    },
    /// The answer to [`Command::Membership`].
    Membership {
        /// Where.
        room: RoomName,
        /// Oldest first; the first says with whom we came in.
        records: Vec<Record>,
    },
    /// We are in.
    Joined {
        /// Where.
        room: RoomName,
        /// The roster's number in its chain.
        epoch: u64,
        /// Who is in, ourselves included, the most senior first.
        members: Vec<Person>,
        /// Whether we founded the room, knocked, or came back to our seat.
        how: Entrance,
    },
    /// We are not in, and why.
    Refused {
        /// Where.
        room: RoomName,
        /// Why.
        reason: Refusal,
    },
    /// Somebody was let in by everybody.
    MemberJoined {
        /// Where.
        room: RoomName,
        /// What they are called.
        name: Name,
        /// Who.
        key: PeerId,
        /// The roster's number.
        epoch: u64,
    },
    /// Somebody is no longer a member.
    MemberLeft {
        /// Where.
        room: RoomName,
        /// What they were called.
        name: Name,
        /// Who.
        key: PeerId,
        /// Why.
        reason: Departure,
        /// The roster's number.
        epoch: u64,
    },
    /// How a member is reached has changed.
    Link {
        /// Where.
        room: RoomName,
        /// Who.
        name: Name,
        /// How.
        path: Path,
        /// If not at all: seconds until they lose their seat.
        grace_s: Option<u64>,
        /// If not directly, although the server sees them: how many of their addresses were tried.
        tried: Option<usize>,
    },
    /// The answer to [`Command::Paths`].
    Paths {
        /// Where.
        room: RoomName,
        /// Every member but ourselves, the most senior first.
        routes: Vec<Route>,
    },
    /// A text, in a room's transcript for good. Our own too, once they are on disk.
    Message {
        /// Where.
        room: RoomName,
        /// Its id.
        id: EntryId,
        /// What its author is called.
        from: Name,
        /// Who its author is.
        key: PeerId,
        /// Whether it is ours.
        mine: bool,
        /// Its number in its author's log.
        seq: u64,
        /// What is said.
        text: String,
        /// The author's clock, in milliseconds since 1970.
        sent_at_ms: u64,
        /// Where it stands in the transcript: by this, then by its id, everybody has the same order.
        place: Place,
        /// Whether its author signed another entry under the same number, or before it, which came first here.
        forked: bool,
        /// How it is said.
        manner: Manner,
        /// Whether it speaks to us by name, or answers something that we said.
        mentions_me: bool,
    },
    /// A text has another wording now, by its author.
    Edited {
        /// Where.
        room: RoomName,
        /// Which text.
        of: EntryId,
        /// What its author is called.
        from: Name,
        /// Who its author is.
        key: PeerId,
        /// Whether it is ours.
        mine: bool,
        /// The wording.
        text: String,
        /// The author's clock, in milliseconds since 1970.
        sent_at_ms: u64,
    },
    /// A text was taken back by its author.
    Unsaid {
        /// Where.
        room: RoomName,
        /// Which text.
        of: EntryId,
        /// What its author is called.
        from: Name,
        /// Who its author is.
        key: PeerId,
        /// Whether it is ours.
        mine: bool,
    },
    /// A sign was put under a text, or taken back.
    Reaction {
        /// Where.
        room: RoomName,
        /// Under which text.
        to: EntryId,
        /// Whose sign.
        from: Name,
        /// Their key.
        key: PeerId,
        /// Whether it is ours.
        mine: bool,
        /// The sign.
        sign: String,
        /// Whether it stands there now.
        on: bool,
    },
    /// What the room is about.
    Topic {
        /// Where.
        room: RoomName,
        /// Who says so, if their name is known.
        from: Option<Name>,
        /// Their key.
        key: PeerId,
        /// The topic; empty: none any more.
        text: String,
        /// Whether it was so before we came in.
        recalled: bool,
    },
    /// A member is away, or back.
    Away {
        /// Where.
        room: RoomName,
        /// Who.
        name: Name,
        /// Their key.
        key: PeerId,
        /// Whether it is us.
        mine: bool,
        /// Why, possibly empty; `None`: back.
        why: Option<String>,
    },
    /// A private message, theirs or ours, once it is kept.
    Private(PrivateMessage),
    /// Our private messages to one member up to this one reached them.
    PrivateDelivered {
        /// In which room.
        room: RoomName,
        /// To whom.
        with: Name,
        /// Their key.
        key: PeerId,
        /// Which, the oldest first.
        ids: Vec<PrivateId>,
    },
    /// The answer to [`Command::Conversation`].
    Conversation {
        /// In which room.
        room: RoomName,
        /// With whom.
        with: Name,
        /// Their key.
        key: PeerId,
        /// The oldest first.
        messages: Vec<PrivateMessage>,
        /// How many more there are, all of them earlier.
        more: u64,
    },
    /// The answer to [`Command::Whois`].
    Whois {
        /// Where.
        room: RoomName,
        /// Who.
        who: Box<Whois>,
    },
    /// The answer to [`Command::Verify`].
    Verify {
        /// Where.
        room: RoomName,
        /// Who.
        name: Name,
        /// Their words, to be heard from them.
        fingerprint: Fingerprint,
        /// Our words, to be read to them.
        mine: Fingerprint,
        /// How well we know their key now.
        trust: Trust,
    },
    /// The answer to [`Command::Ignore`].
    Ignoring {
        /// Where.
        room: RoomName,
        /// Whom.
        name: Name,
        /// Their key.
        key: PeerId,
        /// Whether their texts are hidden.
        on: bool,
    },
    /// The answer to [`Command::Invite`].
    Invite {
        /// Where to.
        room: RoomName,
        /// The server, as the user named it.
        server: String,
        /// The words of its certificate, if it is remembered by those.
        pin: Option<Fingerprint>,
    },
    /// One of our own texts, and all before it, reached this many of the others.
    Delivered {
        /// Where.
        room: RoomName,
        /// Which.
        id: EntryId,
        /// Members who have it.
        to: u16,
        /// Members who may.
        of: u16,
    },
    /// The answer to [`Command::Members`].
    Members {
        /// Where.
        room: RoomName,
        /// The roster's number.
        epoch: u64,
        /// Most members.
        size: u16,
        /// Who, the most senior first.
        members: Vec<Person>,
    },
    /// The room has split, and no rule brings its halves together: the server has kept it for minutes for others, who went on without us.
    /// [`Command::Rejoin`] goes there.
    Apart {
        /// Which room.
        room: RoomName,
    },
    /// We are out of a room.
    Left {
        /// Where.
        room: RoomName,
        /// Why.
        why: Leaving,
    },
    /// Somebody broke a rule; what they tried had no effect.
    Misbehaviour {
        /// Where, if in a room.
        room: Option<RoomName>,
        /// Who; `None` for the server.
        by: Option<Name>,
        /// What they tried.
        what: Misdeed,
    },
    /// Something asked for could not be done; the chat goes on.
    Failed(Failure),
    /// All is said, left and closed: nothing follows.
    Ended(Ending),
}

/// How a text is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// Simply so.
    #[default]
    Text,
    /// As something that its author does.
    Action,
    /// As an answer to an entry.
    Reply(EntryId),
}

/// A private message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateMessage {
    /// In which room the two know each other.
    pub room: RoomName,
    /// Its id.
    pub id: PrivateId,
    /// The other member: its author, or its reader if it is ours.
    pub with: Name,
    /// Their key.
    pub key: PeerId,
    /// Whether it is ours.
    pub mine: bool,
    /// What is said.
    pub text: String,
    /// The author's clock, in milliseconds since 1970.
    pub sent_at_ms: u64,
    /// Whether it is known to have reached its reader.
    pub delivered: bool,
}

/// All that is known of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whois {
    /// Who, and how they are reached.
    pub person: Person,
    /// The number of the roster since which they are a member; `None`: they were when we came.
    pub since_epoch: Option<u64>,
    /// When that was by our clock, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Who signed that they are let in; nobody that we know of if they were a member when we came.
    pub admitted_by: Vec<Name>,
    /// When we met this key first, in any room, in milliseconds since 1970.
    pub first_seen_ms: Option<u64>,
    /// The names it used, the newest last.
    pub names: Vec<Name>,
    /// When its words were compared, in milliseconds since 1970.
    pub verified_ms: Option<u64>,
}

/// How founding a room anew stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReformState {
    /// It waits for our answer.
    Asked {
        /// Seconds until our silence is a no.
        expires_in_s: u64,
    },
    /// These have not answered yet; we have.
    Waiting(Vec<Name>),
    /// All agreed: the new room is being entered.
    Agreed,
    /// Somebody refused, or did not answer in time.
    Refused(Option<Name>),
}

/// Something that is being decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// The proposal.
    pub proposal: ProposalHash,
    /// What.
    pub what: Question,
    /// About whom; of a founding anew, who is left behind.
    pub names: Vec<Name>,
    /// The new room, if one is to be founded.
    pub new: Option<RoomName>,
    /// Who said yes.
    pub yes: Vec<Name>,
    /// Who is awaited, and whether they can be reached.
    pub waiting: Vec<(Name, bool)>,
    /// For how many seconds.
    pub since_s: u64,
}

/// What is asked of the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// To let a newcomer in.
    Admit,
    /// To go on without those who can't be reached or have left; clients answer it by themselves.
    Drop,
    /// To remove members.
    Remove,
    /// To found the room anew, without some members.
    Reform,
}

/// One roster of a room's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub epoch: u64,
    /// When we came to it, by our own clock, in milliseconds since 1970; `None` for the one we came in by.
    pub at_ms: Option<u64>,
    /// What changed.
    pub what: RecordKind,
    /// Who came, or is gone.
    pub who: Vec<(Name, PeerId)>,
    /// Who signed it, and when their signature reached us, as far as we noted that.
    pub signed: Vec<(Name, PeerId, Option<u64>)>,
}

/// What made a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// The first that we know: its members had let each other in before.
    Begin,
    /// Somebody was let in.
    Admitted,
    /// Somebody left.
    Left,
    /// Somebody could not be reached for the whole grace.
    Dropped,
    /// Somebody was removed.
    Removed,
}

/// A line of the answer to [`Command::List`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSummary {
    /// What it is called.
    pub room: RoomName,
    /// Members now.
    pub members: u16,
    /// Most members.
    pub size: u16,
    /// Whether somebody is knocking.
    pub knocking: bool,
}

/// Why texts of earlier are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// We have just come in, and have been here before.
    Joined,
    /// [`Command::Last`] asked for them.
    Last,
    /// [`Command::Earlier`] asked for them.
    Earlier,
    /// [`Command::Search`] found them.
    Search,
}

/// A text of earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// Its id.
    pub id: EntryId,
    /// What its author was called, if that is known.
    pub from: Option<Name>,
    /// Who its author is.
    pub key: PeerId,
    /// Whether it is ours.
    pub mine: bool,
    /// Its number in its author's log.
    pub seq: u64,
    /// What is said.
    pub text: String,
    /// The author's clock, in milliseconds since 1970.
    pub sent_at_ms: u64,
    /// Where it stands in the transcript.
    pub place: Place,
    /// Whether it is one of two that its author signed under one number, and not the one that the author's log goes on from here.
    pub forked: bool,
    /// How it is said.
    pub manner: Manner,
    /// Whether this is not its first wording.
    pub edited: bool,
    /// Whether its author took it back: the text is empty, then.
    pub unsaid: bool,
    /// The signs under it, and whose they are, by the first words of their keys where no name is known.
    pub signs: Vec<(String, Vec<String>)>,
}

/// Why nothing could be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSearch {
    /// There is no letter or digit in it.
    NothingToFind,
    /// A quotation mark is opened and not closed.
    OpenQuote,
    /// More than anybody types.
    TooLong,
}

/// An answer to a knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Let them in.
    Yes,
    /// Don't.
    No,
    /// Not answered in time, which is a no.
    Silent,
}

/// How we came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// We founded the room.
    Founded,
    /// Every member agreed.
    Admitted,
    /// We still had our seat.
    Returned,
}

/// Why somebody isn't let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A member said no.
    Denied,
    /// A member did not answer in time.
    Expired,
    /// The room is full.
    Full,
    /// There is no such room.
    NoSuchRoom,
    /// A room of that name exists already.
    RoomExists,
    /// Another key has that name at the server.
    NameTaken,
    /// No member is there to answer.
    NobodyThere,
    /// Too many are waiting, or too many attempts were made.
    TooMany,
    /// The newcomer gave up.
    Withdrawn,
    /// What the server presented as an admission is none: a signature is missing or wrong.
    Forged,
    /// Refused by the server for another reason.
    Other,
}

/// Why a member is no longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// They said so.
    Left,
    /// Nobody could reach them for the whole grace.
    Dropped,
    /// The others decided it.
    Removed,
}

/// Why we are out of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// We wanted to.
    Asked,
    /// Its creator deleted it.
    Deleted,
    /// The others went on without us while we could not be reached, or a better half of the room was met.
    DroppedByOthers,
    /// All others decided to go on without us.
    Removed,
    /// It was founded anew, and we are in the new one.
    Reformed,
}

/// A broken rule, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeed {
    /// A signature that doesn't fit.
    BadSignature,
    /// An admission or a step without the consents it needs.
    MissingConsent,
    /// An admission that names another key or name than the one that knocked.
    SwappedNewcomer,
    /// A roster or a genesis that isn't the one it claims to be.
    WrongRoster,
    /// A yes and a no to one proposal.
    TwoAnswers,
    /// Two entries under one number.
    TwoEntries,
    /// An entry that doesn't follow the author's last.
    BrokenChain,
    /// An entry for an audience that its receiver, or its author, is not in.
    WrongAudience,
    /// Bytes that are no message.
    Malformed,
}

/// How the chat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything asked for was done.
    Done,
    /// Texts were still undelivered to somebody when it ended.
    Undelivered,
}
