//! Dialling in bad weather, hundreds of times: real endpoints, a net in memory, paused time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::shim::{Net, Router, Weather, under};
use super::*;
use crate::identity::{Identity, PeerId, Signer as _};

const ROUTERS: [Router; 4] = [Router::None, Router::FullCone, Router::Home, Router::Symmetric];

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1]
}

/// The first link of one side: dialled or accepted, whichever is first.
async fn link(endpoint: &PeerEndpoint, peer: PeerId, candidates: &[SocketAddr]) -> PeerConnection {
    let accepted = async { endpoint.accept().await.expect("the endpoint is open") };
    let dialled = async {
        match endpoint.dial(peer, candidates).await {
            Ok(connection) => connection,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        connection = accepted => connection,
        connection = dialled => connection,
    }
}

/// How long after the go both sides have a link, if they come to one within the time of a dial.
async fn trial(routers: [Router; 2], weather: Weather, skew: Duration) -> Option<Duration> {
    let net = Net::default();
    let mut ends = Vec::new();
    for (nth, router) in (1..).zip(routers) {
        let identity = Identity::from_seed(&[nth; 32]);
        let (socket, seen) = net.host(nth, router);
        let inner = socket.local_addr().unwrap();
        let socket = under(Weather { seed: weather.seed * 2 + u64::from(nth), ..weather }, socket);
        ends.push((PeerEndpoint::over(socket, &identity).unwrap(), identity.id(), vec![seen, inner]));
    }
    let [(a, a_id, a_at), (b, b_id, b_at)] = &ends[..] else { panic!("two ends") };
    let go = Instant::now();
    let later = async {
        sleep(skew).await;
        let connection = link(b, *a_id, a_at).await;
        (Instant::now(), connection)
    };
    let first = async {
        let connection = link(a, *b_id, b_at).await;
        (Instant::now(), connection)
    };
    let both = timeout(Duration::from_secs(5), async { tokio::join!(first, later) });
    let ((one, _), (other, _)) = both.await.ok()?;
    Some(one.max(other).duration_since(go))
}

fn weather(seed: u64) -> Weather {
    Weather { delay: Duration::from_millis(30), lost_percent: 10, rate: None, seed }
}

#[tokio::test(start_paused = true)]
async fn one_packet_in_ten_lost_costs_a_dial_less_than_half_a_second_nineteen_times_of_twenty() {
    let seeds: u64 = std::env::var("P2PCHAT_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut took = Vec::new();
    for seed in 0..seeds {
        // The server's go reaches both at the same moment.
        let linked = trial([Router::Home, Router::Home], weather(seed), Duration::ZERO).await;
        took.push(linked.expect("they find each other"));
    }
    took.sort_unstable();
    let (half, most, last) = (percentile(&took, 50), percentile(&took, 95), took[took.len() - 1]);
    println!("{seeds} dials across two routers, 10 % loss, 30 ms one way: p50 {half:?}, p95 {most:?}, max {last:?}");
    assert!(most <= Duration::from_millis(400), "{most:?}");
}

#[tokio::test(start_paused = true)]
async fn every_pair_that_can_reach_each_other_does_in_any_weather() {
    let seeds: u64 = std::env::var("P2PCHAT_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let hard = |pair: [Router; 2]| {
        let [one, other] = pair;
        let difficult = |router| matches!(router, Router::Home | Router::Symmetric);
        difficult(one) && difficult(other) && pair.contains(&Router::Symmetric)
    };
    for one in ROUTERS {
        for other in ROUTERS {
            let mut reached = 0;
            let mut took = Vec::new();
            for seed in 0..seeds {
                let link = trial([one, other], weather(seed), Duration::from_millis(seed % 31)).await;
                reached += u64::from(link.is_some());
                took.extend(link);
            }
            took.sort_unstable();
            let p95 = if took.is_empty() { "-".to_owned() } else { format!("{:?}", percentile(&took, 95)) };
            println!("{one:?} and {other:?}: {reached} of {seeds}, p95 {p95}");
            assert_eq!(reached, if hard([one, other]) { 0 } else { seeds }, "{one:?} and {other:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_is_there_after_one_round_trip_and_a_half_in_good_weather() {
    for one in ROUTERS {
        let calm = Weather { lost_percent: 0, ..weather(1) };
        let took = trial([one, Router::None], calm, Duration::ZERO).await.expect("they find each other");
        // One round trip of handshake, half of one for the accepting side to hear of it; the hold is for two routers.
        assert!(took <= Duration::from_millis(100), "{one:?}: {took:?}");
    }
}
