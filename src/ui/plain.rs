//! The plain face: lines at a terminal, nothing drawn over anything.
//!
//! An event never takes the keyboard: answers are typed in full (`/approve NAME`), and what is being typed survives what
//! comes in. Everything on the screen has passed [`super::escape`].

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::decide::Awaited;
use super::exit::Exit;
use super::knocks::Knocks;
use super::labels::Labels;
use super::messages::Messages;
use super::notices::{self, notice, pad};
use super::port::{Port, Turn};
use super::session::{Opening, Session, Step};
use super::slash::{self, COMMANDS, Line, Newcomer, Slash};
use super::stop;
use super::terminal::{Key, Terminal, Typed};
use super::tickets;
use super::words::{self, Said, shown};
use super::{escape, offline, reach, recall, said, wrap};
use crate::peer::api::limits::HISTORY_SHOWN_DEFAULT;
use crate::peer::api::{Chat, Command, Ending, Event, KnockRef, Manner, Name, PeerId, Recall, Recalled, RoomName};

/// How often the clock of our own knock is shown when nothing else changes.
const TICK: Duration = Duration::from_secs(10);

/// How long an end may take before it is told what it waits for: closing what nobody answers any more takes two seconds.
const TELL_LEAVING_AFTER: Duration = Duration::from_secs(3);

/// Columns that short names are padded to, so that texts stand under each other.
const NAME_COLUMNS: usize = 8;

/// Columns that most commands' usage fits in.
const USAGE_COLUMNS: usize = 34;

/// Runs until the chat has ended; what is left to say belongs on standard error when the terminal is restored.
pub async fn run(
    chat: Chat,
    opening: Opening,
    terminal: Terminal,
    mut stop: mpsc::Receiver<()>,
) -> (Exit, Option<Said>) {
    let mut face = Plain {
        port: Port::new(chat),
        room: opening.room().cloned(),
        session: Session::new(opening),
        knocks: Knocks::default(),
        labels: Labels::default(),
        messages: Messages::default(),
        data_dir: None,
        question: None,
        own_knock: None,
        awaited: Awaited::default(),
        leave_asked: false,
        last_words: None,
        deadline: None,
        last_wait: None,
        terminal,
    };
    loop {
        let listening = face.port.is_idle() && !face.session.is_quitting();
        let tick = face.own_knock.as_ref().map(|knock| knock.tick);
        let awaited = face.awaited.due();
        tokio::select! {
            biased;
            () = stop::reached(face.deadline) => {
                face.session.worsen(Exit::Failed);
                let last_words = face.last_words.unwrap_or_else(words::not_in_time);
                return (face.session.exit(), Some(last_words));
            }
            // Whoever asks twice does not want to wait for others to read.
            Some(()) = stop.recv() => if face.session.is_quitting() { face.port.send(Command::Quit) } else { face.quit(Exit::Done) },
            turn = face.port.next() => match turn {
                Turn::Event(Event::Ended(how)) => {
                    face.session.note(&Event::Ended(how));
                    let undelivered = (how == Ending::Undelivered).then(words::undelivered);
                    return (face.session.exit(), face.last_words.or(undelivered));
                }
                Turn::Event(event) => face.on_event(event).await,
                Turn::Idle => {}
                Turn::Gone => {
                    face.session.worsen(Exit::Failed);
                    return (face.session.exit(), Some(face.last_words.unwrap_or_else(words::gone)));
                }
            },
            typed = face.terminal.typed.recv(), if listening => match typed {
                Some(typed) => face.on_typed(typed).await,
                None => face.quit(Exit::Done),
            },
            () = stop::reached(tick) => face.on_tick().await,
            () = stop::reached(awaited) => face.tell_awaited(),
            () = stop::reached(face.last_wait) => {
                face.last_wait = None;
                face.notices(vec![words::leaving()]).await;
            }
        }
    }
}

struct Plain {
    port: Port,
    session: Session,
    room: Option<RoomName>,
    knocks: Knocks,
    labels: Labels,
    messages: Messages,
    data_dir: Option<PathBuf>,
    question: Option<Question>,
    own_knock: Option<OwnKnock>,
    awaited: Awaited,
    leave_asked: bool,
    last_words: Option<Said>,
    deadline: Option<Instant>,
    /// When to tell why the program has not ended yet.
    last_wait: Option<Instant>,
    terminal: Terminal,
}

/// What the next typed line answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Pin,
    Create,
}

/// The knock of ours that is open, to show its clock.
struct OwnKnock {
    room: RoomName,
    yes: u16,
    of: u16,
    ends: Instant,
    tick: Instant,
}

impl Plain {
    async fn on_event(&mut self, event: Event) {
        self.knocks.note(&event);
        self.labels.note(&event);
        self.awaited.note(&event);
        match &event {
            Event::Message { from, key, mine, text, sent_at_ms, manner, mentions_me, .. } => {
                // What was typed stands on the screen already, but for what a command has made of it.
                if !*mine || self.terminal.takes_back || *manner != Manner::Text {
                    self.message(from, key, text, *sent_at_ms, *manner, *mentions_me).await;
                }
            }
            Event::Ready { ephemeral, data_dir, .. } => {
                self.data_dir = (!ephemeral).then(|| data_dir.clone());
                self.notices(notice(&event)).await;
            }
            Event::History { room, why, messages, more } => {
                self.notices(vec![recall::heading(room, *why, messages.len(), *more)]).await;
                self.recalled(messages, *why).await;
            }
            Event::PinWanted { .. } => {
                self.question = Some(Question::Pin);
                self.notices(notice(&event)).await;
            }
            Event::Ticket { ticket, .. } => {
                self.notices(notice(&event)).await;
                self.notices(tickets::code(ticket, (self.terminal.columns)().unwrap_or(80))).await;
            }
            Event::Knocking { yes, of, expires_in_s, .. } => self.on_own_knock(&event, *yes, *of, *expires_in_s).await,
            // Looked up to find the one room that is meant.
            Event::Rooms { .. } if self.room.is_none() => {}
            // Said at the end, or by the question that follows.
            Event::Refused { room, .. } if self.room.as_ref() == Some(room) => {}
            Event::Failed(_) if !self.session.is_inside() => {}
            // At the end everything is left, which is no news.
            Event::Left { .. } if self.session.is_quitting() => {}
            _ => {
                let zone = self.terminal.zone.clone();
                let said = said::lines(&event, &self.messages, &zone);
                self.notices(if said.is_empty() { notice(&event) } else { said }).await;
            }
        }
        // Noted last, so that what changes a message is told with what it was.
        self.messages.note(&event);
        if matches!(event, Event::Joined { .. } | Event::Refused { .. } | Event::Left { .. }) {
            self.own_knock = None;
        }
        let was_quitting = self.session.is_quitting();
        let step = self.session.note(&event);
        self.room = self.session.room().cloned();
        match step {
            Some(Step::Send(command)) => self.port.send(command),
            Some(Step::Offer) => {
                self.question = Some(Question::Create);
                let room = self.room.as_ref().map(shown).unwrap_or_default();
                self.notices(vec![words::offer(&room)]).await;
            }
            Some(Step::Fail(said)) => {
                self.last_words = Some(said);
                self.end();
            }
            Some(Step::Quit) => self.end(),
            None => match event {
                Event::Failed(failure) if !was_quitting && !self.session.is_inside() => {
                    self.notices(notices::said(words::failure(&failure))).await;
                }
                _ => {}
            },
        }
        self.terminal.saying.store(self.session.is_inside() && self.question.is_none(), Ordering::Relaxed);
    }

    async fn on_typed(&mut self, typed: Typed) {
        let leave_asked = std::mem::take(&mut self.leave_asked);
        match typed.key {
            Key::End => self.quit(Exit::Done),
            Key::Interrupt { cleared: true } => {}
            Key::Interrupt { cleared: false } if leave_asked => self.quit(Exit::Done),
            Key::Interrupt { cleared: false } => {
                self.leave_asked = true;
                self.notices(vec!["Ctrl-C again to leave".to_owned()]).await;
            }
            Key::Line(line) => self.on_line(&line).await,
        }
        if !self.session.is_quitting() {
            let _ = typed.go_on.send(());
        }
    }

    async fn on_line(&mut self, line: &str) {
        let meaning = slash::parse(line);
        if let (Some(question), Line::Say(answer)) = (self.question, &meaning) {
            return self.answer(question, answer).await;
        }
        match meaning {
            Line::Say(text) if text.is_empty() => {}
            Line::Say(text) => match &self.room {
                Some(room) if self.session.is_inside() => {
                    self.port.send(Command::Say { room: room.clone(), text });
                }
                _ => self.notices(vec!["you are not in the room yet; nothing was sent".to_owned()]).await,
            },
            Line::Do(slash) => self.carry_out(slash).await,
            Line::Wrong(usage) => self.notices(vec![format!("usage: {usage}")]).await,
            Line::Unknown { word, nearest } => self.notices(vec![words::no_command(&word, nearest)]).await,
        }
    }

    async fn answer(&mut self, question: Question, answer: &str) {
        let answer = answer.trim();
        match question {
            Question::Pin => match reach::accepts(answer) {
                Some(accept) => {
                    self.question = None;
                    self.port.send(Command::Pin { accept });
                }
                None => self.notices(vec![reach::YES_OR_NO.to_owned()]).await,
            },
            Question::Create if answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes") => {
                self.question = None;
                if let Some(command) = self.session.create() {
                    self.port.send(command);
                }
            }
            Question::Create => {
                self.question = None;
                self.session.declined();
                self.end();
            }
        }
    }

    async fn carry_out(&mut self, slash: Slash) {
        let room = self.room.clone();
        match (slash, room) {
            (Slash::Help, _) => {
                let lines = COMMANDS.iter().map(|entry| format!("{} {}", pad(entry.usage, USAGE_COLUMNS), entry.help));
                self.notices(lines.collect()).await;
            }
            (Slash::Quit, _) => self.quit(Exit::Done),
            (Slash::List, _) => self.port.send(Command::List),
            (Slash::Leave, Some(room)) => {
                self.port.send(Command::Leave(room));
                if !self.session.is_inside() {
                    self.quit(Exit::Done);
                }
            }
            (Slash::Rejoin, Some(room)) => self.port.send(Command::Rejoin(room)),
            (Slash::Requests, Some(room)) => self.port.send(Command::Pending(room)),
            (Slash::Members, Some(room)) => self.port.send(Command::Members(room)),
            (Slash::Paths, Some(room)) => self.port.send(Command::Paths(room)),
            (Slash::Last(count), Some(room)) => self.port.send(Command::Last { room, count }),
            (Slash::Search(words), Some(room)) => {
                self.port.send(Command::Search { room, words, count: HISTORY_SHOWN_DEFAULT });
            }
            (Slash::Ticket(expires_in_s), Some(room)) => self.port.send(Command::Ticket { room, expires_in_s }),
            (Slash::Publish(server), Some(_)) => self.port.send(Command::Publish { server }),
            (Slash::Speak(speak), Some(room)) => match speak.command(room, &self.messages) {
                Ok(command) => self.port.send(command),
                Err(failure) => self.notices(notices::said(words::failure(&failure))).await,
            },
            (Slash::Export(file), Some(room)) => self.notices(export(self.data_dir.as_deref(), &room, &file)).await,
            (Slash::Delete, Some(room)) => self.port.send(Command::Delete(room)),
            (Slash::Approve(newcomer), Some(room)) => self.decide(&room, &newcomer, Command::Approve).await,
            (Slash::Deny(newcomer), Some(room)) => self.decide(&room, &newcomer, Command::Deny).await,
            (Slash::Decide(decide), Some(room)) => match decide.command(room, &self.knocks) {
                Ok(command) => self.port.send(command),
                Err(failure) => self.notices(notices::said(words::failure(&failure))).await,
            },
            (_, None) => self.notices(vec!["you are in no room".to_owned()]).await,
        }
    }

    async fn decide(&mut self, room: &RoomName, newcomer: &Newcomer, command: fn(KnockRef) -> Command) {
        match self.knocks.find(room, newcomer) {
            Ok(knock) => self.port.send(command(knock)),
            Err(failure) => self.notices(notices::said(words::failure(&failure))).await,
        }
    }

    /// Shows our own knock when a count changes; the clock alone is shown by ticks.
    async fn on_own_knock(&mut self, event: &Event, yes: u16, of: u16, expires_in_s: Option<u64>) {
        let Event::Knocking { room, .. } = event else { return };
        let now = Instant::now();
        let changed = self.own_knock.as_ref().is_none_or(|known| (known.yes, known.of) != (yes, of));
        match expires_in_s {
            Some(left) => {
                let tick = match &self.own_knock {
                    Some(known) if !changed => known.tick,
                    _ => now + TICK,
                };
                let ends = now + Duration::from_secs(left);
                self.own_knock = Some(OwnKnock { room: room.clone(), yes, of, ends, tick });
            }
            None => self.own_knock = None,
        }
        if changed {
            self.notices(notice(event)).await;
        }
    }

    async fn on_tick(&mut self) {
        let Some(knock) = &mut self.own_knock else { return };
        let now = Instant::now();
        let left = knock.ends.saturating_duration_since(now).as_secs();
        knock.tick = now + TICK;
        if left == 0 {
            self.own_knock = None;
        } else {
            let told = notices::knocking(&knock.room, knock.yes, knock.of, Some(left), 0);
            self.notices(vec![told]).await;
        }
    }

    /// Our yes was given a while ago, and others are still awaited.
    fn tell_awaited(&mut self) {
        self.awaited.told();
        if let (Some(room), false) = (&self.room, self.session.is_quitting()) {
            self.port.send(Command::Pending(room.clone()));
        }
    }

    fn quit(&mut self, exit: Exit) {
        if !self.session.is_quitting() {
            self.session.quit(exit);
            self.end();
        }
    }

    fn end(&mut self) {
        self.terminal.typed.close();
        self.port.send(Command::Quit);
        self.deadline = Some(stop::deadline());
        self.last_wait = self.session.is_inside().then(|| Instant::now() + TELL_LEAVING_AFTER);
    }

    async fn message(&mut self, from: &Name, key: &PeerId, text: &str, sent_at_ms: u64, manner: Manner, to_me: bool) {
        // A sign beside the name, since colours are not for everybody.
        let mark = if to_me { ">" } else { " " };
        let label = self.labels.label(from, key);
        let (label, text) = match manner {
            Manner::Text => (pad(&label, NAME_COLUMNS), escape::text(text)),
            Manner::Action => (format!("* {label}"), escape::text(text)),
            Manner::Reply(to) => {
                (pad(&label, NAME_COLUMNS), format!("(to {}) {}", self.messages.reminder(&to), escape::text(text)))
            }
        };
        let gap = if manner == Manner::Action { "" } else { " " };
        self.show(&format!("{}{mark}{label}{gap} ", self.clock(sent_at_ms)), &text).await;
    }

    async fn recalled(&mut self, messages: &[Recalled], why: Recall) {
        for message in messages {
            let label = match &message.from {
                Some(from) => self.labels.label(from, &message.key),
                None => recall::label(message),
            };
            let lead = recall::lead(message, &label, &self.terminal.zone);
            self.show(&lead, &recall::shown_text(message, why == Recall::Last)).await;
        }
        if !messages.is_empty() {
            self.notices(vec!["that was the history".to_owned()]).await;
        }
    }

    fn clock(&self, ms: u64) -> String {
        let moment = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        moment.map_or("--:--".to_owned(), |moment| {
            let time = moment.to_zoned(self.terminal.zone.clone()).time();
            format!("{:02}:{:02}", time.hour(), time.minute())
        })
    }

    async fn notices(&mut self, lines: Vec<String>) {
        for line in lines {
            self.show("* ", &line).await;
        }
    }

    async fn show(&mut self, lead: &str, text: &str) {
        // The terminal may wrap a command with a ticket, and we may not: a shell would take the first of our rows for all of it.
        let columns = (self.terminal.columns)().filter(|_| !tickets::is_command(text));
        let mut rows = wrap::wrap(lead, text, columns).join("\n");
        rows.push('\n');
        // A screen that is gone ends the chat by its input, not here.
        let _ = self.terminal.screen.send(rows).await;
    }
}

/// What was said here, into a file; the line that tells how it went.
pub(super) fn export(data_dir: Option<&Path>, room: &RoomName, file: &Path) -> Vec<String> {
    let Some(data_dir) = data_dir else {
        return vec!["nothing of this run stays on disk, so there is nothing to write".to_owned()];
    };
    match offline::export_here(data_dir, room, file) {
        Ok(count) => vec![format!("{} written to {}", recall::messages_in_words(count), shown(file.display()))],
        Err(said) => notices::said(said),
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
