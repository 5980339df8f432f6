//! Private messages: said over the link with their reader, or sealed and carried by a member that has links with both. Kept
//! before they are sent and before they are acknowledged; sent again until they are.
//!
//! A carrier learns who says something to whom, when, and how long it is. Who is no member of the room can't take part.

use super::{Ctx, Room};
use crate::core::consent::roster::is_member;
use crate::core::event::{Event, Failure, PrivateMessage};
use crate::core::io::{Change, Output};
use crate::core::private::{Conversation, Privates};
use crate::identity::{Fingerprint, Name, PeerId, Sealer, Signed, Verified, signing_bytes};
use crate::limits::{SEQ_MAX, TEXT_BYTES_MAX};
use crate::wire::{
    Bytes, Carry, Letter, Parcel, PeerMessage, Private, Sealed, SealingKey, Series, decode, encode, encoded_len,
};

/// Milliseconds between two times that a member is told our key without having asked for it.
const TELL_KEY_MS: u64 = 1_000;

impl Room {
    /// Says a text to one member alone.
    ///
    /// # Errors
    /// [`Failure`] when there is no such member, or too much waits for them.
    pub fn say_privately(
        &mut self,
        ctx: &mut Ctx<'_>,
        to: &Name,
        fingerprint: Option<Fingerprint>,
        text: String,
    ) -> Result<(), Failure> {
        let bytes = text.len();
        let Ok(text) = Bytes::<TEXT_BYTES_MAX>::try_from(text.into_bytes()) else {
            return Err(Failure::TextTooLong { bytes });
        };
        let key = self.member_called(ctx, to, fingerprint)?;
        let outbox = &mut self.privates.with.entry(key).or_default().outbox;
        if outbox.is_full() {
            return Err(Failure::TooManyWaiting(to.clone()));
        }
        let (mut series, mut salt) = ([0; 16], [0; 16]);
        rand::Rng::fill_bytes(ctx.rng, &mut series);
        rand::Rng::fill_bytes(ctx.rng, &mut salt);
        let wall_ms = ctx.now.wall_ms;
        let (series, letter) = outbox.append(Series(series), |number| Letter { number, wall_ms, salt, text });
        let room = self.id();
        ctx.persist(Change::PrivateSaid { room, to: key, me: ctx.me(), series, letter: letter.clone() });
        self.tell_private(ctx, &key, true, series, &letter);
        self.send_privates(ctx, key);
        Ok(())
    }

    /// The member of this name, ourselves left out.
    pub(super) fn member_called(
        &self,
        ctx: &Ctx<'_>,
        name: &Name,
        fingerprint: Option<Fingerprint>,
    ) -> Result<PeerId, Failure> {
        let members = self.chain().current().members.iter();
        let mut named =
            members.filter(|member| member.name == *name && member.key != ctx.me()).map(|member| member.key);
        match (named.next(), fingerprint) {
            (None, _) => Err(Failure::NoSuchMember(name.clone())),
            (Some(key), Some(shown)) if shown != key.fingerprint() => Err(Failure::OtherWords(name.clone())),
            (Some(key), _) => Ok(key),
        }
    }

    fn tell_private(&self, ctx: &mut Ctx<'_>, with: &PeerId, mine: bool, series: Series, letter: &Letter) {
        let (Some(name), Ok(text)) = (self.name_of(with), std::str::from_utf8(&letter.text)) else { return };
        let (from, to) = if mine { (ctx.me(), *with) } else { (*with, ctx.me()) };
        ctx.tell(Event::Private(PrivateMessage {
            room: self.name.clone(),
            id: letter.id(&self.id(), &from, &to, &series),
            with: name,
            key: *with,
            mine,
            text: text.to_owned(),
            sent_at_ms: letter.wall_ms,
            delivered: !mine,
        }));
    }

    /// Sends what waits for a member, by whatever way there is.
    fn send_privates(&mut self, ctx: &mut Ctx<'_>, to: PeerId) {
        let Some(conversation) = self.privates.with.get_mut(&to) else { return };
        let Some((series, first, letters)) = conversation.outbox.to_send() else { return };
        if !is_member(self.seat.chain().current(), &to) {
            return;
        }
        let Some(up_to) = letters.last().map(|letter| letter.number) else { return };
        let roster = self.seat.chain().head();
        let by_link = self.readers.contains_key(&to);
        if !by_link && conversation.key.is_none() {
            conversation.outbox.wait(ctx.now.mono_ms);
            return self.send_key(ctx, to, None, true);
        }
        if !by_link && self.carrier(&to).is_none() {
            return;
        }
        for letter in letters {
            self.send_private(ctx, to, &Private::Letter { roster, series, first, letter });
        }
        if let Some(conversation) = self.privates.with.get_mut(&to) {
            conversation.outbox.sent(up_to, ctx.now.mono_ms);
        }
    }

    /// Says something to one member, directly or sealed.
    fn send_private(&mut self, ctx: &mut Ctx<'_>, to: PeerId, private: &Private) {
        let room = self.id();
        if self.readers.contains_key(&to) {
            return ctx.tell_peer(&to, PeerMessage::Private((room, private.clone())));
        }
        let Some(carrier) = self.carrier(&to) else { return };
        let Some(key) = self.privates.with.get(&to).and_then(|with| with.key.clone()) else { return };
        self.own_key(ctx);
        let Some((sealer, own)) = &self.privates.own else { return };
        let bound = bound(&own.unverified().clone(), &key);
        let Some((enc, bytes)) = sealer.seal(&key.public, &bound, &encode(private), ctx.rng) else { return };
        let Ok(bytes) = Bytes::try_from(bytes) else { return };
        let parcel = Parcel::Sealed(Sealed { enc, bytes });
        ctx.tell_peer(&carrier, PeerMessage::Carry(Carry { room, from: ctx.me(), to, parcel }));
    }

    /// A linked member that says to have a link with `to`; another one with each attempt that had no answer.
    fn carrier(&self, to: &PeerId) -> Option<PeerId> {
        let carriers: Vec<PeerId> = self.readers.keys().copied().filter(|via| self.reaches(via, to)).collect();
        let attempts = self.privates.with.get(to).map_or(0, |with| with.outbox.attempts);
        carriers.get(attempts.checked_rem(carriers.len())?).copied()
    }

    fn reaches(&self, via: &PeerId, to: &PeerId) -> bool {
        self.web.graph().stated_by(via).is_some_and(|linked| linked.contains(to))
    }

    /// Our key in this room, made when it is needed first.
    fn own_key(&mut self, ctx: &mut Ctx<'_>) -> Signed<SealingKey> {
        if let Some((_, key)) = &self.privates.own {
            return key.clone();
        }
        let sealer = Sealer::generate(ctx.rng);
        // The counter of our heads grows from start to start as well.
        self.head_counter = self.head_counter.saturating_add(1);
        let room = self.id();
        ctx.persist(Change::HeadCounter { room, counter: self.head_counter });
        let (epoch, counter, public) = (self.seat.chain().current().epoch, self.head_counter, sealer.public());
        let key = Verified::sign(SealingKey { room, by: ctx.me(), epoch, counter, public }, ctx.signer).into_signed();
        self.privates.own = Some((sealer, key.clone()));
        key
    }

    /// Tells a member our key, by way of `via` or of whoever can carry it.
    fn send_key(&mut self, ctx: &mut Ctx<'_>, to: PeerId, via: Option<PeerId>, wanted: bool) {
        let Some(via) = via.or_else(|| self.carrier(&to)) else { return };
        let key = self.own_key(ctx);
        let (room, from) = (self.id(), ctx.me());
        ctx.tell_peer(&via, PeerMessage::Carry(Carry { room, from, to, parcel: Parcel::Key(key, wanted) }));
    }

    /// Something to be carried: for us, or by us.
    pub fn on_carry(&mut self, ctx: &mut Ctx<'_>, via: PeerId, carry: Carry) {
        if carry.to != ctx.me() {
            return self.carry_on(ctx, via, carry);
        }
        let from = carry.from;
        if from == ctx.me() || !self.has(&from) {
            return;
        }
        match carry.parcel {
            Parcel::Key(key, wanted) => self.on_sealing_key(ctx, from, via, key, wanted),
            Parcel::Sealed(sealed) => match self.open_sealed(&from, &sealed) {
                Some(private) => self.on_private(ctx, from, private),
                // Sealed under a key of ours that is gone, or of theirs that is not known here: both are told.
                None => self.send_key_unasked(ctx, from, via),
            },
        }
    }

    fn open_sealed(&self, from: &PeerId, sealed: &Sealed) -> Option<Private> {
        let (sealer, own) = self.privates.own.as_ref()?;
        let key = self.privates.with.get(from)?.key.as_ref()?;
        let plain = sealer.open(&key.public, &bound(key, own.unverified()), &sealed.enc, &sealed.bytes)?;
        decode(&plain).ok()
    }

    fn send_key_unasked(&mut self, ctx: &mut Ctx<'_>, to: PeerId, via: PeerId) {
        let told = &mut self.privates.with.entry(to).or_default().told_key;
        if told.is_none_or(|at| at.saturating_add(TELL_KEY_MS) <= ctx.now.mono_ms) {
            *told = Some(ctx.now.mono_ms);
            self.send_key(ctx, to, Some(via), true);
        }
    }

    fn on_sealing_key(&mut self, ctx: &mut Ctx<'_>, from: PeerId, via: PeerId, key: Signed<SealingKey>, wanted: bool) {
        let Ok(key) = key.verify(ctx.scheme) else { return };
        if key.by != from || key.room != self.id() {
            return;
        }
        let with = self.privates.with.entry(from).or_default();
        let age = |key: &SealingKey| (key.epoch, key.counter);
        if with.key.as_ref().is_none_or(|known| age(known) < age(&key)) {
            with.key = Some(key);
            with.outbox.rewind();
        }
        if wanted {
            self.send_key(ctx, from, Some(via), false);
        }
        self.send_privates(ctx, from);
    }

    /// Carries something between two members, one hop and no flood.
    fn carry_on(&mut self, ctx: &mut Ctx<'_>, via: PeerId, carry: Carry) {
        let to = carry.to;
        if carry.from != via || !self.has(&to) || !self.readers.contains_key(&to) {
            return;
        }
        let bytes = encoded_len(&carry) as u64;
        // What is not carried is sent again by its author.
        if self.privates.carried.take(via, to, bytes, ctx.now.mono_ms) {
            ctx.tell_peer(&to, PeerMessage::Carry(carry));
        }
    }

    /// A member says something to us alone.
    pub fn on_private(&mut self, ctx: &mut Ctx<'_>, from: PeerId, private: Private) {
        match private {
            Private::Letter { roster, series, first, letter } => {
                let both = |roster: &crate::wire::Roster| is_member(roster, &from) && is_member(roster, &ctx.me());
                // Of a roster that is not known yet it is sent again; what is no text, or beyond all counting, is never taken.
                let sound = std::str::from_utf8(&letter.text).is_ok() && letter.number.max(first) <= SEQ_MAX;
                if !self.audience(&roster).is_some_and(both) || !sound {
                    return;
                }
                let with = self.privates.with.entry(from).or_default();
                let (new, up_to) = with.inbox.take(series, first, letter.number);
                // Of somebody who is ignored it is acknowledged and gone: nobody would read it, and they need not know.
                if new && !ctx.known.ignores(&from) {
                    let room = self.id();
                    ctx.persist(Change::PrivateHeard { room, from, me: ctx.me(), series, letter: letter.clone() });
                    self.tell_private(ctx, &from, false, series, &letter);
                }
                self.send_private(ctx, from, &Private::Received { series, up_to });
            }
            Private::Received { series, up_to } => {
                let Some(with) = self.privates.with.get_mut(&from) else { return };
                let arrived = with.outbox.acknowledge(series, up_to);
                if arrived.is_empty() {
                    return;
                }
                let room = self.id();
                ctx.persist(Change::PrivateReceived { room, by: from, series, up_to });
                let ids = arrived.iter().map(|letter| letter.id(&room, &ctx.me(), &from, &series)).collect();
                if let Some(name) = self.name_of(&from) {
                    ctx.tell(Event::PrivateDelivered { room: self.name.clone(), with: name, key: from, ids });
                }
                self.send_privates(ctx, from);
            }
        }
    }

    /// There may be a way to members that there was none to: what waits for them is sent.
    pub(super) fn privates_reach(&mut self, ctx: &mut Ctx<'_>, linked_anew: Option<PeerId>) {
        let waiting = self.privates.with.iter_mut().filter(|(_, with)| with.outbox.is_waiting());
        let mut whom = Vec::new();
        for (key, with) in waiting {
            if linked_anew == Some(*key) {
                with.outbox.rewind();
            }
            if with.outbox.again_at.is_none() {
                whom.push(*key);
            }
        }
        whom.into_iter().for_each(|key| self.send_privates(ctx, key));
    }

    /// Time passed: what was not acknowledged is sent again.
    pub fn privates_due(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono_ms;
        let late = self.privates.with.iter_mut().filter_map(|(key, with)| with.outbox.lapse(now).then_some(*key));
        let late: Vec<PeerId> = late.collect();
        late.into_iter().for_each(|key| self.send_privates(ctx, key));
    }

    /// When something is to be sent again.
    pub(super) fn private_due(&self) -> Option<u64> {
        self.privates.with.values().filter_map(|with| with.outbox.again_at).min()
    }

    /// Whether every linked member has acknowledged what we said to them alone.
    pub fn privates_delivered(&self) -> bool {
        let waits = |with: &Conversation| with.outbox.is_waiting();
        !self.privates.with.iter().any(|(key, with)| waits(with) && self.readers.contains_key(key))
    }

    /// Shows a conversation, as far as it was kept.
    ///
    /// # Errors
    /// [`Failure`] when nobody of that name is a member.
    pub fn tell_conversation(
        &self,
        ctx: &mut Ctx<'_>,
        with: Name,
        fingerprint: Option<Fingerprint>,
        count: usize,
    ) -> Result<(), Failure> {
        let key = self.member_called(ctx, &with, fingerprint)?;
        ctx.out.push(Output::Conversation { room: self.id(), name: self.name.clone(), with, key, count });
        Ok(())
    }

    /// Puts back what was kept.
    pub(in crate::core) fn recall_privates(&mut self, privates: Privates) {
        self.privates = privates;
    }
}

/// What a sealed message is bound to: the room, who says it, who reads it, and the keys of both.
fn bound(from: &SealingKey, to: &SealingKey) -> Vec<u8> {
    signing_bytes("sealed", &(from.room, from.by, to.by, from.public, to.public))
}
