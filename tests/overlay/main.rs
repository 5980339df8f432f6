//! Large rooms: real nodes in rooms over sixty-four, on virtual time with fifty milliseconds from one to the next, and the
//! overlay alone for a thousand. `cargo test --test overlay -- --nocapture` prints the figures.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod crowd;
#[path = "../shared/keyed.rs"]
mod keyed;
mod large;
mod real;
mod thousand;
