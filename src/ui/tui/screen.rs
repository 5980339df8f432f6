//! The terminal as a screen: taken over at the start, given back whatever happens.
//!
//! Moves bytes and nothing else: what is drawn was decided in [`super::view`], what keys mean in [`super::keys`].

use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange, Event};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use nix::sys::signal::{Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use tokio::sync::mpsc;

use super::model::{Input, Model};
use super::view::view;

/// Keys that may wait for the face: what a person types in the time of a slow frame.
const KEYS_WAITING_MAX: usize = 256;

/// Whether the terminal is taken over.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether this is a terminal that can be a screen.
pub fn is_usable() -> bool {
    let wanted = std::env::var_os("P2PCHAT_PLAIN").is_none_or(|it| it.is_empty());
    let steerable = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    wanted && steerable && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The screen.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

/// Gives the terminal back when it is dropped.
impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

impl Screen {
    /// Takes the terminal over. From now on a panic gives it back before it is told.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn open() -> io::Result<Self> {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            told(panic);
        }));
        take()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| restore())?;
        Ok(Screen { terminal })
    }

    /// Draws the model; of what is drawn already only what has changed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, model: &Model) -> io::Result<()> {
        // A panic elsewhere has given it back; what is drawn now would stand in the shell.
        if TAKEN.load(Ordering::SeqCst) {
            self.terminal.draw(|frame| view(model, frame))?;
        }
        Ok(())
    }

    /// Forgets what is thought to stand on the screen.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn repaint(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal where its cursor is, and the answer would go to whoever reads the keys.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// The size of the terminal.
    pub fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((80, 24), |size| (size.width, size.height))
    }

    /// Stops the program, as Ctrl-Z does elsewhere; comes back when the shell continues it.
    ///
    /// # Errors
    /// When the terminal can't be taken over again.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        raise(Signal::SIGTSTP)?;
        take()?;
        self.repaint()
    }

    /// Rings.
    pub fn bell(&mut self) {
        let _ = io::stdout().write_all(b"\x07").and_then(|()| io::stdout().flush());
    }

    /// Names the window. Only escaped text may go here.
    pub fn title(&mut self, title: &str) {
        let _ = execute!(io::stdout(), SetTitle(harmless(title)));
    }

    /// Tells the desktop. Only escaped text may go here.
    pub fn notify(&mut self, text: &str) {
        let _ = write!(io::stdout(), "\x1b]9;{}\x07", harmless(text)).and_then(|()| io::stdout().flush());
    }

    /// Puts a text on the clipboard, where the terminal allows that; it travels encoded.
    pub fn copy(&mut self, text: &str) {
        let _ = execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text));
    }
}

/// Within a sequence that steers the terminal a control character would end it; escaped text has none, and this is the wall
/// behind that.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Gives the terminal back as it was found, if it was taken over; from whatever thread.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            SetTitle(""),
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange).inspect_err(|_| restore())
}

/// What the person does, read in a thread of its own, since a terminal is read by waiting. Ends when the terminal is gone.
///
/// # Errors
/// When there can be no further thread.
pub fn keys() -> io::Result<mpsc::Receiver<Input>> {
    let (tell, keys) = mpsc::channel(KEYS_WAITING_MAX);
    std::thread::Builder::new().name("keys".into()).spawn(move || {
        while let Ok(event) = crossterm::event::read() {
            let input = match event {
                Event::Key(key) => Input::Key(key),
                Event::Paste(text) => Input::Paste(text),
                Event::Resize(columns, rows) => Input::Resized(columns, rows),
                Event::FocusGained => Input::Focus(true),
                Event::FocusLost => Input::Focus(false),
                Event::Mouse(_) => continue,
            };
            if tell.blocking_send(input).is_err() {
                return;
            }
        }
    })?;
    Ok(keys)
}
