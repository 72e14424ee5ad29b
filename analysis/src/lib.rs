//! Statistics (pure) and the batch pipeline that turns the event lake into reports.
//!
//! Reading order: [`plan`] says what must be answered, [`pipeline`] reads the lake and reduces it to
//! the sufficient statistics of [`stats`], [`methods`] turn those into estimates, [`report`] is what
//! is handed in. [`power`] plans sample sizes, [`stats_cli`] offers the same methods as JSON lines.
//! [`simulate`] draws experiments and runs them through the same engine, and [`calibration`] holds
//! what it does against what it claims.
//!
//! Not here: the database (a plan comes in by object storage, a report goes out by the public API)
//! and assignment (`eval-core`).
#![forbid(unsafe_code)]

pub mod plan;
pub mod report;
pub mod stats;
#[expect(clippy::many_single_char_names, reason = "formulas keep the letters of their papers")]
pub mod methods;
pub mod planned_looks;
pub mod recommendation;
pub mod power;
pub mod power_sequential;
pub mod stats_cli;
pub mod pipeline;
pub mod simulate;
pub mod calibration;
mod settings;
mod submit;
mod run;

pub use run::{run, run_once};
pub use settings::Settings;
