//! What must hold after every event, whatever the weather and whoever lies. The checks see what honest clients keep, send
//! and tell, and know what no client knows: who is honest, what each user decided, and what everybody signed.

mod consent;
mod log;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use p2pchat::core::consent::roster::{is_member, successor};
use p2pchat::core::event::Event;
use p2pchat::core::io::Change;
use p2pchat::core::log::Place;
use p2pchat::identity::{PeerId, Scheme};
use p2pchat::limits::PROMPTS_PER_MINUTE_MAX;
use p2pchat::wire::{
    Decision, EntryId, FromServer, PeerMessage, Proposal, ProposalHash, RoomId, Roster, RosterHash, ToServer,
};

use self::log::Skipped;
use super::disk::Disk;

/// Whether two halves of a room always meet again.
pub const HALVES_MEET: bool = true;

/// Whether a run that its reader can never take is some day no longer sent, also after a split or a lie (seed 5).
pub const HOPELESS_RUNS_END: bool = false;

/// Prompts beyond the limit that are overlooked.
const PROMPTS_SLACK: usize = 0;

/// Milliseconds that a prompt may be told late.
const PROMPT_TOLD_LATE_MS: u64 = 2_000;

/// Something that must never happen, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// How.
    pub what: String,
}

/// One client, as the checks see it.
#[derive(Debug, Default)]
struct Seen {
    /// Keys that its user let in, or whom it knocked at.
    approved: BTreeSet<PeerId>,
    /// Knocks that its user said yes to.
    let_in: BTreeSet<ProposalHash>,
    /// Rosters it knocked at.
    knocked: BTreeSet<RosterHash>,
    /// Its rosters in each room since it came in.
    chains: BTreeMap<RoomId, Vec<RosterHash>>,
    /// Entries it has, by room and author: the newest.
    heads: BTreeMap<(RoomId, PeerId), u64>,
    /// Numbers of logs that it went on without: these may still come.
    holes: BTreeSet<(RoomId, PeerId, u64)>,
    /// Entries that came into such holes.
    filled: BTreeSet<EntryId>,
    /// Entries it keeps, and since when; those that it can prove, since when it can.
    kept: BTreeMap<EntryId, u64>,
    /// Entries among them that it can prove to nobody, since nothing that follows is here and signed, and what each follows.
    unproven: BTreeMap<EntryId, EntryId>,
    /// Entries its user was shown.
    told: BTreeSet<EntryId>,
    /// How often it came into each room.
    stays: BTreeMap<RoomId, u32>,
    last_told: BTreeMap<(PeerId, RoomId), u64>,
    /// When its user was asked about whom, since it was started.
    prompts: VecDeque<(u64, PeerId)>,
}

/// The one who knows everything.
#[derive(Debug)]
pub struct Checks {
    scheme: Arc<dyn Scheme>,
    keys: BTreeMap<PeerId, usize>,
    honest: Vec<bool>,
    nobody_lies: bool,
    honest_server: bool,
    seen: Vec<Seen>,
    rosters: BTreeMap<RosterHash, Roster>,
    proposals: BTreeMap<ProposalHash, Proposal>,
    /// What each member said yes to over each roster, oldest first.
    yes: BTreeMap<(PeerId, RosterHash), Vec<ProposalHash>>,
    /// Who refused what.
    noes: BTreeMap<ProposalHash, BTreeSet<PeerId>>,
    entries: BTreeMap<(RoomId, PeerId, u64), (EntryId, RosterHash)>,
    places: BTreeMap<EntryId, (Place, RoomId)>,
    /// For whom each entry is, and where in which log it stands.
    audiences: BTreeMap<EntryId, (RosterHash, (RoomId, PeerId, u64))>,
    /// Entries that somebody went on without, to be judged.
    skipped: Vec<Skipped>,
    /// When something was last put on a disk.
    now: u64,
    /// What was broken first.
    pub broken: Option<Violation>,
}

impl Checks {
    pub fn new(scheme: Arc<dyn Scheme>, keys: &[PeerId], honest: Vec<bool>, honest_server: bool) -> Self {
        let nobody_lies = honest_server && honest.iter().all(|one| *one);
        Checks {
            scheme,
            keys: keys.iter().enumerate().map(|(who, key)| (*key, who)).collect(),
            seen: honest.iter().map(|_| Seen::default()).collect(),
            honest,
            nobody_lies,
            honest_server,
            rosters: BTreeMap::new(),
            proposals: BTreeMap::new(),
            yes: BTreeMap::new(),
            noes: BTreeMap::new(),
            entries: BTreeMap::new(),
            places: BTreeMap::new(),
            audiences: BTreeMap::new(),
            skipped: Vec::new(),
            now: 0,
            broken: None,
        }
    }

    /// Notes that a rule is broken; the first one counts.
    pub fn fail(&mut self, rule: &'static str, what: String) {
        self.broken.get_or_insert(Violation { rule, what });
    }

    fn is_honest(&self, key: &PeerId) -> bool {
        self.keys.get(key).is_some_and(|who| self.honest[*who])
    }

    /// A user says yes to a knock of this key.
    pub fn user_lets_in(&mut self, who: usize, knock: ProposalHash, key: PeerId) {
        self.seen[who].let_in.insert(knock);
        self.seen[who].approved.insert(key);
    }

    /// What a client asks its user now, it may have wanted to ask long ago.
    pub fn prompts_are_late(&mut self, who: usize) {
        self.seen[who].prompts.clear();
    }

    /// A client starts.
    pub fn started(&mut self, who: usize) {
        self.seen[who].prompts.clear();
    }

    /// Whether somebody was out of a room and is in it again, or had a seat in it that they never took.
    pub fn came_back(&self, key: &PeerId, room: &RoomId) -> bool {
        let Some(seen) = self.keys.get(key).map(|who| &self.seen[*who]) else { return false };
        let elsewhere = |(hash, roster): (&RosterHash, &Roster)| {
            roster.room == *room
                && is_member(roster, key)
                && seen.chains.get(room).is_some_and(|chain| !chain.contains(hash))
        };
        seen.stays.get(room).is_some_and(|stays| *stays > 1) || self.rosters.iter().any(elsewhere)
    }

    /// The roster that a client is on in a room.
    pub fn roster_of(&self, who: usize, room: &RoomId) -> Option<&Roster> {
        self.rosters.get(self.seen[who].chains.get(room)?.last()?)
    }

    /// The rooms a client has a seat in.
    pub fn rooms_of(&self, who: usize) -> Vec<RoomId> {
        self.seen[who].chains.keys().copied().collect()
    }

    /// The newest rosters of a room, at anybody.
    pub fn heads_of(&self, room: &RoomId) -> Vec<RosterHash> {
        self.seen.iter().filter_map(|seen| seen.chains.get(room)?.last().copied()).collect()
    }

    /// Whether a roster is in a client's chain, with a seat for `key`.
    pub fn shares(&self, who: usize, room: &RoomId, roster: &RosterHash) -> bool {
        self.seen[who].chains.get(room).is_some_and(|chain| chain.contains(roster))
            && self
                .rosters
                .get(roster)
                .is_some_and(|roster| self.keys.iter().any(|(key, at)| *at == who && is_member(roster, key)))
    }

    /// Something is on a client's disk for good.
    pub fn kept(&mut self, now: u64, who: usize, me: PeerId, change: &Change) {
        self.now = now;
        if !self.honest[who] {
            return self.kept_by_liar(who, change);
        }
        match change {
            Change::Entered { base, .. } => {
                let hash = base.hash();
                self.rosters.insert(hash, base.clone());
                if self.seen[who].knocked.contains(&hash) {
                    self.seen[who].approved.extend(base.members.iter().map(|member| member.key));
                } else if base.members.len() != 1 || base.members[0].key != me {
                    self.fail("a room is entered only by the roster knocked at", format!("p{who} entered {hash:?}"));
                }
                *self.seen[who].stays.entry(base.room).or_default() += 1;
                self.seen[who].chains.insert(base.room, vec![hash]);
            }
            Change::Moved { room, step, .. } => self.moved(who, me, room, &step.proposal),
            Change::Consented { proposal, consent, .. } => {
                self.proposals.entry(proposal.hash()).or_insert_with(|| proposal.clone());
                let consent = consent.unverified();
                self.answered(consent);
                if consent.by == me && consent.decision == Decision::Yes {
                    self.said_yes(who, me, proposal, consent);
                }
            }
            Change::Entries { room, entries } => entries.iter().for_each(|kept| self.entry(who, me, *room, kept)),
            Change::Forked { room, entry } => self.branch(who, me, *room, entry),
            Change::Gone { room } => drop(self.seen[who].chains.remove(room)),
            Change::HeadCounter { .. }
            | Change::Past { .. }
            | Change::Rule { .. }
            | Change::Addresses { .. }
            | Change::Acquaintance { .. }
            | Change::Outbox { .. }
            | Change::OutboxEmpty { .. }
            | Change::PrivateSaid { .. }
            | Change::PrivateHeard { .. }
            | Change::PrivateReceived { .. } => {}
        }
    }

    /// A liar's rosters are as good as anybody's: they took the others' signatures.
    fn kept_by_liar(&mut self, who: usize, change: &Change) {
        match change {
            Change::Entered { base, .. } => {
                self.rosters.insert(base.hash(), base.clone());
                self.seen[who].chains.insert(base.room, vec![base.hash()]);
            }
            Change::Moved { room, step, .. } => {
                let base = self.roster_of(who, room).cloned();
                let next = base.map(|base| successor(&base, &step.proposal, u16::MAX, &*self.scheme));
                if let Some(Ok(next)) = next {
                    let at = next.hash();
                    self.rosters.insert(at, next);
                    self.seen[who].chains.entry(*room).or_default().push(at);
                }
            }
            Change::Gone { room } => drop(self.seen[who].chains.remove(room)),
            _ => {}
        }
    }

    /// A client says something to a peer.
    pub fn to_peer(&mut self, who: usize, me: PeerId, peer: PeerId, message: &PeerMessage) {
        if let PeerMessage::Consent(consent) = message
            && consent.unverified().by == me
        {
            self.answered(consent.unverified());
        }
        if !self.honest[who] {
            return;
        }
        // Whoever knocked at somebody and was let in without ever hearing of it has approved them, too.
        let knocked_at = |roster: &RosterHash| self.rosters.get(roster).is_some_and(|roster| is_member(roster, &peer));
        let seen = &self.seen[who];
        if !seen.approved.contains(&peer) && !seen.knocked.iter().any(knocked_at) {
            self.fail("only approved keys are spoken to", format!("p{who} to {peer:?}: {message:?}"));
        }
        if let PeerMessage::Run(run) = message {
            for entry in run.entries() {
                if !self.rosters.get(&entry.audience).is_some_and(|roster| is_member(roster, &peer)) {
                    let what = format!(
                        "p{who} gave {peer:?} entry {} of {:?} for {:?}",
                        entry.seq,
                        entry.author,
                        self.rosters.get(&entry.audience)
                    );
                    self.fail("an entry is given to its audience only", what);
                }
            }
        }
    }

    /// A client dials somebody.
    pub fn dials(&mut self, who: usize, peer: PeerId) {
        if self.honest[who] && !self.seen[who].approved.contains(&peer) {
            self.fail("only approved keys are dialled", format!("p{who} dials {peer:?}"));
        }
    }

    /// A client says something to the server.
    pub fn to_server(&mut self, who: usize, me: PeerId, message: &ToServer) {
        match message {
            ToServer::Consent(consent) if consent.unverified().by == me => self.answered(consent.unverified()),
            ToServer::Knock(knock) => drop(self.seen[who].knocked.insert(knock.unverified().roster)),
            ToServer::Candidates((_, roster, _)) if self.honest[who] => {
                let members = self.rosters.get(roster).map(|roster| roster.members.to_vec()).unwrap_or_default();
                let strange = members.iter().find(|one| one.key != me && !self.seen[who].approved.contains(&one.key));
                if let Some(strange) = strange {
                    self.fail("addresses are for approved keys", format!("p{who} for {:?}", strange.key));
                }
            }
            _ => {}
        }
    }

    /// The server says something to a client.
    pub fn from_server(&mut self, to: PeerId, message: &FromServer) {
        if let FromServer::Introduce((_, about, _)) = message
            && self.honest_server
            && let Some(whose) = self.keys.get(about).copied().filter(|whose| self.honest[*whose])
            && !self.seen[whose].approved.contains(&to)
        {
            self.fail("addresses are for approved keys", format!("the server shows p{whose}'s to {to:?}"));
        }
    }

    /// A member says something to somebody who knocks through it.
    pub fn from_host(&mut self, host: usize, to: PeerId, message: &FromServer) {
        if let FromServer::Introduce((_, about, _)) = message
            && self.honest[host]
            && let Some(whose) = self.keys.get(about).copied()
            && !(self.seen[host].approved.contains(&to) && (whose == host || self.seen[whose].approved.contains(&to)))
        {
            self.fail("addresses are for approved keys", format!("p{host} shows p{whose}'s to {to:?}"));
        }
    }

    /// A client tells its user something.
    pub fn told(&mut self, who: usize, me: PeerId, disk: &Disk, event: &Event, now: u64) {
        if !self.honest[who] {
            return;
        }
        match event {
            Event::Message { id, key, seq, .. } => {
                let room = self.places.get(id).map(|(_, room)| *room);
                let kept = room.is_some_and(|room| disk.has(&room, key, *seq, id));
                if !kept {
                    let rule = if *key == me { "what was said is on disk" } else { "what is shown is on disk" };
                    self.fail(rule, format!("p{who} is shown {seq} of {key:?}"));
                }
                // A liar's branches have the same numbers.
                let honest = self.is_honest(key);
                let seen = &mut self.seen[who];
                // What fills a hole comes late; whether the hole was right was judged when it was taken.
                let late = seen.filled.contains(id);
                let new = seen.told.insert(*id);
                let last = room.and_then(|room| seen.last_told.insert((*key, room), *seq)).unwrap_or(0);
                if !new {
                    self.fail("an entry is told once", format!("p{who}: {seq} of {key:?}"));
                } else if last >= *seq && honest && !late {
                    self.fail(
                        "an author's entries are told in order",
                        format!("p{who}: {seq} of {key:?} after {last}"),
                    );
                }
            }
            Event::Misbehaviour { by, what, .. } => {
                let honest = |name: &str| name.strip_prefix('p').and_then(|at| at.parse().ok()).map(|at: usize| at);
                let blamed = by.as_ref().and_then(|by| honest(by.as_str()));
                let wronged = blamed.is_some_and(|at| self.honest.get(at).copied().unwrap_or(false));
                if wronged || self.nobody_lies {
                    self.fail("nobody honest is blamed", format!("p{who} blames {by:?} of {what:?}"));
                }
            }
            Event::Knock { key, .. } => {
                let prompts = &mut self.seen[who].prompts;
                // What waited for its disk is told late, and so closer to what follows.
                prompts.retain(|(at, _)| at + 60_000 - PROMPT_TOLD_LATE_MS > now);
                prompts.push_back((now, *key));
                if prompts.len() > PROMPTS_PER_MINUTE_MAX + PROMPTS_SLACK {
                    self.fail("prompts are few", format!("p{who} is asked again"));
                }
            }
            Event::Left { .. } => self.seen[who].prompts.clear(),
            Event::MemberJoined { key, .. } => self.seen[who].prompts.retain(|(_, asked)| asked != key),
            _ => {}
        }
    }
}
