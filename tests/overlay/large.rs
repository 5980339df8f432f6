//! Rooms of a hundred and of two hundred and fifty-six: who has links with whom, how what is said spreads, and what is
//! repaired.

use crate::crowd::{Crowd, HOP_MS};

/// Most links that anybody has while all can be made.
const LINKS_MAX: usize = 8;

/// A number that seems random.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn settled(count: usize) -> Crowd {
    let mut crowd = Crowd::of(count);
    crowd.pass(60_000);
    let links = crowd.links();
    let most = links.iter().max().unwrap();
    println!("room of {count}: {} links at most, {} at least", most, links.iter().min().unwrap());
    assert!(*most <= LINKS_MAX, "{most} links");
    assert_eq!(crowd.unreached(), 0, "somebody is out of reach");
    crowd
}

/// So many say a line, one every so many milliseconds; the longest that a line took to all.
fn talk(crowd: &mut Crowd, count: usize, lines: usize, every_ms: u64, what: &str) -> u64 {
    let mut said = Vec::new();
    for line in 0..lines {
        let text = format!("{what} {line}");
        crowd.say(line * 7 % count, &text);
        said.push((text, crowd.now()));
        crowd.pass(every_ms);
    }
    crowd.pass(20_000);
    let took = said.iter().map(|(text, at)| crowd.shown_to_all_at(text).expect("everybody has it") - at);
    took.max().unwrap()
}

fn stable_links_carry_each_entry_once(crowd: &mut Crowd, count: usize, lines: usize) {
    crowd.forget_counts();
    let took = talk(crowd, count, lines, 400, "line");
    let (copies, hops, bytes) = crowd.counts();
    println!(
        "room of {count}, {lines} lines: {copies:.3} copies per member and entry, {hops} hops at most, {took} ms to all, \
         {:.0} bytes per member and entry, frontiers and all",
        bytes / lines as f64
    );
    assert!(copies <= 1.1, "{copies} copies");
    assert!(took <= 8 * HOP_MS, "{took} ms");
    assert!(bytes / lines as f64 <= 2_500.0, "{bytes} bytes");
    crowd.forget_counts();
    crowd.pass(60_000);
    let (.., idle) = crowd.counts();
    assert_eq!(idle, 0.0, "nothing is said while nothing changes");
}

#[test]
fn in_a_room_of_a_hundred_each_entry_reaches_everybody_once() {
    stable_links_carry_each_entry_once(&mut settled(100), 100, 60);
}

#[test]
#[ignore = "takes a minute or two: cargo test --release --test overlay -- --include-ignored"]
fn in_the_largest_room_each_entry_reaches_everybody_once() {
    stable_links_carry_each_entry_once(&mut settled(256), 256, 12);
}

#[cfg(feature = "thousand")]
#[test]
#[ignore = "takes minutes: cargo test --release --features thousand --test overlay -- --ignored --nocapture a_thousand_real"]
fn among_a_thousand_real_members_each_entry_takes_few_hops_and_a_tenth_of_the_links_may_die() {
    let mut crowd = settled(1_000);
    stable_links_carry_each_entry_once(&mut crowd, 1_000, 12);
    a_tenth_of_the_links_dies(&mut crowd, 1_000);
}

#[test]
fn when_a_tenth_of_the_links_dies_what_was_under_way_arrives_and_others_take_their_place() {
    a_tenth_of_the_links_dies(&mut settled(100), 100);
}

fn a_tenth_of_the_links_dies(crowd: &mut Crowd, count: usize) {
    for who in 0..10 {
        crowd.say(who * 9, &format!("under way {who}"));
    }
    crowd.pass(HOP_MS / 2);
    let (begun, mut state, mut dead) = (crowd.now(), 4711, 0);
    let pairs = crowd.pairs();
    for (one, other) in &pairs {
        if random(&mut state).is_multiple_of(10) {
            dead += usize::from(crowd.part(*one, *other));
        }
    }
    crowd.pass(30_000);
    let last = (0..10).map(|who| crowd.shown_to_all_at(&format!("under way {who}")).expect("all have it")).max();
    println!("{dead} of {} links die: what was under way is with all after {} ms", pairs.len(), last.unwrap() - begun);
    assert!(last.unwrap() - begun <= 5_000);
    crowd.pass(60_000);
    assert_eq!(crowd.unreached(), 0);
    let most = crowd.links().into_iter().max().unwrap();
    // Among more members there is one who stands in for more.
    assert!(most <= LINKS_MAX + 4 + count / 500, "{most} links");
    crowd.forget_counts();
    let took = talk(crowd, count, 30, 400, "after");
    let (copies, hops, _) = crowd.counts();
    println!("afterwards: {most} links at most, {copies:.3} copies, {hops} hops, {took} ms to all");
    assert!(copies <= 1.1, "{copies} copies");
}

#[test]
#[ignore = "takes a minute or two: cargo test --release --test overlay -- --include-ignored"]
fn a_room_in_which_a_third_of_all_links_cannot_exist_is_whole() {
    let mut crowd = Crowd::of(100);
    let mut state = 99;
    for one in 0..100 {
        for other in one + 1..100 {
            if random(&mut state).is_multiple_of(3) {
                crowd.part(one, other);
            }
        }
    }
    crowd.pass(90_000);
    assert_eq!(crowd.unreached(), 0);
    let most = crowd.links().into_iter().max().unwrap();
    crowd.forget_counts();
    let took = talk(&mut crowd, 100, 30, 400, "line");
    let (copies, hops, _) = crowd.counts();
    println!("a third can't exist: {most} links at most, {copies:.3} copies, {hops} hops, {took} ms to all");
    assert!(most <= 24 && copies <= 1.1, "{most} links, {copies} copies");
}
