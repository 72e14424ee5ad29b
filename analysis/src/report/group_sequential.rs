//! What the planned looks of a group-sequential test have found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A group-sequential test: its boundaries, and what its looks have found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GroupSequentialResult))]
pub struct GroupSequentialReport {
    /// Share of the planned information that is there now.
    pub information_rate: f64,
    /// Planned looks whose rate is reached.
    pub looks_due: u32,
    /// Two-sided alpha of this comparison: that of the experiment, divided by primaries × treatments.
    pub alpha: f64,
    /// Standard normal statistic of this analysis; withheld before the horizon.
    pub statistic: Option<f64>,
    /// Looks that were taken, each once; filled by whoever keeps the looks, as is all that follows.
    #[serde(default)]
    pub looks: Vec<TakenLook>,
    /// Boundaries of the looks that were taken, and then of those that are planned.
    #[serde(default)]
    pub boundaries: Vec<LookBoundary>,
    /// Repeated interval of the effect at the look that decided, or at the last one.
    #[serde(default)]
    pub ci: Option<[f64; 2]>,
    /// p-value by stagewise ordering, once the test has ended.
    #[serde(default)]
    pub p_value: Option<f64>,
    /// What the looks say.
    #[serde(default)]
    pub verdict: GroupSequentialVerdict,
}

/// What one planned look found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TakenLook {
    /// Number of the planned look, from 1; looks in between were missed.
    pub planned: u32,
    /// When it was taken.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub as_of: Timestamp,
    /// Share of the planned information that was there.
    pub information_rate: f64,
    /// Standard normal statistic.
    pub statistic: f64,
    /// Treatment − control.
    pub effect: f64,
    /// Standard error of the effect.
    pub se: f64,
}

/// Boundaries of one look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LookBoundary {
    /// Information rate of the look.
    pub information_rate: f64,
    /// |statistic| from which on the null is rejected; `None` where nothing may be spent.
    pub efficacy: Option<f64>,
    /// Statistic in the good direction at or below which it is advised to give up; `None` without.
    pub futility: Option<f64>,
    /// p-value at which the look by itself rejects.
    pub nominal_p: f64,
    /// Alpha that is spent by the look.
    pub cumulative_alpha: f64,
}

/// What the looks of a group-sequential test say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GroupSequentialVerdict {
    /// Nothing yet.
    #[default]
    Continue,
    /// A look crossed the boundary of efficacy, in either direction: the test has ended.
    Efficacy,
    /// The last look fell to the boundary of futility.
    Futility,
    /// All looks were taken, and none crossed.
    NotSignificant,
}
