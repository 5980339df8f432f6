//! A kill at any moment of a first start, when keys and databases are made.

use std::time::Duration;

use crate::harness::{Process, World, run};

/// Moments after the start, in milliseconds: a debug build is done after some forty.
const MOMENTS_MS: std::ops::Range<u64> = 0..60;

#[test]
fn whoever_is_killed_in_their_first_start_has_a_whole_identity_in_the_second() {
    let world = World::new();
    for moment in MOMENTS_MS.step_by(3) {
        let name = format!("p{moment}");
        let mut first = Process::spawn(world.command(&name, &["join", "lobby"]).arg("--json"));
        std::thread::sleep(Duration::from_millis(moment));
        first.kill();
        let said = |line: &str| line.contains("\"fingerprint\"").then(|| line.to_owned());
        let whoami = || {
            let mut command = world.command(&name, &["whoami"]);
            let (code, out, err) = run(command.arg("--json"));
            assert_eq!(code, Some(0), "killed after {moment} ms: {out}{err}");
            out
        };
        first.stdout.wait_end();
        let shown = first.stdout.text().lines().find_map(said);
        let second = whoami();
        assert_eq!(second, whoami(), "killed after {moment} ms");
        // What others may have seen already is who one stays.
        if let Some(words) =
            shown.and_then(|line| Some(line.split("\"fingerprint\":\"").nth(1)?.split('"').next()?.to_owned()))
        {
            assert!(second.contains(&words), "{words} became {second}");
        }
    }
}

#[test]
fn a_server_that_is_killed_in_its_first_start_starts_the_second_time_with_one_certificate() {
    for moment in MOMENTS_MS.step_by(3) {
        let mut world = World::at("127.0.0.1:0".to_owned());
        let mut first = Process::spawn(&mut world.server_command("certs", "server"));
        std::thread::sleep(Duration::from_millis(moment));
        first.kill();
        first.stdout.wait_end();
        world.start_server("certs", "server");
        let said = first.stdout.text();
        if let Some(words) = said.trim_end().split(' ').nth(4) {
            assert_eq!(words, world.fingerprint, "killed after {moment} ms");
        }
    }
}
