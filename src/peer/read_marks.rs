//! How far each room was read, and whether the first hint was given: what a face remembers over a restart.
//!
//! A small file of lines in the data folder. It decides nothing but where a line is drawn, so a file that is missing or says
//! nonsense is an empty one.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use data_encoding::HEXLOWER;

use crate::core::log::Place;
use crate::identity::RoomName;
use crate::limits::READ_MARKS_MAX;
use crate::wire::EntryId;

/// The file's name in the data folder.
const FILE: &str = "read-marks";

/// More bytes than all the marks have.
const FILE_BYTES_MAX: u64 = 128 * 1024;

/// The newest text of each room that the person has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadMarks {
    marks: BTreeMap<RoomName, (Place, EntryId)>,
    /// Whether the person was told the first few keys.
    pub hinted: bool,
}

impl ReadMarks {
    /// Those that [`ReadMarks::save`] kept in a data folder.
    pub fn load(data_dir: &Path) -> Self {
        let file = data_dir.join(FILE);
        let small = fs::metadata(&file).is_ok_and(|it| it.len() <= FILE_BYTES_MAX);
        let text = if small { fs::read_to_string(&file).unwrap_or_default() } else { String::new() };
        let mut marks = ReadMarks { hinted: !text.is_empty(), ..ReadMarks::default() };
        for (room, mark) in text.lines().filter_map(parse) {
            marks.set(&room, mark);
        }
        marks
    }

    /// Keeps them: all, or what was kept before.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn save(&self, data_dir: &Path) -> io::Result<()> {
        let (file, new) = (data_dir.join(FILE), data_dir.join("read-marks.new"));
        let mut text = String::from("# how far each room was read: room, epoch, depth, entry\n");
        for (room, (place, id)) in &self.marks {
            text.push_str(&format!("{room} {} {} {}\n", place.epoch, place.depth, HEXLOWER.encode(&id.0)));
        }
        let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        out.write_all(text.as_bytes())?;
        fs::rename(new, file)
    }

    /// The newest text of `room` that was seen.
    pub fn of(&self, room: &RoomName) -> Option<(Place, EntryId)> {
        self.marks.get(room).copied()
    }

    /// Notes that `room` was read up to here; `true` if that is further than before.
    pub fn set(&mut self, room: &RoomName, mark: (Place, EntryId)) -> bool {
        if self.of(room).is_some_and(|known| known >= mark) {
            return false;
        }
        if self.marks.len() == READ_MARKS_MAX && !self.marks.contains_key(room) {
            self.marks.pop_first();
        }
        self.marks.insert(room.clone(), mark);
        true
    }
}

fn parse(line: &str) -> Option<(RoomName, (Place, EntryId))> {
    let mut words = line.split(' ');
    let room = words.next()?.parse().ok()?;
    let place = Place { epoch: words.next()?.parse().ok()?, depth: words.next()?.parse().ok()? };
    let id = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
    Some((room, (place, EntryId(id.try_into().ok()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(depth: u64) -> (Place, EntryId) {
        (Place { epoch: 3, depth }, EntryId([depth as u8; 32]))
    }

    #[test]
    fn marks_survive_a_restart_and_only_go_forward() {
        let dir = tempfile::tempdir().unwrap();
        let room: RoomName = "lobby".parse().unwrap();
        let mut marks = ReadMarks::load(dir.path());
        assert!(!marks.hinted);
        assert!(marks.set(&room, mark(7)));
        assert!(!marks.set(&room, mark(6)));
        marks.save(dir.path()).unwrap();
        let again = ReadMarks::load(dir.path());
        assert_eq!(again.of(&room), Some(mark(7)));
        assert!(again.hinted);
    }

    #[test]
    fn nonsense_is_an_empty_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "lobby 1\nlobby x y z\n\u{1b}[2J 1 2 00\n").unwrap();
        assert_eq!(ReadMarks::load(dir.path()).of(&"lobby".parse().unwrap()), None);
    }
}
