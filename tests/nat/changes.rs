//! Networks that change under a chat of two, both behind routers at home, with nobody else to carry for them: each side
//! changes once, since only one of them can be the one that dialled. Messages flow all the while.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Peer;
use crate::lab::{self, Host, Lab, Router};
use crate::rooms::{Net, ROOM, texts};

/// Within this a chat goes on once the network is back; the goal is three seconds, the rest is for a machine that is busy.
const RESUMED_WITHIN: Duration = Duration::from_secs(6);

/// Between two messages of each.
const PACE: Duration = Duration::from_millis(40);

/// Two members that talk without a pause.
struct Pair {
    // First, since what they tell of a failure is in the folder of the net.
    peers: [Peer; 2],
    net: Net,
    hosts: [Host; 2],
    said: usize,
}

impl Pair {
    fn new() -> Pair {
        let mut net = Net::new();
        let hosts = [net.lab.host(Router::Home), net.lab.host(Router::Home)];
        let mut alice = net.peer(&hosts[0], "alice", &["create", ROOM, "--grace", "1000"]);
        alice.wait("joined", |it| it["how"] == "founded");
        let (mut bob, _) = net.admit(&hosts[1], "bob", &mut [&mut alice]);
        alice.wait("link", |it| it["path"] == "direct");
        bob.wait("link", |it| it["path"] == "direct");
        Pair { peers: [alice, bob], net, hosts, said: 0 }
    }

    /// Each says one thing.
    fn say(&mut self, who: &[usize]) {
        for who in who {
            self.peers[*who].send(json!({"do": "say", "room": ROOM, "text": format!("line {}", self.said)}));
        }
        self.said += 1;
        // The pace of those who talk, not a wait for something.
        std::thread::sleep(PACE);
    }

    /// Talks until each has heard something that was said after `since`; how long that took.
    fn resumed(&mut self, since: Instant, who: &[usize]) -> Duration {
        let first = self.said;
        let until = Instant::now() + Duration::from_secs(30);
        let heard = |peer: &Peer| {
            let new = |it: &Value| {
                it["type"] == "message" && it["mine"] == false && number(it).is_some_and(|nth| nth >= first)
            };
            peer.first_at("message", new)
        };
        loop {
            self.say(who);
            if let [Some(one), Some(other)] = [heard(&self.peers[0]), heard(&self.peers[1])] {
                return one.max(other).saturating_duration_since(since);
            }
            assert!(Instant::now() < until, "the chat does not go on");
        }
    }

    /// Nothing was lost, nothing came twice, all in order.
    fn all_arrived(&mut self, silent: &BTreeMap<usize, std::ops::Range<usize>>) {
        let said = self.said;
        let last = format!("line {}", said - 1);
        for (me, from) in [(0, "bob"), (1, "alice")] {
            self.peers[me].hears(from, &last);
            let skipped = silent.get(&(1 - me)).cloned().unwrap_or(0..0);
            let expected: Vec<_> =
                (0..said).filter(|nth| !skipped.contains(nth)).map(|nth| format!("line {nth}")).collect();
            assert_eq!(texts(&self.peers[me], from), expected, "what {} heard of {from}", self.peers[me].name);
        }
    }
}

fn number(message: &Value) -> Option<usize> {
    message["text"].as_str()?.strip_prefix("line ")?.parse().ok()
}

/// Talks, changes the network of one and then of the other, talks on; how long each change took to be over.
fn survives(change: impl Fn(&Lab, &Host)) -> [Duration; 2] {
    let mut pair = Pair::new();
    let mut took = [Duration::ZERO; 2];
    for who in [0, 1] {
        for _ in 0..25 {
            pair.say(&[0, 1]);
        }
        change(&pair.net.lab, &pair.hosts[who]);
        took[who] = pair.resumed(Instant::now(), &[0, 1]);
        // Long enough for a link that was replaced too early to show it.
        for _ in 0..25 {
            pair.say(&[0, 1]);
        }
    }
    pair.all_arrived(&BTreeMap::new());
    took
}

fn report(what: &str, took: [Duration; 2]) {
    let mut line = format!("{what:<44}");
    for (who, took) in ["the founder", "the newcomer"].iter().zip(took) {
        write!(line, " {who} changes: {:>5} ms", took.as_millis()).unwrap();
    }
    println!("{line}");
    assert!(took.iter().all(|took| *took < RESUMED_WITHIN), "{line}");
}

#[test]
fn a_chat_survives_a_new_address_on_the_interface() {
    if !lab::available() {
        return;
    }
    let took = survives(|lab, host| {
        let (name, site) = (&host.namespace, host.site);
        lab.run(&format!(
            "ip -n {name} address del 10.{site}.0.2/24 dev eth0
             ip -n {name} address add 10.{site}.0.77/24 dev eth0
             ip -n {name} route add default via 10.{site}.0.1"
        ));
    });
    report("a new address on the interface", took);
}

#[test]
fn a_chat_survives_a_router_that_gets_a_new_address() {
    if !lab::available() {
        return;
    }
    let took = survives(|lab, host| {
        let (router, public) = (&host.router, 100 + host.site);
        lab.run(&format!(
            "ip -n {router} address del 198.51.{public}.2/24 dev wan0
             ip -n {router} address add 198.51.{public}.9/24 dev wan0
             ip -n {router} route add default via 198.51.{public}.1"
        ));
    });
    report("the router gets a new address", took);
}

#[test]
fn a_chat_survives_a_walk_to_another_network() {
    if !lab::available() {
        return;
    }
    let mut pair = Pair::new();
    let mut took = [Duration::ZERO; 2];
    for who in [0, 1] {
        // The telephone that it is tethered to: another address, another router, another way out.
        let elsewhere = pair.net.lab.host(Router::Home);
        let (host, router, site) = (pair.hosts[who].namespace.clone(), elsewhere.router, elsewhere.site);
        pair.net.lab.run(&format!(
            "ip link add usb0 netns {host} type veth peer name usb netns {router}
             ip -n {router} link set usb master lan0 up
             ip -n {host} link set usb0 up"
        ));
        for _ in 0..25 {
            pair.say(&[0, 1]);
        }
        pair.net.lab.run(&format!("ip -n {host} link set eth0 down"));
        // Meanwhile there is no network at all.
        for _ in 0..25 {
            pair.say(&[0, 1]);
        }
        pair.net.lab.run(&format!(
            "ip -n {host} address add 10.{site}.0.50/24 dev usb0
             ip -n {host} route add default via 10.{site}.0.1"
        ));
        took[who] = pair.resumed(Instant::now(), &[0, 1]);
        for _ in 0..25 {
            pair.say(&[0, 1]);
        }
    }
    pair.all_arrived(&BTreeMap::new());
    report("from Wi-Fi to tethering, a second between", took);
}

#[test]
fn a_chat_survives_a_sleep() {
    if !lab::available() {
        return;
    }
    // Longer than links live; `P2PCHAT_SLEEP_S=600` for the ten minutes of a real nap.
    let asked = std::env::var("P2PCHAT_SLEEP_S").ok().and_then(|text| text.parse().ok());
    let nap = Duration::from_secs(asked.unwrap_or(16));
    let mut pair = Pair::new();
    let mut took = [Duration::ZERO; 2];
    let mut silent = BTreeMap::new();
    for who in [0, 1] {
        for _ in 0..25 {
            pair.say(&[0, 1]);
        }
        pair.peers[who].process.signal("STOP");
        let (began, from) = (Instant::now(), pair.said);
        while began.elapsed() < nap {
            pair.say(&[1 - who]);
        }
        silent.insert(who, from..pair.said);
        pair.peers[who].process.signal("CONT");
        took[who] = pair.resumed(Instant::now(), &[0, 1]);
    }
    pair.all_arrived(&silent);
    report(&format!("a sleep of {} s", nap.as_secs()), took);
}
