//! Private chats, and what is said besides texts.

use crossterm::event::{KeyCode, KeyModifiers};

use super::model::Input;
use super::scenes::{self, Scene, lobby};
use super::tests::{sent, text};
use crate::peer::api::{Command, Event, PeerId, PrivateId, PrivateMessage};
use crate::ui::corpus;

const NONE: KeyModifiers = KeyModifiers::NONE;
const ALT: KeyModifiers = KeyModifiers::ALT;

fn private(byte: u8, text: &str, mine: bool) -> PrivateMessage {
    PrivateMessage {
        room: lobby(),
        id: PrivateId([byte; 32]),
        with: corpus::name("bob"),
        key: PeerId([2; 32]),
        mine,
        text: text.into(),
        sent_at_ms: 1_795_290_060_000,
        delivered: !mine,
    }
}

#[test]
fn a_private_chat_has_a_tab_and_nothing_typed_there_goes_to_all() {
    let mut scene = Scene::in_lobby(80, 24);
    scene.types("/msg bob between us");
    let effects = scene.press(KeyCode::Enter, NONE);
    let to = |text: &str| Command::Private {
        room: lobby(),
        to: corpus::name("bob"),
        fingerprint: Some(corpus::words(2)),
        text: text.into(),
    };
    assert!(matches!(sent(&effects)[..], [Command::Conversation { .. }, private] if *private == to("between us")));
    let messages = vec![private(1, "long ago", false), private(2, "between us", true)];
    let (with, key) = (corpus::name("bob"), PeerId([2; 32]));
    scene.tell(Event::Conversation { room: lobby(), with: with.clone(), key, messages, more: 0 });
    scene.tell(Event::Private(private(2, "between us", true)));
    scene.ms += 2_000;
    scene.input(Input::Tick);
    let screen = text(&scene.draw());
    assert_eq!(screen.matches("between us").count(), 1, "{screen}");
    assert!(screen.contains("private with bob") && screen.contains("[2:@bob]"), "{screen}");
    assert!(screen.contains("between us  (delivered 0/1)"), "{screen}");
    let ids = vec![PrivateId([2; 32])];
    scene.tell(Event::PrivateDelivered { room: lobby(), with, key, ids });
    assert!(!text(&scene.draw()).contains("delivered"));
    scene.types("yes");
    assert_eq!(sent(&scene.press(KeyCode::Enter, NONE)), [&to("yes")]);
    for line in ["/me waves", "/reply bob no", "/edit new", "/topic tea"] {
        scene.types(line);
        assert!(sent(&scene.press(KeyCode::Enter, NONE)).is_empty(), "{line}");
    }
    scene.press(KeyCode::Char('1'), ALT);
    scene.tell(Event::Private(private(3, "psst", false)));
    assert!(text(&scene.draw()).contains("2:@bob(1 !1)"));
    scene.press(KeyCode::Char('2'), ALT);
    scene.types("/leave");
    assert!(sent(&scene.press(KeyCode::Enter, NONE)).is_empty());
    assert_eq!(scene.model.tabs.len(), 1);
}

#[test]
fn what_is_changed_signed_or_taken_back_shows_so_where_it_stands() {
    let mut scene = Scene::in_lobby(80, 24);
    let first = scene.says("bob", "lobby", "teh tea");
    let second = scene.says("carol", "lobby", "nonsense");
    let (room, key) = (lobby(), PeerId([2; 32]));
    let edited = Event::Edited {
        room: room.clone(),
        of: first,
        from: corpus::name("bob"),
        key,
        mine: false,
        text: "the tea".into(),
        sent_at_ms: 0,
    };
    scene.tell(edited);
    let sign = |who: &str, on| Event::Reaction {
        room: lobby(),
        to: first,
        from: corpus::name(who),
        key,
        mine: false,
        sign: "+1".into(),
        on,
    };
    scene.tell(sign("carol", true));
    scene.tell(sign("dana", true));
    let carols = PeerId([3; 32]);
    scene.tell(Event::Unsaid { room: room.clone(), of: second, from: corpus::name("carol"), key: carols, mine: false });
    let topic = Event::Topic { room, from: Some(corpus::name("bob")), key, text: "all of tea".into(), recalled: false };
    scene.tell(topic);
    let screen = text(&scene.draw());
    assert!(screen.contains("the tea (edited) [+1 2]"), "{screen}");
    assert!(screen.contains("(taken back by its author)") && !screen.contains("nonsense"), "{screen}");
    assert!(screen.lines().next().unwrap().contains("all of tea"), "{screen}");
    scene.tell(sign("carol", false));
    scene.tell(sign("dana", false));
    assert!(!text(&scene.draw()).contains("[+1"));
}

#[test]
fn nobody_changes_or_takes_back_what_another_said() {
    let mut scene = Scene::in_lobby(80, 24);
    let (of, room) = (scene.says("bob", "lobby", "as bob said it"), lobby());
    let (from, key) = (corpus::name("carol"), PeerId([3; 32]));
    let before = text(&scene.draw());
    let forged = "forged".to_owned();
    scene.tell(Event::Edited {
        room: room.clone(),
        of,
        from: from.clone(),
        key,
        mine: false,
        text: forged,
        sent_at_ms: 0,
    });
    scene.tell(Event::Unsaid { room, of, from, key, mine: false });
    assert_eq!(text(&scene.draw()), before);
}

#[test]
fn words_compared_at_the_door_mark_the_key_once_it_is_in() {
    let mut scene = scenes::review(80, 24);
    let mut press = |key| {
        scene.draw();
        scene.ms += 400;
        scene.press(KeyCode::Char(key), NONE)
    };
    press('v');
    press('s');
    assert_eq!(sent(&press('a')).len(), 1);
    let (name, key) = (corpus::name("quinn"), PeerId([7; 32]));
    let effects = scene.tell(Event::MemberJoined { room: lobby(), name: name.clone(), key, epoch: 5 });
    let fingerprint = Some(key.fingerprint());
    let verify = Command::Verify { room: lobby(), name, fingerprint, same: Some(true) };
    assert!(sent(&effects).contains(&&verify));
}
