//! Who is eligible: a condition tree, or the short form of the commonest one.

use super::schema;
use eval_core::source::{Condition, Literal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who takes part in an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Targeting {
    /// Countries, platforms and a segment, all of which must fit.
    Short(ShortTargeting),
    /// A condition tree.
    #[schema(value_type = schema::Condition)]
    Condition(Condition),
}

/// Short for `all(country in …, platform in …, segment …)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShortTargeting {
    /// Values of the attribute `country`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 1000)]
    pub countries: Option<Vec<String>>,
    /// Values of the attribute `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 1000)]
    pub platforms: Option<Vec<String>>,
    /// Key of a segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Name>)]
    pub user_segment: Option<String>,
}

impl Targeting {
    /// The condition that is meant; `None` when everyone is.
    pub fn condition(&self) -> Option<Condition> {
        match self {
            Self::Condition(condition) => Some(condition.clone()),
            Self::Short(short) => {
                let one_of = |attribute: &str, values: &Vec<String>| Condition::Compare {
                    attribute: attribute.to_owned(),
                    op: "in".to_owned(),
                    values: values.iter().cloned().map(Literal::String).collect(),
                };
                let parts: Vec<Condition> = [
                    short.countries.as_ref().map(|values| one_of("country", values)),
                    short.platforms.as_ref().map(|values| one_of("platform", values)),
                    short.user_segment.clone().map(Condition::Segment),
                ]
                .into_iter()
                .flatten()
                .collect();
                (!parts.is_empty()).then_some(Condition::All(parts))
            }
        }
    }
}

/// Every segment that a condition refers to, in order of appearance.
pub fn segments_of(condition: &Condition) -> Vec<&str> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().flat_map(segments_of).collect()
        }
        Condition::Not(part) => segments_of(part),
        Condition::Segment(key) => vec![key],
        Condition::Compare { .. } => Vec::new(),
    }
}
