//! Servers and members that are killed, and come back.

use std::time::{Duration, Instant};

use p2pchat::store::peer::PeerStore;
use serde_json::json;

use crate::harness::{DEADLINE, Peer, World};

/// Three members of a room, all linked.
fn three(world: &World, how: &[&str]) -> [Peer; 3] {
    let mut alice = world.founder("alice", "lobby", how);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let carol = world.admit("carol", "lobby", &mut [&mut alice, &mut bob]);
    let mut all = [alice, bob, carol];
    // Each event is taken once: the next "up" is one that follows an outage.
    all.iter_mut().for_each(|peer| drop(peer.wait("server", |it| it["state"] == "up")));
    all
}

#[test]
fn the_chat_goes_on_without_the_server_and_newcomers_come_when_it_is_back() {
    let mut world = World::new();
    let [mut alice, mut bob, mut carol] = three(&world, &[]);
    // The second time the server has lost all it knew, its certificate excepted.
    for (round, data) in [(1, "server"), (2, "nothing-kept")] {
        world.kill_server();
        // By the server's idle time, of which the faces tell; the chat does not wait for it.
        let text = format!("without a server {round}");
        alice.say("lobby", &text);
        for peer in [&mut bob, &mut carol] {
            peer.hears("alice", &text);
        }
        alice.wait("delivered", |it| it["to"] == 2);
        for peer in [&mut alice, &mut bob, &mut carol] {
            peer.wait("server", |it| it["state"] == "down");
        }
        let text = format!("nobody there {round}");
        bob.say("lobby", &text);
        carol.hears("bob", &text);
        alice.hears("bob", &text);
        world.start_server("certs", data);
        for peer in [&mut alice, &mut bob, &mut carol] {
            peer.wait("server", |it| it["state"] == "up");
            assert!(!peer.has_heard("left", |_| true));
        }
        let name = format!("newcomer{round}");
        let mut newcomer = world.json(&name, &["join", "lobby"]);
        world.let_in(&mut newcomer, &mut [&mut alice, &mut bob, &mut carol]);
        newcomer.say("lobby", &format!("hello {round}"));
        for peer in [&mut alice, &mut bob, &mut carol] {
            peer.hears(&name, &format!("hello {round}"));
        }
        newcomer.quit();
        for peer in [&mut alice, &mut bob, &mut carol] {
            peer.wait("member_left", |it| it["name"] == name.as_str() && it["reason"] == "left");
        }
    }
    assert!(!alice.has_heard("misbehaviour", |_| true), "{}", alice.story());
}

#[test]
fn a_killed_member_is_missed_for_the_grace_and_then_dropped() {
    let world = World::new();
    let [mut alice, mut bob, mut carol] = three(&world, &["--grace", "4"]);
    carol.process.kill();
    for peer in [&mut alice, &mut bob] {
        let gone = peer.wait("link", |it| it["name"] == "carol" && it["path"] == "none");
        assert!(gone["grace_s"].as_u64().is_some_and(|left| left <= 4), "{gone}");
        let left = peer.next("member_left");
        assert_eq!((&left["name"], &left["reason"]), (&json!("carol"), &json!("dropped")), "{}", peer.story());
        assert_eq!(peer.members("lobby"), ["alice", "bob"]);
    }
    alice.say("lobby", "we two");
    bob.hears("alice", "we two");
    // Whoever comes back after that has lost the seat, and asks like anybody.
    let mut carol = world.json("carol", &["join", "lobby"]);
    for peer in [&mut alice, &mut bob] {
        let knock = peer.approve("carol");
        assert_eq!(knock["seen_before"], true);
    }
    carol.wait("joined", |it| it["how"] == "admitted");
    carol.wait("link", |it| it["name"] == "alice" && it["path"] == "direct");
    alice.say("lobby", "welcome back");
    carol.hears("alice", "welcome back");
    assert!(!carol.has_heard("message", |it| it["text"] == "we two"), "she was not in when that was said");
}

#[test]
fn who_comes_back_within_the_grace_asks_nobody_and_gets_what_was_missed() {
    let world = World::new();
    let [mut alice, mut bob, mut carol] = three(&world, &["--grace", "600"]);
    let first = carol.say("lobby", "before");
    alice.hears("carol", "before");
    carol.process.kill();
    alice.say("lobby", "while you were away");
    bob.hears("alice", "while you were away");
    let mut carol = world.json("carol", &["join", "lobby"]);
    let joined = carol.next("joined");
    assert_eq!(joined["how"], "returned", "{}", carol.story());
    assert_eq!(joined["members"].as_array().unwrap().len(), 3);
    carol.hears("alice", "while you were away");
    let again = carol.say("lobby", "back");
    assert_eq!(again["seq"].as_u64(), first["seq"].as_u64().map(|seq| seq + 1));
    for peer in [&mut alice, &mut bob] {
        peer.hears("carol", "back");
        assert!(!peer.has_heard("knock", |it| it["seen_before"] == true), "nobody was asked");
        assert!(!peer.has_heard("misbehaviour", |_| true), "{}", peer.story());
        let texts = peer.heard().into_iter().filter(|it| it["type"] == "message" && it["text"] == "before").count();
        assert_eq!(texts, 1);
    }
}

#[test]
fn who_is_killed_while_there_is_no_server_comes_back_to_the_others() {
    let mut world = World::new();
    let [mut alice, mut bob, mut carol] = three(&world, &["--grace", "600"]);
    let before = carol.say("lobby", "before");
    alice.hears("carol", "before");
    // News about addresses is gathered for two seconds.
    let (history, asked) = (world.path("carol").join("history.db"), Instant::now());
    while !PeerStore::open_to_read(&history).and_then(|it| it.load()).is_ok_and(|kept| kept.addresses.len() == 2) {
        assert!(asked.elapsed() < DEADLINE, "where the others are was never kept");
        std::thread::sleep(Duration::from_millis(20));
    }
    world.kill_server();
    carol.process.kill();
    alice.say("lobby", "while you were away");
    bob.hears("alice", "while you were away");
    let mut carol = world.json("carol", &["join", "lobby"]);
    assert_eq!(carol.next("joined")["how"], "returned", "{}", carol.story());
    carol.hears("alice", "while you were away");
    let again = carol.say("lobby", "back without a server");
    assert_eq!(again["seq"].as_u64(), before["seq"].as_u64().map(|seq| seq + 1));
    for peer in [&mut alice, &mut bob] {
        peer.hears("carol", "back without a server");
        assert!(!peer.has_heard("misbehaviour", |_| true), "{}", peer.story());
    }
}

#[test]
fn all_are_killed_and_come_back_to_their_room() {
    let mut world = World::new();
    let [mut alice, mut bob, mut carol] = three(&world, &["--grace", "600"]);
    alice.say("lobby", "before the lights went out");
    carol.hears("alice", "before the lights went out");
    for peer in [&mut alice, &mut bob, &mut carol] {
        peer.process.kill();
    }
    world.kill_server();
    world.start_server("certs", "server");
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|name| world.json(name, &["join", "lobby"]));
    for peer in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(peer.next("joined")["how"], "returned", "{}", peer.story());
    }
    bob.say("lobby", "after");
    alice.hears("bob", "after");
    carol.hears("bob", "after");
}

#[test]
fn a_server_that_is_stopped_tells_its_clients_at_once() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let stopped = std::time::Instant::now();
    world.server().signal("TERM");
    alice.wait("server", |it| it["state"] == "down");
    assert!(stopped.elapsed() < std::time::Duration::from_secs(15), "sooner than its idle time");
    assert_eq!(world.server().end().code(), Some(0));
    alice.send(json!({"do": "list"}));
    let error = alice.next("error");
    assert_eq!(error["code"], "no_server");
    assert!(error["hint"].is_string());
    assert_eq!(alice.quit(), Some(0));
}

#[test]
fn a_server_that_was_killed_and_is_back_is_noticed_before_its_idle_time() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    alice.wait("server", |it| it["state"] == "up");
    world.kill_server();
    world.start_server("certs", "server");
    let started = std::time::Instant::now();
    for state in ["down", "up"] {
        alice.wait("server", |it| it["state"] == state);
    }
    // The next keep-alive finds out, after 5 s at most; the idle time is 30 s.
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}
