//! The collector as its clients and its readers see it.

mod support;
mod bad_input;
mod compaction;
mod ingest;
mod keys;
mod killed;
mod lake;
mod power_cut;
mod store_failures;
