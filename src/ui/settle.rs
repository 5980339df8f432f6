//! What the command line, the environment, the config file and the data folder together say, and what must be asked.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use super::args::{Global, How};
use super::exit::Exit;
use super::tui::model::Choices;
use super::words::{self, Said};
use crate::peer::api::limits::{HISTORY_SHOWN_MAX, NAME_BYTES_MAX};
use crate::peer::api::{
    Config, ConfigError, Creation, Keep, Name, Options, Places, Quota, read_password, remembered_name,
};

/// Questions about a name before we give up on an answer.
const TRIES: usize = 3;

/// What holds for this run, whatever the command.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The config file.
    pub config: Config,
    /// The folder of the identity and the history.
    pub data_dir: PathBuf,
    /// The log.
    pub log_file: PathBuf,
    /// Whether the user may be asked.
    pub may_ask: bool,
    /// What is known of the name without asking.
    pub name: Option<Name>,
}

/// Why it can't begin: the exit code, and the words.
pub type Refusal = (Exit, Said);

/// Puts everything together; asks nothing.
///
/// # Errors
/// A config file that can't be used.
pub fn settle(global: &Global) -> Result<Settled, Refusal> {
    let places = Places::of_user();
    let failed = |error: &ConfigError| (Exit::Failed, words::config_error(error));
    let config = match (&global.config, &places) {
        (Some(file), _) => Config::load(file, true).map_err(|error| failed(&error))?,
        (None, Ok(places)) => Config::load(&places.config_file, false).map_err(|error| failed(&error))?,
        (None, Err(_)) => Config::default(),
    };
    let place = |of: fn(&Places) -> &PathBuf| places.as_ref().map(|places| of(places).clone()).map_err(failed);
    let data_dir = match global.data_dir.as_ref().or(config.data_dir.as_ref()) {
        Some(dir) => dir.clone(),
        None => place(|places| &places.data_dir)?,
    };
    let log_file = match (&global.log_file, &global.data_dir, &config.log_file) {
        (Some(file), _, _) => file.clone(),
        (None, Some(dir), _) => dir.join("p2pchat.log"),
        (None, None, Some(file)) => file.clone(),
        (None, None, None) => place(|places| &places.log_file)?,
    };
    let may_ask = !global.no_input && !global.json && io::stdin().is_terminal();
    let name = global.name.clone().or_else(|| config.name.clone()).or_else(|| remembered_name(&data_dir));
    Ok(Settled { config, data_dir, log_file, may_ask, name })
}

impl Settled {
    /// What the chat is started with; asks for the name if nobody has settled it.
    ///
    /// # Errors
    /// No name, or an unreadable password file.
    pub fn options(&self, global: &Global) -> Result<Options, Refusal> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None if self.may_ask => ask_name().ok_or_else(no_name)?,
            None => return Err(no_name()),
        };
        let password_file = global.password_file.as_ref().or(self.config.password_file.as_ref());
        let password = password_file
            .map(|file| read_password(file))
            .transpose()
            .map_err(|error| (Exit::Failed, words::config_error(&error)))?;
        Ok(Options {
            name,
            data_dir: self.data_dir.clone(),
            server: global.server.clone().unwrap_or_else(|| self.config.server.clone()),
            password,
            listen: global.listen.unwrap_or(self.config.listen),
            map_port: self.config.map_port,
            listed: self.config.listed,
            visiting: false,
            scrollback: self.config.scrollback.min(HISTORY_SHOWN_MAX),
            keep: Keep { days: self.config.keep_days, mb: self.config.keep_mb },
            quota: Quota { room_mb: self.config.quota_mb, author_mb: self.config.quota_author_mb },
            ephemeral: false,
            serverless: false,
            certificate: None,
            announce: false,
            ask_before_pinning: self.may_ask,
        })
    }

    /// What a mere look at the server is started with; nobody is named for it.
    ///
    /// # Errors
    /// An unreadable password file.
    pub fn visit(&self, global: &Global) -> Result<Options, Refusal> {
        let visitor = "visitor".parse().expect("an ordinary word is a name");
        let named = Settled { name: Some(self.name.clone().unwrap_or(visitor)), ..self.clone() };
        Ok(Options { visiting: true, ..named.options(global)? })
    }

    /// How the full-screen face is to be.
    pub fn on_screen(&self, creation: Creation) -> Choices {
        Choices {
            bell: self.config.bell,
            notify: self.config.notify,
            colour: std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
            zone: jiff::tz::TimeZone::system(),
            creation,
            data_dir: self.data_dir.display().to_string(),
        }
    }

    /// How a room is made: the command line before the config.
    pub fn creation(&self, how: &How) -> Creation {
        let config = self.config.create;
        Creation {
            size: how.size.unwrap_or(config.size),
            consent_timeout: how.consent_timeout.unwrap_or(config.consent_timeout),
            grace: how.grace.unwrap_or(config.grace),
        }
    }
}

fn no_name() -> Refusal {
    let hint = "say --name NAME, or `name = \"NAME\"` in the config; it is remembered after the first run";
    (Exit::Usage, Said::new("no_name", "what are you called? Nobody has said so yet", Some(hint.to_owned())))
}

/// Asks at the terminal, suggesting the name of the user's account.
fn ask_name() -> Option<Name> {
    let suggestion = std::env::var("USER").ok().and_then(|user| user.parse::<Name>().ok());
    for _ in 0..TRIES {
        match &suggestion {
            Some(name) => print!("Pick a name that others will see [{}]: ", words::shown(name)),
            None => print!("Pick a name that others will see: "),
        }
        io::stdout().flush().ok()?;
        let mut line = String::new();
        // A longer line is no name anyway.
        if io::stdin().lock().take(NAME_BYTES_MAX as u64 * 16).read_line(&mut line).ok()? == 0 {
            return None;
        }
        match (line.trim(), &suggestion) {
            ("", Some(name)) => return Some(name.clone()),
            (typed, _) => match typed.parse() {
                Ok(name) => return Some(name),
                Err(why) => println!("{}", words::shown(why)),
            },
        }
    }
    None
}
