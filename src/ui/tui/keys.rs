//! What each key does, as a table. Everything that is only on an Alt key or a function key has a slash command too, since
//! some terminals send neither.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::draft::Edit;

/// What a key does in the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Says or does what is typed.
    Enter,
    /// Changes what is typed.
    Edit(Edit),
    /// A row up in the draft, or what was typed before.
    Up,
    /// A row down in the draft, or what was typed after.
    Down,
    /// Completes names, commands and rooms.
    Complete,
    /// Completes backwards.
    CompleteBack,
    /// So many half pages towards the newer lines.
    Scroll(i8),
    /// So many rows.
    ScrollRows(i8),
    /// The oldest line that is loaded.
    Top,
    /// The newest line.
    Bottom,
    /// So many tabs on.
    Turn(i8),
    /// This tab.
    Tab(u8),
    /// The next tab where something came.
    Activity,
    /// The first unread line.
    Unread,
    /// The mention before what is shown.
    MentionBefore,
    /// The mention after it.
    MentionAfter,
    /// Begins a search.
    Search,
    /// The help.
    Help,
    /// The newcomers who ask to join.
    Review,
    /// The member panel, or none.
    Panel,
    /// Messages only, to be copied.
    Bare,
    /// Draws all anew.
    Repaint,
    /// Clears the line; on an empty one asks to leave.
    Interrupt,
    /// Takes away a character; on an empty line leaves.
    DeleteOrEnd,
    /// Stops the program until the shell continues it.
    Suspend,
    /// Away from what covers the chat.
    Escape,
}

/// A key of the table.
pub struct Binding {
    /// As the help writes it.
    pub shown: &'static str,
    /// The modifiers.
    pub with: KeyModifiers,
    /// The key.
    pub code: KeyCode,
    /// What it does.
    pub action: Action,
    /// In words; empty for another key of the row before.
    pub help: &'static str,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

const fn key(shown: &'static str, with: KeyModifiers, code: KeyCode, action: Action, help: &'static str) -> Binding {
    Binding { shown, with, code, action, help }
}

const fn c(c: char) -> KeyCode {
    KeyCode::Char(c)
}

/// Every key.
pub const KEYS: &[Binding] = &[
    key("Enter", NONE, KeyCode::Enter, Action::Enter, "send"),
    key("Ctrl-J", CTRL, c('j'), Action::Edit(Edit::NewRow), "new row; also Alt-Enter"),
    key("Alt-Enter", ALT, KeyCode::Enter, Action::Edit(Edit::NewRow), ""),
    key("Shift-Enter", SHIFT, KeyCode::Enter, Action::Edit(Edit::NewRow), ""),
    key("Up", NONE, KeyCode::Up, Action::Up, "what you typed before; a row up in a longer draft"),
    key("Down", NONE, KeyCode::Down, Action::Down, "and after"),
    key("Tab", NONE, KeyCode::Tab, Action::Complete, "complete a name, a command, a room; again: the next"),
    key("Shift-Tab", SHIFT, KeyCode::BackTab, Action::CompleteBack, ""),
    key("PgUp", NONE, KeyCode::PageUp, Action::Scroll(-1), "scroll up; older messages come from the history"),
    key("PgDn", NONE, KeyCode::PageDown, Action::Scroll(1), "scroll down"),
    key("Alt-Up", ALT, KeyCode::Up, Action::ScrollRows(-1), "scroll by a row"),
    key("Alt-Down", ALT, KeyCode::Down, Action::ScrollRows(1), ""),
    key("Alt-PgUp", ALT, KeyCode::PageUp, Action::Scroll(-1), ""),
    key("Alt-PgDn", ALT, KeyCode::PageDown, Action::Scroll(1), ""),
    key("Alt-Home", ALT, KeyCode::Home, Action::Top, "the oldest line that is loaded"),
    key("Alt-End", ALT, KeyCode::End, Action::Bottom, "the newest"),
    key("Alt-U", ALT, c('u'), Action::Unread, "the first unread line (/unread)"),
    key("Alt-P", ALT, c('p'), Action::MentionBefore, "the mention of you before this (/mentions)"),
    key("Alt-N", ALT, c('n'), Action::MentionAfter, "the one after"),
    key("Ctrl-S", CTRL, c('s'), Action::Search, "search the history"),
    key("Ctrl-N", CTRL, c('n'), Action::Turn(1), "the next room (/room)"),
    key("Ctrl-P", CTRL, c('p'), Action::Turn(-1), "the room before"),
    key("Alt-Right", ALT, KeyCode::Right, Action::Turn(1), ""),
    key("Alt-Left", ALT, KeyCode::Left, Action::Turn(-1), ""),
    key("Alt-1..9", ALT, c('1'), Action::Tab(1), "this room (/room 1)"),
    key("Alt-2", ALT, c('2'), Action::Tab(2), ""),
    key("Alt-3", ALT, c('3'), Action::Tab(3), ""),
    key("Alt-4", ALT, c('4'), Action::Tab(4), ""),
    key("Alt-5", ALT, c('5'), Action::Tab(5), ""),
    key("Alt-6", ALT, c('6'), Action::Tab(6), ""),
    key("Alt-7", ALT, c('7'), Action::Tab(7), ""),
    key("Alt-8", ALT, c('8'), Action::Tab(8), ""),
    key("Alt-9", ALT, c('9'), Action::Tab(9), ""),
    key("Alt-0", ALT, c('0'), Action::Tab(10), ""),
    key("Alt-A", ALT, c('a'), Action::Activity, "the next room where something was said"),
    key("F1", NONE, KeyCode::F(1), Action::Help, "this help (/help)"),
    key("F2", NONE, KeyCode::F(2), Action::Review, "who asks to join (/requests)"),
    key("F8", NONE, KeyCode::F(8), Action::Panel, "show or hide the members (/panel)"),
    key("Alt-L", ALT, c('l'), Action::Bare, "messages only, to copy them with the mouse (/bare)"),
    key("Ctrl-L", CTRL, c('l'), Action::Repaint, "draw all anew (/redraw)"),
    key("Ctrl-A", CTRL, c('a'), Action::Edit(Edit::Head), "to the beginning of the row; also Home"),
    key("Home", NONE, KeyCode::Home, Action::Edit(Edit::Head), ""),
    key("Ctrl-E", CTRL, c('e'), Action::Edit(Edit::End), "to its end; also End"),
    key("End", NONE, KeyCode::End, Action::Edit(Edit::End), ""),
    key("Ctrl-F", CTRL, c('f'), Action::Edit(Edit::Forward), ""),
    key("Right", NONE, KeyCode::Right, Action::Edit(Edit::Forward), ""),
    key("Ctrl-B", CTRL, c('b'), Action::Edit(Edit::Back), ""),
    key("Left", NONE, KeyCode::Left, Action::Edit(Edit::Back), ""),
    key("Alt-F", ALT, c('f'), Action::Edit(Edit::WordForward), "a word on, Alt-B: back; also Ctrl-Right, Ctrl-Left"),
    key("Ctrl-Right", CTRL, KeyCode::Right, Action::Edit(Edit::WordForward), ""),
    key("Alt-B", ALT, c('b'), Action::Edit(Edit::WordBack), ""),
    key("Ctrl-Left", CTRL, KeyCode::Left, Action::Edit(Edit::WordBack), ""),
    key("Backspace", NONE, KeyCode::Backspace, Action::Edit(Edit::DeleteBack), ""),
    key("Ctrl-H", CTRL, c('h'), Action::Edit(Edit::DeleteBack), ""),
    key("Delete", NONE, KeyCode::Delete, Action::Edit(Edit::DeleteForward), ""),
    key("Ctrl-W", CTRL, c('w'), Action::Edit(Edit::DeleteWordBack), "delete the word before; Alt-D: after"),
    key("Alt-Backspace", ALT, KeyCode::Backspace, Action::Edit(Edit::DeleteWordBack), ""),
    key("Alt-D", ALT, c('d'), Action::Edit(Edit::DeleteWordForward), ""),
    key("Ctrl-K", CTRL, c('k'), Action::Edit(Edit::KillEnd), "delete to the end of the row; Ctrl-U: to its beginning"),
    key("Ctrl-U", CTRL, c('u'), Action::Edit(Edit::KillHead), ""),
    key("Ctrl-Y", CTRL, c('y'), Action::Edit(Edit::Yank), "put in what was deleted"),
    key("Ctrl-T", CTRL, c('t'), Action::Edit(Edit::Transpose), "swap two letters"),
    key("Ctrl-_", CTRL, c('_'), Action::Edit(Edit::Undo), "undo"),
    key("Ctrl-7", CTRL, c('7'), Action::Edit(Edit::Undo), ""),
    key("Ctrl-/", CTRL, c('/'), Action::Edit(Edit::Undo), ""),
    key("Ctrl-C", CTRL, c('c'), Action::Interrupt, "clear the line; twice on an empty one: leave"),
    key("Ctrl-D", CTRL, c('d'), Action::DeleteOrEnd, "leave, on an empty line"),
    key("Ctrl-Z", CTRL, c('z'), Action::Suspend, "to the shell; fg comes back"),
    key("Esc", NONE, KeyCode::Esc, Action::Escape, "away from what covers the chat"),
];

/// What a key event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A key of the table.
    Do(Action),
    /// A character to be typed.
    Type(char),
    /// Nothing.
    Nothing,
}

/// What a key means in the chat.
pub fn meaning(event: &KeyEvent) -> Meaning {
    if event.kind == KeyEventKind::Release {
        return Meaning::Nothing;
    }
    // Some terminals tell the Shift of a capital letter and of Shift-Tab, some don't.
    let (code, with) = match event.code {
        KeyCode::Char(c) if event.modifiers.intersects(CTRL | ALT) => {
            (KeyCode::Char(c.to_ascii_lowercase()), event.modifiers & (CTRL | ALT))
        }
        KeyCode::Char(c) => (KeyCode::Char(c), NONE),
        KeyCode::BackTab => (KeyCode::BackTab, SHIFT),
        code => (code, event.modifiers & (CTRL | ALT | SHIFT)),
    };
    match KEYS.iter().find(|binding| binding.code == code && binding.with == with) {
        Some(binding) => Meaning::Do(binding.action),
        None => match code {
            KeyCode::Char(c) if with == NONE && !c.is_control() => Meaning::Type(c),
            _ => Meaning::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(code: KeyCode, with: KeyModifiers) -> Meaning {
        meaning(&KeyEvent::new(code, with))
    }

    #[test]
    fn keys_mean_what_the_table_says() {
        let table = [
            (c('a'), NONE, Meaning::Type('a')),
            (c('A'), SHIFT, Meaning::Type('A')),
            (c('é'), NONE, Meaning::Type('é')),
            (c('a'), CTRL, Meaning::Do(Action::Edit(Edit::Head))),
            (c('A'), CTRL | SHIFT, Meaning::Do(Action::Edit(Edit::Head))),
            (c('u'), CTRL, Meaning::Do(Action::Edit(Edit::KillHead))),
            (c('j'), CTRL, Meaning::Do(Action::Edit(Edit::NewRow))),
            (KeyCode::Enter, NONE, Meaning::Do(Action::Enter)),
            (KeyCode::Enter, ALT, Meaning::Do(Action::Edit(Edit::NewRow))),
            (KeyCode::BackTab, NONE, Meaning::Do(Action::CompleteBack)),
            (KeyCode::BackTab, SHIFT, Meaning::Do(Action::CompleteBack)),
            (c('5'), ALT, Meaning::Do(Action::Tab(5))),
            (KeyCode::F(2), NONE, Meaning::Do(Action::Review)),
            (c('c'), CTRL, Meaning::Do(Action::Interrupt)),
            (c('q'), CTRL, Meaning::Nothing),
            (c('x'), ALT, Meaning::Nothing),
            (KeyCode::F(11), NONE, Meaning::Nothing),
        ];
        for (code, with, expected) in table {
            assert_eq!(pressed(code, with), expected, "{code:?} {with:?}");
        }
        let release = KeyEvent::new_with_kind(KeyCode::Enter, NONE, KeyEventKind::Release);
        assert_eq!(meaning(&release), Meaning::Nothing);
    }

    #[test]
    fn no_key_does_two_things() {
        for (at, binding) in KEYS.iter().enumerate() {
            let twin = KEYS[..at].iter().find(|other| (other.code, other.with) == (binding.code, binding.with));
            assert!(twin.is_none(), "{}", binding.shown);
        }
    }
}
