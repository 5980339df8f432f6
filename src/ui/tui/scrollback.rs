//! What was said and told in one room, as far as the screen holds it, and which part of it is looked at.
//!
//! Lines stand in everybody's order, so a late message takes its place among the others. Where the person looks is held by
//! the lowest row that they see: what comes in below or above moves nothing. Never holds more than its bounds; what is
//! forgotten at the top is still in the history.

use std::collections::VecDeque;

use crate::peer::api::limits::{SCROLLBACK_BYTES_MAX, SCROLLBACK_LINES_MAX};
use crate::peer::api::{EntryId, Manner, Name, PeerId, Place};

/// A place in a scrollback that stays the same while lines come in around it.
pub type At = i64;

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// Its id.
    pub id: EntryId,
    /// Where it stands.
    pub place: Place,
    /// Who said it.
    pub key: PeerId,
    /// What they were called, if that is known.
    pub from: Option<Name>,
    /// Whether it is ours.
    pub mine: bool,
    /// What, as it came: nothing of it goes to the screen unescaped.
    pub text: String,
    /// Whether we are named in it.
    pub mention: bool,
    /// How it is said.
    pub manner: Manner,
    /// What it answers, as a reminder, escaped already.
    pub answers: Option<String>,
    /// Whether this is not its first wording.
    pub edited: bool,
    /// Whether its author took it back.
    pub unsaid: bool,
    /// The signs under it, and whose they are.
    pub signs: Vec<(String, Vec<String>)>,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Somebody said something.
    Said(Saying),
    /// The program tells something, escaped already.
    Told(String),
    /// So many newcomers asked to join, one after the other; the names of the first, escaped already.
    Knocks {
        /// The first few.
        names: Vec<String>,
        /// How many in all.
        count: usize,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since 1970: by the author's clock, or ours if we tell it.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

impl Line {
    fn order(&self) -> Option<(Place, EntryId)> {
        match &self.what {
            What::Said(said) => Some((said.place, said.id)),
            _ => None,
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Line>()
            + match &self.what {
                What::Said(said) => said.text.len() + said.signs.iter().map(sign_bytes).sum::<usize>(),
                What::Told(text) => text.len(),
                What::Knocks { names, .. } => names.iter().map(String::len).sum(),
            }
    }
}

/// Bytes of a sign and of the names under it.
fn sign_bytes((sign, by): &(String, Vec<String>)) -> usize {
    size_of::<(String, Vec<String>)>()
        + sign.len()
        + by.iter().map(|name| size_of::<String>() + name.len()).sum::<usize>()
}

/// The lowest row that is looked at: a line, and which of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lowest {
    /// Which line.
    pub line: At,
    /// Which of its rows, from 0; one beyond the last means the last.
    pub row: usize,
}

/// The lines of a room.
#[derive(Debug, Default)]
pub struct Scrollback {
    lines: VecDeque<Line>,
    /// The place of the first line.
    first: At,
    bytes: usize,
    /// Where the person looks; `None` for the end, wherever it is.
    lowest: Option<Lowest>,
    /// The first line that came while nobody looked.
    unread_from: Option<At>,
    /// Whether lines were forgotten at the top to make room.
    pub full: bool,
}

impl Scrollback {
    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The place of the first line.
    pub fn first(&self) -> At {
        self.first
    }

    /// The place behind the last line.
    pub fn end(&self) -> At {
        self.first + self.lines.len() as At
    }

    /// The line at a place.
    pub fn get(&self, at: At) -> Option<&Line> {
        self.lines.get(usize::try_from(at - self.first).ok()?)
    }

    /// All lines with their places, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (At, &Line)> {
        let end = self.end();
        self.lines.iter().rev().enumerate().map(move |(back, line)| (end - 1 - back as At, line))
    }

    /// The oldest text that is here.
    pub fn oldest_said(&self) -> Option<&Saying> {
        self.lines.iter().find_map(|line| match &line.what {
            What::Said(said) => Some(said),
            _ => None,
        })
    }

    /// The newest text that is here.
    pub fn newest_said(&self) -> Option<&Saying> {
        self.newest_first().find_map(|(_, line)| match &line.what {
            What::Said(said) => Some(said),
            _ => None,
        })
    }

    /// Where the person looks; `None` at the end.
    pub fn lowest(&self) -> Option<Lowest> {
        self.lowest
    }

    /// Looks there.
    pub fn look(&mut self, lowest: Option<Lowest>) {
        self.lowest = lowest.filter(|lowest| lowest.line < self.end());
    }

    /// Whether the newest line is looked at.
    pub fn is_at_end(&self) -> bool {
        self.lowest.is_none()
    }

    /// Where the unread line stands.
    pub fn unread_from(&self) -> Option<At> {
        self.unread_from
    }

    /// Puts the unread line before a place, or nowhere.
    pub fn set_unread_from(&mut self, at: Option<At>) {
        self.unread_from = at;
    }

    /// Adds what the program tells.
    pub fn tell(&mut self, at_ms: u64, what: What) {
        self.put(self.end(), Line { at_ms, what });
        self.forget();
    }

    /// Changes the newest line, if there is one; `None` if not.
    pub fn change_newest<T>(&mut self, change: impl FnOnce(&mut What) -> T) -> Option<T> {
        let at = self.lines.len().checked_sub(1)?;
        Some(self.change_at(at, change))
    }

    /// Changes the text of this id, if it is here; `None` if not.
    pub fn change_said<T>(&mut self, id: &EntryId, change: impl FnOnce(&mut Saying) -> T) -> Option<T> {
        let is_it = |line: &Line| matches!(&line.what, What::Said(said) if said.id == *id);
        let at = self.lines.iter().rposition(is_it)?;
        self.change_at(at, |what| match what {
            What::Said(said) => Some(change(said)),
            _ => None,
        })
    }

    /// Whether the text of this id is here.
    pub fn has_said(&self, id: &EntryId) -> bool {
        self.newest_first().any(|(_, line)| matches!(&line.what, What::Said(said) if said.id == *id))
    }

    /// The one way to change a line: a text may be as long after it as it was short before, and is counted anew.
    fn change_at<T>(&mut self, at: usize, change: impl FnOnce(&mut What) -> T) -> T {
        let line = &mut self.lines[at];
        let before = line.bytes();
        let done = change(&mut line.what);
        let after = line.bytes();
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        self.forget();
        done
    }

    /// Adds what was said, in its place, and gives that back; `None` if it is here already.
    pub fn say(&mut self, at_ms: u64, said: Saying) -> Option<At> {
        let order = (said.place, said.id);
        let line = Line { at_ms, what: What::Said(said) };
        // Most of what is said comes last, so the way is short.
        let mut place = self.end();
        for (at, known) in self.newest_first() {
            match known.order() {
                Some(known) if known == order => return None,
                Some(known) if known < order => break,
                Some(_) => place = at,
                None => {}
            }
        }
        let place = self.put(place, line);
        self.forget();
        Some(place)
    }

    /// Adds a page of earlier texts, oldest first. Stops where the bounds are reached; `false` then.
    pub fn prepend(&mut self, page: Vec<(u64, Saying)>) -> bool {
        for (at_ms, said) in page.into_iter().rev() {
            if self.lines.len() >= SCROLLBACK_LINES_MAX || self.bytes >= SCROLLBACK_BYTES_MAX {
                return false;
            }
            let before_all = self.oldest_said().is_none_or(|oldest| (said.place, said.id) < (oldest.place, oldest.id));
            if before_all {
                self.put(self.first, Line { at_ms, what: What::Said(said) });
            } else {
                self.say(at_ms, said);
            }
        }
        true
    }

    /// Forgets everything that is shown.
    pub fn clear(&mut self) {
        self.first = self.end();
        self.lines.clear();
        self.bytes = 0;
        self.lowest = None;
        self.unread_from = None;
    }

    fn put(&mut self, at: At, line: Line) -> At {
        self.bytes += line.bytes();
        if at == self.first && !self.lines.is_empty() {
            self.first -= 1;
            self.lines.push_front(line);
            return self.first;
        }
        let index = usize::try_from(at - self.first).unwrap_or(0).min(self.lines.len());
        self.lines.insert(index, line);
        if let Some(lowest) = &mut self.lowest
            && lowest.line >= at
        {
            lowest.line += 1;
        }
        if let Some(unread) = &mut self.unread_from
            && *unread > at
        {
            *unread += 1;
        }
        at
    }

    /// Keeps within the bounds, by forgetting the oldest.
    fn forget(&mut self) {
        while self.lines.len() > SCROLLBACK_LINES_MAX || self.bytes > SCROLLBACK_BYTES_MAX {
            let Some(line) = self.lines.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(line.bytes());
            self.first += 1;
            self.full = true;
        }
        let first = self.first;
        if let Some(lowest) = &mut self.lowest {
            lowest.line = lowest.line.max(first);
        }
        if let Some(unread) = &mut self.unread_from {
            *unread = (*unread).max(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(depth: u64, text: &str) -> Saying {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&depth.to_be_bytes());
        Saying {
            id: EntryId(id),
            place: Place { epoch: 1, depth },
            key: PeerId([2; 32]),
            from: None,
            mine: false,
            text: text.into(),
            mention: false,
            manner: Manner::Text,
            answers: None,
            edited: false,
            unsaid: false,
            signs: Vec::new(),
        }
    }

    fn texts(lines: &Scrollback) -> Vec<String> {
        let text = |line: &Line| match &line.what {
            What::Said(said) => said.text.clone(),
            What::Told(text) => format!("*{text}"),
            What::Knocks { .. } => "knocks".into(),
        };
        (lines.first()..lines.end()).filter_map(|at| lines.get(at)).map(text).collect()
    }

    #[test]
    fn a_late_text_takes_its_place_and_the_person_looks_at_the_same_line() {
        let mut lines = Scrollback::default();
        lines.say(0, said(1, "one"));
        lines.say(0, said(4, "four"));
        lines.tell(0, What::Told("told".into()));
        let four = lines.first() + 1;
        lines.look(Some(Lowest { line: four, row: 0 }));
        lines.set_unread_from(Some(four));
        assert!(lines.say(0, said(3, "three")).is_some());
        assert_eq!(texts(&lines), ["one", "three", "four", "*told"]);
        let looked = lines.lowest().and_then(|lowest| lines.get(lowest.line)).unwrap();
        assert_eq!(looked.order(), Some((said(4, "").place, said(4, "").id)));
        assert_eq!(lines.say(0, said(3, "again")), None, "no text stands twice");
    }

    #[test]
    fn earlier_texts_come_in_above_without_moving_anything() {
        let mut lines = Scrollback::default();
        lines.say(0, said(5, "five"));
        lines.look(Some(Lowest { line: lines.first(), row: 0 }));
        assert!(lines.prepend(vec![(0, said(3, "three")), (0, said(4, "four"))]));
        assert_eq!(texts(&lines), ["three", "four", "five"]);
        let line = lines.lowest().unwrap().line;
        assert!(matches!(&lines.get(line).unwrap().what, What::Said(said) if said.text == "five"));
    }

    #[test]
    fn lines_without_end_do_not_fill_memory() {
        let mut lines = Scrollback::default();
        let text = "x".repeat(4096);
        for depth in 0..(SCROLLBACK_BYTES_MAX as u64 / 4096 + 100) {
            lines.say(0, said(depth, &text));
        }
        assert!(lines.bytes <= SCROLLBACK_BYTES_MAX && lines.full);
        lines.clear();
        for depth in 0..(SCROLLBACK_LINES_MAX as u64 + 100) {
            lines.say(0, said(depth, "x"));
        }
        assert_eq!(lines.len(), SCROLLBACK_LINES_MAX);
        assert!(!lines.prepend(vec![(0, said(1, "x"))]), "nothing is added above a full one");
    }

    fn counted(lines: &Scrollback) -> usize {
        lines.lines.iter().map(Line::bytes).sum()
    }

    fn fill(lines: &mut Scrollback, count: u64, text: &str) -> Vec<EntryId> {
        let all: Vec<Saying> = (0..count).map(|depth| said(depth, text)).collect();
        all.into_iter().map(|said| (said.id, lines.say(0, said)).0).collect()
    }

    #[test]
    fn texts_taken_back_leave_room_for_what_comes_after() {
        let mut lines = Scrollback::default();
        let rounds = 2 * SCROLLBACK_BYTES_MAX as u64 / 4096;
        let text = "x".repeat(4096);
        for depth in 0..rounds {
            let said = said(depth, &text);
            let id = said.id;
            lines.say(0, said);
            lines.change_said(&id, |said| said.text.clear());
        }
        assert_eq!(lines.bytes, counted(&lines));
        assert_eq!((lines.len() as u64, lines.full), (rounds, false));
        lines.tell(0, What::Told("a warning".into()));
        assert_eq!(texts(&lines).pop().as_deref(), Some("*a warning"));
    }

    #[test]
    fn texts_that_grow_or_are_signed_keep_within_the_bounds() {
        let mut lines = Scrollback::default();
        let ids = fill(&mut lines, SCROLLBACK_BYTES_MAX as u64 / 6_000, "x");
        let text = "x".repeat(4096);
        for id in &ids {
            lines.change_said(id, |said| said.text.clone_from(&text));
            lines.change_said(id, |said| said.signs.push((text.clone(), vec![text.clone()])));
        }
        assert!(lines.full && counted(&lines) <= SCROLLBACK_BYTES_MAX);
        assert_eq!(lines.bytes, counted(&lines));
        assert!(!lines.has_said(&ids[0]) && lines.has_said(&ids[ids.len() - 1]), "the oldest are forgotten");
    }
}
