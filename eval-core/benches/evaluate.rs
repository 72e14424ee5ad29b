//! One decision, all decisions of a unit, loading and writing a config; and how large configs are.
//!
//! The model is that of the published evaluators' comparison: three variants with payloads of about 60 bytes, two or three
//! conditions on country, platform and plan, a salt of 15 random characters. Users of the bulk benchmarks match about
//! half of the experiments.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops when its set-up is wrong, and prints"
)]
#![allow(clippy::wildcard_imports, reason = "definitions name nearly every type of the module")]
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::allow_attributes,
    reason = "whether a benchmark's items count as documented depends on the harness"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use eval_core::source::*;
use eval_core::{CompiledConfig, Context, Request, blob, compile};
use std::sync::LazyLock;
use support::random::Rng;
use support::{compare, config, experiment, layer, text};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const COUNTRIES: [&str; 10] = ["US", "CA", "GB", "DE", "FR", "BR", "IN", "JP", "AU", "MX"];
const PLATFORMS: [&str; 3] = ["web", "ios", "android"];
const PLANS: [&str; 4] = ["pro", "free", "team", "trial"];
const WORDS: [&str; 40] = [
    "checkout", "pricing", "signup", "search", "banner", "header", "footer", "hero", "nudge",
    "cta", "trial", "upsell", "ranking", "feed", "profile", "invite", "share", "cart", "coupon",
    "billing", "onboard", "tooltip", "modal", "sidebar", "email", "push", "retry", "cache",
    "video", "player", "music", "maps", "route", "price", "review", "rating", "filter", "sort",
    "layout", "theme",
];

fn payload(rng: &mut Rng) -> String {
    let words = [rng.pick(&WORDS), rng.pick(&WORDS), rng.pick(&WORDS)].join(" ");
    let color = rng.below(1 << 24);
    format!(
        "{{\"title\":\"{words}\",\"color\":\"#{color:06x}\",\"size\":{},\"badge\":{}}}",
        8 + rng.below(56),
        rng.chance(50)
    )
}

fn some_of(
    rng: &mut Rng,
    first: Option<&'static str>,
    all: &[&'static str],
    n: usize,
) -> Vec<Literal> {
    let mut picked: Vec<&str> = first.into_iter().collect();
    while picked.len() < n {
        let next = rng.pick(all);
        if !picked.contains(&next) {
            picked.push(next);
        }
    }
    picked.into_iter().map(text).collect()
}

fn typical(rng: &mut Rng, key: &str) -> ExperimentSource {
    let mut e = experiment(key);
    e.salt =
        (0..15).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[rng.below(32)])).collect();
    e.variants =
        support::variants(&[("control", 5000), ("treatment_a", 2500), ("treatment_b", 2500)]);
    for variant in &mut e.variants {
        variant.value = payload(rng);
    }
    let us = rng.chance(75).then_some("US");
    let n_countries = 2 + rng.below(3);
    let web = rng.chance(80).then_some("web");
    let n_platforms = 1 + rng.below(2);
    let mut parts = vec![
        compare("country", "in", some_of(rng, us, &COUNTRIES[1..], n_countries)),
        compare("platform", "in", some_of(rng, web, &PLATFORMS[1..], n_platforms)),
    ];
    if rng.chance(50) {
        let plan = if rng.chance(67) { "pro" } else { rng.pick(&PLANS[1..]) };
        parts.push(compare("plan", "eq", vec![text(plan)]));
    }
    e.targeting = Some(Condition::All(parts));
    e
}

fn many(n: usize) -> ConfigSource {
    let mut rng = Rng(42);
    let mut source = config();
    source.experiments = (0..n)
        .map(|i| {
            let key = format!("{}-{}-{i:05}", rng.pick(&WORDS), rng.pick(&WORDS));
            typical(&mut rng, &key)
        })
        .collect();
    source
}

fn single() -> ConfigSource {
    let mut rng = Rng(1);
    let mut source = config();
    let mut e = typical(&mut rng, "checkout-cta-00000");
    e.targeting = Some(Condition::All(vec![
        compare("country", "in", vec![text("US"), text("CA")]),
        compare("platform", "in", vec![text("web"), text("ios")]),
        compare("plan", "eq", vec![text("pro")]),
    ]));
    source.experiments.push(e);
    source
}

fn full_layers(n_layers: usize, per_layer: u16) -> ConfigSource {
    let mut rng = Rng(5);
    let mut source = config();
    for l in 0..n_layers {
        source.layers.push(layer(&format!("layer-{l:03}")));
        let width = 10_000 / per_layer;
        for i in 0..per_layer {
            let mut e = typical(&mut rng, &format!("experiment-{l:03}-{i:03}"));
            e.layer = Some(format!("layer-{l:03}"));
            e.ranges = vec![BucketRange { lo: i * width, hi: (i + 1) * width }];
            e.targeting = None;
            source.experiments.push(e);
        }
    }
    source
}

fn panel(rng: &mut Rng) -> Context<'static> {
    Context::new()
        .unit("user_id", format!("user-{:015x}", rng.next() >> 4))
        .attribute("country", "US")
        .attribute("platform", "web")
        .attribute("plan", "pro")
}

static SINGLE: LazyLock<CompiledConfig<'static>> = LazyLock::new(|| compile(&single()).unwrap());
static THOUSAND: LazyLock<CompiledConfig<'static>> =
    LazyLock::new(|| compile(&many(1000)).unwrap());
static TEN_THOUSAND: LazyLock<CompiledConfig<'static>> =
    LazyLock::new(|| compile(&many(10_000)).unwrap());
static LAYERS: LazyLock<CompiledConfig<'static>> =
    LazyLock::new(|| compile(&full_layers(50, 20)).unwrap());

/// A pass over 1 000 prepared contexts; the counter turns it into decisions per second.
fn decisions(bencher: Bencher<'_, '_>, users: &[Context<'static>]) {
    bencher.counter(ItemsCount::new(users.len())).bench_local(|| {
        let mut n_enrolled = 0u32;
        for user in users {
            let decision = black_box(
                Request::new(&SINGLE, user, None, 0).evaluate(black_box("checkout-cta-00000")),
            );
            n_enrolled += u32::from(decision.enrolled);
        }
        n_enrolled
    });
}

/// One experiment with three conditions and three variants, over users of whom half match.
#[divan::bench]
fn one_decision_x1000(bencher: Bencher<'_, '_>) {
    let mut rng = Rng(7);
    let users: Vec<Context<'static>> = (0..1000)
        .map(|i| {
            let mut context = panel(&mut rng);
            if i % 2 == 1 {
                let at = (i / 2) % 3;
                context.attributes[at].1 = ["BR", "android", "free"][at].into();
            }
            context
        })
        .collect();
    decisions(bencher, &users);
}

/// The same for users who all match.
#[divan::bench]
fn one_matching_decision_x1000(bencher: Bencher<'_, '_>) {
    let mut rng = Rng(7);
    let users: Vec<Context<'static>> = (0..1000).map(|_| panel(&mut rng)).collect();
    decisions(bencher, &users);
}

fn all_decisions(bencher: Bencher<'_, '_>, config: &'static CompiledConfig<'static>) {
    let mut rng = Rng(99);
    let users: Vec<Context<'static>> = (0..16).map(|_| panel(&mut rng)).collect();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % users.len();
        let mut n_enrolled = 0u32;
        Request::new(config, &users[at], None, 0).evaluate_all(|decision| {
            n_enrolled += u32::from(black_box(decision).enrolled);
        });
        n_enrolled
    });
}

#[divan::bench]
fn all_of_1_000(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &THOUSAND);
}

#[divan::bench]
fn all_of_10_000(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &TEN_THOUSAND);
}

#[divan::bench]
fn all_of_50_full_layers_of_20(bencher: Bencher<'_, '_>) {
    all_decisions(bencher, &LAYERS);
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

fn brotli(bytes: &[u8]) -> usize {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 24,
        size_hint: bytes.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params).unwrap();
    out.len()
}

fn main() {
    for n in [1000, 10_000] {
        let bytes = blob::encode(&compile(&many(n)).unwrap(), 1, 1);
        let zstd = zstd::encode_all(&bytes[..], 19).unwrap().len();
        println!(
            "blob of {n} experiments: {} bytes raw, {zstd} zstd -19, {} brotli 11",
            bytes.len(),
            brotli(&bytes)
        );
    }
    divan::main();
}
