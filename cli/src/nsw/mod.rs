//! A real randomised experiment, sent through the whole platform.
//!
//! The National Supported Work demonstration assigned people to job training by lot. [`data`] holds its
//! 445 people, [`assign`] finds for each an id under which the evaluator puts him in the arm in which
//! he was, [`replay`] sends all of them through edge, collector and analysis, and [`published`] holds
//! what comes out against the numbers that everyone knows.

pub(crate) mod data;
pub(crate) mod assign;
pub(crate) mod replay;
pub(crate) mod published;
