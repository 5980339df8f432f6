//! A room of five and its server, everybody talking, and somebody killed every moment.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::harness::{DEADLINE, Heard, World, run};
use crate::member::{Member, linked};
use crate::verdict::{self, Figures};

const ROOM: &str = "lobby";

/// Time between two kills. A room needs some to talk in.
const BETWEEN_KILLS: (Duration, Duration) = (Duration::from_millis(400), Duration::from_millis(1_600));

/// Longest time that something killed stays down; the grace is far longer, so that seats are kept.
const DOWN_MAX: Duration = Duration::from_secs(3);

/// Time without the server: some to talk in.
const SERVER_DOWN: (Duration, Duration) = (Duration::from_millis(500), DOWN_MAX);

/// The room's grace, in seconds.
const GRACE_S: &str = "600";

/// Time between two lines of a member.
const BETWEEN_LINES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(400));

/// The dead's connections, which a server holds until their idle time is up, all come from one address here.
const SERVER: &str = "connections_per_address = 10000\nhandshakes_per_s = 1000\n";

/// Time after which two members who have told of a link are taken for linked, come what may.
const LINK_HOLDS: Duration = Duration::from_secs(1);

/// The server's downtime.
struct Outage {
    /// Since when.
    began: Instant,
    /// Until when at least.
    until: Instant,
    /// Set at `until`: what was sent since `began` and is to arrive before the server may come back.
    due: Option<Vec<Due>>,
}

/// A line that is to arrive: its author and its reader, each with the number of the run, and the text.
type Due = ([(usize, usize); 2], String);

pub struct Storm {
    world: World,
    seed: u64,
    rng: StdRng,
    members: Vec<Member>,
    outage: Option<Outage>,
    began: Instant,
    /// Every kill and start, with its time.
    log: String,
    figures: Figures,
    /// What the server's processes wrote to standard error.
    server_stderr: Vec<Heard>,
    /// When the server was away.
    outages: Vec<(Instant, Instant)>,
}

impl Storm {
    /// Five members in one room, all linked.
    pub fn begin(seed: u64) -> Self {
        let mut world = World::configured(SERVER);
        let mut peers = vec![world.founder("ann", ROOM, &["--size", "5", "--grace", GRACE_S])];
        for name in ["ben", "cat", "dan", "eve"] {
            let mut inside: Vec<_> = peers.iter_mut().collect();
            let newcomer = world.admit(name, ROOM, &mut inside);
            peers.push(newcomer);
        }
        let server_stderr = vec![world.server().stderr.clone()];
        Storm {
            world,
            seed,
            rng: StdRng::seed_from_u64(seed),
            members: peers.into_iter().map(Member::new).collect(),
            outage: None,
            began: Instant::now(),
            log: String::new(),
            figures: Figures::default(),
            server_stderr,
            outages: Vec::new(),
        }
    }

    /// Kills so many times, lets everybody come back, and judges.
    pub fn rage(mut self, kills: u64) -> Figures {
        let mut kill_at = Instant::now() + Duration::from_secs(1);
        while self.figures.kills < kills {
            self.turn(true);
            if Instant::now() >= kill_at {
                self.kill();
                kill_at = Instant::now() + self.between(BETWEEN_KILLS);
            }
        }
        self.settle();
        self.rooms_stand();
        for member in &mut self.members {
            let dead = member.kill();
            if let Err(why) = dead {
                self.fail(&why);
            }
        }
        self.figures.said = self.members.iter().map(|member| member.said).sum();
        match verdict::judge(&self.world, &self.members, &self.outages) {
            Ok(judged) => self.figures.clone().and(judged),
            Err(why) => self.fail(&why),
        }
    }

    fn between(&mut self, (least, most): (Duration, Duration)) -> Duration {
        self.rng.random_range(least..most)
    }

    fn note(&mut self, what: &str) {
        let _ = writeln!(self.log, "{:9.3} s  {what}", self.began.elapsed().as_secs_f64());
    }

    fn fail(&self, why: &str) -> ! {
        panic!("after {:.3} s: {why}", self.began.elapsed().as_secs_f64())
    }

    /// One look around: hear everybody, start who is due, say what is due.
    fn turn(&mut self, talking: bool) {
        for at in 0..self.members.len() {
            if let Err(why) = self.members[at].hear() {
                self.fail(&why);
            }
            self.mourn(at);
            if self.members[at].next_at > Instant::now() {
                continue;
            }
            if self.members[at].process.is_none() {
                self.raise(at);
            } else if talking && self.members[at].is_in() {
                self.members[at].say(ROOM);
                self.members[at].next_at = Instant::now() + self.between(BETWEEN_LINES);
            }
        }
        self.tend_server();
        // Short beside everything measured here; what was heard carries the time at which it came.
        std::thread::sleep(Duration::from_millis(10));
    }

    /// A program that finds no server when it starts says so and ends. Any other end is a failure.
    fn mourn(&mut self, at: usize) {
        let Some(peer) = &mut self.members[at].process else { return };
        let Some(status) = peer.process.ended() else { return };
        if let Err(why) = self.members[at].ended() {
            self.fail(&why);
        }
        let name = self.members[at].name.clone();
        if status.code() != Some(4) {
            self.fail(&format!("{name} ended by itself: {status}"));
        }
        self.figures.found_no_server += 1;
        self.note(&format!("{name} found no server"));
        self.members[at].next_at = Instant::now() + Duration::from_millis(300);
    }

    fn raise(&mut self, at: usize) {
        let name = self.members[at].name.clone();
        let peer = self.world.json(&name, &["join", ROOM]);
        self.members[at].begin(peer);
        self.note(&format!("{name} starts, run {}", self.members[at].runs.len()));
    }

    /// Kills a member, two members, the server, or the server and a member, at one moment.
    fn kill(&mut self) {
        let dice = self.rng.random_range(0..100);
        let (peers, server) = match dice {
            0..65 => (1, false),
            65..80 => (2, false),
            80..95 => (0, true),
            _ => (1, true),
        };
        for _ in 0..peers {
            let alive: Vec<_> = (0..self.members.len()).filter(|at| self.members[*at].process.is_some()).collect();
            if alive.is_empty() {
                return;
            }
            let at = alive[self.rng.random_range(0..alive.len())];
            self.kill_member(at);
        }
        if server && self.outage.is_none() {
            self.world.kill_server();
            let down = self.between(SERVER_DOWN);
            self.outage = Some(Outage { began: Instant::now(), until: Instant::now() + down, due: None });
            self.figures.kills += 1;
            self.figures.server_kills += 1;
            self.note(&format!("server killed, for {} ms", down.as_millis()));
        }
    }

    fn kill_member(&mut self, at: usize) {
        if let Err(why) = self.members[at].kill() {
            self.fail(&why);
        }
        let down = self.down();
        self.members[at].next_at = Instant::now() + down;
        self.figures.kills += 1;
        let name = self.members[at].name.clone();
        self.note(&format!("{name} killed, for {} ms", down.as_millis()));
    }

    /// At once, or after a while.
    fn down(&mut self) -> Duration {
        if self.rng.random_range(0..2) == 0 { Duration::ZERO } else { self.between((Duration::ZERO, DOWN_MAX)) }
    }

    /// Starts the server when its time has come and what was said without it has arrived at those with a link.
    fn tend_server(&mut self) {
        let Some(mut outage) = self.outage.take() else { return };
        if outage.until > Instant::now() {
            self.outage = Some(outage);
            return;
        }
        if outage.due.is_none() {
            let due = self.said_without_server(outage.began);
            self.figures.without_server += due.len() as u64;
            outage.due = Some(due);
        }
        let runs: Vec<_> = self.members.iter().map(|member| (member.process.is_some(), member.runs.len())).collect();
        let missing = outage.due.iter_mut().flatten().find(|(pair, text)| {
            // Who was killed meanwhile gets it later, or not at all.
            let live = pair.iter().all(|(at, run)| runs[*at] == (true, *run));
            live && !self.members[pair[1].0].has_shown(text)
        });
        if let Some((pair, text)) = missing {
            if outage.until.elapsed() > DEADLINE {
                let reader = &self.members[pair[1].0].name;
                self.fail(&format!("{text:?} does not reach {reader} without the server"));
            }
            self.outage = Some(outage);
            return;
        }
        self.world.start_server("certs", "server");
        self.server_stderr.push(self.world.server().stderr.clone());
        self.outages.push((outage.began, Instant::now()));
        self.note("server starts");
        self.rooms_stand();
    }

    /// What was sent since the server is down by those who have a link, and to whom.
    fn said_without_server(&self, since: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (a, author) in self.members.iter().enumerate() {
            for (r, reader) in self.members.iter().enumerate() {
                if a == r || linked(author, reader).is_none_or(|at| at + LINK_HOLDS > since) {
                    continue;
                }
                let sent = author.run().shown.iter().filter(|shown| shown.mine && shown.at >= since);
                due.extend(sent.map(|it| ([(a, author.runs.len()), (r, reader.runs.len())], it.text.clone())));
            }
        }
        due
    }

    /// The server, just started or not, knows the room and its five seats.
    fn rooms_stand(&self) {
        let (code, out, err) = run(self.world.command_in("visitor", "visitor", &["list"]).arg("--json"));
        let rooms: Option<Value> =
            out.lines().filter_map(|line| serde_json::from_str(line).ok()).find(|it: &Value| it["type"] == "rooms");
        let stands = rooms.as_ref().is_some_and(|it| {
            let rooms = it["rooms"].as_array().map_or(&[][..], Vec::as_slice);
            rooms.len() == 1 && rooms[0]["room"] == ROOM && rooms[0]["members"] == 5
        });
        if !stands {
            self.fail(&format!("the room does not stand as it was: {code:?} {out} {err}"));
        }
    }

    /// Everybody is back, and has got the last line of everybody.
    fn settle(&mut self) {
        self.note("the storm is over");
        let until = Instant::now() + DEADLINE;
        while self.outage.is_some() || !self.members.iter().all(Member::is_in) {
            self.turn(false);
            if Instant::now() > until {
                self.fail("not everybody comes back");
            }
        }
        for member in &mut self.members {
            member.say(ROOM);
        }
        let last: Vec<_> = self.members.iter().map(|member| format!("{} {}", member.name, member.said)).collect();
        let calm = Instant::now();
        while let Some((name, text)) =
            self.members.iter().find_map(|it| Some((&it.name, last.iter().find(|text| !it.has_shown(text))?)))
        {
            if Instant::now() > until {
                self.fail(&format!("{text:?} never reaches {name}"));
            }
            self.turn(false);
        }
        self.figures.settled_ms = calm.elapsed().as_millis();
    }
}

/// A storm that fails leaves everything behind; any does when `P2PCHAT_KEEP` is set.
impl Drop for Storm {
    fn drop(&mut self) {
        if !std::thread::panicking() && std::env::var_os("P2PCHAT_KEEP").is_none() {
            return;
        }
        let folder = self.world.keep().to_owned();
        for member in &self.members {
            for (number, run) in member.runs.iter().enumerate() {
                let file = |stream: &str| folder.join(format!("{}.{}.{stream}", member.name, number + 1));
                let _ = std::fs::write(file("stdout"), run.stdout.bytes());
                let _ = std::fs::write(file("stderr"), run.stderr.bytes());
            }
        }
        for (number, stderr) in self.server_stderr.iter().enumerate() {
            let _ = std::fs::write(folder.join(format!("server.{}.stderr", number + 1)), stderr.bytes());
        }
        let _ = std::fs::write(folder.join("kills"), &self.log);
        eprintln!("seed of this room: {}\n{}all is kept in {}", self.seed, self.log, folder.display());
    }
}
