//! The commands that only a screen has, and what a typed line means here: one of them, or what it means in every face.

use crate::peer::api::RoomName;
use crate::ui::slash::{self, COMMANDS, Line, Slash};
use crate::ui::tickets::new_room;

/// Such a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnScreen {
    /// Knock at a further room.
    Join(RoomName),
    /// Found a further room.
    Create(RoomName),
    /// Show the room of this number or name.
    Room(String),
    /// Announce no newcomers, or announce them again.
    Mute,
    /// Show what named us.
    Mentions,
    /// To the first unread line.
    Unread,
    /// Show the links of this room.
    Links,
    /// Copy the newest text, or a link.
    Copy(Option<usize>),
    /// Take the lines off the screen.
    Clear,
    /// The member panel, or none.
    Panel,
    /// Messages only.
    Bare,
    /// Draw all anew.
    Redraw,
}

/// One row of the table.
pub struct Entry {
    /// What is typed after the slash.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// How it is typed in full.
    pub usage: &'static str,
    /// What it does.
    pub help: &'static str,
    parse: fn(&str) -> Option<OnScreen>,
}

/// Every command of the screen.
pub const ON_SCREEN: &[Entry] = &[
    Entry {
        name: "join",
        aliases: &["j"],
        usage: "/join ROOM",
        help: "knock at a further room, in a tab of its own",
        parse: |rest| new_room(rest).ok().map(OnScreen::Join),
    },
    Entry {
        name: "create",
        aliases: &[],
        usage: "/create ROOM",
        help: "found a further room, as the config says rooms are created",
        parse: |rest| new_room(rest).ok().map(OnScreen::Create),
    },
    Entry {
        name: "room",
        aliases: &["buffer", "win"],
        usage: "/room NUMBER|NAME",
        help: "show another of your rooms (Alt-1 to Alt-9, Ctrl-N, Ctrl-P)",
        parse: |rest| (!rest.is_empty()).then(|| OnScreen::Room(rest.to_owned())),
    },
    Entry {
        name: "mute",
        aliases: &["unmute"],
        usage: "/mute",
        help: "newcomers neither ring nor show a banner; again: they do",
        parse: |rest| alone(rest, OnScreen::Mute),
    },
    Entry {
        name: "mentions",
        aliases: &[],
        usage: "/mentions",
        help: "show the messages that name you",
        parse: |rest| alone(rest, OnScreen::Mentions),
    },
    Entry {
        name: "unread",
        aliases: &[],
        usage: "/unread",
        help: "to the first unread line (Alt-U)",
        parse: |rest| alone(rest, OnScreen::Unread),
    },
    Entry {
        name: "links",
        aliases: &["urls"],
        usage: "/links",
        help: "show the links of this room, with numbers for /copy",
        parse: |rest| alone(rest, OnScreen::Links),
    },
    Entry {
        name: "copy",
        aliases: &[],
        usage: "/copy [N]",
        help: "copy the newest message, or link N, if the terminal allows it (OSC 52)",
        parse: |rest| match rest {
            "" => Some(OnScreen::Copy(None)),
            number => number.parse().ok().filter(|number| *number > 0).map(|number| OnScreen::Copy(Some(number))),
        },
    },
    Entry {
        name: "clear",
        aliases: &[],
        usage: "/clear",
        help: "take the lines off the screen; the history keeps them",
        parse: |rest| alone(rest, OnScreen::Clear),
    },
    Entry {
        name: "panel",
        aliases: &[],
        usage: "/panel",
        help: "show or hide the members (F8)",
        parse: |rest| alone(rest, OnScreen::Panel),
    },
    Entry {
        name: "bare",
        aliases: &[],
        usage: "/bare",
        help: "messages only, to copy them with the mouse; again: all (Alt-L)",
        parse: |rest| alone(rest, OnScreen::Bare),
    },
    Entry {
        name: "redraw",
        aliases: &[],
        usage: "/redraw",
        help: "draw all anew (Ctrl-L)",
        parse: |rest| alone(rest, OnScreen::Redraw),
    },
];

/// What a typed line means on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A command of the screen.
    OnScreen(OnScreen),
    /// To be said, exactly so.
    Say(String),
    /// A command of every face.
    Do(Slash),
    /// A command that doesn't exist.
    Unknown {
        /// As typed, without the slash.
        word: String,
        /// The most similar one.
        nearest: Option<&'static str>,
    },
    /// A command with wrong arguments; how it is used.
    Wrong(&'static str),
}

/// Understands a line.
pub fn parse(line: &str) -> Typed {
    if let Some(command) = line.strip_prefix('/')
        && !command.starts_with('/')
    {
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        if let Some(entry) = ON_SCREEN.iter().find(|entry| entry.name == word || entry.aliases.contains(&word)) {
            return (entry.parse)(rest.trim()).map_or(Typed::Wrong(entry.usage), Typed::OnScreen);
        }
    }
    match slash::parse(line) {
        Line::Say(text) => Typed::Say(text),
        Line::Do(slash) => Typed::Do(slash),
        Line::Wrong(usage) => Typed::Wrong(usage),
        Line::Unknown { word, .. } => {
            let nearest = slash::nearest_of(&word, table().map(|(name, ..)| name));
            Typed::Unknown { word, nearest }
        }
    }
}

/// Every command that may be typed here: name, usage and help.
pub fn table() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let every = COMMANDS.iter().map(|entry| (entry.name, entry.usage, entry.help));
    every.chain(ON_SCREEN.iter().map(|entry| (entry.name, entry.usage, entry.help)))
}

fn alone(rest: &str, command: OnScreen) -> Option<OnScreen> {
    rest.is_empty().then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_means_what_the_two_tables_say() {
        let table = [
            ("hello", Typed::Say("hello".into())),
            ("//join x", Typed::Say("/join x".into())),
            ("/join dev", Typed::OnScreen(OnScreen::Join("dev".parse().unwrap()))),
            ("/join", Typed::Wrong("/join ROOM")),
            ("/join a b", Typed::Wrong("/join ROOM")),
            ("/room 2", Typed::OnScreen(OnScreen::Room("2".into()))),
            ("/copy", Typed::OnScreen(OnScreen::Copy(None))),
            ("/copy 3", Typed::OnScreen(OnScreen::Copy(Some(3)))),
            ("/copy 0", Typed::Wrong("/copy [N]")),
            ("/members", Typed::Do(Slash::Members)),
            ("/reqests", Typed::Unknown { word: "reqests".into(), nearest: Some("requests") }),
            ("/aprove bob", Typed::Unknown { word: "aprove".into(), nearest: Some("approve") }),
        ];
        for (line, meaning) in table {
            assert_eq!(parse(line), meaning, "{line:?}");
        }
    }

    #[test]
    fn no_word_answers_to_two_commands() {
        let every = COMMANDS.iter().flat_map(|entry| entry.aliases.iter().chain([&entry.name]));
        let mut words: Vec<_> =
            every.chain(ON_SCREEN.iter().flat_map(|entry| entry.aliases.iter().chain([&entry.name]))).collect();
        words.sort_unstable();
        let twin = words.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twin, None);
    }
}
