//! What merging states must not lose: on rooms that are small enough for every state by itself, merged and unmerged searches come
//! to the same verdicts, and everybody gets to the same places in the same company.

use std::collections::{BTreeSet, HashSet, VecDeque};

use p2pchat::planted::Bug;
use stateright::Model;

use crate::book::{Book, People, RosterNo};
use crate::healing::Verdicts;
use crate::shelf::hash_of;
use crate::world::{Setting, World};
use crate::{Consent, THREE_AND_ONE, TWO_AND_ONE, full};

/// Where everybody is: who was in each roster of their chains, oldest first; none without a seat, and for those who are gone for good.
/// Proposals that were made again count for the first of them, so rosters are told apart by who is in them, and not by number.
type Places = Vec<Option<Vec<People>>>;

/// What a search has come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Everybody's places at once, in every state.
    places: BTreeSet<(Places, People)>,
    /// What failed in any state.
    failed: BTreeSet<&'static str>,
}

/// Whether a roster is as near as the search goes.
fn is_within(book: &Book, setting: &Setting, roster: RosterNo) -> bool {
    book.roster_facts(roster).roster.epoch < u64::from(setting.founders) + setting.depth
}

fn places(book: &Book, world: &World) -> Places {
    let chain = |roster: &RosterNo| book.roster_facts(*roster).members;
    let seat = |who| world.is_seated(who).then(|| &book.seat_facts(world.client(who).seat).chain);
    world.people().map(|who| Some(seat(who)?.iter().map(chain).collect())).collect()
}

/// Searches to the end, past whatever fails.
fn found(setting: Setting, bug: Option<Bug>) -> (Found, usize) {
    let model = Consent { book: Book::new(bug, &setting), setting, verdicts: Verdicts::new() };
    let properties = model.properties();
    let mut found = Found::default();
    let mut seen = HashSet::new();
    let mut waiting = VecDeque::from(model.init_states());
    let mut choices = Vec::new();
    seen.extend(waiting.iter().map(hash_of));
    while let Some(world) = waiting.pop_front() {
        let places = places(&model.book, &world);
        // Beyond the depth of a search it is chance who goes on: what was heard together with a step that led there.
        if world
            .people()
            .all(|who| world.head(&model.book, who).is_none_or(|head| is_within(&model.book, &setting, head)))
        {
            found.places.insert((places, world.dead));
        }
        let failed = properties.iter().filter(|property| !(property.condition)(&model, &world));
        found.failed.extend(failed.map(|property| property.name));
        model.actions(&world, &mut choices);
        for choice in choices.drain(..) {
            let next = model.next_state(&world, choice);
            waiting.extend(next.filter(|next| seen.insert(hash_of(next))));
        }
    }
    (found, seen.len())
}

fn is_the_same(name: &str, setting: Setting, bug: Option<Bug>) {
    let began = std::time::Instant::now();
    let (merged, few) = found(setting, bug);
    let (unmerged, many) = found(Setting { one_by_one: true, ..setting }, bug);
    println!(
        "{name}: {:.1} s, {few} states for {many}, {} places, {:?}",
        began.elapsed().as_secs_f64(),
        unmerged.places.len(),
        unmerged.failed
    );
    let lost: Vec<_> = unmerged.places.difference(&merged.places).take(3).collect();
    let made_up: Vec<_> = merged.places.difference(&unmerged.places).take(3).collect();
    assert!(lost.is_empty() && made_up.is_empty(), "{name}: lost {lost:?}, made up {made_up:?}");
    assert_eq!(merged.failed, unmerged.failed, "{name}");
}

#[test]
fn merged_states_lead_to_the_same_places() {
    let small = Setting { knocks: 1, ..TWO_AND_ONE };
    is_the_same("2+1", small, None);
    is_the_same("2+1 restart", Setting { restarts: 1, ..small }, None);
    is_the_same("2+1 death", Setting { deaths: 1, may_fork: true, ..small }, None);
    let near = Setting { depth: 1, ..THREE_AND_ONE };
    is_the_same("3+1, one roster", near, None);
    is_the_same("3+1, one roster, death", Setting { deaths: 1, ..near }, None);
    if full() {
        is_the_same("2+1 departure", Setting { leaves: 1, returns: false, ..small }, None);
        is_the_same("3+1, one roster, departure", Setting { leaves: 1, returns: false, ..near }, None);
    }
}

/// A fault that one of them sees, the other sees.
#[test]
fn merged_states_show_the_same_faults() {
    let small = Setting { knocks: 1, ..TWO_AND_ONE };
    let near = Setting { depth: 1, ..THREE_AND_ONE };
    is_the_same("2+1 death, NoDeparting", Setting { deaths: 1, ..small }, Some(Bug::NoDeparting));
    let adopted = Some(Bug::AdoptedAgainstLater);
    is_the_same("3+1, one roster, death, AdoptedAgainstLater", Setting { deaths: 1, ..near }, adopted);
    if full() {
        is_the_same("2+1 departure, NoHeads", Setting { leaves: 1, returns: false, ..small }, Some(Bug::NoHeads));
    }
}
