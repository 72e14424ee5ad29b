//! Difference of two means over strata (post-stratification).
//!
//! ```text
//! # Question          Did treatment change the mean, when strata differ and the arms may have drawn
//!                     them unequally?
//! # Input             `Moments` of each variant in each stratum, adjusted by a covariate or not
//! # Formula           `d_k` the stratum's difference, `w_k = (n_ck + n_tk)/n`; effect `Σ w_k d_k`,
//!                     `se² = Σ w_k² (v_ck/n_ck + v_tk/n_tk)`; Satterthwaite's degrees of freedom over
//!                     all arms of all strata; Student's t
//! # Assumes           independent units; strata fixed before exposure; at least two units of each arm
//!                     in each stratum
//! # Numerics          as Welch's test
//! # Reference         Miratrix, Sekhon, Yu (2013), JRSS B 75; Satterthwaite (1946);
//!                     `tests/golden/segments.json`
//! ```

use super::cuped::{adjust, theta};
use super::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::{CoMoments, Moments};

/// One stratum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stratum {
    /// Control's units.
    pub control: Moments,
    /// Treatment's units.
    pub treatment: Moments,
}

/// The stratified effect and its test.
pub fn stratified(
    strata: &[Stratum],
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    let n: f64 = strata.iter().map(|s| (s.control.n() + s.treatment.n()) as f64).sum();
    let (mut effect, mut variance) = (0.0, 0.0);
    let mut parts = Vec::with_capacity(2 * strata.len());
    for Stratum { control, treatment } in strata {
        let weight = (control.n() + treatment.n()) as f64 / n;
        effect += weight * control.mean_difference(treatment);
        for arm in [control, treatment] {
            let part = arm.variance_of_mean().ok_or(MethodError::TooFewUnits)? * weight * weight;
            variance += part;
            parts.push((part, arm.n() as f64 - 1.0));
        }
    }
    if parts.is_empty() {
        return Err(MethodError::TooFewUnits);
    }
    let df = 1.0 / parts.iter().map(|(part, df)| (part / variance).powi(2) / df).sum::<f64>();
    Estimate::student(effect, variance.sqrt(), df, alpha, alternative)
}

/// One stratum before adjustment: with the covariate, or without where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known {
    /// Both arms with their covariate.
    Covariate(CoMoments, CoMoments),
    /// Both arms of units without one.
    Nothing(Moments, Moments),
}

/// CUPED within strata: units without a covariate are a stratum of their own, unadjusted.
pub fn cuped_strata(
    strata: &[Known],
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    let adjusted: Result<Vec<Stratum>, MethodError> = strata
        .iter()
        .map(|known| match known {
            Known::Nothing(control, treatment) => {
                Ok(Stratum { control: *control, treatment: *treatment })
            }
            Known::Covariate(control, treatment) => {
                let all = control.merge(*treatment);
                let theta = theta(&all);
                Ok(Stratum {
                    control: adjust(control, theta, all.x())?,
                    treatment: adjust(treatment, theta, all.x())?,
                })
            }
        })
        .collect();
    stratified(&adjusted?, alpha, alternative)
}
