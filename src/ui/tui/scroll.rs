//! Walking through a scrollback row by row. Only what is walked over is measured, so a hundred thousand lines cost no more
//! than a screen of them.

use super::model::{Model, Tab};
use super::rows::{Measure, Row, rows};
use super::scrollback::{At, Lowest};

/// The rows that fill `height` rows of a screen, the lowest last.
pub fn visible(model: &Model, tab: &Tab, measure: &Measure, height: usize) -> Vec<Row> {
    let mut taken: Vec<Row> = Vec::new();
    let mut line = tab.lines.end();
    if let Some(lowest) = tab.lines.lowest() {
        let mut of_line = rows(model, tab, lowest.line, measure);
        of_line.truncate(lowest.row + 1);
        taken.extend(of_line.into_iter().rev());
        line = lowest.line;
    }
    while taken.len() < height && line > tab.lines.first() {
        line -= 1;
        taken.extend(rows(model, tab, line, measure).into_iter().rev());
    }
    taken.truncate(height);
    taken.reverse();
    taken
}

/// Moves what is looked at by so many rows, negative towards the older ones. Never beyond the first line at the top.
pub fn by(model: &mut Model, measure: &Measure, height: usize, step: isize) {
    let tab = model.tab();
    if tab.lines.is_empty() {
        return;
    }
    let mut lowest = tab.lines.lowest().unwrap_or_else(|| last_row(model, tab, measure, tab.lines.end() - 1));
    lowest.row = lowest.row.min(last_row(model, tab, measure, lowest.line).row);
    for _ in 0..step.unsigned_abs() {
        let next = if step < 0 { up(model, tab, measure, lowest) } else { down(model, tab, measure, lowest) };
        match next {
            Some(next) => lowest = next,
            None => break,
        }
    }
    if step < 0 {
        lowest = lowest.max_by_place(highest(model, tab, measure, height));
    }
    let at_end = lowest == last_row(model, tab, measure, tab.lines.end() - 1);
    model.tab_mut().lines.look((!at_end).then_some(lowest));
}

/// Shows a line in the upper half of the screen.
pub fn to(model: &mut Model, measure: &Measure, height: usize, line: At) {
    model.tab_mut().lines.look(Some(Lowest { line, row: 0 }));
    by(model, measure, height, isize::try_from(height / 2).unwrap_or(0));
}

impl Lowest {
    fn max_by_place(self, other: Lowest) -> Lowest {
        if (other.line, other.row) > (self.line, self.row) { other } else { self }
    }
}

fn last_row(model: &Model, tab: &Tab, measure: &Measure, line: At) -> Lowest {
    Lowest { line, row: rows(model, tab, line, measure).len().saturating_sub(1) }
}

fn up(model: &Model, tab: &Tab, measure: &Measure, from: Lowest) -> Option<Lowest> {
    match from.row.checked_sub(1) {
        Some(row) => Some(Lowest { row, ..from }),
        None if from.line > tab.lines.first() => Some(last_row(model, tab, measure, from.line - 1)),
        None => None,
    }
}

fn down(model: &Model, tab: &Tab, measure: &Measure, from: Lowest) -> Option<Lowest> {
    if from.row < last_row(model, tab, measure, from.line).row {
        return Some(Lowest { row: from.row + 1, ..from });
    }
    (from.line + 1 < tab.lines.end()).then_some(Lowest { line: from.line + 1, row: 0 })
}

/// The lowest row when the first line stands at the top of the screen.
fn highest(model: &Model, tab: &Tab, measure: &Measure, height: usize) -> Lowest {
    let mut lowest = Lowest { line: tab.lines.first(), row: 0 };
    for _ in 1..height {
        match down(model, tab, measure, lowest) {
            Some(next) => lowest = next,
            None => break,
        }
    }
    lowest
}
