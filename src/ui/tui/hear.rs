//! What the chat tells, as it changes the model.

use super::model::{Delivery, Effect, Model, Older, Question, Screen, Standing, Tab};
use super::scrollback::{At, Saying, What};
use super::{pages, talk, update};
use crate::peer::api::{
    Command, Ending, Event, Failure, Leaving, Manner, Name, Path, Person, Recall, Recalled, ReformState, RoomName,
    mentions,
};
use crate::ui::notices::{self, notice};
use crate::ui::reach;
use crate::ui::session::Step;
use crate::ui::words::{self, shown};

/// How long nothing rings after something rang, in milliseconds: a flood is one bell.
const BELL_PAUSE_MS: u64 = 10_000;

/// Newcomers that a line about knocks names.
const KNOCKS_NAMED: usize = 3;

/// Takes an event.
pub fn on_event(model: &mut Model, event: &Event, out: &mut Vec<Effect>) {
    model.knocks.note(event);
    model.labels.note(event);
    let (me, now_ms) = (model.me.clone(), model.now.mono_ms);
    let new_request = model.requests.note(event, me.as_ref(), now_ms);
    match event {
        Event::Ready { name, fingerprint, ephemeral, .. } => {
            model.me = Some(name.clone());
            model.fingerprint = Some(*fingerprint);
            model.ephemeral = *ephemeral;
            tell(model, None, notice(event));
        }
        Event::PinWanted { .. } => {
            model.question = Some(Question::Pin);
            tell(model, None, notice(event));
        }
        Event::ServerUp { server, .. } => {
            model.server = Some((shown(server), true));
            tell(model, None, notice(event));
        }
        Event::ServerDown { server } => {
            model.server = Some((shown(server), false));
            tell(model, None, notice(event));
        }
        Event::Message { .. } => on_message(model, event, out),
        Event::Private(_)
        | Event::PrivateDelivered { .. }
        | Event::Conversation { .. }
        | Event::Edited { .. }
        | Event::Unsaid { .. }
        | Event::Reaction { .. }
        | Event::Topic { .. }
        | Event::Away { .. }
        | Event::Invite { .. }
        | Event::OtherKey { .. }
        | Event::Whois { .. }
        | Event::Verify { .. }
        | Event::Ignoring { .. } => talk::on_event(model, event, out),
        Event::Ticket { room, ticket } => {
            tell(model, Some(room), notice(event));
            let undisturbed = model.tab().draft.is_empty();
            let ticket = pages::ticket(room, ticket, usize::from(model.size.0));
            match &mut model.screen {
                // The other half of an invitation.
                Screen::Page(page) if page.title == pages::INVITATION => {
                    page.lines.extend(ticket.lines);
                    page.copy = ticket.copy;
                }
                // Nobody who is typing is interrupted.
                Screen::Chat if undisturbed => model.screen = Screen::Page(ticket),
                _ => {}
            }
        }
        Event::History { room, why, messages, more } => on_history(model, room, *why, messages, *more),
        Event::Delivered { room, id, to, of } => on_delivered(model, room, id, *to, *of),
        Event::Knocking { room, yes, of, expires_in_s, ahead } => {
            let ends_ms = expires_in_s.map(|left| now_ms + left * 1000);
            let index = tab_of(model, room);
            model.tabs[index].standing = Standing::Knocking { yes: *yes, of: *of, ends_ms, ahead: *ahead };
        }
        Event::Knock { room, name, .. } if new_request => on_new_request(model, room, name, out),
        Event::Knock { .. } | Event::Ended(Ending::Done) => {}
        Event::Joined { room, members, .. } => on_joined(model, event, room, members, out),
        Event::Members { room, members, .. } => {
            let index = tab_of(model, room);
            model.tabs[index].members.clone_from(members);
            if model.tabs[index].quiet_members > 0 {
                model.tabs[index].quiet_members -= 1;
            } else {
                tell(model, Some(room), notice(event));
            }
        }
        Event::MemberJoined { room, name, key, .. } => {
            let index = tab_of(model, room);
            tell(model, Some(room), notice(event));
            talk::verify_newcomer(model, room, name, *key, out);
            // Who they are to us stands in the answer.
            model.tabs[index].quiet_members += 1;
            out.push(Effect::Send(Command::Members(room.clone())));
        }
        Event::MemberLeft { room, key, .. } => {
            let index = tab_of(model, room);
            model.tabs[index].members.retain(|person| person.key != *key);
            model.tabs[index].grace.remove(key);
            tell(model, Some(room), notice(event));
        }
        Event::Link { room, name, path, grace_s, .. } => on_link(model, event, room, name, path, *grace_s),
        Event::Rooms { rooms, .. } => {
            model.listed = rooms.iter().map(|room| room.room.clone()).collect();
            tell(model, None, notice(event));
        }
        Event::Left { room, why } => on_left(model, event, room, *why, out),
        Event::Ended(Ending::Undelivered) => model.last_words = model.last_words.take().or(Some(words::undelivered())),
        // Said at the end, by the question that follows, or below.
        Event::Failed(failure) => on_failed(model, failure),
        Event::Refused { room, .. } if !model.opened && model.session.room() == Some(room) => {}
        Event::Refused { room, .. } => {
            let index = tab_of(model, room);
            model.tabs[index].standing = Standing::Outside;
            tell(model, Some(room), notice(event));
        }
        Event::Reform { room, new, state: ReformState::Agreed, .. } => {
            tell(model, Some(room), notice(event));
            // Whoever looks at the old room goes over with it; its tab stays, for what was said there.
            let (old, new) = (tab_of(model, room), tab_of(model, new));
            if model.active == old {
                model.active = new;
            }
        }
        _ => {
            if let Event::Removal { room, .. } | Event::Reform { room, state: ReformState::Asked { .. }, .. } = event {
                ring(model, format!("something is to be decided in {}", shown(room)), out);
            }
            tell(model, room_of(event), notice(event));
        }
    }
    // Noted last, so that what changes a message is told with what it was.
    model.messages.note(event);
    follow_session(model, event, out);
    if matches!(event, Event::Ended(_)) {
        update::ended(model, event);
    }
}

/// Until we are in the room that the program was started for, the session decides what comes next, as in every face.
fn follow_session(model: &mut Model, event: &Event, out: &mut Vec<Effect>) {
    if model.opened || matches!(event, Event::Ended(_)) {
        return;
    }
    let was_quitting = model.session.is_quitting();
    match model.session.note(event) {
        Some(Step::Send(command)) => out.push(Effect::Send(command)),
        Some(Step::Offer) => {
            model.question = Some(Question::Create);
            let room = model.session.room().map(shown).unwrap_or_default();
            tell(model, None, vec![words::offer(&room)]);
        }
        Some(Step::Fail(said)) => {
            model.last_words = Some(said);
            update::end(model, out);
        }
        Some(Step::Quit) => update::end(model, out),
        None => {
            if let Event::Failed(failure) = event
                && !was_quitting
            {
                tell(model, None, notices::said(words::failure(failure)));
            }
        }
    }
    model.opened = model.session.is_inside();
}

fn on_failed(model: &mut Model, failure: &Failure) {
    if !model.opened {
        return;
    }
    // A room that could not be entered keeps its tab, with the reason in it.
    let room = match failure {
        Failure::NoSuchRoom(room) | Failure::NotInRoom(room) => Some(room),
        _ => None,
    };
    let room = room.filter(|room| model.index_of(room).is_some()).cloned();
    if let Failure::HistoryUnreadable { .. } = failure {
        model.tabs.iter_mut().for_each(|tab| tab.older = Older::Nothing);
    }
    tell(model, room.as_ref(), notices::said(reach::meanwhile(failure)));
}

/// The tab of a room, made if there is none. What is told of a room that we are not in is told of one that we asked for, so
/// these are as many as the person opened.
pub fn tab_of(model: &mut Model, room: &RoomName) -> usize {
    model.index_of(room).unwrap_or_else(|| {
        model.tabs.push(Tab::new(room.clone()));
        model.tabs.len() - 1
    })
}

/// Tells lines in the tab of a room, or the one that is shown.
pub fn tell(model: &mut Model, room: Option<&RoomName>, lines: Vec<String>) {
    let index = room.map_or(model.active, |room| tab_of(model, room));
    let at_ms = model.now.wall_ms;
    let Some(tab) = model.tabs.get_mut(index) else { return };
    for line in lines {
        tab.lines.tell(at_ms, What::Told(line));
    }
}

fn room_of(event: &Event) -> Option<&RoomName> {
    match event {
        Event::Consent { room, .. }
        | Event::KnockOver { room, .. }
        | Event::AnsweredByRule { room, .. }
        | Event::Removal { room, .. }
        | Event::RemovalAnswer { room, .. }
        | Event::RemovalOver { room, .. }
        | Event::Reform { room, .. }
        | Event::Rules { room, .. }
        | Event::Pending { room, .. }
        | Event::Waits { room, .. }
        | Event::Apart { room }
        | Event::Membership { room, .. }
        | Event::Paths { room, .. } => Some(room),
        Event::Misbehaviour { room, .. } => room.as_ref(),
        _ => None,
    }
}

fn on_message(model: &mut Model, event: &Event, out: &mut Vec<Effect>) {
    let Event::Message { room, id, from, key, mine, text, sent_at_ms, place, manner, mentions_me, .. } = event else {
        return;
    };
    let (id, key, mine, mention, manner) = (*id, *key, *mine, *mentions_me && !*mine, *manner);
    let saying = Saying {
        id,
        place: *place,
        key,
        from: Some(from.clone()),
        mine,
        text: text.clone(),
        mention,
        manner,
        answers: answers(model, manner),
        edited: false,
        unsaid: false,
        signs: Vec::new(),
    };
    let index = tab_of(model, room);
    let (looking, now_ms) = (model.is_looking(index), model.now.mono_ms);
    let tab = &mut model.tabs[index];
    let Some(at) = tab.lines.say(*sent_at_ms, saying) else { return };
    if mine {
        let of = u16::try_from(tab.members.iter().filter(|person| !person.me).count()).unwrap_or(u16::MAX);
        if of > 0 {
            tab.delivery.insert(id, Delivery { to: 0, of, since_ms: now_ms });
        }
        return;
    }
    if looking {
        return;
    }
    note_unread(tab, at, mention);
    if mention {
        let told = format!("{} named you in {}", shown(from), shown(room));
        ring(model, told, out);
    }
}

/// What a text answers, as a reminder.
fn answers(model: &Model, manner: Manner) -> Option<String> {
    match manner {
        Manner::Reply(to) => Some(model.messages.reminder(&to)),
        Manner::Text | Manner::Action => None,
    }
}

/// Counts a line that came while nobody looked.
pub fn note_unread(tab: &mut Tab, at: At, mention: bool) {
    if tab.unread == 0 || tab.lines.unread_from().is_some_and(|from| at < from) {
        tab.lines.set_unread_from(Some(at));
    }
    tab.unread += 1;
    tab.mentions += usize::from(mention);
}

/// Rings, unless it rang just now or the person looks anyway.
pub fn ring(model: &mut Model, told: String, out: &mut Vec<Effect>) {
    let now = model.now.mono_ms;
    if model.rang_ms.is_some_and(|rang| now < rang + BELL_PAUSE_MS) {
        return;
    }
    model.rang_ms = Some(now);
    if model.choices.bell {
        out.push(Effect::Bell);
    }
    if model.choices.notify {
        out.push(Effect::Notify(told));
    }
}

fn on_new_request(model: &mut Model, room: &RoomName, name: &Name, out: &mut Vec<Effect>) {
    let index = tab_of(model, room);
    let (at_ms, named) = (model.now.wall_ms, shown(name));
    let lines = &mut model.tabs[index].lines;
    let counted = lines.change_newest(|newest| {
        let What::Knocks { names, count } = newest else { return false };
        *count += 1;
        if names.len() < KNOCKS_NAMED && !names.contains(&named) {
            names.push(named.clone());
        }
        true
    });
    if counted != Some(true) {
        lines.tell(at_ms, What::Knocks { names: vec![named.clone()], count: 1 });
    }
    if !model.requests.muted {
        ring(model, format!("{named} asks to join {}", shown(room)), out);
    }
}

fn on_history(model: &mut Model, room: &RoomName, why: Recall, messages: &[Recalled], more: u64) {
    let me = model.me.as_ref().map(ToString::to_string);
    let saying = |model: &Model, message: &Recalled| {
        let mention = !message.mine && me.as_ref().is_some_and(|me| mentions(&message.text, me));
        let Recalled { id, place, key, from, mine, text, manner, edited, unsaid, signs, .. } = message.clone();
        let answers = answers(model, manner);
        let said = Saying { id, place, key, from, mine, text, mention, manner, answers, edited, unsaid, signs };
        (message.sent_at_ms, said)
    };
    match why {
        Recall::Search => {
            let page = super::pages::found(model, room, messages, more);
            model.screen = Screen::Page(page);
        }
        Recall::Last | Recall::Earlier => {
            let index = tab_of(model, room);
            let page = messages.iter().map(|message| saying(model, message)).collect();
            let tab = &mut model.tabs[index];
            let fits = tab.lines.prepend(page) && !messages.is_empty();
            tab.older = if more > 0 && fits { Older::Maybe } else { Older::Nothing };
        }
        Recall::Joined => {
            let index = tab_of(model, room);
            let mark = model.marks.of(room);
            for message in messages {
                let (at_ms, saying) = saying(model, message);
                let unread = !saying.mine && mark.is_some_and(|mark| (saying.place, saying.id) > mark);
                let mention = saying.mention;
                let tab = &mut model.tabs[index];
                if let Some(at) = tab.lines.say(at_ms, saying)
                    && unread
                {
                    note_unread(tab, at, mention);
                }
            }
            model.tabs[index].older = if more > 0 { Older::Maybe } else { Older::Nothing };
        }
    }
}

fn on_delivered(model: &mut Model, room: &RoomName, id: &crate::peer::api::EntryId, to: u16, of: u16) {
    let Some(index) = model.index_of(room) else { return };
    let tab = &mut model.tabs[index];
    // It holds for all own texts before it too; those stand above it.
    let mut reached = false;
    let ids: Vec<_> = tab
        .lines
        .newest_first()
        .filter_map(|(_, line)| match &line.what {
            What::Said(said) if said.mine => Some(said.id),
            _ => None,
        })
        .take(tab.delivery.len() + 64)
        .filter(|own| {
            reached |= own == id;
            reached
        })
        .collect();
    for id in ids {
        if to >= of {
            tab.delivery.remove(&id);
        } else if let Some(delivery) = tab.delivery.get_mut(&id) {
            delivery.to = delivery.to.max(to);
            delivery.of = of;
        }
    }
}

fn on_joined(model: &mut Model, event: &Event, room: &RoomName, members: &[Person], out: &mut Vec<Effect>) {
    let index = tab_of(model, room);
    let tab = &mut model.tabs[index];
    tab.standing = Standing::Inside;
    tab.members = members.to_vec();
    tab.grace.clear();
    model.question = model.question.filter(|question| *question == Question::Pin);
    // The second line that others show names keys of theirs.
    let mut lines = notice(event);
    lines.truncate(1);
    tell(model, Some(room), lines);
    if !model.marks.hinted {
        model.marks.hinted = true;
        model.marks_changed = true;
        let hint = "Enter sends, Ctrl-J makes a new row, PgUp scrolls, F1 or /help shows more, Ctrl-C twice leaves";
        tell(model, Some(room), vec![hint.to_owned()]);
    }
    // Someone may have gone while the answer was on its way; this also brings the paths.
    model.tabs[index].quiet_members += 1;
    out.push(Effect::Send(Command::Members(room.clone())));
}

fn on_link(model: &mut Model, event: &Event, room: &RoomName, name: &Name, path: &Path, grace_s: Option<u64>) {
    let index = tab_of(model, room);
    let ends_ms = grace_s.map(|grace| model.now.mono_ms + grace * 1000);
    let tab = &mut model.tabs[index];
    let Some(person) = tab.members.iter_mut().find(|person| person.name == *name) else { return };
    let (was, key) = (std::mem::replace(&mut person.path, path.clone()), person.key);
    match ends_ms {
        Some(ends_ms) => drop(tab.grace.insert(key, ends_ms)),
        None => drop(tab.grace.remove(&key)),
    }
    // The panel shows how; a line tells only who is gone, and who is back; and who was never reached at all.
    let gone = matches!(path, Path::None);
    let pathless = gone && matches!(event, Event::Link { tried: Some(_), .. });
    let news = pathless || gone != matches!(was, Path::None);
    if news && (!gone || grace_s.is_some()) {
        tell(model, Some(room), notice(event));
    }
}

fn on_left(model: &mut Model, event: &Event, room: &RoomName, why: Leaving, out: &mut Vec<Effect>) {
    if model.session.is_quitting() {
        return;
    }
    let Some(index) = model.index_of(room) else { return };
    model.tabs[index].standing = Standing::Outside;
    model.tabs[index].members.clear();
    model.tabs[index].quiet_members = 0;
    // Whatever the reason, the rest of the rooms go on; only the person closes a tab.
    if why == Leaving::Asked && model.opened {
        if model.tabs.iter().filter(|tab| tab.with.is_none()).count() == 1 {
            update::leave(model, crate::ui::exit::Exit::Done, out);
        } else {
            model.tabs.remove(index);
            if model.active > index || model.active == model.tabs.len() {
                model.active -= 1;
            }
        }
        return;
    }
    tell(model, Some(room), notice(event));
}
