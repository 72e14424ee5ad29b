//! UCB1: play the arm whose upper confidence bound is highest.
//!
//! ```text
//! # Question          Which arm should the next unit get?
//! # Input             plays and mean reward in [0, 1] of each arm
//! # Formula           `mean + √(2 ln N/n)`, N all plays; an arm without plays comes first
//! # Assumes           rewards in [0, 1]
//! # Numerics          the bound of an unplayed arm is infinite; of equal bounds the first arm wins
//! # Reference         Auer, Cesa-Bianchi, Fischer (2002), Machine Learning 47; `tests/golden/bandits.json`
//! ```

/// One arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plays {
    /// Times that it was played.
    pub n: u64,
    /// Mean reward.
    pub mean: f64,
}

/// Bounds of the arms and the one to play; none without arms.
pub fn ucb1(arms: &[Plays]) -> Option<(Vec<f64>, usize)> {
    let total: f64 = arms.iter().map(|arm| arm.n as f64).sum();
    let bound = |arm: &Plays| {
        if arm.n == 0 { f64::INFINITY } else { arm.mean + (2.0 * total.ln() / arm.n as f64).sqrt() }
    };
    let bounds: Vec<f64> = arms.iter().map(bound).collect();
    let mut choice = None;
    for (i, bound) in bounds.iter().enumerate() {
        if choice.is_none_or(|best: usize| *bound > bounds[best]) {
            choice = Some(i);
        }
    }
    choice.map(|choice| (bounds, choice))
}
