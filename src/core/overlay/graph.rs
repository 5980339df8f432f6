//! The links of a room as their ends state them, and which way an author's entries go over them.
//!
//! A link counts when both ends state it: nobody can make up a way through somebody else. From the same statements
//! everybody computes the same tree for each author, so that each member gets each entry from one other.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::identity::PeerId;

/// The links of a room.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// With whom each member says to have links.
    stated: BTreeMap<PeerId, BTreeSet<PeerId>>,
}

impl Graph {
    /// A member's links, by its own word; whether that is news.
    pub fn state(&mut self, by: PeerId, links: BTreeSet<PeerId>) -> bool {
        if self.stated.get(&by) == Some(&links) {
            return false;
        }
        self.stated.insert(by, links);
        true
    }

    /// Keeps only what these members state.
    pub fn keep_only(&mut self, is_member: impl Fn(&PeerId) -> bool) {
        self.stated.retain(|key, _| is_member(key));
    }

    /// The links that a member says to have.
    pub fn stated_by(&self, key: &PeerId) -> Option<&BTreeSet<PeerId>> {
        self.stated.get(key)
    }

    /// The members with whom `key` has links by both ends' word.
    pub fn linked(&self, key: &PeerId) -> impl Iterator<Item = &PeerId> {
        self.stated.get(key).into_iter().flatten().filter(|other| self.states(other, key))
    }

    fn states(&self, by: &PeerId, link_with: &PeerId) -> bool {
        self.stated.get(by).is_some_and(|links| links.contains(link_with))
    }

    /// How many links away from `root` each member is that can be reached from there.
    pub fn distances(&self, root: &PeerId) -> BTreeMap<PeerId, usize> {
        self.explore(root, |_| true, 0, |distance, _| distance + 1)
    }

    /// Over which of its own neighbours `root` reaches each other member, on a shortest way.
    pub fn ways(&self, root: &PeerId) -> BTreeMap<PeerId, PeerId> {
        self.ways_over(root, |_| true)
    }

    /// The same, over nobody but those who carry things on for others.
    pub fn ways_over(&self, root: &PeerId, carries: impl Fn(&PeerId) -> bool) -> BTreeMap<PeerId, PeerId> {
        let mut ways = self.explore(root, carries, *root, |way, next| if way == root { *next } else { *way });
        ways.remove(root);
        ways
    }

    /// Goes from `root` over ever more links of those who carry on, and notes of each member what `step` makes of what was noted of the one before.
    fn explore<T>(
        &self,
        root: &PeerId,
        carries: impl Fn(&PeerId) -> bool,
        first: T,
        step: impl Fn(&T, &PeerId) -> T,
    ) -> BTreeMap<PeerId, T> {
        let mut found = BTreeMap::from([(*root, first)]);
        let mut edge = vec![*root];
        while !edge.is_empty() {
            let mut next = Vec::new();
            for at in edge.into_iter().filter(|at| at == root || carries(at)) {
                let fresh = self.stated.get(&at).into_iter().flatten().filter(|key| !found.contains_key(*key));
                let fresh: Vec<PeerId> = fresh.filter(|key| self.states(key, &at)).copied().collect();
                for key in fresh {
                    let Some(noted) = found.get(&at).map(|before| step(before, &key)) else { continue };
                    found.insert(key, noted);
                    next.push(key);
                }
                // Nobody is left to be found: in a small room that is so after one link.
                if found.len() >= self.stated.len() {
                    return found;
                }
            }
            edge = next;
        }
        found
    }

    /// To whom `key` gives what `author` says, besides asking: those one link farther from the author for whom, of all who
    /// are linked with them and one link nearer, `key` has the highest hash of author, reader and giver.
    pub fn children(&self, author: &PeerId, key: &PeerId) -> BTreeSet<PeerId> {
        self.children_by(&self.distances(author), author, key)
    }

    /// The same, by the distances from the author.
    pub fn children_by(&self, distances: &BTreeMap<PeerId, usize>, author: &PeerId, key: &PeerId) -> BTreeSet<PeerId> {
        let Some(own) = distances.get(key) else { return BTreeSet::new() };
        let farther = self.linked(key).filter(|reader| distances.get(*reader) == Some(&(own + 1)));
        let is_ours = |reader: &&PeerId| {
            let mut givers = self.linked(reader).filter(|giver| distances.get(*giver) == Some(own));
            let mine = rank(author, reader, key);
            givers.all(|giver| giver == key || rank(author, reader, giver) < mine)
        };
        farther.filter(is_ours).copied().collect()
    }
}

/// Who of several gives an author's entries to a reader: the one for whom this is highest.
pub fn rank(author: &PeerId, reader: &PeerId, giver: &PeerId) -> [u8; 32] {
    Sha256::new().chain_update(author.0).chain_update(reader.0).chain_update(giver.0).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    /// A graph in which both ends state each of these links.
    fn graph(links: &[(u8, u8)]) -> Graph {
        let mut graph = Graph::default();
        for (one, other) in links.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]) {
            let mut stated = graph.stated_by(&key(one)).cloned().unwrap_or_default();
            stated.insert(key(other));
            graph.state(key(one), stated);
        }
        graph
    }

    #[test]
    fn a_link_that_one_end_states_is_none() {
        let mut graph = graph(&[(1, 2)]);
        graph.state(key(3), BTreeSet::from([key(1), key(2)]));
        assert_eq!(graph.distances(&key(1)).keys().copied().collect::<Vec<_>>(), [key(1), key(2)]);
        assert_eq!(graph.ways(&key(1)), BTreeMap::from([(key(2), key(2))]));
    }

    #[test]
    fn everybody_within_reach_gets_each_authors_entries_from_exactly_one() {
        let row = |n: u16| [n + 1, n * 7 + 3, n * 11 + 5].map(|other| (n as u8, (other % 40) as u8));
        let links: Vec<(u8, u8)> = (0..40).flat_map(row).filter(|(one, other)| one != other).collect();
        let graph = graph(&links);
        for author in 0..40 {
            let mut givers: BTreeMap<PeerId, usize> = BTreeMap::new();
            for giver in 0..40 {
                for reader in graph.children(&key(author), &key(giver)) {
                    *givers.entry(reader).or_default() += 1;
                }
            }
            assert_eq!(givers.len(), 39, "author {author}");
            assert!(givers.values().all(|count| *count == 1), "author {author}");
        }
    }

    #[test]
    fn a_chain_is_passed_on_from_end_to_end() {
        let graph = graph(&[(1, 2), (2, 3), (3, 4)]);
        assert_eq!(graph.children(&key(1), &key(3)), BTreeSet::from([key(4)]));
        assert_eq!(graph.children(&key(4), &key(3)), BTreeSet::from([key(2)]));
        assert_eq!(graph.ways(&key(1))[&key(4)], key(2));
        assert_eq!(graph.distances(&key(1))[&key(4)], 3);
    }

    #[test]
    fn nobody_is_reached_over_somebody_who_carries_nothing_on() {
        let graph = graph(&[(1, 2), (2, 3), (1, 4), (4, 5)]);
        let over_four = graph.ways_over(&key(1), |by| *by != key(2));
        assert_eq!(over_four.into_keys().collect::<Vec<_>>(), [key(2), key(4), key(5)]);
    }

    #[test]
    fn an_author_whom_nobody_reaches_has_no_tree() {
        let graph = graph(&[(1, 2)]);
        assert!(graph.children(&key(9), &key(1)).is_empty());
    }
}
