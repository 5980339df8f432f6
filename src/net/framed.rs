//! Messages on a stream, each way.
//!
//! A [`Reader`] takes no memory that has not arrived, nor more than one frame and one read. A [`Writer`] never makes its
//! caller wait: what it can't send yet waits in a bounded queue, and one task sends all that waits in one go.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quinn::{ReadError, RecvStream, SendStream, WriteError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::link::in_words;
use crate::limits::{
    FINISH_WITHIN_S, FRAME_BYTES_MAX, FRAME_WITHIN_S, IDLE_BUFFER_BYTES_MAX, LINK_QUEUE_BYTES_MAX, READ_BYTES_MAX,
};
use crate::wire::{DecodeError, FRAME_HEADER_BYTES, Message, frame, frame_body_bytes};

/// Most bytes that wait for one stream: twice what the core lets be under way, so that meeting it is a bug or a stalled
/// reader, never load.
const QUEUE_BYTES_MAX: usize = LINK_QUEUE_BYTES_MAX * 2;

/// Why no further message comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The other side broke the rules of frames and encodings.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
    /// The other side began a frame and did not complete it in time.
    #[error("a frame was not complete within {FRAME_WITHIN_S} seconds")]
    TooSlow,
    /// The other side ended the stream within a frame.
    #[error("the stream ended within a frame")]
    Cut,
    /// The connection is gone; the words are safe to show.
    #[error("{0}")]
    Lost(String),
}

impl FrameError {
    /// Whether the other side broke a rule, rather than the network.
    pub fn is_misbehaviour(&self) -> bool {
        !matches!(self, FrameError::Lost(_))
    }
}

/// The messages that arrive on a stream.
pub struct Reader<M> {
    stream: RecvStream,
    /// Longest frame taken, header excluded.
    limit: usize,
    /// What arrived and was not handed out yet starts at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// When the frame whose beginning has arrived must be complete.
    due: Option<Instant>,
    /// Time from the first byte of a frame to its last.
    pub(super) within: Duration,
    /// Bytes of the frame that was handed out last.
    taken: usize,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Reader<M> {
    pub(super) fn new(stream: RecvStream, limit: usize) -> Self {
        Reader {
            stream,
            limit,
            buffer: Vec::new(),
            start: 0,
            due: None,
            taken: 0,
            within: Duration::from_secs(FRAME_WITHIN_S),
            message: PhantomData,
        }
    }

    /// From now on takes frames up to `bytes`, 64 KiB at most.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(FRAME_BYTES_MAX);
    }

    /// Bytes that the last message took on the stream.
    pub fn last_bytes(&self) -> usize {
        self.taken
    }

    /// The next message; `None` when the other side ended the stream in an orderly way. Kinds that this version doesn't
    /// know are passed over. Nothing is lost when the future is dropped before it is done.
    ///
    /// # Errors
    /// [`FrameError`]; call no more after one.
    pub async fn next(&mut self) -> Result<Option<M>, FrameError> {
        loop {
            let missing = match self.take_frame()? {
                Taken::Message(message) => return Ok(Some(message)),
                Taken::Unknown => {
                    // Many small unknown frames must not keep this thread from other links (THREATS.md row 7).
                    tokio::task::consume_budget().await;
                    continue;
                }
                Taken::Missing(bytes) => bytes,
            };
            let read = self.stream.read_chunk(missing.max(READ_BYTES_MAX), true);
            let chunk = match self.due {
                Some(due) => timeout_at(due, read).await.map_err(|_| FrameError::TooSlow)?,
                None => read.await,
            };
            match chunk {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk.bytes),
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) => return Err(FrameError::Cut),
                Err(error) => return Err(FrameError::Lost(read_error_in_words(&error))),
            }
            if self.due.is_none() {
                self.due = Some(Instant::now() + self.within);
            }
        }
    }

    /// Takes one frame out of the buffer, if it is there as a whole.
    fn take_frame(&mut self) -> Result<Taken<M>, FrameError> {
        let waiting = &self.buffer[self.start..];
        let Some((header, rest)) = waiting.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            let missing = FRAME_HEADER_BYTES - waiting.len();
            self.compact();
            return Ok(Taken::Missing(missing));
        };
        let bytes = frame_body_bytes(*header, self.limit)?;
        let Some(body) = rest.get(..bytes) else {
            let missing = bytes - rest.len();
            self.compact();
            return Ok(Taken::Missing(missing));
        };
        let message = M::decode_from(body)?;
        self.taken = FRAME_HEADER_BYTES + bytes;
        self.start += self.taken;
        // A frame behind this one has its own time.
        self.due = (self.start < self.buffer.len()).then(|| Instant::now() + self.within);
        Ok(message.map_or(Taken::Unknown, Taken::Message))
    }

    /// Forgets what was handed out, and gives back memory that a large frame took.
    fn compact(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() <= IDLE_BUFFER_BYTES_MAX {
            self.buffer.shrink_to(IDLE_BUFFER_BYTES_MAX);
        }
    }
}

impl<M> fmt::Debug for Reader<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("limit", &self.limit).finish_non_exhaustive()
    }
}

enum Taken<M> {
    Message(M),
    Unknown,
    /// At least this many bytes must arrive first.
    Missing(usize),
}

fn read_error_in_words(error: &ReadError) -> String {
    match error {
        ReadError::ConnectionLost(why) => in_words(why),
        ReadError::Reset(_) => "the other side gave the stream up".to_owned(),
        other => other.to_string(),
    }
}

/// A message as it travels, for sending it on several links without encoding it again: they all share its bytes, down to the packets.
pub struct Frame<M> {
    bytes: Bytes,
    message: PhantomData<fn(M)>,
}

impl<M: Message> Frame<M> {
    /// Encodes a message.
    pub fn of(message: &M) -> Self {
        Frame { bytes: frame(message).into(), message: PhantomData }
    }
}

impl<M> fmt::Debug for Frame<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.bytes.len())
    }
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too much waits already: the other side doesn't keep up.
    #[error("more than {QUEUE_BYTES_MAX} bytes wait to be sent")]
    Full,
    /// The stream is finished or the connection gone.
    #[error("the link is gone")]
    Gone,
}

/// Sends messages on a stream. Copies share one queue; when the last is dropped, what waits is still sent.
pub struct Writer<M> {
    shared: Arc<Shared>,
    message: PhantomData<fn(M)>,
}

impl<M: Message> Writer<M> {
    /// Starts the task that writes. `on_drained` is told, in that task, how many bytes the connection has taken, in steps
    /// that add up to what [`Writer::send`] returned.
    pub(super) fn start(stream: SendStream, on_drained: impl FnMut(usize) + Send + 'static) -> Self {
        let (ended, _) = watch::channel(false);
        let queue = Arc::new(Queue { state: Mutex::default(), wake: Notify::new(), finishing: Notify::new(), ended });
        tokio::spawn(write_all(stream, Arc::clone(&queue), on_drained));
        Writer { shared: Arc::new(Shared(queue)), message: PhantomData }
    }

    /// Queues a message and tells how many bytes it takes, header included. Never waits.
    ///
    /// # Errors
    /// [`SendError::Full`] when 1 MiB waits already; the message is not queued, then. [`SendError::Gone`].
    pub fn send(&self, message: &M) -> Result<usize, SendError> {
        self.send_frame(&Frame::of(message))
    }

    /// As [`Writer::send`], with a message that was encoded before.
    ///
    /// # Errors
    /// As [`Writer::send`].
    pub fn send_frame(&self, frame: &Frame<M>) -> Result<usize, SendError> {
        let bytes = &frame.bytes;
        let queue = &self.shared.0;
        let mut state = queue.lock();
        if state.finishing || state.gone {
            return Err(SendError::Gone);
        }
        if state.waiting_bytes + state.being_written + bytes.len() > QUEUE_BYTES_MAX {
            return Err(SendError::Full);
        }
        state.waiting_bytes += bytes.len();
        state.waiting.push(bytes.clone());
        drop(state);
        queue.wake.notify_one();
        Ok(bytes.len())
    }

    /// Takes no more messages, and waits until those that wait have reached the other side's machine, 2 seconds at most.
    ///
    /// That the other program has read them, only it can tell: let the side that reads last close the connection.
    pub async fn finish(&self) {
        self.shared.0.finish();
        let mut ended = self.shared.0.ended.subscribe();
        // The task has the same bound; this one also holds if its runtime is gone.
        let _ = timeout(Duration::from_secs(FINISH_WITHIN_S + 1), ended.wait_for(|ended| *ended)).await;
    }
}

impl<M> Clone for Writer<M> {
    fn clone(&self) -> Self {
        Writer { shared: Arc::clone(&self.shared), message: PhantomData }
    }
}

impl<M> fmt::Debug for Writer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.0.lock();
        f.debug_struct("Writer").field("waiting", &(state.waiting_bytes + state.being_written)).finish()
    }
}

/// What all copies of a writer share; its end is theirs.
struct Shared(Arc<Queue>);

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.finish();
    }
}

struct Queue {
    /// A lock of the standard library: it is held for a copy of bytes, never across an await.
    state: Mutex<State>,
    /// Something waits, or nothing will any more.
    wake: Notify,
    /// The last bytes have [`FINISH_WITHIN_S`] from here on.
    finishing: Notify,
    /// Whether the writing task is done.
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// Whole frames, oldest first.
    waiting: Vec<Bytes>,
    /// Bytes of all of them.
    waiting_bytes: usize,
    /// Bytes of the batch that the task holds and the connection has not taken.
    being_written: usize,
    /// No further messages are taken.
    finishing: bool,
    /// Nothing can be sent any more.
    gone: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self) {
        self.lock().finishing = true;
        self.wake.notify_one();
        self.finishing.notify_one();
    }

    /// All that waits, once something does; `None` when finishing and nothing waits.
    async fn next_batch(&self) -> Option<Vec<Bytes>> {
        loop {
            {
                let mut state = self.lock();
                if !state.waiting.is_empty() {
                    state.being_written = std::mem::take(&mut state.waiting_bytes);
                    return Some(std::mem::take(&mut state.waiting));
                }
                if state.finishing {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }
}

async fn write_all(mut stream: SendStream, queue: Arc<Queue>, mut on_drained: impl FnMut(usize) + Send) {
    let writing = async {
        while let Some(mut batch) = queue.next_batch().await {
            let mut rest = batch.as_mut_slice();
            while !rest.is_empty() {
                // What was taken of a frame is cut off its beginning.
                let taken = stream.write_chunks(rest).await?;
                rest = &mut rest[taken.chunks..];
                queue.lock().being_written -= taken.bytes;
                on_drained(taken.bytes);
            }
        }
        if stream.finish().is_ok() {
            let _ = stream.stopped().await;
        }
        Ok::<(), WriteError>(())
    };
    let too_late = async {
        queue.finishing.notified().await;
        tokio::time::sleep(Duration::from_secs(FINISH_WITHIN_S)).await;
    };
    tokio::select! {
        _ = writing => {}
        () = too_late => {}
    }
    let mut state = queue.lock();
    state.gone = true;
    state.waiting = Vec::new();
    state.waiting_bytes = 0;
    drop(state);
    queue.ended.send_replace(true);
}
