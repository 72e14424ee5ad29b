//! Whatever is asked for in whatever order, no bucket of a layer has two holders and nobody who stays moves.

use crate::bodies::{catalogue, in_layer};
use crate::harness::{Server, on_both_databases};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const STEPS: usize = 80;

/// What one experiment holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    holds: bool,
    layer: BTreeSet<u64>,
    variants: BTreeMap<String, BTreeSet<u64>>,
}

fn buckets(ranges: &Value) -> BTreeSet<u64> {
    let pair = |range: &Value| (range[0].as_u64().unwrap(), range[1].as_u64().unwrap());
    ranges.as_array().unwrap().iter().map(pair).flat_map(|(lo, hi)| lo..hi).collect()
}

async fn look(server: &Server) -> BTreeMap<String, Held> {
    let page = server.get("experiments?limit=500").await.body;
    let held = |experiment: &Value| {
        let status = experiment["status"].as_str().unwrap();
        let variants = experiment["variants"].as_array().unwrap();
        let held = Held {
            holds: ["running", "paused", "scheduled"].contains(&status),
            layer: buckets(&experiment["layer"]["ranges"]),
            variants: variants
                .iter()
                .map(|v| (v["name"].as_str().unwrap().to_owned(), buckets(&v["ranges"])))
                .collect(),
        };
        (experiment["name"].as_str().unwrap().to_owned(), held)
    };
    page["data"].as_array().unwrap().iter().map(held).collect()
}

fn check(before: &BTreeMap<String, Held>, after: &BTreeMap<String, Held>, step: &str) {
    let mut owner: BTreeMap<u64, &str> = BTreeMap::new();
    for (name, held) in after.iter().filter(|(_, held)| held.holds) {
        for bucket in &held.layer {
            let other = owner.insert(*bucket, name);
            assert_eq!(other, None, "{step}: bucket {bucket} is held by {name} too");
        }
        let in_variants: usize = held.variants.values().map(BTreeSet::len).sum();
        let distinct: BTreeSet<&u64> = held.variants.values().flatten().collect();
        assert_eq!((in_variants, distinct.len()), (10_000, 10_000), "{step}: {name}");
    }
    for (name, now) in after.iter().filter(|(_, held)| held.holds) {
        let Some(then) = before.get(name).filter(|held| held.holds) else { continue };
        let (smaller, larger) =
            if then.layer.len() < now.layer.len() { (then, now) } else { (now, then) };
        assert!(smaller.layer.is_subset(&larger.layer), "{step}: {name} moved in its layer");
        let mut gained = 0;
        let mut moved = 0;
        for (variant, buckets) in &now.variants {
            gained += buckets.len().saturating_sub(then.variants[variant].len());
            moved += buckets.difference(&then.variants[variant]).count();
        }
        assert_eq!(moved, gained, "{step}: {name} moved more units than its weights require");
    }
}

on_both_databases! {
    async fn no_bucket_ever_has_two_holders(server) {
        let seed = std::env::var("SORTITION_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
        println!("SORTITION_TEST_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        catalogue(server).await;
        for name in NAMES {
            server.made("experiments", in_layer(name, f64::from(rng.random_range(1..=10_000u16)) / 100.0)).await;
        }
        let mut before = look(server).await;
        let mut n_done = 0;
        for step in 0..STEPS {
            let name = *NAMES.choose(&mut rng).unwrap();
            let path = format!("experiments/{name}");
            let (what, answer) = match rng.random_range(0..12) {
                0..=2 => ("start", server.start_experiment(name).await),
                3 => ("pause", server.post(&format!("{path}/pause"), json!({})).await),
                4 => ("resume", server.post(&format!("{path}/resume"), json!({})).await),
                5 => ("complete", server.post(&format!("{path}/complete"), json!({})).await),
                6 => {
                    let version = rng.random_range(1..=4);
                    ("rollback", server.post(&format!("{path}/rollback"), json!({ "version": version })).await)
                }
                7 | 8 => {
                    let weight = rng.random_range(0..=10_000u16);
                    let percent = |buckets: u16| f64::from(buckets) / 100.0;
                    let variants = json!([{ "name": "control", "weight": percent(weight) }, { "name": "treatment", "weight": percent(10_000 - weight) }]);
                    ("weights", server.patch(&path, json!({ "variants": variants })).await)
                }
                _ => {
                    let traffic = f64::from(rng.random_range(1..=6_000u16)) / 100.0;
                    ("traffic", server.patch(&path, json!({ "traffic": traffic })).await)
                }
            };
            let step = format!("step {step}: {what} of {name} → {}", answer.status);
            assert!(answer.status.is_success() || answer.status.is_client_error(), "{step}: {answer:?}");
            n_done += usize::from(answer.status.is_success());
            let after = look(server).await;
            if answer.status.is_client_error() {
                assert_eq!(before, after, "{step}: refused, yet something changed");
            }
            check(&before, &after, &step);
            before = after;
        }
        assert!(n_done > 10, "too little happened: {n_done} of {STEPS} steps");
    }
}
