//! Private messages between two members: what waits for a reader, and what was taken from an author. Numbers only: who may
//! say what to whom, and by which way, is decided by the room.
//!
//! Each direction of a conversation is a series of messages numbered from 1. The author sends from the first one that is not
//! acknowledged; the reader takes the next number and no other. So nothing is lost, doubled or reordered, whatever is
//! dropped, replayed or carried twice.

use std::collections::{BTreeMap, VecDeque};

use crate::identity::{PeerId, Sealer, Signed, Verified};
use crate::limits::{
    CARRIED_BYTES_PER_S, CARRIED_PAIRS_MAX, PRIVATE_AGAIN_MS, PRIVATE_WAITING_MAX, PRIVATE_WINDOW,
    SERIES_PER_AUTHOR_MAX,
};
use crate::wire::{Letter, SealingKey, Series};

/// Seconds' worth of bytes that may be carried at once.
const CARRY_BURST_S: u64 = 8;

/// What the store hands back of one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptConversation {
    /// Our own newest series, and how many of its messages there are.
    pub series: Option<(Series, u64)>,
    /// Our own messages that are not known to have arrived, in order.
    pub waiting: Vec<Letter>,
    /// How far each of their series was taken.
    pub heard: Vec<(Series, u64)>,
}

/// All private conversations in one room.
#[derive(Debug, Default)]
pub(super) struct Privates {
    /// By the other member.
    pub with: BTreeMap<PeerId, Conversation>,
    /// What opens what is sealed for us, and its signed half; once it was needed.
    pub own: Option<(Sealer, Signed<SealingKey>)>,
    /// What we carry for others.
    pub carried: Carried,
}

/// The conversation with one member.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// What we say.
    pub outbox: Outbox,
    /// What they say.
    pub inbox: Inbox,
    /// Under which key they take what is sealed.
    pub key: Option<Verified<SealingKey>>,
    /// When they were last told our key unasked, on the monotonic clock.
    pub told_key: Option<u64>,
}

impl Privates {
    /// From what the store kept.
    pub fn recall(kept: impl IntoIterator<Item = (PeerId, KeptConversation)>) -> Self {
        let with = kept.into_iter().map(|(key, kept)| {
            let outbox = Outbox::recall(kept.series, kept.waiting);
            (key, Conversation { outbox, inbox: Inbox(kept.heard.into()), ..Conversation::default() })
        });
        Privates { with: with.collect(), ..Privates::default() }
    }

    /// What outlives a seat: keys don't.
    pub fn without_keys(mut self) -> Self {
        self.own = None;
        for conversation in self.with.values_mut() {
            conversation.key = None;
            conversation.outbox.rewind();
        }
        self
    }
}

/// What was carried, by its author and its reader: when last, on the monotonic clock, and how many bytes more may be. Each pair has
/// a budget of its own, so that nobody's junk keeps what others say from the same reader.
#[derive(Debug, Default)]
pub(super) struct Carried(BTreeMap<(PeerId, PeerId), (u64, u64)>);

impl Carried {
    /// Whether so many bytes of this author to this reader are carried now; they are counted, then.
    pub fn take(&mut self, author: PeerId, reader: PeerId, bytes: u64, now_ms: u64) -> bool {
        let burst = CARRY_BURST_S * CARRIED_BYTES_PER_S;
        let left = |(since, left): &(u64, u64)| {
            let earned = now_ms.saturating_sub(*since).saturating_mul(CARRIED_BYTES_PER_S) / 1000;
            left.saturating_add(earned).min(burst)
        };
        let pair = (author, reader);
        if self.0.len() >= CARRIED_PAIRS_MAX && !self.0.contains_key(&pair) {
            // Of whom all may be carried again nothing needs to be known.
            self.0.retain(|_, budget| left(budget) < burst);
            if self.0.len() >= CARRIED_PAIRS_MAX {
                return false;
            }
        }
        let left = self.0.get(&pair).map_or(burst, left);
        let fits = left >= bytes;
        if fits {
            self.0.insert(pair, (now_ms, left - bytes));
        }
        fits
    }
}

/// Our messages to one member.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// As we began it.
    series: Option<Series>,
    /// Messages so far.
    count: u64,
    /// Those not acknowledged, in order.
    waiting: VecDeque<Letter>,
    /// Up to which number they were sent since the last [`Outbox::rewind`].
    sent: u64,
    /// When they are sent again.
    pub again_at: Option<u64>,
    /// How long to wait for the next acknowledgement.
    wait_ms: u64,
    /// How often they were sent without any answer, to try another carrier each time.
    pub attempts: usize,
}

impl Outbox {
    fn recall(series: Option<(Series, u64)>, waiting: Vec<Letter>) -> Self {
        let count = series.map_or(0, |(_, count)| count);
        Outbox { series: series.map(|(series, _)| series), count, waiting: waiting.into(), ..Outbox::default() }
    }

    /// Whether something waits.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether no more may wait.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= PRIVATE_WAITING_MAX
    }

    /// Appends a message made by `write` of the next number; `series` begins one if there is none.
    pub fn append(&mut self, series: Series, write: impl FnOnce(u64) -> Letter) -> (Series, Letter) {
        let series = *self.series.get_or_insert(series);
        self.count += 1;
        let letter = write(self.count);
        self.waiting.push_back(letter.clone());
        (series, letter)
    }

    /// The series, the first number that is not acknowledged, and the messages to send now, as far as the window goes.
    pub fn to_send(&self) -> Option<(Series, u64, Vec<Letter>)> {
        let first = self.waiting.front()?.number;
        let due = |letter: &&Letter| letter.number > self.sent && letter.number < first + PRIVATE_WINDOW as u64;
        let letters: Vec<Letter> = self.waiting.iter().filter(due).cloned().collect();
        (!letters.is_empty()).then_some((self.series?, first, letters))
    }

    /// They were sent up to this number; without an answer they are sent again.
    pub fn sent(&mut self, up_to: u64, now_ms: u64) {
        self.sent = self.sent.max(up_to);
        self.wait(now_ms);
    }

    /// An answer is awaited.
    pub fn wait(&mut self, now_ms: u64) {
        if self.again_at.is_none() {
            self.wait_ms = self.wait_ms.max(PRIVATE_AGAIN_MS.0);
            self.again_at = Some(now_ms.saturating_add(self.wait_ms));
        }
    }

    /// The time for an answer is over, if it is: all is to be sent again.
    pub fn lapse(&mut self, now_ms: u64) -> bool {
        let over = self.again_at.take_if(|at| *at <= now_ms).is_some();
        if over {
            self.wait_ms = (2 * self.wait_ms).min(PRIVATE_AGAIN_MS.1);
            self.attempts += 1;
            self.sent = 0;
        }
        over
    }

    /// There is a new way: all is to be sent again, at once.
    pub fn rewind(&mut self) {
        (self.sent, self.again_at, self.wait_ms, self.attempts) = (0, None, 0, 0);
    }

    /// They have all of this series up to this number: what arrived by that.
    pub fn acknowledge(&mut self, series: Series, up_to: u64) -> Vec<Letter> {
        // Of a series that isn't ours, or beyond what was sent, nothing can have arrived.
        if self.series != Some(series) || up_to > self.sent {
            return Vec::new();
        }
        let arrived = self.waiting.partition_point(|letter| letter.number <= up_to);
        let arrived: Vec<Letter> = self.waiting.drain(..arrived).collect();
        if !arrived.is_empty() {
            (self.again_at, self.wait_ms, self.attempts) = (None, 0, 0);
        }
        arrived
    }
}

/// What one member said to us: how far each of their series was taken, the newest last.
#[derive(Debug, Default)]
pub(super) struct Inbox(VecDeque<(Series, u64)>);

impl Inbox {
    /// A message of this number came, and its author knows of all before `first` that they arrived: whether it is the next, and
    /// how far the series is here now.
    pub fn take(&mut self, series: Series, first: u64, number: u64) -> (bool, u64) {
        let at = match self.0.iter().position(|(known, _)| *known == series) {
            Some(at) => at,
            None => {
                if self.0.len() >= SERIES_PER_AUTHOR_MAX {
                    self.0.pop_front();
                }
                self.0.push_back((series, 0));
                self.0.len() - 1
            }
        };
        let taken = &mut self.0[at].1;
        // What they know to have arrived was lost here, with the history, or was in a run of which nothing stayed.
        *taken = first.saturating_sub(1).max(*taken);
        let next = taken.checked_add(1) == Some(number);
        *taken += u64::from(next);
        (next, *taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Bytes;

    const OURS: Series = Series([1; 16]);

    fn letter(number: u64) -> Letter {
        Letter { number, wall_ms: 0, salt: [0; 16], text: Bytes::default() }
    }

    fn outbox(count: u64) -> Outbox {
        let mut outbox = Outbox::default();
        (0..count).for_each(|_| drop(outbox.append(OURS, letter)));
        outbox
    }

    fn numbers(outbox: &Outbox) -> Vec<u64> {
        outbox.to_send().map_or(Vec::new(), |(_, _, letters)| letters.iter().map(|letter| letter.number).collect())
    }

    #[test]
    fn an_author_sends_as_far_as_the_window_goes_and_goes_on_when_answered() {
        let mut outbox = outbox(20);
        assert_eq!(numbers(&outbox), (1..=16).collect::<Vec<_>>());
        outbox.sent(16, 1_000);
        assert!(numbers(&outbox).is_empty());
        assert_eq!(outbox.acknowledge(OURS, 3).len(), 3);
        assert_eq!(numbers(&outbox), [17, 18, 19]);
        assert_eq!(outbox.acknowledge(OURS, 3), [], "said twice");
    }

    #[test]
    fn what_is_not_answered_is_sent_again_later_and_later() {
        let mut outbox = outbox(2);
        outbox.sent(2, 0);
        assert!(!outbox.lapse(2_999));
        assert!(outbox.lapse(3_000));
        assert_eq!(numbers(&outbox), [1, 2]);
        outbox.sent(2, 3_000);
        assert_eq!(outbox.again_at, Some(9_000));
        for _ in 0..10 {
            let at = outbox.again_at.unwrap();
            assert!(outbox.lapse(at));
            outbox.sent(2, at);
        }
        assert_eq!(outbox.wait_ms, PRIVATE_AGAIN_MS.1);
    }

    #[test]
    fn nobody_acknowledges_what_was_never_sent() {
        let mut outbox = outbox(3);
        outbox.sent(2, 0);
        assert_eq!(outbox.acknowledge(OURS, 3), []);
        assert_eq!(outbox.acknowledge(OURS, u64::MAX), []);
        assert_eq!(outbox.acknowledge(Series([2; 16]), 1), []);
        assert_eq!(outbox.acknowledge(OURS, 2).len(), 2);
    }

    #[test]
    fn a_reader_takes_each_number_once_and_in_order() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.take(OURS, 1, 2), (false, 0), "one is missing");
        assert_eq!(inbox.take(OURS, 1, 1), (true, 1));
        assert_eq!(inbox.take(OURS, 1, 1), (false, 1), "a replay");
        assert_eq!(inbox.take(OURS, 1, 2), (true, 2));
        assert_eq!(inbox.take(OURS, 2, u64::MAX), (false, 2));
        let mut forgetful = Inbox::default();
        assert_eq!(forgetful.take(OURS, 7, 7), (true, 7), "what arrived earlier is not waited for");
        assert_eq!(forgetful.take(OURS, u64::MAX, u64::MAX), (true, u64::MAX));
        assert_eq!(forgetful.take(OURS, u64::MAX, u64::MAX), (false, u64::MAX));
    }

    #[test]
    fn series_without_end_do_not_fill_memory() {
        let mut inbox = Inbox::default();
        (0..=255).for_each(|byte| _ = inbox.take(Series([byte; 16]), 1, 1));
        assert_eq!(inbox.0.len(), SERIES_PER_AUTHOR_MAX);
        assert_eq!(inbox.take(Series([255; 16]), 1, 1), (false, 1));
    }

    #[test]
    fn nobody_s_junk_keeps_what_others_say_from_the_same_reader() {
        let (mut carried, junk, other, reader) =
            (Carried::default(), PeerId([1; 32]), PeerId([2; 32]), PeerId([3; 32]));
        let mut taken = 0;
        while carried.take(junk, reader, 4_000, 0) {
            taken += 4_000;
        }
        assert!(taken <= CARRY_BURST_S * CARRIED_BYTES_PER_S);
        assert!(carried.take(other, reader, 4_000, 0), "another's is carried");
        assert!(carried.take(junk, reader, 4_000, 1_000), "a second earns more");
    }

    #[test]
    fn pairs_without_end_do_not_fill_memory_and_idle_ones_make_room() {
        let mut carried = Carried::default();
        let pair = |n: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            (PeerId(key), PeerId([0xff; 32]))
        };
        let mut take = |n, now_ms| {
            let (author, reader) = pair(n);
            (carried.take(author, reader, 1, now_ms), carried.0.len())
        };
        (0..CARRIED_PAIRS_MAX).for_each(|n| _ = take(n, 0));
        assert_eq!(take(CARRIED_PAIRS_MAX, 0), (false, CARRIED_PAIRS_MAX));
        assert_eq!(take(0, 0), (true, CARRIED_PAIRS_MAX), "those who are known go on");
        assert_eq!(take(CARRIED_PAIRS_MAX, 1_000), (true, 1));
    }

    #[test]
    fn what_was_kept_goes_on_where_it_stopped() {
        let outbox = Outbox::recall(Some((OURS, 5)), vec![letter(4), letter(5)]);
        assert_eq!(numbers(&outbox), [4, 5]);
        let mut outbox = outbox;
        assert_eq!(outbox.append(Series([9; 16]), letter), (OURS, letter(6)));
    }
}
