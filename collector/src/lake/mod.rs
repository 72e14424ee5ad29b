//! The event lake: Parquet files on object storage, and the numbered log that says which of them
//! count.
//!
//! A file is part of the lake when a manifest has added it and no later manifest has removed it;
//! what merely lies under the prefix is the remains of an interrupted write. A manifest is
//! committed by creating its number, the one conditional write that local disks and every S3 store
//! have, so that of two writers one wins and the other reads on and tries again.
//!
//! Reading: [`Lake::open`], then [`Lake::snapshot`], then [`Snapshot::files`]; read the files with
//! the `parquet` crate through [`FileReader`]. Rows of every file are sorted by (`unit_hash`, `ts`).
//! A file that a compaction has replaced stays readable for the grace period of the collector; a
//! reader that finds a file gone takes a new snapshot.

mod commit;
mod disk_store;
mod file_reader;
pub(crate) mod file_writer;
pub mod layout;
pub mod manifest;

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Mutex;
use url::Url;

use crate::disk::RealDisk;

pub use commit::{Change, CommitOutcome};
pub use disk_store::DiskStore;
pub use file_reader::FileReader;
pub use manifest::{FileEntry, Manifest, Removed, Snapshot, Source, UnitBuckets};

/// What can go wrong with the lake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// The object store failed.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    /// A manifest or checkpoint is not what it should be.
    #[error("{path} is damaged: {detail}")]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A Parquet file cannot be written or read.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Rows cannot be brought into columns.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The store's URL cannot be used.
    #[error("store URL {url:?}: {detail}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// The event lake of one store.
#[derive(Debug)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    /// The last snapshot read: the log only grows, so reading goes on from here.
    known: Mutex<Arc<Snapshot>>,
}

impl Lake {
    /// Opens the lake at a store URL: `file:///absolute/path`, `s3://bucket/prefix`, `memory:///`.
    /// Credentials and endpoints come from the environment (`AWS_…`).
    pub fn open(url: &str) -> Result<Self, LakeError> {
        Ok(Self::new(open_store(url)?))
    }

    /// The lake of an opened store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// The store, rooted where the paths of [`FileEntry`] start.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The files of now. Reads only the manifests that were added since the last call.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, LakeError> {
        let mut known = self.known.lock().await;
        if known.number == 0
            && let Some(checkpoint) = self.latest_checkpoint().await?
        {
            *known = Arc::new(checkpoint);
        }
        while let Some(manifest) = self.manifest(known.number + 1).await? {
            Arc::make_mut(&mut known).apply(manifest);
        }
        Ok(Arc::clone(&known))
    }

    /// The manifest of a number, if it exists.
    pub async fn manifest(&self, number: u64) -> Result<Option<Manifest>, LakeError> {
        let path = layout::manifest_path(number);
        let Some(manifest) = self.read_json::<Manifest>(&path).await? else { return Ok(None) };
        if manifest.number != number {
            let detail = format!("it says that its number is {}", manifest.number);
            return Err(LakeError::Damaged { path: path.to_string(), detail });
        }
        Ok(Some(manifest))
    }

    async fn latest_checkpoint(&self) -> Result<Option<Snapshot>, LakeError> {
        let prefix = Path::from(layout::CHECKPOINTS);
        let mut paths: Vec<Path> =
            self.store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect().await?;
        paths.sort();
        // The newest may vanish between list and read only if a newer one exists; an older one is
        // as good a start.
        for path in paths.iter().rev() {
            if let Some(snapshot) = self.read_json::<Snapshot>(path).await? {
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }

    async fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, LakeError> {
        let bytes = match self.store.get(path).await {
            Ok(object) => object.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| LakeError::Damaged {
            path: path.to_string(),
            detail: error.to_string(),
        })
    }
}

/// Opens the store of a URL, rooted at the URL's path.
pub fn open_store(url: &str) -> Result<Arc<dyn ObjectStore>, LakeError> {
    let refuse = |detail: String| LakeError::Url { url: url.to_owned(), detail };
    let parsed = Url::parse(url).map_err(|error| refuse(error.to_string()))?;
    // Only these: the builder also takes bare names such as `REGION` or `TOKEN`.
    let variables = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
    if parsed.scheme() == "file" {
        let root = parsed.to_file_path().map_err(|()| refuse("no local path".to_owned()))?;
        let store = DiskStore::new(Arc::new(RealDisk), root);
        if let Err(error) = store.sweep_staging() {
            tracing::debug!(url, %error, "unfinished objects not swept");
        }
        return Ok(Arc::new(store));
    }
    let (store, root) = object_store::parse_url_opts(&parsed, variables)
        .map_err(|error| refuse(error.to_string()))?;
    if root.as_ref().is_empty() {
        return Ok(Arc::from(store));
    }
    Ok(Arc::new(PrefixStore::new(store, root)))
}
