//! The real programs against each other, as separate processes over real QUIC on loopback.
//!
//! | module | what it shows |
//! |---|---|
//! | `harness` | starts servers and peers, waits for what they say, never for a fixed time |
//! | `chat` | knock, consent, talk, leave: the JSON face as other programs rely on it |
//! | `carry` | a member with nobody in front of it |
//! | `decisions` | removals, founding anew, rules: what members decide beyond letting somebody in |
//! | `refusals` | every no, with its words, its hint and its exit code |
//! | `doctor` | what the network examination says of real servers, and its exit codes |
//! | `outages` | servers and members that are killed, and come back |
//! | `rooms` | lists, deletions, sizes, names, rooms that nobody is in |
//! | `pipes` | files through a room, byte for byte |
//! | `history` | what was said, found again or gone for good |
//! | `said` | what can be said besides a text, and to one member alone |
//! | `liar`, `lies` | a server that lies, and gains nothing by it |
//! | `serverless` | rooms without any server: hosts, tickets, addresses, takeover |
//! | `misuse` | wrong arguments, damaged files, hostile bytes |
//! | `screen` | the full-screen face in a pty, its screen read by a terminal's parser |
//! | `measure` | the figures, on demand |

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod carry;
mod chat;
mod decisions;
mod doctor;
#[allow(dead_code, reason = "some of it serves the storm of kills only")]
mod harness;
mod history;
mod liar;
mod lies;
mod measure;
mod misuse;
mod outages;
mod pipes;
mod quota;
mod refusals;
mod rooms;
mod said;
mod screen;
mod serverless;
