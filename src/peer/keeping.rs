//! What the driver does with the history besides writing it: showing parts of it, and forgetting what is too old or too much.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::api::Options;
use super::driver::Driver;
use crate::core::event::{Event, Failure, Recall};
use crate::identity::RoomName;
use crate::limits::{FORGETTING_EVERY_S, FORGETTING_PAUSE_MS};
use crate::store::StoreError;
use crate::store::peer::{Forgetting, Keep, Part, PeerStore};
use crate::wire::RoomId;

/// What the driver remembers of it.
pub(super) struct Keeping {
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
        Keeping {
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
    /// Shows what the history has of what was asked for.
    pub(super) async fn recall(&mut self, room: RoomId, name: RoomName, count: usize, words: Option<String>) {
        let (store, me) = (&self.store, self.node.id());
        let found = tokio::task::block_in_place(|| match &words {
            Some(words) => store.search(&room, &me, words, count),
            None => store.last(&room, &me, count, None).map(Ok),
        });
        let why = if words.is_some() { Recall::Search } else { Recall::Last };
        let event = match found {
            Ok(Ok(Part { messages, more })) => Event::History { room: name, why, messages, more },
            Ok(Err(why)) => Event::Failed(Failure::BadSearch(why)),
            Err(error) => unreadable(&error),
        };
        self.tell(event).await;
    }

    /// Shows what was said in a room before this program began: once, since all that came after it was shown as it came.
    pub(super) async fn scroll_back(&mut self, name: RoomName) {
        let Some(room) = self.node.room_named(&name) else { return };
        let Keeping { scrollback, begun_at_number, scrolled_back, .. } = &mut self.keeping;
        if *scrollback == 0 || !scrolled_back.insert(room) {
            return;
        }
        let (store, me) = (&self.store, self.node.id());
        let event = match tokio::task::block_in_place(|| store.last(&room, &me, *scrollback, Some(*begun_at_number))) {
            Ok(Part { messages, .. }) if messages.is_empty() => return,
            Ok(Part { messages, more }) => Event::History { room: name, why: Recall::Joined, messages, more },
            Err(error) => unreadable(&error),
        };
        self.tell(event).await;
    }

    /// Forgets a little of what is too old or too much, and says to itself when to go on.
    pub(super) fn forget_some(&mut self) {
        let (store, me, Keeping { keep, forgetting, .. }) = (&mut self.store, self.node.id(), &mut self.keeping);
        let more = tokio::task::block_in_place(|| {
            let mut left = match forgetting.take() {
                Some(left) => left,
                None => store.begin_forgetting(keep, wall_ms())?,
            };
            let more = store.forget_some(&mut left, &me)?;
            Ok::<_, StoreError>(more.then_some(left))
        });
        *forgetting = more.unwrap_or_else(|error| {
            tracing::error!(%error, "what is old can't be forgotten");
            None
        });
        let wait = match forgetting {
            Some(_) => Duration::from_millis(FORGETTING_PAUSE_MS),
            None => Duration::from_secs(FORGETTING_EVERY_S),
        };
        self.keeping.forget_at = Instant::now() + wait;
    }
}

fn wall_ms() -> u64 {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
}

fn unreadable(error: &StoreError) -> Event {
    tracing::error!(%error, "the history can't be read");
    Event::Failed(Failure::HistoryUnreadable { why: error.to_string() })
}
