//! The client form of a config at the edge: fetched when a client key asks for it, kept, and passed on as it is.
//!
//! Publishing makes it and the pointer names it. An edge that nobody asks never fetches one. The first request for it waits for the
//! fetch, as the first request of an environment waits for its config; from then on a newer one is fetched in the background, and
//! the previous one is answered meanwhile. Where none can be had, the answer is 503, and SDKs ask the edge to decide instead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eval_core::blob;

use crate::config::{HeldConfig, Refusal};
use crate::environments::Candidate;

/// Milliseconds after which a fetch that never reported back is given up for dead.
const LOAD_TIMEOUT_MS: i64 = 30_000;
/// Milliseconds without a request after which newer forms are not fetched any more.
const IDLE_MS: i64 = 600_000;

/// What a browser may hold of a config.
#[derive(Debug)]
pub(crate) struct ClientForm {
    /// The blob.
    pub(crate) bytes: Vec<u8>,
    /// Generation of the config that it was made of.
    pub(crate) generation: u64,
    /// Entity tag, in quotes.
    pub(crate) etag: String,
}

impl ClientForm {
    /// Checks that the bytes are the client form of this config. What is no client form must never get here: it goes to browsers.
    fn read(bytes: Vec<u8>, config: &HeldConfig) -> Result<Self, Refusal> {
        let (header, form) = blob::decode(&bytes).map_err(Refusal::Damaged)?;
        if !form.is_client_form() {
            return Err(Refusal::NoClientForm);
        }
        if header.environment != config.config().environment() {
            return Err(Refusal::OtherEnvironment(header.environment));
        }
        let generation = config.generation();
        if header.generation != generation {
            return Err(Refusal::OtherGeneration { pointer: generation, blob: header.generation });
        }
        let etag = format!("\"{generation}.{:016x}\"", xxhash_rust::xxh3::xxh3_64(&bytes));
        Ok(Self { bytes, generation, etag })
    }
}

/// What there is for a request.
#[derive(Debug)]
pub(crate) enum Found {
    /// The form of the config in use, or the one before it while the newer is fetched.
    Form(Arc<ClientForm>),
    /// Nothing yet: fetch it, then ask again.
    Untried,
    /// Nothing, and a fetch failed just now, or publishing made none.
    Unavailable,
}

/// The client form of one environment.
#[derive(Debug, Default)]
pub(crate) struct ClientForms(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: Option<Arc<ClientForm>>,
    /// Last request for it; `None` when nobody ever asked.
    used_at_ms: Option<i64>,
    loading_since_ms: Option<i64>,
    failed_at_ms: Option<i64>,
}

impl State {
    /// Whether the form of a generation should be fetched, by whoever comes first.
    fn is_due(&self, generation: u64, now_ms: i64, retry_ms: i64) -> bool {
        let is_within = |at: Option<i64>, ms: i64| at.is_some_and(|at| (now_ms - at).abs() < ms);
        self.held.as_ref().is_none_or(|held| held.generation != generation)
            && is_within(self.used_at_ms, IDLE_MS)
            && !is_within(self.failed_at_ms, retry_ms)
            && !is_within(self.loading_since_ms, LOAD_TIMEOUT_MS)
    }
}

impl ClientForms {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request for the client form of `config` is answered.
    pub(crate) fn find(&self, config: &HeldConfig, now_ms: i64, retry_ms: i64) -> Found {
        let mut state = self.lock();
        state.used_at_ms = Some(now_ms);
        if let Some(held) = &state.held {
            return Found::Form(held.clone());
        }
        let has_failed = state.failed_at_ms.is_some_and(|at| (now_ms - at).abs() < retry_ms);
        if has_failed || config.client_form().is_none() {
            Found::Unavailable
        } else {
            // Not `is_due`: a fetch that another request is at is never waited for.
            Found::Untried
        }
    }

    /// Whether the form of `config` is wanted and nobody is fetching it.
    pub(crate) fn is_due(&self, config: &HeldConfig, now_ms: i64, retry_ms: i64) -> bool {
        config.client_form().is_some() && self.lock().is_due(config.generation(), now_ms, retry_ms)
    }

    /// Whether the form of `config` is wanted and nobody is fetching it; if so, the caller has taken it on.
    pub(crate) fn begin(&self, config: &HeldConfig, now_ms: i64, retry_ms: i64) -> bool {
        let mut state = self.lock();
        let is_due =
            config.client_form().is_some() && state.is_due(config.generation(), now_ms, retry_ms);
        if is_due {
            state.loading_since_ms = Some(now_ms);
        }
        is_due
    }

    /// The bytes of the object that `config` names, and whether they have passed the candidate's check. Takes them, or keeps what is
    /// held and says why.
    pub(crate) fn offer(
        &self,
        config: &HeldConfig,
        candidate: &Candidate,
        bytes: Vec<u8>,
        is_authentic: bool,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let refused = candidate.check.as_ref().filter(|_| !is_authentic);
        let read = match refused {
            Some(check) => Err(Refusal::Signature(check.key.id().to_owned())),
            None => ClientForm::read(bytes, config),
        };
        match read {
            Ok(form) => {
                let mut state = self.lock();
                state.loading_since_ms = None;
                state.failed_at_ms = None;
                // Another fetch may have been faster with a newer one.
                if state.held.as_ref().is_none_or(|held| held.generation < form.generation) {
                    state.held = Some(Arc::new(form));
                }
                Ok(())
            }
            Err(refusal) => {
                self.fail(now_ms);
                Err(refusal)
            }
        }
    }

    /// The object could not be read.
    pub(crate) fn fail(&self, now_ms: i64) {
        let mut state = self.lock();
        state.loading_since_ms = None;
        state.failed_at_ms = Some(now_ms);
    }
}
