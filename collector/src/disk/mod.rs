//! The file operations under the write-ahead log and the local event lake, and what each of them
//! promises about a power cut.
//!
//! Only two operations make anything durable: [`DiskFile::sync`] for the bytes of a file, and
//! [`Disk::sync_dir`] for the names in a directory. Until then every byte and every name may be
//! gone after a power cut, in any combination. Everything above is written against this trait, so
//! that a test can take it at its word.

mod directories;
mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use directories::DurableDirectories;
pub use real::RealDisk;

/// A file system, reduced to what durability is made of.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Creates a file that does not exist yet, for writing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Reads `length` bytes from `offset` on, fewer only at the end of the file.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// What is at a path.
    fn status(&self, path: &Path) -> io::Result<Status>;

    /// The names in a directory, in no order.
    fn entries(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Gives a file another name, replacing what had it. Atomic.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name; fails with `AlreadyExists` if it is taken. Atomic.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the name of a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates one directory, whose parent exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the bytes of a closed file durable, such as one that a killed process has left.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file open for appending.
pub trait DiskFile: fmt::Debug + Send {
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to a length.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Makes the bytes written so far durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Size in bytes of a file.
    pub size: u64,
    /// Last modification.
    pub modified: SystemTime,
}
