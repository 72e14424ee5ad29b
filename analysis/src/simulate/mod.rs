//! Simulated experiments through the real engine.
//!
//! A [`Scenario`] says how units behave; [`simulate`] draws many experiments of it, lets the engine
//! report at each look (the same function that turns the lake's sufficient statistics into reports),
//! and counts how often it was right. The answer depends on the scenario and its seed alone: not on
//! the number of threads, nor on the machine, up to the last bit of its logarithms.

mod stream;
mod law;
mod scenario;
mod world;
mod outcome;
mod summary;
mod text;

pub use law::{Law, poisson, standard_normal};
pub use scenario::{MOST_UNITS, Scenario, ScenarioError, Stage};
pub use stream::{Progress, Rng, Runner, stream};
pub use summary::{
    AdjustedRates, ComparisonRates, FamilyRates, FixedRates, GuardrailRates, MeanOfRuns,
    PlannedLookRates, Rate, SequentialRates, Simulation, SrmRates, Stopping,
};

use outcome::{Outcome, Watch};
use world::World;

/// Draws the scenario's experiments on so many threads; `progress` is called now and then, from any
/// of them.
pub fn simulate(
    scenario: &Scenario,
    threads: usize,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Simulation, ScenarioError> {
    simulate_with(&Runner::new(scenario.seed, threads, progress), "experiments", scenario)
}

/// As [`simulate`], with the runner's seed in place of the scenario's, and random numbers of its own
/// for each name.
pub(crate) fn simulate_with(
    runner: &Runner<'_>,
    name: &str,
    scenario: &Scenario,
) -> Result<Simulation, ScenarioError> {
    scenario.check()?;
    let world = World::new(scenario);
    let n_looks = scenario.schedule().len();
    let mut outcome = Outcome::default();
    let run = |rng: &mut Rng| {
        let mut watch = Watch::new(scenario, n_looks);
        world.run(rng, |index, report| watch.look(index, index + 1 == n_looks, report));
        watch.close()
    };
    let take = |chunk| outcome = std::mem::take(&mut outcome).join(chunk);
    runner.fold(name, scenario.runs, run, take, Outcome::join);
    Ok(summary::summarise(scenario, &outcome))
}
