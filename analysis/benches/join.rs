//! The join of exposures and metric events: one full scan of a generated lake.
//!
//! ```text
//! cargo bench -p analysis --bench join                                  1/10 of the size of the target
//! cargo bench -p analysis --bench join -- --scale 1.0                   10 M exposures, 20 M metric events
//! cargo bench -p analysis --bench join -- --scale 1.0 --days 14         one file for each day and bucket
//! ```
//!
//! The lake is generated once for each size, from a seed, into the target folder: 100 experiments,
//! a million units at scale 1, 14 days, four metrics for each experiment, 32 unit buckets. The scan
//! runs in a process of its own, so that its CPU time and memory are nothing else's.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use analysis::pipeline::{Questions, assemble, scan};
use analysis::plan::Plan;
use collector::lake::{Lake, UnitBuckets};
use collector::schema::Kind;
use serde_json::json;
use support::{DAY, LakeWriter, Row, What, batch, split_mix};
use tokio_util::sync::CancellationToken;

const SEED: u64 = 20_261_120;
const EXPERIMENTS: u64 = 100;
const BUCKETS: u64 = 32;
const SPAN_DAYS: i64 = 14;
const DAY_US: i64 = 86_400_000_000;
const ENVIRONMENT: &str = "production-benchaaa";
const EVENTS: [&str; 4] = ["purchase", "click", "view", "session"];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let threads = option("--threads").map_or(Ok(2), |text| text.parse())?;
    if let Some(folder) = option("--run") {
        return run(Path::new(&folder), threads);
    }
    let scale: f64 = option("--scale").map_or(Ok(0.1), |text| text.parse())?;
    let days: i64 = option("--days").map_or(Ok(1), |text| text.parse())?;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("join-{scale}-{days}"));
    if !folder.join("done").exists() {
        println!("generating {} (seed {SEED})", folder.display());
        generate(&folder, scale, days)?;
    }
    for _ in 0..3 {
        let status = Command::new(std::env::current_exe()?)
            .args(["--run".as_ref(), folder.as_os_str()])
            .args(["--threads", &threads.to_string()])
            .status()?;
        anyhow::ensure!(status.success(), "the scan failed");
    }
    Ok(())
}

fn plan() -> anyhow::Result<Plan> {
    let metrics: Vec<_> = EVENTS
        .iter()
        .enumerate()
        .map(|(index, event)| {
            let role = if index == 0 { "primary" } else { "secondary" };
            json!({"metric": event, "role": role, "kind": "mean", "event": event})
        })
        .collect();
    let experiments: Vec<_> = (0..EXPERIMENTS)
        .map(|number| {
            json!({
                "id": format!("{number}"), "experiment": format!("experiment_{number:03}"),
                "status": "running", "unit_type": "user_id", "alpha": 0.05, "power": 0.8,
                "variants": [{"variant": "control", "share": 5000}, {"variant": "treatment", "share": 5000}],
                "metrics": metrics,
            })
        })
        .collect();
    Ok(serde_json::from_value(json!({
        "project": "bench", "environment": ENVIRONMENT, "generation": 7,
        "created_at": "2026-11-20T00:00:00Z", "experiments": experiments,
    }))?)
}

/// A stream of well-mixed numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        split_mix(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn time(&mut self) -> i64 {
        DAY + (self.next() % (SPAN_DAYS * DAY_US).unsigned_abs()).cast_signed()
    }

    fn id(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

fn generate(folder: &Path, scale: f64, days: i64) -> anyhow::Result<()> {
    // A generation that was interrupted leaves half a lake.
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a scale is a small positive number"
    )]
    let units = (1e6 * scale) as u64;
    let mut hashes: Vec<u64> = (0..units).map(|unit| split_mix(SEED ^ unit << 20)).collect();
    hashes.sort_unstable();
    let mut lake = LakeWriter::new(folder, "bench");
    for bucket in 0..BUCKETS {
        // Compacted files are named by the first byte of the pseudonym, unsigned.
        let width = 256 / BUCKETS;
        let first = u8::try_from(bucket * width)?;
        let buckets = UnitBuckets { first, last: first + u8::try_from(width - 1)? };
        let inside = hashes.iter().filter(|hash| (**hash >> 56) / width == bucket);
        let (mut exposures, mut metrics) = (Vec::new(), Vec::new());
        for &hash in inside {
            add_unit(hash, &mut exposures, &mut metrics);
        }
        for (kind, mut rows) in [(Kind::Exposure, exposures), (Kind::Metric, metrics)] {
            rows.sort_by_key(|row: &Row| (row.unit_hash, row.ts));
            for day in 0..days {
                let received = |row: &&Row| (row.received - DAY) * days / (SPAN_DAYS * DAY_US);
                let of_day: Vec<Row> =
                    rows.iter().filter(|row| received(row).min(days - 1) == day).cloned().collect();
                let batches = of_day.chunks(64 * 1024).map(batch);
                lake.write_compacted(kind, &format!("2026-12-{:02}", day + 1), buckets, batches);
            }
        }
    }
    lake.commit();
    std::fs::write(folder.join("done"), [])?;
    Ok(())
}

/// About 10 exposures and 20 metric events of one unit.
fn add_unit(hash: u64, exposures: &mut Vec<Row>, metrics: &mut Vec<Row>) {
    let mut random = Random(split_mix(hash));
    let row = |event_id, ts, what| Row {
        event_id,
        env: ENVIRONMENT.into(),
        unit_type: "user_id".into(),
        unit_hash: hash.cast_signed(),
        ts,
        received: ts + 2_000_000,
        what,
    };
    for _ in 0..5 + random.below(11) {
        let experiment = random.below(EXPERIMENTS);
        let treated = split_mix(hash ^ experiment) & 1 == 1;
        let what = What::Exposure {
            experiment: format!("experiment_{experiment:03}"),
            variant: if treated { "treatment" } else { "control" }.into(),
            generation: Some(7),
        };
        exposures.push(row(random.id(), random.time(), what));
    }
    for _ in 0..10 + random.below(21) {
        let name = EVENTS[usize::try_from(random.below(4)).unwrap_or(0)].into();
        let value = (random.below(100_000) as f64) / 100.0;
        metrics.push(row(random.id(), random.time(), What::Metric { name, value: Some(value) }));
    }
}

fn run(folder: &Path, threads: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let lake = Lake::open(&format!("file://{}", folder.display()))?;
    let questions = Arc::new(Questions::new(vec![plan()?]));
    let started = Instant::now();
    let (tally, stats) = runtime.block_on(scan(
        &lake,
        "bench",
        Arc::clone(&questions),
        threads,
        &CancellationToken::new(),
    ))?;
    let scanned = started.elapsed();
    let scan_end = Instant::now();
    let reports = assemble(&questions, &tally, jiff::Timestamp::UNIX_EPOCH);
    let assembled = scan_end.elapsed();
    let units: u64 = reports.iter().flat_map(|report| report.exposures.values()).sum();
    println!(
        "join: {} rows, {} units, {units} units in experiments, {threads} threads: {:.2} s wall, \
         {:.2} s CPU, {} MB peak, then {:.2} ms for {} reports",
        stats.rows,
        stats.units,
        scanned.as_secs_f64(),
        cpu_seconds().unwrap_or(f64::NAN),
        peak_mb().unwrap_or(0),
        assembled.as_secs_f64() * 1e3,
        reports.len(),
    );
    Ok(())
}

/// User and system time of this process, from Linux' /proc (100 ticks a second).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// Largest resident set of this process in MB, from Linux' /proc.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb / 1024)
}
