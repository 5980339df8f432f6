//! Files through a room: what one process reads, the others print, byte for byte.

use std::io::Write as _;
use std::path::Path;

use crate::harness::{Process, World, run};

const GPL: &str = "/usr/share/common-licenses/GPL-3";

fn licence() -> Vec<u8> {
    // Debian and its kin have it; elsewhere a text of the same size and kind stands in.
    std::fs::read(Path::new(GPL)).unwrap_or_else(|_| {
        (0..700)
            .map(|n| if n % 7 == 3 { "\n".to_owned() } else { format!("{n:4}  a line of text\n") })
            .collect::<String>()
            .into()
    })
}

/// Founder, then members, each let in by all before it; all of them pipes.
fn room_of_pipes(world: &World, names: &[&str]) -> Vec<Process> {
    let mut inside: Vec<Process> = Vec::new();
    for name in names {
        let mut next = if inside.is_empty() {
            world.pipe(name, &["create", "lobby", "--consent-timeout", "60", "--grace", "60"])
        } else {
            world.pipe(name, &["join", "lobby"])
        };
        let_in(&mut inside, &mut next, name);
        inside.push(next);
    }
    inside
}

fn let_in(inside: &mut [Process], next: &mut Process, name: &str) {
    for member in inside.iter_mut() {
        member.wait_stderr(&format!("/approve {name}"));
        member.write(&format!("/approve {name}"));
    }
    next.wait_stderr("/help shows");
}

#[test]
fn a_licence_said_line_by_line_arrives_whole_at_four_and_its_end_at_a_fifth() {
    let world = World::new();
    let text = licence();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let half = lines.len() / 2;
    let mut peers = room_of_pipes(&world, &["speaker", "ann", "ben", "cat", "dan"]);

    peers[0].stdin.as_mut().unwrap().write_all(&lines[..half].concat()).unwrap();
    // The fifth knocks while the speaker speaks; it is in when the second half is still to come.
    let mut eve = world.pipe("eve", &["join", "lobby"]);
    let_in(&mut peers, &mut eve, "eve");
    peers[0].stdin.as_mut().unwrap().write_all(&lines[half..].concat()).unwrap();
    // The end of the input ends the speaker, once all is delivered.
    peers[0].stdin = None;
    assert_eq!(peers[0].end().code(), Some(0), "{}", peers[0].stderr.text());

    for listener in &mut peers[1..] {
        listener.wait_lines(lines.len());
        assert!(listener.stdout.bytes() == text, "another text came out:\n{}", listener.stdout.text());
    }
    eve.wait_lines(lines.len() - half);
    let heard = eve.stdout.bytes();
    assert!(text.ends_with(&heard), "not the end of it:\n{}", eve.stdout.text());
    assert!(heard.len() < text.len(), "nothing from before its admission");
    for mut listener in peers.drain(1..).chain([eve]) {
        listener.signal("TERM");
        assert_eq!(listener.end().code(), Some(0), "{}", listener.stderr.text());
    }
}

#[test]
fn a_pipe_without_input_listens_until_it_is_stopped() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut listener = world.pipe("listener", &["join", "lobby"]);
    listener.stdin = None;
    alice.approve("listener");
    alice.wait("link", |it| it["path"] == "direct");
    alice.say("lobby", "one");
    alice.say("lobby", "");
    alice.say("lobby", "three");
    listener.wait_lines(3);
    assert_eq!(listener.stdout.text(), "one\n\nthree\n");
    listener.signal("TERM");
    assert_eq!(listener.end().code(), Some(0));
    alice.wait("member_left", |it| it["name"] == "listener" && it["reason"] == "left");
}

#[test]
fn control_characters_of_others_are_escaped_unless_raw_is_asked_for() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut plain = world.pipe("plain", &["join", "lobby"]);
    alice.approve("plain");
    let raw = world.pipe("raw", &["join", "lobby", "--raw"]);
    alice.approve("raw");
    plain.wait_stderr("/approve raw");
    plain.write("/approve raw");
    alice.wait("link", |it| it["name"] == "raw" && it["path"] == "direct");
    alice.wait("link", |it| it["name"] == "plain" && it["path"] == "direct");
    alice.say("lobby", "a\u{1b}[2Jb");
    plain.wait_lines(1);
    raw.wait_lines(1);
    assert!(!plain.stdout.bytes().contains(&0x1b), "{}", plain.stdout.text());
    assert_eq!(raw.stdout.text(), "a\u{1b}[2Jb\n");
}

#[test]
fn lines_that_cannot_be_said_are_told_and_cost_the_exit_code() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut speaker = world.pipe("speaker", &["join", "lobby", "--no-commands"]);
    alice.approve("speaker");
    speaker.wait_stderr("/help shows");
    let stdin = speaker.stdin.as_mut().unwrap();
    stdin.write_all(b"/quit\nnot \xff UTF-8\n").unwrap();
    stdin.write_all(&[b'x'; 5000]).unwrap();
    stdin.write_all(b"\nlast without an end").unwrap();
    speaker.stdin = None;
    assert_eq!(speaker.end().code(), Some(1));
    assert!(speaker.stderr.text().contains("line 2 is not UTF-8"), "{}", speaker.stderr.text());
    assert!(speaker.stderr.text().contains("line 3 is longer than 4096 bytes"), "{}", speaker.stderr.text());
    alice.hears("speaker", "/quit");
    alice.hears("speaker", "last without an end");
}

#[test]
fn an_empty_room_takes_a_text_and_hands_it_to_nobody() {
    let world = World::new();
    let mut command = world.command("loner", &["create", "lobby"]);
    let mut loner = Process::spawn(&mut command);
    loner.write("to nobody");
    loner.stdin = None;
    assert_eq!(loner.end().code(), Some(0), "{}", loner.stderr.text());
    let (code, _, stderr) = run(&mut world.command("other", &["join", "lobby"]));
    assert_eq!(code, Some(1), "the room went with its last member; {stderr}");
}
