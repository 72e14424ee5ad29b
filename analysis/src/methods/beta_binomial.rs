//! Two shares compared by their posterior laws.
//!
//! ```text
//! # Question          How probable is it that the treatment's share is larger? What does a wrong
//!                     choice cost on average?
//! # Input             `Successes` of each variant, a Beta(α, β) prior
//! # Formula           posteriors Beta(α + x, β + n − x); `P(T > C) = ∫ f_T F_C`; losses
//!                     `E[(C − T)⁺] = ∫ S_C F_T dp`, `E[(T − C)⁺] = ∫ S_T F_C dp`; equal-tailed interval
//!                     of T − C from `P(T − C ≤ d) = ∫ f_C(p) F_T(p + d) dp`
//! # Assumes           independent units; a prior chosen before the data, the same for both
//! # Numerics          on the log-odds, by `law_grid`; differences are measured from the posterior
//!                     means, so that 1e9 units keep their digits. Where a parameter is below 10
//!                     the integral of the interval is taken over the shares at which both laws live,
//!                     stretched to the whole line. Quantiles by Newton's method between bounds. Never
//!                     by simulation
//! # Reference         Stucchio (2015), "Bayesian A/B testing at VWO"; Miller, "Formulas for Bayesian A/B
//!                     testing"; `tests/golden/bayes.json` (mpmath)
//! ```

use super::law_grid::{Grid, Law, OnGrid};
use super::{Alpha, Interval, MethodError, normal};
use crate::stats::Successes;

/// A Beta law of a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaParameters {
    /// First parameter: successes, so to say.
    pub alpha: f64,
    /// Second parameter: failures, so to say.
    pub beta: f64,
}

impl BetaParameters {
    /// No preference among shares.
    pub const UNIFORM: Self = Self { alpha: 1.0, beta: 1.0 };

    /// The law after some units.
    #[must_use]
    pub fn after(self, units: Successes) -> Self {
        Self {
            alpha: self.alpha + units.successes as f64,
            beta: self.beta + units.failures() as f64,
        }
    }

    fn is_proper(self) -> bool {
        let sound = |x: f64| (1e-3..=1e15).contains(&x);
        sound(self.alpha) && sound(self.beta)
    }

    fn mean(self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// d ln f/dp at p = 1 − q.
    fn log_slope(self, p: f64, q: f64) -> f64 {
        (self.alpha - 1.0) / p - (self.beta - 1.0) / q
    }

    fn variance(self) -> f64 {
        let n = self.alpha + self.beta;
        (self.alpha / n) * (self.beta / n) / (n + 1.0)
    }
}

/// Answer of the comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBinomial {
    /// Law of the control's share.
    pub control: BetaParameters,
    /// Law of the treatment's share.
    pub treatment: BetaParameters,
    /// P(T > C).
    pub prob_treatment_better: f64,
    /// E[(C − T)⁺]: what choosing the treatment costs.
    pub expected_loss_treatment: f64,
    /// E[(T − C)⁺]: what keeping control costs.
    pub expected_loss_control: f64,
    /// E[T − C].
    pub expected_effect: f64,
    /// Equal-tailed interval of T − C with probability 1 − α.
    pub credible_interval: Interval,
}

/// Compares two shares. Parameters of the posteriors must lie between 0.001 and 1e15.
pub fn beta_binomial(
    control: Successes,
    treatment: Successes,
    prior: BetaParameters,
    alpha: Alpha,
) -> Result<BetaBinomial, MethodError> {
    let (c, t) = (prior.after(control), prior.after(treatment));
    if !(c.is_proper() && t.is_proper()) {
        return Err(MethodError::Degenerate);
    }
    // The quantiles integrate over the narrower law: over the wider one, the other would be a step.
    let swapped = t.variance() < c.variance();
    let pair = if swapped { Pair::new(t, c) } else { Pair::new(c, t) };
    let (mut better, mut worse, mut loss, mut gain) = (0.0, 0.0, 0.0, 0.0);
    let (first, second) = (&pair.on_control, &pair.on_treatment);
    for (k, weight) in pair.grid.weights.iter().enumerate() {
        better += weight * second.density[k] * first.below[k];
        worse += weight * first.density[k] * second.below[k];
        let spread = weight * pair.spread(pair.grid.nodes[k]);
        loss += spread * first.above[k] * second.below[k];
        gain += spread * second.above[k] * first.below[k];
    }
    // E[d⁺] − E[(−d)⁺] = E[d], which is known exactly: the larger of the two follows from the smaller.
    let (loss, gain) =
        if pair.effect < 0.0 { (gain - pair.effect, gain) } else { (loss, loss + pair.effect) };
    let tail = alpha.get() / 2.0;
    let (lo, hi) = (pair.quantile(tail, false), pair.quantile(tail, true));
    let (prob, loss_t, loss_c) = if swapped { (worse, gain, loss) } else { (better, loss, gain) };
    Ok(BetaBinomial {
        control: c,
        treatment: t,
        prob_treatment_better: prob.min(1.0),
        expected_loss_treatment: loss_t,
        expected_loss_control: loss_c,
        expected_effect: if swapped { -pair.effect } else { pair.effect },
        credible_interval: if swapped {
            Interval { lo: -hi, hi: -lo }
        } else {
            Interval { lo, hi }
        },
    })
}

/// The law of T − C at a point: both tails, the density and its derivative.
struct Area {
    below: f64,
    above: f64,
    height: f64,
    bend: f64,
}

/// Both laws on one grid of log-odds around the control's centre.
struct Pair {
    c: BetaParameters,
    t: BetaParameters,
    grid: Grid,
    on_control: OnGrid,
    on_treatment: OnGrid,
    /// Mean of T − mean of C.
    effect: f64,
}

impl Pair {
    fn new(c: BetaParameters, t: BetaParameters) -> Self {
        // ln(a_t b_c/(b_t a_c)), near 0 from the difference of the products.
        let (across, along) = (t.alpha * c.beta, t.beta * c.alpha);
        let gap = (across - along) / along;
        let shift = if gap.abs() < 0.5 { gap.ln_1p() } else { (across / along).ln() };
        let laws = [Law::beta(c.alpha, c.beta, 0.0), Law::beta(t.alpha, t.beta, shift)];
        let grid = Grid::of(&laws);
        let (on_control, on_treatment) = (grid.tabulate(laws[0]), grid.tabulate(laws[1]));
        let effect = (across - along) / (c.alpha + c.beta) / (t.alpha + t.beta);
        Self { c, t, grid, on_control, on_treatment, effect }
    }

    /// dp/du = p (1 − p) at u from the control's centre.
    fn spread(&self, u: f64) -> f64 {
        let (p, q) = (self.c.mean(), self.c.beta / (self.c.alpha + self.c.beta));
        let e = (-u.abs()).exp();
        // p q e^u/(q + p e^u)²
        let whole = if u > 0.0 { q * e + p } else { q + p * e };
        p * q * e / (whole * whole)
    }

    /// The d with area `tail` ≤ ½ of T − C below it, or above it.
    fn quantile(&self, tail: f64, upper: bool) -> f64 {
        let sd = (self.c.variance() + self.t.variance()).sqrt();
        let far = normal::isf(tail);
        let mut e = self.edgeworth(if upper { far } else { -far }, sd);
        // From the posterior means, d lies in (−1, 1).
        let (mut lo, mut hi) = (-1.0 - self.effect, 1.0 - self.effect);
        e = e.clamp(lo + 1e-3 * (hi - lo), hi - 1e-3 * (hi - lo));
        let few = [self.c.alpha, self.c.beta, self.t.alpha, self.t.beta];
        let few = few.into_iter().fold(f64::INFINITY, f64::min) < 10.0;
        for _ in 0..80 {
            let Area { below, above, height, bend } =
                if few { self.stretched(e) } else { self.plain(e) };
            // On the smaller tail, whose logarithm is nearly straight far out.
            let area = if upper { above } else { below };
            let step = (tail / area).ln() * area / height * if upper { -1.0 } else { 1.0 };
            let too_low = (area < tail) != upper;
            if too_low {
                lo = lo.max(e);
            } else {
                hi = hi.min(e);
            }
            let next = e + step;
            // With the bend of ln area a step trebles the digits.
            if step.abs() <= 1e-5 * sd {
                let slope = if upper { -height / area } else { height / area };
                let second = if upper { -bend / area } else { bend / area } - slope * slope;
                return self.effect + e + step - 0.5 * second / slope * step * step;
            }
            e = if next > lo && next < hi { next } else { 0.5 * (lo + hi) };
            if hi - lo <= 1e-15 {
                break;
            }
        }
        self.effect + e
    }

    /// Where the normal law, corrected for skewness and kurtosis, has its quantile z.
    fn edgeworth(&self, z: f64, sd: f64) -> f64 {
        let third = |law: BetaParameters| {
            let n = law.alpha + law.beta;
            2.0 * (law.beta - law.alpha) / n * law.variance() / (n + 2.0)
        };
        let skew = (third(self.t) - third(self.c)) / (sd * sd * sd);
        let z2 = z * z;
        sd * (z + skew / 6.0 * (z2 - 1.0) - skew * skew / 36.0 * z * (2.0 * z2 - 5.0))
    }

    /// The law of T − C at d, measured from the difference of means, over the control's law.
    fn plain(&self, e: f64) -> Area {
        let (p_c, q_c) = (self.c.mean(), self.c.beta / (self.c.alpha + self.c.beta));
        let (p_t, q_t) = (self.t.mean(), self.t.beta / (self.t.alpha + self.t.beta));
        let centre = self.on_treatment.law.centre();
        let (mut below, mut above, mut height, mut bend) = (0.0, 0.0, 0.0, 0.0);
        for (k, u) in self.grid.nodes.iter().enumerate() {
            let mass = self.grid.weights[k] * self.on_control.density[k];
            if mass < 1e-19 {
                continue;
            }
            // p − mean of C at this node, then p + d − mean of T.
            let up = u.exp_m1();
            let from_t = p_c * q_c * up / (1.0 + p_c * up) + e;
            let (p, q) = (p_t + from_t, q_t - from_t);
            if p <= 0.0 {
                above += mass;
            } else if q <= 0.0 {
                below += mass;
            } else {
                let v = centre + (from_t / (q * p_t)).ln_1p();
                let area = self.grid.below(&self.on_treatment, v);
                below += mass * area;
                above += mass * (1.0 - area);
                let slope = mass * self.on_treatment.law.density(v) / (p * q);
                height += slope;
                bend += slope * self.t.log_slope(p, q);
            }
        }
        Area { below, above, height, bend }
    }

    /// As [`Self::plain`], over the shares p of C for which p + d is a share, stretched to the line.
    fn stretched(&self, e: f64) -> Area {
        let d = self.effect + e;
        let (lo, hi) = ((-d).max(0.0), (1.0 - d).min(1.0));
        let width = hi - lo;
        if width <= 0.0 {
            let below = if d > 0.0 { 1.0 } else { 0.0 };
            return Area { below, above: 1.0 - below, height: 0.0, bend: 0.0 };
        }
        let (c, t) = (self.c, self.t);
        // Outside, T − C is surely above (p < lo) or below (p > hi).
        let at = |p: f64| (p / c.mean() * (c.beta / (c.alpha + c.beta)) / (1.0 - p)).ln();
        let outside_above = if d < 0.0 { self.grid.below(&self.on_control, at(lo)) } else { 0.0 };
        let outside_below =
            if d > 0.0 { 1.0 - self.grid.below(&self.on_control, at(hi)) } else { 0.0 };
        let (mut below, mut above) = (outside_below, outside_above);
        let (mut height, mut bend) = (0.0, 0.0);
        let narrow = self.on_control.law.sd().min(self.on_treatment.law.sd());
        let step = (0.45 * narrow).min(0.45);
        let logit = |p: f64, q: f64| (p / q).ln();
        let (c_centre, t_centre) = (logit(c.alpha, c.beta), logit(t.alpha, t.beta));
        let mut node = |s: f64| {
            let small = (-s.abs()).exp();
            let (x, y) = if s > 0.0 {
                (1.0 / (1.0 + small), small / (1.0 + small))
            } else {
                (small / (1.0 + small), 1.0 / (1.0 + small))
            };
            // Shares of C and of T, and what is left to 1, each from the nearer end.
            let (p, q) = (lo + width * x, (1.0 - hi) + width * y);
            let (r, rest) = ((lo + d).max(0.0) + width * x, (1.0 - hi - d).max(0.0) + width * y);
            let v_c = logit(p, q) - c_centre;
            let v_t = logit(r, rest) - t_centre + self.on_treatment.law.centre();
            let mass = step * self.on_control.law.density(v_c) * (width * x * y) / (p * q);
            let area = self.grid.below(&self.on_treatment, v_t);
            let slope = mass * self.on_treatment.law.density(v_t) / (r * rest);
            below += mass * area;
            above += mass * (1.0 - area);
            height += slope;
            bend += slope * t.log_slope(r, rest);
            (mass, slope)
        };
        let start = logit((c.mean() - lo).max(1e-3 * width), (hi - c.mean()).max(1e-3 * width));
        let mut most = node(start);
        for sign in [-1.0, 1.0] {
            for k in 1..6000 {
                let found = node(start + sign * step * f64::from(k));
                most = (most.0.max(found.0), most.1.max(found.1));
                if found.0 < 1e-14 * most.0 && found.1 <= 1e-14 * most.1 && k > 4 {
                    break;
                }
            }
        }
        Area { below, above, height, bend }
    }
}
