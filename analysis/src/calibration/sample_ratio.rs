//! The sample-ratio check.

use rand_distr::{Binomial, Distribution};

use super::Calibration;
use super::check::{Band, Check, Section};
use super::draw::{binomial, count};
use crate::methods::srm::{ALERT, CONCENTRATION, srm, srm_sequential};
use crate::simulate::Rng;

const DAYS: u64 = 30;

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(10_000);
    let mut checks = Vec::new();
    // Sizes of Pearson's test at 1 %, from an enumeration elsewhere.
    for (n, share, known) in
        [(10_000, 0.5, 0.010_17), (1000, 0.5, 0.010_39), (1000, 0.01, 0.007_38)]
    {
        let what = format!("chi-squared p < 0.01, {n} units, {share} treated: exact size");
        let band = Band::Within(known - 1e-5, known + 1e-5);
        checks.push(Check::number(what, 0, band, exact_size(n, share), 5));
    }
    let mut peeked = |what: &str, split: f64, real: f64, band: Band| {
        let found = calibration
            .runner
            .collect(&format!("sample ratio {what}"), runs, |rng| month(rng, 2000, split, real));
        let alarmed = count(&found, |days| days.0);
        checks.push(Check::count(format!("always-valid alert, {what}"), runs, band, alarmed));
        let daily = count(&found, |days| days.1);
        let what = format!("for comparison, chi-squared p < 0.01 on any day, {what}");
        checks.push(Check::count(what, runs, Band::Shown, daily));
    };
    peeked("1:1, 30 daily looks, 2000 a day", 0.5, 0.5, Band::up_to(0.01, runs));
    peeked("1:9, 30 daily looks, 2000 a day", 0.1, 0.1, Band::up_to(0.01, runs));
    peeked("51:49 instead of 1:1, 60 000 units", 0.5, 0.51, Band::from(0.85, runs));
    Section {
        title: "Sample ratio",
        text: "Healthy splits, checked daily for 30 days, and one that gives 51 % instead of 50 %: runs with an alert (at \
               p < 0.01) on any day.",
        checks,
    }
}

/// Probability of p < 0.01 when the split is as planned.
fn exact_size(n: u64, share: f64) -> f64 {
    let (first, probabilities) = binomial(n, share);
    (first..)
        .zip(probabilities)
        .filter(|(x, _)| {
            srm(&[n - x, *x], &[1.0 - share, share]).is_ok_and(|found| found.p_value < 0.01)
        })
        .map(|(_, probability)| probability)
        .sum()
}

/// Whether the always-valid alert, and the daily chi-squared test, fired on any day.
fn month(rng: &mut Rng, per_day: u64, planned: f64, real: f64) -> (bool, bool) {
    let mut counts = [0_u64; 2];
    let weights = [1.0 - planned, planned];
    let (mut alarmed, mut daily) = (false, false);
    for _ in 0..DAYS {
        let treated = Binomial::new(per_day, real).map_or(0, |law| law.sample(rng));
        counts[0] += per_day - treated;
        counts[1] += treated;
        let always = srm_sequential(&counts, &weights, CONCENTRATION);
        alarmed |= always.is_ok_and(|found| found.p_value < ALERT);
        daily |= srm(&counts, &weights).is_ok_and(|found| found.p_value < 0.01);
    }
    (alarmed, daily)
}
