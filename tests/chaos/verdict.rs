//! What must hold in the end, read from what was printed and from the databases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use p2pchat::store::peer::PeerStore;

use crate::harness::World;
use crate::member::{Member, Run};

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub kills: u64,
    pub server_kills: u64,
    /// Starts while the server was down, which end by themselves.
    pub found_no_server: u64,
    pub said: u64,
    pub sent: u64,
    pub kept: u64,
    /// Lines that were between a member's database and its standard output when it was killed.
    pub unseen: u64,
    /// Deliveries that were waited for with the server down.
    pub without_server: u64,
    /// Time from the last line said to everybody having it.
    pub settled_ms: u128,
    /// Times from a start to being in the room, the server being up all along.
    pub to_joined: Vec<Duration>,
    /// Times from a start to the first line of somebody else.
    pub to_first_line: Vec<Duration>,
    /// Times from a start to a link with each other member that was up all along.
    pub to_link: Vec<Duration>,
}

impl Figures {
    /// Both together.
    pub fn and(mut self, other: Figures) -> Figures {
        self.kills += other.kills;
        self.server_kills += other.server_kills;
        self.found_no_server += other.found_no_server;
        self.said += other.said;
        self.sent += other.sent;
        self.kept += other.kept;
        self.unseen += other.unseen;
        self.without_server += other.without_server;
        self.settled_ms = self.settled_ms.max(other.settled_ms);
        self.to_joined.extend(other.to_joined);
        self.to_first_line.extend(other.to_first_line);
        self.to_link.extend(other.to_link);
        self
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            kills, server_kills, found_no_server, said, sent, kept, unseen, without_server, settled_ms, ..
        } = self;
        writeln!(
            f,
            "{kills} kills, {server_kills} of them of a server; {found_no_server} starts that found no server"
        )?;
        writeln!(f, "{said} lines said, {sent} shown as sent, {kept} kept by everybody, none lost, none twice")?;
        writeln!(f, "{unseen} times a member kept a line and was killed before it was shown")?;
        writeln!(f, "{without_server} deliveries without the server; all level {settled_ms} ms after the last line")?;
        for (what, times) in [
            ("being in the room", &self.to_joined),
            ("the first line of somebody else", &self.to_first_line),
            ("a link with each other member", &self.to_link),
        ] {
            let mut times = times.clone();
            times.sort_unstable();
            let ms = |part: f64| {
                let at = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
                times.get(at).map_or(0, Duration::as_millis)
            };
            let (median, p99, worst) = (ms(0.5), ms(0.99), ms(1.0));
            writeln!(
                f,
                "from a restart to {what}: median {median} ms, p99 {p99} ms, worst {worst} ms of {}",
                times.len()
            )?;
        }
        Ok(())
    }
}

/// One author's entries.
type Log = Vec<Line>;

/// An entry as a member keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    seq: u64,
    id: String,
    text: String,
    /// Where it stands in the transcript, with its id: equal places make equal transcripts.
    place: (u64, u64),
}

/// Everything a member keeps, by author.
fn kept(world: &World, member: &Member) -> Result<BTreeMap<String, Log>, String> {
    let file = world.path(&member.name).join("history.db");
    let store = PeerStore::open(&file).map_err(|why| format!("{}: {why}", member.name))?;
    let logs = store.load().map_err(|why| format!("{}: {why}", member.name))?.logs;
    let mut kept = BTreeMap::new();
    for (room, author, _) in logs {
        let mut log: Log = Vec::new();
        loop {
            let next = log.last().map_or(1, |line| line.seq + 1);
            let entries = store.fetch(&room, &author, next).map_err(|why| format!("{}: {why}", member.name))?;
            if entries.is_empty() {
                break;
            }
            log.extend(entries.into_iter().map(|it| Line {
                seq: it.entry.seq,
                id: hex::encode(it.id.0),
                text: it.entry.body.as_text().unwrap_or_default().to_owned(),
                place: (it.place.epoch, it.place.depth),
            }));
        }
        let name = log.first().and_then(|line| line.text.split(' ').next()).unwrap_or_default().to_owned();
        if kept.insert(name.clone(), log).is_some() {
            return Err(format!("{} keeps two logs of {name}", member.name));
        }
    }
    Ok(kept)
}

/// Checks everything, and counts.
pub fn judge(world: &World, members: &[Member], outages: &[(Instant, Instant)]) -> Result<Figures, String> {
    let mut figures = Figures::default();
    let all: Vec<_> = members.iter().map(|member| kept(world, member)).collect::<Result<_, _>>()?;
    let reference = &all[0];
    for (member, kept) in members.iter().zip(&all) {
        if kept != reference {
            return Err(format!(
                "{} keeps something else than {}:\n{}",
                member.name,
                members[0].name,
                unlike(kept, reference)
            ));
        }
    }
    let mut ids = BTreeSet::new();
    let mut texts = BTreeSet::new();
    for (author, log) in reference {
        for (at, Line { seq, id, text, .. }) in log.iter().enumerate() {
            if *seq != at as u64 + 1 || !ids.insert(id) || !texts.insert(text) {
                return Err(format!("{author} has {seq} {text:?} out of place or twice"));
            }
        }
        let numbers: Vec<u64> = log.iter().filter_map(|line| line.text.split(' ').nth(1)?.parse().ok()).collect();
        if numbers.len() != log.len() || !numbers.is_sorted() {
            return Err(format!("{author}'s lines are not in the order in which they were said: {numbers:?}"));
        }
    }
    figures.kept = ids.len() as u64;
    for member in members {
        for sent in member.runs.iter().flat_map(|run| &run.shown).filter(|shown| shown.mine) {
            figures.sent += 1;
            if !ids.contains(&sent.id) {
                return Err(format!("{:?} was shown as sent and is lost", sent.text));
            }
        }
        figures.unseen += shown_once(member, reference)?;
        measure(member, members, outages, &mut figures);
    }
    Ok(figures)
}

/// Whether everything kept was shown once, in its author's order; counts what a kill kept from being shown.
fn shown_once(member: &Member, kept: &BTreeMap<String, Log>) -> Result<u64, String> {
    let mut seen = BTreeSet::new();
    // By author: in which run each number was shown.
    let mut by_author: BTreeMap<&str, BTreeMap<u64, usize>> = BTreeMap::new();
    for (number, run) in member.runs.iter().enumerate() {
        for shown in &run.shown {
            if !seen.insert(&shown.id) {
                return Err(format!(
                    "{} was shown {:?} twice, the second time in run {}",
                    member.name,
                    shown.text,
                    number + 1
                ));
            }
            let of_author = by_author.entry(&shown.from).or_default();
            if of_author.last_key_value().is_some_and(|(last, _)| *last >= shown.seq) {
                return Err(format!("{} was shown {:?} after a later line", member.name, shown.text));
            }
            of_author.insert(shown.seq, number);
            let there = kept.get(&shown.from).and_then(|log| log.get(shown.seq as usize - 1));
            if there.is_none_or(|line| (&line.id, &line.text) != (&shown.id, &shown.text)) {
                return Err(format!("{} was shown {:?}, which is not what is kept", member.name, shown.text));
            }
        }
    }
    let mut unseen = 0;
    for (author, log) in kept {
        let shown = by_author.remove(author.as_str()).unwrap_or_default();
        for Line { seq, id, text, .. } in log.iter().filter(|line| !seen.contains(&line.id)) {
            let before = shown.range(..seq).next_back().map_or(0, |(_, run)| *run);
            let after = shown.range(seq..).next().map(|(_, run)| *run);
            if after.is_none_or(|after| after <= before) {
                return Err(format!("{} keeps {text:?} ({id}) and was never shown it", member.name));
            }
            unseen += 1;
        }
    }
    Ok(unseen)
}

/// How long each run of a member took to be of use, where the server was there.
fn measure(member: &Member, members: &[Member], outages: &[(Instant, Instant)], figures: &mut Figures) {
    let without_server = |from: Instant, to: Instant| outages.iter().any(|(began, ended)| *began < to && *ended > from);
    for run in member.runs.iter().skip(1) {
        if let Some(joined) = run.joined.filter(|at| !without_server(run.started, *at)) {
            figures.to_joined.push(joined - run.started);
        }
        let first = run.shown.iter().find(|shown| !shown.mine);
        if let Some(first) = first.filter(|shown| !without_server(run.started, shown.at)) {
            figures.to_first_line.push(first.at - run.started);
        }
        for other in members.iter().filter(|other| other.name != member.name) {
            let there = |it: &&Run| it.joined.is_some_and(|at| at < run.started);
            let lasted = |it: &&Run| it.killed.is_none_or(|at| at > run.started);
            // Its process at that time, which outlives the linking.
            if let (Some(process), Some(at)) =
                (other.runs.iter().rfind(|it| there(it) && lasted(it)), run.direct.get(&other.name))
                && process.killed.is_none_or(|killed| killed > *at)
                && !without_server(run.started, *at)
            {
                figures.to_link.push(*at - run.started);
            }
        }
    }
}

/// Where two differ.
fn unlike(one: &BTreeMap<String, Log>, other: &BTreeMap<String, Log>) -> String {
    let flat = |kept: &BTreeMap<String, Log>| -> BTreeSet<Line> { kept.values().flatten().cloned().collect() };
    let (one, other) = (flat(one), flat(other));
    let list = |a: &BTreeSet<_>, b: &BTreeSet<_>| a.difference(b).map(|it| format!("  {it:?}\n")).collect::<String>();
    format!("only here:\n{}only there:\n{}", list(&one, &other), list(&other, &one))
}
