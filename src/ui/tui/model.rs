//! Everything that the full-screen face knows. What changes it stands in `super::update`, what is drawn of it in
//! [`super::view`]; nothing in here waits, reads a clock or writes.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::draft::Draft;
use super::requests::Requests;
use super::review::Review;
use super::scrollback::Scrollback;
use crate::peer::api::{Command, Creation, EntryId, Event, Fingerprint, Name, PeerId, Person, ReadMarks, RoomName};
use crate::ui::exit::Exit;
use crate::ui::knocks::Knocks;
use crate::ui::labels::Labels;
use crate::ui::messages::Messages;
use crate::ui::session::{Opening, Session};
use crate::ui::words::Said;

/// The moment at which something happens: the shell reads the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds of a clock that only goes forward.
    pub mono_ms: u64,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
}

/// What comes in.
#[derive(Debug)]
pub enum Input {
    /// The chat tells something.
    Chat(Box<Event>),
    /// A key.
    Key(crossterm::event::KeyEvent),
    /// A paste.
    Paste(String),
    /// The screen has this many columns and rows.
    Resized(u16, u16),
    /// The terminal got the focus, or lost it.
    Focus(bool),
    /// What [`super::view`] made of the model is on the screen.
    Drawn,
    /// A second has gone by.
    Tick,
    /// Lines about something that was done.
    Told(Vec<String>),
    /// The program is asked to end from outside.
    Stop,
    /// The chat has not ended in time, or is gone.
    CutOff(Said),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the chat for this.
    Send(Command),
    /// Ring.
    Bell,
    /// Name the terminal's window.
    Title(String),
    /// Tell the desktop.
    Notify(String),
    /// Put this on the clipboard, as it is.
    Copy(String),
    /// Draw every cell anew, whatever is thought to be there.
    Repaint,
    /// Stop until the shell says go on.
    Suspend,
    /// Remember this over a restart.
    Remember(ReadMarks),
    /// Write what was said in this room into this new file; how it went comes back as [`Input::Told`].
    Export(RoomName, PathBuf),
    /// The end was asked for: it must come within the time that an end may take.
    Ending,
}

/// What the person may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// Whether knocks and mentions ring.
    pub bell: bool,
    /// Whether the desktop is told of them.
    pub notify: bool,
    /// Whether there are colours.
    pub colour: bool,
    /// Where the person's clock is.
    pub zone: TimeZone,
    /// How further rooms are made.
    pub creation: Creation,
    /// Where things are kept, as it is told at the end.
    pub data_dir: String,
}

/// What is asked, to be answered by typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether the server's fingerprint is right.
    Pin,
    /// Whether to make the room.
    Create,
}

/// Where we stand with a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was asked yet.
    Outside,
    /// We knock; `None` for the clock while waiting in line.
    Knocking {
        /// Who said yes.
        yes: u16,
        /// Of how many.
        of: u16,
        /// When silence refuses.
        ends_ms: Option<u64>,
        /// How many are before us.
        ahead: u16,
    },
    /// We are in.
    Inside,
}

/// How far the scrollback reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// There may be more in the history.
    Maybe,
    /// It was asked for.
    Asked,
    /// There is no more, or no room for more.
    Nothing,
}

/// How far an own text has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Members who have it.
    pub to: u16,
    /// Members who may.
    pub of: u16,
    /// Since when it is on its way, by the forward clock.
    pub since_ms: u64,
}

/// The other side of a private chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// What they are called.
    pub name: Name,
    /// Who they are: the chat is with this key and no other.
    pub key: PeerId,
}

/// A room or a private chat, with its tab.
#[derive(Debug)]
pub struct Tab {
    /// Which room.
    pub room: RoomName,
    /// With whom alone, if it is a private chat.
    pub with: Option<Contact>,
    /// What the room is about, as it came.
    pub topic: String,
    /// Where we stand with it.
    pub standing: Standing,
    /// What was said and told.
    pub lines: Scrollback,
    /// Who is in, the most senior first.
    pub members: Vec<Person>,
    /// Until when somebody who can't be reached keeps their seat, by the forward clock.
    pub grace: BTreeMap<PeerId, u64>,
    /// What is being typed.
    pub draft: Draft,
    /// Texts that nobody has looked at.
    pub unread: usize,
    /// Those among them that name us.
    pub mentions: usize,
    /// How far the scrollback reaches.
    pub older: Older,
    /// Own texts that not everybody has.
    pub delivery: BTreeMap<EntryId, Delivery>,
    /// How many answers of [`Event::Members`] are for the panel and not for the person.
    pub quiet_members: usize,
}

impl Tab {
    /// An empty one.
    pub fn new(room: RoomName) -> Self {
        Tab {
            room,
            with: None,
            topic: String::new(),
            standing: Standing::Outside,
            lines: Scrollback::default(),
            members: Vec::new(),
            grace: BTreeMap::new(),
            draft: Draft::default(),
            unread: 0,
            mentions: 0,
            older: Older::Maybe,
            delivery: BTreeMap::new(),
            quiet_members: 0,
        }
    }
}

/// A screen of lines to read, over everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it is about.
    pub title: String,
    /// What there is to read, each with what stands to its left; escaped already.
    pub lines: Vec<(String, String)>,
    /// The first row that is shown; one beyond the last page means that.
    pub top: usize,
    /// What `c` copies.
    pub copy: Option<String>,
}

/// What the screen shows.
#[derive(Debug)]
pub enum Screen {
    /// The chat.
    Chat,
    /// Lines to read.
    Page(Page),
    /// A newcomer.
    Review(Review),
}

/// The completion that the last Tab made, to be followed by another Tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What fits.
    pub candidates: Vec<String>,
    /// Which of them stands in the draft.
    pub at: usize,
}

/// Everything.
#[derive(Debug)]
pub struct Model {
    /// What the person chose.
    pub choices: Choices,
    /// When the last input came.
    pub now: Now,
    /// Columns and rows of the screen.
    pub size: (u16, u16),
    /// Whether the terminal has the focus, as far as it tells.
    pub focused: bool,
    /// Our name.
    pub me: Option<Name>,
    /// Our key, as words.
    pub fingerprint: Option<Fingerprint>,
    /// Whether nothing that is said stays on disk.
    pub ephemeral: bool,
    /// The server, and whether it is there.
    pub server: Option<(String, bool)>,
    /// What the program was started for.
    pub session: Session,
    /// Whether we were in that room: from then on it is a room like any other.
    pub opened: bool,
    /// The rooms; never empty.
    pub tabs: Vec<Tab>,
    /// Which of them is shown.
    pub active: usize,
    /// What is shown.
    pub screen: Screen,
    /// What is asked.
    pub question: Option<Question>,
    /// Prompts that were shown, for answers by name.
    pub knocks: Knocks,
    /// Newcomers who wait for our answer.
    pub requests: Requests,
    /// Texts that were shown, so that one can be named.
    pub messages: Messages,
    /// Newcomers whose words were compared before they came in: marked as verified once they are members.
    pub compared: VecDeque<(RoomName, PeerId)>,
    /// Names, told apart.
    pub labels: Labels,
    /// How far each room was read.
    pub marks: ReadMarks,
    /// Whether they have changed since they were remembered.
    pub marks_changed: bool,
    /// Rooms of the server, as far as they were listed.
    pub listed: Vec<RoomName>,
    /// Whether Ctrl-C was pressed on an empty line just now.
    pub leave_asked: bool,
    /// The completion that goes on with the next Tab.
    pub completion: Option<Completion>,
    /// Whether the member panel is wanted.
    pub panel: bool,
    /// Whether only the messages are shown, to be copied with the terminal's own means.
    pub bare: bool,
    /// When it rang last, by the forward clock.
    pub rang_ms: Option<u64>,
    /// The window's name, as it was set last.
    pub title: String,
    /// What is said on standard error when the terminal is restored.
    pub last_words: Option<Said>,
    /// Set when all is over.
    pub over: Option<Exit>,
}

impl Model {
    /// At the start.
    pub fn new(opening: Opening, choices: Choices, marks: ReadMarks, room: RoomName) -> Self {
        Model {
            choices,
            now: Now::default(),
            size: (80, 24),
            focused: true,
            me: None,
            fingerprint: None,
            ephemeral: false,
            server: None,
            session: Session::new(opening),
            opened: false,
            tabs: vec![Tab::new(room)],
            active: 0,
            screen: Screen::Chat,
            question: None,
            knocks: Knocks::default(),
            requests: Requests::default(),
            messages: Messages::default(),
            compared: VecDeque::new(),
            labels: Labels::default(),
            marks,
            marks_changed: false,
            listed: Vec::new(),
            leave_asked: false,
            completion: None,
            panel: true,
            bare: false,
            rang_ms: None,
            title: String::new(),
            last_words: None,
            over: None,
        }
    }

    /// The tab that is shown.
    pub fn tab(&self) -> &Tab {
        &self.tabs[self.active.min(self.tabs.len() - 1)]
    }

    /// The tab that is shown, to be changed.
    pub fn tab_mut(&mut self) -> &mut Tab {
        let active = self.active.min(self.tabs.len() - 1);
        &mut self.tabs[active]
    }

    /// The tab of a room.
    pub fn index_of(&self, room: &RoomName) -> Option<usize> {
        self.tabs.iter().position(|tab| tab.room == *room && tab.with.is_none())
    }

    /// Whether the person looks at the newest lines of this tab.
    pub fn is_looking(&self, index: usize) -> bool {
        self.focused
            && self.active == index
            && matches!(self.screen, Screen::Chat)
            && self.tabs.get(index).is_some_and(|tab| tab.lines.is_at_end())
    }
}
