//! What is told to a program, by `"type"`. The names in here are a promise; `JSON.md` says which.

use std::fmt::Write as _;

use serde::Serialize;

use super::decisions;
use super::past;
use super::paths::{RouteLine, route_line};
use super::said;
use super::tickets;
use crate::peer::api::*;
use crate::ui::said::trust_word;
use crate::ui::words::{self, Said};

/// Of this face, as `ready` tells it. It grows only when a field or type changes its meaning or goes.
pub const VERSION: u32 = 1;

/// One line of output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Output<'a> {
    Ready {
        name: &'a str,
        fingerprint: String,
        version: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        ephemeral: Option<bool>,
    },
    HistoryDamaged {
        why: &'a str,
        aside: String,
        saved: u64,
        seats: bool,
    },
    PinWanted {
        server: &'a str,
        fingerprint: String,
    },
    Pinned {
        server: &'a str,
        fingerprint: String,
    },
    Server {
        server: &'a str,
        state: &'static str,
    },
    Rooms {
        rooms: Vec<RoomLine<'a>>,
        people: Vec<&'a str>,
    },
    Knocking {
        room: &'a str,
        yes: u16,
        of: u16,
        expires_in_s: Option<u64>,
        ahead: u16,
    },
    Joined {
        room: &'a str,
        epoch: u64,
        members: Vec<Member<'a>>,
        how: &'static str,
    },
    Refused {
        room: &'a str,
        reason: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    MemberJoined {
        room: &'a str,
        name: &'a str,
        fingerprint: String,
        epoch: u64,
    },
    MemberLeft {
        room: &'a str,
        name: &'a str,
        fingerprint: String,
        reason: &'static str,
        epoch: u64,
    },
    Link {
        room: &'a str,
        name: &'a str,
        #[serde(flatten)]
        path: PathFields<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        grace_s: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tried: Option<usize>,
    },
    Paths {
        room: &'a str,
        paths: Vec<RouteLine<'a>>,
    },
    Message {
        room: &'a str,
        id: String,
        from: &'a str,
        fingerprint: String,
        seq: u64,
        text: &'a str,
        sent_at: String,
        mine: bool,
        epoch: u64,
        depth: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        forked: bool,
        #[serde(flatten)]
        manner: said::MannerFields,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        mentions_me: bool,
    },
    Delivered {
        room: &'a str,
        id: String,
        to: u16,
        of: u16,
    },
    Members {
        room: &'a str,
        epoch: u64,
        size: u16,
        members: Vec<Member<'a>>,
    },
    Apart {
        room: &'a str,
    },
    Left {
        room: &'a str,
        why: &'static str,
    },
    Misbehaviour {
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        what: &'static str,
    },
    Error {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    },
    Ended {
        how: &'static str,
    },
    Whoami {
        name: Option<&'a str>,
        fingerprint: String,
        data_dir: String,
    },
}

#[derive(Debug, Serialize)]
struct RoomLine<'a> {
    room: &'a str,
    members: u16,
    size: u16,
    knocking: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Member<'a> {
    name: &'a str,
    fingerprint: String,
    me: bool,
    #[serde(flatten)]
    path: PathFields<'a>,
    trust: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    away: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignored: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct PathFields<'a> {
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<u32>,
}

/// The line for `event`, without its line break.
pub fn event_line(event: &Event) -> String {
    let output = match event {
        Event::Ready { name, fingerprint, ephemeral, .. } => Output::Ready {
            name: name.as_str(),
            fingerprint: fingerprint.to_string(),
            version: VERSION,
            ephemeral: ephemeral.then_some(true),
        },
        Event::HistoryDamaged { why, aside, saved, seats } => {
            Output::HistoryDamaged { why, aside: aside.display().to_string(), saved: *saved, seats: *seats }
        }
        Event::PinWanted { server, fingerprint, .. } => {
            Output::PinWanted { server, fingerprint: fingerprint.to_string() }
        }
        Event::Pinned { server, fingerprint, .. } => Output::Pinned { server, fingerprint: fingerprint.to_string() },
        Event::Knock { .. }
        | Event::Consent { .. }
        | Event::KnockOver { .. }
        | Event::AnsweredByRule { .. }
        | Event::Removal { .. }
        | Event::RemovalAnswer { .. }
        | Event::RemovalOver { .. }
        | Event::Reform { .. }
        | Event::Rules { .. }
        | Event::Pending { .. }
        | Event::Waits { .. }
        | Event::Membership { .. } => return decisions::event_line(event),
        Event::Ticket { room, ticket } => return tickets::line(room, ticket),
        Event::Edited { .. }
        | Event::Unsaid { .. }
        | Event::Reaction { .. }
        | Event::Topic { .. }
        | Event::Away { .. }
        | Event::Private(_)
        | Event::PrivateDelivered { .. }
        | Event::Conversation { .. }
        | Event::OtherKey { .. }
        | Event::Whois { .. }
        | Event::Verify { .. }
        | Event::Ignoring { .. }
        | Event::Invite { .. } => return said::event_line(event),
        Event::ServerUp { server, .. } => Output::Server { server, state: "up" },
        Event::ServerDown { server } => Output::Server { server, state: "down" },
        Event::Rooms { rooms, people } => {
            Output::Rooms { rooms: rooms.iter().map(room_line).collect(), people: names(people) }
        }
        Event::Knocking { room, yes, of, expires_in_s, ahead } => {
            Output::Knocking { room: room.as_str(), yes: *yes, of: *of, expires_in_s: *expires_in_s, ahead: *ahead }
        }
        Event::Joined { room, epoch, members, how } => Output::Joined {
            room: room.as_str(),
            epoch: *epoch,
            members: members.iter().map(member).collect(),
            how: match how {
                Entrance::Founded => "founded",
                Entrance::Admitted => "admitted",
                Entrance::Returned => "returned",
            },
        },
        Event::Refused { room, reason: why } => {
            let Said { message, hint, .. } = words::refusal(room, *why);
            Output::Refused { room: room.as_str(), reason: reason(*why), message, hint }
        }
        Event::MemberJoined { room, name, key, epoch } => Output::MemberJoined {
            room: room.as_str(),
            name: name.as_str(),
            fingerprint: key.fingerprint().to_string(),
            epoch: *epoch,
        },
        Event::MemberLeft { room, name, key, reason, epoch } => Output::MemberLeft {
            room: room.as_str(),
            name: name.as_str(),
            fingerprint: key.fingerprint().to_string(),
            reason: match reason {
                Departure::Left => "left",
                Departure::Dropped => "dropped",
                Departure::Removed => "removed",
            },
            epoch: *epoch,
        },
        Event::Link { room, name, path, grace_s, tried } => Output::Link {
            room: room.as_str(),
            name: name.as_str(),
            path: path_fields(path),
            grace_s: *grace_s,
            tried: *tried,
        },
        Event::Paths { room, routes } => {
            Output::Paths { room: room.as_str(), paths: routes.iter().map(route_line).collect() }
        }
        Event::Message { room, id, from, key, mine, seq, text, sent_at_ms, place, forked, manner, mentions_me } => {
            Output::Message {
                room: room.as_str(),
                id: id.to_string(),
                from: from.as_str(),
                fingerprint: key.fingerprint().to_string(),
                seq: *seq,
                text,
                sent_at: rfc3339(*sent_at_ms),
                mine: *mine,
                epoch: place.epoch,
                depth: place.depth,
                forked: *forked,
                manner: said::manner(*manner),
                mentions_me: *mentions_me,
            }
        }
        Event::History { room, why, messages, more } => return past::history(room, *why, messages, *more),
        Event::Delivered { room, id, to, of } => {
            Output::Delivered { room: room.as_str(), id: id.to_string(), to: *to, of: *of }
        }
        Event::Members { room, epoch, size, members } => Output::Members {
            room: room.as_str(),
            epoch: *epoch,
            size: *size,
            members: members.iter().map(member).collect(),
        },
        Event::Apart { room } => Output::Apart { room: room.as_str() },
        Event::Left { room, why } => Output::Left {
            room: room.as_str(),
            why: match why {
                Leaving::Asked => "asked",
                Leaving::Deleted => "deleted",
                Leaving::DroppedByOthers => "dropped_by_others",
                Leaving::Removed => "removed",
                Leaving::Reformed => "reformed",
            },
        },
        Event::Misbehaviour { room, by, what } => Output::Misbehaviour {
            room: room.as_ref().map(RoomName::as_str),
            by: by.as_ref().map(Name::as_str),
            what: misdeed(*what),
        },
        Event::Failed(failure) => return error_line(&words::failure(failure)),
        Event::Ended(how) => Output::Ended {
            how: match how {
                Ending::Done => "done",
                Ending::Undelivered => "undelivered",
            },
        },
    };
    line(&output)
}

/// The line for an error.
pub fn error_line(said: &Said) -> String {
    line(&Output::Error { code: said.code, message: &said.message, hint: said.hint.as_deref() })
}

/// The line of `p2pchat list --json`.
pub fn rooms_line(rooms: &[RoomSummary], people: &[Name]) -> String {
    line(&Output::Rooms { rooms: rooms.iter().map(room_line).collect(), people: names(people) })
}

/// The line of `p2pchat whoami --json`.
pub fn whoami_line(name: Option<&Name>, fingerprint: Fingerprint, data_dir: &std::path::Path) -> String {
    let data_dir = data_dir.display().to_string();
    line(&Output::Whoami { name: name.map(Name::as_str), fingerprint: fingerprint.to_string(), data_dir })
}

fn room_line(summary: &RoomSummary) -> RoomLine<'_> {
    let RoomSummary { room, members, size, knocking } = summary;
    RoomLine { room: room.as_str(), members: *members, size: *size, knocking: *knocking }
}

pub(super) fn names(names: &[Name]) -> Vec<&str> {
    names.iter().map(Name::as_str).collect()
}

pub(super) fn member(person: &Person) -> Member<'_> {
    Member {
        name: person.name.as_str(),
        fingerprint: person.key.fingerprint().to_string(),
        me: person.me,
        path: path_fields(&person.path),
        trust: trust_word(person.trust),
        away: person.away.as_deref(),
        ignored: person.ignored,
    }
}

pub(super) fn path_fields(path: &Path) -> PathFields<'_> {
    match path {
        Path::Direct { rtt_ms } => PathFields { path: "direct", via: None, rtt_ms: *rtt_ms },
        Path::Relayed { via } => PathFields { path: "relayed", via: Some(via.as_str()), rtt_ms: None },
        Path::None => PathFields { path: "none", via: None, rtt_ms: None },
    }
}

pub(super) fn answer(decision: Answer) -> &'static str {
    match decision {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Silent => "silent",
    }
}

pub(super) fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Denied => "denied",
        Refusal::Expired => "expired",
        Refusal::Full => "full",
        Refusal::NoSuchRoom => "no_such_room",
        Refusal::RoomExists => "room_exists",
        Refusal::NameTaken => "name_taken",
        Refusal::NobodyThere => "nobody_there",
        Refusal::TooMany => "too_many",
        Refusal::Withdrawn => "withdrawn",
        Refusal::Forged => "forged",
        Refusal::Other => "other",
    }
}

fn misdeed(what: Misdeed) -> &'static str {
    match what {
        Misdeed::BadSignature => "bad_signature",
        Misdeed::MissingConsent => "missing_consent",
        Misdeed::SwappedNewcomer => "swapped_newcomer",
        Misdeed::WrongRoster => "wrong_roster",
        Misdeed::TwoAnswers => "two_answers",
        Misdeed::TwoEntries => "two_entries",
        Misdeed::BrokenChain => "broken_chain",
        Misdeed::WrongAudience => "wrong_audience",
        Misdeed::Malformed => "malformed",
    }
}

/// RFC 3339, in UTC with three digits of milliseconds. A moment that no calendar has reads as 1970.
pub(in crate::ui) fn rfc3339(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    format!("{moment:.3}")
}

/// JSON lets everything above U+001F stand as it is. What acts on a terminal is written by number all the same, which any
/// reader undoes: somebody will look at this stream in a terminal.
pub(in crate::ui) fn line(output: &impl Serialize) -> String {
    let plain = serde_json::to_string(output).expect("strings, numbers and lists have a JSON form");
    if !plain.chars().any(acts) {
        return plain;
    }
    let mut line = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        if acts(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(line, "\\u{unit:04x}").expect("a string takes all that is written");
            }
        } else {
            line.push(c);
        }
    }
    line
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
