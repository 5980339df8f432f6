//! Lines to read over the whole screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::super::model::Page;
use super::super::theme::Theme;
use super::put;
use crate::ui::wrap;

/// The rows that a page takes on a screen of so many columns.
pub fn rows(page: &Page, columns: usize) -> Vec<String> {
    let row = |(lead, text): &(String, String)| {
        // What is explained has its own row where both don't fit beside each other.
        if lead.width() * 2 > columns && !text.is_empty() {
            let mut rows = wrap::wrap("", lead.trim_end(), Some(columns));
            rows.extend(wrap::wrap("    ", text, Some(columns)));
            return rows;
        }
        wrap::wrap(lead, text, Some(columns))
    };
    page.lines.iter().flat_map(row).collect()
}

/// Draws it.
pub fn draw(page: &Page, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let title = format!(" {} │ Up, Down, PgUp, PgDn; Esc goes back", page.title);
    put::bar(buffer, Rect { height: 1, ..area }, &title, theme.bar());
    let shown = usize::from(area.height).saturating_sub(2);
    let rows = rows(page, usize::from(area.width));
    let top = page.top.min(rows.len().saturating_sub(shown));
    for (line, y) in rows.iter().skip(top).take(shown).zip(area.y + 1..) {
        put::row(buffer, Rect { y, height: 1, ..area }, std::iter::once((line.as_str(), Style::default())));
    }
    if area.height < 2 {
        return;
    }
    let last = (top + shown).min(rows.len());
    let foot = format!(" {} to {last} of {}", (top + 1).min(last), rows.len());
    put::bar(buffer, Rect { y: area.bottom() - 1, height: 1, ..area }, &foot, theme.bar());
}
