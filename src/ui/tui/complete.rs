//! What Tab makes of the word before the cursor: a command, a room, or a member's name. Again and again: the next that fits.

use super::commands;
use super::model::{Completion, Model};

/// Completes, or goes on to the next candidate.
pub fn step(model: &mut Model, step: isize) {
    if let Some(mut completion) = model.completion.take() {
        let count = isize::try_from(completion.candidates.len()).unwrap_or(1);
        let old = completion.candidates[completion.at].chars().count();
        let next = (isize::try_from(completion.at).unwrap_or(0) + step).rem_euclid(count.max(1));
        completion.at = next.unsigned_abs();
        model.tab_mut().draft.replace_before(old, &completion.candidates[completion.at]);
        model.completion = Some(completion);
        return;
    }
    let before = model.tab().draft.before_cursor();
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default().to_owned();
    let candidates = candidates(model, &before, &word);
    let at = if step < 0 { candidates.len().saturating_sub(1) } else { 0 };
    let Some(first) = candidates.get(at) else { return };
    model.tab_mut().draft.replace_before(word.chars().count(), first);
    model.completion = (candidates.len() > 1).then_some(Completion { candidates, at });
}

fn candidates(model: &Model, before: &str, word: &str) -> Vec<String> {
    let first_row = model.tab().draft.cursor().0 == 0;
    let at_start = before.len() == word.len();
    let fits = |name: &str| name.to_lowercase().starts_with(&word.to_lowercase());
    let mut found: Vec<String> = match before.split_once(char::is_whitespace) {
        None if first_row && word.starts_with('/') => {
            let typed = &word[1..];
            commands::table()
                .filter(|(name, ..)| name.starts_with(typed))
                .map(|(name, ..)| format!("/{name} "))
                .collect()
        }
        Some(("/join" | "/j" | "/room" | "/create", _)) => {
            let own = model.tabs.iter().map(|tab| tab.room.to_string());
            let listed = model.listed.iter().map(ToString::to_string);
            own.chain(listed).filter(|room| fits(room)).collect()
        }
        _ if word.is_empty() => Vec::new(),
        _ => {
            let after = if at_start && first_row { ": " } else { " " };
            let members = model.tab().members.iter().filter(|person| !person.me).map(|person| person.name.to_string());
            let asking = model.requests.open().map(|request| request.name.to_string());
            let command = before.starts_with('/');
            members.chain(asking.filter(|_| command)).filter(|name| fits(name)).map(|name| name + after).collect()
        }
    };
    found.sort();
    found.dedup();
    found
}
