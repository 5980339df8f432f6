//! The walls of the house, checked: reads the source tree and fails on an import that points up, on a clock, a socket or
//! an unordered map in a pure room, on QUIC outside the one room that knows it, and on a few things nobody wants.
//!
//! Each rule has a control: a planted snippet that breaks it, which the checker has to find. Where a room stands and what
//! it may know is the table [`ROOMS`]; ARCHITECTURE.md says why.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

/// Each room with those it may import from. `peer::api` stands for that one module.
const ROOMS: &[(&str, &[&str])] = &[
    ("demo", &["ui", "peer", "server", "net", "store", "core", "wire", "identity", "limits"]),
    ("ui", &["peer::api"]),
    ("peer", &["net", "store", "core", "wire", "identity", "limits"]),
    ("server", &["net", "store", "core", "wire", "identity", "limits"]),
    ("net", &["wire", "identity", "limits"]),
    ("store", &["core", "wire", "identity", "limits"]),
    ("core", &["wire", "identity", "limits", "planted"]),
    ("wire", &["identity", "limits"]),
    ("identity", &["limits", "planted"]),
    ("limits", &[]),
    // Bugs on purpose, of which a release has nothing.
    ("planted", &[]),
];

/// Rooms that know no clock, socket, file or ambient randomness, and iterate in order.
const PURE: &[&str] = &["core", "wire", "identity", "limits"];

/// What has no place in a pure room. Addresses are plain values, so `SocketAddr` is not among them.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "tokio",
    "std::fs",
    "std::io",
    "File",
    "std::env",
    "std::process",
    "std::thread",
    "println!",
    "eprintln!",
    "HashMap",
    "HashSet",
    "rand::rng",
    "rand::random",
    "thread_rng",
    "OsRng",
    "SysRng",
    "getrandom",
];

/// What only `net` knows.
const QUIC: &[&str] = &["quinn", "quinn_proto", "rustls", "rustls_pki_types", "webpki_roots", "rcgen"];

/// What is nowhere.
const NOWHERE: &[&str] = &["unsafe", "todo!", "unimplemented!", "dbg!"];

/// Lines of code, without comments and tests, beyond which a file holds more than one idea.
const CODE_LINES_MAX: usize = 480;

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

#[test]
fn the_source_tree_keeps_its_walls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    assert!(files.len() > 50, "the source tree was not found");
    let sources: Vec<(String, String)> = files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let source = fs::read_to_string(&file).unwrap();
            (name, source)
        })
        .collect();
    let tests: BTreeSet<String> = sources.iter().flat_map(|(file, source)| test_files(file, source)).collect();
    let is_test = |file: &str| tests.iter().any(|test| file == test || file.starts_with(&format!("{}/", folder(test))));
    let findings: Vec<String> = sources
        .iter()
        .filter(|(file, _)| !is_test(file))
        .flat_map(|(file, source)| check(file, source))
        .map(|finding| finding.to_string())
        .collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        for named in text.split('`').skip(1).step_by(2).filter(|span| is_path(span)) {
            assert!(root.join(named).exists(), "{document} names {named}, which does not exist");
        }
    }
}

fn is_path(span: &str) -> bool {
    let roots = ["src/", "tests/", "config/", "certs/README", "packaging/", "pictures/"];
    roots.iter().any(|root| span.starts_with(root)) && !span.contains([' ', '*', '{', '…'])
}

#[test]
fn every_rule_catches_what_it_is_there_for() {
    let planted = [
        ("src/core/x.rs", "use crate::net::Link;", "core may not know net"),
        ("src/core/x.rs", "fn f() { crate::store::open() }", "core may not know store"),
        ("src/wire/x.rs", "use crate::{identity::Name, core::Now};", "wire may not know core"),
        ("src/core/log/x.rs", "use super::super::super::peer::start;", "core may not know peer"),
        ("src/identity/x.rs", "use crate::wire;", "identity may not know wire"),
        ("src/net/x.rs", "use crate::core::Now;", "net may not know core"),
        ("src/server/x.rs", "use crate::peer::start;", "server may not know peer"),
        ("src/peer/x.rs", "use crate::server::Server;", "peer may not know server"),
        ("src/peer/x.rs", "use crate::ui;", "peer may not know ui"),
        ("src/ui/x.rs", "use crate::peer::driver;", "ui may not know peer"),
        ("src/ui/x.rs", "use crate::peer::{api::Chat, start};", "ui may not know peer"),
        ("src/ui/x.rs", "use crate::identity::Name;", "ui may not know identity"),
        ("src/ui/x.rs", "use crate::demo::run;", "ui may not know demo"),
        ("src/core/x.rs", "let t = std::time::Instant::now();", "Instant has no place in a pure room"),
        ("src/core/x.rs", "fn f(m: &HashMap<u8, u8>) {}", "HashMap has no place in a pure room"),
        ("src/wire/x.rs", "use tokio::sync::mpsc;", "tokio has no place in a pure room"),
        ("src/identity/x.rs", "let r = rand::rng();", "rand::rng has no place in a pure room"),
        ("src/core/x.rs", "use std::net::{IpAddr, UdpSocket};", "UdpSocket has no place in a pure room"),
        ("src/core/x.rs", "std::fs::read(file)", "std::fs has no place in a pure room"),
        ("src/peer/x.rs", "fn f(c: quinn::Connection) {}", "quinn belongs to net"),
        ("src/server/x.rs", "use rustls::ServerConfig;", "rustls belongs to net"),
        ("src/net/x.rs", "unsafe { f() }", "unsafe has no place here"),
        ("src/peer/x.rs", "todo!()", "todo! has no place here"),
        ("src/ui/x.rs", "dbg!(x)", "dbg! has no place here"),
        ("src/cellar/x.rs", "fn f() {}", "cellar is no room: add it to the table"),
    ];
    for (file, snippet, rule) in planted {
        let source = format!("//! A promise.\n\n{snippet}\n");
        let found = check(file, &source);
        let expected = Finding { file: file.to_owned(), line: 3, rule: rule.to_owned() };
        assert!(found.contains(&expected), "{file}: {snippet}: expected {expected}, found {found:?}");
    }
    let long = format!("//! A promise.\n{}", "fn f() {}\n".repeat(CODE_LINES_MAX + 1));
    assert_eq!(check("src/core/x.rs", &long).len(), 1, "a long file");
    assert_eq!(check("src/core/x.rs", "fn f() {}\n").len(), 1, "a file without a promise");
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let harmless = [
        ("src/core/x.rs", "// unsafe, and crate::net::Link in a comment"),
        ("src/core/x.rs", "/* Instant /* nested */ tokio */ fn f() {}"),
        ("src/core/x.rs", "const TEXT: &str = \"HashMap of quinn\"; const RAW: &str = r#\"\"todo!\"\"#;"),
        ("src/core/x.rs", "fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' } use crate::wire::Run;"),
        ("src/core/x.rs", "#[cfg(test)]\nmod tests { use crate::net::Link; fn f() { unsafe {} } }"),
        ("src/core/x.rs", "#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;"),
        ("src/core/x.rs", "use super::log::Log; use std::net::SocketAddr; let instant = now;"),
        ("src/ui/x.rs", "use crate::peer::api::{Chat, limits::*}; use super::words; use crate::ui::exit::Exit;"),
        ("src/net/x.rs", "use quinn::Endpoint; use crate::wire::Frame;"),
        ("src/bin/x.rs", "p2pchat::ui::main(p2pchat::peer::start)"),
        ("src/lib.rs", "pub mod core;"),
    ];
    for (file, snippet) in harmless {
        let found = check(file, &format!("//! A promise.\n{snippet}\n"));
        assert!(found.is_empty(), "{file}: {snippet}: {found:?}");
    }
    let declared = "#[cfg(test)]\n#[path = \"pipe_tests.rs\"]\nmod tests;\n#[cfg(test)]\npub mod corpus;\n";
    let files: Vec<_> = test_files("src/ui/pipe.rs", declared).into_iter().collect();
    assert_eq!(files[0], "src/ui/pipe_tests.rs");
    assert!(files.contains(&"src/ui/pipe/corpus.rs".to_owned()), "{files:?}");
}

fn collect(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    let entries = fs::read_dir(dir).expect("the tree can be read").flatten();
    let mut entries: Vec<_> = entries.map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Everything that breaks a rule in one file, tests left out.
fn check(file: &str, source: &str) -> Vec<Finding> {
    let found = |line: usize, rule: String| Finding { file: file.to_owned(), line, rule };
    let mut findings = Vec::new();
    if !source.starts_with("//!") {
        findings.push(found(1, "a file opens with a promise (//!)".to_owned()));
    }
    let code = without_tests(&blank(source));
    let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    if lines > CODE_LINES_MAX {
        findings.push(found(1, format!("{lines} lines of code; {CODE_LINES_MAX} are the most for one idea")));
    }
    let module = module_path(file);
    let room = module.first().map_or("", String::as_str);
    for (word, line) in NOWHERE.iter().flat_map(|word| places(&code, word).map(move |line| (word, line))) {
        findings.push(found(line, format!("{word} has no place here")));
    }
    if room != "net" {
        for (word, line) in QUIC.iter().flat_map(|word| places(&code, word).map(move |line| (word, line))) {
            findings.push(found(line, format!("{word} belongs to net")));
        }
    }
    if PURE.contains(&room) {
        for (word, line) in IMPURE.iter().flat_map(|word| places(&code, word).map(move |line| (word, line))) {
            findings.push(found(line, format!("{word} has no place in a pure room")));
        }
    }
    // The programs and the list of rooms stand above all rooms.
    if matches!(room, "" | "bin") {
        return findings;
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        findings.push(found(3, format!("{room} is no room: add it to the table")));
        return findings;
    };
    for (path, line) in imports(&code, &module) {
        let Some(other) = path.first().filter(|first| ROOMS.iter().any(|(name, _)| name == first)) else { continue };
        let two = path.iter().take(2).cloned().collect::<Vec<_>>().join("::");
        if other != room && !allowed.contains(&other.as_str()) && !allowed.contains(&two.as_str()) {
            findings.push(found(line, format!("{room} may not know {other}")));
        }
    }
    findings
}

/// The path of the module that `file` is: `src/core/log/mod.rs` is `core::log`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let parts = path.split('/').filter(|part| !matches!(*part, "mod" | "lib"));
    parts.map(str::to_owned).collect()
}

/// Where `word` stands on its own.
fn places<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .filter(move |(at, _)| {
            let before = code[..*at].chars().next_back();
            let after = code[at + word.len()..].chars().next();
            !before.is_some_and(part) && (word.ends_with('!') || !after.is_some_and(part))
        })
        .map(|(at, _)| line_of(code, at))
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Every path from the root of the crate, whether imported or written out, as its first two segments.
fn imports(code: &str, module: &[String]) -> Vec<(Vec<String>, usize)> {
    let mut paths = Vec::new();
    for at in places_of_path(code, "crate::") {
        leaves(&code[at + "crate::".len()..], &[], &mut |path| paths.push((path, line_of(code, at))));
    }
    for at in places_of_path(code, "super::") {
        let mut rest = &code[at..];
        let mut base = module.to_vec();
        while let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            rest = after;
        }
        leaves(rest, &base, &mut |path| paths.push((path, line_of(code, at))));
    }
    paths
}

/// Where a path begins, not one that goes on.
fn places_of_path<'c>(code: &'c str, start: &'c str) -> impl Iterator<Item = usize> + 'c {
    let continued = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$');
    code.match_indices(start)
        .map(|(at, _)| at)
        .filter(move |at| !code[..*at].chars().next_back().is_some_and(continued))
}

/// The leaves of a path that may branch in braces; returns what follows it.
fn leaves<'c>(text: &'c str, base: &[String], leaf: &mut impl FnMut(Vec<String>)) -> &'c str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if rest.is_empty() || rest.starts_with('}') {
                return rest.strip_prefix('}').unwrap_or(rest);
            }
            let before = rest.len();
            rest = leaves(rest, base, leaf);
            // What is no path (`as x`, `*`) is stepped over.
            if rest.len() == before || !rest.trim_start().starts_with([',', '}']) {
                rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
            }
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let mut path = base.to_vec();
    if end > 0 {
        path.push(text[..end].to_owned());
    }
    match text[end..].strip_prefix("::") {
        Some(rest) if end > 0 => leaves(rest, &path, leaf),
        _ => {
            leaf(path);
            &text[end..]
        }
    }
}

/// The source with comments and the insides of literals made blank, line breaks kept.
fn blank(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    let wipe = |out: &mut String, from: usize, to: usize| {
        out.extend(chars[from..to.min(chars.len())].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
    };
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        let end = match chars[at] {
            '/' if next == Some('/') => (at..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len()),
            '/' if next == Some('*') => end_of_comment(&chars, at),
            '"' => end_of_string(&chars, at),
            'r' if matches!(next, Some('"' | '#')) && !word_before(&chars, at) => end_of_raw(&chars, at),
            '\'' => end_of_char(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            wipe(&mut out, at, end);
            at = end;
        }
    }
    out
}

fn word_before(chars: &[char], at: usize) -> bool {
    // `br"…"` is a raw string too; anything longer is a name that ends in r.
    let before = |back: usize| at.checked_sub(back).map(|i| chars[i]);
    let part = |c: char| c.is_alphanumeric() || c == '_';
    before(1).is_some_and(|c| part(c) && (c != 'b' || before(2).is_some_and(part)))
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start + 2, 1);
    while at < chars.len() && depth > 0 {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_raw(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(start + 1 + hashes) != Some(&'"') {
        // A raw name, such as `r#type`.
        return start;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let first = start + 2 + hashes;
    let found = (first..chars.len()).find(|&i| chars[i..].starts_with(&close));
    found.map_or(chars.len(), |i| i + close.len())
}

fn end_of_char(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let from = start + 3;
            (from..chars.len()).find(|&i| chars[i] == '\'').map_or(chars.len(), |i| i + 1)
        }
        (Some(_), Some('\'')) => start + 3,
        // A lifetime.
        _ => start,
    }
}

/// The code with every item behind `#[cfg(test)]` made blank.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = start + item_length(&out[start..]);
        let blanks: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blanks);
    }
    out
}

/// How long an item is, attributes included: to its semicolon, or to the brace that closes it.
fn item_length(item: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth = depth.saturating_sub(1);
                if c == '}' && depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// The files of the modules that are declared behind `#[cfg(test)]`, wherever they may stand.
fn test_files(file: &str, source: &str) -> Vec<String> {
    let mut files = Vec::new();
    let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (start, _) in source.match_indices("#[cfg(test)]") {
        let item = &source[start..start + item_length(&source[start..])];
        let Some(name) = item.strip_suffix(';').and_then(|item| item.rsplit_once("mod ")).map(|(_, name)| name) else {
            continue;
        };
        match item.split_once("#[path = \"").and_then(|(_, rest)| rest.split_once('"')) {
            Some((path, _)) => files.push(format!("{beside}/{path}")),
            None => {
                let own = folder(file);
                files.extend([format!("{own}/{name}.rs"), format!("{own}/{name}/mod.rs")]);
            }
        }
    }
    files
}

/// The folder in which the submodules of a file stand.
fn folder(file: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs")) => folder.to_owned(),
        _ => file.trim_end_matches(".rs").to_owned(),
    }
}
