//! What a simulation answers: rates with their Monte Carlo error.

use serde::{Deserialize, Serialize};

use super::outcome::{Cell, Outcome};
use super::scenario::Scenario;
use super::world::variant_name;
use crate::methods::Alpha;
use crate::methods::proportions::clopper_pearson;
use crate::plan::MetricRole;
use crate::stats::{Moments, Successes};

/// What came out of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// Version of the code that computed it.
    pub code_version: String,
    /// What was simulated, with its seed.
    pub scenario: Scenario,
    /// Units of all variants at each look.
    pub looks: Vec<u64>,
    /// The sample-ratio check.
    pub srm: SrmRates,
    /// One entry for each metric and treatment.
    pub comparisons: Vec<ComparisonRates>,
    /// All comparisons together; none when there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyRates>,
}

/// A share of runs, with an interval that covers the true share in 95 % of simulations (Clopper and
/// Pearson's).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Runs with the outcome.
    pub count: u64,
    /// Runs that could have it.
    pub of: u64,
    /// count/of; null without any run.
    pub rate: Option<f64>,
    /// Monte Carlo error: the 95 % interval.
    pub band: Option<[f64; 2]>,
}

impl Rate {
    /// A share of runs.
    pub fn new(count: u64, of: u64) -> Self {
        let arm = Successes::try_new(of, count);
        let interval = arm.and_then(|arm| clopper_pearson(arm, Alpha::DEFAULT).ok());
        Self {
            count,
            of,
            rate: arm.and_then(Successes::share),
            band: interval.map(|interval| [interval.lo, interval.hi]),
        }
    }
}

/// A mean over runs with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanOfRuns {
    /// Runs.
    pub of: u64,
    /// Their mean; null without any.
    pub mean: Option<f64>,
    /// Standard error of the mean; null below two runs.
    pub se: Option<f64>,
}

impl MeanOfRuns {
    fn new(moments: &Moments) -> Self {
        Self {
            of: moments.n(),
            mean: (moments.n() > 0).then(|| moments.mean()),
            se: moments.variance_of_mean().map(f64::sqrt),
        }
    }
}

/// Alarms of the sample-ratio check.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SrmRates {
    /// The always-valid alert at any look.
    pub alarmed: Rate,
    /// Pearson's test at the horizon, p < 0.01.
    pub fixed_horizon: Rate,
}

/// One treatment's comparison on one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRates {
    /// Metric.
    pub metric: String,
    /// Treatment.
    pub variant: String,
    /// True lift.
    pub lift: f64,
    /// True effect in the metric's unit.
    pub effect: f64,
    /// The fixed-horizon test at the last look.
    pub fixed_horizon: FixedRates,
    /// The always-valid test at every look.
    pub always_valid: SequentialRates,
    /// With planned looks: the group-sequential test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_sequential: Option<PlannedLookRates>,
    /// With histories: the comparison that takes them into account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusted: Option<AdjustedRates>,
    /// Guardrails: what was asked for at any look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<GuardrailRates>,
}

/// Rates of the fixed-horizon test. Without an effect `rejected` is the false-positive rate, with one
/// the power.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FixedRates {
    /// p < alpha at the horizon, uncorrected.
    pub rejected: Rate,
    /// The same with a positive effect.
    pub rejected_up: Rate,
    /// The same with a negative effect.
    pub rejected_down: Rate,
    /// The corrected verdict.
    pub rejected_corrected: Rate,
    /// p < alpha at any look: what comes of looking at a fixed-horizon test before its horizon.
    pub rejected_at_any_look: Rate,
    /// The interval of the effect holds the true one.
    pub covered: Rate,
    /// The interval of the lift is bounded.
    pub lift_bounded: Rate,
    /// It holds the true one, among those that are bounded.
    pub lift_covered: Rate,
    /// Estimated effect.
    pub mean_effect: MeanOfRuns,
}

/// Rates of the always-valid test, over all looks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SequentialRates {
    /// p < alpha at any look, uncorrected.
    pub rejected: Rate,
    /// The corrected verdict at any look.
    pub rejected_corrected: Rate,
    /// The intervals of all looks hold the true effect, among runs with a look past the gate.
    pub covered_at_all_looks: Rate,
    /// Runs that never passed the gate, and so decided nothing.
    pub gated: Rate,
    /// When the test stops.
    pub stopping: Stopping,
}

/// Units of all variants at which runs stop; those that never do count as stopping last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stopping {
    /// By which a tenth of the runs stopped; null when fewer did.
    pub p10: Option<u64>,
    /// By which half of the runs stopped.
    pub p50: Option<u64>,
    /// By which four fifths of the runs stopped.
    pub p80: Option<u64>,
    /// By which nine tenths of the runs stopped.
    pub p90: Option<u64>,
    /// Runs that stopped first at each look.
    pub by_look: Vec<u64>,
}

impl Stopping {
    fn new(by_look: &[u64], looks: &[u64], runs: u64) -> Self {
        let by = |share: f64| {
            let mut sum = 0;
            by_look.iter().zip(looks).find_map(|(n, units)| {
                sum += n;
                (sum as f64 >= share * runs as f64 && runs > 0).then_some(*units)
            })
        };
        Self { p10: by(0.1), p50: by(0.5), p80: by(0.8), p90: by(0.9), by_look: by_look.to_vec() }
    }
}

/// Rates of the group-sequential test over its looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLookRates {
    /// A look crossed the boundary of efficacy.
    pub rejected: Rate,
    /// A look before that advised to give up.
    pub advised_to_give_up: Rate,
    /// When it crossed.
    pub stopping: Stopping,
}

/// Rates of the comparison adjusted by histories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdjustedRates {
    /// p < alpha at the horizon.
    pub rejected: Rate,
    /// The interval holds the true effect.
    pub covered: Rate,
    /// Always-valid p < alpha at any look.
    pub sequential_rejected: Rate,
    /// Estimated effect.
    pub mean_effect: MeanOfRuns,
    /// Variance of the estimated effect over runs, relative to that of the unadjusted one.
    pub variance_ratio: Option<f64>,
}

/// What a guardrail asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardrailRates {
    /// An alert or a pause at any look.
    pub alerted: Rate,
    /// A pause at any look.
    pub paused: Rate,
    /// When.
    pub pausing: Stopping,
}

/// All comparisons together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FamilyRates {
    /// A corrected fixed-horizon verdict finds an effect where there is none.
    pub any_false: Rate,
    /// The same of the always-valid verdict at any look.
    pub any_false_always_valid: Rate,
    /// Mean share of false ones among the effects that corrected fixed-horizon verdicts find (the
    /// false-discovery rate).
    pub false_discovery: MeanOfRuns,
}

/// Rates from counts.
pub(super) fn summarise(scenario: &Scenario, outcome: &Outcome) -> Simulation {
    let runs = outcome.runs;
    let looks: Vec<u64> = scenario.schedule().into_iter().map(|(units, _)| units).collect();
    let treatments = scenario.lifts.len();
    let comparisons = outcome.cells.iter().enumerate().map(|(place, cell)| {
        let (metric, treatment) = (place / treatments, place % treatments);
        let truth = scenario.effect(metric, treatment);
        ComparisonRates {
            metric: format!("metric_{}", metric + 1),
            variant: variant_name(treatment + 1),
            lift: truth.lift,
            effect: truth.effect,
            fixed_horizon: fixed(cell, runs),
            always_valid: sequential(cell, &looks, runs),
            group_sequential: scenario.spending.map(|_| PlannedLookRates {
                rejected: Rate::new(cell.crossed.iter().sum(), runs),
                advised_to_give_up: Rate::new(cell.futile, runs),
                stopping: Stopping::new(&cell.crossed, &looks, runs),
            }),
            adjusted: scenario.history.map(|_| adjusted(cell, runs)),
            guardrail: (scenario.role == MetricRole::Guardrail).then(|| GuardrailRates {
                alerted: Rate::new(cell.alerted, runs),
                paused: Rate::new(cell.paused.iter().sum(), runs),
                pausing: Stopping::new(&cell.paused, &looks, runs),
            }),
        }
    });
    Simulation {
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: scenario.clone(),
        srm: SrmRates {
            alarmed: Rate::new(outcome.srm_alarms, runs),
            fixed_horizon: Rate::new(outcome.srm_fixed, runs),
        },
        comparisons: comparisons.collect(),
        family: (outcome.cells.len() > 1).then(|| FamilyRates {
            any_false: Rate::new(outcome.any_false, runs),
            any_false_always_valid: Rate::new(outcome.any_false_sequential, runs),
            false_discovery: MeanOfRuns::new(&outcome.false_share),
        }),
        looks,
    }
}

fn fixed(cell: &Cell, runs: u64) -> FixedRates {
    FixedRates {
        rejected: Rate::new(cell.up + cell.down, cell.tested),
        rejected_up: Rate::new(cell.up, cell.tested),
        rejected_down: Rate::new(cell.down, cell.tested),
        rejected_corrected: Rate::new(cell.corrected, cell.tested),
        rejected_at_any_look: Rate::new(cell.peeked, runs),
        covered: Rate::new(cell.covered, cell.tested),
        lift_bounded: Rate::new(cell.lift_bounded, cell.tested),
        lift_covered: Rate::new(cell.lift_covered, cell.lift_bounded),
        mean_effect: MeanOfRuns::new(&cell.effect),
    }
}

fn sequential(cell: &Cell, looks: &[u64], runs: u64) -> SequentialRates {
    SequentialRates {
        rejected: Rate::new(cell.stopped.iter().sum(), runs),
        rejected_corrected: Rate::new(cell.sequential_corrected, runs),
        covered_at_all_looks: Rate::new(cell.always_covered, cell.decidable),
        gated: Rate::new(runs - cell.decidable, runs),
        stopping: Stopping::new(&cell.stopped, looks, runs),
    }
}

fn adjusted(cell: &Cell, runs: u64) -> AdjustedRates {
    let spread = |moments: &Moments| moments.variance().filter(|variance| *variance > 0.0);
    AdjustedRates {
        rejected: Rate::new(cell.adjusted_rejected, cell.adjusted),
        covered: Rate::new(cell.adjusted_covered, cell.adjusted),
        sequential_rejected: Rate::new(cell.adjusted_sequential, runs),
        mean_effect: MeanOfRuns::new(&cell.adjusted_effect),
        variance_ratio: spread(&cell.adjusted_effect)
            .zip(spread(&cell.effect))
            .map(|(adjusted, raw)| adjusted / raw),
    }
}
