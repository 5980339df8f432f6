//! One room, as one of its members sees it: who is in, who is there, what is said.
//!
//! A room never decides alone. It is handed what was heard, notes what was verified, signs what its user or the rules say,
//! and hands everything to be done to its [`Ctx`].

mod absence;
mod addresses;
mod answers;
mod apart;
mod arrivals;
mod feeding;
mod gap;
mod heads;
mod hearing;
mod holes;
mod hosting;
mod knocks;
mod meeting;
mod moving;
mod names;
mod numbers;
mod past;
mod paths;
mod people;
mod privates;
mod pulling;
mod reader;
mod record;
mod reforming;
mod removing;
mod rules;
mod saying;
mod skipping;
mod telling;
mod wanting;
mod web;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use rand::rngs::StdRng;

use super::acquaintances::Acquaintances;
use super::consent::chain::Chain;
use super::consent::roster::is_member;
use super::consent::seat::Seat;
use super::event::{Entrance, Event, Misdeed, Path};
use super::io::{Change, LinkId, Output, StepNote};
use super::log::Log;
use super::marks::Marks;
use super::private::Privates;
use super::time::{Allowance, Now};
use crate::identity::{PeerId, RoomName, Scheme, Signed, Signer, Verified};
use crate::limits::CANDIDATES_MAX;
use crate::wire::{Consent, EntryId, Few, PeerMessage, Proposal, ProposalHash, RoomId, RosterHash, Run, ToServer};

pub(super) use super::consent::seat::Fate;
pub(super) use hosting::Standing;

use absence::Absence;
use meeting::Lost;
use numbers::Unlevel;
use past::Traced;
use paths::Detour;
use pulling::Lacking;
use reader::Reader;
use record::Heard;
use reforming::Reforming;
pub(super) use rules::Rules;
use saying::Pending;
use wanting::Wanted;
use web::Web;

/// What a room needs of the node around it, for the time of one input.
pub(super) struct Ctx<'n> {
    /// When it is.
    pub now: Now,
    /// Who we are.
    pub signer: &'n dyn Signer,
    /// How signatures are checked.
    pub scheme: &'n dyn Scheme,
    /// For salts and nonces.
    pub rng: &'n mut StdRng,
    /// What is to be done.
    pub out: &'n mut Vec<Output>,
    /// The links to peers.
    pub links: &'n BTreeMap<PeerId, Link>,
    /// Whether we are logged in at the server.
    pub server_up: bool,
    /// Our own addresses.
    pub addresses: &'n [SocketAddr],
    /// Whom we have met.
    pub known: &'n mut Acquaintances,
}

/// The connection in use with a peer.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Which.
    pub id: LinkId,
    /// Which life of the peer's program is at the other end.
    pub life: [u8; 32],
    /// Whether this side dialled it.
    pub dialled: bool,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// Its round trip when it came up, in milliseconds.
    pub rtt_ms: u32,
    /// Since when it is in use, on the monotonic clock.
    pub since: u64,
    /// Attempts in a row that had failed before it, or led to connections that did not last.
    pub failed: u32,
}

impl Ctx<'_> {
    /// Our own key.
    pub fn me(&self) -> PeerId {
        self.signer.id()
    }

    /// Tells the user.
    pub fn tell(&mut self, event: Event) {
        self.out.push(Output::Tell(event));
    }

    /// Keeps something.
    pub fn persist(&mut self, change: Change) {
        self.out.push(Output::Persist(change));
    }

    /// Says something to the server, if it is there; whoever attaches later is told anew.
    pub fn tell_server(&mut self, message: ToServer) {
        if self.server_up {
            self.out.push(Output::ToServer(message));
        }
    }

    /// Says something to a peer, if there is a link.
    pub fn tell_peer(&mut self, peer: &PeerId, message: PeerMessage) {
        if let Some(link) = self.links.get(peer) {
            self.out.push(Output::ToPeer { link: link.id, message });
        }
    }
}

/// One room.
#[derive(Debug)]
pub(super) struct Room {
    /// What people call it.
    pub name: RoomName,
    /// Who is in, how it came to that, and what is being decided.
    seat: Seat,
    /// What was said.
    pub log: Log,
    /// What was said about that, and about the room.
    marks: Marks,
    /// What is said to one member alone.
    privates: Privates,
    /// How far each linked member is with each log.
    readers: BTreeMap<PeerId, Reader>,
    /// Members connected to the server, by its word.
    pub online: BTreeSet<PeerId>,
    /// Members we can reach by no path, and since when.
    absent: BTreeMap<PeerId, Absence>,
    /// Who has links with whom.
    web: Web,
    /// Logs of which linked members have more than we do.
    lacking: BTreeMap<PeerId, Lacking>,
    /// How far others have each author's log, to be handed on to the author.
    arrivals: BTreeMap<PeerId, BTreeMap<PeerId, u64>>,
    /// When.
    arrivals_at: Option<u64>,
    /// Linked members who gave us something since we last told them how far we are.
    givers: BTreeSet<PeerId>,
    /// Members we reach through others only.
    detours: BTreeMap<PeerId, Detour>,
    /// Where members can be reached.
    pub addresses: BTreeMap<PeerId, Vec<SocketAddr>>,
    /// Where others say that they are; not kept.
    hearsay: BTreeMap<PeerId, Vec<SocketAddr>>,
    /// Those of them that are on disk.
    addresses_kept: BTreeMap<PeerId, Vec<SocketAddr>>,
    /// When those that are not are put there.
    addresses_due: Option<u64>,
    /// Our own texts that not everybody has yet, by number.
    pending: BTreeMap<u64, Pending>,
    /// What waits until it is sure how long our own log is.
    unlevel: Option<Unlevel>,
    /// Members who said to have more of our own log than is here, once.
    remembered_more: BTreeSet<PeerId>,
    /// Members who have nothing of the current audience but what we gave them: newcomers, and to a newcomer everybody; until
    /// they say what they have.
    fresh: BTreeSet<PeerId>,
    /// How far each member has our own log.
    delivered: BTreeMap<PeerId, u64>,
    /// Runs for a roster we are not on yet, and who passed them on.
    early: VecDeque<(PeerId, Run)>,
    /// Which yes of ours was repeated to those who did not answer, and when last.
    yes_repeated: Option<(ProposalHash, u64)>,
    /// Entries that something told us names, and that are missing here.
    wanted: BTreeMap<EntryId, Wanted>,
    /// Entries that may be missing, for which the store is asked first, and who gave us something that names them.
    named_by: BTreeMap<EntryId, BTreeSet<PeerId>>,
    /// Whose entries went on without something and wait for more, and since when they have waited in all.
    going_on: BTreeMap<PeerId, u64>,
    /// What is missing in each log, and since when.
    gaps: BTreeMap<PeerId, gap::Gap>,
    /// How much of what came late was given on just now.
    late_passed: Allowance,
    /// How many holes were asked about as they were taken.
    holes_asked: Allowance,
    /// Who gave last what each author's log here has passed.
    late_from: BTreeMap<PeerId, PeerId>,
    /// At which number, and when, those who have more of a log were asked for what is missing.
    gaps_asked: BTreeMap<PeerId, (u64, u64)>,
    /// Who told us last of something that waits.
    wanted_from: PeerId,
    /// Which roster from before our chain was asked for last, and when.
    traced: Option<Traced>,
    /// Until when runs wait for its answer that come after one which needs it.
    early_until: Option<u64>,
    /// How knocks are answered without asking.
    pub rules: Rules,
    /// When proposals and answers came.
    heard: BTreeMap<ProposalHash, Heard>,
    /// The proposal to found the room anew.
    reforming: Option<Reforming>,
    /// What was noted of each step of the chain.
    step_notes: Vec<StepNote>,
    /// Answers to proposals we do not know yet.
    orphans: VecDeque<Verified<Consent>>,
    /// How often each newcomer was denied here, and until when they are muted.
    denials: BTreeMap<PeerId, (u32, u64)>,
    /// When the user was last asked, and about what, for the limit per minute.
    prompts: VecDeque<(u64, ProposalHash)>,
    /// Counter of our newest head.
    head_counter: u64,
    /// Counter of each member's newest head, and the roster that it names.
    heads: BTreeMap<PeerId, (u64, RosterHash)>,
    /// Who said yes and no to something over the current roster, and everybody linked was told of it.
    liars_told: BTreeSet<PeerId>,
    /// When what we have of the logs is to be told to the others.
    frontier_due: Option<u64>,
    /// Members who were told of holes that have got smaller.
    floors_due: BTreeSet<PeerId>,
    /// How far each author's log was when frontiers were last sent.
    told_soon: BTreeMap<PeerId, u64>,
    /// Members who sent something that they would not have, had they known how far we are.
    told_wrong: BTreeSet<PeerId>,
    /// When everybody is told what only authors are told at once.
    gossip_due: Option<u64>,
    /// Not before this moment is another drop proposed.
    drop_not_before: u64,
    /// The roster of the server's from which we last brought it forward, to which, and when: telling it twice would not
    /// help.
    pub brought: Option<(RosterHash, RosterHash, u64)>,
    /// Answers that the server still owes us about how we parted with those on a roster that we don't know.
    pub owed: usize,
    /// Whether the server was asked who is where the others seem to have gone, and has yet to answer.
    pub looking: bool,
    /// Not before this moment is it asked again.
    pub look_at: u64,
    /// Whether the server keeps the room for others.
    pub apart: apart::Apart,
    /// When to ask the server for the roster it is on, unless it says that it has followed our last step.
    pub ask_server_at: Option<u64>,
    /// Whether the server or a member confirmed our seat, so that the user was told we are in.
    pub settled: bool,
    /// Members that we parted with because nobody reached them: the other half, perhaps, of a split.
    pub lost: BTreeMap<PeerId, Lost>,
    /// What we know of those who have no seat here.
    strangers: meeting::Strangers,
    /// Drops over this roster that were refused, by signer.
    refusals: BTreeMap<PeerId, u32>,
}

impl Room {
    /// A room just founded, entered or opened again.
    pub fn new(chain: Chain, log: Log, me: PeerId) -> Self {
        let mut room = Room {
            name: chain.genesis().name.clone(),
            seat: Seat::new(chain, me),
            log,
            marks: Marks::default(),
            privates: Privates::default(),
            readers: BTreeMap::new(),
            online: BTreeSet::new(),
            absent: BTreeMap::new(),
            web: Web::default(),
            lacking: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            arrivals_at: None,
            givers: BTreeSet::new(),
            detours: BTreeMap::new(),
            addresses: BTreeMap::new(),
            addresses_kept: BTreeMap::new(),
            addresses_due: None,
            pending: BTreeMap::new(),
            unlevel: None,
            remembered_more: BTreeSet::new(),
            fresh: BTreeSet::new(),
            delivered: BTreeMap::new(),
            early: VecDeque::new(),
            yes_repeated: None,
            wanted: BTreeMap::new(),
            named_by: BTreeMap::new(),
            going_on: BTreeMap::new(),
            gaps: BTreeMap::new(),
            late_passed: Allowance::default(),
            holes_asked: Allowance::default(),
            late_from: BTreeMap::new(),
            gaps_asked: BTreeMap::new(),
            wanted_from: me,
            traced: None,
            early_until: None,
            rules: Rules::new(),
            heard: BTreeMap::new(),
            reforming: None,
            step_notes: Vec::new(),
            orphans: VecDeque::new(),
            denials: BTreeMap::new(),
            prompts: VecDeque::new(),
            head_counter: 0,
            heads: BTreeMap::new(),
            liars_told: BTreeSet::new(),
            frontier_due: None,
            floors_due: BTreeSet::new(),
            told_soon: BTreeMap::new(),
            told_wrong: BTreeSet::new(),
            gossip_due: None,
            drop_not_before: 0,
            brought: None,
            owed: 0,
            apart: Default::default(),
            looking: false,
            look_at: 0,
            ask_server_at: None,
            settled: false,
            lost: BTreeMap::new(),
            strangers: Default::default(),
            refusals: BTreeMap::new(),
            hearsay: BTreeMap::new(),
        };
        room.recall_marks();
        room.recall_company();
        room
    }

    /// Puts back what was noted of the steps so far.
    pub fn recall_notes(&mut self, notes: Vec<StepNote>) {
        self.step_notes = notes;
    }

    /// Puts back what this client had signed over the last roster, so that it never signs against itself.
    pub fn recall(&mut self, consents: Vec<(Proposal, Signed<Consent>)>, head_counter: u64, scheme: &dyn Scheme) {
        self.head_counter = head_counter;
        self.seat.recall(consents, scheme);
    }

    /// The rosters so far.
    pub fn chain(&self) -> &Chain {
        self.seat.chain()
    }

    /// Nobody is where the others seem to have gone.
    pub fn stay(&mut self) {
        self.seat.stay();
    }

    /// What became of our seat.
    pub fn fate(&self) -> Fate {
        self.seat.fate()
    }

    /// Whether others seem to have gone on by more than what they signed over a roster that we have passed.
    pub fn is_sure_of_departures(&self) -> bool {
        self.seat.is_sure_of_departures()
    }

    /// Which room this is.
    pub fn id(&self) -> RoomId {
        self.seat.chain().room()
    }

    /// Whether `key` has a seat.
    pub fn has(&self, key: &PeerId) -> bool {
        is_member(self.seat.chain().current(), key)
    }

    /// Whether a member went on without us, and is still to be dropped.
    pub fn has_left(&self, key: &PeerId) -> bool {
        self.seat.left().contains_key(key)
    }

    /// Every member but ourselves.
    pub fn others(&self, me: &PeerId) -> Vec<PeerId> {
        let keys = self.seat.chain().current().members.iter().map(|member| member.key);
        keys.filter(|key| key != me).collect()
    }

    /// A link with a member has come up: tell them where we are, and what we have.
    pub fn link_up(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        let Some(link) = ctx.links.get(&peer) else { return };
        let rtt_ms = link.rtt_ms;
        let replaced = self.readers.insert(peer, Reader::default()).is_some();
        if !replaced {
            self.log.hope_again();
        }
        // A better connection to somebody who is linked already is no news.
        if let (Some(name), false) = (self.name_of(&peer), replaced) {
            let path = Path::Direct { rtt_ms: Some(rtt_ms) };
            ctx.tell(Event::Link { room: self.name.clone(), name, path, grace_s: None, tried: None });
        }
        self.greet(ctx, peer);
        if !replaced {
            self.feed_unasked(ctx, peer);
        }
        self.reach_changed(ctx);
        self.privates_reach(ctx, Some(peer));
    }

    /// The link with a member is gone.
    pub fn link_down(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        if self.readers.remove(&peer).is_some() {
            ctx.tell_server(ToServer::Report((self.id(), peer)));
            self.reach_changed(ctx);
        }
    }

    /// All that a member needs to hear first on a link: our head, what is being decided, our links, what we have.
    pub fn greet(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        let head = self.sign_head(ctx);
        ctx.tell_peer(&peer, PeerMessage::Head(head));
        for message in self.open_decisions() {
            ctx.tell_peer(&peer, message);
        }
        let links = self.links_message(ctx);
        ctx.tell_peer(&peer, links);
        self.send_frontier(ctx, peer);
    }

    /// Time passed: a server that has not followed our last step has not seen all that it takes. It is told again where we
    /// are, and says where it is.
    pub fn ask_server_due(&mut self, ctx: &mut Ctx<'_>) {
        if self.ask_server_at.take_if(|at| *at <= ctx.now.mono_ms).is_some() {
            ctx.tell_server(ToServer::Attach((self.id(), self.seat.chain().head())));
        }
    }

    /// Tells the user that we are in, once.
    pub fn tell_joined(&mut self, ctx: &mut Ctx<'_>, how: Entrance) {
        if !std::mem::replace(&mut self.settled, true) {
            let (epoch, members) = (self.seat.chain().current().epoch, self.people(ctx));
            ctx.tell(Event::Joined { room: self.name.clone(), epoch, members, how });
            self.meet_all(ctx);
            self.tell_standing(ctx);
        }
    }

    /// The server, or a member, is on a roster of ours: we still have our seat.
    pub fn confirm_seat(&mut self, ctx: &mut Ctx<'_>) {
        self.tell_joined(ctx, Entrance::Returned);
    }

    /// We have just come in: what we say from now on, nobody has.
    pub fn just_entered(&mut self, me: &PeerId) {
        self.fresh = self.others(me).into_iter().collect();
    }

    /// We have just come in, or back: links that stand already are links of this room, and whoever has none has the
    /// grace to come.
    pub fn seats_taken_up(&mut self, ctx: &mut Ctx<'_>) {
        self.recall_pending(ctx);
        self.await_own_log(ctx);
        let current = self.seat.chain().current().clone();
        self.seats_changed(ctx, &current);
    }

    /// Offers our own addresses to the members of the current roster, through the server.
    pub fn offer_addresses(&self, ctx: &mut Ctx<'_>) {
        let addresses: Few<SocketAddr, CANDIDATES_MAX> = Few::first_of(ctx.addresses.iter().copied());
        ctx.tell_server(ToServer::Candidates((self.id(), self.seat.chain().head(), addresses)));
    }

    /// Tells the user that somebody broke a rule, without effect.
    pub fn blame(&self, ctx: &mut Ctx<'_>, by: Option<PeerId>, what: Misdeed) {
        let by = by.and_then(|key| self.name_of(&key));
        ctx.tell(Event::Misbehaviour { room: Some(self.name.clone()), by, what });
    }
}
