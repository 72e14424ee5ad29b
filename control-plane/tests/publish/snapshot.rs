//! Environments made up for compiling, without a database.

use control_plane::definition::{
    EnvironmentState, ExperimentDefinition, ExperimentState, FlagDefinition, FlagState,
    LifecycleStatus, NoState, Phase,
};
use control_plane::store::{EnvironmentSnapshot, Resource, Versioned};
use eval_core::source::BucketRange;
use jiff::Timestamp;
use serde_json::{Value, json};

const COUNTRIES: [&str; 10] = ["US", "CA", "GB", "DE", "FR", "BR", "IN", "JP", "AU", "MX"];
const PLATFORMS: [&str; 3] = ["web", "ios", "android"];
const PLANS: [&str; 4] = ["pro", "free", "team", "trial"];

/// Something authored, in its first version.
pub fn versioned<D: Resource>(id: &str, definition: Value, state: D::State) -> Versioned<D> {
    Versioned {
        id: id.to_owned(),
        scope_id: "scope".to_owned(),
        version: 1,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        definition: serde_json::from_value(definition).expect("a sound definition"),
        state,
    }
}

/// An environment with so many running experiments of the model that published evaluators are compared
/// by: three variants with payloads of some 60 bytes, conditions on country, platform and plan.
pub fn environment(n_experiments: usize) -> EnvironmentSnapshot {
    EnvironmentSnapshot {
        revision: 1,
        project: versioned("default", json!({"name": "default"}), NoState {}),
        environment: versioned(
            "production-k3v9x2mq",
            json!({"name": "production"}),
            EnvironmentState { domain_salt: "domainsalt23456".to_owned() },
        ),
        sdk_keys: Vec::new(),
        layers: vec![versioned(
            "layer",
            json!({"name": "checkout_layer", "salt": "layersalt234567"}),
            NoState {},
        )],
        holdouts: vec![versioned(
            "holdout",
            json!({"name": "global_2026", "size": 5, "salt": "holdoutsalt2345"}),
            NoState {},
        )],
        segments: vec![versioned(
            "segment",
            json!({"key": "returning_users",
                "condition": {"attribute": "returning", "op": "eq", "values": [true]},
                "include": ["u-1"], "exclude": ["u-2"]}),
            NoState {},
        )],
        metrics: vec![versioned(
            "metric",
            json!({"name": "conversion", "kind": "proportion", "event": "purchase", "baseline": 0.1}),
            NoState {},
        )],
        experiments: (0..n_experiments).map(experiment).collect(),
        flags: vec![flag()],
    }
}

/// Experiment number `n`.
pub fn experiment(n: usize) -> Versioned<ExperimentDefinition> {
    let pick = |from: &[&str], offset: usize| from[(n + offset) % from.len()].to_owned();
    let payload = |offset: usize| json!({"title": format!("experiment {n} offers {offset}"), "color": format!("#{:06x}", (n * 7919 + offset * 104_729) % 0x0100_0000), "size": 8 + (n + offset) % 56});
    let definition = json!({
        "name": format!("experiment_{n:05}"),
        "salt": base32(n, "s"),
        "variants": [
            {"name": "control", "weight": 50, "config": payload(0)},
            {"name": "treatment_a", "weight": 25, "config": payload(1)},
            {"name": "treatment_b", "weight": 25, "config": payload(2)}
        ],
        "targeting": {"all": [
            {"attribute": "country", "op": "in", "values": [pick(&COUNTRIES, 0), pick(&COUNTRIES, 3), pick(&COUNTRIES, 7)]},
            {"attribute": "platform", "op": "in", "values": [pick(&PLATFORMS, 0), pick(&PLATFORMS, 1)]},
            {"attribute": "plan", "op": "eq", "values": [pick(&PLANS, n / 3)]}
        ]},
        "primary_metric": "conversion", "min_detectable_effect": 0.02, "estimated_duration_days": 14
    });
    let range = |lo, hi| vec![BucketRange { lo, hi }];
    let state = ExperimentState {
        status: LifecycleStatus::Running,
        own_layer_salt: base32(n, "l"),
        layer_ranges: range(0, 10_000),
        variant_ranges: [
            ("control", 0, 5_000),
            ("treatment_a", 5_000, 7_500),
            ("treatment_b", 7_500, 10_000),
        ]
        .map(|(variant, lo, hi)| (variant.to_owned(), range(lo, hi)))
        .into(),
        phases: vec![Phase {
            number: 1,
            started_at: Timestamp::UNIX_EPOCH,
            reason: "started".to_owned(),
        }],
        started_at: Some(Timestamp::UNIX_EPOCH),
        ..ExperimentState::default()
    };
    versioned(&format!("id-{n:05}"), definition, state)
}

/// A flag with one rule of each form.
pub fn flag() -> Versioned<FlagDefinition> {
    let definition = json!({
        "key": "new_nav", "type": "boolean", "salt": "flagsalt2345678",
        "variants": [{"name": "on", "value": true}, {"name": "off", "value": false}],
        "default_variant": "off", "off_variant": "off", "targets": {"u-7": "on"},
        "rules": [
            {"condition": {"countries": ["US"], "user_segment": "returning_users"}, "rollout": 25, "salt": "rulesalt2345678", "serve": {"variant": "on"}},
            {"salt": "splitsalt234567", "serve": {"split": [{"variant": "on", "weight": 50}, {"variant": "off", "weight": 50}]}}
        ]
    });
    let range = |lo, hi| vec![BucketRange { lo, hi }];
    let split = [("on".to_owned(), range(0, 5_000)), ("off".to_owned(), range(5_000, 10_000))];
    let state = FlagState {
        split_ranges: [("splitsalt234567".to_owned(), split.into())].into(),
        ..FlagState::default()
    };
    versioned("id-new_nav", definition, state)
}

/// Fifteen characters of the salt alphabet that differ for every number and kind.
fn base32(n: usize, kind: &str) -> String {
    let hash = blake3::hash(format!("{kind}{n}").as_bytes());
    let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
    hash.as_bytes()[..15].iter().map(|byte| char::from(alphabet[usize::from(byte % 32)])).collect()
}
