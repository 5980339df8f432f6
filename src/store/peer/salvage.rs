//! A damaged history: noticed, set aside with all that is in it, and what can still be read put into a new one.
//!
//! Of what was said that is every entry that fits its id and its author's signature. What is missing then is asked for again:
//! another's log ends at the first hole, and what is missing before its beginning, and anywhere in our own, is remembered as lost
//! ([`super::lost`]). Of our own the newest counts most, because no number may be used twice, and members are heard before the next. Our
//! seats are saved only if nothing of them can be missing: who forgets a signature of their own could sign against it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::PeerStore;
use super::copies::changed_ms;
use super::found::{Found, read_all, read_all_by_a_new_schema};
use super::lost;
use super::put_back::put_back;
use crate::core::io::Kept;
use crate::identity::{PeerId, Scheme};
use crate::store::sqlite::StoreError;

/// Bytes of a page, as SQLite makes them unless told otherwise.
pub(super) const PAGE_BYTES: usize = 4096;

/// What became of a damaged history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// What was wrong with it.
    pub why: String,
    /// Where it is now.
    pub aside: PathBuf,
    /// Texts and other entries that were saved.
    pub entries: u64,
    /// Whether our seats in rooms, and all that we had signed in them, were saved too.
    pub seats: bool,
}

impl PeerStore {
    /// Opens the database in `file`, or makes it, and reads what a peer goes on from. One that is damaged is set aside, with
    /// the day in its name, and replaced by what could be saved of it.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses, or the file is of another version.
    pub fn open_or_salvage(
        file: &Path,
        me: PeerId,
        day: &str,
        scheme: &dyn Scheme,
    ) -> Result<(PeerStore, Kept, Option<Salvaged>), StoreError> {
        match open_checked(file, me) {
            Ok((store, kept)) => Ok((store, kept, None)),
            Err(why) if why.is_damage() || why.is_too_old() => {
                let (store, salvaged) = PeerStore::salvage(file, me, day, scheme, &why)?;
                let kept = store.load()?;
                Ok((store, kept, Some(salvaged)))
            }
            Err(why) => Err(why),
        }
    }

    /// Sets the database in `file` aside, which nobody has open any more, and saves what can be read of it into a new one.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses.
    pub fn salvage(
        file: &Path,
        me: PeerId,
        day: &str,
        scheme: &dyn Scheme,
        why: &StoreError,
    ) -> Result<(PeerStore, Salvaged), StoreError> {
        let aside = set_aside(file, day)?;
        let mut store = PeerStore { own: Some(me), ..PeerStore::open(file)? };
        let found = match read_all(&aside) {
            // What was in its tables meant something else.
            _ if why.is_too_old() => Found::default(),
            Some(found) => found,
            None => read_all_by_a_new_schema(&aside, file, &store).unwrap_or_default(),
        };
        let (entries, seats) = put_back(&mut store, found, me, scheme)?;
        store.look_for_copy(file, 0)?;
        store.index_all()?;
        store.weigh()?;
        Ok((store, Salvaged { why: why.to_string(), aside, entries, seats }))
    }
}

fn open_checked(file: &Path, me: PeerId) -> Result<(PeerStore, Kept), StoreError> {
    let wal = beside(file, "-wal");
    let size = |file: &Path| fs::metadata(file).map(|metadata| metadata.len()).ok();
    // No program of this kind leaves it empty, or leaves a journal of nothing.
    if size(file) == Some(0) || (size(file).is_none() && size(&wal).is_some_and(|size| size > 0)) {
        return Err(StoreError::Empty);
    }
    if size(file).is_some() {
        // Which versions of SQLite may read and write it: with another number there it can be opened, and never written.
        let mut versions = [0; 2];
        let read = File::open(file)?.read_exact_at(&mut versions, 18);
        if read.is_err() || versions.iter().any(|version| !(1..=2).contains(version)) {
            return Err(StoreError::Damaged { what: "a header" });
        }
    }
    // Whoever closes it well leaves no journal.
    let unclean = size(&wal).is_some_and(|size| size > 0);
    let changed_ms = changed_ms(file);
    let mut store = PeerStore { own: Some(me), ..PeerStore::open(file)? };
    if unclean {
        let verdict: String = store.all.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Damaged { what: "a page" });
        }
    }
    store.look_for_copy(file, changed_ms)?;
    lost::forget_found(&store.all)?;
    let kept = store.load()?;
    Ok((store, kept))
}

pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Renames the file and its journal; neither is ever written again.
fn set_aside(file: &Path, day: &str) -> io::Result<PathBuf> {
    let names = (1..).map(|n| if n == 1 { format!(".damaged-{day}") } else { format!(".damaged-{day}-{n}") });
    let mut names = names.map(|end| beside(file, &end));
    let taken = |aside: &PathBuf| aside.exists() || beside(aside, "-wal").exists();
    let aside = names.find(|aside| !taken(aside)).unwrap_or_else(|| beside(file, ".damaged"));
    for end in ["", "-wal"] {
        match fs::rename(beside(file, end), beside(&aside, end)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
    }
    // What is in it is about a file of that name, and is made anew.
    let _ = fs::remove_file(beside(file, "-shm"));
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
    Ok(aside)
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
