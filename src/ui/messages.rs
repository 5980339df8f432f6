//! The messages that a face has shown, so that people can name one of them, and so that what is said about one later can be
//! told with its beginning. What is typed is turned into an id on this side of the screen: it means what was seen.

use std::collections::VecDeque;

use super::escape;
use super::speak::Which;
use super::words::shown;
use crate::peer::api::limits::MESSAGES_REMEMBERED_MAX;
use crate::peer::api::{EntryId, Event, Failure, Fingerprint, Name, PeerId, Recalled, RoomName};

/// Columns of a message's beginning.
const EXCERPT_COLUMNS: usize = 32;

/// The messages shown, the newest last.
#[derive(Debug, Default)]
pub struct Messages {
    all: VecDeque<Message>,
    /// The words that were shown last to be compared: where, whose, which.
    compared: Option<(RoomName, Name, Fingerprint)>,
}

#[derive(Debug)]
struct Message {
    room: RoomName,
    id: EntryId,
    /// Whose it is: nobody else changes it or takes it back.
    key: PeerId,
    from: Option<Name>,
    mine: bool,
    /// Escaped already, and short.
    excerpt: String,
}

impl Messages {
    /// Notes what is shown.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Message { room, id, from, key, mine, text, .. } => {
                self.push(Message {
                    room: room.clone(),
                    id: *id,
                    key: *key,
                    from: Some(from.clone()),
                    mine: *mine,
                    excerpt: excerpt(text),
                });
            }
            Event::History { room, messages, .. } => self.note_history(room, messages),
            Event::Edited { of, key, text, .. } => {
                if let Some(message) = self.all.iter_mut().find(|message| message.id == *of && message.key == *key) {
                    message.excerpt = excerpt(text);
                }
            }
            Event::Unsaid { of, key, .. } => self.all.retain(|message| message.id != *of || message.key != *key),
            Event::Verify { room, name, fingerprint, .. } => {
                self.compared = Some((room.clone(), name.clone(), *fingerprint));
            }
            _ => {}
        }
    }

    /// Texts of earlier stand before those that came since, and those known already stay where they are.
    fn note_history(&mut self, room: &RoomName, messages: &[Recalled]) {
        let known = |id: &EntryId| self.all.iter().any(|message| message.id == *id);
        let new: Vec<&Recalled> = messages.iter().filter(|message| !message.unsaid && !known(&message.id)).collect();
        for message in new.into_iter().rev() {
            if self.all.len() >= MESSAGES_REMEMBERED_MAX {
                return;
            }
            self.all.push_front(Message {
                room: room.clone(),
                id: message.id,
                key: message.key,
                from: message.from.clone(),
                mine: message.mine,
                excerpt: excerpt(&message.text),
            });
        }
    }

    fn push(&mut self, message: Message) {
        if self.all.len() >= MESSAGES_REMEMBERED_MAX {
            self.all.pop_front();
        }
        self.all.push_back(message);
    }

    /// The message of a room that is meant; of our own only, where only those can be.
    ///
    /// # Errors
    /// [`Failure::NoSuchMessage`], or [`Failure::NotYours`] for another's.
    pub fn find(&self, room: &RoomName, which: &Which, own: bool) -> Result<EntryId, Failure> {
        let mut here = self.all.iter().rev().filter(|message| message.room == *room);
        let found = match which {
            Which::Back(count) => here.filter(|message| message.mine || !own).nth(count - 1),
            Which::By(name) => here.find(|message| message.from.as_ref() == Some(name)),
            Which::Id(digits) => {
                let mut fits = here.filter(|message| message.id.to_string().starts_with(digits));
                // Two that begin alike are told apart by more digits.
                fits.next().filter(|_| fits.next().is_none())
            }
        };
        match found {
            Some(message) if own && !message.mine => Err(Failure::NotYours),
            Some(message) => Ok(message.id),
            None => Err(Failure::NoSuchMessage),
        }
    }

    /// Whether this message is known to be somebody else's than `key`'s. The chat lets an edit of an entry through whose author it
    /// does not know any more; what was shown here tells.
    pub fn is_anothers(&self, id: &EntryId, key: &PeerId) -> bool {
        self.all.iter().any(|message| message.id == *id && message.key != *key)
    }

    /// The beginning of a message and who said it, as a person may be reminded of it.
    pub fn reminder(&self, id: &EntryId) -> String {
        let message = self.all.iter().rev().find(|message| message.id == *id);
        let of = |message: &Message| match (&message.from, message.mine) {
            (_, true) => format!("your \"{}\"", message.excerpt),
            (Some(from), _) => format!("{}'s \"{}\"", shown(from), message.excerpt),
            (None, _) => format!("\"{}\"", message.excerpt),
        };
        message.map_or_else(|| "an earlier message".to_owned(), of)
    }

    /// The words that were shown last to be compared with this member.
    pub fn words_shown(&self, room: &RoomName, name: &Name) -> Option<Fingerprint> {
        let (at, who, words) = self.compared.as_ref()?;
        (at == room && who == name).then_some(*words)
    }
}

/// The beginning of an id, by which a message can be named.
pub fn handle(id: &EntryId) -> String {
    format!("#{}", &id.to_string()[..4])
}

fn excerpt(text: &str) -> String {
    escape::field(text, EXCERPT_COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus::{self, lobby, name};

    fn id(byte: u8) -> EntryId {
        EntryId([byte; 32])
    }

    fn some() -> Messages {
        let mut messages = Messages::default();
        messages.note(&corpus::message(0xaa, "bob", "from bob"));
        messages.note(&corpus::message(0xab, "alice", "my own"));
        messages.note(&corpus::message(0xba, "bob", "again from bob"));
        messages
    }

    #[test]
    fn a_message_is_found_by_count_by_name_and_by_id() {
        let messages = some();
        let find = |which, own| messages.find(&lobby(), &which, own);
        assert_eq!(find(Which::Back(1), false), Ok(id(0xba)));
        assert_eq!(find(Which::Back(3), false), Ok(id(0xaa)));
        assert_eq!(find(Which::Back(1), true), Ok(id(0xab)), "only own ones are counted");
        assert_eq!(find(Which::By(name("bob")), false), Ok(id(0xba)));
        assert_eq!(find(Which::Id("abab".into()), false), Ok(id(0xab)));
        assert_eq!(find(Which::Id("baba".into()), true), Err(Failure::NotYours));
        assert_eq!(find(Which::Back(4), false), Err(Failure::NoSuchMessage));
        assert_eq!(messages.find(&corpus::annex(), &Which::Back(1), false), Err(Failure::NoSuchMessage));
    }

    #[test]
    fn nobody_changes_or_takes_back_the_reminder_of_another() {
        let (mut messages, room, of) = (some(), lobby(), id(0xaa));
        let edited = |byte| {
            let (room, text) = (room.clone(), "new".to_owned());
            Event::Edited { room, of, from: name("mallory"), key: PeerId([byte; 32]), mine: false, text, sent_at_ms: 0 }
        };
        let unsaid = |byte| {
            let (room, key) = (room.clone(), PeerId([byte; 32]));
            Event::Unsaid { room, of, from: name("mallory"), key, mine: false }
        };
        for event in [edited(0xee), unsaid(0xee)] {
            assert!(crate::ui::said::lines(&event, &messages, &jiff::tz::TimeZone::UTC).is_empty());
            messages.note(&event);
        }
        assert_eq!(messages.reminder(&of), "bob's \"from bob\"");
        messages.note(&edited(0xaa));
        assert_eq!(messages.reminder(&of), "bob's \"new\"");
        messages.note(&unsaid(0xaa));
        assert_eq!(messages.reminder(&of), "an earlier message");
    }

    #[test]
    fn an_id_that_begins_like_another_is_no_name() {
        let mut messages = some();
        let mut twin = corpus::message(1, "bob", "twin");
        if let Event::Message { id, .. } = &mut twin {
            *id = EntryId([0xaa; 32]);
            id.0[31] = 0;
        }
        messages.note(&twin);
        assert_eq!(messages.find(&lobby(), &Which::Id("aaaa".into()), false), Err(Failure::NoSuchMessage));
    }

    #[test]
    fn a_reminder_is_short_and_does_not_act() {
        let mut messages = some();
        assert_eq!(messages.reminder(&id(0xab)), "your \"my own\"");
        assert_eq!(messages.reminder(&id(1)), "an earlier message");
        messages.note(&corpus::message(1, "bob", &format!("{} {}", corpus::EVIL, "x".repeat(100))));
        let reminder = messages.reminder(&id(1));
        assert!(!reminder.chars().any(char::is_control) && reminder.chars().count() < 60, "{reminder:?}");
    }

    #[test]
    fn history_stands_before_what_came_since() {
        let mut messages = some();
        messages.note(&corpus::history(crate::peer::api::Recall::Joined, 0));
        assert_eq!(messages.find(&lobby(), &Which::Back(1), false), Ok(id(0xba)));
        assert_eq!(messages.find(&lobby(), &Which::Back(4), false), Ok(id(1)));
    }
}
