//! Always-valid tests, looked at again and again.

use super::Calibration;
use super::check::{Band, Check, Section};
use super::draw::count;
use crate::methods::confidence_sequence::{Gate, N_TUNE, compare_means, confidence_sequence};
use crate::methods::group_sequential::{Sides, Spending, bounds};
use crate::methods::msprt::{self, msprt};
use crate::methods::sequential_adjusted::{compare_adjusted, compare_quantiles, compare_ratios};
use crate::methods::{Alpha, Alternative, count_mixture, quantile, srm, welch};
use crate::simulate::{Law, Rng, poisson, standard_normal};
use crate::stats::{CoMoments, Moments};

const ALPHA: Alpha = Alpha::DEFAULT;
const TWO: Alternative = Alternative::TwoSided;

/// Smallest p-values over the looks of one A/A experiment, 1 where a test never decided.
#[derive(Debug, Clone, Copy)]
struct Least {
    sequence: f64,
    msprt: f64,
    counts: f64,
    /// The larger |z| of both arms at any look, had one not corrected for looking.
    naive: f64,
}

impl Least {
    const NONE: Self = Self { sequence: 1.0, msprt: 1.0, counts: 1.0, naive: 0.0 };

    fn see(place: &mut f64, p: f64) {
        *place = place.min(p);
    }
}

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(10_000);
    let most = if calibration.is_quick() { 5000 } else { 50_000 };
    let looks = schedule(100, most);
    let mut checks = Vec::new();
    let laws = [
        ("normal", Law::Normal { mean: 1.0, std_dev: 1.0 }),
        ("shares of 0.1", Law::Bernoulli { rate: 0.1 }),
        ("shares of 0.01", Law::Bernoulli { rate: 0.01 }),
        ("lognormal(2)", Law::Lognormal { mean: 1.0, sigma: 2.0 }),
        (
            "revenue, 5 % buy, lognormal(1.5)",
            Law::ZeroInflated { rate: 0.05, mean: 1.0, sigma: 1.5 },
        ),
    ];
    for (what, law) in laws {
        for share in [0.5, 0.1] {
            let split = if share > 0.4 { "1:1" } else { "1:9" };
            let name = format!("{what}, {split}");
            let found = calibration
                .runner
                .collect(&format!("peeking {name}"), runs, |rng| path(&law, share, &looks, rng));
            both(&mut checks, &format!("confidence sequence, {name}"), runs, &found, |l| {
                l.sequence
            });
            both(&mut checks, &format!("mSPRT, {name}"), runs, &found, |l| l.msprt);
            if matches!(law, Law::Bernoulli { .. }) {
                both(&mut checks, &format!("exact counts, {name}"), runs, &found, |l| l.counts);
            }
            let naive = count(&found, |least| least.naive > 1.959_963_984_540_054);
            let what = format!("for comparison, the fixed-horizon z, {name}: |z| > 1.96");
            checks.push(Check::count(what, runs, Band::Shown, naive));
        }
    }
    others(&mut checks, calibration, runs, &looks);
    group_sequential(&mut checks, calibration, runs);
    Section {
        title: "Peeking",
        text: "A/A experiments looked at from 100 units in both arms on, each time there are 1.5 % more, up to 50 000: \
               runs with a rejection at any look. Looks before the gate decide nothing. 1:9 is a ramp, with a \
               tenth of the units treated. Growing metrics have no window: a unit's number grows until the end.",
        checks,
    }
}

fn both(
    checks: &mut Vec<Check>,
    what: &str,
    runs: u64,
    found: &[Least],
    of: impl Fn(&Least) -> f64,
) {
    for alpha in [0.05, 0.01] {
        let rejected = count(found, |least| of(least) < alpha);
        let what = format!("{what}: p < {alpha}");
        checks.push(Check::count(what, runs, Band::up_to(alpha, runs), rejected));
    }
}

/// Numbers of units from `first` to `last`, each 1.5 % above the one before.
fn schedule(first: u64, last: u64) -> Vec<u64> {
    let next = |n: &u64| (*n < last).then(|| (n + (n * 3).div_ceil(200)).min(last));
    std::iter::successors(Some(first), next).collect()
}

/// Units of treatment among n.
fn treated(n: u64, share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a small number"
    )]
    let treated = (n as f64 * share).round() as u64;
    treated
}

fn path(law: &Law, share: f64, looks: &[u64], rng: &mut Rng) -> Least {
    let mut least = Least::NONE;
    let (mut c, mut t) = (Moments::EMPTY, Moments::EMPTY);
    let mut values = Vec::new();
    for &n in looks {
        let n_t = treated(n, share);
        for (arm, target) in [(&mut c, n - n_t), (&mut t, n_t)] {
            values.clear();
            values.extend((arm.n()..target).map(|_| law.draw_alone(rng, 0.0).0));
            *arm = arm.merge(Moments::of(&values));
        }
        if matches!(law, Law::Bernoulli { .. }) {
            let converted = [c.n_nonzero(), t.n_nonzero()];
            let k = count_mixture::CONCENTRATION;
            if let Ok(found) = srm::srm_sequential(&converted, &[1.0 - share, share], k) {
                Least::see(&mut least.counts, found.p_value);
            }
        }
        let all = c.merge(t);
        let Ok(found) = compare_means(&c, &t, &all, N_TUNE, ALPHA, TWO) else { continue };
        least.naive = least.naive.max((found.effect / found.se_welch).abs());
        if !found.gate.is_reached() {
            continue;
        }
        Least::see(&mut least.sequence, found.sequential.p_value);
        // One unit's standard deviation, as it was known before: the law's own.
        let tau = msprt::TAU_PER_SD * spread(law);
        if let Ok(found) = msprt(found.effect, found.se, tau, ALPHA, TWO) {
            Least::see(&mut least.msprt, found.p_value);
        }
    }
    least
}

/// Standard deviation of one unit.
fn spread(law: &Law) -> f64 {
    match *law {
        Law::Normal { std_dev, .. } => std_dev,
        Law::Bernoulli { rate } => (rate * (1.0 - rate)).sqrt(),
        Law::Lognormal { mean, sigma } => mean * (sigma * sigma).exp_m1().sqrt(),
        Law::ZeroInflated { rate, mean, sigma } => {
            mean * (rate * (sigma * sigma).exp() - rate * rate).sqrt()
        }
        Law::Ratio { .. } | Law::Clustered { .. } => 1.0,
    }
}

/// Sequences of ratios, adjusted means and quantiles; counts in one direction; growing metrics.
fn others(checks: &mut Vec<Check>, calibration: &Calibration<'_>, runs: u64, looks: &[u64]) {
    for share in [0.5, 0.1] {
        let split = if share > 0.4 { "1:1" } else { "1:9" };
        let views = Law::Ratio { rate: 0.1, views: 5.0 };
        let mut cell = |what: &str, path: &(dyn Fn(&mut Rng) -> f64 + Sync)| {
            let what = format!("{what}, {split}");
            let found = calibration.runner.collect(&format!("peeking {what}"), runs, |rng| Least {
                sequence: path(rng),
                ..Least::NONE
            });
            both(checks, &what, runs, &found, |least| least.sequence);
        };
        cell("sequence of a ratio, 5 views", &|rng| {
            pair_path(share, looks, rng, |rng| views.draw_alone(rng, 0.0), compare_pairs)
        });
        cell("sequence of a ratio, revenue per view", &|rng| {
            let revenue = Law::ZeroInflated { rate: 0.05, mean: 1.0, sigma: 1.5 };
            pair_path(
                share,
                looks,
                rng,
                |rng| {
                    let views = 1.0 + poisson(rng, 4.0);
                    (revenue.draw_alone(rng, 0.0).0 * views, views)
                },
                compare_pairs,
            )
        });
        cell("sequence with CUPED, correlation 0.7", &|rng| {
            pair_path(
                share,
                looks,
                rng,
                |rng| {
                    let x = standard_normal(rng);
                    (0.7 * x + 0.51_f64.sqrt() * standard_normal(rng), x)
                },
                |c, t| {
                    let found = compare_adjusted(c, t, N_TUNE, ALPHA, TWO).ok()?;
                    Gate::of(c.y(), t.y()).is_reached().then_some(found.sequential.p_value)
                },
            )
        });
        cell("sequence with CUPED, skewed revenue", &|rng| {
            pair_path(
                share,
                looks,
                rng,
                |rng| {
                    let x = standard_normal(rng);
                    let buys = 0.3 * x + standard_normal(rng) > 1.7;
                    let y = if buys { (1.2 * standard_normal(rng) + 0.5 * x).exp() } else { 0.0 };
                    (y, x.exp())
                },
                |c, t| {
                    let found = compare_adjusted(c, t, N_TUNE, ALPHA, TWO).ok()?;
                    Gate::of(c.y(), t.y()).is_reached().then_some(found.sequential.p_value)
                },
            )
        });
        cell("exact counts in one direction, shares of 0.05", &|rng| {
            counts_path(share, looks, rng)
        });
        cell("growing sums of a mean metric, 40 looks", &|rng| growing_path(share, rng));
        cell("sequence of a median, 40 looks", &|rng| quantile_path(share, 0.5, rng));
    }
}

fn compare_pairs(c: &CoMoments, t: &CoMoments) -> Option<f64> {
    let found = compare_ratios(c, t, N_TUNE, ALPHA, TWO).ok()?;
    found.gate.is_reached().then_some(found.sequential.p_value)
}

fn pair_path(
    share: f64,
    looks: &[u64],
    rng: &mut Rng,
    draw: impl Fn(&mut Rng) -> (f64, f64),
    p_value: impl Fn(&CoMoments, &CoMoments) -> Option<f64>,
) -> f64 {
    let mut least = 1.0;
    let (mut c, mut t) = (CoMoments::EMPTY, CoMoments::EMPTY);
    for &n in looks {
        let n_t = treated(n, share);
        for (arm, target) in [(&mut c, n - n_t), (&mut t, n_t)] {
            let (y, x): (Vec<f64>, Vec<f64>) = (arm.n()..target).map(|_| draw(rng)).unzip();
            *arm = arm.merge(CoMoments::of(&y, &x));
        }
        Least::see(&mut least, p_value(&c, &t).unwrap_or(1.0));
    }
    least
}

/// The test of guardrails that count conversions.
fn counts_path(share: f64, looks: &[u64], rng: &mut Rng) -> f64 {
    let law = Law::Bernoulli { rate: 0.05 };
    let mut least = 1.0;
    let (mut seen, mut converted) = ([0_u64; 2], [0_u64; 2]);
    for &n in looks {
        let n_t = treated(n, share);
        for (arm, target) in [n - n_t, n_t].into_iter().enumerate() {
            while seen[arm] < target {
                seen[arm] += 1;
                converted[arm] += u64::from(law.draw_alone(rng, 0.0).0 > 0.0);
            }
        }
        let [c, t] = converted;
        let k = count_mixture::tuned_concentration(0.05 * 50_000.0);
        let found = count_mixture::directed_counts(c, t, share, 0.0, k, Alternative::Less);
        Least::see(&mut least, found.map_or(1.0, |found| found.p_value));
    }
    least
}

/// Looks of the paths whose looks cost as much as all units so far.
const FEW_LOOKS: u64 = 40;
/// Their units.
const FEW_UNITS: u64 = 2000;

/// A metric without a window: units arrive evenly, and buy from then on at a rate of their own.
fn growing_path(share: f64, rng: &mut Rng) -> f64 {
    let mut least = 1.0;
    let mut arms: [(Vec<f64>, Vec<f64>); 2] = Default::default();
    for look in 1..=FEW_LOOKS {
        let n = FEW_UNITS * look / FEW_LOOKS;
        let n_t = treated(n, share);
        let mut moments = [Moments::EMPTY; 2];
        for (((rates, sums), target), moments) in
            arms.iter_mut().zip([n - n_t, n_t]).zip(&mut moments)
        {
            while (rates.len() as u64) < target {
                rates.push(0.05 * (0.5 * standard_normal(rng)).exp());
                sums.push(0.0);
            }
            for (rate, sum) in rates.iter().zip(sums.iter_mut()) {
                *sum += poisson(rng, *rate);
            }
            *moments = Moments::of(sums);
        }
        let [c, t] = moments;
        let Ok(found) = compare_means(&c, &t, &c.merge(t), N_TUNE, ALPHA, TWO) else { continue };
        if found.gate.is_reached() {
            Least::see(&mut least, found.sequential.p_value);
        }
    }
    least
}

fn quantile_path(share: f64, q: f64, rng: &mut Rng) -> f64 {
    let mut least = 1.0;
    let mut arms: [(Vec<f64>, Vec<u32>); 2] = Default::default();
    for look in 1..=FEW_LOOKS {
        let n = FEW_UNITS * look / FEW_LOOKS;
        let n_t = treated(n, share);
        for ((values, ends), target) in arms.iter_mut().zip([n - n_t, n_t]) {
            while (ends.len() as u64) < target {
                let own = 0.5 * standard_normal(rng);
                for _ in 0..=ends.len() % 3 {
                    values.push((own + 0.5 * standard_normal(rng)).exp());
                }
                ends.push(u32::try_from(values.len()).unwrap_or(u32::MAX));
            }
        }
        let [(c, c_ends), (t, t_ends)] = &arms;
        let estimates = quantile::quantile(c, c_ends, q).zip(quantile::quantile(t, t_ends, q));
        let found = estimates
            .and_then(|(c, t)| compare_quantiles(&c, &t, n as f64, N_TUNE, ALPHA, TWO).ok());
        if n_t >= 100 {
            Least::see(&mut least, found.map_or(1.0, |found| found.sequential.p_value));
        }
    }
    least
}

/// Five planned looks that share alpha.
fn group_sequential(checks: &mut Vec<Check>, calibration: &Calibration<'_>, runs: u64) {
    let designs = [
        ("O'Brien–Fleming", Spending::OBrienFleming),
        ("Pocock", Spending::Pocock),
        ("Hwang–Shih–DeCani −4", Spending::HwangShihDeCani(-4.0)),
    ];
    let rates = [0.2, 0.4, 0.6, 0.8, 1.0];
    let law = Law::Normal { mean: 1.0, std_dev: 1.0 };
    let found = calibration.runner.collect("group-sequential A/A", runs, |rng| {
        let (mut c, mut t) = (Moments::EMPTY, Moments::EMPTY);
        rates.map(|_| {
            for arm in [&mut c, &mut t] {
                let values: Vec<f64> = (0..400).map(|_| law.draw_alone(rng, 0.0).0).collect();
                *arm = arm.merge(Moments::of(&values));
            }
            welch::welch(&c, &t, ALPHA).map_or(0.0, |found| found.statistic.abs())
        })
    });
    for (what, spending) in designs {
        let Ok(design) = bounds(&rates, ALPHA, Sides::Two, spending) else { continue };
        let crossed = count(&found, |path| path.iter().zip(&design.bounds).any(|(z, b)| z >= b));
        let what = format!("group-sequential {what}, 5 looks: rejections in all");
        checks.push(Check::count(what, runs, Band::around(0.05, runs), crossed));
    }
    let single = count(&found, |path| {
        path.iter().zip(1..).any(|(z, look)| {
            let n = 800.0 * f64::from(look);
            let se = 2.0 / n.sqrt();
            confidence_sequence(z * se, se, n, 4000.0, ALPHA, TWO)
                .is_ok_and(|found| found.p_value < 0.05)
        })
    });
    let what = "the same five looks by the confidence sequence";
    checks.push(Check::count(what, runs, Band::up_to(0.05, runs), single));
}
