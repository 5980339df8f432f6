//! How soon the first words are there: server, two chats, a net in memory whose packets all take the same time, and a stopped
//! clock, so that only the ways count and no machine is too slow.

use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;

use super::stage::Stage;
use super::weather::{lobby, say, until};
use crate::net::shim::{Net, Plug, Router, Weather};
use crate::peer::api::{Chat, Command, Event, KnockRef, Options, Settings};
use crate::peer::start_over;

/// One way, between any two, the server among them.
const ONE_WAY: Duration = Duration::from_millis(100);

/// What is no round trip: a chat's clock and timers count whole milliseconds.
const GRAIN: Duration = Duration::from_millis(10);

fn socket(net: &Net, nth: u8, router: Router) -> Plug {
    net.host_under(nth, router, Weather { delay: ONE_WAY, lost_percent: 0, rate: None, seed: 0 }).0
}

/// What somebody starts with whose socket is number `nth` of the net.
async fn start(stage: &Stage, net: &Net, name: &str, nth: u8, router: Router) -> Chat {
    let socket = socket(net, nth, router);
    let options = Options { listen: socket.local_addr().unwrap(), ..stage.options(name) };
    let mut chat = start_over(options, socket).await.unwrap();
    until(&mut chat, |event| matches!(event, Event::ServerUp { .. }).then_some(())).await;
    chat
}

/// When a text of somebody else's is shown.
async fn shown(chat: &mut Chat) -> Instant {
    until(chat, |event| matches!(event, Event::Message { mine: false, .. }).then(Instant::now)).await
}

/// Round trips after the last yes until the newcomer, and until the founder, is shown the other's first words.
async fn first_words(routers: [Router; 2]) -> (f64, f64) {
    let net = Net::default();
    let stage = Stage::set_over(socket(&net, 9, Router::None));
    let mut ann = start(&stage, &net, "ann", 1, routers[0]).await;
    let settings = Settings { consent_timeout_s: 60, grace_s: 120 };
    ann.commands.send(Command::Create { room: lobby(), size: 8, settings }).await.unwrap();
    until(&mut ann, |event| matches!(event, Event::Joined { .. }).then_some(())).await;
    let mut ben = start(&stage, &net, "ben", 2, routers[1]).await;
    ben.commands.send(Command::Join(lobby())).await.unwrap();
    let knock = until(&mut ann, |event| match event {
        Event::Knock { knock, .. } => Some(KnockRef::Id(*knock)),
        _ => None,
    });
    let knock = knock.await;
    let began = Instant::now();
    ann.commands.send(Command::Approve(knock)).await.unwrap();
    say(&ann, "welcome").await;
    until(&mut ben, |event| matches!(event, Event::Joined { .. }).then_some(())).await;
    say(&ben, "thank you").await;
    let (newcomer, founder) = tokio::join!(shown(&mut ben), shown(&mut ann));
    let round_trips = |at: Instant| (at - began - GRAIN.min(at - began)).as_secs_f64() / (2 * ONE_WAY).as_secs_f64();
    println!("{routers:?}: {:?} and {:?} after the last yes", newcomer - began, founder - began);
    (round_trips(newcomer), round_trips(founder))
}

#[tokio::test(start_paused = true)]
async fn the_first_words_are_there_three_round_trips_after_the_last_approval() {
    // Half a round trip each for the yes and the admission, one for the handshake, half a one for the newcomer's words; the
    // founder sees the link by then, and half a one later the newcomer hears them.
    let (newcomer, founder) = LocalSet::new().run_until(first_words([Router::None, Router::None])).await;
    assert!(newcomer <= 3.0 && founder <= 3.0, "{newcomer:.2} and {founder:.2} round trips");
    // A router before the newcomer is opened by its own dial.
    let (newcomer, founder) = LocalSet::new().run_until(first_words([Router::None, Router::Home])).await;
    assert!(newcomer <= 3.0 && founder <= 3.0, "{newcomer:.2} and {founder:.2} round trips");
}

#[tokio::test(start_paused = true)]
async fn across_two_routers_the_first_words_take_a_round_trip_more_since_both_must_open_theirs() {
    let (newcomer, founder) = LocalSet::new().run_until(first_words([Router::Home, Router::Home])).await;
    assert!(newcomer <= 4.0 && founder <= 4.0, "{newcomer:.2} and {founder:.2} round trips");
}
