//! `p2pchat carry`: a member with nobody in front of it.

use serde_json::json;

use crate::harness::World;

#[test]
fn a_carrier_lets_in_whom_the_followed_member_lets_in_keeps_what_is_said_and_says_nothing_itself() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut carrier = world.pipe("carl", &["carry", "lobby", "--follow", "alice"]);
    alice.approve("carl");
    alice.wait("member_joined", |joined| joined["name"] == "carl");
    let mut bob = world.json("bob", &["join", "lobby"]);
    alice.approve("bob");
    bob.next("joined");
    alice.say("lobby", "a secret that a log must not hold");
    bob.hears("alice", "a secret that a log must not hold");
    alice.wait("delivered", |it| it["to"] == 2);
    carrier.signal("TERM");
    assert_eq!(carrier.end().code(), Some(0));
    alice.wait("member_left", |left| left["name"] == "carl");
    let log = carrier.stderr.text();
    assert!(!log.contains("a secret"), "{log}");
    alice.send(json!({"do": "quit"}));
}
