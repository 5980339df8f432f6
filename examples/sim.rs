//! Runs many seeds of the simulator (`tests/sim/engine`): the real core on virtual time.
//!
//!     cargo run --release --example sim -- --seeds 1-10000
//!     cargo run --release --example sim -- --replay 17 --with people=3,crash=0
//!     cargo run --release --example sim -- --serverless --seeds 1-10000
//!     cargo run --release --features planted --example sim -- --planted NoHeads --seeds 1-100

#![allow(clippy::unwrap_used, reason = "a wrong argument may end it")]

#[path = "../tests/sim/engine/mod.rs"]
mod engine;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use engine::run::{self, Done, Mode, Watch};

/// Broken seeds of one rule that are listed: enough to mend them all at once, and no screen full of a planted bug's.
const SEEDS_SHOWN_MAX: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let planted = after("--planted");
    std::panic::set_hook(Box::new(|_| {}));
    plant(planted.as_deref());
    let mode =
        if arguments.iter().any(|argument| argument == "--serverless") { Mode::Serverless } else { Mode::Server };
    if let Some(seed) = after("--replay") {
        return replay(
            seed.parse().unwrap(),
            mode,
            after("--with"),
            arguments.iter().any(|argument| argument == "--frames"),
        );
    }
    let seeds = after("--seeds").unwrap_or_else(|| "1-1000".into());
    let (from, to) = seeds.split_once('-').unwrap();
    let threads = after("--threads").map_or(2, |threads| threads.parse().unwrap());
    std::process::exit(many(from.parse().unwrap(), to.parse().unwrap(), mode, threads, planted.as_deref()));
}

#[cfg(feature = "planted")]
fn plant(name: Option<&str>) {
    let mut bugs = p2pchat::planted::Bug::ALL.into_iter().chain(p2pchat::planted::Bug::SERVERLESS);
    let bug = bugs.find(|bug| Some(format!("{bug:?}").as_str()) == name);
    assert_eq!(bug.is_some(), name.is_some(), "there is no such bug: {name:?}");
    p2pchat::planted::plant(bug);
}

#[cfg(not(feature = "planted"))]
fn plant(name: Option<&str>) {
    assert!(name.is_none(), "--planted needs `--features planted`");
}

fn replay(seed: u64, mode: Mode, with: Option<String>, frames: bool) {
    let mut plan = mode.plan(seed);
    for (name, value) in with.iter().flat_map(|with| with.split(',')).filter_map(|one| one.split_once('=')) {
        assert!(plan.set(name, value.parse().unwrap()), "a plan has no {name}");
    }
    println!("{:?}", plan.fields());
    let done = run::with(seed, plan, Watch { trace: true, digest: true, frames });
    done.trace.iter().for_each(|line| println!("{line}"));
    println!("{:?}, {} events, digest {:x?}", done.broken, done.events, done.digest);
}

/// What all runs came to: sums, seeds in which people brought halves together by hand, and the broken seeds of each rule.
type Sum = (Done, Vec<u64>, BTreeMap<&'static str, Vec<u64>>);

/// Runs seeds on several threads; each run is on one.
fn many(from: u64, to: u64, mode: Mode, threads: usize, planted: Option<&str>) -> i32 {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let all: Mutex<Sum> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                plant(planted);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > to {
                        return;
                    }
                    let done = run::in_mode(seed, mode);
                    let mut all = all.lock().unwrap();
                    all.0.ms += done.ms;
                    all.0.events += done.events;
                    all.0.frames += done.frames;
                    all.1.extend(done.people_decided.then_some(seed));
                    if let Some(broken) = done.broken {
                        all.2.entry(broken.rule).or_default().push(seed);
                    }
                }
            });
        }
    });
    let (sum, mut decided, mut broken) = all.into_inner().unwrap();
    let (took, hours) = (began.elapsed().as_secs_f64(), sum.ms as f64 / 3_600_000.0);
    println!(
        "{} seeds, {hours:.1} room-hours, {} events, {} frames in {took:.1} s: {:.1} room-hours per second and core",
        to - from + 1,
        sum.events,
        sum.frames,
        hours / took / threads as f64
    );
    if !decided.is_empty() {
        decided.sort_unstable();
        let some = &decided[..decided.len().min(SEEDS_SHOWN_MAX)];
        println!("people brought halves of the room together by hand in {} seeds: {some:?}", decided.len());
    }
    for (rule, seeds) in &mut broken {
        seeds.sort_unstable();
        println!("broken {} times: {rule}: {:?}", seeds.len(), &seeds[..seeds.len().min(SEEDS_SHOWN_MAX)]);
    }
    let first = broken.values().flatten().min().copied();
    let name = planted.map(|name| format!("--planted {name} ")).unwrap_or_default();
    if let Some(seed) = first {
        println!("{}", run::report(seed, mode, &name));
    }
    i32::from(first.is_some())
}
