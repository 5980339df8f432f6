//! The certificate on disk: `cert.pem` and `key.pem` in one folder.
//!
//! Made when both are absent, never replaced, and finished when a kill left half of a new pair. A key that others could
//! have read is refused (THREATS.md row 27).

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::net::{ServerKey, ServerKeyError};

/// The certificate chain's file, the server's own certificate first.
pub const CERTIFICATE_FILE: &str = "cert.pem";

/// The private key's file.
pub const KEY_FILE: &str = "key.pem";

/// Most bytes either file may have: a chain of ten large certificates and some to spare.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Reads the pair in `dir`, or makes one there if there is neither file; tells whether it is new.
///
/// A first start that was killed between the two files is finished here, with the pair that it had begun.
///
/// # Errors
/// [`CertsError`], each with a hint for the operator.
pub fn load_or_create(dir: &Path) -> Result<(ServerKey, bool), CertsError> {
    let unwritable = |why| CertsError::Unwritable { dir: dir.to_owned(), why };
    match load(dir) {
        Ok(Some(key)) => return Ok((key, false)),
        Ok(None) => create(dir).map_err(unwritable)?,
        Err(half @ CertsError::Half { .. }) => {
            if !finish(dir).map_err(unwritable)? {
                return Err(half);
            }
        }
        Err(error) => return Err(error),
    }
    // Read back: what is used is what the next start will find, whoever wrote it.
    let key = load(dir)?.ok_or_else(|| CertsError::Half { missing: dir.join(KEY_FILE) })?;
    Ok((key, true))
}

/// Reads the pair in `dir`; `None` if there is neither file.
///
/// # Errors
/// [`CertsError`], each with a hint for the operator.
pub fn load(dir: &Path) -> Result<Option<ServerKey>, CertsError> {
    let (certificate_file, key_file) = (dir.join(CERTIFICATE_FILE), dir.join(KEY_FILE));
    let (certificate, key) = match (open(&certificate_file)?, open(&key_file)?) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(CertsError::Half { missing: key_file }),
        (None, Some(_)) => return Err(CertsError::Half { missing: certificate_file }),
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let mode = key.metadata().map_err(|why| CertsError::unreadable(&key_file, why))?.mode();
    if mode & 0o077 != 0 {
        return Err(CertsError::OpenToOthers { file: key_file, mode: mode & 0o777 });
    }
    let certificate = read(certificate, &certificate_file)?;
    let key = read(key, &key_file)?;
    ServerKey::from_pem(&certificate, &key).map(Some).map_err(|why| {
        let file = if why == ServerKeyError::Certificate { certificate_file } else { key_file };
        CertsError::Damaged { file, why }
    })
}

fn open(file: &Path) -> Result<Option<File>, CertsError> {
    match File::open(file) {
        Ok(open) => Ok(Some(open)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(CertsError::unreadable(file, why)),
    }
}

fn read(open: File, file: &Path) -> Result<Zeroizing<Vec<u8>>, CertsError> {
    let mut bytes = Zeroizing::new(Vec::new());
    open.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|why| CertsError::unreadable(file, why))?;
    Ok(bytes)
}

/// Both files are written beside their places and synced before either is linked there: a crash or a full disk leaves no
/// half file, and what is needed to [`finish`] a half pair. A link refuses to replace what another process made meanwhile.
fn create(dir: &Path) -> io::Result<()> {
    let (certificate, key) = ServerKey::new_pem();
    // Not the process: its number comes again, in a container at every start, and what a killed one left would be in the way.
    let start = format!("{:016x}", rand::random::<u64>());
    let begun = |name: &str| dir.join(format!(".{name}.{start}"));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let written = [(KEY_FILE, key.as_str(), 0o600), (CERTIFICATE_FILE, certificate.as_str(), 0o644)]
        .into_iter()
        .try_for_each(|(name, text, mode)| write_new(&begun(name), text.as_bytes(), mode))
        .and_then(|()| sync(dir))
        .and_then(|()| std::fs::hard_link(begun(KEY_FILE), dir.join(KEY_FILE)))
        .and_then(|()| std::fs::hard_link(begun(CERTIFICATE_FILE), dir.join(CERTIFICATE_FILE)))
        .and_then(|()| sync(dir));
    for name in [KEY_FILE, CERTIFICATE_FILE] {
        let _ = std::fs::remove_file(begun(name));
    }
    written
}

/// Puts the other half beside the one that is there, if a start that was killed in [`create`] left it; tells whether.
fn finish(dir: &Path) -> io::Result<bool> {
    let left: Vec<PathBuf> = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let begun = |name: &'static str| {
        let ours = move |path: &&PathBuf| {
            path.file_name().and_then(|file| file.to_str()?.strip_prefix(&format!(".{name}."))).is_some()
        };
        left.iter().filter(ours)
    };
    for (here, lacking) in [(KEY_FILE, CERTIFICATE_FILE), (CERTIFICATE_FILE, KEY_FILE)] {
        let Ok(half) = std::fs::metadata(dir.join(here)) else { continue };
        // A link is the same file: a pair is told by its first half, which then still has both its names.
        let same = |path: &&PathBuf| {
            std::fs::metadata(path).is_ok_and(|one| (one.dev(), one.ino()) == (half.dev(), half.ino()))
        };
        let Some(start) = begun(here).find(same).and_then(|path| path.extension()) else { continue };
        let Some(other) = begun(lacking).find(|path| path.extension() == Some(start)) else { continue };
        std::fs::hard_link(other, dir.join(lacking))?;
        sync(dir)?;
        for path in begun(here).chain(begun(lacking)) {
            let _ = std::fs::remove_file(path);
        }
        return Ok(true);
    }
    Ok(false)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file is there and can't be read.
    #[error("{file} can't be read: {why}")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// A new pair can't be kept.
    #[error("a new certificate can't be kept in {dir}: {why}")]
    Unwritable {
        /// Where.
        dir: PathBuf,
        /// What the system said: a full disk, no permission.
        why: io::Error,
    },
    /// One file without the other.
    #[error("{missing} is missing, while the other file of the pair is there")]
    Half {
        /// The absent one.
        missing: PathBuf,
    },
    /// Others can read the key, so it may be somebody else's by now.
    #[error("the key in {file} can be read by others (mode {mode:03o})")]
    OpenToOthers {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not what its name says.
    #[error("{file} can't be used: {why}")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: ServerKeyError,
    },
}

impl CertsError {
    fn unreadable(file: &Path, why: io::Error) -> Self {
        CertsError::Unreadable { file: file.to_owned(), why }
    }

    /// What to try.
    pub fn hint(&self) -> String {
        match self {
            CertsError::Unreadable { .. } => {
                "run the server as the owner of the file, or name another folder with --cert".to_owned()
            }
            CertsError::Unwritable { .. } => {
                "free space or change the permissions of the folder, or name another with --cert".to_owned()
            }
            CertsError::Half { .. } => {
                "put the missing file back; or remove the other to have a new pair made, which clients that know the old \
                 one will refuse"
                    .to_owned()
            }
            CertsError::OpenToOthers { file, .. } => format!(
                "if nobody else has used this machine: chmod 600 {}; otherwise replace both files, and tell your users the \
                 new fingerprint",
                file.display()
            ),
            CertsError::Damaged { .. } => "restore the pair from a backup, or remove both files to have a new one made, \
                                           which clients that know the old one will refuse"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_pair_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let certs = dir.path().join("deep/certs");
        let (made, new) = load_or_create(&certs).unwrap();
        assert!(new);
        let (found, new) = load_or_create(&certs).unwrap();
        assert!(!new);
        assert_eq!(made.fingerprint(), found.fingerprint());
        assert_eq!(std::fs::metadata(certs.join(KEY_FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&certs).unwrap().count(), 2, "no temporary file stays");
    }

    #[test]
    fn one_file_alone_is_refused_and_left_alone() {
        for missing in [KEY_FILE, CERTIFICATE_FILE] {
            let dir = tempfile::tempdir().unwrap();
            load_or_create(dir.path()).unwrap();
            std::fs::remove_file(dir.path().join(missing)).unwrap();
            let error = load_or_create(dir.path()).unwrap_err();
            assert!(matches!(&error, CertsError::Half { missing: file } if file.ends_with(missing)), "{error}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_start_that_was_killed_between_the_two_files_is_finished_with_the_pair_it_had_begun() {
        for (linked, lacking) in [(KEY_FILE, CERTIFICATE_FILE), (CERTIFICATE_FILE, KEY_FILE)] {
            let dir = tempfile::tempdir().unwrap();
            let (made, _) = load_or_create(dir.path()).unwrap();
            std::fs::hard_link(dir.path().join(linked), dir.path().join(format!(".{linked}.77"))).unwrap();
            std::fs::rename(dir.path().join(lacking), dir.path().join(format!(".{lacking}.77"))).unwrap();
            // Another start was killed before it had linked anything.
            for name in [KEY_FILE, CERTIFICATE_FILE] {
                std::fs::write(dir.path().join(format!(".{name}.76")), "another").unwrap();
            }
            let (found, new) = load_or_create(dir.path()).unwrap();
            assert!(new, "nobody was told its fingerprint yet");
            assert_eq!(found.fingerprint(), made.fingerprint());
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
        }
    }

    #[test]
    fn a_half_pair_is_not_mended_with_a_stranger() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path()).unwrap();
        std::fs::rename(dir.path().join(CERTIFICATE_FILE), dir.path().join(format!(".{CERTIFICATE_FILE}.77"))).unwrap();
        assert!(matches!(load_or_create(dir.path()), Err(CertsError::Half { .. })));
    }

    #[test]
    fn a_key_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path()).unwrap();
        let file = dir.path().join(KEY_FILE);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(dir.path()).unwrap_err();
        assert!(matches!(error, CertsError::OpenToOthers { mode: 0o640, .. }));
        assert!(error.hint().contains("chmod 600"));
    }

    #[test]
    fn damaged_files_are_refused_by_name() {
        for damaged in [KEY_FILE, CERTIFICATE_FILE] {
            let dir = tempfile::tempdir().unwrap();
            load_or_create(dir.path()).unwrap();
            std::fs::write(dir.path().join(damaged), "-----BEGIN NOTHING-----\n").unwrap();
            let error = load_or_create(dir.path()).unwrap_err();
            assert!(matches!(&error, CertsError::Damaged { file, .. } if file.ends_with(damaged)), "{error}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = load_or_create(&file.path().join("certs")).unwrap_err();
        assert!(matches!(error, CertsError::Unreadable { .. } | CertsError::Unwritable { .. }), "{error}");
    }
}
