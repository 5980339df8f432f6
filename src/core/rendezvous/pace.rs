//! How often each key knocks: a person who is refused may ask again, a program that keeps asking is slowed down.

use std::collections::{BTreeMap, VecDeque};

use super::refusal::{Refusal, no};
use crate::core::Now;
use crate::identity::PeerId;
use crate::limits::KNOCKS_PER_MINUTE_MAX;
use crate::wire::RefusalCode;

/// The span over which knocks are counted, in milliseconds.
const SPAN_MS: u64 = 60_000;

/// The knocks of the last minute.
#[derive(Debug, Default)]
pub(in crate::core) struct Pace {
    /// When and whose, oldest first.
    recent: VecDeque<(u64, PeerId)>,
    /// How many of them count against each key.
    counts: BTreeMap<PeerId, usize>,
}

impl Pace {
    /// Counts a knock, or refuses it.
    pub(in crate::core) fn knock(&mut self, now: Now, key: PeerId) -> Result<(), Refusal> {
        while let Some(&(_, old)) = self.recent.front().filter(|(at, _)| at.saturating_add(SPAN_MS) <= now.mono_ms) {
            self.recent.pop_front();
            self.uncount(&old);
        }
        let count = self.counts.entry(key).or_default();
        if *count >= KNOCKS_PER_MINUTE_MAX {
            return Err(no(RefusalCode::TooMany, "you knocked too often; wait a minute before you knock again"));
        }
        *count += 1;
        self.recent.push_back((now.mono_ms, key));
        Ok(())
    }

    /// Takes a key's last knock back: the server itself asks for the next one.
    pub(in crate::core) fn refund(&mut self, key: &PeerId) {
        if let Some(at) = self.recent.iter().rposition(|(_, whose)| whose == key) {
            self.recent.remove(at);
            self.uncount(key);
        }
    }

    fn uncount(&mut self, key: &PeerId) {
        if let Some(count) = self.counts.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(key);
            }
        }
    }
}
