//! What was said about entries, for the transcript: edits, texts taken back, signs, the topic, folded by the same rules as
//! everywhere (`core::marks`). The index `mark` only finds the entries; what they say is read from themselves.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::rows::{self, ENTRY_COLUMNS};
use super::transcript::qualified;
use super::{PeerStore, rows_of};
use crate::core::event::{Manner, Recalled};
use crate::core::log::KeptEntry;
use crate::core::marks::Marks;
use crate::identity::{Name, PeerId};
use crate::store::sqlite::StoreError;
use crate::wire::{BodyKind, Content, RoomId};

/// Notes that an entry is no text, and what it is about.
pub(super) fn keep_mark(to: &Connection, kept: &KeptEntry) -> Result<(), StoreError> {
    let said = [BodyKind::Text as u8, BodyKind::Action as u8, BodyKind::Reply as u8];
    if said.contains(&kept.entry.body.kind) {
        return Ok(());
    }
    let Some(content) = kept.entry.body.content() else { return Ok(()) };
    let values = params![kept.id.0, kept.entry.room.0, content.about().map(|about| about.0)];
    to.prepare_cached("INSERT OR IGNORE INTO mark (id, room, about) VALUES (?, ?, ?)")?.execute(values)?;
    Ok(())
}

/// The words by which an entry is found: its own. That of an edit leads to the text it changes.
pub(super) fn words_of(kept: &KeptEntry) -> Option<String> {
    match kept.entry.body.content()? {
        Content::Text(text) | Content::Action(text) | Content::Reply { text, .. } | Content::Edit { text, .. } => {
            Some(text)
        }
        _ => None,
    }
}

impl PeerStore {
    /// What was said about an entry, in the order of the transcript, folded into `marks`.
    pub(super) fn fold_about(&self, kept: &KeptEntry, marks: &mut Marks) -> Result<(), StoreError> {
        let about = format!(
            "SELECT {} FROM mark CROSS JOIN entry ON entry.id = mark.id
             WHERE mark.about = ?1 AND entry.room = ?2 AND entry.entry IS NOT NULL
             ORDER BY entry.epoch, entry.depth, entry.id",
            qualified()
        );
        for mark in self.rows(&about, params![kept.id.0, kept.entry.room.0], rows::kept_entry)? {
            marks.fold(&mark, |id| (*id == kept.id).then_some(kept.entry.author));
        }
        Ok(())
    }

    /// The entry that this one changes, if it is an edit by the same author and the newest; the entry itself if it is a text
    /// that has no newer wording. Nothing if what was found isn't shown any more.
    pub(super) fn shown_for(&self, kept: KeptEntry) -> Result<Option<KeptEntry>, StoreError> {
        let (changed, wording) = match kept.entry.body.content() {
            Some(Content::Edit { of, text }) => {
                let query = format!(
                    "SELECT {ENTRY_COLUMNS} FROM entry WHERE id = ? AND room = ? AND entry IS NOT NULL LIMIT 1"
                );
                let changed = self.rows(&query, [of.0, kept.entry.room.0], rows::kept_entry)?.into_iter().next();
                (changed.filter(|changed| changed.entry.author == kept.entry.author), Some(text))
            }
            _ => (Some(kept), None),
        };
        let Some(changed) = changed else { return Ok(None) };
        let mut marks = Marks::default();
        self.fold_about(&changed, &mut marks)?;
        let shown = marks.of(&changed.id, &changed.entry.author);
        Ok((!shown.unsaid && shown.edited == wording).then_some(changed))
    }

    /// An entry as a person reads it, with what was said about it; `None` for one that is no text.
    pub(super) fn recalled(
        &self,
        kept: &KeptEntry,
        forked: bool,
        names: &BTreeMap<PeerId, Name>,
        me: &PeerId,
    ) -> Result<Option<Recalled>, StoreError> {
        let (text, manner) = match kept.entry.body.content() {
            Some(Content::Text(text)) => (text, Manner::Text),
            Some(Content::Action(text)) => (text, Manner::Action),
            Some(Content::Reply { to, text }) => (text, Manner::Reply(to)),
            _ => return Ok(None),
        };
        let mut marks = Marks::default();
        self.fold_about(kept, &mut marks)?;
        let shown = marks.of(&kept.id, &kept.entry.author);
        let edited = shown.edited.is_some();
        let text = if shown.unsaid { String::new() } else { shown.edited.unwrap_or(text) };
        let called = |key: &PeerId| names.get(key).map_or_else(|| key.fingerprint().tag(), Name::to_string);
        let signs = shown.signs.into_iter().map(|(sign, by)| (sign, by.iter().map(called).collect())).collect();
        let (entry, author) = (&kept.entry, kept.entry.author);
        Ok(Some(Recalled {
            id: kept.id,
            from: names.get(&author).cloned(),
            key: author,
            mine: author == *me,
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

    /// What the room is about, as far back as the history goes: whose word it is, and the topic.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be read or a row is damaged.
    pub fn topic(&self, room: &RoomId) -> Result<Option<(PeerId, String)>, StoreError> {
        let query = format!(
            "SELECT {} FROM mark CROSS JOIN entry ON entry.id = mark.id
             WHERE mark.room = ?1 AND mark.about IS NULL AND entry.entry IS NOT NULL
             ORDER BY entry.epoch, entry.depth, entry.id",
            qualified()
        );
        let mut marks = Marks::default();
        for mark in rows_of(&self.all, &query, [room.0], rows::kept_entry)? {
            marks.fold(&mark, |_| None);
        }
        Ok(marks.topic().map(|(by, topic)| (*by, topic.to_owned())))
    }
}
