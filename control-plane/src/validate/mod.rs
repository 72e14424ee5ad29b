//! Which definitions are sound. Pure functions of a definition and of what surrounds it; each reports every
//! problem that it finds, with a pointer into the body.

pub(crate) mod condition;
pub(crate) mod experiment;
pub(crate) mod flag;
pub(crate) mod graph;
pub(crate) mod prerequisites;
pub(crate) mod salts;
pub(crate) mod shared;
pub(crate) mod usage;
pub(crate) mod warnings;

use crate::error::Problems;
use crate::store::EnvironmentSnapshot;
use serde_json::Value;

/// Largest serialised value of a variant, in bytes.
pub(crate) const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Reports a variant's value that is too large.
fn check_value_size(value: &Value, pointer: &str, problems: &mut Problems) {
    if value.to_string().len() > MAX_VALUE_BYTES {
        problems.push(pointer, "too_long", format!("may have at most {MAX_VALUE_BYTES} bytes"));
    }
}

/// Reports names that stand twice in a list.
fn check_distinct<'n>(
    names: impl Iterator<Item = &'n str>,
    pointer: impl Fn(usize) -> String,
    problems: &mut Problems,
) {
    let mut seen = std::collections::BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            problems.push(pointer(index), "duplicate", format!("`{name}` stands here twice"));
        }
    }
}

/// Reports segments that a condition names and the project does not have.
fn check_segments_exist(
    condition: &eval_core::source::Condition,
    pointer: &str,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    for key in crate::definition::targeting::segments_of(condition) {
        if !snapshot.segments.iter().any(|segment| segment.definition.key == key) {
            problems.push(pointer, "unknown_segment", format!("there is no segment `{key}`"));
        }
    }
}
