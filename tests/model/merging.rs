//! States that differ only in what nobody will ever ask are one state. Each thing that is forgotten here, and each choice
//! that `choices.rs` leaves out for it, has its reason beside it; rooms searched `one_by_one` forget and leave out nothing, and
//! must come to the same verdict (`sameness.rs`). Which seats are one stands in `alike.rs`.
//!
//! What looks as if it could be merged and can't: to have whoever has moved on say no at once. It halves the states; but whoever
//! dies or leaves before saying it never does, and how the others get on without it has to be seen.
//!
//! All of it rests on what an honest client keeps: of one proposal it signs a yes or a no, never both, and once.

use p2pchat::planted::Bug;

use crate::book::{Book, People, RosterNo, each, only};
use crate::keyed::Who;
use crate::member::{Input, has};
use crate::world::{Answers, Setting, World};

/// The mark of a knock that everybody knows to be refused.
pub const CLOSED: People = !0;

/// Whether states are merged: not when asked for all of them, nor around somebody who signs both yes and no, nor where a
/// knock counts at rosters that it doesn't name.
pub fn merges(bug: Option<Bug>, setting: &Setting) -> bool {
    !setting.one_by_one && setting.liar.is_none() && bug != Some(Bug::UnboundKnock)
}

/// What is left of a proposal.
enum Rest {
    /// These answers.
    Open(Answers),
    /// It is refused, and everybody knows it who could have signed: it will not be complete and keeps nobody waiting.
    Closed,
    /// Nobody can ask for it.
    Nothing,
}

/// Takes out of a state what plays no part any more.
pub fn forget(book: &Book, world: &mut World) {
    if !book.merges {
        return;
    }
    for answers in std::mem::take(&mut world.pool) {
        match rest(book, world, answers) {
            Rest::Open(answers) => world.pool.push(answers),
            Rest::Nothing => {}
            Rest::Closed => {
                // Seats forget it too. To propose the same drop again, they would give it the next number, and treat it as they
                // treated this one: so it is this one, proposed for the first time. A knock stays closed in the pool, since
                // whoever knocks again makes another.
                for client in world.clients.iter_mut().filter(|client| client.seat != 0) {
                    client.seat = book.seat_without(client.seat, answers.proposal);
                    client.kept = book.kept_without(client.kept, answers.proposal);
                }
                if book.proposal_facts(answers.proposal).knocks.is_some() {
                    world.pool.push(Answers { yes: 0, no: CLOSED, ..answers });
                }
            }
        }
    }
}

fn rest(book: &Book, world: &World, answers: Answers) -> Rest {
    let proposal = book.proposal_facts(answers.proposal);
    if world.is_complete(book, &answers, proposal.over) {
        // It may be adopted, let somebody in, or say how members parted, whenever it comes.
        return Rest::Open(answers);
    }
    if is_over(book, world, proposal.over) {
        // Nobody can sign it any more, so it stays incomplete; nobody waits for it; and nobody knocks there again.
        return Rest::Nothing;
    }
    if answers.no == 0 || answers.no == CLOSED {
        return Rest::Open(answers);
    }
    let signers = book.signers(answers.proposal, proposal.over);
    let open = can_still_count(book, world, &answers, signers);
    if !open && (proposal.knocks.is_some() || is_new_to_all(book, world, &answers, signers)) {
        return Rest::Closed;
    }
    // Seats ask whether a proposal was refused, never by whom: so it is one and the same who refused it. Somebody who didn't say
    // yes is there, since whoever said no did not.
    let first = each(signers & !answers.yes).next();
    Rest::Open(Answers { no: first.map_or(answers.no, only), ..answers })
}

/// Whether a roster is behind everybody: nobody is on it, and nobody can come to it. Chains only grow, and whoever has no
/// seat takes one only in the roster that their own knock made.
fn is_over(book: &Book, world: &World, roster: RosterNo) -> bool {
    let facts = book.roster_facts(roster);
    let made_by = book.proposal_of(&facts.roster.cause).and_then(|cause| book.proposal_facts(cause).knocks);
    world.people().filter(|who| !has(world.dead, *who)).all(|who| match world.head(book, who) {
        Some(head) => head != roster && book.roster_facts(head).roster.epoch >= facts.roster.epoch,
        None => made_by != Some(who),
    })
}

/// Whether anybody could still be bound by a refused proposal: who has signed it, or may yet, without having heard of any no.
/// Whoever has passed over it since, by a yes to a smaller drop, is not.
fn can_still_count(book: &Book, world: &World, answers: &Answers, signers: People) -> bool {
    let over = book.proposal_facts(answers.proposal).over;
    let epoch = book.roster_facts(over).roster.epoch;
    let open = |who: Who| match world.head(book, who) {
        Some(head) if head == over => book.seat_facts(world.client(who).seat).waits_for_a_no(answers.proposal),
        Some(head) => book.roster_facts(head).roster.epoch < epoch,
        None => true,
    };
    each(signers).any(|who| !has(world.dead, who) && open(who))
}

/// Whether whoever has moved on would say no to the next proposal of the same drop as they would to this one: whoever said yes to
/// this one remembers it, and says nothing.
fn is_new_to_all(book: &Book, world: &World, answers: &Answers, signers: People) -> bool {
    let over = book.proposal_facts(answers.proposal).over;
    let moved_on = |who: &Who| world.is_seated(*who) && world.head(book, *who) != Some(over);
    let refuses = |who: Who| {
        let asked = Input::Passed(answers.proposal, has(answers.yes, who));
        book.respond(world.client(who).seat, asked).is_some()
    };
    each(signers).filter(moved_on).all(refuses)
}

/// By whom somebody hears that a proposal was refused, if it was; whoever is named has not said yes.
pub fn refuser(book: &Book, answers: &Answers, over: RosterNo, hears: Who) -> People {
    let signers = book.signers(answers.proposal, over);
    let first = each(signers & !answers.yes & !only(hears)).next().filter(|_| answers.no != 0);
    first.map_or(0, only)
}

/// What somebody makes of all answers to a proposal over the roster that they are on: the yeses and the noes to hear. With one no
/// the yeses say no more; and whoever has no say in a drop asks only whether it is complete.
pub fn heard(book: &Book, answers: &Answers, over: RosterNo, who: Who) -> Option<(People, People)> {
    let signers = book.signers(answers.proposal, over);
    if !book.merges {
        return Some((answers.yes, answers.no));
    }
    if !has(signers, who) {
        return (answers.yes & signers == signers).then_some((answers.yes, 0));
    }
    Some(if answers.no == 0 { (answers.yes, 0) } else { (0, refuser(book, answers, over, who)) })
}

/// Whether a member who has moved on should still say so of a proposal: somebody is there whom it would free, or keep from
/// signing. A second no frees nobody more than the first.
pub fn is_awaited(book: &Book, world: &World, answers: &Answers, over: RosterNo) -> bool {
    let proposal = book.proposal_facts(answers.proposal);
    let signers = book.signers(answers.proposal, over);
    let waits = |who: Who| {
        let signed = has(answers.yes, who) || proposal.knocks.is_none();
        signed && world.is_seated(who) && world.head(book, who) == Some(over)
    };
    answers.no == 0 && each(signers).any(waits)
}
