//! The metric catalogue: rules that turn a unit's events into a number.

use super::{IsoDuration, NoState, schema};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A metric as authored. Which of the optional fields belong to it depends on its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricDefinition {
    /// Name, unique in the project.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// What it measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// How events become a unit's value and how variants are compared.
    pub kind: MetricKind,
    /// Name of the events; every kind but `ratio` and `funnel` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128, min_length = 1)]
    pub event: Option<String>,
    /// Which direction is good.
    #[serde(default)]
    #[schema(default = "increase")]
    pub direction: Direction,
    /// Which quantile, above 0 and below 1; `quantile` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0.0, exclusive_maximum = 1.0)]
    pub quantile: Option<f64>,
    /// What is divided; `ratio` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerator: Option<RatioPartDefinition>,
    /// By what it is divided; `ratio` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<RatioPartDefinition>,
    /// Names of the events of a funnel, in order; `funnel` needs two or more, all different.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub steps: Vec<String>,
    /// Time after exposure from which on a unit that comes back is retained; `retention` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Duration>)]
    pub after: Option<IsoDuration>,
    /// Time after exposure in which events count; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Duration>)]
    pub window: Option<IsoDuration>,
    /// Largest value of a unit; larger ones count as this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0.0)]
    pub cap: Option<f64>,
    /// Value of an untreated unit as known so far: the mean, or the proportion. Sample sizes are planned from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    /// Standard deviation between units as known so far. Sample sizes of means are planned from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0.0)]
    pub std_dev: Option<f64>,
}

/// How events become a unit's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Sum of the unit's event values.
    Mean,
    /// Number of the unit's events.
    Count,
    /// The same as `mean`.
    Sum,
    /// Whether the unit has such an event some time after its exposure.
    Retention,
    /// Whether the unit took several steps in order.
    Funnel,
    /// Whether the unit has any such event.
    Proportion,
    /// One total over another.
    Ratio,
    /// A quantile of the event values.
    Quantile,
}

/// Which direction is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    #[default]
    Increase,
    /// Less is better.
    Decrease,
}

/// One side of a ratio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioPartDefinition {
    /// Name of the events.
    #[schema(max_length = 128, min_length = 1)]
    pub event: String,
    /// What is added up.
    #[serde(default)]
    #[schema(default = "count")]
    pub aggregation: RatioAggregation,
}

/// What one side of a ratio adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RatioAggregation {
    /// Number of events.
    #[default]
    Count,
    /// Sum of their values.
    Sum,
}

/// Nothing is added to a metric.
pub type MetricState = NoState;

impl MetricDefinition {
    /// Every event name that feeds the metric.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        let parts = [&self.numerator, &self.denominator];
        self.event
            .as_deref()
            .into_iter()
            .chain(parts.into_iter().flatten().map(|part| part.event.as_str()))
            .chain(self.steps.iter().map(String::as_str))
    }
}
