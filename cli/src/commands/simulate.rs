//! `sortition simulate`: experiments whose truth is known, through the real engine.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use analysis::calibration::{self, Effort};
use analysis::plan::{Direction, MetricRole, SpendingFunction};
use analysis::simulate::{Law, Progress, Scenario, Stage, simulate};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::console;

/// Draw experiments whose truth is known, run them through the engine of the results page, and say how often it was right.
///
/// Reports false positives, power, coverage, false discoveries and stopping times, each with the band of the simulation's own
/// error. The answer depends on the flags and the seed alone, not on the number of threads.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Read the scenario from a file of JSON, as `--json` prints it, in place of the flags below.
    #[arg(long, value_name = "FILE", conflicts_with = "calibration")]
    scenario: Option<PathBuf>,

    /// How the numbers of units are spread.
    #[arg(long, value_enum, default_value_t = Outcome::Normal)]
    outcome: Outcome,

    /// Mean of control; of zero-inflated revenue that of the units with an amount.
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true)]
    mean: f64,

    /// Standard deviation of a unit (normal) or of a cluster's member (clustered).
    #[arg(long, default_value_t = 5.0)]
    std_dev: f64,

    /// Control's share of units that convert (bernoulli), that have an amount (zero-inflated), or its conversions per view
    /// (ratio).
    #[arg(long, default_value_t = 0.05)]
    rate: f64,

    /// Standard deviation of the logarithm of amounts (lognormal, zero-inflated).
    #[arg(long, default_value_t = 1.0)]
    sigma: f64,

    /// Mean number of views of a unit (ratio) or of members of a cluster (clustered).
    #[arg(long, default_value_t = 5.0)]
    size: f64,

    /// Correlation of the members of one cluster.
    #[arg(long, default_value_t = 0.1)]
    within: f64,

    /// Units of all variants by the end.
    #[arg(long, default_value_t = 10_000)]
    units: u64,

    /// Split between control and treatments, control first.
    #[arg(long, default_value = "1:1", value_name = "C:T[:T…]", value_parser = split)]
    split: Split,

    /// The split that units really get, where a fault makes it another.
    #[arg(long, value_name = "C:T[:T…]", value_parser = split)]
    faulty_split: Option<Split>,

    /// Stages of a ramp ahead of the last one: units and split of each, such as `2000@9:1`. Each is a phase of its own.
    #[arg(long, value_name = "UNITS@C:T", value_parser = stage, value_delimiter = ',')]
    ramp: Vec<Stage>,

    /// True lift of each treatment, such as 0.02 for +2 %.
    #[arg(long, default_value = "0", value_delimiter = ',', allow_negative_numbers = true)]
    lift: Vec<f64>,

    /// Looks, evenly spaced.
    #[arg(long, default_value_t = 10)]
    looks: u32,

    /// The looks share alpha: a group-sequential test with this spending function.
    #[arg(long, value_enum)]
    spending: Option<Spending>,

    /// Metrics of the same law.
    #[arg(long, default_value_t = 1)]
    metrics: u32,

    /// How many of the metrics have the lifts; the others have none. All by default.
    #[arg(long)]
    affected: Option<u32>,

    /// What the metrics are for: decides their correction, and whether they are guardrails.
    #[arg(long, value_enum, default_value_t = Role::Primary)]
    role: Role,

    /// Less of the metrics is better.
    #[arg(long)]
    decrease: bool,

    /// Correlation of the metrics.
    #[arg(long, default_value_t = 0.0)]
    correlation: f64,

    /// Correlation of a unit's number with its number before exposure; without it there are no histories.
    #[arg(long, allow_negative_numbers = true)]
    history: Option<f64>,

    /// Significance level.
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,

    /// Experiments to draw.
    #[arg(long, default_value_t = 1000)]
    runs: u64,

    /// Seed of all random numbers; with `--calibration` that of the document, unless given.
    #[arg(long)]
    seed: Option<u64>,

    /// Threads; all cores by default.
    #[arg(long)]
    threads: Option<usize>,

    /// Print JSON.
    #[arg(long, conflicts_with = "calibration")]
    json: bool,

    /// Run every check of the statistics and print `docs/calibration.md`. Takes minutes; fails when a figure lies outside of
    /// its band.
    #[arg(long)]
    calibration: bool,

    /// With `--calibration`: a twentieth of the runs.
    #[arg(long, requires = "calibration")]
    quick: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Outcome {
    Normal,
    Bernoulli,
    Lognormal,
    ZeroInflated,
    Ratio,
    Clustered,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Spending {
    ObrienFleming,
    Pocock,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Primary,
    Secondary,
    Guardrail,
}

/// Parts of a split.
#[derive(Debug, Clone)]
struct Split(Vec<f64>);

fn split(text: &str) -> Result<Split, String> {
    let part =
        |part: &str| part.trim().parse::<f64>().map_err(|_| format!("{part:?} is no number"));
    text.split(':').map(part).collect::<Result<_, _>>().map(Split)
}

fn stage(text: &str) -> Result<Stage, String> {
    let (units, parts) = text.split_once('@').ok_or("must be UNITS@C:T, such as 2000@9:1")?;
    let units = units.trim().parse().map_err(|_| format!("{units:?} is no number of units"))?;
    Ok(Stage { units, split: split(parts)?.0, faulty_split: None })
}

impl Simulate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = self.threads.unwrap_or(cores).max(1);
        let meter = Meter::new();
        let progress = |progress: Progress<'_>| meter.show(progress);
        if self.calibration {
            let effort = if self.quick { Effort::Quick } else { Effort::Full };
            let seed = self.seed.unwrap_or(calibration::SEED);
            let sections = calibration::calibrate(effort, seed, threads, &progress);
            meter.clear();
            let quick = if self.quick { " --quick" } else { "" };
            let seeded =
                if seed == calibration::SEED { String::new() } else { format!(" --seed {seed}") };
            let command = format!("sortition simulate --calibration{quick}{seeded}");
            console::line(calibration::markdown(&sections, seed, &command).trim_end());
            let checks = sections.iter().flat_map(|section| &section.checks);
            let outside: Vec<&str> =
                checks.filter(|check| !check.holds()).map(|check| check.what.as_str()).collect();
            if !outside.is_empty() {
                bail!("outside of their bands: {}", outside.join("; "));
            }
            return Ok(());
        }
        let scenario = self.scenario()?;
        let found = simulate(&scenario, threads, &progress)?;
        meter.clear();
        if self.json {
            console::line(&serde_json::to_string_pretty(&found)?);
        } else {
            console::line(found.to_string().trim_end());
        }
        Ok(())
    }

    fn scenario(&self) -> anyhow::Result<Scenario> {
        if let Some(path) = &self.scenario {
            let name = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("reading {name}"))?;
            let mut scenario: Scenario =
                serde_json::from_str(&text).with_context(|| format!("{name} is no scenario"))?;
            scenario.seed = self.seed.unwrap_or(scenario.seed);
            return Ok(scenario);
        }
        let mut stages = self.ramp.clone();
        let before: u64 = stages.iter().map(|stage| stage.units).fold(0, u64::saturating_add);
        let Some(units) = self.units.checked_sub(before) else {
            bail!(
                "--ramp: its stages have {before} units, more than the {} of --units",
                self.units
            );
        };
        stages.push(Stage {
            units,
            split: self.split.0.clone(),
            faulty_split: self.faulty_split.as_ref().map(|split| split.0.clone()),
        });
        Ok(Scenario {
            outcome: self.law(),
            stages,
            lifts: self.lift.clone(),
            looks: self.looks,
            spending: self.spending.map(|spending| match spending {
                Spending::ObrienFleming => SpendingFunction::ObrienFleming,
                Spending::Pocock => SpendingFunction::Pocock,
            }),
            metrics: self.metrics,
            affected: self.affected.unwrap_or(self.metrics),
            role: match self.role {
                Role::Primary => MetricRole::Primary,
                Role::Secondary => MetricRole::Secondary,
                Role::Guardrail => MetricRole::Guardrail,
            },
            direction: if self.decrease { Direction::Decrease } else { Direction::Increase },
            correlation: self.correlation,
            history: self.history,
            alpha: self.alpha,
            runs: self.runs,
            seed: self.seed.unwrap_or(1),
        })
    }

    fn law(&self) -> Law {
        let (mean, std_dev, rate, sigma) = (self.mean, self.std_dev, self.rate, self.sigma);
        match self.outcome {
            Outcome::Normal => Law::Normal { mean, std_dev },
            Outcome::Bernoulli => Law::Bernoulli { rate },
            Outcome::Lognormal => Law::Lognormal { mean, sigma },
            Outcome::ZeroInflated => Law::ZeroInflated { rate, mean, sigma },
            Outcome::Ratio => Law::Ratio { rate, views: self.size },
            Outcome::Clustered => {
                Law::Clustered { mean, std_dev, members: self.size, correlation: self.within }
            }
        }
    }
}

/// Progress on standard error: one line that overwrites itself on a terminal, a line now and then elsewhere.
struct Meter {
    is_terminal: bool,
    shown: Mutex<Option<Instant>>,
}

impl Meter {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), shown: Mutex::new(None) }
    }

    fn show(&self, progress: Progress<'_>) {
        let pause = Duration::from_millis(if self.is_terminal { 200 } else { 10_000 });
        let Ok(mut shown) = self.shown.try_lock() else { return };
        if shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        *shown = Some(Instant::now());
        let Progress { what, done, of } = progress;
        let mut err = std::io::stderr().lock();
        let _ = if self.is_terminal {
            write!(err, "\r\x1b[K{done} of {of}: {what}").and_then(|()| err.flush())
        } else {
            writeln!(err, "{done} of {of}: {what}")
        };
    }

    /// Leaves nothing of the line that overwrites itself.
    fn clear(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
