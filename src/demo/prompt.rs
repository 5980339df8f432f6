//! The prompt waits until somebody else has answered it, so that the demo can show what it looks like then.
//!
//! Nothing is made up: the answer that is put into the prompt was signed, sent and verified, only a moment later than
//! the knock. Everything else passes as it is.

use crate::peer::api::{Answer, Chat, Event, Events};

/// The same chat, seen with a prompt that has been answered by another member.
pub(super) fn once_answered(mut chat: Chat) -> Chat {
    let (tell, events) = Events::channel();
    let (commands, leaving) = (chat.commands, chat.leaving);
    tokio::spawn(async move {
        let mut held = None;
        while let Some(event) = chat.events.recv().await {
            if let Some(event) = pass(&mut held, event)
                && !tell.tell(event).await
            {
                return;
            }
        }
    });
    Chat { commands, events, leaving }
}

/// What may be shown now that `event` happened.
pub(super) fn pass(held: &mut Option<Event>, event: Event) -> Option<Event> {
    match &event {
        Event::Knock { yes, .. } if yes.is_empty() => {
            *held = Some(event);
            None
        }
        Event::Consent { knock: about, by, decision: Answer::Yes, .. } => match held.take() {
            Some(Event::Knock {
                room,
                knock,
                name,
                key,
                expires_in_s,
                mut yes,
                mut waiting,
                looks_like,
                seen_before,
                removed_before,
                trust,
                other_key,
            }) if knock == *about => {
                waiting.retain(|member| member != by);
                yes.push(by.clone());
                Some(Event::Knock {
                    room,
                    knock,
                    name,
                    key,
                    expires_in_s,
                    yes,
                    waiting,
                    looks_like,
                    seen_before,
                    removed_before,
                    trust,
                    other_key,
                })
            }
            _ => Some(event),
        },
        _ => Some(event),
    }
}
