//! What one seed is made of: how many people, how fast, and which faults how often. Each is drawn from the seed, and some
//! of the faults are none at all (swarm testing): a fault that is everywhere hides what others alone would show.

use super::rng::Rng;

macro_rules! plan {
    ($($(#[$doc:meta])* $field:ident: $draw:expr),+ $(,)?) => {
        /// One run. Every field is a number, so that each can be set by name and made smaller.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Plan {
            $($(#[$doc])* pub $field: u64),+
        }

        impl Plan {
            /// What a seed draws.
            pub fn of(seed: u64) -> Self {
                $(let $field = {
                    let draw: fn(&mut Rng) -> u64 = $draw;
                    draw(&mut Rng::of(seed, stringify!($field)))
                };)+
                Plan { $($field),+ }
            }

            /// Sets a field by its name; `false` if there is none.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($field) => self.$field = value,)+
                    _ => return false,
                }
                true
            }

            /// Every field with its name.
            pub fn fields(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field)),+]
            }
        }
    };
}

/// A weight that is 0 half of the time.
fn fault(rng: &mut Rng) -> u64 {
    if rng.chance(500) { 0 } else { rng.from_to(1, 10) }
}

plan! {
    /// Honest and lying people.
    people: |rng| rng.from_to(2, 6),
    /// Seconds of bad weather.
    storm_s: |rng| rng.from_to(60, 300),
    /// Seconds to answer a knock.
    consent_s: |rng| rng.from_to(5, 60),
    /// Seconds that a seat is kept.
    grace_s: |rng| if rng.chance(500) { rng.from_to(3, 10) } else { rng.from_to(3, 60) },
    /// Most milliseconds that a message takes.
    delay_ms: |rng| *rng.one_of(&[5, 50, 200, 200, 1_000, 5_000]).unwrap_or(&50),
    /// Most milliseconds that a sync takes.
    sync_ms: |rng| *rng.one_of(&[0, 0, 5, 30, 500]).unwrap_or(&0),
    /// Seconds between two faults, on average.
    fault_every_s: |rng| rng.from_to(3, 40),
    /// Clients that end without a word.
    crash: fault,
    /// Servers that end and keep what they kept.
    server_crash: fault,
    /// Servers that end and lose everything.
    server_loss: fault,
    /// Two groups that can't hear each other.
    partition: fault,
    /// Somebody who can't be heard by somebody.
    one_way: fault,
    /// Somebody who can't reach the server.
    no_server: fault,
    /// A link that stalls.
    stall: fault,
    /// A link that breaks.
    break_link: fault,
    /// A client that stands still.
    pause: fault,
    /// A disk that refuses for a while.
    full_disk: fault,
    /// A clock that jumps.
    clock_jump: fault,
    /// Dials that are lost, of a thousand.
    dial_loss: |rng| *rng.one_of(&[0, 0, 50, 400]).unwrap_or(&0),
    /// Pairs that can never connect, of a thousand; never with everybody.
    apart: |rng| *rng.one_of(&[0, 0, 200, 600]).unwrap_or(&0),
    /// Seconds between two things that a person does, on average.
    act_every_s: |rng| rng.from_to(4, 30),
    /// Most seconds until somebody answers.
    answer_s: |rng| *rng.one_of(&[1, 3, 10, 70]).unwrap_or(&3),
    /// Knocks that somebody never answers, of a thousand.
    never_answers: |rng| *rng.one_of(&[0, 0, 100, 300]).unwrap_or(&0),
    /// Knocks that somebody refuses, of a thousand.
    denies: |rng| *rng.one_of(&[0, 0, 100, 300]).unwrap_or(&0),
    /// Answers that somebody takes back, or tries to, of a thousand.
    wavers: |rng| *rng.one_of(&[0, 0, 200]).unwrap_or(&0),
    /// Acts that are leaving, of a thousand.
    leaves: |rng| *rng.one_of(&[0, 30, 100]).unwrap_or(&0),
    /// Acts that are removing somebody, of a thousand.
    removes: |rng| *rng.one_of(&[0, 0, 0, 40]).unwrap_or(&0),
    /// Acts that withdraw a wish, of a thousand, while there is one.
    withdraws: |rng| *rng.one_of(&[0, 100, 400]).unwrap_or(&0),
    /// Messages of the server that are lied about, of a thousand; 0 is an honest server.
    server_lies: |rng| if rng.chance(600) { 0 } else { *rng.one_of(&[20, 100, 400]).unwrap_or(&20) },
    /// Messages of a lying member that are lied about, of a thousand; 0 is nobody.
    member_lies: |rng| if rng.chance(650) { 0 } else { *rng.one_of(&[50, 200, 500]).unwrap_or(&50) },
    /// Whether there is no server, or none that stays: members are knocked at instead.
    serverless: |_| 0,
    /// Seconds after which such a room's server ends for good; 0 where there never was one.
    server_until_s: |rng| if rng.chance(750) { 0 } else { rng.from_to(20, 100) },
    /// Whether signatures are Ed25519.
    ed25519: |rng| u64::from(rng.chance(10)),
}

impl Plan {
    /// What a seed draws for a room without a server.
    pub fn without_server(seed: u64) -> Self {
        // A server that is there for a minute is not one that lies, which is the other mode's business.
        Plan { serverless: 1, server_lies: 0, ..Plan::of(seed) }
    }

    /// Whether there is a server in the beginning.
    pub fn has_server(&self) -> bool {
        self.serverless == 0 || self.server_until_s > 0
    }
}

/// The faults of the weather, by the names of their weights.
pub const FAULTS: [&str; 11] = [
    "crash",
    "server_crash",
    "server_loss",
    "partition",
    "one_way",
    "no_server",
    "stall",
    "break_link",
    "pause",
    "full_disk",
    "clock_jump",
];
