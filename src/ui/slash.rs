//! What a person types, as what it means: a text to say, or one of the commands in the table below.
//!
//! Never sends what looks like a command and isn't one: it answers with the nearest name. `//` begins a text with `/`.

use std::path::PathBuf;

use super::args::server_address;
use super::decide::{self, Decide};
use super::speak::{self, Speak};
use crate::peer::api::limits::{HISTORY_SHOWN_DEFAULT, HISTORY_SHOWN_MAX};
use crate::peer::api::{Name, ProposalHash};

/// A typed line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// To be said, exactly so.
    Say(String),
    /// To be done.
    Do(Slash),
    /// A command that doesn't exist.
    Unknown {
        /// As typed, without the slash.
        word: String,
        /// The command of the most similar name, if one is similar.
        nearest: Option<&'static str>,
    },
    /// A command with wrong arguments; how it is used.
    Wrong(&'static str),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slash {
    /// Show the table.
    Help,
    /// Show the server's rooms.
    List,
    /// Show who is in the room.
    Members,
    /// Show how members are reached.
    Paths,
    /// Let a newcomer in.
    Approve(Newcomer),
    /// Refuse a newcomer.
    Deny(Newcomer),
    /// Show who asks to join.
    Requests,
    /// Show the newest texts once more.
    Last(usize),
    /// Look for words in what was said.
    Search(String),
    /// Show a ticket for the room, that holds for so many seconds, or for ever.
    Ticket(Option<u64>),
    /// Keep the room at a server from now on.
    Publish(String),
    /// What members decide together.
    Decide(Decide),
    /// What can be said besides a text, and what concerns one member.
    Speak(Speak),
    /// Write the history of the room into a file.
    Export(PathBuf),
    /// Leave the room.
    Leave,
    /// Go over to the other half of a room that has split.
    Rejoin,
    /// Delete the room at the server.
    Delete,
    /// Leave and end.
    Quit,
}

/// How an answer names the newcomer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newcomer {
    /// By the name in the prompt, and, where two keys knock under one name, by the first two words too: `bob@acid-otter`.
    Named {
        /// What they want to be called.
        name: Name,
        /// The fingerprint's first two words.
        tag: Option<String>,
    },
    /// By the id of the knock, as logs and programs have it.
    Knock(ProposalHash),
}

/// One row of the table.
pub struct Entry {
    /// What is typed after the slash.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// How it is typed in full.
    pub usage: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
    parse: fn(&str) -> Option<Slash>,
}

/// Every command.
pub const COMMANDS: &[Entry] = &[
    Entry {
        name: "approve",
        aliases: &[],
        usage: "/approve NAME [always|session]",
        help: "let a newcomer in; everybody must; always, or until you quit: unasked next time",
        parse: |rest| decide::answer(rest, Slash::Approve, decide::APPROVALS),
    },
    Entry {
        name: "deny",
        aliases: &[],
        usage: "/deny NAME [always]",
        help: "refuse a newcomer; one no is enough; always: unasked next time",
        parse: |rest| decide::answer(rest, Slash::Deny, decide::DENIALS),
    },
    Entry {
        name: "remove",
        aliases: &["kick"],
        usage: "/remove NAME...",
        help: "go on without members, if all others agree: proposes it, or agrees",
        parse: |rest| decide::names(rest).map(|who| Slash::Decide(Decide::Remove(who))),
    },
    Entry {
        name: "keep",
        aliases: &[],
        usage: "/keep NAME...",
        help: "refuse to go on without members; one no is enough",
        parse: |rest| decide::names(rest).map(|who| Slash::Decide(Decide::Keep(who))),
    },
    Entry {
        name: "reform",
        aliases: &[],
        usage: "/reform NEWROOM [without NAME...]",
        help: "go over to a new room without somebody, if all others agree; or agree; /reform no refuses",
        parse: decide::reform,
    },
    Entry {
        name: "remember",
        aliases: &[],
        usage: "/remember NAME ask|session|always|never|follow",
        help: "how NAME's knocks are answered from now on; follow: yes to whomever NAME lets in",
        parse: decide::remember,
    },
    Entry {
        name: "rules",
        aliases: &[],
        usage: "/rules",
        help: "show which knocks are answered without asking you",
        parse: |rest| alone(rest, Slash::Decide(Decide::Rules)),
    },
    Entry {
        name: "waiting",
        aliases: &["pending"],
        usage: "/waiting",
        help: "show what is being decided, and who is awaited",
        parse: |rest| alone(rest, Slash::Decide(Decide::Waiting)),
    },
    Entry {
        name: "requests",
        aliases: &["knocks"],
        usage: "/requests",
        help: "look at who asks to join, to answer (F2 in the full-screen chat)",
        parse: |rest| alone(rest, Slash::Requests),
    },
    Entry {
        name: "history",
        aliases: &[],
        usage: "/history members",
        help: "show who came and went, when, and who signed it",
        parse: |rest| (rest == "members").then_some(Slash::Decide(Decide::Membership)),
    },
    Entry {
        name: "members",
        aliases: &["names", "who"],
        usage: "/members",
        help: "show who is in the room and how they are reached",
        parse: |rest| alone(rest, Slash::Members),
    },
    Entry { name: "me", aliases: &[], usage: "/me TEXT", help: "say what you do: * ann waves", parse: speak::me },
    Entry {
        name: "reply",
        aliases: &["r"],
        usage: "/reply MSG TEXT",
        help: "answer a message; MSG: NAME is their newest, ^ the newest, ^2 the one before, #1a2b an id of /last",
        parse: speak::reply,
    },
    Entry {
        name: "react",
        aliases: &[],
        usage: "/react MSG SIGN",
        help: "put an emoji or a short word under a message; again takes it back",
        parse: speak::react,
    },
    Entry {
        name: "edit",
        aliases: &[],
        usage: "/edit [^N|#ID] TEXT",
        help: "give your newest message another wording, or the Nth newest of yours",
        parse: speak::edit,
    },
    Entry {
        name: "delete",
        aliases: &["unsay"],
        usage: "/delete ^N|#ID",
        help: "take a message of yours back (^ is your newest); /delete room deletes the room, if you created it",
        parse: speak::delete,
    },
    Entry {
        name: "topic",
        aliases: &[],
        usage: "/topic TEXT",
        help: "say what the room is about; /topic - takes it away",
        parse: speak::topic,
    },
    Entry { name: "away", aliases: &["afk"], usage: "/away [WHY]", help: "tell that you are away", parse: speak::away },
    Entry { name: "back", aliases: &[], usage: "/back", help: "tell that you are back", parse: speak::back },
    Entry {
        name: "msg",
        aliases: &["query", "w"],
        usage: "/msg NAME [TEXT]",
        help: "say something to one member alone; without a text, show what was said so",
        parse: speak::private,
    },
    Entry {
        name: "whois",
        aliases: &[],
        usage: "/whois NAME",
        help: "show all that is known of a member",
        parse: speak::whois,
    },
    Entry {
        name: "verify",
        aliases: &[],
        usage: "/verify NAME [yes|no]",
        help: "show the words to read to each other; yes: they are the same, for good",
        parse: speak::verify,
    },
    Entry {
        name: "ignore",
        aliases: &[],
        usage: "/ignore NAME",
        help: "hide what a member says; knocks and decisions are shown all the same",
        parse: speak::ignore,
    },
    Entry { name: "unignore", aliases: &[], usage: "/unignore NAME", help: "show it again", parse: speak::unignore },
    Entry {
        name: "invite",
        aliases: &[],
        usage: "/invite",
        help: "show what a newcomer has to type, and a QR code of it",
        parse: speak::invite,
    },
    Entry {
        name: "export",
        aliases: &[],
        usage: "/export FILE",
        help: "write what was said here into a new file",
        parse: |rest| (!rest.is_empty()).then(|| Slash::Export(PathBuf::from(rest))),
    },
    Entry {
        name: "paths",
        aliases: &["path"],
        usage: "/paths",
        help: "show the path to each member: direct or through whom, how far, what was tried",
        parse: |rest| alone(rest, Slash::Paths),
    },
    Entry {
        name: "last",
        aliases: &[],
        usage: "/last [N]",
        help: "show the newest messages again, 20 or as many as you say",
        parse: last,
    },
    Entry {
        name: "search",
        aliases: &["find"],
        usage: "/search WORDS",
        help: "show messages with all these words; word* begins one, \"some words\" stand together",
        parse: |rest| (!rest.is_empty()).then(|| Slash::Search(rest.to_owned())),
    },
    Entry {
        name: "list",
        aliases: &["rooms"],
        usage: "/list",
        help: "show the server's rooms",
        parse: |rest| alone(rest, Slash::List),
    },
    Entry {
        name: "ticket",
        aliases: &[],
        usage: "/ticket [HOURS]",
        help: "show a ticket: whoever has it can knock through you, for ever or so many hours",
        parse: ticket,
    },
    Entry {
        name: "publish",
        aliases: &[],
        usage: "/publish SERVER",
        help: "keep your rooms at a server from now on, where others find them by name",
        parse: |rest| server_address(rest).ok().map(Slash::Publish),
    },
    Entry {
        name: "leave",
        aliases: &["part"],
        usage: "/leave",
        help: "leave the room; coming back means knocking again",
        parse: |rest| alone(rest, Slash::Leave),
    },
    Entry {
        name: "rejoin",
        aliases: &[],
        usage: "/rejoin",
        help: "when the room has split: leave this half and knock at the one that the server keeps",
        parse: |rest| alone(rest, Slash::Rejoin),
    },
    Entry {
        name: "help",
        aliases: &["?"],
        usage: "/help",
        help: "show this",
        parse: |rest| rest.split_whitespace().nth(1).is_none().then_some(Slash::Help),
    },
    Entry {
        name: "quit",
        aliases: &["exit", "q"],
        usage: "/quit",
        help: "leave and end (also :q)",
        parse: |rest| alone(rest, Slash::Quit),
    },
];

/// Understands a line typed at a terminal.
pub fn parse(line: &str) -> Line {
    if line.trim() == ":q" {
        return Line::Do(Slash::Quit);
    }
    let Some(command) = line.strip_prefix('/') else { return Line::Say(line.to_owned()) };
    if command.starts_with('/') {
        return Line::Say(command.to_owned());
    }
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    match COMMANDS.iter().find(|entry| entry.name == word || entry.aliases.contains(&word)) {
        Some(entry) => (entry.parse)(rest.trim()).map_or(Line::Wrong(entry.usage), Line::Do),
        None => Line::Unknown { word: word.to_owned(), nearest: nearest(word) },
    }
}

/// Understands a line that a script wrote: only what is exactly a command is one, all else is said as it stands.
pub fn parse_scripted(line: &str) -> Line {
    match parse(line) {
        Line::Do(slash) => Line::Do(slash),
        _ => Line::Say(line.to_owned()),
    }
}

fn alone(rest: &str, slash: Slash) -> Option<Slash> {
    rest.is_empty().then_some(slash)
}

fn ticket(rest: &str) -> Option<Slash> {
    if rest.is_empty() {
        return Some(Slash::Ticket(None));
    }
    // A year and more is for ever.
    rest.parse::<u64>().ok().filter(|hours| (1..=8_784).contains(hours)).map(|hours| Slash::Ticket(Some(hours * 3_600)))
}

fn last(rest: &str) -> Option<Slash> {
    if rest.is_empty() {
        return Some(Slash::Last(HISTORY_SHOWN_DEFAULT));
    }
    rest.parse().ok().filter(|count| (1..=HISTORY_SHOWN_MAX).contains(count)).map(Slash::Last)
}

pub(super) fn newcomer(rest: &str) -> Option<Newcomer> {
    if let Ok(knock) = rest.parse() {
        return Some(Newcomer::Knock(knock));
    }
    let (name, tag) = match rest.split_once('@') {
        Some((name, tag)) => (name, Some(tag.to_owned())),
        None => (rest, None),
    };
    Some(Newcomer::Named { name: name.parse().ok()?, tag })
}

/// The command at most two letters away, or of which the word is the beginning.
fn nearest(word: &str) -> Option<&'static str> {
    nearest_of(word, COMMANDS.iter().map(|entry| entry.name))
}

/// As [`nearest`], of these.
pub(super) fn nearest_of(word: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // Longer words are no slip of the finger, and measuring them would cost.
    if word.is_empty() || word.len() > 16 {
        return None;
    }
    let distance = |name: &str| if name.starts_with(word) { 1 } else { distance(word, name) };
    names.map(|name| (distance(name), name)).min().filter(|(d, _)| *d <= 2).map(|(_, n)| n)
}

/// Letters to add, leave out, change or swap with their neighbour to get from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<_>, Vec<_>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
                let mut best = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::api::Rule;

    fn named(name: &str, tag: Option<&str>) -> Newcomer {
        Newcomer::Named { name: name.parse().unwrap(), tag: tag.map(str::to_owned) }
    }

    #[test]
    fn lines_mean_what_the_table_says() {
        use Line::{Do, Say};
        let decided = |decide| Do(Slash::Decide(decide));
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Name>>();
        let reform = |without: &[&str]| Decide::Reform { new: "annex".parse().unwrap(), without: names(without) };
        let unknown = |word: &str, nearest| Line::Unknown { word: word.to_owned(), nearest };
        let table = [
            ("hello", Say("hello".into())),
            ("", Say("".into())),
            ("  /quit", Say("  /quit".into())),
            ("//quit", Say("/quit".into())),
            ("/approve bob", Do(Slash::Approve(named("bob", None)))),
            ("/approve  bob ", Do(Slash::Approve(named("bob", None)))),
            ("/approve bob@acid-otter", Do(Slash::Approve(named("bob", Some("acid-otter"))))),
            ("/deny Zoë", Do(Slash::Deny(named("Zoë", None)))),
            ("/approve", Line::Wrong("/approve NAME [always|session]")),
            ("/approve two names", Line::Wrong("/approve NAME [always|session]")),
            ("/approve bob never", Line::Wrong("/approve NAME [always|session]")),
            ("/approve bob always", decided(Decide::Answer(named("bob", None), Rule::Always))),
            ("/approve bob@a-b  session", decided(Decide::Answer(named("bob", Some("a-b")), Rule::Session))),
            ("/deny bob always", decided(Decide::Answer(named("bob", None), Rule::Never))),
            ("/remove", Line::Wrong("/remove NAME...")),
            ("/remove bob  carol", decided(Decide::Remove(names(&["bob", "carol"])))),
            ("/remove /bob", Line::Wrong("/remove NAME...")),
            ("/keep bob", decided(Decide::Keep(names(&["bob"])))),
            ("/reform annex", decided(reform(&[]))),
            ("/reform annex without bob  carol", decided(reform(&["bob", "carol"]))),
            ("/reform annex without", Line::Wrong("/reform NEWROOM [without NAME...]")),
            ("/reform annex withoutbob", Line::Wrong("/reform NEWROOM [without NAME...]")),
            ("/reform annex bob", Line::Wrong("/reform NEWROOM [without NAME...]")),
            ("/reform", Line::Wrong("/reform NEWROOM [without NAME...]")),
            ("/reform no", decided(Decide::RefuseReform)),
            ("/remember bob follow", decided(Decide::Remember(named("bob", None), Rule::Follow))),
            ("/remember bob ask", decided(Decide::Remember(named("bob", None), Rule::Ask))),
            ("/remember bob", Line::Wrong("/remember NAME ask|session|always|never|follow")),
            ("/rules", decided(Decide::Rules)),
            ("/waiting", decided(Decide::Waiting)),
            ("/history members", decided(Decide::Membership)),
            ("/history", Line::Wrong("/history members")),
            ("/members", Do(Slash::Members)),
            ("/who", Do(Slash::Members)),
            ("/paths", Do(Slash::Paths)),
            ("/paths bob", Line::Wrong("/paths")),
            ("/last", Do(Slash::Last(20))),
            ("/last 500", Do(Slash::Last(500))),
            ("/last 0", Line::Wrong("/last [N]")),
            ("/last 501", Line::Wrong("/last [N]")),
            ("/last week", Line::Wrong("/last [N]")),
            ("/search  some \"words here\" ", Do(Slash::Search("some \"words here\"".into()))),
            ("/search", Line::Wrong("/search WORDS")),
            ("/ticket", Do(Slash::Ticket(None))),
            ("/ticket 2", Do(Slash::Ticket(Some(7_200)))),
            ("/ticket soon", Line::Wrong("/ticket [HOURS]")),
            ("/publish chat.example", Do(Slash::Publish("chat.example".into()))),
            ("/publish", Line::Wrong("/publish SERVER")),
            ("/list", Do(Slash::List)),
            ("/list all", Line::Wrong("/list")),
            ("/leave", Do(Slash::Leave)),
            ("/rejoin", Do(Slash::Rejoin)),
            ("/delete room", Do(Slash::Delete)),
            ("/export chat.txt", Do(Slash::Export("chat.txt".into()))),
            ("/help", Do(Slash::Help)),
            ("/help approve", Do(Slash::Help)),
            ("/quit", Do(Slash::Quit)),
            ("/q", Do(Slash::Quit)),
            (":q", Do(Slash::Quit)),
            (":q ", Do(Slash::Quit)),
            (":quit", Say(":quit".into())),
            ("/aprove bob", unknown("aprove", Some("approve"))),
            ("/quti", unknown("quti", Some("quit"))),
            ("/memb", unknown("memb", Some("members"))),
            ("/dance", unknown("dance", None)),
            ("/", unknown("", None)),
        ];
        for (line, meaning) in table {
            assert_eq!(parse(line), meaning, "{line:?}");
        }
    }

    #[test]
    fn an_id_names_a_knock() {
        let id = "ab".repeat(32);
        assert_eq!(parse(&format!("/deny {id}")), Line::Do(Slash::Deny(Newcomer::Knock(id.parse().unwrap()))));
    }

    #[test]
    fn a_script_says_all_that_is_no_command() {
        for text in ["//quit", "/dance", "/approve", " /quit", ""] {
            assert_eq!(parse_scripted(text), Line::Say(text.into()));
        }
        assert_eq!(parse_scripted("/leave"), Line::Do(Slash::Leave));
    }

    #[test]
    fn no_word_answers_to_two_commands() {
        let mut words: Vec<_> = COMMANDS.iter().flat_map(|e| e.aliases.iter().chain([&e.name])).collect();
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
