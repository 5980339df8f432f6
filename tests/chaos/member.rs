//! One member over all its runs. A run is one process, from its start to its kill.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Heard, Peer};

/// A `message` that was printed whole.
#[derive(Debug, Clone)]
pub struct Shown {
    pub at: Instant,
    pub id: String,
    pub from: String,
    pub seq: u64,
    pub text: String,
    pub mine: bool,
}

/// One process and what it said.
pub struct Run {
    pub started: Instant,
    /// When it was killed.
    pub killed: Option<Instant>,
    /// When it was back in the room.
    pub joined: Option<Instant>,
    /// What it printed as messages, in order.
    pub shown: Vec<Shown>,
    /// Members it has a link with, and since when, by its own word.
    pub direct: BTreeMap<String, Instant>,
    pub stdout: Heard,
    pub stderr: Heard,
    /// Lines that were read already.
    read: usize,
}

/// A member's runs, the last of which may be alive.
pub struct Member {
    pub name: String,
    pub runs: Vec<Run>,
    /// The process, unless it was killed.
    pub process: Option<Peer>,
    /// When it is started again, or says its next line.
    pub next_at: Instant,
    /// How many lines were said.
    pub said: u64,
}

impl Member {
    /// A member whose first run is in the room already; what it printed so far was about getting in.
    pub fn new(peer: Peer) -> Self {
        let now = Instant::now();
        let name = peer.name.clone();
        let mut member = Member { name, runs: Vec::new(), process: None, next_at: now, said: 0 };
        member.begin(peer);
        let run = member.run_mut();
        run.joined = Some(now);
        run.read = run.stdout.lines();
        member
    }

    /// A new process.
    pub fn begin(&mut self, peer: Peer) {
        self.runs.push(Run {
            started: Instant::now(),
            killed: None,
            joined: None,
            shown: Vec::new(),
            direct: BTreeMap::new(),
            stdout: peer.process.stdout.clone(),
            stderr: peer.process.stderr.clone(),
            read: 0,
        });
        self.next_at = Instant::now();
        self.process = Some(peer);
    }

    /// The newest run.
    pub fn run(&self) -> &Run {
        self.runs.last().expect("a member has run at least once")
    }

    fn run_mut(&mut self) -> &mut Run {
        self.runs.last_mut().expect("a member has run at least once")
    }

    /// Whether it is in the room now.
    pub fn is_in(&self) -> bool {
        self.process.is_some() && self.run().joined.is_some()
    }

    /// Kills it where it stands, and hears what it had said.
    pub fn kill(&mut self) -> Result<(), String> {
        if let Some(mut peer) = self.process.take() {
            peer.process.kill();
            self.run_mut().killed = Some(Instant::now());
        }
        let run = self.run();
        run.stdout.wait_end();
        run.stderr.wait_end();
        self.hear()
    }

    /// Takes back a run that ended by itself.
    pub fn ended(&mut self) -> Result<(), String> {
        self.run().stdout.wait_end();
        self.hear()?;
        self.process = None;
        self.run_mut().killed = Some(Instant::now());
        Ok(())
    }

    /// Says its next line: its name, a number, and enough besides.
    pub fn say(&mut self, room: &str) {
        self.said += 1;
        let text = format!("{} {}", self.name, self.said);
        if let Some(peer) = &mut self.process {
            peer.send(json!({"do": "say", "room": room, "text": text}));
        }
    }

    /// Takes what it printed meanwhile. Nobody asks for a seat here, nobody leaves, nobody breaks a rule: whatever tells
    /// of such a thing is an error.
    pub fn hear(&mut self) -> Result<(), String> {
        let name = self.name.clone();
        let first = self.runs.len() == 1;
        let run = self.run_mut();
        for (at, line) in run.stdout.after(run.read) {
            run.read += 1;
            // The last line of a killed process may be a piece of one.
            if line.last() != Some(&b'\n') {
                continue;
            }
            let it: Value = serde_json::from_slice(&line).map_err(|why| format!("{name}: {why}"))?;
            let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
            match it["type"].as_str().unwrap_or_default() {
                "message" => run.shown.push(Shown {
                    at,
                    id: text("id"),
                    from: text("from"),
                    seq: it["seq"].as_u64().unwrap_or_default(),
                    text: text("text"),
                    mine: it["mine"] == true,
                }),
                "joined" if it["how"] == "returned" && !first => run.joined = Some(at),
                "link" if it["path"] == "direct" => drop(run.direct.insert(text("name"), at)),
                "link" => drop(run.direct.remove(&text("name"))),
                "error" if it["code"] == "server_unreachable" => {}
                "ready" | "server" | "pinned" | "delivered" | "rooms" | "members" | "history" | "ended" => {}
                _ => return Err(format!("{name}, run {}: {it}", self.runs.len())),
            }
        }
        Ok(())
    }

    /// Whether the newest run has shown this text.
    pub fn has_shown(&self, text: &str) -> bool {
        self.run().shown.iter().any(|shown| shown.text == text)
    }
}

/// Whether two members that are in have a link with each other's present process, as far as one can know from outside.
pub fn linked(one: &Member, other: &Member) -> Option<Instant> {
    let since = |a: &Member, b: &Member| {
        let since = *a.run().direct.get(&b.name)?;
        (since > b.run().started).then_some(since)
    };
    since(one, other).or_else(|| since(other, one)).filter(|_| one.is_in() && other.is_in())
}
