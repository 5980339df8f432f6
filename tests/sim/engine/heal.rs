//! After the storm: no faults, no liars, everybody wants in and nobody objects. Then the room must become whole, the
//! transcripts the same, and all must fall silent.

use std::collections::{BTreeMap, BTreeSet};

use p2pchat::wire::{EntryId, RoomId};

use super::check::{HOPELESS_RUNS_END, LOGS_SURVIVE_COMING_BACK};
use super::world::{What, World};

/// Seconds for the room to become whole, beyond what its own timeouts take.
const WHOLE_WITHIN_S: u64 = 900;

/// Seconds in which nobody speaks, after which nothing must be on its way.
const QUIET_S: u64 = 60;

/// Frames in that time: a question or two to the server at most.
const QUIET_FRAMES_MAX: u64 = 4;

/// Frames that one person's getting in, or catching up, may cost each other person.
const HEAL_FRAMES_PER_PAIR_MAX: u64 = 6_000;

impl World {
    /// Clears the weather, and waits until all is well; otherwise something is broken.
    pub fn heal(&mut self) {
        self.clear_up();
        let timeouts = self.plan.consent_s * 6 + self.plan.grace_s * 4;
        let end = self.now + 1000 * (WHOLE_WITHIN_S + timeouts);
        let before = self.frames;
        while self.checks.broken.is_none() && !self.is_whole() {
            if self.now >= end {
                let how = self.how_it_stands();
                return self.checks.fail("the room becomes whole", how);
            }
            self.run_until(self.now + 5_000);
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
                Some(missing) if waited >= 90 => return self.checks.fail("everybody has the same transcript", missing),
                Some(_) => {}
            }
        }
        let pairs = (honest.len() * honest.len()) as u64;
        if self.frames - before > HEAL_FRAMES_PER_PAIR_MAX * pairs {
            self.checks.fail("repair is bounded", format!("{} frames among {}", self.frames - before, honest.len()));
        }
        self.run_until(self.now + 10_000);
        let (before, then) = (self.frames, self.events);
        self.run_until(self.now + QUIET_S * 1000);
        let rooms = self.checks.rooms_of(honest[0]);
        let parted = rooms.iter().any(|room| self.people.iter().any(|person| self.checks.came_back(&person.id, room)));
        let hopeless = parted || self.people.iter().any(|person| person.liar);
        if self.frames - before > QUIET_FRAMES_MAX && (HOPELESS_RUNS_END || !hopeless) {
            let what = format!("{} frames in {QUIET_S} s of silence", self.frames - before);
            self.checks.fail("silence when idle", what);
        }
        if self.events - then > 100 * honest.len() as u64 {
            self.checks.fail("nobody is woken for ever", format!("{} events in silence", self.events - then));
        }
        if self.checks.broken.is_none() && !self.is_whole() {
            let how = self.how_it_stands();
            self.checks.fail("the room stays whole", how);
        }
    }

    fn honest(&self) -> Vec<usize> {
        (0..self.people.len()).filter(|who| !self.people[*who].liar).collect()
    }

    fn clear_up(&mut self) {
        self.note(|| "the weather clears".into());
        self.healing = true;
        self.unblock_all();
        if self.plan.server_lies > 0 && self.server.is_up() {
            self.stop_server();
            self.server.forget();
        }
        self.server_start();
        for who in 0..self.people.len() {
            let person = &mut self.people[who];
            // A client takes the knocks of somebody whose clock differs by more than minutes for past ones.
            (person.full_until, person.still_until, person.wall_off_ms) = (0, 0, 0);
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
                if by_liar || (!LOGS_SURVIVE_COMING_BACK && self.checks.came_back(&author, &room)) {
                    continue;
                }
                let lacks = honest.iter().find(|other| {
                    !has[other].contains(&kept.id)
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
