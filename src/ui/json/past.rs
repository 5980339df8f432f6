//! What is told to a program of the past: texts of earlier, and entries with all that it takes to check them.

use serde::Serialize;

use super::output::{line, rfc3339};
use super::said::{MannerFields, manner};
use crate::peer::api::{Content, EntryId, Exported, Name, Part, Recall, Recalled, RoomName};

/// One line of output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Past<'a> {
    History {
        room: &'a str,
        why: &'static str,
        messages: Vec<RecalledLine<'a>>,
        more: u64,
    },
    Entry {
        room: &'a str,
        room_id: String,
        id: String,
        author: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        seq: u64,
        epoch: u64,
        depth: u64,
        sent_at_ms: u64,
        kind: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        about: Option<String>,
        text: Option<&'a str>,
        previous: String,
        signature: Option<String>,
        entry: String,
    },
}

#[derive(Debug, Serialize)]
struct RecalledLine<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
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
    manner: MannerFields,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    edited: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unsaid: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signs: Vec<SignLine<'a>>,
}

#[derive(Debug, Serialize)]
struct SignLine<'a> {
    sign: &'a str,
    by: &'a [String],
}

/// The line for texts of earlier.
pub(super) fn history(room: &RoomName, why: Recall, messages: &[Recalled], more: u64) -> String {
    let why = match why {
        Recall::Joined => "joined",
        Recall::Last => "last",
        Recall::Earlier => "earlier",
        Recall::Search => "search",
    };
    let messages = messages.iter().map(|message| RecalledLine {
        id: message.id.to_string(),
        from: message.from.as_ref().map(Name::as_str),
        fingerprint: message.key.fingerprint().to_string(),
        seq: message.seq,
        text: &message.text,
        sent_at: rfc3339(message.sent_at_ms),
        mine: message.mine,
        epoch: message.place.epoch,
        depth: message.place.depth,
        forked: message.forked,
        manner: manner(message.manner),
        edited: message.edited,
        unsaid: message.unsaid,
        signs: message.signs.iter().map(|(sign, by)| SignLine { sign, by }).collect(),
    });
    line(&Past::History { room: room.as_str(), why, messages: messages.collect(), more })
}

/// The line of `p2pchat search --json`.
pub fn history_line(room: &RoomName, part: &Part) -> String {
    history(room, Recall::Search, &part.messages, part.more)
}

/// The line for one entry of `p2pchat export --json`.
pub fn export_line(room: &RoomName, exported: &Exported) -> String {
    line(&Past::Entry {
        room: room.as_str(),
        room_id: exported.room.to_string(),
        id: exported.id.to_string(),
        author: hex(&exported.author.0),
        name: exported.name.as_ref().map(Name::as_str),
        seq: exported.seq,
        epoch: exported.epoch,
        depth: exported.depth,
        sent_at_ms: exported.sent_at_ms,
        kind: exported.content.as_ref().map(|content| said_as(content).0),
        about: exported.content.as_ref().and_then(|content| said_as(content).1).map(|about| about.to_string()),
        text: exported.content.as_ref().and_then(|content| said_as(content).2),
        previous: exported.previous.to_string(),
        signature: exported.signature.as_ref().map(|signature| hex(signature)),
        entry: hex(&exported.entry),
    })
}

/// The word for what an entry says, the entry that it is about, and its text or sign.
fn said_as(content: &Content) -> (&'static str, Option<EntryId>, Option<&str>) {
    match content {
        Content::Text(text) => ("text", None, Some(text)),
        Content::Action(text) => ("action", None, Some(text)),
        Content::Reply { to, text } => ("reply", Some(*to), Some(text)),
        Content::Reaction { to, on: true, sign } => ("reaction", Some(*to), Some(sign)),
        Content::Reaction { to, on: false, sign } => ("reaction_taken_back", Some(*to), Some(sign)),
        Content::Edit { of, text } => ("edit", Some(*of), Some(text)),
        Content::Unsaid(of) => ("unsaid", Some(*of), None),
        Content::Topic(text) => ("topic", None, Some(text)),
        Content::Away(why) => ("away", None, Some(why)),
        Content::Back => ("back", None, None),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
