//! One seed from beginning to end; what fails is made small and told so that it can be seen again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::check::Violation;
use super::plan::{FAULTS, Plan};
use super::world::World;

/// What became of a run.
#[derive(Debug, Clone, Default)]
pub struct Done {
    pub broken: Option<Violation>,
    /// Milliseconds of the room's time.
    pub ms: u64,
    pub events: u64,
    pub frames: u64,
    /// Whether people had to bring halves of the room together by hand.
    pub people_decided: bool,
    pub digest: Option<u64>,
    pub trace: Vec<String>,
}

/// What to watch for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watch {
    /// What happens, in words.
    pub trace: bool,
    /// And every frame.
    pub frames: bool,
    /// A hash of everything that comes out of the nodes.
    pub digest: bool,
}

/// Whether there is a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Server,
    /// Members are knocked at.
    Serverless,
}

impl Mode {
    /// What a seed draws.
    pub fn plan(self, seed: u64) -> Plan {
        match self {
            Mode::Server => Plan::of(seed),
            Mode::Serverless => Plan::without_server(seed),
        }
    }

    /// As the program is told.
    pub fn flag(self) -> &'static str {
        match self {
            Mode::Server => "",
            Mode::Serverless => "--serverless ",
        }
    }
}

/// Runs a seed with its own plan, at a server.
pub fn seed(seed: u64) -> Done {
    in_mode(seed, Mode::Server)
}

/// Runs a seed with its own plan; one in a hundred is run twice, to the byte.
pub fn in_mode(seed: u64, mode: Mode) -> Done {
    let twice = seed % 100 == 37;
    let watch = Watch { digest: twice, ..Watch::default() };
    let done = with(seed, mode.plan(seed), watch);
    if twice && done.broken.is_none() {
        let again = with(seed, mode.plan(seed), watch);
        if again.digest != done.digest {
            let what = format!("{:?} and then {:?}", done.digest, again.digest);
            return Done { broken: Some(Violation { rule: "one seed is one run", what }), ..done };
        }
    }
    done
}

/// Runs a seed with this plan.
pub fn with(seed: u64, plan: Plan, watch: Watch) -> Done {
    let mut world = World::new(seed, plan);
    world.trace = watch.trace.then(Vec::new);
    world.trace_frames = watch.frames;
    world.digest = watch.digest.then_some(0xcbf2_9ce4_8422_2325);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        world.run_until(world.plan.storm_s * 1000);
        if world.checks.broken.is_none() {
            world.heal();
        }
    }));
    let panicked = ran.err().map(|why| {
        let text = why.downcast_ref::<String>().cloned().or(why.downcast_ref::<&str>().map(|why| (*why).to_owned()));
        Violation { rule: "no panic", what: text.unwrap_or_default() }
    });
    Done {
        broken: panicked.or(world.checks.broken),
        ms: world.now,
        events: world.events,
        frames: world.frames,
        people_decided: world.people_decided,
        digest: world.digest,
        trace: world.trace.unwrap_or_default(),
    }
}

/// Makes a failing plan small: fewer people, fewer kinds of faults, a shorter storm, and the same rule broken.
pub fn shrink(seed: u64, mode: Mode, rule: &str) -> (Plan, Vec<(&'static str, u64)>) {
    let first = mode.plan(seed);
    let mut plan = first.clone();
    let fails =
        |plan: &Plan| with(seed, plan.clone(), Watch::default()).broken.is_some_and(|broken| broken.rule == rule);
    let mut kinds: Vec<&str> = FAULTS.to_vec();
    kinds.extend(["server_lies", "member_lies", "dial_loss", "apart", "never_answers", "denies", "wavers"]);
    kinds.extend(["leaves", "removes", "withdraws", "sync_ms"]);
    let mut smaller = true;
    while smaller {
        smaller = false;
        let mut attempts: Vec<(&str, u64)> = kinds.iter().map(|kind| (*kind, 0)).collect();
        attempts.extend([
            ("people", plan.people - 1),
            ("storm_s", plan.storm_s / 2),
            ("storm_s", plan.storm_s * 3 / 4),
        ]);
        attempts.push(("delay_ms", 5));
        for (field, value) in attempts {
            let mut attempt = plan.clone();
            if !attempt.set(field, value) || attempt == plan || attempt.people < 2 || attempt.storm_s < 15 {
                continue;
            }
            if fails(&attempt) {
                (plan, smaller) = (attempt, true);
            }
        }
    }
    let changed: Vec<_> =
        first.fields().into_iter().zip(plan.fields()).filter(|(a, b)| a != b).map(|(_, b)| b).collect();
    (plan, changed)
}

/// The report of a failure: seed, commit and how to see it again on its first line, then what happened.
pub fn report(seed: u64, mode: Mode, planted: &str) -> String {
    let Some(broken) = with(seed, mode.plan(seed), Watch::default()).broken else {
        return format!("seed {seed} fails only when it is run twice");
    };
    let (plan, changed) = shrink(seed, mode, broken.rule);
    let done = with(seed, plan, Watch { trace: true, ..Watch::default() });
    let small = done.broken.unwrap_or_else(|| broken.clone());
    let with_these: Vec<String> = changed.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let with_these = if changed.is_empty() { String::new() } else { format!(" --with {}", with_these.join(",")) };
    let tail: Vec<&String> = done.trace.iter().rev().take(120).collect();
    let tail: Vec<&str> = tail.into_iter().rev().map(String::as_str).collect();
    format!(
        "seed {seed} at commit {}: cargo run --release --example sim -- {planted}{}--replay {seed}{with_these}\n\
         broken: {} ({})\n  whole: {}\n{}",
        commit(),
        mode.flag(),
        small.rule,
        small.what,
        broken.what,
        tail.join("\n")
    )
}

/// The commit that this tree is at.
fn commit() -> String {
    let git = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let text = git.ok().filter(|git| git.status.success()).map(|git| String::from_utf8_lossy(&git.stdout).into_owned());
    text.map_or_else(|| "unknown".into(), |text| text.trim().to_owned())
}
