//! A small Internet on this machine: network namespaces for hosts and routers, cables between them, and `nft` for what the
//! routers do. All of it goes away with the test; what an earlier run that was killed left behind goes at the next start.
//!
//! ```text
//!   host ── router (NAT) ──┐
//!                          ├── inet, a router that only forwards ── public hosts (server, third member)
//!   host ── router (NAT) ──┘
//! ```
//!
//! There is a hop between any two sites, as on the real Internet, and no delay: kernels like ours have no `netem`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What stands between a host and the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// Nothing: a public address.
    None,
    /// One mapping, and whoever knows it gets in.
    FullCone,
    /// What most homes have: one mapping, and only those answer who were spoken to.
    Home,
    /// Another, random mapping for each destination.
    Symmetric,
    /// As at home, but without a firewall of its own on the WAN side: an early packet from outside takes the place of the
    /// mapping that is about to be made (holepunch.md §3).
    OpenInput,
}

impl Router {
    /// All four of the matrix.
    pub const MATRIX: [Router; 4] = [Router::None, Router::FullCone, Router::Home, Router::Symmetric];

    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Router::None => "none",
            Router::FullCone => "full cone",
            Router::Home => "home",
            Router::Symmetric => "symmetric",
            Router::OpenInput => "open input",
        }
    }

    fn rules(self, site: u32) -> String {
        let masquerade = match self {
            Router::None => return String::new(),
            Router::Symmetric => "masquerade fully-random",
            _ => "masquerade",
        };
        let inbound = match self {
            Router::FullCone => format!(
                "chain pre {{ type nat hook prerouting priority -100; iifname \"wan0\" meta l4proto udp dnat to 10.{site}.0.2\n}}\n"
            ),
            _ => String::new(),
        };
        let input = if self == Router::OpenInput { "accept" } else { "drop" };
        let forward = if self == Router::FullCone { "accept" } else { "drop" };
        format!(
            "table ip nat {{\n{inbound}chain post {{ type nat hook postrouting priority 100; oifname \"wan0\" {masquerade}\n}}\n}}\n\
             table ip filter {{\n\
             chain input {{ type filter hook input priority 0; ct state established,related accept\n iifname \"wan0\" {input}\n}}\n\
             chain forward {{ type filter hook forward priority 0; policy {forward}; ct state established,related accept\n iifname != \"wan0\" accept\n}}\n}}\n"
        )
    }
}

static LABS: AtomicU32 = AtomicU32::new(0);

/// The Internet of one test.
pub struct Lab {
    prefix: String,
    sites: u32,
    namespaces: Vec<String>,
}

/// A host in it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its namespace.
    pub namespace: String,
    /// The namespace of its router, which may be itself.
    pub router: String,
    /// Its site's number: 198.51.(100 + site).2 is the public address, 10.site.0.2 the one at home.
    pub site: u32,
    /// Its own address.
    pub address: String,
}

impl Host {
    /// The address of its site on the Internet.
    pub fn public(&self) -> String {
        format!("198.51.{}.2", 100 + self.site)
    }
}

/// Whether namespaces can be made here; says so loudly where not, since a lab that was passed over has shown nothing.
pub fn available() -> bool {
    let can = |program: &str, args: &[&str]| {
        let run = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let probe = format!("p2pnat{}probe{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
    let made = can("ip", &["netns", "add", &probe])
        && can("ip", &["netns", "exec", &probe, "nft", "add", "table", "ip", "probe"])
        && can(
            "ip",
            &[
                "netns",
                "exec",
                &probe,
                "nft",
                "add",
                "chain",
                "ip",
                "probe",
                "nat",
                "{ type nat hook prerouting priority 0; }",
            ],
        );
    can("ip", &["netns", "del", &probe]);
    if !made {
        eprintln!(
            "\n*** SKIPPED: the NAT lab needs root, iproute2 (ip netns) and nftables (nft with NAT). Nothing was shown. ***\n"
        );
    }
    made
}

impl Lab {
    /// An Internet with nobody on it.
    pub fn new() -> Lab {
        sweep();
        let prefix = format!("p2pnat{}-{}-", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let mut lab = Lab { prefix, sites: 0, namespaces: Vec::new() };
        let inet = lab.namespace("inet");
        lab.inside(&inet, "sysctl -qw net.ipv4.ip_forward=1");
        lab
    }

    /// A host behind a router of its own.
    pub fn host(&mut self, router: Router) -> Host {
        self.sites += 1;
        let site = self.sites;
        let (inet, public) = (self.name("inet"), 100 + site);
        let edge = self.namespace(&format!("r{site}"));
        self.run(&format!(
            "ip link add wan0 netns {edge} type veth peer name site{site} netns {inet}
             ip -n {edge} address add 198.51.{public}.2/24 dev wan0
             ip -n {inet} address add 198.51.{public}.1/24 dev site{site}
             ip -n {edge} link set wan0 up
             ip -n {inet} link set site{site} up
             ip -n {edge} route add default via 198.51.{public}.1"
        ));
        if router == Router::None {
            return Host { namespace: edge.clone(), router: edge, site, address: format!("198.51.{public}.2") };
        }
        self.run(&format!(
            "ip -n {edge} link add lan0 type bridge
             ip -n {edge} address add 10.{site}.0.1/24 dev lan0
             ip -n {edge} link set lan0 up"
        ));
        self.inside(&edge, "sysctl -qw net.ipv4.ip_forward=1");
        self.nft(&edge, &router.rules(site));
        self.roommate(&edge, site, 2)
    }

    /// One more host at home with another one.
    pub fn neighbour(&mut self, of: &Host, number: u32) -> Host {
        assert_ne!(of.router, of.namespace, "only a home has room for two");
        self.roommate(&of.router.clone(), of.site, number)
    }

    fn roommate(&mut self, router: &str, site: u32, number: u32) -> Host {
        let host = self.namespace(&format!("h{site}-{number}"));
        let address = format!("10.{site}.0.{number}");
        self.run(&format!(
            "ip link add eth0 netns {host} type veth peer name port{number} netns {router}
             ip -n {router} link set port{number} master lan0 up
             ip -n {host} address add {address}/24 dev eth0
             ip -n {host} link set eth0 up
             ip -n {host} route add default via 10.{site}.0.1"
        ));
        Host { namespace: host, router: router.to_owned(), site, address }
    }

    /// Nothing of UDP passes between these two sites any more; whatever else there is between them does.
    pub fn block(&self, one: &Host, other: &Host) {
        let inet = self.name("inet");
        self.nft(
            &inet,
            &format!(
                "table ip blocked {{\nchain forward {{ type filter hook forward priority 0;\n\
                 ip saddr {0} ip daddr {1} meta l4proto udp drop\n ip saddr {1} ip daddr {0} meta l4proto udp drop\n}}\n}}\n",
                one.public(),
                other.public()
            ),
        );
    }

    /// The namespace of the Internet, for rules about who reaches whom.
    pub fn internet(&self) -> String {
        self.name("inet")
    }

    /// Bytes that have passed the cable of this host's site, both ways.
    pub fn bytes(&self, host: &Host) -> u64 {
        let read = |which: &str| -> u64 {
            let file = format!("/sys/class/net/wan0/statistics/{which}_bytes");
            let read = Command::new("ip").args(["netns", "exec", &host.router, "cat", &file]).output().unwrap();
            String::from_utf8_lossy(&read.stdout).trim().parse().unwrap()
        };
        read("rx") + read("tx")
    }

    /// Runs lines of shell, which must not fail.
    #[track_caller]
    pub fn run(&self, script: &str) {
        self.shell(&["sh", "-e"], script);
    }

    /// Runs lines of shell inside a namespace.
    #[track_caller]
    pub fn inside(&self, namespace: &str, script: &str) {
        self.shell(&["ip", "netns", "exec", namespace, "sh", "-e"], script);
    }

    /// Takes rules in.
    #[track_caller]
    pub fn nft(&self, namespace: &str, rules: &str) {
        self.shell(&["ip", "netns", "exec", namespace, "nft", "-f", "-"], rules);
    }

    #[track_caller]
    fn shell(&self, command: &[&str], input: &str) {
        let mut child = Command::new(command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}\n{input}", String::from_utf8_lossy(&done.stderr));
    }

    fn name(&self, of: &str) -> String {
        format!("{}{of}", self.prefix)
    }

    fn namespace(&mut self, of: &str) -> String {
        let name = self.name(of);
        self.namespaces.push(name.clone());
        self.run(&format!("ip netns add {name}\nip -n {name} link set lo up"));
        name
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.namespaces {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// Removes what test processes that are gone have left.
fn sweep() {
    let listed = Command::new("ip").args(["netns", "list"]).output().unwrap();
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let Some(pid) = name.strip_prefix("p2pnat").and_then(|rest| rest.split('-').next()) else { continue };
        if pid.parse::<u32>().is_ok_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}
