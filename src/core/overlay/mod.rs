//! Who is linked with whom in a room, and which way what is said takes: pure functions that everybody computes alike.
//!
//! [`rings`] says with whom a member of a large room should have links, [`graph`] what links there are by their own ends'
//! word, and which way the entries of an author go over them. Nothing in here is the truth about who has what: frontiers
//! are (DESIGN.md §5). It only makes that most entries arrive at once, and once.

pub mod graph;
pub mod rings;
