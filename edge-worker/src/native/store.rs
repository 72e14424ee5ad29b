//! Reading configs: from an object store, else over HTTP.

use std::time::Duration;

use anyhow::Context as _;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::server::now_ms;
use super::settings::Settings;
use crate::archive::{Loaded, Wanted};
use crate::config::pointer_key;
use crate::environments::{Environment, Next};

/// Time that one read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Where configs come from.
pub(super) enum ConfigSource {
    Store(Box<dyn ObjectStore>),
    Http { client: reqwest::Client, base: String },
    Nowhere,
}

impl ConfigSource {
    pub(super) fn open(settings: &Settings, client: &reqwest::Client) -> anyhow::Result<Self> {
        if let Some(url) = &settings.store {
            let url = url::Url::parse(url).with_context(|| format!("SORTITION_STORE={url}"))?;
            let (store, prefix) = object_store::parse_url_opts(&url, std::env::vars())
                .with_context(|| format!("SORTITION_STORE={url}"))?;
            return Ok(Self::Store(Box::new(PrefixStore::new(store, prefix))));
        }
        Ok(match &settings.config_url {
            Some(base) => {
                Self::Http { client: client.clone(), base: base.trim_end_matches('/').to_owned() }
            }
            None => Self::Nowhere,
        })
    }

    /// Reads the pointer and, when it names something newer, the blob; the environment keeps what it makes of them.
    pub(super) async fn load(&self, environment: &Environment) {
        let pointer = match self.read(&pointer_key(environment.id())).await {
            Ok(pointer) => pointer,
            Err(error) => return fail(environment, &error),
        };
        let Next::Fetch(pointer) = environment.receive_pointer(pointer.as_deref(), now_ms()) else {
            return;
        };
        match self.read(&pointer.object).await {
            Ok(Some(bytes)) => {
                if environment.offer(&pointer, bytes, now_ms()) {
                    tracing::info!(
                        environment = environment.id(),
                        generation = pointer.generation,
                        "config loaded"
                    );
                } else {
                    let reason = environment.status().last_error.unwrap_or_default();
                    tracing::error!(
                        environment = environment.id(),
                        object = pointer.object,
                        reason,
                        "config refused"
                    );
                }
            }
            Ok(None) => fail(
                environment,
                &anyhow::anyhow!(
                    "the pointer names {}, which the store does not have",
                    pointer.object
                ),
            ),
            Err(error) => fail(environment, &error),
        }
    }

    /// Reads a generation by its manifest. Nothing of what is held changes.
    pub(super) async fn load_archived(&self, wanted: &Wanted) -> Loaded {
        let pointer = match self.read(&wanted.manifest_key()).await {
            Ok(Some(manifest)) => wanted.object(&manifest),
            Ok(None) => return Loaded::Missing,
            Err(error) => Err(format!("{error:#}")),
        };
        match pointer {
            Ok(pointer) => match self.read(&pointer.object).await {
                Ok(bytes) => Loaded::from_object(wanted, &pointer, bytes),
                Err(error) => Loaded::Unreadable(format!("{error:#}")),
            },
            Err(error) => Loaded::Unreadable(error),
        }
    }

    /// The object's bytes; `None` when the store does not have it.
    async fn read(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let read = async {
            match self {
                Self::Store(store) => match store.get(&Path::from(key)).await {
                    Ok(found) => Ok(Some(found.bytes().await?.to_vec())),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(error.into()),
                },
                Self::Http { client, base } => {
                    let response = client.get(format!("{base}/{key}")).send().await?;
                    match response.status().as_u16() {
                        200 => Ok(Some(response.bytes().await?.to_vec())),
                        404 => Ok(None),
                        status => Err(anyhow::anyhow!("the store answered {status}")),
                    }
                }
                Self::Nowhere => {
                    Err(anyhow::anyhow!("neither SORTITION_STORE nor SORTITION_CONFIG_URL is set"))
                }
            }
        };
        tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .unwrap_or_else(|_| {
                Err(anyhow::anyhow!("no answer within {} s", READ_TIMEOUT.as_secs()))
            })
            .with_context(|| format!("reading {key}"))
    }
}

fn fail(environment: &Environment, error: &anyhow::Error) {
    let error = format!("{error:#}");
    tracing::warn!(environment = environment.id(), error, "config not read");
    environment.fail(&error, now_ms());
}
