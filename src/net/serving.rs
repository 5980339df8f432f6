//! One client of a rendezvous, whichever program it runs in: its hello in time, its frames short until it is welcome, and its
//! messages at a bounded pace.
//!
//! Whoever sends too fast is made to wait, and QUIC's flow control makes their sender wait in turn. What the messages mean is
//! for the caller.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{Quota, RateLimiter};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{CloseCode, FrameError, Reader};
use crate::limits::{CLIENT_MESSAGES_PER_S, FRAME_BYTES_MAX, HELLO_WITHIN_S};
use crate::wire::ToServer;

/// Messages a client may send at once before it is held to its pace: a member of many rooms that comes back.
const BURST: u32 = CLIENT_MESSAGES_PER_S * 10;

/// Hands on what a client says until it ends its stream; `deliver` is false when nobody listens any more, and `welcomed` is told
/// when the client has logged in and may send long frames.
///
/// # Errors
/// [`Unserved`] says why it ended otherwise.
pub async fn serve<F>(
    mut reader: Reader<ToServer>,
    welcomed: &Notify,
    mut deliver: impl FnMut(ToServer) -> F,
) -> Result<(), Unserved>
where
    F: Future<Output = bool>,
{
    let pace = RateLimiter::direct(
        Quota::per_second(NonZeroU32::new(CLIENT_MESSAGES_PER_S).expect("the limit is not zero"))
            .allow_burst(NonZeroU32::new(BURST).expect("the limit is not zero")),
    );
    let hello_due = Instant::now() + Duration::from_secs(HELLO_WITHIN_S);
    let mut next = timeout_at(hello_due, reader.next()).await.map_err(|_| Unserved::NoHello)??;
    if !matches!(next, None | Some(ToServer::Hello(_) | ToServer::Visit(_))) {
        return Err(Unserved::NoHello);
    }
    let mut strange = true;
    while let Some(message) = next {
        if !deliver(message).await {
            return Err(Unserved::Closing);
        }
        pace.until_ready().await;
        next = loop {
            tokio::select! {
                biased;
                () = welcomed.notified(), if strange => {
                    strange = false;
                    reader.set_limit(FRAME_BYTES_MAX);
                }
                message = reader.next() => break message?,
            }
        };
    }
    Ok(())
}

/// Why a client is served no more.
#[derive(Debug, thiserror::Error)]
pub enum Unserved {
    /// It said nothing in time, or something else first.
    #[error("no hello in time")]
    NoHello,
    /// Its stream broke.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// This side is ending.
    #[error("the server is shutting down")]
    Closing,
}

impl Unserved {
    /// How the connection is to be closed, if it is still there.
    pub fn code(&self) -> CloseCode {
        match self {
            Unserved::Frame(FrameError::Lost(_)) => CloseCode::Normal,
            Unserved::Frame(_) | Unserved::NoHello => CloseCode::ProtocolError,
            Unserved::Closing => CloseCode::GoingAway,
        }
    }
}
