//! `p2pchat doctor` against real servers: its words, its JSON, its exit codes. What each kind of router means is tested where it
//! is decided, `src/peer/doctor/verdict.rs`.

use serde_json::Value;

use crate::harness::{World, run};

fn doctor(world: &World, who: &str, more: &[&str]) -> (Option<i32>, Value) {
    let (code, stdout, stderr) = run(world.command(who, &["doctor", "--json"]).args(more));
    let report = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("no report: {stdout}{stderr}"));
    (code, report)
}

fn state<'a>(report: &'a Value, check: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|it| it["check"] == check).map_or("", |it| it["state"].as_str().unwrap())
}

#[test]
fn a_server_on_this_machine_is_good_and_nothing_is_remembered_of_it() {
    let world = World::new();
    let (code, report) = doctor(&world, "alice", &[]);
    assert_eq!((code, &report["verdict"]), (Some(0), &Value::from("good")), "{report}");
    for check in ["server", "ip", "packets", "router", "clock"] {
        assert_eq!(state(&report, check), "good", "{check}: {report}");
    }
    assert!(report.to_string().contains(&world.fingerprint), "its words are shown to be compared: {report}");
    assert!(!world.path("alice").join("servers.toml").exists() && !world.path("alice").join("identity").exists());
    let (code, stdout, _) = run(&mut world.command("alice", &["doctor"]));
    assert!(code == Some(0) && stdout.contains("GOOD: "), "{stdout}");
}

#[test]
fn a_server_without_a_second_port_leaves_the_router_unknown_only_where_there_is_one() {
    let mut world = World::at("127.0.0.1:0".to_owned());
    std::fs::write(world.path("server.toml"), "second_port = 0\n").unwrap();
    world.start_server("certs", "server");
    let (code, report) = doctor(&world, "alice", &[]);
    assert_eq!((code, state(&report, "router")), (Some(0), "good"), "{report}");
}

#[test]
fn a_silent_server_is_4_and_says_what_to_try() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, report) = doctor(&World::at(free.to_string()), "alice", &[]);
    assert_eq!((code, &report["verdict"]), (Some(4), &Value::from("bad")), "{report}");
    assert_eq!(report["remedies"].as_array().unwrap().len(), 2, "{report}");
}

#[test]
fn another_certificate_than_remembered_is_5_and_the_password_is_not_given_to_it() {
    let mut world = World::new();
    let mut alice = world.founder("alice", "lobby", &[]);
    assert_eq!(alice.quit(), Some(0));
    world.kill_server();
    world.start_server("other-certs", "other");
    let (code, report) = doctor(&world, "alice", &[]);
    assert_eq!((code, state(&report, "certificate")), (Some(5), "bad"), "{report}");
}

#[test]
fn a_wanted_password_is_asked_for_and_given_only_to_a_server_that_was_accepted() {
    let mut world = World::at("127.0.0.1:0".to_owned());
    std::fs::write(world.path("server.toml"), "password = \"open sesame\"\n").unwrap();
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(world.path("server.toml"), readable).unwrap();
    world.start_server("certs", "server");
    let (code, report) = doctor(&world, "alice", &[]);
    assert_eq!((code, state(&report, "answer")), (Some(1), "bad"), "{report}");
    assert!(report["remedies"].to_string().contains("--password-file"), "{report}");
    let file = world.path("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let with_password = ["--password-file", file.to_str().unwrap()];
    let (code, report) = doctor(&world, "alice", &with_password);
    assert_eq!((code, state(&report, "answer")), (Some(1), "bad"), "anybody may be a server never met: {report}");
    assert_eq!(state(&report, "password"), "note", "{report}");
    assert!(report["remedies"].to_string().contains("kept from it"), "{report}");
    let mut alice = world.founder("alice", "lobby", &with_password);
    assert_eq!(alice.quit(), Some(0));
    let (code, report) = doctor(&world, "alice", &with_password);
    assert_eq!((code, state(&report, "password")), (Some(0), ""), "{report}");
}
