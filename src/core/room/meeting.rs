//! Meeting those again whom this room parted with: telling them how, hearing how they did, and looking for them
//! (DESIGN.md §4 rules 7 and 10). No server is needed for it.
//!
//! To somebody without a seat nothing is ever said but this: our head, and the step by which they lost their seat, which
//! is over a roster that they were in. No content, and no address.

use std::net::SocketAddr;

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::consent::seat::Adopted;
use crate::core::event::Departure;
use crate::identity::{PeerId, Signed};
use crate::limits::CANDIDATES_MAX;
use crate::wire::{Head, PeerMessage, Step, ToServer};

/// Milliseconds for which we look for somebody we parted with: an afternoon's train ride.
pub(super) const LOOK_FOR_MS: u64 = 4 * 3_600_000;

/// Newcomers whose knock we said yes to that are remembered.
const APPROVED_MAX: usize = 64;

/// Ways in which we parted that a server is told when it is on a roster unknown to us.
const PARTINGS_TOLD_MAX: usize = 4;

/// Somebody we parted with because nobody reached them.
#[derive(Debug, Clone)]
pub(in crate::core) struct Lost {
    /// Where they were last.
    pub addresses: Vec<SocketAddr>,
    /// Until when we look for them.
    pub until: u64,
}

impl Room {
    /// Somebody was dropped: unless they said that they leave, they may be going on elsewhere.
    pub(super) fn look_for_lost(&mut self, ctx: &Ctx<'_>, adopted: &Adopted, reason: impl Fn(&PeerId) -> Departure) {
        for member in adopted.after.members.iter() {
            self.lost.remove(&member.key);
        }
        let until = ctx.now.after_ms(LOOK_FOR_MS);
        let gone = adopted.before.members.iter().filter(|member| !is_member(&adopted.after, &member.key));
        for member in gone {
            let addresses = self.addresses.get(&member.key).cloned().unwrap_or_default();
            if reason(&member.key) == Departure::Dropped && !addresses.is_empty() {
                let addresses = addresses.into_iter().take(CANDIDATES_MAX).collect();
                self.lost.insert(member.key, Lost { addresses, until });
            }
        }
        self.addresses_changed(ctx.now);
    }

    /// We said yes to a newcomer, who may talk to us about membership from now on.
    pub(super) fn note_approved(&mut self, newcomer: PeerId) {
        self.approved.retain(|key| *key != newcomer);
        self.approved.push_back(newcomer);
        if self.approved.len() > APPROVED_MAX {
            self.approved.pop_front();
        }
    }

    /// Whether somebody without a seat may hear on which roster we are: who had one, or whom our user let in.
    pub fn is_acquainted(&self, key: &PeerId) -> bool {
        self.approved.contains(key) || self.chain().parted_by(key).is_some()
    }

    /// Somebody without a seat says, over their own link, on which roster they are.
    pub fn on_strangers_head(&mut self, ctx: &Ctx<'_>, by: PeerId, head: Signed<Head>) {
        if let Ok(head) = head.verify(ctx.scheme)
            && head.by == by
        {
            self.seat.hear_head_of_other_half(by, head.roster);
        }
    }

    /// What somebody without a seat is told on a connection: where we are, and by which step they were parted with.
    pub fn farewell(&mut self, ctx: &mut Ctx<'_>, key: &PeerId) -> Vec<PeerMessage> {
        if self.has(key) || !self.is_acquainted(key) {
            return Vec::new();
        }
        let step = self.chain().parted_by(key).cloned().map(|step| PeerMessage::Step((self.id(), step)));
        let head = PeerMessage::Head(self.sign_head(ctx));
        step.into_iter().chain([head]).collect()
    }

    /// The server is on a roster that we don't know: tells it how we parted with others, newest first. `false` when there
    /// is nothing to tell, or it was told already.
    pub fn tell_partings(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let partings = self.chain().partings().take(PARTINGS_TOLD_MAX);
        let partings: Vec<Step> = partings.cloned().collect();
        self.owed = partings.len();
        for step in partings {
            ctx.tell_server(ToServer::Step((self.id(), step)));
        }
        self.owed > 0
    }
}
