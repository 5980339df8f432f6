//! The model as a frame: pure, so that every screen can be drawn in a test. Whatever the size, it draws what fits, and the
//! row that is typed in comes first, the messages second.

mod bars;
mod input;
mod members;
mod page;
mod put;
mod review;

use ratatui::Frame;
use ratatui::layout::Rect;

pub use self::page::rows as page_rows;
pub use self::review::fits as review_fits;
use super::model::{Model, Screen, Standing};
use super::rows::Measure;
use super::scroll;
use super::theme::Theme;

/// Columns of the member panel.
const PANEL_COLUMNS: u16 = 26;

/// Fewest columns of a screen on which the panel stands.
const PANEL_FROM_COLUMNS: u16 = 76;

/// Where everything stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Areas {
    title: Rect,
    messages: Rect,
    panel: Rect,
    banner: Rect,
    status: Rect,
    input: Rect,
}

/// The messages' part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pane {
    /// How wide the parts of a line are.
    pub measure: Measure,
    /// How many rows there are.
    pub height: usize,
}

/// The messages' part of the screen as it is now.
pub fn pane(model: &Model) -> Pane {
    let (columns, rows) = model.size;
    let messages = areas(model, Rect::new(0, 0, columns, rows)).messages;
    Pane { measure: Measure::of(usize::from(messages.width)), height: usize::from(messages.height) }
}

/// Draws the model.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let (area, theme) = (frame.area(), Theme { colour: model.choices.colour });
    if area.width < 2 || area.height == 0 {
        return;
    }
    match &model.screen {
        Screen::Review(review) => review::draw(model, review, theme, area, frame.buffer_mut()),
        Screen::Page(page) => page::draw(page, theme, area, frame.buffer_mut()),
        Screen::Chat => {
            let areas = areas(model, area);
            messages(model, theme, areas.messages, frame);
            members::draw(model, theme, areas.panel, frame.buffer_mut());
            bars::title(model, theme, areas.title, frame.buffer_mut());
            bars::banner(model, theme, areas.banner, frame.buffer_mut());
            bars::status(model, theme, areas.status, frame.buffer_mut());
            let cursor = input::draw(model, theme, areas.input, frame.buffer_mut());
            let above = Rect { width: area.width, ..areas.messages };
            input::offer(model, theme, above, frame.buffer_mut());
            frame.set_cursor_position(cursor);
        }
    }
}

fn areas(model: &Model, area: Rect) -> Areas {
    let mut areas = Areas::default();
    let mut rest = area;
    let mut below = |rows: u16| {
        let rows = rows.min(rest.height);
        rest.height -= rows;
        Rect { y: rest.y + rest.height, height: rows, ..area }
    };
    areas.input = below(input::rows(model, area.width, area.height));
    if model.bare {
        areas.messages = rest;
        return areas;
    }
    // A screen of few rows gives them to the messages.
    if area.height >= 4 {
        areas.status = below(1);
    }
    if area.height >= 6 && bars::asks(model) {
        areas.banner = below(1);
    }
    if area.height >= 7 {
        areas.title = Rect { height: 1, ..rest };
        rest = Rect { y: rest.y + 1, height: rest.height - 1, ..rest };
    }
    let inside = model.tab().standing == Standing::Inside;
    if model.panel && inside && area.width >= PANEL_FROM_COLUMNS {
        areas.panel = Rect { x: rest.x + rest.width - PANEL_COLUMNS, width: PANEL_COLUMNS, ..rest };
        rest.width -= PANEL_COLUMNS;
    }
    areas.messages = rest;
    areas
}

fn messages(model: &Model, theme: Theme, area: Rect, frame: &mut Frame<'_>) {
    let measure = Measure::of(usize::from(area.width));
    let rows = scroll::visible(model, model.tab(), &measure, usize::from(area.height));
    // What is new stands at the bottom, next to the row that is typed in.
    let top = area.height.saturating_sub(u16::try_from(rows.len()).unwrap_or(u16::MAX));
    for (row, y) in rows.iter().zip(area.y + top..) {
        let parts = row.0.iter().map(|(text, role)| (text.as_str(), theme.of(*role)));
        put::row(frame.buffer_mut(), Rect { y, height: 1, ..area }, parts);
    }
}
