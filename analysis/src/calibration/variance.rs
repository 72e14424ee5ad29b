//! What histories take from the variance.

use super::Calibration;
use super::check::{Band, Check, Section};
use super::fixed_horizon::with_history;
use crate::methods::{Alpha, Alternative, cuped};
use crate::stats::Moments;

/// Units of an arm.
const UNITS: u64 = 500;
/// The true effect.
const EFFECT: f64 = 0.1;

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(6400);
    let mut checks = Vec::new();
    for correlation in [0.3_f64, 0.5, 0.7, 0.9] {
        let name = format!("CUPED variance {correlation}");
        let found = calibration.runner.collect(&name, runs, |rng| {
            let c = with_history(rng, UNITS, correlation, 0.0);
            let t = with_history(rng, UNITS, correlation, EFFECT);
            let raw = c.y().mean_difference(t.y());
            let estimate = cuped::cuped(&c, &t, Alpha::DEFAULT, Alternative::TwoSided);
            let estimate = estimate.ok().and_then(|found| found.estimate.ok());
            estimate.map(|found| (raw, found.effect, found.se))
        });
        let of = |part: fn(&(f64, f64, f64)) -> f64| -> Moments {
            found.iter().flatten().map(part).collect()
        };
        let (raw, adjusted, se) = (of(|f| f.0), of(|f| f.1), of(|f| f.2 * f.2));
        let (Some(v_raw), Some(v_adjusted)) = (raw.variance(), adjusted.variance()) else {
            continue;
        };
        let expected = 1.0 - correlation * correlation;
        let tolerance = expected * 8.0 / (runs as f64).sqrt();
        let band = Band::Within(expected - tolerance, expected + tolerance);
        let what = format!("correlation {correlation}: adjusted over raw variance of the effect");
        checks.push(Check::number(what, runs, band, v_adjusted / v_raw, 4));
        let what = format!("correlation {correlation}: mean of the stated over the true variance");
        let relative = 8.0 / (runs as f64).sqrt();
        let band = Band::Within(1.0 - relative, 1.0 + relative);
        checks.push(Check::number(what, runs, band, se.mean() / v_adjusted, 4));
        let away = (adjusted.mean() - EFFECT) / (v_adjusted / runs as f64).sqrt();
        let what = format!("correlation {correlation}: bias of the effect, in its standard errors");
        checks.push(Check::number(what, runs, Band::Within(-4.0, 4.0), away, 2));
    }
    Section {
        title: "CUPED",
        text: "A history with correlation ρ leaves 1 − ρ² of the variance and does not move the effect.",
        checks,
    }
}
