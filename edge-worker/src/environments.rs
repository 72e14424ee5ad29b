//! The environments that this process has been asked for: what is held of each, and how loading it goes.
//!
//! Loading is done by the shells, because it is I/O; who may load when is decided here. A request never waits for another request's
//! load: it reads what is held, and when nothing was ever tried it loads itself. Refreshing happens in the background, by one at a
//! time: a flag with a time stamp, so that a load whose isolate or task died is taken over instead of waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use eval_core::{CompiledConfig, fingerprint};

use crate::config::{self, HeldConfig, Pointer, Refusal};
use crate::service::ServiceConfig;
use crate::signing::SigningKeys;

/// Milliseconds after which a load that never reported back is given up for dead.
const LOAD_TIMEOUT_MS: i64 = 30_000;
/// Milliseconds without a request after which an environment is not refreshed any more.
const IDLE_MS: i64 = 600_000;
/// Environments that are remembered. Keys of unknown environments take places too, and are forgotten first.
const MAX_ENVIRONMENTS: usize = 64;

/// One environment.
#[derive(Debug)]
pub struct Environment {
    id: String,
    held: RwLock<Option<Arc<HeldConfig>>>,
    status: Mutex<LoadStatus>,
    list_key: OnceLock<Option<[u8; 32]>>,
    signing_keys: OnceLock<Option<SigningKeys>>,
}

/// How loading an environment went.
#[derive(Debug, Clone, Default)]
pub struct LoadStatus {
    /// When a load last ended, whatever its end; `None` before the first.
    pub checked_at_ms: Option<i64>,
    /// When a load last found the pointer in order.
    pub confirmed_at_ms: Option<i64>,
    /// Since when a load is under way.
    pub loading_since_ms: Option<i64>,
    /// The store answered that it has no such environment.
    pub absent: bool,
    /// Why the last load failed; cleared by one that does not.
    pub last_error: Option<String>,
    /// The last pointer or blob that was refused.
    pub last_refused: Option<Refused>,
    /// Last request for this environment.
    used_at_ms: i64,
}

impl LoadStatus {
    /// Clocks may be set back, so a distance counts in both directions.
    fn is_due(&self, now_ms: i64, refresh_interval_ms: i64) -> bool {
        let is_old = self.checked_at_ms.is_none_or(|at| (now_ms - at).abs() >= refresh_interval_ms);
        let is_loading =
            self.loading_since_ms.is_some_and(|since| (now_ms - since).abs() < LOAD_TIMEOUT_MS);
        is_old && !is_loading && now_ms - self.used_at_ms < IDLE_MS
    }
}

/// A refused pointer or blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Generation that the pointer named, where it could be read.
    pub generation: Option<u64>,
    /// Key of the object.
    pub object: String,
    /// Why.
    pub reason: String,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
}

/// What a pointer asks the loader to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Fetch this object and [`offer`](Environment::offer) it.
    Fetch(Pointer),
    /// Nothing: the held config is the newest, or the pointer was refused.
    Done,
}

impl Environment {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            held: RwLock::default(),
            status: Mutex::default(),
            list_key: OnceLock::new(),
            signing_keys: OnceLock::new(),
        }
    }

    /// The environment id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is held now.
    pub fn held(&self) -> Option<Arc<HeldConfig>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A copy of the status.
    pub fn status(&self) -> LoadStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, LoadStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The secret for unit-id lists, when the config has lists and this edge has been given the secret.
    pub(crate) fn list_key(
        &self,
        settings: &ServiceConfig,
        config: &CompiledConfig<'_>,
    ) -> Option<[u8; 32]> {
        if !config.has_lists() {
            return None;
        }
        *self.list_key.get_or_init(|| Some(fingerprint::list_key(&settings.list_secret?, &self.id)))
    }

    /// The keys for cookies and tokens, when this edge has been given the secret.
    pub(crate) fn signing_keys(&self, settings: &ServiceConfig) -> Option<&SigningKeys> {
        self.signing_keys
            .get_or_init(|| Some(SigningKeys::derive(settings.list_secret.as_ref()?, &self.id)))
            .as_ref()
    }

    /// Whether no load has ended yet, so that the request has to load first.
    pub fn is_untried(&self) -> bool {
        self.lock().checked_at_ms.is_none()
    }

    /// Whether a refresh is due and nobody is at it.
    pub fn is_refresh_due(&self, now_ms: i64, refresh_interval_ms: i64) -> bool {
        self.lock().is_due(now_ms, refresh_interval_ms)
    }

    /// Whether a refresh is due and nobody is at it; if so, the caller has taken it on.
    pub fn begin_refresh(&self, now_ms: i64, refresh_interval_ms: i64) -> bool {
        let mut status = self.lock();
        let is_due = status.is_due(now_ms, refresh_interval_ms);
        if is_due {
            status.loading_since_ms = Some(now_ms);
        }
        is_due
    }

    /// The store answered the pointer (`None`: it has none). Says what to fetch.
    pub fn receive_pointer(&self, bytes: Option<&[u8]>, now_ms: i64) -> Next {
        let Some(bytes) = bytes else {
            let mut status = self.end_load(now_ms);
            status.absent = true;
            status.last_error = Some("the store has no pointer for this environment".to_owned());
            return Next::Done;
        };
        match Pointer::read(bytes, &self.id) {
            Err(refusal) => {
                self.refuse(None, &config::pointer_key(&self.id), &refusal, now_ms);
                Next::Done
            }
            Ok(pointer) => match self.held() {
                Some(held) if pointer.generation < held.generation() => {
                    let refusal =
                        Refusal::Older { offered: pointer.generation, held: held.generation() };
                    self.refuse(Some(pointer.generation), &pointer.object, &refusal, now_ms);
                    Next::Done
                }
                Some(held) if pointer.generation == held.generation() => {
                    self.confirm(now_ms);
                    Next::Done
                }
                _ => Next::Fetch(pointer),
            },
        }
    }

    /// The bytes that the pointer led to. Takes them, or keeps what is held and remembers why.
    pub fn offer(&self, pointer: &Pointer, bytes: Vec<u8>, now_ms: i64) -> bool {
        let held = self.held();
        match config::accept(held.as_ref(), pointer, bytes, &self.id) {
            Ok(accepted) => {
                let mut current = self.held.write().unwrap_or_else(PoisonError::into_inner);
                // Another load may have been faster with a newer one.
                if current
                    .as_ref()
                    .is_none_or(|current| current.generation() < accepted.generation())
                {
                    *current = Some(Arc::new(accepted));
                }
                drop(current);
                self.confirm(now_ms);
                true
            }
            Err(refusal) => {
                self.refuse(Some(pointer.generation), &pointer.object, &refusal, now_ms);
                false
            }
        }
    }

    /// The store could not be read.
    pub fn fail(&self, error: &str, now_ms: i64) {
        self.end_load(now_ms).last_error = Some(error.to_owned());
    }

    fn confirm(&self, now_ms: i64) {
        let mut status = self.end_load(now_ms);
        status.confirmed_at_ms = Some(now_ms);
        status.absent = false;
        status.last_error = None;
    }

    fn refuse(&self, generation: Option<u64>, object: &str, refusal: &Refusal, now_ms: i64) {
        let mut status = self.end_load(now_ms);
        status.absent = false;
        status.last_error = Some(refusal.to_string());
        status.last_refused = Some(Refused {
            generation,
            object: object.to_owned(),
            reason: refusal.to_string(),
            at_ms: now_ms,
        });
    }

    fn end_load(&self, now_ms: i64) -> MutexGuard<'_, LoadStatus> {
        let mut status = self.lock();
        status.checked_at_ms = Some(now_ms);
        status.loading_since_ms = None;
        status
    }
}

/// All environments that were asked for.
#[derive(Debug, Default)]
pub struct Environments(RwLock<BTreeMap<String, Arc<Environment>>>);

impl Environments {
    /// The environment of an id, made on first use.
    pub fn get(&self, id: &str, now_ms: i64) -> Arc<Environment> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let environment = known.unwrap_or_else(|| self.insert(id));
        environment.lock().used_at_ms = now_ms;
        environment
    }

    fn insert(&self, id: &str) -> Arc<Environment> {
        let mut environments = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if environments.len() >= MAX_ENVIRONMENTS && !environments.contains_key(id) {
            let least = environments
                .values()
                .min_by_key(|environment| {
                    (environment.held().is_some(), environment.lock().used_at_ms)
                })
                .map(|environment| environment.id.clone());
            if let Some(least) = least {
                environments.remove(&least);
            }
        }
        environments.entry(id.to_owned()).or_insert_with(|| Arc::new(Environment::new(id))).clone()
    }

    /// All of them, by id.
    pub fn list(&self) -> Vec<Arc<Environment>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Whether a text can be an environment id: it becomes part of an object key.
pub fn is_environment_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= eval_core::blob::MAX_ENVIRONMENT_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
