//! The rendezvous is never on the path of content; and what two can do who have no path at all.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Peer;
use crate::lab::{self, Host, Lab, Router};
use crate::rooms::{Net, ROOM, settled, texts};

/// How much is said: far more than the server's cable sees, whatever anybody might do to make it small.
const CONTENT_BYTES: usize = 1024 * 1024;

/// Text that can't be made smaller than six bits a letter.
fn noise(state: &mut u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    let mut text = String::with_capacity(4096);
    while text.len() < 4096 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(char::from(LETTERS[(*state >> 58) as usize]));
    }
    text
}

/// A mebibyte from one to the other; nothing may be missing.
fn pour(from: &mut Peer, to: &mut Peer) {
    let mut state = 7;
    let said: Vec<String> = (0..CONTENT_BYTES / 4096).map(|_| noise(&mut state)).collect();
    for text in &said {
        from.send(json!({"do": "say", "room": ROOM, "text": text}));
    }
    to.hears(&from.name.clone(), said.last().unwrap());
    assert_eq!(texts(to, &from.name), said);
}

/// Bytes at the server's cable while a mebibyte is said, and at the speaker's.
fn poured(net: &Net, alice: &mut Peer, home: &Host, bob: &mut Peer) -> (u64, u64) {
    let before = (net.lab.bytes(&net.rendezvous), net.lab.bytes(home));
    pour(alice, bob);
    (net.lab.bytes(&net.rendezvous) - before.0, net.lab.bytes(home) - before.1)
}

#[test]
fn a_mebibyte_of_chat_does_not_pass_the_server() {
    if !lab::available() {
        return;
    }
    let mut net = Net::new();
    let hosts = [Router::Home, Router::Home].map(|router| net.lab.host(router));
    let mut alice = net.founder(&hosts[0], "alice");
    let (mut bob, _) = net.admit(&hosts[1], "bob", &mut [&mut alice]);
    assert_eq!(settled(&mut alice, &mut bob, Duration::from_secs(20)), "direct");
    let (server, home) = poured(&net, &mut alice, &hosts[0], &mut bob);
    println!("direct: {home} bytes at the speaker's router, {server} at the server");
    assert!(home >= CONTENT_BYTES as u64 && server < 32 * 1024, "{home} and {server}");

    // Two who need somebody to carry for them have a member do it.
    let mut net = Net::new();
    let third = net.lab.host(Router::None);
    let hosts = [Router::Symmetric, Router::Symmetric].map(|router| net.lab.host(router));
    let mut alice = net.founder(&hosts[0], "alice");
    let (mut carol, _) = net.admit(&third, "carol", &mut [&mut alice]);
    let (mut bob, _) = net.admit(&hosts[1], "bob", &mut [&mut alice, &mut carol]);
    bob.wait("link", |it| it["name"] == "alice" && it["path"] == "relayed" && it["via"] == "carol");
    let (server, home) = poured(&net, &mut alice, &hosts[0], &mut bob);
    println!("through a member: {home} bytes at the speaker's router, {server} at the server");
    assert!(home >= CONTENT_BYTES as u64 && server < 32 * 1024, "{home} and {server}");
}

/// Nothing passes between the server and anybody any more.
fn take_server_away(lab: &Lab, server: &Host) {
    let address = &server.address;
    let chain = "type filter hook forward priority 0;";
    lab.nft(
        &lab.internet(),
        &format!(
            "table ip away {{\nchain forward {{ {chain}\nip saddr {address} drop\nip daddr {address} drop\n}}\n}}\n"
        ),
    );
}

#[test]
fn a_chat_goes_on_when_the_server_is_cut_off() {
    if !lab::available() {
        return;
    }
    let mut net = Net::new();
    let third = net.lab.host(Router::None);
    let hosts = [Router::Home, Router::Symmetric].map(|router| net.lab.host(router));
    let mut alice = net.founder(&hosts[0], "alice");
    let (mut carol, _) = net.admit(&third, "carol", &mut [&mut alice]);
    let (mut bob, _) = net.admit(&hosts[1], "bob", &mut [&mut alice, &mut carol]);
    carol.wait("link", |it| it["name"] == "bob" && it["path"] == "direct");
    alice.say(ROOM, "before");
    bob.hears("alice", "before");
    take_server_away(&net.lab, &net.rendezvous);
    // One of them direct to everybody, the others through her; and until all know that the server is gone.
    for peer in [&mut alice, &mut bob, &mut carol] {
        peer.wait("server", |it| it["state"] == "down");
    }
    pour(&mut bob, &mut alice);
    alice.say(ROOM, "after");
    for peer in [&mut bob, &mut carol] {
        peer.hears("alice", "after");
    }
}

/// Two behind routers that choose another port for everybody, and nobody else in the room.
fn two_without_a_path(net: &mut Net) -> ([Host; 2], Peer, Peer) {
    let hosts = [Router::Symmetric, Router::Symmetric].map(|router| net.lab.host(router));
    let mut alice = net.founder(&hosts[0], "alice");
    let (mut bob, _) = net.admit(&hosts[1], "bob", &mut [&mut alice]);
    alice.say(ROOM, "is anybody there?");
    bob.say(ROOM, "hello?");
    for (peer, other) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        let told = peer.wait("link", |it| it["name"] == other && it["path"] == "none");
        assert!(told["tried"].as_u64().is_some_and(|tried| tried >= 1), "{told}");
    }
    (hosts, alice, bob)
}

/// The addresses of a member that somebody tries.
fn tried(peer: &mut Peer) -> Vec<String> {
    peer.send(json!({"do": "paths", "room": ROOM}));
    let paths = peer.next("paths");
    assert_eq!((&paths["paths"][0]["path"], &paths["paths"][0]["online"]), (&json!("none"), &json!(true)), "{paths}");
    serde_json::from_value(paths["paths"][0]["addresses"].clone()).unwrap()
}

#[test]
fn two_without_any_path_are_told_so_and_what_they_wrote_arrives_when_a_port_is_forwarded() {
    if !lab::available() {
        return;
    }
    let mut net = Net::new();
    let (hosts, mut alice, mut bob) = two_without_a_path(&mut net);
    // The port under which the server sees her leads to her from now on, whoever comes.
    let addresses = tried(&mut bob);
    let port = |at: &str| addresses.iter().find_map(|it| it.strip_prefix(at)).unwrap().to_owned();
    let (outer, inner) = (port(&format!("{}:", hosts[0].public())), port(&format!("{}:", hosts[0].address)));
    let to = format!("{}:{inner}", hosts[0].address);
    net.lab.nft(
        &hosts[0].router,
        &format!(
            "table ip forwarded {{\nchain pre {{ type nat hook prerouting priority -100; iifname \"wan0\" udp dport {outer} dnat to {to}\n}}\n}}\n\
             insert rule ip filter forward iifname \"wan0\" udp dport {inner} accept\n"
        ),
    );
    bob.hears("alice", "is anybody there?");
    alice.hears("bob", "hello?");
}

#[test]
fn two_without_any_path_talk_through_the_third_member_that_they_let_in() {
    if !lab::available() {
        return;
    }
    let mut net = Net::new();
    let (_, mut alice, mut bob) = two_without_a_path(&mut net);
    // Everybody's yes travels through the server, which needs no path between them.
    let third = net.lab.host(Router::None);
    let (mut carol, _) = net.admit(&third, "carol", &mut [&mut alice, &mut bob]);
    carol.say(ROOM, "now there is");
    alice.hears("carol", "now there is");
    bob.hears("carol", "now there is");
    // What she wrote to him alone is not for the third member to carry, who was not there (DESIGN.md §4 rule 11); he waits
    // a minute for it, in case there is a path after all, before he reads on behind the hole.
    let began = Instant::now();
    alice.say(ROOM, "can you read me?");
    let heard = bob.wait_within(began + Duration::from_secs(100), "message", |it| it["text"] == "can you read me?");
    assert!(heard.is_some(), "{}", bob.story());
    println!("the first text through a third member who came later: {} s", began.elapsed().as_secs());
    let began = Instant::now();
    alice.say(ROOM, "good");
    bob.hears("alice", "good");
    println!("the next one: {} ms", began.elapsed().as_millis());
}
