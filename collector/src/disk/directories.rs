//! Directories whose own names are durable, up to the root.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Disk;

/// Upper bound of remembered directories; beyond it they are verified again.
const MAX_REMEMBERED: usize = 10_000;

/// Creates directories durably, and remembers for which this has been done: a directory that
/// merely exists may have been left by a process that was killed before it synced.
#[derive(Debug, Default)]
pub struct DurableDirectories {
    known: Mutex<HashSet<PathBuf>>,
}

impl DurableDirectories {
    /// Makes sure that a directory and all its parents exist durably.
    pub fn ensure(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        if self.lock().contains(dir) {
            return Ok(());
        }
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.ensure(disk, parent)?;
            match disk.create_dir(dir) {
                Ok(()) => disk.sync_dir(parent)?,
                Err(error) if disk.status(dir).is_ok_and(|status| status.is_dir) => {
                    // Someone else's parent, such as `/`, may not be ours to sync.
                    if let Err(error) = disk.sync_dir(parent) {
                        tracing::debug!(dir = %parent.display(), %error, "directory not synced");
                    }
                    tracing::trace!(dir = %dir.display(), %error, "directory was there");
                }
                Err(error) => return Err(error),
            }
        }
        let mut known = self.lock();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(dir.to_owned());
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
