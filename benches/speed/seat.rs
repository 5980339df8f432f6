//! A room in a process of its own, which runs the cases that it is asked for: its processor time and memory are nobody
//! else's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::span;

use crate::cases::{Ledger, Mesh, Outcome, burst, paced, rest};
use crate::floor::Floor;
use crate::meter::Cost;
use crate::product::Product;

/// The other end of such a process.
pub struct Seat {
    child: Child,
    /// Closed to end it.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    label: String,
}

impl Seat {
    pub fn start(system: &str, size: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["seat", system, &size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut seat = Seat { child, orders, answers, label: format!("{system} of {size}") };
        let mut ready = String::new();
        seat.answers.read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n", "{} did not come up", seat.label);
        seat
    }

    /// Has a case run.
    pub fn ask(&mut self, order: &str) -> Outcome {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        eprintln!("{}, {order}: {}", self.label, answer.trim_end());
        parse(&answer)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

fn parse(answer: &str) -> Outcome {
    let fields: Vec<f64> = answer.split_whitespace().map(|field| field.parse().unwrap()).collect();
    let [seconds, cpu, other_load, peak_kb, grown_kb, lines, deliveries, missing, p50, p99, commits] = fields[..]
    else {
        panic!("{answer:?} is no outcome");
    };
    Outcome {
        cost: Cost { seconds, cpu, other_load, peak_kb: peak_kb as u64, grown_kb: grown_kb as u64 },
        lines: lines as u64,
        deliveries: deliveries as u64,
        missing: missing as i64,
        p50_us: p50 as u64,
        p99_us: p99 as u64,
        commits: commits as u64,
    }
}

/// The process itself: fills the room and answers until nobody asks any more.
pub fn serve(system: &str, size: usize) {
    let commits = Arc::new(AtomicU64::new(0));
    tracing::subscriber::set_global_default(Commits(commits.clone())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ledger = Arc::new(Ledger::new());
    runtime.block_on(async {
        match system {
            "floor" => answer(Arc::new(Floor::new(size, ledger.clone()).await), ledger).await,
            _ => answer(Arc::new(Product::new(size, ledger.clone(), commits).await), ledger).await,
        }
    });
    // The folders are gone by now; that everybody says goodbye is not waited for.
    runtime.shutdown_background();
}

async fn answer<M: Mesh>(mesh: Arc<M>, ledger: Arc<Ledger>) {
    println!("ready");
    let (orders_in, mut orders) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = orders_in.blocking_send(line);
        }
    });
    while let Some(order) = orders.recv().await {
        let words: Vec<&str> = order.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let every = |at: usize| Duration::from_millis(number(at) as u64);
        let Outcome { cost, lines, deliveries, missing, p50_us, p99_us, commits } = match words[0] {
            "burst" => burst(&mesh, &ledger, number(1)).await,
            "rest" => rest().await,
            "lone" => paced(&*mesh, &ledger, number(1), every(2), true).await,
            _ => paced(&*mesh, &ledger, number(1), every(2), false).await,
        };
        let Cost { seconds, cpu, other_load, peak_kb, grown_kb } = cost;
        println!(
            "{seconds:.4} {cpu:.4} {other_load:.2} {peak_kb} {grown_kb} {lines} {deliveries} {missing} {p50_us} {p99_us} {commits}"
        );
    }
}

/// Counts what the stores say that they have committed, and hears nothing else.
struct Commits(Arc<AtomicU64>);

impl tracing::Subscriber for Commits {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "p2pchat::store::peer" && *metadata.level() == tracing::Level::TRACE
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
