#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
//! Transcripts of the command line, for everything that needs no running chat.
//!
//! A `.txt` file holds runs: `$ p2pchat ARGUMENTS` (split at blanks), what stood on standard output and standard error, and
//! `[exit N]`. A line `...` stands for any lines; `$HOME` for the empty home folder of the file.

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn transcripts_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = String::new();
    for file in files {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("bad.toml"), "sever = 1\n").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        for run in text.split("$ p2pchat").skip(1) {
            let (arguments, expected) = run.split_once('\n').unwrap();
            let actual = transcript(arguments, home.path());
            if !fits(expected.trim(), actual.trim()) {
                wrong.push_str(&format!("{}:\n$ p2pchat{arguments}\n{actual}\n", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these runs went differently:\n{wrong}");
}

fn transcript(arguments: &str, home: &Path) -> String {
    let home_text = home.to_str().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_p2pchat"))
        .args(arguments.split_whitespace().map(|argument| argument.replace("$HOME", home_text)))
        .env_clear()
        .env("HOME", home)
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(home_text, "$HOME");
    let code = output.status.code().expect("no signal ends it");
    format!("{}{}[exit {code}]", text(output.stdout), text(output.stderr))
}

/// Whether the lines fit, `...` standing for any number of them.
fn fits(expected: &str, actual: &str) -> bool {
    fn from(expected: &[&str], actual: &[&str]) -> bool {
        match (expected, actual) {
            ([], []) => true,
            ([first, rest @ ..], _) if first.trim() == "..." => (0..=actual.len()).any(|at| from(rest, &actual[at..])),
            ([e, expected @ ..], [a, actual @ ..]) => e.trim_end() == a.trim_end() && from(expected, actual),
            _ => false,
        }
    }
    from(&expected.lines().collect::<Vec<_>>(), &actual.lines().collect::<Vec<_>>())
}

#[test]
fn the_manual_page_and_the_help_tell_the_exit_codes() {
    for arguments in ["man", "--help", "help"] {
        let text = transcript(arguments, Path::new("/nonexistent"));
        assert!(text.contains("server not reachable") && text.ends_with("[exit 0]"), "{text}");
    }
}

#[test]
fn completions_come_for_every_common_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let text = transcript(&format!("completions {shell}"), Path::new("/nonexistent"));
        assert!(text.contains("whoami") && text.ends_with("[exit 0]"));
    }
}
