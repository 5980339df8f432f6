//! The figures, with the real programs:
//! `cargo test --release --test e2e measure -- --ignored --nocapture --test-threads 1`.
//!
//! Loopback has no distance to speak of, so that the time of an admission is told in round trips to the server too: a
//! relay between everybody and the server holds each datagram for a while. Links between members stay undelayed.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use p2pchat::identity::{Identity, Signer as _, Verified};
use p2pchat::net::PeerEndpoint;
use p2pchat::wire::{FromServer, Hello, ToServer};
use serde_json::json;

use crate::harness::World;

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A relay before the server that holds every datagram for `delay`, one way. It ends with the process.
fn far_from(server: &str, delay: Duration) -> String {
    let server: SocketAddr = server.parse().unwrap();
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = front.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut ways: HashMap<SocketAddr, mpsc::Sender<(Instant, Vec<u8>)>> = HashMap::new();
        let mut bytes = [0; 2048];
        while let Ok((size, client)) = front.recv_from(&mut bytes) {
            let way = ways.entry(client).or_insert_with(|| {
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
                let (to, from) = (Arc::clone(&back), Arc::clone(&front));
                let there = late(move |bytes| drop(to.send_to(bytes, server)));
                let here = late(move |bytes| drop(from.send_to(bytes, client)));
                std::thread::spawn(move || {
                    let mut bytes = [0; 2048];
                    while let Ok(size) = back.recv(&mut bytes) {
                        let _ = here.send((Instant::now() + delay, bytes[..size].to_vec()));
                    }
                });
                there
            });
            let _ = way.send((Instant::now() + delay, bytes[..size].to_vec()));
        }
    });
    address
}

/// Hands on what it is sent, each when its time has come.
fn late(hand_on: impl Fn(&[u8]) + Send + 'static) -> mpsc::Sender<(Instant, Vec<u8>)> {
    let (sender, waiting) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        for (due, bytes) in waiting {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            hand_on(&bytes);
        }
    });
    sender
}

#[test]
#[ignore = "a measurement"]
fn from_the_last_yes_to_the_first_message() {
    let near = admissions(Duration::ZERO);
    println!("last yes to first message, all on loopback: median {} ms, worst {} ms", ms(near[5]), ms(near[9]));
    let round_trip = Duration::from_millis(100);
    let far = admissions(round_trip / 2);
    let trips = (far[5].saturating_sub(near[5])).as_secs_f64() / round_trip.as_secs_f64();
    println!("  with the server 100 ms away: median {} ms, which is {trips:.2} round trips to the server", ms(far[5]));
}

/// Ten newcomers, one after the other: the times from the last yes to the first message received, sorted.
fn admissions(delay: Duration) -> Vec<Duration> {
    let mut world = World::new();
    if !delay.is_zero() {
        world.address = far_from(&world.address, delay);
    }
    let mut alice = world.founder("alice", "lobby", &[]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let mut times = Vec::new();
    for round in 0..10 {
        let name = format!("guest{round}");
        let mut guest = world.json(&name, &["join", "lobby"]);
        alice.approve(&name);
        let knock = bob.wait("knock", |it| it["name"] == name.as_str());
        bob.wait("consent", |it| it["by"] == "alice" && it["knock"] == knock["knock"]);
        let begun = Instant::now();
        bob.send(json!({"do": "approve", "knock": knock["knock"]}));
        // Bob greets the newcomer the moment that his own client has taken the step.
        bob.wait("member_joined", |it| it["name"] == name.as_str());
        bob.send(json!({"do": "say", "room": "lobby", "text": "welcome"}));
        guest.hears("bob", "welcome");
        times.push(begun.elapsed());
        guest.quit();
        for peer in [&mut alice, &mut bob] {
            peer.wait("member_left", |it| it["name"] == name.as_str());
        }
    }
    times.sort_unstable();
    times
}

#[test]
#[ignore = "a measurement"]
fn lines_through_a_room_of_five() {
    const LINES: usize = 20_000;
    let world = World::new();
    let mut founder = world.founder("founder", "lobby", &[]);
    let mut members = Vec::new();
    for name in ["ann", "ben", "cat"] {
        let mut inside: Vec<_> = std::iter::once(&mut founder).chain(&mut members).collect();
        let next = world.admit(name, "lobby", &mut inside);
        members.push(next);
    }
    let mut speaker = world.pipe("speaker", &["join", "lobby"]);
    founder.approve("speaker");
    members.iter_mut().for_each(|member| drop(member.approve("speaker")));
    for member in std::iter::once(&mut founder).chain(&mut members) {
        member.wait("link", |it| it["name"] == "speaker" && it["path"] == "direct");
    }
    let text: String =
        (0..LINES).map(|n| format!("line {n:6} of a text of some sixty bytes, as people write it\n")).collect();
    let before: Vec<_> = std::iter::once(&founder).chain(&members).map(|it| it.process.stdout.lines()).collect();
    let begun = Instant::now();
    let mut stdin = speaker.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    for (member, before) in std::iter::once(&founder).chain(&members).zip(before) {
        member.process.wait_lines(before + LINES);
    }
    let took = begun.elapsed();
    writer.join().unwrap();
    let rate = LINES as f64 / took.as_secs_f64();
    println!("{LINES} lines of 60 bytes to four others: {} ms, {rate:.0} lines/s, each at four", ms(took));
    assert_eq!(speaker.end().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory_of_a_server_with_a_thousand_idle_clients() {
    const CLIENTS: usize = 1000;
    let mut world = World::configured("connections_per_address = 2000\nhandshakes_per_s = 2000\n");
    let pid = world.server().id();
    let resident_kb = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let before = resident_kb();
    let mut kept = Vec::new();
    let mut endpoint = None;
    for number in 0..CLIENTS {
        if number % 50 == 0 {
            let own = PeerEndpoint::bind("127.0.0.1:0".parse().unwrap(), &Identity::from_seed(&[0; 32])).unwrap();
            endpoint = Some(Arc::new(own));
        }
        let endpoint = endpoint.clone().unwrap();
        let connection = endpoint.dial_server(&world.address).await.unwrap();
        let mut seed = [1; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let identity = Identity::from_seed(&seed);
        let name = format!("client{number}").parse().unwrap();
        let hello = Hello { exporter: connection.exporter, key: identity.id(), name, listed: false };
        let (link, mut reader, writer) = connection.open(|_| {}).await.unwrap();
        let hello = Verified::sign(hello, &identity).into_signed();
        writer.send(&ToServer::Hello((hello, None))).unwrap();
        assert!(matches!(reader.next().await, Ok(Some(FromServer::Welcome(_)))));
        kept.push((endpoint, link, reader, writer));
    }
    let connected = resident_kb();
    // Past the first keep-alives, when each client is only there.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let idle = resident_kb();
    let each = (idle.saturating_sub(before)) as f64 / CLIENTS as f64;
    println!(
        "server memory: {before} kB alone, {connected} kB when {CLIENTS} have logged in, {idle} kB idle ({each:.1} kB each)"
    );
    assert!(each < 256.0, "the bound of an idle client");
}

#[test]
#[ignore = "a measurement"]
fn processor_time_of_a_quiet_room() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &["--grace", "600", "--consent-timeout", "600"]);
    let mut bob = world.admit("bob", "lobby", &mut [&mut alice]);
    let mut carol = world.admit("carol", "lobby", &mut [&mut alice, &mut bob]);
    carol.process.kill();
    alice.wait("link", |it| it["name"] == "carol" && it["path"] == "none");
    let mut guest = world.json("guest", &["join", "lobby"]);
    alice.next("knock");
    let ids = [world.server().id(), alice.process.id(), bob.process.id(), guest.process.id()];
    let ticks = |id: u32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ids.map(ticks);
    std::thread::sleep(Duration::from_secs(20));
    let used: Vec<_> = ids.iter().zip(before).map(|(id, before)| ticks(*id) - before).collect();
    println!("hundredths of a second of processor time in 20 s: server, alice, bob, guest {used:?}");
    assert!(used.iter().all(|used| *used < 100), "somebody spins");
    drop(guest.process.stdin.take());
}
