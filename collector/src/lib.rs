//! Events made durable: ingestion over HTTP, write-ahead log, duplicates, and the event lake on
//! object storage.
//!
//! ```text
//! POST /v1/events/batch ─→ validate, pseudonymise ─→ group commit to the log ─→ 202
//!                                                        │ sealed segment
//!                              lake: manifest n+1 ←── Parquet files ←── flush
//! ```
//!
//! The promise: an event that was answered as accepted or duplicate is stored, through `kill -9`
//! and power cuts, and is counted once.
//!
//! What is not here: reading the lake for statistics (the `analysis` crate does, through
//! [`lake::Lake`] and [`schema`]), and the edge's own exposure logging (the `edge-worker` crate,
//! which is a client of this one).

pub mod settings;
pub mod server;
pub(crate) mod routes;
pub(crate) mod http;
pub mod keys;
pub mod event;
pub mod clock;
pub mod pseudonym;
pub mod disk;
pub mod wal;
pub mod flush;
pub mod compact;
pub mod lake;
pub mod schema;

pub use compact::CompactionSettings;
pub use server::{Parts, run, serve, serve_parts};
pub use settings::Settings;
