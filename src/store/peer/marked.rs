//! What was said about entries, for the transcript: edits, texts taken back, signs, the topic, folded by the same rules as
//! everywhere (`core::marks`). The index `mark` only finds the entries; what they say is read from themselves.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::index::short;
use super::runs::KeptRun;
use super::transcript::{RowsAtHand, Stand};
use super::{PeerStore, rows_of};
use crate::core::event::{Manner, Recalled};
use crate::core::log::KeptEntry;
use crate::core::marks::{Marks, Shown};
use crate::identity::{Name, PeerId};
use crate::limits::{MARKS_READ_MAX, SHOWN_AT_HAND_MAX, SIGNS_PER_AUTHOR_MAX, STANDING_RECALLED_MAX};
use crate::store::sqlite::StoreError;
use crate::wire::{BodyKind, Content, EntryId, RoomId};

/// Whether an entry is no text, but something said about a text or the room.
pub(super) fn is_mark(kept: &KeptEntry) -> bool {
    let said = [BodyKind::Text as u8, BodyKind::Action as u8, BodyKind::Reply as u8];
    !said.contains(&kept.entry.body.kind) && kept.entry.body.content().is_some()
}

/// Brings an entry into the index of those that are no texts, if it is none.
pub(super) fn keep_mark(to: &Connection, at: i64, kept: &KeptEntry) -> Result<(), StoreError> {
    if is_mark(kept) {
        let about = kept.entry.body.content().and_then(|content| content.about());
        to.prepare_cached("INSERT OR IGNORE INTO mark (at, room, about) VALUES (?, ?, ?)")?.execute(params![
            at,
            short(&kept.entry.room.0),
            about.map(|about| short(&about.0))
        ])?;
    }
    Ok(())
}

/// What is said about an entry, to read it in everybody's order.
const ABOUT: &str = "SELECT place.* FROM mark CROSS JOIN place ON place.at = mark.at
     WHERE mark.about = ?1 AND mark.room = ?2 ORDER BY place.epoch, place.depth, place.id";

/// Which of what one author says about an entry takes the place of what they said before.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Edit,
    Unsaid,
    Sign(String),
}

/// Once much is said about an entry, leaves out of the index what the same author has said anew since, or said beyond the bounds: it is
/// never shown, and whoever says it without end would slow down everybody who reads the entry. It stays a mark, about nothing.
pub(super) fn pass_over(on: &Connection, room: &RoomId, about: &EntryId) -> Result<(), StoreError> {
    let marks = "SELECT COUNT(*) FROM mark WHERE about = ? AND room = ?";
    let marks: i64 = on.prepare_cached(marks)?.query_row([short(&about.0), short(&room.0)], |row| row.get(0))?;
    if marks <= MARKS_READ_MAX as i64 {
        return Ok(());
    }
    let mut at_hand = RowsAtHand::of(on);
    let mut counting: BTreeMap<PeerId, BTreeMap<Wish, i64>> = BTreeMap::new();
    let mut passed = Vec::new();
    for stand in rows_of(on, ABOUT, [short(&about.0), short(&room.0)], Stand::read)? {
        let kept = at_hand.entry(&stand)?.0;
        let wish = match kept.entry.body.content() {
            Some(Content::Edit { .. }) => Wish::Edit,
            Some(Content::Unsaid(_)) => Wish::Unsaid,
            Some(Content::Reaction { sign, .. }) => Wish::Sign(sign),
            _ => continue,
        };
        let wishes = counting.entry(kept.entry.author).or_default();
        let signs = wishes.keys().filter(|known| matches!(known, Wish::Sign(_))).count();
        if matches!(wish, Wish::Sign(_)) && signs >= SIGNS_PER_AUTHOR_MAX && !wishes.contains_key(&wish) {
            passed.push(stand.at);
        } else {
            passed.extend(wishes.insert(wish, stand.at));
        }
    }
    let mut pass = on.prepare_cached("UPDATE mark SET about = x'' WHERE at = ?")?;
    passed.into_iter().try_for_each(|at| pass.execute([at]).map(drop))?;
    Ok(())
}

/// The words by which an entry is found: its own. Those of an edit lead to the text it changes.
pub(super) fn words_of(kept: &KeptEntry) -> Option<String> {
    match kept.entry.body.content()? {
        Content::Text(text) | Content::Action(text) | Content::Reply { text, .. } | Content::Edit { text, .. } => {
            Some(text)
        }
        _ => None,
    }
}

/// Reads entries as people do: with all that was said about them.
pub(super) struct Reading<'s> {
    store: &'s PeerStore,
    at_hand: RowsAtHand<'s>,
    /// Rows that no index has yet.
    late: &'s [KeptRun],
    names: BTreeMap<PeerId, Name>,
    me: PeerId,
    /// How texts are shown that were asked for already: many wordings may lead to one.
    shown: BTreeMap<EntryId, Shown>,
}

impl<'s> Reading<'s> {
    pub(super) fn of(
        store: &'s PeerStore,
        late: &'s [KeptRun],
        room: &RoomId,
        me: &PeerId,
    ) -> Result<Self, StoreError> {
        let (at_hand, names) = (RowsAtHand::of(store.connection()), store.names(room)?);
        Ok(Reading { store, at_hand, late, names, me: *me, shown: BTreeMap::new() })
    }

    /// What somebody was called in the room.
    pub(super) fn name(&self, key: &PeerId) -> Option<&Name> {
        self.names.get(key)
    }

    /// The entry that stands there, and whether it is on another branch.
    pub(super) fn entry(&mut self, stand: &Stand) -> Result<(KeptEntry, bool), StoreError> {
        self.at_hand.entry(stand)
    }

    /// How an entry is shown. Looked up once, unless too many others were asked for since.
    fn shown(&mut self, kept: &KeptEntry) -> Result<Shown, StoreError> {
        if let Some(shown) = self.shown.get(&kept.id) {
            return Ok(shown.clone());
        }
        let shown = self.about(kept)?.of(&kept.id, &kept.entry.author);
        if self.shown.len() >= SHOWN_AT_HAND_MAX {
            self.shown.clear();
        }
        self.shown.insert(kept.id, shown.clone());
        Ok(shown)
    }

    /// What was said about an entry.
    fn about(&mut self, kept: &KeptEntry) -> Result<Marks, StoreError> {
        let mut marks = Marks::default();
        let author_of = |id: &EntryId| (*id == kept.id).then_some(kept.entry.author);
        for stand in self.store.rows(ABOUT, [short(&kept.id.0), short(&kept.entry.room.0)], Stand::read)? {
            marks.fold(&self.at_hand.entry(&stand)?.0, author_of);
        }
        for late in self.late.iter().flat_map(|run| &run.entries).filter(|late| is_mark(late)) {
            marks.fold(late, author_of);
        }
        Ok(marks)
    }

    /// The entry that this one changes, if it is an edit by the same author and the newest; the entry itself if it is a text
    /// that has no newer wording. Nothing if what was found isn't shown any more.
    pub(super) fn shown_for(&mut self, kept: KeptEntry, forked: bool) -> Result<Option<(KeptEntry, bool)>, StoreError> {
        let (found, wording) = match kept.entry.body.content() {
            Some(Content::Edit { of, text }) => {
                let changed = self.find(&kept.entry.room, &of)?;
                (changed.filter(|(changed, _)| changed.entry.author == kept.entry.author), Some(text))
            }
            _ => (Some((kept, forked)), None),
        };
        let Some((changed, forked)) = found else { return Ok(None) };
        let shown = self.shown(&changed)?;
        Ok((!shown.unsaid && shown.edited == wording).then_some((changed, forked)))
    }

    fn find(&mut self, room: &RoomId, id: &EntryId) -> Result<Option<(KeptEntry, bool)>, StoreError> {
        let query = "SELECT * FROM place WHERE id = ? AND room = ?";
        for stand in self.store.rows(query, params![short(&id.0), short(&room.0)], Stand::read)? {
            let found = self.at_hand.entry(&stand)?;
            if found.0.id == *id {
                return Ok(Some(found));
            }
        }
        let late = self.late.iter().flat_map(|run| run.entries.iter().map(|kept| (kept, run.forked)));
        Ok(late.filter(|(kept, _)| kept.id == *id).map(|(kept, forked)| (kept.clone(), forked)).next())
    }

    /// An entry as a person reads it; `None` for one that is no text.
    pub(super) fn recalled(&mut self, kept: &KeptEntry, forked: bool) -> Result<Option<Recalled>, StoreError> {
        let (text, manner) = match kept.entry.body.content() {
            Some(Content::Text(text)) => (text, Manner::Text),
            Some(Content::Action(text)) => (text, Manner::Action),
            Some(Content::Reply { to, text }) => (text, Manner::Reply(to)),
            _ => return Ok(None),
        };
        let shown = self.shown(kept)?;
        let edited = shown.edited.is_some();
        let text = if shown.unsaid { String::new() } else { shown.edited.unwrap_or(text) };
        let called = |key: &PeerId| self.name(key).map_or_else(|| key.fingerprint().tag(), Name::to_string);
        let signs = shown.signs.into_iter().map(|(sign, by)| (sign, by.iter().map(called).collect())).collect();
        let (entry, author) = (&kept.entry, kept.entry.author);
        Ok(Some(Recalled {
            id: kept.id,
            from: self.name(&author).cloned(),
            key: author,
            mine: author == self.me,
            seq: entry.seq,
            text,
            sent_at_ms: entry.wall_ms,
            place: kept.place,
            forked,
            manner,
            edited,
            unsaid: shown.unsaid,
            signs,
        }))
    }
}

impl PeerStore {
    /// The newest entries about each room itself, as far as they are indexed.
    pub(super) fn standing(&self) -> Result<Vec<KeptEntry>, StoreError> {
        let rooms =
            self.rows("SELECT DISTINCT room FROM mark WHERE about IS NULL", [], |row| Ok(row.get::<_, i64>(0)?))?;
        let newest = format!(
            "SELECT place.* FROM mark CROSS JOIN place ON place.at = mark.at WHERE mark.room = ?1 AND mark.about IS NULL
             ORDER BY place.epoch DESC, place.depth DESC, place.id DESC LIMIT {STANDING_RECALLED_MAX}"
        );
        let mut at_hand = RowsAtHand::of(self.connection());
        let mut standing = Vec::new();
        for room in rooms {
            for stand in self.rows(&newest, [room], Stand::read)? {
                standing.push(at_hand.entry(&stand)?.0);
            }
        }
        Ok(standing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{put, say};
    use super::*;
    use crate::core::consent::testing::room_of;
    use crate::core::io::Change;
    use crate::identity::{Identity, Signer as _};
    use crate::wire::Roster;

    /// A room of two, and a text of the first.
    fn a_text() -> (PeerStore, Roster, Vec<Identity>, EntryId) {
        let (people, genesis, base) = room_of(2);
        let mut store = PeerStore::in_memory().unwrap();
        store.apply([&Change::Entered { genesis: genesis.into_signed(), base: base.clone() }]).unwrap();
        let of = say(&mut store, &base, &people[0], 1, &["teh tea"])[0].id;
        (store, base, people, of)
    }

    fn add(store: &mut PeerStore, base: &Roster, by: &Identity, depth: u64, all: impl IntoIterator<Item = Content>) {
        let bodies: Vec<_> = all.into_iter().map(|content| content.body().unwrap()).collect();
        for (part, bodies) in bodies.chunks(64).enumerate() {
            put(store, base, by, depth + 64 * part as u64, bodies.to_vec());
            store.index_all().unwrap();
        }
    }

    fn read_about(store: &PeerStore, of: &EntryId) -> usize {
        let count = "SELECT COUNT(*) FROM mark WHERE about = ?";
        store.connection().query_row(count, [short(&of.0)], |row| row.get::<_, i64>(0)).unwrap() as usize
    }

    #[test]
    fn edits_and_signs_without_end_are_not_all_read_and_what_counts_is_shown() {
        let (mut store, base, people, of) = a_text();
        let edits = (1..=500).map(|n| Content::Edit { of, text: format!("tea number {n}") });
        add(&mut store, &base, &people[0], 2, edits);
        let sign = |n: usize, on| Content::Reaction { to: of, on, sign: format!("s{n}") };
        let signs = (0..=600).map(|n| sign(0, n % 2 == 0)).chain((0..600).map(|n| sign(n, true)));
        add(&mut store, &base, &people[1], 600, signs);
        assert!(read_about(&store, &of) <= MARKS_READ_MAX + 64, "{}", read_about(&store, &of));
        let shown = store.last(&base.room, &people[0].id(), 10, None).unwrap();
        assert_eq!((shown.messages.len(), shown.more), (1, 0), "what is passed over is still no text");
        assert_eq!(shown.messages[0].text, "tea number 500");
        let signs: Vec<_> = shown.messages[0].signs.iter().map(|(sign, _)| sign.as_str()).collect();
        assert_eq!(signs.len(), SIGNS_PER_AUTHOR_MAX);
        assert!(signs.contains(&"s0") && signs.contains(&"s7"), "the first that were said, {signs:?}");
        let found = store.search(&base.room, &people[0].id(), "tea", 10).unwrap().unwrap();
        assert_eq!((found.messages.len(), found.more), (1, 0));
        assert!(store.standing().unwrap().is_empty(), "nor is it about the room");
    }

    #[test]
    fn what_others_say_without_end_does_not_bring_back_what_its_author_took_back() {
        let (mut store, base, people, of) = a_text();
        add(&mut store, &base, &people[0], 2, [Content::Unsaid(of)]);
        add(&mut store, &base, &people[1], 3, (0..600).map(|n| Content::Edit { of, text: n.to_string() }));
        let shown = store.last(&base.room, &people[0].id(), 10, None).unwrap();
        assert!(shown.messages[0].unsaid && shown.messages[0].text.is_empty());
    }

    #[test]
    fn how_a_text_is_shown_is_looked_up_once_in_a_search() {
        let (mut store, base, people, of) = a_text();
        add(&mut store, &base, &people[0], 2, [Content::Edit { of, text: "the tea".into() }]);
        let mut reading = Reading::of(&store, &[], &base.room, &people[0].id()).unwrap();
        let (kept, _) = reading.find(&base.room, &of).unwrap().unwrap();
        let shown = reading.shown(&kept).unwrap();
        assert_eq!(shown.edited.as_deref(), Some("the tea"));
        store.connection().execute("DELETE FROM mark", []).unwrap();
        assert_eq!(reading.shown(&kept).unwrap(), shown);
    }
}
