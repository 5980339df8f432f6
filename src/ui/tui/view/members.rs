//! The member panel: who is in, whether their key is known, and how they are reached. Signs stand for what words would be
//! too long for, and are told in the last row.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use super::super::model::{Model, Tab};
use super::super::rows::{Role, plain};
use super::super::theme::Theme;
use super::put;
use crate::peer::api::{Path, Person, Trust};
use crate::ui::escape;
use crate::ui::words::shown;

/// Columns of a name.
const NAME_COLUMNS: usize = 9;

/// Draws it.
pub fn draw(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if area.width == 0 {
        return;
    }
    for y in area.y..area.bottom() {
        put::row(buffer, Rect { y, height: 1, ..area }, std::iter::once(("│", theme.of(Role::Dim))));
    }
    let inner = Rect { x: area.x + 2, width: area.width - 2, ..area };
    let tab = model.tab();
    let mut y = inner.y;
    let mut line = |parts: Vec<(String, Role)>| {
        if y < inner.bottom() {
            let parts = parts.iter().map(|(text, role)| (text.as_str(), theme.of(*role)));
            put::row(buffer, Rect { y, height: 1, ..inner }, parts);
        }
        y += 1;
    };
    line(vec![(format!("members {}", tab.members.len()), Role::Dim)]);
    let room = usize::from(inner.height).saturating_sub(1);
    let fitting = if tab.members.len() > room { room.saturating_sub(1) } else { room };
    for person in tab.members.iter().take(fitting) {
        line(member(model, tab, person));
    }
    if tab.members.len() > fitting {
        line(vec![(format!("and {} more: /members", tab.members.len() - fitting), Role::Dim)]);
    }
    let signs = |trust: Trust| tab.members.iter().any(|person| !person.me && person.trust == trust);
    if signs(Trust::Verified) || signs(Trust::New) {
        line(vec![("✓ verified  ? new key".to_owned(), Role::Dim)]);
    }
    for request in model.requests.open().filter(|request| request.room == tab.room) {
        let left = request.ends_ms.saturating_sub(model.now.mono_ms) / 1000;
        line(vec![
            (format!("▲ {} ", name(&shown(&request.name))), Role::Notice),
            (format!("asks, {left} s"), Role::Dim),
        ]);
    }
}

fn member(model: &Model, tab: &Tab, person: &Person) -> Vec<(String, Role)> {
    let label = name(&model.labels.label(&person.name, &person.key));
    let how = if person.me { "you".to_owned() } else { how(model, tab, person) };
    let lost = !person.me && matches!(person.path, Path::None);
    let role = if lost { Role::Warning } else { Role::Dim };
    let sign = match (person.me, person.trust) {
        (true, _) | (_, Trust::Known) => "  ",
        (_, Trust::Verified) => "✓ ",
        (_, Trust::New) => "? ",
    };
    let how = if person.away.is_some() && !lost { "away".to_owned() } else { how };
    let how = if person.ignored { "ignored".to_owned() } else { how };
    vec![(sign.to_owned(), Role::Dim), (format!("{label} "), Role::Author(person.key)), (how, role)]
}

fn how(model: &Model, tab: &Tab, person: &Person) -> String {
    match &person.path {
        Path::Direct { rtt_ms: Some(rtt) } => format!("direct {rtt} ms"),
        Path::Direct { rtt_ms: None } => "direct".to_owned(),
        Path::Relayed { via } => format!("via {}", shown(via)),
        Path::None => match tab.grace.get(&person.key) {
            Some(ends) => format!("lost, {} s", ends.saturating_sub(model.now.mono_ms) / 1000),
            None => "waiting".to_owned(),
        },
    }
}

/// A name, in its columns.
fn name(label: &str) -> String {
    let label = plain(&escape::field(label, NAME_COLUMNS));
    let blanks = " ".repeat(NAME_COLUMNS.saturating_sub(label.width()));
    format!("{label}{blanks}")
}
