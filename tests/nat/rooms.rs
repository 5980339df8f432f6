//! The real programs on the hosts of a lab.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Peer, Process};
use crate::lab::{Host, Lab, Router};

/// The name of the one room.
pub const ROOM: &str = "lobby";

/// A lab with a rendezvous in it.
pub struct Net {
    pub lab: Lab,
    pub rendezvous: Host,
    dir: tempfile::TempDir,
    /// Ends with the net.
    _server: Process,
    pub address: String,
}

impl Net {
    /// An Internet with a rendezvous at a public address.
    pub fn new() -> Net {
        let mut lab = Lab::new();
        let rendezvous = lab.host(Router::None);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("server.toml"), "").unwrap();
        let address = format!("{}:4433", rendezvous.address);
        let mut command = within(&rendezvous, env!("CARGO_BIN_EXE_p2pchat-server"));
        command.env_clear().env("HOME", dir.path()).args(["--listen", &address]);
        command.arg("--config").arg(dir.path().join("server.toml")).arg("--cert").arg(dir.path().join("certs"));
        command.arg("--data-dir").arg(dir.path().join("server"));
        let server = Process::spawn(&mut command);
        server.wait_lines(1);
        Net { lab, rendezvous, dir, _server: server, address }
    }

    /// A member's program on a host.
    pub fn peer(&self, host: &Host, name: &str, args: &[&str]) -> Peer {
        self.peer_at(&self.address, host, name, args)
    }

    /// The same, of somebody whose server is nowhere.
    pub fn peer_alone(&self, host: &Host, name: &str, args: &[&str]) -> Peer {
        self.peer_at("127.0.0.1:9", host, name, args)
    }

    fn peer_at(&self, server: &str, host: &Host, name: &str, args: &[&str]) -> Peer {
        let mut command = within(host, env!("CARGO_BIN_EXE_p2pchat"));
        command.env_clear().env("HOME", self.dir.path()).args(args);
        command.envs(std::env::var("P2PCHAT_LOG").map(|filter| ("P2PCHAT_LOG", filter)));
        command.args(["--server", server, "--name", name, "--json"]);
        command.arg("--data-dir").arg(self.dir.path().join(name));
        Peer::of(name, Process::spawn(&mut command), self.dir.path().join(name).join("p2pchat.log"))
    }

    /// The founder of the room, once inside.
    #[track_caller]
    pub fn founder(&self, host: &Host, name: &str) -> Peer {
        let mut peer = self.peer(host, name, &["create", ROOM]);
        peer.wait("joined", |it| it["how"] == "founded");
        peer
    }

    /// Brings somebody in by everybody's yes; gives back when the last one was given.
    #[track_caller]
    pub fn admit(&self, host: &Host, name: &str, members: &mut [&mut Peer]) -> (Peer, Instant) {
        let mut newcomer = self.peer(host, name, &["join", ROOM]);
        let knocks: Vec<Value> =
            members.iter_mut().map(|member| member.wait("knock", |it| it["name"] == name)).collect();
        for (member, knock) in members.iter_mut().zip(knocks) {
            member.send(json!({"do": "approve", "knock": knock["knock"]}));
        }
        let go = Instant::now();
        newcomer.wait("joined", |it| it["how"] == "admitted");
        (newcomer, go)
    }
}

/// A program inside a host's namespace.
pub fn within(host: &Host, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &host.namespace, program]);
    command
}

/// How two members reach each other, once that is settled: waits until both have told a direct link, `within` at most; then
/// it is whatever they told last.
pub fn settled(one: &mut Peer, other: &mut Peer, within: Duration) -> String {
    let until = Instant::now() + within;
    let direct = |it: &Value, who: &str| it["name"] == who && it["path"] == "direct";
    let (first, second) = (one.name.clone(), other.name.clone());
    let both = one.wait_within(until, "link", |it| direct(it, &second)).is_some()
        && other.wait_within(until, "link", |it| direct(it, &first)).is_some();
    if both {
        return "direct".to_owned();
    }
    one.send(json!({"do": "members", "room": ROOM}));
    let members = one.next("members");
    let row = members["members"].as_array().unwrap().iter().find(|it| it["name"] == second.as_str()).unwrap();
    match row["via"].as_str() {
        Some(via) => format!("relayed via {via}"),
        None => row["path"].as_str().unwrap().to_owned(),
    }
}

/// Everything that was ever heard of a text, in the order heard, without repeats being dropped.
pub fn texts(peer: &Peer, from: &str) -> Vec<String> {
    let said =
        |it: &Value| (it["type"] == "message" && it["from"] == from).then(|| it["text"].as_str().unwrap().to_owned());
    peer.heard().iter().filter_map(said).collect()
}
