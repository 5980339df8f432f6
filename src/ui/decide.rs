//! The commands by which people decide together, as they are typed: removals, founding anew, rules that answer knocks, and
//! looking back. What each of them asks the chat for is decided here, for all faces alike.
//!
//! None of them has a short form, and nothing but a full command is one.

use std::time::Duration;

use tokio::time::Instant;

use super::knocks::Knocks;
use super::slash::{Newcomer, Slash, newcomer};
use crate::peer::api::{Answer, Command, Event, Failure, Name, ProposalHash, RoomName, Rule};

/// How long an answer may be awaited after our own yes before it is told who is awaited: some read, some walk to the door.
#[cfg(not(test))]
const PATIENCE: Duration = Duration::from_secs(15);

/// Tests have none.
#[cfg(test)]
const PATIENCE: Duration = Duration::from_millis(20);

/// Such a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decide {
    /// Go on without members: propose it or agree.
    Remove(Vec<Name>),
    /// Refuse to.
    Keep(Vec<Name>),
    /// Found the room anew: propose it, or agree when nobody is named.
    Reform {
        /// What it is called.
        new: RoomName,
        /// Without whom.
        without: Vec<Name>,
    },
    /// Refuse to.
    RefuseReform,
    /// Answer a newcomer whose prompt was shown, now and later.
    Answer(Newcomer, Rule),
    /// Say how somebody's knocks are answered from now on.
    Remember(Newcomer, Rule),
    /// Show the rules.
    Rules,
    /// Show what is being decided.
    Waiting,
    /// Show how the room came to its members.
    Membership,
}

impl Decide {
    /// What the chat is asked for in `room`.
    ///
    /// # Errors
    /// [`Failure`] when it isn't clear who is meant.
    pub fn command(self, room: RoomName, knocks: &Knocks) -> Result<Command, Failure> {
        Ok(match self {
            Decide::Remove(who) => Command::Remove { room, who },
            Decide::Keep(who) => Command::Keep { room, who },
            Decide::Reform { new, without } => Command::Reform { room, new, without },
            Decide::RefuseReform => Command::RefuseReform(room),
            // A rule lets people in unasked, so it is for the key that was shown and no other.
            Decide::Remember(Newcomer::Named { name, tag: None }, rule) => {
                Command::Remember { room, name, fingerprint: None, rule }
            }
            Decide::Answer(newcomer, rule) | Decide::Remember(newcomer, rule) => {
                let (name, key) = knocks.shown(&room, &newcomer)?;
                Command::Remember { room, name, fingerprint: Some(key.fingerprint()), rule }
            }
            Decide::Rules => Command::Rules(room),
            Decide::Waiting => Command::Pending(room),
            Decide::Membership => Command::Membership(room),
        })
    }
}

/// `NAME` or `NAME always`: an answer, or one that is remembered by one of these rules.
pub(super) fn answer(rest: &str, plain: fn(Newcomer) -> Slash, rules: &[(&str, Rule)]) -> Option<Slash> {
    match rest.split_once(char::is_whitespace) {
        None => newcomer(rest).map(plain),
        Some((who, word)) => Some(Slash::Decide(Decide::Answer(newcomer(who)?, rule(word, rules)?))),
    }
}

/// What may stand behind `/approve NAME`.
pub(super) const APPROVALS: &[(&str, Rule)] = &[("always", Rule::Always), ("session", Rule::Session)];

/// What may stand behind `/deny NAME`.
pub(super) const DENIALS: &[(&str, Rule)] = &[("always", Rule::Never), ("never", Rule::Never)];

const RULES: &[(&str, Rule)] = &[
    ("ask", Rule::Ask),
    ("session", Rule::Session),
    ("always", Rule::Always),
    ("never", Rule::Never),
    ("follow", Rule::Follow),
];

/// `NAME RULE`.
pub(super) fn remember(rest: &str) -> Option<Slash> {
    let (who, word) = rest.split_once(char::is_whitespace)?;
    Some(Slash::Decide(Decide::Remember(newcomer(who)?, rule(word, RULES)?)))
}

fn rule(word: &str, among: &[(&str, Rule)]) -> Option<Rule> {
    among.iter().find(|(known, _)| *known == word.trim()).map(|(_, rule)| *rule)
}

/// One name or more.
pub(super) fn names(rest: &str) -> Option<Vec<Name>> {
    let names: Vec<Name> = rest.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    (!names.is_empty()).then_some(names)
}

/// `NEWROOM without NAME...`, `NEWROOM` or `no`.
pub(super) fn reform(rest: &str) -> Option<Slash> {
    let decide = match rest.split_once(char::is_whitespace) {
        None if rest == "no" => Decide::RefuseReform,
        None => Decide::Reform { new: rest.parse().ok()?, without: Vec::new() },
        Some((new, rest)) => {
            let without = rest.trim_start().strip_prefix("without")?;
            let apart = without.starts_with(char::is_whitespace);
            Decide::Reform { new: new.parse().ok()?, without: names(without).filter(|_| apart)? }
        }
    };
    Some(Slash::Decide(decide))
}

/// Whether we gave a yes that others have not followed yet: then it is told once who is awaited.
#[derive(Debug, Default)]
pub struct Awaited {
    me: Option<Name>,
    ours: Option<(ProposalHash, Instant)>,
}

impl Awaited {
    /// Notes what `event` means for it.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Ready { name, .. } => self.me = Some(name.clone()),
            Event::Consent { knock: what, by, decision: Answer::Yes, .. }
            | Event::RemovalAnswer { proposal: what, by, decision: Answer::Yes, .. }
                if Some(by) == self.me.as_ref() =>
            {
                self.ours = Some((*what, Instant::now() + PATIENCE));
            }
            Event::KnockOver { knock: what, .. } | Event::RemovalOver { proposal: what, .. } => {
                self.ours.take_if(|(ours, _)| ours == what);
            }
            Event::MemberJoined { .. } | Event::MemberLeft { .. } | Event::Left { .. } => self.ours = None,
            _ => {}
        }
    }

    /// When it is to be told.
    pub fn due(&self) -> Option<Instant> {
        self.ours.map(|(_, at)| at)
    }

    /// It is told.
    pub fn told(&mut self) {
        self.ours = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::api::Fingerprint;
    use crate::ui::corpus::{self, lobby, name};

    fn remembered(fingerprint: Option<Fingerprint>, rule: Rule) -> Result<Command, Failure> {
        Ok(Command::Remember { room: lobby(), name: name("dana"), fingerprint, rule })
    }

    fn dana(tag: Option<u8>) -> Newcomer {
        Newcomer::Named { name: name("dana"), tag: tag.map(|byte| corpus::words(byte).tag()) }
    }

    #[test]
    fn an_answer_that_is_remembered_is_for_the_key_that_was_shown() {
        let mut knocks = Knocks::default();
        let always = |who| Decide::Answer(who, Rule::Always);
        assert_eq!(always(dana(None)).command(lobby(), &knocks), Err(Failure::NoSuchKnock));
        knocks.note(&corpus::knock_of(4, "dana"));
        let shown = remembered(Some(corpus::words(4)), Rule::Always);
        assert_eq!(always(dana(None)).command(lobby(), &knocks), shown);
        knocks.note(&corpus::knock_of(5, "dana"));
        let ambiguous = Err(Failure::AmbiguousName(name("dana")));
        assert_eq!(always(dana(None)).command(lobby(), &knocks), ambiguous);
        assert_eq!(always(dana(Some(4))).command(lobby(), &knocks), shown);
        // A rule may be for somebody who isn't knocking; the chat knows whether it is clear who.
        assert_eq!(Decide::Remember(dana(None), Rule::Ask).command(lobby(), &knocks), remembered(None, Rule::Ask));
        let by_tag = Decide::Remember(dana(Some(5)), Rule::Never).command(lobby(), &knocks);
        assert_eq!(by_tag, remembered(Some(corpus::words(5)), Rule::Never));
    }

    #[test]
    fn whoever_said_yes_waits_for_the_others_until_it_is_over() {
        let consent = |by, decision| {
            let (knock, newcomer) = (ProposalHash([4; 32]), name("dana"));
            Event::Consent { room: lobby(), knock, name: newcomer, by: name(by), decision }
        };
        let mut awaited = Awaited::default();
        awaited.note(&corpus::ready("alice"));
        awaited.note(&consent("bob", Answer::Yes));
        awaited.note(&consent("alice", Answer::No));
        assert_eq!(awaited.due(), None);
        awaited.note(&consent("alice", Answer::Yes));
        assert!(awaited.due().is_some());
        let over = |byte| Event::KnockOver {
            room: lobby(),
            knock: ProposalHash([byte; 32]),
            name: name("dana"),
            how: crate::peer::api::Refusal::Denied,
        };
        awaited.note(&over(9));
        assert!(awaited.due().is_some(), "that was another");
        awaited.note(&over(4));
        assert_eq!(awaited.due(), None);
    }
}
