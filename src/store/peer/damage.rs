//! Where damage may have taken something out of a log. Rows are numbered as they come, so that a row that is gone shows; a jump in a log
//! between whose ends none is was there before: over what is for others, or over what was said in a run of which nothing stays.

use std::collections::BTreeSet;

use crate::wire::Entry;

/// Which rows of a damaged history could be saved.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Those of which all or something could be, in ascending order.
    pub kept: Vec<i64>,
    /// Those of which only something could be.
    pub broken: BTreeSet<i64>,
    /// The last that there was.
    pub newest: i64,
}

/// What is known of an author's log beside its entries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around {
    /// Up to which number it was removed because it is old.
    pub passed: u64,
    /// The number of its end, if that is known.
    pub end: u64,
    /// Whether it is our own, of which nothing is for others only.
    pub own: bool,
}

impl Rows {
    /// Whether a row between these two is gone, or something of them.
    fn lacks_between(&self, after: i64, before: i64) -> bool {
        let up_to = |row: i64| self.kept.partition_point(|kept| *kept <= row);
        if after >= before {
            // One of them came late: what stood between them may be anywhere.
            return up_to(self.newest) < usize::try_from(self.newest).unwrap_or(0) || !self.broken.is_empty();
        }
        let here = up_to(before.saturating_sub(1)).saturating_sub(up_to(after));
        let broken = self.broken.contains(&after) || self.broken.contains(&before);
        broken || (here as u64) < after.abs_diff(before).saturating_sub(1)
    }

    /// First and last numbers of what may be gone of a log, whose entries are in ascending order, each with its row.
    pub(super) fn lost(&self, log: &[(i64, &Entry)], around: Around) -> Vec<(u64, u64)> {
        let mut lost = Vec::new();
        let mut next = around.passed.saturating_add(1);
        let mut before: Option<(i64, &Entry)> = None;
        for (row, entry) in log {
            // What was for an audience of ours was not left out on purpose.
            let audiences = [before.map(|(_, before)| before.audience), Some(entry.audience)];
            let ours = !around.own && audiences.contains(&Some(entry.previous_audience));
            let after = before.map_or(0, |(row, _)| row);
            if entry.seq > next && (ours || self.lacks_between(after, *row)) {
                lost.push((next, entry.seq - 1));
            }
            next = next.max(entry.seq.saturating_add(1));
            before = Some((*row, entry));
        }
        let last_row = before.map_or(0, |(row, _)| row);
        if around.end >= next && self.lacks_between(last_row, self.newest.saturating_add(1)) {
            lost.push((next, around.end));
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PeerId;
    use crate::wire::{Body, Bytes, EntryId, Few, RoomId, RosterHash};

    const OURS: u8 = 1;
    const OTHERS: u8 = 2;

    fn entry(seq: u64, audience: u8, previous_audience: u8) -> Entry {
        Entry {
            room: RoomId([0; 32]),
            author: PeerId([7; 32]),
            seq,
            previous: EntryId([seq as u8; 32]),
            audience: RosterHash([audience; 32]),
            previous_audience: RosterHash([previous_audience; 32]),
            seen: Few::default(),
            depth: 0,
            wall_ms: 0,
            salt: [0; 16],
            body: Body { kind: 1, bytes: Bytes::default() },
        }
    }

    fn lost(kept: &[i64], newest: i64, log: &[(i64, Entry)], around: Around) -> Vec<(u64, u64)> {
        let rows = Rows { kept: kept.to_vec(), broken: BTreeSet::new(), newest };
        rows.lost(&log.iter().map(|(row, entry)| (*row, entry)).collect::<Vec<_>>(), around)
    }

    #[test]
    fn a_jump_over_what_is_for_others_counts_only_where_a_row_is_gone() {
        let log = [(1, entry(1, OURS, 0)), (3, entry(9, OURS, OTHERS)), (4, entry(10, OURS, OURS))];
        let all = Around::default();
        assert_eq!(lost(&[1, 2, 3, 4], 4, &log, all), []);
        assert_eq!(lost(&[1, 3, 4], 4, &log, all), [(2, 8)]);
        assert_eq!(lost(&[1, 2, 3, 4], 9, &log, all), [], "what is gone came after it");
        let later = [(2, entry(9, OURS, OTHERS))];
        assert_eq!(lost(&[1, 2], 2, &later, all), [], "whoever came later has a log that begins later");
        assert_eq!(lost(&[2], 2, &later, all), [(1, 8)]);
    }

    #[test]
    fn what_was_for_us_is_missed_wherever_it_stood_unless_it_was_removed() {
        let log = [(1, entry(40, OURS, OURS)), (2, entry(50, OURS, OURS))];
        assert_eq!(lost(&[1, 2], 2, &log, Around::default()), [(1, 39), (41, 49)]);
        assert_eq!(lost(&[1, 2], 2, &log, Around { passed: 39, ..Around::default() }), [(41, 49)]);
        assert_eq!(lost(&[1, 2], 2, &log, Around { passed: 20, ..Around::default() }), [(21, 39), (41, 49)]);
    }

    #[test]
    fn of_our_own_log_a_run_that_leaves_nothing_is_not_missed_and_its_end_is() {
        let log = [(1, entry(1, OURS, 0)), (2, entry(9, OURS, OURS))];
        let own = |end| Around { own: true, end, ..Around::default() };
        assert_eq!(lost(&[1, 2], 2, &log, own(9)), []);
        assert_eq!(lost(&[1, 2], 2, &log, own(20)), [], "said in passing");
        assert_eq!(lost(&[1, 2], 3, &log, own(20)), [(10, 20)]);
        assert_eq!(lost(&[], 3, &[], own(20)), [(1, 20)]);
    }

    #[test]
    fn what_came_late_is_missed_if_any_row_is_gone() {
        let log = [(5, entry(1, OURS, 0)), (2, entry(9, OURS, OTHERS))];
        assert_eq!(lost(&[1, 2, 3, 4, 5], 5, &log, Around::default()), []);
        assert_eq!(lost(&[1, 2, 3, 5], 5, &log, Around::default()), [(2, 8)]);
    }
}
