//! The full-screen face: rooms as tabs, messages, members, and a line that is typed in.
//!
//! Its mind is pure: [`update::update`] takes what comes in and says what is to be done, [`view::view`] draws the model. The
//! shell in here and in [`screen`] only moves bytes between them, the chat and the terminal. What others sent passes
//! [`super::escape`] in [`rows`] and in the words that all faces share.

pub mod act;
pub mod commands;
pub mod complete;
pub mod draft;
pub mod hear;
pub mod keys;
pub mod model;
pub mod pages;
pub mod requests;
pub mod review;
pub mod reviewing;
pub mod rows;
pub mod scenes;
pub mod screen;
pub mod scroll;
pub mod scrollback;
pub mod talk;
pub mod theme;
pub mod update;
pub mod view;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use self::model::{Choices, Effect, Input, Model, Now};
use self::screen::Screen;
use self::update::update;
use super::exit::Exit;
use super::port::{Port, Turn};
use super::session::Opening;
use super::stop;
use super::words::{self, Said};
use crate::peer::api::{Chat, ReadMarks};

/// Least time between two frames when only the chat has something new; what is typed is drawn at once.
const FRAME: Duration = Duration::from_millis(16);

/// Events taken before a frame is drawn: a burst of messages is one change on the screen.
const EVENTS_PER_FRAME: usize = 512;

/// Runs until the chat has ended; what is left to say is for when the terminal is restored, the first for standard output.
///
/// # Errors
/// When the terminal can't be taken over.
pub async fn run(
    chat: Chat,
    opening: Opening,
    choices: Choices,
    data_dir: PathBuf,
    stop: mpsc::Receiver<()>,
) -> std::io::Result<(Exit, Option<Said>, Vec<String>)> {
    let Some(room) = opening.room().cloned() else {
        return Ok((Exit::Usage, None, Vec::new()));
    };
    let marks = ReadMarks::load(&data_dir);
    let model = Model::new(opening, choices, marks, room);
    let screen = Screen::open()?;
    let keys = screen::keys()?;
    let mut shell =
        Shell { port: Port::new(chat), model, screen, data_dir, deadline: None, started: Instant::now(), drawn: None };
    shell.run(keys, stop).await;
    let Shell { model, .. } = shell;
    Ok((model.over.unwrap_or(Exit::Failed), model.last_words.clone(), farewell(&model)))
}

/// What is told on the terminal that was given back.
fn farewell(model: &Model) -> Vec<String> {
    let rooms: Vec<String> =
        model.tabs.iter().filter(|tab| tab.with.is_none()).map(|tab| words::shown(&tab.room)).collect();
    if !model.opened {
        return Vec::new();
    }
    let left = format!("left {}", rooms.join(", "));
    let kept = if model.ephemeral {
        "nothing that was said stays on this computer; your identity does".to_owned()
    } else {
        let dir = words::shown(&model.choices.data_dir);
        format!("your identity and what was said are kept in {dir}; `p2pchat search` and `p2pchat export` read it")
    };
    vec![left, kept]
}

/// What moves the bytes.
struct Shell {
    port: Port,
    model: Model,
    screen: Screen,
    data_dir: PathBuf,
    deadline: Option<tokio::time::Instant>,
    started: Instant,
    drawn: Option<tokio::time::Instant>,
}

impl Shell {
    async fn run(&mut self, mut keys: mpsc::Receiver<Input>, mut stop: mpsc::Receiver<()>) {
        let (columns, rows) = self.screen.size();
        self.take(Input::Resized(columns, rows));
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut listening = true;
        self.draw();
        while self.model.over.is_none() {
            let frame = self.drawn.map(|drawn| drawn + FRAME);
            let waits = self.drawn.is_some();
            tokio::select! {
                biased;
                () = stop::reached(self.deadline) => self.take(Input::CutOff(words::not_in_time())),
                Some(()) = stop.recv() => self.take(Input::Stop),
                key = keys.recv(), if listening => {
                    match key {
                        Some(key) => self.take(key),
                        None => {
                            listening = false;
                            self.take(Input::Stop);
                        }
                    }
                    while let Ok(key) = keys.try_recv() {
                        self.take(key);
                    }
                    self.draw();
                }
                () = stop::reached(frame), if waits => self.draw(),
                turn = self.port.next() => self.hear(turn).await,
                _ = tick.tick() => {
                    self.take(Input::Tick);
                    self.soon();
                }
            }
        }
    }

    async fn hear(&mut self, turn: Turn) {
        match turn {
            Turn::Event(event) => self.take(Input::Chat(Box::new(event))),
            Turn::Idle => return,
            Turn::Gone => return self.take(Input::CutOff(words::gone())),
        }
        // What has come with it is the same frame.
        let mut taken = 1;
        while !self.port.is_calm() && taken < EVENTS_PER_FRAME && self.model.over.is_none() {
            if let Turn::Event(event) = self.port.next().await {
                self.take(Input::Chat(Box::new(event)));
            }
            taken += 1;
        }
        self.soon();
    }

    /// Draws when the time of this frame is over.
    fn soon(&mut self) {
        self.drawn.get_or_insert_with(tokio::time::Instant::now);
    }

    fn draw(&mut self) {
        self.drawn = None;
        // A terminal that is gone ends the chat by its keys, not here.
        if self.screen.draw(&self.model).is_ok() {
            self.take(Input::Drawn);
        }
    }

    fn take(&mut self, input: Input) {
        let mono_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = Now { mono_ms, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) };
        for effect in update(&mut self.model, now, input) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send(command) => self.port.send(command),
            Effect::Bell => self.screen.bell(),
            Effect::Title(title) => self.screen.title(&title),
            Effect::Notify(text) => self.screen.notify(&text),
            Effect::Copy(text) => self.screen.copy(&text),
            Effect::Repaint => {
                let _ = self.screen.repaint();
            }
            Effect::Suspend => {
                if let Err(why) = self.screen.suspend() {
                    tracing::warn!(%why, "the terminal was not given back");
                }
                let (columns, rows) = self.screen.size();
                self.model.size = (columns, rows);
                self.draw();
            }
            Effect::Remember(marks) => {
                if let Err(why) = marks.save(&self.data_dir) {
                    tracing::warn!(%why, "how far was read is not remembered");
                }
            }
            Effect::Export(room, file) => {
                let dir = Some(self.data_dir.as_path()).filter(|_| !self.model.ephemeral);
                let told = super::plain::export(dir, &room, &file);
                self.take(Input::Told(told));
            }
            Effect::Ending => self.deadline = Some(stop::deadline()),
        }
    }
}

#[cfg(test)]
mod talk_tests;
#[cfg(test)]
mod tests;
