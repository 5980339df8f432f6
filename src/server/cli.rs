//! The command line: arguments in, exit code out.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use clap_complete::Shell;
use etcetera::base_strategy::{BaseStrategy as _, Xdg};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::certs;
use super::config::{Config, LogFormat};
use super::{Server, StartError};

/// Keep rooms and pass knocks for p2pchat
///
/// Clients find rooms here and learn each other's addresses once they are members; who becomes a member, the members alone
/// decide, and no message ever comes here. The first line on standard output is
/// `listening on ADDRESS:PORT fingerprint WORDS`: tell your users the words, their clients show the same.
#[derive(Debug, Parser)]
#[command(name = "p2pchat-server", version, after_help = EXAMPLES)]
struct Args {
    /// Folder of cert.pem and key.pem; a self-signed pair is made there when both are absent
    #[arg(long, value_name = "DIR", env = "P2PCHAT_SERVER_CERT")]
    cert: Option<PathBuf>,

    /// Listen on this UDP address; port 0 takes any free one [default: 0.0.0.0:4433]
    #[arg(long, value_name = "ADDRESS:PORT", env = "P2PCHAT_SERVER_LISTEN")]
    listen: Option<SocketAddr>,

    /// Answer at this port too, for `p2pchat doctor`, and where the first is blocked; 0 for none [default: the next one]
    #[arg(long, value_name = "PORT", env = "P2PCHAT_SERVER_SECOND_PORT")]
    second_port: Option<u16>,

    /// Read settings from this file [default: ~/.config/p2pchat/server.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "P2PCHAT_SERVER_CONFIG")]
    config: Option<PathBuf>,

    /// Keep the database in this folder [default: ~/.local/share/p2pchat-server]
    #[arg(long, value_name = "DIR", env = "P2PCHAT_SERVER_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// Write log lines like this [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", env = "P2PCHAT_SERVER_LOG_FORMAT")]
    log_format: Option<LogFormat>,

    /// Check the settings and the certificate, and exit
    #[arg(long)]
    check: bool,

    /// Print completions for a shell, and exit
    #[arg(long, value_enum, value_name = "SHELL", hide = true)]
    completions: Option<Shell>,

    /// Print the manual page, and exit
    #[arg(long, hide = true)]
    man: bool,
}

const EXAMPLES: &str = "\
Examples:
  p2pchat-server --cert certs/                    serve on UDP 4433
  p2pchat-server --listen 127.0.0.1:0             any free port, this machine only
  p2pchat-server --config server.toml --check     are the settings right?

Environment:
  P2PCHAT_LOG                what to log: error, warn, info (default), debug, trace
  P2PCHAT_SERVER_PASSWORD    what clients must know to log in

Exit codes: 0 done, 1 failed, 2 wrong usage.
Every setting is explained in config/server.toml.";

/// Runs the program with the process's arguments.
///
/// Exit codes: 0 stopped by a signal or done, 1 failed, 2 wrong usage.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are "errors" of code 0, wrong usage is 2.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {}\n  hint: {}", failure.what, failure.hint);
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, for people.
#[derive(Debug)]
struct Failure {
    what: String,
    hint: String,
}

impl Failure {
    fn new(what: impl ToString, hint: impl Into<String>) -> Self {
        Failure { what: what.to_string(), hint: hint.into() }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    if let Some(shell) = args.completions {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "p2pchat-server", &mut text);
        return print(&text);
    }
    if args.man {
        let mut text = Vec::new();
        clap_mangen::Man::new(Args::command())
            .render(&mut text)
            .map_err(|why| Failure::new(why, "this is a bug of p2pchat-server"))?;
        return print(&text);
    }
    let check = args.check;
    let config = settings(args)?;
    let home = || Xdg::new().map_err(|why| Failure::new(why, "set HOME, or name the folder with --data-dir"));
    let data_dir = match &config.data_dir {
        Some(dir) => dir.clone(),
        None => home()?.data_dir().join("p2pchat-server"),
    };
    let cert_dir = config.cert.clone().unwrap_or_else(|| data_dir.join("certs"));
    let bad_certs = |why: certs::CertsError| Failure::new(&why, why.hint());
    if check {
        let found = certs::load(&cert_dir).map_err(bad_certs)?;
        let certificate = match found {
            Some(key) => format!("fingerprint {}", key.fingerprint()),
            None => "a certificate will be made at the first start".to_owned(),
        };
        return print(format!("the settings are valid; {certificate}\n").as_bytes());
    }
    start_log(config.log_format)?;
    let (key, new) = certs::load_or_create(&cert_dir).map_err(bad_certs)?;
    if new {
        let _ =
            writeln!(io::stderr(), "made a new certificate in {}: keep it, clients remember it", cert_dir.display());
    }
    make_private(&data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::new(why, "the system is out of threads or files: raise its limits"))?;
    runtime.block_on(serve(&config, &data_dir, key))
}

async fn serve(config: &Config, data_dir: &std::path::Path, key: crate::net::ServerKey) -> Result<(), Failure> {
    let no_signals = |why: io::Error| Failure::new(why, "the system refuses to deliver signals");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut server =
        Server::start(config, Some(data_dir), key).map_err(|why: StartError| Failure::new(&why, why.hint()))?;
    // Whoever waits for this line may be gone already; that is no reason not to serve.
    let _ = print(format!("listening on {} fingerprint {}\n", server.local_addr(), server.fingerprint()).as_bytes());
    tracing::info!("serving");
    let failed = tokio::select! {
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
        () = server.failed() => true,
    };
    if failed {
        return Err(Failure::new("the server stopped by itself", "this is a bug; the log above tells where"));
    }
    tracing::info!("shutting down");
    server.stop().await;
    Ok(())
}

/// Flags and variables over the file over the defaults.
fn settings(args: Args) -> Result<Config, Failure> {
    let bad_config = |why: super::config::ConfigError| Failure::new(&why, why.hint());
    let file = args.config.or_else(|| {
        let file = Xdg::new().ok()?.config_dir().join("p2pchat/server.toml");
        file.exists().then_some(file)
    });
    let mut config = file.map_or_else(|| Ok(Config::default()), |file| Config::read(&file)).map_err(bad_config)?;
    config.listen = args.listen.unwrap_or(config.listen);
    config.second_port = args.second_port.or(config.second_port);
    config.cert = args.cert.or(config.cert);
    config.data_dir = args.data_dir.or(config.data_dir);
    config.log_format = args.log_format.unwrap_or(config.log_format);
    match std::env::var("P2PCHAT_SERVER_PASSWORD") {
        Ok(password) => config.password = Some(password),
        Err(std::env::VarError::NotPresent) => {}
        Err(why) => return Err(Failure::new(why, "P2PCHAT_SERVER_PASSWORD must be UTF-8")),
    }
    config.settle().map_err(bad_config)
}

/// Logs to standard error. Addresses may be told by the libraries below at any level, so those stay silent
/// (THREATS.md row 28); tracing-subscriber escapes control characters.
fn start_log(format: LogFormat) -> Result<(), Failure> {
    let chosen = std::env::var("P2PCHAT_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(format!("{chosen},quinn=off,quinn_proto=off,quinn_udp=off,rustls=off"))
        .map_err(|why| Failure::new(format!("P2PCHAT_LOG: {why}"), "use error, warn, info, debug or trace"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|why| Failure::new(why, "this is a bug of p2pchat-server"))
}

fn make_private(dir: &std::path::Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|why| {
        Failure::new(
            format!("the data folder {} can't be made: {why}", dir.display()),
            "free space, change permissions, or name another with --data-dir",
        )
    })
}

fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(|why| Failure::new(format!("standard output: {why}"), "is its reader gone?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen = \"127.0.0.1:1\"\nmax_rooms = 7\n").unwrap();
        let file = file.path().to_str().unwrap();
        let args = |more: &[&str]| {
            let all = [&["p2pchat-server", "--config", file], more].concat();
            settings(Args::try_parse_from(all).unwrap()).unwrap()
        };
        assert_eq!(args(&[]).listen, "127.0.0.1:1".parse().unwrap());
        let both = args(&["--listen", "127.0.0.1:2"]);
        assert_eq!((both.listen, both.max_rooms), ("127.0.0.1:2".parse().unwrap(), 7));
    }

    #[test]
    fn wrong_arguments_are_wrong_usage() {
        for wrong in [&["--listen", "nowhere"][..], &["--nonsense"], &["argument"], &["--log-format", "xml"]] {
            let all = [&["p2pchat-server"], wrong].concat();
            assert_eq!(Args::try_parse_from(all).unwrap_err().exit_code(), 2);
        }
    }
}
