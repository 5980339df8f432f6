//! Wrong arguments, damaged files, hostile bytes: each gets its exit code and a hint, or a closed connection; never a
//! panic.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use p2pchat::identity::Identity;
use p2pchat::net::{PeerEndpoint, Reader, Writer};
use p2pchat::wire::{FromServer, ToServer};
use serde_json::json;
use tokio::time::timeout;

use crate::harness::{DEADLINE, World, is_root, run};

#[track_caller]
fn fails(command: &mut Command, code: i32, says: &str) {
    let (ended, stdout, stderr) = run(command);
    assert_eq!(ended, Some(code), "{stdout}{stderr}");
    assert!(stderr.contains(says), "{stderr}");
    assert!(!stderr.contains("panicked") && stdout.is_empty(), "{stdout}{stderr}");
    assert!(code == 2 || stderr.contains("hint: "), "{stderr}");
}

#[test]
fn wrong_arguments_are_2() {
    let world = World::at("127.0.0.1:4433".to_owned());
    for arguments in [
        &["join"][..],
        &["join", "a b"],
        &["join", "lobby", "--size", "1"],
        &["join", "lobby", "--consent-timeout", "0"],
        &["create", "lobby", "--grace", "never"],
        &["jion", "lobby"],
        &["join", "lobby", "--plain", "--json"],
    ] {
        let (code, stdout, stderr) = run(&mut world.command("alice", arguments));
        assert_eq!(code, Some(2), "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains("Usage") || stderr.contains("--help"), "{stderr}");
    }
    assert!(!world.path("alice").exists(), "nothing was made");
}

#[test]
fn an_identity_that_cannot_be_trusted_or_read_is_1() {
    let world = World::new();
    let (code, ..) = run(&mut world.command("alice", &["whoami"]));
    assert_eq!(code, Some(0));
    let file = world.path("alice").join("identity");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    fails(&mut world.command("alice", &["join", "lobby"]), 1, "chmod 600");
    mode(0o600);
    std::fs::write(&file, "not a key").unwrap();
    fails(&mut world.command("alice", &["join", "lobby"]), 1, "damaged");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    mode(0o600);
    fails(&mut world.command("alice", &["join", "lobby"]), 1, "can't be read");
    // The JSON face tells it as an object.
    let (code, stdout, _) = run(&mut world.command("alice", &["join", "lobby", "--json"]));
    let error: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &error["type"], &error["code"]), (Some(1), &json!("error"), &json!("identity")));
    assert!(error["hint"].is_string());
}

#[test]
fn a_data_folder_that_cannot_be_written_is_1() {
    let world = World::new();
    // A file where a folder has to be is in nobody's power to write below, root's neither.
    std::fs::write(world.path("alice"), "a file").unwrap();
    fails(&mut world.command("alice", &["join", "lobby"]), 1, "error: ");
    fails(&mut world.server_command("certs", "alice"), 1, "error: ");
    fails(&mut world.server_command("alice", "data"), 1, "error: ");
}

#[test]
fn a_full_disk_leaves_no_half_key() {
    let world = World::new();
    let full = world.path("full");
    std::fs::create_dir(&full).unwrap();
    let mount = |what: &[&str]| Command::new(what[0]).args(&what[1..]).status().is_ok_and(|status| status.success());
    let disk = full.to_str().unwrap();
    if !is_root(&full) || !mount(&["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", disk]) {
        eprintln!("SKIPPED: a full disk needs the right to mount one");
        return;
    }
    let fill = std::fs::write(full.join("ballast"), vec![0; 1 << 20]);
    assert!(fill.is_err(), "it is full now");
    let mut command = world.command_in("full/alice", "alice", &["whoami"]);
    let (code, _, stderr) = run(&mut command);
    let half = full.join("alice/identity").exists();
    let mut server = world.server_command("full/certs", "data");
    let (server_code, _, server_stderr) = run(&mut server);
    assert!(mount(&["umount", disk]));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("hint: is the disk full") && !half, "{stderr}");
    assert_eq!(server_code, Some(1), "{server_stderr}");
    assert!(server_stderr.contains("hint: "), "{server_stderr}");
}

#[test]
fn a_port_in_use_is_1_for_server_and_peer() {
    let world = World::new();
    fails(&mut world.server_command("other-certs", "other"), 1, "--listen");
    let mut command = world.command("alice", &["join", "lobby"]);
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    command = Command::new(env!("CARGO_BIN_EXE_p2pchat"));
    command.env_clear().env("HOME", world.path("."));
    command.args(args.iter().map(|arg| if arg == "127.0.0.1:0" { world.address.clone().into() } else { arg.clone() }));
    fails(&mut command, 1, "can't listen on");
}

#[test]
fn two_chats_on_one_identity_are_refused() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    fails(&mut world.command("alice", &["join", "lobby"]), 1, "another p2pchat");
    assert_eq!(alice.members("lobby"), ["alice"]);
}

#[test]
fn bad_input_gets_an_error_and_the_program_goes_on() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    for (line, code) in [
        ("not json", "bad_json"),
        ("{\"do\":\"dance\"}", "bad_input"),
        ("{\"do\":\"say\",\"room\":\"lobby\"}", "bad_input"),
        ("{\"do\":\"say\",\"room\":\"lobby\",\"text\":\"x\",\"txet\":1}", "bad_input"),
        ("{\"do\":\"approve\",\"knock\":\"xyz\"}", "bad_input"),
        ("{\"do\":\"say\",\"room\":\"elsewhere\",\"text\":\"x\"}", "not_in_room"),
        ("{\"do\":\"create\",\"room\":\"small\",\"size\":1}", "bad_settings"),
        ("{\"do\":\"join\",\"room\":\"lobby\"}", "already_there"),
    ] {
        alice.process.write(line);
        let error = alice.next("error");
        assert!(error["message"].is_string());
        assert!(error["code"] == code, "{line}: {error}");
    }
    let nested = "[".repeat(30_000);
    alice.process.write(&nested);
    assert_eq!(alice.next("error")["code"], "bad_input", "deep nesting is refused, not followed");
    alice.process.write(&"x".repeat(70_000));
    assert_eq!(alice.next("error")["code"], "line_too_long");
    alice.send(json!({"do": "say", "room": "lobby", "text": "x".repeat(4097)}));
    let error = alice.next("error");
    assert_eq!(error["code"], "text_too_long");
    assert!(error["hint"].is_string(), "{error}");
    alice.say("lobby", &"x".repeat(4096));
    assert_eq!(alice.quit(), Some(0));
}

type Line = (p2pchat::net::Link, Reader<FromServer>, Writer<ToServer>);

/// A connection to the server with an open stream on which nothing was said yet.
async fn connect(world: &World) -> (PeerEndpoint, Line) {
    let endpoint = PeerEndpoint::bind("127.0.0.1:0".parse().unwrap(), &Identity::from_seed(&[3; 32])).unwrap();
    let connection = endpoint.dial_server(&world.address).await.unwrap();
    let line = connection.open(|_| {}).await.unwrap();
    (endpoint, line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_never_says_hello_is_closed_in_time() {
    let world = World::new();
    let (_endpoint, (link, _reader, writer)) = connect(&world).await;
    let begun = Instant::now();
    let why = timeout(DEADLINE, link.closed()).await.expect("it is closed");
    assert!(why.contains("no hello in time"), "{why}");
    assert!((Duration::from_secs(4)..Duration::from_secs(12)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    drop(writer);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_before_hello_or_too_long_is_sent_away_and_the_others_stay() {
    let world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    let (_endpoint, (link, _reader, writer)) = connect(&world).await;
    writer.send(&ToServer::List(())).unwrap();
    timeout(DEADLINE, link.closed()).await.expect("a request before the hello closes");
    // Longer than a greeting may be, though a frame like any other later on.
    let (_endpoint, (link, _reader, writer)) = connect(&world).await;
    let drop = p2pchat::wire::Drop {
        room: p2pchat::wire::RoomId([1; 32]),
        roster: p2pchat::wire::RosterHash([2; 32]),
        dropped: p2pchat::wire::Few::first_of((0..200).map(|n| p2pchat::identity::PeerId([n; 32]))),
        why: p2pchat::wire::DropReason::Gone,
        nonce: 0,
    };
    writer.send(&ToServer::Drop(drop)).unwrap();
    let why = timeout(DEADLINE, link.closed()).await.expect("a long frame of a stranger closes");
    assert!(!why.is_empty());
    assert_eq!(alice.members("lobby"), ["alice"]);
    alice.send(json!({"do": "list"}));
    alice.next("rooms");
}
