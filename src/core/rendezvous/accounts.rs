//! Names: each belongs to the first key that took it, and each key has one at a time.
//!
//! Two names are one when their skeletons are (THREATS.md row 17). A key that comes under another name lets go of its old
//! one, so that nobody collects names; a name is otherwise kept however long its holder stays away, since whoever got it
//! next would be taken for them.

use std::collections::BTreeMap;

use super::kept::{Change, KeptName};
use super::refusal::{Refusal, no};
use crate::identity::{Name, PeerId};
use crate::limits::NAMES_PER_SERVER_MAX;
use crate::wire::RefusalCode;

/// Who has which name.
#[derive(Debug)]
pub(super) struct Accounts {
    /// By skeleton.
    names: BTreeMap<String, KeptName>,
    /// Each key's skeleton.
    by_key: BTreeMap<PeerId, String>,
}

impl Accounts {
    /// Goes on from what was kept.
    pub(super) fn new(names: BTreeMap<String, KeptName>) -> Self {
        let by_key = names.iter().map(|(skeleton, holder)| (holder.key, skeleton.clone())).collect();
        Accounts { names, by_key }
    }

    /// Binds a name to a key, if it is free or theirs, and tells what is to be kept of that.
    pub(super) fn claim(&mut self, key: PeerId, name: &Name) -> Result<Vec<Change>, Refusal> {
        let skeleton = name.skeleton();
        let mut changes = Vec::new();
        match self.names.get(&skeleton) {
            Some(holder) if holder.key != key => {
                let why = "somebody else has that name here, or one that looks like it; choose another one";
                return Err(no(RefusalCode::NameTaken, why));
            }
            Some(holder) if holder.name == *name => return Ok(changes),
            _ => {}
        }
        if let Some(old) = self.by_key.get(&key).filter(|&old| *old != skeleton).cloned() {
            self.names.remove(&old);
            changes.push(Change::NameFreed { skeleton: old });
        } else if !self.by_key.contains_key(&key) && self.names.len() >= NAMES_PER_SERVER_MAX {
            let why = "this server keeps no more names; use another server, or ask its operator";
            return Err(no(RefusalCode::TooMany, why));
        }
        let holder = KeptName { key, name: name.clone() };
        self.names.insert(skeleton.clone(), holder.clone());
        self.by_key.insert(key, skeleton.clone());
        changes.push(Change::NameTaken { skeleton, holder });
        Ok(changes)
    }
}
