//! The environments that this process has been asked for: what is held of each, and how loading it goes.
//!
//! Loading is done by the shells, because it is I/O; who may load when is decided here. A request never waits for another request's
//! load: it reads what is held, and when nothing was ever tried it loads itself. Refreshing happens in the background, by one at a
//! time: a flag with a time stamp, so that a load whose isolate or task died is taken over instead of waited for.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use eval_core::{CompiledConfig, fingerprint};

use crate::client_form::{ClientForms, Found};
use crate::config::{self, HeldConfig, Pointer, Refusal};
use crate::copies::ConfigCopy;
use crate::service::ServiceConfig;
use crate::signing::SigningKeys;
use crate::sorted::SortedMap;
use crate::standing::{SharedStanding, Source, Standing};
use crate::trust::{PublicKeys, SignatureCheck};

/// Milliseconds that a read of the pointer may take. Together with the next one and the refresh interval it bounds how long a store that hung
/// is noticed to be back; the first request of a process or isolate waits for no more than the two.
pub const POINTER_TIMEOUT_MS: u32 = 2000;
/// Milliseconds that a read of a blob may take.
pub const BLOB_TIMEOUT_MS: u32 = 4000;
/// Milliseconds after which a load that never reported back is given up for dead: more than its two reads can take.
const LOAD_TIMEOUT_MS: i64 = 8000;
/// Milliseconds without a request after which an environment is not refreshed any more.
const IDLE_MS: i64 = 600_000;
/// Environments that are remembered. Keys of unknown environments take places too, and are forgotten first.
const MAX_ENVIRONMENTS: usize = 64;

/// One environment.
#[derive(Debug)]
pub struct Environment {
    id: String,
    held: RwLock<Option<Arc<HeldConfig>>>,
    standing: SharedStanding,
    status: Mutex<LoadStatus>,
    list_key: OnceLock<Option<[u8; 32]>>,
    signing_keys: OnceLock<Option<SigningKeys>>,
    client_forms: ClientForms,
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
    /// Where the held config came from.
    pub source: Option<Source>,
    /// The pointer of the held config.
    pub pointer: Option<Pointer>,
    /// Loads that failed since the process or isolate started, those that were refused among them.
    pub n_failed: u64,
    /// Pointers and blobs that were refused since then.
    pub n_refused: u64,
    /// Why no copy of the held config could be kept; cleared by one that could.
    pub copy_error: Option<String>,
    /// Last request for this environment.
    used_at_ms: i64,
}

impl LoadStatus {
    fn is_loading(&self, now_ms: i64) -> bool {
        self.loading_since_ms.is_some_and(|since| (now_ms - since).abs() < LOAD_TIMEOUT_MS)
    }

    /// Clocks may be set back, so a distance counts in both directions.
    fn is_due(&self, now_ms: i64, refresh_interval_ms: i64) -> bool {
        let is_old = self.checked_at_ms.is_none_or(|at| (now_ms - at).abs() >= refresh_interval_ms);
        is_old && !self.is_loading(now_ms) && now_ms - self.used_at_ms < IDLE_MS
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
    /// Fetch this object, check its signature and [`offer`](Environment::offer) it.
    Fetch(Candidate),
    /// Nothing: the held config is the newest, or the pointer was refused.
    Done,
}

/// A config that may be taken once its blob is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What names it.
    pub pointer: Pointer,
    /// What has to be checked of the blob first, by the shell.
    pub check: Option<Box<SignatureCheck>>,
}

impl Environment {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            held: RwLock::default(),
            standing: SharedStanding::default(),
            status: Mutex::default(),
            list_key: OnceLock::new(),
            signing_keys: OnceLock::new(),
            client_forms: ClientForms::default(),
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

    /// What a request for the client form is answered, while `config` is in use.
    pub(crate) fn client_form(&self, config: &HeldConfig, now_ms: i64, retry_ms: i64) -> Found {
        self.client_forms.find(config, now_ms, retry_ms)
    }

    /// Whether the client form of what is held is wanted and nobody is fetching it.
    pub fn is_client_form_due(&self, now_ms: i64, retry_ms: i64) -> bool {
        self.held().is_some_and(|held| self.client_forms.is_due(&held, now_ms, retry_ms))
    }

    /// Whether the client form of what is held is wanted and nobody is fetching it; if so, the caller has taken it on.
    pub fn begin_client_form(&self, now_ms: i64, retry_ms: i64) -> bool {
        self.held().is_some_and(|held| self.client_forms.begin(&held, now_ms, retry_ms))
    }

    /// The config in use, and what its client form must pass to be taken; `None` where there is none to fetch.
    pub fn client_form_candidate(
        &self,
        keys: &PublicKeys,
    ) -> Option<(Arc<HeldConfig>, Result<Candidate, Refusal>)> {
        let held = self.held()?;
        let pointer = held.client_form()?.clone();
        let candidate = keys.check(&pointer).map(|check| Candidate { pointer, check });
        Some((held, candidate))
    }

    /// The bytes of a config's client form, and whether they have passed the candidate's check. Takes them, or keeps what is held and
    /// says why.
    pub fn offer_client_form(
        &self,
        config: &HeldConfig,
        candidate: &Candidate,
        bytes: Vec<u8>,
        is_authentic: bool,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        self.client_forms.offer(config, candidate, bytes, is_authentic, now_ms)
    }

    /// The client form could not be read.
    pub fn fail_client_form(&self, now_ms: i64) {
        self.client_forms.fail(now_ms);
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

    /// How good the held config is.
    pub fn standing(&self) -> Standing {
        self.standing.get()
    }

    /// Whether the last look at the pointer is `min_age_ms` old and nobody is loading; if so, the caller has taken it on.
    pub fn begin_load(&self, now_ms: i64, min_age_ms: i64) -> bool {
        let mut status = self.lock();
        let is_old = status.checked_at_ms.is_none_or(|at| (now_ms - at).abs() >= min_age_ms);
        let begins = is_old && !status.is_loading(now_ms);
        if begins {
            status.loading_since_ms = Some(now_ms);
        }
        begins
    }

    /// The store answered the pointer (`None`: it has none). Says what to fetch.
    pub fn receive_pointer(&self, bytes: Option<&[u8]>, keys: &PublicKeys, now_ms: i64) -> Next {
        let Some(bytes) = bytes else {
            self.end_load(now_ms, |status| {
                status.absent = true;
                status.n_failed += 1;
                status.last_error =
                    Some("the store has no pointer for this environment".to_owned());
            });
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
                    self.confirm(None, now_ms);
                    Next::Done
                }
                _ => match keys.check(&pointer) {
                    Ok(check) => Next::Fetch(Candidate { pointer, check }),
                    Err(refusal) => {
                        self.refuse(Some(pointer.generation), &pointer.object, &refusal, now_ms);
                        Next::Done
                    }
                },
            },
        }
    }

    /// The bytes that the pointer led to, and whether they have passed the candidate's check. Takes them, or keeps what is held and
    /// remembers why.
    pub fn offer(
        &self,
        candidate: &Candidate,
        bytes: Vec<u8>,
        is_authentic: bool,
        now_ms: i64,
    ) -> bool {
        let pointer = &candidate.pointer;
        match self.take(candidate, bytes, is_authentic) {
            Ok(is_new) => {
                self.confirm(is_new.then_some(pointer), now_ms);
                true
            }
            Err(refusal) => {
                self.refuse(Some(pointer.generation), &pointer.object, &refusal, now_ms);
                false
            }
        }
    }

    /// What a copy holds may be taken where the store gave nothing. Says what has to be checked first.
    pub fn receive_copy(
        &self,
        copy: &ConfigCopy<'_>,
        keys: &PublicKeys,
    ) -> Result<Candidate, Refusal> {
        let pointer = copy.pointer.clone().of(&self.id)?;
        let check = keys.check(&pointer)?;
        Ok(Candidate { pointer, check })
    }

    /// Takes the config of a copy, unless something newer is held. The status of loading stays as it is: what the store said last is still what
    /// has to be mended.
    pub fn adopt(
        &self,
        candidate: &Candidate,
        bytes: Vec<u8>,
        is_authentic: bool,
        source: Source,
    ) -> Result<bool, Refusal> {
        let is_new = self.take(candidate, bytes, is_authentic)?;
        if is_new {
            let mut status = self.lock();
            status.source = Some(source);
            status.pointer = Some(candidate.pointer.clone());
            self.update_standing(&status);
        }
        Ok(is_new)
    }

    /// Whether it was newer than what is held, and is held now.
    fn take(
        &self,
        candidate: &Candidate,
        bytes: Vec<u8>,
        is_authentic: bool,
    ) -> Result<bool, Refusal> {
        if let Some(check) = candidate.check.as_ref().filter(|_| !is_authentic) {
            // A damaged blob says more by its checksum.
            config::accept(None, &candidate.pointer, bytes, &self.id)?;
            return Err(Refusal::Signature(check.key.id().to_owned()));
        }
        let held = self.held();
        let accepted = config::accept(held.as_ref(), &candidate.pointer, bytes, &self.id)?;
        let mut current = self.held.write().unwrap_or_else(PoisonError::into_inner);
        // Another load may have been faster with a newer one.
        let is_new =
            current.as_ref().is_none_or(|current| current.generation() < accepted.generation());
        if is_new {
            *current = Some(Arc::new(accepted));
        }
        Ok(is_new)
    }

    /// A copy of what is held, for those who keep one; `None` where nothing is held.
    pub fn copy(&self) -> Option<Vec<u8>> {
        let pointer = self.lock().pointer.clone()?;
        let held = self.held()?;
        // Between the two a newer one may have come: then the next copy is the right one.
        (held.generation() == pointer.generation)
            .then(|| ConfigCopy { pointer, blob: held.bytes() }.to_bytes())
    }

    /// How keeping a copy went.
    pub fn copied(&self, outcome: Result<(), String>) {
        self.lock().copy_error = outcome.err();
    }

    /// The store could not be read.
    pub fn fail(&self, error: &str, now_ms: i64) {
        self.end_load(now_ms, |status| {
            status.n_failed += 1;
            status.last_error = Some(error.to_owned());
        });
    }

    /// The store has what is held, which `pointer` names if it has just come.
    fn confirm(&self, pointer: Option<&Pointer>, now_ms: i64) {
        self.end_load(now_ms, |status| {
            status.confirmed_at_ms = Some(now_ms);
            status.absent = false;
            status.last_error = None;
            status.source = Some(Source::Store);
            if let Some(pointer) = pointer {
                status.pointer = Some(pointer.clone());
            }
        });
    }

    fn refuse(&self, generation: Option<u64>, object: &str, refusal: &Refusal, now_ms: i64) {
        self.end_load(now_ms, |status| {
            status.absent = false;
            status.n_failed += 1;
            status.n_refused += 1;
            status.last_error = Some(refusal.to_string());
            status.last_refused = Some(Refused {
                generation,
                object: object.to_owned(),
                reason: refusal.to_string(),
                at_ms: now_ms,
            });
        });
    }

    fn end_load(&self, now_ms: i64, change: impl FnOnce(&mut LoadStatus)) {
        let mut status = self.lock();
        status.checked_at_ms = Some(now_ms);
        status.loading_since_ms = None;
        change(&mut status);
        self.update_standing(&status);
    }

    fn update_standing(&self, status: &LoadStatus) {
        self.standing.set(Standing::of(status.source, status.last_error.is_some()));
    }
}

/// All environments that were asked for.
#[derive(Debug, Default)]
pub struct Environments(RwLock<SortedMap<String, Arc<Environment>>>);

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
        // Another request may have been quicker.
        if let Some(known) = environments.get(id) {
            return known.clone();
        }
        if environments.len() >= MAX_ENVIRONMENTS {
            let least = environments
                .iter()
                .map(|(_, environment)| environment)
                .min_by_key(|environment| {
                    (environment.held().is_some(), environment.lock().used_at_ms)
                })
                .map(|environment| environment.id.clone());
            if let Some(least) = least {
                environments.remove(&least);
            }
        }
        let environment = Arc::new(Environment::new(id));
        environments.insert(id.to_owned(), environment.clone());
        environment
    }

    /// All of them, by id.
    pub fn list(&self) -> Vec<Arc<Environment>> {
        let environments = self.0.read().unwrap_or_else(PoisonError::into_inner);
        environments.iter().map(|(_, environment)| environment.clone()).collect()
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
