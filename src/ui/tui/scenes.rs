//! Screens of an imagined evening, for pictures, tests and measurements: a model that was told what a chat would tell it.

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::model::{Choices, Effect, Input, Model, Now};
use super::update::update;
use super::view::view;
use crate::peer::api::{
    Creation, Entrance, EntryId, Event, Manner, Name, Path, PeerId, Person, Place, ProposalHash, ReadMarks, RoomName,
    Trust, mentions,
};
use crate::ui::session::Opening;

/// When the evening begins, in milliseconds since 1970.
const EVENING_MS: u64 = 1_795_290_000_000;

/// A model and the clock that it is told of.
#[derive(Debug)]
pub struct Scene {
    /// The model.
    pub model: Model,
    /// Milliseconds since the evening began.
    pub ms: u64,
    /// How many texts were said.
    said: u64,
}

impl Scene {
    /// Alice at a terminal of this size, in the room lobby with three others.
    ///
    /// # Panics
    /// When the names in here are none.
    pub fn in_lobby(columns: u16, rows: u16) -> Self {
        let mut scene = Scene::knocking(columns, rows);
        scene.tell(Event::Joined { room: lobby(), epoch: 4, members: people(), how: Entrance::Admitted });
        scene.model.tab_mut().quiet_members = 0;
        scene
    }

    /// Alice before anybody has answered her knock.
    pub fn knocking(columns: u16, rows: u16) -> Self {
        let choices = Choices {
            bell: true,
            notify: false,
            colour: true,
            zone: TimeZone::UTC,
            creation: Creation::default(),
            data_dir: "/home/alice/.local/share/p2pchat".to_owned(),
        };
        let opening = Opening::Join { room: lobby(), create: None, offer: Some(Creation::default()) };
        let mut marks = ReadMarks::default();
        marks.hinted = true;
        let mut scene = Scene { model: Model::new(opening, choices, marks, lobby()), ms: 0, said: 0 };
        scene.input(Input::Resized(columns, rows));
        scene.tell(Event::Ready {
            name: name("alice"),
            fingerprint: key(1).fingerprint(),
            ephemeral: false,
            data_dir: "/home/alice".into(),
        });
        scene.tell(Event::ServerUp { server: "chat.example".to_owned(), member: false });
        scene
    }

    /// Takes one input, now.
    pub fn input(&mut self, input: Input) -> Vec<Effect> {
        update(&mut self.model, Now { mono_ms: self.ms, wall_ms: EVENING_MS + self.ms }, input)
    }

    /// The chat tells something.
    pub fn tell(&mut self, event: Event) -> Vec<Effect> {
        self.input(Input::Chat(Box::new(event)))
    }

    /// Time goes by.
    pub fn wait(&mut self, seconds: u64) {
        self.ms += seconds * 1000;
        self.input(Input::Tick);
    }

    /// Somebody of those who are there says something in a room.
    pub fn says(&mut self, who: &str, room: &str, text: &str) -> EntryId {
        self.said += 1;
        let number = people().iter().position(|person| person.name.to_string() == who);
        let number = u8::try_from(number.map_or(9, |at| at + 1)).unwrap_or(9);
        let mut id = [number; 32];
        id[..8].copy_from_slice(&self.said.to_be_bytes());
        let id = EntryId(id);
        self.tell(Event::Message {
            room: room_of(room),
            id,
            from: name(who),
            key: key(number),
            mine: who == "alice",
            seq: self.said,
            text: text.to_owned(),
            sent_at_ms: EVENING_MS + self.ms,
            place: Place { epoch: 4, depth: self.said },
            forked: false,
            manner: Manner::Text,
            mentions_me: who != "alice" && mentions(text, "alice"),
        });
        id
    }

    /// A stranger knocks.
    pub fn knocks(&mut self, who: &str, number: u8) -> Vec<Effect> {
        self.tell(Event::Knock {
            room: lobby(),
            knock: ProposalHash([number; 32]),
            name: name(who),
            key: key(number),
            expires_in_s: 60,
            yes: vec![name("bob")],
            waiting: vec![name("carol"), name("dana"), name("alice")],
            looks_like: None,
            seen_before: false,
            removed_before: false,
            trust: Trust::New,
            other_key: None,
        })
    }

    /// Types a text without Enter.
    pub fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.press(crossterm::event::KeyCode::Char(c), crossterm::event::KeyModifiers::NONE);
        }
    }

    /// Presses a key.
    pub fn press(&mut self, code: crossterm::event::KeyCode, with: crossterm::event::KeyModifiers) -> Vec<Effect> {
        self.input(Input::Key(crossterm::event::KeyEvent::new(code, with)))
    }

    /// What the screen shows; the model is told that it does.
    ///
    /// # Panics
    /// Never: a screen in memory takes everything.
    pub fn draw(&mut self) -> Buffer {
        let (columns, rows) = self.model.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory is always there");
        terminal.draw(|frame| view(&self.model, frame)).expect("memory is always there");
        self.input(Input::Drawn);
        terminal.backend().buffer().clone()
    }
}

/// The evening as it stands in the README: a conversation, another room, and a stranger at the door.
pub fn evening(columns: u16, rows: u16) -> Scene {
    let mut scene = Scene::in_lobby(columns, rows);
    scene.tell(Event::Joined { room: room_of("dev"), epoch: 1, members: people(), how: Entrance::Returned });
    scene.wait(60);
    scene.says("bob", "lobby", "morning all");
    scene.says("carol", "lobby", "日本語のメッセージ works, and שלום too");
    scene.wait(300);
    let id =
        scene.says("alice", "lobby", "I put the notes here: https://example.org/notes/2026/november/meetup?page=2");
    scene.wait(2);
    scene.tell(Event::Delivered { room: lobby(), id, to: 2, of: 3 });
    scene.input(Input::Focus(false));
    scene.wait(120);
    scene.says("bob", "lobby", "alice: thanks! who is quinn?");
    scene.says("dana", "lobby", "fn main() {\n    println!(\"two rows, pasted\");\n}");
    scene.says("bob", "dev", "build is green");
    scene.says("carol", "dev", "alice, can you look at the flaky one?");
    scene.input(Input::Focus(true));
    scene.wait(20);
    scene.knocks("quinn", 7);
    scene.wait(11);
    scene.types("I know quinn, we met at");
    scene
}

/// The stranger looked at.
pub fn review(columns: u16, rows: u16) -> Scene {
    let mut scene = evening(columns, rows);
    scene.press(crossterm::event::KeyCode::F(2), crossterm::event::KeyModifiers::NONE);
    scene
}

/// A room with so many lines of history, of all lengths.
pub fn long_history(columns: u16, rows: u16, lines: u64) -> Scene {
    let mut scene = Scene::in_lobby(columns, rows);
    let words = "the quick brown fox jumps over 日本語 lazy dogs and https://example.org/some/long/path ";
    for number in 0..lines {
        let text = words.chars().cycle().take(usize::try_from(number * 37 % 400 + 1).unwrap_or(1)).collect::<String>();
        scene.says(["bob", "carol", "dana"][usize::try_from(number % 3).unwrap_or(0)], "lobby", &text);
        if number % 40 == 0 {
            scene.ms += 60_000;
        }
    }
    scene
}

/// The room lobby.
pub fn lobby() -> RoomName {
    room_of("lobby")
}

fn room_of(room: &str) -> RoomName {
    room.parse().expect("the play's rooms are rooms")
}

fn name(name: &str) -> Name {
    name.parse().expect("the play's names are names")
}

fn key(number: u8) -> PeerId {
    PeerId([number; 32])
}

fn people() -> Vec<Person> {
    let person = |number, who, path, trust| {
        let away = (who == "dana").then(|| "lunch".to_owned());
        Person { name: name(who), key: key(number), me: who == "alice", path, trust, away, ignored: false }
    };
    vec![
        person(1, "alice", Path::None, Trust::Verified),
        person(2, "bob", Path::Direct { rtt_ms: Some(12) }, Trust::Verified),
        person(3, "carol", Path::Relayed { via: name("bob") }, Trust::Known),
        person(4, "dana", Path::Direct { rtt_ms: Some(31) }, Trust::New),
    ]
}
