//! The API as clients see it, over HTTP, on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test panics when something is missing")]

mod harness;
mod slice;
