//! Whom we have met: keys, the names they used, whose words were compared, whose texts are not shown. By key alone, since
//! anybody can choose any name; so a known name with another key is somebody new, and that is found out here.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::{Name, PeerId};
use crate::limits::{ACQUAINTANCES_MAX, NAMES_PER_KEY_MAX};

/// What we know of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acquaintance {
    /// When it was in a room with us first, by our clock, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// The names it used, the newest last.
    pub names: Vec<Name>,
    /// When its words were compared.
    pub verified_ms: Option<u64>,
    /// Whether its texts are hidden.
    pub ignored: bool,
}

/// How well we know a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Met for the first time since the program was started.
    New,
    /// Met before.
    Known,
    /// Its words were compared.
    Verified,
}

/// Somebody known under a name that another key uses now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherKey {
    /// The key that we know.
    pub key: PeerId,
    /// The name we know it by.
    pub name: Name,
    /// How well we know it.
    pub trust: Trust,
}

/// Everybody we have met.
#[derive(Debug, Clone, Default)]
pub struct Acquaintances {
    /// By key.
    people: BTreeMap<PeerId, Acquaintance>,
    /// Keys met first since the start.
    new: BTreeSet<PeerId>,
    /// Who used a name that looks like this: by skeleton, since looking through everybody takes long in a full room.
    looks: BTreeMap<String, BTreeSet<PeerId>>,
}

impl Acquaintances {
    /// From what the store kept.
    pub fn recall(kept: Vec<(PeerId, Acquaintance)>) -> Self {
        let mut all = Acquaintances::default();
        for (key, known) in kept {
            for name in &known.names {
                all.looks.entry(name.skeleton()).or_default().insert(key);
            }
            all.people.insert(key, known);
        }
        all
    }

    /// What we know of a key.
    pub fn get(&self, key: &PeerId) -> Option<&Acquaintance> {
        self.people.get(key)
    }

    /// How well we know a key.
    pub fn trust(&self, key: &PeerId) -> Trust {
        match self.people.get(key) {
            Some(known) if known.verified_ms.is_some() => Trust::Verified,
            Some(_) if !self.new.contains(key) => Trust::Known,
            _ => Trust::New,
        }
    }

    /// Whether a key's texts are hidden.
    pub fn ignores(&self, key: &PeerId) -> bool {
        self.people.get(key).is_some_and(|known| known.ignored)
    }

    /// Somebody of another key whom we know by this name, or by one that looks the same: the one known best.
    pub fn other_key(&self, name: &Name, key: &PeerId) -> Option<OtherKey> {
        let skeleton = name.skeleton();
        let alike = |other: &PeerId| {
            let names = &self.people.get(other)?.names;
            let name = names.iter().rev().find(|known| known.skeleton() == skeleton)?;
            Some(OtherKey { key: *other, name: name.clone(), trust: self.trust(other) })
        };
        // Two strangers of one name who came at the same time are no news about either: the room tells them apart.
        let looks = self.looks.get(&skeleton);
        let others = looks.into_iter().flatten().filter(|other| *other != key).filter_map(alike);
        others.filter(|other| other.trust > Trust::New).max_by_key(|other| other.trust)
    }

    /// A key is in a room with us under this name; what is to be kept, if that is new.
    pub fn meet(&mut self, key: PeerId, name: &Name, now_ms: u64) -> Option<Acquaintance> {
        if !self.people.contains_key(&key) {
            self.make_room();
            self.new.insert(key);
        }
        let known =
            self.people.entry(key).or_insert_with(|| Acquaintance { first_seen_ms: now_ms, ..Default::default() });
        if known.names.last() == Some(name) {
            return None;
        }
        self.looks.entry(name.skeleton()).or_default().insert(key);
        known.names.retain(|known| known != name);
        known.names.push(name.clone());
        let too_many = known.names.len().saturating_sub(NAMES_PER_KEY_MAX);
        let forgotten: Vec<Name> = known.names.drain(..too_many).collect();
        let kept = known.clone();
        self.forget_looks(&key, &forgotten);
        Some(kept)
    }

    /// A key's words were compared, or are to be compared again; what is to be kept.
    pub fn verify(&mut self, key: &PeerId, at_ms: Option<u64>) -> Option<Acquaintance> {
        let known = self.people.get_mut(key)?;
        known.verified_ms = at_ms;
        Some(known.clone())
    }

    /// A key's texts are hidden from now on, or no longer; what is to be kept.
    pub fn ignore(&mut self, key: &PeerId, ignored: bool) -> Option<Acquaintance> {
        let known = self.people.get_mut(key)?;
        known.ignored = ignored;
        Some(known.clone())
    }

    /// Of too many, whoever was met first goes, of those about whom nothing was decided.
    fn make_room(&mut self) {
        while self.people.len() >= ACQUAINTANCES_MAX {
            let idle = self.people.iter().filter(|(_, known)| known.verified_ms.is_none() && !known.ignored);
            let oldest = idle.min_by_key(|(_, known)| known.first_seen_ms).map(|(key, _)| *key);
            // Should something be decided about all of them, it is about the key and not about the number.
            let Some(oldest) = oldest.or_else(|| self.people.keys().next().copied()) else { return };
            let names = self.people.remove(&oldest).map(|known| known.names).unwrap_or_default();
            self.new.remove(&oldest);
            self.forget_looks(&oldest, &names);
        }
    }

    fn forget_looks(&mut self, key: &PeerId, names: &[Name]) {
        for skeleton in names.iter().map(Name::skeleton) {
            if self.people.get(key).is_some_and(|known| known.names.iter().any(|name| name.skeleton() == skeleton)) {
                continue;
            }
            if let Some(keys) = self.looks.get_mut(&skeleton) {
                keys.remove(key);
                if keys.is_empty() {
                    self.looks.remove(&skeleton);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PeerId {
        PeerId([byte; 32])
    }

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    fn met(byte: u8, who: &str, verified_ms: Option<u64>) -> (PeerId, Acquaintance) {
        (key(byte), Acquaintance { first_seen_ms: 1, names: vec![name(who)], verified_ms, ignored: false })
    }

    #[test]
    fn a_key_is_new_then_known_then_verified() {
        let mut people = Acquaintances::default();
        assert_eq!(people.trust(&key(1)), Trust::New);
        let kept = people.meet(key(1), &name("bob"), 5).unwrap();
        assert_eq!((kept.first_seen_ms, people.trust(&key(1))), (5, Trust::New));
        assert_eq!(people.meet(key(1), &name("bob"), 6), None, "nothing new, nothing to keep");
        let mut later = Acquaintances::recall(vec![(key(1), kept)]);
        assert_eq!(later.trust(&key(1)), Trust::Known);
        later.verify(&key(1), Some(7)).unwrap();
        assert_eq!(later.trust(&key(1)), Trust::Verified);
        later.verify(&key(1), None).unwrap();
        assert_eq!(later.trust(&key(1)), Trust::Known);
    }

    #[test]
    fn a_known_name_with_another_key_is_found_out() {
        let people = Acquaintances::recall(vec![met(1, "bob", None), met(2, "Bob", Some(3)), met(3, "carol", None)]);
        let other = people.other_key(&name("bob"), &key(9)).unwrap();
        assert_eq!((other.key, other.trust), (key(2), Trust::Verified), "the one known best");
        assert_eq!(people.other_key(&name("carol"), &key(3)), None, "that is carol");
        assert_eq!(people.other_key(&name("dana"), &key(9)), None);
        let mut strangers = Acquaintances::default();
        strangers.meet(key(1), &name("bob"), 5);
        assert_eq!(strangers.other_key(&name("bob"), &key(2)), None);
    }

    #[test]
    fn names_and_keys_are_bounded_and_decisions_stay() {
        let mut people = Acquaintances::recall(vec![met(1, "bob", Some(1))]);
        for n in 0..10 {
            people.meet(key(2), &name(&format!("carol{n}")), 5);
        }
        let names: Vec<String> = people.get(&key(2)).unwrap().names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["carol6", "carol7", "carol8", "carol9"]);
        for n in 0..(ACQUAINTANCES_MAX as u64 + 10) {
            let mut key = [7; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            people.meet(PeerId(key), &name("dana"), 10 + n);
        }
        assert_eq!(people.people.len(), ACQUAINTANCES_MAX);
        assert_eq!(people.trust(&key(1)), Trust::Verified);
    }
}
