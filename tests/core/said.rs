//! What can be said besides a text: the same at everybody, and only by those who may.

use p2pchat::core::event::{Command, Event, Failure, Manner};
use p2pchat::wire::{Content, EntryId};

use crate::world::{World, lobby};

impl World {
    fn write(&mut self, who: usize, what: Content) {
        self.command(who, Command::Write { room: lobby(), what });
        self.pass(1);
    }

    fn react(&mut self, who: usize, to: EntryId, sign: &str) {
        self.command(who, Command::React { room: lobby(), to, sign: sign.to_owned() });
        self.pass(1);
    }

    /// What a client's own history shows.
    fn history(&mut self, who: usize) -> Vec<p2pchat::core::event::Recalled> {
        let room = self.kept(who).rooms[0].base.room;
        let me = self.people[who].id;
        self.store(who).last(&room, &me, 100, None).unwrap().messages
    }

    fn found(&mut self, who: usize, words: &str) -> (Vec<String>, u64) {
        let (room, me) = (self.kept(who).rooms[0].base.room, self.people[who].id);
        let part = self.store(who).search(&room, &me, words, 100).unwrap().unwrap();
        (part.messages.into_iter().map(|message| message.text).collect(), part.more)
    }
}

#[test]
fn actions_and_replies_are_texts_of_their_own_manner() {
    let mut world = World::in_one_room(2);
    world.say(0, "hello");
    let hello = world.newest(1);
    world.write(1, Content::Reply { to: hello, text: "hello yourself".into() });
    world.write(1, Content::Action("waves".into()));
    let said: Vec<(Manner, bool, String)> = world.people[0]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Message { manner, mentions_me, text, mine: false, .. } => {
                Some((*manner, *mentions_me, text.clone()))
            }
            _ => None,
        })
        .collect();
    // Whoever is answered is spoken to.
    assert_eq!(said, [(Manner::Reply(hello), true, "hello yourself".into()), (Manner::Action, false, "waves".into())]);
    assert_eq!(
        world.history(0).iter().map(|message| message.manner).collect::<Vec<_>>(),
        [Manner::Text, Manner::Reply(hello), Manner::Action]
    );
}

#[test]
fn a_name_in_a_text_is_a_mention_at_whom_it_names() {
    let mut world = World::in_one_room(3);
    world.say(0, "P1: are you there?");
    let mentioned = |world: &World, who: usize| {
        world.was_told(who, |event| matches!(event, Event::Message { mentions_me: true, .. }))
    };
    assert!(mentioned(&world, 1) && !mentioned(&world, 0) && !mentioned(&world, 2));
}

#[test]
fn an_edit_changes_what_everybody_reads_and_finds() {
    let mut world = World::in_one_room(2);
    world.say(0, "the kettle is on");
    let text = world.newest(0);
    world.write(0, Content::Edit { of: text, text: "the teapot is full".into() });
    world.write(0, Content::Edit { of: text, text: "the teapot is empty".into() });
    for who in 0..2 {
        let [message] = &world.history(who)[..] else { panic!("one message") };
        assert_eq!((message.text.as_str(), message.edited), ("the teapot is empty", true));
        assert_eq!(world.found(who, "empty"), (vec!["the teapot is empty".to_owned()], 0));
        assert_eq!(world.found(who, "teapot"), (vec!["the teapot is empty".to_owned()], 0));
        assert_eq!(world.found(who, "kettle"), (vec![], 0), "the old words lead nowhere");
        assert_eq!(world.found(who, "full"), (vec![], 0));
        let edits = world.people[who].events.iter().filter(|event| matches!(event, Event::Edited { .. }));
        assert_eq!(edits.count(), 2);
    }
}

#[test]
fn what_was_taken_back_leaves_a_mark_and_is_found_no_more() {
    let mut world = World::in_one_room(2);
    world.say(0, "regretted");
    let text = world.newest(0);
    world.write(0, Content::Edit { of: text, text: "still regretted".into() });
    world.write(0, Content::Unsaid(text));
    for who in 0..2 {
        let [message] = &world.history(who)[..] else { panic!("one message") };
        assert!(message.unsaid && message.text.is_empty());
        assert_eq!(world.found(who, "regretted"), (vec![], 0));
        assert!(world.was_told(who, |event| matches!(event, Event::Unsaid { .. })));
    }
}

#[test]
fn nobody_changes_what_another_said() {
    let mut world = World::in_one_room(3);
    world.say(0, "as I said");
    let text = world.newest(1);
    for what in [Content::Edit { of: text, text: "as he never said".into() }, Content::Unsaid(text)] {
        world.write(1, what);
        assert!(matches!(world.people[1].events.last(), Some(Event::Failed(Failure::NotYours))));
    }
    // A client that asks nobody: it writes a text with the bytes of an edit in it.
    let forged = Content::Edit { of: text, text: "as he never said".into() };
    world.forge_entry(1, forged.body().unwrap());
    for who in [0, 2] {
        assert!(!world.was_told(who, |event| matches!(event, Event::Edited { .. } | Event::Unsaid { .. })));
        assert_eq!(world.history(who)[0].text, "as I said");
        assert_eq!(world.found(who, "never"), (vec![], 0));
    }
}

#[test]
fn a_sign_stands_until_it_is_taken_back_also_after_a_restart() {
    let mut world = World::in_one_room(2);
    world.say(0, "cake?");
    let cake = world.newest(1);
    world.react(1, cake, "👍");
    world.react(0, cake, "👍");
    assert_eq!(world.history(0)[0].signs, [("👍".to_owned(), vec!["p1".to_owned(), "p0".to_owned()])]);
    world.kill(1);
    world.start(1);
    world.join(1);
    world.pass(5);
    world.react(1, cake, "👍");
    assert_eq!(world.history(0)[0].signs, [("👍".to_owned(), vec!["p0".to_owned()])]);
    let signs: Vec<bool> = world.people[0]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Reaction { on, .. } => Some(*on),
            _ => None,
        })
        .collect();
    assert_eq!(signs, [true, true, false]);
    world.react(1, cake, "two words");
    assert!(matches!(world.people[1].events.last(), Some(Event::Failed(Failure::NoSign))));
}

#[test]
fn the_topic_and_who_is_away_are_known_to_whoever_comes_back() {
    let mut world = World::in_one_room(2);
    world.write(0, Content::Topic("tea".into()));
    world.write(1, Content::Topic("coffee".into()));
    world.write(1, Content::Away("brewing".into()));
    world.kill(0);
    world.start(0);
    let before = world.people[0].events.len();
    world.join(0);
    world.pass(5);
    let since = &world.people[0].events[before..];
    assert!(since.iter().any(|event| matches!(event, Event::Topic { text, recalled: true, .. } if text == "coffee")));
    world.command(0, Command::Members(lobby()));
    let Some(Event::Members { members, .. }) = world.people[0].events.last() else { panic!("members") };
    assert_eq!(members[1].away.as_deref(), Some("brewing"));
    world.write(1, Content::Back);
    assert!(world.was_told(0, |event| matches!(event, Event::Away { why: None, mine: false, .. })));
    // Also when that was said long ago.
    world.write(1, Content::Away("asleep".into()));
    for n in 0..1_100 {
        world.command(1, Command::Say { room: lobby(), text: n.to_string() });
    }
    world.pass(5);
    world.history(0);
    world.kill(0);
    world.start(0);
    let before = world.people[0].events.len();
    world.join(0);
    world.pass(5);
    let since = &world.people[0].events[before..];
    assert!(since.iter().any(|event| matches!(event, Event::Topic { text, recalled: true, .. } if text == "coffee")));
    world.command(0, Command::Members(lobby()));
    let Some(Event::Members { members, .. }) = world.people[0].events.last() else { panic!("members") };
    assert_eq!(members[1].away.as_deref(), Some("asleep"));
}

#[test]
fn kinds_of_a_later_version_are_passed_on_and_not_shown() {
    let mut world = World::of(3);
    world.apart.insert((0, 2));
    world.create(0, 4, 60, 120);
    world.let_in(1);
    world.let_in(2);
    world.forge_entry(0, p2pchat::wire::Body { kind: 77, bytes: b"what is this".to_vec().try_into().unwrap() });
    world.say(1, "after it");
    assert_eq!(world.texts(2), ["after it"], "what follows it has come, so it has come too");
    assert_eq!(world.history(2).len(), 1);
    assert!(!world.was_told(2, |event| matches!(event, Event::Misbehaviour { .. })));
}
