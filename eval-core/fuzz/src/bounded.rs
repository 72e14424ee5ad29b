//! No input makes the program hold much memory: inputs have at most 4 KB, so what is held stays far below the limit.

#[path = "../../tests/support/counting.rs"]
mod counting;

use counting::{Counting, measure};

#[global_allocator]
static ALLOC: Counting = Counting;

/// Most bytes that one input may have the program hold.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Runs a check within the limit.
pub(crate) fn run(check: impl FnOnce()) {
    let ((), memory) = measure(check);
    assert!(memory.peak_bytes <= MAX_BYTES, "{} bytes for one input", memory.peak_bytes);
}
