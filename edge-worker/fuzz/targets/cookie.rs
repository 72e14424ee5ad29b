#![no_main]
#![allow(dead_code, unused_imports, reason = "each target runs one of the checks")]

#[path = "../../../eval-core/fuzz/src/bounded.rs"]
mod bounded;
#[path = "../src/checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bounded::run(|| checks::cookie(input)));
