//! What to do with a treatment, and the conditions that say so.

use serde::{Deserialize, Serialize};

/// What to do with a treatment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recommendation {
    /// Treatment.
    pub variant: String,
    /// What to do.
    pub action: RecommendedAction,
    /// What it rests on: to ship, all of them must be met.
    pub conditions: Vec<Condition>,
}

/// What to do with a treatment, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecommendedAction {
    /// It is better, and does no harm.
    Ship,
    /// There is not enough to decide.
    Continue,
    /// There is enough, and no reason to ship.
    End,
    /// It does harm, or its numbers cannot be believed.
    Abort,
}

/// One condition of a recommendation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RecommendationCondition))]
pub struct Condition {
    /// Which one.
    pub code: ConditionCode,
    /// Whether it is met.
    pub met: bool,
    /// The condition as a sentence.
    pub rule: String,
    /// Metrics or warnings that stand against it.
    #[serde(default)]
    pub unmet_by: Vec<String>,
}

/// The conditions of a recommendation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConditionCode {
    /// The group sizes fit the planned split.
    SampleRatio,
    /// No warning makes the numbers doubtful.
    DataQuality,
    /// No primary metric is significantly worse, and no guardrail asks for a pause.
    NoHarm,
    /// The horizon is reached, or a test that may stop early has decided.
    Conclusive,
    /// A primary metric is significantly better.
    PrimaryBetter,
    /// No guardrail alerts.
    GuardrailsQuiet,
    /// Every guardrail's interval excludes a degradation beyond its margin.
    GuardrailsNotInferior,
}
