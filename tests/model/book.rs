//! The book: every seat, roster and proposal that occurs, under a small number, and what the real code makes of each input
//! at each seat, looked up when it is asked again.
//!
//! Numbers stand for equal things, so a state of the model is a handful of numbers, and the real code runs once for each
//! pair of seat and input however many states they occur in.

use p2pchat::core::consent::ballots::Ballot;
use p2pchat::core::consent::chain::Chain;
use p2pchat::core::consent::roster::{first_roster, verify_step};
use p2pchat::core::consent::seat::{Fate, Seat};
use p2pchat::identity::{Scheme, Signed, Verified};
use p2pchat::planted::Bug;
use p2pchat::wire::{
    Admission, Consent, Decision, Drop, DropReason, Few, Genesis, Knock, Proposal, ProposalHash, Roster, Settings, Step,
};

use crate::alike::{likeness, tidied};
use crate::keyed::{Hands, Who, hand, key_of, who_is};
use crate::member::{Heard, Input, Outcome, respond};
use crate::merging::merges;
use crate::shelf::{Memory, Shelf, wide_hash};
use crate::world::Setting;

/// A set of people, one bit each.
pub type People = u8;
/// The number of a seat; 0 is none.
pub type SeatNo = u32;
/// The number of a proposal; 0 is none.
pub type ProposalNo = u16;
/// The number of a roster.
pub type RosterNo = u16;
/// The number of what lies on a disk beyond a chain; 0 is nothing.
pub type KeptNo = u32;

/// The set of one.
pub fn only(who: Who) -> People {
    1 << who
}

/// Who is in a set.
pub fn each(people: People) -> impl Iterator<Item = Who> {
    (0..8).filter(move |who| people & only(*who) != 0)
}

/// What the environment looks up about a seat.
#[derive(Debug)]
pub struct SeatFacts {
    pub seat: Seat,
    pub head: RosterNo,
    /// The rosters of its chain, oldest first.
    pub chain: Vec<RosterNo>,
    pub members: People,
    pub left: People,
    pub live: Option<ProposalNo>,
    /// What it has answered over its current roster.
    pub answered: Vec<ProposalNo>,
    /// What it knows to be refused over it.
    pub refused: Vec<ProposalNo>,
    /// Whether others seem to have gone on.
    pub doubtful: bool,
}

impl SeatFacts {
    /// Whether a no to this would change anything: the living yes is for it, or it was not answered. A yes that a later one
    /// passed over is dead already.
    pub fn waits_for_a_no(&self, proposal: ProposalNo) -> bool {
        let unanswered = !self.answered.contains(&proposal) && !self.refused.contains(&proposal);
        unanswered || self.live == Some(proposal)
    }
}

/// What the environment looks up about a proposal.
#[derive(Debug)]
pub struct ProposalFacts {
    pub proposal: Proposal,
    /// The roster it names.
    pub over: RosterNo,
    /// The newcomer who knocks.
    pub knocks: Option<Who>,
    /// Who would be dropped.
    pub dropped: People,
    pub why: Option<DropReason>,
    pub nonce: u32,
}

/// What the environment looks up about a roster.
#[derive(Debug)]
pub struct RosterFacts {
    pub roster: Roster,
    pub members: People,
}

/// All that has a number, and all that was answered.
#[derive(Debug)]
pub struct Book {
    pub bug: Option<Bug>,
    /// Whether states that behave alike are one (`merging.rs`).
    pub merges: bool,
    /// Whether what somebody answered over rosters that they have passed is read off the pool: not when programs restart, of which
    /// that is one thing to be checked.
    pub passed_by_pool: bool,
    genesis: Verified<Genesis>,
    seats: Shelf<SeatFacts>,
    proposals: Shelf<ProposalFacts>,
    rosters: Shelf<RosterFacts>,
    kept: Shelf<Vec<Heard>>,
    outcomes: Shelf<Outcome>,
    /// Under which number the outcome lies; 0 when the input changes nothing at that seat.
    answers: Memory<(SeatNo, Input), u32>,
    entrances: Memory<(ProposalNo, RosterNo), Option<SeatNo>>,
    without: Memory<(SeatNo, ProposalNo), SeatNo>,
}

impl Book {
    /// An empty one, over the room that person 0 founds.
    pub fn new(bug: Option<Bug>, setting: &Setting) -> Self {
        let merges = merges(bug, setting);
        let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
        let genesis = Genesis {
            name: "lobby".parse().unwrap(),
            size: 8,
            creator: key_of(0),
            creator_name: "p0".parse().unwrap(),
            nonce: [0; 16],
            settings,
        };
        Book {
            bug,
            merges,
            passed_by_pool: merges && setting.restarts == 0,
            genesis: Verified::sign(genesis, &hand(0)),
            seats: Shelf::new(),
            proposals: Shelf::new(),
            rosters: Shelf::new(),
            kept: Shelf::new(),
            outcomes: Shelf::new(),
            answers: Memory::new(),
            entrances: Memory::new(),
            without: Memory::new(),
        }
    }

    /// The seats of people 0 to `founders` in a room in which each let in the next, as after a restart of everybody.
    pub fn founded_by(&self, founders: Who) -> Vec<SeatNo> {
        let first = first_roster(&self.genesis);
        let mut bases = vec![first.clone()];
        let (mut steps, mut current) = (Vec::new(), first);
        for who in 1..founders {
            let step = self.step(&self.knock(&current, who, 0), who_all(who), &current);
            bases.push(current.clone());
            current = verify_step(&current, &step, self.genesis.size, &Hands).unwrap();
            steps.push(step);
        }
        let seat = |who: Who| {
            let base = bases[usize::from(who)].clone();
            let from = base.epoch as usize;
            let chain = Chain::reopen(self.genesis.clone(), base, steps[from..].to_vec(), &Hands).unwrap();
            self.seat(Seat::new(chain, key_of(who)))
        };
        (0..founders).map(seat).collect()
    }

    /// The number of a seat.
    pub fn seat(&self, seat: Seat) -> SeatNo {
        let seat = if self.merges { tidied(self, seat) } else { seat };
        let key = if self.passed_by_pool { likeness(&seat) } else { wide_hash(&seat) };
        self.seats.number_of(&key, || {
            let chain: Vec<RosterNo> = seat.chain().rosters().map(|roster| self.roster(roster)).collect();
            let keys = |keys: &mut dyn Iterator<Item = p2pchat::identity::PeerId>| -> People {
                keys.fold(0, |set, key| set | only(who_is(&key)))
            };
            let ballots = |wanted: &dyn Fn(&Ballot) -> bool| -> Vec<ProposalNo> {
                let wanted = seat.ballots().iter().filter(|(_, ballot)| wanted(ballot));
                wanted.map(|(_, ballot)| self.proposal(&ballot.proposal)).collect()
            };
            SeatFacts {
                answered: ballots(&|ballot| ballot.answer(&seat.me()).is_some()),
                refused: ballots(&|ballot| ballot.refused().is_some()),
                head: *chain.last().unwrap(),
                chain,
                members: keys(&mut seat.chain().current().members.iter().map(|member| member.key)),
                left: keys(&mut seat.left().keys().copied()),
                doubtful: seat.fate() == Fate::Doubtful,
                live: seat.ballots().live().map(|live| self.proposal(&seat.ballots().get(&live).unwrap().proposal)),
                seat: seat.clone(),
            }
        })
    }

    /// The number of a seat, had it never heard of a proposal.
    pub fn seat_without(&self, number: SeatNo, proposal: ProposalNo) -> SeatNo {
        let key = (number, proposal);
        self.without.get(&key).unwrap_or_else(|| {
            let mut seat = self.seat_facts(number).seat.clone();
            let hash = self.proposal_facts(proposal).proposal.hash();
            seat.ballots_mut().retain(|ballot| ballot.proposal.hash() != hash);
            let without = self.seat(seat);
            self.without.put(key, without);
            without
        })
    }

    /// What is known of a seat.
    pub fn seat_facts(&self, number: SeatNo) -> &SeatFacts {
        self.seats.get(number)
    }

    /// The number of a roster.
    pub fn roster(&self, roster: &Roster) -> RosterNo {
        let facts = || RosterFacts {
            members: roster.members.iter().fold(0, |set, member| set | only(who_is(&member.key))),
            roster: roster.clone(),
        };
        self.rosters.number_of(&roster.hash(), facts) as RosterNo
    }

    /// What is known of a roster.
    pub fn roster_facts(&self, number: RosterNo) -> &RosterFacts {
        self.rosters.get(u32::from(number))
    }

    /// The number of a proposal over a roster that has one.
    pub fn proposal(&self, proposal: &Proposal) -> ProposalNo {
        let over = || self.rosters.known(&proposal.roster()).unwrap() as RosterNo;
        let facts = || match proposal {
            Proposal::Admit(knock) => ProposalFacts {
                proposal: proposal.clone(),
                over: over(),
                knocks: Some(who_is(&knock.unverified().key)),
                dropped: 0,
                why: None,
                nonce: u32::from(knock.unverified().nonce[0]),
            },
            Proposal::Drop(drop) => ProposalFacts {
                proposal: proposal.clone(),
                over: over(),
                knocks: None,
                dropped: drop.dropped.iter().fold(0, |set, key| set | only(who_is(key))),
                why: Some(drop.why),
                nonce: drop.nonce,
            },
        };
        self.proposals.number_of(&proposal.hash(), facts) as ProposalNo
    }

    /// What is known of a proposal.
    pub fn proposal_facts(&self, number: ProposalNo) -> &ProposalFacts {
        self.proposals.get(u32::from(number))
    }

    /// The number of the proposal with this hash, if it has one.
    pub fn proposal_of(&self, hash: &ProposalHash) -> Option<ProposalNo> {
        self.proposals.known(hash).map(|number| number as ProposalNo)
    }

    /// A knock of somebody at a roster.
    pub fn knock_at(&self, roster: RosterNo, who: Who, nonce: u8) -> ProposalNo {
        self.proposal(&self.knock(&self.roster_facts(roster).roster, who, nonce))
    }

    fn knock(&self, roster: &Roster, who: Who, nonce: u8) -> Proposal {
        let knock = Knock {
            room: roster.room,
            roster: roster.hash(),
            key: key_of(who),
            name: format!("p{who}").parse().unwrap(),
            nonce: [nonce; 16],
            expires_unix_s: 2_000_000_000,
        };
        Proposal::Admit(Verified::sign(knock, &hand(who)).into_signed())
    }

    /// The drop by which `by` goes on without everybody else, as it would sign it for itself alone.
    pub fn drop_of_all_but(&self, by: Who, roster: RosterNo, why: DropReason) -> ProposalNo {
        let facts = self.roster_facts(roster);
        let mut dropped: Vec<_> = facts.roster.members.iter().map(|member| member.key).collect();
        dropped.retain(|key| *key != key_of(by));
        dropped.sort();
        let (room, roster) = (facts.roster.room, facts.roster.hash());
        self.proposal(&Proposal::Drop(Drop { room, roster, dropped: dropped.try_into().unwrap(), why, nonce: 0 }))
    }

    /// Who has to sign a proposal when it is taken from this roster.
    pub fn signers(&self, proposal: ProposalNo, at: RosterNo) -> People {
        self.roster_facts(at).members & !self.proposal_facts(proposal).dropped
    }

    /// The consent that somebody signs to a proposal.
    pub fn consent(&self, proposal: &Proposal, by: Who, decision: Decision) -> Verified<Consent> {
        let (room, roster) = (proposal.room(), proposal.roster());
        Verified::sign(Consent { room, roster, proposal: proposal.hash(), by: key_of(by), decision }, &hand(by))
    }

    /// A step as somebody puts it together who has the signatures of these.
    pub fn step(&self, proposal: &Proposal, signed: People, base: &Roster) -> Step {
        let signers = p2pchat::core::consent::roster::signers(base, proposal);
        let signers = signers.iter().map(who_is).filter(|who| signed & only(*who) != 0);
        let sign = |who| self.consent(proposal, who, Decision::Yes).as_signed().signature();
        Step { proposal: proposal.clone(), signatures: Few::first_of(signers.map(sign)) }
    }

    /// The seat that a newcomer takes who is shown the admission by its knock at `base`, signed by all in it.
    pub fn entrance(&self, knock: ProposalNo, base: RosterNo) -> Option<SeatNo> {
        if let Some(known) = self.entrances.get(&(knock, base)) {
            return known;
        }
        let facts = self.proposal_facts(knock);
        let base_facts = self.roster_facts(base);
        let Proposal::Admit(signed) = &facts.proposal else { return None };
        let step = self.step(&facts.proposal, base_facts.members, &base_facts.roster);
        let admission = Admission {
            genesis: self.genesis.as_signed().clone(),
            roster: base_facts.roster.clone(),
            knock: signed.clone(),
            signatures: step.signatures,
        };
        let knocked_at = (signed.unverified().room, signed.unverified().roster);
        self.plant();
        let entered = Chain::enter(&admission, knocked_at, &Hands).ok();
        let seat = entered.map(|chain| self.seat(Seat::new(chain, signed.unverified().key)));
        self.entrances.put((knock, base), seat);
        seat
    }

    /// What the real code answers to an input at a seat; none when it changes nothing.
    pub fn respond(&self, seat: SeatNo, input: Input) -> Option<&Outcome> {
        let number = self.answers.get(&(seat, input)).unwrap_or_else(|| {
            self.plant();
            let outcome = respond(self, &self.seat_facts(seat).seat, &input);
            let changes = outcome.seat != Some(seat) || !outcome.signed.is_empty() || !outcome.kept.is_empty();
            let number = if changes { self.outcomes.number_of(&(seat, input), || outcome) } else { 0 };
            self.answers.put((seat, input), number);
            number
        });
        (number != 0).then(|| self.outcomes.get(number))
    }

    /// The number of what lies on a disk.
    pub fn kept(&self, kept: Vec<Heard>) -> KeptNo {
        if kept.is_empty() { 0 } else { self.kept.number_of(&kept, || kept.clone()) }
    }

    /// The number of what would lie on a disk, had its client never heard of a proposal.
    pub fn kept_without(&self, number: KeptNo, proposal: ProposalNo) -> KeptNo {
        self.kept(self.kept_facts(number).iter().filter(|heard| heard.proposal != proposal).copied().collect())
    }

    /// What lies on a disk.
    pub fn kept_facts(&self, number: KeptNo) -> &[Heard] {
        if number == 0 { &[] } else { self.kept.get(number) }
    }

    /// The same client after a crash: its chain from the disk, what it had signed, and what it was told over its last roster.
    pub fn restarted(&self, seat: &Seat, kept: &[Heard]) -> Seat {
        let chain = seat.chain();
        let steps = chain.steps_after(&chain.base().hash()).unwrap_or_default().to_vec();
        let reopened = Chain::reopen(self.genesis.clone(), chain.base().clone(), steps, &Hands).unwrap();
        let mut seat = Seat::new(reopened, seat.me());
        let recalled = kept.iter().map(|heard| -> (Proposal, Signed<Consent>) {
            let proposal = self.proposal_facts(heard.proposal).proposal.clone();
            let consent = self.consent(&proposal, heard.by, heard.decision).into_signed();
            (proposal, consent)
        });
        seat.recall(recalled.collect(), &Hands as &dyn Scheme);
        seat
    }

    /// How many seats, and how many answers of the real code, were met.
    pub fn size(&self) -> (usize, usize) {
        (self.seats.len(), self.answers.len())
    }

    /// The fault is a thing of the thread, and the checker has several.
    fn plant(&self) {
        p2pchat::planted::plant(self.bug);
    }
}

/// People 0 to `count`.
pub fn who_all(count: Who) -> People {
    ((1u16 << count) - 1) as People
}
