//! What may be looked at at any time: always-valid values of a comparison, and what guardrails ask for.

use serde::{Deserialize, Serialize};

use crate::report::Verdict;

/// Values that may be looked at at any time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = SequentialResult))]
pub struct Sequential {
    /// `confidence_sequence` or `count_mixture`: the method of the p-value.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub method: String,
    /// What the p-value is about: two-sided, or the bad direction of a guardrail.
    #[serde(default)]
    pub alternative: SequentialAlternative,
    /// Units of both arms whose window has closed, or all of them without a window.
    #[serde(default)]
    pub n: u64,
    /// Whether the metric has no window, so that a unit's number may still grow.
    #[serde(default)]
    pub cumulative: bool,
    /// Always-valid p-value of this look.
    pub p_value: Option<f64>,
    /// The smallest one at any look of this phase, which is valid as well; filled by whoever keeps the
    /// looks.
    #[serde(default)]
    pub running_p_value: Option<f64>,
    /// Corrected: Holm over primaries × treatments, Benjamini–Hochberg over secondaries.
    #[serde(default)]
    pub p_adjusted: Option<f64>,
    /// Confidence sequence of the effect, two-sided.
    pub ci: Option<[f64; 2]>,
    /// Confidence sequence of the lift, two-sided.
    pub lift_ci: Option<[f64; 2]>,
    /// Why nothing may be decided yet, such as `asymptotics_not_reached`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Always-valid verdict.
    pub verdict: Verdict,
}

/// Direction of an always-valid test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SequentialAlternative {
    /// Treatment differs.
    #[default]
    TwoSided,
    /// Treatment is greater.
    Greater,
    /// Treatment is less.
    Less,
}

/// What a guardrail asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardrailResult))]
pub struct GuardrailReport {
    /// `continue`, `alert` or `pause`.
    pub action: GuardrailVerdict,
    /// How much worse than control, on the scale of the margin; negative is better. `None` when it is
    /// undefined, or without bound because the control is zero.
    pub degradation: Option<f64>,
    /// How much is tolerated.
    pub margin: f64,
    /// Always-valid p-value below which it alerts.
    pub alert_below: f64,
    /// Always-valid p-value below which it pauses.
    pub pause_below: f64,
}

/// What a guardrail asks for, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GuardrailVerdict {
    /// Nothing.
    Continue,
    /// Somebody should look.
    Alert,
    /// The experiment must be paused.
    Pause,
}
