//! Which numbers of an author's log are here, as far as is known, and for whom: spans of consecutive numbers of one audience.

use crate::limits::SPANS_MAX;
use crate::wire::RosterHash;

/// The audience of numbers that are not here: no roster has this hash, so nobody is in it.
pub(super) const NOBODY: RosterHash = RosterHash([0; 32]);

/// Where each span begins, in ascending order of number; the last has no end of its own, and two neighbours never have the same audience.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans(Vec<(u64, RosterHash)>);

impl Spans {
    /// From where each audience begins, as the store tells it: it doesn't tell what is missing between them.
    pub(super) fn new(mut begins: Vec<(u64, RosterHash)>) -> Self {
        begins.sort_unstable_by_key(|(first, _)| *first);
        let mut spans = Spans(begins);
        spans.join();
        spans.forget_oldest();
        spans
    }

    /// The first number that is here; `None` if none is.
    pub(super) fn first(&self) -> Option<u64> {
        self.0.iter().find(|(_, audience)| *audience != NOBODY).map(|(first, _)| *first)
    }

    /// An entry is here, the newest so far, where `head` was the newest before; what it leaves out is not.
    pub(super) fn append(&mut self, head: u64, seq: u64, audience: RosterHash) {
        if !self.0.is_empty() && seq > head.saturating_add(1) {
            self.push(head.saturating_add(1), NOBODY);
        }
        self.push(seq, audience);
    }

    fn push(&mut self, first: u64, audience: RosterHash) {
        if self.0.last().is_none_or(|(_, last)| *last != audience) {
            self.0.push((first, audience));
            self.forget_oldest();
        }
    }

    /// An author who changes audiences at every line costs no more memory than others; what is older than that nobody is given.
    fn forget_oldest(&mut self) {
        if self.0.len() > SPANS_MAX {
            self.0.drain(..self.0.len() - SPANS_MAX / 2);
        }
    }

    /// Whatever was said of the numbers from `first` to before `end`: this is their audience. The log goes on at `end`.
    pub(super) fn put(&mut self, first: u64, end: u64, audience: RosterHash) {
        if first >= end {
            return;
        }
        let after = self.at(end).unwrap_or(NOBODY);
        let (from, to) = (self.before(first), self.0.partition_point(|(start, _)| *start <= end));
        self.0.splice(from..to, [(first, audience), (end, after)]);
        // Only these two have new neighbours.
        for at in [from + 2, from + 1, from] {
            if at > 0 && self.0.get(at).is_some_and(|(_, audience)| *audience == self.0[at - 1].1) {
                self.0.remove(at);
            }
        }
        self.drop_leading();
        self.forget_oldest();
    }

    /// For whom this number is, as far as is known.
    fn at(&self, seq: u64) -> Option<RosterHash> {
        let next = self.0.partition_point(|(start, _)| *start <= seq);
        self.0.get(next.checked_sub(1)?).map(|(_, audience)| *audience)
    }

    /// The first and the last number of what is missing around this one, if it is; 1 for what is missing at the beginning.
    pub(super) fn missing_around(&self, seq: u64) -> Option<(u64, u64)> {
        let next = self.0.partition_point(|(start, _)| *start <= seq);
        let (end, _) = self.0.get(next)?;
        match next.checked_sub(1).map(|at| self.0[at]) {
            None => Some((1, end - 1)),
            Some((first, audience)) => (audience == NOBODY).then_some((first, end - 1)),
        }
    }

    /// How many spans begin before this number.
    fn before(&self, seq: u64) -> usize {
        self.0.partition_point(|(start, _)| *start < seq)
    }

    /// Neighbours of one audience are one span, and what is missing at the beginning is none.
    fn join(&mut self) {
        self.0.dedup_by_key(|(_, audience)| *audience);
        self.drop_leading();
    }

    fn drop_leading(&mut self) {
        if self.0.first().is_some_and(|(_, audience)| *audience == NOBODY) {
            self.0.remove(0);
        }
    }

    /// Each span with its last number, where `head` is the last of all; those that are not here too.
    pub(super) fn iter(&self, head: u64) -> impl Iterator<Item = (u64, u64, &RosterHash)> {
        let ends = self.0.iter().skip(1).map(|(start, _)| start - 1).chain([head]);
        self.0.iter().zip(ends).map(|((start, audience), end)| (*start, end, audience))
    }

    /// Whether all numbers from `first` to before `end` are here, as far as is known.
    pub(super) fn is_whole(&self, first: u64, end: u64) -> bool {
        let begins = self.0.first().is_some_and(|(start, _)| *start <= first);
        let spans = self.0.iter().skip(self.before(first.saturating_add(1)).saturating_sub(1));
        begins && spans.take_while(|(start, _)| *start < end).all(|(_, audience)| *audience != NOBODY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNS: RosterHash = RosterHash([1; 32]);
    const BENS: RosterHash = RosterHash([2; 32]);

    fn spans(of: &Spans, head: u64) -> Vec<(u64, u64, u8)> {
        of.iter(head).map(|(first, last, audience)| (first, last, audience.0[0])).collect()
    }

    #[test]
    fn what_an_entry_jumps_over_is_nobodys() {
        let mut log = Spans::default();
        for (head, seq, audience) in [(0, 12, ANNS), (12, 13, ANNS), (13, 31, BENS), (31, 40, BENS)] {
            log.append(head, seq, audience);
        }
        assert_eq!(spans(&log, 40), [(12, 13, 1), (14, 30, 0), (31, 31, 2), (32, 39, 0), (40, 40, 2)]);
        assert_eq!(log.first(), Some(12));
        assert_eq!(
            [13, 14, 20, 30, 31].map(|seq| log.missing_around(seq)),
            [None, Some((14, 30)), Some((14, 30)), Some((14, 30)), None]
        );
        assert_eq!([5, 40, 41].map(|seq| log.missing_around(seq)), [Some((1, 11)), None, None]);
        assert!(log.is_whole(12, 14) && !log.is_whole(12, 31) && !log.is_whole(11, 13) && log.is_whole(31, 32));
    }

    #[test]
    fn what_is_found_missing_takes_nothing_else_along() {
        let mut log = Spans::new(vec![(12, ANNS), (31, BENS)]);
        log.put(17, 31, NOBODY);
        assert_eq!(spans(&log, 31), [(12, 16, 1), (17, 30, 0), (31, 31, 2)]);
        log.put(12, 14, NOBODY);
        assert_eq!(spans(&log, 31), [(14, 16, 1), (17, 30, 0), (31, 31, 2)]);
        assert_eq!(log.first(), Some(14));
    }

    #[test]
    fn what_comes_later_is_one_span_with_its_neighbours() {
        let mut log = Spans::new(vec![(20, BENS)]);
        for seq in [12, 14, 13, 11] {
            log.put(seq, seq + 1, ANNS);
        }
        assert_eq!(spans(&log, 20), [(11, 14, 1), (15, 19, 0), (20, 20, 2)]);
        for seq in 15..20 {
            log.put(seq, seq + 1, BENS);
        }
        assert_eq!(spans(&log, 20), [(11, 14, 1), (15, 20, 2)]);
    }

    #[test]
    fn an_author_who_changes_audiences_all_the_time_takes_bounded_memory() {
        let mut log = Spans::default();
        for seq in 1..3 * SPANS_MAX as u64 {
            log.append(2 * seq - 2, 2 * seq, if seq % 2 == 0 { ANNS } else { BENS });
            assert!(log.0.len() <= SPANS_MAX);
        }
        let head = 2 * (3 * SPANS_MAX as u64 - 1);
        assert!(log.is_whole(head, head + 1), "the newest is here");
        assert!(log.first().unwrap() > 2, "the oldest is forgotten");
    }
}
