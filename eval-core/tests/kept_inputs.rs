//! The inputs that fuzzing keeps (`fuzz/corpus/`), every one of them.

#![expect(clippy::unwrap_used, reason = "test code: a wrong assumption should stop the test")]

#[path = "../fuzz/src/checks.rs"]
mod checks;
mod corpus;

#[track_caller]
fn repeat(target: &str, check: fn(&[u8])) {
    corpus::repeat(env!("CARGO_MANIFEST_DIR"), target, 10, check);
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
