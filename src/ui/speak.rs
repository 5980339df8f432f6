//! What can be said besides a text, as it is typed: answers, signs, changes of own messages, the topic, private messages,
//! and what concerns one member. What each asks the chat for is decided here, for all faces alike.
//!
//! A message is named by who said it (`bob`: their newest), by counting back (`^` is the newest, `^2` the one before), or by
//! the beginning of its id (`#1a2b`, as `/last` shows it).

use super::messages::Messages;
use super::slash::Slash;
use crate::peer::api::limits::HISTORY_SHOWN_DEFAULT;
use crate::peer::api::{Command, Content, Failure, Name, RoomName};

/// Such a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speak {
    /// Tell what we do.
    Me(String),
    /// Answer a message.
    Reply(Which, String),
    /// Put a sign under a message, or take it back.
    React(Which, String),
    /// Give an own message another wording.
    Edit(Which, String),
    /// Take an own message back.
    Unsay(Which),
    /// Say what the room is about; nothing takes it away.
    Topic(String),
    /// Say that we are away, and why.
    Away(String),
    /// Say that we are back.
    Back,
    /// Say something to one member alone.
    Private(Name, String),
    /// Show what was said between us and one member.
    Conversation(Name),
    /// Hide what a member says, or no longer.
    Ignore(Name, bool),
    /// Show all that is known of a member.
    Whois(Name),
    /// Show the words to compare with a member, or note how they compared.
    Verify(Name, Option<bool>),
    /// Show what a newcomer needs.
    Invite,
}

/// Which message is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Counted back, from 1.
    Back(usize),
    /// By the beginning of its id, in hex.
    Id(String),
    /// The newest of a member.
    By(Name),
}

impl Speak {
    /// What the chat is asked for in `room`.
    ///
    /// # Errors
    /// [`Failure`] when it isn't clear which message or whose words are meant.
    pub fn command(self, room: RoomName, messages: &Messages) -> Result<Command, Failure> {
        let write = |room, what| Ok(Command::Write { room, what });
        match self {
            Speak::Me(text) => write(room, Content::Action(text)),
            Speak::Reply(which, text) => {
                let to = messages.find(&room, &which, false)?;
                write(room, Content::Reply { to, text })
            }
            Speak::React(which, sign) => {
                let to = messages.find(&room, &which, false)?;
                Ok(Command::React { room, to, sign })
            }
            Speak::Edit(which, text) => {
                let of = messages.find(&room, &which, true)?;
                write(room, Content::Edit { of, text })
            }
            Speak::Unsay(which) => {
                let of = messages.find(&room, &which, true)?;
                write(room, Content::Unsaid(of))
            }
            Speak::Topic(text) => write(room, Content::Topic(text)),
            Speak::Away(why) => write(room, Content::Away(why)),
            Speak::Back => write(room, Content::Back),
            Speak::Private(to, text) => Ok(Command::Private { room, to, fingerprint: None, text }),
            Speak::Conversation(with) => {
                Ok(Command::Conversation { room, with, fingerprint: None, count: HISTORY_SHOWN_DEFAULT })
            }
            Speak::Ignore(name, on) => Ok(Command::Ignore { room, name, on }),
            Speak::Whois(name) => Ok(Command::Whois { room, name }),
            Speak::Verify(name, same) => {
                // Only words that were shown can have been compared, and only they are marked.
                let fingerprint = messages.words_shown(&room, &name);
                Ok(Command::Verify { room, name, fingerprint: fingerprint.filter(|_| same.is_some()), same })
            }
            Speak::Invite => Ok(Command::Invite(room)),
        }
    }
}

fn slash(speak: Speak) -> Option<Slash> {
    Some(Slash::Speak(speak))
}

/// A text that must not be empty.
pub(super) fn me(rest: &str) -> Option<Slash> {
    slash(Speak::Me(not_empty(rest)?))
}

/// `WHICH TEXT`.
pub(super) fn reply(rest: &str) -> Option<Slash> {
    let (which, text) = rest.split_once(char::is_whitespace)?;
    slash(Speak::Reply(message(which)?, not_empty(text)?))
}

/// `WHICH SIGN`.
pub(super) fn react(rest: &str) -> Option<Slash> {
    let (which, sign) = rest.split_once(char::is_whitespace)?;
    slash(Speak::React(message(which)?, not_empty(sign)?))
}

/// `[WHICH] TEXT`; without one the newest of our own.
pub(super) fn edit(rest: &str) -> Option<Slash> {
    match rest.split_once(char::is_whitespace) {
        Some((which, text)) if which.starts_with(['^', '#']) => slash(Speak::Edit(message(which)?, not_empty(text)?)),
        _ if rest.starts_with(['^', '#']) => None,
        _ => slash(Speak::Edit(Which::Back(1), not_empty(rest)?)),
    }
}

/// `WHICH`, or `room` for the room itself.
pub(super) fn delete(rest: &str) -> Option<Slash> {
    if rest == "room" {
        return Some(Slash::Delete);
    }
    let which = message(rest).filter(|which| !matches!(which, Which::By(_)))?;
    slash(Speak::Unsay(which))
}

/// Any text; nothing takes the topic away.
pub(super) fn topic(rest: &str) -> Option<Slash> {
    slash(Speak::Topic(if rest == "-" { String::new() } else { not_empty(rest)? }))
}

/// Why, if they say so.
pub(super) fn away(rest: &str) -> Option<Slash> {
    slash(Speak::Away(rest.to_owned()))
}

/// Nothing.
pub(super) fn back(rest: &str) -> Option<Slash> {
    rest.is_empty().then_some(Slash::Speak(Speak::Back))
}

/// `NAME TEXT`, or `NAME` to look back.
pub(super) fn private(rest: &str) -> Option<Slash> {
    match rest.split_once(char::is_whitespace) {
        Some((name, text)) => slash(Speak::Private(name.parse().ok()?, not_empty(text)?)),
        None => slash(Speak::Conversation(rest.parse().ok()?)),
    }
}

/// `NAME`.
pub(super) fn ignore(rest: &str) -> Option<Slash> {
    slash(Speak::Ignore(rest.parse().ok()?, true))
}

/// `NAME`.
pub(super) fn unignore(rest: &str) -> Option<Slash> {
    slash(Speak::Ignore(rest.parse().ok()?, false))
}

/// `NAME`.
pub(super) fn whois(rest: &str) -> Option<Slash> {
    slash(Speak::Whois(rest.parse().ok()?))
}

/// `NAME`, `NAME yes` or `NAME no`.
pub(super) fn verify(rest: &str) -> Option<Slash> {
    let (name, same) = match rest.split_once(char::is_whitespace).map(|(name, word)| (name, word.trim())) {
        Some((name, "yes")) => (name, Some(true)),
        Some((name, "no")) => (name, Some(false)),
        Some(_) => return None,
        None => (rest, None),
    };
    slash(Speak::Verify(name.parse().ok()?, same))
}

/// Nothing.
pub(super) fn invite(rest: &str) -> Option<Slash> {
    rest.is_empty().then_some(Slash::Speak(Speak::Invite))
}

fn not_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Fewest hex digits by which a message is named: with fewer, a slip of a finger is another message.
const ID_DIGITS_MIN: usize = 4;

fn message(which: &str) -> Option<Which> {
    if let Some(count) = which.strip_prefix('^') {
        let count = if count.is_empty() { 1 } else { count.parse().ok()? };
        return (count >= 1).then_some(Which::Back(count));
    }
    if let Some(id) = which.strip_prefix('#') {
        let hex = (ID_DIGITS_MIN..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit());
        return hex.then(|| Which::Id(id.to_ascii_lowercase()));
    }
    which.parse().ok().map(Which::By)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus::name;
    use crate::ui::slash::{Line, parse};

    #[test]
    fn what_is_typed_is_what_is_meant() {
        let by = |who| Which::By(name(who));
        let table = [
            ("/me waves ", Speak::Me("waves".into())),
            ("/reply bob yes, I  do", Speak::Reply(by("bob"), "yes, I  do".into())),
            ("/reply ^ yes", Speak::Reply(Which::Back(1), "yes".into())),
            ("/r ^12 yes", Speak::Reply(Which::Back(12), "yes".into())),
            ("/reply #1A2b yes", Speak::Reply(Which::Id("1a2b".into()), "yes".into())),
            ("/react bob 👍", Speak::React(by("bob"), "👍".into())),
            ("/edit new words", Speak::Edit(Which::Back(1), "new words".into())),
            ("/edit ^2 new words", Speak::Edit(Which::Back(2), "new words".into())),
            ("/delete ^", Speak::Unsay(Which::Back(1))),
            ("/unsay #1a2b", Speak::Unsay(Which::Id("1a2b".into()))),
            ("/topic all about tea", Speak::Topic("all about tea".into())),
            ("/topic -", Speak::Topic(String::new())),
            ("/away", Speak::Away(String::new())),
            ("/away lunch", Speak::Away("lunch".into())),
            ("/back", Speak::Back),
            ("/msg bob between us", Speak::Private(name("bob"), "between us".into())),
            ("/msg bob", Speak::Conversation(name("bob"))),
            ("/ignore bob", Speak::Ignore(name("bob"), true)),
            ("/unignore bob", Speak::Ignore(name("bob"), false)),
            ("/whois bob", Speak::Whois(name("bob"))),
            ("/verify bob", Speak::Verify(name("bob"), None)),
            ("/verify bob  yes", Speak::Verify(name("bob"), Some(true))),
            ("/verify bob no", Speak::Verify(name("bob"), Some(false))),
            ("/invite", Speak::Invite),
        ];
        for (line, meaning) in table {
            assert_eq!(parse(line), Line::Do(Slash::Speak(meaning)), "{line:?}");
        }
        assert_eq!(parse("/delete room"), Line::Do(Slash::Delete));
    }

    #[test]
    fn what_names_no_message_is_nothing() {
        for line in [
            "/me",
            "/reply",
            "/reply bob",
            "/reply ^0 x",
            "/reply #12 x",
            "/reply #xyzw x",
            "/react bob",
            "/edit",
            "/edit ^2",
            "/delete",
            "/delete bob",
            "/delete rooms",
            "/topic",
            "/msg",
            "/ignore",
            "/verify bob maybe",
            "/invite bob",
            "/back soon",
        ] {
            assert!(matches!(parse(line), Line::Wrong(_)), "{line:?}");
        }
    }
}
