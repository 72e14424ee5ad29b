//! From the lake to reports: one streaming pass per project.
//!
//! ```text
//! plans (configs/*/latest.json)          lake files, sorted by (unit_hash, ts)
//!        │ questions                            │ cursor → merge: unit by unit
//!        └────────────→ unit: first exposure, events after it ←┘
//!                              │ tally: sufficient statistics per experiment × variant × metric
//!                              └→ assemble: methods → Report
//! ```
//!
//! Files are opened when the merge reaches their first unit and closed after their last, so that
//! memory is bounded by the files that overlap in unit hash (the fresh ones, and one bucket of the
//! compacted ones), not by the size of the lake. The range of hashes is divided between threads;
//! their tallies merge.
//!
//! An event counts once: of rows with the same `event_id` in one environment and unit, the one
//! received first. A unit counts in an experiment from its first exposure of the current phase; an
//! event at that very time counts. A unit that was seen in two variants is left out and counted.

mod plans;
mod questions;
mod object_reader;
mod cursor;
mod merge;
mod unit;
mod days;
mod values;
mod tally;
mod scan;
mod arm;
mod compare;
mod always_valid;
mod covariate;
mod posterior;
mod correct;
mod assemble;

pub use assemble::assemble;
pub use cursor::ReadError;
pub use days::DayCounts;
pub use plans::load_plans;
pub use questions::Questions;
pub use scan::{ScanStats, scan};
pub use tally::{ExperimentTally, History, MetricTally, Tally, Totals, VariantTally};
pub use values::ValueTally;
