//! Keys in the review of a newcomer.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::hear::tell;
use super::model::{Effect, Model, Screen};
use super::review::{Review, Verdict};
use super::view;
use crate::peer::api::limits::PROMPTS_REMEMBERED_MAX;
use crate::peer::api::{Answer, Command, KnockRef, ProposalHash};

/// Takes a key.
pub fn on_key(model: &mut Model, key: &KeyEvent, out: &mut Vec<Effect>) {
    let fits = match &model.screen {
        Screen::Review(review) => view::review_fits(model, review),
        _ => return,
    };
    let Screen::Review(review) = &mut model.screen else { return };
    if key.kind != KeyEventKind::Press {
        return;
    }
    let knock = review.knock;
    let verdict = match (key.code, key.modifiers) {
        (KeyCode::Char('l'), KeyModifiers::CONTROL) => return out.push(Effect::Repaint),
        (KeyCode::Char('c'), KeyModifiers::CONTROL) | (KeyCode::F(2), _) => Verdict::Later,
        (code, KeyModifiers::NONE) => review.verdict(code, model.now.mono_ms),
        _ => Verdict::Nothing,
    };
    match verdict {
        Verdict::Approve if !fits => {
            let told = "the screen is too small to show all that a yes rests on: enlarge it, or type /approve NAME";
            tell(model, None, vec![told.to_owned()]);
            close(model, out);
        }
        Verdict::Approve => answer(model, Answer::Yes, Command::Approve, out),
        Verdict::Deny => answer(model, Answer::No, Command::Deny, out),
        Verdict::Compare => {
            review.compare(true);
            out.push(Effect::Repaint);
        }
        Verdict::Same => {
            review.compare(false);
            note_compared(model, &knock);
            out.push(Effect::Repaint);
        }
        Verdict::Turn(step) => {
            if let Some(next) = model.requests.neighbour(&knock, step) {
                model.screen = Screen::Review(Review::of(next));
                out.push(Effect::Repaint);
            }
        }
        Verdict::Later if review.comparing => {
            review.compare(false);
            out.push(Effect::Repaint);
        }
        Verdict::Later => close(model, out),
        Verdict::Nothing => {}
    }
}

/// Notes that the words of this newcomer are the right ones; once they are in, their key is marked as verified.
fn note_compared(model: &mut Model, knock: &ProposalHash) {
    let Some(request) = model.requests.get(knock) else { return };
    let compared = (request.room.clone(), request.key);
    if model.compared.len() == PROMPTS_REMEMBERED_MAX {
        model.compared.pop_front();
    }
    if !model.compared.contains(&compared) {
        model.compared.push_back(compared);
    }
}

/// Answers the knock that is shown, and no other.
fn answer(model: &mut Model, answer: Answer, command: fn(KnockRef) -> Command, out: &mut Vec<Effect>) {
    let Screen::Review(review) = &model.screen else { return };
    let knock = review.knock;
    let open = model.requests.get(&knock).is_some_and(|request| !request.over && request.answer.is_none());
    if !open {
        return;
    }
    model.requests.answered(&knock, answer);
    out.push(Effect::Send(command(KnockRef::Id(knock))));
    close(model, out);
}

fn close(model: &mut Model, out: &mut Vec<Effect>) {
    model.screen = Screen::Chat;
    out.push(Effect::Repaint);
}
