//! Reports in, results out, and configs as edges fetch them, over HTTP.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test panics when something is missing")]

mod service;
mod delivery;
mod intake;
#[path = "../api/harness/postgres.rs"]
mod postgres;
mod withholding;
