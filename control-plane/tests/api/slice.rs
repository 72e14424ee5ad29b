//! The request bodies of the contract work as written, from a new installation to a published config.

use crate::bodies::{catalogue, checkout, new_nav};
use crate::harness::on_both_databases;
use serde_json::{Value, json};

on_both_databases! {
    async fn the_contracts_bodies_work_as_written(server) {
        catalogue(server).await;
        server.made("holdouts", json!({ "name": "global_2026", "size": 5, "scope": "project" })).await;
        let created = server.post("experiments", checkout()).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(created.headers["etag"], "\"1\"");
        let id = created.body["id"].as_str().unwrap();
        assert_eq!(created.headers["location"], format!("/api/v1/experiments/{id}"));
        assert_eq!(created.body["status"], "draft");
        server.made("flags", new_nav()).await;

        let unacknowledged = server.post(&format!("experiments/{id}/start"), json!({})).await;
        unacknowledged.problem(422, "unacknowledged_warnings");
        assert_eq!(unacknowledged.body["warnings"][0]["code"], "no_baseline");

        let started = server.start_experiment(id).await;
        assert_eq!(started.status, 200, "{started:?}");
        let body = &started.body;
        assert_eq!(body["status"], "running");
        assert_eq!(body["version"], 2);
        assert_eq!(body["phase"], 1);
        assert_eq!(body["layer"]["name"], "checkout_layer");
        assert_eq!(body["layer"]["salt"].as_str().unwrap().len(), 15);
        assert_eq!(body["layer"]["ranges"], json!([[0, 10_000]]));
        assert_eq!(body["salt"].as_str().unwrap().len(), 15);
        let ranges: Vec<&Value> = body["variants"].as_array().unwrap().iter().map(|v| &v["ranges"]).collect();
        assert_eq!(ranges, [&json!([[0, 5000]]), &json!([[5000, 7500]]), &json!([[7500, 10_000]])]);
        assert_eq!(body["covering_holdouts"], json!(["global_2026"]));
        assert_eq!(server.get(&format!("experiments/{id}")).await.body, *body);

        let pause = server.post(&format!("experiments/{id}/pause"), json!({})).await;
        assert_eq!(pause.body["status"], "paused", "{pause:?}");
        let resume = server.post(&format!("experiments/{id}/resume"), json!({})).await;
        assert_eq!(resume.body["status"], "running", "{resume:?}");
        let complete = server.post(&format!("experiments/{id}/complete"), json!({ "ship": "treatment_a" })).await;
        assert_eq!(complete.body["shipped"], "treatment_a", "{complete:?}");
        let history = server.get(&format!("experiments/{id}/history")).await;
        let actions: Vec<&str> = history.body["data"].as_array().unwrap().iter().map(|v| v["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["completed", "resumed", "paused", "started", "created"]);
    }
}
