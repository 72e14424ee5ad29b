//! One publication of an environment at a time within this process. Correctness does not need it
//! (other processes publish too); it saves work that would be thrown away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The turns of all environments.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>);

impl Turns {
    /// Waits for the environment's turn, which lasts until the guard is dropped.
    pub(super) async fn take(&self, environment_id: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(environment_id.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}
