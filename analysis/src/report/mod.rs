//! The report: everything computed about one experiment at one time.
//!
//! It has the shape of the results endpoint. Fixed-horizon values are always filled; hiding them
//! until the horizon is the API's duty, because only readers are bound by it. What is undefined is
//! `None` (`null`), with a word that says why; it is never 0, 1 or NaN.

mod sequential;
mod group_sequential;
mod recommendation;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use group_sequential::{
    GroupSequentialReport, GroupSequentialVerdict, LookBoundary, TakenLook,
};
pub use recommendation::{Condition, ConditionCode, Recommendation, RecommendedAction};
pub use sequential::{GuardrailReport, GuardrailVerdict, Sequential, SequentialAlternative};

use crate::plan::{Direction, GroupSequentialPlan, MetricRole, Scale};

/// Body of `POST /api/v1/reports`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportBatch {
    /// Environment id.
    pub environment: String,
    /// Generation of the plan that was followed.
    pub generation: u64,
    /// When the computation began.
    pub as_of: Timestamp,
    /// One report for each experiment of the plan.
    pub reports: Vec<Report>,
}

/// Results of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Experiment id.
    pub id: String,
    /// Experiment id, under the name that says so.
    pub experiment_id: String,
    /// Experiment name.
    pub experiment: String,
    /// Project name.
    pub project: String,
    /// Environment id.
    pub environment: String,
    /// Generation of the plan that was followed.
    pub generation: u64,
    /// When the computation began.
    pub as_of: Timestamp,
    /// Whether there is something to decide on.
    pub status: ReportStatus,
    /// Phase that the numbers are about.
    pub phase: u32,
    /// Config generations seen in the counted exposures, rising.
    pub generations: Vec<u64>,
    /// Two-sided significance level.
    pub alpha: f64,
    /// Units by variant; units seen in two variants are not among them.
    pub exposures: BTreeMap<String, u64>,
    /// Units seen in more than one variant, and therefore left out.
    pub excluded_multiple_variants: u64,
    /// Sample-ratio check; `None` when no unit was exposed.
    pub srm: Option<SrmReport>,
    /// One entry for each metric, in the order of the plan.
    pub metrics: Vec<MetricReport>,
    /// What a reader must know before believing the rest.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// What to do with each treatment, by what this report alone knows.
    #[serde(default)]
    pub recommendations: Vec<Recommendation>,
    /// Earlier analyses; filled by whoever keeps them.
    #[serde(default)]
    pub looks: Vec<Look>,
    /// What was planned, quoted.
    pub planned: Planned,
}

/// Whether a report has something to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// No unit was exposed.
    NoData,
    /// Neither the planned sample nor the planned end is reached.
    Collecting,
    /// The horizon is reached, or the experiment is completed.
    Ready,
}

/// What the experiment was registered with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ResultsPlan))]
pub struct Planned {
    /// Two-sided significance level.
    pub alpha: f64,
    /// Planned power.
    pub power: f64,
    /// Smallest effect worth detecting on the primary metric.
    pub min_detectable_effect: Option<f64>,
    /// Scale of `min_detectable_effect`.
    pub mde_type: Scale,
    /// Planned units by variant.
    pub required_units_per_variant: Option<BTreeMap<String, u64>>,
    /// Planned end.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub planned_end_at: Option<Timestamp>,
    /// Start of the current phase.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub phase_started_at: Option<Timestamp>,
    /// Whether every variant has its planned units.
    pub sample_reached: bool,
    /// Planned looks of a group-sequential test; `None` for none.
    #[serde(default)]
    pub group_sequential: Option<GroupSequentialPlan>,
}

/// Sample-ratio check: do the group sizes fit the split?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = SampleRatio))]
pub struct SrmReport {
    /// Pearson's chi-squared over arms with a positive share.
    pub statistic: Option<f64>,
    /// Its fixed-horizon p-value.
    pub p_value: Option<f64>,
    /// Always-valid p-value; may be looked at as often as one likes.
    pub sequential_p_value: Option<f64>,
    /// Its smallest value at any look of this phase; filled by whoever keeps the looks.
    #[serde(default)]
    pub running_p_value: Option<f64>,
    /// Whether the always-valid test is content (p ≥ 0.01).
    pub passed: bool,
    /// Units expected by variant.
    pub expected: BTreeMap<String, f64>,
    /// Day (UTC) by whose end the always-valid test had found a mismatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_on: Option<String>,
    /// Day (UTC) from which on the group sizes most likely do not fit; only with a detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset_on: Option<String>,
    /// Units by the day of their first exposure.
    #[serde(default)]
    pub days: Vec<DayExposures>,
}

/// Units first exposed on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DayExposures {
    /// The day (UTC), such as `2026-11-20`.
    pub day: String,
    /// Units by variant.
    pub exposures: BTreeMap<String, u64>,
}

/// One metric of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = MetricResult))]
pub struct MetricReport {
    /// Metric name.
    pub metric: String,
    /// What the metric is for in this experiment.
    pub role: MetricRole,
    /// `proportion`, `mean`, `count`, `sum`, `ratio`, `quantile`, `retention`, `funnel`.
    pub kind: String,
    /// Whether up is good.
    #[serde(default)]
    pub direction: Direction,
    /// Window after exposure, in milliseconds.
    #[serde(default)]
    pub window_ms: Option<i64>,
    /// Largest value that one unit contributed.
    #[serde(default)]
    pub cap: Option<f64>,
    /// Guardrails: tolerated degradation.
    #[serde(default)]
    pub max_degradation: Option<f64>,
    /// Scale of `max_degradation`.
    #[serde(default)]
    pub margin_type: Scale,
    /// `computed`, or the word that says why there is nothing: `not_computed`.
    pub status: MetricStatus,
    /// One entry for each variant, in the order of the plan.
    pub variants: Vec<VariantReport>,
}

/// Whether a metric was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MetricStatus {
    /// It was.
    Computed,
    /// This version has no right way to do so.
    NotComputed,
}

/// One variant's value of a metric and, for a treatment, its comparison with control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = VariantResult))]
pub struct VariantReport {
    /// Variant key.
    pub variant: String,
    /// Units (of the randomized unit type).
    pub n: u64,
    /// Mean, share, ratio or quantile.
    pub value: Option<f64>,
    /// Standard deviation of the unit's number.
    pub std_dev: Option<f64>,
    /// Funnels: units that reached each step, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub steps: Vec<u64>,
    /// Quantiles of values that were too many to keep: by how much the rank of `value` may be off, as
    /// a share of all values. The standard error contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_error: Option<f64>,
    /// Against control; absent for the control itself.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Comparison))]
    pub comparison: Option<Comparison>,
}

/// A treatment compared with control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comparison {
    /// Method's name, as `sortition stats --list` prints it.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub method: String,
    /// Why `p_value` is null, such as `too_few_units` or `zero_variance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
    /// Treatment − control.
    pub effect: Option<f64>,
    /// Standard error of the effect.
    pub se: Option<f64>,
    /// Interval of the effect at 1 − alpha.
    pub ci: Option<[f64; 2]>,
    /// Effect as a fraction of the control's absolute value.
    pub lift: Option<f64>,
    /// Interval of the lift; `None` also when it is unbounded.
    pub lift_ci: Option<[f64; 2]>,
    /// Two-sided, uncorrected, fixed-horizon.
    pub p_value: Option<f64>,
    /// Corrected: Holm over primaries × treatments, Benjamini–Hochberg over secondaries.
    pub p_adjusted: Option<f64>,
    /// Interval of the effect that allows for the other comparisons: at 1 − alpha/m among m primaries
    /// × treatments; among secondaries at the level of the false-coverage rate, for those that
    /// Benjamini–Hochberg selects.
    #[serde(default)]
    pub ci_adjusted: Option<[f64; 2]>,
    /// The same of the lift.
    #[serde(default)]
    pub lift_ci_adjusted: Option<[f64; 2]>,
    /// Fixed-horizon verdict.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub verdict: Verdict,
    /// Always-valid values, once they are computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Sequential>,
    /// Guardrails: what the always-valid evidence asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<GuardrailReport>,
    /// Planned looks that share alpha: primary metrics of experiments that plan any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_sequential: Option<GroupSequentialReport>,
    /// Probabilities of effects, given the data and a prior.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bayesian: Option<BayesianReport>,
    /// The same comparison, with each unit's number before its exposure taken into account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuped: Option<CupedReport>,
}

/// A comparison adjusted by what was known of each unit before its exposure (CUPED).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CupedResult))]
pub struct CupedReport {
    /// Why there is no estimate, such as `no_history` or `too_few_units`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
    /// How far before exposure the covariate reaches, in milliseconds.
    pub lookback_ms: i64,
    /// Units of both arms with events in that time; the others are a stratum of their own.
    pub n_with_history: u64,
    /// Coefficient of the covariate.
    pub theta: Option<f64>,
    /// 1 − adjusted over raw variance of the effect.
    pub variance_reduction: Option<f64>,
    /// Adjusted effect.
    pub effect: Option<f64>,
    /// Its standard error.
    pub se: Option<f64>,
    /// Interval of the adjusted effect at 1 − alpha.
    pub ci: Option<[f64; 2]>,
    /// Adjusted effect over the control's unadjusted absolute value.
    pub lift: Option<f64>,
    /// Interval of that lift; `None` also when it is unbounded.
    pub lift_ci: Option<[f64; 2]>,
    /// Two-sided, uncorrected, fixed-horizon.
    pub p_value: Option<f64>,
    /// Always-valid p-value of the adjusted effect.
    pub sequential_p_value: Option<f64>,
    /// Confidence sequence of the adjusted effect.
    pub sequential_ci: Option<[f64; 2]>,
    /// p-value of the covariate's own difference, which treatment cannot have made: below 0.001 the
    /// arms were not alike to begin with.
    pub pre_exposure_p_value: Option<f64>,
}

/// The Bayesian view of a comparison. Not to decide by: looked at again and again, it errs more often
/// than its numbers say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BayesianResult))]
pub struct BayesianReport {
    /// `beta_binomial` or `normal_normal`.
    pub method: String,
    /// Whether all that follows is about the lift or the effect.
    pub scale: Scale,
    /// Variance of the normal prior around no effect; `None` for the uniform one.
    pub prior_variance: Option<f64>,
    /// Posterior mean.
    pub mean: f64,
    /// Probability that treatment is better, in the metric's direction.
    pub prob_better: f64,
    /// What choosing treatment costs on average, for it may be worse.
    pub expected_loss: f64,
    /// What keeping control costs on average.
    pub expected_loss_control: f64,
    /// Equal-tailed interval with probability 1 − alpha.
    pub ci: [f64; 2],
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The corrected p-value is below alpha.
    Significant,
    /// It is not, with the planned sample reached.
    NotSignificant,
    /// It is not, and the planned sample is not reached.
    Underpowered,
    /// There is not enough to test, or the result is withheld until its horizon.
    Collecting,
}

/// Something that a reader must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ResultsWarning))]
pub struct Warning {
    /// Machine-readable word, such as `sample_ratio_mismatch`.
    pub code: String,
    /// The same as a sentence.
    pub detail: String,
}

/// One earlier analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Look {
    /// When it was computed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub as_of: Timestamp,
    /// Generation of its plan.
    pub generation: u64,
    /// Units by variant at that time.
    pub exposures: BTreeMap<String, u64>,
    /// Phase that it was about.
    #[serde(default)]
    pub phase: u32,
    /// Smallest always-valid p-value up to this look of the phase, by metric and treatment.
    #[serde(default)]
    pub running_p_values: BTreeMap<String, BTreeMap<String, f64>>,
    /// The same of the sample-ratio check.
    #[serde(default)]
    pub srm_running_p_value: Option<f64>,
    /// Planned looks taken up to this one in this phase, by metric and treatment.
    #[serde(default)]
    pub group_sequential: BTreeMap<String, BTreeMap<String, Vec<TakenLook>>>,
}
