//! Configs of the past: one generation at a time, for look-ups of what a unit was assigned then.
//!
//! An archived generation is found by its numbered manifest, decoded and checked like any other, and never swapped in: what
//! requests are decided by stays what it is. One is kept, because people ask about the same generation many times in a row.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{self, HeldConfig, Pointer, Refusal};
use crate::environments::{Candidate, Environment};
use crate::trust::PublicKeys;

/// Milliseconds after which a generation that was missing or unreadable is looked for again.
const RETRY_MS: i64 = 5000;

/// A generation that a request needs.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose.
    pub environment: Arc<Environment>,
    /// Which.
    pub generation: u64,
}

impl Wanted {
    /// Key of the manifest in the object store.
    pub fn manifest_key(&self) -> String {
        format!("configs/{}/manifests/{:020}.json", self.environment.id(), self.generation)
    }

    /// The object that a manifest names; an error for one that is not this generation's, or that this edge may not take.
    pub fn object(&self, manifest: &[u8], keys: &PublicKeys) -> Result<Candidate, String> {
        let pointer = Pointer::read(manifest, self.environment.id()).map_err(|e| e.to_string())?;
        if pointer.generation != self.generation {
            return Err(format!("the manifest is of generation {}", pointer.generation));
        }
        let check = keys.check(&pointer).map_err(|refusal| refusal.to_string())?;
        Ok(Candidate { pointer, check })
    }
}

/// How loading a generation ended.
#[derive(Debug, Clone)]
pub enum Loaded {
    /// It is here.
    Held(Arc<HeldConfig>),
    /// The store does not have it.
    Missing,
    /// It could not be read, or is not what it should be.
    Unreadable(String),
}

impl Loaded {
    /// What becomes of an object's bytes, which have passed the candidate's check or not.
    pub fn from_object(
        wanted: &Wanted,
        candidate: &Candidate,
        bytes: Option<Vec<u8>>,
        is_authentic: bool,
    ) -> Self {
        let pointer = &candidate.pointer;
        let Some(bytes) = bytes else {
            return Self::Unreadable(format!(
                "the manifest names {}, which the store does not have",
                pointer.object
            ));
        };
        if let Some(check) = candidate.check.as_ref().filter(|_| !is_authentic) {
            let refusal = Refusal::Signature(check.key.id().to_owned());
            return Self::Unreadable(refusal.to_string());
        }
        match config::accept(None, pointer, bytes, wanted.environment.id()) {
            Ok(held) => Self::Held(Arc::new(held)),
            Err(refusal) => Self::Unreadable(refusal.to_string()),
        }
    }
}

#[derive(Debug)]
struct Kept {
    environment: String,
    generation: u64,
    loaded: Loaded,
    at_ms: i64,
}

/// The archived generation that was asked for last.
#[derive(Debug, Default)]
pub struct Archive(Mutex<Option<Kept>>);

impl Archive {
    /// What is known of a generation; `None` when it has to be loaded.
    pub fn get(&self, wanted: &Wanted, now_ms: i64) -> Option<Loaded> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref().filter(|kept| {
            kept.generation == wanted.generation && kept.environment == wanted.environment.id()
        })?;
        let is_final = matches!(kept.loaded, Loaded::Held(_));
        (is_final || (now_ms - kept.at_ms).abs() < RETRY_MS).then(|| kept.loaded.clone())
    }

    /// Keeps how loading a generation ended.
    pub fn put(&self, wanted: &Wanted, loaded: Loaded, now_ms: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept {
            environment: wanted.environment.id().to_owned(),
            generation: wanted.generation,
            loaded,
            at_ms: now_ms,
        });
    }
}
