//! The people of a room, as our user knows them: whom we met before, whose words were compared, who is hidden, who is away.

use super::{Ctx, Room};
use crate::core::acquaintances::Acquaintance;
use crate::core::consent::past::records;
use crate::core::event::{Event, Failure, Path, Person, RecordKind, Trust, Whois};
use crate::core::io::Change;
use crate::identity::{Fingerprint, Name, PeerId};

impl Room {
    /// Who is in, for the eye.
    pub fn people(&self, ctx: &Ctx<'_>) -> Vec<Person> {
        let members = &self.chain().current().members;
        members.iter().map(|member| self.person(ctx, member.key, &member.name)).collect()
    }

    fn person(&self, ctx: &Ctx<'_>, key: PeerId, name: &Name) -> Person {
        let me = key == ctx.me();
        // Others may say that they have a link with us, but nobody is reached through somebody else by oneself.
        let path = if me { Path::None } else { self.path(ctx, &key) };
        let trust = if me { Trust::Verified } else { ctx.known.trust(&key) };
        let away = self.marks.away(&key).map(str::to_owned);
        Person { name: name.clone(), key, me, path, trust, away, ignored: ctx.known.ignores(&key) }
    }

    /// We have come in: everybody there is met.
    pub(super) fn meet_all(&self, ctx: &mut Ctx<'_>) {
        let me = ctx.me();
        let others = self.chain().current().members.iter().filter(|member| member.key != me);
        others.for_each(|member| self.meet(ctx, member.key, &member.name));
    }

    /// Somebody is in a room with us. That their name is known from another key is told loudly: they are somebody new.
    pub(super) fn meet(&self, ctx: &mut Ctx<'_>, key: PeerId, name: &Name) {
        if let Some(known) = ctx.known.other_key(name, &key) {
            ctx.tell(Event::OtherKey { room: self.name.clone(), name: name.clone(), key, known });
        }
        let met = ctx.known.meet(key, name, ctx.now.wall_ms);
        self.keep_known(ctx, key, met);
    }

    fn keep_known(&self, ctx: &mut Ctx<'_>, key: PeerId, known: Option<Acquaintance>) {
        if let Some(known) = known {
            ctx.persist(Change::Acquaintance { room: self.id(), key, known });
        }
    }

    /// Hides what a member says from now on, or no longer.
    ///
    /// # Errors
    /// [`Failure`] when nobody of that name is a member.
    pub fn ignore(&self, ctx: &mut Ctx<'_>, name: &Name, on: bool) -> Result<(), Failure> {
        let key = self.member_called(ctx, name, None)?;
        let known = ctx.known.ignore(&key, on);
        self.keep_known(ctx, key, known);
        ctx.tell(Event::Ignoring { room: self.name.clone(), name: name.clone(), key, on });
        Ok(())
    }

    /// Shows the words to be compared, or notes how they compared.
    ///
    /// # Errors
    /// [`Failure`] when nobody of that name is a member, or the words compared are another key's.
    pub fn verify(
        &self,
        ctx: &mut Ctx<'_>,
        name: &Name,
        fingerprint: Option<Fingerprint>,
        same: Option<bool>,
    ) -> Result<(), Failure> {
        let key = self.member_called(ctx, name, fingerprint)?;
        if let Some(same) = same {
            // Whoever says that they are the same says which.
            if same && fingerprint.is_none() {
                return Err(Failure::OtherWords(name.clone()));
            }
            let known = ctx.known.verify(&key, same.then_some(ctx.now.wall_ms));
            self.keep_known(ctx, key, known);
        }
        let (fingerprint, mine, trust) = (key.fingerprint(), ctx.me().fingerprint(), ctx.known.trust(&key));
        ctx.tell(Event::Verify { room: self.name.clone(), name: name.clone(), fingerprint, mine, trust });
        Ok(())
    }

    /// Tells all that is known of a member.
    ///
    /// # Errors
    /// [`Failure`] when nobody of that name is a member.
    pub fn whois(&self, ctx: &mut Ctx<'_>, name: &Name) -> Result<(), Failure> {
        let mut members = self.chain().current().members.iter();
        let member = members.find(|member| member.name == *name).ok_or(Failure::NoSuchMember(name.clone()))?;
        let key = member.key;
        let records = records(self.chain(), &self.step_notes);
        let admitted = |record: &&crate::core::event::Record| {
            record.what == RecordKind::Admitted && record.who.iter().any(|(_, who)| *who == key)
        };
        let came = records.iter().rfind(admitted);
        let known = ctx.known.get(&key);
        let who = Whois {
            person: self.person(ctx, key, name),
            since_epoch: came.map(|record| record.epoch),
            since_ms: came.and_then(|record| record.at_ms),
            admitted_by: came
                .map_or(Vec::new(), |record| record.signed.iter().map(|(name, ..)| name.clone()).collect()),
            first_seen_ms: known.map(|known| known.first_seen_ms),
            names: known.map_or(Vec::new(), |known| known.names.clone()),
            verified_ms: known.and_then(|known| known.verified_ms),
        };
        ctx.tell(Event::Whois { room: self.name.clone(), who: Box::new(who) });
        Ok(())
    }
}
