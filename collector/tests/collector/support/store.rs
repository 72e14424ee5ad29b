//! An object store that fails, before or after it has done what was asked.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A store that fails every other time or so, for as long as it is unreliable.
#[derive(Debug)]
pub(crate) struct UnreliableStore {
    inner: Arc<dyn ObjectStore>,
    random: Mutex<StdRng>,
    pub(crate) is_unreliable: AtomicBool,
    pub(crate) failures: AtomicU64,
}

impl UnreliableStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, seed: u64) -> Self {
        Self {
            inner,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            is_unreliable: AtomicBool::new(true),
            failures: AtomicU64::new(0),
        }
    }

    fn fail(&self, probability: f64) -> Result<()> {
        let throw: f64 = self.random.lock().unwrap().random();
        if !self.is_unreliable.load(Ordering::Acquire) || throw >= probability {
            return Ok(());
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        Err(object_store::Error::Generic { store: "unreliable", source: "no connection".into() })
    }
}

impl fmt::Display for UnreliableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnreliableStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for UnreliableStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.fail(0.3)?;
        let result = self.inner.put_opts(location, payload, options).await?;
        // Done, but the answer is lost on the way.
        self.fail(0.3)?;
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.fail(0.3)?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.fail(0.1)?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.fail(0.1)?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.fail(0.1)?;
        self.inner.copy_opts(from, to, options).await
    }
}
