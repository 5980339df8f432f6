//! The rows around the messages: what room this is, who asks to join, which other rooms there are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use super::super::model::{Model, Standing};
use super::super::rows::{clock, plain};
use super::super::theme::Theme;
use super::put;
use crate::peer::api::{Path, Trust};
use crate::ui::words::shown;
use crate::ui::{escape, notices};

/// The room, how many are in it, and where it was found.
pub fn title(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let tab = model.tab();
    let mut parts = vec![shown(&tab.room)];
    if let Some(with) = &tab.with {
        parts = vec![format!("private with {}", shown(&with.name)), format!("key {}", with.key.fingerprint())];
        return put::bar(buffer, area, &plain(&format!(" {}", parts.join(" │ "))), theme.bar());
    }
    match &tab.standing {
        Standing::Inside => parts.push(match tab.members.len() {
            0 | 1 => "only you".to_owned(),
            count => format!("{count} members"),
        }),
        Standing::Outside => parts.push("not in it yet".to_owned()),
        Standing::Knocking { yes, of, ends_ms, ahead } => {
            let left = ends_ms.map(|ends| ends.saturating_sub(model.now.mono_ms) / 1000);
            parts.push(notices::knocking(&tab.room, *yes, *of, left, *ahead));
        }
    }
    if tab.standing == Standing::Inside {
        let others = || tab.members.iter().filter(|person| !person.me);
        let verified = others().filter(|person| person.trust == Trust::Verified).count();
        if verified > 0 {
            parts.push(format!("{verified} verified"));
        }
        // Where there is no panel, this is all that is seen of the paths.
        if !model.panel || area.width < super::PANEL_FROM_COLUMNS {
            let direct = others().filter(|person| matches!(person.path, Path::Direct { .. })).count();
            let relayed = others().filter(|person| matches!(person.path, Path::Relayed { .. })).count();
            let named = [(direct, "direct"), (relayed, "relayed")].into_iter().filter(|(count, _)| *count > 0);
            parts.extend(named.map(|(count, how)| format!("{count} {how}")));
        }
        let lost = others().filter(|person| matches!(person.path, Path::None)).count();
        if lost > 0 {
            parts.push(format!("{lost} not reached"));
        }
    }
    match &model.server {
        Some((server, true)) => parts.push(server.clone()),
        Some((server, false)) => parts.push(format!("{server} is gone")),
        None => {}
    }
    if model.ephemeral {
        parts.push("nothing stays on disk".to_owned());
    }
    if !tab.topic.is_empty() {
        parts.push(escape::field(&tab.topic, usize::from(area.width)));
    }
    put::bar(buffer, area, &plain(&format!(" {}", parts.join(" │ "))), theme.bar());
}

/// Whether somebody asks to join, and that is announced.
pub fn asks(model: &Model) -> bool {
    !model.requests.muted && model.requests.open().next().is_some()
}

/// Who asks to join: one row, however many they are.
pub fn banner(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let open: Vec<_> = model.requests.open().collect();
    let Some(first) = open.first() else { return };
    let left = first.ends_ms.saturating_sub(model.now.mono_ms) / 1000;
    let (name, room) = (shown(&first.name), shown(&first.room));
    let text = match open.len() {
        1 if area.width < 60 => format!("▲ {name} asks to join: F2"),
        1 => {
            let known = match (&first.other_key, first.trust, first.seen_before) {
                (Some(_), ..) => "NOT who you know by this name",
                (None, ..) if first.removed_before => "REMOVED before",
                (None, Trust::Verified, _) => "verified",
                (None, _, true) => "been here before",
                (None, Trust::Known, false) => "met elsewhere",
                (None, Trust::New, false) => "new to you",
            };
            let (yes, all) = (first.yes.len(), first.yes.len() + first.no.len() + first.waiting.len());
            format!("▲ {name} asks to join {room} · {known} · {yes} of {all} said yes · {left} s · F2 to review")
        }
        count if area.width < 60 => format!("▲ {count} ask to join: F2"),
        count => format!("▲ {count} ask to join, {name} first · {left} s · F2 to review, /mute for less of this"),
    };
    put::bar(buffer, area, &plain(&text), theme.banner());
}

/// The rooms, what is unread in them, and the time.
pub fn status(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let style = theme.bar();
    put::bar(buffer, area, "", style);
    let mut right = Vec::new();
    if model.leave_asked {
        right.push("Ctrl-C again to leave".to_owned());
    } else if model.session.is_quitting() {
        right.push("leaving, what was said is delivered first".to_owned());
    } else {
        let tab = model.tab();
        if !tab.lines.is_at_end() {
            right.push(match tab.unread {
                0 => "↓ Alt-End".to_owned(),
                new => format!("↓ {new} new"),
            });
        }
        let asking = model.requests.open().count();
        if asking > 0 && model.requests.muted {
            right.push(format!("{asking} asking (muted)"));
        }
        if area.width >= 60 {
            right.push("F1 help".to_owned());
        }
        right.push(clock(model.now.wall_ms, &model.choices.zone));
    }
    let right = format!("{} ", right.join("  "));
    let kept = u16::try_from(right.width()).unwrap_or(u16::MAX).min(area.width);
    let left = Rect { width: area.width - kept, ..area };
    put::row(buffer, left, std::iter::once((tabs(model, usize::from(left.width)).as_str(), style)));
    let place = Rect { x: area.x + area.width - kept, width: kept, ..area };
    put::row(buffer, place, std::iter::once((right.as_str(), style)));
}

/// The rooms in a row, shifted so that the one that is shown is among them.
fn tabs(model: &Model, columns: usize) -> String {
    let label = |(index, tab): (usize, &super::super::model::Tab)| {
        let room = match &tab.with {
            Some(with) => format!("@{}", plain(&shown(&with.name))),
            None => plain(&shown(&tab.room)),
        };
        let count = match (tab.mentions, tab.unread) {
            (0, 0) => String::new(),
            (0, unread) => format!("({unread})"),
            (mentions, unread) => format!("({unread} !{mentions})"),
        };
        let knocking = if matches!(tab.standing, Standing::Knocking { .. }) { "?" } else { "" };
        let number = index + 1;
        if index == model.active {
            format!("[{number}:{room}{knocking}]")
        } else {
            format!(" {number}:{room}{knocking}{count} ")
        }
    };
    let labels: Vec<String> = model.tabs.iter().enumerate().map(label).collect();
    let mut first = 0;
    let width = |from: usize| labels[from..=model.active].iter().map(|label| label.width()).sum::<usize>() + 2;
    while first < model.active && width(first) > columns {
        first += 1;
    }
    let lead = if first > 0 { "<" } else { " " };
    format!("{lead}{}", labels[first..].concat())
}
