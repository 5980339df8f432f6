//! `p2pchat doctor`: what was found out about the network, in plain words, and as JSON for programs.

use std::io::Write;
use std::net::SocketAddr;

use serde::Serialize;

use super::args::Global;
use super::exit::Exit;
use super::once::write_lines;
use super::settle::Settled;
use super::words::{self, Said, shown};
use crate::peer::api::doctor::{
    Diagnosis, Findings, Known, Mapping, PortMapping, Question, Reached, Remedy, Second, ServerDialError, Told,
    Verdict, diagnose, examine, is_private,
};
use crate::peer::api::limits::CLOCK_OFF_SHOWN_MS;

/// How one of the things that were looked at stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    Limited,
    Bad,
    /// Worth knowing, neither good nor bad.
    Note,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    text: String,
}

/// The whole answer, for programs.
#[derive(Serialize)]
struct Report<'a> {
    v: u8,
    r#type: &'static str,
    verdict: &'static str,
    checks: &'a [Check],
    means: &'a str,
    remedies: &'a [String],
}

/// Examines, shows, ends: 0 good, 6 limited, 1 bad, 4 and 5 where the server is the reason.
pub fn run(settled: &Settled, global: &Global, stdout: &mut impl Write) -> (Exit, Option<Said>) {
    let options = match settled.visit(global) {
        Ok(options) => options,
        Err((exit, said)) => return (exit, Some(said)),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => return (Exit::Failed, Some(Said::new("runtime", shown(why), None))),
    };
    let (server, password) = (options.server.as_str(), options.password.as_deref());
    if !global.json {
        let _ = write_lines(stdout, &[format!("examining the network to {} ...", shown(server))]);
    }
    let question =
        Question { server, password, listen: options.listen, map_port: options.map_port, data_dir: &options.data_dir };
    let findings = match runtime.block_on(examine(&question)) {
        Ok(findings) => findings,
        Err(why) => {
            let why = crate::peer::api::StartError::Listen { listen: options.listen, why };
            return (Exit::Failed, Some(words::start_error(&why)));
        }
    };
    let diagnosis = diagnose(&findings);
    let lines =
        if global.json { vec![as_json(server, &findings, &diagnosis)] } else { as_text(server, &findings, &diagnosis) };
    let (written, said) = write_lines(stdout, &lines);
    (if written == Exit::Done { exit(&findings, &diagnosis) } else { written }, said)
}

fn exit(findings: &Findings, diagnosis: &Diagnosis) -> Exit {
    match (diagnosis.verdict, &findings.server) {
        (Verdict::Good, _) => Exit::Done,
        (Verdict::Limited, _) => Exit::Limited,
        (Verdict::Bad, Err(_)) => Exit::Unreachable,
        (Verdict::Bad, Ok(Reached { certificate: Known::Changed { .. }, .. })) => Exit::Identity,
        (Verdict::Bad, Ok(_)) => Exit::Failed,
    }
}

fn as_json(server: &str, findings: &Findings, diagnosis: &Diagnosis) -> String {
    let report = Report {
        v: 1,
        r#type: "doctor",
        verdict: match diagnosis.verdict {
            Verdict::Good => "good",
            Verdict::Limited => "limited",
            Verdict::Bad => "bad",
        },
        checks: &checks(server, findings, diagnosis),
        means: &means(findings, diagnosis),
        remedies: &diagnosis.remedies.iter().map(|remedy| words_of(*remedy, server, findings)).collect::<Vec<_>>(),
    };
    serde_json::to_string(&report).expect("strings and numbers are always JSON")
}

fn as_text(server: &str, findings: &Findings, diagnosis: &Diagnosis) -> Vec<String> {
    let mut lines: Vec<String> = checks(server, findings, diagnosis)
        .into_iter()
        .map(|check| {
            let state = match check.state {
                State::Good => "good",
                State::Limited => "limited",
                State::Bad => "BAD",
                State::Note => "note",
            };
            format!("  {state:<8} {:<12} {}", check.check, check.text)
        })
        .collect();
    lines.push(String::new());
    lines.push(means(findings, diagnosis));
    lines.extend(diagnosis.remedies.iter().map(|remedy| format!("  try: {}", words_of(*remedy, server, findings))));
    lines
}

/// Everything that was looked at, in the order in which one thing builds on another.
fn checks(server: &str, findings: &Findings, diagnosis: &Diagnosis) -> Vec<Check> {
    let check = |check, state, text: String| Check { check, state, text };
    let local: Vec<String> = findings.local.iter().map(ToString::to_string).collect();
    let mut checks = vec![match local.is_empty() {
        true => check("addresses", State::Bad, "this machine has none: is it connected to a network?".to_owned()),
        false => check("addresses", State::Note, local.join(", ")),
    }];
    let reached = match &findings.server {
        Ok(reached) => reached,
        Err(why) => {
            checks.push(check(
                "server",
                State::Bad,
                match why {
                    ServerDialError::NotFound(_) => {
                        format!("no address is known for {}: {}", shown(server), shown(why))
                    }
                    _ => format!("{} did not answer over UDP: {}", shown(server), shown(why)),
                },
            ));
            return checks;
        }
    };
    let answered = format!("{} answered at {} in {} ms, over UDP", shown(server), reached.remote, reached.rtt_ms);
    checks.push(check("server", State::Good, answered));
    checks.push(certificate(&reached.certificate));
    if reached.withheld {
        let text = "not given to a server that you have not accepted yet: it was asked without".to_owned();
        checks.push(check("password", State::Note, text));
    }
    let version = |ipv6| if ipv6 { "IPv6" } else { "IPv4" };
    let (this, other) = (version(reached.remote.is_ipv6()), version(!reached.remote.is_ipv6()));
    checks.push(match findings.other_version {
        Some(true) => check("ip", State::Good, format!("{this} works, and so does {other}")),
        Some(false) => check("ip", State::Note, format!("{this} works; over {other} the server doesn't answer")),
        None => check("ip", State::Good, format!("{this} works; the server has no {other} address")),
    });
    if diagnosis.public_ipv6 {
        checks.push(check("ipv6", State::Good, "this machine has a public IPv6 address".to_owned()));
    }
    checks.push(check("packets", State::Good, format!("{} bytes get through in one", reached.mtu)));
    checks.extend(match findings.port_mapping {
        PortMapping::NotAsked => None,
        PortMapping::None => {
            Some(check("port", State::Note, "your router grants no port by PCP, NAT-PMP or UPnP".to_owned()))
        }
        PortMapping::At(outer) => Some(check("port", State::Good, format!("your router lets others in at {outer}"))),
    });
    match &reached.told {
        Ok(told) => checks.extend([mapping(told, diagnosis), clock(told)]),
        Err(why) => checks.push(check("answer", State::Bad, format!("the server said: {}", shown(why)))),
    }
    checks
}

fn certificate(known: &Known) -> Check {
    let check = |state, text| Check { check: "certificate", state, text };
    match known {
        Known::Publicly => check(State::Good, "vouched for by a public authority".to_owned()),
        Known::Remembered => check(State::Good, "the one that you have remembered".to_owned()),
        Known::New(words) => check(State::Note, format!("not met before: {words}")),
        Known::Changed { pinned, shown } => {
            check(State::Bad, format!("another one than remembered: it was {pinned}, now it is {shown}"))
        }
        Known::Unreadable(why) => check(State::Bad, format!("the remembered servers can't be read: {}", shown(why))),
    }
}

fn mapping(told: &Told, diagnosis: &Diagnosis) -> Check {
    let check = |state, text| Check { check: "router", state, text };
    let observed = told.observed;
    match (diagnosis.mapping, &told.second) {
        (Some(Mapping::None), _) => {
            check(State::Good, format!("none in between: the server sees this machine, {observed}"))
        }
        (Some(Mapping::Same), _) => {
            check(State::Good, format!("others can reach you at {observed}: it maps you to one address for all"))
        }
        (Some(Mapping::ByDestination), Second::Observed(second)) => {
            let text = format!(
                "maps you to another address for each destination ({observed}, then {second}): nobody can know which"
            );
            check(State::Limited, text)
        }
        (_, Second::Silent(port)) => check(
            State::Limited,
            format!("you are seen at {observed}; its kind can't be told: port {port} of the server is silent"),
        ),
        _ => check(
            State::Limited,
            format!("you are seen at {observed}; its kind can't be told: the server has no second port"),
        ),
    }
}

fn clock(told: &Told) -> Check {
    let seconds = told.clock_ahead_ms.unsigned_abs() / 1000;
    let direction = if told.clock_ahead_ms < 0 { "ahead of" } else { "behind" };
    if told.clock_ahead_ms.unsigned_abs() > CLOCK_OFF_SHOWN_MS {
        let text =
            format!("yours is {seconds} s {direction} the server's: times will look wrong to others, nothing else");
        return Check { check: "clock", state: State::Note, text };
    }
    Check { check: "clock", state: State::Good, text: format!("within {seconds} s of the server's") }
}

fn means(findings: &Findings, diagnosis: &Diagnosis) -> String {
    let behind = |observed: &SocketAddr| if is_private(observed) { " within this network" } else { "" };
    match (diagnosis.verdict, &findings.server) {
        (Verdict::Good, Ok(Reached { told: Ok(told), .. })) => {
            format!("GOOD: others will link to you directly{}, unless their own network prevents it.", behind(&told.observed))
        }
        (Verdict::Good, _) => "GOOD: others will link to you directly, unless their own network prevents it.".to_owned(),
        (Verdict::Limited, _) if diagnosis.mapping == Some(Mapping::Unknown) => {
            "LIMITED: you can chat; whether directly with everybody can't be told from here.".to_owned()
        }
        (Verdict::Limited, _) => {
            "LIMITED: you can chat, but only through a common member with those who are behind an ordinary home router or one \
             like yours."
                .to_owned()
        }
        (Verdict::Bad, Err(_)) => {
            "BAD: without the server you can't find rooms; members whom you know the address of may still be reached.".to_owned()
        }
        (Verdict::Bad, Ok(_)) => "BAD: no chat begins by way of this server until that is settled.".to_owned(),
    }
}

fn words_of(remedy: Remedy, server: &str, findings: &Findings) -> String {
    let server = shown(server);
    let unknown = findings.resolved.is_empty();
    match remedy {
        Remedy::CheckServer if unknown => {
            format!("is {server} spelled right, and does this machine have a name service (DNS)? The name leads nowhere from here")
        }
        Remedy::CheckServer => {
            format!("is {server} the right server, and running? Ask its operator, or somebody in another network")
        }
        Remedy::AllowUdp => {
            "another network, such as a phone's: some offices and hotels block UDP; p2pchat has no way around \
                             that yet, a VPN that carries UDP does"
                .to_owned()
        }
        Remedy::CompareWords => "compare the certificate's words with those that the operator has published".to_owned(),
        Remedy::AnswerServer if findings.server.as_ref().is_ok_and(|reached| reached.withheld) => {
            "the password was kept from it, since its certificate is not remembered yet: compare the words, join a room there once, \
                                  then ask again"
                .to_owned()
        }
        Remedy::AnswerServer => {
            "give the password with --password-file FILE, if that is what the server asks for".to_owned()
        }
        Remedy::MapPort => {
            "turn on UPnP, NAT-PMP or PCP in your router, or forward a UDP port to this machine and say --listen \
                            0.0.0.0:PORT"
                .to_owned()
        }
        Remedy::UseIpv6 => "IPv6, if your provider has it: it needs no mapping".to_owned(),
        Remedy::AddCarrier => {
            "a member whom everybody reaches carries for those who can't connect, such as one on a rented \
                               machine"
                .to_owned()
        }
        Remedy::SetClock => "set this machine's clock".to_owned(),
        Remedy::OpenSecondPort => {
            "ask the operator to open the server's second port (see second_port in config/server.toml)".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(second: Second) -> Findings {
        let remote = "198.51.100.1:4433".parse().unwrap();
        let told = Told { observed: "203.0.113.9:7000".parse().unwrap(), second, clock_ahead_ms: -1_500 };
        let reached =
            Reached { remote, rtt_ms: 20, mtu: 1452, certificate: Known::Remembered, withheld: false, told: Ok(told) };
        Findings {
            local: vec!["192.168.1.7".parse().unwrap()],
            resolved: vec![remote],
            server: Ok(reached),
            other_version: None,
            port_mapping: PortMapping::None,
        }
    }

    fn text(findings: &Findings) -> String {
        as_text("chat.example", findings, &diagnose(findings)).join("\n")
    }

    #[test]
    fn a_good_network_is_told_in_a_few_lines() {
        let expected = "\
\x20 note     addresses    192.168.1.7
  good     server       chat.example answered at 198.51.100.1:4433 in 20 ms, over UDP
  good     certificate  the one that you have remembered
  good     ip           IPv4 works; the server has no IPv6 address
  good     packets      1452 bytes get through in one
  note     port         your router grants no port by PCP, NAT-PMP or UPnP
  good     router       others can reach you at 203.0.113.9:7000: it maps you to one address for all
  good     clock        within 1 s of the server's

GOOD: others will link to you directly, unless their own network prevents it.";
        assert_eq!(text(&findings(Second::Observed("203.0.113.9:7000".parse().unwrap()))), expected);
    }

    #[test]
    fn a_symmetric_router_is_limited_for_people_and_programs() {
        let findings = findings(Second::Observed("203.0.113.9:7001".parse().unwrap()));
        let diagnosis = diagnose(&findings);
        assert_eq!(exit(&findings, &diagnosis), Exit::Limited);
        assert!(text(&findings).contains("LIMITED") && text(&findings).contains("try: turn on UPnP"));
        let json: serde_json::Value = serde_json::from_str(&as_json("chat.example", &findings, &diagnosis)).unwrap();
        assert_eq!(json["verdict"], "limited");
        assert_eq!(json["checks"][6]["state"], "limited");
        assert_eq!(json["remedies"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn what_a_server_says_cannot_steer_the_terminal() {
        let mut findings = findings(Second::NotThere);
        if let Ok(reached) = &mut findings.server {
            reached.told = Err("go \u{1b}[2J away".to_owned());
        }
        assert!(!text(&findings).contains('\u{1b}'));
        assert_eq!(exit(&findings, &diagnose(&findings)), Exit::Failed);
    }
}
