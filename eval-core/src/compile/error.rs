//! Why a config cannot be compiled.

/// Names the entry and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Two entries of a kind have the same name.
    #[error("{kind} `{key}` is defined twice")]
    Duplicate {
        /// Layer, holdout, segment, experiment, flag, or key.
        kind: &'static str,
        /// The name.
        key: String,
    },
    /// Something refers to what does not exist.
    #[error("{entry} refers to {kind} `{key}`, which does not exist")]
    Unknown {
        /// What refers.
        entry: String,
        /// What it refers to.
        kind: &'static str,
        /// The name.
        key: String,
    },
    /// Two claims on a bucket.
    #[error("bucket {bucket} of {space} is claimed by `{first}` and by `{second}`")]
    Overlap {
        /// Layer or experiment.
        space: String,
        /// The bucket.
        bucket: u16,
        /// One claimant.
        first: String,
        /// The other.
        second: String,
    },
    /// Bucket ranges that leave the space of 10 000, or variants that do not cover it.
    #[error("{entry}: {problem}")]
    Ranges {
        /// Whose.
        entry: String,
        /// What is wrong.
        problem: String,
    },
    /// A salt that is empty, too long, or holds a colon.
    #[error("{entry}: a salt has 1 to 64 bytes and no `:`")]
    Salt {
        /// Whose.
        entry: String,
    },
    /// Two spaces would deal identical buckets.
    #[error("the salts of {first} and of {second} give identical buckets")]
    SaltCollision {
        /// One space.
        first: String,
        /// The other.
        second: String,
    },
    /// Requirements or segments that lead back to themselves.
    #[error("{kind} lead back to themselves: {}", path.join(" → "))]
    Cycle {
        /// Prerequisites or segments.
        kind: &'static str,
        /// The way round.
        path: Vec<String>,
    },
    /// A chain of prerequisites that is too long.
    #[error("`{entry}` has a chain of prerequisites longer than {limit}")]
    TooDeep {
        /// Where it starts.
        entry: String,
        /// Longest chain.
        limit: usize,
    },
    /// A condition that cannot be evaluated as written.
    #[error("{entry}: {problem}")]
    Condition {
        /// Whose.
        entry: String,
        /// What is wrong.
        problem: String,
    },
    /// A value outside what the format can hold or the rules allow.
    #[error("{entry}: {problem}")]
    Value {
        /// Whose.
        entry: String,
        /// What is wrong.
        problem: String,
    },
}
