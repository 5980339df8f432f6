//! The rendezvous program: sockets, files and time around the pure [`crate::core::rendezvous`].
//!
//! It decides nothing about rooms. What it does decide is how much one client may cost: handshakes, connections, bytes,
//! messages, seconds. It never logs a key or a password, and an address at TRACE at most.
//!
//! ```text
//! RendezvousListener ──ClientConnection──▶ session (one task each) ──Input──▶ hub (one thread) ──▶ Rendezvous
//!                                          writer ◀──────────────────Send──── hub ──Persist──▶ store
//! ```
//!
//! Where a change goes: a flag or a setting, [`config`] and `config/server.toml`; the certificate's files, [`certs`]; what
//! one client may do, `session.rs`; the order of keeping and sending, `hub.rs`; the command line, [`cli`].

pub mod certs;
pub mod cli;
pub mod config;
mod hub;
mod run;
mod session;
#[cfg(test)]
mod tests;

pub use run::{Server, StartError};
