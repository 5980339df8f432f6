//! Whom we have met: by key, across restarts; who has a known name and another key is somebody new.

use p2pchat::core::event::{Command, Event, Failure, Trust, Whois};
use p2pchat::identity::Name;

use crate::world::{World, lobby};

fn named(who: usize) -> Name {
    format!("p{who}").parse().unwrap()
}

impl World {
    fn whois(&mut self, who: usize, whom: usize) -> Whois {
        self.command(who, Command::Whois { room: lobby(), name: named(whom) });
        match self.people[who].events.last() {
            Some(Event::Whois { who, .. }) => (**who).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn restart(&mut self, who: usize) {
        self.kill(who);
        self.start(who);
        self.join(who);
        self.pass(5);
    }
}

#[test]
fn a_member_is_new_then_known_then_verified_for_good() {
    let mut world = World::in_one_room(2);
    assert_eq!(world.whois(0, 1).person.trust, Trust::New);
    world.restart(0);
    assert_eq!(world.whois(0, 1).person.trust, Trust::Known);
    let (name, words) = (named(1), world.people[1].id.fingerprint());
    let verify = |fingerprint, same| Command::Verify { room: lobby(), name: name.clone(), fingerprint, same };
    world.command(0, verify(None, None));
    let Some(Event::Verify { fingerprint, mine, trust, .. }) = world.people[0].events.last() else { panic!("words") };
    assert_eq!((*fingerprint, *mine), (words, world.people[0].id.fingerprint()));
    assert_eq!(*trust, Trust::Known, "showing words compares none");
    for wrong in [verify(None, Some(true)), verify(Some(world.people[0].id.fingerprint()), Some(true))] {
        world.command(0, wrong);
        assert_eq!(world.people[0].events.last(), Some(&Event::Failed(Failure::OtherWords(name.clone()))));
    }
    world.command(0, verify(Some(words), Some(true)));
    world.restart(0);
    let whois = world.whois(0, 1);
    assert_eq!(whois.person.trust, Trust::Verified);
    assert!(whois.verified_ms.is_some() && whois.first_seen_ms.is_some());
    world.command(0, verify(None, Some(false)));
    assert_eq!(world.whois(0, 1).person.trust, Trust::Known);
}

#[test]
fn whois_tells_since_when_and_who_let_them_in() {
    let mut world = World::in_one_room(3);
    let whois = world.whois(0, 2);
    assert_eq!((whois.since_epoch, whois.admitted_by), (Some(2), vec![named(0), named(1)]));
    assert!(whois.since_ms.is_some());
    let before = world.whois(2, 1);
    assert_eq!((before.since_epoch, before.admitted_by), (None, vec![]), "they were there before us");
}

#[test]
fn a_known_name_with_another_key_is_told_loudly() {
    let mut world = World::with_members(3, 2);
    let known = world.people[1].id;
    world.restart(0);
    world.leave(1);
    world.kill(1);
    // Somebody else comes under that name, where the server has forgotten whose it was.
    world.stop_server();
    world.kill(2);
    world.people[2].name = "p1".into();
    world.start_server();
    world.start(2);
    world.pass(15);
    world.join(2);
    let knock = world.people[0].events.iter().rev().find_map(|event| match event {
        Event::Knock { key, trust, other_key, .. } => Some((*key, *trust, other_key.clone())),
        _ => None,
    });
    let (key, trust, other) = knock.unwrap();
    let other = other.expect("somebody else is known by that name");
    assert_eq!((key, trust, other.key, other.trust), (world.people[2].id, Trust::New, known, Trust::Known));
    let name = "p1".parse().unwrap();
    world.command(0, Command::Approve(p2pchat::core::event::KnockRef::Name { room: lobby(), name }));
    assert!(world.was_told(0, |event| matches!(event, Event::OtherKey { known: other, .. } if other.key == known)));
}

#[test]
fn an_ignored_member_is_not_heard_until_a_change_of_mind_and_decides_all_the_same() {
    let mut world = World::with_members(4, 3);
    world.command(0, Command::Ignore { room: lobby(), name: named(1), on: true });
    world.say(1, "not for you");
    world.whisper(1, 0, "nor this");
    world.say(2, "for everybody");
    assert_eq!(world.texts(0), ["for everybody"]);
    assert!(world.whispers(0).is_empty());
    assert_eq!(world.whispers_delivered(1), 1, "who is ignored does not learn it");
    world.restart(0);
    world.say(1, "still not");
    assert_eq!(world.texts(0).last().unwrap(), "for everybody");
    world.let_in(3);
    let answered = |event: &Event| matches!(event, Event::Consent { by, .. } if *by == named(1));
    assert!(world.was_told(0, answered));
    world.command(0, Command::Ignore { room: lobby(), name: named(1), on: false });
    world.say(1, "and now");
    assert_eq!(world.texts(0).last().unwrap(), "and now");
    assert_eq!(world.texts(2), ["not for you", "for everybody", "still not", "and now"]);
}
