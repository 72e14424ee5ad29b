//! Joint moments of several numbers per unit, for covariates and ratios with covariates.

/// n, means and co-moments `Σ (y_i − ȳ_i)(y_j − ȳ_j)` of k numbers over the same units.
#[derive(Debug, Clone, PartialEq)]
pub struct JointMoments {
    n: u64,
    means: Vec<f64>,
    /// k × k, row by row; both halves are kept.
    c: Vec<f64>,
}

impl JointMoments {
    /// No observations of `k` numbers; the identity of [`Self::merge`].
    pub fn empty(k: usize) -> Self {
        Self { n: 0, means: vec![0.0; k], c: vec![0.0; k * k] }
    }

    /// The joint moments of columns, which must be equally long: what has no partner is left out.
    pub fn of(columns: &[&[f64]]) -> Self {
        let k = columns.len();
        let n = columns.iter().map(|column| column.len()).min().unwrap_or(0);
        let mut moments = Self::empty(k);
        moments.n = n as u64;
        if n == 0 {
            return moments;
        }
        // Around the first unit, so that a large offset costs no digits.
        let centred = |column: &[f64]| {
            let first = column[0];
            let shift = column[..n].iter().map(|y| y - first).sum::<f64>() / n as f64;
            (first + shift, column[..n].iter().map(|y| y - first - shift).collect::<Vec<f64>>())
        };
        let parts: Vec<(f64, Vec<f64>)> = columns.iter().map(|column| centred(column)).collect();
        for (i, (mean, a)) in parts.iter().enumerate() {
            moments.means[i] = *mean;
            for (j, (_, b)) in parts.iter().enumerate() {
                moments.c[i * k + j] = a.iter().zip(b).map(|(x, y)| x * y).sum();
            }
        }
        moments
    }

    /// From a summary: means and sample covariances (n − 1), row by row. None unless the sizes
    /// agree, all is finite, the matrix is symmetric and no variance is negative.
    pub fn from_summary(n: u64, means: &[f64], covariance: &[Vec<f64>]) -> Option<Self> {
        let k = means.len();
        let finite = |row: &[f64]| row.iter().all(|v| v.is_finite());
        if n == 0 || covariance.len() != k || !finite(means) {
            return None;
        }
        let mut c = Vec::with_capacity(k * k);
        for (i, row) in covariance.iter().enumerate() {
            if row.len() != k || !finite(row) || row[i] < 0.0 {
                return None;
            }
            for (j, value) in row.iter().enumerate() {
                let mirrored = covariance.get(j)?.get(i)?;
                if (value - mirrored).abs() > 1e-9 * value.abs().max(mirrored.abs()) {
                    return None;
                }
                c.push(value * (n as f64 - 1.0));
            }
        }
        Some(Self { n, means: means.to_vec(), c })
    }

    /// The joint moments of both sets together; both must be of as many numbers.
    #[must_use]
    pub fn merge(self, other: &Self) -> Self {
        if self.n == 0 {
            return other.clone();
        }
        if other.n == 0 {
            return self;
        }
        let k = self.k();
        let (a, b) = (self.n as f64, other.n as f64);
        let share = b / (a + b);
        let d: Vec<f64> = self.means.iter().zip(&other.means).map(|(x, y)| y - x).collect();
        let mut merged = self;
        merged.n += other.n;
        for (i, d_i) in d.iter().enumerate() {
            merged.means[i] += d_i * share;
            for (j, d_j) in d.iter().enumerate() {
                merged.c[i * k + j] += other.c[i * k + j] + d_i * d_j * (a * share);
            }
        }
        merged
    }

    /// How many numbers there are for each unit.
    pub fn k(&self) -> usize {
        self.means.len()
    }

    /// Number of units.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Mean of the i-th number.
    pub fn mean(&self, i: usize) -> f64 {
        self.means[i]
    }

    /// `Σ (y_i − ȳ_i)(y_j − ȳ_j)`.
    pub fn comoment(&self, i: usize, j: usize) -> f64 {
        self.c[i * self.k() + j]
    }

    /// Sample covariance (n − 1) of the i-th and the j-th; 0 below two units.
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        if self.n < 2 { 0.0 } else { self.comoment(i, j) / (self.n as f64 - 1.0) }
    }

    /// Variance of the sum of the numbers times a gradient; 0 below two units. What rounding leaves
    /// of a variance that is zero, relative to its parts, is zero.
    pub fn variance_along(&self, gradient: &[f64]) -> f64 {
        let (mut sum, mut parts) = (0.0, 0.0);
        for (i, g) in gradient.iter().enumerate() {
            for (j, h) in gradient.iter().enumerate() {
                let part = g * h * self.covariance(i, j);
                sum += part;
                parts += part.abs();
            }
        }
        if sum <= 1e-14 * parts { 0.0 } else { sum }
    }

    /// Covariance of two such sums.
    pub fn covariance_along(&self, first: &[f64], second: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (i, g) in first.iter().enumerate() {
            for (j, h) in second.iter().enumerate() {
                sum += g * h * self.covariance(i, j);
            }
        }
        sum
    }
}
