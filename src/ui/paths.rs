//! How members are reached, in words.

use super::notices::pad;
use super::words::shown;
use crate::peer::api::{Name, Path, RoomName, Route};

/// What is said when the path to a member has changed.
pub fn change(name: &Name, path: &Path, grace_s: Option<u64>, tried: Option<usize>) -> Vec<String> {
    match (path, grace_s, tried) {
        (Path::None, Some(grace), Some(tried)) => no_path(name, grace, tried),
        (Path::None, Some(grace), None) => {
            vec![format!("{} can't be reached and loses their seat in {grace} s unless they come back", shown(name))]
        }
        _ => vec![format!("{}: {}", shown(name), words(path))],
    }
}

/// They are there, and so are we: it is the networks between us.
fn no_path(name: &Name, grace: u64, tried: usize) -> Vec<String> {
    let name = shown(name);
    let addresses = match tried {
        0 => "no address of theirs is known yet".to_owned(),
        1 => "their one address doesn't answer".to_owned(),
        more => format!("none of their {more} addresses answers"),
    };
    vec![
        format!("no path to {name}: the server sees them, but {addresses}, and no other member reaches you both"),
        format!("  what you write is kept, and sent when there is a path; {name} keeps their seat for {grace} s"),
        "  what helps: a router that lets others in (map_port in the config, or a port forwarded by hand), IPv6, or a third"
            .to_owned(),
        "  member that you both reach and approve, such as `p2pchat carry ROOM` on a machine with a public address".to_owned(),
    ]
}

/// A path in a few words.
pub fn words(path: &Path) -> String {
    match path {
        Path::Direct { rtt_ms: Some(rtt) } => format!("direct, {rtt} ms"),
        Path::Direct { rtt_ms: None } => "direct".to_owned(),
        Path::Relayed { via } => format!("relayed through {}", shown(via)),
        Path::None => "not reached".to_owned(),
    }
}

/// The answer to `/paths`.
pub fn table(room: &RoomName, routes: &[Route]) -> Vec<String> {
    if routes.is_empty() {
        return vec![format!("nobody else is in {}", shown(room))];
    }
    let mut lines = vec![format!("paths in {}; the server is on none of them", shown(room))];
    lines.extend(routes.iter().map(|route| {
        let more = match &route.direct {
            Some(link) => {
                let who = if link.dialled { "you dialled" } else { "they dialled" };
                format!("at {}, {who}, {} s ago", link.remote, link.since_s)
            }
            None => tried(route),
        };
        format!("  {}  {}; {more}", pad(&shown(&route.name), 12), words(&route.path))
    }));
    lines
}

fn tried(route: &Route) -> String {
    let there = match route.online {
        Some(true) => "the server sees them",
        Some(false) => "the server doesn't see them",
        None => "no server to ask",
    };
    if route.addresses.is_empty() {
        return format!("{there}, no address is known");
    }
    let addresses: Vec<String> = route.addresses.iter().map(ToString::to_string).collect();
    format!("{there}, tried {}", addresses.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::corpus;

    #[test]
    fn whoever_has_no_path_reads_why_what_happens_and_what_helps() {
        let lines = change(&corpus::name("bob"), &Path::None, Some(118), Some(3));
        let text = lines.join("\n");
        for part in
            ["no path to bob", "none of their 3 addresses", "is kept", "118 s", "map_port", "IPv6", "p2pchat carry"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let gone = change(&corpus::name("bob"), &Path::None, Some(118), None);
        assert_eq!(gone, ["bob can't be reached and loses their seat in 118 s unless they come back"]);
    }

    #[test]
    fn the_table_says_how_and_where() {
        let lines = table(&corpus::lobby(), &corpus::routes());
        assert_eq!(lines[1], "  bob           direct, 12 ms; at 198.51.100.7:4433, you dialled, 90 s ago");
        assert_eq!(
            lines[2],
            "  carol         relayed through bob; the server sees them, tried 203.0.113.1:9 [2001:db8::1]:9"
        );
        assert_eq!(table(&corpus::lobby(), &[]), ["nobody else is in lobby"]);
    }
}
