//! One connection to a peer, as the driver holds it: what is read from it waits within bounds, and it is closed so that what was
//! said last arrives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::driver::Arrival;
use crate::core::io::{CloseReason, Input, LinkId};
use crate::identity::{PeerId, RoomName};
use crate::limits::RUN_ENTRIES_MAX;
use crate::net::{CloseCode, FrameError, Link, Reader, Writer};
use crate::wire::PeerMessage;

/// Time the other side has to read what was sent last, before a connection is closed.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// A connection to a peer.
pub(super) struct Wire {
    /// Who is at the other end.
    pub peer: PeerId,
    pub link: Link,
    pub writer: Writer<PeerMessage>,
}

/// How much an input counts in a batch.
pub(super) fn weight(input: &Input) -> usize {
    match input {
        Input::FromPeer { message: PeerMessage::Run(run), .. } => run.entries().len(),
        Input::Say { texts, .. } => texts.len(),
        _ => 1,
    }
}

/// Adds a text to a `Say` that waits already, so that one signature and one transaction serve both.
pub(super) fn say_together(inputs: &mut VecDeque<Input>, room: RoomName, text: String) {
    match inputs.back_mut() {
        Some(Input::Say { room: same, texts }) if *same == room && texts.len() < RUN_ENTRIES_MAX => texts.push(text),
        _ => inputs.push_back(Input::Say { room, texts: vec![text] }),
    }
}

/// Reads until the connection ends. Backpressure is the channel and the bytes in it: when they are full the reading stops, and QUIC
/// stops the sender.
pub(super) async fn read_peer(
    link: LinkId,
    mut reader: Reader<PeerMessage>,
    arrivals: mpsc::Sender<Arrival>,
    may_wait: Arc<Semaphore>,
) {
    let misbehaved = loop {
        match reader.next().await {
            Ok(Some(message)) => {
                let bytes = u32::try_from(reader.last_bytes()).unwrap_or(u32::MAX);
                let Ok(permit) = Arc::clone(&may_wait).acquire_many_owned(bytes).await else { return };
                if arrivals.send(Arrival::FromPeer(link, message, permit)).await.is_err() {
                    return;
                }
            }
            Ok(None) => break false,
            Err(error) => {
                tracing::debug!(?link, %error, "a link ended");
                break matches!(error, FrameError::Malformed(_));
            }
        }
    };
    let _ = arrivals.send(Arrival::LinkEnded(link, misbehaved)).await;
}

/// Sends what waits, gives the other side time to read it, and closes. Whoever reads last should be the one to close:
/// closing discards what the other side has not read.
pub(super) async fn close(wire: Wire, why: CloseReason) {
    let (code, reason) = match why {
        CloseReason::Duplicate => (CloseCode::Duplicate, "there is a better connection"),
        CloseReason::NotMember => (CloseCode::NotMember, "we share no room"),
        CloseReason::Surplus => (CloseCode::Surplus, "others are closer"),
        CloseReason::GoingAway => (CloseCode::GoingAway, "leaving"),
    };
    wire.writer.finish().await;
    let _ = timeout(LINGER, wire.link.closed()).await;
    wire.link.close(code, reason);
}
