//! What methods take and answer: levels, alternatives, intervals, estimates, errors.

use super::{normal, student_t};

/// Why a method has no answer. `code` is the word that reports carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// An arm has fewer units than the method needs.
    #[error("an arm has too few units")]
    TooFewUnits,
    /// There is nothing to compare with: no arm varies.
    #[error("no arm varies")]
    ZeroVariance,
    /// The arms have more units than the method is made for.
    #[error("the arms have too many units for this method")]
    TooManyUnits,
    /// An input or a result is infinite or not a number.
    #[error("a value is not finite")]
    NotFinite,
    /// A ratio has zero below the line.
    #[error("the denominator is zero")]
    ZeroDenominator,
    /// The data are compatible with a denominator of either sign, so that no interval bounds the
    /// ratio.
    #[error("the interval is unbounded")]
    Unbounded,
    /// A table has less than two rows or columns with data.
    #[error("less than two rows or columns have data")]
    Degenerate,
}

impl MethodError {
    /// The word for it in reports.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooFewUnits => "too_few_units",
            Self::ZeroVariance => "zero_variance",
            Self::TooManyUnits => "too_many_units",
            Self::NotFinite => "not_finite",
            Self::ZeroDenominator => "zero_denominator",
            Self::Unbounded => "unbounded",
            Self::Degenerate => "degenerate",
        }
    }
}

/// Accepted false-positive rate, strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// 5 %.
    pub const DEFAULT: Self = Self(0.05);

    /// A level; `None` outside (0, 1).
    pub fn try_new(alpha: f64) -> Option<Self> {
        (alpha > 0.0 && alpha < 1.0).then_some(Self(alpha))
    }

    /// As a number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// What is tested against "no effect".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alternative {
    /// Treatment differs.
    #[default]
    TwoSided,
    /// Treatment is greater.
    Greater,
    /// Treatment is less.
    Less,
}

impl Alternative {
    /// Tail area on the far side of each bound of the interval that belongs to this test.
    pub(crate) fn tail(self, alpha: Alpha) -> f64 {
        match self {
            Self::TwoSided => alpha.get() / 2.0,
            Self::Greater | Self::Less => alpha.get(),
        }
    }

    /// p-value of a standard normal statistic.
    pub fn p_normal(self, z: f64) -> f64 {
        match self {
            Self::TwoSided => normal::two_sided(z),
            Self::Greater => normal::sf(z),
            Self::Less => normal::sf(-z),
        }
    }

    /// p-value of a t statistic.
    pub fn p_student(self, t: f64, df: f64) -> f64 {
        match self {
            Self::TwoSided => student_t::two_sided(t, df),
            Self::Greater => student_t::sf(t, df),
            Self::Less => student_t::sf(-t, df),
        }
    }

    /// The interval `effect ± half`, open on the side that the test does not look at.
    pub(crate) fn interval(self, effect: f64, half: f64) -> Interval {
        let (lo, hi) = (effect - half, effect + half);
        match self {
            Self::TwoSided => Interval { lo, hi },
            Self::Greater => Interval { lo, hi: f64::INFINITY },
            Self::Less => Interval { lo: f64::NEG_INFINITY, hi },
        }
    }
}

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower bound; −∞ when open.
    pub lo: f64,
    /// Upper bound; +∞ when open.
    pub hi: f64,
}

impl Interval {
    /// Whether zero lies outside.
    pub fn excludes_zero(self) -> bool {
        self.lo > 0.0 || self.hi < 0.0
    }

    /// Both bounds, when both are finite.
    pub fn finite(self) -> Option<[f64; 2]> {
        (self.lo.is_finite() && self.hi.is_finite()).then_some([self.lo, self.hi])
    }
}

/// Effect of a treatment against control, by a test on its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Treatment − control.
    pub effect: f64,
    /// Standard error of the effect.
    pub se: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Effect over its standard error.
    pub statistic: f64,
    /// p-value of the statistic.
    pub p_value: f64,
    /// Interval of the effect.
    pub ci: Interval,
    /// Critical value with which the interval was made.
    pub critical: f64,
}

impl Estimate {
    /// The t-test of an effect with a known standard error and degrees of freedom.
    pub(crate) fn student(
        effect: f64,
        se: f64,
        df: f64,
        alpha: Alpha,
        alternative: Alternative,
    ) -> Result<Self, MethodError> {
        if se == 0.0 {
            return Err(MethodError::ZeroVariance);
        }
        let statistic = effect / se;
        if !(statistic.is_finite() && se.is_finite() && df > 0.0) {
            return Err(MethodError::NotFinite);
        }
        let critical = student_t::isf(alternative.tail(alpha), df);
        Ok(Self {
            effect,
            se,
            df,
            statistic,
            p_value: alternative.p_student(statistic, df),
            ci: alternative.interval(effect, critical * se),
            critical,
        })
    }
}
