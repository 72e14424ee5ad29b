//! One decision, all decisions of a unit, loading and writing a config.

#![expect(clippy::unwrap_used, reason = "a benchmark stops when its set-up is wrong")]
#![allow(clippy::wildcard_imports, reason = "definitions name nearly every type of the module")]
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::allow_attributes,
    reason = "whether a benchmark's items count as documented depends on the harness"
)]

#[path = "../tests/support/mod.rs"]
mod support;
mod typical;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use eval_core::{CompiledConfig, Context, Decision, Request, blob, compile};
use std::sync::LazyLock;
use support::random::Rng;
use typical::{full_layers, half_matching, many, panel, panels, single};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

static SINGLE: LazyLock<CompiledConfig<'static>> = LazyLock::new(|| compile(&single()).unwrap());
static THOUSAND: LazyLock<CompiledConfig<'static>> =
    LazyLock::new(|| compile(&many(1000)).unwrap());
static TEN_THOUSAND: LazyLock<CompiledConfig<'static>> =
    LazyLock::new(|| compile(&many(10_000)).unwrap());
static LAYERS: LazyLock<CompiledConfig<'static>> =
    LazyLock::new(|| compile(&full_layers(50, 20)).unwrap());

/// Looks up all that a decision can say of a key. What is looked up is shown by reference: moving it is not evaluation.
fn read(decision: &Decision<'_>) {
    black_box(&decision.variant());
    black_box(&decision.value_bytes());
    black_box(&decision.reason());
    black_box(&decision.exposure());
}

/// A pass over 1 000 prepared contexts; the counter turns it into decisions per second.
fn decisions(bencher: Bencher<'_, '_>, users: &[Context<'static>]) {
    bencher.counter(ItemsCount::new(users.len())).bench_local(|| {
        for user in users {
            read(&Request::new(&SINGLE, user, None, 0).evaluate(black_box("checkout-cta-00000")));
        }
    });
}

/// One experiment with three conditions and three variants, over users of whom half match; all of the answer is read.
#[divan::bench]
fn one_decision_x1000(bencher: Bencher<'_, '_>) {
    decisions(bencher, &half_matching(1000));
}

/// The same for users who all match.
#[divan::bench]
fn one_matching_decision_x1000(bencher: Bencher<'_, '_>) {
    let mut rng = Rng(7);
    let users: Vec<Context<'static>> = (0..1000).map(|_| panel(&mut rng)).collect();
    decisions(bencher, &users);
}

fn all_decisions(
    bencher: Bencher<'_, '_>,
    config: &'static CompiledConfig<'static>,
    take: impl Fn(&Decision<'_>) + Copy,
) {
    let users = panels();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % users.len();
        Request::new(config, &users[at], None, 0).evaluate_all(take);
    });
}

/// Every experiment for one user; all of every answer is read.
#[divan::bench]
fn all_of_1_000(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &THOUSAND, read);
}

/// The same.
#[divan::bench]
fn all_of_10_000(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &TEN_THOUSAND, read);
}

/// The same, without looking anything up.
#[divan::bench]
fn all_of_10_000_unread(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &TEN_THOUSAND, |decision| {
        black_box(decision);
    });
}

/// Layers whose experiments share every bucket between them; all of every answer is read.
#[divan::bench]
fn all_of_50_full_layers_of_20(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &LAYERS, read);
}

/// The same, without looking anything up.
#[divan::bench]
fn all_of_50_full_layers_of_20_unread(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &LAYERS, |decision| {
        black_box(decision);
    });
}

#[divan::bench(args = [1000, 10_000])]
fn compile_config(bencher: Bencher<'_, '_>, n: usize) {
    let source = many(n);
    bencher.bench_local(|| compile(black_box(&source)));
}

#[divan::bench(args = [1000, 10_000])]
fn encode(bencher: Bencher<'_, '_>, n: usize) {
    let config = compile(&many(n)).unwrap();
    bencher.bench_local(|| blob::encode(black_box(&config), 1, 1));
}

#[divan::bench(args = [1000, 10_000])]
fn decode(bencher: Bencher<'_, '_>, n: usize) {
    let bytes = blob::encode(&compile(&many(n)).unwrap(), 1, 1);
    bencher.bench_local(|| blob::decode(black_box(&bytes)).map(|(_, config)| config.n_keys()));
}

fn main() {
    divan::main();
}
