//! The review of a newcomer, alone on the screen: everything that the decision should rest on, and nothing that others said.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::model::Model;
use super::super::requests::Request;
use super::super::review::Review;
use super::super::rows::{Role, plain};
use super::super::theme::Theme;
use super::put;
use crate::peer::api::{Answer, Name, Trust};
use crate::ui::words::shown;
use crate::ui::wrap;

/// Fewest rows of a screen that has room for explanations.
const ROOMY_ROWS: u16 = 16;

/// Draws it.
pub fn draw(model: &Model, review: &Review, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (rows, keys) = laid(model, review, area.width, area.height);
    let (at, of) = model.requests.position(&review.knock).unwrap_or((1, 1));
    put::bar(buffer, Rect { height: 1, ..area }, &format!(" request {at} of {of} to join"), theme.bar());
    let bottom = area.bottom().saturating_sub(u16::try_from(keys.len()).unwrap_or(1)).max(area.y + 1);
    for ((row, role), y) in rows.iter().zip(area.y + 1..bottom) {
        put::row(buffer, Rect { y, height: 1, ..area }, std::iter::once((row.as_str(), theme.of(*role))));
    }
    for (row, y) in keys.iter().zip(bottom..area.bottom()) {
        let style = Style::default().add_modifier(Modifier::BOLD);
        put::row(buffer, Rect { y, height: 1, ..area }, std::iter::once((row.as_str(), style)));
    }
}

/// Whether all of it is on a screen of this size: nobody says yes to what they can't have seen.
pub fn fits(model: &Model, review: &Review) -> bool {
    let (columns, height) = model.size;
    let (rows, keys) = laid(model, review, columns, height);
    rows.len() + keys.len() < usize::from(height)
}

type Laid = (Vec<(String, Role)>, Vec<String>);

fn laid(model: &Model, review: &Review, columns: u16, height: u16) -> Laid {
    let request = model.requests.get(&review.knock);
    let roomy = height >= ROOMY_ROWS;
    let (short, comparing) = (columns < 60, review.comparing);
    let keys = match request {
        Some(request) if !request.over && request.answer.is_none() => match (comparing, short) {
            (true, _) => "[s] the same  [d] deny  [Esc]",
            (false, true) => "[a]pprove [d]eny [v]ords Esc",
            (false, false) => "[a] approve  [d] deny  [v] compare the words first  [n] next  [Esc] later",
        },
        _ => "[n] next  [Esc] back",
    };
    let mut lines = Vec::new();
    match request {
        None => lines.push(("this request is over".to_owned(), Role::Warning)),
        Some(request) if comparing => compare(request, roomy, &mut lines),
        Some(request) => whole(model, request, roomy, &mut lines),
    }
    let columns = usize::from(columns).max(12);
    let rows = lines.iter().flat_map(|(line, role)| {
        let rows = wrap::wrap(" ", line, Some(columns));
        rows.into_iter().map(move |row| (row, *role))
    });
    (rows.collect(), wrap::wrap(" ", keys, Some(columns)))
}

fn whole(model: &Model, request: &Request, roomy: bool, lines: &mut Vec<(String, Role)>) {
    let (name, room) = (plain(&shown(&request.name)), shown(&request.room));
    let mut say = |line: String, role| lines.push((line, role));
    let anybody = if roomy { " (anybody can choose any name)" } else { "" };
    say(format!("{name} wants to join {room}{anybody}"), Role::Mention);
    if let Some(member) = &request.looks_like {
        let member = plain(&shown(member));
        let same = if request.name.to_string() == member { "has the name of" } else { "has a name that looks like" };
        say(format!("WARNING: {name} {same} {member}, but another key: a new person"), Role::Warning);
    }
    if let Some(known) = &request.other_key {
        let name = plain(&shown(&known.name));
        say(
            format!("WARNING: this is NOT the {name} you know, whose key is {}", known.key.fingerprint()),
            Role::Warning,
        );
    }
    if roomy {
        say(String::new(), Role::Text);
    }
    let key = if roomy { "key     " } else { "" };
    say(format!("{key}{}", request.key.fingerprint()), Role::Text);
    let known = match (request.trust, request.seen_before) {
        (Trust::Verified, _) => "VERIFIED: you compared the words of this key",
        (_, true) => "this key has been in this room before",
        (Trust::Known, false) => "you met this key before; it is new to this room",
        (Trust::New, false) => "this key is new to this room, and to you",
    };
    say(format!("{}{known}", if roomy { "known   " } else { "" }), Role::Text);
    if request.removed_before {
        say("WARNING: the members REMOVED this key from this room before".to_owned(), Role::Warning);
    }
    if model.compared.iter().any(|(at, key)| *at == request.room && *key == request.key) {
        say("you have just compared the words: they are the same".to_owned(), Role::Notice);
    }
    if roomy {
        say(format!("yes     {}", names(&request.yes)), Role::Text);
        say(format!("no      {}", names(&request.no)), Role::Text);
        say(format!("awaited {}", names(&request.waiting)), Role::Text);
        say(String::new(), Role::Text);
    }
    let left = request.ends_ms.saturating_sub(model.now.mono_ms) / 1000;
    match (request.over, request.answer) {
        (true, _) => say("this request is over".to_owned(), Role::Warning),
        (false, Some(Answer::Yes)) => say("you said yes; the others decide".to_owned(), Role::Notice),
        (false, Some(_)) => say("you said no".to_owned(), Role::Notice),
        (false, None) => say(format!("{left} s left; silence is a no"), Role::Warning),
    }
    if roomy {
        let means = "reads what is said from then on, not what was said before, and learns your network address";
        say(String::new(), Role::Text);
        say(format!("If everybody says yes, {name} {means}."), Role::Text);
    }
}

fn compare(request: &Request, roomy: bool, lines: &mut Vec<(String, Role)>) {
    let name = plain(&shown(&request.name));
    let words = request.key.fingerprint().to_string();
    let mut say = |line: String, role| lines.push((line, role));
    let numbered: Vec<String> = words.split('-').enumerate().map(|(at, word)| format!("{} {word}", at + 1)).collect();
    if !roomy {
        say(format!("{name} reads aloud:"), Role::Text);
        return say(numbered.join(" "), Role::Mention);
    }
    say(format!("Ask {name}, by voice or face to face, to read the words of their key aloud:"), Role::Text);
    say(format!("`p2pchat whoami` shows them to {name}. They must be these, in this order."), Role::Text);
    say(String::new(), Role::Text);
    numbered.into_iter().for_each(|word| say(format!("    {word}"), Role::Mention));
    say(String::new(), Role::Text);
    say("One word that differs means somebody else: deny.".to_owned(), Role::Text);
}

fn names(names: &[Name]) -> String {
    match names {
        [] => "nobody".to_owned(),
        names => plain(&names.iter().map(shown).collect::<Vec<_>>().join(", ")),
    }
}
