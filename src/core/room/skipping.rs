//! Skipping: a run that begins later than what is here may leave out what was said to us. That what comes directly before it was for others is
//! its author's word; that nothing was said to us before that is the word of whoever gives it, who may not know, or lie.

use std::collections::BTreeSet;

use super::Room;
use super::reader::Hole;
use crate::core::consent::roster::is_member;
use crate::core::log::AuthorLog;
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::wire::{Entry, Roster, Run};

/// What a run leaves out.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Which numbers.
    pub hole: Hole,
    /// Whom its author may have told them.
    pub told: BTreeSet<PeerId>,
}

impl Room {
    /// Whether an entry goes on from something that is here, or waits here, on whichever branch: it leaves out nothing.
    fn goes_on_here(&self, entry: &Entry) -> bool {
        self.log.known(&entry.previous).is_some() || self.log.holds(&entry.previous)
    }

    /// Whether numbers before an entry are missing here, and no hole is taken for them.
    fn leaves_out(&self, entry: &Entry) -> bool {
        let has_hole = || self.log.author(&entry.author).is_some_and(|log| log.has_hole_before(entry.seq));
        entry.seq > self.log.head_seq(&entry.author).saturating_add(1) && !has_hole() && !self.goes_on_here(entry)
    }

    /// Whether a run jumps over something that was offered before, and could not be taken for what is missing before it. That something
    /// directly before the run is for others says nothing of what was said before that. Nobody is made to wait for it for ever.
    pub(super) fn jumps_over_ours(&self, now: Now, run: &Run) -> bool {
        let first = run.first();
        if self.log.is_accused(&first.author) || self.has_old_gap(now, &first.author) {
            return false;
        }
        self.leaves_out(first) && self.is_offered_before(first, now.mono_ms)
    }

    /// Whether something of the same author from before an entry was offered to us, and waits for what is missing before it.
    pub(super) fn is_offered_before(&self, entry: &Entry, now_ms: u64) -> bool {
        let head = self.log.head_seq(&entry.author);
        let ours = self.gaps.get(&entry.author).and_then(|gap| gap.first_of_ours(head, now_ms));
        ours.is_some_and(|ours| ours < entry.seq)
    }

    /// Whether a run leaves out what may have been said to us, for all that whoever gives it can know: they had no seat where the author and
    /// we had one, or, as they say, their log begins there, and we had a seat that we know nothing of any more.
    pub(super) fn skips_too_far(&self, me: &PeerId, from: &PeerId, run: &Run) -> bool {
        let first = run.first();
        if !self.leaves_out(first) {
            return false;
        }
        // Where a hole is taken up to what they have, they may well leave out what comes after it: we may not know whom that was for.
        let waits_from = self.log.author(&first.author).map_or(1, AuthorLog::waits_from);
        let begins = self.readers.get(from).and_then(|reader| reader.floors.get(&first.author));
        let begins_later = begins.is_some_and(|floor| *floor > waits_from);
        let had_no_seat = |roster: &Roster| !is_member(roster, from);
        begins_later && self.log.past().iter().next().is_some() || self.shared_before(me, run).any(had_no_seat)
    }

    /// The rosters under which the author of a run may have said to us what the run leaves out: from that of the newest entry here on, up
    /// to that of the run, to which an author who was elsewhere in between can't have come back.
    fn shared_before<'r>(&'r self, me: &'r PeerId, run: &Run) -> impl Iterator<Item = &'r Roster> {
        let author = run.first().author;
        let since = self.log.author(&author).and_then(AuthorLog::head).map_or(0, |head| head.place.epoch);
        let until = self.audience(&run.first().audience).map_or(u64::MAX, |roster| roster.epoch);
        let shared = move |roster: &&Roster| is_member(roster, &author) && is_member(roster, me);
        let rosters = self.chain().rosters().chain(self.log.past().iter());
        rosters.filter(move |roster| (since..until).contains(&roster.epoch)).filter(shared)
    }

    /// Whether what comes directly before an entry was for others, for all that is known. What was for us is waited for.
    pub(super) fn follows_others(&self, me: &PeerId, entry: &Entry) -> bool {
        !self.audience(&entry.previous_audience).is_some_and(|roster| is_member(roster, me))
    }

    /// What a run leaves out that somebody else than its author gives us, if it may have been said to us: that what comes directly before it
    /// was for others is the author's word, and that there is nothing before that is the giver's.
    pub(super) fn left_out(&self, me: &PeerId, from: &PeerId, run: &Run) -> Option<LeftOut> {
        let first = run.first();
        if *from == first.author || !self.leaves_out(first) || !self.follows_others(me, first) {
            return None;
        }
        let told: BTreeSet<PeerId> =
            self.shared_before(me, run).flat_map(|roster| roster.members.iter().map(|member| member.key)).collect();
        let hole = (first.author, self.log.head_seq(&first.author).saturating_add(1), first.seq.saturating_sub(1));
        (!told.is_empty()).then_some(LeftOut { hole, told })
    }
}
