//! What was said: one hash chain per author, checked on the way in, never reordered, never given to anybody outside an
//! entry's audience (DESIGN.md §5).
//!
//! Never keeps anything itself: what is new comes back as [`KeptEntry`]s, for the store first and for the eye after.

mod author;

use std::collections::BTreeMap;

pub use author::{AuthorLog, KeptEntry, Next, Place, run_of};

use crate::core::consent::chain::Chain;
use crate::core::consent::roster::is_member;
use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme, Signed, Signer, Verified};
use crate::limits::{RUN_BYTES_MAX, RUN_ENTRIES_MAX, SEEN_HEADS_MAX, SEQ_MAX};
use crate::wire::{Body, Entry, EntryId, Few, RosterHash, Run, Tip, encoded_len};

/// The logs of one room.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// By author.
    authors: BTreeMap<PeerId, AuthorLog>,
    /// Entries of others that no entry known here has seen, except by being the author's own next: what this member's next
    /// entry will name as seen.
    unseen: BTreeMap<PeerId, EntryId>,
}

/// Why a run was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It breaks a rule.
    Misdeed(Misdeed),
    /// Its audience is a roster this member does not know yet: try again after the next step.
    UnknownAudience,
    /// Something before it is missing: it will come, since the frontier asks for it.
    Gap,
    /// All of it is here.
    Known,
}

impl From<Misdeed> for Rejected {
    fn from(misdeed: Misdeed) -> Self {
        Rejected::Misdeed(misdeed)
    }
}

impl Log {
    /// From what the store kept.
    pub fn reopen(authors: BTreeMap<PeerId, AuthorLog>, me: &PeerId) -> Self {
        let heads = authors.iter().filter(|(author, _)| *author != me);
        let unseen = heads.filter_map(|(author, log)| Some((*author, log.head()?.id))).collect();
        Log { authors, unseen }
    }

    /// How far the log of `author` is here; 0 for nothing.
    pub fn head_seq(&self, author: &PeerId) -> u64 {
        self.authors.get(author).map_or(0, AuthorLog::head_seq)
    }

    /// Every log, given up.
    pub fn into_authors(self) -> BTreeMap<PeerId, AuthorLog> {
        self.authors
    }

    /// One author's log.
    pub fn author(&self, author: &PeerId) -> Option<&AuthorLog> {
        self.authors.get(author)
    }

    /// How far each author's log is here, in ascending order of author.
    pub fn frontier(&self) -> impl Iterator<Item = (PeerId, u64)> + '_ {
        self.authors.iter().map(|(author, log)| (*author, log.head_seq()))
    }

    /// Writes texts of one's own under the chain's current roster, in runs of one signature each.
    ///
    /// Each text must fit [`Body::text`]; the caller has said so to whoever wrote a longer one.
    pub fn write(
        &mut self,
        texts: impl IntoIterator<Item = Body>,
        chain: &Chain,
        signer: &dyn Signer,
        wall_ms: u64,
        mut salt: impl FnMut() -> [u8; 16],
    ) -> Vec<KeptEntry> {
        let mut written: Vec<KeptEntry> = Vec::new();
        // Where the open run began, and how many bytes are in it.
        let (mut run_start, mut run_bytes) = (0, 0);
        for body in texts {
            let entry = self.follow_on(chain, signer.id(), wall_ms, salt(), body);
            let bytes = encoded_len(&entry);
            if written.len() - run_start == RUN_ENTRIES_MAX || run_bytes + bytes > RUN_BYTES_MAX {
                self.sign_last(&mut written, signer);
                (run_start, run_bytes) = (written.len(), 0);
            }
            run_bytes += bytes;
            let place = Place { epoch: chain.current().epoch, depth: entry.seq };
            let kept = KeptEntry { id: entry.id(), entry, signature: None, place };
            self.authors.entry(signer.id()).or_default().append(kept.clone());
            written.push(kept);
        }
        self.sign_last(&mut written, signer);
        written
    }

    fn follow_on(&mut self, chain: &Chain, me: PeerId, wall_ms: u64, salt: [u8; 16], body: Body) -> Entry {
        let head = self.authors.get(&me).and_then(AuthorLog::head);
        let mut seen: Vec<EntryId> = std::mem::take(&mut self.unseen).into_values().collect();
        seen.sort();
        Entry {
            room: chain.room(),
            author: me,
            // A log of 2^64 entries is out of reach of any disk.
            seq: head.map_or(1, |kept| kept.entry.seq + 1),
            previous: head.map_or(EntryId([0; 32]), |kept| kept.id),
            audience: chain.head(),
            previous_audience: head.map_or(RosterHash([0; 32]), |kept| kept.entry.audience),
            seen: Few::first_of(seen.into_iter().take(SEEN_HEADS_MAX)),
            wall_ms,
            salt,
            body,
        }
    }

    fn sign_last(&mut self, written: &mut [KeptEntry], signer: &dyn Signer) {
        let Some(last) = written.last_mut() else { return };
        let tip = Tip { room: last.entry.room, author: signer.id(), id: last.id };
        let signature = Verified::sign(tip, signer).as_signed().signature();
        last.signature = Some(signature);
        if let Some(log) = self.authors.get_mut(&signer.id()) {
            log.sign_head(signature);
        }
    }

    /// Takes a run from whoever sent it; what is new in it comes back, oldest first.
    ///
    /// Duplicates are removed before the signature is looked at. A hole is allowed only where the author says that the
    /// entry before was for an audience this member is not in.
    ///
    /// # Errors
    /// [`Rejected`]; the log stays as it was.
    pub fn receive(
        &mut self,
        run: Run,
        chain: &Chain,
        me: &PeerId,
        scheme: &dyn Scheme,
    ) -> Result<Vec<KeptEntry>, Rejected> {
        let tip = run.tip().ok_or(Misdeed::Malformed)?;
        let (first, last) = match &run.entries[..] {
            [] => return Err(Misdeed::Malformed.into()),
            [first, ..] => (first, &run.entries[run.entries.len() - 1]),
        };
        if first.room != chain.room() || first.author == *me || last.seq > SEQ_MAX {
            return Err(Misdeed::Malformed.into());
        }
        let author = first.author;
        // Nothing is kept of an author before a run of theirs has passed.
        let nothing = AuthorLog::default();
        let log = self.authors.get(&author).unwrap_or(&nothing);
        if last.seq <= log.head_seq() {
            return Err(known_or_forked(log, tip, last.seq, scheme));
        }
        let audience = chain.roster(&first.audience).ok_or(Rejected::UnknownAudience)?;
        if !is_member(audience, me) || !is_member(audience, &author) {
            return Err(Misdeed::WrongAudience.into());
        }
        let ids = chained_ids(&run)?;
        let known = run.entries.iter().take_while(|entry| entry.seq <= log.head_seq()).count();
        let follows = follows_on(log, &run.entries[known], chain, me);
        if !matches!(follows, Ok(()) | Err(Rejected::Misdeed(Misdeed::TwoEntries))) {
            return follows.map(|()| Vec::new());
        }
        let signature = run.signature;
        // Nobody is accused of two entries by anything but their own signature.
        tip.verify(scheme).map_err(|_| Misdeed::BadSignature)?;
        follows?;

        let newest = ids.len() - 1;
        let kept = run.entries.into_vec().into_iter().zip(ids).enumerate().skip(known);
        let kept: Vec<KeptEntry> = kept
            .map(|(at, (entry, id))| {
                let place = Place { epoch: audience.epoch, depth: entry.seq };
                KeptEntry { entry, id, signature: (at == newest).then_some(signature), place }
            })
            .collect();
        let log = self.authors.entry(author).or_default();
        for new in &kept {
            log.append(new.clone());
            self.unseen.retain(|_, id| !new.entry.seen.contains(id));
            self.unseen.insert(author, new.id);
        }
        Ok(kept)
    }
}

/// The ids of a run's entries, if each follows the one before.
fn chained_ids(run: &Run) -> Result<Vec<EntryId>, Misdeed> {
    let ids: Vec<EntryId> = run.entries.iter().map(Entry::id).collect();
    for (at, pair) in run.entries.windows(2).enumerate() {
        let follows = pair[1].previous == ids[at]
            && pair[0].seq.checked_add(1) == Some(pair[1].seq)
            && pair[0].room == pair[1].room
            && pair[0].author == pair[1].author
            && pair[0].audience == pair[1].audience
            && pair[1].previous_audience == pair[0].audience;
        if !follows {
            return Err(Misdeed::BrokenChain);
        }
    }
    Ok(ids)
}

/// Whether the first new entry follows the log's head, or begins what this member may have.
fn follows_on(log: &AuthorLog, first: &Entry, chain: &Chain, me: &PeerId) -> Result<(), Rejected> {
    let head = log.head();
    let next = head.map_or(Some(1), |kept| kept.entry.seq.checked_add(1));
    if next == Some(first.seq) {
        let (previous, audience) =
            head.map_or((EntryId([0; 32]), RosterHash([0; 32])), |kept| (kept.id, kept.entry.audience));
        return if first.previous != previous {
            // The author signed another entry under the number before this one.
            Err(Misdeed::TwoEntries.into())
        } else if first.previous_audience != audience {
            Err(Misdeed::BrokenChain.into())
        } else {
            Ok(())
        };
    }
    let entry_before_is_mine_too = chain.roster(&first.previous_audience).is_some_and(|roster| is_member(roster, me));
    if entry_before_is_mine_too { Err(Rejected::Gap) } else { Ok(()) }
}

/// What a run that ends at or below the head is: known, proof that its author wrote two entries under one number, or a
/// forgery.
fn known_or_forked(log: &AuthorLog, tip: Signed<Tip>, seq: u64, scheme: &dyn Scheme) -> Rejected {
    match log.recent(seq) {
        Some(kept) if kept.id != tip.unverified().id => {
            Rejected::Misdeed(tip.verify(scheme).map_or(Misdeed::BadSignature, |_| Misdeed::TwoEntries))
        }
        _ => Rejected::Known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::testing::*;
    use crate::identity::{Ed25519, Identity};

    /// The chain of a room founded by person 1 into which person 2 and then person 3 came, as each member holds it.
    fn chain_of(size: u8) -> (Vec<Identity>, Chain) {
        let (_, genesis, _) = room_of(1);
        let mut people = vec![person(1)];
        let mut chain = Chain::found(genesis);
        for number in 2..=size {
            let knock = knock_at(chain.current(), &person(number), &format!("p{number}"));
            chain.adopt(&step_signed_by(&knock, &people), &Ed25519).unwrap();
            people.push(person(number));
        }
        (people, chain)
    }

    fn write(log: &mut Log, chain: &Chain, who: &Identity, texts: &[&str]) -> Vec<KeptEntry> {
        let mut salt = 0u8;
        let bodies = texts.iter().map(|text| Body::text(text).unwrap());
        log.write(bodies, chain, who, 1_000, || {
            salt += 1;
            [salt; 16]
        })
    }

    fn texts(kept: &[KeptEntry]) -> Vec<&str> {
        kept.iter().map(|kept| kept.entry.body.as_text().unwrap()).collect()
    }

    #[test]
    fn what_is_written_arrives_once_in_order_under_one_signature() {
        let (people, chain) = chain_of(2);
        let (mut alice, mut bob) = (Log::default(), Log::default());
        let written = write(&mut alice, &chain, &people[0], &["one", "", "three"]);
        assert_eq!(written.iter().filter(|kept| kept.signature.is_some()).count(), 1);
        let Next::Run(run) = alice.author(&people[0].id()).unwrap().next_for(&people[1].id(), 0, &chain) else {
            panic!("there is something to send")
        };
        let me = people[1].id();
        assert_eq!(texts(&bob.receive(run.clone(), &chain, &me, &Ed25519).unwrap()), ["one", "", "three"]);
        assert_eq!(bob.receive(run, &chain, &me, &Ed25519), Err(Rejected::Known));
    }

    #[test]
    fn any_tail_of_a_run_can_be_verified() {
        let (people, chain) = chain_of(2);
        let (mut alice, mut bob) = (Log::default(), Log::default());
        write(&mut alice, &chain, &people[0], &["one", "two"]);
        let author = people[0].id();
        let send = |alice: &Log, after| match alice.author(&author).unwrap().next_for(&people[1].id(), after, &chain) {
            Next::Run(run) => run,
            other => panic!("{other:?}"),
        };
        bob.receive(send(&alice, 0), &chain, &people[1].id(), &Ed25519).unwrap();
        write(&mut alice, &chain, &people[0], &["three", "four"]);
        // Sent from the start again: the known half is dropped, the rest is taken.
        let new = bob.receive(send(&alice, 0), &chain, &people[1].id(), &Ed25519).unwrap();
        assert_eq!(texts(&new), ["three", "four"]);
        assert_eq!(send(&alice, 3).entries.len(), 1);
    }

    #[test]
    fn a_hundred_texts_travel_in_runs_of_sixty_four() {
        let (people, chain) = chain_of(2);
        let mut alice = Log::default();
        let written = write(&mut alice, &chain, &people[0], &["x"; 100]);
        let signed: Vec<u64> =
            written.iter().filter(|kept| kept.signature.is_some()).map(|kept| kept.entry.seq).collect();
        assert_eq!(signed, [64, 100]);
    }

    #[test]
    fn a_newcomer_is_given_nothing_from_before_and_misses_nothing_after() {
        let (people, before) = chain_of(2);
        let (_, after) = chain_of(3);
        let mut alice = Log::default();
        write(&mut alice, &before, &people[0], &["secret"]);
        write(&mut alice, &after, &people[0], &["hello carol"]);
        let carol = person(3).id();
        let mine = alice.author(&people[0].id()).unwrap();
        let Next::Run(run) = mine.next_for(&carol, 0, &after) else { panic!() };
        assert_eq!(run.entries.len(), 1);
        let mut log = Log::default();
        assert_eq!(texts(&log.receive(run, &after, &carol, &Ed25519).unwrap()), ["hello carol"]);
        // Bob may have both: the second alone is a hole for him.
        let Next::Run(second) = mine.next_for(&people[1].id(), 1, &after) else { panic!() };
        assert_eq!(Log::default().receive(second, &after, &people[1].id(), &Ed25519), Err(Rejected::Gap));
    }

    #[test]
    fn nobody_is_given_an_entry_of_another_audience() {
        let (people, before) = chain_of(2);
        let (_, after) = chain_of(3);
        let mut alice = Log::default();
        write(&mut alice, &before, &people[0], &["secret"]);
        let mine = alice.author(&people[0].id()).unwrap();
        assert_eq!(mine.next_for(&person(3).id(), 0, &after), Next::Nothing);
        // And if a member passed it on all the same, it would not be taken.
        let Next::Run(run) = mine.next_for(&people[1].id(), 0, &after) else { panic!() };
        let taken = Log::default().receive(run, &after, &person(3).id(), &Ed25519);
        assert_eq!(taken, Err(Misdeed::WrongAudience.into()));
    }

    #[test]
    fn changed_reordered_and_unsigned_entries_are_refused() {
        let (people, chain) = chain_of(2);
        let mut alice = Log::default();
        write(&mut alice, &chain, &people[0], &["one", "two", "three"]);
        let Next::Run(good) = alice.author(&people[0].id()).unwrap().next_for(&people[1].id(), 0, &chain) else {
            panic!()
        };
        let receive = |entries: Vec<Entry>, signature| {
            let run = Run { entries: entries.try_into().unwrap(), signature };
            Log::default().receive(run, &chain, &people[1].id(), &Ed25519)
        };
        let mut changed = good.entries.to_vec();
        changed[2].body = Body::text("four").unwrap();
        assert_eq!(receive(changed, good.signature), Err(Misdeed::BadSignature.into()));
        let mut changed_inside = good.entries.to_vec();
        changed_inside[0].body = Body::text("zero").unwrap();
        assert_eq!(receive(changed_inside, good.signature), Err(Misdeed::BrokenChain.into()));
        let mut swapped = good.entries.to_vec();
        swapped.swap(0, 1);
        assert_eq!(receive(swapped, good.signature), Err(Misdeed::BrokenChain.into()));
        let mut by_another = good.entries.to_vec();
        for entry in &mut by_another {
            entry.author = person(3).id();
        }
        assert_eq!(receive(by_another, good.signature), Err(Misdeed::WrongAudience.into()));
        assert_eq!(receive(vec![], good.signature), Err(Misdeed::Malformed.into()));
    }

    #[test]
    fn two_entries_under_one_number_are_noticed() {
        let (people, chain) = chain_of(2);
        let (mut one, mut other, mut bob) = (Log::default(), Log::default(), Log::default());
        write(&mut one, &chain, &people[0], &["yes"]);
        write(&mut other, &chain, &people[0], &["no"]);
        let author = people[0].id();
        let send = |log: &Log, after| match log.author(&author).unwrap().next_for(&people[1].id(), after, &chain) {
            Next::Run(run) => run,
            other => panic!("{other:?}"),
        };
        bob.receive(send(&one, 0), &chain, &people[1].id(), &Ed25519).unwrap();
        let fork = bob.receive(send(&other, 0), &chain, &people[1].id(), &Ed25519);
        assert_eq!(fork, Err(Misdeed::TwoEntries.into()));
        write(&mut other, &chain, &people[0], &["more"]);
        let fork = bob.receive(send(&other, 1), &chain, &people[1].id(), &Ed25519);
        assert_eq!(fork, Err(Misdeed::TwoEntries.into()));
    }

    #[test]
    fn an_entry_names_what_its_author_had_seen() {
        let (people, chain) = chain_of(2);
        let (mut alice, mut bob) = (Log::default(), Log::default());
        let first = write(&mut alice, &chain, &people[0], &["one"]);
        let Next::Run(run) = alice.author(&people[0].id()).unwrap().next_for(&people[1].id(), 0, &chain) else {
            panic!()
        };
        bob.receive(run, &chain, &people[1].id(), &Ed25519).unwrap();
        let answers = write(&mut bob, &chain, &people[1], &["two", "three"]);
        assert_eq!(answers[0].entry.seen.to_vec(), [first[0].id]);
        assert!(answers[1].entry.seen.is_empty(), "its own chain already says so");
    }
}
