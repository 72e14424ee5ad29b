//! The environment that the edge's tests publish: one of everything that an answer can depend on.

use std::collections::BTreeMap;

use eval_core::CompileError;
use eval_core::source::{
    BucketRange, Condition, ConfigSource, ExperimentSource, ExperimentStatus, FlagSource,
    HoldoutSource, KeyKind, LayerSource, Literal, PauseBehaviour, RuleSource, SdkKeySource,
    SegmentSource, Serve, SplitPart, VariantSource,
};
use sha2::{Digest, Sha256};

/// Environment id.
pub(crate) const ENVIRONMENT: &str = "production-k3v9x2mq";
/// A server key of the environment.
pub(crate) const SERVER_KEY: &str =
    "sk_server_production-k3v9x2mq_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// A client key of the environment.
pub(crate) const CLIENT_KEY: &str =
    "sk_client_production-k3v9x2mq_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// The secret from which list keys derive.
pub(crate) const LIST_SECRET: [u8; 32] = [0x11; 32];
/// The time at which the scheduled experiment starts: 2030-01-01T00:00:00Z, milliseconds since the epoch.
pub(crate) const STARTS_AT_MS: i64 = 1_893_456_000_000;

/// Everything, with the generation written into the checkout experiment's values so that a test sees which one answers.
pub(crate) fn source(generation: u64) -> ConfigSource {
    ConfigSource {
        environment: ENVIRONMENT.to_owned(),
        project: "default".to_owned(),
        domain_salt: "domaindomain234".to_owned(),
        requires_consent: false,
        list_key: Some(eval_core::fingerprint::list_key(&LIST_SECRET, ENVIRONMENT)),
        sdk_keys: sdk_keys(),
        server_only_attributes: vec!["plan".to_owned()],
        layers: vec![LayerSource {
            key: "checkout_layer".to_owned(),
            salt: "layersaltlayer2".to_owned(),
            unit_type: "user_id".to_owned(),
            domain: BucketRange::ALL,
        }],
        holdouts: vec![HoldoutSource {
            key: "global_2026".to_owned(),
            salt: "holdoutholdout2".to_owned(),
            unit_type: "user_id".to_owned(),
            size: 500,
        }],
        segments: vec![SegmentSource {
            key: "returning_users".to_owned(),
            unit_type: "user_id".to_owned(),
            condition: Some(compare("returning", "eq", Literal::Bool(true))),
            include: vec!["u-included".to_owned()],
            exclude: vec!["u-excluded".to_owned()],
        }],
        experiments: vec![
            ExperimentSource {
                holdouts: vec!["global_2026".to_owned()],
                targeting: Some(Condition::All(vec![
                    Condition::Compare {
                        attribute: "country".to_owned(),
                        op: "in".to_owned(),
                        values: vec![
                            Literal::String("US".to_owned()),
                            Literal::String("CA".to_owned()),
                        ],
                    },
                    Condition::Segment("returning_users".to_owned()),
                ])),
                overrides: BTreeMap::from([("u-override".to_owned(), "treatment_b".to_owned())]),
                layer: Some("checkout_layer".to_owned()),
                own_layer_salt: None,
                ranges: vec![BucketRange { lo: 0, hi: 8000 }],
                variants: vec![
                    variant(
                        "control",
                        &format!(r#"{{"checkout_version":"v1","published":{generation}}}"#),
                        0,
                        5000,
                    ),
                    variant(
                        "treatment_a",
                        &format!(r#"{{"checkout_version":"v2","published":{generation}}}"#),
                        5000,
                        7500,
                    ),
                    variant(
                        "treatment_b",
                        &format!(r#"{{"checkout_version":"v3","published":{generation}}}"#),
                        7500,
                        10_000,
                    ),
                ],
                ..experiment("checkout", "user_id", ExperimentStatus::Running)
            },
            ExperimentSource {
                sticky: true,
                ..experiment("visitors", "anonymous_id", ExperimentStatus::Running)
            },
            ExperimentSource {
                starts_at: Some(STARTS_AT_MS),
                ..experiment("scheduled", "user_id", ExperimentStatus::Scheduled)
            },
            experiment("paused", "user_id", ExperimentStatus::Paused),
            ExperimentSource {
                targeting: Some(Condition::All(vec![
                    compare("country", "in", Literal::String("DE".to_owned())),
                    compare("app_version", "semver_gte", Literal::String("2.0.0".to_owned())),
                ])),
                ..experiment("in_browser", "anonymous_id", ExperimentStatus::Running)
            },
            ExperimentSource {
                targeting: Some(compare("plan", "eq", Literal::String("gold".to_owned()))),
                ..experiment("for_gold", "user_id", ExperimentStatus::Running)
            },
        ],
        flags: vec![
            FlagSource {
                rules: vec![
                    rule(
                        "rulesaltrule222",
                        Some(compare("platform", "eq", Literal::String("ios".to_owned()))),
                        2500,
                        Serve::Variant("on".to_owned()),
                    ),
                    rule(
                        "rulesaltrule333",
                        None,
                        5000,
                        Serve::Split(vec![
                            SplitPart {
                                variant: "on".to_owned(),
                                ranges: vec![BucketRange { lo: 0, hi: 3000 }],
                            },
                            SplitPart {
                                variant: "off".to_owned(),
                                ranges: vec![BucketRange { lo: 3000, hi: 10_000 }],
                            },
                        ]),
                    ),
                ],
                ..flag("new_nav", &[("on", "true"), ("off", "false")])
            },
            FlagSource { enabled: false, ..flag("killed", &[("on", "true"), ("off", "false")]) },
            flag("ratio", &[("whole", "1.0"), ("off", "0.5")]),
            flag("nothing", &[("none", "null"), ("off", "null")]),
            FlagSource {
                rules: vec![rule(
                    "rulesaltrule444",
                    None,
                    10_000,
                    Serve::Experiment("visitors".to_owned()),
                )],
                ..flag(
                    "by_experiment",
                    &[("control", "\"c\""), ("treatment", "\"t\""), ("off", "\"o\"")],
                )
            },
        ],
        routes: Vec::new(),
    }
}

/// [`SERVER_KEY`] and [`CLIENT_KEY`], as a config has them.
pub(crate) fn sdk_keys() -> Vec<SdkKeySource> {
    let hashed = |key, kind| SdkKeySource { sha256: Sha256::digest(key).into(), kind };
    vec![hashed(SERVER_KEY, KeyKind::Server), hashed(CLIENT_KEY, KeyKind::Client)]
}

pub(crate) fn compare(attribute: &str, op: &str, value: Literal) -> Condition {
    Condition::Compare { attribute: attribute.to_owned(), op: op.to_owned(), values: vec![value] }
}

fn variant(key: &str, value: &str, lo: u16, hi: u16) -> VariantSource {
    VariantSource {
        key: key.to_owned(),
        value: value.to_owned(),
        ranges: vec![BucketRange { lo, hi }],
    }
}

pub(crate) fn experiment(key: &str, unit_type: &str, status: ExperimentStatus) -> ExperimentSource {
    ExperimentSource {
        key: key.to_owned(),
        flag_key: key.to_owned(),
        salt: format!("{key}-split"),
        unit_type: unit_type.to_owned(),
        status,
        pause_behaviour: PauseBehaviour::Control,
        starts_at: None,
        ends_at: None,
        shipped: None,
        sticky: false,
        frozen: false,
        layer: None,
        own_layer_salt: Some(format!("{key}-layer")),
        ranges: vec![BucketRange::ALL],
        holdouts: Vec::new(),
        prerequisites: Vec::new(),
        targeting: None,
        overrides: BTreeMap::new(),
        variants: vec![
            variant("control", "\"c\"", 0, 5000),
            variant("treatment", "\"t\"", 5000, 10_000),
        ],
        control: 0,
        switchback: None,
    }
}

pub(crate) fn flag(key: &str, variants: &[(&str, &str)]) -> FlagSource {
    FlagSource {
        key: key.to_owned(),
        salt: format!("{key}-flag"),
        unit_type: "user_id".to_owned(),
        enabled: true,
        variants: variants
            .iter()
            .map(|(key, value)| VariantSource {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
                ranges: Vec::new(),
            })
            .collect(),
        default_variant: variants[0].0.to_owned(),
        off_variant: if variants.iter().any(|(key, _)| *key == "off") {
            "off"
        } else {
            variants[0].0
        }
        .to_owned(),
        holdouts: Vec::new(),
        prerequisites: Vec::new(),
        targets: BTreeMap::from([("u-target".to_owned(), variants[0].0.to_owned())]),
        rules: Vec::new(),
    }
}

fn rule(salt: &str, condition: Option<Condition>, rollout: u16, serve: Serve) -> RuleSource {
    RuleSource { salt: salt.to_owned(), condition, rollout, serve }
}

/// The blob of a source and a generation, created at a given time.
pub(crate) fn encode(
    source: &ConfigSource,
    generation: u64,
    created_at_ms: i64,
) -> Result<Vec<u8>, CompileError> {
    let config = eval_core::compile(source)?;
    Ok(eval_core::blob::encode(&config, generation, created_at_ms))
}

/// The pointer to a blob and its client form, as publishing writes it as far as the edge reads it, and the blob's key.
pub(crate) fn pointer(generation: u64) -> (String, String) {
    let object = format!("configs/{ENVIRONMENT}/{generation}-0000000000000000.bin");
    let form = format!("configs/{ENVIRONMENT}/{generation}-0000000000000000.client.bin");
    (
        format!(
            r#"{{"generation":{generation},"object":"{object}","environment":"{ENVIRONMENT}","client_form":{{"object":"{form}"}}}}"#
        ),
        object,
    )
}
