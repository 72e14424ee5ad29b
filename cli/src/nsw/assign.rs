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
}

impl Lot {
    /// Reads salts and ranges from the API's answer about an experiment.
    pub(crate) fn from_experiment(experiment: &Value) -> anyhow::Result<Self> {
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
        })
    }

    /// The variant of a unit, by the two steps of the formula: in the layer, then among the variants.
    pub(crate) fn variant_of(&self, unit: &str) -> Option<&str> {
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
        bail!("no id of {stem} falls into {variant}: does the variant own any bucket?")
    }
}

fn ranges(value: &Value) -> anyhow::Result<Vec<(u16, u16)>> {
    Ok(serde_json::from_value(value.clone())?)
}

fn holds(ranges: &[(u16, u16)], bucket: u16) -> bool {
    ranges.iter().any(|&(lo, hi)| lo <= bucket && bucket < hi)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Lot;

    #[test]
    fn every_arm_can_be_reached_by_a_suffix() {
        let lot = Lot::from_experiment(&json!({
            "salt": "bbbbbbbbbbbbbbb",
            "layer": {"salt": "aaaaaaaaaaaaaaa", "ranges": [[0, 10_000]]},
            "variants": [
                {"name": "control", "ranges": [[0, 5843]]},
                {"name": "treatment", "ranges": [[5843, 10_000]]},
            ],
        }))
        .unwrap();
        for person in 0..100 {
            for variant in ["control", "treatment"] {
                let id = lot.id_in(variant, &format!("person-{person}")).unwrap();
                assert_eq!(lot.variant_of(&id), Some(variant));
            }
        }
    }

    #[test]
    fn outside_of_the_layer_there_is_no_variant() {
        let lot = Lot::from_experiment(&json!({
            "salt": "bbbbbbbbbbbbbbb",
            "layer": {"salt": "aaaaaaaaaaaaaaa", "ranges": []},
            "variants": [{"name": "control", "ranges": [[0, 10_000]]}],
        }))
        .unwrap();
        assert_eq!(lot.variant_of("anybody"), None);
    }
}
