//! People, rooms and steps for the tests of everything that stands on consent.

use super::roster::{first_roster, verify_step, yes};
use crate::identity::{Ed25519, Identity, Signer, Verified};
use crate::wire::{Genesis, Knock, Proposal, Roster, Settings, Step};

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
