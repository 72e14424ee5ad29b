//! Integrals over the laws of several arms at once.
//!
//! ```text
//! # Question          How probable is it that one arm's parameter exceeds the others', and by how much
//!                     on average?
//! # Input             laws on the real line: normal ones, or beta ones on the log-odds of the share
//! # Formula           `∫ f_i Π F_j`, `∫ S_i F_j w`, with the tails F and S as running integrals
//! # Assumes           smooth laws with one mode
//! # Numerics          the trapezoidal rule on an even grid of about half the narrowest standard
//!                     deviation, which has all digits for functions that are analytic and fall off;
//!                     Gauss–Legendre panels that follow each law where their widths differ too much.
//!                     All terms are positive, so that small probabilities keep their digits
//! # Reference         Trefethen & Weideman (2014), SIAM Review 56; `tests/golden/bayes.json`
//! ```

use super::incomplete_beta::kernel;
use super::quadrature::NODES;

/// ln of what a density must fall to before it is left out.
const NOTHING: f64 = -44.0;

/// Nodes of an even grid; more, and panels serve better.
const MOST_EVEN: f64 = 600.0;

/// Nodes and weights of the Gauss–Legendre rule of order 5 on [0, 1].
const FIVE: [(f64, f64); 5] = [
    (0.046_910_077_030_668, 0.118_463_442_528_094_54),
    (0.230_765_344_947_158_45, 0.239_314_335_249_683_24),
    (0.5, 0.284_444_444_444_444_44),
    (0.769_234_655_052_841_6, 0.239_314_335_249_683_24),
    (0.953_089_922_969_332, 0.118_463_442_528_094_54),
];

/// A law on the real line, measured from an origin that all laws of a grid share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Law {
    /// Normal.
    Normal { mean: f64, sd: f64 },
    /// The log-odds of a Beta(a, b) share.
    Beta { a: f64, b: f64, centre: f64, height: f64 },
}

impl Law {
    /// The law of the log-odds of Beta(a, b), whose own centre ln(a/b) lies at `centre`.
    pub(super) fn beta(a: f64, b: f64, centre: f64) -> Self {
        let n = a + b;
        Self::Beta { a, b, centre, height: kernel(a, b, a / n, b / n) }
    }

    pub(super) fn centre(self) -> f64 {
        match self {
            Self::Normal { mean, .. } => mean,
            Self::Beta { centre, .. } => centre,
        }
    }

    pub(super) fn sd(self) -> f64 {
        match self {
            Self::Normal { sd, .. } => sd,
            Self::Beta { a, b, .. } => (1.0 / a + 1.0 / b).sqrt(),
        }
    }

    /// ln of the density at distance `w` from the centre, over that at the centre.
    fn log_fall(self, w: f64) -> f64 {
        match self {
            Self::Normal { sd, .. } => {
                let z = w / sd;
                -0.5 * z * z
            }
            Self::Beta { a, b, .. } => {
                let n = a + b;
                // Written from the side where the exponential does not overflow.
                if w > 0.0 {
                    -b * w - n * (b / n * (-w).exp_m1()).ln_1p()
                } else {
                    a * w - n * (a / n * w.exp_m1()).ln_1p()
                }
            }
        }
    }

    /// The density.
    pub(super) fn density(self, u: f64) -> f64 {
        match self {
            Self::Normal { mean, sd } => super::normal::pdf((u - mean) / sd) / sd,
            Self::Beta { centre, height, .. } => height * self.log_fall(u - centre).exp(),
        }
    }

    /// Where the density has fallen to nothing on either side.
    fn extent(self) -> (f64, f64) {
        let reach = |sign: f64| {
            let mut w = 9.0 * self.sd();
            for _ in 0..2000 {
                if self.log_fall(sign * w) < NOTHING {
                    break;
                }
                w *= 1.15;
            }
            self.centre() + sign * w
        };
        (reach(-1.0), reach(1.0))
    }

    /// ∫ of the density between two near points.
    fn between(self, from: f64, to: f64) -> f64 {
        let width = to - from;
        width * FIVE.iter().map(|(x, w)| w * self.density(from + x * width)).sum::<f64>()
    }
}

/// One law on the nodes of a grid.
#[derive(Debug, Clone)]
pub(super) struct OnGrid {
    pub(super) law: Law,
    /// Density at each node.
    pub(super) density: Vec<f64>,
    /// Area below each node.
    pub(super) below: Vec<f64>,
    /// Area above each node.
    pub(super) above: Vec<f64>,
}

/// Nodes with their weights.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    pub(super) nodes: Vec<f64>,
    pub(super) weights: Vec<f64>,
    /// Distance of the nodes, if it is even.
    step: Option<f64>,
}

impl Grid {
    /// A grid on which all the laws can be integrated.
    pub(super) fn of(laws: &[Law]) -> Self {
        let extents: Vec<(f64, f64)> = laws.iter().map(|law| law.extent()).collect();
        let lo = extents.iter().map(|e| e.0).fold(f64::INFINITY, f64::min);
        let hi = extents.iter().map(|e| e.1).fold(f64::NEG_INFINITY, f64::max);
        let narrow = laws.iter().map(|law| law.sd()).fold(f64::INFINITY, f64::min);
        let bounded = laws.iter().any(|law| matches!(law, Law::Beta { .. }));
        // Beta laws with a small parameter are steeper on one side than their deviation says.
        let least = |law: &Law| match law {
            Law::Beta { a, b, .. } => a.min(*b),
            Law::Normal { .. } => f64::MAX,
        };
        let least = laws.iter().map(least).fold(f64::MAX, f64::min);
        let share = if least < 10.0 {
            0.22
        } else if least < 40.0 {
            0.35
        } else {
            0.5
        };
        let step = share * narrow;
        let n = ((hi - lo) / step).ceil();
        if n <= MOST_EVEN {
            return Self::even(lo, step, n);
        }
        let mut marks = Vec::new();
        for (law, (left, right)) in laws.iter().zip(&extents) {
            marks.push(law.centre());
            for (sign, end) in [(-1.0, law.centre() - left), (1.0, right - law.centre())] {
                let mut w = 0.0;
                while w < end {
                    // Where p (1 − p) still counts, a panel must not come near its singularities at ± iπ.
                    let most = if bounded && w < 100.0 { w + 4.0 } else { f64::INFINITY };
                    w = (w + 1.5 * law.sd()).max(1.4 * w).min(most);
                    marks.push(law.centre() + sign * w.min(end));
                }
            }
        }
        marks.sort_by(f64::total_cmp);
        marks.dedup_by(|a, b| *a - *b <= 1e-3 * narrow);
        Self::panels(&marks)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a few hundred nodes"
    )]
    fn even(lo: f64, step: f64, n: f64) -> Self {
        let nodes: Vec<f64> = (0..=n as usize).map(|i| lo + step * i as f64).collect();
        Self { weights: vec![step; nodes.len()], nodes, step: Some(step) }
    }

    fn panels(marks: &[f64]) -> Self {
        let (mut nodes, mut weights) = (Vec::new(), Vec::new());
        for pair in marks.windows(2) {
            let (middle, half) = (0.5 * (pair[0] + pair[1]), 0.5 * (pair[1] - pair[0]));
            let right = NODES.iter().map(|(x, w)| (*x, *w));
            let left = NODES.iter().rev().map(|(x, w)| (-*x, *w));
            for (x, w) in left.chain(right) {
                nodes.push(middle + half * x);
                weights.push(half * w);
            }
        }
        Self { nodes, weights, step: None }
    }

    /// Density and tails of a law at the nodes.
    pub(super) fn tabulate(&self, law: Law) -> OnGrid {
        let density: Vec<f64> = self.nodes.iter().map(|u| law.density(*u)).collect();
        if let Law::Normal { mean, sd } = law {
            let z = |u: &f64| (u - mean) / sd;
            let below = self.nodes.iter().map(|u| super::normal::cdf(z(u))).collect();
            let above = self.nodes.iter().map(|u| super::normal::sf(z(u))).collect();
            return OnGrid { law, density, below, above };
        }
        let n = self.nodes.len();
        let gaps: Vec<f64> = (1..n)
            .map(|i| {
                if density[i - 1].max(density[i]) == 0.0 {
                    return 0.0;
                }
                law.between(self.nodes[i - 1], self.nodes[i])
            })
            .collect();
        let (mut below, mut above) = (vec![0.0; n], vec![0.0; n]);
        for i in 1..n {
            below[i] = below[i - 1] + gaps[i - 1];
            above[n - 1 - i] = above[n - i] + gaps[n - 1 - i];
        }
        OnGrid { law, density, below, above }
    }

    /// Index of the node at or below `u`, within the grid.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the indices"
    )]
    fn place(&self, u: f64) -> usize {
        let last = self.nodes.len() - 1;
        match self.step {
            Some(step) => ((u - self.nodes[0]) / step).clamp(0.0, last as f64) as usize,
            None => self.nodes.partition_point(|node| *node <= u).saturating_sub(1).min(last),
        }
    }

    /// Area of a tabulated law below any point.
    pub(super) fn below(&self, table: &OnGrid, u: f64) -> f64 {
        let last = self.nodes.len() - 1;
        if u <= self.nodes[0] {
            return 0.0;
        }
        if u >= self.nodes[last] {
            return 1.0;
        }
        let i = self.place(u);
        let rest = table.law.between(self.nodes[i], u);
        // From the nearer end, so that neither tail is a difference.
        if table.below[i] < 0.5 { table.below[i] + rest } else { 1.0 - (table.above[i] - rest) }
    }
}

/// Probability of each law to be the largest.
pub(super) fn probabilities_of_best(laws: &[Law]) -> Vec<f64> {
    let grid = Grid::of(laws);
    let tables: Vec<OnGrid> = laws.iter().map(|law| grid.tabulate(*law)).collect();
    let mut best = vec![0.0; laws.len()];
    for (k, weight) in grid.weights.iter().enumerate() {
        for (i, table) in tables.iter().enumerate() {
            let mut product = weight * table.density[k];
            if product == 0.0 {
                continue;
            }
            for (j, other) in tables.iter().enumerate() {
                if i != j {
                    product *= other.below[k];
                }
            }
            best[i] += product;
        }
    }
    best
}
