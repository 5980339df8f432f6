//! The full-screen face in a pty of its own, with a terminal's parser at the other end, a real server and real peers.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::json;

use crate::harness::{DEADLINE, World, run};

/// What the program did to the terminal besides drawing.
#[derive(Default)]
struct Told {
    bells: usize,
    titles: Vec<String>,
    copied: Vec<String>,
}

impl vt100::Callbacks for Told {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.titles.push(String::from_utf8_lossy(title).into_owned());
    }

    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.copied.push(String::from_utf8_lossy(data).into_owned());
    }
}

struct Seen {
    parser: vt100::Parser<Told>,
    raw: Vec<u8>,
    ended: bool,
}

/// A terminal with the program in it.
struct Tty {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn std::io::Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn some(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Tty {
    fn start(command: CommandBuilder, columns: u16, rows: u16) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let parser = vt100::Parser::new_with_callbacks(some(rows), some(columns), 0, Told::default());
        let seen = Arc::new((Mutex::new(Seen { parser, raw: Vec::new(), ended: false }), Condvar::new()));
        let to = seen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let count = reader.read(&mut bytes).unwrap_or(0);
                let mut seen = to.0.lock().unwrap();
                seen.parser.process(&bytes[..count]);
                seen.raw.extend_from_slice(&bytes[..count]);
                seen.ended |= count == 0;
                to.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Tty { master: pair.master, writer, child, seen }
    }

    fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.seen.0.lock().unwrap().parser.set_size(some(rows), some(columns));
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    fn wait(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        self.within(DEADLINE, |seen| Some(seen.parser.screen().contents()).filter(|screen| fits(screen)))
            .unwrap_or_else(|| panic!("never seen: {what}\n{}", self.screen()))
    }

    #[track_caller]
    fn shows(&self, text: &str) -> String {
        // What is wanted may go over two rows.
        self.wait(text, |screen| screen.contains(text) || in_one_row(screen).contains(text))
    }

    fn within<T>(&self, time: Duration, mut look: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        let until = Instant::now() + time;
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            if let Some(found) = look(&seen) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || seen.ended {
                return None;
            }
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Presses a key again and again until the screen is as wanted: a key may be meant to be ignored for a while.
    #[track_caller]
    fn press_until(&mut self, key: &str, fits: impl Fn(&str) -> bool) {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            self.press(key);
            let look = |seen: &Seen| fits(&seen.parser.screen().contents()).then_some(());
            if self.within(Duration::from_millis(100), look).is_some() {
                return;
            }
        }
        panic!("{key:?} had no effect:\n{}", self.screen());
    }

    fn screen(&self) -> String {
        self.seen.0.lock().unwrap().parser.screen().contents()
    }

    fn told<T>(&self, look: impl Fn(&Told) -> T) -> T {
        look(self.seen.0.lock().unwrap().parser.callbacks())
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.0.lock().unwrap().raw).into_owned()
    }

    /// Waits for the end, after which the terminal must be as it was.
    #[track_caller]
    fn ends_restored(&mut self, before: &nix::sys::termios::Termios) -> u32 {
        let until = Instant::now() + DEADLINE;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.exit_code();
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.screen());
            // A process's end can only be polled for without unsafe code.
            std::thread::sleep(Duration::from_millis(10));
        };
        let left = |seen: &Seen| (!seen.parser.screen().alternate_screen()).then_some(());
        assert!(self.within(DEADLINE, left).is_some(), "the alternate screen is left");
        let seen = self.seen.0.lock().unwrap();
        assert!(!seen.parser.screen().bracketed_paste() && !seen.parser.screen().hide_cursor());
        drop(seen);
        assert_eq!(&self.termios(), before, "the terminal's modes are as they were");
        code
    }

    fn termios(&self) -> nix::sys::termios::Termios {
        // Its own kind of the crate's; compared by what it prints, which is all there is.
        let fd = std::fs::File::open(self.master.tty_name().unwrap()).unwrap();
        nix::sys::termios::tcgetattr(fd).unwrap()
    }
}

fn in_one_row(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        if std::thread::panicking() {
            eprintln!("--- the screen:\n{}", self.screen());
        }
    }
}

fn at_terminal(world: &World, name: &str, args: &[&str]) -> CommandBuilder {
    let plain = world.command(name, args);
    let mut command = CommandBuilder::new(plain.get_program());
    command.args(plain.get_args());
    command.env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("TERM", "xterm-256color");
    command.cwd(world.path(""));
    command
}

/// Alice at a terminal in a room of her own.
fn alice_in_lobby(world: &World, columns: u16, rows: u16) -> (Tty, nix::sys::termios::Termios) {
    let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
    let fresh = nix::sys::termios::tcgetattr(std::fs::File::open(pair.master.tty_name().unwrap()).unwrap()).unwrap();
    let mut alice = Tty::start(at_terminal(world, "alice", &["join", "lobby"]), columns, rows);
    alice.shows("Type yes or no");
    alice.press("y\r");
    alice.shows("type yes if the words are the same");
    alice.press("yes\r");
    alice.shows("Create it? [y/N]");
    alice.press("y\r");
    alice.shows("is yours");
    (alice, fresh)
}

#[test]
fn a_knock_while_typing_leaves_the_draft_alone_and_decides_nothing() {
    let world = World::new();
    let (mut alice, before) = alice_in_lobby(&world, 80, 24);
    alice.press("half a draft");
    alice.shows("> half a draft");
    let mut bob = world.json("bob", &["join", "lobby"]);
    alice.shows("bob asks to join lobby");
    assert_eq!(alice.told(|told| told.bells), 1);
    alice.press("add");
    alice.shows("> half a draftadd");
    // Keys that were on their way when the review came up.
    alice.press("\x1bOQaaadddyy\r");
    let review = alice.shows("bob wants to join lobby");
    assert!(review.contains(&bob.fingerprint()), "{review}");
    assert!(!review.contains("half a draft"), "nothing else stands in the review: {review}");
    assert!(!bob.has_heard("refused", |_| true));
    alice.press_until("a", |screen| !screen.contains("wants to join"));
    bob.wait("joined", |it| it["how"] == "admitted");
    alice.shows("> half a draftadd");
    alice.shows("bob is in lobby now");
    alice.press("\r");
    bob.hears("alice", "half a draftadd");
    bob.say("lobby", "hello alice");
    alice.shows("bob> hello alice");

    alice.resize(30, 8);
    alice.wait("a small screen", |screen| screen.contains("bob:>hello alice") && !screen.contains("members 2"));
    alice.resize(100, 30);
    alice.shows("members 2");

    bob.process.kill();
    alice.wait("that bob is lost", |screen| screen.contains("lost,"));
    let mut bob = world.json("bob", &["join", "lobby"]);
    bob.wait("joined", |it| it["how"] == "returned");
    alice.wait("that bob is back", |screen| !screen.contains("lost,") && screen.contains("direct"));
    alice.press("welcome back\r");
    bob.hears("alice", "welcome back");

    alice.press("/msg bob between us\r");
    let heard = bob.wait("private", |it| it["text"] == "between us");
    assert_eq!(heard["mine"], false);
    bob.send(serde_json::json!({"do": "private", "room": "lobby", "to": "alice", "text": "only you"}));
    alice.shows("only you");
    assert!(!bob.has_heard("message", |it| it["text"] == "between us"));

    alice.press("\x03");
    alice.shows("Ctrl-C again to leave");
    alice.press("\x03");
    assert_eq!(alice.ends_restored(&before), 0);
    alice.shows("left lobby");
}

#[test]
fn a_paste_stays_a_draft() {
    let world = World::new();
    let (mut alice, _) = alice_in_lobby(&world, 80, 24);
    alice.press("\x1b[200~one\rtwo\rthree\x1b[201~");
    alice.wait("three rows", |screen| {
        let rows: Vec<_> = screen.lines().rev().take(3).map(str::trim).collect();
        rows == ["three", "two", "> one"]
    });
    alice.press("\r");
    alice.wait("one message", |screen| screen.contains("alice  one"));
    alice.shows("1:lobby");
}

#[test]
fn nothing_that_others_say_acts_on_the_terminal() {
    let world = World::new();
    let (mut alice, _) = alice_in_lobby(&world, 80, 24);
    let mut bob = world.json("bob", &["join", "lobby"]);
    alice.shows("bob asks to join lobby");
    alice.press("\x1bOQ");
    alice.shows("bob wants to join lobby");
    alice.press_until("a", |screen| !screen.contains("wants to join"));
    bob.wait("joined", |_| true);
    let long = "w".repeat(4000);
    let zalgo = format!("z{}", "\u{301}".repeat(1500));
    let hostile = [
        "\u{1b}[2J\u{1b}[Hcleared",
        "\u{1b}]52;c;cm0gLXJm\u{7}clipboard",
        "\u{1b}]0;title\u{7}\u{9d}0;title\u{9c}titled",
        "\u{1b}[?1049l\u{1b}c reset",
        "\u{9b}31mred\u{7}\u{8}\u{8}\u{7f}",
        "\u{202e}txt.exe\u{2066}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{1f1e9}\u{1f1ea} flags",
        "\u{0}\u{1}\u{2}\r\n\u{2028}\u{2029}lines",
        "\u{1b}P1;2|dcs\u{1b}\\ \u{1b}_apc\u{1b}\\ strings",
        &zalgo,
        &long,
    ];
    let bells = alice.told(|told| told.bells);
    for (number, text) in hostile.iter().enumerate() {
        bob.send(json!({"do": "say", "room": "lobby", "text": text}));
        let after = format!("after {number}");
        bob.say("lobby", &after);
        let screen = alice.shows(&after);
        let last: Vec<_> = screen.lines().rev().take(2).collect();
        assert!(last[0].starts_with('>') && last[1].contains("[1:lobby]"), "the frame stands: {screen}");
    }
    // The same by every other way that text takes.
    for text in &hostile[..8] {
        let short: String = text.chars().take(40).collect();
        let first = bob.say("lobby", "to be changed");
        bob.send(json!({"do": "edit", "room": "lobby", "of": first["id"], "text": text}));
        bob.send(json!({"do": "react", "room": "lobby", "to": first["id"], "sign": short}));
        bob.send(json!({"do": "topic", "room": "lobby", "text": short}));
        bob.send(json!({"do": "away", "room": "lobby", "why": short}));
        bob.send(json!({"do": "private", "room": "lobby", "to": "alice", "text": text}));
    }
    bob.say("lobby", "all was said");
    alice.shows("all was said");
    alice.shows("2:@bob");
    alice.press_until("\x1b2", |screen| screen.contains("private with bob"));
    alice.press_until("\x1b1", |screen| screen.contains("[1:lobby]"));
    let titles = alice.told(|told| told.titles.clone());
    let ours = |title: &String| title.ends_with("lobby - p2pchat") || title == "bob - p2pchat";
    assert!(titles.iter().all(ours), "{titles:?}");
    assert!(alice.told(|told| told.copied.is_empty()));
    // One at most, ours: for the first of the private messages, unless the knock rang just before.
    let rang = alice.told(|told| told.bells) - bells;
    assert!(rang <= 1, "{rang} bells");
    let raw = alice.raw();
    assert!(!raw.contains("\u{1b}]52") && !raw.contains('\u{9b}') && !raw.contains('\u{202e}'));
    assert!(alice.seen.0.lock().unwrap().parser.screen().alternate_screen());
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in ["TERM", "HUP"] {
        let world = World::new();
        let (mut alice, before) = alice_in_lobby(&world, 80, 24);
        let id = alice.child.process_id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
        assert_eq!(alice.ends_restored(&before), 0, "{signal}");
    }
}

#[test]
fn the_shell_gets_the_terminal_with_ctrl_z_and_gives_it_back_with_fg() {
    if !std::path::Path::new("/bin/bash").exists() {
        return;
    }
    let world = World::new();
    let chat = at_terminal(&world, "alice", &["join", "lobby"]);
    let line: Vec<_> = chat.get_argv().iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let mut command = CommandBuilder::new("/bin/bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env_clear();
    for (name, value) in [("TERM", "xterm-256color"), ("PS1", "shell$ "), ("PATH", "/usr/bin:/bin")] {
        command.env(name, value);
    }
    command.env("HOME", world.path(""));
    let mut tty = Tty::start(command, 80, 24);
    tty.shows("shell$");
    tty.press(&format!("{}\r", line.join(" ")));
    tty.shows("Type yes or no");
    tty.press("yes\r");
    tty.shows("Create it? [y/N]");
    tty.press("\x1a");
    tty.wait("the shell", |screen| screen.contains("Stopped") && screen.trim_end().ends_with("shell$"));
    tty.press("fg\r");
    tty.shows("Create it? [y/N]");
    tty.press("y\r");
    tty.shows("is yours");
    tty.press("\x04");
    tty.shows("left lobby");
}

#[test]
fn without_colours_none_is_sent_and_a_dumb_terminal_gets_plain_lines() {
    let world = World::new();
    let mut command = at_terminal(&world, "alice", &["join", "lobby", "--create"]);
    command.env("NO_COLOR", "1");
    let mut alice = Tty::start(command, 80, 24);
    alice.shows("Type yes or no");
    alice.press("yes\r");
    alice.shows("is yours");
    let raw = alice.raw();
    let colours = ["\u{1b}[38;", "\u{1b}[48;", "\u{1b}[31m", "\u{1b}[36m"];
    assert!(colours.iter().all(|colour| !raw.contains(colour)), "{raw:?}");
    let mut command = at_terminal(&world, "bob", &["join", "lobby"]);
    command.env("TERM", "dumb");
    let mut bob = Tty::start(command, 80, 24);
    bob.shows("Type yes or no");
    bob.press("yes\r");
    bob.shows("knocking at lobby");
    assert!(!bob.raw().contains('\u{1b}'), "{:?}", bob.raw());
}

/// What is typed faster than lines are read, as by a paste into a terminal without brackets around it, is all said.
#[test]
fn lines_that_come_at_once_are_all_said_before_the_end_behind_them() {
    let world = World::new();
    let mut alice = Tty::start(at_terminal(&world, "alice", &["join", "lobby", "--create", "--plain"]), 80, 24);
    alice.shows("Type yes or no");
    alice.press("yes\r");
    alice.shows("is yours");
    let texts: Vec<String> = (0..300).map(|number| format!("{number:120}. pasted line")).collect();
    alice.press(&format!("{}\r:q\r", texts.join("\r")));
    assert!(alice.within(DEADLINE, |seen| seen.ended.then_some(())).is_some(), "{}", alice.screen());
    let (exit, told, _) = run(&mut world.command("alice", &["export", "lobby"]));
    assert_eq!(exit, Some(0));
    for text in texts {
        assert!(told.contains(&text), "{text} is missing:\n{told}");
    }
}
