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
    found.ok().filter(is_finite).map(|found| oriented(found, metric.direction))
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

/// Whether every number of it is one: JSON knows no others.
fn is_finite(found: &BayesianReport) -> bool {
    let numbers = [found.mean, found.prob_better, found.expected_loss, found.expected_loss_control];
    numbers.iter().chain(&found.ci).all(|number| number.is_finite())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Successes;
    use serde_json::json;

    fn metric(direction: &str) -> PlannedMetric {
        let metric = json!({"metric": "m", "role": "primary", "kind": "proportion", "event": "e",
            "direction": direction});
        serde_json::from_value(metric).unwrap()
    }

    fn of(direction: &str, c: Arm<'_>, t: Arm<'_>) -> BayesianReport {
        posterior(&metric(direction), c, t, Alpha::DEFAULT).unwrap()
    }

    #[test]
    fn few_outcomes_have_the_exact_law_and_many_nearly_the_same() {
        let arm = |n, successes| Arm::Proportion(Successes { n, successes });
        let few = of("increase", arm(1000, 90), arm(1000, 99));
        assert_eq!((few.method.as_str(), few.scale), ("beta_binomial", Scale::Absolute));
        let many = of("increase", arm(10_000, 900), arm(10_000, 990));
        assert_eq!((many.method.as_str(), many.scale), ("normal_normal", Scale::Relative));
        assert!((many.mean - 0.1).abs() < 0.01 && many.prob_better > 0.97, "{many:?}");
        assert!(many.ci[0] < many.mean && many.mean < many.ci[1]);
    }

    #[test]
    fn less_is_better_where_the_direction_says_so() {
        let (c, t): (Moments, Moments) = (
            (0..500).map(|i| f64::from(i % 7)).collect(),
            (0..500).map(|i| f64::from(i % 6)).collect(),
        );
        let up = of("increase", Arm::Mean(&c), Arm::Mean(&t));
        let down = of("decrease", Arm::Mean(&c), Arm::Mean(&t));
        assert!((up.prob_better + down.prob_better - 1.0).abs() < 1e-12);
        assert!(down.prob_better > 0.99, "{down:?}");
        assert_eq!(up.expected_loss.to_bits(), down.expected_loss_control.to_bits());
        assert_eq!(up.ci.map(f64::to_bits), down.ci.map(f64::to_bits));
    }

    #[test]
    fn a_control_near_zero_has_no_lift() {
        let c: Moments = (0..100).map(|i| f64::from(i % 2) - 0.5).collect();
        let t: Moments = (0..100).map(|i| f64::from(i % 2)).collect();
        let found = of("increase", Arm::Mean(&c), Arm::Mean(&t));
        assert_eq!((found.scale, found.prior_variance), (Scale::Absolute, None));
        assert!((found.mean - 0.5).abs() < 1e-12);
    }
}
