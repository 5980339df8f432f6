//! A router that can be asked: the member behind it is open to everybody, until it leaves.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use crate::harness::Process;
use crate::lab::{self, Host, Router};
use crate::rooms::{Net, ROOM, settled, within};

/// Set for the process that is the router's.
const SERVES: &str = "P2PCHAT_NAT_PCP";

/// The router's side of PCP (RFC 6887), as much as one mapping takes: this test program once more, in the router's
/// namespace. Says what it does on standard output.
#[test]
fn a_router_that_speaks_pcp() {
    let Ok(public) = std::env::var(SERVES) else { return };
    let public: Ipv4Addr = public.parse().unwrap();
    let socket = UdpSocket::bind("0.0.0.0:5351").unwrap();
    println!("pcp ready");
    let mut request = [0; 1100];
    loop {
        let (length, from) = socket.recv_from(&mut request).unwrap();
        let map = length == 60 && request[..2] == [2, 1] && request[36] == 17;
        if !map {
            continue;
        }
        let lifetime = u32::from_be_bytes(request[4..8].try_into().unwrap());
        let inner = u16::from_be_bytes(request[40..42].try_into().unwrap());
        // Another port than the inner one, so that nobody is reached by luck.
        let outer = inner ^ 1;
        let rules = match lifetime {
            0 => "delete table ip pcp\n".to_owned(),
            _ => format!(
                "table ip pcp {{\n}}\ndelete table ip pcp\ntable ip pcp {{\nchain pre {{ type nat hook prerouting priority -101; \
                 iifname \"wan0\" udp dport {outer} dnat to {}:{inner}\n}}\n}}\n\
                 insert rule ip filter forward iifname \"wan0\" udp dport {inner} accept\n",
                from.ip()
            ),
        };
        let fed = Command::new("sh").args(["-c", &format!("printf '%s' '{rules}' | nft -f -")]).status().unwrap();
        assert!(fed.success(), "{rules}");
        let mut answer = [0; 60];
        answer[..2].copy_from_slice(&[2, 0x81]);
        answer[4..8].copy_from_slice(&lifetime.to_be_bytes());
        answer[8..12].copy_from_slice(&7_u32.to_be_bytes());
        answer[24..42].copy_from_slice(&request[24..42]);
        answer[42..44].copy_from_slice(&outer.to_be_bytes());
        answer[44..60].copy_from_slice(&public.to_ipv6_mapped().octets());
        socket.send_to(&answer, from).unwrap();
        println!("pcp {} {outer}", if lifetime == 0 { "unmapped" } else { "mapped" });
    }
}

/// Starts the router of a host's home.
pub fn router_that_maps(host: &Host) -> Process {
    let at_router = Host { namespace: host.router.clone(), ..host.clone() };
    let program = std::env::current_exe().unwrap();
    let mut command = within(&at_router, program.to_str().unwrap());
    command.args(["--exact", "mapping::a_router_that_speaks_pcp", "--nocapture"]).env(SERVES, host.public());
    let process = Process::spawn(&mut command);
    process.wait_stdout("pcp ready");
    process
}

#[test]
fn a_port_mapping_opens_the_hardest_router_and_is_undone_at_the_end() {
    if !lab::available() {
        return;
    }
    let mut net = Net::new();
    let hosts = [Router::Symmetric, Router::Symmetric].map(|router| net.lab.host(router));
    let router = router_that_maps(&hosts[0]);
    let mut alice = net.founder(&hosts[0], "alice");
    router.wait_stdout("pcp mapped");
    let (mut bob, _) = net.admit(&hosts[1], "bob", &mut [&mut alice]);
    assert_eq!(settled(&mut alice, &mut bob, Duration::from_secs(20)), "direct");
    bob.say(ROOM, "through the open port");
    alice.hears("bob", "through the open port");
    alice.quit();
    router.wait_stdout("pcp unmapped");
}
