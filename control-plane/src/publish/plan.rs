//! What people authored → what the analysis is to answer.

use std::collections::BTreeMap;
use std::time::Duration;

use analysis::plan::{
    self, Aggregation, MetricRole, Plan, PlannedExperiment, PlannedMetric, PlannedStatus,
    PlannedVariant, Scale,
};
use jiff::Timestamp;

use crate::definition::{
    Direction, ExperimentDefinition, GroupSequentialDefinition, GuardrailDefinition, IsoDuration,
    LifecycleStatus, MarginType, MdeType, MetricDefinition, MetricKind, RatioAggregation,
    RatioPartDefinition, SpendingDefinition,
};
use crate::power;
use crate::store::{EnvironmentSnapshot, Versioned};

/// How long late events of a paused or completed experiment still count.
const LATE_EVENTS: Duration = Duration::from_hours(72);

/// First generation of each published phase: (experiment id, phase) → generation.
pub type Phases = BTreeMap<(String, u32), u64>;

/// The analysis plan of an environment at a generation and a time.
pub fn plan(
    snapshot: &EnvironmentSnapshot,
    phases: &Phases,
    generation: u64,
    now: Timestamp,
) -> Plan {
    let mut experiments: Vec<_> = snapshot
        .experiments
        .iter()
        .filter_map(|item| planned(snapshot, item, phases, generation, now))
        .collect();
    experiments.sort_by(|a, b| a.experiment.cmp(&b.experiment));
    Plan {
        project: snapshot.project.definition.name.clone(),
        environment: snapshot.environment.id.clone(),
        generation,
        created_at: now,
        experiments,
    }
}

fn planned(
    snapshot: &EnvironmentSnapshot,
    item: &Versioned<ExperimentDefinition>,
    phases: &Phases,
    generation: u64,
    now: Timestamp,
) -> Option<PlannedExperiment> {
    let (definition, state) = (&item.definition, &item.state);
    let (status, ended_at) = match state.status {
        LifecycleStatus::Running => (PlannedStatus::Running, None),
        LifecycleStatus::Paused => (PlannedStatus::Paused, state.paused_at),
        LifecycleStatus::Completed => (PlannedStatus::Completed, state.ended_at),
        LifecycleStatus::Draft | LifecycleStatus::Scheduled | LifecycleStatus::Archived => {
            return None;
        }
    };
    if ended_at.is_some_and(|ended| ended + LATE_EVENTS < now) {
        return None;
    }
    let phase = state.phase().max(1);
    let control = definition.control();
    let primary = definition.primary_metric.as_deref().and_then(|name| metric(snapshot, name));
    Some(PlannedExperiment {
        id: item.id.clone(),
        experiment: definition.name.clone(),
        status,
        unit_type: definition.unit.clone(),
        phase,
        phase_started_at: state.phases.last().map(|phase| phase.started_at),
        phase_generation: phases.get(&(item.id.clone(), phase)).copied().unwrap_or(generation),
        started_at: state.started_at,
        ended_at,
        alpha: definition.significance_level,
        power: definition.power,
        min_detectable_effect: definition.min_detectable_effect,
        mde_type: match definition.mde_type {
            MdeType::Relative => Scale::Relative,
            MdeType::Absolute => Scale::Absolute,
        },
        required_units_per_variant: primary
            .and_then(|primary| power::required_units(definition, primary)),
        planned_end_at: planned_end(definition, state.started_at),
        group_sequential: definition.group_sequential.as_ref().map(looks),
        covariate_lookback_ms: plan::two_weeks_ms(),
        variants: definition
            .variants
            .iter()
            .enumerate()
            .map(|(index, variant)| PlannedVariant {
                variant: variant.name.clone(),
                share: variant.weight.buckets().into(),
                control: index == control,
            })
            .collect(),
        metrics: metrics(snapshot, definition),
    })
}

/// Evenly spaced looks.
fn looks(definition: &GroupSequentialDefinition) -> plan::GroupSequentialPlan {
    let last = definition.looks.max(1);
    plan::GroupSequentialPlan {
        rates: (1..=last).map(|look| f64::from(look) / f64::from(last)).collect(),
        spending: match definition.spending {
            SpendingDefinition::ObrienFleming => plan::SpendingFunction::ObrienFleming,
            SpendingDefinition::Pocock => plan::SpendingFunction::Pocock,
        },
        futility: definition.futility,
    }
}

/// The planned duration after the start, or the end that the experiment was given, whichever is first.
fn planned_end(
    definition: &ExperimentDefinition,
    started_at: Option<Timestamp>,
) -> Option<Timestamp> {
    const DAY: Duration = Duration::from_hours(24);
    let by_duration = started_at
        .zip(definition.estimated_duration_days)
        .and_then(|(start, days)| start.checked_add(DAY * days).ok());
    [by_duration, definition.end_at].into_iter().flatten().min()
}

/// Every metric of an experiment, the primary one first. A metric that is named twice is analysed in
/// its first role, so a guardrail that is also the primary metric stays primary.
fn metrics(
    snapshot: &EnvironmentSnapshot,
    definition: &ExperimentDefinition,
) -> Vec<PlannedMetric> {
    let primary = definition.primary_metric.iter().map(|name| (name, MetricRole::Primary, None));
    let guardrails = definition
        .guardrail_metrics
        .iter()
        .map(|guardrail| (&guardrail.metric, MetricRole::Guardrail, Some(guardrail)));
    let secondary =
        definition.secondary_metrics.iter().map(|name| (name, MetricRole::Secondary, None));
    let mut planned: Vec<PlannedMetric> = Vec::new();
    for (name, role, guardrail) in primary.chain(guardrails).chain(secondary) {
        if planned.iter().any(|metric| metric.metric == *name) {
            continue;
        }
        planned.extend(
            metric(snapshot, name).and_then(|metric| planned_metric(metric, role, guardrail)),
        );
    }
    planned
}

fn metric<'s>(snapshot: &'s EnvironmentSnapshot, name: &str) -> Option<&'s MetricDefinition> {
    snapshot.metrics.iter().map(|item| &item.definition).find(|metric| metric.name == name)
}

fn planned_metric(
    metric: &MetricDefinition,
    role: MetricRole,
    guardrail: Option<&GuardrailDefinition>,
) -> Option<PlannedMetric> {
    let event = metric.event.clone();
    Some(PlannedMetric {
        metric: metric.name.clone(),
        role,
        kind: match metric.kind {
            MetricKind::Proportion => plan::MetricKind::Proportion { event: event? },
            MetricKind::Mean => plan::MetricKind::Mean { event: event? },
            MetricKind::Count => plan::MetricKind::Count { event: event? },
            MetricKind::Sum => plan::MetricKind::Sum { event: event? },
            MetricKind::Retention => plan::MetricKind::Retention {
                event: event?,
                after_ms: metric.after.as_ref()?.millis(),
            },
            MetricKind::Funnel => plan::MetricKind::Funnel { steps: metric.steps.clone() },
            MetricKind::Quantile => {
                plan::MetricKind::Quantile { event: event?, quantile: metric.quantile? }
            }
            MetricKind::Ratio => plan::MetricKind::Ratio {
                numerator: ratio_part(metric.numerator.as_ref()?),
                denominator: ratio_part(metric.denominator.as_ref()?),
            },
        },
        direction: match metric.direction {
            Direction::Increase => plan::Direction::Increase,
            Direction::Decrease => plan::Direction::Decrease,
        },
        window_ms: metric.window.as_ref().map(IsoDuration::millis),
        cap: metric.cap,
        baseline: metric.baseline,
        max_degradation: guardrail.and_then(|guardrail| guardrail.max_degradation),
        margin_type: match guardrail.map(|guardrail| guardrail.margin_type) {
            Some(MarginType::Absolute) => Scale::Absolute,
            Some(MarginType::Relative) | None => Scale::Relative,
        },
    })
}

fn ratio_part(part: &RatioPartDefinition) -> plan::RatioPart {
    plan::RatioPart {
        event: part.event.clone(),
        aggregation: match part.aggregation {
            RatioAggregation::Count => Aggregation::Count,
            RatioAggregation::Sum => Aggregation::Sum,
        },
    }
}
