//! Reading the inputs that fuzzing keeps; the edge's tests read theirs with this, too.

use std::path::Path;

/// Runs a check on every input that is kept of a target (`<package>/fuzz/corpus/<target>`), of which there must be `n_least`.
#[track_caller]
pub(crate) fn repeat(package: &str, target: &str, n_least: usize, check: fn(&[u8])) {
    let folder = Path::new(package).join("fuzz/corpus").join(target);
    let mut n_inputs = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        n_inputs += 1;
    }
    assert!(n_inputs >= n_least, "{} holds {n_inputs} inputs", folder.display());
}
