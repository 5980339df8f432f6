//! The real programs behind real NATs: Linux routers in network namespaces that the test makes and removes itself.
//!
//! Needs root, `ip` and `nft`; says SKIPPED, loudly, where it has not got them. `cargo test --test nat -- --nocapture
//! --test-threads 1` prints the tables. What a network does over time (delay, loss) is in `src/net/shim.rs` instead.
//!
//! | module | what it shows |
//! |---|---|
//! | `lab` | hosts, routers, cables |
//! | `rooms` | servers and members on them |
//! | `changes` | chats that go on when a network changes |
//! | `doctor` | what `p2pchat doctor` says of each kind of router |
//! | `mapping` | a router that can be asked to let others in |
//! | `matrix` | who reaches whom directly, who through a third member, how soon |
//! | `server` | what of all that passes the server: nothing |
//! | `serverless` | rooms without a server: through a mapping, and through one public member |

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod changes;
mod doctor;
#[path = "../e2e/harness.rs"]
#[allow(dead_code, reason = "it serves the other end-to-end tests too")]
mod harness;
mod lab;
mod mapping;
mod matrix;
mod rooms;
mod server;
mod serverless;
