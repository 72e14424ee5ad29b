//! The inputs that fuzzing keeps (`fuzz/corpus/`), every one of them.

#![expect(clippy::unwrap_used, reason = "test code: a wrong assumption should stop the test")]

#[path = "../fuzz/src/checks/mod.rs"]
mod checks;
#[path = "../../eval-core/tests/corpus/mod.rs"]
mod corpus;

#[track_caller]
fn repeat(target: &str, check: fn(&[u8])) {
    corpus::repeat(env!("CARGO_MANIFEST_DIR"), target, 8, check);
}

#[test]
fn bodies_for_ofrep_that_fuzzing_keeps_are_answered_alike_in_bulk_and_alone() {
    repeat("ofrep", checks::ofrep);
}

#[test]
fn bodies_for_evaluation_that_fuzzing_keeps_are_decided_or_refused_by_field() {
    repeat("evaluate", checks::evaluate);
}

#[test]
fn cookies_that_fuzzing_keeps_flip_nothing() {
    repeat("cookie", checks::cookie);
}

#[test]
fn exposure_tokens_that_fuzzing_keeps_become_events_or_errors() {
    repeat("token", checks::token);
}

#[test]
fn qa_links_that_fuzzing_keeps_leave_headers_and_pages_whole() {
    repeat("qa", checks::qa);
}

#[test]
fn events_that_fuzzing_keeps_are_passed_on_unchanged() {
    repeat("events", checks::events);
}
