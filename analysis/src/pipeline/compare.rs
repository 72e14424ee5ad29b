//! One metric's arms compared with control, corrected and judged.

use std::collections::BTreeMap;

use super::assemble::warn;
use super::tally::{ExperimentTally, MetricTally};
use crate::methods::multiplicity::{Correction, adjust};
use crate::methods::proportions::MIN_EXPECTED;
use crate::methods::quantile::QuantileEstimate;
use crate::methods::ratio::MIN_DENOMINATOR_Z;
use crate::methods::{
    Alpha, Alternative, Estimate, Interval, MethodError, lift, proportions, quantile, ratio, welch,
};
use crate::plan::{MetricKind, MetricRole, PlannedExperiment, PlannedMetric, PlannedVariant};
use crate::report::{Comparison, MetricReport, MetricStatus, VariantReport, Verdict, Warning};
use crate::stats::{CoMoments, Moments, Successes};

/// One arm of a metric, ready to be compared.
enum Arm<'t> {
    Proportion(Successes),
    Mean(&'t Moments),
    Ratio(&'t CoMoments),
    Quantile(Option<QuantileEstimate>),
}

/// One metric of a report, without corrections and verdicts.
pub(super) fn metric_report(
    experiment: &PlannedExperiment,
    index: usize,
    metric: &PlannedMetric,
    found: &ExperimentTally,
    warnings: &mut Vec<Warning>,
) -> MetricReport {
    let arms: Option<Vec<Arm<'_>>> =
        found.variants.iter().map(|variant| arm(&variant.metrics[index], &metric.kind)).collect();
    let (status, variants) = if let Some(arms) = arms {
        (MetricStatus::Computed, compare_arms(experiment, metric, found, &arms, warnings))
    } else {
        let detail = format!("{} has more event values than are kept in memory", metric.metric);
        warn(warnings, "not_computed", detail);
        let empty = |(variant, n): (&PlannedVariant, u64)| VariantReport {
            variant: variant.variant.clone(),
            n,
            value: None,
            std_dev: None,
            comparison: None,
        };
        let counts = found.variants.iter().map(|variant| variant.n);
        let variants = experiment.variants.iter().zip(counts).map(empty).collect();
        (MetricStatus::NotComputed, variants)
    };
    MetricReport {
        metric: metric.metric.clone(),
        role: metric.role,
        kind: metric.kind.as_str().to_owned(),
        direction: metric.direction,
        window_ms: metric.window_ms,
        cap: metric.cap,
        max_degradation: metric.max_degradation,
        margin_type: metric.margin_type,
        status,
        variants,
    }
}

/// None when the values of a quantile metric were too many to keep.
fn arm<'t>(tally: &'t MetricTally, kind: &MetricKind) -> Option<Arm<'t>> {
    Some(match tally {
        MetricTally::Proportion(successes) => Arm::Proportion(*successes),
        MetricTally::Mean(moments) => Arm::Mean(moments),
        MetricTally::Ratio(moments) => Arm::Ratio(moments),
        MetricTally::Quantile(values) => {
            let values = values.as_ref()?;
            let q = match kind {
                MetricKind::Quantile { quantile, .. } => *quantile,
                _ => f64::NAN,
            };
            Arm::Quantile(quantile::quantile(&values.values, &values.ends, q))
        }
    })
}

fn compare_arms(
    experiment: &PlannedExperiment,
    metric: &PlannedMetric,
    found: &ExperimentTally,
    arms: &[Arm<'_>],
    warnings: &mut Vec<Warning>,
) -> Vec<VariantReport> {
    let control = experiment.control();
    // A plan with a level outside (0, 1) is not one that the control plane writes.
    let alpha = Alpha::try_new(experiment.alpha).unwrap_or(Alpha::DEFAULT);
    let mut notes = Notes::default();
    let variants = experiment.variants.iter().zip(&found.variants).zip(arms).enumerate();
    let reports = variants
        .map(|(index, ((variant, tally), arm))| {
            let (value, std_dev) = arm.describe();
            let comparison =
                (index != control).then(|| compare(&arms[control], arm, alpha, &mut notes));
            VariantReport {
                variant: variant.variant.clone(),
                n: tally.n,
                value,
                std_dev,
                comparison,
            }
        })
        .collect();
    if notes.small_counts {
        let detail = format!("{}: fewer than 5 expected outcomes, p is approximate", metric.metric);
        warn(warnings, "small_expected_counts", detail);
    }
    if notes.unsafe_denominator {
        let detail = format!("{}: a denominator is too near to zero to trust", metric.metric);
        warn(warnings, "unsafe_ratio_denominator", detail);
    }
    reports
}

/// What a comparison found doubtful.
#[derive(Default)]
struct Notes {
    small_counts: bool,
    unsafe_denominator: bool,
}

impl Arm<'_> {
    /// Value and standard deviation of one unit's number.
    fn describe(&self) -> (Option<f64>, Option<f64>) {
        let root = |variance: Option<f64>| variance.map(f64::sqrt);
        let (value, std_dev) = match self {
            Self::Proportion(arm) => (arm.share(), root(arm.variance())),
            Self::Mean(moments) => {
                ((moments.n() > 0).then(|| moments.mean()), root(moments.variance()))
            }
            Self::Ratio(arm) => {
                let (y, d) = (arm.y().mean(), arm.x().mean());
                let spread =
                    ratio::linearise(arm).ok().and_then(|linear| linear.moments.variance());
                ((d != 0.0).then(|| y / d), root(spread))
            }
            Self::Quantile(estimate) => (estimate.map(|estimate| estimate.value), None),
        };
        (value.filter(|value| value.is_finite()), std_dev.filter(|value| value.is_finite()))
    }
}

fn compare(control: &Arm<'_>, treatment: &Arm<'_>, alpha: Alpha, notes: &mut Notes) -> Comparison {
    match (control, treatment) {
        (Arm::Proportion(c), Arm::Proportion(t)) => match proportions::compare(*c, *t, alpha) {
            Ok(comparison) => {
                notes.small_counts |= comparison.min_expected < MIN_EXPECTED;
                proportion(&comparison)
            }
            Err(error) => undefined("two_proportion_z", error),
        },
        (Arm::Mean(c), Arm::Mean(t)) => mean("welch_t", welch::welch(c, t, alpha), c, t),
        (Arm::Ratio(c), Arm::Ratio(t)) => compare_ratios(c, t, alpha, notes),
        (Arm::Quantile(Some(c)), Arm::Quantile(Some(t))) => {
            let lift = (c.value != 0.0).then(|| (t.value - c.value) / c.value.abs());
            let base = Comparison {
                effect: Some(t.value - c.value),
                lift,
                ..undefined("quantile_clustered", MethodError::TooFewUnits)
            };
            match quantile::compare(c, t, alpha) {
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
        verdict: Verdict::Collecting,
        sequential: None,
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
        verdict: Verdict::Collecting,
        sequential: None,
    }
}

/// Corrects for several comparisons within each role's family, then draws the verdicts.
pub(super) fn correct(
    metrics: &mut [MetricReport],
    experiment: &PlannedExperiment,
    counts: &[u64],
) {
    let families = [
        (MetricRole::Primary, Correction::Holm),
        (MetricRole::Secondary, Correction::BenjaminiHochberg),
    ];
    for (role, correction) in families {
        let mut family: Vec<&mut Comparison> = metrics
            .iter_mut()
            .filter(|metric| metric.role == role)
            .flat_map(|metric| metric.variants.iter_mut())
            .filter_map(|variant| variant.comparison.as_mut())
            .collect();
        let p_values: Vec<Option<f64>> =
            family.iter().map(|comparison| comparison.p_value).collect();
        for (comparison, p) in family.iter_mut().zip(adjust(&p_values, correction)) {
            comparison.p_adjusted = p;
        }
    }
    let short = short_variants(experiment, counts);
    for variant in metrics.iter_mut().flat_map(|metric| metric.variants.iter_mut()) {
        let short = short.get(&variant.variant).copied().unwrap_or(false);
        if let Some(comparison) = variant.comparison.as_mut() {
            comparison.verdict = match comparison.p_adjusted.or(comparison.p_value) {
                None => Verdict::Collecting,
                Some(p) if p < experiment.alpha => Verdict::Significant,
                Some(_) if short => Verdict::Underpowered,
                Some(_) => Verdict::NotSignificant,
            };
        }
    }
}

/// By treatment: whether it or the control has fewer units than were planned.
fn short_variants(experiment: &PlannedExperiment, counts: &[u64]) -> BTreeMap<String, bool> {
    let Some(required) = &experiment.required_units_per_variant else { return BTreeMap::new() };
    let short = |index: usize| {
        let name = &experiment.variants[index].variant;
        required.get(name).is_some_and(|required| counts[index] < *required)
    };
    let control = short(experiment.control());
    let variants = experiment.variants.iter().enumerate();
    variants.map(|(index, variant)| (variant.variant.clone(), control || short(index))).collect()
}
