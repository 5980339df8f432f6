//! The pipe face: each line of standard input is said, each text of the others is a line of standard output.
//!
//! Nothing else ever stands on standard output; names, prompts and notices go to standard error. Input is read only while
//! we are in the room and the chat keeps up, so that a file of any size takes no memory.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use tokio::io::AsyncBufRead;
use tokio::sync::mpsc;

use super::exit::Exit;
use super::knocks::Knocks;
use super::lines::{BadLine, Line, Lines};
use super::messages::Messages;
use super::notices::notice;
use super::port::{Port, Turn};
use super::session::{Opening, Session, Step};
use super::slash::{self, COMMANDS, Slash};
use super::words::{self, Said, shown};
use super::{escape, plain, reach, recall, said, stop};
use crate::peer::api::limits::{HISTORY_SHOWN_DEFAULT, TEXT_BYTES_MAX};
use crate::peer::api::{Chat, Command, Event, Failure, Leaving, Manner, Recall, RoomName};

/// What the command line says about pipes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// Every line is text, even `/quit`.
    pub no_commands: bool,
    /// The others' control characters are passed on.
    pub raw: bool,
}

/// Runs until the chat has ended.
pub async fn run(
    chat: Chat,
    opening: Opening,
    choices: Choices,
    stdin: impl AsyncBufRead + Unpin,
    stdout: impl Write,
    stderr: impl Write,
    mut stop: mpsc::Receiver<()>,
) -> Exit {
    let mut lines = Lines::new(stdin, TEXT_BYTES_MAX);
    let mut reading = true;
    let mut deadline = None;
    let mut face = Pipe {
        port: Port::new(chat),
        room: opening.room().cloned(),
        session: Session::new(opening),
        knocks: Knocks::default(),
        messages: Messages::default(),
        data_dir: None,
        choices,
        stdout,
        stderr,
        stdout_open: true,
        hurry: false,
    };
    loop {
        let listening = reading && face.session.is_inside() && face.port.is_idle() && !face.session.is_quitting();
        if face.port.is_calm() {
            face.flush();
        }
        tokio::select! {
            biased;
            () = stop::reached(deadline) => {
                face.error(&words::not_in_time());
                face.session.worsen(Exit::Failed);
                break;
            }
            Some(()) = stop.recv() => {
                face.quit(Exit::Done);
                face.hurry = true;
            }
            turn = face.port.next() => match turn {
                Turn::Event(event @ Event::Ended(_)) => {
                    face.session.note(&event);
                    face.notices(&event);
                    break;
                }
                Turn::Event(event) => face.on_event(&event),
                Turn::Idle => {}
                Turn::Gone => {
                    face.error(&words::gone());
                    face.session.worsen(Exit::Failed);
                    break;
                }
            },
            line = lines.next(), if listening => match line {
                Ok(Some(line)) => face.on_line(line),
                // Nothing was ever meant to be said: this one reads along.
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
        // What was said at the end of the input may take its time; a chat that failed to begin has nothing to deliver.
        if face.hurry && deadline.is_none() {
            deadline = Some(stop::deadline());
        }
    }
    face.flush();
    face.session.exit()
}

struct Pipe<O, E> {
    port: Port,
    session: Session,
    room: Option<RoomName>,
    knocks: Knocks,
    messages: Messages,
    data_dir: Option<PathBuf>,
    choices: Choices,
    stdout: O,
    stderr: E,
    stdout_open: bool,
    hurry: bool,
}

impl<O: Write, E: Write> Pipe<O, E> {
    fn on_event(&mut self, event: &Event) {
        self.knocks.note(event);
        match event {
            Event::Message { mine: false, text, manner, .. } => {
                let line = if self.choices.raw { text.into() } else { escape::pipe(text) };
                let does = if *manner == Manner::Action { "* " } else { "" };
                let written = writeln!(self.stdout, "{does}{line}");
                self.wrote(written);
            }
            Event::Message { .. } => {}
            Event::Ready { ephemeral, data_dir, .. } => {
                self.data_dir = (!ephemeral).then(|| data_dir.clone());
                self.notices(event);
            }
            // What was said before is nothing that a script waits for; what it asked for stands beside the messages.
            Event::History { why: Recall::Joined, .. } => {}
            Event::History { .. } => {
                recall::lines(event, &jiff::tz::TimeZone::system()).iter().for_each(|line| self.tell(line));
            }
            Event::Failed(failure) => {
                // What was to be said was not: whoever wrote the script must see it at the end, too.
                if matches!(
                    failure,
                    Failure::NotKept { .. }
                        | Failure::NoSpace { own: true, .. }
                        | Failure::TextTooLong { .. }
                        | Failure::NotInRoom(_)
                ) {
                    self.session.worsen(Exit::Failed);
                }
                if self.session.is_inside() {
                    self.error(&reach::meanwhile(failure));
                }
            }
            Event::Left { why: Leaving::DroppedByOthers | Leaving::Reformed, .. } => self.notices(event),
            Event::Refused { room, .. } if self.room.as_ref() != Some(room) => self.notices(event),
            Event::Refused { .. } | Event::Left { .. } => {}
            _ => self.notices(event),
        }
        self.messages.note(event);
        let step = self.session.note(event);
        self.room = self.session.room().cloned();
        match step {
            Some(Step::Send(command)) => self.port.send(command),
            Some(Step::Fail(said)) => {
                self.error(&said);
                self.hurry = true;
                self.port.send(Command::Quit);
            }
            Some(Step::Quit) => self.port.send(Command::Quit),
            // Nobody can be asked in a pipe, so nothing is offered.
            Some(Step::Offer) | None => {}
        }
    }

    fn on_line(&mut self, line: Line) {
        let Some(room) = self.room.clone() else { return };
        let text = match line.text {
            Ok(text) => text,
            Err(why) => {
                let why = match why {
                    BadLine::TooLong { max } => format!("is longer than {max} bytes"),
                    BadLine::NotUtf8 => "is not UTF-8".to_owned(),
                };
                let hint = "the other lines are said; send other data as text, for instance by base64";
                let message = format!("line {} {why} and was not said", line.number);
                self.error(&Said::new("bad_line", message, Some(hint.to_owned())));
                self.session.worsen(Exit::Failed);
                return;
            }
        };
        let meaning = if self.choices.no_commands { slash::Line::Say(text) } else { slash::parse_scripted(&text) };
        match meaning {
            slash::Line::Say(text) => self.port.send(Command::Say { room, text }),
            slash::Line::Do(slash) => self.carry_out(room, slash),
            // A script's line is either a command or said.
            slash::Line::Wrong(_) | slash::Line::Unknown { .. } => {}
        }
    }

    fn carry_out(&mut self, room: RoomName, slash: Slash) {
        let decided = match slash {
            Slash::Approve(newcomer) => self.knocks.find(&room, &newcomer).map(Command::Approve),
            Slash::Deny(newcomer) => self.knocks.find(&room, &newcomer).map(Command::Deny),
            Slash::Decide(decide) => decide.command(room, &self.knocks),
            Slash::Help => {
                COMMANDS.iter().for_each(|entry| self.tell(&format!("{}  {}", entry.usage, entry.help)));
                return;
            }
            Slash::Quit => return self.quit(Exit::Done),
            Slash::List => Ok(Command::List),
            Slash::Requests => Ok(Command::Pending(room)),
            Slash::Members => Ok(Command::Members(room)),
            Slash::Paths => Ok(Command::Paths(room)),
            Slash::Last(count) => Ok(Command::Last { room, count }),
            Slash::Search(words) => Ok(Command::Search { room, words, count: HISTORY_SHOWN_DEFAULT }),
            Slash::Ticket(expires_in_s) => Ok(Command::Ticket { room, expires_in_s }),
            Slash::Publish(server) => Ok(Command::Publish { server }),
            Slash::Speak(speak) => speak.command(room, &self.messages),
            Slash::Export(file) => {
                plain::export(self.data_dir.as_deref(), &room, &file).iter().for_each(|line| self.tell(line));
                return;
            }
            Slash::Leave => Ok(Command::Leave(room)),
            Slash::Rejoin => Ok(Command::Rejoin(room)),
            Slash::Delete => Ok(Command::Delete(room)),
        };
        match decided {
            Ok(command) => self.port.send(command),
            Err(failure) => self.error(&words::failure(&failure)),
        }
    }

    fn quit(&mut self, exit: Exit) {
        if !self.session.is_quitting() {
            self.session.quit(exit);
            self.port.send(Command::Quit);
        }
    }

    fn notices(&mut self, event: &Event) {
        let said = said::lines(event, &self.messages, &jiff::tz::TimeZone::system());
        let lines = if said.is_empty() { notice(event) } else { said };
        lines.iter().for_each(|line| self.tell(line));
    }

    fn tell(&mut self, line: &str) {
        // With standard error closed there is nobody to tell.
        let _ = writeln!(self.stderr, "* {line}");
    }

    fn error(&mut self, said: &Said) {
        let _ = self.stderr.write_all(said.to_stderr().as_bytes());
    }

    fn flush(&mut self) {
        let flushed = self.stdout.flush();
        self.wrote(flushed);
    }

    /// A reader that has gone away, as `head` does, ends the program quietly; a full disk doesn't.
    fn wrote(&mut self, result: std::io::Result<()>) {
        let Err(why) = result else { return };
        if !std::mem::take(&mut self.stdout_open) {
            return;
        }
        if why.kind() == ErrorKind::BrokenPipe {
            self.quit(Exit::Done);
        } else {
            self.error(&Said::new("output", format!("standard output can't be written: {}", shown(why)), None));
            self.quit(Exit::Failed);
        }
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
