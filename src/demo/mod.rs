//! The demo: the whole idea on one machine, with nothing in it that is not the real thing.
//!
//! A rendezvous and the peers run in this process, each with its own socket on loopback and its own folder; every knock,
//! consent and text goes over QUIC as it does anywhere else. What is scripted is what two of the people do. It stands
//! above the faces, since it is the one place that starts a server and peers together.
//!
//! | file | one idea |
//! |---|---|
//! | `stage.rs` | the server and the folders, gone when the demo is |
//! | `actor.rs` | a person who follows a script |
//! | `alone.rs` | the play without an audience at a terminal |
//! | `live.rs` | the play with one, who answers the prompt |
//! | `prompt.rs` | the prompt waits until somebody has answered it |

mod actor;
mod alone;
#[cfg(test)]
mod haste;
mod live;
mod prompt;
mod stage;
#[cfg(test)]
mod weather;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use crate::ui::exit::Exit;
use crate::ui::words::{Said, shown};
use crate::ui::{stop, terminal};

/// The room in which it plays.
const ROOM: &str = "lobby";

/// The user, who is asked.
const USER: &str = "you";

/// The member who is in the room already.
const MEMBER: &str = "bea";

/// The guest who knocks.
const GUEST: &str = "gus";

/// Seconds for any one thing that needs no person; on loopback they take milliseconds.
const STEP_WITHIN: Duration = Duration::from_secs(10);

/// Seconds for the whole play without a person.
const PLAY_WITHIN: Duration = Duration::from_secs(30);

/// Plays it: with the user at a terminal, by itself if standard input or output is none.
pub fn run() -> (Exit, Option<Said>) {
    let failed = |why: io::Error| (Exit::Failed, Some(Fault::new(shown(why)).said()));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => return failed(why),
    };
    let outcome = runtime.block_on(async {
        let stop = match stop::on_signals() {
            Ok(stop) => stop,
            Err(why) => return failed(why),
        };
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            play_live(stop).await
        } else {
            play_alone(stop).await
        }
    });
    // The editor's thread may still wait for a key, which would keep the runtime for ever.
    runtime.shutdown_background();
    outcome
}

async fn play_alone(mut stop: tokio::sync::mpsc::Receiver<()>) -> (Exit, Option<Said>) {
    let played = tokio::select! {
        biased;
        _ = stop.recv() => Err(Fault::new("the demo was interrupted")),
        played = tokio::time::timeout(PLAY_WITHIN, alone::play(|line| {
            // Whoever reads along may have seen enough.
            let _ = writeln!(io::stdout(), "{line}");
        })) => played.unwrap_or_else(|_| Err(Fault::new("the demo took too long"))),
    };
    ended(played)
}

async fn play_live(stop: tokio::sync::mpsc::Receiver<()>) -> (Exit, Option<Said>) {
    let mut cast = match live::Cast::gather(|line| println!("{line}")).await {
        Ok(cast) => cast,
        Err(fault) => return ended(Err(fault)),
    };
    let (terminal, closing) = match terminal::open() {
        Ok(opened) => opened,
        Err(why) => return ended(Err(Fault::new(shown(why)))),
    };
    let outcome = live::play(&mut cast, terminal, stop).await;
    closing.finish();
    cast.leave().await;
    match outcome {
        Ok(outcome) => outcome,
        Err(fault) => ended(Err(fault)),
    }
}

fn ended(played: Result<(), Fault>) -> (Exit, Option<Said>) {
    match played {
        Ok(()) => (Exit::Done, None),
        Err(fault) => (Exit::Failed, Some(fault.said())),
    }
}

/// Something did not happen as it should.
#[derive(Debug)]
struct Fault(String);

impl Fault {
    fn new(what: impl Into<String>) -> Self {
        Fault(what.into())
    }

    fn said(self) -> Said {
        let hint = "the demo needs UDP on 127.0.0.1 and a folder for temporary files; if it has both, this is a bug";
        Said::new("demo", self.0, Some(hint.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole program in one test: a server, three peers, a knock, two consents, a chat, the server's end.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_play_comes_to_its_end_and_shows_the_idea() {
        let lines = std::sync::Mutex::new(Vec::new());
        let played = tokio::time::timeout(PLAY_WITHIN, alone::play(|line| lines.lock().unwrap().push(line.to_owned())));
        played.await.expect("in time").expect("without a fault");
        let text = lines.into_inner().unwrap().join("\n");
        for shown in [
            "gus (name unverified) wants to join lobby",
            "yes      bea",
            "awaited  you",
            "1 of 2 said yes",
            "everybody agreed: you are in lobby (with bea, you)",
            "is gone; chats go on without it",
        ] {
            assert!(text.contains(shown), "{shown:?} is missing in:\n{text}");
        }
    }
}
