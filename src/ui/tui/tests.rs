//! Every screen in three sizes, as files that a person can read; and what the face decides, event by event.

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::buffer::Buffer;

use super::model::{Effect, Input, Screen};
use super::scenes::{self, Scene, lobby};
use crate::peer::api::{Command, Event, Failure, KnockRef, PeerId, Place, ProposalHash, Recall, Recalled};
use crate::ui::corpus;

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;

/// The screen as text, a row a line, wide characters once.
pub(super) fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut row = String::new();
        let mut covered = 0;
        for x in 0..buffer.area.width {
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            covered = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            row.push_str(symbol);
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

fn sizes() -> [(u16, u16); 3] {
    [(80, 24), (30, 8), (200, 50)]
}

fn snapshot(name: &str, scene: impl Fn(u16, u16) -> Scene) {
    for (columns, rows) in sizes() {
        let drawn = text(&scene(columns, rows).draw());
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), drawn);
        });
    }
}

pub(super) fn sent(effects: &[Effect]) -> Vec<&Command> {
    let mut sent = Vec::new();
    for effect in effects {
        if let Effect::Send(command) = effect {
            sent.push(command);
        }
    }
    sent
}

#[test]
fn the_chat_fits_every_size() {
    snapshot("chat", scenes::evening);
}

#[test]
fn the_review_fits_every_size() {
    snapshot("review", scenes::review);
}

#[test]
fn the_words_to_compare_fit_every_size() {
    snapshot("compare", |columns, rows| {
        let mut scene = scenes::review(columns, rows);
        scene.draw();
        scene.ms += 400;
        scene.press(KeyCode::Char('v'), NONE);
        scene
    });
}

#[test]
fn the_help_tells_every_command_and_fits_every_size() {
    for (columns, rows) in sizes() {
        let page = super::pages::help();
        let rows_of_page = super::view::page_rows(&page, usize::from(columns));
        let too_wide = |row: &&String| unicode_width::UnicodeWidthStr::width(row.as_str()) > usize::from(columns);
        assert_eq!(rows_of_page.iter().find(too_wide), None);
        let mut scene = scenes::evening(columns, rows);
        scene.press(KeyCode::F(1), NONE);
        let mut seen = String::new();
        for _ in 0..rows_of_page.len() / usize::from(rows - 2) + 1 {
            seen.push_str(&text(&scene.draw()));
            scene.press(KeyCode::PageDown, NONE);
        }
        for (name, ..) in super::commands::table() {
            assert!(seen.contains(&format!("/{name}")), "/{name} at {columns}x{rows}");
        }
        scene.press(KeyCode::Esc, NONE);
        assert_eq!(scene.model.tab().draft.text(), "I know quinn, we met at");
    }
}

#[test]
fn the_offered_commands_fit_every_size() {
    snapshot("offer", |columns, rows| {
        let mut scene = Scene::in_lobby(columns, rows);
        scene.types("/appr");
        scene
    });
}

#[test]
fn our_own_knock_shows_its_clock() {
    snapshot("knocking", |columns, rows| {
        let mut scene = Scene::knocking(columns, rows);
        scene.tell(Event::Knocking { room: lobby(), yes: 1, of: 3, expires_in_s: Some(60), ahead: 0 });
        scene.wait(15);
        scene
    });
}

#[test]
fn the_server_s_fingerprint_is_asked_about() {
    snapshot("pin", |columns, rows| {
        let mut scene = Scene::knocking(columns, rows);
        scene.tell(Event::PinWanted { server: "chat.example".into(), fingerprint: corpus::words(9), member: false });
        scene
    });
}

#[test]
fn a_draft_of_many_rows_fits_every_size() {
    snapshot("draft", |columns, rows| {
        let mut scene = scenes::evening(columns, rows);
        scene.press(KeyCode::Char('c'), CTRL);
        scene.input(Input::Paste("one\rtwo \u{1b}[31m\u{202e}red\rthree 日本語".into()));
        scene
    });
}

#[test]
fn no_screen_is_too_small() {
    for columns in 0..40 {
        for rows in 0..12 {
            scenes::evening(columns, rows).draw();
            scenes::review(columns, rows).draw();
            let mut scene = scenes::evening(columns, rows);
            scene.press(KeyCode::PageUp, NONE);
            scene.draw();
        }
    }
}

#[test]
fn a_knock_while_typing_takes_no_key() {
    let mut scene = Scene::in_lobby(80, 24);
    scene.types("aaaa");
    let effects = scene.knocks("quinn", 7);
    assert!(effects.contains(&Effect::Bell));
    scene.draw();
    scene.ms += 1_000;
    scene.types("ad");
    let effects = scene.press(KeyCode::Enter, NONE);
    assert_eq!(sent(&effects), [&Command::Say { room: lobby(), text: "aaaaad".into() }]);
    assert_eq!(scene.model.requests.open().count(), 1);
}

#[test]
fn a_key_on_its_way_to_the_chat_decides_nothing() {
    let mut scene = Scene::in_lobby(80, 24);
    scene.types("half a line");
    scene.knocks("quinn", 7);
    let effects = scene.press(KeyCode::F(2), NONE);
    assert!(effects.contains(&Effect::Repaint), "nothing of before may stand in the review");
    scene.types("a");
    scene.draw();
    scene.ms += 200;
    scene.types("ad");
    scene.press(KeyCode::Enter, NONE);
    assert_eq!(scene.model.requests.open().count(), 1, "no key counted");
    scene.ms += 200;
    let effects = scene.press(KeyCode::Char('a'), NONE);
    assert_eq!(sent(&effects), [&Command::Approve(KnockRef::Id(ProposalHash([7; 32])))]);
    assert!(matches!(scene.model.screen, Screen::Chat));
    assert_eq!(scene.model.tab().draft.text(), "half a line");
}

#[test]
fn no_other_request_slips_under_the_finger() {
    let mut scene = Scene::in_lobby(80, 24);
    scene.knocks("quinn", 7);
    scene.knocks("robin", 8);
    scene.press(KeyCode::F(2), NONE);
    scene.draw();
    scene.ms += 1_000;
    let how = crate::peer::api::Refusal::Withdrawn;
    let over = Event::KnockOver { room: lobby(), knock: ProposalHash([7; 32]), name: corpus::name("quinn"), how };
    scene.tell(over);
    assert!(text(&scene.draw()).contains("quinn wants to join"));
    let effects = scene.press(KeyCode::Char('a'), NONE);
    assert!(sent(&effects).is_empty());
    scene.press(KeyCode::Char('n'), NONE);
    assert!(sent(&scene.press(KeyCode::Char('a'), NONE)).is_empty(), "the next has just come up");
    scene.draw();
    scene.ms += 400;
    assert_eq!(sent(&scene.press(KeyCode::Char('d'), NONE)), [&Command::Deny(KnockRef::Id(ProposalHash([8; 32])))]);
}

#[test]
fn a_flood_of_knocks_is_one_line_and_one_bell() {
    let mut scene = Scene::in_lobby(80, 24);
    let bells: usize = (10..60)
        .map(|number| scene.knocks("quinn", number).iter().filter(|effect| **effect == Effect::Bell).count())
        .sum();
    assert_eq!(bells, 1);
    let screen = text(&scene.draw());
    assert!(screen.contains("quinn and 49 more ask to join"), "{screen}");
    assert!(screen.contains("▲ 50 ask to join"), "{screen}");
    scene.types("/mute");
    scene.press(KeyCode::Enter, NONE);
    let screen = text(&scene.draw());
    assert!(!screen.contains("▲ 50 ask") && screen.contains("50 asking (muted)"), "{screen}");
    scene.ms += 60_000;
    assert!(!scene.knocks("zoe", 99).contains(&Effect::Bell));
}

#[test]
fn a_paste_is_never_sent_by_itself() {
    let mut scene = Scene::in_lobby(80, 24);
    assert!(sent(&scene.input(Input::Paste("a\rb\rc\r".into()))).is_empty());
    assert_eq!(scene.model.tab().draft.text(), "a\nb\nc\n");
    let effects = scene.press(KeyCode::Enter, NONE);
    assert_eq!(sent(&effects), [&Command::Say { room: lobby(), text: "a\nb\nc\n".into() }]);
}

#[test]
fn what_is_typed_before_we_are_in_is_not_lost() {
    let mut scene = Scene::knocking(80, 24);
    scene.types("hello");
    assert!(sent(&scene.press(KeyCode::Enter, NONE)).is_empty());
    assert_eq!(scene.model.tab().draft.text(), "hello");
}

#[test]
fn scrolled_up_nothing_moves_and_the_new_is_counted() {
    let mut scene = scenes::long_history(80, 24, 200);
    scene.press(KeyCode::PageUp, NONE);
    let before = text(&scene.draw());
    for _ in 0..5 {
        scene.says("bob", "lobby", "news");
    }
    let after = text(&scene.draw());
    let rows = |screen: &str| screen.lines().take(20).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&before), rows(&after));
    assert!(after.contains("↓ 5 new"), "{after}");
    scene.press(KeyCode::End, ALT);
    assert!(text(&scene.draw()).contains("news"));
    assert_eq!(scene.model.tab().unread, 0);
}

#[test]
fn scrolling_goes_row_by_row_to_the_top_and_back() {
    let mut scene = scenes::long_history(80, 24, 60);
    let end = text(&scene.draw());
    for _ in 0..1000 {
        scene.press(KeyCode::Up, ALT);
    }
    let top = text(&scene.draw());
    assert!(top.lines().nth(1).unwrap().contains("2026-11-21"), "the first day stands at the top: {top}");
    for _ in 0..1000 {
        scene.press(KeyCode::Down, ALT);
    }
    assert_eq!(text(&scene.draw()), end);
}

#[test]
fn earlier_texts_are_asked_for_near_the_top_and_come_in_above() {
    let mut scene = scenes::long_history(80, 24, 30);
    let mut asked = Vec::new();
    for _ in 0..10 {
        asked.extend(scene.press(KeyCode::PageUp, NONE));
    }
    let Some(Effect::Send(Command::Earlier { before, count, .. })) = asked.first() else { panic!("{asked:?}") };
    assert_eq!((asked.len(), before.0.depth, *count), (1, 1, 100));
    let recalled = Recalled {
        id: crate::peer::api::EntryId([99; 32]),
        from: Some(corpus::name("bob")),
        key: PeerId([2; 32]),
        mine: false,
        seq: 1,
        text: "the very first".into(),
        sent_at_ms: 1_795_226_400_123,
        place: Place { epoch: 1, depth: 1 },
        forked: false,
        manner: crate::peer::api::Manner::Text,
        edited: false,
        unsaid: false,
        signs: Vec::new(),
    };
    let before = text(&scene.draw());
    scene.tell(Event::History { room: lobby(), why: Recall::Earlier, messages: vec![recalled], more: 0 });
    let after = text(&scene.draw());
    let below = |screen: &str| screen.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(below(&before), below(&after), "what is read does not move");
    scene.press(KeyCode::Home, ALT);
    assert!(text(&scene.draw()).contains("the very first"));
}

#[test]
fn the_unread_line_survives_a_restart() {
    let mut scene = Scene::in_lobby(80, 24);
    let read = scene.says("bob", "lobby", "seen");
    scene.draw();
    let effects = scene.input(Input::Tick);
    let marks = effects.iter().find_map(|effect| match effect {
        Effect::Remember(marks) => Some(marks.clone()),
        _ => None,
    });
    let marks = marks.expect("what was read is remembered");
    let mut scene = Scene::knocking(80, 24);
    scene.model.marks = marks;
    scene.tell(corpus::joined(crate::peer::api::Entrance::Returned));
    let recalled = |id, depth, text: &str| Recalled {
        id,
        from: Some(corpus::name("bob")),
        key: PeerId([2; 32]),
        mine: false,
        seq: depth,
        text: text.into(),
        sent_at_ms: 1_795_290_000_000,
        place: Place { epoch: 4, depth },
        forked: false,
        manner: crate::peer::api::Manner::Text,
        edited: false,
        unsaid: false,
        signs: Vec::new(),
    };
    let new = recalled(crate::peer::api::EntryId([8; 32]), 2, "missed");
    let messages = vec![recalled(read, 1, "seen"), new];
    scene.tell(Event::History { room: lobby(), why: Recall::Joined, messages, more: 0 });
    let screen = text(&scene.draw());
    let at =
        |text: &str| screen.lines().position(|row| row.contains(text)).unwrap_or_else(|| panic!("{text}: {screen}"));
    assert!(at("seen") < at("new since") && at("new since") < at("missed"));
}

#[test]
fn delivery_is_shown_until_everybody_has_it() {
    let mut scene = Scene::in_lobby(80, 24);
    let id = scene.says("alice", "lobby", "hello");
    assert!(!text(&scene.draw()).contains("delivered"), "it is only on its way");
    scene.ms += 2_000;
    scene.input(Input::Tick);
    assert!(text(&scene.draw()).contains("hello  (delivered 0/3)"));
    scene.tell(Event::Delivered { room: lobby(), id, to: 2, of: 3 });
    assert!(text(&scene.draw()).contains("hello  (delivered 2/3)"));
    scene.tell(Event::Delivered { room: lobby(), id, to: 3, of: 3 });
    assert!(!text(&scene.draw()).contains("delivered"));
}

#[test]
fn rooms_are_opened_from_inside_and_one_left_does_not_end_the_rest() {
    let mut scene = Scene::in_lobby(80, 24);
    scene.types("/join dev");
    let effects = scene.press(KeyCode::Enter, NONE);
    let dev: crate::peer::api::RoomName = "dev".parse().unwrap();
    assert_eq!(sent(&effects), [&Command::Join(dev.clone())]);
    assert_eq!(scene.model.tab().room, dev);
    scene.tell(Event::Failed(Failure::NoSuchRoom(dev.clone())));
    assert!(text(&scene.draw()).contains("there is no room dev"));
    scene.types("/create dev");
    assert!(matches!(sent(&scene.press(KeyCode::Enter, NONE))[..], [Command::Create { .. }]));
    scene.tell(Event::Joined {
        room: dev.clone(),
        epoch: 0,
        members: vec![],
        how: crate::peer::api::Entrance::Founded,
    });
    scene.says("bob", "lobby", "alice, where are you?");
    assert!(text(&scene.draw()).contains("1:lobby(1 !1)"));
    scene.press(KeyCode::Char('1'), ALT);
    assert!(text(&scene.draw()).contains("where are you?"));
    scene.press(KeyCode::Char('n'), CTRL);
    scene.types("/leave");
    assert_eq!(sent(&scene.press(KeyCode::Enter, NONE)), [&Command::Leave(dev.clone())]);
    scene.tell(Event::Left { room: dev, why: crate::peer::api::Leaving::Asked });
    assert_eq!((scene.model.tabs.len(), scene.model.tab().room.clone()), (1, lobby()));
    assert!(!scene.model.session.is_quitting());
    scene.types("/leave");
    scene.press(KeyCode::Enter, NONE);
    let effects = scene.tell(Event::Left { room: lobby(), why: crate::peer::api::Leaving::Asked });
    assert!(sent(&effects).contains(&&Command::Quit), "the last room ends the program");
}

#[test]
fn ctrl_c_clears_then_asks_then_leaves() {
    let mut scene = Scene::in_lobby(80, 24);
    scene.types("draft");
    assert!(sent(&scene.press(KeyCode::Char('c'), CTRL)).is_empty());
    assert!(scene.model.tab().draft.is_empty());
    scene.press(KeyCode::Char('c'), CTRL);
    assert!(text(&scene.draw()).contains("Ctrl-C again to leave"));
    scene.types("x");
    scene.press(KeyCode::Backspace, NONE);
    assert!(sent(&scene.press(KeyCode::Char('c'), CTRL)).is_empty(), "something else came between");
    assert_eq!(sent(&scene.press(KeyCode::Char('c'), CTRL)), [&Command::Quit]);
}

#[test]
fn tab_completes_names_commands_and_rooms() {
    let mut scene = Scene::in_lobby(80, 24);
    let mut completed = |typed: &str, tabs: usize| {
        scene.press(KeyCode::Char('c'), CTRL);
        scene.types(typed);
        for _ in 0..tabs {
            scene.press(KeyCode::Tab, NONE);
        }
        scene.model.tab().draft.text()
    };
    assert_eq!(completed("bo", 1), "bob: ");
    assert_eq!(completed("hey CA", 1), "hey carol ");
    assert_eq!(completed("/app", 1), "/approve ");
    assert_eq!(completed("/requ", 1), "/requests ");
    assert_eq!(completed("/room lob", 1), "/room lobby");
    assert_eq!(completed("nobody", 1), "nobody");
}

#[test]
fn a_known_name_with_another_key_is_said_loudly() {
    let mut scene = Scene::in_lobby(80, 24);
    let mut knock = corpus::knock_of(7, "bob");
    if let Event::Knock { other_key, looks_like, .. } = &mut knock {
        let trust = crate::peer::api::Trust::Verified;
        *other_key = Some(crate::peer::api::OtherKey { key: PeerId([2; 32]), name: corpus::name("bob"), trust });
        *looks_like = Some(corpus::name("bob"));
    }
    scene.tell(knock);
    assert!(text(&scene.draw()).contains("NOT who you know by this name"));
    scene.press(KeyCode::F(2), NONE);
    let screen = text(&scene.draw());
    assert!(screen.contains("WARNING: this is NOT the bob you know"), "{screen}");
    assert!(screen.contains("WARNING: bob has the name of bob, but another key"), "{screen}");
}

#[test]
fn nobody_says_yes_to_what_a_small_screen_hides() {
    let mut scene = scenes::review(20, 6);
    scene.draw();
    scene.ms += 1_000;
    assert!(sent(&scene.press(KeyCode::Char('a'), NONE)).is_empty());
    assert!(matches!(scene.model.screen, Screen::Chat));
    assert_eq!(scene.model.requests.open().count(), 1);
}

#[test]
fn a_bell_rings_once_per_burst_and_not_while_looked_at() {
    let mut scene = Scene::in_lobby(80, 24);
    scene.says("bob", "lobby", "alice");
    assert_eq!(scene.model.rang_ms, None);
    scene.input(Input::Focus(false));
    let mut rings = |text: &str, ms| {
        scene.ms += ms;
        let before = scene.model.rang_ms;
        scene.says("bob", "lobby", text);
        scene.model.rang_ms != before
    };
    assert!(rings("alice!", 0));
    assert!(!rings("alice!!", 1_000));
    assert!(!rings("not you", 20_000));
    assert!(rings("alice!!!", 20_000));
}

#[test]
fn without_colours_none_is_drawn_and_the_words_are_the_same() {
    let mut scene = scenes::evening(80, 24);
    let coloured = text(&scene.draw());
    scene.model.choices.colour = false;
    let plain = scene.draw();
    assert_eq!(text(&plain), coloured);
    let reset = ratatui::style::Color::Reset;
    assert!(plain.content.iter().all(|cell| cell.fg == reset && cell.bg == reset));
}

#[test]
fn whatever_the_chat_tells_no_cell_holds_what_acts() {
    let mut scene = Scene::in_lobby(80, 24);
    for event in corpus::events() {
        if matches!(event, Event::Ended(_)) {
            continue;
        }
        scene.tell(event);
        let screen = text(&scene.draw());
        let acts = |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
        assert_eq!(screen.chars().find(acts), None, "{screen}");
        scene.model.screen = Screen::Chat;
    }
}

#[test]
fn the_review_is_the_same_whatever_was_said_before() {
    let drawn = |said: &str| {
        let mut scene = Scene::in_lobby(80, 24);
        for _ in 0..30 {
            scene.says("bob", "lobby", said);
        }
        scene.knocks("quinn", 7);
        scene.press(KeyCode::F(2), NONE);
        text(&scene.draw())
    };
    assert_eq!(drawn("plain"), drawn("\u{1b}[2J\u{202e}👨‍👩‍👧‍👦🇩🇪 [a] approve\nkey     acid-otter"));
}

#[test]
fn a_ticket_is_shown_whole_with_its_code_and_copied_on_demand_but_never_over_a_draft() {
    let (room, ticket) = (lobby(), corpus::ticket());
    let told = || Event::Ticket { room: room.clone(), ticket: ticket.clone() };
    let mut scene = Scene::in_lobby(100, 60);
    scene.types("half a thou");
    scene.tell(told());
    assert!(matches!(scene.model.screen, Screen::Chat), "who is typing is not interrupted");
    let mut scene = Scene::in_lobby(100, 60);
    scene.tell(told());
    let drawn = text(&scene.draw());
    assert!(drawn.contains("c copies") && drawn.contains('▀'), "{drawn}");
    let copied = scene.press(KeyCode::Char('c'), NONE);
    assert_eq!(copied, [Effect::Copy(format!("p2pchat join {ticket}"))]);
    scene.press(KeyCode::Esc, NONE);
    assert!(matches!(scene.model.screen, Screen::Chat));
}

#[test]
fn an_invitation_has_the_command_and_the_ticket_on_one_page() {
    let mut scene = Scene::in_lobby(100, 60);
    scene.tell(Event::Invite { room: lobby(), server: "chat.example".into(), pin: None });
    scene.tell(Event::Ticket { room: lobby(), ticket: corpus::ticket() });
    let drawn = text(&scene.draw());
    assert!(
        drawn.contains("p2pchat join lobby --server chat.example") && drawn.contains("p2pchat join p2p2"),
        "{drawn}"
    );
    assert_eq!(scene.press(KeyCode::Char('c'), NONE).len(), 1);
}
