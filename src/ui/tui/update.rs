//! What comes in changes the model, and what is to be done goes out: the one door of the full-screen face's mind.

use super::model::{Effect, Input, Model, Now, Screen};
use super::{act, hear, pages, reviewing};
use crate::peer::api::limits::SCROLLBACK_PAGE;
use crate::peer::api::{Command, Event};
use crate::ui::exit::Exit;
use crate::ui::words;

/// How often the member panel's round trips are asked for, in milliseconds.
const PANEL_EVERY_MS: u64 = 10_000;

/// Takes one input.
pub fn update(model: &mut Model, now: Now, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    model.now = now;
    match input {
        Input::Chat(event) => hear::on_event(model, &event, &mut out),
        Input::Key(key) => on_key(model, &key, &mut out),
        Input::Paste(text) => act::paste(model, &text),
        Input::Resized(columns, rows) => {
            model.size = (columns, rows);
            // What a terminal shows after a resize is anybody's guess.
            out.push(Effect::Repaint);
        }
        Input::Focus(focused) => model.focused = focused,
        Input::Drawn => {
            if let Screen::Review(review) = &mut model.screen {
                review.drawn(now.mono_ms);
            }
        }
        Input::Told(lines) => hear::tell(model, None, lines),
        Input::Tick => on_tick(model, &mut out),
        Input::Stop => leave(model, Exit::Done, &mut out),
        Input::CutOff(said) => {
            model.session.worsen(Exit::Failed);
            model.last_words.get_or_insert(said);
            model.over = Some(model.session.exit());
        }
    }
    settle(model, &mut out);
    out
}

fn on_key(model: &mut Model, key: &crossterm::event::KeyEvent, out: &mut Vec<Effect>) {
    match &model.screen {
        Screen::Chat => act::on_key(model, key, out),
        Screen::Page(_) => pages::on_key(model, key, out),
        Screen::Review(_) => reviewing::on_key(model, key, out),
    }
}

fn on_tick(model: &mut Model, out: &mut Vec<Effect>) {
    let looked_at = match &model.screen {
        Screen::Review(review) => Some(review.knock),
        _ => None,
    };
    let now = model.now.mono_ms;
    model.requests.tidy(looked_at.as_ref(), now);
    // Seconds come once each, so this is asked once in its time.
    let due = (now / 1000).is_multiple_of(PANEL_EVERY_MS / 1000);
    let inside = model.opened && !model.session.is_quitting();
    let tab = model.tab_mut();
    let room_like = tab.standing == super::model::Standing::Inside && tab.with.is_none();
    if due && inside && room_like && tab.members.len() > 1 {
        tab.quiet_members += 1;
        let room = tab.room.clone();
        out.push(Effect::Send(Command::Members(room)));
    }
    if std::mem::take(&mut model.marks_changed) && !model.ephemeral {
        out.push(Effect::Remember(model.marks.clone()));
    }
}

/// What follows from every change: what is looked at is read, what is looked for is loaded, and the window says both.
fn settle(model: &mut Model, out: &mut Vec<Effect>) {
    for index in 0..model.tabs.len() {
        if model.is_looking(index) {
            read(model, index);
        }
    }
    load_older(model, out);
    let unread: usize = model.tabs.iter().map(|tab| tab.unread).sum();
    let room =
        model.tab().with.as_ref().map_or_else(|| words::shown(&model.tab().room), |with| words::shown(&with.name));
    let asking = if model.requests.open().next().is_some() { "! " } else { "" };
    let title = match unread {
        0 => format!("{asking}{room} - p2pchat"),
        unread => format!("{asking}({unread}) {room} - p2pchat"),
    };
    if title != model.title {
        model.title.clone_from(&title);
        out.push(Effect::Title(title));
    }
}

fn read(model: &mut Model, index: usize) {
    let tab = &mut model.tabs[index];
    tab.unread = 0;
    tab.mentions = 0;
    if let Some(newest) = tab.lines.newest_said().filter(|_| tab.with.is_none()) {
        model.marks_changed |= model.marks.set(&tab.room, (newest.place, newest.id));
    }
}

/// Asks for the page above when the person comes near the top.
fn load_older(model: &mut Model, out: &mut Vec<Effect>) {
    let rows = usize::from(model.size.1);
    let tab = model.tab_mut();
    let Some(lowest) = tab.lines.lowest() else { return };
    let near = usize::try_from(lowest.line - tab.lines.first()).unwrap_or(0) < 2 * rows;
    if !near
        || tab.with.is_some()
        || tab.older != super::model::Older::Maybe
        || tab.standing != super::model::Standing::Inside
    {
        return;
    }
    let Some(oldest) = tab.lines.oldest_said() else { return };
    let before = (oldest.place, oldest.id);
    tab.older = super::model::Older::Asked;
    out.push(Effect::Send(Command::Earlier { room: tab.room.clone(), before, count: SCROLLBACK_PAGE }));
}

/// Begins the end.
pub fn leave(model: &mut Model, exit: Exit, out: &mut Vec<Effect>) {
    if !model.session.is_quitting() {
        model.session.quit(exit);
        end(model, out);
    }
}

/// Asks the chat to end, when the session has decided so.
pub fn end(model: &mut Model, out: &mut Vec<Effect>) {
    if !model.ephemeral {
        out.push(Effect::Remember(model.marks.clone()));
    }
    model.screen = Screen::Chat;
    out.push(Effect::Send(Command::Quit));
    out.push(Effect::Ending);
}

/// The chat has ended.
pub fn ended(model: &mut Model, event: &Event) {
    model.session.note(event);
    model.over = Some(model.session.exit());
}
