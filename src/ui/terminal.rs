//! The terminal of the plain face: a line that is being typed at the bottom, and lines that come in above it.
//!
//! Two threads of its own, since a terminal is read and written by waiting. Whatever ends the program, [`restore`] gives
//! the terminal back as it was found.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::time::Duration;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::slash::{self, COMMANDS};
use super::turns::Turns;
use crate::peer::api::limits::{SCREEN_LINES_WAITING_MAX, TEXT_BYTES_MAX};

const PROMPT: &str = "> ";

/// How long the editor waits for a typed line to be dealt with before it shows its prompt again.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);

/// The terminal as the program found it.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);

/// What a person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Typed a line and Enter.
    Line(String),
    /// Ctrl-C; whether that cleared a line.
    Interrupt {
        /// There was text in it.
        cleared: bool,
    },
    /// Ctrl-D, or the terminal is gone.
    End,
}

/// What a person did, and the way to tell the editor that it may go on.
#[derive(Debug)]
pub struct Typed {
    /// What.
    pub key: Key,
    /// Sent to when what came of it is on its way to the screen. Until then the editor shows no prompt.
    pub go_on: std_mpsc::Sender<()>,
}

/// The ends of the terminal that a face holds.
pub struct Terminal {
    /// What the person does.
    pub typed: mpsc::Receiver<Typed>,
    /// Whole lines to show, each ended by a line break. Only escaped text may go here.
    pub screen: mpsc::Sender<String>,
    /// How wide it is; `None` if it has no edge.
    pub columns: fn() -> Option<usize>,
    /// Where the person's clock is.
    pub zone: jiff::tz::TimeZone,
    /// Whether a said line leaves the screen when it is entered, so that its message is to be shown.
    pub takes_back: bool,
    /// Tells the editor that lines are said now, not answers to questions.
    pub saying: Arc<AtomicBool>,
}

/// Knows when the last line is on the screen.
pub struct Closing {
    printed: std_mpsc::Receiver<()>,
    edits: bool,
}

/// Opens the terminal: with an editor if it can be steered, else line by line.
///
/// # Errors
/// When the editor can't be started.
pub fn open() -> io::Result<(Terminal, Closing)> {
    let edits = io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    let (tell, typed) = mpsc::channel(1);
    let (screen, lines) = mpsc::channel(SCREEN_LINES_WAITING_MAX);
    let (done, printed) = std_mpsc::channel();
    let saying = Arc::new(AtomicBool::new(false));
    if edits {
        if let Ok(found) = tcgetattr(io::stdin()) {
            *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        }
        let turns = Arc::new(Turns::at_start());
        let (editor, printer) = editor(&saying, &turns).map_err(io::Error::other)?;
        let (saying, typing) = (saying.clone(), turns.clone());
        std::thread::Builder::new().name("editor".into()).spawn(move || {
            edit(editor, &tell, &saying, &typing);
        })?;
        let printer = InTurn { turns, printer };
        std::thread::Builder::new().name("screen".into()).spawn(move || print(lines, printer, &done))?;
    } else {
        std::thread::Builder::new().name("lines".into()).spawn(move || read(&tell))?;
        std::thread::Builder::new().name("screen".into()).spawn(move || print(lines, Direct, &done))?;
    }
    let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let zone = jiff::tz::TimeZone::system();
    Ok((Terminal { typed, screen, columns, zone, takes_back: edits, saying }, Closing { printed, edits }))
}

impl Closing {
    /// Waits until what was sent to the screen stands there, after the [`Terminal`] was dropped; then restores it.
    pub fn finish(self) {
        // A terminal that takes nothing any more must not keep the program.
        let _ = self.printed.recv_timeout(Duration::from_secs(2));
        if self.edits {
            // The editor's thread draws what was handed to it; there is no way to ask whether it has.
            std::thread::sleep(Duration::from_millis(30));
        }
        restore();
    }
}

/// Gives the terminal back as it was found. Does nothing if it was never changed.
pub fn restore() {
    let found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(found) = found.as_ref() else { return };
    let raw = tcgetattr(io::stdin()).is_ok_and(|now| now.local_flags != found.local_flags);
    if raw {
        // The prompt goes, and so does bracketed paste.
        let _ = io::stdout().write_all(b"\r\x1b[K\x1b[?2004l");
        let _ = io::stdout().flush();
    }
    let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, found);
}

type ChatEditor = Editor<Watch, DefaultHistory>;

fn editor(
    saying: &Arc<AtomicBool>,
    turns: &Arc<Turns>,
) -> rustyline::Result<(ChatEditor, impl ExternalPrinter + Send + use<>)> {
    let config = rustyline::Config::builder()
        .max_history_size(1000)?
        .auto_add_history(true)
        .history_ignore_space(true)
        .bracketed_paste(true)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Watch { empty: AtomicBool::new(true), turns: turns.clone() }));
    let printer = editor.create_external_printer()?;
    saying.store(false, Ordering::Relaxed);
    Ok((editor, printer))
}

fn edit(mut editor: ChatEditor, tell: &mpsc::Sender<Typed>, saying: &AtomicBool, turns: &Turns) {
    loop {
        if let Some(watch) = editor.helper() {
            watch.empty.store(true, Ordering::Relaxed);
        }
        turns.begin_line();
        let key = match editor.readline(PROMPT) {
            Ok(line) => {
                if saying.load(Ordering::Relaxed) && matches!(slash::parse(&line), slash::Line::Say(_)) {
                    take_back(&mut editor, &line);
                }
                Key::Line(line)
            }
            Err(ReadlineError::Interrupted) => {
                let empty = editor.helper().is_none_or(|watch| watch.empty.load(Ordering::Relaxed));
                Key::Interrupt { cleared: !empty }
            }
            Err(ReadlineError::Signal(_)) => continue,
            Err(_) => Key::End,
        };
        turns.end_line();
        let end = key == Key::End;
        let (go_on, gone_on) = std_mpsc::channel();
        if tell.blocking_send(Typed { key, go_on }).is_err() || end {
            return;
        }
        // The terminal is left as it was found from then on: Ctrl-C is a signal again.
        if gone_on.recv_timeout(ANSWER_WITHIN).is_err() && tell.is_closed() {
            return;
        }
    }
}

/// Removes a line that was just entered, since it will come back as a message with its time and name. Where the rows that
/// it takes can't be told for certain it stays; twice on the screen is better than a row too many erased.
fn take_back(editor: &mut ChatEditor, line: &str) {
    let Some((columns, _)) = editor.dimensions() else { return };
    if let Some(rows) = rows_taken(line, usize::from(columns)) {
        let _ = io::stdout().write_all(format!("\x1b[{rows}A\r\x1b[J").as_bytes());
        let _ = io::stdout().flush();
    }
}

fn rows_taken(line: &str, columns: usize) -> Option<usize> {
    let width = PROMPT.len() + unicode_width::UnicodeWidthStr::width(line);
    let plain = line.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let short = width < columns && !line.chars().any(char::is_control);
    (columns > 0 && (plain || short)).then(|| width / columns + 1)
}

/// Line by line, for terminals that can't be steered.
fn read(tell: &mpsc::Sender<Typed>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut bytes = Vec::new();
        // One byte more than a text may have is enough to see that it is too long; the rest comes as the next line.
        let key = match stdin.by_ref().take(TEXT_BYTES_MAX as u64 + 2).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => Key::End,
            Ok(_) => {
                let line = String::from_utf8_lossy(&bytes);
                Key::Line(line.strip_suffix('\n').unwrap_or(&line).to_owned())
            }
        };
        let end = key == Key::End;
        let (go_on, gone_on) = std_mpsc::channel();
        if tell.blocking_send(Typed { key, go_on }).is_err() || end {
            return;
        }
        let _ = gone_on.recv_timeout(ANSWER_WITHIN);
    }
}

fn print(mut lines: mpsc::Receiver<String>, mut printer: impl ExternalPrinter, done: &std_mpsc::Sender<()>) {
    while let Some(line) = lines.blocking_recv() {
        if printer.print(line).is_err() {
            break;
        }
    }
    let _ = done.send(());
}

/// A screen on which an editor is at work.
struct InTurn<P> {
    turns: Arc<Turns>,
    printer: P,
}

impl<P: ExternalPrinter> ExternalPrinter for InTurn<P> {
    fn print(&mut self, message: String) -> rustyline::Result<()> {
        self.turns.show(message, &mut self.printer)
    }
}

/// A screen on which nothing is being typed.
struct Direct;

impl ExternalPrinter for Direct {
    fn print(&mut self, message: String) -> rustyline::Result<()> {
        io::stdout().write_all(message.as_bytes())?;
        Ok(io::stdout().flush()?)
    }
}

/// Watches the line as it is typed, because the editor forgets it at Ctrl-C; and completes commands.
struct Watch {
    empty: AtomicBool,
    turns: Arc<Turns>,
}

impl Hinter for Watch {
    type Hint = String;
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.empty.store(line.is_empty(), Ordering::Relaxed);
        self.turns.key();
        None
    }
}

impl Completer for Watch {
    type Candidate = String;
    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let Some(word) = line[..at].strip_prefix('/') else { return Ok((at, Vec::new())) };
        let fitting = COMMANDS.iter().map(|entry| entry.name).filter(|name| name.starts_with(word));
        Ok((1, fitting.map(|name| format!("{name} ")).collect()))
    }
}

impl Highlighter for Watch {}
impl Validator for Watch {}
impl Helper for Watch {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_certain_height_are_taken_back() {
        assert_eq!(rows_taken("hello", 80), Some(1));
        assert_eq!(rows_taken(&"x".repeat(77), 80), Some(1));
        assert_eq!(rows_taken(&"x".repeat(78), 80), Some(2), "the cursor stands on the next row");
        assert_eq!(rows_taken("日本", 80), Some(1));
        assert_eq!(rows_taken(&"日".repeat(50), 80), None);
        assert_eq!(rows_taken("two\nlines", 80), None);
    }
}
