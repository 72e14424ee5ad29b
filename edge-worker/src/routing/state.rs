//! What routing remembers between requests: counters, and which origins have just failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sorted::SortedMap;

/// Failures in a row after which an origin is left alone, where there is another to go to.
const MAX_FAILURES: u32 = 3;
/// Milliseconds for which it is left alone.
const REST_MS: i64 = 10_000;
/// Origins that are remembered; configs name few.
const MAX_ORIGINS: usize = 1024;

/// What happened to routed requests since the process or isolate started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct RoutingCounters {
    /// Requests that were sent on to an origin, or answered from a cache.
    pub routed: u64,
    /// Answers that sent the client elsewhere.
    pub redirected: u64,
    /// Requests that went to control's origin because the variant's had failed.
    pub fell_back: u64,
    /// Requests for which no origin answered.
    pub failed: u64,
    /// Requests under a QA override.
    pub overridden: u64,
    /// Answers with decisions written into them.
    pub injected: u64,
    /// Pages that were to hold decisions and do not: they were encoded, or must not be changed.
    pub not_injected: u64,
    /// Answers taken from the edge's cache.
    pub cached: u64,
    /// Requests refused because they had gone in a circle.
    pub looped: u64,
}

#[derive(Debug, Default)]
pub(crate) struct RoutingState {
    pub(crate) routed: AtomicU64,
    pub(crate) redirected: AtomicU64,
    pub(crate) fell_back: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) overridden: AtomicU64,
    pub(crate) injected: AtomicU64,
    pub(crate) not_injected: AtomicU64,
    pub(crate) cached: AtomicU64,
    pub(crate) looped: AtomicU64,
    origins: Mutex<SortedMap<String, Failing>>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    n_in_a_row: u32,
    last_at_ms: i64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl RoutingState {
    pub(crate) fn counters(&self) -> RoutingCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RoutingCounters {
            routed: read(&self.routed),
            redirected: read(&self.redirected),
            fell_back: read(&self.fell_back),
            failed: read(&self.failed),
            overridden: read(&self.overridden),
            injected: read(&self.injected),
            not_injected: read(&self.not_injected),
            cached: read(&self.cached),
            looped: read(&self.looped),
        }
    }

    fn origins(&self) -> MutexGuard<'_, SortedMap<String, Failing>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an origin has failed so often just now that asking it would only make visitors wait.
    pub(crate) fn is_resting(&self, origin: &str, now_ms: i64) -> bool {
        self.origins().get(origin).is_some_and(|failing| {
            failing.n_in_a_row >= MAX_FAILURES && (now_ms - failing.last_at_ms).abs() < REST_MS
        })
    }

    pub(crate) fn record(&self, origin: &str, has_failed: bool, now_ms: i64) {
        let mut origins = self.origins();
        if !has_failed {
            origins.remove(origin);
            return;
        }
        if let Some(failing) = origins.get_mut(origin) {
            failing.n_in_a_row = failing.n_in_a_row.saturating_add(1);
            failing.last_at_ms = now_ms;
            return;
        }
        if origins.len() >= MAX_ORIGINS {
            origins.clear();
        }
        origins.insert(origin.to_owned(), Failing { n_in_a_row: 1, last_at_ms: now_ms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_rests_after_failures_in_a_row_and_is_tried_again() {
        let state = RoutingState::default();
        for at in 0..3 {
            assert!(!state.is_resting("https://o", at));
            state.record("https://o", true, at);
        }
        assert!(state.is_resting("https://o", 10_001));
        assert!(!state.is_resting("https://o", 10_002), "one request tries again");
        state.record("https://o", true, 10_002);
        assert!(state.is_resting("https://o", 10_003));
        state.record("https://o", false, 20_100);
        assert!(!state.is_resting("https://o", 20_101));
    }
}
