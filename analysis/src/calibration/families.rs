//! Many comparisons at once.

use super::Calibration;
use super::check::{Band, Check, Section};
use super::draw::count;
use crate::methods::multiplicity::{Correction, adjust};
use crate::methods::normal_mixture::{NormalMixture, tuned_rho2};
use crate::methods::selection::e_bh;
use crate::methods::{Alpha, Alternative, normal};
use crate::simulate::{Rng, standard_normal};
use crate::stats::Moments;

/// Hypotheses of a family, and how many of them are true effects.
const TESTS: usize = 100;
const TRUE_EFFECTS: usize = 20;
/// Their size in standard errors at the last look.
const DRIFT: f64 = 3.0;
/// Looks of the e-values, evenly spaced.
const LOOKS: u32 = 20;

/// Share of false ones among what was found, and whether any was.
#[derive(Debug, Clone, Copy)]
struct Found {
    false_share: f64,
    any_false: bool,
}

impl Found {
    fn of(rejected: &[bool]) -> Self {
        let of = |from: &[bool]| from.iter().filter(|found| **found).count();
        let wrong = of(&rejected[TRUE_EFFECTS..]);
        let all = of(rejected);
        Self { false_share: wrong as f64 / all.max(1) as f64, any_false: wrong > 0 }
    }
}

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(1000);
    let mut checks = Vec::new();
    for correlation in [0.0, 0.5] {
        let what = if correlation > 0.0 { "correlation 0.5" } else { "independent" };
        let found = calibration
            .runner
            .collect(&format!("families {what}"), runs, |rng| family(rng, correlation));
        let mut rate = |name: &str, of: fn(&[Found; 4]) -> Found| {
            let shares: Moments = found.iter().map(|family| of(family).false_share).collect();
            let se = shares.variance_of_mean().unwrap_or(0.0).sqrt();
            // The share of hypotheses without an effect times the level.
            let most = 0.05 * (1.0 - TRUE_EFFECTS as f64 / TESTS as f64) + 3.3 * se;
            let what = format!("{name}, {what}: mean share of false findings");
            checks.push(Check::number(what, runs, Band::AtMost(most), shares.mean(), 4));
        };
        rate("Benjamini–Hochberg", |family| family[0]);
        rate("e-BH, stopped at the first finding", |family| family[2]);
        rate("e-BH, at the last look", |family| family[3]);
        let any = count(&found, |family| family[1].any_false);
        let what = format!("Holm, {what}: families with a false finding");
        checks.push(Check::count(what, runs, Band::up_to(0.05, runs), any));
    }
    Section {
        title: "Many comparisons",
        text: "Families of 100 hypotheses with 20 true effects at a level of 5 %. e-values are watched over 20 looks and \
               stopped at the first finding, under any dependence.",
        checks,
    }
}

/// Benjamini–Hochberg and Holm at the end; e-BH at the first finding and at the end.
fn family(rng: &mut Rng, correlation: f64) -> [Found; 4] {
    let mut sums = [0.0_f64; TESTS];
    let mut first = None;
    let mut last = Vec::new();
    let mut z = [0.0; TESTS];
    let looks = f64::from(LOOKS);
    let rho2 = tuned_rho2(0.05, 1.0, Alternative::TwoSided);
    for look in 1..=LOOKS {
        let time = f64::from(look) / looks;
        let common = standard_normal(rng);
        for (place, sum) in sums.iter_mut().enumerate() {
            let own = standard_normal(rng);
            let step = correlation.sqrt() * common + (1.0 - correlation).sqrt() * own;
            let drift = if place < TRUE_EFFECTS { DRIFT } else { 0.0 };
            *sum += (drift / looks) + step / looks.sqrt();
            z[place] = *sum / time.sqrt();
        }
        let mixture = NormalMixture::new((time * rho2).sqrt());
        let e_values: Vec<Option<f64>> =
            z.iter().map(|z| Some(mixture.log_e_value(*z, Alternative::TwoSided).exp())).collect();
        last =
            e_bh(&e_values, Alpha::DEFAULT).into_iter().map(|found| found == Some(true)).collect();
        if first.is_none() && last.iter().any(|found| *found) {
            first = Some(Found::of(&last));
        }
    }
    let p_values: Vec<Option<f64>> = z.iter().map(|z| Some(normal::two_sided(*z))).collect();
    let at_end = |correction| {
        let adjusted = adjust(&p_values, correction);
        let rejected: Vec<bool> = adjusted.iter().map(|p| p.is_some_and(|p| p <= 0.05)).collect();
        Found::of(&rejected)
    };
    let at_last = Found::of(&last);
    [
        at_end(Correction::BenjaminiHochberg),
        at_end(Correction::Holm),
        first.unwrap_or(at_last),
        at_last,
    ]
}
