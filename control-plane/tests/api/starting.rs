//! Warnings at the start: raised when there is evidence, accepted when acknowledged.

use crate::bodies::{catalogue, checkout, plain};
use crate::harness::{Server, on_both_databases};
use serde_json::{Value, json};

/// Codes of the warnings that stand against a start.
async fn warnings(server: &Server, name: &str) -> Vec<String> {
    let answer = server.post(&format!("experiments/{name}/start"), json!({})).await;
    if answer.status == 200 {
        return Vec::new();
    }
    answer.problem(422, "unacknowledged_warnings");
    let raised = answer.body["warnings"].as_array().unwrap();
    raised.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
}

async fn change(server: &Server, name: &str, patch: Value) {
    let answer = server.patch(&format!("experiments/{name}"), patch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

on_both_databases! {
    async fn a_sample_that_is_too_small_is_warned_about(server) {
        catalogue(server).await;
        server.made("experiments", checkout()).await;
        let name = "checkout_redesign_q1_2025";
        assert_eq!(warnings(server, name).await, ["no_baseline"]);
        server.patch("metrics/checkout_conversion_rate", json!({ "baseline": 0.1 })).await;
        change(server, name, json!({ "expected_daily_units": 1000, "estimated_duration_days": 3 })).await;
        assert_eq!(warnings(server, name).await, ["underpowered", "short_duration"]);
        // 10 % against 10.2 %: some 355 000 units for each quarter-sized treatment.
        change(server, name, json!({ "expected_daily_units": 200_000, "estimated_duration_days": 14 })).await;
        let started = server.post(&format!("experiments/{name}/start"), json!({ "acknowledge": ["short_duration", "made_up"] })).await;
        assert_eq!(started.status, 200, "what is acknowledged but not raised is ignored: {started:?}");
    }

    async fn experiments_that_meet_on_one_metric_are_warned_about(server) {
        catalogue(server).await;
        for (name, countries) in [("a", json!(["US"])), ("b", json!(["US", "DE"])), ("c", json!(["FR"]))] {
            let mut body = plain(name);
            body["targeting"] = json!({ "countries": countries });
            server.made("experiments", body).await;
        }
        assert_eq!(warnings(server, "a").await, [""; 0]);
        assert_eq!(warnings(server, "b").await, ["overlapping_audience"]);
        assert_eq!(warnings(server, "c").await, [""; 0]);
    }

    async fn earlier_reports_say_what_to_expect(server) {
        catalogue(server).await;
        let earlier = server.made("experiments", plain("earlier")).await;
        server.start_experiment("earlier").await;
        let metric = |name: &str, kind: &str, value: f64| json!({
            "metric": name, "role": "secondary", "kind": kind, "status": "computed",
            "variants": [
                { "variant": "control", "n": 1000, "value": value, "std_dev": 0.3 },
                { "variant": "treatment", "n": 1000, "value": value, "std_dev": 0.3, "method": "two_proportion_z", "effect": 0, "se": 0.1, "ci": [0, 0],
                  "lift": null, "lift_ci": null, "p_value": 1, "p_adjusted": 1, "verdict": "not_significant" } ]
        });
        let report = json!({
            "id": earlier["id"], "experiment_id": earlier["id"], "experiment": "earlier", "project": "default", "environment": server.made.environment_id,
            "generation": 2, "as_of": "2026-01-01T00:00:00Z", "status": "collecting", "phase": 1, "generations": [2], "alpha": 0.05,
            "exposures": { "control": 1000, "treatment": 1000 }, "excluded_multiple_variants": 0, "srm": null,
            "metrics": [metric("checkout_conversion_rate", "proportion", 0.1), metric("revenue_per_user", "mean", 0.0)],
            "planned": { "alpha": 0.05, "power": 0.8, "min_detectable_effect": null, "mde_type": "relative", "required_units_per_variant": null,
                         "planned_end_at": null, "phase_started_at": null, "sample_reached": false }
        });
        let handed_in = server.post("reports", json!({
            "environment": server.made.environment_id, "generation": 2, "as_of": "2026-01-01T00:00:00Z", "reports": [report]
        })).await;
        assert_eq!(handed_in.body["accepted"], 1, "{handed_in:?}");
        server.made("experiments", checkout()).await;
        assert_eq!(warnings(server, "checkout_redesign_q1_2025").await, ["metric_not_flowing"], "a baseline is known now, and revenue is silent");
    }

    async fn an_experiment_without_a_primary_metric_does_not_start(server) {
        catalogue(server).await;
        let mut body = plain("e");
        body.as_object_mut().unwrap().remove("primary_metric");
        server.made("experiments", body).await;
        assert_eq!(server.start_experiment("e").await.problem(422, "invalid"), ["/primary_metric"]);
        change(server, "e", json!({ "primary_metric": "clicks_per_view", "end_at": "2020-01-01T00:00:00Z" })).await;
        assert_eq!(server.start_experiment("e").await.problem(422, "invalid"), ["/end_at"]);
    }
}
