//! What people are called on screen: their names, told apart where two keys' names look alike.

use std::collections::{BTreeMap, BTreeSet};

use super::words::shown;
use crate::peer::api::limits::NAMES_REMEMBERED_MAX;
use crate::peer::api::{Event, Name, PeerId};

/// The names that were seen, by key.
#[derive(Debug, Default)]
pub struct Labels {
    names: BTreeMap<PeerId, Name>,
    /// Keys of names that look the same, by what these look like.
    alike: BTreeMap<String, BTreeSet<PeerId>>,
}

impl Labels {
    /// Notes the names in an event.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Joined { members, .. } | Event::Members { members, .. } => {
                members.iter().for_each(|person| self.add(&person.key, &person.name));
            }
            Event::MemberJoined { name, key, .. } | Event::Message { from: name, key, .. } => self.add(key, name),
            Event::History { messages, .. } => {
                messages.iter().for_each(|message| {
                    message.from.iter().for_each(|name| self.add(&message.key, name));
                });
            }
            _ => {}
        }
    }

    fn add(&mut self, key: &PeerId, name: &Name) {
        if self.names.get(key) == Some(name) {
            return;
        }
        if self.names.len() >= NAMES_REMEMBERED_MAX && !self.names.contains_key(key) {
            return;
        }
        if let Some(former) = self.names.insert(*key, name.clone())
            && let Some(keys) = self.alike.get_mut(&former.skeleton())
        {
            keys.remove(key);
        }
        self.alike.entry(name.skeleton()).or_default().insert(*key);
    }

    /// The name, with the first words of the key if another key's name looks the same.
    pub fn label(&self, name: &Name, key: &PeerId) -> String {
        let alike = self.alike.get(&name.skeleton()).is_some_and(|keys| keys.iter().any(|other| other != key));
        if alike { format!("{}@{}", shown(name), key.fingerprint().tag()) } else { shown(name) }
    }

    /// What a key was called last.
    pub fn name(&self, key: &PeerId) -> Option<&Name> {
        self.names.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus::{message, name, words};

    #[test]
    fn names_that_look_alike_are_told_apart_by_their_keys() {
        let mut labels = Labels::default();
        labels.note(&message(2, "bob", "hello"));
        assert_eq!(labels.label(&name("bob"), &PeerId([2; 32])), "bob");
        labels.note(&message(3, "Bob", "hello, I am bob"));
        assert_eq!(labels.label(&name("bob"), &PeerId([2; 32])), format!("bob@{}", words(2).tag()));
    }

    #[test]
    fn a_name_given_up_is_no_reason_any_more() {
        let mut labels = Labels::default();
        labels.note(&message(2, "bob", "hello"));
        labels.note(&message(2, "robert", "new name"));
        labels.note(&message(3, "bob", "hello"));
        assert_eq!(labels.label(&name("bob"), &PeerId([3; 32])), "bob");
    }
}
