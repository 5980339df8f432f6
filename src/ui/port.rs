//! The face's end of the chat: reads events while commands wait to be taken, so that the two can never block each other.

use std::collections::VecDeque;

use crate::peer::api::{Chat, Command, Event};

/// A chat with the commands that it has not taken yet. A face reads no input while there are any ([`Port::is_idle`]), so
/// they stay few.
pub struct Port {
    chat: Chat,
    waiting: VecDeque<Command>,
}

/// What a turn of [`Port::next`] brought.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "turns are taken one by one, never kept in numbers")]
pub enum Turn {
    /// Something happened.
    Event(Event),
    /// All commands are taken.
    Idle,
    /// The chat is gone without saying [`Event::Ended`].
    Gone,
}

impl Port {
    /// A port of `chat`.
    pub fn new(chat: Chat) -> Self {
        Port { chat, waiting: VecDeque::new() }
    }

    /// Puts `command` in line. Nothing before a quit waits any more for others to read what was said.
    pub fn send(&mut self, command: Command) {
        if command == Command::Quit {
            self.chat.leaving.notify_one();
        }
        self.waiting.push_back(command);
    }

    /// Whether no command waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether no event waits, so that what was written may be flushed.
    pub fn is_calm(&self) -> bool {
        self.chat.events.is_empty()
    }

    /// The next event, or that the commands are taken. Losing the future loses nothing.
    pub async fn next(&mut self) -> Turn {
        loop {
            if self.waiting.is_empty() {
                return self.chat.events.recv().await.map_or(Turn::Gone, Turn::Event);
            }
            tokio::select! {
                biased;
                permit = self.chat.commands.reserve() => match permit {
                    Ok(permit) => {
                        if let Some(command) = self.waiting.pop_front() {
                            permit.send(command);
                        }
                    }
                    // Its last events may still be there to read.
                    Err(_) => self.waiting.clear(),
                },
                event = self.chat.events.recv() => return event.map_or(Turn::Gone, Turn::Event),
            }
            if self.waiting.is_empty() {
                return Turn::Idle;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::peer::api::{Ending, Events};

    #[tokio::test]
    async fn events_are_read_while_the_chat_takes_no_command() {
        let (commands, mut taken) = mpsc::channel(1);
        let (tell, events) = Events::channel();
        let mut port = Port::new(Chat::new(commands, events));
        port.send(Command::List);
        port.send(Command::Quit);
        tell.tell(Event::Ended(Ending::Done)).await;
        assert_eq!(port.next().await, Turn::Event(Event::Ended(Ending::Done)));
        assert!(!port.is_idle());
        assert_eq!(taken.recv().await, Some(Command::List));
        assert_eq!(port.next().await, Turn::Idle);
        assert_eq!(taken.recv().await, Some(Command::Quit));
        drop(tell);
        assert_eq!(port.next().await, Turn::Gone);
    }

    #[tokio::test]
    async fn the_chat_hears_of_a_quit_that_stands_behind_all_that_it_has_not_taken() {
        let (commands, mut taken) = mpsc::channel(1);
        let (_tell, events) = Events::channel();
        let chat = Chat::new(commands, events);
        let leaving = std::sync::Arc::clone(&chat.leaving);
        let mut port = Port::new(chat);
        port.send(Command::List);
        port.send(Command::List);
        assert!(timeout(Duration::ZERO, leaving.notified()).await.is_err());
        port.send(Command::Quit);
        assert!(timeout(Duration::ZERO, leaving.notified()).await.is_ok());
        assert!(timeout(Duration::ZERO, port.next()).await.is_err(), "the first command fills the way");
        assert_eq!(taken.recv().await, Some(Command::List), "nothing is overtaken");
    }
}
