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
use std::time::{Duration, Instant};

use clap::Parser;
use engine::run::{self, Done, Mode, Watch};

/// Broken seeds of one rule that are listed: enough to mend them all at once, and no screen full of a planted bug's.
const SEEDS_SHOWN_MAX: usize = 100;

/// How often a run says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Runs many seeds of the simulator: the real core on virtual time. Ends with 1 if a seed breaks a rule.
#[derive(Parser)]
struct Options {
    /// The seeds to run, from the first to the last.
    #[arg(long, value_name = "FROM-TO", default_value = "1-1000", value_parser = range)]
    seeds: (u64, u64),
    /// One seed, with all that is said and done in it.
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    replay: Option<u64>,
    /// What the replayed plan has otherwise, as a report prints it: `people=3,crash=0`.
    #[arg(long, value_name = "NAME=VALUE,...", requires = "replay", value_delimiter = ',', value_parser = field)]
    with: Vec<(String, u64)>,
    /// Every frame of the replayed seed, too.
    #[arg(long, requires = "replay")]
    frames: bool,
    /// Rooms without a server.
    #[arg(long)]
    serverless: bool,
    /// Seeds that are run at once; each is run by one thread.
    #[arg(long, default_value_t = threads(), value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// A bug that the core is to have; needs `--features planted`.
    #[arg(long, value_name = "BUG")]
    planted: Option<String>,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let range = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    range.filter(|(from, to)| from <= to && *to < u64::MAX).ok_or("two numbers are needed, like 1-1000".into())
}

fn field(text: &str) -> Result<(String, u64), String> {
    let field = text.split_once('=').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    field.ok_or("a name and a number are needed, like people=3".into())
}

fn threads() -> u16 {
    std::thread::available_parallelism().map_or(1, |threads| threads.get().min(256) as u16)
}

fn main() {
    let options = Options::parse();
    plant(options.planted.as_deref()).unwrap_or_else(|error| refuse(&error));
    let mode = if options.serverless { Mode::Serverless } else { Mode::Server };
    if let Some(seed) = options.replay {
        return replay(seed, mode, &options.with, options.frames);
    }
    // What panics is reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    std::process::exit(many(options.seeds, mode, options.threads, options.planted.as_deref()));
}

fn refuse(error: &str) -> ! {
    eprintln!("error: {error}");
    std::process::exit(2);
}

#[cfg(feature = "planted")]
fn plant(name: Option<&str>) -> Result<(), String> {
    let all = || p2pchat::planted::Bug::ALL.into_iter().chain(p2pchat::planted::Bug::SERVERLESS);
    let bug = all().find(|bug| Some(format!("{bug:?}").as_str()) == name);
    if let (None, Some(name)) = (bug, name) {
        let names: Vec<String> = all().map(|bug| format!("{bug:?}")).collect();
        return Err(format!("there is no bug {name}\n  hint: these are known: {}", names.join(" ")));
    }
    p2pchat::planted::plant(bug);
    Ok(())
}

#[cfg(not(feature = "planted"))]
fn plant(name: Option<&str>) -> Result<(), String> {
    let hint = "bugs are built in with `cargo run --release --features planted --example sim`";
    name.map_or(Ok(()), |name| Err(format!("there is no bug {name} in this build\n  hint: {hint}")))
}

fn replay(seed: u64, mode: Mode, with: &[(String, u64)], frames: bool) {
    let mut plan = mode.plan(seed);
    for (name, value) in with {
        if !plan.set(name, *value) {
            let names: Vec<&str> = plan.fields().iter().map(|(name, _)| *name).collect();
            refuse(&format!("a plan has no {name}\n  hint: it has {}", names.join(" ")));
        }
    }
    println!("{:?}", plan.fields());
    let done = run::with(seed, plan, Watch { trace: true, digest: true, frames });
    done.trace.iter().for_each(|line| println!("{line}"));
    println!("{:?}, {} events, digest {:x?}", done.broken, done.events, done.digest);
}

/// What all runs came to: sums, seeds in which people brought halves together by hand, and the broken seeds of each rule.
type Sum = (Done, Vec<u64>, BTreeMap<&'static str, Vec<u64>>);

/// Runs seeds on several threads; each run is on one. What to exit with.
fn many((from, to): (u64, u64), mode: Mode, threads: u16, planted: Option<&str>) -> i32 {
    let began = Instant::now();
    let (next, told) = (AtomicU64::new(from), Mutex::new(began));
    let all: Mutex<Sum> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // Each thread has bugs of its own.
                plant(planted).unwrap_or_else(|error| refuse(&error));
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > to {
                        return;
                    }
                    let done = run::in_mode(seed, mode);
                    note(&mut all.lock().unwrap(), seed, &done);
                    tell_progress(&told, (seed - from, to - from), &all);
                }
            });
        }
    });
    let (sum, mut decided, mut broken) = all.into_inner().unwrap();
    let (took, hours) = (began.elapsed().as_secs_f64(), sum.ms as f64 / 3_600_000.0);
    let first = broken.values().flatten().min().copied();
    let name = planted.map(|name| format!("--planted {name} ")).unwrap_or_default();
    if let Some(seed) = first {
        println!("{}", run::report(seed, mode, &name));
    }
    for (rule, seeds) in &mut broken {
        seeds.sort_unstable();
        println!("broken {} times: {rule}: {:?}", seeds.len(), &seeds[..seeds.len().min(SEEDS_SHOWN_MAX)]);
    }
    if !decided.is_empty() {
        decided.sort_unstable();
        let some = &decided[..decided.len().min(SEEDS_SHOWN_MAX)];
        println!("people brought halves of the room together by hand in {} seeds: {some:?}", decided.len());
    }
    println!(
        "{} seeds, {} broken, {hours:.1} room-hours, {} events, {} frames in {took:.1} s: {:.1} room-hours per second and core",
        to - from + 1,
        broken.values().map(Vec::len).sum::<usize>(),
        sum.events,
        sum.frames,
        hours / took / f64::from(threads)
    );
    i32::from(first.is_some())
}

fn note((sum, decided, broken): &mut Sum, seed: u64, done: &Done) {
    sum.ms += done.ms;
    sum.events += done.events;
    sum.frames += done.frames;
    decided.extend(done.people_decided.then_some(seed));
    if let Some(violation) = &done.broken {
        broken.entry(violation.rule).or_default().push(seed);
    }
}

/// Says on standard error how far a long run is.
fn tell_progress(told: &Mutex<Instant>, (done, of): (u64, u64), all: &Mutex<Sum>) {
    let mut told = told.lock().unwrap();
    if told.elapsed() >= PROGRESS_EVERY {
        *told = Instant::now();
        let broken: usize = all.lock().unwrap().2.values().map(Vec::len).sum();
        eprintln!("{done} of {} seeds, {broken} broken", of + 1);
    }
}
