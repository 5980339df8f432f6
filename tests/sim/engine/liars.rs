//! Liars. The server may withhold, repeat, replay, swap and forge all that it says; a member may say other things to each
//! of the others, under its own key. Neither has anybody else's signer.

use std::collections::VecDeque;
use std::sync::Arc;

use p2pchat::identity::{PeerId, Signature, Signed, Signer, Verified};
use p2pchat::wire::{
    Consent, Decision, Drop, DropReason, Few, FromServer, Head, Knock, KnockEnd, PeerMessage, Proposal, ProposalHash,
    RoomId, RosterHash, Run, Step, Tip, ToServer,
};

use super::net::{Frame, Place};
use super::rng::Rng;
use super::world::{What, World};

/// Things that a liar remembers of each kind.
const REMEMBERED_MAX: usize = 200;

/// What a lying server remembers.
pub struct ServerLiar {
    /// A key of its own, under which it knocks itself.
    stranger: Arc<dyn Signer>,
    said: VecDeque<FromServer>,
    consents: VecDeque<Signed<Consent>>,
    knocks: VecDeque<Signed<Knock>>,
}

impl ServerLiar {
    pub fn new(stranger: Arc<dyn Signer>) -> Self {
        ServerLiar { stranger, said: VecDeque::new(), consents: VecDeque::new(), knocks: VecDeque::new() }
    }

    pub fn hear(&mut self, message: &ToServer) {
        match message {
            ToServer::Consent(consent) => remember(&mut self.consents, consent.clone()),
            ToServer::Knock(knock) => remember(&mut self.knocks, knock.clone()),
            _ => {}
        }
    }

    /// A knock of the server's own at the roster of another one, under the same name.
    fn own_knock(&self, like: &Knock, rng: &mut Rng) -> Signed<Knock> {
        let knock = Knock { key: self.stranger.id(), nonce: rng.bytes(), ..like.clone() };
        Verified::sign(knock, &*self.stranger).into_signed()
    }

    /// A step with all the signatures that the server has seen, which are not all that it needs.
    fn premature(&self, knock: &Signed<Knock>) -> Step {
        let proposal = Proposal::Admit(knock.clone());
        let hash = proposal.hash();
        let yes = |consent: &&Signed<Consent>| {
            consent.unverified().proposal == hash && consent.unverified().decision == Decision::Yes
        };
        Step { proposal, signatures: Few::first_of(self.consents.iter().filter(yes).map(Signed::signature)) }
    }
}

/// A lying member.
pub struct MemberLiar {
    pub who: Option<Place>,
}

impl MemberLiar {
    pub fn new(who: Option<Place>) -> Self {
        MemberLiar { who }
    }
}

fn remember<T>(what: &mut VecDeque<T>, one: T) {
    what.push_back(one);
    if what.len() > REMEMBERED_MAX {
        what.pop_front();
    }
}

fn any<T: Clone>(what: &VecDeque<T>, rng: &mut Rng) -> Option<T> {
    what.get(rng.below(what.len() as u64) as usize).cloned()
}

fn forged(rng: &mut Rng) -> Signature {
    Signature(rng.bytes(), [0; 32])
}

impl World {
    /// What a server says instead of a message.
    pub fn lie_from_server(&mut self, message: FromServer) -> Vec<FromServer> {
        if self.plan.server_lies == 0 || self.healing {
            return vec![message];
        }
        self.lie_instead(self.plan.server_lies, message)
    }

    /// What a lying member says to somebody who knocks through it: as a lying server would.
    pub fn lie_to_guest(&mut self, host: Place, message: FromServer) -> Vec<FromServer> {
        if self.member_liar.who != Some(host) || self.healing {
            return vec![message];
        }
        self.lie_instead(self.plan.member_lies, message)
    }

    fn lie_instead(&mut self, rate: u64, message: FromServer) -> Vec<FromServer> {
        let (liar, rng) = (&mut self.server_liar, &mut self.rng.lies);
        remember(&mut liar.said, message.clone());
        // Without a welcome there is nobody to lie to.
        if !rng.chance(rate) || matches!(message, FromServer::Welcome(_)) {
            return vec![message];
        }
        match rng.below(4) {
            0 => vec![],
            1 => vec![message.clone(), message],
            2 => vec![any(&liar.said, rng).unwrap_or_else(|| message.clone()), message],
            _ => swapped(liar, rng, message),
        }
    }

    /// A liar at the door: as a newcomer, what only members may say, and what others have said; as a member, what no server
    /// would say.
    fn mischief_at_door(&mut self, who: Place) {
        let guests: Vec<_> = self.net.held_by(who).into_iter().filter(|(conn, _)| self.net.conns[conn].guest).collect();
        let rng = &mut self.rng.lies;
        let Some((conn, side)) = rng.one_of(&guests).copied() else { return };
        let victim = self.people[rng.below(self.people.len() as u64) as usize].id;
        let rooms: Vec<RoomId> = (0..self.people.len()).flat_map(|one| self.checks.rooms_of(one)).collect();
        let Some(room) = rng.one_of(&rooms).copied() else { return };
        let heads = self.checks.heads_of(&room);
        let roster = rng.one_of(&heads).copied().unwrap_or(RosterHash(rng.bytes()));
        let somewhere = || Few::first_of([super::shell::address(3)]);
        let knock = any(&self.server_liar.knocks, rng);
        if side == 0 {
            let message = match (rng.below(6), knock) {
                (0, _) => ToServer::Attach((room, roster)),
                (1, _) => ToServer::Candidates((room, roster, somewhere())),
                (2, Some(knock)) => ToServer::Withdraw((room, Proposal::Admit(knock).hash())),
                (3, Some(knock)) => ToServer::Knock(knock),
                (4, _) => {
                    let (by, dropped) = (self.people[who].id, Few::first_of([victim]));
                    self.note(|| format!("p{who} at the door drops {victim:?} as {by:?}"));
                    ToServer::Drop(Drop { room, roster, dropped, why: DropReason::Gone, nonce: 0 })
                }
                _ => {
                    let consent = Consent {
                        room,
                        roster,
                        proposal: ProposalHash(rng.bytes()),
                        by: victim,
                        decision: Decision::Yes,
                    };
                    ToServer::Consent(Signed::from_parts(consent, forged(rng)))
                }
            };
            self.note(|| format!("p{who} lies at the door: {message:?}"));
            return self.send(conn, 0, Frame::ToServer(message));
        }
        let message = match (rng.below(6), knock) {
            (0, _) => FromServer::RosterIs((room, RosterHash(rng.bytes()))),
            (1, _) => FromServer::Introduce((room, victim, somewhere())),
            (2, Some(knock)) => FromServer::KnockOver((Proposal::Admit(knock).hash(), KnockEnd::Stale)),
            (3, Some(knock)) => FromServer::Step((room, self.server_liar.premature(&knock))),
            (4, _) => FromServer::Unknown(room),
            _ => match any(&self.server_liar.said, rng) {
                Some(old) => old,
                None => return,
            },
        };
        self.note(|| format!("p{who} lies to who knocks through it: {message:?}"));
        self.send(conn, 1, Frame::FromServer(message));
    }

    /// What a lying member of a room without a server tells the others besides: knocks that nobody made there, made long
    /// ago, or by a stranger of its own, and where people are not.
    fn lie_of_whereabouts(&mut self, room: RoomId, victim: PeerId) -> Option<PeerMessage> {
        let rng = &mut self.rng.lies;
        let elsewhere = super::shell::address(rng.below(8) as usize);
        let knock = any(&self.server_liar.knocks, rng);
        Some(match rng.below(4) {
            0 => PeerMessage::Knock(knock?),
            1 => PeerMessage::Knock(self.server_liar.own_knock(knock?.unverified(), rng)),
            2 => PeerMessage::Introduce((room, victim, Few::first_of([elsewhere]))),
            _ => PeerMessage::Seen(elsewhere),
        })
    }

    /// The lying server says something by itself.
    pub fn mischief(&mut self) {
        if self.healing {
            return;
        }
        let next = 500 + self.rng.lies.below(400_000 / self.plan.server_lies.max(1));
        self.after(next, What::Mischief);
        let sessions = self.server.sessions();
        let rng = &mut self.rng.lies;
        let Some((conn, who)) = rng.one_of(&sessions).copied() else { return };
        let liar = &self.server_liar;
        let Some(knock) = any(&liar.knocks, rng) else { return };
        let (room, newest) = (knock.unverified().room, liar.knocks.back().unwrap_or(&knock).clone());
        let message = match rng.below(9) {
            0 => FromServer::Knock((liar.own_knock(newest.unverified(), rng), 30_000)),
            1 | 2 => FromServer::Step((room, liar.premature(&newest))),
            3 => {
                // Somebody's yes that nobody signed.
                let by = self.people[rng.below(self.people.len() as u64) as usize].id;
                let proposal = Proposal::Admit(newest.clone());
                let (proposal, roster) = (proposal.hash(), proposal.roster());
                let consent = Consent { room, roster, proposal, by, decision: Decision::Yes };
                FromServer::Consent(Signed::from_parts(consent, forged(rng)))
            }
            4 => FromServer::RosterIs((room, RosterHash(rng.bytes()))),
            5 => FromServer::Unknown(room),
            6 => FromServer::Presence((room, self.people[who].id, false)),
            7 => FromServer::KnockOver((Proposal::Admit(newest).hash(), KnockEnd::Stale)),
            _ => match any(&liar.said, rng) {
                Some(old) => old,
                None => return,
            },
        };
        self.note(|| format!("the server lies to p{who}: {message:?}"));
        self.server_says(conn, who, message);
    }

    /// What a member says instead of a message to another.
    pub fn lie_to_peer(&mut self, who: Place, _: p2pchat::identity::PeerId, message: PeerMessage) -> Vec<PeerMessage> {
        if self.member_liar.who != Some(who) || self.healing || !self.rng.lies.chance(self.plan.member_lies) {
            return vec![message];
        }
        let (signer, rng) = (&*self.people[who].signer, &mut self.rng.lies);
        match rng.below(4) {
            0 => vec![],
            1 => vec![message.clone(), message],
            _ => vec![twisted(signer, rng, message)],
        }
    }

    /// What a member says instead of a message to the server.
    pub fn lie_to_server(&mut self, who: Place, message: ToServer) -> Vec<ToServer> {
        if self.member_liar.who != Some(who) || self.healing || !self.rng.lies.chance(self.plan.member_lies) {
            return vec![message];
        }
        match message {
            ToServer::Consent(consent) => {
                let other = contrary(&*self.people[who].signer, consent.unverified());
                if self.rng.lies.chance(500) {
                    vec![ToServer::Consent(other)]
                } else {
                    vec![ToServer::Consent(consent), ToServer::Consent(other)]
                }
            }
            ToServer::Hello(_) => vec![message],
            other => {
                if self.rng.lies.chance(500) {
                    vec![]
                } else {
                    vec![other.clone(), other]
                }
            }
        }
    }

    /// The lying member says something by itself.
    pub fn member_mischief(&mut self) {
        let Some(who) = self.member_liar.who.filter(|_| !self.healing) else { return };
        let next = 500 + self.rng.lies.below(600_000 / self.plan.member_lies.max(1));
        self.after(next, What::MemberMischief);
        let serverless = self.plan.serverless == 1;
        if serverless && self.rng.lies.chance(300) {
            return self.mischief_at_door(who);
        }
        let server = self.server_place();
        let links: Vec<_> = self
            .net
            .held_by(who)
            .into_iter()
            .filter(|(conn, side)| !self.net.conns[conn].guest && self.net.conns[conn].ends[1 - side] != server)
            .collect();
        let rng = &mut self.rng.lies;
        let (Some((conn, side)), Some(room)) =
            (rng.one_of(&links).copied(), self.checks.rooms_of(who).first().copied())
        else {
            return;
        };
        let victim = self.people[rng.below(self.people.len() as u64) as usize].id;
        let roster = self.checks.heads_of(&room);
        let Some(roster) = rng.one_of(&roster).copied() else { return };
        let other = (serverless && rng.chance(400)).then(|| self.lie_of_whereabouts(room, victim)).flatten();
        let rng = &mut self.rng.lies;
        let message = match rng.below(4) {
            _ if other.is_some() => other.unwrap(),
            0 => {
                // Everything it has of somebody, to whom it may not concern.
                let entries: Vec<_> = self.people[who].disk.fetch(&room, &victim, 1 + rng.below(5));
                let Some(signature) = entries.iter().find_map(|kept| kept.signature) else { return };
                let first = entries.into_iter().map(|kept| (kept.entry, kept.id)).take(1);
                let Some(run) = Run::new(first, signature) else { return };
                PeerMessage::Run(run)
            }
            1 => {
                let dropped = Few::first_of([victim]);
                PeerMessage::Drop(Drop { room, roster, dropped, why: DropReason::Gone, nonce: rng.below(4) as u32 })
            }
            2 => PeerMessage::Frontier((room, Few::first_of([(victim, u64::MAX), (victim, 0)]))),
            _ => {
                let (proposal, by) = (ProposalHash(rng.bytes()), self.people[who].id);
                let consent = Consent { room, roster, proposal, by, decision: Decision::Yes };
                PeerMessage::Consent(Verified::sign(consent, &*self.people[who].signer).into_signed())
            }
        };
        self.note(|| format!("p{who} lies: {message:?}"));
        self.send(conn, side, Frame::Peer(message));
    }
}

fn swapped(liar: &ServerLiar, rng: &mut Rng, message: FromServer) -> Vec<FromServer> {
    let lie = match message {
        FromServer::Shown(mut shown) => {
            let old = any(&liar.knocks, rng).map(|knock| knock.unverified().roster);
            shown.roster = old.unwrap_or(RosterHash(rng.bytes()));
            FromServer::Shown(shown)
        }
        FromServer::Knock((knock, left)) => {
            let own = liar.own_knock(knock.unverified(), rng);
            let other = Signed::from_parts(own.unverified().clone(), knock.signature());
            let swapped = if rng.chance(500) { own } else { other };
            return vec![FromServer::Knock((swapped, left)), FromServer::Knock((knock, left))];
        }
        FromServer::Consent(consent) => {
            let said = consent.unverified();
            let decision = if said.decision == Decision::Yes { Decision::No } else { Decision::Yes };
            FromServer::Consent(Signed::from_parts(Consent { decision, ..said.clone() }, consent.signature()))
        }
        FromServer::Admitted(mut admission) => {
            let fewer = admission.signatures.len().saturating_sub(1);
            admission.signatures = Few::first_of(admission.signatures.iter().copied().take(fewer));
            FromServer::Admitted(admission)
        }
        FromServer::Step((room, mut step)) => {
            step.signatures = Few::first_of(step.signatures.iter().map(|_| forged(rng)));
            FromServer::Step((room, step))
        }
        FromServer::Introduce((room, peer, _)) => {
            let elsewhere = super::shell::address(rng.below(8) as usize);
            FromServer::Introduce((room, peer, Few::first_of([elsewhere])))
        }
        FromServer::RosterIs((room, _)) => FromServer::RosterIs((room, RosterHash(rng.bytes()))),
        FromServer::KnockState((knock, _)) => FromServer::KnockOver((knock, KnockEnd::Denied)),
        FromServer::Presence((room, peer, there)) => FromServer::Presence((room, peer, !there)),
        other => other,
    };
    vec![lie]
}

fn contrary(signer: &dyn Signer, said: &Consent) -> Signed<Consent> {
    let decision = if said.decision == Decision::Yes { Decision::No } else { Decision::Yes };
    // It passes on others' answers too; those it can't change.
    if said.by != signer.id() {
        return Signed::from_parts(Consent { decision, ..said.clone() }, Signature([9; 32], [0; 32]));
    }
    Verified::sign(Consent { decision, ..said.clone() }, signer).into_signed()
}

fn twisted(signer: &dyn Signer, rng: &mut Rng, message: PeerMessage) -> PeerMessage {
    match message {
        PeerMessage::Consent(consent) => PeerMessage::Consent(contrary(signer, consent.unverified())),
        PeerMessage::Head(head) => {
            let head = head.unverified().clone();
            let lie = Head { roster: RosterHash(rng.bytes()), ..head };
            PeerMessage::Head(Verified::sign(lie, signer).into_signed())
        }
        PeerMessage::Run(run) => {
            if run.last().author != signer.id() {
                return PeerMessage::Run(run);
            }
            let mut last = run.last().clone();
            // Another entry under the same number, backdated.
            last.wall_ms = last.wall_ms.saturating_sub(86_400_000);
            last.salt = rng.bytes();
            // And not where it belongs: before what it names, far behind everything, or beyond all numbers.
            last.depth = match last.salt[0] % 4 {
                0 => last.depth,
                1 => 0,
                2 => last.depth.saturating_add(1_000),
                _ => u64::MAX,
            };
            let tip = Tip { room: last.room, author: last.author, id: last.id() };
            let signature = Verified::sign(tip, signer).as_signed().signature();
            let before = run.entries().iter().cloned().zip(run.ids().iter().copied()).take(run.entries().len() - 1);
            let id = last.id();
            PeerMessage::Run(Run::new(before.chain([(Arc::new(last), id)]), signature).unwrap())
        }
        PeerMessage::Frontier((room, frontier)) => {
            let more = frontier.iter().map(|(author, seq)| (*author, seq + rng.below(1_000)));
            PeerMessage::Frontier((room, Few::first_of(more)))
        }
        PeerMessage::LinkState(state) if state.unverified().by == signer.id() => {
            let mut state = state.unverified().clone();
            // Links that are there are kept back.
            state.links = Few::first_of(state.links.into_vec().into_iter().filter(|_| rng.below(2) == 0));
            state.turn += 1;
            PeerMessage::LinkState(Verified::sign(state, signer).into_signed())
        }
        other => other,
    }
}
