//! Asking the own router to let others in at a port: PCP, NAT-PMP, then UPnP, whichever it speaks.
//!
//! It goes on in the background, delays nothing, and is undone at the end. A router's word is only ever an address that is
//! offered to members, who dial it like any other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use crab_nat::{InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{GatewayIpVersion, PortMappingProtocol, SearchOptions};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::punch::is_far;
use crate::limits::{MAPPING_ASK_AGAIN_S, MAPPING_LEASE_S, MAPPING_WITHIN_S};

/// Routers answer at once or not at all: three tries in under two seconds.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: Some(Duration::from_secs(1)),
};

/// A mapping that is being kept, or tried for.
#[derive(Debug)]
pub struct Mapping {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Mapping {
    /// Tries to have the router let others in to a socket bound to `bound`, from now on and after each change of the network
    /// (`roused`); `told` hears the outer address, and when it is gone. Does nothing for a socket that no router leads to.
    pub fn keep(bound: SocketAddr, roused: Arc<Notify>, told: mpsc::Sender<Option<SocketAddr>>) -> Mapping {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            if let Some(port) = NonZeroU16::new(bound.port()).filter(|_| !bound.ip().is_loopback()) {
                keep(bound.ip(), port, &roused, &told, stopped).await;
            }
        });
        Mapping { stop, task }
    }

    /// Has the router forget it; some seconds at most.
    pub async fn undo(self) {
        let Mapping { stop, task } = self;
        let _ = stop.send(());
        let _ = timeout(Duration::from_secs(MAPPING_WITHIN_S), task).await;
    }
}

async fn keep(
    bound: IpAddr,
    port: NonZeroU16,
    roused: &Notify,
    told: &mpsc::Sender<Option<SocketAddr>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut kept: Option<Lease> = None;
    let mut outer = None;
    loop {
        kept = tokio::select! {
            lease = renewed_or_new(kept.take(), bound, port) => lease,
            _ = &mut stopped => return,
        };
        let now_outer = kept.as_ref().map(Lease::outer).filter(|outer| is_far(outer.ip()));
        if now_outer != outer {
            outer = now_outer;
            if told.send(outer).await.is_err() {
                break;
            }
        }
        let pause = if kept.is_some() { MAPPING_LEASE_S / 2 } else { MAPPING_ASK_AGAIN_S };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(pause)) => {}
            // Another network has another router; the old one forgets by itself.
            () = roused.notified() => kept = None,
            _ = &mut stopped => break,
        }
    }
    if let Some(lease) = kept {
        lease.undo().await;
    }
}

async fn renewed_or_new(kept: Option<Lease>, bound: IpAddr, port: NonZeroU16) -> Option<Lease> {
    if let Some(lease) = kept
        && let Some(lease) = lease.renewed().await
    {
        return Some(lease);
    }
    let (own, router) = way_out(bound)?;
    if let Some(lease) = Lease::by_pcp(own, router, port).await {
        return Some(lease);
    }
    Lease::by_upnp(own, port).await
}

/// What a router granted.
enum Lease {
    /// By PCP or NAT-PMP.
    Pcp { mapping: PortMapping, outer: SocketAddr },
    /// By UPnP.
    Upnp { gateway: Gateway<Tokio>, inner: SocketAddr, outer: SocketAddr },
}

impl Lease {
    async fn by_pcp(own: Ipv4Addr, router: Ipv4Addr, port: NonZeroU16) -> Option<Lease> {
        let lifetime_seconds = u32::try_from(MAPPING_LEASE_S).ok();
        let options =
            PortMappingOptions { external_port: Some(port), lifetime_seconds, timeout_config: Some(PATIENCE) };
        let asked = PortMapping::new(router.into(), own.into(), InternetProtocol::Udp, port, options);
        match asked.await {
            Ok(mapping) => Lease::of(mapping).await,
            Err(error) => {
                tracing::debug!(%error, "the router speaks no PCP and no NAT-PMP");
                None
            }
        }
    }

    async fn of(mapping: PortMapping) -> Option<Lease> {
        let ip = match mapping.mapping_type() {
            PortMappingType::Pcp { external_ip, .. } => external_ip,
            PortMappingType::NatPmp => {
                natpmp::external_address(mapping.gateway(), Some(PATIENCE)).await.ok().map(IpAddr::V4)?
            }
        };
        let outer = SocketAddr::new(ip.to_canonical(), mapping.external_port().get());
        Some(Lease::Pcp { mapping, outer })
    }

    async fn by_upnp(own: Ipv4Addr, port: NonZeroU16) -> Option<Lease> {
        let mut options = SearchOptions::default();
        options.bind_addr = SocketAddr::new(own.into(), 0);
        options.timeout = Some(Duration::from_secs(MAPPING_WITHIN_S));
        options.single_search_timeout = Some(Duration::from_secs(MAPPING_WITHIN_S));
        options.gateway_ip_version = GatewayIpVersion::V4;
        let gateway = search_gateway(options).await.ok()?;
        let inner = SocketAddr::new(own.into(), port.get());
        let asking = upnp_mapped(&gateway, inner);
        let outer = timeout(Duration::from_secs(MAPPING_WITHIN_S), asking).await.ok()??;
        Some(Lease::Upnp { gateway, inner, outer })
    }

    fn outer(&self) -> SocketAddr {
        match self {
            Lease::Pcp { outer, .. } | Lease::Upnp { outer, .. } => *outer,
        }
    }

    async fn renewed(self) -> Option<Lease> {
        match self {
            Lease::Pcp { mut mapping, .. } => {
                mapping.renew().await.ok()?;
                Lease::of(mapping).await
            }
            Lease::Upnp { gateway, inner, outer } => {
                let lease = u32::try_from(MAPPING_LEASE_S).ok()?;
                let asking = gateway.add_port(PortMappingProtocol::UDP, outer.port(), inner, lease, NAME);
                timeout(Duration::from_secs(MAPPING_WITHIN_S), asking).await.ok()?.ok()?;
                Some(Lease::Upnp { gateway, inner, outer })
            }
        }
    }

    async fn undo(self) {
        match self {
            Lease::Pcp { mapping, .. } => drop(mapping.try_drop().await),
            Lease::Upnp { gateway, outer, .. } => {
                drop(gateway.remove_port(PortMappingProtocol::UDP, outer.port()).await);
            }
        }
    }
}

/// What a router shows to whoever looks at its mappings.
const NAME: &str = "p2pchat";

/// The same port outside if it is free, else any. A router that only grants for ever is not asked to: nobody would undo it
/// after a crash.
async fn upnp_mapped(gateway: &Gateway<Tokio>, inner: SocketAddr) -> Option<SocketAddr> {
    let lease = u32::try_from(MAPPING_LEASE_S).ok()?;
    let ip = gateway.get_external_ip().await.ok()?;
    let port = match gateway.add_port(PortMappingProtocol::UDP, inner.port(), inner, lease, NAME).await {
        Ok(()) => inner.port(),
        Err(_) => gateway.add_any_port(PortMappingProtocol::UDP, inner, lease, NAME).await.ok()?,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Our own address towards the router, and the router's, where we are behind one.
fn way_out(bound: IpAddr) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let interfaces = if_addrs::get_if_addrs().ok()?;
    let ours = interfaces.iter().filter_map(|interface| match &interface.addr {
        if_addrs::IfAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local() => Some((v4.ip, v4.netmask)),
        _ => None,
    });
    let bound_to = match bound.to_canonical() {
        IpAddr::V4(v4) if !v4.is_unspecified() => Some(v4),
        _ => None,
    };
    let ours: Vec<(Ipv4Addr, Ipv4Addr)> = ours.filter(|(ip, _)| bound_to.is_none_or(|bound| bound == *ip)).collect();
    if ours.iter().any(|(ip, _)| is_far((*ip).into())) {
        return None;
    }
    let shares = |(ip, mask): (Ipv4Addr, Ipv4Addr), other: Ipv4Addr| {
        u32::from(ip) & u32::from(mask) == u32::from(other) & u32::from(mask)
    };
    if let Some(router) = router_of_linux() {
        return ours.into_iter().find(|own| shares(*own, router)).map(|(own, _)| (own, router));
    }
    // Where the system doesn't say, it is the first address of the network nearly everywhere; who isn't a router doesn't
    // answer.
    let (own, mask) = ours.into_iter().next()?;
    Some((own, Ipv4Addr::from((u32::from(own) & u32::from(mask)) + 1)))
}

/// The router of the default route, where the system keeps a table of routes in a file.
fn router_of_linux() -> Option<Ipv4Addr> {
    router_in(&std::fs::read_to_string("/proc/net/route").ok()?)
}

fn router_in(table: &str) -> Option<Ipv4Addr> {
    let default = table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let (to, via) = (columns.next()?, columns.next()?);
        (to == "00000000" && via != "00000000").then(|| u32::from_str_radix(via, 16).ok()).flatten()
    })?;
    Some(Ipv4Addr::from(default.swap_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_that_of_the_default_route() {
        let table =
            "Iface\tDestination\tGateway\tFlags\neth0\t0001A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n";
        assert_eq!(router_in(table), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(router_in("Iface\tDestination\tGateway\n"), None);
        assert_eq!(router_in("Iface\neth0\t00000000\tnonsense\n"), None);
    }

    #[tokio::test]
    async fn nothing_is_asked_for_a_socket_on_loopback() {
        let (told, mut hears) = mpsc::channel(1);
        let mapping = Mapping::keep("127.0.0.1:9".parse().unwrap(), Arc::new(Notify::new()), told);
        assert_eq!(hears.recv().await, None);
        mapping.undo().await;
    }
}
