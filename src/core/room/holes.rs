//! Holes: members that no longer have the beginning of a log, or something in its middle, say so, and who lacks it goes on without once nobody has it.

use std::collections::BTreeMap;

use super::gap::Gap;
use super::reader::Hole;
use super::skipping::LeftOut;
use super::{Ctx, Reader, Room};
use crate::core::consent::roster::is_member;
use crate::core::log::{Heard, KeptEntry, Next, run_of};
use crate::core::time::Now;
use crate::identity::PeerId;
use crate::limits::{HOLES_ASKED_MAX, LATE_BYTES_PER_SECOND_MAX, RUN_BYTES_MAX};
use crate::wire::{Few, PeerMessage, Run};

/// Milliseconds that members who have a seat and no link with us have to come with what is missing.
const COMES_WITHIN_MS: u64 = 60_000;

/// Milliseconds before those who have what is missing are asked again.
const ASK_AGAIN_MS: u64 = 5_000;

/// Members who are asked about a hole when it is taken.
const ASKED_ABOUT_HOLE: usize = 4;

/// Milliseconds after which what was asked beyond what is given in a second is answered.
const ANSWER_LATER_MS: u64 = 1_000;

/// Bytes for which a question about a hole counts of which there is nothing: it took a look.
const NOTHING_COSTS_BYTES: usize = 1024;

/// The number of a floor that says that nothing is there, whatever the frontier says: no entry has it.
const NOTHING: u64 = u64::MAX;

impl Room {
    /// Tells a member of which logs something is missing here beyond what they have of them, and where what is for them goes on; and
    /// if it came meanwhile, that nothing is missing any more.
    pub(super) fn tell_floors(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        let Some(reader) = self.readers.get(&peer).filter(|reader| reader.asked) else { return };
        let mut floors = Vec::new();
        for (author, head) in self.log.frontier().filter(|(author, _)| *author != peer) {
            let has = reader.has(&author);
            if head <= has {
                continue;
            }
            let log = self.log.author(&author);
            let begins = log.map_or(1, |log| log.begins_after(has, &peer, &self.audiences()));
            let told = reader.told_floors.get(&author).copied().unwrap_or(1);
            if begins != told && begins.max(told) > has.saturating_add(1) {
                floors.push((author, begins));
            }
        }
        if !floors.is_empty() {
            if let Some(reader) = self.readers.get_mut(&peer) {
                reader.told_floors.extend(floors.iter().copied());
            }
            ctx.tell_peer(&peer, PeerMessage::Floor((self.id(), Few::first_of(floors))));
        }
    }

    /// Tells a member that asked for logs of which of them we have nothing for them, though we have more than they: otherwise they
    /// would wait for it.
    pub(super) fn tell_nothing(&self, ctx: &mut Ctx<'_>, peer: PeerId, asked: &[(PeerId, u64)]) {
        let Some(reader) = self.readers.get(&peer) else { return };
        let none = |author: &PeerId| {
            let log = self.log.author(author).filter(|log| log.head_seq() > reader.has(author));
            log.is_some_and(|log| !log.has_for(&peer, reader.has(author), &self.audiences()))
        };
        let logs: Vec<(PeerId, u64)> =
            asked.iter().filter(|(author, _)| none(author)).map(|(author, _)| (*author, NOTHING)).collect();
        if !logs.is_empty() {
            ctx.tell_peer(&peer, PeerMessage::Floor((self.id(), Few::first_of(logs))));
        }
    }

    /// A member says where logs begin for them.
    pub fn on_floor(&mut self, ctx: &mut Ctx<'_>, from: PeerId, floors: &[(PeerId, u64)]) {
        let authors = self.authors_among(floors.iter().map(|(author, _)| author));
        for (author, seq) in floors.iter().filter(|(author, _)| authors.contains(author)) {
            let Some(reader) = self.readers.get_mut(&from) else { return };
            if *seq == NOTHING {
                reader.note_nothing(*author);
            } else {
                reader.floors.insert(*author, *seq);
            }
        }
        let strangers = floors.iter().filter(|(author, seq)| !authors.contains(author) && *seq != NOTHING);
        if let Some(reader) = self.readers.get_mut(&from) {
            strangers.for_each(|(author, seq)| reader.note_stranger(*author, 0, *seq));
        }
        self.frontier_soon(ctx);
    }

    /// Takes a hole in an author's log if every linked member that has more of it, by its own word, has nothing of what is
    /// missing here; whether it did. `run` is what would go on behind it, and `from` who gives it.
    pub(super) fn takes_hole(&mut self, ctx: &Ctx<'_>, from: &PeerId, run: &Run) -> bool {
        let skips = self.follows_others(&ctx.me(), run.first()) && self.skips_too_far(&ctx.me(), from, run);
        let (author, goes_on_at) = (&run.first().author, run.first().seq);
        let (head, now) = (self.log.head_seq(author), ctx.now.mono_ms);
        let mut gap = Gap::behind(head, self.gaps.get(author), now);
        gap.note_offer(goes_on_at, from, now);
        // Its end is remembered too: what its beginning waits for may come, and the rest be jumped over.
        let last = run.last().seq;
        if !(gap.knows_as_ours(goes_on_at) && gap.knows_as_ours(last)) && self.is_ours(ctx, run) {
            [goes_on_at, last].into_iter().for_each(|seq| gap.note_ours(seq, now));
        }
        if skips {
            gap.note_skip(goes_on_at, from, now);
        }
        let Gap { since, offered, .. } = gap;
        let (skipped, ours, old) = (gap.skipped(now), gap.first_of_ours(head, now), gap.is_old(now));
        self.gaps.insert(*author, gap);
        // Whoever has a seat may come, or be about to say what they have.
        let tells = |key: &PeerId| self.readers.get(key).is_some_and(|reader| reader.asked);
        let all_told = self.others(&ctx.me()).iter().all(tells);
        if !all_told && now < since.saturating_add(COMES_WITHIN_MS) {
            return false;
        }
        // An author who is linked has it, or says that it is gone; their last frontier may be older than what they gave to others.
        let by_author = self.readers.get(author);
        if by_author.is_some_and(|reader| !reader.lacks_behind(author, head)) && !old {
            return false;
        }
        let never_offered = offered.filter(|_| old).map_or(0, |(lowest, ..)| lowest);
        let mut lowest: Option<u64> = None;
        let readable = self.audience(&run.first().audience).is_some();
        // What is for a roster that nobody could tell us in all that time can't be taken, and keeps nothing else waiting; it still may come.
        let strange = now >= since.saturating_add(COMES_WITHIN_MS);
        let more = self.readers.iter().filter(|(_, reader)| reader.has(author) > head && !reader.has_nothing(author));
        for (peer, reader) in more {
            // Whoever gives nothing else in all that time has nothing else, but for what they withhold.
            let floor = reader.floor_beyond(author, head).or(skipped.get(peer).copied());
            // And whoever says to have more, and never gives it, is not waited for for ever.
            let floor = floor.map(|floor| floor.max(never_offered));
            match floor {
                _ if strange && self.offers_strange(peer, author, floor) => {
                    // The hole goes as far as what comes next and can be taken.
                    lowest = lowest.into_iter().chain(readable.then_some(goes_on_at)).chain(ours).min();
                }
                Some(floor) => lowest = lowest.into_iter().chain([floor]).min(),
                None if !old => return false,
                None => {}
            }
        }
        // Whoever offered less of a hole may be back in a moment.
        let back_soon = |(number, by, at): (u64, PeerId, u64)| {
            let away = self.has(&by) && !tells(&by) && now < at.saturating_add(COMES_WITHIN_MS);
            away && lowest.is_none_or(|floor| number < floor)
        };
        if !old && offered.is_some_and(back_soon) {
            return false;
        }
        // Nobody goes over more than what is offered.
        let lowest = lowest.map(|floor| floor.min(goes_on_at));
        let news = lowest.filter(|floor| !self.log.author(author).is_some_and(|log| log.takes_hole_to(*floor)));
        let Some(floor) = news else { return false };
        self.log.take_hole(*author, floor);
        true
    }

    /// Whether something has been missing in an author's log for longer than anybody is waited for.
    pub(super) fn has_old_gap(&self, now: Now, author: &PeerId) -> bool {
        let gap = self.gaps.get(author).filter(|gap| gap.head == self.log.head_seq(author));
        gap.is_some_and(|gap| gap.is_old(now.mono_ms))
    }

    /// Whether a run is what it says, and for us.
    fn is_ours(&self, ctx: &Ctx<'_>, run: &Run) -> bool {
        let readable = self.audience(&run.first().audience).is_some_and(|roster| is_member(roster, &ctx.me()));
        readable && run.tip().verify(ctx.scheme).is_ok()
    }

    /// Whoever gave us this can't give what is before it: members that say they have it are asked, since they leave the
    /// giving to whoever did.
    pub(super) fn ask_past_gap(&mut self, ctx: &mut Ctx<'_>, from: &PeerId, run: &Run) {
        let skips = self.skips_too_far(&ctx.me(), from, run);
        let first = run.first();
        let head = self.log.head_seq(&first.author);
        // The answer may be the very same run: each would be followed by the next question, for ever.
        let lately = |(at, asked): &(u64, u64)| *at == head && ctx.now.mono_ms < asked.saturating_add(ASK_AGAIN_MS);
        if self.gaps_asked.get(&first.author).is_some_and(lately) {
            return;
        }
        let lacks = |reader: &Reader| reader.floor_beyond(&first.author, head).is_some();
        if !skips && !self.readers.values().any(lacks) {
            return;
        }
        let author_known = self.has(&first.author) || self.log.author(&first.author).is_some();
        if !author_known && !self.audience(&first.audience).is_some_and(|roster| is_member(roster, &first.author)) {
            return;
        }
        self.gaps_asked.insert(first.author, (head, ctx.now.mono_ms));
        // Whatever they have for us up to there comes with it.
        let question = PeerMessage::Want((self.id(), Few::first_of([first.id()])));
        let may_have = |(peer, reader): &(&PeerId, &Reader)| {
            reader.has(&first.author) > head && !lacks(reader) && !(skips && *peer == from)
        };
        for (peer, _) in self.readers.iter().filter(may_have) {
            ctx.tell_peer(peer, question.clone());
        }
    }

    /// A member has an author's log up to this number: what is behind holes and still waits waits for these too, unless they said that they
    /// have nothing of it.
    pub(super) fn hope_for(&mut self, from: &PeerId, author: &PeerId, up_to: u64) {
        let head = self.log.head_seq(author);
        if !self.readers.get(from).is_some_and(|reader| reader.lacks_behind(author, head)) {
            self.log.hope_up_to(author, up_to);
        }
    }

    /// A member has more of an author's log than before, as new ones have, and so may have what we went on without: it is asked about
    /// the holes in what is new.
    pub(super) fn ask_for_late(&self, ctx: &mut Ctx<'_>, peer: &PeerId, author: &PeerId, new: (u64, u64)) {
        let holes = self.log.holes(author, new).map(|(first, last)| (*author, first, last));
        let holes: Vec<(PeerId, u64, u64)> = holes.take(HOLES_ASKED_MAX).collect();
        if !holes.is_empty() {
            ctx.tell_peer(peer, PeerMessage::Holes((self.id(), Few::first_of(holes))));
        }
    }

    /// We just went on without something: members who are past it may have come by it since they said that they lack it.
    pub(super) fn ask_about_hole(&mut self, ctx: &mut Ctx<'_>, hole: Hole) {
        // Whoever makes us take many has each of them answered from all sides.
        if hole.1 <= hole.2 && self.holes_asked.takes(ctx.now, 1, HOLES_ASKED_MAX, 1_000) {
            self.ask_those_past(ctx, hole, |_| true);
        }
    }

    /// The author of a run, and members who are past it and may have been told what its giver left out, are asked for that. It is remembered
    /// as a hole: what is asked for in vain now is asked for again when somebody comes who has more.
    pub(super) fn ask_for_left_out(&mut self, ctx: &mut Ctx<'_>, from: &PeerId, run: &Run, left_out: LeftOut) {
        self.log.note_left_out(run.first());
        // Few of these are holes: whoever makes many keeps nobody else's from being asked about.
        let allowance = self.readers.get_mut(from).map(|reader| &mut reader.left_out_asked);
        if allowance.is_some_and(|allowance| allowance.takes(ctx.now, 1, HOLES_ASKED_MAX, 1_000)) {
            self.ask_those_past(ctx, left_out.hole, |peer| peer != from && left_out.told.contains(peer));
        }
    }

    fn ask_those_past(&self, ctx: &mut Ctx<'_>, hole: Hole, fits: impl Fn(&PeerId) -> bool) {
        let (author, _, last) = hole;
        let question = PeerMessage::Holes((self.id(), Few::first_of([hole])));
        // The author's last word may be older than what they gave to others.
        let past_it =
            |(peer, reader): &(&PeerId, &Reader)| **peer != author && reader.has(&author) >= last && fits(peer);
        let others = self.readers.iter().filter(past_it).map(|(peer, _)| peer).take(ASKED_ABOUT_HOLE);
        for peer in self.readers.get_key_value(&author).map(|(peer, _)| peer).into_iter().chain(others) {
            ctx.tell_peer(peer, question.clone());
        }
    }

    /// Somebody gives us what our log has passed: if it belongs into a hole, it waits for the store to say so.
    pub(super) fn note_late_giver(&mut self, from: PeerId, run: &Run) {
        let author = run.last().author;
        if run.last().seq < self.log.head_seq(&author) {
            self.late_from.insert(author, from);
        }
    }

    /// Something came into holes here: whoever gave it is asked for what is missing behind it.
    fn ask_for_rest(&self, ctx: &mut Ctx<'_>, heard: &Heard) {
        let mut newest: BTreeMap<PeerId, u64> = BTreeMap::new();
        for taken in heard.taken.iter().filter(|taken| taken.late) {
            newest.insert(taken.kept.entry.author, taken.kept.entry.seq);
        }
        for (author, seq) in newest {
            if let Some(giver) = self.late_from.get(&author) {
                _ = self.ask_behind(ctx, giver, author, seq);
            }
        }
    }

    /// Somebody gave us something out of a hole: they are asked for what is missing behind this number, as far as the hole goes.
    /// Whether they were.
    pub(super) fn ask_behind(&self, ctx: &mut Ctx<'_>, giver: &PeerId, author: PeerId, seq: u64) -> bool {
        let behind = seq.saturating_add(1);
        let rest = self.log.holes(&author, (seq, u64::MAX)).find(|(first, last)| (*first..=*last).contains(&behind));
        let Some((_, last)) = rest.filter(|_| self.readers.contains_key(giver)) else { return false };
        let rest = Few::first_of([(author, behind, last)]);
        ctx.tell_peer(giver, PeerMessage::Holes((self.id(), rest)));
        true
    }

    /// A member went on without these numbers: they are given the first run of each that we have and they may have.
    pub fn on_holes(&mut self, ctx: &mut Ctx<'_>, from: PeerId, holes: &[Hole]) {
        for (at, (author, first, last)) in holes.iter().enumerate() {
            // Of what was for others there is nothing, but to find that out takes a look.
            if !self.may_answer(ctx, &from, NOTHING_COSTS_BYTES) {
                return self.answer_later(ctx, &from, &holes[at..]);
            }
            let log = self.log.author(author);
            let next = log.map(|log| log.next_for(&from, first.saturating_sub(1), &self.audiences()));
            let next = next.filter(|next| match next {
                Next::Run(run) => run.first().seq <= *last,
                Next::Fetch(seq) => seq <= last,
                Next::Nothing => false,
            });
            // Each may be answered by a whole run, which goes beside what they are fed and its window.
            if next.is_some() && !self.may_answer(ctx, &from, RUN_BYTES_MAX) {
                return self.answer_later(ctx, &from, &holes[at..]);
            }
            match next {
                Some(Next::Run(run)) => self.show(ctx, &from, &run),
                Some(Next::Fetch(seq)) => self.look_for(ctx, from, *author, seq),
                Some(Next::Nothing) | None => {}
            }
        }
    }

    /// Whether a member may be given so much of holes now.
    fn may_answer(&mut self, ctx: &Ctx<'_>, peer: &PeerId, bytes: usize) -> bool {
        let reader = self.readers.get_mut(peer);
        reader.is_some_and(|reader| reader.holes_answered.takes(ctx.now, bytes, LATE_BYTES_PER_SECOND_MAX, 1_000))
    }

    /// What a member asked about holes is answered when they may be given more: who fills one asks for the rest in turn, and would stop there.
    fn answer_later(&mut self, ctx: &Ctx<'_>, peer: &PeerId, holes: &[Hole]) {
        let Some(reader) = self.readers.get_mut(peer) else { return };
        let (_, later) = reader.holes_later.get_or_insert_with(|| (ctx.now.after_ms(ANSWER_LATER_MS), Vec::new()));
        later.extend_from_slice(holes);
        later.truncate(HOLES_ASKED_MAX);
    }

    /// Time passed: answers that had to wait.
    pub fn holes_due(&mut self, ctx: &mut Ctx<'_>) {
        let due = |(at, _): &mut (u64, Vec<_>)| *at <= ctx.now.mono_ms;
        let due =
            self.readers.iter_mut().filter_map(|(peer, reader)| Some((*peer, reader.holes_later.take_if(due)?.1)));
        for (peer, holes) in due.collect::<Vec<_>>() {
            self.on_holes(ctx, peer, &holes);
        }
    }

    /// When answers that had to wait are due.
    pub(super) fn answers_due(&self) -> Option<u64> {
        self.readers.values().filter_map(|reader| reader.holes_later.as_ref()).map(|(at, _)| *at).min()
    }

    /// What came into a hole here is given on to those who have more of that log, or were given more: they may have gone on without it as
    /// we had, or be about to, since we told them that it isn't here.
    pub(super) fn pass_late_on(&mut self, ctx: &mut Ctx<'_>, from: Option<PeerId>, heard: &Heard) {
        self.ask_for_rest(ctx, heard);
        let late: Vec<&KeptEntry> = heard.taken.iter().filter(|taken| taken.late).map(|taken| &taken.kept).collect();
        let mut rest = &late[..];
        while let Some(first) = rest.first() {
            // What ends without a signature was given by a run that goes on with something else.
            let Some(run) = run_of(rest.iter().copied()) else {
                rest = &rest[1..];
                continue;
            };
            let (author, last) = (first.entry.author, run.last().seq);
            rest = &rest[run.ids().len()..];
            let told = self.readers.iter().filter(|(_, reader)| reader.told_floors.contains_key(&author));
            self.floors_due.extend(told.map(|(peer, _)| *peer));
            let audience = self.audience(&run.first().audience);
            let past_it = |(peer, reader): &(&PeerId, &Reader)| {
                let may_have = audience.is_some_and(|roster| is_member(roster, peer));
                may_have && Some(**peer) != from && **peer != author && reader.given(&author) > last
            };
            let mut peers: Vec<(bool, PeerId)> = self
                .readers
                .iter()
                .filter(past_it)
                .map(|(peer, reader)| (reader.has(&author) <= last, *peer))
                .collect();
            // First those to whom nothing else would bring it.
            peers.sort();
            let bytes = run.encoded_bytes();
            for (_, peer) in peers {
                if !self.late_passed.takes(ctx.now, bytes, LATE_BYTES_PER_SECOND_MAX, 1_000) {
                    break;
                }
                ctx.tell_peer(&peer, PeerMessage::Run(run.clone()));
            }
        }
        if !self.floors_due.is_empty() {
            self.frontier_soon(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Allowance;

    #[test]
    fn of_what_comes_late_no_more_is_given_on_in_a_second_than_links_take() {
        let mut passed = Allowance::default();
        let mut takes = |mono_ms| passed.takes(Now { mono_ms, wall_ms: 0 }, 10_000, LATE_BYTES_PER_SECOND_MAX, 1_000);
        let mut given = 0;
        for now in 0..999 {
            given += if takes(now) { 10_000 } else { 0 };
        }
        assert!(given > LATE_BYTES_PER_SECOND_MAX - 10_000 && given <= LATE_BYTES_PER_SECOND_MAX, "{given}");
        assert!(takes(1_000));
    }
}
