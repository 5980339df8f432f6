//! Rooms as a server keeps them: listed, deleted, limited, forgotten.

use serde_json::json;

use crate::harness::{World, run};

#[test]
fn only_its_creator_deletes_a_room_and_everybody_is_told() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    bob.send(json!({"do": "delete", "room": "lobby"}));
    let error = bob.next("error");
    assert_eq!(error["code"], "not_creator");
    assert!(error["hint"].is_string());
    bob.say("lobby", "still here");
    alice.hears("bob", "still here");
    alice.send(json!({"do": "delete", "room": "lobby"}));
    for peer in [&mut alice, &mut bob] {
        assert_eq!(peer.next("left"), json!({"type": "left", "room": "lobby", "why": "deleted"}));
    }
    assert_eq!(bob.exit(), Some(1), "{}", bob.story());
    alice.exit();
    // The name is free again.
    world.founder("carol", "lobby", &[]);
}

#[test]
fn a_room_goes_with_its_last_member() {
    let world = World::new();
    let mut watcher = world.json("watcher", &["json"]);
    watcher.wait("server", |it| it["state"] == "up");
    let mut alice = world.founder("alice", "lobby", &[]);
    watcher.send(json!({"do": "list"}));
    assert_eq!(watcher.next("rooms")["rooms"][0]["room"], "lobby");
    assert_eq!(alice.quit(), Some(0));
    watcher.send(json!({"do": "list"}));
    assert_eq!(watcher.next("rooms")["rooms"], json!([]));
}

#[test]
fn a_room_without_anybody_is_kept_for_a_while_and_then_forgotten() {
    let world = World::configured("empty_room_ttl_s = 2\n");
    let mut watcher = world.json("watcher", &["json"]);
    watcher.wait("server", |it| it["state"] == "up");
    let mut alice = world.founder("alice", "lobby", &[]);
    alice.process.kill();
    // A killed member is noticed after the server's idle time; its room stands till then and the time after.
    let mut seen = false;
    loop {
        watcher.send(json!({"do": "list"}));
        let rooms = watcher.next("rooms");
        if rooms["rooms"] == json!([]) {
            break;
        }
        seen = true;
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    assert!(seen);
    // Who comes back finds the room gone at the server, and founds it anew from what it kept.
    let mut alice = world.json("alice", &["join", "lobby"]);
    assert_eq!(alice.next("joined")["how"], "returned");
    watcher.send(json!({"do": "list"}));
    assert_eq!(watcher.next("rooms")["rooms"][0]["room"], "lobby");
}

#[test]
fn people_are_listed_only_if_they_chose_to_be() {
    let world = World::new();
    let config = world.path("listed.toml");
    std::fs::write(&config, "listed = true\n").unwrap();
    let mut shy = world.founder("shy", "one", &["--size", "7"]);
    let mut known = world.json("known", &["create", "two", "--config", config.to_str().unwrap()]);
    known.next("joined");
    let mut newcomer = world.json("newcomer", &["join", "one"]);
    shy.next("knock");
    newcomer.wait("knocking", |it| it["expires_in_s"].is_u64());
    known.send(json!({"do": "list"}));
    let rooms = known.next("rooms");
    assert_eq!(rooms["people"], json!(["known"]));
    assert_eq!(
        rooms["rooms"],
        json!([
            {"room": "one", "members": 1, "size": 7, "knocking": true},
            {"room": "two", "members": 1, "size": 64, "knocking": false},
        ])
    );
}

#[test]
fn a_newcomer_who_gives_up_is_gone_from_the_door() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.json("bob", &["join", "lobby"]);
    alice.wait("knock", |it| it["name"] == "bob");
    bob.send(json!({"do": "leave", "room": "lobby"}));
    assert_eq!(bob.next("refused")["reason"], "withdrawn");
    assert_eq!(bob.exit(), Some(0), "{}", bob.story());
    let mut carol = world.json("carol", &["join", "lobby"]);
    carol.wait("knocking", |it| it["ahead"] == 0 && it["expires_in_s"].is_u64());
}

#[test]
fn list_and_delete_work_beside_a_running_chat() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--size", "9"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let (code, stdout, stderr) = run(&mut world.command("bob", &["list", "--json"]));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let rooms: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(rooms["rooms"], json!([{"room": "lobby", "members": 2, "size": 9, "knocking": false}]));
    let (code, stdout, _) = run(&mut world.command("alice", &["list"]));
    assert!(code == Some(0) && stdout.contains("lobby"), "{stdout}");
    // Whoever only looks takes nobody's name and nobody's place.
    bob.say("lobby", "still here");
    alice.hears("bob", "still here");
    let (code, _, stderr) = run(&mut world.command("bob", &["delete", "lobby"]));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("only the creator") && stderr.contains("hint: "), "{stderr}");
    let (code, _, stderr) = run(&mut world.command("alice", &["delete", "elsewhere"]));
    assert_eq!(code, Some(1), "{stderr}");
    let (code, _, stderr) = run(&mut world.command("alice", &["delete", "lobby"]));
    assert_eq!(code, Some(0), "{stderr}");
    for peer in [&mut alice, &mut bob] {
        assert_eq!(peer.next("left")["why"], "deleted");
    }
    let (code, stdout, _) = run(&mut world.command("stranger", &["list", "--json"]));
    assert_eq!((code, stdout.contains("lobby")), (Some(0), false), "{stdout}");
}
