//! The play with the user at a terminal: they have a real peer and the plain face, and everything the two others do
//! depends on what they answer.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::actor::{Actor, room};
use super::stage::Stage;
use super::{Fault, GUEST, MEMBER, ROOM, USER, prompt};
use crate::peer;
use crate::peer::api::{Command, Event, Refusal};
use crate::ui::exit::Exit;
use crate::ui::session::Opening;
use crate::ui::terminal::Terminal;
use crate::ui::words::{Said, shown};
use crate::ui::{escape, plain, wrap};

/// Time to read a line before the next one comes.
const READING: Duration = Duration::from_millis(2_500);

/// A moment, as people take it before they answer.
const THINKING: Duration = Duration::from_millis(700);

/// Columns of the user's own line that the guest repeats.
const QUOTED_COLUMNS: usize = 60;

/// Everybody but the user, and the server.
pub(super) struct Cast {
    stage: Stage,
    member: Actor,
    guest: Option<Actor>,
}

impl Cast {
    /// Starts the server; the member founds the room.
    pub(super) async fn gather(tell: impl Fn(&str)) -> Result<Cast, Fault> {
        tell("# A server and two more people run on this machine now, all over real QUIC.");
        let stage = Stage::set()?;
        let mut member = Actor::enter(&stage, MEMBER).await?;
        super::alone::found(&mut member).await?;
        tell(&format!("# {MEMBER} has founded the room {ROOM:?} at the server {}.", stage.address));
        tell(&format!("# You knock at it; {MEMBER}, so far its only member, decides."));
        Ok(Cast { stage, member, guest: None })
    }

    /// Everybody leaves, and the folders go.
    pub(super) async fn leave(self) {
        let guest = async {
            if let Some(guest) = self.guest {
                guest.leave().await;
            }
        };
        tokio::join!(self.member.leave(), guest);
    }
}

/// Plays it until the user has had enough.
///
/// # Errors
/// [`Fault`] when one of the others could not do what the play says.
pub(super) async fn play(
    cast: &mut Cast,
    terminal: Terminal,
    stop: mpsc::Receiver<()>,
) -> Result<(Exit, Option<Said>), Fault> {
    let chat = peer::start(cast.stage.options(USER)).await.map_err(|why| Fault::new(shown(why)))?;
    let voice = Voice { screen: terminal.screen.clone(), columns: terminal.columns };
    let opening = Opening::Join { room: room(), create: None, offer: None };
    tokio::select! {
        outcome = plain::run(prompt::once_answered(chat), opening, terminal, stop) => Ok(outcome),
        followed = follow(cast, voice) => match followed {
            Ok(never) => match never {},
            Err(fault) => Err(fault),
        },
    }
}

/// Who explains what is seen.
struct Voice {
    screen: mpsc::Sender<String>,
    columns: fn() -> Option<usize>,
}

impl Voice {
    async fn tell(&self, text: &str) {
        let mut rows = wrap::wrap("# ", text, (self.columns)()).join("\n");
        rows.push('\n');
        // Without a screen the face ends by itself.
        let _ = self.screen.send(rows).await;
    }
}

/// What the others do, for as long as the user stays.
async fn follow(cast: &mut Cast, voice: Voice) -> Result<Infallible, Fault> {
    let Cast { stage, member, guest } = cast;
    member.approve_next().await?;
    let came_in = |event: &Event| matches!(event, Event::MemberJoined { .. }).then_some(());
    member.until("see you come in", came_in).await?;
    sleep(THINKING).await;
    member.say("Hi! My client has signed your key into the room. Before that, you knew nobody's address.").await?;
    sleep(READING).await;

    voice.tell(&format!("Now {GUEST}, a stranger, knocks. {MEMBER} and you are both asked.")).await;
    let guest = guest.insert(Actor::enter(stage, GUEST).await?);
    guest.perform(Command::Join(room())).await?;
    member.approve_next().await?;
    let half = |event: &Event| matches!(event, Event::Knocking { yes: 1, .. }).then_some(());
    guest.until("hear of the first yes", half).await?;
    sleep(THINKING).await;
    voice.tell(&format!("{MEMBER} has said yes; {GUEST} is told \"1 of 2 said yes\" and nothing else.")).await;
    voice.tell(&format!("Type /approve {GUEST} or /deny {GUEST}. If you stay silent, that is a no.")).await;

    match decision(member, guest).await? {
        None => in_company(stage, member, guest, &voice).await,
        Some(refusal) => without_guest(member, refusal, &voice).await,
    }
}

/// Waits for what becomes of the knock: `None` when the guest is in.
async fn decision(member: &mut Actor, guest: &mut Actor) -> Result<Option<Refusal>, Fault> {
    let mut reminded = false;
    loop {
        tokio::select! {
            event = guest.next() => match event? {
                Event::Joined { .. } => return Ok(None),
                Event::Refused { reason, .. } => return Ok(Some(reason)),
                _ => {}
            },
            event = member.next() => if matches!(event?, Event::Message { mine: false, .. }) && !reminded {
                reminded = true;
                sleep(THINKING).await;
                member.say(format!("I hear you, but {GUEST} does not: not before you have said /approve {GUEST}.")).await?;
            },
        }
    }
}

/// The guest is in: it thanks, listens, and shows that the server is not needed.
async fn in_company(
    stage: &mut Stage,
    member: &mut Actor,
    guest: &mut Actor,
    voice: &Voice,
) -> Result<Infallible, Fault> {
    sleep(THINKING).await;
    guest.say("Thank you both! I have checked your two signatures myself: I need not believe the server.").await?;
    sleep(READING).await;
    guest.say("This line came straight from my socket to yours. Say something, and I tell you what I got.").await?;
    let mut heard = 0;
    loop {
        tokio::select! {
            event = guest.next() => {
                let Event::Message { mine: false, text, seq, id, .. } = event? else { continue };
                heard += 1;
                sleep(THINKING).await;
                guest.say(answer(heard, &text, seq, &id.to_string())).await?;
                if heard == 1 {
                    sleep(READING).await;
                    stage.stop_server().await;
                    voice.tell("The server was stopped, for good. Say something again.").await;
                }
            }
            event = member.next() => drop(event?),
        }
    }
}

fn answer(heard: u32, text: &str, seq: u64, id: &str) -> String {
    let quoted = escape::field(text, QUOTED_COLUMNS);
    let id = id.get(..8).unwrap_or(id);
    match heard {
        1 => format!("I got \"{quoted}\": number {seq} of your log, id {id}…, signed by the key that I saw let in."),
        2 => format!("\"{quoted}\", number {seq}, and no server anywhere. /members shows how each of us is reached."),
        3 => format!("Heard; {MEMBER} has it too, your client sent it to each of us. /quit when you have seen enough."),
        _ => format!("Heard: number {seq}, id {id}…"),
    }
}

/// The guest is not in, and that is how it stays.
async fn without_guest(member: &mut Actor, refusal: Refusal, voice: &Voice) -> Result<Infallible, Fault> {
    let why = match refusal {
        Refusal::Expired => "Silence is a no",
        _ => "One no is enough",
    };
    voice.tell(&format!("{why}: {GUEST} is not in, and never learned an address or a name of yours.")).await;
    voice.tell("You can go on chatting here. /quit ends the demo; run it again to see the other ending.").await;
    loop {
        if let Event::Message { mine: false, seq, .. } = member.next().await? {
            sleep(THINKING).await;
            member.say(format!("Just the two of us, then. I have your line, number {seq} of your log.")).await?;
        }
    }
}
