//! Logs against each other, without a network.

use super::*;
use crate::core::consent::testing::*;
use crate::core::event::Misdeed;
use crate::identity::{Ed25519, Identity};
use crate::limits::DEPTH_STATED_MAX;
use crate::wire::{Run, decode, encode};

/// The chain of a room founded by person 1 into which person 2 and then person 3 came, as each member holds it.
pub(super) fn chain_of(size: u8) -> (Vec<Identity>, Chain) {
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

pub(super) fn write(log: &mut Log, chain: &Chain, who: &Identity, texts: &[&str]) -> Vec<KeptEntry> {
    let mut salt = 0u8;
    let bodies = texts.iter().map(|text| Body::text(*text).unwrap());
    log.write(bodies, chain, who, 1_000, || {
        salt += 1;
        [salt; 16]
    })
}

pub(super) fn texts(heard: &Heard) -> Vec<&str> {
    heard.taken.iter().map(|taken| taken.kept.entry.body.as_text().unwrap()).collect()
}

/// What `log` would send of its author's entries after a number.
pub(super) fn sent_after(log: &Log, author: &Identity, reader: &Identity, after: u64, chain: &Chain) -> Run {
    match log.author(&author.id()).unwrap().next_for(&reader.id(), after, chain) {
        Next::Run(run) => run,
        other => panic!("{other:?}"),
    }
}

/// What the store would say of what is missing: nothing.
fn not_in_the_store(log: &mut Log, chain: &Chain, me: &Identity) -> Vec<EntryId> {
    log.looked_up(&log.missing().look_up, &[], chain, &me.id());
    log.missing().ask
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
    assert_eq!(texts(&bob.receive(&run, &chain, &me, &Ed25519).unwrap()), ["one", "", "three"]);
    assert_eq!(bob.receive(&run, &chain, &me, &Ed25519), Err(Rejected::Known));
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
    bob.receive(&send(&alice, 0), &chain, &people[1].id(), &Ed25519).unwrap();
    write(&mut alice, &chain, &people[0], &["three", "four"]);
    // Sent from the start again: the known half is dropped, the rest is taken.
    let new = bob.receive(&send(&alice, 0), &chain, &people[1].id(), &Ed25519).unwrap();
    assert_eq!(texts(&new), ["three", "four"]);
    assert_eq!(send(&alice, 3).entries().len(), 1);
}

#[test]
fn a_hundred_texts_travel_in_runs_of_sixty_four() {
    let (people, chain) = chain_of(2);
    let mut alice = Log::default();
    let written = write(&mut alice, &chain, &people[0], &["x"; 100]);
    let signed: Vec<u64> = written.iter().filter(|kept| kept.signature.is_some()).map(|kept| kept.entry.seq).collect();
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
    assert_eq!(run.entries().len(), 1);
    let mut log = Log::default();
    assert_eq!(texts(&log.receive(&run, &after, &carol, &Ed25519).unwrap()), ["hello carol"]);
    // Bob may have both: the second alone is a hole for him.
    let Next::Run(second) = mine.next_for(&people[1].id(), 1, &after) else { panic!() };
    assert_eq!(Log::default().receive(&second, &after, &people[1].id(), &Ed25519), Err(Rejected::Gap));
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
    let taken = Log::default().receive(&run, &after, &person(3).id(), &Ed25519);
    assert_eq!(taken, Err(Misdeed::WrongAudience.into()));
}

#[test]
fn changed_reordered_and_unsigned_entries_are_refused() {
    let (people, chain) = chain_of(2);
    let mut alice = Log::default();
    write(&mut alice, &chain, &people[0], &["one", "two", "three"]);
    let Next::Run(good) = alice.author(&people[0].id()).unwrap().next_for(&people[1].id(), 0, &chain) else { panic!() };
    let receive = |entry: Entry, signature| {
        let run = Run::of_one(entry, signature);
        Log::default().receive(&run, &chain, &people[1].id(), &Ed25519)
    };
    let entry = good.first();
    assert_eq!(receive(entry.clone(), good.signature()), Err(Misdeed::BadSignature.into()), "signed is the last");
    let changed = Entry { body: Body::text("zero").unwrap(), ..entry.clone() };
    assert_eq!(receive(changed, good.signature()), Err(Misdeed::BadSignature.into()));
    let by_another = Entry { author: person(3).id(), ..entry.clone() };
    assert_eq!(receive(by_another, good.signature()), Err(Misdeed::WrongAudience.into()));
    // Whatever is changed within a run ends in another id of its last.
    let bytes = encode(&good);
    let line = bytes.windows(3).position(|bytes| bytes == b"one").unwrap();
    let mut changed_inside = bytes;
    changed_inside[line] ^= 1;
    let run: Run = decode(&changed_inside).unwrap();
    let heard = Log::default().receive(&run, &chain, &people[1].id(), &Ed25519);
    assert_eq!(heard, Err(Misdeed::BadSignature.into()));
}

#[test]
fn two_entries_under_one_number_are_both_kept_and_their_author_accused_once() {
    let (people, chain) = chain_of(2);
    let (mut one, mut other, mut bob) = (Log::default(), Log::default(), Log::default());
    write(&mut one, &chain, &people[0], &["yes"]);
    write(&mut other, &chain, &people[0], &["no"]);
    let (author, me) = (people[0].id(), people[1].id());
    bob.receive(&sent_after(&one, &people[0], &people[1], 0, &chain), &chain, &me, &Ed25519).unwrap();
    let fork = bob.receive(&sent_after(&other, &people[0], &people[1], 0, &chain), &chain, &me, &Ed25519).unwrap();
    assert_eq!(fork.blamed, [(author, Misdeed::TwoEntries)]);
    assert_eq!(texts(&fork), ["no"]);
    assert!(fork.taken[0].forked);
    write(&mut other, &chain, &people[0], &["more"]);
    let more = bob.receive(&sent_after(&other, &people[0], &people[1], 1, &chain), &chain, &me, &Ed25519).unwrap();
    assert_eq!((texts(&more), more.blamed.len()), (vec!["more"], 0));
    assert_eq!(bob.head_seq(&author), 1, "frontiers count the branch that came first");
    let ends = bob.author(&author).unwrap().forks().ends();
    let run = bob.author(&author).unwrap().forks().run_with(&ends[0]).unwrap();
    assert_eq!(run.entries().len(), 2, "with all that came before it");
}

#[test]
fn a_branch_that_divides_again_is_proved_by_whichever_end_is_signed() {
    let (people, chain) = chain_of(2);
    let (mut one, mut other, mut bob) = (Log::default(), Log::default(), Log::default());
    write(&mut one, &chain, &people[0], &["yes"]);
    let first = write(&mut other, &chain, &people[0], &["no", "a"]).remove(0);
    let me = people[1].id();
    bob.receive(&sent_after(&one, &people[0], &people[1], 0, &chain), &chain, &me, &Ed25519).unwrap();
    bob.receive(&sent_after(&other, &people[0], &people[1], 0, &chain), &chain, &me, &Ed25519).unwrap();
    let proved = bob.author(&people[0].id()).unwrap().forks();
    assert_eq!(proved.run_with(&first.id).unwrap().entries().len(), 2);
    // Others follow the same first one, of which the signed end was lost; whichever id is lower.
    let mut kept: Vec<KeptEntry> = proved.iter().cloned().collect();
    for salt in 100..108 {
        let mut entry = (*kept.iter().find(|kept| kept.entry.seq == 2).unwrap().entry).clone();
        entry.salt = [salt; 16];
        kept.push(KeptEntry { id: entry.id(), entry: entry.into(), signature: None, place: first.place });
    }
    let forks = Forks::reopen(kept.clone());
    assert!(forks.run_with(&first.id).is_some_and(|run| run.entries().len() == 2));
    let unsigned = kept.into_iter().map(|kept| KeptEntry { signature: None, ..kept }).collect();
    assert_eq!(Forks::reopen(unsigned).run_with(&first.id), None);
}

#[test]
fn a_branch_whose_root_is_missing_accuses_at_once_and_asks_for_it() {
    let (people, chain) = chain_of(2);
    let (mut one, mut other, mut bob) = (Log::default(), Log::default(), Log::default());
    write(&mut one, &chain, &people[0], &["yes"]);
    let root = write(&mut other, &chain, &people[0], &["no"]);
    write(&mut other, &chain, &people[0], &["more"]);
    let me = people[1].id();
    bob.receive(&sent_after(&one, &people[0], &people[1], 0, &chain), &chain, &me, &Ed25519).unwrap();
    let second = sent_after(&other, &people[0], &people[1], 1, &chain);
    let heard = bob.receive(&second, &chain, &me, &Ed25519).unwrap();
    assert_eq!((heard.taken.len(), heard.blamed.len()), (0, 1));
    assert_eq!(not_in_the_store(&mut bob, &chain, &people[1]), [root[0].id]);
    let heard = bob.receive(&sent_after(&other, &people[0], &people[1], 0, &chain), &chain, &me, &Ed25519).unwrap();
    assert_eq!(texts(&heard), ["no", "more"]);
}

#[test]
fn an_entry_names_what_its_author_had_seen() {
    let (people, chain) = chain_of(2);
    let (mut alice, mut bob) = (Log::default(), Log::default());
    let first = write(&mut alice, &chain, &people[0], &["one"]);
    let run = sent_after(&alice, &people[0], &people[1], 0, &chain);
    bob.receive(&run, &chain, &people[1].id(), &Ed25519).unwrap();
    let answers = write(&mut bob, &chain, &people[1], &["two", "three"]);
    assert_eq!(answers[0].entry.seen.to_vec(), [first[0].id]);
    assert!(answers[1].entry.seen.is_empty(), "its own chain already says so");
    let depths: Vec<u64> = answers.iter().map(|kept| kept.place.depth).collect();
    assert_eq!(depths, [2, 3]);
}

#[test]
fn what_an_entry_has_no_room_to_name_is_named_by_the_next() {
    let (people, chain) = chain_of(8);
    let mut last = Log::default();
    let mut written = BTreeSet::new();
    // One of them says different things to different people, which is more ends than authors.
    for (number, author) in people[..7].iter().chain([&people[0]; 3]).enumerate() {
        let mut log = Log::default();
        written.extend(write(&mut log, &chain, author, &[&format!("hello {number}")]).into_iter().map(|kept| kept.id));
        let run = sent_after(&log, author, &people[7], 0, &chain);
        last.receive(&run, &chain, &people[7].id(), &Ed25519).unwrap();
    }
    let answers = write(&mut last, &chain, &people[7], &["one", "two", "three"]);
    let named: Vec<usize> = answers.iter().map(|kept| kept.entry.seen.len()).collect();
    assert_eq!(named, [8, 2, 0]);
    let named: BTreeSet<EntryId> = answers.iter().flat_map(|kept| kept.entry.seen.to_vec()).collect();
    assert_eq!(named, written);
}

#[test]
fn an_answer_waits_for_what_it_answers_and_has_the_same_depth_everywhere() {
    let (people, chain) = chain_of(3);
    let (mut alice, mut bob, mut carol) = (Log::default(), Log::default(), Log::default());
    let question = write(&mut alice, &chain, &people[0], &["question"]);
    let run = sent_after(&alice, &people[0], &people[1], 0, &chain);
    bob.receive(&run, &chain, &people[1].id(), &Ed25519).unwrap();
    let answer = write(&mut bob, &chain, &people[1], &["answer"]);
    let me = people[2].id();
    let early = carol.receive(&sent_after(&bob, &people[1], &people[2], 0, &chain), &chain, &me, &Ed25519).unwrap();
    assert_eq!(early, Heard::default());
    assert_eq!(carol.head_seq(&people[1].id()), 0, "nothing is acknowledged that was not shown");
    assert_eq!(not_in_the_store(&mut carol, &chain, &people[2]), [question[0].id]);
    let both = carol.receive(&run, &chain, &me, &Ed25519).unwrap();
    assert_eq!(texts(&both), ["question", "answer"]);
    assert_eq!(both.taken[1].kept.place, answer[0].place);
}

#[test]
fn what_names_a_lost_entry_stands_where_it_stands_for_those_who_have_it() {
    let (people, chain) = chain_of(3);
    let (mut alice, mut bob, mut carol) = (Log::default(), Log::default(), Log::default());
    let question = write(&mut alice, &chain, &people[0], &["one", "two", "question"]);
    bob.receive(&sent_after(&alice, &people[0], &people[1], 0, &chain), &chain, &people[1].id(), &Ed25519).unwrap();
    let answer = write(&mut bob, &chain, &people[1], &["answer"]);
    let me = people[2].id();
    carol.receive(&sent_after(&bob, &people[1], &people[2], 0, &chain), &chain, &me, &Ed25519).unwrap();
    not_in_the_store(&mut carol, &chain, &people[2]);
    let taken = carol.give_up_on(question[2].id, &chain, &me).taken;
    assert_eq!(taken[0].kept.place, answer[0].place);
    assert_eq!(answer[0].place.depth, 4);
}

#[test]
fn an_entry_stands_below_what_it_names_whatever_its_author_says() {
    let (people, chain) = chain_of(2);
    let mut alice = Log::default();
    write(&mut alice, &chain, &people[0], &["one"]);
    let first = sent_after(&alice, &people[0], &people[1], 0, &chain);
    let mut second = write(&mut alice, &chain, &people[0], &["two"]).remove(0).entry;
    let mut placed = |depth| {
        let mut bob = Log::default();
        bob.receive(&first, &chain, &people[1].id(), &Ed25519).unwrap();
        let entry = Arc::make_mut(&mut second);
        entry.depth = depth;
        let tip = Tip { room: entry.room, author: entry.author, id: entry.id() };
        let signature = Verified::sign(tip, &people[0]).as_signed().signature();
        let run = Run::of_one(entry.clone(), signature);
        let heard = bob.receive(&run, &chain, &people[1].id(), &Ed25519).unwrap();
        assert_eq!(heard.blamed, [], "whoever lacks something may be wrong");
        let next = write(&mut bob, &chain, &people[1], &["three"]);
        (heard.taken[0].kept.place.depth, next[0].place.depth)
    };
    assert_eq!([0, 1, 2, 9].map(&mut placed), [(2, 3), (2, 3), (2, 3), (9, 10)]);
    // There is always a number left for what comes after.
    assert_eq!([DEPTH_STATED_MAX + 1, u64::MAX].map(placed), [(2, 3); 2]);
}

#[test]
fn what_was_lost_is_waited_for_again_by_what_names_it_once_somebody_comes() {
    let (people, chain) = chain_of(4);
    let (mut alice, mut carol) = (Log::default(), Log::default());
    let question = write(&mut alice, &chain, &people[0], &["question"]);
    let me = people[2].id();
    let answers = [1, 3].map(|who| {
        let (mut log, author) = (Log::default(), &people[who]);
        let run = sent_after(&alice, &people[0], author, 0, &chain);
        log.receive(&run, &chain, &author.id(), &Ed25519).unwrap();
        write(&mut log, &chain, author, &["answer"]);
        sent_after(&log, author, &people[2], 0, &chain)
    });
    carol.receive(&answers[0], &chain, &me, &Ed25519).unwrap();
    assert_eq!(not_in_the_store(&mut carol, &chain, &people[2]), [question[0].id]);
    assert_eq!(texts(&carol.give_up_on(question[0].id, &chain, &me)), ["answer"]);
    carol.hope_again();
    assert_eq!(carol.receive(&answers[1], &chain, &me, &Ed25519).unwrap(), Heard::default());
    let late = carol.receive(&sent_after(&alice, &people[0], &people[2], 0, &chain), &chain, &me, &Ed25519).unwrap();
    assert_eq!(texts(&late), ["question", "answer"]);
}

#[test]
fn runs_that_name_each_others_entries_do_not_wait_for_each_other() {
    let (people, chain) = chain_of(3);
    let (mut alice, mut bob, mut carol) = (Log::default(), Log::default(), Log::default());
    for _ in 0..3 {
        write(&mut alice, &chain, &people[0], &["ping"]);
        let after = bob.head_seq(&people[0].id());
        let ping = sent_after(&alice, &people[0], &people[1], after, &chain);
        bob.receive(&ping, &chain, &people[1].id(), &Ed25519).unwrap();
        write(&mut bob, &chain, &people[1], &["pong"]);
        let after = alice.head_seq(&people[1].id());
        let pong = sent_after(&bob, &people[1], &people[0], after, &chain);
        alice.receive(&pong, &chain, &people[0].id(), &Ed25519).unwrap();
    }
    // Each log comes as one run, of which the other's entries name some and are named by others.
    let me = people[2].id();
    let first = carol.receive(&sent_after(&alice, &people[0], &people[2], 0, &chain), &chain, &me, &Ed25519).unwrap();
    let rest = carol.receive(&sent_after(&bob, &people[1], &people[2], 0, &chain), &chain, &me, &Ed25519).unwrap();
    assert_eq!(texts(&first), ["ping"]);
    assert_eq!(texts(&rest), ["pong", "ping", "pong", "ping", "pong"]);
}

#[test]
fn a_liar_that_names_nothing_blocks_its_own_log_only_and_takes_bounded_memory() {
    let (people, chain) = chain_of(3);
    let (mut liar, mut honest, mut carol) = (Log::default(), Log::default(), Log::default());
    let me = people[2].id();
    let mut previous = write(&mut liar, &chain, &people[0], &["true"]);
    carol.receive(&sent_after(&liar, &people[0], &people[2], 0, &chain), &chain, &me, &Ed25519).unwrap();
    let long = "x".repeat(4_000);
    let mut full = 0;
    for _ in 0..300 {
        let mut entry = Entry::clone(&previous[0].entry);
        (entry.seq, entry.previous, entry.previous_audience) = (entry.seq + 1, previous[0].id, entry.audience);
        entry.seen = Few::first_of([EntryId([7; 32])]);
        entry.body = Body::text(&long).unwrap();
        let tip = Tip { room: entry.room, author: entry.author, id: entry.id() };
        let signature = Verified::sign(tip, &people[0]).as_signed().signature();
        previous = vec![KeptEntry { id: entry.id(), entry: entry.clone().into(), ..previous[0].clone() }];
        let run = Run::of_one(entry, signature);
        match carol.receive(&run, &chain, &me, &Ed25519) {
            Ok(heard) => assert_eq!(heard, Heard::default()),
            Err(Rejected::Full | Rejected::Gap) => full += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(full > 100, "{full}");
    write(&mut honest, &chain, &people[1], &["fine"]);
    let run = sent_after(&honest, &people[1], &people[2], 0, &chain);
    assert_eq!(texts(&carol.receive(&run, &chain, &me, &Ed25519).unwrap()), ["fine"]);
}

#[test]
fn an_old_entry_is_known_by_the_store_and_another_under_its_number_is_a_fork() {
    let (people, chain) = chain_of(2);
    let (mut one, mut other, mut bob) = (Log::default(), Log::default(), Log::default());
    let many = vec!["x"; crate::limits::RECENT_ENTRIES_MAX + 100];
    let (mut after, mut first) = (0, None);
    for some in many.chunks(64) {
        let written = write(&mut one, &chain, &people[0], some);
        first = first.or(Some(written[0].id));
        let run = sent_after(&one, &people[0], &people[1], after, &chain);
        after = run.last().seq;
        bob.receive(&run, &chain, &people[1].id(), &Ed25519).unwrap();
    }
    let first = first.unwrap();
    write(&mut other, &chain, &people[0], &["not x"]);
    let fork = sent_after(&other, &people[0], &people[1], 0, &chain);
    let heard = bob.receive(&fork, &chain, &people[1].id(), &Ed25519).unwrap();
    assert_eq!(heard, Heard::default(), "memory can't tell");
    let missing = bob.missing();
    assert_eq!(missing.numbers, [(people[0].id(), 1)]);
    let ours = *one.known(&first).unwrap();
    let heard = bob.looked_up(&missing.look_up, &[(first, ours)], &chain, &people[1].id());
    assert_eq!((texts(&heard), heard.blamed.len()), (vec!["not x"], 1));
}

#[test]
fn ends_and_places_survive_a_restart() {
    let (people, chain) = chain_of(3);
    let (mut alice, mut bob, mut carol) = (Log::default(), Log::default(), Log::default());
    write(&mut alice, &chain, &people[0], &["one"]);
    let one = sent_after(&alice, &people[0], &people[1], 0, &chain);
    bob.receive(&one, &chain, &people[1].id(), &Ed25519).unwrap();
    let two = write(&mut bob, &chain, &people[1], &["two"]);
    for run in [one, sent_after(&bob, &people[1], &people[2], 0, &chain)] {
        carol.receive(&run, &chain, &people[2].id(), &Ed25519).unwrap();
    }
    let mut carol = Log::reopen(carol.into_memory(&chain), &chain, &people[2].id());
    let three = write(&mut carol, &chain, &people[2], &["three"]);
    assert_eq!(three[0].entry.seen.to_vec(), [two[0].id]);
    assert_eq!(three[0].place.depth, 3);
}

#[test]
fn a_log_that_begins_later_is_given_from_there_and_taken_where_nobody_has_more() {
    let (people, chain) = chain_of(2);
    let (mut alice, mut bob) = (Log::default(), Log::default());
    let texts: Vec<String> = (1..=100).map(|number| number.to_string()).collect();
    let written = write(&mut alice, &chain, &people[0], &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let (author, me) = (people[0].id(), people[1].id());
    let kept = written[90..].to_vec();
    let later = AuthorLog::reopen(vec![(91, kept[0].entry.audience)], kept, Vec::new());
    let mut alice =
        Log::reopen(Memory { authors: BTreeMap::from([(author, later)]), past: Past::default() }, &chain, &author);
    let run = sent_after(&alice, &people[0], &people[1], 3, &chain);
    assert_eq!(run.first().seq, 91);
    assert_eq!(bob.receive(&run, &chain, &me, &Ed25519), Err(Rejected::Gap));
    bob.take_hole(author, 91);
    assert_eq!(bob.receive(&run, &chain, &me, &Ed25519).unwrap().taken.len(), 10);
    assert_eq!(write(&mut alice, &chain, &people[0], &["next"])[0].entry.seq, 101, "own numbers go on");
}

#[test]
fn behind_a_hole_nobody_is_given_what_is_for_others() {
    let (people, three) = chain_of(3);
    let (_, two) = chain_of(2);
    let mut alice = Log::default();
    let mut written = write(&mut alice, &two, &people[0], &["for two", "for two again"]);
    written.extend(write(&mut alice, &three, &people[0], &["for three"]));
    // A log that lacks the second, of which nobody can tell whom it was for.
    let audiences = vec![(1, two.head()), (3, three.head())];
    let kept = vec![written[0].clone(), written[2].clone()];
    let holed = AuthorLog::reopen(audiences, kept, Vec::new());
    let only_two = |hash: &RosterHash| two.roster(hash);
    assert!(only_two(&three.head()).is_none());
    assert_eq!(holed.next_for(&people[1].id(), 1, &two), Next::Nothing);
    let Next::Run(run) = holed.next_for(&people[1].id(), 1, &three) else { panic!("the third is for both") };
    assert_eq!(run.first().seq, 3);
}
