//! Group commit: one thread takes what has queued up, writes and syncs it once, and answers all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc as async_mpsc, oneshot};

use super::{Batch, Committed, SealedSegment, Wal};

/// When the writer syncs and seals, and what it refuses.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// How long a group waits for company after its first batch.
    pub group_delay: Duration,
    /// A group of this many bytes waits no longer.
    pub group_bytes: usize,
    /// A segment of this many bytes is sealed.
    pub segment_bytes: u64,
    /// A segment of this age is sealed.
    pub segment_age: Duration,
    /// Batches beyond this many queued bytes are refused.
    pub queue_bytes: usize,
    /// Batches beyond this many bytes in the log are refused.
    pub log_bytes: u64,
}

/// Most batches in the queue.
const QUEUE_BATCHES: usize = 4096;

/// How many events of a batch were new; see [`Committed`].
pub type Outcome = Result<Committed, WriteFailed>;

/// The log could not be written. Nothing of the batch is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the write-ahead log cannot be written")]
pub struct WriteFailed;

/// The collector has more to do than it may hold; nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Too much waits to be written.
    #[error("too many events wait to be written")]
    Queue,
    /// Too much waits to be brought into the lake.
    #[error("too many events wait for the object store")]
    Log,
    /// The collector stops.
    #[error("the collector is stopping")]
    Stopping,
}

/// The way into the log.
#[derive(Debug, Clone)]
pub struct WalHandle {
    queue: SyncSender<Message>,
    load: Arc<Load>,
    settings: Arc<WriterSettings>,
}

/// What is under way, in bytes.
#[derive(Debug, Default)]
pub struct Load {
    queued: AtomicUsize,
    /// Written and not yet in the lake.
    logged: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Write { batch: Batch, done: oneshot::Sender<Outcome> },
    Seal { done: oneshot::Sender<()> },
}

impl WalHandle {
    /// Queues a batch. The answer comes when it is durable.
    pub fn submit(&self, batch: Batch) -> Result<oneshot::Receiver<Outcome>, Busy> {
        if self.load.logged_bytes() >= self.settings.log_bytes {
            return Err(Busy::Log);
        }
        let size = batch.size_bytes();
        let queued = self.load.queued.fetch_add(size, Ordering::AcqRel);
        let (done, outcome) = oneshot::channel();
        // A single batch above the limit is let in when it is alone.
        let refused = if queued > 0 && queued + size > self.settings.queue_bytes {
            Some(Busy::Queue)
        } else {
            match self.queue.try_send(Message::Write { batch, done }) {
                Ok(()) => None,
                Err(mpsc::TrySendError::Full(_)) => Some(Busy::Queue),
                Err(mpsc::TrySendError::Disconnected(_)) => Some(Busy::Stopping),
            }
        };
        match refused {
            None => Ok(outcome),
            Some(busy) => {
                self.load.queued.fetch_sub(size, Ordering::AcqRel);
                Err(busy)
            }
        }
    }

    /// Seals the open segment now, so that what is acknowledged goes to the lake.
    pub async fn seal(&self) {
        let (done, sealed) = oneshot::channel();
        let queue = self.queue.clone();
        // A full queue blocks, which an async task must not.
        let send = move || queue.send(Message::Seal { done }).is_ok();
        if tokio::task::spawn_blocking(send).await.unwrap_or(false) {
            sealed.await.ok();
        }
    }

    /// The bytes under way, without the right to add to them.
    pub fn load(&self) -> Arc<Load> {
        Arc::clone(&self.load)
    }
}

impl Load {
    /// Bytes that are durable and not in the lake yet.
    pub fn logged_bytes(&self) -> u64 {
        self.logged.load(Ordering::Acquire)
    }

    /// Bytes of batches that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    /// Notes that a segment of this many bytes has left the log.
    pub fn note_flushed(&self, bytes: u64) {
        let before = self.logged.fetch_sub(bytes, Ordering::AcqRel);
        metrics::gauge!("collector_wal_bytes").set(before.saturating_sub(bytes) as f64);
    }

    /// Notes that so many bytes are in the log and not in the lake yet.
    fn note_logged(&self, bytes: u64) {
        let before = self.logged.fetch_add(bytes, Ordering::AcqRel);
        metrics::gauge!("collector_wal_bytes").set(before.saturating_add(bytes) as f64);
    }
}

/// Starts the writer. It ends, sealing what is open, when every [`WalHandle`] is gone; sealed
/// segments come out of the returned channel, those of `recovered` first.
pub fn spawn_writer(
    wal: Wal,
    recovered: Vec<SealedSegment>,
    settings: WriterSettings,
) -> std::io::Result<(WalHandle, async_mpsc::UnboundedReceiver<SealedSegment>, JoinHandle<()>)> {
    let (queue, messages) = mpsc::sync_channel(QUEUE_BATCHES);
    let (sealed, segments) = async_mpsc::unbounded_channel();
    let load = Arc::new(Load::default());
    let settings = Arc::new(settings);
    for segment in recovered {
        load.note_logged(segment.valid_bytes);
        sealed.send(segment).ok();
    }
    let handle = WalHandle { queue, load: Arc::clone(&load), settings: Arc::clone(&settings) };
    let writer = Writer { wal, settings, load, sealed, opened_at: None };
    let thread = std::thread::Builder::new()
        .name("wal-writer".to_owned())
        .spawn(move || writer.run(&messages))?;
    Ok((handle, segments, thread))
}

struct Writer {
    wal: Wal,
    settings: Arc<WriterSettings>,
    load: Arc<Load>,
    sealed: async_mpsc::UnboundedSender<SealedSegment>,
    /// When the open segment received its first batch.
    opened_at: Option<Instant>,
}

type Waiting = (Batch, oneshot::Sender<Outcome>);

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let message = match self.opened_at {
                None => messages.recv().map_err(|_closed| RecvTimeoutError::Disconnected),
                Some(opened_at) => {
                    let remaining = self.settings.segment_age.saturating_sub(opened_at.elapsed());
                    messages.recv_timeout(remaining)
                }
            };
            match message {
                Ok(Message::Write { batch, done }) => {
                    let (group, seals) = self.gather((batch, done), messages);
                    self.write(group);
                    if !seals.is_empty() {
                        self.seal();
                        for done in seals {
                            done.send(()).ok();
                        }
                    }
                }
                Ok(Message::Seal { done }) => {
                    self.seal();
                    done.send(()).ok();
                }
                Err(RecvTimeoutError::Timeout) => self.seal(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.seal();
                    return;
                }
            }
        }
    }

    /// Takes what has queued up, and what comes within the delay.
    fn gather(
        &self,
        first: Waiting,
        messages: &Receiver<Message>,
    ) -> (Vec<Waiting>, Vec<oneshot::Sender<()>>) {
        let deadline = Instant::now() + self.settings.group_delay;
        let mut bytes = first.0.size_bytes();
        let (mut group, mut seals) = (vec![first], Vec::new());
        while bytes < self.settings.group_bytes && seals.is_empty() {
            let remaining = deadline.saturating_duration_since(Instant::now());
            match messages.recv_timeout(remaining) {
                Ok(Message::Write { batch, done }) => {
                    bytes += batch.size_bytes();
                    group.push((batch, done));
                }
                Ok(Message::Seal { done }) => seals.push(done),
                Err(_) => break,
            }
        }
        (group, seals)
    }

    fn write(&mut self, group: Vec<Waiting>) {
        let started = Instant::now();
        let before = self.wal.open_bytes();
        let committed = self.wal.commit(group.iter().map(|(batch, _)| batch));
        metrics::histogram!("collector_wal_commit_ms")
            .record(started.elapsed().as_secs_f64() * 1e3);
        let group_bytes: usize = group.iter().map(|(batch, _)| batch.size_bytes()).sum();
        self.load.queued.fetch_sub(group_bytes, Ordering::AcqRel);
        match committed {
            Ok(committed) => {
                let written = self.wal.open_bytes() - before;
                self.load.note_logged(written);
                metrics::counter!("collector_wal_written_bytes_total").increment(written);
                for ((_, done), committed) in group.into_iter().zip(committed) {
                    done.send(Ok(committed)).ok();
                }
            }
            Err(error) => {
                tracing::error!(%error, batches = group.len(), "write-ahead log not written");
                metrics::counter!("collector_wal_failures_total").increment(1);
                for (_, done) in group {
                    done.send(Err(WriteFailed)).ok();
                }
                self.seal();
            }
        }
        if self.wal.open_bytes() > 0 && self.opened_at.is_none() {
            self.opened_at = Some(started);
        }
        let is_old = self.opened_at.is_some_and(|at| at.elapsed() >= self.settings.segment_age);
        if is_old || self.wal.open_bytes() >= self.settings.segment_bytes {
            self.seal();
        }
    }

    fn seal(&mut self) {
        self.opened_at = None;
        if let Some(segment) = self.wal.seal() {
            self.sealed.send(segment).ok();
        }
    }
}
