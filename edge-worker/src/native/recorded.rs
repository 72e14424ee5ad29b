//! What is recorded of each answer. The handles are found once: finding them by name takes longer than most decisions.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};

/// Statuses are below this.
const N_STATUSES: usize = 600;

/// Counters by status, and how long answers took. They belong to the recorder that was installed when the first of each kind was sent.
pub(super) struct Recorded {
    by_status: Vec<OnceLock<Counter>>,
    seconds: OnceLock<Histogram>,
}

impl Recorded {
    pub(super) fn new() -> Self {
        Self {
            by_status: (0..N_STATUSES).map(|_| OnceLock::new()).collect(),
            seconds: OnceLock::new(),
        }
    }

    /// An answer of this status was sent.
    pub(super) fn count(&self, status: u16) {
        if let Some(counter) = self.by_status.get(usize::from(status)) {
            let named = || metrics::counter!("edge_requests_total", "status" => status.to_string());
            counter.get_or_init(named).increment(1);
        }
    }

    /// A request took so long, without the time in which its body arrived.
    pub(super) fn time(&self, took: Duration) {
        self.seconds.get_or_init(|| metrics::histogram!("edge_request_seconds")).record(took);
    }
}
