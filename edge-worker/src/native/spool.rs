//! Batches on disk that the collector could not take: the native edge's queue.
//!
//! One file for each message, named by its number, oldest first; a file counts from the moment at which it has its name. One process
//! uses a folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

/// Bytes of all messages together at most.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// How message files end.
const SUFFIX: &str = ".batch";

/// A folder of messages.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeSet<u64>,
    n_bytes: u64,
    next: u64,
}

impl Spool {
    /// Opens a folder, with what an earlier process left in it.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("SORTITION_SPOOL={}", folder.display()))?;
        let mut state = State::default();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
            if let Some(number) = number {
                state.waiting.insert(number);
                state.n_bytes += entry.metadata()?.len();
                state.next = state.next.max(number + 1);
            }
        }
        Ok(Self { folder: folder.to_owned(), state: Mutex::new(state) })
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Keeps a message; it is on disk when this returns.
    pub(super) async fn put(&self, message: &[u8]) -> anyhow::Result<()> {
        let number = {
            let mut state = self.lock();
            let size = message.len() as u64;
            anyhow::ensure!(state.n_bytes + size <= MAX_BYTES, "the spool holds {MAX_BYTES} bytes");
            state.n_bytes += size;
            state.next += 1;
            state.next - 1
        };
        let written = self.write(number, message).await;
        let mut state = self.lock();
        if written.is_ok() {
            state.waiting.insert(number);
        } else {
            state.n_bytes -= message.len() as u64;
        }
        written
    }

    async fn write(&self, number: u64, message: &[u8]) -> anyhow::Result<()> {
        let path = self.path(number);
        let unfinished = path.with_extension("new");
        let mut file = fs::File::create(&unfinished).await?;
        file.write_all(message).await?;
        file.sync_all().await?;
        fs::rename(&unfinished, &path).await?;
        fs::File::open(&self.folder).await?.sync_all().await?;
        Ok(())
    }

    /// The oldest message and its number, until it is [removed](Self::remove).
    pub(super) async fn oldest(&self) -> anyhow::Result<Option<(u64, Vec<u8>)>> {
        let Some(number) = self.lock().waiting.first().copied() else { return Ok(None) };
        Ok(Some((number, fs::read(self.path(number)).await?)))
    }

    /// Forgets a message.
    pub(super) async fn remove(&self, number: u64, size: usize) -> anyhow::Result<()> {
        fs::remove_file(self.path(number)).await?;
        let mut state = self.lock();
        state.waiting.remove(&number);
        state.n_bytes = state.n_bytes.saturating_sub(size as u64);
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}{SUFFIX}"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_back_oldest_first_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        for message in [b"one", b"two"] {
            spool.put(message).await.unwrap();
        }
        std::fs::write(folder.path().join("00000000000000000009.new"), b"unfinished").unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        spool.put(b"three").await.unwrap();
        let mut found = Vec::new();
        while let Some((number, message)) = spool.oldest().await.unwrap() {
            spool.remove(number, message.len()).await.unwrap();
            found.push(String::from_utf8(message).unwrap());
        }
        assert_eq!(found, ["one", "two", "three"]);
        assert_eq!((spool.len(), spool.lock().n_bytes), (0, 0));
    }
}
