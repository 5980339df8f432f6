//! What a frame of the full-screen face costs when a room has a hundred thousand lines: redrawn from nothing at 200x50, while
//! scrolling, and while messages come in. `cargo bench --bench frames`; fails when a frame takes longer than a screen has.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyModifiers};
use p2pchat::ui::tui::scenes::{Scene, long_history};

/// Lines of the room.
const LINES: u64 = 100_000;

/// What a frame may take: sixty of them a second.
const FRAME: Duration = Duration::from_millis(16);

/// Frames measured of each kind.
const FRAMES: usize = 300;

fn main() {
    let (before, begun) = (resident_kib(), Instant::now());
    let mut scene = long_history(200, 50, LINES);
    let taken = begun.elapsed();
    println!("{LINES} lines taken in {taken:.1?}, {:.1?} each", taken / u32::try_from(LINES).unwrap_or(1));
    println!("memory: {} MiB for them", (resident_kib() - before) / 1024);
    println!("{:32} {:>12} {:>12}", "at 200x50", "median", "worst");
    let mut worst = Duration::ZERO;
    worst = worst.max(measure("redraw at the end", &mut scene, |_, _| {}));
    worst = worst.max(measure("page up and redraw", &mut scene, |scene, _| press(scene, KeyCode::PageUp)));
    scene.press(KeyCode::Home, KeyModifiers::ALT);
    worst = worst.max(measure("page down from the top", &mut scene, |scene, _| press(scene, KeyCode::PageDown)));
    scene.press(KeyCode::End, KeyModifiers::ALT);
    worst = worst.max(measure("a message comes in", &mut scene, |scene, number| {
        scene.says("bob", "lobby", &format!("message {number}"));
    }));
    worst = worst.max(measure("a key is typed", &mut scene, |scene, _| press(scene, KeyCode::Char('x'))));
    worst = worst.max(measure("jump to a mention, none there", &mut scene, |scene, _| {
        scene.press(KeyCode::Char('p'), KeyModifiers::ALT);
    }));
    if worst > FRAME {
        eprintln!("a frame took {worst:.1?}, more than {FRAME:?}");
        std::process::exit(1);
    }
}

fn press(scene: &mut Scene, key: KeyCode) {
    scene.press(key, KeyModifiers::NONE);
}

/// Does it, draws, and measures both together; gives back the median, which is what is judged: the worst is shown too, but
/// says more about who else uses the machine.
fn measure(what: &str, scene: &mut Scene, mut step: impl FnMut(&mut Scene, usize)) -> Duration {
    let mut times: Vec<Duration> = (0..FRAMES)
        .map(|number| {
            let begun = Instant::now();
            step(scene, number);
            scene.draw();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{what:32} {:>12.1?} {:>12.1?}", times[FRAMES / 2], times[FRAMES - 1]);
    times[FRAMES / 2]
}

/// What the process has in memory, where the system tells.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
