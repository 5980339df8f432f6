//! Who is in: rosters, the proposals that change them, and the signatures without which nothing changes (DESIGN.md §4).
//!
//! Never believes a server, a creator or a majority: a roster is valid when every member of the one before who stays has
//! signed it, and [`roster::verify_step`] is the only way from one to the next.

pub mod audit;
pub mod ballots;
pub mod chain;
pub mod departures;
mod doubt;
pub mod meeting;
mod parting;
mod passed;
pub mod past;
pub mod roster;
pub mod seat;
#[cfg(test)]
pub(crate) mod testing;
