//! A platform that is stopped and started again goes on with what it had.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;
use platform_tests::calls::{Calls, Intake, exposure_event, metric_event};
use platform_tests::platform::{Platform, state_folder};
use serde_json::{Value, json};

const EXPERIMENT: &str = "outlives_a_restart";

#[tokio::test(flavor = "multi_thread")]
async fn definitions_keys_events_and_results_outlive_a_restart() -> anyhow::Result<()> {
    let state = state_folder();
    let platform = Platform::start(state.path())?;
    let before = platform.description.clone();
    let calls = Calls::new(&before);
    calls.post("/metrics", json!({"name": "clicks", "kind": "mean", "event": "click"})).await?;
    let experiment = calls
        .run_experiment(json!({
            "name": EXPERIMENT,
            "variants": [{"name": "control", "weight": 50}, {"name": "treatment", "weight": 50}],
            "primary_metric": "clicks",
            "min_detectable_effect": 0.5,
            "estimated_duration_days": 14,
        }))
        .await?;
    let id = experiment["id"].as_str().context("id")?;
    let decisions = evaluate(&calls, 0..40).await?;
    let ready: Value = reqwest::get(format!("{}/readyz", before.edge)).await?.json().await?;
    assert_eq!(
        ready["public_keys"].as_array().map(Vec::len),
        Some(1),
        "the Worker checks signatures"
    );
    assert_eq!(ready["environments"][0]["key_id"], ready["public_keys"][0]);
    calls.results_when(id, |results| n_exposed(results) == 40).await?;
    // Acknowledged, and perhaps not yet in a file when the platform ends.
    let clicks: Vec<Value> = (0..40).map(|n| metric_event(&unit(n), "click", 1.0)).collect();
    calls.send_events(Intake::Collector, &clicks).await?;
    platform.stop()?;

    let platform = Platform::start(state.path())?;
    let after = &platform.description;
    assert_eq!(after.admin_token, before.admin_token);
    assert_eq!(after.server_sdk_key, before.server_sdk_key);
    assert_eq!(after.client_sdk_key, before.client_sdk_key);
    let calls = Calls::new(after);
    assert_eq!(n_exposed(&calls.get(&format!("/experiments/{id}/results")).await?), 40);
    assert_eq!(evaluate(&calls, 0..40).await?, decisions);
    evaluate(&calls, 40..60).await?;
    let results = calls
        .results_when(id, |results| n_exposed(results) == 60 && n_clicks(results) == Some(40.0))
        .await?;
    assert_eq!(results["excluded_multiple_variants"], 0);
    platform.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_platform_loses_nothing_that_it_acknowledged_and_leaves_nothing_running()
-> anyhow::Result<()> {
    let state = state_folder();
    let platform = Platform::start(state.path())?;
    let calls = Calls::new(&platform.description);
    calls.post("/metrics", json!({"name": "clicks", "kind": "mean", "event": "click"})).await?;
    let experiment = calls
        .run_experiment(json!({
            "name": EXPERIMENT,
            "variants": [{"name": "control", "weight": 50}, {"name": "treatment", "weight": 50}],
            "primary_metric": "clicks",
            "min_detectable_effect": 0.5,
            "estimated_duration_days": 14,
        }))
        .await?;
    let id = experiment["id"].as_str().context("id")?;
    let exposures: Vec<Value> = evaluate(&calls, 0..30)
        .await?
        .iter()
        .enumerate()
        .map(|(n, decision)| {
            exposure_event(
                &unit(n),
                EXPERIMENT,
                decision["variant"].as_str().unwrap_or_default(),
                1,
            )
        })
        .collect();
    let clicks: Vec<Value> = (0..30).map(|n| metric_event(&unit(n), "click", 2.0)).collect();
    calls.send_events(Intake::Collector, &exposures).await?;
    calls.send_events(Intake::Collector, &clicks).await?;
    let edge = platform.description.edge.replace("http://", "");
    platform.kill()?;

    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&edge).is_ok() {
        assert!(Instant::now() < deadline, "a Worker still listens on {edge}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let platform = Platform::start(state.path())?;
    let calls = Calls::new(&platform.description);
    let results = calls
        .results_when(id, |results| n_exposed(results) == 30 && n_clicks(results) == Some(60.0))
        .await?;
    assert_eq!(results["excluded_multiple_variants"], 0);
    platform.stop()
}

fn unit(number: usize) -> String {
    format!("unit-{number}")
}

async fn evaluate(calls: &Calls, units: std::ops::Range<usize>) -> anyhow::Result<Vec<Value>> {
    let mut decisions = Vec::new();
    for number in units {
        let request = json!({"units": {"user_id": unit(number)}, "keys": [EXPERIMENT]});
        decisions.push(calls.evaluate(&request).await?["decisions"][EXPERIMENT].clone());
    }
    Ok(decisions)
}

fn n_exposed(results: &Value) -> u64 {
    let counts = results["exposures"].as_object();
    counts.map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum())
}

/// Clicks of all variants together.
fn n_clicks(results: &Value) -> Option<f64> {
    let variants = results["metrics"][0]["variants"].as_array()?;
    let mut n_clicks = 0.0;
    for variant in variants {
        n_clicks += variant["n"].as_f64()? * variant["value"].as_f64()?;
    }
    Some(n_clicks.round())
}
