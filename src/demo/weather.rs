//! A whole chat in bad weather: server, knock, consent and talk over real sockets, whose packets are late or lost.

use std::time::Duration;

use tokio::time::timeout;

use super::stage::Stage;
use crate::net::shim::Weather;
use crate::peer::api::{Chat, Command, Event, KnockRef, RoomName, Settings};
use crate::peer::start_under;

/// Only a failure takes this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// One way between two peers. The server's own packets are not held up, so it is half as far away.
const ONE_WAY: Duration = Duration::from_millis(100);

pub(super) fn lobby() -> RoomName {
    "lobby".parse().unwrap()
}

/// Takes events until one fits.
pub(super) async fn until<T>(chat: &mut Chat, mut fits: impl FnMut(&Event) -> Option<T>) -> T {
    let mut heard = Vec::new();
    let found = timeout(DEADLINE, async {
        while let Some(event) = chat.events.recv().await {
            if let Some(found) = fits(&event) {
                return Some(found);
            }
            heard.push(event);
        }
        None
    });
    found.await.ok().flatten().unwrap_or_else(|| panic!("it never came; heard {heard:?}"))
}

fn text(event: &Event) -> Option<String> {
    match event {
        Event::Message { text, mine: false, .. } => Some(text.clone()),
        _ => None,
    }
}

pub(super) async fn say(chat: &Chat, text: &str) {
    chat.commands.send(Command::Say { room: lobby(), text: text.to_owned() }).await.unwrap();
}

/// Both leave in an orderly way.
async fn quit(chats: [Chat; 2]) {
    for mut chat in chats {
        chat.commands.send(Command::Quit).await.unwrap();
        until(&mut chat, |event| matches!(event, Event::Ended(_)).then_some(())).await;
    }
}

/// A founder, and a newcomer whose knock the founder sees; the knock.
async fn knocking(stage: &Stage) -> (Chat, Chat, KnockRef) {
    let weather = |seed| Weather { delay: ONE_WAY, lost_percent: 10, rate: None, seed };
    let mut ann = start_under(stage.options("ann"), weather(1)).await.unwrap();
    let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
    until(&mut ann, |event| matches!(event, Event::ServerUp { .. }).then_some(())).await;
    ann.commands.send(Command::Create { room: lobby(), size: 8, settings }).await.unwrap();
    until(&mut ann, |event| matches!(event, Event::Joined { .. }).then_some(())).await;
    let mut ben = start_under(stage.options("ben"), weather(2)).await.unwrap();
    until(&mut ben, |event| matches!(event, Event::ServerUp { .. }).then_some(())).await;
    ben.commands.send(Command::Join(lobby())).await.unwrap();
    let knock = until(&mut ann, |event| match event {
        Event::Knock { knock, .. } => Some(KnockRef::Id(*knock)),
        _ => None,
    });
    let knock = knock.await;
    (ann, ben, knock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_at_two_hundred_milliseconds_and_one_packet_in_ten_lost_loses_nothing() {
    let stage = Stage::set().map_err(|_| "no stage").unwrap();
    let (mut ann, mut ben, knock) = knocking(&stage).await;
    ann.commands.send(Command::Approve(knock)).await.unwrap();
    until(&mut ben, |event| matches!(event, Event::Joined { .. }).then_some(())).await;
    for nth in 0..20 {
        say(&ann, &format!("ann {nth}")).await;
        say(&ben, &format!("ben {nth}")).await;
    }
    for nth in 0..20 {
        assert_eq!(until(&mut ann, text).await, format!("ben {nth}"));
        assert_eq!(until(&mut ben, text).await, format!("ann {nth}"));
    }
    quit([ann, ben]).await;
}
