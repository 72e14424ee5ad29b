//! The whole platform on one machine: control plane, collector and analysis as tasks of this process,
//! the edge Worker in workerd as a child.
//!
//! [`platform`] starts the parts in their order and ends them together, [`worker`] looks after workerd,
//! [`secrets`] survive restarts in the state folder, [`description`] is what clients read.

pub(crate) mod description;
pub(crate) mod secrets;
pub(crate) mod worker;
pub(crate) mod parts;
pub(crate) mod ready;
pub(crate) mod platform;
