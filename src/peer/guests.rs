//! Newcomers who knock through us, as the driver holds them: one task for each reads what it says, at a bounded pace; what the
//! core answers is queued for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::driver::{Arrival, Driver};
use crate::core::event::Event;
use crate::core::io::{GuestId, Input};
use crate::identity::RoomName;
use crate::limits::FINISH_WITHIN_S;
use crate::net::lan::Announcement;
use crate::net::{ClientConnection, CloseCode, Link, PeerEndpoint, SendError, Writer, serve};
use crate::wire::{FromServer, RefusalCode, Text, TicketServer, ToServer};

/// How to write to a guest.
struct Outlet {
    link: Link,
    writer: Writer<FromServer>,
    /// Told when it has logged in, and may send long frames.
    welcomed: Arc<Notify>,
}

/// Everybody who is connected to knock through us.
#[derive(Default)]
pub(super) struct Guests {
    outlets: BTreeMap<GuestId, Outlet>,
    /// The number of the next one.
    next: u64,
}

impl Guests {
    /// Starts to listen to a guest.
    pub(super) fn open(&mut self, client: ClientConnection, arrivals: mpsc::Sender<Arrival>) -> Input {
        self.next += 1;
        let guest = GuestId(self.next);
        let ClientConnection { observed, exporter, link, reader, writer } = client;
        let welcomed = Arc::new(Notify::new());
        let outlet = Outlet { link: link.clone(), writer, welcomed: Arc::clone(&welcomed) };
        self.outlets.insert(guest, outlet);
        tokio::spawn(async move {
            let deliver = |message: ToServer| {
                let arrivals = arrivals.clone();
                async move { arrivals.send(Arrival::FromGuest(guest, message)).await.is_ok() }
            };
            match serve(reader, &welcomed, deliver).await {
                Ok(()) => link.close(CloseCode::Normal, ""),
                Err(end) => link.close(end.code(), &end.to_string()),
            }
            let _ = arrivals.send(Arrival::GuestGone(guest)).await;
        });
        Input::GuestCame { guest, observed, exporter }
    }

    /// Queues a message.
    pub(super) fn send(&mut self, guest: GuestId, message: &FromServer) {
        let Some(outlet) = self.outlets.get(&guest) else { return };
        if matches!(message, FromServer::Welcome(_)) {
            outlet.welcomed.notify_one();
        }
        if outlet.writer.send(message) == Err(SendError::Full) {
            outlet.link.close(CloseCode::Overloaded, "too much waits to be read");
            self.outlets.remove(&guest);
        }
    }

    /// Forgets a guest whose connection is gone.
    pub(super) fn gone(&mut self, guest: GuestId) {
        self.outlets.remove(&guest);
    }

    /// Sends what waits, gives the guest time to read why, and closes.
    pub(super) fn send_away(&mut self, guest: GuestId, why: RefusalCode) {
        let Some(outlet) = self.outlets.remove(&guest) else { return };
        let code = match why {
            RefusalCode::TooMany => CloseCode::Overloaded,
            _ => CloseCode::ProtocolError,
        };
        tokio::spawn(async move {
            outlet.writer.finish().await;
            let _ = timeout(Duration::from_secs(FINISH_WITHIN_S), outlet.link.closed()).await;
            outlet.link.close(code, "refused");
        });
    }
}

impl Driver {
    /// Announces a room to the local network, if that is wanted.
    pub(super) fn announce(&mut self, room: &RoomName) {
        if self.announces && self.announced.is_empty() {
            let port = self.endpoint.local_addr().port();
            match Announcement::of(room, self.node.id().fingerprint(), port) {
                Ok(announcement) => self.announced.push(announcement),
                Err(error) => tracing::warn!(%error, "the room can't be announced to the local network"),
            }
        }
    }

    /// Adds to a ticket what only the driver knows: the server is another way in, by its name and its certificate.
    pub(super) fn complete_ticket(&self, event: &mut Event) {
        if let (Event::Ticket { ticket, .. }, Some(certificate)) = (event, self.certificate)
            && let Ok(address) = Text::try_from(self.server_name.clone())
        {
            ticket.server = Some(TicketServer { address, certificate: certificate.to_bytes() });
        }
    }
}

/// Takes guests until the socket is closed.
pub(super) async fn accept(endpoint: Arc<PeerEndpoint>, arrivals: mpsc::Sender<Arrival>) {
    while let Some(client) = endpoint.accept_guest().await {
        if arrivals.send(Arrival::GuestCame(client)).await.is_err() {
            return;
        }
    }
}
