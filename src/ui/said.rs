//! What is said besides texts, and what is known of people, in words for a person.

use jiff::tz::TimeZone;

use super::messages::Messages;
use super::notices::pad;
use super::qr;
use super::recall::moment;
use super::words::shown;
use super::{escape, invite};
use crate::peer::api::*;

/// The lines for such an event; none for any other.
pub fn lines(event: &Event, messages: &Messages, zone: &TimeZone) -> Vec<String> {
    match event {
        // What is shown as another's stays as it is, and nothing is said about who tried.
        Event::Edited { of, key, .. } | Event::Unsaid { of, key, .. } if messages.is_anothers(of, key) => Vec::new(),
        Event::Edited { of, from, mine, text, .. } => {
            let who = if *mine { "you".to_owned() } else { shown(from) };
            vec![format!("{who} changed {} to: {}", messages.reminder(of), escape::text(text))]
        }
        Event::Unsaid { of, from, mine, .. } => {
            let who = if *mine { "you".to_owned() } else { shown(from) };
            vec![format!("{who} took back {}", messages.reminder(of))]
        }
        Event::Reaction { to, from, mine, sign, on, .. } => {
            let who = if *mine { "you".to_owned() } else { shown(from) };
            let (sign, what) = (escape::field(sign, 24), messages.reminder(to));
            vec![if *on { format!("{who}: {sign} to {what}") } else { format!("{who} took back {sign} from {what}") }]
        }
        Event::Topic { room, from, key, text, recalled } => vec![topic(room, from.as_ref(), key, text, *recalled)],
        Event::Away { name, mine, why, .. } => {
            let who = if *mine { "you are".to_owned() } else { format!("{} is", shown(name)) };
            vec![match why {
                Some(why) if why.is_empty() => format!("{who} away"),
                Some(why) => format!("{who} away: {}", escape::text(why)),
                None => format!("{who} back"),
            }]
        }
        Event::Private(message) => vec![private(message)],
        Event::PrivateDelivered { with, ids, .. } => vec![match ids.len() {
            1 => format!("your private message reached {}", shown(with)),
            count => format!("your {count} private messages reached {}", shown(with)),
        }],
        Event::Conversation { with, messages, more, .. } => conversation(with, messages, *more, zone),
        Event::OtherKey { name, key, known, .. } => other_key(name, key, known),
        Event::Whois { who, .. } => whois(who, zone),
        Event::Verify { name, fingerprint, mine, trust, .. } => verify(name, fingerprint, mine, *trust),
        Event::Ignoring { name, on: true, .. } => vec![format!(
            "what {} says is hidden from now on, here and in the history; knocks and decisions are not. /unignore {0} ends it",
            shown(name)
        )],
        Event::Ignoring { name, on: false, .. } => {
            vec![format!("what {} says is shown again; /last shows what was hidden", shown(name))]
        }
        Event::Invite { room, server, pin } => invite(room, server, pin.as_ref()),
        _ => Vec::new(),
    }
}

fn topic(room: &RoomName, from: Option<&Name>, key: &PeerId, text: &str, recalled: bool) -> String {
    let by = from.map_or_else(|| format!("@{}", key.fingerprint().tag()), shown);
    match (text.is_empty(), recalled) {
        (true, _) => format!("{by} took the topic of {} away", shown(room)),
        (_, true) => format!("the topic of {}, by {by}: {}", shown(room), escape::text(text)),
        (_, false) => format!("{by} made this the topic of {}: {}", shown(room), escape::text(text)),
    }
}

/// A private message, told apart from all that everybody reads.
fn private(message: &PrivateMessage) -> String {
    let (name, text) = (shown(&message.with), escape::text(&message.text));
    if message.mine { format!("[to {name} only] {text}") } else { format!("[from {name}, to you only] {text}") }
}

fn conversation(with: &Name, messages: &[PrivateMessage], more: u64, zone: &TimeZone) -> Vec<String> {
    let name = shown(with);
    if messages.is_empty() {
        return vec![format!("nothing was said between you and {name} alone")];
    }
    let before = if more > 0 { format!(", with {more} before them") } else { String::new() };
    let heading = format!("between you and {name} alone, the last {}{before}:", messages.len());
    let row = |message: &PrivateMessage| {
        let waits = if message.delivered { "" } else { "  (not delivered yet)" };
        format!("{} {}{waits}", moment(message.sent_at_ms, zone), private(message))
    };
    std::iter::once(heading).chain(messages.iter().map(row)).collect()
}

/// A known name with another key is somebody new, and that is said loudly.
pub(super) fn other_key(name: &Name, key: &PeerId, known: &OtherKey) -> Vec<String> {
    let how = match known.trust {
        Trust::Verified => "whose words you compared",
        _ => "whom you met before",
    };
    vec![
        format!("WARNING: {} is NOT the {} {how}: it is another key", shown(name), shown(&known.name)),
        format!("  this key   {}", key.fingerprint()),
        format!("  known key  {}", known.key.fingerprint()),
        "  they may have a new device, or somebody pretends to be them: ask them by another way".to_owned(),
    ]
}

/// How well a key is known, in a word.
pub fn trust_word(trust: Trust) -> &'static str {
    match trust {
        Trust::New => "new",
        Trust::Known => "known",
        Trust::Verified => "verified",
    }
}

fn whois(who: &Whois, zone: &TimeZone) -> Vec<String> {
    let Whois { person, .. } = who;
    let row = |what: &str, value: String| format!("  {} {value}", pad(what, 9));
    let at = |ms: u64| moment(ms, zone);
    let mut lines = vec![shown(&person.name), row("key", person.key.fingerprint().to_string())];
    if person.me {
        lines.push(row("", "that is you".to_owned()));
        return lines;
    }
    lines.push(row(
        "trust",
        match (person.trust, who.verified_ms) {
            (Trust::Verified, Some(ms)) => format!("verified: you compared the words on {}", at(ms)),
            (Trust::New, _) => format!("new: never met before; /verify {} compares the words", shown(&person.name)),
            _ => format!("known, not verified: /verify {} compares the words", shown(&person.name)),
        },
    ));
    lines.extend(who.first_seen_ms.map(|ms| row("first met", at(ms))));
    let other: Vec<String> = who.names.iter().filter(|name| **name != person.name).map(shown).collect();
    if !other.is_empty() {
        lines.push(row("also", format!("called themselves {} before", other.join(", "))));
    }
    lines.push(match (who.since_epoch, who.since_ms) {
        (Some(epoch), Some(ms)) => row("member", format!("since {} (roster {epoch})", at(ms))),
        (Some(epoch), None) => row("member", format!("since roster {epoch}")),
        (None, _) => row("member", "was here when you came".to_owned()),
    });
    if !who.admitted_by.is_empty() {
        let names: Vec<String> = who.admitted_by.iter().map(shown).collect();
        lines.push(row("let in by", names.join(", ")));
    }
    lines.push(row("path", super::paths::words(&person.path)));
    if let Some(why) = &person.away {
        lines.push(row("away", if why.is_empty() { "yes".to_owned() } else { escape::text(why) }));
    }
    if person.ignored {
        lines.push(row("ignored", "what they say is hidden".to_owned()));
    }
    lines
}

fn verify(name: &Name, theirs: &Fingerprint, mine: &Fingerprint, trust: Trust) -> Vec<String> {
    let name = shown(name);
    let mut lines = vec![format!("{name}'s words  {theirs}"), format!("your words  {mine}")];
    lines.push(if trust == Trust::Verified {
        format!("{name}'s key is marked as verified; /verify {name} no takes that back")
    } else {
        format!("call {name} and read your words to each other; only if both hear what stands here: /verify {name} yes")
    });
    lines
}

fn invite(room: &RoomName, server: &str, pin: Option<&Fingerprint>) -> Vec<String> {
    let command = invite::command(room, server);
    let mut lines =
        vec![format!("to knock at {} somebody types:", shown(room)), format!("  {}", escape::text(&command))];
    if let Some(pin) = pin {
        lines.push("  and accepts the server only by these words:".to_owned());
        lines.push(format!("  {pin}"));
    }
    lines.push("everybody here is asked then; compare the newcomer's words with them before you approve".to_owned());
    lines.extend(qr::blocks(&invite::ticket(room, server, pin)));
    lines
}
