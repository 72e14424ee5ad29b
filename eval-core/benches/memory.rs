//! Memory that a loaded config holds besides its blob, and the most that loading it takes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops when its set-up is wrong, and prints"
)]
#![allow(clippy::wildcard_imports, reason = "definitions name nearly every type of the module")]
#![allow(
    clippy::allow_attributes,
    reason = "whether a benchmark's items count as documented depends on the harness"
)]

#[path = "../tests/support/counting.rs"]
mod counting;
#[path = "../tests/support/mod.rs"]
mod support;
mod typical;

use counting::{Counting, measure};
use eval_core::{blob, compile};

#[global_allocator]
static ALLOC: Counting = Counting;

fn main() {
    for n in [1000, 10_000] {
        let bytes = blob::encode(&compile(&typical::many(n)).unwrap(), 1, 1);
        let (config, memory) = measure(|| blob::decode(&bytes).unwrap().1);
        println!(
            "config of {n} experiments: blob {} bytes, {} bytes kept besides it ({:.2} × the blob in all), {} bytes at most \
             while loading, {} allocations, {} keys",
            bytes.len(),
            memory.kept_bytes,
            (bytes.len() + memory.kept_bytes) as f64 / bytes.len() as f64,
            memory.peak_bytes,
            memory.n_allocations,
            config.n_keys()
        );
    }
}
