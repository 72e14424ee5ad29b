//! Streaming accumulation: values are gathered in small blocks and reduced a block at a time.
//!
//! A block costs one division and one join instead of one per value, and its inner loop vectorises.
//! Zeros, the commonest value of all, are only counted.

use super::{CoMoments, Moments};

/// Values gathered before they are reduced; 256 bytes, for there are many accumulators.
const BLOCK: usize = 32;

/// Moments of a stream of values.
#[derive(Debug, Clone)]
pub struct Accumulator {
    block: [f64; BLOCK],
    len: usize,
    n_zeros: u64,
    total: Moments,
}

impl Default for Accumulator {
    fn default() -> Self {
        Self { block: [0.0; BLOCK], len: 0, n_zeros: 0, total: Moments::EMPTY }
    }
}

impl Accumulator {
    /// Adds one value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if value == 0.0 {
            self.n_zeros += 1;
            return;
        }
        self.block[self.len] = value;
        self.len += 1;
        if self.len == BLOCK {
            self.total = self.total.merge(Moments::of(&self.block));
            self.len = 0;
        }
    }

    /// The moments of everything added.
    pub fn moments(&self) -> Moments {
        self.total
            .merge(Moments::of(&self.block[..self.len]))
            .merge(Moments::of_zeros(self.n_zeros))
    }
}

/// Joint moments of a stream of pairs.
#[derive(Debug, Clone)]
pub struct CoAccumulator {
    y: [f64; BLOCK],
    x: [f64; BLOCK],
    len: usize,
    n_zeros: u64,
    total: CoMoments,
}

impl Default for CoAccumulator {
    fn default() -> Self {
        Self { y: [0.0; BLOCK], x: [0.0; BLOCK], len: 0, n_zeros: 0, total: CoMoments::EMPTY }
    }
}

impl CoAccumulator {
    /// Adds one pair.
    #[inline]
    pub fn add(&mut self, y: f64, x: f64) {
        if y == 0.0 && x == 0.0 {
            self.n_zeros += 1;
            return;
        }
        self.y[self.len] = y;
        self.x[self.len] = x;
        self.len += 1;
        if self.len == BLOCK {
            self.total = self.total.merge(CoMoments::of(&self.y, &self.x));
            self.len = 0;
        }
    }

    /// The joint moments of everything added.
    pub fn comoments(&self) -> CoMoments {
        self.total
            .merge(CoMoments::of(&self.y[..self.len], &self.x[..self.len]))
            .merge(CoMoments::of_zeros(self.n_zeros))
    }
}
