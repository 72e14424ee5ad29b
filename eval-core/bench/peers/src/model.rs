//! The work that everybody does: typical experiments and users, in words that each peer's format can say.

use crate::typical;
use eval_core::source::{Condition, ConfigSource, Literal};
use eval_core::{AttributeValue, Context};

/// An experiment without layers, holdouts or lists: what all evaluators have in common.
pub(crate) struct Experiment {
    pub(crate) key: String,
    pub(crate) salt: String,
    /// Attribute, and the values of which it must be one.
    pub(crate) conditions: Vec<(String, Vec<String>)>,
    pub(crate) variants: Vec<Variant>,
}

pub(crate) struct Variant {
    pub(crate) key: String,
    /// Buckets out of 10 000.
    pub(crate) weight: u16,
    /// Serialized JSON.
    pub(crate) value: String,
}

pub(crate) struct User {
    pub(crate) id: String,
    /// Attribute, value.
    pub(crate) attributes: Vec<(String, String)>,
}

/// A config, as its definitions and in the common words.
pub(crate) struct Work {
    pub(crate) source: ConfigSource,
    pub(crate) experiments: Vec<Experiment>,
}

impl Work {
    pub(crate) fn single() -> Self {
        Self::of(typical::single())
    }

    pub(crate) fn many(n: usize) -> Self {
        Self::of(typical::many(n))
    }

    fn of(source: ConfigSource) -> Self {
        let experiments = source
            .experiments
            .iter()
            .map(|experiment| Experiment {
                key: experiment.key.clone(),
                salt: experiment.salt.clone(),
                conditions: conditions(experiment.targeting.as_ref()),
                variants: experiment
                    .variants
                    .iter()
                    .map(|variant| Variant {
                        key: variant.key.clone(),
                        weight: variant.ranges.iter().map(|range| range.hi - range.lo).sum(),
                        value: variant.value.clone(),
                    })
                    .collect(),
            })
            .collect();
        Self { source, experiments }
    }

    /// How many experiments a user is in: everybody who matches, because all traffic is included.
    pub(crate) fn n_matching(&self, user: &User) -> usize {
        self.experiments.iter().filter(|experiment| experiment.matches(user)).count()
    }
}

fn conditions(targeting: Option<&Condition>) -> Vec<(String, Vec<String>)> {
    let Some(Condition::All(parts)) = targeting else { panic!("the model targets by `all`") };
    parts
        .iter()
        .map(|part| match part {
            Condition::Compare { attribute, values, .. } => {
                (attribute.clone(), values.iter().map(text).collect())
            }
            other => panic!("the model has no {other:?}"),
        })
        .collect()
}

fn text(literal: &Literal) -> String {
    match literal {
        Literal::String(text) => text.clone(),
        other => panic!("the model compares with texts, not {other:?}"),
    }
}

impl Experiment {
    pub(crate) fn matches(&self, user: &User) -> bool {
        self.conditions.iter().all(|(attribute, values)| {
            user.attributes.iter().any(|(name, value)| name == attribute && values.contains(value))
        })
    }
}

impl User {
    /// Users of whom half match the single experiment.
    pub(crate) fn stream(n: usize) -> Vec<Self> {
        typical::half_matching(n).iter().map(Self::of).collect()
    }

    /// Users who match about half of many experiments.
    pub(crate) fn panels() -> Vec<Self> {
        typical::panels().iter().map(Self::of).collect()
    }

    fn of(context: &Context<'_>) -> Self {
        let text = |value: &AttributeValue<'_>| value.as_str().unwrap_or_default().to_owned();
        Self {
            id: context.unit_id("user_id").unwrap_or_default().to_owned(),
            attributes: context.attributes.iter().map(|(k, v)| (k.to_string(), text(v))).collect(),
        }
    }
}
