//! Reading configs: from an object store, else over HTTP, else from a copy.

use std::time::Duration;

use anyhow::Context as _;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::copies::Copies;
use super::server::now_ms;
use super::settings::Settings;
use super::signature;
use crate::archive::{Loaded, Wanted};
use crate::config::pointer_key;
use crate::environments::{
    BLOB_TIMEOUT_MS, Candidate, Environment, Environments, Next, POINTER_TIMEOUT_MS,
    is_environment_id,
};
use crate::trust::PublicKeys;

/// Where configs come from.
pub(super) struct ConfigSource {
    store: Store,
    copies: Copies,
    keys: PublicKeys,
}

enum Store {
    Objects(Box<dyn ObjectStore>),
    Http { client: reqwest::Client, base: String },
    Nowhere,
}

impl ConfigSource {
    pub(super) fn open(settings: &Settings, client: &reqwest::Client) -> anyhow::Result<Self> {
        Ok(Self {
            store: Store::open(settings, client)?,
            copies: Copies::open(settings)?,
            keys: settings.public_keys.clone(),
        })
    }

    /// Reads the pointer and, when it names something newer, the blob; the environment keeps what it makes of them. Where nothing comes
    /// of it and nothing is held, a copy is served.
    pub(super) async fn load(&self, environment: &Environment) {
        match self.fetch(environment).await {
            Ok(true) => self.copies.keep(environment).await,
            Ok(false) => {}
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(environment = environment.id(), error, "config not read");
                environment.fail(&error, now_ms());
            }
        }
        if environment.held().is_none() {
            self.copies.fall_back(environment, &self.keys).await;
        }
    }

    /// Whether a new config is held.
    async fn fetch(&self, environment: &Environment) -> anyhow::Result<bool> {
        let pointer = self.store.read(&pointer_key(environment.id()), POINTER_TIMEOUT_MS).await?;
        let next = environment.receive_pointer(pointer.as_deref(), &self.keys, now_ms());
        let Next::Fetch(candidate) = next else {
            log_failure(environment);
            return Ok(false);
        };
        let object = &candidate.pointer.object;
        let bytes = self.store.read(object, BLOB_TIMEOUT_MS).await?;
        let bytes = bytes.with_context(|| {
            format!("the pointer names {object}, which the store does not have")
        })?;
        let is_authentic = signature::is_authentic(candidate.check.as_deref(), &bytes);
        if !environment.offer(&candidate, bytes, is_authentic, now_ms()) {
            log_failure(environment);
            return Ok(false);
        }
        log_success(environment, &candidate);
        Ok(true)
    }

    /// Reads the client form of the config in use.
    pub(super) async fn load_client_form(&self, environment: &Environment) {
        let Some((held, candidate)) = environment.client_form_candidate(&self.keys) else { return };
        let error = match candidate {
            Ok(candidate) => {
                match self.store.read(&candidate.pointer.object, BLOB_TIMEOUT_MS).await {
                    Ok(Some(bytes)) => {
                        let is_authentic =
                            signature::is_authentic(candidate.check.as_deref(), &bytes);
                        let now_ms = now_ms();
                        match environment.offer_client_form(
                            &held,
                            &candidate,
                            bytes,
                            is_authentic,
                            now_ms,
                        ) {
                            Ok(()) => return,
                            Err(refusal) => refusal.to_string(),
                        }
                    }
                    Ok(None) => "the store does not have it".to_owned(),
                    Err(error) => format!("{error:#}"),
                }
            }
            Err(refusal) => refusal.to_string(),
        };
        environment.fail_client_form(now_ms());
        tracing::warn!(environment = environment.id(), error, "client form not taken");
    }

    /// Reads a generation by its manifest. Nothing of what is held changes.
    pub(super) async fn load_archived(&self, wanted: &Wanted) -> Loaded {
        let candidate = match self.store.read(&wanted.manifest_key(), POINTER_TIMEOUT_MS).await {
            Ok(Some(manifest)) => wanted.object(&manifest, &self.keys),
            Ok(None) => return Loaded::Missing,
            Err(error) => Err(format!("{error:#}")),
        };
        match candidate {
            Ok(candidate) => {
                match self.store.read(&candidate.pointer.object, BLOB_TIMEOUT_MS).await {
                    Ok(bytes) => {
                        let check = candidate.check.as_deref();
                        let is_authentic =
                            signature::is_authentic(check, bytes.as_deref().unwrap_or_default());
                        Loaded::from_object(wanted, &candidate, bytes, is_authentic)
                    }
                    Err(error) => Loaded::Unreadable(format!("{error:#}")),
                }
            }
            Err(error) => Loaded::Unreadable(error),
        }
    }
}

/// A copy of the newest config of an environment, checked as an edge with these settings checks it: what a deployment bundles.
pub async fn copy_of(settings: &Settings, environment: &str) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(is_environment_id(environment), "{environment:?} is not an environment id");
    let settings = Settings { config_cache: None, bundled_config: None, ..settings.clone() };
    let source = ConfigSource::open(&settings, &reqwest::Client::new())?;
    let environment = Environments::default().get(environment, now_ms());
    source.fetch(&environment).await?;
    environment.copy().with_context(|| {
        let reason = environment.status().last_error.unwrap_or_default();
        format!("environment {}: {reason}", environment.id())
    })
}

impl Store {
    fn open(settings: &Settings, client: &reqwest::Client) -> anyhow::Result<Self> {
        if let Some(url) = &settings.store {
            let url = url::Url::parse(url).with_context(|| format!("SORTITION_STORE={url}"))?;
            let (store, prefix) = object_store::parse_url_opts(&url, std::env::vars())
                .with_context(|| format!("SORTITION_STORE={url}"))?;
            return Ok(Self::Objects(Box::new(PrefixStore::new(store, prefix))));
        }
        Ok(match &settings.config_url {
            Some(base) => {
                Self::Http { client: client.clone(), base: base.trim_end_matches('/').to_owned() }
            }
            None => Self::Nowhere,
        })
    }

    /// The object's bytes; `None` when the store does not have it.
    async fn read(&self, key: &str, timeout_ms: u32) -> anyhow::Result<Option<Vec<u8>>> {
        let read = async {
            match self {
                Self::Objects(store) => match store.get(&Path::from(key)).await {
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
        tokio::time::timeout(Duration::from_millis(timeout_ms.into()), read)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {timeout_ms} ms")))
            .with_context(|| format!("reading {key}"))
    }
}

fn log_success(environment: &Environment, candidate: &Candidate) {
    let generation = candidate.pointer.generation;
    tracing::info!(environment = environment.id(), generation, "config loaded");
    let Some(held) = environment.held() else { return };
    for fault in held.config().faults() {
        tracing::error!(
            environment = environment.id(),
            generation,
            entry = fault.entry,
            problem = fault.problem,
            "an entry of the config is damaged"
        );
    }
}

/// What was wrong with a pointer or blob; nothing where the held config is the newest.
fn log_failure(environment: &Environment) {
    let status = environment.status();
    let Some(reason) = status.last_error else { return };
    let object = status.last_refused.map(|refused| refused.object);
    tracing::error!(environment = environment.id(), object, reason, "config refused");
}
