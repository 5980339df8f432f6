//! What a member remembers of addresses from one run to the next: its own port, so that the others find it where it was, and
//! where they were, so that a room without a server comes together again after everybody's restart.
//!
//! Two small files in the data folder, readable by their owner only. Nothing depends on them but speed and, without a server,
//! finding anybody at all; damaged ones are as good as none.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::identity::PeerId;
use crate::limits::WHEREABOUTS_BYTES_MAX;
use crate::wire::{RoomId, decode, encode};

/// Where members of rooms are.
pub(super) type Known = Vec<(RoomId, PeerId, Vec<SocketAddr>)>;

/// The file of the others' addresses.
const ADDRESSES: &str = "whereabouts";

/// The file of the own port.
const PORT: &str = "port";

/// The two files.
#[derive(Debug)]
pub(super) struct Whereabouts {
    /// The data folder; `None` for somebody who leaves no trace.
    dir: Option<PathBuf>,
    /// What is on disk.
    kept: Known,
}

impl Whereabouts {
    /// Those in a data folder.
    pub(super) fn in_dir(dir: Option<&Path>) -> Self {
        let read = |dir: &Path| decode(&read(&dir.join(ADDRESSES))?).ok();
        Whereabouts { dir: dir.map(Path::to_owned), kept: dir.and_then(read).unwrap_or_default() }
    }

    /// What is on disk.
    pub(super) fn kept(&self) -> Known {
        self.kept.clone()
    }

    /// Keeps what is known now.
    pub(super) fn keep(&mut self, known: Known) {
        let Some(dir) = &self.dir else { return };
        let bytes = encode(&known);
        if known == self.kept || bytes.len() > WHEREABOUTS_BYTES_MAX {
            return;
        }
        match write(&dir.join(ADDRESSES), &bytes) {
            Ok(()) => self.kept = known,
            Err(error) => tracing::warn!(%error, "the members' addresses are not remembered"),
        }
    }

    /// Where to listen: on the port of the last run, if any port would do.
    pub(super) fn listen(&self, asked: SocketAddr) -> SocketAddr {
        let port = || decode::<u16>(&read(&self.dir.as_ref()?.join(PORT))?).ok();
        match asked.port() {
            0 => SocketAddr::new(asked.ip(), port().unwrap_or(0)),
            _ => asked,
        }
    }

    /// Remembers the port.
    pub(super) fn listening(&self, bound: SocketAddr) {
        let Some(dir) = &self.dir else { return };
        if let Err(error) = write(&dir.join(PORT), &encode(&bound.port())) {
            tracing::warn!(%error, "the port is not remembered");
        }
    }
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(WHEREABOUTS_BYTES_MAX).ok()?;
    fs::File::open(file).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = file.with_extension("new");
    let mut new = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    fs::rename(&temporary, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_known_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let known = vec![(RoomId([1; 32]), PeerId([2; 32]), vec!["192.0.2.1:9".parse().unwrap()])];
        let mut places = Whereabouts::in_dir(Some(dir.path()));
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert_eq!((places.kept(), places.listen(any)), (vec![], any));
        places.keep(known.clone());
        places.listening("127.0.0.1:4000".parse().unwrap());
        let places = Whereabouts::in_dir(Some(dir.path()));
        assert_eq!((places.kept(), places.listen(any).port()), (known, 4000));
        assert_eq!(places.listen("127.0.0.1:7".parse().unwrap()).port(), 7);
        std::fs::write(dir.path().join(ADDRESSES), b"nonsense").unwrap();
        assert_eq!(Whereabouts::in_dir(Some(dir.path())).kept(), vec![]);
        assert_eq!(Whereabouts::in_dir(None).listen(any), any);
    }
}
