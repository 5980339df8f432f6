//! Who an entry is for: rosters of the chain, and rosters of seats that this member had before its chain began.
//!
//! Those before the chain are known by hash alone, each named by the one after it. They answer the one question who may
//! have an old entry, and never anything about consent.

use std::collections::BTreeMap;

use crate::core::consent::chain::Chain;
use crate::limits::PAST_ROSTERS_MAX;
use crate::wire::{Roster, RosterHash};

/// Whatever knows rosters by their hashes.
pub trait Rosters {
    /// The roster of this hash.
    fn roster(&self, hash: &RosterHash) -> Option<&Roster>;
}

impl Rosters for Chain {
    fn roster(&self, hash: &RosterHash) -> Option<&Roster> {
        Chain::roster(self, hash)
    }
}

/// Rosters from before the chain.
#[derive(Debug, Clone, Default)]
pub struct Past(BTreeMap<RosterHash, Roster>);

impl Past {
    /// Keeps a roster that the caller has good reason to believe in; the newest when there are too many.
    pub fn keep(&mut self, roster: Roster) {
        self.0.insert(roster.hash(), roster);
        if self.0.len() > PAST_ROSTERS_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, roster)| roster.epoch).map(|(hash, _)| *hash)
        {
            self.0.remove(&oldest);
        }
    }

    /// Every one, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Roster> {
        self.0.values()
    }

    /// The first roster before `chain` that is not known, and the number it must have; `None` if there is none, or no room
    /// for more.
    pub fn unknown_before(&self, chain: &Chain) -> Option<(RosterHash, u64)> {
        let mut earliest = chain.base();
        while let Some(roster) = self.0.get(&earliest.previous) {
            earliest = roster;
        }
        let epoch = earliest.epoch.checked_sub(1)?;
        (self.0.len() < PAST_ROSTERS_MAX).then_some((earliest.previous, epoch))
    }
}

/// The rosters of a chain, and those from before it.
#[derive(Debug, Clone, Copy)]
pub struct Audiences<'r> {
    /// The chain.
    pub chain: &'r Chain,
    /// What was before it.
    pub past: &'r Past,
}

impl<'r> Audiences<'r> {
    /// The roster of this hash.
    pub fn find(self, hash: &RosterHash) -> Option<&'r Roster> {
        self.chain.roster(hash).or_else(|| self.past.0.get(hash))
    }
}

impl Rosters for Audiences<'_> {
    fn roster(&self, hash: &RosterHash) -> Option<&Roster> {
        self.find(hash)
    }
}
