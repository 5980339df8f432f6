//! Members who went on without us: how each is known to have, and what takes that back (DESIGN.md §4 rules 6 and 7).
//!
//! Nobody goes back to a roster that they have left, and everybody who stays signs each step. So what is known of somebody is void once
//! they are heard on a later roster of ours, but for their own leaving.

use std::collections::BTreeMap;

use super::roster::is_member;
use super::seat::{Heard, Seat};
use crate::identity::PeerId;
use crate::wire::RosterHash;

/// How members went on without us: by their own signatures, or by what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Departed {
    /// They left.
    Left,
    /// They could not reach us.
    WentOn,
    /// They signed a step without us over a roster that we have passed. Nobody goes back: whatever they sign over a later one of ours
    /// takes it back, and so does their word that they are on it.
    SignedBefore,
    /// They say that they are on a roster without us, which their word that they are on ours takes back.
    SaidSo,
    /// Their users decided to go on without us.
    RemovedUs,
    /// The same, by what they told us themselves, which [`Departed::SaidSo`]'s word takes back.
    SaidRemoved,
}

impl Departed {
    /// Whether their word that they are on our roster takes it back. Against a step over this very roster it says no more than that they
    /// have not taken it yet.
    pub(super) fn is_taken_back_by_word(self) -> bool {
        matches!(self, Departed::SignedBefore | Departed::SaidSo | Departed::SaidRemoved)
    }

    /// What is left of it once the rest of us took a step from that roster, which all who are still in the next one signed.
    pub(super) fn after_our_step(self) -> Option<Departed> {
        match self {
            Departed::Left => Some(Departed::Left),
            Departed::SaidSo | Departed::SaidRemoved => Some(Departed::SaidSo),
            // They signed both, and took one.
            Departed::WentOn | Departed::RemovedUs => Some(Departed::SignedBefore),
            // What they signed over the roster before this one they did not take.
            Departed::SignedBefore => None,
        }
    }
}

impl Seat {
    /// Members who went on without us, and how.
    pub fn left(&self) -> &BTreeMap<PeerId, Departed> {
        &self.left
    }

    /// These went on without us, by what they signed. Whether that is news.
    pub(super) fn departed(&mut self, keys: Vec<PeerId>, how: Departed) -> Heard {
        let mut new = Vec::new();
        for key in keys {
            match self.left.get(&key) {
                Some(Departed::SignedBefore) => {}
                Some(Departed::SaidSo | Departed::SaidRemoved) if how != Departed::SignedBefore => {}
                Some(_) => continue,
                None => new.push(key),
            }
            self.left.insert(key, how);
        }
        if new.is_empty() { Heard::Nothing } else { Heard::Departed(new) }
    }

    /// Somebody says themselves that they went on without us.
    pub(super) fn note_word(&mut self, by: PeerId, how: Departed) {
        let known = self.left.entry(by).or_insert(how);
        if matches!(known, Departed::SignedBefore | Departed::SaidSo) {
            *known = how;
        }
    }

    /// A member has signed a knock at the current roster: it has a seat in it, and says that it sits nowhere. Whether that is
    /// news.
    pub fn hear_knock_of_member(&mut self, by: PeerId) -> bool {
        if !is_member(self.chain.current(), &by) || by == self.me {
            return false;
        }
        let before = self.left.get(&by).copied();
        if before.is_none_or(|how| how == Departed::WentOn || how.is_taken_back_by_word()) {
            self.left.insert(by, Departed::Left);
        }
        // A better half of which nobody sits there any more is none.
        let left = |key: &PeerId| self.left.get(key) == Some(&Departed::Left);
        if self.better_half.as_ref().is_some_and(|half| half.members.iter().all(|member| left(&member.key))) {
            (self.better_half, self.is_there) = (None, false);
        }
        before != self.left.get(&by).copied()
    }

    /// A member signed something over the current roster: they are on it, or have been, and did not take what they signed over the one
    /// before. Whether that is news.
    pub fn hear_signature(&mut self, by: &PeerId) -> bool {
        let is_news = self.left.get(by) == Some(&Departed::SignedBefore);
        if is_news {
            self.left.remove(by);
        }
        is_news
    }

    /// Whether everybody who is still here signed one of our rosters after the one that follows `passed`: nobody stays in a room without
    /// signing its steps. So nobody took what they may have signed over that one.
    pub(super) fn is_long_passed(&self, passed: &RosterHash) -> bool {
        self.chain().steps_after(passed).is_some_and(|later| later.len() > 1)
    }

    /// Whether a member answered something that is being decided.
    pub(super) fn has_answered(&self, key: &PeerId) -> bool {
        self.ballots().iter().any(|(_, ballot)| ballot.answer(key).is_some())
    }

    /// Whether others seem to have gone on by more than what they signed over a roster that we have passed.
    pub fn is_sure_of_departures(&self) -> bool {
        self.better_half.is_some() || self.left.values().any(|how| matches!(how, Departed::WentOn | Departed::SaidSo))
    }
}
