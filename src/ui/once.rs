//! The commands that ask one thing and end: `list`, `delete`, `whoami`.

use std::io::{BufRead as _, Read as _, Write};

use tokio::sync::mpsc;

use super::exit::Exit;
use super::json;
use super::notices::notice;
use super::port::{Port, Turn};
use super::reach;
use super::settle::Settled;
use super::stop;
use super::words::{self, Said, shown};
use crate::peer::api::{Chat, Command, Event, Failure, Leaving, RoomName, fingerprint};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The server's rooms.
    List,
    /// That a room be deleted.
    Delete(RoomName),
}

/// Asks it, shows the answer, and ends; what went wrong is returned to be shown.
pub async fn run(
    chat: Chat,
    ask: Ask,
    as_json: bool,
    mut stdout: impl Write,
    mut stop: mpsc::Receiver<()>,
) -> (Exit, Option<Said>) {
    let mut port = Port::new(chat);
    let mut asked = false;
    let mut deadline = None;
    let mut outcome = None;
    loop {
        let event = tokio::select! {
            biased;
            () = stop::reached(deadline) => return outcome.unwrap_or_else(|| (Exit::Failed, Some(words::not_in_time()))),
            Some(()) = stop.recv() => {
                outcome = Some(outcome.unwrap_or((Exit::Failed, None)));
                deadline = Some(stop::deadline());
                port.send(Command::Quit);
                continue;
            }
            turn = port.next() => match turn {
                Turn::Event(event) => event,
                Turn::Idle => continue,
                Turn::Gone => return outcome.unwrap_or_else(|| (Exit::Failed, Some(words::gone()))),
            },
        };
        let answer = match (&event, &ask) {
            (Event::Ended(_), _) => return outcome.unwrap_or_else(|| (Exit::Failed, Some(words::gone()))),
            (Event::ServerUp { .. }, _) if !asked => {
                asked = true;
                port.send(match &ask {
                    Ask::List => Command::List,
                    Ask::Delete(room) => Command::Delete(room.clone()),
                });
                continue;
            }
            (Event::Rooms { rooms, people }, Ask::List) => {
                let lines = if as_json { vec![json::rooms_line(rooms, people)] } else { notice(&event) };
                write_lines(&mut stdout, &lines)
            }
            (Event::Left { room, why: Leaving::Deleted }, Ask::Delete(asked)) if room == asked => {
                let lines = if as_json { Vec::new() } else { vec![format!("deleted {}", shown(room))] };
                write_lines(&mut stdout, &lines)
            }
            (Event::Pinned { .. }, _) if !as_json => {
                notice(&event).iter().for_each(|line| eprintln!("* {line}"));
                continue;
            }
            (Event::PinWanted { .. }, _) => {
                notice(&event).iter().for_each(|line| eprintln!("* {line}"));
                let accept = tokio::select! {
                    accept = tokio::task::spawn_blocking(read_answer) => accept.unwrap_or(false),
                    Some(()) = stop.recv() => false,
                };
                port.send(Command::Pin { accept });
                continue;
            }
            (Event::Failed(failure), _) => match words::failure_exit(failure) {
                Some(exit) => (exit, Some(words::failure(failure))),
                None if matches!(failure, Failure::NotInRoom(_)) => (Exit::Failed, Some(words::failure(failure))),
                None => continue,
            },
            _ => continue,
        };
        if outcome.is_none() {
            outcome = Some(answer);
            deadline = Some(stop::deadline());
            port.send(Command::Quit);
        }
    }
}

/// What is typed, asked for again until it is an answer; no when nothing more can be typed.
fn read_answer() -> bool {
    loop {
        let mut line = String::new();
        // Longer than any answer is none.
        match std::io::stdin().lock().take(256).read_line(&mut line) {
            Ok(1..) => match reach::accepts(&line) {
                Some(accept) => return accept,
                None => eprintln!("* {}", reach::YES_OR_NO),
            },
            _ => return false,
        }
    }
}

/// Shows who the user is; needs no server and starts no chat.
///
/// # Errors
/// An identity that can't be read or made.
pub fn whoami(settled: &Settled, as_json: bool, stdout: &mut impl Write) -> (Exit, Option<Said>) {
    let fingerprint = match fingerprint(&settled.data_dir) {
        Ok(fingerprint) => fingerprint,
        Err(why) => return (Exit::Failed, Some(words::identity_error(&why))),
    };
    if as_json {
        return write_lines(stdout, &[json::whoami_line(settled.name.as_ref(), fingerprint, &settled.data_dir)]);
    }
    let name = settled.name.as_ref().map_or("(not chosen yet)".to_owned(), shown);
    let lines = [
        format!("name         {name}"),
        format!("fingerprint  {fingerprint}"),
        format!("data         {}", shown(settled.data_dir.display())),
    ];
    write_lines(stdout, &lines)
}

/// Writes to a standard output that may be gone, which is no failure.
pub fn write_lines(stdout: &mut impl Write, lines: &[String]) -> (Exit, Option<Said>) {
    let mut text = lines.join("\n");
    if !lines.is_empty() {
        text.push('\n');
    }
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
            let message = format!("standard output can't be written: {}", shown(why));
            (Exit::Failed, Some(Said::new("output", message, None)))
        }
        _ => (Exit::Done, None),
    }
}
