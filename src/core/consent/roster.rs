//! What follows from a roster and a proposal, and what makes it valid: pure functions of signed objects (DESIGN.md §4
//! rules 2 and 3).
//!
//! Everybody calls these: members, newcomers and the rendezvous. Nothing in here asks a clock, and nothing takes the
//! signers from the message: they come from the verifier's own copy of the roster.

use crate::core::event::Misdeed;
use crate::identity::{PeerId, Scheme, Signed, Verified};
use crate::limits::{
    CONSENT_TIMEOUT_S_MAX, CONSENT_TIMEOUT_S_MIN, EPOCH_MAX, GRACE_S_MAX, GRACE_S_MIN, ROOM_SIZE_MAX, ROOM_SIZE_MIN,
};
use crate::planted::{self, Bug};
use crate::wire::{
    Consent, Decision, Few, Genesis, Member, Proposal, ProposalHash, RoomId, Roster, RosterHash, Settings, Step,
};

/// The id of the room that a genesis founds.
pub fn room_id(genesis: &Verified<Genesis>) -> RoomId {
    RoomId(genesis.digest())
}

/// The roster a room begins with: its creator alone.
pub fn first_roster(genesis: &Verified<Genesis>) -> Roster {
    let creator = Member { key: genesis.creator, name: genesis.creator_name.clone() };
    Roster {
        room: room_id(genesis),
        epoch: 0,
        previous: RosterHash([0; 32]),
        members: Few::first_of([creator]),
        cause: ProposalHash(genesis.digest()),
    }
}

/// Whether a size limit and settings are within their bounds.
pub fn settings_are_sound(size: u16, settings: &Settings) -> bool {
    (ROOM_SIZE_MIN..=ROOM_SIZE_MAX).contains(&size)
        && (CONSENT_TIMEOUT_S_MIN..=CONSENT_TIMEOUT_S_MAX).contains(&settings.consent_timeout_s)
        && (u32::from(GRACE_S_MIN)..=GRACE_S_MAX).contains(&settings.grace_s)
}

/// Whether `key` has a seat in `roster`.
pub fn is_member(roster: &Roster, key: &PeerId) -> bool {
    roster.members.iter().any(|member| member.key == *key)
}

/// The seat of `key` in `roster`.
pub fn seat<'r>(roster: &'r Roster, key: &PeerId) -> Option<&'r Member> {
    roster.members.iter().find(|member| member.key == *key)
}

/// Who must sign a proposal: every member of `base` who stays, in its order.
pub fn signers(base: &Roster, proposal: &Proposal) -> Vec<PeerId> {
    let stays = |key: &PeerId| match proposal {
        Proposal::Admit(_) => true,
        Proposal::Drop(drop) => !drop.dropped.contains(key),
    };
    base.members.iter().map(|member| member.key).filter(stays).collect()
}

/// The roster that `proposal` would make of `base`, whether or not anybody consented.
///
/// # Errors
/// [`Misdeed`] when the proposal is not one over exactly this roster: the knock's signature, room or roster is wrong, the
/// newcomer is a member or bears a member's name, the room is full or at the end of its numbers, or the dropped are not an ascending set of members
/// that leaves somebody.
pub fn successor(base: &Roster, proposal: &Proposal, size: u16, scheme: &dyn Scheme) -> Result<Roster, Misdeed> {
    let unbound = planted::is(Bug::UnboundKnock) && matches!(proposal, Proposal::Admit(_));
    if proposal.room() != base.room || proposal.roster() != base.hash() && !unbound || base.epoch >= EPOCH_MAX {
        return Err(Misdeed::WrongRoster);
    }
    let mut members = base.members.to_vec();
    match proposal {
        Proposal::Admit(knock) => {
            let knock = knock.clone().verify(scheme).map_err(|_| Misdeed::BadSignature)?;
            let taken = members.iter().any(|member| member.key == knock.key || member.name == knock.name);
            if taken || members.len() >= usize::from(size.min(ROOM_SIZE_MAX)) {
                return Err(Misdeed::WrongRoster);
            }
            members.push(Member { key: knock.key, name: knock.name.clone() });
        }
        Proposal::Drop(drop) => {
            let ascending = drop.dropped.windows(2).all(|pair| pair[0] < pair[1]);
            let all_members = drop.dropped.iter().all(|key| is_member(base, key));
            if drop.dropped.is_empty() || !ascending || !all_members || drop.dropped.len() >= members.len() {
                return Err(Misdeed::WrongRoster);
            }
            members.retain(|member| !drop.dropped.contains(&member.key));
        }
    }
    Ok(Roster {
        room: base.room,
        epoch: base.epoch + 1,
        previous: if unbound { base.hash() } else { proposal.roster() },
        members: Few::try_from(members).map_err(|_| Misdeed::WrongRoster)?,
        cause: proposal.hash(),
    })
}

/// The consent that `by` would have signed to say yes to `proposal`.
pub fn yes(proposal: &Proposal, by: PeerId) -> Consent {
    Consent { room: proposal.room(), roster: proposal.roster(), proposal: proposal.hash(), by, decision: Decision::Yes }
}

/// The roster that a step makes of `base`, if every member who stays has signed it.
///
/// # Errors
/// [`Misdeed::MissingConsent`] when a signature is missing, surplus or wrong; those of [`successor`].
pub fn verify_step(base: &Roster, step: &Step, size: u16, scheme: &dyn Scheme) -> Result<Roster, Misdeed> {
    let next = successor(base, &step.proposal, size, scheme)?;
    let signers = signers(base, &step.proposal);
    if signers.len() != step.signatures.len() && !planted::is(Bug::VotersFromMessage) {
        return Err(Misdeed::MissingConsent);
    }
    for (by, signature) in signers.into_iter().zip(&step.signatures) {
        Signed::from_parts(yes(&step.proposal, by), *signature).verify(scheme).map_err(|_| Misdeed::MissingConsent)?;
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consent::testing::*;
    use crate::identity::{Ed25519, Signer};
    use crate::wire::{Drop, DropReason};

    #[test]
    fn a_step_with_every_consent_is_valid() {
        let (people, genesis, base) = room_of(3);
        let newcomer = person(9);
        let knock = knock_at(&base, &newcomer, "nina");
        let step = step_signed_by(&knock, &people);
        let next = verify_step(&base, &step, genesis.size, &Ed25519).unwrap();
        assert_eq!((next.epoch, next.members.len()), (base.epoch + 1, 4));
        assert_eq!(next.members.last().unwrap().key, newcomer.id());
        assert_eq!(next.previous, base.hash());
    }

    #[test]
    fn a_missing_swapped_or_surplus_consent_is_refused() {
        let (people, genesis, base) = room_of(3);
        let knock = knock_at(&base, &person(9), "nina");
        let full = step_signed_by(&knock, &people).signatures.into_vec();
        let with = |signatures: Vec<_>| Step { proposal: knock.clone(), signatures: signatures.try_into().unwrap() };
        for wrong in [
            full[..2].to_vec(),
            vec![full[0], full[0], full[0]],
            vec![full[1], full[0], full[2]],
            [full.clone(), vec![full[0]]].concat(),
            vec![],
        ] {
            assert_eq!(verify_step(&base, &with(wrong), genesis.size, &Ed25519), Err(Misdeed::MissingConsent));
        }
    }

    #[test]
    fn consents_to_one_newcomer_admit_no_other() {
        let (people, genesis, base) = room_of(2);
        let knock = knock_at(&base, &person(9), "nina");
        let other = knock_at(&base, &person(8), "nina");
        let swapped = Step { proposal: other, ..step_signed_by(&knock, &people) };
        assert_eq!(verify_step(&base, &swapped, genesis.size, &Ed25519), Err(Misdeed::MissingConsent));
    }

    #[test]
    fn consents_at_one_roster_are_worth_nothing_at_another() {
        let (people, genesis, base) = room_of(2);
        let step = step_signed_by(&knock_at(&base, &person(9), "nina"), &people);
        let next = verify_step(&base, &step, genesis.size, &Ed25519).unwrap();
        assert_eq!(verify_step(&next, &step, genesis.size, &Ed25519), Err(Misdeed::WrongRoster));
    }

    #[test]
    fn nobody_exceeds_the_size_or_takes_a_members_name() {
        let (_, _, base) = room_of(2);
        let knock = knock_at(&base, &person(9), "nina");
        assert_eq!(successor(&base, &knock, 2, &Ed25519), Err(Misdeed::WrongRoster));
        assert!(successor(&base, &knock, 3, &Ed25519).is_ok());
        let namesake = knock_at(&base, &person(9), base.members[0].name.as_str());
        assert_eq!(successor(&base, &namesake, 3, &Ed25519), Err(Misdeed::WrongRoster));
    }

    #[test]
    fn a_drop_needs_only_those_who_stay_and_leaves_somebody() {
        let (people, genesis, base) = room_of(3);
        let drop_of = |mut keys: Vec<PeerId>| {
            keys.sort();
            let dropped = keys.try_into().unwrap();
            Proposal::Drop(Drop { room: base.room, roster: base.hash(), dropped, why: DropReason::Gone, nonce: 0 })
        };
        let gone = people[1].id();
        let step = step_signed_by(&drop_of(vec![gone]), &[&people[0], &people[2]].map(clone));
        assert!(!is_member(&verify_step(&base, &step, genesis.size, &Ed25519).unwrap(), &gone));
        let everybody = drop_of(people.iter().map(Signer::id).collect());
        for wrong in [drop_of(vec![]), everybody, drop_of(vec![person(9).id()])] {
            assert_eq!(successor(&base, &wrong, genesis.size, &Ed25519), Err(Misdeed::WrongRoster));
        }
    }
}
