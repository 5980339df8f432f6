//! What the user has settled beforehand: the config file, where things are kept, and the name of an earlier run.
//!
//! Never guesses: a file that can't be read or says something unknown is an error that names the file. What nobody has
//! settled has the default that `config/peer.toml` explains.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use serde::Deserialize;

use crate::identity::Name;
use crate::limits::{
    CONSENT_TIMEOUT_S_DEFAULT, GRACE_S_DEFAULT, HISTORY_SHOWN_DEFAULT, PASSWORD_BYTES_MAX, QUOTA_AUTHOR_MB_DEFAULT,
    QUOTA_ROOM_MB_DEFAULT, ROOM_SIZE_DEFAULT,
};
use crate::wire::Settings;

/// Longest config file that is read, in bytes: the commented guide fits ten times over.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// Under which name the data folder keeps what the user is called.
const NAME_FILE: &str = "name";

/// The config file, with a default for everything it doesn't say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The rendezvous, as `HOST` or `HOST:PORT`.
    pub server: String,
    /// What others see.
    pub name: Option<Name>,
    /// Where other members connect to; port 0 for any.
    pub listen: SocketAddr,
    /// Whether the own router is asked to let other members in.
    pub map_port: bool,
    /// Whether the name is shown to those who list the server's rooms.
    pub listed: bool,
    /// The file whose first line is the server's password.
    pub password_file: Option<PathBuf>,
    /// Where the identity and the history are kept.
    pub data_dir: Option<PathBuf>,
    /// Where the log goes.
    pub log_file: Option<PathBuf>,
    /// What is logged, as a filter of tracing.
    pub log: String,
    /// How many texts of earlier are shown on coming into a room.
    pub scrollback: usize,
    /// Days for which a room's history is kept; for ever if nothing is said.
    pub keep_days: Option<u32>,
    /// Megabytes of a room's history that are kept; all if nothing is said.
    pub keep_mb: Option<u32>,
    /// Megabytes of disk that one room may take.
    pub quota_mb: u32,
    /// Megabytes of disk that one author may take in a room.
    pub quota_author_mb: u32,
    /// Whether knocks and mentions ring, in the full-screen face.
    pub bell: bool,
    /// Whether they are told to the desktop, through the terminal.
    pub notify: bool,
    /// What rooms are created like.
    pub create: Creation,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            server: "localhost:4433".to_owned(),
            name: None,
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            map_port: true,
            listed: false,
            password_file: None,
            data_dir: None,
            log_file: None,
            log: "info".to_owned(),
            scrollback: HISTORY_SHOWN_DEFAULT,
            keep_days: None,
            keep_mb: None,
            quota_mb: QUOTA_ROOM_MB_DEFAULT,
            quota_author_mb: QUOTA_AUTHOR_MB_DEFAULT,
            bell: true,
            notify: false,
            create: Creation::default(),
        }
    }
}

/// What a room is created like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Creation {
    /// Most members.
    pub size: u16,
    /// Seconds to answer a knock.
    pub consent_timeout: u16,
    /// Seconds an unreachable member keeps their seat.
    pub grace: u32,
}

impl Default for Creation {
    fn default() -> Self {
        Creation {
            size: ROOM_SIZE_DEFAULT,
            consent_timeout: CONSENT_TIMEOUT_S_DEFAULT,
            grace: u32::from(GRACE_S_DEFAULT),
        }
    }
}

impl Creation {
    /// The part that the room's genesis carries as settings.
    pub fn settings(&self) -> Settings {
        Settings { consent_timeout_s: self.consent_timeout, grace_s: self.grace }
    }
}

impl Config {
    /// Reads `file`, or gives the defaults if there is none and `required` is false.
    ///
    /// # Errors
    /// [`ConfigError`]: it can't be read, or says something that is no setting.
    pub fn load(file: &Path, required: bool) -> Result<Config, ConfigError> {
        match read_bounded(file, CONFIG_BYTES_MAX) {
            Ok(text) => {
                Config::parse(&text).map_err(|why| ConfigError::Invalid { file: file.to_owned(), why: why.to_string() })
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound && !required => Ok(Config::default()),
            Err(why) => Err(ConfigError::Unreadable { file: file.to_owned(), why }),
        }
    }

    fn parse(text: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(text)
    }
}

/// Why what the user has settled can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is there, or asked for, and can't be read.
    #[error("{file} can't be read: {why}")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// It can't be written.
    #[error("{file} can't be written: {why}")]
    Unwritable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// It says something that is no setting.
    #[error("{file} is not a p2pchat config: {why}")]
    Invalid {
        /// Which file.
        file: PathBuf,
        /// Where and what, over several lines.
        why: String,
    },
    /// There is no home folder to put anything in.
    #[error("there is no home folder: neither HOME nor XDG_DATA_HOME is set")]
    NoHome,
}

/// Where the peer keeps things when nothing else is said, after the XDG base directory specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The config file.
    pub config_file: PathBuf,
    /// The folder of the identity and the history.
    pub data_dir: PathBuf,
    /// The log.
    pub log_file: PathBuf,
}

impl Places {
    /// The user's own places.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`].
    pub fn of_user() -> Result<Places, ConfigError> {
        let base = etcetera::base_strategy::Xdg::new().map_err(|_| ConfigError::NoHome)?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        Ok(Places {
            config_file: base.config_dir().join("p2pchat/config.toml"),
            data_dir: base.data_dir().join("p2pchat"),
            log_file: state.join("p2pchat/p2pchat.log"),
        })
    }
}

/// The name that [`remember_name`] kept in `data_dir`, if there is one and it is a name.
pub fn remembered_name(data_dir: &Path) -> Option<Name> {
    read_bounded(&data_dir.join(NAME_FILE), 1024).ok()?.trim_end().parse().ok()
}

/// Keeps `name` in `data_dir` for the next run, unless one is kept already.
///
/// # Errors
/// [`ConfigError::Unwritable`].
pub fn remember_name(data_dir: &Path, name: &Name) -> Result<(), ConfigError> {
    let file = data_dir.join(NAME_FILE);
    let unwritable = |why| ConfigError::Unwritable { file: file.clone(), why };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(unwritable)?;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file) {
        Ok(mut new) => writeln!(new, "{name}").map_err(unwritable),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(why) => Err(unwritable(why)),
    }
}

/// The first line of `file`, which is a server's password.
///
/// # Errors
/// [`ConfigError::Unreadable`], also when it is empty or longer than a password may be.
pub fn read_password(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |why| ConfigError::Unreadable { file: file.to_owned(), why };
    let text = read_bounded(file, 4096).map_err(unreadable)?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        let why = format!("its first line must be a password of 1 to {PASSWORD_BYTES_MAX} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    Ok(password.to_owned())
}

fn read_bounded(file: &Path, max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {max} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../config/peer.toml");

    #[test]
    fn the_guide_shows_the_defaults() {
        assert_eq!(Config::parse(GUIDE).unwrap(), Config::default());
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn every_setting_that_the_guide_only_mentions_is_one() {
        let all: String = GUIDE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let config = Config::parse(&all).unwrap();
        assert_eq!(config.name, Some("alice".parse().unwrap()));
        assert_eq!((config.keep_days, config.keep_mb), (Some(90), Some(100)));
        assert_eq!((config.quota_mb, config.quota_author_mb), (QUOTA_ROOM_MB_DEFAULT, QUOTA_AUTHOR_MB_DEFAULT));
        assert!(config.password_file.is_some() && config.data_dir.is_some() && config.log_file.is_some());
    }

    #[test]
    fn a_misspelt_setting_or_a_bad_name_is_refused() {
        for text in ["severs = 1", "[create]\nsice = 3", "name = \"a b\"", "listen = \"nowhere\""] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_missing_file_matters_only_when_it_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("none.toml");
        assert_eq!(Config::load(&file, false).unwrap(), Config::default());
        assert!(matches!(Config::load(&file, true), Err(ConfigError::Unreadable { .. })));
    }

    #[test]
    fn the_first_name_is_remembered_and_later_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new");
        assert_eq!(remembered_name(&data), None);
        remember_name(&data, &"alice".parse().unwrap()).unwrap();
        remember_name(&data, &"bob".parse().unwrap()).unwrap();
        assert_eq!(remembered_name(&data), Some("alice".parse().unwrap()));
    }

    #[test]
    fn a_password_is_the_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        fs::write(&file, "open sesame\nsecond\n").unwrap();
        assert_eq!(read_password(&file).unwrap(), "open sesame");
        fs::write(&file, "\n").unwrap();
        assert!(read_password(&file).is_err());
    }
}
