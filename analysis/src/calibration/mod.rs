//! Calibration: what the statistics claim, held against simulated experiments whose truth is known.
//!
//! Each check counts how often something happened in simulated runs, or computes a figure, and holds
//! it against the band that a correct build leaves once in a thousand. The document is a function of
//! the seed.

mod check;
mod draw;
mod fixed_horizon;
mod coverage;
mod peeking;
mod designs;
mod families;
mod sample_ratio;
mod variance;
mod guardrails;
mod markdown;

pub use check::{Band, Check, LEVEL, Section};
pub use markdown::markdown;

use crate::simulate::{Progress, Runner};

/// The seed of the document in the repository.
pub const SEED: u64 = 20_261_129;

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As many runs as the bands are made for: minutes.
    Full,
    /// A twentieth of the runs and shorter paths: seconds.
    Quick,
}

/// What all checks share.
struct Calibration<'p> {
    runner: Runner<'p>,
    effort: Effort,
}

impl Calibration<'_> {
    /// Runs of a check that has `full` of them.
    fn runs(&self, full: u64) -> u64 {
        match self.effort {
            Effort::Full => full,
            Effort::Quick => (full / 20).max(200).min(full),
        }
    }

    fn is_quick(&self) -> bool {
        self.effort == Effort::Quick
    }
}

/// All checks, on so many threads.
pub fn calibrate(
    effort: Effort,
    seed: u64,
    threads: usize,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Vec<Section> {
    let calibration = Calibration { runner: Runner::new(seed, threads, progress), effort };
    let sections = [
        fixed_horizon::section,
        coverage::section,
        peeking::section,
        designs::section,
        families::section,
        sample_ratio::section,
        variance::section,
        guardrails::section,
    ];
    sections.into_iter().map(|section| section(&calibration)).collect()
}
