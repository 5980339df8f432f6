//! What is said about what was said: edits, texts taken back, signs under texts, the topic, who is away.
//!
//! A pure fold over entries. It comes to the same whatever order they are folded in, since each mark knows its place in the
//! transcript: of several the last one there counts. An edit, or a taking back, counts only by the author of the text; a
//! text that was taken back stays so. The room folds what it hears, the store folds what it shows, faces may fold events.

use std::collections::BTreeMap;

use super::log::{KeptEntry, Place};
use crate::identity::PeerId;
use crate::limits::{MARKED_ENTRIES_MAX, SIGNS_PER_AUTHOR_MAX};
use crate::wire::{Content, EntryId};

/// Where a mark stands in the transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// By epoch and depth.
    pub place: Place,
    /// Then by id.
    pub id: EntryId,
}

/// What was said about the entries of one room, and about the room.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// By entry.
    entries: BTreeMap<EntryId, Marked>,
    /// The newest topic, and whose it is.
    topic: Option<(At, PeerId, String)>,
    /// Whether somebody is away, and why, as they said last.
    away: BTreeMap<PeerId, (At, Option<String>)>,
}

/// What was said about one entry.
#[derive(Debug, Clone)]
struct Marked {
    /// By whom.
    by: BTreeMap<PeerId, Marker>,
    /// The newest of it.
    newest: At,
}

/// What one author said about one entry.
#[derive(Debug, Clone, Default)]
struct Marker {
    /// Its new text.
    edit: Option<(At, String)>,
    /// Whether it is taken back.
    unsaid: bool,
    /// Which signs stand under it, or did.
    signs: BTreeMap<String, (At, bool)>,
}

/// How an entry is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its new text, if its author gave it one.
    pub edited: Option<String>,
    /// Whether its author took it back.
    pub unsaid: bool,
    /// The signs under it, and whose they are.
    pub signs: Vec<(String, Vec<PeerId>)>,
}

impl Marks {
    /// Folds an entry in; whether anything is shown differently now. `author_of` tells whose the entry is that it is about, as
    /// far as that is known.
    pub fn fold(&mut self, kept: &KeptEntry, author_of: impl Fn(&EntryId) -> Option<PeerId>) -> bool {
        let (at, author) = (At { place: kept.place, id: kept.id }, kept.entry.author);
        let Some(content) = kept.entry.body.content() else { return false };
        match content {
            Content::Topic(text) => {
                let newer = self.topic.as_ref().is_none_or(|(known, ..)| *known < at);
                if newer {
                    self.topic = Some((at, author, text));
                }
                newer
            }
            Content::Away(text) => self.fold_away(at, author, Some(text)),
            Content::Back => self.fold_away(at, author, None),
            Content::Edit { of, text } if author_of(&of).is_none_or(|whose| whose == author) => {
                let marker = self.marker(of, at, author);
                let newer = marker.edit.as_ref().is_none_or(|(known, _)| *known < at);
                if newer {
                    marker.edit = Some((at, text));
                }
                newer && !marker.unsaid
            }
            Content::Unsaid(of) if author_of(&of).is_none_or(|whose| whose == author) => {
                let marker = self.marker(of, at, author);
                // What nobody is to read needs no memory either.
                marker.edit = None;
                !std::mem::replace(&mut marker.unsaid, true)
            }
            Content::Reaction { to, on, sign } => self.fold_sign(at, author, to, on, sign),
            _ => false,
        }
    }

    fn fold_away(&mut self, at: At, author: PeerId, why: Option<String>) -> bool {
        let newer = self.away.get(&author).is_none_or(|(known, _)| *known < at);
        newer && self.away.insert(author, (at, why.clone())).map(|(_, before)| before) != Some(why)
    }

    fn fold_sign(&mut self, at: At, author: PeerId, to: EntryId, on: bool, sign: String) -> bool {
        let marker = self.marker(to, at, author);
        let before = marker.signs.get(&sign).copied();
        if before.is_some_and(|(known, _)| at <= known)
            || before.is_none() && marker.signs.len() >= SIGNS_PER_AUTHOR_MAX
        {
            return false;
        }
        marker.signs.insert(sign, (at, on));
        before.is_some_and(|(_, on)| on) != on
    }

    /// What `author` said about an entry; of too many entries the one about which nothing was said for longest goes.
    fn marker(&mut self, entry: EntryId, at: At, author: PeerId) -> &mut Marker {
        if self.entries.len() >= MARKED_ENTRIES_MAX && !self.entries.contains_key(&entry) {
            let oldest = self.entries.iter().min_by_key(|(_, marked)| marked.newest).map(|(id, _)| *id);
            oldest.and_then(|oldest| self.entries.remove(&oldest));
        }
        let marked = self.entries.entry(entry).or_insert_with(|| Marked { by: BTreeMap::new(), newest: at });
        marked.newest = marked.newest.max(at);
        marked.by.entry(author).or_default()
    }

    /// How an entry of this author is shown.
    pub fn of(&self, entry: &EntryId, author: &PeerId) -> Shown {
        let Some(marked) = self.entries.get(entry) else { return Shown::default() };
        let own = marked.by.get(author);
        let unsaid = own.is_some_and(|own| own.unsaid);
        let edited = own.and_then(|own| own.edit.as_ref()).map(|(_, text)| text.clone()).filter(|_| !unsaid);
        let mut signs: BTreeMap<(At, &String), Vec<PeerId>> = BTreeMap::new();
        let mut first: BTreeMap<&String, At> = BTreeMap::new();
        let standing = || {
            marked.by.iter().flat_map(|(by, marker)| {
                marker.signs.iter().filter(|(_, (_, on))| *on).map(move |(sign, (at, _))| (*by, sign, *at))
            })
        };
        for (_, sign, at) in standing() {
            first.entry(sign).and_modify(|known| *known = at.min(*known)).or_insert(at);
        }
        // In the order in which they came, so that they stand alike on every screen.
        for (by, sign, _) in standing() {
            signs.entry((first[sign], sign)).or_default().push(by);
        }
        let signs = signs.into_iter().map(|((_, sign), by)| (sign.clone(), by)).collect();
        Shown { edited, unsaid, signs }
    }

    /// Whether `author` has this sign under an entry now.
    pub fn has_sign(&self, entry: &EntryId, author: &PeerId, sign: &str) -> bool {
        let marker = self.entries.get(entry).and_then(|marked| marked.by.get(author));
        marker.and_then(|marker| marker.signs.get(sign)).is_some_and(|(_, on)| *on)
    }

    /// What the room is about, and who said so; nothing if nobody did, or it was taken away.
    pub fn topic(&self) -> Option<(&PeerId, &str)> {
        self.topic.as_ref().map(|(_, by, text)| (by, text.as_str())).filter(|(_, text)| !text.is_empty())
    }

    /// Why somebody is away; nothing if they aren't.
    pub fn away(&self, key: &PeerId) -> Option<&str> {
        self.away.get(key).and_then(|(_, why)| why.as_deref())
    }

    /// Everybody who is away.
    pub fn all_away(&self) -> impl Iterator<Item = (&PeerId, &str)> {
        self.away.iter().filter_map(|(key, (_, why))| Some((key, why.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Entry, Few, RoomId, RosterHash};

    const TARGET: EntryId = EntryId([9; 32]);

    fn entry(author: u8, depth: u64, content: Content) -> KeptEntry {
        let entry = Entry {
            room: RoomId([0; 32]),
            author: PeerId([author; 32]),
            seq: depth,
            previous: EntryId([0; 32]),
            audience: RosterHash([0; 32]),
            previous_audience: RosterHash([0; 32]),
            seen: Few::default(),
            depth,
            wall_ms: 0,
            salt: [0; 16],
            body: content.body().unwrap(),
        };
        KeptEntry { id: entry.id(), entry: entry.into(), signature: None, place: Place { epoch: 0, depth } }
    }

    fn edit(text: &str) -> Content {
        Content::Edit { of: TARGET, text: text.into() }
    }

    fn sign(on: bool) -> Content {
        Content::Reaction { to: TARGET, on, sign: "👍".into() }
    }

    fn ann() -> PeerId {
        PeerId([1; 32])
    }

    /// All of it folded in every rotation and both directions: always the same.
    fn folded(entries: &[KeptEntry]) -> Marks {
        let anns = |_: &EntryId| Some(ann());
        let mut all = Vec::new();
        for turn in 0..entries.len() {
            for backwards in [false, true] {
                let mut order: Vec<_> = entries.iter().cycle().skip(turn).take(entries.len()).collect();
                if backwards {
                    order.reverse();
                }
                let mut marks = Marks::default();
                order.into_iter().for_each(|entry| _ = marks.fold(entry, anns));
                all.push(marks);
            }
        }
        let seen = |marks: &Marks| {
            let topic = marks.topic().map(|(by, text)| (*by, text.to_owned()));
            (marks.of(&TARGET, &ann()), topic, marks.away(&ann()).map(str::to_owned))
        };
        assert!(all.iter().all(|marks| seen(marks) == seen(&all[0])), "the order of folding shows");
        all.remove(0)
    }

    #[test]
    fn the_last_edit_in_the_transcript_counts_whatever_comes_first() {
        let marks = folded(&[entry(1, 2, edit("second")), entry(1, 1, edit("first")), entry(1, 3, edit("third"))]);
        assert_eq!(marks.of(&TARGET, &ann()).edited.as_deref(), Some("third"));
    }

    #[test]
    fn nobody_edits_or_takes_back_what_another_said() {
        let marks = folded(&[entry(2, 1, edit("forged")), entry(2, 2, Content::Unsaid(TARGET))]);
        assert_eq!(marks.of(&TARGET, &ann()), Shown::default());
        // Not even where it is not known yet whose it is.
        let mut blind = Marks::default();
        blind.fold(&entry(2, 1, edit("forged")), |_| None);
        assert_eq!(blind.of(&TARGET, &ann()), Shown::default());
    }

    #[test]
    fn what_was_taken_back_stays_so() {
        let marks =
            folded(&[entry(1, 1, edit("new")), entry(1, 2, Content::Unsaid(TARGET)), entry(1, 3, edit("again"))]);
        let shown = marks.of(&TARGET, &ann());
        assert!(shown.unsaid && shown.edited.is_none());
    }

    #[test]
    fn a_sign_stands_until_its_author_takes_it_back() {
        let entries = [entry(1, 1, sign(true)), entry(2, 2, sign(true)), entry(1, 3, sign(false))];
        let marks = folded(&entries);
        assert_eq!(marks.of(&TARGET, &ann()).signs, [("👍".to_owned(), vec![PeerId([2; 32])])]);
        assert!(marks.has_sign(&TARGET, &PeerId([2; 32]), "👍") && !marks.has_sign(&TARGET, &ann(), "👍"));
        let mut marks = Marks::default();
        let news: Vec<bool> = entries.iter().chain(&entries).map(|entry| marks.fold(entry, |_| None)).collect();
        assert_eq!(news, [true, true, true, false, false, false], "said twice is no news");
    }

    #[test]
    fn topics_and_absences_are_those_said_last() {
        let topic = |text: &str| Content::Topic(text.into());
        let marks = folded(&[
            entry(1, 4, topic("new")),
            entry(2, 2, topic("old")),
            entry(1, 1, Content::Away("lunch".into())),
            entry(1, 3, Content::Back),
        ]);
        assert_eq!(marks.topic(), Some((&ann(), "new")));
        assert_eq!(marks.away(&ann()), None);
        let marks =
            folded(&[entry(1, 4, topic("")), entry(2, 2, topic("old")), entry(1, 5, Content::Away(String::new()))]);
        assert_eq!(marks.topic(), None);
        assert_eq!(marks.away(&ann()), Some(""));
    }

    #[test]
    fn a_flood_of_marks_is_bounded() {
        let mut marks = Marks::default();
        for n in 0..(MARKED_ENTRIES_MAX as u64 + 100) {
            let mut of = [0; 32];
            of[..8].copy_from_slice(&n.to_le_bytes());
            marks.fold(&entry(1, n, Content::Edit { of: EntryId(of), text: "x".into() }), |_| None);
        }
        assert_eq!(marks.entries.len(), MARKED_ENTRIES_MAX);
        for n in 0..100 {
            marks.fold(&entry(1, n, Content::Reaction { to: TARGET, on: true, sign: n.to_string() }), |_| None);
        }
        assert_eq!(marks.of(&TARGET, &ann()).signs.len(), SIGNS_PER_AUTHOR_MAX);
    }
}
