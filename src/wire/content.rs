//! What an entry says, beyond its bytes: texts, and what is said about other entries, about the room and about oneself.
//!
//! Only shapes and their bounds. What follows from them, such as whose edit counts, stands in `core::marks`.

use super::Bytes;
use super::entry::{Body, BodyKind, EntryId};
use crate::limits::{AWAY_BYTES_MAX, REACTION_BYTES_MAX, TEXT_BYTES_MAX, TOPIC_BYTES_MAX};

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text(String),
    /// Something that its author does, told in the third person.
    Action(String),
    /// A text that answers an entry.
    Reply {
        /// Which entry.
        to: EntryId,
        /// The text.
        text: String,
    },
    /// A sign under an entry, or no longer.
    Reaction {
        /// Under which entry.
        to: EntryId,
        /// Whether it stands there from now on.
        on: bool,
        /// An emoji or a short word.
        sign: String,
    },
    /// Another text in the place of an own entry's.
    Edit {
        /// Which entry.
        of: EntryId,
        /// The text from now on.
        text: String,
    },
    /// An own entry is to be shown no longer.
    Unsaid(EntryId),
    /// What the room is about, from now on; nothing if empty.
    Topic(String),
    /// The author is away; why, if they say so.
    Away(String),
    /// The author is back.
    Back,
}

/// A reaction that is none: empty, too long, or with white space or control characters in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSign;

/// Whether a reaction is an emoji or a short word.
///
/// # Errors
/// [`NoSign`] if not.
pub fn check_sign(sign: &str) -> Result<(), NoSign> {
    let apart = |c: char| c.is_whitespace() || c.is_control();
    let sound = !sign.is_empty() && sign.len() <= REACTION_BYTES_MAX && !sign.contains(apart);
    if sound { Ok(()) } else { Err(NoSign) }
}

impl Content {
    /// The text that people read and look for, if it is one of those.
    pub fn text(&self) -> Option<&str> {
        match self {
            Content::Text(text) | Content::Action(text) | Content::Reply { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The same, given up.
    pub fn into_text(self) -> Option<String> {
        match self {
            Content::Text(text) | Content::Action(text) | Content::Reply { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entry that this says something about without being a text itself.
    pub fn about(&self) -> Option<EntryId> {
        match self {
            Content::Reaction { to: entry, .. } | Content::Edit { of: entry, .. } | Content::Unsaid(entry) => {
                Some(*entry)
            }
            _ => None,
        }
    }

    /// As an entry carries it; `None` when it is longer than it may be.
    pub fn body(&self) -> Option<Body> {
        let (kind, entry, flag, text) = match self {
            Content::Text(text) => (BodyKind::Text, None, None, text.as_str()),
            Content::Action(text) => (BodyKind::Action, None, None, text.as_str()),
            Content::Reply { to, text } => (BodyKind::Reply, Some(to), None, text.as_str()),
            Content::Reaction { to, on, sign } => {
                check_sign(sign).ok()?;
                (BodyKind::Reaction, Some(to), Some(u8::from(*on)), sign.as_str())
            }
            Content::Edit { of, text } => (BodyKind::Edit, Some(of), None, text.as_str()),
            Content::Unsaid(of) => (BodyKind::Unsaid, Some(of), None, ""),
            Content::Topic(text) if text.len() > TOPIC_BYTES_MAX => return None,
            Content::Topic(text) => (BodyKind::Topic, None, None, text.as_str()),
            Content::Away(text) if text.len() > AWAY_BYTES_MAX => return None,
            Content::Away(text) => (BodyKind::Away, None, None, text.as_str()),
            Content::Back => (BodyKind::Back, None, None, ""),
        };
        let mut bytes = entry.map(|entry| entry.0.to_vec()).unwrap_or_default();
        bytes.extend(flag);
        bytes.extend_from_slice(text.as_bytes());
        Some(Body { kind: kind as u8, bytes: Bytes::try_from(bytes).ok()? })
    }

    /// How many bytes the text of an edit or a reply may have at most: the entry it names takes some of the room.
    pub const TEXT_ABOUT_BYTES_MAX: usize = TEXT_BYTES_MAX - 32;
}

impl Body {
    /// What it says; `None` for a kind of a later version, and for bytes that are not of their kind's shape.
    pub fn content(&self) -> Option<Content> {
        let kind = BodyKind::KNOWN.iter().find(|kind| **kind as u8 == self.kind)?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let named = || {
            let (entry, rest) = self.bytes.split_first_chunk::<32>()?;
            Some((EntryId(*entry), rest))
        };
        Some(match kind {
            BodyKind::Text => Content::Text(text(&self.bytes)?),
            BodyKind::Action => Content::Action(text(&self.bytes)?),
            BodyKind::Reply => {
                let (to, rest) = named()?;
                Content::Reply { to, text: text(rest)? }
            }
            BodyKind::Reaction => {
                let (to, rest) = named()?;
                let (flag, sign) = rest.split_first().filter(|(flag, _)| **flag <= 1)?;
                let sign = text(sign).filter(|sign| check_sign(sign).is_ok())?;
                Content::Reaction { to, on: *flag == 1, sign }
            }
            BodyKind::Edit => {
                let (of, rest) = named()?;
                Content::Edit { of, text: text(rest)? }
            }
            BodyKind::Unsaid => named().filter(|(_, rest)| rest.is_empty()).map(|(of, _)| Content::Unsaid(of))?,
            BodyKind::Topic => Content::Topic(text(&self.bytes).filter(|text| text.len() <= TOPIC_BYTES_MAX)?),
            BodyKind::Away => Content::Away(text(&self.bytes).filter(|text| text.len() <= AWAY_BYTES_MAX)?),
            BodyKind::Back => self.bytes.is_empty().then_some(Content::Back)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: EntryId = EntryId([7; 32]);

    fn every_kind() -> Vec<Content> {
        let text = || "ünï".to_owned();
        vec![
            Content::Text(text()),
            Content::Action(text()),
            Content::Reply { to: ENTRY, text: text() },
            Content::Reaction { to: ENTRY, on: true, sign: "👍🏽".into() },
            Content::Reaction { to: ENTRY, on: false, sign: "nice".into() },
            Content::Edit { of: ENTRY, text: text() },
            Content::Unsaid(ENTRY),
            Content::Topic(text()),
            Content::Away(String::new()),
            Content::Back,
        ]
    }

    #[test]
    fn what_is_said_is_what_is_read() {
        for content in every_kind() {
            assert_eq!(content.body().and_then(|body| body.content()), Some(content));
        }
    }

    #[test]
    fn bytes_that_are_not_of_their_kind_say_nothing() {
        let body = |kind: BodyKind, bytes: &[u8]| Body { kind: kind as u8, bytes: bytes.to_vec().try_into().unwrap() };
        let reaction = |rest: &[u8]| body(BodyKind::Reaction, &[&ENTRY.0[..], rest].concat());
        for nothing in [
            body(BodyKind::Text, &[0xff]),
            body(BodyKind::Reply, &[7; 31]),
            body(BodyKind::Edit, &[&ENTRY.0[..], &[0xc3]].concat()),
            body(BodyKind::Unsaid, &[7; 33]),
            body(BodyKind::Back, b"x"),
            reaction(b""),
            reaction(b"\x01"),
            reaction("\x02👍".as_bytes()),
            reaction(b"\x01two words"),
            reaction(b"\x01\x1b[2J"),
            reaction(&[&[1][..], &[b'x'; REACTION_BYTES_MAX + 1]].concat()),
            body(BodyKind::Topic, &[b'x'; TOPIC_BYTES_MAX + 1]),
            body(BodyKind::Away, &[b'x'; AWAY_BYTES_MAX + 1]),
        ] {
            assert_eq!(nothing.content(), None, "{nothing:?}");
        }
        assert_eq!(Body { kind: 200, bytes: Bytes::default() }.content(), None, "a kind of a later version");
    }

    #[test]
    fn what_is_too_long_is_never_written() {
        let long = |bytes| "x".repeat(bytes);
        assert_eq!(Content::Text(long(TEXT_BYTES_MAX + 1)).body(), None);
        assert!(Content::Edit { of: ENTRY, text: long(Content::TEXT_ABOUT_BYTES_MAX) }.body().is_some());
        assert_eq!(Content::Edit { of: ENTRY, text: long(Content::TEXT_ABOUT_BYTES_MAX + 1) }.body(), None);
        assert_eq!(Content::Topic(long(TOPIC_BYTES_MAX + 1)).body(), None);
        assert_eq!(Content::Reaction { to: ENTRY, on: true, sign: String::new() }.body(), None);
    }
}
