//! The identity on disk: one file, 32 bytes of seed in hex, readable by its owner only.
//!
//! Never overwrites an identity, and never uses one that others could have read (THREATS.md row 27).

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::identity::{Fingerprint, Identity, Signer as _};

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "identity";

/// Reads the identity in `data_dir`, or makes one there if there is none; tells whether it is new.
///
/// # Errors
/// [`IdentityFileError`], each with what the user can do.
pub fn load_or_create(data_dir: &Path) -> Result<(Identity, bool), IdentityFileError> {
    let file = data_dir.join(FILE_NAME);
    match File::open(&file) {
        Ok(open) => load(open, &file).map(|identity| (identity, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(data_dir, &file).map(|identity| (identity, true))
        }
        Err(why) => Err(IdentityFileError::Unreadable { file, why }),
    }
}

/// The words of the identity in `data_dir`, which is made if there is none.
///
/// # Errors
/// As [`load_or_create`].
pub fn fingerprint(data_dir: &Path) -> Result<Fingerprint, IdentityFileError> {
    load_or_create(data_dir).map(|(identity, _)| identity.id().fingerprint())
}

fn load(mut open: File, file: &Path) -> Result<Identity, IdentityFileError> {
    let unreadable = |why| IdentityFileError::Unreadable { file: file.to_owned(), why };
    let metadata = open.metadata().map_err(unreadable)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(IdentityFileError::OpenToOthers { file: file.to_owned(), mode: metadata.mode() & 0o777 });
    }
    // One byte more than a seed and a newline take is enough to see that it is something else.
    let mut text = Zeroizing::new(String::new());
    io::Read::take(&mut open, 66).read_to_string(&mut text).map_err(unreadable)?;
    let seed = parse_seed(text.trim_end()).ok_or_else(|| IdentityFileError::Damaged { file: file.to_owned() })?;
    Ok(Identity::from_seed(&seed))
}

fn parse_seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut seed = Zeroizing::new([0; 32]);
    for (byte, digits) in seed.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(seed)
}

/// Written beside its place, synced, then moved there, so that a crash or a full disk leaves no half key.
fn create(data_dir: &Path, file: &Path) -> Result<Identity, IdentityFileError> {
    let unwritable = |why| IdentityFileError::Unwritable { file: file.to_owned(), why };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(unwritable)?;
    let mut seed = Zeroizing::new([0; 32]);
    rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut *seed)
        .map_err(|why| unwritable(io::Error::other(why)))?;
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in seed.iter() {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');

    let temporary = data_dir.join(format!(".{FILE_NAME}.{}", std::process::id()));
    let written = write_new(&temporary, text.as_bytes())
        // A hard link refuses to replace an identity that another process made meanwhile; a rename would not.
        .and_then(|()| std::fs::hard_link(&temporary, file))
        .and_then(|()| File::open(data_dir)?.sync_all());
    let _ = std::fs::remove_file(&temporary);
    match written {
        Ok(()) => Ok(Identity::from_seed(&seed)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(File::open(file).map_err(unwritable)?, file),
        Err(why) => Err(unwritable(why)),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Why there is no identity to start with.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// It is there and can't be read.
    #[error("the identity in {file} can't be read: {why}")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// It can't be made.
    #[error("a new identity can't be kept in {file}: {why}")]
    Unwritable {
        /// Which file.
        file: PathBuf,
        /// What the system said: a full disk, no permission.
        why: io::Error,
    },
    /// Others can read it, so it may be somebody else's by now.
    #[error("the identity in {file} can be read by others (mode {mode:03o})")]
    OpenToOthers {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 64 hex digits.
    #[error("the identity in {file} is damaged")]
    Damaged {
        /// Which file.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_identity_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("deep/er");
        let (made, new) = load_or_create(&data).unwrap();
        assert!(new);
        let (found, new) = load_or_create(&data).unwrap();
        assert!(!new);
        assert_eq!(made.id(), found.id());
        assert_eq!(std::fs::metadata(data.join(FILE_NAME)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn an_identity_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path()).unwrap();
        let file = dir.path().join(FILE_NAME);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_create(dir.path()), Err(IdentityFileError::OpenToOthers { mode: 0o640, .. })));
    }

    #[test]
    fn a_damaged_identity_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE_NAME);
        write_new(&file, b"not a seed\n").unwrap();
        assert!(matches!(load_or_create(dir.path()), Err(IdentityFileError::Damaged { .. })));
        assert_eq!(std::fs::read(&file).unwrap(), b"not a seed\n");
    }
}
