//! QUIC and TLS: the only room that knows quinn and rustls. It knows the wire, never the core.
//!
//! What comes out of here has proved its key (a [`PeerConnection`] names the [`crate::identity::PeerId`] that the TLS
//! handshake proved) or its address (a [`ClientConnection`]), and nothing more: who is a member, who may log in, and
//! whether a server's certificate is the remembered one, is decided above.
//!
//! | file | one idea |
//! |---|---|
//! | `tls.rs` | who is believed: certificates, pins, key exchange |
//! | `transport.rs` | how much and how long: windows, timers, close codes |
//! | `reset.rs` | how a restart is noticed by those who still talk to the process before |
//! | `link.rs` | one connection, once it is up |
//! | `framed.rs` | messages on a stream, each way |
//! | `candidates.rs` | which addresses to offer, which to dial |
//! | `gate.rs` | how many handshakes are answered |
//! | `mapping.rs` | the own router, asked to let others in |
//! | `punch.rs` | small packets that open the own router |
//! | `socket.rs` | packets from an address that is gone are not sent |
//! | `endpoint.rs` | a peer's socket: accept, dial, dial the server |
//! | `listener.rs` | a server's socket: accept |
//! | `lan.rs` | rooms that are announced to the local network |
//! | `serving.rs` | what a client may say, and how fast, at a server or a member |

mod candidates;
mod endpoint;
mod framed;
mod gate;
pub mod lan;
mod link;
mod listener;
mod mapping;
mod punch;
mod reset;
mod serving;
#[cfg(test)]
pub(crate) mod shim;
#[cfg(test)]
mod shim_tests;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod twice;

pub use candidates::canonical;
pub use endpoint::{DialError, PeerConnection, PeerEndpoint, ServerConnection, ServerDialError};
pub use framed::{Frame, FrameError, Reader, SendError, Writer};
pub use link::{Link, Traffic};
pub use listener::{ClientConnection, ListenerLimits, RendezvousListener};
pub use mapping::Mapping;
pub use serving::{Unserved, serve};
pub use tls::{ServerCertificate, ServerKey, ServerKeyError};
pub use transport::CloseCode;
