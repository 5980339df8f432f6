//! What members decide together, in words: removals, founding anew, rules, who is awaited, and how it came to this.
//!
//! Says who did what and never why: a person who can't be reached may be on a train.

use jiff::tz::TimeZone;

use super::escape;
use super::notices::{over, pad};
use super::words::shown;
use crate::peer::api::{
    Answer, Event, Name, PeerId, Question, Record, RecordKind, ReformState, RoomName, Rule, Undecided,
};

/// The lines for such an event; none for any other.
pub fn lines(event: &Event, zone: &TimeZone) -> Vec<String> {
    match event {
        Event::AnsweredByRule { room, name, key, by, rule, .. } => {
            let who = format!("{} (name unverified, key {}) knocks at {}", shown(name), key.fingerprint(), shown(room));
            vec![format!("{who}: {}", answered(name, by, *rule))]
        }
        Event::Removal { room, names, yes, waiting, expires_in_s, .. } => {
            removal(room, names, yes, waiting, *expires_in_s)
        }
        Event::RemovalAnswer { names, by, decision, .. } => vec![match decision {
            Answer::Yes => format!("{} agrees to go on without {}", shown(by), list(names)),
            Answer::No => format!("{} wants to keep {}", shown(by), list(names)),
            Answer::Silent => format!("{} did not answer in time, which keeps {}", shown(by), list(names)),
        }],
        Event::RemovalOver { room, names, how, .. } => {
            let stay = if names.len() > 1 { "stay" } else { "stays" };
            vec![format!("{} {stay} in {}: {}", list(names), shown(room), over(*how))]
        }
        Event::Reform { room, new, by, without, state } => reform(room, new, by, without, state),
        Event::Rules { room, rules } => rules_table(room, rules),
        Event::Pending { room, open } => pending(room, open),
        Event::Waits { room, texts } => waits(room, texts),
        Event::Membership { room, records } => membership(room, records, zone),
        _ => Vec::new(),
    }
}

/// Own texts that wait.
fn waits(room: &RoomName, texts: &[String]) -> Vec<String> {
    let room = shown(room);
    let why = format!("not said yet in {room}: what you said there before is being got back from the members first");
    std::iter::once(why).chain(texts.iter().map(|text| format!("  {}", escape::text(text)))).collect()
}

/// Names in a row.
fn list(names: &[Name]) -> String {
    match names {
        [] => "nobody".to_owned(),
        names => names.iter().map(shown).collect::<Vec<_>>().join(", "),
    }
}

fn answered(name: &Name, by: &Name, rule: Rule) -> String {
    let (name, by) = (shown(name), shown(by));
    match rule {
        Rule::Never => format!("answered no for you, as you said never (/remember {name} ask ends that)"),
        Rule::Follow => format!("answered yes for you, since {by} said yes and you follow them"),
        Rule::Always => format!("answered yes for you, as you said always (/remember {name} ask ends that)"),
        Rule::Session => format!("answered yes for you, as you said for this session (/remember {name} ask ends that)"),
        Rule::Ask => "you are asked".to_owned(),
    }
}

fn removal(room: &RoomName, names: &[Name], yes: &[Name], waiting: &[Name], left_s: u64) -> Vec<String> {
    let proposers = if yes.is_empty() { "somebody".to_owned() } else { list(yes) };
    let want = if yes.len() > 1 { "want" } else { "wants" };
    let typed = names.iter().map(shown).collect::<Vec<_>>().join(" ");
    vec![
        format!("{proposers} {want} to remove {} from {}", list(names), shown(room)),
        format!("  yes      {}", list(yes)),
        format!("  awaited  {}", list(waiting)),
        format!("  {left_s} s left, then the answer is no: /remove {typed} to agree or /keep {typed}"),
    ]
}

fn reform(room: &RoomName, new: &RoomName, by: &Name, without: &[Name], state: &ReformState) -> Vec<String> {
    let (room, new, without) = (shown(room), shown(new), list(without));
    match state {
        ReformState::Asked { expires_in_s } => vec![
            format!("{} wants to found {room} anew as {new}, without {without}", shown(by)),
            format!("  once all others agree, they go over to {new}; {without} stays behind and isn't asked"),
            format!("  {expires_in_s} s left, then the answer is no: /reform {new} to agree or /reform no"),
        ],
        ReformState::Waiting(names) => vec![format!("founding {new} without {without}: awaited {}", list(names))],
        ReformState::Agreed => vec![format!("all agreed: going over from {room} to {new}, without {without}")],
        ReformState::Refused(Some(by)) => {
            vec![format!("{room} is not founded anew as {new}: {} did not agree", shown(by))]
        }
        ReformState::Refused(None) => {
            vec![format!("{room} is not founded anew as {new}: not all answered in time, or the members changed")]
        }
    }
}

fn rules_table(room: &RoomName, rules: &[(Name, PeerId, Rule)]) -> Vec<String> {
    if rules.is_empty() {
        let change = "/remember NAME always, session, never or follow changes that";
        return vec![format!("you are asked about every knock at {}; {change}", shown(room))];
    }
    let mut lines = vec![format!("knocks at {} that are answered without asking you:", shown(room))];
    lines.extend(rules.iter().map(|(name, key, rule)| {
        let what = match rule {
            Rule::Always => "always yes".to_owned(),
            Rule::Session => "yes until you quit".to_owned(),
            Rule::Never => "always no".to_owned(),
            Rule::Follow => format!("yes to whomever {} lets in", shown(name)),
            Rule::Ask => "you are asked".to_owned(),
        };
        format!("  {}  {}  {what}", pad(&shown(name), 12), key.fingerprint())
    }));
    lines
}

fn pending(room: &RoomName, open: &[Undecided]) -> Vec<String> {
    if open.is_empty() {
        return vec![format!("nothing is being decided in {}", shown(room))];
    }
    let mut lines = vec![format!("being decided in {}:", shown(room))];
    lines.extend(open.iter().map(|undecided| {
        let Undecided { what, names, new, yes, waiting, since_s, .. } = undecided;
        let names = list(names);
        let what = match what {
            Question::Admit => format!("to let {names} in"),
            Question::Drop => format!("to go on without {names}, who left or can't be reached"),
            Question::Remove => format!("to remove {names}"),
            Question::Reform => {
                let new = new.as_ref().map_or_else(|| "another room".to_owned(), shown);
                format!("to found the room anew as {new}, without {names}")
            }
        };
        let waiting: Vec<_> = waiting
            .iter()
            .map(|(name, reached)| {
                let away = if *reached { "" } else { " (can't be reached now)" };
                format!("{}{away}", shown(name))
            })
            .collect();
        let waiting = if waiting.is_empty() { "nobody".to_owned() } else { waiting.join(", ") };
        format!("  {what}: for {since_s} s; yes: {}; awaited: {waiting}", list(yes))
    }));
    lines
}

fn membership(room: &RoomName, records: &[Record], zone: &TimeZone) -> Vec<String> {
    let mut lines = vec![format!("how {} came to its members, as your client saw it:", shown(room))];
    lines.extend(records.iter().map(|record| {
        let when = record.at_ms.map_or("before you".to_owned(), |ms| moment(ms, zone));
        let who: Vec<_> =
            record.who.iter().map(|(name, key)| format!("{} ({})", shown(name), key.fingerprint())).collect();
        let (who, many) = (who.join(", "), record.who.len() > 1);
        let be = if many { "were" } else { "was" };
        let what = match record.what {
            RecordKind::Begin if record.epoch == 0 => format!("{who} founded the room"),
            RecordKind::Begin => format!("{who} {be} in"),
            RecordKind::Admitted => format!("{who} {be} let in"),
            RecordKind::Left => format!("{who} left"),
            RecordKind::Dropped => format!("{who} could not be reached for too long"),
            RecordKind::Removed => format!("{who} {be} removed"),
        };
        let signed: Vec<_> = record.signed.iter().map(|(name, ..)| shown(name)).collect();
        let signed = if signed.is_empty() { String::new() } else { format!("; signed by {}", signed.join(", ")) };
        format!("  {}  {}  {what}{signed}", pad(&record.epoch.to_string(), 4), pad(&when, 16))
    }));
    lines
}

/// A moment as people where `zone` is write it, to the minute.
pub fn moment(ms: u64, zone: &TimeZone) -> String {
    let moment = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.map_or("at no known time".to_owned(), |moment| {
        let (date, time) = (moment.to_zoned(zone.clone()).date(), moment.to_zoned(zone.clone()).time());
        format!("{date} {:02}:{:02}", time.hour(), time.minute())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::api::ProposalHash;
    use crate::ui::corpus::{self, lobby, name};

    fn told(event: &Event) -> String {
        lines(event, &TimeZone::UTC).join("\n")
    }

    #[test]
    fn the_prompt_for_a_removal_says_who_proposed_it_and_how_to_answer() {
        assert_eq!(
            told(&corpus::removal()),
            "\
bob wants to remove mallory from lobby
  yes      bob
  awaited  alice, carol
  60 s left, then the answer is no: /remove mallory to agree or /keep mallory"
        );
    }

    #[test]
    fn the_prompt_for_founding_anew_says_what_follows() {
        let state = ReformState::Asked { expires_in_s: 60 };
        assert_eq!(
            told(&corpus::reform(state)),
            "\
bob wants to found lobby anew as annex, without mallory
  once all others agree, they go over to annex; mallory stays behind and isn't asked
  60 s left, then the answer is no: /reform annex to agree or /reform no"
        );
    }

    #[test]
    fn who_is_awaited_stands_with_whether_they_can_be_reached() {
        let undecided = |what, who: &str, new| Undecided {
            proposal: ProposalHash([4; 32]),
            what,
            names: vec![name(who)],
            new,
            yes: vec![name("alice")],
            waiting: vec![(name("bob"), true), (name("carol"), false)],
            since_s: 15,
        };
        let knock = undecided(Question::Admit, "dana", None);
        let reform = undecided(Question::Reform, "mallory", Some("annex".parse().unwrap()));
        assert_eq!(
            told(&Event::Pending { room: lobby(), open: vec![knock, reform] }),
            "\
being decided in lobby:
  to let dana in: for 15 s; yes: alice; awaited: bob, carol (can't be reached now)
  to found the room anew as annex, without mallory: for 15 s; yes: alice; awaited: bob, carol (can't be reached now)"
        );
        assert_eq!(told(&Event::Pending { room: lobby(), open: vec![] }), "nothing is being decided in lobby");
    }

    #[test]
    fn texts_that_wait_are_shown_with_the_reason() {
        let texts = vec!["still here?".to_owned()];
        assert_eq!(
            told(&Event::Waits { room: lobby(), texts }),
            "\
not said yet in lobby: what you said there before is being got back from the members first
  still here?"
        );
    }

    #[test]
    fn the_history_of_members_has_a_line_for_each_change_with_who_signed_it() {
        let [bob, dana] = [2, 4].map(corpus::words);
        assert_eq!(
            told(&corpus::membership()),
            format!(
                "\
how lobby came to its members, as your client saw it:
  3     before you        bob ({bob}) was in
  4     2026-11-21 02:00  dana ({dana}) was let in; signed by bob
  5     2026-11-21 02:00  dana ({dana}) was removed; signed by bob"
            )
        );
    }
}
