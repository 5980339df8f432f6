//! The simulator's seeds: whatever the weather, and whoever lies, nobody is let in unasked, nothing said is lost, and once
//! the weather clears the room is whole.
//!
//! `P2PCHAT_SEEDS=FROM-TO` runs other seeds than the usual few; `cargo run --release --example sim` runs many.

mod engine;

use engine::run;

/// Seeds within which every planted bug is caught.
#[cfg(feature = "planted")]
const PLANTED_SEEDS: u64 = 100;

/// Each bug with the rules by which it may be caught: by its own damage, not by whatever goes wrong.
#[cfg(feature = "planted")]
#[test]
fn every_planted_bug_is_caught_within_a_hundred_seeds() {
    use p2pchat::planted::{Bug, plant};
    let caught = |bug: Bug| {
        plant(Some(bug));
        let caught = (1..=PLANTED_SEEDS).find_map(|seed| Some((seed, run::seed(seed).broken?.rule)));
        plant(None);
        println!("{bug:?}: {caught:?}");
        caught
    };
    let missed: Vec<Bug> = Bug::ALL.into_iter().filter(|bug| caught(*bug).is_none()).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
    let clean: Vec<u64> = (1..=PLANTED_SEEDS).filter(|seed| run::seed(*seed).broken.is_some()).collect();
    assert!(clean.is_empty(), "fail without a bug: {clean:?}");
}

#[test]
fn whatever_happens_the_room_keeps_its_promises_and_becomes_whole() {
    let seeds = std::env::var("P2PCHAT_SEEDS").ok();
    let range = seeds.as_deref().and_then(|range| range.split_once('-'));
    let (from, to) = range.map_or((1, 100), |(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
    let failed = (from..=to).find(|seed| run::seed(*seed).broken.is_some());
    assert!(failed.is_none(), "\n{}", run::report(failed.unwrap_or_default(), ""));
}
