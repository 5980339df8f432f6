//! The commands that only read the history: `search` and `export`. They need no server, start no chat, and may run beside one.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::tz::TimeZone;

use super::args::{Export, Search};
use super::exit::Exit;
use super::settle::Settled;
use super::words::{self, Said, cant_write, shown};
use super::{json, once, recall};
use crate::peer::api::{Event, Exported, History, HistoryError, Recall, RoomId, RoomName};

/// How a command ends, and what it has to say then.
type Outcome = (Exit, Option<Said>);

/// Looks for words in the history of a room.
pub fn search(settled: &Settled, search: &Search, as_json: bool, stdout: &mut impl Write) -> Outcome {
    let found = open(settled, &search.room, search.room_id.as_deref())
        .and_then(|(mut history, room)| history.search(&room, &search.words.join(" "), search.count).map_err(words_of));
    match found {
        Ok(part) if as_json => once::write_lines(stdout, &[json::history_line(&search.room, &part)]),
        Ok(part) => {
            let (room, why) = (search.room.clone(), Recall::Search);
            let event = Event::History { room, why, messages: part.messages, more: part.more };
            once::write_lines(stdout, &recall::lines(&event, &TimeZone::system()))
        }
        Err(said) => (Exit::Failed, Some(said)),
    }
}

/// Writes the whole transcript of a room.
pub fn export(settled: &Settled, export: &Export, as_json: bool, stdout: &mut impl Write) -> Outcome {
    if export.text && as_json {
        return (Exit::Usage, Some(Said::new("usage", "--text or --json, not both", None)));
    }
    let (mut history, room) = match open(settled, &export.room, export.room_id.as_deref()) {
        Ok(opened) => opened,
        Err(said) => return (Exit::Failed, Some(said)),
    };
    let mut write = |to: &mut dyn Write| {
        let mut to = BufWriter::new(to);
        let zone = TimeZone::system();
        let each = |entry| match line(&export.room, &entry, as_json, &zone) {
            Some(line) => writeln!(to, "{line}"),
            None => Ok(()),
        };
        let exported = history.export(&room, each).map_err(words_of)?;
        Ok(exported.and_then(|()| to.flush()))
    };
    let written = match &export.output {
        Some(file) => new_file(file).map_or_else(|why| Ok(Err(why)), |mut file| write(&mut file)),
        None => write(stdout),
    };
    match (written, &export.output) {
        (Err(said), _) => (Exit::Failed, Some(said)),
        (Ok(Ok(())), _) => (Exit::Done, None),
        (Ok(Err(why)), None) if why.kind() == ErrorKind::BrokenPipe => (Exit::Done, None),
        (Ok(Err(why)), output) => (Exit::Failed, Some(cant_write(output.as_deref(), &why))),
    }
}

/// Writes what was said in a room into a new file, beside the chat that is running: how many messages.
///
/// # Errors
/// What to tell the person.
pub fn export_here(data_dir: &Path, room: &RoomName, file: &Path) -> Result<u64, Said> {
    let mut history = History::open(data_dir).map_err(words_of)?;
    let (id, _) = history.room(room, None).map_err(words_of)?;
    let unwritable = |why: io::Error| cant_write(Some(file), &why);
    let mut to = BufWriter::new(new_file(file).map_err(unwritable)?);
    let (zone, mut count) = (TimeZone::system(), 0);
    let each = |entry| match line(room, &entry, false, &zone) {
        Some(line) => {
            count += 1;
            writeln!(to, "{line}")
        }
        None => Ok(()),
    };
    history.export(&id, each).map_err(words_of)?.and_then(|()| to.flush()).map_err(unwritable)?;
    Ok(count)
}

/// What was said is for its readers only.
fn new_file(file: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

fn line(room: &RoomName, entry: &Exported, as_json: bool, zone: &TimeZone) -> Option<String> {
    if as_json {
        return Some(json::export_line(room, entry));
    }
    let name = entry.name.as_ref().map_or_else(|| format!("@{}", entry.author.fingerprint().tag()), shown);
    let text = recall::shown_text(entry.shown.as_ref()?, false);
    Some(format!("{}  {name}  {text}", recall::moment(entry.sent_at_ms, zone)))
}

/// The history, and the room that is meant. Where there were several of that name, that is said: people must know which one
/// they see.
fn open(settled: &Settled, name: &RoomName, id: Option<&str>) -> Result<(History, RoomId), Said> {
    let id = id.map(str::parse).transpose().map_err(|_| {
        Said::new(
            "no_history",
            "a room's id is 64 hex digits",
            Some("without --room-id it is the newest room".to_owned()),
        )
    })?;
    let history = History::open(&settled.data_dir).map_err(words_of)?;
    let (room, among) = history.room(name, id).map_err(words_of)?;
    if among > 1 {
        let rooms = history.rooms_named(name).map_err(words_of)?;
        let ids: Vec<String> = rooms.iter().map(RoomId::to_string).collect();
        let _ = writeln!(
            io::stderr(),
            "* there were {among} rooms {}; this is the newest. --room-id chooses:\n*   {}",
            shown(name),
            ids.join("\n*   ")
        );
    }
    Ok((history, room))
}

fn words_of(error: HistoryError) -> Said {
    words::history_error(&error)
}
