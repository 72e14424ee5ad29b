//! The demo: an experiment on a checkout page, and visitors who go through it.
//!
//! [`shop`] defines the experiment in a project of its own, [`visitor`] says who comes and how he
//! behaves, [`traffic`] sends visitors through the edge. All of it uses the public interfaces alone.

pub(crate) mod shop;
pub(crate) mod visitor;
pub(crate) mod traffic;
