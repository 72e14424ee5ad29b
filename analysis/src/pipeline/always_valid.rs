//! What may be looked at every cycle: confidence sequences, counts of conversions, guardrails.

use super::arm::{Arm, Arms};
use crate::methods::confidence_sequence::{self, N_TUNE};
use crate::methods::guardrail::{self, GuardrailAction, Levels};
use crate::methods::sequential_adjusted::compare_quantiles;
use crate::methods::{Alpha, Alternative, Interval, count_mixture};
use crate::plan::{Direction, MetricRole, PlannedExperiment, PlannedMetric, Scale};
use crate::report::{
    Comparison, GuardrailReport, GuardrailVerdict, Sequential, SequentialAlternative, Verdict,
};

/// The direction in which a metric gets worse.
const fn bad(metric: &PlannedMetric) -> Alternative {
    match metric.direction {
        Direction::Increase => Alternative::Less,
        Direction::Decrease => Alternative::Greater,
    }
}

/// Units of both arms at which the sequence is tightest: those planned, or the default.
pub(super) fn n_tune(experiment: &PlannedExperiment, treatment: usize) -> f64 {
    planned_units(experiment, treatment).unwrap_or(N_TUNE)
}

/// Planned units of control and a treatment together.
fn planned_units(experiment: &PlannedExperiment, treatment: usize) -> Option<f64> {
    let planned = experiment.required_units_per_variant.as_ref();
    let of = |index: usize| {
        let name = &experiment.variants.get(index)?.variant;
        planned?.get(name).copied()
    };
    let both = of(experiment.control()).zip(of(treatment)).map(|(c, t)| c.saturating_add(t));
    both.filter(|n| *n > 0).map(|n| n as f64)
}

/// The always-valid values of one treatment; none without any settled unit in either arm. `units` are
/// those of control and treatment, for metrics whose statistics do not know them.
pub(super) fn sequential(
    experiment: &PlannedExperiment,
    metric: &PlannedMetric,
    arms: &Arms<'_>,
    treatment: usize,
    units: [u64; 2],
    alpha: Alpha,
) -> Sequential {
    let settled = arms.settled.as_ref().unwrap_or(&arms.all);
    let (c, t) = (settled[experiment.control()], settled[treatment]);
    let n_tune = n_tune(experiment, treatment);
    let alternative = match metric.role {
        MetricRole::Guardrail => bad(metric),
        MetricRole::Primary | MetricRole::Secondary => Alternative::TwoSided,
    };
    let two_sided = sequence(c, t, units, n_tune, alpha, Alternative::TwoSided);
    let counts = count_test(experiment, metric, c, t, treatment, alternative);
    let (method, p_value, gate) = match (counts, alternative) {
        (Some(p), _) => ("count_mixture", Some(p), None),
        (None, Alternative::TwoSided) => {
            let found = two_sided.as_ref();
            ("confidence_sequence", found.map(|found| found.p_value), found.and_then(|f| f.gate))
        }
        (None, _) => {
            // Tightest at the level at which it pauses.
            let level = Alpha::try_new(levels(experiment).pause).unwrap_or(alpha);
            let found = sequence(c, t, units, n_tune, level, alternative);
            let gate = found.as_ref().and_then(|found| found.gate);
            ("confidence_sequence", found.map(|found| found.p_value), gate)
        }
    };
    Sequential {
        method: method.to_owned(),
        alternative: match alternative {
            Alternative::TwoSided => SequentialAlternative::TwoSided,
            Alternative::Greater => SequentialAlternative::Greater,
            Alternative::Less => SequentialAlternative::Less,
        },
        n: two_sided.as_ref().map_or(0, |found| found.n),
        cumulative: metric.window_ms.is_none(),
        p_value,
        running_p_value: None,
        p_adjusted: None,
        ci: two_sided.as_ref().and_then(|found| found.ci.finite()),
        lift_ci: two_sided.and_then(|found| found.lift_ci).and_then(Interval::finite),
        gate: gate.map(str::to_owned),
        verdict: Verdict::Collecting,
    }
}

/// Expected shares from which on a guardrail is judged by the confidence sequence, which knows their
/// spread, and no longer by the exact test of counts.
const COMMON: f64 = 0.05;

/// What a confidence sequence says at this look.
struct Look {
    n: u64,
    p_value: f64,
    ci: Interval,
    lift_ci: Option<Interval>,
    gate: Option<&'static str>,
}

fn sequence(
    control: Arm<'_>,
    treatment: Arm<'_>,
    units: [u64; 2],
    n_tune: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Option<Look> {
    if let (Arm::Quantile(Some((c, _))), Arm::Quantile(Some((t, _)))) = (control, treatment) {
        let n = units[0] + units[1];
        let found = compare_quantiles(&c, &t, n as f64, n_tune, alpha, alternative).ok()?;
        let few = units[0].min(units[1]) < confidence_sequence::LEAST_UNITS;
        return Some(Look {
            n,
            p_value: found.sequential.p_value,
            ci: found.sequential.ci,
            lift_ci: found.lift_ci.ok(),
            gate: if few { Some(confidence_sequence::ASYMPTOTICS_NOT_REACHED) } else { None },
        });
    }
    let (c, t) = (control.moments()?, treatment.moments()?);
    let all = c.merge(t);
    let found =
        confidence_sequence::compare_means(&c, &t, &all, n_tune, alpha, alternative).ok()?;
    Some(Look {
        n: all.n(),
        p_value: found.sequential.p_value,
        ci: found.sequential.ci,
        lift_ci: found.lift_ci.ok(),
        gate: found.gate.code(),
    })
}

/// The exact test of a guardrail that counts conversions; none for other metrics, in which units do
/// not count once each.
fn count_test(
    experiment: &PlannedExperiment,
    metric: &PlannedMetric,
    control: Arm<'_>,
    treatment: Arm<'_>,
    index: usize,
    alternative: Alternative,
) -> Option<f64> {
    let (Arm::Proportion(c), Arm::Proportion(t)) = (control, treatment) else { return None };
    // It takes outcomes for Poisson ones, which costs common ones power: a share p of units has √(1 − p)
    // of a count's spread. Which test it is must be known before the data.
    let is_common = metric.baseline.is_some_and(|baseline| baseline >= COMMON);
    if alternative == Alternative::TwoSided || is_common {
        return None;
    }
    let share = |index: usize| f64::from(experiment.variants[index].share);
    let (c_share, t_share) = (share(experiment.control()), share(index));
    count_mixture::directed_counts(
        c.successes,
        t.successes,
        t_share / (c_share + t_share),
        0.0,
        concentration(experiment, metric, index),
        alternative,
    )
    .ok()
    .map(|found| found.p_value)
}

/// The concentration for the conversions that are expected by the planned sample; the usual one when
/// nothing is known of either.
fn concentration(experiment: &PlannedExperiment, metric: &PlannedMetric, treatment: usize) -> f64 {
    let units = planned_units(experiment, treatment);
    let expected = metric.baseline.zip(units).map(|(baseline, units)| baseline * units);
    let expected = expected.filter(|events| events.is_finite() && *events > 0.0);
    expected.map_or(count_mixture::CONCENTRATION, count_mixture::tuned_concentration)
}

/// Levels at which the experiment's guardrails alert and pause.
fn levels(experiment: &PlannedExperiment) -> Levels {
    let guardrails =
        experiment.metrics.iter().filter(|metric| metric.role == MetricRole::Guardrail).count();
    Levels::of(guardrails, experiment.variants.len().saturating_sub(1))
}

/// What a guardrail asks for, given its comparison; none for other roles.
pub(super) fn judge_guardrail(
    experiment: &PlannedExperiment,
    metric: &PlannedMetric,
    comparison: &Comparison,
) -> Option<GuardrailReport> {
    if metric.role != MetricRole::Guardrail {
        return None;
    }
    let levels = levels(experiment);
    let margin = metric.max_degradation.unwrap_or(guardrail::MARGIN);
    let worse = |change: f64| guardrail::degradation(change, bad(metric));
    let degradation = match metric.margin_type {
        Scale::Absolute => comparison.effect.map(worse),
        // From a control of zero any change for the worse is beyond every relative margin.
        Scale::Relative => match (comparison.lift, comparison.effect.map(worse)) {
            (Some(lift), _) => Some(worse(lift)),
            (None, Some(effect)) if effect > 0.0 => Some(f64::INFINITY),
            (None, effect) => effect,
        },
    };
    let sequential = comparison.sequential.as_ref().filter(|found| found.gate.is_none());
    let p_value = sequential.and_then(|found| found.p_value);
    let action = degradation.zip(p_value).map_or(GuardrailAction::Continue, |(degradation, p)| {
        guardrail::judge(degradation, margin, p, levels)
    });
    Some(GuardrailReport {
        action: match action {
            GuardrailAction::Continue => GuardrailVerdict::Continue,
            GuardrailAction::Alert => GuardrailVerdict::Alert,
            GuardrailAction::Pause => GuardrailVerdict::Pause,
        },
        degradation: degradation.filter(|degradation| degradation.is_finite()),
        margin,
        alert_below: levels.alert,
        pause_below: levels.pause,
    })
}
