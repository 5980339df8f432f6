//! What a program may ask for, by `"do"`.

use serde::Deserialize;

use crate::peer::api::limits::HISTORY_SHOWN_DEFAULT;
use crate::peer::api::{
    Command, Content, Creation, EntryId, Fingerprint, KnockRef, Name, ProposalHash, RoomName, Rule,
};
use crate::ui::args::server_address;
use crate::ui::words::{self, Said, shown};

/// One line of input.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Input {
    Say {
        room: RoomName,
        text: String,
    },
    Act {
        room: RoomName,
        text: String,
    },
    Reply {
        room: RoomName,
        to: String,
        text: String,
    },
    React {
        room: RoomName,
        to: String,
        sign: String,
    },
    Edit {
        room: RoomName,
        of: String,
        text: String,
    },
    Unsay {
        room: RoomName,
        of: String,
    },
    Topic {
        room: RoomName,
        text: String,
    },
    Away {
        room: RoomName,
        #[serde(default)]
        why: String,
    },
    Back {
        room: RoomName,
    },
    Private {
        room: RoomName,
        to: Name,
        fingerprint: Option<String>,
        text: String,
    },
    Conversation {
        room: RoomName,
        with: Name,
        fingerprint: Option<String>,
        count: Option<usize>,
    },
    Ignore {
        room: RoomName,
        name: Name,
        on: Option<bool>,
    },
    Whois {
        room: RoomName,
        name: Name,
    },
    Verify {
        room: RoomName,
        name: Name,
        fingerprint: Option<String>,
        same: Option<bool>,
    },
    Invite {
        room: RoomName,
    },
    Approve {
        knock: String,
    },
    Deny {
        knock: String,
    },
    Create {
        room: RoomName,
        size: Option<u16>,
        consent_timeout: Option<u16>,
        grace: Option<u32>,
    },
    Join {
        room: RoomName,
    },
    Host {
        room: RoomName,
        size: Option<u16>,
        consent_timeout: Option<u16>,
        grace: Option<u32>,
    },
    Enter {
        ticket: String,
    },
    Ticket {
        room: RoomName,
        expires_in_s: Option<u64>,
    },
    Publish {
        server: String,
    },
    Leave {
        room: RoomName,
    },
    Rejoin {
        room: RoomName,
    },
    List {},
    Members {
        room: RoomName,
    },
    Paths {
        room: RoomName,
    },
    Remove {
        room: RoomName,
        names: Vec<Name>,
    },
    Keep {
        room: RoomName,
        names: Vec<Name>,
    },
    Reform {
        room: RoomName,
        new: RoomName,
        #[serde(default)]
        without: Vec<Name>,
    },
    RefuseReform {
        room: RoomName,
    },
    Remember {
        room: RoomName,
        name: Name,
        fingerprint: Option<String>,
        rule: RuleWord,
    },
    Rules {
        room: RoomName,
    },
    Pending {
        room: RoomName,
    },
    Membership {
        room: RoomName,
    },
    Last {
        room: RoomName,
        count: Option<usize>,
    },
    Search {
        room: RoomName,
        words: String,
        count: Option<usize>,
    },
    Delete {
        room: RoomName,
    },
    Pin {
        accept: bool,
    },
    Quit {},
}

/// How knocks are answered.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RuleWord {
    Ask,
    Session,
    Always,
    Never,
    Follow,
}

impl RuleWord {
    fn rule(self) -> Rule {
        match self {
            RuleWord::Ask => Rule::Ask,
            RuleWord::Session => Rule::Session,
            RuleWord::Always => Rule::Always,
            RuleWord::Never => Rule::Never,
            RuleWord::Follow => Rule::Follow,
        }
    }
}

/// Understands one line; `creation` fills in what `create` leaves out.
///
/// # Errors
/// What is wrong with it, as the `error` object says it.
pub fn parse(line: &str, creation: Creation) -> Result<Command, Said> {
    let input = serde_json::from_str(line).map_err(|why| {
        let code = if why.is_data() { "bad_input" } else { "bad_json" };
        let hint = "one object a line, such as {\"do\":\"say\",\"room\":\"lobby\",\"text\":\"hello\"}";
        Said::new(code, format!("not understood: {}", shown(why)), Some(hint.to_owned()))
    })?;
    Ok(match input {
        Input::Say { room, text } => Command::Say { room, text },
        Input::Act { room, text } => Command::Write { room, what: Content::Action(text) },
        Input::Reply { room, to, text } => Command::Write { room, what: Content::Reply { to: entry_id(&to)?, text } },
        Input::React { room, to, sign } => Command::React { room, to: entry_id(&to)?, sign },
        Input::Edit { room, of, text } => Command::Write { room, what: Content::Edit { of: entry_id(&of)?, text } },
        Input::Unsay { room, of } => Command::Write { room, what: Content::Unsaid(entry_id(&of)?) },
        Input::Topic { room, text } => Command::Write { room, what: Content::Topic(text) },
        Input::Away { room, why } => Command::Write { room, what: Content::Away(why) },
        Input::Back { room } => Command::Write { room, what: Content::Back },
        Input::Private { room, to, fingerprint, text } => {
            Command::Private { room, to, fingerprint: fingerprint.as_deref().map(words_of_key).transpose()?, text }
        }
        Input::Conversation { room, with, fingerprint, count } => {
            let fingerprint = fingerprint.as_deref().map(words_of_key).transpose()?;
            Command::Conversation { room, with, fingerprint, count: count.unwrap_or(HISTORY_SHOWN_DEFAULT) }
        }
        Input::Ignore { room, name, on } => Command::Ignore { room, name, on: on.unwrap_or(true) },
        Input::Whois { room, name } => Command::Whois { room, name },
        Input::Verify { room, name, fingerprint, same } => {
            let fingerprint = fingerprint.as_deref().map(words_of_key).transpose()?;
            Command::Verify { room, name, fingerprint, same }
        }
        Input::Invite { room } => Command::Invite(room),
        Input::Approve { knock } => Command::Approve(knock_id(&knock)?),
        Input::Deny { knock } => Command::Deny(knock_id(&knock)?),
        Input::Host { room, size, consent_timeout, grace } => {
            let creation = filled(creation, size, consent_timeout, grace);
            Command::Host { room, size: creation.size, settings: creation.settings() }
        }
        Input::Enter { ticket } => Command::Enter(ticket.parse().map_err(words::bad_ticket)?),
        Input::Ticket { room, expires_in_s } => Command::Ticket { room, expires_in_s },
        Input::Publish { server } => {
            let bad = |why| Said::new("bad_input", format!("`server`: {why}"), None);
            Command::Publish { server: server_address(&server).map_err(bad)? }
        }
        Input::Create { room, size, consent_timeout, grace } => {
            let creation = filled(creation, size, consent_timeout, grace);
            Command::Create { room, size: creation.size, settings: creation.settings() }
        }
        Input::Join { room } => Command::Join(room),
        Input::Leave { room } => Command::Leave(room),
        Input::Rejoin { room } => Command::Rejoin(room),
        Input::List {} => Command::List,
        Input::Members { room } => Command::Members(room),
        Input::Paths { room } => Command::Paths(room),
        Input::Last { room, count } => Command::Last { room, count: count.unwrap_or(HISTORY_SHOWN_DEFAULT) },
        Input::Search { room, words, count } => {
            Command::Search { room, words, count: count.unwrap_or(HISTORY_SHOWN_DEFAULT) }
        }
        Input::Remove { room, names } => Command::Remove { room, who: names },
        Input::Keep { room, names } => Command::Keep { room, who: names },
        Input::Reform { room, new, without } => Command::Reform { room, new, without },
        Input::RefuseReform { room } => Command::RefuseReform(room),
        Input::Remember { room, name, fingerprint, rule } => {
            let fingerprint = fingerprint.as_deref().map(words_of_key).transpose()?;
            Command::Remember { room, name, fingerprint, rule: rule.rule() }
        }
        Input::Rules { room } => Command::Rules(room),
        Input::Pending { room } => Command::Pending(room),
        Input::Membership { room } => Command::Membership(room),
        Input::Delete { room } => Command::Delete(room),
        Input::Pin { accept } => Command::Pin { accept },
        Input::Quit {} => Command::Quit,
    })
}

/// How a room is made, as far as it is said.
fn filled(creation: Creation, size: Option<u16>, consent_timeout: Option<u16>, grace: Option<u32>) -> Creation {
    Creation {
        size: size.unwrap_or(creation.size),
        consent_timeout: consent_timeout.unwrap_or(creation.consent_timeout),
        grace: grace.unwrap_or(creation.grace),
    }
}

/// Programs answer by the id that the `knock` object gave them, never by a name that two may share.
fn knock_id(text: &str) -> Result<KnockRef, Said> {
    text.parse::<ProposalHash>().map(KnockRef::Id).map_err(|_| {
        let known = if text.parse::<Name>().is_ok() { " (this is a name)" } else { "" };
        let message = format!("`knock` must be the id of a knock, 64 hex digits{known}");
        Said::new("bad_input", message, Some("it is in the field `knock` of the `knock` object".to_owned()))
    })
}

/// Programs name messages by the id that `message` or `history` gave them.
fn entry_id(text: &str) -> Result<EntryId, Said> {
    text.parse().map_err(|_| {
        let hint = "it is in the field `id` of the `message` object";
        Said::new("bad_input", "a message is named by its id, 64 hex digits", Some(hint.to_owned()))
    })
}

fn words_of_key(text: &str) -> Result<Fingerprint, Said> {
    text.parse().map_err(|_| Said::new("bad_input", "`fingerprint` must be eight words joined by hyphens", None))
}
