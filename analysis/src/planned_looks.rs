//! Group-sequential looks of an experiment: when one is due, and what the looks taken so far say.
//!
//! A look is taken once, by the first analysis that finds its information rate reached; what it found
//! is kept by whoever keeps the looks, because later analyses see more. Boundaries follow from the
//! rates at which looks were really taken, by alpha spending, so that a look may come late.

use crate::methods::group_sequential::futility::futility;
use crate::methods::group_sequential::stopping::{repeated_interval, stagewise_p};
use crate::methods::group_sequential::{SAME_LOOK, Sides, Spending, cached_bounds};
use crate::methods::{Alpha, MethodError, normal};
use crate::plan::{Direction, GroupSequentialPlan, PlannedExperiment, SpendingFunction};
use crate::report::{
    Comparison, GroupSequentialReport, GroupSequentialVerdict, LookBoundary, TakenLook,
};

/// Slack of "reached": one unit too few because of rounding is no reason to wait.
const REACHED: f64 = 1e-9;

/// The state of a comparison's looks, without those that were taken; none when none are planned, or no
/// sample is.
///
/// `comparisons` of primary metrics × treatments share alpha equally.
pub fn state(
    experiment: &PlannedExperiment,
    counts: &[u64],
    treatment: usize,
    comparisons: usize,
    comparison: &Comparison,
) -> Option<GroupSequentialReport> {
    let plan = experiment.group_sequential.as_ref()?;
    let required = experiment.required_units_per_variant.as_ref()?;
    let information = |of: &dyn Fn(usize) -> Option<f64>| {
        let (c, t) = (of(experiment.control())?, of(treatment)?);
        (c > 0.0 && t > 0.0).then(|| 1.0 / (1.0 / c + 1.0 / t))
    };
    let planned = information(&|index| {
        let name = &experiment.variants.get(index)?.variant;
        required.get(name).map(|units| *units as f64)
    })?;
    let now = information(&|index| counts.get(index).map(|units| *units as f64)).unwrap_or(0.0);
    let rate = now / planned;
    let due = plan.rates.iter().filter(|planned| rate >= **planned - REACHED).count();
    Some(GroupSequentialReport {
        information_rate: rate,
        looks_due: u32::try_from(due).unwrap_or(u32::MAX),
        alpha: experiment.alpha / comparisons.max(1) as f64,
        statistic: statistic(comparison),
        looks: Vec::new(),
        boundaries: Vec::new(),
        ci: None,
        p_value: None,
        verdict: GroupSequentialVerdict::Continue,
    })
}

/// The standard normal number that is as improbable as the comparison's statistic.
fn statistic(comparison: &Comparison) -> Option<f64> {
    let z = normal::isf(comparison.p_value? / 2.0);
    let effect = comparison.effect?;
    z.is_finite().then_some(if effect < 0.0 { -z } else { z })
}

/// The look that an analysis takes, if one is due; `taken` is the number of the last that was.
pub fn due_look(comparison: &Comparison, taken: u32, as_of: jiff::Timestamp) -> Option<TakenLook> {
    let state = comparison.group_sequential.as_ref()?;
    let (statistic, effect, se) = (state.statistic?, comparison.effect?, comparison.se?);
    // Looks that were missed are not made up for: one analysis is one look.
    (state.looks_due > taken).then_some(TakenLook {
        planned: state.looks_due,
        as_of,
        information_rate: state.information_rate,
        statistic,
        effect,
        se,
    })
}

/// Fills in what the looks that were taken say.
pub fn judge(
    state: &mut GroupSequentialReport,
    plan: &GroupSequentialPlan,
    power: f64,
    direction: Direction,
    taken: Vec<TakenLook>,
) {
    state.looks = taken;
    if let Err(error) = fill(state, plan, power, direction) {
        tracing::debug!(error = error.code(), "looks without boundaries");
        state.boundaries.clear();
    }
}

fn fill(
    state: &mut GroupSequentialReport,
    plan: &GroupSequentialPlan,
    power: f64,
    direction: Direction,
) -> Result<(), MethodError> {
    let alpha = Alpha::try_new(state.alpha).ok_or(MethodError::Degenerate)?;
    let mut rates: Vec<f64> = state.looks.iter().map(|look| look.information_rate).collect();
    let n_taken = rates.len();
    let seen = state.looks.last().map_or(0, |look| look.planned as usize);
    let last = rates.last().copied().unwrap_or(0.0);
    let ahead = plan.rates.iter().skip(seen).copied();
    rates.extend(ahead.filter(|rate| *rate > last + SAME_LOOK));
    let spending = match plan.spending {
        SpendingFunction::ObrienFleming => Spending::OBrienFleming,
        SpendingFunction::Pocock => Spending::Pocock,
    };
    let found = cached_bounds(&rates, alpha, Sides::Two, spending)?;
    let ends = rates.last().is_some_and(|rate| *rate >= 1.0 - SAME_LOOK);
    let lower = (plan.futility && ends)
        .then(|| futility(&rates, &found.bounds, Spending::OBrienFleming, 1.0 - power).ok())
        .flatten();
    state.boundaries = rates
        .iter()
        .enumerate()
        .map(|(k, rate)| LookBoundary {
            information_rate: *rate,
            efficacy: Some(found.bounds[k]).filter(|bound| bound.is_finite()),
            futility: lower.as_ref().map(|lower| lower.bounds[k]).filter(|a| a.is_finite()),
            nominal_p: found.nominal_p[k],
            cumulative_alpha: found.cumulative_alpha[k],
        })
        .collect();
    state.verdict = GroupSequentialVerdict::Continue;
    let mut decided = None;
    for (k, look) in state.looks.iter().enumerate() {
        let good = match direction {
            Direction::Increase => look.statistic,
            Direction::Decrease => -look.statistic,
        };
        let is_last = look.information_rate >= 1.0 - REACHED;
        let below = lower.as_ref().is_some_and(|lower| good <= lower.bounds[k]);
        state.verdict = if look.statistic.abs() >= found.bounds[k] {
            GroupSequentialVerdict::Efficacy
        } else if is_last {
            GroupSequentialVerdict::NotSignificant
        } else if below {
            // Advice only: a later look may still find the effect.
            GroupSequentialVerdict::Futility
        } else {
            GroupSequentialVerdict::Continue
        };
        if state.verdict == GroupSequentialVerdict::Efficacy || is_last {
            decided = Some(k);
            break;
        }
    }
    let Some(k) = decided.or(n_taken.checked_sub(1)) else { return Ok(()) };
    let look = &state.looks[k];
    let interval = repeated_interval(look.effect, look.se, found.bounds[k], Sides::Two);
    state.ci = interval.finite();
    if decided.is_some() {
        state.p_value =
            stagewise_p(&rates[..=k], &found.bounds[..=k], look.statistic, Sides::Two).ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn plan(futility: bool) -> GroupSequentialPlan {
        let rates = vec![0.2, 0.4, 0.6, 0.8, 1.0];
        GroupSequentialPlan { rates, spending: SpendingFunction::ObrienFleming, futility }
    }

    fn judged(statistics: &[(f64, f64)], futility: bool) -> GroupSequentialReport {
        let mut state = GroupSequentialReport {
            information_rate: 0.0,
            looks_due: 0,
            alpha: 0.05,
            statistic: None,
            looks: Vec::new(),
            boundaries: Vec::new(),
            ci: None,
            p_value: None,
            verdict: GroupSequentialVerdict::Continue,
        };
        let looks = (1_u32..).zip(statistics).map(|(planned, (rate, z))| TakenLook {
            planned,
            as_of: Timestamp::UNIX_EPOCH,
            information_rate: *rate,
            statistic: *z,
            effect: *z,
            se: 1.0,
        });
        judge(&mut state, &plan(futility), 0.8, Direction::Increase, looks.collect());
        state
    }

    #[test]
    fn looks_on_time_have_the_published_boundaries() {
        let state = judged(&[(0.2, 1.0), (0.4, 1.0)], false);
        let published = [4.876_885, 3.357_012, 2.680_280, 2.289_817, 2.031_032];
        assert_eq!(state.boundaries.len(), 5);
        for (found, expected) in state.boundaries.iter().zip(published) {
            assert!((found.efficacy.unwrap() - expected).abs() < 1e-6, "{found:?}");
        }
        assert_eq!(state.verdict, GroupSequentialVerdict::Continue);
        assert_eq!(state.p_value, None);
    }

    #[test]
    fn a_crossing_decides_and_later_looks_do_not_undo_it() {
        let state = judged(&[(0.2, 1.0), (0.4, 3.5), (0.6, 1.0)], true);
        assert_eq!(state.verdict, GroupSequentialVerdict::Efficacy);
        let p = state.p_value.unwrap();
        assert!(p < 0.001, "{p}");
        let [lo, hi] = state.ci.unwrap();
        assert!(lo > 0.0 && hi > 3.5);
    }

    #[test]
    fn a_hopeless_look_advises_to_give_up_and_the_last_one_concludes() {
        assert_eq!(judged(&[(0.6, -1.0)], true).verdict, GroupSequentialVerdict::Futility);
        assert_eq!(judged(&[(0.6, -1.0)], false).verdict, GroupSequentialVerdict::Continue);
        let state = judged(&[(0.5, 1.0), (1.02, 1.9)], true);
        assert_eq!(state.verdict, GroupSequentialVerdict::NotSignificant);
        assert!(state.p_value.unwrap() > 0.05);
    }

    #[test]
    fn before_any_look_the_boundaries_are_planned() {
        let state = judged(&[], true);
        assert_eq!(state.boundaries.len(), 5);
        assert!(state.boundaries[4].futility.is_some());
        assert_eq!(state.ci, None);
    }
}
