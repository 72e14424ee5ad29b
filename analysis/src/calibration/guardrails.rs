//! Guardrails over thirty days, by the engine's own reports.

use super::Calibration;
use super::check::{Band, Check, Section};
use crate::plan::MetricRole;
use crate::simulate::{ComparisonRates, Law, Scenario, Stage, simulate_with};

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(10_000);
    let mut checks = Vec::new();
    let conversions = Law::Bernoulli { rate: 0.05 };
    let revenue = Law::ZeroInflated { rate: 0.2, mean: 10.0, sigma: 0.8 };
    let month = |outcome, split: [f64; 2], per_day: u64, lift| Scenario {
        outcome,
        stages: vec![Stage { units: 30 * per_day, split: split.to_vec(), faulty_split: None }],
        lifts: vec![lift],
        looks: 30,
        role: MetricRole::Guardrail,
        runs,
        seed: calibration.runner.seed(),
        ..Scenario::default()
    };
    let mut cell = |what: &str, scenario: Scenario, band: Band| -> Option<ComparisonRates> {
        let found = simulate_with(&calibration.runner, &format!("guardrail {what}"), &scenario);
        let found = found.ok()?.comparisons.into_iter().next()?;
        let paused = found.guardrail.as_ref()?.paused.count;
        let paused = usize::try_from(paused).unwrap_or(usize::MAX);
        checks.push(Check::count(format!("{what}: paused"), runs, band, paused));
        Some(found)
    };
    // Full runs are held to the target itself; few runs to what chance leaves of it.
    let quick = calibration.is_quick();
    let healthy = if quick { Band::up_to(0.01, runs) } else { Band::AtMost(0.01 * runs as f64) };
    let even = [1.0, 1.0];
    let name = "healthy, 5 % convert, 2000 + 2000 a day";
    let found = cell(name, month(conversions, even, 4000, 0.0), healthy);
    let name = "healthy, revenue, 2000 + 2000 a day";
    cell(name, month(revenue, even, 4000, 0.0), healthy);
    let name = "healthy, 5 % convert, 1:9, 2000 a day";
    cell(name, month(conversions, [9.0, 1.0], 2000, 0.0), healthy);
    let name = "healthy, revenue, 1:9, 2000 a day";
    cell(name, month(revenue, [9.0, 1.0], 2000, 0.0), healthy);
    let harm = if quick { Band::from(0.8, runs) } else { Band::AtLeast(0.8 * runs as f64) };
    let name = "10 % fewer conversions of 5 %, 60 000 + 60 000 by the end";
    cell(name, month(conversions, even, 4000, -0.1), harm);
    let name = "10 % fewer conversions of 10 %, 60 000 + 60 000 by the end";
    cell(name, month(Law::Bernoulli { rate: 0.1 }, even, 4000, -0.1), harm);
    let name = "10 % less revenue, 60 000 + 60 000 by the end";
    cell(name, month(revenue, even, 4000, -0.1), harm);
    if let Some(found) = found {
        let peeked = found.fixed_horizon.rejected_at_any_look.count;
        let peeked = usize::try_from(peeked).unwrap_or(usize::MAX);
        let what = "for comparison, the first of these by the fixed-horizon p < 0.05 on any day, either way";
        checks.push(Check::count(what, runs, Band::Shown, peeked));
    }
    Section {
        title: "Guardrails",
        text: "Reports of the engine on 30 days, with the margin of 5 % that guardrails have by default: runs in which \
               the guardrail asks for a pause on any day. A healthy experiment must be paused in less than 1 %, a true \
               regression of 10 % in 80 % at least.",
        checks,
    }
}
