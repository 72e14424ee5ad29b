//! Planned samples: do they find the effect that they were planned for as often as planned?

use super::Calibration;
use super::check::{Band, Check, Section};
use super::draw::{count, moments, successes};
use crate::methods::group_sequential::power::inflation;
use crate::methods::group_sequential::{Sides, Spending, bounds};
use crate::methods::{Alpha, Alternative, confidence_sequence, proportions, welch};
use crate::power::{
    Design, required_per_arm_mean, required_per_arm_mean_t, required_per_arm_proportion,
};
use crate::power_sequential::required_always_valid;
use crate::simulate::{Law, Rng};
use crate::stats::Moments;

const ALPHA: Alpha = Alpha::DEFAULT;

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(10_000);
    let mut checks = Vec::new();
    let mut cell = |what: &str, rejects: &(dyn Fn(&mut Rng) -> bool + Sync)| {
        let found = calibration.runner.collect(&format!("power {what}"), runs, rejects);
        let rejected = count(&found, |rejected| *rejected);
        checks.push(Check::count(what, runs, Band::around(0.8, runs), rejected));
    };
    let unit = Law::Normal { mean: 1.0, std_dev: 1.0 };
    let design = Design::default();
    if let Some(n) = required_per_arm_mean(1.0, 1.0, 0.1, design).map(up) {
        let what = format!("mean, 0.1 standard deviations, {n} + {n}");
        cell(&what, &|rng| means_differ(&unit, rng, n, n, 0.1));
    }
    let ramp = Design { ratio: 1.0 / 9.0, ..design };
    if let Some(n) = required_per_arm_mean(1.0, 1.0, 0.1, ramp) {
        let (n_c, n_t) = (up(n), up(ramp.treatment_units(n)));
        let what = format!("mean, 0.1 standard deviations, {n_c} + {n_t}");
        cell(&what, &|rng| means_differ(&unit, rng, n_c, n_t, 0.1));
    }
    if let Some(n) = required_per_arm_mean_t(1.0, 0.5, design, true).map(up) {
        let what = format!("mean by t, half a standard deviation, {n} + {n}");
        cell(&what, &|rng| means_differ(&unit, rng, n, n, 0.5));
    }
    let share = Law::Bernoulli { rate: 0.1 };
    if let Some(n) = required_per_arm_proportion(0.1, 0.12, design).map(up) {
        let what = format!("shares of 0.1 and 0.12, {n} + {n}");
        cell(&what, &|rng| {
            let (c, t) = (successes(&share, rng, n, 0.0), successes(&share, rng, n, 0.2));
            proportions::pooled_z(c, t, Alternative::TwoSided).is_ok_and(|z| z.p_value < 0.05)
        });
    }
    let rates = [0.2, 0.4, 0.6, 0.8, 1.0];
    let single = required_per_arm_mean(1.0, 1.0, 0.1, design);
    let designs = [("O'Brien–Fleming", Spending::OBrienFleming), ("Pocock", Spending::Pocock)];
    for (what, spending) in designs {
        let plan = bounds(&rates, ALPHA, Sides::Two, spending).ok();
        let plan = plan.zip(single).and_then(|(plan, single)| {
            let factor = inflation(&rates, &plan.bounds, ALPHA, Sides::Two, 0.8).ok()?;
            Some((plan, up(single * factor.inflation_factor)))
        });
        if let Some((plan, n)) = plan {
            let what = format!("group-sequential {what}, 5 looks, {n} + {n} at most");
            cell(&what, &|rng| crosses(&unit, rng, n, &rates, &plan.bounds));
        }
    }
    if let Some(n) = required_always_valid(0.1, [1.0, 1.0], design, None) {
        // At the planned end alone: whoever also looks before finds it more often.
        let (n, tuned) = (up(n), 2.0 * n);
        let what = format!("confidence sequence at its planned end, {n} + {n}");
        cell(&what, &|rng| {
            let (c, t) = (moments(&unit, rng, n, 0.0), moments(&unit, rng, n, 0.1));
            let all = c.merge(t);
            let two = Alternative::TwoSided;
            confidence_sequence::compare_means(&c, &t, &all, tuned, ALPHA, two)
                .is_ok_and(|found| found.sequential.p_value < 0.05)
        });
    }
    Section {
        title: "Power",
        text: "Samples planned for a power of 80 % against the effect that is there: runs that reject.",
        checks,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of units are positive and small"
)]
fn up(units: f64) -> u64 {
    units.ceil() as u64
}

fn means_differ(law: &Law, rng: &mut Rng, n_c: u64, n_t: u64, lift: f64) -> bool {
    let (c, t) = (moments(law, rng, n_c, 0.0), moments(law, rng, n_t, lift));
    welch::welch(&c, &t, ALPHA).is_ok_and(|found| found.p_value < 0.05)
}

fn crosses(law: &Law, rng: &mut Rng, n: u64, rates: &[f64], bounds: &[f64]) -> bool {
    let (mut c, mut t) = (Moments::EMPTY, Moments::EMPTY);
    rates.iter().zip(bounds).any(|(rate, bound)| {
        let target = up(n as f64 * rate - 1e-6);
        for (arm, lift) in [(&mut c, 0.0), (&mut t, 0.1)] {
            let more = target - arm.n();
            *arm = arm.merge(moments(law, rng, more, lift));
        }
        welch::welch(&c, &t, ALPHA).is_ok_and(|found| found.statistic.abs() >= *bound)
    })
}
