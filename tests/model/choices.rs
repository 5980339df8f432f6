//! What may happen next: every choice of the users, the clocks, the network and the hostile rendezvous.
//!
//! Deliveries are made when they can matter: a yes only completes, so all yeses to a proposal arrive with the last, or with
//! the moment at which somebody looks who has signed; a no arrives alone. `one_by_one` delivers each answer by itself and
//! finds the same (`main.rs` runs both on a small room).

use p2pchat::wire::{Decision, DropReason};

use crate::book::{Book, People, ProposalNo, RosterNo, each, only};
use crate::keyed::Who;
use crate::member::{Input, has, refusal};
use crate::merging::{CLOSED, forget, is_awaited, refuser};
use crate::world::{Answers, Setting, World};

/// One choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Choice {
    /// A member is told something, or does something.
    Give(Who, Input),
    /// A member hears something and then looks who is out of reach, and who is reached.
    HearAndWeigh(Who, Input, People, People),
    /// Somebody without a seat knocks at a roster.
    Knock(Who, RosterNo),
    /// A newcomer is shown an admission.
    Admit(Who, ProposalNo, RosterNo),
    /// Somebody leaves.
    Leave(Who),
    /// A program starts again.
    Restart(Who),
    /// Somebody is gone for good.
    Die(Who),
    /// Somebody is cut off from direct links.
    Cut(Who),
    /// Who was cut off has links again.
    Mend,
}

/// Every choice in a state.
pub fn choices(book: &Book, setting: &Setting, world: &World, out: &mut Vec<Choice>) {
    for who in world.people().filter(|who| !has(world.dead, *who) && setting.liar != Some(*who)) {
        if world.is_seated(who) {
            of_member(book, setting, world, who, out);
        } else {
            of_newcomer(book, setting, world, who, out);
        }
    }
    if let Some(liar) = setting.liar {
        of_liar(book, world, liar, out);
    }
    for who in world.people().filter(|who| world.is_seated(*who)) {
        if world.cuts > 0 && world.cut == 0 {
            out.push(Choice::Cut(who));
        }
    }
    if world.cut != 0 {
        out.push(Choice::Mend);
    }
}

fn of_member(book: &Book, setting: &Setting, world: &World, who: Who, out: &mut Vec<Choice>) {
    let facts = book.seat_facts(world.client(who).seat);
    let grows = book.roster_facts(facts.head).roster.epoch < u64::from(setting.founders) - 1 + setting.depth;
    let unbound = book.bug == Some(p2pchat::planted::Bug::UnboundKnock);
    for answers in &world.pool(setting) {
        let proposal = book.proposal_facts(answers.proposal);
        let here = proposal.over == facts.head || unbound && proposal.knocks.is_some();
        if here && answers.no == CLOSED && book.merges {
            continue;
        }
        if here {
            on_open(book, setting, world, who, answers, grows, out);
        } else if facts.chain.contains(&proposal.over) {
            if world.is_complete(book, answers, proposal.over) {
                out.push(Choice::Give(who, Input::Step(answers.proposal, proposal.over)));
            }
            // Only somebody who is still there can be freed by it.
            let waits =
                |other: Who| world.is_seated(other) && book.seat_facts(world.client(other).seat).head == proposal.over;
            let awaited = !book.merges || is_awaited(book, world, answers, proposal.over);
            if awaited && world.people().any(waits) {
                out.push(Choice::Give(who, Input::Passed(answers.proposal, has(answers.yes, who))));
            }
        }
    }
    for from in each(facts.members).filter(|from| world.tells_head(book, *from, who)) {
        let head = book.seat_facts(world.client(from).seat).head;
        out.push(Choice::Give(who, Input::Head(from, head)));
    }
    if grows {
        weighings(book, setting, world, who, out);
    }
    if setting.only.is_some_and(|only| only != who) {
        return;
    }
    if world.leaves > 0 {
        out.push(Choice::Leave(who));
    }
    if world.restarts > 0 {
        out.push(Choice::Restart(who));
    }
    if world.deaths > 0 {
        out.push(Choice::Die(who));
    }
}

fn on_open(
    book: &Book,
    setting: &Setting,
    world: &World,
    who: Who,
    answers: &Answers,
    grows: bool,
    out: &mut Vec<Choice>,
) {
    let facts = book.seat_facts(world.client(who).seat);
    let number = answers.proposal;
    let proposal = book.proposal_facts(number);
    let signers = book.signers(number, facts.head);
    let unanswered = has(signers, who) && !facts.answered.contains(&number);
    // Somebody else's no is enough.
    let refusable = answers.no == 0 || !book.merges;
    if let Some(newcomer) = proposal.knocks {
        if unanswered && grows && !has(facts.members, newcomer) {
            out.push(Choice::Give(who, Input::Answer(number, Decision::Yes)));
            if refusable {
                out.push(Choice::Give(who, Input::Answer(number, refusal(&proposal.proposal))));
            }
        }
    } else if unanswered && refusable && World::is_of_the_gone(book, number) {
        // It is heard, and refused when somebody named in it is reached.
        let reachable = world.reachable(book, who);
        let hear = Input::Hear(number, answers.yes, 0);
        out.push(Choice::HearAndWeigh(who, hear, 0, reachable));
        if let Some(liar) = setting.liar.filter(|liar| has(facts.members, *liar)) {
            out.push(Choice::HearAndWeigh(who, hear, 0, reachable | only(liar)));
        }
    }
    let step = world.is_complete(book, answers, facts.head);
    if step && grows {
        if setting.one_by_one {
            out.push(Choice::Give(who, Input::Step(number, facts.head)));
        } else {
            out.push(Choice::Give(who, Input::Hear(number, answers.yes, 0)));
            out.push(Choice::Give(who, Input::Step(number, facts.head)));
        }
    }
    // A no frees whom their yes binds, and keeps others from signing what is refused anyway.
    if !book.merges {
        let counts = setting.one_by_one || has(answers.yes, who) || proposal.knocks.is_none();
        let noes = each(answers.no & !only(who)).filter(|_| counts);
        out.extend(noes.map(|by| Choice::Give(who, Input::Hear(number, 0, only(by)))));
    } else if has(signers, who) && facts.waits_for_a_no(number) && !(unanswered && proposal.knocks.is_some()) {
        // By whom does not matter, nor does a second.
        let by = refuser(book, answers, facts.head, who);
        if by != 0 {
            out.push(Choice::Give(who, Input::Hear(number, 0, by)));
        }
    }
    if setting.one_by_one {
        out.push(Choice::Give(who, Input::Hear(number, 0, 0)));
        for by in each(answers.yes & !only(who)) {
            out.push(Choice::Give(who, Input::Hear(number, only(by), 0)));
        }
    }
}

/// Each set of people that may be out of reach for the whole grace, as this member sees it.
fn weighings(book: &Book, setting: &Setting, world: &World, who: Who, out: &mut Vec<Choice>) {
    let facts = book.seat_facts(world.client(who).seat);
    if facts.doubtful {
        // The rendezvous may say what it likes.
        out.extend([true, false].map(|there| Choice::Give(who, Input::Shown(there))));
    }
    let unreachable = world.unreachable(book, who);
    let reachable = world.reachable(book, who);
    // Every subset, the empty one among them when somebody has left.
    let mut lapsed = unreachable;
    loop {
        if lapsed != 0 || facts.left != 0 {
            out.push(Choice::Give(who, Input::Weigh { lapsed, reachable }));
            if let Some(live) = &facts.live {
                let signed = (world.answers(*live).yes | setting.liar.map_or(0, only)) & !lapsed;
                out.push(Choice::HearAndWeigh(who, Input::Hear(*live, signed, 0), lapsed, reachable));
            }
        }
        if lapsed == 0 {
            break;
        }
        lapsed = (lapsed - 1) & unreachable;
    }
}

fn of_newcomer(book: &Book, setting: &Setting, world: &World, who: Who, out: &mut Vec<Choice>) {
    let client = world.client(who);
    if client.knocks > 0 {
        for roster in heads(book, world) {
            if !has(book.roster_facts(roster).members, who) {
                out.push(Choice::Knock(who, roster));
            }
        }
    }
    let unbound = book.bug == Some(p2pchat::planted::Bug::UnboundKnock);
    for answers in &world.pool(setting) {
        let proposal = book.proposal_facts(answers.proposal);
        if proposal.knocks != Some(who) {
            continue;
        }
        let bases = if unbound { rosters(book, world) } else { vec![proposal.over] };
        for base in bases {
            if world.is_complete(book, answers, base) {
                out.push(Choice::Admit(who, answers.proposal, base));
            }
        }
    }
}

/// What a key can do whose client keeps no rule, beyond answering yes and no to everything: knock, sign that it goes on
/// alone, for whatever reason, from any roster it was on, and say that it is on a roster of its own.
fn of_liar(book: &Book, world: &World, liar: Who, out: &mut Vec<Choice>) {
    if world.client(liar).knocks > 0 {
        for roster in heads(book, world) {
            if !has(book.roster_facts(roster).members, liar) {
                out.push(Choice::Knock(liar, roster));
            }
        }
    }
    for who in world.people().filter(|who| world.is_seated(*who)) {
        let facts = book.seat_facts(world.client(who).seat);
        if has(facts.members, liar) {
            out.push(Choice::Give(who, Input::Head(liar, 0)));
        }
        for roster in facts.chain.iter().filter(|roster| has(book.roster_facts(**roster).members, liar)) {
            for why in [DropReason::Gone, DropReason::Leave, DropReason::Removal] {
                if book.roster_facts(*roster).members != only(liar) {
                    let alone = book.drop_of_all_but(liar, *roster, why);
                    out.push(Choice::Give(who, Input::Step(alone, *roster)));
                }
            }
        }
    }
}

/// Every roster that somebody is on: any of them may be shown to somebody who asks. One that everybody has passed gets no
/// signature any more.
fn heads(book: &Book, world: &World) -> Vec<RosterNo> {
    let seated = world.people().filter(|who| world.client(*who).seat != 0);
    let mut heads: Vec<RosterNo> = seated.map(|who| book.seat_facts(world.client(who).seat).head).collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}

/// Every roster that somebody has been on.
pub fn rosters(book: &Book, world: &World) -> Vec<RosterNo> {
    let seated = world.people().filter(|who| world.client(*who).seat != 0);
    let mut rosters: Vec<RosterNo> =
        seated.flat_map(|who| book.seat_facts(world.client(who).seat).chain.clone()).collect();
    rosters.sort_unstable();
    rosters.dedup();
    rosters
}

/// The state after a choice; none when it changes nothing.
pub fn choose(book: &Book, setting: &Setting, before: &World, choice: Choice) -> Option<World> {
    if let Choice::Give(who, input) = choice {
        // Most of what is told is known: that needs no copy of the world.
        book.respond(before.client(who).seat, input)?;
    }
    let mut world = before.clone();
    let changed = match choice {
        // A look around after which nobody signs anything has only opened a ballot that nobody else knows of.
        Choice::Give(who, input @ Input::Weigh { .. }) => {
            world.give(book, setting, who, input) && proposes_once(book, before, &world)
        }
        Choice::Give(who, input) => world.give(book, setting, who, input),
        Choice::HearAndWeigh(who, hear, lapsed, reachable) => {
            world.give(book, setting, who, hear);
            let weighs = world.is_seated(who);
            weighs
                && world.give(book, setting, who, Input::Weigh { lapsed, reachable })
                && proposes_once(book, before, &world)
        }
        Choice::Knock(who, roster) => {
            world.knock(book, who, roster);
            world.client_mut(who).knocks -= 1;
            true
        }
        Choice::Admit(who, knock, base) => world.admit(book, who, knock, base),
        Choice::Leave(who) => {
            world.leaves -= 1;
            world.faultless = false;
            world.give(book, setting, who, Input::Leave)
        }
        Choice::Restart(who) => world.restart(book, setting, who),
        Choice::Die(who) => {
            world.deaths -= 1;
            world.faultless = false;
            world.die(book, setting, who);
            true
        }
        Choice::Cut(who) => {
            world.cuts -= 1;
            world.faultless = false;
            world.cut |= only(who);
            true
        }
        Choice::Mend => {
            world.cut = 0;
            true
        }
    };
    forget(book, &mut world);
    (changed && world != *before).then_some(world)
}

/// Whether somebody has signed something new, and no drop that was refused before: those who argue on for ever do so only
/// in healing, where it shows.
fn proposes_once(book: &Book, before: &World, after: &World) -> bool {
    let known = |answers: &&Answers| before.answers(answers.proposal) == **answers;
    let mut new = after.pool.iter().filter(|answers| !known(answers)).peekable();
    new.peek().is_some()
        && new.all(|answers| {
            book.proposal_facts(answers.proposal).knocks.is_some() || book.proposal_facts(answers.proposal).nonce == 0
        })
}
