//! The peer's log: a file, since the screen belongs to the chat. Never a message's text, never a key.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::peer::api::limits::LOG_BYTES_MAX;

/// Logs into `file` from now on, what `filter` lets through; the environment variable `P2PCHAT_LOG` takes precedence.
/// A file that has grown too long is put aside as `FILE.1` first.
///
/// # Errors
/// When the file can't be opened, or the filter is none.
pub fn start(file: &Path, filter: &str) -> io::Result<()> {
    let filter = std::env::var("P2PCHAT_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(filter).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        let mut aside = file.as_os_str().to_owned();
        aside.push(".1");
        fs::rename(file, aside)?;
    }
    let open = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    let started =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(open)).try_init();
    started.map_err(io::Error::other)
}
