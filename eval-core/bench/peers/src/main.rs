//! Published Rust evaluators and ours on the same work, in one run: a decision, all decisions of a user, loading, memory, size.
//!
//! What is not the same: the hash (named in each peer's file), and how rich the answer is. Everything is called in the way
//! that is best for the peer, by reference where its own SDK would clone. CPU time of one thread; medians.

#![expect(clippy::print_stdout, reason = "a program that reports")]

#[path = "../../../tests/support/counting.rs"]
mod counting;
#[path = "../../../tests/support/mod.rs"]
mod support;
#[path = "../../../benches/typical/mod.rs"]
mod typical;

mod model;
mod peer;
mod measure;
mod ours;
mod eppo;
mod unleash;
mod growthbook;
mod launchdarkly;
mod flagsmith;

use measure::{Figures, figures};

#[global_allocator]
static ALLOC: counting::Counting = counting::Counting;

fn main() {
    let measured = [
        figures::<ours::Sortition>(),
        figures::<eppo::Eppo>(),
        figures::<unleash::Unleash>(),
        figures::<launchdarkly::LaunchDarkly>(),
        figures::<growthbook::Growth>(),
        figures::<flagsmith::Flagsmith>(),
    ];
    let [ours, peers @ ..] = &measured;
    for figures in &measured {
        report(figures);
    }
    println!();
    let one = |figures: &Figures| figures.one.map(|(ns, _)| ns);
    ratio("one decision", one(ours), peers, one);
    for (at, n) in measure::SCALES.iter().enumerate() {
        let all = |figures: &Figures| fastest(figures.all.iter().map(|(_, times)| times[at]));
        ratio(&format!("all of {n} experiments"), all(ours), peers, all);
        let size = |figures: &Figures| Some(figures.sizes[at].zstd as f64);
        ratio(&format!("payload of {n}, zstd -19"), size(ours), peers, size);
        let load = |figures: &Figures| Some(figures.load_ms[at]);
        ratio(&format!("loading {n}"), load(ours), peers, load);
        let kept = |figures: &Figures| Some(figures.memory[at].kept_bytes as f64);
        ratio(&format!("memory after loading {n}"), kept(ours), peers, kept);
    }
}

fn report(figures: &Figures) {
    println!("{}", figures.name);
    if let Some((ns, allocations)) = figures.one {
        println!("    one decision: {ns:.0} ns, {allocations:.1} allocations");
    }
    for (name, times) in &figures.all {
        println!("    all of 1000 / 10000 by {name}: {:.1} / {:.0} µs", times[0], times[1]);
    }
    for (at, n) in measure::SCALES.iter().enumerate() {
        let (size, memory) = (figures.sizes[at], figures.memory[at]);
        let brotli =
            if size.brotli == 0 { String::new() } else { format!(", {} brotli 11", size.brotli) };
        println!(
            "    {n}: payload {} bytes, {} zstd -19{brotli}; loaded in {:.2} ms; {} bytes kept, {} at most",
            size.raw, size.zstd, figures.load_ms[at], memory.kept_bytes, memory.peak_bytes
        );
    }
}

fn fastest(times: impl Iterator<Item = f64>) -> Option<f64> {
    times.min_by(f64::total_cmp)
}

/// How many times as much the best peer takes.
fn ratio(what: &str, ours: Option<f64>, peers: &[Figures], of: impl Fn(&Figures) -> Option<f64>) {
    let best = peers
        .iter()
        .filter_map(|peer| Some((of(peer)?, peer.name)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    if let (Some(ours), Some((best, name))) = (ours, best) {
        println!("{what}: the best peer ({name}) takes {:.1} times as much", best / ours);
    }
}
