//! Somebody who follows a script: a real peer, whose user is this program.

use super::stage::Stage;
use super::{Fault, ROOM, STEP_WITHIN};
use crate::peer;
use crate::peer::api::{Chat, Command, Event, KnockRef, RoomName};
use crate::ui::words::{self, shown};

/// A peer and what it is called.
pub(super) struct Actor {
    name: &'static str,
    chat: Chat,
}

/// The room of the play.
pub(super) fn room() -> RoomName {
    ROOM.parse().expect("the play's room has a room's name")
}

impl Actor {
    /// Starts a peer and waits until it is logged in at the server.
    pub(super) async fn enter(stage: &Stage, name: &'static str) -> Result<Actor, Fault> {
        let chat = peer::start(stage.options(name)).await.map_err(|why| Fault::new(shown(why)))?;
        let mut actor = Actor { name, chat };
        actor.until("reach the server", |event| matches!(event, Event::ServerUp { .. }).then_some(())).await?;
        Ok(actor)
    }

    /// The next thing that happens to them.
    pub(super) async fn next(&mut self) -> Result<Event, Fault> {
        self.chat.events.recv().await.ok_or_else(|| Fault::new(format!("{} is gone", self.name)))
    }

    /// Waits for what `pick` is looking for; `what` says it for the error.
    pub(super) async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> Result<T, Fault> {
        let name = self.name;
        let wait = async {
            loop {
                let event = self.next().await?;
                if let Some(picked) = pick(&event) {
                    return Ok(picked);
                }
                match event {
                    Event::Failed(failure) => return Err(Fault::new(words::failure(&failure).message)),
                    Event::Refused { room, reason } => return Err(Fault::new(words::refusal(&room, reason).message)),
                    _ => {}
                }
            }
        };
        let late = || Fault::new(format!("{name} could not {what} within {} s", STEP_WITHIN.as_secs()));
        tokio::time::timeout(STEP_WITHIN, wait).await.unwrap_or_else(|_| Err(late()))
    }

    /// Does something.
    pub(super) async fn perform(&self, command: Command) -> Result<(), Fault> {
        self.chat.commands.send(command).await.map_err(|_| Fault::new(format!("{} is gone", self.name)))
    }

    /// Says something in the room.
    pub(super) async fn say(&self, text: impl Into<String>) -> Result<(), Fault> {
        self.perform(Command::Say { room: room(), text: text.into() }).await
    }

    /// Waits for somebody to knock, and lets them in as far as it is up to this one.
    pub(super) async fn approve_next(&mut self) -> Result<(), Fault> {
        let knock = self.until("hear the knock", |event| match event {
            Event::Knock { knock, .. } => Some(*knock),
            _ => None,
        });
        let knock = knock.await?;
        self.perform(Command::Approve(KnockRef::Id(knock))).await
    }

    /// Waits until a text comes from somebody else.
    pub(super) async fn hear(&mut self) -> Result<Event, Fault> {
        self.until("hear the text", |event| match event {
            Event::Message { mine: false, .. } => Some(event.clone()),
            _ => None,
        })
        .await
    }

    /// Leaves, and waits until their folder is not needed any more.
    pub(super) async fn leave(mut self) {
        let _ = self.perform(Command::Quit).await;
        let gone = async { while self.chat.events.recv().await.is_some() {} };
        let _ = tokio::time::timeout(STEP_WITHIN, gone).await;
    }
}
