//! The newcomers whose prompts were shown, so that an answer means exactly the key that the person saw.
//!
//! An answer by name is turned into the id of the knock on this side of the screen. If two keys have knocked under one
//! name, the name alone is no answer any more: somebody could have taken another's place while the answer was typed.

use std::collections::VecDeque;

use super::slash::Newcomer;
use crate::peer::api::limits::PROMPTS_REMEMBERED_MAX;
use crate::peer::api::{Event, Failure, KnockRef, Name, PeerId, ProposalHash, RoomName};

/// The prompts shown, oldest first.
#[derive(Debug, Default)]
pub struct Knocks(VecDeque<Shown>);

#[derive(Debug)]
struct Shown {
    room: RoomName,
    knock: ProposalHash,
    name: Name,
    key: PeerId,
}

impl Knocks {
    /// Notes what was shown. Knocks that are over are kept: that is how a second key under one name is noticed.
    pub fn note(&mut self, event: &Event) {
        let Event::Knock { room, knock, name, key, .. } = event else { return };
        // The same person knocking anew, on a changed roster: only the newest knock can be answered.
        self.0.retain(|shown| !(shown.room == *room && shown.key == *key));
        if self.0.len() == PROMPTS_REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Shown { room: room.clone(), knock: *knock, name: name.clone(), key: *key });
    }

    /// The knock that an answer in `room` is about.
    ///
    /// # Errors
    /// [`Failure::NoSuchKnock`] or [`Failure::AmbiguousName`].
    pub fn find(&self, room: &RoomName, newcomer: &Newcomer) -> Result<KnockRef, Failure> {
        match newcomer {
            Newcomer::Knock(knock) => Ok(KnockRef::Id(*knock)),
            Newcomer::Named { .. } => self.one(room, newcomer).map(|shown| KnockRef::Id(shown.knock)),
        }
    }

    /// Who was shown, for an answer in `room` that holds for later too.
    ///
    /// # Errors
    /// [`Failure::NoSuchKnock`] or [`Failure::AmbiguousName`].
    pub fn shown(&self, room: &RoomName, newcomer: &Newcomer) -> Result<(Name, PeerId), Failure> {
        self.one(room, newcomer).map(|shown| (shown.name.clone(), shown.key))
    }

    fn one(&self, room: &RoomName, newcomer: &Newcomer) -> Result<&Shown, Failure> {
        let fits = |shown: &&Shown| match newcomer {
            Newcomer::Knock(knock) => shown.knock == *knock,
            Newcomer::Named { name, tag } => {
                shown.name == *name && tag.as_ref().is_none_or(|tag| *tag == shown.key.fingerprint().tag())
            }
        };
        let mut matching = self.0.iter().filter(|shown| shown.room == *room).filter(fits);
        match (matching.next(), matching.next()) {
            (Some(shown), None) => Ok(shown),
            (None, _) => Err(Failure::NoSuchKnock),
            (Some(shown), Some(_)) => Err(Failure::AmbiguousName(shown.name.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus;

    fn named(name: &str, tag: Option<String>) -> Newcomer {
        Newcomer::Named { name: corpus::name(name), tag }
    }

    fn id(byte: u8) -> Result<KnockRef, Failure> {
        Ok(KnockRef::Id(ProposalHash([byte; 32])))
    }

    #[test]
    fn a_name_means_the_key_that_was_shown() {
        let mut knocks = Knocks::default();
        assert_eq!(knocks.find(&corpus::lobby(), &named("dana", None)), Err(Failure::NoSuchKnock));
        knocks.note(&corpus::knock_of(4, "dana"));
        assert_eq!(knocks.find(&corpus::lobby(), &named("dana", None)), id(4));
    }

    #[test]
    fn a_second_key_under_the_name_must_be_told_by_its_words() {
        let mut knocks = Knocks::default();
        knocks.note(&corpus::knock_of(4, "dana"));
        knocks.note(&corpus::knock_of(5, "dana"));
        let ambiguous = Err(Failure::AmbiguousName(corpus::name("dana")));
        assert_eq!(knocks.find(&corpus::lobby(), &named("dana", None)), ambiguous);
        assert_eq!(knocks.find(&corpus::lobby(), &named("dana", Some(corpus::words(5).tag()))), id(5));
    }

    #[test]
    fn a_renewed_knock_of_one_key_stays_one_newcomer() {
        let mut knocks = Knocks::default();
        knocks.note(&corpus::knock_of(4, "dana"));
        let mut again = corpus::knock_of(4, "dana");
        if let Event::Knock { knock, .. } = &mut again {
            *knock = ProposalHash([9; 32]);
        }
        knocks.note(&again);
        assert_eq!(knocks.find(&corpus::lobby(), &named("dana", None)), id(9));
    }

    #[test]
    fn prompts_without_end_do_not_fill_memory() {
        let mut knocks = Knocks::default();
        for byte in 0..=255 {
            knocks.note(&corpus::knock_of(byte, "dana"));
        }
        assert_eq!(knocks.0.len(), PROMPTS_REMEMBERED_MAX);
    }
}
