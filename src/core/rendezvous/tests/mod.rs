//! The rendezvous against honest clients and liars, each test asserting the exact outputs.

mod addresses;
mod liars;
mod lines;
mod login;
mod moves;
mod rig;
