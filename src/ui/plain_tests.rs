use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::peer::api::{
    Answer, Creation, Entrance, Events, Failure, ProposalHash, Recall, ReformState, Refusal, Teller,
};
use crate::ui::corpus::{self, lobby};

/// The other side of both the chat and the terminal.
struct Hand {
    taken: mpsc::Receiver<Command>,
    tell: Teller,
    keys: mpsc::Sender<Typed>,
    screen: mpsc::Receiver<String>,
    halt: mpsc::Sender<()>,
}

impl Hand {
    async fn tell(&self, event: Event) {
        self.tell.tell(event).await;
    }

    async fn expect(&mut self, command: Command) {
        assert_eq!(self.taken.recv().await, Some(command));
    }

    async fn press(&self, key: Key) {
        let (go_on, _) = std::sync::mpsc::channel();
        self.keys.send(Typed { key, go_on }).await.unwrap();
    }

    async fn type_line(&self, line: &str) {
        self.press(Key::Line(line.to_owned())).await;
    }

    async fn see(&mut self, row: &str) {
        assert_eq!(self.screen.recv().await.as_deref(), Some(format!("{row}\n").as_str()));
    }

    async fn skip(&mut self, rows: usize) {
        for _ in 0..rows {
            self.screen.recv().await.unwrap();
        }
    }

    async fn let_in(&mut self) {
        self.tell(Event::ServerUp { server: "here".into(), member: false }).await;
        self.see("* connected to the server here").await;
        self.expect(Command::Join(lobby())).await;
        self.tell(corpus::joined(Entrance::Admitted)).await;
        self.see("* everybody agreed: you are in lobby (with bob, carol)").await;
        self.skip(1).await;
    }

    async fn end(mut self) {
        self.expect(Command::Quit).await;
        self.tell(Event::Ended(Ending::Done)).await;
    }
}

async fn plain<F>(script: impl FnOnce(Hand) -> F) -> (Exit, Option<Said>)
where
    F: Future<Output = ()>,
{
    let (commands, taken) = mpsc::channel(4);
    let (tell, events) = Events::channel();
    let (keys, typed) = mpsc::channel(1);
    let (screen, shown) = mpsc::channel(64);
    let (halt, stop) = mpsc::channel(1);
    let terminal = Terminal {
        typed,
        screen,
        columns: || None,
        zone: jiff::tz::TimeZone::UTC,
        takes_back: true,
        saying: Arc::new(AtomicBool::new(false)),
    };
    let opening = Opening::Join { room: lobby(), create: None, offer: Some(Creation::default()) };
    let face = run(Chat::new(commands, events), opening, terminal, stop);
    tokio::join!(face, script(Hand { taken, tell, keys, screen: shown, halt })).0
}

#[tokio::test]
async fn messages_stand_with_their_time_and_name() {
    let (exit, said) = plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.type_line("hello //there").await;
        hand.expect(Command::Say { room: lobby(), text: "hello //there".into() }).await;
        hand.tell(corpus::message(1, "alice", "hello //there")).await;
        hand.see("02:00 alice     hello //there").await;
        hand.tell(corpus::message(2, "bob", "red \u{1b}[31m\nnext")).await;
        hand.see("02:00 bob       red ␛[31m␊next").await;
        hand.type_line("/quit").await;
        hand.end().await;
    })
    .await;
    assert_eq!((exit, said), (Exit::Done, None));
}

#[tokio::test]
async fn texts_of_earlier_stand_between_two_sentences_with_their_day() {
    plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(corpus::history(Recall::Joined, 1)).await;
        hand.see("* from the history of lobby, the last 2 messages, with 1 message before them:").await;
        hand.see("2026-11-21 02:00 bob       ␛]52;c;cm0=␇<U+009B>2J␍␊<U+202E>evil").await;
        hand.see(&format!("2026-11-21 02:00 @{}  my own", corpus::words(1).tag())).await;
        hand.see("* that was the history").await;
        hand.type_line("/last 50").await;
        hand.expect(Command::Last { room: lobby(), count: 50 }).await;
        hand.type_line("/search \"red fox\" jum*").await;
        let words = "\"red fox\" jum*".to_owned();
        hand.expect(Command::Search { room: lobby(), words, count: 20 }).await;
        hand.tell(Event::History { room: lobby(), why: Recall::Search, messages: vec![], more: 0 }).await;
        hand.see("* nothing in the history of lobby fits").await;
        hand.type_line(":q").await;
        hand.end().await;
    })
    .await;
}

#[tokio::test]
async fn names_that_look_alike_carry_words_of_their_keys() {
    plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(corpus::message(2, "bob", "I was here first")).await;
        hand.see("02:00 bob       I was here first").await;
        hand.tell(corpus::message(9, "b0b", "I am not bob")).await;
        hand.see(&format!("02:00 b0b@{}  I am not bob", corpus::words(9).tag())).await;
        hand.tell(corpus::message(2, "bob", "indeed")).await;
        hand.see(&format!("02:00 bob@{}  indeed", corpus::words(2).tag())).await;
        hand.type_line(":q").await;
        hand.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_knock_is_answered_in_full_words_only() {
    plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(corpus::knock_of(4, "dana")).await;
        hand.see("* dana (name unverified) wants to join lobby").await;
        hand.skip(5).await;
        hand.type_line("").await;
        hand.type_line("/aprove dana").await;
        hand.see("* there is no command /aprove, so nothing was sent. Did you mean /approve? To say it, begin with //")
            .await;
        hand.type_line("/approve eve").await;
        hand.see("* error: nobody of that name is knocking, or it is over").await;
        hand.skip(1).await;
        assert!(hand.taken.try_recv().is_err(), "neither Enter nor a slip has answered");
        hand.type_line("/deny dana").await;
        hand.expect(Command::Deny(KnockRef::Id(ProposalHash([4; 32])))).await;
        let (name, by) = (corpus::name("dana"), corpus::name("alice"));
        let knock = ProposalHash([4; 32]);
        hand.tell(Event::Consent { room: lobby(), knock, name, by, decision: Answer::No }).await;
        hand.see("* alice said no to dana").await;
        hand.halt.send(()).await.unwrap();
        hand.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_room_that_does_not_exist_is_made_after_a_yes() {
    for (answer, made) in [("y", true), ("", false), ("no", false)] {
        let (exit, _) = plain(async |mut hand: Hand| {
            hand.tell(Event::Refused { room: lobby(), reason: Refusal::NoSuchRoom }).await;
            hand.see("* there is no room lobby. Create it? [y/N]").await;
            hand.type_line(answer).await;
            if made {
                let settings = Creation::default().settings();
                hand.expect(Command::Create { room: lobby(), size: 64, settings }).await;
                hand.press(Key::End).await;
            }
            hand.end().await;
        })
        .await;
        assert_eq!(exit, if made { Exit::Done } else { Exit::Failed });
    }
}

#[tokio::test]
async fn a_fingerprint_is_accepted_by_a_whole_word() {
    for (answer, accept) in [("yes", true), ("no", false)] {
        plain(async |mut hand: Hand| {
            hand.tell(Event::PinWanted { server: "here".into(), fingerprint: corpus::words(9), member: false }).await;
            hand.skip(3).await;
            for unclear in ["y", ""] {
                hand.type_line(unclear).await;
                hand.see(&format!("* {}", reach::YES_OR_NO)).await;
            }
            hand.type_line(answer).await;
            hand.expect(Command::Pin { accept }).await;
            hand.press(Key::End).await;
            hand.end().await;
        })
        .await;
    }
}

#[tokio::test]
async fn ctrl_c_leaves_only_when_meant() {
    plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.press(Key::Interrupt { cleared: true }).await;
        hand.press(Key::Interrupt { cleared: false }).await;
        hand.see("* Ctrl-C again to leave").await;
        hand.press(Key::Interrupt { cleared: true }).await;
        hand.press(Key::Interrupt { cleared: false }).await;
        hand.see("* Ctrl-C again to leave").await;
        hand.press(Key::Interrupt { cleared: false }).await;
        hand.end().await;
    })
    .await;
}

#[tokio::test]
async fn the_newcomer_is_told_again_only_when_a_count_changes() {
    let (exit, said) = plain(async |mut hand: Hand| {
        let knocking = |yes, left| Event::Knocking { room: lobby(), yes, of: 4, expires_in_s: Some(left), ahead: 0 };
        for (yes, left) in [(1, 50), (1, 49), (1, 48), (2, 41)] {
            hand.tell(knocking(yes, left)).await;
        }
        hand.see("* knocking at lobby: 1 of 4 said yes, 50 s left").await;
        hand.see("* knocking at lobby: 2 of 4 said yes, 41 s left").await;
        hand.type_line("am I in?").await;
        hand.see("* you are not in the room yet; nothing was sent").await;
        hand.tell(Event::Refused { room: lobby(), reason: Refusal::Expired }).await;
        hand.end().await;
    })
    .await;
    assert_eq!(exit, Exit::Refused);
    assert_eq!(said.unwrap().code, "expired");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_not_itself_has_its_exit_code() {
    let unreachable =
        Failure::ServerUnreachable { server: "here".into(), why: "no answer".into(), no_such_name: false };
    let (pinned, shown) = (corpus::words(1), corpus::words(2));
    let changed = Failure::ServerChanged { server: "here".into(), pinned, shown, file: "servers".into() };
    for (failure, code) in [(unreachable, Exit::Unreachable), (changed, Exit::Identity)] {
        let (exit, said) = plain(async |hand: Hand| {
            hand.tell(Event::Failed(failure)).await;
            hand.end().await;
        })
        .await;
        assert_eq!(exit, code);
        assert!(said.is_some());
    }
}

#[tokio::test]
async fn leave_ends_the_program() {
    let (exit, _) = plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.type_line("/leave").await;
        hand.expect(Command::Leave(lobby())).await;
        hand.tell(Event::Left { room: lobby(), why: crate::peer::api::Leaving::Asked }).await;
        hand.see("* you have left lobby").await;
        hand.end().await;
    })
    .await;
    assert_eq!(exit, Exit::Done);
}

#[tokio::test]
async fn after_founding_anew_what_is_typed_goes_to_the_new_room() {
    let (exit, said) = plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(corpus::reform(ReformState::Asked { expires_in_s: 60 })).await;
        hand.see("* bob wants to found lobby anew as annex, without mallory").await;
        hand.skip(2).await;
        hand.type_line("").await;
        hand.type_line("/reform annex").await;
        hand.expect(Command::Reform { room: lobby(), new: corpus::annex(), without: vec![] }).await;
        hand.tell(corpus::reform(ReformState::Agreed)).await;
        hand.see("* all agreed: going over from lobby to annex, without mallory").await;
        hand.type_line("still here").await;
        hand.expect(Command::Say { room: lobby(), text: "still here".into() }).await;
        let how = Entrance::Admitted;
        hand.tell(Event::Joined { room: corpus::annex(), epoch: 1, members: vec![], how }).await;
        hand.see("* everybody agreed: you are in annex (with nobody yet)").await;
        hand.skip(1).await;
        hand.tell(Event::Left { room: lobby(), why: crate::peer::api::Leaving::Reformed }).await;
        hand.see("* you have left lobby, which was founded anew").await;
        hand.type_line("here now").await;
        hand.expect(Command::Say { room: corpus::annex(), text: "here now".into() }).await;
        hand.type_line("/quit").await;
        hand.end().await;
    })
    .await;
    assert_eq!((exit, said), (Exit::Done, None));
}

#[tokio::test]
async fn a_removal_is_answered_in_full_words_and_ends_the_program_of_whom_it_is_about() {
    let (exit, said) = plain(async |mut hand: Hand| {
        hand.let_in().await;
        hand.tell(corpus::removal()).await;
        hand.see("* bob wants to remove mallory from lobby").await;
        hand.skip(3).await;
        hand.type_line("").await;
        hand.type_line("/keep mallory").await;
        hand.expect(Command::Keep { room: lobby(), who: vec![corpus::name("mallory")] }).await;
        hand.tell(Event::Left { room: lobby(), why: crate::peer::api::Leaving::Removed }).await;
        hand.see("* all others decided to go on without you in lobby").await;
        hand.end().await;
    })
    .await;
    assert_eq!(exit, Exit::Failed);
    assert_eq!(said.unwrap().code, "removed");
}

#[tokio::test]
async fn whoever_waits_for_others_is_told_once_for_whom() {
    plain(async |mut hand: Hand| {
        hand.tell(corpus::ready("alice")).await;
        hand.skip(1).await;
        hand.let_in().await;
        let (name, by) = (corpus::name("dana"), corpus::name("alice"));
        let knock = ProposalHash([4; 32]);
        hand.tell(Event::Consent { room: lobby(), knock, name, by, decision: Answer::Yes }).await;
        hand.see("* alice said yes to dana").await;
        hand.expect(Command::Pending(lobby())).await;
        hand.type_line("/quit").await;
        // Were it told again, that would come first.
        hand.end().await;
    })
    .await;
}

#[test]
fn a_command_to_be_copied_is_one_line_and_what_others_said_is_not() {
    assert!(tickets::is_command(&format!("p2pchat join {}", corpus::ticket())));
    for other in ["p2pchat join p2p", "p2pchat join p2p2abc && rm", "topic: p2pchat join p2p2abc", "p2pchat join lobby"]
    {
        assert!(!tickets::is_command(other), "{other}");
    }
}
