//! What `p2pchat doctor` says behind each kind of router.

use std::process::Output;

use serde_json::Value;

use crate::lab::{Host, Router, available};
use crate::rooms::{Net, within};

fn doctor(net: &Net, host: &Host) -> (Option<i32>, Value) {
    let home = tempfile::tempdir().unwrap();
    let mut command = within(host, env!("CARGO_BIN_EXE_p2pchat"));
    command.env_clear().env("HOME", home.path()).args(["doctor", "--json", "--server", &net.address]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let report = serde_json::from_slice(&stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)));
    (status.code(), report)
}

fn router_line(report: &Value) -> &str {
    let line = report["checks"].as_array().unwrap().iter().find(|it| it["check"] == "router").unwrap();
    line["text"].as_str().unwrap()
}

#[test]
fn the_doctor_tells_each_kind_of_router_from_the_others() {
    if !available() {
        return;
    }
    let mut net = Net::new();
    let expected = [
        (Router::None, 0, "none in between"),
        (Router::FullCone, 0, "one address for all"),
        (Router::Home, 0, "one address for all"),
        (Router::Symmetric, 6, "another address for each destination"),
    ];
    for (router, code, words) in expected {
        let host = net.lab.host(router);
        let (exit, report) = doctor(&net, &host);
        assert_eq!(exit, Some(code), "{}: {report}", router.name());
        assert!(router_line(&report).contains(words), "{}: {report}", router.name());
        println!("{:<10} {:<8} {}", router.name(), report["verdict"].as_str().unwrap(), router_line(&report));
    }
}

#[test]
fn the_doctor_says_that_nothing_answers_where_udp_is_blocked() {
    if !available() {
        return;
    }
    let mut net = Net::new();
    let host = net.lab.host(Router::Home);
    net.lab.block(&host, &net.rendezvous);
    let (exit, report) = doctor(&net, &host);
    assert_eq!((exit, &report["verdict"]), (Some(4), &Value::from("bad")), "{report}");
    assert!(report["remedies"].to_string().contains("block UDP"), "{report}");
}
