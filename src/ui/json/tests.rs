use tokio::io::BufReader;

use super::*;
use crate::peer::api::*;
use crate::ui::corpus;

/// One line for every event that there is, exactly as programs rely on it.
const GOLDEN: &str = include_str!("golden.jsonl");

#[test]
fn every_event_has_its_pinned_line() {
    let lines: Vec<_> = corpus::events().iter().map(output::event_line).collect();
    if std::env::var_os("P2PCHAT_SHOW_GOLDEN").is_some() {
        lines.iter().for_each(|line| println!("{line}"));
    }
    for (line, pinned) in lines.iter().zip(GOLDEN.lines()) {
        assert_eq!(line, pinned);
    }
    assert_eq!(lines.len(), GOLDEN.lines().count());
}

#[test]
fn every_line_is_one_object_without_anything_that_acts_on_a_terminal() {
    for event in corpus::events() {
        let line = output::event_line(&event);
        assert!(!line.chars().any(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(value["type"].is_string());
    }
}

#[test]
fn a_text_survives_its_escapes() {
    let line = output::event_line(&corpus::message(2, "bob", corpus::EVIL));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["text"], corpus::EVIL);
    assert_eq!(value["sent_at"], "2026-11-21T02:00:00.123Z");
}

#[test]
fn an_exported_entry_has_its_pinned_line() {
    let mut exported = Exported {
        room: RoomId([1; 32]),
        id: EntryId([2; 32]),
        author: PeerId([3; 32]),
        name: Some(corpus::name("bob")),
        seq: 7,
        epoch: 2,
        depth: 8,
        sent_at_ms: 1_795_226_400_123,
        content: Some(Content::Reply { to: EntryId([9; 32]), text: corpus::EVIL.to_owned() }),
        shown: None,
        previous: EntryId([4; 32]),
        signature: Some([5; 64]),
        entry: vec![6, 7],
    };
    let hex = |byte: &str| byte.repeat(32);
    let (room, id, author, previous) = (hex("01"), hex("02"), hex("03"), hex("04"));
    let line = export_line(&corpus::lobby(), &exported);
    let begin = format!(r#"{{"type":"entry","room":"lobby","room_id":"{room}","id":"{id}","author":"{author}","#);
    assert!(
        line.starts_with(&format!(
            r#"{begin}"name":"bob","seq":7,"epoch":2,"depth":8,"sent_at_ms":1795226400123,"kind":"reply","about":"{}","text":""#,
            hex("09")
        )),
        "{line}"
    );
    assert!(line.ends_with(&format!(r#""previous":"{previous}","signature":"{}","entry":"0607"}}"#, "05".repeat(64))));
    assert!(!line.chars().any(char::is_control));
    (exported.name, exported.content, exported.signature) = (None, None, None);
    let line = export_line(&corpus::lobby(), &exported);
    assert!(
        line.contains(r#""seq":7,"epoch":2,"depth":8,"sent_at_ms":1795226400123,"kind":null,"text":null,"#)
            && line.contains(r#""signature":null"#)
    );
}

#[test]
fn every_input_is_understood() {
    let room = corpus::lobby;
    let id = "04".repeat(32);
    let knock = || KnockRef::Id(ProposalHash([4; 32]));
    let settings = Settings { consent_timeout_s: 5, grace_s: 7 };
    let who = || vec![corpus::name("bob")];
    let remember = |fingerprint, rule| Command::Remember { room: room(), name: corpus::name("bob"), fingerprint, rule };
    let pinned = [
        (
            r#"{"do":"say","room":"lobby","text":" a\nb "}"#.to_owned(),
            Command::Say { room: room(), text: " a\nb ".into() },
        ),
        (format!(r#"{{"do":"approve","knock":"{id}"}}"#), Command::Approve(knock())),
        (format!(r#"{{"knock":"{id}","do":"deny"}}"#), Command::Deny(knock())),
        (
            r#"{"do":"create","room":"lobby"}"#.to_owned(),
            Command::Create { room: room(), size: 64, settings: Creation::default().settings() },
        ),
        (
            r#"{"do":"create","room":"lobby","size":3,"consent_timeout":5,"grace":7}"#.to_owned(),
            Command::Create { room: room(), size: 3, settings },
        ),
        (r#"{"do":"join","room":"lobby"}"#.to_owned(), Command::Join(room())),
        (
            r#"{"do":"ticket","room":"lobby","expires_in_s":60}"#.to_owned(),
            Command::Ticket { room: room(), expires_in_s: Some(60) },
        ),
        (format!(r#"{{"do":"enter","ticket":"{}"}}"#, corpus::ticket()), Command::Enter(corpus::ticket())),
        (r#"{"do":"publish","server":"chat.example"}"#.to_owned(), Command::Publish { server: "chat.example".into() }),
        (r#"{"do":"leave","room":"lobby"}"#.to_owned(), Command::Leave(room())),
        (r#"{"do":"rejoin","room":"lobby"}"#.to_owned(), Command::Rejoin(room())),
        (r#"{"do":"members","room":"lobby"}"#.to_owned(), Command::Members(room())),
        (r#"{"do":"paths","room":"lobby"}"#.to_owned(), Command::Paths(room())),
        (r#"{"do":"delete","room":"lobby"}"#.to_owned(), Command::Delete(room())),
        (r#"{"do":"last","room":"lobby"}"#.to_owned(), Command::Last { room: room(), count: 20 }),
        (
            r#"{"do":"search","room":"lobby","words":"a*","count":3}"#.to_owned(),
            Command::Search { room: room(), words: "a*".into(), count: 3 },
        ),
        (r#"{"do":"remove","room":"lobby","names":["bob"]}"#.to_owned(), Command::Remove { room: room(), who: who() }),
        (r#"{"do":"keep","room":"lobby","names":["bob"]}"#.to_owned(), Command::Keep { room: room(), who: who() }),
        (
            r#"{"do":"reform","room":"lobby","new":"annex","without":["bob"]}"#.to_owned(),
            Command::Reform { room: room(), new: corpus::annex(), without: who() },
        ),
        (
            r#"{"do":"reform","room":"lobby","new":"annex"}"#.to_owned(),
            Command::Reform { room: room(), new: corpus::annex(), without: vec![] },
        ),
        (r#"{"do":"refuse_reform","room":"lobby"}"#.to_owned(), Command::RefuseReform(room())),
        (r#"{"do":"remember","room":"lobby","name":"bob","rule":"follow"}"#.to_owned(), remember(None, Rule::Follow)),
        (
            format!(
                r#"{{"do":"remember","room":"lobby","name":"bob","fingerprint":"{}","rule":"never"}}"#,
                corpus::words(2)
            ),
            remember(Some(corpus::words(2)), Rule::Never),
        ),
        (r#"{"do":"rules","room":"lobby"}"#.to_owned(), Command::Rules(room())),
        (r#"{"do":"pending","room":"lobby"}"#.to_owned(), Command::Pending(room())),
        (r#"{"do":"membership","room":"lobby"}"#.to_owned(), Command::Membership(room())),
        (r#"{"do":"list"}"#.to_owned(), Command::List),
        (r#"{"do":"pin","accept":true}"#.to_owned(), Command::Pin { accept: true }),
        (r#" {"do":"quit"} "#.to_owned(), Command::Quit),
    ];
    for (line, command) in pinned {
        assert_eq!(input::parse(&line, Creation::default()), Ok(command), "{line}");
    }
}

#[test]
fn bad_input_is_told_by_its_code() {
    let deep = format!("{{\"do\":\"say\",\"room\":{}", "[".repeat(60_000));
    let table = [
        ("hello", "bad_json"),
        ("{", "bad_json"),
        (deep.as_str(), "bad_json"),
        ("[]", "bad_input"),
        ("{}", "bad_input"),
        (r#"{"do":"dance"}"#, "bad_input"),
        (r#"{"do":"list","all":true}"#, "bad_input"),
        (r#"{"do":"say","room":"lobby"}"#, "bad_input"),
        (r#"{"do":"say","room":"a b","text":""}"#, "bad_input"),
        (r#"{"do":"create","room":"lobby","sise":3}"#, "bad_input"),
        (r#"{"do":"create","room":"lobby","size":70000}"#, "bad_input"),
        (r#"{"do":"approve","knock":"bob"}"#, "bad_input"),
        (r#"{"do":"remember","room":"lobby","name":"bob","rule":"sometimes"}"#, "bad_input"),
        (r#"{"do":"remember","room":"lobby","name":"bob","rule":"never","fingerprint":"acid-otter"}"#, "bad_input"),
        ("{\"do\":\"\\u001b[2J\"}", "bad_input"),
    ];
    for (line, code) in table {
        let said = input::parse(line, Creation::default()).unwrap_err();
        assert_eq!(said.code, code, "{}", &line[..line.len().min(80)]);
        assert!(!output::error_line(&said).chars().any(char::is_control));
    }
}

struct Fake {
    chat: Chat,
    taken: mpsc::Receiver<Command>,
    tell: Teller,
}

fn fake() -> Fake {
    let (commands, taken) = mpsc::channel(1);
    let (tell, events) = Events::channel();
    Fake { chat: Chat::new(commands, events), taken, tell }
}

#[tokio::test]
async fn the_program_goes_on_after_bad_input_and_quits_at_the_end() {
    let Fake { chat, mut taken, tell } = fake();
    let input = b"nonsense\n\n{\"do\":\"list\"}\n".as_slice();
    let mut output = Vec::new();
    let (_stay, stop) = mpsc::channel(1);
    let face = run(chat, Opening::Nothing, Creation::default(), BufReader::new(input), &mut output, stop);
    let script = async {
        assert_eq!(taken.recv().await, Some(Command::List));
        assert_eq!(taken.recv().await, Some(Command::Quit));
        tell.tell(Event::Ended(Ending::Done)).await;
    };
    let (exit, ()) = tokio::join!(face, script);
    assert_eq!(exit, Exit::Done);
    let output = String::from_utf8(output).unwrap();
    let lines: Vec<_> = output.lines().collect();
    assert!(lines[0].starts_with(r#"{"type":"error","code":"bad_json""#), "{output}");
    assert_eq!(lines[1], r#"{"type":"ended","how":"done"}"#);
}

#[tokio::test]
async fn a_refusal_of_the_first_room_ends_with_its_code() {
    let Fake { chat, mut taken, tell } = fake();
    let mut output = Vec::new();
    let (_stay, stop) = mpsc::channel(1);
    let opening = Opening::Join { room: corpus::lobby(), create: None, offer: None };
    let face = run(chat, opening, Creation::default(), BufReader::new(b"".as_slice()), &mut output, stop);
    let script = async {
        tell.tell(Event::ServerUp { server: "here".into(), member: false }).await;
        assert_eq!(taken.recv().await, Some(Command::Join(corpus::lobby())));
        tell.tell(Event::Refused { room: corpus::lobby(), reason: Refusal::Expired }).await;
        assert_eq!(taken.recv().await, Some(Command::Quit));
        tell.tell(Event::Ended(Ending::Done)).await;
    };
    let (exit, ()) = tokio::join!(face, script);
    assert_eq!(exit, Exit::Refused);
    assert!(String::from_utf8(output).unwrap().contains(r#""type":"refused","room":"lobby","reason":"expired""#));
}

#[tokio::test]
async fn a_stop_from_outside_leaves_well() {
    let Fake { chat, mut taken, tell } = fake();
    let mut output = Vec::new();
    let (halt, stop) = mpsc::channel(1);
    let face = run(chat, Opening::Nothing, Creation::default(), BufReader::new(b"".as_slice()), &mut output, stop);
    let script = async {
        halt.send(()).await.unwrap();
        assert_eq!(taken.recv().await, Some(Command::Quit));
        tell.tell(Event::Ended(Ending::Undelivered)).await;
    };
    let (exit, ()) = tokio::join!(face, script);
    assert_eq!(exit, Exit::Failed);
}

#[tokio::test]
async fn a_room_that_is_made_on_the_way_in_is_no_refusal() {
    let Fake { chat, mut taken, tell } = fake();
    tell.tell(Event::Refused { room: corpus::lobby(), reason: Refusal::NoSuchRoom }).await;
    let mut output = Vec::new();
    let (_stay, stop) = mpsc::channel(1);
    let creation = Creation { size: 3, ..Creation::default() };
    let opening = Opening::Join { room: corpus::lobby(), create: Some(creation), offer: None };
    let face = run(chat, opening, creation, BufReader::new(b"{\"do\":\"quit\"}".as_slice()), &mut output, stop);
    let script = async {
        let create = Command::Create { room: corpus::lobby(), size: 3, settings: creation.settings() };
        assert_eq!(taken.recv().await, Some(create));
        assert_eq!(taken.recv().await, Some(Command::Quit));
        tell.tell(Event::Ended(Ending::Done)).await;
    };
    let (exit, ()) = tokio::join!(face, script);
    assert_eq!(exit, Exit::Done);
    assert_eq!(String::from_utf8(output).unwrap(), "{\"type\":\"ended\",\"how\":\"done\"}\n");
}
