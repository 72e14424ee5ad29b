//! Sufficient statistics of every experiment × variant × metric, and how partitions add up.

use std::collections::BTreeSet;

use super::days::DayCounts;
use super::questions::{ExperimentQuestion, KindQuestion, MetricQuestion, Questions};
use super::values::{Budget, ValueTally};
use crate::stats::{CoMoments, Moments, Successes};

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
    /// Units by the day of their first exposure and by variant.
    pub days: DayCounts,
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
pub struct MetricTally {
    /// Of all units.
    pub all: Totals,
    /// Of the units whose window has closed; none for a metric without a window, and for quantiles.
    pub settled: Option<Totals>,
    /// With what was known of the units before; none for metrics without a covariate.
    pub history: Option<History>,
}

/// Sufficient statistics of a metric over some units.
#[derive(Debug, Clone)]
pub enum Totals {
    /// Units with the event.
    Proportion(Successes),
    /// Units that reached each step of a funnel.
    Funnel(Vec<Successes>),
    /// The units' numbers.
    Mean(Moments),
    /// The units' numerators (y) and denominators (x).
    Ratio(Box<CoMoments>),
    /// All event values.
    Quantile(Box<ValueTally>),
}

/// A metric's numbers with the same numbers before exposure.
#[derive(Debug, Clone, Copy, Default)]
pub struct History {
    /// Units that had events before: the metric (y) and the covariate (x).
    pub known: CoMoments,
    /// The metric of units of which nothing was known.
    pub unknown: Moments,
}

impl Tally {
    /// Adds what another partition found.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (mine, theirs) in self.experiments.iter_mut().zip(other.experiments) {
            mine.excluded_multiple_variants += theirs.excluded_multiple_variants;
            mine.unknown_variant_exposures += theirs.unknown_variant_exposures;
            mine.generations.extend(theirs.generations);
            mine.days.merge(&theirs.days);
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
    fn new(metric: &MetricQuestion, lookback: i64, budget: Budget) -> Self {
        let totals = || match &metric.kind {
            KindQuestion::Proportion(_) | KindQuestion::Retention(..) => {
                Totals::Proportion(Successes::default())
            }
            KindQuestion::Funnel(steps) => Totals::Funnel(vec![Successes::default(); steps.len()]),
            KindQuestion::Mean(_) | KindQuestion::Count(_) => Totals::Mean(Moments::EMPTY),
            KindQuestion::Ratio { .. } => Totals::Ratio(Box::default()),
            KindQuestion::Quantile(_) => Totals::Quantile(Box::new(ValueTally::new(budget))),
        };
        let is_quantile = matches!(metric.kind, KindQuestion::Quantile(_));
        Self {
            all: totals(),
            settled: (metric.window.is_some() && !is_quantile).then(totals),
            history: (lookback > 0 && metric.has_covariate()).then(History::default),
        }
    }

    fn merge(&mut self, other: Self) {
        self.all.merge(other.all);
        if let (Some(mine), Some(theirs)) = (&mut self.settled, other.settled) {
            mine.merge(theirs);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.history, other.history) {
            mine.known = mine.known.merge(theirs.known);
            mine.unknown = mine.unknown.merge(theirs.unknown);
        }
    }
}

impl Totals {
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Proportion(mine), Self::Proportion(theirs)) => *mine = mine.merge(theirs),
            (Self::Funnel(mine), Self::Funnel(theirs)) => {
                for (mine, theirs) in mine.iter_mut().zip(theirs) {
                    *mine = mine.merge(theirs);
                }
            }
            (Self::Mean(mine), Self::Mean(theirs)) => *mine = mine.merge(theirs),
            (Self::Ratio(mine), Self::Ratio(theirs)) => **mine = mine.merge(*theirs),
            (Self::Quantile(mine), Self::Quantile(theirs)) => mine.merge(*theirs),
            // Both come from the same questions, so their kinds agree.
            _ => {}
        }
    }

    /// Adds the rows of a block, of which the metric's numbers begin at column `first`.
    fn add(&mut self, rows: Rows<'_>, first: usize, keep: Option<usize>) {
        let successes = |index: usize| {
            let (y, n) = rows.column(index, keep);
            let successes = y[..n].iter().filter(|y| **y != 0.0).count();
            Successes { n: n as u64, successes: successes as u64 }
        };
        match self {
            Self::Proportion(total) => *total = total.merge(successes(first)),
            Self::Funnel(steps) => {
                for (step, total) in steps.iter_mut().enumerate() {
                    *total = total.merge(successes(first + step));
                }
            }
            Self::Mean(total) => {
                let (y, n) = rows.column(first, keep);
                *total = total.merge(Moments::of(&y[..n]));
            }
            Self::Ratio(total) => {
                let ((y, n), (d, _)) = (rows.column(first, keep), rows.column(first + 1, keep));
                **total = total.merge(CoMoments::of(&y[..n], &d[..n]));
            }
            Self::Quantile(_) => {}
        }
    }
}

/// A tally while it is being filled.
pub(super) struct OpenTally {
    pub(super) experiments: Vec<OpenExperiment>,
    pub(super) non_finite_values: u64,
}

pub(super) struct OpenExperiment {
    pub(super) variants: Vec<OpenVariant>,
    pub(super) excluded_multiple_variants: u64,
    pub(super) unknown_variant_exposures: u64,
    days: DayCounts,
    generations: BTreeSet<u64>,
    last_generation: Option<i64>,
}

/// One variant of a tally that is being filled: units gather in a block of rows, one number for each
/// column, and are reduced a block at a time. A row is one or two cache lines, however many metrics
/// there are; a reduction costs one division for many units.
pub(super) struct OpenVariant {
    pub(super) n: u64,
    layouts: Vec<Layout>,
    /// Units without events before their exposure.
    fresh: Block,
    /// Units with: their rows hold covariates, too.
    known: Block,
    metrics: Vec<MetricTally>,
}

/// The columns of one metric in a row: its numbers, whether its window has closed (for a metric with
/// a window), its covariate (for a unit with a history).
#[derive(Clone, Copy)]
struct Layout {
    numbers: usize,
    windowed: bool,
    covariate: bool,
}

/// Units of a block.
const BLOCK_UNITS: usize = 32;

struct Block {
    columns: usize,
    numbers: Vec<f64>,
}

/// The rows of a block.
#[derive(Clone, Copy)]
struct Rows<'b> {
    columns: usize,
    numbers: &'b [f64],
}

impl Rows<'_> {
    /// One column, of the rows that are not zero in the column `keep`.
    fn column(self, index: usize, keep: Option<usize>) -> ([f64; BLOCK_UNITS], usize) {
        let mut values = [0.0; BLOCK_UNITS];
        let rows = self.numbers.chunks_exact(self.columns);
        let Some(keep) = keep else {
            for (value, row) in values.iter_mut().zip(rows) {
                *value = row[index];
            }
            return (values, self.numbers.len() / self.columns);
        };
        let mut n = 0;
        for row in rows.take(BLOCK_UNITS).filter(|row| row[keep] != 0.0) {
            values[n] = row[index];
            n += 1;
        }
        (values, n)
    }
}

impl OpenTally {
    pub(super) fn new(questions: &Questions) -> Self {
        let budget = Budget::of(questions);
        let experiments = questions
            .experiments
            .iter()
            .map(|question| OpenExperiment::new(question, budget))
            .collect();
        Self { experiments, non_finite_values: 0 }
    }

    /// Adds one unit's values of a quantile metric.
    pub(super) fn add_values(
        &mut self,
        experiment: usize,
        variant: usize,
        metric: usize,
        values: impl Iterator<Item = f64>,
    ) {
        let cell = &mut self.experiments[experiment].variants[variant].metrics[metric];
        if let Totals::Quantile(total) = &mut cell.all {
            total.add_unit(values);
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
    fn new(question: &ExperimentQuestion, budget: Budget) -> Self {
        let variants =
            question.variants.iter().map(|_| OpenVariant::new(question, budget)).collect();
        Self {
            variants,
            excluded_multiple_variants: 0,
            unknown_variant_exposures: 0,
            days: DayCounts::new(question.variants.len()),
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

    /// Notes the first exposure of a unit.
    #[inline]
    pub(super) fn note_day(&mut self, variant: usize, first_ts: i64) {
        self.days.add(first_ts, variant);
    }

    fn close(self) -> ExperimentTally {
        ExperimentTally {
            variants: self.variants.into_iter().map(OpenVariant::close).collect(),
            days: self.days,
            excluded_multiple_variants: self.excluded_multiple_variants,
            unknown_variant_exposures: self.unknown_variant_exposures,
            generations: self.generations,
        }
    }
}

impl OpenVariant {
    fn new(question: &ExperimentQuestion, budget: Budget) -> Self {
        let layouts: Vec<Layout> = question
            .metrics
            .iter()
            .map(|metric| Layout {
                numbers: metric.kind.columns(),
                windowed: metric.window.is_some(),
                covariate: metric.has_covariate(),
            })
            .collect();
        let metric = |metric| MetricTally::new(metric, question.lookback, budget);
        Self {
            n: 0,
            fresh: Block::new(&layouts, false),
            known: Block::new(&layouts, true),
            layouts,
            metrics: question.metrics.iter().map(metric).collect(),
        }
    }

    /// Adds one unit, with its numbers in the order of the columns.
    #[inline]
    pub(super) fn add(&mut self, numbers: &[f64], has_history: bool) {
        self.n += 1;
        let block = if has_history { &mut self.known } else { &mut self.fresh };
        block.numbers.extend_from_slice(numbers);
        if block.numbers.len() >= block.columns * BLOCK_UNITS {
            self.reduce(has_history);
        }
    }

    fn reduce(&mut self, has_history: bool) {
        let block = if has_history { &mut self.known } else { &mut self.fresh };
        if block.columns == 0 || block.numbers.is_empty() {
            return;
        }
        let rows = Rows { columns: block.columns, numbers: &block.numbers };
        let mut first = 0;
        for (metric, layout) in self.metrics.iter_mut().zip(&self.layouts) {
            let flag = first + layout.numbers;
            let covariate = flag + usize::from(layout.windowed);
            if let Some(settled) = &mut metric.settled {
                settled.add(rows, first, Some(flag));
            }
            if let Some(history) = &mut metric.history {
                let (y, n) = rows.column(first, None);
                let of_block = if has_history {
                    let (x, _) = rows.column(covariate, None);
                    let block = CoMoments::of(&y[..n], &x[..n]);
                    history.known = history.known.merge(block);
                    *block.y()
                } else {
                    let block = Moments::of(&y[..n]);
                    history.unknown = history.unknown.merge(block);
                    block
                };
                match &mut metric.all {
                    Totals::Mean(total) => *total = total.merge(of_block),
                    total => total.add(rows, first, None),
                }
            } else {
                metric.all.add(rows, first, None);
            }
            first = covariate + usize::from(has_history && layout.covariate);
        }
        block.numbers.clear();
    }

    fn close(mut self) -> VariantTally {
        self.reduce(false);
        self.reduce(true);
        for metric in &mut self.metrics {
            if let Totals::Quantile(total) = &mut metric.all {
                total.close();
            }
        }
        VariantTally { n: self.n, metrics: self.metrics }
    }
}

impl Block {
    fn new(layouts: &[Layout], has_history: bool) -> Self {
        let columns = layouts
            .iter()
            .map(|layout| {
                layout.numbers
                    + usize::from(layout.windowed)
                    + usize::from(has_history && layout.covariate)
            })
            .sum();
        Self { columns, numbers: Vec::new() }
    }
}
