//! Text into cells. The one place that writes what may have come from others, after it was escaped: it keeps each row
//! within its columns, and the direction of a right-to-left row to itself.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Opens a run of text whose direction concerns nobody outside (UAX 9, FSI), and closes it (PDI).
const ISOLATE: (char, char) = ('\u{2068}', '\u{2069}');

/// Joins pictures into one (U+200D).
const JOINER: char = '\u{200d}';

/// The first of the 26 halves of flags.
const FLAG_A: u32 = 0x1_f1e6;

/// Writes parts one after the other into the first row of `area`; gives back the columns that they took.
pub fn row<'a>(buffer: &mut Buffer, area: Rect, parts: impl Iterator<Item = (&'a str, Style)>) -> u16 {
    let area = area.intersection(buffer.area);
    let mut x = area.x;
    if area.height == 0 {
        return 0;
    }
    for (text, style) in parts {
        x = part(buffer, x, area, text, style);
    }
    x - area.x
}

fn part(buffer: &mut Buffer, from: u16, area: Rect, text: &str, style: Style) -> u16 {
    let isolated = text.chars().any(is_right_to_left);
    let mut x = from;
    let mut last: Option<u16> = None;
    let mut pending = String::new();
    if isolated {
        pending.push(ISOLATE.0);
    }
    // Before it is divided into cells: what is drawn as two letters takes two, or what is written over the first would leave the second.
    for cluster in agreed(text).graphemes(true) {
        // Whatever was escaped holds none; this is the last wall.
        if cluster.chars().any(char::is_control) {
            continue;
        }
        let width = u16::try_from(cluster.width()).unwrap_or(u16::MAX);
        if width == 0 {
            pending.push_str(cluster);
            continue;
        }
        if x.saturating_add(width) > area.right() {
            break;
        }
        pending.push_str(cluster);
        buffer[(x, area.y)].set_symbol(&pending).set_style(style);
        pending.clear();
        for covered in x + 1..x + width {
            buffer[(covered, area.y)].reset();
        }
        last = Some(x);
        x += width;
    }
    if isolated && let Some(last) = last {
        let closed = format!("{}{}", buffer[(last, area.y)].symbol(), ISOLATE.1);
        buffer[(last, area.y)].set_symbol(&closed);
    }
    x
}

/// A text as terminals agree about its columns. Many draw the parts of a joined one side by side, and each half of a flag by itself: what
/// is drawn beyond the columns reckoned with stays on the screen, among what others say. So of a joined one the first part is shown, and a
/// flag as its letters.
fn agreed(text: &str) -> Cow<'_, str> {
    let letter = |c: char| match u32::from(c).checked_sub(FLAG_A).and_then(|nth| u8::try_from(nth).ok()) {
        Some(nth) if nth < 26 => char::from(b'A' + nth),
        _ => c,
    };
    // Nearly all texts are drawn as they are, at every turn.
    if text.is_ascii() || text.chars().all(|c| c != JOINER && letter(c) == c) {
        return text.into();
    }
    let first = |cluster: &'_ str| cluster.chars().take_while(|c| *c != JOINER).map(letter).collect::<String>();
    text.graphemes(true).map(first).collect::<String>().into()
}

/// Fills the first row of `area` with a style, then writes `text`.
pub fn bar(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let area = area.intersection(buffer.area);
    if area.height == 0 {
        return;
    }
    for x in area.x..area.right() {
        buffer[(x, area.y)].reset();
    }
    buffer.set_style(Rect { height: 1, ..area }, style);
    row(buffer, area, std::iter::once((text, style)));
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_combining_characters_stay_within_the_row() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 1));
        let style = Style::default();
        assert_eq!(row(&mut buffer, Rect::new(0, 0, 6, 1), [("a日本語", style)].into_iter()), 5);
        assert_eq!(buffer[(5, 0)].symbol(), " ", "half a character is none");
        row(&mut buffer, Rect::new(0, 0, 6, 1), [("e\u{301}x", style)].into_iter());
        assert_eq!((buffer[(0, 0)].symbol(), buffer[(1, 0)].symbol()), ("e\u{301}", "x"));
    }

    #[test]
    fn a_right_to_left_row_is_isolated() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 1));
        let style = Style::default();
        row(&mut buffer, Rect::new(0, 0, 9, 1), [("x ", style), ("שלום", style)].into_iter());
        assert_eq!(buffer[(2, 0)].symbol(), "\u{2068}ש");
        assert_eq!(buffer[(5, 0)].symbol(), "ם\u{2069}");
    }

    #[test]
    fn a_control_character_never_reaches_a_cell() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 1));
        row(&mut buffer, Rect::new(0, 0, 9, 1), [("a\u{1b}[2Jb\n", Style::default())].into_iter());
        assert!(buffer.content.iter().all(|cell| !cell.symbol().chars().any(char::is_control)));
    }

    #[test]
    fn what_terminals_draw_in_different_columns_is_drawn_in_those_that_all_agree_about() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(agreed(family), "\u{1f468}");
        assert_eq!(agreed("\u{1f1e9}\u{1f1ea}"), "DE");
        assert_eq!(agreed("e\u{301}"), "e\u{301}");
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        let text = format!("{family}\u{1f1e9}\u{1f1ea} ok");
        let columns = row(&mut buffer, Rect::new(0, 0, 12, 1), std::iter::once((text.as_str(), Style::new())));
        assert_eq!(columns, 7);
        assert_eq!((buffer[(2, 0)].symbol(), buffer[(3, 0)].symbol()), ("D", "E"), "a cell each");
    }
}
