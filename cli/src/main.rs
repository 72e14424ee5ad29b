//! The `sortition` binary.

fn main() {}
