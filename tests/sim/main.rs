//! The simulator's seeds: whatever the weather, and whoever lies, nobody is let in unasked, nothing said is lost, and once
//! the weather clears the room is whole.
//!
//! `P2PCHAT_SEEDS=FROM-TO` runs other seeds than the usual few; `cargo run --release --example sim` runs many.

mod engine;

use engine::run;

#[test]
fn whatever_happens_the_room_keeps_its_promises_and_becomes_whole() {
    let seeds = std::env::var("P2PCHAT_SEEDS").ok();
    let range = seeds.as_deref().and_then(|range| range.split_once('-'));
    let (from, to) = range.map_or((1, 100), |(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
    let failed = (from..=to).find(|seed| run::seed(*seed).broken.is_some());
    assert!(failed.is_none(), "\n{}", run::report(failed.unwrap_or_default(), ""));
}
