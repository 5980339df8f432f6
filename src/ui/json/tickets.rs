//! A ticket, as a program is told it.

use serde::Serialize;

use crate::peer::api::{RoomName, Ticket};

/// The one line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Output<'a> {
    Ticket {
        room: &'a str,
        ticket: String,
        addresses: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_unix_s: Option<u64>,
    },
}

/// The line, without its line break.
pub fn line(room: &RoomName, ticket: &Ticket) -> String {
    let output = Output::Ticket {
        room: room.as_str(),
        ticket: ticket.to_string(),
        // Ours, for `join IP:PORT`.
        addresses: ticket
            .hosts
            .iter()
            .take(1)
            .flat_map(|host| host.addresses.iter().map(ToString::to_string))
            .collect(),
        server: ticket.server.as_ref().map(|server| server.address.as_str()),
        expires_unix_s: ticket.expires_unix_s(),
    };
    super::output::line(&output)
}
