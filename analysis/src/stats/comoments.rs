//! Joint moments of two numbers per unit, for ratios and covariates.

use super::Moments;

/// The moments of y and x over the same units, and Σ(y − ȳ)(x − x̄).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CoMoments {
    y: Moments,
    x: Moments,
    c: f64,
}

impl CoMoments {
    /// No observations; the identity of [`CoMoments::merge`].
    pub const EMPTY: Self = Self { y: Moments::EMPTY, x: Moments::EMPTY, c: 0.0 };

    /// The joint moments of pairs; what has no partner is left out.
    pub fn of(y: &[f64], x: &[f64]) -> Self {
        let n = y.len().min(x.len());
        let (y, x) = (&y[..n], &x[..n]);
        let (my, mx) = (Moments::of(y), Moments::of(x));
        let (cy, cx) = (my.mean(), mx.mean());
        let (mut sy, mut sx, mut sxy) = (0.0, 0.0, 0.0);
        for (y, x) in y.iter().zip(x) {
            let (dy, dx) = (y - cy, x - cx);
            sy += dy;
            sx += dx;
            sxy += dy * dx;
        }
        let c = if n == 0 { 0.0 } else { sxy - sy * (sx / n as f64) };
        Self { y: my, x: mx, c }
    }

    /// The joint moments of `n` pairs of zeros.
    pub fn of_zeros(n: u64) -> Self {
        Self { y: Moments::of_zeros(n), x: Moments::of_zeros(n), c: 0.0 }
    }

    /// From a summary: moments of each and the sample covariance (n − 1). `None` if the counts
    /// differ or the covariance is not finite.
    pub fn from_summary(y: Moments, x: Moments, covariance: f64) -> Option<Self> {
        let n = y.n();
        (n == x.n() && n > 0 && covariance.is_finite()).then_some(Self {
            y,
            x,
            c: covariance * (n as f64 - 1.0),
        })
    }

    /// The joint moments of both sets together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.n() == 0 {
            return other;
        }
        if other.n() == 0 {
            return self;
        }
        let (a, b) = (self.n() as f64, other.n() as f64);
        let cross = self.y.distance(&other.y) * self.x.distance(&other.x) * (a * (b / (a + b)));
        Self { y: self.y.merge(other.y), x: self.x.merge(other.x), c: self.c + other.c + cross }
    }

    /// Number of pairs.
    pub fn n(&self) -> u64 {
        self.y.n()
    }

    /// Moments of the first.
    pub fn y(&self) -> &Moments {
        &self.y
    }

    /// Moments of the second.
    pub fn x(&self) -> &Moments {
        &self.x
    }

    /// Sample covariance (n − 1); `None` below two pairs.
    pub fn covariance(&self) -> Option<f64> {
        (self.n() > 1).then(|| self.c / (self.n() as f64 - 1.0))
    }
}
