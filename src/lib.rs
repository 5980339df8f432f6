//! p2pchat: group chat that nobody enters without everyone's signed consent.
//!
//! Read from the bottom up, imports point down only (`tests/tidy.rs` checks it):
//!
//! | room | what it is | knows of |
//! |---|---|---|
//! | [`demo`] | the whole idea on one machine, scripted | everything below |
//! | [`ui`] | faces: lines, pipes, JSON | `peer::api` only |
//! | [`peer`] | the chat program without a face | everything below |
//! | [`server`] | the rendezvous program; never meets `peer` | everything below |
//! | [`net`] | QUIC and TLS; the only room that knows quinn and rustls | `wire`, `identity` |
//! | [`store`] | what is kept, in SQLite | `core`'s records, `wire`, `identity` |
//! | [`core`] | what follows: pure state machines | `wire`, `identity` |
//! | [`wire`] | what is said | `identity` |
//! | [`identity`] | who speaks | |
//! | [`limits`] | every bound, with its reason | |
//! | [`planted`] | faults that tests plant; none outside of them | |

pub mod core;
pub mod demo;
pub mod identity;
pub mod limits;
pub mod net;
pub mod peer;
pub mod planted;
pub mod server;
pub mod store;
pub mod ui;
pub mod wire;
