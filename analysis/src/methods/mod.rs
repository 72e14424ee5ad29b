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
pub mod normal_mixture;
pub mod confidence_sequence;
pub mod msprt;
pub mod sequential_adjusted;
pub mod anytime_t;
pub mod count_mixture;
pub mod bernoulli_sequence;
pub mod srm;
pub mod group_sequential;
pub mod guardrail;
pub mod interleaving;
mod law_grid;
pub mod beta_binomial;
pub mod normal_normal;
pub mod thompson;
pub mod ucb;
pub mod adaptive_effect;
pub mod multiplicity;
mod quadrature;
pub mod incomplete_beta;
mod hypergeometric;
pub mod fisher;
pub mod barnard;
pub(crate) mod fieller;
pub mod cuped;
pub mod cuped_many;
pub mod ratio_cuped;
pub mod ancova;
pub mod quantile_ranks;
pub mod quantile_bootstrap;
pub mod quantile_sketch;
pub mod winsorise;
pub mod cluster;
pub mod switchback;
pub mod switchback_randomisation;
pub mod heterogeneity;
pub mod stratified;
pub mod simpson;
pub mod mantel_haenszel;
pub mod contrast;
pub mod srm_breakdown;
pub mod combination;
pub mod selection;
pub mod equivalence;
pub mod mann_whitney;
pub mod privacy;
pub mod noncentral_t;

pub use estimate::{Alpha, Alternative, Estimate, Interval, MethodError};
pub(crate) use root::{brent, secant};
