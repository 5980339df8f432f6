//! The servers whose certificates this user has met: one file, `servers.toml`, a line each.
//!
//! Never changes a line that is there: a server that shows another certificate is refused until the user takes its line
//! out, as with ssh.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::identity::Fingerprint;

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "servers.toml";

/// The remembered servers.
#[derive(Debug)]
pub struct Pins {
    file: PathBuf,
}

impl Pins {
    /// Those remembered in `data_dir`.
    pub fn in_dir(data_dir: &Path) -> Self {
        Pins { file: data_dir.join(FILE_NAME) }
    }

    /// Where they are kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The fingerprint remembered for a server, as the user named it.
    ///
    /// # Errors
    /// When the file is there and can't be read or understood: better no connection than a forgotten pin.
    pub fn get(&self, server: &str) -> io::Result<Option<Fingerprint>> {
        self.read()?.get(server).map(|text| text.parse().map_err(io::Error::other)).transpose()
    }

    /// Remembers a server that is not remembered yet.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn add(&self, server: &str, fingerprint: Fingerprint) -> io::Result<()> {
        let mut pins = self.read()?;
        pins.entry(server.to_owned()).or_insert_with(|| fingerprint.to_string());
        let text = toml::to_string(&pins).map_err(io::Error::other)?;
        let temporary = self.file.with_extension(format!("toml.{}", std::process::id()));
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.file)
    }

    fn read(&self) -> io::Result<BTreeMap<String, String>> {
        match std::fs::read_to_string(&self.file) {
            Ok(text) => toml::from_str(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fingerprint_of_a_server_stays() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::in_dir(dir.path());
        let (first, second) = (Fingerprint::of_spki(b"one"), Fingerprint::of_spki(b"two"));
        assert_eq!(pins.get("localhost:4433").unwrap(), None);
        pins.add("localhost:4433", first).unwrap();
        pins.add("localhost:4433", second).unwrap();
        pins.add("[::1]:5", second).unwrap();
        assert_eq!(pins.get("localhost:4433").unwrap(), Some(first));
        assert_eq!(Pins::in_dir(dir.path()).get("[::1]:5").unwrap(), Some(second));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::in_dir(dir.path());
        std::fs::write(pins.file(), "\"localhost\" = 7").unwrap();
        assert!(pins.get("localhost").is_err());
        assert!(pins.add("localhost", Fingerprint::of_spki(b"one")).is_err());
    }
}
