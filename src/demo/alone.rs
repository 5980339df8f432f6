//! The play without an audience at a terminal: it goes through by itself and tells what it does.

use std::time::Instant;

use super::actor::{Actor, room};
use super::stage::Stage;
use super::{Fault, GUEST, MEMBER, ROOM, USER};
use crate::peer::api::{Command, Creation, Event, KnockRef};
use crate::ui::escape;
use crate::ui::notices::notice;

/// Plays it; each line of what is told goes to `tell`.
///
/// # Errors
/// [`Fault`] at the first thing that does not happen as it should.
pub(super) async fn play(tell: impl Fn(&str)) -> Result<(), Fault> {
    let began = Instant::now();
    let seen = |who: &str, event: &Event| {
        for line in lines(event) {
            tell(&format!("   {who} | {line}"));
        }
    };
    tell("p2pchat demo: a server and three people on this machine, over real QUIC.");
    tell("There is no terminal here, so it plays by itself; the lines behind | are what each of them sees.");

    let mut stage = Stage::set()?;
    tell("");
    tell(&format!("1. A rendezvous server listens on {}. Its certificate reads", stage.address));
    tell(&format!("   {}.", stage.fingerprint));
    tell("   It finds the room, puts knocks in order and passes signatures on. It never sees a message.");

    tell("");
    tell(&format!(
        "2. {MEMBER} founds the room {ROOM:?}. You knock at it, and {MEMBER}'s client signs yes to your key."
    ));
    let mut member = Actor::enter(&stage, MEMBER).await?;
    found(&mut member).await?;
    let mut user = Actor::enter(&stage, USER).await?;
    user.perform(Command::Join(room())).await?;
    member.approve_next().await?;
    seen(USER, &user.until("get into the room", joined).await?);

    tell("");
    tell(&format!("3. {GUEST} knocks. {MEMBER} has said yes already when your screen shows the prompt:"));
    let mut guest = Actor::enter(&stage, GUEST).await?;
    guest.perform(Command::Join(room())).await?;
    member.approve_next().await?;
    let prompt = answered_prompt(&mut user).await?;
    seen(USER, &prompt);
    tell(&format!("   Until everybody has agreed, {GUEST} learns no address and no name, only this:"));
    let half = |event: &Event| matches!(event, Event::Knocking { yes: 1, .. }).then(|| event.clone());
    seen(GUEST, &guest.until("hear of the first yes", half).await?);

    tell("");
    tell(&format!("4. You type /approve {GUEST}: your client signs that key into that roster. Now all have."));
    let Event::Knock { knock, .. } = prompt else { return Err(Fault::new("the prompt is none")) };
    user.perform(Command::Approve(KnockRef::Id(knock))).await?;
    seen(GUEST, &guest.until("get into the room", joined).await?);
    seen(USER, &user.until("see the newcomer come in", member_joined).await?);

    tell("");
    tell("5. The chat, from each to each directly:");
    guest.say("Thank you both for letting me in! I checked both of your signatures myself.").await?;
    seen(USER, &user.hear().await?);
    user.say("Welcome. What was said before you came stays with us, by the way.").await?;
    seen(GUEST, &guest.hear().await?);

    tell("");
    tell("6. The server is stopped, and the chat goes on:");
    stage.stop_server().await;
    let down = |event: &Event| matches!(event, Event::ServerDown { .. }).then(|| event.clone());
    seen(USER, &user.until("see that the server is gone", down).await?);
    user.say("Can you still hear me?").await?;
    seen(GUEST, &guest.hear().await?);
    guest.say("Loud and clear: nobody stands between us.").await?;
    seen(USER, &user.hear().await?);

    tell("");
    tell(&format!(
        "That was all of it, in {:.1} s. Run `p2pchat demo` at a terminal to answer the",
        began.elapsed().as_secs_f32()
    ));
    tell("prompt yourself; `p2pchat --help` shows how to begin for real.");
    tokio::join!(guest.leave(), user.leave(), member.leave());
    Ok(())
}

/// Founds the room and waits until it stands.
pub(super) async fn found(member: &mut Actor) -> Result<(), Fault> {
    let how = Creation::default();
    member.perform(Command::Create { room: room(), size: how.size, settings: how.settings() }).await?;
    member.until("found the room", joined).await.map(drop)
}

/// The user's prompt as it stands once the member has answered: events of the peer, nothing else.
async fn answered_prompt(user: &mut Actor) -> Result<Event, Fault> {
    let mut held = None;
    user.until("see the prompt with the first yes", |event| {
        super::prompt::pass(&mut held, event.clone()).filter(|event| matches!(event, Event::Knock { .. }))
    })
    .await
}

fn joined(event: &Event) -> Option<Event> {
    matches!(event, Event::Joined { .. }).then(|| event.clone())
}

fn member_joined(event: &Event) -> Option<Event> {
    matches!(event, Event::MemberJoined { .. }).then(|| event.clone())
}

/// An event as a person sees it.
fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Message { from, text, .. } => {
            vec![format!("{}: {}", escape::field(from.as_str(), 20), escape::text(text))]
        }
        Event::Joined { .. } => notice(event).into_iter().take(1).map(|line| format!("* {line}")).collect(),
        _ => notice(event).into_iter().map(|line| format!("* {line}")).collect(),
    }
}
