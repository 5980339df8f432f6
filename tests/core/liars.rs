//! A server, or a member, that lies: nothing it says lets anybody in, moves anybody out, or puts words into a mouth.

use p2pchat::core::event::{Command, Event, KnockRef, Misdeed, Refusal};
use p2pchat::identity::{Signed, Signer as _, Verified};
use p2pchat::wire::{
    Admission, Consent, Decision, Drop, DropReason, FromServer, Knock, PeerMessage, Proposal, ProposalHash, Step,
    ToServer,
};

use crate::world::{World, identity, lobby};

/// A room of p0 and p1, and p2 knocking at it without an answer yet; the knock as the server has it.
fn knocking() -> (World, Signed<Knock>) {
    let mut world = World::with_members(4, 2);
    world.join(2);
    let knock = world.told_server.iter().rev().find_map(|message| match message {
        ToServer::Knock(knock) => Some(knock.clone()),
        _ => None,
    });
    (world, knock.unwrap())
}

/// The admission of p1, which really happened: genesis and roster of the room for whoever wants to forge another.
fn true_admission(world: &World) -> Admission {
    let admitted = world.people[1].served.iter().find_map(|message| match message {
        FromServer::Admitted(admission) => Some(admission.clone()),
        _ => None,
    });
    admitted.unwrap()
}

fn admitted_nobody(world: &mut World) {
    assert!(!world.is_in(2));
    for member in [0, 1] {
        assert_eq!(world.members(member), ["p0", "p1"]);
        assert!(!world.linked(member).contains(&2));
    }
    assert!(world.linked(2).is_empty());
}

#[test]
fn an_admission_without_consents_admits_nobody() {
    let (mut world, knock) = knocking();
    let past = true_admission(&world);
    let forged = Admission {
        genesis: past.genesis.clone(),
        roster: past.roster.clone(),
        knock: knock.clone(),
        signatures: Default::default(),
    };
    world.forge(2, FromServer::Admitted(forged));
    let step = Step { proposal: Proposal::Admit(knock.clone()), signatures: Default::default() };
    for member in [0, 1] {
        world.forge(member, FromServer::Step((knock.unverified().room, step.clone())));
        assert!(world.was_told(member, |event| matches!(
            event,
            Event::Misbehaviour { by: None, what: Misdeed::MissingConsent, .. }
        )));
    }
    assert!(world.was_told(2, |event| matches!(event, Event::Refused { reason: Refusal::Forged, .. })));
    admitted_nobody(&mut world);
}

#[test]
fn one_members_consent_is_not_taken_for_the_others() {
    let (mut world, knock) = knocking();
    world.approve(0, 2);
    let signature = world.told_server.iter().rev().find_map(|message| match message {
        ToServer::Consent(consent) => Some(consent.signature()),
        _ => None,
    });
    let signatures = vec![signature.unwrap(); 2].try_into().unwrap();
    let step = Step { proposal: Proposal::Admit(knock.clone()), signatures };
    world.forge(0, FromServer::Step((knock.unverified().room, step.clone())));
    world.forge(1, FromServer::Step((knock.unverified().room, step)));
    admitted_nobody(&mut world);
}

#[test]
fn a_swapped_newcomer_key_is_worth_nothing() {
    let (mut world, knock) = knocking();
    // The server shows the members its own key under the newcomer's name, and keeps the signature it has.
    let own = Knock { key: identity(9).id(), ..knock.unverified().clone() };
    let swapped = Signed::from_parts(own.clone(), knock.signature());
    for member in [0, 1] {
        world.people[member].events.clear();
        world.forge(member, FromServer::Knock((swapped.clone(), 60_000)));
        assert!(world.last_knock(member).is_none(), "nobody is asked about a knock that its key did not sign");
    }
    // With a signature of its own it is another person, who has another fingerprint and whom nobody has approved.
    let signed = Verified::sign(own, &identity(9));
    let other = ProposalHash(signed.digest());
    world.approve(0, 2);
    world.approve(1, 2);
    for member in [0, 1] {
        world.forge(member, FromServer::Knock((signed.as_signed().clone(), 60_000)));
    }
    assert_ne!(ProposalHash(Verified::sign(knock.unverified().clone(), &identity(2)).digest()), other);
    assert_eq!(world.members(0), ["p0", "p1", "p2"]);
    assert!(world.is_in(2));
}

#[test]
fn a_replayed_consent_or_knock_has_no_second_effect() {
    let (mut world, knock) = knocking();
    world.approve(0, 2);
    world.approve(1, 2);
    let consents: Vec<Signed<Consent>> = world
        .told_server
        .iter()
        .filter_map(|message| match message {
            ToServer::Consent(consent) => Some(consent.clone()),
            _ => None,
        })
        .collect();
    world.leave(2);
    assert_eq!(world.members(0), ["p0", "p1"]);
    for member in [0, 1] {
        world.people[member].events.clear();
        world.forge(member, FromServer::Knock((knock.clone(), 60_000)));
        for consent in &consents {
            world.forge(member, FromServer::Consent(consent.clone()));
        }
        assert!(world.last_knock(member).is_none());
    }
    admitted_nobody(&mut world);
}

#[test]
fn a_consent_forged_in_a_members_name_is_noticed() {
    let (mut world, knock) = knocking();
    let proposal = Proposal::Admit(knock.clone());
    let forged = Consent {
        room: knock.unverified().room,
        roster: knock.unverified().roster,
        proposal: proposal.hash(),
        by: identity(1).id(),
        decision: Decision::Yes,
    };
    let by_another = Verified::sign(Consent { by: identity(9).id(), ..forged.clone() }, &identity(9));
    let forged = Signed::from_parts(forged, by_another.as_signed().signature());
    world.approve(0, 2);
    world.forge(0, FromServer::Consent(forged));
    assert!(world.was_told(0, |event| matches!(event, Event::Misbehaviour { what: Misdeed::BadSignature, .. })));
    admitted_nobody(&mut world);
}

#[test]
fn a_flood_of_forgeries_does_not_fill_the_screen() {
    let (mut world, knock) = knocking();
    let by = identity(1).id();
    for number in 0..200u8 {
        let forged = Consent {
            room: knock.unverified().room,
            roster: knock.unverified().roster,
            proposal: Proposal::Admit(knock.clone()).hash(),
            by,
            decision: Decision::Yes,
        };
        let halves = p2pchat::identity::Signature([number; 32], [1; 32]);
        world.forge(0, FromServer::Consent(Signed::from_parts(forged, halves)));
    }
    let told = world.people[0].events.iter().filter(|event| matches!(event, Event::Misbehaviour { .. })).count();
    assert_eq!(told, p2pchat::limits::BLAMES_PER_MINUTE_MAX);
}

#[test]
fn a_roster_with_a_stranger_in_it_is_refused_by_the_newcomer() {
    let (mut world, _) = knocking();
    world.approve(0, 2);
    // The last consent completes the step; the server adds a listener to the roster it shows.
    let stranger = p2pchat::wire::Member { key: identity(9).id(), name: "mallory".parse().unwrap() };
    world.lie = Some(Box::new(move |_, message| match message {
        FromServer::Admitted(mut admission) => {
            let mut members = admission.roster.members.to_vec();
            members.push(stranger.clone());
            admission.roster.members = members.try_into().unwrap();
            vec![FromServer::Admitted(admission)]
        }
        other => vec![other],
    }));
    world.approve(1, 2);
    assert!(!world.is_in(2));
    assert!(
        world.was_told(2, |event| matches!(event, Event::Misbehaviour { by: None, what: Misdeed::WrongRoster, .. }))
    );
    assert!(world.linked(2).is_empty());
}

#[test]
fn an_introduction_of_a_stranger_is_not_followed() {
    let mut world = World::in_one_room(2);
    world.people.push(crate::world::bystander(7));
    let room = true_admission(&world).roster.room;
    let stranger = world.people[2].id;
    world.forge(0, FromServer::Introduce((room, stranger, vec![crate::world::address(2)].try_into().unwrap())));
    world.pass(10);
    assert_eq!(world.linked(0), [1].into());
}

#[test]
fn a_withholding_server_delays_but_does_not_divide() {
    let mut world = World::with_members(4, 3);
    // From now on p1 hears of no consent from the server.
    let deaf = world.people[1].id;
    world.lie = Some(Box::new(move |to, message| match message {
        FromServer::Consent(_) | FromServer::Step(_) | FromServer::RosterIs(_) if to == deaf => vec![],
        other => vec![other],
    }));
    world.join(3);
    (0..3).for_each(|member| world.approve(member, 3));
    for member in 0..4 {
        assert_eq!(world.members(member), ["p0", "p1", "p2", "p3"], "the members told each other");
    }
}

#[test]
fn a_server_that_claims_another_roster_moves_nobody() {
    let mut world = World::in_one_room(3);
    let room = true_admission(&world).roster.room;
    for member in 0..3 {
        world.forge(member, FromServer::RosterIs((room, p2pchat::wire::RosterHash([9; 32]))));
        world.forge(member, FromServer::Unknown(room));
    }
    world.pass(1);
    for member in 0..3 {
        assert_eq!(world.members(member), ["p0", "p1", "p2"]);
    }
    world.say(0, "as before");
    assert_eq!(world.texts(2), ["as before"]);
}

/// So many knocks of people who don't exist, over the roster of a room.
fn made_up_knocks(world: &World, seeds: std::ops::Range<u8>) -> Vec<Signed<Knock>> {
    let (room, roster) = world.roster(0);
    let knock = |seed: u8| {
        let (newcomer, name) = (identity(seed), format!("n{seed}").parse().unwrap());
        let knock = Knock { room, roster, key: newcomer.id(), name, nonce: [seed; 16], expires_unix_s: 2_000_000_000 };
        Verified::sign(knock, &newcomer).into_signed()
    };
    seeds.map(knock).collect()
}

#[test]
fn a_flood_of_knocks_asks_three_times_a_minute_at_most() {
    let mut world = World::in_one_room(2);
    // That p1 was asked about and let in does not count.
    world.people[0].events.clear();
    for knock in made_up_knocks(&world, 20..60) {
        world.forge(0, FromServer::Knock((knock, 60_000)));
        // The user refuses each at once, which is what makes room for the next.
        if let Some(knock) = world.last_knock(0) {
            world.command(0, Command::Deny(KnockRef::Id(knock)));
        }
    }
    let asked = world.people[0].events.iter().filter(|event| matches!(event, Event::Knock { .. })).count();
    assert!(asked <= 3, "asked {asked} times");
}

#[test]
fn whoever_a_member_said_yes_to_can_be_let_in_by_one_whom_the_server_floods() {
    let mut world = World::with_members(3, 2);
    for knock in made_up_knocks(&world, 20..40) {
        world.forge(1, FromServer::Knock((knock, 60_000)));
    }
    world.join(2);
    world.approve(0, 2);
    world.approve(1, 2);
    assert!(world.is_in(2));
}

#[test]
fn a_yes_that_a_member_never_heard_of_does_not_stand_for_ever() {
    let mut world = World::with_members(4, 2);
    let deaf = world.people[1].id;
    world.lie = Some(Box::new(move |to, message| match message {
        FromServer::Knock(_) if to == deaf => vec![],
        other => vec![other],
    }));
    world.deaf_to_knocks = Some(1);
    world.join(2);
    world.approve(0, 2);
    world.pass(70);
    world.deaf_to_knocks = None;
    // It is repeated within half a minute, and then there is a minute to answer it.
    world.pass(100);
    world.lie = None;
    world.let_in(3);
    assert!(world.is_in(3), "p0 may say yes to somebody else");
}

#[test]
fn a_no_that_was_forgotten_is_said_again_to_whoever_holds_to_their_yes() {
    let mut world = World::with_members(4, 2);
    let deaf = world.people[0].id;
    world.lie = Some(Box::new(move |to, message| match message {
        FromServer::Consent(_) | FromServer::KnockOver(_) if to == deaf => vec![],
        other => vec![other],
    }));
    world.apart.insert((0, 1));
    world.cut(0);
    world.join(2);
    world.approve(0, 2);
    world.deny(1, 2);
    // Far more knocks than are kept.
    for knock in made_up_knocks(&world, 20..250) {
        let hash = Proposal::Admit(knock.clone()).hash();
        world.forge(1, FromServer::Knock((knock, 60_000)));
        world.command(1, Command::Deny(KnockRef::Id(hash)));
    }
    world.apart.clear();
    world.lie = None;
    world.pass(10);
    assert_eq!(world.linked(0), [1].into());
    world.let_in(3);
    assert!(world.is_in(3), "p0 may say yes to somebody else");
}

#[test]
fn what_a_member_refused_itself_keeps_no_place_after_a_start() {
    let mut world = World::with_members(4, 3);
    let (room, roster) = world.roster(1);
    let by = world.people[2].id;
    // p2 makes up knocks, and refuses each.
    for knock in made_up_knocks(&world, 20..60) {
        let proposal = Proposal::Admit(knock.clone()).hash();
        let no = world.signed(2, Consent { room, roster, proposal, by, decision: Decision::No });
        world.forge_peer(2, 1, PeerMessage::Knock(knock));
        world.forge_peer(2, 1, PeerMessage::Consent(no));
    }
    world.kill(1);
    world.start(1);
    world.join(1);
    // p0 hears of them from p1, and has a minute to answer each.
    world.pass(70);
    world.let_in(3);
    assert!(world.is_in(3));
}

#[test]
fn noes_that_a_liar_drew_from_a_member_do_not_crowd_out_their_yes() {
    let mut world = World::with_members(4, 3);
    let (room, roster) = world.roster(1);
    let by = world.people[0].id;
    // p0 has refused at once what was over long since, and p1 hears the noes alone.
    for seed in 100..150 {
        let proposal = ProposalHash([seed; 32]);
        let no = world.signed(0, Consent { room, roster, proposal, by, decision: Decision::Silent });
        world.forge_peer(2, 1, PeerMessage::Consent(no));
    }
    for knock in made_up_knocks(&world, 20..40) {
        world.forge(1, FromServer::Knock((knock, 60_000)));
    }
    world.join(3);
    // p2's yes would find it room as well.
    [0, 1, 2].into_iter().for_each(|member| world.approve(member, 3));
    assert!(!world.was_told(1, |event| matches!(event, Event::Misbehaviour { .. })));
    assert!(world.is_in(3));
}

#[test]
fn both_answers_of_whoever_gives_two_come_to_all_and_once() {
    let mut world = World::with_members(4, 3);
    world.join(3);
    let (room, roster) = world.roster(0);
    let (by, proposal) = (world.people[1].id, world.last_knock(0).unwrap());
    let [yes, no] = [Decision::Yes, Decision::No]
        .map(|decision| PeerMessage::Consent(world.signed(1, Consent { room, roster, proposal, by, decision })));
    world.forge_peer(1, 0, yes.clone());
    world.forge_peer(1, 2, no.clone());
    let accused = |world: &World, who: usize| {
        let two = |event: &&Event| matches!(event, Event::Misbehaviour { what: Misdeed::TwoAnswers, by: Some(by), .. } if by.as_str() == "p1");
        world.people[who].events.iter().filter(two).count()
    };
    assert_eq!([0, 2].map(|who| accused(&world, who)), [0; 2], "nobody can know yet");
    let told = world.told_peers.len();
    for answer in [no, yes].iter().cycle().take(20) {
        world.forge_peer(1, 0, answer.clone());
    }
    assert_eq!([0, 2].map(|who| accused(&world, who)), [1; 2]);
    let answers = world.told_peers[told..].iter().filter(|(_, said)| matches!(said, PeerMessage::Consent(_))).count();
    assert!(answers <= 20 + 2 * 2 * 2, "{answers}: each tells the two others both");
    world.approve(0, 3);
    world.approve(2, 3);
    assert!(!world.is_in(3), "what somebody said no to is refused");
}

#[test]
fn whoever_refused_a_removal_before_it_was_proposed_has_refused_that_one_only() {
    let mut world = World::with_members(4, 4);
    let (room, roster) = world.roster(0);
    let (by, removed) = (world.people[1].id, world.people[3].id);
    let dropped = vec![removed].try_into().unwrap();
    let first = Drop { room, roster, dropped, why: DropReason::Removal, nonce: 0 };
    let proposal = Proposal::Drop(first).hash();
    let no = world.signed(1, Consent { room, roster, proposal, by, decision: Decision::No });
    world.forge_peer(1, 0, PeerMessage::Consent(no));
    for who in [0, 1, 2] {
        world.command(who, Command::Remove { room: lobby(), who: vec!["p3".parse().unwrap()] });
    }
    let proposed = |nonce: u32| {
        let same = |said: &PeerMessage| matches!(said, PeerMessage::Drop(drop) if drop.why == DropReason::Removal && drop.nonce == nonce);
        world.told_peers.iter().any(|(_, said)| same(said))
    };
    assert_eq!([0, 1].map(proposed), [false, true], "nobody signs what is refused already");
    assert_eq!(world.members(0), ["p0", "p1", "p2"]);
    assert_eq!(world.members(1), ["p0", "p1", "p2"]);
}
