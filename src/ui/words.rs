//! Every sentence about what went wrong, once, for people and for programs: a code, what happened, what to do next.
//!
//! What is not our own words in them (names, reasons of the server or the system) has passed [`super::escape`].

use std::fmt::Display;
use std::io;
use std::path::Path;

use super::escape;
use super::exit::Exit;
use super::reach;
use crate::peer::api::limits::*;
use crate::peer::api::{
    BadSearch, ConfigError, Failure, HistoryError, IdentityFileError, MembershipError, Misdeed, Refusal, RoomName,
    RoomSummary, Shortage, StartError, TicketError,
};

/// Something that went wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// For programs; stable.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Said {
    /// From its parts.
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Said { code, message: message.into(), hint: hint.into() }
    }

    /// As shown on standard error, each line ended.
    pub fn to_stderr(&self) -> String {
        match &self.hint {
            Some(hint) => format!("error: {}\n  hint: {hint}\n", self.message),
            None => format!("error: {}\n", self.message),
        }
    }
}

/// A file that was to be made can't be.
pub fn cant_write(file: Option<&std::path::Path>, why: &std::io::Error) -> Said {
    let to = file.map_or("standard output".to_owned(), |file| shown(file.display()));
    let hint = match why.kind() {
        std::io::ErrorKind::AlreadyExists => Some("nothing is overwritten; name another file"),
        std::io::ErrorKind::NotFound => Some("the folder for it is not there; make it first"),
        std::io::ErrorKind::PermissionDenied => Some("name a file in a folder that is yours"),
        _ => None,
    };
    Said::new("output", format!("{to} can't be written: {}", shown(why)), hint.map(str::to_owned))
}

/// A name, a room, a path or a reason from outside, within our own sentence.
pub fn shown(outside: impl Display) -> String {
    escape::field(&outside.to_string(), REASON_COLUMNS_MAX)
}

/// The question whether to make a room that doesn't exist; its name is escaped already.
pub fn offer(room: &str) -> String {
    format!("there is no room {room}. Create it? [y/N]")
}

/// What is answered to a command that doesn't exist.
pub fn no_command(word: &str, nearest: Option<&str>) -> String {
    let did_you_mean = match nearest {
        Some(name) => format!("Did you mean /{name}?"),
        None => "/help shows what there is.".to_owned(),
    };
    let word = escape::field(word, 24);
    format!("there is no command /{word}, so nothing was sent. {did_you_mean} To say it, begin with //")
}

fn hint(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

/// Why something asked for could not be done.
pub fn failure(failure: &Failure) -> Said {
    match failure {
        Failure::NotInRoom(room) => Said::new(
            "not_in_room",
            format!("you are not in the room {}", shown(room)),
            hint("join it first; nothing was sent"),
        ),
        Failure::AlreadyThere(room) => {
            Said::new("already_there", format!("you are in {} already, or knocking at it", shown(room)), None)
        }
        Failure::SeatThere(room) => Said::new(
            "seat_there",
            format!("you have a seat in a room called {} already", shown(room)),
            hint(format!("p2pchat join {} goes back to it; /leave there gives it up", shown(room))),
        ),
        Failure::NoSuchMember(name) => Said::new(
            "no_such_member",
            format!("nobody called {} is here, other than yourself", shown(name)),
            hint("/members shows who is"),
        ),
        Failure::NoSuchMessage => Said::new(
            "no_such_message",
            "no message that was shown is meant by that, or more than one",
            hint("NAME is their newest, ^ the newest of all, ^2 the one before; /last shows the ids: #1a2b"),
        ),
        Failure::NotYours => Said::new(
            "not_yours",
            "that is not your message; only its author can change it or take it back",
            hint("/react and /reply are for others' messages"),
        ),
        Failure::NoSign => {
            Said::new("no_sign", "a reaction is one emoji or one short word", hint("for more there is /reply"))
        }
        Failure::OtherWords(name) => Said::new(
            "other_words",
            format!("these are not the words that were shown of {}; nothing was done", shown(name)),
            hint(format!("/verify {} shows the words to compare first", shown(name))),
        ),
        Failure::TooManyWaiting(name) => Said::new(
            "too_many_waiting",
            format!("too many private messages wait for {} already; this one was not kept", shown(name)),
            hint("they are delivered when the two of you can be connected; try again then"),
        ),
        Failure::TooManyRules => Said::new(
            "too_many_rules",
            "there are as many rules as a room may have",
            hint("/rules shows them; /remember NAME ask ends one"),
        ),
        Failure::TicketExpired(room) => Said::new(
            "ticket_expired",
            format!("the ticket for {} has expired", shown(room)),
            hint("ask a member for a new one: /ticket shows it"),
        ),
        Failure::NoHost => Said::new(
            "no_host",
            "nobody who could let you in answers: the member who gave you the ticket is gone, or can't be reached from here",
            hint("ask any other member for a ticket (/ticket shows one); several may be given to `p2pchat join`"),
        ),
        Failure::NothingProposed => {
            let next = "/waiting shows what is being decided; names are written as in the prompt";
            Said::new("nothing_proposed", "nothing of that kind is proposed, or it is over", hint(next))
        }
        Failure::NoSuchKnock => Said::new(
            "no_such_knock",
            "nobody of that name is knocking, or it is over",
            hint("names are written as in the prompt"),
        ),
        Failure::AmbiguousName(name) => Said::new(
            "ambiguous_name",
            format!("several people call themselves {}", shown(name)),
            hint("add the first two words of the key: /approve NAME@word-word"),
        ),
        Failure::AnotherDecisionOpen { name } => Said::new(
            "another_decision_open",
            format!("you said yes to {}, and the others have not decided yet", shown(name)),
            hint("answer again when that is over, one decision at a time; /waiting shows who is awaited"),
        ),
        Failure::AlreadyAnswered => {
            Said::new("already_answered", "you have answered this already", hint("an answer is signed and stands"))
        }
        Failure::TextTooLong { bytes } => Said::new(
            "text_too_long",
            format!("the text has {bytes} bytes and was not sent; {TEXT_BYTES_MAX} is the most"),
            hint("send it in several messages"),
        ),
        Failure::BadSettings => Said::new(
            "bad_settings",
            "the room can't be created like this",
            hint(format!(
                "size {ROOM_SIZE_MIN} to {ROOM_SIZE_MAX}, consent timeout {CONSENT_TIMEOUT_S_MIN} to \
                 {CONSENT_TIMEOUT_S_MAX} s, grace {GRACE_S_MIN} to {GRACE_S_MAX} s"
            )),
        ),
        Failure::NoServer => Said::new(
            "no_server",
            "the server is not connected, and this needs it",
            hint("chats go on without it; try again when it is back"),
        ),
        Failure::ServerUnreachable { server, why, no_such_name } => reach::unreachable(server, why, *no_such_name),
        Failure::ServerChanged { server, pinned, shown: now, file } => Said::new(
            "server_changed",
            format!(
                "the server {} is not the one you met before: it was {pinned} and now shows {now}. Somebody may be \
                 between you and it",
                shown(server)
            ),
            hint(format!(
                "ask its operator for the fingerprint by another way; if the new one is right, delete the line of this \
                 server from {}",
                shown(file.display())
            )),
        ),
        Failure::ServerNotTrusted { server } => Said::new(
            "server_not_trusted",
            format!("the fingerprint of {} was not accepted; nothing was sent to it", shown(server)),
            hint("ask the server's operator for its fingerprint, then join again"),
        ),
        Failure::PasswordRefused => Said::new(
            "password_refused",
            "the server wants a password, or another one",
            hint("put it in a file that only you can read, and say --password-file FILE"),
        ),
        Failure::ServerRefused { why } => {
            Said::new("server_refused", format!("the server refused: {}", shown(why)), hint("try again in a minute"))
        }
        Failure::NameTaken(name) => Said::new(
            "name_taken",
            format!("the name {} belongs to somebody else at this server", shown(name)),
            hint("choose another with --name NAME"),
        ),
        Failure::NotApart(room) => Said::new(
            "not_apart",
            format!("{} has not split, as far as anybody says: there is nowhere to go over to", shown(room)),
            hint("/members shows who is here"),
        ),
        Failure::NotCreator(room) => Said::new(
            "not_creator",
            format!("only the creator may delete {}", shown(room)),
            hint("you can leave it; an empty room expires by itself"),
        ),
        Failure::NoSuchRoom(room) => no_such_room(room),
        Failure::NotKept { why } => Said::new(
            "not_kept",
            format!("what you said could not be kept, so it was not sent: {}", shown(why)),
            hint("free some space in the data folder (see `p2pchat whoami`), then say it again"),
        ),
        Failure::NoSpace { own, what } => no_space(*own, what),
        Failure::BadSearch(why) => bad_search(*why),
        Failure::HistoryUnreadable { why } => history_unreadable(why),
    }
}

fn no_space(own: bool, what: &Shortage) -> Said {
    let so = if own { "your text was not sent" } else { "what others say is not taken for now, and comes again later" };
    let (what, hint) = match what {
        Shortage::Disk { free_mb } => (
            format!("only {free_mb} MB of the disk are free"),
            "free some space on the disk of the data folder (see `p2pchat whoami`); the chat goes on by itself",
        ),
        Shortage::Room { room, mb } => (
            format!("{} takes all of the {mb} MB that quota_mb allows a room", shown(room)),
            "raise quota_mb in the config, or have old messages removed by keep_days or keep_mb, and start again",
        ),
        Shortage::Author { room, mb } => (
            format!("one member takes all of the {mb} MB that quota_author_mb allows them in {}", shown(room)),
            "raise quota_author_mb in the config, or have old messages removed by keep_days or keep_mb, and start again",
        ),
    };
    Said::new("no_space", format!("{what}: {so}"), Some(hint.to_owned()))
}

/// Why we were not let into a room.
pub fn refusal(room: &RoomName, why: Refusal) -> Said {
    let name = shown(room);
    match why {
        Refusal::Denied => Said::new(
            "denied",
            format!("{name} said no"),
            hint("one no is enough; ask a member before you knock again"),
        ),
        Refusal::Expired => Said::new(
            "expired",
            format!("not everybody in {name} answered in time, and silence is a no"),
            hint("knock again when all members are there to answer"),
        ),
        Refusal::Full => Said::new(
            "full",
            format!("{name} is full"),
            hint("its size is fixed; wait for somebody to leave, or create another room"),
        ),
        Refusal::NoSuchRoom => no_such_room(room),
        Refusal::RoomExists => {
            Said::new("room_exists", format!("there is a room {name} already"), hint(format!("p2pchat join {name}")))
        }
        Refusal::NameTaken => Said::new(
            "name_taken",
            format!("your name belongs to somebody else at this server or in {name}"),
            hint("choose another with --name NAME"),
        ),
        Refusal::NobodyThere => Said::new(
            "nobody_there",
            format!("no member of {name} is there to answer"),
            hint("try again when somebody is online; after a restart of the server its members need a few seconds"),
        ),
        Refusal::TooMany => Said::new(
            "too_many",
            format!("too many are knocking at {name}, or you knocked too often"),
            hint("try again later"),
        ),
        Refusal::Withdrawn => Said::new("withdrawn", format!("you stopped knocking at {name}"), None),
        Refusal::Forged => Said::new(
            "forged",
            format!("the server presented an admission to {name} that its members did not sign; you are not in"),
            hint("do not trust this server; tell the members by another way"),
        ),
        Refusal::Other => {
            Said::new("refused", format!("the server refused to pass the knock at {name} on"), hint("try again later"))
        }
    }
}

/// What a refusal makes of the program that was started to enter the room.
pub fn refusal_exit(why: Refusal) -> Exit {
    match why {
        Refusal::Denied | Refusal::Expired | Refusal::Full | Refusal::NobodyThere | Refusal::TooMany => Exit::Refused,
        Refusal::NoSuchRoom | Refusal::RoomExists | Refusal::NameTaken | Refusal::Other => Exit::Failed,
        Refusal::Withdrawn => Exit::Done,
        Refusal::Forged => Exit::Identity,
    }
}

/// What a failure makes of the program that was started to enter a room and is not in yet; `None` if it may go on.
pub fn failure_exit(failure: &Failure) -> Option<Exit> {
    match failure {
        Failure::ServerUnreachable { .. } => Some(Exit::Unreachable),
        Failure::ServerChanged { .. } | Failure::ServerNotTrusted { .. } => Some(Exit::Identity),
        Failure::BadSettings
        | Failure::PasswordRefused
        | Failure::ServerRefused { .. }
        | Failure::NameTaken(_)
        | Failure::NotApart(_)
        | Failure::SeatThere(_)
        | Failure::NotCreator(_)
        | Failure::NoSuchRoom(_) => Some(Exit::Failed),
        Failure::NoServer | Failure::NoHost => Some(Exit::Unreachable),
        Failure::TicketExpired(_) => Some(Exit::Refused),
        Failure::NotInRoom(_)
        | Failure::AlreadyThere(_)
        | Failure::NoSuchKnock
        | Failure::NoSuchMember(_)
        | Failure::TooManyRules
        | Failure::NoSuchMessage
        | Failure::NotYours
        | Failure::NoSign
        | Failure::OtherWords(_)
        | Failure::TooManyWaiting(_)
        | Failure::NothingProposed
        | Failure::AmbiguousName(_)
        | Failure::AnotherDecisionOpen { .. }
        | Failure::AlreadyAnswered
        | Failure::TextTooLong { .. }
        | Failure::NotKept { .. }
        | Failure::NoSpace { .. }
        | Failure::BadSearch(_)
        | Failure::HistoryUnreadable { .. } => None,
    }
}

/// Why it isn't clear which room is meant at an address.
pub fn not_one_room(rooms: &[RoomSummary]) -> Said {
    let names: Vec<String> = rooms.iter().map(|line| shown(&line.room)).collect();
    match names.is_empty() {
        true => Said::new(
            "no_open_room",
            "whoever answers there has no room open to be asked for by its address",
            hint("ask them for a ticket: /ticket shows one"),
        ),
        false => Said::new(
            "several_rooms",
            format!("several rooms are there: {}", names.join(", ")),
            hint("name one of them: p2pchat join ROOM --server IP:PORT"),
        ),
    }
}

/// Why the local network can't be searched.
pub fn no_lan(why: &str) -> Said {
    let message = format!("the local network can't be asked for rooms: {}", shown(why));
    Said::new("no_lan", message, hint("ask the host for a ticket, or for their IP:PORT"))
}

/// Nobody announces a room.
pub fn not_on_lan(room: &RoomName) -> Said {
    Said::new(
        "not_on_lan",
        format!("nobody on this network announces a room {}", shown(room)),
        hint(
            "its host says `p2pchat host ROOM --lan`; some networks keep their guests apart: a ticket works there too",
        ),
    )
}

/// Why a text is no ticket that can be used.
pub fn bad_ticket(why: TicketError) -> Said {
    Said::new("bad_ticket", why.to_string(), hint("/ticket shows one at any member; it is copied whole"))
}

/// Why nothing could be looked for.
pub fn bad_search(why: BadSearch) -> Said {
    let message = match why {
        BadSearch::NothingToFind => "there is no letter or digit to look for",
        BadSearch::OpenQuote => "a quotation mark is opened and not closed",
        BadSearch::TooLong => "that is too much to look for",
    };
    Said::new("bad_search", message, hint("all words have to be there: hello wor* \"two words\""))
}

/// Why a command that reads the history can't.
pub fn history_error(error: &HistoryError) -> Said {
    let hint = match error {
        HistoryError::BadSearch(why) => return bad_search(*why),
        HistoryError::Unreadable(why) => return history_unreadable(&why.to_string()),
        HistoryError::Nothing { .. } => {
            "there is one once you have been in a room; --data-dir DIR names another folder"
        }
        HistoryError::NoSuchRoom { .. } => {
            "names are written as in `p2pchat join`; what was said with --ephemeral is in no history"
        }
        HistoryError::NoSuchRoomId { .. } => "without --room-id it is the newest room of that name",
    };
    Said::new("no_history", shown(error), Some(hint.to_owned()))
}

/// The history is there and can't be read.
pub fn history_unreadable(why: &str) -> Said {
    Said::new(
        "history_unreadable",
        format!("the history can't be read: {}", shown(why)),
        hint("start a chat again: it repairs what it can"),
    )
}

fn no_such_room(room: &RoomName) -> Said {
    Said::new(
        "no_such_room",
        format!("there is no room {}", shown(room)),
        hint(format!("p2pchat list shows the rooms; p2pchat join {} --create makes it", shown(room))),
    )
}

/// Why the chat could not be started.
pub fn start_error(error: &StartError) -> Said {
    let (code, hint) = match error {
        StartError::Identity(why) => return identity_error(why),
        StartError::Store { .. } => {
            ("store", "is the disk full, or the folder somebody else's? --data-dir DIR names another")
        }
        StartError::Busy { .. } => ("busy", "end that one first, or be somebody else with --data-dir DIR"),
        StartError::Listen { why, .. } if why.kind() == std::io::ErrorKind::AddrNotAvailable => {
            ("listen", "no network interface of this machine has that address; --listen [::]:0 takes all of them")
        }
        StartError::Listen { .. } => ("listen", "another program may use the port; --listen [::]:0 takes any free one"),
    };
    Said::new(code, shown(error), Some(hint.to_owned()))
}

/// Why there is no identity.
pub fn identity_error(error: &IdentityFileError) -> Said {
    let hint = match error {
        IdentityFileError::Unreadable { .. } => "check who owns it, or name another folder with --data-dir DIR".into(),
        IdentityFileError::Unwritable { .. } => {
            "is the disk full, or the folder not yours? --data-dir DIR names another".into()
        }
        IdentityFileError::OpenToOthers { file, .. } => format!(
            "if nobody else has used this machine: chmod 600 {}; otherwise delete it and be somebody new",
            shown(file.display())
        ),
        IdentityFileError::Damaged { .. } => "restore it from a backup, or delete it and be somebody new".into(),
    };
    Said::new("identity", shown(error), Some(hint))
}

/// Why there is no membership history to hand out.
pub fn membership_error(error: &MembershipError) -> Said {
    let hint = match error {
        MembershipError::Nothing { .. } => "--data-dir DIR names another folder",
        MembershipError::NoSuchRoom { .. } => {
            "names are written as in `p2pchat join`; --data-dir DIR names another folder"
        }
        MembershipError::Unreadable(_) => "start a chat again: it says what is wrong",
    };
    Said::new("no_history", shown(error), Some(hint.to_owned()))
}

/// Why the settings can't be used.
pub fn config_error(error: &ConfigError) -> Said {
    let hint = match error {
        ConfigError::Unreadable { .. } => "check the path and who may read it",
        ConfigError::Unwritable { .. } => "is the disk full, or the folder not yours? --data-dir DIR names another",
        ConfigError::Invalid { .. } => "config/peer.toml in the sources explains every setting",
        ConfigError::NoHome => "set HOME, or say --data-dir DIR and --config FILE",
    };
    // The parser's words draw the place over several lines.
    Said::new("config", escape::lines(&error.to_string()), Some(hint.to_owned()))
}

/// Why a file that somebody named was not looked into.
pub fn unreadable_file(file: &Path, why: &io::Error) -> Said {
    let name = shown(file.display());
    let message = match why.kind() {
        io::ErrorKind::NotFound => format!("there is no file {name}"),
        io::ErrorKind::IsADirectory => format!("{name} is a folder, not a file"),
        _ => format!("{name} can't be read: {}", shown(why)),
    };
    Said::new("unreadable_file", message, hint("check the path and who may read it"))
}

/// What somebody tried, as the end of "NAME …".
pub fn misdeed(what: Misdeed) -> &'static str {
    match what {
        Misdeed::BadSignature => "sent something under a forged signature",
        Misdeed::MissingConsent => "claimed a change of members that not everybody had signed",
        Misdeed::SwappedNewcomer => "tried to bring in somebody other than who had knocked",
        Misdeed::WrongRoster => "sent a false list of who is in the room",
        Misdeed::TwoAnswers => "answered yes to some and no to others about one question",
        Misdeed::TwoEntries => "sent different messages to different people as if they were one",
        Misdeed::BrokenChain => "sent a message that does not fit those before it, which may be missing or changed",
        Misdeed::WrongAudience => "passed on a message to somebody it was not meant for",
        Misdeed::Malformed => "sent data that is no part of a chat",
    }
}

/// The chat ended while something said had not reached everybody.
pub fn undelivered() -> Said {
    Said::new(
        "undelivered",
        "the chat ended before everything said had reached everybody",
        hint("it is kept; join again and it is delivered"),
    )
}

/// What the end still waits for.
pub fn leaving() -> String {
    format!("leaving, once what was said has reached everybody; {QUIT_WITHIN_S} s at most, Ctrl-C ends it now")
}

/// The chat ended without saying so.
pub fn gone() -> Said {
    Said::new("gone", "the chat stopped unexpectedly", hint("the log says more; see --log-file"))
}

/// The chat took too long to end.
pub fn not_in_time() -> Said {
    Said::new("not_in_time", format!("the chat did not end within {QUIT_WITHIN_S} s"), hint("it was cut off"))
}

/// We are out of `room` because its creator deleted it.
pub fn room_deleted(room: &RoomName) -> Said {
    Said::new("room_deleted", format!("{} was deleted by its creator", shown(room)), None)
}

/// The others went on without us.
pub fn dropped(room: &RoomName) -> Said {
    Said::new(
        "dropped",
        format!("the others in {} could not reach you and went on without you; knocking again", shown(room)),
        None,
    )
}

/// The server keeps the room for a half of it that we are not in.
pub fn apart(room: &RoomName) -> String {
    format!(
        "{} has split: the server says that it keeps it for others, who went on without you. You stay with those who are here; /rejoin goes \
         over, where all members must let you in",
        shown(room)
    )
}

/// The others decided to go on without us.
pub fn removed(room: &RoomName) -> Said {
    let next = "nothing new reaches you; coming back means knocking again";
    Said::new("removed", format!("all others decided to go on without you in {}", shown(room)), hint(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus;

    #[test]
    fn every_failure_is_told_without_a_control_character_and_almost_all_with_a_hint() {
        for failure in corpus::failures() {
            let said = super::failure(&failure);
            let text = said.to_stderr().replace('\n', "");
            assert!(!text.chars().any(char::is_control), "{text}");
            assert!(said.hint.is_some() || matches!(failure, Failure::AlreadyThere(_)), "{text}");
        }
        for refusal in corpus::REFUSALS {
            let said = super::refusal(&"lobby".parse().unwrap(), refusal);
            assert!(said.hint.is_some() || refusal == Refusal::Withdrawn);
        }
    }
}
