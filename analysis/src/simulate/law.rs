//! Laws that units' numbers are drawn from.

use rand::RngExt;
use rand_distr::{Distribution, Poisson, StandardNormal};
use serde::{Deserialize, Serialize};

use super::stream::Rng;
use crate::methods::normal;

/// How the numbers of units are spread. Every law has a latent standard normal number for each unit,
/// by which metrics, and a unit's history, can be correlated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "law", rename_all = "snake_case")]
pub enum Law {
    /// A normal number.
    Normal {
        /// Mean of control.
        mean: f64,
        /// Standard deviation.
        std_dev: f64,
    },
    /// A conversion.
    Bernoulli {
        /// Share of control's units that convert.
        rate: f64,
    },
    /// An amount with a long tail.
    Lognormal {
        /// Mean of control.
        mean: f64,
        /// Standard deviation of its logarithm.
        sigma: f64,
    },
    /// Revenue: most units have nothing, the others a lognormal amount.
    ZeroInflated {
        /// Share of units with an amount.
        rate: f64,
        /// Mean amount of those, in control.
        mean: f64,
        /// Standard deviation of the amount's logarithm.
        sigma: f64,
    },
    /// Clicks per view: units have one view or more, and convert each with a rate of their own.
    Ratio {
        /// Control's clicks per view.
        rate: f64,
        /// Mean number of views of a unit, 1 at least.
        views: f64,
    },
    /// Whole clusters are assigned: a unit is a cluster of members, whose number is a normal one.
    Clustered {
        /// Mean of control's members.
        mean: f64,
        /// Standard deviation of a member.
        std_dev: f64,
        /// Mean number of members, 1 at least.
        members: f64,
        /// Correlation of members of one cluster.
        correlation: f64,
    },
}

impl Law {
    /// Why this is no law, if it is none: the field and the rule.
    pub fn fault(&self) -> Option<String> {
        let positive = |name: &str, value: f64| {
            let sound = value > 0.0 && value.is_finite();
            (!sound).then(|| format!("{name} must be a positive number"))
        };
        let share = |name: &str, value: f64| {
            (!(value > 0.0 && value < 1.0)).then(|| format!("{name} must be between 0 and 1"))
        };
        let finite = |value: f64| (!value.is_finite()).then(|| "mean must be a number".to_owned());
        let sigma = |value: f64| {
            (!(value > 0.0 && value <= 5.0)).then(|| "sigma must be above 0 and at most 5".into())
        };
        let count = |name: &str, value: f64| {
            let sound = (1.0..=1e6).contains(&value);
            (!sound).then(|| format!("{name} must be between 1 and 1000000"))
        };
        match *self {
            Self::Normal { mean, std_dev } => finite(mean).or(positive("std_dev", std_dev)),
            Self::Bernoulli { rate } => share("rate", rate),
            Self::Lognormal { mean, sigma: s } => positive("mean", mean).or(sigma(s)),
            Self::ZeroInflated { rate, mean, sigma: s } => {
                share("rate", rate).or(positive("mean", mean)).or(sigma(s))
            }
            Self::Ratio { rate, views } => share("rate", rate).or(count("views", views)),
            Self::Clustered { mean, std_dev, members, correlation } => finite(mean)
                .or(positive("std_dev", std_dev))
                .or(count("members", members))
                .or(((0.0..1.0).contains(&correlation).then_some(()).is_none())
                    .then(|| "correlation must be at least 0 and below 1".to_owned())),
        }
    }

    /// Why a lift is impossible under this law.
    pub fn lift_fault(&self, lift: f64) -> Option<String> {
        let most = match *self {
            Self::Bernoulli { rate } => rate * (1.0 + lift),
            // Units' own rates reach twice the mean one.
            Self::Ratio { rate, .. } => 2.0 * rate * (1.0 + lift),
            _ => 0.0,
        };
        if !(lift > -1.0 && lift.is_finite()) {
            Some("a lift must be above -1".to_owned())
        } else if most > 1.0 {
            Some(format!("a lift of {lift} takes the rate of some units above 1"))
        } else {
            None
        }
    }

    /// Whether a unit has two numbers: what is above and what is below the line of a ratio.
    pub const fn is_ratio(&self) -> bool {
        matches!(self, Self::Ratio { .. } | Self::Clustered { .. })
    }

    /// Value of the metric without an effect.
    pub const fn base(&self) -> f64 {
        match *self {
            Self::Normal { mean, .. }
            | Self::Lognormal { mean, .. }
            | Self::Clustered { mean, .. } => mean,
            Self::Bernoulli { rate } | Self::Ratio { rate, .. } => rate,
            Self::ZeroInflated { rate, mean, .. } => rate * mean,
        }
    }

    /// One unit's number, or its two, from its latent number `z`, with a lift.
    #[inline]
    pub fn draw(&self, rng: &mut Rng, z: f64, lift: f64) -> (f64, f64) {
        match *self {
            Self::Normal { mean, std_dev } => (mean * (1.0 + lift) + std_dev * z, 1.0),
            Self::Bernoulli { rate } => {
                // The tail areas of a normal number are uniform.
                (f64::from(u8::from(normal::sf(z) < rate * (1.0 + lift))), 1.0)
            }
            Self::Lognormal { mean, sigma } => {
                (mean * (1.0 + lift) * (sigma * (z - 0.5 * sigma)).exp(), 1.0)
            }
            Self::ZeroInflated { rate, mean, sigma } => {
                let buys = rng.random::<f64>() < rate;
                let amount = || mean * (1.0 + lift) * (sigma * (z - 0.5 * sigma)).exp();
                (if buys { amount() } else { 0.0 }, 1.0)
            }
            Self::Ratio { rate, views } => {
                let own = rate * (1.0 + lift) * (1.0 + 0.5 * z.clamp(-2.0, 2.0));
                let views = 1.0 + poisson(rng, views - 1.0);
                let mut clicks = 0.0;
                let mut left = views;
                while left > 0.0 {
                    clicks += f64::from(u8::from(rng.random::<f64>() < own));
                    left -= 1.0;
                }
                (clicks, views)
            }
            Self::Clustered { mean, std_dev, members, correlation } => {
                let members = 1.0 + poisson(rng, members - 1.0);
                let rest = (members * (1.0 - correlation)).sqrt() * standard_normal(rng);
                let common = members * correlation.sqrt() * z;
                (members * mean * (1.0 + lift) + std_dev * (common + rest), members)
            }
        }
    }

    /// One unit's number without a latent one of its own: the same law, quicker to draw.
    #[inline]
    pub fn draw_alone(&self, rng: &mut Rng, lift: f64) -> (f64, f64) {
        if let Self::Bernoulli { rate } = *self {
            let converts = rng.random::<f64>() < rate * (1.0 + lift);
            return (f64::from(u8::from(converts)), 1.0);
        }
        if let Self::ZeroInflated { rate, mean, sigma } = *self {
            if rng.random::<f64>() >= rate {
                return (0.0, 1.0);
            }
            let z = standard_normal(rng);
            return (mean * (1.0 + lift) * (sigma * (z - 0.5 * sigma)).exp(), 1.0);
        }
        let z = standard_normal(rng);
        self.draw(rng, z, lift)
    }
}

/// A standard normal number.
#[inline]
pub fn standard_normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// A Poisson number; 0 for a mean of 0.
pub fn poisson(rng: &mut Rng, mean: f64) -> f64 {
    Poisson::new(mean).map_or(0.0, |law| law.sample(rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::stream::stream;
    use crate::stats::CoMoments;

    #[test]
    fn every_law_has_its_base_and_its_lift() {
        let laws = [
            Law::Normal { mean: 10.0, std_dev: 3.0 },
            Law::Bernoulli { rate: 0.1 },
            Law::Lognormal { mean: 2.0, sigma: 1.0 },
            Law::ZeroInflated { rate: 0.2, mean: 5.0, sigma: 0.8 },
            Law::Ratio { rate: 0.2, views: 4.0 },
            Law::Clustered { mean: 3.0, std_dev: 2.0, members: 8.0, correlation: 0.2 },
        ];
        for law in laws {
            assert_eq!(law.fault(), None);
            for alone in [false, true] {
                let rng = &mut stream(1, "laws", u64::from(alone));
                let drawn: Vec<(f64, f64)> = (0..40_000)
                    .map(|_| {
                        if alone {
                            return law.draw_alone(rng, 0.25);
                        }
                        let z = standard_normal(rng);
                        law.draw(rng, z, 0.25)
                    })
                    .collect();
                let (y, d): (Vec<f64>, Vec<f64>) = drawn.into_iter().unzip();
                let found = CoMoments::of(&y, &d);
                let value = found.y().mean() / found.x().mean();
                let expected = law.base() * 1.25;
                let se = found.y().variance_of_mean().unwrap().sqrt() / found.x().mean();
                assert!((value - expected).abs() < 5.0 * se, "{law:?} {value} {expected}");
            }
        }
    }

    #[test]
    fn what_is_no_law_is_named() {
        let fault = Law::Bernoulli { rate: 1.5 }.fault().unwrap();
        assert!(fault.contains("rate"), "{fault}");
        assert!(Law::Normal { mean: f64::NAN, std_dev: 1.0 }.fault().is_some());
        assert!(
            Law::Clustered { mean: 0.0, std_dev: 1.0, members: 3.0, correlation: 1.0 }
                .fault()
                .is_some()
        );
        assert!(Law::Bernoulli { rate: 0.5 }.lift_fault(1.5).is_some());
        assert!(Law::Bernoulli { rate: 0.5 }.lift_fault(-1.0).is_some());
        assert_eq!(Law::Bernoulli { rate: 0.5 }.lift_fault(0.9), None);
    }
}
