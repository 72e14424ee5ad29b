//! Sufficient statistics of every experiment × variant × metric, and how partitions add up.

use std::collections::BTreeSet;

use super::questions::{ExperimentQuestion, KindQuestion, Questions};
use crate::stats::{CoMoments, Moments, Successes};

/// Values of quantile metrics that one scan keeps; beyond it they are not computed. 8 bytes each.
pub(super) const MAX_QUANTILE_VALUES: usize = 8_000_000;

/// What a scan found, in the order of the questions.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// One for each experiment.
    pub experiments: Vec<ExperimentTally>,
    /// Metric events whose value was no finite number; they count as events without a value.
    pub non_finite_values: u64,
}

/// What a scan found of one experiment.
#[derive(Debug, Clone, Default)]
pub struct ExperimentTally {
    /// One for each variant, in plan order.
    pub variants: Vec<VariantTally>,
    /// Units seen in more than one variant.
    pub excluded_multiple_variants: u64,
    /// Exposures to a variant that the plan does not know.
    pub unknown_variant_exposures: u64,
    /// Config generations of the counted exposures.
    pub generations: BTreeSet<u64>,
}

/// What a scan found of one variant.
#[derive(Debug, Clone, Default)]
pub struct VariantTally {
    /// Units.
    pub n: u64,
    /// One for each metric, in plan order.
    pub metrics: Vec<MetricTally>,
}

/// Sufficient statistics of one metric in one variant.
#[derive(Debug, Clone)]
pub enum MetricTally {
    /// Units with the event.
    Proportion(Successes),
    /// The units' sums.
    Mean(Moments),
    /// The units' numerators (y) and denominators (x).
    Ratio(Box<CoMoments>),
    /// All event values, unit by unit; none when there were too many to keep.
    Quantile(Option<UnitValues>),
}

/// Event values grouped by unit.
#[derive(Debug, Clone, Default)]
pub struct UnitValues {
    /// The values of one unit after those of another.
    pub values: Vec<f64>,
    /// Where each unit with values ends in `values`.
    pub ends: Vec<u32>,
}

impl Tally {
    /// Adds what another partition found.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (mine, theirs) in self.experiments.iter_mut().zip(other.experiments) {
            mine.excluded_multiple_variants += theirs.excluded_multiple_variants;
            mine.unknown_variant_exposures += theirs.unknown_variant_exposures;
            mine.generations.extend(theirs.generations);
            for (mine, theirs) in mine.variants.iter_mut().zip(theirs.variants) {
                mine.n += theirs.n;
                for (mine, theirs) in mine.metrics.iter_mut().zip(theirs.metrics) {
                    mine.merge(theirs);
                }
            }
        }
        self.non_finite_values += other.non_finite_values;
        self
    }
}

impl MetricTally {
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Proportion(mine), Self::Proportion(theirs)) => *mine = mine.merge(theirs),
            (Self::Mean(mine), Self::Mean(theirs)) => *mine = mine.merge(theirs),
            (Self::Ratio(mine), Self::Ratio(theirs)) => **mine = mine.merge(*theirs),
            (Self::Quantile(mine), Self::Quantile(theirs)) => {
                *mine = match (mine.take(), theirs) {
                    (Some(mine), Some(theirs)) => mine.append(theirs),
                    _ => None,
                };
            }
            // Both come from the same questions, so their kinds agree.
            _ => {}
        }
    }
}

impl UnitValues {
    fn append(mut self, other: Self) -> Option<Self> {
        if self.values.len() + other.values.len() > MAX_QUANTILE_VALUES {
            return None;
        }
        let offset = u32::try_from(self.values.len()).ok()?;
        self.values.extend(other.values);
        self.ends.extend(other.ends.iter().map(|end| end + offset));
        Some(self)
    }
}

/// A tally while it is being filled.
pub(super) struct OpenTally {
    pub(super) experiments: Vec<OpenExperiment>,
    pub(super) non_finite_values: u64,
    quantile_values: usize,
}

pub(super) struct OpenExperiment {
    pub(super) variants: Vec<OpenVariant>,
    pub(super) excluded_multiple_variants: u64,
    pub(super) unknown_variant_exposures: u64,
    generations: BTreeSet<u64>,
    last_generation: Option<i64>,
}

/// One variant of a tally that is being filled: units gather in a block of rows, one number for each
/// column, and are reduced a block at a time. A row is one or two cache lines, however many metrics
/// there are; a reduction costs one division for many units.
pub(super) struct OpenVariant {
    pub(super) n: u64,
    columns: usize,
    block: Vec<f64>,
    metrics: Vec<MetricTally>,
}

/// Units of a block.
const BLOCK_UNITS: usize = 32;

impl OpenTally {
    pub(super) fn new(questions: &Questions) -> Self {
        let experiments = questions.experiments.iter().map(OpenExperiment::new).collect();
        Self { experiments, non_finite_values: 0, quantile_values: 0 }
    }

    /// Adds one unit's values of a quantile metric, unless too many are kept already.
    pub(super) fn add_values(
        &mut self,
        experiment: usize,
        variant: usize,
        metric: usize,
        values: impl Iterator<Item = f64>,
    ) {
        let cell = &mut self.experiments[experiment].variants[variant].metrics[metric];
        let MetricTally::Quantile(cell) = cell else { return };
        let Some(kept) = cell else { return };
        let before = kept.values.len();
        kept.values.extend(values);
        self.quantile_values += kept.values.len() - before;
        if self.quantile_values > MAX_QUANTILE_VALUES {
            self.quantile_values -= kept.values.len();
            *cell = None;
            return;
        }
        if kept.values.len() > before {
            // Within the limit above, so within 32 bits.
            kept.ends.push(u32::try_from(kept.values.len()).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn close(self) -> Tally {
        Tally {
            experiments: self.experiments.into_iter().map(OpenExperiment::close).collect(),
            non_finite_values: self.non_finite_values,
        }
    }
}

impl OpenExperiment {
    fn new(question: &ExperimentQuestion) -> Self {
        let variants = question.variants.iter().map(|_| OpenVariant::new(question)).collect();
        Self {
            variants,
            excluded_multiple_variants: 0,
            unknown_variant_exposures: 0,
            generations: BTreeSet::new(),
            last_generation: None,
        }
    }

    /// Notes the generation of a counted exposure; neighbours mostly share it.
    #[inline]
    pub(super) fn note_generation(&mut self, generation: Option<i64>) {
        if generation != self.last_generation {
            self.last_generation = generation;
            self.generations.extend(generation.and_then(|number| u64::try_from(number).ok()));
        }
    }

    fn close(self) -> ExperimentTally {
        ExperimentTally {
            variants: self.variants.into_iter().map(OpenVariant::close).collect(),
            excluded_multiple_variants: self.excluded_multiple_variants,
            unknown_variant_exposures: self.unknown_variant_exposures,
            generations: self.generations,
        }
    }
}

impl OpenVariant {
    fn new(question: &ExperimentQuestion) -> Self {
        let columns = question.metrics.iter().map(|metric| metric.kind.columns()).sum::<usize>();
        let metrics = question
            .metrics
            .iter()
            .map(|metric| match metric.kind {
                KindQuestion::Proportion(_) => MetricTally::Proportion(Successes::default()),
                KindQuestion::Mean(_) => MetricTally::Mean(Moments::EMPTY),
                KindQuestion::Ratio { .. } => MetricTally::Ratio(Box::default()),
                KindQuestion::Quantile(_) => MetricTally::Quantile(Some(UnitValues::default())),
            })
            .collect();
        Self { n: 0, columns, block: Vec::new(), metrics }
    }

    /// Adds one unit, with its numbers in the order of the columns.
    #[inline]
    pub(super) fn add(&mut self, numbers: &[f64]) {
        self.n += 1;
        self.block.extend_from_slice(numbers);
        if self.block.len() >= self.columns * BLOCK_UNITS {
            self.reduce();
        }
    }

    fn reduce(&mut self) {
        if self.columns == 0 {
            return;
        }
        let units = self.block.len() / self.columns;
        let column = |index: usize| {
            let mut values = [0.0; BLOCK_UNITS];
            for (value, row) in values.iter_mut().zip(self.block.chunks_exact(self.columns)) {
                *value = row[index];
            }
            values
        };
        let mut first = 0;
        for metric in &mut self.metrics {
            match metric {
                MetricTally::Proportion(total) => {
                    let successes = column(first)[..units].iter().filter(|y| **y != 0.0).count();
                    let block = Successes { n: units as u64, successes: successes as u64 };
                    *total = total.merge(block);
                    first += 1;
                }
                MetricTally::Mean(total) => {
                    *total = total.merge(Moments::of(&column(first)[..units]));
                    first += 1;
                }
                MetricTally::Ratio(total) => {
                    let (y, d) = (column(first), column(first + 1));
                    **total = total.merge(CoMoments::of(&y[..units], &d[..units]));
                    first += 2;
                }
                MetricTally::Quantile(_) => {}
            }
        }
        self.block.clear();
    }

    fn close(mut self) -> VariantTally {
        self.reduce();
        VariantTally { n: self.n, metrics: self.metrics }
    }
}
