//! How one member is reached, in full: for whoever asks why a chat is slow, or who sees it.

use std::net::SocketAddr;

use super::event::Path;
use crate::identity::{Name, PeerId};

/// A row of the answer to [`super::event::Command::Paths`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Who.
    pub name: Name,
    /// Their key.
    pub key: PeerId,
    /// How they are reached now.
    pub path: Path,
    /// The direct link, if there is one.
    pub direct: Option<DirectLink>,
    /// Their addresses that are tried, as far as they have told or were seen at any.
    pub addresses: Vec<SocketAddr>,
    /// Whether the server sees them; `None` without a server.
    pub online: Option<bool>,
}

/// A direct link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectLink {
    /// Where they are.
    pub remote: SocketAddr,
    /// Whether it was us who dialled.
    pub dialled: bool,
    /// For how long it has been in use, in seconds.
    pub since_s: u64,
}
