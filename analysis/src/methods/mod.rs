//! Statistical methods, one a file: pure functions of sufficient statistics.
//!
//! Every method answers `Result<_, MethodError>`: what is undefined is an error with a word, never
//! 0, 1 or NaN. p-values come from survival functions, never from `1 − cdf`.

pub mod normal;
