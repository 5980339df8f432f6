//! Seats that differ only in what their rules never read again are one seat (`merging.rs` says when). A seat of the book stands
//! for all that are alike; the real code runs on the one that was met first.

use p2pchat::core::consent::ballots::{Ballot, Ballots};
use p2pchat::core::consent::seat::Seat;
use p2pchat::wire::{Decision, RosterHash};

use crate::book::{Book, ProposalNo};
use crate::keyed::{Hands, Who, who_is};
use crate::shelf::wide_hash;

/// Takes out of a seat's ballots what can't change any answer of the seat.
pub fn tidied(book: &Book, mut seat: Seat) -> Seat {
    let me = seat.me();
    // A drop that nobody has signed is as good as unknown. One that this member has no say in is asked only whether it is complete;
    // when it is, its step was heard already, and can be heard again from the pool.
    seat.ballots_mut().retain(|ballot| {
        ballot.signers.contains(&me) && (ballot.drop().is_none() || ballot.answers().next().is_some())
    });
    let refused = seat.ballots().iter().filter(|(_, ballot)| ballot.refused().is_some());
    let plain: Vec<_> = refused.map(|(hash, ballot)| (*hash, plain_refused(book, &seat, ballot))).collect();
    for (hash, plain) in plain {
        if let (Some(ballot), Some(plain)) = (seat.ballots_mut().get_mut(&hash), plain) {
            *ballot = plain;
        }
    }
    seat
}

/// A refused ballot is never complete: of it a seat asks what it answered itself, whether it is refused, and, unless it answered,
/// whether anybody stands for it. By whom is nothing to it, so it is the first of those who could.
fn plain_refused(book: &Book, seat: &Seat, ballot: &Ballot) -> Option<Ballot> {
    let me = seat.me();
    let others: Vec<Who> = ballot.signers.iter().filter(|by| **by != me).map(who_is).collect();
    let ours = ballot.answer(&me);
    let mut answers: Vec<(Who, Decision)> = ours.iter().map(|said| (who_is(&me), *said)).collect();
    if ours.is_none_or(|said| said == Decision::Yes) {
        answers.push((*others.first()?, crate::member::refusal(&ballot.proposal)));
    }
    if ours.is_none() && ballot.is_stood_for() {
        answers.push((*others.get(1)?, Decision::Yes));
    }
    let mut scratch = Ballots::new(me);
    let chain = seat.chain();
    scratch.open(chain.current(), ballot.proposal.clone(), chain.genesis().size, None, &Hands).ok()?;
    for (by, said) in answers {
        scratch.note(book.consent(&ballot.proposal, by, said)).ok()?;
    }
    scratch.get(&ballot.proposal.hash()).cloned()
}

/// By what seats that are not alike are told apart: by all of a seat but three things. Where others went without us (`branches`) is
/// read only when a step is told from a roster of theirs, and here steps are told only from rosters of one's own chain; rosters of
/// earlier stays (`earlier`) nobody recalls here. What was answered over rosters that were passed (`passed`) is read only to
/// say no there, and that is asked of [`as_the_pool_shows`]; not where programs restart, of which it is one thing to be checked.
pub fn likeness(seat: &Seat) -> u128 {
    // Four things it keeps to itself; only how it prints itself shows them.
    let printed = format!("{seat:?}");
    let from = printed.rfind(", superseded: ").expect("a seat prints what it is");
    let to = printed.rfind(", branches: ").expect("a seat prints what it is");
    let hidden = &printed[from..to];
    assert!(["better_half: ", "is_there: ", "stays: "].iter().all(|name| hidden.contains(name)), "{hidden}");
    wide_hash(&(seat.me(), seat.chain(), seat.ballots(), seat.left(), hidden))
}

/// A seat that knows of the rosters it has passed what their pool shows: that it signed the step by which it went on, and whether it
/// said yes to this. Whoever went on from a roster has signed the step, so that is how the seat itself knows that it passed it; a
/// no is as good as none, since both are answered by a no.
pub fn as_the_pool_shows(book: &Book, seat: &Seat, proposal: ProposalNo, said_yes: bool) -> Seat {
    let me = seat.me();
    let mut bare = Seat::new(seat.chain().clone(), me);
    let proposal = &book.proposal_facts(proposal).proposal;
    let roster: RosterHash = proposal.roster();
    let step = seat.chain().step_after(&roster).map(|step| step.proposal.clone());
    let signed_by_me = |step: &p2pchat::wire::Proposal| {
        let base = seat.chain().roster(&roster);
        base.is_some_and(|base| p2pchat::core::consent::roster::signers(base, step).contains(&me))
    };
    let yeses = step.filter(signed_by_me).into_iter().chain(said_yes.then(|| proposal.clone()));
    let consents = yeses.map(|yes| (yes.clone(), book.consent(&yes, who_is(&me), Decision::Yes).into_signed()));
    bare.recall(consents.collect(), &Hands);
    bare
}
