//! The client form decides what the whole config decides, leaves to the edge what it must, and names nothing.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    reason = "test code: a wrong assumption should stop the test"
)]

mod support;

use eval_core::client::{self, Answer};
use eval_core::source::*;
use eval_core::{CompiledConfig, Context, Request, blob, compile};
use std::collections::BTreeMap;
use support::random::{Rng, context, source};
use support::*;

fn seed() -> u64 {
    let fresh = || {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    };
    let seed = std::env::var("SORTITION_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(fresh);
    println!("SORTITION_TEST_SEED={seed}");
    seed
}

fn form_bytes(source: &ConfigSource) -> Vec<u8> {
    blob::encode(&client::form(&compile(source).unwrap()), 3, 4)
}

#[derive(Debug, PartialEq)]
enum Got {
    Decided { variant: Option<String>, value: Option<String>, enrolled: bool, reason: &'static str },
    AtEdge,
    NotFound,
}

fn ask(form: &CompiledConfig<'_>, context: &Context<'_>, key: &str, now_ms: i64) -> Got {
    let translated = client::translate(form, context);
    match client::evaluate(form, &translated, key, now_ms) {
        Answer::AtEdge => Got::AtEdge,
        Answer::NotFound => Got::NotFound,
        Answer::Decided(decision) => Got::Decided {
            variant: decision.variant().map(str::to_owned),
            value: decision.value().map(str::to_owned),
            enrolled: decision.enrolled(),
            reason: decision.reason().as_str(),
        },
    }
}

#[test]
fn keys_in_the_client_form_are_decided_as_in_the_whole_config() {
    let mut rng = Rng(seed());
    let (mut n_decided, mut n_at_edge, mut n_enrolled) = (0u32, 0u32, 0u32);
    for round in 0..600 {
        let mut source = source(&mut rng);
        for name in ["country", "age", "region"] {
            if rng.chance(15) {
                source.server_only_attributes.push(name.to_owned());
            }
        }
        // Lists send most keys to the edge; without the list key they do not exist.
        if rng.chance(70) {
            source.list_key = None;
        }
        let whole = compile(&source).unwrap();
        let bytes = form_bytes(&source);
        assert_eq!(form_bytes(&source), bytes);
        let (header, form) = blob::decode(&bytes).unwrap();
        assert_eq!((header.generation, form.faults()), (3, &[][..]));
        assert!(form.is_client_form() && !whole.is_client_form());
        assert_eq!(blob::encode(&form, 3, 4), bytes, "decoding and encoding is the identity");
        assert_eq!(form.n_keys() + form.n_at_edge(), whole.n_keys());
        for _ in 0..20 {
            let mut context = context(&mut rng);
            context
                .attributes
                .retain(|(name, _)| !source.server_only_attributes.iter().any(|only| only == name));
            let now = rng.below(4000) as i64;
            for key in whole.keys() {
                let decision =
                    Request::new(&whole, &context, source.list_key.as_ref(), now).evaluate(key);
                match ask(&form, &context, key, now) {
                    Got::AtEdge => n_at_edge += 1,
                    got => {
                        n_decided += 1;
                        n_enrolled += u32::from(decision.enrolled());
                        let expected = Got::Decided {
                            variant: decision.variant().map(str::to_owned),
                            value: decision.value().map(str::to_owned),
                            enrolled: decision.enrolled(),
                            reason: decision.reason().as_str(),
                        };
                        assert_eq!(got, expected, "round {round}: {key} {context:?} at {now}");
                    }
                }
            }
            assert_eq!(ask(&form, &context, "nothing", now), Got::NotFound);
        }
    }
    assert!(
        n_decided > 20_000 && n_at_edge > 5000 && n_enrolled > 3000,
        "{n_decided} {n_at_edge} {n_enrolled}"
    );
}

/// A config in which every name is long enough to be found wherever it is written.
fn telling() -> ConfigSource {
    let mut source = config();
    source.project = "project_of_somebody".into();
    source.server_only_attributes =
        vec!["lifetime_revenue_band".into(), "unused_secret_name".into()];
    source.sdk_keys = vec![
        SdkKeySource { sha256: *b"server-key-hash-server-key-hash!", kind: KeyKind::Server },
        SdkKeySource { sha256: *b"client-key-hash-client-key-hash!", kind: KeyKind::Client },
    ];
    source.layers = vec![layer("layer_of_checkout_team")];
    source.holdouts = vec![holdout("holdout_global_twenty_six", 500)];
    source.segments = vec![
        SegmentSource {
            key: "segment_frequent_flyers".into(),
            unit_type: "user_id".into(),
            condition: Some(compare("frequent_flyer_tier", "in", vec![text("platinum_members")])),
            include: vec![],
            exclude: vec![],
        },
        SegmentSource {
            key: "segment_of_named_people".into(),
            unit_type: "user_id".into(),
            condition: None,
            include: vec!["alice@example.com".into()],
            exclude: vec!["mallory@example.com".into()],
        },
    ];
    let with = |key: &str, condition: Condition| ExperimentSource {
        targeting: Some(condition),
        ..experiment(key)
    };
    source.experiments = vec![
        ExperimentSource {
            layer: Some("layer_of_checkout_team".into()),
            ranges: vec![BucketRange { lo: 0, hi: 5000 }],
            holdouts: vec!["holdout_global_twenty_six".into()],
            flag_key: "checkout_flag_key".into(),
            ..with(
                "experiment_checkout_redesign",
                Condition::All(vec![
                    Condition::Segment("segment_frequent_flyers".into()),
                    compare("shipping_country", "in", vec![text("Liechtenstein"), text("Andorra")]),
                    compare("cart_contents", "contains_any", vec![text("espresso_machine")]),
                    compare("client_version", "semver_gte", vec![text("2.13.0")]),
                ]),
            )
        },
        with(
            "experiment_for_rich_people",
            compare("lifetime_revenue_band", "eq", vec![text("whale_customers")]),
        ),
        with(
            "experiment_for_a_company",
            compare("email_address", "ends_with", vec![text("@bigcorp.example")]),
        ),
        with("experiment_by_names", Condition::Segment("segment_of_named_people".into())),
        ExperimentSource {
            overrides: BTreeMap::from([("qa-tester-bob".into(), "treatment".into())]),
            ..experiment("experiment_with_overrides")
        },
        ExperimentSource { sticky: true, ..experiment("experiment_sticky") },
        ExperimentSource {
            status: ExperimentStatus::Completed,
            variants: vec![
                VariantSource {
                    key: "control".into(),
                    value: "\"old_page_value\"".into(),
                    ranges: vec![BucketRange::ALL],
                },
                VariantSource {
                    key: "treatment".into(),
                    value: "\"abandoned_page_value\"".into(),
                    ranges: vec![],
                },
            ],
            targeting: Some(compare("lifetime_revenue_band", "exists", vec![])),
            ..experiment("experiment_that_is_over")
        },
    ];
    let mut killed = flag("flag_that_is_killed");
    killed.enabled = false;
    killed.variants[0].value = "\"unreleased_feature_value\"".into();
    killed.targets = BTreeMap::from([("early-adopter-carol".into(), "on".into())]);
    let mut needs = flag("flag_that_needs_another");
    needs.prerequisites =
        vec![Prerequisite { flag: "experiment_with_overrides".into(), variant: "control".into() }];
    source.flags = vec![killed, needs, flag("flag_that_is_static")];
    source
}

#[test]
fn the_client_form_leaves_to_the_edge_what_a_client_must_not_see() {
    let bytes = form_bytes(&telling());
    let (_, form) = blob::decode(&bytes).unwrap();
    let context = Context::new()
        .unit("user_id", "u-1")
        .attribute("frequent_flyer_tier", "platinum_members")
        .attribute("shipping_country", "Andorra")
        .attribute("cart_contents", vec!["cups", "espresso_machine"])
        .attribute("client_version", "2.14.1");
    for key in [
        "experiment_for_rich_people",
        "experiment_for_a_company",
        "experiment_by_names",
        "experiment_with_overrides",
        "experiment_sticky",
        "flag_that_needs_another",
    ] {
        assert_eq!(ask(&form, &context, key, 0), Got::AtEdge, "{key}");
    }
    assert_eq!(form.n_at_edge(), 6);
    for key in [
        "checkout_flag_key",
        "experiment_that_is_over",
        "flag_that_is_killed",
        "flag_that_is_static",
    ] {
        assert!(matches!(ask(&form, &context, key, 0), Got::Decided { .. }), "{key}");
    }
    let whole = compile(&telling()).unwrap();
    let expected = Request::new(&whole, &context, None, 0).evaluate("checkout_flag_key");
    let Got::Decided { reason, .. } = ask(&form, &context, "checkout_flag_key", 0) else {
        panic!()
    };
    assert_eq!(reason, expected.reason().as_str());
    assert_ne!(reason, "targeting", "texts and lists match by their hashes");
}

#[test]
fn no_name_no_list_and_no_key_hash_is_in_the_bytes_of_a_client_form() {
    let source = telling();
    let bytes = form_bytes(&source);
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let mut forbidden: Vec<Vec<u8>> = [
        "lifetime_revenue_band",
        "unused_secret_name",
        "layer_of_checkout_team",
        "holdout_global_twenty_six",
        "segment_frequent_flyers",
        "segment_of_named_people",
        "frequent_flyer_tier",
        "platinum_members",
        "alice@example.com",
        "mallory@example.com",
        "checkout_flag_key",
        "experiment_",
        "flag_that_",
        "shipping_country",
        "Liechtenstein",
        "Andorra",
        "cart_contents",
        "espresso_machine",
        "client_version",
        "whale_customers",
        "email_address",
        "bigcorp",
        "qa-tester-bob",
        "early-adopter-carol",
        "abandoned_page_value",
        "unreleased_feature_value",
        "project_of_somebody",
        "user_id",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    forbidden.extend(source.sdk_keys.iter().map(|key| key.sha256.to_vec()));
    for id in ["alice@example.com", "mallory@example.com", "qa-tester-bob", "early-adopter-carol"] {
        let fingerprint = eval_core::fingerprint::unit_fingerprint(&LIST_KEY, "user_id", id);
        forbidden.push(fingerprint.to_vec());
    }
    forbidden.extend(source.experiments.iter().map(|e| e.salt.clone().into_bytes()));
    for needle in forbidden {
        let text = String::from_utf8_lossy(&needle).into_owned();
        assert!(!holds(&needle), "{text}");
    }
    assert!(holds(b"old_page_value") && holds(b"treatment"), "what can be served is there");
    let whole = blob::encode(&compile(&source).unwrap(), 3, 4);
    assert!(bytes.len() < whole.len(), "{} of {} bytes", bytes.len(), whole.len());
}
