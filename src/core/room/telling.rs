//! Telling: what entries say, as events; what is said about other entries only where it changes something.

use super::{Ctx, Room};
use crate::core::event::{Event, Failure, Manner};
use crate::core::log::KeptEntry;
use crate::core::mentions::mentions;
use crate::identity::PeerId;
use crate::wire::{BodyKind, Content, EntryId, check_sign};

impl Room {
    /// Shows an entry.
    pub(super) fn tell_entry(&mut self, ctx: &mut Ctx<'_>, kept: &KeptEntry, forked: bool) {
        let (key, me) = (kept.entry.author, ctx.me());
        let Some(content) = kept.entry.body.content() else { return };
        let manner = match &content {
            Content::Text(_) => Manner::Text,
            Content::Action(_) => Manner::Action,
            Content::Reply { to, .. } => Manner::Reply(*to),
            _ => return self.tell_mark(ctx, kept, content),
        };
        let (Some(from), false) = (self.name_of(&key), ctx.known.ignores(&key)) else { return };
        let mine = key == me;
        let answers_me = matches!(manner, Manner::Reply(to) if self.author_of(&to) == Some(me));
        let text = content.into_text().unwrap_or_default();
        let mentions_me = !mine && (answers_me || self.speaks_to(&me, &text));
        ctx.tell(Event::Message {
            room: self.name.clone(),
            id: kept.id,
            from,
            key,
            mine,
            seq: kept.entry.seq,
            text,
            sent_at_ms: kept.entry.wall_ms,
            place: kept.place,
            forked,
            manner,
            mentions_me,
        });
    }

    fn speaks_to(&self, me: &PeerId, text: &str) -> bool {
        self.chain().current().members.iter().any(|member| member.key == *me && mentions(text, member.name.as_str()))
    }

    fn author_of(&self, id: &EntryId) -> Option<PeerId> {
        self.log.known(id).map(|known| known.author)
    }

    fn tell_mark(&mut self, ctx: &mut Ctx<'_>, kept: &KeptEntry, content: Content) {
        let log = &self.log;
        let changed = self.marks.fold(kept, |id| log.known(id).map(|known| known.author));
        let (room, key) = (self.name.clone(), kept.entry.author);
        let (Some(from), true, false) = (self.name_of(&key), changed, ctx.known.ignores(&key)) else { return };
        let mine = key == ctx.me();
        ctx.tell(match content {
            Content::Reaction { to, on, sign } => Event::Reaction { room, to, from, key, mine, sign, on },
            Content::Edit { of, text } => {
                Event::Edited { room, of, from, key, mine, text, sent_at_ms: kept.entry.wall_ms }
            }
            Content::Unsaid(of) => Event::Unsaid { room, of, from, key, mine },
            Content::Topic(text) => Event::Topic { room, from: Some(from), key, text, recalled: false },
            Content::Away(why) => Event::Away { room, name: from, key, mine, why: Some(why) },
            Content::Back => Event::Away { room, name: from, key, mine, why: None },
            Content::Text(_) | Content::Action(_) | Content::Reply { .. } => return,
        });
    }

    /// Folds what is said about entries and the room in the newest part of the logs, after a start.
    pub(super) fn recall_marks(&mut self) {
        let said = [BodyKind::Text as u8, BodyKind::Action as u8, BodyKind::Reply as u8];
        let (log, marks) = (&self.log, &mut self.marks);
        let authors: Vec<PeerId> = log.frontier().map(|(author, _)| author).collect();
        let newest = authors.iter().filter_map(|author| log.author(author)).flat_map(|log| log.newest());
        for kept in newest.filter(|kept| !said.contains(&kept.entry.body.kind)) {
            marks.fold(kept, |id| log.known(id).map(|known| known.author));
        }
    }

    /// Folds what is said about the room, out of the store, after a start.
    pub(in crate::core) fn recall_standing<'k>(&mut self, kept: impl Iterator<Item = &'k KeptEntry>) {
        kept.for_each(|kept| _ = self.marks.fold(kept, |_| None));
    }

    /// Says something else than a plain text.
    ///
    /// # Errors
    /// [`Failure`] when it is too long, or about what another said.
    pub fn put(&mut self, ctx: &mut Ctx<'_>, what: &Content) -> Result<(), Failure> {
        if let Content::Edit { of, .. } | Content::Unsaid(of) = what
            && self.author_of(of).is_some_and(|author| author != ctx.me())
        {
            return Err(Failure::NotYours);
        }
        let body = what.body().ok_or_else(|| match what {
            Content::Reaction { .. } => Failure::NoSign,
            Content::Edit { text, .. } | Content::Topic(text) | Content::Away(text) => too_long(text),
            _ => too_long(what.text().unwrap_or_default()),
        })?;
        self.say(ctx, vec![body]);
        Ok(())
    }

    /// Puts a sign under an entry, or takes it back.
    ///
    /// # Errors
    /// [`Failure::NoSign`].
    pub fn react(&mut self, ctx: &mut Ctx<'_>, to: EntryId, sign: String) -> Result<(), Failure> {
        check_sign(&sign).map_err(|_| Failure::NoSign)?;
        let on = !self.marks.has_sign(&to, &ctx.me(), &sign);
        self.put(ctx, &Content::Reaction { to, on, sign })
    }

    /// What the room is about and who is away, for somebody who has just come in.
    pub(super) fn tell_standing(&self, ctx: &mut Ctx<'_>) {
        if let Some((key, text)) = self.marks.topic() {
            let (room, from) = (self.name.clone(), self.name_of(key));
            ctx.tell(Event::Topic { room, from, key: *key, text: text.to_owned(), recalled: true });
        }
    }
}

fn too_long(text: &str) -> Failure {
    Failure::TextTooLong { bytes: text.len() }
}
