//! One rendezvous, people that are connected to it, and a clock that only a test moves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::core::Now;
use crate::core::consent::roster::{first_roster, verify_step};
use crate::core::consent::testing::{person, step_signed_by};
use crate::core::rendezvous::{Change, Config, Input, Kept, Output, Rendezvous, SessionId};
use crate::identity::{Ed25519, Identity, PeerId, Signer, Verified};
use crate::wire::{
    Consent, Decision, Drop, DropReason, FromServer, Genesis, Hello, Knock, Message, Proposal, ProposalHash,
    RefusalCode, RoomId, Roster, RosterHash, Settings, Text, ToServer,
};

/// What one client was told, by one input.
pub(super) type Told = Vec<(u8, FromServer)>;

pub(super) struct Rig {
    pub(super) server: Rendezvous,
    pub(super) now: Now,
    /// All outputs ever.
    pub(super) log: Vec<Output>,
    /// Changes that the last input had kept.
    pub(super) kept: Vec<Change>,
    /// Sessions that the last input closed.
    pub(super) closed: Vec<(u64, RefusalCode)>,
    pub(super) sessions: BTreeMap<u8, SessionId>,
    next_session: u64,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Config::default(), Kept::default())
    }

    pub(super) fn with(config: Config, kept: Kept) -> Self {
        Rig {
            server: Rendezvous::new(config, Arc::new(Ed25519), kept),
            now: Now { mono_ms: 1_000_000, wall_ms: 0 },
            log: Vec::new(),
            kept: Vec::new(),
            closed: Vec::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
        }
    }

    /// A rig with a room "lobby" of people 1 to `size`, all connected and attached.
    pub(super) fn room_of(size: u8) -> (Self, Roster) {
        let mut rig = Rig::new();
        rig.log_in(1);
        rig.say(1, ToServer::Create(genesis(1, "lobby").into_signed()));
        let mut roster = first_roster(&genesis(1, "lobby"));
        for newcomer in 2..=size {
            rig.log_in(newcomer);
            rig.say(newcomer, ToServer::Knock(knock(&roster, newcomer).into_signed()));
            let proposal = Proposal::Admit(knock(&roster, newcomer).into_signed());
            let members = (1..newcomer).map(person).collect::<Vec<_>>();
            for member in 1..newcomer {
                rig.say(member, answer(&proposal, member, Decision::Yes));
            }
            let step = step_signed_by(&proposal, &members);
            roster = verify_step(&roster, &step, 8, &Ed25519).unwrap();
            rig.say(newcomer, ToServer::Attach((roster.room, roster.hash())));
        }
        (rig, roster)
    }

    pub(super) fn input(&mut self, input: Input) -> Told {
        let mut out = Vec::new();
        self.server.handle(self.now, input, &mut out);
        self.log.extend(out.clone());
        (self.kept, self.closed) = Default::default();
        let mut told = Vec::new();
        for output in out {
            match output {
                Output::Send { session, message } => {
                    // Whatever is sent must fit a frame and be understood at the other end.
                    let mut bytes = Vec::new();
                    message.encode_into(&mut bytes);
                    assert_eq!(FromServer::decode_from(&bytes), Ok(Some(message.clone())));
                    let who = self.sessions.iter().find(|(_, open)| **open == session).map_or(0, |(who, _)| *who);
                    told.push((who, message));
                }
                Output::Close { session, reason } => self.closed.push((session.0, reason)),
                Output::Persist(change) => self.kept.push(change),
            }
        }
        told
    }

    pub(super) fn connect(&mut self, who: u8) -> SessionId {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        self.sessions.insert(who, session);
        self.input(Input::Connected { session, observed: observed(who), exporter: [who; 32] });
        session
    }

    pub(super) fn log_in(&mut self, who: u8) -> Told {
        self.connect(who);
        self.say(who, hello(who, &format!("p{who}")))
    }

    pub(super) fn log_in_all(&mut self, people: &[u8]) {
        for who in people {
            self.log_in(*who);
        }
    }

    pub(super) fn say(&mut self, who: u8, message: ToServer) -> Told {
        let session = self.sessions[&who];
        self.input(Input::Message { session, message })
    }

    pub(super) fn hang_up(&mut self, who: u8) -> Told {
        let session = self.sessions[&who];
        self.input(Input::Disconnected { session })
    }

    /// Lets time pass, with every wake-up on the way; what the last one led to.
    pub(super) fn pass(&mut self, ms: u64) -> Told {
        let until = self.now.mono_ms + ms;
        let mut told = Vec::new();
        while let Some(at) = self.server.next_wake().filter(|at| *at <= until) {
            self.now.mono_ms = at.max(self.now.mono_ms);
            told = self.input(Input::Wake);
        }
        self.now.mono_ms = until;
        told
    }
}

pub(super) fn key(who: u8) -> PeerId {
    person(who).id()
}

pub(super) fn observed(who: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, who], 4000 + u16::from(who)))
}

pub(super) fn hello(who: u8, name: &str) -> ToServer {
    hello_with(who, name, [who; 32], None)
}

pub(super) fn hello_with(who: u8, name: &str, exporter: [u8; 32], password: Option<&str>) -> ToServer {
    let hello = Hello { exporter, key: key(who), name: name.parse().unwrap(), listed: who.is_multiple_of(2) };
    ToServer::Hello((Verified::sign(hello, &person(who)).into_signed(), password.map(Text::cut)))
}

pub(super) fn genesis(who: u8, name: &str) -> Verified<Genesis> {
    let genesis = Genesis {
        name: name.parse().unwrap(),
        size: 8,
        creator: key(who),
        creator_name: format!("p{who}").parse().unwrap(),
        nonce: [1; 16],
        settings: Settings { consent_timeout_s: 60, grace_s: 120 },
    };
    Verified::sign(genesis, &person(who))
}

pub(super) fn knock(roster: &Roster, who: u8) -> Verified<Knock> {
    knock_again(roster, who, 0)
}

pub(super) fn knock_again(roster: &Roster, who: u8, nonce: u8) -> Verified<Knock> {
    let knock = Knock {
        room: roster.room,
        roster: roster.hash(),
        key: key(who),
        name: format!("p{who}").parse().unwrap(),
        nonce: [nonce; 16],
        expires_unix_s: 0,
    };
    Verified::sign(knock, &person(who))
}

pub(super) fn hash_of(knock: &Verified<Knock>) -> ProposalHash {
    Proposal::Admit(knock.as_signed().clone()).hash()
}

pub(super) fn admit(knock: &Verified<Knock>) -> Proposal {
    Proposal::Admit(knock.as_signed().clone())
}

pub(super) fn drop_of(roster: &Roster, who: &[u8], nonce: u32) -> Drop {
    let mut dropped: Vec<_> = who.iter().map(|who| key(*who)).collect();
    dropped.sort();
    Drop {
        room: roster.room,
        roster: roster.hash(),
        dropped: dropped.try_into().unwrap(),
        why: DropReason::Gone,
        nonce,
    }
}

pub(super) fn consent(proposal: &Proposal, by: u8, decision: Decision) -> Verified<Consent> {
    let (room, roster) = (proposal.room(), proposal.roster());
    let consent = Consent { room, roster, proposal: proposal.hash(), by: key(by), decision };
    Verified::sign(consent, &person(by))
}

pub(super) fn answer(proposal: &Proposal, by: u8, decision: Decision) -> ToServer {
    ToServer::Consent(consent(proposal, by, decision).into_signed())
}

pub(super) fn passed_on(proposal: &Proposal, by: u8, decision: Decision) -> FromServer {
    FromServer::Consent(consent(proposal, by, decision).into_signed())
}

pub(super) fn presence(room: RoomId, who: u8, here: bool) -> FromServer {
    FromServer::Presence((room, key(who), here))
}

pub(super) fn roster_is(roster: &Roster) -> FromServer {
    FromServer::RosterIs((roster.room, roster.hash()))
}

pub(super) fn attach(room: RoomId, at: RosterHash) -> ToServer {
    ToServer::Attach((room, at))
}

/// The codes of the refusals in what was told, and to whom.
pub(super) fn refusals(told: &Told) -> Vec<(u8, RefusalCode)> {
    let code = |(who, message): &(u8, FromServer)| match message {
        FromServer::Refused((_, code, sentence)) => {
            assert!(sentence.as_str().len() > 20, "a refusal tells what to do: {:?}", sentence.as_str());
            Some((*who, *code))
        }
        _ => None,
    };
    let codes: Vec<_> = told.iter().filter_map(code).collect();
    assert_eq!(codes.len(), told.len(), "only refusals: {told:?}");
    codes
}

/// In the order of keys, as the rendezvous tells members.
pub(super) fn by_key(mut people: Vec<u8>) -> Vec<u8> {
    people.sort_by_key(|who| key(*who));
    people
}

pub(super) fn identity(who: u8) -> Identity {
    person(who)
}
