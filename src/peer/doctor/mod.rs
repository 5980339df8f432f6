//! Examining the network between this machine and a server: what stands between this user and direct links to others.
//!
//! Here is the asking; what the answers mean for a chat is decided in `verdict`. Nothing is changed anywhere: no identity is
//! made, no certificate remembered, no name taken.

mod verdict;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::pins::Pins;
use crate::identity::{Fingerprint, Identity};
use crate::limits::{HELLO_WITHIN_S, SURVEY_MAPPING_WITHIN_S, SURVEY_MTU_WITHIN_MS};
use crate::net::{CloseCode, Link, Mapping as MappedPort, PeerEndpoint, Reader, ServerCertificate, ServerConnection};
use crate::wire::{FromServer, Text, ToServer};

pub use self::verdict::{Diagnosis, Mapping, Remedy, Verdict, diagnose, is_private};
pub use crate::net::ServerDialError;

/// What is examined.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The server, as the user named it.
    pub server: &'a str,
    /// Its password, where it wants one.
    pub password: Option<&'a str>,
    /// Where the chat would listen.
    pub listen: SocketAddr,
    /// Whether the router is asked for a port mapping, as the chat would do.
    pub map_port: bool,
    /// The folder of the remembered certificates.
    pub data_dir: &'a Path,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The addresses of this machine that a chat would offer, loopback only when there is no other.
    pub local: Vec<IpAddr>,
    /// What the server's name leads to.
    pub resolved: Vec<SocketAddr>,
    /// What came of dialling it.
    pub server: Result<Reached, ServerDialError>,
    /// Whether the server answers over the IP version that the first dial did not use, where it has such an address.
    pub other_version: Option<bool>,
    /// What came of asking the router for a port mapping.
    pub port_mapping: PortMapping,
}

/// What came of asking the router to let others in at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortMapping {
    /// It was not asked: there is no router in between, or the config forbids it.
    NotAsked,
    /// It grants none, or speaks none of PCP, NAT-PMP and UPnP.
    None,
    /// Others reach this socket here.
    At(SocketAddr),
}

/// A server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// At which address.
    pub remote: SocketAddr,
    /// Its round trip, in milliseconds.
    pub rtt_ms: u64,
    /// The largest UDP payload that gets through, in bytes, as far as it was searched for.
    pub mtu: u16,
    /// What is known of its certificate.
    pub certificate: Known,
    /// Whether the password was kept from it, since nobody has accepted its certificate yet.
    pub withheld: bool,
    /// What it told, or why it told nothing.
    pub told: Result<Told, String>,
}

/// What is known of a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// A public authority vouches for it.
    Publicly,
    /// It is the remembered one.
    Remembered,
    /// This user has never met the server.
    New(Fingerprint),
    /// Another one is remembered.
    Changed {
        /// The remembered one.
        pinned: Fingerprint,
        /// The one that was shown.
        shown: Fingerprint,
    },
    /// The remembered servers can't be read; why.
    Unreadable(String),
}

/// What a server told about this side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Where it sees this socket.
    pub observed: SocketAddr,
    /// Where it sees the same socket when that dials its second port.
    pub second: Second,
    /// How far its clock is ahead of ours, in milliseconds; the round trip is taken out.
    pub clock_ahead_ms: i64,
}

/// What came of dialling the second port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Second {
    /// The server has none.
    NotThere,
    /// It has one, which doesn't answer.
    Silent(u16),
    /// This socket is seen here.
    Observed(SocketAddr),
}

/// Asks everything there is to ask, in some 20 seconds at most. Needs a tokio runtime.
///
/// # Errors
/// When no socket can be opened at `question.listen`.
pub async fn examine(question: &Question<'_>) -> std::io::Result<Findings> {
    let endpoint = PeerEndpoint::bind(question.listen, &Identity::from_seed(&rand::random()))?;
    let (told, mut mapped) = mpsc::channel(1);
    let began = Instant::now();
    let mapping = question.map_port.then(|| MappedPort::keep(endpoint.local_addr(), Arc::default(), told));
    let local: Vec<_> = endpoint.local_candidates().iter().map(SocketAddr::ip).collect();
    let resolved = endpoint.resolve(question.server).await.unwrap_or_default();
    let (server, link) = match endpoint.dial_server(question.server).await {
        Ok(connection) => {
            let link = connection.link.clone();
            (Ok(reach(&endpoint, question, connection).await), Some(link))
        }
        Err(why) => (Err(why), None),
    };
    let other_version = match &link {
        Some(link) => answers_otherwise(&endpoint, link.remote(), &resolved).await,
        None => None,
    };
    let observed = server.as_ref().ok().and_then(|reached| Some(reached.told.as_ref().ok()?.observed.ip()));
    let routed = observed.is_none_or(|ip| !local.contains(&ip) && !ip.is_loopback());
    let port_mapping = match mapping {
        Some(_) if routed => {
            let left = Duration::from_secs(SURVEY_MAPPING_WITHIN_S).saturating_sub(began.elapsed());
            let granted = timeout(left, mapped.recv()).await.ok().flatten().flatten();
            granted.map_or(PortMapping::None, PortMapping::At)
        }
        _ => PortMapping::NotAsked,
    };
    if let Some(mapping) = mapping {
        mapping.undo().await;
    }
    endpoint.close(CloseCode::Normal, "examined").await;
    Ok(Findings { local, resolved, server, other_version, port_mapping })
}

async fn reach(endpoint: &PeerEndpoint, question: &Question<'_>, connection: ServerConnection) -> Reached {
    let ServerConnection { certificate, remote, .. } = connection;
    let certificate = known(question, certificate);
    let link = connection.link.clone();
    let told = match &certificate {
        // Whoever is not who they were is told nothing, the password least of all.
        Known::Changed { .. } | Known::Unreadable(_) => Err("not asked".to_owned()),
        // It may be anybody: no password, that is for whom the user has accepted.
        Known::New(_) => ask(endpoint, &Question { password: None, ..question.clone() }, connection).await,
        Known::Publicly | Known::Remembered => ask(endpoint, question, connection).await,
    };
    let withheld = question.password.is_some() && matches!(certificate, Known::New(_));
    let mtu = largest_payload(&link).await;
    Reached { remote, rtt_ms: ms(link.rtt()), mtu, certificate, withheld, told }
}

fn known(question: &Question<'_>, shown: ServerCertificate) -> Known {
    if shown.publicly_valid {
        return Known::Publicly;
    }
    match Pins::in_dir(question.data_dir).get(question.server) {
        Ok(None) => Known::New(shown.fingerprint),
        Ok(Some(pinned)) if pinned == shown.fingerprint => Known::Remembered,
        Ok(Some(pinned)) => Known::Changed { pinned, shown: shown.fingerprint },
        Err(why) => Known::Unreadable(why.to_string()),
    }
}

async fn ask(endpoint: &PeerEndpoint, question: &Question<'_>, connection: ServerConnection) -> Result<Told, String> {
    let (remote, certificate) = (connection.remote, connection.certificate);
    let mut visit = visit(connection, question.password).await?;
    let asked = Instant::now();
    let _ = visit.writer.send(&ToServer::Survey(()));
    let Some(FromServer::Surveyed((second_port, wall_ms))) = visit.hear().await? else {
        return Err("it said something else than was asked; is it of another version?".to_owned());
    };
    let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = ms(here).saturating_sub(ms(asked.elapsed()) / 2);
    let clock_ahead_ms = i64::try_from(i128::from(wall_ms) - i128::from(then)).unwrap_or(i64::MAX);
    let second = match second_port {
        None | Some(0) => Second::NotThere,
        Some(port) => {
            let address = SocketAddr::new(remote.ip(), port);
            match endpoint.dial_server(&address.to_string()).await {
                Ok(twin) if twin.certificate.fingerprint == certificate.fingerprint => {
                    self::visit(twin, question.password)
                        .await
                        .map_or(Second::Silent(port), |it| Second::Observed(it.observed))
                }
                _ => Second::Silent(port),
            }
        }
    };
    Ok(Told { observed: visit.observed, second, clock_ahead_ms })
}

/// A connection on which this side is let in as a visitor.
struct Visit {
    observed: SocketAddr,
    reader: Reader<FromServer>,
    writer: crate::net::Writer<ToServer>,
    _link: Link,
}

impl Visit {
    async fn hear(&mut self) -> Result<Option<FromServer>, String> {
        let heard = timeout(Duration::from_secs(HELLO_WITHIN_S), self.reader.next()).await;
        heard.map_err(|_| "it did not answer in time".to_owned())?.map_err(|why| why.to_string())
    }
}

async fn visit(connection: ServerConnection, password: Option<&str>) -> Result<Visit, String> {
    let (link, reader, writer) = connection.open(|_| {}).await.map_err(|why| why.to_string())?;
    let observed = link.remote();
    let mut visit = Visit { observed, reader, writer, _link: link };
    let _ = visit.writer.send(&ToServer::Visit(password.map(Text::cut)));
    match visit.hear().await? {
        Some(FromServer::Welcome(observed)) => Ok(Visit { observed, ..visit }),
        Some(FromServer::Refused((_, _, why))) => Err(why.as_str().to_owned()),
        _ => Err("it did not welcome us".to_owned()),
    }
}

/// Whether the server answers at an address of the other IP version than `used`; `None` where it has none.
async fn answers_otherwise(endpoint: &PeerEndpoint, used: SocketAddr, resolved: &[SocketAddr]) -> Option<bool> {
    let other = resolved.iter().find(|address| address.is_ipv6() != used.is_ipv6())?;
    Some(endpoint.dial_server(&other.to_string()).await.is_ok())
}

/// QUIC looks for the largest payload by itself, a probe per round trip; this waits until it has stopped growing.
async fn largest_payload(link: &Link) -> u16 {
    let until = Instant::now() + Duration::from_millis(SURVEY_MTU_WITHIN_MS);
    let pause = link.rtt().max(Duration::from_millis(5)) * 3;
    let mut largest = link.mtu();
    while Instant::now() < until {
        tokio::time::sleep(pause).await;
        let now = link.mtu();
        if now == largest && now > 1200 {
            break;
        }
        largest = now;
    }
    largest
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
