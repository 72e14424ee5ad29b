//! A comparison adjusted by what each unit did before its exposure.

use super::tally::{ExperimentTally, History};
use crate::methods::cuped::{self, IMBALANCE};
use crate::methods::fieller::{Parts, ratio_interval};
use crate::methods::stratified::{Known, cuped_strata};
use crate::methods::{Alpha, Alternative, Interval, MethodError, confidence_sequence, welch};
use crate::plan::PlannedExperiment;
use crate::report::CupedReport;
use crate::stats::CoMoments;

/// The adjusted comparison of a treatment; none for a metric without a covariate.
pub(super) fn adjusted(
    experiment: &PlannedExperiment,
    index: usize,
    found: &ExperimentTally,
    treatment: usize,
    n_tune: f64,
    alpha: Alpha,
) -> Option<CupedReport> {
    let history = |variant: usize| found.variants[variant].metrics[index].history;
    let (c, t) = (history(experiment.control())?, history(treatment)?);
    let mut report = CupedReport {
        undefined: None,
        lookback_ms: experiment.covariate_lookback_ms,
        n_with_history: c.known.n() + t.known.n(),
        theta: None,
        variance_reduction: None,
        effect: None,
        se: None,
        ci: None,
        lift: None,
        lift_ci: None,
        p_value: None,
        sequential_p_value: None,
        sequential_ci: None,
        pre_exposure_p_value: None,
    };
    if report.n_with_history == 0 {
        report.undefined = Some("no_history".to_owned());
        return Some(report);
    }
    if let Err(error) = fill(&mut report, &c, &t, n_tune, alpha) {
        report.undefined = Some(error.code().to_owned());
    }
    Some(report)
}

/// Whether the arms of an adjusted comparison were not alike before exposure.
pub(super) fn is_imbalanced(report: &CupedReport) -> bool {
    report.pre_exposure_p_value.is_some_and(|p| p < IMBALANCE)
}

fn fill(
    report: &mut CupedReport,
    c: &History,
    t: &History,
    n_tune: f64,
    alpha: Alpha,
) -> Result<(), MethodError> {
    report.pre_exposure_p_value =
        welch::welch(c.known.x(), t.known.x(), alpha).ok().map(|test| test.p_value);
    let mut strata = vec![Known::Covariate(c.known, t.known)];
    if c.unknown.n() + t.unknown.n() > 0 {
        strata.push(Known::Nothing(c.unknown, t.unknown));
    }
    let estimate = cuped_strata(&strata, alpha, Alternative::TwoSided)?;
    let theta = cuped::theta(&c.known.merge(t.known));
    let (raw_c, raw_t) = (c.known.y().merge(c.unknown), t.known.y().merge(t.unknown));
    let raw_of_control = raw_c.variance_of_mean().ok_or(MethodError::TooFewUnits)?;
    let raw = raw_of_control + raw_t.variance_of_mean().ok_or(MethodError::TooFewUnits)?;
    report.theta = Some(theta);
    report.effect = Some(estimate.effect);
    report.se = Some(estimate.se);
    report.ci = estimate.ci.finite();
    report.p_value = Some(estimate.p_value);
    report.variance_reduction = (raw > 0.0).then(|| 1.0 - estimate.se * estimate.se / raw);
    let base = raw_c.mean();
    report.lift = (base != 0.0).then(|| estimate.effect / base.abs()).filter(|l| l.is_finite());
    let parts = Parts {
        numerator: estimate.effect,
        numerator_variance: estimate.se * estimate.se,
        denominator: base,
        denominator_variance: raw_of_control,
        covariance: -shared(c, t, theta)?,
    };
    report.lift_ci = ratio_interval(parts, estimate.critical).ok().and_then(Interval::finite);
    let n = (raw_c.n() + raw_t.n()) as f64;
    // The smaller arm of a ramp says little about its own variance: the larger error of the two holds.
    let se = estimate.se.max(pooled_se(c, t, theta)?);
    let sequence = confidence_sequence::confidence_sequence(
        estimate.effect,
        se,
        n,
        n_tune,
        alpha,
        Alternative::TwoSided,
    )?;
    if confidence_sequence::Gate::of(&raw_c, &raw_t).is_reached() {
        report.sequential_p_value = Some(sequence.p_value);
    }
    report.sequential_ci = sequence.ci.finite();
    Ok(())
}

/// Standard error of the stratified, adjusted effect if each stratum's arms had one variance.
fn pooled_se(c: &History, t: &History, theta: f64) -> Result<f64, MethodError> {
    let n = (c.known.n() + c.unknown.n() + t.known.n() + t.unknown.n()) as f64;
    let part = |variance: Option<f64>, n_c: u64, n_t: u64| {
        let share = (n_c + n_t) as f64 / n;
        variance.map(|v| share * share * (v / n_c as f64 + v / n_t as f64))
    };
    let both = c.known.merge(t.known);
    let known = cuped::adjust(&both, theta, both.x())?.variance();
    let mut squared = part(known, c.known.n(), t.known.n()).ok_or(MethodError::TooFewUnits)?;
    if c.unknown.n() + t.unknown.n() > 0 {
        let unknown = c.unknown.merge(t.unknown).variance();
        squared += part(unknown, c.unknown.n(), t.unknown.n()).ok_or(MethodError::TooFewUnits)?;
    }
    Ok(squared.sqrt())
}

/// Covariance of the control's adjusted, stratified mean and its raw mean: a stratum has the weight w
/// in the first and its share of control's n units in the second, so it adds `w (v_y − θ cov)/n`.
fn shared(c: &History, t: &History, theta: f64) -> Result<f64, MethodError> {
    let n_c = (c.known.n() + c.unknown.n()) as f64;
    let n = n_c + (t.known.n() + t.unknown.n()) as f64;
    let of_known = |arm: &CoMoments| Some(arm.y().variance()? - theta * arm.covariance()?);
    let known = of_known(&c.known).ok_or(MethodError::TooFewUnits)?;
    let mut sum = (c.known.n() + t.known.n()) as f64 / n * known;
    if let Some(unknown) = c.unknown.variance() {
        sum += (c.unknown.n() + t.unknown.n()) as f64 / n * unknown;
    }
    Ok(sum / n_c)
}
