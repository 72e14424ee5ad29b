//! Statistical methods, one a file: pure functions of sufficient statistics.
//!
//! Every method answers `Result<_, MethodError>`: what is undefined is an error with a word, never
//! 0, 1 or NaN. p-values come from survival functions, never from `1 − cdf`. Swapping control and
//! treatment flips the effect and keeps the p-value; an interval at 1 − alpha excludes the null
//! exactly when p < alpha.

mod estimate;
pub mod normal;
pub mod student_t;
mod root;
pub mod welch;
pub mod proportions;
pub mod score_interval;
pub mod chi_squared;
pub mod lift;
pub mod ratio;
pub mod quantile;
pub mod srm;
pub mod multiplicity;

pub use estimate::{Alpha, Alternative, Estimate, Interval, MethodError};
