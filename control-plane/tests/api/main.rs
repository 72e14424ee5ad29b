//! The API as clients see it, over HTTP, on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test panics when something is missing")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "seeds and causes are shown")]

mod harness;
mod bodies;
mod slice;
mod starting_up;
mod conventions;
mod access;
mod matrix;
mod people;
mod audit;
mod shared;
mod experiments;
mod exclusivity;
mod starting;
mod scheduler;
mod lifecycle;
mod decisions;
mod schedules;
mod webhooks;
mod bundles;
mod change_requests;
mod flags;
mod history;
mod forwarding;
mod dashboard;
mod document;
mod bad_input;
