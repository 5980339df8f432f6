//! What was said, found again: across restarts, without a server, and not at all where nothing was to stay.

use serde_json::{Value, json};

use crate::harness::{Process, World};

/// Runs `p2pchat` with no server to be reached, to its end: exit code, standard output, standard error.
fn offline(world: &World, folder: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let mut process = Process::spawn(&mut world.command_in(folder, folder, args));
    process.stdin = None;
    let code = process.end().code();
    (code, process.stdout.text(), process.stderr.text())
}

fn texts(history: &Value) -> Vec<&str> {
    history["messages"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect()
}

#[test]
fn a_returning_member_sees_the_last_messages_and_finds_older_ones() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--grace", "600"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    assert!(!bob.has_heard("history", |_| true), "whoever is new has no history");
    for n in 1..=24 {
        alice.say("lobby", &format!("line {n}"));
        bob.hears("alice", &format!("line {n}"));
    }
    bob.process.kill();
    alice.say("lobby", "while you were away");
    let mut bob = world.json("bob", &["join", "lobby"]);
    assert_eq!(bob.next("joined")["how"], "returned");
    let history = bob.next("history");
    assert_eq!((&history["room"], &history["why"], &history["more"]), (&json!("lobby"), &json!("joined"), &json!(4)));
    assert_eq!(texts(&history), (5..=24).map(|n| format!("line {n}")).collect::<Vec<_>>());
    assert_eq!((&history["messages"][0]["from"], &history["messages"][0]["mine"]), (&json!("alice"), &json!(false)));
    // What is new comes as news, and only so.
    bob.hears("alice", "while you were away");

    bob.send(json!({"do": "last", "room": "lobby", "count": 3}));
    let last = bob.wait("history", |it| it["why"] == "last");
    assert_eq!(texts(&last), ["line 23", "line 24", "while you were away"]);
    bob.send(json!({"do": "search", "room": "lobby", "words": "LINE \"line 1\""}));
    let found = bob.wait("history", |it| it["why"] == "search");
    assert_eq!((texts(&found), &found["more"]), (vec!["line 1"], &json!(0)));
    bob.send(json!({"do": "search", "room": "lobby", "words": "\"line"}));
    assert_eq!(bob.next("error")["code"], "bad_search");
    bob.send(json!({"do": "search", "room": "elsewhere", "words": "line"}));
    assert_eq!(bob.next("error")["code"], "not_in_room");

    // The same beside the running chat, and without any server.
    world.kill_server();
    let (code, out, err) = offline(&world, "bob", &["search", "lobby", "lin*", "--count", "2"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("the newest 2 messages of lobby that fit, of 24 in all:\n"), "{out}");
    assert!(out.lines().nth(2).is_some_and(|row| row.ends_with(" alice     line 24")), "{out}");
    let (code, out, _) = offline(&world, "bob", &["search", "lobby", "away", "--json"]);
    assert_eq!((code, texts(&serde_json::from_str(&out).unwrap())), (Some(0), vec!["while you were away"]));
    for (args, code) in [(&["search", "lobby", "\""], "bad_search"), (&["search", "attic", "x"], "no_history")] {
        let (exit, out, _) = offline(&world, "bob", &[args, &["--json"][..]].concat());
        let said: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((exit, &said["code"]), (Some(1), &json!(code)));
    }
}

#[test]
fn an_export_beside_a_running_chat_can_be_checked_by_anybody() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    alice.say("lobby", "first \u{1b}[31m");
    bob.hears("alice", "first \u{1b}[31m");
    bob.say("lobby", "second");
    alice.hears("bob", "second");
    assert_eq!(bob.quit(), Some(0));
    alice.wait("member_left", |it| it["name"] == "bob");

    let (code, out, err) = offline(&world, "alice", &["export", "lobby", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for (name, text) in [("alice", "first \u{1b}[31m"), ("bob", "second")] {
        let line = lines.iter().find(|line| line["name"] == name).unwrap();
        assert_eq!((&line["text"], &line["seq"]), (&json!(text), &json!(1)));
        check(line);
    }
    let (_, out, _) = offline(&world, "alice", &["export", "lobby"]);
    let ends = |end: &str| out.lines().filter(|row| row.ends_with(end)).count();
    assert_eq!((ends("  alice  first ␛[31m"), ends("  bob  second"), out.lines().count()), (1, 1, 2), "{out}");
    let file = world.path("lobby.txt");
    let output = ["export", "lobby", "--text", "--output", file.to_str().unwrap()];
    assert_eq!(offline(&world, "alice", &output).0, Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), out);
    let (code, _, err) = offline(&world, "alice", &output);
    assert!(code == Some(1) && err.contains("nothing is overwritten"), "{err}");
}

/// As JSON.md says that an entry is checked.
#[track_caller]
fn check(line: &Value) {
    use p2pchat::identity::{Ed25519, PeerId, Scheme as _, Signature};
    use sha2::{Digest as _, Sha256};
    let bytes = |field: &str| hex::decode(line[field].as_str().unwrap()).unwrap();
    let id = Sha256::digest([b"p2pchat/1 entry\0".as_slice(), &bytes("entry")].concat());
    assert_eq!(id.as_slice(), bytes("id"));
    let signed = [b"p2pchat/1 tip\0".as_slice(), &bytes("room_id"), &bytes("author"), &bytes("id")].concat();
    let key = PeerId(bytes("author").try_into().unwrap());
    let signature = Signature::from_bytes(&bytes("signature").try_into().unwrap());
    assert!(Ed25519.verify(&key, &signed, &signature));
}

#[test]
fn a_passing_chat_leaves_no_word_on_disk_and_its_numbers_go_on() {
    let world = World::new();
    let mut alice = world.founder("alice", "secretariat", &[]);
    let mut bob = world.json("bob", &["join", "secretariat", "--ephemeral"]);
    assert_eq!(bob.next("ready")["ephemeral"], true);
    world.let_in(&mut bob, &mut [&mut alice]);
    alice.say("secretariat", "xylophone from alice");
    bob.hears("alice", "xylophone from alice");
    assert_eq!(bob.say("secretariat", "xylophone from bob")["seq"], 1);
    alice.hears("bob", "xylophone from bob");
    bob.send(json!({"do": "search", "room": "secretariat", "words": "xylophone"}));
    assert_eq!(bob.next("history")["messages"].as_array().unwrap().len(), 2);
    // While it runs, and after a crash and a return.
    assert_eq!(traces(&world.path("bob")), [""; 0]);
    assert!(!traces(&world.path("alice")).is_empty(), "the search would find something");
    assert_eq!(bob.quit(), Some(0));
    alice.wait("member_left", |it| it["name"] == "bob");
    assert_eq!(traces(&world.path("bob")), [""; 0]);

    let mut bob = world.json("bob", &["join", "secretariat", "--ephemeral"]);
    world.let_in(&mut bob, &mut [&mut alice]);
    assert!(!bob.has_heard("history", |_| true));
    assert_eq!(bob.say("secretariat", "xylophone again")["seq"], 2, "no number is used twice");
    alice.hears("bob", "xylophone again");
    assert!(!alice.has_heard("misbehaviour", |_| true), "{}", alice.story());
    bob.process.kill();
    assert_eq!(traces(&world.path("bob")), [""; 0]);
}

#[test]
fn what_the_settings_do_not_keep_is_gone_at_the_next_start_and_numbers_go_on() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--grace", "600"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    for n in 1..=3 {
        alice.say("lobby", &format!("xylophone {n}"));
        bob.hears("alice", &format!("xylophone {n}"));
        bob.say("lobby", &format!("answer {n}"));
    }
    alice.hears("bob", "answer 3");
    bob.process.kill();
    assert!(!traces(&world.path("bob")).is_empty());
    let config = world.path("forgetful.toml");
    std::fs::write(&config, "keep_days = 0\n").unwrap();
    let mut bob = world.json("bob", &["join", "lobby", "--config", config.to_str().unwrap()]);
    assert_eq!(bob.next("joined")["how"], "returned");
    let history = bob.next("history");
    assert_eq!((texts(&history), &history["more"]), (vec!["answer 3"], &json!(0)));
    assert_eq!(bob.say("lobby", "answer 4")["seq"], 4);
    alice.hears("bob", "answer 4");
    alice.say("lobby", "still there?");
    bob.hears("alice", "still there?");
    assert!(!bob.has_heard("message", |it| it["text"] == "xylophone 3"), "what was forgotten is not asked for again");
    assert!(!alice.has_heard("misbehaviour", |_| true), "{}", alice.story());
    assert_eq!(bob.quit(), Some(0));
    // What a text had stood in is overwritten, and the room's name is no text.
    assert_eq!(files_with(&world.path("bob"), &["xylophone"]), [""; 0]);
}

#[test]
fn a_damaged_history_is_told_of_set_aside_and_the_chat_goes_on() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--grace", "600"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    for n in 1..=30 {
        bob.say("lobby", &format!("answer {n}"));
    }
    alice.hears("bob", "answer 30");
    // The last of what bob keeps is alice's, so that the members have all that he is about to lose.
    for n in 1..=30 {
        alice.say("lobby", &format!("line {n}"));
    }
    bob.hears("alice", "line 30");
    bob.process.kill();
    // What was in the journal goes into the file, whose last page of texts is then broken.
    let file = world.path("bob").join("history.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    let last = "SELECT MAX(pageno) FROM dbstat WHERE name = 'run' AND pagetype = 'leaf'";
    let page: u64 = database.query_row(last, [], |row| row.get::<_, u32>(0)).unwrap().into();
    database.close().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[(page as usize - 1) * 4096..][..4096].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    let (code, out, _) = offline(&world, "bob", &["export", "lobby", "--json"]);
    assert!(code == Some(1) && out.contains("history_unreadable"), "{out}");

    let mut bob = world.json("bob", &["join", "lobby"]);
    let damaged = bob.next("history_damaged");
    let saved = damaged["saved"].as_u64().unwrap();
    assert!((40..60).contains(&saved) && damaged["seats"] == true, "{damaged}");
    assert!(std::fs::read(damaged["aside"].as_str().unwrap()).unwrap() == bytes, "it is as it was");
    assert_eq!(bob.next("joined")["how"], "returned", "the seat was saved");
    // What was lost of the other comes again, and our own number goes on.
    bob.hears("alice", "line 30");
    assert_eq!(bob.say("lobby", "answer 31")["seq"], 31);
    alice.hears("bob", "answer 31");
    assert!(!alice.has_heard("misbehaviour", |_| true), "{}", alice.story());
    assert_eq!(bob.quit(), Some(0));
    let (code, out, err) = offline(&world, "bob", &["search", "lobby", "line", "--count", "50"]);
    assert_eq!((code, out.lines().count()), (Some(0), 31), "{out}{err}");
}

/// The files below a folder in which something of the talk stands.
fn traces(folder: &std::path::Path) -> Vec<String> {
    files_with(folder, &["xylophone", "secretariat"])
}

fn files_with(folder: &std::path::Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        if words.iter().any(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes())) {
            found.push(path.display().to_string());
        }
    }
    found
}
