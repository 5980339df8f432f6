//! Text into cells. The one place that writes what may have come from others, after it was escaped: it keeps each row
//! within its columns, and the direction of a right-to-left row to itself.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Opens a run of text whose direction concerns nobody outside (UAX 9, FSI), and closes it (PDI).
const ISOLATE: (char, char) = ('\u{2068}', '\u{2069}');

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
    for cluster in text.graphemes(true) {
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
}
