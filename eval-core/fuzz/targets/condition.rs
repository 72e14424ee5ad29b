#![no_main]
#![allow(dead_code, reason = "each target runs one of the checks")]

#[path = "../src/bounded.rs"]
mod bounded;
#[path = "../src/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bounded::run(|| checks::condition(input)));
