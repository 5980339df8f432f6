//! Text from outside, made fit for a terminal: whatever it holds, it can neither steer the terminal nor reorder, cover
//! or imitate what stands around it (THREATS.md rows 18 and 19).
//!
//! No control byte leaves these functions. Control characters become pictures (`␛`), invisible and direction-changing
//! ones their number (`<U+202E>`), piles of combining marks are cut, and text that runs from right to left is isolated.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::peer::api::limits::CLUSTER_CHARS_MAX;

/// Opens a run of text whose direction concerns nobody outside (UAX 9, FSI).
const ISOLATE: char = '\u{2068}';
/// Closes it (PDI).
const POP: char = '\u{2069}';

/// One line for a person: all of `text`, with nothing left in it that acts.
pub fn text(text: &str) -> String {
    isolated(visible(text))
}

/// As [`text`], cut to `columns` columns, the last of them `…` if anything is missing.
pub fn field(text: &str, columns: usize) -> String {
    let visible = visible(text);
    if visible.width() <= columns {
        return isolated(visible);
    }
    let mut cut = String::new();
    let mut width = 0;
    for cluster in visible.graphemes(true) {
        width += cluster.width();
        if width >= columns {
            break;
        }
        cut.push_str(cluster);
    }
    cut.push('…');
    isolated(cut)
}

/// Several lines of the system's or a library's words, each escaped; the line breaks are kept.
pub fn lines(text: &str) -> String {
    text.lines().map(self::text).collect::<Vec<_>>().join("\n")
}

/// For the next program in a pipe: ordinary text stays byte for byte, tabs included; what could act on a terminal at the
/// end of the pipe, or end the line early, becomes visible.
pub fn pipe(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| c == '\t' || !(c.is_control() || is_override(c) || is_line_break(c));
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmless(c) { out.push(c) } else { picture(c, &mut out) }
    }
    Cow::Owned(out)
}

fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        for (at, c) in cluster.chars().enumerate() {
            if at == CLUSTER_CHARS_MAX {
                out.push('…');
                break;
            }
            if acts(c) { picture(c, &mut out) } else { out.push(c) }
        }
    }
    out
}

fn isolated(text: String) -> String {
    if text.chars().any(is_right_to_left) { format!("{ISOLATE}{text}{POP}") } else { text }
}

/// Whether a character does something other than being seen. Joiners stay: Persian and emoji need them, and the bound on
/// a cluster limits them.
fn acts(c: char) -> bool {
    c.is_control()
        || is_override(c)
        || is_line_break(c)
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

fn picture(c: char, out: &mut String) {
    match u32::from(c) {
        code @ 0..=0x1f => out.push(char::from_u32(0x2400 + code).unwrap_or('\u{fffd}')),
        0x7f => out.push('\u{2421}'),
        code => out.push_str(&format!("<U+{code:04X}>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The corpus of everything that has been used against terminals, and what a person must see instead.
    #[test]
    fn what_acts_on_a_terminal_is_only_seen() {
        let corpus = [
            ("plain, with ünïcode and 日本語", "plain, with ünïcode and 日本語"),
            ("\u{1b}[2Jgone", "␛[2Jgone"),
            ("\u{1b}]52;c;cm0gLXJm\u{7}", "␛]52;c;cm0gLXJm␇"),
            ("\u{9b}31mred", "<U+009B>31mred"),
            ("\u{9d}0;title\u{9c}", "<U+009D>0;title<U+009C>"),
            ("a\nb\r\nc\td\u{8}\u{7f}\0", "a␊b␍␊c␉d␈␡␀"),
            ("nel\u{85}ls\u{2028}ps\u{2029}", "nel<U+0085>ls<U+2028>ps<U+2029>"),
            ("\u{202e}txt.exe", "<U+202E>txt.exe"),
            ("a\u{2066}b\u{2069}", "a<U+2066>b<U+2069>"),
            ("zero\u{200b}width\u{feff}", "zero<U+200B>width<U+FEFF>"),
            ("tag\u{e0041}", "tag<U+E0041>"),
            ("🇩🇪 👨‍👩‍👧‍👦 ❤️", "🇩🇪 👨‍👩‍👧‍👦 ❤️"),
            ("שלום", "\u{2068}שלום\u{2069}"),
        ];
        for (bad, seen) in corpus {
            assert_eq!(text(bad), seen, "{bad:?}");
            assert!(!text(bad).chars().any(char::is_control), "{bad:?}");
        }
    }

    #[test]
    fn every_control_character_is_replaced() {
        for code in (0..0x20).chain(0x7f..0xa0) {
            let c = char::from_u32(code).unwrap().to_string();
            assert!(!text(&c).chars().any(char::is_control), "U+{code:04X}");
            assert!(code == 9 || !pipe(&c).chars().any(char::is_control), "U+{code:04X} in a pipe");
        }
    }

    #[test]
    fn a_pile_of_marks_is_cut() {
        let zalgo = format!("a{}b", "\u{301}".repeat(10_000));
        let shown = text(&zalgo);
        assert!(shown.chars().count() < 2 * CLUSTER_CHARS_MAX, "{}", shown.chars().count());
        assert!(shown.ends_with('b'));
    }

    #[test]
    fn ten_thousand_columns_are_cut_to_what_fits() {
        for wide in ["x".repeat(10_000), "日".repeat(5_000), "\u{1b}".repeat(10_000)] {
            let shown = field(&wide, 40);
            assert!(shown.width() <= 40 && shown.ends_with('…'), "{shown}");
        }
        assert_eq!(field("short", 40), "short");
    }

    #[test]
    fn a_pipe_carries_ordinary_text_byte_for_byte() {
        for ordinary in ["", "  leading and trailing  ", "tab\there", "Zoë 日本 שלום 👨‍👩‍👧‍👦", "soft\u{ad}hyphen"]
        {
            assert_eq!(pipe(ordinary), ordinary);
        }
        assert_eq!(pipe("two\nlines \u{1b}[m\u{202e}"), "two␊lines ␛[m<U+202E>");
    }
}
