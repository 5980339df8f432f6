//! What is done with a room, the same with the product and with the floor.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::meter::{Cost, Meter};

/// Bytes of a line.
pub const LINE_BYTES: usize = 256;

/// Time without any delivery after which what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// Time between two looks at whether a process is quiet.
const REST_LOOK: Duration = Duration::from_millis(250);

/// A room full of linked members in this process.
pub trait Mesh: Send + Sync + 'static {
    /// How many.
    fn size(&self) -> usize;
    /// Lets a member say a line; waits as long as the program makes its user wait.
    fn say(&self, member: usize, line: String) -> impl Future<Output = ()> + Send;
    /// Whether all that was said is confirmed to those who said it, where that is done at all.
    fn confirmed(&self) -> bool;
    /// Transactions that members have committed so far.
    fn commits(&self) -> u64 {
        0
    }
}

/// What arrived, at all members together.
#[derive(Debug)]
pub struct Ledger {
    zero: Instant,
    delivered: AtomicU64,
    timed: AtomicBool,
    latencies_us: Mutex<Vec<u64>>,
    padding: String,
}

impl Ledger {
    pub fn new() -> Self {
        Ledger {
            zero: Instant::now(),
            delivered: AtomicU64::new(0),
            timed: AtomicBool::new(false),
            latencies_us: Mutex::default(),
            padding: " as people write it".repeat(20),
        }
    }

    /// A line of [`LINE_BYTES`] that knows when it was said.
    fn line(&self) -> String {
        let padding = LINE_BYTES - 20;
        format!("{:020}{:.padding$}", self.now_us(), self.padding)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Another member's line reached a member's user.
    pub fn note(&self, line: &str) {
        if self.timed.load(Ordering::Relaxed) {
            let said = line.get(..20).and_then(|digits| digits.parse::<u64>().ok()).expect("lines begin with a time");
            let late = self.now_us().saturating_sub(said);
            self.latencies_us.lock().expect("nobody panics with the lock").push(late);
        }
        self.delivered.fetch_add(1, Ordering::Release);
    }
}

/// What a case gave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    pub cost: Cost,
    pub lines: u64,
    pub deliveries: u64,
    /// Negative: some came twice.
    pub missing: i64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub commits: u64,
}

/// Every member says `lines` lines, each as soon as its program took the one before.
pub async fn burst<M: Mesh>(mesh: &std::sync::Arc<M>, ledger: &std::sync::Arc<Ledger>, lines: usize) -> Outcome {
    let talk = async {
        let mut talking = tokio::task::JoinSet::new();
        for member in 0..mesh.size() {
            let (mesh, ledger) = (mesh.clone(), ledger.clone());
            talking.spawn(async move {
                for _ in 0..lines {
                    mesh.say(member, ledger.line()).await;
                }
            });
        }
        while talking.join_next().await.is_some() {}
    };
    run(&**mesh, ledger, (lines * mesh.size()) as u64, talk).await
}

/// `lines` lines one after the other, `every` apart, by the members in turn or by the first alone. Each is alone on its
/// way, and timed.
pub async fn paced<M: Mesh>(mesh: &M, ledger: &Ledger, lines: usize, every: Duration, in_turn: bool) -> Outcome {
    ledger.timed.store(true, Ordering::Relaxed);
    let talk = async {
        let mut tick = tokio::time::interval(every);
        for number in 0..lines {
            tick.tick().await;
            let member = if in_turn { number % mesh.size() } else { 0 };
            mesh.say(member, ledger.line()).await;
        }
    };
    let mut outcome = run(mesh, ledger, lines as u64, talk).await;
    ledger.timed.store(false, Ordering::Relaxed);
    let mut latencies = std::mem::take(&mut *ledger.latencies_us.lock().expect("nobody panics with the lock"));
    latencies.sort_unstable();
    let at = |share: f64| latencies.get(((latencies.len() as f64 * share) as usize).min(latencies.len().max(1) - 1));
    outcome.p50_us = at(0.5).copied().unwrap_or(0);
    outcome.p99_us = at(0.99).copied().unwrap_or(0);
    outcome
}

/// What is left to do once all is said, until this process is quiet: the product brings what it kept into its indexes.
pub async fn rest() -> Outcome {
    /// Less than this of a look's time is quiet: the room's own timers.
    const QUIET: f64 = 0.05;
    let whole = Meter::start();
    loop {
        let look = Meter::start();
        tokio::time::sleep(REST_LOOK).await;
        if look.stop(REST_LOOK).cpu < REST_LOOK.as_secs_f64() * QUIET {
            let took = whole.elapsed();
            return Outcome { cost: whole.stop(took), ..Outcome::default() };
        }
    }
}

async fn run(mesh: &impl Mesh, ledger: &Ledger, lines: u64, talk: impl Future<Output = ()>) -> Outcome {
    let expected = lines * (mesh.size() as u64 - 1);
    let (delivered_before, commits_before) = (ledger.delivered.load(Ordering::Acquire), mesh.commits());
    let arrived = || ledger.delivered.load(Ordering::Acquire) - delivered_before;
    let meter = Meter::start();
    let arrivals = async {
        let mut last = (0, Instant::now());
        loop {
            let now = arrived();
            if now >= expected || last.1.elapsed() > PATIENCE {
                return;
            }
            if now != last.0 {
                last = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::join!(talk, arrivals);
    let took = meter.elapsed();
    let begun = Instant::now();
    while !mesh.confirmed() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let deliveries = arrived();
    Outcome {
        cost: meter.stop(took),
        lines,
        deliveries,
        missing: expected as i64 - deliveries as i64,
        commits: mesh.commits() - commits_before,
        ..Outcome::default()
    }
}

/// Ids that were seen lately: a set that forgets.
#[derive(Debug, Default)]
pub struct Lately {
    set: std::collections::HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Lately {
    /// Remembers an id; `false` if it was known.
    pub fn insert(&mut self, id: [u8; 32]) -> bool {
        if !self.set.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > 16_384
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}
