//! Opening the log: what a stopped, killed or powerless predecessor has left.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::recent::decode_ids;
use super::{RecentIds, SealedSegment, Wal, record};
use crate::disk::{Disk, DurableDirectories};

const COLLECTOR_ID: &str = "collector-id";

/// An opened log.
#[derive(Debug)]
pub struct Recovered {
    /// The writing end.
    pub wal: Wal,
    /// Segments that are not in the lake yet, or not known to be; oldest first.
    pub segments: Vec<SealedSegment>,
}

impl Wal {
    /// Opens the log of a folder, creating it if need be. `recent_capacity` is the number of event
    /// ids to remember at least.
    ///
    /// A killed process leaves bytes that are written but not synced. They are read as if they
    /// counted, and retries of their events will be answered as duplicates, so they are synced
    /// first.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, recent_capacity: usize) -> io::Result<Recovered> {
        DurableDirectories::default().ensure(disk.as_ref(), dir)?;
        let files = Files::list(disk.as_ref(), dir)?;
        disk.sync_dir(dir)?;
        let collector = collector_id(disk.as_ref(), dir)?;

        let mut recent = RecentIds::new(recent_capacity);
        for (_, path) in &files.ids {
            let bytes = disk.read(path)?;
            let Some(keys) = decode_ids(&bytes) else {
                tracing::warn!(path = %path.display(), "damaged id file ignored");
                continue;
            };
            for key in keys {
                recent.insert(key);
            }
        }
        let mut segments = Vec::new();
        for (index, (number, path)) in files.segments.iter().enumerate() {
            let is_last = index + 1 == files.segments.len();
            let segment = (*number, path.as_path());
            segments.extend(recover_segment(disk.as_ref(), dir, segment, is_last, &mut recent)?);
        }
        let last_number = files.segments.iter().chain(&files.ids).map(|(number, _)| *number).max();
        let wal = Wal {
            disk,
            dir: dir.to_owned(),
            collector,
            next_number: last_number.unwrap_or(0) + 1,
            open: None,
            recent,
            buffer: Vec::new(),
        };
        Ok(Recovered { wal, segments })
    }
}

fn recover_segment(
    disk: &dyn Disk,
    dir: &Path,
    (number, path): (u64, &Path),
    is_last: bool,
    recent: &mut RecentIds,
) -> io::Result<Option<SealedSegment>> {
    disk.sync_file(path)?;
    let bytes = disk.read(path)?;
    let contents = record::read(&bytes);
    let events: usize = contents.batches.iter().map(|batch| batch.events.len()).sum();
    let torn_bytes = bytes.len() - contents.valid_bytes;
    if torn_bytes > 0 {
        tracing::warn!(path = %path.display(), torn_bytes, events, "segment with a torn tail");
    }
    if events == 0 && (is_last || torn_bytes == 0) {
        // The process ended between creating the file and its first sync.
        disk.remove(path)?;
        return Ok(None);
    }
    if torn_bytes > 0 && is_last {
        // Cut it off, or the next start would find a torn segment that is not the last.
        super::retire::write_durably(disk, dir, path, &bytes[..contents.valid_bytes])?;
    }
    for key in contents.batches.iter().flat_map(record::StoredBatch::dedup_keys) {
        recent.insert(key);
    }
    Ok(Some(SealedSegment {
        number,
        path: path.to_owned(),
        valid_bytes: contents.valid_bytes as u64,
        events: events as u64,
        // Only the segment that was being written may end in the middle of a record.
        damaged: torn_bytes > 0 && !is_last,
    }))
}

/// The numbered files of the folder, oldest first.
#[derive(Debug, Default)]
struct Files {
    segments: Vec<(u64, PathBuf)>,
    ids: Vec<(u64, PathBuf)>,
}

impl Files {
    fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        for path in disk.entries(dir)? {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            match (number, path.extension().and_then(|extension| extension.to_str())) {
                (Some(number), Some("wal")) => files.segments.push((number, path)),
                (Some(number), Some("ids")) => files.ids.push((number, path)),
                (_, Some("tmp")) => disk.remove(&path)?,
                _ => {}
            }
        }
        files.segments.sort();
        files.ids.sort();
        Ok(files)
    }
}

fn collector_id(disk: &dyn Disk, dir: &Path) -> io::Result<Uuid> {
    let path = dir.join(COLLECTOR_ID);
    match disk.read(&path) {
        Ok(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| Uuid::try_parse(text.trim()).ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "damaged collector id")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = Uuid::now_v7();
            super::retire::write_durably(disk, dir, &path, id.to_string().as_bytes())?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}
