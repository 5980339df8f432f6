//! How far one linked member is with each author's log: what was sent, what they have, what to send again and when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::web::Age;
use crate::core::time::{Allowance, Now};
use crate::identity::PeerId;
use crate::limits::{HELD_BYTES_MAX, ROOM_SIZE_MAX, RUN_BYTES_MAX};
use crate::wire::{EntryId, Run};

/// Numbers of an author's log that somebody went on without: whose, from which one to which one.
pub(super) type Hole = (PeerId, u64, u64);

/// First and longest time without an acknowledgement after which what was sent is taken for lost and sent again, in
/// milliseconds; doubled each time, since a member may have a reason not to take it.
const RESEND_MS: (u64, u64) = (5_000, 60_000);

/// How far one linked member is.
#[derive(Debug, Clone, Default)]
pub(super) struct Reader {
    /// By author.
    feeds: BTreeMap<PeerId, Feed>,
    /// The authors of whose logs something is on its way: few, where there may be many feeds, and asked for at every turn.
    under_way: BTreeSet<PeerId>,
    /// Whether they have told us what they have, without which nothing is sent.
    pub asked: bool,
    /// Whether they have greeted us on this link.
    pub greeted: bool,
    /// Whether they were on an earlier roster than we, by their last word.
    pub behind: bool,
    /// What is being fetched for them: whose log, and from which number on.
    pub fetching: Option<(PeerId, u64)>,
    /// Before which number they have nothing of an author's log, by their own word.
    pub floors: BTreeMap<PeerId, u64>,
    /// How far they said to have logs of which they have nothing for us, when they said so.
    pub nothing: BTreeMap<PeerId, u64>,
    /// What they say of authors that we know nothing of: how far they have the log, and before which number nothing. They may turn out to
    /// have been members with us before our chain began.
    pub strangers: BTreeMap<PeerId, (u64, u64)>,
    /// Before which number we told them that we have nothing.
    pub told_floors: BTreeMap<PeerId, u64>,
    /// What they are given of holes they asked about.
    pub holes_answered: Allowance,
    /// Holes they asked about and more was asked of us than is given at once, and when the answers are due.
    pub holes_later: Option<(u64, Vec<Hole>)>,
    /// Questions about what their runs left out.
    pub left_out_asked: Allowance,
    /// Up to which number of each author's log they gave us what is for nobody we know: they were asked for what is behind that.
    pub unread: BTreeMap<PeerId, u64>,
    /// Entries they asked for by id that the store was asked for: whose, and which number.
    pub looking: BTreeSet<(PeerId, u64)>,
    /// Entries they asked for by id that the store is to say where they stand.
    pub sought: BTreeSet<EntryId>,
    /// What we last told them of each author's log.
    pub told: BTreeMap<PeerId, u64>,
    /// How new the statements of others' links are that they have: they sent them to us, or we to them.
    pub states: BTreeMap<PeerId, Age>,
    /// When they are sent those that they seem to lack.
    pub catch_up_at: Option<u64>,
    /// Up to where we asked them for each author's log, beyond what they are to give.
    pub pulled: BTreeMap<PeerId, u64>,
}

/// How far one linked member is with one author's log.
#[derive(Debug, Clone, Default)]
struct Feed {
    /// How far they have it, by their own word.
    acked: u64,
    /// How far we have sent it.
    sent: u64,
    /// What is on its way.
    in_flight: VecDeque<InFlight>,
    /// When something was last acknowledged, or began to wait for it.
    progress_at: u64,
    /// How long to wait for an acknowledgement, beyond the first time.
    wait_ms: Option<u64>,
    /// How many runs are tried at a time, since those before were in vain.
    at_a_time: usize,
    /// Up to where they asked us for it, whoever else should give it.
    asked_up_to: u64,
    /// Whether they are on another branch of it, so that more of ours is of no use to them.
    apart: bool,
}

/// A run on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    /// Its last number.
    up_to: u64,
    /// Bytes that it takes on the link.
    bytes: usize,
    /// Bytes that its entries take with the reader, should they have to wait there.
    waiting_bytes: usize,
}

impl InFlight {
    pub(super) fn of(run: &Run) -> Self {
        InFlight { up_to: run.last().seq, bytes: run.encoded_bytes(), waiting_bytes: run.entries_bytes() }
    }
}

impl Feed {
    fn resend_at(&self) -> Option<u64> {
        (!self.in_flight.is_empty()).then(|| self.progress_at.saturating_add(self.wait_ms.unwrap_or(RESEND_MS.0)))
    }

    fn bytes(&self) -> usize {
        self.in_flight.iter().map(|run| run.bytes).sum()
    }

    /// Whether the reader has room for another run, should all that is on its way wait there for entries that it names.
    fn fits(&self) -> bool {
        let waiting: usize = self.in_flight.iter().map(|run| run.waiting_bytes).sum();
        waiting + RUN_BYTES_MAX <= HELD_BYTES_MAX
    }
}

impl Reader {
    /// How far they have an author's log.
    pub fn has(&self, author: &PeerId) -> u64 {
        self.feeds.get(author).map_or(0, |feed| feed.acked)
    }

    /// They say how far they have the log of an author that we know nothing of, or before which number nothing of it. Of more of them
    /// than a room has members nothing is remembered: anybody could be named.
    pub fn note_stranger(&mut self, author: PeerId, has: u64, floor: u64) {
        if self.strangers.len() < usize::from(ROOM_SIZE_MAX) || self.strangers.contains_key(&author) {
            let known = self.strangers.entry(author).or_default();
            *known = (known.0.max(has), known.1.max(floor));
        }
    }

    /// They say that they have nothing of an author's log for us, for all that they have of it now.
    pub fn note_nothing(&mut self, author: PeerId) {
        self.nothing.insert(author, self.has(&author));
    }

    /// Whether they have nothing for us of an author's log, and nothing has come to it since they said so.
    pub fn has_nothing(&self, author: &PeerId) -> bool {
        self.nothing.get(author).is_some_and(|then| *then >= self.has(author))
    }

    /// Where an author's log goes on with them, if they lack what comes after number `head`, by their own word.
    pub fn floor_beyond(&self, author: &PeerId, head: u64) -> Option<u64> {
        self.floors.get(author).copied().filter(|floor| *floor > head.saturating_add(1))
    }

    /// Whether they lack what comes after number `head` of an author's log, by their own word.
    pub fn lacks_behind(&self, author: &PeerId, head: u64) -> bool {
        self.has_nothing(author) || self.floor_beyond(author, head).is_some()
    }

    /// How far they have it, or will have with what is on its way.
    pub fn given(&self, author: &PeerId) -> u64 {
        self.feeds.get(author).map_or(0, |feed| feed.acked.max(feed.sent))
    }

    /// Whether more of an author's log may be sent now, when `window` bytes may be on their way. What was sent in vain fills
    /// no window: it is tried one run at a time, so that nothing else waits for it, and each time one more, since the first
    /// may be one that they can't take: said under a roster that they never came to.
    pub fn takes(&self, author: &PeerId, window: usize) -> bool {
        let feed = self.feeds.get(author);
        if feed.is_some_and(|feed| feed.apart) || !self.asked || self.fetching.is_some() {
            return false;
        }
        if let Some(late) = feed.filter(|feed| feed.wait_ms.is_some()) {
            return late.in_flight.len() < late.at_a_time;
        }
        // What a reader has no room for is lost to them until it is sent again, which is seconds later.
        if feed.is_some_and(|feed| !feed.fits()) {
            return false;
        }
        let in_flight: usize = self.under_way().filter(|feed| feed.wait_ms.is_none()).map(Feed::bytes).sum();
        in_flight < window
    }

    /// How far they were given an author's log of which something is on its way to them, unless they let it wait.
    pub fn keeps_up_from(&self, author: &PeerId) -> Option<u64> {
        let feed = self.feeds.get(author).filter(|feed| feed.wait_ms.is_none() && !feed.apart)?;
        (!feed.in_flight.is_empty()).then(|| feed.acked.max(feed.sent))
    }

    /// How many runs of an author's log are on their way.
    pub fn unacknowledged(&self, author: &PeerId) -> usize {
        self.feeds.get(author).map_or(0, |feed| feed.in_flight.len())
    }

    /// Nothing of an author's log up to this number is for them.
    pub fn skip(&mut self, author: PeerId, up_to: u64) {
        let feed = self.feeds.entry(author).or_default();
        feed.sent = feed.sent.max(up_to);
    }

    fn under_way(&self) -> impl Iterator<Item = &Feed> {
        self.under_way.iter().filter_map(|author| self.feeds.get(author))
    }

    /// They asked for an entry of this number of an author's log.
    pub fn ask_up_to(&mut self, author: PeerId, seq: u64) {
        let feed = self.feeds.entry(author).or_default();
        feed.asked_up_to = feed.asked_up_to.max(seq);
    }

    /// Whether they asked us for what comes next of an author's log.
    pub fn asks_for_more(&self, author: &PeerId) -> bool {
        self.feeds.get(author).is_some_and(|feed| feed.asked_up_to > feed.acked.max(feed.sent))
    }

    /// A run was sent.
    pub fn sent(&mut self, author: PeerId, run: InFlight, now: Now) {
        let feed = self.feeds.entry(author).or_default();
        if feed.in_flight.is_empty() {
            feed.progress_at = now.mono_ms;
        }
        feed.sent = run.up_to;
        feed.in_flight.push_back(run);
        self.under_way.insert(author);
    }

    /// They say how far they have an author's log. `forked`: whether there are branches of it.
    pub fn acknowledge(&mut self, author: PeerId, seq: u64, forked: bool, now: Now) {
        let feed = self.feeds.entry(author).or_default();
        if seq > feed.acked {
            feed.acked = seq;
            feed.progress_at = now.mono_ms;
            feed.wait_ms = None;
            feed.at_a_time = 0;
            feed.apart = false;
        } else if forked && !feed.in_flight.is_empty() {
            // They were given more, and say that they are where they were.
            feed.in_flight.clear();
            feed.apart = true;
        }
        let acked = feed.acked;
        feed.in_flight.retain(|run| run.up_to > acked);
        if feed.in_flight.is_empty() {
            self.under_way.remove(&author);
        }
    }

    /// What was sent and not acknowledged in time is forgotten, so that it is sent again; whether there was any.
    pub fn forget_late(&mut self, now: Now) -> bool {
        let mut any = false;
        for author in std::mem::take(&mut self.under_way) {
            let Some(feed) = self.feeds.get_mut(&author) else { continue };
            if feed.resend_at().is_none_or(|at| at > now.mono_ms) {
                self.under_way.insert(author);
            } else {
                any = true;
                feed.sent = 0;
                feed.in_flight.clear();
                feed.progress_at = now.mono_ms;
                feed.at_a_time = feed.at_a_time.saturating_add(1);
                feed.wait_ms = Some(feed.wait_ms.map_or(2 * RESEND_MS.0, |wait| (2 * wait).min(RESEND_MS.1)));
            }
        }
        // A question that the store has not answered by then is lost.
        if any {
            self.fetching = None;
        }
        any
    }

    /// When something is to be sent again.
    pub fn resend_due(&self) -> Option<u64> {
        self.under_way().filter_map(Feed::resend_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINK_QUEUE_BYTES_MAX;

    const ANN: PeerId = PeerId([1; 32]);
    const BEN: PeerId = PeerId([2; 32]);

    fn at(mono_ms: u64) -> Now {
        Now { mono_ms, wall_ms: 0 }
    }

    fn run(up_to: u64, bytes: usize) -> InFlight {
        InFlight { up_to, bytes, waiting_bytes: 0 }
    }

    #[test]
    fn a_reader_is_given_no_more_of_one_author_than_may_wait_there() {
        let mut reader = Reader { asked: true, ..Reader::default() };
        let mut given = 0;
        while reader.takes(&ANN, LINK_QUEUE_BYTES_MAX) {
            given += 1;
            reader.sent(ANN, InFlight { up_to: given, bytes: 1, waiting_bytes: RUN_BYTES_MAX }, at(0));
        }
        assert_eq!(given as usize, HELD_BYTES_MAX / RUN_BYTES_MAX);
        assert!(reader.takes(&BEN, LINK_QUEUE_BYTES_MAX), "each author has a share");
        reader.acknowledge(ANN, 1, false, at(0));
        assert!(reader.takes(&ANN, LINK_QUEUE_BYTES_MAX));
    }

    #[test]
    fn what_is_never_acknowledged_is_tried_ever_more_seldom() {
        let mut reader = Reader { asked: true, ..Reader::default() };
        let (mut now, mut tries) = (0, Vec::new());
        for _ in 0..6 {
            reader.sent(ANN, run(1, 100), at(now));
            let due = reader.resend_due().unwrap();
            tries.push(due - now);
            now = due;
            assert!(reader.forget_late(at(now)));
        }
        assert_eq!(tries, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
        reader.acknowledge(ANN, 1, false, at(now));
        reader.sent(ANN, run(2, 100), at(now));
        assert_eq!(reader.resend_due(), Some(now + 5_000), "progress begins anew");
    }

    #[test]
    fn whoever_has_nothing_for_us_counts_again_once_they_have_more() {
        let mut reader = Reader::default();
        reader.acknowledge(ANN, 3, false, at(0));
        assert!(!reader.has_nothing(&ANN));
        reader.note_nothing(ANN);
        assert!(reader.has_nothing(&ANN) && !reader.has_nothing(&BEN));
        reader.acknowledge(ANN, 4, false, at(0));
        assert!(!reader.has_nothing(&ANN), "the fourth may be for us");
    }

    #[test]
    fn of_authors_that_nobody_knows_no_more_are_remembered_than_a_room_has_members() {
        let mut reader = Reader::default();
        for number in 0..2 * u32::from(ROOM_SIZE_MAX) {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_le_bytes());
            reader.note_stranger(PeerId(key), 1, 1);
        }
        assert_eq!(reader.strangers.len(), usize::from(ROOM_SIZE_MAX));
        let known = *reader.strangers.keys().next().unwrap();
        reader.note_stranger(known, 7, 5);
        assert_eq!(reader.strangers[&known], (7, 5), "whoever is remembered is kept up with");
    }

    #[test]
    fn what_is_sent_in_vain_keeps_nothing_else_waiting() {
        let mut reader = Reader { asked: true, ..Reader::default() };
        reader.sent(ANN, run(1, LINK_QUEUE_BYTES_MAX), at(0));
        assert!(!reader.takes(&BEN, LINK_QUEUE_BYTES_MAX));
        reader.forget_late(at(5_000));
        reader.sent(ANN, run(1, LINK_QUEUE_BYTES_MAX), at(5_000));
        assert!(reader.takes(&BEN, LINK_QUEUE_BYTES_MAX));
        assert!(!reader.takes(&ANN, LINK_QUEUE_BYTES_MAX));
    }
}
