//! Clients that lie: nothing they send moves a room, reaches a member as something it isn't, or tells them anything.

use super::rig::*;
use crate::identity::{Signed, Verified};
use crate::limits::PROPOSALS_OPEN_MAX;
use crate::wire::{Decision, FromServer, KnockEnd, Proposal, RefusalCode, Step, ToServer};

#[test]
fn a_forged_or_borrowed_consent_goes_nowhere() {
    let (mut rig, roster) = Rig::room_of(2);
    let knock = knock(&roster, 9);
    rig.log_in(9);
    rig.say(9, ToServer::Knock(knock.as_signed().clone()));
    let honest = consent(&admit(&knock), 2, Decision::Yes);
    let told = rig.say(1, ToServer::Consent(honest.as_signed().clone()));
    assert_eq!(refusals(&told), [(1, RefusalCode::Invalid)], "a consent comes from its signer");
    let own = consent(&admit(&knock), 9, Decision::Yes);
    assert_eq!(refusals(&rig.say(9, ToServer::Consent(own.into_signed()))), [(9, RefusalCode::NotMember)]);
    let mut flipped = (*consent(&admit(&knock), 2, Decision::No)).clone();
    flipped.decision = Decision::Yes;
    let forged = Signed::from_parts(flipped, consent(&admit(&knock), 2, Decision::No).as_signed().signature());
    assert_eq!(refusals(&rig.say(2, ToServer::Consent(forged))), [(2, RefusalCode::Invalid)]);
}

#[test]
fn replayed_consents_have_no_effect_at_this_or_another_roster() {
    let (mut rig, roster) = Rig::room_of(2);
    let first = knock(&roster, 8);
    rig.log_in_all(&[8, 9]);
    rig.say(8, ToServer::Knock(first.as_signed().clone()));
    rig.say(1, answer(&admit(&first), 1, Decision::Yes));
    assert_eq!(rig.say(1, answer(&admit(&first), 1, Decision::Yes)), [], "said once is said");
    rig.say(2, answer(&admit(&first), 2, Decision::Yes));
    for member in [1, 2] {
        assert_eq!(rig.say(member, answer(&admit(&first), member, Decision::Yes)), []);
        assert!(rig.kept.is_empty());
    }
    let told = rig.say(9, ToServer::Knock(knock(&roster, 9).into_signed()));
    assert_eq!(told, [(9, FromServer::KnockOver((hash_of(&knock(&roster, 9)), KnockEnd::Stale)))]);
}

#[test]
fn a_knock_under_another_key_or_name_is_refused() {
    let (mut rig, roster) = Rig::room_of(1);
    rig.log_in(9);
    let told = rig.say(9, ToServer::Knock(knock(&roster, 8).into_signed()));
    assert_eq!(refusals(&told), [(9, RefusalCode::Invalid)]);
    let mut swapped = (*knock(&roster, 8)).clone();
    swapped.key = key(9);
    swapped.name = "p9".parse().unwrap();
    let swapped = Signed::from_parts(swapped, knock(&roster, 8).as_signed().signature());
    assert_eq!(refusals(&rig.say(9, ToServer::Knock(swapped))), [(9, RefusalCode::Invalid)]);
    let mut renamed = (*knock(&roster, 9)).clone();
    renamed.name = "p1".parse().unwrap();
    let renamed = Verified::sign(renamed, &identity(9)).into_signed();
    assert_eq!(refusals(&rig.say(9, ToServer::Knock(renamed))), [(9, RefusalCode::Invalid)]);
}

#[test]
fn whoever_says_yes_and_no_blocks_the_knock_and_is_seen() {
    let (mut rig, roster) = Rig::room_of(3);
    let knock = knock(&roster, 9);
    rig.log_in(9);
    rig.say(9, ToServer::Knock(knock.as_signed().clone()));
    rig.say(1, answer(&admit(&knock), 1, Decision::Yes));
    let told = rig.say(1, answer(&admit(&knock), 1, Decision::No));
    let mut expected: Vec<_> =
        by_key(vec![2, 3]).into_iter().map(|who| (who, passed_on(&admit(&knock), 1, Decision::No))).collect();
    expected.push((9, FromServer::KnockOver((hash_of(&knock), KnockEnd::Denied))));
    assert_eq!(told, expected);
    rig.say(2, answer(&admit(&knock), 2, Decision::Yes));
    rig.say(3, answer(&admit(&knock), 3, Decision::Yes));
    assert!(rig.kept.is_empty());
}

#[test]
fn a_stranger_that_attaches_proposes_or_reports_is_told_nothing_of_the_members() {
    let (mut rig, roster) = Rig::room_of(3);
    rig.log_in(9);
    let earlier = crate::core::consent::roster::first_roster(&genesis(1, "lobby"));
    for at in [roster.hash(), earlier.hash()] {
        assert_eq!(rig.say(9, attach(roster.room, at)), [(9, roster_is(&roster))]);
    }
    let told = rig.say(9, ToServer::Drop(drop_of(&roster, &[1], 0)));
    assert_eq!(refusals(&told), [(9, RefusalCode::NotMember)]);
    assert_eq!(refusals(&rig.say(9, ToServer::Report((roster.room, key(1))))), [(9, RefusalCode::NotMember)]);
    let addresses = vec![observed(9)].try_into().unwrap();
    let told = rig.say(9, ToServer::Candidates((roster.room, roster.hash(), addresses)));
    assert_eq!(refusals(&told), [(9, RefusalCode::NotMember)]);
    assert_eq!(refusals(&rig.say(9, ToServer::Close(roster.room))), [(9, RefusalCode::NotMember)]);
    assert_eq!(refusals(&rig.say(1, ToServer::Close(roster.room))), [(1, RefusalCode::NotMember)]);
    // And the members go on as if nothing had been.
    let told = rig.say(1, ToServer::Report((roster.room, key(2))));
    let expected: Vec<_> =
        by_key(vec![2, 3]).into_iter().map(|who| (who, FromServer::Reported((roster.room, key(2), key(1))))).collect();
    assert_eq!(told, expected);
    assert_eq!(rig.say(1, ToServer::Report((roster.room, key(2)))), [], "once is enough");
}

#[test]
fn a_step_without_every_consent_moves_nothing() {
    let (mut rig, roster) = Rig::room_of(3);
    rig.log_in(9);
    let proposal = admit(&knock(&roster, 9));
    let full = crate::core::consent::testing::step_signed_by(&proposal, &[1, 2, 3].map(identity));
    let partial = Step { proposal: proposal.clone(), signatures: full.signatures[..2].to_vec().try_into().unwrap() };
    let swapped = Step { proposal: admit(&knock(&roster, 8)), ..full };
    for forged in [partial, swapped] {
        for liar in [9, 1] {
            let told = rig.say(liar, ToServer::Step((roster.room, forged.clone())));
            assert_eq!(refusals(&told), [(liar, RefusalCode::Invalid)]);
            assert!(rig.kept.is_empty());
        }
    }
}

#[test]
fn a_member_that_floods_proposals_crowds_out_only_its_own() {
    let (mut rig, roster) = Rig::room_of(3);
    let fair = drop_of(&roster, &[3], 7);
    rig.say(2, ToServer::Drop(fair.clone()));
    let knock = knock(&roster, 9);
    rig.log_in(9);
    rig.say(9, ToServer::Knock(knock.as_signed().clone()));
    for nonce in 0..3 * PROPOSALS_OPEN_MAX as u32 {
        rig.say(1, ToServer::Drop(drop_of(&roster, &[2], nonce)));
    }
    rig.say(1, answer(&Proposal::Drop(fair.clone()), 1, Decision::Yes));
    rig.say(2, answer(&Proposal::Drop(fair), 2, Decision::Yes));
    assert_eq!(rig.kept.len(), 1, "the honest proposal is still there, and complete");
}
