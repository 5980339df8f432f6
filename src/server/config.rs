//! What the operator decides. Flags win over environment variables, those over the file, the file over the defaults;
//! `config/server.toml` explains each setting and is checked against this file by a test.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::limits::*;
use crate::net::ListenerLimits;

/// The port that clients expect.
pub const PORT: u16 = 4433;

/// Shortest time an empty room may be kept, so that a server restart under way does not cost its rooms their names.
const EMPTY_ROOM_TTL_S_MIN: u64 = 1;

/// Every setting.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen (UDP).
    pub listen: SocketAddr,
    /// The port where it answers too; 0 for none. Unless given the next after the first, if that is free.
    pub second_port: Option<u16>,
    /// The folder of `cert.pem` and `key.pem`; `certs` in the data folder unless given.
    pub cert: Option<PathBuf>,
    /// The folder of the database; `p2pchat-server` in the user's XDG data folder unless given.
    pub data_dir: Option<PathBuf>,
    /// What clients must know to log in.
    pub password: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Most rooms.
    pub max_rooms: usize,
    /// Seconds without any connected member after which a room is forgotten.
    pub empty_room_ttl_s: u64,
    /// Whether `list` shows the people online who chose to be listed.
    pub list_people: bool,
    /// Most connections.
    pub connections: usize,
    /// Most connections from one place: an IPv4 address, or an IPv6 /64.
    pub connections_per_address: usize,
    /// New connections answered per second and place.
    pub handshakes_per_s: NonZeroU32,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        let limits = ListenerLimits::default();
        Config {
            listen: (Ipv4Addr::UNSPECIFIED, PORT).into(),
            second_port: None,
            cert: None,
            data_dir: None,
            password: None,
            password_file: None,
            max_rooms: ROOMS_PER_SERVER_MAX,
            empty_room_ttl_s: EMPTY_ROOM_TTL_S_DEFAULT,
            list_people: true,
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            handshakes_per_s: limits.handshakes_per_s,
            log_format: LogFormat::Text,
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] when it can't be read or says something this program doesn't know.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(file).map_err(|why| ConfigError::Unreadable { file: file.to_owned(), why })?;
        let config: Config = toml::from_str(&text).map_err(|why| {
            let line = why.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError::Invalid { file: file.to_owned(), line, why: why.message().to_owned() }
        })?;
        if config.password.is_some() {
            refuse_open_to_others(file)?;
        }
        Ok(config)
    }

    /// Checks what no type can, and reads the password's file.
    ///
    /// # Errors
    /// [`ConfigError`], the first that is found.
    pub fn settle(mut self) -> Result<Self, ConfigError> {
        if let (None, Some(file)) = (&self.password, &self.password_file) {
            refuse_open_to_others(file)?;
            let text =
                std::fs::read_to_string(file).map_err(|why| ConfigError::Unreadable { file: file.clone(), why })?;
            self.password = Some(text.lines().next().unwrap_or_default().to_owned());
        }
        let bounds = [
            ("max_rooms", self.max_rooms as u64, 1, ROOMS_PER_SERVER_MAX as u64),
            ("empty_room_ttl_s", self.empty_room_ttl_s, EMPTY_ROOM_TTL_S_MIN, u64::from(u32::MAX)),
            ("connections", self.connections as u64, 1, u64::from(u32::MAX)),
            ("connections_per_address", self.connections_per_address as u64, 1, u64::from(u32::MAX)),
        ];
        for (setting, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::OutOfBounds { setting, value, least, most });
            }
        }
        match &self.password {
            Some(password) if password.is_empty() || password.len() > PASSWORD_BYTES_MAX => {
                Err(ConfigError::Password { bytes: password.len() })
            }
            _ => Ok(self),
        }
    }

    /// The listener's share.
    pub fn listener_limits(&self) -> ListenerLimits {
        ListenerLimits {
            handshakes_per_s: self.handshakes_per_s,
            connections_per_address: self.connections_per_address,
            connections: self.connections,
        }
    }
}

fn refuse_open_to_others(file: &Path) -> Result<(), ConfigError> {
    let metadata = std::fs::metadata(file).map_err(|why| ConfigError::Unreadable { file: file.to_owned(), why })?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 { Err(ConfigError::OpenToOthers { file: file.to_owned(), mode }) } else { Ok(()) }
}

/// Never shows the password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("cert", &self.cert)
            .field("data_dir", &self.data_dir)
            .field("password", &self.password.is_some())
            .finish_non_exhaustive()
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file can't be read.
    #[error("{file} can't be read: {why}")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Not TOML, or a setting that this program doesn't know.
    #[error("{file} is not a valid configuration, in line {line}: {why}")]
    Invalid {
        /// Which.
        file: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What.
        why: String,
    },
    /// A password that others could have read.
    #[error("{file} holds a password and can be read by others (mode {mode:03o})")]
    OpenToOthers {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A number that makes no sense.
    #[error("{setting} is {value}, and must be between {least} and {most}")]
    OutOfBounds {
        /// Which setting.
        setting: &'static str,
        /// What it says.
        value: u64,
        /// The smallest that is allowed.
        least: u64,
        /// The largest that is allowed.
        most: u64,
    },
    /// No password, or one that no client can send.
    #[error("the password has {bytes} bytes, and must have between 1 and {PASSWORD_BYTES_MAX}")]
    Password {
        /// How long it is.
        bytes: usize,
    },
}

impl ConfigError {
    /// What to try.
    pub fn hint(&self) -> String {
        match self {
            ConfigError::Unreadable { .. } => "check the path and the permissions of the file".to_owned(),
            ConfigError::Invalid { .. } => "config/server.toml explains every setting".to_owned(),
            ConfigError::OpenToOthers { file, .. } => format!("chmod 600 {}", file.display()),
            ConfigError::OutOfBounds { setting, .. } => {
                format!("change {setting}, or leave it out to have the default")
            }
            ConfigError::Password { .. } => "leave the setting out to let everybody in".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const GUIDE: &str = include_str!("../../config/server.toml");

    #[test]
    fn the_guide_holds_the_defaults() {
        assert!(toml::from_str::<Config>(GUIDE).unwrap() == Config::default());
    }

    #[test]
    fn the_guide_knows_every_setting_and_no_other() {
        // A line `# key = value` is a setting without a default; all of them together must be understood as well.
        let setting = |line: &'static str| {
            let (name, _) = line.strip_prefix("# ")?.split_once(" = ")?;
            name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then(|| &line[2..])
        };
        let all: String = GUIDE.lines().map(|line| format!("{}\n", setting(line).unwrap_or(line))).collect();
        toml::from_str::<Config>(&all).unwrap();
        let told = all.parse::<toml::Table>().unwrap();
        // serde names all fields it would have taken when it meets one it doesn't know.
        let error = toml::from_str::<Config>("nonsense = 1").err().unwrap().to_string();
        let known: Vec<_> = error.split("expected one of").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        for setting in &known {
            assert!(told.contains_key(*setting), "config/server.toml doesn't explain {setting}");
        }
        assert_eq!(told.len(), known.len());
    }

    #[test]
    fn unknown_settings_and_senseless_values_are_refused() {
        assert!(toml::from_str::<Config>("lisen = \"0.0.0.0:1\"").is_err());
        assert!(toml::from_str::<Config>("handshakes_per_s = 0").is_err());
        let none = Config { max_rooms: 0, ..Config::default() };
        assert!(matches!(none.settle(), Err(ConfigError::OutOfBounds { setting: "max_rooms", .. })));
        let empty = Config { password: Some(String::new()), ..Config::default() };
        assert!(matches!(empty.settle(), Err(ConfigError::Password { bytes: 0 })));
    }

    #[test]
    fn a_password_comes_from_its_file_unless_others_can_read_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret words\n").unwrap();
        let config = Config { password_file: Some(file.path().to_owned()), ..Config::default() };
        assert_eq!(config.clone().settle().unwrap().password.as_deref(), Some("secret words"));
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(config.settle(), Err(ConfigError::OpenToOthers { mode: 0o644, .. })));
    }

    #[test]
    fn debug_never_shows_the_password() {
        let config = Config { password: Some("secret words".to_owned()), ..Config::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
