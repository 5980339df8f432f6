//! Networks for tests, under QUIC: weather (delay, loss, rate) for any socket, and a net in memory with routers in it.
//!
//! Both are [`AsyncUdpSocket`]s, so that everything above them is the real thing. With tokio's paused clock a trial of
//! seconds takes milliseconds, and one seed gives one weather.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What an endpoint can be put on.
pub(crate) type Plug = Arc<dyn AsyncUdpSocket>;

/// What happens to packets on their way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// One way.
    pub(crate) delay: Duration,
    /// Of a hundred packets.
    pub(crate) lost_percent: u32,
    /// Bytes a second; what would wait longer than 100 ms for its turn is dropped, as routers do.
    pub(crate) rate: Option<u64>,
    /// Which packets are lost follows from it.
    pub(crate) seed: u64,
}

/// A socket in some weather.
#[derive(Debug)]
struct Weathered {
    inner: Arc<dyn AsyncUdpSocket>,
    weather: Weather,
    sky: Mutex<(StdRng, Instant)>,
    /// The router in front, which a packet has passed before the weather has it.
    behind: Option<(Net, SocketAddr)>,
    under_way: mpsc::UnboundedSender<(Instant, SocketAddr, Vec<u8>)>,
}

/// Puts weather above a socket. Packets keep their order.
pub(crate) fn under(weather: Weather, inner: Plug) -> Plug {
    in_weather(weather, inner, None)
}

fn in_weather(weather: Weather, inner: Plug, behind: Option<(Net, SocketAddr)>) -> Plug {
    let (under_way, mut arriving) = mpsc::unbounded_channel::<(Instant, SocketAddr, Vec<u8>)>();
    let out = Arc::clone(&inner);
    tokio::spawn(async move {
        while let Some((at, destination, contents)) = arriving.recv().await {
            sleep_until(at).await;
            let packet = Transmit { destination, ecn: None, contents: &contents, segment_size: None, src_ip: None };
            // A socket that takes no more loses it, as the weather would.
            let _ = out.try_send(&packet);
        }
    });
    let sky = Mutex::new((StdRng::seed_from_u64(weather.seed), Instant::now()));
    Arc::new(Weathered { inner, weather, sky, behind, under_way })
}

impl AsyncUdpSocket for Weathered {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Always)
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        if let Some((net, inner)) = &self.behind {
            net.open(*inner, transmit.destination);
        }
        let mut sky = self.sky.lock().unwrap_or_else(PoisonError::into_inner);
        let (rng, free_at) = &mut *sky;
        if rng.random_range(0..100) < self.weather.lost_percent {
            return Ok(());
        }
        let now = Instant::now();
        let mut leaves = now;
        if let Some(rate) = self.weather.rate {
            leaves = now.max(*free_at);
            if leaves > now + Duration::from_millis(100) {
                return Ok(());
            }
            *free_at = leaves + Duration::from_secs_f64(transmit.contents.len() as f64 / rate as f64);
        }
        let packet = (leaves + self.weather.delay, transmit.destination, transmit.contents.to_vec());
        let _ = self.under_way.send(packet);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }
}

/// Never full.
#[derive(Debug)]
struct Always;

impl UdpPoller for Always {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a router does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Router {
    /// Nothing: there is none.
    None,
    /// One mapping, open to all.
    FullCone,
    /// One mapping, open to whom somebody inside has spoken to, by address and port.
    Home,
    /// A mapping for each destination, open to that one.
    Symmetric,
}

/// A net in memory: a packet is there as soon as it was sent, if the routers let it pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Net(Arc<Mutex<Hosts>>);

#[derive(Debug, Default)]
struct Hosts {
    by_inner: BTreeMap<SocketAddr, Home>,
    ports: u16,
}

#[derive(Debug)]
struct Home {
    router: Router,
    /// The address that others see where it is the same for all.
    outer: SocketAddr,
    /// To whom from which outer address, of a symmetric router.
    mapped: BTreeMap<SocketAddr, SocketAddr>,
    spoken_to: BTreeSet<SocketAddr>,
    inbox: VecDeque<(SocketAddr, Vec<u8>)>,
    waker: Option<Waker>,
}

impl Net {
    /// Puts host number `nth` into the net; its socket, and the address under which a public server sees it.
    pub(crate) fn host(&self, nth: u8, router: Router) -> (Arc<dyn AsyncUdpSocket>, SocketAddr) {
        let outer = SocketAddr::from(([198, 51, 100, nth], 5000));
        let inner = if router == Router::None { outer } else { SocketAddr::from(([10, 0, nth, 2], 5000)) };
        let mut home = Home {
            router,
            outer,
            mapped: BTreeMap::new(),
            spoken_to: BTreeSet::new(),
            inbox: VecDeque::new(),
            waker: None,
        };
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = home.out(SocketAddr::from(([192, 0, 2, 1], 4433)), &mut hosts.ports);
        hosts.by_inner.insert(inner, home);
        (Arc::new(Host { net: self.clone(), inner }), seen)
    }

    /// As [`Net::host`], with weather between its router and all others.
    pub(crate) fn host_under(&self, nth: u8, router: Router, weather: Weather) -> (Plug, SocketAddr) {
        let (socket, seen) = self.host(nth, router);
        let inner = socket.local_addr().unwrap_or(seen);
        (in_weather(weather, socket, Some((self.clone(), inner))), seen)
    }

    /// A host's router notes that it speaks to somebody.
    fn open(&self, from: SocketAddr, to: SocketAddr) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Hosts { by_inner, ports } = &mut *hosts;
        if let Some(sender) = by_inner.get_mut(&from) {
            sender.out(to, ports);
        }
    }

    fn carry(&self, from: SocketAddr, to: SocketAddr, contents: &[u8]) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Hosts { by_inner, ports } = &mut *hosts;
        let Some(sender) = by_inner.get_mut(&from) else { return };
        let seen = sender.out(to, ports);
        let Some(receiver) = by_inner.values_mut().find(|home| home.lets_in(seen, to)) else { return };
        receiver.inbox.push_back((seen, contents.to_vec()));
        if let Some(waker) = receiver.waker.take() {
            waker.wake();
        }
    }
}

impl Home {
    /// As whom the outside sees a packet to `to`.
    fn out(&mut self, to: SocketAddr, ports: &mut u16) -> SocketAddr {
        self.spoken_to.insert(to);
        if self.router != Router::Symmetric {
            return self.outer;
        }
        let ip = self.outer.ip();
        *self.mapped.entry(to).or_insert_with(|| {
            *ports += 1;
            SocketAddr::new(ip, 20_000 + *ports)
        })
    }

    fn lets_in(&self, from: SocketAddr, to: SocketAddr) -> bool {
        match self.router {
            Router::None | Router::FullCone => self.outer == to,
            Router::Home => self.outer == to && self.spoken_to.contains(&from),
            Router::Symmetric => self.mapped.get(&from) == Some(&to),
        }
    }
}

/// The socket of a host.
#[derive(Debug)]
struct Host {
    net: Net,
    inner: SocketAddr,
}

impl AsyncUdpSocket for Host {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Always)
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        self.net.carry(self.inner, transmit.destination, transmit.contents);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut hosts = self.net.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(home) = hosts.by_inner.get_mut(&self.inner) else { return Poll::Pending };
        let Some((addr, contents)) = home.inbox.pop_front() else {
            home.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let len = contents.len().min(bufs[0].len());
        bufs[0][..len].copy_from_slice(&contents[..len]);
        meta[0] = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner)
    }
}
