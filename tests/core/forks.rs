//! Whoever signs two entries under one number is found out by everybody, and everybody sees both.

use p2pchat::core::event::{Event, Misdeed};
use p2pchat::wire::{Body, PeerMessage};

use crate::transcript::{check_causes, last_entry_of, run_of, transcript};
use crate::world::World;

/// What p1 could say next, each after the one before, each in a run of its own.
fn branch(world: &World, texts: &[String]) -> Vec<PeerMessage> {
    let mut entry = last_entry_of(world, world.people[1].id);
    let mut runs = Vec::new();
    for text in texts {
        (entry.seq, entry.previous, entry.previous_audience) = (entry.seq + 1, entry.id(), entry.audience);
        entry.seen = Default::default();
        entry.body = Body::text(text).unwrap();
        runs.push(PeerMessage::Run(run_of(entry.clone(), 1)));
    }
    runs
}

pub fn named(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name} {number}")).collect()
}

/// p1 tells one branch to some and another to others.
fn tell_two(world: &mut World, length: usize, ones: &[usize], others: &[usize]) {
    for (texts, victims) in [(named("yes", length), ones), (named("no", length), others)] {
        for run in branch(world, &texts) {
            for victim in victims {
                world.forge_peer(1, *victim, run.clone());
            }
        }
    }
}

fn accusations(world: &World, who: usize) -> usize {
    let two = |event: &&Event| matches!(event, Event::Misbehaviour { what: Misdeed::TwoEntries, by: Some(by), .. } if by.as_str() == "p1");
    world.people[who].events.iter().filter(two).count()
}

#[test]
fn two_entries_told_to_different_members_are_shown_to_all_once_somebody_answers() {
    let mut world = World::in_one_room(4);
    world.say(1, "first");
    tell_two(&mut world, 1, &[0, 3], &[2]);
    assert_eq!((0..4).map(|who| accusations(&world, who)).sum::<usize>(), 0, "nobody can know yet");
    world.say(0, "p1 said yes");
    world.pass(10);
    let everything = transcript(&world, 0);
    assert_eq!(everything.len(), 4);
    for who in [0, 2, 3] {
        assert_eq!(transcript(&world, who), everything, "p{who}");
        assert_eq!(accusations(&world, who), 1, "p{who}");
    }
    check_causes(&world);
    let forked = |event: &&Event| matches!(event, Event::Message { forked: true, .. });
    for who in [0, 2, 3] {
        assert_eq!(world.people[who].events.iter().filter(forked).count(), 1, "one of the two, p{who}");
    }
}

#[test]
fn what_a_liar_said_after_what_it_told_nobody_is_waited_for_as_long_as_others_words_are() {
    let mut world = World::in_one_room(4);
    world.say(1, "first");
    tell_two(&mut world, 1, &[0, 3], &[2]);
    world.say(0, "p1 said yes");
    world.pass(10);
    // The second of these was told to nobody, and the third is given once: its giver has taken it, and so has the second or has done without.
    let third = branch(&world, &named("yes", 3)).remove(2);
    let PeerMessage::Run(run) = &third else { unreachable!("branches are runs") };
    let text = |world: &World, who: usize| transcript(world, who).into_iter().any(|(_, id, _)| id == run.ids()[0]);
    world.forge_peer(1, 0, third.clone());
    world.pass(60);
    assert!(text(&world, 0), "all have said that they lack what comes before it");
    world.say(0, "what comes before that?");
    world.pass(60);
    assert_eq!([0, 2, 3].map(|who| text(&world, who)), [true; 3]);
}

#[test]
fn long_branches_are_told_in_full_to_both_sides() {
    let mut world = World::in_one_room(4);
    world.say(1, "first");
    tell_two(&mut world, 80, &[0], &[2, 3]);
    world.say(0, "yes, p1");
    world.say(2, "no, p1");
    world.pass(120);
    let everything = transcript(&world, 0);
    assert_eq!(everything.len(), 163);
    for who in [2, 3] {
        assert_eq!(transcript(&world, who), everything, "p{who}");
    }
    check_causes(&world);
}

#[test]
fn branches_beyond_all_bounds_keep_nobody_elses_words_waiting() {
    let mut world = World::in_one_room(3);
    world.say(1, "first");
    tell_two(&mut world, 700, &[0], &[2]);
    world.say(0, "do you hear me?");
    world.say(2, "I do");
    world.pass(200);
    for who in [0, 2] {
        let texts = world.texts(who);
        assert!(
            texts.iter().any(|text| text == "do you hear me?") && texts.iter().any(|text| text == "I do"),
            "p{who}"
        );
    }
    let before = world.told_peers.len();
    world.pass(3_600);
    assert!(world.told_peers.len() - before < 1_000, "it comes to rest: {}", world.told_peers.len() - before);
}

#[test]
fn whoever_was_away_gets_both_too_and_a_restart_accuses_nobody_anew() {
    let mut world = World::in_one_room(4);
    world.say(1, "first");
    world.kill(3);
    tell_two(&mut world, 2, &[0], &[2]);
    world.say(0, "p1 said yes");
    world.pass(10);
    world.kill(0);
    world.start(0);
    world.join(0);
    world.start(3);
    world.join(3);
    world.pass(60);
    assert_eq!(transcript(&world, 3), transcript(&world, 2));
    assert_eq!((accusations(&world, 0), accusations(&world, 3)), (1, 1));
    world.say(3, "I have heard");
    world.say(0, "good");
    assert_eq!(transcript(&world, 0), transcript(&world, 2));
    assert_eq!(transcript(&world, 3), transcript(&world, 2));
    check_causes(&world);
}

#[test]
fn nobody_is_given_by_its_id_what_was_said_before_they_came() {
    let mut world = World::with_members(3, 2);
    world.say(0, "not for p2");
    let secret = last_entry_of(&world, world.people[0].id);
    world.let_in(2);
    world.say(0, "for p2");
    for victim in 0..2 {
        let ids = vec![secret.id()].try_into().unwrap();
        world.forge_peer(2, victim, PeerMessage::Want((secret.room, ids)));
        let nothing = vec![(world.people[0].id, 0)].try_into().unwrap();
        world.forge_peer(2, victim, PeerMessage::Frontier((secret.room, nothing)));
    }
    world.pass(30);
    let given = world.people[2].heard.iter().any(|message| match message {
        PeerMessage::Run(run) => run.entries().iter().any(|entry| **entry == secret),
        _ => false,
    });
    assert!(!given);
    assert_eq!(world.texts(2), ["for p2"]);
}
