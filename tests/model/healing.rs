//! What becomes of a room once the adversary stops: all links heal, the pool is open to everybody, and every client acts by
//! itself until nothing changes any more. "In the end" is judged there, in every state.

use p2pchat::wire::Decision;

use crate::book::{Book, People, ProposalNo, RosterNo, each, only};
use crate::choices::rosters;
use crate::keyed::Who;
use crate::member::{Input, has, refusal};
use crate::merging::{CLOSED, heard};
use crate::shelf::{Memory, hash_of};
use crate::world::{Answers, Setting, World};

/// Rounds after which clients that still do something will for ever.
const ROUNDS_MAX: usize = 64;

/// Times that everybody outside knocks before they are taken to be kept out.
const TRIES_MAX: usize = 16;

/// What users say to knocks while a room heals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Users {
    /// Nothing: every knock runs out.
    Silent,
    /// Yes to everybody, and what can't be signed runs out.
    Willing,
}

/// What is judged where a state heals to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it comes to rest, and whoever lives is where those are whom they list.
    pub agrees: bool,
    /// Whether everybody gets into one room then, if everybody wants it.
    pub meets: bool,
}

/// Verdicts by states on the way to rest. Each round follows from the state before it, so all who come by have one future;
/// and most states of a search are few rounds from one that was judged.
pub type Verdicts = Memory<u64, Verdict>;

/// What becomes of a state while no user does anything; `released` when everything that a liar could have signed comes out.
pub fn verdict(book: &Book, setting: &Setting, verdicts: &Verdicts, world: &World, released: bool) -> Verdict {
    let setting = &Setting { restarts: 0, ..*setting };
    let mut world = at_peace(setting, world);
    if released {
        world.pool = world.pool(setting);
    }
    let mut trail = Vec::new();
    let verdict = loop {
        let key = hash_of(&world);
        if let Some(known) = verdicts.get(&key) {
            break known;
        }
        trail.push(key);
        if !settles_on(book, setting, &mut world, Users::Silent) {
            let agrees = agrees(book, setting, &world);
            break Verdict { agrees, meets: setting.liar.is_some() || meets(book, setting, &world) };
        }
        if trail.len() > ROUNDS_MAX {
            break Verdict { agrees: false, meets: false };
        }
    };
    trail.into_iter().for_each(|key| verdicts.put(key, verdict));
    verdict
}

/// The state without what plays no part in healing: what may still happen, what happened to whom by whose fault, and
/// what is on disks that nobody will read.
fn at_peace(setting: &Setting, world: &World) -> World {
    let mut world = world.clone();
    (world.cut, world.cuts, world.deaths, world.restarts) = (0, 0, 0, 0);
    (world.faultless, world.displaced) = (false, false);
    // Only whether anybody has wished to go is asked.
    world.leaves = if world.leaves < setting.leaves { 0 } else { setting.leaves };
    for client in &mut world.clients {
        (client.knocks, client.kept) = (0, 0);
    }
    world
}

/// Whether everybody who lives gets into one room in the end, if everybody wants it: from a room that has healed.
fn meets(book: &Book, setting: &Setting, healed: &World) -> bool {
    let mut world = healed.clone();
    let living: Vec<Who> = world.people().filter(|who| !has(world.dead, *who) && setting.liar != Some(*who)).collect();
    for _ in 0..TRIES_MAX {
        let Some((host, members)) = host(book, &world, &living) else {
            // Only those who wanted to go may leave nothing behind.
            return world.leaves < setting.leaves;
        };
        let together = |who: &Who| world.is_seated(*who) && book.seat_facts(world.client(*who).seat).head == host;
        if living.iter().all(together) {
            return members == living.iter().fold(0, |set, who| set | only(*who));
        }
        for who in &living {
            if !world.is_seated(*who) {
                let knock = world.client(*who).knock;
                let waits = knock != 0 && book.proposal_facts(knock).over == host && !is_refused(&world, knock);
                if !waits && !has(members, *who) {
                    world.knock(book, *who, host);
                }
            } else if !has(members, *who) {
                // Two halves that both grew leave it to people which of them goes.
                world.give(book, setting, *who, Input::Leave);
            }
        }
        if !settle(book, setting, &mut world, Users::Willing) {
            return false;
        }
    }
    false
}

fn is_refused(world: &World, knock: ProposalNo) -> bool {
    world.answers(knock).no != 0
}

/// The room that the rendezvous shows: more members, then the most senior.
fn host(book: &Book, world: &World, living: &[Who]) -> Option<(RosterNo, People)> {
    let heads = living.iter().filter(|who| world.is_seated(**who)).map(|who| {
        let facts = book.seat_facts(world.client(*who).seat);
        (facts.head, facts.members)
    });
    heads.max_by_key(|(_, members)| (members.count_ones(), std::cmp::Reverse(members.trailing_zeros())))
}

fn settle(book: &Book, setting: &Setting, world: &mut World, users: Users) -> bool {
    (0..ROUNDS_MAX).any(|_| !settles_on(book, setting, world, users))
}

/// One round of everybody; `false` when nothing happens any more.
fn settles_on(book: &Book, setting: &Setting, world: &mut World, users: Users) -> bool {
    // Links and answers take moments, a knock a minute to run out, and a grace is longer than that.
    round(book, setting, world, users == Users::Willing)
        || expire(book, setting, world)
        || part(book, setting, world)
        || look(book, setting, world)
}

/// Everybody hears everything and acts on it, once.
fn round(book: &Book, setting: &Setting, world: &mut World, willing: bool) -> bool {
    let before = world.clone();
    let living: Vec<Who> = world.people().filter(|who| !has(world.dead, *who) && setting.liar != Some(*who)).collect();
    for who in &living {
        if !world.is_seated(*who) {
            enter(book, world, *who);
        }
    }
    for who in living {
        hear_all(book, setting, world, who);
        for from in world.people() {
            if world.tells_head(book, from, who) {
                let head = book.seat_facts(world.client(from).seat).head;
                world.give(book, setting, who, Input::Head(from, head));
            } else if from != who && world.is_seated(from) && world.is_seated(who) && !has(world.dead, from) {
                let head = book.seat_facts(world.client(from).seat).head;
                world.give(book, setting, who, Input::OtherHead(from, head));
            }
        }
        if willing && world.is_seated(who) {
            answer(book, setting, world, who, Decision::Yes);
        }
        if world.is_seated(who) {
            let reachable = world.reachable(book, who);
            world.give(book, setting, who, Input::Weigh { lapsed: 0, reachable });
        }
    }
    *world != before
}

/// Whoever wonders whether others have gone on asks an honest rendezvous, one after the other. It shows what it hosts.
fn look(book: &Book, setting: &Setting, world: &mut World) -> bool {
    let before = world.clone();
    let living: Vec<Who> = world.people().filter(|who| !has(world.dead, *who) && setting.liar != Some(*who)).collect();
    for who in &living {
        if world.is_seated(*who) && book.seat_facts(world.client(*who).seat).doubtful {
            let ours = book.seat_facts(world.client(*who).seat).chain.clone();
            let there = host(book, world, &living).is_some_and(|(host, _)| !ours.contains(&host));
            world.give(book, setting, *who, Input::Shown(there));
        }
    }
    *world != before
}

/// The grace of everybody who is out of reach is over.
fn part(book: &Book, setting: &Setting, world: &mut World) -> bool {
    let before = world.clone();
    for who in world.people().filter(|who| setting.liar != Some(*who)) {
        if world.is_seated(who) {
            let (lapsed, reachable) = (world.unreachable(book, who), world.reachable(book, who));
            world.give(book, setting, who, Input::Weigh { lapsed, reachable });
        }
    }
    *world != before
}

fn enter(book: &Book, world: &mut World, who: Who) {
    let unbound = book.bug == Some(p2pchat::planted::Bug::UnboundKnock);
    // The newest first: by that one they enter.
    for answers in world.pool.clone().into_iter().rev() {
        let proposal = book.proposal_facts(answers.proposal);
        if proposal.knocks == Some(who) {
            let bases = if unbound { rosters(book, world) } else { vec![proposal.over] };
            for base in bases {
                if world.is_complete(book, &answers, base) {
                    world.admit(book, who, answers.proposal, base);
                }
            }
        }
    }
}

fn hear_all(book: &Book, setting: &Setting, world: &mut World, who: Who) {
    for answers in open(book, world) {
        if !world.is_seated(who) {
            return;
        }
        let facts = book.seat_facts(world.client(who).seat);
        let over = book.proposal_facts(answers.proposal).over;
        if over == facts.head {
            if let Some((yes, no)) = heard(book, &answers, over, who) {
                world.give(book, setting, who, Input::Hear(answers.proposal, yes, no));
            }
            // Whoever heard a liar's no first takes the yes from those who went ahead: they tell the whole step.
            let waits = world.is_seated(who) && book.seat_facts(world.client(who).seat).head == over;
            if waits && world.is_complete(book, &answers, over) {
                world.give(book, setting, who, Input::Step(answers.proposal, over));
            }
        } else if facts.chain.contains(&over) {
            if world.is_complete(book, &answers, over) {
                world.give(book, setting, who, Input::Step(answers.proposal, over));
            }
            if world.is_seated(who) {
                world.give(book, setting, who, Input::Passed(answers.proposal, has(answers.yes, who)));
            }
        }
    }
}

/// What is not refused to everybody's knowledge.
fn open(book: &Book, world: &World) -> Vec<Answers> {
    world.pool.iter().filter(|answers| !book.merges || answers.no != CLOSED).copied().collect()
}

fn expire(book: &Book, setting: &Setting, world: &mut World) -> bool {
    let before = world.clone();
    for who in world.people().filter(|who| setting.liar != Some(*who)) {
        if world.is_seated(who) {
            answer(book, setting, world, who, Decision::Silent);
        }
    }
    *world != before
}

/// Answers all that a user is asked, as far as the rules allow.
fn answer(book: &Book, setting: &Setting, world: &mut World, who: Who, decision: Decision) {
    for answers in open(book, world) {
        if !world.is_seated(who) {
            return;
        }
        let proposal = book.proposal_facts(answers.proposal);
        let facts = book.seat_facts(world.client(who).seat);
        let is_asked =
            proposal.knocks.is_some_and(|newcomer| !has(facts.members, newcomer)) && proposal.over == facts.head;
        if is_asked && !facts.answered.contains(&answers.proposal) {
            debug_assert_eq!(refusal(&proposal.proposal), Decision::Silent);
            world.give(book, setting, who, Input::Answer(answers.proposal, decision));
        }
    }
}

/// Whether nobody who lives lists somebody who lives and is elsewhere, or nowhere.
fn agrees(book: &Book, setting: &Setting, world: &World) -> bool {
    let head = |who: Who| world.is_seated(who).then(|| book.seat_facts(world.client(who).seat).head);
    let honest = |who: &Who| setting.liar != Some(*who) && !has(world.dead, *who);
    world.people().filter(honest).all(|one| {
        let others = each(world.members(book, one) & !only(one));
        others.filter(honest).all(|other| head(other) == head(one))
    })
}
