//! Reports of the analysis: handed in by the batch job, kept, and answered as results.
//!
//! Reports hold fixed-horizon values from the first look on. Whoever reads results before the horizon
//! does not see them ([`results`]), because testing at every look would find differences that are not
//! there.

pub(crate) mod handlers;
pub mod results;
