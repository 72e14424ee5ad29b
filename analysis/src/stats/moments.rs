//! Count, mean and central moments of one number per unit.

/// n, mean, Σ(y − mean)², Σ(y − mean)³ and the range of a set of numbers.
///
/// Blocks are reduced around their own mean and joined by the pairwise update of Chan, Golub and
/// `LeVeque` (1979), with the third moment by Terriberry (2007). The mean is held in two floats: a
/// large offset would otherwise cost the variance its digits when blocks are joined. Sums of squares
/// are never formed around zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    n: u64,
    mean: f64,
    /// What rounding took from `mean`; at most half a unit in its last place.
    mean_rest: f64,
    m2: f64,
    m3: f64,
    min: f64,
    max: f64,
    n_nonzero: u64,
}

impl Default for Moments {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        Self::of(&values)
    }
}

/// Rows reduced around one mean; more gain nothing, fewer cost joins.
const BLOCK: usize = 4096;

impl Moments {
    /// No observations; the identity of [`Moments::merge`].
    pub const EMPTY: Self = Self {
        n: 0,
        mean: 0.0,
        mean_rest: 0.0,
        m2: 0.0,
        m3: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        n_nonzero: 0,
    };

    /// The moments of some values.
    pub fn of(values: &[f64]) -> Self {
        values.chunks(BLOCK).map(Self::of_block).fold(Self::EMPTY, Self::merge)
    }

    /// The moments of `n` zeros: units without an event.
    pub fn of_zeros(n: u64) -> Self {
        if n == 0 {
            return Self::EMPTY;
        }
        Self { n, min: 0.0, max: 0.0, ..Self::EMPTY }
    }

    /// From what a summary table holds: count, mean, sample variance (n − 1). `None` if these cannot
    /// belong to any sample.
    pub fn from_summary(n: u64, mean: f64, variance: f64) -> Option<Self> {
        let sound = mean.is_finite() && variance >= 0.0 && variance.is_finite();
        let m2 = if n < 2 { 0.0 } else { variance * (n as f64 - 1.0) };
        (sound && n > 0).then_some(Self {
            n,
            mean,
            m2,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            n_nonzero: n,
            ..Self::EMPTY
        })
    }

    fn of_block(values: &[f64]) -> Self {
        let Some(&first) = values.first() else { return Self::EMPTY };
        let n = values.len() as f64;
        // Around the first value differences of neighbours are exact, whatever the offset.
        let mean = first + values.iter().map(|y| y - first).sum::<f64>() / n;
        let (mut s1, mut s2, mut s3) = (0.0, 0.0, 0.0);
        let (mut min, mut max) = (first, first);
        let mut n_nonzero = 0_u64;
        for &y in values {
            let d = y - mean;
            s1 += d;
            s2 += d * d;
            s3 += d * d * d;
            min = min.min(y);
            max = max.max(y);
            n_nonzero += u64::from(y != 0.0);
        }
        // The mean was rounded: move the moments to the exact one.
        let rest = s1 / n;
        let m3 = s3 - 3.0 * rest * s2 + 2.0 * n * rest * rest * rest;
        let (mean, mean_rest) = two_sum(mean, rest);
        let m2 = s2 - s1 * rest;
        Self {
            n: values.len() as u64,
            mean,
            mean_rest,
            // Not `max`, which would turn NaN into no variance.
            m2: if m2 < 0.0 { 0.0 } else { m2 },
            m3,
            min,
            max,
            n_nonzero,
        }
    }

    /// Adds one value. For many, [`Moments::of`] and [`super::Accumulator`] are faster.
    pub fn add(&mut self, value: f64) {
        *self = self.merge(Self::of_block(&[value]));
    }

    /// The moments of both sets together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.n == 0 {
            return other;
        }
        if other.n == 0 {
            return self;
        }
        let (a, b) = (self.n as f64, other.n as f64);
        let n = a + b;
        let d = self.distance(&other);
        let (mean, mean_rest) = two_sum(self.mean, self.mean_rest + d * (b / n));
        let cross = d * d * (a * (b / n));
        Self {
            n: self.n + other.n,
            mean,
            mean_rest,
            m2: self.m2 + other.m2 + cross,
            m3: self.m3
                + other.m3
                + cross * d * ((a - b) / n)
                + 3.0 * d * (a / n * other.m2 - b / n * self.m2),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            n_nonzero: self.n_nonzero + other.n_nonzero,
        }
    }

    /// `other`'s mean − own mean, without the rounding of either.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        (other.mean - self.mean) + (other.mean_rest - self.mean_rest)
    }

    /// Number of values.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Mean; 0 when empty.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Σ(y − mean)².
    pub fn m2(&self) -> f64 {
        self.m2
    }

    /// Σ(y − mean)³.
    pub fn m3(&self) -> f64 {
        self.m3
    }

    /// Smallest value; +∞ when empty, −∞ when unknown.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest value; −∞ when empty, +∞ when unknown.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Number of values other than zero.
    pub fn n_nonzero(&self) -> u64 {
        self.n_nonzero
    }

    /// Sample variance (n − 1); `None` below two values.
    pub fn variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.m2 / (self.n as f64 - 1.0))
    }

    /// Variance of the mean; `None` below two values.
    pub fn variance_of_mean(&self) -> Option<f64> {
        self.variance().map(|variance| variance / self.n as f64)
    }

    /// `treatment`'s mean − own mean. Not the difference of the two rounded means: at an offset of
    /// 1e9 that would be off by 1e-7.
    pub fn mean_difference(&self, treatment: &Self) -> f64 {
        self.distance(treatment)
    }
}

/// a + b as a rounded sum and the exact rest (Knuth 1969).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let shadow = sum - a;
    (sum, (a - (sum - shadow)) + (b - shadow))
}
