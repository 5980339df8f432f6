//! The whole of the chat that a face may see: start it, send it [`Command`]s, read its [`Event`]s.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

pub use super::config::{Config, ConfigError, Creation, Places, read_password, remember_name, remembered_name};
pub use super::doctor;
pub use super::history::{Exported, History, HistoryError, Part};
pub use super::identity_file::{IdentityFileError, fingerprint};
pub use super::lan::{OnLan, find_on_lan};
pub use super::membership::{Audited, Evidence, Flaw, FlawKind, MembershipError, audit, held};
pub use super::quota::Quota;
pub use super::read_marks::ReadMarks;
pub use super::told::{Events, Teller};
pub use crate::core::event::*;
pub use crate::core::log::Place;
pub use crate::core::mentions::mentions;
pub use crate::identity::{Fingerprint, Name, NameError, PeerId, RoomName};
pub use crate::limits;
pub use crate::store::peer::Keep;
pub use crate::wire::{Content, EntryId, PrivateId, ProposalHash, RoomId, Settings, Ticket, TicketError};

/// What a chat is started with. Everything is decided by now: no file but those named here is read, nothing is asked.
#[derive(Debug, Clone)]
pub struct Options {
    /// The user's name.
    pub name: Name,
    /// The folder of the identity, the history and the remembered servers.
    pub data_dir: PathBuf,
    /// The rendezvous, as `HOST` or `HOST:PORT`.
    pub server: String,
    /// The server's password, where it wants one.
    pub password: Option<String>,
    /// Where to listen; port 0 for any.
    pub listen: SocketAddr,
    /// Whether to ask the own router to let others in.
    pub map_port: bool,
    /// Whether others may see the name in `list`.
    pub listed: bool,
    /// Whether to only look at the server, as nobody: for `list` and `delete`, beside a chat that may be running on the
    /// same data folder. No history is opened.
    pub visiting: bool,
    /// How many texts of earlier to show on coming into a room.
    pub scrollback: usize,
    /// How much of each room's history is kept.
    pub keep: Keep,
    /// How much disk it may take.
    pub quota: Quota,
    /// Whether nothing that is said or heard is to stay on disk.
    pub ephemeral: bool,
    /// Whether to be without a server: only members are knocked at.
    pub serverless: bool,
    /// The certificate that the server has to show, where a ticket says which.
    pub certificate: Option<Fingerprint>,
    /// Whether rooms are announced to the local network.
    pub announce: bool,
    /// Whether to ask about a server's unknown certificate ([`Event::PinWanted`]) or to trust it on first use.
    pub ask_before_pinning: bool,
}

/// A running chat.
#[derive(Debug)]
pub struct Chat {
    /// What the user asks for. When it is dropped, the chat quits as if asked to.
    pub commands: mpsc::Sender<Command>,
    /// What happens; [`Event::Ended`] is the last. A face that stops reading stops the chat, never the other members.
    pub events: Events,
    /// Told when [`Command::Quit`] stands in line: what stands before it is taken without waiting for others to read.
    pub leaving: Arc<Notify>,
}

impl Chat {
    /// A chat with these two ends.
    pub fn new(commands: mpsc::Sender<Command>, events: Events) -> Self {
        Chat { commands, events, leaving: Arc::default() }
    }
}

/// Why a chat could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The identity file can't be read, made, or is open to others.
    #[error("{0}")]
    Identity(#[from] super::identity_file::IdentityFileError),
    /// The history can't be opened.
    #[error("the history in {file} can't be opened: {why}")]
    Store {
        /// Which file.
        file: PathBuf,
        /// What the disk or the database said.
        why: String,
    },
    /// Another chat runs on this data folder: two would both write one log, which others must take for a forgery.
    #[error("another p2pchat is running on {data_dir}")]
    Busy {
        /// Which folder.
        data_dir: PathBuf,
    },
    /// The address is in use or not ours.
    #[error("can't listen on {listen}: {why}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
}
