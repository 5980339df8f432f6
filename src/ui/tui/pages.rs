//! Lines to read over the whole screen: the help, what a search found, mentions, links. Any of them is left with Esc, and
//! what is being typed stays.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::keys::KEYS;
use super::model::{Effect, Model, Page, Screen, Tab};
use super::rows::{is_link, plain};
use super::scrollback::What;
use super::{commands, view};
use crate::peer::api::{Recall, Recalled, RoomName, Ticket};
use crate::ui::notices::pad;
use crate::ui::{escape, recall, tickets};

/// Columns of a command's usage or a key's name.
const LEFT_COLUMNS: usize = 34;

/// Most lines of a page of mentions or links.
const LINES_MAX: usize = 200;

/// The title of a page for a newcomer, to which the ticket is added when it comes.
pub const INVITATION: &str = "invitation";

/// Takes a key.
pub fn on_key(model: &mut Model, key: &KeyEvent, out: &mut Vec<Effect>) {
    let (columns, height) = (usize::from(model.size.0), usize::from(model.size.1).saturating_sub(2).max(1));
    let Screen::Page(page) = &mut model.screen else { return };
    if key.kind == KeyEventKind::Release {
        return;
    }
    let last = view::page_rows(page, columns).len().saturating_sub(height);
    page.top = page.top.min(last);
    match (key.code, key.modifiers) {
        (KeyCode::Esc | KeyCode::Char('q') | KeyCode::F(1), KeyModifiers::NONE)
        | (KeyCode::Char('c'), KeyModifiers::CONTROL) => model.screen = Screen::Chat,
        (KeyCode::Char('l'), KeyModifiers::CONTROL) => out.push(Effect::Repaint),
        (KeyCode::Char('c'), KeyModifiers::NONE) => out.extend(page.copy.clone().map(Effect::Copy)),
        (KeyCode::Down | KeyCode::Char('j'), _) => page.top = (page.top + 1).min(last),
        (KeyCode::Up | KeyCode::Char('k'), _) => page.top = page.top.saturating_sub(1),
        (KeyCode::PageDown | KeyCode::Char(' '), _) => page.top = (page.top + height).min(last),
        (KeyCode::PageUp, _) => page.top = page.top.saturating_sub(height),
        (KeyCode::Home, _) => page.top = 0,
        (KeyCode::End, _) => page.top = last,
        _ => {}
    }
}

/// The commands and the keys.
pub fn help() -> Page {
    let line = |text: &str| (String::new(), text.to_owned());
    let mut lines = vec![line("Commands")];
    let commands = commands::table();
    lines.extend(commands.map(|(_, usage, help)| (format!("  {} ", pad(usage, LEFT_COLUMNS)), help.to_owned())));
    lines.extend([line(""), line("Keys")]);
    let keys = KEYS.iter().filter(|binding| !binding.help.is_empty());
    lines.extend(keys.map(|binding| (format!("  {} ", pad(binding.shown, 12)), binding.help.to_owned())));
    lines.push(line(""));
    lines.push(line("A line that begins with // says the rest with one slash. A paste is never sent by itself."));
    Page { title: "help".to_owned(), lines, top: 0, copy: None }
}

/// A ticket: what to type elsewhere, whole and to be copied, and its code where the screen is large enough for that.
pub fn ticket(room: &RoomName, ticket: &Ticket, columns: usize) -> Page {
    let words = tickets::lines(room, ticket).into_iter().chain(["c copies the line to type, Esc goes back".to_owned()]);
    let lines = words.chain(tickets::code(ticket, columns)).map(|line| (String::new(), line)).collect();
    Page { title: "ticket".to_owned(), lines, top: 0, copy: Some(tickets::command(ticket)) }
}

/// What a search found.
pub fn found(model: &Model, room: &RoomName, messages: &[Recalled], more: u64) -> Page {
    let zone = &model.choices.zone;
    let mut lines = vec![(String::new(), recall::heading(room, Recall::Search, messages.len(), more))];
    lines.extend(messages.iter().map(|message| {
        let label = match &message.from {
            Some(from) => model.labels.label(from, &message.key),
            None => recall::label(message),
        };
        (plain(&recall::lead(message, &label, zone)), plain(&recall::shown_text(message, true)))
    }));
    // The newest are at the end.
    Page { title: "search".to_owned(), lines, top: usize::MAX, copy: None }
}

/// The messages of all rooms that name us, as far as they are loaded.
pub fn mentions(model: &Model) -> Page {
    let mut lines = Vec::new();
    for tab in &model.tabs {
        for (_, line) in tab.lines.newest_first() {
            let What::Said(said) = &line.what else { continue };
            if !said.mention || lines.len() >= LINES_MAX {
                continue;
            }
            let from = said.from.as_ref().map_or_else(String::new, |from| model.labels.label(from, &said.key));
            let when = recall::moment(line.at_ms, &model.choices.zone);
            let room = crate::ui::words::shown(&tab.room);
            lines.push((plain(&format!("{when} {room} {from}: ")), plain(&escape::text(&said.text))));
        }
    }
    if lines.is_empty() {
        let none = "no message that is loaded names you; /search looks through the whole history";
        lines.push((String::new(), none.to_owned()));
    }
    Page { title: "mentions".to_owned(), lines, top: 0, copy: None }
}

/// The links of the room that is shown, the newest first.
pub fn links(model: &Model) -> Page {
    let links = links_of(model.tab());
    let number = |(at, link): (usize, String)| (pad(&(at + 1).to_string(), 5), plain(&escape::text(&link)));
    let mut lines: Vec<_> = links.into_iter().enumerate().map(number).collect();
    lines.push((String::new(), if lines.is_empty() { "no links here" } else { "/copy N copies one" }.to_owned()));
    Page { title: "links".to_owned(), lines, top: 0, copy: None }
}

/// What in a tab looks like a link, the newest first.
pub fn links_of(tab: &Tab) -> Vec<String> {
    let mut links = Vec::new();
    for (_, line) in tab.lines.newest_first() {
        let What::Said(said) = &line.what else { continue };
        for word in said.text.split_whitespace().filter(|word| is_link(word)) {
            let link = word.trim_end_matches(['.', ',', ';', ')', '>', '"', '\'']).to_owned();
            if !links.contains(&link) {
                links.push(link);
            }
        }
        if links.len() >= LINES_MAX {
            break;
        }
    }
    links
}
