//! An allocator that counts: how much memory is held, how much was at most, how often some was asked for.

#![allow(clippy::allow_attributes, reason = "not every program that counts reads every counter")]
#![allow(dead_code, reason = "as above")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counted. One measurement at a time: the counters are those of the process.
pub(crate) struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static N_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// What happened during a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Bytes that are held now and were not before.
    pub(crate) kept_bytes: usize,
    /// Most bytes that were held at one time, above those held before.
    pub(crate) peak_bytes: usize,
    pub(crate) n_allocations: usize,
}

/// Runs something and says what memory it asked for.
pub(crate) fn measure<T>(run: impl FnOnce() -> T) -> (T, Memory) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let n_before = N_ALLOCATIONS.load(Relaxed);
    let answer = run();
    let memory = Memory {
        kept_bytes: HELD.load(Relaxed).saturating_sub(before),
        peak_bytes: MOST.load(Relaxed).saturating_sub(before),
        n_allocations: N_ALLOCATIONS.load(Relaxed) - n_before,
    };
    (answer, memory)
}

fn took(size: usize) {
    N_ALLOCATIONS.fetch_add(1, Relaxed);
    let held = HELD.fetch_add(size, Relaxed) + size;
    MOST.fetch_max(held, Relaxed);
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call is handed on as it came")]
// SAFETY: all memory comes from and goes back to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are those of this method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are those of this method.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_sub(layout.size(), Relaxed);
        took(size);
        // SAFETY: the caller's promises are those of this method.
        unsafe { System.realloc(memory, layout, size) }
    }
}
