//! One client, from its connection to its end: what it says becomes inputs of the hub, at a bounded pace.
//!
//! A session never waits for its own writer, and whatever it does or suffers, the hub hears of its end from the caller.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{Quota, RateLimiter};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};

use super::hub::ToHub;
use crate::core::rendezvous::{Input, SessionId};
use crate::limits::{CLIENT_MESSAGES_PER_S, FRAME_BYTES_MAX, HELLO_WITHIN_S};
use crate::net::{ClientConnection, CloseCode, FrameError, Reader};
use crate::wire::ToServer;

/// Messages a client may send at once before it is held to its pace: a member of many rooms that comes back.
const BURST: u32 = CLIENT_MESSAGES_PER_S * 10;

/// Serves a client until its connection ends or the hub is gone. The caller then tells the hub
/// [`Input::Disconnected`], also when this panicked.
pub(super) async fn serve(client: ClientConnection, session: SessionId, hub: mpsc::Sender<ToHub>) {
    let ClientConnection { observed, exporter, link, reader, writer } = client;
    let welcomed = Arc::new(Notify::new());
    tracing::trace!(session = session.0, %observed, "connected");
    let connected = Input::Connected { session, observed, exporter };
    let opened = ToHub::Opened { session, link: link.clone(), writer, welcomed: Arc::clone(&welcomed) };
    if hub.send(opened).await.is_err() || hub.send(ToHub::Input(connected)).await.is_err() {
        return;
    }
    match listen(reader, session, &hub, &welcomed).await {
        // The client has said all and waits for us to have read it: whoever reads last closes.
        Ok(()) => link.close(CloseCode::Normal, ""),
        Err(end) => {
            tracing::debug!(session = session.0, why = %end, "the client is gone");
            link.close(end.code(), &end.to_string());
        }
    }
}

async fn listen(
    mut reader: Reader<ToServer>,
    session: SessionId,
    hub: &mpsc::Sender<ToHub>,
    welcomed: &Notify,
) -> Result<(), End> {
    let pace = RateLimiter::direct(
        Quota::per_second(NonZeroU32::new(CLIENT_MESSAGES_PER_S).expect("the limit is not zero"))
            .allow_burst(NonZeroU32::new(BURST).expect("the limit is not zero")),
    );
    let hello_due = Instant::now() + Duration::from_secs(HELLO_WITHIN_S);
    let mut next = timeout_at(hello_due, reader.next()).await.map_err(|_| End::NoHello)??;
    if !matches!(next, None | Some(ToServer::Hello(_) | ToServer::Visit(_))) {
        return Err(End::NoHello);
    }
    let mut strange = true;
    while let Some(message) = next {
        if hub.send(ToHub::Input(Input::Message { session, message })).await.is_err() {
            return Err(End::HubGone);
        }
        // Who sends too fast is made to wait, and QUIC's flow control makes their sender wait in turn.
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

/// Why a session listens no more.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("no hello in time")]
    NoHello,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the server is shutting down")]
    HubGone,
}

impl End {
    /// How the connection is to be closed, if it is still there.
    fn code(&self) -> CloseCode {
        match self {
            End::Frame(FrameError::Lost(_)) => CloseCode::Normal,
            End::Frame(_) | End::NoHello => CloseCode::ProtocolError,
            End::HubGone => CloseCode::GoingAway,
        }
    }
}
