//! The law of the statistic at a look, among experiments that were not stopped before.
//!
//! ```text
//! # Question          With which probability is a boundary first crossed at this look?
//! # Input             information rates, boundaries, drift δ = E[Z] at information 1
//! # Formula           `g₁(z) = φ(z − δ √t₁)`; `g_k(z) = ∫ g_{k−1}(u) φ((z √t_k − u √t_{k−1} − δ Δ)/√Δ)
//!                     √(t_k/Δ) du` over the region that goes on, Δ = t_k − t_{k−1};
//!                     `P(cross at k) = ∫ g_{k−1}(u) Φ(−(b √t_k − u √t_{k−1} − δ Δ)/√Δ) du`
//! # Assumes           independent increments
//! # Numerics          Gauss–Legendre panels of order 20, each at most five standard deviations of the
//!                     narrower of the two kernels that meet at the look: the integrand is then a
//!                     polynomial to 1e-15. Nodes too far apart to matter are skipped
//! # Reference         Armitage, McPherson, Rowe (1969); Jennison & Turnbull (2000), chapter 19
//! ```

use super::super::normal;

/// Nodes and weights of the Gauss–Legendre rule of order 20 on [−1, 1], the positive half.
const NODES: [(f64, f64); 10] = [
    (0.076_526_521_133_497_33, 0.152_753_387_130_725_85),
    (0.227_785_851_141_645_08, 0.149_172_986_472_603_75),
    (0.373_706_088_715_419_56, 0.142_096_109_318_382_05),
    (0.510_867_001_950_827_1, 0.131_688_638_449_176_63),
    (0.636_053_680_726_515, 0.118_194_531_961_518_42),
    (0.746_331_906_460_150_8, 0.101_930_119_817_240_44),
    (0.839_116_971_822_218_8, 0.083_276_741_576_704_75),
    (0.912_234_428_251_326, 0.062_672_048_334_109_06),
    (0.963_971_927_277_913_8, 0.040_601_429_800_386_94),
    (0.993_128_599_185_094_9, 0.017_614_007_139_152_118),
];

/// Standard deviations beyond which a step from the middle is nothing.
const FAR: f64 = 9.5;

/// Nodes of one look with the density times the quadrature weight.
#[derive(Debug, Clone)]
pub(super) struct Density {
    /// Information rate of the look.
    rate: f64,
    drift: f64,
    nodes: Vec<f64>,
    /// Density at the node times its weight.
    masses: Vec<f64>,
}

/// Where to integrate at a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    pub(super) lo: f64,
    pub(super) hi: f64,
    /// Information rate of the next look.
    pub(super) next: f64,
}

impl Region {
    /// Nodes and weights for a function that varies on the scale of either kernel.
    fn grid(self, previous: f64, rate: f64) -> (Vec<f64>, Vec<f64>) {
        let scale = |step: f64| (step / rate).sqrt();
        let narrow = scale(rate - previous).min(scale(self.next - rate)).min(1.0);
        let width = self.hi - self.lo;
        if width.is_nan() || width <= 0.0 {
            return (Vec::new(), Vec::new());
        }
        let panels = (width / (5.0 * narrow)).ceil().clamp(1.0, 1e5);
        let half = 0.5 * width / panels;
        let (mut nodes, mut weights) = (Vec::new(), Vec::new());
        let mut middle = self.lo + half;
        while middle < self.hi {
            for (node, weight) in NODES.iter().rev() {
                nodes.push(middle - half * node);
                weights.push(half * weight);
            }
            for (node, weight) in &NODES {
                nodes.push(middle + half * node);
                weights.push(half * weight);
            }
            middle += 2.0 * half;
        }
        (nodes, weights)
    }
}

impl Density {
    /// The law at the first look, inside `region`.
    pub(super) fn first(rate: f64, drift: f64, region: Region) -> Self {
        let (nodes, weights) = region.grid(0.0, rate);
        let mean = drift * rate.sqrt();
        let mass = |(z, weight): (&f64, f64)| weight * normal::pdf(z - mean);
        let masses = nodes.iter().zip(weights).map(mass).collect();
        Self { rate, drift, nodes, masses }
    }

    /// The law at the next look, inside `region`.
    pub(super) fn next(&self, rate: f64, region: Region) -> Self {
        let step = self.step(rate);
        let (nodes, weights) = region.grid(self.rate, rate);
        let norm = rate.sqrt() / step.sd * normal::pdf(0.0);
        // Far out, the way there from nearer in is longer than any step from the middle.
        let far = FAR + (region.hi.abs().max(region.lo.abs()) - 8.0).max(0.0);
        let mut first = 0;
        let mut masses = Vec::with_capacity(nodes.len());
        for (z, weight) in nodes.iter().zip(weights) {
            let centre = z * step.ahead;
            let reach = |u: f64| centre - u * step.behind;
            while first < self.nodes.len() && reach(self.nodes[first]) - step.shift > far {
                first += 1;
            }
            let mut sum = 0.0;
            for (u, mass) in self.nodes[first..].iter().zip(&self.masses[first..]) {
                let x = reach(*u) - step.shift;
                if x < -far {
                    break;
                }
                sum += mass * (-0.5 * x * x).exp();
            }
            masses.push(weight * norm * sum);
        }
        Self { rate, drift: self.drift, nodes, masses }
    }

    /// Probability to be above `bound` at a later look, and its density there.
    pub(super) fn upper(&self, bound: f64, rate: f64) -> (f64, f64) {
        let step = self.step(rate);
        let (mut area, mut height) = (0.0, 0.0);
        for (u, mass) in self.nodes.iter().zip(&self.masses) {
            let x = bound * step.ahead - u * step.behind - step.shift;
            area += mass * normal::sf(x);
            height += mass * (-0.5 * x * x).exp();
        }
        (area, height * step.ahead * normal::pdf(0.0))
    }

    /// Probability to be below `bound` at a later look.
    pub(super) fn lower(&self, bound: f64, rate: f64) -> f64 {
        let step = self.step(rate);
        let part = |(u, mass): (&f64, &f64)| {
            mass * normal::cdf(bound * step.ahead - u * step.behind - step.shift)
        };
        self.nodes.iter().zip(&self.masses).map(part).sum()
    }

    /// Probability to have come so far.
    pub(super) fn mass(&self) -> f64 {
        self.masses.iter().sum()
    }

    fn step(&self, rate: f64) -> Step {
        let sd = (rate - self.rate).sqrt();
        Step { sd, ahead: rate.sqrt() / sd, behind: self.rate.sqrt() / sd, shift: self.drift * sd }
    }
}

/// Factors of the kernel between two looks.
struct Step {
    sd: f64,
    ahead: f64,
    behind: f64,
    shift: f64,
}
