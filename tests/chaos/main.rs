//! The real programs, killed at random while everybody talks: a power cut for one, for two at once, for the server.
//!
//! `P2PCHAT_KILLS=1000 cargo test --test chaos -- --nocapture` for more of it; `P2PCHAT_SEED` gives a seed again. Which process
//! is killed when follows from the seed, what the processes make of it does not: it is real time on real sockets.
//!
//! The words, exactly:
//! - a line is **said** when it was written to its author's standard input, and **sent** when the author has printed it whole as
//!   its own `message`. What was said and not sent when the author is killed may be lost.
//! - a line is **kept** by a member when it is in the member's database at the end, and **shown** when the member has
//!   printed it whole.
//!
//! What must hold in the end: whatever was sent is kept by everybody; everybody keeps the same, in the same order; nobody was
//! shown anything twice, in one run or over all; nobody hears of a broken rule, loses a seat, or is asked for one; what is said while
//! the server is down arrives before it is back, where there is a link; and it knows the room when it is back. What a member keeps and was never shown can only be what was between its
//! database and its standard output when it was killed: nothing of that author was shown after it by the run that kept it.
//!
//! | module | what it does |
//! |---|---|
//! | `first_start` | a kill while keys and databases are made |
//! | `member` | one member over all its runs: what it said and was shown |
//! | `storm` | a room, its server, and what happens to them |
//! | `verdict` | what must hold in the end |

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod first_start;
#[path = "../e2e/harness.rs"]
#[allow(dead_code, reason = "it serves the other end-to-end tests too")]
mod harness;
mod member;
mod storm;
mod verdict;

use std::time::Instant;

use storm::Storm;
use verdict::Figures;

/// Rooms side by side, so that many kills fit in little time and each room still has some to talk.
const ROOMS: u64 = 3;

/// Kills in all, unless `P2PCHAT_KILLS` says otherwise.
const KILLS: u64 = 300;

fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|why| panic!("{variable}: {why}")))
}

#[test]
fn nothing_sent_is_lost_or_shown_twice_whoever_is_killed() {
    let kills = asked("P2PCHAT_KILLS").unwrap_or(KILLS);
    let seed = asked("P2PCHAT_SEED").unwrap_or_else(rand::random);
    let began = Instant::now();
    let rooms: Vec<_> = (0..ROOMS)
        .map(|room| {
            let share = (kills + room) / ROOMS;
            std::thread::spawn(move || Storm::begin(seed.wrapping_add(room)).rage(share))
        })
        .collect();
    let ends: Vec<_> = rooms.into_iter().map(|room| room.join()).collect();
    let figures = ends.into_iter().map(|end| end.unwrap_or_else(|_| panic!("seed {seed}: see above")));
    let figures = figures.reduce(Figures::and).unwrap();
    println!("seed {seed}, {ROOMS} rooms, {} s\n{figures}", began.elapsed().as_secs());
    assert!(figures.sent > 10 * kills, "nobody had time to talk: {figures}");
}
