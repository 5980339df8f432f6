use tokio::io::{AsyncWriteExt as _, BufReader};

use super::*;
use crate::peer::api::{Ending, Entrance, Events, KnockRef, Leaving, ProposalHash, ReformState, Refusal, Teller};
use crate::ui::corpus::{self, lobby};

/// Runs a pipe over a chat that takes commands one at a time and does what `script` says.
struct Outcome {
    exit: Exit,
    stdout: String,
    stderr: String,
}

async fn pipe<F>(input: &[u8], choices: Choices, script: impl FnOnce(Hand) -> F) -> Outcome
where
    F: Future<Output = ()>,
{
    // A small buffer, so that reading ahead shows.
    pipe_from(BufReader::with_capacity(16, input), choices, script).await
}

async fn pipe_from<F>(stdin: impl AsyncBufRead + Unpin, choices: Choices, script: impl FnOnce(Hand) -> F) -> Outcome
where
    F: Future<Output = ()>,
{
    let (commands, taken) = mpsc::channel(1);
    let (tell, events) = Events::channel();
    let (halt, stop) = mpsc::channel(1);
    let opening = Opening::Join { room: lobby(), create: None, offer: None };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let face = run(Chat::new(commands, events), opening, choices, stdin, &mut stdout, &mut stderr, stop);
    let (exit, ()) = tokio::join!(face, script(Hand { taken, tell, halt }));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { exit, stdout: text(stdout), stderr: text(stderr) }
}

struct Hand {
    taken: mpsc::Receiver<Command>,
    tell: Teller,
    halt: mpsc::Sender<()>,
}

impl Hand {
    async fn tell(&self, event: Event) {
        self.tell.tell(event).await;
    }

    async fn expect(&mut self, command: Command) {
        assert_eq!(self.taken.recv().await, Some(command));
    }

    async fn expect_said(&mut self, text: &str) {
        self.expect(Command::Say { room: lobby(), text: text.to_owned() }).await;
    }

    async fn let_in(&mut self) {
        self.tell(Event::ServerUp { server: "here".into(), member: false }).await;
        self.expect(Command::Join(lobby())).await;
        assert!(self.taken.try_recv().is_err(), "nothing is said before we are in");
        self.tell(corpus::joined(Entrance::Admitted)).await;
    }

    async fn end(mut self, how: Ending) {
        self.expect(Command::Quit).await;
        self.tell(Event::Ended(how)).await;
    }
}

#[tokio::test]
async fn every_line_is_said_exactly_and_the_end_of_input_quits() {
    let input = b"one\n\n  leading\ttab \n//two slashes\n/dance\n/approve\nlast";
    let outcome = pipe(input, Choices::default(), async |mut hand: Hand| {
        hand.let_in().await;
        for text in ["one", "", "  leading\ttab ", "//two slashes", "/dance", "/approve", "last"] {
            hand.expect_said(text).await;
        }
        hand.end(Ending::Done).await;
    })
    .await;
    assert_eq!(outcome.exit, Exit::Done);
    assert_eq!(outcome.stdout, "");
}

#[tokio::test]
async fn only_the_others_texts_reach_standard_output() {
    let outcome = pipe(b"", Choices::default(), async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(corpus::message(2, "bob", "  a\ttext  ")).await;
        hand.tell(corpus::message(1, "alice", "mine")).await;
        hand.tell(corpus::message(2, "bob", "")).await;
        hand.tell(corpus::message(2, "bob", "two\nlines\u{1b}[m")).await;
        hand.halt.send(()).await.unwrap();
        hand.end(Ending::Done).await;
    })
    .await;
    assert_eq!(outcome.exit, Exit::Done, "an empty input reads along until it is stopped");
    assert_eq!(outcome.stdout, "  a\ttext  \n\ntwo␊lines␛[m\n");
    assert!(outcome.stderr.contains("you are in lobby"));
}

#[tokio::test]
async fn raw_passes_everything_on() {
    let choices = Choices { raw: true, no_commands: false };
    let outcome = pipe(b"", choices, async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(corpus::message(2, "bob", "\u{1b}[m")).await;
        hand.halt.send(()).await.unwrap();
        hand.end(Ending::Done).await;
    })
    .await;
    assert_eq!(outcome.stdout, "\u{1b}[m\n");
}

#[tokio::test]
async fn a_script_answers_by_name_and_says_commands_if_it_wants() {
    pipe(b"/approve dana\n:q\n", Choices::default(), async |mut hand: Hand| {
        hand.tell(corpus::knock_of(4, "dana")).await;
        hand.let_in().await;
        hand.expect(Command::Approve(KnockRef::Id(ProposalHash([4; 32])))).await;
        hand.end(Ending::Done).await;
    })
    .await;
    let choices = Choices { no_commands: true, raw: false };
    pipe(b"/quit\n", choices, async |mut hand: Hand| {
        hand.let_in().await;
        hand.expect_said("/quit").await;
        hand.end(Ending::Done).await;
    })
    .await;
}

#[tokio::test]
async fn bad_lines_are_named_and_the_rest_is_said() {
    let mut input = b"good\n\xff\n".to_vec();
    input.extend("x".repeat(TEXT_BYTES_MAX + 1).bytes());
    input.extend(b"\nlast\n");
    let outcome = pipe(&input, Choices::default(), async |mut hand: Hand| {
        hand.let_in().await;
        hand.expect_said("good").await;
        hand.expect_said("last").await;
        hand.end(Ending::Done).await;
    })
    .await;
    assert_eq!(outcome.exit, Exit::Failed);
    assert!(outcome.stderr.contains("line 2 is not UTF-8"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("line 3 is longer than 4096 bytes"), "{}", outcome.stderr);
}

#[tokio::test]
async fn ends_that_are_no_success_say_so() {
    let undelivered = pipe(b"text\n", Choices::default(), async |mut hand: Hand| {
        hand.let_in().await;
        hand.expect_said("text").await;
        hand.end(Ending::Undelivered).await;
    })
    .await;
    assert_eq!(undelivered.exit, Exit::Failed);
    assert!(undelivered.stderr.contains("had reached everybody"));

    let denied = pipe(b"text\n", Choices::default(), async |hand: Hand| {
        hand.tell(Event::Refused { room: lobby(), reason: Refusal::Denied }).await;
        hand.end(Ending::Done).await;
    })
    .await;
    assert_eq!(denied.exit, Exit::Refused);
    assert!(denied.stderr.starts_with("error: lobby said no\n  hint: "), "{}", denied.stderr);

    let dropped = pipe(b"", Choices::default(), async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(Event::Left { room: lobby(), why: Leaving::DroppedByOthers }).await;
        hand.tell(Event::Refused { room: lobby(), reason: Refusal::Expired }).await;
        hand.end(Ending::Done).await;
    })
    .await;
    assert_eq!(dropped.exit, Exit::Refused);
    assert!(dropped.stderr.contains("went on without you; knocking again"), "{}", dropped.stderr);

    let gone = pipe(b"", Choices::default(), async |mut hand: Hand| hand.let_in().await).await;
    assert_eq!(gone.exit, Exit::Failed);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it_quietly() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (commands, mut taken) = mpsc::channel(1);
    let (tell, events) = Events::channel();
    let (_stay, stop) = mpsc::channel(1);
    let opening = Opening::Join { room: lobby(), create: None, offer: None };
    let mut stderr = Vec::new();
    let stdin = BufReader::new(b"".as_slice());
    let chat = Chat::new(commands, events);
    let face = run(chat, opening, Choices::default(), stdin, Closed, &mut stderr, stop);
    let script = async {
        tell.tell(corpus::message(2, "bob", "text")).await;
        assert_eq!(taken.recv().await, Some(Command::Quit));
        tell.tell(Event::Ended(Ending::Done)).await;
    };
    let (exit, ()) = tokio::join!(face, script);
    assert_eq!(exit, Exit::Done);
    assert_eq!(stderr, b"");
}

#[tokio::test]
async fn a_script_goes_over_to_the_room_that_was_founded_anew() {
    let (mut typed, stdin) = tokio::io::duplex(64);
    let outcome = pipe_from(BufReader::new(stdin), Choices::default(), async |mut hand: Hand| {
        hand.let_in().await;
        typed.write_all(b"/reform annex\nin the old one\n").await.unwrap();
        hand.expect(Command::Reform { room: lobby(), new: corpus::annex(), without: vec![] }).await;
        hand.expect_said("in the old one").await;
        hand.tell(corpus::reform(ReformState::Agreed)).await;
        let (room, how) = (corpus::annex(), Entrance::Founded);
        hand.tell(Event::Joined { room, epoch: 0, members: vec![], how }).await;
        hand.tell(Event::Left { room: lobby(), why: Leaving::Reformed }).await;
        // Taken once the one before was heard.
        hand.tell(corpus::message(2, "bob", "hello")).await;
        typed.write_all(b"in the new one\n").await.unwrap();
        hand.expect(Command::Say { room: corpus::annex(), text: "in the new one".into() }).await;
        drop(typed);
        hand.end(Ending::Done).await;
    })
    .await;
    assert_eq!(outcome.exit, Exit::Done);
    assert!(outcome.stderr.contains("you have left lobby, which was founded anew"), "{}", outcome.stderr);
}
