//! A history that may take no more of the disk.

use crate::harness::World;

#[test]
fn what_does_not_fit_is_refused_aloud_and_comes_once_it_fits() {
    let world = World::new();
    let full = world.path("full.toml");
    std::fs::write(&full, "quota_author_mb = 0\n").unwrap();
    let mut alice = world.founder("alice", "lobby", &["--grace", "600"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    bob.process.kill();

    let mut bob = world.json("bob", &["join", "lobby", "--config", full.to_str().unwrap()]);
    bob.wait("link", |it| it["name"] == "alice" && it["path"] == "direct");
    alice.say("lobby", "too much for bob");
    let refused = bob.next("error");
    assert_eq!(refused["code"], "no_space", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("is not taken for now"), "{refused}");
    bob.send(serde_json::json!({"do": "say", "room": "lobby", "text": "too much of mine"}));
    let refused = bob.next("error");
    assert!(refused["code"] == "no_space" && refused["hint"].is_string(), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("was not sent"), "{refused}");
    assert!(!bob.has_heard("message", |_| true), "{}", bob.story());
    assert!(!alice.has_heard("delivered", |_| true), "nobody counts it as delivered");
    bob.process.kill();

    let mut bob = world.json("bob", &["join", "lobby"]);
    bob.hears("alice", "too much for bob");
    alice.wait("delivered", |it| it["to"] == 1);
    assert!(!alice.has_heard("message", |it| it["from"] == "bob"), "{}", alice.story());
    bob.say("lobby", "now it fits");
    alice.hears("bob", "now it fits");
}
