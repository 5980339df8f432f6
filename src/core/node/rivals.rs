//! Connections that lost to a rival of the same attempt: both sides dialled, and each spoke on the first that it had. They are
//! written to no more, and read until what was on its way has come, so that nothing has to be sent again.

use super::Node;
use crate::core::io::{CloseReason, LinkId, Output};
use crate::core::time::Now;
use crate::identity::PeerId;

/// Milliseconds for which such a connection is read: the other side learns of the rival at most a round trip later, and whoever
/// is farther away than this has the frontiers.
const READ_ON_MS: u64 = 2_000;

/// Connections that are read on at a time, of all peers together; what is beyond is closed at once, as it always could be.
const RETIRING_MAX: usize = 64;

/// A connection that is only read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retiring {
    /// Whose.
    peer: PeerId,
    /// Until when.
    until: u64,
}

impl Node {
    /// A connection is not written to any more.
    pub(super) fn retire(&mut self, now: Now, peer: PeerId, id: LinkId, out: &mut Vec<Output>) {
        if self.retiring.len() >= RETIRING_MAX {
            return out.push(Output::Close { link: id, why: CloseReason::Duplicate });
        }
        self.retiring.insert(id, Retiring { peer, until: now.after_ms(READ_ON_MS) });
    }

    /// Who speaks on a connection that is only read, if the one that took over still stands: what they say there they said to a
    /// member, before they knew of the other.
    pub(super) fn retiring_peer(&self, id: &LinkId) -> Option<PeerId> {
        self.retiring.get(id).map(|retiring| retiring.peer).filter(|peer| self.links.contains_key(peer))
    }

    /// Time passed: all has come that was on its way, or the link that took over is gone, with whatever it was the rival of.
    pub(super) fn retired_due(&mut self, now: Now, out: &mut Vec<Output>) {
        let links = &self.links;
        let over = |retiring: &Retiring| retiring.until <= now.mono_ms || !links.contains_key(&retiring.peer);
        for (link, _) in self.retiring.extract_if(.., |_, retiring| over(retiring)) {
            out.push(Output::Close { link, why: CloseReason::Duplicate });
        }
    }

    /// When the next of them is closed.
    pub(super) fn retired_next(&self) -> Option<u64> {
        self.retiring.values().map(|retiring| retiring.until).min()
    }
}
