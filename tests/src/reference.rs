//! Results from raw numbers, by textbook formulas and none of the platform's code.
//!
//! Quantiles and interval bounds are found by bisection, which needs nothing but the function itself.

use libm::{erfc, lgamma};

/// A comparison of two groups.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Treatment − control.
    pub effect: f64,
    /// Interval of the effect.
    pub ci: [f64; 2],
    /// Effect over the control's absolute value.
    pub lift: f64,
    /// Two-sided p-value.
    pub p_value: f64,
}

/// Mean of the numbers.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample variance (n − 1) of the numbers.
pub fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// Welch's t-test.
pub fn welch(control: &[f64], treatment: &[f64], alpha: f64) -> Expected {
    let (n_c, n_t) = (control.len() as f64, treatment.len() as f64);
    let (a, b) = (variance(control) / n_c, variance(treatment) / n_t);
    let se = (a + b).sqrt();
    let df = (a + b).powi(2) / (a.powi(2) / (n_c - 1.0) + b.powi(2) / (n_t - 1.0));
    let effect = mean(treatment) - mean(control);
    let critical = bisect(0.0, 1e3, |t| student_two_sided(t, df) - alpha);
    Expected {
        effect,
        ci: [effect - critical * se, effect + critical * se],
        lift: effect / mean(control).abs(),
        p_value: student_two_sided(effect / se, df),
    }
}

/// Two proportions: the pooled z-test, and Mee's score interval, which inverts it.
pub fn two_proportions(control: (u64, u64), treatment: (u64, u64), alpha: f64) -> Expected {
    let (x_c, n_c) = (control.0 as f64, control.1 as f64);
    let (x_t, n_t) = (treatment.0 as f64, treatment.1 as f64);
    let (p_c, p_t) = (x_c / n_c, x_t / n_t);
    let effect = p_t - p_c;
    // The score statistic of the hypothesis that the difference is `delta`.
    let score = |delta: f64| {
        let (lo, hi) = ((-delta).max(0.0), (1.0 - delta).min(1.0));
        let slope = |p: f64| {
            x_c / p - (n_c - x_c) / (1.0 - p) + x_t / (p + delta) - (n_t - x_t) / (1.0 - p - delta)
        };
        let p = bisect(lo + 1e-12, hi - 1e-12, slope);
        let q = p + delta;
        (effect - delta) / (p * (1.0 - p) / n_c + q * (1.0 - q) / n_t).sqrt()
    };
    let critical = bisect(0.0, 40.0, |z| normal_two_sided(z) - alpha);
    Expected {
        effect,
        ci: [
            bisect(-0.999_999, effect, |delta| score(delta) - critical),
            bisect(effect, 0.999_999, |delta| score(delta) + critical),
        ],
        lift: effect / p_c,
        p_value: normal_two_sided(score(0.0)),
    }
}

/// Pearson's chi-squared of group sizes against their shares: statistic and p-value for three groups,
/// for which the tail is an exponential function.
pub fn sample_ratio(n_units: [u64; 3], shares: [f64; 3]) -> (f64, f64) {
    let total: u64 = n_units.iter().sum();
    let statistic: f64 = n_units
        .iter()
        .zip(shares)
        .map(|(&n, share)| (n as f64 - total as f64 * share).powi(2) / (total as f64 * share))
        .sum();
    (statistic, (-statistic / 2.0).exp())
}

/// Chance of a standard normal number farther from 0 than `z`.
fn normal_two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Chance of a Student number with `df` degrees of freedom farther from 0 than `t`.
fn student_two_sided(t: f64, df: f64) -> f64 {
    incomplete_beta(df / 2.0, 0.5, df / (df + t * t))
}

/// Regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (lgamma(a + b) - lgamma(a) - lgamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    // From the inside out: 500 terms are far more than any case here needs.
    let mut fraction = 1.0;
    for step in (1..=500).rev() {
        let m = f64::from(step / 2);
        let term = if step % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        fraction = 1.0 + term / fraction;
    }
    front / fraction
}

/// Where a falling function is 0.
fn bisect(mut lo: f64, mut hi: f64, function: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = f64::midpoint(lo, hi);
        if function(middle) > 0.0 {
            lo = middle;
        } else {
            hi = middle;
        }
    }
    f64::midpoint(lo, hi)
}

#[cfg(test)]
mod tests {
    use super::{incomplete_beta, student_two_sided, two_proportions, welch};

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} is not {expected}");
    }

    #[test]
    fn students_tail_agrees_with_its_closed_forms() {
        // df 1 is Cauchy's distribution, df 2 has an algebraic tail.
        close(student_two_sided(1.0, 1.0), 0.5);
        close(student_two_sided(3.0, 2.0), 1.0 - 3.0 / 11.0_f64.sqrt());
        close(incomplete_beta(2.0, 3.0, 0.3), 0.3483);
    }

    #[test]
    fn the_published_interval_of_two_proportions_is_reproduced() {
        // Newcombe (1998), Statistics in Medicine 17, table II, method 5 (Mee), example 56/70 - 48/80.
        let found = two_proportions((48, 80), (56, 70), 0.05);
        assert!((found.effect - 0.2).abs() < 1e-12);
        assert!(
            (found.ci[0] - 0.0533).abs() < 5e-5 && (found.ci[1] - 0.3377).abs() < 5e-5,
            "{found:?}"
        );
    }

    #[test]
    fn exchanging_the_groups_mirrors_the_comparison() {
        let (a, b) = ([1.0, 2.0, 4.0, 8.0, 3.0], [2.0, 5.0, 1.0, 9.0]);
        let (one, other) = (welch(&a, &b, 0.05), welch(&b, &a, 0.05));
        close(one.p_value, other.p_value);
        close(one.ci[0], -other.ci[1]);
    }
}
