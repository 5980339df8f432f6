//! The first packets of a dial are sent twice, so that a lost one costs nothing.
//!
//! QUIC comes back to a lost packet by itself, but in a handshake it must wait for a timer, and for twice as long each time: it
//! can't know how far away the other side is, and it keeps the doubled wait until the other side has shown that it has the last
//! of the handshake. With one packet in ten lost, every second dial meets that. What is a dial is known here by where it goes;
//! copies follow a moment behind, since packets are lost in bursts, and QUIC drops what it has already.
//!
//! Only to hosts that this side dials, and no more than [`COPIES_MAX`] each time (THREATS.md row 16). Any port of theirs: a router may
//! have them dial us from another one than they told, and what we answer there is as likely to be lost.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{COPIES_MAX, HANDSHAKE_WITHIN_S};

/// How far behind the first a copy follows.
pub(super) const BEHIND: Duration = Duration::from_millis(10);

/// Which packets are sent twice.
#[derive(Debug, Default)]
pub(super) struct Twice {
    /// How many copies may yet go to each host that is being dialled, and until when.
    left: Mutex<BTreeMap<IpAddr, (usize, Instant)>>,
    /// How many hosts those are: nearly always none, and every packet asks.
    dialled: AtomicUsize,
}

impl Twice {
    /// These are about to be dialled.
    pub(super) fn dial(&self, addresses: &[SocketAddr]) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        left.retain(|_, (_, until)| *until > now);
        let until = now + Duration::from_secs(HANDSHAKE_WITHIN_S);
        left.extend(addresses.iter().map(|address| (address.ip().to_canonical(), (COPIES_MAX, until))));
        self.dialled.store(left.len(), Ordering::Relaxed);
    }

    /// Whether a packet to this address is to be sent twice; it is taken off what is left.
    pub(super) fn takes_one(&self, to: SocketAddr) -> bool {
        if self.dialled.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let to = to.ip().to_canonical();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((copies, until)) = left.get_mut(&to) else { return false };
        let takes = *until > Instant::now();
        *copies -= usize::from(takes);
        if !takes || *copies == 0 {
            left.remove(&to);
            self.dialled.store(left.len(), Ordering::Relaxed);
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_is_dialled_is_sent_twice_and_only_so_often_and_so_long() {
        let (there, mapped): (SocketAddr, SocketAddr) =
            ("198.51.100.1:9".parse().unwrap(), "[::ffff:198.51.100.1]:9".parse().unwrap());
        let twice = Twice::default();
        assert!(!twice.takes_one(there));
        twice.dial(&[there]);
        assert!(!twice.takes_one("198.51.100.2:9".parse().unwrap()));
        assert_eq!((0..100).filter(|_| twice.takes_one(mapped)).count(), COPIES_MAX);
        twice.dial(&[there]);
        tokio::time::advance(Duration::from_secs(HANDSHAKE_WITHIN_S)).await;
        assert!(!twice.takes_one(there));
    }
}
