//! An experiment's whole life over HTTP, held against computations that use none of the platform's code.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use platform_tests::calls::{Calls, Intake, exposure_event, metric_event};
use platform_tests::formula::Formula;
use platform_tests::platform::{Platform, state_folder};
use platform_tests::reference::{Expected, mean, sample_ratio, two_proportions, variance, welch};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const N_UNITS: usize = 10_000;
/// How many requests are under way at once.
const CONCURRENCY: usize = 16;
const ALPHA: f64 = 0.05;
const EXPERIMENT: &str = "whole_platform";

/// One unit as the test knows it.
struct Unit {
    id: String,
    country: &'static str,
    variant: String,
    enrolled: bool,
    purchases: Vec<f64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_runs_from_its_definition_to_its_results() -> anyhow::Result<()> {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);

    let state = state_folder();
    let platform = Platform::start(state.path())?;
    let calls = Calls::new(&platform.description);

    let holdout =
        calls.post("/holdouts", json!({"name": "kept_out", "size": 5, "scope": "project"})).await?;
    let experiment = define_experiment(&calls).await?;
    let id = experiment["id"].as_str().context("id")?;

    // Every decision of the Worker is the one of the formula.
    let formula = Formula {
        experiment: &experiment,
        holdouts: vec![(holdout["salt"].as_str().context("holdout salt")?.to_owned(), 5.0)],
    };
    let mut units = evaluate_all(&calls, &formula, seed).await?;
    let n_enrolled = units.iter().filter(|unit| unit.enrolled).count();
    ensure!((3_000..6_000).contains(&n_enrolled), "{n_enrolled} units enrolled");

    // Some units are seen in a second variant, too, and must not count.
    let generation = calls
        .evaluate(&json!({"unit_id": "x", "keys": [], "exposure": "none"}))
        .await?["generation"]
        .as_u64()
        .context("generation")?;
    let twice: BTreeSet<String> =
        units.iter().filter(|unit| unit.enrolled).take(25).map(|unit| unit.id.clone()).collect();
    let second_exposures: Vec<Value> = units
        .iter()
        .filter(|unit| twice.contains(&unit.id))
        .map(|unit| {
            let other = if unit.variant == "control" { "treatment_a" } else { "control" };
            exposure_event(&unit.id, EXPERIMENT, other, generation)
        })
        .collect();
    calls.send_events(Intake::Collector, &second_exposures).await?;

    send_purchases(&calls, &mut units, &mut random).await?;
    calls.post(&format!("/experiments/{id}/complete"), json!({})).await?;

    let counted: Vec<&Unit> =
        units.iter().filter(|unit| unit.enrolled && !twice.contains(&unit.id)).collect();
    let groups = by_variant(&counted);
    let n_buyers = counted.iter().filter(|unit| !unit.purchases.is_empty()).count();
    let results = calls
        .results_when(id, |results| {
            let counts: Option<Vec<u64>> = groups
                .iter()
                .map(|(name, group)| {
                    let n = results["exposures"][name].as_u64()?;
                    (n == group.len() as u64).then_some(n)
                })
                .collect();
            counts.is_some()
                && results["excluded_multiple_variants"] == twice.len()
                && n_converted(results) == Some(n_buyers)
                && results["status"] == "ready"
        })
        .await?;

    check_sample_ratio(&results, &groups)?;
    check_revenue(&results, &groups)?;
    check_conversion(&results, &groups)?;
    platform.stop()
}

async fn define_experiment(calls: &Calls) -> anyhow::Result<Value> {
    calls.post("/layers", json!({"name": "page", "domain_start": 0, "domain_end": 9999})).await?;
    calls
        .post(
            "/metrics",
            json!({"name": "conversion", "kind": "proportion", "event": "purchase", "direction": "increase"}),
        )
        .await?;
    calls.post("/metrics", json!({"name": "revenue", "kind": "mean", "event": "purchase"})).await?;
    calls
        .run_experiment(json!({
            "name": EXPERIMENT,
            "layer": "page",
            "traffic": 70,
            "variants": [
                {"name": "control", "weight": 50, "config": {"page": 1}},
                {"name": "treatment_a", "weight": 30, "config": {"page": 2}},
                {"name": "treatment_b", "weight": 20, "config": {"page": 3}},
            ],
            "targeting": {"countries": ["US", "CA"]},
            "primary_metric": "conversion",
            "secondary_metrics": ["revenue"],
            "min_detectable_effect": 0.1,
            "significance_level": ALPHA,
            "power": 0.8,
            "estimated_duration_days": 14,
        }))
        .await
}

/// Evaluates every unit at the Worker and holds each decision against the formula.
async fn evaluate_all(
    calls: &Calls,
    formula: &Formula<'_>,
    seed: u64,
) -> anyhow::Result<Vec<Unit>> {
    let one = async |number: usize| {
        let id = format!("unit-{seed}-{number}");
        let country = ["US", "CA", "DE"][number % 3];
        let request = json!({
            "units": {"user_id": id},
            "attributes": {"country": country},
            "keys": [EXPERIMENT],
        });
        let answer = calls.evaluate(&request).await?;
        let decision = &answer["decisions"][EXPERIMENT];
        let (variant, reason) = formula.decide(&id, country != "DE");
        ensure!(
            decision["variant"] == variant.as_str()
                && decision["reason"] == reason
                && decision["enrolled"] == (reason == "split"),
            "{id} in {country}: the formula says {variant} by {reason}, the edge says {decision}"
        );
        let names = ["control", "treatment_a", "treatment_b"];
        let page = names.iter().position(|name| *name == variant).context("a known variant")? + 1;
        ensure!(decision["value"]["page"] == page, "value of {decision}");
        Ok(Unit { id, country, variant, enrolled: reason == "split", purchases: Vec::new() })
    };
    stream::iter(0..N_UNITS).map(one).buffered(CONCURRENCY).try_collect().await
}

/// Sends purchases of about a third of the units, with everything in between that must not count:
/// events of the time before the exposure, events sent twice, events of units that are not enrolled.
async fn send_purchases(
    calls: &Calls,
    units: &mut [Unit],
    random: &mut SmallRng,
) -> anyhow::Result<()> {
    let mut events = Vec::new();
    for unit in units.iter_mut() {
        let chance = if unit.variant == "treatment_a" { 0.36 } else { 0.30 };
        while unit.purchases.len() < 4 && random.random_bool(chance) {
            let value = (random.random_range(1.0..200.0_f64) * 100.0).round() / 100.0;
            unit.purchases.push(value);
            let event = metric_event(&unit.id, "purchase", value);
            if random.random_bool(0.05) {
                events.push(event.clone());
            }
            events.push(event);
        }
        if random.random_bool(0.1) {
            let mut early = metric_event(&unit.id, "purchase", 1e6);
            let an_hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
            early["timestamp"] = an_hour_ago.to_string().into();
            events.push(early);
        }
        if random.random_bool(0.1) {
            events.push(metric_event(&unit.id, "page_view", 1.0));
        }
    }
    let mut n_accepted = 0;
    let mut n_duplicate = 0;
    for (index, batch) in events.chunks(500).enumerate() {
        let intake = if index % 2 == 0 { Intake::Edge } else { Intake::Collector };
        let answer = calls.send_events(intake, batch).await?;
        ensure!(answer["rejected"] == 0, "{answer}");
        n_accepted += answer["accepted"].as_u64().context("accepted")?;
        n_duplicate += answer["duplicate"].as_u64().context("duplicate")?;
    }
    let distinct: BTreeSet<&str> =
        events.iter().filter_map(|event| event["event_id"].as_str()).collect();
    ensure!(n_accepted == distinct.len() as u64, "{n_accepted} accepted of {}", distinct.len());
    ensure!(n_duplicate == (events.len() - distinct.len()) as u64, "{n_duplicate} duplicates");
    Ok(())
}

fn by_variant<'u>(units: &[&'u Unit]) -> BTreeMap<String, Vec<&'u Unit>> {
    let mut groups: BTreeMap<String, Vec<&Unit>> = BTreeMap::new();
    for unit in units {
        debug_assert_ne!(unit.country, "DE");
        groups.entry(unit.variant.clone()).or_default().push(unit);
    }
    groups
}

fn check_sample_ratio(
    results: &Value,
    groups: &BTreeMap<String, Vec<&Unit>>,
) -> anyhow::Result<()> {
    let n = |name: &str| groups[name].len() as u64;
    let counts = [n("control"), n("treatment_a"), n("treatment_b")];
    let (statistic, p_value) = sample_ratio(counts, [0.5, 0.3, 0.2]);
    close("srm.statistic", &results["srm"]["statistic"], statistic)?;
    close("srm.p_value", &results["srm"]["p_value"], p_value)
}

fn check_revenue(results: &Value, groups: &BTreeMap<String, Vec<&Unit>>) -> anyhow::Result<()> {
    let values = |name: &str| -> Vec<f64> {
        groups[name].iter().map(|unit| unit.purchases.iter().sum()).collect()
    };
    let control = values("control");
    for name in ["control", "treatment_a", "treatment_b"] {
        let values = values(name);
        let found = variant(results, "revenue", name)?;
        ensure!(found["n"] == values.len(), "{found}");
        close("value", &found["value"], mean(&values))?;
        close("std_dev", &found["std_dev"], variance(&values).sqrt())?;
        if name != "control" {
            check_comparison(found, welch(&control, &values, ALPHA))?;
        }
    }
    Ok(())
}

fn check_conversion(results: &Value, groups: &BTreeMap<String, Vec<&Unit>>) -> anyhow::Result<()> {
    let counts = |name: &str| {
        let group = &groups[name];
        let n_buyers = group.iter().filter(|unit| !unit.purchases.is_empty()).count();
        (n_buyers as u64, group.len() as u64)
    };
    for name in ["control", "treatment_a", "treatment_b"] {
        let (n_buyers, n) = counts(name);
        let found = variant(results, "conversion", name)?;
        ensure!(found["n"] == n, "{found}");
        close("value", &found["value"], n_buyers as f64 / n as f64)?;
        if name != "control" {
            check_comparison(found, two_proportions(counts("control"), (n_buyers, n), ALPHA))?;
        }
    }
    Ok(())
}

fn check_comparison(found: &Value, expected: Expected) -> anyhow::Result<()> {
    close("effect", &found["effect"], expected.effect)?;
    close("ci[0]", &found["ci"][0], expected.ci[0])?;
    close("ci[1]", &found["ci"][1], expected.ci[1])?;
    close("lift", &found["lift"], expected.lift)?;
    close("p_value", &found["p_value"], expected.p_value)
}

fn close(what: &str, found: &Value, expected: f64) -> anyhow::Result<()> {
    let number = found.as_f64().with_context(|| format!("{what} is {found}, not {expected}"))?;
    let tolerance = 1e-9 * expected.abs().max(1e-3);
    ensure!((number - expected).abs() <= tolerance, "{what} is {number}, not {expected}");
    Ok(())
}

fn variant<'r>(results: &'r Value, metric: &str, name: &str) -> anyhow::Result<&'r Value> {
    let metrics = results["metrics"].as_array().context("metrics")?;
    let entry = metrics.iter().find(|entry| entry["metric"] == metric).context("the metric")?;
    let variants = entry["variants"].as_array().context("variants")?;
    variants.iter().find(|entry| entry["variant"] == name).context("the variant")
}

/// How many units the results count as converted.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of at most 10 000"
)]
fn n_converted(results: &Value) -> Option<usize> {
    let mut n_units = 0.0;
    for name in ["control", "treatment_a", "treatment_b"] {
        let found = variant(results, "conversion", name).ok()?;
        n_units += (found["n"].as_f64()? * found["value"].as_f64()?).round();
    }
    Some(n_units as usize)
}
