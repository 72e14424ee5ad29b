//! Typical configs and users, for benchmarks.
//!
//! The model is that of the published evaluators' comparison: three variants with payloads of about 60 bytes, two or three
//! conditions on country, platform and plan, a salt of 15 random characters. Users of the bulk benchmarks match about
//! half of the experiments.
#![allow(
    clippy::allow_attributes,
    reason = "`expect` would ask every benchmark to leave something unused"
)]
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use crate::support::random::Rng;
use crate::support::{compare, config, experiment, layer, text, variants};
use eval_core::Context;
use eval_core::source::*;

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
    e.variants = variants(&[("control", 5000), ("treatment_a", 2500), ("treatment_b", 2500)]);
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

/// `n` typical experiments.
pub(crate) fn many(n: usize) -> ConfigSource {
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

/// One experiment with three conditions and three variants.
pub(crate) fn single() -> ConfigSource {
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

/// Layers whose experiments own every bucket between them.
pub(crate) fn full_layers(n_layers: usize, per_layer: u16) -> ConfigSource {
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

/// A user who matches about half of the experiments of [`many`], and [`single`].
pub(crate) fn panel(rng: &mut Rng) -> Context<'static> {
    Context::new()
        .unit("user_id", format!("user-{:015x}", rng.next() >> 4))
        .attribute("country", "US")
        .attribute("platform", "web")
        .attribute("plan", "pro")
}

/// Users of whom every second one fails one of the conditions of [`single`].
pub(crate) fn half_matching(n: usize) -> Vec<Context<'static>> {
    let mut rng = Rng(7);
    (0..n)
        .map(|i| {
            let mut context = panel(&mut rng);
            if i % 2 == 1 {
                let at = (i / 2) % 3;
                context.attributes[at].1 = ["BR", "android", "free"][at].into();
            }
            context
        })
        .collect()
}
