//! A deterministic simulator: the real nodes and the real rendezvous, unchanged, on virtual time. One seed gives one run.
//!
//! Everything around the core is simulated: the network (`net`), the disks (`disk`), the drivers (`shell`, `server`), the
//! people (`people`), the weather (`weather`) and the liars (`liars`). What must hold is in `check`, what must come about
//! once the weather clears in `heal`. `run` ties one seed together, shrinks what fails, and prints how to see it again.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]
#![allow(clippy::wrong_self_convention, reason = "to and from are directions of messages here")]
#![allow(clippy::large_enum_variant, reason = "most that waits is messages, which are the large ones")]
#![allow(dead_code, reason = "the tests and the program use different parts")]

pub mod check;
pub mod disk;
pub mod door;
pub mod heal;
#[path = "../../shared/keyed.rs"]
mod keyed;
pub mod keys;
pub mod liars;
pub mod net;
pub mod people;
pub mod plan;
pub mod rng;
pub mod run;
pub mod server;
pub mod shell;
pub mod weather;
pub mod world;
