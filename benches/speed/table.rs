//! What is printed: the ratios that the goals are about, then the figures that they come from.

use crate::cases::Outcome;

/// One case in rooms of one size, all rounds of it.
pub struct Row {
    pub case: &'static str,
    pub size: usize,
    pub product: Vec<Outcome>,
    pub floor: Vec<Outcome>,
}

impl Row {
    pub fn new(case: &'static str, size: usize) -> Self {
        Row { case, size, product: Vec::new(), floor: Vec::new() }
    }

    fn ratio(&self, figure: impl Fn(&Outcome) -> f64 + Copy) -> f64 {
        median(&self.product, figure) / median(&self.floor, figure)
    }
}

#[derive(Default)]
pub struct Table {
    pub rows: Vec<Row>,
}

fn cpu_us(outcome: &Outcome) -> f64 {
    outcome.cost.cpu * 1e6 / outcome.deliveries.max(1) as f64
}

fn p50_ms(outcome: &Outcome) -> f64 {
    outcome.p50_us as f64 / 1e3
}

fn p99_ms(outcome: &Outcome) -> f64 {
    outcome.p99_us as f64 / 1e3
}

fn rate_k(outcome: &Outcome) -> f64 {
    outcome.deliveries as f64 / outcome.cost.seconds / 1e3
}

/// The middle of the rounds, or the lower of two middles: noise only adds.
fn median(outcomes: &[Outcome], figure: impl Fn(&Outcome) -> f64) -> f64 {
    let mut figures: Vec<f64> = outcomes.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

impl Table {
    pub fn print(&self) {
        println!("\nRatios, product to floor            ratio   goal");
        for row in &self.rows {
            match row.case {
                "burst" => {
                    goal(row, "CPU per delivery", row.ratio(cpu_us), 1.5);
                    plain(row, "deliveries per second", row.ratio(rate_k));
                }
                "later" => plain(row, "CPU, with the indexes", row.ratio(cpu_us)),
                "lone" => goal(row, "CPU per delivery", row.ratio(cpu_us), 1.3),
                "latency" => {
                    goal(row, "latency, median", row.ratio(p50_ms), 1.5);
                    goal(row, "latency, 99 of 100", row.ratio(p99_ms), 2.0);
                    let added = median(&row.product, p50_ms) - median(&row.floor, p50_ms);
                    goal(row, "ms added at the median", added, 5.0);
                }
                _ => {
                    let lost: i64 = row.product.iter().map(|outcome| outcome.missing).sum();
                    goal(row, "lines lost", lost as f64, 0.0);
                    let peak = |outcome: &Outcome| outcome.cost.peak_kb as f64;
                    if let Some(calm) = self.rows.iter().find(|other| other.case == "burst" && other.size == row.size) {
                        let grown = median(&row.product, peak) / median(&calm.product, peak);
                        goal(row, "memory, to a burst's", grown, 1.5);
                    }
                }
            }
        }
        println!(
            "\n{:>2} {:<9}{:<8}{:>9}{:>10}{:>8}{:>8}{:>8}{:>8}{:>8}{:>11}{:>10}",
            "N",
            "case",
            "",
            "k del/s",
            "us CPU",
            "p50 ms",
            "p99 ms",
            "peak MB",
            "+ MB",
            "missing",
            "commits/ln",
            "other_load"
        );
        for row in &self.rows {
            for (system, outcomes) in [("floor", &row.floor), ("product", &row.product)] {
                absolute(row, system, outcomes);
            }
        }
        println!(
            "\nMedians of the rounds; CPU is microseconds of the whole process per delivery. A commit is one flush of the write-ahead log\n\
             at one member; other_load is how many processors other programs kept busy meanwhile, out of {}.",
            std::thread::available_parallelism().map_or(0, usize::from)
        );
    }
}

fn goal(row: &Row, what: &str, figure: f64, goal: f64) {
    let verdict = if figure <= goal { "holds" } else { "MISSED" };
    println!("{:>2} {:<9}{what:<22}{figure:>8.2}   <= {goal:<4} {verdict}", row.size, row.case);
}

fn plain(row: &Row, what: &str, figure: f64) {
    println!("{:>2} {:<9}{what:<22}{figure:>8.2}", row.size, row.case);
}

fn absolute(row: &Row, system: &str, outcomes: &[Outcome]) {
    let figure = |figure: fn(&Outcome) -> f64| median(outcomes, figure);
    println!(
        "{:>2} {:<9}{system:<8}{:>9.1}{:>10.1}{:>8.2}{:>8.2}{:>8.0}{:>8.0}{:>8}{:>11.2}{:>10.2}",
        row.size,
        row.case,
        figure(rate_k),
        figure(cpu_us),
        figure(p50_ms),
        figure(p99_ms),
        figure(|outcome| outcome.cost.peak_kb as f64 / 1024.0),
        figure(|outcome| outcome.cost.grown_kb as f64 / 1024.0),
        outcomes.iter().map(|outcome| outcome.missing).sum::<i64>(),
        figure(|outcome| outcome.commits as f64 / outcome.lines.max(1) as f64),
        figure(|outcome| outcome.cost.other_load),
    );
}
