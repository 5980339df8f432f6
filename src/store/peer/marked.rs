//! What was said about entries, for the transcript: edits, texts taken back, signs, the topic, folded by the same rules as
//! everywhere (`core::marks`). The index `mark` only finds the entries; what they say is read from themselves.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::PeerStore;
use super::runs::KeptRun;
use super::transcript::{RowsAtHand, Stand};
use crate::core::event::{Manner, Recalled};
use crate::core::log::KeptEntry;
use crate::core::marks::Marks;
use crate::identity::{Name, PeerId};
use crate::limits::STANDING_RECALLED_MAX;
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
            kept.entry.room.0,
            about.map(|about| about.0)
        ])?;
    }
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
}

impl<'s> Reading<'s> {
    pub(super) fn of(
        store: &'s PeerStore,
        late: &'s [KeptRun],
        room: &RoomId,
        me: &PeerId,
    ) -> Result<Self, StoreError> {
        Ok(Reading { store, at_hand: RowsAtHand::of(store.connection()), late, names: store.names(room)?, me: *me })
    }

    /// What somebody was called in the room.
    pub(super) fn name(&self, key: &PeerId) -> Option<&Name> {
        self.names.get(key)
    }

    /// The entry that stands there, and whether it is on another branch.
    pub(super) fn entry(&mut self, stand: &Stand) -> Result<(KeptEntry, bool), StoreError> {
        self.at_hand.entry(stand)
    }

    /// What was said about an entry.
    fn about(&mut self, kept: &KeptEntry) -> Result<Marks, StoreError> {
        let mut marks = Marks::default();
        let author_of = |id: &EntryId| (*id == kept.id).then_some(kept.entry.author);
        let about = "SELECT place.* FROM mark CROSS JOIN place ON place.at = mark.at
             WHERE mark.about = ?1 AND mark.room = ?2 ORDER BY place.epoch, place.depth, place.id";
        for stand in self.store.rows(about, params![kept.id.0, kept.entry.room.0], Stand::read)? {
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
        let shown = self.about(&changed)?.of(&changed.id, &changed.entry.author);
        Ok((!shown.unsaid && shown.edited == wording).then_some((changed, forked)))
    }

    fn find(&mut self, room: &RoomId, id: &EntryId) -> Result<Option<(KeptEntry, bool)>, StoreError> {
        let query = "SELECT * FROM place WHERE id = ? AND room = ? LIMIT 1";
        match self.store.rows(query, params![id.0, room.0], Stand::read)?.first() {
            Some(stand) => self.at_hand.entry(stand).map(Some),
            None => {
                let late = self.late.iter().flat_map(|run| run.entries.iter().map(|kept| (kept, run.forked)));
                Ok(late.filter(|(kept, _)| kept.id == *id).map(|(kept, forked)| (kept.clone(), forked)).next())
            }
        }
    }

    /// An entry as a person reads it; `None` for one that is no text.
    pub(super) fn recalled(&mut self, kept: &KeptEntry, forked: bool) -> Result<Option<Recalled>, StoreError> {
        let (text, manner) = match kept.entry.body.content() {
            Some(Content::Text(text)) => (text, Manner::Text),
            Some(Content::Action(text)) => (text, Manner::Action),
            Some(Content::Reply { to, text }) => (text, Manner::Reply(to)),
            _ => return Ok(None),
        };
        let shown = self.about(kept)?.of(&kept.id, &kept.entry.author);
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
            self.rows("SELECT DISTINCT room FROM mark WHERE about IS NULL", [], |row| Ok(RoomId(row.get(0)?)))?;
        let newest = format!(
            "SELECT place.* FROM mark CROSS JOIN place ON place.at = mark.at WHERE mark.room = ?1 AND mark.about IS NULL
             ORDER BY place.epoch DESC, place.depth DESC, place.id DESC LIMIT {STANDING_RECALLED_MAX}"
        );
        let mut at_hand = RowsAtHand::of(self.connection());
        let mut standing = Vec::new();
        for room in rooms {
            for stand in self.rows(&newest, [room.0], Stand::read)? {
                standing.push(at_hand.entry(&stand)?.0);
            }
        }
        Ok(standing)
    }
}
