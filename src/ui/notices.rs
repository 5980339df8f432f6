//! What happened, in words for a person: the lines that a face shows beside the messages.
//!
//! Every line is free of control characters, whatever the event holds. State is told in words, never by colour.

use super::decisions;
use super::messages::Messages;
use super::paths;
use super::reach;
use super::recall;
use super::said;
use super::words::{self, shown};
use crate::peer::api::*;

/// The lines for `event`; none for what a person need not be told. Messages are not among them, a face has its own way
/// with those; nor are questions answered here.
pub fn notice(event: &Event) -> Vec<String> {
    match event {
        Event::Ready { name, fingerprint, ephemeral, .. } => {
            let passing = ephemeral.then(|| "nothing that is said here stays on disk".to_owned());
            std::iter::once(format!("you are {}, key {fingerprint}", shown(name))).chain(passing).collect()
        }
        Event::HistoryDamaged { why, aside, saved, seats } => {
            let mut lines = vec![
                format!("warning: the history was damaged ({})", shown(why)),
                format!(
                    "  it is set aside as {}; {} of it could be saved",
                    shown(aside.display()),
                    recall::messages_in_words(*saved)
                ),
                "  what is missing comes again from the members, as far as they have it".to_owned(),
            ];
            if !seats {
                lines.push(
                    "  your seats in rooms could not be saved: joining a room again takes the yes of its members"
                        .to_owned(),
                );
            }
            lines
        }
        Event::PinWanted { server, fingerprint, member } => reach::first_contact(server, fingerprint, *member),
        Event::Pinned { server, fingerprint, member } => vec![format!(
            "first contact with {}: its fingerprint {fingerprint} is remembered from now on",
            reach::whom(server, *member)
        )],
        Event::AnsweredByRule { .. }
        | Event::Removal { .. }
        | Event::RemovalAnswer { .. }
        | Event::RemovalOver { .. }
        | Event::Reform { .. }
        | Event::Rules { .. }
        | Event::Pending { .. }
        | Event::Waits { .. }
        | Event::Membership { .. } => decisions::lines(event, &jiff::tz::TimeZone::system()),
        Event::Ticket { room, ticket } => super::tickets::lines(room, ticket),
        Event::Edited { .. }
        | Event::Unsaid { .. }
        | Event::Reaction { .. }
        | Event::Topic { .. }
        | Event::Away { .. }
        | Event::Private(_)
        | Event::PrivateDelivered { .. }
        | Event::Conversation { .. }
        | Event::OtherKey { .. }
        | Event::Whois { .. }
        | Event::Verify { .. }
        | Event::Ignoring { .. }
        | Event::Invite { .. } => said::lines(event, &Messages::default(), &jiff::tz::TimeZone::system()),
        Event::ServerUp { server, member } => vec![format!("connected to {}", reach::whom(server, *member))],
        Event::ServerDown { server } => vec![format!(
            "the server {} is gone; chats go on without it, and it is tried again by itself",
            shown(server)
        )],
        Event::Rooms { rooms, people } => rooms_table(rooms, people),
        Event::Knocking { room, yes, of, expires_in_s, ahead } => {
            vec![knocking(room, *yes, *of, *expires_in_s, *ahead)]
        }
        Event::Knock { .. } => knock(event),
        Event::Consent { name, by, decision, .. } => vec![match decision {
            Answer::Yes => format!("{} said yes to {}", shown(by), shown(name)),
            Answer::No => format!("{} said no to {}", shown(by), shown(name)),
            Answer::Silent => format!("{} did not answer {} in time, which is a no", shown(by), shown(name)),
        }],
        Event::KnockOver { name, how, room, .. } => {
            vec![format!("{} is not let into {}: {}", shown(name), shown(room), over(*how))]
        }
        Event::Joined { room, members, how, .. } => {
            let first = match how {
                Entrance::Founded => format!("the room {} is yours; others can knock at it now", shown(room)),
                Entrance::Admitted => format!("everybody agreed: you are in {}", shown(room)),
                Entrance::Returned => format!("you are back in {}", shown(room)),
            };
            let others: Vec<_> = members.iter().filter(|person| !person.me).map(|p| shown(&p.name)).collect();
            let with = if others.is_empty() { "nobody yet".to_owned() } else { others.join(", ") };
            vec![format!("{first} (with {with})"), "type a message and Enter; /help shows the commands".to_owned()]
        }
        Event::MemberJoined { room, name, key, .. } => {
            vec![format!("{} is in {} now, key {}", shown(name), shown(room), key.fingerprint())]
        }
        Event::MemberLeft { room, name, reason, .. } => vec![match reason {
            Departure::Left => format!("{} has left {}", shown(name), shown(room)),
            Departure::Dropped => {
                format!("{} could not be reached for too long and is no longer in {}", shown(name), shown(room))
            }
            Departure::Removed => format!("{} was removed from {} by the others", shown(name), shown(room)),
        }],
        Event::Link { name, path, grace_s, tried, .. } => paths::change(name, path, *grace_s, *tried),
        Event::Paths { room, routes } => paths::table(room, routes),
        Event::Members { room, size, members, .. } => members_table(room, *size, members),
        Event::Apart { room } => vec![words::apart(room)],
        Event::Left { room, why } => vec![match why {
            Leaving::Asked => format!("you have left {}", shown(room)),
            Leaving::Deleted => words::room_deleted(room).message,
            Leaving::DroppedByOthers => words::dropped(room).message,
            Leaving::Reformed => format!("you have left {}, which was founded anew", shown(room)),
            Leaving::Removed => words::removed(room).message,
        }],
        Event::Misbehaviour { by, what, .. } => {
            let by = by.as_ref().map_or("the server".to_owned(), shown);
            vec![format!("warning: {by} {}; it had no effect", words::misdeed(*what))]
        }
        Event::Refused { room, reason } => said(words::refusal(room, *reason)),
        Event::Failed(failure) => said(reach::meanwhile(failure)),
        Event::Ended(Ending::Undelivered) => said(words::undelivered()),
        Event::History { room, why, messages, more } => vec![recall::heading(room, *why, messages.len(), *more)],
        Event::Message { .. } | Event::Delivered { .. } | Event::Ended(Ending::Done) => Vec::new(),
    }
}

/// An error as lines beside the messages.
pub fn said(said: words::Said) -> Vec<String> {
    let mut lines: Vec<_> = said.message.lines().map(str::to_owned).collect();
    if let Some(first) = lines.first_mut() {
        first.insert_str(0, "error: ");
    }
    lines.extend(said.hint.map(|hint| format!("  hint: {hint}")));
    lines
}

/// How far our own knock is.
pub fn knocking(room: &RoomName, yes: u16, of: u16, expires_in_s: Option<u64>, ahead: u16) -> String {
    match expires_in_s {
        Some(left) => format!("knocking at {}: {yes} of {of} said yes, {left} s left", shown(room)),
        None if ahead == 0 => {
            let seat = "a seat that you had there and lost is given up first, after the grace of the room";
            format!("waiting to knock at {}: nobody is before you; {seat}", shown(room))
        }
        None => format!("waiting to knock at {}: {ahead} before you", shown(room)),
    }
}

/// The prompt: everything that the decision should rest on, and how to give it.
fn knock(event: &Event) -> Vec<String> {
    let Event::Knock {
        room,
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
        ..
    } = event
    else {
        return Vec::new();
    };
    let names = |names: &[Name]| match names {
        [] => "nobody".to_owned(),
        names => names.iter().map(shown).collect::<Vec<_>>().join(", "),
    };
    let who = shown(name);
    let mut lines = vec![
        format!("{who} (name unverified) wants to join {}", shown(room)),
        format!("  key      {}", key.fingerprint()),
    ];
    if let Some(member) = looks_like {
        lines.push(format!(
            "  WARNING  this name looks like {}, but the key is another: do not mix them up",
            shown(member)
        ));
    }
    if let Some(known) = other_key {
        lines.extend(said::other_key(name, key, known).into_iter().map(|line| format!("  {line}")));
    }
    let known = match (trust, seen_before) {
        (Trust::Verified, _) => "VERIFIED: you compared the words of this key",
        (_, true) => "this key has been in this room before",
        (Trust::Known, false) => "you met this key before; it is new to this room",
        (Trust::New, false) => "this key is new to this room, and to you",
    };
    lines.push(format!("  known    {known}"));
    if *removed_before {
        lines.push(format!("  WARNING  the members REMOVED this key from {} before", shown(room)));
    }
    lines.push(format!("  yes      {}", names(yes)));
    lines.push(format!("  awaited  {}", names(waiting)));
    lines.push(format!("  {expires_in_s} s left, then the answer is no: /approve {who} or /deny {who}"));
    lines
}

/// How a proposal came to nothing.
pub(super) fn over(how: Refusal) -> &'static str {
    match how {
        Refusal::Denied => "somebody said no",
        Refusal::Expired => "not everybody answered in time",
        Refusal::Full => "the room is full",
        Refusal::Withdrawn => "they gave up",
        Refusal::Forged => "the admission was forged",
        Refusal::NameTaken => "the name belongs to somebody else",
        Refusal::NobodyThere => "nobody was there to answer",
        Refusal::TooMany => "too many attempts",
        Refusal::NoSuchRoom | Refusal::RoomExists | Refusal::Other => "the server ended it",
    }
}

fn rooms_table(rooms: &[RoomSummary], people: &[Name]) -> Vec<String> {
    let mut lines = Vec::new();
    if rooms.is_empty() {
        lines.push("no rooms".to_owned());
    } else {
        lines.push(row("ROOM", "MEMBERS", "KNOCKING"));
        lines.extend(rooms.iter().map(|line| {
            let members = format!("{} of {}", line.members, line.size);
            row(&shown(&line.room), &members, if line.knocking { "yes" } else { "no" })
        }));
    }
    if !people.is_empty() {
        lines.push(format!("online: {}", people.iter().map(shown).collect::<Vec<_>>().join(", ")));
    }
    lines
}

fn row(room: &str, members: &str, knocking: &str) -> String {
    format!("{}  {}  {knocking}", pad(room, 20), pad(members, 10))
}

fn members_table(room: &RoomName, size: u16, members: &[Person]) -> Vec<String> {
    let mut lines = vec![format!("{}: {} of {size} members", shown(room), members.len())];
    lines.extend(members.iter().map(|person| {
        let path = if person.me { "you".to_owned() } else { paths::words(&person.path) };
        let trust = if person.me { "" } else { said::trust_word(person.trust) };
        let away = match &person.away {
            Some(why) if why.is_empty() => ", away".to_owned(),
            Some(why) => format!(", away: {}", super::escape::field(why, 40)),
            None => String::new(),
        };
        let ignored = if person.ignored { ", ignored" } else { "" };
        let (name, words) = (pad(&shown(&person.name), 12), person.key.fingerprint());
        format!("  {name}  {words}  {}  {path}{away}{ignored}", pad(trust, 8))
    }));
    lines
}

/// `text` and as many blanks as bring it to `columns` columns.
pub fn pad(text: &str, columns: usize) -> String {
    let width = unicode_width::UnicodeWidthStr::width(text);
    format!("{text}{}", " ".repeat(columns.saturating_sub(width)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus;

    #[test]
    fn no_event_brings_a_control_character_to_the_screen() {
        for event in corpus::events() {
            for line in notice(&event) {
                assert!(!line.chars().any(char::is_control), "{line:?}");
                assert!(!line.contains('\u{202e}'), "{line:?}");
            }
        }
    }

    #[test]
    fn the_prompt_shows_all_that_the_decision_rests_on() {
        let mut event = corpus::knock_of(4, "dana");
        if let Event::Knock { looks_like, .. } = &mut event {
            *looks_like = Some(corpus::name("Dana"));
        }
        let words = corpus::words(4);
        let expected = format!(
            "\
dana (name unverified) wants to join lobby
  key      {words}
  WARNING  this name looks like Dana, but the key is another: do not mix them up
  known    this key is new to this room, and to you
  yes      bob
  awaited  carol, alice
  60 s left, then the answer is no: /approve dana or /deny dana"
        );
        assert_eq!(notice(&event).join("\n"), expected);
    }

    #[test]
    fn the_newcomer_sees_counts_and_the_clock_only() {
        let event = Event::Knocking { room: corpus::lobby(), yes: 2, of: 4, expires_in_s: Some(41), ahead: 0 };
        assert_eq!(notice(&event), ["knocking at lobby: 2 of 4 said yes, 41 s left"]);
    }

    #[test]
    fn rooms_and_members_stand_in_columns() {
        let rooms = vec![RoomSummary { room: corpus::lobby(), members: 3, size: 64, knocking: true }];
        let table = notice(&Event::Rooms { rooms, people: vec![corpus::name("dana")] });
        assert_eq!(table[0], "ROOM                  MEMBERS     KNOCKING");
        assert_eq!(table[1], "lobby                 3 of 64     yes");
        assert_eq!(table[2], "online: dana");
        assert_eq!(notice(&Event::Rooms { rooms: vec![], people: vec![] }), ["no rooms"]);
    }
}
