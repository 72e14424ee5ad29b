//! What must hold of every config: agreement with the specification, stickiness, uniformity, exclusivity, independence,
//! ramps that only add, and bytes that depend on nothing but the definitions.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "test code: a wrong assumption should stop the test"
)]

mod support;

use eval_core::source::*;
use eval_core::{Context, Request, blob, compile};
use support::random::{Rng, context, source};
use support::*;

/// Seed of the randomised tests: fresh each time unless `SORTITION_TEST_SEED` names one. Printed, so that a failure can be repeated.
fn seed() -> u64 {
    let seed = std::env::var("SORTITION_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            use std::hash::{BuildHasher, Hasher};
            std::hash::RandomState::new().build_hasher().finish()
        });
    println!("SORTITION_TEST_SEED={seed}");
    seed
}

#[test]
fn decisions_are_those_of_the_specification_before_and_after_travelling() {
    let mut rng = Rng(seed());
    for round in 0..400 {
        let source = source(&mut rng);
        let compiled =
            compile(&source).unwrap_or_else(|error| panic!("round {round}: {error}\n{source:#?}"));
        let bytes = blob::encode(&compiled, 7, 1);
        let (header, config) = blob::decode(&bytes).unwrap();
        assert_eq!(
            (header.generation, header.environment.as_str()),
            (7, source.environment.as_str())
        );
        assert_eq!(config.faults(), []);
        assert_eq!(blob::encode(&config, 7, 1), bytes, "decoding and encoding is the identity");
        for _ in 0..20 {
            let context = context(&mut rng);
            let now = rng.below(4000) as i64;
            let keys: Vec<String> =
                config.keys().map(str::to_owned).chain(["nothing".to_owned()]).collect();
            let mut bulk = Vec::new();
            let mut bulk_request = Request::new(&config, &context, Some(&LIST_KEY), now);
            bulk_request.evaluate_all(|decision| bulk.push(*decision));
            let mut single = Request::new(&config, &context, Some(&LIST_KEY), now);
            for (at, key) in keys.iter().enumerate() {
                let decision = single.evaluate(key);
                let expected = oracle::evaluate(&source, key, &context, now);
                let got = oracle::Answer {
                    variant: decision.variant().map(str::to_owned),
                    enrolled: decision.enrolled(),
                    reason: decision.reason().as_str(),
                };
                assert_eq!(
                    got,
                    expected,
                    "{key} {context:?} at {now}\n{:#?}",
                    single.explain(key).1
                );
                assert_eq!(single.explain(key).0, decision);
                if let Some(bulk) = bulk.get(at) {
                    assert_eq!(*bulk, decision);
                }
            }
        }
    }
}

#[test]
fn the_order_of_definitions_does_not_matter() {
    let mut rng = Rng(seed());
    for _ in 0..100 {
        let mut source = source(&mut rng);
        let bytes = blob::encode(&compile(&source).unwrap(), 1, 2);
        source.experiments.reverse();
        source.flags.reverse();
        source.layers.reverse();
        source.segments.reverse();
        source.holdouts.reverse();
        source.sdk_keys.reverse();
        for e in &mut source.experiments {
            e.ranges.reverse();
        }
        assert_eq!(blob::encode(&compile(&source).unwrap(), 1, 2), bytes);
        let later = blob::encode(&compile(&source).unwrap(), 9, 99);
        assert_eq!(
            later[blob::HEADER_BYTES..],
            bytes[blob::HEADER_BYTES..],
            "only the header knows generation and time"
        );
    }
}

fn variant_of(source: &ConfigSource, key: &str, unit: &str) -> Option<String> {
    let config = compile(source).unwrap();
    let context = Context::new().unit("user_id", unit);
    let decision = Request::new(&config, &context, None, 0).evaluate(key);
    decision.enrolled().then(|| decision.variant().unwrap().to_owned())
}

/// Upper 0.1 % point of χ² with `df` degrees of freedom, by Wilson and Hilferty (1931); exact enough for a gate.
fn chi_squared_limit(df: f64) -> f64 {
    let t = 1.0 - 2.0 / (9.0 * df) + 3.0902 * (2.0 / (9.0 * df)).sqrt();
    df * t * t * t
}

fn chi_squared(counts: &[f64], expected: &[f64]) -> f64 {
    counts.iter().zip(expected).map(|(o, e)| (o - e) * (o - e) / e).sum()
}

#[test]
fn variants_get_their_shares_and_layers_are_independent() {
    // Fixed ids: this is a property of the hash, not of chance, and must not fail one run in a thousand.
    let mut source = config();
    source.layers = vec![layer("l1"), layer("l2")];
    for (key, layer) in [("x", "l1"), ("y", "l2")] {
        let mut e = experiment(key);
        e.layer = Some(layer.into());
        e.ranges = vec![BucketRange { lo: 0, hi: 5000 }];
        e.variants = variants(&[("control", 5000), ("a", 2500), ("b", 2500)]);
        source.experiments.push(e);
    }
    let config = compile(&source).unwrap();
    let n = 200_000;
    let mut joint = [[0.0; 4]; 4];
    for i in 0..n {
        let id = format!("visitor-{i}");
        let context = Context::new().unit("user_id", id.as_str());
        let mut request = Request::new(&config, &context, None, 0);
        let mut cell = |key| {
            let decision = request.evaluate(key);
            if decision.enrolled() {
                ["control", "a", "b"].iter().position(|v| Some(*v) == decision.variant()).unwrap()
            } else {
                3
            }
        };
        let (x, y) = (cell("x"), cell("y"));
        joint[x][y] += 1.0;
    }
    let shares = [0.25, 0.125, 0.125, 0.5];
    let rows: Vec<f64> = joint.iter().map(|row| row.iter().sum()).collect();
    let expected: Vec<f64> = shares.iter().map(|share| share * f64::from(n)).collect();
    assert!(chi_squared(&rows, &expected) < chi_squared_limit(3.0), "{rows:?}");
    let observed: Vec<f64> = joint.iter().flatten().copied().collect();
    let product: Vec<f64> =
        shares.iter().flat_map(|a| shares.iter().map(move |b| a * b * f64::from(n))).collect();
    assert!(chi_squared(&observed, &product) < chi_squared_limit(15.0), "{joint:?}");
}

#[test]
fn buckets_are_uniform_for_plain_and_hostile_ids() {
    for (name, id) in [
        ("counting numbers", (|i| i.to_string()) as fn(u32) -> String),
        ("padded numbers", |i| format!("{i:016}")),
        ("emails", |i| format!("user{i}@example.com")),
        ("equal tails", |i| format!("{i}-aaaaaaaaaaaaaaaaaaaaaaaa")),
    ] {
        let salt = salt("uniformity");
        let mut counts = vec![0.0; 10_000];
        let n = 1_000_000;
        for i in 0..n {
            counts[usize::from(eval_core::bucket::bucket(&salt, &id(i)))] += 1.0;
        }
        let expected = vec![f64::from(n) / 10_000.0; 10_000];
        let x2 = chi_squared(&counts, &expected);
        assert!(x2 < chi_squared_limit(9999.0), "{name}: {x2}");
    }
}

#[test]
fn no_unit_is_in_two_experiments_of_a_layer() {
    let mut rng = Rng(seed());
    for _ in 0..40 {
        let mut source = config();
        source.layers.push(layer("l"));
        let mut edges: Vec<u16> = (0..10).map(|_| rng.below(10_001) as u16).collect();
        edges.sort_unstable();
        for i in 0..4 {
            let mut e = experiment(&format!("e{i}"));
            e.layer = Some("l".into());
            e.ranges = edges
                .windows(2)
                .skip(i)
                .step_by(4)
                .map(|w| BucketRange { lo: w[0], hi: w[1] })
                .collect();
            source.experiments.push(e);
        }
        let config = compile(&source).unwrap();
        for _ in 0..200 {
            let id = rng.next().to_string();
            let context = Context::new().unit("user_id", id.as_str());
            let mut n_enrolled = 0;
            Request::new(&config, &context, None, 0)
                .evaluate_all(|decision| n_enrolled += u32::from(decision.enrolled()));
            assert!(n_enrolled <= 1, "{id}");
        }
        source.experiments[1]
            .ranges
            .push(BucketRange { lo: edges[0], hi: edges[1].max(edges[0] + 1).min(10_000) });
        if edges[0] < edges[1] {
            assert!(compile(&source).is_err(), "two claims on one bucket are refused");
        }
    }
}

#[test]
fn units_keep_their_variant_while_everything_around_them_changes() {
    let mut rng = Rng(seed());
    let mut source = config();
    source.layers.push(layer("l"));
    let mut e = experiment("e");
    e.layer = Some("l".into());
    e.ranges = vec![BucketRange { lo: 0, hi: 1000 }];
    source.experiments.push(e);
    let ids: Vec<String> = (0..2000).map(|_| rng.next().to_string()).collect();
    let mut before: Vec<Option<String>> =
        ids.iter().map(|id| variant_of(&source, "e", id)).collect();
    for step in 0..6 {
        // A ramp, and neighbours that come and go.
        source.experiments[0]
            .ranges
            .push(BucketRange { lo: 1000 + step * 500, hi: 1500 + step * 500 });
        source.experiments.truncate(1);
        let mut other = experiment(&format!("other{step}"));
        other.layer = Some("l".into());
        other.ranges = vec![BucketRange { lo: 9000, hi: 10_000 }];
        source.experiments.push(other);
        source.layers.truncate(1);
        source.layers.push(layer(&format!("new{step}")));
        let after: Vec<Option<String>> =
            ids.iter().map(|id| variant_of(&source, "e", id)).collect();
        let mut n_new = 0;
        for (was, is) in before.iter().zip(&after) {
            match (was, is) {
                (Some(was), is) => {
                    assert_eq!(Some(was), is.as_ref(), "nobody moves and nobody leaves");
                }
                (None, Some(_)) => n_new += 1,
                (None, None) => {}
            }
        }
        assert!(n_new > 0, "the ramp adds");
        before = after;
    }
}
