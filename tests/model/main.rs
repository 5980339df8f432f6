//! The rules of consent (DESIGN.md §4), every order of events: stateright over the real `Seat`, in rooms of three and four,
//! against a rendezvous that withholds, replays and reorders anything.
//!
//! `cargo test --features planted --test model`; larger rooms, and more patience with them, with `P2PCHAT_MODEL=full`
//! (`P2PCHAT_MODEL_S` says how many seconds for each). What is modelled and what
//! is not stands in `world.rs`, `choices.rs` and `healing.rs`, which states are taken for one in `merging.rs`; no rule of
//! consent does. What a search has found and is not mended stands in `known.rs`.

#![allow(clippy::unwrap_used, reason = "whoever checks is stopped by what cannot be")]

mod alike;
mod book;
mod choices;
mod healing;
mod keyed;
mod known;
mod member;
mod merging;
mod sameness;
#[path = "../shared/keyed.rs"]
mod shared;
mod shelf;
mod world;

use std::time::{Duration, Instant};

use p2pchat::planted::Bug;
use stateright::{Checker, HasDiscoveries, Model, Property};

use book::{Book, each, only};
use choices::Choice;
use healing::{Verdict, Verdicts};
use world::{Setting, World};

/// The real code behind a checker's questions.
struct Consent {
    book: Book,
    setting: Setting,
    verdicts: Verdicts,
}

impl Consent {
    fn verdict(&self, world: &World) -> Verdict {
        let of = |released| healing::verdict(&self.book, &self.setting, &self.verdicts, world, released);
        let healed = of(false);
        // Somebody whose client does anything may bring out what it signed, or not.
        let agrees = healed.agrees && (self.setting.liar.is_none() || of(true).agrees);
        Verdict { agrees, ..healed }
    }

    /// S1 and S3: everybody whom an honest client lists, links with or sends to, its user has approved.
    fn lists_only_the_approved(&self, world: &World) -> bool {
        let honest = world.people().filter(|who| self.setting.liar != Some(*who));
        honest.into_iter().all(|who| world.members(&self.book, who) & !world.client(who).approved & !only(who) == 0)
    }

    /// No two honest clients went on from one roster to two that both list both: what one signature at a time is for. Heads
    /// would heal it in the end, so it is judged at once. Once somebody has left or is gone for good, drops may do so
    /// (`known.rs`): then it is judged among the living, and of two rosters one of which lets somebody in.
    fn never_forks(&self, world: &World) -> bool {
        let known = self.setting.may_fork && (world.dead != 0 || world.leaves < self.setting.leaves);
        let honest = |who: &u8| self.setting.liar != Some(*who) && world.client(*who).seat != 0;
        let chain = |who: u8| &self.book.seat_facts(world.client(who).seat).chain[..];
        let chains: Vec<(u8, &[book::RosterNo])> = world.people().filter(honest).map(|who| (who, chain(who))).collect();
        let lists = |roster: book::RosterNo, both| self.book.roster_facts(roster).members & both == both;
        let members = |roster: book::RosterNo| self.book.roster_facts(roster).members;
        let drops = |pair: &[book::RosterNo]| members(pair[1]) & !members(pair[0]) == 0;
        let forks = |one: &(u8, &[book::RosterNo]), other: &(u8, &[book::RosterNo])| {
            let both = only(one.0) | only(other.0);
            one.1.windows(2).any(|here| {
                let there = other.1.windows(2).find(|there| there[0] == here[0]);
                there.is_some_and(|there| {
                    let parted = there[1] != here[1] && lists(here[1], both) && lists(there[1], both);
                    parted && !(known && drops(here) && drops(there))
                })
            })
        };
        !chains.iter().enumerate().any(|(at, one)| chains[at + 1..].iter().any(|other| forks(one, other)))
    }

    /// S2: every honest member of an honest client's roster has approved everybody in it.
    fn is_unanimous(&self, world: &World) -> bool {
        let honest = |who: &u8| self.setting.liar != Some(*who);
        world.people().filter(honest).all(|who| {
            let members = world.members(&self.book, who);
            each(members).filter(honest).all(|other| members & !world.client(other).approved & !only(other) == 0)
        })
    }
}

impl Model for Consent {
    type State = World;
    type Action = Choice;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.book, &self.setting)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Choice>) {
        choices::choices(&self.book, &self.setting, world, actions);
    }

    fn next_state(&self, world: &World, choice: Choice) -> Option<World> {
        choices::choose(&self.book, &self.setting, world, choice)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always("S1 S3 only keys I approved", |model, world| model.lists_only_the_approved(world)),
            Property::<Self>::always("S2 unanimity", |model, world| model.is_unanimous(world)),
            Property::<Self>::always("S4 whoever is listed is there", |model, world| model.verdict(world).agrees),
        ];
        // Somebody whose client does anything can always refuse, and go on without others.
        if self.setting.liar.is_none() {
            let met = Property::<Self>::always("L1 everybody gets in", |model, world| model.verdict(world).meets);
            properties.push(met);
            // Whoever signs both yes and no parts two others for a while; heads bring them together again (S4).
            let one = Property::<Self>::always("F one roster follows one", |model, world| model.never_forks(world));
            properties.push(one);
            properties
                .push(Property::<Self>::always("R nobody is displaced without a fault", |_, world| !world.displaced));
        }
        properties
    }
}

/// Searches a room to the end, or for a while, and says what it met.
fn search(name: &str, setting: Setting, bug: Option<Bug>, patience: Duration) -> (Vec<&'static str>, bool) {
    let began = Instant::now();
    let model = Consent { book: Book::new(bug, &setting), setting, verdicts: Verdicts::new() };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).timeout(patience);
    let checker = checker.spawn_bfs().join();
    let discoveries = checker.discoveries();
    let to_the_end = began.elapsed() < patience && discoveries.is_empty();
    let ended = if to_the_end { "to the end" } else { "not to the end" };
    let (seats, answers) = checker.model().book.size();
    println!(
        "{name}: {} states, {} transitions, {} deep, {ended}; {seats} seats, {answers} answers of the real code; {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    for (property, path) in &discoveries {
        println!("{name}: {property} fails:");
        for (step, choice) in path.clone().into_actions().iter().enumerate() {
            println!("  {}. {}", step + 1, told(&checker.model().book, choice));
        }
        println!("  {:?}", path.last_state());
        println!("  healing:");
        world::DIARY.set(true);
        healing::verdict(&checker.model().book, &setting, &Verdicts::new(), path.last_state(), false);
        world::DIARY.set(false);
    }
    (discoveries.into_keys().collect(), to_the_end)
}

/// A choice in words, with what stands behind the numbers.
fn told(book: &Book, choice: &Choice) -> String {
    let text = format!("{choice:?}");
    let number = match choice {
        Choice::Give(
            _,
            member::Input::Answer(number, _) | member::Input::Hear(number, ..) | member::Input::Step(number, _),
        )
        | Choice::Give(_, member::Input::Passed(number, _))
        | Choice::HearAndWeigh(_, member::Input::Hear(number, ..), ..)
        | Choice::Admit(_, number, _) => *number,
        _ => return text,
    };
    let facts = book.proposal_facts(number);
    let what = match facts.knocks {
        Some(who) => format!("knock of p{who}"),
        None => format!("drop of {:?} ({:?})", each(facts.dropped).collect::<Vec<_>>(), facts.why),
    };
    format!("{text} [{number}: {what} at roster {}, nonce {}]", facts.over, facts.nonce)
}

/// A room that is small enough for every order of events.
fn holds_to_the_end(name: &str, setting: Setting) {
    let patience = if full() { full_patience() } else { PATIENCE };
    let (failed, ended) = search(name, setting, None, patience);
    assert!(failed.is_empty() && ended, "{name}: {failed:?}, searched to the end: {ended}");
}

/// A larger room, breadth first for as long as there is patience.
fn holds(name: &str, setting: Setting) {
    let patience = if full() { full_patience() } else { SHORT_PATIENCE };
    let (failed, _) = search(name, setting, None, patience);
    assert!(failed.is_empty(), "{name}: {failed:?}");
}

fn is_caught(bug: Bug, setting: Setting) {
    let (failed, _) = search(&format!("{bug:?}"), setting, Some(bug), PATIENCE);
    assert!(!failed.is_empty(), "{bug:?} was not found");
}

const TWO_AND_TWO: Setting = Setting { founders: 2, newcomers: 2, knocks: 1, depth: 2, ..Setting::QUIET };
const THREE_AND_ONE: Setting = Setting { founders: 3, newcomers: 1, knocks: 1, depth: 2, ..Setting::QUIET };
const TWO_AND_ONE: Setting = Setting { founders: 2, newcomers: 1, knocks: 2, depth: 2, ..Setting::QUIET };

const LYING_FOUNDER: Setting = Setting { liar: Some(1), ..TWO_AND_ONE };

/// For what has to come to an end on any machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// For larger rooms, on every commit and when asked for all of it.
const SHORT_PATIENCE: Duration = Duration::from_secs(10);
const FULL_PATIENCE: Duration = Duration::from_secs(900);

/// Whether the rooms that take longer are searched too.
fn full() -> bool {
    std::env::var_os("P2PCHAT_MODEL").is_some_and(|how| how == "full")
}

fn full_patience() -> Duration {
    let seconds = std::env::var("P2PCHAT_MODEL_S").ok().and_then(|seconds| seconds.parse().ok());
    seconds.map_or(FULL_PATIENCE, Duration::from_secs)
}

#[test]
fn two_and_a_newcomer_whatever_happens_once() {
    let small = Setting { knocks: 1, ..TWO_AND_ONE };
    holds_to_the_end("2+1", small);
    holds_to_the_end("2+1 restart", Setting { restarts: 1, ..small });
    holds_to_the_end("2+1 death", Setting { deaths: 1, ..small });
    holds_to_the_end("2+1 departure and return", Setting { leaves: 1, ..small });
    holds_to_the_end("2+1 partition", Setting { cuts: 1, ..small });
}

/// Every state by itself, and every answer delivered by itself: nothing of `merging.rs`, whose reasons this would belie.
#[test]
fn delivering_answers_one_by_one_finds_the_same() {
    let small = Setting { one_by_one: true, knocks: 1, ..TWO_AND_ONE };
    holds_to_the_end("2+1 one by one", small);
    holds_to_the_end("2+1 one by one, restart", Setting { restarts: 1, ..small });
    holds_to_the_end("2+1 one by one, death", Setting { deaths: 1, ..small });
    holds_to_the_end("2+1 one by one, departure and return", Setting { leaves: 1, ..small });
    let near = Setting { one_by_one: true, depth: 1, ..THREE_AND_ONE };
    holds_to_the_end("3+1 one by one, one roster, death", Setting { deaths: 1, ..near });
    if full() {
        holds("2+2 one by one", Setting { one_by_one: true, ..TWO_AND_TWO });
    }
}

#[test]
fn two_and_two_newcomers_with_refusals_and_expiry() {
    holds_to_the_end("2+2", TWO_AND_TWO);
}

#[test]
fn two_and_two_newcomers_with_a_restart() {
    holds_to_the_end("2+2 restart", Setting { restarts: 1, ..TWO_AND_TWO });
}

#[test]
fn three_and_a_newcomer_with_refusals_and_expiry() {
    holds_to_the_end("3+1", THREE_AND_ONE);
}

/// As far as the next roster: a newcomer let in, or somebody dropped, whatever happens to anybody meanwhile.
#[test]
fn three_and_a_newcomer_as_far_as_the_next_roster() {
    let near = Setting { depth: 1, ..THREE_AND_ONE };
    holds_to_the_end("3+1, one roster, restart", Setting { restarts: 1, ..near });
    holds_to_the_end("3+1, one roster, death", Setting { deaths: 1, ..near });
    holds_to_the_end("3+1, one roster, departure", Setting { leaves: 1, ..near });
    holds_to_the_end("3+1, one roster, all three", Setting { restarts: 1, deaths: 1, leaves: 1, ..near });
    if full() {
        // Two million states, a minute.
        holds_to_the_end("3+1, one roster, partition", Setting { cuts: 1, ..near });
    }
}

#[test]
fn three_and_a_newcomer_with_a_restart() {
    holds_to_the_end("3+1 restart", Setting { restarts: 1, ..THREE_AND_ONE });
}

#[test]
fn three_and_a_newcomer_with_a_death() {
    holds_to_the_end("3+1 death", Setting { deaths: 1, may_fork: true, ..THREE_AND_ONE });
}

/// Somebody leaves, once: it is one of the four, and the searches for each of them are the search for all.
#[test]
fn three_and_a_newcomer_with_a_departure() {
    let departure = Setting { leaves: 1, returns: false, may_fork: true, ..THREE_AND_ONE };
    holds_to_the_end("3+1 departure of p3", Setting { only: Some(3), ..departure });
    if full() {
        // 4.6 million states each, minutes.
        for who in 0..3 {
            holds_to_the_end(&format!("3+1 departure of p{who}"), Setting { only: Some(who), ..departure });
        }
    }
}

#[test]
fn two_and_a_newcomer_who_knock_twice_with_a_partition() {
    // Three million states, three minutes.
    if !full() {
        return;
    }
    holds("2+1 two knocks, partition", Setting { cuts: 1, ..TWO_AND_ONE });
}

#[test]
fn two_and_a_newcomer_who_knock_twice_with_a_departure_and_a_return() {
    holds_to_the_end("2+1 two knocks, departure and return", Setting { leaves: 1, ..TWO_AND_ONE });
}

#[test]
fn a_planted_unbound_knock_is_found() {
    is_caught(Bug::UnboundKnock, TWO_AND_TWO);
}

#[test]
fn a_planted_second_live_signature_is_found() {
    is_caught(Bug::TwoAdmissions, TWO_AND_TWO);
}

#[test]
fn a_planted_adopting_against_a_later_signature_is_found() {
    is_caught(Bug::AdoptedAgainstLater, Setting { cuts: 1, ..THREE_AND_ONE });
}

/// A member that says yes to one and no to another about the same knock parts them; only heads tell them.
#[test]
fn planted_deafness_to_heads_is_found() {
    is_caught(Bug::NoHeads, LYING_FOUNDER);
}

#[test]
fn a_planted_refusal_to_depart_is_found() {
    is_caught(Bug::NoDeparting, Setting { cuts: 1, ..THREE_AND_ONE });
}

#[test]
fn planted_forgetfulness_is_found() {
    is_caught(Bug::Forgetful, Setting { restarts: 1, ..TWO_AND_TWO });
}

#[test]
fn larger_rooms_hold_for_as_long_as_anybody_waits() {
    if !full() {
        return;
    }
    let larger = [
        ("2+2 partition", Setting { cuts: 1, ..TWO_AND_TWO }),
        ("3+1 partition", Setting { cuts: 1, ..THREE_AND_ONE }),
        ("2+1 partition, departure and return", Setting { cuts: 1, leaves: 1, ..TWO_AND_ONE }),
        ("2+1 lying founder, two knocks", LYING_FOUNDER),
        ("2+2 lying founder", Setting { liar: Some(1), ..TWO_AND_TWO }),
        ("3+1 lying founder", Setting { liar: Some(0), ..THREE_AND_ONE }),
        ("3+1 lying newcomer", Setting { liar: Some(3), ..THREE_AND_ONE }),
        ("2+2 lying newcomer", Setting { liar: Some(3), ..TWO_AND_TWO }),
    ];
    for (name, setting) in larger {
        holds(name, setting);
    }
}
