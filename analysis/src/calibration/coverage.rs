//! How often intervals hold the truth.

use super::Calibration;
use super::check::{Band, Check, Section};
use super::draw::{Sizes, count, moments, pairs, quantile, successes};
use super::fixed_horizon::with_history;
use crate::methods::confidence_sequence::Gate;
use crate::methods::quantile::{self, QuantileEstimate};
use crate::methods::{Alpha, Alternative, Interval, cuped, lift, proportions, ratio, welch};
use crate::simulate::{Law, Rng, standard_normal};

const ALPHA: Alpha = Alpha::DEFAULT;

/// Whether the interval of the effect and that of the lift hold the truth.
type Held = Option<(bool, bool)>;

/// One kind of interval under one truth.
struct Cell {
    what: String,
    draw: Box<dyn Fn(&mut Rng) -> Held + Sync>,
}

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(10_000);
    let mut checks = Vec::new();
    let even = Sizes::of(1000, 1000);
    let ramp = Sizes::of(9000, 1000);
    let mut cells = Vec::new();
    for (n, lift) in [(even, 0.0), (even, 0.5), (even, 2.0), (ramp, 0.5), (ramp, 2.0)] {
        cells.push(mean("normal, CV 3", Law::Normal { mean: 1.0, std_dev: 3.0 }, n, lift));
        cells.push(ratio_cell(n, lift));
        cells.push(cuped_cell(n, lift));
    }
    let amounts = Law::Lognormal { mean: 10.0, sigma: 1.0 };
    for (n, lift) in
        [(Sizes::of(5000, 5000), 0.0), (Sizes::of(5000, 5000), 0.5), (Sizes::of(45_000, 5000), 0.5)]
    {
        cells.push(mean("lognormal(1)", amounts, n, lift));
    }
    for (n, rate, lift) in
        [(even, 0.1, 0.5), (even, 0.1, 2.0), (ramp, 0.02, 1.5), (ramp, 0.1, -0.8)]
    {
        cells.push(shares(n, rate, lift));
    }
    for (n, q, lift) in
        [(even, 0.5, 0.0), (even, 0.9, 0.0), (even, 0.9, 0.5), (ramp, 0.5, 0.5), (ramp, 0.9, 2.0)]
    {
        cells.push(quantiles(n, q, lift));
    }
    for Cell { what, draw } in cells {
        let found = calibration.runner.collect(&format!("coverage {what}"), runs, draw);
        let answered: Vec<(bool, bool)> = found.into_iter().flatten().collect();
        let n = answered.len() as u64;
        let band = Band::around(0.95, n);
        checks.push(Check::count(format!("{what}: effect"), n, band, count(&answered, |c| c.0)));
        checks.push(Check::count(format!("{what}: lift"), n, band, count(&answered, |c| c.1)));
    }
    gate(&mut checks, calibration, runs);
    Section {
        title: "Coverage of 95 % intervals",
        text: "Runs whose interval holds the true effect, and the true lift (Fieller's interval, or Koopman's for \
               shares). For the lognormal law with sigma 2 a thousand units are too few for any interval of \
               means: there the skew gate must say so.",
        checks,
    }
}

fn holds(ci: Interval, truth: f64) -> bool {
    ci.lo <= truth && truth <= ci.hi
}

fn title(what: &str, n: Sizes, lift: f64) -> String {
    format!("{what}, {} + {}, lift {lift:+}", n.control, n.treatment)
}

fn mean(what: &str, law: Law, n: Sizes, lift: f64) -> Cell {
    let draw = move |rng: &mut Rng| {
        let (c, t) = (moments(&law, rng, n.control, 0.0), moments(&law, rng, n.treatment, lift));
        let found = welch::welch(&c, &t, ALPHA).ok()?;
        // An unbounded interval holds everything.
        let of_lift = lift::fieller(&c, &t, found.critical).map_or(true, |ci| holds(ci, lift));
        Some((holds(found.ci, law.base() * lift), of_lift))
    };
    Cell { what: title(&format!("mean, {what}"), n, lift), draw: Box::new(draw) }
}

fn ratio_cell(n: Sizes, lift: f64) -> Cell {
    let law = Law::Ratio { rate: 0.1, views: 5.0 };
    let draw = move |rng: &mut Rng| {
        let (c, t) = (pairs(&law, rng, n.control, 0.0), pairs(&law, rng, n.treatment, lift));
        let found = ratio::ratio_delta(&c, &t, ALPHA, Alternative::TwoSided).ok()?;
        let (c, t) = (ratio::linearise(&c).ok()?.moments, ratio::linearise(&t).ok()?.moments);
        let of_lift = lift::fieller(&c, &t, found.critical).map_or(true, |ci| holds(ci, lift));
        Some((holds(found.ci, law.base() * lift), of_lift))
    };
    Cell { what: title("ratio, 5 views", n, lift), draw: Box::new(draw) }
}

fn cuped_cell(n: Sizes, lift: f64) -> Cell {
    let draw = move |rng: &mut Rng| {
        let c = with_history(rng, n.control, 0.7, 0.0);
        let t = with_history(rng, n.treatment, 0.7, lift);
        let found = cuped::cuped(&c, &t, ALPHA, Alternative::TwoSided).ok()?;
        let of_lift = found.lift_ci.map_or(true, |ci| holds(ci, lift));
        Some((holds(found.estimate.ok()?.ci, lift), of_lift))
    };
    Cell { what: title("CUPED, correlation 0.7", n, lift), draw: Box::new(draw) }
}

fn shares(n: Sizes, rate: f64, lift: f64) -> Cell {
    let law = Law::Bernoulli { rate };
    let draw = move |rng: &mut Rng| {
        let c = successes(&law, rng, n.control, 0.0);
        let t = successes(&law, rng, n.treatment, lift);
        let found = proportions::compare(c, t, ALPHA).ok()?;
        let of_lift = found.lift_ci.map_or(true, |ci| holds(ci, lift));
        Some((holds(found.ci, rate * lift), of_lift))
    };
    Cell { what: title(&format!("shares, {rate}"), n, lift), draw: Box::new(draw) }
}

/// Event values whose logarithm has a part of its unit and a part of its own.
fn events(rng: &mut Rng, n: u64, lift: f64) -> (Vec<f64>, Vec<u32>) {
    let (mut values, mut ends) = (Vec::new(), Vec::new());
    for unit in 0..n {
        let own = 0.5 * standard_normal(rng);
        for _ in 0..=unit % 3 {
            values.push((own + 0.5 * standard_normal(rng)).exp() * (1.0 + lift));
        }
        ends.push(u32::try_from(values.len()).unwrap_or(u32::MAX));
    }
    (values, ends)
}

fn quantiles(n: Sizes, q: f64, lift: f64) -> Cell {
    let draw = move |rng: &mut Rng| {
        let arm = |rng: &mut Rng, n, lift| -> Option<QuantileEstimate> {
            let (values, ends) = events(rng, n, lift);
            quantile::quantile(&values, &ends, q)
        };
        let (c, t) = (arm(rng, n.control, 0.0)?, arm(rng, n.treatment, lift)?);
        let found = quantile::compare(&c, &t, ALPHA).ok()?;
        let base = (0.5_f64.sqrt() * quantile(q)).exp();
        let of_lift = found.lift_ci.map_or(true, |ci| holds(ci, lift));
        Some((holds(found.ci, base * lift), of_lift))
    };
    Cell {
        what: title(&format!("quantile {q}, 1 to 3 events a unit"), n, lift),
        draw: Box::new(draw),
    }
}

fn gate(checks: &mut Vec<Check>, calibration: &Calibration<'_>, runs: u64) {
    let law = Law::Lognormal { mean: 10.0, sigma: 2.0 };
    let found = calibration.runner.collect("coverage lognormal(2)", runs, |rng| {
        let (c, t) = (moments(&law, rng, 1000, 0.0), moments(&law, rng, 1000, 0.0));
        let covered = welch::welch(&c, &t, ALPHA).is_ok_and(|found| holds(found.ci, 0.0));
        (Gate::of(&c, &t).is_reached(), covered)
    });
    let what = "mean, lognormal(2), 1000 + 1000: effect";
    checks.push(Check::count(what, runs, Band::Shown, count(&found, |(_, covered)| *covered)));
    let what = "mean, lognormal(2), 1000 + 1000: runs that the skew gate holds back";
    let held = count(&found, |(reached, _)| !reached);
    checks.push(Check::count(what, runs, Band::AtLeast(0.95 * runs as f64), held));
}
