//! What is told to a program of the past: texts of earlier, and entries with all that it takes to check them.

use serde::Serialize;

use super::output::{line, rfc3339};
use crate::peer::api::{Exported, Name, Part, Recall, Recalled, RoomName};

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
        text: exported.text.as_deref(),
        previous: exported.previous.to_string(),
        signature: exported.signature.as_ref().map(|signature| hex(signature)),
        entry: hex(&exported.entry),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
