//! What people do: they found, join, talk, answer late, never or otherwise than before, leave and come back. Once the
//! weather has cleared everybody wants in, and nobody objects.

use std::collections::BTreeMap;

use p2pchat::core::event::{Command, Event, Failure, KnockRef};
use p2pchat::identity::{Name, PeerId, RoomName};
use p2pchat::wire::{ProposalHash, Settings};

use super::net::Place;
use super::world::{What, World};

/// Milliseconds between two looks at the screen once the weather is fine.
const HEALING_ACT_MS: u64 = 3_000;

/// Milliseconds between two wishes to be let in, then.
const ASKS_AGAIN_MS: u64 = 12_000;

/// Of a thousand looks at the screen, how many lead somebody to the half that the server keeps, who was told of it.
const GOES_OVER: u64 = 300;

/// What a person knows.
#[derive(Debug, Default)]
pub struct User {
    /// Whether their client says that they are in.
    pub in_room: bool,
    /// Since when, in milliseconds.
    pub in_since: u64,
    /// Whether they wait to be let in.
    pub joining: bool,
    /// Whether their client says that the server keeps the room for others.
    apart: bool,
    /// The server said that there is no such room.
    no_such_room: bool,
    /// Knocks that wait for their answer.
    prompts: BTreeMap<ProposalHash, PeerId>,
    /// How many things they said.
    pub said: u32,
    /// They stay out of the room until then.
    wants_out_until: u64,
    /// They don't want in any more.
    pub stays_out: bool,
    /// They don't ask to be let in again before.
    asks_again_at: u64,
}

impl User {
    pub fn client_ended(&mut self) {
        (self.in_room, self.joining, self.apart, self.no_such_room) = (false, false, false, false);
        self.prompts.clear();
    }
}

pub fn lobby() -> RoomName {
    "lobby".parse().unwrap()
}

impl World {
    pub fn command(&mut self, who: Place, command: Command) {
        self.note(|| format!("p{who} wants {command:?}"));
        self.give(who, p2pchat::core::io::Input::Command(command));
    }

    pub fn act(&mut self, who: Place) {
        let next =
            if self.healing { HEALING_ACT_MS } else { 500 + self.rng.people.below(2 * self.plan.act_every_s * 1000) };
        self.after(next, What::Act(who));
        if !self.people[who].is_up() {
            return;
        }
        if self.healing {
            return self.act_healing(who);
        }
        let user = &self.people[who].user;
        if self.plan.serverless == 1 && user.joining && !user.in_room && !self.server.is_up() {
            self.try_another_ticket(who);
        }
        if self.people[who].user.apart && self.rng.people.chance(GOES_OVER) {
            return self.command(who, Command::Rejoin(lobby()));
        }
        let user = &self.people[who].user;
        if !user.in_room {
            if user.joining && self.rng.people.chance(self.plan.withdraws) {
                self.command(who, Command::Leave(lobby()));
            } else if !user.joining && user.wants_out_until <= self.now {
                self.get_in(who);
            }
            return;
        }
        if self.plan.serverless == 1 && self.rng.people.chance(300) {
            self.show_ticket(who);
        }
        let dice = self.rng.people.below(1000);
        if dice < self.plan.leaves {
            self.people[who].user.wants_out_until = self.now + self.rng.people.below(60_000);
            self.command(who, Command::Leave(lobby()));
        } else if dice < self.plan.leaves + self.plan.removes {
            let other = self.rng.people.below(self.people.len() as u64);
            let name: Name = format!("p{other}").parse().unwrap();
            self.command(who, Command::Remove { room: lobby(), who: vec![name] });
        } else {
            self.say_something(who);
        }
    }

    pub fn say_something(&mut self, who: Place) {
        self.people[who].user.said += 1;
        let text = format!("p{who} says {}", self.people[who].user.said);
        self.command(who, Command::Say { room: lobby(), text });
    }

    fn get_in(&mut self, who: Place) {
        if self.plan.serverless == 1 && !self.server.is_up() {
            return self.get_in_by_ticket(who);
        }
        let nobody_in = self.people.iter().all(|person| !person.user.in_room);
        let founder = self.people.iter().position(|person| person.is_up() && !person.liar);
        self.people[who].user.joining = true;
        let user = &mut self.people[who].user;
        let found = nobody_in && founder == Some(who) && (std::mem::take(&mut user.no_such_room) || user.said == 0);
        if found {
            user.said += 1;
            let settings =
                Settings { consent_timeout_s: self.plan.consent_s as u16, grace_s: self.plan.grace_s as u32 };
            self.command(who, Command::Create { room: lobby(), size: 16, settings });
        } else {
            self.command(who, Command::Join(lobby()));
        }
    }

    fn act_healing(&mut self, who: Place) {
        if self.people[who].gave_up {
            // The server's last lie was still on its way. People start their client again.
            self.crash(who);
            self.start_client(who);
            return;
        }
        if self.plan.serverless == 1 {
            self.act_at_door(who);
        } else if self.is_in_another_room(who) {
            self.command(who, Command::Leave(lobby()));
        } else if self.people[who].user.apart && self.halves_are_left_to_people() {
            self.people_decided = true;
            self.command(who, Command::Rejoin(lobby()));
        }
        let user = &mut self.people[who].user;
        if !user.in_room && !user.stays_out && user.asks_again_at <= self.now {
            // A wish that the client has already is only told again; the server takes six knocks a minute.
            user.asks_again_at = self.now + ASKS_AGAIN_MS;
            self.get_in(who);
        }
        let prompts: Vec<_> = self.people[who].user.prompts.iter().map(|(knock, key)| (*knock, *key)).collect();
        for (knock, key) in prompts {
            self.checks.user_lets_in(who, knock, key);
            self.command(who, Command::Approve(KnockRef::Id(knock)));
        }
    }

    pub fn answer(&mut self, who: Place, knock: ProposalHash, yes: bool) {
        let Some(key) = self.people[who].user.prompts.get(&knock).copied() else { return };
        if !self.people[who].is_up() {
            return;
        }
        if yes {
            self.checks.user_lets_in(who, knock, key);
            self.command(who, Command::Approve(KnockRef::Id(knock)));
        } else {
            self.command(who, Command::Deny(KnockRef::Id(knock)));
        }
    }

    /// Somebody is asked: when and how they will answer.
    fn asked(&mut self, who: Place, knock: ProposalHash, key: PeerId) {
        self.people[who].user.prompts.insert(knock, key);
        let newcomer = self.people.iter().position(|person| person.id == key);
        let rng = &mut self.rng.people;
        let (never, denies, wavers) =
            (rng.chance(self.plan.never_answers), rng.chance(self.plan.denies), rng.chance(self.plan.wavers));
        let (first, second) = (rng.below(self.plan.answer_s * 1000), rng.below(10_000));
        // Nobody knows that key; a few are fooled by the name beside it.
        let stranger = newcomer.is_none() && !rng.chance(100);
        if self.healing {
            return self.after(300, What::Answer(who, knock, true));
        }
        if never {
            return;
        }
        let may_deny = newcomer.is_none_or(|newcomer| !self.denied.contains(&(who, newcomer)));
        let no = (denies || stranger) && may_deny;
        if let (true, Some(newcomer)) = (no || wavers, newcomer) {
            self.denied.insert((who, newcomer));
        }
        self.after(first, What::Answer(who, knock, !no));
        if wavers && may_deny {
            self.after(first + second, What::Answer(who, knock, no));
        }
    }

    pub fn user_hears(&mut self, who: Place, event: &Event) {
        self.hears_at_door(who, event);
        let name: Name = self.people[who].name.parse().unwrap();
        let user = &mut self.people[who].user;
        match event {
            Event::Failed(Failure::TicketExpired(_) | Failure::NoServer | Failure::SeatThere(_)) => {
                user.joining = false
            }
            Event::Joined { .. } => (user.in_room, user.in_since, user.joining) = (true, self.now, false),
            Event::Apart { .. } => user.apart = true,
            Event::Left { why, .. } => {
                (user.in_room, user.apart) = (false, false);
                user.joining = *why == p2pchat::core::event::Leaving::DroppedByOthers;
                user.prompts.clear();
            }
            Event::Refused { reason, .. } => {
                user.joining = false;
                user.no_such_room = *reason == p2pchat::core::event::Refusal::NoSuchRoom;
            }
            Event::Knock { knock, key, .. } => self.asked(who, *knock, *key),
            Event::KnockOver { knock, .. } => drop(user.prompts.remove(knock)),
            Event::Consent { knock, by, .. } if *by == name && self.plan.wavers == 0 => {
                user.prompts.remove(knock);
            }
            Event::MemberJoined { key, .. } => user.prompts.retain(|_, asked| asked != key),
            _ => {}
        }
    }
}
