//! Sufficient statistics: the few numbers that a method needs, and how they merge.
//!
//! Each is a small algebra: an empty value that is the identity, a way to add observations, and a
//! merge that is associative and commutative up to rounding, so that partitions of the lake can be
//! reduced on their own and added up.

mod moments;
mod comoments;
mod successes;
mod joint;
mod quantile_sketch;

pub use comoments::CoMoments;
pub use joint::JointMoments;
pub use moments::Moments;
pub use quantile_sketch::{Located, MOST_BUCKETS, QuantileSketch};
pub use successes::Successes;
