//! The server as a process: its first line, its exit codes, and what it says when it can't start.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says by it what must hold")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program with everything it touches inside `dir`.
fn server(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pchat-server"));
    command.env_clear().env("HOME", dir).arg("--data-dir").arg(dir.join("data")).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it and reads its first line.
fn started(dir: &Path, arguments: &[&str]) -> (Child, String) {
    let mut child = server(dir, arguments).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line)
}

/// Sends a signal by name and waits.
fn end(mut child: Child, signal: &str) -> Option<i32> {
    Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap();
    child.wait().unwrap().code()
}

/// Failed with code 1 and the shape of every error: what, then what to try.
fn refused(output: &Output, what: &str, hint: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut lines = stderr.lines().skip_while(|line| !line.starts_with("error: "));
    assert!(lines.next().is_some_and(|line| line.contains(what)), "{stderr}");
    assert!(lines.next().is_some_and(|line| line.starts_with("  hint: ") && line.contains(hint)), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_first_line_tells_address_and_fingerprint_and_signals_end_it_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut fingerprints = Vec::new();
    for signal in ["TERM", "INT"] {
        let certs = dir.path().join("certs");
        let (child, line) = started(dir.path(), &["--cert", certs.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
        let words: Vec<_> = line.trim_end().split(' ').collect();
        let ["listening", "on", address, "fingerprint", fingerprint] = words[..] else { panic!("{line}") };
        let port = address.strip_prefix("127.0.0.1:").unwrap().parse::<u16>().unwrap();
        assert_ne!(port, 0);
        assert_eq!(fingerprint.split('-').count(), 8);
        fingerprints.push(fingerprint.to_owned());
        assert_eq!(end(child, signal), Some(0));
    }
    assert_eq!(fingerprints[0], fingerprints[1], "the certificate stays");
}

#[test]
fn a_port_in_use_is_refused_with_a_hint() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (child, line) = started(first.path(), &["--listen", "127.0.0.1:0"]);
    let address = line.split(' ').nth(2).unwrap();
    let output = server(second.path(), &["--listen", address]).output().unwrap();
    refused(&output, "can't listen on", "--listen");
    assert_eq!(end(child, "TERM"), Some(0));
}

#[test]
fn keys_that_cannot_be_trusted_are_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let (child, _) = started(dir.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(end(child, "TERM"), Some(0));
    let certs = dir.path().join("data/certs");
    let run = || server(dir.path(), &["--listen", "127.0.0.1:0"]).output().unwrap();

    std::fs::set_permissions(certs.join("key.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&run(), "can be read by others", "chmod 600");
    std::fs::set_permissions(certs.join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();

    let certificate = std::fs::read(certs.join("cert.pem")).unwrap();
    std::fs::write(certs.join("cert.pem"), "nothing").unwrap();
    refused(&run(), "can't be used", "backup");
    std::fs::remove_file(certs.join("cert.pem")).unwrap();
    refused(&run(), "is missing", "put the missing file back");
    std::fs::write(certs.join("cert.pem"), certificate).unwrap();
    let output = server(dir.path(), &["--check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn wrong_usage_is_2_and_wrong_settings_are_1() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(server(dir.path(), &["--nonsense"]).output().unwrap().status.code(), Some(2));
    let file = dir.path().join("server.toml");
    std::fs::write(&file, "# a comment\nlisen = 1\n").unwrap();
    let output = server(dir.path(), &["--check", "--config", file.to_str().unwrap()]).output().unwrap();
    refused(&output, "in line 2: unknown field `lisen`", "config/server.toml");
    let help = server(dir.path(), &["--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
}

#[test]
fn json_log_lines_are_json_and_name_no_address() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = server(dir.path(), &["--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut child = command.env("P2PCHAT_LOG", "debug").spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let stderr = child.stderr.take().unwrap();
    assert_eq!(end(child, "TERM"), Some(0));
    let mut logged = 0;
    for line in BufReader::new(stderr).lines().map(Result::unwrap).filter(|line| !line.starts_with("made a new")) {
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
        assert!(!line.contains("127.0.0.1"), "{line}");
        logged += 1;
    }
    assert!(logged > 0);
}
