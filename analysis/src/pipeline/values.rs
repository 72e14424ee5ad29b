//! Event values of a quantile metric: all of them while they are few, a histogram when they are many.

use super::questions::{KindQuestion, Questions};
use crate::methods::quantile::{self, QuantileEstimate};
use crate::methods::{Alpha, quantile_sketch};
use crate::stats::{MOST_BUCKETS, QuantileSketch};

/// Values of quantile metrics that one scan keeps as they are, 8 bytes each.
const MOST_VALUES: usize = 8_000_000;

/// Values that gather before they enter the sketch.
const BUFFERED_VALUES: usize = 16 * 1024;

/// How much one cell (experiment × variant × metric) may keep. It depends on the plans alone, so that
/// the same lake gives the same numbers however it is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    values: usize,
    buckets: usize,
}

impl Budget {
    /// Divides what a scan may keep between its cells.
    pub(super) fn of(questions: &Questions) -> Self {
        let quantiles = |question: &super::questions::ExperimentQuestion| {
            let of_kind = |kind: &KindQuestion| matches!(kind, KindQuestion::Quantile(_));
            question.metrics.iter().filter(|metric| of_kind(&metric.kind)).count()
                * question.variants.len()
        };
        let cells: usize = questions.experiments.iter().map(quantiles).sum();
        let values = (MOST_VALUES / cells.max(1)).clamp(4096, 1_000_000);
        Self { values, buckets: (values / 8).clamp(512, MOST_BUCKETS) }
    }
}

/// The event values of some units, in the order of their hashes.
///
/// The values of the first units stand as they are, up to the budget; those of all later ones are only
/// counted. Units come in the order of a hash, so the first ones are a random sample of them: it tells
/// how alike the values of one unit are.
#[derive(Debug, Clone)]
pub struct ValueTally {
    budget: Budget,
    /// The values of one unit after those of another.
    values: Vec<f64>,
    /// Where each unit with values ends in `values`.
    ends: Vec<u32>,
    /// Values of later units; none while the budget suffices.
    rest: Option<QuantileSketch>,
    buffer: Vec<f64>,
}

impl ValueTally {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, values: Vec::new(), ends: Vec::new(), rest: None, buffer: Vec::new() }
    }

    pub(super) fn add_unit(&mut self, values: impl Iterator<Item = f64>) {
        if self.rest.is_some() {
            self.buffer.extend(values);
            if self.buffer.len() >= BUFFERED_VALUES {
                self.close();
            }
            return;
        }
        let before = self.values.len();
        self.values.extend(values);
        if self.values.len() > self.budget.values {
            self.rest = Some(QuantileSketch::new(self.budget.buckets));
            self.buffer.extend(self.values.drain(before..));
        } else if self.values.len() > before {
            // Within the budget, so within 32 bits.
            self.ends.push(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        }
    }

    /// Enters what is waiting.
    pub(super) fn close(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.rest = Some(rest.merge(QuantileSketch::of(&self.buffer, self.budget.buckets)));
            self.buffer = Vec::new();
        }
    }

    /// Adds the values of units that come after all of these.
    pub(super) fn merge(&mut self, other: Self) {
        let mut start = 0;
        for end in other.ends {
            let end = end as usize;
            self.add_unit(other.values[start..end].iter().copied());
            start = end;
        }
        self.close();
        if let Some(theirs) = other.rest {
            let mine = self.rest.take();
            let mine = mine.unwrap_or_else(|| QuantileSketch::new(self.budget.buckets));
            self.rest = Some(mine.merge(theirs));
        }
    }

    /// The quantile `q` with its standard error, and by how much its rank may be off; none without
    /// values.
    pub fn estimate(&self, q: f64) -> Option<(QuantileEstimate, f64)> {
        let Some(rest) = &self.rest else {
            return quantile::quantile(&self.values, &self.ends, q).map(|found| (found, 0.0));
        };
        let sketch = rest.clone().merge(QuantileSketch::of(&self.values, self.budget.buckets));
        let value = sketch.quantile(q)?;
        let inflation = quantile::cluster_inflation(&self.values, &self.ends, value, q);
        let found = quantile_sketch::estimate(
            &sketch,
            q,
            inflation.ok().filter(|inflation| *inflation > 0.0).unwrap_or(1.0),
            Alpha::DEFAULT,
        )?;
        let estimate = QuantileEstimate { se: inflation.and(found.estimate.se), ..found.estimate };
        Some((estimate, found.rank_error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(units: &[Vec<f64>], budget: Budget) -> ValueTally {
        let mut tally = ValueTally::new(budget);
        for unit in units {
            tally.add_unit(unit.iter().copied());
        }
        tally.close();
        tally
    }

    #[test]
    fn more_values_than_are_kept_give_the_same_quantile_however_they_are_divided() {
        let budget = Budget { values: 1000, buckets: 512 };
        let units: Vec<Vec<f64>> = (0..2000_u32)
            .map(|unit| {
                (0..=unit % 4).map(|i| f64::from((unit * 7919 + i * 31) % 10_007)).collect()
            })
            .collect();
        let whole = filled(&units, budget);
        assert!(whole.rest.is_some());
        let exact = filled(&units, Budget { values: 1_000_000, buckets: 512 });
        for q in [0.1, 0.5, 0.9] {
            let (found, rank_error) = whole.estimate(q).unwrap();
            let (expected, _) = exact.estimate(q).unwrap();
            assert!(rank_error > 0.0 && rank_error < 0.02, "{rank_error}");
            assert!((found.value / expected.value - 1.0).abs() < 0.01, "{found:?} {expected:?}");
            let (se, expected) = (found.se.unwrap(), expected.se.unwrap());
            assert!(se > 0.7 * expected && se < 1.5 * expected, "{se} {expected}");
            for split in [0, 1, 300, 700, 1999, 2000] {
                let mut parts = filled(&units[..split], budget);
                parts.merge(filled(&units[split..], budget));
                assert_eq!(parts.estimate(q), whole.estimate(q), "split at {split}");
            }
        }
    }
}
