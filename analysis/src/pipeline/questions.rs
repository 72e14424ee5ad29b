//! Plans compiled for the scan: names become small numbers, once per batch instead of once per row.

use std::collections::HashMap;

use crate::plan::{Aggregation, MetricKind, Plan, PlannedExperiment, PlannedMetric, RatioPart};

/// Index of an experiment among all of the plans.
pub(super) type ExperimentIndex = u32;
/// Index of an event series: (environment, unit type, event name).
pub(super) type Slot = u32;
/// "None of those that are asked for" in look-up tables.
pub(super) const NONE: u32 = u32::MAX;

/// What a scan of one project must answer.
#[derive(Debug)]
pub struct Questions {
    plans: Vec<Plan>,
    pub(super) experiments: Vec<ExperimentQuestion>,
    by_name: HashMap<(String, String, String), ExperimentIndex>,
    slots: HashMap<(String, String, String), Slot>,
    /// Environment of each slot, for "the same event" is only so within one environment.
    pub(super) slot_environment: Vec<u16>,
    variants: HashMap<String, u32>,
}

/// One experiment of a scan.
#[derive(Debug)]
pub(super) struct ExperimentQuestion {
    /// Index of its plan.
    pub(super) plan: usize,
    /// Index in its plan.
    pub(super) planned: usize,
    pub(super) environment: u16,
    /// Project-wide number of each variant's name, in plan order.
    pub(super) variants: Vec<u32>,
    pub(super) phase: PhaseFilter,
    /// How far before a unit's first exposure covariates reach, in microseconds; 0 for none.
    pub(super) lookback: i64,
    pub(super) metrics: Vec<MetricQuestion>,
}

/// Which exposures belong to the current phase.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhaseFilter {
    /// Smallest generation that counts.
    min_generation: i64,
    /// For exposures without a generation: smallest time that counts, microseconds since 1970.
    min_ts: i64,
}

impl PhaseFilter {
    fn of(experiment: &PlannedExperiment) -> Self {
        if experiment.phase <= 1 {
            return Self { min_generation: i64::MIN, min_ts: i64::MIN };
        }
        Self {
            min_generation: i64::try_from(experiment.phase_generation).unwrap_or(i64::MAX),
            min_ts: experiment.phase_started_at.map_or(i64::MIN, jiff::Timestamp::as_microsecond),
        }
    }

    #[inline]
    pub(super) fn admits(self, generation: Option<i64>, ts: i64) -> bool {
        generation.map_or(ts >= self.min_ts, |generation| generation >= self.min_generation)
    }
}

/// One metric of an experiment.
#[derive(Debug)]
pub(super) struct MetricQuestion {
    pub(super) kind: KindQuestion,
    /// Length of the window after exposure in microseconds; none for an open end.
    pub(super) window: Option<i64>,
    /// Largest sum that a unit may contribute; +∞ without a cap.
    pub(super) cap: f64,
}

impl MetricQuestion {
    /// Whether a unit's number before its exposure is a covariate of the metric.
    pub(super) fn has_covariate(&self) -> bool {
        matches!(
            self.kind,
            KindQuestion::Proportion(_) | KindQuestion::Mean(_) | KindQuestion::Count(_)
        )
    }
}

/// A metric's kind with its event series.
#[derive(Debug, Clone)]
pub(super) enum KindQuestion {
    Proportion(Slot),
    Mean(Slot),
    Count(Slot),
    /// With the time after exposure from which on events count, in microseconds.
    Retention(Slot, i64),
    Funnel(Box<[Slot]>),
    Ratio {
        numerator: (Slot, Aggregation),
        denominator: (Slot, Aggregation),
    },
    Quantile(Slot),
}

impl KindQuestion {
    /// Numbers that one unit contributes.
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Proportion(_) | Self::Mean(_) | Self::Count(_) | Self::Retention(..) => 1,
            Self::Ratio { .. } => 2,
            Self::Funnel(steps) => steps.len(),
            // Every event's value instead.
            Self::Quantile(_) => 0,
        }
    }
}

impl Questions {
    /// Compiles the plans of one project.
    pub fn new(plans: Vec<Plan>) -> Self {
        let mut this = Self {
            plans: Vec::new(),
            experiments: Vec::new(),
            by_name: HashMap::new(),
            slots: HashMap::new(),
            slot_environment: Vec::new(),
            variants: HashMap::new(),
        };
        for (index, plan) in plans.iter().enumerate() {
            for (planned, experiment) in plan.experiments.iter().enumerate() {
                this.add_experiment(index, plan, planned, experiment);
            }
        }
        this.plans = plans;
        this
    }

    fn add_experiment(
        &mut self,
        index: usize,
        plan: &Plan,
        planned: usize,
        experiment: &PlannedExperiment,
    ) {
        let key =
            (plan.environment.clone(), experiment.unit_type.clone(), experiment.experiment.clone());
        self.by_name.insert(key, number(self.experiments.len()));
        let variants = experiment
            .variants
            .iter()
            .map(|variant| {
                let next = number(self.variants.len());
                *self.variants.entry(variant.variant.clone()).or_insert(next)
            })
            .collect();
        // A plan holds at most a few environments; the number only tells them apart.
        let environment = u16::try_from(index).unwrap_or(u16::MAX);
        let metrics = experiment
            .metrics
            .iter()
            .map(|metric| self.metric(plan, environment, experiment, metric))
            .collect();
        let phase = PhaseFilter::of(experiment);
        self.experiments.push(ExperimentQuestion {
            plan: index,
            planned,
            environment,
            variants,
            phase,
            lookback: experiment.covariate_lookback_ms.max(0).saturating_mul(1000),
            metrics,
        });
    }

    fn metric(
        &mut self,
        plan: &Plan,
        environment: u16,
        experiment: &PlannedExperiment,
        metric: &PlannedMetric,
    ) -> MetricQuestion {
        let mut slot = |event: &str| {
            let key = (plan.environment.clone(), experiment.unit_type.clone(), event.to_owned());
            *self.slots.entry(key).or_insert_with(|| {
                self.slot_environment.push(environment);
                number(self.slot_environment.len() - 1)
            })
        };
        let kind = match &metric.kind {
            MetricKind::Ratio { numerator, denominator } => {
                let mut part = |part: &RatioPart| (slot(&part.event), part.aggregation);
                KindQuestion::Ratio { numerator: part(numerator), denominator: part(denominator) }
            }
            MetricKind::Proportion { event } => KindQuestion::Proportion(slot(event)),
            MetricKind::Mean { event } | MetricKind::Sum { event } => {
                KindQuestion::Mean(slot(event))
            }
            MetricKind::Count { event } => KindQuestion::Count(slot(event)),
            MetricKind::Retention { event, after_ms } => {
                KindQuestion::Retention(slot(event), after_ms.saturating_mul(1000))
            }
            MetricKind::Funnel { steps } => {
                KindQuestion::Funnel(steps.iter().map(|step| slot(step)).collect())
            }
            MetricKind::Quantile { event, .. } => KindQuestion::Quantile(slot(event)),
        };
        MetricQuestion {
            kind,
            window: metric.window_ms.map(|window| window.saturating_mul(1000)),
            cap: metric.cap.unwrap_or(f64::INFINITY),
        }
    }

    /// The plans, in the order given.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Number of experiments in all plans.
    pub fn n_experiments(&self) -> usize {
        self.experiments.len()
    }

    /// Whether no experiment asks for anything.
    pub fn is_empty(&self) -> bool {
        self.experiments.is_empty()
    }

    /// Whether any plan is about an environment.
    pub(super) fn has_environment(&self, environment: &str) -> bool {
        self.plans.iter().any(|plan| plan.environment == environment)
    }

    pub(super) fn n_slots(&self) -> usize {
        self.slot_environment.len()
    }

    pub(super) fn planned(&self, question: &ExperimentQuestion) -> &PlannedExperiment {
        &self.plans[question.plan].experiments[question.planned]
    }

    pub(super) fn experiment(&self, env: &str, unit_type: &str, name: &str) -> ExperimentIndex {
        lookup(&self.by_name, env, unit_type, name)
    }

    pub(super) fn slot(&self, env: &str, unit_type: &str, event: &str) -> Slot {
        lookup(&self.slots, env, unit_type, event)
    }

    /// Project-wide number of a variant's name.
    pub(super) fn variant(&self, name: &str) -> u32 {
        self.variants.get(name).copied().unwrap_or(NONE)
    }
}

fn lookup(map: &HashMap<(String, String, String), u32>, a: &str, b: &str, c: &str) -> u32 {
    // Once for each combination of dictionary words in a batch: the copies do not matter.
    map.get(&(a.to_owned(), b.to_owned(), c.to_owned())).copied().unwrap_or(NONE)
}

/// Indices stay far below the sentinel: a plan with four billion experiments fits no memory.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}
