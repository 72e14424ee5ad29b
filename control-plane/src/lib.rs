//! See the package description.

pub mod publish;
