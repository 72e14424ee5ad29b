//! Who may do what: roles, grants, and the table of every route.
//!
//! The table is `matrix.txt`, one line for each route of the API's description; `tests/api/matrix.rs` asks every
//! cell of it over HTTP, and fails when a route has no line. A route without a line is open to nobody.

mod grant;
mod matrix;
mod role;

pub(crate) use grant::{Grant, Reach};
pub(crate) use matrix::find;
pub use matrix::{Cell, Row, Scope, rows};
pub use role::Role;
