//! The Bayesian view of a comparison.

use super::arm::Arm;
use crate::methods::beta_binomial::{BetaParameters, beta_binomial};
use crate::methods::normal_normal::{NormalPrior, normal_normal};
use crate::methods::ratio::MIN_DENOMINATOR_Z;
use crate::methods::{Alpha, Interval, MethodError, lift};
use crate::plan::{Direction, MetricRole, PlannedMetric, Scale};
use crate::report::BayesianReport;
use crate::stats::Moments;

/// Outcomes of either kind in each arm from which on the posterior of a share is normal for every
/// purpose. The exact one costs a hundred times as much.
const MANY_OUTCOMES: u64 = 100;

/// What a comparison says to somebody who asks for probabilities of effects. Decisions do not rest on
/// it: looked at again and again it errs more often than its numbers say.
pub(super) fn posterior(
    metric: &PlannedMetric,
    control: Arm<'_>,
    treatment: Arm<'_>,
    alpha: Alpha,
) -> Option<BayesianReport> {
    let found = match (control, treatment) {
        (Arm::Proportion(c), Arm::Proportion(t))
            if metric.role == MetricRole::Primary
                && [c, t].iter().any(|a| a.successes.min(a.failures()) < MANY_OUTCOMES) =>
        {
            beta_binomial(c, t, BetaParameters::UNIFORM, alpha).map(|found| BayesianReport {
                method: "beta_binomial".to_owned(),
                scale: Scale::Absolute,
                prior_variance: None,
                mean: found.expected_effect,
                prob_better: found.prob_treatment_better,
                expected_loss: found.expected_loss_treatment,
                expected_loss_control: found.expected_loss_control,
                ci: [found.credible_interval.lo, found.credible_interval.hi],
            })
        }
        (Arm::Quantile(Some((c, _))), Arm::Quantile(Some((t, _)))) => {
            c.se.and_then(|a| Ok((a, t.se?))).and_then(|(a, b)| {
                normal(
                    c.value,
                    a,
                    t.value - c.value,
                    b.hypot(t.value / c.value * a),
                    a.hypot(b),
                    alpha,
                )
            })
        }
        _ => {
            let (c, t) = (control.moments()?, treatment.moments()?);
            means(&c, &t, alpha)
        }
    };
    found.ok().map(|found| oriented(found, metric.direction))
}

fn means(c: &Moments, t: &Moments, alpha: Alpha) -> Result<BayesianReport, MethodError> {
    let (Some(a), Some(b)) = (c.variance_of_mean(), t.variance_of_mean()) else {
        return Err(MethodError::TooFewUnits);
    };
    let effect = c.mean_difference(t);
    let relative = lift::delta_se(c, t).map_or(f64::NAN, |se| se * c.mean().abs());
    normal(c.mean(), a.sqrt(), effect, relative, (a + b).sqrt(), alpha)
}

/// The posterior of the lift where control is far enough from zero to have one, else of the effect;
/// `se_of_lift` is that of the lift times the control's value.
fn normal(
    base: f64,
    se_of_base: f64,
    effect: f64,
    se_of_lift: f64,
    se: f64,
    alpha: Alpha,
) -> Result<BayesianReport, MethodError> {
    let has_lift = base.abs() > MIN_DENOMINATOR_Z * se_of_base && se_of_lift.is_finite();
    let (effect, se, prior, scale) = if has_lift {
        let prior = NormalPrior::LIFT;
        (effect / base.abs(), se_of_lift / base.abs(), Some(prior), Scale::Relative)
    } else {
        (effect, se, None, Scale::Absolute)
    };
    let found = normal_normal(effect, se, prior, alpha)?;
    let Interval { lo, hi } = found.credible_interval;
    Ok(BayesianReport {
        method: "normal_normal".to_owned(),
        scale,
        prior_variance: prior.map(|prior| prior.variance),
        mean: found.mean,
        prob_better: found.prob_treatment_better,
        expected_loss: found.expected_loss_treatment,
        expected_loss_control: found.expected_loss_control,
        ci: [lo, hi],
    })
}

/// From "treatment is greater" to "treatment is better".
fn oriented(found: BayesianReport, direction: Direction) -> BayesianReport {
    match direction {
        Direction::Increase => found,
        Direction::Decrease => BayesianReport {
            prob_better: 1.0 - found.prob_better,
            expected_loss: found.expected_loss_control,
            expected_loss_control: found.expected_loss,
            ..found
        },
    }
}
