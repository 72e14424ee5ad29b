//! Units by the day of their first exposure.

const DAY_US: i64 = 86_400_000_000;

/// Days that are kept apart; units of others count in the nearest one of these.
const MOST_DAYS: usize = 1000;

/// Counts by UTC day and variant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayCounts {
    variants: usize,
    /// Days since 1970 of the first row.
    first: i64,
    /// One row of counts for each day.
    counts: Vec<u64>,
}

impl DayCounts {
    pub(super) fn new(variants: usize) -> Self {
        Self { variants, first: 0, counts: Vec::new() }
    }

    /// Counts a unit at a time in microseconds since 1970.
    #[inline]
    pub(super) fn add(&mut self, ts: i64, variant: usize) {
        self.add_many(ts.div_euclid(DAY_US), variant, 1);
    }

    #[inline]
    fn add_many(&mut self, day: i64, variant: usize, units: u64) {
        if self.counts.is_empty() {
            self.first = day;
        }
        let place = usize::try_from(day.saturating_sub(self.first)).ok();
        let row = match place.filter(|row| (row + 1) * self.variants <= self.counts.len()) {
            Some(row) => row,
            None => self.grow(day),
        };
        if let Some(count) = self.counts.get_mut(row * self.variants + variant) {
            *count += units;
        }
    }

    /// Makes room for a day, and answers its row.
    #[cold]
    fn grow(&mut self, day: i64) -> usize {
        let present = self.counts.len() / self.variants.max(1);
        if day < self.first {
            let missing = usize::try_from(self.first.saturating_sub(day)).unwrap_or(MOST_DAYS);
            let missing = missing.min(MOST_DAYS.saturating_sub(present));
            self.counts.splice(0..0, vec![0; missing * self.variants]);
            self.first -= i64::try_from(missing).unwrap_or(0);
            return 0;
        }
        let row = usize::try_from(day.saturating_sub(self.first)).unwrap_or(MOST_DAYS);
        let row = row.min(MOST_DAYS - 1);
        self.counts.resize(((row + 1) * self.variants).max(self.counts.len()), 0);
        row
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.variants = self.variants.max(other.variants);
        for (day, row) in other.rows() {
            for (variant, units) in row.iter().enumerate().filter(|(_, units)| **units > 0) {
                self.add_many(day, variant, *units);
            }
        }
    }

    /// Days since 1970 with their counts by variant, in order; days without units between them, too.
    pub fn rows(&self) -> impl Iterator<Item = (i64, &[u64])> {
        let days = self.first..;
        days.zip(self.counts.chunks_exact(self.variants.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_may_come_in_any_order_and_parts() {
        let days = [5_i64, 3, 9, 3, -2, 5, 4];
        let mut whole = DayCounts::new(2);
        let mut parts = [DayCounts::new(2), DayCounts::new(2)];
        for (i, day) in days.iter().enumerate() {
            whole.add(day * DAY_US + 17, i % 2);
            parts[i / 3 % 2].add(day * DAY_US, i % 2);
        }
        let [mut first, second] = parts;
        first.merge(&second);
        assert_eq!(first, whole);
        let rows: Vec<(i64, Vec<u64>)> = whole
            .rows()
            .map(|(day, row)| (day, row.to_vec()))
            .filter(|(_, row)| row != &[0, 0])
            .collect();
        assert_eq!(
            rows,
            [(-2, vec![1, 0]), (3, vec![0, 2]), (4, vec![1, 0]), (5, vec![1, 1]), (9, vec![1, 0])]
        );
    }

    #[test]
    fn a_day_far_away_costs_no_memory() {
        let mut days = DayCounts::new(1);
        for day in [0, 50_000_000, -50_000_000] {
            days.add(day * DAY_US, 0);
        }
        assert!(days.counts.len() <= MOST_DAYS);
        assert_eq!(days.counts.iter().sum::<u64>(), 3);
    }
}
