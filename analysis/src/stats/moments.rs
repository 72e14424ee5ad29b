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

    /// The same with another Σ(y − mean)³: what a summary does not know.
    #[must_use]
    pub(crate) fn with_m3(self, m3: f64) -> Self {
        Self { m3: if m3.is_finite() { m3 } else { 0.0 }, ..self }
    }

    fn of_block(values: &[f64]) -> Self {
        let Some(&first) = values.first() else { return Self::EMPTY };
        let n = values.len() as f64;
        // Around the first value differences of neighbours are exact, whatever the offset.
        let mean = first + sum_by_lanes(values, |y| y - first) / n;
        let mut lanes = [Lane::new(first); LANES];
        let mut chunks = values.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (lane, y) in lanes.iter_mut().zip(chunk) {
                lane.add(*y, mean);
            }
        }
        for (lane, y) in lanes.iter_mut().zip(chunks.remainder()) {
            lane.add(*y, mean);
        }
        let total = lanes.into_iter().reduce(Lane::merge).unwrap_or(Lane::new(first));
        // The mean was rounded: move the moments to the exact one.
        let Lane { s1, s2, s3, min, max, n_nonzero } = total;
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

    /// Adds one value. For many, [`Moments::of`] is faster.
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

    /// Skewness `(m3/n)/(m2/n)^{3/2}`; `None` when the values do not vary. Moments from a summary table
    /// know no third moment and answer 0.
    pub fn skewness(&self) -> Option<f64> {
        let spread = (self.m2 / self.n as f64).sqrt();
        (spread > 0.0 && spread.is_finite())
            .then(|| self.m3 / self.n as f64 / spread / spread / spread)
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

/// Sums kept side by side, so that the processor need not wait for each addition before the next.
const LANES: usize = 4;

/// Power sums around a centre, of every [`LANES`]th value.
#[derive(Clone, Copy)]
struct Lane {
    s1: f64,
    s2: f64,
    s3: f64,
    min: f64,
    max: f64,
    n_nonzero: u64,
}

impl Lane {
    fn new(first: f64) -> Self {
        Self { s1: 0.0, s2: 0.0, s3: 0.0, min: first, max: first, n_nonzero: 0 }
    }

    #[inline]
    fn add(&mut self, y: f64, centre: f64) {
        let d = y - centre;
        self.s1 += d;
        self.s2 += d * d;
        self.s3 += d * d * d;
        self.min = if y < self.min { y } else { self.min };
        self.max = if y > self.max { y } else { self.max };
        self.n_nonzero += u64::from(y != 0.0);
    }

    fn merge(self, other: Self) -> Self {
        Self {
            s1: self.s1 + other.s1,
            s2: self.s2 + other.s2,
            s3: self.s3 + other.s3,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            n_nonzero: self.n_nonzero + other.n_nonzero,
        }
    }
}

fn sum_by_lanes(values: &[f64], number: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (sum, y) in sums.iter_mut().zip(chunk) {
            *sum += number(*y);
        }
    }
    for (sum, y) in sums.iter_mut().zip(chunks.remainder()) {
        *sum += number(*y);
    }
    sums.iter().sum()
}

/// a + b as a rounded sum and the exact rest (Knuth 1969).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let shadow = sum - a;
    (sum, (a - (sum - shadow)) + (b - shadow))
}
