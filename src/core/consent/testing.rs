//! People, rooms and steps for the tests of everything that stands on consent.

use super::roster::{first_roster, verify_step, yes};
use crate::core::io::{KeptRoom, StepNote};
use crate::identity::{Ed25519, Identity, Signer, Verified};
use crate::wire::{Drop, DropReason, Few, Genesis, Knock, Proposal, Roster, Settings, Step};

/// The person with this number.
pub(crate) fn person(number: u8) -> Identity {
    Identity::from_seed(&[number; 32])
}

/// The same person once more.
pub(crate) fn clone(identity: &Identity) -> Identity {
    Identity::from_seed(&identity.seed())
}

/// A room "lobby" of people 1 to `size`, called p1, p2 and so on, everybody let in by everybody.
pub(crate) fn room_of(size: u8) -> (Vec<Identity>, Verified<Genesis>, Roster) {
    let mut people = vec![person(1)];
    let genesis = Verified::sign(
        Genesis {
            name: "lobby".parse().unwrap(),
            size: 8,
            creator: people[0].id(),
            creator_name: "p1".parse().unwrap(),
            nonce: [1; 16],
            settings: Settings { consent_timeout_s: 60, grace_s: 120 },
        },
        &people[0],
    );
    let mut roster = first_roster(&genesis);
    for number in 2..=size {
        let knock = knock_at(&roster, &person(number), &format!("p{number}"));
        roster = verify_step(&roster, &step_signed_by(&knock, &people), genesis.size, &Ed25519).unwrap();
        people.push(person(number));
    }
    (people, genesis, roster)
}

/// A knock of `newcomer` at `roster`.
pub(crate) fn knock_at(roster: &Roster, newcomer: &Identity, name: &str) -> Proposal {
    let knock = Knock {
        room: roster.room,
        roster: roster.hash(),
        key: newcomer.id(),
        name: name.parse().unwrap(),
        nonce: [7; 16],
        expires_unix_s: 2_000_000_000,
    };
    Proposal::Admit(Verified::sign(knock, newcomer).into_signed())
}

/// The step of `proposal` with a yes of each of `people`, in this order.
pub(crate) fn step_signed_by(proposal: &Proposal, people: &[Identity]) -> Step {
    let signatures: Vec<_> = people
        .iter()
        .map(|member| Verified::sign(yes(proposal, member.id()), member).as_signed().signature())
        .collect();
    Step { proposal: proposal.clone(), signatures: signatures.try_into().unwrap() }
}

/// What the founder of a room keeps of it: p2, p3 and p4 came in, then p2 was removed.
pub(crate) fn history() -> (KeptRoom, Vec<Identity>) {
    let (mut people, genesis, first) = room_of(1);
    let mut roster = first.clone();
    let mut steps = Vec::new();
    let at_ms = 1_795_226_400_123;
    let mut take = |roster: &mut Roster, step: Step| {
        *roster = verify_step(roster, &step, genesis.size, &Ed25519).unwrap();
        let heard_ms = vec![at_ms; step.signatures.len()];
        steps.push((step, StepNote { at_ms, heard_ms, left: vec![] }));
    };
    for number in 2..=4 {
        let knock = knock_at(&roster, &person(number), &format!("p{number}"));
        take(&mut roster, step_signed_by(&knock, &people));
        people.push(person(number));
    }
    let dropped = Few::first_of([people[1].id()]);
    let drop = Drop { room: roster.room, roster: roster.hash(), dropped, why: DropReason::Removal, nonce: 0 };
    let stay = [clone(&people[0]), clone(&people[2]), clone(&people[3])];
    take(&mut roster, step_signed_by(&Proposal::Drop(drop), &stay));
    let genesis = genesis.as_signed().clone();
    (KeptRoom { genesis, base: first, steps, consents: vec![], head_counter: 0 }, people)
}
