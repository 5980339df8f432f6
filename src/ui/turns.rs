//! Whose turn it is at the terminal of the plain face: the editor's while a line is typed, the screen's between two lines.
//!
//! The editor shows what comes in only while no key waits for it, and keeps one message at most until then. So a paste of
//! many lines would hold up the screen, the screen the face, and the face the editor: nobody would go on. Therefore what
//! comes in is handed to the editor only while it rests, and written past it between two lines.

use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;

/// How long no key must have come for the editor to count as resting: less than between two keys of somebody who types, or
/// holds one down; more than between two keys of a paste.
const REST: Duration = Duration::from_millis(20);

/// The turns of one terminal.
pub struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Whether no line is being typed.
    between: bool,
    /// When the last key came.
    key: Instant,
}

impl Turns {
    /// Before the first line.
    pub fn at_start() -> Self {
        Turns { state: Mutex::new(State { between: true, key: Instant::now() }), changed: Condvar::new() }
    }

    /// The editor begins with a line.
    pub fn begin_line(&self) {
        *self.state() = State { between: false, key: Instant::now() };
    }

    /// The editor is done with a line, and has left the terminal as it found it.
    pub fn end_line(&self) {
        self.state().between = true;
        self.changed.notify_all();
    }

    /// A key came.
    pub fn key(&self) {
        self.state().key = Instant::now();
    }

    /// Shows whole lines as soon as nothing that is being typed is in the way.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&self, lines: String, printer: &mut impl ExternalPrinter) -> rustyline::Result<()> {
        let mut state = self.state();
        while !state.between {
            let rested = state.key.elapsed();
            if rested >= REST {
                drop(state);
                return printer.print(lines);
            }
            let waited = self.changed.wait_timeout(state, REST - rested);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // The editor doesn't begin before this is written.
        io::stdout().write_all(lines.as_bytes())?;
        Ok(io::stdout().flush()?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An editor that takes what it is handed.
    #[derive(Default)]
    struct Editor(Vec<String>);

    impl ExternalPrinter for Editor {
        fn print(&mut self, message: String) -> rustyline::Result<()> {
            self.0.push(message);
            Ok(())
        }
    }

    #[test]
    fn only_an_editor_at_rest_is_handed_what_comes_in() {
        let (turns, mut editor) = (Turns::at_start(), Editor::default());
        turns.show("between\n".to_owned(), &mut editor).unwrap();
        assert!(editor.0.is_empty(), "written past it");
        turns.begin_line();
        let begun = Instant::now();
        turns.show("at rest\n".to_owned(), &mut editor).unwrap();
        assert!(begun.elapsed() >= REST, "it had only begun");
        assert_eq!(editor.0, ["at rest\n"]);
        std::thread::scope(|scope| {
            turns.key();
            scope.spawn(|| turns.end_line());
            turns.show("a line is done\n".to_owned(), &mut Editor::default()).unwrap();
        });
    }
}
