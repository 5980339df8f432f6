//! What is missing in an author's log: since when, who offered something behind it, and what of that is known to be for us.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::PeerId;

/// Milliseconds after which members that have more, by their own word, and give nothing are not waited for.
const SILENT_MS: u64 = 300_000;

/// Milliseconds after which what somebody leaves out is taken to be something that they lack: they have sent anew what they sent by then.
const SKIP_COUNTS_AFTER_MS: u64 = 5_000;

/// Members of whom it is remembered what they leave out.
const SKIPS_REMEMBERED_MAX: usize = 64;

/// Runs behind a gap whose beginnings are remembered.
const OFFERS_REMEMBERED_MAX: usize = 16;

/// What is missing in an author's log, and since when.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    /// Behind which number.
    pub head: u64,
    /// Since when, in milliseconds.
    pub since: u64,
    /// The lowest number behind it that was offered, by whom, and when last: that much of it is not missing everywhere.
    pub offered: Option<(u64, PeerId, u64)>,
    /// At which number members went on who leave out what may be for us, the lowest of each, and when they first did.
    skips: BTreeMap<PeerId, (u64, u64)>,
    /// Numbers behind it that are known to be for us, the lowest: these are nothing that can be jumped over, also once the gap is shorter.
    ours: BTreeSet<u64>,
    /// Since when there were such, in milliseconds: an author who says the rest of it line by line holds nobody up for longer than anybody
    /// is waited for.
    ours_since: u64,
}

impl Gap {
    /// What is missing behind a number, after what was missing before.
    pub(super) fn behind(head: u64, before: Option<&Gap>, now: u64) -> Self {
        match before {
            Some(gap) if gap.head == head => gap.clone(),
            _ => {
                let beyond = head.saturating_add(1)..;
                let ours = before.map(|gap| gap.ours.range(beyond).copied().collect()).unwrap_or_default();
                let ours_since = before.map_or(now, |gap| gap.ours_since);
                Gap { head, since: now, offered: None, skips: BTreeMap::new(), ours, ours_since }
            }
        }
    }

    /// Something that begins with this number is offered.
    pub(super) fn note_offer(&mut self, seq: u64, by: &PeerId, now: u64) {
        if seq > self.head && self.offered.is_none_or(|(lowest, ..)| seq <= lowest) {
            self.offered = Some((seq, *by, now));
        }
    }

    /// A member gave what begins with this number, and left out what may be for us.
    pub(super) fn note_skip(&mut self, seq: u64, by: &PeerId, now: u64) {
        if self.skips.len() < SKIPS_REMEMBERED_MAX || self.skips.contains_key(by) {
            let (lowest, _) = self.skips.entry(*by).or_insert((seq, now));
            *lowest = seq.min(*lowest);
        }
    }

    /// Where those go on who have given nothing else for as long as it takes to send something anew.
    pub(super) fn skipped(&self, now: u64) -> BTreeMap<PeerId, u64> {
        let lasting = self.skips.iter().filter(|(_, (_, at))| now >= at.saturating_add(SKIP_COUNTS_AFTER_MS));
        lasting.map(|(by, (lowest, _))| (*by, *lowest)).collect()
    }

    /// Whether something has been missing for longer than anybody is waited for.
    pub(super) fn is_old(&self, now: u64) -> bool {
        now >= self.since.saturating_add(SILENT_MS)
    }

    /// Whether it need not be found out whether this number is for us: it is known, or not behind the gap.
    pub(super) fn knows_as_ours(&self, seq: u64) -> bool {
        seq <= self.head || self.ours.contains(&seq)
    }

    /// The first number after this one that is known to be for us, unless it has been waited for for as long as anybody is.
    pub(super) fn first_of_ours(&self, after: u64, now: u64) -> Option<u64> {
        let waited = now >= self.ours_since.saturating_add(SILENT_MS);
        self.ours.range(after.saturating_add(1)..).next().copied().filter(|_| !waited)
    }

    /// Something behind it is known to be for us.
    pub(super) fn note_ours(&mut self, seq: u64, now: u64) {
        if self.ours.is_empty() {
            self.ours_since = now;
        }
        self.ours.insert(seq);
        if self.ours.len() > OFFERS_REMEMBERED_MAX {
            self.ours.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_outlives_a_shorter_gap_and_holds_nobody_up_for_longer_than_anybody_is_waited_for() {
        let mut gap = Gap::behind(0, None, 10);
        gap.note_ours(30, 10);
        let mut now = 10;
        // Line by line the gap gets shorter.
        for head in 1..29 {
            now += 20_000;
            gap = Gap::behind(head, Some(&gap), now);
            let waits = now < 10 + SILENT_MS;
            assert_eq!(gap.first_of_ours(head, now), waits.then_some(30), "behind {head}");
        }
        gap.note_ours(29, now);
        assert_eq!(gap.first_of_ours(28, now), None, "nor by what is offered anew");
        // Another time is another thing.
        gap = Gap::behind(31, Some(&gap), now);
        assert_eq!(gap.first_of_ours(31, now), None);
        gap.note_ours(40, now);
        assert_eq!(gap.first_of_ours(31, now), Some(40));
    }

    #[test]
    fn what_somebody_leaves_out_counts_as_what_they_lack_once_they_had_the_time_to_send_it_again() {
        let mut gap = Gap::behind(4, None, 0);
        let [ann, ben] = [PeerId([1; 32]), PeerId([2; 32])];
        gap.note_skip(12, &ann, 0);
        gap.note_skip(10, &ann, 4_000);
        gap.note_skip(15, &ben, 3_000);
        assert_eq!(gap.skipped(4_999), BTreeMap::new());
        assert_eq!(gap.skipped(5_000), BTreeMap::from([(ann, 10)]), "the least that they left out");
        assert_eq!(gap.skipped(8_000), BTreeMap::from([(ann, 10), (ben, 15)]));
        assert_eq!(Gap::behind(5, Some(&gap), 9_000).skipped(99_000), BTreeMap::new());
        (3..=255).for_each(|byte| gap.note_skip(9, &PeerId([byte; 32]), 0));
        assert_eq!(gap.skipped(99_000).len(), SKIPS_REMEMBERED_MAX);
    }

    #[test]
    fn of_many_offers_the_lowest_are_remembered() {
        let mut gap = Gap::behind(0, None, 0);
        (1..100).rev().for_each(|seq| gap.note_ours(seq, 0));
        assert_eq!((gap.ours.len(), gap.first_of_ours(0, 0)), (OFFERS_REMEMBERED_MAX, Some(1)));
    }
}
