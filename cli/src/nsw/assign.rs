//! Ids under which the evaluator repeats a lot that was drawn decades ago.
//!
//! A unit's bucket depends on salt and id alone, so a suffix of the id decides the arm: with arms of
//! 58.43 % and 41.57 % two suffixes are enough on average. The assignment that the edge then computes
//! is the historical one, and group sizes fit the split as well as they did in reality.

use anyhow::{Context, bail};
use eval_core::bucket::bucket;
use serde_json::Value;

/// What the API shows of an experiment, and all that is needed to recompute its assignments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lot {
    layer_salt: String,
    layer_ranges: Vec<(u16, u16)>,
    salt: String,
    variants: Vec<(String, Vec<(u16, u16)>)>,
    holdouts: Vec<Holdout>,
}

/// Units below `size` of the salt's buckets are kept out of the experiment.
#[derive(Debug, Clone, PartialEq)]
struct Holdout {
    salt: String,
    size: u16,
}

impl Lot {
    /// Reads salts and ranges from the API's answers about an experiment and the holdouts that cover it.
    pub(crate) fn from_experiment(experiment: &Value, holdouts: &[Value]) -> anyhow::Result<Self> {
        let text = |value: &Value, name: &str| {
            value.as_str().map(str::to_owned).with_context(|| format!("experiment without {name}"))
        };
        Ok(Self {
            layer_salt: text(&experiment["layer"]["salt"], "layer.salt")?,
            layer_ranges: ranges(&experiment["layer"]["ranges"]).context("layer.ranges")?,
            salt: text(&experiment["salt"], "salt")?,
            variants: experiment["variants"]
                .as_array()
                .context("experiment without variants")?
                .iter()
                .map(|variant| {
                    let name = text(&variant["name"], "variant name")?;
                    Ok((name, ranges(&variant["ranges"]).context("variant ranges")?))
                })
                .collect::<anyhow::Result<_>>()?,
            holdouts: holdouts
                .iter()
                .map(|holdout| {
                    Ok(Holdout {
                        salt: text(&holdout["salt"], "the salt of a holdout")?,
                        size: share_in_buckets(&holdout["size"]).context("size of a holdout")?,
                    })
                })
                .collect::<anyhow::Result<_>>()?,
        })
    }

    /// The variant of a unit, by the steps of the formula: outside of the holdouts, in the layer, then among the variants.
    pub(crate) fn variant_of(&self, unit: &str) -> Option<&str> {
        if self.holdouts.iter().any(|holdout| bucket(&holdout.salt, unit) < holdout.size) {
            return None;
        }
        if !holds(&self.layer_ranges, bucket(&self.layer_salt, unit)) {
            return None;
        }
        let bucket = bucket(&self.salt, unit);
        let (name, _) = self.variants.iter().find(|(_, ranges)| holds(ranges, bucket))?;
        Some(name)
    }

    /// The first id of the form `{stem}-{number}` that falls into the variant.
    pub(crate) fn id_in(&self, variant: &str, stem: &str) -> anyhow::Result<String> {
        for number in 0..10_000 {
            let id = format!("{stem}-{number}");
            if self.variant_of(&id) == Some(variant) {
                return Ok(id);
            }
        }
        bail!(
            "no id of {stem} falls into {variant}: does the variant own any bucket, and do the holdouts leave any unit?"
        )
    }
}

fn ranges(value: &Value) -> anyhow::Result<Vec<(u16, u16)>> {
    Ok(serde_json::from_value(value.clone())?)
}

/// A share in percent as a number of the 10 000 buckets.
fn share_in_buckets(percent: &Value) -> Option<u16> {
    let buckets = (percent.as_f64()? * 100.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number from 0 to 10 000"
    )]
    (0.0..=10_000.0).contains(&buckets).then_some(buckets as u16)
}

fn holds(ranges: &[(u16, u16)], bucket: u16) -> bool {
    ranges.iter().any(|&(lo, hi)| lo <= bucket && bucket < hi)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Lot, bucket};

    #[test]
    fn every_arm_can_be_reached_by_a_suffix() {
        let experiment = json!({
            "salt": "bbbbbbbbbbbbbbb",
            "layer": {"salt": "aaaaaaaaaaaaaaa", "ranges": [[0, 10_000]]},
            "variants": [
                {"name": "control", "ranges": [[0, 5843]]},
                {"name": "treatment", "ranges": [[5843, 10_000]]},
            ],
        });
        let lot = Lot::from_experiment(&experiment, &[]).unwrap();
        for person in 0..100 {
            for variant in ["control", "treatment"] {
                let id = lot.id_in(variant, &format!("person-{person}")).unwrap();
                assert_eq!(lot.variant_of(&id), Some(variant));
            }
        }
    }

    #[test]
    fn outside_of_the_layer_there_is_no_variant() {
        let experiment = json!({
            "salt": "bbbbbbbbbbbbbbb",
            "layer": {"salt": "aaaaaaaaaaaaaaa", "ranges": []},
            "variants": [{"name": "control", "ranges": [[0, 10_000]]}],
        });
        let lot = Lot::from_experiment(&experiment, &[]).unwrap();
        assert_eq!(lot.variant_of("anybody"), None);
    }

    #[test]
    fn suffixes_are_outside_of_every_holdout() {
        let experiment = json!({
            "salt": "bbbbbbbbbbbbbbb",
            "layer": {"salt": "aaaaaaaaaaaaaaa", "ranges": [[0, 10_000]]},
            "variants": [{"name": "control", "ranges": [[0, 10_000]]}],
        });
        let holdouts = [
            json!({"salt": "ccccccccccccccc", "size": 90}),
            json!({"salt": "ddddddddddddddd", "size": 12.34}),
        ];
        let lot = Lot::from_experiment(&experiment, &holdouts).unwrap();
        for person in 0..20 {
            let id = lot.id_in("control", &format!("person-{person}")).unwrap();
            assert!(bucket("ccccccccccccccc", &id) >= 9000, "{id}");
            assert!(bucket("ddddddddddddddd", &id) >= 1234, "{id}");
        }
        let everybody = [json!({"salt": "ccccccccccccccc", "size": 100})];
        let none = Lot::from_experiment(&experiment, &everybody).unwrap();
        assert!(none.id_in("control", "person").unwrap_err().to_string().contains("holdouts"));
    }
}
