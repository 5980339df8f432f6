//! One connection, once it is up: a handle that may be copied and outlives the streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::ConnectionError;

use super::gate::Seat;
use super::{CloseCode, canonical};
use crate::limits::REASON_BYTES_MAX;
use crate::wire::Text;

/// A handle on a connection. The connection ends when it is closed, or when the last of its links, readers and writers is
/// dropped.
#[derive(Debug, Clone)]
pub struct Link {
    connection: quinn::Connection,
    /// On a server, the place that this connection takes among those of its address.
    _seat: Option<Arc<Seat>>,
}

impl Link {
    pub(super) fn new(connection: quinn::Connection, seat: Option<Seat>) -> Self {
        Link { connection, _seat: seat.map(Arc::new) }
    }

    pub(super) fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    /// Where the other side is seen now: QUIC connections move with their dialler. Never a v4-mapped IPv6 address.
    pub fn remote(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    /// The round trip as it is estimated now.
    pub fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// The largest UDP payload that is known to get through, in bytes.
    pub fn mtu(&self) -> u16 {
        self.connection.stats().path.current_mtu
    }

    /// What went over it so far.
    pub fn traffic(&self) -> Traffic {
        let stats = self.connection.stats();
        let sent = stats.frame_tx;
        Traffic { asked: sent.stream + sent.ping + sent.path_challenge, heard: stats.udp_rx.datagrams }
    }

    /// Ends the connection at once; what has not arrived is lost (see [`super::Writer::finish`]). The reason is for
    /// people, and is cut to 256 bytes.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let reason = Text::<REASON_BYTES_MAX>::cut(reason);
        self.connection.close(code.as_varint(), reason.as_str().as_bytes());
    }

    /// Waits for the end of the connection and tells why it ended, in words that are safe to show.
    pub async fn closed(&self) -> String {
        in_words(&self.connection.closed().await)
    }
}

/// What went over a connection, as counted by QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Things sent that the other side's QUIC must answer, whatever its program does.
    pub asked: u64,
    /// Packets that came.
    pub heard: u64,
}

/// An end, in words. Those of the other side are escaped: they may reach a terminal or a log (THREATS.md row 18).
pub(super) fn in_words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => {
            format!("closed by the other side (code {})", close.error_code)
        }
        ConnectionError::ApplicationClosed(close) => {
            format!("closed by the other side: {}", escaped(&String::from_utf8_lossy(&close.reason)))
        }
        ConnectionError::TimedOut => "nothing heard for too long".to_owned(),
        ConnectionError::LocallyClosed => "closed by this side".to_owned(),
        other => escaped(&other.to_string()),
    }
}

/// Text from outside with everything that could steer a terminal or reorder a line made visible, cut to 256 bytes.
fn escaped(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let cut = Text::<REASON_BYTES_MAX>::cut(text);
    let mut shown = String::with_capacity(cut.as_str().len());
    for c in cut.as_str().chars() {
        if steers(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_cannot_steer_a_terminal() {
        assert_eq!(escaped("bye \u{1b}[2J\u{202e}x"), "bye \\u{1b}[2J\\u{202e}x");
        assert_eq!(escaped(&"é".repeat(1000)).len(), REASON_BYTES_MAX);
    }
}
