//! Rooms without any server, as processes: hosted by one, joined through any, whoever goes.

use std::process::Command;

use serde_json::json;

use crate::harness::{Peer, Process, World, is_root, run};

/// Nobody answers there.
fn nowhere() -> World {
    World::at("127.0.0.1:9".to_owned())
}

/// A peer's ticket, newly shown.
#[track_caller]
fn ticket(peer: &mut Peer) -> String {
    peer.send(json!({"do": "ticket", "room": "lobby"}));
    peer.next("ticket")["ticket"].as_str().unwrap().to_owned()
}

/// The host of a room, and its ticket.
#[track_caller]
fn host(world: &World, name: &str, how: &[&str]) -> (Peer, String) {
    let mut peer = world.json(name, &[&["host", "lobby"], how].concat());
    peer.wait("joined", |it| it["how"] == "founded");
    let ticket = peer.next("ticket")["ticket"].as_str().unwrap().to_owned();
    (peer, ticket)
}

#[test]
fn five_members_lose_their_first_host_in_the_middle_of_a_knock_and_nothing_else() {
    let world = nowhere();
    let (alice, first) = host(&world, "alice", &["--grace", "10"]);
    let mut members = vec![alice];
    for name in ["bob", "carol", "dave", "erin"] {
        // Each through the one who came last: nobody is special.
        let through = if name == "bob" { first.clone() } else { ticket(members.last_mut().unwrap()) };
        let mut newcomer = world.json(name, &["join", &through]);
        world.let_in(&mut newcomer, &mut members.iter_mut().collect::<Vec<_>>());
        members.push(newcomer);
    }
    let last = ticket(members.last_mut().unwrap());
    members[0].say("lobby", "before");
    for member in &mut members[1..] {
        member.hears("alice", "before");
    }
    // Frank knocks through Alice, and knows of Erin as well; Alice is killed before she has answered.
    let mut frank = world.json("frank", &["join", &first, &last]);
    for member in &mut members {
        // Whoever has not heard of it before she is killed is asked once, not twice.
        member.wait("knock", |it| it["name"] == "frank");
    }
    members[0].process.kill();
    let mut alice = members.remove(0);
    for member in &mut members {
        member.wait("link", |it| it["name"] == "alice" && it["path"] == "none");
    }
    // Nobody has to type anything: Frank's client goes on through Erin, and once the room has gone on without Alice its
    // members are asked again, without her.
    for member in &mut members {
        member.wait("member_left", |it| it["name"] == "alice");
    }
    world.let_in(&mut frank, &mut members.iter_mut().collect::<Vec<_>>());
    frank.say("lobby", "here at last");
    for member in &mut members {
        member.hears("frank", "here at last");
        assert!(!member.has_heard("misbehaviour", |_| true), "{}", member.story());
    }
    alice.process.kill();
}

#[test]
fn a_ticket_leads_in_when_whoever_wrote_it_has_been_killed() {
    let world = nowhere();
    let (mut alice, first) = host(&world, "alice", &["--grace", "5"]);
    let mut bob = world.json("bob", &["join", &first]);
    world.let_in(&mut bob, &mut [&mut alice]);
    let mut carol = world.json("carol", &["join", &first]);
    world.let_in(&mut carol, &mut [&mut alice, &mut bob]);
    let ticket = ticket(&mut alice);
    assert_eq!(ticket.parse::<p2pchat::wire::Ticket>().unwrap().hosts.len(), 3, "{ticket}");
    alice.process.kill();
    for member in [&mut bob, &mut carol] {
        member.wait("member_left", |it| it["name"] == "alice");
    }
    let mut dave = world.json("dave", &["join", &ticket]);
    world.let_in(&mut dave, &mut [&mut bob, &mut carol]);
    dave.say("lobby", "she is gone, and I am in");
    carol.hears("dave", "she is gone, and I am in");
}

#[test]
fn a_knock_is_carried_on_through_another_member() {
    let world = nowhere();
    let (mut alice, first) = host(&world, "alice", &[]);
    let mut bob = world.json("bob", &["join", &first]);
    world.let_in(&mut bob, &mut [&mut alice]);
    let second = ticket(&mut bob);
    let mut carol = world.json("carol", &["join", &first, &second]);
    // Whichever answered first is knocked at; it says yes and is killed, and comes back to its seat for nothing but that.
    alice.approve("carol");
    carol.wait("knocking", |it| it["yes"] == 1);
    alice.process.kill();
    bob.approve("carol");
    carol.wait("joined", |it| it["how"] == "admitted");
    carol.wait("link", |it| it["name"] == "bob" && it["path"] == "direct");
    carol.say("lobby", "in");
    bob.hears("carol", "in");
}

#[test]
fn a_host_is_joined_by_its_address_and_what_it_shows_is_its_own_key() {
    let world = nowhere();
    let (mut alice, _) = host(&world, "alice", &[]);
    alice.send(json!({"do": "ticket", "room": "lobby"}));
    let address = alice.next("ticket")["addresses"][0].as_str().unwrap().to_owned();
    let mut bob = world.json("bob", &["join", &address]);
    let pinned = bob.next("pinned");
    assert_eq!(pinned["fingerprint"].as_str().unwrap(), alice.fingerprint());
    world.let_in(&mut bob, &mut [&mut alice]);
    bob.say("lobby", "hello");
    alice.hears("bob", "hello");
    // The host is nobody's server: when it goes, the one who stays goes on.
    alice.quit();
    bob.wait("member_left", |it| it["name"] == "alice" && it["reason"] == "left");
    bob.say("lobby", "alone");
}

#[test]
fn another_key_at_the_tickets_address_is_never_talked_to() {
    let world = nowhere();
    let (mut alice, ticket) = host(&world, "alice", &[]);
    let address = alice.wait("ready", |_| true);
    drop(address);
    alice.quit();
    let port: u16 = {
        let ticket: p2pchat::wire::Ticket = ticket.parse().unwrap();
        ticket.hosts[0].addresses[0].port()
    };
    let listen = format!("127.0.0.1:{port}");
    let mut command = world.command("mallory", &["host", "lobby", "--json"]);
    command.args(["--listen", &listen]);
    let mut command_line = std::process::Command::new(command.get_program());
    command_line.env_clear().env("HOME", world.path(""));
    let args: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    // The later of two `--listen` is refused by the command line: only ours stays.
    let at = args.iter().position(|it| it == "--listen").unwrap();
    let args = args.iter().enumerate().filter(|(i, _)| *i != at && *i != at + 1).map(|(_, it)| it);
    let mallory = crate::harness::Process::spawn(command_line.args(args));
    mallory.wait_lines(3);
    let mut bob = world.json("bob", &["join", &ticket]);
    bob.wait("error", |it| it["code"] == "no_host");
    assert_eq!(bob.exit(), Some(4), "{}", bob.story());
    assert!(!mallory.stdout.text().contains("\"knock\""), "{}", mallory.stdout.text());
}

#[test]
fn a_ticket_with_a_slip_in_it_is_an_error_before_anything_is_sent() {
    let world = nowhere();
    let (mut alice, ticket) = host(&world, "alice", &[]);
    let mut slipped = ticket.clone();
    slipped.replace_range(30..31, if &ticket[30..31] == "a" { "b" } else { "a" });
    let (code, _, stderr) = run(&mut world.command("bob", &["join", &slipped]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("letter of the ticket"), "{stderr}");
    assert!(!alice.has_heard("knock", |_| true));
    alice.quit();
}

#[test]
fn a_server_that_is_gone_for_good_is_missed_by_nobody_and_newcomers_come_by_ticket() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    world.kill_server();
    // The ticket names the server too, as Bob's client has not missed it yet: it is tried, and not waited for.
    let ticket = ticket(&mut bob);
    assert!(ticket.parse::<p2pchat::wire::Ticket>().unwrap().server.is_some());
    let mut carol = world.json("carol", &["join", &ticket]);
    world.let_in(&mut carol, &mut [&mut alice, &mut bob]);
    carol.say("lobby", "without a server");
    alice.hears("carol", "without a server");
    bob.hears("carol", "without a server");
}

#[test]
fn a_ticket_of_a_servers_room_names_the_certificate_that_the_server_has_to_show() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let ticket = ticket(&mut alice);
    let mut bob = world.json("bob", &["join", &ticket]);
    world.let_in(&mut bob, &mut [&mut alice]);
    assert!(!bob.has_heard("pinned", |_| true), "nothing was trusted on first use: {}", bob.story());
    // Somebody else's server on that address, with a certificate of its own: it is never talked to.
    world.kill_server();
    world.start_server("other-certs", "other");
    let mut carol = world.json("carol", &["join", &ticket]);
    let error = carol.wait("error", |it| it["code"] == "server_changed");
    assert!(error["message"].as_str().unwrap().contains(&world.fingerprint), "{error}");
}

#[test]
fn a_room_without_a_server_is_published_at_one() {
    let world = World::new();
    let (mut alice, _) = host(&world, "alice", &[]);
    alice.send(json!({"do": "publish", "server": world.address}));
    alice.wait("server", |it| it["state"] == "up");
    let mut bob = world.json("bob", &["join", "lobby"]);
    world.let_in(&mut bob, &mut [&mut alice]);
    bob.say("lobby", "found by name");
    alice.hears("bob", "found by name");
}

#[test]
fn everybody_is_killed_and_the_room_comes_together_again_by_itself() {
    let world = nowhere();
    let (mut alice, first) = host(&world, "alice", &[]);
    let mut bob = world.json("bob", &["join", &first]);
    world.let_in(&mut bob, &mut [&mut alice]);
    for peer in [&mut alice, &mut bob] {
        // Addresses are kept a moment after a link came up.
        let history = rusqlite::Connection::open(world.path(&peer.name).join("history.db")).unwrap();
        let kept = || history.query_row("SELECT count(*) FROM address", [], |row| row.get::<_, i64>(0));
        let until = std::time::Instant::now() + crate::harness::DEADLINE;
        while !kept().is_ok_and(|kept| kept > 0) {
            assert!(std::time::Instant::now() < until, "no address was kept");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        drop(history);
        peer.process.kill();
    }
    let mut alice = world.json("alice", &["host", "lobby"]);
    let mut bob = world.json("bob", &["host", "lobby"]);
    for peer in [&mut alice, &mut bob] {
        peer.wait("joined", |it| it["how"] == "returned");
    }
    bob.wait("link", |it| it["name"] == "alice" && it["path"] == "direct");
    alice.say("lobby", "again");
    bob.hears("alice", "again");
}

/// Two machines on one cable, as two network namespaces.
struct Cable([String; 2]);

impl Cable {
    /// `None` where this machine does not let us.
    fn lay() -> Option<Self> {
        let id = std::process::id();
        let cable = Cable([format!("p2plan{id}a"), format!("p2plan{id}b")]);
        let [a, b] = &cable.0;
        let (va, vb) = (format!("pl{id}a"), format!("pl{id}b"));
        let mut steps = vec![format!("netns add {a}"), format!("netns add {b}")];
        steps.push(format!("link add {va} netns {a} type veth peer name {vb} netns {b}"));
        for (ns, device, own, other) in [(a, &va, "10.77.0.1", "10.77.0.2"), (b, &vb, "10.77.0.2", "10.77.0.1")] {
            steps.push(format!("-n {ns} addr add {own}/24 dev {device}"));
            steps.push(format!("-n {ns} link set lo up"));
            steps.push(format!("-n {ns} link set {device} up"));
            steps.push(format!("-n {ns} route add default via {other}"));
        }
        let done = |step: &String| Command::new("ip").args(step.split(' ')).status().is_ok_and(|it| it.success());
        steps.iter().all(done).then_some(cable)
    }

    fn spawn(&self, side: usize, world: &World, name: &str, args: &[&str]) -> Process {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0[side], env!("CARGO_BIN_EXE_p2pchat")]).args(args);
        command.args(["--name", name, "--data-dir"]).arg(world.path(name)).env("HOME", world.path(""));
        Process::spawn(&mut command)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in &self.0 {
            let _ = Command::new("ip").args(["netns", "del", namespace]).output();
        }
    }
}

#[test]
fn two_machines_on_one_cable_find_each_other_by_the_rooms_name() {
    let world = nowhere();
    let cable = if is_root(std::path::Path::new("/proc/self")) { Cable::lay() } else { None };
    let Some(cable) = cable else {
        return eprintln!("SKIPPED: this takes root and `ip netns`; nothing was shown about the local network");
    };
    let mut alice = cable.spawn(0, &world, "alice", &["host", "lobby", "--lan"]);
    alice.wait_stderr("a ticket for lobby");
    let mut bob = cable.spawn(1, &world, "bob", &["join", "lobby", "--lan"]);
    // A cable that was laid a moment ago may lose the first questions: whoever heard nothing asks again.
    let until = std::time::Instant::now() + 2 * crate::harness::DEADLINE;
    while !alice.stderr.text().contains("bob (name unverified) wants to join lobby") {
        assert!(std::time::Instant::now() < until, "{}\n{}", alice.stderr.text(), bob.stderr.text());
        if bob.ended().is_some() {
            eprintln!("bob: {}", bob.stderr.text());
            bob = cable.spawn(1, &world, "bob", &["join", "lobby", "--lan"]);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    alice.write("/approve bob");
    bob.wait_stderr("alice: direct");
    bob.write("over the cable");
    alice.wait_lines(1);
    assert_eq!(alice.stdout.text(), "over the cable\n");
    // A name that nobody announces is said so.
    let mut carol = cable.spawn(1, &world, "carol", &["join", "attic", "--lan"]);
    assert_eq!(carol.end().code(), Some(1));
    assert!(carol.stderr.text().contains("nobody on this network announces"), "{}", carol.stderr.text());
}
