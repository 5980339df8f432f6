//! What the program was started for, and whether that has come to pass: the part that all faces share.
//!
//! Decides, never waits: events in, what to do out.

use super::exit::Exit;
use super::reach;
use super::words::{self, Said};
use crate::peer::api::{Command, Creation, Ending, Event, Failure, Leaving, ReformState, Refusal, RoomName, Ticket};

/// What the command line asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Be in a room; make it if it doesn't exist and `create` says how.
    Join {
        /// Which.
        room: RoomName,
        /// How to make it without asking.
        create: Option<Creation>,
        /// How to make it if the person says so; `None` where nobody can be asked.
        offer: Option<Creation>,
    },
    /// Make a room that doesn't exist yet, and be in it.
    Create {
        /// Which.
        room: RoomName,
        /// How.
        creation: Creation,
    },
    /// Be in a room that no server keeps, and open it; make it if we have no seat in it.
    Host {
        /// Which.
        room: RoomName,
        /// How.
        creation: Creation,
    },
    /// Be where a ticket leads.
    Enter(Box<Ticket>),
    /// Be in the one room that is open at the member who was named like a server.
    Open,
    /// Nothing: a program on the other side will say.
    Nothing,
}

impl Opening {
    /// The room it is about.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Opening::Join { room, .. } | Opening::Create { room, .. } | Opening::Host { room, .. } => Some(room),
            Opening::Enter(ticket) => Some(&ticket.name),
            Opening::Open | Opening::Nothing => None,
        }
    }
}

/// What a face does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this.
    Send(Command),
    /// Ask whether to make the room, and send what [`Session::create`] gives if so; else [`Session::declined`].
    Offer,
    /// Show this and quit; the exit code is set.
    Fail(Said),
    /// Quit; the exit code is set.
    Quit,
}

/// How far the opening is.
#[derive(Debug)]
pub struct Session {
    opening: Opening,
    /// The room it is about now: that of the opening, or what it was founded anew as.
    room: Option<RoomName>,
    /// What our room is being founded anew as.
    anew: Option<RoomName>,
    asked: bool,
    created: bool,
    /// Whether a ticket was shown without being asked for.
    ticketed: bool,
    inside: bool,
    quitting: bool,
    exit: Exit,
}

impl Session {
    /// At the beginning.
    pub fn new(opening: Opening) -> Self {
        let room = opening.room().cloned();
        let exit = Exit::Done;
        Session {
            opening,
            room,
            anew: None,
            asked: false,
            created: false,
            ticketed: false,
            inside: false,
            quitting: false,
            exit,
        }
    }

    /// The room it is about: what is typed goes there.
    pub fn room(&self) -> Option<&RoomName> {
        self.room.as_ref()
    }

    /// Whether we are in the room that it was started for.
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// Whether the end has begun.
    pub fn is_quitting(&self) -> bool {
        self.quitting
    }

    /// Begins the end; with the worse of this and an earlier exit code.
    pub fn quit(&mut self, exit: Exit) {
        self.quitting = true;
        self.worsen(exit);
    }

    /// The end will not be a success.
    pub fn worsen(&mut self, exit: Exit) {
        if self.exit == Exit::Done {
            self.exit = exit;
        }
    }

    /// How the program ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The command that makes the room which was offered.
    pub fn create(&mut self) -> Option<Command> {
        match &self.opening {
            Opening::Join { room, create, offer } => {
                self.created = true;
                let creation = create.or(*offer)?;
                Some(Command::Create { room: room.clone(), size: creation.size, settings: creation.settings() })
            }
            Opening::Create { room, creation } => {
                Some(Command::Create { room: room.clone(), size: creation.size, settings: creation.settings() })
            }
            Opening::Host { .. } | Opening::Enter(_) | Opening::Open | Opening::Nothing => None,
        }
    }

    /// The person did not want the room made.
    pub fn declined(&mut self) {
        self.quit(Exit::Failed);
    }

    /// What `event` makes the program do.
    pub fn note(&mut self, event: &Event) -> Option<Step> {
        match event {
            // Back on one's own seat nobody is needed but the members; a wish to knock waits for the server by itself.
            Event::Ready { .. } if !self.asked => match &self.opening {
                Opening::Join { room, .. } => {
                    self.asked = true;
                    Some(Step::Send(Command::Join(room.clone())))
                }
                Opening::Host { room, creation } => {
                    self.asked = true;
                    let (room, settings) = (room.clone(), creation.settings());
                    Some(Step::Send(Command::Host { room, size: creation.size, settings }))
                }
                Opening::Enter(ticket) => {
                    self.asked = true;
                    Some(Step::Send(Command::Enter((**ticket).clone())))
                }
                _ => None,
            },
            Event::Rooms { rooms, .. } if self.opening == Opening::Open && self.room.is_none() => match &rooms[..] {
                [one] => {
                    self.room = Some(one.room.clone());
                    Some(Step::Send(Command::Join(one.room.clone())))
                }
                _ => {
                    self.quit(Exit::Failed);
                    Some(Step::Fail(words::not_one_room(rooms)))
                }
            },
            Event::ServerUp { .. } if !self.asked => {
                self.asked = true;
                match &self.opening {
                    Opening::Join { room, .. } => Some(Step::Send(Command::Join(room.clone()))),
                    Opening::Create { .. } => self.create().map(Step::Send),
                    Opening::Open => Some(Step::Send(Command::List)),
                    Opening::Host { .. } | Opening::Enter(_) | Opening::Nothing => None,
                }
            }
            Event::Reform { room, new, state: ReformState::Agreed, .. } if Some(room) == self.room() => {
                self.anew = Some(new.clone());
                None
            }
            Event::Joined { room, .. } if Some(room) == self.room() || Some(room) == self.anew.as_ref() => {
                self.room = Some(room.clone());
                self.anew = None;
                let first = !std::mem::replace(&mut self.inside, true);
                // Whoever hosts has somebody to give a ticket to.
                match &self.opening {
                    Opening::Host { .. } if first && !std::mem::replace(&mut self.ticketed, true) => {
                        Some(Step::Send(Command::Ticket { room: room.clone(), expires_in_s: None }))
                    }
                    _ => None,
                }
            }
            Event::Refused { room, reason } if self.is_opening(room) => self.refused(*reason),
            Event::Failed(Failure::NoSuchRoom(room)) if self.is_opening(room) => self.refused(Refusal::NoSuchRoom),
            Event::Failed(failure) if !self.inside && !self.quitting && self.opening != Opening::Nothing => {
                let exit = words::failure_exit(failure)?;
                self.quit(exit);
                Some(Step::Fail(reach::failure(failure, self.opening == Opening::Open)))
            }
            Event::Left { room, why } if Some(room) == self.room() && !self.quitting => {
                self.inside = false;
                match why {
                    Leaving::Asked => {
                        self.quit(Exit::Done);
                        Some(Step::Quit)
                    }
                    Leaving::Deleted => {
                        self.quit(Exit::Failed);
                        Some(Step::Fail(words::room_deleted(room)))
                    }
                    Leaving::Removed => {
                        self.quit(Exit::Failed);
                        Some(Step::Fail(words::removed(room)))
                    }
                    // The chat knocks again by itself, and is refused or let in like anybody.
                    Leaving::DroppedByOthers | Leaving::Reformed => None,
                }
            }
            Event::Ended(Ending::Undelivered) => {
                self.worsen(Exit::Failed);
                None
            }
            _ => None,
        }
    }

    fn is_opening(&self, room: &RoomName) -> bool {
        !self.inside && !self.quitting && Some(room) == self.room()
    }

    fn refused(&mut self, reason: Refusal) -> Option<Step> {
        if let Opening::Join { room, create, offer } = &self.opening {
            match reason {
                Refusal::NoSuchRoom if create.is_some() && !self.created => return self.create().map(Step::Send),
                Refusal::NoSuchRoom if offer.is_some() && !self.created => return Some(Step::Offer),
                // Somebody else made it between our two questions.
                Refusal::RoomExists if self.created => return Some(Step::Send(Command::Join(room.clone()))),
                _ => {}
            }
        }
        let said = words::refusal(self.room()?, reason);
        self.quit(words::refusal_exit(reason));
        Some(if reason == Refusal::Withdrawn { Step::Quit } else { Step::Fail(said) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::api::{Entrance, RoomSummary};
    use crate::ui::corpus::{self, lobby};

    fn join(create: bool, offer: bool) -> Session {
        let creation = |yes: bool| yes.then(Creation::default);
        let mut session =
            Session::new(Opening::Join { room: lobby(), create: creation(create), offer: creation(offer) });
        let up = Event::ServerUp { server: "here".into(), member: false };
        assert_eq!(session.note(&up), Some(Step::Send(Command::Join(lobby()))));
        assert_eq!(session.note(&up), None, "a server that comes back is not asked again");
        session
    }

    fn refused(reason: Refusal) -> Event {
        Event::Refused { room: lobby(), reason }
    }

    #[test]
    fn a_room_that_does_not_exist_is_made_offered_or_an_error() {
        let create = Command::Create { room: lobby(), size: 64, settings: Creation::default().settings() };
        assert_eq!(join(true, false).note(&refused(Refusal::NoSuchRoom)), Some(Step::Send(create.clone())));
        let mut asking = join(false, true);
        assert_eq!(asking.note(&refused(Refusal::NoSuchRoom)), Some(Step::Offer));
        assert_eq!(asking.create(), Some(create));
        assert_eq!(asking.note(&refused(Refusal::RoomExists)), Some(Step::Send(Command::Join(lobby()))));
        let mut strict = join(false, false);
        assert!(matches!(strict.note(&refused(Refusal::NoSuchRoom)), Some(Step::Fail(_))));
        assert_eq!(strict.exit(), Exit::Failed);
    }

    #[test]
    fn whoever_hosts_begins_without_a_server_and_is_shown_a_ticket_once() {
        let mut session = Session::new(Opening::Host { room: lobby(), creation: Creation::default() });
        let settings = Creation::default().settings();
        let host = Command::Host { room: lobby(), size: 64, settings };
        assert_eq!(session.note(&corpus::ready("alice")), Some(Step::Send(host)));
        let ticket = Command::Ticket { room: lobby(), expires_in_s: None };
        assert_eq!(session.note(&corpus::joined(Entrance::Founded)), Some(Step::Send(ticket)));
        assert_eq!(session.note(&corpus::joined(Entrance::Returned)), None);
        let mut session = Session::new(Opening::Enter(Box::new(corpus::ticket())));
        assert_eq!(session.room(), Some(&lobby()));
        assert_eq!(session.note(&corpus::ready("alice")), Some(Step::Send(Command::Enter(corpus::ticket()))));
    }

    #[test]
    fn the_one_open_room_at_an_address_is_joined_and_several_are_told() {
        let rooms = |names: &[&str]| {
            let line = |name: &&str| RoomSummary { room: name.parse().unwrap(), members: 1, size: 8, knocking: false };
            Event::Rooms { rooms: names.iter().map(line).collect(), people: vec![] }
        };
        for (names, expected) in [(&["lobby"][..], true), (&[], false), (&["lobby", "annex"], false)] {
            let mut session = Session::new(Opening::Open);
            let up = Event::ServerUp { server: "192.0.2.1:9".into(), member: false };
            assert_eq!(session.note(&up), Some(Step::Send(Command::List)));
            let step = session.note(&rooms(names));
            assert_eq!(step == Some(Step::Send(Command::Join(lobby()))), expected, "{step:?}");
            assert_eq!(session.is_quitting(), !expected);
        }
    }

    #[test]
    fn every_refusal_has_its_exit_code() {
        for (reason, exit) in [
            (Refusal::Denied, Exit::Refused),
            (Refusal::Expired, Exit::Refused),
            (Refusal::Full, Exit::Refused),
            (Refusal::NameTaken, Exit::Failed),
            (Refusal::Forged, Exit::Identity),
            (Refusal::Withdrawn, Exit::Done),
        ] {
            let mut session = join(false, false);
            assert!(session.note(&refused(reason)).is_some());
            assert!(session.is_quitting());
            assert_eq!(session.exit(), exit, "{reason:?}");
        }
    }

    #[test]
    fn failures_end_the_program_only_until_it_is_inside() {
        let failures = corpus::failures();
        for failure in &failures {
            let mut session = join(false, false);
            let ends = session.note(&Event::Failed(failure.clone())).is_some();
            assert_eq!(ends, words::failure_exit(failure).is_some(), "{failure:?}");
            let mut inside = join(false, false);
            inside.note(&corpus::joined(Entrance::Admitted));
            assert_eq!(inside.note(&Event::Failed(failure.clone())), None, "{failure:?}");
        }
    }

    #[test]
    fn a_deleted_room_is_a_failure_and_leaving_is_not() {
        for (why, exit) in [(Leaving::Asked, Exit::Done), (Leaving::Deleted, Exit::Failed)] {
            let mut session = join(false, false);
            session.note(&corpus::joined(Entrance::Admitted));
            assert!(session.note(&Event::Left { room: lobby(), why }).is_some());
            assert_eq!(session.exit(), exit);
        }
    }

    #[test]
    fn a_room_founded_anew_is_the_room_from_then_on() {
        let mut session = join(false, false);
        session.note(&corpus::joined(Entrance::Admitted));
        let in_annex = |how| Event::Joined { room: corpus::annex(), epoch: 0, members: vec![], how };
        session.note(&in_annex(Entrance::Founded));
        assert_eq!(session.room(), Some(&lobby()), "another room that was entered on the side");
        session.note(&corpus::reform(ReformState::Agreed));
        assert_eq!(session.room(), Some(&lobby()), "agreed, and not there yet");
        session.note(&in_annex(Entrance::Admitted));
        assert_eq!((session.room(), session.is_inside()), (Some(&corpus::annex()), true));
        assert_eq!(session.note(&Event::Left { room: lobby(), why: Leaving::Reformed }), None);
        assert!(session.is_inside() && !session.is_quitting());
        let left = Event::Left { room: corpus::annex(), why: Leaving::Asked };
        assert_eq!(session.note(&left), Some(Step::Quit));
        assert_eq!(session.exit(), Exit::Done);
    }

    #[test]
    fn who_is_removed_ends_with_a_failure_and_its_words() {
        let mut session = join(false, false);
        session.note(&corpus::joined(Entrance::Admitted));
        let ends = session.note(&Event::Left { room: lobby(), why: Leaving::Removed });
        assert_eq!(ends, Some(Step::Fail(words::removed(&lobby()))));
        assert_eq!(session.exit(), Exit::Failed);
    }

    #[test]
    fn who_was_dropped_is_outside_and_waits_for_the_answer_to_the_new_knock() {
        let mut session = join(false, false);
        session.note(&corpus::joined(Entrance::Returned));
        assert_eq!(session.note(&Event::Left { room: lobby(), why: Leaving::DroppedByOthers }), None);
        assert!(!session.is_inside() && !session.is_quitting());
        assert!(matches!(session.note(&refused(Refusal::Denied)), Some(Step::Fail(_))));
        assert_eq!(session.exit(), Exit::Refused);
    }
}
