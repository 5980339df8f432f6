//! After the storm: no faults, no liars, everybody wants in and nobody objects. Then the room must become whole, the
//! transcripts the same, and all must fall silent.

use std::collections::{BTreeMap, BTreeSet};

use p2pchat::core::event::Command;
use p2pchat::wire::{EntryId, RoomId, RosterHash};

use super::check::{HALVES_MEET, HOPELESS_RUNS_END};
use super::people::lobby;
use super::world::{What, World};

/// Seconds for the room to become whole, beyond what its own timeouts take.
const WHOLE_WITHIN_S: u64 = 900;

/// Seconds for what was said to reach everybody: whoever gave what names a lost entry is asked for it for five minutes
/// (`src/core/room/holes.rs`), members that can't link are waited for a minute in each log with a hole, and what comes after is
/// sent again after up to a minute.
const SAME_WITHIN_S: u64 = 480;

/// Seconds in which nobody speaks, after which nothing must be on its way.
const QUIET_S: u64 = 60;

/// Seconds for what the storm broke to be noticed: somebody who stood still for a minute notices after it what has gone
/// meanwhile.
const NOTICED_WITHIN_S: u64 = 65;

/// Frames in that time: a question or two to the server at most.
const QUIET_FRAMES_MAX: u64 = 4;

/// Events in that time for each person: their looks at the screen, and what a client wakes for by itself.
const EVENTS_PER_PERSON_MAX: u64 = 200;

/// Frames that one person's getting in, or catching up, may cost each other person.
const HEAL_FRAMES_PER_PAIR_MAX: u64 = 6_000;

impl World {
    /// Clears the weather, and waits until all is well; otherwise something is broken.
    pub fn heal(&mut self) {
        self.clear_up();
        let timeouts = self.plan.consent_s * 6 + self.plan.grace_s * 4;
        let end = self.now + 1000 * (WHOLE_WITHIN_S + timeouts);
        let before = self.frames;
        if self.plan.serverless == 1 {
            self.run_until(self.now + 1000 * (self.plan.grace_s + 5));
        }
        while self.checks.broken.is_none() && !self.is_whole() {
            if self.now >= end && !HALVES_MEET && self.is_in_halves() {
                return;
            }
            if self.now >= end {
                let how = self.how_it_stands();
                return self.checks.fail("the room becomes whole", how);
            }
            self.run_until(self.now + 5_000);
            if self.plan.serverless == 1 && self.is_whole() {
                // On one roster, and never introduced: without a server they part again when the grace is over.
                self.run_until(self.now + 1000 * (self.plan.grace_s + 5));
            }
        }
        let honest = self.honest();
        for who in &honest {
            self.say_something(*who);
        }
        let mut waited = 0;
        loop {
            self.run_until(self.now + 5_000);
            let missing = self.missing();
            waited += 5;
            match missing {
                None => break,
                Some(missing) if waited >= SAME_WITHIN_S => {
                    return self.checks.fail("everybody has the same transcript", missing);
                }
                Some(_) => {}
            }
        }
        let pairs = (honest.len() * honest.len()) as u64;
        if self.frames - before > HEAL_FRAMES_PER_PAIR_MAX * pairs {
            self.checks.fail("repair is bounded", format!("{} frames among {}", self.frames - before, honest.len()));
        }
        // What was broken in the storm may still be on its way to be noticed, and what was asked in it to be answered.
        self.run_until(self.now + 1000 * (2 * self.plan.consent_s + 5).max(NOTICED_WITHIN_S));
        let (before, then) = (self.frames, self.events);
        self.run_until(self.now + QUIET_S * 1000);
        let rooms = self.checks.rooms_of(honest[0]);
        let parted = rooms.iter().any(|room| self.people.iter().any(|person| self.checks.came_back(&person.id, room)));
        let hopeless = parted || self.people.iter().any(|person| person.liar);
        if self.frames - before > QUIET_FRAMES_MAX && (HOPELESS_RUNS_END || !hopeless) {
            let what = format!("{} frames in {QUIET_S} s of silence", self.frames - before);
            self.checks.fail("silence when idle", what);
        }
        if self.events - then > EVENTS_PER_PERSON_MAX * honest.len() as u64 {
            self.checks.fail("nobody is woken for ever", format!("{} events in silence", self.events - then));
        }
        if self.checks.broken.is_none() && !self.is_whole() {
            let how = self.how_it_stands();
            return self.checks.fail("the room stays whole", how);
        }
        self.leave_without_a_server(&honest);
    }

    /// The server is gone. One member leaves at the moment at which another has no links: the others must come to one
    /// roster all the same, by what they tell each other.
    fn leave_without_a_server(&mut self, honest: &[usize]) {
        let [cut_off, stay @ .., leaver] = honest else { return };
        let apart = !self.net.apart.is_empty();
        if stay.is_empty() || apart || self.checks.broken.is_some() {
            return;
        }
        self.stop_server();
        self.run_until(self.now + 4_000);
        self.note(|| format!("p{leaver} leaves, p{cut_off} has no links"));
        for (conn, side) in self.net.held_by(*cut_off) {
            self.side_down(conn, side);
            self.side_down(conn, 1 - side);
        }
        self.command(*leaver, Command::Leave(lobby()));
        self.people[*leaver].user.stays_out = true;
        // With the two of them gone from each other's sight, some may have to wait for the grace.
        self.run_until(self.now + 1000 * (3 * self.plan.grace_s + 90));
        let rosters: BTreeSet<_> = honest[..honest.len() - 1].iter().map(|who| self.rosters_of(*who)).collect();
        let size = rosters.first().and_then(|rosters| rosters.first()).map(|(_, size)| *size);
        if rosters.len() != 1 || size != Some(honest.len() - 1) {
            let how = self.how_it_stands();
            self.checks.fail("those who stay agree without a server", how);
        }
    }

    fn rosters_of(&self, who: usize) -> Vec<(RosterHash, usize)> {
        let rosters = self.checks.rooms_of(who).into_iter().filter_map(|room| self.checks.roster_of(who, &room));
        rosters.map(|roster| (roster.hash(), roster.members.len())).collect()
    }

    fn honest(&self) -> Vec<usize> {
        (0..self.people.len()).filter(|who| !self.people[*who].liar).collect()
    }

    fn clear_up(&mut self) {
        self.note(|| "the weather clears".into());
        (self.healing, self.cleared_at) = (true, self.now);
        self.unblock_all();
        if self.plan.server_lies > 0 && self.server.is_up() {
            self.stop_server();
            self.server.forget();
        }
        if self.plan.serverless == 0 {
            self.server_start();
        } else if self.server.is_up() {
            self.server_gone();
        }
        for who in 0..self.people.len() {
            let person = &mut self.people[who];
            // A client takes the knocks of somebody whose clock differs by more than minutes for past ones.
            (person.still_until, person.wall_off_ms) = (0, 0);
            person.full_until = person.full_until.min(self.now);
            person.busy_until = person.busy_until.min(self.now);
            if person.liar || person.gave_up {
                self.crash(who);
            }
            if !self.people[who].liar {
                self.start_client(who);
            }
            self.after(0, What::GoOn(who));
        }
    }

    /// Whether all honest people are in one room, on one roster, which has them and nobody else.
    fn is_whole(&self) -> bool {
        let honest = self.honest();
        let keys: BTreeSet<_> = honest.iter().map(|who| self.people[*who].id).collect();
        let on = |who: usize| match self.checks.rooms_of(who)[..] {
            [room] => self.checks.roster_of(who, &room).map(|roster| (room, roster.hash(), roster)),
            _ => None,
        };
        let Some((room, hash, roster)) = honest.first().and_then(|who| on(*who)) else { return false };
        roster.members.iter().map(|member| member.key).collect::<BTreeSet<_>>() == keys
            && honest.iter().all(|who| {
                self.people[*who].user.in_room && on(*who).is_some_and(|(its, at, _)| its == room && at == hash)
            })
    }

    /// Whether everybody is in the same room, on rosters that have nobody in common.
    fn is_in_halves(&self) -> bool {
        let honest = self.honest();
        let rooms: BTreeSet<_> = honest.iter().flat_map(|who| self.checks.rooms_of(*who)).collect();
        let sizes = honest.iter().flat_map(|who| self.rosters_of(*who)).collect::<BTreeSet<_>>();
        rooms.len() == 1 && sizes.len() > 1 && sizes.iter().map(|(_, size)| size).sum::<usize>() == honest.len()
    }

    fn how_it_stands(&self) -> String {
        let one = |who: usize| {
            let rooms = self.checks.rooms_of(who).into_iter().map(|room| {
                let roster = self.checks.roster_of(who, &room);
                let names =
                    roster.map(|roster| roster.members.iter().map(|one| one.name.to_string()).collect::<Vec<_>>());
                format!("{room:?} epoch {:?} {:?}", roster.map(|roster| roster.epoch), names.unwrap_or_default())
            });
            let user = &self.people[who].user;
            format!("p{who} in={} joining={} {}", user.in_room, user.joining, rooms.collect::<Vec<_>>().join("; "))
        };
        self.honest().into_iter().map(one).collect::<Vec<_>>().join(" | ")
    }

    /// An entry that one member has and another lacks, although it is for both.
    fn missing(&self) -> Option<String> {
        let honest = self.honest();
        let rooms = self.checks.rooms_of(*honest.first()?);
        let room: RoomId = *rooms.first()?;
        let has: BTreeMap<usize, BTreeSet<EntryId>> = honest
            .iter()
            .map(|who| (*who, self.people[*who].disk.entries(room).map(|kept| kept.id).collect()))
            .collect();
        for who in &honest {
            for kept in self.people[*who].disk.entries(room) {
                let audience = &kept.entry.audience;
                let author = kept.entry.author;
                let by_liar = self.people.iter().any(|person| person.liar && person.id == author);
                if by_liar {
                    continue;
                }
                let lacks = honest.iter().find(|other| {
                    !has[other].contains(&kept.id)
                        && self.net.hear(*who, **other)
                        && self.checks.shares(*who, &room, audience)
                        && self.checks.shares(**other, &room, audience)
                });
                if let Some(lacks) = lacks {
                    let entry = &kept.entry;
                    return Some(format!("p{lacks} lacks {} of {:?}, which p{who} has", entry.seq, entry.author));
                }
            }
        }
        None
    }
}
