//! Leaving the log: a segment that is in the lake becomes a list of event ids.

use std::io;
use std::path::{Path, PathBuf};

use super::recent::encode_ids;
use super::{SealedSegment, ids_path, record};
use crate::disk::Disk;

/// Bytes of one id in an id file.
const ID_BYTES: u64 = 16;

/// Removes a segment that is in the lake, keeping its event ids so that they are known as
/// duplicates after a restart. Of all id files, as many of the youngest are kept as hold
/// `recent_capacity` ids.
///
/// The order matters: the id file must be durable before the segment goes, because it also keeps
/// the segment's number from being given again.
pub fn retire(
    disk: &dyn Disk,
    dir: &Path,
    segment: &SealedSegment,
    recent_capacity: usize,
) -> io::Result<()> {
    let mut bytes = disk.read(&segment.path)?;
    bytes.truncate(usize::try_from(segment.valid_bytes).unwrap_or(usize::MAX));
    let contents = record::read(&bytes);
    let keys: Vec<u128> =
        contents.batches.iter().flat_map(record::StoredBatch::dedup_keys).collect();
    write_durably(disk, dir, &ids_path(dir, segment.number), &encode_ids(&keys))?;
    if segment.damaged {
        disk.rename(&segment.path, &segment.path.with_extension("damaged"))?;
    } else {
        disk.remove(&segment.path)?;
    }
    forget_old_ids(disk, dir, recent_capacity)?;
    disk.sync_dir(dir)
}

fn forget_old_ids(disk: &dyn Disk, dir: &Path, recent_capacity: usize) -> io::Result<()> {
    let is_ids = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "ids");
    let mut files: Vec<PathBuf> = disk.entries(dir)?.into_iter().filter(is_ids).collect();
    files.sort();
    let mut kept_ids = 0;
    for (age, path) in files.iter().rev().enumerate() {
        if age > 0 && kept_ids >= recent_capacity as u64 {
            disk.remove(path)?;
        } else {
            kept_ids += disk.status(path)?.size / ID_BYTES;
        }
    }
    Ok(())
}

/// Writes a file so that after a power cut it is there completely or not at all, and returns when
/// it is there.
pub(super) fn write_durably(
    disk: &dyn Disk,
    dir: &Path,
    path: &Path,
    bytes: &[u8],
) -> io::Result<()> {
    let staged = path.with_extension("tmp");
    match disk.remove(&staged) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = disk.create(&staged)?;
    file.append(bytes)?;
    file.sync()?;
    drop(file);
    disk.rename(&staged, path)?;
    disk.sync_dir(dir)
}
