//! How many streams are open, and of which environments.
//!
//! A stream that ends gives its place back. One whose end nobody noticed (Cloudflare may drop a request without running what is left of
//! it) stops being counted a while after it was last advanced.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::feed::HEARTBEAT_MS;
use crate::sorted::SortedMap;

/// Milliseconds without being advanced after which a stream counts as gone. A Worker's streams are advanced all the time, but for two reads
/// of the store of five seconds each.
const GONE_MS: i64 = if cfg!(target_arch = "wasm32") { 12_000 } else { 3 * HEARTBEAT_MS };

/// The open streams of a process or isolate.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    open: Mutex<Open>,
    /// Number of open streams, for a look without the lock.
    n_open: AtomicUsize,
    n_opened: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    /// Environment of each stream, and when it was last advanced.
    streams: SortedMap<u64, (Arc<str>, i64)>,
    /// Number of an environment's streams, and when one of them was last advanced.
    environments: SortedMap<Arc<str>, (usize, i64)>,
}

impl Open {
    fn insert(&mut self, id: u64, environment: &str, now_ms: i64) {
        let environment: Arc<str> = environment.into();
        match self.environments.get_mut(&environment) {
            Some((n, _)) => *n += 1,
            None => self.environments.insert(environment.clone(), (1, now_ms)),
        }
        self.streams.insert(id, (environment, now_ms));
        self.touch(id, now_ms);
    }

    fn touch(&mut self, id: u64, now_ms: i64) {
        if let Some((environment, seen_at_ms)) = self.streams.get_mut(&id) {
            *seen_at_ms = now_ms;
            if let Some((_, seen_at_ms)) = self.environments.get_mut(environment) {
                *seen_at_ms = now_ms;
            }
        }
    }

    fn remove(&mut self, id: u64) {
        let Some((environment, _)) = self.streams.remove(&id) else { return };
        if let Some((n, _)) = self.environments.get_mut(&environment) {
            *n -= 1;
            if *n == 0 {
                self.environments.remove(&environment);
            }
        }
    }

    fn remove_gone(&mut self, now_ms: i64) {
        let gone = self.streams.iter().filter(|(_, (_, seen_at_ms))| is_gone(*seen_at_ms, now_ms));
        let gone: Vec<u64> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.remove(id);
        }
    }
}

fn is_gone(seen_at_ms: i64, now_ms: i64) -> bool {
    (now_ms - seen_at_ms).abs() >= GONE_MS
}

impl Slots {
    /// The state, after which [`n_open`](Self::n_open) is set anew.
    fn change<T>(&self, change: impl FnOnce(&mut Open) -> T) -> T {
        let mut open = self.lock();
        let result = change(&mut open);
        self.n_open.store(open.streams.len(), Ordering::Relaxed);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, if there is one.
    pub(crate) fn take(
        slots: &Arc<Self>,
        environment: &str,
        max: usize,
        now_ms: i64,
    ) -> Option<Slot> {
        let id = slots.change(|open| {
            if open.streams.len() >= max {
                open.remove_gone(now_ms);
            }
            (open.streams.len() < max).then(|| {
                let id = slots.n_opened.fetch_add(1, Ordering::Relaxed);
                open.insert(id, environment, now_ms);
                id
            })
        })?;
        Some(Slot { slots: slots.clone(), id })
    }

    /// Streams that are open.
    pub(crate) fn len(&self) -> usize {
        self.n_open.load(Ordering::Relaxed)
    }

    /// Streams that were opened since the start.
    pub(crate) fn n_opened(&self) -> u64 {
        self.n_opened.load(Ordering::Relaxed)
    }

    /// Streams of an environment; 0 when nobody reads them any more.
    pub(crate) fn count(&self, environment: &str, now_ms: i64) -> usize {
        if self.len() == 0 {
            return 0;
        }
        match self.lock().environments.get(environment) {
            Some((n, seen_at_ms)) if !is_gone(*seen_at_ms, now_ms) => *n,
            _ => 0,
        }
    }

    /// Environments of which streams are open.
    pub(crate) fn environments(&self) -> Vec<Arc<str>> {
        if self.len() == 0 {
            return Vec::new();
        }
        self.lock().environments.iter().map(|(id, _)| id.clone()).collect()
    }
}

/// The place of one stream; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    id: u64,
}

impl Slot {
    /// The stream is still read.
    pub(crate) fn touch(&self, now_ms: i64) {
        self.slots.lock().touch(self.id, now_ms);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.change(|open| open.remove(self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_at_the_end_or_after_nobody_reads() {
        let slots = Arc::new(Slots::default());
        let first = Slots::take(&slots, "a", 2, 0).unwrap();
        let second = Slots::take(&slots, "b", 2, 0).unwrap();
        assert!(Slots::take(&slots, "a", 2, 0).is_none());
        drop(first);
        let third = Slots::take(&slots, "a", 2, GONE_MS - 1).unwrap();
        assert_eq!((slots.count("a", GONE_MS), slots.count("b", GONE_MS)), (1, 0));
        let fourth = Slots::take(&slots, "a", 2, GONE_MS).unwrap();
        drop(second);
        assert_eq!(slots.len(), 2, "what was given up already is not given back twice");
        assert_eq!(slots.environments(), ["a".into()]);
        third.touch(3 * GONE_MS);
        assert_eq!(slots.count("a", 3 * GONE_MS), 2);
        drop((third, fourth));
        assert_eq!((slots.len(), slots.n_opened()), (0, 4));
    }
}
