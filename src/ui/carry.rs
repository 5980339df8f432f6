//! `p2pchat carry ROOM`: a member without a person in front of it, on a machine that everybody reaches. It carries between
//! members that can't connect, and keeps what is said for those who are away.
//!
//! It is let in, and may be removed, like anybody. It says nothing, shows no text, and answers knocks only as somebody whom it
//! follows does: with a no by silence otherwise, which the room would have to live with.

use std::io::Write;

use tokio::sync::mpsc;

use super::exit::Exit;
use super::notices::notice;
use super::port::{Port, Turn};
use super::reach;
use super::session::{Opening, Session, Step};
use super::stop;
use super::words::{self, Said, shown};
use crate::peer::api::{Chat, Command, Event, Name, Person, RoomName, Rule};

/// Whom a carrier follows, and how far that is done.
#[derive(Debug)]
struct Following {
    whom: Vec<Name>,
    done: bool,
}

impl Following {
    /// Once we are in: those who are there now, by their keys. Whoever takes such a name later is somebody else.
    fn begin(&mut self, room: &RoomName, members: &[Person]) -> (Vec<Command>, Vec<Said>) {
        if std::mem::replace(&mut self.done, true) {
            return Default::default();
        }
        let (mut commands, mut missing) = (Vec::new(), Vec::new());
        for name in &self.whom {
            match members.iter().find(|member| member.name == *name) {
                Some(Person { key, .. }) => commands.push(Command::Remember {
                    room: room.clone(),
                    name: name.clone(),
                    fingerprint: Some(key.fingerprint()),
                    rule: Rule::Follow,
                }),
                None => missing.push(Said::new(
                    "nobody_to_follow",
                    format!("{} is not in {}, and is not followed", shown(name), shown(room)),
                    Some("start again once they are; until then silence refuses every newcomer".to_owned()),
                )),
            }
        }
        (commands, missing)
    }
}

/// Runs until told to stop, or until the room is no more for us. Notices go to standard error, as a log.
pub async fn run(
    chat: Chat,
    opening: Opening,
    follow: Vec<Name>,
    mut stderr: impl Write,
    mut stop: mpsc::Receiver<()>,
) -> (Exit, Option<Said>) {
    let mut port = Port::new(chat);
    let mut session = Session::new(opening);
    let mut following = Following { whom: follow, done: false };
    let mut deadline = None;
    let mut failed = None;
    loop {
        let event = tokio::select! {
            biased;
            () = stop::reached(deadline) => return (Exit::Failed, failed.or_else(|| Some(words::not_in_time()))),
            Some(()) = stop.recv() => {
                session.quit(Exit::Done);
                deadline = Some(stop::deadline());
                port.send(Command::Quit);
                continue;
            }
            turn = port.next() => match turn {
                Turn::Event(event) => event,
                Turn::Idle => continue,
                Turn::Gone => return (Exit::Failed, failed.or_else(|| Some(words::gone()))),
            },
        };
        if let Event::Failed(failure) = &event
            && session.is_inside()
        {
            let _ = stderr.write_all(reach::meanwhile(failure).to_stderr().as_bytes());
        }
        if !matches!(event, Event::Message { .. } | Event::History { .. } | Event::Failed(_)) {
            for line in notice(&event) {
                // With standard error closed there is nobody to tell.
                let _ = writeln!(stderr, "* {line}");
            }
        }
        match session.note(&event) {
            Some(Step::Send(command)) => port.send(command),
            Some(Step::Fail(said)) => {
                failed = Some(said);
                deadline = Some(stop::deadline());
                port.send(Command::Quit);
            }
            Some(Step::Quit) => port.send(Command::Quit),
            Some(Step::Offer) | None => {}
        }
        match &event {
            Event::Joined { room, members, .. } if session.room() == Some(room) => {
                let (commands, missing) = following.begin(room, members);
                commands.into_iter().for_each(|command| port.send(command));
                for said in missing {
                    let _ = stderr.write_all(said.to_stderr().as_bytes());
                }
            }
            Event::Ended(_) => return (session.exit(), failed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::api::{Ending, Entrance, Events};
    use crate::ui::corpus::{self, EVIL, lobby, name};

    /// Runs a carrier that follows `whom` over these events, and returns what it asked for and what it logged.
    async fn carry(whom: &[&str], told: Vec<Event>) -> (Vec<Command>, String) {
        let (commands, mut taken) = mpsc::channel(16);
        let (tell, events) = Events::channel();
        let (_halt, stop) = mpsc::channel(1);
        for event in told {
            tell.tell(event).await;
        }
        tell.tell(Event::Ended(Ending::Done)).await;
        let opening = Opening::Join { room: lobby(), create: None, offer: None };
        let mut log = Vec::new();
        run(Chat::new(commands, events), opening, whom.iter().map(|it| name(it)).collect(), &mut log, stop).await;
        let mut asked = Vec::new();
        while let Ok(command) = taken.try_recv() {
            asked.push(command);
        }
        (asked, String::from_utf8(log).unwrap())
    }

    #[tokio::test]
    async fn it_follows_the_key_that_is_in_the_room_and_nobody_else() {
        let told = vec![
            Event::ServerUp { server: "here".into(), member: false },
            corpus::joined(Entrance::Admitted),
            corpus::joined(Entrance::Returned),
        ];
        let (asked, log) = carry(&["bob", "nobody"], told).await;
        let followed = |command: &&Command| matches!(command, Command::Remember { rule: Rule::Follow, .. });
        assert_eq!(asked.iter().filter(followed).count(), 1, "{asked:?}");
        assert!(log.contains("nobody is not in lobby"), "{log}");
    }

    #[tokio::test]
    async fn it_shows_no_text_and_approves_nobody() {
        let told = vec![
            Event::ServerUp { server: "here".into(), member: false },
            corpus::joined(Entrance::Admitted),
            corpus::message(9, "bob", EVIL),
            corpus::knock_of(7, "mallory"),
        ];
        let (asked, log) = carry(&[], told).await;
        assert_eq!(asked, [Command::Join(lobby())]);
        assert!(!log.contains("evil") && log.contains("mallory"), "{log}");
    }
}
