//! What members decide together beyond letting somebody in: removals, founding anew, rules that answer for them, and
//! looking back at how it came to that.

use p2pchat::core::event::{Command, Event, Failure, Leaving, Question, RecordKind, ReformState, Refusal, Rule};
use p2pchat::identity::{Name, RoomName};

use crate::world::{World, lobby};

fn name(who: usize) -> Name {
    format!("p{who}").parse().unwrap()
}

fn annex() -> RoomName {
    "annex".parse().unwrap()
}

fn remove(world: &mut World, by: usize, who: usize) {
    world.command(by, Command::Remove { room: lobby(), who: vec![name(who)] });
}

#[test]
fn whom_all_others_remove_is_out_at_once_and_hears_nothing_more() {
    let mut world = World::in_one_room(4);
    remove(&mut world, 0, 3);
    let asked = |event: &Event| matches!(event, Event::Removal { names, yes, .. } if names[..] == [name(3)] && yes[..] == [name(0)]);
    assert!(world.was_told(1, asked), "and who proposed it");
    assert!(!world.was_told(3, |event| matches!(event, Event::Removal { .. })));
    remove(&mut world, 1, 3);
    assert!(world.is_in(3), "one is missing");
    remove(&mut world, 2, 3);
    assert!(world.was_told(3, |event| matches!(event, Event::Left { why: Leaving::Removed, .. })));
    assert!(world.linked(3).is_empty(), "links close at once");
    assert_eq!(world.members(0), ["p0", "p1", "p2"]);
    world.say(0, "between us");
    assert!(world.texts(2).contains(&"between us".to_owned()) && !world.texts(3).contains(&"between us".to_owned()));
}

#[test]
fn one_who_keeps_somebody_or_stays_silent_is_enough_to_keep_them() {
    let mut world = World::in_one_room(4);
    remove(&mut world, 0, 3);
    world.command(1, Command::Keep { room: lobby(), who: vec![name(3)] });
    let over = |how| move |event: &Event| matches!(event, Event::RemovalOver { how: told, .. } if *told == how);
    assert!(world.was_told(0, over(Refusal::Denied)));
    // What was refused can be proposed again; silence is a no too.
    remove(&mut world, 0, 3);
    remove(&mut world, 1, 3);
    world.pass(70);
    assert!(world.was_told(0, over(Refusal::Expired)));
    assert_eq!(world.members(0).len(), 4);
}

#[test]
fn a_key_that_is_remembered_comes_in_unasked_and_one_that_is_refused_never() {
    let mut world = World::with_members(5, 2);
    let hand = |world: &mut World, who: usize, newcomer: usize, rule| {
        world.command(who, Command::Remember { room: lobby(), name: name(newcomer), fingerprint: None, rule });
    };
    world.join(2);
    hand(&mut world, 0, 2, Rule::Always);
    hand(&mut world, 1, 2, Rule::Session);
    assert!(world.is_in(2), "a rule answers what is asked already");
    world.leave(2);
    world.join(2);
    assert!(world.is_in(2));
    // What was said for good holds after a restart, what was said for now doesn't.
    world.leave(2);
    for who in [0, 1] {
        world.kill(who);
        world.start(who);
        world.join(who);
    }
    world.join(2);
    assert!(!world.is_in(2), "p1 is asked again");
    world.approve(1, 2);
    assert!(world.is_in(2));

    world.join(3);
    hand(&mut world, 0, 3, Rule::Never);
    assert!(world.was_told(3, |event| matches!(event, Event::Refused { reason: Refusal::Denied, .. })));
}

#[test]
fn no_yes_that_was_given_in_advance_outlives_a_removal_and_whoever_was_removed_is_told_apart() {
    let mut world = World::with_members(4, 3);
    for who in [0, 1] {
        world.command(who, Command::Remember { room: lobby(), name: name(2), fingerprint: None, rule: Rule::Always });
    }
    world.command(1, Command::Remember { room: lobby(), name: name(0), fingerprint: None, rule: Rule::Follow });
    for who in [0, 1] {
        remove(&mut world, who, 2);
    }
    assert_eq!(world.members(0), ["p0", "p1"]);
    assert_eq!(world.kept(0).rules, [], "nor does it on disk");
    for who in [0, 1] {
        world.people[who].events.clear();
    }
    world.join(2);
    let warned = |event: &Event| matches!(event, Event::Knock { seen_before: true, removed_before: true, .. });
    assert!(world.was_told(0, warned) && world.was_told(1, warned) && !world.is_in(2));
    // Who was followed is still there.
    world.approve(0, 2);
    assert!(world.is_in(2));
    world.leave(2);
    world.people[0].events.clear();
    world.join(2);
    let asked = |event: &Event| matches!(event, Event::Knock { seen_before: true, removed_before: false, .. });
    assert!(world.was_told(0, asked), "everybody let them in since");
}

#[test]
fn a_rule_for_the_key_that_was_shown_is_for_no_other_key() {
    let mut world = World::with_members(3, 1);
    world.join(2);
    let always = |fingerprint| Command::Remember {
        room: lobby(),
        name: name(2),
        fingerprint: Some(fingerprint),
        rule: Rule::Always,
    };
    let (shown, other) = (world.people[2].id.fingerprint(), world.people[1].id.fingerprint());
    world.command(0, always(other));
    assert!(world.was_told(0, |event| *event == Event::Failed(Failure::NoSuchMember(name(2)))) && !world.is_in(2));
    world.command(0, always(shown));
    assert!(world.is_in(2));
}

#[test]
fn following_somebody_says_yes_after_them_and_to_nobody_they_refuse() {
    let mut world = World::with_members(4, 2);
    world.command(1, Command::Remember { room: lobby(), name: name(0), fingerprint: None, rule: Rule::Follow });
    world.join(2);
    assert!(!world.is_in(2));
    world.approve(0, 2);
    assert!(world.is_in(2));
    world.join(3);
    world.deny(0, 3);
    assert!(!world.is_in(3));
}

#[test]
fn members_see_who_is_awaited_since_when_and_whether_they_are_there() {
    let mut world = World::with_members(4, 3);
    world.join(3);
    world.approve(0, 3);
    world.kill(2);
    world.pass(5);
    world.command(0, Command::Pending(lobby()));
    let Some(Event::Pending { open, .. }) = world.people[0].events.last() else { panic!("no answer") };
    let [knock] = &open[..] else { panic!("{open:?}") };
    assert_eq!((knock.what, &knock.names[..], &knock.yes[..]), (Question::Admit, &[name(3)][..], &[name(0)][..]));
    assert_eq!(knock.waiting, [(name(1), true), (name(2), false)]);
    assert_eq!(knock.since_s, 5);
}

#[test]
fn anybody_can_look_back_at_who_came_and_went_and_who_signed_it_also_after_a_restart() {
    let mut world = World::with_members(4, 3);
    world.leave(1);
    world.pass(5);
    world.let_in(3);
    remove(&mut world, 0, 3);
    remove(&mut world, 2, 3);
    let look = |world: &mut World| {
        world.command(0, Command::Membership(lobby()));
        let Some(Event::Membership { records, .. }) = world.people[0].events.last() else { panic!("no answer") };
        records.clone()
    };
    let records = look(&mut world);
    let what: Vec<_> = records.iter().map(|record| (record.what, record.who[0].0.to_string())).collect();
    let expected = [
        (RecordKind::Begin, "p0"),
        (RecordKind::Admitted, "p1"),
        (RecordKind::Admitted, "p2"),
        (RecordKind::Left, "p1"),
        (RecordKind::Admitted, "p3"),
        (RecordKind::Removed, "p3"),
    ];
    assert_eq!(what, expected.map(|(what, who)| (what, who.to_owned())));
    let signed: Vec<_> = records[4].signed.iter().map(|(name, _, at)| (name.to_string(), at.is_some())).collect();
    assert_eq!(signed, [("p0".to_owned(), true), ("p2".to_owned(), true)]);
    world.kill(0);
    world.start(0);
    world.join(0);
    assert_eq!(look(&mut world), records);
}

#[test]
fn a_room_is_founded_anew_without_somebody_by_one_command_of_each_of_the_rest() {
    let mut world = World::in_one_room(4);
    // The third of them answers nothing any more, and so nothing can be decided.
    world.command(0, Command::Reform { room: lobby(), new: annex(), without: vec![name(3)] });
    world.pass(4);
    world.command(1, Command::Pending(lobby()));
    let Some(Event::Pending { open, .. }) = world.people[1].events.last() else { panic!("no answer") };
    let [reform] = &open[..] else { panic!("{open:?}") };
    assert_eq!((reform.what, &reform.names[..], reform.since_s), (Question::Reform, &[name(3)][..], 4));
    assert_eq!((reform.new.as_ref(), &reform.yes[..]), (Some(&annex()), &[name(0)][..]));
    assert_eq!(reform.waiting, [(name(1), true), (name(2), true)]);
    let asked = |event: &Event| matches!(event, Event::Reform { state: ReformState::Asked { .. }, .. });
    assert!(world.was_told(1, asked) && world.was_told(2, asked) && !world.was_told(3, asked));
    for who in [1, 2] {
        world.command(who, Command::Reform { room: lobby(), new: annex(), without: Vec::new() });
    }
    world.pass(20);
    for who in 0..3 {
        world.command(who, Command::Members(annex()));
        let Some(Event::Members { members, .. }) = world.people[who].events.last() else {
            panic!("p{who} isn't there")
        };
        assert_eq!(members.len(), 3);
        assert!(world.was_told(who, |event| matches!(event, Event::Left { why: Leaving::Reformed, .. })));
    }
    world.command(1, Command::Say { room: annex(), text: "we are back".into() });
    world.pass(1);
    assert!(world.texts(2).contains(&"we are back".to_owned()));
    assert!(!world.texts(3).contains(&"we are back".to_owned()));
}

#[test]
fn a_room_is_not_founded_anew_when_one_of_the_rest_refuses() {
    let mut world = World::in_one_room(4);
    world.command(0, Command::Reform { room: lobby(), new: annex(), without: vec![name(3)] });
    world.command(1, Command::RefuseReform(lobby()));
    world.command(2, Command::Reform { room: lobby(), new: annex(), without: Vec::new() });
    let over =
        |event: &Event| matches!(event, Event::Reform { state: ReformState::Refused(Some(by)), .. } if *by == name(1));
    assert!(world.was_told(0, over) && world.was_told(2, over));
    world.pass(200);
    assert_eq!(world.members(3).len(), 4);
}
