//! A histogram of values from which quantiles can be read, with what it costs them in accuracy.

use std::cmp::Ordering;

/// How often values fell into each of the buckets that occur.
///
/// A bucket holds all floating-point numbers that share their leading bits, so that buckets are
/// nested, narrow in proportion to the value (sign, exponent and the first p bits of the mantissa:
/// a relative width of 2⁻ᵖ), and need no parameter of the data. At first all 64 bits count and the
/// sketch is exact. When more buckets occur than are allowed, the last bit is given up everywhere
/// and neighbours become one, as often as needed. How many bits remain depends on the values alone,
/// not on their order or on how they were split: a merge gives exactly the sketch of the whole.
///
/// Compare `DDSketch` (Masson, Rim, Lee 2019), whose buckets are powers of a fixed number.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantileSketch {
    /// Leading bits of the values, ascending, with their counts.
    buckets: Vec<(u64, u64)>,
    /// Bits that were given up.
    dropped: u32,
    most_buckets: usize,
    n: u64,
    min: f64,
    max: f64,
}

/// Buckets of a sketch by default: 128 KiB at most.
pub const MOST_BUCKETS: usize = 8192;

impl QuantileSketch {
    /// No values; the identity of [`Self::merge`] among sketches of as many buckets (16 at least).
    pub fn new(most_buckets: usize) -> Self {
        Self {
            buckets: Vec::new(),
            dropped: 0,
            most_buckets: most_buckets.max(16),
            n: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// The sketch of some values. NaN is left out.
    pub fn of(values: &[f64], most_buckets: usize) -> Self {
        // In pieces, so that the values are not copied as a whole.
        values
            .chunks(4 * most_buckets.max(1024))
            .map(|chunk| Self::of_chunk(chunk, most_buckets))
            .fold(Self::new(most_buckets), Self::merge)
    }

    fn of_chunk(values: &[f64], most_buckets: usize) -> Self {
        let mut sketch = Self::new(most_buckets);
        let mut keys: Vec<u64> =
            values.iter().filter(|value| !value.is_nan()).map(|value| key_of(*value)).collect();
        keys.sort_unstable();
        for key in keys {
            sketch.n += 1;
            match sketch.buckets.last_mut() {
                Some((last, count)) if *last == key => *count += 1,
                _ => sketch.buckets.push((key, 1)),
            }
        }
        if let (Some((first, _)), Some((last, _))) = (sketch.buckets.first(), sketch.buckets.last())
        {
            (sketch.min, sketch.max) = (value_of(*first), value_of(*last));
        }
        sketch.shrink();
        sketch
    }

    /// The sketch of both sets of values together; of as many buckets as the smaller one may have.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let dropped = self.dropped.max(other.dropped);
        let (a, b) = (self.coarser(dropped), other.coarser(dropped));
        let mut merged = Self {
            buckets: Vec::with_capacity(a.buckets.len().max(b.buckets.len())),
            dropped,
            most_buckets: a.most_buckets.min(b.most_buckets),
            n: a.n + b.n,
            min: a.min.min(b.min),
            max: a.max.max(b.max),
        };
        let (mut left, mut right) =
            (a.buckets.into_iter().peekable(), b.buckets.into_iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some(l), Some(r)) => l.0.cmp(&r.0),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let from_left = if order.is_le() { left.next() } else { None };
            let from_right = if order.is_ge() { right.next() } else { None };
            let count = from_left.map_or(0, |b| b.1) + from_right.map_or(0, |b| b.1);
            merged.buckets.extend(from_left.or(from_right).map(|(key, _)| (key, count)));
        }
        merged.shrink();
        merged
    }

    /// Gives up bits until there are no more buckets than allowed.
    fn shrink(&mut self) {
        while self.buckets.len() > self.most_buckets {
            self.drop_bits(1);
        }
    }

    fn coarser(mut self, dropped: u32) -> Self {
        self.drop_bits(dropped.saturating_sub(self.dropped));
        self
    }

    fn drop_bits(&mut self, bits: u32) {
        if bits == 0 {
            return;
        }
        self.dropped += bits;
        for bucket in &mut self.buckets {
            bucket.0 >>= bits;
        }
        self.buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
    }

    /// Number of values.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Number of buckets that occur.
    pub fn n_buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Whether every bucket is a single number, so that nothing was lost.
    pub fn is_exact(&self) -> bool {
        self.dropped == 0
    }

    /// Where the value of a rank lies (1 is the smallest); none outside 1..=n.
    pub fn at_rank(&self, rank: u64) -> Option<Located> {
        if rank == 0 || rank > self.n {
            return None;
        }
        let mut before = 0;
        for (key, count) in &self.buckets {
            if rank <= before + count {
                let (lo, hi) = self.edges(*key);
                return Some(Located { lo, hi, before, count: *count });
            }
            before += count;
        }
        None
    }

    /// The type-7 quantile: linear between the values of the ranks around 1 + (n − 1) q, each taken
    /// where it would be if its bucket's values were spread evenly. None without values.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank of at least 1 and at most n"
    )]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let position = (self.n.checked_sub(1)?) as f64 * q.clamp(0.0, 1.0);
        let rank = position.floor() as u64 + 1;
        let below = self.at_rank(rank)?.spread(rank);
        let above = self.at_rank(rank + 1).map_or(below, |located| located.spread(rank + 1));
        Some(below + (above - below) * position.fract())
    }

    fn edges(&self, key: u64) -> (f64, f64) {
        if self.dropped == 0 {
            let value = value_of(key);
            return (value, value);
        }
        let first = key << self.dropped;
        let last = first | ((1 << self.dropped) - 1);
        // The outermost buckets end where the values do, and before what is no number.
        let inside = |value: f64, other: f64| if value.is_nan() { other } else { value };
        (
            inside(value_of(first), self.min).clamp(self.min, self.max),
            inside(value_of(last), self.max).clamp(self.min, self.max),
        )
    }
}

/// The bucket of a rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Located {
    /// Smallest number of the bucket.
    pub lo: f64,
    /// Largest number of the bucket.
    pub hi: f64,
    /// Values in the buckets before.
    pub before: u64,
    /// Values in the bucket: the rank of a number in it is uncertain by as many, less one.
    pub count: u64,
}

impl Located {
    /// Where the value of a rank in the bucket would be if its values were spread evenly.
    fn spread(&self, rank: u64) -> f64 {
        if self.hi <= self.lo {
            return self.lo;
        }
        let share = ((rank - self.before) as f64 - 0.5) / self.count as f64;
        self.lo + (self.hi - self.lo) * share
    }
}

const SIGN: u64 = 1 << 63;

/// A number whose order is that of the values; both zeros are one.
fn key_of(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn value_of(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN })
}
