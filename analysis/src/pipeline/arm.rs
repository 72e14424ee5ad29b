//! One variant's sufficient statistics of a metric, ready to be compared.

use super::tally::{ExperimentTally, Totals};
use crate::methods::quantile::QuantileEstimate;
use crate::methods::ratio;
use crate::plan::{MetricKind, PlannedMetric};
use crate::stats::{CoMoments, Moments, Successes};

/// One variant of a metric.
#[derive(Clone, Copy)]
pub(super) enum Arm<'t> {
    Proportion(Successes),
    Mean(&'t Moments),
    Ratio(&'t CoMoments),
    /// With its rank error; none without an event.
    Quantile(Option<(QuantileEstimate, f64)>),
}

/// All variants of a metric, in plan order: of all units, and of those whose window has closed.
pub(super) struct Arms<'t> {
    pub(super) all: Vec<Arm<'t>>,
    /// None for a metric without a window.
    pub(super) settled: Option<Vec<Arm<'t>>>,
}

impl<'t> Arms<'t> {
    /// The arms of the metric at an index of the plan.
    pub(super) fn of(found: &'t ExperimentTally, index: usize, metric: &PlannedMetric) -> Self {
        let tallies = || found.variants.iter().map(|variant| &variant.metrics[index]);
        let settled = tallies()
            .map(|tally| tally.settled.as_ref().map(|totals| Arm::of(totals, &metric.kind)))
            .collect();
        Self { all: tallies().map(|tally| Arm::of(&tally.all, &metric.kind)).collect(), settled }
    }
}

impl<'t> Arm<'t> {
    fn of(totals: &'t Totals, kind: &MetricKind) -> Self {
        match totals {
            Totals::Proportion(successes) => Arm::Proportion(*successes),
            Totals::Funnel(steps) => Arm::Proportion(steps.last().copied().unwrap_or_default()),
            Totals::Mean(moments) => Arm::Mean(moments),
            Totals::Ratio(moments) => Arm::Ratio(moments),
            Totals::Quantile(values) => Arm::Quantile(match kind {
                MetricKind::Quantile { quantile, .. } => values.estimate(*quantile),
                _ => None,
            }),
        }
    }

    /// Value and standard deviation of one unit's number.
    pub(super) fn describe(self) -> (Option<f64>, Option<f64>) {
        let root = |variance: Option<f64>| variance.map(f64::sqrt);
        let (value, std_dev) = match self {
            Self::Proportion(arm) => (arm.share(), root(arm.variance())),
            Self::Mean(moments) => {
                ((moments.n() > 0).then(|| moments.mean()), root(moments.variance()))
            }
            Self::Ratio(arm) => {
                let (y, d) = (arm.y().mean(), arm.x().mean());
                let spread =
                    ratio::linearise(arm).ok().and_then(|linear| linear.moments.variance());
                ((d != 0.0).then(|| y / d), root(spread))
            }
            Self::Quantile(found) => (found.map(|(estimate, _)| estimate.value), None),
        };
        (value.filter(|value| value.is_finite()), std_dev.filter(|value| value.is_finite()))
    }

    /// Count, mean and moments of the number that a test of means compares; none for quantiles, and
    /// where a ratio is undefined.
    pub(super) fn moments(self) -> Option<Moments> {
        match self {
            Self::Proportion(arm) => {
                let ones = Moments::from_summary(arm.successes, 1.0, 0.0).unwrap_or_default();
                Some(Moments::of_zeros(arm.failures()).merge(ones))
            }
            Self::Mean(moments) => Some(*moments),
            Self::Ratio(arm) => ratio::linearise(arm).ok().map(|linear| linear.moments),
            Self::Quantile(_) => None,
        }
    }
}
