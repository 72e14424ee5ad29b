//! The pure evaluator: from a compiled config, a context and a time to a decision.
//!
//! The way through: people's definitions arrive as [`source::ConfigSource`]; [`compile`] turns them into a
//! [`CompiledConfig`]; [`blob::encode`] writes that as the bytes which travel, and [`blob::decode`] reads them without copying;
//! [`Request::evaluate`] decides a key for a [`Context`] at a time, and the [`Decision`] carries its [`Reason`] and the
//! [`Exposure`] to log.
//!
//! What is not here: clocks, random numbers, files, networks, logs. Time is an argument and the exposure is part of the
//! answer. Nothing panics: a malformed blob is refused or loses the entry that is damaged, and every input gets a
//! decision. All items that later languages must reproduce are specified in the modules' own words:
//! [`bucket`] for the hash, [`targeting`] for operators, [`blob`] for the format.
#![forbid(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "measured: what one decision takes is mostly what calls and moves between steps take"
)]
#![cfg_attr(
    not(test),
    deny(
        clippy::panic,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::unreachable
    )
)]

pub mod source;
pub mod bucket;
pub mod targeting;
pub mod fingerprint;
pub mod blob;
pub mod route;
pub mod client;
pub mod time;
mod check;
mod compile;
mod config;
mod context;
mod decision;
mod evaluate;
mod experiment;
mod flag;
mod layer;
mod condition;
mod unit;
mod explain;
mod changes;
mod needs;
mod assignments;
mod index;
mod memo;
mod pattern;
mod slots;
mod sticky;
mod strings;

pub use assignments::Assignment;
pub use changes::{Buckets, Change, VariantBuckets};
pub use compile::{
    CompileError, MAX_CONDITION_DEPTH, MAX_CONDITION_SIZE, MAX_PREREQUISITE_DEPTH, compile,
};
pub use config::{CompiledConfig, Fault};
pub use context::{AttributeValue, Context, MAX_LIST_LEN, MAX_STRING_BYTES};
pub use decision::{Decision, Exposure, Reason, UnitText};
pub use evaluate::Request;
pub use explain::Step;
pub use needs::{Need, Value};
pub use sticky::StickyExperiment;
