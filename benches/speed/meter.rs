//! What a run costs: processor time and memory of this process, and how busy everybody else kept the machine meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// One run under way.
pub struct Meter {
    begun: Instant,
    own: Duration,
    machine: Duration,
    resident_kb: u64,
}

/// What a run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Seconds on the wall.
    pub seconds: f64,
    /// Processor seconds of this process.
    pub cpu: f64,
    /// Processors that others kept busy, on average.
    pub other_load: f64,
    /// The most memory that was resident, in kilobytes.
    pub peak_kb: u64,
    /// By how much that is more than before the run.
    pub grown_kb: u64,
}

impl Meter {
    /// Begins a run; the peak of memory is forgotten.
    pub fn start() -> Self {
        // Linux: 5 resets the peak and nothing else. Where it may not, the peak is that of the process so far.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Meter { begun: Instant::now(), own: own_cpu(), machine: machine_cpu(), resident_kb: status_kb("VmRSS:") }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends the run. `took` is when its work was done, which may be before its last acknowledgement.
    pub fn stop(self, took: Duration) -> Cost {
        let whole = self.begun.elapsed().as_secs_f64();
        let cpu = (own_cpu() - self.own).as_secs_f64();
        let machine = machine_cpu().saturating_sub(self.machine).as_secs_f64();
        let peak_kb = status_kb("VmHWM:");
        Cost {
            seconds: took.as_secs_f64(),
            cpu,
            other_load: ((machine - cpu) / whole).max(0.0),
            peak_kb,
            grown_kb: peak_kb.saturating_sub(self.resident_kb),
        }
    }
}

fn own_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    let (user, system) = (usage.user_time(), usage.system_time());
    let micros = (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec();
    Duration::from_micros(micros.unsigned_abs())
}

/// Busy time of all processors since boot, stolen time excluded: that is the host's.
fn machine_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq; the clock of this file has ticks of 10 ms.
    let busy: u64 = [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum();
    Duration::from_millis(busy * 10)
}

fn status_kb(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
