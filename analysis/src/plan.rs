//! The analysis plan: what publishing asks the analysis to answer.
//!
//! The control plane writes one plan beside each published config, under the same generation; it is
//! the only thing that the analysis knows about experiments. Fields may be added, never renamed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything to be analysed in one environment, as of one generation of its config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Project name; the lake's `tenant`.
    pub project: String,
    /// Environment id.
    pub environment: String,
    /// Generation of the config that was published with this plan.
    pub generation: u64,
    /// When the plan was compiled.
    pub created_at: Timestamp,
    /// Running, paused and completed experiments (the last two for 72 h after their end).
    #[serde(default)]
    pub experiments: Vec<PlannedExperiment>,
}

/// One experiment of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedExperiment {
    /// Experiment id.
    pub id: String,
    /// Name, which is the key that exposures carry.
    pub experiment: String,
    /// Where in its life the experiment is.
    pub status: PlannedStatus,
    /// Unit that is randomized; only events of this unit type count.
    pub unit_type: String,
    /// Number of the current phase, from 1. A new phase begins when the split changes.
    #[serde(default = "first_phase")]
    pub phase: u32,
    /// When the current phase began.
    #[serde(default)]
    pub phase_started_at: Option<Timestamp>,
    /// First generation of the current phase; exposures of older generations belong to past phases.
    #[serde(default)]
    pub phase_generation: u64,
    /// When the experiment first started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` while it runs.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Two-sided significance level.
    pub alpha: f64,
    /// Planned power.
    pub power: f64,
    /// Smallest effect worth detecting on the primary metric.
    #[serde(default)]
    pub min_detectable_effect: Option<f64>,
    /// Scale of `min_detectable_effect`.
    #[serde(default)]
    pub mde_type: Scale,
    /// Planned units by variant; `None` when no baseline was known.
    #[serde(default)]
    pub required_units_per_variant: Option<BTreeMap<String, u64>>,
    /// Planned end.
    #[serde(default)]
    pub planned_end_at: Option<Timestamp>,
    /// Planned looks of a group-sequential test of the primary metrics; `None` for none.
    #[serde(default)]
    pub group_sequential: Option<GroupSequentialPlan>,
    /// How far before a unit's first exposure its covariates reach, in milliseconds; 14 days by
    /// default, 0 for no covariates.
    #[serde(default = "two_weeks_ms")]
    pub covariate_lookback_ms: i64,
    /// Variants in their order.
    pub variants: Vec<PlannedVariant>,
    /// Metrics in their order.
    #[serde(default)]
    pub metrics: Vec<PlannedMetric>,
}

impl PlannedExperiment {
    /// Index of the control in `variants`: the marked one, else the first.
    pub fn control(&self) -> usize {
        self.variants.iter().position(|variant| variant.control).unwrap_or(0)
    }
}

/// Planned looks that share alpha.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GroupSequentialPlan {
    /// Information rates of the looks: shares of the planned sample, rising, the last one 1.
    pub rates: Vec<f64>,
    /// How alpha is spent over them.
    #[serde(default)]
    pub spending: SpendingFunction,
    /// Whether there are boundaries of futility, at the planned power. Crossing one advises to give up
    /// and forces nothing.
    #[serde(default)]
    pub futility: bool,
}

/// How much of alpha may be used by an information rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpendingFunction {
    /// O'Brien and Fleming's type: little at first, most of it at the end.
    #[default]
    ObrienFleming,
    /// Pocock's type: much the same at each look.
    Pocock,
}

const fn first_phase() -> u32 {
    1
}

/// Default of [`PlannedExperiment::covariate_lookback_ms`].
pub const fn two_weeks_ms() -> i64 {
    14 * 24 * 3_600_000
}

/// Life of an experiment, as far as analysis cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedStatus {
    /// Assigning new units.
    Running,
    /// Held; late events still count.
    Paused,
    /// Ended; late events still count.
    Completed,
}

/// Whether a number is a fraction of the control's value or in the metric's own unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = EffectScale))]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// A fraction of the control's value: 0.02 is +2 %.
    #[default]
    Relative,
    /// In the metric's own unit.
    Absolute,
}

/// One variant of a planned experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedVariant {
    /// Variant key, as exposures carry it.
    pub variant: String,
    /// Planned share of the experiment's units, in 1/10,000; 0 means that nobody should be here.
    pub share: u32,
    /// Whether the others are compared against this one.
    #[serde(default)]
    pub control: bool,
}

/// One metric of a planned experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedMetric {
    /// Metric name.
    pub metric: String,
    /// What the metric is for in this experiment.
    #[serde(default)]
    pub role: MetricRole,
    /// How a unit's events become a number.
    #[serde(flatten)]
    pub kind: MetricKind,
    /// Whether up is good.
    #[serde(default)]
    pub direction: Direction,
    /// Time after a unit's first exposure in which events count, in milliseconds; `None` is for ever.
    #[serde(default)]
    pub window_ms: Option<i64>,
    /// Largest value that one unit may contribute, in the metric's unit.
    #[serde(default)]
    pub cap: Option<f64>,
    /// Control's value as it was expected when the metric was registered; tunes tests that count, and
    /// must not be taken from the experiment's own data.
    #[serde(default)]
    pub baseline: Option<f64>,
    /// Guardrails: how much worse than control is still tolerated.
    #[serde(default)]
    pub max_degradation: Option<f64>,
    /// Scale of `max_degradation`.
    #[serde(default)]
    pub margin_type: Scale,
}

/// What a metric is for in an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MetricRole {
    /// Decides; Holm-corrected over primaries × treatments.
    Primary,
    /// Explains; Benjamini–Hochberg.
    #[default]
    Secondary,
    /// Must not get worse by more than a margin.
    Guardrail,
}

/// Whether up is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = MetricDirection))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    #[default]
    Increase,
    /// Less is better.
    Decrease,
}

/// How a unit's events become a number, and variants a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MetricKind {
    /// Share of units with at least one such event after exposure.
    Proportion {
        /// Event name.
        event: String,
    },
    /// Mean over units of the sum of their event values; a unit without events counts as zero.
    Mean {
        /// Event name.
        event: String,
    },
    /// Mean over units of the number of their events.
    Count {
        /// Event name.
        event: String,
    },
    /// The same number as [`Self::Mean`], under the word that says how events become it.
    Sum {
        /// Event name.
        event: String,
    },
    /// Share of units with such an event at least `after_ms` after exposure (and inside the window).
    Retention {
        /// Event name.
        event: String,
        /// Time after a unit's first exposure from which on events count, in milliseconds.
        after_ms: i64,
    },
    /// Share of units that took every step after exposure, each not before the one ahead of it.
    Funnel {
        /// Event names, in order.
        steps: Vec<String>,
    },
    /// Ratio of two sums over units, such as clicks per view.
    Ratio {
        /// What is counted or summed above the line.
        numerator: RatioPart,
        /// What is counted or summed below the line.
        denominator: RatioPart,
    },
    /// Quantile of event values, clustered by unit.
    Quantile {
        /// Event name.
        event: String,
        /// Which quantile, in (0, 1).
        quantile: f64,
    },
}

impl MetricKind {
    /// The word for it in plans and reports.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Proportion { .. } => "proportion",
            Self::Mean { .. } => "mean",
            Self::Count { .. } => "count",
            Self::Sum { .. } => "sum",
            Self::Retention { .. } => "retention",
            Self::Funnel { .. } => "funnel",
            Self::Ratio { .. } => "ratio",
            Self::Quantile { .. } => "quantile",
        }
    }
}

/// One side of a ratio metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatioPart {
    /// Event name.
    pub event: String,
    /// How a unit's events become a number.
    #[serde(default)]
    pub aggregation: Aggregation,
}

/// How the events of one unit become a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Number of events.
    #[default]
    Count,
    /// Sum of event values.
    Sum,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_back_as_it_was_written() {
        let text = r#"{"project":"default","environment":"production-k3v9x2mq","generation":42,
          "created_at":"2026-11-20T10:00:00Z","experiments":[{"id":"0192","experiment":"checkout",
          "status":"running","unit_type":"user_id","phase":2,"phase_started_at":"2026-11-20T09:00:00Z",
          "phase_generation":41,"started_at":"2026-11-19T09:00:00Z","ended_at":null,"alpha":0.05,
          "power":0.8,"min_detectable_effect":0.02,"mde_type":"relative",
          "required_units_per_variant":{"control":10},"planned_end_at":null,
          "variants":[{"variant":"control","share":5000,"control":true},{"variant":"t","share":5000}],
          "metrics":[{"metric":"conversion","role":"primary","kind":"proportion","event":"purchase",
            "direction":"increase","window_ms":null,"cap":null},
           {"metric":"p99","role":"guardrail","kind":"quantile","quantile":0.99,"event":"page_load",
            "max_degradation":0.05,"margin_type":"relative"},
           {"metric":"ctr","kind":"ratio","numerator":{"event":"click","aggregation":"count"},
            "denominator":{"event":"view"}}]}]}"#;
        let plan: Plan = serde_json::from_str(text).unwrap();
        let experiment = &plan.experiments[0];
        assert_eq!(experiment.control(), 0);
        assert_eq!(experiment.metrics[2].role, MetricRole::Secondary);
        assert_eq!(
            experiment.metrics[1].kind,
            MetricKind::Quantile { event: "page_load".into(), quantile: 0.99 }
        );
        let again = serde_json::from_str::<Plan>(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan);
    }
}
