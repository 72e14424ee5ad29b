//! Handing in reports.

use reqwest::Method;
use serde_json::{Value, json};

use crate::service::{ENVIRONMENT, on_both_databases};
use crate::withholding::{batch, report};

on_both_databases! {
    async fn reports_of_unknown_experiments_are_named_and_the_others_kept(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let reports = [report("0192-nobody", false), report(id, false)];
        let response = service.send('d', Method::POST, "/api/v1/reports", Some(batch(&reports))).await;
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["accepted"], 1);
        assert_eq!(answer["skipped"][0]["index"], 0);
        assert_eq!(answer["skipped"][0]["code"], "unknown_experiment");
    }

    async fn an_older_report_does_not_replace_a_newer_one(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let mut newer = report(id, false);
        newer["as_of"] = json!("2026-11-20T12:00:00Z");
        newer["exposures"] = json!({"control": 2000, "treatment_a": 1000, "treatment_b": 1000});
        let path = "/api/v1/reports";
        assert_eq!(service.post(path, batch(&[newer.clone()]), 200).await["accepted"], 1);
        let again = service.post(path, batch(&[newer]), 200).await;
        assert_eq!(again["accepted"], 1, "the same report again is kept again");
        let answer = service.post(path, batch(&[report(id, false)]), 200).await;
        assert_eq!(answer["skipped"][0]["code"], "older_than_kept");
        let results = service.get(&format!("/api/v1/experiments/{id}/results")).await;
        assert_eq!(results["exposures"]["control"], 2000);
        assert_eq!(results["looks"].as_array().unwrap().len(), 1);
    }

    async fn every_look_that_saw_something_new_is_kept(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        for (minute, control) in [(0, 100), (5, 100), (10, 150)] {
            let mut next = report(id, false);
            next["as_of"] = json!(format!("2026-11-20T12:{minute:02}:00Z"));
            next["exposures"]["control"] = json!(control);
            service.post("/api/v1/reports", batch(&[next]), 200).await;
        }
        let results = service.get(&format!("/api/v1/experiments/{id}/results")).await;
        let looks = results["looks"].as_array().unwrap();
        let seen: Vec<_> = looks.iter().map(|look| look["exposures"]["control"].as_u64()).collect();
        assert_eq!(seen, [Some(100), Some(150)]);
        assert_eq!(results["as_of"], "2026-11-20T12:10:00Z");
    }

    async fn bad_batches_are_refused_with_the_member_that_is_wrong(service) {
        let experiment = service.start_checkout().await;
        let id = experiment["id"].as_str().unwrap();
        let good = batch(&[report(id, false)]);
        let changed = |pointer: &str, value: Value| {
            let mut batch = good.clone();
            *batch.pointer_mut(pointer).unwrap() = value;
            batch
        };
        for (body, pointer) in [
            (changed("/environment", json!("staging-aaaaaaaa")), "/reports/0/environment"),
            (changed("/environment", json!(7)), "/environment"),
            (changed("/generation", json!(-1)), "/generation"),
            (changed("/as_of", json!("yesterday")), "/as_of"),
            (changed("/reports", json!("none")), "/reports"),
            (changed("/reports/0", json!(7)), "/reports/0"),
            (
                changed("/reports/0/metrics/0/variants/0/n", json!(-5)),
                "/reports/0/metrics/0/variants/0/n",
            ),
            (changed("/reports/0/exposures/control", json!("many")), "/reports/0/exposures/control"),
            (changed("/reports/0/environment", json!("other-aaaaaaaa")), "/reports/0/environment"),
            (json!({"environment": ENVIRONMENT}), "/as_of"),
        ] {
            let response = service.send('d', Method::POST, "/api/v1/reports", Some(body)).await;
            assert_eq!(response.status(), 422, "{pointer}");
            let problem: Value = response.json().await.unwrap();
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]).collect();
            assert!(
                pointers.iter().any(|seen| seen.as_str().unwrap().starts_with(pointer)),
                "{pointer}: {problem}"
            );
        }
        let mut elsewhere = batch(&[]);
        elsewhere["environment"] = json!("staging-aaaaaaaa");
        service.post("/api/v1/reports", elsewhere, 422).await;
        let anonymous = service.send('-', Method::POST, "/api/v1/reports", Some(good.clone())).await;
        assert_eq!(anonymous.status(), 401);
        let results = service.get(&format!("/api/v1/experiments/{id}/results")).await;
        assert_eq!(results["status"], "no_data", "nothing was half-written");
    }
}
