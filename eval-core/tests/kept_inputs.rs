//! The inputs that fuzzing keeps (`fuzz/corpus/`), every one of them.

#![expect(clippy::unwrap_used, reason = "test code: a wrong assumption should stop the test")]

#[path = "../fuzz/src/checks.rs"]
mod checks;

use std::path::Path;

#[track_caller]
fn repeat(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut n_inputs = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        n_inputs += 1;
    }
    assert!(n_inputs >= 10, "{} holds {n_inputs} inputs", folder.display());
}

#[test]
fn blobs_that_fuzzing_keeps_are_harmless() {
    repeat("blob", checks::blob);
}

#[test]
fn conditions_that_fuzzing_keeps_hold_or_do_not() {
    repeat("condition", checks::condition);
}

#[test]
fn contexts_that_fuzzing_keeps_are_decided() {
    repeat("context", checks::context);
}
