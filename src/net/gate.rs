//! How many handshakes are answered, and how many connections one place may keep.
//!
//! A handshake costs a signature and a key exchange, so the cheap questions come first: is there room, did the address
//! prove itself where that is asked, has its place had its share? Whoever is over a limit gets no answer at all, since any
//! answer could be aimed at somebody else; an honest dialler's next packet asks again (THREATS.md rows 1, 2, 8).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use quinn::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::limits::UNPROVEN_HANDSHAKES_PER_S;

/// Seconds between two clean-ups of the places that were counted: at most a few thousand have come in between.
const FORGET_EVERY_S: u64 = 10;

/// Where somebody is, as far as limits go: an IPv4 address, or the IPv6 /64 that one household gets.
pub(super) fn place(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Decides about each incoming handshake before anything is spent on it.
pub(super) struct Gate {
    at_once: usize,
    slots: Arc<Semaphore>,
    unproven: DefaultDirectRateLimiter,
    places: Arc<DefaultKeyedRateLimiter<IpAddr>>,
    forgetting: JoinHandle<()>,
}

impl Gate {
    /// At most `at_once` handshakes at a time, and `per_place_s` per second and place. Needs a tokio runtime.
    pub(super) fn new(at_once: usize, per_place_s: NonZeroU32) -> Self {
        let places = Arc::new(RateLimiter::keyed(Quota::per_second(per_place_s)));
        let forgetting = tokio::spawn({
            let places = Arc::clone(&places);
            async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(FORGET_EVERY_S)).await;
                    places.retain_recent();
                    places.shrink_to_fit();
                }
            }
        });
        let unproven = NonZeroU32::new(UNPROVEN_HANDSHAKES_PER_S).expect("the limit is not zero");
        Gate {
            at_once,
            slots: Arc::new(Semaphore::new(at_once)),
            unproven: RateLimiter::direct(Quota::per_second(unproven)),
            places,
            forgetting,
        }
    }

    /// Lets a handshake in, with the slot that it holds until it is over; otherwise has dealt with it.
    pub(super) fn admit(&self, incoming: Incoming) -> Option<(Incoming, OwnedSemaphorePermit)> {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            incoming.ignore();
            return None;
        };
        // A Retry is smaller than what it answers and leaves no state here, so any number of them is safe to send.
        let busy = self.slots.available_permits() < self.at_once - self.at_once / 4;
        if !incoming.remote_address_validated() && (busy || self.unproven.check().is_err()) {
            if incoming.may_retry() {
                // The only failure is one that `may_retry` excludes; the packet is then dropped, as we want.
                let _ = incoming.retry();
            } else {
                incoming.ignore();
            }
            return None;
        }
        if self.places.check_key(&place(incoming.remote_address().ip())).is_err() {
            incoming.ignore();
            return None;
        }
        Some((incoming, slot))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.forgetting.abort();
    }
}

/// Counts the connections of each place.
#[derive(Debug)]
pub(super) struct Seats {
    per_place_max: usize,
    all_max: usize,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

impl Seats {
    pub(super) fn new(per_place_max: usize, all_max: usize) -> Arc<Self> {
        Arc::new(Seats { per_place_max, all_max, taken: Mutex::default() })
    }

    /// A seat for a connection from `ip`, given back when it is dropped; `None` when its place, or the house, is full.
    pub(super) fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Seat> {
        let place = place(ip);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let here = taken.get(&place).copied().unwrap_or(0);
        if here >= self.per_place_max || taken.values().sum::<usize>() >= self.all_max {
            return None;
        }
        taken.insert(place, here + 1);
        Some(Seat { seats: Arc::clone(self), place })
    }
}

/// One connection's seat.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    place: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = taken.get_mut(&self.place) {
            *here -= 1;
            if *here == 0 {
                taken.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_one_place() {
        let one: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        assert_eq!(place(one), place("2001:db8:0:1:ffff::2".parse().unwrap()));
        assert_ne!(place(one), place("2001:db8:0:2::1".parse().unwrap()));
        let v4: IpAddr = [192, 0, 2, 1].into();
        assert_eq!(place("::ffff:192.0.2.1".parse().unwrap()), v4);
    }

    #[test]
    fn a_full_place_gets_no_seat_until_one_is_given_back() {
        let seats = Seats::new(2, 3);
        let (here, there): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = seats.take(here).unwrap();
        let _second = seats.take(here).unwrap();
        assert!(seats.take(here).is_none(), "its place is full");
        let _third = seats.take(there).unwrap();
        assert!(seats.take(there).is_none(), "the house is full");
        drop(first);
        assert!(seats.take(here).is_some());
    }
}
