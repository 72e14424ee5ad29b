//! One unit: its exposures and events become its contribution to every experiment it is in.

use super::cursor::{ExposureRow, MetricRow};
use super::questions::{ExperimentQuestion, KindQuestion, MetricQuestion, NONE, Questions, Slot};
use super::tally::OpenTally;
use crate::plan::Aggregation;

/// Rows up to which comparing every pair beats sorting.
const FEW_ROWS: usize = 24;

/// Working memory of the fold, reused from unit to unit.
pub(super) struct UnitFold<'q> {
    questions: &'q Questions,
    pub(super) tally: OpenTally,
    /// By experiment: what this unit's exposures say, if `unit` is the current number.
    entries: Vec<Entry>,
    unit: u64,
    /// Experiments of the current unit.
    entered: Vec<u32>,
    /// By slot: sum and count of the events walked so far.
    running: Vec<Running>,
    /// Slots that the current unit has touched.
    touched: Vec<Slot>,
    /// By slot: sum and count of the events before the exposure that is being counted.
    before: Vec<Running>,
    /// Slots of `before` that are not zero.
    touched_before: Vec<Slot>,
    /// When the newest row was received: windows that end later are still open.
    settled_at: i64,
    /// What the unit adds to one experiment.
    numbers: Vec<f64>,
    repeats: RepeatFilter,
}

#[derive(Clone, Copy)]
struct Entry {
    unit: u64,
    /// First exposure of the current phase; [`i64::MAX`] without one.
    first_ts: i64,
    /// First exposure of any phase: what came later is no covariate.
    ever_ts: i64,
    variant: u32,
    several: bool,
}

#[derive(Clone, Copy, Default)]
struct Running {
    sum: f64,
    count: u64,
}

impl<'q> UnitFold<'q> {
    pub(super) fn new(questions: &'q Questions, settled_at: i64) -> Self {
        let none =
            Entry { unit: 0, first_ts: i64::MAX, ever_ts: i64::MAX, variant: NONE, several: false };
        Self {
            questions,
            tally: OpenTally::new(questions),
            entries: vec![none; questions.experiments.len()],
            unit: 0,
            entered: Vec::new(),
            running: vec![Running::default(); questions.n_slots()],
            touched: Vec::new(),
            before: vec![Running::default(); questions.n_slots()],
            touched_before: Vec::new(),
            settled_at,
            numbers: Vec::new(),
            repeats: RepeatFilter::default(),
        }
    }

    /// Finds what the unit was exposed to. Answers whether its events are of any interest.
    pub(super) fn enter(&mut self, exposures: &mut Vec<ExposureRow>) -> bool {
        let questions = self.questions;
        let environment =
            |row: &ExposureRow| questions.experiments[row.experiment as usize].environment;
        if self.repeats.may_repeat(exposures.iter().map(|row| row.event_id)) {
            keep_first_received(
                exposures,
                |row| (row.event_id, environment(row)),
                |row| (row.received, row.ts),
            );
        }
        self.unit += 1;
        self.entered.clear();
        for row in exposures.iter() {
            let index = row.experiment as usize;
            let question = &questions.experiments[index];
            let entry = &mut self.entries[index];
            if entry.unit != self.unit {
                *entry = Entry {
                    unit: self.unit,
                    first_ts: i64::MAX,
                    ever_ts: row.ts,
                    variant: row.variant,
                    several: false,
                };
            }
            entry.ever_ts = entry.ever_ts.min(row.ts);
            if !question.phase.admits(row.generation, row.ts) {
                continue;
            }
            let tally = &mut self.tally.experiments[index];
            if !question.variants.contains(&row.variant) {
                tally.unknown_variant_exposures += 1;
                continue;
            }
            tally.note_generation(row.generation);
            if entry.first_ts == i64::MAX {
                entry.variant = row.variant;
                self.entered.push(row.experiment);
            }
            entry.first_ts = entry.first_ts.min(row.ts);
            entry.several |= entry.variant != row.variant;
        }
        let (entries, tally) = (&self.entries, &mut self.tally);
        self.entered.retain(|&experiment| {
            let several = entries[experiment as usize].several;
            tally.experiments[experiment as usize].excluded_multiple_variants += u64::from(several);
            !several
        });
        !self.entered.is_empty()
    }

    /// Adds the events of the unit that was entered last to its experiments: latest exposure first,
    /// so that each event is added to the running sums once, however many experiments there are.
    pub(super) fn fold(&mut self, events: &mut Vec<MetricRow>) {
        let questions = self.questions;
        if self.repeats.may_repeat(events.iter().map(|row| row.event_id)) {
            keep_first_received(
                events,
                |row| (row.event_id, questions.slot_environment[row.slot as usize]),
                |row| (row.received, row.ts),
            );
        }
        if !events.is_sorted_by_key(|row| row.ts) {
            events.sort_unstable_by_key(|row| (row.ts, row.event_id));
        }
        for row in events.iter_mut().filter(|row| !row.value.is_finite()) {
            row.value = 0.0;
            self.tally.non_finite_values += 1;
        }
        let entries = &self.entries;
        self.entered.sort_unstable_by_key(|&experiment| {
            (std::cmp::Reverse(entries[experiment as usize].first_ts), experiment)
        });
        let mut end = events.len();
        for position in 0..self.entered.len() {
            let experiment = self.entered[position] as usize;
            let entry = self.entries[experiment];
            while end > 0 && events[end - 1].ts >= entry.first_ts {
                end -= 1;
                self.add(events[end]);
            }
            let (before, after) = events.split_at(end);
            self.count(experiment, entry, before, after);
        }
        for slot in self.touched.drain(..) {
            self.running[slot as usize] = Running::default();
        }
    }

    #[inline]
    fn add(&mut self, row: MetricRow) {
        let running = &mut self.running[row.slot as usize];
        if running.count == 0 {
            self.touched.push(row.slot);
        }
        running.sum += row.value;
        running.count += 1;
    }

    /// Adds the unit to one experiment, given its events before the first exposure and those from it
    /// on.
    fn count(
        &mut self,
        experiment: usize,
        entry: Entry,
        before: &[MetricRow],
        after: &[MetricRow],
    ) {
        let Entry { first_ts, ever_ts, variant, .. } = entry;
        let questions = self.questions;
        let question = &questions.experiments[experiment];
        let Some(arm) = question.variants.iter().position(|known| *known == variant) else {
            return;
        };
        let has_history = self.look_back(question, ever_ts, before);
        self.numbers.clear();
        for (index, metric) in question.metrics.iter().enumerate() {
            let total = |slot: Slot| match metric.window {
                None => self.running[slot as usize],
                Some(_) => total_of(inside(metric, first_ts, after), slot),
            };
            let part = |(slot, aggregation): (Slot, Aggregation)| match aggregation {
                Aggregation::Count => total(slot).count as f64,
                Aggregation::Sum => total(slot).sum,
            };
            let mut covariate = 0.0;
            match &metric.kind {
                KindQuestion::Proportion(slot) => {
                    self.numbers.push(any(total(*slot)));
                    covariate = any(self.before[*slot as usize]);
                }
                KindQuestion::Mean(slot) => {
                    self.numbers.push(total(*slot).sum.min(metric.cap));
                    covariate = self.before[*slot as usize].sum.min(metric.cap);
                }
                KindQuestion::Count(slot) => {
                    self.numbers.push((total(*slot).count as f64).min(metric.cap));
                    covariate = (self.before[*slot as usize].count as f64).min(metric.cap);
                }
                KindQuestion::Retention(slot, from) => {
                    let from = first_ts.saturating_add(*from);
                    let back = |row: &MetricRow| row.slot == *slot && row.ts >= from;
                    let returned = inside(metric, first_ts, after).iter().any(back);
                    self.numbers.push(f64::from(u8::from(returned)));
                }
                KindQuestion::Funnel(steps) => {
                    let reached = steps_taken(steps, inside(metric, first_ts, after));
                    let took = |step| f64::from(u8::from(step < reached));
                    self.numbers.extend((0..steps.len()).map(took));
                }
                KindQuestion::Ratio { numerator, denominator } => {
                    self.numbers.extend([part(*numerator), part(*denominator)]);
                }
                KindQuestion::Quantile(slot) => {
                    let values = inside(metric, first_ts, after)
                        .iter()
                        .filter(|row| row.slot == *slot)
                        .map(|row| row.value);
                    self.tally.add_values(experiment, arm, index, values);
                }
            }
            if let Some(window) = metric.window {
                let closed = first_ts.saturating_add(window) <= self.settled_at;
                self.numbers.push(f64::from(u8::from(closed)));
            }
            if has_history && metric.has_covariate() {
                self.numbers.push(covariate);
            }
        }
        for slot in self.touched_before.drain(..) {
            self.before[slot as usize] = Running::default();
        }
        let tally = &mut self.tally.experiments[experiment];
        tally.note_day(arm, first_ts);
        tally.variants[arm].add(&self.numbers, has_history);
    }

    /// Sums up the events of the time before the unit's first exposure ever. Answers whether there
    /// are any.
    fn look_back(
        &mut self,
        question: &ExperimentQuestion,
        ever_ts: i64,
        before: &[MetricRow],
    ) -> bool {
        if question.lookback == 0 {
            return false;
        }
        let from = ever_ts.saturating_sub(question.lookback);
        let end = before.partition_point(|row| row.ts < ever_ts);
        let start = before[..end].partition_point(|row| row.ts < from);
        let environments = &self.questions.slot_environment;
        let mut has_history = false;
        for row in &before[start..end] {
            // A unit may act in several environments of a project.
            has_history |= environments[row.slot as usize] == question.environment;
            let running = &mut self.before[row.slot as usize];
            if running.count == 0 {
                self.touched_before.push(row.slot);
            }
            running.sum += row.value;
            running.count += 1;
        }
        has_history
    }
}

fn any(running: Running) -> f64 {
    f64::from(u8::from(running.count > 0))
}

/// How many steps of a funnel were taken in order. Events of one time may stand for several steps,
/// whatever their sequence.
fn steps_taken(steps: &[Slot], events: &[MetricRow]) -> usize {
    let mut earliest = i64::MIN;
    for (taken, step) in steps.iter().enumerate() {
        let next = events.iter().find(|row| row.slot == *step && row.ts >= earliest);
        let Some(row) = next else { return taken };
        earliest = row.ts;
    }
    steps.len()
}

/// The events inside a metric's window, of those from the first exposure on.
fn inside<'r>(metric: &MetricQuestion, first_ts: i64, after: &'r [MetricRow]) -> &'r [MetricRow] {
    let Some(window) = metric.window else { return after };
    let end = first_ts.saturating_add(window);
    &after[..after.partition_point(|row| row.ts < end)]
}

fn total_of(events: &[MetricRow], slot: Slot) -> Running {
    let mut total = Running::default();
    for row in events.iter().filter(|row| row.slot == slot) {
        total.sum += row.value;
        total.count += 1;
    }
    total
}

/// Tells most sets of ids without a repetition from the others, in one look at each id.
struct RepeatFilter {
    /// By hash: the last set that had an id there.
    marks: Vec<u32>,
    set: u32,
}

impl RepeatFilter {
    /// 64 KB: twenty ids collide by chance in one set of a hundred.
    const BITS: u32 = 14;
}

impl Default for RepeatFilter {
    fn default() -> Self {
        Self { marks: vec![0; 1 << Self::BITS], set: 0 }
    }
}

impl RepeatFilter {
    /// False if no id occurs twice; true if one may.
    #[inline]
    fn may_repeat(&mut self, ids: impl Iterator<Item = u128>) -> bool {
        self.set = self.set.wrapping_add(1);
        if self.set == 0 {
            self.marks.fill(0);
            self.set = 1;
        }
        let mut repeated = false;
        for id in ids {
            // Both halves, for one of them may be a time; Fibonacci hashing spreads the rest.
            #[expect(clippy::cast_possible_truncation, reason = "both halves of the id are used")]
            let folded = (id as u64) ^ ((id >> 64) as u64);
            let hash = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::BITS);
            let Some(mark) = usize::try_from(hash).ok().and_then(|hash| self.marks.get_mut(hash))
            else {
                return true;
            };
            repeated |= *mark == self.set;
            *mark = self.set;
        }
        repeated
    }
}

/// Of rows with the same identity keeps the one that comes first in `order`; their sequence may
/// change.
fn keep_first_received<R: Copy, I: PartialEq + Ord, O: Ord>(
    rows: &mut Vec<R>,
    identity: impl Fn(&R) -> I,
    order: impl Fn(&R) -> O,
) {
    if rows.len() > FEW_ROWS {
        rows.sort_unstable_by(|a, b| {
            identity(a).cmp(&identity(b)).then_with(|| order(a).cmp(&order(b)))
        });
        rows.dedup_by(|next, kept| identity(next) == identity(kept));
        return;
    }
    let mut kept = 0;
    for index in 0..rows.len() {
        let row = rows[index];
        let same = |earlier: &&mut R| identity(earlier) == identity(&row);
        if let Some(earlier) = rows[..kept].iter_mut().find(same) {
            if order(&row) < order(earlier) {
                *earlier = row;
            }
        } else {
            rows[kept] = row;
            kept += 1;
        }
    }
    rows.truncate(kept);
}
