//! What simulated experiments came to, counted.

use super::scenario::Scenario;
use super::world::{POWER, looks};
use crate::plan::Direction;
use crate::planned_looks::{due_look, judge};
use crate::report::{
    Comparison, GroupSequentialReport, GuardrailVerdict, Report, TakenLook, Verdict,
};
use crate::stats::Moments;

/// Counts over some runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) runs: u64,
    /// Runs with a sample-ratio alarm at any look, and with a fixed-horizon p < 0.01 at the end.
    pub(super) srm_alarms: u64,
    pub(super) srm_fixed: u64,
    /// Runs in which a corrected verdict found an effect where there is none: at the horizon, at any
    /// look.
    pub(super) any_false: u64,
    pub(super) any_false_sequential: u64,
    /// Share of false ones among what was found at the horizon; 0 where nothing was found.
    pub(super) false_share: Moments,
    /// One for each metric and treatment, metric by metric.
    pub(super) cells: Vec<Cell>,
}

/// Counts of one comparison.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    /// Runs in which the fixed-horizon test had an answer.
    pub(super) tested: u64,
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) corrected: u64,
    /// Runs with an uncorrected fixed-horizon p < alpha at any look.
    pub(super) peeked: u64,
    pub(super) covered: u64,
    pub(super) lift_bounded: u64,
    pub(super) lift_covered: u64,
    pub(super) effect: Moments,
    /// Runs in which a look was past the gate.
    pub(super) decidable: u64,
    /// Runs whose intervals of all looks past the gate cover the effect.
    pub(super) always_covered: u64,
    /// Runs by the look at which the always-valid test first rejected.
    pub(super) stopped: Vec<u64>,
    pub(super) sequential_corrected: u64,
    pub(super) alerted: u64,
    /// Runs by the look at which the guardrail first asked for a pause.
    pub(super) paused: Vec<u64>,
    pub(super) adjusted: u64,
    pub(super) adjusted_rejected: u64,
    pub(super) adjusted_covered: u64,
    pub(super) adjusted_sequential: u64,
    pub(super) adjusted_effect: Moments,
    /// Runs by the look at which the group-sequential test first crossed its boundary.
    pub(super) crossed: Vec<u64>,
    /// Runs in which a look advised to give up before that.
    pub(super) futile: u64,
}

/// One run while it is watched.
pub(super) struct Watch<'s> {
    scenario: &'s Scenario,
    outcome: Outcome,
    srm_alarm: bool,
    cells: Vec<CellWatch>,
}

/// What the looks of one comparison have shown so far.
#[expect(clippy::struct_excessive_bools, reason = "each notes whether one thing was ever seen")]
#[derive(Clone, Default)]
struct CellWatch {
    peeked: bool,
    decidable: bool,
    missed: bool,
    stopped: Option<usize>,
    corrected: bool,
    alerted: bool,
    paused: Option<usize>,
    adjusted: bool,
    /// Planned looks, with the index of each.
    taken: Vec<(usize, TakenLook)>,
    /// The last state of the group-sequential test.
    state: Option<GroupSequentialReport>,
}

impl<'s> Watch<'s> {
    pub(super) fn new(scenario: &'s Scenario, n_looks: usize) -> Self {
        let n = scenario.metrics as usize * scenario.lifts.len();
        let none = || vec![0; n_looks];
        let cell = Cell { stopped: none(), paused: none(), crossed: none(), ..Cell::default() };
        Self {
            scenario,
            outcome: Outcome { runs: 1, cells: vec![cell; n], ..Outcome::default() },
            srm_alarm: false,
            cells: vec![CellWatch::default(); n],
        }
    }

    /// Takes the report of a look; `last` is that at the horizon.
    pub(super) fn look(&mut self, index: usize, last: bool, report: &Report) {
        if let Some(srm) = &report.srm {
            self.srm_alarm |= !srm.passed;
            if last {
                self.outcome.srm_fixed += u64::from(srm.p_value.is_some_and(|p| p < 0.01));
            }
        }
        let (mut found, mut wrong) = (0_u32, 0_u32);
        let comparisons = report.metrics.iter().enumerate().flat_map(|(m, metric)| {
            let compared = metric.variants.iter().filter_map(|v| v.comparison.as_ref());
            compared.enumerate().map(move |(t, comparison)| (m, t, comparison))
        });
        for ((place, (m, t, comparison)), (cell, watch)) in
            comparisons.enumerate().zip(self.outcome.cells.iter_mut().zip(&mut self.cells))
        {
            debug_assert_eq!(place, m * self.scenario.lifts.len() + t);
            let truth = self.scenario.effect(m, t);
            watch.look(index, self.scenario.alpha, truth, comparison);
            if last {
                cell.end(self.scenario, truth, comparison);
                let is_found = comparison.verdict == Verdict::Significant;
                found += u32::from(is_found);
                wrong += u32::from(is_found && truth.is_none());
            }
        }
        if last {
            self.outcome.any_false += u64::from(wrong > 0);
            self.outcome.false_share.add(f64::from(wrong) / f64::from(found.max(1)));
        }
    }

    pub(super) fn close(mut self) -> Outcome {
        self.outcome.srm_alarms += u64::from(self.srm_alarm);
        let treatments = self.scenario.lifts.len();
        let mut any = false;
        for (place, (cell, watch)) in self.outcome.cells.iter_mut().zip(&self.cells).enumerate() {
            let truth = self.scenario.effect(place / treatments, place % treatments);
            any |= watch.corrected && truth.is_none();
            cell.peeked += u64::from(watch.peeked);
            cell.decidable += u64::from(watch.decidable);
            cell.always_covered += u64::from(watch.decidable && !watch.missed);
            cell.sequential_corrected += u64::from(watch.corrected);
            cell.alerted += u64::from(watch.alerted);
            cell.adjusted_sequential += u64::from(watch.adjusted);
            let mut count = |counts: fn(&mut Cell) -> &mut Vec<u64>, at: Option<usize>| {
                if let Some(n) = at.and_then(|at| counts(cell).get_mut(at)) {
                    *n += 1;
                }
            };
            count(|cell| &mut cell.stopped, watch.stopped);
            count(|cell| &mut cell.paused, watch.paused);
            let (crossed, futile) = watch.planned_looks(self.scenario);
            count(|cell| &mut cell.crossed, crossed);
            cell.futile += u64::from(futile);
        }
        self.outcome.any_false_sequential += u64::from(any);
        self.outcome
    }
}

fn covers(ci: [f64; 2], truth: f64) -> bool {
    ci[0] <= truth && truth <= ci[1]
}

impl CellWatch {
    fn look(&mut self, index: usize, alpha: f64, truth: Truth, comparison: &Comparison) {
        self.peeked |= comparison.p_value.is_some_and(|p| p < alpha);
        if let Some(found) = comparison.sequential.as_ref().filter(|found| found.gate.is_none()) {
            self.decidable |= found.p_value.is_some();
            self.missed |= found.ci.is_some_and(|ci| !covers(ci, truth.effect));
            self.corrected |= found.verdict == Verdict::Significant;
            if found.p_value.is_some_and(|p| p < alpha) {
                self.stopped.get_or_insert(index);
            }
        }
        let seen = self.taken.last().map_or(0, |(_, look)| look.planned);
        if let Some(look) = due_look(comparison, seen, jiff::Timestamp::UNIX_EPOCH) {
            self.taken.push((index, look));
            self.state.clone_from(&comparison.group_sequential);
        }
        if let Some(guardrail) = &comparison.guardrail {
            self.alerted |= guardrail.action != GuardrailVerdict::Continue;
            if guardrail.action == GuardrailVerdict::Pause {
                self.paused.get_or_insert(index);
            }
        }
        let adjusted = comparison.cuped.as_ref().and_then(|cuped| cuped.sequential_p_value);
        self.adjusted |= adjusted.is_some_and(|p| p < alpha);
    }
}

impl CellWatch {
    /// The look at which the group-sequential test crossed, and whether one before advised to give up.
    fn planned_looks(&self, scenario: &Scenario) -> (Option<usize>, bool) {
        let Some((mut state, plan)) = self.state.clone().zip(looks(scenario)) else {
            return (None, false);
        };
        let taken = self.taken.iter().map(|(_, look)| look.clone()).collect();
        judge(&mut state, &plan, POWER, scenario.direction, taken);
        let sign = match scenario.direction {
            Direction::Increase => 1.0,
            Direction::Decrease => -1.0,
        };
        let last = self.taken.len().saturating_sub(1);
        let mut futile = false;
        for (k, ((index, look), boundary)) in self.taken.iter().zip(&state.boundaries).enumerate() {
            if boundary.efficacy.is_some_and(|bound| look.statistic.abs() >= bound) {
                return (Some(*index), futile);
            }
            futile |= k < last && boundary.futility.is_some_and(|a| sign * look.statistic <= a);
        }
        (None, futile)
    }
}

impl Cell {
    /// Takes the comparison at the horizon.
    fn end(&mut self, scenario: &Scenario, truth: Truth, comparison: &Comparison) {
        if let (Some(p), Some(effect), Some(ci)) =
            (comparison.p_value, comparison.effect, comparison.ci)
        {
            self.tested += 1;
            let rejected = p < scenario.alpha;
            self.up += u64::from(rejected && effect > 0.0);
            self.down += u64::from(rejected && effect <= 0.0);
            self.corrected += u64::from(comparison.verdict == Verdict::Significant);
            self.covered += u64::from(covers(ci, truth.effect));
            self.effect.add(effect);
            if let Some(ci) = comparison.lift_ci {
                self.lift_bounded += 1;
                self.lift_covered += u64::from(covers(ci, truth.lift));
            }
        }
        let adjusted = comparison.cuped.as_ref();
        if let Some((cuped, (p, ci))) =
            adjusted.and_then(|cuped| Some((cuped, (cuped.p_value?, cuped.ci?))))
        {
            self.adjusted += 1;
            self.adjusted_rejected += u64::from(p < scenario.alpha);
            self.adjusted_covered += u64::from(covers(ci, truth.effect));
            if let Some(effect) = cuped.effect {
                self.adjusted_effect.add(effect);
            }
        }
    }

    fn join(&mut self, other: &Self) {
        self.tested += other.tested;
        self.up += other.up;
        self.down += other.down;
        self.corrected += other.corrected;
        self.peeked += other.peeked;
        self.covered += other.covered;
        self.lift_bounded += other.lift_bounded;
        self.lift_covered += other.lift_covered;
        self.effect = self.effect.merge(other.effect);
        self.decidable += other.decidable;
        self.always_covered += other.always_covered;
        add(&mut self.stopped, &other.stopped);
        self.sequential_corrected += other.sequential_corrected;
        self.alerted += other.alerted;
        add(&mut self.paused, &other.paused);
        self.adjusted += other.adjusted;
        self.adjusted_rejected += other.adjusted_rejected;
        self.adjusted_covered += other.adjusted_covered;
        self.adjusted_sequential += other.adjusted_sequential;
        self.adjusted_effect = self.adjusted_effect.merge(other.adjusted_effect);
        add(&mut self.crossed, &other.crossed);
        self.futile += other.futile;
    }
}

impl Outcome {
    /// Both together.
    pub(super) fn join(mut self, other: Self) -> Self {
        if self.runs == 0 {
            return other;
        }
        self.runs += other.runs;
        self.srm_alarms += other.srm_alarms;
        self.srm_fixed += other.srm_fixed;
        self.any_false += other.any_false;
        self.any_false_sequential += other.any_false_sequential;
        self.false_share = self.false_share.merge(other.false_share);
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            mine.join(theirs);
        }
        self
    }
}

fn add(mine: &mut [u64], theirs: &[u64]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}

/// What is true of one comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Truth {
    pub(super) lift: f64,
    pub(super) effect: f64,
}

impl Truth {
    /// Whether there is no effect.
    pub(super) fn is_none(self) -> bool {
        self.effect.abs() <= 0.0
    }
}

impl Scenario {
    /// The true effect of a treatment on a metric.
    pub(super) fn effect(&self, metric: usize, treatment: usize) -> Truth {
        let affected = metric < self.affected as usize;
        let lift = if affected { self.lifts.get(treatment).copied().unwrap_or(0.0) } else { 0.0 };
        let base = self.outcome.base();
        // A lift is relative to the control's absolute value; the laws multiply the mean itself.
        let lift = if base < 0.0 { -lift } else { lift };
        Truth { lift, effect: lift * base.abs() }
    }
}
