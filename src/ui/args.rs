//! The command line, as it is typed.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::exit::EXIT_HELP;
use super::tickets::{Target, new_room};
use crate::peer::api::limits::*;
use crate::peer::api::{Name, RoomName};

const EXAMPLES: &str = "\
Examples:
  p2pchat demo                                see it at work on this machine
  p2pchat join lobby                          knock at the room, then chat
  p2pchat join lobby --server chat.example    the same at another server
  p2pchat create team --size 8                found a room for eight
  p2pchat host lobby                          the same without any server: prints a ticket
  p2pchat join TICKET                         knock with a ticket
  tail -f log | p2pchat join ops              say each line of a pipe";

/// Group chat nobody enters without everyone's signed consent.
#[derive(Debug, Parser)]
#[command(
    name = "p2pchat",
    version,
    before_help = EXAMPLES,
    after_help = EXIT_HELP,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = false
)]
pub struct Args {
    /// What is said with every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Action,
}

/// What is said with every command.
#[derive(Debug, Clone, ClapArgs)]
pub struct Global {
    /// Rendezvous server [default: from the config, else localhost:4433]
    #[arg(long, global = true, value_name = "HOST[:PORT]", env = "P2PCHAT_SERVER", value_parser = server_address)]
    pub server: Option<String>,
    /// What others see [default: from the config, else as at the first run]
    #[arg(long, global = true, value_name = "NAME")]
    pub name: Option<Name>,
    /// Folder of the identity and the history [default: $XDG_DATA_HOME/p2pchat]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Config file [default: $XDG_CONFIG_HOME/p2pchat/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// UDP address that other members connect to; port 0, the default, takes any
    #[arg(long, global = true, value_name = "ADDRESS:PORT", value_parser = listening_address)]
    pub listen: Option<SocketAddr>,
    /// Speak JSON, one object a line, in both directions
    #[arg(long, global = true, conflicts_with = "plain")]
    pub json: bool,
    /// Speak in plain lines, without drawing (the default where nothing can be drawn; also P2PCHAT_PLAIN=1)
    #[arg(long, global = true)]
    pub plain: bool,
    /// Never ask anything
    #[arg(long, global = true)]
    pub no_input: bool,
    /// File whose first line is the server's password
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Log file [default: $XDG_STATE_HOME/p2pchat/p2pchat.log]
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Knock at a room, and chat in it once everyone agrees
    Join(Join),
    /// Found a room, and wait in it for others to knock
    Create(Create),
    /// Found a room without any server: others knock through you, or through anybody in it
    Host(Host),
    /// Be in a room without anybody in front of the screen, to carry between members that can't connect
    Carry(Carry),
    /// Show the server's rooms, and the people who chose to be listed
    List,
    /// Delete a room that you created
    Delete {
        /// Which room
        room: RoomName,
    },
    /// Look for words in the history of a room, without a server
    Search(Search),
    /// Write the whole history of a room, without a server
    Export(Export),
    /// Check an export with --members with nothing but the file: every step signed by every member who stayed
    VerifyLog {
        /// Which file
        file: PathBuf,
    },
    /// Show your name, your key's fingerprint and where they are kept
    Whoami,
    /// Examine the network between this machine and the server, and say what it means for your chats
    Doctor,
    /// Show the whole idea on this machine, in under a minute
    Demo,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Speak JSON without being in a room yet
    #[command(hide = true)]
    Json(Stay),
}

/// Arguments of `join`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Join {
    /// Which room: its name at the server, a ticket, or the IP:PORT of somebody who hosts it; of tickets, several ways in
    #[arg(required = true, value_name = "ROOM|TICKET|IP:PORT")]
    pub room: Vec<Target>,
    /// Make the room if it doesn't exist
    #[arg(long, conflicts_with = "lan")]
    pub create: bool,
    /// Look for the room on the local network, where somebody announces it
    #[arg(long)]
    pub lan: bool,
    /// How the room is made.
    #[command(flatten)]
    pub how: How,
    /// What stays.
    #[command(flatten)]
    pub stay: Stay,
    /// How lines in a pipe are treated.
    #[command(flatten)]
    pub pipe: Pipe,
}

/// What stays when it is over.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Stay {
    /// Keep nothing of what is said on disk; your identity stays
    #[arg(long)]
    pub ephemeral: bool,
}

/// Arguments of `create`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Create {
    /// What the room is called
    #[arg(value_parser = new_room)]
    pub room: RoomName,
    /// How the room is made.
    #[command(flatten)]
    pub how: How,
    /// What stays.
    #[command(flatten)]
    pub stay: Stay,
    /// How lines in a pipe are treated.
    #[command(flatten)]
    pub pipe: Pipe,
}

/// Arguments of `host`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Host {
    /// What the room is called
    #[arg(value_parser = new_room)]
    pub room: RoomName,
    /// Announce the room's name and your key's fingerprint to the local network, for `join --lan`
    #[arg(long)]
    pub lan: bool,
    /// How the room is made.
    #[command(flatten)]
    pub how: How,
    /// What stays.
    #[command(flatten)]
    pub stay: Stay,
    /// How lines in a pipe are treated.
    #[command(flatten)]
    pub pipe: Pipe,
}

/// Arguments of `carry`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Carry {
    /// Which room; everybody in it has to agree, as with any newcomer
    pub room: RoomName,
    /// Say yes to whomever this member lets in; without one, silence refuses every newcomer
    #[arg(long, value_name = "NAME")]
    pub follow: Vec<Name>,
    /// What stays.
    #[command(flatten)]
    pub stay: Stay,
}

/// Arguments of `search`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Search {
    /// Which room; of several of that name, the one entered last
    pub room: RoomName,
    /// All have to be there; word* begins one, '"some words"' stand together
    #[arg(required = true)]
    pub words: Vec<String>,
    /// Show at most so many, the newest
    #[arg(long, value_name = "N", default_value_t = HISTORY_SHOWN_DEFAULT, value_parser = shown_at_once)]
    pub count: usize,
    /// The room's id, where there were several of that name
    #[arg(long, value_name = "ID")]
    pub room_id: Option<String>,
}

/// Arguments of `export`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Export {
    /// Which room; of several of that name, the one entered last
    pub room: RoomName,
    /// Write a row for each message, for people (the default; --json writes an object with its signature)
    #[arg(long)]
    pub text: bool,
    /// Write who came and went instead, and who signed it, as `verify-log` reads it
    #[arg(long, conflicts_with = "text")]
    pub members: bool,
    /// File to write, which must not exist [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The room's id, where there were several of that name
    #[arg(long, value_name = "ID")]
    pub room_id: Option<String>,
}

/// How a room is made.
#[derive(Debug, Clone, ClapArgs)]
pub struct How {
    /// Most members, 2 to 256 [default: 64]
    #[arg(long, value_name = "N", value_parser = within(ROOM_SIZE_MIN..=ROOM_SIZE_MAX))]
    pub size: Option<u16>,
    /// Time to answer a knock; silence is a no [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = within(CONSENT_TIMEOUT_S_MIN..=CONSENT_TIMEOUT_S_MAX))]
    pub consent_timeout: Option<u16>,
    /// Time that a member who can't be reached keeps their seat [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = within(u32::from(GRACE_S_MIN)..=GRACE_S_MAX))]
    pub grace: Option<u32>,
}

/// How lines in a pipe are treated.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Pipe {
    /// In a pipe: say every line, even if it reads like a command
    #[arg(long)]
    pub no_commands: bool,
    /// In a pipe: pass the others' control characters on
    #[arg(long)]
    pub raw: bool,
}

fn shown_at_once(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=HISTORY_SHOWN_MAX).contains(count));
    count.ok_or_else(|| format!("a number from 1 to {HISTORY_SHOWN_MAX}"))
}

/// A whole number within bounds, and what these are for whoever typed something else.
fn within<N>(bounds: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("a number from {} to {}", bounds.start(), bounds.end()))
    }
}

fn listening_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write ADDRESS:PORT with numbers, such as 192.168.1.5:4433, or [::]:0 for any".to_owned())
}

/// `HOST` or `HOST:PORT`, of characters that addresses and domain names have.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn server_address(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%');
    if text.is_empty() || text.len() > 255 || !text.chars().all(fits) {
        return Err("write HOST or HOST:PORT".to_owned());
    }
    let after_host = text.rsplit_once(']').map_or(text, |(_, rest)| rest);
    match after_host.split_once(':') {
        Some((_, port)) if !port.contains(':') && !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Err("the port is a number from 1 to 65535".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn servers_are_hosts_with_or_without_a_port() {
        for good in ["localhost", "chat.example:4433", "192.0.2.1", "[::1]:4433", "2001:db8::1", "[::1]"] {
            assert_eq!(server_address(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "host:", "host:0", "host:70000", "host:http", "\u{1b}[m"] {
            assert!(server_address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_short_form_needs_a_room_only() {
        let args = Args::try_parse_from(["p2pchat", "join", "lobby"]).unwrap();
        assert!(matches!(args.command, Action::Join(Join { create: false, .. })));
        assert!(Args::try_parse_from(["p2pchat", "host", "lobby", "--lan"]).is_ok());
        assert!(Args::try_parse_from(["p2pchat", "join", "lobby", "--lan", "--create"]).is_err());
        assert!(Args::try_parse_from(["p2pchat", "join"]).is_err());
        assert!(Args::try_parse_from(["p2pchat", "join", "lobby", "--size", "1"]).is_err());
        assert!(Args::try_parse_from(["p2pchat", "join", "a b"]).is_err());
    }
}
