//! The review of one newcomer: what is looked at, and when a key means something.
//!
//! A key that was meant for something else must not let a stranger in: for the first moment after each change of what is
//! shown no key counts, Enter never does, and when a request ends no other takes its place.

use crossterm::event::KeyCode;

use crate::peer::api::ProposalHash;

/// For how long after a change no key counts: longer than the gap between two letters of somebody who types.
pub const DEAF_MS: u64 = 300;

/// The review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Whose knock is shown; always the same until the person goes on to another.
    pub knock: ProposalHash,
    /// Since when it is on the screen; `None` until it is.
    shown_ms: Option<u64>,
    /// Whether the words are being compared.
    pub comparing: bool,
}

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let them in.
    Approve,
    /// Refuse them.
    Deny,
    /// Compare the words first.
    Compare,
    /// The words are the same.
    Same,
    /// Show the next, or the one before.
    Turn(isize),
    /// Later.
    Later,
    /// Nothing.
    Nothing,
}

impl Review {
    /// Of this knock, not on the screen yet.
    pub fn of(knock: ProposalHash) -> Self {
        Review { knock, shown_ms: None, comparing: false }
    }

    /// It is on the screen now.
    pub fn drawn(&mut self, now_ms: u64) {
        self.shown_ms.get_or_insert(now_ms);
    }

    /// Shows the words large, or no longer.
    pub fn compare(&mut self, comparing: bool) {
        self.comparing = comparing;
        self.shown_ms = None;
    }

    /// What a key means now.
    pub fn verdict(&self, key: KeyCode, now_ms: u64) -> Verdict {
        // Going away decides nothing, so it is never too early.
        if key == KeyCode::Esc {
            return Verdict::Later;
        }
        if self.shown_ms.is_none_or(|shown| now_ms < shown + DEAF_MS) {
            return Verdict::Nothing;
        }
        match (key, self.comparing) {
            (KeyCode::Char('a'), false) => Verdict::Approve,
            (KeyCode::Char('d'), _) => Verdict::Deny,
            (KeyCode::Char('v'), false) => Verdict::Compare,
            (KeyCode::Char('s'), true) => Verdict::Same,
            (KeyCode::Char('n') | KeyCode::Right | KeyCode::Down, _) => Verdict::Turn(1),
            (KeyCode::Char('p') | KeyCode::Left | KeyCode::Up, _) => Verdict::Turn(-1),
            _ => Verdict::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_counts_before_the_person_can_have_seen_what_it_is_about() {
        let mut review = Review::of(ProposalHash([4; 32]));
        let approve = KeyCode::Char('a');
        assert_eq!(review.verdict(approve, 10_000), Verdict::Nothing, "it was never drawn");
        review.drawn(10_000);
        review.drawn(10_200);
        assert_eq!(review.verdict(approve, 10_299), Verdict::Nothing);
        assert_eq!(review.verdict(approve, 10_300), Verdict::Approve);
        review.compare(true);
        review.drawn(20_000);
        assert_eq!(review.verdict(KeyCode::Char('s'), 20_000), Verdict::Nothing);
        assert_eq!(review.verdict(KeyCode::Esc, 20_000), Verdict::Later);
    }

    #[test]
    fn enter_and_space_decide_nothing() {
        let mut review = Review::of(ProposalHash([4; 32]));
        review.drawn(0);
        for key in [KeyCode::Enter, KeyCode::Char(' '), KeyCode::Char('y'), KeyCode::Tab, KeyCode::Char('A')] {
            assert_eq!(review.verdict(key, 5_000), Verdict::Nothing, "{key:?}");
        }
    }
}
