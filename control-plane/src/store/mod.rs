//! The database: all SQL of the control plane, one file per group of tables.
//!
//! Each statement is written once, in the subset that SQLite and PostgreSQL share: `$1` placeholders, `TEXT`,
//! `BIGINT` and byte strings, times as epoch milliseconds, definitions as JSON text. Every function takes a
//! [`Tx`], so that whoever calls decides what is one transaction.

mod db;
pub mod resource;
pub mod environments;
pub mod keys;
pub mod tokens;
pub(crate) mod users;
pub mod audit;
pub mod history;
pub mod idempotency;
pub mod snapshot;
pub mod publications;
pub mod reports;
pub mod approvals;
pub mod decisions;
pub mod leases;
pub mod webhooks;
pub mod change_requests;

pub use db::{Arg, Db, Row, Tx};
pub use resource::{Resource, Versioned};
pub use snapshot::{EnvironmentSnapshot, load_environment, load_environment_in};
