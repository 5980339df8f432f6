//! `export --members` and `verify-log`: a room's membership history as a file, and the check of such a file.
//!
//! The file is JSON: the signed bytes in hex, and beside them what they say in words, for people who open it. Only the bytes
//! count; words that say something else than the bytes are a flaw like any other.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::args::Export;
use super::exit::Exit;
use super::settle::Settled;
use super::words::{self, Said, shown};
use super::{json, once, verdict};
use crate::peer::api::limits::MEMBERSHIP_FILE_BYTES_MAX;
use crate::peer::api::{Audited, Evidence, Flaw, FlawKind, Name, PeerId, Record, audit, held};

const FORMAT: &str = "p2pchat-membership";
const VERSION: u32 = 1;

/// How a command ends, and what it has to say then.
type Outcome = (Exit, Option<Said>);

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u32,
    room: String,
    room_id: String,
    /// The signed genesis, and who was in at the beginning.
    genesis: String,
    base: String,
    begin: Change,
    steps: Vec<Step>,
    members: Vec<Who>,
}

/// One step: the signed bytes, the notes of its client, and what they say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    says: Change,
    step: String,
    note: String,
}

/// What a roster changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    what: String,
    who: Vec<Who>,
    signed: Vec<Who>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    name: String,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// Writes what this client holds of how a room came to its members.
pub fn export(settled: &Settled, export: &Export, stdout: &mut impl Write) -> Outcome {
    let evidence = match held(&settled.data_dir, &export.room) {
        Ok(evidence) => evidence,
        Err(why) => return (Exit::Failed, Some(words::membership_error(&why))),
    };
    let text = match audit(&evidence) {
        Ok(audited) => text(&evidence, &audited),
        Err(flaw) => return (Exit::Failed, Some(verdict::flaw(flaw))),
    };
    let Some(file) = &export.output else { return once::write_lines(stdout, &[text]) };
    let written = new_file(file).and_then(|mut file| writeln!(file, "{text}").and_then(|()| file.sync_all()));
    match written {
        Ok(()) => (Exit::Done, None),
        Err(why) => (Exit::Failed, Some(words::cant_write(Some(file), &why))),
    }
}

/// Who is in a room is for its members.
fn new_file(file: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

/// Checks such a file, with nothing but the file.
pub fn verify(file: &Path, as_json: bool, stdout: &mut impl Write) -> Outcome {
    let unreadable = |why: String| {
        let message = format!("{} is no membership history: {}", shown(file.display()), shown(why));
        let hint = "p2pchat export ROOM --members --output FILE writes one";
        (Exit::Usage, Some(Said::new("bad_file", message, Some(hint.to_owned()))))
    };
    let text = match read(file) {
        Ok(text) => text,
        Err(why) if why.kind() == io::ErrorKind::InvalidData => return unreadable("it is not a text".to_owned()),
        Err(why) => return (Exit::Usage, Some(words::unreadable_file(file, &why))),
    };
    let parsed = match parse(&text) {
        Ok(parsed) => parsed,
        Err(why) => return unreadable(why),
    };
    match (check(&parsed), as_json) {
        (Ok(audited), false) => once::write_lines(stdout, &verdict::lines(&audited, &jiff::tz::TimeZone::system())),
        (Ok(audited), true) => once::write_lines(stdout, &[json::object(&verdict::verified(&audited))]),
        (Err(flaw), false) => (Exit::Failed, Some(verdict::flaw(flaw))),
        (Err(flaw), true) => {
            let (exit, said) = once::write_lines(stdout, &[json::object(&verdict::flawed(flaw))]);
            (if exit == Exit::Done { Exit::Failed } else { exit }, said)
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let most = MEMBERSHIP_FILE_BYTES_MAX;
    let read = std::fs::File::open(file)?.take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<File, String> {
    let file: File = serde_json::from_str(text).map_err(|why| why.to_string())?;
    match (file.format.as_str(), file.version) {
        (FORMAT, VERSION) => Ok(file),
        (FORMAT, version) => Err(format!("it is of version {version}, and this program knows version {VERSION}")),
        _ => Err("it is of another format".to_owned()),
    }
}

/// The bytes are checked by their signatures, then the words by the bytes.
fn check(file: &File) -> Result<Audited, Flaw> {
    let epoch = file.begin.epoch;
    let bytes = |hex: &str, epoch| from_hex(hex).ok_or(Flaw { epoch, what: FlawKind::Unreadable });
    let steps = file.steps.iter().zip(epoch.saturating_add(1)..);
    let steps = steps.map(|(step, epoch)| Ok((bytes(&step.step, epoch)?, bytes(&step.note, epoch)?)));
    let evidence = Evidence {
        genesis: bytes(&file.genesis, 0)?,
        base: bytes(&file.base, epoch)?,
        steps: steps.collect::<Result<_, Flaw>>()?,
    };
    let audited = audit(&evidence)?;
    let told = told(&evidence, &audited);
    let words = |epoch| Flaw { epoch, what: FlawKind::Words };
    for (step, right) in file.steps.iter().zip(&told.steps) {
        if step != right {
            return Err(words(right.says.epoch));
        }
    }
    let head = |file: &File| File { steps: Vec::new(), members: Vec::new(), ..file.clone() };
    if head(file) != head(&told) {
        return Err(words(told.begin.epoch));
    }
    if *file != told {
        return Err(words(audited.records.last().map_or(0, |record| record.epoch)));
    }
    Ok(audited)
}

fn text(evidence: &Evidence, audited: &Audited) -> String {
    serde_json::to_string_pretty(&told(evidence, audited)).expect("strings, numbers and lists have a JSON form")
}

/// The file that says exactly this.
fn told(evidence: &Evidence, audited: &Audited) -> File {
    let mut says = audited.records.iter().map(change);
    let begin = says.next().expect("the audit tells of the first roster, too");
    let steps = says.zip(&evidence.steps);
    let steps = steps.map(|(says, (step, note))| Step { says, step: hex(step), note: hex(note) }).collect();
    File {
        format: FORMAT.to_owned(),
        version: VERSION,
        room: audited.name.to_string(),
        room_id: audited.room.to_string(),
        genesis: hex(&evidence.genesis),
        base: hex(&evidence.base),
        begin,
        steps,
        members: audited.members.iter().map(|(name, key)| who(name, key, None)).collect(),
    }
}

/// A roster in words.
pub(super) fn change(record: &Record) -> Change {
    Change {
        epoch: record.epoch,
        at: record.at_ms.map(json::rfc3339),
        what: json::kind_word(record.what).to_owned(),
        who: record.who.iter().map(|(name, key)| who(name, key, None)).collect(),
        signed: record.signed.iter().map(|(name, key, at)| who(name, key, *at)).collect(),
    }
}

/// Somebody in words.
pub(super) fn who(name: &Name, key: &PeerId, at_ms: Option<u64>) -> Who {
    Who { name: name.to_string(), fingerprint: key.fingerprint().to_string(), at: at_ms.map(json::rfc3339) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect()
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
