//! The world around the members: one pool of all that was ever signed, owned by a hostile rendezvous, the links between
//! members, and what people want. A state is numbers of the book.

use p2pchat::wire::{Decision, DropReason};

use crate::book::{Book, KeptNo, People, ProposalNo, RosterNo, SeatNo, each, only};
use crate::keyed::Who;
use crate::member::{Input, has};

/// What may happen in a run, beyond answers and deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Members at the start.
    pub founders: Who,
    /// People who want in.
    pub newcomers: Who,
    /// Knocks that each newcomer, and each who is out again, makes in all.
    pub knocks: u8,
    /// Times that somebody leaves, by the user's wish.
    pub leaves: u8,
    /// Whether members knock again who are out.
    pub returns: bool,
    /// Times that a program stops and starts again.
    pub restarts: u8,
    /// Times that somebody is gone for good.
    pub deaths: u8,
    /// Whether only this one leaves, starts again or dies. What happens once happens to somebody: the searches for each of them
    /// are the search for all, in parts that fit in memory.
    pub only: Option<Who>,
    /// Times that somebody is cut off from everybody's direct links.
    pub cuts: u8,
    /// Rosters that a chain may grow by while exploring.
    pub depth: u64,
    /// Whether every answer is delivered one by one, rather than when it can matter.
    pub one_by_one: bool,
    /// Somebody whose client does anything that its key can.
    pub liar: Option<Who>,
    /// Whether to search on past two drops that follow one roster, as `known.rs` tells that they may once somebody has left or is gone
    /// for good.
    pub may_fork: bool,
}

impl Setting {
    /// Nobody, and nothing.
    pub const QUIET: Setting = Setting {
        founders: 0,
        newcomers: 0,
        knocks: 0,
        leaves: 0,
        returns: true,
        restarts: 0,
        deaths: 0,
        only: None,
        cuts: 0,
        depth: 0,
        one_by_one: false,
        liar: None,
        may_fork: false,
    };
}

/// What was answered to one proposal, by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answers {
    pub proposal: ProposalNo,
    pub yes: People,
    /// A no because the room had moved on is a no: seats tell them apart only to tell their users.
    pub no: People,
}

/// One person's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Client {
    /// Its seat; 0 is none.
    pub seat: SeatNo,
    /// Its newest knock, while it waits; 0 is none.
    pub knock: ProposalNo,
    /// Knocks it may still make.
    pub knocks: u8,
    /// Whose keys its user has approved.
    pub approved: People,
    /// What is on its disk beyond its chain; not followed when no program ever restarts.
    pub kept: KeptNo,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub clients: Vec<Client>,
    /// By proposal, in ascending order.
    pub pool: Vec<Answers>,
    /// Who is cut off from everybody's direct links.
    pub cut: People,
    /// Who is gone for good.
    pub dead: People,
    pub leaves: u8,
    pub restarts: u8,
    pub deaths: u8,
    pub cuts: u8,
    /// Whether everybody kept their links, programs and wishes so far, and nobody was kept from entering.
    pub faultless: bool,
    /// Whether somebody lost a seat although everything was faultless.
    pub displaced: bool,
}

impl World {
    /// Everybody in their places.
    pub fn new(book: &Book, setting: &Setting) -> Self {
        let seats = book.founded_by(setting.founders);
        let all = crate::book::who_all(setting.founders);
        let people = setting.founders + setting.newcomers;
        let honest = |who: Who| setting.liar != Some(who);
        let returns = setting.returns && setting.leaves + setting.cuts > 0;
        let client = |who: Who| Client {
            seat: seats.get(usize::from(who)).copied().filter(|_| honest(who)).unwrap_or(0),
            knocks: if who < setting.founders && !returns { 0 } else { setting.knocks },
            approved: if who < setting.founders { all } else { only(who) },
            ..Client::default()
        };
        World {
            clients: (0..people).map(client).collect(),
            pool: Vec::new(),
            cut: 0,
            dead: 0,
            leaves: setting.leaves,
            restarts: setting.restarts,
            deaths: setting.deaths,
            cuts: setting.cuts,
            faultless: true,
            displaced: false,
        }
    }

    /// Everybody, by number.
    pub fn people(&self) -> impl Iterator<Item = Who> + use<> {
        0..self.clients.len() as Who
    }

    /// Somebody's client.
    pub fn client(&self, who: Who) -> &Client {
        &self.clients[usize::from(who)]
    }

    /// Somebody's client.
    pub fn client_mut(&mut self, who: Who) -> &mut Client {
        &mut self.clients[usize::from(who)]
    }

    /// Whether somebody has a seat and is not gone for good.
    pub fn is_seated(&self, who: Who) -> bool {
        self.client(who).seat != 0 && !has(self.dead, who)
    }

    /// The roster that somebody is on; none without a seat.
    pub fn head(&self, book: &Book, who: Who) -> Option<RosterNo> {
        let seat = self.client(who).seat;
        (seat != 0).then(|| book.seat_facts(seat).head)
    }

    /// Who is in somebody's roster; nobody when they have none.
    pub fn members(&self, book: &Book, who: Who) -> People {
        if self.is_seated(who) { book.seat_facts(self.client(who).seat).members } else { 0 }
    }

    /// What was answered to a proposal.
    pub fn answers(&self, proposal: ProposalNo) -> Answers {
        let none = Answers { proposal, yes: 0, no: 0 };
        self.pool.binary_search_by_key(&proposal, |answers| answers.proposal).map_or(none, |at| self.pool[at])
    }

    /// Puts something signed, or a knock, in the pool.
    pub fn publish(&mut self, proposal: ProposalNo, by: Who, decision: Option<Decision>) {
        let at = match self.pool.binary_search_by_key(&proposal, |answers| answers.proposal) {
            Ok(at) => at,
            Err(at) => {
                self.pool.insert(at, Answers { proposal, yes: 0, no: 0 });
                at
            }
        };
        let answers = &mut self.pool[at];
        match decision {
            None => {}
            Some(Decision::Yes) => answers.yes |= only(by),
            Some(Decision::No | Decision::Silent | Decision::Late) => answers.no |= only(by),
        }
    }

    /// Whether the direct link between two people works: each lists the other, and nothing is between them.
    pub fn is_linked(&self, book: &Book, one: Who, other: Who) -> bool {
        self.same_side(one, other) && has(self.members(book, one), other) && has(self.members(book, other), one)
    }

    fn same_side(&self, one: Who, other: Who) -> bool {
        one != other && !has(self.cut, one) && !has(self.cut, other) && !has(self.dead, one) && !has(self.dead, other)
    }

    /// Whether `to` hears from `from` on which roster they are: a member is told, and so is who was one or was approved.
    pub fn tells_head(&self, book: &Book, from: Who, to: Who) -> bool {
        let seated = self.is_seated(from) && self.is_seated(to) && self.same_side(from, to);
        if !seated || !has(self.members(book, to), from) {
            return false;
        }
        let facts = book.seat_facts(self.client(from).seat);
        let met = facts.chain.iter().any(|roster| has(book.roster_facts(*roster).members, to));
        met || has(self.client(from).approved, to)
    }

    /// Whom somebody reaches: over a link of their own, or over the link of somebody linked.
    pub fn reachable(&self, book: &Book, who: Who) -> People {
        let direct = |from: Who| self.people().filter(move |to| self.is_linked(book, from, *to));
        let near: People = direct(who).fold(0, |set, to| set | only(to));
        let far = each(near).flat_map(direct).fold(0, |set, to| set | only(to));
        (near | far) & self.members(book, who) & !only(who)
    }

    /// Members whom somebody does not reach. Whoever is only some steps behind is on the way: links that nothing is in
    /// the way of bring them the steps long before the grace is over.
    pub fn unreachable(&self, book: &Book, who: Who) -> People {
        let chain = &book.seat_facts(self.client(who).seat).chain;
        let behind = |other: &Who| {
            self.is_seated(*other)
                && self.same_side(who, *other)
                && chain.contains(&book.seat_facts(self.client(*other).seat).head)
        };
        let late = self.people().filter(behind).fold(0, |set, other| set | only(other));
        self.members(book, who) & !only(who) & !self.reachable(book, who) & !late
    }

    /// What was answered to each proposal, and what a liar's key can answer besides.
    pub fn pool(&self, setting: &Setting) -> Vec<Answers> {
        let lies = setting.liar.map_or(0, only);
        let said = |answers: &Answers| Answers { yes: answers.yes | lies, no: answers.no | lies, ..*answers };
        self.pool.iter().map(said).collect()
    }

    /// Hands an input to somebody's seat, and does what follows; `false` when nothing changed at all.
    pub fn give(&mut self, book: &Book, setting: &Setting, who: Who, input: Input) -> bool {
        let answered = match &input {
            Input::Answer(knock, Decision::Yes) => book.proposal_facts(*knock).knocks,
            _ => None,
        };
        // Whoever is kept from links for a whole grace, or from entering, suffers a fault.
        let lies = match (&input, setting.liar) {
            (Input::Hear(proposal, yes, no), Some(liar)) => {
                let said = [(*yes, Decision::Yes), (*no, Decision::No)];
                said.into_iter().filter(|(by, _)| has(*by, liar)).map(|(_, said)| (*proposal, said)).collect()
            }
            (Input::Step(proposal, at), Some(liar)) if has(book.signers(*proposal, *at), liar) => {
                vec![(*proposal, Decision::Yes)]
            }
            _ => Vec::new(),
        };
        let kept_away = matches!(input, Input::Weigh { lapsed, .. } if lapsed != 0);
        let before = self.client(who).seat;
        let Some(outcome) = book.respond(before, input) else { return false };
        diary(
            || format!("    p{who} {input:?}: seat {before} to {:?}, signs {:?}", outcome.seat, outcome.signed),
            outcome.seat != Some(before),
        );
        let after = outcome.seat.unwrap_or(0);
        self.faultless &= !kept_away;
        self.faultless &= self.displaces_nobody(book, who, &outcome.adopted);
        // Nobody reads a disk after the last restart.
        let follows_disk = self.restarts > 0;
        let client = self.client_mut(who);
        client.seat = after;
        if follows_disk {
            let mut kept = if after == 0 { Vec::new() } else { book.kept_facts(client.kept).to_vec() };
            if !outcome.adopted.is_empty() {
                kept.retain(|heard| heard.by == who);
            }
            kept.extend(outcome.kept.iter().filter(|_| after != 0).copied());
            client.kept = book.kept(kept);
        }
        // The yes was signed only if the rules allowed it.
        if let Some(newcomer) = answered.filter(|_| outcome.signed.iter().any(|(_, said)| *said == Decision::Yes)) {
            client.approved |= only(newcomer);
        }
        for (proposal, decision) in &outcome.signed {
            self.publish(*proposal, who, Some(*decision));
        }
        if let Some(liar) = setting.liar {
            // Whoever acted on a liar's signature has it.
            for (proposal, decision) in lies {
                self.publish(proposal, liar, Some(decision));
            }
        }
        if outcome.abandoned && self.faultless {
            self.displaced = true;
        }
        true
    }

    /// Notes whether somebody with a seat was dropped by a step; when it was somebody who had not entered, the rendezvous
    /// is at fault.
    fn displaces_nobody(&mut self, book: &Book, who: Who, adopted: &[RosterNo]) -> bool {
        let mut before = book.seat_facts(self.client(who).seat).members;
        let mut faultless = self.faultless;
        for roster in adopted {
            let after = book.roster_facts(*roster).members;
            for gone in each(before & !after) {
                if self.is_seated(gone) && has(self.members(book, gone), who) {
                    self.displaced |= self.faultless;
                }
                faultless = false;
            }
            before = after;
        }
        faultless
    }

    /// A newcomer asks to enter at a roster that it was shown.
    pub fn knock(&mut self, book: &Book, who: Who, roster: RosterNo) {
        let over_it = |answers: &&Answers| {
            let facts = book.proposal_facts(answers.proposal);
            facts.over == roster && facts.knocks == Some(who)
        };
        let nonce = self.pool.iter().filter(over_it).count() as u8;
        let knock = book.knock_at(roster, who, nonce);
        self.publish(knock, who, None);
        let members = book.roster_facts(roster).members;
        let client = self.client_mut(who);
        client.knock = knock;
        client.approved |= members;
    }

    /// A newcomer is shown an admission by one of its knocks: it enters by its newest, and leaves again by any other.
    /// `false` when nothing changed.
    pub fn admit(&mut self, book: &Book, who: Who, knock: ProposalNo, base: RosterNo) -> bool {
        if self.client(who).seat != 0 {
            return false;
        }
        let Some(seat) = book.entrance(knock, base) else { return false };
        if self.client(who).knock == knock {
            let client = self.client_mut(who);
            (client.seat, client.knock) = (seat, 0);
            client.kept = 0;
            return true;
        }
        let mut changed = false;
        for (leave, decision) in book.respond(seat, Input::Leave).into_iter().flat_map(|outcome| &outcome.signed) {
            changed |= !has(self.answers(*leave).yes, who);
            self.publish(*leave, who, Some(*decision));
        }
        changed
    }

    /// A program stops, and starts again with what is on its disk; `false` when it is as before.
    pub fn restart(&mut self, book: &Book, setting: &Setting, who: Who) -> bool {
        self.restarts -= 1;
        self.faultless = false;
        let kept = self.client(who).kept;
        let changed = self.give(book, setting, who, Input::Restart(kept));
        if self.restarts == 0 {
            self.clients.iter_mut().for_each(|client| client.kept = 0);
        }
        changed
    }

    /// Somebody is gone for good. Where they were is all that is left to ask, and only for whether two rosters follow one.
    pub fn die(&mut self, book: &Book, setting: &Setting, who: Who) {
        self.dead |= only(who);
        let client = self.client_mut(who);
        if book.merges {
            let bare = book.respond(client.seat, Input::Restart(0)).and_then(|outcome| outcome.seat);
            let seat = if setting.may_fork { 0 } else { bare.unwrap_or(client.seat) };
            (client.seat, client.knock, client.knocks, client.kept) = (seat, 0, 0, 0);
        }
    }

    /// Whether everybody has signed a proposal who has to.
    pub fn is_complete(&self, book: &Book, answers: &Answers, at: RosterNo) -> bool {
        let signers = book.signers(answers.proposal, at);
        answers.yes & signers == signers
    }

    /// Whether a drop is one that its signers sign because they can't reach somebody.
    pub fn is_of_the_gone(book: &Book, proposal: ProposalNo) -> bool {
        book.proposal_facts(proposal).why == Some(DropReason::Gone)
    }
}

thread_local! {
    /// Whether what happens is told, for a report.
    pub static DIARY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Tells what happened, while a report is written.
pub fn diary(line: impl FnOnce() -> String, news: bool) {
    if DIARY.get() && news {
        println!("{}", line());
    }
}
