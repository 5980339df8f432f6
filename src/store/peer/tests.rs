//! What is kept comes back, in everybody's order, and nothing else does.

use super::*;
use crate::core::consent::roster::first_roster;
use crate::core::consent::testing::*;
use crate::core::event::Recalled;
use crate::core::io::StepNote;
use crate::core::log::Place;
use crate::identity::{Ed25519, Identity, Name, Signer as _, Verified};
use crate::wire::{Body, Consent, Decision, Entry, EntryId, Genesis, Roster, Tip};

#[test]
fn a_room_comes_back_as_it_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("peer.db");
    let (people, genesis, base) = room_of(2);
    let step = step_signed_by(&knock_at(&base, &person(9), "nina"), &people);
    let consent = Consent {
        room: base.room,
        roster: base.hash(),
        proposal: step.proposal.hash(),
        by: people[0].id(),
        decision: Decision::No,
    };
    let consent = Verified::sign(consent, &people[0]).into_signed();
    let room = base.room;
    let mut store = PeerStore::open(&file).unwrap();
    let consented = Change::Consented { room, proposal: step.proposal.clone(), consent: consent.clone() };
    store
        .apply(&[
            Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() },
            consented.clone(),
            Change::Moved { room, epoch: base.epoch + 1, step: step.clone(), note: noted(5) },
            consented,
            Change::HeadCounter { room, counter: 7 },
        ])
        .unwrap();
    drop(store);

    let kept = PeerStore::open(&file).unwrap().load().unwrap();
    let [kept] = &kept.rooms[..] else { panic!("one room") };
    assert!(kept.genesis.clone().verify(&Ed25519).is_ok());
    assert_eq!((&kept.base, &kept.steps), (&base, &vec![(step.clone(), noted(5))]));
    assert_eq!(
        kept.consents,
        vec![(step.proposal.clone(), consent.clone()), (step.proposal, consent)],
        "passed, and new"
    );
    assert_eq!(kept.head_counter, 7);
}

#[test]
fn a_failed_change_leaves_nothing_of_its_batch() {
    let (_, genesis, base) = room_of(1);
    let mut store = PeerStore::in_memory().unwrap();
    let entered = Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() };
    let step = step_signed_by(&knock_at(&base, &person(9), "nina"), &[person(1)]);
    let moved = Change::Moved { room: base.room, epoch: 1, step, note: noted(0) };
    assert!(store.apply(&[entered, moved.clone(), moved]).is_err());
    assert!(store.load().unwrap().rooms.is_empty());
}

#[test]
fn leaving_forgets_the_room_but_not_what_was_said() {
    use crate::core::consent::chain::Chain;
    use crate::core::log::Log;
    let (people, genesis, base) = room_of(1);
    let mut store = PeerStore::in_memory().unwrap();
    let chain = Chain::found(genesis.clone());
    let texts = (0..700).map(|n| crate::wire::Body::text(n.to_string()).unwrap());
    let entries = Log::default().write(texts, &chain, &people[0], 0, || [0; 16]);
    store
        .apply(&[
            Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() },
            Change::Entries { room: base.room, entries: entries.clone() },
            Change::Gone { room: base.room },
        ])
        .unwrap();
    let kept = store.load().unwrap();
    assert!(kept.rooms.is_empty());
    let [(_, _, log)] = &kept.logs[..] else { panic!("one log") };
    assert_eq!(log.head(), entries.last());
    let fetched = store.fetch(&base.room, &people[0].id(), 65).unwrap();
    assert_eq!(fetched, entries[64..128]);
}

/// A history of three people, of whom the third has left: texts, and what they are to be found by.
fn talk() -> (PeerStore, RoomId, Vec<Identity>) {
    let (people, genesis, base) = room_of(3);
    let mut store = PeerStore::in_memory().unwrap();
    let room = base.room;
    store.apply(&[Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() }]).unwrap();
    say(&mut store, &base, &people[0], 1, &["Der Käse ist alle", "naïve approach", "one two three"]);
    say(&mut store, &base, &people[2], 2, &["KASE again", "two one"]);
    store.apply(&[Change::Gone { room }]).unwrap();
    (store, room, people)
}

/// Entries of `author` at depths from `depth` on.
pub(super) fn say(
    store: &mut PeerStore,
    base: &Roster,
    author: &Identity,
    depth: u64,
    texts: &[&str],
) -> Vec<KeptEntry> {
    put(store, base, author, depth, texts.iter().map(|text| Body::text(*text).unwrap()))
}

/// The same of what may be more than texts.
pub(super) fn put(
    store: &mut PeerStore,
    base: &Roster,
    author: &Identity,
    depth: u64,
    bodies: impl IntoIterator<Item = Body>,
) -> Vec<KeptEntry> {
    let head = store.load().unwrap().logs.into_iter().find(|(_, key, _)| *key == author.id());
    let head = head.and_then(|(_, _, log)| log.head().cloned());
    let mut entries: Vec<KeptEntry> = Vec::new();
    for (body, depth) in bodies.into_iter().zip(depth..) {
        let before = entries.last().or(head.as_ref());
        let entry = Entry {
            room: base.room,
            author: author.id(),
            seq: before.map_or(1, |kept| kept.entry.seq + 1),
            previous: before.map_or(EntryId([0; 32]), |kept| kept.id),
            audience: base.hash(),
            previous_audience: before.map_or(RosterHash([0; 32]), |kept| kept.entry.audience),
            seen: Default::default(),
            // Not where it stands: whoever states that isn't always believed.
            depth: depth + 7,
            wall_ms: 1_000 * depth,
            salt: [3; 16],
            body,
        };
        let tip = Tip { room: base.room, author: author.id(), id: entry.id() };
        let signature = Some(Verified::sign(tip, author).as_signed().signature());
        entries.push(KeptEntry {
            id: entry.id(),
            entry: entry.into(),
            signature,
            place: Place { epoch: base.epoch, depth },
        });
    }
    store.apply(&[Change::Entries { room: base.room, entries: entries.clone() }]).unwrap();
    entries
}

fn texts(part: &Part) -> Vec<&str> {
    part.messages.iter().map(|message| message.text.as_str()).collect()
}

pub(super) fn found(store: &mut PeerStore, room: &RoomId, typed: &str) -> Vec<String> {
    let part = store.search(room, &PeerId([0; 32]), typed, 10).unwrap().unwrap();
    assert_eq!(part.more, 0);
    texts(&part).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_newest_come_in_everybodys_order_with_the_names_of_those_who_left() {
    let (mut store, room, people) = talk();
    let part = store.last(&room, &people[0].id(), 4, None).unwrap();
    assert_eq!(part.more, 1);
    let mut expected: Vec<_> = ["naïve approach", "one two three", "KASE again", "two one"].into();
    let place = |text: &&str| part.messages.iter().find(|it| it.text == *text).map(|it| (it.sent_at_ms, it.id));
    expected.sort_by_key(place);
    assert_eq!(texts(&part), expected);
    for message in &part.messages {
        let mine = message.key == people[0].id();
        let name = if mine { "p1" } else { "p3" };
        assert_eq!((message.from.as_ref().map(Name::as_str), message.mine), (Some(name), mine));
    }
    assert_eq!(store.last(&RoomId([9; 32]), &people[0].id(), 4, None).unwrap(), Part::default());
    let early = store.last(&room, &people[0].id(), 9, Some(1)).unwrap();
    assert_eq!(texts(&early), ["Der Käse ist alle", "naïve approach", "one two three"], "kept up to then");
}

#[test]
fn words_are_found_whatever_their_case_and_accents_and_phrases_in_their_order() {
    let (mut store, room, _) = talk();
    let both = ["Der Käse ist alle", "KASE again"];
    assert_eq!(found(&mut store, &room, "käse"), both);
    assert_eq!(found(&mut store, &room, "kase"), both);
    assert_eq!(found(&mut store, &room, "KÄS*"), both);
    assert_eq!(found(&mut store, &room, "kas"), [""; 0], "a whole word");
    assert_eq!(found(&mut store, &room, "alle ist"), ["Der Käse ist alle"], "in any order");
    assert_eq!(found(&mut store, &room, "\"alle ist\""), [""; 0], "in this order");
    assert_eq!(found(&mut store, &room, "\"one tw\"*"), ["one two three"]);
    assert_eq!(found(&mut store, &RoomId([9; 32]), "käse"), [""; 0], "in this room only");
    let part = store.search(&room, &PeerId([0; 32]), "k*", 1).unwrap().unwrap();
    assert_eq!((texts(&part), part.more), (vec!["KASE again"], 1));
}

#[test]
fn nothing_that_is_typed_is_an_error_of_the_database() {
    let (mut store, room, _) = talk();
    let odd = [
        "(",
        ")",
        "\"",
        "\"\"",
        "a\"",
        "*",
        "a**",
        "^a",
        "a:b",
        "text:a",
        "NEAR(a b, 2)",
        "a AND",
        "NOT a",
        "OR",
        "-a",
        "{a b}:c",
        "\0",
        "a\0b",
        "\u{300}",
        "a + b",
        "'",
        "';--",
        "%",
        "日本",
        "\u{1b}[m",
        "¤",
        "½",
        "²*",
        "\"-\" x",
        "a \"!\" b",
        "ª",
        "\u{2160}",
    ];
    for typed in odd.into_iter().map(str::to_owned).chain((1..0x250).filter_map(char::from_u32).map(String::from)) {
        assert!(store.search(&room, &PeerId([0; 32]), &typed, 9).is_ok(), "{typed:?}");
    }
}

#[test]
fn an_export_has_every_entry_once_and_stops_when_asked() {
    let (mut store, room, _) = talk();
    let mut all = Vec::new();
    let me = PeerId([0; 32]);
    let take = |kept: &KeptEntry, name: Option<&Name>, shown: Option<Recalled>| {
        assert_eq!(shown.map(|shown| shown.text), kept.entry.body.as_text().map(str::to_owned));
        all.push((kept.place, kept.id, name.cloned()));
        Ok::<(), ()>(())
    };
    store.export(&room, &me, take).unwrap().unwrap();
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted() && all.iter().all(|(_, _, name)| name.is_some()));
    assert_eq!(store.export(&room, &me, |_, _, _| Err("full")).unwrap(), Err("full"));
}

#[test]
fn rooms_are_known_by_name_the_one_entered_last_first() {
    let (mut store, room, people) = talk();
    let again = first_roster(&second_lobby(&people[0]));
    let genesis = second_lobby(&people[0]).into_signed();
    store.apply(&[Change::Entered { genesis, base: again.clone() }]).unwrap();
    let named = |room| KnownRoom { room, name: Some("lobby".parse().unwrap()) };
    assert_eq!(store.known_rooms().unwrap(), [named(again.room), named(room)]);
}

fn second_lobby(creator: &Identity) -> Verified<Genesis> {
    let (_, genesis, _) = room_of(1);
    Verified::sign(Genesis { nonce: [2; 16], ..genesis.as_signed().unverified().clone() }, creator)
}

#[test]
fn a_history_from_before_the_first_release_is_set_aside_and_said_to_be_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.db");
    let old = Connection::open(&file).unwrap();
    old.execute_batch("CREATE TABLE entry (number INTEGER PRIMARY KEY, text); PRAGMA user_version = 3;").unwrap();
    drop(old);
    let (store, kept, salvaged) = PeerStore::open_or_salvage(&file, person(1).id(), "2026-11-21", &Ed25519).unwrap();
    let salvaged = salvaged.unwrap();
    assert!(salvaged.why.contains("older than the first release"), "{}", salvaged.why);
    assert_eq!((salvaged.entries, salvaged.aside.exists(), kept.rooms.len()), (0, true, 0));
    drop(store);
    PeerStore::open(&file).unwrap();
}

#[test]
fn addresses_are_those_kept_last_and_gone_with_the_seat() {
    let (people, genesis, base) = room_of(2);
    let (room, peer) = (base.room, people[1].id());
    let mut store = PeerStore::in_memory().unwrap();
    let at = |port: u16| vec![(peer, vec![([127, 0, 0, 1], port).into()])];
    let kept = |store: &PeerStore| -> Vec<_> {
        store.load().unwrap().addresses.into_iter().map(|(_, key, addresses)| (key, addresses)).collect()
    };
    store.apply(&[Change::Entered { genesis: genesis.into_signed(), base }]).unwrap();
    for port in [1, 2] {
        store.apply(&[Change::Addresses { room, addresses: at(port) }]).unwrap();
        assert_eq!(kept(&store), at(port));
    }
    store.all.execute("UPDATE address SET addresses = x'0001'", []).unwrap();
    assert_eq!(kept(&store), [], "a damaged hint is none");
    store.apply(&[Change::Addresses { room, addresses: at(3) }, Change::Gone { room }]).unwrap();
    assert_eq!(kept(&store), []);
}

/// Everything that is read by an index, of a history of `many` entries.
fn all_of(store: &mut PeerStore, room: &RoomId) -> (Vec<String>, usize, usize) {
    let me = PeerId([0; 32]);
    let last = store.last(room, &me, usize::MAX, None).unwrap();
    let found = store.search(room, &me, "text", usize::MAX).unwrap().unwrap().messages.len();
    let mut exported = 0;
    let count = |_: &KeptEntry, _: Option<&Name>, _: Option<Recalled>| {
        exported += 1;
        Ok::<(), ()>(())
    };
    store.export(room, &me, count).unwrap().unwrap();
    (last.messages.into_iter().map(|message| message.text).collect(), found, exported)
}

#[test]
fn nothing_that_is_not_indexed_yet_is_missing_for_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let (file, copy) = (dir.path().join("history.db"), dir.path().join("crashed.db"));
    let (people, genesis, base) = room_of(2);
    let mut store = PeerStore::open(&file).unwrap();
    store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
    let texts: Vec<String> = (0..100).map(|n| format!("text {n:03}")).collect();
    let of = |part: std::ops::Range<usize>| texts[part].iter().map(String::as_str).collect::<Vec<_>>();
    say(&mut store, &base, &people[0], 1, &of(0..70));
    store.index_all().unwrap();
    assert_eq!(store.unindexed(), 0);
    let late = say(&mut store, &base, &people[1], 71, &of(70..100));
    assert_eq!(store.unindexed(), 30);
    let ids: Vec<EntryId> = late.iter().map(|kept| kept.id).collect();
    assert_eq!(store.look_up(&base.room, &ids, &[]).unwrap().len(), 30);
    for end in ["", "-wal"] {
        let beside = |file: &Path| format!("{}{end}", file.display());
        std::fs::copy(beside(&file), beside(&copy)).unwrap();
    }

    let expected = (texts.clone(), 100, 100);
    let mut beside = PeerStore::open_to_read(&file).unwrap();
    assert_eq!(all_of(&mut beside, &base.room), expected, "a reader beside the chat");
    let part = beside.search(&base.room, &PeerId([0; 32]), "\"text 06\"* text", 5).unwrap().unwrap();
    assert_eq!((super::tests::texts(&part).len(), part.more), (5, 5));
    assert_eq!(store.unindexed(), 30, "which only looked");
    assert_eq!(all_of(&mut store, &base.room), expected, "the chat itself");
    assert_eq!(store.unindexed(), 0);
    let mut crashed = PeerStore::open(&copy).unwrap();
    assert_eq!(all_of(&mut crashed, &base.room), expected, "after a crash");
    assert_eq!(crashed.look_up(&base.room, &ids, &[]).unwrap().len(), 30);
}

#[test]
fn a_journal_that_was_lengthened_keeps_what_is_written_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (file, copy) = (dir.path().join("history.db"), dir.path().join("crashed.db"));
    let (people, genesis, base) = room_of(2);
    let crash = || {
        for end in ["", "-wal"] {
            let beside = |file: &Path| format!("{}{end}", file.display());
            std::fs::copy(beside(&file), beside(&copy)).unwrap();
        }
        let _ = std::fs::remove_file(format!("{}-shm", copy.display()));
        PeerStore::open(&copy).unwrap().fetch(&base.room, &people[0].id(), 1).unwrap()
    };
    let mut store = PeerStore::open(&file).unwrap();
    store.lengthen_journal(&file);
    let length = || std::fs::metadata(dir.path().join("history.db-wal")).unwrap().len();
    let lengthened = length();
    assert!(lengthened >= 4 * 1024 * 1024);
    assert_eq!(crash(), [], "nothing was said");
    store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
    let said = say(&mut store, &base, &people[0], 1, &["a", "b"]);
    assert_eq!((crash(), length()), (said, lengthened));
    store.lengthen_journal(&file);
    let more = say(&mut store, &base, &people[0], 3, &["c"]);
    assert_eq!((crash().last(), length()), (more.last(), lengthened));
    drop(store);
    assert!(!dir.path().join("history.db-wal").exists(), "whoever closes it well leaves none");
}

#[test]
fn no_number_of_a_log_is_kept_twice() {
    let (people, genesis, base) = room_of(2);
    let mut store = PeerStore::in_memory().unwrap();
    store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
    let said = say(&mut store, &base, &people[1], 1, &["a", "b", "c"]);
    for again in [&said[..], &said[1..2], &said[2..]] {
        let change = Change::Entries { room: base.room, entries: again.to_vec() };
        assert!(matches!(store.apply(&[change]), Err(StoreError::NumberTaken)));
    }
    assert_eq!((store.fetch(&base.room, &people[1].id(), 2).unwrap(), store.unindexed()), (said[1..].to_vec(), 3));
}

#[test]
fn a_run_of_which_nothing_stays_leaves_a_number_and_no_word() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.db");
    let (people, genesis, base) = room_of(2);
    let me = people[0].id();
    let entered = Change::Entered { genesis: genesis.as_signed().clone(), base: base.clone() };
    let mut lasting = PeerStore::open(&file).unwrap();
    lasting.apply([&entered]).unwrap();
    let first = say(&mut lasting, &base, &people[0], 1, &["this may stay"]);
    drop(lasting);

    let mut passing = PeerStore::open(&file).unwrap().passing(me).unwrap();
    let own_end = |store: &PeerStore| {
        let (_, _, log) = store.load().unwrap().logs.into_iter().find(|(_, author, _)| *author == me).unwrap();
        log.head().map(|head| (head.entry.seq, head.id, head.entry.audience))
    };
    assert_eq!(own_end(&passing), Some((1, first[0].id, base.hash())), "own numbers go on");
    passing.apply(&[entered]).unwrap();
    say(&mut passing, &base, &people[1], 1, &["xylophone of another"]);
    let second = say(&mut passing, &base, &people[0], 2, &["my xylophone"]);
    assert_eq!(found(&mut passing, &base.room, "xylophone").len(), 2, "while it runs, all is there");
    drop(passing);

    for mut store in [PeerStore::open(&file).unwrap().passing(me).unwrap(), PeerStore::open(&file).unwrap()] {
        assert_eq!(own_end(&store), Some((2, second[0].id, base.hash())));
        assert_eq!(found(&mut store, &base.room, "xylophone"), [""; 0]);
    }
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"xylophone"));
    }
}

#[test]
fn what_comes_late_of_our_own_log_does_not_set_its_end_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.db");
    let (people, genesis, base) = room_of(2);
    let me = people[0].id();
    let mut elsewhere = PeerStore::in_memory().unwrap();
    let said = say(&mut elsewhere, &base, &people[0], 1, &["a", "b", "c"]);
    let mut store = PeerStore::open(&file).unwrap().passing(me).unwrap();
    store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
    let [first, second, third] = &said[..] else { panic!("three") };
    for which in [vec![third.clone(), first.clone()], vec![second.clone()]] {
        store.apply(&[Change::Entries { room: base.room, entries: which }]).unwrap();
    }
    drop(store);
    let kept = PeerStore::open(&file).unwrap().passing(me).unwrap().load().unwrap();
    assert_eq!(kept.logs[0].2.head_seq(), 3);
}

#[test]
fn a_run_of_which_nothing_stays_asks_members_too_where_the_own_log_may_be_longer() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _, base) = room_of(2);
    let mut store = PeerStore::open(&dir.path().join("history.db")).unwrap();
    store.apply(&[Change::Outbox { room: base.room, texts: Vec::new() }]).unwrap();
    let mut passing = store.passing(person(1).id()).unwrap();
    assert_eq!(passing.load().unwrap().outbox, [(base.room, Vec::new())]);
    passing.apply(&[Change::OutboxEmpty { room: base.room }]).unwrap();
    drop(passing);
    let passing = PeerStore::open(&dir.path().join("history.db")).unwrap().passing(person(1).id()).unwrap();
    assert_eq!(passing.load().unwrap().outbox, [], "once they were heard, they were");
}

#[test]
fn both_of_two_under_one_number_are_shown_and_the_log_goes_on_from_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.db");
    let (people, genesis, base) = room_of(2);
    let mut elsewhere = PeerStore::in_memory().unwrap();
    let other = say(&mut elsewhere, &base, &people[1], 1, &["the other one"]).remove(0);
    let mut store = PeerStore::open(&file).unwrap();
    store.apply(&[Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
    let one = say(&mut store, &base, &people[1], 1, &["one"]).remove(0);
    store.apply(&[Change::Forked { room: base.room, entry: other.clone() }]).unwrap();
    drop(store);
    let mut store = PeerStore::open(&file).unwrap();
    let part = store.last(&base.room, &people[0].id(), 9, None).unwrap();
    let shown: Vec<_> = part.messages.iter().map(|message| (message.text.as_str(), message.forked)).collect();
    assert!(shown.contains(&("one", false)) && shown.contains(&("the other one", true)), "{shown:?}");
    assert_eq!(found(&mut store, &base.room, "one").len(), 2);
    assert_eq!(store.load().unwrap().logs[0].2.head(), Some(&one));
    assert_eq!(store.fetch(&base.room, &people[1].id(), 1).unwrap(), vec![one.clone()]);
    let looked_up = store.look_up(&base.room, &[other.id, one.id], &[]).unwrap();
    assert_eq!(looked_up.iter().map(|(id, known)| (*id, known.seq)).collect::<Vec<_>>(), [(one.id, 1)]);
}

#[test]
fn texts_that_wait_come_back_in_order_until_nothing_waits() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("peer.db");
    let [lobby, cellar] = [1, 2].map(|room| RoomId([room; 32]));
    let texts = |texts: &[&str]| texts.iter().map(|text| Body::text(*text).unwrap()).collect::<Vec<_>>();
    let waits = |room, said: &[&str]| Change::Outbox { room, texts: texts(said) };
    let mut store = PeerStore::open(&file).unwrap();
    store
        .apply(&[waits(lobby, &["one", "two"]), waits(cellar, &[]), waits(lobby, &[]), waits(lobby, &["three"])])
        .unwrap();
    drop(store);
    let mut store = PeerStore::open(&file).unwrap();
    assert_eq!(store.load().unwrap().outbox, [(lobby, texts(&["one", "two", "three"])), (cellar, Vec::new())]);
    store.apply(&[Change::Gone { room: lobby }]).unwrap();
    assert_eq!(store.load().unwrap().outbox.len(), 2, "it outlives the seat");
    store.apply(&[Change::OutboxEmpty { room: lobby }]).unwrap();
    assert_eq!(store.load().unwrap().outbox, [(cellar, Vec::new())]);
}

#[test]
fn a_rule_is_kept_until_it_is_to_ask_again() {
    use crate::core::event::Rule;
    let mut store = PeerStore::in_memory().unwrap();
    let (room, key) = (RoomId([1; 32]), PeerId([2; 32]));
    for (rule, kept) in [
        (Rule::Always, vec![(room, key, Rule::Always)]),
        (Rule::Never, vec![(room, key, Rule::Never)]),
        (Rule::Ask, vec![]),
    ] {
        store.apply(&[Change::Rule { room, key, rule }]).unwrap();
        assert_eq!(store.load().unwrap().rules, kept);
    }
}

fn noted(at_ms: u64) -> StepNote {
    StepNote { at_ms, ..StepNote::default() }
}

#[test]
fn a_power_cut_at_any_byte_of_the_journal_leaves_whole_batches_and_no_hole() {
    use crate::core::consent::chain::Chain;
    use crate::core::log::Log;
    const BATCHES: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let (file, journal) = (dir.path().join("peer.db"), dir.path().join("peer.db-wal"));
    let (people, genesis, base) = room_of(1);
    let room = base.room;
    let mut store = PeerStore::open(&file).unwrap();
    store.apply(&[Change::Entered { genesis: genesis.as_signed().clone(), base }]).unwrap();
    let chain = Chain::found(genesis);
    let mut log = Log::default();
    // Each batch is three entries and a counter, and where the journal ends when it is kept.
    let mut ends = Vec::new();
    for batch in 1..=BATCHES {
        let texts = (0..3).map(|n| crate::wire::Body::text(format!("{batch} {n}")).unwrap());
        let entries = log.write(texts, &chain, &people[0], 0, || [0; 16]);
        let changes = [Change::Entries { room, entries }, Change::HeadCounter { room, counter: batch }];
        store.apply(&changes).unwrap();
        ends.push(std::fs::metadata(&journal).unwrap().len());
    }
    let (database, written) = (std::fs::read(&file).unwrap(), std::fs::read(&journal).unwrap());
    let cut = dir.path().join("cut.db");
    for length in (0..=written.len()).rev().step_by(2003) {
        std::fs::write(&cut, &database).unwrap();
        std::fs::write(dir.path().join("cut.db-wal"), &written[..length]).unwrap();
        let _ = std::fs::remove_file(dir.path().join("cut.db-shm"));
        let whole = ends.iter().filter(|end| **end <= length as u64).count() as u64;
        let store = PeerStore::open(&cut).unwrap();
        let fetched = store.fetch(&room, &people[0].id(), 1).unwrap();
        let numbers: Vec<u64> = fetched.iter().map(|kept| kept.entry.seq).collect();
        assert_eq!(numbers, (1..=3 * whole).collect::<Vec<_>>(), "cut after {length} bytes");
        let counter = store.load().unwrap().rooms.first().map_or(0, |kept| kept.head_counter);
        assert_eq!(counter, whole, "cut after {length} bytes");
    }
}
