//! The write-ahead log: where an event is durable before it is acknowledged.
//!
//! A folder of numbered segments. One writer appends groups of batches to the youngest segment and
//! syncs once per group; a full or old segment is sealed and handed to the flush, which brings it
//! into the lake and then calls [`retire()`]. Sealed segments are never written again.
//!
//! ```text
//! collector-id           who writes here: names the files in the lake
//! {number:020}.wal       a segment that is not in the lake yet
//! {number:020}.ids       the event ids of a segment that is: memory of duplicates across restarts
//! *.damaged              a segment with a damaged record in its middle, kept for a person
//! ```
//!
//! Numbers never come twice, since the lake knows a segment by collector and number: the id file
//! of the last segment stays.

pub mod record;
mod recent;
mod recover;
mod retire;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::disk::{Disk, DiskFile};

pub use recent::RecentIds;
pub use record::{Batch, StoredBatch};
pub use recover::Recovered;
pub use retire::retire;
pub use writer::{Busy, Load, Outcome, WalHandle, WriteFailed, WriterSettings, spawn_writer};

/// The log's writing end.
#[derive(Debug)]
pub struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    collector: Uuid,
    next_number: u64,
    open: Option<OpenSegment>,
    recent: RecentIds,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct OpenSegment {
    number: u64,
    file: Box<dyn DiskFile>,
    /// Bytes that are written and synced.
    valid_bytes: u64,
    events: u64,
}

/// A segment that is complete and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSegment {
    /// Its number.
    pub number: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// Only these bytes count: what follows was never acknowledged.
    pub valid_bytes: u64,
    /// Number of events.
    pub events: u64,
    /// Whether it is to be kept for a person after its flush, because its middle is damaged.
    pub damaged: bool,
}

/// How many events of a batch were new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Stored now.
    pub accepted: usize,
    /// Stored before.
    pub duplicate: usize,
}

impl Wal {
    /// Id of the collector that writes here.
    pub fn collector(&self) -> Uuid {
        self.collector
    }

    /// Bytes of the segment that is being written.
    pub fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.valid_bytes)
    }

    /// Makes batches durable with one sync. After an error none of them is stored, and a retry
    /// is welcome.
    pub fn commit<'b>(
        &mut self,
        batches: impl IntoIterator<Item = &'b Batch>,
    ) -> io::Result<Vec<Committed>> {
        self.buffer.clear();
        let mut inserted = Vec::new();
        let mut committed = Vec::new();
        for batch in batches {
            let recent = &mut self.recent;
            let accepted = batch.append_record(&mut self.buffer, |key| {
                let is_new = recent.insert(key);
                if is_new {
                    inserted.push(key);
                }
                is_new
            });
            committed.push(Committed { accepted, duplicate: batch.len() - accepted });
        }
        if self.buffer.is_empty() {
            return Ok(committed);
        }
        if let Err(error) = self.append_buffer(inserted.len() as u64) {
            for key in inserted {
                self.recent.remove(key);
            }
            return Err(error);
        }
        Ok(committed)
    }

    /// Closes the open segment, if there is one; the next commit starts another.
    pub fn seal(&mut self) -> Option<SealedSegment> {
        let open = self.open.take()?;
        if open.events == 0 {
            // Nothing in it was acknowledged; its number is lost, which harms nobody.
            let path = segment_path(&self.dir, open.number);
            if let Err(error) = self.disk.remove(&path) {
                tracing::warn!(path = %path.display(), %error, "empty segment not removed");
            }
            return None;
        }
        Some(SealedSegment {
            number: open.number,
            path: segment_path(&self.dir, open.number),
            valid_bytes: open.valid_bytes,
            events: open.events,
            damaged: false,
        })
    }

    /// Appends the buffer to the open segment and syncs it. After an error the segment is cut back
    /// to what was acknowledged; the caller seals it.
    fn append_buffer(&mut self, events: u64) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.create_segment()?);
        }
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let written = open.file.append(&self.buffer).and_then(|()| open.file.sync());
        match written {
            Ok(()) => {
                open.valid_bytes += self.buffer.len() as u64;
                open.events += events;
                Ok(())
            }
            Err(error) => {
                // A failed sync may have dropped the pages and cleared the error, so a second one
                // that succeeds proves nothing: cut off what is in doubt and write elsewhere.
                if let Err(error) =
                    open.file.truncate(open.valid_bytes).and_then(|()| open.file.sync())
                {
                    tracing::error!(number = open.number, %error, "segment not cut back");
                }
                Err(error)
            }
        }
    }

    fn create_segment(&mut self) -> io::Result<OpenSegment> {
        let number = self.next_number;
        self.next_number += 1;
        let path = segment_path(&self.dir, number);
        let mut file = self.disk.create(&path)?;
        let started = file
            .append(&record::header(self.collector, number))
            .and_then(|()| self.disk.sync_dir(&self.dir));
        if let Err(error) = started {
            // On a full disk every batch would leave an empty file behind.
            self.disk.remove(&path).ok();
            return Err(error);
        }
        Ok(OpenSegment { number, file, valid_bytes: record::HEADER_BYTES as u64, events: 0 })
    }
}

/// Path of a segment.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.wal"))
}

/// Path of the id file of a segment.
pub(crate) fn ids_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.ids"))
}
