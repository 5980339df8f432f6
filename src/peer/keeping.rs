//! What the driver does with the history besides writing it: showing parts of it, and forgetting what is too old or too much.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::HISTORY_FILE_NAME;
use super::api::Options;
use super::aside;
use super::driver::Driver;
use super::pins::Pins;
use super::quota::Taken;
use crate::core::event::{BadSearch, Ending, Event, Failure, PrivateMessage, Recall};
use crate::core::io::{Input, LinkId};
use crate::core::log::{Known, Place};
use crate::identity::{Ed25519, Name, PeerId, RoomName};
use crate::limits::{FORGETTING_EVERY_S, FORGETTING_PAUSE_MS, UNINDEXED_WORTH_A_PAUSE};
use crate::store::StoreError;
use crate::store::peer::{Forgetting, Keep, KeptLetter, Part, PeerStore, Salvaged};
use crate::wire::{Carry, EntryId, Parcel, PeerMessage, Private, RoomId};

/// How long nothing else may happen until the indexes are brought up to date.
const INDEX_AFTER: Duration = Duration::from_secs(10);

/// The same while many entries wait for it: a pause of people who write, or of a program that catches up.
const INDEX_AFTER_BURST: Duration = Duration::from_millis(50);

/// A sealed message of no more bytes is a receipt: one byte, the series, a number of ten and the seal's tag are 43. A letter has a
/// hash and a salt beside its series, which are 80 already.
const SEALED_RECEIVED_BYTES_MAX: usize = 64;

/// What the core wants to know of the store about one room.
#[derive(Default)]
pub(super) struct Question {
    /// Whether these entries are there.
    ids: BTreeSet<EntryId>,
    /// Whether anything stands at these numbers.
    numbers: BTreeSet<(PeerId, u64)>,
}

impl Question {
    /// Asks for more.
    pub(super) fn add(&mut self, ids: Vec<EntryId>, numbers: Vec<(PeerId, u64)>) {
        self.ids.extend(ids);
        self.numbers.extend(numbers);
    }
}

/// What the driver remembers of it.
pub(super) struct Keeping {
    /// Where the history is, unless it is in memory.
    file: Option<PathBuf>,
    /// The servers whose certificates we know.
    pins: Pins,
    /// How many texts of earlier are shown on coming into a room.
    scrollback: usize,
    /// The number of the newest entry when the program began.
    begun_at_number: i64,
    /// Rooms of which the texts of earlier were shown.
    scrolled_back: BTreeSet<RoomId>,
    /// How much is kept.
    keep: Keep,
    /// What is being forgotten.
    forgetting: Option<Forgetting>,
    /// When there is something to forget next, or to look for it.
    pub(super) forget_at: Instant,
}

impl Keeping {
    /// At the start.
    pub(super) fn new(options: &Options, store: &PeerStore) -> Self {
        let lasting = !options.ephemeral && !options.visiting;
        Keeping {
            file: lasting.then(|| options.data_dir.join(HISTORY_FILE_NAME)),
            pins: Pins::in_dir(&options.data_dir),
            scrollback: options.scrollback,
            // A history that can't say it fails louder elsewhere.
            begun_at_number: store.newest_number().unwrap_or_default(),
            scrolled_back: BTreeSet::new(),
            keep: options.keep,
            forgetting: None,
            forget_at: Instant::now(),
        }
    }
}

impl Driver {
    /// Whether an error was damage to the history, which is saved then as far as it can be, so that what failed may be tried
    /// again. Should our seats not be among what was saved, this run ends: what it had signed is no longer on disk.
    pub(super) async fn repair(&mut self, error: &StoreError) -> bool {
        let Some(file) = self.keeping.file.clone().filter(|_| error.is_damage()) else { return false };
        let me = self.node.id();
        let salvaged = aside(|| {
            // Whoever still has it open would write to what is set aside.
            self.store = PeerStore::in_memory()?;
            PeerStore::salvage(&file, me, &today(), &Ed25519, error)
        });
        match salvaged {
            Ok((store, salvaged)) => {
                self.store = store;
                let seats = salvaged.seats;
                self.tell(damaged(salvaged)).await;
                if !seats {
                    self.ended = true;
                    self.tell(Event::Ended(Ending::Undelivered)).await;
                }
                seats
            }
            Err(error) => {
                self.tell(unreadable(&error)).await;
                self.ended = true;
                self.tell(Event::Ended(Ending::Undelivered)).await;
                false
            }
        }
    }

    /// Entries that the core asked for; none where the history can't be read.
    pub(super) async fn fetch(&mut self, room: RoomId, reader: PeerId, author: PeerId, from: u64) -> Input {
        let fetched = self.store.fetch(&room, &author, from);
        let entries = self.or_none(fetched).await;
        Input::Fetched { room, reader, author, from, entries }
    }

    /// Where entries stand that the core did not remember when it asked; some may have come since.
    pub(super) async fn look_up_for(&mut self, room: RoomId, question: Question) -> Input {
        let Question { ids, numbers } = question;
        let asked: Vec<EntryId> = ids.into_iter().collect();
        let (mut found, mut ids): (Vec<(EntryId, Known)>, Vec<EntryId>) = Default::default();
        for id in &asked {
            match self.node.known(&room, id) {
                Some(known) => found.push((*id, known)),
                None => ids.push(*id),
            }
        }
        let numbers: Vec<(PeerId, u64)> = numbers.into_iter().collect();
        if !ids.is_empty() || !numbers.is_empty() {
            let looked_up = self.store.look_up(&room, &ids, &numbers);
            found.extend(self.or_none(looked_up).await);
        }
        Input::LookedUp { room, asked, found }
    }

    async fn or_none<T>(&mut self, read: Result<Vec<T>, StoreError>) -> Vec<T> {
        match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "the history can't be read");
                self.repair(&error).await;
                Vec::new()
            }
        }
    }

    /// Shows what the history has of what was asked for.
    pub(super) async fn recall(
        &mut self,
        room: RoomId,
        name: RoomName,
        count: usize,
        words: Option<String>,
        before: Option<(Place, EntryId)>,
    ) {
        let mut found = self.look_up(&room, count, words.as_deref(), before);
        if let Err(error) = &found
            && self.repair(error).await
        {
            found = self.look_up(&room, count, words.as_deref(), before);
        }
        let why = match (&words, before) {
            (Some(_), _) => Recall::Search,
            (None, Some(_)) => Recall::Earlier,
            (None, None) => Recall::Last,
        };
        let event = match found {
            Ok(Ok(Part { mut messages, more })) => {
                messages.retain(|message| !self.node.ignores(&message.key));
                Event::History { room: name, why, messages, more }
            }
            Ok(Err(why)) => Event::Failed(Failure::BadSearch(why)),
            Err(error) => unreadable(&error),
        };
        self.tell(event).await;
    }

    fn look_up(
        &mut self,
        room: &RoomId,
        count: usize,
        words: Option<&str>,
        before: Option<(Place, EntryId)>,
    ) -> Result<Result<Part, BadSearch>, StoreError> {
        let me = self.node.id();
        aside(|| match (words, before) {
            (Some(words), _) => self.store.search(room, &me, words, count),
            (None, Some((place, id))) => self.store.before(room, &me, count, place, &id).map(Ok),
            (None, None) => self.store.last(room, &me, count, None).map(Ok),
        })
    }

    /// Shows what was said in a room before this program began: once, since all that came after it was shown as it came.
    pub(super) async fn scroll_back(&mut self, name: RoomName) {
        let Some(room) = self.node.room_named(&name) else { return };
        let Keeping { scrollback, begun_at_number, scrolled_back, .. } = &mut self.keeping;
        if *scrollback == 0 || !scrolled_back.insert(room) {
            return;
        }
        let (store, me) = (&mut self.store, self.node.id());
        let event = match aside(|| store.last(&room, &me, *scrollback, Some(*begun_at_number))) {
            Ok(Part { messages, .. }) if messages.is_empty() => return,
            Ok(Part { mut messages, more }) => {
                messages.retain(|message| !self.node.ignores(&message.key));
                Event::History { room: name, why: Recall::Joined, messages, more }
            }
            Err(error) => {
                self.repair(&error).await;
                unreadable(&error)
            }
        };
        self.tell(event).await;
    }

    /// Whether there is no space for what a member passes on. It is not acknowledged then, and comes again.
    pub(super) async fn refuses(&mut self, link: LinkId, message: &PeerMessage) -> bool {
        let linked = self.wires.get(&link).map(|wire| wire.peer);
        let Some((id, author)) = to_be_kept(message, linked, &self.node.id()) else { return false };
        let Some(name) = self.node.name_of_room(&id) else { return false };
        let (room, author) = self.store.taken(&id, &author);
        let Some((what, tell)) = self.space.refuses_others(Instant::now(), &name, Taken { room, author }) else {
            return false;
        };
        if tell {
            tracing::warn!(?what, "what others say is not taken");
            self.tell(Event::Failed(Failure::NoSpace { own: false, what })).await;
        }
        true
    }

    /// Whether there is no space for a text of our own; then the user is told each time.
    pub(super) async fn refuses_own(&mut self, name: &RoomName) -> bool {
        let Some(id) = self.node.room_named(name) else { return false };
        let (room, author) = self.store.taken(&id, &self.node.id());
        let Some(what) = self.space.refuses_own(Instant::now(), name, Taken { room, author }) else { return false };
        self.tell(Event::Failed(Failure::NoSpace { own: true, what })).await;
        true
    }

    /// Shows what was said between us and one member.
    pub(super) async fn show_conversation(
        &mut self,
        id: RoomId,
        room: RoomName,
        with: Name,
        key: PeerId,
        count: usize,
    ) {
        let mut found = self.store.letters(&id, &key, count);
        if let Err(error) = &found
            && self.repair(error).await
        {
            found = self.store.letters(&id, &key, count);
        }
        let event = match found {
            Ok((letters, more)) => {
                let message = |kept: KeptLetter| PrivateMessage {
                    room: room.clone(),
                    id: kept.id,
                    with: with.clone(),
                    key,
                    mine: kept.mine,
                    text: String::from_utf8_lossy(&kept.letter.text).into_owned(),
                    sent_at_ms: kept.letter.wall_ms,
                    delivered: kept.received,
                };
                let messages = letters.into_iter().map(message).collect();
                Event::Conversation { room, with, key, messages, more }
            }
            Err(error) => unreadable(&error),
        };
        self.tell(event).await;
    }

    /// Tells what a newcomer needs to come here.
    pub(super) async fn tell_invite(&mut self, room: RoomName) {
        let server = self.server_name.clone();
        // A server that the public roots vouch for has no words to compare.
        let pin = self.keeping.pins.get(&server).ok().flatten();
        self.tell(Event::Invite { room, server, pin }).await;
    }

    /// How long nothing else may happen until more is brought into the indexes; `None` when they have all.
    pub(super) fn index_after(&self) -> Option<Duration> {
        match self.store.unindexed() {
            0 => None,
            1..UNINDEXED_WORTH_A_PAUSE => Some(INDEX_AFTER),
            _ => Some(INDEX_AFTER_BURST),
        }
    }

    /// Brings a little more into the indexes.
    pub(super) async fn index_some(&mut self) {
        if let Err(error) = self.store.index_some() {
            tracing::error!(%error, "what was said can't be indexed");
            if !self.repair(&error).await {
                // A full disk: what is read needs the indexes and tries again, and says so.
                tokio::time::sleep(INDEX_AFTER_BURST).await;
            }
        }
    }

    /// Forgets a little of what is too old or too much, and says to itself when to go on.
    pub(super) async fn forget_some(&mut self) {
        let (store, me, Keeping { keep, forgetting, .. }) = (&mut self.store, self.node.id(), &mut self.keeping);
        let more = aside(|| {
            let mut left = match forgetting.take() {
                Some(left) => left,
                None => store.begin_forgetting(keep, wall_ms())?,
            };
            let more = store.forget_some(&mut left, &me)?;
            Ok::<_, StoreError>(more.then_some(left))
        });
        match more {
            Ok(more) => *forgetting = more,
            Err(error) => {
                tracing::error!(%error, "what is old can't be forgotten");
                self.repair(&error).await;
            }
        }
        let wait = match self.keeping.forgetting {
            Some(_) => Duration::from_millis(FORGETTING_PAUSE_MS),
            None => Duration::from_secs(FORGETTING_EVERY_S),
        };
        self.keeping.forget_at = Instant::now() + wait;
    }
}

/// In which room, and as whose, a message would be kept: entries, and what is said to us alone, over the link or carried.
fn to_be_kept(message: &PeerMessage, linked: Option<PeerId>, me: &PeerId) -> Option<(RoomId, PeerId)> {
    match message {
        PeerMessage::Run(run) => Some((run.first().room, run.first().author)).filter(|(_, by)| by != me),
        PeerMessage::Private((room, Private::Letter { .. })) => Some((*room, linked?)),
        PeerMessage::Carry(Carry { room, from, to, parcel: Parcel::Sealed(sealed) }) => {
            let letter = sealed.bytes.len() > SEALED_RECEIVED_BYTES_MAX;
            (to == me && letter).then_some((*room, *from))
        }
        _ => None,
    }
}

/// What is told of a damaged history.
pub(super) fn damaged(salvaged: Salvaged) -> Event {
    let Salvaged { why, aside, entries, seats } = salvaged;
    tracing::error!(%why, ?aside, entries, seats, "the history was damaged");
    Event::HistoryDamaged { why, aside, saved: entries, seats }
}

/// The day, for the name of what is set aside.
pub(super) fn today() -> String {
    jiff::Zoned::now().date().to_string()
}

fn wall_ms() -> u64 {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
}

fn unreadable(error: &StoreError) -> Event {
    tracing::error!(%error, "the history can't be read");
    Event::Failed(Failure::HistoryUnreadable { why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Bytes, Letter, RosterHash, Sealed, Series, encode};

    const ROOM: RoomId = RoomId([7; 32]);

    fn letter(text: &str) -> Private {
        let text = text.as_bytes().to_vec().try_into().unwrap();
        let letter = Letter { number: 1, wall_ms: 0, salt: [0; 16], text };
        Private::Letter { roster: RosterHash([1; 32]), series: Series([2; 16]), first: 1, letter }
    }

    fn carried(private: &Private, to: PeerId) -> PeerMessage {
        // The tag of the seal is 16 bytes.
        let bytes: Bytes<_> = [encode(private), vec![0; 16]].concat().try_into().unwrap();
        let parcel = Parcel::Sealed(Sealed { enc: [0; 32], bytes });
        PeerMessage::Carry(Carry { room: ROOM, from: PeerId([3; 32]), to, parcel })
    }

    #[test]
    fn letters_need_space_like_all_else_and_receipts_need_none() {
        let (me, linked, author) = (PeerId([1; 32]), PeerId([2; 32]), PeerId([3; 32]));
        let kept = |message: &PeerMessage| to_be_kept(message, Some(linked), &me);
        let received = Private::Received { series: Series([2; 16]), up_to: u64::MAX };
        assert_eq!(kept(&PeerMessage::Private((ROOM, letter("")))), Some((ROOM, linked)));
        assert_eq!(kept(&PeerMessage::Private((ROOM, received.clone()))), None);
        assert_eq!(kept(&carried(&letter(""), me)), Some((ROOM, author)), "however short");
        assert_eq!(kept(&carried(&letter("something for another"), linked)), None, "what we only carry is not kept");
        assert_eq!(kept(&carried(&received, me)), None);
    }
}
