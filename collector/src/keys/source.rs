//! Where published configs are read: object storage, or the HTTP origin in front of it.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// Where published configs are read.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// The object store that they are published to.
    Store(Arc<dyn ObjectStore>),
    /// A base URL under which the same paths are served.
    Http {
        /// The client.
        client: reqwest::Client,
        /// Base URL, without a slash at the end.
        base: String,
    },
}

impl ConfigSource {
    /// The source of a base URL.
    pub fn http(base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self::Http { client: reqwest::Client::new(), base }
    }

    /// Reads an object; none when there is no such object.
    pub(super) async fn read(&self, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Self::Store(store) => match store.get(&Path::from(path)).await {
                Ok(object) => Ok(Some(object.bytes().await?.into())),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Self::Http { client, base } => {
                let url = format!("{base}/{path}");
                let response = client.get(url).timeout(HTTP_TIMEOUT).send().await?;
                if response.status() == reqwest::StatusCode::NOT_FOUND {
                    return Ok(None);
                }
                Ok(Some(response.error_for_status()?.bytes().await?.into()))
            }
        }
    }
}
