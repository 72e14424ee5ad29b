//! Fixed-horizon values are shown at the horizon, not before.

use serde_json::{Value, json};

use crate::service::{ENVIRONMENT, on_both_databases};

/// A report with one comparison that looks good.
pub fn report(id: &str, sample_reached: bool) -> Value {
    let treatment = json!({
        "variant": "treatment_a", "n": 498, "value": 0.15, "std_dev": 0.357, "method": "two_proportion_z",
        "effect": 0.05, "se": 0.018, "ci": [0.014, 0.086], "lift": 0.5, "lift_ci": [0.1, 0.9],
        "p_value": 0.004, "p_adjusted": 0.008, "verdict": "significant",
        "sequential": {"p_value": 0.2, "ci": [-0.01, 0.11], "lift_ci": null, "verdict": "not_significant"}
    });
    let metric = json!({
        "metric": "checkout_conversion_rate", "role": "primary", "kind": "proportion",
        "direction": "increase", "window_ms": null, "cap": null, "max_degradation": null,
        "margin_type": "relative", "status": "computed",
        "variants": [{"variant": "control", "n": 1012, "value": 0.1, "std_dev": 0.3}, treatment]
    });
    let planned = json!({
        "alpha": 0.05, "power": 0.8, "min_detectable_effect": 0.02, "mde_type": "relative",
        "required_units_per_variant": {"control": 500_000}, "planned_end_at": "2026-12-04T00:00:00Z",
        "phase_started_at": "2026-11-20T00:00:00Z", "sample_reached": sample_reached
    });
    let expected = json!({"control": 1006.5, "treatment_a": 503.25, "treatment_b": 503.25});
    json!({
        "id": id, "experiment_id": id, "experiment": "checkout_redesign_q1_2025", "project": "default",
        "environment": ENVIRONMENT, "generation": 2, "as_of": "2026-11-20T10:00:00Z",
        "status": "collecting", "phase": 1, "generations": [2], "alpha": 0.05,
        "exposures": {"control": 1012, "treatment_a": 498, "treatment_b": 503},
        "excluded_multiple_variants": 3,
        "srm": {"statistic": 0.1, "p_value": 0.95, "sequential_p_value": 1.0, "passed": true, "expected": expected},
        "metrics": [metric], "warnings": [], "looks": [], "planned": planned
    })
}

pub fn batch(reports: &[Value]) -> Value {
    json!({"environment": ENVIRONMENT, "generation": 2, "as_of": "2026-11-20T10:00:00Z", "reports": reports})
}

/// The comparison of the first treatment.
fn comparison(results: &Value) -> &Value {
    &results["metrics"][0]["variants"][1]
}

fn assert_withheld(results: &Value) {
    let comparison = comparison(results);
    assert_eq!(results["status"], "collecting");
    assert_eq!(comparison["verdict"], "collecting");
    for member in ["p_value", "p_adjusted"] {
        assert_eq!(comparison.get(member), Some(&Value::Null), "{member} is there, and null");
    }
    assert_eq!(comparison["sequential"]["p_value"], 0.2, "always-valid values are always there");
    assert_eq!(comparison["effect"], 0.05);
}

fn assert_shown(results: &Value) {
    let comparison = comparison(results);
    assert_eq!(comparison["p_value"], 0.004);
    assert_eq!(comparison["p_adjusted"], 0.008);
    assert_eq!(comparison["verdict"], "significant");
}

on_both_databases! {
    async fn p_values_are_withheld_until_the_sample_is_reached(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let path = format!("/api/v1/experiments/{id}/results");

        let nothing = service.get(&path).await;
        assert_eq!((nothing["status"].as_str(), &nothing["as_of"]), (Some("no_data"), &Value::Null));
        assert_eq!(nothing["exposures"], json!({"control": 0, "treatment_a": 0, "treatment_b": 0}));

        service.post("/api/v1/reports", batch(&[report(id, false)]), 200).await;
        let results = service.get(&path).await;
        assert_withheld(&results);
        assert_eq!((&results["id"], &results["experiment"]), (&experiment["id"], &experiment["name"]));
        assert_eq!(results["warnings"], json!([]));
        assert_eq!(results["srm"]["passed"], true);
        assert_eq!(results["excluded_multiple_variants"], 3);
        assert_eq!(results["generations"], json!([2]));
        let by_name = service.get("/api/v1/experiments/checkout_redesign_q1_2025/results").await;
        assert_eq!(by_name, results);

        let peeked = service.get(&format!("{path}?peek=true")).await;
        assert_shown(&peeked);
        assert_eq!(peeked["status"], "collecting");
        assert_eq!(peeked["warnings"][0]["code"], "peeking");

        service.post("/api/v1/reports", batch(&[report(id, true)]), 200).await;
        let results = service.get(&path).await;
        assert_shown(&results);
        assert_eq!(results["status"], "ready");
        let peeked = service.get(&format!("{path}?peek=true")).await;
        assert_eq!(peeked["warnings"], json!([]), "there is nothing to peek at");
    }

    async fn the_smallest_always_valid_p_value_of_all_looks_is_kept(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let looked = |minute: u32, phase: u32, p: f64, srm: f64| {
            let mut report = report(id, false);
            report["as_of"] = json!(format!("2026-11-20T10:{minute:02}:00Z"));
            report["phase"] = json!(phase);
            report["metrics"][0]["variants"][1]["sequential"]["p_value"] = json!(p);
            report["srm"]["sequential_p_value"] = json!(srm);
            batch(&[report])
        };
        let path = format!("/api/v1/experiments/{id}/results");
        for (minute, phase, p, srm, least, least_srm) in [
            (1, 1, 0.2, 1.0, 0.2, 1.0),
            (2, 1, 0.01, 0.5, 0.01, 0.5),
            (3, 1, 0.3, 0.8, 0.01, 0.5),
            (4, 2, 0.4, 0.9, 0.4, 0.9),
            (5, 2, 0.6, 0.7, 0.4, 0.7),
        ] {
            service.post("/api/v1/reports", looked(minute, phase, p, srm), 200).await;
            let results = service.get(&path).await;
            let sequential = &comparison(&results)["sequential"];
            assert_eq!(sequential["p_value"], p, "at {minute}");
            assert_eq!(sequential["running_p_value"], least, "at {minute}");
            assert_eq!(results["srm"]["running_p_value"], least_srm, "at {minute}");
        }
        // A report that cannot be decided on does not count as evidence.
        let mut gated = looked(6, 2, 0.0001, 0.7);
        gated["reports"][0]["metrics"][0]["variants"][1]["sequential"]["gate"] =
            json!("asymptotics_not_reached");
        service.post("/api/v1/reports", gated, 200).await;
        assert_eq!(comparison(&service.get(&path).await)["sequential"]["running_p_value"], 0.4);
    }

    async fn planned_looks_are_taken_once_and_decide(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let looked = |minute: u32, rate: f64, due: u32, statistic: f64| {
            let mut report = report(id, false);
            report["as_of"] = json!(format!("2026-11-20T10:{minute:02}:00Z"));
            report["planned"]["group_sequential"] =
                json!({"rates": [0.25, 0.5, 0.75, 1.0], "spending": "obrien_fleming", "futility": true});
            report["metrics"][0]["variants"][1]["group_sequential"] = json!({
                "information_rate": rate, "looks_due": due, "alpha": 0.05, "statistic": statistic
            });
            batch(&[report])
        };
        let path = format!("/api/v1/experiments/{id}/results");
        // (minute, rate, looks due, statistic) → (looks taken, verdict, recommendation)
        for (minute, rate, due, statistic, taken, verdict, action) in [
            (1, 0.2, 0, 9.0, 0, "continue", "continue"),
            (2, 0.26, 1, 2.5, 1, "continue", "continue"),
            (3, 0.4, 1, 9.0, 1, "continue", "continue"),
            (4, 0.5, 2, 3.5, 2, "efficacy", "ship"),
            (5, 0.8, 3, 0.1, 3, "efficacy", "ship"),
        ] {
            service.post("/api/v1/reports", looked(minute, rate, due, statistic), 200).await;
            let results = service.get(&path).await;
            let state = &comparison(&results)["group_sequential"];
            assert_eq!(state["looks"].as_array().unwrap().len(), taken, "at {minute}");
            assert_eq!(state["verdict"], verdict, "at {minute}");
            assert_eq!(state["statistic"], Value::Null, "withheld between looks, at {minute}");
            assert_eq!(results["recommendations"][0]["action"], action, "at {minute}: {results}");
        }
        let results = service.get(&path).await;
        let state = &comparison(&results)["group_sequential"];
        assert_eq!(state["looks"][1]["statistic"], 3.5);
        // O'Brien and Fleming's type at the rates 0.26 and 0.5: 4.2 and 2.96 or so.
        let bound = |look: usize| state["boundaries"][look]["efficacy"].as_f64().unwrap();
        assert!((4.1..4.4).contains(&bound(0)) && (2.9..3.0).contains(&bound(1)), "{state}");
        assert_eq!(state["boundaries"].as_array().unwrap().len(), 4);
        assert!(state["p_value"].as_f64().unwrap() < 0.01);
        let conditions = results["recommendations"][0]["conditions"].as_array().unwrap();
        assert!(conditions.iter().all(|condition| condition["met"] == true), "{conditions:?}");
    }

    async fn p_values_are_shown_after_the_planned_duration(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let mut late = report(id, false);
        late["as_of"] = json!("2026-12-04T00:00:00Z");
        service.post("/api/v1/reports", batch(&[late]), 200).await;
        let results = service.get(&format!("/api/v1/experiments/{id}/results")).await;
        assert_shown(&results);
        assert_eq!(results["status"], "ready");
    }

    async fn p_values_are_shown_once_the_experiment_is_completed(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let path = format!("/api/v1/experiments/{id}/results");
        service.post("/api/v1/reports", batch(&[report(id, false)]), 200).await;
        service.post(&format!("/api/v1/experiments/{id}/pause"), json!({}), 200).await;
        assert_withheld(&service.get(&path).await);
        service.post(&format!("/api/v1/experiments/{id}/complete"), json!({}), 200).await;
        let results = service.get(&path).await;
        assert_shown(&results);
        assert_eq!(results["status"], "ready");
    }

    async fn results_of_nothing_are_not_found(service) {
        for (path, status) in [
            ("/api/v1/experiments/nobody/results", 404),
            ("/api/v1/experiments/%00/results", 404),
            ("/api/v1/experiments/nobody/results?peek=maybe", 400),
            ("/api/v1/experiments/nobody/results?pek=true", 400),
        ] {
            assert_eq!(
                service.send('a', reqwest::Method::GET, path, None).await.status(),
                status,
                "{path}"
            );
        }
    }
}
