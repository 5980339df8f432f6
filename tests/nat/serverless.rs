//! Rooms without a server across routers: one way in is enough for everybody, be it a port that a router opened or one member
//! with a public address.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Peer;
use crate::lab::{self, Host, Router};
use crate::mapping::router_that_maps;
use crate::rooms::{Net, ROOM, settled};

/// Somebody who hosts the room, and has no server.
#[track_caller]
fn host(net: &Net, at: &Host, name: &str) -> Peer {
    let mut peer = net.peer_alone(at, name, &["host", ROOM]);
    peer.wait("joined", |it| it["how"] == "founded");
    peer
}

/// A peer's ticket, once it has an address in it that begins so.
#[track_caller]
fn ticket(peer: &mut Peer, with: &str) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        peer.send(json!({"do": "ticket", "room": ROOM}));
        let shown = peer.next("ticket");
        let text = shown["ticket"].as_str().unwrap().to_owned();
        let ticket: p2pchat::wire::Ticket = text.parse().unwrap();
        if ticket.hosts.iter().any(|host| host.addresses.iter().any(|at| at.to_string().starts_with(with))) {
            return text;
        }
        assert!(Instant::now() < until, "no address {with}... in {shown}");
    }
}

/// Lets somebody in who joins by a ticket.
#[track_caller]
fn admit(net: &Net, at: &Host, name: &str, ticket: &str, members: &mut [&mut Peer]) -> Peer {
    let mut newcomer = net.peer_alone(at, name, &["join", ticket]);
    for member in members.iter_mut() {
        let knock = member.wait("knock", |it| it["name"] == name);
        member.send(json!({"do": "approve", "knock": knock["knock"]}));
    }
    newcomer.wait("joined", |it| it["how"] == "admitted");
    newcomer
}

#[test]
fn a_host_behind_a_router_that_maps_is_joined_from_outside_by_its_ticket() {
    if !lab::available() {
        return;
    }
    let mut net = Net::new();
    let hosts = [Router::Home, Router::Home].map(|router| net.lab.host(router));
    let router = router_that_maps(&hosts[0]);
    let mut alice = host(&net, &hosts[0], "alice");
    router.wait_stdout("pcp mapped");
    let ticket = ticket(&mut alice, &hosts[0].public());
    let mut bob = admit(&net, &hosts[1], "bob", &ticket, &mut [&mut alice]);
    assert_eq!(settled(&mut alice, &mut bob, Duration::from_secs(20)), "direct");
    bob.say(ROOM, "through the open port");
    alice.hears("bob", "through the open port");
}

#[test]
fn one_member_with_a_public_address_is_enough_for_everybody() {
    if !lab::available() {
        return;
    }
    let mut net = Net::new();
    let [open, one, other, last] =
        [Router::None, Router::Symmetric, Router::Symmetric, Router::Home].map(|router| net.lab.host(router));
    let mut paula = host(&net, &open, "paula");
    let first = ticket(&mut paula, &open.public());
    let mut alice = admit(&net, &one, "alice", &first, &mut [&mut paula]);
    assert_eq!(settled(&mut paula, &mut alice, Duration::from_secs(20)), "direct");
    let mut bob = admit(&net, &other, "bob", &first, &mut [&mut paula, &mut alice]);
    assert_eq!(settled(&mut paula, &mut bob, Duration::from_secs(20)), "direct");
    bob.say(ROOM, "from behind two routers");
    alice.hears("bob", "from behind two routers");
    // Nobody reaches Alice from outside, and yet her ticket leads in: it names Paula too.
    let hers = ticket(&mut alice, &open.public());
    let mut carol = admit(&net, &last, "carol", &hers, &mut [&mut paula, &mut alice, &mut bob]);
    carol.say(ROOM, "by a ticket of somebody out of reach");
    for member in [&mut paula, &mut alice, &mut bob] {
        member.hears("carol", "by a ticket of somebody out of reach");
    }
}
