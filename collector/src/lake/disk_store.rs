//! An object store on a local disk whose writes are durable when they return.
//!
//! `object_store`'s own `LocalFileSystem` writes a file and renames it without a sync, so that
//! after a power cut an object may be empty, or a claimed manifest number may hold garbage. Here a
//! put is: write to the staging folder, sync, link or rename into place, sync the directory.
//! The layout on disk is the same, and so either can read what the other wrote.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, UploadPart,
};
use uuid::Uuid;

use crate::disk::{Disk, DurableDirectories, Status};

const STORE: &str = "DiskStore";

/// Where unfinished objects lie, under the root.
const STAGING: &str = ".staging";

/// Unfinished objects of this age belong to nobody any more.
const STAGING_AGE: Duration = Duration::from_hours(24);

/// An object store on a local disk.
#[derive(Debug, Clone)]
pub struct DiskStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    directories: DurableDirectories,
    /// Makes the names of this process's unfinished objects unique.
    instance: Uuid,
    staged: AtomicU64,
}

impl fmt::Display for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.0.root.display())
    }
}

impl DiskStore {
    /// The store of a folder, which is created by the first put.
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf) -> Self {
        Self(Arc::new(Inner {
            disk,
            root,
            directories: DurableDirectories::default(),
            instance: Uuid::new_v4(),
            staged: AtomicU64::new(0),
        }))
    }

    /// Removes what writers that were stopped in the middle have left behind.
    pub fn sweep_staging(&self) -> io::Result<()> {
        let inner = &self.0;
        let entries = match inner.disk.entries(&inner.root.join(STAGING)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let now = SystemTime::now();
        for path in entries {
            let modified = inner.disk.status(&path)?.modified;
            if now.duration_since(modified).is_ok_and(|age| age > STAGING_AGE) {
                inner.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    /// File operations block; the runtime's own threads must not.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await?
    }
}

impl Inner {
    fn file(&self, location: &Path) -> PathBuf {
        let mut file = self.root.clone();
        file.extend(location.parts().map(|part| part.as_ref().to_owned()));
        file
    }

    /// Writes an object to the staging folder, durably.
    fn stage(&self, chunks: impl Iterator<Item = Bytes>) -> io::Result<PathBuf> {
        let staging = self.root.join(STAGING);
        self.directories.ensure(self.disk.as_ref(), &staging)?;
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let staged = staging.join(format!("{}-{number}", self.instance.simple()));
        let mut file = self.disk.create(&staged)?;
        let written =
            chunks.into_iter().try_for_each(|chunk| file.append(&chunk)).and_then(|()| file.sync());
        if let Err(error) = written {
            self.disk.remove(&staged).ok();
            return Err(error);
        }
        Ok(staged)
    }

    fn put(&self, location: &Path, payload: PutPayload, mode: &PutMode) -> Result<PutResult> {
        let file = self.file(location);
        let parent = file.parent().unwrap_or(&self.root).to_owned();
        let wrap = |error| generic(location, error);
        self.directories.ensure(self.disk.as_ref(), &parent).map_err(wrap)?;
        let size = payload.content_length();
        let staged = self.stage(payload.into_iter()).map_err(wrap)?;
        let placed = match mode {
            PutMode::Overwrite => self.disk.rename(&staged, &file),
            PutMode::Create => {
                let linked = self.disk.link(&staged, &file);
                self.disk.remove(&staged).ok();
                linked
            }
            PutMode::Update(_) => {
                self.disk.remove(&staged).ok();
                return Err(not_implemented("put_opts with PutMode::Update"));
            }
        };
        // Also when the name was taken: its owner may have been killed before its own sync.
        self.disk.sync_dir(&parent).map_err(wrap)?;
        placed.map_err(wrap)?;
        let status = self.disk.status(&file).map_err(wrap)?;
        Ok(PutResult { e_tag: Some(e_tag(status.modified, size as u64)), version: None })
    }

    fn meta(&self, location: &Path) -> Result<ObjectMeta> {
        let wrap = |error| generic(location, error);
        let status = self.disk.status(&self.file(location)).map_err(wrap)?;
        if status.is_dir {
            return Err(wrap(io::ErrorKind::NotFound.into()));
        }
        Ok(object_meta(location.clone(), status))
    }

    fn read(&self, location: &Path, range: &Range<u64>) -> Result<Bytes> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let bytes = self.disk.read_at(&self.file(location), range.start, length);
        let bytes = bytes.map_err(|error| generic(location, error))?;
        if bytes.len() < length {
            return Err(generic(location, io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(bytes.into())
    }

    /// Objects and folders directly under a prefix.
    fn children(&self, prefix: &Path) -> Result<(Vec<ObjectMeta>, Vec<Path>)> {
        let dir = self.file(prefix);
        let entries = match self.disk.entries(&dir) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(generic(prefix, error)),
        };
        let (mut objects, mut folders) = (Vec::new(), Vec::new());
        for entry in entries {
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
            // `LocalFileSystem` leaves unfinished objects named `{object}#{number}`.
            if name == STAGING || name.contains('#') {
                continue;
            }
            let Ok(location) = Path::parse(format!("{prefix}/{name}")) else { continue };
            match self.disk.status(&entry) {
                Ok(status) if status.is_dir => folders.push(location),
                Ok(status) => objects.push(object_meta(location, status)),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(generic(&location, error)),
            }
        }
        Ok((objects, folders))
    }

    fn descendants(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let (mut objects, mut folders) = self.children(prefix)?;
        while let Some(folder) = folders.pop() {
            let (more_objects, more_folders) = self.children(&folder)?;
            objects.extend(more_objects);
            folders.extend(more_folders);
        }
        Ok(objects)
    }

    fn copy(&self, from: &Path, to: &Path, mode: CopyMode) -> Result<()> {
        let bytes = self.disk.read(&self.file(from)).map_err(|error| generic(from, error))?;
        let mode = match mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put(to, bytes.into(), &mode).map(|_| ())
    }
}

#[async_trait]
impl ObjectStore for DiskStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let location = location.clone();
        self.blocking(move |inner| inner.put(&location, payload, &options.mode)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { store: self.clone(), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let location = location.clone();
        self.blocking(move |inner| {
            let meta = inner.meta(&location)?;
            options.check_preconditions(&meta)?;
            let range = match &options.range {
                None => 0..meta.size,
                Some(range) => byte_range(range, meta.size)
                    .ok_or_else(|| generic(&location, io::ErrorKind::InvalidInput.into()))?,
            };
            let bytes = if options.head { Bytes::new() } else { inner.read(&location, &range)? };
            let payload = GetResultPayload::Stream(futures::stream::iter([Ok(bytes)]).boxed());
            Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
        })
        .await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (location, ranges) = (location.clone(), ranges.to_vec());
        self.blocking(move |inner| ranges.iter().map(|r| inner.read(&location, r)).collect()).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .and_then(move |location| {
                let store = store.clone();
                async move {
                    store
                        .blocking(move |inner| {
                            let removed = inner.disk.remove(&inner.file(&location));
                            removed.map_err(|error| generic(&location, error))?;
                            Ok(location)
                        })
                        .await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        futures::stream::once(async move {
            let objects = store.blocking(move |inner| inner.descendants(&prefix)).await?;
            Ok::<_, object_store::Error>(futures::stream::iter(objects.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let (objects, common_prefixes) =
            self.blocking(move |inner| inner.children(&prefix)).await?;
        Ok(ListResult { common_prefixes, objects })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.blocking(move |inner| inner.copy(&from, &to, options.mode)).await
    }
}

/// Parts are gathered in memory; on a local disk nothing is gained by several uploads.
#[derive(Debug)]
struct Upload {
    store: DiskStore,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let payload: PutPayload = std::mem::take(&mut self.parts).into_iter().flatten().collect();
        self.store.put_opts(&self.location, payload, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

fn byte_range(range: &GetRange, size: u64) -> Option<Range<u64>> {
    let range = match range {
        GetRange::Bounded(range) => range.start..range.end.min(size),
        GetRange::Offset(offset) => *offset..size,
        GetRange::Suffix(length) => size.saturating_sub(*length)..size,
    };
    (range.start < range.end).then_some(range)
}

fn object_meta(location: Path, status: Status) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: status.modified.into(),
        size: status.size,
        e_tag: Some(e_tag(status.modified, status.size)),
        version: None,
    }
}

fn e_tag(modified: SystemTime, size: u64) -> String {
    let modified = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{size:x}", modified.as_nanos())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn generic(location: &Path, error: io::Error) -> object_store::Error {
    let (path, source) = (location.to_string(), Box::new(error));
    match source.kind() {
        _ if is_absent(&source) => object_store::Error::NotFound { path, source },
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source },
        io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied { path, source },
        _ => object_store::Error::Generic { store: STORE, source },
    }
}

fn not_implemented(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: STORE.to_owned(),
    }
}
