//! What is missing in a log, what fills it, and what a liar can make of either.

use super::tests::{chain_of, sent_after, texts, write};
use super::*;
use crate::identity::Ed25519;
use crate::limits::{HELD_BYTES_MAX, HOLES_PER_AUTHOR_MAX};
use crate::wire::Run;

/// Entries of one author, one for each of these audiences, that nobody signed or linked.
fn entries_for(author: PeerId, audiences: &[RosterHash], body: &str) -> Vec<KeptEntry> {
    let entry = |(seq, audience): (u64, &RosterHash)| {
        let entry = Entry {
            room: crate::wire::RoomId([1; 32]),
            author,
            seq,
            previous: EntryId([0; 32]),
            audience: *audience,
            previous_audience: *audience,
            seen: Few::default(),
            depth: seq,
            wall_ms: 0,
            salt: [0; 16],
            body: Body::text(body).unwrap(),
        };
        let place = Place { epoch: 1, depth: seq };
        KeptEntry { id: entry.id(), entry: Arc::new(entry), signature: None, place }
    };
    (1..).zip(audiences).map(entry).collect()
}

#[test]
fn an_author_who_goes_back_and_forth_between_audiences_gives_nobody_a_search_without_end() {
    let (people, chain) = chain_of(3);
    let (both, all) = (chain.current().previous, chain.head());
    let newest = entries_for(people[0].id(), &[both, all, both, all, both], "x");
    // As a store of before told it: where each audience begins.
    let log = AuthorLog::reopen(vec![(1, both), (2, all)], newest, Vec::new());
    assert_eq!(log.next_for(&people[2].id(), 4, &chain), Next::Nothing, "the fifth is for the first two");
}

#[test]
fn a_hole_among_entries_of_one_roster_is_filled_by_what_goes_on_into_what_is_known() {
    let (people, chain) = chain_of(2);
    let (mut alice, mut bob) = (Log::default(), Log::default());
    let (author, me) = (people[0].id(), people[1].id());
    for text in ["one", "two", "three"] {
        write(&mut alice, &chain, &people[0], &[text]);
    }
    let after = |number| sent_after(&alice, &people[0], &people[1], number, &chain);
    let one = Run::new(
        [(Arc::clone(&after(0).entries()[0]), after(0).ids()[0])],
        alice.author(&author).unwrap().recent(1).unwrap().signature.unwrap(),
    )
    .unwrap();
    bob.receive(&one, &chain, &me, &Ed25519).unwrap();
    assert_eq!(bob.receive(&after(2), &chain, &me, &Ed25519), Err(Rejected::Gap));
    bob.take_hole(author, 3);
    assert_eq!(texts(&bob.receive(&after(2), &chain, &me, &Ed25519).unwrap()), ["three"]);
    assert_eq!(bob.holes(&author, (1, 3)).collect::<Vec<_>>(), [(2, 2)]);
    let kept = bob.author(&author).unwrap().newest().cloned().collect();
    let after_a_start = AuthorLog::reopen(vec![(1, chain.head())], kept, Vec::new());
    let memory = Memory { authors: BTreeMap::from([(author, after_a_start)]), past: Past::default() };
    assert_eq!(Log::reopen(memory, &chain, &me).holes(&author, (1, 3)).collect::<Vec<_>>(), [(2, 2)]);
    // Whoever is asked for the second gives it with the third behind it.
    let mut heard = bob.receive(&after(1), &chain, &me, &Ed25519).unwrap();
    if heard.taken.is_empty() {
        heard = bob.looked_up(&bob.missing().look_up, &[], &chain, &me);
    }
    assert_eq!(texts(&heard), ["two"]);
    assert!(heard.taken[0].late && heard.blamed.is_empty() && !bob.is_accused(&author));
    assert_eq!(bob.holes(&author, (0, 9)).next(), None);
    assert_eq!(bob.receive(&after(1), &chain, &me, &Ed25519), Err(Rejected::Known));
}

#[test]
fn what_comes_next_finds_room_though_a_log_waits_far_ahead() {
    let (people, _) = chain_of(1);
    let author = people[0].id();
    let mut held = Held::default();
    let long = "x".repeat(4_000);
    let all = entries_for(author, &vec![RosterHash([1; 32]); 400], &long);
    let mut waiting = 0;
    for kept in &all[100..] {
        if !held.hold(author, [kept.clone()].into()) {
            break;
        }
        assert_eq!(held.wait(kept.id, EntryId([7; 32])), None);
        waiting += 1;
    }
    assert!(waiting > 100 && waiting < 300, "{waiting}");
    assert!(held.hold(author, [all[0].clone()].into()), "what is first in the log is not kept out by what is not");
    let highest = &all[100 + waiting - 1];
    assert!(held.get(&all[0].id).is_some() && held.get(&highest.id).is_none());
    assert!(!held.hold(author, [all[399].clone()].into()), "and what is last makes no room for itself");
    assert_eq!(held.released_by(&EntryId([7; 32])).len(), waiting - 1, "nothing is asked for on account of what went");
    assert!(waiting * 4_000 < HELD_BYTES_MAX);
}

#[test]
fn nobody_makes_us_forget_the_holes_in_anothers_log() {
    let mut places = Places::default();
    let (honest, liar) = (PeerId([1; 32]), PeerId([2; 32]));
    let id = |number: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        EntryId(id)
    };
    places.give_up(id(0), honest, 5);
    for seq in 1..=10 * HOLES_PER_AUTHOR_MAX as u64 {
        places.give_up(id(seq), liar, seq);
    }
    assert!(places.is_given_up(&id(0)) && !places.is_given_up(&id(1)));
    assert_eq!(places.holes_of(&liar, (0, u64::MAX)).count(), HOLES_PER_AUTHOR_MAX);
    assert_eq!(places.holes_of(&honest, (0, 4)).count(), 0);
    assert_eq!(places.holes_of(&honest, (4, 5)).count(), 1);
}

#[test]
fn whoever_names_one_entry_as_what_comes_before_many_takes_no_more_room_than_others() {
    let mut places = Places::default();
    let (liar, id) = (PeerId([2; 32]), EntryId([9; 32]));
    for seq in 1..=10 * HOLES_PER_AUTHOR_MAX as u64 {
        places.note_left_out(id, liar, 2 * seq);
        places.give_up(id, liar, 2 * seq + 1);
    }
    assert_eq!(places.holes_of(&liar, (0, u64::MAX)).count(), 1);
}

#[test]
fn what_was_left_out_is_remembered_and_kept_from_nobody_and_hoped_for_once_if_it_was_given_up() {
    let mut places = Places::default();
    let author = PeerId([1; 32]);
    let [left_out, given_up] = [1, 2].map(|byte| EntryId([byte; 32]));
    places.note_left_out(left_out, author, 5);
    places.give_up(given_up, author, 9);
    assert!(!places.is_excused(&left_out) && places.is_excused(&given_up));
    assert!(!places.hope_up_to(&author, (0, 8)), "nothing that ends there is gone without");
    assert!(places.hope_up_to(&author, (0, 9)));
    assert!(!places.is_excused(&given_up) && places.is_hoped_for(&given_up));
    assert_eq!(places.holes_of(&author, (0, u64::MAX)).map(|(end, _)| end).collect::<Vec<_>>(), [5]);
    places.give_up(given_up, author, 9);
    assert!(!places.hope_up_to(&author, (0, 9)), "once is enough, or a liar could keep everybody waiting");
}

#[test]
fn of_two_entries_whose_ids_begin_alike_both_are_known() {
    let mut places = Places::default();
    let id = |last: u8| {
        let mut id = [7; 32];
        id[31] = last;
        EntryId(id)
    };
    let known = |seq| Known {
        author: PeerId([1; 32]),
        seq,
        audience: RosterHash([2; 32]),
        place: Place { epoch: 1, depth: seq },
    };
    places.insert(id(1), known(1));
    places.insert(id(2), known(2));
    // Whoever names both would be kept looking up one after the other for ever, if the second hid the first.
    assert_eq!([id(1), id(2)].map(|id| places.get(&id).map(|known| known.seq)), [Some(1), Some(2)]);
}
