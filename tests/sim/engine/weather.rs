//! Faults: which comes next, by the weights of the plan, whom it befalls, and for how long.

use super::net::Place;
use super::plan::FAULTS;
use super::world::{What, World};

impl World {
    pub fn weather(&mut self) {
        if self.healing {
            return;
        }
        let every = self.plan.fault_every_s * 1000;
        let next = 1 + self.rng.weather.below(2 * every);
        self.after(next, What::Weather);
        let plan = &self.plan;
        let weights = [
            plan.crash,
            plan.server_crash,
            plan.server_loss,
            plan.partition,
            plan.one_way,
            plan.no_server,
            plan.stall,
            plan.break_link,
            plan.pause,
            plan.full_disk,
            plan.clock_jump,
        ];
        let mut dice = self.rng.weather.below(weights.iter().sum());
        let fault = weights.iter().position(|weight| {
            let hit = dice < *weight;
            dice = dice.saturating_sub(*weight);
            hit
        });
        if let Some(fault) = fault {
            self.befall(FAULTS[fault]);
        }
    }

    fn befall(&mut self, fault: &str) {
        let people = self.people.len() as u64;
        let (who, other) = (self.rng.weather.below(people) as usize, self.rng.weather.below(people) as usize);
        // Mostly short, sometimes beyond every grace.
        let most = if self.rng.weather.chance(300) { 2_000 * self.plan.grace_s + 20_000 } else { 15_000 };
        let ms = 100 + self.rng.weather.below(most);
        let place = self.server_place();
        match fault {
            "crash" => {
                self.crash(who);
                self.after(ms, What::Start(who));
            }
            "server_crash" | "server_loss" if self.server.is_up() && self.plan.serverless == 0 => {
                self.stop_server();
                if fault == "server_loss" {
                    self.note(|| "the server loses everything".into());
                    self.server.forget();
                }
                self.after(ms, What::ServerStart);
            }
            "partition" => {
                let sides: Vec<bool> = (0..=people).map(|_| self.rng.weather.chance(500)).collect();
                let apart = |from: &Place, to: &Place| sides[*from] != sides[*to];
                let ways: Vec<(Place, Place)> = (0..=place)
                    .flat_map(|from| (0..=place).map(move |to| (from, to)))
                    .filter(|(from, to)| apart(from, to))
                    .collect();
                self.note(|| format!("{sides:?} are apart for {ms} ms"));
                self.block(ways, ms);
            }
            "one_way" if who != other => {
                self.note(|| format!("p{who} can't be heard by p{other} for {ms} ms"));
                self.block(vec![(who, other)], ms);
            }
            "no_server" => {
                self.note(|| format!("p{who} can't reach the server for {ms} ms"));
                self.block(vec![(who, place), (place, who)], ms);
            }
            "stall" => {
                if let Some((conn, side)) = self.a_connection(who) {
                    self.note(|| format!("a connection of p{who} stalls"));
                    self.net.stall(conn, side, self.now + ms.min(11_000));
                }
            }
            "break_link" => {
                if let Some((conn, side)) = self.a_connection(who) {
                    self.note(|| format!("a connection of p{who} breaks"));
                    let later = self.rng.weather.below(12_000);
                    self.side_down(conn, side);
                    self.after(later, What::Down(conn, 1 - side));
                }
            }
            "pause" => {
                let ms = ms.min(60_000);
                self.note(|| format!("p{who} stands still for {ms} ms"));
                self.people[who].still_until = self.now + ms;
                self.people[who].busy_until = self.now + ms;
                self.after(ms, What::GoOn(who));
                if ms > 12_000 {
                    // Nobody hears from it meanwhile; it notices when it goes on.
                    for (conn, side) in self.net.held_by(who) {
                        let idle = self.net.conns[&conn].idle_ms(place);
                        if idle < ms {
                            self.after(idle, What::Down(conn, 1 - side));
                            self.after(ms, What::Down(conn, side));
                        }
                    }
                }
            }
            "full_disk" => {
                self.note(|| format!("p{who}'s disk refuses for {ms} ms"));
                self.people[who].full_until = self.now + ms;
                self.people[who].busy_until = self.now + ms;
            }
            "clock_jump" => {
                let off = self.rng.weather.below(200_000_000) as i64 - 100_000_000;
                self.note(|| format!("p{who}'s clock is off by {off} ms"));
                self.people[who].wall_off_ms = off;
            }
            _ => {}
        }
    }

    fn a_connection(&mut self, who: Place) -> Option<(u64, usize)> {
        let held = self.net.held_by(who);
        self.rng.weather.one_of(&held).copied()
    }
}
