//! Every no, with its words, what to do next, and its exit code.

use serde_json::{Value, json};

use crate::harness::{Peer, World, run};

#[track_caller]
fn is_refused(peer: &mut Peer, reason: &str, code: i32) -> Value {
    let refused = peer.next("refused");
    assert_eq!((&refused["room"], &refused["reason"]), (&json!("lobby"), &json!(reason)));
    assert!(refused["message"].is_string() && refused["hint"].is_string(), "{refused}");
    assert_eq!(peer.exit(), Some(code), "{}", peer.story());
    assert!(!peer.has_heard("joined", |_| true));
    refused
}

#[test]
fn one_no_refuses_and_all_are_told_whose() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let mut carol = world.json("carol", &["join", "lobby"]);
    let knock = alice.approve("carol");
    bob.wait("knock", |it| it["name"] == "carol");
    bob.send(json!({"do": "deny", "knock": knock["knock"]}));
    is_refused(&mut carol, "denied", 3);
    for peer in [&mut alice, &mut bob] {
        peer.wait("consent", |it| it["by"] == "bob" && it["decision"] == "no" && it["knock"] == knock["knock"]);
        peer.wait("knock_over", |it| it["name"] == "carol" && it["reason"] == "denied");
        assert_eq!(peer.members("lobby"), ["alice", "bob"]);
        assert!(!peer.has_heard("member_joined", |it| it["name"] == "carol"));
    }
    // An answer is signed and stands; one to nothing is an error; the chat goes on.
    alice.send(json!({"do": "deny", "knock": knock["knock"]}));
    assert_eq!(alice.next("error")["code"], "already_answered");
    alice.send(json!({"do": "approve", "knock": "0".repeat(64)}));
    assert_eq!(alice.next("error")["code"], "no_such_knock");
    alice.say("lobby", "on we go");
    bob.hears("alice", "on we go");
}

#[test]
fn silence_of_one_member_refuses_at_the_deadline() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--consent-timeout", "3"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let mut carol = world.json("carol", &["join", "lobby"]);
    let knock = alice.approve("carol");
    bob.wait("knock", |it| it["name"] == "carol");
    is_refused(&mut carol, "expired", 3);
    for peer in [&mut alice, &mut bob] {
        peer.wait("consent", |it| it["by"] == "bob" && it["decision"] == "silent" && it["knock"] == knock["knock"]);
        peer.wait("knock_over", |it| it["reason"] == "expired");
        assert!(!peer.has_heard("member_joined", |it| it["name"] == "carol"));
    }
    // The refused may knock again, and everybody is asked anew.
    let mut carol = world.json("carol", &["join", "lobby"]);
    world.let_in(&mut carol, &mut [&mut alice, &mut bob]);
}

#[test]
fn nothing_typed_but_an_approval_approves() {
    let world = World::new();
    let mut alice = world.pipe("alice", &["create", "lobby", "--consent-timeout", "3"]);
    alice.wait_stderr("/help shows");
    let mut bob = world.json("bob", &["join", "lobby"]);
    alice.wait_stderr("/approve bob");
    for line in ["", "y", "yes", "approve bob", "/approve", "/approve carol", " ", "/yes bob"] {
        alice.write(line);
    }
    is_refused(&mut bob, "expired", 3);
}

#[test]
fn a_full_room_refuses_without_asking_its_members() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--size", "2"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let mut carol = world.json("carol", &["join", "lobby"]);
    is_refused(&mut carol, "full", 3);
    assert_eq!(bob.members("lobby").len(), 2);
    assert!(!alice.has_heard("knock", |it| it["name"] == "carol"));
}

#[test]
fn a_room_that_does_not_exist_is_an_error_with_a_hint_unless_it_is_to_be_made() {
    let world = World::new();
    let mut alice = world.json("alice", &["join", "lobby"]);
    let refused = is_refused(&mut alice, "no_such_room", 1);
    assert!(refused["hint"].as_str().unwrap().contains("--create"), "{refused}");
    let (code, stdout, stderr) = run(&mut world.command("alice", &["join", "lobby"]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("there is no room lobby") && stderr.contains("hint: ") && stderr.contains("--create"));
    let mut alice = world.json("alice", &["join", "lobby", "--create", "--size", "3", "--grace", "7"]);
    assert_eq!(alice.next("joined")["how"], "founded");
    assert!(!alice.has_heard("refused", |_| true), "that it did not exist was a step on the way in");
    let mut bob = world.json("bob", &["create", "lobby"]);
    is_refused(&mut bob, "room_exists", 1);
}

#[test]
fn an_unreachable_server_is_4_and_says_what_to_do() {
    // A port that was free a moment ago: nobody answers there.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::at(free.to_string());
    let mut alice = world.json("alice", &["join", "lobby"]);
    alice.next("ready");
    let error = alice.next("error");
    assert_eq!(error["code"], "server_unreachable");
    assert!(error["hint"].as_str().unwrap().contains("--server"), "{error}");
    assert_eq!(alice.exit(), Some(4));
    let (code, _, stderr) = run(&mut world.command("alice", &["join", "lobby"]));
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("could not be reached") && stderr.contains("hint: "), "{stderr}");
}

#[test]
fn a_server_with_another_certificate_is_refused_with_both_fingerprints() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    assert_eq!(alice.quit(), Some(0));
    let before = world.fingerprint.clone();
    world.kill_server();
    world.start_server("other-certs", "other");
    assert_ne!(before, world.fingerprint);
    let mut alice = world.json("alice", &["join", "lobby", "--create"]);
    let error = alice.next("error");
    assert_eq!(error["code"], "server_changed");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&before) && message.contains(&world.fingerprint), "{message}");
    assert!(error["hint"].as_str().unwrap().contains("servers.toml"), "{error}");
    assert_eq!(alice.exit(), Some(5), "{}", alice.story());
    assert!(!alice.has_heard("joined", |_| true) && !alice.has_heard("pinned", |_| true));
    // The hint works: without that line, the new one is met for the first time.
    std::fs::remove_file(world.path("alice").join("servers.toml")).unwrap();
    let mut alice = world.json("alice", &["join", "lobby", "--create"]);
    assert_eq!(alice.next("pinned")["fingerprint"], world.fingerprint.as_str());
    alice.next("joined");
}

#[test]
fn a_name_belongs_to_the_first_key_that_took_it() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut command = world.command_in("impostor", "alice", &["join", "lobby", "--json"]);
    let (code, stdout, _) = run(&mut command);
    assert_eq!(code, Some(1), "{stdout}");
    let error: Value = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|it| it["type"] == "error")
        .unwrap();
    assert_eq!(error["code"], "name_taken");
    assert!(error["hint"].as_str().unwrap().contains("--name"), "{error}");
    assert_eq!(alice.members("lobby"), ["alice"]);
    // The owner of the name may come back with it.
    assert_eq!(alice.quit(), Some(0));
    let mut alice = world.json("alice", &["create", "lobby"]);
    alice.next("joined");
}

#[test]
fn a_server_with_a_password_lets_only_those_in_who_know_it() {
    let mut world = World::at("127.0.0.1:0".to_owned());
    std::fs::write(world.path("server.toml"), "password = \"open sesame\"\n").unwrap();
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(world.path("server.toml"), readable).unwrap();
    world.start_server("certs", "server");
    let (code, _, stderr) = run(&mut world.command("alice", &["create", "lobby"]));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("password") && stderr.contains("--password-file"), "{stderr}");
    let file = world.path("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let mut alice = world.json("alice", &["create", "lobby", "--password-file", file.to_str().unwrap()]);
    alice.next("joined");
}
