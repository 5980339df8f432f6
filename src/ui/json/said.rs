//! What is told to a program of all that is said besides texts, and of people. Words of [`crate::ui::json`], as `JSON.md` has them.

use serde::Serialize;

use super::output::{Member, line, member, names, rfc3339};
use crate::peer::api::*;
use crate::ui::{invite, said::trust_word};

/// One line of output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said<'a> {
    Edited {
        room: &'a str,
        of: String,
        from: &'a str,
        fingerprint: String,
        mine: bool,
        text: &'a str,
        sent_at: String,
    },
    Unsaid {
        room: &'a str,
        of: String,
        from: &'a str,
        fingerprint: String,
        mine: bool,
    },
    Reaction {
        room: &'a str,
        to: String,
        from: &'a str,
        fingerprint: String,
        mine: bool,
        sign: &'a str,
        on: bool,
    },
    Topic {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a str>,
        fingerprint: String,
        text: &'a str,
        recalled: bool,
    },
    Away {
        room: &'a str,
        name: &'a str,
        fingerprint: String,
        mine: bool,
        away: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    },
    Private(PrivateLine<'a>),
    PrivateDelivered {
        room: &'a str,
        with: &'a str,
        fingerprint: String,
        ids: Vec<String>,
    },
    Conversation {
        room: &'a str,
        with: &'a str,
        fingerprint: String,
        messages: Vec<PrivateLine<'a>>,
        more: u64,
    },
    OtherKey {
        room: &'a str,
        name: &'a str,
        fingerprint: String,
        known: Known,
    },
    Whois {
        room: &'a str,
        member: Member<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        since_epoch: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<String>,
        admitted_by: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        first_seen: Option<String>,
        names: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        verified: Option<String>,
    },
    Verify {
        room: &'a str,
        name: &'a str,
        fingerprint: String,
        mine: String,
        trust: &'static str,
    },
    Ignoring {
        room: &'a str,
        name: &'a str,
        fingerprint: String,
        on: bool,
    },
    Invite {
        room: &'a str,
        server: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
        command: String,
    },
}

#[derive(Debug, Serialize)]
struct PrivateLine<'a> {
    room: &'a str,
    id: String,
    with: &'a str,
    fingerprint: String,
    mine: bool,
    text: &'a str,
    sent_at: String,
    delivered: bool,
}

/// Somebody who is known under a name of another key.
#[derive(Debug, Serialize)]
pub(super) struct Known {
    name: String,
    fingerprint: String,
    trust: &'static str,
}

/// How a text is said; nothing for a plain one.
#[derive(Debug, Serialize)]
pub(super) struct MannerFields {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    action: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
}

/// How a text is said.
pub(super) fn manner(manner: Manner) -> MannerFields {
    let reply_to = match manner {
        Manner::Reply(to) => Some(to.to_string()),
        Manner::Text | Manner::Action => None,
    };
    MannerFields { action: manner == Manner::Action, reply_to }
}

/// Whom we know under a name.
pub(super) fn known(known: &OtherKey) -> Known {
    let fingerprint = known.key.fingerprint().to_string();
    Known { name: known.name.to_string(), fingerprint, trust: trust_word(known.trust) }
}

fn private(message: &PrivateMessage) -> PrivateLine<'_> {
    PrivateLine {
        room: message.room.as_str(),
        id: message.id.to_string(),
        with: message.with.as_str(),
        fingerprint: message.key.fingerprint().to_string(),
        mine: message.mine,
        text: &message.text,
        sent_at: rfc3339(message.sent_at_ms),
        delivered: message.delivered,
    }
}

/// The line for such an event; empty for any other.
pub(super) fn event_line(event: &Event) -> String {
    let words = |key: &PeerId| key.fingerprint().to_string();
    let said = match event {
        Event::Edited { room, of, from, key, mine, text, sent_at_ms } => Said::Edited {
            room: room.as_str(),
            of: of.to_string(),
            from: from.as_str(),
            fingerprint: words(key),
            mine: *mine,
            text,
            sent_at: rfc3339(*sent_at_ms),
        },
        Event::Unsaid { room, of, from, key, mine } => Said::Unsaid {
            room: room.as_str(),
            of: of.to_string(),
            from: from.as_str(),
            fingerprint: words(key),
            mine: *mine,
        },
        Event::Reaction { room, to, from, key, mine, sign, on } => Said::Reaction {
            room: room.as_str(),
            to: to.to_string(),
            from: from.as_str(),
            fingerprint: words(key),
            mine: *mine,
            sign,
            on: *on,
        },
        Event::Topic { room, from, key, text, recalled } => Said::Topic {
            room: room.as_str(),
            from: from.as_ref().map(Name::as_str),
            fingerprint: words(key),
            text,
            recalled: *recalled,
        },
        Event::Away { room, name, key, mine, why } => Said::Away {
            room: room.as_str(),
            name: name.as_str(),
            fingerprint: words(key),
            mine: *mine,
            away: why.is_some(),
            why: why.as_deref().filter(|why| !why.is_empty()),
        },
        Event::Private(message) => Said::Private(private(message)),
        Event::PrivateDelivered { room, with, key, ids } => Said::PrivateDelivered {
            room: room.as_str(),
            with: with.as_str(),
            fingerprint: words(key),
            ids: ids.iter().map(PrivateId::to_string).collect(),
        },
        Event::Conversation { room, with, key, messages, more } => Said::Conversation {
            room: room.as_str(),
            with: with.as_str(),
            fingerprint: words(key),
            messages: messages.iter().map(private).collect(),
            more: *more,
        },
        Event::OtherKey { room, name, key, known: other } => {
            Said::OtherKey { room: room.as_str(), name: name.as_str(), fingerprint: words(key), known: known(other) }
        }
        Event::Whois { room, who } => Said::Whois {
            room: room.as_str(),
            member: member(&who.person),
            since_epoch: who.since_epoch,
            since: who.since_ms.map(rfc3339),
            admitted_by: names(&who.admitted_by),
            first_seen: who.first_seen_ms.map(rfc3339),
            names: names(&who.names),
            verified: who.verified_ms.map(rfc3339),
        },
        Event::Verify { room, name, fingerprint, mine, trust } => Said::Verify {
            room: room.as_str(),
            name: name.as_str(),
            fingerprint: fingerprint.to_string(),
            mine: mine.to_string(),
            trust: trust_word(*trust),
        },
        Event::Ignoring { room, name, key, on } => {
            Said::Ignoring { room: room.as_str(), name: name.as_str(), fingerprint: words(key), on: *on }
        }
        Event::Invite { room, server, pin } => Said::Invite {
            room: room.as_str(),
            server,
            pin: pin.as_ref().map(Fingerprint::to_string),
            command: invite::command(room, server),
        },
        _ => return String::new(),
    };
    line(&said)
}
