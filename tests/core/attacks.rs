//! What a malicious rendezvous, member or newcomer tries, and gets nothing by.

use p2pchat::core::event::{Command, Event, KnockRef, Misdeed, Refusal};
use p2pchat::identity::{PeerId, Signed, Signer as _, Verified};
use p2pchat::wire::{
    Admission, Consent, Decision, Drop, DropReason, FromServer, Genesis, Knock, PeerMessage, Proposal, ProposalHash,
    Roster, RosterHash, Run, Settings, Text, ToServer,
};

use crate::world::{World, identity, lobby};

/// What somebody was admitted by.
fn admission(world: &World, who: usize) -> Admission {
    let admitted = world.people[who].served.iter().rev().find_map(|message| match message {
        FromServer::Admitted(admission) => Some(admission.clone()),
        _ => None,
    });
    admitted.unwrap()
}

fn drop_of(roster: &Roster, hash: RosterHash, dropped: Vec<PeerId>, nonce: u32) -> Drop {
    Drop { room: roster.room, roster: hash, dropped: dropped.try_into().unwrap(), why: DropReason::Gone, nonce }
}

/// The roster everybody is on, from the last admission's.
fn current(world: &World, newest: usize) -> (Roster, RosterHash) {
    let admission = admission(world, newest);
    let genesis = admission.genesis.clone().verify(&p2pchat::identity::Ed25519).unwrap();
    let step = admission.step();
    let roster = p2pchat::core::consent::roster::verify_step(
        &admission.roster,
        &step,
        genesis.size,
        &p2pchat::identity::Ed25519,
    );
    let roster = roster.unwrap();
    let hash = roster.hash();
    (roster, hash)
}

#[test]
fn a_replayed_admission_makes_nobody_sign_that_they_leave() {
    let mut world = World::in_one_room(3);
    let past = admission(&world, 2);
    world.kill(2);
    world.start(2);
    // The client runs, and has not asked for its room yet.
    let before = world.told_server.len();
    world.forge(2, FromServer::Admitted(past));
    let signed = world.told_server[before..].iter().any(|message| matches!(message, ToServer::Consent(_)));
    assert!(!signed, "it signed that it leaves");
    world.join(2);
    world.pass(5);
    assert!(world.is_in(2));
    assert_eq!(world.members(0), ["p0", "p1", "p2"]);
}

#[test]
fn a_room_of_another_name_is_not_entered() {
    // p1 asks for the lobby, and the server shows it the attackers' room, which is called otherwise.
    let mut world = World::of(2);
    let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
    world.command(0, Command::Create { room: "trap".parse().unwrap(), size: 8, settings });
    world.lie = Some(Box::new(|_, message| match message {
        FromServer::Refused((Some(_), ..)) => vec![],
        FromServer::Shown(mut shown) => {
            shown.name = lobby();
            vec![FromServer::Shown(shown)]
        }
        other => vec![other],
    }));
    world.command(1, Command::Join("trap".parse().unwrap()));
    world.join(1);
    let shown = world.people[1].served.iter().find_map(|message| match message {
        FromServer::Shown(shown) => Some(shown.clone()),
        _ => None,
    });
    world.forge(1, FromServer::Shown(shown.unwrap()));
    world.command(0, Command::Approve(KnockRef::Name { room: "trap".parse().unwrap(), name: "p1".parse().unwrap() }));
    assert!(!world.was_told(1, |event| matches!(event, Event::Joined { .. })), "{:?}", world.people[1].events);
    assert!(world.was_told(1, |event| matches!(event, Event::Refused { reason: Refusal::Forged, .. })));
}

#[test]
fn a_room_that_looks_like_the_one_asked_for_is_an_answer() {
    let mut world = World::of(2);
    world.create(0, 8, 60, 120);
    world.command(1, Command::Join("LOBBY".parse().unwrap()));
    let answered =
        |event: &Event| matches!(event, Event::Refused { reason: Refusal::NoSuchRoom, .. } | Event::Knocking { .. });
    assert!(world.was_told(1, answered), "silence is no answer: {:?}", world.people[1].events);
}

#[test]
fn drops_that_nobody_signed_never_crowd_out_a_knock() {
    let mut world = World::with_members(4, 3);
    let (roster, hash) = current(&world, 2);
    for nonce in 0..100 {
        for member in 0..3 {
            let me = world.people[member].id;
            world.forge(member, FromServer::Drop(drop_of(&roster, hash, vec![me], nonce)));
        }
    }
    world.join(3);
    (0..3).for_each(|member| world.approve(member, 3));
    assert!(world.is_in(3), "{:?}", world.people[0].events.last());
}

#[test]
fn a_drop_is_refused_however_often_it_is_proposed_and_the_room_stays_open() {
    let mut world = World::with_members(4, 3);
    let (roster, hash) = current(&world, 2);
    let lost = world.people[2].id;
    for nonce in 0..100 {
        world.forge_peer(1, 0, PeerMessage::Drop(drop_of(&roster, hash, vec![lost], nonce)));
    }
    world.join(3);
    (0..3).for_each(|member| world.approve(member, 3));
    assert!(world.is_in(3));
}

#[test]
fn a_run_in_another_members_name_accuses_nobody_of_two_entries() {
    let mut world = World::in_one_room(3);
    world.say(0, "one");
    let run = world.people[2].heard.iter().find_map(|message| match message {
        PeerMessage::Run(run) => Some(run.clone()),
        _ => None,
    });
    let run: Run = run.unwrap();
    let mut entry = run.first().clone();
    entry.wall_ms += 1;
    world.forge_peer(1, 2, PeerMessage::Run(Run::of_one(entry, run.signature())));
    let two = |event: &Event| matches!(event, Event::Misbehaviour { what: Misdeed::TwoEntries, .. });
    assert!(!world.was_told(2, two));
    let who = "p1".parse().unwrap();
    let blamed = |event: &Event| matches!(event, Event::Misbehaviour { by: Some(by), what: Misdeed::BadSignature, .. } if *by == who);
    assert!(world.was_told(2, blamed), "whoever passes a forgery on is named");
}

#[test]
fn two_entries_of_an_author_are_held_against_the_author_whoever_passes_them_on() {
    let mut world = World::in_one_room(3);
    world.say(0, "one");
    let run = world.people[2].heard.iter().find_map(|message| match message {
        PeerMessage::Run(run) => Some(run.clone()),
        _ => None,
    });
    let mut entry = run.unwrap().first().clone();
    entry.salt = [9; 16];
    let tip = p2pchat::wire::Tip { room: entry.room, author: entry.author, id: entry.id() };
    let signature = Verified::sign(tip, &identity(0)).as_signed().signature();
    world.forge_peer(1, 2, PeerMessage::Run(Run::of_one(entry, signature)));
    let author = "p0".parse().unwrap();
    let blamed = |event: &Event| matches!(event, Event::Misbehaviour { by: Some(by), what: Misdeed::TwoEntries, .. } if *by == author);
    assert!(world.was_told(2, blamed), "{:?}", world.people[2].events);
}

#[test]
fn a_roster_at_the_end_of_all_numbers_is_not_entered() {
    // The attacker founds a room, and shows a roster whose number leaves no room for the next.
    let attacker = identity(9);
    let genesis = Genesis {
        name: lobby(),
        size: 8,
        creator: attacker.id(),
        creator_name: "mallory".parse().unwrap(),
        nonce: [1; 16],
        settings: Settings { consent_timeout_s: 60, grace_s: 120 },
    };
    let genesis = Verified::sign(genesis, &attacker);
    let mut world = World::of(1);
    let mut roster = p2pchat::core::consent::roster::first_roster(&genesis);
    roster.epoch = u64::MAX - 1;
    world.join(0);
    let shown = p2pchat::wire::RoomShown {
        name: lobby(),
        room: roster.room,
        roster: roster.hash(),
        members: 1,
        online: 1,
        size: 8,
        consent_timeout_s: 60,
    };
    // The server has said that there is no such room; the user asks again, and is shown this one.
    world.lie = Some(Box::new(move |_, message| match message {
        FromServer::Refused(_) => vec![FromServer::Shown(shown.clone())],
        other => vec![other],
    }));
    world.join(0);
    let knock = world.told_server.iter().rev().find_map(|message| match message {
        ToServer::Knock(knock) => Some(knock.clone()),
        _ => None,
    });
    let knock: Signed<Knock> = knock.unwrap();
    let yes = p2pchat::core::consent::roster::yes(&Proposal::Admit(knock.clone()), attacker.id());
    let yes: Verified<Consent> = Verified::sign(yes, &attacker);
    let signatures = vec![yes.as_signed().signature()].try_into().unwrap();
    let admission = Admission { genesis: genesis.as_signed().clone(), roster, knock, signatures };
    world.forge(0, FromServer::Admitted(admission));
    assert!(!world.is_in(0));
}

#[test]
fn a_text_for_the_person_says_why_whatever_the_server_sends() {
    let mut world = World::of(1);
    let why = Text::cut("\u{1b}[2J\u{202e}no");
    world.forge(0, FromServer::Refused((None, p2pchat::wire::RefusalCode::Invalid, why)));
    let shown = format!("{:?}", world.people[0].events);
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
}

#[test]
fn nothing_that_a_member_says_takes_memory_without_end() {
    let mut world = World::in_one_room(3);
    let (roster, hash) = current(&world, 2);
    let flood = |world: &mut World, seeds: std::ops::Range<u64>| {
        for seed in seeds {
            let key = |at: u64| {
                let mut key = [7; 32];
                key[..8].copy_from_slice(&(seed * 1_000 + at).to_be_bytes());
                PeerId(key)
            };
            let authors: Vec<_> = (0..200).map(|at| (key(at), u64::MAX)).collect();
            world.forge_peer(1, 0, PeerMessage::Frontier((roster.room, authors.try_into().unwrap())));
            let proposal = ProposalHash(key(0).0);
            let (room, by, decision) = (roster.room, identity(1).id(), Decision::Yes);
            for roster in [hash, RosterHash(key(1).0)] {
                let consent = Verified::sign(Consent { room, roster, proposal, by, decision }, &identity(1));
                world.forge_peer(1, 0, PeerMessage::Consent(consent.into_signed()));
            }
        }
        world.weight(0)
    };
    let after_some = flood(&mut world, 0..100);
    let after_many = flood(&mut world, 100..400);
    assert!(after_many < after_some + 10_000, "{after_some} then {after_many}");
}
