//! Experiments that start and end by themselves.

use crate::bodies::{catalogue, in_layer, plain};
use crate::harness::{Server, on_both_databases};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Duration;

async fn becomes(server: &Server, name: &str, status: &str) {
    // The scheduler looks every second; this waits for what must happen, not for how long it takes.
    for _ in 0..600 {
        if server.get(&format!("experiments/{name}")).await.body["status"] == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{name}` never became {status}");
}

on_both_databases! {
    async fn an_experiment_starts_and_ends_at_its_times(server) {
        catalogue(server).await;
        let soon = Timestamp::now() + SignedDuration::from_millis(1500);
        let mut body = in_layer("timed", 30.0);
        body["start_at"] = json!(soon.to_string());
        body["end_at"] = json!((soon + SignedDuration::from_millis(1500)).to_string());
        server.made("experiments", body).await;
        let scheduled = server.start_experiment("timed").await;
        assert_eq!(scheduled.body["status"], "scheduled", "{scheduled:?}");
        assert_eq!(scheduled.body["layer"]["ranges"], json!([[0, 3000]]), "it holds its buckets");
        assert_eq!(scheduled.body["phase"], 0);
        becomes(server, "timed", "completed").await;
        let history = server.get("experiments/timed/history").await.body;
        let steps: Vec<(&str, &str)> = history["data"].as_array().unwrap().iter()
            .map(|v| (v["action"].as_str().unwrap(), v["author"].as_str().unwrap())).collect();
        assert_eq!(steps, [
            ("completed", "scheduler"), ("started", "scheduler"), ("started", "bootstrap-admin"), ("created", "bootstrap-admin"),
        ]);
    }

    async fn a_scheduled_experiment_can_be_moved_and_called_off(server) {
        catalogue(server).await;
        let mut body = plain("later");
        body["start_at"] = json!((Timestamp::now() + SignedDuration::from_hours(1)).to_string());
        server.made("experiments", body).await;
        server.start_experiment("later").await;
        let early = (Timestamp::now() - SignedDuration::from_secs(1)).to_string();
        let moved = server.patch("experiments/later", json!({ "start_at": early })).await;
        assert_eq!(moved.status, 200, "{moved:?}");
        becomes(server, "later", "running").await;
        let mut body = plain("never");
        body["start_at"] = json!((Timestamp::now() + SignedDuration::from_hours(1)).to_string());
        body["primary_metric"] = json!("revenue_per_user");
        server.made("experiments", body).await;
        server.start_experiment("never").await;
        assert_eq!(server.post("experiments/never/complete", json!({})).await.body["status"], "completed");
    }
}
