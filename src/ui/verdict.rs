//! What the check of a membership history found, in words and for programs, and what no such check can find.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::decisions::moment;
use super::membership::{Change, Who, change, who};
use super::notices::pad;
use super::words::{self, Said, shown};
use crate::peer::api::{Audited, Flaw, FlawKind, Record, RecordKind};

/// Widest column of people, in columns of the screen; longer lists push the rest of their line.
const WHO_COLUMNS_MAX: usize = 40;

/// The answer of `verify-log --json` for a history that holds.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "verified")]
pub(super) struct Verified {
    room: String,
    room_id: String,
    steps: usize,
    records: Vec<Change>,
    members: Vec<Who>,
    unproved: Vec<&'static str>,
}

/// The answer of `verify-log --json` for one that doesn't.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "flaw")]
pub(super) struct Flawed {
    epoch: u64,
    flaw: &'static str,
    message: String,
}

/// A history that holds, for programs.
pub(super) fn verified(audited: &Audited) -> Verified {
    let late = begins_late(audited).then_some("beginning");
    Verified {
        room: audited.name.to_string(),
        room_id: audited.room.to_string(),
        steps: audited.records.len().saturating_sub(1),
        records: audited.records.iter().map(change).collect(),
        members: audited.members.iter().map(|(name, key)| who(name, key, None)).collect(),
        unproved: late.into_iter().chain(["times", "left_or_dropped", "newest"]).collect(),
    }
}

/// One that doesn't, for programs.
pub(super) fn flawed(found: Flaw) -> Flawed {
    let Said { code, message, .. } = flaw(found);
    Flawed { epoch: found.epoch, flaw: code, message }
}

/// One that doesn't, in words.
pub(super) fn flaw(found: Flaw) -> Said {
    let (code, what) = match found.what {
        FlawKind::Unreadable => ("unreadable", "its bytes are damaged".to_owned()),
        FlawKind::Genesis => ("genesis", "the founding of the room is not signed by its creator".to_owned()),
        FlawKind::Beginning => ("beginning", "the first list of members is not one that anybody signed for".to_owned()),
        FlawKind::Step(misdeed) => ("step", format!("somebody {}", words::misdeed(misdeed))),
        FlawKind::Words => ("words", "what it says in words is not what was signed".to_owned()),
    };
    let hint = "do not believe this file; ask another member for theirs";
    Said::new(code, format!("not verified: at epoch {}, {what}", found.epoch), Some(hint.to_owned()))
}

/// One that holds, in words: a table, the verdict, and its limits.
pub(super) fn lines(audited: &Audited, zone: &TimeZone) -> Vec<String> {
    let rows: Vec<[String; 5]> = audited.records.iter().map(|record| row(record, zone)).collect();
    let head = ["EPOCH", "TIME", "WHAT", "WHO", "SIGNED BY"].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| unicode_width::UnicodeWidthStr::width(row[column].as_str()));
        cells.max().unwrap_or(0).min(WHO_COLUMNS_MAX)
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        format!("{}  {}", cells.join("  "), row[4])
    };
    let mut lines: Vec<String> = std::iter::once(&head).chain(&rows).map(line).collect();
    let members = audited.members.iter().map(|(name, key)| format!("{} {}", shown(name), key.fingerprint()));
    lines.push(format!(
        "verified: {}, room id {}, now: {}",
        match audited.records.len().saturating_sub(1) {
            1 => "1 step".to_owned(),
            steps => format!("{steps} steps"),
        },
        audited.room,
        members.collect::<Vec<_>>().join(", ")
    ));
    if let (true, Some(first)) = (begins_late(audited), audited.records.first()) {
        let epoch = first.epoch;
        lines.push(format!("not proved: how the members of epoch {epoch} came in; this history begins with them"));
    }
    let last = audited.records.last().map_or(0, |record| record.epoch);
    lines.push(format!(
        "not proved: the times, and who left rather than could not be reached; these are notes of who wrote the file. Nor \
         that nothing followed epoch {last}"
    ));
    lines
}

fn begins_late(audited: &Audited) -> bool {
    audited.records.first().is_some_and(|record| record.epoch > 0)
}

fn row(record: &Record, zone: &TimeZone) -> [String; 5] {
    let who: Vec<_> =
        record.who.iter().map(|(name, key)| format!("{}@{}", shown(name), key.fingerprint().tag())).collect();
    let what = match record.what {
        RecordKind::Begin if record.epoch == 0 => "founded it",
        RecordKind::Begin => "was in",
        RecordKind::Admitted => "let in",
        RecordKind::Left => "left",
        RecordKind::Dropped => "not reached",
        RecordKind::Removed => "removed",
    };
    let signed: Vec<_> = match record.what {
        RecordKind::Begin if record.epoch == 0 => record.who.iter().map(|(name, _)| shown(name)).collect(),
        _ => record.signed.iter().map(|(name, ..)| shown(name)).collect(),
    };
    let signed = if signed.is_empty() { "-".to_owned() } else { signed.join(", ") };
    let when = record.at_ms.map_or("-".to_owned(), |ms| moment(ms, zone));
    [record.epoch.to_string(), when, what.to_owned(), who.join(", "), signed]
}
