//! The port of the last run, so that tickets hold over a restart and members find us where we were.
//!
//! One small file in the data folder. Nothing depends on it: where it is damaged, or the port is taken, any other will do.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// The file.
const FILE: &str = "port";

/// Where to listen: on the port of the last run, if the user does not care.
pub(super) fn last(data_dir: &Path, asked: SocketAddr) -> SocketAddr {
    let port = || fs::read_to_string(data_dir.join(FILE)).ok()?.trim_end().parse().ok();
    match asked.port() {
        0 => SocketAddr::new(asked.ip(), port().unwrap_or(0)),
        _ => asked,
    }
}

/// Remembers the port.
pub(super) fn remember(data_dir: &Path, bound: SocketAddr) {
    if let Err(error) = fs::write(data_dir.join(FILE), format!("{}\n", bound.port())) {
        tracing::warn!(%error, "the port is not remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_last_run_is_taken_where_any_would_do() {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert_eq!(last(dir.path(), any), any);
        remember(dir.path(), "127.0.0.1:4000".parse().unwrap());
        assert_eq!(last(dir.path(), any).port(), 4000);
        assert_eq!(last(dir.path(), "127.0.0.1:7".parse().unwrap()).port(), 7);
        fs::write(dir.path().join(FILE), "nonsense").unwrap();
        assert_eq!(last(dir.path(), any), any);
    }
}
