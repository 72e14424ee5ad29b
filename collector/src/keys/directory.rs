//! The keys of the published configs, kept in memory and refreshed in the background.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{ConfigSource, Grant, KeyDirectory, KeyError, SdkKey};

/// An unknown key makes the config be read again, but not more often than this.
const RECHECK: Duration = Duration::from_secs(1);

/// Most environments that are remembered not to exist.
const MAX_ABSENT: usize = 10_000;

/// The keys of every environment that has been asked for.
///
/// What was read once is kept until something newer is read: neither an unreachable store nor a
/// damaged config turns a client away that was let in before.
#[derive(Debug)]
pub struct ConfigKeys {
    source: ConfigSource,
    environments: RwLock<HashMap<String, Arc<Environment>>>,
    /// When an environment was last found not to exist.
    absent: RwLock<HashMap<String, Instant>>,
    /// One read at a time: clients that wait for the same config share it.
    reading: Mutex<()>,
}

#[derive(Debug)]
struct Environment {
    id: Arc<str>,
    project: Arc<str>,
    generation: u64,
    keys: HashSet<[u8; 32]>,
    /// When it was last known to be the newest.
    checked: Instant,
}

/// What the collector reads of `latest.json`.
#[derive(Debug, Deserialize)]
struct Pointer {
    generation: u64,
    object: String,
}

impl ConfigKeys {
    /// An empty directory over a source.
    pub fn new(source: ConfigSource) -> Self {
        Self {
            source,
            environments: RwLock::default(),
            absent: RwLock::default(),
            reading: Mutex::default(),
        }
    }

    /// Refreshes every environment again and again, until cancelled.
    pub async fn refresh_until(&self, interval: Duration, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = shutdown.cancelled() => return,
            }
            let known: Vec<String> = read(&self.environments).keys().cloned().collect();
            for id in known {
                if let Err(error) = self.refresh(&id, Duration::ZERO).await {
                    tracing::warn!(environment = id, %error, "config not refreshed");
                }
            }
        }
    }

    /// Environment ids with generation and age of what is known of them.
    pub fn known(&self) -> Vec<(String, u64, Duration)> {
        let environments = read(&self.environments);
        let mut known: Vec<_> = environments
            .values()
            .map(|known| (known.id.to_string(), known.generation, known.checked.elapsed()))
            .collect();
        known.sort();
        known
    }

    fn environment(&self, id: &str) -> Option<Arc<Environment>> {
        read(&self.environments).get(id).cloned()
    }

    /// Reads the config of an environment, unless it was checked within `max_age`.
    async fn refresh(&self, id: &str, max_age: Duration) -> anyhow::Result<()> {
        let _turn = self.reading.lock().await;
        let known = self.environment(id);
        if known.as_ref().is_some_and(|known| known.checked.elapsed() < max_age)
            || read(&self.absent).get(id).is_some_and(|at| at.elapsed() < max_age)
        {
            return Ok(());
        }
        let Some(pointer) = self.source.read(&format!("configs/{id}/latest.json")).await? else {
            if known.is_none() {
                let mut absent = write(&self.absent);
                if absent.len() >= MAX_ABSENT {
                    absent.clear();
                }
                absent.insert(id.to_owned(), Instant::now());
            }
            return Ok(());
        };
        let pointer: Pointer = serde_json::from_slice(&pointer)?;
        let checked = Instant::now();
        let environment = match known {
            // A pointer that goes back is an old copy from a cache.
            Some(known) if pointer.generation <= known.generation => Environment {
                id: Arc::clone(&known.id),
                project: Arc::clone(&known.project),
                generation: known.generation,
                keys: known.keys.clone(),
                checked,
            },
            _ => self.read_config(id, &pointer, checked).await?,
        };
        write(&self.absent).remove(id);
        write(&self.environments).insert(id.to_owned(), Arc::new(environment));
        Ok(())
    }

    async fn read_config(
        &self,
        id: &str,
        pointer: &Pointer,
        checked: Instant,
    ) -> anyhow::Result<Environment> {
        let object = self.source.read(&pointer.object).await?;
        let blob = object.ok_or_else(|| anyhow::anyhow!("{} is missing", pointer.object))?;
        let (header, config) = eval_core::blob::decode(&blob)?;
        anyhow::ensure!(header.environment == id, "it is the config of {}", header.environment);
        let keys = config.sdk_keys().map(|(sha256, _kind)| *sha256).collect();
        tracing::info!(environment = id, generation = header.generation, "config read");
        Ok(Environment {
            id: id.into(),
            project: config.project().into(),
            generation: header.generation,
            keys,
            checked,
        })
    }
}

#[async_trait]
impl KeyDirectory for ConfigKeys {
    async fn check(&self, key: &SdkKey<'_>) -> Result<Grant, KeyError> {
        let (id, sha256) = (key.environment(), key.sha256());
        let find = || {
            let environment = self.environment(id)?;
            Some(environment.keys.contains(&sha256).then(|| Grant {
                project: Arc::clone(&environment.project),
                environment: Arc::clone(&environment.id),
            }))
        };
        if let Some(Some(grant)) = find() {
            return Ok(grant);
        }
        let refreshed = self.refresh(id, RECHECK).await;
        if let Err(error) = &refreshed {
            tracing::warn!(environment = id, %error, "config not read");
        }
        match find() {
            Some(grant) => grant.ok_or(KeyError::Unknown),
            None if refreshed.is_err() => Err(KeyError::Unavailable),
            None => Err(KeyError::Unknown),
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
