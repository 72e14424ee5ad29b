//! Several comparisons of one experiment: corrected p-values and intervals, and verdicts.

use std::collections::BTreeMap;

use super::arm::Arms;
use super::compare::{Notes, compare};
use crate::methods::Alpha;
use crate::methods::multiplicity::{Correction, adjust};
use crate::methods::selection::fcr_level;
use crate::plan::{MetricRole, PlannedExperiment};
use crate::report::{Comparison, MetricReport, Verdict};

/// The families within which comparisons are corrected. Guardrails are not.
const FAMILIES: [(MetricRole, Correction); 2] = [
    (MetricRole::Primary, Correction::Holm),
    (MetricRole::Secondary, Correction::BenjaminiHochberg),
];

/// Corrects for several comparisons within each role's family, then draws the verdicts.
pub(super) fn correct(
    metrics: &mut [MetricReport],
    arms: &[Arms<'_>],
    experiment: &PlannedExperiment,
    counts: &[u64],
) {
    for (role, correction) in FAMILIES {
        let places: Vec<(usize, usize)> = metrics
            .iter()
            .enumerate()
            .filter(|(_, metric)| metric.role == role)
            .flat_map(|(m, metric)| {
                let compared = metric.variants.iter().enumerate();
                compared.filter(|(_, v)| v.comparison.is_some()).map(move |(v, _)| (m, v))
            })
            .collect();
        correct_p_values(metrics, &places, correction);
        correct_intervals(metrics, &places, arms, experiment, correction);
    }
    judge(metrics, experiment, counts);
}

fn at(metrics: &mut [MetricReport], (m, v): (usize, usize)) -> Option<&mut Comparison> {
    metrics.get_mut(m)?.variants.get_mut(v)?.comparison.as_mut()
}

fn correct_p_values(
    metrics: &mut [MetricReport],
    places: &[(usize, usize)],
    correction: Correction,
) {
    let of = |metrics: &mut [MetricReport], read: fn(&Comparison) -> Option<f64>| -> Vec<_> {
        places.iter().map(|place| at(metrics, *place).and_then(|found| read(found))).collect()
    };
    let fixed = of(metrics, |found| found.p_value);
    let sequential =
        of(metrics, |found| found.sequential.as_ref().and_then(|sequential| sequential.p_value));
    let adjusted = adjust(&fixed, correction).into_iter().zip(adjust(&sequential, correction));
    for (place, (fixed, sequential)) in places.iter().zip(adjusted) {
        let Some(comparison) = at(metrics, *place) else { continue };
        comparison.p_adjusted = fixed;
        if let Some(found) = &mut comparison.sequential {
            found.p_adjusted = sequential;
        }
    }
}

/// Bonferroni's level for the primaries; for secondaries that of the false-coverage rate, where
/// Benjamini–Hochberg selects.
fn correct_intervals(
    metrics: &mut [MetricReport],
    places: &[(usize, usize)],
    arms: &[Arms<'_>],
    experiment: &PlannedExperiment,
    correction: Correction,
) {
    let p_values: Vec<Option<f64>> =
        places.iter().map(|place| at(metrics, *place).and_then(|found| found.p_value)).collect();
    let m = p_values.iter().flatten().count();
    let Some(alpha) = Alpha::try_new(experiment.alpha).filter(|_| m > 0) else { return };
    let of_family = match correction {
        Correction::BenjaminiHochberg => {
            fcr_level(&p_values, alpha).marginal_level.map(|level| 1.0 - level)
        }
        _ => Some(alpha.get() / m as f64),
    };
    let Some(level) = of_family.and_then(Alpha::try_new) else { return };
    for place in places {
        let Some(found) = at(metrics, *place) else { continue };
        let selected = found.p_adjusted.is_some_and(|p| p <= alpha.get());
        if found.p_value.is_none() || (correction == Correction::BenjaminiHochberg && !selected) {
            continue;
        }
        let arms = &arms[place.0].all;
        let (c, t) = (arms[experiment.control()], arms[place.1]);
        let wider = compare(c, t, level, &mut Notes::default());
        found.ci_adjusted = wider.ci;
        found.lift_ci_adjusted = wider.lift_ci;
    }
}

fn judge(metrics: &mut [MetricReport], experiment: &PlannedExperiment, counts: &[u64]) {
    let short = short_variants(experiment, counts);
    for metric in metrics {
        for variant in &mut metric.variants {
            let short = short.get(&variant.variant).copied().unwrap_or(false);
            let verdict = |p: Option<f64>| match p {
                None => Verdict::Collecting,
                Some(p) if p < experiment.alpha => Verdict::Significant,
                Some(_) if short => Verdict::Underpowered,
                Some(_) => Verdict::NotSignificant,
            };
            let Some(comparison) = variant.comparison.as_mut() else { continue };
            comparison.verdict = verdict(comparison.p_adjusted.or(comparison.p_value));
            if let Some(found) = &mut comparison.sequential {
                let p = found.p_adjusted.or(found.p_value).filter(|_| found.gate.is_none());
                found.verdict = verdict(p);
            }
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
