//! A blob of every released format version decodes for ever. `tests/blobs/v{n}.bin` is such a blob; `v{n}.json` says what
//! it decided on the day on which the format was released.

#![expect(clippy::unwrap_used, reason = "test code: a wrong assumption should stop the test")]

mod support;

use eval_core::{AttributeValue, Context, Request, blob, compile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::LIST_KEY;
use support::random::{Rng, context, source};

#[derive(Serialize, Deserialize)]
struct Golden {
    generation: u64,
    decisions: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
struct Case {
    now_ms: i64,
    units: BTreeMap<String, String>,
    attributes: BTreeMap<String, serde_json::Value>,
    prior: BTreeMap<String, String>,
    /// Key → variant and reason.
    expected: BTreeMap<String, (Option<String>, String)>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/blobs")
}

fn attribute(value: &serde_json::Value) -> AttributeValue<'_> {
    match value {
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::Number(number) => number.as_f64().unwrap().into(),
        serde_json::Value::String(text) => text.as_str().into(),
        other => panic!("the cases hold no {other}"),
    }
}

#[test]
fn every_released_format_still_decides_the_same() {
    let mut n_blobs = 0;
    for version in 1..=blob::FORMAT_VERSION {
        let bytes = std::fs::read(folder().join(format!("v{version}.bin"))).unwrap();
        let golden: Golden = serde_json::from_slice(
            &std::fs::read(folder().join(format!("v{version}.json"))).unwrap(),
        )
        .unwrap();
        let (header, config) = blob::decode(&bytes).unwrap();
        assert_eq!((header.generation, header.format_version), (golden.generation, version));
        // As it is, as a rollback publishes its body again, and as it is written today.
        let (_, body) = blob::verify(&bytes).unwrap();
        let again = blob::frame(version, config.environment(), 8, 1, body);
        let (_, again) = blob::decode(&again).unwrap();
        let today = blob::encode(&config, 8, 1);
        let (_, today) = blob::decode(&today).unwrap();
        for (case, config) in golden
            .decisions
            .iter()
            .flat_map(|case| [(case, &config), (case, &again), (case, &today)])
        {
            let mut context = Context::new();
            for (unit_type, id) in &case.units {
                context = context.unit(unit_type, id);
            }
            for (name, value) in &case.attributes {
                context = context.attribute(name, attribute(value));
            }
            for (experiment, variant) in &case.prior {
                context = context.prior(experiment, variant);
            }
            let mut request = Request::new(config, &context, Some(&LIST_KEY), case.now_ms);
            for (key, (variant, reason)) in &case.expected {
                let decision = request.evaluate(key);
                assert_eq!(
                    (decision.variant(), decision.reason().as_str()),
                    (variant.as_deref(), reason.as_str()),
                    "{key}"
                );
            }
        }
        n_blobs += 1;
    }
    assert!(n_blobs > 0);
}

/// Run once when a format is released: `cargo test -p eval-core --test released_formats -- --ignored`.
#[test]
#[ignore = "writes the files that the other test reads"]
fn write_the_current_format() {
    // The first config of this seed that has a bit of everything.
    let mut rng = Rng(1);
    let source = loop {
        let source = source(&mut rng);
        if source.experiments.len() >= 6
            && source.flags.len() >= 3
            && !source.layers.is_empty()
            && !source.segments.is_empty()
        {
            break source;
        }
    };
    let config = compile(&source).unwrap();
    let bytes = blob::encode(&config, 7, 1_795_170_600_000);
    let mut decisions = Vec::new();
    for _ in 0..60 {
        let context = context(&mut rng);
        let now_ms = i64::try_from(rng.below(4000)).unwrap();
        let mut request = Request::new(&config, &context, Some(&LIST_KEY), now_ms);
        let expected = config
            .keys()
            .map(|key| {
                let decision = request.evaluate(key);
                (
                    key.to_owned(),
                    (decision.variant().map(str::to_owned), decision.reason().as_str().to_owned()),
                )
            })
            .collect();
        let json = |value: &AttributeValue<'_>| match value {
            AttributeValue::Bool(value) => serde_json::json!(value),
            AttributeValue::Number(value) => serde_json::json!(value),
            other => serde_json::json!(other.as_str().unwrap()),
        };
        // Where a name occurs twice the first one counts, as in the context.
        let mut prior = BTreeMap::new();
        for (experiment, variant) in &context.prior {
            prior.entry(experiment.to_string()).or_insert_with(|| variant.to_string());
        }
        decisions.push(Case {
            now_ms,
            units: context.units.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            attributes: context.attributes.iter().map(|(k, v)| (k.to_string(), json(v))).collect(),
            prior,
            expected,
        });
    }
    let golden = Golden { generation: 7, decisions };
    std::fs::create_dir_all(folder()).unwrap();
    std::fs::write(folder().join(format!("v{}.bin", blob::FORMAT_VERSION)), bytes).unwrap();
    let text = serde_json::to_string(&golden).unwrap();
    std::fs::write(folder().join(format!("v{}.json", blob::FORMAT_VERSION)), text + "\n").unwrap();
}
