//! A thousand members: the links and the ways alone, in seconds, since an admission of so many fits no frame. What a thousand
//! real nodes do with them takes minutes (`large.rs`, with the feature `thousand`); here each hop takes what a hop takes there.

use std::collections::{BTreeMap, BTreeSet};

use p2pchat::core::overlay::graph::Graph;
use p2pchat::core::overlay::rings::Rings;
use p2pchat::identity::PeerId;
use p2pchat::wire::RoomId;
use sha2::{Digest as _, Sha256};

use crate::crowd::HOP_MS;

/// Milliseconds until a member that was passed over has it from a neighbour that has: their frontier within a second, the
/// patience of half a second, question and answer.
const REPAIR_MS: u64 = 1_000 + 500 + 2 * HOP_MS + HOP_MS;

fn members(count: u32) -> Vec<PeerId> {
    (0..count).map(|n| PeerId(Sha256::digest(n.to_be_bytes()).into())).collect()
}

fn room(count: u32) -> (Vec<PeerId>, Graph) {
    let members = members(count);
    let rings = Rings::of(&RoomId([7; 32]), members.iter().copied());
    let mut graph = Graph::default();
    for key in &members {
        graph.state(*key, rings.neighbours(key, |_| false));
    }
    (members, graph)
}

/// When each member has an entry, some of the links on its way being dead without anybody knowing it yet, and how many
/// copies were sent.
fn spread(
    members: &[PeerId],
    graph: &Graph,
    author: &PeerId,
    dead: &BTreeSet<(PeerId, PeerId)>,
) -> (BTreeMap<PeerId, u64>, usize) {
    let distances = graph.distances(author);
    let alive = |one: &PeerId, other: &PeerId| !dead.contains(&(*one.min(other), *one.max(other)));
    let mut has = BTreeMap::from([(*author, 0)]);
    let mut queue = BTreeSet::from([(0, *author)]);
    let mut copies = 0;
    loop {
        while let Some((at, giver)) = queue.pop_first() {
            for reader in graph.children_by(&distances, author, &giver) {
                if alive(&giver, &reader) {
                    copies += 1;
                    if has.get(&reader).is_none_or(|had| *had > at + HOP_MS) {
                        has.insert(reader, at + HOP_MS);
                        queue.insert((at + HOP_MS, reader));
                    }
                }
            }
        }
        // Whoever was passed over asks the first of its neighbours that has it.
        let lacking = members.iter().filter(|key| !has.contains_key(key));
        let asks = |key: &PeerId| {
            let having = graph.linked(key).filter(|other| alive(key, other)).filter_map(|other| has.get(other));
            having.min().map(|at| (at + REPAIR_MS, *key))
        };
        let Some((at, key)) = lacking.filter_map(asks).min() else { return (has, copies) };
        copies += 1;
        has.insert(key, at);
        queue.insert((at, key));
    }
}

#[test]
fn among_a_thousand_each_entry_takes_few_hops_and_one_copy_each() {
    let (members, graph) = room(1_000);
    let links: Vec<usize> = members.iter().map(|key| graph.linked(key).count()).collect();
    assert!(links.iter().all(|count| (5..=8).contains(count)));
    let (mut slowest, mut copies) = (0, 0);
    for author in members.iter().step_by(100) {
        let (has, sent) = spread(&members, &graph, author, &BTreeSet::new());
        assert_eq!(has.len(), 1_000);
        slowest = slowest.max(has.values().copied().max().unwrap());
        copies += sent;
    }
    let copies = copies as f64 / (10.0 * 999.0);
    println!(
        "a thousand: {copies:.3} copies per member and entry, {} hops at most, {slowest} ms to all",
        slowest / HOP_MS
    );
    assert!(slowest <= 7 * HOP_MS && copies == 1.0);
}

#[test]
fn among_a_thousand_a_tenth_of_the_links_may_die_and_everybody_still_gets_everything() {
    let (members, graph) = room(1_000);
    let mut dead = BTreeSet::new();
    for key in &members {
        for other in graph.linked(key).filter(|other| key < *other) {
            if Sha256::new().chain_update(key.0).chain_update(other.0).finalize()[0] < 26 {
                dead.insert((*key, *other));
            }
        }
    }
    let (has, sent) = spread(&members, &graph, &members[0], &dead);
    let slowest = has.values().max().unwrap();
    println!("a thousand, {} links dead unnoticed: {:.3} copies, {slowest} ms to all", dead.len(), sent as f64 / 999.0);
    assert_eq!(has.len(), 1_000);
    assert!(*slowest <= 3 * REPAIR_MS + 10 * HOP_MS, "{slowest} ms");
}
