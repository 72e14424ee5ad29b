//! Publishing under contention, crashes and delays, on a local folder and on S3.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test panics when something is missing")]

mod claims;
mod compiling;
mod faults;
#[path = "../api/harness/postgres.rs"]
mod postgres;
mod publications;
mod s3;
mod snapshot;
mod stores;
mod world;
