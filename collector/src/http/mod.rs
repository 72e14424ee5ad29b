//! The HTTP service: bodies, answers, and what the handlers share.

pub(crate) mod body;
pub(crate) mod health;
pub(crate) mod ingest;
mod problem;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use problem::Problem;

use crate::keys::{ConfigKeys, KeyDirectory};
use crate::pseudonym::PseudonymKeys;
use crate::wal::{Load, WalHandle};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) keys: Arc<dyn KeyDirectory>,
    /// The same keys, where they come from configs: what readiness reports.
    pub(crate) configs: Option<Arc<ConfigKeys>>,
    pub(crate) pseudonyms: Arc<PseudonymKeys>,
    pub(crate) log: WalHandle,
    pub(crate) load: Arc<Load>,
    pub(crate) limits: Limits,
    /// Memory for bodies under way, in KiB.
    pub(crate) memory: Arc<Semaphore>,
    /// Bodies being parsed at the same time: more than cores would only wait for each other.
    pub(crate) parsing: Arc<Semaphore>,
    pub(crate) shutdown: CancellationToken,
}

/// Limits in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of a body as sent.
    pub(crate) body: usize,
    /// Of a body once decompressed.
    pub(crate) decoded: usize,
    /// Of the log: from here on nothing more is accepted.
    pub(crate) wal: u64,
}
