//! How fast the product is, as ratios to a floor that is measured beside it (`floor.rs`): rooms of 2, 8 and 32 members in
//! one process each, lines of 256 bytes, over loopback.
//!
//! `cargo bench` runs all of it in a few minutes; `cargo bench -- 8` only rooms of 8. Product and floor are two processes
//! that live side by side and take turns, so that whatever else the machine does strikes both.

#![allow(clippy::unwrap_used, reason = "a bench that can't go on has nothing better to do than to stop")]

mod cases;
mod floor;
mod meter;
mod product;
mod seat;
mod table;

use std::time::Duration;

use crate::cases::Outcome;
use crate::seat::Seat;
use crate::table::{Row, Table};

/// Rounds of each case; the table has their medians.
const ROUNDS: usize = 3;

/// What is asked of rooms of one size: some 40,000 to 220,000 deliveries a burst, and lone lines that leave the machine idle
/// in between.
struct Plan {
    size: usize,
    burst: usize,
    overload: usize,
    lone_every: Duration,
    lone: usize,
    timed: usize,
}

const PLANS: [Plan; 3] = [
    Plan { size: 2, burst: 10_000, overload: 60_000, lone_every: Duration::from_millis(10), lone: 200, timed: 150 },
    Plan { size: 8, burst: 2_000, overload: 10_000, lone_every: Duration::from_millis(20), lone: 120, timed: 150 },
    Plan { size: 32, burst: 150, overload: 600, lone_every: Duration::from_millis(100), lone: 32, timed: 150 },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [role, system, size] = &arguments[..]
        && role == "seat"
    {
        return seat::serve(system, size.parse().unwrap());
    }
    let only: Vec<usize> = arguments.iter().map(|argument| argument.parse().expect("the size of a room")).collect();
    let mut table = Table::default();
    for plan in PLANS.iter().filter(|plan| only.is_empty() || only.contains(&plan.size)) {
        measure(plan, &mut table);
    }
    table.print();
}

fn measure(plan: &Plan, table: &mut Table) {
    let mut product = Seat::start("product", plan.size);
    let mut floor = Seat::start("floor", plan.size);
    let burst = format!("burst {}", plan.burst);
    let lone = format!("lone {} {}", plan.lone, plan.lone_every.as_millis());
    let timed = format!("timed {} 20", plan.timed);
    // Warm: the first lines grow buffers and find the paths' sizes.
    for seat in [&mut floor, &mut product] {
        seat.ask(&format!("burst {}", plan.burst / 5 + 1));
    }
    let overload = format!("burst {}", plan.overload);
    for (case, order, rounds) in
        [("burst", &burst, ROUNDS), ("lone", &lone, ROUNDS), ("latency", &timed, ROUNDS), ("overload", &overload, 1)]
    {
        let mut row = Row::new(case, plan.size);
        let mut later = Row::new("later", plan.size);
        for _ in 0..rounds {
            row.floor.push(floor.ask(order));
            let outcome = product.ask(order);
            row.product.push(outcome);
            // What is put off is a cost as well, and must not fall into the floor's turn.
            let mut rest = product.ask("rest");
            rest.cost.cpu += outcome.cost.cpu;
            later.product.push(Outcome { deliveries: outcome.deliveries, lines: outcome.lines, ..rest });
        }
        later.floor.clone_from(&row.floor);
        table.rows.push(row);
        if case == "burst" {
            table.rows.push(later);
        }
    }
}
