//! One client, from its connection to its end: what it says becomes inputs of the hub, at a bounded pace.
//!
//! A session never waits for its own writer, and whatever it does or suffers, the hub hears of its end from the caller.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::hub::ToHub;
use crate::core::rendezvous::{Input, SessionId};
use crate::net::{ClientConnection, CloseCode};

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
    let deliver = |message| {
        let hub = hub.clone();
        async move { hub.send(ToHub::Input(Input::Message { session, message })).await.is_ok() }
    };
    match crate::net::serve(reader, &welcomed, deliver).await {
        // The client has said all and waits for us to have read it: whoever reads last closes.
        Ok(()) => link.close(CloseCode::Normal, ""),
        Err(end) => {
            tracing::debug!(session = session.0, why = %end, "the client is gone");
            link.close(end.code(), &end.to_string());
        }
    }
}
