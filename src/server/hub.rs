//! The one place where the rendezvous runs: inputs come in one after the other, and what they lead to is carried out in
//! order, what must be kept before anything that relies on it is sent.
//!
//! Inputs that wait are taken together: their changes are kept in one transaction, since a transaction costs a disk's
//! flush whether it holds one change or a hundred. While the disk refuses, nothing is sent and nothing is taken: clients
//! wait, none is told a thing that the next start would not know.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, sleep, sleep_until, timeout};

use crate::core::Now;
use crate::core::rendezvous::{Change, Input, Output, Rendezvous, SessionId};
use crate::limits::{FINISH_WITHIN_S, HUB_INPUTS_AT_ONCE_MAX, STORE_RETRY_S};
use crate::net::{CloseCode, Link, SendError, Writer};
use crate::store::rendezvous::RendezvousStore;
use crate::wire::{FromServer, RefusalCode};

/// How often it is looked whether clients that say nothing have moved: a member whose router got another address is waited
/// for by its chat. Ten thousand looks take a few milliseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What sessions tell the hub.
#[allow(clippy::large_enum_variant, reason = "nearly all are inputs; boxing each would cost more than it saves")]
pub(super) enum ToHub {
    /// A client may be written to from now on; always before any input of its.
    Opened {
        /// Which.
        session: SessionId,
        /// Its connection.
        link: Link,
        /// Its stream.
        writer: Writer<FromServer>,
        /// Told when it has logged in, and may send long frames.
        welcomed: Arc<Notify>,
    },
    /// For the rendezvous.
    Input(Input),
}

impl fmt::Debug for ToHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToHub::Opened { session, .. } => write!(f, "Opened({session:?})"),
            ToHub::Input(input) => input.fmt(f),
        }
    }
}

/// How to write to a client.
struct Outlet {
    link: Link,
    writer: Writer<FromServer>,
    welcomed: Arc<Notify>,
}

/// The rendezvous with its store and its clients.
pub(super) struct Hub {
    rendezvous: Rendezvous,
    store: RendezvousStore,
    outlets: HashMap<SessionId, Outlet>,
    inputs: mpsc::Receiver<ToHub>,
    stop: watch::Receiver<bool>,
    /// The zero of the monotonic clock.
    started: Instant,
}

impl Hub {
    pub(super) fn new(
        rendezvous: Rendezvous,
        store: RendezvousStore,
        inputs: mpsc::Receiver<ToHub>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Hub { rendezvous, store, outlets: HashMap::new(), inputs, stop, started: Instant::now() }
    }

    /// Runs until told to stop or until nobody can send it anything any more. Blocks on the disk, so it needs a thread of
    /// its own.
    pub(super) async fn run(mut self) {
        let mut waiting = Vec::with_capacity(HUB_INPUTS_AT_ONCE_MAX);
        let mut outputs = Vec::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.rendezvous.next_wake().map(|at_ms| self.started + Duration::from_millis(at_ms));
            let mut look_now = false;
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return,
                // A flood of inputs must not keep what is due from happening.
                () = until(wake) => waiting.push(ToHub::Input(Input::Wake)),
                _ = look.tick() => look_now = true,
                taken = self.inputs.recv_many(&mut waiting, HUB_INPUTS_AT_ONCE_MAX) => if taken == 0 { return },
            }
            if look_now {
                self.look_after_all(&mut outputs);
            }
            for input in waiting.drain(..) {
                let now = self.now();
                match input {
                    ToHub::Opened { session, link, writer, welcomed } => {
                        self.outlets.insert(session, Outlet { link, writer, welcomed });
                    }
                    ToHub::Input(input) => {
                        if let Input::Message { session, .. } = input {
                            self.look_after(now, session, &mut outputs);
                        }
                        if let Input::Disconnected { session } = input {
                            self.outlets.remove(&session);
                        }
                        self.rendezvous.handle(now, input, &mut outputs);
                    }
                }
            }
            let (changes, outputs): (Vec<_>, Vec<_>) = outputs.drain(..).map(split).fold(
                Default::default(),
                |(mut changes, mut outputs), (change, output)| {
                    changes.extend(change);
                    outputs.extend(output);
                    (changes, outputs)
                },
            );
            if !self.keep(&changes).await {
                return;
            }
            outputs.into_iter().for_each(|output| self.carry_out(output));
        }
    }

    /// Connections move with their clients without a word: those that have are told to the rendezvous.
    fn look_after_all(&mut self, outputs: &mut Vec<Output>) {
        let (now, sessions): (_, Vec<SessionId>) = (self.now(), self.outlets.keys().copied().collect());
        sessions.into_iter().for_each(|session| self.look_after(now, session, outputs));
    }

    fn look_after(&mut self, now: Now, session: SessionId, outputs: &mut Vec<Output>) {
        let Some(outlet) = self.outlets.get(&session) else { return };
        let observed = outlet.link.remote();
        if self.rendezvous.observed(session).is_some_and(|before| before != observed) {
            self.rendezvous.handle(now, Input::Moved { session, observed }, outputs);
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Now { mono_ms: ms(self.started.elapsed()), wall_ms: ms(wall) }
    }

    /// Keeps changes, however long the disk refuses; false when told to stop meanwhile.
    async fn keep(&mut self, changes: &[Change]) -> bool {
        if changes.is_empty() {
            return true;
        }
        while let Err(why) = self.store.apply(changes) {
            tracing::error!(%why, "the database can't be written; clients wait until it can: is the disk full?");
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return false,
                () = sleep(Duration::from_secs(STORE_RETRY_S)) => {}
            }
        }
        true
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { session, message } => {
                let Some(outlet) = self.outlets.get(&session) else { return };
                if matches!(message, FromServer::Welcome(_)) {
                    outlet.welcomed.notify_one();
                    tracing::debug!(session = session.0, "logged in");
                }
                if outlet.writer.send(&message) == Err(SendError::Full) {
                    tracing::info!(session = session.0, "a client that doesn't read is let go");
                    outlet.link.close(CloseCode::Overloaded, "too much waits to be read");
                    self.outlets.remove(&session);
                }
            }
            Output::Close { session, reason } => {
                tracing::debug!(session = session.0, ?reason, "a client is sent away");
                if let Some(outlet) = self.outlets.remove(&session) {
                    tokio::spawn(send_away(outlet, reason));
                }
            }
            Output::Persist(_) => unreachable!("changes were split off and kept before"),
        }
    }
}

/// A change to be kept, or something to do afterwards.
fn split(output: Output) -> (Option<Change>, Option<Output>) {
    match output {
        Output::Persist(change) => (Some(change), None),
        other => (None, Some(other)),
    }
}

/// The client is given time to read why, and closes then; else we do.
async fn send_away(outlet: Outlet, reason: RefusalCode) {
    outlet.writer.finish().await;
    let _ = timeout(Duration::from_secs(FINISH_WITHIN_S), outlet.link.closed()).await;
    let (code, words) = match reason {
        RefusalCode::TooMany => (CloseCode::Overloaded, "too much at once"),
        RefusalCode::Invalid => (CloseCode::ProtocolError, "a request that makes no sense"),
        _ => (CloseCode::Normal, "refused"),
    };
    outlet.link.close(code, words);
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
