//! The rows that are typed in, and above them the commands that fit what is typed. What acts in a pasted text is shown as
//! what it is, here too.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::super::commands;
use super::super::model::{Model, Question};
use super::super::rows::{Role, plain};
use super::super::theme::Theme;
use super::put;
use crate::ui::escape;
use crate::ui::notices::pad;

/// Most rows of the draft that are shown.
const ROWS_MAX: usize = 6;

/// Most commands that are offered.
const OFFERED_MAX: usize = 6;

/// The draft on the screen: its rows, and where the cursor stands.
struct Laid {
    rows: Vec<String>,
    row: usize,
    column: usize,
}

/// How many rows the draft takes on a screen of this size.
pub fn rows(model: &Model, columns: u16, height: u16) -> u16 {
    let rows = laid(model, usize::from(columns)).rows.len().min(ROWS_MAX);
    u16::try_from(rows).unwrap_or(1).clamp(1, (height / 2).max(1))
}

/// Draws it, and says where the cursor stands.
pub fn draw(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) -> Position {
    let laid = laid(model, usize::from(area.width));
    let shown = usize::from(area.height).max(1);
    let top = (laid.row + 1).saturating_sub(shown);
    for (row, y) in laid.rows.iter().skip(top).take(shown).zip(area.y..) {
        put::row(buffer, Rect { y, height: 1, ..area }, std::iter::once((row.as_str(), Style::default())));
    }
    let empty = model.tab().draft.is_empty();
    if empty && model.question.is_some() {
        let hint = match model.question {
            Some(Question::Pin) => "  yes or no",
            _ => "  y, or Enter for no",
        };
        let place = Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area };
        put::row(buffer, place, std::iter::once((hint, theme.of(Role::Dim))));
    }
    let column = u16::try_from(laid.column).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
    Position { x: area.x + column, y: area.y + u16::try_from(laid.row - top).unwrap_or(0) }
}

/// Shows the commands that begin like what is typed, over the last messages.
pub fn offer(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let text = model.tab().draft.text();
    let Some(typed) = text.strip_prefix('/').filter(|typed| !typed.starts_with('/') && !typed.contains('\n')) else {
        return;
    };
    let (word, rest) = typed.split_once(' ').map_or((typed, None), |(word, rest)| (word, Some(rest)));
    let fits = |name: &str| if rest.is_some() { name == word } else { name.starts_with(word) };
    let fitting: Vec<_> = commands::table().filter(|(name, ..)| fits(name)).collect();
    let most = OFFERED_MAX.min(usize::from(area.height));
    let count = u16::try_from(fitting.len().min(most)).unwrap_or(0);
    let style = theme.of(Role::Notice).add_modifier(Modifier::REVERSED);
    for (number, (_, usage, help)) in fitting.iter().take(most).enumerate() {
        let y = area.bottom() - count + u16::try_from(number).unwrap_or(0);
        let more = fitting.len().saturating_sub(most);
        let text = if number + 1 == most && more > 0 {
            format!(" … and {} more, Tab goes through them", more + 1)
        } else if area.width < 50 {
            format!(" {usage}")
        } else {
            format!(" {} {help}", pad(usage, 30))
        };
        put::bar(buffer, Rect { y, height: 1, ..area }, &text, style);
    }
}

fn prompt(model: &Model) -> &'static str {
    if model.question.is_some() { "? " } else { "> " }
}

/// Lays the draft out in rows of so many columns; one column stays free for the cursor behind the last character.
fn laid(model: &Model, columns: usize) -> Laid {
    let draft = &model.tab().draft;
    let (at_row, at_column) = draft.cursor();
    let width = columns.saturating_sub(1).max(4);
    let mut laid = Laid { rows: Vec::new(), row: 0, column: 0 };
    for (number, text) in draft.rows().iter().enumerate() {
        let mut row = if number == 0 { prompt(model) } else { "  " }.to_owned();
        let mut used = 2;
        let mut chars = 0;
        let mut place = |rows: &Vec<String>, chars: usize, used: usize| {
            if number == at_row && chars <= at_column {
                (laid.row, laid.column) = (rows.len(), used);
            }
        };
        for cluster in text.graphemes(true) {
            let seen = plain(&escape::text(cluster));
            let wide = seen.width();
            if used + wide > width {
                laid.rows.push(std::mem::replace(&mut row, "  ".to_owned()));
                used = 2;
            }
            place(&laid.rows, chars, used);
            row.push_str(&seen);
            used += wide;
            chars += cluster.chars().count();
        }
        place(&laid.rows, chars, used);
        laid.rows.push(row);
    }
    laid
}
