//! Guardrails: must an experiment be paused because it does harm?
//!
//! ```text
//! # Question          Did a metric get worse by more than it may?
//! # Input             the lift (or, where that is undefined, the effect), the always-valid p-value in
//!                     the bad direction, the margin
//! # Formula           alert: p < 0.05 and worse by more than the margin, both strictly; pause: the same
//!                     with p < 0.01/(guardrails × treatments). To ship instead: the always-valid test
//!                     of "worse by at least the margin" must reject (non-inferiority)
//! # Assumes           a p-value that may be looked at every cycle: from `confidence_sequence` or
//!                     `count_mixture` in one direction. A fixed-horizon p checked daily for 30 days
//!                     pauses one healthy experiment in seven
//! # Numerics          comparisons only; what is undefined never pauses
//! # Reference         simulated: a fixed-horizon rule pauses 13.7 % of healthy experiments in 30
//!                     daily looks, 0.75 % with an always-valid p
//! ```

use super::Alternative;

/// Level of the alert.
pub const ALERT_ALPHA: f64 = 0.05;

/// Level of the pause, to be divided by guardrails × treatments.
pub const PAUSE_ALPHA: f64 = 0.01;

/// Degradation that is tolerated when none is registered: 5 % of the control's value.
pub const MARGIN: f64 = 0.05;

/// What a guardrail asks for, from mild to severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuardrailAction {
    /// Nothing.
    Continue,
    /// Somebody should look.
    Alert,
    /// The experiment must be paused.
    Pause,
}

impl GuardrailAction {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Alert => "alert",
            Self::Pause => "pause",
        }
    }
}

/// Levels of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// p-value below which it alerts.
    pub alert: f64,
    /// p-value below which it pauses.
    pub pause: f64,
}

impl Levels {
    /// The default levels for so many guardrails and treatments of one experiment.
    pub fn of(n_guardrails: usize, n_treatments: usize) -> Self {
        let tests = (n_guardrails * n_treatments).max(1);
        Self { alert: ALERT_ALPHA, pause: PAUSE_ALPHA / tests as f64 }
    }

    /// One level for both: the plain rule of a single look.
    pub const fn plain(alpha: f64) -> Self {
        Self { alert: alpha, pause: alpha }
    }
}

/// How much worse a change is: positive when it goes in the bad direction.
pub fn degradation(change: f64, bad: Alternative) -> f64 {
    match bad {
        Alternative::Greater => change,
        Alternative::Less => -change,
        Alternative::TwoSided => change.abs(),
    }
}

/// What the evidence asks for: `degradation` on the scale of `margin`, `p_value` in the bad direction.
pub fn judge(degradation: f64, margin: f64, p_value: f64, levels: Levels) -> GuardrailAction {
    let beyond = degradation > margin;
    if beyond && p_value < levels.pause {
        GuardrailAction::Pause
    } else if beyond && p_value < levels.alert {
        GuardrailAction::Alert
    } else {
        GuardrailAction::Continue
    }
}
