//! A peer's socket as QUIC sees it: the system's, with one thing withheld, and the first packets of a dial sent twice (`twice.rs`).
//!
//! A link that we accepted answers from the address at which it was accepted, for as long as it lives. When this machine
//! goes over to another network, that address may still stand on an interface that leads nowhere, and its packets would
//! leave by the new network's router, which notes them down as a conversation of their own under our port. The links that
//! are dialled from the new address then get another port there, and the other side's packets never meet them. So
//! packets from an address that is no longer in use are dropped: QUIC takes them for lost, and the link is dialled anew.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::twice::{BEHIND, Twice};

/// The socket, and the addresses it may send from.
pub(super) struct OwnSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    /// The addresses of this machine that are in use; any, as long as that is not known.
    in_use: RwLock<Option<Vec<IpAddr>>>,
    /// What is sent twice.
    twice: Twice,
}

impl OwnSocket {
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>) -> Arc<Self> {
        Arc::new(OwnSocket { inner, in_use: RwLock::new(None), twice: Twice::default() })
    }

    /// These addresses are in use, and no others.
    pub(super) fn in_use(&self, addresses: Vec<IpAddr>) {
        *self.in_use.write().unwrap_or_else(PoisonError::into_inner) = Some(addresses);
    }

    /// These are about to be dialled: what goes there first goes twice.
    pub(super) fn dial(&self, addresses: &[SocketAddr]) {
        self.twice.dial(addresses);
    }

    /// Past all that is held back or done twice: for packets that are no QUIC.
    pub(super) fn send_once(&self, transmit: &Transmit) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn copy_soon(&self, transmit: &Transmit) {
        let (inner, contents) = (Arc::clone(&self.inner), transmit.contents.to_vec());
        let Transmit { destination, segment_size, src_ip, .. } = *transmit;
        tokio::spawn(async move {
            tokio::time::sleep(BEHIND).await;
            // What can't be sent was a copy.
            let _ = inner.try_send(&Transmit { destination, ecn: None, contents: &contents, segment_size, src_ip });
        });
    }

    fn may_send_from(&self, source: Option<IpAddr>) -> bool {
        let Some(source) = source else { return true };
        let in_use = self.in_use.read().unwrap_or_else(PoisonError::into_inner);
        in_use.as_ref().is_none_or(|in_use| in_use.contains(&source.to_canonical()))
    }
}

impl fmt::Debug for OwnSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSocket").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for OwnSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        if !self.may_send_from(transmit.src_ip) {
            return Ok(());
        }
        if self.twice.takes_one(transmit.destination) {
            self.copy_soon(transmit);
        }
        self.inner.try_send(transmit)
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

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::{Runtime as _, TokioRuntime};

    #[tokio::test]
    async fn nothing_is_sent_from_an_address_that_is_gone() {
        let bound = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        target.set_nonblocking(true).unwrap();
        let socket = OwnSocket::new(TokioRuntime.wrap_udp_socket(bound).unwrap());
        let mut poller = Arc::clone(&socket).create_io_poller();
        std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.unwrap();
        let send = |contents: &[u8], src_ip| {
            let destination = target.local_addr().unwrap();
            socket.try_send(&Transmit { destination, ecn: None, contents, segment_size: None, src_ip }).unwrap();
        };
        let home = Some([127, 0, 0, 1].into());
        send(b"1", home);
        socket.in_use(vec![[127, 0, 0, 2].into()]);
        send(b"2", home);
        send(b"3", None);
        socket.in_use(vec![[127, 0, 0, 1].into()]);
        send(b"4", home);
        let mut heard = Vec::new();
        let mut byte = [0; 8];
        while let Ok(length) = target.recv(&mut byte) {
            heard.extend_from_slice(&byte[..length]);
        }
        assert_eq!(heard, b"134");
    }
}
