//! Object storage as publishing uses it: a local folder or an S3-compatible bucket.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};
use url::Url;

use super::prepared::Prepared;

/// What can go wrong with object storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store refused or could not be reached.
    #[error("object storage: {0}")]
    Store(#[from] object_store::Error),
    /// The URL names no store.
    #[error("the store URL {0:?} is not file:///… or s3://…")]
    Url(String),
}

/// How long caches in front of the store may keep an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Never changes under its name.
    Immutable,
    /// Must be asked for again each time.
    Revalidate,
}

impl Caching {
    /// The `Cache-Control` header.
    pub fn header(self) -> &'static str {
        match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Revalidate => "no-cache",
        }
    }
}

/// The root of object storage.
#[derive(Clone, Debug)]
pub struct ConfigStore {
    objects: Arc<dyn ObjectStore>,
    /// Whether the store keeps HTTP headers with an object; a local folder does not.
    keeps_headers: bool,
}

impl ConfigStore {
    /// Opens `file:///absolute/path` or `s3://bucket/prefix`; credentials, region and endpoint of
    /// the latter come from the usual `AWS_…` variables.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let parsed = Url::parse(url).map_err(|_| StoreError::Url(url.to_owned()))?;
        if !matches!(parsed.scheme(), "file" | "s3" | "s3a" | "memory") {
            return Err(StoreError::Url(url.to_owned()));
        }
        let variables = std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
        let (store, prefix) = object_store::parse_url_opts(&parsed, variables)?;
        Ok(Self {
            objects: Arc::new(PrefixStore::new(store, prefix)),
            keeps_headers: parsed.scheme().starts_with("s3"),
        })
    }

    /// A store that is open already.
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, keeps_headers: false }
    }

    /// The store itself.
    pub fn objects(&self) -> &dyn ObjectStore {
        &*self.objects
    }

    /// Writes one object.
    pub(crate) async fn put(
        &self,
        path: &Path,
        bytes: Bytes,
        mode: PutMode,
        caching: Caching,
    ) -> object_store::Result<()> {
        let attributes = if self.keeps_headers {
            Attributes::from_iter([
                (Attribute::CacheControl, caching.header()),
                (Attribute::ContentType, content_type(path)),
            ])
        } else {
            Attributes::new()
        };
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        self.objects.put_opts(path, PutPayload::from_bytes(bytes), options).await.map(drop)
    }

    /// Whether an object is there.
    pub(crate) async fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        match self.objects.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes of an object; `None` when it is absent.
    pub async fn read(&self, path: &Path) -> Result<Option<Bytes>, StoreError> {
        match self.objects.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Stores a generation's blob, client form and plan under their content-addressed names. Writing them again
/// changes nothing, so a plain overwrite also mends what a crash has torn.
pub async fn upload(store: &ConfigStore, prepared: &Prepared) -> Result<(), StoreError> {
    let Prepared { manifest, blob, plan, client_form } = prepared;
    let object = Path::from(manifest.object.as_str());
    store.put(&object, blob.clone(), PutMode::Overwrite, Caching::Immutable).await?;
    if let Some(path) = &manifest.plan {
        let path = Path::from(path.as_str());
        store.put(&path, plan.clone(), PutMode::Overwrite, Caching::Immutable).await?;
    }
    if let (Some(named), Some(bytes)) = (&manifest.client_form, client_form) {
        let path = Path::from(named.object.as_str());
        store.put(&path, bytes.clone(), PutMode::Overwrite, Caching::Immutable).await?;
    }
    Ok(())
}

/// The media type of an object by its name.
pub fn content_type(path: &Path) -> &'static str {
    match path.extension() {
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
