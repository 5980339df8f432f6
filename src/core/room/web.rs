//! The web of a room's links: each member states its own, signed, to all it has links with, and everybody passes on what
//! others state to those who have no link with them. So everybody knows who can be reached, over however many members,
//! and computes alike which way entries take (`overlay`). Nothing is said while nothing changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::OnceLock;

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::event::Misdeed;
use crate::core::overlay::graph::Graph;
use crate::core::overlay::rings::Rings;
use crate::core::time::Now;
use crate::identity::{PeerId, Signed, Verified};
use crate::limits::{LINK_STATES_EARLY_MAX, MESH_MEMBERS_MAX};
use crate::wire::{Few, KEY_START_BYTES, LinkState, PeerMessage, RoomId, Roster};

/// Milliseconds for which others' statements are gathered before they are passed on: most of those who lack one get it from
/// somebody else meanwhile. It is also how often a liar's is passed on at most.
const SPREAD_WAIT_MS: u64 = 100;

/// Milliseconds after which a member on a new link is told what it seems to lack: by then it has stated its own links, and
/// those it has links with have told it theirs.
const CATCH_UP_AFTER_MS: u64 = 500;

/// The beginning of a key.
type KeyStart = [u8; KEY_START_BYTES];

/// By which a newer statement of a member is told from an older one of the same stay.
type Turn = (u64, u32);

/// The same, of whatever stay: whether it was stated on a roster of ours, which counts before all else, and when. Whoever was let in anew counts
/// from the beginning, and what they stated before, on a roster that is none of ours, must not hide it.
pub(super) type Age = (bool, Turn);

/// What is known of the links of a room.
#[derive(Debug, Default)]
pub(super) struct Web {
    /// As both ends state them.
    graph: Graph,
    /// With whom everybody should have links, in a large room.
    rings: Rings,
    /// The members by the beginnings of their keys.
    starts: BTreeMap<KeyStart, PeerId>,
    /// What each other member stated last.
    stated: BTreeMap<PeerId, Verified<LinkState>>,
    /// What was stated by keys that have no seat here yet, or on rosters that are none of ours yet, and who passed it on.
    early: VecDeque<(PeerId, Signed<LinkState>)>,
    /// Whose statements are to be passed on.
    spreading: BTreeSet<PeerId>,
    /// When.
    spread_at: Option<u64>,
    /// Whether whom we reach has yet to be found out anew.
    reach_stale: bool,
    /// What we stated last.
    own: Option<Signed<LinkState>>,
    /// How many statements we have made.
    turn: u32,
    /// When our links are stated anew.
    state_at: Option<u64>,
    /// To whom we give what each author says, as far as that was asked since anything changed.
    children: BTreeMap<PeerId, BTreeSet<PeerId>>,
    /// Over which linked member we reach each other one, if that was asked since anything changed.
    ways: OnceLock<BTreeMap<PeerId, PeerId>>,
}

impl Web {
    /// The links as their ends state them.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Whether a member says to have no link with another; `false` while they have said nothing.
    pub fn lacks_link(&self, one: &PeerId, other: &PeerId) -> bool {
        self.graph.stated_by(one).is_some_and(|links| !links.contains(other))
    }

    /// With whom a member of a large room should have links.
    pub fn neighbours(&self, me: &PeerId, hopeless: impl Fn(&PeerId) -> bool) -> BTreeSet<PeerId> {
        self.rings.neighbours(me, hopeless)
    }

    /// To whom we give an author's entries, besides asking.
    pub fn children(&mut self, author: &PeerId, me: &PeerId) -> &BTreeSet<PeerId> {
        self.children.entry(*author).or_insert_with(|| self.graph.children(author, me))
    }

    /// Whom we reach, over which linked member each.
    pub fn ways(&self, me: &PeerId) -> &BTreeMap<PeerId, PeerId> {
        self.ways.get_or_init(|| self.graph.ways(me))
    }

    /// Over which linked member we reach another.
    pub fn way(&self, me: &PeerId, to: &PeerId) -> Option<PeerId> {
        self.ways(me).get(to).copied()
    }

    /// Links of ours or another's, as far as they are members'; whether that is news.
    fn note(&mut self, by: PeerId, links: BTreeSet<PeerId>) -> bool {
        let news = self.graph.state(by, links);
        if news {
            self.children.clear();
            self.ways = OnceLock::new();
        }
        news
    }

    /// Reads what a member stated last by the current roster; whether that is news.
    fn read(&mut self, by: PeerId) -> bool {
        let Some(state) = self.stated.get(&by) else { return false };
        let links = state.links.iter().filter_map(|start| self.starts.get(start)).copied().collect();
        self.note(by, links)
    }

    /// There is another roster.
    fn follow(&mut self, room: &RoomId, roster: &Roster) {
        let keys = roster.members.iter().map(|member| member.key);
        self.starts = keys.clone().map(|key| (start(&key), key)).collect();
        let is_member = |key: &PeerId| self.starts.get(&start(key)) == Some(key);
        self.graph.keep_only(is_member);
        self.stated.retain(|key, _| is_member(key));
        self.children.clear();
        self.ways = OnceLock::new();
        let large = roster.members.len() > MESH_MEMBERS_MAX;
        self.rings = if large { Rings::of(room, keys) } else { Rings::default() };
        for by in self.stated.keys().copied().collect::<Vec<_>>() {
            self.read(by);
        }
    }

    /// Keeps what may count later.
    fn hold_early(&mut self, from: PeerId, state: Signed<LinkState>) {
        // The newest of each, so that none of them crowds out the others.
        let by = state.unverified().by;
        self.early.retain(|(_, other)| other.unverified().by != by);
        self.early.push_back((from, state));
        if self.early.len() > LINK_STATES_EARLY_MAX {
            self.early.pop_front();
        }
    }

    /// Whether a member who stated this has a link with another, so that the other hears it without us.
    fn tells(state: &LinkState, peer: &PeerId) -> bool {
        state.by == *peer || state.links.contains(&start(peer))
    }

    /// When something is to be stated or passed on.
    pub fn due(&self) -> Option<u64> {
        self.spread_at.into_iter().chain(self.state_at).min()
    }
}

fn start(key: &PeerId) -> KeyStart {
    let mut start = [0; KEY_START_BYTES];
    start.copy_from_slice(&key.0[..KEY_START_BYTES]);
    start
}

fn turn(state: &LinkState) -> Turn {
    (state.counter, state.turn)
}

impl Room {
    /// Whether the room is too large for links between all.
    pub fn is_large(&self) -> bool {
        self.seat.chain().current().members.len() > MESH_MEMBERS_MAX
    }

    /// With whom we should have links.
    pub fn wanted_links(&self, me: &PeerId, hopeless: impl Fn(&PeerId) -> bool) -> BTreeSet<PeerId> {
        if self.is_large() { self.web.neighbours(me, hopeless) } else { self.others(me).into_iter().collect() }
    }

    /// Our links have changed. In a small room it is said at once; in a large one each change makes the round, so some are
    /// gathered.
    pub(super) fn links_changed(&mut self, ctx: &mut Ctx<'_>) {
        self.web.note(ctx.me(), self.linked().copied().collect());
        if self.is_large() {
            self.web.state_at.get_or_insert(ctx.now.after_ms(SPREAD_WAIT_MS));
        } else {
            self.state_links(ctx);
        }
    }

    /// Tells the linked members which members we have links with.
    fn state_links(&mut self, ctx: &mut Ctx<'_>) {
        self.web.state_at = None;
        self.web.own = None;
        if self.readers.is_empty() {
            // Whoever comes is greeted by a head of this start of our program, whose number this one is to bear.
            return;
        }
        let message = self.links_message(ctx);
        self.tell_all(ctx, &message);
    }

    /// Our links.
    pub(super) fn links_message(&mut self, ctx: &Ctx<'_>) -> PeerMessage {
        if let Some(own) = &self.web.own {
            return PeerMessage::LinkState(own.clone());
        }
        self.web.turn = self.web.turn.saturating_add(1);
        let chain = self.seat.chain();
        let state = LinkState {
            room: chain.room(),
            roster: chain.head(),
            counter: self.head_counter,
            turn: self.web.turn,
            links: Few::first_of(self.linked().map(start)),
            by: ctx.me(),
        };
        let signed = Verified::sign(state, ctx.signer).into_signed();
        self.web.own = Some(signed.clone());
        PeerMessage::LinkState(signed)
    }

    /// A member states its links, or passes on what another stated.
    pub fn on_link_state(&mut self, ctx: &mut Ctx<'_>, from: PeerId, state: Signed<LinkState>) {
        let (by, new) = (state.unverified().by, turn(state.unverified()));
        if by == ctx.me() {
            return;
        }
        if !self.has(&by) {
            return self.hold_state_early(ctx, from, state);
        }
        // Counters begin anew with each admission: what was stated in an earlier seat would hide what is stated now.
        let chain = self.seat.chain();
        let is_ours = |state: &LinkState| chain.roster(&state.roster).is_some();
        let stated_in = chain.roster(&state.unverified().roster).map(|roster| roster.epoch);
        if stated_in.is_some_and(|epoch| Some(epoch) < chain.seated_since(&by)) {
            return;
        }
        // So would what was stated in a half of the room that is none any more; where they are ahead of us, it counts when we are there.
        let before = self.web.stated.get(&by).map(|before| (is_ours(before), turn(before)));
        if before.is_some_and(|(ours, _)| ours) && stated_in.is_none() {
            return self.hold_state_early(ctx, from, state);
        }
        let age = (stated_in.is_some(), new);
        if let Some(reader) = self.readers.get_mut(&from) {
            let known = reader.states.entry(by).or_default();
            *known = age.max(*known);
        }
        // Removing duplicates costs less than verifying them.
        if before >= Some(age) {
            return;
        }
        let Ok(state) = state.verify(ctx.scheme) else { return self.blame(ctx, Some(from), Misdeed::BadSignature) };
        self.web.stated.insert(by, state);
        self.web.spreading.insert(by);
        self.web.spread_at.get_or_insert(ctx.now.after_ms(SPREAD_WAIT_MS));
        if self.web.read(by) {
            // In a large room thousands of statements come at once, and who is reached takes a walk over all of them.
            self.web.reach_stale = true;
            if !self.is_large() {
                self.find_reach(ctx);
            }
        }
        if by == from {
            self.feed(ctx, from);
            // What they said before it was known whom they have no link with has yet to go its way.
            self.pass_on(ctx, by);
        }
    }

    /// Keeps what may count later, if it is its signer's.
    fn hold_state_early(&mut self, ctx: &mut Ctx<'_>, from: PeerId, state: Signed<LinkState>) {
        match state.verify(ctx.scheme) {
            Ok(state) => self.web.hold_early(from, state.into_signed()),
            Err(_) => self.blame(ctx, Some(from), Misdeed::BadSignature),
        }
    }

    /// What is known of links has changed: finds out whom we reach.
    fn find_reach(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.web.reach_stale) {
            self.reach_changed(ctx);
            self.privates_reach(ctx, None);
        }
    }

    /// Seats were given or taken.
    pub(super) fn web_follows(&mut self, ctx: &mut Ctx<'_>) {
        let chain = self.seat.chain();
        self.web.follow(&chain.room(), chain.current());
        // Whoever comes back counts anew: what others had of them before says nothing about what they lack then.
        let current = chain.current();
        self.readers.values_mut().for_each(|reader| reader.states.retain(|by, _| is_member(current, by)));
        for (from, state) in std::mem::take(&mut self.web.early) {
            self.on_link_state(ctx, from, state);
        }
    }

    /// Whether what a member last stated of its links was stated under a roster of ours.
    pub(super) fn states_here(&self, by: &PeerId) -> bool {
        self.web.stated.get(by).is_some_and(|state| self.seat.chain().roster(&state.roster).is_some())
    }

    /// Somebody has greeted us on a new link.
    pub(super) fn catch_up_soon(&mut self, now: Now, peer: &PeerId) {
        if let Some(reader) = self.readers.get_mut(peer) {
            reader.catch_up_at = Some(now.after_ms(CATCH_UP_AFTER_MS));
            // What came over the link before their user had gone to the room was dropped.
            reader.states.clear();
        }
    }

    /// Time passed: states our own links, and passes on what others state.
    pub fn link_states_due(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono_ms;
        if self.web.state_at.is_some_and(|at| at <= now) {
            self.state_links(ctx);
        }
        if self.web.spread_at.take_if(|at| *at <= now).is_some() {
            self.find_reach(ctx);
            let spreading = std::mem::take(&mut self.web.spreading);
            let peers: Vec<PeerId> = self.readers.keys().copied().collect();
            peers.iter().for_each(|peer| self.pass_states(ctx, peer, spreading.iter()));
        }
        let late = |at: &mut u64| *at <= now;
        let late: Vec<PeerId> = self
            .readers
            .iter_mut()
            .filter_map(|(peer, reader)| reader.catch_up_at.take_if(late).map(|_| *peer))
            .collect();
        let all: Vec<PeerId> = if late.is_empty() { Vec::new() } else { self.web.stated.keys().copied().collect() };
        late.iter().for_each(|peer| self.pass_states(ctx, peer, all.iter()));
    }

    /// Passes on to a linked member what these stated, as far as they don't have it, nor hear it from themselves.
    fn pass_states<'k>(&mut self, ctx: &mut Ctx<'_>, peer: &PeerId, of: impl Iterator<Item = &'k PeerId>) {
        let Some(reader) = self.readers.get_mut(peer) else { return };
        let chain = self.seat.chain();
        for state in of.filter_map(|by| self.web.stated.get(by)).filter(|state| !Web::tells(state, peer)) {
            let age = (chain.roster(&state.roster).is_some(), turn(state));
            if reader.states.get(&state.by).is_none_or(|known| *known < age) {
                reader.states.insert(state.by, age);
                ctx.tell_peer(peer, PeerMessage::LinkState(state.as_signed().clone()));
            }
        }
    }

    /// A link that is needed no more is about to be closed.
    pub fn let_go(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        if self.readers.remove(&peer).is_some() {
            self.reach_changed(ctx);
        }
    }
}
