//! Servers and peers as processes. Everything waits for an event, up to a deadline that only a failure meets; then all that
//! was heard is printed.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Only a failure takes this long, even where two cores are shared by many.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// Lines of a process, as they come.
#[derive(Clone, Default)]
pub struct Heard(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    /// Each with its end.
    all: Vec<Vec<u8>>,
    /// When each came.
    at: Vec<Instant>,
    /// Whether no more can come.
    ended: bool,
}

impl Heard {
    /// Reads until the end, in a thread of its own.
    fn listen(stream: impl Read + Send + 'static) -> Self {
        let heard = Heard::default();
        let to = heard.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                let ended = !matches!(stream.read_until(b'\n', &mut line), Ok(1..));
                let mut state = to.0.0.lock().unwrap();
                if ended {
                    state.ended = true;
                } else {
                    state.all.push(line);
                    state.at.push(Instant::now());
                }
                to.0.1.notify_all();
                if ended {
                    return;
                }
            }
        });
        heard
    }

    /// What `look` finds in the lines so far, as soon as it finds something; `None` at the deadline, or when nothing more
    /// can come.
    fn wait<T>(&self, within: Duration, mut look: impl FnMut(&[Vec<u8>], bool) -> Option<T>) -> Option<T> {
        let until = Instant::now() + within;
        let mut state = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = look(&state.all, state.ended) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.0.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The lines from this one on, each with its end if it came to that, and when it came.
    pub fn after(&self, line: usize) -> Vec<(Instant, Vec<u8>)> {
        let state = self.0.0.lock().unwrap();
        state.at[line..].iter().copied().zip(state.all[line..].iter().cloned()).collect()
    }

    /// Waits until no more can come.
    #[track_caller]
    pub fn wait_end(&self) {
        assert!(self.wait(DEADLINE, |_, ended| ended.then_some(())).is_some(), "the stream does not end");
    }

    /// All so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().all.concat()
    }

    /// All so far, to be shown.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// All lines so far.
    pub fn lines(&self) -> usize {
        self.0.0.lock().unwrap().all.len()
    }
}

/// A process that does not outlive its test.
pub struct Process {
    child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: Heard,
    pub stderr: Heard,
}

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Heard::listen(child.stdout.take().unwrap());
        let stderr = Heard::listen(child.stderr.take().unwrap());
        Process { stdin: child.stdin.take(), child, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it at once, without a last word.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end, and until all it said was heard.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.stdout.wait_end();
                self.stderr.wait_end();
                return status;
            }
            assert!(
                Instant::now() < until,
                "it does not end; it said:\n{}\n{}",
                self.stdout.text(),
                self.stderr.text()
            );
            // A process's end can only be polled for without unsafe code.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line of standard output (or error) that holds `text`.
    #[track_caller]
    pub fn wait_stderr(&self, text: &str) -> String {
        let holds = |line: &Vec<u8>| String::from_utf8_lossy(line).contains(text);
        let found = self.stderr.wait(DEADLINE, |lines, _| {
            lines.iter().find(|line| holds(line)).map(|line| String::from_utf8_lossy(line).into_owned())
        });
        found.unwrap_or_else(|| panic!("nothing with {text:?} on standard error:\n{}", self.stderr.text()))
    }

    /// Waits for a line of standard output that holds `text`.
    #[track_caller]
    pub fn wait_stdout(&self, text: &str) {
        let holds = |lines: &[Vec<u8>]| lines.iter().any(|line| String::from_utf8_lossy(line).contains(text));
        let found = self.stdout.wait(DEADLINE, |lines, _| holds(lines).then_some(()));
        assert!(found.is_some(), "nothing with {text:?} on standard output:\n{}", self.stdout.text());
    }

    /// Waits until so many lines stand on standard output.
    #[track_caller]
    pub fn wait_lines(&self, count: usize) {
        let there = self.stdout.wait(DEADLINE, |lines, _| (lines.len() >= count).then_some(()));
        assert!(there.is_some(), "only {} of {count} lines; stderr:\n{}", self.stdout.lines(), self.stderr.text());
    }

    /// Writes a line to its standard input.
    #[track_caller]
    pub fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        writeln!(stdin, "{line}").unwrap_or_else(|why| panic!("{why}; stderr:\n{}", self.stderr.text()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One test's own machine: a folder, a server, peers.
pub struct World {
    dir: tempfile::TempDir,
    server: Option<Process>,
    /// Where the server is, as `--server` takes it.
    pub address: String,
    /// The words of its certificate.
    pub fingerprint: String,
}

impl World {
    /// With a server.
    pub fn new() -> Self {
        World::configured("")
    }

    /// With a server of these settings.
    #[track_caller]
    pub fn configured(settings: &str) -> Self {
        let mut world = World::at("127.0.0.1:0".to_owned());
        std::fs::write(world.path("server.toml"), settings).unwrap();
        world.start_server("certs", "server");
        world
    }

    /// Without a server of its own.
    pub fn at(address: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("server.toml"), "").unwrap();
        World { dir, server: None, address, fingerprint: String::new() }
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Leaves the folder where it is when the test ends, to be looked at.
    pub fn keep(&mut self) -> &Path {
        self.dir.disable_cleanup(true);
        self.dir.path()
    }

    /// A server's command line, with nothing of the machine it runs on.
    pub fn server_command(&self, certs: &str, data: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_p2pchat-server"));
        command.env_clear().env("HOME", self.dir.path()).env("P2PCHAT_LOG", "debug");
        command.args(["--listen", &self.address]).arg("--config").arg(self.path("server.toml"));
        command.arg("--cert").arg(self.path(certs)).arg("--data-dir").arg(self.path(data));
        command
    }

    /// Starts the server, on the port it had if it had one.
    #[track_caller]
    pub fn start_server(&mut self, certs: &str, data: &str) {
        let server = Process::spawn(&mut self.server_command(certs, data));
        let line = server.stdout.wait(DEADLINE, |lines, _| lines.first().cloned());
        let line = line.unwrap_or_else(|| panic!("the server did not start:\n{}", server.stderr.text()));
        let line = String::from_utf8(line).unwrap();
        let words: Vec<_> = line.trim_end().split(' ').collect();
        let ["listening", "on", address, "fingerprint", fingerprint] = words[..] else { panic!("{line}") };
        (self.address, self.fingerprint) = (address.to_owned(), fingerprint.to_owned());
        self.server = Some(server);
    }

    /// The server's process.
    pub fn server(&mut self) -> &mut Process {
        self.server.as_mut().expect("the server runs")
    }

    /// Ends the server without a word.
    pub fn kill_server(&mut self) {
        self.server = None;
    }

    /// A peer's command line, in a folder of its name.
    pub fn command(&self, name: &str, args: &[&str]) -> Command {
        self.command_in(name, name, args)
    }

    /// A peer's command line.
    pub fn command_in(&self, folder: &str, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_p2pchat"));
        command.env_clear().env("HOME", self.dir.path()).args(args);
        // Whoever looks for something wants all peers to write more into their logs.
        command.envs(std::env::var("P2PCHAT_LOG").map(|filter| ("P2PCHAT_LOG", filter)));
        command.args(["--server", &self.address, "--listen", "127.0.0.1:0", "--name", name]);
        command.arg("--data-dir").arg(self.path(folder));
        command
    }

    /// A peer that speaks JSON.
    pub fn json(&self, name: &str, args: &[&str]) -> Peer {
        let process = Process::spawn(self.command(name, args).arg("--json"));
        Peer { name: name.to_owned(), process, parsed: Vec::new(), log: self.path(name).join("p2pchat.log") }
    }

    /// A peer that speaks lines.
    pub fn pipe(&self, name: &str, args: &[&str]) -> Process {
        Process::spawn(&mut self.command(name, args))
    }

    /// The founder of a room, once inside.
    #[track_caller]
    pub fn founder(&self, name: &str, room: &str, how: &[&str]) -> Peer {
        let mut peer = self.json(name, &[&["create", room], how].concat());
        peer.wait("joined", |it| it["room"] == room && it["how"] == "founded");
        peer
    }

    /// Brings a peer into a room by everybody's consent; everybody is linked with everybody afterwards.
    #[track_caller]
    pub fn admit(&self, name: &str, room: &str, members: &mut [&mut Peer]) -> Peer {
        let mut newcomer = self.json(name, &["join", room]);
        self.let_in(&mut newcomer, members);
        newcomer
    }

    /// Approves a newcomer that knocks.
    #[track_caller]
    pub fn let_in(&self, newcomer: &mut Peer, members: &mut [&mut Peer]) {
        let name = newcomer.name.clone();
        for member in members.iter_mut() {
            member.approve(&name);
        }
        newcomer.wait("joined", |it| it["how"] == "admitted");
        for member in members.iter_mut() {
            member.wait("member_joined", |it| it["name"] == name);
            member.wait("link", |it| it["name"] == name && it["path"] == "direct");
            newcomer.wait("link", |it| it["name"] == member.name && it["path"] == "direct");
        }
    }
}

/// A peer that speaks JSON. Each event is taken once, in any order.
pub struct Peer {
    pub name: String,
    pub process: Process,
    /// What was heard, `None` once taken.
    parsed: Vec<Option<Value>>,
    log: PathBuf,
}

impl Peer {
    /// A process that speaks JSON, started by the caller.
    pub fn of(name: &str, process: Process, log: PathBuf) -> Self {
        Peer { name: name.to_owned(), process, parsed: Vec::new(), log }
    }

    /// Takes the first event of this type that fits, if one comes before `until`.
    pub fn wait_within(&mut self, until: Instant, kind: &str, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let (parsed, stdout) = (&mut self.parsed, self.process.stdout.clone());
        stdout.wait(until.saturating_duration_since(Instant::now()), |lines, _| {
            Self::parse(parsed, lines);
            let fits = |it: &Option<Value>| it.as_ref().is_some_and(|it| it["type"] == kind && fits(it));
            let at = parsed.iter().position(fits)?;
            parsed[at].take()
        })
    }

    /// Waits as [`Peer::wait`] does, and tells when the first such line came.
    #[track_caller]
    pub fn wait_at(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> (Value, Instant) {
        let found = self.wait(kind, &fits);
        let at = self.first_at(kind, fits).expect("it was heard just now");
        (found, at)
    }

    /// When the first event of this type that fits came, if one did.
    pub fn first_at(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Option<Instant> {
        let fits = |line: &[u8]| serde_json::from_slice::<Value>(line).is_ok_and(|it| it["type"] == kind && fits(&it));
        self.process.stdout.after(0).into_iter().find(|(_, line)| fits(line)).map(|(at, _)| at)
    }

    fn parse(parsed: &mut Vec<Option<Value>>, lines: &[Vec<u8>]) {
        for line in &lines[parsed.len()..] {
            let value = serde_json::from_slice(line);
            parsed.push(Some(value.unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(line)))));
        }
    }

    /// Takes the first event of this type that fits, waiting for it if need be.
    #[track_caller]
    pub fn wait(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let (parsed, stdout) = (&mut self.parsed, self.process.stdout.clone());
        let found = stdout.wait(DEADLINE, |lines, _| {
            Self::parse(parsed, lines);
            let fits = |it: &Option<Value>| it.as_ref().is_some_and(|it| it["type"] == kind && fits(it));
            let at = parsed.iter().position(fits)?;
            parsed[at].take()
        });
        found.unwrap_or_else(|| panic!("{} never heard a {kind} that fits", self.name))
    }

    /// Takes the first event of this type.
    #[track_caller]
    pub fn next(&mut self, kind: &str) -> Value {
        self.wait(kind, |_| true)
    }

    /// Whether an event of this type that fits was ever heard, taken or not.
    pub fn has_heard(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> bool {
        self.heard().iter().any(|it| it["type"] == kind && fits(it))
    }

    /// All that was heard.
    pub fn heard(&self) -> Vec<Value> {
        let bytes = self.process.stdout.bytes();
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// All there is to know when something went wrong.
    pub fn story(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("heard:\n{}stderr:\n{}log:\n{log}", self.process.stdout.text(), self.process.stderr.text())
    }

    /// Asks for something.
    #[track_caller]
    pub fn send(&mut self, command: Value) {
        self.process.write(&command.to_string());
    }

    /// Says a text, and gives back its own message.
    #[track_caller]
    pub fn say(&mut self, room: &str, text: &str) -> Value {
        self.send(json!({"do": "say", "room": room, "text": text}));
        self.wait("message", |it| it["mine"] == true && it["text"] == text)
    }

    /// Waits for a text of somebody.
    #[track_caller]
    pub fn hears(&mut self, from: &str, text: &str) -> Value {
        self.wait("message", |it| it["from"] == from && it["text"] == text)
    }

    /// Waits for somebody's knock and says yes.
    #[track_caller]
    pub fn approve(&mut self, newcomer: &str) -> Value {
        let knock = self.wait("knock", |it| it["name"] == newcomer);
        self.send(json!({"do": "approve", "knock": knock["knock"]}));
        knock
    }

    /// Asks who is in, by name.
    #[track_caller]
    pub fn members(&mut self, room: &str) -> Vec<String> {
        self.send(json!({"do": "members", "room": room}));
        let answer = self.next("members");
        answer["members"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The words of this peer's key.
    #[track_caller]
    pub fn fingerprint(&self) -> String {
        let ready = self.process.stdout.wait(DEADLINE, |lines, _| lines.first().cloned());
        let ready: Value = serde_json::from_slice(&ready.expect("it starts")).unwrap();
        ready["fingerprint"].as_str().expect("ready comes first").to_owned()
    }

    /// Quits in an orderly way.
    #[track_caller]
    pub fn quit(&mut self) -> Option<i32> {
        self.send(json!({"do": "quit"}));
        self.exit()
    }

    /// The exit code, once it ends.
    #[track_caller]
    pub fn exit(&mut self) -> Option<i32> {
        self.process.end().code()
    }
}

/// A test that fails tells what each of its peers heard.
impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} {}", self.name, self.story());
        }
    }
}

/// Runs a command to its end with nothing on standard input.
#[track_caller]
pub fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let mut process = Process::spawn(command);
    process.stdin = None;
    let code = process.end().code();
    (code, process.stdout.text(), process.stderr.text())
}

/// Whether this process may do what only root may.
pub fn is_root(probe: &Path) -> bool {
    std::fs::metadata(probe).map(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0).unwrap_or(false)
}
