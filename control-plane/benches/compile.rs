//! From loaded definitions to the bytes of a blob, and the analysis plan beside it.

#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::allow_attributes,
    reason = "whether a benchmark's items count as documented depends on the harness"
)]

#[path = "../tests/publish/snapshot.rs"]
#[expect(unreachable_pub, reason = "shared with the tests")]
mod snapshot;

use control_plane::publish::{compile, plan};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use eval_core::blob;
use jiff::Timestamp;

const SIZES: [usize; 2] = [1_000, 10_000];

fn main() {
    divan::main();
}

/// Definitions → plain source.
#[divan::bench(args = SIZES)]
fn source(bencher: Bencher<'_, '_>, n_experiments: usize) {
    let snapshot = snapshot::environment(n_experiments);
    bencher
        .counter(ItemsCount::new(n_experiments))
        .bench(|| compile::source(black_box(&snapshot), None));
}

/// Definitions → config.
#[divan::bench(args = SIZES)]
fn compile_definitions(bencher: Bencher<'_, '_>, n_experiments: usize) {
    let snapshot = snapshot::environment(n_experiments);
    bencher
        .counter(ItemsCount::new(n_experiments))
        .bench(|| compile::compile(black_box(&snapshot), None));
}

/// Definitions → blob.
#[divan::bench(args = SIZES)]
fn compile_and_encode(bencher: Bencher<'_, '_>, n_experiments: usize) {
    let snapshot = snapshot::environment(n_experiments);
    bencher.counter(ItemsCount::new(n_experiments)).bench(|| {
        let config = compile::compile(black_box(&snapshot), None).expect("sound definitions");
        blob::encode(&config, 1, 0)
    });
}

/// Definitions → analysis plan as JSON.
#[divan::bench(args = SIZES)]
fn plan_as_json(bencher: Bencher<'_, '_>, n_experiments: usize) {
    let snapshot = snapshot::environment(n_experiments);
    let phases = plan::Phases::new();
    bencher.counter(ItemsCount::new(n_experiments)).bench(|| {
        let plan = plan::plan(black_box(&snapshot), &phases, 1, Timestamp::UNIX_EPOCH);
        serde_json::to_vec(&plan)
    });
}
