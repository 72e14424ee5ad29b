//! The pure evaluator: from a compiled config, a context and a time to a decision.
#![forbid(unsafe_code)]

pub mod bucket;
pub mod source;
