//! How members are reached, as people are told of it: changes once, when they last; everything on demand.
//!
//! What is said takes whatever path there is from the first moment on (`feeding`); nothing in here decides about that.

use std::collections::BTreeSet;

use super::absence::QUIET_MS;
use super::{Ctx, Room};
use crate::core::event::{Event, Path};
use crate::core::route::{DirectLink, Route};
use crate::identity::PeerId;

/// A member who is reached through another one only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detour {
    /// Since when.
    since: u64,
    /// Through whom, once people were told.
    told: Option<PeerId>,
}

impl Room {
    /// Through whom a member is reached who has no link with us: a linked member that says to have one with them, or is
    /// nearer to them.
    fn via(&self, ctx: &Ctx<'_>, key: &PeerId) -> Option<PeerId> {
        let graph = self.web.graph();
        let carries = |via: &PeerId| {
            ctx.links.contains_key(via) && graph.stated_by(via).is_some_and(|linked| linked.contains(key))
        };
        // Whom people were told of stays the one, as long as it is true.
        let told = self.detours.get(key).and_then(|detour| detour.told).filter(carries);
        let way = || self.web.way(&ctx.me(), key).filter(|via| via != key && ctx.links.contains_key(via));
        told.or_else(way)
    }

    /// How a member is reached.
    pub fn path(&self, ctx: &Ctx<'_>, key: &PeerId) -> Path {
        if let Some(link) = ctx.links.get(key) {
            return Path::Direct { rtt_ms: Some(link.rtt_ms) };
        }
        let via = self.via(ctx, key).and_then(|via| self.name_of(&via));
        via.map_or(Path::None, |via| Path::Relayed { via })
    }

    /// Something about links has changed: notes who is reached through others only, as of now.
    pub(super) fn note_detours(&mut self, ctx: &Ctx<'_>, reachable: &BTreeSet<PeerId>) {
        // In a large room that is so with nearly everybody, and no news.
        let others = if self.is_large() { Vec::new() } else { self.others(&ctx.me()) };
        let round: BTreeSet<PeerId> =
            others.into_iter().filter(|key| !ctx.links.contains_key(key) && reachable.contains(key)).collect();
        self.detours.retain(|key, _| round.contains(key));
        for key in round {
            let fresh = Detour { since: ctx.now.mono_ms, told: None };
            let via = self.via(ctx, &key);
            let detour = self.detours.entry(key).or_insert(fresh);
            if detour.told.is_some() && detour.told != via {
                *detour = fresh;
            }
        }
    }

    /// People know already, since they were told in another way just now.
    pub(super) fn detour_told(&mut self, ctx: &Ctx<'_>, key: &PeerId) {
        let via = self.via(ctx, key);
        if let Some(detour) = self.detours.get_mut(key) {
            detour.told = via;
        }
    }

    /// Time passed: tells of detours that lasted; most are over before anybody could read of them.
    pub(super) fn detours_due(&mut self, ctx: &mut Ctx<'_>) {
        let lasting = |detour: &Detour| detour.told.is_none() && detour.since + QUIET_MS <= ctx.now.mono_ms;
        let lasting: Vec<PeerId> =
            self.detours.iter().filter(|(_, detour)| lasting(detour)).map(|(key, _)| *key).collect();
        for key in lasting {
            self.detour_told(ctx, &key);
            if let (Some(name), path @ Path::Relayed { .. }) = (self.name_of(&key), self.path(ctx, &key)) {
                let tried = self.tried(&key);
                ctx.tell(Event::Link { room: self.name.clone(), name, path, grace_s: None, tried });
            }
        }
    }

    /// The earliest moment at which [`Room::detours_due`] has something to tell.
    pub(super) fn detour_due(&self) -> Option<u64> {
        let untold = self.detours.values().filter(|detour| detour.told.is_none());
        untold.map(|detour| detour.since + QUIET_MS).min()
    }

    /// How many addresses were tried in vain of somebody who is there, by the server's word.
    pub(super) fn tried(&self, key: &PeerId) -> Option<usize> {
        self.online.contains(key).then(|| self.addresses.get(key).map_or(0, Vec::len))
    }

    /// Tells how every member is reached.
    pub fn tell_paths(&self, ctx: &mut Ctx<'_>) {
        let route = |key: PeerId| {
            let direct = ctx.links.get(&key).map(|link| DirectLink {
                remote: link.remote,
                dialled: link.dialled,
                since_s: ctx.now.mono_ms.saturating_sub(link.since) / 1000,
            });
            Some(Route {
                name: self.name_of(&key)?,
                key,
                path: self.path(ctx, &key),
                direct,
                addresses: self.addresses.get(&key).cloned().unwrap_or_default(),
                online: ctx.server_up.then(|| self.online.contains(&key)),
            })
        };
        let routes = self.others(&ctx.me()).into_iter().filter_map(route).collect();
        ctx.tell(Event::Paths { room: self.name.clone(), routes });
    }
}
