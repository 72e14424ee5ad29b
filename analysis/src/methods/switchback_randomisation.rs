//! Randomisation test of a switchback experiment.
//!
//! ```text
//! # Question          How often would a schedule drawn anew have shown a difference as large, had
//!                     treatment no effect at all?
//! # Input             the time buckets in order with their arm
//! # Formula           the statistic is |mean of treated − mean of control| over buckets; schedules are
//!                     all ways to treat as many buckets. p is the share of them with a statistic at
//!                     least as large as the one seen
//! # Assumes           the schedule was drawn with equal chance from all with as many treated buckets;
//!                     nothing about the values. Meant for less than 50 buckets
//! # Numerics          up to 200 000 schedules are enumerated. Beyond, 20 000 are drawn from a stated
//!                     seed, and the one seen counts as one of them: `p = (1 + hits)/(1 + draws)`
//! # Reference         Fisher (1935); Bojinov, Simchi-Levi, Zhao (2023); scipy `permutation_test`;
//!                     `tests/golden/switchback.json`
//! ```

use super::switchback::{Bucket, arm};
use super::{Alternative, MethodError};

/// Schedules up to which all are looked at.
const MOST_ENUMERATED: u64 = 200_000;

/// Schedules drawn when there are more.
pub const DRAWS: u64 = 20_000;

/// Differences within this share of the values' size are ties.
const TIE: f64 = 1e-12;

/// Answer of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomisationTest {
    /// Treatment − control.
    pub effect: f64,
    /// Share of schedules at least as extreme.
    pub p_value: f64,
    /// Schedules looked at.
    pub schedules: u64,
    /// Whether these are all there are.
    pub exact: bool,
}

/// Tests whether treatment did anything.
pub fn randomisation_test(
    buckets: &[Bucket],
    alternative: Alternative,
    seed: u64,
) -> Result<RandomisationTest, MethodError> {
    let (control, treatment) = (arm(buckets, false), arm(buckets, true));
    let treated = buckets.iter().filter(|bucket| bucket.treated).count();
    if control.n() == 0 || treatment.n() == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let effect = control.mean_difference(&treatment);
    // The difference of means rises with the sum of the treated, all around the overall mean.
    let centre = control.merge(treatment).mean();
    let values: Vec<f64> = buckets.iter().map(|bucket| bucket.value - centre).collect();
    let observed: f64 =
        buckets.iter().zip(&values).filter(|(bucket, _)| bucket.treated).map(|(_, v)| v).sum();
    let size: f64 = values.iter().map(|v| v.abs()).sum();
    if !observed.is_finite() || !size.is_finite() {
        return Err(MethodError::NotFinite);
    }
    let slack = TIE * size;
    let extreme = |sum: f64| match alternative {
        Alternative::TwoSided => sum.abs() >= observed.abs() - slack,
        Alternative::Greater => sum >= observed - slack,
        Alternative::Less => sum <= observed + slack,
    };
    let all = schedules(values.len() as u64, treated as u64);
    if all <= MOST_ENUMERATED {
        let hits = enumerate(&values, treated, &extreme);
        let p_value = hits as f64 / all as f64;
        return Ok(RandomisationTest { effect, p_value, schedules: all, exact: true });
    }
    let mut random = SplitMix(seed);
    let mut order: Vec<usize> = (0..values.len()).collect();
    let hits = (0..DRAWS).filter(|_| {
        let mut sum = 0.0;
        for i in 0..treated {
            let other = i + random.below(values.len() - i);
            order.swap(i, other);
            sum += values[order[i]];
        }
        extreme(sum)
    });
    let p_value = (1 + hits.count()) as f64 / (1 + DRAWS) as f64;
    Ok(RandomisationTest { effect, p_value, schedules: DRAWS, exact: false })
}

/// How many ways there are to treat k of n buckets; at most one more than are enumerated.
fn schedules(n: u64, k: u64) -> u64 {
    let k = k.min(n - k);
    let mut ways = 1_u64;
    for i in 0..k {
        ways = ways * (n - i) / (i + 1);
        if ways > MOST_ENUMERATED {
            return MOST_ENUMERATED + 1;
        }
    }
    ways
}

/// How many choices of k values have an extreme sum.
fn enumerate(values: &[f64], k: usize, extreme: &impl Fn(f64) -> bool) -> u64 {
    let n = values.len();
    let mut chosen: Vec<usize> = (0..k).collect();
    let mut hits = 0;
    loop {
        hits += u64::from(extreme(chosen.iter().map(|&i| values[i]).sum()));
        // The next choice in lexicographic order.
        let Some(place) = (0..k).rev().find(|&place| chosen[place] < n - k + place) else {
            return hits;
        };
        chosen[place] += 1;
        for next in place + 1..k {
            chosen[next] = chosen[next - 1] + 1;
        }
    }
}

/// Steele, Lea and Flood's generator (2014): 64 bits of state, which is its seed.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, by the high half of a product (its bias is below 2⁻⁴⁰).
    #[expect(clippy::cast_possible_truncation, reason = "the high half is below the limit")]
    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}
