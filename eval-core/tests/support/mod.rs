//! Definitions in few words, and an evaluator that follows the specification word by word.
#![allow(
    clippy::allow_attributes,
    reason = "`expect` would ask every test file to leave something unused"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod oracle;
pub(crate) mod random;

use eval_core::source::*;
use std::collections::BTreeMap;

pub(crate) const LIST_KEY: [u8; 32] = [7; 32];

/// 15 characters that differ from entry to entry.
pub(crate) fn salt(name: &str) -> String {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    (0..15)
        .map(|i| {
            for byte in name.bytes().chain([i]) {
                h = (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(h >> 40) as usize % 32])
        })
        .collect()
}

pub(crate) fn config() -> ConfigSource {
    ConfigSource {
        environment: "production-test0001".into(),
        project: "shop".into(),
        domain_salt: salt("domain"),
        list_key: Some(LIST_KEY),
        ..ConfigSource::default()
    }
}

/// Contiguous ranges in declared order, from weights in buckets.
pub(crate) fn variants(weights: &[(&str, u16)]) -> Vec<VariantSource> {
    let mut lo = 0;
    weights
        .iter()
        .map(|(key, weight)| {
            let range = BucketRange { lo, hi: lo + weight };
            lo += weight;
            VariantSource {
                key: (*key).into(),
                value: format!("{{\"v\":\"{key}\"}}"),
                ranges: vec![range],
            }
        })
        .collect()
}

pub(crate) fn experiment(key: &str) -> ExperimentSource {
    ExperimentSource {
        key: key.into(),
        flag_key: key.into(),
        salt: salt(key),
        unit_type: "user_id".into(),
        status: ExperimentStatus::Running,
        pause_behaviour: PauseBehaviour::Control,
        starts_at: None,
        ends_at: None,
        shipped: None,
        sticky: false,
        frozen: false,
        layer: None,
        own_layer_salt: Some(salt(&format!("{key}/own"))),
        ranges: vec![BucketRange::ALL],
        holdouts: vec![],
        prerequisites: vec![],
        targeting: None,
        overrides: BTreeMap::new(),
        variants: variants(&[("control", 5000), ("treatment", 5000)]),
        control: 0,
        switchback: None,
    }
}

pub(crate) fn flag(key: &str) -> FlagSource {
    FlagSource {
        key: key.into(),
        salt: salt(&format!("flag {key}")),
        unit_type: "user_id".into(),
        enabled: true,
        variants: vec![
            VariantSource { key: "on".into(), value: "true".into(), ranges: vec![] },
            VariantSource { key: "off".into(), value: "false".into(), ranges: vec![] },
        ],
        default_variant: "off".into(),
        off_variant: "off".into(),
        holdouts: vec![],
        prerequisites: vec![],
        targets: BTreeMap::new(),
        rules: vec![],
    }
}

pub(crate) fn rule(key: &str, rollout: u16, serve: Serve) -> RuleSource {
    RuleSource { salt: salt(&format!("rule {key}")), condition: None, rollout, serve }
}

pub(crate) fn layer(key: &str) -> LayerSource {
    LayerSource {
        key: key.into(),
        salt: salt(&format!("layer {key}")),
        unit_type: "user_id".into(),
        domain: BucketRange::ALL,
    }
}

pub(crate) fn holdout(key: &str, size: u16) -> HoldoutSource {
    HoldoutSource {
        key: key.into(),
        salt: salt(&format!("holdout {key}")),
        unit_type: "user_id".into(),
        size,
    }
}

pub(crate) fn compare(attribute: &str, op: &str, values: Vec<Literal>) -> Condition {
    Condition::Compare { attribute: attribute.into(), op: op.into(), values }
}

pub(crate) fn text(value: &str) -> Literal {
    Literal::String(value.into())
}
