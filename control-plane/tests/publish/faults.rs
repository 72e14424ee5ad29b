//! An object store that does as it is told: fails, hangs or waits at any step.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _, future, stream,
};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// One request to the store.
#[derive(Clone, Debug)]
pub struct Step {
    /// Number of the request, from 0, over all clones of the store.
    pub number: usize,
    /// What is asked: `put`, `get`, `list`.
    pub verb: &'static str,
    /// About which key.
    pub path: String,
    /// Whether the request has been carried out.
    pub done: bool,
}

/// Called before and after every request; an error takes the place of the answer.
pub type Hook = Arc<dyn Fn(Step) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// A store with a hook.
#[derive(Clone)]
pub struct Hooked {
    inner: Arc<dyn ObjectStore>,
    hook: Hook,
    steps: Arc<AtomicUsize>,
}

impl Hooked {
    /// Puts a hook around a store.
    pub fn new(inner: Arc<dyn ObjectStore>, hook: Hook) -> Self {
        Self { inner, hook, steps: Arc::default() }
    }

    /// A store that only counts.
    pub fn counting(inner: Arc<dyn ObjectStore>) -> Self {
        Self::new(inner, Arc::new(|_| future::ready(Ok(())).boxed()))
    }

    /// A store of a process that dies at a step: before it is carried out, or after it was but
    /// before its answer arrives. From there on every request fails.
    pub fn dying(inner: Arc<dyn ObjectStore>, at: usize, done: bool) -> Self {
        Self::new(
            inner,
            Arc::new(move |step: Step| {
                let dead = step.number > at || (step.number == at && step.done == done);
                future::ready(if dead { Err(failure(&step)) } else { Ok(()) }).boxed()
            }),
        )
    }

    /// A store whose process stops for good at a step, to be aborted there.
    pub fn hanging(
        inner: Arc<dyn ObjectStore>,
        at: usize,
        done: bool,
        reached: Arc<tokio::sync::Notify>,
    ) -> Self {
        Self::new(
            inner,
            Arc::new(move |step: Step| {
                if step.number == at && step.done == done {
                    reached.notify_one();
                    future::pending().boxed()
                } else {
                    future::ready(Ok(())).boxed()
                }
            }),
        )
    }

    /// Requests seen so far.
    pub fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    async fn around<T: Send>(
        self,
        verb: &'static str,
        path: String,
        request: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let number = self.steps.fetch_add(1, Ordering::SeqCst);
        let step = Step { number, verb, path, done: false };
        (self.hook)(step.clone()).await?;
        let answer = request.await?;
        (self.hook)(Step { done: true, ..step }).await?;
        Ok(answer)
    }

    fn around_list(
        &self,
        path: String,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let whole = self.clone().around("list", path, listing.try_collect::<Vec<_>>());
        whole.map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten_stream().boxed()
    }
}

/// The error of a dead process.
pub fn failure(step: &Step) -> object_store::Error {
    object_store::Error::Generic { store: "Hooked", source: format!("died at {step:?}").into() }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.inner)
    }
}

impl fmt::Display for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Hooked {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let request = self.inner.put_opts(location, payload, options);
        self.clone().around("put", location.to_string(), request).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = self.inner.get_opts(location, options);
        self.clone().around("get", location.to_string(), request).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let request = self.inner.get_ranges(location, ranges);
        self.clone().around("get", location.to_string(), request).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.around_list(prefix.map(Path::to_string).unwrap_or_default(), self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.around_list(offset.to_string(), self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
