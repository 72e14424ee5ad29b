//! Sample-ratio checks by segment, over phases with different weights, and since when.
//!
//! ```text
//! # Question          In which segment do group sizes not fit the plan? Do they fit a plan whose
//!                     weights changed? On which day did the mismatch begin?
//! # Input             counts by variant for each segment, phase or day, and the planned weights
//! # Formula           segments: Pearson's chi-squared and the always-valid p of each, Holm-adjusted.
//!                     Phases: `d = Σ (x − n w)`, `V = Σ n (diag w − w w')`, `d' V⁻ d` with (variants
//!                     − 1) degrees of freedom. Days: the always-valid p of the counts so far and its
//!                     running minimum; onset is the day from which on, up to the alert, the counts
//!                     have the largest chi-squared
//! # Assumes           counts of units, each counted once; weights constant within a phase
//! # Numerics          as `srm`; V by Cholesky without the last variant, which follows from the others
//! # Reference         Fabijan et al. (2019), KDD; Lindon & Malek (2022); scipy `chisquare`;
//!                     `tests/golden/srm_breakdown.json`
//! ```

use super::multiplicity::{Correction, adjust};
use super::srm::{ALERT, SequentialSrm, SrmTest, srm, srm_sequential};
use super::{MethodError, chi_squared};

/// The check of one segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentSrm {
    /// At a fixed horizon.
    pub fixed: Result<SrmTest, MethodError>,
    /// However often it is looked at.
    pub sequential: Result<SequentialSrm, MethodError>,
    /// Holm-adjusted over segments: fixed horizon, always valid.
    pub adjusted: [Option<f64>; 2],
}

/// Checks every segment.
pub fn by_segment(segments: &[Vec<u64>], weights: &[f64], concentration: f64) -> Vec<SegmentSrm> {
    let fixed: Vec<_> = segments.iter().map(|counts| srm(counts, weights)).collect();
    let sequential: Vec<_> =
        segments.iter().map(|counts| srm_sequential(counts, weights, concentration)).collect();
    let p = |tests: Vec<Option<f64>>| adjust(&tests, Correction::Holm);
    let adjusted_fixed = p(fixed.iter().map(|test| test.ok().map(|test| test.p_value)).collect());
    let adjusted_sequential =
        p(sequential.iter().map(|test| test.ok().map(|test| test.p_value)).collect());
    fixed
        .into_iter()
        .zip(sequential)
        .zip(adjusted_fixed.into_iter().zip(adjusted_sequential))
        .map(|((fixed, sequential), (a, b))| SegmentSrm { fixed, sequential, adjusted: [a, b] })
        .collect()
}

/// Units that came while the weights were constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Units by variant.
    pub counts: Vec<u64>,
    /// Planned weights of the phase, any positive scale.
    pub weights: Vec<f64>,
}

/// One check over phases with different weights.
pub fn over_phases(phases: &[Phase]) -> Result<SrmTest, MethodError> {
    let k = phases.first().map_or(0, |phase| phase.counts.len());
    let mut excess = vec![0.0; k];
    let mut variance = vec![vec![0.0; k]; k];
    let mut planned = vec![false; k];
    let mut n_units = 0.0;
    for Phase { counts, weights } in phases {
        let total: f64 = weights.iter().sum();
        let sound = counts.len() == k && weights.len() == k && weights.iter().all(|w| *w >= 0.0);
        if !sound || !total.is_finite() || total <= 0.0 {
            return Err(MethodError::Degenerate);
        }
        if counts.iter().zip(weights).any(|(x, w)| *x > 0 && *w <= 0.0) {
            let df = k.saturating_sub(1) as u64;
            return Ok(SrmTest { statistic: f64::INFINITY, df, p_value: 0.0 });
        }
        let n: f64 = counts.iter().map(|x| *x as f64).sum();
        n_units += n;
        let shares: Vec<f64> = weights.iter().map(|w| w / total).collect();
        for i in 0..k {
            planned[i] |= shares[i] > 0.0;
            excess[i] += counts[i] as f64 - n * shares[i];
            for j in 0..k {
                let own = if i == j { shares[i] } else { 0.0 };
                variance[i][j] += n * (own - shares[i] * shares[j]);
            }
        }
    }
    if n_units == 0.0 {
        return Err(MethodError::TooFewUnits);
    }
    // The excesses sum to zero: the last planned variant follows from the others.
    let mut kept: Vec<usize> = (0..k).filter(|i| planned[*i]).collect();
    kept.pop();
    if kept.is_empty() {
        return Err(MethodError::Degenerate);
    }
    let statistic = quadratic_form(&variance, &excess, &kept);
    let df = kept.len() as u64;
    Ok(SrmTest { statistic, df, p_value: chi_squared::sf(statistic, df) })
}

/// `d' V⁻¹ d` over the chosen rows, by Cholesky; directions without variance are left out.
fn quadratic_form(variance: &[Vec<f64>], d: &[f64], kept: &[usize]) -> f64 {
    let k = kept.len();
    let mut lower = vec![vec![0.0; k]; k];
    let mut z = vec![0.0; k];
    for i in 0..k {
        for j in 0..=i {
            let done: f64 = (0..j).map(|l| lower[i][l] * lower[j][l]).sum();
            let own = variance[kept[i]][kept[j]];
            let rest = own - done;
            lower[i][j] = if i == j {
                if rest > 1e-12 * own { rest.sqrt() } else { 0.0 }
            } else if lower[j][j] > 0.0 {
                rest / lower[j][j]
            } else {
                0.0
            };
        }
        let done: f64 = (0..i).map(|l| lower[i][l] * z[l]).sum();
        z[i] = if lower[i][i] > 0.0 { (d[kept[i]] - done) / lower[i][i] } else { 0.0 };
    }
    z.iter().map(|z| z * z).sum()
}

/// A mismatch followed by day.
#[derive(Debug, Clone, PartialEq)]
pub struct Onset {
    /// Running minimum of the always-valid p-value after each day.
    pub p_values: Vec<f64>,
    /// The first day, from 0 on, at which it is below the alert level.
    pub detected: Option<usize>,
    /// The day from which on the counts most likely do not fit; only with a detection.
    pub onset: Option<usize>,
}

/// Follows the check by day.
pub fn by_day(
    days: &[Vec<u64>],
    weights: &[f64],
    concentration: f64,
) -> Result<Onset, MethodError> {
    let mut so_far = vec![0_u64; weights.len()];
    let mut least = 1.0_f64;
    let mut p_values = Vec::with_capacity(days.len());
    for day in days {
        add(&mut so_far, day)?;
        least = least.min(srm_sequential(&so_far, weights, concentration)?.p_value);
        p_values.push(least);
    }
    let detected = p_values.iter().position(|p| *p < ALERT);
    let onset = detected.and_then(|last| onset(&days[..=last], weights));
    Ok(Onset { p_values, detected, onset })
}

fn add(sum: &mut [u64], day: &[u64]) -> Result<(), MethodError> {
    if sum.len() != day.len() {
        return Err(MethodError::Degenerate);
    }
    for (sum, count) in sum.iter_mut().zip(day) {
        *sum = sum.saturating_add(*count);
    }
    Ok(())
}

/// The start of the stretch up to the last day that fits the plan least.
fn onset(days: &[Vec<u64>], weights: &[f64]) -> Option<usize> {
    let mut rest = vec![0_u64; weights.len()];
    let mut best: Option<(usize, f64)> = None;
    for (start, day) in days.iter().enumerate().rev() {
        add(&mut rest, day).ok()?;
        let statistic = srm(&rest, weights).map_or(0.0, |test| test.statistic);
        if best.is_none_or(|(_, most)| statistic > most) {
            best = Some((start, statistic));
        }
    }
    best.map(|(start, _)| start)
}
