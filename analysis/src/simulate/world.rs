//! One simulated experiment: units arrive, are assigned and drawn, and the engine reports at each
//! look.
//!
//! The engine is that of the pipeline: sufficient statistics go in where a scan of the lake would
//! leave them, and reports come out as they are handed in.

use jiff::Timestamp;
use rand_distr::{Binomial, Distribution};

use super::law::{Law, standard_normal};
use super::scenario::{Scenario, Stage, shares};
use super::stream::Rng;
use crate::pipeline::{
    DayCounts, ExperimentTally, History, MetricTally, Questions, Tally, Totals, VariantTally,
    assemble,
};
use crate::plan::{
    Aggregation, GroupSequentialPlan, MetricKind, Plan, PlannedExperiment, PlannedMetric,
    PlannedStatus, PlannedVariant, RatioPart, Scale, two_weeks_ms,
};
use crate::report::Report;
use crate::stats::{CoMoments, Moments, Successes};

/// Power that simulated experiments are planned with.
pub(super) const POWER: f64 = 0.8;

/// A scenario, ready to be drawn.
pub(super) struct World<'s> {
    scenario: &'s Scenario,
    /// One for each stage, which is one phase.
    stages: Vec<StageWorld>,
    schedule: Vec<(u64, bool)>,
}

struct StageWorld {
    questions: Questions,
    /// Chances of the variants.
    chances: Vec<f64>,
}

impl<'s> World<'s> {
    /// A scenario that was checked.
    pub(super) fn new(scenario: &'s Scenario) -> Self {
        let stage = |(index, stage): (usize, &Stage)| {
            let planned = shares(&stage.split);
            let real = stage.faulty_split.as_ref().map_or_else(|| planned.clone(), |s| shares(s));
            StageWorld {
                questions: Questions::new(vec![plan(scenario, stage, index, &planned)]),
                chances: real.iter().map(|share| f64::from(*share) / 10_000.0).collect(),
            }
        };
        Self {
            scenario,
            stages: scenario.stages.iter().enumerate().map(stage).collect(),
            schedule: scenario.schedule(),
        }
    }

    /// Draws one experiment, and shows the report of each look with its index.
    pub(super) fn run(&self, rng: &mut Rng, mut look: impl FnMut(usize, &Report)) {
        let mut schedule = self.schedule.iter().enumerate();
        let mut before = 0;
        for stage in &self.stages {
            let mut tally = self.empty();
            for (index, (units, ends)) in schedule.by_ref() {
                self.arrive(rng, stage, units - before, &mut tally);
                before = *units;
                for report in assemble(&stage.questions, &tally, Timestamp::UNIX_EPOCH) {
                    look(index, &report);
                }
                if *ends {
                    break;
                }
            }
        }
    }

    fn empty(&self) -> Tally {
        let scenario = self.scenario;
        let all = match scenario.outcome {
            Law::Bernoulli { .. } => Totals::Proportion(Successes::default()),
            law if law.is_ratio() => Totals::Ratio(Box::default()),
            _ => Totals::Mean(Moments::EMPTY),
        };
        let history = scenario.history.map(|_| History::default());
        let metric = || MetricTally { all: all.clone(), settled: None, history };
        let variant =
            || VariantTally { n: 0, metrics: (0..scenario.metrics).map(|_| metric()).collect() };
        let experiment = ExperimentTally {
            variants: (0..=scenario.lifts.len()).map(|_| variant()).collect(),
            days: DayCounts::default(),
            ..ExperimentTally::default()
        };
        Tally { experiments: vec![experiment], non_finite_values: 0 }
    }

    /// Units arrive, and divide among the variants by chance.
    fn arrive(&self, rng: &mut Rng, stage: &StageWorld, units: u64, tally: &mut Tally) {
        let Some(experiment) = tally.experiments.first_mut() else { return };
        let (mut left, mut chance_left) = (units, 1.0);
        let last = stage.chances.len() - 1;
        for (index, chance) in stage.chances.iter().enumerate() {
            let n = if index == last || chance_left <= *chance {
                left
            } else {
                Binomial::new(left, chance / chance_left).map_or(0, |law| law.sample(rng))
            };
            left -= n;
            chance_left -= chance;
            let lift = index.checked_sub(1).map_or(0.0, |treatment| self.scenario.lifts[treatment]);
            self.fill(rng, n, lift, &mut experiment.variants[index]);
        }
    }

    fn fill(&self, rng: &mut Rng, n: u64, lift: f64, variant: &mut VariantTally) {
        let scenario = self.scenario;
        let n_metrics = variant.metrics.len();
        let simple = n_metrics == 1 && scenario.history.is_none();
        let mut columns = vec![Columns::default(); n_metrics];
        for _ in 0..n {
            if let (true, [column]) = (simple, columns.as_mut_slice()) {
                let lift = if scenario.affected > 0 { lift } else { 0.0 };
                column.push(scenario.outcome.draw_alone(rng, lift));
                continue;
            }
            let common = standard_normal(rng);
            for (metric, column) in (0_u32..).zip(&mut columns) {
                let own = standard_normal(rng);
                let z = blend(scenario.correlation.sqrt(), common, own);
                let lift = if metric < scenario.affected { lift } else { 0.0 };
                column.push(scenario.outcome.draw(rng, z, lift));
                if let Some(correlation) = scenario.history {
                    column.history.push(1.0 + blend(correlation, z, standard_normal(rng)));
                }
            }
        }
        variant.n += n;
        for (metric, column) in variant.metrics.iter_mut().zip(&columns) {
            column.reduce(metric);
        }
    }
}

/// A normal number with the given correlation to `common`.
fn blend(correlation: f64, common: f64, own: f64) -> f64 {
    correlation * common + (1.0 - correlation * correlation).max(0.0).sqrt() * own
}

/// Numbers of one metric.
#[derive(Clone, Default)]
struct Columns {
    above: Vec<f64>,
    below: Vec<f64>,
    history: Vec<f64>,
}

impl Columns {
    fn push(&mut self, (above, below): (f64, f64)) {
        self.above.push(above);
        self.below.push(below);
    }

    fn reduce(&self, metric: &mut MetricTally) {
        match &mut metric.all {
            Totals::Proportion(total) => {
                let successes = self.above.iter().filter(|y| **y > 0.0).count() as u64;
                *total = total.merge(Successes { n: self.above.len() as u64, successes });
            }
            Totals::Ratio(total) => {
                **total = total.merge(CoMoments::of(&self.above, &self.below));
            }
            Totals::Mean(total) => *total = total.merge(Moments::of(&self.above)),
            Totals::Funnel(_) | Totals::Quantile(_) => {}
        }
        if let Some(history) = &mut metric.history {
            history.known = history.known.merge(CoMoments::of(&self.above, &self.history));
        }
    }
}

/// The scenario's looks as planned ones, if they share alpha.
pub(super) fn looks(scenario: &Scenario) -> Option<GroupSequentialPlan> {
    let n = scenario.n_units() as f64;
    let rates = scenario.schedule().into_iter().map(|(units, _)| units as f64 / n).collect();
    scenario.spending.map(|spending| GroupSequentialPlan { rates, spending, futility: true })
}

/// The plan that such an experiment would have.
fn plan(scenario: &Scenario, stage: &Stage, index: usize, shares: &[u32]) -> Plan {
    let names = || (0..shares.len()).map(variant_name);
    let variants = names()
        .zip(shares)
        .enumerate()
        .map(|(place, (variant, share))| PlannedVariant {
            variant,
            share: *share,
            control: place == 0,
        })
        .collect();
    let part = |event: &str| RatioPart { event: event.to_owned(), aggregation: Aggregation::Sum };
    let kind = || match scenario.outcome {
        Law::Bernoulli { .. } => MetricKind::Proportion { event: "outcome".to_owned() },
        law if law.is_ratio() => {
            MetricKind::Ratio { numerator: part("outcome"), denominator: part("base") }
        }
        _ => MetricKind::Mean { event: "outcome".to_owned() },
    };
    let metrics = (0..scenario.metrics)
        .map(|metric| PlannedMetric {
            metric: format!("metric_{}", metric + 1),
            role: scenario.role,
            kind: kind(),
            direction: scenario.direction,
            window_ms: None,
            cap: None,
            baseline: Some(scenario.outcome.base()),
            max_degradation: None,
            margin_type: Scale::Relative,
        })
        .collect();
    let required = names().zip(shares).map(|(name, share)| {
        (name, (u128::from(stage.units) * u128::from(*share) / 10_000).try_into().unwrap_or(0))
    });
    let experiment = PlannedExperiment {
        id: "simulated".to_owned(),
        experiment: "simulated".to_owned(),
        status: PlannedStatus::Running,
        unit_type: "user_id".to_owned(),
        phase: u32::try_from(index + 1).unwrap_or(1),
        phase_started_at: None,
        phase_generation: 0,
        started_at: None,
        ended_at: None,
        alpha: scenario.alpha,
        power: POWER,
        min_detectable_effect: None,
        mde_type: Scale::Relative,
        required_units_per_variant: Some(required.collect()),
        planned_end_at: None,
        group_sequential: looks(scenario),
        covariate_lookback_ms: if scenario.history.is_some() { two_weeks_ms() } else { 0 },
        variants,
        metrics,
    };
    Plan {
        project: "simulated".to_owned(),
        environment: "simulated".to_owned(),
        generation: 1,
        created_at: Timestamp::UNIX_EPOCH,
        experiments: vec![experiment],
    }
}

/// Name of the variant at a place of the split.
pub(super) fn variant_name(place: usize) -> String {
    if place == 0 { "control".to_owned() } else { format!("treatment_{place}") }
}
