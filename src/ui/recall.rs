//! Texts of earlier, as rows for people: each with its day and time, so that nobody takes them for news.

use jiff::tz::TimeZone;

use super::escape;
use super::messages::handle;
use super::notices::pad;
use super::words::shown;
use crate::peer::api::{Event, Manner, Recall, Recalled, RoomName};

/// So many messages, in words.
pub fn messages_in_words(count: u64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

/// Columns that short names are padded to.
const NAME_COLUMNS: usize = 8;

/// The sentence above texts of earlier.
pub fn heading(room: &RoomName, why: Recall, count: usize, more: u64) -> String {
    let room = shown(room);
    let what = messages_in_words(count as u64);
    match (why, count, more) {
        (Recall::Search, 0, _) => format!("nothing in the history of {room} fits"),
        (Recall::Search, _, 0) => format!("{what} of {room} found:"),
        (Recall::Search, _, more) => {
            format!("the newest {what} of {room} that fit, of {} in all:", count as u64 + more)
        }
        (_, 0, _) => format!("nothing of {room} is in the history"),
        (_, _, 0) => format!("from the history of {room}, {what}:"),
        (_, _, more) => {
            format!("from the history of {room}, the last {what}, with {} before them:", messages_in_words(more))
        }
    }
}

/// What stands before a text of earlier: when, and who, by this label.
pub fn lead(message: &Recalled, label: &str, zone: &TimeZone) -> String {
    format!("{} {}  ", moment(message.sent_at_ms, zone), pad(label, NAME_COLUMNS))
}

/// What is shown of a text of earlier: its last wording, how it was said, the signs under it, and, where it is to be `named`, the
/// beginning of its id.
pub fn shown_text(message: &Recalled, named: bool) -> String {
    let mut text = match message.manner {
        _ if message.unsaid => "(taken back by its author)".to_owned(),
        Manner::Action => format!("* {}", escape::text(&message.text)),
        Manner::Reply(to) => format!("(to {}) {}", handle(&to), escape::text(&message.text)),
        Manner::Text => escape::text(&message.text),
    };
    if message.edited {
        text.push_str(" (edited)");
    }
    for (sign, by) in &message.signs {
        text.push_str(&format!(" [{} {}]", escape::field(sign, 24), by.len()));
    }
    if named {
        text.push_str(&format!("  {}", handle(&message.id)));
    }
    text
}

/// A moment of the author's clock, to the minute. One that no calendar has is none.
pub fn moment(ms: u64, zone: &TimeZone) -> String {
    let moment = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = |moment: jiff::Timestamp| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    moment.map_or("----------------".to_owned(), at)
}

/// Who wrote it: by name, else by the first words of the key.
pub fn label(message: &Recalled) -> String {
    message.from.as_ref().map_or_else(|| format!("@{}", message.key.fingerprint().tag()), shown)
}

/// The sentence and the rows of an [`Event::History`], where nothing wraps them.
pub fn lines(event: &Event, zone: &TimeZone) -> Vec<String> {
    let Event::History { room, why, messages, more } = event else { return Vec::new() };
    let named = *why == Recall::Last;
    let rows = messages.iter().map(|message| lead(message, &label(message), zone) + &shown_text(message, named));
    std::iter::once(heading(room, *why, messages.len(), *more)).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus;

    #[test]
    fn each_text_stands_with_its_day_and_nothing_in_it_acts() {
        let rows = lines(&corpus::history(Recall::Joined, 7), &TimeZone::UTC);
        assert_eq!(
            rows,
            [
                "from the history of lobby, the last 2 messages, with 7 messages before them:",
                "2026-11-21 02:00 bob       ␛]52;c;cm0=␇<U+009B>2J␍␊<U+202E>evil",
                &format!("2026-11-21 02:00 @{}  my own", corpus::words(1).tag()),
            ]
        );
    }

    #[test]
    fn the_sentence_tells_how_many_there_are() {
        let heading = |why, count, more| heading(&corpus::lobby(), why, count, more);
        assert_eq!(heading(Recall::Search, 0, 0), "nothing in the history of lobby fits");
        assert_eq!(heading(Recall::Search, 1, 0), "1 message of lobby found:");
        assert_eq!(heading(Recall::Search, 20, 3), "the newest 20 messages of lobby that fit, of 23 in all:");
        assert_eq!(heading(Recall::Last, 0, 0), "nothing of lobby is in the history");
        assert_eq!(heading(Recall::Last, 3, 0), "from the history of lobby, 3 messages:");
    }

    #[test]
    fn a_clock_gone_mad_is_no_moment() {
        assert_eq!(moment(u64::MAX, &TimeZone::UTC), "----------------");
    }
}
