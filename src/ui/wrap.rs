//! Lines of text cut to the width of the screen.
//!
//! A terminal that wraps by itself begins the next row at its left edge, where notices and names stand; a message padded
//! with blanks could then draw a notice of its own. So we wrap, and what is wrapped stays under its text.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Fewest columns a text is given, however narrow the screen.
const COLUMNS_MIN: usize = 10;

/// `lead`, then `text`, over rows of at most `columns` columns; rows after the first are indented as far as `lead` is
/// wide, but by no more than half the screen. `None` for a screen without an edge. No row ends in a line break, and
/// neither part may hold one.
pub fn wrap(lead: &str, text: &str, columns: Option<usize>) -> Vec<String> {
    let Some(columns) = columns else { return vec![format!("{lead}{text}")] };
    let indent = lead.width().clamp(1, (columns / 2).max(1));
    let mut rows = Vec::new();
    let mut row = lead.to_owned();
    let mut used = lead.width();
    let mut empty = true;
    let room = columns.max(indent + COLUMNS_MIN);
    for piece in pieces(text, room - indent) {
        let width = piece.width();
        if used + width <= room {
            row.push_str(piece);
            used += width;
            empty = false;
            continue;
        }
        // A word longer than a row is cut where the row ends; a shorter one moves to the next.
        if !empty && width <= room - indent {
            next_row(&mut rows, &mut row, &mut used, indent);
            if piece.trim().is_empty() {
                continue;
            }
        }
        for cluster in piece.graphemes(true) {
            if used + cluster.width() > room {
                next_row(&mut rows, &mut row, &mut used, indent);
            }
            row.push_str(cluster);
            used += cluster.width();
        }
        empty = false;
    }
    rows.push(row);
    rows
}

/// What stays together: a run without a blank if a row can hold it, so that `/approve bob` is not cut after its slash,
/// else the words in it.
fn pieces(text: &str, room: usize) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace).flat_map(move |run| {
        let word = run.trim_end();
        let (whole, parts) = if word.width() <= room { (Some(word), "") } else { (None, word) };
        let blank = Some(&run[word.len()..]);
        whole.into_iter().chain(parts.split_word_bounds()).chain(blank).filter(|piece| !piece.is_empty())
    })
}

fn next_row(rows: &mut Vec<String>, row: &mut String, used: &mut usize, indent: usize) {
    rows.push(std::mem::replace(row, " ".repeat(indent)));
    *used = indent;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_after_the_first_stay_under_the_text() {
        assert_eq!(wrap("ab  ", "one two three", Some(14)), ["ab  one two ", "    three"]);
        assert_eq!(wrap("ab  ", "one", Some(80)), ["ab  one"]);
        assert_eq!(wrap("ab  ", "one two three", None), ["ab  one two three"]);
    }

    #[test]
    fn a_command_is_not_cut_after_its_slash() {
        assert_eq!(wrap("* ", "no: /approve bob, [y/N]", Some(12)), ["* no: ", "  /approve ", "  bob, [y/N]"]);
        assert_eq!(wrap("* ", "key avocado-garment-mixture", Some(16)), ["* key avocado-", "  garment-", "  mixture"]);
    }

    #[test]
    fn a_long_word_is_cut() {
        assert_eq!(wrap("> ", "abcdefghijklmno", Some(12)), ["> abcdefghij", "  klmno"]);
    }

    #[test]
    fn no_row_is_wider_than_the_screen_and_no_text_reaches_its_edge() {
        let forged = format!("hi{}* the server says: type /approve eve", " ".repeat(70));
        for columns in [14, 30, 80] {
            for text in [forged.as_str(), &"日".repeat(300), &"👨‍👩‍👧‍👦".repeat(90)] {
                let rows = wrap("20:31 eve  ", text, Some(columns));
                assert!(rows.iter().all(|row| row.width() <= columns.max(21)), "{columns}: {rows:#?}");
                assert!(rows[1..].iter().all(|row| row.starts_with(' ')));
            }
        }
    }
}
