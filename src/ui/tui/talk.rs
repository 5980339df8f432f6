//! What is said besides texts: private chats in tabs of their own, changes of what was said, signs under it, topics, and what
//! concerns one member.

use super::act;
use super::hear::{note_unread, ring, tab_of, tell};
use super::model::{Contact, Delivery, Effect, Model, Older, Page, Screen, Standing, Tab};
use super::pages;
use super::scrollback::Saying;
use crate::peer::api::limits::{HISTORY_SHOWN_MAX, TABS_MAX};
use crate::peer::api::{Command, EntryId, Event, Manner, Name, PeerId, Place, PrivateMessage, RoomName};
use crate::ui::speak::Speak;
use crate::ui::words::{self, shown};
use crate::ui::{notices, said};

/// Takes such an event.
pub fn on_event(model: &mut Model, event: &Event, out: &mut Vec<Effect>) {
    match event {
        Event::Private(message) => on_private(model, message, out),
        Event::Conversation { room, with, key, messages, .. } => on_conversation(model, room, with, *key, messages),
        Event::PrivateDelivered { room, key, ids, .. } => {
            if let Some(index) = index_with(model, room, key) {
                for id in ids {
                    model.tabs[index].delivery.remove(&EntryId(id.0));
                }
            }
        }
        Event::Edited { room, of, key, text, .. } => {
            let changed = change(model, room, of, Some(key), |said| {
                said.text.clone_from(text);
                said.edited = true;
            });
            tell_unless(model, changed, room, event);
        }
        Event::Unsaid { room, of, key, .. } => {
            let changed = change(model, room, of, Some(key), |said| {
                said.unsaid = true;
                said.text.clear();
            });
            tell_unless(model, changed, room, event);
        }
        Event::Reaction { room, to, from, sign, on, .. } => {
            let from = from.to_string();
            let changed = change(model, room, to, None, |said| mark(said, sign, &from, *on));
            tell_unless(model, changed, room, event);
        }
        Event::Topic { room, text, .. } => {
            let index = tab_of(model, room);
            model.tabs[index].topic.clone_from(text);
            tell_unless(model, false, room, event);
        }
        Event::Away { room, key, why, .. } => {
            let index = tab_of(model, room);
            let person = model.tabs[index].members.iter_mut().find(|person| person.key == *key);
            if let Some(person) = person {
                person.away.clone_from(why);
            }
            tell_unless(model, false, room, event);
        }
        Event::Ignoring { room, key, on, .. } => {
            let index = tab_of(model, room);
            let person = model.tabs[index].members.iter_mut().find(|person| person.key == *key);
            if let Some(person) = person {
                person.ignored = *on;
            }
            tell_unless(model, false, room, event);
        }
        Event::Invite { .. } => {
            let lines = said::lines(event, &model.messages, &model.choices.zone);
            let lines = lines.into_iter().map(|line| (String::new(), line)).collect();
            model.screen = Screen::Page(Page { title: pages::INVITATION.to_owned(), lines, top: 0, copy: None });
        }
        Event::OtherKey { room, .. } | Event::Whois { room, .. } | Event::Verify { room, .. } => {
            tell_unless(model, false, room, event)
        }
        _ => {}
    }
}

/// A line about something that is not seen by itself.
fn tell_unless(model: &mut Model, seen: bool, room: &RoomName, event: &Event) {
    if !seen {
        let lines = said::lines(event, &model.messages, &model.choices.zone);
        tell(model, Some(room), lines);
    }
}

/// Changes a text that is loaded; `false` if it isn't. One that only its author may change stays as it is if that is not `by`: the
/// chat does not know any more of every entry whose it is.
fn change(
    model: &mut Model,
    room: &RoomName,
    id: &EntryId,
    by: Option<&PeerId>,
    change: impl FnOnce(&mut Saying),
) -> bool {
    let Some(index) = model.index_of(room) else { return false };
    let change = |said: &mut Saying| {
        if by.is_none_or(|by| *by == said.key) {
            change(said);
        }
    };
    model.tabs[index].lines.change_said(id, change).is_some()
}

fn mark(said: &mut Saying, sign: &str, from: &str, on: bool) {
    let at = said.signs.iter().position(|(known, _)| known == sign);
    match (at, on) {
        (Some(at), true) if !said.signs[at].1.iter().any(|by| by == from) => said.signs[at].1.push(from.to_owned()),
        (None, true) => said.signs.push((sign.to_owned(), vec![from.to_owned()])),
        (Some(at), false) => {
            said.signs[at].1.retain(|by| by != from);
            if said.signs[at].1.is_empty() {
                said.signs.remove(at);
            }
        }
        _ => {}
    }
}

/// Does what was typed.
pub fn speak(model: &mut Model, speak: Speak, out: &mut Vec<Effect>) {
    let tab = model.tab();
    let (room, private) = (tab.room.clone(), tab.with.is_some());
    let to_all = !matches!(
        speak,
        Speak::Private(..)
            | Speak::Conversation(_)
            | Speak::Ignore(..)
            | Speak::Whois(_)
            | Speak::Verify(..)
            | Speak::Invite
    );
    // Whoever types in a private chat must not find it said to everybody.
    if private && to_all {
        let told =
            format!("that would be said to all of {}: nothing was sent. Type it in the room's tab", shown(&room));
        return tell(model, None, vec![told]);
    }
    match &speak {
        Speak::Private(name, text) => {
            if let Some(with) = contact(model, &room, name) {
                open(model, &room, &with, out);
                return out.push(Effect::Send(self::private(room, &with, text.clone())));
            }
        }
        Speak::Conversation(name) => {
            if let Some(with) = contact(model, &room, name) {
                open(model, &room, &with, out);
                return;
            }
        }
        _ => {}
    }
    match speak.command(room, &model.messages) {
        Ok(command) => out.push(Effect::Send(command)),
        Err(failure) => tell(model, None, notices::said(words::failure(&failure))),
    }
}

/// What is typed in a private chat.
pub fn private(room: RoomName, with: &Contact, text: String) -> Command {
    let fingerprint = Some(with.key.fingerprint());
    Command::Private { room, to: with.name.clone(), fingerprint, text }
}

/// Loads what was said before in the private chat that is shown.
pub fn look_back(model: &mut Model, count: usize, out: &mut Vec<Effect>) {
    let tab = model.tab();
    if let Some(with) = &tab.with {
        out.push(Effect::Send(conversation(tab.room.clone(), with, count)));
    }
}

fn conversation(room: RoomName, with: &Contact, count: usize) -> Command {
    let fingerprint = Some(with.key.fingerprint());
    Command::Conversation { room, with: with.name.clone(), fingerprint, count }
}

/// The member of this name; another key of that name later is somebody else.
fn contact(model: &Model, room: &RoomName, name: &Name) -> Option<Contact> {
    let index = model.index_of(room)?;
    let person = model.tabs[index].members.iter().find(|person| !person.me && person.name == *name)?;
    Some(Contact { name: person.name.clone(), key: person.key })
}

fn index_with(model: &Model, room: &RoomName, key: &PeerId) -> Option<usize> {
    let same = |tab: &Tab| tab.room == *room && tab.with.as_ref().is_some_and(|with| with.key == *key);
    model.tabs.iter().position(same)
}

/// Opens a private chat and shows it.
fn open(model: &mut Model, room: &RoomName, with: &Contact, out: &mut Vec<Effect>) {
    match tab_with(model, room, with, out) {
        Some(index) => act::show(model, index),
        None => tell(model, None, vec![format!("{TABS_MAX} chats at a time are the most; /leave one first")]),
    }
}

/// The tab of a private chat, made if there is none; what was said before comes into a new one.
fn tab_with(model: &mut Model, room: &RoomName, with: &Contact, out: &mut Vec<Effect>) -> Option<usize> {
    if let Some(index) = index_with(model, room, &with.key) {
        return Some(index);
    }
    if model.tabs.len() >= TABS_MAX {
        return None;
    }
    let mut tab = Tab::new(room.clone());
    tab.with = Some(with.clone());
    tab.standing = Standing::Inside;
    tab.older = Older::Nothing;
    model.tabs.push(tab);
    out.push(Effect::Send(conversation(room.clone(), with, HISTORY_SHOWN_MAX)));
    Some(model.tabs.len() - 1)
}

fn on_private(model: &mut Model, message: &PrivateMessage, out: &mut Vec<Effect>) {
    let with = Contact { name: message.with.clone(), key: message.key };
    let Some(index) = tab_with(model, &message.room, &with, out) else {
        let lines = said::lines(&Event::Private(message.clone()), &model.messages, &model.choices.zone);
        return tell(model, Some(&message.room), lines);
    };
    let (looking, now_ms) = (model.is_looking(index), model.now.mono_ms);
    let me = model.me.clone();
    let tab = &mut model.tabs[index];
    let Some(at) = put(tab, message, me.as_ref(), now_ms) else { return };
    if message.mine || looking {
        return;
    }
    note_unread(tab, at, true);
    ring(model, format!("{} wrote to you alone", shown(&message.with)), out);
}

/// Adds a private message behind the others: between two, the order in which they came is the one that there is.
fn put(tab: &mut Tab, message: &PrivateMessage, me: Option<&Name>, now_ms: u64) -> Option<super::scrollback::At> {
    let id = EntryId(message.id.0);
    if tab.lines.has_said(&id) {
        return None;
    }
    if message.mine && !message.delivered {
        tab.delivery.insert(id, Delivery { to: 0, of: 1, since_ms: now_ms });
    }
    let depth = tab.lines.newest_said().map_or(1, |newest| newest.place.depth + 1);
    let from = if message.mine { me.cloned() } else { Some(message.with.clone()) };
    let saying = Saying {
        id,
        place: Place { epoch: 0, depth },
        // Their colour for them, none of theirs for us.
        key: if message.mine { PeerId([0; 32]) } else { message.key },
        from,
        mine: message.mine,
        text: message.text.clone(),
        mention: false,
        manner: Manner::Text,
        answers: None,
        edited: false,
        unsaid: false,
        signs: Vec::new(),
    };
    tab.lines.say(message.sent_at_ms, saying)
}

/// What was said before: all of it anew, since it ends with what is here already.
fn on_conversation(model: &mut Model, room: &RoomName, name: &Name, key: PeerId, messages: &[PrivateMessage]) {
    let me = model.me.clone();
    let Some(index) = index_with(model, room, &key) else {
        return tell(model, Some(room), vec![format!("no chat with {} is open", shown(name))]);
    };
    let now_ms = model.now.mono_ms;
    let tab = &mut model.tabs[index];
    let unread = tab.unread;
    tab.lines.clear();
    let mut places = Vec::new();
    for message in messages {
        places.extend(put(tab, message, me.as_ref(), now_ms));
    }
    if unread > 0 {
        let first = places.len().checked_sub(unread).and_then(|at| places.get(at));
        tab.lines.set_unread_from(first.copied());
    }
}

/// A newcomer whose words were compared at the door is marked as verified, now that they are a member.
pub fn verify_newcomer(model: &mut Model, room: &RoomName, name: &Name, key: PeerId, out: &mut Vec<Effect>) {
    let Some(at) = model.compared.iter().position(|(at, compared)| at == room && *compared == key) else { return };
    model.compared.remove(at);
    let fingerprint = Some(key.fingerprint());
    out.push(Effect::Send(Command::Verify { room: room.clone(), name: name.clone(), fingerprint, same: Some(true) }));
}
