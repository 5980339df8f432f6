//! Keys in the chat, and what is entered: the model's answers to the person.

use crossterm::event::KeyEvent;

use super::commands::{OnScreen, Typed};
use super::draft::Edit;
use super::hear::{tab_of, tell};
use super::keys::{Action, Meaning, meaning};
use super::model::{Effect, Model, Question, Screen, Standing};
use super::review::Review;
use super::scrollback::What;
use super::{commands, complete, pages, scroll, talk, update, view};
use crate::peer::api::limits::{HISTORY_SHOWN_DEFAULT, TABS_MAX};
use crate::peer::api::{Command, KnockRef, RoomName};
use crate::ui::exit::Exit;
use crate::ui::notices;
use crate::ui::reach;
use crate::ui::slash::{Newcomer, Slash};
use crate::ui::words::{self, shown};

/// Takes a key.
pub fn on_key(model: &mut Model, key: &KeyEvent, out: &mut Vec<Effect>) {
    let meaning = meaning(key);
    let leave_asked = std::mem::take(&mut model.leave_asked);
    if !matches!(meaning, Meaning::Do(Action::Complete | Action::CompleteBack)) {
        model.completion = None;
    }
    match meaning {
        Meaning::Type(c) => model.tab_mut().draft.insert(c),
        Meaning::Do(action) => act(model, action, leave_asked, out),
        Meaning::Nothing => {}
    }
}

/// Takes a paste: it becomes part of the draft, and is never sent by itself.
pub fn paste(model: &mut Model, text: &str) {
    if !matches!(model.screen, Screen::Chat) {
        return;
    }
    model.completion = None;
    let taken = model.tab_mut().draft.paste(text);
    let rows = model.tab().draft.rows().len();
    if !taken {
        tell(model, None, vec!["that is too much to paste: nothing was put in; send it in parts".to_owned()]);
    } else if rows > 20 {
        tell(model, None, vec![format!("{rows} rows in the draft; Enter sends them as one message")]);
    }
}

fn act(model: &mut Model, action: Action, leave_asked: bool, out: &mut Vec<Effect>) {
    let pane = view::pane(model);
    let half = isize::try_from(pane.height.max(2) / 2).unwrap_or(1);
    match action {
        Action::Enter => enter(model, out),
        Action::Edit(edit) => model.tab_mut().draft.edit(edit),
        Action::Up => {
            let draft = &mut model.tab_mut().draft;
            if !draft.row_up() {
                draft.earlier();
            }
        }
        Action::Down => {
            let draft = &mut model.tab_mut().draft;
            if !draft.row_down() {
                draft.later();
            }
        }
        Action::Complete => complete::step(model, 1),
        Action::CompleteBack => complete::step(model, -1),
        Action::Scroll(step) => scroll::by(model, &pane.measure, pane.height, isize::from(step) * half),
        Action::ScrollRows(step) => scroll::by(model, &pane.measure, pane.height, isize::from(step)),
        Action::Top => {
            let first = model.tab().lines.first();
            scroll::to(model, &pane.measure, pane.height, first);
            scroll::by(model, &pane.measure, pane.height, -half);
        }
        Action::Bottom => model.tab_mut().lines.look(None),
        Action::Turn(step) => {
            let count = isize::try_from(model.tabs.len()).unwrap_or(1);
            let next = (isize::try_from(model.active).unwrap_or(0) + isize::from(step)).rem_euclid(count);
            show(model, next.unsigned_abs());
        }
        Action::Tab(number) => show(model, usize::from(number) - 1),
        Action::Activity => activity(model),
        Action::Unread => unread(model),
        Action::MentionBefore => mention(model, true),
        Action::MentionAfter => mention(model, false),
        Action::Search => {
            let draft = &mut model.tab_mut().draft;
            if draft.is_empty() {
                draft.show("/search ");
            }
        }
        Action::Help => model.screen = Screen::Page(pages::help()),
        Action::Review => review(model, out),
        Action::Panel => model.panel = !model.panel,
        Action::Bare => model.bare = !model.bare,
        Action::Repaint => out.push(Effect::Repaint),
        Action::Interrupt => interrupt(model, leave_asked, out),
        Action::DeleteOrEnd if model.tab().draft.is_empty() => update::leave(model, Exit::Done, out),
        Action::DeleteOrEnd => model.tab_mut().draft.edit(Edit::DeleteForward),
        Action::Suspend => out.push(Effect::Suspend),
        Action::Escape => model.tab_mut().lines.look(None),
    }
}

fn interrupt(model: &mut Model, leave_asked: bool, out: &mut Vec<Effect>) {
    if !model.tab().draft.is_empty() {
        model.tab_mut().draft.clear();
    } else if leave_asked {
        update::leave(model, Exit::Done, out);
    } else {
        model.leave_asked = true;
    }
}

/// Shows another tab. What was unread in the one that is left counts as seen, if its end was.
pub fn show(model: &mut Model, index: usize) {
    if index >= model.tabs.len() || index == model.active {
        return;
    }
    let left = model.tab_mut();
    if left.lines.is_at_end() {
        left.lines.set_unread_from(None);
    }
    model.active = index;
}

fn activity(model: &mut Model) {
    let count = model.tabs.len();
    let after = (1..count).map(|step| (model.active + step) % count);
    let next = after.clone().find(|index| model.tabs[*index].mentions > 0);
    if let Some(next) = next.or_else(|| after.clone().find(|index| model.tabs[*index].unread > 0)) {
        show(model, next);
    }
}

fn unread(model: &mut Model) {
    let pane = view::pane(model);
    match model.tab().lines.unread_from() {
        Some(at) => scroll::to(model, &pane.measure, pane.height, at),
        None => tell(model, None, vec!["nothing is unread here".to_owned()]),
    }
}

fn mention(model: &mut Model, before: bool) {
    let pane = view::pane(model);
    let tab = model.tab();
    let here = tab.lines.lowest().map_or(tab.lines.end(), |lowest| lowest.line);
    let of_us = |line: &super::scrollback::Line| matches!(&line.what, What::Said(said) if said.mention);
    // The line looked at is in the middle, so what was jumped to stands a little above the lowest row.
    let found = {
        let mut at = model.tab().lines.newest_first().filter(|(_, line)| of_us(line)).map(|(at, _)| at);
        if before {
            let top = scroll_top(model).unwrap_or(here);
            at.find(|at| *at < top)
        } else {
            at.take_while(|at| *at > here).last()
        }
    };
    match found {
        Some(at) => scroll::to(model, &pane.measure, pane.height, at),
        None if before => tell(model, None, vec!["no earlier message here names you".to_owned()]),
        None => model.tab_mut().lines.look(None),
    }
}

/// About the first line on the screen: half a screen above the lowest.
fn scroll_top(model: &Model) -> Option<super::scrollback::At> {
    let pane = view::pane(model);
    let tab = model.tab();
    let mut left = pane.height;
    let mut at = tab.lines.lowest().map_or(tab.lines.end() - 1, |lowest| lowest.line);
    while left > 0 && at > tab.lines.first() {
        left = left.saturating_sub(super::rows::rows(model, tab, at, &pane.measure).len());
        at -= 1;
    }
    Some(at + 1)
}

/// Opens the review of the newcomer who has waited longest.
pub fn review(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(first) = model.requests.open().next().map(|request| request.knock) else {
        return tell(model, None, vec!["nobody asks to join now".to_owned()]);
    };
    model.screen = Screen::Review(Review::of(first));
    // Whatever earlier output may have left on the screen must not stand in there.
    out.push(Effect::Repaint);
}

fn enter(model: &mut Model, out: &mut Vec<Effect>) {
    let text = model.tab_mut().draft.enter();
    model.tab_mut().lines.set_unread_from(None);
    let meaning = commands::parse(&text);
    if let (Some(question), Typed::Say(answer)) = (model.question, &meaning) {
        return self::answer(model, question, answer, out);
    }
    match meaning {
        Typed::Say(text) if text.trim().is_empty() => {}
        Typed::Say(text) => say(model, text, out),
        Typed::OnScreen(command) => on_screen(model, command, out),
        Typed::Do(slash) => carry_out(model, slash, out),
        Typed::Wrong(usage) => tell(model, None, vec![format!("usage: {usage}")]),
        Typed::Unknown { word, nearest } => tell(model, None, vec![words::no_command(&word, nearest)]),
    }
}

fn say(model: &mut Model, text: String, out: &mut Vec<Effect>) {
    let tab = model.tab_mut();
    if tab.standing != Standing::Inside {
        // What was typed is not lost for that.
        tab.draft.show(&text);
        return tell(model, None, vec!["you are not in the room yet; nothing was sent".to_owned()]);
    }
    tab.lines.look(None);
    let (room, with) = (tab.room.clone(), tab.with.clone());
    if text.len() > crate::peer::api::limits::TEXT_BYTES_MAX {
        model.tab_mut().draft.show(&text);
    }
    out.push(Effect::Send(match with {
        Some(with) => talk::private(room, &with, text),
        None => Command::Say { room, text },
    }));
}

fn answer(model: &mut Model, question: Question, answer: &str, out: &mut Vec<Effect>) {
    if question == Question::Pin && reach::accepts(answer).is_none() {
        return tell(model, None, vec![reach::YES_OR_NO.to_owned()]);
    }
    model.question = None;
    match (question, answer.trim().to_ascii_lowercase().as_str()) {
        (Question::Pin, answer) => {
            out.extend(reach::accepts(answer).map(|accept| Effect::Send(Command::Pin { accept })));
        }
        (Question::Create, "y" | "yes") => out.extend(model.session.create().map(Effect::Send)),
        (Question::Create, _) => {
            model.session.declined();
            update::end(model, out);
        }
    }
}

fn on_screen(model: &mut Model, command: OnScreen, out: &mut Vec<Effect>) {
    match command {
        OnScreen::Join(room) => open(model, &room, Command::Join(room.clone()), out),
        OnScreen::Create(room) => {
            let creation = model.choices.creation;
            let command = Command::Create { room: room.clone(), size: creation.size, settings: creation.settings() };
            open(model, &room, command, out);
        }
        OnScreen::Room(which) => {
            let number = which.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let number = number.filter(|index| *index < model.tabs.len());
            let named = model.tabs.iter().position(|tab| tab.room.to_string().eq_ignore_ascii_case(&which));
            match named.or(number) {
                Some(index) => show(model, index),
                None => tell(model, None, vec![format!("you are in no room {}", shown(&which))]),
            }
        }
        OnScreen::Mute => {
            model.requests.muted = !model.requests.muted;
            let told = if model.requests.muted {
                "newcomers are not announced any more; F2 still shows them, and silence is a no. /mute again announces them"
            } else {
                "newcomers are announced again"
            };
            tell(model, None, vec![told.to_owned()]);
        }
        OnScreen::Mentions => model.screen = Screen::Page(pages::mentions(model)),
        OnScreen::Unread => unread(model),
        OnScreen::Links => model.screen = Screen::Page(pages::links(model)),
        OnScreen::Copy(which) => copy(model, which, out),
        OnScreen::Clear => model.tab_mut().lines.clear(),
        OnScreen::Panel => model.panel = !model.panel,
        OnScreen::Bare => model.bare = !model.bare,
        OnScreen::Redraw => out.push(Effect::Repaint),
    }
}

/// A further room gets a tab, which shows how it goes on.
fn open(model: &mut Model, room: &RoomName, command: Command, out: &mut Vec<Effect>) {
    if model.index_of(room).is_none() && model.tabs.len() >= TABS_MAX {
        return tell(model, None, vec![format!("{TABS_MAX} rooms at a time are the most; /leave one first")]);
    }
    let index = tab_of(model, room);
    show(model, index);
    if model.tab().standing == Standing::Outside {
        out.push(Effect::Send(command));
    }
}

fn copy(model: &mut Model, which: Option<usize>, out: &mut Vec<Effect>) {
    let text = match which {
        None => model.tab().lines.newest_said().map(|said| said.text.clone()),
        Some(number) => pages::links_of(model.tab()).into_iter().nth(number - 1),
    };
    match text {
        // It goes to the clipboard encoded, so nothing in it acts on the terminal; and the person asked for it.
        Some(text) => {
            out.push(Effect::Copy(text));
            tell(model, None, vec!["copied, if your terminal allows it".to_owned()]);
        }
        None => tell(model, None, vec!["there is nothing to copy; /links shows what has a number".to_owned()]),
    }
}

fn carry_out(model: &mut Model, slash: Slash, out: &mut Vec<Effect>) {
    let room = model.tab().room.clone();
    let command = match slash {
        Slash::Help => {
            model.screen = Screen::Page(pages::help());
            return;
        }
        Slash::Quit => return update::leave(model, Exit::Done, out),
        Slash::List => Command::List,
        // A private chat is only taken off the screen.
        Slash::Leave
            if model.tab().with.is_some() || model.tab().standing == Standing::Outside && model.tabs.len() > 1 =>
        {
            let active = model.active;
            model.tabs.remove(active);
            model.active = active.min(model.tabs.len() - 1);
            return;
        }
        Slash::Leave if model.tab().standing == Standing::Outside => return update::leave(model, Exit::Done, out),
        Slash::Leave => Command::Leave(room),
        Slash::Rejoin => Command::Rejoin(room),
        Slash::Requests => return review(model, out),
        Slash::Members => Command::Members(room),
        Slash::Paths => Command::Paths(room),
        Slash::Last(count) if model.tab().with.is_some() => return talk::look_back(model, count, out),
        Slash::Last(count) => {
            model.tab_mut().lines.look(None);
            Command::Last { room, count }
        }
        Slash::Search(words) => Command::Search { room, words, count: HISTORY_SHOWN_DEFAULT * 10 },
        Slash::Delete => Command::Delete(room),
        Slash::Ticket(expires_in_s) => Command::Ticket { room, expires_in_s },
        Slash::Publish(server) => Command::Publish { server },
        Slash::Approve(newcomer) => return decide(model, &newcomer, Command::Approve, out),
        Slash::Deny(newcomer) => return decide(model, &newcomer, Command::Deny, out),
        Slash::Speak(speak) => return talk::speak(model, speak, out),
        Slash::Export(file) => return out.push(Effect::Export(room, file)),
        Slash::Decide(decide) => match decide.command(room, &model.knocks) {
            Ok(command) => command,
            Err(failure) => return tell(model, None, notices::said(words::failure(&failure))),
        },
    };
    out.push(Effect::Send(command));
}

fn decide(model: &mut Model, newcomer: &Newcomer, command: fn(KnockRef) -> Command, out: &mut Vec<Effect>) {
    match model.knocks.find(&model.tab().room.clone(), newcomer) {
        Ok(knock) => out.push(Effect::Send(command(knock))),
        Err(failure) => tell(model, None, notices::said(words::failure(&failure))),
    }
}
