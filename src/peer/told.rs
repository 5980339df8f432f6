//! What is told to the face, on its way there: all that the loop has to tell is handed over at once.
//!
//! A channel that takes one event at a time wakes the face for each and finds it asleep again at the next: in a busy room of two that
//! cost more than receiving. The face is given everything that waits, and woken once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::api::Event;

/// Events that wait until the face takes them, and as many that it has taken and not looked at. Whoever has more to tell waits.
const WAITING_MAX: usize = 512;

/// What happens, for a face to read.
pub struct Events {
    shared: Arc<Shared>,
    /// Those that were taken from what waits, and not handed out yet.
    at_hand: VecDeque<Event>,
}

/// The end at which events are told.
pub struct Teller(Arc<Shared>);

struct Shared {
    /// A lock of the standard library: it is held to move some events, never across an await.
    state: Mutex<State>,
    /// Something waits, or nothing will any more.
    came: Notify,
    /// The face has taken what waited, or is gone.
    taken: Notify,
}

#[derive(Default)]
struct State {
    /// Oldest first.
    waiting: VecDeque<Event>,
    /// Nothing more is told, or the face reads no more.
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ended = true;
        self.came.notify_one();
        self.taken.notify_one();
    }
}

impl Events {
    /// The end at which events are told, and the face's.
    pub fn channel() -> (Teller, Events) {
        let shared = Arc::new(Shared { state: Mutex::default(), came: Notify::new(), taken: Notify::new() });
        (Teller(Arc::clone(&shared)), Events { shared, at_hand: VecDeque::new() })
    }

    /// The next event; `None` once there will be none. Nothing is lost when the future is dropped before it is done.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.at_hand.pop_front() {
                return Some(event);
            }
            let ended = {
                let mut state = self.shared.lock();
                std::mem::swap(&mut state.waiting, &mut self.at_hand);
                state.ended
            };
            if !self.at_hand.is_empty() {
                self.shared.taken.notify_one();
                // A face that always finds something must not keep this thread from others.
                tokio::task::consume_budget().await;
            } else if ended {
                return None;
            } else {
                self.shared.came.notified().await;
            }
        }
    }

    /// Whether nothing is there to be read now.
    pub fn is_empty(&self) -> bool {
        self.at_hand.is_empty() && self.shared.lock().waiting.is_empty()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("at_hand", &self.at_hand.len()).finish_non_exhaustive()
    }
}

impl Teller {
    /// Tells one thing; waits while the face lets too much wait. `false` when the face is gone.
    pub async fn tell(&self, event: Event) -> bool {
        self.tell_all(&mut VecDeque::from([event])).await
    }

    /// Tells all of these, oldest first, and leaves none.
    pub(super) async fn tell_all(&self, events: &mut VecDeque<Event>) -> bool {
        while !events.is_empty() {
            {
                let mut state = self.0.lock();
                if state.ended {
                    events.clear();
                    return false;
                }
                let space = WAITING_MAX.saturating_sub(state.waiting.len()).min(events.len());
                state.waiting.extend(events.drain(..space));
            }
            self.0.came.notify_one();
            if !events.is_empty() {
                self.0.taken.notified().await;
            }
        }
        true
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("waiting", &self.0.lock().waiting.len()).finish()
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn event(number: usize) -> Event {
        Event::ServerUp { server: number.to_string(), member: false }
    }

    #[tokio::test]
    async fn all_that_is_told_is_read_in_order_and_then_the_end() {
        let (teller, mut events) = Events::channel();
        let telling = tokio::spawn(async move {
            let mut many = (0..3 * WAITING_MAX).map(event).collect();
            teller.tell_all(&mut many).await;
            assert!(many.is_empty());
            teller.tell(event(3 * WAITING_MAX)).await;
        });
        for number in 0..=3 * WAITING_MAX {
            assert_eq!(events.recv().await, Some(event(number)));
        }
        assert_eq!(events.recv().await, None);
        telling.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_tells_waits_for_a_face_that_does_not_read() {
        let (teller, mut events) = Events::channel();
        let mut many: VecDeque<Event> = (0..=WAITING_MAX).map(event).collect();
        assert!(timeout(Duration::from_secs(60), teller.tell_all(&mut many)).await.is_err());
        assert_eq!(many.len(), 1, "what was not told is still there");
        assert_eq!(events.recv().await, Some(event(0)));
        timeout(Duration::from_secs(60), teller.tell_all(&mut many)).await.unwrap();
        assert!(!events.is_empty());
    }

    #[tokio::test]
    async fn a_face_that_is_gone_keeps_nobody_waiting() {
        let (teller, events) = Events::channel();
        drop(events);
        let mut many = (0..3 * WAITING_MAX).map(event).collect();
        assert!(!teller.tell_all(&mut many).await);
        assert!(many.is_empty());
    }

    #[tokio::test]
    async fn an_end_is_seen_by_whoever_waits_for_more() {
        let (teller, mut events) = Events::channel();
        let (read, ()) = tokio::join!(events.recv(), async move { drop(teller) });
        assert_eq!(read, None);
    }
}
