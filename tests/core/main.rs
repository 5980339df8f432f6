//! The core as a whole: nodes and a rendezvous, real signatures, virtual time.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod attacks;
mod damage;
mod decisions;
mod doors;
mod forks;
mod halves;
mod holes;
mod liars;
mod losses;
mod outbox;
mod partial;
mod paths;
mod people;
mod privates;
mod rooms;
mod said;
mod serverless;
mod storms;
mod talk;
mod transcript;
mod world;
