//! What members decide together, as a program is told of it. The names in here are a promise, as in `output`.

use serde::Serialize;

use super::output::{answer, line, names, reason, rfc3339};
use super::said::{Known, known};
use crate::peer::api::*;
use crate::ui::said::trust_word;

/// One line of output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Output<'a> {
    Knock {
        room: &'a str,
        knock: String,
        name: &'a str,
        fingerprint: String,
        expires_in_s: u64,
        yes: Vec<&'a str>,
        waiting: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        looks_like: Option<&'a str>,
        seen_before: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        removed_before: bool,
        trust: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        other_key: Option<Known>,
    },
    Consent {
        room: &'a str,
        knock: String,
        name: &'a str,
        by: &'a str,
        decision: &'static str,
    },
    KnockOver {
        room: &'a str,
        knock: String,
        name: &'a str,
        reason: &'static str,
    },
    AnsweredByRule {
        room: &'a str,
        knock: String,
        name: &'a str,
        fingerprint: String,
        by: &'a str,
        rule: &'static str,
    },
    Removal {
        room: &'a str,
        proposal: String,
        names: Vec<&'a str>,
        yes: Vec<&'a str>,
        waiting: Vec<&'a str>,
        expires_in_s: u64,
    },
    RemovalAnswer {
        room: &'a str,
        proposal: String,
        names: Vec<&'a str>,
        by: &'a str,
        decision: &'static str,
    },
    RemovalOver {
        room: &'a str,
        proposal: String,
        names: Vec<&'a str>,
        reason: &'static str,
    },
    Reform {
        room: &'a str,
        new: &'a str,
        by: &'a str,
        without: Vec<&'a str>,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in_s: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        waiting: Option<Vec<&'a str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        refused_by: Option<&'a str>,
    },
    Rules {
        room: &'a str,
        rules: Vec<RuleLine<'a>>,
    },
    Pending {
        room: &'a str,
        open: Vec<Open<'a>>,
    },
    Waits {
        room: &'a str,
        texts: &'a [String],
    },
    Membership {
        room: &'a str,
        records: Vec<RecordLine<'a>>,
    },
}

#[derive(Debug, Serialize)]
struct RuleLine<'a> {
    name: &'a str,
    fingerprint: String,
    rule: &'static str,
}

#[derive(Debug, Serialize)]
struct Open<'a> {
    proposal: String,
    what: &'static str,
    names: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<&'a str>,
    yes: Vec<&'a str>,
    waiting: Vec<Waiting<'a>>,
    since_s: u64,
}

#[derive(Debug, Serialize)]
struct Waiting<'a> {
    name: &'a str,
    reached: bool,
}

#[derive(Debug, Serialize)]
struct RecordLine<'a> {
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    what: &'static str,
    who: Vec<Who<'a>>,
    signed: Vec<Who<'a>>,
}

#[derive(Debug, Serialize)]
struct Who<'a> {
    name: &'a str,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// The line for such an event, without its line break; empty for any other.
pub fn event_line(event: &Event) -> String {
    let output = match event {
        Event::Knock {
            room,
            knock,
            name,
            key,
            expires_in_s,
            yes,
            waiting,
            looks_like,
            seen_before,
            removed_before,
            trust,
            other_key,
        } => Output::Knock {
            room: room.as_str(),
            knock: knock.to_string(),
            name: name.as_str(),
            fingerprint: key.fingerprint().to_string(),
            expires_in_s: *expires_in_s,
            yes: names(yes),
            waiting: names(waiting),
            looks_like: looks_like.as_ref().map(Name::as_str),
            seen_before: *seen_before,
            removed_before: *removed_before,
            trust: trust_word(*trust),
            other_key: other_key.as_ref().map(known),
        },
        Event::Consent { room, knock, name, by, decision } => Output::Consent {
            room: room.as_str(),
            knock: knock.to_string(),
            name: name.as_str(),
            by: by.as_str(),
            decision: answer(*decision),
        },
        Event::KnockOver { room, knock, name, how } => Output::KnockOver {
            room: room.as_str(),
            knock: knock.to_string(),
            name: name.as_str(),
            reason: reason(*how),
        },
        Event::AnsweredByRule { room, knock, name, key, by, rule } => Output::AnsweredByRule {
            room: room.as_str(),
            knock: knock.to_string(),
            name: name.as_str(),
            fingerprint: key.fingerprint().to_string(),
            by: by.as_str(),
            rule: rule_word(*rule),
        },
        Event::Removal { room, proposal, names: who, yes, waiting, expires_in_s } => Output::Removal {
            room: room.as_str(),
            proposal: proposal.to_string(),
            names: names(who),
            yes: names(yes),
            waiting: names(waiting),
            expires_in_s: *expires_in_s,
        },
        Event::RemovalAnswer { room, proposal, names: who, by, decision } => Output::RemovalAnswer {
            room: room.as_str(),
            proposal: proposal.to_string(),
            names: names(who),
            by: by.as_str(),
            decision: answer(*decision),
        },
        Event::RemovalOver { room, proposal, names: who, how } => Output::RemovalOver {
            room: room.as_str(),
            proposal: proposal.to_string(),
            names: names(who),
            reason: reason(*how),
        },
        Event::Reform { room, new, by, without, state } => {
            let (word, expires_in_s, waiting, refused_by) = match state {
                ReformState::Asked { expires_in_s } => ("asked", Some(*expires_in_s), None, None),
                ReformState::Waiting(awaited) => ("waiting", None, Some(names(awaited)), None),
                ReformState::Agreed => ("agreed", None, None, None),
                ReformState::Refused(by) => ("refused", None, None, by.as_ref().map(Name::as_str)),
            };
            let (room, new, by) = (room.as_str(), new.as_str(), by.as_str());
            Output::Reform { room, new, by, without: names(without), state: word, expires_in_s, waiting, refused_by }
        }
        Event::Rules { room, rules } => {
            let rules = rules.iter().map(|(name, key, rule)| RuleLine {
                name: name.as_str(),
                fingerprint: key.fingerprint().to_string(),
                rule: rule_word(*rule),
            });
            Output::Rules { room: room.as_str(), rules: rules.collect() }
        }
        Event::Pending { room, open } => {
            Output::Pending { room: room.as_str(), open: open.iter().map(undecided).collect() }
        }
        Event::Waits { room, texts } => Output::Waits { room: room.as_str(), texts },
        Event::Membership { room, records } => {
            Output::Membership { room: room.as_str(), records: records.iter().map(record).collect() }
        }
        _ => return String::new(),
    };
    line(&output)
}

fn rule_word(rule: Rule) -> &'static str {
    match rule {
        Rule::Ask => "ask",
        Rule::Session => "session",
        Rule::Always => "always",
        Rule::Never => "never",
        Rule::Follow => "follow",
    }
}

/// What made a roster.
pub(in crate::ui) fn kind_word(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Begin => "begin",
        RecordKind::Admitted => "admitted",
        RecordKind::Left => "left",
        RecordKind::Dropped => "dropped",
        RecordKind::Removed => "removed",
    }
}

fn undecided(undecided: &Undecided) -> Open<'_> {
    let waiting = undecided.waiting.iter();
    Open {
        proposal: undecided.proposal.to_string(),
        what: match undecided.what {
            Question::Admit => "admit",
            Question::Drop => "drop",
            Question::Remove => "remove",
            Question::Reform => "reform",
        },
        names: names(&undecided.names),
        new: undecided.new.as_ref().map(RoomName::as_str),
        yes: names(&undecided.yes),
        waiting: waiting.map(|(name, reached)| Waiting { name: name.as_str(), reached: *reached }).collect(),
        since_s: undecided.since_s,
    }
}

fn record(record: &Record) -> RecordLine<'_> {
    RecordLine {
        epoch: record.epoch,
        at: record.at_ms.map(rfc3339),
        what: kind_word(record.what),
        who: record.who.iter().map(|(name, key)| who(name, key, None)).collect(),
        signed: record.signed.iter().map(|(name, key, at)| who(name, key, *at)).collect(),
    }
}

fn who<'a>(name: &'a Name, key: &PeerId, at_ms: Option<u64>) -> Who<'a> {
    Who { name: name.as_str(), fingerprint: key.fingerprint().to_string(), at: at_ms.map(rfc3339) }
}
