//! What is kept: a peer's rooms and history, and a rendezvous' names and rooms, both in SQLite.
//!
//! Never decides anything. Whatever comes back out is checked by whoever asked for it, as if a stranger had sent it.

pub mod peer;
pub mod rendezvous;
mod sqlite;

pub use sqlite::StoreError;
