//! What is simulated: an experiment as it could be registered, and how its units behave.

use serde::{Deserialize, Serialize};

use super::law::Law;
use crate::plan::{Direction, MetricRole, SpendingFunction};

/// A simulated experiment. Everything but the law has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// How the units' numbers are spread.
    pub outcome: Law,
    /// Stages of the experiment. Each begins a new phase, as a changed split does, and is analysed by
    /// itself.
    pub stages: Vec<Stage>,
    /// Relative effect of each treatment.
    pub lifts: Vec<f64>,
    /// Looks at even distances; those at the ends of stages are among them.
    pub looks: u32,
    /// The looks share alpha by this spending function, in a group-sequential test with boundaries of
    /// futility; none without such a test. Needs a single stage and a primary metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spending: Option<SpendingFunction>,
    /// Metrics of one law.
    pub metrics: u32,
    /// How many of them, the first ones, have the lifts; the others have none.
    pub affected: u32,
    /// What the metrics are for.
    pub role: MetricRole,
    /// Whether up is good: guardrails look the other way.
    pub direction: Direction,
    /// Correlation of the metrics' latent normal numbers.
    pub correlation: f64,
    /// Correlation of a unit's number with its history; none without histories.
    pub history: Option<f64>,
    /// Significance level.
    pub alpha: f64,
    /// Experiments to draw.
    pub runs: u64,
    /// Seed of all random numbers.
    pub seed: u64,
}

/// A time with one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Units of all variants.
    pub units: u64,
    /// Planned split: control first, then treatments, on any scale.
    pub split: Vec<f64>,
    /// The split that units really get, where that is not the planned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faulty_split: Option<Vec<f64>>,
}

/// Most units of one run.
pub const MOST_UNITS: u64 = 100_000_000;

impl Default for Scenario {
    /// An A/A experiment: 10 000 normal units, half of them treated, ten looks.
    fn default() -> Self {
        Self {
            outcome: Law::Normal { mean: 10.0, std_dev: 5.0 },
            stages: vec![Stage { units: 10_000, split: vec![1.0, 1.0], faulty_split: None }],
            lifts: vec![0.0],
            looks: 10,
            spending: None,
            metrics: 1,
            affected: 1,
            role: MetricRole::Primary,
            direction: Direction::Increase,
            correlation: 0.0,
            history: None,
            alpha: 0.05,
            runs: 1000,
            seed: 1,
        }
    }
}

/// Why a scenario cannot be drawn: the field and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct ScenarioError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub rule: String,
}

impl Scenario {
    /// Units of all variants and stages.
    pub fn n_units(&self) -> u64 {
        self.stages.iter().fold(0, |sum, stage| sum.saturating_add(stage.units))
    }

    /// Checks every field.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let fault = |field, rule: String| Err(ScenarioError { field, rule });
        if let Some(rule) = self.outcome.fault() {
            return fault("outcome", rule);
        }
        if self.stages.is_empty() || self.stages.len() > 50 {
            return fault("stages", "there must be 1 to 50".to_owned());
        }
        let variants = self.lifts.len() + 1;
        if !(2..=20).contains(&variants) {
            return fault("lifts", "there must be 1 to 19, one for each treatment".to_owned());
        }
        if let Some(rule) = self.lifts.iter().find_map(|lift| self.outcome.lift_fault(*lift)) {
            return fault("lifts", rule);
        }
        for stage in &self.stages {
            for split in [Some(&stage.split), stage.faulty_split.as_ref()].into_iter().flatten() {
                if let Some(rule) = split_fault(split, variants) {
                    return fault("split", rule);
                }
            }
            if stage.units < variants as u64 {
                return fault("units", format!("must be at least {variants}, one a variant"));
            }
        }
        if self.n_units() > MOST_UNITS {
            return fault("units", format!("must be at most {MOST_UNITS} in all"));
        }
        if self.looks == 0 || self.looks > 10_000 || u64::from(self.looks) > self.n_units() {
            return fault("looks", "must be 1 to 10000, and no more than units".to_owned());
        }
        let plans_looks = self.spending.is_some();
        if plans_looks && (self.looks > 30 || self.stages.len() > 1) {
            return fault("spending", "needs a single stage and at most 30 looks".to_owned());
        }
        if plans_looks && self.role != MetricRole::Primary {
            return fault("spending", "needs primary metrics".to_owned());
        }
        if self.metrics == 0 || self.metrics > 1000 {
            return fault("metrics", "must be 1 to 1000".to_owned());
        }
        if self.affected > self.metrics {
            return fault("affected", "must be no more than metrics".to_owned());
        }
        if !(0.0..=1.0).contains(&self.correlation) {
            return fault("correlation", "must be between 0 and 1".to_owned());
        }
        if self.history.is_some_and(|history| !(-1.0..=1.0).contains(&history)) {
            return fault("history", "must be between -1 and 1".to_owned());
        }
        if self.history.is_some() && self.outcome.is_ratio() {
            return fault("history", "ratios and clusters have none".to_owned());
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return fault("alpha", "must be between 0 and 1".to_owned());
        }
        if self.runs == 0 || self.runs > 100_000_000 {
            return fault("runs", "must be 1 to 100000000".to_owned());
        }
        Ok(())
    }

    /// Units of all variants at each look, and whether a stage ends there.
    pub fn schedule(&self) -> Vec<(u64, bool)> {
        let n = self.n_units();
        let looks = u64::from(self.looks);
        let mut ends = Vec::with_capacity(self.stages.len());
        let mut sum = 0;
        for stage in &self.stages {
            sum += stage.units;
            ends.push(sum);
        }
        let even = (1..=looks).map(|k| n * k / looks);
        let mut at: Vec<u64> = even.filter(|at| *at > 0).chain(ends.iter().copied()).collect();
        at.sort_unstable();
        at.dedup();
        at.into_iter().map(|at| (at, ends.contains(&at))).collect()
    }
}

/// A split in 1/10 000, which is what a plan can say; the largest part takes what rounding leaves.
pub(super) fn shares(split: &[f64]) -> Vec<u32> {
    let total: f64 = split.iter().sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 10 000 is a small number"
    )]
    let mut shares: Vec<u32> =
        split.iter().map(|part| (part / total * 10_000.0).round() as u32).collect();
    let sum: u32 = shares.iter().sum();
    if let Some(largest) = shares.iter_mut().max() {
        *largest = (*largest + 10_000).saturating_sub(sum);
    }
    shares
}

fn split_fault(split: &[f64], variants: usize) -> Option<String> {
    if split.len() != variants {
        return Some(format!("must have {variants} parts, control first, one for each lift"));
    }
    let sound = split.iter().all(|part| *part > 0.0 && part.is_finite());
    if !sound || shares(split).contains(&0) {
        return Some("every part must be positive, and 0.01 % of all at least".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_reads_back_and_unknown_fields_are_refused() {
        let text = r#"{"outcome": {"law": "bernoulli", "rate": 0.05}, "lifts": [0.1],
            "stages": [{"units": 1000, "split": [9, 1]}], "role": "guardrail"}"#;
        let scenario: Scenario = serde_json::from_str(text).unwrap();
        assert_eq!(scenario.check(), Ok(()));
        let again = serde_json::to_string(&scenario).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&again).unwrap(), scenario);
        assert!(serde_json::from_str::<Scenario>(r#"{"lift": [0.1]}"#).is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let field = |change: fn(&mut Scenario)| {
            let mut scenario = Scenario::default();
            change(&mut scenario);
            scenario.check().err().map(|error| error.field)
        };
        assert_eq!(field(|_| {}), None);
        assert_eq!(field(|s| s.lifts = vec![]), Some("lifts"));
        assert_eq!(field(|s| s.lifts = vec![-1.0]), Some("lifts"));
        assert_eq!(field(|s| s.stages[0].split = vec![1.0]), Some("split"));
        assert_eq!(field(|s| s.stages[0].split = vec![1.0, 0.0]), Some("split"));
        assert_eq!(field(|s| s.stages[0].units = 1), Some("units"));
        assert_eq!(field(|s| s.looks = 0), Some("looks"));
        assert_eq!(field(|s| s.alpha = f64::NAN), Some("alpha"));
        assert_eq!(field(|s| s.correlation = 1.5), Some("correlation"));
        assert_eq!(field(|s| s.runs = 0), Some("runs"));
        assert_eq!(field(|s| s.affected = 2), Some("affected"));
        let planned = |s: &mut Scenario| s.spending = Some(SpendingFunction::Pocock);
        assert_eq!(field(planned), None);
        assert_eq!(
            field(|s| (s.spending, s.looks) = (Some(SpendingFunction::Pocock), 31)),
            Some("spending")
        );
    }

    #[test]
    fn looks_are_even_and_at_the_ends_of_stages() {
        let mut scenario = Scenario { looks: 4, ..Scenario::default() };
        scenario.stages[0].units = 1000;
        scenario.stages.push(Stage { units: 3000, split: vec![1.0, 1.0], faulty_split: None });
        let looks = scenario.schedule();
        assert_eq!(looks, [(1000, true), (2000, false), (3000, false), (4000, true)]);
        assert_eq!(shares(&[1.0, 1.0, 1.0]).iter().sum::<u32>(), 10_000);
        assert_eq!(shares(&[9.0, 1.0]), [9000, 1000]);
    }
}
