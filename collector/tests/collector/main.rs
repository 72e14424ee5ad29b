//! The collector as its clients and its readers see it.

#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails the test")]

mod support;
mod bad_input;
mod compaction;
mod ingest;
mod keys;
mod killed;
mod lake;
mod power_cut;
mod store_failures;
