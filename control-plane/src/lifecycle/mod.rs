//! How an experiment moves through its life and which buckets it owns meanwhile. Pure: time is an argument.

pub(crate) mod allocation;
pub(crate) mod split;
pub(crate) mod transition;
pub(crate) mod revision;
pub(crate) mod traffic;
