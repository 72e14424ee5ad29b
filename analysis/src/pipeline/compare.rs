//! One metric's arms compared with control, at a fixed horizon.

use super::always_valid::{judge_guardrail, n_tune, sequential};
use super::arm::{Arm, Arms};
use super::assemble::warn;
use super::covariate::{adjusted, is_imbalanced};
use super::posterior::posterior;
use super::tally::{ExperimentTally, Totals};
use crate::methods::proportions::MIN_EXPECTED;
use crate::methods::ratio::MIN_DENOMINATOR_Z;
use crate::methods::{
    Alpha, Alternative, Estimate, Interval, MethodError, lift, proportions, quantile, ratio, welch,
};
use crate::plan::{MetricRole, PlannedExperiment, PlannedMetric};
use crate::planned_looks;
use crate::report::{Comparison, MetricReport, MetricStatus, VariantReport, Verdict, Warning};
use crate::stats::{CoMoments, Moments};

/// One metric of a report, without corrections and verdicts.
pub(super) fn metric_report(
    experiment: &PlannedExperiment,
    index: usize,
    found: &ExperimentTally,
    arms: &Arms<'_>,
    warnings: &mut Vec<Warning>,
) -> MetricReport {
    let metric = &experiment.metrics[index];
    let control = experiment.control();
    // A plan with a level outside (0, 1) is not one that the control plane writes.
    let alpha = Alpha::try_new(experiment.alpha).unwrap_or(Alpha::DEFAULT);
    let mut notes = Notes::default();
    let counts: Vec<u64> = found.variants.iter().map(|variant| variant.n).collect();
    let primaries = experiment.metrics.iter().filter(|own| own.role == MetricRole::Primary);
    let family = primaries.count() * (experiment.variants.len() - 1);
    let variants = experiment.variants.iter().zip(&found.variants).zip(&arms.all).enumerate();
    let variants = variants
        .map(|(treatment, ((variant, tally), arm))| {
            let (value, std_dev) = arm.describe();
            let comparison = (treatment != control).then(|| {
                let mut comparison = compare(arms.all[control], *arm, alpha, &mut notes);
                let units = [found.variants[control].n, tally.n];
                comparison.sequential =
                    Some(sequential(experiment, metric, arms, treatment, units, alpha));
                comparison.guardrail = judge_guardrail(experiment, metric, &comparison);
                if metric.role == MetricRole::Primary {
                    comparison.group_sequential =
                        planned_looks::state(experiment, &counts, treatment, family, &comparison);
                }
                comparison.bayesian = posterior(metric, arms.all[control], *arm, alpha);
                let n_tune = n_tune(experiment, treatment);
                comparison.cuped = adjusted(experiment, index, found, treatment, n_tune, alpha);
                notes.imbalanced |= comparison.cuped.as_ref().is_some_and(is_imbalanced);
                comparison
            });
            VariantReport {
                variant: variant.variant.clone(),
                n: tally.n,
                value,
                std_dev,
                steps: match &tally.metrics[index].all {
                    Totals::Funnel(steps) => steps.iter().map(|step| step.successes).collect(),
                    _ => Vec::new(),
                },
                rank_error: match arm {
                    Arm::Quantile(found) => found.map(|(_, error)| error).filter(|e| *e > 0.0),
                    _ => None,
                },
                comparison,
            }
        })
        .collect();
    notes.warn(metric, warnings);
    MetricReport {
        metric: metric.metric.clone(),
        role: metric.role,
        kind: metric.kind.as_str().to_owned(),
        direction: metric.direction,
        window_ms: metric.window_ms,
        cap: metric.cap,
        max_degradation: metric.max_degradation,
        margin_type: metric.margin_type,
        status: MetricStatus::Computed,
        variants,
    }
}

/// What a comparison found doubtful.
#[derive(Default)]
pub(super) struct Notes {
    small_counts: bool,
    unsafe_denominator: bool,
    imbalanced: bool,
}

impl Notes {
    fn warn(&self, metric: &PlannedMetric, warnings: &mut Vec<Warning>) {
        let name = &metric.metric;
        if self.small_counts {
            let detail = format!("{name}: fewer than 5 expected outcomes, p is approximate");
            warn(warnings, "small_expected_counts", detail);
        }
        if self.unsafe_denominator {
            let detail = format!("{name}: a denominator is too near to zero to trust");
            warn(warnings, "unsafe_ratio_denominator", detail);
        }
        if self.imbalanced {
            let detail = format!("{name}: the variants differed before anybody was exposed");
            warn(warnings, "pre_exposure_imbalance", detail);
        }
    }
}

pub(super) fn compare(
    control: Arm<'_>,
    treatment: Arm<'_>,
    alpha: Alpha,
    notes: &mut Notes,
) -> Comparison {
    match (control, treatment) {
        (Arm::Proportion(c), Arm::Proportion(t)) => match proportions::compare(c, t, alpha) {
            Ok(comparison) => {
                notes.small_counts |= comparison.min_expected < MIN_EXPECTED;
                proportion(&comparison)
            }
            Err(error) => undefined("two_proportion_z", error),
        },
        (Arm::Mean(c), Arm::Mean(t)) => mean("welch_t", welch::welch(c, t, alpha), c, t),
        (Arm::Ratio(c), Arm::Ratio(t)) => compare_ratios(c, t, alpha, notes),
        (Arm::Quantile(Some((c, _))), Arm::Quantile(Some((t, _)))) => {
            let lift = (c.value != 0.0).then(|| (t.value - c.value) / c.value.abs());
            let base = Comparison {
                effect: Some(t.value - c.value),
                lift,
                ..undefined("quantile_clustered", MethodError::TooFewUnits)
            };
            match quantile::compare(&c, &t, alpha) {
                Ok(found) => Comparison {
                    undefined: None,
                    se: Some(found.se),
                    ci: found.ci.finite(),
                    lift_ci: found.lift_ci.ok().and_then(Interval::finite),
                    p_value: Some(found.p_value),
                    ..base
                },
                Err(error) => Comparison { undefined: Some(error.code().to_owned()), ..base },
            }
        }
        // Arms of one metric are of one kind; what is left are quantiles without any event.
        _ => undefined("quantile_clustered", MethodError::TooFewUnits),
    }
}

fn compare_ratios(
    control: &CoMoments,
    treatment: &CoMoments,
    alpha: Alpha,
    notes: &mut Notes,
) -> Comparison {
    let linear =
        ratio::linearise(control).and_then(|control| Ok((control, ratio::linearise(treatment)?)));
    match linear {
        Ok((c, t)) => {
            notes.unsafe_denominator |= c.denominator_z.min(t.denominator_z) < MIN_DENOMINATOR_Z;
            let (c, t) = (c.moments, t.moments);
            let estimate = welch::welch_against(&c, &t, 0.0, alpha, Alternative::TwoSided);
            mean("ratio_delta", estimate, &c, &t)
        }
        Err(error) => {
            // A single unit has a ratio, though nothing can be said of its variance.
            let share = |arm: &CoMoments| {
                let ratio = arm.y().mean() / arm.x().mean();
                ratio.is_finite().then_some(ratio)
            };
            let effect = share(treatment).zip(share(control)).map(|(t, c)| t - c);
            Comparison { effect, ..undefined("ratio_delta", error) }
        }
    }
}

fn undefined(method: &str, error: MethodError) -> Comparison {
    Comparison {
        method: method.to_owned(),
        undefined: Some(error.code().to_owned()),
        effect: None,
        se: None,
        ci: None,
        lift: None,
        lift_ci: None,
        p_value: None,
        p_adjusted: None,
        ci_adjusted: None,
        lift_ci_adjusted: None,
        verdict: Verdict::Collecting,
        sequential: None,
        guardrail: None,
        group_sequential: None,
        bayesian: None,
        cuped: None,
    }
}

fn mean(
    method: &str,
    estimate: Result<Estimate, MethodError>,
    control: &Moments,
    treatment: &Moments,
) -> Comparison {
    let known = control.n() > 0 && treatment.n() > 0;
    let effect = known.then(|| control.mean_difference(treatment)).filter(|d| d.is_finite());
    let lift = effect.and_then(|_| lift::lift(control, treatment).ok());
    match estimate {
        Err(error) => Comparison { effect, lift, ..undefined(method, error) },
        Ok(estimate) => Comparison {
            undefined: None,
            effect,
            se: Some(estimate.se),
            ci: estimate.ci.finite(),
            lift,
            lift_ci: lift::fieller(control, treatment, estimate.critical)
                .ok()
                .and_then(Interval::finite),
            p_value: Some(estimate.p_value),
            ..undefined(method, MethodError::NotFinite)
        },
    }
}

fn proportion(found: &proportions::ProportionComparison) -> Comparison {
    Comparison {
        method: "two_proportion_z".to_owned(),
        undefined: found.test.err().map(|error| error.code().to_owned()),
        effect: Some(found.effect),
        se: Some(found.se_unpooled),
        ci: found.ci.finite(),
        lift: found.lift.ok(),
        lift_ci: found.lift_ci.ok().and_then(Interval::finite),
        p_value: found.test.ok().map(|test| test.p_value),
        p_adjusted: None,
        ci_adjusted: None,
        lift_ci_adjusted: None,
        verdict: Verdict::Collecting,
        sequential: None,
        guardrail: None,
        group_sequential: None,
        bayesian: None,
        cuped: None,
    }
}
