//! Publishing: load → validate → compile → encode → upload → record.
//!
//! One blob per environment, under a generation that only grows. The way of a publication is
//! [`Publisher::publish`]; who owns a generation and where the pointer stands is settled in
//! [`claim`]; when it happens is decided by the background task in [`queue`].
//!
//! Why no change is ever lost: a publication is recorded under the number that follows the highest
//! one seen *before* its definitions were loaded. Of two that saw the same, one is recorded; the
//! other loads again. So generations are in the order in which their definitions were loaded, and a
//! change that was committed before the highest generation loaded is in it.

pub mod claim;
pub mod compile;
pub(crate) mod handlers;
pub mod manifest;
pub mod plan;
pub mod prepared;
pub mod public_keys;
pub mod queue;
pub mod rollback;
pub mod sign;
pub mod upload;
mod conditional;
mod make;
mod numbers;
mod recover;
mod turns;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::error::ApiError;
use crate::settings::Settings;
use crate::state::{AppState, PublishRequest};
use crate::store::publications::{self, NewPublication, Publication};
use crate::store::{Db, EnvironmentSnapshot, load_environment_in};
use claim::Claim;
use make::Made;
use manifest::Manifest;
use sign::Signer;
use turns::Turns;
use upload::{ConfigStore, StoreError};

/// How often a publication that others overtake is tried again before it is given up.
const ATTEMPTS: usize = 20;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// No such environment.
    #[error("there is no environment `{0}`")]
    UnknownEnvironment(String),
    /// The environment never published this generation, or its bytes are gone.
    #[error("generation {0} is not in the archive")]
    UnknownGeneration(u64),
    /// The definitions break a rule of compiling.
    #[error("the definitions do not compile: {0}")]
    Compile(#[from] eval_core::CompileError),
    /// Object storage refused or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others published faster, again and again.
    #[error("other publishers were faster {ATTEMPTS} times")]
    Contended,
    /// The database, or a bug.
    #[error("{0:#}")]
    Internal(anyhow::Error),
}

impl PublishError {
    /// Whether trying again can help without any change of the definitions.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Contended | Self::Internal(_))
    }
}

impl From<anyhow::Error> for PublishError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<sqlx::Error> for PublishError {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::UnknownEnvironment(id) => Self::not_found("environment", id),
            PublishError::UnknownGeneration(generation) => {
                Self::not_found("generation", generation.to_string())
            }
            PublishError::Compile(error) => Self::conflict("does_not_compile", error.to_string()),
            PublishError::Store(_) | PublishError::Contended => {
                Self::Unavailable(error.to_string())
            }
            PublishError::Internal(error) => Self::Internal(error),
        }
    }
}

/// What a publication came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What edges read now.
    pub manifest: Manifest,
    /// Whether it is new; otherwise nothing had changed since.
    pub changed: bool,
}

/// Publishes environments; cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    db: Db,
    store: ConfigStore,
    list_secret: Option<[u8; 32]>,
    signing_key: Option<[u8; 32]>,
    signer: Arc<OnceCell<Signer>>,
    turns: Turns,
}

/// Announces that an environment changed; it is published in the background, together with what
/// else changes meanwhile.
pub fn request(state: &AppState, environment_id: &str, author: &str) {
    let request =
        PublishRequest { environment_id: environment_id.to_owned(), author: author.to_owned() };
    if state.publish_requests.send(request).is_err() {
        tracing::debug!(environment_id, "nobody publishes in this process; the next start does");
    }
}

/// Publishes an environment and answers when edges can read it.
pub async fn publish_now(
    state: &AppState,
    environment_id: &str,
    author: &str,
) -> Result<Published, PublishError> {
    state.publisher.publish(environment_id, author).await
}

/// The public key that edges verify configs with, 64 hexadecimal digits. Makes the signing key where neither the settings nor the
/// database has one yet.
pub async fn public_key(settings: &Settings) -> anyhow::Result<String> {
    if let Some(seed) = &settings.signing_key {
        return Ok(Signer::from_seed(seed).public_key());
    }
    let db = Db::open(&settings.database_url).await?;
    let key = Publisher::new(db.clone(), settings)?.signer().await?.public_key();
    db.close().await;
    Ok(key)
}

impl Publisher {
    /// A publisher from a database to the store that the settings name.
    pub fn new(db: Db, settings: &Settings) -> Result<Self, StoreError> {
        Ok(Self::with_store(db, ConfigStore::open(&settings.store_url)?, settings))
    }

    /// A publisher to a store that is open already.
    pub fn with_store(db: Db, store: ConfigStore, settings: &Settings) -> Self {
        Self {
            db,
            store,
            list_secret: settings.list_secret,
            signing_key: settings.signing_key,
            signer: Arc::default(),
            turns: Turns::default(),
        }
    }

    /// Where it publishes to.
    pub fn store(&self) -> &ConfigStore {
        &self.store
    }

    /// What signs: the key of the settings, else one that is made once and kept in the database.
    pub async fn signer(&self) -> anyhow::Result<&Signer> {
        self.signer
            .get_or_try_init(|| async {
                let Some(seed) = self.signing_key else { return self.kept_signer().await };
                Ok(Signer::from_seed(&seed))
            })
            .await
    }

    async fn kept_signer(&self) -> anyhow::Result<Signer> {
        let mut tx = self.db.write().await?;
        let new = rand::random();
        let kept = publications::load_or_keep_signing_key(&mut tx, &new, Timestamp::now()).await?;
        tx.commit().await?;
        Ok(Signer::from_seed(&kept))
    }

    /// Publishes an environment as it is defined now, unless that is what edges read already. Also
    /// finishes what an earlier run began.
    pub async fn publish(
        &self,
        environment_id: &str,
        author: &str,
    ) -> Result<Published, PublishError> {
        let _turn = self.turns.take(environment_id).await;
        let started = Instant::now();
        for _ in 0..ATTEMPTS {
            self.finish_pending(environment_id).await?;
            let highest = claim::highest_generation(&self.store, environment_id).await?;
            let loaded = self.load(environment_id).await?;
            let made = self.make(&loaded, highest).await?;
            if let Some(current) = loaded.unchanged(&made, highest) {
                self.confirm(&made, current).await?;
                return Ok(Published { manifest: current.manifest.clone(), changed: false });
            }
            if !self.record_pending(&made, author).await? {
                continue; // Someone recorded this generation since `load`: their definitions may be older.
            }
            if claim::deliver(&self.store, &made.prepared).await? == Claim::Theirs {
                self.record_superseded(&made.prepared.manifest).await?;
                continue;
            }
            self.record_live(&made.prepared.manifest).await?;
            // A crash before the line above leaves a visible pending row, which `finish_pending` finishes.
            announce(&made.prepared.manifest, started);
            return Ok(Published { manifest: made.prepared.manifest, changed: true });
        }
        Err(PublishError::Contended)
    }

    /// One consistent state of the definitions and of what was published of them.
    async fn load(&self, environment_id: &str) -> Result<Loaded, PublishError> {
        let mut tx = self.db.read().await?;
        let snapshot =
            load_environment_in(&mut tx, environment_id).await.map_err(|error| match error {
                ApiError::NotFound { .. } => {
                    PublishError::UnknownEnvironment(environment_id.to_owned())
                }
                ApiError::Internal(cause) => PublishError::Internal(cause),
                other => PublishError::Internal(anyhow::anyhow!(other)),
            })?;
        Ok(Loaded {
            snapshot: Arc::new(snapshot),
            phases: publications::load_phases(&mut tx, environment_id).await?,
            current: publications::find_current(&mut tx, environment_id).await?,
            highest: publications::highest_generation(&mut tx, environment_id).await?,
        })
    }

    async fn record_pending(&self, made: &Made, author: &str) -> Result<bool, PublishError> {
        let manifest = &made.prepared.manifest;
        let mut tx = self.db.write().await?;
        let new = NewPublication {
            author,
            revision: made.revision,
            content: &made.content,
            rollback_of: made.rollback_of,
            prepared: &made.prepared,
            created_at: made.created_at,
        };
        if !publications::insert_pending(&mut tx, &new).await? {
            return Ok(false);
        }
        for (experiment_id, phase) in &made.new_phases {
            let (environment, generation) = (&manifest.environment, manifest.generation);
            publications::record_phase(&mut tx, environment, experiment_id, *phase, generation)
                .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn record_live(&self, manifest: &Manifest) -> Result<(), PublishError> {
        let mut tx = self.db.write().await?;
        let now = Timestamp::now();
        publications::mark_live(&mut tx, &manifest.environment, manifest.generation, now).await?;
        Ok(tx.commit().await?)
    }

    async fn record_superseded(&self, manifest: &Manifest) -> Result<(), PublishError> {
        let mut tx = self.db.write().await?;
        publications::mark_superseded(&mut tx, &manifest.environment, manifest.generation).await?;
        Ok(tx.commit().await?)
    }

    /// Notes that the current publication is also the one of a later revision.
    async fn confirm(&self, made: &Made, current: &Publication) -> Result<(), PublishError> {
        if current.revision >= made.revision {
            return Ok(());
        }
        let (environment, generation) = (&current.environment_id, current.generation);
        let mut tx = self.db.write().await?;
        publications::confirm_revision(&mut tx, environment, generation, made.revision).await?;
        Ok(tx.commit().await?)
    }
}

/// What a publication is made of.
struct Loaded {
    snapshot: Arc<EnvironmentSnapshot>,
    phases: plan::Phases,
    /// The newest live publication.
    current: Option<Publication>,
    /// The highest generation that the database knows.
    highest: u64,
}

impl Loaded {
    /// The current publication, if it has the same content and is what the store points at.
    fn unchanged(&self, made: &Made, highest_in_store: u64) -> Option<&Publication> {
        self.current
            .as_ref()
            .filter(|current| current.content == made.content)
            // Under a new key everything is signed again, but for what was rolled back: that would undo it.
            .filter(|current| {
                current.rollback_of.is_some()
                    || current.manifest.key_id == made.prepared.manifest.key_id
            })
            .filter(|current| current.generation == highest_in_store)
    }
}

fn announce(manifest: &Manifest, started: Instant) {
    metrics::counter!("sortition_publications_total").increment(1);
    metrics::histogram!("sortition_publish_duration_seconds")
        .record(started.elapsed().as_secs_f64());
    tracing::info!(
        environment = manifest.environment,
        generation = manifest.generation,
        size_bytes = manifest.size,
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "published"
    );
}
