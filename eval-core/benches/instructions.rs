//! The work of the other benchmarks, so and so often, for a tool that counts instructions: `scripts/bench instructions`. The
//! count is the same on every run, however busy the machine is.
//!
//! `instructions WHAT TIMES` does the work and says how many decisions (or loaded configs) that was.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops when its set-up is wrong, and prints"
)]
#![allow(clippy::wildcard_imports, reason = "definitions name nearly every type of the module")]
#![allow(
    clippy::allow_attributes,
    reason = "whether a benchmark's items count as documented depends on the harness"
)]

#[path = "../tests/support/mod.rs"]
mod support;
mod typical;

use eval_core::source::ConfigSource;
use eval_core::{CompiledConfig, Context, Decision, Request, blob, compile};
use std::hint::black_box;
use support::random::Rng;
use typical::{full_layers, half_matching, many, panel, panels, single};

fn read(decision: &Decision<'_>) {
    black_box(&decision.variant());
    black_box(&decision.value_bytes());
    black_box(&decision.reason());
    black_box(&decision.exposure());
}

/// Decides the single experiment for everybody.
fn one(users: &[Context<'_>], times: usize) -> usize {
    let config = compile(&single()).unwrap();
    for _ in 0..times {
        for user in users {
            read(&Request::new(&config, user, None, 0).evaluate(black_box("checkout-cta-00000")));
        }
    }
    users.len() * times
}

/// Decides everything for one of sixteen users at a time.
fn all(source: &ConfigSource, times: usize, take: fn(&Decision<'_>)) -> usize {
    let config: CompiledConfig<'_> = compile(source).unwrap();
    let users = panels();
    for user in users.iter().cycle().take(times) {
        Request::new(&config, user, None, 0).evaluate_all(take);
    }
    config.n_keys() * times
}

fn decode(n: usize, times: usize) -> usize {
    let bytes = blob::encode(&compile(&many(n)).unwrap(), 1, 1);
    for _ in 0..times {
        black_box(&blob::decode(black_box(&bytes)).unwrap());
    }
    times
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, times, ..] = arguments.as_slice() else {
        println!(
            "one-of-half one-of-all all-1000 all-10000 layers layers-unread decode-1000 decode-10000"
        );
        return;
    };
    let times: usize = times.parse().unwrap();
    let unread: fn(&Decision<'_>) = |decision| {
        black_box(decision);
    };
    let n_done = match what.as_str() {
        "one-of-half" => one(&half_matching(1000), times),
        "one-of-all" => {
            let mut rng = Rng(7);
            one(&(0..1000).map(|_| panel(&mut rng)).collect::<Vec<_>>(), times)
        }
        "all-1000" => all(&many(1000), times, read),
        "all-10000" => all(&many(10_000), times, read),
        "layers" => all(&full_layers(50, 20), times, read),
        "layers-unread" => all(&full_layers(50, 20), times, unread),
        "decode-1000" => decode(1000, times),
        "decode-10000" => decode(10_000, times),
        other => {
            println!("there is no {other}");
            return;
        }
    };
    println!("{n_done}");
}
