//! The JSON face: one object a line in both directions, for programs.
#![doc = include_str!("../JSON.md")]

mod decisions;
mod input;
mod output;
mod past;
mod paths;
mod said;
mod tickets;

use std::io::{ErrorKind, Write};

use tokio::io::AsyncBufRead;
use tokio::sync::mpsc;

use super::exit::Exit;
use super::lines::{BadLine, Lines};
use super::port::{Port, Turn};
use super::session::{Opening, Session, Step};
use super::stop;
use super::words::{self, Said, shown};
use crate::peer::api::limits::JSON_LINE_BYTES_MAX;
use crate::peer::api::{Chat, Command, Creation, Ending, Event};

pub(super) use decisions::kind_word;
pub use output::{VERSION, error_line as error_text, rooms_line, whoami_line};
pub(super) use output::{line as object, rfc3339};
pub use past::{export_line, history_line};

/// Runs until the chat has ended. `creation` is what rooms are created like when the program doesn't say.
pub async fn run(
    chat: Chat,
    opening: Opening,
    creation: Creation,
    stdin: impl AsyncBufRead + Unpin,
    stdout: impl Write,
    mut stop: mpsc::Receiver<()>,
) -> Exit {
    let mut lines = Lines::new(stdin, JSON_LINE_BYTES_MAX);
    let mut reading = true;
    let mut deadline = None;
    let mut face = Json { port: Port::new(chat), session: Session::new(opening), stdout, stdout_open: true };
    loop {
        if face.port.is_calm() {
            let flushed = face.stdout.flush();
            face.wrote(flushed);
        }
        let listening = reading && face.port.is_idle() && !face.session.is_quitting();
        tokio::select! {
            biased;
            () = stop::reached(deadline) => {
                face.error(&words::not_in_time());
                face.session.worsen(Exit::Failed);
                break;
            }
            Some(()) = stop.recv() => {
                face.quit(Exit::Done);
                deadline = Some(stop::deadline());
            }
            turn = face.port.next() => match turn {
                Turn::Event(event) => {
                    let ended = matches!(event, Event::Ended(_));
                    let failed = face.on_event(&event);
                    if ended {
                        break;
                    }
                    if failed && deadline.is_none() {
                        deadline = Some(stop::deadline());
                    }
                }
                Turn::Idle => {}
                Turn::Gone => {
                    face.error(&words::gone());
                    face.session.worsen(Exit::Failed);
                    break;
                }
            },
            line = lines.next(), if listening => match line {
                Ok(Some(line)) => face.on_line(line.number, line.text, creation),
                Ok(None) if !lines.read_anything() => reading = false,
                Ok(None) => {
                    reading = false;
                    face.quit(Exit::Done);
                }
                Err(why) => {
                    reading = false;
                    face.error(&Said::new("input", format!("standard input can't be read: {}", shown(why)), None));
                    face.quit(Exit::Failed);
                }
            },
        }
    }
    let flushed = face.stdout.flush();
    face.wrote(flushed);
    face.session.exit()
}

struct Json<O> {
    port: Port,
    session: Session,
    stdout: O,
    stdout_open: bool,
}

impl<O: Write> Json<O> {
    /// Tells the event and does what follows; whether the chat is ending without having begun.
    fn on_event(&mut self, event: &Event) -> bool {
        let step = self.session.note(event);
        // With `--create`, that there is no such room yet is a step on the way in and no refusal.
        let on_the_way = matches!((event, &step), (Event::Refused { .. }, Some(Step::Send(_))));
        if !on_the_way {
            self.write(&output::event_line(event));
        }
        if *event == Event::Ended(Ending::Undelivered) {
            self.error(&words::undelivered());
        }
        match step {
            Some(Step::Send(command)) => self.port.send(command),
            // The event itself has been told.
            Some(Step::Fail(_) | Step::Quit) => {
                self.port.send(Command::Quit);
                return true;
            }
            Some(Step::Offer) | None => {}
        }
        false
    }

    fn on_line(&mut self, number: u64, text: Result<String, BadLine>, creation: Creation) {
        let parsed = match text {
            Ok(text) if text.trim().is_empty() => return,
            Ok(text) => input::parse(&text, creation),
            Err(BadLine::TooLong { max }) => {
                Err(Said::new("line_too_long", format!("line {number} is longer than {max} bytes"), None))
            }
            Err(BadLine::NotUtf8) => Err(Said::new("not_utf8", format!("line {number} is not UTF-8"), None)),
        };
        match parsed {
            Ok(Command::Quit) => self.quit(Exit::Done),
            Ok(command) => self.port.send(command),
            Err(said) => self.error(&said),
        }
    }

    fn quit(&mut self, exit: Exit) {
        if !self.session.is_quitting() {
            self.session.quit(exit);
            self.port.send(Command::Quit);
        }
    }

    fn error(&mut self, said: &Said) {
        self.write(&output::error_line(said));
    }

    fn write(&mut self, line: &str) {
        let written = writeln!(self.stdout, "{line}");
        self.wrote(written);
    }

    fn wrote(&mut self, result: std::io::Result<()>) {
        let Err(why) = result else { return };
        if std::mem::take(&mut self.stdout_open) {
            self.quit(if why.kind() == ErrorKind::BrokenPipe { Exit::Done } else { Exit::Failed });
        }
    }
}

#[cfg(test)]
mod tests;
